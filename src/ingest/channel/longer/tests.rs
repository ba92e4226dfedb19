//! Encoders whose segments become longer, by a clock that tests play.

use std::time::{Duration, Instant};

use super::*;
use crate::config::Access;
use crate::ingest::archive::Recovered;
use crate::ingest::channel::{Header, Request};
use crate::ingest::post::Post;
use crate::ingest::slab::Ledger;
use crate::live::boxes::chunk::{Fragment, Run};
use crate::live::boxes::init::Media;
use crate::live::fixture;

/// Milliseconds of Unix time at which media begins.
const MIDNIGHT: i64 = 1_795_651_200_000;

fn at(began: Instant, millis: i64) -> Stamp {
    let elapsed = Duration::from_millis(u64::try_from(millis).unwrap());
    Stamp { micros: (MIDNIGHT + millis) * 1000, instant: began + elapsed }
}

/// A channel in segments of two seconds and these parts, whose picture has a header.
fn channel(part_ms: u64, began: Instant) -> Channel {
    let of = crate::config::Channel {
        id: "news".to_owned(),
        name: "news".to_owned(),
        access: Some(Access::Open),
        window_ms: 60_000,
        segment_ms: Some(2000),
        part_ms: Some(part_ms),
        patience_ms: None,
        push: None,
        archive: None,
        sources: Default::default(),
        shelf: Default::default(),
    };
    let (post, _) = Post::new(Vec::new(), Ledger::new(u64::MAX));
    let recovered = Recovered::nothing();
    let mut channel = Channel::new(&of, Access::Open, post, Default::default(), recovered);
    let header = Header::Cmaf(b"a picture");
    channel.take_header((0, "v/init.mp4"), header, fixture::init(), at(began, 0)).unwrap();
    channel
}

/// A chunk of media that begins and lasts so many milliseconds.
fn chunk(start: i64, duration: u64, independent: bool) -> Chunk {
    let run = Run {
        track: 1,
        decode_time: u64::try_from(MIDNIGHT + start).unwrap(),
        duration,
        presentation_time: MIDNIGHT + start,
        independent,
        samples: 12,
        size: 1000,
        first_end: 700,
    };
    let fragment = Fragment { sequence: 0, runs: vec![run] };
    Chunk { fragment, brands: None, reference: None, messages: Vec::new() }
}

/// What is listed: number, `G` for a gap, and milliseconds.
fn listed(channel: &Channel) -> String {
    let segments = channel.renditions[0].publisher.timeline().segments().iter();
    let words = segments.map(|one| {
        let gap = if one.is_gap { "G" } else { "" };
        format!("{gap}{}:{}", one.number - MIDNIGHT / 2000, one.duration)
    });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn whole_segments_of_another_length_are_waited_for_once_one_came_too_late() {
    let began = Instant::now();
    let mut channel = channel(2000, began);
    let mut until = 0;
    // Each comes when it is over, and time goes by between them.
    for (start, duration) in [(0, 2000), (2000, 2000), (4000, 4000), (8000, 4000), (12_000, 4000)] {
        let end = start + i64::try_from(duration).unwrap();
        while until < end {
            channel.publish_overdue(at(began, until));
            until += 100;
        }
        let chunk = chunk(start, duration, true);
        channel.take(0, Request::default(), &chunk, &start.to_be_bytes(), at(began, end)).unwrap();
        channel.end_request(0, at(began, end));
    }
    // When the first one of four seconds came, a gap had been published in its place.
    assert_eq!(listed(&channel), "0:2000 1:2000 G2:2000 G3:2000 4:4000 5:4000");
    let promise = channel.renditions[0].publisher.timeline().promise().expect("it is longer");
    assert_eq!((promise.seconds, promise.part_ms), (4, 4000));
}

#[test]
fn a_segment_that_grows_too_long_is_promised_when_it_is_whole_and_a_long_part_at_once() {
    let began = Instant::now();
    let mut channel = channel(500, began);
    let names = |channel: &Channel| channel.renditions[0].playlist(Kind::LowLatency);
    let take = |channel: &mut Channel, (start, duration, independent)| {
        let chunk = chunk(start, duration, independent);
        channel
            .take(0, Request::default(), &chunk, &start.to_be_bytes(), at(began, start))
            .unwrap();
    };
    // Three seconds, and the start of the next one.
    (0..6).for_each(|half| take(&mut channel, (half * 500, 500, half == 0)));
    assert_eq!(names(&channel), "ll.m3u8");
    take(&mut channel, (3000, 500, true));
    assert_eq!(names(&channel), "ll-3-500.m3u8");
    // 2.6 s are three seconds, too.
    take(&mut channel, (3500, 500, false));
    take(&mut channel, (4000, 600, false));
    assert_eq!(names(&channel), "ll-3-600.m3u8");
    take(&mut channel, (4600, 100, false));
    take(&mut channel, (4700, 600, true));
    assert_eq!(names(&channel), "ll-3-600.m3u8");
    assert_eq!(channel.outputs[0].tally.long_segments, 1);
    // An hour is no segment.
    take(&mut channel, (5300, 3_600_000, true));
    take(&mut channel, (3_605_300, 500, true));
    assert_eq!(names(&channel), "ll-3-600.m3u8");
    assert_eq!(channel.outputs[0].tally.long_segments, 2);
}

#[test]
fn parts_are_made_to_fit_chunks_and_those_that_do_not_are_noted() {
    let began = Instant::now();
    let mut channel = channel(500, began);
    for at_chunk in 0..10 {
        let start = at_chunk * 200;
        let chunk = chunk(start, 200, at_chunk == 0);
        channel
            .take(0, Request::default(), &chunk, &start.to_be_bytes(), at(began, start))
            .unwrap();
    }
    let timeline = channel.renditions[0].publisher.timeline();
    let last = timeline.segments().back().unwrap();
    assert!(last.parts.iter().all(|part| part.duration == 400), "{:?}", last.parts);
    assert_eq!(timeline.lengths().part.micros(), 400_000);
    let fault = channel.last_error.take().expect("it is noted");
    assert_eq!(fault.what, "chunks of 200 ms do not fill parts of 500 ms: 400 ms");
    // Later the encoder sends others.
    for at_chunk in 0..6 {
        let start = 2000 + at_chunk * 300;
        let chunk = chunk(start, 300, at_chunk == 0);
        channel
            .take(0, Request::default(), &chunk, &start.to_be_bytes(), at(began, start))
            .unwrap();
    }
    let fault = channel.last_error.take().expect("it is noted");
    assert_eq!(fault.what, "v: its chunks do not fill the channel's parts");
}

/// The length of parts, in milliseconds, when pictures of 500 ms and sounds of 490 ms have come,
/// the sounds so many milliseconds later.
fn part_with_sound(later: i64) -> u64 {
    let began = Instant::now();
    let mut channel = channel(500, began);
    let picture = |channel: &mut Channel, start: i64| {
        let chunk = chunk(start, 500, start == 0);
        let bytes = start.to_be_bytes();
        channel.take(0, Request::default(), &chunk, &bytes, at(began, start)).unwrap();
    };
    (0..later / 500).for_each(|half| picture(&mut channel, half * 500));
    let mut init = fixture::init();
    init.tracks[0].sample.media = Media::Audio;
    channel
        .take_header((0, "a/init.mp4"), Header::Cmaf(b"a sound"), init, at(began, later))
        .unwrap();
    picture(&mut channel, later);
    let mut sound = chunk(0, 490, true);
    sound.fragment.runs[0].samples = 23;
    channel.take(1, Request::default(), &sound, b"one", at(began, later)).unwrap();
    let parts = channel.renditions.iter().map(|one| one.publisher.timeline().lengths().part);
    let parts: Vec<_> = parts.map(|part| part.micros() / 1000).collect();
    assert_eq!(parts[0], parts[1]);
    parts[0]
}

#[test]
fn parts_are_as_long_whichever_of_picture_and_sound_comes_first() {
    assert_eq!([0, 500, 1000, 1500].map(part_with_sound), [521, 521, 521, 500]);
}
