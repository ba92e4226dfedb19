//! Heads, byte by byte: what a request is answered with. Every head ends with the CORS lines, which
//! have a test of their own, so the others leave CORS off.

use super::*;
use crate::live::playlist::name::{Kind, Promise};
use crate::request::fixture::{self, catalog, planned};
use crate::request::plan;
use crate::units::ETag;

const NOW: &Date = b"Mon, 07 Nov 1994 00:00:00 GMT";

/// What a request is answered with, head and short body, as text.
fn answered(request: &str) -> String {
    with(request, &Common::default())
}

fn with(request: &str, common: &Common) -> String {
    let catalog = catalog();
    let plan = planned(request, &catalog);
    let object = match plan.content {
        Content::Object { key, .. } | Content::NotModified { key, .. } => Some(catalog.entry(key)),
        _ => None,
    };
    let mut out = [0; RESPONSE_HEAD_SIZE_MAX];
    let written = match plan.content {
        Content::Growing(slot) => {
            write_growing(&plan, catalog.growing_media_type(slot), common, NOW, &mut out)
        }
        _ => write(&plan, object.as_ref(), common, NOW, &mut out),
    };
    assert_eq!(&out[written.date_at..][..NOW.len()], NOW);
    let text = str::from_utf8(&out[..written.size]).expect("heads are ASCII").to_owned();
    let head_size = text.find("\r\n\r\n").expect("a head ends") + 4;
    assert_eq!(text.len() - head_size, written.text_size);
    text
}

#[track_caller]
fn check(request: &str, expected: &[&str]) {
    let request = format!("{request}\r\n\r\n");
    let expected = expected.join("\r\n").replace("NOW", str::from_utf8(NOW).expect("ASCII"));
    assert_eq!(answered(&request), expected, "{request}");
}

fn tag(bytes: &[u8]) -> String {
    format!("ETag: {:?}", ETag::of(bytes))
}

const FOREVER: &str = "Cache-Control: public, max-age=31536000, immutable";
const MODIFIED: &str = "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT";

#[test]
fn what_is_asked_for_with_a_token_is_for_its_viewer() {
    let token = fixture::token();
    for (path, kept) in [
        ("vod/a/1.m4s", "private, max-age=31536000, immutable"),
        ("vod/a/master.m3u8", "private, max-age=60"),
        ("vod/b/live.m3u8", "private, no-cache"),
        ("tv/news/1.m4s", "private, max-age=31536000, immutable"),
        ("vod/nowhere", "private, max-age=1"),
    ] {
        let head = answered(&format!("GET /s/{token}/{path} HTTP/1.1\r\nHost: tv\r\n\r\n"));
        assert!(head.contains(&format!("\r\nCache-Control: {kept}\r\n")), "{path}: {head}");
        assert!(head.contains("\r\nReferrer-Policy: no-referrer\r\n"), "{path}: {head}");
        let open = answered(&format!("GET /{path} HTTP/1.1\r\nHost: tv\r\n\r\n"));
        assert!(!open.contains("private") && !open.contains("Referrer"), "{path}: {open}");
    }
    let head = answered("GET /s/letmein/vod/a/1.m4s HTTP/1.1\r\nHost: tv\r\n\r\n");
    assert!(head.contains("\r\nX-Shardcast-Reason: token-unknown\r\n"), "{head}");
    assert!(head.contains("\r\nCache-Control: no-store\r\nReferrer-Policy: "), "{head}");
}

#[test]
fn a_segment_of_a_pack() {
    for method in ["GET", "HEAD"] {
        check(
            &format!("{method} /vod/a/1.m4s HTTP/1.1\r\nHost: tv"),
            &[
                "HTTP/1.1 200 OK",
                "Date: NOW",
                "Content-Type: video/iso.segment",
                "Content-Length: 1000",
                MODIFIED,
                "Accept-Ranges: bytes",
                &tag(&fixture::segment()),
                FOREVER,
                "",
                "",
            ],
        );
    }
}

#[test]
fn one_range() {
    check(
        "GET /vod/a/1.m4s HTTP/1.0\r\nRange: bytes=990-2000\r\nConnection: keep-alive",
        &[
            "HTTP/1.1 206 Partial Content",
            "Date: NOW",
            "Content-Range: bytes 990-999/1000",
            "Content-Type: video/iso.segment",
            "Content-Length: 10",
            MODIFIED,
            "Accept-Ranges: bytes",
            &tag(&fixture::segment()),
            FOREVER,
            "Connection: keep-alive",
            "",
            "",
        ],
    );
}

#[test]
fn several_ranges_have_an_exact_length() {
    let request = "GET /vod/a/1.m4s HTTP/1.1\r\nHost: tv\r\nRange: bytes=0-0,10-109,-1\r\n\r\n";
    let head = answered(request);
    assert!(head.contains(&format!("\r\nContent-Type: {MULTIPART_TYPE}\r\n")), "{head}");
    assert!(!head.contains("Content-Range"), "{head}");
    let ranges = [(0, 0), (10, 109), (999, 999)].map(|(first, last)| ByteRange { first, last });
    let mut size = 0;
    let mut out = [0; RESPONSE_HEAD_SIZE_MAX];
    for (index, range) in ranges.into_iter().enumerate() {
        size += write_part(range, 1000, "video/iso.segment", index == 0, &mut out) as u64;
        size += range_size(range);
    }
    size += write_end(&mut out) as u64;
    assert!(head.contains(&format!("\r\nContent-Length: {size}\r\n")), "{head} {size}");
}

#[test]
fn parts_are_separated_by_the_boundary() {
    let mut out = [0; RESPONSE_HEAD_SIZE_MAX];
    let range = ByteRange { first: 7, last: 12 };
    let mut body = Vec::new();
    for first in [true, false] {
        let size = write_part(range, 100, "video/mp4\r\nEvil: 1", first, &mut out);
        body.extend_from_slice(&out[..size]);
        body.extend_from_slice(b"bytes!");
    }
    let size = write_end(&mut out);
    body.extend_from_slice(&out[..size]);
    let part =
        "Content-Type: application/octet-stream\r\nContent-Range: bytes 7-12/100\r\n\r\nbytes!";
    let boundary = MULTIPART_TYPE.split_once("boundary=").expect("it has one").1;
    let expected =
        format!("--{boundary}\r\n{part}\r\n--{boundary}\r\n{part}\r\n--{boundary}--\r\n");
    assert_eq!(String::from_utf8_lossy(&body), expected);
}

#[test]
fn a_playlist_varies_with_its_encoding() {
    let common = |etag: &str| [MODIFIED, "Accept-Ranges: bytes", etag].map(str::to_owned);
    let caching = ["Cache-Control: public, max-age=60", "Vary: Accept-Encoding", "", ""];
    let first = ["HTTP/1.1 200 OK", "Date: NOW", "Content-Type: application/vnd.apple.mpegurl"];
    for (line, length, encoding, bytes) in [
        ("X: y", "Content-Length: 8", None, fixture::PLAYLIST),
        ("Accept-Encoding: gzip", "Content-Length: 4", Some("gzip"), fixture::GZIPPED),
    ] {
        let etag = tag(bytes);
        let [modified, ranges, etag] = common(&etag);
        let mut expected: Vec<&str> = first.to_vec();
        expected.extend([length, &modified, &ranges]);
        expected.extend(encoding.map(|_| "Content-Encoding: gzip"));
        expected.push(&etag);
        expected.extend(caching);
        check(&format!("GET /vod/a/master.m3u8 HTTP/1.1\r\nHost: tv\r\n{line}"), &expected);
    }
}

#[test]
fn not_modified_says_what_a_cache_needs() {
    let etag = tag(fixture::PLAYLIST);
    let held = etag.replace("ETag", "If-None-Match");
    check(
        &format!("GET /vod/a/master.m3u8 HTTP/1.1\r\nHost: tv\r\n{held}\r\nRange: bytes=0-1"),
        &[
            "HTTP/1.1 304 Not Modified",
            "Date: NOW",
            &etag,
            "Cache-Control: public, max-age=60",
            "Vary: Accept-Encoding",
            "",
            "",
        ],
    );
}

#[test]
fn folders_may_change() {
    for (path, expected) in [
        ("b/live.m3u8", "\r\nCache-Control: no-cache\r\n"),
        ("b/1.ts", "\r\nCache-Control: public, max-age=60\r\n"),
    ] {
        let head = answered(&format!("GET /vod/{path} HTTP/1.1\r\nHost: tv\r\n\r\n"));
        assert!(head.contains(expected) && !head.contains("Vary"), "{head}");
    }
}

#[test]
fn what_is_past_and_complete_is_kept_longer_than_what_grows() {
    let (growing, complete) = (SourceId::of_past(7, false), SourceId::of_past(7, true));
    for (source, class, expected) in [
        (SourceId::of_live(7), Class::Playlist, "public, max-age=1"),
        (growing, Class::Playlist, "public, max-age=1"),
        (growing, Class::Manifest, "public, max-age=1"),
        (complete, Class::Playlist, "public, max-age=3600"),
        (complete, Class::Manifest, "public, max-age=3600"),
        (SourceId::of_live(7), Class::Segment, IMMUTABLE),
    ] {
        assert!(source.is_live() && source.is_complete() == (source == complete), "{source:?}");
        assert_eq!(cache_control_of_live(source, class), expected, "{source:?} {class:?}");
    }
    assert!(!SourceId(7).is_complete());
}

#[test]
fn conditions_and_ranges_that_fail_have_no_body() {
    check(
        "GET /vod/a/1.m4s HTTP/1.1\r\nHost: tv\r\nRange: bytes=1000-",
        &[
            "HTTP/1.1 416 Range Not Satisfiable",
            "Date: NOW",
            "Content-Range: bytes */1000",
            "Accept-Ranges: bytes",
            "Cache-Control: no-store",
            "Content-Length: 0",
            "",
            "",
        ],
    );
    check(
        "GET /vod/a/1.m4s HTTP/1.1\r\nHost: tv\r\nIf-Match: \"x\"\r\nConnection: close",
        &[
            "HTTP/1.1 412 Precondition Failed",
            "Date: NOW",
            "Cache-Control: no-store",
            "Content-Length: 0",
            "Connection: close",
            "",
            "",
        ],
    );
}

#[test]
fn an_empty_object_is_sent() {
    let head = answered("GET /vod/a/empty.m4s HTTP/1.1\r\nHost: tv\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("Content-Length: 0\r\n"));
}

#[test]
fn a_growing_object_is_framed_as_the_client_can_read_it() {
    let head = ["HTTP/1.1 200 OK", "Date: NOW", "Content-Type: video/iso.segment"];
    let mut chunked = head.to_vec();
    chunked.extend([FOREVER, "Transfer-Encoding: chunked", "", ""]);
    check("GET /tv/news/1.m4s HTTP/1.1\r\nHost: tv\r\nRange: bytes=0-9", &chunked);
    let mut until_closed = head.to_vec();
    until_closed.extend(["Cache-Control: no-store", "Connection: close", "", ""]);
    check("GET /tv/news/1.m4s HTTP/1.0\r\nConnection: keep-alive", &until_closed);
}

#[test]
fn health_and_options() {
    let health = [
        "HTTP/1.1 200 OK",
        "Date: NOW",
        "Cache-Control: no-store",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Length: 3",
        "",
    ];
    check("GET /healthz HTTP/1.1\r\nHost: tv", &[&health[..], &["ok\n"]].concat());
    check("HEAD /healthz HTTP/1.1\r\nHost: tv", &[&health[..], &[""]].concat());
    check(
        "OPTIONS * HTTP/1.1\r\nHost: tv",
        &["HTTP/1.1 204 No Content", "Date: NOW", "Allow: GET, HEAD, OPTIONS", "", ""],
    );
}

#[test]
fn a_refusal_says_why() {
    let missing = [
        "HTTP/1.1 404 Not Found",
        "Date: NOW",
        "X-Shardcast-Reason: not-found",
        "Cache-Control: max-age=1",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Length: 45",
        "",
    ];
    let text = "not-found: there is nothing at this address.\n";
    check("HEAD /nowhere HTTP/1.1\r\nHost: tv", &[&missing[..], &[""]].concat());
    check("GET /nowhere HTTP/1.1\r\nHost: tv", &[&missing[..], &[text]].concat());
    let head = answered("PUT /vod/a HTTP/1.1\r\nHost: tv\r\n\r\n");
    assert!(head.contains("\r\nAllow: GET, HEAD, OPTIONS\r\n"), "{head}");
    assert!(head.contains("\r\nConnection: close\r\n"), "{head}");
}

#[test]
fn every_refusal_has_a_head_that_fits() {
    let origin = format!("https://{}.example:65535", "a".repeat(240));
    let common = Common::new(&origin);
    assert!(!common.cors.is_empty());
    for refusal in Refusal::ALL {
        let mut out = [0; RESPONSE_HEAD_SIZE_MAX];
        let plan = plan::unreadable(refusal);
        let written = write(&plan, None, &common, NOW, &mut out);
        let text = str::from_utf8(&out[..written.size]).expect("heads are ASCII");
        assert!(text.starts_with(&format!("HTTP/1.1 {} ", refusal.status())), "{text}");
        let reason = refusal.reason();
        assert!(text.contains(&format!("\r\nX-Shardcast-Reason: {reason}\r\n")), "{text}");
        assert!(text[written.size - written.text_size..].starts_with(reason), "{text}");
        assert_eq!(
            text.contains("\r\nRetry-After: "),
            matches!(refusal.status(), 429 | 503),
            "{text}"
        );
    }
}

#[test]
fn cors_is_a_star_an_origin_or_off() {
    let segment = "GET /vod/a/1.m4s HTTP/1.1\r\nHost: tv\r\nOrigin: http://player\r\n\r\n";
    let preflight = "OPTIONS /vod/a/1.m4s HTTP/1.1\r\nHost: tv\r\nOrigin: http://player\r\n\
        Access-Control-Request-Method: GET\r\n\r\n";
    for origin in ["*", "https://player.example:8443"] {
        let common = Common::new(origin);
        let head = with(segment, &common);
        assert!(head.contains(&format!("\r\nAccess-Control-Allow-Origin: {origin}\r\n")), "{head}");
        assert!(head.contains(&format!("\r\nTiming-Allow-Origin: {origin}\r\n")), "{head}");
        assert!(head.contains("\r\nAccess-Control-Expose-Headers: Content-Length, "), "{head}");
        assert!(!head.contains("Vary") && !head.contains("Allow-Methods"), "{head}");
        let head = with(preflight, &common);
        assert!(head.starts_with("HTTP/1.1 204 "), "{head}");
        assert!(head.contains(&format!("\r\nAccess-Control-Allow-Origin: {origin}\r\n")), "{head}");
        for line in ["Allow-Methods: GET, HEAD", "Allow-Headers: Range, ", "Max-Age: 86400\r\n"] {
            assert!(head.contains(&format!("\r\nAccess-Control-{line}")), "{head}");
        }
        assert!(head.contains("Authorization, CTA-Common-Access-Token\r\n"), "{head}");
        assert!(!head.contains("Expose"), "{head}");
    }
    for origin in ["", "http://a\r\nEvil: 1", "http://a\nb", "http://a, http://b", "\u{e9}", "a b"]
    {
        let common = Common::new(origin);
        for request in [segment, preflight] {
            assert!(!with(request, &common).contains("Access-Control"), "{origin:?}");
        }
    }
}

#[test]
fn numbers_are_written_as_they_are_counted() {
    for number in [0, 1, 9, 10, 99, 100, 12_345, u64::MAX / 10, u64::MAX] {
        let mut out = [0; 20];
        let mut lines = Lines::new(&mut out);
        lines.number(number);
        assert_eq!(lines.size(), digits(number));
        assert_eq!(str::from_utf8(&out[..digits(number)]), Ok(number.to_string().as_str()));
    }
}

#[test]
fn a_playlist_with_another_name_is_found_beside_the_old_one() {
    let head = b"GET /s/a.b/tv/news/v/index.m3u8 HTTP/1.1\r\nHost: tv\r\n\r\n";
    let request = crate::request::parse::request(head).unwrap().unwrap();
    let promise = Some(Promise { seconds: 4, part_ms: 512 });
    for (promise, location) in [(promise, "ll-4-512.m3u8"), (None, "ll.m3u8")] {
        let plan = plan::moved(&request, Name { kind: Kind::LowLatency, promise });
        let mut out = [0; RESPONSE_HEAD_SIZE_MAX];
        let written = write(&plan, None, &Common::default(), NOW, &mut out);
        let now = str::from_utf8(NOW).expect("ASCII");
        assert_eq!(
            str::from_utf8(&out[..written.size]).expect("heads are ASCII"),
            format!(
                "HTTP/1.1 302 Found\r\nDate: {now}\r\nLocation: {location}\r\n\
                 Cache-Control: no-store\r\nContent-Length: 0\r\n\
                 Referrer-Policy: no-referrer\r\n\r\n"
            )
        );
    }
}
