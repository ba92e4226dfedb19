//! Which part of the server a request is for: the path, decoded once, split at its first element.

#[cfg(test)]
mod tests;

use super::parse::{BodyFraming, Method, Request};
use super::refusal::Refusal;
use super::start::Start;
use crate::config::TARGET_SIZE_MAX;
use crate::live::catchup::dialect;
use crate::units::split_first;

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'t> {
    /// `/vod/{path}`: an object of a library. The path is decoded.
    Vod {
        /// What follows `/vod/`.
        path: &'t str,
        /// The token of `/s/{token}/vod/…`.
        token: Option<&'t str>,
    },
    /// Live.
    Live {
        /// The path, with its first element: `/tv/news/video/1.m4s`.
        path: &'t str,
        /// What follows `?`.
        query: &'t [u8],
        /// The token of `/s/{token}/tv/…`.
        token: Option<&'t str>,
    },
    /// `/live/{user}/{password}/{number}` and its like: what an app starts.
    Start(Start<'t>),
    /// `/slate/{slate}/{name}`: what refused viewers see.
    Slate {
        /// The path, with its first element.
        path: &'t str,
    },
    /// `/img/{picture}-{width}.jpg`: everybody's.
    Picture {
        /// The path, with its first element.
        path: &'t str,
    },
    /// `/healthz`.
    Health,
    /// `/tv/clock`: the time, for players of DASH.
    Clock,
    /// OPTIONS: of the server, or a preflight for any path.
    Options,
    /// Paths that control answers.
    Control,
}

/// The target of a request. `scratch` takes the decoded path where it holds escapes.
///
/// # Errors
///
/// `Malformed` for a path that hides what it means (see `unescaped`), `MethodNotAllowed`,
/// `BodyTooLarge` for a body where none belongs, `NotFound` for a path of nobody.
pub fn target<'t>(
    request: &Request<'t>,
    scratch: &'t mut [u8; TARGET_SIZE_MAX],
) -> Result<Target<'t>, Refusal> {
    let takes_body = request.method == Method::Post;
    if !takes_body && !matches!(request.body, BodyFraming::Empty | BodyFraming::Length(0)) {
        return Err(Refusal::BodyTooLarge);
    }
    if request.path == b"*" {
        return Ok(Target::Options);
    }
    let plain = is_plain(request.path);
    let path = if plain { text(request.path)? } else { unescaped(request.path, scratch)? };
    if request.method == Method::Options {
        return Ok(Target::Options);
    }
    // A token is where everybody sees it, or it is none.
    if !plain && path.starts_with("/s/") && !request.path.starts_with(b"/s/") {
        return Err(Refusal::NotFound);
    }
    // An empty element names nothing.
    let owner = if plain || !path.contains("//") { owner(path) } else { None };
    match owner {
        Some(Target::Control) => Ok(Target::Control),
        // Its body is not read, so it could be taken for the next request: refused and closed
        // even where a GET would only miss.
        _ if takes_body => Err(Refusal::MethodNotAllowed),
        Some(Target::Live { path, token, .. }) => {
            Ok(Target::Live { path, query: request.query, token })
        }
        Some(target) => Ok(target),
        // What is live elsewhere at such a path is not here, but its past may be.
        None if asks_for_past(path, request.query) => Ok(Target::Control),
        None => Err(Refusal::NotFound),
    }
}

/// Whose path this is; `None` if nobody's.
fn owner(path: &str) -> Option<Target<'_>> {
    if let Some(target) = media(path, None) {
        return Some(target);
    }
    let (first, rest) = split_first(path.strip_prefix('/')?, b'/');
    match (first, rest) {
        ("healthz", "") if path == "/healthz" => Some(Target::Health),
        ("slate", _) => Some(Target::Slate { path }),
        ("img", _) => Some(Target::Picture { path }),
        ("s", rest) => {
            let at = memchr::memchr(b'/', rest.as_bytes()).filter(|&at| at > 0)?;
            let below = &rest[at..];
            let is_catch_up = || is_catch_up(below).then_some(Target::Control);
            media(below, Some(&rest[..at])).or_else(is_catch_up)
        }
        // The console has a port of its own.
        ("tv" | "vod" | "admin" | "healthz", _) => None,
        ("portal" | "hdhr" | "api" | "timeshift", _) => Some(Target::Control),
        _ => match Start::of_path(path) {
            Some(start) => Some(Target::Start(start)),
            None => is_control(path, first, rest).then_some(Target::Control),
        },
    }
}

/// Video on demand and live, which are most of what is asked for.
fn media<'t>(path: &'t str, token: Option<&'t str>) -> Option<Target<'t>> {
    if let Some(path) = path.strip_prefix("/vod/") {
        return Some(Target::Vod { path, token });
    }
    if path == "/tv/clock" {
        // It is no secret, so a token in front of it is nobody's business.
        return Some(Target::Clock);
    }
    path.starts_with("/tv/").then_some(Target::Live { path, query: b"", token })
}

/// Pages of the Xtream-compatible API; they have nothing below them.
const PAGES: [&str; 6] = [
    "/player_api.php",
    "/panel_api.php",
    "/get.php",
    "/xmltv.php",
    "/timeshift.php",
    "/streaming/timeshift.php",
];

/// Addresses of other panels that control redirects or answers.
fn is_control(path: &str, first: &str, rest: &str) -> bool {
    if PAGES.contains(&path) {
        return true;
    }
    if first.is_empty() || first == "streaming" || first.ends_with(".php") {
        return false;
    }
    !rest.contains('/') && dialect::is_name(rest)
}

/// Whether the path is one of Flussonic's for what is past: `/{channel}/archive-…`.
fn is_catch_up(path: &str) -> bool {
    let below = path.strip_prefix('/').and_then(|path| path.split_once('/'));
    below.is_some_and(|(channel, name)| !channel.is_empty() && dialect::is_name(name))
}

/// Whether the path is that of something live elsewhere, `/{channel}/index.m3u8`, with a query that
/// asks for what is past.
fn asks_for_past(path: &str, query: &[u8]) -> bool {
    let below = path.strip_prefix("/s/").and_then(|rest| rest.find('/').map(|at| &rest[at..]));
    dialect::asks(below.unwrap_or(path), query)
}

/// Whether the path stands for itself: no escape, no backslash, no empty element and none that
/// begins with a dot. Nearly all do. No other byte can be wrong here: `parse` lets nothing into a
/// target but visible ASCII.
///
/// Two passes without a branch, which the compiler turns into comparisons of 16 bytes at once.
fn is_plain(raw: &[u8]) -> bool {
    let odd = |byte: u8| byte == b'%' || byte == b'\\';
    let odd_bytes = raw.iter().fold(false, |seen, &byte| seen | odd(byte));
    let odd_pair = |one: u8, next: u8| (one == b'/') & ((next == b'.') | (next == b'/'));
    let pairs = raw.iter().zip(&raw[1..]);
    let odd_pairs = pairs.fold(false, |seen, (&one, &next)| seen | odd_pair(one, next));
    !odd_bytes && !odd_pairs
}

/// The path, decoded once (RFC 3986, 2.1); what comes out is what is looked up, and nobody decodes
/// again.
///
/// Refused is what some reader could take for another path: `.` and `..`, encoded or not; an
/// encoded `/`; a backslash; NUL and other control characters; escapes or bytes that are not
/// UTF-8, overlong forms included; an escape that is none.
///
/// # Errors
///
/// `Malformed`.
pub fn unescaped<'t>(
    raw: &[u8],
    scratch: &'t mut [u8; TARGET_SIZE_MAX],
) -> Result<&'t str, Refusal> {
    let mut size = 0;
    let mut rest = raw;
    while let [first, after @ ..] = rest {
        (scratch[size], rest) = match (first, after) {
            (b'%', [high, low, after @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, after),
                _ => return Err(Refusal::Malformed),
            },
            (0x21..=0x7e, after) if *first != b'%' => (*first, after),
            _ => return Err(Refusal::Malformed),
        };
        let encoded_slash = *first == b'%' && scratch[size] == b'/';
        if encoded_slash || scratch[size] == b'\\' {
            return Err(Refusal::Malformed);
        }
        size += 1;
    }
    let path = text(&scratch[..size])?;
    let climbs = path.split('/').any(|element| matches!(element, "." | ".."));
    if climbs || path.contains(char::is_control) {
        return Err(Refusal::Malformed);
    }
    Ok(path)
}

fn text(path: &[u8]) -> Result<&str, Refusal> {
    str::from_utf8(path).map_err(|_| Refusal::Malformed)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}
