//! A folder that an encoder of this machine writes.

use std::fs;
use std::path::Path;

use super::boxes::{MIDNIGHT, Media, header, segment};
use super::{Station, channel, uris};

/// Writes beside the name and renames, as encoders do.
fn rename_in(folder: &Path, name: &str, bytes: &[u8]) {
    let beside = folder.join(format!("{name}.tmp"));
    fs::write(&beside, bytes).unwrap();
    fs::rename(beside, folder.join(name)).unwrap();
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
    let of_folder = channel("news") + &format!("folder = {:?}\n", root.to_str().unwrap());
    let station = Station::start(&of_folder);
    rename_in(&video, "2.m4s", &segment(MIDNIGHT));
    fs::write(video.join("index.m3u8"), "#EXTM3U\n").unwrap();
    station.until_says("news/v/index.m3u8", &format!("{MIDNIGHT}.m4s"));
    rename_in(&video, "3.m4s", &segment(MIDNIGHT + 1));
    rename_in(&video, "4.m4s", b"no boxes at all");
    rename_in(&video, "5.m4s", &segment(MIDNIGHT + 2));
    let plain = station.until_says("news/v/index.m3u8", &format!("{}.m4s", MIDNIGHT + 2));
    assert_eq!(uris(&plain), [0, 1, 2].map(|at| format!("{}.m4s", MIDNIGHT + at)));
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
    let of_folder = channel("news") + &format!("folder = {:?}\n", root.to_str().unwrap());
    let station = Station::start(&of_folder);
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
    let of_folder = channel("news") + &format!("folder = {:?}\n", root.to_str().unwrap());
    let station = Station::start(&of_folder);
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
