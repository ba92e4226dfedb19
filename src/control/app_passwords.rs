//! App passwords: what a subscriber's apps sign in with, beside the subscriber's id as user name.
//!
//! They travel in addresses (Xtream, M3U) and are checked with every call, so a slow hash is no
//! choice: the registry holds an HMAC-SHA-256 of each, with a key that is not in the registry, and
//! the password itself sealed with another (`secrets`), for those who must be told again what to
//! type. A copy of the registry says nothing without the keys.
//!
//! All of a subscriber's are one object of the registry, which goes with the subscriber. A password
//! that comes from elsewhere is kept as it is, and said to be weak if it is.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::registry::{Expected, Kind, Object, Reference, Write};
use super::secrets::Secrets;
use crate::config::{APP_PASSWORD_NAME_MAX, APP_PASSWORD_SIZE_MAX, APP_PASSWORDS_MAX};
use crate::units::UnixTime;
use crate::viewer::accounts::{Credential, Hasher};

pub mod api;
mod strength;

pub use strength::{generated, weakness};

/// What they are sealed with.
const SEAL: &str = "app-password";

/// What hashes and seals.
pub struct Keys {
    hasher: Hasher,
    secrets: Secrets,
}

/// What the registry holds of a subscriber's.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    passwords: Vec<Kept>,
}

/// One of them.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    /// Which app or device it is for, as people call it.
    name: String,
    /// HMAC-SHA-256 of it and of whose it is, in base64url.
    hash: String,
    /// Nonce and sealed text, in base64url.
    sealed: String,
    /// When it was given, in seconds since 1970.
    created: u64,
}

/// One that is to be kept.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Given {
    /// Which app or device it is for.
    #[serde(default = "app")]
    pub name: String,
    /// The password.
    pub password: String,
}

fn app() -> String {
    "app".to_owned()
}

/// One that can be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = AppPassword)]
pub struct Told {
    /// Which app or device it is for.
    pub name: String,
    /// When it was given, in seconds since 1970.
    pub created: u64,
    /// The password, for those who may see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// Why it is weak, for those who may see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weak: Option<&'static str>,
}

/// Those of one subscriber.
#[derive(Debug)]
pub struct Passwords<'k> {
    keys: &'k Keys,
    user: String,
    found: Option<Object>,
    document: Document,
}

impl Keys {
    /// Derived from the server's secrets.
    #[must_use]
    pub fn new(secrets: Secrets) -> Self {
        Self { hasher: Hasher::new(&secrets.key("app-password-hash")), secrets }
    }

    /// What they are derived from.
    #[must_use]
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// What hashes them.
    #[must_use]
    pub fn hasher(&self) -> &Hasher {
        &self.hasher
    }

    fn hashed(&self, user: &str, password: &str) -> [u8; 32] {
        self.hasher.hash(user, password)
    }

    fn sealed(&self, user: &str, password: &str) -> Result<String, String> {
        let sealed = self.secrets.sealed(SEAL, user, password.as_bytes());
        sealed.map_err(|error| format!("password: it can't be sealed: {error}"))
    }

    /// The password, if it was sealed with these keys.
    fn opened(&self, user: &str, sealed: &str) -> Option<Zeroizing<String>> {
        let password = self.secrets.opened(SEAL, user, sealed)?;
        String::from_utf8(password).ok().map(Zeroizing::new)
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys")
    }
}

impl<'k> Passwords<'k> {
    /// What the registry holds; nothing if the object is another one.
    #[must_use]
    pub fn of(keys: &'k Keys, user: &str, found: Option<Object>) -> Self {
        let document = found.as_ref().map(|found| found.document.clone()).unwrap_or_default();
        let document = serde_json::from_value(document).unwrap_or_default();
        Self { keys, user: user.to_owned(), found, document }
    }

    /// The name of the one that this is. All of them are compared, each in the same time whatever
    /// it is.
    #[must_use]
    pub fn name_of(&self, password: &str) -> Option<&str> {
        let hash = URL_SAFE_NO_PAD.encode(self.keys.hashed(&self.user, password));
        let is_it = |kept: &&Kept| bool::from(kept.hash.as_bytes().ct_eq(hash.as_bytes()));
        let found = self.document.passwords.iter().filter(is_it);
        found.fold(None, |_, kept| Some(kept.name.as_str()))
    }

    /// What tells the one of this name from any that comes after it; none if there is none.
    #[must_use]
    pub fn stamp(&self, name: &str) -> Option<&str> {
        let found = self.document.passwords.iter().find(|kept| kept.name == name);
        found.map(|kept| kept.hash.as_str())
    }

    /// Whether it is exactly these that are kept, under these names.
    #[must_use]
    pub fn are(&self, given: &[Given]) -> bool {
        let is_kept = |given: &Given| self.name_of(&given.password) == Some(given.name.as_str());
        self.document.passwords.len() == given.len() && given.iter().all(is_kept)
    }

    /// What may be told of them, in the order in which they came.
    #[must_use]
    pub fn told(&self, reveal: bool) -> Vec<Told> {
        let told = |kept: &Kept| {
            let opened = if reveal { self.keys.opened(&self.user, &kept.sealed) } else { None };
            Told {
                name: kept.name.clone(),
                created: kept.created,
                weak: opened.as_ref().and_then(|password| weakness(&self.user, password)),
                password: opened.map(|password| password.to_string()),
            }
        };
        self.document.passwords.iter().map(told).collect()
    }

    /// One more.
    ///
    /// # Errors
    ///
    /// `FIELD: WHY`: it can't be a password, or its name or itself is there already.
    pub fn add(&mut self, given: &Given, now: UnixTime) -> Result<(), String> {
        named(&given.name)?;
        acceptable(&given.password)?;
        if self.document.passwords.iter().any(|kept| kept.name == given.name) {
            return Err(format!("name: there is one called {:?}; remove that first", given.name));
        }
        if let Some(name) = self.name_of(&given.password) {
            return Err(format!("password: it is the one called {name:?} already"));
        }
        if self.document.passwords.len() == APP_PASSWORDS_MAX {
            return Err(format!("a subscriber has at most {APP_PASSWORDS_MAX} app passwords"));
        }
        self.document.passwords.push(Kept {
            name: given.name.clone(),
            hash: URL_SAFE_NO_PAD.encode(self.keys.hashed(&self.user, &given.password)),
            sealed: self.keys.sealed(&self.user, &given.password)?,
            created: now.0,
        });
        Ok(())
    }

    /// One less; false if none has this name.
    pub fn remove(&mut self, name: &str) -> bool {
        let before = self.document.passwords.len();
        self.document.passwords.retain(|kept| kept.name != name);
        self.document.passwords.len() < before
    }

    /// These and no others.
    ///
    /// # Errors
    ///
    /// See `add`.
    pub fn replace(&mut self, given: &[Given], now: UnixTime) -> Result<(), String> {
        self.document.passwords.clear();
        given.iter().try_for_each(|given| self.add(given, now))
    }

    /// What makes the registry say so.
    #[must_use]
    pub fn write(&self) -> Write {
        let document = serde_json::to_value(&self.document).expect("it has string keys only");
        let is_empty = self.document.passwords.is_empty();
        Write {
            kind: Kind::AppPasswords,
            id: self.user.clone(),
            expected: expected(self.found.as_ref()),
            document: if is_empty { None } else { Some(document) },
            number: None,
            references: vec![Reference { kind: Kind::Subscriber, id: self.user.clone() }],
        }
    }

    /// Whether there is nothing to write: there are none, and there were none.
    #[must_use]
    pub fn are_nothing(&self) -> bool {
        self.found.is_none() && self.document.passwords.is_empty()
    }
}

fn expected(found: Option<&Object>) -> Expected {
    found.map_or(Expected::Absent, |found| Expected::At(found.revision))
}

/// What removes a subscriber's with the subscriber; nothing where there are none.
#[must_use]
pub fn removal(found: Option<Object>) -> Option<Write> {
    let found = found?;
    let (document, number, references) = (None, None, Vec::new());
    let expected = Expected::At(found.revision);
    Some(Write { kind: Kind::AppPasswords, id: found.id, expected, document, number, references })
}

/// What the hashes in a document stand for, in their order; none of one that can't be read.
#[must_use]
pub fn credentials(document: &str) -> Vec<Option<Credential>> {
    let Ok(known) = serde_json::from_str::<Document>(document) else { return Vec::new() };
    let credential = |kept: &Kept| {
        let hash = URL_SAFE_NO_PAD.decode(&kept.hash).ok()?;
        Some(Credential::of(hash.as_slice().try_into().ok()?))
    };
    known.passwords.iter().map(credential).collect()
}

/// Whether a document of the registry is one of these.
///
/// # Errors
///
/// What serde says.
pub fn checked(document: &serde_json::Value) -> Result<(), String> {
    Document::deserialize(document).map(drop).map_err(|error| error.to_string())
}

/// The same passwords of a user as other keys hash and seal them. One that these keys did not seal
/// stays as it is, and is of no use, as before.
#[must_use]
pub fn rekeyed(
    document: serde_json::Value,
    user: &str,
    from: &Keys,
    to: &Keys,
) -> serde_json::Value {
    let Ok(mut known) = Document::deserialize(&document) else { return document };
    for kept in &mut known.passwords {
        let Some(password) = from.opened(user, &kept.sealed) else { continue };
        let Ok(sealed) = to.sealed(user, &password) else { continue };
        kept.hash = URL_SAFE_NO_PAD.encode(to.hashed(user, &password));
        kept.sealed = sealed;
    }
    serde_json::to_value(&known).unwrap_or(document)
}

fn named(name: &str) -> Result<(), String> {
    let is_good = !name.trim().is_empty()
        && name.len() <= APP_PASSWORD_NAME_MAX
        && !name.chars().any(|one| one.is_control() || one == '/');
    if is_good {
        return Ok(());
    }
    Err(format!("name: {name:?} is none (up to {APP_PASSWORD_NAME_MAX} bytes, without \"/\")"))
}

/// It stands in addresses as one element of a path: what no player could write there is refused.
fn acceptable(password: &str) -> Result<(), String> {
    let wrong = |why: &str| Err(format!("password: {why}"));
    if password.is_empty() || password.len() > APP_PASSWORD_SIZE_MAX {
        return wrong(&format!("it is to have 1 to {APP_PASSWORD_SIZE_MAX} bytes"));
    }
    if password.chars().any(char::is_control) {
        return wrong("it has control characters");
    }
    if matches!(password, "." | "..") {
        return wrong("players take \".\" and \"..\" out of addresses");
    }
    Ok(())
}

#[cfg(test)]
mod tests;
