//! Segments and parts that are longer than playlists promise: those go on under other names, and
//! old names lead there.

use std::thread;

use super::boxes::{Chunk, MIDNIGHT, Media, chunk, header};
use super::http::{Answer, Push, get};
use super::{Station, uris};

/// Chunks of half a second that make one segment of so many seconds.
fn long(media: Media, second: u64, seconds: u64) -> Vec<u8> {
    let of = |half: u64| {
        let start = second * 1000 + half * 500;
        Chunk { media, independent: half == 0 || media == Media::Sound, ..chunk(start) }.bytes()
    };
    (0..2 * seconds).flat_map(of).collect()
}

impl Station {
    #[track_caller]
    fn push_long(&self, name: &str, media: Media, second: u64, seconds: u64) {
        let path = format!("news/{name}/{second}.m4s");
        assert_eq!(self.put(&path, &long(media, second, seconds)).text(), "taken\n");
    }

    /// Where an old name leads.
    #[track_caller]
    fn moved(&self, path: &str) -> String {
        let answer = self.until(&format!("news/{path}"), |answer| answer.status != 200);
        location(&answer).to_owned()
    }
}

#[track_caller]
fn location(answer: &Answer) -> &str {
    assert_eq!((answer.status, answer.header("Cache-Control")), (302, Some("no-store")));
    answer.header("Location").expect("it leads somewhere")
}

#[test]
fn playlists_go_on_under_names_that_promise_what_came() {
    let station = Station::news();
    assert_eq!(station.put("news/a/init.mp4", &header(Media::Sound)).status, 200);
    for at in MIDNIGHT..MIDNIGHT + 3 {
        station.push_long("v", Media::Picture, at, 1);
        station.push_long("a", Media::Sound, at, 1);
    }
    let mut push = Push::begin(station.server.ingest, "/ingest/news/v/3.m4s");
    push.send(&long(Media::Picture, MIDNIGHT + 3, 2));
    let before = station.until_says("news/v/ll.m3u8", &format!("\"{}.3.m4s\"", MIDNIGHT + 3));
    assert!(before.contains("#EXT-X-TARGETDURATION:1\n"), "{before}");
    assert!(!before.contains("#EXTINF:2.0"), "it is not whole: {before}");
    // A player that waits for the segment when it grows is told where it is.
    let (address, path) = (station.server.public, format!("_HLS_msn={}", MIDNIGHT + 3));
    let waiting = thread::spawn(move || get(address, &format!("/tv/news/v/ll.m3u8?{path}")));
    station.until_held(1);
    push.send(&long(Media::Picture, MIDNIGHT + 5, 1));
    assert_eq!(push.end().status, 200);
    assert_eq!(location(&waiting.join().unwrap()), "ll-2-500.m3u8");
    for (old, new) in [
        ("v/index.m3u8", "index-2-500.m3u8"),
        ("v/ll.m3u8", "ll-2-500.m3u8"),
        ("v/iframes.m3u8", "iframes-2-500.m3u8"),
        ("a/index.m3u8", "index-2-500.m3u8"),
        ("a/ll.m3u8?_HLS_skip=YES", "ll-2-500.m3u8"),
        ("v/index-7-9.m3u8", "index-2-500.m3u8"),
    ] {
        assert_eq!(station.moved(old), new, "{old}");
    }
    assert_eq!(station.get("news/v/ll.m3u8?_HLS_msn=99999999999").status, 400);
    let master = station.get("news/master.m3u8").text().to_owned();
    assert_eq!(uris(&master), ["v/index-2-500.m3u8"]);
    assert!(master.contains("URI=\"a/index-2-500.m3u8\""), "{master}");
    assert!(master.contains("URI=\"v/iframes-2-500.m3u8\""), "{master}");
    let low = station.get("news/ll.m3u8").text().to_owned();
    assert_eq!(uris(&low), ["v/ll-2-500.m3u8"]);
    // Numbers, names and headers are the same, and follow each other.
    let plain = station.until_says("news/v/index-2-500.m3u8", &format!("{}.m4s", MIDNIGHT + 4));
    assert!(plain.contains("#EXT-X-TARGETDURATION:2\n"), "{plain}");
    assert!(plain.contains(&format!("#EXTINF:2.0,\n{}.m4s\n", MIDNIGHT + 3)), "{plain}");
    let names: Vec<_> = (0..5).map(|at| format!("{}.m4s", MIDNIGHT + at)).collect();
    assert_eq!(uris(&plain), names);
    assert!(!plain.contains("GAP") && !plain.contains("DISCONTINUITY"), "{plain}");
    let low = station.get("news/a/ll-2-500.m3u8").text().to_owned();
    assert!(low.contains("#EXT-X-TARGETDURATION:2\n"), "{low}");
    assert!(low.contains("URI=\"../v/ll-2-500.m3u8\",LAST-MSN="), "{low}");
    let manifest = station.get("news/manifest.mpd").text().to_owned();
    assert_eq!(manifest.matches("<Period ").count(), 1, "{manifest}");
    assert!(manifest.contains("maxSegmentDuration=\"PT2.0S\""), "{manifest}");
}

#[test]
fn a_restart_goes_on_with_the_new_names() {
    let station = Station::news();
    station.push(MIDNIGHT);
    station.push_long("v", Media::Picture, MIDNIGHT + 1, 3);
    station.push(MIDNIGHT + 4);
    assert_eq!(station.moved("v/index.m3u8"), "index-3-500.m3u8");
    station.until_remembered("longer 270000/90000 500/1000");
    let station = station.killed();
    assert_eq!(station.put("news/v/init.mp4", &header(Media::Picture)).status, 200);
    station.push(MIDNIGHT + 5);
    let plain = station.until_says("news/v/index-3-500.m3u8", ".m4s\n");
    assert!(plain.contains("#EXT-X-TARGETDURATION:3\n"), "{plain}");
    assert_eq!(station.moved("v/index.m3u8"), "index-3-500.m3u8");
}

#[test]
fn a_part_that_is_longer_is_promised_before_it_is_listed() {
    let station = Station::news();
    station.push(MIDNIGHT);
    let half = Chunk { millis: 400, ..chunk((MIDNIGHT + 1) * 1000) };
    let other = Chunk { millis: 600, independent: false, ..chunk((MIDNIGHT + 1) * 1000 + 400) };
    let both = [half.bytes(), other.bytes()].concat();
    assert_eq!(station.put("news/v/1.m4s", &both).text(), "taken\n");
    assert_eq!(station.moved("v/ll.m3u8"), "ll-1-600.m3u8");
    let low = station.until_says("news/v/ll-1-600.m3u8", "DURATION=0.6");
    assert!(low.contains("PART-TARGET=0.6\n") && low.contains("PART-HOLD-BACK=2.1\n"), "{low}");
}

#[test]
fn parts_of_a_set_length_are_made_to_fit_chunks_also_after_a_restart() {
    let settings =
        "[[channel]]\nid = \"news\"\nsegment = \"1s\"\npart = \"500ms\"\npatience = \"60s\"\n";
    let station = Station::start(settings);
    assert_eq!(station.put("news/v/init.mp4", &header(Media::Picture)).status, 200);
    let push = |station: &Station, second: u64| {
        let of = |at: u64| {
            let start = second * 1000 + at * 200;
            Chunk { millis: 200, independent: at == 0, ..chunk(start) }.bytes()
        };
        let bytes: Vec<_> = (0..5).flat_map(of).collect();
        assert_eq!(station.put(&format!("news/v/{second}.m4s"), &bytes).status, 200);
        station.until_says("news/v/ll.m3u8", &format!("\n{second}.m4s\n"))
    };
    let low = push(&station, MIDNIGHT);
    assert!(low.contains("PART-TARGET=0.4\n"), "{low}");
    let parts = low.lines().filter_map(|line| line.strip_prefix("#EXT-X-PART:DURATION="));
    let parts: Vec<_> = parts.filter_map(|part| part.split(',').next()).collect();
    assert_eq!(parts, ["0.4", "0.4", "0.2"]);
    let news = station.place.socket_get("/api/v1/channels/news");
    assert!(news.contains("chunks of 200 ms do not fill parts of 500 ms: 400 ms"), "{news}");
    station.until_remembered("given ");
    let station = station.killed();
    assert_eq!(station.put("news/v/init.mp4", &header(Media::Picture)).status, 200);
    assert!(push(&station, MIDNIGHT + 1).contains("PART-TARGET=0.4\n"));
}
