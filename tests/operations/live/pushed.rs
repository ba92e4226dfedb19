//! Playlists that encoders push beside their media, before it or behind.

use std::time::{Duration, Instant, SystemTime};

use super::boxes::{MIDNIGHT, Media, header, salted_segment, segment};
use super::transport::{encoder, published, push, segments, station};
use super::{Station, channel, uris};

#[test]
fn a_discontinuity_is_where_the_playlist_says_although_times_go_on() {
    let station = station();
    let segments = segments(5);
    push(&station, &segments[..2]);
    let list = |text: &str| {
        assert_eq!(station.put("news/s.m3u8", text.as_bytes()).status, 200);
    };
    // What is published stays as it is.
    list("#EXTM3U\n#EXTINF:1,\ns0.ts\n#EXT-X-DISCONTINUITY\n#EXTINF:1,\ns1.ts\n");
    // This one comes before its segment.
    list("#EXTM3U\n#EXTINF:1,\ns1.ts\n#EXT-X-DISCONTINUITY\n#EXTINF:1,\ns3.ts\n");
    for (at, segment) in segments.iter().enumerate().skip(2) {
        assert_eq!(station.put(&format!("news/s{at}.ts"), segment).status, 200, "{at}");
    }
    assert_eq!(published(&station, "s", 5).len(), 5);
    let plain = station.get("news/s/index.m3u8").text().to_owned();
    let (before, behind) = plain.split_once("#EXT-X-DISCONTINUITY\n").expect("there is one");
    assert_eq!((uris(before).len(), uris(behind).len()), (3, 2), "{plain}");
    assert!(!behind.contains("DISCONTINUITY") && !plain.contains("#EXT-X-GAP"), "{plain}");
}

#[test]
fn boxes_have_the_same_and_it_is_not_said_twice() {
    let station = Station::news();
    station.push(MIDNIGHT);
    let list = format!("#EXTM3U\n{MIDNIGHT}.m4s\n#EXT-X-DISCONTINUITY\n{}.m4s\n", MIDNIGHT + 1);
    for second in MIDNIGHT + 1..MIDNIGHT + 4 {
        assert_eq!(station.put("news/v/index.m3u8", list.as_bytes()).status, 200);
        station.push(second);
    }
    let last = format!("{}.m4s", MIDNIGHT + 3);
    let plain = station.until_says("news/v/index.m3u8", &last);
    assert_eq!(plain.matches("#EXT-X-DISCONTINUITY\n").count(), 1, "{plain}");
    let (_, behind) = plain.split_once("#EXT-X-DISCONTINUITY\n").expect("there is one");
    assert_eq!(uris(behind), [1, 2, 3].map(|at| format!("{}.m4s", MIDNIGHT + at)), "{plain}");
}

/// A date as encoders write it, with a zone.
fn date(unix: u64) -> String {
    let (year, month, day) = shardcast::units::civil(unix / 86_400);
    let seconds = unix % 86_400;
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
}

#[test]
fn a_date_of_the_playlist_is_the_date_of_media_with_a_clock_of_its_own() {
    // A date is believed within 5 s of our clock. If this machine is slower than that, again.
    let ids = ["a", "b", "c", "d"];
    let station = Station::start(&ids.map(channel).concat());
    for id in ids {
        let began = Instant::now();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let said = date(now + 3);
        station.put(&format!("{id}/v/init.mp4"), &header(Media::Picture));
        let list =
            format!("#EXTM3U\n#EXT-X-PROGRAM-DATE-TIME:{said}.250+0000\n#EXTINF:1,\n5.m4s\n");
        assert_eq!(station.put(&format!("{id}/v/index.m3u8"), list.as_bytes()).status, 200);
        for second in 5..8 {
            let path = format!("{id}/v/{second}.m4s");
            assert_eq!(station.put(&path, &segment(second)).status, 200);
        }
        let has_three = |answer: &super::Answer| uris(answer.text()).len() == 3;
        let plain = station.until(&format!("{id}/v/index.m3u8"), has_three);
        if began.elapsed() < Duration::from_secs(7) {
            let expected = format!("#EXT-X-PROGRAM-DATE-TIME:{said}.250Z\n");
            assert!(plain.text().contains(&expected), "{said}: {}", plain.text());
            return;
        }
    }
    panic!("this machine is too slow to say anything");
}

#[test]
fn a_new_manifest_says_that_its_encoder_has_begun_again() {
    let station = Station::news();
    let manifest = |start: &str| {
        let text = format!(
            "<MPD availabilityStartTime=\"{start}\"><Period id=\"0\" start=\"PT0S\"/></MPD>"
        );
        assert_eq!(station.put("news/manifest.mpd", text.as_bytes()).status, 200);
    };
    let push = |second: u64, salt: u8| {
        let answer = station.put(&format!("news/v/{second}.m4s"), &salted_segment(second, salt));
        assert_eq!(answer.status, 200);
        answer.text().to_owned()
    };
    manifest("2026-11-26T00:00:00Z");
    (0..3).for_each(|second| assert_eq!(push(second, 0), "taken\n"));
    // Updated, it says nothing new: what goes back is of a time that has gone by.
    manifest("2026-11-26T00:00:00Z");
    assert!(push(0, 1).starts_with("ignored: "));
    manifest("2026-11-26T00:00:10Z");
    (0..3).for_each(|second| assert_eq!(push(second, 1), "taken\n"));
    let has_six = |answer: &super::Answer| uris(answer.text()).len() == 6;
    let plain = station.until("news/v/index.m3u8", has_six).text().to_owned();
    let (before, behind) = plain.split_once("#EXT-X-DISCONTINUITY\n").expect("there is one");
    assert_eq!((uris(before).len(), uris(behind).len()), (3, 3), "{plain}");
}

#[test]
fn a_language_that_only_the_manifest_says_is_told_to_players() {
    let dir = tempfile::tempdir().unwrap();
    let mut ffmpeg = encoder(6);
    ffmpeg.args(["-metadata:s:a:0", "language=swe", "-map", "0", "-map", "1", "-f", "dash"]);
    ffmpeg.args(["-seg_duration", "1"]).arg(dir.path().join("m.mpd"));
    assert!(ffmpeg.status().expect("ffmpeg is installed").success());
    let station = Station::start(&channel("news"));
    let put = |name: &str| {
        let file = std::fs::read(dir.path().join(name)).unwrap();
        assert_eq!(station.put(&format!("news/{name}"), &file).status, 200, "{name}");
    };
    let put_segments = |numbers: std::ops::Range<u32>| {
        for number in numbers {
            (0..2).for_each(|stream| put(&format!("chunk-stream{stream}-{number:05}.m4s")));
        }
    };
    ["init-stream0.m4s", "init-stream1.m4s"].into_iter().for_each(put);
    put_segments(1..4);
    let master = station.until("news/master.m3u8", |answer| answer.status == 200);
    assert!(!master.text().contains("LANGUAGE"), "headers say none: {}", master.text());
    put("m.mpd");
    put_segments(4..7);
    let (in_hls, in_dash) = (",LANGUAGE=\"swe\",", " lang=\"swe\"");
    station.until("news/master.m3u8", |answer| answer.text().contains(in_hls));
    station.until("news/manifest.mpd", |answer| answer.text().contains(in_dash));
}
