//! Two encoders of one channel, of which either dies, again and again.

use super::boxes::{Chunk, MIDNIGHT, Media, chunk, header};
use super::http::{Answering, Push, put};
use super::{Station, channel, uris};

/// One that is the same for every run, and looks like none.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// `news`, with the sources `a` and `b`, which have sent their headers.
fn station() -> Station {
    let named = |name: &str| format!("[[channel.source]]\nname = \"{name}\"\n");
    let station = Station::start(&[channel("news"), named("a"), named("b")].concat());
    for name in ["a", "b"] {
        let answer = station.put(&format!("news/@{name}/v/init.mp4"), &header(Media::Picture));
        assert_eq!(answer.status, 200);
    }
    station
}

/// The half second of a source, whose bytes are its own if the salt is.
fn half(at: u64, salt: u8) -> Vec<u8> {
    Chunk { salt, ..chunk(MIDNIGHT * 1000 + at * 500) }.bytes()
}

impl Station {
    /// A source sends a chunk, and hears that it is taken.
    #[track_caller]
    fn send(&self, source: &str, at: u64, salt: u8) {
        let answer = self.put(&format!("news/@{source}/v/{at}.m4s"), &half(at, salt));
        assert_eq!(answer.status, 200, "{source} {at}: {}", answer.text());
    }

    /// A source dies in the middle of a chunk.
    fn kill(&self, source: &str, at: u64, salt: u8) {
        let path = format!("/ingest/news/@{source}/v/{at}.m4s");
        let mut push = Push::begin(self.server.ingest, &path);
        let torn = half(at, salt);
        push.send(&torn[..torn.len() / 2]);
        assert_eq!(Answering::of(push.tear()).expect("it is told so").status, 400);
    }
}

/// Feeds 60 s from two sources of which one dies twenty times; gives the playlists at the end.
fn killed_twenty_times(salts: [u8; 2], seed: u64) -> (Station, String, String) {
    let station = station();
    let mut random = Random(seed);
    let mut dead: Option<(usize, u64)> = None;
    let mut kills = 0;
    for at in 0..120 {
        // At the start and at the end both are well, and each has a second to come back.
        let may_die = dead.is_none_or(|(_, until)| at > until + 3) && (4..112).contains(&at);
        if may_die && random.below(2) == 0 && kills < 20 {
            let source = usize::try_from(random.below(2)).unwrap();
            station.kill(["a", "b"][source], at, salts[source]);
            dead = Some((source, at + random.below(2)));
            kills += 1;
        }
        let is_first = random.below(2) == 0;
        for source in if is_first { [0, 1] } else { [1, 0] } {
            if dead.is_none_or(|(who, until)| who != source || at > until) {
                station.send(["a", "b"][source], at, salts[source]);
            }
        }
    }
    assert!(kills > 12, "{kills}");
    let last = format!("{}.m4s", MIDNIGHT + 59);
    let plain = station.until_says("news/v/index.m3u8", &last);
    let low = station.get("news/v/ll.m3u8").text().to_owned();
    let expected: Vec<_> = (0..60).map(|at| format!("{}.m4s", MIDNIGHT + at)).collect();
    assert_eq!(uris(&plain), expected);
    (station, plain, low)
}

#[test]
fn of_sources_with_the_same_bytes_either_may_die_and_nothing_shows() {
    for seed in [11, 12] {
        let (station, plain, low) = killed_twenty_times([0, 0], seed);
        assert_eq!(plain.matches("#EXTINF:1.0,").count(), 60, "{plain}");
        for text in [&plain, &low] {
            assert!(!text.contains("GAP") && !text.contains("DISCONTINUITY"), "{text}");
        }
        for at in 0..60 {
            let whole = station.get(&format!("news/v/{}.m4s", MIDNIGHT + at));
            let sent = [half(2 * at, 0), half(2 * at + 1, 0)].concat();
            assert!(whole.body == sent, "{seed}: {at}");
        }
    }
}

#[test]
fn of_sources_with_other_bytes_a_death_costs_a_part_at_most() {
    for seed in [21, 22] {
        let (station, plain, _) = killed_twenty_times([0, 1], seed);
        assert!(!plain.contains("#EXT-X-GAP\n") && !plain.contains("DISCONTINUITY"), "{plain}");
        assert_eq!(plain.matches("#EXTINF:1.0,").count(), 60, "{plain}");
        let mut of_one = 0;
        for at in 0..60 {
            let whole = station.get(&format!("news/v/{}.m4s", MIDNIGHT + at)).body;
            let sent = |salt: u8| [half(2 * at, salt), half(2 * at + 1, salt)].concat();
            // What came before its source died, which is one part; never parts of both.
            let of = |salt: u8| whole == sent(salt) || whole == half(2 * at, salt);
            assert!(of(0) || of(1), "{seed}: {at}");
            of_one += usize::from(whole == sent(0) || whole == sent(1));
        }
        assert!((40..60).contains(&of_one), "{seed}: {of_one} segments are whole");
    }
}

#[test]
fn a_part_that_the_next_source_does_not_have_is_a_gap() {
    let station = station();
    for at in 0..4 {
        station.send("a", at, 0);
        station.send("b", at, 1);
    }
    station.send("a", 4, 0);
    station.send("b", 4, 1);
    station.kill("a", 5, 0);
    (5..8).for_each(|at| station.send("b", at, 1));
    let (second, next) = (MIDNIGHT + 2, MIDNIGHT + 3);
    let low = station.until_says("news/v/ll.m3u8", &format!("{next}.1.m4s\""));
    let part = |number: u64, part: u8, attributes: &str| {
        format!("#EXT-X-PART:DURATION=0.5,URI=\"{number}.{part}.m4s\"{attributes}\n")
    };
    let expected = [
        part(second, 0, ",INDEPENDENT=YES"),
        part(second, 1, ",GAP=YES"),
        format!("#EXTINF:1.0,\n{second}.m4s\n"),
        part(next, 0, ",INDEPENDENT=YES"),
        part(next, 1, ""),
    ];
    assert!(low.contains(&expected.concat()), "{low}");
    assert_eq!(station.get(&format!("news/v/{second}.1.m4s")).status, 404);
    assert!(station.get(&format!("news/v/{second}.m4s")).body == half(4, 0));
    station.until(&format!("news/v/{next}.1.m4s"), |answer| answer.body == half(7, 1));
    // The first one is back, and is taken again with the next segment that it begins.
    station.send("a", 8, 0);
    station.send("b", 8, 1);
    station.until(&format!("news/v/{}.0.m4s", next + 1), |answer| answer.body == half(8, 0));
}

#[test]
fn sources_have_names_and_others_are_refused() {
    let station = station();
    let of = |path: &str| station.put(path, &half(0, 0)).status;
    assert_eq!(of("news/@c/v/1.m4s"), 404);
    assert_eq!(of("news/@/v/1.m4s"), 404);
    // Without a name it is the first one.
    assert_eq!(of("news/v/1.m4s"), 200);
    station.until(&format!("news/v/{MIDNIGHT}.0.m4s"), |answer| answer.status == 200);
    // A channel without sources knows no names.
    let address = station.server.ingest;
    assert_eq!(put(address, "/ingest/mark/@a/v/init.mp4", &header(Media::Picture)).status, 200);
}

#[test]
fn of_two_sources_of_transport_streams_one_is_taken_and_the_other_when_that_is_lost() {
    let station = station();
    let segments = super::transport::segments(40);
    let send = |source: &str, at: usize| {
        let answer = station.put(&format!("news/@{source}/s{at}.ts"), &segments[at]);
        assert_eq!(answer.status, 200, "{source} {at}: {}", answer.text());
    };
    for at in 0..3 {
        send("a", at);
        send("b", at);
    }
    let plain = station.until("news/s/index.m3u8", |answer| uris(answer.text()).len() == 3);
    assert!(!plain.text().contains("DISCONTINUITY"), "{}", plain.text());
    // Nothing comes of `a` any more, and what `b` sends is taken as soon as that is plain.
    let listed = || station.get("news/s/index.m3u8").text().to_owned();
    for at in 3..segments.len() {
        send("b", at);
        if uris(&listed()).len() >= 5 {
            break;
        }
        std::thread::park_timeout(std::time::Duration::from_millis(200));
    }
    let plain = listed();
    assert!(uris(&plain).len() >= 5, "{plain}");
    let whole = uris(&plain).into_iter().filter_map(|name| {
        let answer = station.get(&format!("news/s/{name}"));
        (answer.status == 200).then_some(answer.body)
    });
    let whole: Vec<u8> = whole.flatten().collect();
    assert_eq!(super::transport::counter_gaps(&whole), []);
}
