//! Signals to a running server: reload, drain, end.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::running::{PATIENCE, Place, Running, serve};

#[test]
fn a_bad_config_on_sighup_leaves_the_old_one() {
    let place = Place::new();
    let config = place.config("[limits]\nidle_timeout = \"30s\"\n");
    let server = Running::start(&mut serve(&config));
    place.config("[limits]\nidle_timeout = \"never\"\n");
    server.signal("HUP");
    let said = server.says("config: ");
    assert_eq!(said["level"], "ERROR");
    assert_eq!(said["key"], "limits.idle_timeout");
    assert!(said["place"].as_str().unwrap().ends_with("shardcast.toml:10"), "{said}");
    server.says("the config is wrong, the old one stays");
    assert!(server.admin_get("/readyz").starts_with("HTTP/1.1 200 "));
    assert!(server.public_get("/vod/library/a.m3u8").ends_with("#EXTM3U\n"));
    // A good one afterwards is taken, and what needs a restart is named.
    place.config("[limits]\nidle_timeout = \"20s\"\n[http]\ncors = \"\"\n");
    server.signal("HUP");
    assert_eq!(server.says("taken at the next restart")["keys"], "http.cors");
    assert_eq!(server.says("the config was read again")["changed"], "limits.idle_timeout");
    server.signal("TERM");
    assert!(server.ended().success());
}

/// Asks for the 4 MiB segment and reads only the beginning of its head.
fn slow_client(server: &Running) -> TcpStream {
    begin(TcpStream::connect(server.public).unwrap())
}

fn begin(mut client: TcpStream) -> TcpStream {
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.write_all(b"GET /vod/library/a.ts HTTP/1.1\r\nHost: tv\r\n\r\n").unwrap();
    let mut begin = [0; 12];
    client.read_exact(&mut begin).unwrap();
    assert_eq!(&begin, b"HTTP/1.1 200");
    client
}

#[test]
fn sigterm_finishes_running_transfers() {
    let place = Place::new();
    let server = Running::start(&mut serve(&place.config("")));
    let mut client = slow_client(&server);
    server.signal("TERM");
    server.says("draining");
    assert!(server.admin_get("/readyz").starts_with("HTTP/1.1 503 "));
    assert!(server.admin_get("/healthz").starts_with("HTTP/1.1 200 "));
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).unwrap();
    let body = rest.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    assert_eq!(rest.len() - body, 4 << 20, "the transfer was finished");
    assert!(server.ended().success());
}

#[test]
fn a_transfer_beyond_the_drain_deadline_is_reset() {
    let place = Place::new();
    let server = Running::start(&mut serve(&place.config("[limits]\ndrain_timeout = \"1s\"\n")));
    let mut client = narrow_client(&server);
    server.signal("TERM");
    server.says("draining");
    // The client takes nothing until the server has gone.
    assert!(server.ended().success());
    let mut rest = Vec::new();
    let end = client.read_to_end(&mut rest).unwrap_err();
    assert_eq!(end.kind(), ErrorKind::ConnectionReset, "no clean end of half a body");
    assert!(rest.len() < 4 << 20, "{} bytes", rest.len());
}

/// A slow client whose end of the connection has little room.
fn narrow_client(server: &Running) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(16 * 1024).unwrap();
    socket.connect(&server.public.into()).unwrap();
    begin(TcpStream::from(socket))
}

/// What the clients of a loaded server know and count.
#[derive(Default)]
struct Load {
    /// Set before the signal is sent.
    drains: AtomicBool,
    before: AtomicUsize,
    after: AtomicUsize,
}

#[test]
fn sigterm_under_load_breaks_no_transfer() {
    let place = Place::new();
    let server = Running::start(serve(&place.config("")).args(["--shards", "0"]));
    let load = Arc::new(Load::default());
    let clients: Vec<_> = (0..8)
        .map(|number| {
            let (address, load) = (server.public, Arc::clone(&load));
            let wanted = [("a.ts", 4 << 20), ("a.m3u8", 8)][number % 2];
            std::thread::spawn(move || ask_until_it_is_gone(address, wanted, &load))
        })
        .collect();
    // In the middle of their bodies, and going on once the server drains.
    let halfway: Vec<_> = (0..4).map(|_| narrow_client(&server)).collect();
    while load.before.load(Ordering::SeqCst) < 100 {
        assert!(clients.iter().all(|client| !client.is_finished()), "a client has given up");
        std::thread::yield_now();
    }
    load.drains.store(true, Ordering::SeqCst);
    server.signal("TERM");
    server.says("draining");
    for mut client in halfway {
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).expect("a whole transfer and a clean end");
        let body = rest.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        assert_eq!(rest.len() - body, 4 << 20);
        load.after.fetch_add(1, Ordering::SeqCst);
    }
    for client in clients {
        client.join().unwrap();
    }
    assert!(server.ended().success());
    assert!(load.after.load(Ordering::SeqCst) >= 4);
}

/// Asks on connections that are kept, until nobody listens. A response of which a byte has come
/// must be whole. A request that was written before the drain is answered; one that came later may
/// find its connection closed, and would be sent again elsewhere (RFC 9112, 9.5).
fn ask_until_it_is_gone(address: SocketAddr, (name, size): (&str, usize), load: &Load) {
    let request = format!("GET /vod/library/{name} HTTP/1.1\r\nHost: tv\r\n\r\n");
    let drains = || load.drains.load(Ordering::SeqCst);
    while let Ok(client) = TcpStream::connect(address) {
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut client = BufReader::new(client);
        loop {
            let written = client.get_mut().write_all(request.as_bytes());
            let is_owed = !drains();
            let came = written.is_ok() && client.fill_buf().is_ok_and(|bytes| !bytes.is_empty());
            if !came {
                assert!(!is_owed, "no response to a request from before the drain: {written:?}");
                break;
            }
            let is_last = read_whole(&mut client, size);
            let count = if drains() { &load.after } else { &load.before };
            count.fetch_add(1, Ordering::SeqCst);
            if is_last {
                break;
            }
        }
    }
    assert!(drains(), "nobody listens before the drain");
}

/// Reads a response that has begun. Says whether it is the last of its connection.
fn read_whole(client: &mut BufReader<TcpStream>, size: usize) -> bool {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(client.read_line(&mut head).expect("a whole head") > 0, "cut: {head:?}");
    }
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(head.contains(&format!("Content-Length: {size}\r\n")), "{head}");
    client.read_exact(&mut vec![0; size]).expect("a whole body");
    head.contains("Connection: close\r\n")
}

#[test]
fn a_second_signal_ends_at_once() {
    for (first, second) in [("TERM", "TERM"), ("INT", "TERM"), ("TERM", "QUIT")] {
        let place = Place::new();
        let server =
            Running::start(&mut serve(&place.config("[limits]\ndrain_timeout = \"600s\"\n")));
        let client = slow_client(&server);
        server.signal(first);
        server.says("draining");
        server.signal(second);
        server.says("ending at once");
        assert!(server.ended().success());
        drop(client);
    }
}

#[test]
fn the_access_log_is_opened_again_on_sigusr1() {
    let place = Place::new();
    let more = "[log]\naccess = \"combined\"\naccess_path = \"access.log\"\n";
    let server = Running::start(&mut serve(&place.config(more)));
    server.public_get("/s/SECRET/vod/library/a.m3u8");
    std::fs::rename(place.path("access.log"), place.path("old.log")).unwrap();
    server.signal("USR1");
    server.says("the access log was opened again");
    server.public_get("/vod/library/a.m3u8");
    server.signal("TERM");
    assert!(server.ended().success());
    let (old, new) = (place.path("old.log"), place.path("access.log"));
    let (old, new) = (std::fs::read_to_string(old).unwrap(), std::fs::read_to_string(new).unwrap());
    assert!(old.contains("GET /s/") && !old.contains("SECRET"), "{old}");
    assert!(new.contains("\"GET /vod/library/a.m3u8 HTTP/1.1\" 200 8 "), "{new}");
}

#[test]
fn a_log_that_cannot_be_written_does_not_end_the_server() {
    let place = Place::new();
    let full = || std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = serve(&place.config("[log]\naccess = \"json\"\n"));
    let mut child = command.stderr(full()).stdout(full()).spawn().unwrap();
    // Nobody can read its addresses, so its socket tells how it is.
    let socket = place.path("state/admin.sock");
    let ask = |path: &str| -> Option<String> {
        let mut stream = std::os::unix::net::UnixStream::connect(&socket).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        Some(text)
    };
    let began = std::time::Instant::now();
    while ask("/readyz").is_none_or(|answer| !answer.starts_with("HTTP/1.1 200")) {
        assert!(began.elapsed() < PATIENCE && child.try_wait().unwrap().is_none());
        std::thread::yield_now();
    }
    let mut kill = std::process::Command::new("kill");
    assert!(kill.arg("-TERM").arg(child.id().to_string()).status().unwrap().success());
    assert!(child.wait().unwrap().success());
}
