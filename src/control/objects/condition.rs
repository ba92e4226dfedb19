//! `If-Match` (RFC 9110, 13.1.1), where entity tags are revisions.

use axum::http::{HeaderMap, StatusCode, header};

use super::{Problem, Unwritten, refused};
use crate::control::registry::{Expected, Object};

/// What `If-Match` asks for.
#[derive(Clone)]
pub(super) enum Condition {
    /// That there is something.
    Any,
    /// One of these revisions.
    At(Vec<u64>),
}

impl Condition {
    pub(super) fn expected(self, found: Option<&Object>) -> Result<Expected, Unwritten> {
        let found = found.ok_or(Unwritten::Stale)?.revision;
        match self {
            Self::At(revisions) if !revisions.contains(&found.0) => Err(Unwritten::Stale),
            _ => Ok(Expected::At(found)),
        }
    }
}

/// What a request asks for, if it does.
pub(super) fn condition(headers: &HeaderMap) -> Result<Option<Condition>, Problem> {
    let wrong = || refused(StatusCode::BAD_REQUEST, "If-Match: this is no list of entity tags");
    let Some(value) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let value = value.to_str().map_err(|_| wrong())?.trim();
    if value == "*" {
        return Ok(Some(Condition::Any));
    }
    let tag = |tag: &str| -> Option<u64> {
        // A weak tag matches nothing (RFC 9110, 8.8.3.2); neither does one that is none of ours.
        let tag = tag.trim();
        let tag = tag.strip_prefix("W/").map_or(tag, |_| "\"\"");
        let inner = tag.strip_prefix('"')?.strip_suffix('"')?;
        Some(inner.parse().unwrap_or(u64::MAX))
    };
    let tags: Option<Vec<_>> = value.split(',').map(tag).collect();
    tags.map(|tags| Some(Condition::At(tags))).ok_or_else(wrong)
}
