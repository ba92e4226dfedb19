//! Whose path is it, and what is refused before anybody looks.

use super::*;
use crate::request::parse;

/// Who answers a request line: in a few words, or the refusal.
fn routed(line: &str) -> String {
    routed_with(line, "")
}

fn routed_with(line: &str, fields: &str) -> String {
    let head = format!("{line} HTTP/1.1\r\nHost: tv\r\n{fields}\r\n");
    let request = parse::request(head.as_bytes()).expect("a case is well formed");
    let mut scratch = [0; TARGET_SIZE_MAX];
    match target(&request.expect("a case is complete"), &mut scratch) {
        Ok(Target::Vod { path, token: None }) => format!("vod {path}"),
        Ok(Target::Vod { path, token: Some(token) }) => format!("vod {path} for {token}"),
        Ok(Target::Live { path, token: None, .. }) => format!("tv {path}"),
        Ok(Target::Live { path, token: Some(token), .. }) => format!("tv {path} for {token}"),
        Ok(Target::Start(start)) => format!("start {start:?} of {}", start.user),
        Ok(Target::Slate { path }) => format!("slate {path}"),
        Ok(Target::Picture { path }) => format!("picture {path}"),
        Ok(Target::Clock) => "clock".to_owned(),
        Ok(Target::Health) => "health".to_owned(),
        Ok(Target::Options) => "options".to_owned(),
        Ok(Target::Control) => "control".to_owned(),
        Err(refusal) => refusal.reason().to_owned(),
    }
}

#[track_caller]
fn check(cases: &[(&str, &str)]) {
    for (path, expected) in cases {
        assert_eq!(routed(&format!("GET {path}")), *expected, "{path}");
    }
}

#[test]
fn a_token_is_where_everybody_sees_it() {
    check(&[
        ("/s/abc/vod/a%20b", "vod a b for abc"),
        // Caches and logs in front would take it for something else.
        ("/%73/abc/vod/a", "not-found"),
        ("/%73%2fabc/vod/a", "malformed"),
    ]);
}

#[test]
fn the_first_element_decides() {
    check(&[
        ("/vod/films/a/1.m4s", "vod films/a/1.m4s"),
        ("/vod/a.b/c?token=x", "vod a.b/c"),
        ("/vod/", "vod "),
        ("/vod", "not-found"),
        ("/vodka/x", "not-found"),
        ("/VOD/x", "not-found"),
        ("/tv/news/master.m3u8?utc=1&lutc=2", "tv /tv/news/master.m3u8"),
        ("/s/abc/vod/x/y", "vod x/y for abc"),
        ("/tv/clock", "clock"),
        ("/s/abc/tv/clock", "clock"),
        ("/tv/clock/x", "tv /tv/clock/x"),
        ("/s/abc/tv/x", "tv /tv/x for abc"),
        ("/s/abc/live/x", "not-found"),
        ("/s/abc/s/def/vod/x", "not-found"),
        ("/s/abc", "not-found"),
        ("/s/", "not-found"),
        ("/s", "not-found"),
        ("/", "not-found"),
        ("/slate/limit.en.01234567/live.m3u8", "slate /slate/limit.en.01234567/live.m3u8"),
        ("/s/abc/slate/limit.en.01234567/live.m3u8", "not-found"),
        ("/slate", "slate /slate"),
        ("/healthz", "health"),
        ("/healthz/", "not-found"),
        ("/healthz/x", "not-found"),
        ("/metrics", "not-found"),
        ("/readyz", "not-found"),
        ("/admin/", "not-found"),
        ("/admin/x/1", "not-found"),
        ("/favicon.ico", "not-found"),
        ("http://other.example/vod/x", "vod x"),
    ]);
}

#[test]
fn control_answers_what_the_contract_lists() {
    check(&[
        ("/player_api.php?username=u&password=p", "control"),
        ("/panel_api.php", "control"),
        ("/get.php", "control"),
        ("/xmltv.php", "control"),
        ("/timeshift.php", "control"),
        ("/streaming/timeshift.php", "control"),
        ("/streaming/other.php", "not-found"),
        ("/live/u/p/1.ts", "start Start(Channel 1 as Stream) of u"),
        ("/movie/u/p/1.mp4", "start Start(Film 1 as File) of u"),
        ("/series/u/p/1.mkv", "start Start(Episode 1 as File) of u"),
        ("/timeshift/u/p/60/2024-01-01:00-00/1.ts", "control"),
        ("/portal/", "control"),
        ("/portal", "control"),
        ("/api/v1/me", "control"),
        ("/hdhr/abc/discover.json", "control"),
        ("/img/7-320.jpg", "picture /img/7-320.jpg"),
        ("/user/password/123", "start Start(Channel 123 as Stream) of user"),
        ("/us%65r/p%C3%A4ss/123.ts", "start Start(Channel 123 as Stream) of user"),
        ("/user/password/123.m3u8", "start Start(Channel 123 as Playlist) of user"),
        ("/user/password/123.mp4", "not-found"),
        ("/user/password/x123", "not-found"),
        ("/user/password/.ts", "not-found"),
        ("/user/password/123/4", "not-found"),
        ("/user/password/", "not-found"),
        ("/news/archive-1700000000-3600.m3u8", "control"),
        ("/news/timeshift_abs-1700000000.ts", "control"),
        ("/news/archive-now.m3u8", "not-found"),
        ("/s/abc/news/archive-1700000000-3600.m3u8", "control"),
        ("/s/abc/news/archive-now.m3u8", "not-found"),
        ("/s/abc//archive-1700000000-3600.m3u8", "not-found"),
        ("/s/abc/tv/news/archive-1700000000-60.ts", "tv /tv/news/archive-1700000000-60.ts for abc"),
        ("/news/index.m3u8", "not-found"),
        ("/news/index.m3u8?_HLS_msn=1", "not-found"),
        ("/news/index.m3u8?utc=1700000000", "control"),
        ("/s/abc/news/mpegts?utc=1700000000&lutc=1700003600", "control"),
        ("/news/x/index.m3u8?utc=1700000000", "not-found"),
        // Nothing that only looks like one of its pages.
        ("/player_api.php/x.ts", "not-found"),
        ("/player_api.php/x/1.ts", "not-found"),
        ("/player_api.php%3f", "not-found"),
        ("/player_api.php%23", "not-found"),
        ("/player_api.php;x.ts", "not-found"),
        ("/PLAYER_API.PHP", "not-found"),
        ("/account;x.m3u8", "not-found"),
        ("/get.phpx", "not-found"),
    ]);
}

#[test]
fn escapes_are_decoded_once() {
    check(&[
        ("/vod/a%20b", "vod a b"),
        ("/%76od/a", "vod a"),
        ("/vod/caf%C3%A9.mp4", "vod caf\u{e9}.mp4"),
        ("/vod/a%252e%252e/b", "vod a%2e%2e/b"),
        ("/vod/a%2525", "vod a%25"),
        ("/vod/a%3fb%23c", "vod a?b#c"),
        ("/vod/a%3Bb", "vod a;b"),
        ("/vod/a+b", "vod a+b"),
        ("/vod/.hidden/x", "vod .hidden/x"),
        ("/vod/..a/a../x...", "vod ..a/a../x..."),
        ("/vod/a.", "vod a."),
        ("/vod/a;x=1/b", "vod a;x=1/b"),
        ("/vod/%F0%9F%8E%AC", "vod \u{1f3ac}"),
    ]);
}

#[test]
fn a_path_that_hides_its_meaning_is_refused() {
    for path in [
        "/vod/../x",
        "/../etc/passwd",
        "/vod/..",
        "/vod/.",
        "/vod/./x",
        "/vod/x/../../y",
        "/vod/%2e%2e/x",
        "/vod/%2e/x",
        "/vod/.%2e/x",
        "/vod/%2E%2E",
        "/vod/%2e%2e%2fx",
        "/vod/..%5cx",
        "/vod/..\\x",
        "/vod\\x",
        "/vod/%2f..%2fx",
        "/vod/a%2Fb",
        "/vod/a%5Cb",
        "/vod/%c0%ae%c0%ae/x",
        "/vod/%c0%af",
        "/vod/%e0%80%af",
        "/vod/%ff",
        "/vod/%C3",
        "/vod/%ed%a0%80",
        "/vod/%00",
        "/vod/a%00.mp4",
        "/vod/.%00/x",
        "/vod/%0d%0aX:y",
        "/vod/%7f",
        "/vod/%1f",
        "/vod/%c2%85",
        "/vod/%",
        "/vod/%2",
        "/vod/%zz",
        "/vod/%+1",
        "/vod/%u0041",
        "/s/../vod/x",
        "/%2e%2e/",
        "//..",
    ] {
        assert_eq!(routed(&format!("GET {path}")), "malformed", "{path}");
        assert_eq!(routed(&format!("OPTIONS {path}")), "malformed", "{path}");
    }
}

#[test]
fn an_empty_element_names_nothing() {
    for path in ["//vod/x", "/vod//x", "/vod/x//", "//", "/s//vod/x", "/s/t//vod/x", "/live//x"] {
        assert_eq!(routed(&format!("GET {path}")), "not-found", "{path}");
        assert_eq!(routed(&format!("POST {path}")), "method-not-allowed", "{path}");
    }
}

#[test]
fn methods_have_their_places() {
    for (line, expected) in [
        ("HEAD /vod/x", "vod x"),
        ("HEAD /live/u/p/1", "start Start(Channel 1 as Stream) of u"),
        ("OPTIONS *", "options"),
        ("OPTIONS /vod/x", "options"),
        ("OPTIONS /nowhere", "options"),
        ("OPTIONS http://tv", "options"),
        ("POST /get.php", "control"),
        ("POST /api/v1/login", "control"),
        ("POST /vod/x", "method-not-allowed"),
        ("POST /healthz", "method-not-allowed"),
        ("POST /nowhere", "method-not-allowed"),
    ] {
        assert_eq!(routed(line), expected, "{line}");
    }
}

#[test]
fn a_body_belongs_to_a_post() {
    for method in ["GET", "HEAD", "OPTIONS"] {
        for path in ["/vod/x", "/nowhere", "/get.php", "/vod/%zz"] {
            for framing in ["Content-Length: 1\r\n", "Transfer-Encoding: chunked\r\n"] {
                let line = format!("{method} {path}");
                assert_eq!(routed_with(&line, framing), "body-too-large", "{line} {framing}");
            }
        }
    }
    assert_eq!(routed_with("GET /vod/x", "Content-Length: 0\r\n"), "vod x");
    assert_eq!(routed_with("POST /get.php", "Content-Length: 9\r\n"), "control");
    assert_eq!(routed_with("POST /vod/x", "Content-Length: 9\r\n"), "method-not-allowed");
}

#[test]
fn the_longest_path_of_escapes_fits_the_scratch() {
    let path = format!("/vod/{}", "%41".repeat((TARGET_SIZE_MAX - 5) / 3));
    let expected = format!("vod {}", "A".repeat((TARGET_SIZE_MAX - 5) / 3));
    assert_eq!(routed(&format!("GET {path}")), expected);
}
