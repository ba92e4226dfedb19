//! What is there at the start, and under which name.

use super::*;

#[test]
fn packs_and_files_are_listed_by_their_paths() {
    let mut fixture = Fixture::new();
    fixture.pack("vod/films/a.pack", b"a");
    fixture.write("vod/show/master.m3u8", b"#EXTM3U\n");
    fixture.write("vod/show/v0/init.mp4", b"init");
    fixture.write("vod/.hidden/x.ts", b"x");
    fixture.write("vod/show/.x.pack.7-0.shardcast-part", b"x");
    fixture.write("vod/show/index.m3u8.tmp", b"x");
    fixture.start(&["vod"]);
    fixture.wait_for_names(&["films/a", "show/master.m3u8", "show/v0/init.mp4"]);
    assert_eq!(fixture.shards[0].1.names["films/a"].1, SourceKind::Pack);
    assert_eq!(fixture.bytes("films/a"), b"a");
    assert_eq!(fixture.bytes("show/v0/init.mp4"), b"init");
    // A list comes open; nobody has to ask.
    let (source, _) = fixture.shards[0].1.names["show/master.m3u8"];
    assert!(fixture.shards[0].1.opened.contains_key(&source));
}

#[test]
fn a_folder_with_a_playlist_is_one_asset_and_so_is_a_single_pack() {
    let mut fixture = Fixture::new();
    fixture.write("clip/manifest.mpd", b"<MPD/>");
    fixture.write("clip/v/1.m4s", b"1");
    fixture.pack("else/film.pack", b"film");
    fixture.pack("else/other.pack", b"other");
    fixture.start(&["clip", "else/film.pack"]);
    fixture.wait_for_names(&["clip/manifest.mpd", "clip/v/1.m4s", "film"]);
}

#[test]
fn the_first_library_wins_until_its_file_goes() {
    let mut fixture = Fixture::new();
    fixture.pack("one/a.pack", b"first");
    fixture.pack("two/a.pack", b"second");
    fixture.write("two/a/seg.ts", b"below a pack");
    fixture.start(&["one", "two"]);
    fixture.wait_for_names(&["a"]);
    assert_eq!(fixture.bytes("a"), b"first");
    fs::remove_file(fixture.path("one/a.pack")).unwrap();
    fixture.wait_for_bytes("a", b"second");
    fs::remove_file(fixture.path("two/a.pack")).unwrap();
    fixture.wait_for_names(&["a/seg.ts"]);
}

#[test]
fn ten_thousand_packs_are_listed_without_being_opened() {
    let mut fixture = Fixture::new();
    fixture.pack("vod/0/0.pack", b"x");
    // Links to one file: were they opened, it would show in its access time and in the duration.
    for number in 1..10_000 {
        let path = fixture.path(&format!("vod/{}/{number}.pack", number % 100));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::hard_link(fixture.path("vod/0/0.pack"), path).unwrap();
    }
    // Old enough to need no second look at whether somebody writes them.
    fixture.start(&["vod"]);
    fixture.wait(0, "10,000 packs", |told| told.names.len() == 10_000);
    assert!(fixture.shards[0].1.updates < 200, "{} updates", fixture.shards[0].1.updates);
    assert_eq!(fixture.bytes("7/4207"), b"x");
    let deadline = Instant::now() + Duration::from_secs(10);
    while !fixture.handle.as_ref().unwrap().is_ready() {
        assert!(Instant::now() < deadline, "it is never ready");
        std::thread::yield_now();
    }
}

#[test]
fn a_missing_library_does_not_stop_the_others() {
    let mut fixture = Fixture::new();
    fixture.write("here/a.ts", b"a");
    fixture.start(&["missing", "here"]);
    fixture.wait_for_names(&["a.ts"]);
    fixture.write("missing/b.ts", b"b");
    fixture.handle.as_ref().unwrap().rescan();
    fixture.wait_for_names(&["a.ts", "b.ts"]);
}
