//! An audit log in a real file: what is told, what holds, and what a change by hand comes to.

use std::fs;
use std::net::IpAddr;

use rusqlite::Connection;
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::control::registry::{Expected, Store as _, Write, verified};
use crate::units::UnixTime;

const NOON: UnixTime = UnixTime(1_800_000_000);

fn act() -> Act {
    Act::server(NOON)
}

fn write(kind: Kind, id: &str, document: Option<Value>) -> Write {
    let (id, expected) = (id.to_owned(), Expected::Anything);
    Write { kind, id, expected, document, number: None, references: Vec::new() }
}

/// A registry with a key, a plan that was changed, one that is gone, and Anna.
fn state() -> (TempDir, Sqlite) {
    let state = tempfile::tempdir().unwrap();
    let mut store = Sqlite::open(state.path()).unwrap();
    let key = write(Kind::SigningKey, "1", Some(json!({ "secret": "a very secret word" })));
    let gold = write(Kind::Plan, "gold", Some(json!({ "name": "Gold", "sessions_max": 1 })));
    let iron = write(Kind::Plan, "iron", Some(json!({ "name": "Iron" })));
    let anna = write(Kind::Subscriber, "Anna", Some(json!({ "plan": "gold" })));
    store.commit(&act(), &[key, gold, iron, anna]).unwrap();
    let mut of_anna = Act::of(crate::control::actor::Actor::Local(Some(7)), NOON);
    of_anna.peer = Some(IpAddr::from([192, 0, 2, 1]));
    let gold = write(Kind::Plan, "gold", Some(json!({ "name": "Au", "places": 2 })));
    store.commit(&of_anna, &[gold, write(Kind::Plan, "iron", None)]).unwrap();
    (state, store)
}

/// The log, as text.
fn log(store: &Sqlite) -> Vec<String> {
    let page = store.audited(&Wanted { most: 1000, ..Wanted::default() }).unwrap();
    let told = |of: &Told| {
        let object = format!("{} {}", of.kind, of.id);
        let revision = of.revision.map(|revision| revision.to_string()).unwrap_or_default();
        let peer = of.peer.as_deref().unwrap_or("-");
        let details = match &of.details {
            Value::Object(details) if details.contains_key("key") => String::new(),
            details => details.to_string(),
        };
        let Told { sequence, actor, deed, .. } = of;
        format!("{sequence} {actor} {peer} {deed} {object} {revision} {details}")
    };
    page.entries.iter().map(told).collect()
}

/// Changes the file as somebody with `sqlite3` would.
fn by_hand(state: &TempDir, statements: &str) {
    let file = Connection::open(state.path().join("registry.db")).unwrap();
    file.execute_batch(statements).unwrap();
}

/// What a look at the log comes to.
fn outcome(state: &TempDir, seen: Option<&Head>) -> String {
    match verified(state.path(), seen, 0) {
        Ok(verified) => format!("{} entries, {}", verified.head.sequence, verified.objects),
        Err(why) => why.0,
    }
}

#[test]
fn every_write_has_an_entry_that_names_what_changed_and_not_to_what() {
    let (state, mut store) = state();
    let note = Note {
        deed: Deed::Kick,
        kind: "session",
        id: "00ab".to_owned(),
        details: json!({ "content": "tv/news" }),
        made: Value::Null,
    };
    store.note(&act(), &note).unwrap();
    assert_eq!(
        log(&store),
        [
            "1 server - begin audit  0 ",
            "2 server - create signing-key 1 1 null",
            "3 server - create plan gold 2 null",
            "4 server - create plan iron 3 null",
            "5 server - create subscriber Anna 4 null",
            "6 local:7 192.0.2.1 change plan gold 5 \
             {\"fields\":[\"name\",\"sessions_max\",\"places\"]}",
            "7 local:7 192.0.2.1 remove plan iron 6 null",
            "8 server - kick session 00ab  {\"content\":\"tv/news\"}",
        ]
    );
    let rows = Connection::open(state.path().join("registry.db")).unwrap();
    let all = "SELECT count(*) FROM audit WHERE actor || deed || id || coalesce(details, '') LIKE \
               '%secret word%'";
    assert_eq!(rows.query_row(all, (), |row| row.get(0)), Ok(0));
    assert_eq!(outcome(&state, None), "8 entries, 3");
    drop(store);
    assert_eq!(outcome(&state, None), "8 entries, 3", "no server runs");
    let store = Sqlite::open(state.path()).unwrap();
    assert_eq!(store.audit_head().unwrap().sequence, 8, "a start adds nothing");
}

#[test]
fn what_was_not_written_has_no_entry() {
    let (state, mut store) = state();
    let before = store.audit_head().unwrap();
    let refused = [
        write(Kind::Plan, "silver", Some(json!({}))),
        Write { expected: Expected::Absent, ..write(Kind::Plan, "gold", Some(json!({}))) },
    ];
    store.commit(&act(), &refused).unwrap_err();
    assert_eq!(store.audit_head().unwrap().to_string(), before.to_string());
    assert_eq!(outcome(&state, Some(&before)), "7 entries, 3");
}

#[test]
fn whatever_is_changed_by_hand_is_found() {
    let mac = "MAC does not match what it says";
    for (statements, expected) in [
        ("UPDATE audit SET actor = 'local:8' WHERE sequence = 6", &*format!("entry 6: its {mac}")),
        ("UPDATE audit SET at = at - 1 WHERE sequence = 3", &format!("entry 3: its {mac}")),
        ("UPDATE audit SET peer = NULL WHERE sequence = 6", &format!("entry 6: its {mac}")),
        ("UPDATE audit SET details = NULL WHERE sequence = 6", &format!("entry 6: its {mac}")),
        ("UPDATE audit SET mac = zeroblob(32) WHERE sequence = 7", &format!("entry 7: its {mac}")),
        ("UPDATE audit SET digest = NULL WHERE sequence = 5", &format!("entry 5: its {mac}")),
        ("DELETE FROM audit WHERE sequence = 4", "entry 4: it is missing; the next one is 5"),
        ("DELETE FROM audit WHERE sequence = 1", "entry 1: it is missing; the next one is 2"),
        (
            "DELETE FROM audit WHERE sequence = 6; UPDATE audit SET sequence = 6 WHERE sequence = 7",
            &format!("entry 6: its {mac}"),
        ),
        (
            "UPDATE audit SET sequence = 99 WHERE sequence = 3; UPDATE audit SET sequence = 3 WHERE \
             sequence = 4; UPDATE audit SET sequence = 4 WHERE sequence = 99",
            &format!("entry 3: its {mac}"),
        ),
        ("DELETE FROM audit", "there is no entry, not even the first one"),
        // The newest are gone: what they wrote is still there, or gone.
        ("DELETE FROM audit WHERE sequence = 7", "plan \"iron\": it is gone, and entry 4 wrote it"),
        ("DELETE FROM audit WHERE sequence > 5", "plan \"gold\": it is not what entry 3 wrote"),
        // Objects, and what is counted.
        (
            "UPDATE object SET document = '{\"name\":\"Cu\"}' WHERE id = 'gold'",
            "plan \"gold\": it is not what entry 6 wrote",
        ),
        (
            "UPDATE object SET number = 9 WHERE id = 'Anna'",
            "subscriber \"Anna\": it is not what entry 5 wrote",
        ),
        (
            "UPDATE object SET revision = 7 WHERE id = 'Anna'",
            "subscriber \"Anna\": it is not what entry 5 wrote",
        ),
        (
            "DELETE FROM object WHERE id = 'Anna'",
            "subscriber \"Anna\": it is gone, and entry 5 wrote it",
        ),
        (
            "UPDATE object SET id = 'Bela' WHERE id = 'Anna'",
            "subscriber \"Bela\": no entry wrote it",
        ),
        (
            "INSERT INTO object VALUES ('plan', 'iron', 3, '{\"name\":\"Iron\"}', NULL)",
            "plan \"iron\": it is there, although entry 7 removed it",
        ),
        ("UPDATE registry SET revision = 5", "the registry: its revision is 5, and entries say 6"),
        ("UPDATE registry SET epoch = 3", "the registry: its epoch is 3, and entries say 0"),
        ("DROP TABLE audit", "there is no audit log in it"),
        ("PRAGMA application_id = 7", "this is no registry"),
    ] {
        let (state, store) = state();
        drop(store);
        assert_eq!(outcome(&state, None), "7 entries, 3");
        by_hand(&state, statements);
        let why = outcome(&state, None);
        assert!(why.ends_with(expected) || why.contains(expected), "{statements}: {why}");
    }
}

#[test]
fn an_object_that_is_put_back_to_what_it_was_is_found() {
    let (state, store) = state();
    drop(store);
    by_hand(
        &state,
        "UPDATE object SET document = '{\"name\":\"Gold\",\"sessions_max\":1}', revision = 2 WHERE \
         id = 'gold'",
    );
    assert_eq!(outcome(&state, None), "plan \"gold\": it is not what entry 6 wrote");
}

#[test]
fn entries_that_are_taken_off_the_end_are_missed_by_who_has_a_head() {
    let (state, mut store) = state();
    let early = store.audit_head().unwrap();
    let gold = write(Kind::Plan, "gold", Some(json!({ "name": "Gold" })));
    store.commit(&act(), &[gold]).unwrap();
    let head = store.audit_head().unwrap();
    drop(store);
    assert_eq!(outcome(&state, Some(&head)), "8 entries, 3");
    assert_eq!(outcome(&state, Some(&early)), "8 entries, 3");
    let other = Head { sequence: 3, ..head };
    assert_eq!(outcome(&state, Some(&other)), "entry 3: it is not the one of this head");
    let begun = Head { sequence: 0, mac: Mac::START };
    assert_eq!(outcome(&state, Some(&begun)), "8 entries, 3");
    // All of the file is put back to what it was, which holds together by itself.
    by_hand(
        &state,
        "DELETE FROM audit WHERE sequence = 8; UPDATE object SET revision = 5, document = \
         '{\"name\":\"Au\",\"places\":2}' WHERE id = 'gold'; UPDATE registry SET revision = 6",
    );
    assert_eq!(outcome(&state, None), "7 entries, 3");
    assert_eq!(outcome(&state, Some(&early)), "7 entries, 3");
    let why = outcome(&state, Some(&head));
    assert_eq!(why, "entry 8: it is missing, and so are all behind it: there were at least 1 more");
}

#[test]
fn without_its_key_a_chain_can_not_be_verified_and_another_one_begins() {
    let (state, store) = state();
    drop(store);
    fs::remove_file(key::path(state.path())).unwrap();
    assert!(outcome(&state, None).ends_with("without it nothing can be verified"));
    let mut store = Sqlite::open(state.path()).unwrap();
    let added = log(&store).split_off(7);
    assert_eq!(
        added,
        [
            "8 server - begin audit  6 ",
            "9 server - adopt signing-key 1 1 null",
            "10 server - adopt subscriber Anna 4 null",
            "11 server - adopt plan gold 5 null",
        ]
    );
    store.commit(&act(), &[write(Kind::Plan, "gold", None)]).unwrap();
    let head = store.audit_head().unwrap();
    assert_eq!(
        outcome(&state, None),
        format!(
            "entries 1 to 7: they were made with another key than audit.key, and can't be \
             verified; the 5 from 8 on hold, head {head}"
        )
    );
    drop(store);
    // Whoever knows that, and why, goes on from there.
    let from = |from| match verified(state.path(), None, from) {
        Ok(verified) => format!("{} entries, {}", verified.head.sequence, verified.objects),
        Err(why) => why.0,
    };
    assert_eq!(from(8), "12 entries, 2");
    assert!(from(7).starts_with("entry 7: no chain begins with it"), "{}", from(7));
    assert!(from(1).starts_with("entries 1 to 7: "), "{}", from(1));
    by_hand(&state, "UPDATE audit SET deed = 'change' WHERE sequence = 12");
    assert_eq!(outcome(&state, None), "entry 12: its MAC does not match what it says");
    // A key that made none of it.
    fs::write(key::path(state.path()), [1; 32]).unwrap();
    let why = outcome(&state, None);
    assert!(why.starts_with("entry 1: it was made with another key than audit.key"), "{why}");
}

#[test]
fn a_log_that_was_emptied_says_so_when_it_goes_on() {
    let (state, store) = state();
    drop(store);
    by_hand(&state, "DELETE FROM audit; UPDATE object SET document = '{}' WHERE id = 'gold'");
    let store = Sqlite::open(state.path()).unwrap();
    assert_eq!(log(&store).len(), 4);
    assert_eq!(outcome(&state, None), "entry 1: those before it were taken out");
    assert_eq!(verified(state.path(), None, 1).unwrap().objects, 3);
}

#[test]
fn what_was_there_before_there_was_a_log_is_taken_into_it() {
    let state = tempfile::tempdir().unwrap();
    by_hand(&state, "");
    let file = Connection::open(state.path().join("registry.db")).unwrap();
    for step in &super::super::STEPS[..2] {
        file.execute_batch(step).unwrap();
    }
    file.execute_batch(&format!(
        "PRAGMA user_version = 2; PRAGMA application_id = {}; UPDATE registry SET revision = 9; \
         INSERT INTO object VALUES ('plan', 'gold', 4, '{{}}', NULL)",
        super::super::APPLICATION_ID
    ))
    .unwrap();
    assert!(outcome(&state, None).contains("there is no audit log in it"));
    drop(file);
    let store = Sqlite::open(state.path()).unwrap();
    assert_eq!(log(&store), ["1 server - begin audit  9 ", "2 server - adopt plan gold 4 null"]);
    assert_eq!(outcome(&state, None), "2 entries, 1");
}

#[test]
fn two_who_write_into_one_file_make_one_chain() {
    let (state, mut store) = state();
    let mut other = Sqlite::open(state.path()).unwrap();
    for round in 0..5 {
        let gold = |name: &str| write(Kind::Plan, "gold", Some(json!({ name: round })));
        store.commit(&act(), &[gold("a")]).unwrap();
        other.commit(&act(), &[gold("b")]).unwrap();
    }
    assert_eq!(outcome(&state, None), "17 entries, 3");
}

#[test]
fn entries_have_pages_and_may_be_looked_for() {
    let (_state, mut store) = state();
    let later = Act::server(UnixTime(NOON.0 + 60));
    store.commit(&later, &[write(Kind::Plan, "gold", None)]).unwrap();
    let page = |after, since, actor: Option<&str>, most| {
        let actor = actor.map(str::to_owned);
        let page = store.audited(&Wanted { after, since, actor, most }).unwrap();
        let numbers: Vec<_> = page.entries.iter().map(|entry| entry.sequence).collect();
        assert_eq!(page.head.sequence, 8);
        (numbers, page.next)
    };
    assert_eq!(page(0, 0, None, 3), (vec![1, 2, 3], Some(3)));
    assert_eq!(page(3, 0, None, 3), (vec![4, 5, 6], Some(6)));
    assert_eq!(page(6, 0, None, 3), (vec![7, 8], None));
    assert_eq!(page(8, 0, None, 3), (vec![], None));
    assert_eq!(page(u64::MAX, u64::MAX, None, 3), (vec![], None));
    assert_eq!(page(0, NOON.0 + 1, None, 3).0, [8]);
    assert_eq!(page(0, 0, Some("local:7"), 3), (vec![6, 7], None));
    assert_eq!(page(0, 0, Some("local:7"), 1), (vec![6], Some(6)));
    assert_eq!(page(0, 0, Some("nobody"), 3), (vec![], None));
}
