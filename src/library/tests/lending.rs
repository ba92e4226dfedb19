//! Opening for several shards, letting go, and files that are no good.

use super::*;

#[test]
fn a_source_is_opened_once_for_all_shards_and_closed_after_the_last() {
    let mut fixture = Fixture::new();
    fixture.pack("vod/a.pack", b"a");
    fixture.start_shards(&["vod"], 3, true);
    for shard in 0..3 {
        fixture.wait(shard, "the pack", |told| told.names.contains_key("a"));
    }
    let (source, _) = fixture.shards[0].1.names["a"];
    let opened: Vec<_> = (0..3).map(|shard| fixture.open(shard, "a").unwrap()).collect();
    assert!(opened.iter().all(|one| Arc::ptr_eq(one, &opened[0])));
    let weak = Arc::downgrade(&opened[0]);
    drop(opened);
    for shard in 0..3 {
        fixture.shards[shard].1.opened.clear();
    }
    for shard in 0..2 {
        fixture.ask(ToLibrary::Released { shard, source });
    }
    // An answer to a later wish: what came before it has been handled.
    fixture.open(0, "a").unwrap();
    assert!(weak.upgrade().is_some(), "shard 2 has it");
    fixture.shards[0].1.opened.clear();
    fixture.ask(ToLibrary::Released { shard: 0, source });
    fixture.ask(ToLibrary::Released { shard: 2, source });
    let deadline = Instant::now() + Duration::from_secs(10);
    while weak.upgrade().is_some() {
        assert!(Instant::now() < deadline, "it is never closed");
        std::thread::yield_now();
    }
    assert_eq!(fixture.bytes("a"), b"a", "and it can be opened again");
}

#[test]
fn a_damaged_pack_fails_alone_until_it_is_replaced() {
    let mut fixture = Fixture::new();
    fixture.pack("vod/good.pack", b"good");
    fixture.pack("vod/bad.pack", b"bad");
    let bytes = fs::read(fixture.path("vod/bad.pack")).unwrap();
    fs::write(fixture.path("vod/bad.pack"), &bytes[..bytes.len() - 1]).unwrap();
    fixture.write("vod/empty.pack", b"");
    fixture.start(&["vod"]);
    fixture.wait_for_names(&["bad", "empty", "good"]);
    assert_eq!(fixture.open(0, "bad").unwrap_err(), OpenFault::Damaged);
    assert_eq!(fixture.open(0, "empty").unwrap_err(), OpenFault::Damaged);
    assert_eq!(fixture.bytes("good"), b"good");
    assert_eq!(fixture.open(0, "bad").unwrap_err(), OpenFault::Damaged, "and again");
    fixture.pack("vod/bad.pack", b"mended");
    fixture.wait_for_bytes("bad", b"mended");
}

#[test]
fn a_source_whose_bytes_failed_is_refused_until_it_is_replaced() {
    let mut fixture = Fixture::new();
    fixture.pack("vod/a.pack", b"a");
    fixture.start(&["vod"]);
    fixture.wait_for_names(&["a"]);
    let source = fixture.open(0, "a").unwrap().source;
    fixture.shards[0].1.opened.clear();
    fixture.ask(ToLibrary::Faulty { source, fault: Fault::Unreadable(libc::EIO) });
    assert_eq!(fixture.open(0, "a").unwrap_err(), OpenFault::Damaged);
    fixture.pack("vod/a.pack", b"b");
    fixture.wait_for_bytes("a", b"b");
}

#[test]
fn a_source_that_never_was_or_is_gone_is_missing() {
    let mut fixture = Fixture::new();
    fixture.write("vod/a.ts", b"a");
    fixture.start_shards(&["vod"], 1, false);
    fixture.wait_for_names(&["a.ts"]);
    fs::remove_file(fixture.path("vod/a.ts")).unwrap();
    assert_eq!(fixture.open(0, "a.ts").unwrap_err(), OpenFault::Missing);
    fixture.wait_for_names(&[]);
    let source = SourceId(4711);
    fixture.ask(ToLibrary::Open { shard: 0, source });
    fixture.wait(0, "a refusal", |told| told.failed.get(&source) == Some(&OpenFault::Missing));
}

#[test]
fn small_files_are_copied_and_text_is_gzipped() {
    let mut fixture = Fixture::new();
    let list = b"#EXTM3U\n".repeat(100);
    fixture.write("vod/a/list.m3u8", &list);
    fixture.write("vod/small.ts", &[7; 1000]);
    fixture.write("vod/large.ts", &large(1));
    fixture.start(&["vod"]);
    fixture.wait_for_names(&["a/list.m3u8", "large.ts", "small.ts"]);
    let opened = fixture.open(0, "a/list.m3u8").unwrap();
    let (Index::Single(single), Payload::Heap(bytes)) = (&opened.index, &opened.payload) else {
        panic!("a list is in memory")
    };
    let gzip = single.gzip.expect("it shrinks").extent;
    let mut plain = Vec::new();
    let gzipped = &bytes[usize::try_from(gzip.offset).unwrap()..];
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(gzipped), &mut plain).unwrap();
    assert_eq!(plain, list);
    assert!(matches!(fixture.open(0, "small.ts").unwrap().payload, Payload::Heap(_)));
    assert!(matches!(fixture.open(0, "large.ts").unwrap().payload, Payload::File(_)));
    assert_eq!(fixture.bytes("large.ts"), large(1));
}

#[test]
fn damaged_payloads_are_found_before_anybody_asks() {
    let mut fixture = Fixture::new();
    fixture.pack("vod/good.pack", b"good");
    fixture.pack("vod/worse.pack", &large(1));
    let mut bytes = fs::read(fixture.path("vod/worse.pack")).unwrap();
    bytes[1 << 20] ^= 1;
    fs::write(fixture.path("vod/worse.pack"), bytes).unwrap();
    fixture.start_shards(&["vod"], 1, false);
    fixture.wait_for_names(&["good", "worse"]);
    let (source, _) = fixture.shards[0].1.names["worse"];
    let deadline = Instant::now() + Duration::from_secs(20);
    // Opening finds nothing wrong, because no payload is read then; reading all of it does.
    while fixture.open(0, "worse").is_ok() {
        assert!(Instant::now() < deadline, "the damage is never found");
        fixture.shards[0].1.opened.clear();
        fixture.ask(ToLibrary::Released { shard: 0, source });
    }
    assert_eq!(fixture.bytes("good"), b"good");
}

#[test]
fn a_pack_that_is_being_brought_onto_huge_pages_can_be_opened() {
    let mut fixture = Fixture::new();
    for number in 0..8 {
        fixture.pack(&format!("vod/{number}.pack"), &large(number));
    }
    fixture.start(&["vod"]);
    fixture.wait(0, "all of them", |told| told.names.len() == 8);
    for number in (0..8).rev() {
        assert_eq!(fixture.bytes(&number.to_string()), large(number));
    }
}

#[test]
fn packs_are_brought_onto_huge_pages_before_anybody_asks_for_them() {
    let mut fixture = Fixture::new();
    for number in 0..3 {
        fixture.pack(&format!("vod/{number}.pack"), &large(number));
    }
    fixture.start(&["vod"]);
    // Told before each of them is read, and nothing else happens to the library.
    fixture.wait(0, "all of them to be read", |told| told.reread >= 3);
}
