//! What one rendition publishes: segments and their parts, from the oldest listed to the newest.
//!
//! Chunks that have a place (`cut`) become parts, parts become segments; what leaves the window is
//! taken off the front. Numbers only go up, one a segment, and what was published is never changed:
//! a segment that did not come is published as a gap, in its turn.

use std::collections::VecDeque;

use super::cut::{Lengths, Place, Timed};
use super::playlist::name::{Longer, Promise};
use super::stretches::{Begun, Stretches};
use super::time::{Length, Moment};

/// Gaps that are published one by one. What is missing beyond that is a new timeline: no player
/// waits through an hour of nothing.
pub const GAPS_MAX: i64 = 1800;

/// A segment, whole or still growing.
#[derive(Clone, Debug)]
pub struct Segment {
    /// Its number: the media sequence number of HLS.
    pub number: i64,
    /// When it begins.
    pub start: Moment,
    /// How long it is so far, in ticks of `start`.
    pub duration: u64,
    /// Its parts; the last one may be growing.
    pub parts: Vec<Part>,
    /// Whether its last part is whole.
    pub last_part_is_whole: bool,
    /// Whether nothing is added any more.
    pub is_whole: bool,
    /// Whether there is nothing to play.
    pub is_gap: bool,
    /// Whether media time does not go on from the segment before it, or that of another rendition
    /// does not.
    pub discontinuity: bool,
    /// Its discontinuity sequence number: that of the channel's stretch in which it lies.
    pub sequence: u64,
    /// Bytes from its start to the end of its first picture, with which decoding can begin.
    pub key_size: Option<u64>,
    /// Which header holds, counted from the first of this rendition.
    pub header: u32,
    /// What holds for all segments since the last discontinuity.
    pub origin: Origin,
}

/// Where a stretch without discontinuities lies in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Microseconds of Unix time at the media's zero: 0 for media on the epoch's own time.
    pub zero_micros: i64,
    /// Microseconds of the media at which the channel's stretch begins: 0 for the first one, so
    /// that nothing that is said of it depends on when a server was started.
    pub start_micros: i64,
}

impl Origin {
    /// Microseconds of Unix time at a moment of the media.
    #[must_use]
    pub fn unix_micros(&self, at: Moment) -> i64 {
        at.micros().saturating_add(self.zero_micros)
    }
}

/// A part of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// In ticks of the segment.
    pub duration: u64,
    /// Whether decoding can begin with it.
    pub independent: bool,
    /// Whether there is nothing to play in it, although there is in its segment.
    pub is_gap: bool,
}

impl Part {
    /// The part that a chunk begins.
    fn of(chunk: &Timed, is_gap: bool) -> Self {
        Self { duration: chunk.duration, independent: chunk.independent, is_gap }
    }
}

/// What came of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// It has its place.
    Placed,
    /// So many segments are missing before it, and are published as gaps.
    AfterGaps(u32),
    /// Too much is missing before it: it belongs to a new timeline. Nothing was added.
    Apart,
}

/// A rendition's published past.
#[derive(Debug)]
pub struct Timeline {
    lengths: Lengths,
    /// What came to be longer than that.
    longer: Option<Longer>,
    segments: VecDeque<Segment>,
    header: u32,
    /// What is added to a number of the grid to get a published one.
    offset: i64,
    origin: Origin,
    /// Whether the next segment begins a new timeline.
    is_anew: bool,
    /// Numbers up to here were used before this timeline began.
    used: i64,
    /// What it was before a restart.
    before: Option<Before>,
    /// Tells runs of the server apart, in names of segments by their time.
    run: i64,
}

/// What the media of a rendition was when the server was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Before {
    /// Whether it had another header than it has now.
    pub has_other_header: bool,
    /// The Unix time of its zero.
    pub zero_micros: i64,
}

impl Segment {
    /// When it ends, as far as it has come.
    #[must_use]
    pub fn end(&self) -> Moment {
        self.start.plus(self.duration)
    }

    /// Whether an edition lists it: one without parts has only segments that are whole.
    #[must_use]
    pub fn is_listed(&self, with_parts: bool) -> bool {
        self.is_whole || (with_parts && !self.whole_parts().is_empty())
    }

    /// Parts that are whole.
    #[must_use]
    pub fn whole_parts(&self) -> &[Part] {
        let whole =
            self.parts.len() - usize::from(!self.last_part_is_whole && !self.parts.is_empty());
        &self.parts[..whole]
    }
}

impl Timeline {
    /// Without anything in it; `zero_micros` is the Unix time of the media's zero.
    #[must_use]
    pub fn new(lengths: Lengths, zero_micros: i64) -> Self {
        Self {
            lengths,
            longer: None,
            segments: VecDeque::new(),
            header: 0,
            offset: offset_of(lengths, zero_micros),
            origin: Origin { zero_micros, start_micros: 0 },
            is_anew: false,
            used: i64::MIN,
            before: None,
            run: 0,
        }
    }

    /// The first segment goes on from this, or it begins a new stretch.
    pub fn begin_behind(&mut self, before: Option<Before>) {
        self.before = before;
    }

    /// The first number is above this one, unless it follows from the epoch's time.
    pub fn begin_above(&mut self, used: i64) {
        self.used = used;
    }

    /// In this run of the server, whose number no other one has.
    pub fn begin_run(&mut self, run: i64) {
        self.run = run;
    }

    /// Which run of the server this is.
    #[must_use]
    pub fn run(&self) -> i64 {
        self.run
    }

    /// What is published, oldest first.
    #[must_use]
    pub fn segments(&self) -> &VecDeque<Segment> {
        &self.segments
    }

    /// The segment that grows, if one does.
    #[must_use]
    pub fn growing(&self) -> Option<&Segment> {
        self.segments.back().filter(|last| !last.is_whole)
    }

    /// The number that a segment would have in which this chunk lies, as the grid counts.
    #[must_use]
    pub fn number_of(&self, chunk: &Timed) -> i64 {
        self.lengths.number_of(chunk).saturating_add(self.offset)
    }

    /// The lengths that hold for it.
    #[must_use]
    pub fn lengths(&self) -> Lengths {
        self.lengths
    }

    /// Something longer has come: from now on so long a part is filled, and so long a segment is
    /// nothing unusual. Where segments are cut does not change, nor do their numbers.
    pub fn lengthen(&mut self, longer: Longer) {
        self.set_part(longer.part);
        self.longer = Some(longer);
    }

    /// Parts are so long from now on.
    pub fn set_part(&mut self, part: Length) {
        self.lengths.part = part;
    }

    /// The length of the longest segment.
    #[must_use]
    pub fn longest(&self) -> Length {
        self.longer.map_or(self.lengths.segment, |longer| longer.segment)
    }

    /// What its playlists promise, if that is not what they did at first.
    #[must_use]
    pub fn promise(&self) -> Option<Promise> {
        self.longer.map(|longer| longer.promise())
    }

    /// The number of the segment in which a moment lies, if segments are as long as usual.
    #[must_use]
    pub fn number_at(&self, at: Moment) -> i64 {
        self.lengths.segment.whole_until(at).saturating_add(self.offset)
    }

    /// The discontinuity sequence number of the first segment that is listed.
    #[must_use]
    pub fn discontinuity_sequence(&self) -> u64 {
        self.segments.front().map_or(0, |first| first.sequence)
    }

    /// The number of the part that comes next, as (segment, part): what a preload hint names.
    ///
    /// A segment that has reached its length has no further part.
    #[must_use]
    pub fn next_part(&self) -> Option<(i64, u32)> {
        let last = self.segments.back()?;
        let is_full = self.longest().cmp_ticks(last.duration, last.start.timescale).is_le();
        let parts = u32::try_from(last.whole_parts().len()).unwrap_or(u32::MAX);
        let grows = !last.last_part_is_whole && !last.parts.is_empty();
        if last.is_whole || (is_full && !grows) {
            return Some((last.number + 1, 0));
        }
        Some((last.number, parts))
    }

    /// Another header holds for what comes next. It begins with a new segment.
    pub fn change_header(&mut self, header: u32) {
        self.header = header;
        self.is_anew |= !self.segments.is_empty();
    }

    /// What comes next does not go on from what came before, and has its zero at this Unix time.
    pub fn begin_anew(&mut self, zero_micros: i64) {
        self.end_segment();
        self.is_anew = !self.segments.is_empty();
        self.origin.zero_micros = zero_micros;
        self.offset = offset_of(self.lengths, zero_micros);
    }

    /// Adds a chunk at its place.
    pub fn add(&mut self, chunk: &Timed, place: &Place) -> Added {
        if !place.begins_segment {
            return self.go_on(chunk, place, false);
        }
        let Ok(missing) = self.missing_before(chunk, place) else { return Added::Apart };
        self.end_segment();
        for _ in 0..missing {
            self.add_gap();
        }
        if self.is_anew {
            self.origin.start_micros = chunk.start.micros();
        }
        let sequence = self.segments.back().map_or(0, |last| last.sequence);
        self.segments.push_back(Segment {
            number: place.segment.saturating_add(self.offset),
            start: chunk.start,
            duration: chunk.duration,
            parts: vec![Part::of(chunk, false)],
            last_part_is_whole: place.ends_part,
            is_whole: false,
            is_gap: false,
            sequence: sequence + u64::from(self.is_anew),
            discontinuity: std::mem::take(&mut self.is_anew),
            key_size: None,
            header: self.header,
            origin: self.origin,
        });
        if missing > 0 { Added::AfterGaps(missing) } else { Added::Placed }
    }

    /// The segment that has just begun has its first picture in so many bytes; 0: that can't be had
    /// alone.
    pub fn set_key(&mut self, size: u64) {
        if let Some(last) = self.segments.back_mut() {
            last.key_size = (size > 0).then_some(size);
        }
    }

    /// Puts the segment that has just begun into the stretch of the channel to which it belongs.
    pub fn enter(&mut self, stretches: &mut Stretches) {
        let slack_micros = i64::try_from(self.lengths.segment.micros() / 2).unwrap_or(0);
        let was = self.segments.iter().rev().nth(1).map(|before| before.sequence);
        let Some(last) = self.segments.back_mut() else { return };
        let zero_micros = last.origin.zero_micros;
        let is_other =
            |before: Before| before.has_other_header || before.zero_micros != zero_micros;
        let stretch = stretches.enter(&Begun {
            was,
            is_anew: last.discontinuity || (was.is_none() && self.before.is_some_and(is_other)),
            start_micros: last.origin.unix_micros(last.start),
            zero_micros,
            slack_micros,
        });
        last.discontinuity = was.is_some_and(|was| was != stretch.sequence);
        last.sequence = stretch.sequence;
        if last.discontinuity || was.is_none() {
            self.origin.start_micros = stretch.start_micros.saturating_sub(zero_micros);
            last.origin = self.origin;
        }
    }

    /// How many segments are missing before the one that this chunk begins.
    ///
    /// A timeline that begins anew keeps to the grid if that goes on from what was published, and
    /// else is counted on from there: numbers only go up, and none is left out. So they are counted
    /// on behind a segment that is longer than the grid's: nothing is missing where media follows.
    fn missing_before(&mut self, chunk: &Timed, place: &Place) -> Result<u32, ()> {
        let Some(last) = self.segments.back() else {
            self.offset = self.offset.max(-place.segment);
            if self.origin.zero_micros != 0 {
                let above = self.used.saturating_add(1).saturating_sub(place.segment);
                self.offset = self.offset.max(above);
            }
            return Ok(0);
        };
        let grid = place.segment.saturating_add(self.offset);
        let mut missing = grid.saturating_sub(last.number).saturating_sub(1);
        if missing < 0 && !self.is_anew && chunk.start.plus(1) >= last.end() {
            // It follows, and segments that are shorter than the grid's are counted on.
            self.offset = last.number + 1 - place.segment;
            missing = 0;
        }
        if missing > 0 && self.origin.zero_micros == last.origin.zero_micros {
            let hole = chunk.start.micros().saturating_sub(last.end().micros());
            let one = i64::try_from(self.lengths.segment.micros()).unwrap_or(i64::MAX).max(1);
            let in_hole = (hole.saturating_add(one / 2) / one).max(0);
            self.offset = self.offset.saturating_sub((missing - in_hole).max(0));
            missing = missing.min(in_hole);
        }
        if !(0..=GAPS_MAX).contains(&missing) {
            if !self.is_anew {
                return Err(());
            }
            self.offset = last.number + 1 - place.segment;
            missing = 0;
        }
        Ok(u32::try_from(missing).expect("between 0 and the most gaps"))
    }

    /// Adds a stretch of which nothing can be had to the segment that grows.
    pub fn skip(&mut self, gap: &Timed, place: &Place) -> Added {
        self.go_on(gap, place, true)
    }

    /// Adds to the segment that grows.
    fn go_on(&mut self, chunk: &Timed, place: &Place, is_gap: bool) -> Added {
        let Some(last) = self.segments.back_mut().filter(|last| !last.is_whole) else {
            return Added::Apart;
        };
        last.duration = last.duration.saturating_add(chunk.duration);
        match last.parts.last_mut() {
            Some(part) if !place.begins_part => {
                part.duration = part.duration.saturating_add(chunk.duration);
            }
            _ => last.parts.push(Part::of(chunk, is_gap)),
        }
        last.last_part_is_whole = place.ends_part;
        Added::Placed
    }

    /// Nothing more comes to the segment that grows: its source said so, or the next one begins.
    pub fn end_segment(&mut self) {
        if let Some(last) = self.segments.back_mut() {
            last.is_whole = true;
            last.last_part_is_whole = true;
        }
    }

    /// What was added last, so many ticks, can't be had after all. The first of a segment stays:
    /// that there is nothing to play is said of the whole segment then.
    pub fn take_back(&mut self, duration: u64) {
        let Some(last) = self.segments.back_mut().filter(|last| !last.is_whole) else { return };
        if last.duration <= duration {
            return;
        }
        let Some(part) = last.parts.last_mut() else { return };
        last.duration -= duration;
        if part.duration > duration {
            part.duration -= duration;
            last.last_part_is_whole = false;
        } else {
            last.parts.pop();
            last.last_part_is_whole = true;
        }
    }

    /// Nothing of the last segment can be had: it is a gap.
    pub fn spoil_last(&mut self) {
        if let Some(last) = self.segments.back_mut() {
            last.is_gap = true;
        }
    }

    /// Publishes the segment that should have come by now as a gap.
    pub fn add_gap(&mut self) {
        self.end_segment();
        let Some(last) = self.segments.back() else { return };
        // It belongs to what came before, also if something else has been announced.
        let (timescale, origin, header) = (last.start.timescale, last.origin, last.header);
        let sequence = last.sequence;
        let start = last.end();
        let duration = self.lengths.segment.ticks_of(timescale);
        self.segments.push_back(Segment {
            number: last.number + 1,
            start,
            duration,
            parts: self.gap_parts(duration, timescale),
            last_part_is_whole: true,
            is_whole: true,
            is_gap: true,
            discontinuity: false,
            sequence,
            key_size: None,
            header,
            origin,
        });
    }

    /// The parts that such a segment would have had.
    fn gap_parts(&self, duration: u64, timescale: u32) -> Vec<Part> {
        let most = self.lengths.part.ticks_of(timescale);
        let starts = (0..duration).step_by(usize::try_from(most).unwrap_or(usize::MAX));
        let part =
            |start| Part { duration: most.min(duration - start), independent: false, is_gap: true };
        starts.map(part).collect()
    }

    /// Takes off what is older than this many microseconds before the end, as far as at least
    /// three segments stay; also what is more than twice as many segments as fit there, however
    /// short they are. Gives what was taken.
    pub fn trim(&mut self, window_micros: u64) -> Vec<Segment> {
        let most = 2 * window_micros / self.lengths.segment.micros().max(1) + 3;
        let mut taken = Vec::new();
        let micros = |segment: &Segment| {
            u64::try_from(segment.end().micros() - segment.start.micros()).unwrap_or(0)
        };
        let mut left = self.segments.iter().map(micros).fold(0, u64::saturating_add);
        while self.segments.len() > 3 {
            let first = micros(&self.segments[0]);
            let is_few = self.segments.len() as u64 <= most;
            if is_few && left.saturating_sub(first) < window_micros {
                break;
            }
            left = left.saturating_sub(first);
            if let Some(segment) = self.segments.pop_front() {
                taken.push(segment);
            }
        }
        taken
    }
}

/// Segments between 1970 and the media's zero. With them, numbers of media that has a zero of its
/// own go on behind those of an earlier run, also of a server that remembers nothing.
fn offset_of(lengths: Lengths, zero_micros: i64) -> i64 {
    lengths.segment.whole_until(Moment { ticks: zero_micros, timescale: 1_000_000 })
}

#[cfg(test)]
mod tests;
