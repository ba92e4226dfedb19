//! Moments as clients of others write them: text in, seconds since 1970 out.
//!
//! ```text
//! 1795651200 · 1795651200000                         seconds, milliseconds
//! 2026-11-26:20-15 · 2026-11-26:20-15-30             as the Xtream API has it
//! 2026-11-26_20-15 · 2026-11-26 20:15 · …:20:15:30   as its clients have it, too
//! 2026-11-26T20:15:30Z · 2026-11-26T21:15+01:00      ISO 8601, also in its basic form
//! ```
//!
//! What names no offset is UTC: it is the zone that the server says it is in.

use crate::units::UnixTime;

const DAY_SECONDS: u64 = 86_400;

/// The moment that a text says; none if it says none. Fractions of a second are left out.
#[must_use]
pub fn moment(text: &str) -> Option<u64> {
    let text = text.trim();
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return match text.len() {
            10 => text.parse().ok(),
            13 => text.get(..10)?.parse().ok(),
            _ => None,
        };
    }
    let (day, rest) = day(text)?;
    let rest = rest.strip_prefix([':', '_', ' ', '+', 'T', 't'])?;
    let (seconds, rest) = time(rest)?;
    // Offsets reach a day in either direction, and no moment lies before 1970.
    (day + seconds).checked_add_signed(-offset(rest)?)
}

/// The seconds before a day, and what stands behind it.
fn day(text: &str) -> Option<(u64, &str)> {
    let (date, rest) = match text.get(..10) {
        Some(date) if UnixTime::of_iso(date).is_some() => (date.to_owned(), &text[10..]),
        _ => {
            let digits = text.get(..8).filter(|digits| is_digits(digits))?;
            (format!("{}-{}-{}", &digits[..4], &digits[4..6], &digits[6..]), &text[8..])
        }
    };
    UnixTime::of_iso(&date).map(|at| (at.0, rest))
}

/// The seconds of a time of day, and what stands behind it. Its parts are parted by one character.
fn time(text: &str) -> Option<(u64, &str)> {
    let (hour, rest) = two(text, 24)?;
    let separator = rest.chars().next().filter(|first| matches!(first, ':' | '-'));
    let part = |rest: &'_ str| match separator {
        Some(separator) => rest.strip_prefix(separator).and_then(|rest| two_of(rest, 60)),
        None => two_of(rest, 60),
    };
    let (minute, used) = part(rest)?;
    let rest = &rest[used + usize::from(separator.is_some())..];
    let seconds = hour * 3600 + minute * 60;
    let Some((second, used)) = part(rest) else { return Some((seconds, rest)) };
    let rest = &rest[used + usize::from(separator.is_some())..];
    let fraction = rest.strip_prefix(['.', ',']);
    let rest = fraction.map_or(rest, |rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
    Some((seconds + second, rest))
}

/// A number of two digits below a limit, and how many bytes it takes.
fn two_of(text: &str, limit: u64) -> Option<(u64, usize)> {
    two(text, limit).map(|(number, _)| (number, 2))
}

/// The same, and what stands behind it.
fn two(text: &str, limit: u64) -> Option<(u64, &str)> {
    let digits = text.get(..2).filter(|digits| is_digits(digits))?;
    let number = digits.parse().ok().filter(|number| *number < limit)?;
    Some((number, &text[2..]))
}

/// Seconds by which local time is ahead of UTC. A plus sign in a query reads as a space.
fn offset(text: &str) -> Option<i64> {
    let (sign, rest) = match text.chars().next() {
        None => return Some(0),
        Some('Z' | 'z') if text.len() == 1 => return Some(0),
        Some('+' | ' ') => (1, &text[1..]),
        Some('-') => (-1, &text[1..]),
        Some(_) => return None,
    };
    let (hours, rest) = two(rest, DAY_SECONDS / 3600)?;
    let minutes = match rest.strip_prefix(':').unwrap_or(rest) {
        "" if rest.is_empty() => 0,
        rest => two(rest, 60).filter(|(_, rest)| rest.is_empty())?.0,
    };
    Some(sign * i64::try_from(hours * 3600 + minutes * 60).ok()?)
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}
