//! How long the pure steps of a request take: nanoseconds, best of several rounds.
//!
//! `cargo run --release --example parse_speed`. It prints, and judges nothing.

use std::hint::black_box;
use std::time::Instant;

use shardcast::config::TARGET_SIZE_MAX;
use shardcast::request::{conditions, head, parse, range, route};
use shardcast::units::{ETag, UnixTime};

const SHORT: &[u8] = b"GET /vod/films/a/1080p/1234.m4s HTTP/1.1\r\n\
    Host: 10.0.0.1:8080\r\nUser-Agent: saturate/1\r\nAccept: */*\r\n\r\n";

const BROWSER: &[u8] = b"GET /vod/films/big-buck-bunny/video/1080p/chunk-00042.m4s HTTP/1.1\r\n\
    Host: tv.example.org:8080\r\n\
    Connection: keep-alive\r\n\
    sec-ch-ua-platform: \"Linux\"\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
    Chrome/140.0.0.0 Safari/537.36\r\n\
    sec-ch-ua: \"Chromium\";v=\"140\", \"Not=A?Brand\";v=\"24\"\r\n\
    sec-ch-ua-mobile: ?0\r\n\
    Accept: */*\r\n\
    Origin: http://player.example.org\r\n\
    Sec-Fetch-Site: cross-site\r\n\
    Sec-Fetch-Mode: cors\r\n\
    Sec-Fetch-Dest: empty\r\n\
    Referer: http://player.example.org/\r\n\
    Accept-Encoding: gzip, deflate\r\n\
    Accept-Language: en-GB,en;q=0.9\r\n\r\n";

fn main() {
    for (name, bytes) in [("short", SHORT), ("browser", BROWSER)] {
        let parsed = || parse::request(black_box(bytes)).expect("a good head");
        print(&format!("parse, {name} head of {} bytes", bytes.len()), parsed);
        let request = parsed().expect("a complete head");
        let mut scratch = [0; TARGET_SIZE_MAX];
        print(&format!("route, {name} head"), || {
            route::target(black_box(&request), &mut scratch).is_ok()
        });
    }
    let mut scratch = [0; TARGET_SIZE_MAX];
    let escaped = b"GET /vod/films/caf%C3%A9%20noir/1.m4s HTTP/1.1\r\nHost: tv\r\n\r\n";
    let request = parse::request(escaped).expect("a good head").expect("a complete head");
    print("route, with escapes", || route::target(black_box(&request), &mut scratch).is_ok());
    print("range, one", || range::selection(black_box(b"bytes=100000-199999"), 4 << 20));
    let none = parse::Conditions::default();
    let etag = ETag([7; 16]);
    print("conditions, none", || conditions::verdict(black_box(&none), etag, UnixTime(0)));
    let tag = etag.wire();
    let known = parse::Conditions { if_none_match: Some(&tag), ..none };
    print("conditions, one tag", || conditions::verdict(black_box(&known), etag, UnixTime(0)));
    print("date", || head::date(black_box(UnixTime(784_111_777))));
}

fn print<T>(what: &str, mut work: impl FnMut() -> T) {
    const RUNS: u32 = 200_000;
    let best = (0..7).map(|_| {
        let start = Instant::now();
        for _ in 0..RUNS {
            black_box(work());
        }
        start.elapsed() / RUNS
    });
    println!("{what:40} {:5} ns", best.min().unwrap_or_default().as_nanos());
}
