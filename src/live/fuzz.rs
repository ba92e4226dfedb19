//! What must hold for any bytes of an encoder. Tests and the fuzz target call these.

use super::boxes::stream::{Event, Reader};
use super::catchup::address::Address;
use super::catchup::dialect::Asked;
use super::playlist::ladder;
use super::{slate, ts};
use crate::units::Class;

/// A stream of boxes: read the same however it is cut, and everything in it lies within it.
///
/// # Panics
///
/// If something does not hold.
pub fn boxes(data: &[u8]) {
    let mut whole = Vec::new();
    let mut reader = Reader::default();
    let result = reader.take(data, &mut whole);
    let mut end = 0;
    for event in &whole {
        let (Event::Header(span, _) | Event::Chunk(span, _)) = event;
        assert!(span.start == end && span.end > end, "they stand one behind the other");
        end = span.end;
        if let Event::Chunk(_, chunk) = event {
            assert!(!chunk.fragment.runs.is_empty());
            // Tracks may share bytes, each by itself may not.
            let most = chunk.fragment.runs.iter().map(|run| run.size).max();
            assert!(most <= Some(span.end - span.start), "{most:?} bytes in {span:?}");
        }
    }
    assert!(reader.whole_until() == end && end <= data.len() as u64);
    let size = 1 + data.len() / 100;
    let (mut cut, mut found) = (Reader::default(), Vec::new());
    let mut cut_result = Ok(());
    for piece in data.chunks(size) {
        cut_result = cut.take(piece, &mut found);
        if cut_result.is_err() {
            break;
        }
    }
    assert_eq!(found, whole, "it depends on where it is cut");
    assert_eq!(cut_result, result, "it depends on where it is cut");
}

/// A transport stream: read the same however it is cut, and every chunk is whole packets of it.
///
/// # Panics
///
/// If something does not hold.
pub fn transport(data: &[u8]) {
    let read = |size: usize| {
        let mut reader = ts::stream::Reader::new(ts::stream::Known::default(), 45_000);
        let mut events = Vec::new();
        let mut result = Ok(());
        for piece in data.chunks(size.max(1)) {
            result = reader.take(piece, &mut events);
            if result.is_err() {
                break;
            }
        }
        if result.is_ok() {
            reader.end(&mut events);
            assert_eq!(reader.kept(), 0, "at its end nothing is kept");
        }
        (events, result)
    };
    if let Ok(made) = slate::passes::repeated(data) {
        let size: u64 = made.segments.iter().map(|segment| segment.size).sum();
        assert_eq!(size, made.bytes.len() as u64, "its segments are all of it");
        assert!(made.ends_ms.is_sorted() && made.ends_ms.len() == made.segments.len());
    }
    let whole = read(data.len());
    let mut has_header = false;
    for event in &whole.0 {
        match event {
            ts::stream::Event::Header(header) => {
                has_header = !header.tracks.is_empty();
            }
            ts::stream::Event::Break => {}
            ts::stream::Event::Chunk(chunk, bytes) => {
                assert!(has_header, "what it is comes first");
                assert_eq!(bytes.len() % ts::PACKET_SIZE, 0);
                let mut packets = bytes.chunks(ts::PACKET_SIZE);
                assert!(packets.all(|packet| packet[0] == ts::SYNC));
                let run = chunk.fragment.runs[0];
                assert!(run.size == bytes.len() as u64 && run.duration > 0 && run.samples > 0);
                let mut numbered = bytes.clone();
                ts::counters::Counters::default().number(&mut numbered, true);
            }
        }
    }
    assert!(read(1 + data.len() / 100) == whole, "it depends on where it is cut");
}

/// A playlist or a manifest of others: what caps leave of it is no longer, each set has less than
/// the one above it, and places lie within the asset.
///
/// # Panics
///
/// If something does not hold.
pub fn ladder(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    for class in [Class::Playlist, Class::Manifest] {
        let found = ladder::narrowed(class, text);
        let caps = found.narrow.iter().map(|narrow| narrow.from_kbps);
        assert!(caps.chain([found.whole_from_kbps]).is_sorted());
        let sizes = found.narrow.iter().map(|narrow| narrow.text.len());
        assert!(sizes.chain([text.len()]).is_sorted(), "more is left of a higher cap");
        let places = ladder::places(class, text, &mut |_| Some(text.to_owned()));
        for (place, _) in places {
            assert!(!place.split('/').any(|element| element == ".."), "{place}");
        }
    }
}

/// A path and its query as an address of others: what it asks for is at an address of ours.
///
/// # Panics
///
/// If something does not hold.
pub fn dialect(data: &[u8]) {
    let Ok(target) = str::from_utf8(data) else { return };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let Some(Ok(asked)) = Asked::read(path, query) else { return };
    let of_ours = asked.path("news", 1_800_000_000);
    // What is older than seconds of eleven digits is refused where it leads.
    let is_long = of_ours.bytes().filter(u8::is_ascii_digit).count() > 16;
    assert!(is_long || Address::read(&of_ours).is_ok(), "{of_ours}");
}
