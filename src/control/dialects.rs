//! Addresses that others have for what is past: each leads by a 302 to the one that it has here.
//!
//! Where a channel's id stands in the address nobody is let in: what it leads to is looked at by
//! the shard, with the token that stood in front. Where a user name and a password do, whoever
//! signs in so gets a token of its device, the same one as long as it is good. What names a moment
//! that goes on is said anew each time, so nothing of it is kept.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, Response, StatusCode, header};

use super::ask::Peer;
use super::problem;
use super::sign_in::{NotSignedIn, Said, SignIns, SignedIn};
use super::tokens::Signer;
use crate::config::{REQUEST_BODY_SIZE_MAX, TARGET_SIZE_MAX, TOKEN_SECONDS_MAX};
use crate::live::catchup::dialect::{Asked, Channel, Viewer};
use crate::request::route::unescaped;
use crate::units::UnixTime;
use crate::viewer::accounts::{Device, Login};
use crate::viewer::foreign::{Denied, Unexchanged};
use crate::viewer::numbers::Numbered;
use crate::viewer::{Claims, token};

/// Sessions of a device that may have been revoked one after the other before it gets no other one
/// until the last of their tokens is over.
const TURNS_MAX: u8 = 8;

/// Where people are let in, and who signs their tokens. An extension of a request.
#[derive(Clone)]
pub struct Doors {
    sign_ins: SignIns,
    signer: Option<Arc<Signer>>,
}

impl Doors {
    /// With both.
    pub(super) fn new(sign_ins: SignIns, signer: Option<Arc<Signer>>) -> Self {
        Self { sign_ins, signer }
    }
}

/// Answers what nobody else does: with where it is, or that it is nowhere.
pub async fn answer(request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let mut scratch = [0; TARGET_SIZE_MAX];
    // The shard has decoded it in the same way, and found no fault with it.
    let Ok(path) = unescaped(parts.uri.path().as_bytes(), &mut scratch) else {
        return problem::problem(StatusCode::BAD_REQUEST, "the path can't be read");
    };
    let mut query = parts.uri.query().unwrap_or_default().to_owned();
    // A form says what a query does not.
    if parts.method == Method::POST && path.ends_with(".php") {
        let form = to_bytes(body, REQUEST_BODY_SIZE_MAX).await.unwrap_or_default();
        query = format!("{query}&{}", String::from_utf8_lossy(&form));
    }
    match Asked::read(path, &query) {
        None => problem::unknown().await,
        Some(Err(fault)) => problem::problem(StatusCode::BAD_REQUEST, fault.explanation()),
        Some(Ok(asked)) => match (&asked.viewer, &asked.channel) {
            (Viewer::SignsIn(user, password), Channel::Number(number)) => {
                signed_in(&parts, &asked, (user, password), *number).await
            }
            (Viewer::Token(token), Channel::Id(id)) => {
                moved(&format!("/s/{token}{}", asked.path(id, now())))
            }
            (_, Channel::Id(id)) => moved(&asked.path(id, now())),
            (_, Channel::Number(_)) => problem::unknown().await,
        },
    }
}

/// Where the stretch is for whoever signs in so, behind a token of its device.
async fn signed_in(
    parts: &Parts,
    asked: &Asked,
    (user, password): (&str, &str),
    number: u32,
) -> Response<Body> {
    let Some(doors) = parts.extensions.get::<Doors>() else { return busy() };
    let from = parts.extensions.get::<Peer>().and_then(|peer| peer.0);
    let agent = parts.headers.get(header::USER_AGENT).map_or(&b""[..], HeaderValue::as_bytes);
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let head = format!("{} {target} HTTP/1.1\r\n\r\n", parts.method);
    let said = Said { user, password, from, agent, head: head.as_bytes() };
    let SignedIn { subscriber, which, standing } = match doors.sign_ins.signed_in(&said).await {
        Ok(signed_in) => signed_in,
        Err(why) => return not_signed_in(&why),
    };
    // Shards refuse for a bar as they do with its token, also by a slate.
    if let Err(bar) = standing {
        return barred(Unexchanged::Subscriber(Some(subscriber), bar));
    }
    let apps = doors.sign_ins.apps();
    let Some(played) = apps.numbers.find(Numbered::Channel, number) else {
        return problem::unknown().await;
    };
    let id = played.path().strip_prefix("/tv/").and_then(|rest| rest.split('/').next());
    let device = Device { login: Login { subscriber, which }, peer: from, agent };
    match (id, sealed(doors, &device)) {
        (Some(id), Ok(token)) => moved(&format!("/s/{token}{}", asked.path(id, now()))),
        (None, _) => problem::unknown().await,
        (_, Err(why)) => barred(why),
    }
}

/// A token of a device's session.
fn sealed(doors: &Doors, device: &Device<'_>) -> Result<String, Unexchanged> {
    let (apps, rights) = (doors.sign_ins.apps(), doors.sign_ins.rights());
    let hasher = apps.accounts.hasher().ok_or(Unexchanged::Busy)?;
    let sessions = (0..TURNS_MAX).map(|turn| hasher.session(device, turn));
    let session = sessions.into_iter().find(|session| !rights.revoked().has(*session));
    let session = session.ok_or(Unexchanged::Token(Denied::Revoked))?;
    let seconds = u64::from(TOKEN_SECONDS_MAX);
    // In steps, so that whoever asks again soon gets the same one.
    let expires = (now() / (seconds / 2)) * (seconds / 2) + seconds;
    let claims = Claims {
        subscriber: Some(device.login.subscriber),
        session,
        expires: UnixTime(expires),
        bitrate_max: None,
        network: None,
    };
    let signer = doors.signer.as_ref().ok_or(Unexchanged::Busy)?;
    let keys = signer.current();
    let key = keys.current.as_ref().ok_or(Unexchanged::Busy)?;
    token::sealed(&claims, &[], key).map_err(|_| Unexchanged::Busy)
}

/// The shard refuses, as it does by itself.
fn barred(why: Unexchanged) -> Response<Body> {
    let mut response = problem::problem(StatusCode::FORBIDDEN, "this may not be had");
    response.extensions_mut().insert(why);
    response
}

/// An unknown user and a wrong password are told the same.
fn not_signed_in(why: &NotSignedIn) -> Response<Body> {
    match why {
        NotSignedIn::Wrong => {
            let why = "no such user, or another password";
            let mut response = problem::problem(StatusCode::UNAUTHORIZED, why);
            let reason = HeaderValue::from_static("sign-in");
            response.headers_mut().insert("x-shardcast-reason", reason);
            response
        }
        NotSignedIn::LockedOut(_) => {
            let why = "too many passwords were wrong: try again later";
            let mut response = problem::problem(StatusCode::TOO_MANY_REQUESTS, why);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("60"));
            response
        }
        NotSignedIn::Hook(_) => problem::problem(StatusCode::FORBIDDEN, "the operator says no"),
        NotSignedIn::HookFailed => busy(),
    }
}

fn busy() -> Response<Body> {
    let mut response =
        problem::problem(StatusCode::SERVICE_UNAVAILABLE, "nobody can sign in here now");
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

/// Whoever follows finds it there, now.
pub fn moved(path: &str) -> Response<Body> {
    let Ok(location) = HeaderValue::try_from(path) else {
        return problem::problem(StatusCode::BAD_REQUEST, "the path can't be read");
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::FOUND;
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, location);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
