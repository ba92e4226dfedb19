//! Portal passwords: what subscribers sign in to the portal with, one each.
//! `/api/v1/subscribers/{id}/portal-password`, and whether one is right.
//!
//! A person types it a few times a year, so it is kept as an administrator's is: an Argon2id hash,
//! made and compared by the threads of `operators::hashing`, and never shown. It is an object of
//! the registry beside the subscriber, and goes with the subscriber.

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::admin::Shared;
use super::audit::Act;
use super::beside::{self, Missed};
use super::json::{answer, nothing, wanted};
use super::operators::people::Factor;
use super::operators::{Office, admins, is_hash, wire_full};
use super::registry::{
    Busy, Expected, Kind, Object, Reference, Registry, Store, StoreError, Write,
};
use super::tokens::{failed, nowhere};
use crate::config::{OBJECT_ID_MAX, PASSWORD_SIZE_MAX};
use crate::units::UnixTime;

/// What the registry holds of a subscriber's.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    /// A PHC string.
    hash: String,
    /// When it was given, in seconds since 1970.
    changed: u64,
    /// The second factor, once it is set up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    factor: Option<Factor>,
}

/// Whether a document of the registry is one.
///
/// # Errors
///
/// What is wrong with it.
pub fn checked(document: &Value) -> Result<(), String> {
    let document = Document::deserialize(document).map_err(|error| error.to_string())?;
    hash(&document.hash)
}

/// Whether this is a hash that is taken: one that costs what ours do.
fn hash(text: &str) -> Result<(), String> {
    let why =
        "portal_password: it is no hash of this server's kind ($argon2id$v=19$m=19456,t=2,p=1$…)";
    if is_hash(text) { Ok(()) } else { Err(why.to_owned()) }
}

/// The hash in an object.
#[must_use]
pub fn hash_of(found: &Object) -> Option<&str> {
    found.document["hash"].as_str()
}

/// The second factor in an object.
#[must_use]
pub(super) fn factor_of(found: &Object) -> Option<Factor> {
    serde_json::from_value(found.document["factor"].clone()).ok()
}

/// What makes the registry say that this is the second factor beside a password; none = there is
/// no longer one.
#[must_use]
pub(super) fn with_factor(found: &Object, factor: Option<&Factor>) -> Write {
    let mut document = found.document.clone();
    document["factor"] = serde_json::json!(factor);
    let reference = Reference { kind: Kind::Subscriber, id: found.id.clone() };
    Write {
        kind: Kind::PortalPassword,
        id: found.id.clone(),
        expected: Expected::At(found.revision),
        document: Some(document),
        number: None,
        references: vec![reference],
    }
}

/// What makes the registry say that this is the hash of a subscriber's. A second factor stays.
///
/// # Errors
///
/// It is no hash.
pub fn write(
    subscriber: &str,
    found: Option<&Object>,
    hash: &str,
    now: UnixTime,
) -> Result<Write, String> {
    self::hash(hash)?;
    let factor = found.and_then(factor_of);
    let document = Document { hash: hash.to_owned(), changed: now.0, factor };
    let id = subscriber.to_owned();
    Ok(Write {
        kind: Kind::PortalPassword,
        id: id.clone(),
        expected: found.map_or(Expected::Absent, |found| Expected::At(found.revision)),
        document: Some(serde_json::to_value(document).expect("it has string keys only")),
        number: None,
        references: vec![Reference { kind: Kind::Subscriber, id }],
    })
}

/// What removes a subscriber's; nothing where there is none.
#[must_use]
pub fn removal(found: Option<Object>) -> Option<Write> {
    let found = found?;
    let (document, number, references) = (None, None, Vec::new());
    let (kind, expected) = (Kind::PortalPassword, Expected::At(found.revision));
    Some(Write { kind, id: found.id, expected, document, number, references })
}

/// Why it is not known whether a password is right.
#[derive(Debug, PartialEq, Eq)]
pub enum Unknown {
    /// Too many are asked about.
    Busy,
    /// The registry failed.
    Store(StoreError),
}

/// Whether a subscriber signs in to the portal with this. It takes as long for somebody who is not
/// there, or has none. How often one may try is the business of whoever asks.
///
/// # Errors
///
/// `Unknown`.
pub async fn is_right(
    office: &Office,
    registry: &Registry,
    user: &str,
    password: String,
) -> Result<bool, Unknown> {
    // What is too long is nobody's, and not hashed; it tells nothing of any user.
    if user.len() > OBJECT_ID_MAX || password.len() > PASSWORD_SIZE_MAX {
        return Ok(false);
    }
    let user = user.to_owned();
    let found = registry.ask(move |store| store.object(Kind::PortalPassword, &user));
    let found = match found.await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => return Err(Unknown::Store(error)),
        Err(Busy) => return Err(Unknown::Busy),
    };
    let kept = found.as_ref().and_then(hash_of).map(str::to_owned);
    office.is_right(password, kept).await.ok_or(Unknown::Busy)
}

/// Does something with a subscriber's, on the registry's thread.
async fn with<T: Send + 'static>(
    shared: &Shared,
    id: String,
    work: impl FnOnce(&mut dyn Store, &str, Option<Object>) -> Result<T, Missed> + Send + 'static,
) -> Result<T, Response<Body>> {
    let Some(signer) = &shared.signer else { return Err(nowhere()) };
    beside::with(signer.registry(), Kind::PortalPassword, id, work).await
}

/// Whether there is one.
#[derive(Serialize, ToSchema)]
#[schema(as = PortalPassword)]
struct Told {
    /// Whether there is.
    is_set: bool,
    /// When it was given, in seconds since 1970.
    changed: Option<u64>,
}

/// `GET /api/v1/subscribers/{id}/portal-password`: whether there is one, and since when. Nobody is
/// told what it is.
#[utoipa::path(
    get, path = "/api/v1/subscribers/{id}/portal-password", tag = "subscribers",
    params(("id" = String, Path, description = "The subscriber's.")),
    responses(
        (status = 200, body = Told),
        (status = 404, description = "There is no such subscriber."),
    )
)]
pub async fn one(State(shared): State<Shared>, Path(id): Path<String>) -> Response<Body> {
    let told = with(&shared, id, |_, _, found| {
        let changed = found.as_ref().and_then(|found| found.document["changed"].as_u64());
        Ok(Told { is_set: found.is_some(), changed })
    });
    told.await.map_or_else(|refused| refused, |told| answer(StatusCode::OK, &told))
}

/// What is to be one.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewPortalPassword)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// As it is typed.
    password: String,
}

/// `PUT /api/v1/subscribers/{id}/portal-password`: 204; 400 if it is soon guessed.
#[utoipa::path(
    put, path = "/api/v1/subscribers/{id}/portal-password", tag = "subscribers",
    params(("id" = String, Path, description = "The subscriber's.")),
    request_body = Wanted,
    responses(
        (status = 204, description = "It is the password from now on."),
        (status = 404, description = "There is no such subscriber."),
    )
)]
pub async fn set(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    act: Act,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let Some(office) = shared.office.clone() else { return nowhere() };
    let Wanted { password } = match wanted(&headers, &body) {
        Ok(wanted) => wanted,
        Err(problem) => return problem,
    };
    // Nothing is hashed for whoever is not there.
    if let Err(refused) = with(&shared, id.clone(), |_, _, _| Ok(())).await {
        return refused;
    }
    let hash = match admins::hashed(&office, &id, password).await {
        Ok(hash) => hash,
        Err(problem) => return *problem,
    };
    let written = with(&shared, id, move |store, id, found| {
        let write = write(id, found.as_ref(), &hash, act.at).map_err(Missed::Wrong)?;
        store.commit(&act, &[write])?;
        Ok(())
    });
    written.await.map_or_else(|refused| refused, |()| nothing())
}

/// `DELETE /api/v1/subscribers/{id}/portal-password`: 204; nobody signs in with it any more.
#[utoipa::path(
    delete, path = "/api/v1/subscribers/{id}/portal-password", tag = "subscribers",
    params(("id" = String, Path, description = "The subscriber's.")),
    responses(
        (status = 204, description = "It is gone."),
        (status = 404, description = "There is no such subscriber, or it has none."),
    )
)]
pub async fn remove(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    act: Act,
) -> Response<Body> {
    let removed = with(&shared, id, move |store, _, found| {
        let write = removal(found).ok_or(Missed::Absent("it has no portal password"))?;
        store.commit(&act, &[write])?;
        Ok(())
    });
    removed.await.map_or_else(|refused| refused, |()| nothing())
}

/// A user name with a password.
#[derive(Deserialize, ToSchema)]
#[schema(as = PortalLogin)]
#[serde(deny_unknown_fields)]
struct Pair {
    /// The subscriber's id.
    user: String,
    /// As it is typed.
    password: String,
}

/// Whether it is right.
#[derive(Serialize, ToSchema)]
#[schema(as = PortalMatched)]
struct Matched {
    /// Whether it is.
    matches: bool,
}

/// `POST /api/v1/portal-passwords/check`: whether a subscriber could sign in with this, for a help
/// desk.
#[utoipa::path(
    post, path = "/api/v1/portal-passwords/check", tag = "subscribers",
    request_body = Pair,
    responses((status = 200, body = Matched))
)]
pub async fn check(
    State(shared): State<Shared>,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let (Some(office), Some(signer)) = (&shared.office, &shared.signer) else { return nowhere() };
    let Pair { user, password } = match wanted(&headers, &body) {
        Ok(pair) => pair,
        Err(problem) => return problem,
    };
    match is_right(office, signer.registry(), &user, password).await {
        Ok(matches) => answer(StatusCode::OK, &Matched { matches }),
        Err(Unknown::Busy) => wire_full(),
        Err(Unknown::Store(error)) => failed(&error),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::control::registry::{Revision, Sqlite, Uncommitted};

    const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2hhcmRjYXN0IG5vYm9keQ\
                        $AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    #[test]
    fn only_a_hash_that_costs_what_ours_do_is_kept() {
        let document = |hash: &str| json!({ "hash": hash, "changed": 1 });
        assert_eq!(checked(&document(HASH)), Ok(()));
        for other in [
            "",
            "password",
            &HASH.replace("argon2id", "argon2i"),
            &HASH.replace("m=19456", "m=4194304"),
            &HASH.replace("t=2", "t=1"),
            &HASH[..40],
        ] {
            assert!(checked(&document(other)).is_err(), "{other}");
        }
        assert!(checked(&json!({ "hash": HASH })).is_err());
        assert!(checked(&json!({ "hash": HASH, "changed": 1, "password": "x" })).is_err());
    }

    #[test]
    fn it_is_of_its_subscriber_and_replaced_only_as_it_was_read() {
        let state = tempfile::tempdir().unwrap();
        let mut store = Sqlite::open(state.path()).unwrap();
        let (act, now) = (Act::server(UnixTime(1)), UnixTime(7));
        let first = write("Anna", None, HASH, now).unwrap();
        let dangling = store.commit(&act, std::slice::from_ref(&first));
        assert!(matches!(dangling, Err(Uncommitted::Dangling { .. })), "she is not there");
        let anna = Write {
            kind: Kind::Subscriber,
            id: "Anna".to_owned(),
            expected: Expected::Absent,
            document: Some(json!({})),
            number: None,
            references: Vec::new(),
        };
        store.commit(&act, &[anna]).unwrap();
        let revision = store.commit(&act, std::slice::from_ref(&first)).unwrap();
        let found = store.object(Kind::PortalPassword, "Anna").unwrap().unwrap();
        assert_eq!((hash_of(&found), found.revision), (Some(HASH), revision));
        assert!(revision > Revision(1));
        let again = store.commit(&act, &[first]);
        assert!(matches!(again, Err(Uncommitted::Conflict { .. })));
        store.commit(&act, &[write("Anna", Some(&found), HASH, now).unwrap()]).unwrap();
        let found = store.object(Kind::PortalPassword, "Anna").unwrap();
        store.commit(&act, &[removal(found).unwrap()]).unwrap();
        assert_eq!(removal(store.object(Kind::PortalPassword, "Anna").unwrap()), None);
    }
}
