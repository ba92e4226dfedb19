//! When something is: as ffmpeg presents it, in HLS, in DASH and in what is past.

use std::process::Command;

use super::remux::{Media, media};
use super::{Station, kept, quoted, uris};

/// A picture and a sound, as ffmpeg makes both. Pictures are shown in another order than decoded,
/// and the sound begins with what nobody hears, so that both have an edit list, whose media begins
/// 1,024 ticks behind its start.
fn made() -> Media {
    let made = media(5);
    for header in &made.headers {
        let at = header.windows(4).position(|kind| kind == b"elst").expect("an edit list");
        assert_eq!(header[at + 8..at + 20], [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 4, 0]);
    }
    made
}

/// When the first of a segment is presented, as ffprobe says, in milliseconds of its media.
fn presented(header: &[u8], segment: &[u8]) -> i64 {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), [header, segment].concat()).unwrap();
    let mut ffprobe = Command::new("ffprobe");
    ffprobe.args(["-v", "error", "-show_entries", "packet=pts_time", "-of", "csv=p=0"]);
    let output = ffprobe.arg(file.path()).output().expect("it is installed");
    let text = String::from_utf8(output.stdout).unwrap();
    let millis = |line: &str| (line.trim_end_matches(',').parse::<f64>().unwrap() * 1e3).round();
    // What lies before the start of the edit is not presented.
    let start = text.lines().map(|line| millis(line) as i64).min().expect("there are packets");
    start.max(0)
}

/// Milliseconds of Unix time at a date, as another program counts them.
pub fn date_millis(text: &str) -> i64 {
    let output = Command::new("date").args(["-u", "+%s%3N", "-d", text]).output();
    String::from_utf8(output.unwrap().stdout).unwrap().trim().parse().unwrap()
}

/// Milliseconds of Unix time at which a playlist has its segments.
fn of_playlist(text: &str) -> Vec<i64> {
    let mut at = None;
    let mut found = Vec::new();
    for line in text.lines() {
        if let Some(date) = line.strip_prefix("#EXT-X-PROGRAM-DATE-TIME:") {
            at = Some(date_millis(date) as f64);
        } else if let Some(duration) = line.strip_prefix("#EXTINF:") {
            let at = at.as_mut().expect("the first segment has a date");
            found.push(at.round() as i64);
            *at += duration.trim_end_matches(',').parse::<f64>().unwrap() * 1e3;
        }
    }
    found
}

/// The same of a rendition in a manifest: milliseconds of its media, and of Unix time.
fn of_manifest(text: &str, rendition: &str, period_millis: i64) -> Vec<(i64, i64)> {
    let (_, one) = text.split_once(&format!("<Representation id=\"{rendition}\"")).unwrap();
    let one = one.split("</Representation>").next().unwrap();
    let number = |text: &str, name: &str| quoted(text, name).parse::<i64>().unwrap();
    let (timescale, offset) = (number(one, "timescale"), number(one, "presentationTimeOffset"));
    let millis = |ticks: i64| (ticks as f64 * 1e3 / timescale as f64).round() as i64;
    let (mut found, mut at) = (Vec::new(), 0);
    for entry in one.split("<S ").skip(1) {
        let entry = entry.split("/>").next().unwrap();
        if entry.starts_with("t=") {
            at = number(entry, "t");
        }
        let repeated = if entry.contains(" r=") { number(entry, " r") } else { 0 };
        for _ in 0..=repeated {
            found.push((millis(at), period_millis + millis(at - offset)));
            at += number(entry, "d");
        }
    }
    found
}

/// When the only Period of a manifest begins, and, of a static one, nothing.
fn period_millis(text: &str) -> i64 {
    let (_, period) = text.split_once("<Period ").unwrap();
    let seconds = quoted(period, "start").trim_start_matches("PT").trim_end_matches('S');
    (seconds.parse::<f64>().unwrap() * 1e3).round() as i64
}

#[track_caller]
fn check_same(one: &[i64], other: &[i64], what: &str) {
    // Playlists say milliseconds; media has ticks.
    let is_same =
        one.len() == other.len() && one.iter().zip(other).all(|(a, b)| (a - b).abs() <= 1);
    assert!(is_same, "{what}: {one:?} {other:?}");
}

/// A rendition's playlist, where its first name leads: ffmpeg's chunks are longer than parts were
/// meant to be, and if those of the sound come much later than the picture's, it has another name.
fn index(station: &Station, folder: &str) -> String {
    let first = station.get(&format!("{folder}/index.m3u8"));
    match first.header("Location") {
        Some(name) => station.get(&format!("{folder}/{name}")).text().to_owned(),
        None => first.text().to_owned(),
    }
}

#[test]
fn what_is_presented_has_one_time_in_hls_in_dash_and_in_the_past() {
    let station = Station::start(&kept("news", "required"));
    let made = made();
    made.push_headers(&station);
    made.push(&station, 0..5);
    station.settle();
    let manifest = station.get("news/manifest.mpd").text().to_owned();
    let start = period_millis(&manifest);
    for (name, pushed) in ["v", "a"].into_iter().zip(&made.headers) {
        let header = station.get(&format!("news/{}", quoted(&manifest, "initialization")));
        assert!(name == "a" || header.body == *pushed, "headers are not rewritten");
        let index = index(&station, &format!("news/{name}"));
        let dates = of_playlist(&index);
        let listed = of_manifest(&manifest, name, start);
        assert!(listed.len() >= 4, "{manifest}");
        let unix: Vec<_> = listed.iter().map(|(_, unix)| *unix).collect();
        check_same(&dates, &unix, name);
        // What ffmpeg presents: its own reading of the edit list.
        let names = uris(&index);
        let shown =
            |uri: &&str| presented(pushed, &station.get(&format!("news/{name}/{uri}")).body);
        let of_media: Vec<_> = listed.iter().map(|(media, _)| *media).collect();
        check_same(&of_media, &names.iter().map(shown).collect::<Vec<_>>(), name);
        // A picture that is asked for by its time is in the segment that has it.
        for (at, uri) in names.iter().enumerate().skip(1) {
            let second = dates[at].div_euclid(1000) + 1;
            // Sounds of ffmpeg may be a few hundredths shorter than a second.
            let end = dates.get(at + 1).copied().unwrap_or(dates[at] + 950);
            if end <= second * 1000 + 1 {
                continue;
            }
            let folder = format!("news/archive/{second}-1");
            let past = station.get(&format!("{folder}/{name}/media.m3u8")).text().to_owned();
            assert_eq!(uris(&past)[0], format!("../../../{name}/{uri}"), "{past}");
            let date = past.lines().find_map(|line| line.strip_prefix("#EXT-X-PROGRAM-DATE-TIME:"));
            check_same(&[date_millis(date.expect("it has a date"))], &dates[at..=at], &past);
            let text = station.get(&format!("{folder}/manifest.mpd")).text().to_owned();
            let of_past = of_manifest(&text, name, 0);
            check_same(&[of_past[0].0], &of_media[at..=at], &text);
        }
    }
}
