//! Whether a request that takes a token, and has none of ours, carries one of others: then control
//! may exchange it.
//!
//! Only a request that would be refused comes here, and only where the config names tokens of
//! others is anything looked at. The head is read once more for that, since nobody else needs its
//! cookies.

use super::parse::{Method, Request};
use crate::config::HEADER_LINES_MAX;
use crate::viewer::foreign::carrier::Watched;

/// Whether control is to be asked; `head` is the whole head of the request.
#[must_use]
pub fn may_be_exchanged(request: &Request<'_>, head: &[u8], watched: &Watched) -> bool {
    if watched.is_empty() || !matches!(request.method, Method::Get | Method::Head) {
        return false;
    }
    let (Ok(path), Ok(query)) = (str::from_utf8(request.path), str::from_utf8(request.query))
    else {
        return false;
    };
    let mut lines = [httparse::EMPTY_HEADER; HEADER_LINES_MAX];
    let mut parsed = httparse::Request::new(&mut lines);
    let is_read = parsed.parse(head).is_ok_and(|status| status.is_complete());
    let lines = parsed.headers.iter().map(|line| (line.name, line.value));
    is_read && watched.sees(path, query, lines)
}
