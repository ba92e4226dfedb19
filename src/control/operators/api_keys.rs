//! Keys of the API, for programs: `/api/v1/api-keys`, and what a request shows of one.
//!
//! A key is `sc_{id}_{secret}`, and told once. Its secret has 256 bits, so SHA-256 of it is what is
//! kept: nobody can try them, and a slow hash would cost each request 20 ms.

use std::net::IpAddr;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;
use utoipa::ToSchema;

use super::event;
use super::gate::address;
use super::people::{self, ApiKey, ApiKeyTold, Unwritten};
use super::scope::Scope;
use super::{admins, factor};
use crate::config::{API_KEY_LIST_MAX, DOCUMENT_TEXT_MAX, OBJECT_ID_MAX};
use crate::control::actor::{Actor, Peer};
use crate::control::admin::Shared;
use crate::control::audit::Act;
use crate::control::documents::{self, network};
use crate::control::json::{answer, nothing, wanted};
use crate::control::problem::problem;
use crate::control::registry::{Busy, Kind};
use crate::control::tokens::{busy, failed, now, nowhere};
use crate::units::UnixTime;

/// Characters of a secret: of 62 kinds, 43 have 256 bits.
const SECRET_CHARACTERS: usize = 43;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A new secret.
///
/// # Errors
///
/// None can be drawn.
fn drawn() -> Result<String, String> {
    let mut secret = String::with_capacity(SECRET_CHARACTERS);
    while secret.len() < SECRET_CHARACTERS {
        let mut bytes = [0_u8; 64];
        getrandom::fill(&mut bytes).map_err(|error| format!("no secret can be drawn: {error}"))?;
        // Of 256 values 248 are four times the alphabet; the others would favour its beginning.
        let fair = bytes.iter().filter(|byte| **byte < 248);
        let characters = fair.map(|byte| char::from(ALPHABET[usize::from(byte % 62)]));
        secret.extend(characters.take(SECRET_CHARACTERS - secret.len()));
    }
    Ok(secret)
}

/// Id and secret of `Authorization: Bearer sc_{id}_{secret}`.
pub fn parsed(value: &HeaderValue) -> Option<(&str, &str)> {
    let value = value.to_str().ok()?;
    let (scheme, key) = value.split_once(' ')?;
    let key = key.trim_start().strip_prefix("sc_")?;
    let (id, secret) = key.rsplit_once('_')?;
    let is_id = !id.is_empty() && id.len() <= OBJECT_ID_MAX;
    let is_secret =
        secret.len() == SECRET_CHARACTERS && secret.bytes().all(|one| one.is_ascii_alphanumeric());
    (scheme.eq_ignore_ascii_case("bearer") && is_id && is_secret).then_some((id, secret))
}

/// Whether a key is good: its secret, its time, where it comes from.
///
/// # Errors
///
/// What it is not; for the log, and not for whoever sent it.
pub fn is_good(
    key: &ApiKey,
    secret: &str,
    address: IpAddr,
    now: UnixTime,
) -> Result<(), &'static str> {
    let hash = factor::hex(secret.as_bytes());
    if !bool::from(hash.as_bytes().ct_eq(key.hash.as_bytes())) {
        return Err("wrong secret");
    }
    if key.expires.is_some_and(|expires| expires <= now.0) {
        return Err("expired");
    }
    let address = address.to_canonical();
    let mut networks = key.networks.iter().filter_map(|text| network(text));
    if !key.networks.is_empty() && !networks.any(|network| network.contains(&address)) {
        return Err("from elsewhere");
    }
    Ok(())
}

/// All keys of the API.
#[derive(Serialize, ToSchema)]
struct ApiKeyList {
    /// In the order of their ids.
    #[serde(rename = "api-keys")]
    api_keys: Vec<ApiKeyTold>,
    /// Always null: there are few.
    next: Option<String>,
}

/// `GET /api/v1/api-keys`: all keys of the API, without their secrets.
#[utoipa::path(
    get, path = "/api/v1/api-keys", tag = "operators",
    responses((status = 200, body = ApiKeyList))
)]
pub async fn all(State(shared): State<Shared>) -> Response<Body> {
    let Some(office) = shared.office.clone() else { return nowhere() };
    match office.registry.ask(|store| people::all::<ApiKey>(store)).await {
        Ok(Ok(all)) => {
            let told = all.iter().map(|key| key.is.told(&key.id, key.revision));
            answer(StatusCode::OK, &ApiKeyList { api_keys: told.collect(), next: None })
        }
        Ok(Err(error)) => failed(&error),
        Err(Busy) => busy(),
    }
}

/// A key that is wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewApiKey)]
#[serde(deny_unknown_fields)]
struct New {
    /// Its name, which is part of the key.
    id: String,
    /// For people.
    #[serde(default)]
    name: String,
    /// What it may.
    #[schema(min_items = 1, max_items = 32)]
    scopes: Vec<Scope>,
    /// From this second on it is good for nothing; none = it stays good.
    #[serde(default)]
    expires: Option<u64>,
    /// Where it may be used from; none = anywhere.
    #[serde(default)]
    #[schema(max_items = 32)]
    networks: Vec<String>,
}

/// What is wrong with a key that somebody wants.
fn fault(new: &New, now: UnixTime) -> Option<String> {
    if let Err(why) = documents::id(Kind::ApiKey, &new.id) {
        return Some(format!("id: {why}"));
    }
    if new.name.len() > DOCUMENT_TEXT_MAX || new.name.chars().any(char::is_control) {
        return Some(format!("name: it is to be a line of up to {DOCUMENT_TEXT_MAX} bytes"));
    }
    let scopes = Scope::ALL.map(Scope::word).join(", ");
    if new.scopes.is_empty() || new.scopes.len() > API_KEY_LIST_MAX {
        return Some(format!("scopes: a key has 1 to {API_KEY_LIST_MAX}, of {scopes}"));
    }
    if new.expires.is_some_and(|expires| expires <= now.0) {
        return Some("expires: that is over".to_owned());
    }
    if new.networks.len() > API_KEY_LIST_MAX {
        return Some(format!("networks: a key has {API_KEY_LIST_MAX} at most"));
    }
    let wrong = new.networks.iter().find(|text| network(text).is_none())?;
    Some(format!("networks: {wrong:?} is none (write \"192.0.2.0/24\" or \"2001:db8::1\")"))
}

/// `POST /api/v1/api-keys`: a new key: 201 with it and its secret, which is told this once.
#[utoipa::path(
    post, path = "/api/v1/api-keys", tag = "operators",
    request_body = New,
    responses(
        (status = 201, body = ApiKeyTold),
        (status = 409, description = "It is there, or there are as many as there may be."),
    )
)]
pub async fn create(
    State(shared): State<Shared>,
    Extension(actor): Extension<Actor>,
    act: Act,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let Some(office) = shared.office.clone() else { return nowhere() };
    let new: New = match wanted(&headers, &body) {
        Ok(new) => new,
        Err(problem) => return problem,
    };
    if let Some(why) = fault(&new, now()) {
        return problem(StatusCode::BAD_REQUEST, &why);
    }
    let secret = match drawn() {
        Ok(secret) => secret,
        Err(why) => return problem(StatusCode::INTERNAL_SERVER_ERROR, &why),
    };
    let New { id, name, scopes, expires, networks } = new;
    let (created, made_by) = (now().0, actor.to_string());
    let hash = factor::hex(secret.as_bytes());
    let key = ApiKey { name, scopes, expires, networks, created, made_by, hash };
    let made = office.registry.ask(move |store| {
        let made = people::made(store, &act, &id, &key)?;
        Ok((key.told(&id, made.revision), id))
    });
    match made.await {
        Ok(Ok((mut told, id))) => {
            event("key-made", &id, address(peer.as_deref()), &actor.to_string());
            told.key = Some(format!("sc_{id}_{secret}"));
            answer(StatusCode::CREATED, &told)
        }
        Ok(Err(why)) => *admins::unwritten("api-key", why),
        Err(Busy) => busy(),
    }
}

/// `DELETE /api/v1/api-keys/{id}`: a key is removed: 204; it is good for nothing from now on.
#[utoipa::path(
    delete, path = "/api/v1/api-keys/{id}", tag = "operators",
    params(("id" = String, Path, description = "The key's.")),
    responses(
        (status = 204, description = "It is gone."),
        (status = 404, description = "There is no such key."),
        (status = 409, description = "Somebody else changed it meanwhile."),
    )
)]
pub async fn remove(
    State(shared): State<Shared>,
    Extension(actor): Extension<Actor>,
    act: Act,
    Path(id): Path<String>,
    peer: Option<Extension<Peer>>,
) -> Response<Body> {
    let Some(office) = shared.office.clone() else { return nowhere() };
    let wanted = id.clone();
    let removed = office.registry.ask(move |store| people::removed::<ApiKey>(store, &act, &wanted));
    match removed.await {
        Ok(Ok(())) => {
            event("key-removed", &id, address(peer.as_deref()), &actor.to_string());
            nothing()
        }
        Ok(Err(Unwritten::Store(error))) => failed(&error),
        Ok(Err(why)) => *admins::unwritten("api-key", why),
        Err(Busy) => busy(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_secret_has_256_bits_and_is_alphanumeric() {
        let bits = (62_f64).log2() * SECRET_CHARACTERS as f64;
        assert!(bits >= 256.0, "{bits}");
        let (one, other) = (drawn().unwrap(), drawn().unwrap());
        assert_eq!(one.len(), SECRET_CHARACTERS);
        assert!(one != other && one.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    }

    #[test]
    fn a_key_is_read_as_it_was_told_or_not_at_all() {
        let secret = "a".repeat(SECRET_CHARACTERS);
        for (text, id) in [
            (format!("Bearer sc_billing_{secret}"), Some("billing")),
            (format!("bearer  sc_a_b.c_{secret}"), Some("a_b.c")),
            (format!("Basic sc_billing_{secret}"), None),
            (format!("Bearer billing_{secret}"), None),
            (format!("Bearer sc__{secret}"), None),
            (format!("Bearer sc_{secret}"), None),
            (format!("Bearer sc_billing_{secret}a"), None),
            (format!("Bearer sc_billing_{}", &secret[1..]), None),
            (format!("Bearer sc_billing_{}-", &secret[1..]), None),
            (format!("Bearer sc_{}_{secret}", "x".repeat(OBJECT_ID_MAX + 1)), None),
            ("Bearer ".to_owned(), None),
            (String::new(), None),
        ] {
            let value = HeaderValue::from_str(&text).unwrap();
            assert_eq!(parsed(&value).map(|(id, _)| id), id, "{text}");
        }
    }

    #[test]
    fn a_key_is_good_in_its_time_and_place() {
        let secret = drawn().unwrap();
        let hash = factor::hex(secret.as_bytes());
        let key = ApiKey {
            name: String::new(),
            scopes: vec![Scope::Read],
            expires: Some(100),
            networks: vec!["192.0.2.0/24".to_owned(), "2001:db8::1".to_owned()],
            created: 1,
            made_by: "local".to_owned(),
            hash,
        };
        let check = |secret: &str, address: &str, now| {
            is_good(&key, secret, address.parse().unwrap(), UnixTime(now))
        };
        assert_eq!(check(&secret, "192.0.2.7", 99), Ok(()));
        assert_eq!(check(&secret, "::ffff:192.0.2.7", 99), Ok(()));
        assert_eq!(check(&secret, "2001:db8::1", 99), Ok(()));
        assert_eq!(check(&secret, "192.0.2.7", 100), Err("expired"));
        assert_eq!(check(&secret, "192.0.3.7", 99), Err("from elsewhere"));
        assert_eq!(check(&secret[1..], "192.0.2.7", 99), Err("wrong secret"));
        let told = key.told("a", crate::control::registry::Revision(1));
        assert!(!serde_json::to_string(&told).unwrap().contains(&key.hash));
    }

    #[test]
    fn what_makes_no_sense_of_a_key_is_said() {
        let check = |json: Value, why: &str| {
            let new: New = serde_json::from_value(json).unwrap();
            let said = fault(&new, UnixTime(100)).unwrap_or_default();
            assert!(said.contains(why) && said.is_empty() == why.is_empty(), "{said}");
        };
        check(json!({ "id": "a", "scopes": ["read"], "expires": 101 }), "");
        check(json!({ "id": "a b", "scopes": ["read"] }), "id: ");
        check(json!({ "id": "a", "scopes": [] }), "scopes: a key has 1 to 32, of channels:read");
        check(json!({ "id": "a", "scopes": ["read"], "expires": 100 }), "expires: ");
        check(json!({ "id": "a", "scopes": ["read"], "networks": ["x"] }), "networks: \"x\"");
        check(json!({ "id": "a", "scopes": ["read"], "name": "a\nb" }), "name: ");
    }
}
