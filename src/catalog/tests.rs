//! The catalog, by behaviour: what a path is, what an update makes of it, and what a lease keeps.

use std::sync::Arc;

use super::*;
use crate::live::reload::Directives;
use crate::messages::Growth;
use crate::request::fixture::{anonymous, file, pack, present};
use crate::units::Class;

fn empty() -> Catalog {
    Catalog::new(Capacity { sources: 100, heap_bytes: 1 << 20 })
}

/// A listing of something that is not open.
fn closed(path: &str, kind: SourceKind, source: u64) -> Listing {
    let source = SourceId(source);
    let change = Change::Present { source, kind, access: Access::Open, opened: None };
    Listing { path: path.into(), change }
}

fn change(path: &str, change: Change) -> Listing {
    Listing { path: path.into(), change }
}

fn small_file(source: u64) -> Arc<Opened> {
    file(SourceId(source), "x.ts", &[source as u8; 10])
}

fn small_pack(source: u64, files: &[&str]) -> Arc<Opened> {
    let bytes = [source as u8; 10];
    let files: Vec<_> = files.iter().map(|path| (*path, &bytes[..], None)).collect();
    pack(SourceId(source), &files)
}

fn list(catalog: &mut Catalog, listings: &[Listing]) -> Vec<Effect> {
    let mut effects = Vec::new();
    catalog.list(listings, &mut effects);
    effects
}

fn open(catalog: &mut Catalog, opened: &Arc<Opened>) -> Vec<Effect> {
    let mut effects = Vec::new();
    catalog.open(opened, &mut effects);
    effects
}

fn grow(catalog: &mut Catalog, id: u64, growth: &Growth) -> Vec<Effect> {
    let mut effects = Vec::new();
    catalog.grow(GrowingId(id), growth, &mut effects);
    effects
}

/// What a path below `/vod/` is: the number of its source, or a word.
fn vod(catalog: &Catalog, path: &str) -> String {
    shown(&catalog.vod(path, &anonymous()))
}

fn shown(found: &Found<'_>) -> String {
    match found {
        Found::Object(object) => format!("object of {}", object.source.0),
        Found::Growing(growing) => format!("growing {}", growing.media_type),
        Found::Closed(_) => "closed".to_owned(),
        Found::Expected(_) => "expected".to_owned(),
        Found::Asked(access) => format!("asked for {access:?}"),
        Found::Beyond => "beyond".to_owned(),
        Found::TooFar => "too far".to_owned(),
        Found::Moved(name) => format!("now {name}"),
        Found::Damaged => "damaged".to_owned(),
        Found::Absent => "absent".to_owned(),
        Found::Withheld => "withheld".to_owned(),
    }
}

/// What a path that begins with `/tv/` is to a viewer without a token.
fn live<'c>(catalog: &'c Catalog, path: &str) -> Found<'c> {
    catalog.live(path, &Directives::default(), &anonymous())
}

/// The place of the source that a path is in.
fn slot(catalog: &Catalog, path: &str) -> SourceSlot {
    match catalog.vod(path, &anonymous()) {
        Found::Object(object) => object.key.source,
        Found::Closed(source) => source,
        found => panic!("{path} is {}", shown(&found)),
    }
}

#[test]
fn a_file_is_found_by_its_path_and_an_object_by_its_packs() {
    let mut catalog = empty();
    list(
        &mut catalog,
        &[
            present("films/a", SourceKind::Pack, &small_pack(1, &["1.ts", "video/2.ts"])),
            present("films/b/1.ts", SourceKind::File, &small_file(2)),
        ],
    );
    for (path, expected) in [
        ("films/a/1.ts", "object of 1"),
        ("films/a/video/2.ts", "object of 1"),
        ("films/b/1.ts", "object of 2"),
        ("films/a", "absent"),
        ("films/a/", "absent"),
        ("films/a/2.ts", "absent"),
        ("films/b", "absent"),
        ("films/b/1.ts/", "absent"),
        ("1.ts", "absent"),
        ("", "absent"),
        ("/", "absent"),
    ] {
        assert_eq!(vod(&catalog, path), expected, "{path}");
    }
}

#[test]
fn a_file_comes_before_a_pack_and_a_short_path_before_a_long_one() {
    let mut catalog = empty();
    list(
        &mut catalog,
        &[
            present("a", SourceKind::Pack, &small_pack(1, &["b/1.ts", "x.ts"])),
            present("a/b", SourceKind::Pack, &small_pack(2, &["1.ts", "2.ts"])),
            present("a/x.ts", SourceKind::File, &small_file(3)),
        ],
    );
    assert_eq!(vod(&catalog, "a/b/1.ts"), "object of 1");
    assert_eq!(vod(&catalog, "a/b/2.ts"), "object of 2");
    assert_eq!(vod(&catalog, "a/x.ts"), "object of 3");
}

#[test]
fn a_closed_pack_is_asked_for_once_and_then_serves() {
    let mut catalog = empty();
    assert_eq!(list(&mut catalog, &[closed("a", SourceKind::Pack, 1)]), []);
    assert_eq!(vod(&catalog, "a/1.ts"), "closed");
    let slot = slot(&catalog, "a/1.ts");
    assert_eq!(catalog.want(slot), Some(SourceId(1)));
    assert_eq!(catalog.want(slot), None, "one question is enough");
    catalog.unwant(slot);
    assert_eq!(catalog.want(slot), Some(SourceId(1)), "nobody could be asked before");
    let effects = open(&mut catalog, &small_pack(1, &["1.ts"]));
    assert_eq!(effects, [Effect::Release(Place::Source(slot))]);
    assert_eq!(vod(&catalog, "a/1.ts"), "object of 1");
    assert_eq!(vod(&catalog, "a/2.ts"), "absent");
    assert_eq!(catalog.want(slot), None);
    assert_eq!(open(&mut catalog, &small_pack(1, &["1.ts"])), [], "open is open");
    assert_eq!(catalog.open_count(), 1);
}

#[test]
fn what_cannot_be_opened_says_why() {
    for (fault, expected, again) in [
        (OpenFault::Damaged, "damaged", "damaged"),
        (OpenFault::Missing, "absent", "absent"),
        (OpenFault::Exhausted, "damaged", "closed"),
    ] {
        let mut catalog = empty();
        list(&mut catalog, &[closed("a", SourceKind::Pack, 1)]);
        let slot = slot(&catalog, "a/1.ts");
        catalog.want(slot);
        let mut effects = Vec::new();
        catalog.fail(SourceId(1), fault, &mut effects);
        assert_eq!(effects, [Effect::Release(Place::Source(slot))]);
        assert_eq!(vod(&catalog, "a/1.ts"), expected, "{fault:?}");
        catalog.retry_exhausted(slot);
        assert_eq!(vod(&catalog, "a/1.ts"), again, "{fault:?}");
    }
}

#[test]
fn a_damaged_pack_hides_no_other() {
    let mut catalog = empty();
    list(
        &mut catalog,
        &[
            closed("a", SourceKind::Pack, 1),
            present("a/b", SourceKind::Pack, &small_pack(2, &["1.ts"])),
        ],
    );
    catalog.fail(SourceId(1), OpenFault::Damaged, &mut Vec::new());
    assert_eq!(vod(&catalog, "a/b/1.ts"), "object of 2");
    assert_eq!(vod(&catalog, "a/b/2.ts"), "damaged");
}

#[test]
fn a_new_version_takes_the_place_of_the_old_one() {
    let mut catalog = empty();
    list(&mut catalog, &[present("x.ts", SourceKind::File, &small_file(1))]);
    let effects = list(&mut catalog, &[present("x.ts", SourceKind::File, &small_file(2))]);
    assert!(effects.contains(&Effect::LetGo(SourceId(1))), "{effects:?}");
    assert_eq!(vod(&catalog, "x.ts"), "object of 2");
    assert_eq!(catalog.open_count(), 1);
    let effects = open(&mut catalog, &small_file(1));
    assert_eq!(effects, [Effect::LetGo(SourceId(1))], "it came too late");
}

#[test]
fn the_same_version_again_keeps_its_transfers_and_takes_the_new_access() {
    let mut catalog = empty();
    let opened = small_file(1);
    list(&mut catalog, &[present("x.ts", SourceKind::File, &opened)]);
    let slot = slot(&catalog, "x.ts");
    catalog.lease(slot);
    let listing = Change::Present {
        source: SourceId(1),
        kind: SourceKind::File,
        access: Access::Token,
        opened: None,
    };
    assert_eq!(list(&mut catalog, &[change("x.ts", listing)]), []);
    assert_eq!(catalog.slot_of(SourceId(1)), Some(slot));
    assert_eq!(vod(&catalog, "x.ts"), "withheld");
    assert_eq!(catalog.give_back(slot), None);
    list(&mut catalog, &[present("x.ts", SourceKind::File, &opened)]);
    assert_eq!(vod(&catalog, "x.ts"), "object of 1", "open to all again");
    assert_eq!(vod(&catalog, "y.ts"), "absent", "and nothing else is withheld");
}

/// A listing of something that takes a token.
fn secret(path: &str, kind: SourceKind, source: u64, opened: Option<Arc<Opened>>) -> Listing {
    let source = SourceId(source);
    change(path, Change::Present { source, kind, access: Access::Token, opened })
}

#[test]
fn what_is_withheld_looks_like_what_is_nowhere_whatever_its_state() {
    let mut catalog = empty();
    let listings = [
        secret("a", SourceKind::Pack, 1, Some(small_pack(1, &["1.ts"]))),
        secret("b", SourceKind::Pack, 2, None),
        secret("c", SourceKind::Pack, 3, None),
        secret("d", SourceKind::Pack, 4, None),
        secret("x.ts", SourceKind::File, 5, Some(small_file(5))),
        secret("y.ts", SourceKind::File, 6, None),
        present("open", SourceKind::Pack, &small_pack(7, &["1.ts"])),
    ];
    list(&mut catalog, &listings);
    catalog.fail(SourceId(3), OpenFault::Damaged, &mut Vec::new());
    catalog.fail(SourceId(4), OpenFault::Missing, &mut Vec::new());
    for path in ["a/1.ts", "a/2.ts", "b/1.ts", "c/1.ts", "d/1.ts", "x.ts", "y.ts", "z.ts", "z/1.ts"]
    {
        assert_eq!(vod(&catalog, path), "withheld", "{path}");
    }
    assert_eq!(vod(&catalog, "open/1.ts"), "object of 7", "what is open is served beside it");
    for path in ["a", "b", "c", "d", "x.ts", "y.ts"] {
        assert_eq!(vod(&catalog, "z.ts"), "withheld");
        list(&mut catalog, &[change(path, Change::Absent)]);
    }
    assert_eq!(vod(&catalog, "z.ts"), "absent", "nothing is withheld any more");
}

#[test]
fn what_a_viewer_may_not_have_hides_nothing_that_he_may() {
    let mut catalog = empty();
    let open = [
        present("a/b", SourceKind::Pack, &small_pack(1, &["1.ts"])),
        secret("a", SourceKind::Pack, 2, Some(small_pack(2, &["b/1.ts"]))),
        secret("a/b/1.ts", SourceKind::File, 3, None),
    ];
    list(&mut catalog, &open);
    assert_eq!(vod(&catalog, "a/b/1.ts"), "object of 1");
}

#[test]
fn a_lease_keeps_what_is_listed_no_more() {
    let mut catalog = empty();
    list(&mut catalog, &[present("x.ts", SourceKind::File, &small_file(1))]);
    let leased = slot(&catalog, "x.ts");
    catalog.lease(leased);
    catalog.lease(leased);
    assert_eq!(list(&mut catalog, &[change("x.ts", Change::Absent)]), []);
    assert_eq!(vod(&catalog, "x.ts"), "absent");
    assert_eq!(catalog.opened(leased).source, SourceId(1));
    assert!(!catalog.is_torn(leased));
    // Its place is not given to another one meanwhile.
    list(&mut catalog, &[present("y.ts", SourceKind::File, &small_file(2))]);
    assert_ne!(slot(&catalog, "y.ts"), leased);
    assert_eq!(catalog.give_back(leased), None);
    assert_eq!(catalog.give_back(leased), Some(SourceId(1)));
    assert_eq!(catalog.slot_of(SourceId(1)), None);
    list(&mut catalog, &[present("z.ts", SourceKind::File, &small_file(3))]);
    assert_eq!(slot(&catalog, "z.ts"), leased, "and then it is");
}

#[test]
fn what_was_torn_resets_its_transfers() {
    let mut catalog = empty();
    list(&mut catalog, &[present("x.ts", SourceKind::File, &small_file(1))]);
    let slot = slot(&catalog, "x.ts");
    catalog.lease(slot);
    let effects = list(&mut catalog, &[change("x.ts", Change::Torn)]);
    assert_eq!(effects, [Effect::Reset(slot)]);
    assert!(catalog.is_torn(slot));
    assert_eq!(catalog.give_back(slot), Some(SourceId(1)));
}

#[test]
fn what_nobody_opened_goes_quietly() {
    let mut catalog = empty();
    list(&mut catalog, &[closed("a", SourceKind::Pack, 1)]);
    let slot = slot(&catalog, "a/1.ts");
    catalog.want(slot);
    let effects = list(&mut catalog, &[change("a", Change::Absent)]);
    assert_eq!(effects, [Effect::Release(Place::Source(slot))], "whoever waits is told");
    assert_eq!(list(&mut catalog, &[change("a", Change::Absent)]), []);
}

#[test]
fn a_fault_ends_a_source_but_not_the_transfers_that_run() {
    let mut catalog = empty();
    list(&mut catalog, &[present("a", SourceKind::Pack, &small_pack(1, &["1.ts"]))]);
    let slot = slot(&catalog, "a/1.ts");
    catalog.lease(slot);
    assert_eq!(catalog.mark_faulty(slot), SourceId(1));
    assert_eq!(vod(&catalog, "a/1.ts"), "damaged");
    assert_eq!(catalog.opened(slot).source, SourceId(1));
    assert_eq!(catalog.open_count(), 0);
    assert_eq!(catalog.give_back(slot), Some(SourceId(1)), "nothing holds its file open");
    assert_eq!(vod(&catalog, "a/1.ts"), "damaged");
}

#[test]
fn what_is_expected_is_waited_for() {
    let mut catalog = empty();
    list(&mut catalog, &[change("a/2.ts", Change::Expected)]);
    let Found::Expected(place) = catalog.vod("a/2.ts", &anonymous()) else {
        panic!("it is expected")
    };
    assert_eq!(list(&mut catalog, &[change("a/2.ts", Change::Expected)]), []);
    assert!(matches!(catalog.vod("a/2.ts", &anonymous()), Found::Expected(same) if same == place));
    assert_eq!(vod(&catalog, "a/3.ts"), "absent");
    assert_eq!(shown(&live(&catalog, "/tv/a/2.ts")), "absent");
    let effects = list(&mut catalog, &[present("a/2.ts", SourceKind::File, &small_file(1))]);
    assert_eq!(effects[0], Effect::Release(place));
    assert_eq!(vod(&catalog, "a/2.ts"), "object of 1");

    list(&mut catalog, &[change("a/3.ts", Change::Expected)]);
    let effects = list(&mut catalog, &[change("a/3.ts", Change::Absent)]);
    assert!(matches!(effects[..], [Effect::Release(Place::Path(_))]), "{effects:?}");
    assert_eq!(vod(&catalog, "a/3.ts"), "absent");
}

#[test]
fn the_least_recently_used_makes_room() {
    let mut catalog = Catalog::new(Capacity { sources: 2, heap_bytes: 1 << 20 });
    let paths = ["0.ts", "1.ts", "2.ts", "3.ts"];
    for (number, path) in paths.iter().enumerate() {
        list(&mut catalog, &[closed(path, SourceKind::File, number as u64)]);
    }
    assert!(!open(&mut catalog, &small_file(0)).contains(&Effect::LetGo(SourceId(0))));
    open(&mut catalog, &small_file(1));
    let leased = slot(&catalog, "0.ts");
    catalog.lease(leased);
    let effects = open(&mut catalog, &small_file(2));
    assert!(effects.contains(&Effect::LetGo(SourceId(1))), "0 is leased: {effects:?}");
    assert_eq!(vod(&catalog, "1.ts"), "closed");
    assert_eq!(catalog.open_count(), 2);
    // With all others in use the limit gives way: a request is not refused for it.
    let other = slot(&catalog, "2.ts");
    catalog.lease(other);
    open(&mut catalog, &small_file(3));
    assert_eq!(catalog.open_count(), 3);
    catalog.give_back(leased);
    catalog.give_back(other);
    open(&mut catalog, &small_file(1));
    assert_eq!(catalog.open_count(), 2);
}

#[test]
fn bytes_in_memory_are_counted() {
    let mut catalog = Catalog::new(Capacity { sources: 100, heap_bytes: 25 });
    for number in 0..10 {
        let path = format!("{number}.ts");
        list(&mut catalog, &[present(&path, SourceKind::File, &small_file(number))]);
    }
    assert_eq!(catalog.open_count(), 2);
    catalog.set_capacity(Capacity { sources: 100, heap_bytes: 100 });
    list(&mut catalog, &[present("x.ts", SourceKind::File, &small_file(10))]);
    assert_eq!(catalog.open_count(), 3);
}

fn begun(path: &str) -> Growth {
    let media_type = "video/iso.segment";
    Growth::Begun { path: path.into(), media_type, class: Class::Segment, access: Access::Open }
}

fn appended(size: u64) -> Growth {
    Growth::Appended { opened: small_file(9), extent: Extent { offset: 0, size } }
}

fn growing_slot(catalog: &Catalog, path: &str) -> GrowingSlot {
    match live(catalog, path) {
        Found::Growing(growing) => growing.slot,
        found => panic!("{path} is {}", shown(&found)),
    }
}

/// The next thing a response of it can send, in a word.
fn next(catalog: &Catalog, slot: GrowingSlot, piece: usize) -> String {
    match catalog.piece(slot, piece) {
        Piece::Bytes(_, extent) => format!("{} bytes", extent.size),
        Piece::Wait => "wait".to_owned(),
        Piece::End => "end".to_owned(),
        Piece::Abort => "abort".to_owned(),
    }
}

#[test]
fn a_growing_object_grows_and_ends() {
    let mut catalog = empty();
    assert_eq!(grow(&mut catalog, 1, &begun("/tv/news/1.m4s")), []);
    let slot = growing_slot(&catalog, "/tv/news/1.m4s");
    assert_eq!(vod(&catalog, "news/1.m4s"), "absent");
    assert_eq!(catalog.growing_media_type(slot), "video/iso.segment");
    assert_eq!(next(&catalog, slot, 0), "wait");
    assert_eq!(grow(&mut catalog, 1, &appended(7)), [Effect::Grown(slot)]);
    grow(&mut catalog, 1, &appended(0));
    grow(&mut catalog, 1, &appended(3));
    assert_eq!(grow(&mut catalog, 1, &Growth::Ended), [Effect::Grown(slot)]);
    grow(&mut catalog, 1, &appended(5));
    let sent: Vec<_> = (0..3).map(|piece| next(&catalog, slot, piece)).collect();
    assert_eq!(sent, ["7 bytes", "3 bytes", "end"], "no empty chunk, nothing behind the end");
}

#[test]
fn an_aborted_object_is_sent_no_further() {
    let mut catalog = empty();
    grow(&mut catalog, 1, &begun("/tv/news/1.m4s"));
    grow(&mut catalog, 1, &appended(7));
    grow(&mut catalog, 1, &Growth::Aborted);
    let slot = growing_slot(&catalog, "/tv/news/1.m4s");
    assert_eq!(next(&catalog, slot, 0), "abort");
    grow(&mut catalog, 1, &Growth::Ended);
    assert_eq!(next(&catalog, slot, 1), "abort");
}

#[test]
fn a_growing_object_releases_those_who_wait_for_its_path() {
    let mut catalog = empty();
    list(&mut catalog, &[change("/tv/news/1.m4s", Change::Expected)]);
    let Found::Expected(place) = live(&catalog, "/tv/news/1.m4s") else { panic!("it is expected") };
    let effects = grow(&mut catalog, 1, &begun("/tv/news/1.m4s"));
    assert_eq!(effects, [Effect::Release(place)]);
}

#[test]
fn a_leased_growing_object_outlives_its_listing() {
    let mut catalog = empty();
    grow(&mut catalog, 1, &begun("/tv/news/1.m4s"));
    let slot = growing_slot(&catalog, "/tv/news/1.m4s");
    catalog.lease_growing(slot);
    list(&mut catalog, &[change("/tv/news/1.m4s", Change::Absent)]);
    assert_eq!(shown(&live(&catalog, "/tv/news/1.m4s")), "absent");
    grow(&mut catalog, 2, &begun("/tv/news/2.m4s"));
    assert_ne!(growing_slot(&catalog, "/tv/news/2.m4s"), slot);
    assert_eq!(grow(&mut catalog, 1, &appended(4)), [Effect::Grown(slot)]);
    assert_eq!(next(&catalog, slot, 0), "4 bytes");
    catalog.give_back_growing(slot);
    assert_eq!(grow(&mut catalog, 1, &appended(4)), [], "it is gone");
    grow(&mut catalog, 3, &begun("/tv/news/3.m4s"));
    assert_eq!(growing_slot(&catalog, "/tv/news/3.m4s"), slot);
}

#[test]
fn a_path_that_begins_again_is_the_new_object() {
    let mut catalog = empty();
    grow(&mut catalog, 1, &begun("/tv/news/1.m4s"));
    grow(&mut catalog, 1, &appended(7));
    grow(&mut catalog, 2, &begun("/tv/news/1.m4s"));
    let slot = growing_slot(&catalog, "/tv/news/1.m4s");
    assert_eq!(next(&catalog, slot, 0), "wait");
    assert_eq!(grow(&mut catalog, 1, &Growth::Aborted), []);
}

#[test]
fn a_film_in_folders_is_the_topmost_with_a_playlist() {
    let mut catalog = empty();
    let file = |path, source| closed(path, SourceKind::File, source);
    let listed = [file("films/a/master.m3u8", 1), file("films/a/video/media.m3u8", 2)];
    list(&mut catalog, &listed);
    list(&mut catalog, &[file("films/a/manifest.mpd", 3), file("films/b.mp4", 4)]);
    for (path, expected) in [
        ("films/a/video/1.m4s", Some("films/a")),
        ("films/a/audio/1.mp4", Some("films/a")),
        ("films/a/master.m3u8", Some("films/a")),
        ("films/b.mp4", None),
        ("films/ab/1.ts", None),
    ] {
        assert_eq!(catalog.film_of(path), expected, "{path}");
    }
    for gone in ["films/a/master.m3u8", "films/a/manifest.mpd"] {
        list(&mut catalog, &[change(gone, Change::Absent)]);
    }
    assert_eq!(catalog.film_of("films/a/video/1.m4s"), Some("films/a/video"));
    assert_eq!(catalog.film_of("films/a/audio/1.mp4"), None);
}

#[test]
fn what_is_taken_in_for_an_answer_stays_as_long_as_it_is_sent() {
    let mut catalog = empty();
    let answer = |number| file(SourceId::of_answer(number), "x.json", &[1; 10]);
    let opened = answer(1);
    let slot = catalog.adopt(&opened);
    catalog.abandon(slot);
    assert_eq!(catalog.slot_of(opened.source), None, "nobody is sent it");
    let slot = catalog.adopt(&opened);
    catalog.lease(slot);
    catalog.abandon(slot);
    assert_eq!(catalog.adopt(&opened), slot, "it is being sent");
    catalog.lease(slot);
    catalog.abandon(slot);
    catalog.give_back(slot);
    assert_eq!(catalog.slot_of(opened.source), Some(slot));
    catalog.give_back(slot);
    assert_eq!(catalog.slot_of(opened.source), None);
    // Once more is once too often, and does nothing.
    catalog.abandon(slot);
    let places = [2, 3].map(|number| catalog.adopt(&answer(number)));
    assert_ne!(places[0], places[1]);
}
