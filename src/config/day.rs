//! Times of day as people write them, and how far a place's day is ahead of UTC. Pure.
//!
//! A place is told by its offset and not by its name: its days all have 24 hours, so that what is
//! on follows from the clock alone, on every server.

/// Seconds of a day.
pub const DAY_SECONDS: u32 = 86_400;

/// Minutes that a place may be ahead of UTC (Kiritimati), and behind it (Baker Island).
const AHEAD_MAX: i32 = 14 * 60;
const BEHIND_MAX: i32 = 12 * 60;

/// Seconds since midnight of "20:15" or "20:15:30".
///
/// # Errors
///
/// It is no time of a day.
pub fn time_of_day(text: &str) -> Result<u32, String> {
    let seconds = match text.len() {
        5 => pair(text, ':').map(|(hours, minutes)| hours * 3600 + minutes * 60),
        8 => text.rsplit_once(':').and_then(|(rest, seconds)| {
            let (hours, minutes) = pair(rest, ':')?;
            Some(hours * 3600 + minutes * 60 + number(seconds).filter(|seconds| *seconds < 60)?)
        }),
        _ => None,
    };
    let is_in_day = |seconds: &u32| *seconds < DAY_SECONDS;
    let wrong = || format!("{text:?} is no time of a day (write \"20:15\" or \"20:15:30\")");
    seconds.filter(is_in_day).ok_or_else(wrong)
}

/// The shortest way to write it.
#[must_use]
pub fn time_text(seconds: u32) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match seconds {
        0 => format!("{hours:02}:{minutes:02}"),
        _ => format!("{hours:02}:{minutes:02}:{seconds:02}"),
    }
}

/// Minutes that "+01:00" is ahead of UTC; "UTC" is none.
///
/// # Errors
///
/// No place has such an offset.
pub fn utc_offset(text: &str) -> Result<i32, String> {
    if text == "UTC" {
        return Ok(0);
    }
    let minutes = |rest: &str| {
        let (hours, minutes) = pair(rest, ':').filter(|_| rest.len() == 5)?;
        i32::try_from(hours * 60 + minutes).ok()
    };
    let offset = match text.split_at_checked(1) {
        Some(("+", rest)) => minutes(rest),
        Some(("-", rest)) => minutes(rest).map(|minutes| -minutes),
        _ => None,
    };
    let wrong = || format!("{text:?} is no offset (write \"+01:00\", \"-03:30\" or \"UTC\")");
    offset.filter(|offset| (-BEHIND_MAX..=AHEAD_MAX).contains(offset)).ok_or_else(wrong)
}

/// How it is written.
#[must_use]
pub fn offset_text(minutes: i32) -> String {
    let sign = if minutes < 0 { '-' } else { '+' };
    let minutes = minutes.unsigned_abs();
    format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

fn pair(text: &str, between: char) -> Option<(u32, u32)> {
    let (one, two) = text.split_once(between)?;
    Some((number(one)?, number(two).filter(|minutes| *minutes < 60)?))
}

/// Two digits.
fn number(text: &str) -> Option<u32> {
    let is_number = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_day_are_read_and_written() {
        for (text, seconds) in [("00:00", 0), ("20:15", 72_900), ("23:59:59", 86_399)] {
            assert_eq!(time_of_day(text), Ok(seconds));
            assert_eq!(time_text(seconds), text);
        }
        let wrong =
            ["24:00", "20:60", "20:15:60", "8:15", "20.15", "+8:15", "20:15 ", "", "\u{e4}:15"];
        for text in wrong {
            assert!(time_of_day(text).is_err(), "{text}");
        }
    }

    #[test]
    fn offsets_are_read_and_written() {
        for (text, minutes) in [("+00:00", 0), ("+05:45", 345), ("-03:30", -210), ("+14:00", 840)] {
            assert_eq!(utc_offset(text), Ok(minutes));
            assert_eq!(offset_text(minutes), text);
        }
        assert_eq!(utc_offset("UTC"), Ok(0));
        for text in
            ["01:00", "+1:00", "+01", "+14:01", "-12:01", "+01:60", "CET", "", "\u{2212}01:00"]
        {
            assert!(utc_offset(text).is_err(), "{text}");
        }
    }
}
