//! A registry in a real file: what is written, what is refused, what changed, who may read it.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;

use proptest::prelude::*;
use serde_json::json;

use super::super::{Expected, Reference};
use super::*;

fn act() -> Act {
    Act::server(crate::units::UnixTime(1_800_000_000))
}

const KEY: Kind = Kind::SigningKey;

fn put(id: &str, expected: Expected, says: i64) -> Write {
    let document = Some(json!({ "says": says }));
    of(KEY, id, expected, document)
}

fn remove(id: &str, expected: Expected) -> Write {
    of(KEY, id, expected, None)
}

fn of(kind: Kind, id: &str, expected: Expected, document: Option<serde_json::Value>) -> Write {
    let id = id.to_owned();
    Write { kind, id, expected, document, number: None, references: Vec::new() }
}

/// What is there, as text.
fn all(store: &Sqlite) -> String {
    let objects = store.objects(KEY, "", 100).unwrap();
    let told =
        objects.iter().map(|of| format!("{}={}@{}", of.id, of.document["says"], of.revision.0));
    told.collect::<Vec<_>>().join(" ")
}

/// What has changed since a revision, as text.
fn changed(store: &Sqlite, since: u64, most: usize) -> String {
    let changes = store.changes(Revision(since), most).unwrap();
    let told = changes.iter().map(|of| match &of.document {
        Some(document) => format!("{}:{}={}", of.revision.0, of.id, document["says"]),
        None => format!("{}:-{}", of.revision.0, of.id),
    });
    told.collect::<Vec<_>>().join(" ")
}

#[test]
fn what_is_committed_is_there_when_it_is_opened_again() {
    let state = tempfile::tempdir().unwrap();
    let mut store = Sqlite::open(state.path()).unwrap();
    assert_eq!((store.revision(), store.epoch()), (Ok(Revision(0)), Ok(0)));
    let writes = [put("b", Expected::Absent, 1), put("a", Expected::Absent, 2)];
    assert_eq!(store.commit(&act(), &writes), Ok(Revision(2)));
    drop(store);
    let store = Sqlite::open(state.path()).unwrap();
    assert_eq!(store.revision(), Ok(Revision(2)));
    assert_eq!(all(&store), "a=2@2 b=1@1");
    assert_eq!(store.object(KEY, "b").unwrap().unwrap().document, json!({ "says": 1 }));
    assert_eq!(store.object(KEY, "c"), Ok(None));
}

#[test]
fn a_list_goes_on_behind_what_was_read() {
    let state = tempfile::tempdir().unwrap();
    let mut store = Sqlite::open(state.path()).unwrap();
    let writes = ["a", "b", "c", "d"].map(|id| put(id, Expected::Absent, 0));
    store.commit(&act(), &writes).unwrap();
    let ids = |after: &str, most| -> Vec<_> {
        store.objects(KEY, after, most).unwrap().into_iter().map(|of| of.id).collect()
    };
    assert_eq!(ids("", 2), ["a", "b"]);
    assert_eq!(ids("b", 2), ["c", "d"]);
    assert!(ids("d", 2).is_empty());
}

#[test]
fn of_writes_that_were_made_from_something_else_none_is_made() {
    let state = tempfile::tempdir().unwrap();
    let mut store = Sqlite::open(state.path()).unwrap();
    store.commit(&act(), &[put("a", Expected::Absent, 1)]).unwrap();
    for (write, found) in [
        (put("a", Expected::Absent, 9), Some(Revision(1))),
        (put("a", Expected::At(Revision(7)), 9), Some(Revision(1))),
        (put("c", Expected::At(Revision(1)), 9), None),
        (remove("a", Expected::At(Revision(2))), Some(Revision(1))),
    ] {
        let refused = store.commit(&act(), &[put("b", Expected::Anything, 2), write]);
        assert_eq!(refused, Err(Uncommitted::Conflict { index: 1, found }));
        assert_eq!(all(&store), "a=1@1");
        assert_eq!(store.revision(), Ok(Revision(1)));
    }
    // A later write of a batch sees the earlier ones.
    let twice = [put("b", Expected::Absent, 2), put("b", Expected::At(Revision(2)), 3)];
    assert_eq!(store.commit(&act(), &twice), Ok(Revision(3)));
    assert_eq!(all(&store), "a=1@1 b=3@3");
}

#[test]
fn changes_are_told_once_and_in_order_and_so_is_what_is_gone() {
    let state = tempfile::tempdir().unwrap();
    let mut store = Sqlite::open(state.path()).unwrap();
    let writes = ["a", "b", "c"].map(|id| put(id, Expected::Absent, 0));
    store.commit(&act(), &writes).unwrap();
    store.commit(&act(), &[put("a", Expected::Anything, 1)]).unwrap();
    store.commit(&act(), &[remove("b", Expected::Anything)]).unwrap();
    assert_eq!(changed(&store, 0, 100), "3:c=0 4:a=1 5:-b");
    assert_eq!(changed(&store, 3, 1), "4:a=1");
    assert_eq!(changed(&store, 4, 100), "5:-b");
    assert_eq!(changed(&store, 5, 100), "");
    store.commit(&act(), &[put("b", Expected::Absent, 2)]).unwrap();
    assert_eq!(changed(&store, 0, 100), "3:c=0 4:a=1 6:b=2");
}

#[test]
fn several_may_open_it_at_the_same_moment() {
    let state = tempfile::tempdir().unwrap();
    let path = state.path();
    std::thread::scope(|scope| {
        let open = |id: usize| {
            let mut store = Sqlite::open(path).unwrap();
            store.commit(&act(), &[put(&id.to_string(), Expected::Absent, 0)]).unwrap();
        };
        let threads: Vec<_> = (0..8).map(|id| scope.spawn(move || open(id))).collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
    let store = Sqlite::open(path).unwrap();
    assert_eq!(store.revision(), Ok(Revision(8)));
    assert_eq!(store.objects(KEY, "", 100).unwrap().len(), 8);
}

#[test]
fn whoever_opens_it_waits_for_whoever_makes_it() {
    let state = tempfile::tempdir().unwrap();
    let path = state.path().join("registry.db");
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    std::thread::scope(|scope| {
        let opened = scope.spawn(|| Sqlite::open(state.path()).map(drop));
        std::thread::sleep(std::time::Duration::from_millis(200));
        other.execute_batch("COMMIT").unwrap();
        assert_eq!(opened.join().unwrap(), Ok(()));
    });
}

/// What comes of an attempt to write, as text: the numbers of all categories, or why not.
fn numbers(store: &mut Sqlite, id: &str, number: Option<u32>, is_there: bool) -> String {
    let document = is_there.then(|| json!({}));
    let write = Write { number, ..of(Kind::Category, id, Expected::Anything, document) };
    match store.commit(&act(), &[write]) {
        Ok(_) => {
            let all = store.objects(Kind::Category, "", 100).unwrap();
            let told = all.iter().map(|of| format!("{}{}", of.id, of.number.unwrap()));
            told.collect::<Vec<_>>().join(" ")
        }
        Err(Uncommitted::NumberTaken { .. }) => "taken".to_owned(),
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn a_number_is_given_once_and_to_nobody_else() {
    let state = tempfile::tempdir().unwrap();
    let mut store = Sqlite::open(state.path()).unwrap();
    for (id, number, is_there, expected) in [
        ("a", None, true, "a1"),
        ("b", None, true, "a1 b2"),
        ("b", None, true, "a1 b2"),
        ("b", Some(2), true, "a1 b2"),
        ("b", Some(9), true, "taken"),
        ("c", Some(2), true, "taken"),
        ("c", Some(0), true, "taken"),
        ("c", Some(1 << 31), true, "taken"),
        ("c", Some(40), true, "a1 b2 c40"),
        ("d", None, true, "a1 b2 c40 d41"),
        ("c", None, false, "a1 b2 d41"),
        ("e", Some(40), true, "taken"),
        ("c", Some(50), true, "a1 b2 c50 d41"),
        ("c", None, false, "a1 b2 d41"),
        ("c", Some(40), true, "a1 b2 c40 d41"),
        ("c", None, false, "a1 b2 d41"),
        // One of those that it had: it is the same category.
        ("c", None, true, "a1 b2 c50 d41"),
        ("e", Some(i32::MAX as u32), true, "a1 b2 c50 d41 e2147483647"),
        // There is no number above it any more, and below it there are enough.
        ("f", None, true, "a1 b2 c50 d41 e2147483647 f3"),
        ("g", Some(7), true, "a1 b2 c50 d41 e2147483647 f3 g7"),
    ] {
        assert_eq!(numbers(&mut store, id, number, is_there), expected, "{id} {number:?}");
    }
    let bouquet = Write { number: Some(1), ..put("a", Expected::Anything, 1) };
    assert_eq!(store.commit(&act(), &[bouquet]), Err(Uncommitted::NumberTaken { index: 0 }));
}

#[test]
fn content_that_comes_again_is_known_by_its_number_and_a_subscriber_is_not() {
    let state = tempfile::tempdir().unwrap();
    let mut store = Sqlite::open(state.path()).unwrap();
    for (kind, expected) in [
        (Kind::Category, 1),
        (Kind::Channel, 1),
        (Kind::Asset, 1),
        (Kind::Series, 1),
        (Kind::Episode, 1),
        (Kind::Subscriber, 3),
    ] {
        let write = |id: &str, is_there: bool| {
            of(kind, id, Expected::Anything, is_there.then(|| json!({})))
        };
        store.commit(&act(), &[write("a", true), write("b", true)]).unwrap();
        store.commit(&act(), &[write("a", false)]).unwrap();
        store.commit(&act(), &[write("a", true)]).unwrap();
        let number = store.object(kind, "a").unwrap().unwrap().number;
        assert_eq!(number, Some(expected), "{kind:?}");
    }
}

#[test]
fn what_speaks_of_something_is_listed_page_by_page() {
    let state = tempfile::tempdir().unwrap();
    let mut store = Sqlite::open(state.path()).unwrap();
    let drama = Reference { kind: Kind::Category, id: "drama".to_owned() };
    let category = of(Kind::Category, "drama", Expected::Anything, Some(json!({})));
    let speaks = |kind, id: &str| Write {
        references: vec![drama.clone()],
        ..of(kind, id, Expected::Anything, Some(json!({})))
    };
    let silent = of(Kind::Asset, "c", Expected::Anything, Some(json!({})));
    let writes = [
        category,
        speaks(Kind::Asset, "b"),
        silent,
        speaks(Kind::Series, "a"),
        speaks(Kind::Asset, "d"),
        speaks(Kind::Asset, "a"),
    ];
    store.commit(&act(), &writes).unwrap();
    let ids = |after: &str, most| -> Vec<_> {
        let found = store.objects_that_name(Kind::Asset, &drama, after, most).unwrap();
        found.into_iter().map(|of| of.id).collect()
    };
    assert_eq!(
        (ids("", 2), ids("b", 2), ids("d", 2)),
        (vec!["a".into(), "b".into()], vec!["d".into()], vec![])
    );
    let other = Reference { kind: Kind::Category, id: "other".to_owned() };
    assert_eq!(store.objects_that_name(Kind::Asset, &other, "", 9), Ok(Vec::new()));
    let changed = store.changes_of(Kind::Series, Revision(0), 9).unwrap();
    assert_eq!(changed.iter().map(|of| of.id.as_str()).collect::<Vec<_>>(), ["a"]);
}

#[test]
fn what_is_spoken_of_is_there_and_stays() {
    let state = tempfile::tempdir().unwrap();
    let mut store = Sqlite::open(state.path()).unwrap();
    let bouquet = |is_there: bool| {
        of(Kind::Bouquet, "basic", Expected::Anything, is_there.then(|| json!({})))
    };
    let reference = |kind, id: &str| Reference { kind, id: id.to_owned() };
    let plan = |to: &[&str]| Write {
        references: to.iter().map(|to| reference(Kind::Bouquet, to)).collect(),
        ..of(Kind::Plan, "gold", Expected::Anything, Some(json!({})))
    };
    let to = reference(Kind::Bouquet, "basic");
    assert_eq!(
        store.commit(&act(), &[plan(&["basic"])]),
        Err(Uncommitted::Dangling { index: 0, to })
    );
    // The order within a batch is nobody's business.
    store.commit(&act(), &[plan(&["basic", "basic"]), bouquet(true)]).unwrap();
    store.commit(&act(), &[bouquet(true)]).unwrap();
    let by = reference(Kind::Plan, "gold");
    let refused = Err(Uncommitted::Referenced { index: 0, by });
    assert_eq!(store.commit(&act(), &[bouquet(false)]), refused);
    store.commit(&act(), &[bouquet(false), plan(&[])]).unwrap();
    store.commit(&act(), &[bouquet(true), plan(&["basic"])]).unwrap();
    let no_plan = of(Kind::Plan, "gold", Expected::Anything, None);
    store.commit(&act(), &[no_plan, bouquet(false)]).unwrap();
    assert_eq!(store.objects(Kind::Bouquet, "", 9), Ok(Vec::new()));
}

#[test]
fn nobody_else_can_read_it() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let mut store = Sqlite::open(&state).unwrap();
    store.commit(&act(), &[put("a", Expected::Absent, 1)]).unwrap();
    let mut names = Vec::new();
    for file in std::fs::read_dir(&state).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o600, "{:?}", file.file_name());
        names.push(file.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names, ["audit.key", "registry.db", "registry.db-shm", "registry.db-wal"]);
    assert_eq!(std::fs::metadata(&state).unwrap().mode() & 0o007, 0);
}

/// A file that a version of shardcast wrote which knew so many steps.
fn older(path: &Path, steps: usize) -> Connection {
    let connection = Connection::open(path).unwrap();
    for step in &STEPS[..steps] {
        connection.execute_batch(step).unwrap();
    }
    connection.pragma_update(None, "user_version", steps as i32).unwrap();
    connection
}

#[test]
fn every_older_version_is_brought_up_to_date_with_all_that_is_in_it() {
    for steps in 1..=STEPS.len() {
        let state = tempfile::tempdir().unwrap();
        let connection = older(&state.path().join("registry.db"), steps);
        connection.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
        // Every version so far has these columns.
        connection
            .execute_batch(
                "UPDATE registry SET revision = 8, epoch = 2; \
                 INSERT INTO object (kind, id, revision, document) \
                 VALUES ('signing-key', 'a', 7, '{\"says\":1}'); \
                 INSERT INTO removed (kind, id, revision) VALUES ('signing-key', 'b', 8);",
            )
            .unwrap();
        drop(connection);
        let mut store = Sqlite::open(state.path()).unwrap();
        assert_eq!((store.revision(), store.epoch()), (Ok(Revision(8)), Ok(2)));
        assert_eq!(changed(&store, 0, 100), "7:a=1 8:-b");
        assert_eq!(store.commit(&act(), &[put("c", Expected::Absent, 3)]), Ok(Revision(9)));
        let version = |name| {
            store.connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).unwrap()
        };
        assert_eq!(version("user_version"), STEPS.len() as i64);
    }
}

#[test]
fn what_is_not_ours_is_left_as_it_is() {
    let refused = |prepare: &dyn Fn(&Path), expected: &str| {
        let state = tempfile::tempdir().unwrap();
        let path = state.path().join("registry.db");
        prepare(&path);
        let before = std::fs::read(&path).unwrap();
        let why = Sqlite::open(state.path()).unwrap_err().to_string();
        assert!(why.contains(expected), "{why}");
        assert!(why.starts_with(&path.display().to_string()), "{why}");
        assert_eq!(std::fs::read(&path).unwrap().len(), before.len());
    };
    refused(&|path| std::fs::write(path, [b'x'; 5000]).unwrap(), "not a database");
    let other = |path: &Path| {
        let connection = Connection::open(path).unwrap();
        connection.execute_batch("CREATE TABLE mine (a);").unwrap();
    };
    refused(&other, "something else");
    let newer = |path: &Path| {
        let connection = older(path, STEPS.len());
        connection.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
        connection.pragma_update(None, "user_version", STEPS.len() as i32 + 1).unwrap();
    };
    refused(&newer, "newer version of shardcast");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    /// Whatever is written, the table says what a map would, and the feed leads from any state that
    /// was to the one that is.
    #[test]
    fn the_feed_makes_of_any_older_state_the_newest_one(
        writes in prop::collection::vec((0_u8..4, any::<Option<i8>>()), 1..24),
    ) {
        let state = tempfile::tempdir().unwrap();
        let mut store = Sqlite::open(state.path()).unwrap();
        let mut model = BTreeMap::<String, i64>::new();
        let mut states = vec![(0, model.clone())];
        for (id, says) in writes {
            let id = id.to_string();
            let write = match says {
                Some(says) => put(&id, Expected::Anything, says.into()),
                None => remove(&id, Expected::Anything),
            };
            let revision = store.commit(&act(), &[write]).unwrap();
            match says {
                Some(says) => drop(model.insert(id, says.into())),
                None => drop(model.remove(&id)),
            }
            states.push((revision.0, model.clone()));
        }
        for (since, mut followed) in states {
            for change in store.changes(Revision(since), 1000).unwrap() {
                match change.document {
                    Some(document) => {
                        followed.insert(change.id, document["says"].as_i64().unwrap());
                    }
                    None => drop(followed.remove(&change.id)),
                }
            }
            prop_assert_eq!(&followed, &model);
        }
    }
}
