//! Pushes that break off at every byte: whole chunks are published, and nothing else.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};

use super::boxes::{Chunk, MIDNIGHT, Media, chunk, header};
use super::http::{Answering, Push, connect};
use super::{Station, channel};

/// How a push breaks off.
#[derive(Clone, Copy, Debug)]
enum Tear {
    /// Fewer bytes come than `Content-Length` says.
    Short,
    /// The last chunk of the framing does not come.
    Unended,
    /// The connection is reset.
    Reset,
    /// `Content-Length` says less than comes.
    Cut,
}

const TEARS: [Tear; 4] = [Tear::Short, Tear::Unended, Tear::Reset, Tear::Cut];

/// A chunk as small as can be: two samples of a byte.
fn small(start_ms: u64) -> Vec<u8> {
    Chunk { millis: 40, sample_size: 1, ..chunk(start_ms) }.bytes()
}

/// A segment of two of them, which is shorter than the channel's.
fn segment() -> [Vec<u8>; 2] {
    let second = Chunk { independent: false, ..chunk(MIDNIGHT * 1000 + 40) };
    [small(MIDNIGHT * 1000), Chunk { millis: 40, sample_size: 1, ..second }.bytes()]
}

/// Pushes so many bytes of a segment; the connection is open for the answer, if there can be one.
fn push_torn(
    station: &Station,
    id: &str,
    bytes: &[u8],
    cut: usize,
    tear: Tear,
) -> Option<TcpStream> {
    let path = format!("/ingest/{id}/v/1.m4s");
    if let Tear::Unended = tear {
        let mut push = Push::begin(station.server.ingest, &path);
        if cut > 0 {
            push.send(&bytes[..cut]);
        }
        return Some(push.tear());
    }
    let mut stream = connect(station.server.ingest);
    let (size, sent, more) = match tear {
        Tear::Cut => (cut, bytes.len(), "Connection: close\r\n"),
        Tear::Reset => (bytes.len(), cut, "Expect: 100-continue\r\n"),
        _ => (bytes.len(), cut, ""),
    };
    let head = format!("PUT {path} HTTP/1.1\r\nHost: in\r\nContent-Length: {size}\r\n{more}\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    if let Tear::Reset = tear {
        // Who closes without having read what came resets.
        stream.peek(&mut [0]).unwrap();
        stream.write_all(&bytes[..sent]).unwrap();
        return None;
    }
    stream.write_all(&bytes[..sent]).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    Some(stream)
}

#[test]
fn of_a_push_that_is_torn_at_any_byte_whole_chunks_are_published() {
    let chunks = segment();
    let bytes = chunks.concat();
    let size = chunks[0].len();
    let cuts: Vec<_> = (0..bytes.len())
        .map(|cut| match TEARS[cut % 4] {
            // Between chunks that is no tear.
            Tear::Cut if cut % size == 0 => (cut, Tear::Short),
            tear => (cut, tear),
        })
        .chain([(bytes.len(), Tear::Unended)])
        .collect();
    let channels: String = cuts.iter().map(|(cut, _)| channel(&format!("c{cut}"))).collect();
    let station = Station::start(&channels);
    let mut answers = Vec::new();
    for &(cut, tear) in &cuts {
        let id = format!("c{cut}");
        assert_eq!(station.put(&format!("{id}/v/init.mp4"), &header(Media::Picture)).status, 200);
        answers.push(push_torn(&station, &id, &bytes, cut, tear));
    }
    for (stream, (cut, tear)) in answers.into_iter().zip(&cuts) {
        let Some(mut stream) = stream else { continue };
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        let is_fine = answer.is_empty() || answer.starts_with("HTTP/1.1 400 ");
        assert!(is_fine, "{cut} {tear:?}: {answer}");
    }
    station.settle();
    for &(cut, tear) in &cuts {
        check(&station, cut, tear, &chunks[..cut / size]);
    }
    assert!(station.server.public_get("/healthz").starts_with("HTTP/1.1 200 "));
    // The encoder of one that was torn goes on with its next segment.
    let id = format!("c{size}");
    let next = super::boxes::segment(MIDNIGHT + 1);
    assert_eq!(station.put(&format!("{id}/v/2.m4s"), &next).status, 200);
    let plain = station.until_says(&format!("{id}/v/index.m3u8"), "1795651201.m4s");
    let end = "#EXTINF:0.04,\n1795651200.m4s\n#EXTINF:1.0,\n1795651201.m4s\n";
    assert!(plain.ends_with(end), "{plain}");
}

/// What came of a torn push: these chunks, as a segment that was closed, or nothing.
fn check(station: &Station, cut: usize, tear: Tear, chunks: &[Vec<u8>]) {
    let folder = format!("c{cut}/v");
    let segment = format!("{folder}/{MIDNIGHT}.m4s");
    if chunks.is_empty() {
        for path in [format!("{folder}/index.m3u8"), format!("{folder}/ll.m3u8"), segment] {
            assert_eq!(station.get(&path).status, 404, "{cut} {tear:?}: {path}");
        }
        return;
    }
    let plain = station.until(&format!("{folder}/index.m3u8"), |answer| {
        assert!(matches!(answer.status, 200 | 404), "{cut} {tear:?}: {}", answer.head);
        answer.status == 200
    });
    let end = format!("#EXTINF:0.0{},\n{MIDNIGHT}.m4s\n", 4 * chunks.len());
    assert!(plain.text().ends_with(&end), "{cut} {tear:?}: {}", plain.text());
    let whole = station.get(&segment);
    assert!(whole.status == 200 && whole.body == chunks.concat(), "{cut} {tear:?}");
    let low = station.get(&format!("{folder}/ll.m3u8"));
    let part = station.get(&format!("{folder}/{MIDNIGHT}.0.m4s"));
    assert!(low.text().contains(&format!("URI=\"{MIDNIGHT}.0.m4s\"")), "{}", low.text());
    assert!(part.body == chunks.concat(), "{cut} {tear:?}: shorter than a part, so it is one");
}

#[test]
fn a_torn_segment_that_is_sent_again_in_time_is_completed() {
    // A torn segment is waited for as long as a segment takes.
    let long = "[[channel]]\nid = \"news\"\nsegment = \"30s\"\npart = \"500ms\"\n";
    let station = Station::start(long);
    station.put("news/v/init.mp4", &header(Media::Picture));
    // On the grid of 30 s.
    let start = MIDNIGHT / 30 * 30_000;
    let chunks: Vec<_> = (0..60)
        .map(|at| Chunk { independent: at == 0, ..chunk(start + at * 500) }.bytes())
        .collect();
    let bytes = chunks.concat();
    let number = MIDNIGHT / 30;
    for cut in [bytes.len() / 4, bytes.len() / 2 + 1, bytes.len() - 1] {
        drop(push_torn(&station, "news", &bytes, cut, Tear::Short));
        let parts = cut / chunks[0].len();
        let low = station.until_says("news/v/ll.m3u8", &format!("{number}.{}.m4s", parts - 1));
        assert!(!low.contains("#EXTINF"), "it is not whole: {low}");
    }
    let answer = station.put("news/v/1.m4s", &bytes);
    assert_eq!((answer.status, answer.text()), (200, "taken\n"));
    station.until_says("news/v/index.m3u8", &format!("#EXTINF:30.0,\n{number}.m4s\n"));
    assert!(station.get(&format!("news/v/{number}.m4s")).body == bytes);
}

#[test]
fn a_torn_header_or_request_leaves_nothing() {
    let station = Station::start(&channel("news"));
    let bytes = header(Media::Picture);
    for cut in (0..bytes.len()).step_by(9) {
        let mut stream = connect(station.server.ingest);
        let size = bytes.len();
        write!(
            stream,
            "PUT /ingest/news/v/init.mp4 HTTP/1.1\r\nHost: in\r\nContent-Length: {size}\r\n\r\n"
        )
        .unwrap();
        stream.write_all(&bytes[..cut]).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        if let Ok(answering) = Answering::of(stream) {
            assert_eq!(answering.status, 400, "{cut}");
        }
    }
    let head = "PUT /ingest/news/v/init.mp4 HTTP/1.1\r\nHost: in\r\nContent-Length: 9\r\n\r\n";
    for cut in 0..head.len() {
        let mut stream = connect(station.server.ingest);
        stream.write_all(&head.as_bytes()[..cut]).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{cut}: {answer}");
    }
    let media = super::boxes::segment(MIDNIGHT);
    assert_eq!(station.put("news/v/1.m4s", &media).status, 412, "no header has come");
}
