//! Where segments and parts begin: chunks of one rendition in, their places out.
//!
//! Media time alone decides, never the requests in which chunks came nor when: whoever is fed the
//! same media cuts it in the same places and gives it the same numbers. A segment's number is how
//! many segment lengths had gone by when it began, so on the epoch's time it needs no memory.

use super::time::{Length, Moment};

/// A chunk of a rendition, as far as time is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timed {
    /// When its first sample is presented.
    pub start: Moment,
    /// In ticks of `start`.
    pub duration: u64,
    /// Whether decoding can begin with it.
    pub independent: bool,
}

/// Lengths of a channel: settled once. That of parts grows when something longer comes.
#[derive(Clone, Copy, Debug)]
pub struct Lengths {
    /// Of a segment.
    pub segment: Length,
    /// Of a part, at most (`PART-TARGET`).
    pub part: Length,
}

/// Where a chunk belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The number of its segment.
    pub segment: i64,
    /// The index of its part there, from 0.
    pub part: u32,
    /// Whether it begins the segment. The one before it is whole then.
    pub begins_segment: bool,
    /// Whether it begins the part. The one before it is whole then.
    pub begins_part: bool,
    /// Whether its part is whole with it.
    pub ends_part: bool,
}

/// Why a chunk has no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unplaced {
    /// It needs others, and nothing of the stream has come yet.
    NotIndependent,
    /// It begins before what has come ends: it was there already, or a new timeline begins.
    Backward,
}

/// Cuts one rendition.
#[derive(Clone, Debug)]
pub struct Cutter {
    lengths: Lengths,
    current: Option<Current>,
}

#[derive(Clone, Copy, Debug)]
struct Current {
    segment: i64,
    part: u32,
    /// Ticks in the part so far.
    part_duration: u64,
    /// Whether the next chunk begins another part.
    part_is_whole: bool,
    /// Whether there is nothing to play in the part.
    part_is_gap: bool,
    end: Moment,
    /// How long the last chunk was, in ticks.
    last: u64,
}

impl Cutter {
    /// At the start of a stream.
    #[must_use]
    pub fn new(lengths: Lengths) -> Self {
        Self { lengths, current: None }
    }

    /// Parts may be so long from now on.
    pub fn set_part(&mut self, part: Length) {
        self.lengths.part = part;
    }

    /// Where the next chunk belongs.
    ///
    /// A chunk begins a segment if decoding can begin with it and it lies, by its middle, in
    /// another one: encoders put the first sound of a segment up to half a frame before the
    /// picture. A part is whole when one more chunk like its last would not fit; it is cut before a
    /// chunk with which it would be too long.
    ///
    /// # Errors
    ///
    /// See [`Unplaced`].
    pub fn place(&mut self, chunk: &Timed) -> Result<Place, Unplaced> {
        let number = self.lengths.number_of(chunk);
        let place = match self.current {
            None if !chunk.independent => return Err(Unplaced::NotIndependent),
            Some(current) if chunk.start.plus(1) < current.end => {
                return Err(Unplaced::Backward);
            }
            Some(current) if !(chunk.independent && number > current.segment) => {
                self.behind(&current, chunk, false)
            }
            _ => Place {
                segment: number,
                part: 0,
                begins_segment: true,
                begins_part: true,
                ends_part: false,
            },
        };
        Ok(self.go_on(place, chunk, false))
    }

    /// Whether the segment under way has all that belongs to it: one more chunk like its last would
    /// lie in the next one.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.current.is_some_and(|current| {
            let (start, duration) = (current.end, current.last);
            self.lengths.number_of(&Timed { start, duration, independent: true }) > current.segment
        })
    }

    /// Where a stretch belongs of which nothing can be had: in parts of its own of the segment
    /// that grows. None if none grows, or if the stretch lies before its end.
    pub fn place_gap(&mut self, gap: &Timed) -> Option<Place> {
        let current = self.current.filter(|current| gap.start.plus(1) >= current.end)?;
        let place = self.behind(&current, gap, true);
        Some(self.go_on(place, gap, true))
    }

    /// The place in the segment that grows, behind what has come of it. Gaps have parts of their
    /// own.
    fn behind(&self, current: &Current, chunk: &Timed, is_gap: bool) -> Place {
        let duration = current.part_duration.saturating_add(chunk.duration);
        let begins_part =
            current.part_is_whole || current.part_is_gap != is_gap || !self.fits(duration, chunk);
        Place {
            segment: current.segment,
            part: current.part + u32::from(begins_part),
            begins_segment: false,
            begins_part,
            ends_part: false,
        }
    }

    /// Goes on from this place, which is told whether its part is whole with it.
    fn go_on(&mut self, place: Place, chunk: &Timed, is_gap: bool) -> Place {
        let before = match self.current {
            Some(current) if !place.begins_part => current.part_duration,
            _ => 0,
        };
        let part_duration = before.saturating_add(chunk.duration);
        let ends_part = !self.fits(part_duration.saturating_add(chunk.duration), chunk);
        self.current = Some(Current {
            segment: place.segment,
            part: place.part,
            part_duration,
            part_is_whole: ends_part,
            part_is_gap: is_gap,
            end: chunk.start.plus(chunk.duration),
            last: chunk.duration,
        });
        Place { ends_part, ..place }
    }

    /// Whether a part of so many ticks is not too long.
    fn fits(&self, ticks: u64, chunk: &Timed) -> bool {
        self.lengths.part.cmp_ticks(ticks, chunk.start.timescale).is_ge()
    }
}

impl Lengths {
    /// The number of the segment in which the middle of a chunk lies, or the middle of its first
    /// segment length, if it is longer than that.
    #[must_use]
    pub fn number_of(&self, chunk: &Timed) -> i64 {
        let segment = self.segment;
        let timescale = chunk.start.timescale;
        if segment.cmp_ticks(chunk.duration, timescale).is_ge() {
            return segment.whole_until(chunk.start.plus(chunk.duration / 2));
        }
        // Half a length later and then rounded down is rounded to the nearest.
        let doubled = Moment { ticks: chunk.start.ticks.saturating_mul(2), timescale };
        (segment.whole_until(doubled) + 1).div_euclid(2)
    }
}

#[cfg(test)]
mod tests;
