//! Playlists, whole, as a player gets them.

use super::super::super::boxes::chunk::{At, Message};
use super::super::super::cut::{Cutter, Lengths, Timed};
use super::super::super::events::Found;
use super::super::super::fixture::{self, MIDNIGHT};
use super::super::super::protection::sample;
use super::super::super::time::{Length, Moment};
use super::*;

/// Of pictures, as encoders of broadcasts count them.
fn fed(from: i64, count: i64) -> Timeline {
    fixture::fed(90_000, from, count)
}

#[track_caller]
fn check(timeline: &Timeline, edition: Edition, expected: &str) {
    let other = fed(MIDNIGHT, 6);
    let others = [Report { uri: "../a/ll.m3u8", timeline: &other }];
    assert_eq!(beside(timeline, edition, &others), expected);
}

/// The playlist of a rendition that has no others.
fn text(timeline: &Timeline, edition: Edition) -> String {
    beside(timeline, edition, &[])
}

fn beside(timeline: &Timeline, edition: Edition, others: &[Report<'_>]) -> String {
    let headers = ["init-0.mp4".to_owned(), "init-1.mp4".to_owned()];
    let (headers, events) = (&headers, &Events::default());
    let (protections, extension) = (&[][..], "m4s");
    let media = Media { timeline, headers, protections, extension, others, events, ended: false };
    super::media(&media, edition)
}

#[test]
fn a_plain_edition_lists_whole_segments() {
    check(
        &fed(MIDNIGHT, 10),
        Edition::Plain,
        "#EXTM3U
#EXT-X-VERSION:6
#EXT-X-TARGETDURATION:2
#EXT-X-MEDIA-SEQUENCE:897825600
#EXT-X-MAP:URI=\"init-0.mp4\"
#EXT-X-PROGRAM-DATE-TIME:2026-11-26T00:00:00.000Z
#EXTINF:2.0,
897825600.m4s
#EXTINF:2.0,
897825601.m4s
",
    );
}

#[test]
fn a_low_latency_edition_adds_parts_a_hint_and_reports() {
    check(
        &fed(MIDNIGHT, 6),
        Edition::LowLatency,
        "#EXTM3U
#EXT-X-VERSION:9
#EXT-X-TARGETDURATION:2
#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=12.0,HOLD-BACK=6.0,PART-HOLD-BACK=1.75
#EXT-X-PART-INF:PART-TARGET=0.5
#EXT-X-MEDIA-SEQUENCE:897825600
#EXT-X-MAP:URI=\"init-0.mp4\"
#EXT-X-PROGRAM-DATE-TIME:2026-11-26T00:00:00.000Z
#EXT-X-PART:DURATION=0.5,URI=\"897825600.0.m4s\",INDEPENDENT=YES
#EXT-X-PART:DURATION=0.5,URI=\"897825600.1.m4s\"
#EXT-X-PART:DURATION=0.5,URI=\"897825600.2.m4s\"
#EXT-X-PART:DURATION=0.5,URI=\"897825600.3.m4s\"
#EXTINF:2.0,
897825600.m4s
#EXT-X-PART:DURATION=0.5,URI=\"897825601.0.m4s\",INDEPENDENT=YES
#EXT-X-PART:DURATION=0.5,URI=\"897825601.1.m4s\"
#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"897825601.2.m4s\"
#EXT-X-RENDITION-REPORT:URI=\"../a/ll.m3u8\",LAST-MSN=897825601,LAST-PART=1
",
    );
}

#[test]
fn a_delta_leaves_out_what_is_old_and_parts_are_listed_for_a_while() {
    // Ten segments: four lie more than six target durations behind the end.
    let timeline = fed(MIDNIGHT, 40);
    let mut timeline = timeline;
    timeline.end_segment();
    let full = text(&timeline, Edition::LowLatency);
    let delta = text(&timeline, Edition::Delta);
    assert_eq!(full.matches("#EXTINF").count(), 10);
    assert_eq!(full.matches("#EXT-X-PART:").count(), 3 * 4, "for three target durations");
    assert!(delta.contains("\n#EXT-X-MEDIA-SEQUENCE:897825600\n#EXT-X-SKIP:SKIPPED-SEGMENTS=4\n"));
    assert_eq!(delta.matches("#EXTINF").count(), 6);
    assert!(delta.contains(
        "#EXT-X-PROGRAM-DATE-TIME:2026-11-26T00:00:08.000Z\n#EXTINF:2.0,\n897825604.m4s\n"
    ));
    let end = full.find("#EXTINF:2.0,\n897825605.m4s").unwrap();
    assert!(delta.ends_with(&full[end..]), "from there on they say the same");
    // Where nothing is old enough, a delta is the whole.
    let short = fed(MIDNIGHT, 12);
    assert_eq!(text(&short, Edition::Delta), text(&short, Edition::LowLatency));
}

#[test]
fn gaps_and_discontinuities_are_said() {
    let mut timeline = fed(MIDNIGHT, 4);
    timeline.add_gap();
    timeline.begin_anew(0);
    timeline.change_header(1);
    fixture::feed(&mut timeline, 90_000, MIDNIGHT + 8, 5);
    check(
        &timeline,
        Edition::Plain,
        "#EXTM3U
#EXT-X-VERSION:6
#EXT-X-TARGETDURATION:2
#EXT-X-MEDIA-SEQUENCE:897825600
#EXT-X-MAP:URI=\"init-0.mp4\"
#EXT-X-PROGRAM-DATE-TIME:2026-11-26T00:00:00.000Z
#EXTINF:2.0,
897825600.m4s
#EXT-X-GAP
#EXTINF:2.0,
897825601.m4s
#EXT-X-DISCONTINUITY
#EXT-X-MAP:URI=\"init-1.mp4\"
#EXT-X-PROGRAM-DATE-TIME:2026-11-26T00:00:04.000Z
#EXTINF:2.0,
897825602.m4s
",
    );
    let low = text(&timeline, Edition::LowLatency);
    assert!(low.contains("#EXT-X-PART:DURATION=0.5,URI=\"897825601.3.m4s\",GAP=YES\n#EXT-X-GAP\n"));
    // When the discontinuity's segment is the first, its tag is counted instead.
    timeline.trim(0);
    fixture::feed(&mut timeline, 90_000, MIDNIGHT + 12, 8);
    timeline.trim(0);
    let later = text(&timeline, Edition::Plain);
    assert!(
        later.contains("#EXT-X-MEDIA-SEQUENCE:897825602\n#EXT-X-DISCONTINUITY-SEQUENCE:1\n"),
        "{later}"
    );
    assert!(!later.contains("#EXT-X-DISCONTINUITY\n"));
}

#[test]
fn durations_add_up_to_what_was_rounded() {
    // 25 pictures at 24000/1001 a second.
    let segment = Length::new(25 * 1001, 24_000).unwrap();
    let mut timeline = Timeline::new(Lengths { segment, part: segment }, 0);
    let mut cutter = Cutter::new(timeline.lengths());
    for number in 0..300 {
        let start = Moment { ticks: number * 25 * 1001, timescale: 24_000 };
        let chunk = Timed { start, duration: 25 * 1001, independent: true };
        timeline.add(&chunk, &cutter.place(&chunk).unwrap());
    }
    timeline.end_segment();
    let text = text(&timeline, Edition::Plain);
    let durations =
        text.lines().filter_map(|line| line.strip_prefix("#EXTINF:")?.strip_suffix(','));
    let micros = |text: &str| {
        let (whole, rest) = text.split_once('.').unwrap();
        whole.parse::<u64>().unwrap() * 1_000_000 + format!("{rest:0<6}").parse::<u64>().unwrap()
    };
    let sum: u64 = durations.map(micros).sum();
    assert_eq!(sum, 300 * 25 * 1001 * 1_000_000 / 24_000);
    assert!(text.contains("#EXT-X-TARGETDURATION:1\n"));
}

#[test]
fn an_ended_playlist_says_so_and_hints_at_nothing() {
    let timeline = fed(MIDNIGHT, 8);
    let headers = ["init.mp4".to_owned()];
    let media = Media {
        timeline: &timeline,
        headers: &headers,
        protections: &[],
        extension: "m4s",
        others: &[],
        events: &Events::default(),
        ended: true,
    };
    let text = super::media(&media, Edition::LowLatency);
    assert!(text.ends_with("#EXT-X-ENDLIST\n") && !text.contains("PRELOAD-HINT"));
}

#[test]
fn dates_are_listed_and_a_delta_of_dates_leaves_out_old_ones() {
    let timeline = fed(MIDNIGHT, 40);
    let mut events = Events::default();
    let mut tell = |id: u32, second: i64| {
        let found = Found {
            rendition: 0,
            zero_micros: 0,
            segment: Moment { ticks: MIDNIGHT / 2 + second, timescale: 1 },
        };
        let message = Message {
            scheme: "urn:x".to_owned(),
            value: String::new(),
            timescale: 1,
            at: At::AfterStart(1),
            duration: None,
            id,
            data: [].into(),
        };
        events.take(&message, &found);
    };
    tell(1, -60);
    tell(2, 2);
    tell(3, 12);
    let second = |at: i64| (MIDNIGHT / 2 + at) * 1_000_000;
    events.trim(second(0), second(20), 12_000_000);
    let headers = ["init.mp4".to_owned()];
    let media = Media {
        timeline: &timeline,
        headers: &headers,
        protections: &[],
        extension: "m4s",
        others: &[],
        events: &events,
        ended: false,
    };
    let ids = |text: &str| -> Vec<String> {
        let lines =
            text.lines().filter_map(|line| line.strip_prefix("#EXT-X-DATERANGE:ID=\"event-"));
        lines.map(|line| line.split('-').nth(1).unwrap().to_owned()).collect()
    };
    for (edition, version, listed) in [
        (Edition::Plain, 6, &["2", "3"][..]),
        (Edition::LowLatency, 9, &["2", "3"]),
        (Edition::Delta, 9, &["2", "3"]),
        (Edition::DeltaOfDates, 10, &["3"]),
    ] {
        let text = super::media(&media, edition);
        assert!(text.starts_with(&format!("#EXTM3U\n#EXT-X-VERSION:{version}\n")), "{text}");
        assert_eq!(ids(&text), listed, "{text}");
        let says = text.contains("CAN-SKIP-UNTIL=12.0,CAN-SKIP-DATERANGES=YES,HOLD-BACK=6.0");
        assert_eq!(says, edition != Edition::Plain);
        let removed = "\n#EXT-X-SKIP:SKIPPED-SEGMENTS=4,RECENTLY-REMOVED-DATERANGES=\"event-";
        assert_eq!(text.contains(removed), edition == Edition::DeltaOfDates, "{text}");
    }
}

#[test]
fn keys_hold_until_others_do() {
    let mut timeline = fed(MIDNIGHT, 4);
    timeline.change_header(1);
    fixture::feed(&mut timeline, 90_000, MIDNIGHT + 4, 5);
    let headers = ["init-0.mp4".to_owned(), "init-1.mp4".to_owned()];
    let text = |protections: &[Option<Protection>]| {
        let media = Media {
            timeline: &timeline,
            headers: &headers,
            protections,
            extension: "m4s",
            others: &[],
            events: &Events::default(),
            ended: false,
        };
        let text = super::media(&media, Edition::Plain);
        let lines = text.lines().filter(|line| {
            ["#EXT-X-KEY", "#EXT-X-MAP", "#EXT-X-DISC"].iter().any(|tag| line.starts_with(tag))
        });
        lines.map(|line| line[7..].chars().take(14).collect()).collect::<Vec<String>>()
    };
    let protection = || Some(sample(*b"cbcs"));
    let (key, map, apart) = ("KEY:METHOD=SAM", "MAP:URI=\"init-", "DISCONTINUITY");
    assert_eq!(text(&[None, None]), [map, apart, map]);
    assert_eq!(text(&[protection(), None]), [key, key, map, apart, "KEY:METHOD=NON", map]);
    assert_eq!(text(&[None, protection()]), [map, apart, key, key, map]);
    assert_eq!(text(&[protection(), protection()]), [key, key, map, apart, key, key, map]);
}

#[test]
fn behind_what_a_delta_leaves_out_its_keys_end_too() {
    // Ten segments, of which four are left out: those that are encrypted.
    let mut timeline = fed(MIDNIGHT, 16);
    timeline.change_header(1);
    fixture::feed(&mut timeline, 90_000, MIDNIGHT + 16, 24);
    timeline.end_segment();
    let media = Media {
        timeline: &timeline,
        headers: &["init-0.mp4".to_owned(), "init-1.mp4".to_owned()],
        protections: &[Some(sample(*b"cbcs")), None],
        extension: "m4s",
        others: &[],
        events: &Events::default(),
        ended: false,
    };
    let delta = super::media(&media, Edition::Delta);
    let behind = "#EXT-X-SKIP:SKIPPED-SEGMENTS=4\n#EXT-X-DISCONTINUITY\n#EXT-X-KEY:METHOD=NONE\n\
                  #EXT-X-MAP:URI=\"init-1.mp4\"\n";
    assert!(delta.contains(behind), "{delta}");
}

#[test]
fn first_pictures_are_ranges_of_their_segments() {
    let mut timeline = fed(MIDNIGHT, 4);
    timeline.set_key(1234);
    timeline.add_gap();
    fixture::feed(&mut timeline, 90_000, MIDNIGHT + 8, 5);
    check(
        &timeline,
        Edition::KeyFrames,
        "#EXTM3U
#EXT-X-VERSION:6
#EXT-X-TARGETDURATION:2
#EXT-X-MEDIA-SEQUENCE:897825600
#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,HOLD-BACK=6.0
#EXT-X-I-FRAMES-ONLY
#EXT-X-MAP:URI=\"init-0.mp4\"
#EXT-X-PROGRAM-DATE-TIME:2026-11-26T00:00:00.000Z
#EXTINF:2.0,
#EXT-X-BYTERANGE:1234@0
897825600.m4s
#EXT-X-GAP
#EXTINF:2.0,
897825601.m4s
#EXT-X-GAP
#EXTINF:2.0,
897825602.m4s
",
    );
}
