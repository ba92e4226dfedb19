//! The machine's clock jumps by a day, either way: what is counted goes by the one that never does.
//!
//! libfaketime stands between the server and the wall clock, and reads how wrong it is from a file.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;

use super::boxes::{MIDNIGHT, Media, header};
use super::http::{self, Answer, Answering};
use super::{Station, channel, config};
use crate::running::{PATIENCE, Place, Running, done, serve, until};

/// More than fits between a server and a client that reads slowly.
const FILM_SIZE: u64 = 64 << 20;

const LIBRARY: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

/// A server whose wall clock is wrong by what the file `clock` says; a film and a channel that take
/// tokens, for subscribers with one place each.
fn station() -> Station {
    let place = Place::new();
    let folder = place.path("films/a");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("1.ts"), vec![7; 1000]).unwrap();
    File::create(folder.join("long.ts")).unwrap().set_len(FILM_SIZE).unwrap();
    let library = "[[library]]\npath = \"films\"\naccess = \"token\"\n";
    let news = format!("{}access = \"token\"\n", channel("news"));
    let config = config(&place, &format!("{library}{news}{}", channel("mark")));
    std::fs::write(place.path("clock"), "+0").unwrap();
    assert!(Path::new(LIBRARY).exists(), "libfaketime is installed (scripts/install)");
    let mut command = serve(&config);
    command
        .env("LD_PRELOAD", LIBRARY)
        .env("FAKETIME_TIMESTAMP_FILE", place.path("clock"))
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        // What files say of their times is no clock.
        .env("NO_FAKE_STAT", "1");
    let server = Running::start(&mut command);
    let station = Station { server, place, marks: Default::default() };
    for channel in ["news", "mark"] {
        let put = station.put(&format!("{channel}/v/init.mp4"), &header(Media::Picture));
        assert_eq!(put.status, 200);
    }
    let content = ["--content", "vod/a", "--content", "tv/news"];
    done(&config, &[&["bouquet", "add", "all", "--name", "All"], &content[..]].concat());
    let plan = ["plan", "add", "one", "--name", "One", "--bouquet", "all", "--sessions", "1"];
    done(&config, &plan);
    for name in ["Anna", "Bela"] {
        done(&config, &["subscriber", "add", name, "--plan", "one"]);
    }
    station
}

impl Station {
    /// The clock jumps: it is wrong by so much from now on, and every answer has it.
    fn jump(&self, by: &str) {
        let before = self.date();
        let new = self.place.path("clock.new");
        std::fs::write(&new, by).unwrap();
        std::fs::rename(new, self.place.path("clock")).unwrap();
        until("the clock has jumped", || self.date() != before);
    }

    /// The day and the hour that answers have.
    fn date(&self) -> String {
        let answer = self.get("mark/master.m3u8");
        let date = answer.header("Date").expect("every answer has one");
        date[..19].to_owned()
    }

    fn minted(&self, name: &str) -> String {
        done(&self.config(), &["token", "mint", "--subscriber", name]).trim_end().to_owned()
    }

    /// Status and reason of what a player with this token gets.
    fn shown(&self, token: &str, path: &str, agent: &str) -> String {
        let head = format!("GET /s/{token}/{path} HTTP/1.1\r\nHost: tv\r\nUser-Agent: {agent}\r\n");
        let answer: Answer = http::ask(self.server.public, &head, b"").expect("a whole answer");
        let reason = answer.header("X-Shardcast-Reason").unwrap_or_default();
        format!("{} {reason}", answer.status).trim_end().to_owned()
    }

    /// A playlist that is waited for until `second` has come.
    fn wait_for(&self, token: &str, second: u64) -> TcpStream {
        let mut held = TcpStream::connect(self.server.public).unwrap();
        held.set_read_timeout(Some(PATIENCE)).unwrap();
        let path = format!("/s/{token}/tv/news/v/ll.m3u8?_HLS_msn={second}");
        write!(held, "GET {path} HTTP/1.1\r\nHost: tv\r\nUser-Agent: TV\r\n\r\n").unwrap();
        self.until_held(1);
        held
    }
}

#[test]
fn a_clock_that_jumps_by_a_day_ends_nothing_that_is_watched() {
    let station = station();
    let (anna, other, bela) =
        (station.minted("Anna"), station.minted("Anna"), station.minted("Bela"));
    until("Bela may watch", || station.shown(&bela, "vod/a/1.ts", "TV") == "200");
    let session = done(&station.config(), &["session", "ls", "--json", "--subscriber", "Bela"]);
    let session: serde_json::Value = serde_json::from_str(session.trim_end()).unwrap();
    done(&station.config(), &["session", "kick", session["id"].as_str().unwrap()]);
    station.push(MIDNIGHT);
    station.settle();
    until("Anna may watch", || station.shown(&anna, "tv/news/v/ll.m3u8", "TV") == "200");
    let film = format!("/s/{anna}/vod/a/long.ts");
    let head = format!("GET {film} HTTP/1.1\r\nHost: tv\r\nUser-Agent: TV\r\n\r\n");
    let mut stream = TcpStream::connect(station.server.public).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    let mut film = Answering::of(stream).unwrap();
    assert_eq!(film.status, 200);

    // Whatever day it is: who watches goes on, who is one too many or was kicked stays out, what
    // encoders push comes next in the playlist, and whoever waits for it is answered.
    let mut second = MIDNIGHT;
    let mut check = |day: &str| {
        second += 1;
        let held = station.wait_for(&anna, second);
        station.push(second);
        let told = Answering::of(held).expect("an answer").rest().expect("the whole of it");
        assert_eq!(told.status, 200, "{day}");
        assert!(told.text().contains(&format!("#EXT-X-MEDIA-SEQUENCE:{MIDNIGHT}\n")), "{day}");
        let segments = told.text().matches("#EXTINF").count() as u64;
        assert_eq!(segments, second + 1 - MIDNIGHT, "{day}: {}", told.text());
        assert!(!told.text().contains("#EXT-X-DISCONTINUITY"), "{day}: {}", told.text());
        assert_eq!(station.shown(&anna, "tv/news/v/ll.m3u8", "TV"), "200", "{day}");
        assert_eq!(station.shown(&other, "tv/news/v/ll.m3u8", "VLC"), "403 session-limit");
        assert_eq!(station.shown(&bela, "vod/a/1.ts", "TV"), "403 session-kicked", "{day}");
        film.stream().read_exact(&mut [0; 4 << 10]).unwrap();
        let verified = done(&station.config(), &["audit", "verify"]);
        assert!(!verified.is_empty(), "{day}");
    };
    check("today");
    station.jump("-1d");
    check("yesterday");
    // A token of yesterday is good until today.
    let short = station.minted("Anna");
    station.jump("+0");
    check("today again");
    assert_eq!(station.shown(&short, "tv/news/v/ll.m3u8", "TV"), "403 token-expired");
    station.jump("+23h");
    check("almost tomorrow");
    station.jump("+25h");
    // That is what should change, and all that does: tokens are good for a day.
    let late = station.minted("Anna");
    assert_eq!(station.shown(&anna, "tv/news/v/ll.m3u8", "TV"), "403 token-expired");
    assert_eq!(station.shown(&late, "tv/news/v/ll.m3u8", "VLC"), "403 session-limit");
    let mut rest = Vec::new();
    let size = film.stream().read_to_end(&mut rest).unwrap_or(rest.len());
    assert!((size as u64) < FILM_SIZE, "it is broken off: {size}");
    station.jump("+0");
    assert_eq!(station.shown(&anna, "tv/news/v/ll.m3u8", "TV"), "200");
    assert_eq!(station.shown(&other, "tv/news/v/ll.m3u8", "VLC"), "403 session-limit");
}
