//! What one rendition publishes: chunks in; out, in their order, the steps that publish them.
//!
//! Pure: what the bytes are is the caller's business, who gives their hash. A chunk is known by its
//! decoding time. One that was published is never published again, whatever comes with its time:
//! the same bytes are a repetition, others a conflict.

mod zeros;

use std::collections::BTreeMap;

pub use zeros::Zeros;

use super::boxes::init::{Init, Media, Track};
use super::boxes::stream::Chunk;
use super::cut::{Cutter, Lengths, Place, Timed, Unplaced};
use super::playlist::name::Longer;
use super::time::{Length, Moment};
use super::timeline::{Added, Before, Timeline};
use crate::config::{AHEAD_MICROS_MAX, SEGMENT_CHUNKS_MAX, SEGMENT_UNCUT_MICROS};

/// Chunks that are remembered: an hour of half seconds, twice.
const CHUNKS_REMEMBERED: usize = 14_400;

/// Media later than this, in microseconds of its own zero, is on the epoch's own time: 2001.
/// Encoders that count from their start would run for thirty years to get there.
const EPOCH_MICROS_MIN: i64 = 1_000_000_000 * 1_000_000;

/// Largest time and duration that are believed, in ticks.
const TICKS_MAX: u64 = 1 << 60;

/// Segments that an encoder may send again after it was cut off.
const RESENT_SEGMENTS: usize = 3;

/// How far a new timeline may lie over the end of the one before it, in microseconds: renditions of
/// one encoder do not end at once.
const OVERLAP_MICROS: i64 = 100_000;

/// How far before a segment had begun, by its own time, the clock may be for that to be believed
/// after a restart, in microseconds. Its encoder's clock was wrong then.
const CLOCK_AHEAD_MAX_MICROS: i64 = 3_600_000_000;

/// Publishes one rendition.
#[derive(Debug)]
pub struct Publisher {
    init: Init,
    cutter: Cutter,
    timeline: Timeline,
    /// Which track's times count.
    lead: u32,
    /// From decoding times to presentation times, in ticks: as of the last independent chunk.
    shift: Option<i64>,
    /// Unix time of the media's zero, in microseconds.
    zero_micros: i64,
    /// Chunks of the segment that grows.
    chunks: u32,
    /// Hashes of published chunks by decoding time.
    published: BTreeMap<u64, u64>,
    /// Another header has come, or the same one again: time may begin anew.
    may_begin_anew: bool,
    /// What comes next is another encoder's, which counts by itself.
    is_other_encoder: bool,
    /// Its encoder says that the next segment does not go on from the one before it.
    is_broken: bool,
    headers: u32,
    /// The last segment that was kept before this one began.
    kept: Option<i64>,
    /// The last segment that had begun before, if that is known.
    begun: Option<i64>,
}

/// Which numbers of a rendition were used before a restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// The last one that is kept.
    pub kept: Option<i64>,
    /// The last one that had begun, on the epoch's own time; none where what is under way is kept.
    pub begun: Option<i64>,
    /// Up to where others may have been.
    pub reserved: Option<i64>,
}

/// What to do for a chunk, in the order of the fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Steps {
    /// The part that grew is whole without it.
    pub ends_part: bool,
    /// So is the segment that grew.
    pub ends_segment: bool,
    /// So many segments are published as gaps behind that.
    pub gaps: u32,
    /// It begins a segment.
    pub begins_segment: bool,
    /// Its part is whole with it.
    pub completes_part: bool,
}

/// What came of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is published.
    Published(Steps),
    /// It was published before, with the same bytes.
    Repeated,
    /// Other bytes were published for its time, and stay.
    Conflict,
    /// Its time has gone by without it.
    Late,
    /// It lies further ahead of the clock than is believed.
    Early,
    /// Nothing that it needs has come.
    NotIndependent,
}

/// What would be missing before a chunk, if it were published now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Nothing: it follows, or was there, or begins anew.
    Nothing,
    /// Some of the segment that grows.
    Rest,
    /// So many whole segments, and maybe more.
    Segments(u64),
}

impl Publisher {
    /// One whose first header this is.
    #[must_use]
    pub fn new(init: Init, lengths: Lengths) -> Self {
        let lead = lead(&init).id;
        Self {
            init,
            cutter: Cutter::new(lengths),
            timeline: Timeline::new(lengths, 0),
            lead,
            shift: None,
            zero_micros: 0,
            chunks: 0,
            published: BTreeMap::new(),
            may_begin_anew: false,
            is_other_encoder: false,
            is_broken: false,
            headers: 1,
            kept: None,
            begun: None,
        }
    }

    /// Goes on after a restart from what its media was then, if that is known.
    pub fn begin_behind(&mut self, before: Option<Before>) {
        self.timeline.begin_behind(before);
    }

    /// Begins in this run of the server, whose number no other one has.
    pub fn begin_run(&mut self, run: i64) {
        self.timeline.begin_run(run);
    }

    /// Goes on after a restart, at this Unix time in microseconds. Numbers that do not follow from
    /// the media's time go on above all that were used.
    pub fn resume(&mut self, used: Used, now_micros: i64) {
        let Used { kept, begun, reserved } = used;
        self.kept = kept;
        // An encoder's clock that was far ahead must not keep it from beginning again.
        let length = i64::try_from(self.timeline.lengths().segment.micros()).unwrap_or(i64::MAX);
        let ahead = |number: i64| number.saturating_mul(length).saturating_sub(now_micros);
        self.begun = begun.filter(|begun| ahead(*begun) <= CLOCK_AHEAD_MAX_MICROS);
        self.timeline.begin_above(kept.max(reserved).unwrap_or(i64::MIN));
    }

    /// Why a first chunk on the epoch's time is not published: what is kept, or has begun, stays as
    /// it is. Where what has begun is not known, parts may have been published of the segment
    /// behind what is kept, so that it must come from its start.
    fn refused_after_restart(&self, timed: &Timed, place: &Place) -> Option<Taken> {
        let is_first = self.timeline.segments().is_empty() && is_epoch(timed.start);
        if is_first && self.begun.is_some_and(|begun| place.segment <= begun) {
            return Some(Taken::Late);
        }
        let kept = self.kept.filter(|_| self.timeline.segments().is_empty())?;
        if !is_epoch(timed.start) || place.segment > kept + 1 {
            return None;
        }
        if place.segment <= kept {
            return Some(Taken::Late);
        }
        let lengths = self.timeline.lengths();
        let ticks = lengths.part.ticks_of(timed.start.timescale);
        let before =
            Moment { ticks: timed.start.ticks.saturating_sub_unsigned(ticks), ..timed.start };
        (lengths.segment.whole_until(before) == place.segment).then_some(Taken::NotIndependent)
    }

    /// The newest header.
    #[must_use]
    pub fn init(&self) -> &Init {
        &self.init
    }

    /// What is published.
    #[must_use]
    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// The same, to take off what has left the window.
    pub fn timeline_mut(&mut self) -> &mut Timeline {
        &mut self.timeline
    }

    /// Something longer has come than was promised of the channel.
    pub fn lengthen(&mut self, longer: Longer) {
        self.timeline.lengthen(longer);
        self.cutter.set_part(longer.part);
    }

    /// Parts are so long from now on.
    pub fn set_part(&mut self, part: Length) {
        self.timeline.set_part(part);
        self.cutter.set_part(part);
    }

    /// A header has come. `is_other`: its bytes are not those of the newest one. The same one again
    /// changes nothing by itself: it is how an encoder says that it has begun.
    pub fn take_header(&mut self, init: Init, is_other: bool) {
        self.may_begin_anew = true;
        if is_other {
            self.lead = lead(&init).id;
            self.init = init;
            self.shift = None;
            self.timeline.change_header(self.headers);
            self.headers += 1;
            self.cutter = Cutter::new(self.timeline.lengths());
        }
    }

    /// What comes next is another encoder's. If its times do not fit those of the one before it, a
    /// new timeline begins with it.
    pub fn change_encoder(&mut self) {
        self.may_begin_anew = true;
        self.is_other_encoder = true;
    }

    /// What comes next does not go on from what came before, whatever its times say.
    pub fn begin_stretch(&mut self) {
        self.may_begin_anew = true;
        self.is_broken = !self.timeline.segments().is_empty();
    }

    /// When a chunk is presented, as far as this rendition is concerned; none for a chunk without
    /// samples of its leading track.
    ///
    /// Chunks may be cut between pictures that are presented in another order than decoded. So what
    /// follows an independent chunk keeps its distance to it in decoding time.
    #[must_use]
    fn timed(&self, chunk: &Chunk) -> Option<Timed> {
        let timed = timed(&self.init, chunk)?;
        let Some(shift) = self.shift.filter(|_| !timed.independent) else { return Some(timed) };
        let decoded = i64::try_from(chunk.fragment.run(self.lead)?.decode_time).ok()?;
        let start = Moment { ticks: decoded.checked_add(shift)?, ..timed.start };
        Some(Timed { start, ..timed })
    }

    /// When a chunk begins to be presented, if it has samples of the leading track.
    #[must_use]
    pub fn start_of(&self, chunk: &Chunk) -> Option<Moment> {
        self.timed(chunk).map(|timed| cut_to_start(timed).start)
    }

    /// What would be missing before a chunk. Less than half of it is nothing: encoders round.
    #[must_use]
    pub fn missing_before(&self, chunk: &Chunk) -> Missing {
        let begins_anew = self.may_begin_anew || self.is_other_encoder;
        let last = self.timeline.segments().back().filter(|_| !begins_anew);
        let (Some(last), Some(timed)) = (last, self.timed(chunk)) else { return Missing::Nothing };
        let timed = cut_to_start(timed);
        let hole = timed.start.micros().saturating_sub(last.end().micros());
        let hole = u64::try_from(hole).unwrap_or(0);
        let length = timed.start.plus(timed.duration).micros().abs_diff(timed.start.micros());
        if hole.saturating_mul(2) <= length {
            return Missing::Nothing;
        }
        let segment = self.timeline.lengths().segment.micros().max(1);
        let by_time = hole.saturating_add(segment / 8) / segment;
        let by_number = self.timeline.number_of(&timed).saturating_sub(last.number + 1);
        match by_time.max(u64::try_from(by_number).unwrap_or(0)) {
            0 => Missing::Rest,
            count => Missing::Segments(count),
        }
    }

    /// The number of the segment in which a chunk will lie, when all that is missing before it was
    /// published, or a later one.
    #[must_use]
    pub fn number_after_missing(&self, chunk: &Chunk) -> Option<i64> {
        let timed = cut_to_start(self.timed(chunk)?);
        let last = self.timeline.segments().back()?.number;
        let count = match self.missing_before(chunk) {
            Missing::Segments(count) => i64::try_from(count).unwrap_or(i64::MAX),
            Missing::Nothing | Missing::Rest => 0,
        };
        let next = i64::from(timed.independent).saturating_add(count);
        Some(self.timeline.number_of(&timed).max(last.saturating_add(next)))
    }

    /// Takes a chunk whose bytes have this hash; `now_micros` is the Unix time.
    pub fn take(&mut self, chunk: &Chunk, hash: u64, now_micros: i64, zeros: &mut Zeros) -> Taken {
        let (Some(timed), Some(run)) = (self.timed(chunk), chunk.fragment.run(self.lead)) else {
            return Taken::NotIndependent;
        };
        if is_epoch(timed.start) && timed.start.micros() - now_micros > AHEAD_MICROS_MAX {
            return Taken::Early;
        }
        let decode_time = run.decode_time;
        let shift = timed.start.ticks - i64::try_from(decode_time).unwrap_or(0);
        let timed = cut_to_start(timed);
        if let Some(known) = self.taken_before(&timed, decode_time, hash) {
            return known;
        }
        if self.timeline.segments().is_empty() {
            self.zero_micros = zeros.of(&timed, now_micros);
            self.timeline.begin_anew(self.zero_micros);
        }
        if timed.independent && self.was_said_to_begin(&timed, now_micros, zeros) {
            return self.begin_anew(chunk, &timed, hash, now_micros, zeros);
        }
        if self.is_overlong() && !timed.independent {
            // It waits for a chunk with which the next segment can begin.
            self.cutter = Cutter::new(self.timeline.lengths());
            return Taken::NotIndependent;
        }
        let mut cutter = self.cutter.clone();
        let place = match cutter.place(&timed) {
            Ok(place) if !self.may_begin_anew || !self.is_behind(&timed) => place,
            Err(Unplaced::NotIndependent) => return Taken::NotIndependent,
            Err(Unplaced::Backward) if is_epoch(timed.start) => return Taken::Late,
            Ok(_) | Err(Unplaced::Backward) => {
                return self.begin_anew(chunk, &timed, hash, now_micros, zeros);
            }
        };
        if let Some(refused) = self.refused_after_restart(&timed, &place) {
            return refused;
        }
        let growing = self.timeline.growing();
        let (segment_grew, part_grew) =
            (growing.is_some(), growing.is_some_and(|last| !last.last_part_is_whole));
        let gaps = match self.timeline.add(&timed, &place) {
            Added::Placed => 0,
            Added::AfterGaps(gaps) => gaps,
            Added::Apart if is_epoch(timed.start) && self.has_passed(&timed) => return Taken::Late,
            Added::Apart => return self.begin_anew(chunk, &timed, hash, now_micros, zeros),
        };
        if place.begins_segment {
            self.timeline.enter(&mut zeros.stretches);
            if run.independent && lead(&self.init).sample.media == Media::Video {
                self.timeline.set_key(run.first_end);
            }
        }
        self.cutter = cutter;
        self.may_begin_anew = false;
        self.chunks = if place.begins_segment { 1 } else { self.chunks + 1 };
        if run.independent {
            self.shift = Some(shift);
        }
        self.remember(decode_time, hash);
        Taken::Published(Steps {
            ends_part: part_grew && place.begins_part,
            ends_segment: segment_grew && place.begins_segment,
            gaps,
            begins_segment: place.begins_segment,
            completes_part: place.ends_part,
        })
    }

    /// Whether it was said that a timeline begins with the next chunk that can begin one.
    fn was_said_to_begin(&mut self, timed: &Timed, now_micros: i64, zeros: &mut Zeros) -> bool {
        let is_other = std::mem::take(&mut self.is_other_encoder);
        let is_other = is_other && !self.timeline.segments().is_empty();
        std::mem::take(&mut self.is_broken)
            || is_other && zeros.of(timed, now_micros) != self.zero_micros
    }

    /// What a chunk is whose time was published before, unless it begins anew with it.
    fn taken_before(&self, timed: &Timed, decode_time: u64, hash: u64) -> Option<Taken> {
        let known = *self.published.get(&decode_time)?;
        let is_again = !self.may_begin_anew || is_epoch(timed.start);
        if known == hash && (is_again || self.is_recent(timed)) {
            return Some(Taken::Repeated);
        }
        is_again.then_some(Taken::Conflict)
    }

    /// A chunk that does not go on from what was published: a new timeline, whose first moment is
    /// now, unless its media says when it is.
    fn begin_anew(
        &mut self,
        chunk: &Chunk,
        timed: &Timed,
        hash: u64,
        now_micros: i64,
        zeros: &mut Zeros,
    ) -> Taken {
        if !timed.independent {
            return Taken::NotIndependent;
        }
        let mut zero = zeros.of(timed, now_micros);
        if zero == self.zero_micros && self.has_passed(timed) && !self.may_begin_anew {
            return Taken::Late;
        }
        let newest = self.timeline.segments().back();
        let end = newest.map_or(i64::MIN, |last| last.origin.unix_micros(last.end()));
        let overlap = end.saturating_sub(zero.saturating_add(timed.start.micros()));
        if overlap > OVERLAP_MICROS && !is_epoch(timed.start) {
            // It has begun again at once, and can't be shown before what came before it.
            zero += overlap;
            zeros.remember(zero);
        }
        let growing = self.timeline.growing();
        let (ends_segment, ends_part) =
            (growing.is_some(), growing.is_some_and(|last| !last.last_part_is_whole));
        self.published.clear();
        self.cutter = Cutter::new(self.timeline.lengths());
        self.shift = None;
        self.may_begin_anew = false;
        self.zero_micros = zero;
        self.timeline.begin_anew(zero);
        match self.take(chunk, hash, now_micros, zeros) {
            Taken::Published(steps) => Taken::Published(Steps { ends_segment, ends_part, ..steps }),
            // An empty cutter and a timeline that begins anew have a place for it.
            other => other,
        }
    }

    /// Nothing more comes to the segment that grows; false if none does.
    pub fn end_segment(&mut self) -> bool {
        let grows = self.timeline.growing().is_some();
        if grows {
            self.timeline.end_segment();
            // What comes later for this segment would have to be put behind its end.
            self.cutter = Cutter::new(self.timeline.lengths());
        }
        grows
    }

    /// Nothing of this stretch can be had, which goes on from the segment that grows: parts of it
    /// are gaps. None if it does not go on from there.
    pub fn skip(&mut self, gap: &Timed) -> Option<Steps> {
        let part_grew = !self.timeline.growing()?.last_part_is_whole;
        let place = self.cutter.place_gap(gap)?;
        self.timeline.skip(gap, &place);
        Some(Steps {
            ends_part: part_grew && place.begins_part,
            completes_part: place.ends_part,
            ..Steps::default()
        })
    }

    /// Whether an encoder that was cut off would send it again: it is among the last three segments
    /// (DASH-IF Live Media Ingest, 6.6).
    fn is_recent(&self, timed: &Timed) -> bool {
        let segments = self.timeline.segments();
        let from = segments.iter().rev().nth(RESENT_SEGMENTS - 1).or(segments.front());
        from.is_some_and(|from| from.start <= timed.start)
    }

    /// Whether a chunk lies before everything that an encoder would send again: then it has begun
    /// again, also if it has no header that says so.
    #[must_use]
    pub fn is_left_behind(&self, chunk: &Chunk) -> bool {
        let is_behind = |timed: Timed| !is_epoch(timed.start) && !self.is_recent(&timed);
        !self.timeline.segments().is_empty() && self.timed(chunk).is_some_and(is_behind)
    }

    /// Whether a chunk of media that is not on the epoch's time lies before the end of what is
    /// published, by more than encoders put it there: times may begin anew with another header.
    fn is_behind(&self, timed: &Timed) -> bool {
        let Some(last) = self.timeline.segments().back() else { return false };
        let behind = last.end().micros().saturating_sub(timed.start.micros());
        timed.independent && !is_epoch(timed.start) && behind > OVERLAP_MICROS
    }

    /// Whether something is published for this time or a later one, if only a gap.
    fn has_passed(&self, timed: &Timed) -> bool {
        self.timeline.segments().back().is_some_and(|last| timed.start < last.end())
    }

    /// The segment that should have come by now did not: it is published as a gap. Gives whether
    /// one grew, which is whole now; none before anything was published.
    pub fn add_gap(&mut self) -> Option<bool> {
        self.timeline.segments().back()?;
        let grew = self.end_segment();
        self.timeline.add_gap();
        self.cutter = Cutter::new(self.timeline.lengths());
        Some(grew)
    }

    /// Whether a segment grows that has all that belongs to it.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.timeline.growing().is_some() && self.cutter.is_full()
    }

    /// Whether the segment that grows has more than any segment should.
    fn is_overlong(&self) -> bool {
        let Some(last) = self.timeline.growing() else { return false };
        let length = self.timeline.lengths().segment;
        let micros = last.end().micros().abs_diff(last.start.micros());
        self.chunks >= SEGMENT_CHUNKS_MAX
            || (micros > SEGMENT_UNCUT_MICROS
                && length.cmp_ticks(last.duration / 4, last.start.timescale).is_lt())
    }

    /// A chunk that was published could not be written after all: the encoder may send it again.
    pub fn forget(&mut self, chunk: &Chunk) {
        if let Some(run) = chunk.fragment.run(self.lead) {
            self.published.remove(&run.decode_time);
        }
        if let Some(timed) = self.timed(chunk) {
            self.timeline.take_back(cut_to_start(timed).duration);
        }
    }

    fn remember(&mut self, decode_time: u64, hash: u64) {
        self.published.insert(decode_time, hash);
        if self.published.len() > CHUNKS_REMEMBERED {
            self.published.pop_first();
        }
    }
}

/// The track whose times count: pictures before sound before text.
#[must_use]
pub fn lead(init: &Init) -> &Track {
    let rank = |track: &&Track| match track.sample.media {
        Media::Video => 0,
        Media::Audio => 1,
        Media::Text => 2,
    };
    init.tracks.iter().min_by_key(rank).expect("a header has a track")
}

/// When a chunk is presented by itself, as far as the leading track of its header is concerned.
#[must_use]
pub fn timed(init: &Init, chunk: &Chunk) -> Option<Timed> {
    let Track { id, timescale, .. } = lead(init);
    let run = chunk.fragment.run(*id)?;
    // Beyond this no sum of times would fit; and it is longer than the world has been.
    if run.presentation_time.unsigned_abs() > TICKS_MAX || run.duration > TICKS_MAX {
        return None;
    }
    let start = Moment { ticks: run.presentation_time, timescale: *timescale };
    Some(Timed { start, duration: run.duration, independent: run.independent })
}

/// Without what the edit list cuts off: priming samples of a sound, of which nothing is heard.
fn cut_to_start(timed: Timed) -> Timed {
    let before = timed.start.ticks.min(0).unsigned_abs();
    let start = Moment { ticks: timed.start.ticks.max(0), ..timed.start };
    Timed { start, duration: timed.duration.saturating_sub(before), ..timed }
}

/// Whether media is on the epoch's own time.
#[must_use]
pub fn is_epoch(start: Moment) -> bool {
    start.micros() >= EPOCH_MICROS_MIN
}

#[cfg(test)]
mod tests;
