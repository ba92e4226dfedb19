//! Listeners that were handed over, ports that are taken, notices to systemd, the admin socket.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::process::Command;

use super::running::{PATIENCE, Place, Running, get, program, run, serve};

#[test]
fn a_taken_port_is_named_with_the_command_that_finds_its_owner() {
    let owner = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = owner.local_addr().unwrap().port();
    let place = Place::new();
    let address = format!("127.0.0.1:{port}");
    for flag in ["--listen", "--admin"] {
        let mut command = serve(&place.config(""));
        let said = run(command.args([flag, &address]));
        assert_eq!(said.code, 1);
        let last = said.err.lines().last().unwrap();
        assert_eq!(
            last,
            format!(
                "shardcast: listen on {address}: another process listens there (see who with: ss \
                 -ltnp 'sport = :{port}')"
            )
        );
    }
}

/// The kernel takes the rings of a process apart some time after it has ended.
#[test]
fn a_server_that_was_killed_is_started_again_at_once_on_the_same_ports() {
    let place = Place::new();
    let mut server = Running::start(&mut serve(&place.config("")));
    let (public, admin) = (server.public.to_string(), server.admin.to_string());
    for _ in 0..5 {
        server.signal("KILL");
        server.ended();
        let mut command = serve(&place.config(""));
        server = Running::start(command.args(["--listen", &public, "--admin", &admin]));
        assert!(server.admin_get("/readyz").starts_with("HTTP/1.1 200 "));
    }
}

#[test]
fn an_inherited_listener_is_used_with_the_clients_in_its_queue() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // This client knocks before the server is there.
    let mut early = std::net::TcpStream::connect(address).unwrap();
    let place = Place::new();
    let library = place.path("library");
    // The shell knows its own number, which exec keeps, and puts the listener where systemd would.
    let script = format!(
        "export LISTEN_PID=$$ LISTEN_FDS=1; exec '{}' serve --shards 2 --admin off '{}' 3<&0",
        program().get_program().display(),
        library.display()
    );
    let mut command = Command::new("sh");
    command.arg("-c").arg(script).stdin(std::os::fd::OwnedFd::from(listener));
    let server = Running::start(&mut command);
    assert_eq!(server.public, address);
    early.set_read_timeout(Some(PATIENCE)).unwrap();
    early.write_all(b"GET /vod/library/a.m3u8 HTTP/1.0\r\n\r\n").unwrap();
    let mut response = String::new();
    early.read_to_string(&mut response).unwrap();
    assert!(response.ends_with("#EXTM3U\n"), "{response}");
    for _ in 0..20 {
        assert!(get(address, "/vod/library/a.m3u8").starts_with("HTTP/1.1 200 "));
    }
    server.signal("TERM");
    assert!(server.ended().success());
}

/// The next notice that holds this line.
fn notice(systemd: &UnixDatagram, line: &str) -> String {
    let mut bytes = [0; 4096];
    loop {
        let size = systemd.recv(&mut bytes).expect("the server says something");
        let text = String::from_utf8_lossy(&bytes[..size]).into_owned();
        if text.lines().any(|one| one == line) {
            return text;
        }
    }
}

#[test]
fn systemd_hears_of_everything() {
    let place = Place::new();
    let path = place.path("notify");
    let systemd = UnixDatagram::bind(&path).unwrap();
    systemd.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut command = serve(&place.config(""));
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "400000");
    let server = Running::start(&mut command);
    assert!(notice(&systemd, "READY=1").contains("STATUS=Serving from 1 shards"));
    notice(&systemd, "WATCHDOG=1");
    notice(&systemd, "WATCHDOG=1");
    server.signal("HUP");
    assert!(notice(&systemd, "RELOADING=1").contains("MONOTONIC_USEC="));
    notice(&systemd, "READY=1");
    server.signal("TERM");
    notice(&systemd, "STOPPING=1");
    assert!(server.ended().success());
}

#[test]
fn metrics_count_what_was_served_also_by_the_socket() {
    let place = Place::new();
    let server = Running::start(&mut serve(&place.config("")));
    server.public_get("/vod/library/a.m3u8");
    server.public_get("/vod/library/missing.ts");
    let mut socket = UnixStream::connect(place.path("state/admin.sock")).unwrap();
    write!(socket, "GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    socket.read_to_string(&mut text).unwrap();
    assert!(text.contains("\nshardcast_requests_total{class=\"playlist\",status=\"200\"} 1\n"));
    assert!(text.contains("\nshardcast_refusals_total{reason=\"not-found\"} 1\n"), "{text}");
    assert!(text.contains("\nshardcast_ready 1\n"), "{text}");
    assert!(text.contains("\nshardcast_send_backend{backend=\"sendfile\"} 1\n"), "{text}");
    assert!(!text.contains("shardcast_build_info{version=\"\""));
    server.signal("TERM");
    assert!(server.ended().success());
    assert!(!place.path("state/admin.sock").exists());
}

#[test]
fn folders_that_are_named_are_open_to_all() {
    let place = Place::new();
    let mut command = program();
    command.args(["serve", "--listen", "127.0.0.1:0", "--admin", "off", "--shards", "1"]);
    let server =
        Running::start(command.arg("--state").arg(place.path("s")).arg(place.path("library")));
    assert!(server.public_get("/vod/library/a.m3u8").ends_with("#EXTM3U\n"));
    assert!(server.public_get("/healthz").starts_with("HTTP/1.1 "));
}

/// Answers to one request are read, and then the client is gone without a FIN or a reset.
const DIES: &str = "
import socket, sys
client = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
client.sendall(b'GET /vod/library/a.m3u8 HTTP/1.1\\r\\nHost: tv\\r\\n\\r\\n')
while b'#EXTM3U' not in client.recv(4096): pass
client.setsockopt(socket.IPPROTO_TCP, 19, 1) # TCP_REPAIR: closing it tells nobody
";

#[test]
fn a_client_that_dies_without_a_word_is_found() {
    // In the full run: it takes python3, and half a minute until the kernel asks.
    if std::env::var_os("SHARDCAST_FULL").is_none() {
        return;
    }
    let place = Place::new();
    // Not the idle timeout shall find it.
    let config = place.config("[limits]\nidle_timeout = \"900s\"\n");
    let server = Running::start(&mut serve(&config));
    let mut python = Command::new("python3");
    let died = run(python.args(["-c", DIES, &server.public.port().to_string()]));
    assert_eq!(died.code, 0, "{}", died.err);
    let connections = || {
        let text = server.admin_get("/metrics");
        let lines: Vec<_> = text.lines().filter(|line| line.starts_with("shardcast_co")).collect();
        (lines.contains(&"shardcast_connections 1"), lines.contains(&"shardcast_connections 0"))
    };
    assert!(connections().0, "it is not known yet that the client is gone");
    let began = std::time::Instant::now();
    while !connections().1 {
        assert!(began.elapsed() < 2 * PATIENCE, "it is never found");
        std::thread::yield_now();
    }
}

#[test]
fn a_library_that_takes_a_token_says_nothing_to_those_who_have_none() {
    let place = Place::new();
    let server = Running::start(&mut serve(&place.config("access = \"token\"\n")));
    let undated = |answer: String| {
        answer.lines().filter(|line| !line.starts_with("Date: ")).collect::<Vec<_>>().join("\n")
    };
    let is_there = undated(server.public_get("/vod/library/a.m3u8"));
    assert!(is_there.starts_with("HTTP/1.1 403 "), "{is_there}");
    assert!(is_there.contains("\nX-Shardcast-Reason: token-missing"), "{is_there}");
    for path in ["/vod/library/b.m3u8", "/vod/library/a.m3u8/x", "/vod/nowhere"] {
        assert_eq!(undated(server.public_get(path)), is_there, "{path}");
    }
}
