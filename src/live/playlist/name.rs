//! Names of media playlists: what a playlist promises is part of its name.
//!
//! No segment of a playlist is longer than its `EXT-X-TARGETDURATION`, no part than its
//! `PART-TARGET`, and neither of them may change (RFC 8216bis, 6.2.1). So when something longer
//! comes, all media playlists of the channel, whose target durations must be the same, go on under
//! other names: `index-4-500.m3u8` promises segments of 4 s and parts of 500 ms at most. Since a
//! name says what it promises, it is never used for anything else, also by a server that remembers
//! nothing.
//!
//! Segments keep their names and numbers. Players load the multivariant playlist once and ask for
//! what it listed ever after, so an old name leads to the new one, by a redirect: a player goes on
//! with the same segments and numbers. If the old playlist stood still, all viewers would wait for
//! ever; if it ended, or were gone, their players would stop.

use std::fmt;

use super::super::time::Length;

/// Which of a rendition's playlists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// For every player.
    Plain,
    /// With parts.
    LowLatency,
    /// Of pictures with which decoding can begin.
    KeyFrames,
}

/// What no segment and no part is longer than, where that is not what the channel began with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promise {
    /// `EXT-X-TARGETDURATION`.
    pub seconds: u32,
    /// `PART-TARGET`, in milliseconds.
    pub part_ms: u32,
}

/// Lengths of the longest segment and part that came to be longer than had been promised.
#[derive(Clone, Copy, Debug)]
pub struct Longer {
    /// Of a segment.
    pub segment: Length,
    /// Of a part; whole milliseconds.
    pub part: Length,
}

impl Longer {
    /// What is promised then.
    #[must_use]
    pub fn promise(&self) -> Promise {
        let seconds = u32::try_from(target_of(self.segment)).unwrap_or(u32::MAX);
        let part_ms = u32::try_from(self.part.micros() / 1000).unwrap_or(u32::MAX);
        Promise { seconds, part_ms }
    }
}

/// A segment length to the nearest second.
#[must_use]
pub fn target_of(segment: Length) -> u64 {
    (segment.micros().saturating_add(500_000) / 1_000_000).max(1)
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Plain, Self::LowLatency, Self::KeyFrames];

    /// What the name begins with.
    #[must_use]
    pub fn stem(self) -> &'static str {
        match self {
            Self::Plain => "index",
            Self::LowLatency => "ll",
            Self::KeyFrames => "iframes",
        }
    }
}

/// A name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name {
    /// Of which playlist.
    pub kind: Kind,
    /// None of the first.
    pub promise: Option<Promise>,
}

impl Name {
    /// What a file's name says, if it is one of a playlist.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        let mut words = name.strip_suffix(".m3u8")?.split('-');
        let stem = words.next()?;
        let kind = Kind::ALL.into_iter().find(|kind| kind.stem() == stem)?;
        let promise = match (words.next(), words.next()) {
            (None, _) => None,
            (Some(seconds), Some(part_ms)) => {
                Some(Promise { seconds: number(seconds)?, part_ms: number(part_ms)? })
            }
            (Some(_), None) => return None,
        };
        words.next().is_none().then_some(Self { kind, promise })
    }
}

/// A number as it is written, in no other way.
fn number(text: &str) -> Option<u32> {
    let is_written = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| is_written)
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.stem())?;
        if let Some(Promise { seconds, part_ms }) = self.promise {
            write!(f, "-{seconds}-{part_ms}")?;
        }
        f.write_str(".m3u8")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_what_its_playlist_promises() {
        let promise = Some(Promise { seconds: 4, part_ms: 512 });
        for (text, kind, promise) in [
            ("index.m3u8", Kind::Plain, None),
            ("ll.m3u8", Kind::LowLatency, None),
            ("iframes.m3u8", Kind::KeyFrames, None),
            ("index-4-512.m3u8", Kind::Plain, promise),
            ("ll-4-512.m3u8", Kind::LowLatency, promise),
            ("iframes-4-512.m3u8", Kind::KeyFrames, promise),
        ] {
            let name = Name { kind, promise };
            assert_eq!((Name::of(text), name.to_string().as_str()), (Some(name), text));
        }
        for other in [
            "delta.m3u8",
            "index",
            "index-4.m3u8",
            "index-4-5-6.m3u8",
            "index--.m3u8",
            "index-+4-5.m3u8",
            "index-04-5.m3u8",
            "index-0-5.m3u8",
            "index-4-99999999999.m3u8",
            "x/index.m3u8",
            "-4-5.m3u8",
        ] {
            assert_eq!(Name::of(other), None, "{other}");
        }
    }

    #[test]
    fn a_promise_is_whole_seconds_and_milliseconds() {
        let of = |segment, part| {
            let (segment, part) = (Length::of_millis(segment), Length::of_millis(part));
            let Promise { seconds, part_ms } = Longer { segment, part }.promise();
            (seconds, part_ms)
        };
        assert_eq!(of(3_499, 500), (3, 500));
        assert_eq!(of(3_500, 501), (4, 501));
        assert_eq!(of(400, 100), (1, 100));
    }
}
