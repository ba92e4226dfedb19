//! A cache in front of the server, as `dist/nginx-cache.conf` has it: what is cached is shared, and
//! the server is asked about each viewer all the same.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use super::running::{PATIENCE, Place, Running, done, serve, until};

const FILM_SIZE: usize = 100_000;

/// nginx over a folder of its own. Ended when it is dropped.
struct Nginx {
    child: Child,
    address: SocketAddr,
}

impl Nginx {
    fn start(place: &Place, server: SocketAddr) -> Self {
        let folder = place.path("nginx");
        std::fs::create_dir(&folder).unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let ours = concat!(env!("CARGO_MANIFEST_DIR"), "/dist/nginx-cache.conf");
        let mut text = std::fs::read_to_string(ours).unwrap();
        let cache = folder.join("cache");
        for (from, to) in [
            ("/var/cache/nginx/shardcast", cache.to_str().unwrap()),
            ("server 127.0.0.1:8080;", &format!("server {server};")),
            ("listen 80;", &format!("listen {address};")),
        ] {
            assert_eq!(text.matches(from).count(), 1, "{from}");
            text = text.replace(from, to);
        }
        std::fs::write(folder.join("cache.conf"), text).unwrap();
        let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let paths: String =
            paths.iter().map(|kind| format!("{kind}_temp_path {kind};\n")).collect();
        let whole = format!(
            "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr warn;\nevents {{}}\n\
             http {{\naccess_log off;\n{paths}include cache.conf;\n}}\n"
        );
        std::fs::write(folder.join("nginx.conf"), whole).unwrap();
        let mut nginx = Command::new("nginx");
        nginx.arg("-p").arg(&folder).arg("-c").arg(folder.join("nginx.conf"));
        let child = nginx.stdin(Stdio::null()).spawn().expect("nginx is installed");
        until("nginx listens", || TcpStream::connect(address).is_ok());
        Self { child, address }
    }

    /// Status, what the cache says, the server's reason, and the size of the body.
    fn get(&self, path: &str, lines: &str) -> String {
        let mut stream = TcpStream::connect(self.address).expect("nginx listens");
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nHost: tv\r\nConnection: close\r\n{lines}\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
        let head = String::from_utf8_lossy(&answer[..end]);
        let says = |name: &str| {
            let value = head.lines().find_map(|line| line.strip_prefix(name));
            value.map(|value| format!(" {value}")).unwrap_or_default()
        };
        let (cache, reason) = (says("X-Cache-Status: "), says("X-Shardcast-Reason: "));
        let status = &head[9..12];
        match status {
            "200" | "206" => format!("{status}{cache}{reason} {}", answer.len() - end),
            _ => format!("{status}{reason}"),
        }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn what_is_cached_is_shared_and_each_viewer_is_asked_about() {
    let place = Place::new();
    let folder = place.path("films/a");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("1.ts"), vec![7; FILM_SIZE]).unwrap();
    std::fs::write(folder.join("index.m3u8"), "#EXTM3U\n").unwrap();
    let config = place.config("[[library]]\npath = \"films\"\naccess = \"token\"\n");
    let server = Running::start(&mut serve(&config));
    let done = |arguments: &[&str]| done(&config, arguments).trim_end().to_owned();
    done(&["bouquet", "add", "films", "--name", "Films", "--content", "vod/a"]);
    done(&["plan", "add", "gold", "--name", "Gold", "--bouquet", "films"]);
    let [anna, bela] = ["Anna", "Bela"].map(|name| {
        done(&["subscriber", "add", name, "--plan", "gold"]);
        done(&["token", "mint", "--subscriber", name])
    });
    let nginx = Nginx::start(&place, server.public);
    let get = |token: &str, path: &str| nginx.get(&format!("/s/{token}/{path}"), "");
    let film = "vod/a/1.ts";
    until("she may", || get(&anna, "vod/a/index.m3u8") == "200 8");
    assert_eq!(get(&anna, film), format!("200 MISS {FILM_SIZE}"));
    assert_eq!(get(&bela, film), format!("200 HIT {FILM_SIZE}"), "her neighbour's is as good");
    let part = nginx.get(&format!("/s/{bela}/{film}"), "Range: bytes=10-19\r\n");
    assert_eq!(part, "206 HIT 10");
    assert_eq!(get(&anna, "vod/a/2.ts"), "404 not-found");
    assert_eq!(nginx.get(&format!("/{film}"), ""), "403 token-missing");
    assert_eq!(get("garbage", film), "403 token-unknown");
    // Whatever an address looks like to nginx, it is what the server is asked about.
    for path in ["//s/garbage/vod/a/1.ts", "/s/garbage//vod/a/1.ts", "/s/garbage/vod//a/1.ts"] {
        assert_eq!(nginx.get(path, ""), "404 not-found", "{path}");
    }
    for path in ["/s/garbage/vod/%61/1.ts", "/s/garbage/vod/x/../a/1.ts", "/%73/garbage/vod/a/1.ts"]
    {
        let answer = nginx.get(path, "");
        assert!(!answer.starts_with('2'), "{path}: {answer}");
    }
    done(&["subscriber", "set", "Bela", "--status", "blocked"]);
    until("no more", || get(&bela, film) == "403 subscriber-blocked");
    assert_eq!(get(&anna, film), format!("200 HIT {FILM_SIZE}"));
    done(&["subscriber", "rm", "Anna"]);
    until("gone", || get(&anna, film) == "403 subscriber-unknown");
}
