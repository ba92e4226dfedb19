//! Revocations: tokens that are good for nothing any more although nothing else has changed.
//! `POST /api/v1/tokens/revoke`, `DELETE /api/v1/tokens/{session}`, `/api/v1/revocations`.
//!
//! What is revoked is the session of a token: every token with it is refused, and what was
//! exchanged for a token of somebody else is not exchanged again. A revocation is an object of the
//! registry, so it is on the disk when it is answered, and shards hear of it as of everything that
//! changes what viewers may have (`entitled`). It goes when the last of its tokens has expired.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::admin::Shared;
use super::audit::Act;
use super::json::{answer, nothing, wanted};
use super::problem::problem;
use super::registry::{Busy, Expected, Kind, Registry, Store, StoreError, Uncommitted, Write};
use super::sessions::Desk;
use super::tokens::{busy, failed, now, nowhere};
use crate::config::{
    DOCUMENT_TEXT_MAX, REVOCATIONS_AT_ONCE, REVOCATIONS_MAX, REVOCATIONS_TICK_MS,
    REVOKED_EXCHANGED_SECONDS, REVOKED_KEPT_SECONDS, REVOKED_SECONDS_MAX, TOKEN_BYTES_MAX,
    TOKEN_SECONDS_MAX,
};
use crate::units::UnixTime;
use crate::viewer::foreign::session_of;
use crate::viewer::token::{self, EXCHANGED};
use crate::viewer::{Keys, Rights};

/// The session that a text names: 16 hexadecimal digits in lower case.
#[must_use]
pub fn session(text: &str) -> Option<u64> {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let is_one = text.len() == 16 && text.bytes().all(is_digit);
    u64::from_str_radix(text, 16).ok().filter(|_| is_one)
}

/// What it is called.
#[must_use]
pub fn text(session: u64) -> String {
    format!("{session:016x}")
}

/// Why there can't be one more.
#[must_use]
pub fn full() -> String {
    format!(
        "{REVOCATIONS_MAX} sessions are revoked, and no more can be; a key that is rotated twice \
         makes every token void"
    )
}

/// What is to be revoked: one of `token`, `session`, or `section` with `claim`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = RevocationWish)]
#[serde(deny_unknown_fields, default)]
struct Wanted {
    /// A token of ours, as it stands in an address.
    token: Option<String>,
    /// The session of one.
    session: Option<String>,
    /// The section of `[[token]]` whose tokens name a session,
    section: Option<String>,
    /// and what they say there.
    claim: Option<String>,
    /// How long at least, although the token ends before.
    seconds: Option<u64>,
    /// For people.
    reason: String,
}

/// What is revoked, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Named {
    session: u64,
    until: u64,
}

/// Why nothing is.
#[derive(Debug, PartialEq, Eq)]
enum Unnamed {
    /// What was sent makes no sense.
    Wrong(String),
    /// It is no token of this server.
    Unknown,
    /// It was good once.
    Expired(UnixTime),
}

/// What somebody wants to have revoked.
fn named(
    wanted: &Wanted,
    has_section: impl Fn(&str) -> bool,
    keys: &Keys,
    now: UnixTime,
) -> Result<Named, Unnamed> {
    let wrong = |why: &str| Unnamed::Wrong(why.to_owned());
    if wanted.reason.len() > DOCUMENT_TEXT_MAX {
        return Err(Unnamed::Wrong(format!("reason: it has more than {DOCUMENT_TEXT_MAX} bytes")));
    }
    let seconds = wanted.seconds.unwrap_or(0);
    if seconds > REVOKED_SECONDS_MAX {
        return Err(Unnamed::Wrong(format!("seconds: at most {REVOKED_SECONDS_MAX}")));
    }
    let (session, ends) = match (&wanted.token, &wanted.session, &wanted.section, &wanted.claim) {
        (Some(text), None, None, None) => {
            let mut scratch = [0; TOKEN_BYTES_MAX];
            let token = token::verified(text, keys, &mut scratch).map_err(|_| Unnamed::Unknown)?;
            let claims = token.claims;
            let is_ours = claims.session & EXCHANGED == 0;
            if is_ours && claims.expires <= now {
                return Err(Unnamed::Expired(claims.expires));
            }
            (claims.session, is_ours.then_some(claims.expires.0))
        }
        (None, Some(text), None, None) => {
            let why = "session: this is none (16 of 0-9 and a-f)";
            (session(text).ok_or_else(|| wrong(why))?, None)
        }
        (None, None, Some(section), Some(claim)) if has_section(section) => {
            (session_of(section, claim), None)
        }
        (None, None, Some(_), Some(_)) => return Err(wrong("section: no [[token]] has this name")),
        _ => return Err(wrong("write one of token, session, or section with claim")),
    };
    let least = match session & EXCHANGED {
        0 => u64::from(TOKEN_SECONDS_MAX),
        _ => REVOKED_EXCHANGED_SECONDS,
    };
    let ends = ends.unwrap_or(now.0 + least);
    Ok(Named { session, until: ends.max(now.0 + seconds) })
}

/// What is revoked.
#[derive(Serialize, ToSchema)]
#[schema(as = Revoked)]
struct Told {
    /// The session of the token.
    session: String,
    /// Until when, in seconds since 1970.
    until: u64,
}

/// `POST /api/v1/tokens/revoke`: 200 with the session and until when it is revoked; 404 if it is no
/// token of ours, 409 if it has expired, or there are as many as there may be.
#[utoipa::path(
    post, path = "/api/v1/tokens/revoke", tag = "tokens",
    request_body = Wanted,
    responses(
        (status = 200, body = Told),
        (status = 404, description = "It is no token of this server."),
        (status = 409, description = "It has expired, or there are as many as there may be."),
    )
)]
pub async fn revoke(
    State(shared): State<Shared>,
    act: Act,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let Some(signer) = &shared.signer else { return nowhere() };
    let wanted: Wanted = match wanted(&headers, &body) {
        Ok(wanted) => wanted,
        Err(problem) => return problem,
    };
    let has_section = |name: &str| shared.exchange.has_section(name);
    match named(&wanted, has_section, &signer.current(), now()) {
        Ok(named) => done(&shared, act, named, wanted.reason).await,
        Err(Unnamed::Wrong(why)) => problem(StatusCode::BAD_REQUEST, &why),
        Err(Unnamed::Unknown) => {
            problem(StatusCode::NOT_FOUND, "token: it is none of this server's, or void already")
        }
        Err(Unnamed::Expired(at)) => {
            let why = format!("token: it has expired on {}", at.iso());
            problem(StatusCode::CONFLICT, &why)
        }
    }
}

/// `DELETE /api/v1/tokens/{session}`: 204; every token of this session is refused from now on.
#[utoipa::path(
    delete, path = "/api/v1/tokens/{session}", tag = "tokens",
    params(("session" = String, Path, description = "As tokens say it: 16 hexadecimal digits.")),
    responses(
        (status = 204, description = "They are revoked."),
        (status = 404, description = "No token could have this session."),
        (status = 409, description = "There are as many as there may be."),
    )
)]
pub async fn remove(
    State(shared): State<Shared>,
    act: Act,
    Path(id): Path<String>,
) -> Response<Body> {
    let wanted = Wanted { session: Some(id), ..Wanted::default() };
    match named(&wanted, |_| false, &Keys::default(), now()) {
        Ok(named) => {
            let answer = done(&shared, act, named, String::new()).await;
            if answer.status().is_success() { nothing() } else { answer }
        }
        Err(_) => problem(StatusCode::NOT_FOUND, "no token has this session"),
    }
}

async fn done(shared: &Shared, act: Act, named: Named, reason: String) -> Response<Body> {
    let Some(signer) = &shared.signer else { return nowhere() };
    if shared.sessions.rights().revoked().is_full_for(named.session) {
        return problem(StatusCode::CONFLICT, &full());
    }
    match signer.registry().ask(move |store| written(store, &act, named, &reason)).await {
        Ok(Ok(until)) => answer(StatusCode::OK, &Told { session: text(named.session), until }),
        Ok(Err(error)) => failed(&error),
        Err(Busy) => busy(),
    }
}

/// Writes that a session is revoked until then, or for longer if it was; gives until when it is.
fn written(
    store: &mut dyn Store,
    act: &Act,
    Named { session, until }: Named,
    reason: &str,
) -> Result<u64, StoreError> {
    let id = text(session);
    let found = store.object(Kind::Revocation, &id)?;
    let before = found.and_then(|found| found.document["until"].as_u64());
    if let Some(before) = before.filter(|before| *before >= until) {
        return Ok(before);
    }
    let document = Some(json!({ "until": until, "reason": reason }));
    let (expected, number, references) = (Expected::Anything, None, Vec::new());
    let write = Write { kind: Kind::Revocation, id, expected, document, number, references };
    match store.commit(act, &[write]) {
        Ok(_) => Ok(until),
        Err(Uncommitted::Store(error)) => Err(error),
        Err(other) => Err(StoreError(format!("the revocation was not taken: {other:?}"))),
    }
}

/// Whether the session of a token of somebody else, which is good until then, is revoked. If it is,
/// it stays so until that token has expired.
pub(super) async fn is_revoked(
    session: u64,
    expires: Option<UnixTime>,
    rights: &Rights,
    registry: &Registry,
) -> bool {
    let Some(known) = rights.revoked().until(session) else { return false };
    let now = now();
    let latest = now.0 + REVOKED_SECONDS_MAX;
    let until = expires.map_or(latest, |expires| expires.0.min(latest));
    // What never expires is not written each time.
    if until > known.0.saturating_add(u64::from(TOKEN_SECONDS_MAX)) {
        let named = Named { session, until };
        let act = Act::server(now);
        let longer = registry.ask(move |store| {
            let found = store.object(Kind::Revocation, &text(session))?;
            let reason = found.map(|found| found.document["reason"].clone());
            let reason = reason.as_ref().and_then(Value::as_str).unwrap_or_default();
            written(store, &act, named, reason)
        });
        if let Ok(Err(error)) = longer.await {
            tracing::error!(%error, "a revocation can't be made longer; it holds as it is");
        }
    }
    true
}

/// Takes out of the registry what has ended, for ever.
pub async fn prune_for_ever(registry: Registry, desk: Arc<Desk>) {
    loop {
        tokio::time::sleep(Duration::from_millis(REVOCATIONS_TICK_MS)).await;
        let now = now();
        let over = over(&desk.rights(), now);
        if over.is_empty() {
            continue;
        }
        if let Ok(Err(error)) = registry.ask(move |store| pruned(store, &over, now)).await {
            tracing::error!(%error, "revocations that have ended are still there");
        }
    }
}

/// Those that may go.
fn over(rights: &Rights, now: UnixTime) -> Vec<u64> {
    let then = UnixTime(now.0.saturating_sub(REVOKED_KEPT_SECONDS));
    rights.revoked().over_by(then, REVOCATIONS_AT_ONCE)
}

/// Takes those of them out that have ended; somebody may have made one longer meanwhile.
fn pruned(store: &mut dyn Store, over: &[u64], now: UnixTime) -> Result<(), StoreError> {
    let mut groups = Vec::new();
    for session in over {
        let id = text(*session);
        let Some(found) = store.object(Kind::Revocation, &id)? else { continue };
        let until = found.document["until"].as_u64().unwrap_or(u64::MAX);
        if until.saturating_add(REVOKED_KEPT_SECONDS) > now.0 {
            continue;
        }
        let (kind, expected) = (Kind::Revocation, Expected::At(found.revision));
        let (document, number, references) = (None, None, Vec::new());
        groups.push(vec![Write { kind, id, expected, document, number, references }]);
    }
    store.commit_each(&Act::server(now), &groups).map(drop)
}

#[cfg(test)]
mod tests;
