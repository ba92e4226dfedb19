//! What is kept of a channel beyond its window, as much as catch-up says of it.
//!
//! Pure values. The archive builds them from what it has made durable (and again after a restart);
//! catch-up playlists and manifests are written from them. Numbers only go up in a rendition, and
//! so do dates: both find a segment by halving.

mod bytes;

use std::sync::Arc;

use super::channel::Container;
use super::cut::Lengths;
use super::playlist::dash::timed::Timed;
use super::playlist::multivariant::{Bandwidth, Carries, Rendition};
use super::protection::Protection;
use super::time::Moment;
use super::timeline::Origin;
use crate::config::RECORD_PROTECTIONS_SIZE_MAX;

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
    /// Its headers, in the order of their numbers.
    pub headers: Vec<Header>,
    /// Oldest first.
    pub segments: Vec<Kept>,
}

/// A header of a rendition, as much as is said of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Its name in the rendition's folder; empty for one that no segment needs which is kept.
    pub name: String,
    /// How what follows it is encrypted, if it is.
    pub protection: Option<Arc<Protection>>,
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
    /// Which header holds, counted from the first of this rendition; `NO_HEADER` for a segment of a
    /// transport stream.
    pub header: u32,
    /// What holds for all segments since the last discontinuity.
    pub origin: Origin,
}

/// What is added to a channel's record at once: by a commit, or as all that an hour holds.
#[derive(Clone, Debug, Default)]
pub struct Piece {
    /// Of each rendition that something is added to.
    pub renditions: Vec<Added>,
}

/// What is added to a rendition's record.
#[derive(Clone, Debug)]
pub struct Added {
    /// Its name.
    pub name: String,
    /// What it is, as of its newest segment.
    pub about: About,
    /// The lengths that its segments and parts were cut to.
    pub lengths: Lengths,
    /// The headers that its segments need, with their numbers.
    pub headers: Vec<(u32, Header)>,
    /// Oldest first.
    pub segments: Vec<Kept>,
}

/// The numbers of a rendition from the first to the last, both of them included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// The rendition's name.
    pub rendition: String,
    /// The first.
    pub first: i64,
    /// The last.
    pub last: i64,
}

/// Stands for the header of what has none: a segment of a transport stream.
pub const NO_HEADER: u32 = u32::MAX;

/// Headers that a rendition can have had. Their numbers come from a disk, too, and a table that
/// says otherwise is damaged.
const HEADERS_MAX: u32 = 1 << 20;

impl Record {
    /// A rendition's record.
    #[must_use]
    pub fn rendition(&self, name: &str) -> Option<&Recorded> {
        self.renditions.iter().find(|one| one.name == name)
    }

    /// Adds what follows. A number that does not go on above the last one is left out: it is there.
    pub fn add(&mut self, piece: &Piece) {
        for added in &piece.renditions {
            let at = self.renditions.iter().position(|one| one.name == added.name);
            let at = at.unwrap_or_else(|| {
                self.renditions.push(Recorded::begun(added));
                self.renditions.len() - 1
            });
            self.renditions[at].add(added);
        }
    }

    /// Forgets everything up to the end of these stretches.
    pub fn forget(&mut self, stretches: &[Stretch]) {
        for stretch in stretches {
            let mut renditions = self.renditions.iter_mut();
            if let Some(one) = renditions.find(|one| one.name == stretch.rendition) {
                let gone = one.segments.partition_point(|kept| kept.number <= stretch.last);
                one.segments.drain(..gone);
                one.forget_headers();
            }
        }
    }

    /// What is kept of these stretches, as it was added.
    #[must_use]
    pub fn piece(&self, stretches: &[Stretch]) -> Piece {
        let of = |stretch: &Stretch| {
            let one = self.rendition(&stretch.rendition)?;
            let from = one.segments.partition_point(|kept| kept.number < stretch.first);
            let until = one.segments.partition_point(|kept| kept.number <= stretch.last);
            let segments = one.segments.get(from..until)?.to_vec();
            let mut headers: Vec<_> = segments.iter().map(|kept| kept.header).collect();
            headers.dedup();
            let header = |number: u32| Some((number, one.headers.get(number as usize)?.clone()));
            Some(Added {
                name: one.name.clone(),
                about: one.about.clone(),
                lengths: one.lengths,
                headers: headers.into_iter().filter_map(header).collect(),
                segments,
            })
        };
        Piece { renditions: stretches.iter().filter_map(of).collect() }
    }
}

impl About {
    /// What multivariant playlists and manifests say of a rendition that is called so.
    #[must_use]
    pub fn described<'a>(&'a self, name: &'a str) -> Rendition<'a> {
        let language = self.language.as_deref();
        let carries = match self.carries {
            Carried::Video { resolution, frame_rate } => Carries::Video { resolution, frame_rate },
            Carried::Audio { channels } => Carries::Audio { language, channels },
            Carried::Text => Carries::Text { language },
        };
        Rendition { name, carries, codecs: &self.codecs, bandwidth: self.bandwidth }
    }
}

impl Recorded {
    /// What multivariant playlists and manifests say of it.
    #[must_use]
    pub fn described(&self) -> Rendition<'_> {
        self.about.described(&self.name)
    }

    fn begun(added: &Added) -> Self {
        Self {
            name: added.name.clone(),
            about: added.about.clone(),
            lengths: added.lengths,
            headers: Vec::new(),
            segments: Vec::new(),
        }
    }

    fn add(&mut self, added: &Added) {
        self.about.clone_from(&added.about);
        self.lengths = added.lengths;
        for (number, header) in &added.headers {
            // Those between were of segments that are not kept any more.
            let number = *number as usize;
            if self.headers.len() <= number {
                self.headers.resize(number + 1, Header::default());
            }
            if self.headers[number] != *header {
                self.headers[number].clone_from(header);
                self.bound_protections(number);
            }
        }
        for kept in &added.segments {
            if self.segments.last().is_none_or(|last| last.number < kept.number) {
                self.segments.push(*kept);
            }
        }
    }

    /// Takes the protections of the oldest headers away that are too much, but not this one's.
    fn bound_protections(&mut self, newest: usize) {
        let size = |header: &Header| header.protection.as_ref().map_or(0, |known| known.size());
        let mut all: usize = self.headers.iter().map(size).sum();
        for header in &mut self.headers[..newest] {
            if all <= RECORD_PROTECTIONS_SIZE_MAX {
                return;
            }
            all -= size(header);
            header.protection = None;
        }
    }

    /// Forgets headers that lie before all that are needed.
    fn forget_headers(&mut self) {
        let needed = self.segments.iter().map(|kept| kept.header).min();
        let before = needed.map_or(0, |needed| needed as usize).min(self.headers.len());
        self.headers[..before].fill(Header::default());
    }

    /// The number of the header with this name: that of the one that was used last, or the next.
    #[must_use]
    pub fn header_number(&self, name: &str) -> u32 {
        let known = self.headers.iter().rposition(|known| known.name == name);
        u32::try_from(known.unwrap_or(self.headers.len())).unwrap_or(u32::MAX)
    }

    /// How what follows a header is encrypted, if it is.
    #[must_use]
    pub fn protection(&self, header: u32) -> Option<&Protection> {
        self.headers.get(header as usize)?.protection.as_deref()
    }

    /// The segment of this number.
    #[must_use]
    pub fn segment(&self, number: i64) -> Option<&Kept> {
        let at = self.segments.binary_search_by_key(&number, |kept| kept.number).ok()?;
        self.segments.get(at)
    }

    /// The segment that begins then.
    #[must_use]
    pub fn segment_at(&self, timed: Timed) -> Option<&Kept> {
        // What another run called so may have been something else.
        if timed.zero_micros != 0 {
            return None;
        }
        let date = |kept: &Kept| kept.unix_micros().0;
        let ticks = timed.ticks;
        let timescale = self.segments.last()?.start.timescale;
        let wanted = Moment { ticks, timescale }.micros().saturating_add(timed.zero_micros);
        let at = self.segments.partition_point(|kept| date(kept) < wanted);
        let found = self.segments.get(at)?;
        (Timed::at(found.origin, found.start, 0) == timed && !found.is_gap()).then_some(found)
    }
}

impl Kept {
    /// What it is.
    #[must_use]
    pub fn container(&self) -> Container {
        if self.header == NO_HEADER { Container::Ts } else { Container::Cmaf }
    }

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

#[cfg(test)]
mod tests;
