//! An operator's back end that allows, refuses, hangs, is slow, talks garbage or is down; and what
//! viewers notice of it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Condvar, Mutex};
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};

use super::running::{PATIENCE, Place, Running, done, serve, until, verb};
use super::sessions::Held;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// Time enough for an answer on a machine that has much to do.
const PATIENT: &str = "deadline = \"5s\"\n";

/// How a back end behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Allows,
    Refuses,
    /// It takes questions and says nothing.
    Hangs,
    /// It answers after so many milliseconds.
    Slow(u64),
    /// It says this.
    Says(&'static str),
}

/// What a back end has seen.
#[derive(Default)]
struct Seen {
    questions: Mutex<Vec<(Vec<String>, Value)>>,
    connections: AtomicUsize,
    /// Questions that it has not answered yet, and the most at once.
    now: AtomicUsize,
    most: AtomicUsize,
}

/// A real HTTP server, a thread a connection.
struct BackEnd {
    address: SocketAddr,
    mood: Arc<Mutex<Mood>>,
    seen: Arc<Seen>,
    /// Whoever is slow waits here, until the test is over.
    over: Arc<(Mutex<bool>, Condvar)>,
    is_gone: Arc<AtomicBool>,
}

impl BackEnd {
    fn new(mood: Mood) -> Self {
        Self::of(TcpListener::bind("127.0.0.1:0").unwrap(), mood)
    }

    fn of(listener: TcpListener, mood: Mood) -> Self {
        let back_end = Self {
            address: listener.local_addr().unwrap(),
            mood: Arc::new(Mutex::new(mood)),
            seen: Arc::default(),
            over: Arc::default(),
            is_gone: Arc::default(),
        };
        let (mood, seen) = (Arc::clone(&back_end.mood), Arc::clone(&back_end.seen));
        let (over, is_gone) = (Arc::clone(&back_end.over), Arc::clone(&back_end.is_gone));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if is_gone.load(Ordering::Relaxed) {
                    return;
                }
                seen.connections.fetch_add(1, Ordering::Relaxed);
                let (mood, seen, over) = (Arc::clone(&mood), Arc::clone(&seen), Arc::clone(&over));
                std::thread::spawn(move || while answer(&stream, &mood, &seen, &over).is_some() {});
            }
        });
        back_end
    }

    fn become_mood(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn questions(&self) -> Vec<(Vec<String>, Value)> {
        self.seen.questions.lock().unwrap().clone()
    }

    fn count(&self) -> usize {
        self.seen.questions.lock().unwrap().len()
    }
}

impl Drop for BackEnd {
    fn drop(&mut self) {
        *self.over.0.lock().unwrap() = true;
        self.over.1.notify_all();
        self.is_gone.store(true, Ordering::Relaxed);
        // The listener is let go with the next client.
        let _ = TcpStream::connect(self.address);
    }
}

/// Answers one question; none if the connection is over.
fn answer(
    mut stream: &TcpStream,
    mood: &Mutex<Mood>,
    seen: &Seen,
    over: &(Mutex<bool>, Condvar),
) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let (mut head, mut size) = (Vec::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(length) = line.strip_prefix("content-length: ") {
            size = length.parse().ok()?;
        }
        head.push(line);
    }
    let mut body = vec![0; size];
    reader.read_exact(&mut body).ok()?;
    signed(&head, &body);
    seen.most.fetch_max(1 + seen.now.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
    seen.questions.lock().unwrap().push((head, serde_json::from_slice(&body).unwrap()));
    let mood = *mood.lock().unwrap();
    let wait = |ms| {
        let is_over = over.0.lock().unwrap();
        drop(over.1.wait_timeout_while(is_over, Duration::from_millis(ms), |over| !*over));
    };
    let says = match mood {
        Mood::Allows => r#"{"allow":true}"#,
        Mood::Refuses => r#"{"allow":false,"reason":"invoice 7 is unpaid"}"#,
        Mood::Hangs => {
            wait(600_000);
            return None;
        }
        Mood::Slow(ms) => {
            wait(ms);
            r#"{"allow":true}"#
        }
        Mood::Says(whole) if whole.starts_with("HTTP") => {
            seen.now.fetch_sub(1, Ordering::Relaxed);
            stream.write_all(whole.as_bytes()).ok()?;
            return None;
        }
        Mood::Says(body) => body,
    };
    seen.now.fetch_sub(1, Ordering::Relaxed);
    let size = says.len();
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n{says}").ok()
}

/// As docs/hook.md tells a back end to look.
#[track_caller]
fn signed(head: &[String], body: &[u8]) {
    let field = |name: &str| head.iter().find_map(|line| line.strip_prefix(name)).unwrap();
    let at = field("x-shardcast-timestamp: ");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    assert!(now.as_secs().abs_diff(at.parse().unwrap()) < 300, "{head:?}");
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(&[at.as_bytes(), b".", body].concat());
    let hash = mac.finalize().into_bytes();
    let expected: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(field("x-shardcast-signature: "), format!("v1={expected}"));
}

/// A server with films that take a token, which asks this back end.
struct Asking {
    place: Place,
    config: PathBuf,
    server: Running,
}

impl Asking {
    fn new(back_end: SocketAddr, more: &str) -> Self {
        let place = Place::new();
        for film in ["films/a", "films/b"] {
            let folder = place.path(film);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("1.ts"), vec![7; 1000]).unwrap();
        }
        std::fs::write(place.path("secret"), format!("{SECRET}\n")).unwrap();
        let films = "[[library]]\npath = \"films\"\naccess = \"token\"\n";
        let hook =
            format!("[hook]\nurl = \"http://{back_end}/shardcast\"\nsecret_file = \"secret\"\n");
        let config = place.config(&format!("{films}{hook}{more}"));
        let server = Running::start(&mut serve(&config));
        let content = ["--content", "vod/a", "--content", "vod/b"];
        done(&config, &[&["bouquet", "add", "films", "--name", "Films"], &content[..]].concat());
        for (plan, sessions) in [("all", "0"), ("one", "1")] {
            let add = ["plan", "add", plan, "--name", plan, "--bouquet", "films"];
            done(&config, &[&add[..], &["--sessions", sessions]].concat());
        }
        let asking = Self { place, config, server };
        asking.subscriber("Anna", "all");
        asking
    }

    fn subscriber(&self, id: &str, plan: &str) -> String {
        let external = format!("crm-{id}");
        let add = ["subscriber", "add", id, "--plan", plan, "--external-id", &external];
        done(&self.config, &add);
        let token = self.token(id);
        // What no plan holds begins no session.
        let known = || self.fetch(&token, "c/1.ts", "TV") == "403 not-entitled";
        until("the shard knows the subscriber", known);
        token
    }

    fn token(&self, id: &str) -> String {
        done(&self.config, &["token", "mint", "--subscriber", id]).trim_end().to_owned()
    }

    fn fetch(&self, token: &str, path: &str, agent: &str) -> String {
        fetch(self.server.public, token, path, agent)
    }

    fn explained(&self, more: &[&str]) -> Value {
        let explain = ["subscriber", "explain", "Anna", "--json"];
        serde_json::from_str(&done(&self.config, &[&explain[..], more].concat())).unwrap()
    }

    fn metric(&self, line: &str) -> u64 {
        let metrics = self.server.admin_get("/metrics");
        let found = metrics.lines().find_map(|of| of.strip_prefix(line));
        found.map_or(0, |count| count.trim().parse().unwrap())
    }

    fn outcomes(&self, outcome: &str) -> u64 {
        let labels = format!("{{event=\"session\",outcome=\"{outcome}\"}}");
        self.metric(&format!("shardcast_hook_questions_total{labels}"))
    }
}

fn fetch(public: SocketAddr, token: &str, path: &str, agent: &str) -> String {
    let mut stream = TcpStream::connect(public).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!("GET /s/{token}/vod/{path} HTTP/1.1\r\nHost: tv\r\nUser-Agent: {agent}\r\n");
    write!(stream, "{head}Connection: close\r\n\r\n").unwrap();
    outcome(&mut stream)
}

/// Status and reason of the answer that ends a connection.
fn outcome(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let head = String::from_utf8_lossy(&answer);
    let status = head.split(' ').nth(1).unwrap_or_default();
    let reason = head.lines().find_map(|line| line.strip_prefix("X-Shardcast-Reason: "));
    format!("{status} {}", reason.unwrap_or_default()).trim_end().to_owned()
}

fn check<'e>(explained: &'e Value, name: &str) -> &'e Value {
    let checks = explained["checks"].as_array().unwrap();
    checks.iter().find(|check| check["check"] == name).unwrap_or(&Value::Null)
}

#[test]
fn whoever_begins_is_asked_about_once_and_refused_with_a_reason_of_its_own() {
    let back_end = BackEnd::new(Mood::Allows);
    let asking = Asking::new(back_end.address, PATIENT);
    let (tv, phone) = (asking.token("Anna"), asking.token("Anna"));
    // Also where nothing limits sessions.
    assert_eq!(asking.fetch(&tv, "a/1.ts", "TV"), "200");
    for _ in 0..5 {
        assert_eq!(asking.fetch(&tv, "a/1.ts", "TV"), "200");
    }
    let questions = back_end.questions();
    assert_eq!(questions.len(), 1, "{questions:?}");
    let (head, body) = &questions[0];
    assert!(head[0].starts_with("post /shardcast http/1.1"), "{head:?}");
    assert_eq!(body["device"].as_str().map(str::len), Some(16));
    let mut expected = json!({
        "version": 1, "event": "session", "subscriber": "Anna", "external_id": "crm-Anna",
        "content": "vod/a", "address": "127.0.0.1", "country": null, "asn": null, "agent": "TV",
    });
    expected["device"] = body["device"].clone();
    assert_eq!(*body, expected);
    assert!(!format!("{head:?}{body}").contains(&tv), "nothing secret is said");
    assert_eq!(check(&asking.explained(&[]), "hook")["passes"], true);
    // Another content, and another device.
    back_end.become_mood(Mood::Refuses);
    assert_eq!(asking.fetch(&tv, "b/1.ts", "TV"), "403 hook-refused");
    assert_eq!(asking.fetch(&phone, "a/1.ts", "VLC"), "403 hook-refused");
    assert_eq!(asking.fetch(&phone, "a/1.ts", "VLC"), "403 hook-refused");
    assert_eq!(asking.fetch(&tv, "a/1.ts", "TV"), "200", "who watches is not asked about");
    let questions = back_end.questions();
    assert_eq!(questions.len(), 3, "a no is remembered, too: {questions:?}");
    assert_ne!(questions[1].1["device"], questions[2].1["device"]);
    assert_eq!(back_end.seen.connections.load(Ordering::Relaxed), 1, "one connection is enough");
    let explained = asking.explained(&["--content", "vod/a"]);
    assert_eq!(
        (&explained["reason"], &explained["deciding"]),
        (&json!("hook-refused"), &json!("hook"))
    );
    let says = check(&explained, "hook")["says"].as_str().unwrap();
    assert!(says.contains("session vod/a from 127.0.0.1: refused (invoice 7 is unpaid)"), "{says}");
    assert!(explained["refusals"].to_string().contains("hook-refused"), "{explained}");
    assert_eq!(asking.metric("shardcast_refusals_total{reason=\"hook-refused\"}"), 3);
    assert_eq!((asking.outcomes("allowed"), asking.outcomes("refused")), (1, 2));
}

#[test]
fn answers_are_good_for_as_long_as_they_say() {
    let back_end = BackEnd::new(Mood::Says(r#"{"allow":false,"ttl":0}"#));
    let asking = Asking::new(back_end.address, &format!("{PATIENT}cache_refused = \"1h\"\n"));
    let token = asking.token("Anna");
    assert_eq!(asking.fetch(&token, "a/1.ts", "TV"), "403 hook-refused");
    // It is refused for a moment all the same, and then asked about anew.
    back_end.become_mood(Mood::Allows);
    until("it is asked again", || asking.fetch(&token, "a/1.ts", "TV") == "200");
    assert_eq!(back_end.count(), 2);
    back_end.become_mood(Mood::Refuses);
    assert_eq!(asking.fetch(&token, "b/1.ts", "TV"), "403 hook-refused");
    assert_eq!(asking.fetch(&token, "b/1.ts", "TV"), "403 hook-refused");
    assert_eq!(back_end.count(), 3);
}

/// What becomes of a new session, and that one that runs goes on, whatever the back end does.
#[test]
fn a_back_end_that_fails_costs_its_deadline_and_nobody_who_watches() {
    let redirect =
        "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
    let failing = "HTTP/1.1 503 No\r\nContent-Length: 14\r\n\r\n{\"allow\":true}";
    for (on_failure, expected) in [("allow", "200"), ("refuse", "503 hook-failed")] {
        let back_end = BackEnd::new(Mood::Allows);
        let more = format!("on_failure = \"{on_failure}\"\ndeadline = \"300ms\"\n");
        let asking = Asking::new(back_end.address, &more);
        let running = asking.token("Anna");
        until("it is let in", || asking.fetch(&running, "a/1.ts", "TV") == "200");
        for (at, mood) in [
            Mood::Hangs,
            Mood::Says("<html>"),
            Mood::Slow(2_000),
            Mood::Says(redirect),
            Mood::Says(failing),
            Mood::Says("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"allow\":true}"),
        ]
        .into_iter()
        .enumerate()
        {
            back_end.become_mood(mood);
            let token = asking.token("Anna");
            let public = asking.server.public;
            let begins = std::thread::spawn(move || {
                let began = Instant::now();
                (fetch(public, &token, "a/1.ts", "VLC"), began.elapsed())
            });
            // Segments go on all the while.
            let mut longest = Duration::ZERO;
            while !begins.is_finished() {
                let sent = Instant::now();
                assert_eq!(asking.fetch(&running, "a/1.ts", "TV"), "200", "{mood:?}");
                longest = longest.max(sent.elapsed());
            }
            let (outcome, took) = begins.join().unwrap();
            assert_eq!(outcome, expected, "{mood:?}");
            assert!(took < Duration::from_secs(5), "{mood:?} {took:?}");
            println!("{on_failure} {mood:?}: begins after {took:?}, segments within {longest:?}");
            // One that answers between keeps it from being left alone.
            back_end.become_mood(Mood::Allows);
            let between = asking.token("Anna");
            let agent = format!("TV {at}");
            until("it is let in", || asking.fetch(&between, "a/1.ts", &agent) == "200");
        }
        assert_eq!(asking.metric("shardcast_hook_left_alone"), 0);
        let explained = asking.explained(&[]);
        assert_eq!(check(&explained, "hook")["passes"], true, "{explained}");
        assert!(asking.outcomes("timed-out") >= 2 && asking.outcomes("garbage") >= 3);
        if on_failure == "refuse" {
            assert!(asking.metric("shardcast_refusals_total{reason=\"hook-failed\"}") >= 6);
        }
    }
}

#[test]
fn a_back_end_that_is_down_is_left_alone_and_asked_again_when_it_is_there() {
    use socket2::{Domain, Socket, Type};

    // A port that is taken, and where nobody listens.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let asking = Asking::new(address, "on_failure = \"refuse\"\n");
    let tokens: Vec<_> = (0..8).map(|_| asking.token("Anna")).collect();
    let began = Instant::now();
    for token in &tokens {
        assert_eq!(asking.fetch(token, "a/1.ts", "TV"), "503 hook-failed");
    }
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert_eq!(asking.metric("shardcast_hook_left_alone"), 1);
    assert!(asking.outcomes("left-alone") >= 1 && asking.outcomes("unreachable") >= 1);
    let line = asking.server.says("is left alone");
    assert_eq!(line["level"], "ERROR", "{line}");
    let explained = asking.explained(&[]);
    assert_eq!(explained["reason"], "hook-failed", "{explained}");
    socket.listen(128).unwrap();
    let back_end = BackEnd::of(TcpListener::from(socket), Mood::Allows);
    until("a probe finds it", || asking.fetch(&tokens[0], "a/1.ts", "TV") == "200");
    assert_eq!(asking.metric("shardcast_hook_left_alone"), 0);
    asking.server.says("answers again");
    assert!(back_end.count() >= 1);
}

/// A shard alone: who watches goes on, and who begins is refused, as the operator chose.
#[test]
fn what_is_closed_stays_closed_while_control_stands_still() {
    let back_end = BackEnd::new(Mood::Allows);
    let asking = Asking::new(back_end.address, "on_failure = \"refuse\"\ndeadline = \"2s\"\n");
    let (running, other) = (asking.token("Anna"), asking.token("Anna"));
    assert_eq!(asking.fetch(&running, "a/1.ts", "TV"), "200");
    let mut held = Held::thread(&asking.server, "control", 20);
    assert_eq!(asking.fetch(&other, "a/1.ts", "VLC"), "503 hook-failed");
    assert_eq!(asking.fetch(&running, "a/1.ts", "TV"), "200");
    assert!(!held.is_over(), "control stood still all the time");
    drop(held);
    until("control asks again", || asking.fetch(&other, "a/1.ts", "VLC") == "200");
}

/// Tokens of many, who have eight devices each at most.
fn tokens(asking: &Asking, starts: usize) -> Vec<String> {
    let mut tokens = Vec::new();
    for number in 0..starts.div_ceil(8) {
        let id = format!("S{number}");
        asking.post("subscribers", &json!({ "id": id, "plan": "all" }));
        let mint = json!({ "subscriber": id });
        let minted = || asking.post("tokens", &mint)["token"].as_str().unwrap().to_owned();
        tokens.extend((0..8).map(|_| minted()));
    }
    let last = tokens.last().unwrap();
    let known = || asking.fetch(last, "c/1.ts", "TV") == "403 not-entitled";
    until("the shard knows all of them", known);
    tokens.truncate(starts);
    tokens
}

/// What becomes of all that begin at once.
fn begun(asking: &Asking, tokens: &[String], path: &str) -> Vec<String> {
    let (public, start) = (asking.server.public, Barrier::new(tokens.len()));
    std::thread::scope(|scope| {
        let begin = |token: &String| {
            let (token, start) = (token.clone(), &start);
            scope.spawn(move || {
                start.wait();
                fetch(public, &token, path, "TV")
            })
        };
        let all: Vec<_> = tokens.iter().map(begin).collect();
        all.into_iter().map(|begun| begun.join().unwrap()).collect()
    })
}

#[test]
fn two_hundred_who_begin_at_once_are_put_to_it_four_at_a_time() {
    const STARTS: usize = 200;
    let back_end = BackEnd::new(Mood::Slow(10));
    let more = "concurrent_max = 4\ndeadline = \"5s\"\non_failure = \"refuse\"\n";
    let asking = Asking::new(back_end.address, more);
    let tokens = tokens(&asking, STARTS);
    let outcomes = begun(&asking, &tokens, "a/1.ts");
    assert!(outcomes.iter().all(|outcome| outcome == "200"), "{outcomes:?}");
    assert_eq!(back_end.count(), STARTS);
    let most = back_end.seen.most.load(Ordering::Relaxed);
    assert!((2..=4).contains(&most), "{most} at once");
    let connections = back_end.seen.connections.load(Ordering::Relaxed);
    assert!(connections <= 8, "connections are used again: {connections}");
    // With a deadline that is too short for all of them the others are decided without it, in time.
    let config = std::fs::read_to_string(&asking.config).unwrap();
    let config = config.replace("deadline = \"5s\"", "deadline = \"100ms\"");
    std::fs::write(&asking.config, config).unwrap();
    asking.server.signal("HUP");
    asking.server.says("a back end is asked");
    let began = Instant::now();
    let outcomes = begun(&asking, &tokens, "b/1.ts");
    println!("200 starts at a deadline of 100 ms: {:?}", began.elapsed());
    let count = |what: &str| outcomes.iter().filter(|outcome| *outcome == what).count();
    assert_eq!(count("503 hook-failed") + count("200"), STARTS, "{outcomes:?}");
    let no_turn = asking.outcomes("no-turn");
    assert!(count("503 hook-failed") > 0 && no_turn > 0, "{no_turn} had no turn: {outcomes:?}");
    assert_eq!(asking.metric("shardcast_hook_waiting"), 0);
}

#[test]
fn whoever_signs_in_is_asked_about_and_places_are_counted_all_the_same() {
    let back_end = BackEnd::new(Mood::Allows);
    let asking =
        Asking::new(back_end.address, &format!("{PATIENT}events = [\"login\", \"session\"]\n"));
    let (tv, phone) = (asking.subscriber("Bert", "one"), asking.token("Bert"));
    assert_eq!(asking.fetch(&tv, "a/1.ts", "TV"), "200");
    assert_eq!(asking.fetch(&phone, "a/1.ts", "VLC"), "403 session-limit");
    let add = json!({ "name": "app", "password": "correct-horse-7" });
    asking.post("subscribers/Bert/app-passwords", &add);
    let pair = |password: &str| json!({ "user": "Bert", "password": password, "address": "192.0.2.7", "agent": "App" });
    let before = back_end.count();
    let told = asking.post("app-passwords/check", &pair("wrong"));
    assert_eq!((&told["matches"], &told["hook"]), (&json!(false), &Value::Null));
    assert_eq!(back_end.count(), before, "whoever is not known is not asked about");
    let told = asking.post("app-passwords/check", &pair("correct-horse-7"));
    assert_eq!(told["hook"], json!({ "allow": true, "answered": true, "reason": null }));
    let (_, body) = back_end.questions().pop().unwrap();
    let expected = json!({
        "version": 1, "event": "login", "subscriber": "Bert", "external_id": "crm-Bert",
        "content": null, "device": null, "address": "192.0.2.7", "country": null, "asn": null,
        "agent": "App",
    });
    assert_eq!(body, expected);
}

#[test]
fn an_app_that_starts_something_is_asked_about_once_and_never_while_it_watches() {
    let back_end = BackEnd::new(Mood::Allows);
    let asking = Asking::new(back_end.address, &format!("{PATIENT}events = [\"login\"]\n"));
    let add = json!({ "name": "app", "password": "correct-horse-7" });
    asking.post("subscribers/Anna/app-passwords", &add);
    let film = asking.post("assets", &json!({ "id": "a/1.ts", "name": "A" }));
    let path = |password: &str| format!("/movie/Anna/{password}/{}.ts", film["number"]);
    let starts = |password: &str, agent: &str| {
        let mut stream = TcpStream::connect(asking.server.public).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head =
            format!("GET {} HTTP/1.1\r\nHost: tv\r\nUser-Agent: {agent}\r\n", path(password));
        write!(stream, "{head}Connection: close\r\n\r\n").unwrap();
        outcome(&mut stream)
    };
    until("it is let in", || starts("correct-horse-7", "App") == "200");
    let asked = back_end.questions();
    assert_eq!(asked.len(), 1, "{asked:?}");
    let expected = json!({
        "version": 1, "event": "login", "subscriber": "Anna", "external_id": "crm-Anna",
        "content": null, "device": null, "address": "127.0.0.1", "country": null, "asn": null,
        "agent": "App",
    });
    assert_eq!(asked[0].1, expected);
    back_end.become_mood(Mood::Refuses);
    for _ in 0..5 {
        assert_eq!(starts("correct-horse-7", "App"), "200", "who watches goes on");
    }
    assert_eq!(starts("wrong", "App"), "403 password-wrong");
    assert_eq!(back_end.count(), 1, "whoever is not known is not asked about");
    assert_eq!(starts("correct-horse-7", "Other"), "403 hook-refused");
    assert_eq!(back_end.count(), 2);
    assert!(!format!("{:?}", back_end.questions()).contains("horse"), "nothing secret is said");
}

impl Asking {
    fn post(&self, path: &str, body: &Value) -> Value {
        use std::os::unix::net::UnixStream;
        let mut stream = UnixStream::connect(self.place.path("state/admin.sock")).unwrap();
        let (body, head) = (body.to_string(), "Host: admin\r\nConnection: close\r\n");
        let size = body.len();
        write!(
            stream,
            "POST /api/v1/{path} HTTP/1.1\r\n{head}Content-Type: application/json\r\n\
             Content-Length: {size}\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}"))
    }
}

#[test]
fn a_config_without_a_secret_is_named_with_its_line() {
    let place = Place::new();
    let check = |more: &str| -> (i32, String) {
        let config = place.config(more);
        let said = super::running::run(super::running::program().arg("check-config").arg(&config));
        (said.code, said.err)
    };
    let (code, err) = check("[hook]\nurl = \"http://127.0.0.1:1/\"\nsecret_file = \"none\"\n");
    assert!(code == 1 && err.contains("shardcast.toml:11: hook.secret_file: "), "{err}");
    let (code, err) = check("[geo]\ncountry = \"library/a.ts\"\n");
    let expected = "shardcast.toml:10: geo.country: ";
    assert!(code == 1 && err.contains(expected) && err.contains("is no MMDB file"), "{err}");
    // The server says the same, and does not start.
    let config = place.config("[geo]\ncountry = \"library/a.ts\"\n");
    let said = verb(&config, &["serve"]);
    assert!(said.code == 1 && said.err.contains(expected), "{}", said.err);
    let shown = verb(&config, &["print-config"]).out;
    assert!(shown.contains("on_failure = \"allow\"") && shown.contains("unknown = \"refuse\""));
}
