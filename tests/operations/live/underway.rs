//! Where success must mean that media is durable, what is under way outlasts `kill -9` as well: a
//! long request loses what came in the last moment, and not the segment that it was at.

use super::boxes::{Chunk, Media, chunk, halves, header, segment};
use super::http::Push;
use super::transport::{PACKET_SIZE, counter_gaps, push_as, segments};
use super::{Station, kept, past, uris};
use crate::running::{PATIENCE, until};

impl Station {
    /// Waits until this chunk of `news` is put down.
    pub fn until_put_down(&self, chunk: &[u8]) {
        let folder = self.place.path("state/growing/news");
        let has_it = |entry: std::io::Result<std::fs::DirEntry>| {
            let bytes = entry.and_then(|entry| std::fs::read(entry.path())).unwrap_or_default();
            bytes.windows(chunk.len()).any(|found| found == chunk)
        };
        let is_there = || std::fs::read_dir(&folder).is_ok_and(|mut entries| entries.any(has_it));
        until("it is put down", is_there);
    }

    /// A channel whose encoder has sent one second and a half in one request, when the server was
    /// ended as nobody should.
    fn broken_off(channel: &str, from: u64) -> Self {
        let station = Self::start(channel);
        let mut push = Push::begin(station.server.ingest, "/ingest/news/Streams(v.cmfv)");
        push.send(&header(Media::Picture));
        push.send(&segment(from));
        push.send(&halves(from + 1)[0]);
        station.until_put_down(&halves(from + 1)[0]);
        station.killed()
    }

    /// What came of the segment under way is there as it was, before any encoder is back.
    fn has_first_half(&self, second: u64) {
        self.until_says("news/v/ll.m3u8", &format!("URI=\"{second}.0.m4s\""));
        let part = self.get(&format!("news/v/{second}.0.m4s"));
        assert!(part.status == 200 && part.body == halves(second)[0]);
    }

    fn stream(&self, media: &[&[u8]]) {
        let mut push = Push::begin(self.server.ingest, "/ingest/news/Streams(v.cmfv)");
        push.send(&header(Media::Picture));
        media.iter().for_each(|media| push.send(media));
        let answer = push.end();
        assert_eq!((answer.status, answer.header("Shardcast-Durable")), (200, Some("yes")));
    }

    fn has_whole(&self, seconds: std::ops::Range<u64>) {
        for second in seconds {
            let whole = self.get(&format!("news/v/{second}.m4s"));
            assert!(whole.status == 200 && whole.body == segment(second), "{second}");
        }
    }
}

#[test]
fn an_encoder_that_goes_on_after_kill_9_goes_on_with_the_segment_that_was_under_way() {
    let from = past();
    let station = Station::broken_off(&kept("news", "required"), from);
    station.has_first_half(from + 1);
    // Once more, before anybody has come back.
    let station = station.killed();
    station.has_first_half(from + 1);
    let [_, rest] = halves(from + 1);
    station.stream(&[&rest, &segment(from + 2)]);
    station.has_whole(from..from + 3);
    station.killed().has_whole(from..from + 3);
}

#[test]
fn an_encoder_that_sends_the_segment_again_repeats_what_is_there() {
    let from = past();
    let station = Station::broken_off(&kept("news", "required"), from);
    station.stream(&[&segment(from), &segment(from + 1), &segment(from + 2)]);
    station.has_whole(from..from + 3);
    // Other bytes of what was put down change nothing.
    let salted = Chunk { salt: 1, ..chunk((from + 1) * 1000) }.bytes();
    station.put("news/v/1.m4s", &salted);
    station.has_whole(from..from + 3);
}

#[test]
fn what_no_encoder_goes_on_with_is_kept_as_a_short_segment() {
    let from = past();
    let patience = format!("patience = \"{}s\"", PATIENCE.as_secs());
    let channel = kept("news", "required").replace(&patience, "patience = \"1s\"");
    let station = Station::broken_off(&channel, from);
    let listed = format!("#EXTINF:0.5,\n../../../v/{}.m4s\n", from + 1);
    let playlist = format!("news/archive/{from}-10/v/media.m3u8");
    station.until_says(&playlist, &listed);
    let station = station.killed();
    station.until_says(&playlist, &listed);
    let short = station.get(&format!("news/v/{}.m4s", from + 1));
    assert!(short.status == 200 && short.body == halves(from + 1)[0]);
    station.has_whole(from..from + 1);
}

/// What packets carry, without their continuity counters, which are each publication's own.
fn carried(packets: &[u8]) -> Vec<u8> {
    let mut packets = packets.to_vec();
    packets.chunks_mut(PACKET_SIZE).for_each(|packet| packet[3] &= 0xf0);
    packets
}

/// The number of the newest segment of `news/cam`, and those of its parts that are whole.
fn newest(station: &Station) -> (i64, Vec<u8>) {
    let low = station.until_says("news/cam/ll.m3u8", "#EXT-X-PART:");
    let is_part = |line: &&str| line.starts_with("#EXT-X-PART:");
    let parts = low.lines().filter(is_part).filter_map(|line| line.split('"').nth(1));
    let number = |name: &str| name.split('.').next().unwrap().parse::<i64>().unwrap();
    let newest = parts.clone().map(number).max().unwrap();
    let parts = parts.filter(|name| number(name) == newest);
    let bytes = parts.flat_map(|name| station.get(&format!("news/cam/{name}")).body);
    (newest, bytes.collect())
}

#[test]
fn of_a_long_transport_stream_the_segment_under_way_outlasts_kill_9() {
    let station = Station::start(&kept("news", "required"));
    let segments = segments(4);
    let mut post = Push::begin(station.server.ingest, "/ingest/news/cam.ts");
    let begun = &segments[2][..segments[2].len() / PACKET_SIZE * 3 / 4 * PACKET_SIZE];
    for bytes in [&segments[0], &segments[1], begun] {
        post.send(bytes);
    }
    station.until("news/cam/index.m3u8", |answer| uris(answer.text()).len() == 2);
    let (first, _) = newest(&station);
    station.until_says("news/cam/ll.m3u8", &format!("{first}.1.ts"));
    let (_, before) = newest(&station);
    // The end of its last packet, which has no counter.
    station.until_put_down(&before[before.len() - 150..]);
    let station = station.killed();
    let (number, after) = newest(&station);
    assert!(carried(&after) == carried(&before), "it is there again");
    // Its encoder sends the segment again, and goes on.
    push_as(&station, "cam", &segments[2..]);
    let last = format!("{}.ts", number + 1);
    let index = station.until_says("news/cam/index.m3u8", &last);
    assert!(!index.contains("GAP") && !index.contains("DISCONTINUITY"), "{index}");
    let both = [number, number + 1].map(|at| station.get(&format!("news/cam/{at}.ts")).body);
    assert!(carried(&both[0]).starts_with(&carried(&before)));
    assert_eq!(counter_gaps(&both.concat()), []);
}
