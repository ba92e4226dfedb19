//! Signals to a running server: reload, drain, end.

use std::io::{Read, Write};
use std::net::TcpStream;

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
    slow_client_of(server, "a.ts")
}

fn slow_client_of(server: &Running, name: &str) -> TcpStream {
    let mut client = TcpStream::connect(server.public).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(client, "GET /vod/library/{name} HTTP/1.1\r\nHost: tv\r\n\r\n").unwrap();
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
fn a_transfer_beyond_the_deadline_is_cut_off_and_the_process_ends() {
    let place = Place::new();
    // More than the kernel takes for a client that does not read.
    let large = std::fs::File::create(place.path("library").join("large.ts")).unwrap();
    large.set_len(256 << 20).unwrap();
    // What somebody still writes is not served.
    drop(large);
    let server = Running::start(&mut serve(&place.config("[limits]\ndrain_timeout = \"1s\"\n")));
    let mut client = slow_client_of(&server, "large.ts");
    server.signal("TERM");
    server.says("draining");
    assert!(server.ended().success());
    let cut = client.read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(cut.kind(), std::io::ErrorKind::ConnectionReset, "half a body has no clean end");
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
