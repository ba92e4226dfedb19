//! Encoders that fall silent, send more than is taken, or what is nothing an encoder sends: each
//! hears what is wrong, nothing wrong is visible, and memory is bounded.

use std::io::Write as _;
use std::net::TcpStream;

use super::boxes::{Chunk, MIDNIGHT, Media, chunk, full_bytes, halves, header, segment};
use super::http::{Answering, Push, connect};
use super::{Station, channel};

const MIB: usize = 1 << 20;

/// The largest chunk and segment that is taken, in bytes.
const SEGMENT_SIZE_MAX: usize = 64 * MIB;

/// What waits in the sockets and buffers between an encoder and the server, at most.
const ON_THE_WAY_MAX: usize = 24 * MIB;

/// A chunk whose media data has so many bytes, most of which belong to no sample.
fn padded(chunk: Chunk, size: usize) -> Vec<u8> {
    let mut bytes = chunk.bytes();
    let mdat = bytes.windows(4).rposition(|kind| kind == b"mdat").unwrap() - 4;
    let declared = u32::try_from(size).unwrap();
    bytes[mdat..mdat + 4].copy_from_slice(&declared.to_be_bytes());
    bytes.resize(mdat + size, 0);
    bytes
}

/// Kibibytes that the server has or had in memory: `VmRSS` or `VmHWM`.
fn memory(station: &Station, what: &str) -> usize {
    let path = format!("/proc/{}/status", station.server.id());
    let status = std::fs::read_to_string(path).expect("the server runs");
    let line = status.lines().find_map(|line| line.strip_prefix(what)).expect("it is told");
    line.trim_matches(|letter: char| !letter.is_ascii_digit()).parse().expect("a number")
}

#[test]
fn who_falls_silent_hears_408_and_what_was_whole_stays() {
    let station =
        Station::start(&format!("{}[limits]\ningest_idle = \"500ms\"\n", channel("news")));
    assert_eq!(station.put("news/v/init.mp4", &header(Media::Picture)).status, 200);
    let begin = |path: &str| Push::begin(station.server.ingest, &format!("/ingest/news/{path}"));
    let chunks = halves(MIDNIGHT);
    // In the middle of a chunk, between two, before the first byte, of a text, and of a stream.
    let mut torn = begin("v/1.m4s");
    torn.send(&chunks[0]);
    torn.send(&chunks[1][..chunks[1].len() / 2]);
    assert_eq!(torn.fall_silent().status, 408);
    let mut between = begin("v/1.m4s");
    between.send(&chunks[0]);
    assert_eq!(between.fall_silent().status, 408);
    assert_eq!(begin("v/1.m4s").fall_silent().status, 408);
    let mut text = begin("v/index.m3u8");
    text.send(b"#EXTM3U\n");
    assert_eq!(text.fall_silent().status, 408);
    let mut stream = begin("w/1.ts");
    stream.send(&[0x47; 100]);
    assert_eq!(stream.fall_silent().status, 408);
    // What was whole is a part, and a segment when its time is up.
    station.until_says("news/v/index.m3u8", &format!("#EXTINF:0.5,\n{MIDNIGHT}.m4s\n"));
    assert!(station.get(&format!("news/v/{MIDNIGHT}.m4s")).body == chunks[0]);
    assert!(station.get(&format!("news/v/{MIDNIGHT}.0.m4s")).body == chunks[0]);
    assert_eq!(station.get(&format!("news/v/{MIDNIGHT}.1.m4s")).status, 404);
    assert_eq!(station.get("news/w/index.m3u8").status, 404);
    // And another one goes on.
    station.push(MIDNIGHT + 1);
    let plain = station.until_says("news/v/index.m3u8", &format!("{}.m4s", MIDNIGHT + 1));
    assert!(!plain.contains("DISCONTINUITY") && !plain.contains("#EXT-X-GAP"), "{plain}");
}

#[test]
fn a_header_that_is_too_long_is_413() {
    let station = Station::start(&channel("news"));
    let whole = header(Media::Picture);
    // A box that nobody reads stands in front.
    let long = [&full_bytes(b"free", 0, &[0; 300 << 10])[..], &whole].concat();
    let answer = station.put("news/v/init.mp4", &long);
    assert_eq!(answer.status, 413, "{}", answer.text());
    let mut endless = full_bytes(b"moov", 0, &[0; 64]);
    endless[..4].copy_from_slice(&(2_u32 << 20).to_be_bytes());
    let answer = station.put("news/v/init.mp4", &endless);
    assert_eq!(answer.status, 413, "{}", answer.text());
    assert_eq!(station.put("news/v/1.m4s", &segment(MIDNIGHT)).status, 412, "nothing was taken");
    assert_eq!(station.put("news/v/init.mp4", &whole).status, 200);
    assert_eq!(station.put("news/v/1.m4s", &segment(MIDNIGHT)).status, 200);
}

#[test]
fn a_chunk_without_end_is_413_and_takes_no_more_memory_than_one_may() {
    let station = Station::news();
    station.push(MIDNIGHT);
    let before = memory(&station, "VmRSS");
    let mut first = padded(chunk((MIDNIGHT + 1) * 1000), MIB);
    let mdat = first.windows(4).rposition(|kind| kind == b"mdat").unwrap() - 4;
    first[mdat..mdat + 4].copy_from_slice(&(1_u32 << 30).to_be_bytes());
    let mut stream = connect(station.server.ingest);
    let head =
        "PUT /ingest/news/v/2.m4s HTTP/1.1\r\nHost: in\r\nContent-Length: 2000000000\r\n\r\n";
    let mut sent = 0;
    let mut send = |bytes: &[u8]| -> bool {
        sent += bytes.len();
        !has_answered(&stream) && (&stream).write_all(bytes).is_ok()
    };
    let _ = send(head.as_bytes()) && send(&first) && while_it_takes(&mut send);
    assert!(sent > SEGMENT_SIZE_MAX && sent < SEGMENT_SIZE_MAX + ON_THE_WAY_MAX, "{sent}");
    station.server.says("a chunk is longer than is taken");
    let _ = stream.flush();
    if let Ok(answering) = Answering::of(stream) {
        assert_eq!(answering.status, 413, "{}", answering.head);
    }
    // A buffer that is made twice as large lies beside the old one for a moment.
    let most = before + 3 * SEGMENT_SIZE_MAX / 1024 + 2 * ON_THE_WAY_MAX / 1024;
    let had = memory(&station, "VmHWM");
    assert!(had < most, "{had} of {most} KiB");
    let has = memory(&station, "VmRSS");
    assert!(has < before + ON_THE_WAY_MAX / 1024, "{has} KiB, {before} before");
    station.settle();
    let low = station.get("news/v/ll.m3u8").text().to_owned();
    let part = format!("#EXT-X-PART:DURATION=0.5,URI=\"{}.0.m4s\"", MIDNIGHT + 1);
    assert!(!low.contains(&part), "{low}");
    station.push(MIDNIGHT + 1);
}

/// Sends zeros until nobody takes them any more.
fn while_it_takes(send: &mut impl FnMut(&[u8]) -> bool) -> bool {
    let zeros = vec![0; MIB];
    (0..1024).take_while(|_| send(&zeros)).count() < 1024
}

/// Whether the server has said something, or has gone.
fn has_answered(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let peeked = stream.peek(&mut [0]);
    stream.set_nonblocking(false).unwrap();
    !matches!(peeked, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
}

#[test]
fn a_segment_that_is_too_long_is_413_and_what_is_published_of_it_stays() {
    const SIZE: usize = 8 * MIB;
    let station =
        Station::start("[[channel]]\nid = \"news\"\nsegment = \"30s\"\npart = \"500ms\"\n");
    assert_eq!(station.put("news/v/init.mp4", &header(Media::Picture)).status, 200);
    let start = MIDNIGHT / 30 * 30_000;
    let number = MIDNIGHT / 30;
    let large = |at: u64| {
        let chunk = Chunk { independent: at == 0, ..chunk(start + at * 500) };
        padded(chunk, SIZE)
    };
    let mut published = 0;
    let refused = loop {
        let answer = station.put("news/v/1.m4s", &large(published));
        if answer.status != 200 {
            break answer;
        }
        published += 1;
        assert!(published < 9, "64 MiB are enough");
    };
    assert_eq!((refused.status, published), (413, 7), "{}", refused.text());
    let plain = station.until_says("news/v/index.m3u8", &format!("#EXTINF:3.5,\n{number}.m4s\n"));
    assert!(!plain.contains("#EXT-X-GAP"), "{plain}");
    let low = station.get("news/v/ll.m3u8").text().to_owned();
    assert!(!low.contains(&format!("#EXT-X-PART:DURATION=0.5,URI=\"{number}.7.m4s\"")), "{low}");
    let whole = station.get(&format!("news/v/{number}.m4s"));
    assert!(whole.body == (0..published).flat_map(large).collect::<Vec<_>>());
    let next = Chunk { independent: true, ..chunk(start + 30_000) };
    assert_eq!(station.put("news/v/2.m4s", &next.bytes()).status, 200);
    station.until_says("news/v/ll.m3u8", &format!("{}.0.m4s", number + 1));
}

#[test]
fn what_is_nothing_that_an_encoder_sends_is_415() {
    let station = Station::news();
    let say = |path: &str, media_type: &str, body: &[u8]| {
        let (size, to) = (body.len(), station.server.ingest);
        let head = format!(
            "PUT /ingest/news/{path} HTTP/1.1\r\nHost: in\r\nContent-Type: {media_type}\r\n\
             Content-Length: {size}\r\n"
        );
        super::http::ask(to, &head, body).expect("a whole answer").status
    };
    for media_type in ["text/html", "image/png", "application/json; charset=utf-8"] {
        assert_eq!(say("v/page.html", media_type, b"<html>"), 415, "{media_type}");
        assert_eq!(say("w/page.html", media_type, &header(Media::Picture)), 415, "{media_type}");
    }
    // A name that says what it is counts for more than a type, of which senders take no care.
    assert_eq!(say("v/1.m4s", "text/plain", &segment(MIDNIGHT)), 200);
    assert_eq!(say("v/2.m4s", "video/mp2t", &segment(MIDNIGHT + 1)), 200);
    // And where neither is known what came is looked at.
    assert_eq!(say("v/3.raw", "application/octet-stream", b"no box at all"), 400);
    station.settle();
    let plain = station.get("news/v/index.m3u8").text().to_owned();
    assert_eq!(super::uris(&plain).len(), 2, "{plain}");
    assert_eq!(station.get("news/w/index.m3u8").status, 404);
}
