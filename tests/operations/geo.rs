//! Where viewers are: who may watch in one country only, and what is told of addresses.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::running::{PATIENCE, Place, Running, done, serve, until};

#[path = "../fixture/mmdb.rs"]
mod mmdb;

/// Clients in two countries, and in none.
const AT_HOME: u8 = 1;
const ABROAD: u8 = 2;
const NOWHERE: u8 = 3;

fn started(more: &str) -> (Place, PathBuf, Running) {
    let place = Place::new();
    for film in ["films/a", "films/b"] {
        let folder = place.path(film);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("1.ts"), vec![7; 1000]).unwrap();
        std::fs::File::create(folder.join("long.ts")).unwrap().set_len(64 << 20).unwrap();
    }
    let countries = mmdb::countries(&[("127.0.0.1/32", "NL"), ("127.0.0.2/32", "DE")]);
    std::fs::write(place.path("country.mmdb"), countries).unwrap();
    let operators = mmdb::operators(&[("127.0.0.0/8", 64_496, "Example Networks")]);
    std::fs::write(place.path("asn.mmdb"), operators).unwrap();
    let films = "[[library]]\npath = \"films\"\naccess = \"token\"\n";
    let config = place.config(&format!("{films}{more}"));
    let server = Running::start(&mut serve(&config));
    let content = ["--content", "vod/a", "--content", "vod/b"];
    done(&config, &[&["bouquet", "add", "films", "--name", "Films"], &content[..]].concat());
    let plan = ["plan", "add", "all", "--name", "All", "--bouquet", "films", "--sessions", "0"];
    done(&config, &plan);
    (place, config, server)
}

const BOTH: &str = "[geo]\ncountry = \"country.mmdb\"\nasn = \"asn.mmdb\"\n";

/// A subscriber whom the shard knows, and a token.
fn subscriber(config: &Path, server: &Running, id: &str, more: &[&str]) -> String {
    done(config, &[&["subscriber", "add", id, "--plan", "all"], more].concat());
    let token = done(config, &["token", "mint", "--subscriber", id]).trim_end().to_owned();
    let known = || fetch(server, AT_HOME, &token, "c/1.ts") == "403 not-entitled";
    until("the shard knows the subscriber", known);
    token
}

fn connected(public: SocketAddr, last: u8) -> TcpStream {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let from = SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0));
    socket.bind(&from.into()).unwrap();
    socket.connect(&public.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn ask(stream: &mut TcpStream, token: &str, path: &str) {
    let head = format!("GET /s/{token}/vod/{path} HTTP/1.1\r\nHost: tv\r\nUser-Agent: TV\r\n");
    write!(stream, "{head}Connection: close\r\n\r\n").unwrap();
}

/// Status and reason of what a client gets that is there.
fn fetch(server: &Running, from: u8, token: &str, path: &str) -> String {
    let mut stream = connected(server.public, from);
    ask(&mut stream, token, path);
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let head = String::from_utf8_lossy(&answer);
    let status = head.split(' ').nth(1).unwrap_or_default();
    let reason = head.lines().find_map(|line| line.strip_prefix("X-Shardcast-Reason: "));
    format!("{status} {}", reason.unwrap_or_default()).trim_end().to_owned()
}

fn explained(config: &Path, id: &str, from: &str) -> Value {
    let explain = ["subscriber", "explain", id, "--content", "vod/a", "--from", from, "--json"];
    serde_json::from_str(&done(config, &explain)).unwrap()
}

fn check<'e>(explained: &'e Value, name: &str) -> &'e Value {
    let checks = explained["checks"].as_array().unwrap();
    checks.iter().find(|check| check["check"] == name).unwrap_or(&Value::Null)
}

#[test]
fn who_may_watch_in_one_country_is_refused_in_others_and_where_nobody_knows() {
    let (_place, config, server) = started(BOTH);
    let anna = subscriber(&config, &server, "Anna", &["--country", "NL"]);
    let bert = subscriber(&config, &server, "Bert", &[]);
    for (from, expected) in
        [(AT_HOME, "200"), (ABROAD, "403 country-denied"), (NOWHERE, "403 country-unknown")]
    {
        for path in ["a/1.ts", "b/1.ts"] {
            assert_eq!(fetch(&server, from, &anna, path), expected, "{from}");
            assert_eq!(fetch(&server, from, &bert, path), "200", "{from}");
        }
    }
    let at = |from: &str| explained(&config, "Anna", from);
    let abroad = at("127.0.0.2");
    let decided = (&json!("country-denied"), &json!("country"));
    assert_eq!((&abroad["reason"], &abroad["deciding"]), decided);
    assert_eq!(
        check(&abroad, "country")["says"],
        "127.0.0.2 is in DE, AS64496 Example Networks; only in NL"
    );
    let bert = explained(&config, "Bert", "127.0.0.3");
    let nowhere = "127.0.0.3 is in no country that is known, AS64496 Example Networks; in any";
    assert_eq!(check(&bert, "country")["says"], nowhere);
    assert_eq!(check(&explained(&config, "Bert", "192.0.2.1"), "country"), &Value::Null);
    assert_eq!(at("127.0.0.1")["allowed"], true);
    assert_eq!(at("127.0.0.3")["reason"], "country-unknown");
    let reasons: Vec<_> =
        abroad["refusals"].as_array().unwrap().iter().map(|of| of["reason"].clone()).collect();
    assert!(reasons.contains(&json!("country-denied")), "{reasons:?}");
    let metrics = server.admin_get("/metrics");
    let line = "shardcast_refusals_total{reason=\"country-denied\"} 2\n";
    assert!(metrics.contains(line), "{metrics}");
    let sessions = done(&config, &["session", "ls", "--json", "--subscriber", "Bert"]);
    let mut places: Vec<_> = sessions
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|of| (of["from"].clone(), of["country"].clone(), of["asn"].clone()))
        .collect();
    places.sort_by_key(|(from, ..)| from.to_string());
    places.dedup();
    let place = |from, country: Option<&str>| (json!(from), json!(country), json!(64_496));
    let expected =
        [place("127.0.0.1", Some("NL")), place("127.0.0.2", Some("DE")), place("127.0.0.3", None)];
    assert_eq!(places, expected);
    assert!(done(&config, &["session", "ls"]).contains("NL AS64496"));
}

/// A lock that is set while somebody watches, a file that is brought, and one that is damaged.
#[test]
fn what_changes_while_somebody_watches_holds_within_two_seconds_or_not_at_all() {
    let (place, config, server) = started("[geo]\nunknown = \"allow\"\n");
    let anna = subscriber(&config, &server, "Anna", &["--country", "NL"]);
    // Without a file nobody can say where it is.
    assert_eq!(fetch(&server, ABROAD, &anna, "a/1.ts"), "200");
    let unlooked = explained(&config, "Anna", "127.0.0.2");
    assert_eq!(unlooked["allowed"], true);
    let says = check(&unlooked, "country")["says"].to_string();
    assert!(says.contains("not looked at: there is no geo.country"), "{says}");
    let mut film = connected(server.public, ABROAD);
    ask(&mut film, &anna, "a/long.ts");
    film.read_exact(&mut [0; 1000]).unwrap();
    let text = std::fs::read_to_string(&config).unwrap();
    let with = text.replace("[geo]\n", BOTH);
    std::fs::write(&config, &with).unwrap();
    server.signal("HUP");
    server.says("the config was read again");
    let began = Instant::now();
    until("who watches there is refused", || {
        fetch(&server, ABROAD, &anna, "a/1.ts") == "403 country-denied"
    });
    let mut rest = Vec::new();
    let _ = film.read_to_end(&mut rest);
    assert!(rest.len() < 64 << 20, "it is broken off");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    println!("a film ended {:?} after the file was brought", began.elapsed());
    assert_eq!(fetch(&server, AT_HOME, &anna, "a/1.ts"), "200");
    assert_eq!(fetch(&server, NOWHERE, &anna, "a/1.ts"), "200", "as was chosen");
    // A file that is cut while it is written over is not taken, and kills nobody.
    let whole = std::fs::read(place.path("country.mmdb")).unwrap();
    std::fs::write(place.path("country.mmdb"), &whole[..whole.len() / 2]).unwrap();
    assert_eq!(fetch(&server, ABROAD, &anna, "b/1.ts"), "403 country-denied");
    server.signal("HUP");
    let line = server.says("the old [hook] and [geo] stay");
    assert_eq!(line["key"], "geo.country");
    assert_eq!(fetch(&server, ABROAD, &anna, "b/1.ts"), "403 country-denied");
    // The address is somewhere else now.
    let moved = mmdb::countries(&[("127.0.0.2/32", "NL"), ("127.0.0.1/32", "BE")]);
    std::fs::write(place.path("country.mmdb"), moved).unwrap();
    server.signal("HUP");
    until("it is let in there", || fetch(&server, ABROAD, &anna, "b/1.ts") == "200");
    // A subscriber who watches is held to a country.
    let bert = subscriber(&config, &server, "Bert", &[]);
    assert_eq!(fetch(&server, AT_HOME, &bert, "a/1.ts"), "200");
    done(&config, &["subscriber", "set", "Bert", "--country", "NL"]);
    until("the lock holds", || fetch(&server, AT_HOME, &bert, "a/1.ts") == "403 country-denied");
}
