//! What is kept of a channel beyond its window, as much as catch-up says of it.
//!
//! Pure values. The archive builds them from what it has made durable (and again after a restart);
//! catch-up playlists and manifests are written from them. Numbers only go up in a rendition, and
//! so do dates: both find a segment by halving.

use super::cut::Lengths;
use super::playlist::multivariant::Bandwidth;
use super::time::Moment;
use super::timeline::Origin;

/// A channel's record.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// Its renditions, in the order in which they came.
    pub renditions: Vec<Recorded>,
}

/// A rendition's.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Its name in the channel: the first element of its URLs there.
    pub name: String,
    /// What multivariant playlists and manifests say of it.
    pub about: About,
    /// The lengths that its segments and parts were cut to.
    pub lengths: Lengths,
    /// Names of its headers, in the order of their numbers.
    pub headers: Vec<String>,
    /// Oldest first.
    pub segments: Vec<Kept>,
}

/// What a rendition is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// Pictures, sound or text.
    pub carries: Carried,
    /// Codings, as `CODECS` lists them.
    pub codecs: String,
    /// The language of its leading track, if it says one.
    pub language: Option<String>,
    /// Bits a second.
    pub bandwidth: Bandwidth,
}

/// What a rendition carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carried {
    /// Pictures.
    Video {
        /// Pixels across and down.
        resolution: (u16, u16),
        /// Pictures a second, as a fraction, if it is known.
        frame_rate: Option<(u32, u32)>,
    },
    /// Sound of so many channels.
    Audio {
        /// Speakers.
        channels: u16,
    },
    /// Text.
    Text,
}

/// A segment that is kept, or a gap where none came.
#[derive(Clone, Copy, Debug)]
pub struct Kept {
    /// Its number: the media sequence number of HLS, and its name.
    pub number: i64,
    /// When it begins.
    pub start: Moment,
    /// How long it is, in ticks of `start`.
    pub duration: u64,
    /// Bytes; 0 for a gap.
    pub size: u64,
    /// Whether media time does not go on from the segment before it.
    pub discontinuity: bool,
    /// Which header holds, counted from the first of this rendition.
    pub header: u32,
    /// What holds for all segments since the last discontinuity.
    pub origin: Origin,
}

impl Kept {
    /// Whether there is nothing to play.
    #[must_use]
    pub fn is_gap(&self) -> bool {
        self.size == 0
    }

    /// Microseconds of Unix time at which it begins and ends.
    #[must_use]
    pub fn unix_micros(&self) -> (i64, i64) {
        let end = self.start.plus(self.duration);
        (self.origin.unix_micros(self.start), self.origin.unix_micros(end))
    }
}
