//! What somebody may do who can write to a library's folder.

use std::process::Command;

use super::super::root::Root;
use super::super::scan::{Kind, Scan, look};
use super::*;
use crate::library::open::open_path;

/// Makes a FIFO, or a device that is read without end.
fn make(kind: &str, path: &Path) {
    let status = match kind {
        "fifo" => Command::new("mkfifo").arg(path).status(),
        _ => Command::new("mknod").arg(path).args(["c", "1", "5"]).status(),
    };
    assert!(status.unwrap().success(), "{kind} (devices can be made by root only)");
}

#[test]
fn what_takes_a_listed_files_place_is_not_served_and_blocks_nobody() {
    for kind in ["fifo", "device"] {
        let mut fixture = Fixture::new();
        fixture.write("vod/small.ts", b"small");
        fixture.write("vod/large.mp4", &large(1));
        fixture.pack("vod/pack.pack", b"p");
        fixture.pack("vod/good.pack", b"good");
        // Nobody watches, so the library believes what it saw at the start.
        fixture.start_shards(&["vod"], 1, false);
        fixture.wait_for_names(&["good", "large.mp4", "pack", "small.ts"]);
        let files = [("small.ts", "small.ts"), ("large.mp4", "large.mp4"), ("pack", "pack.pack")];
        for (name, file) in files {
            let path = fixture.path(&format!("vod/{file}"));
            fs::remove_file(&path).unwrap();
            make(kind, &path);
            assert_eq!(fixture.open(0, name).unwrap_err(), OpenFault::Missing, "{kind} {name}");
        }
        assert_eq!(fixture.bytes("good"), b"good");
        // A scan sees what they are.
        fixture.handle.as_ref().unwrap().rescan();
        fixture.wait_for_names(&["good"]);
    }
}

#[test]
fn a_device_is_not_listed() {
    let mut fixture = Fixture::new();
    fixture.write("vod/first.ts", b"first");
    make("device", &fixture.path("vod/zero.ts"));
    fixture.start(&["vod"]);
    fixture.wait_for_names(&["first.ts"]);
}

#[test]
fn a_fifo_in_place_of_a_library_blocks_nobody() {
    let mut fixture = Fixture::new();
    make("fifo", &fixture.path("vod"));
    fixture.write("good/first.ts", b"first");
    fixture.start(&["vod", "good"]);
    fixture.wait_for_names(&["first.ts"]);
    fs::remove_file(fixture.path("vod")).unwrap();
    fixture.write("vod/second.ts", b"second");
    fixture.wait_for_names(&["first.ts", "second.ts"]);
}

#[test]
fn a_hard_link_is_a_file_like_any_other() {
    let mut fixture = Fixture::new();
    fixture.write("elsewhere/film.ts", b"film");
    fixture.write("vod/first.ts", b"first");
    fs::hard_link(fixture.path("elsewhere/film.ts"), fixture.path("vod/film.ts")).unwrap();
    fixture.start(&["vod"]);
    fixture.wait_for_names(&["film.ts", "first.ts"]);
    assert_eq!(fixture.bytes("film.ts"), b"film");
}

#[test]
fn a_folder_that_became_a_link_does_not_lead_a_scan_out() {
    let fixture = Fixture::new();
    fixture.write("secret/sub/s.ts", b"s");
    fixture.write("vod/first.ts", b"first");
    symlink(fixture.path("secret"), fixture.path("vod/show")).unwrap();
    let library = Library { path: fixture.path("vod"), access: None };
    let root = Root::new(&library, Access::Open);
    let folder = File::open(fixture.path("vod")).unwrap();
    // As when `show` was a folder a moment ago, or when news come of what lies behind the link.
    for below in ["show", "show/sub"] {
        let scan = Scan::of(&root, &folder, Path::new(below), &mut |_| {});
        assert!(scan.files.is_empty(), "{below}: {:?}", scan.files);
        let (kind, _) = look(&root, &folder, Path::new(below)).unwrap();
        assert!(matches!(kind, Kind::Nothing), "{below}: {kind:?}");
    }
    let (kind, _) = look(&root, &folder, Path::new("show/sub/s.ts")).unwrap();
    assert!(matches!(kind, Kind::Nothing), "{kind:?}");
}

#[test]
fn names_with_odd_bytes_are_one_line_of_a_log() {
    let out = tempfile::tempdir().unwrap();
    let path = out.path().join("a\n{\"level\":\"ERROR\"}\x1b[2J.pack");
    fs::write(&path, b"no pack").unwrap();
    let error = open_path(&path).unwrap_err().to_string();
    assert!(!error.contains(char::is_control), "{error:?}");
    assert!(error.contains("a\\n{\"level\":\"ERROR\"}\\u{1b}[2J.pack"), "{error}");
}

#[test]
fn a_fifo_where_a_pack_should_be_is_named_and_blocks_no_verb() {
    let out = tempfile::tempdir().unwrap();
    let fifo = out.path().join("a.pack");
    make("fifo", &fifo);
    let error = open_path(&fifo).unwrap_err().to_string();
    assert!(error.contains("not a regular file"), "{error}");
    let error = pack_folder(&RealDisk, &fifo, &out.path().join("b.pack"), false, &mut |_| {});
    assert!(error.unwrap_err().to_string().contains("not a folder"));
}

#[test]
fn a_file_that_grows_as_fast_as_it_is_read_ends_the_packing() {
    use std::io::Write;
    let (folder, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = folder.path().join("live.ts");
    fs::write(&path, large(1)).unwrap();
    let mut writer = File::options().append(true).open(&path).unwrap();
    let mut appended = 0u64;
    let error =
        pack_folder(&RealDisk, folder.path(), &out.path().join("a.pack"), false, &mut |_| {
            assert!(appended < 100 << 20, "it has no end");
            writer.write_all(&large(2)).unwrap();
            appended += 3 << 20;
        });
    let error = error.unwrap_err().to_string();
    assert!(error.contains("it changed while it was read"), "{error}");
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0);
}
