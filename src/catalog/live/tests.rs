//! Live renditions in the catalog: what is there, what is waited for, and what releases it.

use super::*;
use crate::catalog::Capacity;
use crate::config::{Access, STREAM_PIECES_BEHIND_MAX, STREAM_PIECES_MAX};
use crate::live::playlist::dash::timed::Timed;
use crate::live::playlist::name::Promise;
use crate::live::reload::Edge;
use crate::live::time::Length;
use crate::messages::{Change, Listing, Rendition, SourceId, SourceKind};
use crate::request::fixture::{anonymous, file, present};
use crate::units::{Class, Extent};

const FOLDER: &str = "/tv/news/v";

/// A catalog with one rendition: segments 10 and 11 are whole, 12 has two parts.
fn news() -> Catalog {
    let mut catalog = Catalog::new(Capacity { sources: 2, heap_bytes: 1 << 10 });
    for (number, name) in (0..).zip(["10.m4s", "11.m4s", "12.0.m4s", "12.1.m4s", "ll.m3u8"]) {
        list(&mut catalog, &[there(name, number)]);
    }
    list(&mut catalog, &[edge(12, 2, false, Access::Open)]);
    catalog
}

fn there(name: &str, number: u64) -> Listing {
    let path = format!("{FOLDER}/{name}");
    present(&path, SourceKind::File, &file(SourceId::of_live(number), name, &[7; 2000]))
}

fn edge(segment: i64, parts: u32, is_whole: bool, access: Access) -> Listing {
    let edge = Edge { segment, parts, is_whole };
    let part = Length::of_millis(500);
    let begins = Timed { zero_micros: 0, run: 0, ticks: segment * 100 };
    let ends = Timed {
        ticks: begins.ticks + if is_whole { 100 } else { 25 * i64::from(parts) },
        ..begins
    };
    let news = Rendition {
        edge,
        times: (begins, ends),
        part,
        parts_a_segment: 4,
        hold_ms: 6000,
        promise: None,
        access,
        rung: Default::default(),
    };
    Listing { path: FOLDER.into(), change: Change::Rendition(news) }
}

fn list(catalog: &mut Catalog, listings: &[Listing]) -> Vec<Effect> {
    let mut effects = Vec::new();
    catalog.list(listings, &mut effects);
    effects
}

/// What a name and a query in the rendition's folder are, in a word.
fn found(catalog: &Catalog, name: &str, query: &str) -> String {
    let directives = Directives::read(query).unwrap();
    match catalog.live(&format!("{FOLDER}/{name}"), &directives, &anonymous()) {
        Found::Object(object) => format!("object {}", object.source.0 & 0xff),
        Found::Expected(Place::Reach(_, Reach { segment, parts: Reach::WHOLE })) => {
            format!("waits for {segment}")
        }
        Found::Expected(Place::Reach(_, reach)) => {
            format!("waits for {}.{}", reach.segment, reach.parts)
        }
        Found::TooFar => "too far".to_owned(),
        Found::Moved(name) => format!("now {name}"),
        Found::Growing(_) => "grows".to_owned(),
        Found::Absent => "absent".to_owned(),
        Found::Withheld => "withheld".to_owned(),
        Found::Asked(_) => "asked".to_owned(),
        other => panic!("{other:?}"),
    }
}

/// Has a request wait for a name.
fn wait(catalog: &mut Catalog, name: &str, query: &str) -> Place {
    let directives = Directives::read(query).unwrap();
    let path = format!("{FOLDER}/{name}");
    let Found::Expected(place) = catalog.live(&path, &directives, &anonymous()) else {
        panic!("{name} is not waited for")
    };
    let Place::Reach(rendition, reach) = place else { panic!("{place:?}") };
    assert_eq!(catalog.wait(rendition, reach), 6000);
    place
}

#[test]
fn what_comes_within_a_segment_of_the_edge_is_waited_for() {
    let catalog = news();
    for (name, expected) in [
        ("11.m4s", "object 1"),
        ("12.1.m4s", "object 3"),
        ("12.2.m4s", "waits for 12.3"),
        ("12.3.m4s", "waits for 12.4"),
        ("13.m4s", "waits for 13.0"),
        ("13.0.m4s", "waits for 13.1"),
        // No segment has so many parts, none is so far ahead, and what was passed over stays so.
        ("12.4.m4s", "absent"),
        ("14.m4s", "absent"),
        ("14.0.m4s", "absent"),
        ("9.m4s", "absent"),
        ("11.3.m4s", "absent"),
        ("other.m4s", "absent"),
    ] {
        assert_eq!(found(&catalog, name, ""), expected, "{name}");
    }
    let elsewhere = catalog.live("/tv/other/v/13.m4s", &Directives::default(), &anonymous());
    assert!(matches!(elsewhere, Found::Absent));
}

#[test]
fn what_is_asked_for_by_its_time_is_waited_for_when_it_comes_next() {
    let mut catalog = news();
    list(&mut catalog, &[there("0-1100.m4s", 7)]);
    for (name, expected) in [
        ("0-1100.m4s", "object 7"),
        ("0-1200.m4s", "waits for 12"),
        // It has no end yet, and nothing else begins so.
        ("0-1250.m4s", "absent"),
        ("0-1300.m4s", "absent"),
        ("1-1200.m4s", "absent"),
    ] {
        assert_eq!(found(&catalog, name, ""), expected, "{name}");
    }
    let place = wait(&mut catalog, "0-1200.m4s", "");
    assert_eq!(list(&mut catalog, &[edge(12, 4, false, Access::Open)]), []);
    let whole = [there("0-1200.m4s", 8), edge(12, 4, true, Access::Open)];
    assert!(list(&mut catalog, &whole).contains(&Effect::Release(place)));
    assert_eq!(found(&catalog, "0-1200.m4s", ""), "object 8");
    assert_eq!(found(&catalog, "0-1300.m4s", ""), "waits for 13");
    // What is not there any more may be recorded: control says so.
    assert_eq!(found(&catalog, "0-900.m4s", ""), "absent");
    let channel = Listing { path: "/tv/news".into(), change: Change::Channel(Access::Open) };
    list(&mut catalog, &[channel]);
    assert_eq!(found(&catalog, "0-900.m4s", ""), "asked");
    assert_eq!(found(&catalog, "9.m4s", ""), "absent");
}

#[test]
fn a_playlist_waits_until_it_holds_what_is_asked_for() {
    let catalog = news();
    assert_eq!(found(&catalog, "ll.m3u8", ""), "object 4");
    assert_eq!(found(&catalog, "ll.m3u8", "_HLS_msn=12&_HLS_part=1"), "object 4");
    assert_eq!(found(&catalog, "ll.m3u8", "_HLS_msn=12&_HLS_part=2"), "waits for 12.3");
    assert_eq!(found(&catalog, "ll.m3u8", "_HLS_msn=12"), "waits for 12");
    assert_eq!(found(&catalog, "ll.m3u8", "_HLS_msn=99"), "too far");
}

#[test]
fn a_delta_is_given_where_there_is_one() {
    let mut catalog = news();
    assert_eq!(found(&catalog, "ll.m3u8", "_HLS_skip=YES"), "object 4");
    list(&mut catalog, &[there("delta.m3u8", 5)]);
    assert_eq!(found(&catalog, "ll.m3u8", "_HLS_skip=YES"), "object 5");
    assert_eq!(found(&catalog, "ll.m3u8", "_HLS_msn=12"), "waits for 12");
}

#[test]
fn a_playlist_that_promises_something_else_leads_to_the_one_that_is_there() {
    let mut catalog = news();
    // The name that is there is none of those that lead elsewhere, listed or not.
    assert_eq!(found(&catalog, "index.m3u8", ""), "absent");
    assert_eq!(found(&catalog, "ll-4-500.m3u8", ""), "now ll.m3u8");
    let mut longer = edge(12, 2, false, Access::Open);
    if let Change::Rendition(news) = &mut longer.change {
        news.promise = Some(Promise { seconds: 4, part_ms: 500 });
    }
    let gone = Listing { path: format!("{FOLDER}/ll.m3u8").into(), change: Change::Absent };
    list(&mut catalog, &[there("ll-4-500.m3u8", 6), gone, longer]);
    assert_eq!(found(&catalog, "ll-4-500.m3u8", ""), "object 6");
    assert_eq!(found(&catalog, "ll.m3u8", ""), "now ll-4-500.m3u8");
    assert_eq!(found(&catalog, "index.m3u8", ""), "now index-4-500.m3u8");
    assert_eq!(found(&catalog, "index-4-500.m3u8", ""), "absent");
    // Under an old name a player waits as under the new one.
    assert_eq!(found(&catalog, "ll.m3u8", "_HLS_msn=12&_HLS_part=2"), "waits for 12.3");
    assert_eq!(found(&catalog, "ll.m3u8", "_HLS_msn=12&_HLS_part=1"), "now ll-4-500.m3u8");
    assert_eq!(found(&catalog, "ll.m3u8", "_HLS_msn=99"), "too far");
    for other in ["delta-4-500.m3u8", "index-4.m3u8"] {
        assert_eq!(found(&catalog, other, ""), "absent");
    }
}

#[test]
fn an_edge_releases_what_it_has_reached_and_nobody_else() {
    let mut catalog = news();
    let part = wait(&mut catalog, "12.2.m4s", "");
    let same = wait(&mut catalog, "ll.m3u8", "_HLS_msn=12&_HLS_part=2");
    assert_eq!(part, same, "a part and the playlist that lists it come together");
    let segment = wait(&mut catalog, "ll.m3u8", "_HLS_msn=12");
    let next = wait(&mut catalog, "13.m4s", "");
    let next_part = wait(&mut catalog, "ll.m3u8", "_HLS_msn=13&_HLS_part=0");
    assert_eq!(list(&mut catalog, &[edge(12, 2, false, Access::Open)]), []);
    let effects = list(&mut catalog, &[edge(12, 3, false, Access::Open)]);
    assert_eq!(effects, [Effect::Release(part)]);
    let effects = list(&mut catalog, &[edge(12, 3, true, Access::Open)]);
    assert_eq!(effects, [Effect::Release(segment)]);
    // Past the last part of a whole segment lies the first of the next one.
    assert_eq!(found(&catalog, "ll.m3u8", "_HLS_msn=12&_HLS_part=3"), "waits for 13.1");
    assert_eq!(found(&catalog, "12.3.m4s", ""), "absent");
    let effects = list(&mut catalog, &[edge(13, 0, false, Access::Open)]);
    assert_eq!(effects, [Effect::Release(next)]);
    let effects = list(&mut catalog, &[edge(13, 1, false, Access::Open)]);
    assert_eq!(effects, [Effect::Release(next_part)]);
}

#[test]
fn those_who_wait_are_released_when_the_rendition_goes() {
    let mut catalog = news();
    let place = wait(&mut catalog, "13.m4s", "");
    let gone = Listing { path: FOLDER.into(), change: Change::Absent };
    assert_eq!(list(&mut catalog, &[gone]), [Effect::Release(place)]);
    assert_eq!(found(&catalog, "13.m4s", ""), "absent");
    assert_eq!(found(&catalog, "ll.m3u8", "_HLS_msn=99"), "object 4", "nothing to wait for");
}

#[test]
fn what_takes_a_token_is_neither_given_nor_waited_for_without_one() {
    let mut catalog = news();
    let mut segment = there("12.m4s", 9);
    let Change::Present { access, .. } = &mut segment.change else { unreachable!() };
    *access = Access::Token;
    list(&mut catalog, &[segment, edge(12, 2, false, Access::Token)]);
    for name in ["12.m4s", "12.2.m4s", "13.m4s", "99.m4s"] {
        assert_eq!(found(&catalog, name, ""), "withheld", "{name}");
    }
    let (path, media_type) = (format!("{FOLDER}/13.m4s").into(), "video/mp4");
    let (class, access) = (Class::Segment, Access::Token);
    let begun = Growth::Begun { path, media_type, class, access };
    catalog.grow(GrowingId(1), &begun, &mut Vec::new());
    assert_eq!(found(&catalog, "13.m4s", ""), "withheld");
}

#[test]
fn what_is_past_of_a_channel_is_asked_for_until_it_is_listed_or_the_channel_goes() {
    let mut catalog = news();
    let past = ["archive/1-60/master.m3u8", "archive/x", "rewind/v/media.m3u8"];
    let found = |catalog: &Catalog, below: &str| {
        let path = format!("/tv/news/{below}");
        match catalog.live(&path, &Directives::default(), &anonymous()) {
            Found::Asked(access) => format!("asked, {access:?}"),
            Found::Object(_) => "object".to_owned(),
            Found::Absent => "absent".to_owned(),
            Found::Withheld => "withheld".to_owned(),
            other => panic!("{other:?}"),
        }
    };
    let channel = |change| [Listing { path: "/tv/news".into(), change }];
    let check = |catalog: &Catalog, expected: &str| {
        past.iter().for_each(|below| assert_eq!(found(catalog, below), expected, "{below}"));
        assert_ne!(found(catalog, "archive"), "asked, Open", "there is nothing below it");
        assert_ne!(found(catalog, "video/x.m3u8"), "asked, Open", "it is not past");
    };
    check(&catalog, "absent");
    list(&mut catalog, &channel(Change::Channel(Access::Open)));
    check(&catalog, "asked, Open");
    let opened = file(SourceId::of_past(0, true), "media.m3u8", &[7; 20]);
    let path = format!("/tv/news/{}", past[2]);
    list(&mut catalog, &[present(&path, SourceKind::File, &opened)]);
    assert_eq!(found(&catalog, past[2]), "object");
    list(&mut catalog, &[Listing { path: path.into(), change: Change::Absent }]);
    check(&catalog, "asked, Open");
    // Who may not have it learns nothing, and nobody is asked.
    list(&mut catalog, &channel(Change::Channel(Access::Token)));
    check(&catalog, "absent");
    list(&mut catalog, &[edge(12, 2, false, Access::Token)]);
    let mut segment = there("12.m4s", 9);
    let Change::Present { access, .. } = &mut segment.change else { unreachable!() };
    *access = Access::Token;
    list(&mut catalog, &[segment]);
    check(&catalog, "withheld");
    list(&mut catalog, &channel(Change::Absent));
    check(&catalog, "withheld");
}

#[test]
fn what_grew_is_an_object_when_it_is_whole() {
    let mut catalog = news();
    let (path, media_type) = (format!("{FOLDER}/12.m4s").into(), "video/mp4");
    let (class, access) = (Class::Segment, Access::Open);
    let begun = Growth::Begun { path, media_type, class, access };
    catalog.grow(GrowingId(1), &begun, &mut Vec::new());
    assert_eq!(found(&catalog, "12.m4s", ""), "grows");
    list(&mut catalog, &[there("12.m4s", 9)]);
    assert_eq!(found(&catalog, "12.m4s", ""), "object 9");
}

#[test]
fn live_objects_are_not_closed_to_make_room_and_the_library_hears_nothing_of_them() {
    let mut catalog = news();
    assert_eq!(catalog.open_count(), 0, "two may be open, and five live ones are");
    for number in 1..=3 {
        let opened = file(SourceId(number), "x.ts", &[0; 10]);
        list(&mut catalog, &[present(&format!("{number}.ts"), SourceKind::File, &opened)]);
    }
    assert_eq!(catalog.open_count(), 2);
    assert_eq!(found(&catalog, "10.m4s", ""), "object 0");
    let gone = Listing { path: format!("{FOLDER}/10.m4s").into(), change: Change::Absent };
    let effects = list(&mut catalog, &[gone]);
    let [Effect::LetGo(source)] = effects[..] else { panic!("{effects:?}") };
    assert!(source.is_live());
}

#[test]
fn what_is_below_a_channel_of_assets_is_asked_for_by_those_who_may() {
    let mut catalog = news();
    let asked = |access| Listing { path: "/tv/news".into(), change: Change::Asked(access) };
    assert_eq!(found(&catalog, "x", ""), "absent");
    list(&mut catalog, &[asked(Access::Open)]);
    assert_eq!(found(&catalog, "x", ""), "asked");
    // What is listed is there, and what comes is waited for.
    assert_eq!(found(&catalog, "10.m4s", ""), "object 0");
    assert_eq!(found(&catalog, "13.m4s", ""), "waits for 13.0");
    let other = catalog.live("/tv/newsx/y", &Directives::default(), &anonymous());
    assert!(matches!(other, Found::Absent), "{other:?}");
    list(&mut catalog, &[asked(Access::Token)]);
    assert_eq!(found(&catalog, "x", ""), "withheld");
    // Of a channel with this name that was pushed somebody else tells that it is gone.
    list(&mut catalog, &[Listing { path: "/tv/news".into(), change: Change::Absent }]);
    assert_eq!(found(&catalog, "x", ""), "withheld");
    list(&mut catalog, &[Listing { path: "/tv/news".into(), change: Change::Unasked }]);
    assert_eq!(found(&catalog, "x", ""), "absent");
}

/// A stream without an end, whose third piece is an entry, and so on; told of so many pieces.
fn endless(count: usize) -> (Catalog, GrowingSlot) {
    let mut catalog = Catalog::new(Capacity { sources: 2, heap_bytes: 1 << 10 });
    let (path, class, access) = ("/tv/news/stream.ts".into(), Class::Other, Access::Open);
    let begun = Growth::Begun { path, media_type: "video/mp2t", class, access };
    let opened = file(SourceId::of_live(1), "a.ts", &[7; 2000]);
    let mut effects = Vec::new();
    catalog.grow(GrowingId(1), &begun, &mut effects);
    for number in 0..count {
        if number % 3 == 0 {
            catalog.grow(GrowingId(1), &Growth::Entry, &mut effects);
        }
        let extent = Extent { offset: number as u64, size: 1 };
        let appended = Growth::Appended { opened: Arc::clone(&opened), extent };
        catalog.grow(GrowingId(1), &appended, &mut effects);
    }
    let found = catalog.live("/tv/news/stream.ts", &Directives::default(), &anonymous());
    let Found::Growing(growing) = found else { panic!("{found:?}") };
    (catalog, growing.slot)
}

/// Where the next piece of a response lies.
fn piece_at(catalog: &Catalog, slot: GrowingSlot, number: usize) -> Option<u64> {
    match catalog.piece(slot, number) {
        Piece::Bytes(_, extent) => Some(extent.offset),
        Piece::Wait => None,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_stream_without_an_end_begins_at_its_newest_entry() {
    for (count, entry) in [(1, 0), (3, 0), (4, 3), (300, 297)] {
        let (catalog, slot) = endless(count);
        let first = catalog.first_piece(slot);
        assert_eq!((first, piece_at(&catalog, slot, first)), (entry, Some(entry as u64)));
        assert_eq!(piece_at(&catalog, slot, count), None, "what comes is waited for");
    }
}

#[test]
fn of_a_stream_without_an_end_the_slow_are_moved_to_its_newest_entry() {
    let (catalog, slot) = endless(300);
    let behind = 300 - STREAM_PIECES_BEHIND_MAX;
    assert_eq!(catalog.next_piece(slot, behind), behind);
    assert_eq!(catalog.next_piece(slot, behind - 1), 297);
    // Whoever is in the middle of a piece can end it, unless it is much older.
    let oldest = 300 - STREAM_PIECES_MAX;
    assert_eq!(piece_at(&catalog, slot, oldest), Some(oldest as u64));
    assert!(matches!(catalog.piece(slot, oldest - 1), Piece::Abort));
}
