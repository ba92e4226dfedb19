//! Names as encoders give them.

use super::*;

/// Kind, folder and stem, and whether it is a transport stream.
fn described(path: &str, media_type: Option<&str>) -> String {
    let Upload { kind, track, is_ts } = upload(path, media_type);
    let ts = if is_ts { " ts" } else { "" };
    format!("{kind:?} {}|{}{ts}", track.folder, track.stem.concat())
}

#[track_caller]
fn check(cases: &[(&str, &str)]) {
    for (path, expected) in cases {
        assert_eq!(described(path, None), *expected, "{path}");
    }
}

#[track_caller]
fn check_match(cases: &[(&str, &str, Match)]) {
    for (header, media, expected) in cases {
        let (header_of, media_of) = (upload(header, None), upload(media, None));
        assert_eq!(header_of.kind, Kind::Header, "{header}");
        assert_eq!(media_of.kind, Kind::Media, "{media}");
        assert_eq!(media_of.track.matches(&header_of.track), *expected, "{header} {media}");
    }
}

#[test]
fn encoders_name_their_files_like_this() {
    check(&[
        // ffmpeg -f dash.
        ("manifest.mpd", "Manifest |manifest"),
        ("init-stream0.m4s", "Header |stream0"),
        ("chunk-stream0-00001.m4s", "Media |stream0"),
        // ffmpeg -f hls, fMP4.
        ("v0/index.m3u8", "Playlist v0|index"),
        ("v0/init.mp4", "Header v0|"),
        ("init_0.mp4", "Header |0"),
        ("v0/index12.m4s", "Media v0|index"),
        ("stream_0/data000012.m4s", "Media stream_0|"),
        ("live_0_12.m4s", "Media |live_0"),
        // ffmpeg -f hls, transport stream.
        ("v0/index12.ts", "Media v0|index ts"),
        // Shaka Packager.
        ("video/init.mp4", "Header video|"),
        ("video/12.m4s", "Media video|"),
        ("h264_360p/init.mp4", "Header h264_360p|"),
        ("h264_360p_12.m4s", "Media |h264_360p"),
        // GPAC.
        ("live_dash_track1_init.mp4", "Header |live_dash_track1"),
        ("live_dash_track1_12.m4s", "Media |live_dash_track1"),
        // DASH-IF ingest.
        ("video-1/init.cmfv", "Header video-1|"),
        ("video-1/12345.cmfv", "Media video-1|"),
        ("Streams(video-1.cmfv)", "Stream |video-1"),
        ("Switching(x)/Streams(y.cmfv)", "Stream Switching(x)|y"),
        ("live.isml/Streams(video)", "Stream live.isml|video"),
        ("video.cmfv", "Stream |video"),
        ("video", "Stream |video"),
        // livesim2.
        ("V300/init.mp4", "Header V300|"),
        ("V300/1234.m4s", "Media V300|"),
    ]);
}

#[test]
fn a_header_finds_its_media() {
    use Match::{Exact, No, SameFolder};
    check_match(&[
        ("init-stream0.m4s", "chunk-stream0-00001.m4s", Exact),
        ("init-stream1.m4s", "chunk-stream0-00001.m4s", No),
        ("v0/init.mp4", "v0/index12.m4s", SameFolder),
        ("v1/init.mp4", "v0/index12.m4s", No),
        ("v0/init_0.mp4", "v0/index12.m4s", SameFolder),
        ("init_0.mp4", "live_0_12.m4s", Exact),
        ("init_1.mp4", "live_0_12.m4s", No),
        // Not the number 10.
        ("init_0.mp4", "live_10_12.m4s", No),
        ("init.mp4", "live_0_12.m4s", SameFolder),
        ("stream_0/init.mp4", "stream_0/data000012.m4s", Exact),
        ("video/init.mp4", "video/12.m4s", Exact),
        ("h264_360p/init.mp4", "h264_360p_12.m4s", Exact),
        ("h264_720p/init.mp4", "h264_360p_12.m4s", No),
        ("live_dash_track1_init.mp4", "live_dash_track1_12.m4s", Exact),
        ("live_dash_track1_init.mp4", "live_dash_track2_12.m4s", No),
        ("video-1/init.cmfv", "video-1/12345.cmfv", Exact),
        ("video-1/init.cmfv", "video-2/12345.cmfv", No),
        ("a/video-1.init", "a/video-1-7.cmfv", Exact),
        ("V300/init.mp4", "V300/1234.m4s", Exact),
        // What was taken out stood in different places.
        ("live_init_hd.mp4", "live_hd_12.m4s", Exact),
        ("live_hd_init.mp4", "live_12_hd.m4s", Exact),
    ]);
}

#[test]
fn words_and_numbers_stand_by_themselves() {
    check(&[
        ("initial.mp4", "Stream |initial"),
        ("videoinit.mp4", "Stream |videoinit"),
        ("init0.mp4", "Header |0"),
        ("INIT.MP4", "Header |"),
        ("header-a.m4s", "Header |a"),
        ("a.header", "Header |a"),
        ("a-init.init", "Header |a"),
        ("segment12.m4s", "Media |"),
        ("Seg-12.m4s", "Media |"),
        ("segments12.m4s", "Media |segments"),
        ("frag.a.12.m4s", "Media |a"),
        ("media_12_a.m4s", "Media |a"),
        ("video_1080p.cmfv", "Stream |video_1080p"),
        ("12_1080p.m4s", "Media |1080p"),
        // Of two separators one stays.
        ("a-init_b.mp4", "Header |a_b"),
        ("a__12.m4s", "Media |a_"),
        // Not ASCII.
        ("ä/ü-init-ß.mp4", "Header ä|ü-ß"),
        ("ä/ü12ß.m4s", "Media ä|üß"),
        // Transport streams have no headers.
        ("init_12.ts", "Media |init ts"),
        ("live.ts", "Stream |live ts"),
        ("Streams(a.ts)", "Stream |a ts"),
    ]);
}

#[test]
fn without_an_extension_a_name_is_a_track() {
    check(&[
        ("", "Probe |"),
        ("/", "Probe |"),
        ("video-1", "Stream |video-1"),
        ("a/video-1/", "Stream a|video-1"),
        ("video-1/12345", "Media video-1|"),
        ("video-1/segment_12345", "Media video-1|"),
        ("video-1/init", "Header video-1|"),
        ("a.key", "Key |a"),
        ("notes.txt", "Unknown |notes.txt"),
    ]);
}

#[test]
fn a_name_that_looks_like_a_segment_may_be_a_track() {
    let track = upload("a/video-1.cmfv", None).track;
    assert_eq!((track.name().as_str(), track.whole().name().as_str()), ("a-video", "a-video-1"));
}

#[test]
fn the_type_decides_where_the_extension_does_not() {
    let cases = [
        ("live", "application/vnd.apple.mpegURL", "Playlist |live"),
        ("live", "application/x-mpegURL; charset=utf-8", "Playlist |live"),
        ("live", "application/dash+xml", "Manifest |live"),
        ("live.x", "Video/MP4 ;a=b", "Stream |live.x"),
        ("live/12", "video/iso.segment", "Media live|"),
        ("live", "video/mp2t", "Stream |live ts"),
        ("Streams(live)", "video/mp2t", "Stream |live ts"),
        ("live", "application/x-www-form-urlencoded", "Stream |live"),
        ("live", "application/octet-stream", "Stream |live"),
        ("live.x", "application/octet-stream", "Unknown |live.x"),
        ("live.mpd", "video/mp4", "Manifest |live"),
        ("live1.m4s", "video/mp2t", "Media |live"),
    ];
    for (path, media_type, expected) in cases {
        assert_eq!(described(path, Some(media_type)), expected, "{path} {media_type}");
    }
}

#[test]
fn renditions_are_named_for_urls() {
    let long = format!("{}/init-{}.mp4", "a".repeat(80), "b".repeat(60));
    let cut = format!("aaa-{}", "b".repeat(60));
    let dashed = format!("a/init-{}.mp4", "b".repeat(63));
    let cases = [
        ("init-stream0.m4s", "stream0"),
        ("v0/init.mp4", "v0"),
        ("video/init.mp4", "video"),
        ("v0/stream.mp4", "v0"),
        ("stream.mp4", "stream"),
        ("a/b/init-x.mp4", "a-b-x"),
        ("init.mp4", "main"),
        ("ü/init.mp4", "main"),
        ("Streams(video-1.cmfv)", "video-1"),
        ("Switching(x)/Streams(y.cmfv)", "x-y"),
        ("live.isml/Streams(video)", "live-isml-video"),
        ("a b/--init.mp4", "a-b"),
        ("h264_360p_12.m4s", "h264_360p"),
        (&long, &cut),
        (&dashed, &"b".repeat(63)),
    ];
    for (path, expected) in cases {
        assert_eq!(upload(path, None).track.name(), expected, "{path}");
    }
}

#[test]
fn no_name_can_break_it() {
    // All names of up to four of these, which cut each other's words and characters.
    let pieces = ["init", "seg", "1", "-", "ü", "/", "Streams(", ")", ".mp4"];
    let mut paths = vec![String::new()];
    for _ in 0..4 {
        let longer = paths.iter().flat_map(|path| pieces.map(|piece| format!("{path}{piece}")));
        paths = longer.collect();
        for path in &paths {
            let track = upload(path, Some("video/mp4")).track;
            let name = track.name();
            assert!((1..=NAME_SIZE_MAX).contains(&name.len()), "{path}");
            let is_clean = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
            assert!(name.bytes().all(is_clean), "{path}: {name}");
            assert_eq!(track.matches(&track), Match::Exact, "{path}");
        }
    }
}

#[test]
fn a_type_that_no_encoder_sends_is_foreign() {
    for (media_type, expected) in [
        ("text/html", true),
        ("image/png; a=b", true),
        ("application/json", true),
        ("", false),
        ("application/octet-stream", false),
        ("Application/X-WWW-form-urlencoded", false),
        ("video/mp4; codecs=avc1", false),
        ("VIDEO/MP2T", false),
        ("application/dash+xml", false),
    ] {
        assert_eq!(is_foreign(media_type), expected, "{media_type}");
    }
}
