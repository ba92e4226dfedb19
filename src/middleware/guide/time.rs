//! Times as guides write them: `YYYYMMDDhhmmss +hhmm`, or the beginning of it.
//!
//! XMLTV's DTD lets writers leave out what they do not know, from the right, and takes a time
//! without an offset for UTC. Many write their own time and say nothing, so a source can have an
//! offset for those.

use crate::units::{UnixTime, civil};

/// Most minutes that a place is ahead of UTC, or behind it (Kiritimati; 12 the other way).
const OFFSET_MINUTES_MAX: i64 = 14 * 60;

/// The last year that is taken for one; 9999 stands for `until further notice`.
const YEARS: std::ops::RangeInclusive<i64> = 1971..=2200;

/// The time that a text says; where it says no offset it is ahead of UTC by so many minutes. None =
/// it is no time.
#[must_use]
pub fn read(text: &str, unsaid_minutes: i32) -> Option<UnixTime> {
    let text = text.trim_ascii();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (time, zone) = text.split_at(digits);
    if !matches!(digits, 4 | 6 | 8 | 10 | 12 | 14) {
        return None;
    }
    let number = |from: usize, size: usize, unsaid: i64| {
        time.get(from..from + size).map_or(Some(unsaid), |digits| digits.parse::<i64>().ok())
    };
    let (year, month, day) = (number(0, 4, 0)?, number(4, 2, 1)?, number(6, 2, 1)?);
    let (hour, minute, second) = (number(8, 2, 0)?, number(10, 2, 0)?, number(12, 2, 0)?);
    let is_date = YEARS.contains(&year) && (1..=days_of(year, month)?).contains(&day);
    // A leap second is the one before it, as for all that counts days of 86,400.
    if !is_date || hour > 24 || minute > 59 || second > 60 {
        return None;
    }
    // Some end a day at its 24th hour.
    if hour == 24 && (minute, second) != (0, 0) {
        return None;
    }
    let minutes = match zone.trim_ascii() {
        "" => i64::from(unsaid_minutes),
        zone => offset(zone)?,
    };
    let local = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second.min(59);
    u64::try_from(local - minutes * 60).ok().map(UnixTime)
}

/// Minutes ahead of UTC.
fn offset(zone: &str) -> Option<i64> {
    let named = match zone {
        "UTC" | "GMT" | "Z" | "WET" => Some(0),
        "BST" | "CET" | "WEST" => Some(60),
        "CEST" | "EET" => Some(120),
        "EEST" | "MSK" => Some(180),
        _ => None,
    };
    if named.is_some() {
        return named;
    }
    let (sign, digits) = match zone.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match (digits.len(), digits.split_once(':')) {
        (_, Some((hours, minutes))) => (hours, minutes),
        (4, None) => digits.split_at_checked(2)?,
        (2, None) => (digits, "00"),
        _ => return None,
    };
    let number = |text: &str| {
        let is_number = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<i64>().ok().filter(|_| is_number)
    };
    let (hours, minutes) = (number(hours)?, number(minutes).filter(|&of| of < 60)?);
    let minutes = hours * 60 + minutes;
    (minutes <= OFFSET_MINUTES_MAX).then_some(sign * minutes)
}

fn days_of(year: i64, month: i64) -> Option<i64> {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        4 | 6 | 9 | 11 => Some(30),
        2 => Some(if is_leap { 29 } else { 28 }),
        1..=12 => Some(31),
        _ => None,
    }
}

/// Days since 1970, as `civil` counts them the other way.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let from_march = (month + 9) % 12;
    let of_year = (153 * from_march + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// A time as guides write it, in UTC.
#[must_use]
pub fn written(time: UnixTime) -> String {
    let (year, month, day) = civil(time.0 / 86_400);
    let second = time.0 % 86_400;
    let (hour, minute) = (second / 3600, second / 60 % 60);
    format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{:02} +0000", second % 60)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_are_read_with_their_offsets_and_without() {
        for (text, unsaid, expected) in [
            ("20261127200000 +0000", 0, Some("2026-11-27T20:00:00Z")),
            ("20261127200000 +0100", 0, Some("2026-11-27T19:00:00Z")),
            ("20261127200000 -0530", 0, Some("2026-11-28T01:30:00Z")),
            ("20261127200000 +05:30", 0, Some("2026-11-27T14:30:00Z")),
            ("20261127200000+0100", 0, Some("2026-11-27T19:00:00Z")),
            ("20261127200000 +01", 0, Some("2026-11-27T19:00:00Z")),
            (" 20261127200000  CET ", 0, Some("2026-11-27T19:00:00Z")),
            ("20261127200000 UTC", 60, Some("2026-11-27T20:00:00Z")),
            ("20261127200000 Z", 60, Some("2026-11-27T20:00:00Z")),
            ("20261127200000", 0, Some("2026-11-27T20:00:00Z")),
            ("20261127200000", 60, Some("2026-11-27T19:00:00Z")),
            ("202611272000", 0, Some("2026-11-27T20:00:00Z")),
            ("2026112720", 0, Some("2026-11-27T20:00:00Z")),
            ("20261127", -60, Some("2026-11-27T01:00:00Z")),
            ("202611", 0, Some("2026-11-01T00:00:00Z")),
            ("2026", 0, Some("2026-01-01T00:00:00Z")),
            ("20240229000000", 0, Some("2024-02-29T00:00:00Z")),
            ("20260101000000 +1400", 0, Some("2025-12-31T10:00:00Z")),
            ("20260630235960 +0000", 0, Some("2026-06-30T23:59:59Z")),
            ("20261127240000 +0000", 0, Some("2026-11-28T00:00:00Z")),
            // Both nights on which Berlin's clocks are changed.
            ("20260329015959 +0100", 0, Some("2026-03-29T00:59:59Z")),
            ("20260329030000 +0200", 0, Some("2026-03-29T01:00:00Z")),
            ("20261025023000 +0200", 0, Some("2026-10-25T00:30:00Z")),
            ("20261025023000 +0100", 0, Some("2026-10-25T01:30:00Z")),
        ] {
            let read = read(text, unsaid).map(UnixTime::iso);
            assert_eq!(read.as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            " ",
            "+0100",
            "20260229000000 +0000",
            "20261301000000",
            "20260001",
            "20260100",
            "20261127250000",
            "20261127240001",
            "20261127206000",
            "20261127200061",
            "99990101000000 +0000",
            "00000101000000",
            "2026112720000",
            "202611272000000",
            "20261127200000 +1401",
            "20261127200000 -1500",
            "20261127200000 +0160",
            "20261127200000 +1",
            "20261127200000 +１２00",
            "20261127200000 Mars",
            "-20261127200000",
            "２０２６",
            "2026-11-27T20:00:00Z",
        ] {
            assert_eq!(read(text, 0), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(second in 40_000_000_u64..7_000_000_000, unsaid in -840_i32..=840) {
            prop_assert_eq!(read(&written(UnixTime(second)), unsaid), Some(UnixTime(second)));
        }

        #[test]
        fn no_text_breaks_it(text in "\\PC{0,40}") {
            let _ = read(&text, 0);
        }
    }
}
