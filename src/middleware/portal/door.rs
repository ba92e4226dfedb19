//! Who is let in to the portal's API: what of a request's head says so, and the session behind it.
//!
//! The order is that of what it costs: whether somebody on the way could read along, whether it
//! comes of a page of somebody else's, the session, its token against forged requests (ASVS 5.0,
//! 3.5.1), and whether the password behind it is still good.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::Portal;
use super::store::{Session, Unkept};
use crate::config::portal::{PORTAL_SEEN_EVERY_SECONDS, PORTAL_STEP_UP_SECONDS};
use crate::control::ask::{Forwarded, Peer};
use crate::control::inside::{Credential, Inside, Refused, unix_now};
use crate::control::json::wanted;
use crate::control::operators::{full, is_foreign};
use crate::control::problem::{problem, problem_with};
use crate::control::registry::Object;
use crate::control::sign_in::SignIns;

/// Name of the cookie over TLS: `__Host-` binds it to this host, to TLS and to every path
/// (RFC 6265bis, 4.1.3.2).
const COOKIE_TLS: &str = "__Host-shardcast-portal";
/// The same from this machine without TLS, where that prefix is not taken.
const COOKIE: &str = "shardcast-portal";

/// Seconds that a browser keeps the cookie: as long as a session that is used at all.
const COOKIE_SECONDS: u64 = 400 * 86_400;

/// A refusal, as it is answered.
pub type Problem = Response<Body>;

/// Whoever asks, without a session: it may send a password.
#[derive(Clone)]
pub struct Visitor {
    /// What of control may be asked.
    pub inside: Arc<Inside>,
    /// Where every app password is looked at that somebody types.
    pub sign_ins: Arc<SignIns>,
    /// From where.
    pub address: IpAddr,
    /// Whether it came over TLS.
    pub is_tls: bool,
    /// What the browser says of itself.
    pub agent: String,
}

/// Whoever asks and is signed in.
pub struct Caller {
    /// From where and how.
    pub visitor: Visitor,
    /// What the session is found by.
    pub hash: [u8; 32],
    /// What is known of it.
    pub session: Session,
    /// The subscriber, as it stands.
    pub subscriber: Object,
    /// What requests that change something have to bring.
    pub token: String,
}

impl Caller {
    /// By what it is signed in.
    pub fn credential(&self) -> Credential {
        let Session { user, app, stamp, .. } = self.session.clone();
        let number = NonZeroU32::new(self.session.number).unwrap_or(NonZeroU32::MAX);
        Credential { user, number, app, stamp }
    }

    /// Whether the portal password was given a short time ago.
    pub fn is_proved(&self) -> bool {
        unix_now().0 < self.session.proved + PORTAL_STEP_UP_SECONDS
    }

    /// A problem, unless it was.
    ///
    /// # Errors
    ///
    /// The problem.
    #[expect(clippy::result_large_err, reason = "the answer, as it is sent")]
    pub fn proved(&self) -> Result<(), Problem> {
        if self.is_proved() {
            return Ok(());
        }
        let why = "this takes the portal password: POST /api/v1/session/prove, and then try again";
        Err(problem_with(StatusCode::FORBIDDEN, why, &json!({ "reason": "prove" })))
    }
}

impl Caller {
    /// What a request says that changes the account, if it may.
    ///
    /// # Errors
    ///
    /// The problem.
    #[expect(clippy::result_large_err, reason = "the answer, as it is sent")]
    pub fn wanted<T: DeserializeOwned>(
        &self,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<T, Problem> {
        self.proved()?;
        wanted(headers, body)
    }
}

/// What is kept of a session's id.
pub fn hash_of(id: &str) -> [u8; 32] {
    Sha256::digest(id.as_bytes()).into()
}

/// What a request has to bring that changes something in the session of this id: a page of another
/// origin can neither read it nor reckon it.
pub fn token_of(id: &str) -> String {
    let digest = Sha256::new().chain_update(b"portal request\0").chain_update(id).finalize();
    URL_SAFE_NO_PAD.encode(&digest[..16])
}

/// `Set-Cookie` that begins a session, or ends one where there is no id.
pub fn cookie(is_tls: bool, id: Option<&str>) -> HeaderValue {
    let (name, secure) = if is_tls { (COOKIE_TLS, "; Secure") } else { (COOKIE, "") };
    let seconds = if id.is_some() { COOKIE_SECONDS } else { 0 };
    let id = id.unwrap_or_default();
    let text = format!("{name}={id}; HttpOnly; SameSite=Strict; Path=/; Max-Age={seconds}{secure}");
    HeaderValue::from_str(&text).expect("ids are base64, and the rest is ours")
}

/// The session's id in a request, if there is exactly one.
fn session_id(is_tls: bool, headers: &HeaderMap) -> Option<&str> {
    let wanted = if is_tls { COOKIE_TLS } else { COOKIE };
    let mut found = None;
    for line in headers.get_all(header::COOKIE) {
        for pair in line.to_str().ok()?.split(';') {
            let Some((name, value)) = pair.trim().split_once('=') else { continue };
            if name == wanted && found.replace(value).is_some() {
                // Somebody else has put one beside it.
                return None;
            }
        }
    }
    found
}

/// Whether a request came over TLS: a trusted proxy says so, in the field that all of them know or
/// in the standard's (RFC 7239, 5.4). What anybody else says there is nothing.
fn is_tls(headers: &HeaderMap, is_forwarded: bool) -> bool {
    if !is_forwarded {
        return false;
    }
    let said = |name: &str| headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
    let mut custom = said("x-forwarded-proto").flat_map(|line| line.split(',')).map(str::trim);
    let standard = said("forwarded").flat_map(|line| line.split([',', ';']));
    let proto = |pair: &str| {
        let (name, value) = pair.trim().split_once('=')?;
        let value = value.trim_matches('"');
        name.eq_ignore_ascii_case("proto").then(|| value.eq_ignore_ascii_case("https"))
    };
    let is_https = |word: &str| word.eq_ignore_ascii_case("https");
    // The one who speaks to us comes last.
    custom.next_back().is_some_and(is_https) || standard.rev_find(proto)
}

/// The last one that says something.
trait LastSaid<'t>: Iterator<Item = &'t str> + Sized {
    fn rev_find(self, say: impl Fn(&str) -> Option<bool>) -> bool {
        self.filter_map(say).last().unwrap_or(false)
    }
}

impl<'t, I: Iterator<Item = &'t str>> LastSaid<'t> for I {}

impl Visitor {
    #[expect(clippy::result_large_err, reason = "the answer, as it is sent")]
    fn of(parts: &Parts) -> Result<Self, Problem> {
        let inside = parts.extensions.get::<Arc<Inside>>().cloned();
        let sign_ins = parts.extensions.get::<Arc<SignIns>>().cloned();
        let Some((inside, sign_ins)) = inside.zip(sign_ins) else {
            let why = "nobody signs in: the server has no registry, and its log says why";
            return Err(problem(StatusCode::SERVICE_UNAVAILABLE, why));
        };
        let peer = parts.extensions.get::<Peer>().and_then(|peer| peer.0);
        let is_forwarded = parts.extensions.get::<Forwarded>().is_some_and(|said| said.0);
        let headers = &parts.headers;
        let is_tls = is_tls(headers, is_forwarded);
        let is_here = peer.is_some_and(|address| address.to_canonical().is_loopback());
        if !is_tls && !is_here {
            let why = "nobody signs in over plain HTTP, which is read on the way: call the portal \
                       by https";
            let besides = json!({ "reason": "plain-http" });
            return Err(problem_with(StatusCode::FORBIDDEN, why, &besides));
        }
        if headers.get_all(header::HOST).iter().count() != 1 {
            return Err(problem(StatusCode::BAD_REQUEST, "Host: there is to be one"));
        }
        if !matches!(parts.method, Method::GET | Method::HEAD) && is_foreign(headers) {
            let why = "Origin: this comes of a page elsewhere";
            return Err(problem(StatusCode::FORBIDDEN, why));
        }
        let agent = headers.get(header::USER_AGENT).map_or(&b""[..], HeaderValue::as_bytes);
        let agent = String::from_utf8_lossy(agent).chars().take(200).collect();
        let address = peer.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        Ok(Self { inside, sign_ins, address, is_tls, agent })
    }
}

impl FromRequestParts<Portal> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Portal) -> Result<Self, Problem> {
        Self::of(parts)
    }
}

impl FromRequestParts<Portal> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, portal: &Portal) -> Result<Self, Problem> {
        let visitor = Visitor::of(parts)?;
        let id = session_id(visitor.is_tls, &parts.headers).ok_or_else(nobody)?;
        let (hash, token, now) = (hash_of(id), token_of(id), unix_now().0);
        let found = portal.store().ask(move |file| file.found(&hash, now)).await;
        let session = found.map_err(|Unkept| unkept())?.ok_or_else(nobody)?;
        if !matches!(parts.method, Method::GET | Method::HEAD) {
            let sent = parts.headers.get("x-csrf-token").map_or(&b""[..], HeaderValue::as_bytes);
            if !bool::from(sent.ct_eq(token.as_bytes())) {
                let why = "X-CSRF-Token: it is missing, or not this session's";
                return Err(problem(StatusCode::FORBIDDEN, why));
            }
        }
        let number = NonZeroU32::new(session.number).ok_or_else(nobody)?;
        let Session { user, app, stamp, .. } = session.clone();
        let credential = Credential { user, number, app, stamp };
        let still = visitor.inside.still(&credential).await.map_err(refused)?;
        let Some(subscriber) = still else {
            let _ = portal.store().ask(move |file| file.end(&hash)).await;
            return Err(nobody());
        };
        if now > session.seen + PORTAL_SEEN_EVERY_SECONDS {
            let _ = portal.store().ask(move |file| file.see(&hash, now)).await;
        }
        Ok(Self { visitor, hash, session, subscriber, token })
    }
}

/// 401.
pub fn nobody() -> Problem {
    let besides = json!({ "reason": "sign-in" });
    problem_with(StatusCode::UNAUTHORIZED, "nobody is signed in", &besides)
}

/// 503: what the portal remembers can't be asked.
pub fn unkept() -> Problem {
    let why = "the portal can't reach what it remembers; try again";
    let mut response = problem(StatusCode::SERVICE_UNAVAILABLE, why);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(1));
    response
}

/// What control refused, as it is answered. `reason` is for the app, which has sentences.
pub fn refused(why: Refused) -> Problem {
    let said = |status, reason: &str, detail: &str| {
        problem_with(status, detail, &json!({ "reason": reason }))
    };
    match why {
        Refused::Wrong => {
            said(StatusCode::UNAUTHORIZED, "wrong", "user, password or code is wrong")
        }
        Refused::CodeWanted => said(
            StatusCode::UNAUTHORIZED,
            "code",
            "a code of the second factor is wanted: \"code\"",
        ),
        Refused::Unfit(why) => said(StatusCode::BAD_REQUEST, "unfit", &why),
        Refused::Absent => said(StatusCode::NOT_FOUND, "absent", "there is no such thing"),
        Refused::Busy => full(),
        Refused::Store(error) => {
            tracing::error!(%error, "the registry failed");
            problem(StatusCode::INTERNAL_SERVER_ERROR, "the registry failed")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn only_a_trusted_proxy_says_that_it_was_tls() {
        for (lines, expected) in [
            (&[][..], false),
            (&[("x-forwarded-proto", "https")], true),
            (&[("x-forwarded-proto", "http, HTTPS")], true),
            (&[("x-forwarded-proto", "https, http")], false),
            (&[("forwarded", "for=192.0.2.1;proto=https")], true),
            (&[("forwarded", "for=a;Proto=\"https\", for=b")], true),
            (&[("forwarded", "proto=https, proto=http")], false),
            (&[("forwarded", "for=https")], false),
        ] {
            assert_eq!(is_tls(&head(lines), true), expected, "{lines:?}");
            assert!(!is_tls(&head(lines), false), "{lines:?}");
        }
    }

    #[test]
    fn a_cookie_is_for_this_host_alone_and_no_script_reads_it() {
        let text = |is_tls, id| cookie(is_tls, id).to_str().unwrap().to_owned();
        assert_eq!(
            text(true, Some("x")),
            "__Host-shardcast-portal=x; HttpOnly; SameSite=Strict; Path=/; Max-Age=34560000; Secure"
        );
        assert_eq!(
            text(false, None),
            "shardcast-portal=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0"
        );
        let found =
            |is_tls, line| session_id(is_tls, &head(&[("cookie", line)])).map(str::to_owned);
        assert_eq!(found(false, "a=b; shardcast-portal=x"), Some("x".to_owned()));
        assert_eq!(found(true, "shardcast-portal=x"), None);
        assert_eq!(found(false, "shardcast-portal=x; shardcast-portal=y"), None);
    }

    #[test]
    fn a_sessions_token_is_not_its_id_and_of_it_alone() {
        assert_eq!(token_of("a"), token_of("a"));
        assert_ne!(token_of("a"), token_of("b"));
        assert_eq!(token_of("a").len(), 22, "128 bits in base64");
    }
}
