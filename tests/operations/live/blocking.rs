//! Playlists and parts that are waited for (RFC 8216bis, 6.2.5.2), by several players at once.

use std::thread;

use super::boxes::{MIDNIGHT, Media, chunk, header, segment};
use super::http::{Answer, Push, get};
use super::{Station, quoted};

/// What a player gets from `news` in the end.
type Waiting = thread::JoinHandle<Answer>;

impl Station {
    /// `news`, with an encoder that has pushed a segment and the first part of the next one.
    fn under_way() -> (Self, Push) {
        let station = Self::news();
        station.push(MIDNIGHT);
        let mut push = Push::begin(station.server.ingest, "/ingest/news/v/2.m4s");
        push.send(&chunk((MIDNIGHT + 1) * 1000).bytes());
        station.until_says("news/v/ll.m3u8", &format!("{}.0.m4s\",IND", MIDNIGHT + 1));
        (station, push)
    }

    fn ask_beside(&self, path: &str) -> Waiting {
        let (address, path) = (self.server.public, format!("/tv/news/{path}"));
        thread::spawn(move || get(address, &path))
    }

    #[track_caller]
    fn refuses(&self, path: &str, status: u16) {
        let answer = self.get(&format!("news/v/{path}"));
        assert_eq!(answer.status, status, "{path}: {}", String::from_utf8_lossy(&answer.body));
    }
}

#[test]
fn requests_for_the_next_part_are_held_until_it_is_pushed() {
    let (station, mut push) = Station::under_way();
    let (this, next) = (MIDNIGHT + 1, MIDNIGHT + 2);
    let ask = |query: String| station.ask_beside(&format!("v/ll.m3u8?{query}"));
    let of_part: Vec<_> = (0..4).map(|_| ask(format!("_HLS_msn={this}&_HLS_part=1"))).collect();
    let of_segment = ask(format!("_HLS_msn={this}"));
    let of_next = ask(format!("_HLS_msn={next}&_HLS_part=0"));
    // Behind the last part of a segment lies the first of the next one.
    let beyond = ask(format!("_HLS_msn={this}&_HLS_part=2"));
    station.until_held(7);
    push.send(&chunk(this * 1000 + 500).bytes());
    let mut texts: Vec<_> = of_part.into_iter().map(|one| one.join().unwrap()).collect();
    let first = texts.pop().unwrap();
    assert_eq!(first.status, 200);
    let part = format!("#EXT-X-PART:DURATION=0.5,URI=\"{this}.1.m4s\"\n");
    let hint = format!("#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"{next}.0.m4s\"\n");
    assert!(first.text().ends_with(&format!("{part}{hint}")), "{}", first.text());
    assert!(texts.iter().all(|other| other.body == first.body));
    push.send(&chunk(next * 1000).bytes());
    for waiting in [of_segment, of_next, beyond] {
        let answer = waiting.join().unwrap();
        let part = format!("#EXT-X-PART:DURATION=0.5,URI=\"{next}.0.m4s\",INDEPENDENT=YES\n");
        assert!(answer.status == 200 && answer.text().contains(&part), "{}", answer.text());
    }
    assert_eq!(push.end().status, 200);
    station.until_held(0);
}

#[test]
fn what_a_playlist_hints_at_is_held_and_then_there() {
    let (station, mut push) = Station::under_way();
    let (this, next) = (MIDNIGHT + 1, MIDNIGHT + 2);
    let low = station.get("news/v/ll.m3u8");
    let (_, hint) = low.text().split_once("#EXT-X-PRELOAD-HINT:TYPE=PART,").unwrap();
    let hint = quoted(hint, "URI");
    assert_eq!(hint, format!("{this}.1.m4s"));
    let hinted: Vec<_> = (0..3).map(|_| station.ask_beside(&format!("v/{hint}"))).collect();
    // A player may have seen the next hint elsewhere, and the segment as a whole comes, too.
    let of_next = station.ask_beside(&format!("v/{next}.0.m4s"));
    station.until_held(4);
    let part = chunk(this * 1000 + 500).bytes();
    let (begin, rest) = part.split_at(part.len() / 2);
    push.send(begin);
    push.send(rest);
    for waiting in hinted {
        let answer = waiting.join().unwrap();
        assert!(answer.status == 200 && answer.body == part, "{}", answer.head);
        assert_eq!(answer.header("Content-Length"), Some(&*part.len().to_string()));
    }
    push.send(&chunk(next * 1000).bytes());
    let answer = of_next.join().unwrap();
    assert!(answer.status == 200 && answer.body == chunk(next * 1000).bytes());
    assert_eq!(push.end().status, 200);
}

#[test]
fn what_cannot_be_asked_for_is_refused_at_once() {
    let (station, push) = Station::under_way();
    let (this, next) = (MIDNIGHT + 1, MIDNIGHT + 2);
    for query in [
        "_HLS_part=1".to_owned(),
        "_HLS_msn=".to_owned(),
        "_HLS_msn=x".to_owned(),
        "_HLS_msn=-1".to_owned(),
        format!("_HLS_msn={this}&_HLS_msn={this}"),
        format!("_HLS_msn={}", this + 3),
        "_HLS_msn=9223372036854775807".to_owned(),
        // Six parts of half a second are as far as anybody may ask.
        format!("_HLS_msn={this}&_HLS_part=8"),
    ] {
        station.refuses(&format!("ll.m3u8?{query}"), 400);
    }
    for never in [
        format!("{MIDNIGHT}.2.m4s"),
        format!("{MIDNIGHT}.9.m4s"),
        format!("{this}.9.m4s"),
        format!("{}.0.m4s", next + 1),
        format!("{}.m4s", next + 1),
        format!("{}.m4s", MIDNIGHT - 1),
        format!("{}.0.m4s", MIDNIGHT - 1),
        "x.m4s".to_owned(),
        "-1.m4s".to_owned(),
        "init-00000000.mp4".to_owned(),
    ] {
        station.refuses(&never, 404);
    }
    // What is there is answered whatever stands beside it.
    for query in [
        format!("_HLS_msn={MIDNIGHT}"),
        format!("_HLS_msn={this}&_HLS_part=0"),
        "_HLS_msn=0&_HLS_part=7".to_owned(),
        "x=1&_HLS_pathway=a".to_owned(),
    ] {
        station.refuses(&format!("ll.m3u8?{query}"), 200);
    }
    assert_eq!(push.end().status, 200);
}

#[test]
fn a_playlist_for_every_player_knows_no_directives() {
    let (station, push) = Station::under_way();
    let plain = station.get("news/v/index.m3u8");
    for query in [
        format!("_HLS_msn={}", MIDNIGHT + 2),
        format!("_HLS_msn={}&_HLS_part=1", MIDNIGHT + 1),
        "_HLS_part=1".to_owned(),
        "_HLS_msn=99999999999999999999".to_owned(),
        "_HLS_skip=YES".to_owned(),
    ] {
        let answer = station.get(&format!("news/v/index.m3u8?{query}"));
        assert_eq!((answer.status, &answer.body), (200, &plain.body), "{query}");
    }
    assert_eq!(push.end().status, 200);
}

#[test]
fn a_delta_leaves_out_what_is_old_once_there_is_enough() {
    let station = Station::news();
    (0..6).for_each(|at| station.push(MIDNIGHT + at));
    station.settle();
    let [full, delta] = ["", "?_HLS_skip=YES"].map(|query| {
        let answer = station.get(&format!("news/v/ll.m3u8{query}"));
        answer.text().to_owned()
    });
    assert_eq!(delta, full, "nothing is old enough");
    (6..12).for_each(|at| station.push(MIDNIGHT + at));
    station.settle();
    let full = station.get("news/v/ll.m3u8").text().to_owned();
    assert_eq!(full.matches("#EXTINF").count(), 12);
    for query in ["_HLS_skip=YES", "_HLS_skip=v2", "_HLS_msn=5&_HLS_skip=YES"] {
        let answer = station.get(&format!("news/v/ll.m3u8?{query}"));
        let delta = answer.text();
        // Six target durations are kept.
        let skipped =
            format!("\n#EXT-X-MEDIA-SEQUENCE:{MIDNIGHT}\n#EXT-X-SKIP:SKIPPED-SEGMENTS=6\n");
        assert!(delta.contains(&skipped), "{query}: {delta}");
        let kept = full.find(&format!("#EXTINF:1.0,\n{}.m4s", MIDNIGHT + 6)).unwrap();
        assert!(delta.ends_with(&full[kept..]), "{query}: {delta}");
        assert_eq!(delta.matches("#EXTINF").count(), 6, "{query}: {delta}");
    }
    assert!(!full.contains("#EXT-X-SKIP"), "{full}");
    let held = station
        .ask_beside(&format!("v/ll.m3u8?_HLS_msn={}&_HLS_part=0&_HLS_skip=YES", MIDNIGHT + 12));
    station.until_held(1);
    station.push(MIDNIGHT + 12);
    let delta = held.join().unwrap();
    assert!(delta.text().contains("#EXT-X-SKIP:SKIPPED-SEGMENTS="), "{}", delta.text());
    assert!(delta.text().contains(&format!("\"{}.0.m4s\"", MIDNIGHT + 12)), "{}", delta.text());
}

#[test]
fn what_does_not_come_in_three_target_durations_is_503() {
    let station = Station::news();
    station.push(MIDNIGHT);
    station.settle();
    let next = MIDNIGHT + 1;
    let held = [
        format!("v/ll.m3u8?_HLS_msn={next}"),
        format!("v/ll.m3u8?_HLS_msn={next}&_HLS_part=0"),
        format!("v/{next}.0.m4s"),
        format!("v/{next}.m4s"),
    ];
    let held = held.map(|path| station.ask_beside(&path));
    station.until_held(4);
    for waiting in held {
        let answer = waiting.join().unwrap();
        assert_eq!(answer.status, 503, "{}", answer.head);
        assert_eq!(answer.header("X-Shardcast-Reason"), Some("timed-out"), "{}", answer.head);
    }
    // It is as before for those who come then.
    let held = station.ask_beside(&format!("v/ll.m3u8?_HLS_msn={next}"));
    station.until_held(1);
    station.push(next);
    assert_eq!(held.join().unwrap().status, 200);
    assert!(station.get(&format!("news/v/{next}.m4s")).body == segment(next));
}

#[test]
fn what_does_not_come_in_time_is_a_gap_and_nobody_waits_for_it_any_more() {
    let hasty = "[[channel]]\nid = \"news\"\nsegment = \"1s\"\npart = \"500ms\"\n";
    let station = Station::start(&format!("{hasty}patience = \"2s\"\n"));
    assert_eq!(station.put("news/v/init.mp4", &header(Media::Picture)).status, 200);
    station.push(MIDNIGHT);
    station.settle();
    let next = MIDNIGHT + 1;
    let playlists =
        [format!("v/ll.m3u8?_HLS_msn={next}"), format!("v/ll.m3u8?_HLS_msn={next}&_HLS_part=0")];
    let media = [format!("v/{next}.0.m4s"), format!("v/{next}.m4s")];
    let playlists = playlists.map(|path| station.ask_beside(&path));
    let media = media.map(|path| station.ask_beside(&path));
    station.until_held(4);
    for waiting in playlists {
        let answer = waiting.join().unwrap();
        assert_eq!(answer.status, 200, "{}", answer.head);
        assert!(answer.text().contains("#EXT-X-GAP\n"), "{}", answer.text());
    }
    for waiting in media {
        assert_eq!(waiting.join().unwrap().status, 404);
    }
    // What comes for it now comes too late.
    let answer = station.put(&format!("news/v/{next}.m4s"), &segment(next));
    assert_eq!(answer.text(), "ignored: the time of this has gone by\n");
}
