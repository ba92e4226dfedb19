//! What leaves the window: first the playlists, then what they named, then the memory of it.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;

use super::boxes::{Chunk, MIDNIGHT, Media, chunk, header};
use super::{Station, channel, quoted, uris};

/// `news`, of which ten seconds can be watched.
fn ten_seconds() -> Station {
    let station = Station::start(&format!("{}window = \"10s\"\n", channel("news")));
    assert_eq!(station.put("news/v/init.mp4", &header(Media::Picture)).status, 200);
    station
}

#[test]
fn old_segments_leave_the_playlist_and_later_the_server() {
    let station = ten_seconds();
    (0..60).for_each(|at| station.push(MIDNIGHT + at));
    station.settle();
    let (first, end) = (MIDNIGHT + 50, MIDNIGHT + 60);
    let plain = station.get("news/v/index.m3u8").text().to_owned();
    assert!(plain.contains(&format!("#EXT-X-MEDIA-SEQUENCE:{first}\n")), "{plain}");
    assert!(plain.contains("#EXT-X-PROGRAM-DATE-TIME:2026-11-26T00:00:50.000Z\n"), "{plain}");
    let expected: Vec<_> = (first..end).map(|number| format!("{number}.m4s")).collect();
    assert_eq!(uris(&plain), expected);
    let low = station.get("news/v/ll.m3u8");
    assert_eq!(uris(low.text()), expected);
    let status = |name: String| station.get(&format!("news/v/{name}")).status;
    // For its own duration and that of the longest playlist that named it (RFC 8216bis, 6.2.2).
    let timed = |number: u64| format!("0-{}.m4s", number * 90_000);
    for number in first - 11..end {
        assert_eq!(status(format!("{number}.m4s")), 200, "{number}");
        assert_eq!(status(timed(number)), 200, "{number}");
    }
    for number in MIDNIGHT..first - 20 {
        assert_eq!(status(format!("{number}.m4s")), 404, "{number}");
        assert_eq!(status(timed(number)), 404, "{number}");
    }
    // Parts are listed for three target durations, and stay for three more.
    for number in end - 6..end {
        assert_eq!(status(format!("{number}.1.m4s")), 200, "{number}");
    }
    for number in MIDNIGHT..end - 12 {
        assert_eq!(status(format!("{number}.1.m4s")), 404, "{number}");
    }
    assert_eq!(status(quoted(&plain, "URI").to_owned()), 200, "the header stays");
    let manifest = station.get("news/manifest.mpd");
    let entries = manifest.text().split_once("<S ").expect("a timeline").1;
    assert_eq!(quoted(&format!(" {entries}"), "t"), (first * 90_000).to_string());
    let low = station.get("news/ll.mpd");
    assert_eq!(quoted(low.text(), "startNumber"), first.to_string());
}

/// Bytes of memory in which the server holds live media: files without a name, each of which it has
/// open more than once.
fn held(station: &Station) -> u64 {
    let folder = format!("/proc/{}/fd", station.server.id());
    let mut seen = HashSet::new();
    let entries = fs::read_dir(folder).expect("the server runs").map_while(Result::ok);
    let live = entries.filter(|entry| {
        let target = fs::read_link(entry.path()).unwrap_or_default();
        target.to_string_lossy().contains("shardcast-live")
    });
    let files = live.filter_map(|entry| fs::metadata(entry.path()).ok());
    files.filter(|file| seen.insert(file.ino())).map(|file| file.blocks() * 512).sum()
}

#[test]
fn what_a_channel_holds_does_not_grow_with_what_was_pushed() {
    const SECONDS: u64 = 240;
    let station = ten_seconds();
    // Half a mebibyte a second.
    let large = |start| Chunk { sample_size: 10_000, ..chunk(start) }.bytes();
    let push = |second: u64| {
        let media = [large(second * 1000), large(second * 1000 + 500)].concat();
        let answer = station.put(&format!("news/v/{second}.m4s"), &media);
        assert_eq!((answer.status, answer.text()), (200, "taken\n"), "{second}");
        media.len() as u64
    };
    let mut pushed = 0;
    let mut most = 0;
    for at in 0..SECONDS {
        pushed += push(MIDNIGHT + at);
        most = most.max(held(&station));
    }
    station.settle();
    // 23 segments can be had, the oldest of which hold what lies beside them.
    let one = pushed / SECONDS;
    let last = held(&station);
    assert!(last >= 20 * one, "{last} of {pushed}");
    assert!(most <= pushed / 2, "{most} of {pushed}");
}
