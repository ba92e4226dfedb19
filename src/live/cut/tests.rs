//! Streams of encoders as they are, cut.

use super::*;

const LENGTHS: Lengths = Lengths { segment: length(2000), part: length(500) };

const fn length(millis: u64) -> Length {
    match Length::new(millis, 1000) {
        Some(length) => length,
        None => panic!("a length"),
    }
}

/// Chunks one behind the other: durations in ticks, and which of them are independent.
fn stream(start: i64, timescale: u32, chunks: &[(u64, bool)]) -> Vec<Timed> {
    let mut start = Moment { ticks: start, timescale };
    chunks
        .iter()
        .map(|&(duration, independent)| {
            let chunk = Timed { start, duration, independent };
            start = start.plus(duration);
            chunk
        })
        .collect()
}

/// The places, one word a chunk: segment.part, then what begins (`S`, `P`) and ends (`!`).
fn described(lengths: Lengths, chunks: &[Timed]) -> String {
    let mut cutter = Cutter::new(lengths);
    let words = chunks.iter().map(|chunk| match cutter.place(chunk) {
        Ok(place) => format!(
            "{}.{}{}{}",
            place.segment,
            place.part,
            match (place.begins_segment, place.begins_part) {
                (true, _) => "S",
                (false, true) => "P",
                (false, false) => "",
            },
            if place.ends_part { "!" } else { "" },
        ),
        Err(why) => format!("{why:?}"),
    });
    words.collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn check(chunks: &[Timed], expected: &str) {
    assert_eq!(described(LENGTHS, chunks), expected);
}

#[test]
fn chunks_of_a_part_each_are_parts() {
    let one = |independent| (45_000, independent);
    let chunks = [one(true), one(false), one(false), one(false)].repeat(2);
    check(&stream(2 * 180_000, 90_000, &chunks), "2.0S! 2.1P! 2.2P! 2.3P! 3.0S! 3.1P! 3.2P! 3.3P!");
}

#[test]
fn small_chunks_are_gathered() {
    // A picture a chunk at 25 a second: twelve of them are 480 ms, and a thirteenth does not fit.
    let mut chunks = vec![(3_600, false); 50];
    chunks[0].1 = true;
    let text = described(LENGTHS, &stream(0, 90_000, &chunks));
    let parts: Vec<usize> = (0..5)
        .map(|part| text.split(' ').filter(|word| word.starts_with(&format!("0.{part}"))).count())
        .collect();
    assert_eq!(parts, [12, 12, 12, 12, 2]);
}

#[test]
fn sound_follows_the_grid_to_half_a_chunk() {
    // AAC at 48 kHz: 23 or 24 frames of 1,024 samples about half a second, so that segments begin
    // up to half a frame before or after the grid.
    let start = 96_000 - 512;
    let chunks = [(24 * 1024, true), (23 * 1024, true), (23 * 1024, true), (24 * 1024, true)];
    let lengths = Lengths { part: length(512), ..LENGTHS };
    assert_eq!(
        described(lengths, &stream(start, 48_000, &chunks.repeat(2))),
        "1.0S! 1.1P! 1.2P! 1.3P! 2.0S! 2.1P! 2.2P! 2.3P!"
    );
}

#[test]
fn whole_segments_are_one_part_each_and_rounded_to_the_grid() {
    let chunks = [(180_000, true), (181_000, true), (179_000, true)];
    check(&stream(180_000 - 3_000, 90_000, &chunks), "1.0S! 2.0S! 3.0S!");
    // Longer than a segment may be.
    check(&stream(180_000, 90_000, &[(400_000, true), (140_000, true)]), "1.0S! 3.0S!");
}

#[test]
fn a_picture_that_can_be_decoded_begins_no_segment_by_itself() {
    // One each second, in segments of two.
    let chunks = [(45_000, true), (45_000, false)].repeat(6);
    check(
        &stream(0, 90_000, &chunks),
        "0.0S! 0.1P! 0.2P! 0.3P! 1.0S! 1.1P! 1.2P! 1.3P! 2.0S! 2.1P! 2.2P! 2.3P!",
    );
}

#[test]
fn where_decoding_cannot_begin_a_segment_goes_on() {
    let chunks = [(90_000, true), (90_000, false), (90_000, false), (90_000, true)];
    check(&stream(0, 90_000, &chunks), "0.0S! 0.1P! 0.2P! 1.0S!");
}

#[test]
fn a_stream_begins_where_decoding_can() {
    let chunks = [(45_000, false), (45_000, true), (45_000, false)];
    check(&stream(90_000, 90_000, &chunks), "NotIndependent 0.0S! 0.1P!");
}

#[test]
fn what_came_before_has_no_place_and_changes_nothing() {
    let good = stream(0, 90_000, &[(45_000, true), (45_000, false), (45_000, false)]);
    check(&[good[0], good[1], good[0], good[1], good[2]], "0.0S! 0.1P! Backward Backward 0.2P!");
    // Rounding of the encoder's: a tick early is not backward.
    let early = Timed { start: Moment { ticks: 44_999, timescale: 90_000 }, ..good[1] };
    check(&[good[0], early], "0.0S! 0.1P!");
}

#[test]
fn after_a_gap_the_grid_goes_on() {
    let good = stream(0, 90_000, &[(45_000, true), (45_000, false)]);
    let later = stream(5 * 180_000, 90_000, &[(45_000, true), (45_000, false)]);
    check(&[&good[..], &later].concat(), "0.0S! 0.1P! 5.0S! 5.1P!");
}

#[test]
fn parts_are_cut_alike_wherever_a_stream_is_joined() {
    let mut chunks = vec![(3_003, false); 600];
    chunks.iter_mut().step_by(60).for_each(|chunk| chunk.1 = true);
    let lengths = Lengths { segment: Length::new(60 * 3_003, 90_000).unwrap(), ..LENGTHS };
    let all = stream(861_051_312 * 60 * 3_003, 90_000, &chunks);
    let whole = described(lengths, &all);
    let late = described(lengths, &all[120..]);
    assert!(whole.ends_with(&late), "who joins two segments later says the same");
}

#[test]
fn a_segment_is_full_when_one_more_chunk_would_lie_in_the_next_one() {
    let lengths = Lengths { segment: Length::of_millis(2000), part: Length::of_millis(500) };
    let mut cutter = Cutter::new(lengths);
    assert!(!cutter.is_full());
    // Sound in frames of 1024 at 44.1 kHz: of each segment the last one lies across its end.
    for frame in 0..4 * 87 {
        let start = Moment { ticks: frame * 1024, timescale: 44_100 };
        let chunk = Timed { start, duration: 1024, independent: true };
        let was_full = cutter.is_full();
        let place = cutter.place(&chunk).unwrap();
        assert_eq!(was_full, place.begins_segment && frame > 0, "{frame}");
    }
}
