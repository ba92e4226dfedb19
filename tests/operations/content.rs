//! Films, series and line-ups in the registry: written, listed, kept, taken elsewhere. The long
//! form (`SHARDCAST_FULL`) has 100,000 channels and assets, and says what they cost.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::{Value, json};

use super::running::{Place, Running, done, serve, verb};

fn ids(config: &Path, arguments: &[&str]) -> Vec<String> {
    let told = done(config, &[arguments, &["--json"]].concat());
    let id = |line: &str| serde_json::from_str::<Value>(line).unwrap()["id"].clone();
    told.lines().map(|line| id(line).as_str().unwrap().to_owned()).collect()
}

/// Writes two films and an extra, two series and their episodes.
fn shelve(config: &Path) {
    let done = |arguments: &[&str]| done(config, arguments);
    done(&["category", "add", "drama", "--sorts", "film", "--name", "Drama", "--number", "9"]);
    for (asset, more) in [
        ("films/a", &["--name", "A", "--category", "drama", "--number", "70"][..]),
        ("films/b", &["--name", "B"]),
        ("Der Film (1999)/ä", &["--name", "Ä", "--category", "drama", "--form", "extra"]),
    ] {
        done(&[&["asset", "add", asset][..], more].concat());
    }
    done(&["series", "add", "lost", "--name", "Lost", "--season", "1=The first"]);
    done(&["series", "add", "found", "--name", "Found"]);
    for (id, series, place) in
        [("lost-1-1", "lost", "1"), ("lost-1-2", "lost", "2"), ("f", "found", "1")]
    {
        let asset = format!("s/{id}");
        let of = ["--of", series, "--season", "1", "--episode", place, "--asset", &asset];
        done(&[&["episode", "add", id][..], &of].concat());
    }
}

fn started(channels: &str) -> (Place, PathBuf, Running) {
    let place = Place::new();
    let config = place.config(channels);
    let server = begun(&config);
    (place, config, server)
}

/// A server whose ingest port is nobody else's.
fn begun(config: &Path) -> Running {
    Running::start(serve(config).env("SHARDCAST_SERVER_INGEST", "127.0.0.1:0"))
}

#[test]
fn films_series_and_episodes_are_kept_and_listed() {
    let (_place, config, server) = started("");
    shelve(&config);
    server.signal("KILL");
    server.ended();
    let _server = begun(&config);
    assert_eq!(
        done(&config, &["asset", "ls", "--category", "drama"]),
        "ASSET              NUMBER  FORM   CATEGORIES  NAME\n\
         Der Film (1999)/ä  72      extra  drama       Ä\n\
         films/a            70      film   drama       A\n"
    );
    assert_eq!(ids(&config, &["episode", "ls", "--series", "lost"]), ["lost-1-1", "lost-1-2"]);
    let first: Value =
        serde_json::from_str(&done(&config, &["series", "show", "lost", "--json"])).unwrap();
    assert_eq!(first["seasons"], json!([{ "season": 1, "name": "The first" }]));
    for (arguments, why) in [
        (&["series", "rm", "lost"][..], "the episode \"lost-1-1\" speaks of it"),
        (&["category", "rm", "drama"], "speaks of it; change that first"),
        (&["asset", "add", "../a", "--name", "A"], "\"../a\" is no asset"),
        (
            &["asset", "set", "films/b", "--category", "none"],
            "the category \"none\", which is not there",
        ),
        (
            &[
                "episode",
                "add",
                "x",
                "--of",
                "none",
                "--season",
                "1",
                "--episode",
                "1",
                "--asset",
                "a",
            ],
            "the series \"none\", which is not there",
        ),
    ] {
        let said = verb(&config, arguments);
        assert!(said.code == 1 && said.err.contains(why), "{arguments:?}: {}", said.err);
    }
}

#[test]
fn details_of_titles_are_set_taken_back_and_refused() {
    let (place, config, _server) = started("");
    shelve(&config);
    let file = place.path("details.json");
    let told = json!({ "plot": "It begins.", "released": "1999-03-31", "rating": 8.2, "year": 1 });
    std::fs::write(&file, told.to_string()).unwrap();
    let file = file.to_str().unwrap();
    let details = |kind: &str, id: &str| {
        let told = done(&config, &[kind, "show", id, "--json"]);
        serde_json::from_str::<Value>(&told).unwrap()["details"].clone()
    };
    for (kind, id) in [("asset", "films/a"), ("series", "lost"), ("episode", "f")] {
        assert_eq!(details(kind, id), Value::Null);
        done(&config, &[kind, "set", id, "--details", file, "--year", "1999"]);
        let more = ["--genre", "Action", "--unset", "details.plot"];
        done(&config, &[&[kind, "set", id, "--poster", "https://a.example/p"][..], &more].concat());
        let expected = json!({
            "released": "1999-03-31", "rating": 8.2, "year": 1999, "genres": ["Action"],
            "poster": "https://a.example/p",
        });
        assert_eq!(details(kind, id), expected);
    }
    let said = verb(&config, &["asset", "set", "films/a", "--rating", "11"]);
    assert!(said.code == 1 && said.err.contains("details.rating: it is to be from 0 to 10"));
    let exported = done(&config, &["export"]);
    let (_there, other, _other) = started("");
    let lines = place.path("all.jsonl");
    std::fs::write(&lines, &exported).unwrap();
    done(&other, &["import", lines.to_str().unwrap()]);
    let there = done(&other, &["asset", "show", "films/a", "--json"]);
    let there: Value = serde_json::from_str(&there).unwrap();
    assert_eq!(there["details"], details("asset", "films/a"));
    done(&config, &["asset", "set", "films/a", "--unset", "details"]);
    assert_eq!(details("asset", "films/a"), Value::Null);
}

/// On another server, whose config file names no channel of this one's.
#[test]
fn numbers_go_with_content_to_another_server() {
    let (place, config, _server) = started("[[channel]]\nid = \"mark\"\n");
    shelve(&config);
    let told = done(&config, &["export", "--passwords"]);
    let file = place.path("all.jsonl");
    std::fs::write(&file, &told).unwrap();
    let (_there, other, _other) = started("");
    let said = verb(&other, &["import", file.to_str().unwrap()]);
    assert!(said.out.starts_with("10 lines: 10 added; "), "{} {}", said.out, said.err);
    let numbers = |config: &Path| -> Vec<(Value, Value)> {
        let told = done(config, &["export"]);
        let all = told.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let of_both = all.filter(|of| of["kind"] != "end" && of["in_file"] != true);
        of_both.map(|of| (of["id"].clone(), of["number"].clone())).collect()
    };
    assert_eq!(numbers(&other), numbers(&config));
    assert!(done(&other, &["channel", "add", "mark"]).contains("  number              1\n"));
}

#[test]
fn a_large_line_up_is_imported_filtered_and_there_at_the_start() {
    let count = if std::env::var_os("SHARDCAST_FULL").is_some() { 100_000 } else { 2_000 };
    let (place, config, server) = started("");
    let mut lines = String::new();
    for (id, sorts) in [("live", "live"), ("film", "film")] {
        lines +=
            &format!("{}\n", json!({ "kind": "category", "id": id, "sorts": sorts, "name": id }));
    }
    for at in 0..count {
        let name = format!("Number {at}");
        let few = |id: &str| if at % 100 < 2 { vec![id.to_owned()] } else { Vec::new() };
        let line = if at % 10 == 0 {
            json!({ "kind": "channel", "id": format!("c{at}"), "name": name, "categories": few("live") })
        } else {
            json!({ "kind": "asset", "id": format!("films/{at}"), "name": name, "categories": few("film") })
        };
        lines += &format!("{line}\n");
    }
    let file = place.path("all.jsonl");
    std::fs::write(&file, lines).unwrap();
    let began = Instant::now();
    let said = done(&config, &["import", file.to_str().unwrap()]);
    assert!(said.starts_with(&format!("{0} lines: {0} added; ", count + 2)), "{said}");
    let imported = began.elapsed();
    server.signal("KILL");
    server.ended();
    let began = Instant::now();
    let server = begun(&config);
    let started = began.elapsed();
    let began = Instant::now();
    let listed = ids(&config, &["asset", "ls", "--category", "film"]);
    assert_eq!(listed.len(), count / 100);
    let filtered = began.elapsed();
    let began = Instant::now();
    let channels: Value =
        serde_json::from_str(&done(&config, &["channel", "ls", "--json"])).unwrap();
    assert_eq!(channels["channels"].as_array().map(Vec::len), Some(count / 10));
    let all = began.elapsed();
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let memory = status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or_default();
    eprintln!(
        "{count} channels and assets: import {imported:?}, start {started:?}, {memory}, a category \
         {filtered:?}, all channels {all:?}"
    );
}
