//! Encoders that push transport streams: segment by segment, as one long request, torn, again.

use std::process::{Command, Stdio};

use super::http::Push;
use super::{Station, channel, uris};

/// Packets of a transport stream have this many bytes.
pub const PACKET_SIZE: usize = 188;

/// ffmpeg, which makes so many seconds of picture and sound; a second can be decoded by itself.
pub fn encoder(seconds: u32) -> Command {
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-nostdin", "-f", "lavfi", "-i", "testsrc=size=64x36:rate=25"]);
    ffmpeg.args(["-f", "lavfi", "-i", "sine=sample_rate=48000", "-t", &seconds.to_string()]);
    ffmpeg.args(["-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "25"]);
    ffmpeg.args(["-sc_threshold", "0", "-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "32k"]);
    ffmpeg.stdin(Stdio::null());
    ffmpeg
}

/// So many segments of a second each, as ffmpeg cuts them.
pub fn segments(count: u32) -> Vec<Vec<u8>> {
    let dir = tempfile::tempdir().unwrap();
    let list = dir.path().join("s.m3u8");
    let mut ffmpeg = encoder(count);
    ffmpeg.args(["-f", "hls", "-hls_time", "1", "-hls_list_size", "0"]).arg(&list);
    assert!(ffmpeg.status().expect("ffmpeg is installed").success());
    let segment = |at| std::fs::read(dir.path().join(format!("s{at}.ts"))).unwrap();
    (0..count).map(segment).collect()
}

/// What ffmpeg says of what it plays from there; nothing if all is well.
pub fn complaints(url: &str, seconds: u32) -> String {
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "warning", "-nostdin", "-i", url, "-t", &seconds.to_string()]);
    let output = ffmpeg.args(["-f", "null", "-"]).output().expect("ffmpeg is installed");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    said
}

/// Steps that are missing in the continuity counters: identifier, before, behind.
pub fn counter_gaps(packets: &[u8]) -> Vec<(u16, u8, u8)> {
    let mut last = std::collections::HashMap::new();
    let mut gaps = Vec::new();
    assert_eq!(packets.len() % PACKET_SIZE, 0, "whole packets");
    for packet in packets.chunks(PACKET_SIZE) {
        assert_eq!(packet[0], 0x47);
        let pid = u16::from_be_bytes([packet[1] & 0x1f, packet[2]]);
        let (has_payload, counter) = (packet[3] & 0x10 != 0, packet[3] & 15);
        let before = last.insert(pid, counter);
        if let Some(before) = before
            && counter != (before + u8::from(has_payload)) & 15
        {
            gaps.push((pid, before, counter));
        }
    }
    gaps
}

/// Pushes segments of `news`.
pub fn push(station: &Station, segments: &[Vec<u8>]) {
    push_as(station, "s", segments);
}

/// Pushes segments of a rendition of `news`.
pub fn push_as(station: &Station, rendition: &str, segments: &[Vec<u8>]) {
    for (at, segment) in segments.iter().enumerate() {
        let answer = station.put(&format!("news/{rendition}{at}.ts"), segment);
        assert_eq!((answer.status, answer.text()), (200, "taken\n"), "{at}");
    }
}

/// A server with a channel, whose lengths are given.
pub fn station() -> Station {
    Station::start(&channel("news"))
}

/// All whole segments of a rendition, in their order.
pub fn published(station: &Station, rendition: &str, count: usize) -> Vec<Vec<u8>> {
    let path = format!("news/{rendition}/index.m3u8");
    let is_whole =
        |answer: &super::Answer| answer.status == 200 && uris(answer.text()).len() >= count;
    let index = station.until(&path, is_whole).text().to_owned();
    let get = |name: &str| {
        let answer = station.get(&format!("news/{rendition}/{name}"));
        assert_eq!((answer.status, answer.header("Content-Type")), (200, Some("video/mp2t")));
        answer.body
    };
    uris(&index).into_iter().map(get).collect()
}

#[test]
fn what_ffmpeg_pushes_as_hls_of_transport_streams_plays_as_hls() {
    let station = station();
    let mut ffmpeg = encoder(6);
    let url = format!("http://{}/ingest/news/s.m3u8", station.server.ingest);
    ffmpeg.args(["-f", "hls", "-hls_time", "1", "-method", "PUT", &url]);
    assert!(ffmpeg.status().expect("ffmpeg is installed").success());
    let segments = published(&station, "s", 6);
    let index = station.get("news/s/index.m3u8");
    assert!(!index.text().contains("#EXT-X-MAP"), "{}", index.text());
    assert!(!index.text().contains("#EXT-X-DISCONTINUITY"), "{}", index.text());
    assert_eq!(index.text().matches("#EXTINF:1.0,").count(), 6, "{}", index.text());
    // Each begins with its tables, and with a picture that needs no other.
    assert!(segments.iter().all(|segment| segment[..3] == [0x47, 0x40, 0]));
    assert_eq!(counter_gaps(&segments.concat()), []);
    let low = station.get("news/s/ll.m3u8").text().to_owned();
    assert!(low.contains("#EXT-X-PART:DURATION=0.48,URI=\""), "{low}");
    let master = station.get("news/master.m3u8").text().to_owned();
    let codecs = "CODECS=\"avc1.4d400a,mp4a.40.2\",RESOLUTION=64x36,FRAME-RATE=25.000\n";
    assert!(master.contains(codecs), "{master}");
    for name in ["manifest.mpd", "ll.mpd"] {
        assert_eq!(station.get(&format!("news/{name}")).status, 404, "{name}");
    }
    let url = format!("http://{}/tv/news/master.m3u8", station.server.public);
    assert_eq!(complaints(&url, 2), "");
}

#[test]
fn one_long_request_is_published_part_by_part() {
    let station = station();
    let stream = segments(4).concat();
    let mut post = Push::begin(station.server.ingest, "/ingest/news/cam.ts");
    let (first, rest) = stream.split_at(stream.len() / 2);
    for piece in first.chunks(1000) {
        post.send(piece);
    }
    // Its end is nowhere in sight.
    let low = station.until_says("news/cam/ll.m3u8", ".0.ts\",INDEPENDENT=YES");
    assert!(low.contains("#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\""), "{low}");
    post.send(rest);
    assert_eq!(post.end().status, 200);
    let published = published(&station, "cam", 4);
    assert_eq!(counter_gaps(&published.concat()), []);
    let low = station.get("news/cam/ll.m3u8").text().to_owned();
    let (number, _) = uris(&low).last().unwrap().split_once('.').unwrap();
    let parts = (0..3).map(|part| station.get(&format!("news/cam/{number}.{part}.ts")));
    let parts: Vec<u8> = parts.flat_map(|answer| answer.body).collect();
    assert!(parts == published[3], "a segment is its parts together");
}

#[test]
fn a_torn_segment_that_comes_again_goes_on_where_it_was_torn() {
    let station = station();
    let segments = segments(4);
    push(&station, &segments[..2]);
    let mut torn = Push::begin(station.server.ingest, "/ingest/news/s2.ts");
    torn.send(&segments[2][..segments[2].len() - PACKET_SIZE * 3 - 100]);
    station.until_says("news/s/ll.m3u8", "EXT-X-PART");
    let _torn = torn.tear();
    push(&station, &segments[2..]);
    let published = published(&station, "s", 4);
    let index = station.get("news/s/index.m3u8").text().to_owned();
    assert!(!index.contains("GAP") && !index.contains("DISCONTINUITY"), "{index}");
    assert_eq!(counter_gaps(&published.concat()), []);
}

#[test]
fn an_encoder_that_begins_again_begins_a_new_timeline() {
    let station = station();
    let segments = segments(6);
    push(&station, &segments);
    // What was sent a moment ago is known.
    push(&station, &segments[4..]);
    let before = published(&station, "s", 6);
    push(&station, &segments);
    let published = published(&station, "s", 12);
    assert!(published[..6] == before);
    let index = station.get("news/s/index.m3u8").text().to_owned();
    assert_eq!(index.matches("#EXT-X-DISCONTINUITY\n").count(), 1, "{index}");
    // Packets are counted on, and the first one with a clock says that it is another.
    assert_eq!(counter_gaps(&published.concat()), []);
    let mut packets = published[6].chunks(PACKET_SIZE);
    let clock = packets.find(|packet| packet[3] & 0x20 != 0 && packet[5] & 0x10 != 0).unwrap();
    assert_eq!(clock[5] & 0x80, 0x80);
}

#[test]
fn what_is_no_transport_stream_is_refused() {
    let station = station();
    let cases: [(&[u8], &str); 3] = [
        (&[0; 100_000], "this is no transport stream: no packets of 188 bytes are found\n"),
        (b"", "no picture or sound is found in it with which decoding can begin\n"),
        (&[0x47; 100], "the body ends in the middle of a packet\n"),
    ];
    for (body, why) in cases {
        let answer = station.put("news/s0.ts", body);
        assert_eq!((answer.status, answer.text()), (400, why));
    }
    assert_eq!(station.get("news/master.m3u8").status, 404);
}
