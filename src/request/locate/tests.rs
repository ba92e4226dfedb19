//! Where targets lead, and what a viewer is told who may not go there.

use std::sync::Arc;

use super::*;
use crate::config::{Access, TARGET_SIZE_MAX};
use crate::messages::{Change, Listing, SourceId};
use crate::request::fixture::{catalog, pack, planned};
use crate::request::plan::{Content, Plan};
use crate::request::{Step, fixture, parse, steps};
use crate::viewer::Known;

/// `fixture::catalog`, and packs that take a token: `open` is open, `shut` is not.
fn mixed() -> Catalog {
    let mut catalog = catalog();
    let opened = pack(SourceId(8), &[("1.m4s", b"bytes", None)]);
    let listing = |path: &str, source, opened| {
        let (kind, access) = (SourceKind::Pack, Access::Token);
        Listing { path: path.into(), change: Change::Present { source, kind, access, opened } }
    };
    let listings = [
        listing("secret/open", SourceId(8), Some(Arc::clone(&opened))),
        listing("secret/shut", SourceId(9), None),
    ];
    catalog.list(&listings, &mut Vec::new());
    catalog
}

fn get(path: &str, catalog: &Catalog) -> Plan {
    planned(&format!("GET {path} HTTP/1.1\r\nHost: tv\r\n\r\n"), catalog)
}

#[test]
fn who_has_no_token_is_told_the_same_of_what_is_there_and_what_is_not() {
    let catalog = mixed();
    let expected = get("/vod/secret/open/1.m4s", &catalog);
    assert_eq!((expected.status, expected.content), (403, Content::Refused(Refusal::TokenMissing)));
    for path in [
        "/vod/secret/open/2.m4s",
        "/vod/secret/open/",
        "/vod/secret/open",
        "/vod/secret/shut/1.m4s",
        "/vod/secret/nowhere/1.m4s",
        "/vod/nowhere",
    ] {
        assert_eq!(get(path, &catalog), expected, "{path}");
    }
}

#[test]
fn what_is_open_to_all_is_served_beside_what_is_not() {
    let catalog = mixed();
    assert_eq!(get("/vod/a/1.m4s", &catalog).status, 200);
    assert_eq!(get("/vod/b/1.ts", &catalog).status, 200);
}

#[test]
fn where_nothing_takes_a_token_what_is_missing_is_not_there() {
    assert_eq!(get("/vod/a/2.m4s", &catalog()).status, 404);
    assert_eq!(get("/vod/nowhere", &catalog()).status, 404);
}

#[test]
fn a_token_that_nobody_knows_opens_nothing() {
    let catalog = mixed();
    for path in ["/s/letmein/vod/secret/open/1.m4s", "/s/letmein/vod/nowhere"] {
        let plan = get(path, &catalog);
        assert_eq!(plan.content, Content::Refused(Refusal::TokenUnknown), "{path}");
    }
}

#[test]
fn a_closed_pack_is_waited_for_by_those_who_may_have_it() {
    let mut catalog = mixed();
    let change = Change::Present {
        source: SourceId(10),
        kind: SourceKind::Pack,
        access: Access::Open,
        opened: None,
    };
    catalog.list(&[Listing { path: "shut".into(), change }], &mut Vec::new());
    let head = b"GET /vod/shut/1.m4s HTTP/1.1\r\nHost: tv\r\n\r\n";
    let request = parse::request(head).unwrap().unwrap();
    let (view, mut known) = (fixture::view(&catalog), Known::default());
    let step = steps(&request, &view, &mut known, &mut [0; TARGET_SIZE_MAX]).unwrap();
    assert!(matches!(step, Step::Wait(Place::Source(_), _)), "{step:?}");
}
