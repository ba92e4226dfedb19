//! Sessions that are over: who watched what and until when, over restarts, and no longer than is
//! said.

use std::io::Read as _;
use std::path::Path;

use serde_json::Value;

use super::live::http::Answering;
use super::running::{Place, Running, done, serve, until};

/// More than fits between a server and a client that does not read.
const FILM_SIZE: u64 = 64 << 20;

fn config(place: &Place, history: &str) -> std::path::PathBuf {
    for film in ["films/a", "films/b"] {
        let folder = place.path(film);
        std::fs::create_dir_all(&folder).unwrap();
        let film = std::fs::File::create(folder.join("1.ts")).unwrap();
        film.set_len(FILM_SIZE).unwrap();
    }
    let library = "[[library]]\npath = \"films\"\naccess = \"token\"\n";
    // What does not end by itself is not waited for.
    let limits = "[limits]\ndrain_timeout = \"500ms\"\n";
    place.config(&format!("{library}[sessions]\nhistory = \"{history}\"\n{limits}"))
}

/// Begins to watch a film, as somebody.
fn watch(server: &Running, config: &Path, name: &str, film: &str) -> Answering {
    let minted = done(config, &["token", "mint", "--subscriber", name]);
    let path = format!("/s/{}/vod/{film}/1.ts", minted.trim_end());
    until("it is known", || Answering::get(server.public, &path).status == 200);
    Answering::get(server.public, &path)
}

/// What is kept: subscriber, content and end, the newest first.
fn history(config: &Path, more: &[&str]) -> Vec<(String, String, String)> {
    let all = done(config, &[&["session", "history", "--json"], more].concat());
    let session = |line: &str| {
        let session: Value = serde_json::from_str(line).unwrap();
        let word = |name: &str| session[name].as_str().unwrap_or_default().to_owned();
        assert!(session["since"].as_u64() <= session["until"].as_u64(), "{line}");
        (word("subscriber"), word("content"), word("end"))
    };
    all.lines().map(session).collect()
}

fn expected(all: &[(&str, &str, &str)]) -> Vec<(String, String, String)> {
    all.iter().map(|(a, b, c)| ((*a).to_owned(), (*b).to_owned(), (*c).to_owned())).collect()
}

fn with_subscribers(config: &Path) -> Running {
    let server = Running::start(&mut serve(config));
    let films = ["--content", "vod/a", "--content", "vod/b"];
    done(config, &[&["bouquet", "add", "films", "--name", "Films"][..], &films].concat());
    done(config, &["plan", "add", "gold", "--name", "Gold", "--bouquet", "films"]);
    for name in ["Anna", "Bela"] {
        done(config, &["subscriber", "add", name, "--plan", "gold"]);
    }
    server
}

/// Ends the session of a film, and waits until that has happened.
fn kick(config: &Path, mut film: Answering, content: &str) {
    let listed = done(config, &["session", "ls", "--json"]);
    let session = |line: &str| serde_json::from_str::<Value>(line).unwrap();
    let all: Vec<_> = listed.lines().map(session).collect();
    let of = all.iter().find(|of| of["content"] == content).expect("it is listed");
    done(config, &["session", "kick", of["id"].as_str().unwrap()]);
    let mut rest = Vec::new();
    let size = film.stream().read_to_end(&mut rest).unwrap_or(rest.len());
    assert!((size as u64) < FILM_SIZE);
}

#[test]
fn what_was_watched_is_known_after_restarts_and_by_whom_and_when() {
    let place = Place::new();
    let config = config(&place, "30d");
    let server = with_subscribers(&config);
    let film = watch(&server, &config, "Anna", "a");
    kick(&config, film, "vod/a");
    let kicked = expected(&[("Anna", "vod/a", "session-kicked")]);
    assert_eq!(history(&config, &[]), kicked);
    // What was told is on the disk.
    server.signal("KILL");
    server.ended();
    let server = Running::start(&mut serve(&config));
    assert_eq!(history(&config, &[]), kicked);
    // What goes on when it ends in peace is not forgotten.
    let _film = watch(&server, &config, "Bela", "b");
    server.signal("TERM");
    let _ = server.ended();
    let _server = Running::start(&mut serve(&config));
    let both = [("Bela", "vod/b", "server-stopped"), ("Anna", "vod/a", "session-kicked")];
    assert_eq!(history(&config, &[]), expected(&both));
    assert_eq!(history(&config, &["--limit", "1"]), expected(&both[..1]));
    assert_eq!(history(&config, &["--subscriber", "Anna"]), kicked);
    assert_eq!(history(&config, &["--until", "1000"]), []);
    assert_eq!(history(&config, &["--since", "1000"]), expected(&both));
    let page: Value = {
        let answer = place.socket_get("/api/v1/sessions?past=true&limit=1");
        serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap()
    };
    let next = page["next"].as_str().expect("there is another one");
    let answer = place.socket_get(&format!("/api/v1/sessions?past=true&limit=1&after={next}"));
    assert!(answer.contains("\"vod/a\"") && answer.contains("\"next\":null"), "{answer}");
    let wrong = place.socket_get("/api/v1/sessions?past=true&after=x");
    assert!(wrong.starts_with("HTTP/1.1 400 "), "{wrong}");
}

#[test]
fn where_nothing_is_to_be_kept_nothing_is() {
    let place = Place::new();
    let config = config(&place, "0");
    let server = with_subscribers(&config);
    let film = watch(&server, &config, "Anna", "a");
    kick(&config, film, "vod/a");
    assert_eq!(history(&config, &[]), []);
    let _film = watch(&server, &config, "Bela", "b");
    server.signal("TERM");
    let _ = server.ended();
    let _server = Running::start(&mut serve(&config));
    assert_eq!(history(&config, &[]), []);
}
