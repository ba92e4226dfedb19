//! Streams that ffmpeg wrote (`tests/fuzz/seeds/transport`), and streams that are torn or lie.

use super::counters::{Counters, gaps};
use super::stream::{Event, Known, Reader};
use super::{PACKET_SIZE, SYNC, TsError};
use crate::live::fuzz;

const AVC: &[u8] = include_bytes!("../../../tests/fuzz/seeds/transport/avc-aac.ts");
const HEVC: &[u8] = include_bytes!("../../../tests/fuzz/seeds/transport/hevc-ac3.ts");
const MPEG2: &[u8] = include_bytes!("../../../tests/fuzz/seeds/transport/mpeg2-mp2.ts");
const AAC: &[u8] = include_bytes!("../../../tests/fuzz/seeds/transport/aac.ts");

/// Half a second.
const LONGEST: u64 = 45_000;

/// What a stream holds, in the order in which it comes.
fn events(bytes: &[u8]) -> Vec<Event> {
    read(&mut Reader::new(Known::default(), LONGEST), bytes)
}

fn read(reader: &mut Reader, bytes: &[u8]) -> Vec<Event> {
    let mut events = Vec::new();
    reader.take(bytes, &mut events).expect("ffmpeg writes what can be read");
    reader.end(&mut events);
    events
}

fn described(events: &[Event]) -> String {
    let mut text = String::new();
    for event in events {
        match event {
            Event::Break => text += "break\n",
            Event::Header(init) => {
                for track in &init.tracks {
                    let sample = &track.sample;
                    text += &format!(
                        "track {} {} {:?} {}, {:?} {:?}\n",
                        track.id,
                        str::from_utf8(&track.language).unwrap(),
                        sample.media,
                        sample.codecs,
                        sample.resolution,
                        sample.sound.map(|sound| (sound.channels, sound.rate)),
                    );
                }
            }
            Event::Chunk(chunk, bytes) => {
                let run = chunk.fragment.runs[0];
                text += &format!(
                    "track {} from {} shown {} for {}, {} units in {} packets{}\n",
                    run.track,
                    run.decode_time,
                    run.presentation_time,
                    run.duration,
                    run.samples,
                    bytes.len() / PACKET_SIZE,
                    if run.independent { ", independent" } else { "" },
                );
            }
        }
    }
    text
}

#[track_caller]
fn check(bytes: &[u8], expected: &str) {
    assert_eq!(described(&events(bytes)), expected);
}

#[test]
fn what_ffmpeg_writes_is_read() {
    check(
        AVC,
        "track 256 und Video avc1.4d400a, Some((64, 36)) None
track 257 deu Audio mp4a.40.2, None Some((2, 48000))
track 256 from 126000 shown 144000 for 45000, 5 units in 19 packets, independent
track 256 from 171000 shown 189000 for 45000, 5 units in 20 packets
track 256 from 216000 shown 234000 for 45000, 5 units in 22 packets, independent
track 256 from 261000 shown 279000 for 45000, 5 units in 24 packets
",
    );
    check(
        HEVC,
        "track 256 und Video hvc1.1.6.L30.90, Some((64, 36)) None
track 257 und Audio ac-3, None Some((1, 48000))
track 256 from 126000 shown 144000 for 45000, 5 units in 22 packets, independent
track 256 from 171000 shown 189000 for 45000, 5 units in 29 packets
",
    );
    check(
        MPEG2,
        "track 256 und Video mp4v.61, Some((64, 36)) None
track 257 und Audio mp4a.40.33, None Some((1, 48000))
track 256 from 126000 shown 136800 for 39600, 4 units in 16 packets, independent
track 256 from 165600 shown 176400 for 43200, 5 units in 26 packets
track 256 from 208800 shown 219600 for 7200, 1 units in 9 packets
",
    );
    check(
        AAC,
        "track 256 und Audio mp4a.40.2, None Some((1, 44100))
track 256 from 126000 shown 126000 for 33437, 1 units in 8 packets, independent
track 256 from 159437 shown 159437 for 33437, 1 units in 7 packets, independent
track 256 from 192874 shown 192874 for 33436, 1 units in 8 packets, independent
track 256 from 226310 shown 226310 for 33437, 1 units in 7 packets, independent
track 256 from 259747 shown 259747 for 33437, 1 units in 7 packets, independent
track 256 from 293184 shown 293184 for 33437, 1 units in 5 packets, independent
",
    );
}

#[test]
fn where_the_bytes_are_cut_makes_no_difference() {
    for bytes in [AVC, HEVC, MPEG2, AAC] {
        fuzz::transport(bytes);
        let whole = events(bytes);
        for size in [1, 2, 187, 188, 189, 1000] {
            let (mut reader, mut found) = (Reader::new(Known::default(), LONGEST), Vec::new());
            for piece in bytes.chunks(size) {
                reader.take(piece, &mut found).unwrap();
            }
            reader.end(&mut found);
            assert_eq!(found, whole, "pieces of {size}");
        }
    }
}

/// The packets of all chunks.
fn packets(events: &[Event]) -> Vec<Vec<u8>> {
    let bytes = events.iter().filter_map(|event| match event {
        Event::Chunk(_, bytes) => Some(bytes),
        _ => None,
    });
    bytes.flat_map(|bytes| bytes.chunks(PACKET_SIZE).map(<[u8]>::to_vec)).collect()
}

fn pid(packet: &[u8]) -> u16 {
    u16::from_be_bytes([packet[1] & 0x1f, packet[2]])
}

#[test]
fn media_packets_are_passed_on_as_they_are_and_tables_stand_before_independent_ones() {
    for bytes in [AVC, HEVC, MPEG2, AAC] {
        let found = events(bytes);
        let media = |packet: &&[u8]| matches!(pid(packet), 256 | 257);
        let given: Vec<_> = bytes.chunks(PACKET_SIZE).filter(media).collect();
        let got = packets(&found);
        let passed: Vec<_> = got.iter().map(Vec::as_slice).filter(media).collect();
        assert!(given == passed, "{} and {}", given.len(), passed.len());
        for event in &found {
            let Event::Chunk(chunk, bytes) = event else { continue };
            let is_table = pid(bytes) == 0 && pid(&bytes[PACKET_SIZE..]) == 0x1000;
            assert_eq!(is_table, chunk.fragment.runs[0].independent);
        }
    }
}

#[test]
fn what_comes_in_several_requests_is_read_as_in_one() {
    let whole = events(AVC);
    // A picture that needs no other begins the second one.
    let key = |packet: &[u8]| pid(packet) == 256 && packet[3] & 0x20 != 0 && packet[5] & 0x40 != 0;
    let mut keys = (0..).zip(AVC.chunks(PACKET_SIZE)).filter(|(_, packet)| key(packet));
    let (at, _) = keys.nth(1).expect("there are two");
    let (first, second) = AVC.split_at(at * PACKET_SIZE);
    let mut reader = Reader::new(Known::default(), LONGEST);
    let mut found = read(&mut reader, first);
    // Tables need not come again.
    found.extend(read(&mut Reader::new(reader.into_known(), LONGEST), second));
    assert_eq!(described(&found), described(&whole));
    assert!(packets(&found) == packets(&whole));
}

#[test]
fn every_torn_end_is_the_beginning_of_the_whole() {
    let whole = events(AVC);
    let chunks = |events: &[Event]| -> Vec<_> {
        let chunks = events.iter().filter_map(|event| match event {
            Event::Chunk(chunk, bytes) => Some((chunk.clone(), bytes.clone())),
            _ => None,
        });
        chunks.collect()
    };
    let whole = chunks(&whole);
    for size in 0..AVC.len() {
        let (mut reader, mut found) = (Reader::new(Known::default(), LONGEST), Vec::new());
        reader.take(&AVC[..size], &mut found).unwrap();
        let found = chunks(&found);
        // Before something of every sound came, nothing is told.
        assert!(found.len() <= whole.len() && found[..] == whole[..found.len()], "{size}");
    }
}

#[test]
fn a_clock_that_begins_anew_is_followed() {
    // Everything 26.5 hours later, less a second: times are put there by hand.
    let shifted = |by: u64| {
        let mut bytes = AVC.to_vec();
        for packet in bytes.chunks_mut(PACKET_SIZE) {
            if pid(packet) == 256 || pid(packet) == 257 {
                shift(packet, by);
            }
        }
        bytes
    };
    let near_the_end = (1 << 33) - 126_000 - 90_000;
    let (early, late) = (events(AVC), events(&shifted(near_the_end)));
    assert_eq!(early.len(), late.len());
    for (early, late) in early.iter().zip(&late) {
        let (Event::Chunk(early, _), Event::Chunk(late, _)) = (early, late) else { continue };
        let (early, late) = (early.fragment.runs[0], late.fragment.runs[0]);
        assert_eq!(early.decode_time + near_the_end, late.decode_time);
        assert_eq!(early.duration, late.duration);
        assert_eq!(early.presentation_time + near_the_end as i64, late.presentation_time);
    }
}

/// Adds to all times of a packet.
fn shift(packet: &mut [u8], by: u64) {
    let mut start = 4;
    if packet[3] & 0x20 != 0 {
        start += 1 + usize::from(packet[4]);
        if packet[4] > 6 && packet[5] & 0x10 != 0 {
            let [a, b, c, d, e] = *packet[6..].first_chunk().unwrap();
            let base = u64::from(u32::from_be_bytes([a, b, c, d])) << 1 | u64::from(e >> 7);
            let base = (base + by) & ((1 << 33) - 1);
            packet[6..10].copy_from_slice(&((base >> 1) as u32).to_be_bytes());
            packet[10] = e & 0x7f | ((base & 1) as u8) << 7;
        }
    }
    if packet[1] & 0x40 == 0 || packet.get(start..start + 3) != Some(&[0, 0, 1]) {
        return;
    }
    for at in 0..usize::from(packet[start + 7] >> 7) + usize::from(packet[start + 7] >> 6 & 1) {
        let time = &mut packet[start + 9 + 5 * at..][..5];
        let bits = |byte: u8, from: u32, count: u32| u64::from(byte >> from & ((1 << count) - 1));
        let value = bits(time[0], 1, 3) << 30
            | u64::from(time[1]) << 22
            | bits(time[2], 1, 7) << 15
            | u64::from(time[3]) << 7
            | bits(time[4], 1, 7);
        let value = value + by;
        time[0] = time[0] & 0xf1 | (value >> 29) as u8 & 0x0e;
        time[1] = (value >> 22) as u8;
        time[2] = (value >> 15 & 127) as u8 * 2 + 1;
        time[3] = (value >> 7) as u8;
        time[4] = (value & 127) as u8 * 2 + 1;
    }
}

#[test]
fn time_that_goes_back_or_leaps_is_a_break() {
    let mut forward = AVC.to_vec();
    for packet in forward.chunks_mut(PACKET_SIZE) {
        shift(packet, 100 * 90_000);
    }
    for (first, second) in [(AVC, &forward[..]), (&forward[..], AVC)] {
        let found = events(&[first, second].concat());
        let breaks = found.iter().filter(|event| **event == Event::Break).count();
        assert_eq!(breaks, 1, "{}", described(&found));
        let chunks = |found: &[Event]| packets(found).len();
        assert_eq!(chunks(&found), 2 * chunks(&events(AVC)));
    }
}

#[test]
fn what_is_no_transport_stream_is_refused_and_stuffing_is_not() {
    let (mut reader, mut found) = (Reader::new(Known::default(), LONGEST), Vec::new());
    let nothing = vec![0; 100_000];
    assert_eq!(reader.take(&nothing, &mut found), Err(TsError::NoPackets));
    // Bytes between packets are passed over, null packets and other programmes left out.
    let mut stuffed = vec![0; 100];
    for packet in AVC.chunks(PACKET_SIZE) {
        let mut null = [0xff; PACKET_SIZE];
        null[..4].copy_from_slice(&[SYNC, 0x1f, 0xff, 0x10]);
        stuffed.extend([packet, &null].concat());
    }
    assert_eq!(described(&events(&stuffed)), described(&events(AVC)));
}

#[test]
fn numbered_chunks_have_no_gaps_whatever_run_they_come_from() {
    let mut counters = Counters::default();
    let mut all = Vec::new();
    for (at, bytes) in [AVC, AVC, HEVC, AVC].into_iter().enumerate() {
        for event in events(bytes) {
            let Event::Chunk(_, mut bytes) = event else { continue };
            counters.number(&mut bytes, at > 0);
            all.extend(bytes);
        }
    }
    assert_eq!(gaps(&all), []);
}

#[test]
fn bytes_that_are_changed_do_not_make_it_panic() {
    let mut random = 0x51_u64;
    let mut next = |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random as usize % below
    };
    for round in 0..400 {
        let mut bytes = [AVC, HEVC, MPEG2, AAC][round % 4].to_vec();
        for _ in 0..1 + next(30) {
            let at = next(bytes.len());
            // Headers of packets are where it hurts most.
            let at = if next(2) == 0 { at / PACKET_SIZE * PACKET_SIZE + at % 24 } else { at };
            let at = at.min(bytes.len() - 1);
            bytes[at] = next(256) as u8;
        }
        fuzz::transport(&bytes);
    }
    for size in 0..200 {
        let bytes: Vec<u8> = (0..size * 50).map(|_| next(256) as u8).collect();
        fuzz::transport(&bytes);
    }
}
