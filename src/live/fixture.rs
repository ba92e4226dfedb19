//! For tests: timelines of segments of two seconds in parts of half a second, and what is sent.

use super::boxes::chunk::{Fragment, Run};
use super::boxes::codec::Sample;
use super::boxes::init::{Defaults, Init, Media, Track};
use super::boxes::stream::Chunk;
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

/// The header of a picture, in milliseconds.
pub fn init() -> Init {
    let media = Media::Video;
    let codecs = "avc1.64001e".to_owned();
    let sample = Sample { media, codecs, resolution: None, sound: None, encryption: None };
    let track = Track {
        id: 1,
        timescale: 1000,
        language: *b"und",
        sample,
        presentation_shift: 0,
        defaults: Defaults::default(),
    };
    Init { tracks: vec![track], protection: Vec::new() }
}

/// What an encoder sends of it: the half second that begins so many behind the media's zero.
pub fn sent(at: i64) -> Chunk {
    let run = Run {
        track: 1,
        decode_time: u64::try_from(at * 500).expect("nothing begins before the zero"),
        duration: 500,
        presentation_time: at * 500,
        independent: at % 4 == 0,
        samples: 12,
        size: 1000,
        first_end: 700,
    };
    let fragment = Fragment { sequence: 0, runs: vec![run] };
    Chunk { fragment, brands: None, reference: None, messages: Vec::new() }
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
