//! Small types of the domain: times, sizes, tags and media types.
//!
//! Plain values without behaviour beyond reading and writing themselves. They know no clock: a
//! time comes in from the driver, which asks the kernel once a turn.

use std::fmt;

/// 1,024 bytes.
pub const KIB: usize = 1024;
/// 1,048,576 bytes.
pub const MIB: usize = 1024 * KIB;
/// The unit of payload alignment, and of residency.
pub const PAGE_SIZE: usize = 4 * KIB;

/// Seconds since 1970-01-01T00:00:00Z, without leap seconds; real time, so it may jump.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime(pub u64);

impl UnixTime {
    /// The time as ISO 8601 writes it: `2027-01-15T08:00:00Z`.
    #[must_use]
    pub fn iso(self) -> String {
        let (year, month, day) = civil(self.0 / 86_400);
        let (hour, minute, second) = (self.0 / 3600 % 24, self.0 / 60 % 60, self.0 % 60);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

impl UnixTime {
    /// The time that ISO 8601 writes so: `2027-01-15T08:00:00Z`, or `2027-01-15` for its beginning.
    #[must_use]
    pub fn of_iso(text: &str) -> Option<Self> {
        let number = |from: usize, to: usize| -> Option<u64> {
            let digits = text.get(from..to)?;
            let all = digits.bytes().all(|byte| byte.is_ascii_digit());
            all.then(|| digits.parse().ok()).flatten()
        };
        let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
        let separators = |at: &[usize], byte: u8| at.iter().all(|at| text.as_bytes()[*at] == byte);
        if !separators(&[4, 7], b'-') || year < 1970 {
            return None;
        }
        // The days up to a year's first, and then as many as it takes.
        let mut days = (year - 1970) * 365;
        while civil(days) < (year, month, day) {
            days += 1;
        }
        if civil(days) != (year, month, day) {
            return None;
        }
        let seconds = match text.len() {
            10 => 0,
            20 if text.as_bytes()[10] == b'T' && text.ends_with('Z') => {
                let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
                let is_time =
                    separators(&[13, 16], b':') && hour < 24 && minute < 60 && second < 60;
                is_time.then_some(hour * 3600 + minute * 60 + second)?
            }
            _ => return None,
        };
        Some(Self(days * 86_400 + seconds))
    }
}

/// Year, month and day of the month of a day since 1970, in the Gregorian calendar.
///
/// Years begin in March here, so that the leap day is a year's last, and lengths of months follow
/// the pattern of 153 days in five months. An era is 400 years, which are always 146,097 days.
#[must_use]
pub fn civil(days: u64) -> (u64, u64, u64) {
    // 719,468 days lie between 1 March of the year 0 and the epoch.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let leap_days = day_of_era / 1_460 - day_of_era / 36_524 + day_of_era / 146_096;
    let year_of_era = (day_of_era - leap_days) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let (month, next_year) = match month_from_march {
        0..=9 => (month_from_march + 3, 0),
        _ => (month_from_march - 9, 1),
    };
    (era * 400 + year_of_era + next_year, month, day)
}

/// Milliseconds of the monotonic clock since the process began. Never jumps, never runs back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticks(pub u64);

impl Ticks {
    /// This moment plus `ms` milliseconds.
    #[must_use]
    pub const fn plus(self, ms: u64) -> Self {
        Self(self.0 + ms)
    }

    /// Milliseconds from `earlier` to this moment; 0 if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// What the driver knows of time in one turn of its loop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// For dates, token expiry, `Last-Modified`.
    pub unix: UnixTime,
    /// Milliseconds of the current second, for those who set their clock by ours.
    pub millis: u16,
    /// For deadlines and rates.
    pub ticks: Ticks,
    /// Nanoseconds of the monotonic clock, for latencies only.
    pub nanos: u64,
}

impl Now {
    /// So long after 1970, at these nanoseconds of the monotonic clock.
    #[must_use]
    pub fn of(unix: std::time::Duration, nanos: u64) -> Self {
        let millis = u16::try_from(unix.subsec_millis()).expect("below 1,000");
        Self { unix: UnixTime(unix.as_secs()), millis, ticks: Ticks(nanos / 1_000_000), nanos }
    }
}

/// What a rendition takes, as far as caps of bit rates ask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rung {
    /// Kilobits a second, rounded up; 0 = nobody knows.
    pub kbps: u32,
    /// Whether caps hold for it: sounds, subtitles and the lowest of the pictures are everybody's.
    pub is_capped: bool,
}

impl Rung {
    /// Of what is had with either of them.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match self.least_cap_kbps() <= other.least_cap_kbps() {
            true => self,
            false => other,
        }
    }

    /// The least cap with which it may be had, in kilobits a second.
    #[must_use]
    pub const fn least_cap_kbps(self) -> u32 {
        if self.is_capped { self.kbps } else { 0 }
    }
}

/// A strong validator: 128 bits of the hash of the exact bytes (RFC 9110, 8.8.3).
///
/// On the wire it is 32 lower-case hexadecimal digits in double quotes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ETag(pub [u8; 16]);

impl ETag {
    /// Size of the tag on the wire, quotes included, in bytes.
    pub const WIRE_SIZE: usize = 34;

    /// The tag of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(xxhash_rust::xxh3::xxh3_128(bytes).to_be_bytes())
    }

    /// The tag as it stands in a header, quotes included.
    #[must_use]
    pub fn wire(&self) -> [u8; Self::WIRE_SIZE] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut wire = [b'"'; Self::WIRE_SIZE];
        for (index, byte) in self.0.iter().enumerate() {
            wire[1 + 2 * index] = DIGITS[usize::from(byte >> 4)];
            wire[2 + 2 * index] = DIGITS[usize::from(byte & 15)];
        }
        wire
    }
}

impl fmt::Debug for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.wire()).expect("hexadecimal digits are ASCII"))
    }
}

/// What is known of the way to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// The time to it and back, in microseconds.
    pub round_trip_us: u32,
    /// Bytes a second that it was last seen to take; 0 = not yet.
    pub rate: u64,
}

/// A stretch of a payload, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Extent {
    /// First byte, counted from the payload's start.
    pub offset: u64,
    /// How many bytes.
    pub size: u64,
}

/// Makes the tag of bytes that come in pieces: the same as of all of them at once.
#[derive(Clone, Default)]
pub struct Tagger(xxhash_rust::xxh3::Xxh3);

impl Tagger {
    /// Goes on with these bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The tag of what has come.
    #[must_use]
    pub fn tag(&self) -> ETag {
        ETag(self.0.digest128().to_be_bytes())
    }
}

impl fmt::Debug for Tagger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tagger({:?})", self.tag())
    }
}

/// One encoding of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variant {
    /// Where it lies in the payload.
    pub extent: Extent,
    /// Its strong tag.
    pub etag: ETag,
}

/// What a response carries, for metrics (the `class` label) and for caching rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Class {
    /// An HLS playlist.
    Playlist,
    /// A DASH manifest.
    Manifest,
    /// An initialisation segment.
    Init,
    /// A media segment, or a whole film.
    Segment,
    /// A part of a live segment.
    Part,
    /// An answer of the control plane.
    Api,
    /// Everything else, refusals included.
    Other,
}

impl Class {
    /// Every class, in the order of its number.
    pub const ALL: [Self; 7] = [
        Self::Playlist,
        Self::Manifest,
        Self::Init,
        Self::Segment,
        Self::Part,
        Self::Api,
        Self::Other,
    ];

    /// The value of the `class` label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Playlist => "playlist",
            Self::Manifest => "manifest",
            Self::Init => "init",
            Self::Segment => "segment",
            Self::Part => "part",
            Self::Api => "api",
            Self::Other => "other",
        }
    }

    /// The class of a file, from its name alone.
    #[must_use]
    pub fn of(path: &str) -> Self {
        let name = split_last(path, b'/').1;
        let extension = extension(name);
        if is_any(extension, &["m3u8", "m3u"]) {
            Self::Playlist
        } else if is_any(extension, &["mpd", "mpp"]) {
            Self::Manifest
        } else if is_any(extension, &["init", "cmfi"])
            || (is_any(extension, &["mp4", "m4s", "m4v", "m4a", "cmfv", "cmfa", "cmft"])
                && name.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("init")))
        {
            Self::Init
        } else if is_any(extension, SEGMENT_EXTENSIONS) {
            Self::Segment
        } else {
            Self::Other
        }
    }
}

/// Extensions of media: segments, and whole films, which are one long segment.
const SEGMENT_EXTENSIONS: &[&str] = &[
    "ts", "m2ts", "m4s", "mp4", "m4v", "m4a", "cmfv", "cmfa", "cmft", "aac", "ac3", "ec3", "mp3",
    "webm", "mkv", "mov", "vtt", "webvtt", "ttml", "opus", "flac",
];

/// The part of a file name after its last dot; empty if it has none.
/// What follows the last dot of a name; nothing if it has none.
#[must_use]
pub fn extension(name: &str) -> &str {
    memchr::memrchr(b'.', name.as_bytes()).map_or("", |at| &name[at + 1..])
}

/// What stands before the first of these bytes, and what behind it; all of it and nothing if there
/// is none. The byte is of ASCII.
///
/// Paths are split with every request, several times, and the standard library's search for a
/// character takes five times as long in texts so short.
#[must_use]
pub fn split_first(text: &str, byte: u8) -> (&str, &str) {
    let at = memchr::memchr(byte, text.as_bytes());
    at.map_or((text, ""), |at| (&text[..at], &text[at + 1..]))
}

/// What stands before the last of these bytes, and what behind it; nothing and all of it if there
/// is none. The byte is of ASCII.
#[must_use]
pub fn split_last(text: &str, byte: u8) -> (&str, &str) {
    let at = memchr::memrchr(byte, text.as_bytes());
    at.map_or(("", text), |at| (&text[..at], &text[at + 1..]))
}

fn is_any(extension: &str, of: &[&str]) -> bool {
    of.iter().any(|one| one.eq_ignore_ascii_case(extension))
}

/// The media type of a file, from its name alone (IANA names; RFC 8216, 4 for playlists).
#[must_use]
pub fn media_type(path: &str) -> &'static str {
    let name = split_last(path, b'/').1;
    let extension = extension(name);
    MEDIA_TYPES
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(extension))
        .map_or("application/octet-stream", |(_, media_type)| media_type)
}

const MEDIA_TYPES: &[(&str, &str)] = &[
    ("m3u8", "application/vnd.apple.mpegurl"),
    ("m3u", "application/vnd.apple.mpegurl"),
    ("mpd", "application/dash+xml"),
    ("mpp", "application/dash-patch+xml"),
    ("ts", "video/mp2t"),
    ("m2ts", "video/mp2t"),
    ("m4s", "video/iso.segment"),
    ("mp4", "video/mp4"),
    ("m4v", "video/mp4"),
    ("cmfv", "video/mp4"),
    ("init", "video/mp4"),
    ("m4a", "audio/mp4"),
    ("cmfa", "audio/mp4"),
    ("cmft", "application/mp4"),
    ("aac", "audio/aac"),
    ("ac3", "audio/ac3"),
    ("ec3", "audio/eac3"),
    ("mp3", "audio/mpeg"),
    ("opus", "audio/ogg"),
    ("flac", "audio/flac"),
    ("webm", "video/webm"),
    ("mkv", "video/x-matroska"),
    ("mov", "video/quicktime"),
    ("vtt", "text/vtt"),
    ("webvtt", "text/vtt"),
    ("srt", "application/x-subrip"),
    ("ttml", "application/ttml+xml"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("png", "image/png"),
    ("webp", "image/webp"),
    ("gif", "image/gif"),
    ("svg", "image/svg+xml"),
    ("ico", "image/x-icon"),
    ("html", "text/html; charset=utf-8"),
    ("js", "text/javascript; charset=utf-8"),
    ("css", "text/css; charset=utf-8"),
    ("json", "application/json"),
    ("xml", "text/xml"),
    ("txt", "text/plain; charset=utf-8"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_etag_is_quoted_hexadecimal() {
        assert_eq!(&ETag([0xab; 16]).wire(), b"\"abababababababababababababababab\"");
    }

    #[test]
    fn classes_follow_names() {
        for (path, class) in [
            ("a/master.m3u8", Class::Playlist),
            ("a/manifest.MPD", Class::Manifest),
            ("patch/live-1-2.mpp", Class::Manifest),
            ("a/init-0.mp4", Class::Init),
            ("a/video.init", Class::Init),
            ("a/chunk-1.m4s", Class::Segment),
            ("a/film.mkv", Class::Segment),
            ("a/initial.html", Class::Other),
            ("init", Class::Other),
        ] {
            assert_eq!(Class::of(path), class, "{path}");
        }
    }

    #[test]
    fn media_types_follow_extensions_without_case() {
        assert_eq!(media_type("x/y.M3U8"), "application/vnd.apple.mpegurl");
        assert_eq!(media_type("x.y/z"), "application/octet-stream");
    }
}
