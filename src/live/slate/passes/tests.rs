//! Streams that ffmpeg wrote, repeated; and what is no slate.

use proptest::prelude::*;

use super::*;
use crate::live::ts::counters::gaps;

const AVC: &[u8] = include_bytes!("../../../../tests/fuzz/seeds/transport/avc-aac.ts");
const AAC: &[u8] = include_bytes!("../../../../tests/fuzz/seeds/transport/aac.ts");

/// Decoding times of pictures, and presentation times of sounds.
fn times(bytes: &[u8]) -> (Vec<u64>, Vec<u64>) {
    let (mut pictures, mut sounds) = (Vec::new(), Vec::new());
    let mut events = Vec::new();
    let mut reader = Reader::new(Known::default(), 1);
    reader.take(bytes, &mut events).unwrap();
    reader.end(&mut events);
    for event in events {
        match event {
            Event::Chunk(chunk, _) => pictures.push(chunk.fragment.runs[0].decode_time),
            Event::Break => panic!("there is a break"),
            Event::Header(_) => {}
        }
    }
    for packet in bytes.chunks_exact(PACKET_SIZE) {
        let (pid, begins) =
            (u16::from(packet[1] & 0x1f) << 8 | u16::from(packet[2]), packet[1] & 0x40);
        let at = if packet[3] & 0x20 != 0 { 5 + usize::from(packet[4]) } else { 4 };
        if pid == 257 && begins != 0 {
            let field = &packet[at + 9..at + 14];
            let bits = field.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
            sounds.push(
                (bits >> 3 & 0x1_c000_0000) | (bits >> 2 & 0x3fff_8000) | (bits >> 1 & 0x7fff),
            );
        }
    }
    (pictures, sounds)
}

#[test]
fn a_file_is_repeated_for_a_minute_without_a_seam() {
    let made = repeated(AVC).unwrap();
    assert_eq!((made.segments.len(), made.ends_ms.len()), (60, 60));
    assert_eq!((made.ends_ms[0], made.ends_ms[59]), (1000, 60_000));
    assert_eq!(made.codecs, "avc1.4d400a,mp4a.40.2");
    assert_eq!(made.resolution, Some((64, 36)));
    assert_eq!(gaps(&made.bytes), []);
    let (pictures, sounds) = times(&made.bytes);
    let steps: Vec<_> = pictures.windows(2).map(|two| two[1] - two[0]).collect();
    assert!(steps.iter().all(|step| *step == steps[0]), "{steps:?}");
    let (first, _) = times(AVC);
    assert_eq!(pictures.len(), 30 * first.len());
    // Sounds of a pass begin where those of the one before do, two seconds later.
    let a_pass = sounds.len() / 30;
    assert!(a_pass > 0 && sounds.len() % 30 == 0);
    assert!((a_pass..sounds.len()).all(|at| sounds[at] == sounds[at - a_pass] + 180_000));
}

#[test]
fn segments_are_all_of_it_and_each_begins_with_its_tables() {
    let made = repeated(AVC).unwrap();
    let mut end = 0;
    for segment in &made.segments {
        assert_eq!(segment.offset, end);
        end += segment.size;
        let start = segment.offset as usize;
        let pids = made.bytes[start..].chunks(PACKET_SIZE).take(3);
        let pids: Vec<_> =
            pids.map(|packet| u16::from(packet[1] & 0x1f) << 8 | u16::from(packet[2])).collect();
        assert_eq!(pids, [0, 0x1000, 256]);
        let alone = pieces(&made.bytes[start..][..segment.size as usize]).unwrap().1;
        assert_eq!(alone.len(), 1, "and needs nothing else");
    }
    assert_eq!(end, made.bytes.len() as u64);
    let (most, average) = made.bandwidth();
    assert!(most >= average && average > 0, "{most} {average}");
}

#[test]
fn what_is_no_slate_is_told_apart() {
    let twice = [AVC, AVC].concat();
    // A picture alone, for as long as it takes: the second one never comes.
    for (file, expected) in [
        (&b""[..], Unfit::NoStream),
        (&[7; 100_000], Unfit::NoStream),
        (AAC, Unfit::NoPicture),
        (&twice, Unfit::Broken),
        (&AVC[..AVC.len() / 4], Unfit::Short),
    ] {
        assert_eq!(repeated(file).err(), Some(expected), "{} bytes", file.len());
    }
}

proptest! {
    #[test]
    fn a_time_is_put_off_by_exactly_so_much(before in 0..WRAP, ticks in 0..WRAP) {
        let write = |value: u64| [
            0x31 | (value >> 30 << 1) as u8 & 0x0e,
            (value >> 22) as u8,
            (value >> 14) as u8 | 1,
            (value >> 7) as u8,
            (value << 1) as u8 | 1,
        ];
        let mut field = write(before);
        shift_time(&mut field, ticks);
        prop_assert_eq!(field, write((before + ticks) % WRAP));
        let clock = |value: u64| {
            let mut bytes = [0; 6];
            bytes[..5].copy_from_slice(&(value << 7 | 0x7e).to_be_bytes()[3..]);
            bytes[5] = 0x55;
            bytes
        };
        let mut field = clock(before);
        shift_clock(&mut field, ticks);
        prop_assert_eq!(field, clock((before + ticks) % WRAP));
    }

    #[test]
    fn bytes_that_are_changed_do_not_make_it_panic(changes: Vec<(usize, u8)>) {
        let mut bytes = AVC.to_vec();
        for (at, value) in changes {
            let size = bytes.len();
            bytes[at % size] = value;
        }
        if let Ok(made) = repeated(&bytes) {
            prop_assert!(made.bytes.len() % PACKET_SIZE == 0 && !made.segments.is_empty());
            prop_assert!(made.segments.len() <= SLATE_SEGMENTS_MAX);
        }
    }
}
