//! Streams that ffmpeg wrote as boxes, as transport streams that the reader reads again.

use super::*;
use crate::live::boxes::stream;
use crate::live::ts::counters::gaps;
use crate::live::ts::stream::{Event, Known, Reader};

const AVC: &[u8] = include_bytes!("../../../../tests/fuzz/seeds/boxes/avc.mp4");
const AAC: &[u8] = include_bytes!("../../../../tests/fuzz/seeds/boxes/aac.mp4");
const BOTH: &[u8] = include_bytes!("../../../../tests/fuzz/seeds/boxes/both.mp4");
const HEVC: &[u8] = include_bytes!("../../../../tests/fuzz/seeds/boxes/hevc.mp4");

/// A header, what it says, and the chunks behind it.
type Parsed<'b> = (&'b [u8], Init, Vec<&'b [u8]>);

fn parsed(bytes: &[u8]) -> Parsed<'_> {
    let mut events = Vec::new();
    stream::Reader::default().take(bytes, &mut events).unwrap();
    let of = |span: stream::Span| &bytes[span.start as usize..span.end as usize];
    let mut header = None;
    let mut chunks = Vec::new();
    for event in events {
        match event {
            stream::Event::Header(span, init) => header = Some((of(span), init)),
            stream::Event::Chunk(span, _) => chunks.push(of(span)),
        }
    }
    let (header, init) = header.unwrap();
    (header, init, chunks)
}

/// Everything of these, as packets.
fn muxed(inputs: &[&[u8]]) -> Vec<u8> {
    let inputs: Vec<_> = inputs.iter().map(|bytes| parsed(bytes)).collect();
    let sources = inputs.iter().enumerate();
    let sources: Vec<_> =
        sources.map(|(id, (header, init, _))| Source { id, header, init }).collect();
    let mut muxer = Muxer::new(&sources).unwrap().expect("it can be carried");
    let mut packets = Vec::new();
    let most = inputs.iter().map(|(.., chunks)| chunks.len()).max().unwrap();
    for at in 0..most {
        for (id, (_, init, chunks)) in inputs.iter().enumerate() {
            if let Some(chunk) = chunks.get(at) {
                muxer.take(id, init, chunk, &mut packets).unwrap();
            }
        }
    }
    packets
}

fn check(inputs: &[&[u8]], expected: &str) {
    let packets = muxed(inputs);
    assert_eq!(gaps(&packets).iter().filter(|(pid, ..)| *pid >= FIRST && *pid < TABLE).count(), 0);
    let mut reader = Reader::new(Known::at(0), 90_000);
    let mut events = Vec::new();
    reader.take(&packets, &mut events).unwrap();
    reader.end(&mut events);
    let mut text = String::new();
    for event in events {
        match event {
            Event::Header(init) => {
                for track in init.tracks {
                    let language = String::from_utf8_lossy(&track.language).into_owned();
                    text += &format!("{} {language}; ", track.sample.codecs);
                }
            }
            Event::Chunk(chunk, _) => {
                let run = chunk.fragment.runs[0];
                text += &format!("{}+{} ", run.presentation_time, run.duration);
            }
            Event::Break => text += "break ",
        }
    }
    assert_eq!(text, expected);
}

#[test]
fn what_is_put_together_is_read_again() {
    check(&[AVC], "avc1.4d400a und; 0+90000 90000+90000 ");
    check(&[AVC, AAC], "avc1.4d400a und; mp4a.40.2 deu; 0+81000 ");
    check(&[BOTH], "avc1.42c00a und; mp4a.40.2 und; 0+83091 83091+9000 ");
    check(&[HEVC], "hvc1.1.6.L30.90 und; 0+90000 ");
}

#[test]
fn chunks_that_lie_are_refused_or_left_out() {
    let (header, init, chunks) = parsed(BOTH);
    for at in 0..chunks[0].len() {
        for value in [0, 0xff, chunks[0][at] ^ 1] {
            let mut chunk = chunks[0].to_vec();
            chunk[at] = value;
            let source = Source { id: 0, header, init: &init };
            let mut muxer = Muxer::new(&[source]).unwrap().unwrap();
            let mut packets = Vec::new();
            let _ = muxer.take(0, &init, &chunk, &mut packets);
            assert_eq!(packets.len() % PACKET_SIZE, 0);
            let _ = muxer.take(0, &init, &chunk[..at], &mut packets);
        }
    }
    for at in 0..header.len() {
        let mut header = header.to_vec();
        header[at] ^= 0x55;
        let _ = Muxer::new(&[Source { id: 0, header: &header, init: &init }]);
    }
}

#[test]
fn a_sound_that_does_not_say_how_it_is_coded_is_left_out() {
    let mut silent = BOTH.to_vec();
    let at = memchr::memmem::find(&silent, b"esds").unwrap();
    silent[at] = b'x';
    check(&[&silent], "avc1.42c00a und; 0+83091 83091+9000 ");
}

#[test]
fn a_table_that_says_something_else_has_another_version() {
    let (avc, hevc) = (parsed(AVC), parsed(HEVC));
    let source = |(header, init, _): &'_ Parsed<'static>| (*header, init.clone());
    let (avc, hevc) = (source(&avc), source(&hevc));
    let of = |(header, init): &(&'static [u8], Init), muxer: Option<&Muxer>| {
        let sources = [Source { id: 0, header, init }];
        let made = muxer.map_or_else(|| Muxer::new(&sources), |muxer| muxer.renewed(&sources));
        made.unwrap().expect("it can be carried")
    };
    let first = of(&avc, None);
    assert_eq!(of(&avc, Some(&first)).version, 0);
    let second = of(&hevc, Some(&first));
    assert_eq!((second.version, of(&avc, Some(&second)).version), (1, 2));
    // What waited for more is written when nothing more comes.
    let (header, init, chunks) = parsed(BOTH);
    let sources = [Source { id: 0, header, init: &init }];
    let mut muxer = Muxer::new(&sources).unwrap().expect("it can be carried");
    let (mut packets, mut rest) = (Vec::new(), Vec::new());
    muxer.take(0, &init, chunks[0], &mut packets).unwrap();
    muxer.finish(&mut rest);
    assert!(muxer.streams.iter().all(|stream| stream.waits.is_empty()) && muxer.waits_size == 0);
    assert!(rest.len().is_multiple_of(PACKET_SIZE));
}
