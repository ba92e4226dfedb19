//! How one signs in to the portal, and out: `/api/v1/session`.

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Response, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Portal;
use super::door::{self, Caller, Problem, Visitor};
use super::store::{Session, Unkept};
use crate::control::inside::{Credential, Refused, event, unix_now};
use crate::control::json::{answer, nothing, wanted};
use crate::control::operators::{Wait, wait};
use crate::control::problem::{problem, problem_with};
use crate::control::sign_in::{NotSignedIn, Said};

/// What somebody signs in with.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Claim {
    /// The subscriber's id.
    user: String,
    /// An app password, or the portal password.
    password: String,
    /// Of the second factor beside the portal password.
    #[serde(default)]
    code: Option<String>,
}

/// Whoever is signed in, as the app is told.
#[derive(Serialize)]
struct Told<'c> {
    user: &'c str,
    /// What requests that change something bring in `X-CSRF-Token`.
    token: &'c str,
    /// Whether the portal password was given a short time ago.
    proved: bool,
    /// By which app password; none = by the portal password.
    app: Option<&'c str>,
    /// Until when is paid for, in seconds since 1970.
    expires: Option<u64>,
    language: Option<&'c str>,
    /// The server's clock, in seconds since 1970.
    now: u64,
}

/// Whoever this is, if may be tried at all.
async fn identified(
    portal: &Portal,
    visitor: &Visitor,
    claim: &Claim,
) -> Result<Credential, Problem> {
    let Visitor { inside, address, .. } = visitor;
    let turn = portal.backoff().attempt(*address, &claim.user, portal.ticks());
    turn.map_err(wait)?;
    if claim.code.is_some() {
        // Codes are few, so what is tried of them is counted for all addresses together.
        portal.backoff().code(&claim.user, portal.ticks()).map_err(wait)?;
    }
    let found = inside.identified(&claim.user, &claim.password, claim.code.as_deref()).await;
    // An app password is looked at as it is wherever one is typed: an address that is locked out
    // stays so, what is wrong counts, and an operator's back end has its say.
    let is_of_app = match &found {
        Ok(credential) => credential.app.is_some(),
        Err(why) => matches!(why, Refused::Wrong),
    };
    if is_of_app && let Err(problem) = said_as_app(visitor, claim).await {
        return Err(problem);
    }
    match &found {
        Ok(_) => {
            portal.backoff().succeeded(*address, &claim.user, portal.ticks());
            portal.backoff().right_code(&claim.user);
        }
        Err(Refused::Wrong) => event("login-failed", &claim.user, *address, "portal"),
        Err(_) => portal.backoff().forgiven(*address, &claim.user, portal.ticks()),
    }
    found.map_err(door::refused)
}

async fn said_as_app(visitor: &Visitor, claim: &Claim) -> Result<(), Problem> {
    let said = Said {
        user: &claim.user,
        password: &claim.password,
        from: Some(visitor.address),
        agent: visitor.agent.as_bytes(),
        head: b"POST /api/v1/session HTTP/1.1",
    };
    let refused = |status, reason: &str, detail: &str| {
        problem_with(status, detail, &json!({ "reason": reason }))
    };
    match visitor.sign_ins.signed_in(&said).await {
        // What is wrong is said by whoever looked at the portal password as well.
        Ok(_) | Err(NotSignedIn::Wrong) => Ok(()),
        Err(NotSignedIn::LockedOut(_)) => {
            Err(refused(StatusCode::TOO_MANY_REQUESTS, "banned", "too many were wrong from there"))
        }
        Err(NotSignedIn::Hook(why)) => {
            let why = why.unwrap_or_else(|| "the operator's back end refuses it".into());
            Err(refused(StatusCode::FORBIDDEN, "hook-refused", &why))
        }
        Err(NotSignedIn::HookFailed) => {
            let why = "the operator's back end does not answer";
            Err(refused(StatusCode::SERVICE_UNAVAILABLE, "hook-failed", why))
        }
    }
}

/// `POST /api/v1/session`: somebody signs in: 204 with a cookie.
pub async fn sign_in(
    State(portal): State<Portal>,
    visitor: Visitor,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let claim: Claim = match wanted(&headers, &body) {
        Ok(claim) => claim,
        Err(problem) => return problem,
    };
    match identified(&portal, &visitor, &claim).await {
        Ok(credential) => {
            event("login", &credential.user, visitor.address, "portal");
            let proved = if credential.app.is_none() { unix_now().0 } else { 0 };
            begun(&portal, &visitor, credential, proved).await
        }
        Err(problem) => problem,
    }
}

/// A session begins: 204 with its cookie.
pub(super) async fn begun(
    portal: &Portal,
    visitor: &Visitor,
    credential: Credential,
    proved: u64,
) -> Response<Body> {
    // 128 bits of id (ASVS 5.0, 7.2.3), and the number that its tokens say the device by.
    let (mut id, mut device) = ([0_u8; 16], [0_u8; 8]);
    if getrandom::fill(&mut id).and_then(|()| getrandom::fill(&mut device)).is_err() {
        return problem(StatusCode::INTERNAL_SERVER_ERROR, "no id can be drawn");
    }
    let (id, now) = (URL_SAFE_NO_PAD.encode(id), unix_now().0);
    let Credential { user, number, app, stamp } = credential;
    let session = Session {
        number: number.get(),
        user,
        app,
        stamp,
        device: u64::from_ne_bytes(device) >> 1,
        agent: visitor.agent.clone(),
        since: now,
        seen: now,
        proved,
    };
    let hash = door::hash_of(&id);
    if let Err(Unkept) = portal.store().ask(move |file| file.begin(&hash, &session)).await {
        return door::unkept();
    }
    let mut response = nothing();
    response.headers_mut().insert(header::SET_COOKIE, door::cookie(visitor.is_tls, Some(&id)));
    response
}

/// `GET /api/v1/session`: whoever is signed in: 200, or 401.
pub async fn session(caller: Caller) -> Response<Body> {
    let document = &caller.subscriber.document;
    let told = Told {
        user: &caller.session.user,
        token: &caller.token,
        proved: caller.is_proved(),
        app: caller.session.app.as_deref(),
        expires: document["expires"].as_u64(),
        language: document["language"].as_str(),
        now: unix_now().0,
    };
    answer(StatusCode::OK, &told)
}

/// `POST /api/v1/session/end`: whoever is signed in is out: 204.
pub async fn sign_out(State(portal): State<Portal>, caller: Caller) -> Response<Body> {
    let hash = caller.hash;
    if let Err(Unkept) = portal.store().ask(move |file| file.end(&hash)).await {
        return door::unkept();
    }
    event("logout", &caller.session.user, caller.visitor.address, "portal");
    let mut response = nothing();
    let cookie = door::cookie(caller.visitor.is_tls, None);
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    response
}

/// The portal password once more.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Proof {
    password: String,
    #[serde(default)]
    code: Option<String>,
}

/// `POST /api/v1/session/prove`: the account may be changed for a while: 204; 401 if it is not the
/// portal password.
pub async fn prove(
    State(portal): State<Portal>,
    caller: Caller,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let Proof { password, code } = match wanted(&headers, &body) {
        Ok(proof) => proof,
        Err(problem) => return problem,
    };
    let claim = Claim { user: caller.session.user.clone(), password, code };
    match identified(&portal, &caller.visitor, &claim).await {
        // An app password opens what there is to watch, and nothing else.
        Ok(credential) if credential.app.is_some() => door::refused(Refused::Wrong),
        Ok(_) => {
            let (hash, now) = (caller.hash, unix_now().0);
            let proved = portal.store().ask(move |file| file.prove(&hash, now)).await;
            proved.map_or_else(|Unkept| door::unkept(), |()| nothing())
        }
        Err(problem) => problem,
    }
}

/// 429, with when to try again.
pub(super) fn later(ms: u64) -> Problem {
    wait(Wait(ms))
}
