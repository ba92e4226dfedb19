//! Channels of CMAF as transport streams, made when somebody asks for them: `stream.ts`, `ts.m3u8`.

use super::continuous::complaints_of;
use super::http::{self, Answering};
use super::transport::{PACKET_SIZE, complaints, counter_gaps, encoder, published};
use super::{Answer, Station, channel, uris};

/// Picture and sound as ffmpeg writes them for DASH: headers, and so many segments of a second.
pub struct Media {
    pub headers: [Vec<u8>; 2],
    segments: Vec<[Vec<u8>; 2]>,
}

pub fn media(seconds: u32) -> Media {
    media_of(seconds, &[])
}

/// The same of an encoder that was told something else, too.
fn media_of(seconds: u32, more: &[&str]) -> Media {
    let dir = tempfile::tempdir().unwrap();
    let mut ffmpeg = encoder(seconds);
    ffmpeg.args(more);
    ffmpeg.args(["-map", "0", "-map", "1", "-f", "dash", "-seg_duration", "1"]);
    assert!(ffmpeg.arg(dir.path().join("m.mpd")).status().unwrap().success());
    let read = |name: String| std::fs::read(dir.path().join(name)).unwrap();
    let headers = [0, 1].map(|stream| read(format!("init-stream{stream}.m4s")));
    let of = |at| [0, 1].map(|stream| read(format!("chunk-stream{stream}-{at:05}.m4s")));
    Media { headers, segments: (1..=seconds).map(of).collect() }
}

impl Media {
    fn begin(&self) -> Station {
        let station = Station::start(&channel("news"));
        self.push_headers(&station);
        station
    }

    pub fn push_headers(&self, station: &Station) {
        for (name, header) in ["v", "a"].iter().zip(&self.headers) {
            assert_eq!(station.put(&format!("news/{name}/init.mp4"), header).status, 200);
        }
    }

    /// The picture's segment of a second, behind its header.
    pub fn of(&self, second: usize) -> Vec<u8> {
        [&self.headers[0][..], &self.segments[second][0]].concat()
    }

    /// Pushes these segments.
    pub fn push(&self, station: &Station, seconds: std::ops::Range<usize>) {
        for second in seconds {
            for (name, segment) in ["v", "a"].iter().zip(&self.segments[second]) {
                let answer = station.put(&format!("news/{name}/{second}.m4s"), segment);
                assert_eq!((answer.status, answer.text()), (200, "taken\n"), "{second}");
            }
        }
    }
}

fn whole(count: usize) -> impl Fn(&Answer) -> bool {
    move |index| index.status == 200 && uris(index.text()).len() >= count
}

#[test]
fn fifty_viewers_share_one_stream_that_is_made_for_the_first_of_them() {
    let media = media(12);
    let station = media.begin();
    assert_eq!(station.get("news/stream.ts").status, 404, "nothing could be made yet");
    media.push(&station, 0..3);
    station.until("news/v/index.m3u8", whole(3));
    let address = station.server.public;
    let waiting = (0..50).map(|_| {
        std::thread::spawn(move || {
            let mut viewer = Answering::get(address, "/tv/news/stream.ts");
            assert_eq!(viewer.status, 200);
            let mut got = Vec::new();
            while got.len() < 50 * PACKET_SIZE {
                got.extend(viewer.chunk().unwrap().expect("it has no end"));
            }
            got
        })
    });
    let waiting: Vec<_> = waiting.collect();
    station.until_held(50);
    media.push(&station, 3..12);
    let got: Vec<_> = waiting.into_iter().map(|viewer| viewer.join().unwrap()).collect();
    let segments = published(&station, "ts", 7);
    let all = segments.concat();
    for one in &got {
        // All begin somewhere with tables, in the same bytes.
        assert_eq!(one[..3], [0x47, 0x40, 0]);
        assert!(memchr::memmem::find(&all, one).is_some(), "other bytes");
    }
    assert_eq!(counter_gaps(&all), []);
    assert_eq!(complaints_of(&all), "");
    // Whoever asks gets the one that is made.
    let metrics = http::get(station.server.admin, "/metrics");
    assert!(metrics.text().contains("\nshardcast_remuxes_total{channel=\"news\"} 1\n"));
    // It is neither in the playlists nor in the manifests of the channel that it is made of.
    for name in ["master.m3u8", "ll.m3u8", "manifest.mpd", "ll.mpd"] {
        assert!(!station.get(&format!("news/{name}")).text().contains("ts/"), "{name}");
    }
}

#[test]
fn old_players_get_a_playlist_of_transport_streams_with_the_numbers_of_the_others() {
    let media = media(8);
    let station = media.begin();
    media.push(&station, 0..3);
    station.until("news/v/index.m3u8", whole(3));
    let address = station.server.public;
    let waiting = std::thread::spawn(move || http::get(address, "/tv/news/ts.m3u8"));
    station.until_held(1);
    media.push(&station, 3..8);
    let playlist = waiting.join().unwrap();
    assert_eq!(playlist.status, 200);
    assert!(playlist.text().starts_with("#EXTM3U\n#EXT-X-VERSION:3\n"), "{}", playlist.text());
    assert_eq!(uris(playlist.text()), ["ts/index.m3u8"]);
    published(&station, "ts", 4);
    let index = station.get("news/ts/index.m3u8").text().to_owned();
    assert!(index.starts_with("#EXTM3U\n#EXT-X-VERSION:3\n"), "{index}");
    assert!(!index.contains("DISCONTINUITY") && !index.contains("GAP"), "{index}");
    let boxes = station.get("news/v/index.m3u8").text().to_owned();
    let of = |index: &str, extension| {
        let names = uris(index).into_iter().map(|name| name.strip_suffix(extension).unwrap());
        names.map(str::to_owned).collect::<Vec<_>>()
    };
    let (made, given) = (of(&index, ".ts"), of(&boxes, ".m4s"));
    assert!(made.iter().all(|number| given.contains(number)), "{made:?} and {given:?}");
    let url = format!("http://{address}/tv/news/ts.m3u8");
    assert_eq!(complaints(&url, 2), "");
}

#[test]
fn viewers_stay_when_the_encoder_sends_other_headers() {
    let (one, other) = (media(6), media_of(5, &["-s", "96x54"]));
    let station = one.begin();
    one.push(&station, 0..2);
    station.until("news/v/index.m3u8", whole(2));
    let address = station.server.public;
    let (chunks, got) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut viewer = Answering::get(address, "/tv/news/stream.ts");
        while let Ok(Some(chunk)) = viewer.chunk() {
            if chunks.send(chunk).is_err() {
                return;
            }
        }
    });
    station.until_held(1);
    one.push(&station, 2..6);
    other.push_headers(&station);
    other.push(&station, 0..5);
    let index = station.until_says("news/ts/index.m3u8", "#EXT-X-DISCONTINUITY\n");
    let all = published(&station, "ts", uris(&index).len());
    let last = &all.last().unwrap()[..20 * PACKET_SIZE];
    let mut stream = Vec::new();
    while memchr::memmem::find(&stream, last).is_none() {
        stream.extend(got.recv_timeout(crate::running::PATIENCE).expect("the stream goes on"));
    }
    assert_eq!(counter_gaps(&stream), []);
    // Pictures of the second size are told of where they begin, and with a break in the clock.
    let is_break = |packet: &[u8]| packet[3] & 0x20 != 0 && packet[4] > 0 && packet[5] & 0x80 != 0;
    assert!(stream.chunks(PACKET_SIZE).any(is_break), "no discontinuity is said");
}
