//! What is past of a channel, over real sockets: from its archive, also before any encoder is back.

use super::boxes::{Media, encrypted_header, header, segment};
use super::http::{Answer, ask, get};
use super::{Station, kept, past, resolved, uris};

impl Station {
    /// `news` is kept, and has so many segments from this second on.
    fn recorded(from: u64, count: u64) -> Self {
        let station = Self::start(&kept("news", "required"));
        assert_eq!(station.put("news/v/init.mp4", &header(Media::Picture)).status, 200);
        (from..from + count).for_each(|second| station.push_durable(second));
        station
    }

    /// Asks with these header lines, too.
    fn ask(&self, method: &str, path: &str, lines: &str) -> Answer {
        let head = format!("{method} /tv/{path} HTTP/1.1\r\nHost: tv\r\n{lines}");
        ask(self.server.public, &head, b"").expect("a whole answer")
    }

    /// Everything that a playlist lists is there; gives the segments' bytes, one after the other.
    fn listed(&self, playlist: &str) -> Vec<u8> {
        let answer = self.get(playlist);
        let text = answer.text();
        assert_eq!(answer.status, 200, "{text}");
        let found = |uri: &str| {
            let found = get(self.server.public, &resolved(&format!("/tv/{playlist}"), uri));
            assert_eq!(found.status, 200, "{uri} of {text}");
            found.body
        };
        assert!(found(super::quoted(text, "URI")) == header(Media::Picture));
        uris(text).into_iter().flat_map(found).collect()
    }
}

/// The media of so many seconds.
fn media(seconds: std::ops::Range<u64>) -> Vec<u8> {
    seconds.flat_map(segment).collect()
}

#[test]
fn what_is_past_is_a_vod_of_segments_that_are_there_also_after_kill_9() {
    let from = past();
    let station = Station::recorded(from, 6);
    let folder = format!("news/archive/{}-3", from + 1);
    let master = station.get(&format!("{folder}/master.m3u8"));
    assert_eq!((master.status, uris(master.text())), (200, vec!["v/media.m3u8"]));
    let path = format!("{folder}/v/media.m3u8");
    let first = station.get(&path);
    let text = first.text();
    assert!(text.contains("#EXT-X-PLAYLIST-TYPE:VOD\n"), "{text}");
    assert!(text.ends_with(&format!("../../../v/{}.m4s\n#EXT-X-ENDLIST\n", from + 3)), "{text}");
    assert!(station.listed(&path) == media(from + 1..from + 4));

    // From the second request on a shard answers by itself, and says the same.
    let etag = first.header("ETag").unwrap().to_owned();
    let again = station.get(&path);
    for name in ["ETag", "Content-Type", "Cache-Control", "Vary"] {
        assert!(first.header(name).is_some(), "{name}: {}", first.head);
        assert_eq!(again.header(name), first.header(name), "{name}");
    }
    assert!(again.body == first.body && again.header("Last-Modified").is_some());
    let held = station.ask("GET", &path, &format!("If-None-Match: {etag}\r\n"));
    assert_eq!((held.status, held.body.len()), (304, 0));
    let gzip = station.ask("GET", &path, "Accept-Encoding: gzip\r\n");
    assert_eq!(gzip.header("Content-Encoding"), Some("gzip"));
    assert!(gzip.body.len() < first.body.len());

    let manifest = station.get(&format!("{folder}/manifest.mpd"));
    let text = manifest.text();
    assert_eq!(manifest.header("Content-Type"), Some("application/dash+xml"));
    for part in ["type=\"static\" mediaPresentationDuration=\"PT3.0S\"", "d=\"90000\" r=\"2\""] {
        assert!(text.contains(part), "{text}");
    }
    assert!(text.contains(&format!("startNumber=\"{}\"", from + 1)), "{text}");
    assert_eq!(super::quoted(text, "media"), "../../v/$Number$.m4s");

    // No encoder comes back.
    let station = station.started_again();
    let after = station.get(&path);
    assert!(after.status == 200 && after.header("ETag") == Some(&etag), "{}", after.text());
    assert!(station.listed(&path) == media(from + 1..from + 4));
    let all = format!("news/archive/{}-100/v/media.m3u8", from - 50);
    assert!(station.listed(&all) == media(from..from + 6));
}

#[test]
fn what_is_not_over_grows_and_the_last_hours_can_be_rewound() {
    let from = past();
    let station = Station::recorded(from, 3);
    let since = format!("news/archive/{from}-now/v/media.m3u8");
    let hour = format!("news/archive/{from}-3600/v/media.m3u8");
    let rewind = "news/rewind/v/media.m3u8";
    let master = station.get("news/rewind/master.m3u8");
    assert_eq!((master.status, uris(master.text())), (200, vec!["v/media.m3u8"]));
    for count in 3..6 {
        for path in [since.as_str(), hour.as_str(), rewind] {
            let newest = format!("/v/{}.m4s\n", from + count - 1);
            let text = station.until_says(path, &newest);
            let is_event = text.contains("#EXT-X-PLAYLIST-TYPE:EVENT\n");
            assert!(is_event != (path == rewind) && !text.contains("ENDLIST"), "{text}");
            assert!(text.contains(&format!("#EXT-X-MEDIA-SEQUENCE:{from}\n")), "{text}");
            assert!(station.listed(path) == media(from..from + count), "{path}");
            assert_eq!(station.get(path).header("Cache-Control"), Some("public, max-age=1"));
        }
        station.push_durable(from + count);
    }
    for manifest in
        [since.replace("v/media.m3u8", "manifest.mpd"), "news/rewind/manifest.mpd".into()]
    {
        let text = station.until_says(&manifest, "type=\"dynamic\"");
        let clock = resolved(&format!("/tv/{manifest}"), super::quoted(&text, "value"));
        assert_eq!(get(station.server.public, &clock).status, 200, "{clock}");
    }
}

#[test]
fn what_is_encrypted_says_so_in_the_past_as_it_does_live() {
    let from = past();
    let station = Station::recorded(from, 2);
    assert_eq!(station.put("news/v/init.mp4", &encrypted_header(b"cbcs")).status, 200);
    (from + 2..from + 4).for_each(|second| station.push_durable(second));
    assert_eq!(station.put("news/v/init.mp4", &encrypted_header(b"cenc")).status, 200);
    (from + 4..from + 6).for_each(|second| station.push_durable(second));
    assert_eq!(station.put("news/v/init.mp4", &header(Media::Picture)).status, 200);
    (from + 6..from + 8).for_each(|second| station.push_durable(second));
    let newest = format!("\n{}.m4s\n", from + 7);
    let said = |text: &str| -> Vec<String> {
        let tags = ["#EXT-X-KEY:", "#EXT-X-DISCONTINUITY", "<ContentProtection ", "<Period "];
        let is_it = |line: &&str| tags.iter().any(|tag| line.trim().starts_with(tag));
        // A Period begins elsewhere.
        let line = |line: &str| line.split(" start=").next().unwrap_or_default().to_owned();
        text.lines().filter(is_it).map(line).collect()
    };
    let live = said(&station.until_says("news/v/index.m3u8", &newest));
    assert_eq!(live.len(), 6, "{live:?}");
    for (line, method) in [(1, "SAMPLE-AES,"), (3, "SAMPLE-AES-CTR,"), (5, "NONE")] {
        assert!(live[line].starts_with(&format!("#EXT-X-KEY:METHOD={method}")), "{live:?}");
    }
    let manifest = said(&station.until_says("news/manifest.mpd", "cenc:pssh"));
    assert_eq!(manifest.len(), 4 + 2 * 2, "{manifest:?}");
    let past_of = |station: &Station| {
        for folder in
            ["rewind".to_owned(), format!("archive/{from}-8"), format!("archive/{from}-now")]
        {
            let path = format!("news/{folder}/v/media.m3u8");
            let text = station.until_says(&path, &format!("/{}.m4s\n", from + 7));
            assert_eq!(said(&text), live, "{path}");
            let path = format!("news/{folder}/manifest.mpd");
            assert_eq!(said(&station.until_says(&path, "</MPD>")), manifest, "{path}");
        }
        // From the middle of what is encrypted.
        let text = station.until_says(&format!("news/archive/{}-1/v/media.m3u8", from + 3), "END");
        assert_eq!(said(&text), live[1..2], "{text}");
    };
    past_of(&station);
    past_of(&station.started_again());
}

#[test]
fn where_fairplay_has_its_key_is_said_live_and_in_the_past() {
    let from = past();
    let station = Station::recorded(from, 2);
    assert_eq!(station.put("news/v/init.mp4", &encrypted_header(b"cbcs")).status, 200);
    (from + 2..from + 4).for_each(|second| station.push_durable(second));
    let key = "URI=\"skd://key?1\",KEYFORMAT=\"com.apple.streamingkeydelivery\"";
    let pushed = format!(
        "#EXTM3U\n#EXT-X-KEY:METHOD=SAMPLE-AES,{key}\n#EXT-X-MAP:URI=\"init.mp4\"\n{}.m4s\n",
        from + 2
    );
    assert_eq!(station.put("news/v/index.m3u8", pushed.as_bytes()).status, 200);
    (from + 4..from + 6).for_each(|second| station.push_durable(second));
    let line = format!("#EXT-X-KEY:METHOD=SAMPLE-AES,{key},KEYFORMATVERSIONS=\"1\"\n");
    station.until_says("news/v/index.m3u8", &line);
    station.until_says("news/manifest.mpd", " value=\"FairPlay\"/>");
    let past = format!("news/archive/{}-3/v/media.m3u8", from + 2);
    station.until_says(&past, &line);
    station.started_again().until_says(&past, &line);
}

#[test]
fn what_is_not_there_says_why() {
    let from = past();
    let station = Station::recorded(from, 2);
    let before = from - 1000;
    for (path, status, why) in [
        (format!("news/archive/{from}-0/master.m3u8"), 400, "a length is a number of seconds"),
        (format!("news/archive/{from}-86401/master.m3u8"), 400, "at most 86400 seconds"),
        (format!("news/archive/{from}-60/index.m3u8"), 400, "catch-up has master.m3u8"),
        (format!("news/archive/{from}-60/x/media.m3u8"), 404, "no such rendition was recorded"),
        (format!("news/archive/{before}-60/master.m3u8"), 404, "nothing was recorded in this"),
        ("news/archive/9999999999-60/master.m3u8".to_owned(), 404, "has not begun"),
        // It is not kept.
        (format!("mark/archive/{from}-60/master.m3u8"), 404, "nothing of this channel is recorded"),
    ] {
        let answer = station.get(&path);
        assert!(answer.status == status && answer.text().contains(why), "{path}: {answer:?}");
        assert_eq!(answer.header("Content-Type"), Some("application/problem+json"));
    }
    // There is no such channel, and nobody is asked.
    let nobody = station.get(&format!("x/archive/{from}-60/master.m3u8"));
    assert!(nobody.status == 404 && nobody.header("X-Shardcast-Reason").is_some(), "{nobody:?}");
}

#[test]
fn the_past_of_what_takes_a_token_is_not_told_without_one() {
    let from = past();
    let station = Station::start(&format!("{}access = \"token\"\n", kept("news", "required")));
    assert_eq!(station.put("news/v/init.mp4", &header(Media::Picture)).status, 200);
    (from..from + 3).for_each(|second| station.push_durable(second));
    station.settle();
    let nowhere = station.get("news/nowhere/master.m3u8");
    assert_eq!(nowhere.status, 403);
    let archive = format!("news/archive/{from}-2/master.m3u8");
    for path in [archive.as_str(), "news/rewind/v/media.m3u8", "news/archive/x/master.m3u8"] {
        let answer = station.get(path);
        assert_eq!((answer.status, answer.body), (403, nowhere.body.clone()), "{path}");
        let with_token = get(station.server.public, &format!("/s/guess/tv/{path}"));
        assert_eq!(with_token.status, 403, "{path}");
    }
}

#[test]
fn a_channel_that_goes_takes_its_past_with_it() {
    let from = past();
    let station = Station::recorded(from, 3);
    let path = format!("news/archive/{from}-2/master.m3u8");
    assert_eq!([station.get(&path).status, station.get(&path).status], [200, 200]);
    let config = station.place.path("shardcast.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace(&kept("news", "required"), "")).unwrap();
    station.server.signal("HUP");
    station.until(&path, |answer| answer.status == 404);
}
