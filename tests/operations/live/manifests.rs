//! What players of DASH and multivariant playlists lead to: names of things that are there.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::boxes::{Chunk, MIDNIGHT, Media, chunk, header, second_of, segment};
use super::http::{self, Answer};
use super::times::date_millis;
use super::{Station, channel, quoted, uris};

#[path = "../../../src/live/playlist/dash/patch/applier.rs"]
mod applier;

/// A second of sound.
fn sound(second: u64) -> Vec<u8> {
    second_of(Media::Sound, second)
}

/// `news` with a picture and a sound.
fn with_sound(seconds: u64) -> Station {
    let station = Station::start(&channel("news"));
    for (name, media) in [("v", Media::Picture), ("a", Media::Sound)] {
        assert_eq!(station.put(&format!("news/{name}/init.mp4"), &header(media)).status, 200);
    }
    for second in MIDNIGHT..MIDNIGHT + seconds {
        station.push(second);
        let answer = station.put(&format!("news/a/{second}.m4s"), &sound(second));
        assert_eq!((answer.status, answer.text()), (200, "taken\n"));
    }
    station.settle();
    station
}

/// Elements in the order in which they begin, each with its attributes; panics unless every one is
/// closed in its place.
fn elements(xml: &str) -> Vec<(&str, &str)> {
    let (mut open, mut elements) = (Vec::new(), Vec::new());
    let (declaration, mut rest) = xml.split_once("?>").expect("a declaration");
    assert_eq!(declaration, "<?xml version=\"1.0\" encoding=\"UTF-8\"");
    while let Some((between, behind)) = rest.split_once('<') {
        let may_say = open.last() == Some(&"PatchLocation");
        assert!(may_say || between.trim().is_empty(), "text: {between}");
        let (tag, behind) = behind.split_once('>').expect("a tag ends");
        rest = behind;
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "{xml}");
            continue;
        }
        let inner = tag.strip_suffix('/').unwrap_or(tag);
        let (name, attributes) = inner.split_once(' ').unwrap_or((inner, ""));
        let mut pieces = attributes.split('"');
        while let (Some(key), Some(_)) = (pieces.next(), pieces.next()) {
            let key = key.trim().strip_suffix('=').unwrap_or_else(|| panic!("{tag}"));
            assert!(key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b':'), "{tag}");
        }
        elements.push((name, attributes));
        if inner == tag {
            open.push(name);
        }
        assert!(elements.len() == 1 || !open.is_empty(), "one element holds all: {xml}");
    }
    assert!(open.is_empty() && rest.trim().is_empty(), "{xml}");
    elements
}

#[test]
fn the_clock_says_the_time_to_the_millisecond() {
    let station = Station::news();
    let seconds = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let before = seconds();
    let answer = station.get("clock");
    let after = seconds();
    assert_eq!(answer.status, 200);
    assert!(answer.header("Cache-Control").is_some_and(|value| value.contains("no-store")));
    // 2026-11-26T00:00:00.000Z
    let text = answer.text().trim_end();
    let pattern: String =
        text.chars().map(|one| if one.is_ascii_digit() { '0' } else { one }).collect();
    assert_eq!(pattern, "0000-00-00T00:00:00.000Z", "{text}");
    // The same moment, as another program counts it.
    let said = Duration::from_millis(date_millis(text).try_into().unwrap());
    let slack = Duration::from_millis(50);
    assert!(before <= said + slack && said <= after + slack, "{before:?} {said:?} {after:?}");
}

#[test]
fn manifests_are_well_formed_and_name_what_is_there() {
    let station = with_sound(4);
    for name in ["manifest.mpd", "ll.mpd"] {
        let answer = station.get(&format!("news/{name}"));
        assert_eq!(
            (answer.status, answer.header("Content-Type")),
            (200, Some("application/dash+xml"))
        );
        let elements = elements(answer.text());
        let attributes = |wanted: &str| {
            let of: Vec<_> = elements.iter().filter(|(name, _)| *name == wanted).collect();
            of.into_iter().map(|(_, attributes)| *attributes).collect::<Vec<_>>()
        };
        let [mpd] = attributes("MPD")[..] else { panic!("{elements:?}") };
        assert_eq!(quoted(mpd, "type"), "dynamic");
        assert_eq!(quoted(mpd, "availabilityStartTime"), "1970-01-01T00:00:00Z");
        assert_eq!(attributes("Period"), ["id=\"0\" start=\"PT0.0S\""]);
        let kinds = attributes("AdaptationSet");
        let kinds: Vec<_> = kinds.iter().map(|set| quoted(set, "contentType")).collect();
        assert_eq!(kinds, ["video", "audio"]);
        // As a player resolves it, beside the manifest.
        let [timing] = attributes("UTCTiming")[..] else { panic!("{elements:?}") };
        assert_eq!(quoted(timing, "value"), "../clock");
        let is_low =
            attributes("SegmentTemplate").iter().all(|one| one.contains("TimeOffset=\"0.5\""));
        assert_eq!(is_low, name == "ll.mpd");
        let templates = attributes("SegmentTemplate");
        let pushed = [segment, sound].map(|of| (0..4).map(|at| of(MIDNIGHT + at)).collect());
        let headers = [Media::Picture, Media::Sound].map(header);
        for ((template, media), header) in templates.iter().zip(pushed).zip(headers) {
            check_template(&station, template, &media, &header);
        }
        let sizes = [segment(MIDNIGHT), sound(MIDNIGHT)].map(|media| media.len() as u64 * 8);
        for (one, bits) in attributes("Representation").into_iter().zip(sizes) {
            // Measured, and rounded up to two digits.
            let bandwidth: u64 = quoted(one, "bandwidth").parse().unwrap();
            assert!((bits..bits + bits / 10 + 1).contains(&bandwidth), "{bandwidth} of {bits}");
        }
        let [picture, _] = attributes("Representation")[..] else { panic!("{elements:?}") };
        let ends = " codecs=\"avc1.4d400a\" width=\"64\" height=\"36\" frameRate=\"50/1\"";
        assert!(picture.ends_with(ends), "{picture}");
        let timelines = attributes("S");
        let expected = [90_000, 48_000]
            .map(|ticks| format!("t=\"{}\" d=\"{ticks}\" r=\"3\"", MIDNIGHT * ticks));
        assert_eq!(timelines, expected, "{name}");
    }
}

/// What a template of DASH leads to: the header and all of these segments.
fn check_template(station: &Station, template: &str, media: &Vec<Vec<u8>>, header: &[u8]) {
    let init = station.get(&format!("news/{}", quoted(template, "initialization")));
    assert!(init.status == 200 && init.body == header, "{template}");
    let media_template = quoted(template, " media");
    let (name, step, first) = if media_template.contains("$Time$") {
        let timescale: u64 = quoted(template, "timescale").parse().unwrap();
        ("$Time$", timescale, MIDNIGHT * timescale)
    } else {
        ("$Number$", 1, quoted(template, "startNumber").parse().unwrap())
    };
    for (at, expected) in (0..).zip(media) {
        let path = media_template.replace(name, &(first + at * step).to_string());
        let answer = station.get(&format!("news/{path}"));
        assert!(answer.status == 200 && answer.body == *expected, "{path}");
    }
}

#[test]
fn a_manifest_lists_a_segment_that_grows_for_low_latency_only() {
    let station = with_sound(2);
    let next = MIDNIGHT + 2;
    station.put(&format!("news/v/{next}.m4s"), &chunk(next * 1000).bytes());
    station.settle();
    let low = station.get("news/ll.mpd");
    assert!(low.text().contains(&format!("t=\"{}\" d=\"90000\" r=\"2\"", MIDNIGHT * 90_000)));
    let plain = station.get("news/manifest.mpd");
    assert!(plain.text().contains(&format!("t=\"{}\" d=\"90000\" r=\"1\"", MIDNIGHT * 90_000)));
    elements(low.text());
    elements(plain.text());
}

#[test]
fn multivariant_playlists_name_what_is_there() {
    let station = with_sound(3);
    for (name, media) in [("master.m3u8", "index.m3u8"), ("ll.m3u8", "ll.m3u8")] {
        let answer = station.get(&format!("news/{name}"));
        let text = answer.text();
        assert_eq!(uris(text), [format!("v/{media}")], "{text}");
        let sound = text.lines().find(|line| line.starts_with("#EXT-X-MEDIA:TYPE=AUDIO")).unwrap();
        assert_eq!(quoted(sound, "URI"), format!("a/{media}"));
        let variant = text.lines().find(|line| line.starts_with("#EXT-X-STREAM-INF:")).unwrap();
        assert_eq!(quoted(variant, "CODECS"), "avc1.4d400a,mp4a.40.2");
        assert!(variant.contains(",RESOLUTION=64x36,FRAME-RATE=50.000,"), "{variant}");
        for rendition in ["v", "a"] {
            let playlist = station.get(&format!("news/{rendition}/{media}"));
            let expected = [0, 1, 2].map(|at| format!("{}.m4s", MIDNIGHT + at));
            assert_eq!(uris(playlist.text()), expected);
        }
    }
    // The sound comes last, so its playlist knows all of the picture.
    let low = station.get("news/a/ll.m3u8");
    let report = "#EXT-X-RENDITION-REPORT:URI=\"../v/ll.m3u8\"";
    let last = format!("{report},LAST-MSN={},LAST-PART=1\n", MIDNIGHT + 2);
    assert!(low.text().ends_with(&last), "{}", low.text());
}

#[test]
fn another_header_of_one_rendition_is_a_discontinuity_of_all() {
    let station = with_sound(2);
    let mut other = header(Media::Picture);
    let avcc = other.windows(4).position(|kind| kind == b"avcC").unwrap();
    other[avcc + 7] = 0x1f;
    assert_eq!(station.put("news/v/init.mp4", &other).status, 200);
    for second in MIDNIGHT + 2..MIDNIGHT + 5 {
        station.push(second);
        assert_eq!(station.put(&format!("news/a/{second}.m4s"), &sound(second)).status, 200);
    }
    station.settle();
    for rendition in ["v", "a"] {
        let plain = station.get(&format!("news/{rendition}/index.m3u8")).text().to_owned();
        let (before, behind) = plain.split_once("#EXT-X-DISCONTINUITY\n").expect("it has one");
        assert!(before.ends_with(&format!("\n{}.m4s\n", MIDNIGHT + 1)), "{plain}");
        assert!(behind.starts_with("#EXT-X-MAP:URI=\"init-"), "{plain}");
    }
    let manifest = station.get("news/manifest.mpd").text().to_owned();
    let begins = format!("<Period id=\"1\" start=\"PT{}.0S\">", MIDNIGHT + 2);
    let (first, second) = manifest.split_once(&begins).expect("there are two");
    let representations = |text: &str| text.matches("<Representation id=").count();
    assert_eq!((representations(first), representations(second)), (2, 2), "{manifest}");
}

#[test]
fn texts_are_gzipped_once_somebody_would_have_them_so() {
    let station = Station::news();
    (0..40).for_each(|at| station.push(MIDNIGHT + at));
    station.settle();
    let head = "GET /tv/news/v/ll.m3u8 HTTP/1.1\r\nHost: tv\r\nAccept-Encoding: gzip\r\n";
    let ask = || http::ask(station.server.public, head, b"").expect("a whole answer");
    let is_gzipped = |answer: &Answer| answer.header("Content-Encoding") == Some("gzip");
    let plain = station.get("news/v/ll.m3u8");
    // Nobody is kept waiting: the first answer is as it is.
    assert!(!is_gzipped(&ask()));
    let gzipped = loop {
        let answer = ask();
        assert!(answer.status == 200 && station.marks.get() < 1000);
        if is_gzipped(&answer) {
            break answer;
        }
        station.settle();
    };
    let mut text = String::new();
    let mut decoder = flate2::read::GzDecoder::new(&gzipped.body[..]);
    std::io::Read::read_to_string(&mut decoder, &mut text).unwrap();
    assert_eq!(text, plain.text());
    assert!(gzipped.body.len() < plain.body.len() / 4, "{}", gzipped.body.len());
    let both = [&gzipped, &station.get("news/v/ll.m3u8")];
    assert_eq!(both.map(|one| one.header("Vary")), [Some("Accept-Encoding"); 2]);
    assert_ne!(both[0].header("ETag"), both[1].header("ETag"));
    assert_eq!(both[1].header("ETag"), plain.header("ETag"));
    // And whoever waits for the next part is released with it.
    let query = format!("?_HLS_msn={}&_HLS_part=0", MIDNIGHT + 40);
    let (address, head) = (station.server.public, head.replace(" HTTP", &format!("{query} HTTP")));
    let waiting = std::thread::spawn(move || http::ask(address, &head, b""));
    station.until_held(1);
    station.push(MIDNIGHT + 40);
    assert!(is_gzipped(&waiting.join().unwrap().expect("a whole answer")));
}

#[test]
fn first_pictures_are_in_the_ranges_that_their_playlist_names() {
    let station = with_sound(3);
    let master = station.get("news/master.m3u8").text().to_owned();
    let line = master.lines().find(|line| line.starts_with("#EXT-X-I-FRAME-STREAM-INF:"));
    let uri = quoted(line.expect("pictures can be wound through"), "URI");
    assert_eq!((uri, master.matches("I-FRAME").count()), ("v/iframes.m3u8", 1), "{master}");
    let playlist = station.get(&format!("news/{uri}")).text().to_owned();
    assert_eq!(uris(&playlist), [0, 1, 2].map(|at| format!("{}.m4s", MIDNIGHT + at)));
    let range = playlist.split("#EXT-X-BYTERANGE:").nth(1).and_then(|rest| rest.split('@').next());
    let size: usize = range.expect("a range").parse().unwrap();
    let segment = segment(MIDNIGHT);
    // One sample of four bytes, behind what tells of it.
    let data = segment.windows(4).position(|kind| kind == b"mdat").unwrap() + 4;
    assert_eq!(size, data + 4, "{playlist}");
    let head = format!(
        "GET /tv/news/v/{MIDNIGHT}.m4s HTTP/1.1\r\nHost: tv\r\nRange: bytes=0-{}\r\n",
        size - 1
    );
    let part = http::ask(station.server.public, &head, b"").expect("a whole answer");
    assert!(part.status == 206 && part.body == segment[..size], "{}", part.status);
    // It is waited for as any playlist is.
    let (next, public) = (MIDNIGHT + 3, station.server.public);
    let path = format!("/tv/news/v/iframes.m3u8?_HLS_msn={next}");
    let held = std::thread::spawn(move || http::get(public, &path));
    station.until_held(1);
    station.push(next);
    let answer = held.join().unwrap();
    assert!(answer.text().ends_with(&format!("\n{next}.m4s\n")), "{}", answer.text());
}

/// Where the manifest of an edition says that changes to it are.
fn place_of_changes(manifest: &str) -> String {
    let (_, behind) = manifest.split_once("<PatchLocation ttl=\"60\">").expect("it has one");
    format!("news/{}", behind.split('<').next().unwrap())
}

#[test]
fn a_patch_makes_of_an_older_manifest_the_newest_one() {
    let station = with_sound(3);
    for name in ["manifest.mpd", "ll.mpd"] {
        let path = format!("news/{name}");
        let second = MIDNIGHT + if name == "ll.mpd" { 5 } else { 3 };
        let old = station.get(&path).text().to_owned();
        let place = place_of_changes(&old);
        // Of the newest one there is nothing to tell: who asks waits for the next one.
        let (public, held_path) = (station.server.public, format!("/tv/{place}"));
        let held = std::thread::spawn(move || http::get(public, &held_path));
        station.until_held(1);
        station.push(second);
        let first = held.join().unwrap();
        assert_eq!(
            (first.status, first.header("Content-Type")),
            (200, Some("application/dash-patch+xml"))
        );
        assert!(first.header("Cache-Control").is_some_and(|value| value.contains("max-age=1")));
        station.push(second + 1);
        assert_eq!(station.put("news/a/1.m4s", &sound(second)).status, 200);
        assert_eq!(station.put("news/a/2.m4s", &sound(second + 1)).status, 200);
        station.settle();
        let new = station.get(&path).text().to_owned();
        let patch = station.get(&place);
        assert_eq!(patch.status, 200);
        assert_eq!(applier::applied(&old, patch.text()), applier::read(&new), "{}", patch.text());
        assert!(patch.body.len() < new.len() && patch.body != first.body);
    }
}

#[test]
fn who_asks_for_a_patch_that_is_not_there_is_told_to_load_the_manifest() {
    let station = with_sound(2);
    let old = station.get("news/manifest.mpd").text().to_owned();
    (2..40).for_each(|at| station.push(MIDNIGHT + at));
    station.settle();
    // Too old; of another server; of a channel of which nothing has come; of one that is none.
    let too_old = place_of_changes(&old);
    for (path, status) in [
        (too_old.as_str(), 200),
        ("news/patch/live-1795651200000-0123456789abcdef.mpp", 200),
        ("news/patch/1.m4s", 404),
        ("news/1.mpp", 404),
        ("olds/patch/live-1-0.mpp", 404),
    ] {
        let answer = station.get(path);
        assert_eq!(answer.status, status, "{path}");
        if status == 200 {
            // A player can see that it is not for its manifest.
            let text = answer.text();
            assert_eq!(answer.header("Content-Type"), Some("application/dash-patch+xml"));
            assert_eq!(quoted(text, "originalPublishTime"), "1970-01-01T00:00:00Z");
            assert_ne!(quoted(text, "mpdId"), quoted(&old, " id"));
        }
    }
}

#[test]
fn a_segment_is_listed_for_low_latency_from_its_first_chunk_on() {
    let station = with_sound(2);
    let next = MIDNIGHT + 2;
    // A picture, as encoders send that are in a hurry: it is no part yet.
    let picture = Chunk { millis: 40, ..chunk(next * 1000) };
    station.put("news/v/2.m4s", &picture.bytes());
    station.settle();
    let low = station.get("news/ll.mpd");
    assert!(low.text().contains(&format!("t=\"{}\" d=\"90000\" r=\"2\"", MIDNIGHT * 90_000)));
    let plain = station.get("news/manifest.mpd");
    assert!(plain.text().contains(&format!("t=\"{}\" d=\"90000\" r=\"1\"", MIDNIGHT * 90_000)));
}
