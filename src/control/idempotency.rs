//! `Idempotency-Key`: a request that makes something, and may be sent again until it is answered.
//!
//! As the draft of the IETF's HTTP APIs group has it (draft-ietf-httpapi-idempotency-key-header).
//! What a request made is remembered in the transaction that made it, for a day: whoever sends the
//! same again gets the same answer, also after a crash. The same key with another request is 422;
//! with one that is still worked on, 409. What was refused made nothing, and is not remembered.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Body;
use axum::http::{HeaderMap, Response, StatusCode};

use super::audit::Act;
use super::problem::problem;
use crate::config::IDEMPOTENCY_KEY_SIZE_MAX;

/// The header, as the API's document tells of it.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "read by hand, since it has two forms")]
pub struct Header {
    /// A word that is new for each request; who sends the same again is answered the same, within a
    /// day, and nothing is made twice.
    #[param(
        rename = "Idempotency-Key",
        min_length = 1,
        max_length = 255,
        pattern = r#"^[!#-+\--:<-\[\]-~]+$"#
    )]
    key: Option<String>,
}

/// What makes a request one that is answered once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Once {
    /// The client's word for it.
    pub key: String,
    /// Where it went.
    pub path: String,
    /// What it said, to the byte.
    pub body: Vec<u8>,
}

/// What is remembered of a key.
#[derive(Clone, Debug, PartialEq)]
pub enum Remembered {
    /// Nothing: the request is to be done.
    Nothing,
    /// What the same request made.
    Made(serde_json::Value),
    /// Another request had this key.
    Other,
    /// There is no room to remember one more.
    Full,
}

/// Keys of requests that are worked on.
#[derive(Debug, Default)]
pub struct Running {
    keys: Mutex<HashSet<(String, String)>>,
}

/// One of them. It is free again when this is dropped.
#[derive(Debug)]
pub struct Turn {
    running: Arc<Running>,
    key: (String, String),
}

impl Running {
    fn keys(&self) -> MutexGuard<'_, HashSet<(String, String)>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a key for this actor; none = it is taken.
    fn turn(self: &Arc<Self>, actor: String, key: String) -> Option<Turn> {
        let key = (actor, key);
        let is_free = self.keys().insert(key.clone());
        is_free.then(|| Turn { running: Arc::clone(self), key })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.running.keys().remove(&self.key);
    }
}

/// The act of a request that makes something: with its key, if it has one, which is taken as long
/// as the turn is kept.
///
/// # Errors
///
/// The problem: 400 if the key is none, 409 if the same is worked on.
#[expect(clippy::result_large_err, reason = "the answer, as it is sent")]
pub fn begun(
    running: &Arc<Running>,
    mut act: Act,
    headers: &HeaderMap,
    path: &str,
    body: &[u8],
) -> Result<(Act, Option<Turn>), Response<Body>> {
    let Some(key) = key(headers).map_err(|why| problem(StatusCode::BAD_REQUEST, why))? else {
        return Ok((act, None));
    };
    let Some(turn) = running.turn(act.actor.to_string(), key.clone()) else {
        let why = "Idempotency-Key: the request with this key is still worked on; ask again";
        return Err(problem(StatusCode::CONFLICT, why));
    };
    act.once = Some(Once { key, path: path.to_owned(), body: body.to_vec() });
    Ok((act, Some(turn)))
}

/// 422, or 503: why a request with a key is not done.
pub fn refused(remembered: &Remembered) -> Response<Body> {
    match remembered {
        Remembered::Full => problem(
            StatusCode::SERVICE_UNAVAILABLE,
            "Idempotency-Key: too many were used within a day; ask without, or later",
        ),
        _ => problem(
            StatusCode::UNPROCESSABLE_ENTITY,
            "Idempotency-Key: another request had this key; take a new one for each",
        ),
    }
}

/// The key of a request. It is a string in quotes (RFC 8941, 3.3.3); without them it is taken as it
/// is, as most clients send it.
fn key(headers: &HeaderMap) -> Result<Option<String>, &'static str> {
    const WRONG: &str = "Idempotency-Key: this is none (write \"8e03978e-40d5-43dd-bc93-6894a57f9324\", \
                         up to 255 characters)";
    let mut lines = headers.get_all("idempotency-key").iter();
    let Some(line) = lines.next() else { return Ok(None) };
    if lines.next().is_some() {
        return Err("Idempotency-Key: there are two");
    }
    let text = line.to_str().map_err(|_| WRONG)?.trim();
    let key = match text.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"').ok_or(WRONG)?,
        None => text,
    };
    let is_plain = |one: char| one.is_ascii_graphic() && !['"', '\\', ',', ';'].contains(&one);
    let is_key = (1..=IDEMPOTENCY_KEY_SIZE_MAX).contains(&key.len()) && key.chars().all(is_plain);
    if is_key { Ok(Some(key.to_owned())) } else { Err(WRONG) }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;
    use crate::units::UnixTime;

    fn headers(lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("idempotency-key", HeaderValue::from_str(line).unwrap());
        }
        headers
    }

    #[test]
    fn a_key_is_a_string_with_or_without_quotes() {
        for (line, expected) in [
            ("\"8e03978e-40d5\"", Some("8e03978e-40d5")),
            ("8e03978e-40d5", Some("8e03978e-40d5")),
            (" \"a:b/c=\" ", Some("a:b/c=")),
            ("", None),
            ("\"\"", None),
            ("\"", None),
            ("\"a", None),
            ("a\"", None),
            ("\"a b\"", None),
            ("\"a\\\"b\"", None),
            ("\"a\";v=1", None),
            ("\"a\", \"b\"", None),
            ("é", None),
            (&"x".repeat(255), Some(&"x".repeat(255))),
            (&"x".repeat(256), None),
        ] {
            let read = key(&headers(&[line]));
            assert_eq!(read.ok().flatten().as_deref(), expected, "{line}");
        }
        assert_eq!(key(&HeaderMap::new()), Ok(None));
        assert_eq!(key(&headers(&["a", "a"])), Err("Idempotency-Key: there are two"));
    }

    #[test]
    fn what_is_still_worked_on_is_not_begun_again() {
        let running = Arc::new(Running::default());
        let act = Act::server(UnixTime(1));
        let begin = |act: &Act, key: &str| {
            begun(&running, act.clone(), &headers(&[key]), "plans", b"{}")
                .map_err(|problem| problem.status().as_u16())
        };
        let (first, turn) = begin(&act, "a").unwrap();
        let once = Once { key: "a".to_owned(), path: "plans".to_owned(), body: b"{}".to_vec() };
        assert_eq!(first.once, Some(once));
        assert_eq!(begin(&act, "a").map(drop), Err(409));
        assert_eq!(begin(&act, "b").map(drop), Ok(()));
        let other = Act::of(crate::control::actor::Actor::Local(Some(1)), UnixTime(1));
        assert_eq!(begin(&other, "a").map(drop), Ok(()), "everybody has keys of their own");
        drop(turn);
        assert_eq!(begin(&act, "a").map(drop), Ok(()));
        assert_eq!(begin(&act, "\"").map(drop), Err(400));
    }
}
