//! Pieces of records: what is added, what is forgotten, and that bytes say the same.

use proptest::prelude::*;

use super::*;
use crate::live::protection::sample;
use crate::live::time::{Length, Moment};

fn kept(number: i64) -> Kept {
    Kept {
        number,
        start: Moment { ticks: number * 180_000, timescale: 90_000 },
        duration: 180_000,
        size: if number % 5 == 4 { 0 } else { 1000 },
        discontinuity: number % 7 == 0,
        header: u32::try_from(number / 10).unwrap(),
        origin: Origin { zero_micros: -7, start_micros: 3 },
    }
}

fn header(number: i64) -> Header {
    let protection = (number % 2 == 1).then(|| Arc::new(sample(*b"cbcs")));
    Header { name: format!("init-{number}.mp4"), protection }
}

fn added(name: &str, carries: Carried, numbers: std::ops::Range<i64>) -> Added {
    let headers = (numbers.start / 10)..=((numbers.end - 1) / 10);
    Added {
        name: name.to_owned(),
        about: About {
            carries,
            codecs: "avc1.64001f".to_owned(),
            language: (name == "a").then(|| "de".to_owned()),
            bandwidth: Bandwidth { peak: 2_000_000, average: 1_000_000 },
        },
        lengths: Lengths { segment: Length::of_millis(2000), part: Length::of_millis(500) },
        headers: headers.map(|at| (u32::try_from(at).unwrap(), header(at))).collect(),
        segments: numbers.map(kept).collect(),
    }
}

fn piece(numbers: std::ops::Range<i64>) -> Piece {
    let video = Carried::Video { resolution: (640, 360), frame_rate: Some((25, 1)) };
    let renditions = vec![
        added("v", video, numbers.clone()),
        added("a", Carried::Audio { channels: 2 }, numbers.clone()),
        added("t", Carried::Text, numbers),
    ];
    Piece { renditions }
}

fn shown(what: &impl std::fmt::Debug) -> String {
    format!("{what:?}")
}

#[test]
fn bytes_say_the_same() {
    for piece in [Piece::default(), piece(0..1), piece(5..40)] {
        assert_eq!(shown(&Piece::read(&piece.bytes()).unwrap()), shown(&piece));
    }
}

#[test]
fn what_is_cut_off_or_of_another_version_is_no_piece() {
    let bytes = piece(0..3).bytes();
    for size in 0..bytes.len() {
        assert!(Piece::read(&bytes[..size]).is_err(), "{size}");
    }
    assert!(Piece::read(&[&bytes[..], b"x"].concat()).is_err());
    let mut other = bytes;
    other[8] = 3;
    assert!(Piece::read(&other).is_err());
}

#[test]
fn pieces_are_added_once_each_and_forgotten_from_the_front() {
    let mut record = Record::default();
    record.add(&piece(0..25));
    let before = shown(&record);
    record.add(&piece(10..25));
    assert_eq!(shown(&record), before, "it is there already");
    record.add(&piece(25..40));
    let video = record.rendition("v").unwrap();
    assert_eq!(video.segments.len(), 40);
    assert_eq!(video.headers, [0, 1, 2, 3].map(header));
    assert_eq!(video.protection(1).map(Protection::method), Some("SAMPLE-AES"));
    assert_eq!((video.protection(2), video.protection(NO_HEADER)), (None, None));
    assert_eq!((video.header_number("init-2.mp4"), video.header_number("other")), (2, 4));
    assert_eq!(video.segment(17).map(|kept| kept.number), Some(17));
    let stretch = |rendition: &str, first, last| {
        let rendition = rendition.to_owned();
        Stretch { rendition, first, last }
    };
    let hour = [stretch("v", 20, 39), stretch("a", 20, 39), stretch("t", 20, 39)];
    let of_hour = record.piece(&hour);
    assert_eq!(shown(&of_hour), shown(&piece(20..40)));
    record.forget(&[stretch("v", 0, 19), stretch("x", 0, 19)]);
    let count = |name| record.rendition(name).unwrap().segments.len();
    assert_eq!((count("v"), count("a")), (20, 40));
    let video = record.rendition("v").unwrap();
    assert_eq!(video.segments[0].number, 20);
    // What no segment needs any more is forgotten, and if it comes again it is another one.
    let none = Header::default;
    assert_eq!(video.headers, [none(), none(), header(2), header(3)]);
    assert_eq!((video.header_number("init-1.mp4"), video.header_number("init-2.mp4")), (4, 2));
}

#[test]
fn a_record_that_begins_in_the_middle_knows_the_headers_that_it_needs() {
    let mut record = Record::default();
    record.add(&piece(30..33));
    let none = Header::default;
    let known = [none(), none(), none(), header(3)];
    assert_eq!(record.rendition("v").unwrap().headers, known);
}

#[test]
fn of_very_many_headers_the_oldest_protections_are_forgotten() {
    let mut record = Record::default();
    for number in 0..200 {
        record.add(&piece(10 * number..10 * number + 1));
    }
    let video = record.rendition("v").unwrap();
    let size = |header: &Header| header.protection.as_ref().map_or(0, |one| one.size());
    let sizes: Vec<_> = video.headers.iter().map(size).collect();
    let all: usize = sizes.iter().sum();
    assert!(all <= RECORD_PROTECTIONS_SIZE_MAX && all + sizes[199] > RECORD_PROTECTIONS_SIZE_MAX);
    assert!(sizes[1] == 0 && sizes[197] > 0, "the newest stay");
    assert_eq!(video.headers[1].name, "init-1.mp4");
}

#[test]
fn what_the_first_version_wrote_is_read() {
    let piece = Piece {
        renditions: vec![Added {
            headers: vec![(0, header(0))],
            ..added("t", Carried::Text, 3..4)
        }],
    };
    let mut bytes = b"SCrecord\x01\0\x01\0\0\0\x01\0t\x02\x0b\0avc1.64001f\0\0".to_vec();
    for number in [2_000_000, 1_000_000] {
        bytes.extend(u64::to_le_bytes(number));
    }
    for (ticks, timescale) in [2000_u64, 500].map(|ticks| (ticks, 1000_u32)) {
        bytes.extend(ticks.to_le_bytes());
        bytes.extend(timescale.to_le_bytes());
    }
    // Its header, and nothing of how that is encrypted.
    bytes.extend(b"\x01\0\0\0\0\0\0\0\x0a\0init-0.mp4\x01\0\0\0");
    bytes.extend(3_i64.to_le_bytes());
    bytes.extend(540_000_i64.to_le_bytes());
    bytes.extend(90_000_u32.to_le_bytes());
    bytes.extend(180_000_u64.to_le_bytes());
    bytes.extend(1000_u64.to_le_bytes());
    bytes.extend(b"\0\0\0\0\0");
    bytes.extend((-7_i64).to_le_bytes());
    bytes.extend(3_i64.to_le_bytes());
    assert_eq!(shown(&Piece::read(&bytes).unwrap()), shown(&piece));
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = Piece::read(&bytes);
        let begun = [&Piece::default().bytes()[..10], &bytes].concat();
        let _ = Piece::read(&begun);
    }
}
