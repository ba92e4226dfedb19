//! Playlists as encoders write them, and as nobody should.

use super::*;
use crate::units::civil;

/// 2026-11-26T00:00:00Z, in microseconds.
const MIDNIGHT: i64 = 1_795_651_200_000_000;

fn said(path: &str, discontinuity: bool, date_micros: Option<i64>) -> Said {
    Said { path: path.to_owned(), discontinuity, date_micros }
}

#[test]
fn discontinuities_and_dates_are_told_of_the_segments_that_they_stand_before() {
    let text = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXT-X-DISCONTINUITY-SEQUENCE:3\n\
                #EXTINF:2.000000,\ns0.ts\n#EXT-X-DISCONTINUITY\n#EXTINF:2,\nsub/../s1.ts?a=b\r\n\
                #EXT-X-PROGRAM-DATE-TIME:2026-11-26T01:00:00.500+0100\n#EXTINF:2,\n./x/s2.ts\n\
                #EXT-X-PROGRAM-DATE-TIME:never\n#EXTINF:2,\ns3.ts\n#EXT-X-DISCONTINUITY\n";
    let expected =
        [said("v/s1.ts", true, None), said("v/x/s2.ts", false, Some(MIDNIGHT + 500_000))];
    assert_eq!(playlist("v/index.m3u8", text.as_bytes()), expected);
    assert_eq!(playlist("index.m3u8", b"#EXT-X-DISCONTINUITY\na.ts"), [said("a.ts", true, None)]);
    for elsewhere in ["http://a/b.ts", "/b.ts", "../../b.ts", "a%20b.ts", "a\\b.ts"] {
        let text = format!("#EXT-X-DISCONTINUITY\n{elsewhere}\n");
        assert_eq!(playlist("v/index.m3u8", text.as_bytes()), [], "{elsewhere}");
    }
    assert_eq!(
        playlist("a", b"#EXT-X-DISCONTINUITY\n\xff\xfe\nb.ts\n"),
        [said("b.ts", true, None)]
    );
}

#[test]
fn dates_are_read_as_they_are_written_anywhere() {
    for (date, expected) in [
        ("2026-11-26T00:00:00Z", Some(0)),
        ("2026-11-26T00:00:00.000Z", Some(0)),
        ("2026-11-26T00:00:00,25", Some(250_000)),
        ("2026-11-25T19:00:00.123456789-05:00", Some(123_456)),
        ("2026-11-26T05:30:00+0530", Some(0)),
        ("2026-11-26t01:00:01+01", Some(1_000_000)),
        ("2026-11-26 00:01Z", Some(60_000_000)),
        ("2026-13-26T00:00:00Z", None),
        ("2026-00-26T00:00:00Z", None),
        ("2026-11-32T00:00:00Z", None),
        ("2026-11-26T25:00:00Z", None),
        ("2026-11-26T00:60:00Z", None),
        ("2026-11-26T00:00:00+x", None),
        ("2026-11-26T00:00:00Zx", None),
        ("2026-11-26", None),
        ("1969-11-26T00:00:00Z", None),
        ("99999-11-26T00:00:00Z", None),
        ("+026-11-26T00:00:00Z", None),
        ("2026-11-26T00:00:00.\u{e9}\u{e9}\u{e9}Z", None),
        ("", None),
    ] {
        assert_eq!(micros(date), expected.map(|micros| MIDNIGHT + micros), "{date}");
    }
    for since in [0, 58, 59, 60, 365, 11_016, 11_017, 20_783, 47_540, 2_932_896] {
        let (year, month, day) = civil(since);
        let [year, month, day] = [year, month, day].map(|part| i64::try_from(part).unwrap());
        assert_eq!(days(year, month, day), i64::try_from(since).ok());
    }
}

#[test]
fn playlists_may_come_before_their_segments_or_behind() {
    let start = |seconds: i64| Moment { ticks: seconds * 90_000, timescale: 90_000 };
    let mut pushed = Pushed::default();
    let text = "#EXT-X-PROGRAM-DATE-TIME:2026-11-26T00:00:10Z\ns0.ts\n#EXT-X-DISCONTINUITY\n\
                #EXT-X-PROGRAM-DATE-TIME:2026-11-26T00:00:12Z\ns1.ts\n";
    assert_eq!(pushed.begin("v/s0.ts", start(10)), (None, false));
    let dated = |seconds| Dated { start: start(seconds), zero_micros: MIDNIGHT };
    // The first has come, the second has not.
    assert_eq!(pushed.take("v/index.m3u8", text.as_bytes()), [dated(10)]);
    assert_eq!(pushed.begin("w/s1.ts", start(12)), (None, false), "another one's");
    assert_eq!(pushed.begin("v/s1.ts", start(12)), (Some(dated(12)), true));
    // It is said again as long as it is listed.
    assert_eq!(pushed.take("v/index.m3u8", text.as_bytes()), [dated(10), dated(12)]);
    assert_eq!(pushed.begin("v/s2.ts", start(14)), (None, false));
}

#[test]
fn what_is_remembered_has_a_limit() {
    let mut pushed = Pushed::default();
    let text: String = (0..5000).map(|at| format!("#EXT-X-DISCONTINUITY\n{at}.ts\n")).collect();
    assert_eq!(pushed.take("a", text.as_bytes()), []);
    assert_eq!(pushed.said.len(), REMEMBERED);
    assert!(pushed.begin("4999.ts", Moment { ticks: 0, timescale: 1 }).1, "the newest stay");
    for at in 0..5000 {
        pushed.begin(&format!("x{at}.ts"), Moment { ticks: 0, timescale: 1 });
    }
    assert_eq!(pushed.begun.len(), REMEMBERED);
}

#[test]
fn another_manifest_is_that_of_another_presentation() {
    let manifest = |start: &str, period: &str, update: u32| {
        format!(
            "<?xml version=\"1.0\"?><MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" \
             availabilityStartTime=\"{start}\" publishTime=\"{update}\"><Period id=\"{period}\" \
             start=\"PT0S\"><AdaptationSet/></Period></MPD>"
        )
    };
    let mut pushed = Pushed::default();
    let mut take = |path: &str, text: &str| pushed.take_manifest(path, text.as_bytes());
    assert!(!take("a.mpd", &manifest("1970", "0", 1)), "the first one");
    assert!(!take("a.mpd", &manifest("1970", "0", 2)), "an update");
    assert!(!take("b.mpd", &manifest("1971", "0", 2)), "another path");
    assert!(take("a.mpd", &manifest("1971", "0", 3)));
    assert!(!take("a.mpd", &manifest("1971", "0", 4)));
    assert!(take("a.mpd", &manifest("1971", "1", 5)));
    for nothing in ["", "<MPD", "<html/>", "\u{0}", "#EXTM3U"] {
        assert!(!take("a.mpd", nothing), "{nothing}");
    }
    assert!(!take("a.mpd", &manifest(&"9".repeat(600), "1", 5)));
    assert!(!take("a.mpd", &manifest("1971", "1", 6)), "and what was known stays");
    assert!(!pushed.take_manifest("a.mpd", b"<MPD>\xff</MPD>"));
    for at in 0..100 {
        pushed.take_manifest(&format!("{at}.mpd"), manifest("1970", "0", 1).as_bytes());
    }
    assert_eq!(pushed.presentations.len(), MANIFESTS);
}

#[test]
fn languages_are_those_of_the_headers_that_a_manifest_names() {
    let text = "<?xml version=\"1.0\"?><MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\"><Period id=\"0\">\
        <AdaptationSet lang=\"sv\"><Representation id=\"1\"><SegmentTemplate \
        initialization=\"init-$RepresentationID$.m4s\"/></Representation></AdaptationSet>\
        <AdaptationSet lang=\"pt-BR\"><SegmentTemplate initialization=\"$Bandwidth$/i.mp4\"/>\
        <Representation id=\"2\" bandwidth=\"64000\"/></AdaptationSet>\
        <AdaptationSet lang=\"und\"><SegmentTemplate initialization=\"x.mp4\"/>\
        <Representation/></AdaptationSet>\
        <AdaptationSet lang=\"a&quot;b\"><SegmentTemplate initialization=\"y.mp4\"/>\
        <Representation/></AdaptationSet>\
        <AdaptationSet lang=\"de\"><Representation id=\"3\"/></AdaptationSet>\
        <AdaptationSet><SegmentTemplate initialization=\"z.mp4\"/><Representation/></AdaptationSet>\
        </Period></MPD>";
    let mut pushed = Pushed::default();
    pushed.take_manifest("live/a.mpd", text.as_bytes());
    let said = |path: &str| pushed.language(path);
    assert_eq!(said("live/init-1.m4s"), Some("sv"));
    assert_eq!(said("live/64000/i.mp4"), Some("pt-BR"));
    assert_eq!(pushed.languages.0.len(), 2);
    assert_eq!(said("init-1.m4s"), None, "another folder");
    let other = text.replace("sv", "no");
    pushed.take_manifest("live/a.mpd", other.as_bytes());
    assert_eq!(pushed.language("live/init-1.m4s"), Some("no"));
    assert_eq!(pushed.languages.0.len(), 2);
}

#[test]
fn keys_of_fairplay_are_those_of_the_headers_that_a_playlist_names() {
    let apple = |uri: &str| {
        format!(
            "#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"{uri}\",KEYFORMATVERSIONS=\"1\",\
             KEYFORMAT=\"com.apple.streamingkeydelivery\"\n"
        )
    };
    let widevine = "#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"data:a\",KEYFORMAT=\"urn:uuid:edef8ba9\"\n";
    let segment =
        |header: &str, at: u32| format!("#EXT-X-MAP:URI=\"{header}\"\n#EXTINF:2,\n{at}.m4s\n");
    let text = [
        &segment("clear.mp4", 0),
        &apple("skd://one"),
        widevine,
        &segment("a.mp4", 1),
        &apple("skd://two"),
        "#EXTINF:2,\n2.m4s\n",
        &segment("b.mp4", 3),
        "#EXT-X-KEY:METHOD=NONE\n",
        &segment("c.mp4", 4),
        &apple("https://elsewhere"),
        &segment("d.mp4", 5),
    ]
    .concat();
    let mut pushed = Pushed::default();
    pushed.take("v/index.m3u8", text.as_bytes());
    let known =
        |pushed: &Pushed, name: &str| pushed.key(&format!("v/{name}.mp4")).map(str::to_owned);
    assert_eq!(known(&pushed, "a").as_deref(), Some("skd://two"), "the last one");
    assert_eq!(known(&pushed, "b").as_deref(), Some("skd://two"));
    for none in ["clear", "c", "d"] {
        assert_eq!(known(&pushed, none), None, "{none}");
    }
    pushed.forget_key("v/a.mp4");
    assert_eq!((known(&pushed, "a"), pushed.keys.0.len()), (None, 1));
}
