//! Renditions that take more than a plan or a token lets one take: left out of what is offered, and
//! refused; and what lies further back than a plan goes.

use std::io::Write as _;

use super::boxes::{Chunk, Media, chunk, header};
use super::http::{self, Answer, Answering, ask, connect};
use super::{Station, channel, config, kept, past, uris};
use crate::running::{Place, Running, done, program, run, serve, until, until_found};

/// Kilobits a second between what `v` takes and what `h` does.
const CAP: &str = "60";

/// Names of the texts that name renditions.
const TEXTS: [&str; 4] = ["master.m3u8", "ll.m3u8", "manifest.mpd", "ll.mpd"];

/// A second of the picture that takes much.
fn high(second: u64) -> Vec<u8> {
    let of = |start_ms| Chunk { sample_size: 400, ..chunk(start_ms) }.bytes();
    [of(second * 1000), of(second * 1000 + 500)].concat()
}

/// A channel that is kept, in two pictures and a sound, from a second on; and subscribers whose
/// plans let them have all of it, the lower picture, and no past.
fn station(from: u64, count: u64) -> Station {
    let place = Place::new();
    let news = format!("{}access = \"token\"\n", kept("news", "required"));
    let config = config(&place, &format!("{news}{}", channel("mark")));
    let server = Running::start(&mut serve(&config));
    let station = Station { server, place, marks: Default::default() };
    assert_eq!(station.put("mark/v/init.mp4", &header(Media::Picture)).status, 200);
    for (name, media) in [("v", Media::Picture), ("h", Media::Picture), ("a", Media::Sound)] {
        assert_eq!(station.put(&format!("news/{name}/init.mp4"), &header(media)).status, 200);
    }
    station.push_all(from, count);
    let done = |arguments: &[&str]| done(&config, arguments);
    done(&["bouquet", "add", "all", "--name", "All", "--content", "tv/news"]);
    for (plan, more) in [
        ("high", &["--catch-up", "7"][..]),
        ("low", &["--catch-up", "7", "--bitrate", CAP]),
        ("now", &["--catch-up", "0"]),
    ] {
        let add = ["plan", "add", plan, "--name", plan, "--bouquet", "all", "--sessions", "0"];
        done(&[&add, more].concat());
    }
    for (name, plan) in [("Anna", "low"), ("Alma", "low"), ("Bela", "high"), ("Nora", "now")] {
        done(&["subscriber", "add", name, "--plan", plan]);
    }
    station
}

impl Station {
    fn push_all(&self, from: u64, count: u64) {
        let sound = |second| super::boxes::second_of(Media::Sound, second);
        for second in from..from + count {
            for (name, bytes) in
                [("v", super::boxes::segment(second)), ("h", high(second)), ("a", sound(second))]
            {
                let put = self.put(&format!("news/{name}/{second}.m4s"), &bytes);
                assert_eq!(put.status, 200, "{name} {second}");
            }
        }
        self.settle();
    }

    /// What a subscriber's address begins with.
    fn address_of(&self, subscriber: &str) -> String {
        let token = done(&self.config(), &["token", "mint", "--subscriber", subscriber]);
        let address = format!("/s/{}", token.trim_end());
        until("it is known", || self.outcome(&format!("{address}/tv/news/v/index.m3u8")) == "200");
        address
    }

    fn outcome(&self, path: &str) -> String {
        said(&http::get(self.server.public, path))
    }
}

/// Status and reason.
fn said(answer: &Answer) -> String {
    let reason = answer.header("X-Shardcast-Reason").unwrap_or_default();
    format!("{} {reason}", answer.status).trim_end().to_owned()
}

fn ask_with(station: &Station, path: &str, lines: &str) -> Answer {
    let head = format!("GET {path} HTTP/1.1\r\nHost: tv\r\n{lines}");
    ask(station.server.public, &head, b"").expect("a whole answer")
}

/// The same text for all of a cap, in which the higher picture is not.
#[track_caller]
fn check_text(station: &Station, path: &str, (low, other_low, all): (&str, &str, &str)) {
    let get = |address: &str| http::get(station.server.public, &format!("{address}{path}"));
    // The names of renditions begin what refers to them: `v/…`, `../../h/…`, `id="h"`.
    let names = |text: &str, name: &str| {
        [format!("{name}/"), format!("id=\"{name}\"")].iter().any(|form| text.contains(form))
    };
    let (whole, narrow, again) = (get(all), get(low), get(other_low));
    for answer in [&whole, &narrow] {
        assert_eq!(said(answer), "200", "{path}");
        assert!(names(answer.text(), "v") && names(answer.text(), "a"), "{}", answer.text());
    }
    assert!(names(whole.text(), "h"), "{path}: {}", whole.text());
    assert!(!narrow.text().contains("h/") && !narrow.text().contains("\"h\""), "{}", narrow.text());
    assert_eq!(
        (&narrow.body, narrow.header("ETag")),
        (&again.body, again.header("ETag")),
        "{path}"
    );
    let etag = |answer: &Answer| answer.header("ETag").expect("it has one").to_owned();
    assert_ne!(etag(&narrow), etag(&whole), "{path}");
    let path = format!("{low}{path}");
    let held = ask_with(station, &path, &format!("If-None-Match: {}\r\n", etag(&narrow)));
    assert_eq!(held.status, 304, "{path}");
    let other = ask_with(station, &path, &format!("If-None-Match: {}\r\n", etag(&whole)));
    assert_eq!((other.status, &other.body), (200, &narrow.body), "{path}");
    let part = ask_with(station, &path, "Range: bytes=3-9\r\n");
    assert_eq!((part.status, &part.body[..]), (206, &narrow.body[3..10]), "{path}");
    let size = ask_with(station, &path, "Range: bytes=0-0\r\n");
    let range = format!("bytes 0-0/{}", narrow.body.len());
    assert_eq!(size.header("Content-Range"), Some(&range[..]), "{path}");
}

#[test]
fn a_cap_leaves_out_what_is_beyond_it_and_refuses_it_live_and_past() {
    let from = past();
    let station = station(from, 4);
    let [anna, alma, bela] = ["Anna", "Alma", "Bela"].map(|name| station.address_of(name));
    let viewers = (&anna[..], &alma[..], &bela[..]);
    for text in TEXTS {
        check_text(&station, &format!("/tv/news/{text}"), viewers);
    }
    let folder = format!("/tv/news/archive/{from}-3");
    let header = http::get(station.server.public, &format!("{bela}/tv/news/h/index.m3u8"));
    let header = super::quoted(header.text(), "URI").to_owned();
    let beyond: Vec<_> = ["index.m3u8", "ll.m3u8", "delta.m3u8", "iframes.m3u8", &header]
        .into_iter()
        .map(|name| format!("/tv/news/h/{name}"))
        .chain([
            format!("/tv/news/h/{from}.m4s"),
            format!("/tv/news/h/{from}.0.m4s"),
            format!("/tv/news/h/ll.m3u8?_HLS_msn={}", from + 5),
            format!("{folder}/h/media.m3u8"),
            "/tv/news/rewind/h/media.m3u8".to_owned(),
        ])
        .collect();
    for path in &beyond {
        // The first who asks is answered by whoever writes it, the next one by the shard.
        assert_eq!(station.outcome(&format!("{anna}{path}")), "403 bitrate", "{path}");
        assert_eq!(station.outcome(&format!("{alma}{path}")), "403 bitrate", "{path}");
    }
    for name in ["v", "a"] {
        let path = format!("/tv/news/{name}/{from}.m4s");
        assert_eq!(station.outcome(&format!("{anna}{path}")), "200", "{path}");
        let media = format!("{folder}/{name}/media.m3u8");
        assert_eq!(station.outcome(&format!("{anna}{media}")), "200", "{media}");
    }
    for text in [format!("{folder}/master.m3u8"), format!("{folder}/manifest.mpd")] {
        check_text(&station, &text, viewers);
    }
    let counted = station.server.admin_get("/metrics");
    let is_counted = |line: &str| {
        line.starts_with("shardcast_refusals_total{reason=\"bitrate\"}") && !line.ends_with(" 0")
    };
    assert!(counted.lines().any(is_counted), "{counted}");

    // A token narrows what the plan allows, and not the other way round.
    for (subscriber, bitrate, expected) in
        [("Bela", CAP, "403 bitrate"), ("Anna", "100000", "403 bitrate"), ("Bela", "100000", "200")]
    {
        let mint = ["token", "mint", "--subscriber", subscriber, "--bitrate", bitrate];
        let token = done(&station.config(), &mint);
        let path = format!("/s/{}/tv/news/h/{from}.m4s", token.trim_end());
        assert_eq!(station.outcome(&path), expected, "{subscriber} {bitrate}");
    }

    // No encoder comes back: what is past is refused as it was.
    let station = station.started_again();
    for text in [format!("{folder}/master.m3u8"), format!("{folder}/manifest.mpd")] {
        check_text(&station, &text, viewers);
    }
    let segment = format!("/tv/news/h/{from}.m4s");
    assert_eq!(station.outcome(&format!("{anna}{segment}")), "403 bitrate");
    assert_eq!(station.outcome(&format!("{bela}{segment}")), "200");
    let header = format!("/tv/news/h/{header}");
    assert_eq!(station.outcome(&format!("{anna}{header}")), "403 bitrate");
    assert_eq!(station.outcome(&format!("{bela}{header}")), "200");
}

#[test]
fn a_plan_that_is_narrowed_ends_what_is_beyond_it_within_a_second() {
    let from = past();
    let station = station(from, 3);
    let bela = station.address_of("Bela");
    let get = |path: &str| station.outcome(&format!("{bela}/tv/news/{path}"));
    assert_eq!(get(&format!("h/{from}.m4s")), "200");
    let wait = |rendition: &str| {
        let mut held = connect(station.server.public);
        let path = format!("{bela}/tv/news/{rendition}/ll.m3u8?_HLS_msn={}", from + 3);
        write!(held, "GET {path} HTTP/1.1\r\nHost: tv\r\n\r\n").unwrap();
        held
    };
    let (high, low) = (wait("h"), wait("v"));
    station.until_held(2);
    let config = station.config();
    done(&config, &["plan", "set", "high", "--bitrate", CAP]);
    let told = Answering::of(high).expect("an answer");
    assert!(told.head.contains("\r\nX-Shardcast-Reason: bitrate\r\n"), "{}", told.head);
    assert_eq!(get(&format!("h/{from}.m4s")), "403 bitrate");
    station.until_held(1);
    station.push_all(from + 3, 1);
    assert_eq!(Answering::of(low).expect("an answer").status, 200);
    // What no rendition is within leaves the lowest: a picture is better than none.
    done(&config, &["plan", "set", "high", "--bitrate", "1"]);
    until_found(|| {
        let master = http::get(station.server.public, &format!("{bela}/tv/news/master.m3u8"));
        let text = master.text();
        let is_lowest = text.contains("\nv/index.m3u8") && !text.contains("\nh/");
        is_lowest.then_some(()).ok_or_else(|| text.to_owned())
    });
    assert_eq!(get(&format!("v/{from}.m4s")), "200");
    done(&config, &["plan", "set", "high", "--bitrate", "0"]);
    until("all of it", || get(&format!("h/{from}.m4s")) == "200");
}

#[test]
fn the_past_goes_back_as_far_as_the_plan_does() {
    let day = 86_400;
    let old = past() - 2 * day;
    let station = station(old, 4);
    let new = past();
    station.push_all(new, 2);
    let config = station.config();
    let [bela, nora] = ["Bela", "Nora"].map(|name| station.address_of(name));
    let texts = |from: u64| {
        ["master.m3u8", "manifest.mpd", "v/media.m3u8"]
            .map(|name| format!("/tv/news/archive/{from}-4/{name}"))
    };
    let check_on = |station: &Station, address: &str, paths: &[String], expected: &str| {
        for path in paths {
            until_found(|| match station.outcome(&format!("{address}{path}")) {
                outcome if outcome == expected => Ok(()),
                other => Err(format!("{path}: {other}, not {expected}")),
            });
        }
    };
    let check = |address: &str, paths: &[String], expected: &str| {
        check_on(&station, address, paths, expected);
    };
    check(&bela, &texts(old), "200");
    check(&bela, &["/tv/news/rewind/v/media.m3u8".to_owned()], "200");
    check(&nora, &texts(old), "403 catch-up");
    check(&nora, &texts(new), "403 catch-up");
    check(&nora, &["/tv/news/rewind/v/media.m3u8".to_owned()], "403 catch-up");
    // What is live is not past.
    let live = http::get(station.server.public, &format!("{nora}/tv/news/v/index.m3u8"));
    let newest = format!("/tv/news/v/{}", uris(live.text()).last().expect("it has segments"));
    check(&nora, std::slice::from_ref(&newest), "200");
    done(&config, &["plan", "set", "high", "--catch-up", "1"]);
    check(&bela, &texts(old), "403 catch-up");
    check(&bela, &texts(new), "200");
    done(&config, &["plan", "set", "high", "--catch-up", "3"]);
    check(&bela, &texts(old), "200");
    // Nobody sends it any more: segments are of the archive alone.
    let station = station.started_again();
    let check = |address: &str, paths: &[String], expected: &str| {
        check_on(&station, address, paths, expected);
    };
    check(&bela, std::slice::from_ref(&newest), "200");
    check(&nora, &[newest], "403 catch-up");
    let explained = done(
        &config,
        &["subscriber", "explain", "Nora", "--content", &format!("tv/news/archive/{new}-4/x")],
    );
    assert!(explained.contains("catch-up"), "{explained}");
}

/// A film in three renditions and a sound, each in a folder of its own, or all in one.
fn write_film(folder: &std::path::Path, is_flat: bool) {
    let place = |name: &str, file: &str| match is_flat {
        true => format!("{name}-{file}"),
        false => format!("{name}/{file}"),
    };
    let write = |path: String, text: &str| {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let mut master = format!(
        "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"de\",URI=\"{}\"\n",
        place("sound", "i.m3u8")
    );
    let mut sets = String::new();
    for (name, kbps) in [("v360", 800), ("v720", 3000), ("v1080", 6000), ("sound", 128)] {
        let (playlist, header) = (place(name, "i.m3u8"), place(name, "init.mp4"));
        let below = |path: &str| path.rsplit('/').next().unwrap().to_owned();
        let media: Vec<_> = (1..4).map(|at| place(name, &format!("{at}.m4s"))).collect();
        let mut text = format!("#EXTM3U\n#EXT-X-MAP:URI=\"{}\"\n", below(&header));
        for path in &media {
            text += &format!("#EXTINF:2,\n{}\n", below(path));
            write(path.clone(), &path.repeat(100));
        }
        text += "#EXT-X-ENDLIST\n";
        write(header, &name.repeat(100));
        write(playlist.clone(), &text);
        let kind = if name == "sound" { "audio" } else { "video" };
        if kind == "video" {
            let bits = kbps * 1000;
            let codecs = "CODECS=\"avc1.4d401f,mp4a.40.2\"";
            let said = format!("BANDWIDTH={bits},{codecs},AUDIO=\"a\"");
            master += &format!("#EXT-X-STREAM-INF:{said}\n{playlist}\n");
        }
        sets += &format!(
            "<AdaptationSet contentType=\"{kind}\"><Representation id=\"{name}\" bandwidth=\"{}\">\
             <SegmentTemplate media=\"{}\"/></Representation></AdaptationSet>\n",
            kbps * 1000,
            place(name, "$Number$.m4s"),
        );
    }
    write("master.m3u8".to_owned(), &master);
    write("manifest.mpd".to_owned(), &format!("<MPD>\n<Period>\n{sets}</Period>\n</MPD>\n"));
    write("film.mp4".to_owned(), "all of it");
}

#[test]
fn a_cap_holds_for_packaged_films_in_folders_and_in_packs() {
    let place = Place::new();
    std::fs::create_dir_all(place.path("films")).unwrap();
    for (name, is_flat) in [("folder", false), ("flat", true)] {
        write_film(&place.path("films").join(name), is_flat);
        let pack = place.path("films").join(format!("{name}-pack.pack"));
        let packed =
            run(program().arg("pack").arg(place.path("films").join(name)).arg("-o").arg(pack));
        assert_eq!(packed.code, 0, "{}", packed.err);
    }
    let config = place.config("[[library]]\npath = \"films\"\naccess = \"token\"\n");
    let server = Running::start(&mut serve(&config));
    let station = Station { server, place, marks: Default::default() };
    let done = |arguments: &[&str]| done(&config, arguments).trim_end().to_owned();
    let [all, low, mid] = [None, Some("1000"), Some("3000")].map(|bitrate| {
        let bitrate = bitrate.map(|kbps| ["--bitrate", kbps]);
        let mint = [&["token", "mint"][..], bitrate.as_ref().map_or(&[], |of| &of[..])].concat();
        format!("/s/{}", done(&mint))
    });
    for asset in ["folder", "flat", "folder-pack", "flat-pack"] {
        let file = |name: &str, file: &str| match asset.starts_with("flat") {
            true => format!("/vod/{asset}/{name}-{file}"),
            false => format!("/vod/{asset}/{name}/{file}"),
        };
        for text in ["master.m3u8", "manifest.mpd"] {
            let names = |viewer: &str| {
                let path = format!("{viewer}/vod/{asset}/{text}");
                let answer = http::get(station.server.public, &path);
                assert_eq!(said(&answer), "200", "{path}");
                let names = ["v360", "v720", "v1080", "sound"].into_iter();
                let left = names.filter(|name| answer.text().contains(name)).collect::<Vec<_>>();
                let etag = answer.header("ETag").unwrap().to_owned();
                let held = ask_with(&station, &path, &format!("If-None-Match: {etag}\r\n"));
                assert_eq!(held.status, 304, "{path}");
                let part = ask_with(&station, &path, "Range: bytes=2-5\r\n");
                assert_eq!((part.status, &part.body[..]), (206, &answer.body[2..6]), "{path}");
                let gzip = ask_with(&station, &path, "Accept-Encoding: gzip\r\n");
                assert_eq!(gzip.status, 200, "{path}");
                (left.join(" "), etag)
            };
            let (whole, narrow, middle) = (names(&all), names(&low), names(&mid));
            assert_eq!(whole.0, "v360 v720 v1080 sound", "{asset} {text}");
            assert_eq!(narrow.0, "v360 sound", "{asset} {text}");
            assert_eq!(middle.0, "v360 v720 sound", "{asset} {text}");
            assert!(whole.1 != narrow.1 && narrow.1 != middle.1, "{asset} {text}");
        }
        for (name, of_low, of_mid) in [
            ("v360", "200", "200"),
            ("sound", "200", "200"),
            ("v720", "403 bitrate", "200"),
            ("v1080", "403 bitrate", "403 bitrate"),
        ] {
            for path in ["i.m3u8", "init.mp4", "1.m4s", "3.m4s"].map(|part| file(name, part)) {
                for (viewer, expected) in [(&low, of_low), (&mid, of_mid), (&all, "200")] {
                    let outcome = station.outcome(&format!("{viewer}{path}"));
                    assert_eq!(outcome, expected, "{path}");
                }
            }
        }
        // What no playlist names is nobody's.
        let film = format!("{low}/vod/{asset}/film.mp4");
        assert_eq!(station.outcome(&film), "200");
    }
}

#[test]
fn a_channel_of_films_offers_what_may_be_had_of_them() {
    let place = Place::new();
    write_film(&place.path("films/a"), false);
    // Of what has no manifest its playlists are read.
    std::fs::remove_file(place.path("films/a").join("manifest.mpd")).unwrap();
    let config = place.config(
        "[[library]]\npath = \"films\"\naccess = \"token\"\n[[channel]]\nid = \"cinema\"\n\
         access = \"token\"\nwindow = \"10s\"\nplaylist = [\"a\"]\n",
    );
    let server = Running::start(&mut serve(&config));
    for (bitrate, expected) in [("1000", 1), ("3000", 2), ("100000", 3), ("1", 1), ("3000", 2)] {
        let token = done(&config, &["token", "mint", "--bitrate", bitrate]);
        let address = format!("/s/{}", token.trim_end());
        let master = http::get(server.public, &format!("{address}/tv/cinema/master.m3u8"));
        assert_eq!(said(&master), "200");
        let offered = uris(master.text());
        assert_eq!(offered.len(), expected, "{bitrate}: {}", master.text());
        for name in offered {
            let playlist = format!("{address}/tv/cinema/{name}");
            let answer = http::get(server.public, &playlist);
            for uri in uris(answer.text()) {
                let segment = http::get(server.public, &super::resolved(&playlist, uri));
                assert_eq!(said(&segment), "200", "{bitrate}: {uri}");
            }
        }
    }
}

#[test]
fn whatever_is_asked_for_takes_a_right_to_it() {
    let from = past();
    let place = Place::new();
    let film = place.path("films/a");
    write_film(&film, false);
    std::fs::write(film.join("enc.key"), [7; 16]).unwrap();
    let pack = place.path("films/p.pack");
    run(program().arg("pack").arg(&film).arg("-o").arg(pack));
    let library = "[[library]]\npath = \"films\"\naccess = \"token\"\n";
    let news = format!("{}access = \"token\"\n", kept("news", "required"));
    let config = config(&place, &format!("{library}{news}{}", channel("mark")));
    let server = Running::start(&mut serve(&config));
    let station = Station { server, place, marks: Default::default() };
    assert_eq!(station.put("mark/v/init.mp4", &header(Media::Picture)).status, 200);
    for (name, media) in [("v", Media::Picture), ("h", Media::Picture), ("a", Media::Sound)] {
        assert_eq!(station.put(&format!("news/{name}/init.mp4"), &header(media)).status, 200);
    }
    station.push_all(from, 3);
    let half = station.put(&format!("news/v/{}.m4s", from + 3), &chunk((from + 3) * 1000).bytes());
    assert_eq!(half.status, 200);
    station.settle();
    for (name, content) in [("all", &["tv/news", "vod/a", "vod/p"][..]), ("less", &["tv/other"])] {
        let content = content.iter().flat_map(|of| ["--content", of]);
        let add = ["bouquet", "add", name, "--name", name].into_iter().chain(content);
        done(&config, &add.collect::<Vec<_>>());
        let add = ["plan", "add", name, "--name", name, "--bouquet", name, "--catch-up", "7"];
        done(&config, &[&add[..], &["--sessions", "0"]].concat());
        done(&config, &["subscriber", "add", name, "--plan", name]);
    }
    let anna = station.address_of("all");
    let olga = done(&config, &["token", "mint", "--subscriber", "less"]);
    let olga = format!("/s/{}", olga.trim_end());
    let media = http::get(station.server.public, &format!("{anna}/tv/news/v/ll.m3u8"));
    let part = uri_of(media.text(), "#EXT-X-PART:").to_owned();
    let init = uri_of(media.text(), "#EXT-X-MAP:").to_owned();
    let archive = format!("/tv/news/archive/{from}-2");
    let vod = ["master.m3u8", "manifest.mpd", "v360/i.m3u8", "v360/init.mp4", "v360/1.m4s"];
    let vod = vod.iter().chain(&["film.mp4", "enc.key"]);
    let paths = vod.flat_map(|name| ["a", "p"].map(|asset| format!("/vod/{asset}/{name}")));
    let live = TEXTS.map(|text| format!("/tv/news/{text}")).into_iter();
    let of_picture = ["index.m3u8", "ll.m3u8", "delta.m3u8", &init, &part].into_iter();
    let of_picture = of_picture.map(|name| format!("/tv/news/v/{name}"));
    let segments = [from, from + 1].map(|second| format!("/tv/news/v/{second}.m4s"));
    let texts = ["master.m3u8", "manifest.mpd", "v/media.m3u8"];
    let texts = texts.map(|name| format!("{archive}/{name}")).into_iter();
    let rewind = ["master.m3u8", "v/media.m3u8"].map(|name| format!("/tv/news/rewind/{name}"));
    for path in paths.chain(live).chain(of_picture).chain(segments).chain(texts).chain(rewind) {
        assert_eq!(station.outcome(&path), "403 token-missing", "{path}");
        assert_eq!(station.outcome(&format!("{olga}{path}")), "403 not-entitled", "{path}");
        assert_eq!(station.outcome(&format!("{anna}{path}")), "200", "{path}");
    }
    // What grows is sent as it comes.
    let path = format!("/tv/news/v/{}.m4s", from + 3);
    assert_eq!(station.outcome(&path), "403 token-missing");
    assert_eq!(station.outcome(&format!("{olga}{path}")), "403 not-entitled");
    let growing = Answering::get(station.server.public, &format!("{anna}{path}"));
    assert_eq!(growing.status, 200);
    // Nobody sends it any more: the same segments come from the archive.
    let station = station.started_again();
    let path = format!("/tv/news/v/{from}.m4s");
    assert_eq!(station.outcome(&path), "403 token-missing");
    assert_eq!(station.outcome(&format!("{olga}{path}")), "403 not-entitled");
    assert_eq!(station.outcome(&format!("{anna}{path}")), "200");
}

/// `URI` of the first tag that begins so.
fn uri_of<'t>(text: &'t str, tag: &str) -> &'t str {
    let line = text.lines().find(|line| line.starts_with(tag)).unwrap_or_else(|| panic!("{text}"));
    super::quoted(line, "URI")
}
