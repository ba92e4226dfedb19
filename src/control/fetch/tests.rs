//! Fetching from servers that behave, and from those that do not.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use super::*;

/// A server that answers each connection with the next of these, and tells what it was asked.
fn server(answers: Vec<String>) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, asked) = (listener.local_addr().unwrap().port(), Arc::<Mutex<Vec<_>>>::default());
    let tells = Arc::clone(&asked);
    std::thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut head = String::new();
            while reader.read_line(&mut head).is_ok_and(|size| size > 2) {}
            Mutex::lock(&tells).unwrap().push(head);
            let _ = stream.write_all(answer.as_bytes());
        }
        // Whoever comes now waits for nothing.
        let held = listener.accept();
        std::thread::park();
        drop(held);
    });
    (port, asked)
}

fn ok(lines: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{lines}Content-Length: {}\r\n\r\n{body}", body.len())
}

fn leads(to: &str) -> String {
    format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n")
}

fn wanted(address: &str) -> Wanted<'_> {
    Wanted {
        address,
        known: Validators::default(),
        accept: "image/*",
        size_max: 1000,
        patience: Duration::from_secs(20),
    }
}

/// The body, or why there is none.
fn got(wanted: &Wanted<'_>, allow: &str) -> Result<(String, Fetched), String> {
    let allow: Vec<IpNet> = allow.split_whitespace().map(|text| text.parse().unwrap()).collect();
    let mut body = Vec::new();
    let fetched = fetch_now(wanted, &allow, &mut |piece| {
        body.extend_from_slice(piece);
        Ok(())
    });
    let body = String::from_utf8(body).unwrap();
    fetched.map(|fetched| (body, fetched)).map_err(|failure| failure.to_string())
}

const LOCAL: &str = "127.0.0.0/8 ::1/128";

#[test]
fn a_body_comes_whole_and_unchanged_ones_do_not_come_again() {
    let head = "Content-Type: IMAGE/png; a=b\r\nETag: \"7\"\r\nLast-Modified: then\r\n";
    let unchanged = "HTTP/1.1 304 Not Modified\r\n\r\n".to_owned();
    let (port, asked) = server(vec![ok(head, "abc"), unchanged.clone(), unchanged]);
    let address = format!("http://127.0.0.1:{port}/a?b=c#d");
    let (etag, modified) = (Some("\"7\"".to_owned()), Some("then".to_owned()));
    let validators = Validators { etag, modified };
    let media_type = "image/png".to_owned();
    let whole = Fetched::Whole { media_type, validators: validators.clone() };
    assert_eq!(got(&wanted(&address), LOCAL), Ok(("abc".to_owned(), whole)));
    let again = Wanted { known: validators, ..wanted(&address) };
    assert_eq!(got(&again, LOCAL), Ok((String::new(), Fetched::Unchanged)));
    // Who knows of nothing can't be told that it is the same.
    assert_eq!(got(&wanted(&address), LOCAL), Err("it answers 304".to_owned()));
    let asked = Mutex::lock(&asked).unwrap();
    let first = format!("GET /a?b=c HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n");
    assert!(asked[0].starts_with(&first), "{}", asked[0]);
    assert!(!asked[0].contains("if-none-match"));
    assert!(asked[1].contains("if-none-match: \"7\"\r\nif-modified-since: then\r\n"));
}

#[test]
fn internal_addresses_are_not_called_by_any_name() {
    let (port, asked) = server(Vec::new());
    for host in
        ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "localhost", "0.0.0.0", "0x7f.1", "2130706433"]
    {
        let why = got(&wanted(&format!("http://{host}:{port}/")), "10.0.0.0/8").unwrap_err();
        // A resolver may know no such name; none of them leads there.
        let is_none = why.contains("is an internal address") || why.contains("no way to it");
        assert!(is_none, "{host}: {why}");
    }
    let why = got(&wanted("http://169.254.169.254/latest/meta-data"), LOCAL).unwrap_err();
    assert!(why.starts_with("169.254.169.254 is an internal address"), "{why}");
    assert!(Mutex::lock(&asked).unwrap().is_empty());
}

#[test]
fn each_redirect_is_looked_at_and_three_are_followed() {
    let (port, _) = server(vec![leads("/b/"), leads("c?d"), leads("//127.0.0.1:PORT/e")]);
    let why = got(&wanted(&format!("http://127.0.0.1:{port}/a")), LOCAL).unwrap_err();
    assert!(why.starts_with("it is no URL that can be called"), "{why}");
    let (port, asked) = server(vec![leads("/b/"), leads("c?d"), leads("?e"), ok("", "x")]);
    let (body, _) = got(&wanted(&format!("http://127.0.0.1:{port}/a")), LOCAL).unwrap();
    let paths: Vec<_> = Mutex::lock(&asked).unwrap().iter().map(|head| path(head)).collect();
    assert_eq!(
        (body.as_str(), paths),
        ("x", ["/a", "/b/", "/b/c?d", "/b/c?e"].map(str::to_owned).into())
    );
    let (port, _) = server((0..4).map(|_| leads("/a")).collect());
    let why = got(&wanted(&format!("http://127.0.0.1:{port}/a")), LOCAL).unwrap_err();
    assert_eq!(why, "it leads on more than 3 times");
    for (to, why) in [
        ("http://[::1]:1/", "::1 is an internal address"),
        ("http://169.254.169.254/", "169.254.169.254 is an internal address"),
        ("file:///etc/passwd", "it is no"),
        ("http://a:b@127.0.0.1/", "it has a login in it"),
    ] {
        let (port, _) = server(vec![leads(to)]);
        let said = got(&wanted(&format!("http://127.0.0.1:{port}/")), "127.0.0.1/32").unwrap_err();
        assert!(said.starts_with(why), "{to}: {said}");
    }
}

fn path(head: &str) -> String {
    head.split(' ').nth(1).unwrap().to_owned()
}

#[test]
fn what_is_too_large_too_slow_or_something_else_has_failed() {
    let chunked = |size: usize| {
        let chunk = format!("{size:x}\r\n{}\r\n0\r\n\r\n", "a".repeat(size));
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}")
    };
    for (answer, why) in [
        (ok("", &"a".repeat(1001)), "it is too large"),
        (chunked(1001), "it is too large"),
        (ok("Content-Encoding: gzip\r\n", "a"), "it is encoded"),
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_owned(), "it answers 404"),
        ("SSH-2.0\r\n\r\n".to_owned(), "there is no way to it"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\na".to_owned(), "there is no way to it"),
        ("HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n".to_owned(), "it leads nowhere"),
    ] {
        let (port, _) = server(vec![answer.clone()]);
        let said = got(&wanted(&format!("http://127.0.0.1:{port}/")), LOCAL).unwrap_err();
        assert!(said.starts_with(why), "{answer}: {said}");
    }
    let (port, _) = server(vec![chunked(1000)]);
    assert_eq!(got(&wanted(&format!("http://127.0.0.1:{port}/")), LOCAL).unwrap().0.len(), 1000);
    // This one takes the connection and says nothing.
    let (port, _) = server(Vec::new());
    let address = format!("http://127.0.0.1:{port}/");
    let hasty = Wanted { patience: Duration::from_millis(50), ..wanted(&address) };
    assert_eq!(got(&hasty, LOCAL).unwrap_err(), "it took too long");
    for address in ["ftp://a/", "a", "http://", "http://a:0/", "/a", "data:image/png,a"] {
        assert!(got(&wanted(address), LOCAL).is_err(), "{address}");
    }
    let long = format!("http://a/{}", "a".repeat(FETCH_ADDRESS_SIZE_MAX));
    assert_eq!(got(&wanted(&long), LOCAL).unwrap_err(), "its address is too long");
}
