//! How many places a subscriber watches at: devices that come, race, zap and move, on every shard.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Barrier;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::running::{PATIENCE, Place, Running, done, serve, until, verb};

/// More than fits between a server and a client that reads slowly.
const FILM_SIZE: u64 = 64 << 20;

const SHARDS: usize = 8;

/// Films through which somebody zaps.
const ZAPS: usize = 20;

/// A server with two films that take a token, for subscribers who have one place or two.
fn started() -> (Place, PathBuf, Running) {
    let place = Place::new();
    for film in ["films/a", "films/b"] {
        let folder = place.path(film);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("1.ts"), vec![7; 1000]).unwrap();
        File::create(folder.join("long.ts")).unwrap().set_len(FILM_SIZE).unwrap();
    }
    for number in 0..ZAPS {
        let folder = place.path(&format!("films/zap/{number}"));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("1.ts"), "7").unwrap();
    }
    let config = place.config("[[library]]\npath = \"films\"\naccess = \"token\"\n");
    let more = std::fs::read_to_string(&config).unwrap();
    let more = more.replace("shards = 1\n", &format!("shards = {SHARDS}\n"));
    std::fs::write(&config, more).unwrap();
    let server = Running::start(&mut serve(&config));
    let bouquet = ["bouquet", "add", "films", "--name", "Films"];
    done(
        &config,
        &[&bouquet[..], &["--content", "vod/a", "--content", "vod/b", "--content", "vod/zap"]]
            .concat(),
    );
    for (plan, sessions) in [("one", "1"), ("two", "2")] {
        let add = ["plan", "add", plan, "--name", plan, "--bouquet", "films"];
        done(&config, &[&add[..], &["--sessions", sessions]].concat());
    }
    (place, config, server)
}

fn token(config: &Path, subscriber: &str) -> String {
    done(config, &["token", "mint", "--subscriber", subscriber]).trim_end().to_owned()
}

/// The admin API, on one connection to its socket.
struct Api(UnixStream);

impl Api {
    fn new(place: &Place) -> Self {
        Self(UnixStream::connect(place.path("state/admin.sock")).unwrap())
    }

    fn post(&mut self, kind: &str, body: &Value) -> Value {
        let (body, stream) = (body.to_string(), &mut self.0);
        let size = body.len();
        write!(
            stream,
            "POST /api/v1/{kind} HTTP/1.1\r\nHost: admin\r\nContent-Type: application/json\r\n\
             Content-Length: {size}\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = BufReader::new(stream);
        let (mut line, mut size) = (String::new(), 0);
        while line != "\r\n" {
            line.clear();
            assert_ne!(answer.read_line(&mut line).unwrap(), 0, "it is answered");
            if let Some(length) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
                size = length.trim_end().parse().unwrap();
            }
        }
        let mut body = vec![0; size];
        answer.read_exact(&mut body).unwrap();
        serde_json::from_slice(&body).unwrap()
    }
}

/// A client at this address of 127.0.0.0/8.
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

fn ask(stream: &mut TcpStream, token: &str, path: &str, agent: &str) {
    let head = format!("GET /s/{token}/vod/{path} HTTP/1.1\r\nHost: tv\r\nUser-Agent: {agent}\r\n");
    write!(stream, "{head}Connection: close\r\n\r\n").unwrap();
}

/// Status and reason of the answer.
fn outcome(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let head = String::from_utf8_lossy(&answer[..answer.len().min(1000)]).into_owned();
    let status = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let reason = head.lines().find_map(|line| line.strip_prefix("X-Shardcast-Reason: "));
    format!("{status} {}", reason.unwrap_or_default()).trim_end().to_owned()
}

fn fetch(server: &Running, token: &str, path: &str, agent: &str) -> String {
    let mut stream = connected(server.public, 1);
    ask(&mut stream, token, path, agent);
    outcome(&mut stream)
}

/// Waits until all shards know a subscriber: what its plan does not hold takes no place.
fn await_known(server: &Running, token: &str) {
    let is_known = |_| fetch(server, token, "c/1.ts", "TV") == "403 not-entitled";
    until("every shard knows the subscriber", || (0..6 * SHARDS).all(is_known));
}

/// The sessions that are listed: content, player and id.
fn listed(config: &Path, more: &[&str]) -> Vec<(String, String, String)> {
    let all = done(config, &[&["session", "ls", "--json"], more].concat());
    let session = |line: &str| {
        let session: serde_json::Value = serde_json::from_str(line).unwrap();
        let word = |name: &str| session[name].as_str().unwrap_or_default().to_owned();
        (word("content"), word("agent"), word("id"))
    };
    all.lines().map(session).collect()
}

#[test]
fn a_second_device_is_refused_and_a_kick_makes_room() {
    let (_place, config, server) = started();
    done(&config, &["subscriber", "add", "Anna", "--plan", "one"]);
    let (tv, phone) = (token(&config, "Anna"), token(&config, "Anna"));
    await_known(&server, &tv);
    assert_eq!(fetch(&server, &tv, "a/1.ts", "TV"), "200");
    for _ in 0..2 * SHARDS {
        assert_eq!(fetch(&server, &phone, "a/1.ts", "VLC"), "403 session-limit");
        assert_eq!(fetch(&server, &tv, "a/1.ts", "TV"), "200");
        // Another film on the same device is zapping.
        assert_eq!(fetch(&server, &tv, "b/1.ts", "TV"), "200");
    }
    // A film that is being sent, and taken slowly.
    let mut film = connected(server.public, 1);
    ask(&mut film, &tv, "a/long.ts", "TV");
    film.read_exact(&mut [0; 1000]).unwrap();
    let sessions = listed(&config, &["--subscriber", "Anna"]);
    let contents: BTreeSet<_> =
        sessions.iter().map(|(content, agent, _)| (&**content, &**agent)).collect();
    assert_eq!(contents, BTreeSet::from([("vod/a", "TV"), ("vod/b", "TV")]));
    let (_, _, id) = sessions.iter().find(|(content, ..)| content == "vod/a").unwrap();
    done(&config, &["session", "kick", id]);
    let kicked = Instant::now();
    let mut rest = Vec::new();
    let size = film.read_to_end(&mut rest).unwrap_or(rest.len());
    assert!((size as u64) < FILM_SIZE, "it is broken off: {size}");
    println!("a film ended {} ms after the kick", kicked.elapsed().as_millis());
    for _ in 0..2 * SHARDS {
        assert_eq!(fetch(&server, &tv, "a/1.ts", "TV"), "403 session-kicked");
        assert_eq!(fetch(&server, &tv, "b/1.ts", "TV"), "200");
    }
    let missing = verb(&config, &["session", "kick", id]);
    assert!(missing.err.contains("no session has this id"), "{}", missing.err);
    let past = listed(&config, &["--past"]);
    assert!(past.iter().any(|(content, ..)| content == "vod/a"), "{past:?}");
    let metrics = server.admin_get("/metrics");
    assert!(metrics.contains("\nshardcast_sessions 1\n"), "{metrics}");
    let reasons = ["session-limit", "session-kicked"];
    for reason in reasons {
        let line = format!("shardcast_refusals_total{{reason=\"{reason}\"}} ");
        assert!(metrics.contains(&line), "{reason}");
    }
    // Why is on record for the help desk.
    let explained = done(&config, &["subscriber", "explain", "Anna", "--json"]);
    assert!(reasons.iter().all(|reason| explained.contains(reason)), "{explained}");
}

#[test]
fn one_device_zaps_and_opens_again_and_is_at_many_places_only_if_all_go_on() {
    let (_place, config, server) = started();
    done(&config, &["subscriber", "add", "Anna", "--plan", "one"]);
    let tv = token(&config, "Anna");
    await_known(&server, &tv);
    let zapped = |number: usize| fetch(&server, &tv, &format!("zap/{number}/1.ts"), "TV");
    for number in 0..ZAPS {
        assert_eq!(zapped(number), "200", "{number}");
    }
    for again in 0..6 {
        assert_eq!(zapped(ZAPS - 1), "200", "{again}");
    }
    // One token that goes on with all of them is at as many places, of which one is left.
    until("all but one are refused", || {
        let outcomes: Vec<_> = (0..ZAPS).map(zapped).collect();
        let others = outcomes.iter().filter(|of| *of != "200");
        let refused = others.inspect(|of| assert_eq!(*of, "403 session-limit")).count();
        refused == ZAPS - 1
    });
}

#[test]
fn devices_that_race_over_all_shards_never_get_more_than_there_may_be() {
    let is_full = std::env::var_os("SHARDCAST_FULL").is_some();
    let (devices, rounds) = if is_full { (500, 1000) } else { (60, 6) };
    let (place, _config, server) = started();
    for round in 0..rounds {
        // No connection to the socket lasts for ever.
        let mut api = Api::new(&place);
        let (plan, places) = if round % 2 == 0 { ("one", 1) } else { ("two", 2) };
        let name = format!("S{round}");
        api.post("subscribers", &json!({ "id": name, "plan": plan }));
        let mint = json!({ "subscriber": name });
        let mut minted = || api.post("tokens", &mint)["token"].as_str().unwrap().to_owned();
        let tokens: Vec<_> = (0..devices).map(|_| minted()).collect();
        await_known(&server, &tokens[0]);
        let start = Barrier::new(devices);
        let outcomes: Vec<String> = std::thread::scope(|scope| {
            let racing = tokens.iter().map(|token| {
                let (start, public) = (&start, server.public);
                scope.spawn(move || {
                    let mut stream = connected(public, 1);
                    start.wait();
                    ask(&mut stream, token, "a/1.ts", "TV");
                    outcome(&mut stream)
                })
            });
            let racing: Vec<_> = racing.collect();
            racing.into_iter().map(|racing| racing.join().unwrap()).collect()
        });
        let let_in = outcomes.iter().filter(|outcome| *outcome == "200").count();
        assert_eq!(let_in, places, "round {round}: {outcomes:?}");
        let refused = outcomes.iter().filter(|outcome| *outcome == "403 session-limit").count();
        assert_eq!(refused, devices - places, "round {round}: {outcomes:?}");
        if is_full && round % 50 == 49 {
            println!("{} rounds of {devices}", round + 1);
        }
    }
}

/// One thread of the server, held for so long by whoever traces it.
pub struct Held {
    strace: Child,
}

impl Held {
    /// Whether it was let go by itself.
    pub fn is_over(&mut self) -> bool {
        self.strace.try_wait().unwrap().is_some()
    }

    /// The thread stands still when this returns: at its next call of the kernel.
    pub fn thread(server: &Running, name: &str, seconds: u64) -> Self {
        let of = |path: std::path::PathBuf| std::fs::read_to_string(path).unwrap_or_default();
        let tasks = std::fs::read_dir(format!("/proc/{}/task", server.id())).unwrap();
        let task = tasks
            .map(|task| task.unwrap().path())
            .find(|task| of(task.join("comm")).trim_end() == name)
            .expect("there is such a thread");
        let mut strace = Command::new("strace");
        strace.args(["-o", "/dev/null", "-p", task.file_name().unwrap().to_str().unwrap()]);
        strace.args(["-e", &format!("inject=all:delay_enter={seconds}s")]);
        let strace = strace.stderr(Stdio::null()).spawn().expect("there is strace");
        let held = Self { strace };
        until("the thread stands still", || of(task.join("status")).contains("State:\tt"));
        held
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.strace.kill();
        let _ = self.strace.wait();
    }
}

/// What shards do alone: who watches goes on, and who has paid may begin. What is decided when
/// control is there again is what it would have decided before.
#[test]
fn while_control_stands_still_viewers_go_on_and_new_ones_are_let_in() {
    let seconds = if std::env::var_os("SHARDCAST_FULL").is_some() { 60 } else { 6 };
    let (place, config, server) = started();
    let mut api = Api::new(&place);
    let mut tokens = |name: &str| {
        api.post("subscribers", &json!({ "id": name, "plan": "one" }));
        let mint = json!({ "subscriber": name });
        [0; 2].map(|_| api.post("tokens", &mint)["token"].as_str().unwrap().to_owned())
    };
    let ([anna, other], [berta, _]) = (tokens("Anna"), tokens("Berta"));
    await_known(&server, &anna);
    await_known(&server, &berta);
    assert_eq!(fetch(&server, &anna, "a/1.ts", "TV"), "200");
    assert_eq!(fetch(&server, &other, "a/1.ts", "VLC"), "403 session-limit");
    let mut film = connected(server.public, 1);
    ask(&mut film, &anna, "a/long.ts", "TV");
    film.read_exact(&mut [0; 1000]).unwrap();

    let mut held = Held::thread(&server, "control", seconds + 5);
    let began = Instant::now();
    let mut longest = Duration::ZERO;
    // Control is asked about Berta's first request, in vain, and it goes on after a second. So does
    // the first one of a session at each shard where it was not yet: these are new connections.
    assert_eq!(fetch(&server, &berta, "b/1.ts", "TV"), "200");
    let asked = began.elapsed();
    while began.elapsed() < Duration::from_secs(seconds) {
        let sent = Instant::now();
        for token in [&anna, &berta] {
            let path = if *token == anna { "a/1.ts" } else { "b/1.ts" };
            assert_eq!(fetch(&server, token, path, "TV"), "200");
        }
        longest = longest.max(sent.elapsed());
        // Twice what a client must take at least.
        film.read_exact(&mut [0; 4 << 10]).unwrap();
        std::thread::sleep(Duration::from_millis(50));
    }
    // The second device was refused a moment ago, and shards ask again now: whoever has paid.
    until("who has paid is let in", || fetch(&server, &other, "a/1.ts", "VLC") == "200");
    assert!(!held.is_over(), "control stood still all the time");
    println!("{seconds} s: two requests took {longest:?} at most, the first of one {asked:?}");
    drop(held);
    until("control counts again", || {
        fetch(&server, &other, "a/1.ts", "VLC") == "403 session-limit"
    });
    assert_eq!(fetch(&server, &anna, "a/1.ts", "TV"), "200");
    let contents: BTreeSet<_> =
        listed(&config, &[]).into_iter().map(|(content, agent, _)| (content, agent)).collect();
    let expected = [("vod/a", "TV"), ("vod/b", "TV")];
    assert_eq!(contents, expected.map(|(a, b)| (a.to_owned(), b.to_owned())).into());
}

#[test]
fn one_token_at_many_addresses_is_seen_and_one_that_moves_is_not_refused() {
    let (_place, config, server) = started();
    done(&config, &["subscriber", "add", "Anna", "--plan", "one"]);
    let shared = token(&config, "Anna");
    let at = |last: u8| {
        let mut stream = connected(server.public, last);
        ask(&mut stream, &shared, "a/1.ts", "TV");
        outcome(&mut stream)
    };
    await_known(&server, &shared);
    assert_eq!(at(1), "200");
    assert_eq!(at(2), "200", "from the Wi-Fi to the street");
    let let_in = (3..=20).filter(|last| at(*last) == "200").count();
    assert_eq!(let_in, 0, "nobody moves to so many places at once");
    // Both go on: soon one of them is one too many, and it is the newer one.
    until("the second is refused", || {
        assert_eq!(at(1), "200");
        std::thread::sleep(Duration::from_millis(100));
        at(2) == "403 session-limit"
    });
    assert_eq!(at(1), "200");
    // It is an event, once, however often it is seen; and is listed.
    let event = server.says("one token is used in several networks at once");
    assert_eq!((&event["target"], &event["event"]), (&"security".into(), &"token-shared".into()));
    let listed = done(&config, &["session", "sharing", "--json"]);
    let signal: Value = serde_json::from_str(listed.trim_end()).expect("one line");
    assert_eq!(signal["subscriber"], "Anna");
    assert!(signal["times"].as_u64() >= Some(1) && signal["first"].is_u64(), "{signal}");
    let both = [&signal["from"], &signal["elsewhere"]];
    assert!(both.iter().all(|from| from.as_str().unwrap().starts_with("127.0.0.")), "{signal}");
    assert!(server.admin_get("/metrics").contains("\nshardcast_sharing_total "));
}

#[test]
fn sessions_keys_and_events_are_shown_one_by_one() {
    let (_place, config, server) = started();
    done(&config, &["subscriber", "add", "Anna", "--plan", "one"]);
    let tv = token(&config, "Anna");
    await_known(&server, &tv);
    assert_eq!(fetch(&server, &tv, "a/1.ts", "TV"), "200");
    let (_, _, id) = listed(&config, &["--subscriber", "Anna"]).remove(0);
    let json = |arguments: &[&str]| -> Value {
        let said = done(&config, &[arguments, &["--json"]].concat());
        serde_json::from_str(&said).expect("one document")
    };
    let session = json(&["session", "show", &id]);
    assert_eq!((&session["id"], &session["subscriber"]), (&id.as_str().into(), &"Anna".into()));
    assert!(done(&config, &["session", "show", &id]).contains("vod/a"));
    done(&config, &["session", "kick", &id]);
    assert!(verb(&config, &["session", "show", &id]).err.contains("no session has this id"));

    assert_eq!(json(&["key", "show", "1"])["state"], "current");
    assert!(verb(&config, &["key", "show", "77"]).err.contains("no live key has this number"));

    done(&config, &["ban", "add", "203.0.113.0/24", "--reason", "tests"]);
    let newest = || {
        let all = done(&config, &["event", "ls", "--json"]);
        all.lines().next().map(|line| serde_json::from_str::<Value>(line).unwrap())
    };
    until("the ban is an event", || newest().is_some_and(|of| of["event"] == "banned"));
    let event = newest().expect("it is there");
    assert_eq!(event["details"]["network"], "203.0.113.0/24");
    assert_eq!(json(&["event", "show", &event["id"].to_string()]), event);
    assert!(done(&config, &["event", "ls"]).contains("network=203.0.113.0/24"));
    let missing = verb(&config, &["event", "show", "4711"]);
    assert!(missing.err.contains("no event that is kept has this number"), "{}", missing.err);
}
