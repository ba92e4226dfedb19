//! Tokens from the command line to a player: made, used, refused, and gone with their key.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde_json::{Value, json};

use super::running::{PATIENCE, Place, Running, done, program, run, serve, until, verb};

/// A server with two libraries that take a token.
fn place() -> Place {
    let place = Place::new();
    for asset in ["films/a", "series/b"] {
        let folder = place.path(asset);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("1.ts"), vec![7; 100_000]).unwrap();
    }
    place
}

fn config(place: &Place) -> std::path::PathBuf {
    place.config(
        "[[library]]\npath = \"films\"\naccess = \"token\"\n[[library]]\npath = \"series\"\n\
         access = \"token\"\n",
    )
}

/// The server, and Anna, whose plan has the film.
fn with_anna(config: &Path) -> Running {
    let server = Running::start(&mut serve(config));
    done(config, &["bouquet", "add", "films", "--name", "Films", "--content", "vod/a"]);
    done(config, &["plan", "add", "gold", "--name", "Gold", "--bouquet", "films"]);
    done(config, &["subscriber", "add", "Anna", "--plan", "gold"]);
    server
}

fn mint(config: &Path, arguments: &[&str]) -> String {
    done(config, &[&["token", "mint"], arguments].concat()).trim_end().to_owned()
}

/// Status and reason of what a path gets.
fn outcome(server: &Running, path: &str) -> String {
    let response = server.public_get(path);
    let status = response.split(' ').nth(1).unwrap_or_default().to_owned();
    let reason = response.lines().find_map(|line| line.strip_prefix("X-Shardcast-Reason: "));
    format!("{status} {}", reason.unwrap_or_default()).trim_end().to_owned()
}

#[test]
fn a_token_is_made_and_opens_what_it_is_for() {
    let place = place();
    let config = config(&place);
    let server = Running::start(&mut serve(&config));
    assert_eq!(outcome(&server, "/vod/a/1.ts"), "403 token-missing");
    let all = mint(&config, &[]);
    let films = mint(&config, &["--scope", "/vod/a/*", "--network", "127.0.0.0/8"]);
    let office = mint(&config, &["--network", "192.0.2.0/24"]);
    for (token, path, expected) in [
        (&all, "vod/a/1.ts", "200"),
        (&all, "vod/b/1.ts", "200"),
        (&all, "vod/library/a.ts", "200"),
        (&all, "vod/c/1.ts", "404 not-found"),
        (&films, "vod/a/1.ts", "200"),
        (&films, "vod/b/1.ts", "403 not-entitled"),
        (&office, "vod/a/1.ts", "403 token-elsewhere"),
        (&format!("{all}A"), "vod/a/1.ts", "403 token-unknown"),
    ] {
        assert_eq!(outcome(&server, &format!("/s/{token}/{path}")), expected, "{path}");
    }
    let response = server.public_get(&format!("/s/{all}/vod/a/1.ts"));
    assert!(response.contains("\r\nCache-Control: private, "), "{}", &response[..500]);
    assert!(response.contains("\r\nReferrer-Policy: no-referrer\r\n"));
}

#[test]
fn a_subscriber_gets_what_the_plan_holds_as_long_as_it_does() {
    let place = place();
    let config = config(&place);
    let server = with_anna(&config);
    let done = |arguments: &[&str]| done(&config, arguments);
    done(&["bouquet", "add", "series", "--name", "Series", "--content", "vod/b"]);
    let token = mint(&config, &["--subscriber", "Anna"]);
    let (film, series) = (format!("/s/{token}/vod/a/1.ts"), format!("/s/{token}/vod/b/1.ts"));
    let becomes = |path: &str, expected: &str| {
        until(expected, || outcome(&server, path) == expected);
    };
    becomes(&film, "200");
    becomes(&series, "403 not-entitled");
    done(&["plan", "set", "gold", "--bouquet", "films", "--bouquet", "series"]);
    becomes(&series, "200");
    done(&["subscriber", "set", "Anna", "--status", "blocked"]);
    becomes(&film, "403 subscriber-blocked");
    done(&["subscriber", "set", "Anna", "--status", "active", "--expires", "1000"]);
    becomes(&film, "403 subscriber-expired");
    let said = verb(&config, &["token", "mint", "--subscriber", "Anna"]);
    assert!(said.err.contains("what was paid for ended on 1970-01-01T00:16:40Z"), "{}", said.err);
    done(&["subscriber", "set", "Anna", "--unset", "expires"]);
    becomes(&film, "200");
    server.signal("KILL");
    server.ended();
    let server = Running::start(&mut serve(&config));
    assert_eq!(outcome(&server, &film), "200", "before the first client comes");
    done(&["subscriber", "rm", "Anna"]);
    until("it is gone", || outcome(&server, &film) == "403 subscriber-unknown");
    let said = verb(&config, &["token", "mint", "--subscriber", "Anna"]);
    assert!(said.err.contains("status 404: no subscriber has this id"), "{}", said.err);
    done(&["subscriber", "add", "Anna", "--plan", "gold"]);
    assert_eq!(outcome(&server, &film), "403 subscriber-unknown", "she is somebody else now");
}

/// What `explain` says is what a request with a token of the subscriber gets.
#[test]
fn a_refusal_is_explained_with_the_check_that_decides() {
    let place = place();
    let config = config(&place);
    let server = with_anna(&config);
    let done = |arguments: &[&str]| done(&config, arguments);
    done(&["plan", "add", "empty", "--name", "Empty"]);
    let token = mint(&config, &["--subscriber", "Anna"]);
    for (change, content, line, reason) in [
        (&["--plan", "gold"][..], "vod/a/1.ts", "vod/a/1.ts is in the bouquet films", None),
        (
            &["--plan", "gold"],
            "vod/b/1.ts",
            "vod/b/1.ts is in none of the plan's: films",
            Some("not-entitled"),
        ),
        (
            &["--plan", "empty"],
            "vod/a/1.ts",
            "vod/a/1.ts is in no bouquet: the plan has none",
            Some("not-entitled"),
        ),
        (&["--unset", "plan"], "vod/a/1.ts", "none", Some("not-entitled")),
        (&["--expires", "60"], "vod/a/1.ts", "1970-01-01T00:01:00Z", Some("subscriber-expired")),
        (&["--status", "blocked"], "vod/a/1.ts", "blocked", Some("subscriber-blocked")),
    ] {
        done(&[&["subscriber", "set", "Anna"], change].concat());
        let text = done(&["subscriber", "explain", "Anna", "--content", content]);
        let verdict = reason.map_or("allowed".to_owned(), |reason| format!("refused: {reason}"));
        let checks = text.split("\n\n").next().unwrap();
        let lines: Vec<_> = checks.lines().rev().take(2).collect();
        assert_eq!(lines[0], verdict, "{text}");
        assert!(lines[1].ends_with(line), "{text}");
        let expected = reason.map_or("200".to_owned(), |reason| format!("403 {reason}"));
        until(&expected, || outcome(&server, &format!("/s/{token}/{content}")) == expected);
    }
    let text = done(&["subscriber", "explain", "Anna"]);
    let (_, refused) = text.split_once("\n\n").expect("what was refused");
    let lines: Vec<_> = refused.lines().collect();
    assert!(lines[0].starts_with("REFUSED LAST"), "{text}");
    // The newest first, each with what was asked for, and no token.
    assert!(lines[1].contains("subscriber-blocked  /vod/a/1.ts  127.0.0.1"), "{text}");
    assert!(lines[2].contains("subscriber-expired  /vod/a/1.ts  127.0.0.1"), "{text}");
    assert!(
        refused.contains("not-entitled        /vod/b/1.ts") && !text.contains(&token),
        "{text}"
    );
    let json = done(&["subscriber", "explain", "Anna", "--json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert!(json["refusals"][0]["count"].as_u64() >= Some(1), "{json}");
    let said = verb(&config, &["subscriber", "explain", "Bert"]);
    assert!(said.err.contains("status 404: no subscriber has this id"), "{}", said.err);
    let said = verb(&config, &["subscriber", "explain", "Anna", "--content", "news"]);
    assert!(said.err.contains("status 400: content: write \"tv/news\""), "{}", said.err);
}

#[test]
fn a_subscriber_watches_where_and_with_what_it_may() {
    let place = place();
    let config = config(&place);
    let server = with_anna(&config);
    let done = |arguments: &[&str]| done(&config, arguments);
    let token = mint(&config, &["--subscriber", "Anna"]);
    let watched = |agent: &str| {
        let mut stream = std::net::TcpStream::connect(server.public).unwrap();
        let head = format!(
            "HEAD /s/{token}/vod/a/1.ts HTTP/1.1\r\nHost: tv\r\nUser-Agent: {agent}\r\n\
             Connection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let reason = answer.lines().find_map(|line| line.strip_prefix("X-Shardcast-Reason: "));
        reason.unwrap_or(&answer[9..12]).to_owned()
    };
    for (change, agent, from, expected) in [
        (&["--network", "192.0.2.0/24"][..], "VLC/3.0", "127.0.0.1", "subscriber-elsewhere"),
        (&["--network", "127.0.0.0/8"], "VLC/3.0", "127.0.0.1", "200"),
        (&["--agent", "kodi"], "VLC/3.0", "127.0.0.1", "agent-denied"),
        (&["--agent", "kodi", "--agent", "vlc"], "VLC/3.0", "127.0.0.1", "200"),
        (&["--no-agent", "VLC/3"], "VLC/3.0", "127.0.0.1", "agent-denied"),
        (&["--no-agent", "VLC/2"], "VLC/3.0", "127.0.0.1", "200"),
    ] {
        done(&[&["subscriber", "set", "Anna"], change].concat());
        until(&format!("{change:?}: {expected}"), || watched(agent) == expected);
        let asked = ["subscriber", "explain", "Anna", "--content", "vod/a/1.ts"];
        let text = done(&[&asked[..], &["--from", from, "--agent", agent]].concat());
        let verdict = match expected {
            "200" => "allowed".to_owned(),
            reason => format!("refused: {reason}"),
        };
        let checks = text.split("\n\n").next().unwrap();
        assert_eq!(checks.lines().next_back(), Some(&*verdict), "{text}");
    }
    let text = done(&["subscriber", "explain", "Anna"]);
    assert!(text.contains("from where was not said") && text.contains("\nallowed\n"), "{text}");
}

#[test]
fn a_token_ends_in_the_second_it_says() {
    let place = place();
    let config = config(&place);
    let server = Running::start(&mut serve(&config));
    let made: Value = serde_json::from_str(&mint(&config, &["--for", "2s", "--json"])).unwrap();
    let path = format!("{}vod/a/1.ts", made["path"].as_str().unwrap());
    assert_eq!(outcome(&server, &path), "200");
    until("it expires", || outcome(&server, &path) == "403 token-expired");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    assert!(now.as_secs() >= made["expires"].as_u64().unwrap(), "not before");
}

#[test]
fn tokens_survive_kill_9_and_end_with_their_key() {
    let place = place();
    let config = config(&place);
    let server = Running::start(&mut serve(&config));
    let path = format!("/s/{}/vod/a/1.ts", mint(&config, &[]));
    server.signal("KILL");
    server.ended();
    let server = Running::start(&mut serve(&config));
    assert_eq!(outcome(&server, &path), "200");
    let said = verb(&config, &["key", "rotate"]);
    assert_eq!(said.code, 0, "{}", said.err);
    let states: Vec<_> = said.out.lines().map(|line| line.split("  ").next().unwrap()).collect();
    assert_eq!(states, ["KEY", "2", "1"]);
    assert_eq!(outcome(&server, &path), "200", "the key before the current one is good");
    let said = verb(&config, &["key", "rotate"]);
    assert_eq!(said.code, 1);
    assert!(
        said.err.contains("status 409: tokens of key 1 may be good for another"),
        "{}",
        said.err
    );
    assert_eq!(outcome(&server, &path), "200");
    let said = verb(&config, &["key", "rotate", "--force", "--json"]);
    let keys: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((&keys["keys"][0]["id"], &keys["keys"][1]["id"]), (&json!(3), &json!(2)));
    assert!(!said.out.contains("secret"), "{}", said.out);
    until("every shard knows", || outcome(&server, &path) == "403 token-unknown");
    assert_eq!(verb(&config, &["key", "ls"]).out.lines().count(), 3);
}

#[test]
fn a_registry_is_what_it_was_when_it_was_copied_and_old_tokens_are_void() {
    let place = place();
    let config = config(&place);
    let server = with_anna(&config);
    let done = |arguments: &[&str]| done(&config, arguments);
    let film = |token: &str| format!("/s/{token}/vod/a/1.ts");
    let token = mint(&config, &["--subscriber", "Anna"]);
    until("she may", || outcome(&server, &film(&token)) == "200");
    let copy = place.path("copy.db");
    let copy = copy.to_str().unwrap();
    let said = done(&["backup", copy]);
    assert!(
        said.contains("3 objects as of revision ")
            && said.ends_with("without keys and administrators\n"),
        "{said}"
    );
    let again = verb(&config, &["backup", copy]);
    assert!(again.code == 1 && again.err.contains("File exists"), "{}", again.err);
    done(&["subscriber", "rm", "Anna"]);
    done(&["subscriber", "add", "Zoe"]);
    let looked = done(&["restore", copy, "--dry-run"]);
    assert!(looked.contains("it can be restored"), "{looked}");
    assert!(done(&["subscriber", "ls"]).contains("Zoe"), "nothing was changed");
    let said = done(&["restore", copy]);
    assert!(said.contains("3 objects") && said.contains("tokens of before are void"), "{said}");
    let listed = done(&["subscriber", "ls"]);
    assert!(listed.contains("Anna") && !listed.contains("Zoe"), "{listed}");
    until("void", || outcome(&server, &film(&token)) == "403 token-unknown");
    let token = mint(&config, &["--subscriber", "Anna"]);
    until("she may again", || outcome(&server, &film(&token)) == "200");
    // A server that does not run: the same, and it starts with it.
    server.signal("TERM");
    server.ended();
    done(&["restore", copy, "--json"]);
    let server = Running::start(&mut serve(&config));
    assert_eq!(outcome(&server, &film(&token)), "403 token-unknown");
    let token = mint(&config, &["--subscriber", "Anna"]);
    until("she may once more", || outcome(&server, &film(&token)) == "200");
    std::fs::write(place.path("torn.db"), &std::fs::read(copy).unwrap()[..5000]).unwrap();
    let torn = verb(&config, &["restore", place.path("torn.db").to_str().unwrap()]);
    assert_eq!(torn.code, 1, "{}", torn.out);
    assert_eq!(outcome(&server, &film(&token)), "200");
    let left = std::fs::read_dir(place.path("state")).unwrap();
    let left: Vec<_> = left.map(|one| one.unwrap().file_name().into_string().unwrap()).collect();
    assert!(left.iter().all(|name| !name.starts_with("restore-")), "{left:?}");
}

#[test]
fn whoever_has_not_signed_in_makes_no_tokens() {
    let place = place();
    let config = config(&place);
    let server = Running::start(&mut serve(&config));
    let ask = |method: &str, path: &str| {
        let mut stream = std::net::TcpStream::connect(server.admin).unwrap();
        let head = "Host: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        write!(stream, "{method} {path} HTTP/1.1\r\n{head}").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    for (method, path) in
        [("GET", "/api/v1/keys"), ("POST", "/api/v1/tokens"), ("POST", "/api/v1/keys/rotate")]
    {
        let answer = ask(method, path);
        assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
        assert!(answer.contains("application/problem+json"), "{answer}");
    }
    let said = run(program().args(["token", "mint", "--server", &server.admin.to_string()]));
    assert_eq!(said.code, 1);
    assert!(said.err.contains("status 401: sign in, or send a key of the API"), "{}", said.err);
}

#[test]
fn a_wish_that_makes_no_sense_is_told_why() {
    let place = place();
    let config = config(&place);
    let _server = Running::start(&mut serve(&config));
    for (arguments, why) in [
        (&["--for", "2d"][..], "status 400: seconds: a token is good for 1 to 86400 seconds"),
        (&["--scope", "news"], "status 400: scope: \"news\" can't match"),
        (&["--network", "office"], "status 400: network: \"office\" is none"),
    ] {
        let said = verb(&config, &[&["token", "mint"], arguments].concat());
        assert_eq!(said.code, 1);
        assert!(said.err.contains(why), "{}", said.err);
    }
    let said = verb(&config, &["token", "mint", "--for", "soon"]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("is not a duration"), "{}", said.err);
    let ask = |media_type: &str, body: &str| {
        let mut socket = UnixStream::connect(place.path("state/admin.sock")).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(
            socket,
            "POST /api/v1/tokens HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: \
             {media_type}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1).unwrap_or_default().to_owned()
    };
    assert_eq!(ask("application/json", "{}"), "201");
    assert_eq!(ask("application/json", "{\"second\":1}"), "400");
    assert_eq!(ask("application/json", "{"), "400");
    assert_eq!(ask("text/plain", "{}"), "415");
}

#[test]
fn a_registry_that_cannot_be_read_ends_the_start_of_a_server_that_needs_it() {
    let place = place();
    std::fs::create_dir(place.path("state")).unwrap();
    std::fs::write(place.path("state/registry.db"), [b'x'; 5000]).unwrap();
    let said = run(&mut serve(&config(&place)));
    assert_eq!(said.code, 1);
    let last = said.err.lines().last().unwrap();
    assert!(
        last.starts_with("shardcast: open the registry: ") && last.contains("registry.db"),
        "{last}"
    );
    // Where all is open there is a warning, and all is served.
    let server = Running::start(&mut serve(&place.config("")));
    assert_eq!(outcome(&server, "/vod/library/a.ts"), "200");
    let said = verb(&place.config(""), &["token", "mint"]);
    assert!(said.err.contains("status 503: there is no registry"), "{}", said.err);
}
