//! What appears, changes and vanishes while the library runs.

use std::io::Write;

use super::*;

fn running() -> Fixture {
    let mut fixture = Fixture::new();
    fixture.write("vod/first.ts", b"first");
    fixture.start(&["vod"]);
    fixture.wait_for_names(&["first.ts"]);
    fixture
}

#[test]
fn files_and_packs_come_and_go() {
    let mut fixture = running();
    fixture.pack("vod/a.pack", b"one");
    fixture.wait_for_names(&["a", "first.ts"]);
    assert_eq!(fixture.bytes("a"), b"one");
    fixture.pack("vod/a.pack", b"two");
    fixture.wait_for_bytes("a", b"two");
    fs::remove_file(fixture.path("vod/a.pack")).unwrap();
    fixture.wait_for_names(&["first.ts"]);
    assert!(fixture.shards[0].1.torn.is_empty(), "replacing a pack lets its readers finish");
}

#[test]
fn a_whole_folder_comes_moves_and_goes() {
    let mut fixture = running();
    fixture.write("elsewhere/show/v/1.ts", b"1");
    fixture.write("elsewhere/show/master.m3u8", b"#EXTM3U\n");
    fixture.pack("elsewhere/show/p.pack", b"p");
    fs::rename(fixture.path("elsewhere/show"), fixture.path("vod/show")).unwrap();
    fixture.wait_for_names(&["first.ts", "show/master.m3u8", "show/p", "show/v/1.ts"]);
    // What comes later below it is seen, too.
    fixture.write("vod/show/v/2.ts", b"2");
    fixture.wait(0, "2.ts", |told| told.names.contains_key("show/v/2.ts"));
    fs::rename(fixture.path("vod/show/v"), fixture.path("vod/show/w")).unwrap();
    fixture.wait_for_names(&[
        "first.ts",
        "show/master.m3u8",
        "show/p",
        "show/w/1.ts",
        "show/w/2.ts",
    ]);
    fixture.write("vod/show/w/3.ts", b"3");
    fixture.wait(0, "3.ts", |told| told.names.contains_key("show/w/3.ts"));
    fs::remove_dir_all(fixture.path("vod/show")).unwrap();
    fixture.wait_for_names(&["first.ts"]);
}

#[test]
fn folders_made_one_in_another_are_seen_however_fast() {
    let mut fixture = running();
    for round in 0..20 {
        fixture.write(&format!("vod/{round}/a/b/c/x.ts"), b"x");
    }
    fixture.wait(0, "all of them", |told| told.names.len() == 21);
}

#[test]
fn a_playlist_that_is_replaced_shows_up_at_once_and_is_always_whole() {
    let mut fixture = running();
    fixture.write("vod/live/index.m3u8", b"#EXTM3U\n0\n");
    fixture.wait(0, "it", |told| told.names.contains_key("live/index.m3u8"));
    let mut slowest = Duration::ZERO;
    for round in 1..=20 {
        let text = format!("#EXTM3U\n{}\n", "x".repeat(round * 100));
        let before = Instant::now();
        fixture.replace("vod/live/index.m3u8", text.as_bytes());
        fixture.wait_for_bytes("live/index.m3u8", text.as_bytes());
        slowest = slowest.max(before.elapsed());
    }
    assert!(fixture.shards[0].1.torn.is_empty());
    // 50 ms on an idle machine; the bound leaves room for a busy one.
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
}

#[test]
fn a_list_written_in_place_keeps_its_old_bytes_until_it_is_closed() {
    let mut fixture = running();
    fixture.write("vod/a.m3u8", b"#EXTM3U\nold\n");
    fixture.wait(0, "it", |told| told.names.contains_key("a.m3u8"));
    let mut writer = File::create(fixture.path("vod/a.m3u8")).unwrap();
    writer.write_all(b"#EXTM3U\n").unwrap();
    // Something later in the same queue: when it is seen, so is the half-written list.
    fixture.write("vod/b.ts", b"b");
    fixture.wait(0, "b.ts", |told| told.names.contains_key("b.ts"));
    assert_eq!(fixture.bytes("a.m3u8"), b"#EXTM3U\nold\n");
    writer.write_all(b"new\n").unwrap();
    drop(writer);
    fixture.wait_for_bytes("a.m3u8", b"#EXTM3U\nnew\n");
}

#[test]
fn a_large_file_appears_when_its_writer_has_closed_it() {
    let mut fixture = running();
    let mut writer = File::create(fixture.path("vod/film.mp4")).unwrap();
    writer.write_all(&large(1)).unwrap();
    fixture.write("vod/second.ts", b"2");
    fixture.wait_for_names(&["first.ts", "second.ts"]);
    writer.write_all(&large(2)).unwrap();
    drop(writer);
    fixture.wait_for_names(&["film.mp4", "first.ts", "second.ts"]);
    assert_eq!(fixture.bytes("film.mp4"), [large(1), large(2)].concat());
}

#[test]
fn a_large_file_overwritten_under_its_readers_is_torn() {
    let mut fixture = running();
    fixture.write("vod/film.mp4", &large(1));
    fixture.wait_for_names(&["film.mp4", "first.ts"]);
    let old = fixture.open(0, "film.mp4").unwrap();
    let writer = File::options().append(true).open(fixture.path("vod/film.mp4")).unwrap();
    (&writer).write_all(b"more").unwrap();
    fixture.wait_for_names(&["first.ts"]);
    assert_eq!(fixture.shards[0].1.torn, ["film.mp4"]);
    drop(writer);
    fixture.wait_for_bytes("film.mp4", &[large(1), b"more".to_vec()].concat());
    let new = fixture.open(0, "film.mp4").unwrap();
    assert_ne!(old.source, new.source);
    let tag = |opened: &Opened| match &opened.index {
        Index::Single(single) => single.identity.etag,
        Index::Pack(_) => panic!("it is a file"),
    };
    assert_ne!(tag(&old), tag(&new));
}

#[test]
fn a_large_file_replaced_by_a_rename_is_not_torn() {
    let mut fixture = running();
    fixture.write("vod/film.mp4", &large(1));
    fixture.wait_for_names(&["film.mp4", "first.ts"]);
    let old = fixture.open(0, "film.mp4").unwrap();
    fixture.replace("vod/film.mp4", &large(2));
    fixture.wait_for_bytes("film.mp4", &large(2));
    assert!(fixture.shards[0].1.torn.is_empty());
    assert_eq!(identity(&old), large(1), "the old file can still be read");
}

#[test]
fn links_are_followed_only_within_the_library() {
    let mut fixture = Fixture::new();
    fixture.write("vod/real/a.ts", b"a");
    fixture.write("secret/s.ts", b"s");
    symlink("real/a.ts", fixture.path("vod/inside.ts")).unwrap();
    symlink("real", fixture.path("vod/folder")).unwrap();
    symlink("../secret/s.ts", fixture.path("vod/outside.ts")).unwrap();
    symlink("/etc/passwd", fixture.path("vod/passwd")).unwrap();
    symlink("../secret", fixture.path("vod/outside")).unwrap();
    symlink("..", fixture.path("vod/real/loop")).unwrap();
    symlink(".", fixture.path("vod/real/self")).unwrap();
    fixture.start(&["vod"]);
    fixture.wait(0, "the links", |told| told.names.contains_key("inside.ts"));
    assert_eq!(fixture.bytes("inside.ts"), b"a");
    assert_eq!(fixture.bytes("folder/a.ts"), b"a");
    // A file swapped for a link after it was listed is not followed out either.
    fs::remove_file(fixture.path("vod/real/a.ts")).unwrap();
    symlink(fixture.path("secret/s.ts"), fixture.path("vod/real/a.ts")).unwrap();
    let (source, _) = fixture.shards[0].1.names["real/a.ts"];
    fixture.ask(ToLibrary::Open { shard: 0, source });
    fixture.wait(0, "a refusal", |told| told.failed.contains_key(&source));
    let listed = |name: &&str| fixture.shards[0].1.names.contains_key(*name);
    assert_eq!(["outside.ts", "passwd", "outside/s.ts"].iter().find(|name| listed(name)), None);
}

#[test]
fn what_is_no_regular_file_is_not_listed() {
    let mut fixture = running();
    let fifo = fixture.path("vod/fifo.ts");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    assert!(exists(&fifo));
    fixture.write("vod/z.ts", b"z");
    fixture.wait_for_names(&["first.ts", "z.ts"]);
}

#[test]
fn lost_news_are_made_up_for_by_a_scan() {
    let mut fixture = Fixture::new();
    fixture.write("vod/stays.ts", b"s");
    fixture.write("vod/goes.ts", b"g");
    fixture.write("vod/sub/changes.ts", b"old");
    fixture.start_shards(&["vod"], 1, false);
    fixture.wait_for_names(&["goes.ts", "stays.ts", "sub/changes.ts"]);
    assert_eq!(fixture.bytes("sub/changes.ts"), b"old");
    let (stays, _) = fixture.shards[0].1.names["stays.ts"];
    fs::remove_file(fixture.path("vod/goes.ts")).unwrap();
    fixture.replace("vod/sub/changes.ts", b"new");
    fixture.pack("vod/sub/comes.pack", b"c");
    fixture.handle.as_ref().unwrap().rescan();
    fixture.wait(0, "the scan", |told| told.names.contains_key("sub/comes"));
    fixture.wait_for_names(&["stays.ts", "sub/changes.ts", "sub/comes"]);
    fixture.wait_for_bytes("sub/changes.ts", b"new");
    assert_eq!(fixture.shards[0].1.names["stays.ts"].0, stays, "what did not change is the same");
}

#[test]
fn what_lies_behind_links_is_looked_at_however_busy_the_rest_is() {
    let mut fixture = Fixture::new();
    fixture.write("vod/real/a.ts", b"a");
    symlink("real", fixture.path("vod/link")).unwrap();
    fixture.start(&["vod"]);
    fixture.wait(0, "the link", |told| told.names.contains_key("link/a.ts"));
    // Events of a linked folder come under its real name only.
    fixture.write("vod/real/b.ts", b"b");
    let deadline = Instant::now() + Duration::from_secs(20);
    while !fixture.shards[0].1.names.contains_key("link/b.ts") {
        assert!(Instant::now() < deadline, "nobody looks");
        fixture.write("vod/busy.ts", b"x");
        let (inbox, told) = &mut fixture.shards[0];
        if let Ok(update) = inbox.recv_timeout(Duration::from_millis(20)) {
            told.take(update);
        }
    }
}

#[test]
fn a_library_that_goes_takes_its_names_along() {
    let mut fixture = running();
    fs::remove_dir_all(fixture.path("vod")).unwrap();
    fixture.wait_for_names(&[]);
}

#[test]
fn what_is_known_stays_while_a_library_cannot_be_opened() {
    let mut fixture = Fixture::new();
    fixture.write("vod/a.ts", b"a");
    fixture.start_shards(&["vod"], 1, false);
    fixture.wait_for_names(&["a.ts"]);
    // A socket refuses to be opened, with an error that does not say that nothing is there.
    fs::rename(fixture.path("vod"), fixture.path("aside")).unwrap();
    let socket = std::os::unix::net::UnixListener::bind(fixture.path("vod")).unwrap();
    fixture.handle.as_ref().unwrap().rescan();
    // The answer comes after the scan, and after what that listed.
    assert_eq!(fixture.bytes("a.ts"), b"a");
    assert!(fixture.shards[0].1.names.contains_key("a.ts"));
    // Nobody says that the folder is back: it is tried again.
    drop(socket);
    fs::remove_file(fixture.path("vod")).unwrap();
    fs::rename(fixture.path("aside"), fixture.path("vod")).unwrap();
    fixture.write("vod/b.ts", b"b");
    fixture.wait_for_names(&["a.ts", "b.ts"]);
}
