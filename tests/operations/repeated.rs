//! Requests that are sent again because nobody knows whether they were heard.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use serde_json::Value;

use super::running::{PATIENCE, Place, Running, done, serve};

/// An answer without what says when it was given.
#[derive(Debug, PartialEq)]
struct Answer {
    status: u16,
    tag: Option<String>,
    body: String,
}

fn post(place: &Place, path: &str, key: &str, body: &str) -> Answer {
    let mut socket = UnixStream::connect(place.path("state/admin.sock")).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let line = if key.is_empty() { String::new() } else { format!("Idempotency-Key: {key}\r\n") };
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: \
         application/json\r\n{line}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    socket.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let tag = head.lines().find_map(|line| line.strip_prefix("etag: "));
    Answer { status, tag: tag.map(str::to_owned), body: body.to_owned() }
}

#[test]
fn a_creation_that_is_sent_again_is_answered_again_and_made_once() {
    let place = Place::new();
    let config = place.config("");
    let mut server = Running::start(&mut serve(&config));
    let (key, anna) = ("\"8e03978e\"", r#"{"id":"anna","notes":"new"}"#);
    let first = post(&place, "/api/v1/subscribers", key, anna);
    assert_eq!((first.status, first.tag.is_some()), (201, true), "{}", first.body);
    assert_eq!(post(&place, "/api/v1/subscribers", key, anna), first);
    assert_eq!(post(&place, "/api/v1/subscribers", "8e03978e", anna), first, "without quotes");
    // Whatever became of it meanwhile, and over a crash.
    done(&config, &["subscriber", "set", "anna", "--notes", "old"]);
    server.signal("KILL");
    server.ended();
    server = Running::start(&mut serve(&config));
    assert_eq!(post(&place, "/api/v1/subscribers", key, anna), first);
    done(&config, &["subscriber", "rm", "anna"]);
    assert_eq!(post(&place, "/api/v1/subscribers", key, anna), first);
    assert_eq!(done(&config, &["subscriber", "ls", "--json"]), "");
    // The same key with something else, or somewhere else.
    let other = r#"{"id":"anna","notes":"other"}"#;
    for (path, body) in [("subscribers", other), ("plans", anna), ("tokens", "{}")] {
        let said = post(&place, &format!("/api/v1/{path}"), key, body);
        assert_eq!(said.status, 422, "{path}: {}", said.body);
        assert!(said.body.contains("another request had this key"), "{}", said.body);
    }
    assert_eq!(post(&place, "/api/v1/subscribers", "\"a b\"", anna).status, 400);
    // What was refused may be asked for again when it makes sense.
    let gold = r#"{"id":"gold","name":"Gold","bouquets":["basic"]}"#;
    assert_eq!(post(&place, "/api/v1/plans", "gold-1", gold).status, 409);
    done(&config, &["bouquet", "add", "basic", "--name", "Basic"]);
    assert_eq!(post(&place, "/api/v1/plans", "gold-1", gold).status, 201);
    assert_eq!(post(&place, "/api/v1/plans", "gold-2", gold).status, 409, "it is there");
    drop(server);
}

#[test]
fn a_token_that_is_asked_for_again_is_the_same_and_is_kept_nowhere() {
    let place = Place::new();
    let config = place.config("");
    let mut server = Running::start(&mut serve(&config));
    let wish = r#"{"scope":["/vod/library/*"],"seconds":600}"#;
    let mint = |key: &str| post(&place, "/api/v1/tokens", key, wish);
    let first = mint("bill-1");
    assert_eq!(first.status, 201, "{}", first.body);
    assert_ne!(mint("bill-2").body, first.body);
    assert_ne!(mint("").body, mint("").body, "without a key each is another one");
    server.signal("KILL");
    server.ended();
    server = Running::start(&mut serve(&config));
    assert_eq!(mint("bill-1"), first);
    let told: Value = serde_json::from_str(&first.body).unwrap();
    let path = told["path"].as_str().unwrap();
    assert!(server.public_get(&format!("{path}vod/library/a.m3u8")).starts_with("HTTP/1.1 200"));
    // What opens it is in no file: the last characters of a token are its MAC.
    let token = told["token"].as_str().unwrap();
    let mac = &token[token.len() - 16..];
    for file in std::fs::read_dir(place.path("state")).unwrap() {
        let path = file.unwrap().path();
        let bytes = std::fs::read(&path).unwrap_or_default();
        let has = bytes.windows(mac.len()).any(|window| window == mac.as_bytes());
        assert!(!has, "{}", path.display());
    }
    // The key that signed it is the one before the current one, and then it is gone.
    done(&config, &["key", "rotate"]);
    assert_eq!(mint("bill-1"), first);
    done(&config, &["key", "rotate", "--force"]);
    let void = mint("bill-1");
    assert_eq!(void.status, 409);
    assert!(void.body.contains("the token that it made is void"), "{}", void.body);
    // A restore makes all of them new again.
    let copy = place.path("copy.db");
    done(&config, &["backup", copy.to_str().unwrap()]);
    done(&config, &["restore", copy.to_str().unwrap()]);
    assert_eq!(mint("bill-1").status, 201);
    drop(server);
}
