//! Catch-up to the letter, on records of some segments; and by chance, on one of a week.

use std::sync::Arc;

use super::address::{Stretch, Text};
use super::excerpt::{Form, Unwritten, basis, excerpt, form};
use super::fixture::*;
use super::passed::Passed;
use crate::live::protection::{Protection, sample};
use crate::live::record::{NO_HEADER, Record};

const V: Text<'_> = Text::Media("v");
const A: Text<'_> = Text::Media("a");

/// A playlist in short: `MAP 0`, `DATE` with minutes and seconds, `GAP`, `DISC`, `END`, and
/// segments as what their number is above the first of all, with the seconds that they are long.
fn short(playlist: &str) -> String {
    let mut words = Vec::new();
    let mut length = "";
    for line in playlist.lines() {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        match name {
            "#EXTM3U" | "#EXT-X-VERSION" | "#EXT-X-INDEPENDENT-SEGMENTS" | "#EXT-X-START" => {}
            "#EXT-X-TARGETDURATION" => words.push(format!("TARGET {value}")),
            "#EXT-X-PLAYLIST-TYPE" => words.push(value.to_owned()),
            "#EXT-X-MEDIA-SEQUENCE" => {
                words.push(format!("SEQ {}", value.parse::<i64>().unwrap() - FIRST));
            }
            "#EXT-X-DISCONTINUITY-SEQUENCE" => words.push(format!("DSEQ {value}")),
            "#EXT-X-MAP" => {
                let number = value.trim_end_matches(".mp4\"").rsplit('-').next().unwrap();
                words.push(format!("MAP {number}"));
            }
            "#EXT-X-PROGRAM-DATE-TIME" => words.push(format!("DATE {}", &value[14..23])),
            "#EXT-X-GAP" => words.push("GAP".to_owned()),
            "#EXT-X-DISCONTINUITY" => words.push("DISC".to_owned()),
            "#EXT-X-ENDLIST" => words.push("END".to_owned()),
            "#EXTINF" => length = value.trim_end_matches(','),
            uri => {
                let number = uri.trim_end_matches(".m4s").rsplit('/').next().unwrap();
                let number = number.parse::<i64>().unwrap() - FIRST;
                words.push(format!("{number}/{length}"));
            }
        }
    }
    words.join(" ")
}

#[track_caller]
fn check(record: &Record, stretch: Stretch, of: Text<'_>, now: i64, expected: &str) {
    let found = text(record, stretch, of, now).expect("there is something");
    assert_eq!(short(&found), expected);
}

#[test]
fn a_stretch_of_the_past_is_a_vod_of_the_segments_that_cover_it() {
    let record = record(10);
    let stretch = between(3, 8);
    assert_eq!(
        text(&record, stretch, V, 999).unwrap(),
        "#EXTM3U
#EXT-X-VERSION:6
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-TARGETDURATION:2
#EXT-X-PLAYLIST-TYPE:VOD
#EXT-X-MEDIA-SEQUENCE:897825601
#EXT-X-MAP:URI=\"../../../v/init-0.mp4\"
#EXT-X-PROGRAM-DATE-TIME:2026-11-26T00:00:02.000Z
#EXTINF:2.0,
../../../v/897825601.m4s
#EXTINF:2.0,
../../../v/897825602.m4s
#EXTINF:2.0,
../../../v/897825603.m4s
#EXT-X-ENDLIST
"
    );
    // The third sound ends 21 ms behind the picture.
    let sound = "TARGET 2 VOD SEQ 1 MAP 0 DATE 00:02.005 1/2.005333 2/1.984 3/2.005334 END";
    check(&record, stretch, A, 999, sound);
    assert_eq!(
        text(&record, stretch, Text::Multivariant, 999).unwrap(),
        "#EXTM3U
#EXT-X-VERSION:6
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio0\",NAME=\"a\",LANGUAGE=\"de\",DEFAULT=YES,AUTOSELECT=YES,CHANNELS=\"2\",URI=\"a/media.m3u8\"
#EXT-X-STREAM-INF:BANDWIDTH=1030000,AVERAGE-BANDWIDTH=928000,CODECS=\"avc1.4d401e,mp4a.40.2\",RESOLUTION=640x360,FRAME-RATE=25.000,AUDIO=\"audio0\"
v/media.m3u8
"
    );
}

#[test]
fn a_stretch_of_the_past_is_a_static_mpd() {
    assert_eq!(
        text(&record(10), between(3, 8), Text::Manifest, 999).unwrap(),
        r#"<?xml version="1.0" encoding="UTF-8"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="urn:mpeg:dash:profile:isoff-live:2011" type="static" mediaPresentationDuration="PT5.994667S" minBufferTime="PT2S" maxSegmentDuration="PT2S">
 <Period id="0" start="PT0.0S" duration="PT5.994667S">
  <AdaptationSet id="0" contentType="video" mimeType="video/mp4" segmentAlignment="true" startWithSAP="1">
   <Representation id="v" bandwidth="900000" codecs="avc1.4d401e" width="640" height="360" frameRate="25/1">
    <SegmentTemplate timescale="90000" presentationTimeOffset="161608608180479" startNumber="897825601" initialization="../../v/init-0.mp4" media="../../v/$Number$.m4s">
     <SegmentTimeline>
      <S t="161608608180000" d="180000" r="2"/>
     </SegmentTimeline>
    </SegmentTemplate>
   </Representation>
  </AdaptationSet>
  <AdaptationSet id="1" contentType="audio" mimeType="audio/mp4" segmentAlignment="true" startWithSAP="1" lang="de">
   <Representation id="a" bandwidth="130000" codecs="mp4a.40.2">
    <AudioChannelConfiguration schemeIdUri="urn:mpeg:dash:23003:3:audio_channel_configuration:2011" value="2"/>
    <SegmentTemplate timescale="48000" presentationTimeOffset="86191257696255" startNumber="897825601" initialization="../../a/init-0.mp4" media="../../a/$Number$.m4s">
     <SegmentTimeline>
      <S t="86191257696256" d="96256"/>
      <S d="95232"/>
      <S d="96256"/>
     </SegmentTimeline>
    </SegmentTemplate>
   </Representation>
  </AdaptationSet>
 </Period>
</MPD>
"#
    );
}

#[test]
fn a_stretch_is_cut_to_what_is_kept() {
    let record = record(3);
    let all = "TARGET 2 VOD SEQ 0 MAP 0 DATE 00:00.000 0/2.0 1/2.0 2/2.0 END";
    check(&record, between(-50, 100), V, 999, all);
    check(&record, between(0, 6), V, 999, all);
    let first = "TARGET 2 VOD SEQ 0 MAP 0 DATE 00:00.000 0/2.0 END";
    check(&record, between(-50, 2), V, 999, first);
    check(&record, between(1, 2), V, 999, first);
    check(&record, between(5, 100), V, 999, "TARGET 2 VOD SEQ 2 MAP 0 DATE 00:04.000 2/2.0 END");
    for nothing in [between(-50, -40), between(-1, 0), between(7, 10)] {
        assert_eq!(text(&record, nothing, V, 999), None);
    }
    assert_eq!(text(&record, between(0, 6), Text::Media("x"), 999), None);
    let mut gaps = record;
    gaps.renditions
        .iter_mut()
        .for_each(|one| one.segments.iter_mut().for_each(|kept| kept.size = 0));
    assert_eq!(text(&gaps, between(0, 6), V, 999), None, "nothing can be played");
}

#[test]
fn a_stretch_that_is_not_over_grows_until_all_renditions_have_come_to_its_end() {
    let mut record = record(2);
    let stretch = between(1, 5);
    let start = "EVENT SEQ 0 MAP 0 DATE 00:00.000";
    check(&record, stretch, V, 4, &format!("TARGET 2 {start} 0/2.0 1/2.0"));
    let found = text(&record, stretch, V, 4).unwrap();
    assert!(found.contains("#EXT-X-PLAYLIST-TYPE:EVENT\n#EXT-X-START:TIME-OFFSET=0\n"), "{found}");
    let whole = kept(&record.renditions[0], FIRST + 2);
    record.renditions[0].segments.push(whole);
    check(&record, stretch, V, 6, &format!("TARGET 2 {start} 0/2.0 1/2.0 2/2.0"));
    // The sound has not come so far. When it is too late for it to come, nothing is waited for.
    check(
        &record,
        stretch,
        A,
        124,
        "TARGET 2 EVENT SEQ 0 MAP 0 DATE 00:00.000 0/2.005333 1/2.005333",
    );
    let all = "TARGET 2 VOD SEQ 0 MAP 0 DATE 00:00.000 0/2.0 1/2.0 2/2.0 END";
    check(&record, stretch, V, 125, all);
    let whole = kept(&record.renditions[1], FIRST + 2);
    record.renditions[1].segments.push(whole);
    check(&record, stretch, V, 6, all);
}

#[test]
fn a_rendition_that_has_ended_before_is_not_waited_for_nor_listed() {
    let mut record = record(10);
    record.renditions[1].segments.truncate(2);
    assert_eq!(form(&record, between(8, 20), at(10)), Form::Complete);
    assert_eq!(form(&record, between(2, 20), at(10)), Form::Growing, "it has something of it");
    let found = text(&record, between(8, 20), Text::Multivariant, 10).unwrap();
    assert!(!found.contains("a/media.m3u8"), "{found}");
    let found = text(&record, between(8, 20), Text::Manifest, 10).unwrap();
    assert!(!found.contains("audio") && found.contains("PT12.0S"), "{found}");
}

#[test]
fn what_grows_and_then_is_complete_has_one_clock_in_dash() {
    let mut record = record(3);
    let stretch = between(3, 5);
    record.renditions[1].segments.truncate(2);
    let growing = text(&record, stretch, Text::Manifest, 6).unwrap();
    let head = "type=\"dynamic\" id=\"catch-up\" availabilityStartTime=\"2026-11-26T00:00:02.005Z\" \
                publishTime=\"2026-11-26T00:00:06.000Z\" minimumUpdatePeriod=\"PT2S\" \
                timeShiftBufferDepth=\"PT3.994667S\" suggestedPresentationDelay=\"PT6S\"";
    assert!(growing.contains(head), "{growing}");
    let clock =
        "<UTCTiming schemeIdUri=\"urn:mpeg:dash:utc:http-iso:2014\" value=\"../../../clock\"/>";
    assert!(growing.contains(clock), "{growing}");
    let whole = kept(&record.renditions[1], FIRST + 2);
    record.renditions[1].segments.push(whole);
    let complete = text(&record, stretch, Text::Manifest, 6).unwrap();
    assert!(complete.contains("type=\"static\"") && !complete.contains("UTCTiming"), "{complete}");
    for same in ["<Period id=\"0\" start=\"PT0.0S\"", "presentationTimeOffset=\"161608608180479\""]
    {
        assert!(growing.contains(same) && complete.contains(same), "{same}: {growing}{complete}");
    }
}

/// Ten segments; behind the fourth the channel had another header and another clock.
fn torn() -> Record {
    let mut record = record(10);
    for one in &mut record.renditions {
        one.headers.push(header(1, None));
        for kept in &mut one.segments[4..] {
            (kept.header, kept.origin.zero_micros) = (1, 100_000_000);
            kept.number += 5;
        }
        one.segments[4].discontinuity = true;
        one.segments[2].size = 0;
    }
    record
}

#[test]
fn discontinuities_headers_and_gaps_are_said_where_they_are() {
    let record = torn();
    let behind = "DISC MAP 1 DATE 01:48.000 9/2.0 10/2.0";
    let before = "MAP 0 DATE 00:02.000 1/2.0 GAP 2/2.0 3/2.0";
    check(&record, between(3, 112), V, 999, &format!("TARGET 2 VOD SEQ 1 {before} {behind} END"));
    // The same in the other rendition, and nothing of it in what begins behind it.
    let sound = "MAP 0 DATE 00:02.005 1/2.005333 GAP 2/1.984 3/2.005334 \
                 DISC MAP 1 DATE 01:48.000 9/2.005333 10/2.005333";
    check(&record, between(3, 112), A, 999, &format!("TARGET 2 VOD SEQ 1 {sound} END"));
    let alone = "TARGET 2 VOD SEQ 9 MAP 1 DATE 01:48.000 9/2.0 10/2.0 END";
    check(&record, between(50, 112), V, 999, alone);
    let found = text(&record, between(3, 112), Text::Manifest, 999).unwrap();
    for part in [
        "mediaPresentationDuration=\"PT10.005333S\"",
        "<Period id=\"0\" start=\"PT0.0S\" duration=\"PT5.994667S\">",
        "<FCS t=\"161608608360000\" d=\"180000\"/>",
        "<Period id=\"1\" start=\"PT5.994667S\" duration=\"PT4.010666S\">",
        "presentationTimeOffset=\"161608608720000\" startNumber=\"897825609\" \
         initialization=\"../../v/init-1.mp4\"",
    ] {
        assert!(found.contains(part), "{part}: {found}");
    }
}

#[test]
fn what_is_encrypted_says_so_until_it_is_not() {
    let tags = ["#EXT-X-KEY", "#EXT-X-MAP", "#EXT-X-DISC"];
    let found = |protections: [Option<Protection>; 2], stretch| {
        let mut record = torn();
        let [first, second] = protections.map(|protection| protection.map(Arc::new));
        for one in &mut record.renditions {
            one.headers[0].protection.clone_from(&first);
            one.headers[1].protection.clone_from(&second);
        }
        let media = text(&record, stretch, V, 999).unwrap();
        let lines = media.lines().filter(|line| tags.iter().any(|tag| line.starts_with(tag)));
        let lines: Vec<_> = lines.map(|line| line[7..].chars().take(14).collect()).collect();
        (lines, text(&record, stretch, Text::Manifest, 999).unwrap())
    };
    let (key, map, apart) = ("KEY:METHOD=SAM", "MAP:URI=\"../..", "DISCONTINUITY");
    let both = between(3, 112);
    let cenc = || Some(sample(*b"cenc"));
    let check = |protections, stretch, expected: &[&str], elements: usize| {
        let (lines, manifest): (Vec<String>, String) = found(protections, stretch);
        assert_eq!(lines, expected);
        assert_eq!(manifest.matches("<ContentProtection ").count(), elements, "{manifest}");
    };
    check([None, None], both, &[map, apart, map], 0);
    check([cenc(), None], both, &[key, key, map, apart, "KEY:METHOD=NON", map], 2 * 3);
    check([None, cenc()], both, &[map, apart, key, key, map], 2 * 3);
    check([cenc(), cenc()], both, &[key, key, map, apart, key, key, map], 4 * 3);
    check([None, cenc()], between(50, 112), &[key, key, map], 2 * 3);
}

#[test]
fn each_of_a_set_says_how_it_is_encrypted_where_they_differ() {
    let mut record = record(4);
    record.renditions.insert(1, video("w"));
    record.renditions[1].segments = record.renditions[0].segments.clone();
    let manifest = |record: &Record| text(record, between(0, 8), Text::Manifest, 999).unwrap();
    record.renditions[0].headers[0] = header(0, Some(sample(*b"cenc")));
    let found = manifest(&record);
    assert!(found.contains("<Representation id=\"v\""), "{found}");
    assert_eq!(found.matches("    <ContentProtection ").count(), 3, "{found}");
    record.renditions[1].headers[0] = header(0, Some(sample(*b"cenc")));
    let found = manifest(&record);
    assert_eq!(found.matches("\n   <ContentProtection ").count(), 3, "{found}");
}

#[test]
fn renditions_have_the_same_discontinuities() {
    // The picture's header changed, the sound went on.
    let mut record = record(6);
    record.renditions[0].headers.push(header(1, None));
    record.renditions[0].segments[3..].iter_mut().for_each(|kept| kept.header = 1);
    let picture = "MAP 0 DATE 00:04.000 2/2.0 DISC MAP 1 DATE 00:06.000 3/2.0 END";
    check(&record, between(4, 8), V, 999, &format!("TARGET 2 VOD SEQ 2 {picture}"));
    let sound = "MAP 0 DATE 00:04.010 2/1.984 DISC MAP 0 DATE 00:05.994 3/2.005334 END";
    check(&record, between(5, 7), A, 999, &format!("TARGET 2 VOD SEQ 2 {sound}"));
    // A stretch whose start lies between the picture's and the sound's beginning.
    record.renditions[1].segments.drain(..3);
    let sound = "DSEQ 1 MAP 0 DATE 00:05.994 3/2.005334 END";
    check(&record, between(5, 8), A, 999, &format!("TARGET 2 VOD SEQ 3 {sound}"));
    let found = text(&record, between(5, 8), Text::Manifest, 999).unwrap();
    assert_eq!(found.matches("<Period ").count(), 2, "{found}");
    assert_eq!(found.matches("contentType=\"audio\"").count(), 1, "{found}");
}

#[test]
fn what_was_not_kept_is_a_gap_or_where_that_cannot_be_a_discontinuity() {
    let mut record = record(12);
    for one in &mut record.renditions {
        one.segments.drain(3..5);
    }
    let gaps = "2/2.0 GAP 3/2.0 GAP 4/2.0 5/2.0";
    let start = "TARGET 2 VOD SEQ 2 MAP 0 DATE 00:04.000";
    check(&record, between(4, 12), V, 999, &format!("{start} {gaps} END"));
    let gaps = "2/1.984 GAP 3/2.005334 GAP 4/2.005333 5/2.005333";
    let sound = "TARGET 2 VOD SEQ 2 MAP 0 DATE 00:04.010";
    check(&record, between(5, 12), A, 999, &format!("{sound} {gaps} END"));
    // A number is left out, but no time: a server that was started again did so.
    for one in &mut record.renditions {
        one.segments[3..].iter_mut().for_each(|kept| kept.number += 100);
        for kept in &mut one.segments[3..] {
            kept.start.ticks -= 4 * i64::from(kept.start.timescale);
        }
    }
    let behind = "DISC MAP 0 DATE 00:06.000 105/2.0";
    check(&record, between(4, 8), V, 999, &format!("{start} 2/2.0 {behind} END"));
}

#[test]
fn a_date_is_said_again_behind_what_was_torn() {
    let mut record = record(4);
    record.renditions[0].segments[1].duration = 90_000;
    let all = "0/2.0 1/1.0 DATE 00:04.000 2/2.0 3/2.0 END";
    check(
        &record,
        between(0, 8),
        V,
        999,
        &format!("TARGET 2 VOD SEQ 0 MAP 0 DATE 00:00.000 {all}"),
    );
}

#[test]
fn a_complete_playlist_is_as_long_as_its_longest_segment_and_what_grows_never_changes() {
    let mut record = record(3);
    record.renditions[1].segments[1].duration = 48_000 * 3;
    for of in [V, A] {
        let found = text(&record, between(0, 6), of, 999).unwrap();
        assert!(found.contains("#EXT-X-TARGETDURATION:3\n"), "{found}");
        let found = text(&record, between(0, 60), of, 6).unwrap();
        assert!(found.contains("#EXT-X-TARGETDURATION:2\n"), "{found}");
    }
}

/// The record's window of four hours after it has come so far.
fn rewound(record: &Record, count: usize, of: Text<'_>, passed: &mut Passed) -> String {
    let mut record = record.clone();
    for one in &mut record.renditions {
        one.segments.truncate(count);
    }
    passing(&record, Stretch::Rewind, of, 0, passed).unwrap()
}

#[test]
fn a_window_of_hours_slides_and_its_numbers_go_on() {
    let mut record = record(7220);
    for one in &mut record.renditions {
        // Numbers leave out ten, and the media's clock is another, in the sixth segment.
        for kept in &mut one.segments[5..] {
            kept.number += 10;
            kept.origin.zero_micros = 1_000_000;
        }
        one.segments[5].discontinuity = true;
    }
    let mut passed = Passed::default();
    let head = |text: String| {
        let text = short(&text);
        let until = text.find("/2.0").unwrap_or(text.len());
        let rest = if text.contains("DISC") { " … DISC" } else { "" };
        text[..until].to_owned() + rest
    };
    let mut heads = |count| {
        // As it is after a restart.
        passed = Passed::of_text(&passed.text()).unwrap();
        head(rewound(&record, count, V, &mut passed))
    };
    assert_eq!(heads(3), "TARGET 2 SEQ 0 MAP 0 DATE 00:00.000 0");
    assert_eq!(heads(7000), "TARGET 2 SEQ 0 MAP 0 DATE 00:00.000 0 … DISC");
    assert_eq!(heads(7204), "TARGET 2 SEQ 4 MAP 0 DATE 00:08.000 4 … DISC");
    // The discontinuity is gone, and ten numbers with it: what is left keeps its sequence number.
    assert_eq!(heads(7205), "TARGET 2 SEQ 5 DSEQ 1 MAP 0 DATE 00:11.000 15");
    assert_eq!(heads(7220), "TARGET 2 SEQ 20 DSEQ 1 MAP 0 DATE 00:41.000 30");
    let manifest = rewound(&record, 7220, Text::Manifest, &mut passed);
    let period = "<Period id=\"1\" start=\"PT1795651211.0S\">";
    assert!(manifest.contains(period) && manifest.contains("timeShiftBufferDepth=\"PT14400.0S\""));
    assert!(manifest.contains("presentationTimeOffset=\"161608608900000\""), "{manifest}");
}

#[test]
fn a_text_stays_while_what_it_depends_on_does() {
    let mut record = record(10);
    let ended = between(2, 9);
    let before = |record: &Record| {
        [(ended, V), (between(2, 60), V), (Stretch::Rewind, V), (Stretch::Rewind, A)]
            .map(|(stretch, of)| basis(record, stretch, of, at(20)))
    };
    let first = before(&record);
    let whole = kept(&record.renditions[0], FIRST + 10);
    record.renditions[0].segments.push(whole);
    let second = before(&record);
    let changed = [0, 1, 2, 3].map(|which| first[which] != second[which]);
    assert_eq!(
        changed,
        [false, true, true, false],
        "what is past, what grows, a window, another's"
    );
    record.renditions[0].segments.drain(..3);
    assert_ne!(before(&record)[0], second[0], "what it lists is kept no longer");
    assert_ne!(basis(&record, between(2, 60), V, at(180)).form, second[1].form, "it is over");
}

/// Numbers that look like chance, the same each time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: i64) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        i64::try_from(self.0 % limit.unsigned_abs()).unwrap()
    }
}

#[test]
fn any_start_and_length_of_a_week_lists_the_covering_segments() {
    const WEEK: i64 = 7 * 86_400;
    let record = record(WEEK / 2);
    let mut chance = Chance(0x5eed_0001);
    for _ in 0..60 {
        let start = chance.below(WEEK + 200) - 100;
        let reach = if chance.below(8) == 0 { 86_400 } else { 3_000 };
        let length = 1 + chance.below(reach);
        let stretch = between(start, start + length);
        let covers = |begin: i64, end: i64| begin < at(start + length) && end > at(start);
        for (one, of) in record.renditions.iter().zip([V, A]) {
            let covering = one.segments.iter().filter(|kept| {
                let (begin, end) = kept.unix_micros();
                covers(begin, end)
            });
            let covering: Vec<_> = covering.collect();
            let what = format!("{start}-{length} {of:?}");
            let Some(playlist) = text(&record, stretch, of, 2 * WEEK) else {
                assert!(covering.is_empty(), "{what}");
                continue;
            };
            let uris: Vec<_> = playlist.lines().filter(|line| !line.starts_with('#')).collect();
            let expected =
                covering.iter().map(|kept| format!("../../../{}/{}.m4s", one.name, kept.number));
            assert!(uris.iter().copied().eq(expected), "{what}");
            assert!(covering.windows(2).all(|pair| pair[1].number == pair[0].number + 1), "{what}");
            let lengths = playlist.lines().filter_map(|line| line.strip_prefix("#EXTINF:"));
            let micros = lengths.map(|line| {
                let (whole, part) = line.trim_end_matches(',').split_once('.').unwrap();
                whole.parse::<i64>().unwrap() * 1_000_000
                    + format!("{part:0<6}").parse::<i64>().unwrap()
            });
            let (first, last) = (covering[0], covering[covering.len() - 1]);
            assert_eq!(micros.sum::<i64>(), last.unix_micros().1 - first.unix_micros().0, "{what}");
            let sequence = format!("#EXT-X-MEDIA-SEQUENCE:{}\n", first.number);
            assert!(
                playlist.contains(&sequence) && playlist.ends_with("#EXT-X-ENDLIST\n"),
                "{what}"
            );
        }
    }
}

#[test]
fn of_transport_streams_there_is_hls_without_headers_and_no_dash() {
    let mut record = record(4);
    record.renditions.truncate(1);
    let video = &mut record.renditions[0];
    video.segments[..2].iter_mut().for_each(|kept| kept.header = NO_HEADER);
    assert_eq!(
        text(&record, between(0, 4), V, 999).unwrap(),
        "#EXTM3U
#EXT-X-VERSION:6
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-TARGETDURATION:2
#EXT-X-PLAYLIST-TYPE:VOD
#EXT-X-MEDIA-SEQUENCE:897825600
#EXT-X-PROGRAM-DATE-TIME:2026-11-26T00:00:00.000Z
#EXTINF:2.0,
../../../v/897825600.ts
#EXTINF:2.0,
../../../v/897825601.ts
#EXT-X-ENDLIST
"
    );
    // An encoder that pushes boxes from then on.
    let mixed = text(&record, between(0, 8), V, 999).unwrap();
    let (of_ts, of_boxes) = mixed.split_once("#EXT-X-DISCONTINUITY\n").unwrap();
    assert!(of_ts.ends_with("01.ts\n") && !of_ts.contains("MAP"), "{of_ts}");
    assert!(of_boxes.starts_with("#EXT-X-MAP:URI=\"../../../v/init-0.mp4\"\n"), "{of_boxes}");
    let of_dash = |until| excerpt(&record, between(0, until), at(999)).unwrap().of_dash();
    assert_eq!(of_dash(4).unwrap_err(), Unwritten::Nothing);
    let of_boxes = of_dash(8).unwrap();
    let numbers: Vec<_> =
        of_boxes.renditions[0].segments.iter().map(|kept| kept.number - FIRST).collect();
    assert_eq!(numbers, [2, 3]);
}
