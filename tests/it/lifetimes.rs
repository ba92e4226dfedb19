//! Clients come and go as they please, descriptors run out, the server drains.

use std::process::Command;
use std::time::Duration;

use shardcast::config::{LINGER_ALL_MS, LINGER_MS, Limits};
use shardcast::messages::Update;

use crate::client::{Client, Cut};
use crate::content::bytes;
use crate::server::{Server, Setup};

#[test]
fn clients_that_reset_at_any_moment_leave_nothing_behind() {
    let mut server = Server::new();
    server.add_pack("a", &[("s.ts", bytes(1, 2_048)), ("l.ts", bytes(2, 8 << 20))]);
    for round in 0..300 {
        let mut client = server.client();
        match round % 5 {
            0 => {}
            1 => client.write(b"GET /vod/a/s.t"),
            2 => client.write(b"GET /vod/a/s.ts HTTP/1.1\r\nHost: tv\r\n\r\n"),
            3 => client.write(b"GET /vod/a/l.ts HTTP/1.1\r\nHost: tv\r\n\r\n"),
            _ => {
                client.write(b"GET /vod/a/l.ts HTTP/1.1\r\nHost: tv\r\n\r\n");
                client.take(10_000).unwrap();
            }
        }
        client.reset();
    }
    server
        .until("all are gone", |report| report.connections == 0 && report.connections_total == 300);
    assert_eq!(server.client().get("/vod/a/l.ts").body.len(), 8 << 20);
}

#[test]
fn a_client_that_ends_its_side_is_still_answered() {
    let mut server = Server::new();
    server.add_pack("a", &[("l.ts", bytes(2, 8 << 20))]);
    let mut client = server.client();
    client.write(b"GET /vod/a/l.ts HTTP/1.1\r\nHost: tv\r\n\r\n");
    client.end_writing();
    assert_eq!(client.reply("GET").unwrap().body.len(), 8 << 20);
    assert_eq!(client.rest(), Ok(Vec::new()));
}

#[test]
fn a_slow_head_is_refused_in_time() {
    let limits = Limits { head_timeout_ms: 300, ..Limits::default() };
    let server = Server::with(Setup { limits, ..Setup::default() });
    let mut client = server.client();
    client.write(b"GET /healthz HTTP/1.1\r\n");
    assert_eq!(client.reply("GET").unwrap().status, 408);
    assert_eq!(client.rest(), Ok(Vec::new()));
}

#[test]
fn a_slow_body_is_refused_in_time() {
    let limits = Limits { head_timeout_ms: 300, ..Limits::default() };
    let server = Server::with(Setup { limits, ..Setup::default() });
    for framing in ["Content-Length: 10\r\n\r\nslow", "Transfer-Encoding: chunked\r\n\r\nA\r\nslow"]
    {
        let mut client = server.client();
        client.write(format!("POST /api/v1/x HTTP/1.1\r\nHost: tv\r\n{framing}").as_bytes());
        assert_eq!(client.reply("POST").unwrap().status, 408);
        assert_eq!(client.rest(), Ok(Vec::new()));
    }
}

#[test]
fn a_drain_finishes_what_runs() {
    let mut server = Server::with(Setup { shards: 2, ..Setup::default() });
    let body = bytes(2, 16 << 20);
    server.add_pack("a", &[("l.ts", body.clone())]);
    let mut running: Vec<Client> = (0..4).map(|_| Client::narrow(server.address)).collect();
    for client in &mut running {
        client.write(b"GET /vod/a/l.ts HTTP/1.1\r\nHost: tv\r\n\r\n");
        client.head().unwrap();
    }
    let mut idle = server.client();
    assert_eq!(idle.get("/healthz").status, 200);
    server.tell(|| Update::Drain { deadline_ms: 30_000 });
    assert_eq!(idle.rest(), Ok(Vec::new()), "an idle client is closed");
    for client in &mut running {
        assert!(client.take(body.len()).unwrap() == body);
        assert_eq!(client.rest(), Ok(Vec::new()));
    }
    server.drain(0);
    assert!(std::net::TcpStream::connect(server.address).is_err(), "nobody listens");
}

/// Set in the process that has few descriptors.
const FEW: &str = "SHARDCAST_TEST_FEW_DESCRIPTORS";

#[test]
fn descriptors_that_run_out_keep_new_clients_waiting() {
    if std::env::var_os(FEW).is_none() {
        let me = std::env::current_exe().unwrap();
        let name = "lifetimes::descriptors_that_run_out_keep_new_clients_waiting";
        let run = Command::new("sh")
            .args(["-c", "ulimit -n 200 && exec \"$0\" \"$@\""])
            .arg(me)
            .args(["--exact", name, "--nocapture"])
            .env(FEW, "1")
            .output()
            .unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        return;
    }
    let mut server = Server::new();
    // Both ends are descriptors of this process: connect until none is left for the server's.
    let mut idle = Vec::new();
    while let Ok(stream) = std::net::TcpStream::connect(server.address) {
        idle.push(stream);
    }
    assert!(idle.len() > 80, "{} connections", idle.len());
    // Room for one end: it waits in the queue until there is room for the other. The server may be
    // faster, and take that room for one who waits already.
    let mut waiting = loop {
        assert!(idle.pop().is_some(), "there is never room");
        if let Ok(stream) = std::net::TcpStream::connect(server.address) {
            break Client::over(stream);
        }
    };
    assert!(idle.len() > 40, "{} connections are left", idle.len());
    let enters = server.report().ring_enters;
    drop(idle.split_off(20));
    assert_eq!(waiting.get("/healthz").status, 200);
    let spent = server.report().ring_enters - enters;
    assert!(spent < 5_000, "{spent} turns were spent on waiting");
}

#[test]
fn who_goes_on_sending_after_a_refusal_hears_why_and_is_listened_to_for_a_while() {
    let mut server = Server::new();
    // As slowly as it may, for longer than anybody is listened to who says nothing; and as fast as
    // it can.
    let is_full = std::env::var_os("SHARDCAST_FULL").is_some();
    let slow_ms = if is_full { LINGER_ALL_MS + 5_000 } else { LINGER_MS + 500 };
    for (pause_ms, piece, most) in [(100, 10, slow_ms / 100), (0, 64 << 10, 2_000)] {
        let mut client = server.client();
        client.write(b"nonsense\r\n\r\n");
        let refused = client.reply("GET").unwrap();
        assert_eq!((refused.status, refused.field("Connection")), (400, Some("close")));
        let mut pieces = 0;
        while pieces < most && client.try_write(&vec![b'x'; piece]).is_ok() {
            pieces += 1;
            std::thread::sleep(Duration::from_millis(pause_ms));
        }
        let is_ended = pieces < most;
        assert_eq!(
            is_ended,
            pause_ms == 0 || is_full,
            "{pieces} of {most} pieces of {piece} bytes"
        );
        // Were it closed at once, the reset could take the refusal from a client that is still busy
        // sending.
        assert!(pieces > 2, "{pieces} pieces of {piece} bytes");
        server.until("it is given up", |report| report.connections == 0);
    }
}

#[test]
fn who_reads_its_last_response_late_gets_all_of_it_whatever_it_asks_meanwhile() {
    let mut server = Server::new();
    let body = bytes(7, 200 << 10);
    server.add_pack("a", &[("s.ts", body.clone())]);
    let mut client = Client::narrow(server.address);
    client.write(b"GET /vod/a/s.ts HTTP/1.1\r\nHost: tv\r\nConnection: close\r\n\r\n");
    std::thread::sleep(Duration::from_millis(LINGER_MS + 1_000));
    // Over this a socket that were closed would be reset, and what is still in it lost.
    client.write(b"GET /vod/a/s.ts HTTP/1.1\r\nHost: tv\r\n\r\n");
    assert!(client.reply("GET").unwrap().body == body);
    assert_eq!(client.end(), Cut::Ended);
    server.until("it is given up", |report| report.connections == 0);
}
