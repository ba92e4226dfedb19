//! Chunks of half a second, as an encoder sends them, and what is to be done with each.

use super::*;
use crate::live::fixture::{MIDNIGHT, init, lengths, sent};
use crate::live::pushed::Dated;

const NOW: i64 = MIDNIGHT * 500_000;

struct Fed {
    publisher: Publisher,
    zeros: Zeros,
    now: i64,
}

impl Fed {
    fn new() -> Self {
        let publisher = Publisher::new(init(), lengths());
        Self { publisher, zeros: Zeros::default(), now: NOW }
    }

    fn take(&mut self, at: i64) -> Taken {
        self.take_other(at, at.unsigned_abs())
    }

    fn take_other(&mut self, at: i64, hash: u64) -> Taken {
        self.publisher.take(&sent(at), hash, self.now, &mut self.zeros)
    }

    fn numbers(&self) -> Vec<(i64, bool)> {
        let segments = self.publisher.timeline().segments().iter();
        segments.map(|segment| (segment.number, segment.discontinuity)).collect()
    }
}

#[test]
fn chunks_become_parts_and_segments_step_by_step() {
    let mut fed = Fed::new();
    let begins = Steps { begins_segment: true, completes_part: true, ..Steps::default() };
    assert_eq!(fed.take(MIDNIGHT), Taken::Published(begins));
    for at in 1..4 {
        let completes = Steps { completes_part: true, ..Steps::default() };
        assert_eq!(fed.take(MIDNIGHT + at), Taken::Published(completes));
    }
    let next = Taken::Published(Steps { ends_segment: true, ..begins });
    assert_eq!(fed.take(MIDNIGHT + 4), next);
    assert!(fed.publisher.end_segment() && !fed.publisher.end_segment());
    let Taken::Published(steps) = fed.take(MIDNIGHT + 16) else { panic!("it is published") };
    assert_eq!((steps.gaps, steps.ends_segment), (2, false));
}

#[test]
fn what_comes_again_is_ignored_and_other_bytes_are_a_conflict() {
    let mut fed = Fed::new();
    for at in 0..6 {
        fed.take(MIDNIGHT + at);
    }
    fed.publisher.take_header(init(), false);
    assert_eq!(fed.take(MIDNIGHT + 3), Taken::Repeated);
    assert_eq!(fed.take_other(MIDNIGHT + 3, 1), Taken::Conflict);
    assert_eq!(fed.take(MIDNIGHT - 4), Taken::Late, "its time has gone by");
    assert!(matches!(fed.take(MIDNIGHT + 6), Taken::Published(_)));
    let number = MIDNIGHT / 4;
    assert_eq!(fed.numbers(), [(number, false), (number + 1, false)]);
}

#[test]
fn an_encoder_that_begins_again_on_the_epoch_changes_no_discontinuity() {
    let mut fed = Fed::new();
    fed.take(MIDNIGHT);
    fed.publisher.take_header(init(), false);
    fed.take(MIDNIGHT + 4);
    assert!(fed.numbers().iter().all(|(_, discontinuity)| !discontinuity));
    fed.publisher.take_header(init(), true);
    fed.take(MIDNIGHT + 8);
    assert!(fed.numbers()[2].1, "another header is one");
}

#[test]
fn an_encoder_that_counts_from_its_start_is_placed_by_the_clock() {
    let mut fed = Fed::new();
    for at in 0..20 {
        fed.take(at);
    }
    // The first chunk has just ended: its segment began before midnight.
    let number = MIDNIGHT / 4 - 1;
    assert_eq!(fed.numbers()[..2], [(number, false), (number + 1, false)]);
    fed.publisher.take_header(init(), false);
    assert_eq!(fed.take(16), Taken::Repeated, "it sends the last segment again");
    // It begins again from nothing sixteen seconds after its first chunk, with the same film.
    fed.now = NOW + 16_000_000;
    fed.publisher.take_header(init(), false);
    for at in 0..5 {
        assert!(matches!(fed.take(at), Taken::Published(_)));
    }
    let numbers = fed.numbers();
    assert_eq!(numbers[numbers.len() - 2..], [(number + 8, true), (number + 9, false)]);
    assert_eq!(numbers.len(), 10, "what did not come in between is published as gaps");
}

#[test]
fn nothing_is_published_before_decoding_can_begin() {
    let mut fed = Fed::new();
    assert_eq!(fed.take(MIDNIGHT + 1), Taken::NotIndependent);
    assert!(fed.numbers().is_empty());
}

#[test]
fn renditions_of_one_encoder_have_one_zero() {
    let mut zeros = Zeros::default();
    let start = Moment { ticks: 500, timescale: 1000 };
    let first = Timed { start, duration: 500, independent: true };
    let zero = NOW - 1_000_000;
    assert_eq!(zeros.of(&first, NOW), zero, "its end is now");
    assert_eq!(zeros.of(&first, NOW + 300_000), zero, "the sound comes a little later");
    assert_eq!(zeros.of(&first, NOW + 60_000_000), zero + 60_000_000, "another run");
    let start = Moment { ticks: MIDNIGHT * 500, timescale: 1000 };
    assert_eq!(zeros.of(&Timed { start, ..first }, NOW), 0);
}

#[test]
fn what_lies_before_the_start_is_no_part_of_it() {
    let mut fed = Fed::new();
    let mut first = sent(0);
    first.fragment.runs[0].presentation_time = -100;
    fed.publisher.take(&first, 0, NOW, &mut fed.zeros);
    fed.take(1);
    let segment = &fed.publisher.timeline().segments()[0];
    assert_eq!((segment.start.ticks, segment.duration), (0, 900));
    assert_eq!(segment.end().ticks, 900, "and what follows keeps its distance");
}

#[test]
fn what_comes_after_its_gap_was_published_is_late_and_the_next_one_goes_on() {
    let mut fed = Fed::new();
    assert_eq!(fed.publisher.add_gap(), None, "nothing was promised yet");
    for at in 0..3 {
        fed.take(MIDNIGHT + at);
    }
    assert_eq!(fed.publisher.add_gap(), Some(true));
    assert_eq!(fed.publisher.add_gap(), Some(false));
    assert_eq!(fed.take(MIDNIGHT + 3), Taken::NotIndependent);
    assert_eq!(fed.take(MIDNIGHT + 4), Taken::Late);
    assert_eq!(fed.take(MIDNIGHT + 8), Taken::Late);
    let begins = Steps { begins_segment: true, completes_part: true, ..Steps::default() };
    assert_eq!(fed.take(MIDNIGHT + 12), Taken::Published(begins));
    let number = MIDNIGHT / 4;
    let numbers: Vec<_> = (number..number + 4).map(|number| (number, false)).collect();
    assert_eq!(fed.numbers(), numbers);
}

/// A chunk of these ticks, which are milliseconds.
fn raw(decode_time: i64, duration: u64, independent: bool) -> Chunk {
    let mut chunk = sent(0);
    let run = &mut chunk.fragment.runs[0];
    run.decode_time = u64::try_from(decode_time).unwrap();
    (run.presentation_time, run.duration, run.independent) = (decode_time, duration, independent);
    chunk
}

#[test]
fn one_chunk_of_tomorrow_does_not_make_today_late() {
    let mut fed = Fed::new();
    for at in 0..8 {
        fed.take(MIDNIGHT + at);
    }
    assert_eq!(fed.take(MIDNIGHT + 8 + 2 * 86_400), Taken::Early);
    assert!(matches!(fed.take(MIDNIGHT + 8), Taken::Published(_)));
}

#[test]
fn a_segment_that_comes_late_is_late_whether_or_not_one_grows() {
    let mut fed = Fed::new();
    for segment in [0, 1, 3, 2, 4] {
        for at in 0..4 {
            let taken = fed.take(MIDNIGHT + segment * 4 + at);
            assert_eq!(taken == Taken::Late, segment == 2 && at == 0, "{segment} {at} {taken:?}");
        }
        fed.publisher.end_segment();
    }
    let number = MIDNIGHT / 4;
    assert_eq!(fed.numbers(), [0, 1, 2, 3, 4].map(|at| (number + at, false)));
}

#[test]
fn a_stall_that_was_published_as_a_gap_makes_no_discontinuity() {
    let mut fed = Fed::new();
    for at in 0..8 {
        fed.take(at);
    }
    fed.publisher.add_gap();
    for at in 8..16 {
        fed.take(at);
    }
    assert_eq!(fed.numbers().len(), 4);
    assert!(fed.numbers().iter().all(|(_, discontinuity)| !discontinuity));
}

#[test]
fn segments_that_are_shorter_than_the_grid_are_counted_on() {
    let mut fed = Fed::new();
    for at in 0..200 {
        let chunk = raw(MIDNIGHT * 500 + at * 1984, 1984, true);
        fed.publisher.take(&chunk, at.unsigned_abs(), NOW + at * 2_000_000, &mut fed.zeros);
        fed.publisher.end_segment();
    }
    let number = MIDNIGHT / 4;
    let expected: Vec<_> = (number..number + 200).map(|number| (number, false)).collect();
    assert_eq!(fed.numbers(), expected);
}

#[test]
fn a_segment_without_end_is_ended_and_the_next_one_begins_where_it_can() {
    let mut fed = Fed::new();
    let chunks = (0..1000).map(|at| raw(MIDNIGHT * 500 + at * 100, 100, at == 0 || at == 900));
    let mut published = 0;
    for (at, chunk) in (0..).zip(chunks) {
        let taken = fed.publisher.take(&chunk, at, NOW + 60_000_000, &mut fed.zeros);
        published += u32::from(matches!(taken, Taken::Published(_)));
    }
    let first = &fed.publisher.timeline().segments()[0];
    assert!((12_000..=12_100).contains(&first.duration), "{}", first.duration);
    // It is one, whatever the grid says, and 77.9 s are missing behind it.
    assert_eq!(fed.numbers().last().map(|last| last.0), Some(MIDNIGHT / 4 + 40));
    assert!(published < 222, "{published}");
}

#[test]
fn times_that_no_sum_would_fit_are_not_taken() {
    let mut fed = Fed::new();
    for time in [i64::MAX - 10, 1 << 61] {
        let taken = fed.publisher.take(&raw(time, 5, true), 1, NOW, &mut fed.zeros);
        assert_eq!(taken, Taken::NotIndependent);
    }
    let taken = fed.publisher.take(&raw(0, u64::MAX / 2, true), 1, NOW, &mut fed.zeros);
    assert_eq!(taken, Taken::NotIndependent);
}

#[test]
fn renditions_of_a_channel_count_discontinuities_alike() {
    let mut zeros = Zeros::default();
    let mut fed = [(); 2].map(|()| Publisher::new(init(), lengths()));
    let mut take = |fed: &mut Publisher, at: i64, count: i64| {
        for at in at..at + count {
            fed.take(&sent(at), at.unsigned_abs(), NOW + 200_000_000_000, &mut zeros);
        }
    };
    fed.iter_mut().for_each(|one| take(one, MIDNIGHT, 8));
    // The first has another header, the second goes on.
    fed[0].take_header(init(), true);
    fed.iter_mut().for_each(|one| take(one, MIDNIGHT + 8, 8));
    // The second comes after a day, and the first is too far back to follow at once.
    take(&mut fed[1], MIDNIGHT + 200_000, 4);
    take(&mut fed[0], MIDNIGHT + 16, 4);
    take(&mut fed[0], MIDNIGHT + 200_000, 8);
    let shown = |of: &Publisher| {
        let segments = of.timeline().segments().iter();
        let words = segments.map(|one| {
            let mark = if one.discontinuity { "D" } else { "" };
            format!("{mark}{}@{}", one.sequence, one.origin.start_micros / 1_000_000)
        });
        words.collect::<Vec<_>>().join(" ")
    };
    let second = MIDNIGHT / 2 + 4;
    let third = MIDNIGHT / 2 + 100_000;
    assert_eq!(shown(&fed[1]), format!("0@0 0@0 D1@{second} 1@{second} D2@{third}"));
    let first = format!("0@0 0@0 D1@{second} 1@{second} 1@{second} D2@{third} 2@{third}");
    assert_eq!(shown(&fed[0]), first);
}

#[test]
fn after_a_restart_what_is_kept_stays_and_a_segment_begins_at_its_start() {
    let mut fed = Fed::new();
    let kept = MIDNIGHT / 4;
    fed.publisher.resume(Used { kept: Some(kept), ..Used::default() }, fed.now);
    assert_eq!(fed.take(MIDNIGHT - 8), Taken::Late);
    assert_eq!(fed.take(MIDNIGHT), Taken::Late);
    // The middle of the segment that may have been published in part.
    let mut middle = sent(MIDNIGHT + 5);
    middle.fragment.runs[0].independent = true;
    let taken = fed.publisher.take(&middle, 1, fed.now, &mut fed.zeros);
    assert_eq!(taken, Taken::NotIndependent);
    assert!(matches!(fed.take(MIDNIGHT + 4), Taken::Published(_)));
    assert_eq!(fed.numbers(), [(kept + 1, false)]);
    // What lies further on begins wherever it can.
    let mut fed = Fed::new();
    fed.publisher.resume(Used { kept: Some(kept - 1), ..Used::default() }, fed.now);
    let taken = fed.publisher.take(&middle, 1, fed.now, &mut fed.zeros);
    assert!(matches!(taken, Taken::Published(_)), "{taken:?}");
}

#[test]
fn after_a_restart_a_number_that_had_begun_is_not_used_again() {
    let begun = MIDNIGHT / 4;
    let resumed = |now| {
        let mut fed = Fed::new();
        fed.publisher.resume(Used { begun: Some(begun), ..Used::default() }, now);
        fed
    };
    let now = Fed::new().now;
    let mut fed = resumed(now);
    assert_eq!(fed.take(MIDNIGHT), Taken::Late);
    // Nor with what can be decoded in its middle.
    let mut middle = sent(MIDNIGHT + 3);
    middle.fragment.runs[0].independent = true;
    assert_eq!(fed.publisher.take(&middle, 1, fed.now, &mut fed.zeros), Taken::Late);
    assert!(matches!(fed.take(MIDNIGHT + 4), Taken::Published(_)));
    assert_eq!(fed.numbers(), [(begun + 1, false)]);
    // A clock that was far ahead does not keep its encoder out.
    let mut fed = resumed(now - 2 * CLOCK_AHEAD_MAX_MICROS);
    assert!(matches!(fed.take(MIDNIGHT), Taken::Published(_)));
    assert_eq!(fed.numbers(), [(begun, false)]);
}

#[test]
fn what_is_said_not_to_go_on_begins_another_stretch_although_its_times_go_on() {
    for from in [MIDNIGHT, 0] {
        let mut fed = Fed::new();
        for at in 0..8 {
            fed.take(from + at);
        }
        fed.publisher.begin_stretch();
        for at in 8..16 {
            fed.take(from + at);
        }
        let numbers = fed.numbers();
        let discontinuities: Vec<_> =
            numbers.iter().map(|(_, discontinuity)| *discontinuity).collect();
        assert_eq!(discontinuities, [false, false, true, false], "{from}");
        assert!(numbers.is_sorted_by(|one, next| one.0 + 1 == next.0), "{numbers:?}");
        // And also when it goes back by less than anybody would take for a new beginning.
        fed.publisher.begin_stretch();
        let taken = fed.take_other(from + 12, 99);
        assert_eq!(matches!(taken, Taken::Published(_)), from == 0, "{taken:?}");
    }
}

#[test]
fn a_date_that_an_encoder_tells_is_believed_if_the_clock_says_nearly_the_same() {
    let start = Moment { ticks: 0, timescale: 1000 };
    let first = Timed { start, duration: 500, independent: true };
    let zero = NOW - 500_000;
    for (told, expected) in [
        (zero - 2_000_000, zero - 2_000_000),
        (zero + 4_999_999, zero + 4_999_999),
        (zero - 5_000_000, zero),
        (i64::MIN, zero),
        (i64::MAX, zero),
    ] {
        let mut zeros = Zeros::default();
        zeros.tell(Dated { start, zero_micros: told });
        assert_eq!(zeros.of(&first, NOW), expected);
        // The other renditions have the same one.
        zeros.tell(Dated { start, zero_micros: told.saturating_add(1) });
        assert_eq!(zeros.of(&first, NOW + 1_000_000), expected);
    }
    let mut zeros = Zeros::default();
    zeros.tell(Dated { start: Moment { ticks: 20_000, ..start }, zero_micros: zero - 1 });
    assert_eq!(zeros.of(&first, NOW), zero, "it was told of other media");
}

#[test]
fn what_could_not_be_written_is_not_listed() {
    let mut fed = Fed::new();
    for at in 0..3 {
        fed.take(MIDNIGHT + at);
    }
    fed.publisher.forget(&sent(MIDNIGHT + 2));
    fed.publisher.end_segment();
    let segment = fed.publisher.timeline().segments().back().unwrap();
    assert_eq!((segment.duration, segment.parts.len()), (1000, 2));
    // It may come again, with the next segment if not with this one.
    assert_eq!(fed.take(MIDNIGHT + 2), Taken::NotIndependent);
    // Half of a part.
    let mut fed = Fed::new();
    let quarter = |at: i64| raw((MIDNIGHT + 4) * 500 + at * 250, 250, at == 0);
    for at in 0..2 {
        fed.publisher.take(&quarter(at), at.unsigned_abs(), NOW, &mut fed.zeros);
    }
    fed.publisher.forget(&quarter(1));
    let segment = fed.publisher.timeline().segments().back().unwrap();
    assert_eq!((segment.duration, segment.parts.len()), (250, 1));
    assert!(!segment.last_part_is_whole && segment.parts[0].duration == 250);
}
