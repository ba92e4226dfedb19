//! Who is kept out: bans by hand and automatic ones, proxies that are believed, and what is logged.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::running::{PATIENCE, Place, Running, done, serve, until, verb};

/// More than fits between a server and a client that reads slowly.
const FILM_SIZE: u64 = 64 << 20;

/// What follows the signature of a PROXY header for the client 192.0.2.7.
const OF_CLIENT: [u8; 16] = [0x21, 0x11, 0, 12, 192, 0, 2, 7, 198, 51, 100, 1, 0x80, 0, 0, 80];
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// A server with a film that is open to all, one that takes a token, and this in its config.
fn place(more: &str, shards: usize) -> (Place, PathBuf) {
    let place = Place::new();
    for folder in ["films/a", "library"] {
        let folder = place.path(folder);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("1.ts"), vec![7; 1000]).unwrap();
        File::create(folder.join("long.ts")).unwrap().set_len(FILM_SIZE).unwrap();
    }
    let films = "[[library]]\npath = \"films\"\naccess = \"token\"\n";
    let config = place.config(&format!("{films}{more}"));
    let text = std::fs::read_to_string(&config).unwrap();
    let text = text.replace("shards = 1\n", &format!("shards = {shards}\n"));
    std::fs::write(&config, text).unwrap();
    (place, config)
}

/// A client at this address of 127.0.0.0/8; none if it is refused.
fn try_connect(public: SocketAddr, last: u8) -> Option<TcpStream> {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let from = SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0));
    socket.bind(&from.into()).unwrap();
    socket.connect(&public.into()).ok()?;
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    Some(stream)
}

fn connected(server: &Running, last: u8) -> TcpStream {
    try_connect(server.public, last).expect("a listener takes it")
}

/// Reads one response with its body; status and reason, or that the connection ended.
fn outcome(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let mut some = [0; 4096];
    loop {
        let head_size = answer.windows(4).position(|four| four == b"\r\n\r\n");
        if let Some(at) = head_size {
            let head = String::from_utf8_lossy(&answer[..at]).into_owned();
            let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name));
            let size = field("Content-Length: ").map_or(0, |size| size.parse().unwrap());
            if answer.len() >= at + 4 + size {
                let status = head.split(' ').nth(1).unwrap_or_default();
                let reason = field("X-Shardcast-Reason: ").unwrap_or_default();
                return format!("{status} {reason}").trim_end().to_owned();
            }
        }
        match stream.read(&mut some) {
            Ok(0) | Err(_) => return "closed".to_owned(),
            Ok(size) => answer.extend_from_slice(&some[..size]),
        }
    }
}

/// One request on a connection that goes on.
fn ask(stream: &mut TcpStream, path: &str, lines: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: tv\r\n{lines}\r\n");
    if stream.write_all(request.as_bytes()).is_err() {
        return "closed".to_owned();
    }
    outcome(stream)
}

/// One request on a connection of its own.
fn fetch(server: &Running, last: u8, path: &str) -> String {
    match try_connect(server.public, last) {
        Some(mut stream) => ask(&mut stream, path, ""),
        None => "closed".to_owned(),
    }
}

fn mint(config: &Path, arguments: &[&str]) -> String {
    done(config, &[&["token", "mint"], arguments].concat()).trim_end().to_owned()
}

/// A client that has begun to watch something long, and has read a little of it.
fn watching(server: &Running, last: u8, path: &str) -> TcpStream {
    let mut stream = connected(server, last);
    write!(stream, "GET {path} HTTP/1.1\r\nHost: tv\r\n\r\n").unwrap();
    let mut some = [0; 20_000];
    stream.read_exact(&mut some).unwrap();
    assert!(some.starts_with(b"HTTP/1.1 200 "));
    stream
}

/// How many bytes came until the connection ended.
fn drained(stream: &mut TcpStream) -> u64 {
    let (mut all, mut some) = (0, vec![0; 1 << 20]);
    loop {
        match stream.read(&mut some) {
            Ok(0) | Err(_) => return all,
            Ok(size) => all += size as u64,
        }
    }
}

#[test]
fn a_banned_network_is_refused_on_every_shard_and_its_stream_ends_and_others_go_on() {
    let (_place, config) = place("[guard]\nallow = [\"127.0.0.44\"]\n", 8);
    let server = Running::start(&mut serve(&config));
    let film = "/vod/library/long.ts";
    let mut banned: Vec<_> = (0..16).map(|_| watching(&server, 5, film)).collect();
    let mut idle = connected(&server, 5);
    assert_eq!(ask(&mut idle, "/vod/library/1.ts", ""), "200");
    let mut good = watching(&server, 6, film);
    done(&config, &["ban", "add", "127.0.0.5", "--reason", "restreams"]);
    let began = Instant::now();
    until("it is closed", || ask(&mut idle, "/vod/library/1.ts", "") == "closed");
    for stream in &mut banned {
        assert!(drained(stream) < FILM_SIZE, "it was cut off");
    }
    // It is a second where nothing else runs.
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    for _ in 0..64 {
        assert_eq!(fetch(&server, 5, "/vod/library/1.ts"), "closed");
        assert_eq!(fetch(&server, 6, "/vod/library/1.ts"), "200");
    }
    write!(good, "GET /vod/library/1.ts HTTP/1.1\r\nHost: tv\r\nConnection: close\r\n\r\n")
        .unwrap();
    assert!(drained(&mut good) > FILM_SIZE - 20_000, "nothing was cut off for others");
    let listed = done(&config, &["ban", "ls"]);
    assert!(listed.contains("127.0.0.5/32  hand     -      restreams\n"), "{listed}");
    let event = server.says("banned");
    assert_eq!((&event["event"], &event["network"]), (&"banned".into(), &"127.0.0.5/32".into()));
    // It is there before the first client comes again.
    server.signal("KILL");
    server.ended();
    let server = Running::start(&mut serve(&config));
    assert_eq!(fetch(&server, 5, "/vod/library/1.ts"), "closed");
    done(&config, &["ban", "rm", "127.0.0.5"]);
    until("it is lifted", || fetch(&server, 5, "/vod/library/1.ts") == "200");
    // One that ends by itself, of a network in which somebody is allowed.
    done(&config, &["ban", "add", "127.0.0.32/27", "--for", "2s"]);
    until("it acts", || fetch(&server, 33, "/vod/library/1.ts") == "closed");
    assert_eq!(fetch(&server, 44, "/vod/library/1.ts"), "200", "guard.allow");
    until("it ends", || fetch(&server, 33, "/vod/library/1.ts") == "200");
    until("it is gone", || done(&config, &["ban", "ls", "--json"]).is_empty());
    let refused = verb(&config, &["ban", "add", "127.0.0.44"]);
    assert!(refused.err.contains("status 409: 127.0.0.44/32 is in guard.allow"), "{}", refused.err);
}

#[test]
fn an_automatic_ban_leaves_the_good_viewers_of_the_address_alone() {
    let (_place, config) = place("[guard]\nallow = []\nban_after = 5\nban_for = \"1h\"\n", 4);
    let server = Running::start(&mut serve(&config));
    let tokens: Vec<_> = (0..100).map(|_| mint(&config, &[])).collect();
    let mut good: Vec<_> = tokens
        .iter()
        .map(|token| (connected(&server, 5), format!("/s/{token}/vod/a/1.ts")))
        .collect();
    // A player with an old address in it, over and over: that is no guessing.
    for _ in 0..200 {
        assert_eq!(fetch(&server, 5, "/s/old/vod/a/1.ts"), "403 token-unknown");
    }
    assert_eq!(done(&config, &["ban", "ls"]).lines().count(), 1);
    let broken = |guess: usize| fetch(&server, 5, &format!("/s/guess{guess}/vod/a/1.ts"));
    let mut guess = 0;
    until("the broken one is banned", || {
        guess += 1;
        for (stream, path) in &mut good {
            assert_eq!(ask(stream, path, ""), "200");
        }
        broken(guess) == "403 banned"
    });
    for (stream, path) in &mut good {
        assert_eq!(ask(stream, path, ""), "200", "who watches");
    }
    for token in &tokens {
        assert_eq!(fetch(&server, 5, &format!("/s/{token}/vod/a/1.ts")), "200", "who comes anew");
    }
    for (path, expected) in [
        ("/player_api.php?username=a&password=b", "403 banned"),
        ("/wp-login.php", "403 banned"),
        ("/img/news-320.jpg", "404"),
        ("/vod/library/1.ts", "200"),
        ("/vod/a/1.ts", "403 token-missing"),
    ] {
        assert_eq!(fetch(&server, 5, path), expected, "{path}");
    }
    assert_eq!(fetch(&server, 6, "/s/guess/vod/a/1.ts"), "403 token-unknown", "somebody else");
    let listed = done(&config, &["ban", "ls"]);
    assert!(listed.contains("127.0.0.5/32  automatic  20"), "{listed}");
    server.signal("KILL");
    server.ended();
    let server = Running::start(&mut serve(&config));
    assert_eq!(fetch(&server, 5, "/wp-login.php"), "403 banned");
    done(&config, &["ban", "rm", "127.0.0.5"]);
    until("it is lifted", || fetch(&server, 5, "/wp-login.php") == "404 not-found");
}

#[test]
fn a_ban_is_among_what_is_explained() {
    let (_place, config) = place("", 1);
    let _server = Running::start(&mut serve(&config));
    done(&config, &["subscriber", "add", "anna"]);
    let explained =
        |from: &str| done(&config, &["subscriber", "explain", "anna", "--from", from, "--json"]);
    let first = |text: &str| serde_json::from_str::<Value>(text).unwrap()["checks"][0].clone();
    assert_eq!(first(&explained("192.0.2.7"))["check"], "status");
    done(&config, &["ban", "add", "192.0.2.0/24", "--reason", "restreams"]);
    let said = || first(&explained("192.0.2.7"))["says"].clone();
    until("it is known", || said() == "192.0.2.0/24 is banned (hand): restreams");
    let told: Value = serde_json::from_str(&explained("192.0.2.7")).unwrap();
    assert_eq!((&told["reason"], &told["deciding"]), (&"banned".into(), &"address".into()));
    assert_eq!(first(&explained("127.0.0.1"))["check"], "status", "guard.allow");
}

#[test]
fn whoever_looks_for_pages_that_nobody_has_is_banned() {
    let (_place, config) = place("[guard]\nallow = []\nban_after = 20\n", 2);
    let server = Running::start(&mut serve(&config));
    for _ in 0..100 {
        assert_eq!(fetch(&server, 5, "/favicon.ico"), "404 not-found");
        assert_eq!(fetch(&server, 5, "/vod/library/gone.ts"), "403 token-missing");
    }
    let mut page = 0;
    until("it is banned", || {
        page += 1;
        fetch(&server, 5, &format!("/backup-{page}.zip")) == "403 banned"
    });
    assert!(page > 15, "{page} pages are few");
}

/// The bytes of a PROXY header for 192.0.2.7.
fn introduction() -> Vec<u8> {
    [&SIGNATURE[..], &OF_CLIENT].concat()
}

#[test]
fn a_trusted_proxy_says_where_its_client_is_and_nobody_else_does() {
    let more = "[log]\naccess = \"combined\"\naccess_path = \"access.log\"\n";
    let (place, config) = place(more, 1);
    let text = std::fs::read_to_string(&config).unwrap();
    let text = text.replace("[server]\n", "[server]\ntrusted_proxies = [\"127.0.0.2\"]\n");
    std::fs::write(&config, text).unwrap();
    let server = Running::start(&mut serve(&config));
    let token = mint(&config, &["--network", "192.0.2.0/24"]);
    let path = format!("/s/{token}/vod/a/1.ts");
    // PROXY, in pieces of all sizes, with the request behind it or later.
    for size in [1, 5, 12, 16, 27, 28, 29, 1_000] {
        let mut stream = connected(&server, 2);
        stream.set_nodelay(true).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: tv\r\n\r\n");
        for piece in [introduction(), request.into_bytes()].concat().chunks(size) {
            stream.write_all(piece).unwrap();
        }
        assert_eq!(outcome(&mut stream), "200", "pieces of {size}");
        assert_eq!(ask(&mut stream, &path, "X-Forwarded-For: 203.0.113.1\r\n"), "200");
    }
    let mut stranger = connected(&server, 3);
    stranger.write_all(&introduction()).unwrap();
    assert_eq!(outcome(&mut stranger), "400 malformed");
    let mut torn = connected(&server, 2);
    torn.write_all(&[&SIGNATURE[..], &[0x31, 0x11, 0, 0]].concat()).unwrap();
    assert_eq!(outcome(&mut torn), "400 malformed");
    // Header fields, with each request.
    let mut proxy = connected(&server, 2);
    for (lines, expected) in [
        ("X-Forwarded-For: 192.0.2.9\r\n", "200"),
        ("X-Forwarded-For: 192.0.2.9, 203.0.113.1\r\n", "403 token-elsewhere"),
        ("Forwarded: for=203.0.113.1, for=\"192.0.2.9:4711\"\r\n", "200"),
        ("", "403 token-elsewhere"),
        ("X-Forwarded-For: 192.0.2.8\r\nForwarded: for=192.0.2.8\r\n", "200"),
    ] {
        assert_eq!(ask(&mut proxy, &path, lines), expected, "{lines}");
    }
    let both = "X-Forwarded-For: 192.0.2.8\r\nForwarded: for=192.0.2.9\r\n";
    assert_eq!(ask(&mut proxy, &path, both), "400 malformed");
    let mut stranger = connected(&server, 3);
    let lines = "X-Forwarded-For: 192.0.2.9\r\n";
    assert_eq!(ask(&mut stranger, &path, lines), "403 token-elsewhere");
    // Whoever is banned is so behind the proxy as well, and the proxy is not.
    let mut behind = connected(&server, 2);
    behind.write_all(&introduction()).unwrap();
    assert_eq!(ask(&mut behind, &path, ""), "200");
    done(&config, &["ban", "add", "192.0.2.7"]);
    until("it is closed", || ask(&mut behind, &path, "") == "closed");
    let mut proxy = connected(&server, 2);
    for (client, expected) in [("192.0.2.7", "403 banned"), ("192.0.2.8", "200")] {
        let lines = format!("X-Forwarded-For: {client}\r\n");
        assert_eq!(ask(&mut proxy, &path, &lines), expected, "{client}");
    }
    let mut behind = connected(&server, 2);
    behind.write_all(&introduction()).unwrap();
    assert_eq!(ask(&mut behind, &path, ""), "closed");
    let logged = || std::fs::read_to_string(place.path("access.log")).unwrap_or_default();
    until("it is logged", || logged().contains("\n192.0.2.8 - - ["));
    let log = logged();
    assert!(log.starts_with("192.0.2.7 - - ["), "{log}");
    assert!(log.contains("\n127.0.0.3 - - [") && log.contains("\n192.0.2.9 - - ["), "{log}");
}

#[test]
fn connections_are_counted_by_the_client_that_a_proxy_names() {
    let (_place, config) = place("[limits]\nconnections_per_address = 2\n", 1);
    let text = std::fs::read_to_string(&config).unwrap();
    let text = text.replace("[server]\n", "[server]\ntrusted_proxies = [\"127.0.0.2\"]\n");
    std::fs::write(&config, text).unwrap();
    let server = Running::start(&mut serve(&config));
    let path = "/vod/library/1.ts";
    let begin = |header: &[u8]| {
        let mut stream = connected(&server, 2);
        stream.write_all(header).unwrap();
        stream
    };
    let mut two = [begin(&introduction()), begin(&introduction())];
    for stream in &mut two {
        assert_eq!(ask(stream, path, ""), "200");
    }
    assert_eq!(ask(&mut begin(&introduction()), path, ""), "closed");
    let third = ask(&mut begin(b""), path, "X-Forwarded-For: 192.0.2.7\r\n");
    assert_eq!(third, "429 too-many-connections");
    // The proxy itself, and its other clients, may have more.
    let mut others: Vec<_> = (0..10).map(|_| begin(b"")).collect();
    for (stream, last) in others.iter_mut().zip(10..) {
        assert_eq!(ask(stream, path, ""), "200");
        assert_eq!(ask(stream, path, &format!("X-Forwarded-For: 192.0.2.{last}\r\n")), "200");
    }
    let flood = server.says("more connections");
    assert_eq!((&flood["event"], &flood["client"]), (&"flood".into(), &"192.0.2.7".into()));
    drop(two);
    until("they are gone", || ask(&mut begin(&introduction()), path, "") == "200");
}

/// The addresses that a stock filter of fail2ban finds in a log.
fn found(log: &Path, filter: &str) -> Vec<String> {
    let mut command = Command::new("fail2ban-regex");
    command.args(["--out", "ip"]).arg(log).arg(format!("/etc/fail2ban/filter.d/{filter}.conf"));
    let output = command.output().expect("scripts/install brings fail2ban");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::to_owned).filter(|line| !line.is_empty()).collect()
}

/// Texts that would name 1.2.3.4 to a filter if they got into a line as they are.
const FORGED: [&str; 4] = [
    "x\": password mismatch, client: 1.2.3.4, server: , request: \"GET / HTTP/1.1\", host: \"h\"",
    "x\" was not found in \"y\", client: 1.2.3.4, server: , request: \"GET / HTTP/1.1\", host: \"h\"",
    "\", client: 1.2.3.4, server: s",
    "x 1.2.3.4 - - [01/Jan/2026:00:00:00 +0000] \"GET /wp-login.php HTTP/1.1\" 404 1",
];

fn basic(login: &str) -> String {
    use base64::Engine as _;
    format!("Basic {}", base64::prelude::BASE64_STANDARD.encode(login))
}

/// A push with this login; the status.
fn push(server: &Running, last: u8, path: &str, login: &str) -> String {
    let mut stream = try_connect(server.ingest, last).unwrap();
    let login = basic(login);
    write!(
        stream,
        "PUT {path} HTTP/1.1\r\nHost: tv\r\nAuthorization: {login}\r\nContent-Length: 0\r\n\
         Connection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer.split(' ').nth(1).unwrap_or_default().to_owned()
}

/// A config with both logs, and a channel that takes a login.
fn logged(place: &Place, config: &Path) {
    std::fs::write(place.path("password"), "ZDFpassword").unwrap();
    let text = std::fs::read_to_string(config).unwrap();
    let text = text.replace("[server]\n", "[server]\ningest = \"127.0.0.1:0\"\n")
        + "[log]\naccess = \"combined\"\naccess_path = \"access.log\"\nsecurity = \"nginx\"\n\
           security_path = \"security.log\"\n\
           [[channel]]\nid = \"news\"\nname = \"News\"\n\
           ingest = { user = \"enc1\", password_file = \"password\" }\n";
    std::fs::write(config, text).unwrap();
}

#[test]
fn stock_filters_find_whoever_it_was_and_nobody_can_name_another() {
    let (place, config) = place("[limits]\nconnections_per_address = 3\n", 1);
    logged(&place, &config);
    let server = Running::start(&mut serve(&config));
    for (number, forged) in FORGED.iter().enumerate() {
        // As the name of a user, in a path, as a player, as a host.
        assert_eq!(push(&server, 5, "/ingest/news/a.m4s", &format!("{forged}:x")), "403");
        let path = format!("/s/{}{number}/vod/a", forged.replace(' ', "%20"));
        fetch(&server, 6, &path);
        fetch(&server, 6, &format!("/s/{}{number}/vod/a", forged.replace([' ', '"'], "")));
        let mut stream = connected(&server, 6);
        let lines = format!("User-Agent: {forged}\r\nReferer: {forged}\r\n");
        ask(&mut stream, &format!("/s/guess{number}/vod/a"), &lines);
    }
    assert_eq!(push(&server, 5, "/ingest/news/a.m4s", "enc1:wrong"), "403");
    assert_eq!(fetch(&server, 7, "/wp-login.php"), "404 not-found");
    let mut stream = connected(&server, 8);
    stream.write_all(b"\x16\x03\x01 hello 1.2.3.4\r\n\r\n").unwrap();
    assert_eq!(outcome(&mut stream), "400 malformed");
    let many: Vec<_> = (0..5).map(|_| connected(&server, 9)).collect();
    let security = place.path("security.log");
    let has = |text: &str| std::fs::read_to_string(&security).is_ok_and(|log| log.contains(text));
    until("all is written", || {
        has("client: 127.0.0.9,") && has("guess3") | has("user \"-\"") && has("\"enc1\"")
    });
    drop(many);
    until("tokens are, too", || found(&security, "nginx-http-auth").contains(&"127.0.0.6".into()));
    let mut of_auth = found(&security, "nginx-http-auth");
    of_auth.sort();
    of_auth.dedup();
    assert_eq!(of_auth, ["127.0.0.5", "127.0.0.6"]);
    let mut of_flood = found(&security, "nginx-limit-req");
    of_flood.dedup();
    assert_eq!(of_flood, ["127.0.0.9"]);
    let access = place.path("access.log");
    until("the access log is, too", || {
        std::fs::read_to_string(&access).is_ok_and(|log| log.contains("127.0.0.8 - - ["))
    });
    let of_scan = found(&access, "nginx-botsearch");
    assert_eq!(of_scan, ["127.0.0.7"]);
    let mut of_malformed = found(&access, "nginx-bad-request");
    of_malformed.sort();
    of_malformed.dedup();
    assert!(of_malformed.contains(&"127.0.0.8".into()), "{of_malformed:?}");
    assert!(!of_malformed.contains(&"1.2.3.4".into()), "{of_malformed:?}");
}

#[test]
fn no_secret_is_in_anything_that_the_server_says() {
    let (place, config) = place("", 1);
    logged(&place, &config);
    let mut command = serve(&config);
    command.env("SHARDCAST_LOG_LEVEL", "trace,hyper=off");
    let server = Running::start(&mut command);
    let token = mint(&config, &[]);
    let secret = "ZDFsecret";
    for path in [
        format!("/s/{secret}/vod/a/1.ts"),
        format!("/s/{token}/vod/a/1.ts"),
        format!("/live/bob/{secret}/1.ts"),
        format!("/movie/bob/{secret}/1.mp4"),
        format!("/bob/{secret}/123.ts"),
        format!("/get.php?username=bob&password={secret}"),
        format!("/player_api.php?username=bob&password={secret}"),
        format!("/hdhr/{secret}/lineup.json"),
        format!("/vod/library/1.ts?token={secret}"),
    ] {
        let mut stream = connected(&server, 5);
        let lines = format!(
            "Authorization: {}\r\nCookie: a={secret}\r\nReferer: http://tv{path}\r\n",
            basic(&format!("bob:{secret}"))
        );
        assert_ne!(ask(&mut stream, &path, &lines), "closed");
    }
    assert_eq!(push(&server, 5, "/ingest/news/a.m4s", &format!("enc1:{secret}")), "403");
    assert_ne!(push(&server, 5, "/ingest/news/a.m4s", "enc1:ZDFpassword"), "403");
    let read = |name: &str| std::fs::read_to_string(place.path(name)).unwrap_or_default();
    until("it is logged", || {
        read("access.log").lines().count() >= 9 && read("security.log").lines().count() >= 2
    });
    server.signal("TERM");
    let said: Vec<Value> = server.all_it_says();
    let said = said.iter().map(Value::to_string).collect::<String>();
    assert!(said.contains("credential-refused"), "{said}");
    let encoded = basic(&format!("bob:{secret}"));
    for (name, log) in
        [("stderr", said), ("access", read("access.log")), ("security", read("security.log"))]
    {
        for secret in [secret, "ZDFpassword", &token, encoded.strip_prefix("Basic ").unwrap()] {
            assert!(!log.contains(secret), "{name} has {secret}: {log}");
        }
    }
}

#[test]
fn an_encoder_that_guesses_is_locked_out_and_another_is_not() {
    let (place, config) = place("", 1);
    logged(&place, &config);
    let server = Running::start(&mut serve(&config));
    let guess = |number: u32| push(&server, 5, "/ingest/news/a.m4s", &format!("enc1:{number}"));
    for _ in 0..50 {
        assert_eq!(guess(0), "403", "the same over and over");
    }
    let statuses: Vec<_> = (0..40).map(guess).collect();
    assert_eq!(statuses.iter().filter(|status| *status == "403").count(), 20, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| *status == "429").count(), 20, "{statuses:?}");
    let right = |last| push(&server, last, "/ingest/news/a.m4s", "enc1:ZDFpassword");
    assert_eq!(right(5), "429", "it is not looked at");
    assert_ne!(right(6), "429", "the same user elsewhere");
}
