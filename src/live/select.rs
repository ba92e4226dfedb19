//! Which of several encoders a rendition is taken from: chunks of ordered sources in, as they
//! come; out, in their order, what is published next.
//!
//! 1. A segment is taken from the highest source whose first chunk comes in time, and stays with
//!    it. In time is who comes before patience with the first one that came has ended.
//! 2. A source is lost in the middle of a segment if its request breaks off, or if it is silent for
//!    patience and the length of a chunk while another one has more. Then the segment goes on at
//!    the same time from a source that sent the same bytes; else from the next one's next
//!    independent chunk, and what lies between is a gap.
//! 3. Times of sources that count from their own start can't be compared: such a source is taken as
//!    long as it lives, and what the others send meanwhile is of no use.
//!
//! Pure: time is an argument, counted from any moment. Chunks that may be needed are held here; how
//! many bytes of them is the caller's to limit (`held_size`, `drop_oldest`).

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::boxes::stream::Chunk;
use super::cut::{Lengths, Timed};
use super::publisher::is_epoch;
use super::time::Moment;
use crate::config::SEGMENT_CHUNKS_MAX;
use crate::units::ETag;

/// A chunk of a source.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// What it says.
    pub chunk: Chunk,
    /// All of it.
    pub bytes: Vec<u8>,
    /// Of its bytes.
    pub hash: u64,
    /// When it is presented, by itself.
    pub timed: Timed,
    /// When it is decoded, in the same ticks.
    pub decode_time: u64,
    /// Of the header that holds for it.
    pub header: ETag,
}

/// What came of a chunk for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offered {
    /// It is held: `poll` may give it out.
    Held,
    /// Its source is the one that is taken, and something is published for its time.
    Past,
    /// It is not needed: another source had its time.
    Spare,
}

/// How far a rendition is published.
#[derive(Clone, Copy, Debug)]
pub struct Front {
    /// The end of its last segment.
    pub end: Moment,
    /// Whether nothing is added to that any more.
    pub is_whole: bool,
}

/// What is to be done next.
#[derive(Debug)]
pub enum Action {
    /// This chunk is published.
    Publish(Publish),
    /// Nothing of this stretch can be had. It goes on from the segment that grows, in its ticks;
    /// if that can't take it, it ends.
    Skip(Timed),
}

/// A chunk to publish.
#[derive(Debug)]
pub struct Publish {
    /// Of which source.
    pub source: usize,
    /// The chunk.
    pub candidate: Candidate,
    /// Whether its times may begin anew, because its source takes over and counts by itself.
    pub begins_anew: bool,
    /// Whether it was the last one of its request.
    pub ends_request: bool,
}

/// Selects for one rendition.
#[derive(Debug)]
pub struct Selector {
    lengths: Lengths,
    patience: Duration,
    sources: Vec<Source>,
    active: Option<usize>,
    /// Whether the active source took over from another one, and has yet to send a chunk with which
    /// decoding can begin.
    joins: bool,
    /// Whether it took over without times that could be compared.
    is_anew: bool,
    /// The segment that was begun last, as the grid counts.
    number: i64,
    /// The header of what was published last.
    header: Option<ETag>,
    /// Hashes of what is published of that segment, by decoding time.
    published: BTreeMap<u64, u64>,
}

/// A source, as far as this rendition is concerned.
#[derive(Debug, Default)]
struct Source {
    held: VecDeque<Held>,
    held_size: usize,
    /// Hashes of its newest chunks by decoding time.
    seen: BTreeMap<u64, u64>,
    /// From decoding to presentation times, as of its last independent chunk.
    shift: Option<i64>,
    heard: Option<Duration>,
    /// How long its last chunk was.
    cadence: Duration,
    /// Its request broke off, and nothing has come since.
    is_torn: bool,
    /// It did not come in time, or was lost, and is not waited for.
    is_failed: bool,
    is_on_epoch: bool,
}

#[derive(Debug)]
struct Held {
    candidate: Candidate,
    /// With the source's shift.
    timed: Timed,
    number: i64,
    came: Duration,
    ends_request: bool,
}

impl Held {
    fn end(&self) -> Moment {
        self.timed.start.plus(self.timed.duration)
    }
}

impl Selector {
    /// For so many sources, the first one being the highest.
    #[must_use]
    pub fn new(lengths: Lengths, sources: usize, patience: Duration) -> Self {
        Self {
            lengths,
            patience,
            sources: (0..sources).map(|_| Source::default()).collect(),
            active: None,
            joins: false,
            is_anew: false,
            number: i64::MIN,
            header: None,
            published: BTreeMap::new(),
        }
    }

    /// The source that is taken; none before the first chunk.
    #[must_use]
    pub fn active(&self) -> Option<usize> {
        self.active
    }

    /// Bytes that are held.
    #[must_use]
    pub fn held_size(&self) -> usize {
        self.sources.iter().map(|source| source.held_size).sum()
    }

    /// Lets go of the oldest chunk of the source that has most; false if nothing is held.
    pub fn drop_oldest(&mut self) -> bool {
        let largest = self.sources.iter_mut().max_by_key(|source| source.held_size);
        largest.and_then(Source::pop).is_some()
    }

    /// A chunk of a source has come.
    pub fn offer(
        &mut self,
        source: usize,
        candidate: Candidate,
        front: Option<Front>,
        now: Duration,
    ) -> Offered {
        let of = &mut self.sources[source];
        let timed = of.shifted(&candidate);
        of.heard = Some(now);
        of.is_torn = false;
        of.is_on_epoch = is_epoch(timed.start);
        of.cadence = Duration::from_micros(length_micros(&timed));
        of.seen.insert(candidate.decode_time, candidate.hash);
        if of.seen.len() > SEGMENT_CHUNKS_MAX as usize {
            of.seen.pop_first();
        }
        if self.is_comparable(source) {
            if is_past(&timed, front) {
                return if self.active == Some(source) { Offered::Past } else { Offered::Spare };
            }
            self.sources[source].is_failed = false;
        } else if !self.may_take_over(source, timed.independent, now) {
            return Offered::Spare;
        }
        let number = self.lengths.number_of(&timed);
        let of = &mut self.sources[source];
        of.held_size += candidate.bytes.len();
        of.held.push_back(Held { candidate, timed, number, came: now, ends_request: false });
        Offered::Held
    }

    /// A request of a source has ended as it should. True if that may end the segment that grows;
    /// if chunks of it are held, the last of them will say so.
    pub fn end_request(&mut self, source: usize) -> bool {
        match self.sources[source].held.back_mut() {
            Some(last) => {
                last.ends_request = true;
                false
            }
            None => self.active == Some(source),
        }
    }

    /// A request of a source broke off.
    pub fn break_request(&mut self, source: usize) {
        self.sources[source].is_torn = true;
    }

    /// What is to be done next, if anything. It is asked for again when that is done.
    pub fn poll(&mut self, front: Option<Front>, now: Duration) -> Option<Action> {
        self.let_go_of_past(front);
        loop {
            let Some(active) = self.active else { return self.choose(front, now) };
            let Some(front) = front.filter(|front| !front.is_whole) else {
                return self.choose(front, now);
            };
            match self.sources[active].held.front() {
                None if self.others_begin(front) => return self.choose(Some(front), now),
                None => {
                    if !self.is_lost(active, now) || !self.take_over(active, front) {
                        return None;
                    }
                }
                Some(first) if !is_epoch(first.timed.start) => return self.publish(active),
                Some(first) if self.begins(first, false) => return self.choose(Some(front), now),
                Some(first) => {
                    let is_here =
                        !self.joins || first.timed.independent && self.is_of_header(first);
                    match gap(front.end, first, is_here) {
                        Some(gap) if self.fits(&gap) => return Some(Action::Skip(gap)),
                        None if is_here => {
                            self.joins = false;
                            return self.publish(active);
                        }
                        // What lies further ahead belongs to a segment that nothing can begin.
                        _ => drop(self.sources[active].pop()),
                    }
                }
            }
        }
    }

    /// Whether a source's times can be compared with those of the active one.
    fn is_comparable(&self, source: usize) -> bool {
        let is_on_epoch = |source: usize| self.sources[source].is_on_epoch;
        is_on_epoch(source) && self.active.is_none_or(is_on_epoch)
    }

    /// Whether a source is taken whose times can't be compared.
    fn may_take_over(&mut self, source: usize, independent: bool, now: Duration) -> bool {
        let active = self.active.filter(|active| *active != source);
        if let Some(active) = active {
            let lives = self.is_alive(active, now) && !self.sources[active].is_torn;
            if lives || !independent {
                return false;
            }
            self.sources[active].is_failed = true;
            self.sources.iter_mut().for_each(Source::clear);
            self.is_anew = true;
        }
        if self.active != Some(source) {
            self.active = Some(source);
            self.joins = false;
            self.number = i64::MIN;
            self.published.clear();
        }
        true
    }

    /// Whether a source has been heard of lately: then it is waited for.
    fn is_alive(&self, source: usize, now: Duration) -> bool {
        let segment = Duration::from_micros(self.lengths.segment.micros());
        let heard = self.sources[source].heard;
        heard.is_some_and(|heard| now.saturating_sub(heard) < segment + self.patience)
    }

    /// Whether a source that has a segment under way does not go on.
    fn is_lost(&self, source: usize, now: Duration) -> bool {
        let of = &self.sources[source];
        let silent = of.heard.map(|heard| now.saturating_sub(heard));
        of.is_torn || silent.is_some_and(|silent| silent >= self.patience + of.cadence)
    }

    /// Another source goes on with the segment of this one; false if none can.
    fn take_over(&mut self, lost: usize, front: Front) -> bool {
        let has_more = |at: &usize| *at != lost && !self.sources[*at].held.is_empty();
        let others: Vec<_> = (0..self.sources.len()).filter(has_more).collect();
        let same = others.iter().copied().find(|at| self.sent_the_same(*at, front));
        let Some(next) = same.or_else(|| others.first().copied()) else { return false };
        self.sources[lost].is_failed = true;
        self.active = Some(next);
        self.joins = same.is_none();
        true
    }

    /// Whether a source sent everything that is published of the segment, and goes on from there.
    fn sent_the_same(&self, source: usize, front: Front) -> bool {
        let of = &self.sources[source];
        let mut published = self.published.iter();
        let next = of.held.front();
        next.is_some_and(|next| {
            self.is_of_header(next) && next.timed.start <= front.end.plus(1) && !self.joins
        }) && published.all(|(time, hash)| of.seen.get(time) == Some(hash))
    }

    /// Whether a segment can be as long as that.
    fn fits(&self, gap: &Timed) -> bool {
        self.lengths.segment.cmp_ticks(gap.duration, gap.start.timescale).is_ge()
    }

    fn is_of_header(&self, held: &Held) -> bool {
        self.header.is_none_or(|header| header == held.candidate.header)
    }

    /// Whether a chunk begins a segment.
    fn begins(&self, held: &Held, nothing_grows: bool) -> bool {
        held.timed.independent && (nothing_grows || held.number > self.number)
    }

    /// Whether the segment that grows has all that it should, as another source shows.
    fn others_begin(&self, front: Front) -> bool {
        let begins = |source: &Source| {
            let mut held = source.held.iter();
            held.find(|held| self.begins(held, false))
                .is_some_and(|first| first.timed.start <= front.end.plus(1))
        };
        self.sources.iter().any(begins)
    }

    /// A segment begins: from which source?
    fn choose(&mut self, front: Option<Front>, now: Duration) -> Option<Action> {
        let nothing_grows = front.is_none_or(|front| front.is_whole);
        if nothing_grows {
            for source in &mut self.sources {
                while source.held.front().is_some_and(|first| !first.timed.independent) {
                    source.pop();
                }
            }
        }
        if let Some(active) = self.active
            && let Some(first) = self.sources[active].held.front()
            && !is_epoch(first.timed.start)
        {
            return self.publish(active);
        }
        let firsts: Vec<Option<(i64, Moment, Duration)>> = self
            .sources
            .iter()
            .map(|source| {
                let first = source.held.iter().find(|held| self.begins(held, nothing_grows))?;
                Some((first.number, first.timed.start, first.came))
            })
            .collect();
        let number = firsts.iter().flatten().map(|first| first.0).min()?;
        let is_wanted = |first: &(i64, Moment, Duration)| first.0 == number;
        let in_time: Vec<_> = firsts.iter().map(|first| first.filter(is_wanted)).collect();
        let best = in_time.iter().position(Option::is_some)?;
        let since = in_time.iter().flatten().map(|first| first.2).min()?;
        let missing = |at: &usize| {
            let source = &self.sources[*at];
            firsts[*at].is_none() && !source.is_failed && !source.is_torn
        };
        let awaited = (0..best).any(|at| missing(&at) && self.is_alive(at, now));
        if awaited && now.saturating_sub(since) < self.patience {
            return None;
        }
        let start = in_time[best]?.1;
        let leaves_hole = front.is_some_and(|front| front.end.plus(1) < start);
        if leaves_hole
            && let Some(active) = self.active.filter(|active| *active != best)
            && missing(&active)
            && self.is_alive(active, now)
        {
            // It is only slower than one whose clock is ahead.
            return None;
        }
        if self.joins
            && let Some(front) = front.filter(|front| !front.is_whole)
            && let Some(gap) = gap_until(front.end, start).filter(|gap| self.fits(gap))
        {
            return Some(Action::Skip(gap));
        }
        for (source, first) in self.sources.iter_mut().zip(&firsts).take(best) {
            source.is_failed |= first.is_none();
        }
        self.active = Some(best);
        self.joins = false;
        self.number = number;
        self.published.clear();
        while self.sources[best].held.front().is_some_and(|first| first.timed.start < start) {
            self.sources[best].pop();
        }
        self.publish(best)
    }

    fn publish(&mut self, source: usize) -> Option<Action> {
        let Held { candidate, ends_request, .. } = self.sources[source].pop()?;
        self.published.insert(candidate.decode_time, candidate.hash);
        if self.published.len() > SEGMENT_CHUNKS_MAX as usize {
            self.published.pop_first();
        }
        self.header = Some(candidate.header);
        let begins_anew = std::mem::take(&mut self.is_anew);
        Some(Action::Publish(Publish { source, candidate, begins_anew, ends_request }))
    }

    /// What is published needs nobody any more.
    fn let_go_of_past(&mut self, front: Option<Front>) {
        for source in &mut self.sources {
            while source
                .held
                .front()
                .is_some_and(|first| is_epoch(first.timed.start) && is_past(&first.timed, front))
            {
                source.pop();
            }
        }
    }
}

impl Source {
    /// When a chunk is presented: what follows an independent chunk keeps its distance to it in
    /// decoding time.
    fn shifted(&mut self, candidate: &Candidate) -> Timed {
        let timed = candidate.timed;
        let decoded = i64::try_from(candidate.decode_time).unwrap_or(0);
        if timed.independent {
            self.shift = Some(timed.start.ticks.saturating_sub(decoded));
        }
        let shift = self.shift.unwrap_or_else(|| timed.start.ticks.saturating_sub(decoded));
        Timed { start: Moment { ticks: decoded.saturating_add(shift), ..timed.start }, ..timed }
    }

    fn pop(&mut self) -> Option<Held> {
        let first = self.held.pop_front()?;
        self.held_size -= first.candidate.bytes.len();
        Some(first)
    }

    fn clear(&mut self) {
        self.held.clear();
        self.held_size = 0;
    }
}

/// Whether something is published for the time of a chunk, as a cutter sees it.
fn is_past(timed: &Timed, front: Option<Front>) -> bool {
    front.is_some_and(|front| timed.start.plus(1) < front.end)
}

fn length_micros(timed: &Timed) -> u64 {
    timed.start.plus(timed.duration).micros().abs_diff(timed.start.micros())
}

/// What can't be had before this chunk, or up to its end if it can't be decoded. Less than half of
/// the chunk is no gap: encoders round.
fn gap(front: Moment, held: &Held, is_decodable: bool) -> Option<Timed> {
    if !is_decodable {
        return gap_until(front, held.end());
    }
    let gap = gap_until(front, held.timed.start)?;
    (2 * length_micros(&gap) > length_micros(&held.timed)).then_some(gap)
}

/// From here to there, in ticks of the former; none if that is less than two of them.
fn gap_until(front: Moment, end: Moment) -> Option<Timed> {
    let ticks = i128::from(end.ticks) * i128::from(front.timescale);
    let ticks = ticks / i128::from(end.timescale.max(1)) - i128::from(front.ticks);
    let duration = u64::try_from(ticks).ok().filter(|ticks| *ticks > 1)?;
    Some(Timed { start: front, duration, independent: false })
}

#[cfg(test)]
mod tests;
