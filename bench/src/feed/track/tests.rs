//! Where segments and chunks begin, for pictures and for frames.

use std::path::PathBuf;

use super::*;

const SECOND: u64 = 1_000_000_000;

/// A source of samples of `duration` ticks, a key frame every `key` samples, `chunk` to a chunk.
fn source(timescale: u32, duration: u32, count: usize, key: usize, chunk: usize) -> Source {
    let sample = |index: usize| Sample {
        data: index..index + 1,
        time: index as u64 * u64::from(duration),
        duration,
        offset: 0,
        flags: if index.is_multiple_of(key) { 0 } else { 0x0001_0000 },
    };
    Source {
        path: PathBuf::from("s.mp4"),
        init: Vec::new(),
        track: 1,
        timescale,
        is_audio: key == 1,
        samples: (0..count).map(sample).collect(),
        chunk_starts: (0..count).step_by(chunk).collect(),
        media: (0..=255).cycle().take(count).collect(),
    }
}

fn track(source: Source, segment: u64) -> Track {
    Track::new(source, segment).expect("it can be cut")
}

#[test]
fn pictures_begin_where_their_segment_begins() {
    // Nine seconds of 25 pictures, in chunks of 20 that the ends of segments cut.
    let track = track(source(25, 1, 225, 25, 20), 2 * SECOND);
    for number in [0, 3, 4, 800_000_001] {
        let chunks = track.chunks(number);
        assert_eq!(chunks[0].time, number * 50);
        assert_eq!(chunks.iter().map(|chunk| chunk.duration).sum::<u64>(), 50);
        assert!(chunks.is_sorted_by(|one, two| one.time + one.duration == two.time));
    }
    assert_eq!(track.chunks(4)[0].samples, 0..20, "the ninth second is not sent");
    assert_eq!(track.hash(1), track.hash(5));
    assert_ne!(track.hash(1), track.hash(2));
}

#[test]
fn frames_lie_on_a_grid_without_gaps() {
    // Four seconds of AAC: 187.5 frames, of which the last is cut.
    let mut aac = source(48_000, 1_024, 188, 1, 10);
    aac.samples[187].duration = 512;
    let track = track(aac, 2 * SECOND);
    let mut next = None;
    for number in 800_000_000..800_000_100 {
        for (index, chunk) in track.chunks(number).iter().enumerate() {
            assert!(next.is_none_or(|next| next == chunk.time), "no gap");
            next = Some(chunk.time + chunk.duration);
            if index == 0 {
                let late = chunk.time - number * 96_000;
                assert!(late < 1_024, "the first whole frame of the segment");
                let content = chunk.samples.start as u64 * 1_024;
                let place = number % 2 * 96_000;
                assert!(content.abs_diff(place) <= 1_024, "the sound stays with the pictures");
            }
            assert_eq!(track.samples(chunk).count() as u64 * 1_024, chunk.duration);
        }
        assert!(track.chunks(number).len() as u64 <= track.chunks_max());
    }
}

#[test]
fn frames_that_divide_a_segment_are_exact() {
    let track = track(source(48_000, 1_024, 375, 1, 10), 1_920_000_000);
    for number in [0, 1, 4, 900_000_000] {
        assert_eq!(track.chunks(number)[0].time, number * 92_160);
    }
}

#[test]
fn what_cannot_be_cut_says_what_to_do() {
    for (source, segment, words) in [
        (
            source(25, 1, 225, 30, 10),
            2 * SECOND,
            "no key frame at 2 s (the first are at 0 s, 1.2 s",
        ),
        (source(25, 1, 49, 25, 10), 2 * SECOND, "1.96 s of media are less than one segment of 2 s"),
        (source(30_000, 1_001, 300, 60, 10), 2 * SECOND, "no key frame at 2 s (the first are at"),
        (source(48_000, 1_024, 10, 1, 10), 2 * SECOND, "less than one segment"),
    ] {
        let error = Track::new(source, segment).expect_err("it cannot be cut");
        assert!(error.starts_with("s.mp4: ") && error.contains(words), "{error}");
    }
    track(source(30_000, 1_001, 300, 60, 10), 2_002_000_000);
}

#[test]
fn the_hash_is_the_published_one() {
    let mut hash = Hash::new();
    hash.add(b"foo");
    hash.add(b"bar");
    assert_eq!(hash.value(), 0x8594_4171_f739_67e8);
}
