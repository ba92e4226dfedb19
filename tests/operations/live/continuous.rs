//! A channel as one transport stream without an end: `stream.ts`.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use super::http::{Answering, connect};
use super::transport::{PACKET_SIZE, complaints, counter_gaps, published, push, segments, station};
use super::{Station, uris};

const STREAM: &str = "/tv/news/stream.ts";

/// Chunks of a viewer up to the one with which this segment ends.
fn until_the_end_of(viewer: &mut Answering, segment: &[u8]) -> Vec<Vec<u8>> {
    let mut chunks = Vec::new();
    loop {
        let chunk = viewer.chunk().unwrap().expect("it has no end");
        let is_last = segment.ends_with(&chunk);
        chunks.push(chunk);
        if is_last {
            return chunks;
        }
    }
}

/// What ffmpeg says of a stream; nothing if all is well.
pub fn complaints_of(stream: &[u8]) -> String {
    let file = tempfile::NamedTempFile::with_suffix(".ts").unwrap();
    std::fs::write(file.path(), stream).unwrap();
    complaints(&file.path().display().to_string(), 3600)
}

#[test]
fn a_viewer_begins_at_the_newest_picture_that_needs_no_other_and_gets_all_that_comes() {
    let station = station();
    let pushed = segments(12);
    assert_eq!(station.get("news/stream.ts").status, 404);
    push(&station, &pushed[..4]);
    station.until("news/s/index.m3u8", |index| uris(index.text()).len() == 4);
    let mut viewer = Answering::get(station.server.public, STREAM);
    assert!(viewer.status == 200 && viewer.is_chunked(), "{}", viewer.head);
    assert!(viewer.head.contains("\r\nContent-Type: video/mp2t\r\n"), "{}", viewer.head);
    assert!(viewer.head.contains("\r\nCache-Control: no-store\r\n"), "{}", viewer.head);
    for (at, segment) in (4..).zip(&pushed[4..]) {
        assert_eq!(station.put(&format!("news/s{at}.ts"), segment).status, 200);
    }
    let published = published(&station, "s", 12);
    let got = until_the_end_of(&mut viewer, &published[11]).concat();
    assert!(got == published[3..].concat(), "{} bytes", got.len());
    assert_eq!(counter_gaps(&got), []);
    assert_eq!(complaints_of(&got), "");
}

#[test]
fn without_chunks_the_connection_is_the_body() {
    let station = station();
    let pushed = segments(3);
    push(&station, &pushed);
    let published = published(&station, "s", 3);
    let mut stream = connect(station.server.public);
    write!(stream, "GET {STREAM} HTTP/1.0\r\n\r\n").unwrap();
    let mut viewer = Answering::of(stream).unwrap();
    assert!(!viewer.is_chunked(), "{}", viewer.head);
    assert!(viewer.head.contains("\r\nConnection: close\r\n"), "{}", viewer.head);
    let mut got = vec![0; published[2].len()];
    viewer.stream().read_exact(&mut got).unwrap();
    assert!(got == published[2]);
}

#[test]
fn an_encoder_that_begins_again_does_not_end_it() {
    let station = station();
    let pushed = segments(6);
    push(&station, &pushed[..1]);
    let mut viewer = Answering::get(station.server.public, STREAM);
    push(&station, &pushed);
    push(&station, &pushed);
    let published = published(&station, "s", 12);
    let mut got = until_the_end_of(&mut viewer, &published[5]).concat();
    got.extend(until_the_end_of(&mut viewer, &published[11]).concat());
    assert!(got == published.concat());
    assert_eq!(counter_gaps(&got), []);
}

/// A stream of so many seconds in which nothing can be foreseen: megabytes a second.
fn noise(seconds: u32) -> Vec<u8> {
    let mut ffmpeg = Command::new("ffmpeg");
    let source = "color=gray:size=240x136:rate=25,noise=alls=100:allf=t";
    ffmpeg.args(["-v", "error", "-nostdin", "-f", "lavfi", "-i", source]);
    ffmpeg.args(["-t", &seconds.to_string(), "-c:v", "mpeg2video", "-q:v", "1", "-g", "25"]);
    ffmpeg
        .args(["-sc_threshold", "1000000000", "-bf", "0", "-f", "mpegts", "-"])
        .stdin(Stdio::null());
    let output = ffmpeg.output().expect("ffmpeg is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// A viewer whose kernel keeps little for it.
fn slow_viewer(station: &Station) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(16 * 1024).unwrap();
    socket.connect(&station.server.public.into()).unwrap();
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(crate::running::PATIENCE)).unwrap();
    write!(stream, "GET {STREAM} HTTP/1.1\r\nHost: tv\r\n\r\n").unwrap();
    stream
}

#[test]
fn a_viewer_that_is_too_slow_is_moved_to_the_newest_entry_or_broken_off() {
    let limits = "[limits]\nsend_rate_min = 0\n";
    let channel = super::channel("news");
    let station = Station::start(&format!("{limits}{channel}window = \"180s\"\n"));
    let clip = noise(10);
    let put = || assert_eq!(station.put("news/cam.ts", &clip).status, 200);
    put();
    published(&station, "cam", 10);
    let [slow, stalled] = [slow_viewer(&station), slow_viewer(&station)].map(|stream| {
        let viewer = Answering::of(stream).unwrap();
        assert_eq!(viewer.status, 200);
        viewer
    });
    // Each time a new timeline of ten seconds, in thirty pieces: less than is kept.
    (0..2).for_each(|_| put());
    let segments = published(&station, "cam", 30);
    check_moved(slow, &segments);
    // And now more than that, in the middle of a piece: what would have to be kept is not.
    (0..3).for_each(|_| put());
    published(&station, "cam", 60);
    let mut stalled = stalled;
    while stalled.chunk().is_ok_and(|chunk| chunk.is_some()) {}
    assert!(stalled.chunk().is_err(), "it is broken off, and not ended");
}

/// A viewer gets whole packets of all that was published, in its order; where something is left out
/// it goes on with the tables.
fn check_moved(mut viewer: Answering, segments: &[Vec<u8>]) {
    let all = segments.concat();
    let chunks = until_the_end_of(&mut viewer, segments.last().unwrap());
    let mut at = memchr::memmem::find(&all, &chunks[0]).expect("it was published");
    let mut moved = 0;
    for chunk in &chunks {
        assert_eq!(chunk.len() % PACKET_SIZE, 0);
        if !all[at..].starts_with(chunk) {
            moved += 1;
            assert_eq!(chunk[..3], [0x47, 0x40, 0], "where it goes on are the tables");
            at += memchr::memmem::find(&all[at..], chunk).expect("it was published");
        }
        at += chunk.len();
    }
    assert_eq!(moved, 1, "{} of {} bytes", chunks.concat().len(), all.len());
}

#[test]
fn a_head_is_answered() {
    let station = station();
    push(&station, &segments(2));
    published(&station, "s", 2);
    let mut stream = connect(station.server.public);
    write!(stream, "HEAD {STREAM} HTTP/1.1\r\nHost: tv\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Answering::of(stream).unwrap();
    assert!(answer.status == 200 && answer.is_chunked(), "{}", answer.head);
    let mut body = Vec::new();
    answer.stream().read_to_end(&mut body).unwrap();
    assert_eq!(body, b"");
}
