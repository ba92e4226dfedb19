//! Copies in real files: what they hold, what is refused, what a restore leaves.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;

use super::super::super::{Changed, Expected, Object, Reference, Store as _, Write};
use super::*;
use crate::control::audit::Act;

fn act() -> Act {
    Act::server(crate::units::UnixTime(1_800_000_000))
}

fn write(kind: Kind, id: &str, document: Option<Value>) -> Write {
    let (id, expected) = (id.to_owned(), Expected::Anything);
    Write { kind, id, expected, document, number: None, references: Vec::new() }
}

fn key(secret: &str) -> Write {
    write(Kind::SigningKey, "1", Some(json!({ "secret": secret })))
}

fn subscriber(id: &str, notes: &str) -> Write {
    let plan = Reference { kind: Kind::Plan, id: "gold".to_owned() };
    let document = Some(json!({ "notes": notes }));
    Write { references: vec![plan], ..write(Kind::Subscriber, id, document) }
}

/// A state folder with a registry: a key, a plan, Anna and Bela.
fn state() -> (tempfile::TempDir, Sqlite) {
    let state = tempfile::tempdir().unwrap();
    let mut store = Sqlite::open(state.path()).unwrap();
    let gold = write(Kind::Plan, "gold", Some(json!({ "name": "Gold" })));
    let all = [key("a very secret word"), gold, subscriber("Anna", "a"), subscriber("Bela", "b")];
    store.commit(&act(), &all).unwrap();
    (state, store)
}

/// Subscribers with number and notes.
fn all(store: &Sqlite) -> String {
    let told = |of: &Object| {
        format!("{}:{}={}", of.number.unwrap(), of.id, of.document["notes"].as_str().unwrap())
    };
    let objects = store.objects(Kind::Subscriber, "", 100).unwrap();
    objects.iter().map(told).collect::<Vec<_>>().join(" ")
}

fn anything(_: Kind, _: Value) -> Result<(), String> {
    Ok(())
}

#[test]
fn a_copy_has_everything_but_keys_and_is_its_users_alone() {
    let (state, store) = state();
    let to = state.path().join("copy.db");
    let copied = backup(&act(), state.path(), &to, None).unwrap();
    assert_eq!(copied, Copied { objects: 3, revision: store.revision().unwrap() });
    let bytes = fs::read(&to).unwrap();
    let has = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(has("Gold") && !has("a very secret word"));
    assert_eq!(fs::metadata(&to).unwrap().permissions().mode() & 0o777, 0o600);
    let names: Vec<_> =
        fs::read_dir(state.path()).unwrap().map(|one| one.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| !name.to_string_lossy().ends_with("part")), "{names:?}");
    // What is there is not written over.
    let again = backup(&act(), state.path(), &to, None).unwrap_err();
    assert!(again.0.contains("File exists"), "{again}");
    assert_eq!(fs::read(&to).unwrap(), bytes);
    let nowhere =
        backup(&act(), &state.path().join("other"), &state.path().join("b"), None).unwrap_err();
    assert!(nowhere.0.contains("registry.db"), "{nowhere}");
}

#[test]
fn a_restore_makes_it_what_it_was_and_nothing_is_given_twice() {
    let (state, mut store) = state();
    let to = state.path().join("copy.db");
    backup(&act(), state.path(), &to, None).unwrap();
    let changes = [
        write(Kind::Subscriber, "Anna", None),
        subscriber("Bela", "other"),
        subscriber("Cleo", "new"),
        key("another one"),
    ];
    store.commit(&act(), &changes).unwrap();
    let before = store.revision().unwrap();
    assert_eq!(all(&store), "2:Bela=other 3:Cleo=new");
    let (staged, copied) = staged(&to, state.path(), &anything).unwrap();
    assert_eq!(copied.objects, 3);
    let after = store.restore(&act(), &staged).unwrap();
    assert_eq!(all(&store), "1:Anna=a 2:Bela=b");
    assert_eq!(store.epoch(), Ok(1));
    assert!(after > before);
    assert_eq!(store.revision(), Ok(after));
    // Whoever followed until then hears of what is other, and of nothing else.
    let told = |of: &Changed| match &of.document {
        Some(_) => of.id.clone(),
        None => format!("-{}", of.id),
    };
    let changed = store.changes(before, 100).unwrap();
    assert_eq!(changed.iter().map(told).collect::<Vec<_>>(), ["-Cleo", "Anna", "Bela"]);
    assert!(changed.windows(2).all(|two| two[0].revision < two[1].revision));
    let kept = store.object(Kind::SigningKey, "1").unwrap().unwrap();
    assert_eq!(kept.document["secret"], "another one", "keys stay");
    store.commit(&act(), &[subscriber("Dora", "d")]).unwrap();
    assert_eq!(all(&store), "1:Anna=a 2:Bela=b 4:Dora=d");
    // What is spoken of stays.
    assert!(store.commit(&act(), &[write(Kind::Plan, "gold", None)]).is_err());
    // Again, and another epoch.
    store.restore(&act(), &staged).unwrap();
    assert_eq!((all(&store), store.epoch()), ("1:Anna=a 2:Bela=b".to_owned(), Ok(2)));
}

#[test]
fn a_registry_that_was_lost_comes_back_on_another_machine() {
    let (state, _store) = state();
    let to = state.path().join("copy.db");
    let copied = backup(&act(), state.path(), &to, None).unwrap();
    let there = tempfile::tempdir().unwrap();
    let mut store = Sqlite::open(there.path()).unwrap();
    let (staged, _) = staged(&to, there.path(), &anything).unwrap();
    let revision = store.restore(&act(), &staged).unwrap();
    assert_eq!(all(&store), "1:Anna=a 2:Bela=b");
    assert!(revision > copied.revision, "{revision:?}");
}

#[test]
fn a_copy_of_another_registry_changes_nothing() {
    let (state, mut store) = state();
    let to = state.path().join("copy.db");
    backup(&act(), state.path(), &to, None).unwrap();
    let there = tempfile::tempdir().unwrap();
    let mut other = Sqlite::open(there.path()).unwrap();
    let gold = write(Kind::Plan, "gold", Some(json!({ "name": "Gold" })));
    other.commit(&act(), &[gold, subscriber("Zoe", "z")]).unwrap();
    let before = other.revision();
    let (staged, _) = staged(&to, there.path(), &anything).unwrap();
    let refused = other.restore(&act(), &staged).unwrap_err();
    assert!(refused.0.contains("it is of another registry"), "{refused}");
    assert_eq!(
        (all(&other), other.revision(), other.epoch()),
        ("1:Zoe=z".to_owned(), before, Ok(0))
    );
    store.commit(&act(), &[subscriber("Cleo", "c")]).unwrap();
}

#[test]
fn what_is_no_sound_copy_is_refused_and_leaves_nothing() {
    let (state, store) = state();
    drop(store);
    let to = state.path().join("copy.db");
    backup(&act(), state.path(), &to, None).unwrap();
    let there = tempfile::tempdir().unwrap();
    let check = |bytes: &[u8], look: Look<'_>, why: &str| {
        let from = there.path().join("from");
        fs::write(&from, bytes).unwrap();
        let refused = staged(&from, there.path(), look).unwrap_err();
        assert!(refused.0.contains(why), "{refused}");
        fs::remove_file(&from).unwrap();
        assert_eq!(fs::read_dir(there.path()).unwrap().count(), 0, "{why}");
    };
    let whole = fs::read(&to).unwrap();
    check(b"", &anything, "it is empty");
    check(b"user,password\n", &anything, "not a database");
    check(&whole[..whole.len() - 4096], &anything, "");
    let picky = |kind: Kind, _: Value| match kind {
        Kind::Plan => Err("name: it is empty".to_owned()),
        _ => Ok(()),
    };
    check(&whole, &picky, "plan \"gold\": name: it is empty");
    let change = |statement: &str| {
        let copy = there.path().join("changed");
        fs::write(&copy, &whole).unwrap();
        Connection::open(&copy).unwrap().execute_batch(statement).unwrap();
        let bytes = fs::read(&copy).unwrap();
        fs::remove_file(&copy).unwrap();
        bytes
    };
    let gone = change("DELETE FROM object WHERE kind = 'plan'");
    check(&gone, &anything, "speaks of plan \"gold\", which is not there");
    check(&change("PRAGMA user_version = 99"), &anything, "newer version");
    check(&change("PRAGMA application_id = 1"), &anything, "something else");
    let key = "INSERT INTO object VALUES ('signing-key', '1', 99, '{}', NULL)";
    check(&change(key), &anything, "it has a signing-key, which no copy has");
    let missing = staged(&there.path().join("no"), there.path(), &anything).unwrap_err();
    assert!(missing.0.contains("No such file"), "{missing}");
}

#[test]
fn a_restore_leaves_the_audit_log_and_says_in_it_what_was_done() {
    let (state, mut store) = state();
    let to = state.path().join("copy.db");
    backup(&act(), state.path(), &to, None).unwrap();
    let changes = [write(Kind::Subscriber, "Anna", None), subscriber("Bela", "other")];
    store.commit(&act(), &changes).unwrap();
    let before = store.audit_head().unwrap();
    let (staged, _) = staged(&to, state.path(), &anything).unwrap();
    let revision = store.restore(&act(), &staged).unwrap();
    let wanted = |after| crate::control::audit::Wanted { after, most: 100, ..Default::default() };
    let told = store.audited(&wanted(before.sequence)).unwrap().entries;
    let told: Vec<_> = told
        .iter()
        .map(|of| format!("{} {} {}: {}", of.deed, of.kind, of.id, of.details))
        .collect();
    assert_eq!(
        told,
        [
            "restore subscriber Anna: null",
            "restore subscriber Bela: null",
            "restore registry : {\"epoch\":1,\"of_revision\":4}",
        ]
    );
    let verified = super::super::verified(state.path(), Some(&before), 0).unwrap();
    assert_eq!((verified.head.sequence, verified.objects), (before.sequence + 3, 4));
    assert_eq!(store.revision(), Ok(revision));
    // The copy has the log as it was, for whoever wants to read it.
    let copy = Connection::open(&to).unwrap();
    let newest = "SELECT deed FROM audit ORDER BY sequence DESC LIMIT 1";
    assert_eq!(copy.query_row(newest, (), |row| row.get(0)), Ok("backup".to_owned()));
    // On another machine it is that machine's log that goes on.
    let there = tempfile::tempdir().unwrap();
    let mut other = Sqlite::open(there.path()).unwrap();
    let (staged, _) = super::staged(&to, there.path(), &anything).unwrap();
    other.restore(&act(), &staged).unwrap();
    let verified = super::super::verified(there.path(), None, 0).unwrap();
    assert_eq!((verified.head.sequence, verified.objects), (5, 3));
}

#[test]
fn numbers_of_a_fresh_servers_config_file_give_way_to_those_of_the_copy() {
    let of_file = |id: &str| {
        let document = Some(json!({ "in_file": true, "name": id }));
        write(Kind::Channel, id, document)
    };
    let made = |id: &str| write(Kind::Channel, id, Some(json!({ "name": id })));
    let numbers = |store: &Sqlite| -> Vec<_> {
        let all = store.objects(Kind::Channel, "", 9).unwrap();
        all.into_iter().map(|of| (of.id, of.number.unwrap())).collect()
    };
    let (state, mut store) = state();
    store.commit(&act(), &[made("sport"), of_file("news")]).unwrap();
    let to = state.path().join("copy.db");
    backup(&act(), state.path(), &to, None).unwrap();
    // Another machine with the same config file has numbered its channels by itself.
    let other = tempfile::tempdir().unwrap();
    let mut fresh = Sqlite::open(other.path()).unwrap();
    fresh.commit(&act(), &[of_file("news"), of_file("other")]).unwrap();
    let (staged, _) = staged(&to, other.path(), &anything).unwrap();
    fresh.restore(&act(), &staged).unwrap();
    assert_eq!(numbers(&fresh), [("news".to_owned(), 2), ("sport".to_owned(), 1)]);
    assert_eq!(fresh.named(Kind::Channel, 1), Ok(Some("sport".to_owned())));
    fresh.commit(&act(), &[of_file("other")]).unwrap();
    assert_eq!(numbers(&fresh)[1], ("other".to_owned(), 3));
    // What somebody made has its number for good.
    let third = tempfile::tempdir().unwrap();
    let mut made_there = Sqlite::open(third.path()).unwrap();
    made_there.commit(&act(), &[made("mine")]).unwrap();
    assert!(made_there.restore(&act(), &staged).is_err());
    assert_eq!(numbers(&made_there), [("mine".to_owned(), 1)]);
}

#[test]
fn who_watched_what_is_in_no_copy_and_stays_where_one_is_restored() {
    use crate::control::sessions::history::{Over, Wanted};
    use crate::units::UnixTime;
    let (state, mut store) = state();
    let over = Over { subscriber: Some(1), until: UnixTime(100), told: json!({ "id": "a" }) };
    store.keep_sessions(std::slice::from_ref(&over), UnixTime(0)).unwrap();
    let to = state.path().join("copy.db");
    backup(&act(), state.path(), &to, None).unwrap();
    let copy = Connection::open(&to).unwrap();
    let count = "SELECT count(*) FROM session_over";
    assert_eq!(copy.query_row(count, (), |row| row.get::<_, i64>(0)).unwrap(), 0);
    drop(copy);
    let (staged, _) = staged(&to, state.path(), &anything).unwrap();
    store.restore(&act(), &staged).unwrap();
    let (from, to) = (UnixTime(0), UnixTime(u64::MAX));
    let wanted = Wanted { subscriber: None, from, to, before: None, most: 9 };
    assert_eq!(store.sessions_over(&wanted).unwrap().over, [over]);
}
