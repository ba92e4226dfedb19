//! How fast players are sent to, and when the machine sends enough: caps of plans, CMCD, egress.
//!
//! Bytes are counted that clients have read, over some seconds, with room for a busy machine; the
//! long form (`SHARDCAST_FULL`) takes half a minute and holds caps to a tenth.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::running::{PATIENCE, Place, Running, done, serve, until};

const SHARDS: usize = 8;

/// Of which a segment at 8 Mbit a second plays half a second.
const SEGMENT_SIZE: u64 = 500_000;

/// Plans with a cap of 32 Mbit a second, and without one.
const CAP_KBPS: u64 = 32_000;

fn is_full_form() -> bool {
    std::env::var_os("SHARDCAST_FULL").is_some()
}

/// A server with a long film and some short ones, and with `more` in its config.
fn started(http: &str, limits: &str) -> (Place, PathBuf, Running) {
    let place = Place::new();
    for film in ["films/a", "films/b"] {
        let folder = place.path(film);
        std::fs::create_dir_all(&folder).unwrap();
        File::create(folder.join("1.ts")).unwrap().set_len(SEGMENT_SIZE).unwrap();
        File::create(folder.join("long.ts")).unwrap().set_len(1 << 30).unwrap();
    }
    // Of this one a playlist says what its renditions take.
    let rendition = place.path("films/b/h");
    std::fs::create_dir_all(&rendition).unwrap();
    File::create(rendition.join("long.ts")).unwrap().set_len(1 << 30).unwrap();
    let variant =
        |name, bandwidth| format!("#EXT-X-STREAM-INF:BANDWIDTH={bandwidth}\n{name}/index.m3u8\n");
    let playlist = format!("#EXTM3U\n{}{}", variant("v", 900_000), variant("h", 4_000_000));
    std::fs::write(place.path("films/b/master.m3u8"), playlist).unwrap();
    let more = format!(
        "[[library]]\npath = \"films\"\naccess = \"token\"\n[http]\n{http}\n\
         [limits]\n{limits}\n"
    );
    let config = place.config(&more);
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("shards = 1\n", &format!("shards = {SHARDS}\n"))).unwrap();
    let server = Running::start(&mut serve(&config));
    let bouquet = ["bouquet", "add", "films", "--name", "Films"];
    done(&config, &[&bouquet[..], &["--content", "vod/a", "--content", "vod/b"]].concat());
    for (plan, rate) in [("capped", CAP_KBPS), ("free", 0)] {
        let add = ["plan", "add", plan, "--name", plan, "--bouquet", "films", "--sessions", "0"];
        done(&config, &[&add[..], &["--rate", &rate.to_string()]].concat());
    }
    (place, config, server)
}

/// A new subscriber of this plan, whom every shard knows: the token.
fn subscriber(config: &Path, server: &Running, name: &str, plan: &str) -> String {
    done(config, &["subscriber", "add", name, "--plan", plan]);
    let token = done(config, &["token", "mint", "--subscriber", name]).trim_end().to_owned();
    let is_known = |_| fetch(server.public, &token, "c/1.ts", "").1 == "403 not-entitled";
    until("every shard knows the subscriber", || (0..6 * SHARDS).all(is_known));
    token
}

fn ask(public: SocketAddr, token: &str, path: &str, lines: &str) -> TcpStream {
    let mut stream = TcpStream::connect(public).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!("GET /s/{token}/vod/{path} HTTP/1.1\r\nHost: tv\r\n{lines}");
    // The first one counts, and may stand in `lines`.
    write!(stream, "{head}User-Agent: TV\r\nConnection: close\r\n\r\n").unwrap();
    stream
}

/// The size of a whole answer, its status and reason.
fn fetch(public: SocketAddr, token: &str, path: &str, lines: &str) -> (usize, String) {
    let mut answer = Vec::new();
    ask(public, token, path, lines).read_to_end(&mut answer).unwrap();
    let head = String::from_utf8_lossy(&answer[..answer.len().min(1000)]).into_owned();
    let status = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let reason = head.lines().find_map(|line| line.strip_prefix("X-Shardcast-Reason: "));
    let outcome = format!("{status} {}", reason.unwrap_or_default()).trim_end().to_owned();
    (answer.len(), outcome)
}

/// What so many clients read in so long, all of whom begin at once.
fn read_for(server: &Running, time: Duration, count: usize, token: &str, lines: &str) -> usize {
    read_of("a/long.ts", server, time, count, (token, lines))
}

fn read_of(
    path: &str,
    server: &Running,
    time: Duration,
    count: usize,
    (token, lines): (&str, &str),
) -> usize {
    let (public, sum) = (server.public, AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..count {
            scope.spawn(|| {
                let mut bytes = vec![0; 1 << 16];
                let mut stream = ask(public, token, path, lines);
                let began = Instant::now();
                stream.set_read_timeout(Some(time)).unwrap();
                while began.elapsed() < time {
                    // Nothing came in all that time.
                    let Ok(size) = stream.read(&mut bytes) else { return };
                    if size == 0 {
                        return;
                    }
                    sum.fetch_add(size, Ordering::Relaxed);
                }
            });
        }
    });
    sum.into_inner()
}

/// A number from the metrics.
fn metric(server: &Running, name: &str) -> u64 {
    let text = server.admin_get("/metrics");
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("{name}: {text}")).parse().unwrap()
}

#[test]
fn a_plan_s_cap_holds_for_a_session_from_one_and_from_eight_connections() {
    let (_place, config, server) = started("", "");
    // Before the windows of a client open, a quarter of a second of it is on its way.
    let (seconds, least, most) = if is_full_form() { (30, 90, 110) } else { (6, 50, 160) };
    for (name, count) in [("One", 1), ("Eight", 8)] {
        let token = subscriber(&config, &server, name, "capped");
        let read = read_for(&server, Duration::from_secs(seconds), count, &token, "") as u64;
        let percent = read * 8 * 100 / (CAP_KBPS * 1000 * seconds);
        println!("{count} connections: {percent} % of the cap over {seconds} s");
        assert!((least..=most).contains(&percent), "{count} connections: {percent} %");
    }
    let free = subscriber(&config, &server, "Free", "free");
    let read = read_for(&server, Duration::from_secs(2), 1, &free, "") as u64;
    assert!(read * 8 / 2 > 2 * CAP_KBPS * 1000, "nobody else is held back: {read}");
}

#[test]
fn a_rate_is_set_when_it_changes_and_not_with_every_request() {
    const REQUESTS: u64 = 50;
    let (_place, config, server) = started("", "");
    done(&config, &["plan", "set", "capped", "--rate", "4000000"]);
    let token = subscriber(&config, &server, "Anna", "capped");
    let mut stream = TcpStream::connect(server.public).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    for _ in 0..REQUESTS {
        write!(stream, "GET /s/{token}/vod/a/1.ts HTTP/1.1\r\nHost: tv\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        let mut bytes = vec![0; 1 << 16];
        let is_whole = |answer: &[u8]| {
            let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
            end.is_some_and(|end| answer.len() as u64 == end as u64 + 4 + SEGMENT_SIZE)
        };
        while !is_whole(&answer) {
            let size = stream.read(&mut bytes).unwrap();
            assert!(size > 0, "the connection ended");
            answer.extend(&bytes[..size]);
        }
    }
    let changes = metric(&server, "shardcast_pacing_changes_total");
    assert!((1..=REQUESTS / 5).contains(&changes), "{changes} of {REQUESTS}");
}

#[test]
fn a_player_that_always_hurries_gains_no_more_than_its_credit() {
    // Four times real time is 2 MB a second, half a minute of media 15 MB.
    const MEDIA: u64 = 500_000;
    const LINES: &str = "CMCD-Object: br=4000,ot=v,d=4000\r\n";
    let (_place, config, server) = started("pacing = \"on\"", "");
    let seconds = if is_full_form() { 30 } else { 5 };
    let time = Duration::from_secs(seconds);
    let (real_time, credit) = (seconds * 4 * MEDIA, 30 * MEDIA);
    // What is in flight before a rate is known, and what comes back of the credit meanwhile.
    let slack = |connections: u64| connections * 2 * MEDIA + real_time / 10 + credit / 5;
    let hurry = format!("{LINES}CMCD-Request: su\r\n");
    for (name, connections) in [("One", 1), ("Four", 4)] {
        let token = subscriber(&config, &server, name, "free");
        let read = read_for(&server, time, connections as usize, &token, &hurry) as u64;
        println!("{connections} in a hurry: {read}, of {real_time} and {credit}");
        assert!(read <= real_time + credit + slack(connections), "{read} with {connections}");
        assert!(read >= real_time / 2 + credit / 2, "it begins faster: {read}");
        // What it had it has had.
        let read = read_for(&server, time, connections as usize, &token, &hurry) as u64;
        println!("{connections} once more: {read}");
        assert!(read <= real_time + credit / 2 + slack(connections), "{read}, once more");
    }
    let token = subscriber(&config, &server, "Calm", "free");
    let read = read_for(&server, time, 1, &token, LINES) as u64;
    println!("calm: {read} of {real_time}");
    assert!((real_time / 2..=real_time + slack(1)).contains(&read), "{read} of {real_time}");
    let wanted = format!("{LINES}CMCD-Status: rtp=8000\r\n");
    let token = subscriber(&config, &server, "Modest", "free");
    let read = read_for(&server, time, 1, &token, &wanted) as u64;
    println!("modest: {read} of {}", real_time / 2);
    assert!((real_time / 4..=real_time / 2 + slack(1)).contains(&read), "{read}, and half wanted");
}

#[test]
fn a_player_that_says_nothing_is_held_to_what_its_rendition_takes() {
    const MEDIA: u64 = 500_000;
    let (_place, config, server) = started("pacing = \"on\"", "");
    let seconds = if is_full_form() { 30 } else { 5 };
    let time = Duration::from_secs(seconds);
    let (real_time, credit) = (seconds * 4 * MEDIA, 30 * MEDIA);
    // What is in flight before a rate is known, and what comes back of the credit meanwhile.
    let slack = |connections: u64| connections * 2 * MEDIA + real_time / 10 + credit / 5;
    // Nor is one believed that says that it plays far more.
    let boasts = "CMCD-Object: br=900000,ot=v,d=4000\r\nCMCD-Request: su\r\n";
    for (name, connections, lines) in [("One", 1, ""), ("Four", 4, ""), ("Boasts", 1, boasts)] {
        let token = subscriber(&config, &server, name, "free");
        for _ in 0..6 * SHARDS {
            assert_eq!(fetch(server.public, &token, "b/master.m3u8", "").1, "200");
        }
        let read = || {
            let of = (&*token, lines);
            read_of("b/h/long.ts", &server, time, connections as usize, of) as u64
        };
        let (first, again) = (read(), read());
        println!("{name}: {first}, {again}, of {real_time} and {credit}");
        assert!(first <= real_time + credit + slack(connections), "{name}: {first}");
        assert!(first >= real_time / 2 + credit / 2, "{name} begins faster: {first}");
        assert!(again <= real_time + credit / 2 + slack(connections), "{name} again: {again}");
    }
    // Of what nobody knows nothing is held back.
    let token = subscriber(&config, &server, "Unknown", "free");
    let read = read_for(&server, Duration::from_secs(2), 1, &token, "") as u64;
    assert!(read > 2 * (2 * 4 * MEDIA + credit), "{read}");
}

#[test]
fn what_players_say_of_themselves_is_told_of_their_sessions() {
    let (_place, config, server) = started("", "");
    let token = subscriber(&config, &server, "Anna", "free");
    let public = server.public;
    let lines = "CMCD-Object: br=3000,ot=v\r\nCMCD-Request: bl=9000,mtp=25400,su\r\n\
                 CMCD-Session: sid=\"a,b\",x\"\r\nCMCD-Session: sid=\"a\"\r\n";
    assert_eq!(fetch(public, &token, "a/1.ts", lines).1, "200");
    let query = "a/1.ts?CMCD=bl%3D700%2Cbs%2Cot%3Dv%2Cbr%3D2000";
    for _ in 0..2 {
        assert_eq!(fetch(public, &token, query, "").1, "200", "found as without it");
    }
    // What it says can't hide what is asked for, nor find what is not there.
    assert_eq!(fetch(public, &token, "a/2.ts?CMCD=bl%3D1", "").1, "404 not-found");
    assert_eq!(fetch(public, &token, "a/1.ts?CMCD=%zz%", "").1, "200");
    until("the session tells of it", || {
        let all = done(&config, &["session", "ls", "--json"]);
        let session = all.lines().next().map(serde_json::from_str::<serde_json::Value>);
        let Some(Ok(session)) = session else { return false };
        let player = &session["player"];
        let id = player["player_session"].as_str().unwrap_or_default();
        id.len() == 16
            && player["requests"] == 4
            && player["stalls"] == 2
            && player["starts"] == 1
            && player["buffer_min_ms"] == 700
            && player["throughput_kbps"] == 25_400
            && player["object"] == "video"
    });
    assert_eq!(metric(&server, "shardcast_cmcd_requests_total{object=\"video\"}"), 3);
    assert_eq!(metric(&server, "shardcast_cmcd_requests_total{object=\"other\"}"), 2);
    assert_eq!(metric(&server, "shardcast_cmcd_stalls_total"), 2);
    assert_eq!(metric(&server, "shardcast_cmcd_starts_total"), 1);
    assert_eq!(metric(&server, "shardcast_cmcd_malformed_total"), 2);
    assert_eq!(metric(&server, "shardcast_pacing_changes_total"), 0, "nobody asked for that");
}

#[test]
fn a_machine_that_sends_enough_refuses_new_sessions_and_serves_those_that_are_there() {
    const PLAYERS: usize = 2;
    let (_place, config, server) = started("", "egress = \"12Mbit\"");
    let name = |at: usize| format!("Player{at}");
    let tokens: Vec<_> =
        (0..PLAYERS).map(|at| subscriber(&config, &server, &name(at), "free")).collect();
    let others: Vec<_> =
        (0..2).map(|at| subscriber(&config, &server, &format!("New{at}"), "free")).collect();
    let (public, is_over) = (server.public, AtomicBool::new(false));
    let fetched = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        // Each takes 8 Mbit a second, on a connection of its own for each segment: on any shard.
        for token in &tokens {
            let (is_over, fetched) = (&is_over, &fetched);
            scope.spawn(move || {
                let mut playing_until = Instant::now() + Duration::from_secs(10);
                while !is_over.load(Ordering::Relaxed) {
                    let next = Instant::now() + Duration::from_millis(500);
                    let (size, outcome) = fetch(public, token, "a/1.ts", "");
                    assert_eq!(outcome, "200", "a player that is there");
                    assert!(size as u64 > SEGMENT_SIZE, "all of it");
                    assert!(Instant::now() < playing_until, "a player with 10 s in hand");
                    playing_until += Duration::from_millis(500);
                    fetched.fetch_add(1, Ordering::Relaxed);
                    std::thread::sleep(next.saturating_duration_since(Instant::now()));
                }
            });
        }
        let until_or_end = |what: &str, is_so: &mut dyn FnMut() -> bool| {
            let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                until(what, is_so);
            }));
            if let Err(why) = found {
                is_over.store(true, Ordering::Relaxed);
                std::panic::resume_unwind(why);
            }
        };
        until_or_end("the machine is full", &mut || metric(&server, "shardcast_egress_full") == 1);
        let mut count = 0;
        until_or_end("every shard refuses new sessions", &mut || {
            (0..2 * SHARDS).all(|_| {
                // Whoever was let in before may go on, so it is another player every time.
                count += 1;
                let agent = format!("User-Agent: {count}\r\n");
                fetch(public, &others[0], "b/1.ts", &agent).1 == "503 egress-full"
            })
        });
        let before = fetched.load(Ordering::Relaxed);
        until_or_end("players go on meanwhile", &mut || {
            assert_ne!(fetch(public, &tokens[0], "b/1.ts", "").1, "503 egress-full", "it zaps");
            std::thread::sleep(Duration::from_millis(200));
            fetched.load(Ordering::Relaxed) > before + 6 * PLAYERS
        });
        let refused = fetch(public, &others[1], "a/1.ts", "");
        is_over.store(true, Ordering::Relaxed);
        assert_eq!(refused.1, "503 egress-full");
    });
    assert_eq!(metric(&server, "shardcast_egress_full"), 1);
    assert!(metric(&server, "shardcast_refusals_total{reason=\"egress-full\"}") >= 2);
    until("there is room again", || {
        std::thread::sleep(Duration::from_millis(200));
        fetch(public, &others[1], "a/1.ts", "").1 == "200"
    });
}

#[test]
fn responses_tell_players_of_themselves_where_that_is_wanted() {
    let (place, config, server) = started("cmsd = \"on\"", "");
    std::fs::write(place.path("library/s.m4s"), vec![7; 2_048]).unwrap();
    let lines = |server: &Running, path: &str| {
        let response = server.public_get(&format!("/vod/library/{path}"));
        let head = response.split("\r\n\r\n").next().unwrap_or_default().to_owned();
        let told = head.lines().filter(|line| line.starts_with("CMSD-")).map(str::to_owned);
        told.collect::<Vec<_>>()
    };
    let of = |kind: &str| format!("CMSD-Static: n=\"shardcast\",ot={kind},st=v,v=1");
    until("a new file is served", || lines(&server, "s.m4s") == [of("v")]);
    assert_eq!(lines(&server, "a.m3u8"), [of("m,sf=h")]);
    // What is large has a head of its own, and says how fast the way to the client is.
    let large = lines(&server, "a.ts");
    assert_eq!((large.len(), &large[0]), (2, &of("av")));
    assert!(large[1].starts_with("CMSD-Dynamic: \"shardcast\";"), "{large:?}");
    assert!(large[1].contains(";rtt="), "{large:?}");
    // A plan's cap is the most that a player should try.
    let token = subscriber(&config, &server, "Anna", "capped");
    let mut head = vec![0; 1_000];
    ask(server.public, &token, "a/long.ts", "").read_exact(&mut head).unwrap();
    let head = String::from_utf8_lossy(&head).into_owned();
    assert!(head.contains(&format!(";mb={CAP_KBPS}\r\n")), "{head}");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("cmsd = \"on\"", "")).unwrap();
    server.signal("HUP");
    until("it is off", || lines(&server, "s.m4s").is_empty());
    assert_eq!(lines(&server, "a.ts"), [""; 0]);
}
