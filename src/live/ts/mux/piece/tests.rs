//! Pieces of streams that ffmpeg wrote as boxes: each alone, and all of them one behind the other.

use super::*;
use crate::live::boxes::stream;
use crate::live::ts::counters::gaps;
use crate::live::ts::stream::{Event, Known, Reader};

const AVC: &[u8] = include_bytes!("../../../../../tests/fuzz/seeds/boxes/avc.mp4");
const AAC: &[u8] = include_bytes!("../../../../../tests/fuzz/seeds/boxes/aac.mp4");
const BOTH: &[u8] = include_bytes!("../../../../../tests/fuzz/seeds/boxes/both.mp4");
const HEVC: &[u8] = include_bytes!("../../../../../tests/fuzz/seeds/boxes/hevc.mp4");

/// A header with what it says, and the chunks behind it.
type Parsed<'b> = (&'b [u8], Init, Vec<(&'b [u8], stream::Chunk)>);

fn parsed(bytes: &[u8]) -> Parsed<'_> {
    let mut events = Vec::new();
    stream::Reader::default().take(bytes, &mut events).unwrap();
    let of = |span: stream::Span| &bytes[span.start as usize..span.end as usize];
    let (mut header, mut chunks) = (None, Vec::new());
    for event in events {
        match event {
            stream::Event::Header(span, init) => header = Some((of(span), init)),
            stream::Event::Chunk(span, chunk) => chunks.push((of(span), chunk)),
        }
    }
    let (header, init) = header.unwrap();
    (header, init, chunks)
}

/// Chunks that begin with what needs no other are segments here: all pieces, and how full each is.
fn pieces(lead: &[u8], sound: Option<&[u8]>) -> Vec<Vec<u8>> {
    let (lead, sound) = (parsed(lead), sound.map(parsed));
    let mut sources = vec![Source { id: 0, header: lead.0, init: &lead.1 }];
    sources.extend(sound.iter().map(|sound| Source { id: 1, header: sound.0, init: &sound.1 }));
    let muxer = Muxer::versioned(&sources, 3).unwrap().expect("it can be carried");
    let mut segments: Vec<(Vec<u8>, u64, u64)> = Vec::new();
    for (bytes, chunk) in &lead.2 {
        let run = chunk.fragment.runs[0];
        match segments.last_mut().filter(|_| !run.independent) {
            Some(last) => {
                last.0.extend_from_slice(bytes);
                last.2 += run.duration;
            }
            None => segments.push((bytes.to_vec(), run.decode_time, run.duration)),
        }
    }
    let timescale = u64::from(lead.1.tracks[0].timescale);
    let micros = |ticks: u64| i64::try_from(ticks * 1_000_000 / timescale).unwrap();
    let sounds: Vec<u8> = sound
        .iter()
        .flat_map(|sound| sound.2.iter().flat_map(|(bytes, _)| bytes.to_vec()))
        .collect();
    let count = segments.len();
    let piece = |(number, (bytes, from, ticks)): (usize, &(Vec<u8>, u64, u64))| {
        let between = (
            if number == 0 { 0 } else { micros(*from) },
            match number + 1 == count {
                true => i64::MAX,
                false => micros(*from + *ticks),
            },
        );
        let of = |source, init, bytes| Segment { source, init, zero_micros: 0, bytes };
        let mut segments = vec![of(0, &lead.1, &bytes[..])];
        segments.extend(sound.iter().map(|sound| of(1, &sound.1, &sounds[..])));
        let shares = [
            Share { source: 0, size: bytes.len() as u64 },
            Share { source: 1, size: sounds.len() as u64 },
        ];
        let micros = micros(*ticks).unsigned_abs();
        let size = muxer.piece_size(micros, Some(25.0), &shares) as usize;
        let place = Place { number, lead: 0, between, is_anew: false };
        let (packets, is_cut) = muxer.piece(&segments, place, size).unwrap();
        assert!(!is_cut && packets.len() == size, "{number}: {} of {size}", packets.len());
        // Made again it is the same.
        assert!(muxer.piece(&segments, place, size).unwrap().0 == packets);
        let (cut, is_cut) = muxer.piece(&segments, place, 8 * PACKET_SIZE).unwrap();
        assert!(cut.len() == 8 * PACKET_SIZE && is_cut);
        packets
    };
    segments.iter().enumerate().map(piece).collect()
}

/// What a reader finds in a stream: its codings, and every access unit's time.
fn read(packets: &[u8]) -> (Vec<String>, Vec<(i64, u64)>) {
    let mut reader = Reader::new(Known::at(0), 90_000);
    let mut events = Vec::new();
    reader.take(packets, &mut events).unwrap();
    reader.end(&mut events);
    let (mut codecs, mut runs) = (Vec::new(), Vec::new());
    for event in events {
        match event {
            Event::Header(init) => {
                codecs = init.tracks.into_iter().map(|track| track.sample.codecs).collect();
            }
            Event::Chunk(chunk, _) => {
                let run = chunk.fragment.runs[0];
                runs.push((run.presentation_time, run.duration));
            }
            Event::Break => panic!("times go on"),
        }
    }
    (codecs, runs)
}

#[track_caller]
fn check(lead: &[u8], sound: Option<&[u8]>, codings: usize) {
    let pieces = pieces(lead, sound);
    let whole = pieces.concat();
    let gaps: Vec<_> = gaps(&whole).into_iter().filter(|(pid, ..)| *pid != 0x1fff).collect();
    assert_eq!(gaps, [], "counters go on from piece to piece");
    let (codecs, runs) = read(&whole);
    assert_eq!(codecs.len(), codings, "{codecs:?}");
    let parsed = parsed(lead);
    let track = &parsed.1.tracks[0];
    let run = |(_, chunk): &(&[u8], stream::Chunk)| chunk.fragment.runs[0];
    let ticks = |at: u64| at * 90_000 / u64::from(track.timescale);
    let first = run(&parsed.2[0]).presentation_time;
    assert_eq!(runs[0].0, first * 90_000 / i64::from(track.timescale));
    let all: u64 = parsed.2.iter().map(|chunk| ticks(run(chunk).duration)).sum();
    let found: u64 = runs.iter().map(|(_, duration)| duration).sum();
    assert!(found.abs_diff(all) < 9_000, "{found} of {all} ticks");
}

#[test]
fn pieces_go_on_from_each_other_and_have_the_size_that_was_said() {
    check(AVC, None, 1);
    check(HEVC, None, 1);
    check(AAC, None, 1);
    check(BOTH, None, 2);
    check(AVC, Some(AAC), 2);
}

#[test]
fn a_piece_that_does_not_go_on_says_so_once_a_stream() {
    let mut packets = pieces(BOTH, None).swap_remove(0);
    say_anew(&mut packets);
    let said = packets
        .chunks(PACKET_SIZE)
        .filter(|packet| packet[3] & 0x20 != 0 && packet[4] > 0 && packet[5] & 0x80 != 0);
    assert_eq!(said.count(), 2);
}

proptest::proptest! {
    #[test]
    fn any_segment_is_refused_or_fits(at in 0_usize..4000, byte: u8, cut in 0_usize..100_000) {
        let (header, init, chunks) = parsed(BOTH);
        let muxer = Muxer::versioned(&[Source { id: 0, header, init: &init }], 0).unwrap().unwrap();
        let mut bytes = chunks[0].0.to_vec();
        let end = bytes.len();
        bytes[at % end] = byte;
        bytes.truncate(end.saturating_sub(cut % 64));
        let segment = Segment { source: 0, init: &init, zero_micros: 0, bytes: &bytes };
        let place = Place { number: at, lead: 0, between: (0, i64::MAX), is_anew: true };
        if let Ok((packets, _)) = muxer.piece(&[segment], place, 100 * PACKET_SIZE) {
            assert_eq!(packets.len(), 100 * PACKET_SIZE);
        }
    }
}
