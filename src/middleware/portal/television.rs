//! Televisions sign in by a code that somebody confirms on a phone: `/api/v1/tv-codes`.

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Response, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::json;

use super::codes::{self, Fetched, Refused};
use super::door::{self, Caller, Visitor};
use super::{Portal, signing_in};
use crate::config::portal::TV_CODE_SECONDS;
use crate::control::inside::event;
use crate::control::json::{answer, nothing, wanted};
use crate::control::problem::{problem, problem_with};

/// `POST /api/v1/tv-codes`: a code to show, and a secret to fetch the sign-in with: 201.
pub async fn show(State(portal): State<Portal>, visitor: Visitor) -> Response<Body> {
    let (mut drawn, mut secret) = ([0_u8; 64], [0_u8; 32]);
    if getrandom::fill(&mut drawn).and_then(|()| getrandom::fill(&mut secret)).is_err() {
        return problem(StatusCode::INTERNAL_SERVER_ERROR, "no code can be drawn");
    }
    let Some(code) = codes::spelled(&drawn) else { return signing_in::later(1_000) };
    let secret = URL_SAFE_NO_PAD.encode(secret);
    let of = (visitor.address, visitor.agent.as_str());
    let shown = portal.codes().show(&code, door::hash_of(&secret), of, portal.ticks());
    match shown {
        Ok(()) => {
            let (one, other) = code.split_at(code.len() / 2);
            let code = format!("{one}-{other}");
            let told = json!({ "code": code, "secret": secret, "seconds": TV_CODE_SECONDS });
            answer(StatusCode::CREATED, &told)
        }
        Err(why) => refused(why),
    }
}

/// What a television fetches its sign-in with.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Secret {
    secret: String,
}

/// `POST /api/v1/tv-codes/fetch`: 202 while nobody has confirmed the code, 204 with a cookie when
/// somebody has, 410 when it is over.
pub async fn fetch(
    State(portal): State<Portal>,
    visitor: Visitor,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let Secret { secret } = match wanted(&headers, &body) {
        Ok(secret) => secret,
        Err(problem) => return problem,
    };
    let fetched = portal.codes().fetch(&door::hash_of(&secret), portal.ticks());
    match fetched {
        Fetched::Pending => answer(StatusCode::ACCEPTED, &json!({ "pending": true })),
        Fetched::Confirmed(credential) => {
            event("login", &credential.user, visitor.address, "portal, by a code");
            signing_in::begun(&portal, &visitor, credential, 0).await
        }
        Fetched::Over => problem(StatusCode::GONE, "the code is over; ask for another one"),
    }
}

/// A code as somebody typed it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Typed {
    code: String,
}

/// A code that a body has; one that can't be any is that of no device.
#[expect(clippy::result_large_err, reason = "the answer, as it is sent")]
fn typed(headers: &HeaderMap, body: &Bytes) -> Result<String, Response<Body>> {
    let Typed { code } = wanted(headers, body)?;
    Ok(codes::typed(&code).unwrap_or_default())
}

/// `POST /api/v1/tv-codes/look`: which device shows a code, for whoever is to confirm it.
pub async fn look(
    State(portal): State<Portal>,
    caller: Caller,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let code = match typed(&headers, &body) {
        Ok(code) => code,
        Err(problem) => return problem,
    };
    let shown = portal.codes().shown(&code, caller.session.number, portal.ticks());
    match shown {
        Ok(shown) => {
            let is_near = shown.address == caller.visitor.address;
            let told = json!({ "agent": shown.agent, "address": shown.address, "near": is_near });
            answer(StatusCode::OK, &told)
        }
        Err(why) => refused(why),
    }
}

/// `POST /api/v1/tv-codes/confirm`: the device that shows a code is signed in as whoever asks: 204.
pub async fn confirm(
    State(portal): State<Portal>,
    caller: Caller,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let code = match typed(&headers, &body) {
        Ok(code) => code,
        Err(problem) => return problem,
    };
    let confirmed = portal.codes().confirm(&code, caller.credential(), portal.ticks());
    match confirmed {
        Ok(()) => {
            event("tv-confirmed", &caller.session.user, caller.visitor.address, "portal");
            nothing()
        }
        Err(why) => refused(why),
    }
}

fn refused(why: Refused) -> Response<Body> {
    match why {
        Refused::Unknown => {
            let why = "no device shows this code: it is wrong, used, or too old";
            problem_with(StatusCode::NOT_FOUND, why, &json!({ "reason": "tv-code" }))
        }
        Refused::Wait(ms) => signing_in::later(ms),
    }
}
