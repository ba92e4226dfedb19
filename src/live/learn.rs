//! The lengths of a channel, learnt from what its encoder sends: chunks of the leading rendition
//! in, the lengths of its segments and parts out.
//!
//! The length of a segment follows from the distance of the first two chunks with which decoding
//! can begin:
//!
//! 1. Less than 0.1 % beside a whole number of 100 ms, it is that: encoders round. Otherwise it
//!    stays exact, so that pictures at 30000/1001 a second, which are just 0.1 % off, keep their
//!    own grid.
//! 2. From 900 ms on it is the length of a segment.
//! 3. If it is shorter, segments are several such distances long: the fewest that make 2 s. Where
//!    no other chunk lies between the two (sound, or intra-only pictures), a segment can begin
//!    anywhere: as many as come nearest to 2 s.
//!
//! The length of a part follows from the longest chunk until then, since chunks of one track can
//! differ by a frame:
//!
//! 1. Longer than 0.6 of a segment, it is a segment as a whole: there are no parts to speak of.
//! 2. From 200 ms on it is the length of a part.
//! 3. If it is shorter, parts are as many such chunks as fit into 500 ms.
//!
//! A part is never longer than a segment. Lengths that are given are not learnt, but a part is made
//! to fit the chunks (`part`).

pub mod part;

use std::cmp::Ordering;

use super::cut::{Lengths, Timed};
use super::time::Length;

/// Longest distance that is believed, in seconds. Beyond it the encoder began another timeline, and
/// learning begins anew: segments of live channels have 1 to 10 s.
const DISTANCE_SECONDS_MAX: u64 = 30;

/// From which distance on it is a segment's, in milliseconds: GOPs of a second, and of 0.96 s.
const SEGMENT_MILLIS_MIN: u64 = 900;

/// How long segments become that are put together, in seconds.
const SEGMENT_SECONDS: u64 = 2;

/// From which length on a chunk is a part, in milliseconds.
const PART_MILLIS_MIN: u64 = 200;

/// How long parts become that are put together, at most, in milliseconds.
const PART_MILLIS_MAX: u64 = 500;

/// Learns the lengths of one channel.
#[derive(Clone, Debug)]
pub struct Learner {
    segment: Option<Length>,
    part: Option<Length>,
    /// Of everything below.
    timescale: u32,
    /// Of the longest chunk, in ticks.
    longest: u64,
    since: Option<Since>,
    /// From the first independent chunk to the second.
    distance: Option<Distance>,
}

/// What came since decoding could begin.
#[derive(Clone, Copy, Debug)]
struct Since {
    /// Ticks.
    start: i64,
    /// Ticks.
    duration: u64,
    chunks: u32,
}

#[derive(Clone, Copy, Debug)]
struct Distance {
    ticks: u64,
    /// Whether no chunk lies between the two.
    is_one_chunk: bool,
}

impl Learner {
    /// Nothing has been seen; lengths that the settings give are not learnt.
    #[must_use]
    pub fn new(segment: Option<Length>, part: Option<Length>) -> Self {
        Self { segment, part, timescale: 0, longest: 0, since: None, distance: None }
    }

    /// Looks at the next chunk of the leading rendition: video, or else audio.
    ///
    /// What comes when the lengths are known changes nothing.
    pub fn add(&mut self, chunk: &Timed) {
        if self.distance.is_some() {
            return;
        }
        if chunk.start.timescale != self.timescale {
            *self = Self { timescale: chunk.start.timescale, ..Self::new(self.segment, self.part) };
        }
        self.longest = self.longest.max(chunk.duration);
        let start = chunk.start.ticks;
        let begin = Since { start, duration: chunk.duration, chunks: 1 };
        match &mut self.since {
            Some(since) if chunk.independent => {
                let is_one_chunk = since.chunks == 1;
                match start.checked_sub(since.start).map(u64::try_from) {
                    Some(Ok(ticks)) if is_believed(ticks, self.timescale) => {
                        self.distance = Some(Distance { ticks, is_one_chunk });
                    }
                    _ => self.since = Some(begin),
                }
            }
            Some(since) => {
                since.duration = since.duration.saturating_add(chunk.duration);
                since.chunks = since.chunks.saturating_add(1);
            }
            None if chunk.independent => self.since = Some(begin),
            None => {}
        }
    }

    /// The length of the longest chunk so far.
    #[must_use]
    pub fn chunk(&self) -> Option<Length> {
        Length::new(self.longest, self.timescale)
    }

    /// The lengths, once they are known: after two chunks with which decoding can begin, or at once
    /// if both were given.
    ///
    /// `is_finished` says that what came is a whole segment, though no other chunk begins one yet:
    /// then it is as long as that.
    #[must_use]
    pub fn lengths(&self, is_finished: bool) -> Option<Lengths> {
        if let (Some(segment), Some(part)) = (self.segment, self.part) {
            return Some(Lengths { segment, part: shorter(part, segment) });
        }
        let learnt = match (self.distance, self.since) {
            (Some(distance), _) => Exact::of(distance.ticks, self.timescale).segment(distance),
            (None, Some(since)) if is_finished && is_believed(since.duration, self.timescale) => {
                Exact::of(since.duration, self.timescale)
            }
            _ => return None,
        };
        let segment = match self.segment {
            Some(segment) => segment,
            None => Length::new(learnt.ticks, learnt.timescale)?,
        };
        let part = match self.part {
            Some(part) => part,
            None => self.part_of(segment).unwrap_or(segment),
        };
        Some(Lengths { segment, part: shorter(part, segment) })
    }

    /// The length of a part; none if that is a whole segment.
    fn part_of(&self, segment: Length) -> Option<Length> {
        let (longest, timescale) = (self.longest, self.timescale);
        if segment.cmp_ticks(longest.saturating_mul(5) / 3, timescale) == Ordering::Less {
            return None;
        }
        if Length::of_millis(PART_MILLIS_MIN).cmp_ticks(longest, timescale).is_le() {
            return Length::new(longest, timescale);
        }
        let room = PART_MILLIS_MAX * u64::from(timescale) / 1000;
        let count = room.checked_div(longest)?;
        Length::new(longest * count, timescale)
    }
}

/// Whether a segment can be as long as that.
fn is_believed(ticks: u64, timescale: u32) -> bool {
    ticks > 0 && ticks <= DISTANCE_SECONDS_MAX * u64::from(timescale)
}

fn shorter(part: Length, segment: Length) -> Length {
    if part.micros() > segment.micros() { segment } else { part }
}

/// A length to calculate with: 30 s at most, so that its products fit.
#[derive(Clone, Copy, Debug)]
struct Exact {
    ticks: u64,
    timescale: u32,
}

impl Exact {
    /// A whole number of 100 ms, if it is as good as that.
    fn of(ticks: u64, timescale: u32) -> Self {
        let one = u64::from(timescale);
        let steps = (ticks * 10 + one / 2) / one;
        // Both in tenths of a tick. The difference is compared with the whole number, not with the
        // ticks: 60 pictures at 30000/1001 are 2.002 s, which is exactly 0.1 % of 2 s beside it.
        if (ticks * 10).abs_diff(steps * one) * 1000 < steps * one {
            return Self { ticks: steps, timescale: 10 };
        }
        Self { ticks, timescale }
    }

    /// How long segments are, if this is between chunks with which they can begin.
    fn segment(self, distance: Distance) -> Self {
        let one = u64::from(self.timescale);
        if self.ticks * 1000 >= SEGMENT_MILLIS_MIN * one {
            return self;
        }
        let whole = SEGMENT_SECONDS * one;
        let count = if distance.is_one_chunk {
            (whole + self.ticks / 2) / self.ticks
        } else {
            whole.div_ceil(self.ticks)
        };
        Self { ticks: self.ticks * count, ..self }
    }
}

#[cfg(test)]
mod tests;
