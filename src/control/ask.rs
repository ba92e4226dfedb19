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
use super::post::Post;
use super::problem;
use crate::config::{
    ANSWER_BODY_SIZE_MAX, ANSWER_LINES_SIZE_MAX, ANSWERS_AT_ONCE_MAX, ASK_DEADLINE_MS, Access,
    HEADER_LINES_MAX, REQUEST_BODY_SIZE_MAX,
};
use crate::messages::{Answer, Ask, Response, Wants};
use crate::viewer::Terms;
use crate::viewer::foreign::Unexchanged;

/// The client's address, as an extension of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub Option<IpAddr>);

/// Whether a trusted proxy passed the request on, whose lines are believed; an extension of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forwarded(pub bool);

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
    catchup::router(catch_up).fallback(problem::unknown)
}

/// Answers until no shard is left. A few answers are made at once; the rest waits in the queue.
/// What carries a token of others goes to the second router.
pub async fn answer_all(
    mut asks: mpsc::Receiver<Ask>,
    (answers, exchange): (Router, Router),
    post: Arc<Post>,
) {
    let places = Arc::new(Semaphore::new(ANSWERS_AT_ONCE_MAX));
    while let Some(ask) = asks.recv().await {
        let place = Arc::clone(&places).acquire_owned().await;
        let router = match ask.wants {
            Wants::Answer(..) => answers.clone(),
            Wants::Exchange => exchange.clone(),
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
    Ok(Response { status, lines, body, refused })
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
