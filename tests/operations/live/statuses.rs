//! What encoders are answered: a status a mistake (DASH-IF Live Media Ingest, 5).

use std::io::Write as _;

use super::boxes::{MIDNIGHT, Media, header, segment};
use super::http::{Answer, Answering, ask, connect};
use super::{Station, channel, config};
use crate::running::{Place, Running, serve};

/// The largest playlist that is taken, in bytes.
const PLAYLIST_SIZE_MAX: usize = 1 << 20;

/// The most renditions of a channel.
const RENDITIONS_MAX: usize = 64;

impl Station {
    /// A request to the ingest port, with a body whose length it says.
    fn say(&self, request: &str, lines: &str, body: &[u8]) -> Answer {
        let size = body.len();
        let head = format!("{request} HTTP/1.1\r\nHost: in\r\n{lines}Content-Length: {size}\r\n");
        ask(self.server.ingest, &head, body).expect("a whole answer")
    }

    #[track_caller]
    fn check(&self, request: &str, lines: &str, body: &[u8], status: u16) -> Answer {
        let answer = self.say(request, lines, body);
        assert_eq!(answer.status, status, "{request} {lines}{}", answer.text());
        answer
    }
}

#[test]
fn what_leads_nowhere_is_404_and_what_is_not_for_encoders_403() {
    let station = Station::news();
    let media = segment(MIDNIGHT);
    station.check("PUT /ingest/nobody/v/1.m4s", "", &media, 404);
    station.check("POST /ingest/nobody/v/init.mp4", "", &header(Media::Picture), 404);
    for path in [
        "/",
        "/other",
        "/tv/news/v/1.m4s",
        "/ingest",
        "/ingest/../news/v/1.m4s",
        "/ingest/news/../../v/1.m4s",
        "/ingest/news/%2e%2e/1.m4s",
        "/ingest/news%2fv/1.m4s",
        "/ingest/news/v%2F1.m4s",
        "/ingest/news/v%5c1.m4s",
        "/ingest/news/%00/1.m4s",
        "/ingest//news/v/1.m4s",
        "/ingest/news//v/1.m4s",
        "//ingest/news/v/1.m4s",
    ] {
        station.check(&format!("PUT {path}"), "", &media, 403);
    }
    station.settle();
    assert_eq!(station.get("news/v/index.m3u8").status, 404, "nothing has come");
}

#[test]
fn a_channel_with_a_login_is_pushed_to_with_it_only() {
    let place = Place::new();
    std::fs::write(place.path("password"), "open sesame\n").unwrap();
    let login = "ingest = { user = \"enc\", password_file = \"password\" }\n";
    let config = config(&place, &format!("{}{login}", channel("news")));
    let server = Running::start(&mut serve(&config));
    let put = |lines: &str| {
        let body = header(Media::Picture);
        let size = body.len();
        let head = format!(
            "PUT /ingest/news/v/init.mp4 HTTP/1.1\r\nHost: in\r\n{lines}Content-Length: {size}\r\n"
        );
        ask(server.ingest, &head, &body).expect("a whole answer")
    };
    let missing = put("");
    assert_eq!(missing.status, 401);
    assert_eq!(missing.header("WWW-Authenticate"), Some("Basic realm=\"ingest\""));
    // enc:close sesame, other:open sesame, enc:
    for wrong in ["ZW5jOmNsb3NlIHNlc2FtZQ==", "b3RoZXI6b3BlbiBzZXNhbWU=", "ZW5jOg==", "!"] {
        assert_eq!(put(&format!("Authorization: Basic {wrong}\r\n")).status, 403, "{wrong}");
    }
    assert_eq!(put("Authorization: Bearer ZW5jOm9wZW4gc2VzYW1l\r\n").status, 403);
    assert_eq!(put("Authorization: Basic ZW5jOm9wZW4gc2VzYW1l\r\n").status, 200);
}

#[test]
fn other_methods_and_parts_of_objects_are_refused() {
    let station = Station::news();
    let media = segment(MIDNIGHT);
    for method in ["GET", "HEAD", "OPTIONS", "PATCH"] {
        let answer = station.say_without_body(method);
        assert_eq!(answer, (405, Some("PUT, POST, DELETE".to_owned())), "{method}");
    }
    station.push(MIDNIGHT);
    station.check(&format!("DELETE /ingest/news/v/{MIDNIGHT}.m4s"), "", b"", 200);
    let range = format!("Content-Range: bytes 0-{}/{}\r\n", media.len() - 1, media.len());
    station.check(&format!("PUT /ingest/news/v/{}.m4s", MIDNIGHT + 1), &range, &media, 400);
    station.settle();
    assert_eq!(station.get(&format!("news/v/{MIDNIGHT}.m4s")).body, media, "it stays");
    assert_eq!(station.get(&format!("news/v/{}.m4s", MIDNIGHT + 2)).status, 404);
    assert!(!station.get("news/v/index.m3u8").text().contains(&(MIDNIGHT + 1).to_string()));
}

impl Station {
    /// The status and what is allowed; an answer to HEAD has a length and no body.
    fn say_without_body(&self, method: &str) -> (u16, Option<String>) {
        let mut stream = connect(self.server.ingest);
        write!(stream, "{method} /ingest/news/v/1.m4s HTTP/1.1\r\nHost: in\r\n\r\n").unwrap();
        let answering = Answering::of(stream).expect("a head");
        let allow = answering.head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("Allow").then(|| value.to_owned())
        });
        (answering.status, allow)
    }
}

#[test]
fn media_needs_its_header_and_must_be_boxes() {
    let station = Station::start(&channel("news"));
    let media = segment(MIDNIGHT);
    station.check("PUT /ingest/news/v/1.m4s", "", &media, 412);
    station.check("POST /ingest/news/v/1.m4s", "", &media, 412);
    station.check("PUT /ingest/news/Streams(v.cmfv)", "", &media, 412);
    station.check("PUT /ingest/news/v/1.ts", "", &[0x47; 188], 400);
    station.check("PUT /ingest/news/v/1", "Content-Type: video/mp2t\r\n", &[0x47; 188], 400);
    station.check("PUT /ingest/news/v/init.mp4", "", &header(Media::Picture), 200);
    for garbage in [&[0; 64][..], b"no box at all", &[0xff; 64], &[0x47; 188], b"\0\0\0\x08mdat"] {
        station.check("PUT /ingest/news/v/1.m4s", "", garbage, 400);
        station.check("PUT /ingest/news/w/init.mp4", "", garbage, 400);
    }
    // A header that says nothing of the track that the chunk is of.
    let mut other = media.clone();
    let tfhd = other.windows(4).position(|kind| kind == b"tfhd").unwrap();
    other[tfhd + 11] = 9;
    station.check("PUT /ingest/news/v/1.m4s", "", &other, 400);
    station.settle();
    assert_eq!(station.get("news/v/index.m3u8").status, 404);
    station.check("PUT /ingest/news/v/1.m4s", "", &media, 200);
}

#[test]
fn a_channel_has_so_many_renditions() {
    let station = Station::start(&channel("news"));
    let bytes = header(Media::Picture);
    for at in 0..RENDITIONS_MAX {
        station.check(&format!("PUT /ingest/news/v{at}/init.mp4"), "", &bytes, 200);
    }
    station.check("PUT /ingest/news/more/init.mp4", "", &bytes, 400);
    // Those that are there go on, and take their headers again.
    station.check("PUT /ingest/news/v0/init.mp4", "", &bytes, 200);
    station.check("PUT /ingest/news/v63/1.m4s", "", &segment(MIDNIGHT), 200);
    station.settle();
    assert!(station.get(&format!("news/v63/{MIDNIGHT}.m4s")).body == segment(MIDNIGHT));
}

#[test]
fn playlists_and_manifests_are_taken_up_to_a_mebibyte_and_not_published() {
    let station = Station::news();
    for (path, lines) in [
        ("master.m3u8", ""),
        ("v/index.m3u8", "Content-Type: application/x-mpegURL\r\n"),
        ("manifest.mpd", "Content-Type: application/dash+xml\r\n"),
        ("manifest", "Content-Type: application/dash+xml\r\n"),
    ] {
        let request = format!("PUT /ingest/news/{path}");
        station.check(&request, lines, b"this is no playlist", 200);
        station.check(&request, lines, &vec![b'#'; PLAYLIST_SIZE_MAX], 200);
        station.check(&request, lines, &vec![b'#'; PLAYLIST_SIZE_MAX + 1], 413);
    }
    station.check("PUT /ingest/news/v/1.key", "", &[7; 16], 200);
    station.settle();
    assert_eq!(station.get("news/manifest.mpd").status, 404);
    assert_eq!(station.get("news/v/1.key").status, 404);
}

#[test]
fn a_probe_is_welcome() {
    let station = Station::start(&channel("news"));
    for request in [
        "PUT /ingest/news",
        "PUT /ingest/news/",
        "POST /ingest/news/",
        "POST /ingest/news/Streams(v)",
        "PUT /ingest/news/v/init.mp4",
        "PUT /ingest/news/v/1.m4s",
    ] {
        station.check(request, "", b"", 200);
    }
}

#[test]
fn wrong_framing_is_answered_with_400_or_not_at_all() {
    let station = Station::news();
    let media = segment(MIDNIGHT);
    let hex = format!("{:x}", media.len());
    let chunked = "Transfer-Encoding: chunked\r\n";
    let cases: [(&str, String); 7] = [
        (chunked, "zz\r\n".to_owned()),
        (chunked, format!("-{hex}\r\n")),
        (chunked, format!("{hex}0000000000000000000\r\n")),
        (chunked, "\r\n".to_owned()),
        ("Content-Length: many\r\n", String::new()),
        ("Content-Length: 5\r\nContent-Length: 6\r\n", String::new()),
        ("Transfer-Encoding: gzip, other\r\n", String::new()),
    ];
    for (lines, before) in cases {
        let mut stream = connect(station.server.ingest);
        let head = format!("PUT /ingest/news/v/1.m4s HTTP/1.1\r\nHost: in\r\n{lines}\r\n{before}");
        let _ = stream.write_all(&[head.as_bytes(), &media].concat());
        if let Ok(answering) = Answering::of(stream) {
            assert_eq!(answering.status, 400, "{lines}{before}{}", answering.head);
        }
    }
    // A chunk that is followed by more than it said.
    let mut stream = connect(station.server.ingest);
    let head = format!("PUT /ingest/news/v/1.m4s HTTP/1.1\r\nHost: in\r\n{chunked}\r\n8\r\n");
    let _ = stream.write_all(&[head.as_bytes(), &media].concat());
    if let Ok(answering) = Answering::of(stream) {
        assert_eq!(answering.status, 400, "{}", answering.head);
    }
    station.settle();
    assert_eq!(station.get("news/v/ll.m3u8").status, 404, "nothing of it is visible");
    station.push(MIDNIGHT);
}
