//! `POST /api/v1/import`: objects that come from elsewhere, many at a time.
//!
//! Each line is an object as the API tells it, with its `kind`, and of a subscriber `passwords` and
//! `portal_password`.
//! A line is written whole or not at all, whatever becomes of the others, and says what became of
//! it; so who is interrupted sends all of it again, and what was written is `unchanged`.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::admin::Shared;
use super::app_passwords::{Given, Keys, Passwords, weakness};
use super::audit::Act;
use super::channels::of_file;
use super::documents::{self, Checked};
use super::json::{answer, wanted};
use super::lineup::InFile;
use super::objects::unwritten_text;
use super::portal_password;
use super::problem::problem;
use super::registry::{Busy, Expected, Kind, Object, Store, StoreError, Write};
use super::sealed;
use super::tokens::{busy, failed, nowhere};
use crate::config::IMPORT_LINES_MAX;
use crate::units::UnixTime;

/// What is sent.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = Import)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// Objects, each with its `kind`, and of a subscriber `passwords`.
    #[schema(value_type = Vec<Object>, max_items = 500)]
    lines: Vec<Map<String, Value>>,
    /// What becomes of an object that is there and says something else.
    #[serde(default)]
    existing: Existing,
    /// Only say what would become of the lines.
    #[serde(default)]
    dry_run: bool,
}

/// What becomes of an object that is there and says something else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Existing {
    /// The line is refused.
    #[default]
    Refuse,
    /// It stays.
    Keep,
    /// It becomes what the line says; its app passwords stay where the line has none.
    Replace,
}

/// What became of a line.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ImportedLine)]
struct Told {
    /// What became of it.
    result: Became,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    /// What an operator should know of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Became {
    Added,
    Replaced,
    /// It was there, and said the same.
    Unchanged,
    /// It was there, said something else, and was to stay.
    Kept,
    Refused,
}

/// What became of all of them.
#[derive(Debug, Serialize, ToSchema)]
struct Imported {
    /// In the order of the lines.
    lines: Vec<Told>,
}

/// A line that makes sense.
struct Line {
    kind: Kind,
    id: String,
    number: Option<u32>,
    document: Map<String, Value>,
    passwords: Option<Vec<Given>>,
    /// The hash of its portal password, of a subscriber.
    portal: Option<String>,
    existing: Existing,
}

/// `POST /api/v1/import`: what became of each line, in their order. A line is written whole or not
/// at all, whatever becomes of the others.
#[utoipa::path(
    post, path = "/api/v1/import", tag = "registry",
    request_body = Wanted,
    responses((status = 200, body = Imported))
)]
pub async fn import(
    State(shared): State<Shared>,
    act: Act,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let (Some(signer), Some(keys)) = (&shared.signer, &shared.app_passwords) else {
        return nowhere();
    };
    let wanted: Wanted = match wanted(&headers, &body) {
        Ok(wanted) => wanted,
        Err(problem) => return problem,
    };
    if wanted.lines.len() > IMPORT_LINES_MAX {
        let why = format!("lines: at most {IMPORT_LINES_MAX} are taken at once");
        return problem(StatusCode::PAYLOAD_TOO_LARGE, &why);
    }
    let keys = Arc::clone(keys);
    let in_file = Arc::clone(&shared.in_file.borrow());
    let work = move |store: &mut dyn Store| imported(store, &act, (&keys, &in_file), wanted);
    match signer.registry().ask(work).await {
        Ok(Ok(told)) => answer(StatusCode::OK, &Imported { lines: told }),
        Ok(Err(error)) => failed(&error),
        Err(Busy) => busy(),
    }
}

/// Writes what can be.
fn imported(
    store: &mut dyn Store,
    act: &Act,
    (keys, in_file): (&Keys, &InFile),
    wanted: Wanted,
) -> Result<Vec<Told>, StoreError> {
    let mut told = Vec::with_capacity(wanted.lines.len());
    let (mut groups, mut of_groups) = (Vec::new(), Vec::new());
    for line in wanted.lines {
        let looked_at = match Line::read(line, wanted.existing) {
            Ok(line) => line.looked_at(store, keys, in_file, act.at)?,
            Err(why) => LookedAt::refused(why),
        };
        if !looked_at.writes.is_empty() {
            groups.push(looked_at.writes);
            of_groups.push(told.len());
        }
        told.push(looked_at.told);
    }
    if wanted.dry_run {
        return Ok(told);
    }
    for (index, outcome) in of_groups.into_iter().zip(store.commit_each(act, &groups)?) {
        if let Err(why) = outcome {
            told[index].result = Became::Refused;
            told[index].why = Some(unwritten_text(why)?);
        }
    }
    Ok(told)
}

/// What is to become of a line.
struct LookedAt {
    told: Told,
    writes: Vec<Write>,
}

impl LookedAt {
    fn refused(why: String) -> Self {
        let told = Told { result: Became::Refused, why: Some(why), warnings: Vec::new() };
        Self { told, writes: Vec::new() }
    }
}

impl Line {
    fn read(mut line: Map<String, Value>, existing: Existing) -> Result<Self, String> {
        let word = take::<String>(&mut line, "kind")?.ok_or("kind: it is missing")?;
        let kind = Kind::of(&word).filter(|kind| !kind.is_secret());
        let kind = kind.ok_or_else(|| format!("kind: nothing is called {word:?}"))?;
        let id = take::<String>(&mut line, "id")?.ok_or("id: it is missing")?;
        documents::id(kind, &id).map_err(|why| format!("id: {why}"))?;
        let number = take(&mut line, "number")?;
        let passwords = take::<Vec<Given>>(&mut line, "passwords")?;
        if passwords.is_some() && kind != Kind::Subscriber {
            return Err("passwords: only a subscriber has some".to_owned());
        }
        let portal = take::<String>(&mut line, "portal_password")?;
        if portal.is_some() && kind != Kind::Subscriber {
            return Err("portal_password: only a subscriber has one".to_owned());
        }
        let existing = take(&mut line, "existing")?.unwrap_or(existing);
        // It is of where the object was before.
        line.remove("revision");
        Ok(Self { kind, id, number, document: line, passwords, portal, existing })
    }

    /// What it makes of what is there.
    fn looked_at(
        self,
        store: &dyn Store,
        keys: &Keys,
        in_file: &InFile,
        now: UnixTime,
    ) -> Result<LookedAt, StoreError> {
        let found = store.object(self.kind, &self.id)?;
        let kept = match &self.passwords {
            Some(_) => store.object(Kind::AppPasswords, &self.id)?,
            None => None,
        };
        let mut passwords = Passwords::of(keys, &self.id, kept);
        let checked = self
            .settled(keys, found.as_ref())
            .and_then(|document| documents::checked(self.kind, Value::Object(document)));
        let Checked { document, references } = match checked {
            Ok(checked) => checked,
            Err(why) => return Ok(LookedAt::refused(why)),
        };
        let portal_kept = match &self.portal {
            Some(_) => store.object(Kind::PortalPassword, &self.id)?,
            None => None,
        };
        let is_portal_same = self.portal.as_deref().is_none_or(|portal| {
            portal_kept.as_ref().and_then(portal_password::hash_of) == Some(portal)
        });
        let given = self.passwords.as_deref();
        let is_same = found.as_ref().is_some_and(|found| {
            found.document == document
                && self.number.is_none_or(|number| found.number == Some(number))
                && given.is_none_or(|given| passwords.are(given))
                && is_portal_same
        });
        let warnings = given.map(|given| weak(&self.id, given)).unwrap_or_default();
        let told = |result| Told { result, why: None, warnings };
        let result = match (&found, self.existing) {
            (None, _) => Became::Added,
            (Some(_), _) if is_same => Became::Unchanged,
            (Some(_), Existing::Keep) => Became::Kept,
            (Some(_), Existing::Replace) => Became::Replaced,
            (Some(_), Existing::Refuse) => {
                return Ok(LookedAt::refused("it is there, and says something else".to_owned()));
            }
        };
        if matches!(result, Became::Unchanged | Became::Kept) {
            return Ok(LookedAt { told: told(result), writes: Vec::new() });
        }
        if let Some(place) = in_file.place(&self.id).filter(|_| self.kind == Kind::Channel) {
            return Ok(LookedAt::refused(of_file(&self.id, place)));
        }
        let mut writes = vec![self.write(found.as_ref(), document, references)];
        if let Some(given) = given {
            if let Err(why) = passwords.replace(given, now) {
                return Ok(LookedAt::refused(why));
            }
            if !passwords.are_nothing() {
                writes.push(passwords.write());
            }
        }
        if let Some(hash) = self.portal.as_deref().filter(|_| !is_portal_same) {
            match portal_password::write(&self.id, portal_kept.as_ref(), hash, now) {
                Ok(write) => writes.push(write),
                Err(why) => return Ok(LookedAt::refused(why)),
            }
        }
        Ok(LookedAt { told: told(result), writes })
    }

    /// The document, with what is secret in it sealed.
    fn settled(&self, keys: &Keys, found: Option<&Object>) -> Result<Map<String, Value>, String> {
        let document = self.document.clone();
        // What a config file says of a channel is taken for its number, and for how it is shown.
        if self.kind != Kind::Channel || document.contains_key("in_file") {
            return Ok(document);
        }
        sealed::kept(keys.secrets(), &self.id, document, found)
    }

    fn write(
        &self,
        found: Option<&Object>,
        document: Value,
        references: Vec<super::registry::Reference>,
    ) -> Write {
        let expected = found.map_or(Expected::Absent, |found| Expected::At(found.revision));
        let (kind, id, number) = (self.kind, self.id.clone(), self.number);
        Write { kind, id, expected, document: Some(document), number, references }
    }
}

/// Which of these passwords are weak.
fn weak(user: &str, given: &[Given]) -> Vec<String> {
    let weak = |given: &Given| {
        let why = weakness(user, &given.password)?;
        Some(format!("the app password {:?} is weak: {why}", given.name))
    };
    given.iter().filter_map(weak).collect()
}

/// A field of a line that is none of its document.
fn take<T: for<'de> Deserialize<'de>>(
    line: &mut Map<String, Value>,
    field: &str,
) -> Result<Option<T>, String> {
    let Some(value) = line.remove(field) else { return Ok(None) };
    serde_json::from_value(value).map_err(|error| format!("{field}: {error}"))
}

#[cfg(test)]
mod tests;
