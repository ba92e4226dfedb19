//! What is past as others ask for it: every dialect leads to the same second, and players that know
//! no playlists get one transport stream.

use std::io::{Read as _, Write as _};

use super::boxes::{Media, header, segment};
use super::continuous::complaints_of;
use super::http::{self, Answer, ask};
use super::remux::{Media as Encoded, media};
use super::transport::{PACKET_SIZE, complaints, counter_gaps};
use super::{Station, kept, past, uris};
use crate::running::{done, until_found};

impl Station {
    /// What is asked for, with these header lines, too.
    fn asked(&self, method: &str, path: &str, lines: &str) -> Answer {
        let head = format!("{method} {path} HTTP/1.1\r\nHost: tv\r\n{lines}");
        ask(self.server.public, &head, b"").expect("a whole answer")
    }

    /// The head that a HEAD gets.
    fn head_of(&self, path: &str) -> String {
        let mut stream = http::connect(self.server.public);
        write!(stream, "HEAD {path} HTTP/1.1\r\nHost: tv\r\nConnection: close\r\n\r\n").unwrap();
        let mut head = String::new();
        stream.read_to_string(&mut head).unwrap();
        head
    }

    /// Where an address of others leads.
    #[track_caller]
    fn leads(&self, path: &str) -> String {
        let answer = self.asked("GET", path, "");
        assert_eq!(answer.status, 302, "{path}: {}", answer.head);
        assert_eq!(answer.header("Cache-Control"), Some("no-store"), "{path}");
        answer.header("Location").expect("it leads somewhere").to_owned()
    }

    /// The first date of what is past at this address.
    fn first_date(&self, master: &str) -> String {
        let folder = master.strip_suffix("master.m3u8").expect("a playlist");
        let media = http::get(self.server.public, &format!("{folder}v/media.m3u8"));
        let text = media.text();
        let mut lines = text.lines();
        let date = lines.find_map(|line| line.strip_prefix("#EXT-X-PROGRAM-DATE-TIME:"));
        date.unwrap_or_else(|| panic!("{text}")).to_owned()
    }
}

/// A channel that is kept, with these seconds.
fn recorded(from: u64, count: u64) -> Station {
    let station = Station::start(&kept("news", "required"));
    assert_eq!(station.put("news/v/init.mp4", &header(Media::Picture)).status, 200);
    (from..from + count).for_each(|second| station.push_durable(second));
    station
}

/// A moment in the zone of somebody, as `date` writes it: `+%Y-%m-%dT%H:%M:%S%:z`.
fn local(zone: &str, at: u64, format: &str) -> String {
    let mut date = std::process::Command::new("date");
    date.env("TZ", zone).args(["-d", &format!("@{at}"), format]);
    let written = date.output().unwrap();
    assert!(written.status.success());
    String::from_utf8(written.stdout).unwrap().trim().to_owned()
}

#[test]
fn every_dialect_leads_to_the_same_second() {
    let from = past();
    let station = recorded(from, 6);
    let start = from + 2;
    let iso = local("UTC", start, "+%Y-%m-%dT%H:%M:%SZ");
    let date = local("UTC", start, "+%Y-%m-%dT%H:%M:%S.000Z");
    let end = start + 3;
    let closed = format!("/tv/news/archive/{start}-3/master.m3u8");
    for asked in [
        format!("/news/archive-{start}-3.m3u8"),
        format!("/news/index-{start}-3.m3u8"),
        format!("/news/video-{start}-3.m3u8"),
        format!("/tv/news/archive-{start}-3.m3u8"),
        format!("/tv/news/master.m3u8?start={iso}&end={end}"),
        format!("/tv/news/master.m3u8?utc={start}&utcend={end}&lutc={}", end + 60),
        format!("/news/index.m3u8?start={start}000&duration=3"),
    ] {
        assert_eq!(station.leads(&asked), closed, "{asked}");
    }
    assert_eq!(station.first_date(&closed), date);
    let open = format!("/tv/news/archive/{start}-now/master.m3u8");
    for asked in [
        format!("/news/archive-{start}-now.m3u8"),
        format!("/news/timeshift_abs-{start}.m3u8"),
        format!("/tv/news/master.m3u8?utc={start}&lutc={end}"),
        format!("/tv/news/ll.m3u8?utc={start}"),
        format!("/tv/news/master.m3u8?start={iso}"),
    ] {
        assert_eq!(station.leads(&asked), open, "{asked}");
    }
    assert_eq!(station.first_date(&open), date);
    // Those that count from now mean the moment at which they are asked.
    for name in ["timeshift_rel-", "rewind-", "master-timeshift_rel-"] {
        let before = until_found(|| std::time::UNIX_EPOCH.elapsed().map_err(|e| e.to_string()));
        let led = station.leads(&format!("/tv/news/{name}600.m3u8"));
        let after = std::time::UNIX_EPOCH.elapsed().unwrap();
        let at = led.strip_prefix("/tv/news/archive/").and_then(|rest| rest.split_once('-'));
        let at: u64 = at.unwrap().0.parse().unwrap();
        assert!((before.as_secs()..=after.as_secs()).contains(&(at + 600)), "{led}");
    }
    // A token stays in front, whoever's it is.
    let with = station.leads(&format!("/s/abc/news/archive-{start}-3.m3u8"));
    assert_eq!(with, format!("/s/abc{closed}"));
    // What is live has no such query, and what is wrong is told.
    assert_eq!(station.get("news/master.m3u8?session=1").status, 200);
    for (asked, why) in [
        ("/news/archive-1-0.m3u8", "a length is a number"),
        ("/tv/news/master.m3u8?utc=yesterday", "a start is"),
        ("/news/archive-1-86401.m3u8", "at most a day"),
    ] {
        let answer = station.asked("GET", asked, "");
        assert!(answer.status == 400 && answer.text().contains(why), "{}", answer.text());
    }
}

/// Moments around which clocks change, and one of an ordinary evening.
const MOMENTS: [u64; 5] = [
    // Europe/Berlin: 2026-03-29 01:00 UTC, from 02:00 to 03:00; 2026-10-25 01:00 UTC, back again.
    1_774_745_700,
    1_774_746_900,
    1_792_889_100,
    1_792_892_700,
    1_795_651_200,
];

#[test]
fn clients_of_any_zone_get_the_same_programme_on_the_nights_of_clock_changes_too() {
    for start in MOMENTS {
        let station = recorded(start, 4);
        let expected = local("UTC", start, "+%Y-%m-%dT%H:%M:%S.000Z");
        let place = format!("/tv/news/archive/{start}-3/master.m3u8");
        for zone in ["Europe/Berlin", "America/New_York", "Asia/Kolkata", "UTC"] {
            // What lists say with {utc}, whatever zone it is read in.
            let epoch = local(zone, start, "+%s");
            // What apps write that keep to the zone which the server names, and what says its own.
            let offset = local(zone, start, "+%Y-%m-%dT%H:%M:%S%:z").replace('+', "%2B");
            for asked in [
                format!("/news/archive-{epoch}-3.m3u8"),
                format!("/tv/news/master.m3u8?utc={epoch}&duration=3"),
                format!("/tv/news/master.m3u8?start={offset}&duration=3"),
            ] {
                assert_eq!(station.leads(&asked), place, "{zone}: {asked}");
            }
        }
        assert_eq!(station.first_date(&place), expected);
    }
}

/// Picture and sound of ffmpeg, kept, and when they begin.
fn encoded(seconds: u32) -> (Station, Encoded, f64) {
    let media = media(seconds);
    let station = Station::start(&kept("news", "required"));
    media.push_headers(&station);
    media.push(&station, 0..seconds as usize);
    let whole = |answer: &Answer| uris(answer.text()).len() >= seconds as usize - 1;
    let rewind = station.until("news/rewind/v/media.m3u8", whole);
    let text = rewind.text().to_owned();
    let date = text.lines().find_map(|line| line.strip_prefix("#EXT-X-PROGRAM-DATE-TIME:"));
    let date = seconds_of(date.expect("it has a date"));
    (station, media, date)
}

fn seconds_of(date: &str) -> f64 {
    let output = std::process::Command::new("date").args(["-u", "-d", date, "+%s.%3N"]).output();
    String::from_utf8(output.unwrap().stdout).unwrap().trim().parse().unwrap()
}

/// First presentation times that ffprobe finds, by kind of stream.
fn first_times(file: &[u8], extension: &str) -> Vec<(String, f64)> {
    let place = tempfile::NamedTempFile::with_suffix(extension).unwrap();
    std::fs::write(place.path(), file).unwrap();
    let mut ffprobe = std::process::Command::new("ffprobe");
    ffprobe.args(["-v", "error", "-show_entries", "packet=codec_type,pts_time", "-of", "csv=p=0"]);
    let output = ffprobe.arg(place.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut first: Vec<(String, f64)> = Vec::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let mut fields = line.split(',');
        let (Some(kind), Some(time)) = (fields.next(), fields.next()) else { continue };
        let Ok(time) = time.parse::<f64>() else { continue };
        match first.iter_mut().find(|(known, _)| known == kind) {
            Some((_, known)) => *known = known.min(time),
            None => first.push((kind.to_owned(), time)),
        }
    }
    first.sort_by(|one, other| one.0.cmp(&other.0));
    first
}

#[test]
fn players_without_playlists_get_one_stream_with_a_length_of_which_any_part_can_be_had() {
    let (station, media, begins) = encoded(8);
    let from = begins as u64;
    let folder = format!("/tv/news/archive/{}-4", from + 2);
    assert_eq!(
        station.leads(&format!("/news/archive-{}-4.ts", from + 2)),
        format!("{folder}/stream.ts")
    );
    assert_eq!(station.leads(&format!("{folder}/stream.ts")), "v/stream.ts");
    let path = format!("{folder}/v/stream.ts");
    let whole = station.asked("GET", &path, "");
    assert_eq!((whole.status, whole.header("Content-Type")), (200, Some("video/mp2t")));
    let length: usize = whole.header("Content-Length").unwrap().parse().unwrap();
    assert_eq!(whole.body.len(), length);
    let is_null = |packet: &&[u8]| packet[1] == 0x1f && packet[2] == 0xff;
    let packets = || whole.body.chunks(PACKET_SIZE);
    let filled: Vec<u8> = packets().filter(|packet| !is_null(packet)).flatten().copied().collect();
    assert_eq!(counter_gaps(&filled), []);
    assert_eq!(complaints_of(&whole.body), "");
    // Its first picture is that of the segment that covers the start, and sound begins with it.
    let covers = media.of(((from + 2) as f64 - begins) as usize);
    let expected = first_times(&covers, ".mp4");
    let found = first_times(&whole.body, ".ts");
    let time = |times: &[(String, f64)], kind: &str| {
        times.iter().find(|(known, _)| known == kind).unwrap_or_else(|| panic!("{times:?}")).1
    };
    assert!(
        (time(&found, "video") - time(&expected, "video")).abs() < 0.001,
        "{found:?} {expected:?}"
    );
    assert!((time(&found, "audio") - time(&found, "video")).abs() < 0.1, "{found:?}");

    // A player follows from the address of others.
    let url = format!("http://{}/news/archive-{}-4.ts", station.server.public, from + 2);
    assert_eq!(complaints(&url, 4), "");

    // It is the same whenever it is asked for, and in parts.
    let etag = whole.header("ETag").unwrap().to_owned();
    let head = station.head_of(&path);
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    for line in [format!("ETag: {etag}"), format!("Content-Length: {length}")] {
        assert!(head.contains(&format!("\r\n{line}\r\n")), "{line}: {head}");
    }
    for (first, last) in [(0, 0), (100, PACKET_SIZE * 40), (length / 2, length - 1)] {
        let lines = format!("Range: bytes={first}-{last}\r\nIf-Range: {etag}\r\n");
        let part = station.asked("GET", &path, &lines);
        assert_eq!(part.status, 206, "{}", part.head);
        assert!(part.body == whole.body[first..=last], "{first}-{last}");
    }
    let held = station.asked("GET", &path, &format!("If-None-Match: {etag}\r\n"));
    assert_eq!(held.status, 304);
    // Nothing that was recorded, and what slides.
    for (path, status) in [
        (format!("/tv/news/archive/{}-4/stream.ts", from - 4000), 404),
        (format!("{folder}/x/stream.ts"), 404),
        ("/tv/news/rewind/stream.ts".to_owned(), 400),
    ] {
        assert_eq!(station.asked("GET", &path, "").status, status, "{path}");
    }
    // After a start nothing of it is known, and it is the same again.
    let station = station.started_again();
    assert_eq!(station.leads(&path), "stream.ts");
    assert!(station.asked("GET", &path, "").body == whole.body);
}

/// Packets of a stream up to the last tables, with which a piece begins, and how many pieces.
fn pieces(stream: &[u8]) -> (Vec<u8>, usize) {
    let packets: Vec<_> = stream.chunks_exact(PACKET_SIZE).collect();
    let begins = |packet: &&[u8]| packet[1] & 0x1f == 0 && packet[2] == 0;
    let count = packets.iter().filter(|packet| begins(packet)).count();
    let last = packets.iter().rposition(begins).unwrap_or(0);
    (packets[..last].concat(), count.saturating_sub(1))
}

#[test]
fn a_stream_of_what_is_not_over_goes_on_with_what_comes() {
    let media = media(12);
    let station = Station::start(&kept("news", "required"));
    media.push_headers(&station);
    media.push(&station, 0..4);
    let rewind = station.until("news/rewind/v/media.m3u8", |answer| answer.status == 200);
    let date =
        rewind.text().lines().find_map(|line| line.strip_prefix("#EXT-X-PROGRAM-DATE-TIME:"));
    let from = seconds_of(date.unwrap()) as u64;
    let path = format!("/tv/news/archive/{from}-now/v/stream.ts");
    assert_eq!(station.leads(&path), "stream.ts");
    let mut viewer = http::Answering::get(station.server.public, &path);
    assert!(viewer.status == 200 && !viewer.is_chunked(), "{}", viewer.head);
    let (sent, got) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = vec![0; 64 * 1024];
        while let Ok(size @ 1..) = viewer.stream().read(&mut bytes) {
            if sent.send(bytes[..size].to_vec()).is_err() {
                return;
            }
        }
    });
    let mut stream = Vec::new();
    let mut until = |wanted: usize| {
        while pieces(&stream).1 < wanted {
            stream.extend(got.recv_timeout(crate::running::PATIENCE).expect("it goes on"));
        }
        pieces(&stream).0
    };
    until(2);
    media.push(&station, 4..12);
    let all = until(9);
    let filled = all.chunks(PACKET_SIZE).filter(|packet| packet[1] != 0x1f || packet[2] != 0xff);
    assert_eq!(counter_gaps(&filled.flatten().copied().collect::<Vec<_>>()), []);
    assert_eq!(complaints_of(&all), "");
    // It is much longer than what there is, and there is no more of it than that.
    let found = first_times(&all, ".ts");
    assert_eq!(found.len(), 2, "{found:?}");
}

#[test]
fn segments_that_are_encoded_like_those_of_tests_can_be_sent_as_a_stream_too() {
    let from = past();
    let station = recorded(from, 5);
    let path = format!("/tv/news/archive/{}-3/stream.ts", from + 1);
    assert_eq!(station.leads(&path), "v/stream.ts");
    let answer = station.asked("GET", &path.replace("stream.ts", "v/stream.ts"), "");
    assert!(answer.status == 200 && !segment(from).is_empty());
    assert_eq!(answer.body.len() % PACKET_SIZE, 0);
}

/// What is in the body of an answer of the admin API.
fn told(answer: &str) -> serde_json::Value {
    let (_, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}"))
}

/// A channel that takes a token, and Anna, who may go back a day; the channel's number.
fn with_anna(from: u64) -> (Station, u64) {
    let station = Station::start(&format!("{}access = \"token\"\n", kept("news", "required")));
    assert_eq!(station.put("news/v/init.mp4", &header(Media::Picture)).status, 200);
    (from..from + 6).for_each(|second| station.push_durable(second));
    let config = station.config();
    done(&config, &["bouquet", "add", "all", "--name", "All", "--content", "tv/news"]);
    let plan = ["plan", "add", "gold", "--name", "Gold", "--bouquet", "all", "--catch-up", "1"];
    done(&config, &plan);
    done(&config, &["subscriber", "add", "anna", "--plan", "gold"]);
    let password = r#"{"name":"tv","password":"a pass word-1"}"#;
    let path = "/api/v1/subscribers/anna/app-passwords";
    let added = station.place.socket_ask("POST", path, password);
    assert!(added.starts_with("HTTP/1.1 201 "), "{added}");
    let channel = told(&station.place.socket_get("/api/v1/channels/news"));
    let number = channel["number"].as_u64().unwrap_or_else(|| panic!("{channel}"));
    (station, number)
}

#[test]
fn whoever_signs_in_gets_what_is_past_behind_a_token_of_its_device() {
    let from = past() / 60 * 60;
    let (station, number) = with_anna(from);
    let written = |zone, format| local(zone, from, format);
    let password = "a%20pass%20word-1";
    let mut places = std::collections::HashSet::new();
    for start in [
        from.to_string(),
        format!("{from}000"),
        written("UTC", "+%Y-%m-%d:%H-%M"),
        written("UTC", "+%Y-%m-%d_%H:%M:%S"),
        written("UTC", "+%Y-%m-%d%%20%H:%M"),
        written("Europe/Berlin", "+%Y-%m-%dT%H:%M:%S%:z").replace('+', "%2B"),
        written("America/New_York", "+%Y-%m-%dT%H:%M:%S%:z"),
        written("Asia/Kolkata", "+%Y-%m-%dT%H:%M:%S%:z").replace('+', "%2B"),
    ] {
        let page = format!("username=anna&password={password}&stream={number}&duration=1");
        for asked in [
            format!("/timeshift/anna/{password}/1/{start}/{number}.m3u8"),
            format!("/timeshift.php?{page}&start={start}&extension=m3u8"),
            format!("/streaming/timeshift.php?{page}&start={start}&extension=m3u8"),
        ] {
            places.insert(station.leads(&asked));
        }
    }
    assert_eq!(places.len(), 1, "one device, one place: {places:?}");
    let place = places.into_iter().next().unwrap();
    assert!(place.ends_with(&format!("/tv/news/archive/{from}-60/master.m3u8")), "{place}");
    assert_eq!(station.first_date(&place), written("UTC", "+%Y-%m-%dT%H:%M:%S.000Z"));
    // Without playlists: a stream, behind the token as well.
    let led = station.leads(&format!("/timeshift/anna/{password}/1/{from}/{number}.ts"));
    assert!(led.starts_with("/s/") && led.ends_with(&format!("{from}-60/stream.ts")), "{led}");
    assert_eq!(station.leads(&led), "v/stream.ts");
    let stream = led.replace("stream.ts", "v/stream.ts");
    assert!(station.head_of(&stream).starts_with("HTTP/1.1 200 "));
    assert_eq!(station.asked("GET", "/tv/news/master.m3u8", "").status, 403, "it takes a token");

    // The plan goes back a day; and who is not let in is not told why.
    let before = from - 2 * 86_400;
    let led = station.leads(&format!("/timeshift/anna/{password}/1/{before}/{number}.m3u8"));
    let refused = station.asked("GET", &led, "");
    assert_eq!((refused.status, refused.header("X-Shardcast-Reason")), (403, Some("catch-up")));
    let wrong = |user: &str| {
        let path = format!("/timeshift/{user}/wrong/1/{from}/{number}.ts");
        let answer = station.asked("GET", &path, "");
        (answer.status, answer.text().to_owned())
    };
    assert_eq!(wrong("anna"), wrong("nobody"));
    assert_eq!(wrong("anna").0, 401);
    let none = format!("/timeshift/anna/{password}/1/{from}/{}.ts", number + 1000);
    assert_eq!(station.asked("GET", &none, "").status, 404);
    // Who is blocked is refused as with its token, and what it watches ends.
    let folder = place.split("archive/").next().unwrap();
    let goes_on = format!("{folder}archive/{from}-now/v/stream.ts");
    assert_eq!(station.leads(&goes_on), "stream.ts");
    let mut watching = http::Answering::get(station.server.public, &goes_on);
    assert_eq!(watching.status, 200);
    done(&station.config(), &["subscriber", "set", "anna", "--status", "blocked"]);
    let asked = format!("/timeshift/anna/{password}/1/{from}/{number}.ts");
    until_found(|| match station.asked("GET", &asked, "").header("X-Shardcast-Reason") {
        Some("subscriber-blocked") => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let mut rest = Vec::new();
    let ended = watching.stream().read_to_end(&mut rest).expect_err("it is reset");
    assert_eq!(ended.kind(), std::io::ErrorKind::ConnectionReset);
}
