//! Segments that come in another order than they were made in, over several connections.

use super::boxes::{Chunk, MIDNIGHT, Media, chunk, header};
use super::http::Push;
use super::{Station, channel, uris};

/// Seconds of a segment, for which what it follows is waited for: a test has time enough.
const SECONDS: u64 = 30;

/// Where segments are that long, and the first of them begins.
const FIRST: u64 = MIDNIGHT / SECONDS;

/// `news` in such segments.
fn slow() -> Station {
    let station = Station::start(
        "[[channel]]\nid = \"news\"\nsegment = \"30s\"\npart = \"500ms\"\nwindow = \"10min\"\n",
    );
    assert_eq!(station.put("news/v/init.mp4", &header(Media::Picture)).status, 200);
    station
}

/// The chunks of one of them.
fn chunks(number: u64) -> Vec<Vec<u8>> {
    let start = number * SECONDS * 1000;
    let halves = 0..SECONDS * 2;
    halves.map(|at| Chunk { independent: at == 0, ..chunk(start + at * 500) }.bytes()).collect()
}

fn playlist(count: u64) -> String {
    let segments = (FIRST..FIRST + count).map(|number| format!("#EXTINF:30.0,\n{number}.m4s\n"));
    segments.collect()
}

#[test]
fn segments_in_another_order_find_their_places() {
    let station = slow();
    for number in [0, 2, 3, 1, 5, 4] {
        let answer = station.put(&format!("news/v/{number}.m4s"), &chunks(FIRST + number).concat());
        assert_eq!((answer.status, answer.text()), (200, "taken\n"), "{number}");
    }
    let plain = station.until_says("news/v/index.m3u8", &format!("{}.m4s", FIRST + 5));
    assert!(plain.ends_with(&playlist(6)), "{plain}");
    assert!(!plain.contains("#EXT-X-GAP") && !plain.contains("DISCONTINUITY"), "{plain}");
    for number in FIRST..FIRST + 6 {
        let whole = station.get(&format!("news/v/{number}.m4s"));
        assert!(whole.body == chunks(number).concat(), "{number}");
    }
}

#[test]
fn the_next_segment_waits_for_the_rest_of_one_whose_request_is_open() {
    let station = slow();
    let begin = |name: &str| Push::begin(station.server.ingest, &format!("/ingest/news/v/{name}"));
    let (first, second) = (chunks(FIRST), chunks(FIRST + 1));
    let (mut slow, mut fast) = (begin("0.m4s"), begin("1.m4s"));
    first[..20].iter().for_each(|chunk| slow.send(chunk));
    station.until_says("news/v/ll.m3u8", &format!("{FIRST}.19.m4s\""));
    second.iter().for_each(|chunk| fast.send(chunk));
    assert_eq!(fast.end().status, 200);
    station.settle();
    let low = station.get("news/v/ll.m3u8").text().to_owned();
    let part = format!("#EXT-X-PART:DURATION=0.5,URI=\"{}.0.m4s\"", FIRST + 1);
    assert!(!low.contains(&part), "it waits: {low}");
    first[20..].iter().for_each(|chunk| slow.send(chunk));
    assert_eq!(slow.end().status, 200);
    let plain = station.until_says("news/v/index.m3u8", &format!("{}.m4s", FIRST + 1));
    assert!(plain.ends_with(&playlist(2)), "{plain}");
    assert!(station.get(&format!("news/v/{FIRST}.m4s")).body == first.concat());
    assert!(station.get(&format!("news/v/{}.m4s", FIRST + 1)).body == second.concat());
}

#[test]
fn what_waits_comes_again_and_other_bytes_for_it_are_ignored() {
    let station = slow();
    let put = |name: &str, body: &[u8]| {
        let answer = station.put(&format!("news/v/{name}"), body);
        assert_eq!(answer.status, 200);
        answer.text().to_owned()
    };
    put("0.m4s", &chunks(FIRST).concat());
    let ahead = chunks(FIRST + 2).concat();
    assert_eq!(put("2.m4s", &ahead), "taken\n");
    assert_eq!(put("2.m4s", &ahead), "taken\n");
    let start = (FIRST + 2) * SECONDS * 1000;
    let other = Chunk { salt: 1, ..chunk(start) }.bytes();
    assert!(put("2.m4s", &other).starts_with("ignored: other bytes"));
    put("1.m4s", &chunks(FIRST + 1).concat());
    station.until_says("news/v/index.m3u8", &playlist(3));
    assert!(station.get(&format!("news/v/{}.m4s", FIRST + 2)).body == ahead);
}

#[test]
fn where_it_must_be_durable_success_is_said_when_what_waited_is() {
    let required = "archive = \"7d\"\narchive_mode = \"required\"\n";
    let station = Station::start(&format!("{}{required}", channel("news")));
    station.put("news/v/init.mp4", &header(Media::Picture));
    station.push_durable(MIDNIGHT);
    // Nothing comes in between: it is published, and kept, when its time is up.
    station.push_durable(MIDNIGHT + 2);
    let plain = station.get("news/v/index.m3u8").text().to_owned();
    assert_eq!(uris(&plain), [0, 1, 2].map(|at| format!("{}.m4s", MIDNIGHT + at)), "{plain}");
    assert_eq!(plain.matches("#EXT-X-GAP\n").count(), 1, "{plain}");
}
