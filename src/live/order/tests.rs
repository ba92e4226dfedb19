//! Chunks of half a second in any order, and what is published of them.

use super::*;
use crate::live::cut::Lengths;
use crate::live::fixture::{MIDNIGHT, init, lengths, sent};
use crate::live::publisher::Zeros;

/// Half seconds of a segment.
const CHUNKS: i64 = 4;

/// A rendition of one encoder. Times are milliseconds.
struct Fed {
    order: Order,
    publisher: Publisher,
    zeros: Zeros,
    now: u64,
    published: Option<u64>,
    late: Vec<i64>,
}

impl Fed {
    fn new() -> Self {
        Self {
            order: Order::default(),
            publisher: Publisher::new(init(), lengths()),
            zeros: Zeros::default(),
            now: 0,
            published: None,
            late: Vec::new(),
        }
    }

    /// A request brings the half second that begins so many behind midnight; true if it is held.
    fn bring(&mut self, request: u64, at: i64) -> bool {
        let chunk = sent(MIDNIGHT + at);
        let hash = at.unsigned_abs();
        if self.order.holds(self.publisher.missing_before(&chunk), request) {
            let (bytes, came) = (vec![0; 10], Duration::from_millis(self.now));
            let decode_time = chunk.fragment.runs[0].decode_time;
            let (is_over, ends_request) = (false, false);
            let held = Held { chunk, bytes, hash, request, came, is_over, ends_request };
            self.order.hold(decode_time, held);
            self.poll();
            return true;
        }
        self.publish(&chunk, hash, request, true);
        self.poll();
        false
    }

    fn publish(&mut self, chunk: &Chunk, hash: u64, request: u64, is_open: bool) {
        // Nothing is early, however much of it comes at once.
        let unix = MIDNIGHT * 500_000 + 3_600_000_000 + i64::try_from(self.now).unwrap() * 1000;
        match self.publisher.take(chunk, hash, unix, &mut self.zeros) {
            Taken::Published(_) => {
                self.order.publishes(request, is_open);
                self.published = Some(self.now);
            }
            Taken::Repeated => {}
            _ => self.late.push(i64::try_from(hash).unwrap()),
        }
    }

    fn end(&mut self, request: u64) {
        if self.order.end_request(request, true) && self.publisher.is_full() {
            self.publisher.end_segment();
        }
        self.poll();
    }

    fn poll(&mut self) {
        let silent = self.published.map_or(0, |published| self.now - published);
        let (is_overdue, now) = (silent >= 3000, Duration::from_millis(self.now));
        while let Some(held) = self.order.poll(&self.publisher, is_overdue, now) {
            self.publish(&held.chunk, held.hash, held.request, !held.is_over);
            if held.ends_request && self.publisher.is_full() {
                self.publisher.end_segment();
            }
        }
        assert!(self.order.is_empty() == (self.order.size() == 0));
    }

    /// A segment in a request of its own, that ends.
    fn bring_segment(&mut self, segment: i64) {
        let request = segment.unsigned_abs();
        for at in 0..CHUNKS {
            self.bring(request, segment * CHUNKS + at);
        }
        self.end(request);
    }

    /// Number, duration, parts, `g`ap, `d`iscontinuity and w`h`ole of each segment.
    fn shown(&self) -> Vec<String> {
        let segments = self.publisher.timeline().segments().iter();
        let shown = segments.map(|one| {
            let flag = |is: bool, word: &'static str| if is { word } else { "" };
            format!(
                "{}:{}:{}{}{}{}",
                one.number - MIDNIGHT / CHUNKS,
                one.duration,
                one.parts.len(),
                flag(one.is_gap, "g"),
                flag(one.discontinuity, "d"),
                flag(one.is_whole, "h"),
            )
        });
        shown.collect()
    }
}

/// So many segments in their order.
fn in_order(count: i64) -> Vec<String> {
    let mut fed = Fed::new();
    (0..count).for_each(|segment| fed.bring_segment(segment));
    assert_eq!(fed.shown().last(), Some(&format!("{}:2000:4h", count - 1)));
    fed.shown()
}

/// Numbers below `below` that follow from a seed (SplitMix64).
struct Dice(u64);

impl Dice {
    fn throw(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % below as u64).unwrap()
    }
}

#[test]
fn segments_in_any_order_within_the_wait_are_published_as_if_they_had_come_in_order() {
    const BLOCK: usize = 4;
    let count = 41;
    let expected = in_order(count);
    for seed in 0..500 {
        let mut dice = Dice(seed);
        let mut fed = Fed::new();
        fed.bring_segment(0);
        let mut rest: Vec<i64> = (1..count).collect();
        for block in rest.chunks_mut(BLOCK) {
            for at in (1..block.len()).rev() {
                block.swap(at, dice.throw(at + 1));
            }
            for segment in block.iter() {
                fed.bring_segment(*segment);
                // All of a block comes within less than a segment.
                fed.now += dice.throw(250) as u64;
            }
            fed.now += 1500;
        }
        assert_eq!(fed.shown(), expected, "seed {seed}: {rest:?}");
        assert!(fed.late.is_empty() && fed.order.is_empty(), "seed {seed}");
    }
}

#[test]
fn requests_that_overlap_are_published_as_if_one_had_followed_the_other() {
    let count: i64 = 24;
    let expected = in_order(count);
    for seed in 0..500 {
        let mut dice = Dice(seed);
        let mut fed = Fed::new();
        // The first chunk says where the channel begins.
        fed.bring(0, 0);
        // How far each of the open requests has come.
        let mut open = vec![(0, 1)];
        let mut next = 1;
        while !open.is_empty() || next < count {
            let oldest = open.iter().map(|(segment, _)| *segment).min().unwrap_or(next);
            let may_begin = next < count && open.len() < 3 && next <= oldest + 3;
            if may_begin && (open.is_empty() || dice.throw(2) == 0) {
                open.push((next, 0));
                next += 1;
            }
            let at = dice.throw(open.len());
            let (segment, chunk) = open[at];
            if chunk == CHUNKS {
                fed.end(segment.unsigned_abs());
                open.remove(at);
            } else {
                fed.bring(segment.unsigned_abs(), segment * CHUNKS + chunk);
                open[at].1 += 1;
                // A request that has come to its end is not held up for long.
                if fed.order.is_empty() {
                    fed.now += 100;
                }
            }
        }
        assert_eq!(fed.shown(), expected, "seed {seed}");
        assert!(fed.late.is_empty() && fed.order.is_empty(), "seed {seed}");
    }
}

#[test]
fn what_does_not_come_in_time_is_a_gap_and_late_afterwards() {
    let mut fed = Fed::new();
    [0, 1, 3].iter().for_each(|segment| fed.bring_segment(*segment));
    assert_eq!((fed.shown().len(), fed.order.count()), (2, 4), "it waits");
    fed.now = 1999;
    fed.poll();
    assert_eq!(fed.shown().len(), 2);
    fed.now = 2000;
    fed.poll();
    assert_eq!(fed.shown(), ["0:2000:4h", "1:2000:4h", "2:2000:4gh", "3:2000:4h"]);
    fed.bring_segment(2);
    assert_eq!(fed.late, [8, 9, 10, 11]);
    fed.bring_segment(4);
    assert_eq!(fed.shown().last().map(String::as_str), Some("4:2000:4h"));
}

#[test]
fn nobody_is_waited_for_longer_than_a_silent_encoder() {
    let mut fed = Fed::new();
    fed.bring_segment(0);
    fed.now = 2500;
    fed.bring_segment(2);
    assert_eq!(fed.shown().len(), 1);
    fed.now = 3000;
    fed.poll();
    assert_eq!(fed.shown(), ["0:2000:4h", "1:2000:4gh", "2:2000:4h"]);
}

#[test]
fn what_follows_in_one_request_is_never_held_nor_what_lies_far_ahead() {
    let mut fed = Fed::new();
    for at in [0, 1, 2, 4, 5, 12, 13] {
        assert!(!fed.bring(1, at), "{at}");
    }
    fed.end(1);
    assert!(!fed.bring(2, 32), "four segments are missing");
    assert!(fed.bring(3, 44), "two are");
}

#[test]
fn who_has_begun_again_is_not_waited_for() {
    let mut fed = Fed::new();
    fed.bring_segment(0);
    fed.publisher.take_header(init(), false);
    fed.bring_segment(3);
    let expected = ["0:2000:4h", "1:2000:4gh", "2:2000:4gh", "3:2000:4h"];
    assert_eq!(fed.shown(), expected);
}

#[test]
fn the_rest_of_a_segment_is_waited_for_as_long_as_its_request_is_open() {
    let mut fed = Fed::new();
    fed.bring(1, 0);
    assert!(fed.bring(2, 4) && fed.bring(2, 5));
    assert!(!fed.bring(1, 1) && !fed.bring(1, 2));
    assert_eq!(fed.order.count(), 2);
    // It broke off.
    fed.order.end_request(1, false);
    fed.poll();
    assert_eq!(fed.shown(), ["0:1500:3h", "1:1000:2"]);
    assert!(fed.bring(3, 8), "the second request may still bring the rest of its segment");
}

#[test]
fn what_is_held_may_come_again_with_the_same_bytes() {
    let mut fed = Fed::new();
    fed.bring_segment(0);
    let held = |hash| Held {
        chunk: sent(MIDNIGHT + 8),
        bytes: vec![0; 10],
        hash,
        request: 7,
        came: Duration::ZERO,
        is_over: false,
        ends_request: false,
    };
    assert_eq!(fed.order.hold(1, held(1)), None);
    assert_eq!(fed.order.hold(1, held(1)), Some(Taken::Repeated));
    assert_eq!(fed.order.hold(1, held(2)), Some(Taken::Conflict));
    assert_eq!((fed.order.count(), fed.order.size()), (1, 10));
}

#[test]
fn whatever_comes_in_whatever_order_numbers_only_go_up_and_nothing_is_held_for_ever() {
    for seed in 0..300 {
        let mut dice = Dice(seed);
        let mut fed = Fed::new();
        for _ in 0..200 {
            let (request, at) = (dice.throw(4) as u64, dice.throw(60));
            match dice.throw(8) {
                0 => fed.end(request),
                1 => fed.now += dice.throw(1500) as u64,
                2 => fed.publisher.take_header(init(), false),
                _ => drop(fed.bring(request, i64::try_from(at).unwrap())),
            }
            fed.poll();
        }
        fed.now += 2000;
        fed.poll();
        assert!(fed.order.is_empty(), "seed {seed}");
        let segments = fed.publisher.timeline().segments();
        let numbers: Vec<_> = segments.iter().map(|one| one.number).collect();
        assert!(numbers.is_sorted_by(|one, next| one + 1 == *next), "seed {seed}: {numbers:?}");
    }
}

#[test]
fn a_hole_is_counted_in_segments_also_where_they_are_shorter_than_the_grid() {
    let mut fed = Fed::new();
    // Of 1.984 s, so that numbers of the grid fall behind.
    let raw = |at: i64| {
        let mut chunk = sent(0);
        let run = &mut chunk.fragment.runs[0];
        run.presentation_time = MIDNIGHT * 500 + at * 1984;
        run.decode_time = u64::try_from(run.presentation_time).unwrap();
        (run.duration, run.independent) = (1984, true);
        chunk
    };
    for at in 0..200_i64 {
        let hash = at.unsigned_abs();
        assert_eq!(fed.publisher.missing_before(&raw(at)), Missing::Nothing, "{at}");
        fed.publish(&raw(at), hash, hash, false);
        fed.publisher.end_segment();
        let ahead = fed.publisher.missing_before(&raw(at + 2));
        assert_eq!(ahead, Missing::Segments(1), "{at}");
        let last = fed.publisher.timeline().segments().back().map(|last| last.number);
        let number = fed.publisher.number_after_missing(&raw(at + 2));
        assert!(number >= last.map(|last| last + 2), "{at}: {number:?} {last:?}");
    }
    let Lengths { segment, .. } = fed.publisher.timeline().lengths();
    assert_eq!(segment.micros(), 2_000_000);
}
