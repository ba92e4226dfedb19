//! Requests that wait: for an update, for control, for an object that grows.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use shardcast::config::Access;
use shardcast::messages::{
    Ask, Change, GrowingId, Growth, Index, Opened, Payload, Response, Single, SourceId, Update,
};
use shardcast::units::{Class, ETag, Extent, Rung, UnixTime, Variant};

use crate::client::Cut;
use crate::content::{self, bytes};
use crate::server::{Server, Setup};

const PATH: &str = "/tv/news/1.m4s";

fn begin(server: &mut Server, id: u64) {
    let (media_type, class, access) = ("video/mp4", Class::Segment, Access::Open);
    server.tell(|| {
        Update::Growing(
            GrowingId(id),
            Growth::Begun { path: PATH.into(), media_type, class, access },
        )
    });
}

/// Appends bytes from memory, or from a file.
fn append(server: &mut Server, id: u64, bytes: &[u8], in_file: bool) {
    let source = server.source();
    let opened = if in_file {
        let path = server.folder.path().join(format!("{}.piece", source.0));
        std::fs::write(&path, bytes).unwrap();
        content::open_file(&path, source)
    } else {
        content::in_memory("piece", source, bytes)
    };
    let extent = Extent { offset: 0, size: bytes.len() as u64 };
    server.tell(|| {
        let opened = Arc::clone(&opened);
        Update::Growing(GrowingId(id), Growth::Appended { opened, extent })
    });
}

fn grow(server: &mut Server, id: u64, growth: &Growth) {
    server.tell(|| Update::Growing(GrowingId(id), growth.clone()));
}

fn request(version: &str) -> Vec<u8> {
    format!("GET {PATH} HTTP/{version}\r\nHost: tv\r\n\r\n").into_bytes()
}

#[test]
fn a_growing_object_is_sent_as_it_grows() {
    let mut server = Server::new();
    begin(&mut server, 1);
    let mut client = server.client();
    client.write(&request("1.1"));
    let head = client.head().unwrap();
    assert!(head.contains("Transfer-Encoding: chunked\r\n"), "{head}");
    for (number, in_file) in [(1, false), (2, true), (3, false)] {
        let piece = bytes(number, 300_000);
        append(&mut server, 1, &piece, in_file);
        assert!(client.chunk().unwrap() == Some(piece), "piece {number} differs");
    }
    grow(&mut server, 1, &Growth::Ended);
    assert_eq!(client.chunk(), Ok(None));
    let whole = client.get(PATH);
    assert_eq!(whole.body.len(), 900_000, "who comes late gets it all");
    let mut old = server.client();
    old.write(&request("1.0"));
    assert!(old.reply("GET").unwrap().body == whole.body);
}

#[test]
fn a_growing_object_that_is_given_up_ends_in_a_reset() {
    for version in ["1.1", "1.0"] {
        let mut server = Server::new();
        begin(&mut server, 1);
        append(&mut server, 1, &bytes(1, 1_000), false);
        let mut client = server.client();
        client.write(&request(version));
        client.head().unwrap();
        if version == "1.1" {
            client.chunk().unwrap();
        } else {
            client.take(1_000).unwrap();
        }
        grow(&mut server, 1, &Growth::Aborted);
        assert_eq!(client.end(), Cut::Reset, "HTTP/{version}");
    }
}

#[test]
fn what_is_expected_is_waited_for() {
    let mut server = Server::new();
    server.list(PATH, Change::Expected);
    let mut clients: Vec<_> = (0..50).map(|_| server.client()).collect();
    for client in &mut clients {
        client.write(&request("1.1"));
    }
    server.until("fifty requests wait", |report| report.parked == 50);
    begin(&mut server, 1);
    append(&mut server, 1, b"here it is", false);
    grow(&mut server, 1, &Growth::Ended);
    for client in &mut clients {
        assert_eq!(client.reply("GET").unwrap().body, b"here it is");
    }
    assert_eq!(server.report().parked, 0);
}

#[test]
fn what_is_withdrawn_is_not_there() {
    let mut server = Server::new();
    server.list(PATH, Change::Expected);
    let mut client = server.client();
    client.write(&request("1.1"));
    server.until("a request waits", |report| report.parked == 1);
    server.list(PATH, Change::Absent);
    assert_eq!(client.reply("GET").unwrap().status, 404);
}

/// Says what it was asked.
fn echo(ask: &Ask) -> Option<Response> {
    let mut body = ask.head.to_vec();
    body.extend(&ask.body);
    let lines = b"Content-Type: text/plain\r\n".to_vec();
    Some(Response { status: 200, lines, body: body.into(), refused: None, object: None })
}

/// Answers with an object, plain and gzipped: always the same at `/hdhr/one`, a new one elsewhere.
fn object(ask: &Ask) -> Option<Response> {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let is_one = ask.head.starts_with(b"GET /hdhr/one");
    let number = if is_one { 0 } else { NEXT.fetch_add(1, Ordering::Relaxed) };
    let (plain, gzip) = (bytes(1, 900_000), bytes(2, 100_000));
    let variant = |offset: usize, of: &[u8]| {
        let extent = Extent { offset: offset as u64, size: of.len() as u64 };
        Variant { extent, etag: ETag::of(of) }
    };
    let single = Single {
        media_type: "application/json",
        class: Class::Api,
        modified: UnixTime(1_700_000_000),
        identity: variant(0, &plain),
        gzip: Some(variant(plain.len(), &gzip)),
        narrowed: Box::default(),
        rung: Rung::default(),
    };
    let payload = Payload::Heap([plain, gzip].concat().into());
    let source = SourceId::of_answer(number);
    let opened = Opened { source, index: Index::Single(single), payload, beside: None };
    let (lines, body) = (Vec::new(), bytes::Bytes::new());
    Some(Response { status: 200, lines, body, refused: None, object: Some(Arc::new(opened)) })
}

#[test]
fn an_answer_that_is_an_object_is_sent_as_one() {
    let server = Server::with(Setup { answer: object, ..Setup::default() });
    let mut client = server.client();
    for path in ["/hdhr/one", "/hdhr/two", "/hdhr/one"] {
        let mut ask = |method: &str, lines: &str| {
            let head = format!("{method} {path} HTTP/1.1\r\nHost: tv\r\n{lines}\r\n");
            client.write(head.as_bytes());
            client.reply(method).unwrap()
        };
        let whole = ask("GET", "");
        assert!(whole.status == 200 && whole.body == bytes(1, 900_000));
        let etag = whole.field("etag").unwrap().to_owned();
        assert!(whole.field("cache-control").unwrap().starts_with("private"));
        assert_eq!(ask("GET", &format!("If-None-Match: {etag}\r\n")).status, 304);
        let part = ask("GET", "Range: bytes=10-19\r\n");
        assert!(part.status == 206 && part.body == bytes(1, 900_000)[10..20]);
        let gzip = ask("GET", "Accept-Encoding: gzip\r\n");
        assert!(gzip.body == bytes(2, 100_000));
        assert_eq!(gzip.field("content-encoding"), Some("gzip"));
        let head = ask("HEAD", "");
        assert_eq!((head.body.len(), head.field("content-length")), (0, Some("900000")));
    }
    // Many at once, of which some go in the middle.
    let mut clients: Vec<_> = (0..20).map(|_| server.client()).collect();
    for (at, client) in clients.iter_mut().enumerate() {
        let path = if at % 2 == 0 { "one" } else { "more" };
        client.write(format!("GET /hdhr/{path} HTTP/1.1\r\nHost: tv\r\n\r\n").as_bytes());
    }
    for (at, mut client) in clients.into_iter().enumerate() {
        if at % 3 > 0 {
            assert!(client.reply("GET").unwrap().body == bytes(1, 900_000));
        }
    }
    assert_eq!(client.get("/healthz").status, 200);
}

#[test]
fn control_gets_the_question_as_it_was_put() {
    let server = Server::with(Setup { answer: echo, ..Setup::default() });
    let mut client = server.client();
    let get = "GET /player_api.php?username=a&password=b HTTP/1.1\r\nHost: tv\r\n\r\n";
    client.write(get.as_bytes());
    assert_eq!(client.reply("GET").unwrap().body, get.as_bytes());
    let body = bytes(1, 60_000);
    let head =
        format!("POST /api/v1/x HTTP/1.1\r\nHost: tv\r\nContent-Length: {}\r\n\r\n", body.len());
    client.write(head.as_bytes());
    client.write(&body);
    assert!(client.reply("POST").unwrap().body == [head.as_bytes(), &body].concat());
    let head = "POST /api/v1/x HTTP/1.1\r\nHost: tv\r\nTransfer-Encoding: chunked\r\n\r\n";
    client.write(head.as_bytes());
    client.write(b"5\r\nhello\r\n6;a=b\r\n world\r\n0\r\n\r\n");
    let reply = client.reply("POST").unwrap();
    assert_eq!(String::from_utf8_lossy(&reply.body), format!("{head}hello world"));
    // The next request follows the body.
    assert_eq!(client.get("/healthz").status, 200);
}

#[test]
fn a_client_that_asks_may_go_on_is_told_so() {
    let server = Server::with(Setup { answer: echo, ..Setup::default() });
    let mut client = server.client();
    let head = "POST /api/v1/x HTTP/1.1\r\nHost: tv\r\nContent-Length: 3\r\n\
                Expect: 100-continue\r\n\r\n";
    client.write(head.as_bytes());
    assert_eq!(client.reply("POST").unwrap().status, 100);
    client.write(b"yes");
    let reply = client.reply("POST").unwrap();
    assert_eq!(String::from_utf8_lossy(&reply.body), format!("{head}yes"));
}

#[test]
fn a_body_that_is_too_large_is_refused() {
    let server = Server::with(Setup { answer: echo, ..Setup::default() });
    for head in [
        "POST /api/v1/x HTTP/1.1\r\nHost: tv\r\nContent-Length: 65537\r\n\r\n".to_owned(),
        format!(
            "POST /api/v1/x HTTP/1.1\r\nHost: tv\r\nTransfer-Encoding: chunked\r\n\r\n10001\r\n{}",
            "x".repeat(65_537)
        ),
    ] {
        let mut client = server.client();
        client.write(head.as_bytes());
        assert_eq!(client.reply("POST").unwrap().status, 413);
        assert_eq!(client.rest(), Ok(Vec::new()));
    }
}
