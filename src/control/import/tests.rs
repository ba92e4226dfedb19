//! Lines in, what became of them out, over a registry in a file.

use serde_json::json;

use super::super::registry::Sqlite;
use super::super::secrets::Secrets;
use super::*;

const NOON: UnixTime = UnixTime(1_800_000_000);

struct Place {
    store: Sqlite,
    keys: Keys,
    in_file: InFile,
    _state: tempfile::TempDir,
}

fn place() -> Place {
    let state = tempfile::tempdir().unwrap();
    let keys = Keys::new(Secrets::open(state.path()).unwrap());
    let (store, in_file) = (Sqlite::open(state.path()).unwrap(), InFile::default());
    Place { store, keys, in_file, _state: state }
}

impl Place {
    fn import(&mut self, body: Value) -> Vec<Told> {
        let wanted = serde_json::from_value(body).unwrap();
        let of = (&self.keys, &self.in_file);
        imported(&mut self.store, &Act::server(NOON), of, wanted).unwrap()
    }

    /// What became of lines, with the reason or the warnings.
    #[track_caller]
    fn check(&mut self, body: Value, expected: &[&str]) {
        let told = self.import(body);
        let said: Vec<_> = told
            .iter()
            .map(|told| {
                let more = told.why.iter().chain(&told.warnings);
                let word = serde_json::to_value(told.result).unwrap();
                more.fold(word.as_str().unwrap().to_owned(), |said, more| said + ": " + more)
            })
            .collect();
        assert_eq!(said, expected);
    }

    fn revision(&self) -> u64 {
        self.store.revision().unwrap().0
    }

    fn name_of(&self, user: &str, password: &str) -> Option<String> {
        let found = self.store.object(Kind::AppPasswords, user).unwrap();
        Passwords::of(&self.keys, user, found).name_of(password).map(str::to_owned)
    }
}

fn anna() -> Value {
    json!({
        "kind": "subscriber", "id": "Anna", "number": 7, "plan": "gold",
        "passwords": [{ "password": "kx7mq2pt" }, { "name": "tv", "password": "12345" }],
    })
}

#[test]
fn what_one_line_makes_the_next_may_speak_of() {
    let mut place = place();
    let lines = json!([
        { "kind": "bouquet", "id": "all", "name": "All", "content": ["tv/news"] },
        { "kind": "plan", "id": "gold", "name": "Gold", "bouquets": ["all"] },
        anna(),
    ]);
    let weak = "added: the app password \"tv\" is weak: it has fewer than 8 characters";
    place.check(json!({ "lines": lines.clone() }), &["added", "added", weak]);
    let revision = place.revision();
    assert_eq!(place.store.object(Kind::Subscriber, "Anna").unwrap().unwrap().number, Some(7));
    assert_eq!(place.name_of("Anna", "kx7mq2pt").as_deref(), Some("app"));
    assert_eq!(place.name_of("Anna", "12345").as_deref(), Some("tv"));
    let weak = weak.replace("added", "unchanged");
    place.check(json!({ "lines": lines }), &["unchanged", "unchanged", &weak]);
    assert_eq!(place.revision(), revision, "who was interrupted begins again, and nothing happens");
}

#[test]
fn a_line_is_written_whole_or_not_at_all_and_the_others_are() {
    let mut place = place();
    let too_many: Vec<_> = (0..17)
        .map(|one| json!({ "name": one.to_string(), "password": one.to_string() }))
        .collect();
    let lines = json!([
        anna(),
        { "kind": "subscriber", "id": "bert", "passwords": [{ "password": "kx7mq2pt" }] },
        { "kind": "subscriber", "id": "bert", "notes": "again" },
        { "kind": "subscriber", "id": "cleo", "expires": "soon" },
        { "kind": "subscriber", "id": "d e" },
        { "kind": "subscriber", "id": "emil", "passwords": too_many },
        { "kind": "subscriber", "id": "fred", "number": 1 },
        { "kind": "signing-key", "id": "1" },
        { "kind": "app-passwords", "id": "bert", "passwords": [] },
        { "kind": "plan", "id": "gold", "name": "Gold", "passwords": [] },
        { "id": "x" },
        { "kind": "subscriber", "id": "gus" },
    ]);
    place.check(
        json!({ "lines": lines }),
        &[
            "refused: it speaks of the plan \"gold\", which is not there: the app password \"tv\" \
             is weak: it has fewer than 8 characters",
            "added",
            "refused: it is there, with revision 1",
            "refused: invalid type: string \"soon\", expected u64",
            "refused: id: \"d e\" is no user name (up to 128 bytes, without spaces and \"/\")",
            "refused: a subscriber has at most 16 app passwords",
            "refused: number: it is, or was, another one's, or is not from 1 to 2147483647",
            "refused: kind: nothing is called \"signing-key\"",
            "refused: kind: nothing is called \"app-passwords\"",
            "refused: passwords: only a subscriber has some",
            "refused: kind: it is missing",
            "added",
        ],
    );
    let ids: Vec<_> = place.store.objects(Kind::Subscriber, "", 99).unwrap();
    let ids: Vec<_> = ids.iter().map(|one| (one.id.as_str(), one.number)).collect();
    assert_eq!(ids, [("bert", Some(1)), ("gus", Some(2))]);
    let kept = place.store.objects(Kind::AppPasswords, "", 99).unwrap();
    assert_eq!(kept.len(), 1, "none of a refused line's");
    assert_eq!(place.revision(), 3, "and none of its revisions");
}

#[test]
fn what_is_there_is_refused_kept_or_replaced() {
    let mut place = place();
    let line = |notes: &str| json!({ "kind": "subscriber", "id": "anna", "notes": notes });
    let with = |password: &str| {
        json!({ "kind": "subscriber", "id": "anna", "notes": "b",
            "passwords": [{ "password": password }] })
    };
    place.check(json!({ "lines": [line("a")] }), &["added"]);
    place
        .check(json!({ "lines": [line("b")] }), &["refused: it is there, and says something else"]);
    place.check(json!({ "lines": [line("b")], "existing": "keep" }), &["kept"]);
    let dry = json!({ "lines": [line("b")], "existing": "replace", "dry_run": true });
    let revision = place.revision();
    place.check(dry, &["replaced"]);
    assert_eq!(place.revision(), revision);
    place.check(json!({ "lines": [line("b")], "existing": "replace" }), &["replaced"]);
    place.check(json!({ "lines": [with("kx7mq2pt")], "existing": "replace" }), &["replaced"]);
    place.check(json!({ "lines": [line("c")], "existing": "replace" }), &["replaced"]);
    assert!(place.name_of("anna", "kx7mq2pt").is_some(), "a line without passwords leaves them");
    place.check(json!({ "lines": [with("p4qrst7u")], "existing": "replace" }), &["replaced"]);
    assert_eq!(place.name_of("anna", "kx7mq2pt"), None);
    assert!(place.name_of("anna", "p4qrst7u").is_some());
    // A line's own word counts more.
    let mut own = line("d");
    own["existing"] = "keep".into();
    place.check(json!({ "lines": [own], "existing": "replace" }), &["kept"]);
}

#[test]
fn channels_are_taken_with_what_is_secret_and_not_over_those_of_the_config_file() {
    let mut place = place();
    let channel = |id: &str, more: Value| {
        let mut line = json!({ "kind": "channel", "id": id });
        line.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        line
    };
    let login = |password| json!({ "ingest": { "user": "enc", "password": password } });
    let news = channel("news", login("open sesame"));
    place.check(json!({ "lines": [news] }), &["added"]);
    let kept = place.store.object(Kind::Channel, "news").unwrap().unwrap().document;
    assert!(!kept.to_string().contains("sesame"), "{kept}");
    // It is the same password, however it was sealed.
    place.check(json!({ "lines": [news] }), &["unchanged"]);
    let other = channel("news", login("other"));
    place.check(json!({ "lines": [other] }), &["refused: it is there, and says something else"]);
    let without = channel("sport", json!({ "ingest": { "user": "enc" } }));
    place.check(json!({ "lines": [without] }), &["refused: ingest.password: it is missing"]);
    let file = channel("sport", json!({ "folder": "/etc" }));
    let why = "refused: folder: names a file, which only the config file may";
    place.check(json!({ "lines": [file] }), &[why]);

    let mut draft = crate::config::file::Draft::default();
    draft.apply_file(std::path::Path::new("/x.toml"), "\n[[channel]]\nid = \"radio\"\n");
    place.in_file = InFile::of(&draft);
    let radio = channel("radio", json!({ "window": "60s" }));
    let why = "refused: the channel \"radio\" is in the config file, /x.toml:2: change it there";
    place.check(json!({ "lines": [radio] }), &[why]);
    // What another server's file says is taken for the number.
    let of_file = json!({ "in_file": true, "name": "Film", "number": 70 });
    place.check(json!({ "lines": [channel("film", of_file)] }), &["added"]);
    assert_eq!(place.store.object(Kind::Channel, "film").unwrap().unwrap().number, Some(70));
}
