//! What shards ask: a head and a small body in, one whole response out, by an axum router that is
//! called as a function.
//!
//! The shard has its own deadline for an answer. A question that takes longer is given up here too,
//! since nobody waits for it any more.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::http::{Method, Request, StatusCode, Version};
use tokio::sync::{Semaphore, mpsc};
use tower::ServiceExt as _;

use super::catchup::{self, CatchUp};
use super::dialects;
use super::post::Post;
use super::problem;
use super::sign_in::{self, NotSignedIn, SignIns};
use crate::config::{
    ANSWER_BODY_SIZE_MAX, ANSWER_LINES_SIZE_MAX, ANSWERS_AT_ONCE_MAX, ASK_DEADLINE_MS, Access,
    HEADER_LINES_MAX, REQUEST_BODY_SIZE_MAX, SIGN_INS_AT_ONCE_MAX, TARGET_SIZE_MAX,
};
use crate::messages::{Answer, Ask, Opened, Response, Update, Wants};
use crate::request::parse;
use crate::request::route::{self, Target};
use crate::viewer::Terms;
use crate::viewer::foreign::Unexchanged;
use crate::viewer::sign_ins::NotLetIn;

/// The client's address, as an extension of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub Option<IpAddr>);

/// Whether a trusted proxy passed the request on, whose lines are believed; an extension of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forwarded(pub bool);

/// What a shard sends as if it were listed, in place of a body; an extension of the response.
#[derive(Clone, Debug)]
pub struct Object(pub Arc<Opened>);

/// Something that only viewers of this access may have; an extension of the request says so of what
/// is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Granted<T> {
    /// What.
    pub what: T,
    /// Who may have it.
    pub access: Access,
    /// On what terms who asks may.
    pub terms: Terms,
}

/// What this version answers to shards: what is past of a channel, and of everything else that
/// there is nothing.
pub fn router(catch_up: CatchUp) -> Router {
    catchup::router(catch_up).fallback(dialects::answer)
}

/// Answers until no shard is left. A few answers are made at once; the rest waits in the queue.
/// What carries a token of others goes to the second router.
pub async fn answer_all(
    mut asks: mpsc::Receiver<Ask>,
    (answers, exchange): (Router, Router),
    sign_ins: Option<Arc<SignIns>>,
    post: Arc<Post>,
) {
    let places = Arc::new(Semaphore::new(ANSWERS_AT_ONCE_MAX));
    let signing_in = Arc::new(Semaphore::new(SIGN_INS_AT_ONCE_MAX));
    while let Some(ask) = asks.recv().await {
        if let Wants::SignIn(_) = ask.wants {
            sign_in(ask, sign_ins.clone(), &signing_in, &post);
            continue;
        }
        let place = Arc::clone(&places).acquire_owned().await;
        let router = match ask.wants {
            Wants::Exchange => exchange.clone(),
            _ => answers.clone(),
        };
        let post = Arc::clone(&post);
        tokio::task::spawn_local(async move {
            let key = ask.key;
            let deadline = Duration::from_millis(ASK_DEADLINE_MS);
            if let Ok(response) = tokio::time::timeout(deadline, response(ask, router)).await {
                post.answer(Answer { key, response: Arc::new(response) });
            }
            drop(place);
        });
    }
}

/// Says whether somebody is let in. An operator's back end may be asked of it, so these have places
/// of their own: nobody else waits for that.
fn sign_in(ask: Ask, sign_ins: Option<Arc<SignIns>>, places: &Arc<Semaphore>, post: &Arc<Post>) {
    let key = ask.key;
    let Ok(place) = Arc::clone(places).try_acquire_owned() else {
        post.tell_one(key.shard, Update::SignedIn(key, Err(NotLetIn::Busy)));
        return;
    };
    let post = Arc::clone(post);
    tokio::task::spawn_local(async move {
        let said = match sign_ins {
            Some(sign_ins) => signed_in(&ask, &sign_ins).await,
            None => Err(NotLetIn::Wrong),
        };
        post.tell_one(key.shard, Update::SignedIn(key, said));
        drop(place);
    });
}

async fn signed_in(ask: &Ask, sign_ins: &SignIns) -> Result<(), NotLetIn> {
    let mut scratch = [0; TARGET_SIZE_MAX];
    // The shard has read it in the same way.
    let Ok(Some(request)) = parse::request(&ask.head) else { return Err(NotLetIn::Wrong) };
    let Ok(Target::Start(start)) = route::target(&request, &mut scratch) else {
        return Err(NotLetIn::Wrong);
    };
    let said = sign_in::Said {
        user: start.user,
        password: start.password,
        from: ask.peer,
        agent: request.agent.unwrap_or_default(),
        head: &ask.head,
    };
    // Whether it may watch is looked at by the shard.
    sign_ins.signed_in(&said).await.map(drop).map_err(|why| match why {
        NotSignedIn::Wrong => NotLetIn::Wrong,
        NotSignedIn::LockedOut(_) => NotLetIn::LockedOut,
        NotSignedIn::Hook(_) => NotLetIn::Hook,
        NotSignedIn::HookFailed => NotLetIn::HookFailed,
    })
}

/// One whole response.
pub async fn response(ask: Ask, router: Router) -> Response {
    let answer = match request(ask) {
        Ok(request) => {
            let is_private = request.uri().path().starts_with("/s/");
            let mut answer = router.oneshot(request).await.unwrap_or_else(|never| match never {});
            if is_private {
                make_private(answer.headers_mut());
            }
            answer
        }
        Err((status, why)) => problem::problem(status, why),
    };
    let whole = match flattened(answer).await {
        Ok(whole) => return whole,
        Err(why) => {
            tracing::error!(why, "an answer can't be sent");
            flattened(problem::problem(StatusCode::INTERNAL_SERVER_ERROR, why)).await
        }
    };
    whole.expect("a problem is small and has two headers")
}

/// The request that a shard's parser accepted.
fn request(ask: Ask) -> Result<Request<Body>, (StatusCode, &'static str)> {
    const BAD: (StatusCode, &str) = (StatusCode::BAD_REQUEST, "the head can't be read");
    if ask.body.len() > REQUEST_BODY_SIZE_MAX {
        return Err((StatusCode::PAYLOAD_TOO_LARGE, "the body is longer than 64 KiB"));
    }
    let mut lines = [httparse::EMPTY_HEADER; HEADER_LINES_MAX];
    let mut head = httparse::Request::new(&mut lines);
    if !head.parse(&ask.head).is_ok_and(|status| status.is_complete()) {
        return Err(BAD);
    }
    // A HEAD is answered as a GET: the shard leaves the body out, and needs its size.
    let method = match head.method.unwrap_or_default() {
        "HEAD" => Method::GET,
        other => Method::from_bytes(other.as_bytes()).map_err(|_| BAD)?,
    };
    let mut request = Request::builder()
        .method(method)
        .uri(head.path.unwrap_or_default())
        .version(if head.version == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 });
    for line in head.headers.iter() {
        request = request.header(line.name, line.value);
    }
    let mut request = request.body(Body::from(ask.body)).map_err(|_| BAD)?;
    request.extensions_mut().insert(Peer(ask.peer));
    request.extensions_mut().insert(Forwarded(ask.is_forwarded));
    if let Wants::Answer(access, terms) = ask.wants {
        request.extensions_mut().insert(Granted { what: (), access, terms });
    }
    Ok(request)
}

/// The response as bytes, or why it can't be sent.
async fn flattened(answer: axum::http::Response<Body>) -> Result<Response, &'static str> {
    let (parts, body) = answer.into_parts();
    let status = parts.status.as_u16();
    let refused = parts.extensions.get::<Unexchanged>().copied();
    let object = parts.extensions.get::<Object>().map(|object| Arc::clone(&object.0));
    if parts.status.is_informational() {
        return Err("a router answered with an interim status");
    }
    let lines = lines(&parts.headers);
    if lines.len() > ANSWER_LINES_SIZE_MAX {
        return Err("the header lines of an answer are too long");
    }
    let body = to_bytes(body, ANSWER_BODY_SIZE_MAX)
        .await
        .map_err(|_| "the body of an answer is too long or broke off")?;
    let bodiless = matches!(parts.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let body = if bodiless { bytes::Bytes::new() } else { body };
    Ok(Response { status, lines, body, refused, object })
}

/// Says of an answer to an address with a token what shards say of theirs: it is for its viewer,
/// and nobody is told where a reader came from.
fn make_private(headers: &mut HeaderMap) {
    let kept = headers.get(header::CACHE_CONTROL).and_then(|kept| kept.to_str().ok());
    let kept = kept.and_then(|kept| kept.strip_prefix("public, "));
    if let Some(private) =
        kept.and_then(|kept| HeaderValue::try_from(format!("private, {kept}")).ok())
    {
        headers.insert(header::CACHE_CONTROL, private);
    }
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
}

/// Header lines that belong to one connection, or that the shard writes itself.
const NOT_OURS: &[&str] = &[
    "connection",
    "content-length",
    "date",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The header lines as they go on the wire, without those of one hop (RFC 9110, 7.6.1).
fn lines(headers: &HeaderMap) -> Vec<u8> {
    let named: Vec<_> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    let mut lines = Vec::new();
    for (name, value) in headers {
        let value = value.as_bytes();
        // The types promise that there is no line end in a value; a response that was split in two
        // would be somebody else's, so it is looked at once more.
        let one_line = !value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0));
        let name = name.as_str();
        if NOT_OURS.contains(&name) || named.iter().any(|hop| hop == name) || !one_line {
            continue;
        }
        lines.extend_from_slice(name.as_bytes());
        lines.extend_from_slice(b": ");
        lines.extend_from_slice(value);
        lines.extend_from_slice(b"\r\n");
    }
    lines
}

#[cfg(test)]
mod tests;
