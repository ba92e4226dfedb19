//! Tests of `revocations`.

use super::*;
use crate::control::registry::{Revision, Sqlite};
use crate::viewer::token::sealed;
use crate::viewer::{Claims, Key};

const NOON: UnixTime = UnixTime(1_800_000_000);
const DAY: u64 = TOKEN_SECONDS_MAX as u64;

fn keys() -> Keys {
    Keys { current: Some(Key::new(3, &[3; 32], 0)), previous: None }
}

fn token(session: u64, expires: u64) -> String {
    let claims = Claims {
        subscriber: None,
        session,
        expires: UnixTime(NOON.0 + expires),
        bitrate_max: None,
        network: None,
    };
    sealed(&claims, &[], keys().current.as_ref().unwrap()).unwrap()
}

/// What a wish names, as text: the session, and for how long.
#[track_caller]
fn check(wish: &Value, expected: &str) {
    let wanted: Wanted = serde_json::from_value(wish.clone()).unwrap();
    let named = named(&wanted, |name| name == "members", &keys(), NOON);
    let found = match named {
        Ok(named) => format!("{:x} for {} s", named.session, named.until - NOON.0),
        Err(Unnamed::Wrong(why)) => why,
        Err(Unnamed::Unknown) => "unknown".to_owned(),
        Err(Unnamed::Expired(at)) => format!("expired at {}", at.0 - NOON.0),
    };
    assert_eq!(found, expected, "{wish}");
}

#[test]
fn a_wish_names_a_session_until_its_last_token_has_expired() {
    let theirs = session_of("members", "tv-1");
    let month = REVOKED_EXCHANGED_SECONDS;
    check(&json!({ "token": token(0xab, 60) }), "ab for 60 s");
    check(&json!({ "token": token(0xab, 60), "seconds": 90 }), "ab for 90 s");
    check(&json!({ "token": token(0xab, 60), "seconds": 9 }), "ab for 60 s");
    check(&json!({ "token": token(0xab, 0) }), "expired at 0");
    check(&json!({ "session": "00000000000000ab" }), &format!("ab for {DAY} s"));
    // What was exchanged may be exchanged again when ours has expired.
    check(&json!({ "token": token(theirs, 0) }), &format!("{theirs:x} for {month} s"));
    check(&json!({ "session": text(theirs) }), &format!("{theirs:x} for {month} s"));
    let claim = json!({ "section": "members", "claim": "tv-1" });
    check(&claim, &format!("{theirs:x} for {month} s"));
}

#[test]
fn a_wish_that_makes_no_sense_names_nothing() {
    let one = "write one of token, session, or section with claim";
    check(&json!({}), one);
    check(&json!({ "claim": "tv-1" }), one);
    check(&json!({ "token": token(1, 60), "session": "00000000000000ab" }), one);
    check(&json!({ "section": "others", "claim": "a" }), "section: no [[token]] has this name");
    for text in ["", "ab", "00000000000000AB", "+0000000000000ab", "0x000000000000ab"] {
        let why = "session: this is none (16 of 0-9 and a-f)";
        check(&json!({ "session": text }), why);
    }
    let mut broken = token(1, 60);
    broken.replace_range(8..9, if broken.as_bytes()[8] == b'A' { "B" } else { "A" });
    check(&json!({ "token": broken }), "unknown");
    check(&json!({ "token": "" }), "unknown");
    let long = json!({ "session": "00000000000000ab", "seconds": REVOKED_SECONDS_MAX + 1 });
    check(&long, &format!("seconds: at most {REVOKED_SECONDS_MAX}"));
}

#[test]
fn it_is_made_longer_and_never_shorter_and_goes_a_day_after_its_end() {
    let state = tempfile::tempdir().unwrap();
    let mut store = Sqlite::open(state.path()).unwrap();
    let act = Act::server(NOON);
    let write = |store: &mut Sqlite, session, seconds| {
        let named = Named { session, until: NOON.0 + seconds };
        written(store, &act, named, "stolen").unwrap() - NOON.0
    };
    assert_eq!(write(&mut store, 7, 100), 100);
    assert_eq!(write(&mut store, 7, 50), 100);
    assert_eq!(write(&mut store, 7, 200), 200);
    assert_eq!(write(&mut store, 8, 10), 10);
    let listed = |store: &Sqlite| {
        let all = store.objects(Kind::Revocation, "", 9).unwrap();
        all.into_iter().map(|of| session(&of.id).unwrap()).collect::<Vec<_>>()
    };
    pruned(&mut store, &[7, 8, 9], UnixTime(NOON.0 + 10 + DAY - 1)).unwrap();
    assert_eq!(listed(&store), [7, 8]);
    pruned(&mut store, &[7, 8, 9], UnixTime(NOON.0 + 10 + DAY)).unwrap();
    assert_eq!(listed(&store), [7]);
    pruned(&mut store, &[7], UnixTime(NOON.0 + 200 + DAY)).unwrap();
    assert_eq!(listed(&store), [] as [u64; 0]);
    assert!(store.revision().unwrap() > Revision(4), "each is in the log of changes");
}

#[test]
fn what_ended_a_day_ago_is_found() {
    let all = [(1, Some(NOON)), (2, Some(UnixTime(NOON.0 + 1)))];
    let rights = Rights::default().with_revoked(&all);
    assert_eq!(over(&rights, UnixTime(NOON.0 + DAY - 1)), [0_u64; 0]);
    assert_eq!(over(&rights, UnixTime(NOON.0 + DAY)), [1]);
}
