//! A day of a channel, looked at again and again, against one that is counted on.

use std::collections::BTreeMap;

use super::*;
use crate::live::playlist::linear;

mod day;

/// 2026-11-26T00:00:00Z.
const MIDNIGHT: u64 = 1_795_651_200 * SECOND;
const SECOND: u64 = 1_000_000_000;

/// What ffmpeg's packager writes: 9 s of pictures, and a sound in uneven segments.
const NINE: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period id="0" start="PT0.0S">
<AdaptationSet id="0" contentType="video" frameRate="25/1">
<Representation id="0" mimeType="video/mp4" codecs="avc1.64000c" bandwidth="297564" width="320" height="180">
<SegmentTemplate timescale="12800" initialization="init-$RepresentationID$.mp4" media="seg-$RepresentationID$-$Number%05d$.m4s" startNumber="1">
<SegmentTimeline><S t="0" d="25600" r="3" /><S d="12800" /></SegmentTimeline></SegmentTemplate></Representation>
</AdaptationSet>
<AdaptationSet id="1" contentType="audio" lang="deu">
<Representation id="1" mimeType="audio/mp4" codecs="mp4a.40.2" bandwidth="129492">
<AudioChannelConfiguration schemeIdUri="urn:mpeg:dash:23003:3:audio_channel_configuration:2011" value="2" />
<SegmentTemplate timescale="48000" initialization="init-$RepresentationID$.mp4" media="seg-$RepresentationID$-$Number%05d$.m4s" startNumber="1">
<SegmentTimeline><S t="0" d="92160" /><S d="96256" r="2" /><S d="51200" /></SegmentTimeline></SegmentTemplate></Representation>
</AdaptationSet></Period></MPD>"#;

/// 4.004 s at 24000/1001, with a sound that is longer, and a second picture.
fn four() -> String {
    let video = r#"<SegmentTemplate timescale="24000" initialization="i.mp4" media="$RepresentationID$/$Time$.m4s">
        <SegmentTimeline><S t="1001" d="48048" r="1"/></SegmentTimeline></SegmentTemplate>"#;
    let sound = r#"<SegmentTemplate timescale="48000" initialization="a.mp4" media="a$Number$.m4s" startNumber="0">
        <SegmentTimeline><S t="0" d="96000" r="2"/></SegmentTimeline></SegmentTemplate>"#;
    let of = |id: u8| {
        format!("<Representation id=\"{id}\" bandwidth=\"400000\">{video}</Representation>")
    };
    format!(
        "<MPD><Period><AdaptationSet mimeType=\"video/mp4\">{}{}</AdaptationSet>\
         <AdaptationSet mimeType=\"audio/mp4\"><Representation id=\"1\">{sound}</Representation>\
         </AdaptationSet></Period></MPD>",
        of(0),
        of(7),
    )
}

/// These assets, one after the other.
fn in_a_loop(assets: Vec<Asset>, window: u64) -> Result<(Schedule, Vec<String>), Unfit> {
    let list: Vec<_> = (0..assets.len()).map(|asset| Entry { asset, at: None }).collect();
    Schedule::new(assets, &list, window)
}

fn schedule() -> Schedule {
    let assets = vec![
        Asset::read("films/nine", NINE).unwrap(),
        Asset::read("films/f\u{f6}ur", &four()).unwrap(),
        Asset::read("films/nine", NINE).unwrap(),
    ];
    let (schedule, left_out) = in_a_loop(assets, 20 * SECOND).unwrap();
    assert_eq!(left_out, ["v7"]);
    schedule
}

/// Everything that a playlist says of a segment: number, passes before it, date, URI.
type Line = (u64, u64, String, String);

/// A media playlist, read as a player does.
fn read(text: &str) -> Vec<Line> {
    let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    let number = value("#EXT-X-MEDIA-SEQUENCE:").parse::<u64>().unwrap();
    let mut sequence = value("#EXT-X-DISCONTINUITY-SEQUENCE:").parse::<u64>().unwrap();
    let (mut header, mut date, mut lines) = (String::new(), None, Vec::new());
    for line in text.lines() {
        if line == "#EXT-X-DISCONTINUITY" {
            sequence += 1;
        } else if let Some(uri) = line.strip_prefix("#EXT-X-MAP:URI=") {
            header = uri.to_owned();
        } else if let Some(of) = line.strip_prefix("#EXT-X-PROGRAM-DATE-TIME:") {
            date = Some(of.to_owned());
        } else if !line.starts_with('#') {
            let number = number + lines.len() as u64;
            let date = date.take().unwrap_or_default();
            lines.push((number, sequence, date, format!("{header} {line}")));
        }
    }
    lines
}

#[test]
fn a_day_is_the_same_from_wherever_it_is_looked_at() {
    let (one, other) = (schedule(), schedule());
    let mut known: [BTreeMap<u64, (u64, String)>; 2] = Default::default();
    let mut newest = [0; 2];
    let mut now = MIDNIGHT;
    while now < MIDNIGHT + 86_400 * SECOND {
        for track in 0..2 {
            let text = linear::media(&one, track, now);
            // The other server is started at noon.
            if now >= MIDNIGHT + 43_200 * SECOND {
                assert_eq!(text, linear::media(&other, track, now));
            }
            let lines = read(&text);
            assert!(lines.len() >= 3);
            let last = lines.last().unwrap().0;
            assert!(last >= newest[track], "numbers never go back");
            newest[track] = last;
            for (number, sequence, _, uri) in lines {
                let before = known[track].insert(number, (sequence, uri.clone()));
                assert!(before.is_none_or(|before| before == (sequence, uri)), "{number}");
            }
        }
        now += 6_700_000_000;
    }
    for (known, a_loop) in known.iter().zip([12, 12]) {
        let numbers: Vec<_> = known.keys().copied().collect();
        assert!(numbers.is_sorted_by(|one, next| one + 1 == *next), "none is left out");
        let sequences: Vec<_> = known.values().map(|one| one.0).collect();
        assert!(sequences.is_sorted_by(|one, next| *next == *one || *next == one + 1));
        // The loop is 22.004 s.
        let loops = 86_400_000 / 22_004;
        assert!(numbers.len().abs_diff(loops * a_loop) <= 2 * a_loop, "{}", numbers.len());
    }
}

/// The same, counted on from one loop to the next: what a server would do that had run since 1970,
/// here from a loop near midnight.
#[test]
fn numbers_and_dates_are_those_of_one_that_has_always_run() {
    let schedule = schedule();
    let a_loop = 22_004_000_000;
    let first = MIDNIGHT / a_loop;
    // Milliseconds of segments' starts in a pass.
    let starts: [&[u64]; 3] =
        [&[0, 2000, 4000, 6000, 8000], &[0, 2002], &[0, 2000, 4000, 6000, 8000]];
    let (mut number, mut sequence) = (first * 12, first * 3);
    let mut expected = BTreeMap::new();
    for round in 0..3 {
        let mut start = (first + round) * a_loop / 1_000_000;
        for (of, length) in starts.iter().zip([9000, 4004, 9000]) {
            for at in *of {
                expected.insert(number, (sequence, start + at));
                number += 1;
            }
            sequence += 1;
            start += length;
        }
    }
    for step in 0..60 {
        let now = (first + 1) * a_loop + step * SECOND / 2;
        for pass in schedule.listed(0, now) {
            for (at, segment) in pass.segments.clone().enumerate() {
                let of = expected.get(&(pass.first_number + at as u64));
                let date = pass.start_of(segment) / 1_000_000;
                assert!(of.is_none_or(|of| *of == (pass.number, date)), "{step}: {of:?} {date}");
            }
        }
        let listed = schedule.listed(0, now);
        let last = listed.last().unwrap();
        let next = last.first_number + last.segments.len() as u64;
        let next_start = expected.get(&next).unwrap();
        assert!(next_start.1 * 1_000_000 + 2 * SECOND + 2_000_000 > now, "{step}");
        let change = schedule.next_change(0, now);
        assert!(change > now && change <= now + 3 * SECOND, "{step}");
        let count = |at: u64| schedule.listed(0, at).last().unwrap().segments.end;
        assert_eq!(count(change - 1), count(now), "{step}");
        assert_ne!(count(change), count(now), "{step}");
    }
}

#[test]
fn a_playlist_to_the_letter() {
    // The second loop, 5 s into its second pass's successor.
    let now = 22_004_000_000 + 13_004_000_000 + 3 * SECOND;
    let (schedule, _) = in_a_loop(schedule().assets, 8 * SECOND).unwrap();
    assert_eq!(
        linear::media(&schedule, 0, now),
        "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:2\n#EXT-X-INDEPENDENT-SEGMENTS\n\
         #EXT-X-MEDIA-SEQUENCE:15\n#EXT-X-DISCONTINUITY-SEQUENCE:3\n\
         #EXT-X-MAP:URI=\"../../../vod/films/nine/init-0.mp4\"\n\
         #EXT-X-PROGRAM-DATE-TIME:1970-01-01T00:00:28.004Z\n\
         #EXTINF:2.0,\n../../../vod/films/nine/seg-0-00004.m4s\n\
         #EXTINF:1.0,\n../../../vod/films/nine/seg-0-00005.m4s\n\
         #EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"../../../vod/films/f%C3%B6ur/i.mp4\"\n\
         #EXT-X-PROGRAM-DATE-TIME:1970-01-01T00:00:31.004Z\n\
         #EXTINF:2.002,\n../../../vod/films/f%C3%B6ur/0/1001.m4s\n\
         #EXTINF:2.002,\n../../../vod/films/f%C3%B6ur/0/49049.m4s\n\
         #EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"../../../vod/films/nine/init-0.mp4\"\n\
         #EXT-X-PROGRAM-DATE-TIME:1970-01-01T00:00:35.008Z\n\
         #EXTINF:2.0,\n../../../vod/films/nine/seg-0-00001.m4s\n"
    );
    let manifest = linear::manifest(&schedule, now, "../clock");
    let document = roxmltree::Document::parse(&manifest).unwrap();
    let all = |name: &str, attribute: &str| {
        let of = document.descendants().filter(|node| node.tag_name().name() == name);
        let of = of.map(|node| node.attribute(attribute).unwrap_or_default().to_owned());
        of.collect::<Vec<_>>()
    };
    assert_eq!(all("Period", "id"), ["3", "4", "5"]);
    assert_eq!(all("Period", "start"), ["PT22.004S", "PT31.004S", "PT35.008S"]);
    assert_eq!(all("SegmentTemplate", "presentationTimeOffset"), ["0", "0", "1001", "0", "0", "0"]);
    assert_eq!(all("SegmentTemplate", "startNumber")[0], "4");
    let media = all("SegmentTemplate", "media");
    assert_eq!(media[0], "../../vod/films/nine/seg-0-$Number%05d$.m4s");
    assert_eq!(media[2], "../../vod/films/f%C3%B6ur/0/$Time$.m4s");
}

#[test]
fn a_set_has_one_number_in_all_periods() {
    let (schedule, _) = in_a_loop(schedule().assets, 8 * SECOND).unwrap();
    let mut periods = 0;
    for step in 0..220 {
        let manifest = linear::manifest(&schedule, MIDNIGHT + step * SECOND / 10, "../clock");
        let document = roxmltree::Document::parse(&manifest).unwrap();
        let of = |name: &'static str| move |node: &roxmltree::Node<'_, '_>| node.has_tag_name(name);
        for period in document.descendants().filter(of("Period")) {
            let sets = period.children().filter(of("AdaptationSet"));
            let sets = sets.map(|set| (set.attribute("id"), set.attribute("contentType")));
            let sets: Vec<_> = sets.collect();
            let (video, audio) = ((Some("0"), Some("video")), (Some("1"), Some("audio")));
            // Also where a sound's segment ends before the picture's, and is listed before it.
            assert_eq!(sets, [video, audio]);
            periods += 1;
        }
    }
    assert!(periods > 220);
}

#[test]
fn texts_are_subtitles() {
    let assets = vec![Asset::read("a", &NINE.replace("audio", "text")).unwrap()];
    let (schedule, _) = in_a_loop(assets, SECOND).unwrap();
    let manifest = linear::manifest(&schedule, MIDNIGHT, "../clock");
    assert!(manifest.contains("contentType=\"text\" mimeType=\"application/mp4\""), "{manifest}");
    assert!(manifest.contains("role:2011\" value=\"subtitle\"/>"), "{manifest}");
}

#[test]
fn what_can_be_no_channel_is_refused_with_a_sentence() {
    let refused = |text: &str| Asset::read("a", text).unwrap_err().0;
    assert!(refused("nonsense").starts_with("the manifest is no XML"));
    assert_eq!(refused("<MPD/>"), "it has no Period");
    assert_eq!(refused("<MPD><Period/></MPD>"), "it has no renditions");
    assert_eq!(refused("<MPD><Period/><Period/></MPD>"), "it has several Periods");
    for (from, to, why) in [
        ("d=\"25600\"", "d=\"0\"", "rendition 0: its timeline can't be"),
        ("r=\"3\"", "r=\"99999999\"", "rendition 0: its timeline can't be"),
        ("timescale=\"12800\"", "timescale=\"0\"", "rendition 0: its timescale is no number"),
        ("seg-$Rep", "http://x/$Rep", "rendition 0: its URLs are not relative"),
        ("id=\"0\" mimeType", "id=\"../0\" mimeType", "rendition ../0: its id is no name"),
    ] {
        assert_eq!(refused(&NINE.replace(from, to)), why);
    }
    let no_sound = NINE.replace("audio", "text");
    let assets = vec![Asset::read("a", NINE).unwrap(), Asset::read("b", &no_sound).unwrap()];
    let (schedule, left_out) = in_a_loop(assets, SECOND).unwrap();
    assert_eq!((schedule.tracks().len(), left_out), (1, vec!["a1".to_owned(), "t1".to_owned()]));
    assert!(in_a_loop(Vec::new(), SECOND).is_err());
}
