//! Streams of encoders as they are, and the lengths that are learnt of them.

use super::super::time::Moment;
use super::*;

/// Ticks and timescale of a length.
type Ticks = (u64, u32);

fn length((ticks, timescale): Ticks) -> Length {
    Length::new(ticks, timescale).unwrap()
}

/// Whether two are the same, exactly.
fn is(one: Length, (ticks, timescale): Ticks) -> bool {
    one.cmp_ticks(ticks, timescale).is_eq()
}

/// A chunk: ticks, and whether it is independent.
type Chunk = (u64, bool);

/// A GOP of so many chunks of one length.
fn gop(duration: u64, count: usize) -> Vec<Chunk> {
    (0..count).map(|at| (duration, at == 0)).collect()
}

/// A learner that was shown these, one behind the other.
fn shown(mut learner: Learner, start: i64, timescale: u32, chunks: &[Chunk]) -> Learner {
    let mut start = Moment { ticks: start, timescale };
    for &(duration, independent) in chunks {
        learner.add(&Timed { start, duration, independent });
        start = start.plus(duration);
    }
    learner
}

fn new() -> Learner {
    Learner::new(None, None)
}

#[track_caller]
fn expect(learner: &Learner, is_finished: bool, segment: Ticks, part: Ticks) {
    let lengths = learner.lengths(is_finished).expect("they are known");
    assert!(is(lengths.segment, segment) && is(lengths.part, part), "{lengths:?}");
}

/// What is learnt of these, twice, and only when they begin for the second time.
#[track_caller]
fn check(timescale: u32, chunks: &[Chunk], segment: Ticks, part: Ticks) {
    for start in [0, -700, 1_795_651_200 * i64::from(timescale) + 7] {
        let once = shown(new(), start, timescale, chunks);
        if chunks.iter().filter(|chunk| chunk.1).count() == 1 {
            assert!(once.lengths(false).is_none());
        }
        expect(&shown(new(), start, timescale, &chunks.repeat(2)), false, segment, part);
    }
}

#[test]
fn at_25_pictures_a_second() {
    // Chunks of half a second, and of a picture.
    check(90_000, &gop(45_000, 4), (2, 1), (1, 2));
    check(12_800, &gop(512, 50), (2, 1), (480, 1000));
    // GOPs of 0.96 s.
    check(12_800, &gop(512 * 12, 2), (96, 100), (48, 100));
    // GOPs of half a second; of 0.6 s, of which four are needed.
    check(12_800, &gop(512, 12), (5 * 48, 100), (48, 100));
    check(12_800, &gop(512, 15), (24, 10), (48, 100));
}

#[test]
fn at_30000_1001_pictures_a_second() {
    check(90_000, &gop(3003, 60), (60 * 1001, 30_000), (14 * 1001, 30_000));
    check(30_000, &gop(15 * 1001, 4), (60 * 1001, 30_000), (15 * 1001, 30_000));
    check(30_000, &gop(30 * 1001, 1), (30 * 1001, 30_000), (30 * 1001, 30_000));
    check(30_000, &gop(1001, 15), (60 * 1001, 30_000), (14 * 1001, 30_000));
    check(24_000, &gop(1001, 48), (48 * 1001, 24_000), (11 * 1001, 24_000));
}

#[test]
fn sound_alone() {
    // A frame of AAC a chunk: 94 of them are nearer to 2 s than 93, and 23 fit into half a second.
    check(48_000, &gop(1024, 1), (94 * 1024, 48_000), (23 * 1024, 48_000));
    check(44_100, &gop(1024, 1), (86 * 1024, 44_100), (21 * 1024, 44_100));
    // Opus.
    check(48_000, &gop(960, 1), (2, 1), (1, 2));
    // Half a second a chunk, as far as frames allow it: the longer one counts.
    let chunks = [(23 * 1024, true), (24 * 1024, true), (23 * 1024, true)];
    check(48_000, &chunks, (4 * 23 * 1024, 48_000), (24 * 1024, 48_000));
}

#[test]
fn pictures_that_need_no_others() {
    check(25, &gop(1, 1), (2, 1), (12, 25));
    // Three of them are nearer to 2 s than four. If others lay between, four would be needed.
    check(100, &gop(64, 1), (192, 100), (64, 100));
    check(100, &gop(32, 2), (256, 100), (32, 100));
}

#[test]
fn a_segment_a_chunk_has_no_parts() {
    check(90_000, &gop(180_000, 1), (2, 1), (2, 1));
    check(48_000, &gop(94 * 1024, 1), (94 * 1024, 48_000), (94 * 1024, 48_000));
    // More than 0.6 of it, and just that.
    check(100, &[(121, true), (79, false)], (2, 1), (2, 1));
    check(100, &[(120, true), (80, false)], (2, 1), (12, 10));
}

#[test]
fn what_was_rounded_is_whole() {
    check(1000, &[(1999, true)], (2, 1), (2, 1));
    check(1000, &[(2001, true)], (2, 1), (2, 1));
    // 0.1 % and more is no rounding.
    check(1000, &[(2002, true)], (2002, 1000), (2002, 1000));
    check(1000, &[(1998, true)], (1998, 1000), (1998, 1000));
    // Before it is multiplied.
    check(10_000, &[(2500, true), (2498, false)], (2, 1), (1, 4));
    check(10_000, &[(4500, true), (4496, false)], (9, 10), (45, 100));
}

#[test]
fn a_part_may_be_of_200_ms() {
    check(1000, &gop(200, 10), (2, 1), (200, 1000));
    check(1000, &gop(199, 10), (1990, 1000), (398, 1000));
}

#[test]
fn what_cannot_be_decoded_is_passed_over() {
    let learner = shown(new(), 0, 1000, &gop(500, 4)[1..]);
    assert!(learner.lengths(true).is_none());
    let learner = shown(learner, 1500, 1000, &gop(500, 4));
    assert!(learner.lengths(false).is_none());
    expect(&shown(learner, 3500, 1000, &gop(500, 1)), false, (2, 1), (1, 2));
}

#[test]
fn a_new_timeline_is_learnt_anew() {
    let first = shown(new(), 1_000_000, 1000, &gop(500, 4));
    for (start, timescale) in [(0, 1000), (2_000_000, 1000), (1_000_000, 1000), (9, 90_000)] {
        let half = u64::from(timescale) / 2;
        let second = shown(first.clone(), start, timescale, &gop(half, 2));
        assert!(second.lengths(false).is_none(), "{start}");
        let next = start + i64::from(timescale);
        expect(&shown(second, next, timescale, &gop(half, 2)), false, (1, 1), (1, 2));
    }
    // Far apart.
    let first = shown(new(), i64::MIN, 1000, &gop(500, 1));
    assert!(shown(first, i64::MAX, 1000, &gop(500, 1)).lengths(false).is_none());
}

#[test]
fn what_is_known_stays() {
    let learner = shown(new(), 0, 1000, &gop(500, 4).repeat(2));
    let learner = shown(learner, 4000, 1000, &gop(900, 4).repeat(2));
    expect(&shown(learner, 0, 90_000, &gop(900, 4)), true, (2, 1), (1, 2));
}

#[test]
fn a_whole_segment_is_enough() {
    let learner = shown(new(), 77, 1000, &gop(480, 4));
    assert!(learner.lengths(false).is_none());
    expect(&learner, true, (192, 100), (48, 100));
    // It may be a short one.
    expect(&shown(new(), 0, 1000, &gop(250, 2)), true, (1, 2), (1, 4));
    assert!(new().lengths(true).is_none());
}

#[test]
fn what_is_given_is_not_learnt() {
    let (segment, part) = (Some(length((4, 1))), Some(length((1, 3))));
    expect(&Learner::new(segment, part), false, (4, 1), (1, 3));
    let chunks = gop(250, 4).repeat(2);
    assert!(Learner::new(segment, None).lengths(false).is_none());
    expect(&shown(Learner::new(segment, None), 0, 1000, &chunks), false, (4, 1), (1, 4));
    assert!(Learner::new(None, part).lengths(false).is_none());
    expect(&shown(Learner::new(None, part), 0, 1000, &chunks), false, (1, 1), (1, 3));
    // A part that is longer than what was learnt of segments.
    expect(&shown(Learner::new(None, segment), 0, 1000, &chunks), false, (1, 1), (1, 1));
}

#[test]
fn senseless_numbers_are_harmless() {
    for (duration, timescale) in [(0, 1000), (u64::MAX, 1000), (1, 1), (1, u32::MAX)] {
        for start in [0, i64::MAX, i64::MIN] {
            let learner = shown(new(), start, timescale, &gop(duration, 2).repeat(3));
            let _ = (learner.lengths(false), learner.lengths(true));
        }
    }
    // Nothing has a length, but segments begin: there are no parts.
    let start =
        |ticks| Timed { start: Moment { ticks, timescale: 1000 }, duration: 0, independent: true };
    let mut learner = new();
    learner.add(&start(0));
    learner.add(&start(2000));
    expect(&learner, false, (2, 1), (2, 1));
}
