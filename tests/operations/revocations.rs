//! Tokens that are revoked one by one: refused on every shard, whatever happens to the server.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use super::running::{PATIENCE, Place, Running, done, serve, until, verb};

const SHARDS: usize = 4;

/// More connections than it takes to come to every shard.
const CONNECTIONS: usize = 8 * SHARDS;

fn config(place: &Place) -> std::path::PathBuf {
    let folder = place.path("films/a");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("1.ts"), vec![7; 1000]).unwrap();
    let config = place.config("[[library]]\npath = \"films\"\naccess = \"token\"\n");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("shards = 1\n", &format!("shards = {SHARDS}\n"))).unwrap();
    config
}

fn mint(config: &Path) -> String {
    done(config, &["token", "mint", "--subscriber", "Anna"]).trim_end().to_owned()
}

/// What a token gets, which is the same on every connection.
fn outcome(server: &Running, token: &str) -> String {
    let ask = || {
        let answer = server.public_get(&format!("/s/{token}/vod/a/1.ts"));
        let reason = answer.lines().find_map(|line| line.strip_prefix("X-Shardcast-Reason: "));
        format!("{} {}", &answer[9..12], reason.unwrap_or_default()).trim_end().to_owned()
    };
    let first = ask();
    let is_same = (1..CONNECTIONS).all(|_| ask() == first);
    if is_same { first } else { "not everywhere the same".to_owned() }
}

/// Waits until every shard answers so; how long that took since.
fn becomes(server: &Running, token: &str, expected: &str, since: Instant) -> Duration {
    until(expected, || outcome(server, token) == expected);
    since.elapsed()
}

/// The status of the answer to a `DELETE`.
fn delete(place: &Place, path: &str) -> String {
    let mut stream = UnixStream::connect(place.path("state/admin.sock")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "DELETE {path} HTTP/1.0\r\nHost: admin\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer[9..12].to_owned()
}

#[test]
fn a_revoked_token_is_refused_everywhere_after_kill_9_and_after_a_restore() {
    let place = Place::new();
    let config = config(&place);
    let server = Running::start(&mut serve(&config));
    let done = |arguments: &[&str]| done(&config, arguments);
    done(&["bouquet", "add", "films", "--name", "Films", "--content", "vod/a"]);
    done(&["plan", "add", "gold", "--name", "Gold", "--bouquet", "films", "--sessions", "0"]);
    done(&["subscriber", "add", "Anna", "--plan", "gold"]);
    let (stolen, own) = (mint(&config), mint(&config));
    becomes(&server, &stolen, "200", Instant::now());
    // Whoever is let in at one shard is known there, and not let in any more all the same.
    let said = done(&["token", "revoke", &stolen, "--reason", "shown in a forum"]);
    let took = becomes(&server, &stolen, "403 token-revoked", Instant::now());
    assert!(took <= Duration::from_secs(1), "{took:?}");
    assert_eq!(outcome(&server, &own), "200", "her other device");
    let device = said.split(' ').next().unwrap().to_owned();
    let listed = done(&["token", "revoked"]);
    assert!(listed.contains(&device) && listed.contains("shown in a forum"), "{listed}");
    let explained = done(&["subscriber", "explain", "Anna"]);
    assert!(explained.contains("token-revoked"), "{explained}");
    assert!(done(&["audit", "ls", "--json"]).contains(&device), "it is in the audit log");

    server.signal("KILL");
    server.ended();
    let server = Running::start(&mut serve(&config));
    assert_eq!(outcome(&server, &stolen), "403 token-revoked", "before the first client comes");
    assert_eq!(outcome(&server, &own), "200");

    done(&["token", "lift", &device]);
    becomes(&server, &stolen, "200", Instant::now());
    // What is revoked behind a copy stays so.
    let copy = place.path("copy.db");
    done(&["backup", copy.to_str().unwrap()]);
    done(&["token", "revoke", &format!("http://tv/s/{stolen}/vod/a/1.ts")]);
    done(&["restore", copy.to_str().unwrap()]);
    assert!(done(&["token", "revoked"]).contains(&device));
    assert_eq!(delete(&place, &format!("/api/v1/revocations/{device}")), "204");
    assert!(!done(&["token", "revoked"]).contains(&device));
    // The same by HTTP, which says as much of a device as there is to say.
    assert_eq!(delete(&place, &format!("/api/v1/tokens/{device}")), "204");
    assert_eq!(delete(&place, &format!("/api/v1/tokens/{}", &device[..15])), "404");
    assert!(done(&["token", "revoked"]).contains(&device));

    let said = verb(&config, &["token", "revoke", &stolen]);
    assert!(said.err.contains("status 404: token: it is none of this server's"), "{}", said.err);
    let said = verb(&config, &["token", "revoke", "not-a-session-at"]);
    assert!(said.err.contains("status 400: session: this is none"), "{}", said.err);
}
