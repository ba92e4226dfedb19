//! What must hold for any bytes of an encoder. Tests and the fuzz target call these.

use super::boxes::stream::{Event, Reader};

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
