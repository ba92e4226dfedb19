//! What is being sent, or waited for, ends when its viewer may not have it any more.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Instant;

use super::boxes::{MIDNIGHT, Media, chunk, header};
use super::http::{self, Answering};
use super::{Station, channel, config};
use crate::running::{PATIENCE, Place, Running, done, serve, until};

/// More than fits between a server and a client that does not read.
const FILM_SIZE: u64 = 64 << 20;

/// The segment that grows.
const GROWING: u64 = MIDNIGHT + 2;

/// A server with a film and a channel that take a token. Of the channel, half a segment has come.
fn station() -> Station {
    let place = Place::new();
    let folder = place.path("films/a");
    std::fs::create_dir_all(&folder).unwrap();
    File::create(folder.join("1.ts")).unwrap().set_len(FILM_SIZE).unwrap();
    let library = "[[library]]\npath = \"films\"\naccess = \"token\"\n";
    let news = format!("{}access = \"token\"\n", channel("news"));
    let config = config(&place, &format!("{library}{news}{}", channel("mark")));
    let server = Running::start(&mut serve(&config));
    let station = Station { server, place, marks: Default::default() };
    for channel in ["news", "mark"] {
        let put = station.put(&format!("{channel}/v/init.mp4"), &header(Media::Picture));
        assert_eq!(put.status, 200);
    }
    station.push(MIDNIGHT);
    station.push(MIDNIGHT + 1);
    let half = station.put(&format!("news/v/{GROWING}.m4s"), &chunk(GROWING * 1000).bytes());
    assert_eq!(half.status, 200);
    station.settle();
    for (bouquet, content) in [("all", "vod/a"), ("less", "tv/other")] {
        done(&config, &["bouquet", "add", bouquet, "--name", bouquet, "--content", content]);
    }
    done(&config, &["bouquet", "set", "all", "--content", "vod/a", "--content", "tv/news"]);
    for (plan, bouquet) in [("gold", "all"), ("grey", "less")] {
        done(&config, &["plan", "add", plan, "--name", plan, "--bouquet", bouquet]);
    }
    station
}

/// A film and a segment that are being sent, and a playlist that is waited for.
struct Watching {
    film: Answering,
    growing: Answering,
    held: TcpStream,
}

impl Watching {
    fn begin(station: &Station, token: &str, held_count: usize) -> Self {
        let address = station.server.public;
        let get = |path: &str| {
            let answer = Answering::get(address, &format!("/s/{token}/{path}"));
            assert_eq!(answer.status, 200, "{path}: {}", answer.head);
            answer
        };
        // What was changed a moment ago is on its way to the shards.
        let whole = format!("/s/{token}/tv/news/v/{MIDNIGHT}.m4s");
        until("it may be watched", || http::get(address, &whole).status == 200);
        let film = get("vod/a/1.ts");
        let mut growing = get(&format!("tv/news/v/{GROWING}.m4s"));
        assert!(growing.chunk().unwrap().is_some(), "what has come of it");
        let mut held = TcpStream::connect(address).unwrap();
        held.set_read_timeout(Some(PATIENCE)).unwrap();
        let path = format!("/s/{token}/tv/news/v/ll.m3u8?_HLS_msn={}", GROWING + 1);
        write!(held, "GET {path} HTTP/1.1\r\nHost: tv\r\n\r\n").unwrap();
        station.until_held(held_count);
        Self { film, growing, held }
    }

    /// Waits until all of it has ended, for this reason.
    fn ended(mut self, reason: &str) {
        let told = Answering::of(self.held).expect("an answer");
        assert_eq!(told.status, 403, "{reason}");
        assert!(told.head.contains(&format!("\r\nX-Shardcast-Reason: {reason}\r\n")), "{reason}");
        assert!(self.growing.chunk().is_err(), "{reason}: it is broken off");
        let mut rest = Vec::new();
        let size = self.film.stream().read_to_end(&mut rest).unwrap_or(rest.len());
        assert!((size as u64) < FILM_SIZE, "{reason}: {size}");
    }
}

#[test]
fn what_is_watched_ends_with_the_right_to_it() {
    let station = station();
    let config = station.config();
    let others = ["Olga", "Omar"].map(|name| {
        done(&config, &["subscriber", "add", name, "--plan", "gold"]);
        let token = done(&config, &["token", "mint", "--subscriber", name]);
        token.trim_end().to_owned()
    });
    for (name, verb, reason) in [
        ("Anna", &["subscriber", "set", "Anna", "--status", "blocked"][..], "subscriber-blocked"),
        ("Bela", &["subscriber", "set", "Bela", "--expires", "1000"], "subscriber-expired"),
        ("Cleo", &["subscriber", "set", "Cleo", "--plan", "grey"], "not-entitled"),
        ("Dora", &["subscriber", "rm", "Dora"], "subscriber-unknown"),
        ("Emil", &["plan", "set", "gold", "--bouquet", "less"], "not-entitled"),
    ] {
        done(&config, &["subscriber", "add", name, "--plan", "gold"]);
        let token = done(&config, &["token", "mint", "--subscriber", name]);
        let watching = Watching::begin(&station, token.trim_end(), 1);
        done(&config, verb);
        let began = Instant::now();
        watching.ended(reason);
        println!("{reason}: after {} ms", began.elapsed().as_millis());
    }
    done(&config, &["plan", "set", "gold", "--bouquet", "all"]);
    // Who has the right to it goes on, whatever becomes of others.
    let olga = Watching::begin(&station, &others[0], 1);
    let omar = Watching::begin(&station, &others[1], 2);
    done(&config, &["subscriber", "set", "Omar", "--status", "blocked"]);
    omar.ended("subscriber-blocked");
    assert_eq!(station.put("news/v/2.m4s", &chunk(GROWING * 1000 + 500).bytes()).status, 200);
    let Watching { film, growing, held } = olga;
    assert_eq!(
        growing.rest().expect("its end").body.len(),
        chunk(GROWING * 1000 + 500).bytes().len()
    );
    assert_eq!(film.rest().expect("all of it").body.len() as u64, FILM_SIZE);
    station.push(GROWING + 1);
    assert_eq!(Answering::of(held).expect("an answer").status, 200);
}

#[test]
fn what_is_watched_ends_with_its_token_and_with_its_key() {
    let station = station();
    let config = station.config();
    let mint = |arguments: &[&str]| {
        let token = done(&config, &[&["token", "mint"], arguments].concat());
        token.trim_end().to_owned()
    };
    let (short, long) = (mint(&["--for", "3s"]), mint(&[]));
    Watching::begin(&station, &short, 1).ended("token-expired");
    let watching = Watching::begin(&station, &long, 1);
    done(&config, &["key", "rotate"]);
    done(&config, &["key", "rotate", "--force"]);
    watching.ended("token-unknown");
    // A restore keeps the keys, and what they signed before is void.
    let watching = Watching::begin(&station, &mint(&[]), 1);
    let copy = station.place.path("copy.db");
    done(&config, &["backup", copy.to_str().unwrap()]);
    done(&config, &["restore", copy.to_str().unwrap()]);
    watching.ended("token-unknown");
}
