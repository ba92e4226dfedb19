//! Apps that start channels and films by addresses with a user name and a password in them.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::Command;

use serde_json::Value;

use super::http::{self, Answer, Answering};
use super::{Station, channel, config, transport, uris};
use crate::running::{self, PATIENCE, Place, Running, done, run, serve, until};

/// Anna's password; it is nowhere to be seen.
const SECRET: &str = "Zq7-horse&battery";
/// As players write it.
const WRITTEN: &str = "Zq7-horse%26battery";

const FILM: usize = 100_000;

/// A server with a channel and films that take a token, and Anna, whose plan has them all.
fn station(more: &str, shards: usize) -> Station {
    let place = Place::new();
    std::fs::create_dir_all(place.path("films/p")).unwrap();
    std::fs::create_dir_all(place.path("films/two words")).unwrap();
    std::fs::write(place.path("films/x.mp4"), vec![7; FILM]).unwrap();
    std::fs::write(place.path("films/p/master.m3u8"), "#EXTM3U\n").unwrap();
    std::fs::write(place.path("films/two words/master.m3u8"), "#EXTM3U\n").unwrap();
    let library = "[[library]]\npath = \"films\"\naccess = \"token\"\n";
    let news = format!("{}access = \"token\"\n", channel("news"));
    let config = config(&place, &format!("{library}{news}{}{more}", channel("mark")));
    let text = std::fs::read_to_string(&config).unwrap();
    let text = text.replace("shards = 1\n", &format!("shards = {shards}\n"));
    std::fs::write(&config, text).unwrap();
    let server = Running::start(&mut serve(&config));
    let station = Station { server, place, marks: Default::default() };
    let mark = super::boxes::header(super::Media::Picture);
    assert_eq!(station.put("mark/v/init.mp4", &mark).status, 200);
    for (at, segment) in transport::segments(4).iter().enumerate() {
        assert_eq!(station.put(&format!("news/s{at}.ts"), segment).status, 200);
    }
    station.settle();
    let verb = |arguments: &[&str]| done(&config, arguments);
    for asset in ["x.mp4", "p", "two words", "gone"] {
        verb(&["asset", "add", asset, "--name", asset]);
    }
    verb(&["series", "add", "b", "--name", "B"]);
    let episode = r#"{"id":"b-1","series":"b","season":1,"episode":1,"asset":"x.mp4"}"#;
    let added = station.place.socket_ask("POST", "/api/v1/episodes", episode);
    assert!(added.starts_with("HTTP/1.1 201"), "{added}");
    let content = ["tv/news", "vod/x.mp4", "vod/p", "vod/two words", "vod/gone"];
    let content = content.iter().flat_map(|of| ["--content", of]);
    let bouquet = ["bouquet", "add", "all", "--name", "All"].into_iter().chain(content);
    verb(&bouquet.collect::<Vec<_>>());
    verb(&["plan", "add", "gold", "--name", "Gold", "--bouquet", "all", "--sessions", "0"]);
    verb(&["subscriber", "add", "Anna", "--plan", "gold"]);
    let body = format!("{{\"name\":\"tv\",\"password\":\"{SECRET}\"}}");
    let path = "/api/v1/subscribers/Anna/app-passwords";
    let added = station.place.socket_ask("POST", path, &body);
    assert!(added.starts_with("HTTP/1.1 201"), "{added}");
    // Her plan is told on another way than her password.
    let film = station.address("/movie", station.number("assets/x.mp4"), ".mp4");
    until("she may", || station.starts(&film) == "200");
    station
}

impl Station {
    /// The number of an object.
    fn number(&self, path: &str) -> u64 {
        let told = self.place.socket_get(&format!("/api/v1/{path}"));
        let (_, body) = told.split_once("\r\n\r\n").unwrap();
        let told: Value = serde_json::from_str(body).unwrap_or_else(|_| panic!("{told}"));
        told["number"].as_u64().unwrap_or_else(|| panic!("{told}"))
    }

    /// What the app of this name gets.
    fn app(&self, path: &str, lines: &str) -> Answer {
        let head = format!("GET {path} HTTP/1.1\r\nHost: tv\r\nUser-Agent: App\r\n{lines}");
        http::ask(self.server.public, &head, b"").expect("a whole answer")
    }

    /// What it is told of that.
    fn head(&self, path: &str) -> Answer {
        let mut stream = http::connect(self.server.public);
        let head = format!("HEAD {path} HTTP/1.1\r\nHost: tv\r\nUser-Agent: App\r\n");
        stream.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes()).unwrap();
        let mut head = String::new();
        stream.read_to_string(&mut head).unwrap();
        assert!(head.ends_with("\r\n\r\n"), "no body: {head}");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
        Answer { status, head, body: Vec::new() }
    }

    fn starts(&self, path: &str) -> String {
        let answer = self.app(path, "");
        let reason = answer.header("X-Shardcast-Reason").unwrap_or_default();
        format!("{} {reason}", answer.status).trim_end().to_owned()
    }

    fn address(&self, kind: &str, number: u64, extension: &str) -> String {
        format!("{kind}/Anna/{WRITTEN}/{number}{extension}")
    }
}

#[test]
fn a_channel_plays_by_its_number_as_a_playlist_and_as_a_stream() {
    let station = station("", 2);
    let news = station.number("channels/news");
    let playlist = station.address("/live", news, ".m3u8");
    let first = station.app(&playlist, "");
    assert_eq!((first.status, first.header("Cache-Control")), (200, Some("no-store")));
    assert_eq!(first.header("Referrer-Policy"), Some("no-referrer"));
    let own = |prefix: &str| format!("{prefix}/tv/news/master.m3u8");
    let listed = uris(first.text());
    let token = listed[0].split('/').nth(2).unwrap().to_owned();
    let own = station.app(&own(&format!("/s/{token}")), "");
    let whole = format!("/s/{token}/tv/news/s/");
    let expected = own.text().replace("\ns/", &format!("\n{whole}"));
    let expected = expected.replace("\"s/", &format!("\"{whole}"));
    assert_eq!(first.text(), expected, "the channel's own, with whole paths");
    assert_eq!(station.app(listed[0], "").status, 200);
    // From any shard, by any form of the address.
    for _ in 0..20 {
        let again = station.app(&station.address("", news, ".m3u8"), "");
        assert_eq!(again.text(), first.text());
    }
    let head = station.head(&playlist);
    assert_eq!(head.header("Content-Length"), Some(&*first.body.len().to_string()));
    let other = http::get(station.server.public, &playlist);
    assert_ne!(other.text(), first.text(), "another player is another device");
    let url = |path: &str| format!("http://{}{path}", station.server.public);
    assert_eq!(transport::complaints(&url(&playlist), 2), "");
    let mut ffprobe = Command::new("ffprobe");
    ffprobe.args(["-v", "error", "-show_entries", "stream=codec_name", "-of", "csv=p=0"]);
    let said = run(ffprobe.arg(url(&playlist)));
    assert!(said.out.contains("h264") && said.out.contains("aac"), "{} {}", said.out, said.err);
    for extension in [".ts", ""] {
        let path = station.address("/live", news, extension);
        let stream = Answering::get(station.server.public, &path);
        assert_eq!(stream.status, 200, "{path}");
        assert!(stream.head.contains("\r\nContent-Type: video/mp2t\r\n"), "{}", stream.head);
    }
}

#[test]
fn a_film_is_sent_as_it_is_by_range_and_a_folder_leads_to_its_playlist() {
    let station = station("", 1);
    let film = station.address("/movie", station.number("assets/x.mp4"), ".mp4");
    let episode = station.address("/series", station.number("episodes/b-1"), ".mkv");
    let folder = |asset: &str| station.address("/movie", station.number(asset), ".mp4");
    for path in [&film, &episode] {
        let whole = station.app(path, "");
        assert_eq!((whole.status, whole.body.len()), (200, FILM));
        assert_eq!(whole.header("Content-Type"), Some("video/mp4"), "it is what it is");
        assert!(whole.header("Cache-Control").unwrap().starts_with("private, "));
        let head = station.head(path);
        let field = |name| head.header(name).unwrap_or_default();
        assert_eq!((head.status, field("Content-Length")), (200, &*FILM.to_string()));
        assert_eq!(field("Accept-Ranges"), "bytes");
        let part = station.app(path, "Range: bytes=99990-\r\n");
        assert_eq!((part.status, part.body.len()), (206, 10));
        assert_eq!(part.header("Content-Range"), Some("bytes 99990-99999/100000"));
    }
    for (asset, behind) in
        [("assets/p", "/vod/p/master.m3u8"), ("assets/two%20words", "/vod/two%20words/master.m3u8")]
    {
        let moved = station.app(&folder(asset), "");
        assert_eq!((moved.status, moved.header("Cache-Control")), (302, Some("no-store")));
        let location = moved.header("Location").unwrap();
        assert!(location.starts_with("/s/") && location.ends_with(behind), "{location}");
        assert_eq!(station.app(location, "").text(), "#EXTM3U\n");
    }
    assert_eq!(station.starts(&folder("assets/gone")), "404 not-found");
}

#[test]
fn where_it_is_set_so_a_playlist_is_a_redirection() {
    let station = station("[apps]\nstart = \"redirect\"\n", 1);
    let path = station.address("/live", station.number("channels/news"), ".m3u8");
    let moved = station.app(&path, "");
    assert_eq!(moved.status, 302);
    let location = moved.header("Location").unwrap();
    assert!(location.ends_with("/tv/news/master.m3u8"), "{location}");
    assert_eq!(station.app(location, "").status, 200);
    let text = std::fs::read_to_string(station.config()).unwrap();
    std::fs::write(station.config(), text.replace("\"redirect\"", "\"playlist\"")).unwrap();
    station.server.signal("HUP");
    until("it is read again", || station.app(&path, "").status == 200);
}

#[test]
fn whoever_may_not_start_something_is_told_why_and_no_password_is_told_anybody() {
    let log = "[log]\naccess = \"json\"\naccess_path = \"access.log\"\n";
    let station = station(log, 1);
    let config = station.config();
    let news = station.number("channels/news");
    let right = station.address("/live", news, ".m3u8");
    let mark = station.number("channels/mark");
    assert_eq!(station.starts(&station.address("/live", mark, ".ts")), "403 not-entitled");
    assert_eq!(station.starts(&station.address("/live", 9_999, ".ts")), "404 not-found");
    assert_eq!(station.starts(&station.address("/movie", 9_999, ".mp4")), "404 not-found");
    // Whoever is nobody, and whoever says a wrong password, hears the same.
    let [wrong, nobody] = ["Anna/Zq7-wrong", "Zoe/Zq7-wrong"].map(|said| {
        let answer = station.app(&format!("/live/{said}/{news}.ts"), "");
        assert_eq!(answer.status, 403);
        let head = answer.head.lines().filter(|line| !line.starts_with("Date")).collect::<String>();
        (head, answer.body)
    });
    assert_eq!(wrong, nobody);
    assert!(wrong.0.contains("X-Shardcast-Reason: password-wrong"), "{}", wrong.0);
    for (change, expected) in [
        (&["--expires", "1000"][..], "403 subscriber-expired"),
        (&["--unset", "expires", "--status", "blocked"], "403 subscriber-blocked"),
    ] {
        done(&config, &[&["subscriber", "set", "Anna"], change].concat());
        until(expected, || station.starts(&right) == expected);
        // However often: it is right.
        for _ in 0..100 {
            assert_eq!(station.starts(&right), expected);
        }
    }
    let explained = done(&config, &["subscriber", "explain", "Anna"]);
    assert!(explained.contains("subscriber-blocked"), "{explained}");
    done(&config, &["subscriber", "set", "Anna", "--status", "active"]);
    until("she may again", || station.starts(&right) == "200");
    // One that is taken away starts nothing any more.
    let path = "/api/v1/subscribers/Anna/app-passwords/tv";
    assert!(station.place.socket_ask("DELETE", path, "").starts_with("HTTP/1.1 204"));
    until("it is gone", || station.starts(&right) == "403 password-wrong");
    let log = station.place.path("access.log");
    let read = || std::fs::read_to_string(&log).unwrap_or_default();
    until("it is written", || read().matches("/live/").count() > 200);
    station.server.signal("TERM");
    let lines = station.server.all_it_says();
    let told = [explained, read(), serde_json::to_string(&lines).unwrap()];
    for text in told {
        assert!(!text.contains("Zq7") && !text.contains("battery"), "{text}");
    }
}

/// A client at this address of 127.0.0.0/8, on one of the shards.
fn connected(public: SocketAddr, last: u8) -> TcpStream {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0)).into()).unwrap();
    socket.connect(&public.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn send(stream: &mut TcpStream, path: &str) {
    write!(stream, "HEAD {path} HTTP/1.1\r\nHost: tv\r\n\r\n").unwrap();
}

/// The reason that a request was refused for; none = it was not.
fn answered(stream: &mut TcpStream) -> Option<String> {
    let (mut head, mut some) = (Vec::new(), [0; 4096]);
    while !head.ends_with(b"\r\n\r\n") {
        let size = stream.read(&mut some).unwrap();
        assert!(size > 0, "it goes on");
        head.extend_from_slice(&some[..size]);
    }
    let head = String::from_utf8(head).unwrap();
    head.lines().find_map(|line| line.strip_prefix("X-Shardcast-Reason: ")).map(str::to_owned)
}

fn refused(stream: &mut TcpStream, path: &str) -> Option<String> {
    send(stream, path);
    answered(stream)
}

#[test]
fn of_ten_thousand_guesses_as_many_are_looked_at_as_are_stated() {
    const SHARDS: usize = 2;
    const AT_ONCE: usize = 100;
    let station = station("", SHARDS);
    let public = station.server.public;
    let number = station.number("assets/x.mp4");
    let film = |password: &str| format!("/movie/Anna/{password}/{number}.mp4");
    let right = film(WRITTEN);
    let mut neighbour = connected(public, 7);
    assert_eq!(refused(&mut neighbour, &right), None, "who said the right one there before");
    let mut streams: Vec<_> = (0..AT_ONCE).map(|_| connected(public, 7)).collect();
    let (mut wrong, mut locked_out) = (0, 0);
    for round in 0..10_000 / AT_ONCE {
        for (at, stream) in streams.iter_mut().enumerate() {
            send(stream, &film(&format!("guess{round}-{at}")));
        }
        for stream in &mut streams {
            match answered(stream).as_deref() {
                Some("password-wrong") => wrong += 1,
                Some("locked-out") => locked_out += 1,
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!((wrong, locked_out), (20, 9_980), "of all shards together");
    // The right one is looked at by no shard that heard a guess, unless it was said there before.
    let outcomes: Vec<_> = streams.iter_mut().map(|stream| refused(stream, &right)).collect();
    let locked_out = outcomes.iter().flatten().filter(|reason| *reason == "locked-out").count();
    assert_eq!(locked_out, outcomes.iter().flatten().count(), "{outcomes:?}");
    assert_eq!(refused(&mut neighbour, &right), None, "it goes on");
    assert_eq!(refused(&mut connected(public, 8), &right), None, "and so does another address");
    running::until("it is said", || {
        station.server.says("too many passwords")["event"] == "locked-out"
    });
}
