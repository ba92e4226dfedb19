//! A config that was read again: libraries come and go.

use super::*;

#[test]
fn libraries_come_and_go_and_the_others_are_left_alone() {
    let mut fixture = Fixture::new();
    fixture.pack("one/a.pack", b"first");
    fixture.pack("two/a.pack", b"second");
    fixture.write("two/b.ts", b"b");
    fixture.pack("two/deep/down/c.pack", b"c");
    fixture.start(&["one"]);
    fixture.wait_for_names(&["a"]);
    let before = fixture.shards[0].1.names["a"];

    fixture.reload(&fixture.config(&["one", "two"]));
    fixture.wait_for_names(&["a", "b.ts", "deep/down/c"]);
    assert_eq!(fixture.shards[0].1.names["a"], before, "the first one wins, as it did");
    assert_eq!(fixture.bytes("deep/down/c"), b"c");

    // The next in line follows at once; nobody sees a moment without the name.
    fixture.reload(&fixture.config(&["two"]));
    fixture.wait_for_bytes("a", b"second");
    fixture.wait_for_names(&["a", "b.ts", "deep/down/c"]);
    // What went is no longer watched, and what stays is.
    fixture.write("one/gone.ts", b"x");
    fixture.write("two/deep/d.ts", b"d");
    fixture.wait_for_names(&["a", "b.ts", "deep/d.ts", "deep/down/c"]);

    // A library that comes again has its old place.
    fixture.reload(&fixture.config(&["two", "one"]));
    fixture.wait_for_bytes("a", b"first");
    fixture.reload(&fixture.config(&[]));
    fixture.wait_for_names(&[]);
}

#[test]
fn what_was_lent_stays_good_after_its_library_went() {
    let mut fixture = Fixture::new();
    fixture.pack("one/a.pack", &large(1));
    fixture.start(&["one"]);
    fixture.wait_for_names(&["a"]);
    let lent = fixture.open(0, "a").unwrap();
    fixture.reload(&fixture.config(&[]));
    fixture.wait_for_names(&[]);
    assert_eq!(identity(&lent), large(1));
    fixture.ask(ToLibrary::Released { shard: 0, source: lent.source });
    fixture.reload(&fixture.config(&["one"]));
    fixture.wait_for_names(&["a"]);
    assert_eq!(fixture.bytes("a"), large(1));
}

#[test]
fn a_library_inside_of_one_that_went_is_still_watched() {
    let mut fixture = Fixture::new();
    fixture.write("top/inner/a.ts", b"a");
    fixture.start(&["top", "top/inner"]);
    fixture.wait_for_names(&["a.ts", "inner/a.ts"]);
    fixture.reload(&fixture.config(&["top/inner"]));
    fixture.wait_for_names(&["a.ts"]);
    fixture.write("top/inner/b.ts", b"b");
    fixture.wait_for_names(&["a.ts", "b.ts"]);
}

#[test]
fn memory_for_small_files_is_what_was_last_said() {
    let mut fixture = Fixture::new();
    fixture.write("vod/a.m3u8", &[b'#'; 4096]);
    fixture.start(&["vod"]);
    fixture.wait_for_names(&["vod/a.m3u8"]);
    let opened_unasked = |fixture: &Fixture, name: &str| {
        let (source, _) = fixture.shards[0].1.names[name];
        fixture.shards[0].1.opened.contains_key(&source)
    };
    assert!(opened_unasked(&fixture, "vod/a.m3u8"));
    let mut config = fixture.config(&["vod"]);
    config.limits.folder_memory = 5000;
    fixture.reload(&config);
    fixture.replace("vod/b.m3u8", &[b'#'; 4096]);
    fixture.wait_for_names(&["vod/a.m3u8", "vod/b.m3u8"]);
    assert!(!opened_unasked(&fixture, "vod/b.m3u8"), "there is no room for it");
}
