//! Slates: viewers who are refused see why, in their language, in real players; and everybody else
//! is answered as ever.

use std::io::Read as _;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Instant;

use super::http::{self, Answer, Answering};
use super::transport::{self, complaints, counter_gaps, segments};
use super::{Station, channel, uris};
use crate::running::{PATIENCE, Place, done, program, run, serve, until, until_found, verb};

/// The folder that `slates make` made, once for all tests.
fn folder() -> &'static Path {
    static MADE: OnceLock<tempfile::TempDir> = OnceLock::new();
    let dir = MADE.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("slates");
        let mut make = program();
        make.args(["slates", "make", "--language", "en,de", "-o"]).arg(&target);
        let said = run(&mut make);
        assert_eq!((said.code, &*said.err), (0, ""), "{}", said.out);
        dir
    });
    static TARGET: OnceLock<std::path::PathBuf> = OnceLock::new();
    TARGET.get_or_init(|| dir.path().join("slates"))
}

fn section() -> String {
    let path = folder().display();
    format!("[slates]\npath = \"{path}\"\nlanguages = [\"en\", \"de\"]\n")
}

/// A server with slates, a film and two channels that take a token, one of them on air. Anna
/// says no language, Dora says German.
fn station() -> Station {
    let patience = format!("patience = \"{}s\"\n", PATIENCE.as_secs());
    let station = station_with("window = \"600s\"\n", &patience);
    transport::push(&station, &segments(4));
    station
}

/// The same with windows so long, so much patience with an encoder that is away, and nothing that
/// has come.
fn station_with(window: &str, patience: &str) -> Station {
    let token = "access = \"token\"\n";
    let library = format!("[[library]]\npath = \"films\"\n{token}");
    let usual = format!("patience = \"{}s\"\n", PATIENCE.as_secs());
    let on = |id: &str| format!("{}{token}{window}", channel(id).replace(&usual, patience));
    let place = Place::new();
    let film = place.path("films/a");
    std::fs::create_dir_all(&film).unwrap();
    std::fs::write(film.join("master.m3u8"), "#EXTM3U\n").unwrap();
    let text = format!("{}{library}{}{}", section(), on("news"), on("sport"));
    let config = super::config(&place, &format!("{text}{}", channel("mark")));
    let server = crate::running::Running::start(&mut serve(&config));
    let station = Station { server, place, marks: Default::default() };
    let content = ["--content", "tv/news", "--content", "tv/sport", "--content", "vod/a"];
    done(&config, &[&["bouquet", "add", "all", "--name", "All"], &content[..]].concat());
    let plan = ["plan", "add", "one", "--name", "One", "--bouquet", "all", "--sessions", "1"];
    done(&config, &[&plan[..], &["--catch-up", "7"]].concat());
    done(&config, &["subscriber", "add", "Anna", "--plan", "one"]);
    done(&config, &["subscriber", "add", "Dora", "--plan", "one", "--language", "de-AT"]);
    station
}

fn mint(station: &Station, subscriber: &str) -> String {
    let token = done(&station.config(), &["token", "mint", "--subscriber", subscriber]);
    token.trim_end().to_owned()
}

fn asked(station: &Station, method: &str, path: &str, lines: &str) -> Answer {
    let mut stream = http::connect(station.server.public);
    let head = format!("{method} {path} HTTP/1.1\r\nHost: tv\r\n{lines}Connection: close\r\n\r\n");
    std::io::Write::write_all(&mut stream, head.as_bytes()).unwrap();
    let answering = Answering::of(stream).unwrap();
    if method == "HEAD" {
        let Answering { status, head, .. } = &answering;
        return Answer { status: *status, head: head.clone(), body: Vec::new() };
    }
    answering.rest().unwrap()
}

/// Status and reason.
fn outcome(answer: &Answer) -> String {
    let reason = answer.header("X-Shardcast-Reason").unwrap_or_default();
    format!("{} {reason}", answer.status).trim_end().to_owned()
}

/// Waits until a path is answered so.
#[track_caller]
fn becomes(station: &Station, path: &str, expected: &str) -> Answer {
    until_found(|| {
        let answer = asked(station, "GET", path, "");
        let outcome = outcome(&answer);
        if outcome == expected { Ok(answer) } else { Err(format!("{path}: {outcome}")) }
    })
}

/// What somebody is answered who is refused for this reason, and where its slate is.
#[track_caller]
fn refused(station: &Station, (token, segment): (&str, &str), reason: &str, slate: &str) -> String {
    let path = |of: &str| format!("/s/{token}/{of}");
    let shown = format!("200 {reason}");
    let master = becomes(station, &path("tv/news/master.m3u8"), &shown);
    assert_eq!(master.header("Cache-Control"), Some("no-store"));
    assert_eq!(master.header("Access-Control-Allow-Origin"), Some("*"));
    let live = uris(master.text())[0].to_owned();
    assert!(live.starts_with(&format!("/slate/{slate}.")), "{}", master.text());
    let rendition = becomes(station, &path("tv/news/s/index.m3u8"), &shown);
    assert_eq!(rendition.text().matches("#EXT-X-DISCONTINUITY\n").count(), 1);
    assert_eq!(uris(rendition.text()).len(), 8);
    let film = becomes(station, &path("vod/a/master.m3u8"), &shown);
    assert!(film.text().ends_with("#EXT-X-ENDLIST\n"), "{}", film.text());
    let past = asked(station, "GET", &path("tv/news/archive/1800000000-60/master.m3u8"), "");
    assert_eq!((outcome(&past), past.body), (shown.clone(), film.body.clone()));
    let head = asked(station, "HEAD", &path("vod/a/master.m3u8"), "");
    let size = film.body.len().to_string();
    assert_eq!((outcome(&head), head.header("Content-Length")), (shown.clone(), Some(&*size)));
    // A range is of what it does not get; so is what it has.
    let lines = "Range: bytes=0-9\r\nIf-None-Match: *\r\n";
    let whole = asked(station, "GET", &path("vod/a/master.m3u8"), lines);
    assert_eq!((outcome(&whole), whole.body), (shown.clone(), film.body));
    let stream = asked(station, "HEAD", &path("tv/news/stream.ts"), "");
    assert_eq!((outcome(&stream), stream.header("Content-Type")), (shown, Some("video/mp2t")));
    // What is no playlist is refused as ever.
    let segment = asked(station, "GET", &path(&format!("tv/news/s/{segment}")), "");
    assert_eq!(outcome(&segment), format!("403 {reason}"));
    live
}

/// What lies below `/slate/` is everybody's, and the same to all.
#[track_caller]
fn check_public(station: &Station, live: &str) {
    let get = |path: &str, lines: &str| asked(station, "GET", path, lines);
    let (one, other) = until_found(|| {
        let both = (get(live, ""), get(live, ""));
        // Unless a segment begins between them.
        if both.0.body == both.1.body { Ok(both) } else { Err("they differ") }
    });
    for answer in [&one, &other] {
        assert_eq!((answer.status, answer.header("X-Shardcast-Reason")), (200, None));
        assert_eq!(answer.header("Cache-Control"), Some("public, max-age=1"));
    }
    let names = uris(one.text());
    assert_eq!(names.len(), 4, "{}", one.text());
    for name in names {
        let path = super::resolved(live, name);
        let segment = get(&path, "");
        assert_eq!((segment.status, segment.header("Content-Type")), (200, Some("video/mp2t")));
        assert!(segment.header("Cache-Control").unwrap().ends_with("immutable"));
        let part = get(&path, "Range: bytes=188-375\r\n");
        assert!(part.status == 206 && part.body == segment.body[188..376]);
    }
    assert_eq!(get("/slate/limit.en/live.m3u8", "").status, 404);
    assert_eq!(get("/slate/limit.en/master.m3u8", "").status, 404);
}

#[test]
fn a_viewer_who_is_refused_sees_why_in_its_language() {
    let station = station();
    let config = station.config();
    let change = |of: &str, what: &[&str]| {
        done(&config, &[&["subscriber", "set", of], what].concat());
    };
    for (name, language) in [("Anna", "en"), ("Dora", "de")] {
        let (tv, phone) = (mint(&station, name), mint(&station, name));
        let watched = |token: &str| format!("/s/{token}/tv/news/master.m3u8");
        becomes(&station, &watched(&tv), "200");
        let index = becomes(&station, &format!("/s/{tv}/tv/news/s/index.m3u8"), "200");
        let segment = uris(index.text())[0];
        let slate = |reason: &str| format!("{reason}.{language}");
        let live = refused(&station, (&phone, segment), "session-limit", &slate("limit"));
        check_public(&station, &live);
        becomes(&station, &watched(&tv), "200");
        let all = done(&config, &["session", "ls", "--subscriber", name, "--json"]);
        assert_eq!(all.lines().count(), 1, "whoever is refused takes no place: {all}");
        change(name, &["--status", "blocked"]);
        refused(&station, (&tv, segment), "subscriber-blocked", &slate("blocked"));
        change(name, &["--status", "active", "--expires", "1000"]);
        refused(&station, (&tv, segment), "subscriber-expired", &slate("expired"));
        let explained = done(&config, &["subscriber", "explain", name, "--json"]);
        for reason in ["session-limit", "subscriber-blocked", "subscriber-expired"] {
            assert!(explained.contains(reason), "{reason}: {explained}");
        }
        change(name, &["--unset", "expires"]);
        becomes(&station, &watched(&tv), "200");
    }
    let metrics = station.server.admin_get("/metrics");
    for reason in ["session-limit", "subscriber-blocked", "subscriber-expired"] {
        let line = format!("shardcast_refusals_total{{reason=\"{reason}\"}} ");
        assert!(metrics.contains(&line), "{reason}: {metrics}");
    }
}

#[test]
fn whoever_says_no_language_is_asked_for_the_ones_it_accepts() {
    let station = station();
    let tokens = ["Anna", "Dora"].map(|name| {
        done(&station.config(), &["subscriber", "set", name, "--status", "blocked"]);
        let token = mint_blocked(&station, name);
        becomes(&station, &format!("/s/{token}/tv/news/master.m3u8"), "200 subscriber-blocked");
        token
    });
    for (token, accepted, language) in [
        (&tokens[0], "", "en"),
        (&tokens[0], "Accept-Language: de\r\n", "de"),
        (&tokens[0], "Accept-Language: fr, en;q=0.2, de-CH;q=0.7\r\n", "de"),
        (&tokens[0], "Accept-Language: fr\r\n", "en"),
        (&tokens[1], "Accept-Language: en\r\n", "de"),
    ] {
        let path = format!("/s/{token}/tv/news/master.m3u8");
        let answer = asked(&station, "GET", &path, accepted);
        let expected = format!("/slate/blocked.{language}.");
        assert!(uris(answer.text())[0].starts_with(&expected), "{accepted}: {}", answer.text());
    }
    // Of a token that has ended it is known whose it was.
    done(&station.config(), &["subscriber", "set", "Dora", "--status", "active"]);
    let mint = ["token", "mint", "--subscriber", "Dora", "--for", "1s"];
    let ended = done(&station.config(), &mint);
    let path = format!("/s/{}/tv/news/master.m3u8", ended.trim_end());
    let answer = becomes(&station, &path, "200 token-expired");
    assert!(uris(answer.text())[0].starts_with("/slate/expired.de."), "{}", answer.text());
    // What there is no slate for is refused as ever, and so is whoever is nobody.
    for (path, expected) in [
        ("/s/letmein/tv/news/master.m3u8", "403 token-unknown"),
        ("/tv/news/master.m3u8", "403 token-missing"),
        ("/tv/sport/master.m3u8", "403 token-missing"),
    ] {
        assert_eq!(outcome(&asked(&station, "GET", path, "")), expected, "{path}");
    }
    let path = format!("/s/{}/tv/news/master.m3u8", tokens[0]);
    assert_eq!(asked(&station, "POST", &path, "Content-Length: 0\r\n").status, 405);
}

/// A token of somebody who gets none: made before.
fn mint_blocked(station: &Station, name: &str) -> String {
    let config = station.config();
    done(&config, &["subscriber", "set", name, "--status", "active"]);
    let token = mint(station, name);
    done(&config, &["subscriber", "set", name, "--status", "blocked"]);
    token
}

#[test]
fn every_slate_plays_as_hls_and_as_a_transport_stream() {
    let station = station();
    let config = station.config();
    let base = format!("http://{}", station.server.public);
    for name in ["Anna", "Dora"] {
        let (tv, phone) = (mint(&station, name), mint(&station, name));
        becomes(&station, &format!("/s/{tv}/tv/news/master.m3u8"), "200");
        for (change, token, reason) in [
            (&["--status", "active"][..], &phone, "session-limit"),
            (&["--status", "blocked"], &tv, "subscriber-blocked"),
            (&["--status", "active", "--expires", "1000"], &tv, "subscriber-expired"),
        ] {
            done(&config, &[&["subscriber", "set", name], change].concat());
            let path = format!("/s/{token}/tv/news/master.m3u8");
            let master = becomes(&station, &path, &format!("200 {reason}"));
            let slate = uris(master.text())[0].trim_end_matches("live.m3u8").to_owned();
            // All of one, which takes a while to decode, and some seconds of each.
            if name == "Anna" && reason == "session-limit" {
                played_whole(&base, token, &slate);
            }
            played(&base, token, &slate);
        }
    }
}

/// Plays some seconds of a slate.
#[track_caller]
fn played(base: &str, token: &str, slate: &str) {
    for path in ["tv/news/master.m3u8", "tv/news/stream.ts"] {
        let said = complaints(&format!("{base}/s/{token}/{path}"), 4);
        assert_eq!(without_breaks(&said), [""; 0], "{slate} {path}");
    }
}

/// Plays all of a slate, in every way in which it can be asked for.
#[track_caller]
fn played_whole(base: &str, token: &str, slate: &str) {
    let mut ffprobe = Command::new("ffprobe");
    ffprobe.args(["-v", "error", "-show_entries", "stream=codec_name,profile,width,height"]);
    ffprobe.args(["-of", "csv=p=0", &format!("{base}/s/{token}/tv/news/master.m3u8")]);
    let said = run(&mut ffprobe);
    assert_eq!(said.err, "");
    let streams: std::collections::BTreeSet<_> = said.out.lines().map(str::trim).collect();
    assert!(streams.contains("h264,Main,1280,720") && streams.contains("aac,LC"), "{}", said.out);
    for path in ["tv/news/s/index.m3u8", "vod/a/master.m3u8"] {
        assert_eq!(complaints(&format!("{base}/s/{token}/{path}"), 3600), "", "{slate} {path}");
    }
    // All of the stream, without waiting for its pace.
    assert_eq!(complaints(&format!("{base}{slate}stream.ts"), 3600), "", "{slate}");
}

/// What ffmpeg says, but where a playlist says that times begin anew: it takes that for a mistake,
/// and goes on.
fn without_breaks(said: &str) -> Vec<&str> {
    said.lines().filter(|line| !line.contains(" out of order")).collect()
}

#[test]
fn a_stream_is_a_minute_without_a_seam_at_about_the_pace_of_playing() {
    let station = station();
    let token = mint(&station, "Anna");
    done(&station.config(), &["subscriber", "set", "Anna", "--status", "blocked"]);
    let path = format!("/s/{token}/tv/news/stream.ts");
    until("she is blocked", || {
        outcome(&asked(&station, "HEAD", &path, "")) == "200 subscriber-blocked"
    });
    let master = asked(&station, "GET", &format!("/s/{token}/tv/news/master.m3u8"), "");
    let whole = uris(master.text())[0].replace("live.m3u8", "stream.ts");
    let whole = asked(&station, "GET", &whole, "").body;
    assert_eq!(counter_gaps(&whole), []);
    let seconds = 61.44;
    let rate = whole.len() as f64 / seconds;
    // A client on a real network: over loopback the first burst alone holds all of it.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(8 * 1024).unwrap();
    socket.set_tcp_mss(1400).unwrap();
    socket.connect(&station.server.public.into()).unwrap();
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let began = Instant::now();
    let head = format!("GET {path} HTTP/1.1\r\nHost: tv\r\n\r\n");
    std::io::Write::write_all(&mut stream, head.as_bytes()).unwrap();
    let mut viewer = Answering::of(stream).unwrap();
    let mut got = vec![0; whole.len() / 8];
    viewer.stream().read_exact(&mut got).unwrap();
    assert!(got == whole[..got.len()]);
    let took = began.elapsed().as_secs_f64();
    let played = (got.len() - 40_000) as f64 / rate;
    println!(
        "{} bytes, {played:.1} s of playing beyond the first burst, in {took:.1} s",
        got.len()
    );
    assert!(took > played / 1.5, "it comes as fast as it is played: {took} s for {played} s");
}

#[test]
fn a_player_that_is_cut_off_goes_on_with_the_number_that_it_has_not_seen() {
    let station = station();
    let token = mint(&station, "Dora");
    let path = format!("/s/{token}/tv/news/s/index.m3u8");
    let number = |answer: &Answer| -> u64 {
        let lines = answer.text().lines();
        let mut found = lines.filter_map(|line| line.strip_prefix("#EXT-X-MEDIA-SEQUENCE:"));
        found.next().unwrap().parse().unwrap()
    };
    let live = becomes(&station, &path, "200");
    done(&station.config(), &["subscriber", "set", "Dora", "--status", "blocked"]);
    let slate = becomes(&station, &path, "200 subscriber-blocked");
    // It has the newest, or has yet to hear of it.
    let newest = number(&live) + uris(live.text()).len() as u64 - 1;
    assert_eq!(number(&slate), newest, "{}", slate.text());
    assert!(slate.text().ends_with("#EXT-X-ENDLIST\n"));
    assert!(slate.text().lines().all(|line| !line.starts_with("#EXT-X-MAP")));
    assert!(uris(slate.text()).iter().all(|uri| uri.starts_with("/slate/blocked.de.")));
}

#[test]
fn a_channel_that_is_away_for_longer_than_its_window_is_off_air() {
    // Gaps are listed meanwhile, until there is nothing else.
    let station = station_with("window = \"10s\"\n", "patience = \"1s\"\n");
    let tokens = ["Anna", "Dora"].map(|name| mint(&station, name));
    let path = |token: &str, of: &str| format!("/s/{token}/tv/{of}");
    let pushed = segments(4);
    transport::push(&station, &pushed);
    becomes(&station, &path(&tokens[0], "news/master.m3u8"), "200");
    // Nothing ever comes of the other one.
    for (token, language) in tokens.iter().zip(["en", "de"]) {
        for channel in ["sport", "news"] {
            let opened = path(token, &format!("{channel}/master.m3u8"));
            let master = becomes(&station, &opened, "200 off-air");
            let live = uris(master.text())[0];
            assert!(live.starts_with(&format!("/slate/off-air.{language}.")), "{live}");
            check_public(&station, live);
            let stream = path(token, &format!("{channel}/stream.ts"));
            let head = asked(&station, "HEAD", &stream, "");
            assert_eq!(outcome(&head), "200 off-air", "{channel}");
            let base = format!("http://{}", station.server.public);
            assert_eq!(without_breaks(&complaints(&format!("{base}{opened}"), 5)), [""; 0]);
            assert_eq!(complaints(&format!("{base}{stream}"), 5), "");
        }
    }
    // Whoever may not watch it learns nothing of it.
    for of in ["news", "sport", "other"] {
        let answer = asked(&station, "GET", &format!("/tv/{of}/master.m3u8"), "");
        assert_eq!(outcome(&answer), "403 token-missing", "{of}");
    }
    let all = done(&station.config(), &["session", "ls", "--json"]);
    assert!(!all.contains("sport"), "who sees a slate takes no place: {all}");
    transport::push(&station, &pushed);
    let back = becomes(&station, &path(&tokens[0], "news/master.m3u8"), "200");
    assert!(!back.text().contains("/slate/"), "{}", back.text());
    becomes(&station, &path(&tokens[0], "sport/master.m3u8"), "200 off-air");
}

#[test]
fn a_folder_that_lacks_a_slate_is_named_with_the_key_that_asks_for_it() {
    let place = Place::new();
    let folder = place.path("slates");
    std::fs::create_dir(&folder).unwrap();
    let text = "[slates]\npath = \"slates\"\nlanguages = [\"de\"]\nreasons = [\"limit\"]\n";
    let config = place.config(text);
    let line = std::fs::read_to_string(&config).unwrap();
    let line = 1 + line.lines().position(|line| line.starts_with("path = \"slates\"")).unwrap();
    let key = format!("{}:{line}: slates.path: ", config.display());
    let missing = folder.join("limit.de.ts");
    let check = |why: &str, is_checked: bool| {
        let served = run(&mut serve(&config));
        let expected = format!("{key}{}: {why}", missing.display());
        assert_eq!(served.code, 1);
        assert!(served.err.contains(&expected), "{expected}\n{}", served.err);
        let checked = run(program().arg("check-config").arg(&config));
        assert_eq!(checked.err.contains(&expected), is_checked, "{}", checked.err);
    };
    check("No such file or directory (os error 2) (shardcast slates make -o DIR", true);
    std::fs::write(&missing, "#EXTM3U\n").unwrap();
    check("it is no MPEG transport stream", false);
    for (key, value, why) in [
        ("languages", "[\"de\", \"DE\"]", "\"DE\" stands here twice"),
        ("languages", "[\"../x\"]", "\"../x\" is no language"),
        ("languages", "[]", "is empty"),
        ("reasons", "[\"lost\"]", "\"lost\" is none (write"),
    ] {
        let config = place.config(&format!("[slates]\n{key} = {value}\n"));
        let said = run(program().arg("check-config").arg(&config));
        assert!(said.err.contains(&format!(": slates.{key}: {why}")), "{}", said.err);
    }
    let said = verb(&place.config(""), &["print-config"]);
    assert!(said.out.contains("[slates]\n") && said.out.contains("path = \"off\""), "{}", said.out);
}

#[test]
fn slates_are_made_with_an_operator_s_own_sentences_or_not_at_all() {
    let place = Place::new();
    let sentences = place.path("own.toml");
    let make = |language: &str, output: &Path| {
        let mut command = program();
        command.args(["slates", "make", "--language", language, "-o"]).arg(output);
        command.arg("--text").arg(&sentences);
        run(&mut command)
    };
    let target = place.path("made");
    std::fs::write(&sentences, "[tlh]\nlimit = \"naDev\"\n").unwrap();
    let said = make("tlh", &target);
    assert_eq!(said.code, 1);
    let why = "the sentence expired in tlh: there is none (write it into a file for --text)";
    assert!(said.err.contains(why), "{}", said.err);
    std::fs::write(&sentences, "[en]\nlimit = \"{x}\"\n").unwrap();
    let said = make("en", &target);
    assert!(said.err.contains("en.limit: has '{' in it"), "{}", said.err);
    assert!(!target.exists());
    let all = "limit = \"a\"\nexpired = \"b\"\nblocked = \"c\"\noff-air = \"d\"\n";
    std::fs::write(&sentences, format!("[tlh]\n{all}")).unwrap();
    let said = make("tlh", &target);
    assert_eq!((said.code, &*said.err), (0, ""));
    let mut names: Vec<_> = std::fs::read_dir(&target)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let expected = ["blocked.tlh.ts", "expired.tlh.ts", "limit.tlh.ts", "off-air.tlh.ts"];
    assert_eq!(names, expected);
    let said = make("tlh", &target);
    assert!(said.err.contains("it exists and is not empty"), "{}", said.err);
}
