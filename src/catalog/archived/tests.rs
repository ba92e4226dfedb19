//! Archives in the catalog: segments by their numbers, beneath what is live.

use super::*;
use crate::catalog::Capacity;
use crate::config::Access;
use crate::live::reload::Directives;
use crate::messages::{Change, Listing, Numbers, Opened, SourceId};
use crate::request::fixture::{anonymous, file, pack, present};
use crate::request::locate::Place;

const HOUR: &str = "\0archive/news/1";
/// The segments that are objects of their own.
const SINGLES: [u64; 2] = [12, 13];

fn list(catalog: &mut Catalog, listing: Listing) -> Vec<Effect> {
    let mut effects = Vec::new();
    catalog.list(&[listing], &mut effects);
    effects
}

fn archived(
    path: &str,
    source: SourceId,
    numbers: &[(&str, i64, i64)],
    opened: Option<Arc<Opened>>,
    access: Access,
) -> Listing {
    let kind = if opened.is_some() { SourceKind::File } else { SourceKind::Pack };
    let of =
        |&(folder, first, last): &(&str, i64, i64)| Numbers { folder: folder.into(), first, last };
    let numbers = numbers.iter().map(of).collect();
    let archived = Archived { source, kind, access, opened, numbers };
    Listing { path: path.into(), change: Change::Archived(Arc::new(archived)) }
}

fn hour(source: u64, access: Access) -> Listing {
    let numbers = [("/tv/news/v", 10, 12), ("/tv/news/a", 11, 13)];
    archived(HOUR, SourceId::of_archive(source), &numbers, None, access)
}

fn single(number: i64) -> Listing {
    let source = SourceId::of_archived_object(u64::try_from(number).unwrap());
    let opened = file(source, "x.m4s", &[7; 10]);
    let numbers = [("/tv/news/v", number, number)];
    archived(&format!("{HOUR}/v/{number}"), source, &numbers, Some(opened), Access::Open)
}

fn absent(path: &str) -> Listing {
    Listing { path: path.into(), change: Change::Absent }
}

fn found(catalog: &Catalog, path: &str) -> &'static str {
    match catalog.live(path, &Directives::default(), &anonymous()) {
        Found::Object(object) if object.kind == SourceKind::Pack => "packed",
        Found::Object(object)
            if SINGLES.map(SourceId::of_archived_object).contains(&object.source) =>
        {
            "single"
        }
        Found::Object(_) => "live",
        Found::Closed(_) => "closed",
        Found::Absent => "absent",
        Found::Withheld => "withheld",
        other => panic!("{other:?}"),
    }
}

fn empty() -> Catalog {
    Catalog::new(Capacity { sources: 2, heap_bytes: 1 << 10 })
}

#[test]
fn an_hour_is_asked_for_once_and_has_what_is_in_its_pack() {
    let mut catalog = empty();
    assert_eq!(list(&mut catalog, hour(1, Access::Open)), []);
    let Found::Closed(slot) =
        catalog.live("/tv/news/v/11.m4s", &Directives::default(), &anonymous())
    else {
        panic!("it is not open")
    };
    assert_eq!(found(&catalog, "/tv/news/a/13.m4s"), "closed");
    for path in ["/tv/news/v/9.m4s", "/tv/news/v/13.m4s", "/tv/news/x/11.m4s", "/tv/news/v/a.m4s"] {
        assert_eq!(found(&catalog, path), "absent", "{path}");
    }
    assert_eq!(catalog.want(slot), Some(SourceId::of_archive(1)));
    let files = ["v/10.m4s", "v/12.m4s", "a/11.m4s"].map(|path| (path, &b"x"[..], None));
    let mut effects = Vec::new();
    catalog.open(&pack(SourceId::of_archive(1), &files), &mut effects);
    assert_eq!(effects, [Effect::Release(Place::Source(slot))]);
    assert_eq!(found(&catalog, "/tv/news/v/12.m4s"), "packed");
    assert_eq!(found(&catalog, "/tv/news/a/11.m4s"), "packed");
    assert_eq!(found(&catalog, "/tv/news/v/11.m4s"), "absent", "a gap");
    let effects = list(&mut catalog, absent(HOUR));
    assert_eq!(effects, [Effect::LetGo(SourceId::of_archive(1))]);
    assert_eq!(found(&catalog, "/tv/news/v/12.m4s"), "absent");
}

#[test]
fn what_is_live_comes_first_and_then_what_is_single_and_then_the_pack() {
    let mut catalog = empty();
    let path = "/tv/news/v/12.m4s";
    list(&mut catalog, single(12));
    assert_eq!(found(&catalog, path), "single");
    list(&mut catalog, single(12));
    list(&mut catalog, single(13));
    let live = file(SourceId::of_live(1), "12.m4s", &[7; 10]);
    list(&mut catalog, present(path, SourceKind::File, &live));
    assert_eq!(found(&catalog, path), "live");
    list(&mut catalog, absent(path));
    assert_eq!(found(&catalog, path), "single");
    list(&mut catalog, hour(1, Access::Open));
    list(&mut catalog, absent(&format!("{HOUR}/v/12")));
    assert_eq!((found(&catalog, path), found(&catalog, "/tv/news/v/13.m4s")), ("closed", "single"));
    assert_eq!(catalog.open_count(), 0, "singles are not counted as open packs");
}

#[test]
fn a_segment_has_one_name_only_and_an_hour_may_need_a_token() {
    let mut catalog = empty();
    list(&mut catalog, single(12));
    for name in ["012.m4s", "+12.m4s", "12.0.m4s", "12.mp4", "12", ".m4s", "-12.m4s"] {
        assert_eq!(found(&catalog, &format!("/tv/news/v/{name}")), "absent", "{name}");
    }
    list(&mut catalog, hour(1, Access::Token));
    assert_eq!(found(&catalog, "/tv/news/v/11.m4s"), "withheld");
    assert_eq!(found(&catalog, "/tv/news/v/12.m4s"), "single");
    list(&mut catalog, absent(HOUR));
    assert_eq!(found(&catalog, "/tv/news/v/11.m4s"), "absent");
}

#[test]
fn a_segment_of_a_transport_stream_is_not_found_as_boxes_nor_the_other_way_round() {
    let mut catalog = empty();
    list(&mut catalog, single(12));
    let ts = file(SourceId::of_archived_object(13), "13.ts", &[7; 10]);
    let numbers = [("/tv/news/v", 13, 13)];
    let path = format!("{HOUR}/v/13");
    list(&mut catalog, archived(&path, ts.source, &numbers, Some(Arc::clone(&ts)), Access::Open));
    for (name, expected) in
        [("12.m4s", "single"), ("12.ts", "absent"), ("13.ts", "single"), ("13.m4s", "absent")]
    {
        assert_eq!(found(&catalog, &format!("/tv/news/v/{name}")), expected, "{name}");
    }
}

#[test]
fn a_new_version_takes_the_place_of_an_hour() {
    let mut catalog = empty();
    list(&mut catalog, hour(1, Access::Open));
    list(&mut catalog, hour(2, Access::Open));
    assert_eq!(catalog.slot_of(SourceId::of_archive(1)), None);
    assert_eq!(found(&catalog, "/tv/news/v/11.m4s"), "closed");
}
