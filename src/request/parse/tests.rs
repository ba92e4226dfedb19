//! Heads, good and bad, and every cut through them.

use super::*;
use crate::request::refusal::Refusal::*;

/// A head with these lines besides Host.
fn with(lines: &str) -> String {
    format!("POST /get.php HTTP/1.1\r\nHost: tv\r\n{lines}\r\n")
}

#[track_caller]
fn accepted(head: &[u8]) -> Request<'_> {
    let shown = String::from_utf8_lossy(head);
    let request = request(head).unwrap_or_else(|refusal| panic!("{refusal:?} for {shown:?}"));
    request.unwrap_or_else(|| panic!("incomplete: {shown:?}"))
}

#[track_caller]
fn refused(head: impl AsRef<[u8]>, expected: Refusal) {
    let head = head.as_ref();
    let shown = String::from_utf8_lossy(head);
    assert_eq!(request(head), Err(expected), "{shown:?}");
    // Cut anywhere, it is either not complete yet or refused: never taken for something else.
    for cut in 0..head.len().min(HEAD_SIZE_MAX + 2) {
        assert!(!matches!(request(&head[..cut]), Ok(Some(_))), "{shown:?} cut at {cut}");
    }
}

#[test]
fn a_plain_request_is_read() {
    let head = b"GET /vod/a/1.m4s?x=1&y HTTP/1.1\r\nHost: tv.example:8080\r\n\r\nGET /next";
    let request = accepted(head);
    assert_eq!(request.method, Method::Get);
    assert_eq!(request.path, b"/vod/a/1.m4s");
    assert_eq!(request.query, b"x=1&y");
    assert_eq!(request.host, b"tv.example:8080");
    assert_eq!(request.body, BodyFraming::Empty);
    assert!(request.keep_alive);
    assert_eq!(request.size, head.len() - b"GET /next".len());
}

#[test]
fn every_field_that_matters_is_read() {
    let head = b"OPTIONS * HTTP/1.1\r\nhost: [::1]:80\r\nRANGE: bytes=0-1\r\nIf-Match: *\r\n\
        If-None-Match: \"a\"\r\nIf-Modified-Since: x\r\nIf-Unmodified-Since: y\r\nIf-Range: z\r\n\
        Accept-Encoding: gzip\r\nOrigin: null\r\nAccess-Control-Request-Method: GET\r\n\
        Expect: 100-Continue\r\nContent-Length: 12\r\nConnection: Close\r\nX: \r\n\r\n";
    let request = accepted(head);
    assert_eq!((request.method, request.path), (Method::Options, &b"*"[..]));
    assert_eq!(request.host, b"[::1]:80");
    assert_eq!(request.range, Some(&b"bytes=0-1"[..]));
    let conditions = Conditions {
        if_match: Some(b"*"),
        if_none_match: Some(b"\"a\""),
        if_modified_since: Some(b"x"),
        if_unmodified_since: Some(b"y"),
        if_range: Some(b"z"),
    };
    assert_eq!(request.conditions, conditions);
    assert!(request.accepts_gzip && request.preflight && request.expects_continue);
    assert_eq!(request.body, BodyFraming::Length(12));
    assert!(!request.keep_alive);
    assert_eq!(request.size, head.len());
}

#[test]
fn the_connection_lasts_as_its_options_say() {
    for (line, http10, http11) in [
        ("X: y\r\n", false, true),
        ("Connection: keep-alive\r\n", true, true),
        ("Connection: Keep-Alive, Upgrade\r\n", true, true),
        ("Connection: close\r\n", false, false),
        ("Connection: keep-alive\r\nConnection: te, close\r\n", false, false),
        ("Connection: closed\r\n", false, true),
        ("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n", false, true),
    ] {
        for (version, expected) in [("1.0", http10), ("1.1", http11)] {
            let head = format!("GET / HTTP/{version}\r\nHost: tv\r\n{line}\r\n");
            assert_eq!(accepted(head.as_bytes()).keep_alive, expected, "{head}");
        }
    }
}

#[test]
fn an_absolute_target_replaces_host() {
    for (target, path, query, host) in [
        ("http://a.example/x?y", "/x", "y", "a.example"),
        ("HTTPS://a.example:443/x", "/x", "", "a.example:443"),
        ("http://a.example", "/", "", "a.example"),
        ("http://a.example?y", "/", "y", "a.example"),
        ("http://[2001:db8::1]:8080/", "/", "", "[2001:db8::1]:8080"),
    ] {
        let head = format!("GET {target} HTTP/1.1\r\nHost: other\r\n\r\n");
        let request = accepted(head.as_bytes());
        let read = (request.path, request.query, request.host);
        assert_eq!(read, (path.as_bytes(), query.as_bytes(), host.as_bytes()), "{target}");
    }
    assert_eq!(accepted(b"OPTIONS http://a HTTP/1.1\r\nHost: b\r\n\r\n").path, b"*");
}

#[test]
fn targets_of_another_form_are_refused() {
    for target in [
        "vod/a",
        "*",
        "tv:443",
        "ftp://a/b",
        "http:///b",
        "http://u@a/",
        "http://a:b/",
        "?",
        "/#f",
        "/?#f",
        "/?a=%00",
        "/\u{e9}",
        "/?\u{e9}",
        "http://",
        "/\x7f",
        "/\x01",
        "//\t/",
    ] {
        refused(format!("GET {target} HTTP/1.1\r\nHost: tv\r\n\r\n"), Malformed);
    }
    for method in ["CONNECT tv:443", "get /", "PUT /", "TRACE /", "DELETE /", "PROPFIND /", "G!T /"]
    {
        refused(format!("{method} HTTP/1.1\r\nHost: tv\r\n\r\n"), MethodNotAllowed);
    }
}

#[test]
fn versions_are_two() {
    for version in ["1.32", "1.", "1", ".1", "4294967297.1", "1.1 ", "11", "x.y", "1.10", "1.0x"] {
        refused(format!("GET / HTTP/{version}\r\nHost: tv\r\n\r\n"), Malformed);
    }
    for line in [
        "GET / http/1.1",
        "GET / HTTPS/1.1",
        "GET /",
        "GET / ",
        "GET  / HTTP/1.1",
        "GET",
        " GET / HTTP/1.1",
        "GET / HTTP/1.1 x",
        "GET\t/ HTTP/1.1",
        "GET / / HTTP/1.1",
    ] {
        refused(format!("{line}\r\nHost: tv\r\n\r\n"), Malformed);
    }
    for version in ["0.9", "9.9", "2.0", "1.2", "3.0", "0.0"] {
        refused(format!("GET / HTTP/{version}\r\nHost: tv\r\n\r\n"), UnknownVersion);
    }
    refused("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", UnknownVersion);
    refused("GET / HTTP/2.0\nHost: tv\r\n\r\n", Malformed);
}

#[test]
fn a_host_is_named_once() {
    for line in [
        "X: y",
        "Host:",
        "Host: ",
        "Host: a\r\nHost: a",
        "Host: a@b",
        "Host: a b",
        "Host: a/b",
        "Host: a:b",
        "Host: :80",
        "Host: [::1",
        "Host: [g]",
        "Host: a:123456",
        "Host: []",
        "Host: a,b",
        "Host: a\u{e9}",
        "Host: a:1:2",
        "Host: [::1]x",
    ] {
        refused(format!("GET / HTTP/1.1\r\n{line}\r\n\r\n"), Malformed);
    }
    for host in ["tv", "tv.example.org.", "a_b:8080", "127.0.0.1:80", "[::1]", "[::1]:1", "a:"] {
        let head = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(accepted(head.as_bytes()).host, host.as_bytes());
    }
    assert_eq!(accepted(b"GET / HTTP/1.0\r\n\r\n").host, b"");
    refused("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", Malformed);
    refused("GET / HTTP/1.0\r\nHost:\r\n\r\n", Malformed);
}

#[test]
fn a_length_is_plain_digits_once() {
    for value in [
        "",
        "+5",
        "-1",
        "0x10",
        "1_0",
        "010",
        "00",
        "5 ",
        "5\t",
        "5, 5",
        "5,5",
        "5;",
        "a",
        "18446744073709551616",
        "99999999999999999999",
        "5 5",
        "\u{661}",
        "5\u{a0}",
        "\u{85}5",
        "1e1",
        "1.0",
        "\"5\"",
    ] {
        refused(with(&format!("Content-Length: {value}\r\n")), Malformed);
    }
    refused(with("Content-Length: 5\r\nContent-Length: 5\r\n"), Malformed);
    refused(with("Content-Length: 5\r\nContent-Length: 6\r\n"), Malformed);
    refused(with("Content-Length: 5\r\ncontent-length: 5\r\n"), Malformed);
    refused(with("content_length: 5\r\n"), Malformed);
    refused(with("Content-Length: 5\r\nContent_Length: 5\r\n"), Malformed);
    refused(with("Content-Length : 5\r\n"), Malformed);
    for (value, length) in
        [("0", 0), ("5", 5), ("  5", 5), ("9999999999999999999", 9_999_999_999_999_999_999)]
    {
        let head = with(&format!("Content-Length: {value}\r\n"));
        assert_eq!(accepted(head.as_bytes()).body, BodyFraming::Length(length));
    }
}

#[test]
fn chunked_is_the_only_coding() {
    for value in [
        "chunked, chunked",
        ",chunked",
        "chunked,",
        "chunked, gzip",
        "",
        ",",
        "chunked;x=1",
        "chunked ",
        "chunked\t",
        "chunked;",
        "gzip,,chunked",
        "chun ked",
        "\"chunked\"",
        "gzip, chunked, chunked",
        "\x0bchunked",
        "chunked\x00",
        "\u{a0}chunked",
        "chunked\u{85}",
        "chunked\x0b",
        "(x) chunked",
        ";chunked",
    ] {
        refused(with(&format!("Transfer-Encoding: {value}\r\n")), Malformed);
    }
    for value in ["xchunked", "identity", "gzip", "gzip, chunked", "chunkedx", "deflate;q=1"] {
        refused(with(&format!("Transfer-Encoding: {value}\r\n")), UnknownCoding);
    }
    for lines in [
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 0\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding:\r\n chunked\r\n",
        "Transfer-\r\n Encoding: chunked\r\n",
        "Transfer_Encoding: chunked\r\n",
        "transfer-encoding: chunked\r\nTransfer_Encoding: chunked\r\n",
        " Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding\u{a0}: chunked\r\n",
    ] {
        refused(with(lines), Malformed);
    }
    for value in ["chunked", "CHUNKED", "\tchunked"] {
        let head = with(&format!("Transfer-Encoding: {value}\r\n"));
        assert_eq!(accepted(head.as_bytes()).body, BodyFraming::Chunked);
    }
    refused("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", Malformed);
}

#[test]
fn lines_are_well_formed() {
    for lines in [
        "X Y: z\r\n",
        "X: a\r\n b\r\n",
        "X: a\r\n\tb\r\n",
        ": y\r\n",
        "no colon\r\n",
        "X\x00: y\r\n",
        "X: y\x00\r\n",
        "X: a\rb\r\n",
        "X: a\r\r\n",
        "X: a\nY: b\r\n",
        "X: a\n",
        "X(: y\r\n",
        "X@: y\r\n",
        "X\u{e9}: y\r\n",
        "X<>: y\r\n",
        "\"X\": y\r\n",
        "X,Y: z\r\n",
        "X: \x7f\r\n",
        "X: \x1b[1m\r\n",
        "X : y\r\n",
        "X\t: y\r\n",
        "X;: y\r\n",
        "X\\: y\r\n",
    ] {
        refused(with(lines), Malformed);
    }
    for head in [
        "GET / HTTP/1.1\nHost: tv\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: tv\n\r\n",
        "GET / HTTP/1.1\r\nHost: tv\r\n\n",
        "GET / HTTP/1.1\nHost: tv\n\n",
        "GET / HTTP/1.0\n\n",
        "GET / HTTP/1.0\r\n\n",
        "GET / HTTP/1.0\n\r\n",
        "GET / HTTP/1.1\r\n Host: tv\r\n\r\n",
        "GET / HTTP/1.1\r\rHost: tv\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: tv\rX\r\n\r\n",
        "\r\nGET / HTTP/1.1\r\nHost: tv\r\n\r\n",
        "\nGET / HTTP/1.0\r\n\r\n",
        "\0",
        "\r",
    ] {
        refused(head, Malformed);
    }
    let head = with("X: \t padded \t \r\nEmpty:\r\nLatin: \u{e9}\r\n!#$%&'*+-.^_`|~09: y\r\n");
    accepted(head.as_bytes());
}

#[test]
fn what_is_said_once_may_not_be_said_twice() {
    for name in [
        "Range",
        "If-Range",
        "If-Match",
        "If-None-Match",
        "If-Modified-Since",
        "If-Unmodified-Since",
    ] {
        refused(with(&format!("{name}: a\r\n{name}: a\r\n")), Malformed);
    }
    refused(with("Expect: 100-continue\r\nExpect: 100-continue\r\n"), Malformed);
    refused(with("Expect: 100-continue\r\nContent-Length: 1\r\nContent-Length: 2\r\n"), Malformed);
    assert_eq!(accepted(with("Request-Range: bytes=0-1\r\n").as_bytes()).range, None);
}

#[test]
fn expectations_are_one() {
    refused(with("Expect: 200-ok\r\n"), UnknownExpectation);
    refused(with("Expect:\r\n"), UnknownExpectation);
    let old = b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n";
    assert!(!accepted(old).expects_continue);
}

#[test]
fn gzip_is_sent_to_those_who_say_so() {
    for (lines, expected) in [
        ("", false),
        ("Accept-Encoding: gzip\r\n", true),
        ("Accept-Encoding: GZIP\r\n", true),
        ("Accept-Encoding: x-gzip\r\n", true),
        ("Accept-Encoding: deflate, gzip;q=1.0, *;q=0.5\r\n", true),
        ("Accept-Encoding: gzip;q=0\r\n", false),
        ("Accept-Encoding: gzip;q=0.000\r\n", false),
        ("Accept-Encoding: gzip;q=0.001\r\n", true),
        ("Accept-Encoding: gzip; q=1.000\r\n", true),
        ("Accept-Encoding: gzip;Q=0.5\r\n", true),
        ("Accept-Encoding: gzip;q=1.5\r\n", false),
        ("Accept-Encoding: gzip;q=\r\n", false),
        ("Accept-Encoding: gzip;\r\n", false),
        ("Accept-Encoding: gzip;level=9\r\n", false),
        ("Accept-Encoding: gzip;q=0.0001\r\n", false),
        ("Accept-Encoding: *\r\n", true),
        ("Accept-Encoding: *;q=0\r\n", false),
        ("Accept-Encoding: *, gzip;q=0\r\n", false),
        ("Accept-Encoding: gzip, *;q=0\r\n", true),
        ("Accept-Encoding: br, deflate\r\n", false),
        ("Accept-Encoding: identity\r\n", false),
        ("Accept-Encoding: gzipped\r\n", false),
        ("Accept-Encoding: br\r\nAccept-Encoding: gzip\r\n", true),
        ("Accept-Encoding:\r\n", false),
    ] {
        assert_eq!(accepted(with(lines).as_bytes()).accepts_gzip, expected, "{lines}");
    }
}

#[test]
fn limits_are_told_early_and_exactly() {
    let target = |size: usize| format!("/{}", "a".repeat(size - 1));
    let head = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: tv\r\n\r\n");
    accepted(head(&target(TARGET_SIZE_MAX)).as_bytes());
    refused(head(&target(TARGET_SIZE_MAX + 1)), TargetTooLong);
    refused(format!("GET {}", target(TARGET_SIZE_MAX + 1)), TargetTooLong);
    refused(format!("GET {}", target(100_000)), TargetTooLong);
    refused(format!("GET {} x\n", target(TARGET_SIZE_MAX + 1)), TargetTooLong);

    let padded = |size: usize| {
        let rest = "GET / HTTP/1.1\r\nHost: tv\r\nX: \r\n\r\n".len();
        format!("GET / HTTP/1.1\r\nHost: tv\r\nX: {}\r\n\r\n", "x".repeat(size - rest))
    };
    accepted(padded(HEAD_SIZE_MAX).as_bytes());
    refused(padded(HEAD_SIZE_MAX + 1), HeadTooLarge);
    refused(padded(64 * 1024), HeadTooLarge);
    refused("A".repeat(HEAD_SIZE_MAX), HeadTooLarge);
    assert_eq!(request("A".repeat(HEAD_SIZE_MAX - 1).as_bytes()), Ok(None));
    // A version that ends with the largest head is not waited for.
    let unknown = |size: usize| {
        let method = "M".repeat(HEAD_SIZE_MAX / 2 + 40);
        let target = "a".repeat(size - method.len() - " / HTTP/2.0".len());
        format!("{method} /{target} HTTP/2.0")
    };
    assert_eq!(request(unknown(HEAD_SIZE_MAX - 1).as_bytes()), Ok(None));
    refused(unknown(HEAD_SIZE_MAX), HeadTooLarge);

    let lines = |count: usize| {
        format!("GET / HTTP/1.1\r\nHost: tv\r\n{}\r\n", "X: y\r\n".repeat(count - 1))
    };
    accepted(lines(HEADER_LINES_MAX).as_bytes());
    refused(lines(HEADER_LINES_MAX + 1), HeadTooLarge);
    refused(lines(10_000), HeadTooLarge);
}

#[test]
fn what_cannot_become_a_request_is_refused_at_once() {
    for start in [
        &b"\x16\x03\x01\x02\x00"[..],
        b"\x80\x2e",
        b"{\"a\"",
        b"GET / HTTQ",
        b"GET / FTP",
        b"GET / HTTP/1.1\n",
        b"GET / HTTP/1.1\r\nX: \0",
        b"GET /\r\n",
        b"SSH-2.0-OpenSSH\r\n",
    ] {
        assert_eq!(request(start), Err(Malformed), "{start:?}");
    }
}

#[test]
fn a_good_head_cut_anywhere_is_not_complete_yet() {
    let head = b"GET http://a/vod/x?y=z HTTP/1.1\r\nHost: tv\r\nAccept-Encoding: gzip, br\r\n\
        Range: bytes=0-9\r\n\r\n";
    for cut in 0..head.len() {
        assert_eq!(request(&head[..cut]), Ok(None), "cut at {cut}");
    }
    let next = [&head[..], b"\0\0\0"].concat();
    assert_eq!(request(&next), request(head));
}

#[test]
fn what_is_kept_of_a_request_that_waits_is_what_it_is_judged_by() {
    let head = "GET /tv/news/v/ll.m3u8?_HLS_msn=7&_HLS_part=1 HTTP/1.1\r\nHost: tv.example.org\r\n\
        User-Agent: Player/1.0 (of a long name)\r\nAccept: */*\r\nCookie: a=b\r\n\
        Accept-Encoding: gzip, deflate, br\r\nIf-None-Match: \"x\"\r\nRange: bytes=0-\r\n\
        Connection: close\r\n\r\n";
    let parsed = accepted(head.as_bytes());
    let short = "GET /tv/news/v/ll.m3u8?_HLS_msn=7&_HLS_part=1 HTTP/1.1\r\nHost: tv.example.org\r\n\
        Range: bytes=0-\r\nIf-None-Match: \"x\"\r\nAccept-Encoding: gzip\r\n\
        Connection: close\r\n\r\n";
    let kept = kept(&parsed, head.as_bytes());
    assert_eq!(str::from_utf8(&kept), Ok(short));
    assert_eq!(accepted(&kept), Request { size: short.len(), ..parsed });
}

#[test]
fn a_head_that_can_not_be_shortened_is_kept_as_it_is() {
    for head in [
        "GET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding:gzip\r\n\r\n",
        "OPTIONS / HTTP/1.1\r\nHost: a\r\nOrigin: b\r\nAccess-Control-Request-Method: GET\r\nX: y\r\n\r\n",
    ] {
        assert_eq!(*kept(&accepted(head.as_bytes()), head.as_bytes()), *head.as_bytes());
    }
}
