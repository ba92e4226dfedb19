//! What is kept of a request that waits.

use super::{BodyFraming, Method, Request, Version, request};

/// The shortest head that is read as this one is: without its other fields, which are most of it;
/// also without what a player tells of itself, which has been read by then.
///
/// It allocates, and so it is for requests that wait, not for those on their way.
#[must_use]
pub fn kept(of: &Request<'_>, head: &[u8]) -> Box<[u8]> {
    let short = shortened(of);
    let is_the_same = || {
        let size = short.len();
        let expected = |again: Request<'_>| Request { size, tells: again.tells, ..*of };
        matches!(request(&short), Ok(Some(again)) if again == expected(again))
    };
    if short.len() < head.len() && is_the_same() { short.into() } else { head.into() }
}

fn shortened(of: &Request<'_>) -> Vec<u8> {
    // Where less is needed the rest is given back when the slice is made.
    let mut out = Vec::with_capacity(of.size);
    let method: &[u8] = match of.method {
        Method::Get => b"GET",
        Method::Head => b"HEAD",
        Method::Options => b"OPTIONS",
        Method::Post => b"POST",
    };
    let (version, default) = match of.version {
        Version::Http10 => (&b" HTTP/1.0"[..], false),
        Version::Http11 => (&b" HTTP/1.1"[..], true),
    };
    let mut put = |pieces: &[&[u8]]| pieces.iter().for_each(|piece| out.extend_from_slice(piece));
    put(&[method, b" ", of.path]);
    if !of.query.is_empty() {
        put(&[b"?", of.query]);
    }
    put(&[version]);
    let mut field = |name: &str, value: &[u8]| put(&[b"\r\n", name.as_bytes(), b": ", value]);
    if !of.host.is_empty() {
        field("Host", of.host);
    }
    let conditions = &of.conditions;
    for (name, value) in [
        ("Range", of.range),
        ("User-Agent", of.agent),
        ("Accept-Language", of.languages),
        ("If-Match", conditions.if_match),
        ("If-None-Match", conditions.if_none_match),
        ("If-Modified-Since", conditions.if_modified_since),
        ("If-Unmodified-Since", conditions.if_unmodified_since),
        ("If-Range", conditions.if_range),
        ("Accept-Encoding", of.accepts_gzip.then_some(b"gzip")),
    ] {
        if let Some(value) = value {
            field(name, value);
        }
    }
    if of.keep_alive != default {
        field("Connection", if of.keep_alive { b"keep-alive" } else { b"close" });
    }
    match of.body {
        BodyFraming::Empty => {}
        BodyFraming::Length(size) => field("Content-Length", size.to_string().as_bytes()),
        BodyFraming::Chunked => field("Transfer-Encoding", b"chunked"),
    }
    out.extend(b"\r\n\r\n");
    out
}
