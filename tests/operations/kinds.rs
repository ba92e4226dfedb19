//! Verbs that every kind has: added, listed, shown, changed, removed; for people and as JSON.

use serde_json::{Value, json};

use super::running::{Place, Running, done, serve, verb};

/// A kind: its verb, an id, what it is added with, a change, and what that makes of which field.
type Case =
    (&'static str, &'static str, &'static [&'static str], [&'static str; 2], &'static str, Value);

fn cases() -> [Case; 6] {
    [
        (
            "category",
            "drama",
            &["--sorts", "film", "--name", "Drama"],
            ["--order", "2"],
            "order",
            json!(2),
        ),
        (
            "bouquet",
            "basic",
            &["--name", "Basic"],
            ["--content", "tv/news"],
            "content",
            json!(["tv/news"]),
        ),
        (
            "plan",
            "gold",
            &["--name", "Gold", "--bouquet", "basic"],
            ["--sessions", "3"],
            "sessions_max",
            json!(3),
        ),
        (
            "subscriber",
            "anna",
            &["--plan", "gold"],
            ["--status", "blocked"],
            "status",
            json!("blocked"),
        ),
        ("ban", "192.0.2.0/24", &["--for", "1d"], ["--reason", "noise"], "reason", json!("noise")),
        ("admin", "olga", &["--role", "viewer"], ["--role", "support"], "role", json!("support")),
    ]
}

#[test]
fn every_kind_is_added_listed_shown_changed_and_removed_for_people_and_programs() {
    let place = Place::new();
    let config = place.config("");
    let _server = Running::start(&mut serve(&config));
    let done = |arguments: &[&str]| done(&config, arguments);
    let read = |text: String| serde_json::from_str::<Value>(&text).unwrap();
    for (kind, id, add, [flag, value], field, becomes) in cases() {
        let made = read(done(&[&[kind, "add", id], add, &["--json"]].concat()));
        assert_eq!(made["id"], id, "{kind}");
        let table = done(&[kind, "ls"]);
        assert!(table.starts_with(&kind.to_uppercase()) || kind == "ban", "{table}");
        assert!(table.lines().count() == 2 && table.contains(id), "{table}");
        assert_eq!(read(done(&[kind, "ls", "--json"]))["id"], id, "{kind}");
        assert!(done(&[kind, "show", id]).starts_with(&format!("{id}\n  ")), "{kind}");
        let changed = read(done(&[kind, "set", id, flag, value, "--json"]));
        assert_eq!(changed[field], becomes, "{kind}");
        let mut shown = read(done(&[kind, "show", id, "--json"]));
        assert_eq!(shown[field], becomes, "{kind}");
        // All but this is what it was.
        for (name, value) in made.as_object().unwrap() {
            if ![field, "revision", "password"].contains(&name.as_str()) {
                assert_eq!(shown[name].take(), *value, "{kind} {name}");
            }
        }
        let said = verb(&config, &[kind, "set", id]);
        assert!(said.code != 0 && said.err.contains("nothing is to be changed"), "{}", said.err);
    }
    for (kind, id, ..) in cases().into_iter().rev() {
        done(&[kind, "rm", id]);
        let said = verb(&config, &[kind, "show", id]);
        assert!(said.code == 1 && said.err.contains("status 404: no "), "{kind}: {}", said.err);
    }
}
