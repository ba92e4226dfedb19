//! Streams that ffmpeg wrote (`tests/fuzz/seeds/boxes`), and boxes that lie.

use super::chunk::{At, Brands, Fragment, Message};
use super::init::{Init, Media};
use super::stream::{Event, Reader};
use super::*;

const AVC: &[u8] = include_bytes!("../../../tests/fuzz/seeds/boxes/avc.mp4");
const AAC: &[u8] = include_bytes!("../../../tests/fuzz/seeds/boxes/aac.mp4");
const BOTH: &[u8] = include_bytes!("../../../tests/fuzz/seeds/boxes/both.mp4");
const HEVC: &[u8] = include_bytes!("../../../tests/fuzz/seeds/boxes/hevc.mp4");

/// What a stream holds, in the order in which it comes.
fn events(bytes: &[u8]) -> Vec<Event> {
    let mut events = Vec::new();
    Reader::default().take(bytes, &mut events).expect("ffmpeg writes what can be read");
    events
}

fn described(bytes: &[u8]) -> String {
    let mut text = String::new();
    for event in events(bytes) {
        match event {
            Event::Header(span, init) => {
                text += &format!("{}-{}: header\n", span.start, span.end);
                for track in &init.tracks {
                    let sample = &track.sample;
                    text += &format!(
                        "  track {} {} {:?} {} at {}, {:?} {:?}, shift {}\n",
                        track.id,
                        str::from_utf8(&track.language).unwrap(),
                        sample.media,
                        sample.codecs,
                        track.timescale,
                        sample.resolution,
                        sample.sound.map(|sound| (sound.channels, sound.rate)),
                        track.presentation_shift,
                    );
                }
            }
            Event::Chunk(span, chunk) => {
                text += &format!("{}-{}: chunk\n", span.start, span.end);
                for run in &chunk.fragment.runs {
                    text += &format!(
                        "  track {} from {} shown {} for {}, {} samples of {} bytes{}{}\n",
                        run.track,
                        run.decode_time,
                        run.presentation_time,
                        run.duration,
                        run.samples,
                        run.size,
                        if run.independent { ", independent" } else { "" },
                        if chunk.reference.is_some() { ", clocked" } else { "" },
                    );
                }
            }
        }
    }
    text
}

#[track_caller]
fn check(bytes: &[u8], expected: &str) {
    assert_eq!(described(bytes), expected);
}

#[test]
fn what_ffmpeg_writes_is_read() {
    check(
        AVC,
        "0-772: header
  track 1 und Video avc1.4d400a at 10240, Some((64, 36)) None, shift 0
772-3738: chunk
  track 1 from 0 shown 0 for 10240, 10 samples of 2738 bytes, independent, clocked
3738-6109: chunk
  track 1 from 10240 shown 10240 for 10240, 10 samples of 2143 bytes, independent, clocked
",
    );
    check(
        AAC,
        "0-729: header
  track 1 deu Audio mp4a.40.2 at 48000, None Some((2, 48000)), shift 0
729-2483: chunk
  track 1 from 0 shown 0 for 24576, 24 samples of 1546 bytes, independent
2483-4331: chunk
  track 1 from 24576 shown 24576 for 24448, 24 samples of 1544 bytes, independent
",
    );
    check(
        BOTH,
        "0-1249: header
  track 1 und Video avc1.42c00a at 10240, Some((64, 36)) None, shift 0
  track 2 und Audio mp4a.40.2 at 44100, None Some((1, 44100)), shift 0
1249-7359: chunk
  track 1 from 0 shown 0 for 10478, 10 samples of 3263 bytes, independent
  track 2 from 0 shown 0 for 45124, 45 samples of 2219 bytes, independent
",
    );
    check(
        HEVC,
        "0-3152: header
  track 1 und Video hvc1.1.6.L30.90 at 10240, Some((64, 36)) None, shift 0
3152-4302: chunk
  track 1 from 0 shown 0 for 10240, 10 samples of 994 bytes, independent
",
    );
}

#[test]
fn where_the_bytes_are_cut_makes_no_difference() {
    for bytes in [AVC, AAC, BOTH, HEVC] {
        let whole = events(bytes);
        for size in [1, 2, 7, 8, 9, 100, 1000] {
            let (mut reader, mut found) = (Reader::default(), Vec::new());
            for piece in bytes.chunks(size) {
                reader.take(piece, &mut found).unwrap();
            }
            assert_eq!(found, whole, "pieces of {size}");
            // Behind the last chunk ffmpeg writes an index (`mfra`), which is no part of one.
            let Some(Event::Chunk(span, _)) = whole.last() else { unreachable!() };
            assert_eq!(reader.whole_until(), span.end);
        }
    }
}

#[test]
fn a_torn_chunk_is_none() {
    for end in 3738..6109 {
        let (mut reader, mut found) = (Reader::default(), Vec::new());
        reader.take(&AVC[..end], &mut found).unwrap();
        assert_eq!((found.len(), reader.whole_until()), (2, 3738), "cut at {end}");
    }
}

#[test]
fn no_byte_can_break_the_reader() {
    for bytes in [AVC, AAC, BOTH, HEVC] {
        for at in 0..bytes.len() {
            for change in [0x01, 0x10, 0x80, 0xff] {
                let mut changed = bytes.to_vec();
                changed[at] ^= change;
                crate::live::fuzz::boxes(&changed);
            }
        }
    }
}

/// A box.
fn boxed(kind: &Kind, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let size = u32::try_from(body.len() + 8).unwrap();
    [&size.to_be_bytes()[..], kind, &body].concat()
}

/// A fragment of track 1 with one run of two samples, and this much media data.
fn fragment(run: &[u8], data: usize) -> Vec<u8> {
    let mfhd = boxed(b"mfhd", &[&[0; 4], &7_u32.to_be_bytes()]);
    let tfhd = boxed(b"tfhd", &[&0x2_0000_u32.to_be_bytes(), &1_u32.to_be_bytes()]);
    let tfdt = boxed(b"tfdt", &[&0x0100_0000_u32.to_be_bytes(), &(1_u64 << 40).to_be_bytes()]);
    let traf = boxed(b"traf", &[&tfhd, &tfdt, &boxed(b"trun", &[run])]);
    [boxed(b"moof", &[&mfhd, &traf]), boxed(b"mdat", &[&vec![0; data]])].concat()
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// What comes of bytes behind the header of `AVC`.
fn after_header(bytes: &[u8]) -> Result<Vec<Event>, BoxError> {
    let Event::Header(_, init) = &events(AVC)[0] else { unreachable!() };
    let mut found = Vec::new();
    Reader::new(Some(init.clone())).take(bytes, &mut found)?;
    Ok(found)
}

#[track_caller]
fn refused(bytes: &[u8], error: BoxError) {
    assert_eq!(after_header(bytes), Err(error));
}

#[test]
fn samples_must_lie_in_the_data_that_follows() {
    // Durations and sizes in the run; the data begins 8 bytes behind the `moof`, which has 104.
    let run =
        |offset: u32, sizes: [u32; 2]| words(&[0x301, 2, offset, 512, sizes[0], 512, sizes[1]]);
    let good = after_header(&fragment(&run(112, [30, 20]), 50)).unwrap();
    let [Event::Chunk(span, chunk)] = &good[..] else { panic!("{good:?}") };
    assert_eq!((span.start, span.end), (0, 104 + 58));
    let run_of = &chunk.fragment.runs[0];
    assert_eq!((run_of.decode_time, run_of.duration, run_of.size), (1 << 40, 1024, 50));
    assert_eq!(chunk.fragment.sequence, 7);
    refused(&fragment(&run(112, [30, 20]), 49), BoxError::Outside(*b"trun"));
    refused(&fragment(&run(113, [30, 20]), 50), BoxError::Outside(*b"trun"));
    refused(&fragment(&run(20, [1, 1]), 50), BoxError::Outside(*b"trun"));
    refused(&fragment(&run(u32::MAX, [1, 1]), 50), BoxError::Outside(*b"trun"));
    refused(&fragment(&run(112, [u32::MAX, u32::MAX]), 50), BoxError::Outside(*b"trun"));
}

#[test]
fn every_run_must_lie_in_the_data_not_just_the_last() {
    let both = |offsets: [u32; 2]| {
        let run = |offset| boxed(b"trun", &[&words(&[0x301, 1, offset, 512, 10])]);
        let tfhd = boxed(b"tfhd", &[&words(&[0x2_0000, 1])]);
        let tfdt = boxed(b"tfdt", &[&words(&[0, 0])]);
        let traf = boxed(b"traf", &[&tfhd, &tfdt, &run(offsets[0]), &run(offsets[1])]);
        let moof = boxed(b"moof", &[&traf]);
        assert_eq!(moof.len(), 104);
        [moof, boxed(b"mdat", &[&[0; 20]])].concat()
    };
    assert!(after_header(&both([112, 122])).is_ok());
    assert!(after_header(&both([122, 112])).is_ok());
    refused(&both([112, 123]), BoxError::Outside(*b"trun"));
    refused(&both([123, 112]), BoxError::Outside(*b"trun"));
    refused(&both([1 << 30, 112]), BoxError::Outside(*b"trun"));
}

#[test]
fn the_first_sample_says_whether_decoding_can_begin() {
    for (first, all, expected) in [
        (None, 0x0200_0000, true),
        (None, 0x0000_0000, true),
        (None, 0x0001_0000, false),
        (None, 0x0101_0000, false),
        // A frame that others may refresh from, and that is no sync sample: open GOPs.
        (None, 0x0201_0000, true),
        (Some(0x0200_0000), 0x0101_0000, true),
        (Some(0x0101_0000), 0x0200_0000, false),
    ] {
        let run = match first {
            None => words(&[0x600, 2, 1, all, 1, 0x0101_0000]),
            Some(first) => words(&[0x604, 2, first, 1, all, 1, 0x0101_0000]),
        };
        let found = after_header(&fragment(&run, 2)).unwrap();
        let [Event::Chunk(_, chunk)] = &found[..] else { panic!("{found:?}") };
        assert_eq!(chunk.fragment.runs[0].independent, expected, "{first:x?} {all:x}");
    }
}

#[test]
fn counts_that_do_not_fit_are_refused() {
    refused(&fragment(&words(&[0x301, 3, 112, 512, 1, 512, 1]), 50), BoxError::Short(*b"trun"));
    refused(&fragment(&words(&[0x301, u32::MAX, 112]), 50), BoxError::Count(*b"trun"));
    // Nothing but defaults: a count of any size takes no bytes.
    refused(&fragment(&words(&[0, 1 << 17]), 50), BoxError::Count(*b"trun"));
    refused(&fragment(&words(&[0x301]), 50), BoxError::Short(*b"trun"));
    refused(&fragment(&words(&[0x0200_0301, 0]), 50), BoxError::Version(*b"trun"));
}

#[test]
fn sizes_that_cannot_be_are_refused() {
    refused(b"\0\0\0\0free", BoxError::Size(*b"free"));
    refused(b"\0\0\0\x07free", BoxError::Size(*b"free"));
    refused(b"\0\0\0\x01free\0\0\0\0\0\0\0\x0f", BoxError::Size(*b"free"));
    refused(b"\0\0\0\x01free\xff\0\0\0\0\0\0\0", BoxError::TooLong(*b"free"));
    refused(b"\0\x20\0\0moof", BoxError::TooLong(*b"moof"));
    // A child that is larger than its parent, and one that has no room for its header.
    refused(&boxed(b"moof", &[b"\0\0\0\x09traf"]), BoxError::Size(*b"traf"));
    refused(&boxed(b"moof", &[b"\0\0\0\x09"]), BoxError::Short(*b"moof"));
}

#[test]
fn what_stands_in_the_wrong_order_is_refused() {
    refused(&boxed(b"mdat", &[b"x"]), BoxError::Misplaced(*b"mdat"));
    let run = words(&[0x301, 2, 112, 512, 30, 512, 20]);
    let good = fragment(&run, 50);
    let between = [&good[..104], &boxed(b"free", &[]), &good[104..]].concat();
    refused(&between, BoxError::Misplaced(*b"free"));
    let twice = [&good[..104], &good[..]].concat();
    refused(&twice, BoxError::Misplaced(*b"moof"));
    assert_eq!(after_header(&[&good[..], &good].concat()).unwrap().len(), 2);
    let mut found = Vec::new();
    let without = Reader::default().take(&good, &mut found);
    assert_eq!(without, Err(BoxError::Missing(*b"moov")));
}

#[test]
fn what_stands_before_a_fragment_belongs_to_its_chunk() {
    let styp = boxed(b"styp", &[b"cmf2\0\0\0\0msdhlmsg"]);
    let emsg = boxed(
        b"emsg",
        &[&words(&[0x0100_0000, 90_000, 0, 900_000, u32::MAX, 5]), b"urn:x\0v\0data"],
    );
    let run = words(&[0x301, 2, 112, 512, 30, 512, 20]);
    let stream = [&boxed(b"free", &[b"abc"])[..], &styp, &emsg, &fragment(&run, 50)].concat();
    let found = after_header(&stream).unwrap();
    let [Event::Chunk(span, chunk)] = &found[..] else { panic!("{found:?}") };
    assert_eq!((span.start, span.end), (0, stream.len() as u64));
    assert_eq!(chunk.brands, Some(Brands { last: true, filler: false, chunk: false }));
    let message = Message {
        scheme: "urn:x".to_owned(),
        value: "v".to_owned(),
        timescale: 90_000,
        at: At::Time(900_000),
        duration: None,
        id: 5,
        data: (*b"data").into(),
    };
    assert_eq!(chunk.messages, [message]);
}

#[test]
fn a_header_without_what_fragments_need_is_refused() {
    let moov = child(*b"file", AVC, b"moov").unwrap();
    assert!(Init::read(moov).is_ok());
    let without = |kind: &Kind| -> Vec<u8> {
        let boxes = children(*b"moov", moov).map(Result::unwrap);
        boxes
            .filter(|one| one.kind != *kind)
            .flat_map(|one| boxed(&one.kind, &[one.body]))
            .collect()
    };
    assert_eq!(Init::read(&without(b"mvex")), Err(BoxError::Missing(*b"trex")));
    assert_eq!(Init::read(&without(b"trak")), Err(BoxError::Missing(*b"trak")));
    let twice: Vec<u8> = children(*b"moov", moov)
        .map(Result::unwrap)
        .flat_map(|one| boxed(&one.kind, &[one.body]).repeat(1 + usize::from(one.kind == *b"trak")))
        .collect();
    assert_eq!(Init::read(&twice), Err(BoxError::Value(*b"tkhd")));
}

#[test]
fn a_fragment_of_a_track_that_the_header_lacks_is_refused() {
    let Event::Header(_, init) = &events(AVC)[0] else { unreachable!() };
    let mut other = init.clone();
    other.tracks[0].id = 2;
    let stream = fragment(&words(&[0, 1]), 50);
    let moof = child(*b"file", &stream, b"moof").unwrap();
    let read = Fragment::read(moof, 8 + moof.len() as u64, &other);
    assert_eq!(read, Err(BoxError::Value(*b"tfhd")));
}

#[test]
fn errors_name_the_box() {
    assert_eq!(BoxError::Short(*b"tr\0n").to_string(), "box tr\\x00n is cut short");
}

#[test]
fn what_is_carried_can_be_told() {
    let media = |bytes| match &events(bytes)[0] {
        Event::Header(_, init) => init.tracks.iter().map(|track| track.sample.media).collect(),
        Event::Chunk(..) => Vec::new(),
    };
    assert_eq!(media(BOTH), [Media::Video, Media::Audio]);
}
