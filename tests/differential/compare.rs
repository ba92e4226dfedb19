//! Two answers to one request in, what differs out; and what each answer owes to the file itself.

use std::collections::BTreeMap;

use super::client::{Request, Response};

/// Headers that must be equal, where a body of the file is described.
const HEADERS: &[&str] =
    &["content-length", "content-range", "content-type", "last-modified", "accept-ranges"];

/// One aspect in which two answers differ.
#[derive(Debug)]
pub struct Difference {
    /// `status`, `body`, `parts`, or the name of a header.
    pub aspect: &'static str,
    /// What both say.
    pub what: String,
}

impl Difference {
    fn new(aspect: &'static str, ours: impl std::fmt::Debug, theirs: impl std::fmt::Debug) -> Self {
        Self { aspect, what: format!("{aspect} {ours:?} not {theirs:?}") }
    }
}

/// What differs between two answers to this request.
pub fn differences(request: &Request, ours: &Response, theirs: &Response) -> Vec<Difference> {
    if ours.status != theirs.status {
        return vec![Difference::new("status", ours.status, theirs.status)];
    }
    let header = |name: &'static str| {
        let (ours, theirs) = (ours.header(name), theirs.header(name));
        (ours != theirs).then(|| Difference::new(name, ours, theirs))
    };
    // A 304 may leave out what describes the body (RFC 9110, 15.4.5); an error page is each
    // server's own, but a 416 tells the size of the file.
    if ours.status >= 300 {
        return header("content-range").filter(|_| ours.status != 304).into_iter().collect();
    }
    let (our_parts, their_parts) = (parts(ours), parts(theirs));
    if our_parts.is_some() || their_parts.is_some() {
        let differ = request.method != "HEAD" && our_parts != their_parts;
        let count = |parts: Option<Vec<Part>>| parts.map(|parts| parts.len());
        let difference = Difference::new("parts", count(our_parts), count(their_parts));
        return differ.then_some(difference).into_iter().collect();
    }
    let mut differences: Vec<_> = HEADERS.iter().filter_map(|name| header(name)).collect();
    if ours.body != theirs.body {
        differences.push(Difference::new("body", ours.body.len(), theirs.body.len()));
    }
    differences
}

/// The headers and bytes of one part.
type Part = (BTreeMap<String, String>, Vec<u8>);

/// Type, range and bytes of every part of a multipart/byteranges answer, whatever its boundary.
fn parts(response: &Response) -> Option<Vec<Part>> {
    let media_type = response.header("content-type")?;
    let boundary = media_type.strip_prefix("multipart/byteranges; boundary=")?;
    let boundary = format!("--{}", boundary.trim_matches('"'));
    let mut parts = Vec::new();
    let mut rest = response.body.as_slice();
    while let Some(start) = find(rest, boundary.as_bytes()) {
        rest = &rest[start + boundary.len()..];
        if rest.starts_with(b"--") {
            break;
        }
        let head_end = find(rest, b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&rest[..head_end]);
        let headers: BTreeMap<_, _> = head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let (start, end, _) = content_range(headers.get("content-range")?)?;
        let body = head_end + 4;
        let after = body + end.checked_sub(start)? + 1;
        parts.push((headers, rest.get(body..after)?.to_vec()));
        rest = &rest[after..];
    }
    Some(parts)
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

/// `bytes 0-9/100` as its three numbers.
fn content_range(value: &str) -> Option<(usize, usize, usize)> {
    let (range, size) = value.strip_prefix("bytes ")?.split_once('/')?;
    let (start, end) = range.split_once('-')?;
    Some((start.parse().ok()?, end.parse().ok()?, size.parse().ok()?))
}

/// What is wrong with an answer whatever any other server says: it is held against the file.
pub fn falsehoods(request: &Request, response: &Response, file: Option<&[u8]>) -> Vec<String> {
    let mut wrong = Vec::new();
    if request.method == "HEAD" && !response.body.is_empty() {
        wrong.push("HEAD has a body".to_owned());
    }
    let success = matches!(response.status, 200 | 206);
    let Some(file) = file else {
        if success && request.method != "OPTIONS" {
            wrong.push(format!("status {} where there is no file", response.status));
        }
        return wrong;
    };
    if request.method != "GET" || !success {
        return wrong;
    }
    if response.status == 200 {
        if response.body != file {
            wrong.push("a 200 that is not the file".to_owned());
        }
        return wrong;
    }
    let pieces = match parts(response) {
        Some(parts) => parts,
        None => vec![(response.headers.clone(), response.body.clone())],
    };
    if pieces.is_empty() {
        wrong.push("a 206 without a part".to_owned());
    }
    for (headers, body) in pieces {
        let range = headers.get("content-range").and_then(|value| content_range(value));
        let good = range.is_some_and(|(start, end, size)| {
            size == file.len() && file.get(start..=end) == Some(body.as_slice())
        });
        if !good {
            wrong
                .push(format!("a part that is not {:?} of the file", headers.get("content-range")));
        }
    }
    wrong
}

#[test]
fn parts_are_compared_without_their_boundary() {
    let answer = |boundary: &str, body: &str| {
        Response {
        status: 206,
        headers: BTreeMap::from([(
            "content-type".to_owned(),
            format!("multipart/byteranges; boundary={boundary}"),
        )]),
        body: format!(
            "\r\n--{boundary}\r\nContent-Type: a/b\r\nContent-Range: bytes 0-1/9\r\n\r\n{body}\
             \r\n--{boundary}\r\nContent-Type: a/b\r\nContent-Range: bytes 4-4/9\r\n\r\nz\r\n--{boundary}--\r\n"
        )
        .into_bytes(),
    }
    };
    let request = Request {
        method: "GET",
        target: String::new(),
        version: "HTTP/1.1",
        headers: Vec::new(),
        tags: Vec::new(),
        file: None,
    };
    assert!(differences(&request, &answer("1", "xy"), &answer("2", "xy")).is_empty());
    assert_eq!(differences(&request, &answer("1", "xy"), &answer("2", "xx")).len(), 1);
    assert!(falsehoods(&request, &answer("1", "xy"), Some(b"xy--z----")).is_empty());
    assert_eq!(falsehoods(&request, &answer("1", "xy"), Some(b"xx--z----")).len(), 1);
}
