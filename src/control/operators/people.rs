//! What the registry holds of administrators and of API keys, and how it is read and written.
//!
//! Their documents have hashes and sealed secrets in them, so they are never told as they are:
//! neither by the API, nor by the change feed, nor in copies. `told` is what may be known.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::scope::{Role, Scope};
use crate::config::ADMINS_MAX;
use crate::control::audit::Act;
use crate::control::registry::{
    Expected, Kind, Object, Revision, Store, StoreError, Uncommitted, Write,
};

/// An administrator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Admin {
    /// What the person is there for.
    pub role: Role,
    /// Whether the person may sign in.
    pub enabled: bool,
    /// When it was made, in seconds since 1970.
    pub created: u64,
    /// The password as it is kept.
    pub password: String,
    /// What every change of password, factor or `enabled` makes another one: what was signed in
    /// before is over.
    pub stamp: String,
    /// The second factor, once it is set up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub factor: Option<Factor>,
}

/// A second factor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Factor {
    /// Sealed for this administrator.
    pub secret: String,
    /// The step of the last code that was used.
    pub step: u64,
    /// Hashes of the recovery codes that were not used.
    pub recovery: Vec<String>,
}

/// A key of the API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKey {
    /// For people.
    pub name: String,
    /// What it may.
    pub scopes: Vec<Scope>,
    /// From this second on it is good for nothing; none = it stays good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
    /// Where it may be used from; none = anywhere.
    #[serde(default)]
    pub networks: Vec<String>,
    /// When it was made, in seconds since 1970.
    pub created: u64,
    /// By whom.
    pub made_by: String,
    /// SHA-256 of its secret, which has 256 bits.
    pub hash: String,
}

/// A document and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept<T> {
    /// Its id.
    pub id: String,
    /// What wrote it.
    pub revision: Revision,
    /// What it says.
    pub is: T,
}

/// What has a document of its own.
pub trait Document: Serialize + for<'de> Deserialize<'de> {
    /// Its kind.
    const KIND: Kind;
}

impl Document for Admin {
    const KIND: Kind = Kind::Admin;
}

impl Document for ApiKey {
    const KIND: Kind = Kind::ApiKey;
}

/// What may be known of an administrator.
#[derive(Serialize, ToSchema)]
#[schema(as = Admin)]
pub struct AdminTold {
    /// What the person signs in as.
    pub id: String,
    /// What wrote it last.
    pub revision: u64,
    /// What the person is there for.
    pub role: Role,
    /// Whether the person may sign in.
    pub enabled: bool,
    /// When it was made, in seconds since 1970.
    pub created: u64,
    /// Whether there is a second factor.
    pub factor: bool,
    /// How many recovery codes are left.
    pub recovery_codes: usize,
}

/// What may be known of a key of the API.
#[derive(Serialize, ToSchema)]
#[schema(as = ApiKey)]
pub struct ApiKeyTold {
    /// Its name, which is part of the key.
    pub id: String,
    /// What wrote it.
    pub revision: u64,
    /// For people.
    pub name: String,
    /// What it may.
    pub scopes: Vec<Scope>,
    /// From this second on it is good for nothing; null = it stays good.
    pub expires: Option<u64>,
    /// Where it may be used from; none = anywhere.
    pub networks: Vec<String>,
    /// When it was made, in seconds since 1970.
    pub created: u64,
    /// By whom.
    pub made_by: String,
    /// The key itself, which is told once, to whoever made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

impl Admin {
    /// What may be known of one.
    #[must_use]
    pub fn told(&self, id: &str, revision: Revision) -> AdminTold {
        AdminTold {
            id: id.to_owned(),
            revision: revision.0,
            role: self.role,
            enabled: self.enabled,
            created: self.created,
            factor: self.factor.is_some(),
            recovery_codes: self.factor.as_ref().map_or(0, |factor| factor.recovery.len()),
        }
    }
}

impl ApiKey {
    /// What may be known of one.
    #[must_use]
    pub fn told(&self, id: &str, revision: Revision) -> ApiKeyTold {
        ApiKeyTold {
            id: id.to_owned(),
            revision: revision.0,
            name: self.name.clone(),
            scopes: self.scopes.clone(),
            expires: self.expires,
            networks: self.networks.clone(),
            created: self.created,
            made_by: self.made_by.clone(),
            key: None,
        }
    }
}

/// One of them.
///
/// # Errors
///
/// The store failed, or something else stands there.
pub fn one<T: Document>(store: &dyn Store, id: &str) -> Result<Option<Kept<T>>, StoreError> {
    store.object(T::KIND, id)?.map(kept).transpose()
}

/// All of them, in the order of their ids.
///
/// # Errors
///
/// See `one`.
pub fn all<T: Document>(store: &dyn Store) -> Result<Vec<Kept<T>>, StoreError> {
    store.objects(T::KIND, "", ADMINS_MAX)?.into_iter().map(kept).collect()
}

fn kept<T: Document>(object: Object) -> Result<Kept<T>, StoreError> {
    let Object { id, revision, document, .. } = object;
    let kind = T::KIND.word();
    let is = serde_json::from_value(document)
        .map_err(|error| StoreError(format!("the registry's {kind} {id:?} is none: {error}")))?;
    Ok(Kept { id, revision, is })
}

/// Why something was not written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unwritten {
    /// There is none of this id.
    Absent,
    /// There is one.
    Present,
    /// Somebody else changed it at the same moment.
    Changed,
    /// There are as many as there may be.
    TooMany,
    /// Nobody would be left who may change administrators.
    LastOwner,
    /// It is wrong.
    Wrong(String),
    /// The store failed.
    Store(StoreError),
}

impl From<StoreError> for Unwritten {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Makes one.
///
/// # Errors
///
/// `Unwritten`.
pub fn made<T: Document>(
    store: &mut dyn Store,
    act: &Act,
    id: &str,
    is: &T,
) -> Result<Kept<()>, Unwritten> {
    if store.objects(T::KIND, "", ADMINS_MAX)?.len() >= ADMINS_MAX {
        return Err(Unwritten::TooMany);
    }
    write(store, act, id, Some(is), Expected::Absent)
}

/// Writes one over what was read.
///
/// # Errors
///
/// `Unwritten`.
pub fn changed<T: Document>(
    store: &mut dyn Store,
    act: &Act,
    kept: &Kept<T>,
) -> Result<Kept<()>, Unwritten> {
    write(store, act, &kept.id, Some(&kept.is), Expected::At(kept.revision))
}

/// Removes one.
///
/// # Errors
///
/// `Unwritten`.
pub fn removed<T: Document>(store: &mut dyn Store, act: &Act, id: &str) -> Result<(), Unwritten> {
    let found = store.object(T::KIND, id)?.ok_or(Unwritten::Absent)?;
    write::<T>(store, act, id, None, Expected::At(found.revision)).map(drop)
}

fn write<T: Document>(
    store: &mut dyn Store,
    act: &Act,
    id: &str,
    is: Option<&T>,
    expected: Expected,
) -> Result<Kept<()>, Unwritten> {
    let document = is.map(|is| serde_json::to_value(is).expect("it has string keys only"));
    let (kind, number, references) = (T::KIND, None, Vec::new());
    let write = Write { kind, id: id.to_owned(), expected, document, number, references };
    match store.commit(act, &[write]) {
        Ok(revision) => Ok(Kept { id: id.to_owned(), revision, is: () }),
        Err(Uncommitted::Store(error)) => Err(Unwritten::Store(error)),
        Err(_) if expected == Expected::Absent => Err(Unwritten::Present),
        Err(_) => Err(Unwritten::Changed),
    }
}

/// Whether an owner who may sign in is left without this one.
///
/// # Errors
///
/// See `one`.
pub fn is_owner_left(store: &dyn Store, without: &str) -> Result<bool, StoreError> {
    let all = all::<Admin>(store)?;
    let owns = |admin: &Kept<Admin>| admin.is.enabled && admin.is.role == Role::Owner;
    Ok(all.iter().any(|admin| admin.id != without && owns(admin)))
}
