//! HAProxy in front: what it says of its clients, in both of its ways, is what we read.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

use super::running::{PATIENCE, Place, Running, done, serve, until};

/// HAProxy with one door, which it inherits, so that its port is nobody else's.
struct Haproxy {
    child: Child,
    address: SocketAddr,
}

impl Haproxy {
    /// In this mode before this server, with these options for it.
    fn start(place: &Place, name: &str, mode: &str, server: SocketAddr, options: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let config = place.path(name);
        let forwards = if mode == "http" { "  option forwardfor\n" } else { "" };
        let text = format!(
            "defaults\n  mode {mode}\n  timeout connect 10s\n  timeout client 60s\n  \
             timeout server 60s\n{forwards}listen door\n  bind fd@0\n  \
             server tv {server} {options}\n"
        );
        std::fs::write(&config, text).unwrap();
        let mut haproxy = Command::new("/usr/sbin/haproxy");
        // Not quiet: it would close its door with its standard input.
        haproxy.arg("-db").arg("-f").arg(&config).stdout(Stdio::null()).stderr(Stdio::null());
        let child = haproxy.stdin(Stdio::from(OwnedFd::from(listener))).spawn();
        Self { child: child.expect("scripts/install brings HAProxy"), address }
    }

    /// What a client at this address of 127.0.0.0/8 gets: status and reason.
    fn get(&self, last: u8, path: &str, lines: &str) -> String {
        use socket2::{Domain, Socket, Type};
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let from = SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0));
        socket.bind(&from.into()).unwrap();
        socket.connect(&self.address.into()).unwrap();
        let mut stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: tv\r\nConnection: close\r\n{lines}\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        if stream.read_to_end(&mut answer).is_err() || answer.is_empty() {
            return "closed".to_owned();
        }
        let answer = String::from_utf8_lossy(&answer).to_lowercase();
        let status = answer.split(' ').nth(1).unwrap_or_default();
        let reason = answer.lines().find_map(|line| line.strip_prefix("x-shardcast-reason: "));
        format!("{status} {}", reason.unwrap_or_default()).trim_end().to_owned()
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn clients_behind_haproxy_are_where_it_says() {
    let place = Place::new();
    let config =
        place.config("[[library]]\npath = \"films\"\naccess = \"token\"\n[guard]\nallow = []\n");
    std::fs::create_dir_all(place.path("films/a")).unwrap();
    std::fs::write(place.path("films/a/1.ts"), [7; 1000]).unwrap();
    let text = std::fs::read_to_string(&config).unwrap();
    let text = text.replace("[server]\n", "[server]\ntrusted_proxies = [\"127.0.0.1\"]\n");
    std::fs::write(&config, text).unwrap();
    let server = Running::start(&mut serve(&config));
    let token = done(&config, &["token", "mint", "--network", "127.0.0.9"]);
    let path = format!("/s/{}/vod/a/1.ts", token.trim_end());
    let start = |name, mode, options| Haproxy::start(&place, name, mode, server.public, options);
    let checked = "send-proxy-v2 proxy-v2-options crc32c,unique-id,authority";
    let doors = [
        start("plain", "tcp", "send-proxy-v2"),
        start("checked", "tcp", checked),
        start("fields", "http", ""),
    ];
    for door in &doors {
        until("it listens", || door.get(9, "/healthz", "") == "200");
        assert_eq!(door.get(9, &path, ""), "200");
        assert_eq!(door.get(10, &path, ""), "403 token-elsewhere");
    }
    // What a client says itself is believed by none of them.
    for door in &doors {
        let forged = "X-Forwarded-For: 127.0.0.9\r\n";
        assert_eq!(door.get(10, &path, forged), "403 token-elsewhere");
        let forged = "Forwarded: for=127.0.0.9\r\n";
        assert_ne!(door.get(10, &path, forged), "200");
    }
    // A network that holds the proxy, too, which is never banned.
    done(&config, &["ban", "add", "127.0.0.0/29"]);
    done(&config, &["ban", "add", "127.0.0.9"]);
    for (door, expected) in doors.iter().zip(["closed", "closed", "403 banned"]) {
        until(expected, || door.get(9, &path, "") == expected);
        assert_eq!(door.get(10, &path, ""), "403 token-elsewhere", "others go on");
        assert_eq!(door.get(10, "/healthz", ""), "200");
    }
}
