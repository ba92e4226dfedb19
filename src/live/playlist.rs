//! Editions as text: what a channel publishes, written once for every way of delivery.

pub mod dash;
mod dates;
pub(super) mod keys;
pub mod hls;
pub mod ladder;
pub mod linear;
pub mod multivariant;
pub mod name;

use std::fmt::Write as _;

use super::timeline::Timeline;
use crate::units::civil;

/// Name of a playlist of a channel of assets.
pub const PLAIN: &str = "index.m3u8";
/// Name of a rendition's low-latency playlist without what a player has had since long.
pub const DELTA: &str = "delta.m3u8";
/// Name of the same without the date ranges either that a player has had since long.
pub const DELTA_OF_DATES: &str = "delta2.m3u8";

/// The length of the longest segment to the nearest second: `EXT-X-TARGETDURATION`. A playlist with
/// another one has another name.
#[must_use]
pub fn target_seconds(timeline: &Timeline) -> u64 {
    name::target_of(timeline.longest())
}

pub(super) fn put(text: &mut String, what: std::fmt::Arguments<'_>) {
    text.write_fmt(what).expect("a string takes everything");
}

/// Microseconds, as a decimal number of seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seconds(pub(super) u64);

impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut digits = [0; 6];
        let digits = decimal(self.0 % 1_000_000, &mut digits).trim_end_matches('0');
        write!(f, "{}.{}", self.0 / 1_000_000, if digits.is_empty() { "0" } else { digits })
    }
}

/// The last digits of a number, as many as there is room for. Times are most of a playlist, which
/// is written anew for every part; to ask the formatter for each of their fields takes as long as
/// all the rest.
fn decimal(mut number: u64, digits: &mut [u8]) -> &str {
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789"[(number % 10) as usize];
        number /= 10;
    }
    str::from_utf8(digits).expect("digits are ASCII")
}

/// Microseconds since 1970, as ISO 8601 writes them, to the millisecond; up to the year 9999.
#[derive(Clone, Copy, Debug)]
pub(super) struct Date(pub(super) i64);

impl std::fmt::Display for Date {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let millis = u64::try_from(self.0).unwrap_or(0) / 1000;
        let (days, millis) = (millis / 86_400_000, millis % 86_400_000);
        let (year, month, day) = civil(days);
        let (seconds, millis) = (millis / 1000, millis % 1000);
        let fields = [
            (0..4, year),
            (5..7, month),
            (8..10, day),
            (11..13, seconds / 3600),
            (14..16, seconds / 60 % 60),
            (17..19, seconds % 60),
            (20..23, millis),
        ];
        let mut text = *b"0000-00-00T00:00:00.000Z";
        for (place, number) in fields {
            decimal(number, &mut text[place]);
        }
        f.write_str(str::from_utf8(&text).expect("digits are ASCII"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_end_with_their_last_digit() {
        let shown = |micros| Seconds(micros).to_string();
        assert_eq!(shown(0), "0.0");
        assert_eq!(shown(2_000_000), "2.0");
        assert_eq!(shown(500_000), "0.5");
        assert_eq!(shown(1_920_001), "1.920001");
        assert_eq!(shown(12_000_340), "12.00034");
        assert_eq!(shown(u64::MAX), "18446744073709.551615");
    }

    #[test]
    fn dates_are_to_the_millisecond() {
        assert_eq!(Date(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Date(-1).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Date(1_709_251_199_999_999).to_string(), "2024-02-29T23:59:59.999Z");
    }
}
