//! Conditional requests: the five fields in their order of precedence (RFC 9110, 13.2.2).

#[cfg(test)]
mod tests;

use std::time::UNIX_EPOCH;

use super::parse::Conditions;
use crate::units::{ETag, UnixTime};

/// What the conditions say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Send it; `range_applies` is false if an If-Range failed.
    Proceed {
        /// Whether a Range field counts.
        range_applies: bool,
    },
    /// 304.
    NotModified,
    /// 412.
    Failed,
}

/// Judges the conditions against the chosen encoding's tag and the object's date. All our methods
/// are safe ones, so a match of If-None-Match is always 304.
#[must_use]
pub fn verdict(conditions: &Conditions<'_>, etag: ETag, modified: UnixTime) -> Verdict {
    if *conditions == Conditions::default() {
        return Verdict::Proceed { range_applies: true };
    }
    let tag = etag.wire();
    // RFC 9110, 13.2.2, in its order. A date that is none is as good as absent.
    let fulfilled = match (conditions.if_match, conditions.if_unmodified_since) {
        (Some(tags), _) => is_listed(tags, &tag, Comparison::Strong),
        (None, Some(date)) => parsed_date(date).is_none_or(|date| modified <= date),
        (None, None) => true,
    };
    if !fulfilled {
        return Verdict::Failed;
    }
    let known = match (conditions.if_none_match, conditions.if_modified_since) {
        (Some(tags), _) => is_listed(tags, &tag, Comparison::Weak),
        (None, Some(date)) => parsed_date(date).is_some_and(|date| modified <= date),
        (None, None) => false,
    };
    if known {
        return Verdict::NotModified;
    }
    Verdict::Proceed {
        range_applies: conditions.if_range.is_none_or(|held| is_same(held, &tag, modified)),
    }
}

/// Whether If-Range names exactly what we have (RFC 9110, 13.1.5): our tag, strongly compared, or
/// the very date of Last-Modified.
///
/// A date is a strong validator only if the object cannot have changed twice in that second
/// (8.8.2.2). Objects of packs never change. What folders rewrite that fast are playlists, which
/// players ask for whole; a media file there counts as complete only after it rested.
fn is_same(held: &[u8], tag: &[u8; ETag::WIRE_SIZE], modified: UnixTime) -> bool {
    match held.first() {
        Some(b'"') => held == tag,
        Some(b'W') if held.starts_with(b"W/") => false,
        _ => parsed_date(held) == Some(modified),
    }
}

/// How entity tags are compared (RFC 9110, 8.8.3.2).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Comparison {
    /// A weak tag equals nothing.
    Strong,
    /// `W/` makes no difference.
    Weak,
}

/// Whether our tag is in the list, or the list is `*`. A list that stops being one is read up to
/// there: what came before was said clearly.
fn is_listed(list: &[u8], tag: &[u8; ETag::WIRE_SIZE], comparison: Comparison) -> bool {
    if list == b"*" {
        return true;
    }
    let mut rest = list;
    loop {
        rest = after_separators(rest);
        let (weak, quoted) = match rest.strip_prefix(b"W/") {
            Some(quoted) => (true, quoted),
            None => (false, rest),
        };
        let Some(opaque) = quoted.strip_prefix(b"\"") else { return false };
        // A comma may stand inside the quotes; a quote may not, and nothing is escaped.
        let Some(end) = memchr::memchr(b'"', opaque) else { return false };
        let (held, after) = quoted.split_at(end + 2);
        let comparable = !weak || comparison == Comparison::Weak;
        if comparable && held == tag {
            return true;
        }
        rest = after;
    }
}

/// What follows the commas and white space.
fn after_separators(list: &[u8]) -> &[u8] {
    let is_separator = |byte: &u8| matches!(byte, b',' | b' ' | b'\t');
    let start = list.iter().position(|byte| !is_separator(byte)).unwrap_or(list.len());
    &list[start..]
}

/// A date in any of the three forms of RFC 9110, 5.6.7.
fn parsed_date(date: &[u8]) -> Option<UnixTime> {
    let date = httpdate::parse_http_date(str::from_utf8(date).ok()?).ok()?;
    let since = date.duration_since(UNIX_EPOCH).ok()?;
    Some(UnixTime(since.as_secs()))
}
