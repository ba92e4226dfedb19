//! Editions as text: what a channel publishes, written once for every way of delivery.

pub mod dash;
mod dates;
pub(super) mod keys;
pub mod hls;
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
        let (whole, micros) = (self.0 / 1_000_000, self.0 % 1_000_000);
        let digits = format!("{micros:06}");
        let digits = digits.trim_end_matches('0');
        write!(f, "{whole}.{}", if digits.is_empty() { "0" } else { digits })
    }
}

/// Microseconds since 1970, as ISO 8601 writes them, to the millisecond.
#[derive(Clone, Copy, Debug)]
pub(super) struct Date(pub(super) i64);

impl std::fmt::Display for Date {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let millis = u64::try_from(self.0).unwrap_or(0) / 1000;
        let (days, millis) = (millis / 86_400_000, millis % 86_400_000);
        let (year, month, day) = civil(days);
        let (seconds, millis) = (millis / 1000, millis % 1000);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
    }
}
