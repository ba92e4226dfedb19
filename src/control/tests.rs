//! The control thread with shards that a test plays: the admin port over real sockets, and answers.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use super::*;
use crate::config::{ADMIN_CONNECTIONS_MAX, ADMIN_HEAD_TIMEOUT_MS, Access, Config};
use crate::messages::mail::queue;
use crate::messages::{AskKey, ShardReport, Update, Wants};
use crate::ops::scrape;

/// A running control thread and the other ends of everything.
struct Started {
    admin: SocketAddr,
    asks: tokio::sync::mpsc::Sender<Ask>,
    inboxes: Vec<Receiver<Update>>,
    readiness: Arc<Readiness>,
    state: tempfile::TempDir,
    handle: Handle,
}

fn started(shards: usize) -> Started {
    started_with(shards, |_| None)
}

fn started_with(
    shards: usize,
    registry: impl FnOnce(&std::path::Path) -> Option<registry::Registry>,
) -> Started {
    let bell = Arc::new(File::options().write(true).open("/dev/null").unwrap());
    let (outboxes, inboxes) = (0..shards).map(|_| queue(Arc::clone(&bell))).unzip();
    let (asks, received) = tokio::sync::mpsc::channel(8);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let admin = listener.local_addr().unwrap();
    let readiness = Arc::new(Readiness::default());
    let state = tempfile::tempdir().unwrap();
    let handle = start(Parts {
        guard: guard::Settings::default(),
        admin: Some(listener),
        admin_rules: operators::Rules::default(),
        history_ms: 0,
        guide: None,
        certificate: None,
        state: state.path().join("state"),
        outboxes,
        registry: registry(&state.path().join("state")),
        asks: received,
        sessions: tokio::sync::mpsc::channel(8).1,
        languages: Arc::default(),
        limits: Arc::default(),
        outside: Default::default(),
        answers: ask::router(
            catchup::CatchUp::start(Arc::default(), state.path(), Vec::new()).unwrap(),
        ),
        exchange: foreign::Exchange::open(&Config::default()).unwrap(),
        readiness: Arc::clone(&readiness),
        log: None,
        pushed: None,
        desk: None,
        line_up: None,
        in_file: Arc::default(),
    })
    .unwrap();
    Started { admin, asks, inboxes, readiness, state, handle }
}

fn exchange(mut stream: impl Read + Write, request: &str) -> String {
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    // A reset instead of an end is an end too: the client had more to say than was read.
    let _ = stream.read_to_string(&mut text);
    text
}

fn get(admin: SocketAddr, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n");
    exchange(TcpStream::connect(admin).unwrap(), &request)
}

/// A shard that answers every report with what it is given.
fn play_shard(
    inbox: Receiver<Update>,
    shard: u16,
    connections: u64,
) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        for update in inbox {
            if let Update::Report(reply) = update {
                let _ = reply.try_send(Box::new(empty(shard, connections)));
            }
        }
    })
}

fn empty(shard: u16, connections: u64) -> ShardReport {
    ShardReport {
        shard,
        requests: Vec::new(),
        refusals: Vec::new(),
        latency: Vec::new(),
        sent_bytes: 0,
        body_copied_bytes: 0,
        connections,
        connections_total: 0,
        ring_enters: 0,
        ring_completions: 0,
        cold_reads: 0,
        parked: 0,
        backends: Vec::new(),
        cache_bytes: 0,
        access_dropped: 0,
        faults: 0,
        told: Vec::new(),
        stalls: 0,
        starts: 0,
        malformed: 0,
        paces_set: 0,
    }
}

#[test]
fn health_and_readiness_follow_the_stage() {
    let server = started(1);
    assert!(get(server.admin, "/healthz").starts_with("HTTP/1.1 200 "));
    for (stage, status, reason) in [
        (Stage::Starting, "503", "starting: "),
        (Stage::Ready, "200", "ready\n"),
        (Stage::Draining, "503", "draining: "),
        (Stage::Ready, "503", "draining: "),
    ] {
        server.readiness.become_stage(stage);
        let answer = get(server.admin, "/readyz");
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(answer.contains(&format!("\r\n\r\n{reason}")), "{answer}");
    }
    assert!(get(server.admin, "/healthz").ends_with("alive\n"));
}

#[test]
fn everything_else_is_a_problem() {
    let server = started(1);
    for path in ["/api/v2/x", "/api/v1/", "/admin/", "/", "/metrics/x"] {
        let answer = get(server.admin, path);
        assert!(answer.starts_with("HTTP/1.1 404 "), "{path}: {answer}");
        assert!(answer.contains("content-type: application/problem+json\r\n"), "{answer}");
    }
    let post =
        "POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let answer = exchange(TcpStream::connect(server.admin).unwrap(), post);
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
}

/// The paths of a router, by what it says of itself.
pub(super) fn paths(router: &axum::Router<admin::Shared>) -> Vec<String> {
    let text = format!("{router:?}");
    let quoted = text.split('"').skip(1).step_by(2);
    let mut paths: Vec<_> = quoted.filter(|text| text.starts_with("/api/")).collect();
    paths.sort_unstable();
    paths.dedup();
    paths.into_iter().map(str::to_owned).collect()
}

/// Walks the router, so that a route without a line of the table fails here, and one that is open
/// to all by mistake.
#[test]
fn every_route_has_a_line_and_is_answered_to_nobody_without_a_login() {
    let registry = |state: &std::path::Path| registry::Registry::open(state).ok();
    let server = started_with(1, registry);
    let mut lines = 0;
    let all = paths(&admin::operated().merge(admin::signing_in()));
    assert!(all.len() > 20, "{all:?}");
    for path in all {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            let at = path.replace("{id}", "x").replace("{name}", "x").replace("{kind}", "plans");
            let request = format!(
                "{method} {at} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                 Content-Length: 0\r\n\r\n"
            );
            let answer = exchange(TcpStream::connect(server.admin).unwrap(), &request);
            let status = answer.split(' ').nth(1).unwrap_or_default();
            let method = axum::http::Method::from_bytes(method.as_bytes()).unwrap();
            let needs = operators::scope::needs(&method, &path);
            lines += usize::from(needs.is_some());
            // Where there is no handler either, axum says which methods have one.
            let has_handler = !answer.contains("\r\nallow: ");
            assert_eq!(has_handler, needs.is_some(), "{method} {path}");
            let expected = match needs {
                None => "405",
                Some(operators::scope::Needs::Nothing) => "415",
                Some(_) => "401",
            };
            assert_eq!(status, expected, "{method} {path}: {answer}");
            assert_eq!(answer.contains("www-authenticate: Bearer"), expected == "401", "{answer}");
        }
    }
    assert_eq!(lines, operators::scope::ROUTES.len(), "each line is a route's");
}

#[test]
fn a_server_that_takes_no_pushes_has_no_channels() {
    let server = started(1);
    let path = server.state.path().join("state/admin.sock");
    let stream = std::os::unix::net::UnixStream::connect(path).unwrap();
    let request = "GET /api/v1/channels HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let answer = exchange(stream, request);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.contains("content-type: application/json\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n{\"channels\":[]}\n"), "{answer}");
}

#[test]
fn a_scrape_adds_up_and_leaves_out_who_is_silent() {
    let mut server = started(3);
    let silent = server.inboxes.pop().unwrap();
    let shards: Vec<_> =
        (0..).zip(server.inboxes.drain(..)).map(|(n, inbox)| play_shard(inbox, n, 5)).collect();
    let text = get(server.admin, "/metrics");
    assert!(text.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"), "{text}");
    assert!(text.contains("\nshardcast_connections 10\n"), "{text}");
    assert!(text.contains("\nshardcast_shards_silent 1\n"), "{text}");
    // It answers the next time, and falls silent again: its figures stay.
    let third = play_shard(silent, 2, 7);
    let text = get(server.admin, "/metrics");
    assert!(text.contains("\nshardcast_connections 17\n"), "{text}");
    assert!(text.contains("\nshardcast_shards_silent 0\n"), "{text}");
    assert_eq!(shards.len(), 2);
    assert!(!third.is_finished());
}

#[test]
fn a_silent_shard_is_not_asked_without_end() {
    let mut outboxes: Vec<_> = Vec::new();
    let bell = Arc::new(File::options().write(true).open("/dev/null").unwrap());
    let (outbox, inbox) = queue(bell);
    outboxes.push(outbox);
    let mut scraper = scrape::Scraper::new(outboxes);
    for _ in 0..3 * crate::config::INBOX_UPDATES_MAX {
        assert_eq!(scraper.scrape(Duration::ZERO).silent, 1);
    }
    // One more than fits may wait outside.
    assert!(inbox.try_iter().count() <= crate::config::INBOX_UPDATES_MAX);
    scraper.scrape(Duration::ZERO);
    assert!(inbox.try_iter().count() <= 2);
}

#[test]
fn what_a_shard_asks_is_answered_to_that_shard() {
    let server = started(2);
    let key = AskKey { shard: 1, exchange: 9, generation: 4 };
    let head = b"GET /api/v1/login HTTP/1.1\r\nHost: tv\r\n\r\n".as_slice().into();
    server
        .asks
        .try_send(Ask {
            key,
            peer: None,
            is_forwarded: false,
            wants: Wants::Answer(Access::Open, crate::viewer::Terms::ALL),
            head,
            body: Vec::new(),
        })
        .unwrap();
    let Ok(Update::Answered(answer)) = server.inboxes[1].recv_timeout(Duration::from_secs(20))
    else {
        panic!("no answer");
    };
    assert_eq!(answer.key, key);
    assert_eq!(answer.response.status, 404);
    assert!(server.inboxes[0].try_recv().is_err());
}

#[test]
fn nonsense_and_huge_heads_are_refused() {
    let server = started(1);
    for request in [
        "nonsense\r\n\r\n".to_owned(),
        format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "a".repeat(20_000)),
        format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(20_000)),
        format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(100)),
        "GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n".to_owned(),
    ] {
        let answer = exchange(TcpStream::connect(server.admin).unwrap(), &request);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
        assert!(answer.matches("HTTP/1.1 ").count() <= 1, "{answer}");
    }
    assert!(get(server.admin, "/healthz").starts_with("HTTP/1.1 200 "));
}

#[test]
fn clients_that_say_nothing_do_not_keep_others_out_for_ever() {
    let server = started(1);
    let idle: Vec<_> =
        (0..ADMIN_CONNECTIONS_MAX).map(|_| TcpStream::connect(server.admin).unwrap()).collect();
    // All places are taken, so this waits until the first of them ran out of time.
    let began = std::time::Instant::now();
    assert!(get(server.admin, "/healthz").starts_with("HTTP/1.1 200 "));
    assert!(began.elapsed() < Duration::from_millis(3 * ADMIN_HEAD_TIMEOUT_MS));
    drop(idle);
}

#[test]
fn the_unix_socket_answers_too_and_goes_with_the_server() {
    let server = started(1);
    let path = server.state.path().join("state/admin.sock");
    let stream = std::os::unix::net::UnixStream::connect(&path).unwrap();
    let answer = exchange(stream, "GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    drop(server.handle);
    assert!(!path.exists());
}

#[test]
fn a_client_that_leaves_in_the_middle_costs_nothing() {
    let server = started(1);
    for request in ["", "GET /met", "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"] {
        let mut stream = TcpStream::connect(server.admin).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Both).unwrap();
    }
    assert!(get(server.admin, "/healthz").starts_with("HTTP/1.1 200 "));
}
