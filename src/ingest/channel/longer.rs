//! What comes longer than the playlists of a channel promise: they go on under other names.
//!
//! An encoder may get other settings while its channel goes on, or leave out a picture with which
//! decoding can begin. Segments stay as their encoder makes them, and have their numbers in a row;
//! `live::playlist::name` says what becomes of the playlists.

use super::Channel;
use crate::config::SEGMENT_PROMISED_MICROS_MAX;
use crate::ingest::output::{Stamp, absent};
use crate::live::boxes::stream::Chunk;
use crate::live::playlist::name::{Kind, Longer, target_of};
use crate::live::publisher::timed;
use crate::live::time::Length;
use crate::live::timeline::Segment;

/// Lengths that were seen.
#[derive(Clone, Copy, Debug)]
struct Seen {
    segment: Option<Length>,
    part: Option<Length>,
}

impl Channel {
    /// Looks at what a rendition has published last, before it is listed; gives whether playlists
    /// go on under other names because of it.
    pub(super) fn look_at_lengths(&mut self, at: usize, stamp: Stamp) -> bool {
        let segments = self.renditions[at].publisher.timeline().segments();
        let length = |one: &Segment, ticks| Length::new(ticks, one.start.timescale);
        let newest = segments.iter().rev();
        let whole = newest.clone().find(|one| one.is_whole && !one.is_gap);
        let whole = whole.map(|one| (one.number, length(one, one.duration)));
        // A chunk makes at most the last part of a segment whole, and the first one of the next.
        let parts = newest.take(2).flat_map(|one| {
            let newest = one.whole_parts().iter().rev().take(2);
            newest.filter_map(move |part| length(one, part.duration))
        });
        let part = parts.max_by_key(|part| part.micros());
        let segment = whole.and_then(|(_, length)| length);
        if let (Some((number, _)), Some(length)) = (whole, segment) {
            self.count_long(at, number, length, stamp);
        }
        // Of texts one may be as long as nothing is said.
        let part = part.filter(|_| !self.is_text(at));
        self.note_short_part(at, stamp);
        self.keep_promise(at, Seen { segment, part }, stamp)
    }

    /// A chunk came after its time had gone by. If it is a segment that is longer than promised,
    /// that is why: the next one has to be waited for longer.
    pub(super) fn learn_from_late(&mut self, at: usize, chunk: &Chunk, stamp: Stamp) {
        let timed = timed(self.renditions[at].publisher.init(), chunk);
        let Some(timed) = timed.filter(|timed| timed.independent) else { return };
        let seen = Length::new(timed.duration, timed.start.timescale);
        let part = seen.filter(|_| !self.is_text(at));
        if self.keep_promise(at, Seen { segment: seen, part }, stamp) {
            self.tell(at, true, false, stamp);
        }
    }

    /// Counts a segment that is longer than the channel's segments should be.
    fn count_long(&mut self, at: usize, number: i64, length: Length, stamp: Stamp) {
        let timeline = self.renditions[at].publisher.timeline();
        let target = target_of(timeline.lengths().segment);
        if target_of(length) <= target || self.outputs[at].long == Some(number) {
            return;
        }
        self.outputs[at].long = Some(number);
        self.outputs[at].tally.long_segments += 1;
        if target_of(length) > target_of(timeline.longest()) {
            let rendition = &self.renditions[at].name;
            self.note(format!("{rendition}: segment {number} is longer than {target} s"), stamp);
        }
    }

    /// Promises more from now on, if less was promised than was seen.
    fn keep_promise(&mut self, at: usize, seen: Seen, stamp: Stamp) -> bool {
        let timeline = self.renditions[at].publisher.timeline();
        let (longest, part) = (timeline.longest(), timeline.lengths().part);
        let is_believed = |length: &Length| length.micros() <= SEGMENT_PROMISED_MICROS_MAX;
        let seen_part = seen.part.filter(is_believed);
        let longer_part = seen_part.filter(|seen| {
            let (ticks, timescale) = seen.ticks();
            part.cmp_ticks(ticks, timescale).is_lt()
        });
        // The segment of a part is as long at least.
        let lengths = [seen.segment.filter(is_believed), seen_part].into_iter().flatten();
        let longer_segment = lengths
            .max_by_key(|length| length.micros())
            .filter(|seen| target_of(*seen) > target_of(longest));
        if longer_segment.is_none() && longer_part.is_none() {
            return false;
        }
        let segment = longer_segment.unwrap_or(longest);
        let part = whole_millis(longer_part.unwrap_or(part));
        self.promise(at, Longer { segment, part }, stamp);
        true
    }

    /// All renditions promise as much; those that are not this one are told of at once, with names
    /// that are gone after those that are there.
    fn promise(&mut self, at: usize, longer: Longer, stamp: Stamp) {
        let (rendition, promise) = (&self.renditions[at].name, longer.promise());
        tracing::warn!(
            channel = self.id,
            rendition,
            target_s = promise.seconds,
            part_ms = promise.part_ms,
            "its encoder has another length now: playlists go on under other names"
        );
        self.longer = Some(longer);
        self.keeping.lengthen(longer);
        let both = || self.renditions.iter().zip(&self.outputs);
        let old = both().flat_map(|(rendition, output)| {
            Kind::ALL.map(|kind| absent(format!("{}/{}", output.folder, rendition.playlist(kind))))
        });
        let old: Vec<_> = old.collect();
        for rendition in &mut self.renditions {
            rendition.publisher.lengthen(longer);
        }
        let others = (0..self.renditions.len()).filter(|other| *other != at);
        for other in others.clone() {
            self.write_playlists(other, self.has_whole(other), stamp);
        }
        self.batch.extend(old);
        others.for_each(|other| self.tell_reach(other));
    }

    /// Whether a rendition has a segment that every edition lists.
    pub(super) fn has_whole(&self, at: usize) -> bool {
        let timeline = self.renditions[at].publisher.timeline();
        timeline.segments().iter().any(|segment| segment.is_whole)
    }
}

/// The least whole number of milliseconds that is not shorter.
fn whole_millis(length: Length) -> Length {
    let (ticks, timescale) = length.ticks();
    let millis = (u128::from(ticks) * 1000).div_ceil(u128::from(timescale));
    Length::of_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
