//! Channels that operators make while the server runs, beside those of the config file.

use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::boxes::{MIDNIGHT, Media, header, segment};
use super::http::{Answer, ask};
use super::{Station, channel, config};
use crate::running::{self, Place, Running, done, serve, until, verb};

/// Why a verb that must not work did not.
#[track_caller]
fn refused(config: &Path, arguments: &[&str]) -> String {
    let said = verb(config, arguments);
    assert_eq!((said.code, said.out.as_str()), (1, ""), "{arguments:?}");
    said.err.trim_end().rsplit_once("admin.sock: ").map(|(_, why)| why.to_owned()).unwrap()
}

fn shown(config: &Path, id: &str) -> Value {
    serde_json::from_str(&done(config, &["channel", "show", id, "--json"])).unwrap()
}

impl Station {
    /// Makes a channel as those of `channel` are.
    fn add(&self, id: &str, more: &[&str]) -> String {
        let patience = format!("{}s", running::PATIENCE.as_secs());
        let lengths = ["--segment", "1s", "--part", "500ms", "--patience", &patience];
        done(&self.config(), &[&["channel", "add", id][..], &lengths, more].concat())
    }

    /// Pushes until it is taken: the server takes a channel up as soon as it is written, but who
    /// wrote it does not wait for that.
    #[track_caller]
    fn until_taken(&self, path: &str, body: &[u8]) {
        running::until_found(|| {
            let answer = self.put(path, body);
            if answer.status == 200 { Ok(()) } else { Err(format!("{path}: {}", answer.text())) }
        });
    }

    fn put_as(&self, path: &str, login: &str, body: &[u8]) -> Answer {
        let (login, size) = (BASE64_STANDARD.encode(login), body.len());
        let head = format!(
            "PUT /ingest/{path} HTTP/1.1\r\nHost: in\r\nAuthorization: Basic {login}\r\n\
             Content-Length: {size}\r\n"
        );
        ask(self.server.ingest, &head, body).expect("a whole answer")
    }
}

#[test]
fn a_channel_is_made_changed_and_removed_while_the_server_runs() {
    let station = Station::start("");
    let config = station.config();
    assert_eq!(station.put("news/v/init.mp4", &header(Media::Picture)).status, 404);
    let said = station.add("news", &["--name", "News"]);
    assert!(said.starts_with("news\n") && said.contains("  number              2\n"), "{said}");
    station.until_taken("news/v/init.mp4", &header(Media::Picture));
    station.push(MIDNIGHT);
    station.until(&format!("news/v/{MIDNIGHT}.m4s"), |answer| answer.status == 200);
    // What it is called is nothing that its viewers notice.
    done(&config, &["channel", "set", "news", "--name", "The News", "--order", "3"]);
    station.push(MIDNIGHT + 1);
    station.until(&format!("news/v/{}.m4s", MIDNIGHT + 1), |answer| answer.status == 200);
    assert_eq!(station.get(&format!("news/v/{MIDNIGHT}.m4s")).status, 200);
    let news = shown(&config, "news");
    assert_eq!((&news["name"], &news["number"]), (&json!("The News"), &json!(2)));
    assert_eq!((&news["input"], &news["segment_ms"]), (&json!("live"), &json!(1000)));
    // How it runs is: it begins anew.
    done(&config, &["channel", "set", "news", "--window", "5min"]);
    until("it is another one", || shown(&config, "news")["window_ms"].is_null());
    station.until_taken("news/v/init.mp4", &header(Media::Picture));
    assert_eq!(shown(&config, "news")["window_ms"], json!(300_000));
    // What was read may be sent back.
    let news = shown(&config, "news");
    let answer = station.place.socket_ask("PUT", "/api/v1/channels/news", &news.to_string());
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    done(&config, &["channel", "rm", "news"]);
    station.until("news/master.m3u8", |answer| answer.status == 404);
    until("nobody may push", || station.put("news/v/1.m4s", &segment(MIDNIGHT)).status == 404);
    assert_eq!(
        refused(&config, &["channel", "show", "news"]),
        "status 404: no channel has this id"
    );
    // It comes again with the number that clients know it by.
    let said = station.add("news", &[]);
    assert!(said.contains("  number              2\n"), "{said}");
}

#[test]
fn channels_that_were_made_are_there_when_the_server_is_ready_after_kill_9() {
    let station = Station::start("");
    let file = station.place.path("password");
    std::fs::write(&file, "open sesame\n").unwrap();
    let login = format!("enc:{}", file.display());
    station.add("news", &["--ingest", &login, "--archive", "7d"]);
    station.add("quiet", &[]);
    let station = station.started_again();
    let init = header(Media::Picture);
    assert_eq!(station.put_as("news/v/init.mp4", "enc:open sesame", &init).status, 200);
    assert_eq!(station.put_as("news/v/init.mp4", "enc:other", &init).status, 403);
    assert_eq!(station.put("news/v/init.mp4", &init).status, 401);
    // One that sleeps is woken by its first push, and by as many as come with it.
    std::thread::scope(|scope| {
        let push = |name: usize| {
            let path = format!("/ingest/quiet/v{name}/init.mp4");
            let (port, init) = (station.server.ingest, &init);
            scope.spawn(move || super::http::put(port, &path, init).status)
        };
        let pushes: Vec<_> = (0..8).map(push).collect();
        let statuses: Vec<_> = pushes.into_iter().map(|push| push.join().unwrap()).collect();
        assert_eq!(statuses, [200; 8]);
    });
    let kept =
        [station.place.path("state/registry.db"), station.place.path("state/registry.db-wal")];
    for path in kept {
        let bytes = std::fs::read(path).unwrap_or_default();
        assert!(!bytes.windows(11).any(|window| window == b"open sesame"), "it is sealed");
    }
    let config = station.config();
    assert_eq!(shown(&config, "news")["ingest"], json!({ "user": "enc" }));
    let changes = station.place.socket_get("/api/v1/changes");
    assert!(changes.contains("\"user\":\"enc\"") && !changes.contains("sealed"), "{changes}");
    let told = |more: &[&str]| done(&config, &[&["export"], more].concat());
    assert!(!told(&[]).contains("sesame") && told(&["--passwords"]).contains("open sesame"));
}

#[test]
fn a_channel_of_the_file_is_changed_there_alone_and_keeps_its_number() {
    let station = Station::start(&channel("sport"));
    let config = station.config();
    let text = std::fs::read_to_string(&config).unwrap();
    let line = 1 + text.lines().position(|line| line == "[[channel]]").unwrap();
    let why = format!(
        "status 409: the channel \"sport\" is in the config file, {}:{line}: change it there",
        config.display()
    );
    for arguments in [
        &["channel", "set", "sport", "--name", "x"][..],
        &["channel", "add", "sport"],
        &["channel", "rm", "sport"],
    ] {
        assert_eq!(refused(&config, arguments), why, "{arguments:?}");
    }
    let sport = shown(&config, "sport");
    let place = format!("{}:{line}", config.display());
    assert_eq!((&sport["number"], &sport["file"]), (&json!(2), &json!(place)));
    // Out of the file and in again: nobody else has its number meanwhile.
    let reload = |text: &str| {
        std::fs::write(&config, text).unwrap();
        station.server.signal("HUP");
        station.server.says("the config was read again");
    };
    reload(&text.replace(&channel("sport"), ""));
    until("it is gone", || verb(&config, &["channel", "show", "sport"]).code == 1);
    assert!(station.add("other", &[]).contains("  number              3\n"));
    let named = format!("{}name = \"Sport\"\n", channel("sport"));
    reload(&text.replace(&channel("sport"), &named));
    until("it is there", || verb(&config, &["channel", "show", "sport"]).code == 0);
    let sport = shown(&config, "sport");
    assert_eq!((&sport["number"], &sport["name"]), (&json!(2), &json!("Sport")));
}

#[test]
fn where_both_name_a_channel_the_file_wins_as_long_as_it_does() {
    let station = Station::start("");
    let config = station.config();
    station.add("news", &["--window", "5min"]);
    until("it sleeps", || shown(&config, "news")["window"] == json!("5min"));
    station.until_taken("news/v/init.mp4", &header(Media::Picture));
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{text}{}", channel("news"))).unwrap();
    station.server.signal("HUP");
    station.server.says("it is in the registry too: the file's is used");
    until("it is the file's", || shown(&config, "news")["window_ms"] == json!(60_000));
    assert!(refused(&config, &["channel", "rm", "news"]).contains("is in the config file"));
    std::fs::write(&config, text).unwrap();
    station.server.signal("HUP");
    station.server.says("the config was read again");
    station.until_taken("news/v/init.mp4", &header(Media::Picture));
    assert_eq!(shown(&config, "news")["window_ms"], json!(300_000));
    done(&config, &["channel", "rm", "news"]);
}

#[test]
fn the_first_channel_of_a_server_is_taken_up_at_once() {
    let place = Place::new();
    let config = config(&place, "");
    let server = Running::start(&mut serve(&config));
    let mut station = Station { server, place, marks: Default::default() };
    assert_eq!(station.server.ingest.port(), 0, "without channels there is nobody who could push");
    station.add("news", &[]);
    let line = station.server.says("listening");
    station.server.ingest = line["ingest"].as_str().unwrap().parse().unwrap();
    station.until_taken("news/v/init.mp4", &header(Media::Picture));
    // A channel of assets is asked for as soon as it is written, and no longer.
    done(&config, &["channel", "add", "loop", "--asset", "films/none"]);
    station.until("loop/master.m3u8", |answer| answer.status == 503);
    done(&config, &["channel", "rm", "loop"]);
    station.until("loop/master.m3u8", |answer| answer.status == 404);
}

#[test]
fn whoever_asks_by_the_network_names_no_files_and_nothing_of_this_machine() {
    let station = Station::start("");
    let config = station.config();
    let file = "names a file, which only the config file may";
    for (input, why) in [
        ("/etc/passwd", file),
        (
            "http://127.0.0.1:8081/metrics",
            "is an address of this machine, which only the config file may name",
        ),
    ] {
        let said = refused(&config, &["channel", "add", "x", "--input", input]);
        assert_eq!(said, format!("status 400: inputs: {why}"));
    }
    let body = json!({ "id": "x", "folder": "/etc" }).to_string();
    let answer = station.place.socket_ask("POST", "/api/v1/channels", &body);
    assert!(answer.contains(&format!("folder: {file}")), "{answer}");
    let said = refused(&config, &["channel", "add", "vod"]);
    assert!(said.contains("\"vod\" is taken: it begins other URLs"), "{said}");
}
