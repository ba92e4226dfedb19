//! Timelines for tests: segments of two seconds, in parts of half a second.

use super::cut::{Cutter, Lengths, Timed};
use super::time::{Length, Moment};
use super::timeline::{Added, Timeline};

/// 2026-11-26T00:00:00Z, in half seconds.
pub const MIDNIGHT: i64 = 1_795_651_200 * 2;

/// What all of them are cut by.
pub fn lengths() -> Lengths {
    Lengths { segment: Length::of_millis(2000), part: Length::of_millis(500) }
}

/// The chunk that begins so many half seconds behind the media's zero.
pub fn chunk(timescale: u32, at: i64) -> Timed {
    let half = timescale / 2;
    let start = Moment { ticks: at * i64::from(half), timescale };
    Timed { start, duration: u64::from(half), independent: at % 4 == 0 }
}

/// A timeline of so many chunks.
pub fn fed(timescale: u32, from: i64, count: i64) -> Timeline {
    let mut timeline = Timeline::new(lengths(), 0);
    feed(&mut timeline, timescale, from, count);
    timeline
}

/// Adds so many chunks, of an encoder that has just begun.
pub fn feed(timeline: &mut Timeline, timescale: u32, from: i64, count: i64) {
    feed_cut(timeline, &mut Cutter::new(lengths()), timescale, (from, count));
}

/// Adds so many chunks of an encoder that goes on, and says what came of the last one.
pub fn feed_cut(
    timeline: &mut Timeline,
    cutter: &mut Cutter,
    timescale: u32,
    (from, count): (i64, i64),
) -> Added {
    let mut added = Added::Placed;
    for at in from..from + count {
        let chunk = chunk(timescale, at);
        let place = cutter.place(&chunk).expect("it has a place");
        added = timeline.add(&chunk, &place);
    }
    added
}
