//! A folder that an encoder of this machine writes.

use std::fs::{self, File};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;

use super::boxes::{MIDNIGHT, Media, halves, header, segment};
use super::{Station, channel, http, uris};
use crate::running::{Place, Running, serve, until};

/// Writes beside the name and renames, as encoders do.
fn rename_in(folder: &Path, name: &str, bytes: &[u8]) {
    let beside = folder.join(format!("{name}.tmp"));
    fs::write(&beside, bytes).unwrap();
    fs::rename(beside, folder.join(name)).unwrap();
}

/// A server with a channel that has this folder.
fn watching(root: &Path) -> Station {
    Station::start(&(channel("news") + &format!("folder = {:?}\n", root.to_str().unwrap())))
}

#[test]
fn what_is_closed_or_renamed_into_a_folder_is_published() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("enc");
    let video = root.join("v");
    fs::create_dir_all(&video).unwrap();
    // A header is of use when the server comes later; media of before is not.
    fs::write(video.join("init.mp4"), header(Media::Picture)).unwrap();
    fs::write(video.join("1.m4s"), segment(MIDNIGHT - 100)).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", video.join("9.m4s")).unwrap();
    let station = watching(&root);
    rename_in(&video, "2.m4s", &segment(MIDNIGHT));
    fs::write(video.join("index.m3u8"), "#EXTM3U\n").unwrap();
    station.until_says("news/v/index.m3u8", &format!("{MIDNIGHT}.m4s"));
    rename_in(&video, "3.m4s", &segment(MIDNIGHT + 1));
    rename_in(&video, "4.m4s", b"no boxes at all");
    // What the playlist beside it says is heeded, too.
    let list = "#EXTM3U\n3.m4s\n#EXT-X-DISCONTINUITY\n5.m4s\n";
    rename_in(&video, "index.m3u8", list.as_bytes());
    rename_in(&video, "5.m4s", &segment(MIDNIGHT + 2));
    let plain = station.until_says("news/v/index.m3u8", &format!("{}.m4s", MIDNIGHT + 2));
    assert_eq!(uris(&plain), [0, 1, 2].map(|at| format!("{}.m4s", MIDNIGHT + at)));
    let (_, behind) = plain.split_once("#EXT-X-DISCONTINUITY\n").expect("there is one");
    assert_eq!(uris(behind), [format!("{}.m4s", MIDNIGHT + 2)], "{plain}");
    for at in 0..3 {
        let whole = station.get(&format!("news/v/{}.m4s", MIDNIGHT + at));
        assert!(whole.body == segment(MIDNIGHT + at), "{at}");
    }
    // A rendition that comes later, in a folder of its own.
    let other = root.join("w");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("init.mp4"), header(Media::Picture)).unwrap();
    rename_in(&other, "1.m4s", &segment(MIDNIGHT));
    station.until_says("news/w/index.m3u8", &format!("{MIDNIGHT}.m4s"));
}

#[test]
fn folders_that_are_removed_and_made_anew_are_watched_again() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("enc");
    let video = root.join("v");
    fs::create_dir_all(&video).unwrap();
    let station = watching(&root);
    let write = |second: u64| {
        rename_in(&video, &format!("{second}.m4s"), &segment(second));
        station.until_says("news/v/index.m3u8", &format!("{second}.m4s"));
    };
    rename_in(&video, "init.mp4", &header(Media::Picture));
    write(MIDNIGHT);
    for (at, gone) in [(1, &video), (3, &root)] {
        fs::remove_dir_all(gone).unwrap();
        fs::create_dir_all(&video).unwrap();
        // The first may be found by a scan, the next one not.
        write(MIDNIGHT + at);
        write(MIDNIGHT + at + 1);
    }
}

#[test]
fn transport_streams_are_taken_from_a_folder_too() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("enc");
    fs::create_dir_all(&root).unwrap();
    let station = watching(&root);
    for (at, segment) in super::transport::segments(3).iter().enumerate() {
        rename_in(&root, &format!("s{at}.ts"), segment);
    }
    let plain = station.until("news/s/index.m3u8", |answer| uris(answer.text()).len() == 3);
    let names = uris(plain.text());
    let whole = names.iter().flat_map(|name| station.get(&format!("news/s/{name}")).body);
    let whole: Vec<u8> = whole.collect();
    assert_eq!(super::transport::counter_gaps(&whole), []);
    assert!(names.iter().all(|name| name.ends_with(".ts")), "{names:?}");
}

/// A watched folder with a picture's header and first segment, and whoever watches it.
fn begun() -> (tempfile::TempDir, std::path::PathBuf, Station) {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("enc");
    fs::create_dir_all(root.join("v")).unwrap();
    let station = watching(&root);
    rename_in(&root.join("v"), "init.mp4", &header(Media::Picture));
    rename_in(&root.join("v"), "0.m4s", &segment(MIDNIGHT));
    (place, root, station)
}

#[test]
fn a_segment_is_published_while_it_is_written() {
    let (_place, root, station) = begun();
    let second = MIDNIGHT + 1;
    let chunks = halves(second);
    let mut file = File::create(root.join("v/1.m4s")).unwrap();
    file.write_all(&chunks[0]).unwrap();
    file.write_all(&chunks[1][..100]).unwrap();
    let low = station.until_says("news/v/ll.m3u8", &format!("{second}.0.m4s\""));
    assert!(!low.contains(&format!("\n{second}.m4s\n")), "it grows: {low}");
    assert!(station.get(&format!("news/v/{second}.0.m4s")).body == chunks[0]);
    file.write_all(&chunks[1][100..]).unwrap();
    drop(file);
    station.until_says("news/v/index.m3u8", &format!("\n{second}.m4s\n"));
    assert!(station.get(&format!("news/v/{second}.m4s")).body == chunks.concat());
}

#[test]
fn of_a_playlist_that_is_too_long_nothing_is_heeded() {
    let (_place, root, station) = begun();
    station.until_says("news/v/index.m3u8", &format!("{MIDNIGHT}.m4s"));
    let list = "#EXTM3U\n0.m4s\n#EXT-X-DISCONTINUITY\n1.m4s\n".to_owned();
    rename_in(&root.join("v"), "index.m3u8", (list + &"#\n".repeat(600_000)).as_bytes());
    rename_in(&root.join("v"), "1.m4s", &segment(MIDNIGHT + 1));
    let plain = station.until_says("news/v/index.m3u8", &format!("{}.m4s", MIDNIGHT + 1));
    assert!(!plain.contains("#EXT-X-DISCONTINUITY\n"), "{plain}");
}

#[test]
fn what_is_changed_behind_its_reader_is_read_again_when_it_is_closed() {
    let (_place, root, station) = begun();
    station.until_says("news/v/index.m3u8", &format!("{MIDNIGHT}.m4s"));
    // Its first box has no size before the end is known.
    let whole = segment(MIDNIGHT + 1);
    let mut file = File::create(root.join("v/1.m4s")).unwrap();
    file.write_all(&[&[0; 4], &whole[4..]].concat()).unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    file.write_all(&whole[..4]).unwrap();
    drop(file);
    station.until_says("news/v/index.m3u8", &format!("{}.m4s", MIDNIGHT + 1));
    assert!(station.get(&format!("news/v/{}.m4s", MIDNIGHT + 1)).body == whole);
}

#[test]
fn each_of_several_encoders_may_have_a_folder() {
    let place = tempfile::tempdir().unwrap();
    let roots = ["a", "b"].map(|name| place.path().join(name));
    roots.iter().for_each(|root| fs::create_dir_all(root.join("v")).unwrap());
    let source = |at: usize| {
        let root = roots[at].to_str().unwrap();
        format!("[[channel.source]]\nname = \"s{at}\"\nfolder = {root:?}\n")
    };
    let station = Station::start(&(channel("news") + &source(0) + &source(1)));
    let write = |at: usize, name: &str, bytes: &[u8]| rename_in(&roots[at].join("v"), name, bytes);
    for at in [0, 1] {
        write(at, "init.mp4", &header(Media::Picture));
    }
    for second in MIDNIGHT..MIDNIGHT + 6 {
        // The first one dies after three segments.
        if second < MIDNIGHT + 3 {
            write(0, &format!("{second}.m4s"), &segment(second));
        }
        write(1, &format!("{second}.m4s"), &segment(second));
    }
    let plain = station.until_says("news/v/index.m3u8", &format!("{}.m4s", MIDNIGHT + 5));
    assert_eq!(uris(&plain).last(), Some(&format!("{}.m4s", MIDNIGHT + 5).as_str()));
    assert!(!plain.contains("#EXT-X-GAP") && !plain.contains("DISCONTINUITY"), "{plain}");
}

#[test]
fn a_folder_needs_no_ingest_port() {
    let place = Place::new();
    let root = place.path("enc");
    fs::create_dir_all(root.join("v")).unwrap();
    let config = place.config(&(channel("news") + "folder = \"enc\"\n"));
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("[server]\n", "[server]\ningest = \"off\"\n")).unwrap();
    let server = Running::start(&mut serve(&config));
    assert_eq!(server.ingest.port(), 0, "nobody listens");
    rename_in(&root.join("v"), "init.mp4", &header(Media::Picture));
    rename_in(&root.join("v"), "1.m4s", &segment(MIDNIGHT));
    let path = format!("/tv/news/v/{MIDNIGHT}.m4s");
    until("it is published", || http::get(server.public, &path).status == 200);
    assert!(http::get(server.public, &path).body == segment(MIDNIGHT));
}
