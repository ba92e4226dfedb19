//! What is being sent, or waited for, ends when its viewer may not have it any more.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use super::boxes::{MIDNIGHT, Media, chunk, header};
use super::http::{self, Answering};
use super::{Station, channel, config, transport};
use crate::running::{self, PATIENCE, Place, Running, done, serve, until};

/// How long it may take until nothing is sent any more, and nobody is let in.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Each connection is some shard's.
const SHARDS: usize = 4;

/// More than fits between a server and a client that does not read.
const FILM_SIZE: u64 = 64 << 20;

/// The segment that grows.
const GROWING: u64 = MIDNIGHT + 2;

/// A server with a film and two channels that take a token. Of the first, half a segment has come;
/// the other one is a transport stream, too.
fn station() -> Station {
    let place = Place::new();
    let folder = place.path("films/a");
    std::fs::create_dir_all(&folder).unwrap();
    File::create(folder.join("1.ts")).unwrap().set_len(FILM_SIZE).unwrap();
    let library = "[[library]]\npath = \"films\"\naccess = \"token\"\n";
    let with_token = |id| format!("{}access = \"token\"\n", channel(id));
    // By itself it never bans its own machine.
    let guard = "[guard]\nallow = []\n";
    let channels = [with_token("news"), with_token("sport"), channel("mark")];
    let config = config(&place, &format!("{library}{}{guard}", channels.concat()));
    let text = std::fs::read_to_string(&config).unwrap();
    let text = text.replace("shards = 1\n", &format!("shards = {SHARDS}\n"));
    std::fs::write(&config, text).unwrap();
    let server = Running::start(&mut serve(&config));
    let station = Station { server, place, marks: Default::default() };
    for channel in ["news", "mark"] {
        let put = station.put(&format!("{channel}/v/init.mp4"), &header(Media::Picture));
        assert_eq!(put.status, 200);
    }
    station.push(MIDNIGHT);
    station.push(MIDNIGHT + 1);
    let half = station.put(&format!("news/v/{GROWING}.m4s"), &chunk(GROWING * 1000).bytes());
    assert_eq!(half.status, 200);
    for (at, segment) in transport::segments(4).iter().enumerate() {
        assert_eq!(station.put(&format!("sport/s{at}.ts"), segment).status, 200);
    }
    station.settle();
    let all = ["--content", "vod/a", "--content", "tv/news", "--content", "tv/sport"];
    done(&config, &[&["bouquet", "add", "all", "--name", "All"][..], &all].concat());
    done(&config, &["bouquet", "add", "less", "--name", "Less", "--content", "tv/other"]);
    for (plan, bouquet) in [("gold", "all"), ("grey", "less")] {
        let add = ["plan", "add", plan, "--name", plan, "--bouquet", bouquet];
        done(&config, &[&add[..], &["--sessions", "9"]].concat());
    }
    station
}

/// A film and a segment that are being sent, a stream that never ends, and a playlist that is
/// waited for.
struct Watching {
    server: std::net::SocketAddr,
    /// A segment that is whole.
    segment: String,
    film: Answering,
    growing: Answering,
    stream: Answering,
    held: TcpStream,
}

impl Watching {
    fn begin(station: &Station, token: &str, held_count: usize) -> Self {
        let server = station.server.public;
        let get = |path: &str| {
            let answer = Answering::get(server, &format!("/s/{token}/{path}"));
            assert_eq!(answer.status, 200, "{path}: {}", answer.head);
            answer
        };
        // What was changed a moment ago is on its way to the shards.
        let segment = format!("/s/{token}/tv/news/v/{MIDNIGHT}.m4s");
        let is_let_in = |_| http::get(server, &segment).status == 200;
        until("it may be watched", || (0..6 * SHARDS).all(is_let_in));
        let film = get("vod/a/1.ts");
        let mut growing = get(&format!("tv/news/v/{GROWING}.m4s"));
        assert!(growing.chunk().unwrap().is_some(), "what has come of it");
        let mut stream = get("tv/sport/stream.ts");
        assert!(stream.chunk().unwrap().is_some(), "its newest picture");
        let mut held = TcpStream::connect(server).unwrap();
        held.set_read_timeout(Some(PATIENCE)).unwrap();
        let path = format!("/s/{token}/tv/news/v/ll.m3u8?_HLS_msn={}", GROWING + 1);
        write!(held, "GET {path} HTTP/1.1\r\nHost: tv\r\n\r\n").unwrap();
        until_held(station, held_count);
        Self { server, segment, film, growing, stream, held }
    }

    /// Waits until all that is sent has ended; what is waited for, and how long it took since.
    fn broken_off(mut self, since: Instant, reason: &str) -> (TcpStream, Duration) {
        while let Ok(some) = self.stream.chunk() {
            assert!(some.is_some(), "{reason}: it is broken off, and does not end");
        }
        let stream = since.elapsed();
        assert!(self.growing.chunk().is_err(), "{reason}: it is broken off");
        let mut rest = Vec::new();
        let size = self.film.stream().read_to_end(&mut rest).unwrap_or(rest.len());
        let all = since.elapsed();
        assert!((size as u64) < FILM_SIZE, "{reason}: {size}");
        println!("{reason}: the stream ended after {stream:?}, and all after {all:?}");
        (self.held, all)
    }

    /// Waits until all of it has ended, for this reason, and nobody is let in: a second after it
    /// was said, at most.
    fn ended(self, since: Instant, reason: &str) {
        let (server, segment) = (self.server, self.segment.clone());
        let (held, took) = self.broken_off(since, reason);
        let told = Answering::of(held).expect("an answer");
        let line = format!("\r\nX-Shardcast-Reason: {reason}\r\n");
        assert!(told.status == 403 && told.head.contains(&line), "{reason}: {}", told.head);
        for _ in 0..6 * SHARDS {
            let next = http::get(server, &segment);
            assert!(next.status == 403 && next.head.contains(&line), "{reason}: {}", next.head);
        }
        let refused = since.elapsed();
        assert!(refused <= AT_ONCE, "{reason}: it ended after {took:?}, refused after {refused:?}");
    }
}

/// Waits until so many requests are held, at all shards together.
fn until_held(station: &Station, count: usize) {
    running::until_found(|| {
        let metrics = station.server.admin_get("/metrics");
        let lines = metrics.lines().filter(|line| line.starts_with("shardcast_parked_requests"));
        let values = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok());
        let held = values.sum::<usize>();
        (held == count).then_some(()).ok_or_else(|| format!("held: {held}"))
    });
}

/// Ends every session of a subscriber, by hand.
fn kick_all(config: &Path, subscriber: &str) {
    let list = ["session", "ls", "--json", "--subscriber", subscriber];
    let session = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
    let sessions: Vec<_> = done(config, &list).lines().map(session).collect();
    let contents: Vec<_> = sessions.iter().map(|of| of["content"].as_str().unwrap()).collect();
    assert_eq!(contents.len(), 3, "{contents:?}");
    for session in sessions {
        done(config, &["session", "kick", session["id"].as_str().unwrap()]);
    }
}

#[test]
fn what_is_watched_ends_with_the_right_to_it() {
    let station = station();
    let config = station.config();
    let others = ["Olga", "Omar"].map(|name| {
        done(&config, &["subscriber", "add", name, "--plan", "gold"]);
        let token = done(&config, &["token", "mint", "--subscriber", name]);
        token.trim_end().to_owned()
    });
    for (name, verb, reason) in [
        ("Anna", &["subscriber", "set", "Anna", "--status", "blocked"][..], "subscriber-blocked"),
        ("Bela", &["subscriber", "set", "Bela", "--expires", "1000"], "subscriber-expired"),
        ("Cleo", &["subscriber", "set", "Cleo", "--plan", "grey"], "not-entitled"),
        ("Dora", &["subscriber", "rm", "Dora"], "subscriber-unknown"),
        ("Emil", &["plan", "set", "gold", "--bouquet", "less"], "not-entitled"),
    ] {
        done(&config, &["subscriber", "add", name, "--plan", "gold"]);
        let token = done(&config, &["token", "mint", "--subscriber", name]);
        let watching = Watching::begin(&station, token.trim_end(), 1);
        done(&config, verb);
        watching.ended(Instant::now(), reason);
    }
    done(&config, &["plan", "set", "gold", "--bouquet", "all"]);
    // Who has the right to it goes on, whatever becomes of others.
    let olga = Watching::begin(&station, &others[0], 1);
    let omar = Watching::begin(&station, &others[1], 2);
    done(&config, &["subscriber", "set", "Omar", "--status", "blocked"]);
    omar.ended(Instant::now(), "subscriber-blocked");
    assert_eq!(station.put("news/v/2.m4s", &chunk(GROWING * 1000 + 500).bytes()).status, 200);
    let Watching { film, growing, held, mut stream, .. } = olga;
    assert_eq!(
        growing.rest().expect("its end").body.len(),
        chunk(GROWING * 1000 + 500).bytes().len()
    );
    assert_eq!(film.rest().expect("all of it").body.len() as u64, FILM_SIZE);
    station.push(GROWING + 1);
    assert_eq!(Answering::of(held).expect("an answer").status, 200);
    let more = transport::segments(1);
    assert_eq!(station.put("sport/s4.ts", &more[0]).status, 200);
    assert!(stream.chunk().expect("it goes on").is_some());
}

/// Whoever is shut out by hand: by the token, by the session, by the address.
#[test]
fn what_is_watched_ends_when_an_operator_says_so() {
    let station = station();
    let config = station.config();
    let mint = |name: &str| {
        done(&config, &["subscriber", "add", name, "--plan", "gold"]);
        done(&config, &["token", "mint", "--subscriber", name]).trim_end().to_owned()
    };
    let (anna, other) = (mint("Anna"), mint("Olga"));
    let watching = Watching::begin(&station, &anna, 1);
    done(&config, &["token", "revoke", &anna]);
    watching.ended(Instant::now(), "token-revoked");
    // A token of nobody, by its device.
    let nobody = done(&config, &["token", "mint"]).trim_end().to_owned();
    let watching = Watching::begin(&station, &nobody, 1);
    let sessions = done(&config, &["session", "ls", "--json"]);
    let of_nobody = |line: &str| {
        let session: serde_json::Value = serde_json::from_str(line).unwrap();
        session["subscriber"].is_null().then(|| session["device"].as_str().unwrap().to_owned())
    };
    let device = sessions.lines().find_map(of_nobody).expect("it is listed");
    done(&config, &["token", "revoke", &device]);
    watching.ended(Instant::now(), "token-revoked");
    let cleo = mint("Cleo");
    let watching = Watching::begin(&station, &cleo, 1);
    kick_all(&config, "Cleo");
    watching.ended(Instant::now(), "session-kicked");
    // Nothing of this is anybody else's.
    let watching = Watching::begin(&station, &other, 1);
    done(&config, &["ban", "add", "127.0.0.1"]);
    let banned = Instant::now();
    let (server, segment) = (watching.server, watching.segment.clone());
    let (mut held, took) = watching.broken_off(banned, "banned");
    assert!(!matches!(held.read(&mut [0]), Ok(1..)), "nothing is said");
    let head = format!("GET {segment} HTTP/1.1\r\nHost: tv\r\n");
    for _ in 0..6 * SHARDS {
        assert!(http::try_ask(server, &head, b"").is_err(), "nothing is taken");
    }
    let refused = banned.elapsed();
    assert!(refused <= AT_ONCE, "it ended after {took:?}, refused after {refused:?}");
    done(&config, &["ban", "rm", "127.0.0.1"]);
    until("it is let in again", || {
        http::try_ask(server, &head, b"").is_ok_and(|answer| answer.status == 200)
    });
}

#[test]
fn what_is_watched_ends_with_its_token_and_with_its_key() {
    let station = station();
    let config = station.config();
    let mint = |arguments: &[&str]| {
        let token = done(&config, &[&["token", "mint"], arguments].concat());
        token.trim_end().to_owned()
    };
    let short = done(&config, &["token", "mint", "--for", "3s", "--json"]);
    let short: serde_json::Value = serde_json::from_str(&short).unwrap();
    let long = mint(&[]);
    let watching = Watching::begin(&station, short["token"].as_str().unwrap(), 1);
    let expires = Duration::from_secs(short["expires"].as_u64().unwrap());
    let left = expires.saturating_sub(std::time::UNIX_EPOCH.elapsed().unwrap());
    watching.ended(Instant::now() + left, "token-expired");
    let watching = Watching::begin(&station, &long, 1);
    done(&config, &["key", "rotate"]);
    done(&config, &["key", "rotate", "--force"]);
    watching.ended(Instant::now(), "token-unknown");
    // A restore keeps the keys, and what they signed before is void.
    let watching = Watching::begin(&station, &mint(&[]), 1);
    let copy = station.place.path("copy.db");
    done(&config, &["backup", copy.to_str().unwrap()]);
    done(&config, &["restore", copy.to_str().unwrap()]);
    watching.ended(Instant::now(), "token-unknown");
}
