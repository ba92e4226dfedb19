//! What is counted goes on after `kill -9`: discontinuities of what is live, and of the rewind.

use super::boxes::{MIDNIGHT, Media, encrypted_header, header, segment};
use super::{Station, kept, past, quoted};

/// The line that says how many discontinuities there were before.
fn count(playlist: &str) -> Option<&str> {
    let lines = &mut playlist.lines();
    lines.find_map(|line| line.strip_prefix("#EXT-X-DISCONTINUITY-SEQUENCE:"))
}

/// The first Period of a manifest.
fn period(manifest: &str) -> &str {
    manifest.lines().find(|line| line.starts_with(" <Period ")).expect("a manifest has one")
}

#[test]
fn discontinuities_are_counted_on_after_kill_9() {
    let station = Station::news();
    (0..2).for_each(|at| station.push(MIDNIGHT + at));
    let encrypted = encrypted_header(b"cbcs");
    assert_eq!(station.put("news/v/init.mp4", &encrypted).status, 200);
    (2..4).for_each(|at| station.push(MIDNIGHT + at));
    let newest = |at: u64| format!("\n{}.m4s\n", MIDNIGHT + at);
    let playlist = station.until_says("news/v/index.m3u8", &newest(3));
    assert!(count(&playlist).is_none() && playlist.contains("DISCONTINUITY\n"), "{playlist}");
    let manifest = station.until_says("news/manifest.mpd", "<Period id=\"1\"");
    let second = manifest.lines().find(|line| line.starts_with(" <Period id=\"1\""));
    let second = second.expect("it was just found").to_owned();
    station.until_remembered("stretch 1 ");

    // The same encoder goes on.
    let station = station.killed();
    assert_eq!(station.put("news/v/init.mp4", &encrypted).status, 200);
    (4..6).for_each(|at| station.push(MIDNIGHT + at));
    for name in ["index.m3u8", "ll.m3u8"] {
        let playlist = station.until_says(&format!("news/v/{name}"), &newest(5));
        assert_eq!(count(&playlist), Some("1"), "{playlist}");
        assert!(!playlist.contains("DISCONTINUITY\n"), "{playlist}");
    }
    let manifest = station.until_says("news/manifest.mpd", "<Period ");
    assert_eq!(period(&manifest), second, "it begins where it began");

    // One with another header does not.
    let station = station.killed();
    assert_eq!(station.put("news/v/init.mp4", &header(Media::Picture)).status, 200);
    station.push(MIDNIGHT + 6);
    let playlist = station.until_says("news/v/index.m3u8", &newest(6));
    assert_eq!(count(&playlist), Some("2"), "{playlist}");
}

#[test]
fn a_clock_that_is_another_after_kill_9_is_a_discontinuity() {
    let station = Station::news();
    let begin = |station: &Station, second: u64| {
        assert_eq!(station.put("news/v/init.mp4", &header(Media::Picture)).status, 200);
        assert_eq!(station.put("news/v/1.m4s", &segment(second)).status, 200);
        station.until_says("news/v/index.m3u8", ".m4s\n")
    };
    assert_eq!(count(&begin(&station, 0)), None);
    station.until_remembered("media v ");
    let station = station.killed();
    assert_eq!(count(&begin(&station, 100)), Some("1"));
    station.until_remembered("stretch 1 ");
    let station = station.killed();
    assert_eq!(count(&begin(&station, 101)), Some("1"), "it goes on");
}

#[test]
fn the_numbers_of_a_rewind_go_on_after_kill_9() {
    // Four hours and more ago, so that what began then has left the window by now.
    let from = past() - 5 * 3600;
    let station = Station::start(&kept("news", "required"));
    assert_eq!(station.put("news/v/init.mp4", &header(Media::Picture)).status, 200);
    (0..2).for_each(|at| station.push_durable(from + at));
    let other = encrypted_header(b"cbcs");
    assert_eq!(station.put("news/v/init.mp4", &other).status, 200);
    (2..4).for_each(|at| station.push_durable(from + at));
    let newest = |at: u64| format!("/{}.m4s\n", from + at);
    let rewind = "news/rewind/v/media.m3u8";
    assert_eq!(count(&station.until_says(rewind, &newest(3))), None);
    // What is missing before it is too much for gaps, so its number follows on the last one.
    let later = 4 * 3600 + 1;
    station.push_durable(from + later);
    let before = station.until_says(rewind, &newest(4));
    assert_eq!(count(&before), Some("1"), "{before}");
    let manifest = station.until_says("news/rewind/manifest.mpd", "</MPD>");

    let station = station.started_again();
    assert_eq!(station.until_says(rewind, &newest(4)), before);
    let again = station.until_says("news/rewind/manifest.mpd", "</MPD>");
    assert_eq!(period(&again), period(&manifest));
    assert_eq!(station.put("news/v/init.mp4", &other).status, 200);
    station.push_durable(from + later + 1);
    let after = station.until_says(rewind, &newest(later + 1));
    assert_eq!(count(&after), Some("1"), "{after}");
    assert_eq!(quoted(&after, "URI"), quoted(&before, "URI"));
}
