//! What of a channel outlasts a restart: whole segments go to its archive, and its lengths, zeros
//! and numbers are put down.

use std::sync::Arc;

use super::Channel;
use crate::config::NUMBERS_RESERVED;
use crate::ingest::archive::growing::{Grown, Key};
use crate::ingest::archive::keeper::Whole;
use crate::ingest::archive::marks::Numbers;
use crate::ingest::archive::memory::{Media, Memory};
use crate::ingest::archive::{Archive, Recovered};
use crate::ingest::output::Stamp;
use crate::live::boxes::stream::Chunk;
use crate::live::channel::Container;
use crate::live::cut::Lengths;
use crate::live::playlist::name::{Longer, target_of};
use crate::live::protection::Protection;
use crate::live::publisher::{Taken, Used, Zeros};
use crate::live::record::{Header, Kept};
use crate::live::time::Length;
use crate::live::timeline::{Before, Segment};
use crate::messages::{Index, Listing, Opened};
use crate::units::ETag;

/// A channel's side of its archive.
#[derive(Debug)]
pub struct Keeping {
    archive: Archive,
    memory: Memory,
    /// Up to which number segments of each rendition had begun before this run.
    begun: Numbers,
    /// The last number that was kept of each rendition before this run.
    before: Vec<(String, i64)>,
    /// One a rendition, in the same order.
    renditions: Vec<Rendition>,
}

#[derive(Debug)]
struct Rendition {
    name: Arc<str>,
    /// By their numbers, each with its bytes.
    headers: Vec<(Header, Arc<Opened>)>,
    /// Up to here segments were handed over.
    until: i64,
    /// The segment that grows, and the number of its next chunk.
    grown: (i64, u32),
}

impl Keeping {
    /// Goes on with what was there.
    #[must_use]
    pub fn new(recovered: Recovered) -> Self {
        // What was under way is taken as if it came again, when the channel is there.
        let Recovered { archive, memory, begun, kept, grown: _ } = recovered;
        Self { archive, memory, begun, before: kept, renditions: Vec::new() }
    }

    /// The archive.
    #[must_use]
    pub fn archive(&self) -> &Archive {
        &self.archive
    }

    /// The zeros that were known.
    #[must_use]
    pub fn zeros(&self) -> Zeros {
        Zeros::of_known(self.memory.zeros.clone(), self.memory.stretch)
    }

    /// The lengths that were settled, as far as the config does not give them; those that it gives,
    /// at once, where success must mean that a segment is durable.
    #[must_use]
    pub fn lengths(&self, given: (Option<Length>, Option<Length>)) -> Option<Lengths> {
        let settled = self.memory.lengths;
        let is_fitted = self.is_fitted(given.1);
        let (segment, part) = match (given, settled) {
            ((Some(segment), Some(part)), None) if self.archive.is_required() => (segment, part),
            ((segment, part), Some(settled)) => {
                let part = part.filter(|_| !is_fitted).unwrap_or(settled.part);
                (segment.unwrap_or(settled.segment), part)
            }
            _ => return None,
        };
        let is_longer = part.micros() > segment.micros();
        Some(Lengths { segment, part: if is_longer { segment } else { part } })
    }

    /// Whether the length of parts that was settled fits the chunks, where this one is given.
    #[must_use]
    pub fn is_fitted(&self, given: Option<Length>) -> bool {
        let micros = |length: Option<Length>| length.map(|length| length.micros());
        let is_same = given.is_none() || micros(given) == micros(self.memory.given_part);
        self.memory.lengths.is_some() && is_same
    }

    /// What came to be longer than these lengths, which the channel begins with.
    #[must_use]
    pub fn longer(&self, lengths: Option<Lengths>) -> Option<Longer> {
        let (lengths, longer) = (lengths?, self.memory.longer?);
        let is_longer = target_of(longer.segment) > target_of(lengths.segment)
            || longer.part.micros() > lengths.part.micros();
        is_longer.then_some(longer)
    }

    /// Something longer has come.
    pub fn lengthen(&mut self, longer: Longer) {
        self.memory.longer = Some(longer);
        self.archive.remember(self.memory.clone());
    }

    /// The lengths are settled from now on, where this one is given for parts.
    pub fn settle(&mut self, lengths: Lengths, given_part: Option<Length>) {
        self.memory.given_part = given_part;
        (self.memory.lengths, self.memory.longer) = (Some(lengths), None);
        self.archive.remember(self.memory.clone());
    }

    /// A rendition begins: what there was of it before this run.
    pub fn begin_rendition(&mut self, name: &str) -> Used {
        let (name_of, headers) = (name.into(), Vec::new());
        let (until, grown) = (i64::MIN, (i64::MIN, 0));
        self.renditions.push(Rendition { name: name_of, headers, until, grown });
        let kept = self.before.iter().find(|(known, _)| known == name);
        Used {
            kept: kept.map(|(_, number)| *number),
            begun: self.begun.get(name).copied(),
            reserved: self.memory.numbers.get(name).copied(),
        }
    }

    /// What a rendition's media was before a restart, whose header is this one now.
    #[must_use]
    pub fn before(&self, name: &str, tag: ETag) -> Option<Before> {
        let Media { zero_micros, tag: was } = *self.memory.media.get(name)?;
        Some(Before { has_other_header: was != tag, zero_micros })
    }

    /// How what follows the newest header of a rendition is encrypted, as is known now.
    pub fn protect(&mut self, at: usize, protection: Protection) {
        if let Some((header, _)) = self.renditions.get_mut(at).and_then(|of| of.headers.last_mut())
        {
            header.protection = Some(Arc::new(protection));
        }
    }

    /// Another header of a rendition is listed.
    pub fn add_header(&mut self, at: usize, header: Header, listing: &Listing) {
        if let (Some(rendition), Some(opened)) = (self.renditions.get_mut(at), listing.opened()) {
            rendition.headers.push((header, opened));
        }
    }
}

impl Channel {
    /// Hands segments over that are whole, or gaps, and were not handed over before.
    pub(super) fn keep_ended(&mut self, at: usize) {
        let ended = std::mem::take(&mut self.outputs[at].ended);
        let of = &self.renditions[at];
        let is_kept = self.keeping.archive.is_kept();
        let Some(rendition) = self.keeping.renditions.get_mut(at).filter(|_| is_kept) else {
            return;
        };
        let timeline = of.publisher.timeline();
        let until = rendition.until;
        let new = timeline.segments().iter().filter(|one| one.is_whole && one.number > until);
        for segment in new {
            rendition.until = segment.number;
            let header = match of.container {
                Container::Cmaf => {
                    let at = segment.header as usize;
                    let Some(header) = rendition.headers.get(at) else { continue };
                    Some(header.clone())
                }
                Container::Ts => None,
            };
            let opened = ended.iter().find(|(number, _)| *number == segment.number);
            let opened = opened.filter(|_| !segment.is_gap).map(|(_, opened)| Arc::clone(opened));
            self.keeping.archive.keep(Box::new(Whole {
                rendition: Arc::clone(&rendition.name),
                about: of.about(),
                lengths: timeline.lengths(),
                kept: kept(segment, opened.as_deref()),
                header,
                opened,
            }));
        }
    }

    /// A chunk was published: where that must outlast a crash at once, it is handed over, too.
    pub(super) fn keep_grown(&mut self, at: usize, chunk: &Chunk, bytes: &[u8], stamp: Stamp) {
        if !self.keeping.archive.is_required() {
            return;
        }
        let (feed, of) = (&self.feeds[at], &self.renditions[at]);
        let key = match (of.container, chunk.fragment.runs.first()) {
            (Container::Cmaf, _) => Key::Header(feed.header.tag, Arc::clone(&feed.header.bytes)),
            (Container::Ts, Some(run)) => Key::Times(*run),
            (Container::Ts, None) => return,
        };
        let last = of.publisher.timeline().segments().back();
        let Some(number) = last.map(|last| last.number) else { return };
        let Some(rendition) = self.keeping.renditions.get_mut(at) else { return };
        if rendition.grown.0 != number {
            rendition.grown = (number, 0);
        }
        let index = rendition.grown.1;
        rendition.grown.1 += 1;
        self.keeping.archive.grow(Box::new(Grown {
            path: feed.path.as_str().into(),
            rendition: Arc::clone(&rendition.name),
            number,
            index,
            source: u16::try_from(feed.taken_from.unwrap_or(0)).unwrap_or(u16::MAX),
            micros: stamp.micros,
            key,
            bytes: bytes.to_vec(),
        }));
    }

    /// Something is missing in the segment that grows: behind it nothing can be put together.
    pub(super) fn keep_hole(&mut self, at: usize) {
        if let Some(rendition) = self.keeping.renditions.get_mut(at) {
            rendition.grown.1 = rendition.grown.1.saturating_add(1);
        }
    }

    /// A segment has begun: what must be known of it after a crash is put down, if it is not.
    pub(super) fn remember_begun(&mut self, at: usize) {
        let timeline = self.renditions[at].publisher.timeline();
        let Some(last) = timeline.segments().back() else { return };
        let memory = &mut self.keeping.memory;
        let known = self.zeros.known();
        let mut is_new = memory.zeros != known;
        memory.zeros.clear();
        memory.zeros.extend_from_slice(known);
        let name = &self.renditions[at].name;
        let newest = self.zeros.newest_stretch();
        is_new |= memory.stretch != newest;
        memory.stretch = newest;
        let media = Media { zero_micros: last.origin.zero_micros, tag: self.feeds[at].header.tag };
        is_new |= memory.media.insert(name.clone(), media) != Some(media);
        // On the epoch's time numbers follow from the media.
        if last.origin.zero_micros == 0 {
            if let Some(rendition) = self.keeping.renditions.get(at) {
                self.keeping.archive.begin_segment(&rendition.name, last.number);
            }
        } else {
            let reserved = memory.numbers.get(name).copied().unwrap_or(i64::MIN);
            if last.number > reserved {
                let next = last.number.saturating_add(NUMBERS_RESERVED);
                memory.numbers.insert(name.clone(), next);
                is_new = true;
            }
        }
        if is_new {
            self.keeping.archive.remember(memory.clone());
        }
    }

    /// The archive.
    #[must_use]
    pub fn archive(&self) -> &Archive {
        &self.keeping.archive
    }

    /// The name of a feed's rendition.
    #[must_use]
    pub fn rendition(&self, feed: usize) -> Option<Arc<str>> {
        self.keeping.renditions.get(feed).map(|rendition| Arc::clone(&rendition.name))
    }

    /// The number of the segment that a chunk belongs to of which this came.
    #[must_use]
    pub fn number_of(&self, feed: usize, chunk: &Chunk, taken: Taken) -> Option<i64> {
        let publisher = &self.renditions.get(feed)?.publisher;
        let segments = publisher.timeline().segments();
        if let Taken::Published(_) = taken {
            return segments.back().map(|last| last.number);
        }
        let start = publisher.start_of(chunk)?;
        let found = segments.iter().rev().find(|one| one.start <= start && start < one.end());
        let of_grid = || publisher.timeline().number_at(start);
        Some(found.map_or_else(of_grid, |found| found.number))
    }
}

fn kept(segment: &Segment, opened: Option<&Opened>) -> Kept {
    let size = match opened.map(|opened| &opened.index) {
        Some(Index::Single(single)) => single.identity.extent.size,
        _ => 0,
    };
    Kept {
        number: segment.number,
        start: segment.start,
        duration: segment.duration,
        size,
        discontinuity: segment.discontinuity,
        header: segment.header,
        origin: segment.origin,
    }
}
