//! Conversations: what a client sends and what it must get, as data (README.md), held against the
//! pure steps and against the real server.

#[path = "../fixture/mod.rs"]
mod fixture;
mod pipelining;
mod pure;
mod script;
mod wire;

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use flate2::read::GzDecoder;
use shardcast::pack::compress;
use shardcast::units::ETag;

use fixture::{Library, Server};
use script::{Body, Case, Expectation, Step, Then};
use wire::{Answer, Reader, Wire};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases")
}

/// All cases, in the order of their files.
fn all() -> Vec<Case> {
    let entries = fs::read_dir(folder()).expect("the folder of the cases");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "case"));
    paths.sort();
    let read = |path: &PathBuf| {
        let name = path.file_name().expect("a file has a name").to_string_lossy().into_owned();
        script::cases(&name, &fs::read_to_string(path).expect("a case file is text"))
    };
    paths.iter().flat_map(read).collect()
}

/// The bytes of a file of the library.
fn file(path: &str) -> Vec<u8> {
    let (files, inside) = match path.strip_prefix("films/a/") {
        Some(inside) => (fixture::packed(), inside),
        None => (fixture::plain(), path.strip_prefix("plain/").unwrap_or(path)),
    };
    let found = files.into_iter().find(|(known, _)| *known == inside);
    found.unwrap_or_else(|| panic!("no file of the library: {path}")).1
}

/// Puts in what a case cannot know: `{tag PATH}`, `{gzip-tag PATH}`, `{gzip-size PATH}`.
fn filled(text: &str) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (what, after) = after.split_once('}').expect("a place to fill ends");
        let (kind, path) = what.split_once(' ').expect("a place to fill has a kind and a path");
        let bytes = file(path);
        let gzip = || compress::gzip(path, &bytes).expect("text");
        filled += before;
        filled += &match kind {
            "tag" => format!("{:?}", ETag::of(&bytes)),
            "gzip-tag" => format!("{:?}", ETag::of(&gzip())),
            "gzip-size" => gzip().len().to_string(),
            _ => panic!("nothing is known of {kind}"),
        };
        rest = after;
    }
    filled + rest
}

/// Holds one conversation.
fn hold(case: &Case, wire: &mut dyn Wire) -> Result<(), String> {
    let mut reader = Reader::new(wire);
    for step in &case.steps {
        match step {
            Step::Send(bytes) => reader.wire.send(&filled_bytes(bytes)),
            Step::Shut => reader.wire.shut(),
            Step::ExpectClosed if reader.is_closed() => {}
            Step::ExpectClosed => return Err("there is an answer".to_owned()),
            Step::Expect(expectation) => {
                let answer = reader.answer(expectation.status, expectation.head_only)?;
                check(expectation, &answer).map_err(|wrong| format!("{wrong} in {answer:?}"))?;
                match expectation.then {
                    Then::More => {}
                    Then::Closed if reader.is_closed() => {}
                    Then::Closed => return Err("the connection goes on".to_owned()),
                    Then::Open => probe(&mut reader)?,
                }
            }
        }
    }
    Ok(())
}

fn filled_bytes(bytes: &[u8]) -> Vec<u8> {
    match str::from_utf8(bytes) {
        Ok(text) if text.contains("tag ") => filled(text).into_bytes(),
        _ => bytes.to_vec(),
    }
}

/// An open connection takes another request and answers that, and nothing else.
fn probe(reader: &mut Reader<'_>) -> Result<(), String> {
    reader.wire.send(b"GET /healthz HTTP/1.1\r\nHost: probe\r\n\r\n");
    let answer = reader.answer(200, false)?;
    let fine = answer.status == 200 && answer.body == b"ok\n";
    if fine { Ok(()) } else { Err(format!("the next request got {answer:?}")) }
}

fn check(expected: &Expectation, answer: &Answer) -> Result<(), String> {
    if answer.status != expected.status {
        return Err(format!("not {}", expected.status));
    }
    if expected.status == 100 {
        return Ok(());
    }
    let reason = answer.field("x-shardcast-reason");
    if reason != expected.reason.as_deref() {
        return Err(format!("the reason is not {:?}", expected.reason));
    }
    if let Some(reason) = reason
        && !expected.head_only
        && !answer.body.starts_with(reason.as_bytes())
    {
        return Err("the body does not say why".to_owned());
    }
    let closes = answer.field("connection") == Some("close");
    if closes != (expected.then == Then::Closed) {
        return Err("the connection's end is not said as it is".to_owned());
    }
    if answer.field("access-control-allow-origin") != Some("*") {
        return Err("a browser could not read it".to_owned());
    }
    for (name, value) in &expected.fields {
        let value = value.as_deref().map(filled);
        if answer.field(name) != value.as_deref() {
            return Err(format!("{name} is not {value:?}"));
        }
    }
    expected.body.as_ref().map_or(Ok(()), |body| check_body(body, answer))
}

fn check_body(body: &Body, answer: &Answer) -> Result<(), String> {
    let same = match body {
        Body::Empty => answer.body.is_empty(),
        Body::File { path, range: None } => answer.body == file(path),
        Body::File { path, range: Some((first, last)) } => {
            answer.body == file(path)[*first..=*last]
        }
        Body::Gzip(path) => {
            let mut bytes = Vec::new();
            GzDecoder::new(&answer.body[..]).read_to_end(&mut bytes).map_err(|e| e.to_string())?;
            bytes == file(path)
        }
        Body::Parts { path, ranges } => {
            return check_parts(&file(path), ranges, answer);
        }
    };
    if same { Ok(()) } else { Err("another body".to_owned()) }
}

/// Takes multipart/byteranges apart as RFC 2046, 5.1 says, and compares every part.
fn check_parts(file: &[u8], ranges: &[(usize, usize)], answer: &Answer) -> Result<(), String> {
    let boundary = answer.field("content-type").and_then(|value| value.split_once("boundary="));
    let (_, boundary) = boundary.ok_or("no boundary")?;
    let mut rest = &answer.body[..];
    let mut start = format!("--{boundary}\r\n");
    for (first, last) in ranges {
        rest = rest.strip_prefix(start.as_bytes()).ok_or("no boundary before a part")?;
        let end = rest.windows(4).position(|four| four == b"\r\n\r\n").ok_or("an endless head")?;
        let head = String::from_utf8_lossy(&rest[..end]).to_ascii_lowercase();
        let range = format!("content-range: bytes {first}-{last}/{}", file.len());
        if !head.split("\r\n").any(|line| line == range) {
            return Err(format!("a part without {range}"));
        }
        let bytes = &file[*first..=*last];
        rest = rest[end + 4..].strip_prefix(bytes).ok_or("a part with other bytes")?;
        start = format!("\r\n--{boundary}\r\n");
    }
    if rest == format!("\r\n--{boundary}--\r\n").as_bytes() { Ok(()) } else { Err("no end".into()) }
}

/// Holds all conversations, each on a connection of its own, and says all that went wrong.
fn hold_all<'w>(mut connected: impl FnMut() -> Box<dyn Wire + 'w>) {
    let cases = all();
    assert!(cases.len() >= 150, "only {} cases are found", cases.len());
    let held = |case: &Case| {
        let result = hold(case, connected().as_mut());
        result.err().map(|wrong| format!("{case}: {wrong}"))
    };
    let failed: Vec<String> = cases.iter().filter_map(held).collect();
    assert!(failed.is_empty(), "{} cases fail:\n{}", failed.len(), failed.join("\n"));
}

#[test]
fn the_pure_steps_answer_as_the_cases_say() {
    let library = Library::new();
    let catalog = pure::catalog(&library);
    hold_all(|| Box::new(pure::Pure::new(&catalog)));
}

#[test]
fn the_server_answers_as_the_cases_say() {
    let library = Library::new();
    let server = Server::start(&library);
    hold_all(|| Box::new(socket(&server)));
}

#[test]
fn every_case_has_its_row() {
    let readme = fs::read_to_string(folder().join("README.md")).expect("tests/cases/README.md");
    let rows = readme.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let rows: Vec<String> = rows.map(|(name, _)| name.to_owned()).collect();
    let names: Vec<String> = all().into_iter().map(|case| case.name).collect();
    for list in [&rows, &names] {
        let different: BTreeSet<_> = list.iter().collect();
        assert_eq!(different.len(), list.len(), "a name stands twice");
    }
    let missing: Vec<_> = names.iter().filter(|name| !rows.contains(name)).collect();
    let extra: Vec<_> = rows.iter().filter(|row| !names.contains(row)).collect();
    assert!(missing.is_empty() && extra.is_empty(), "no row: {missing:?}; no case: {extra:?}");
}

/// How long the server may take for an answer, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

fn socket(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.public).expect("the server listens");
    stream.set_nodelay(true).expect("an option of ours");
    stream.set_read_timeout(Some(PATIENCE)).expect("an option of ours");
    stream.set_write_timeout(Some(PATIENCE)).expect("an option of ours");
    stream
}

impl Wire for TcpStream {
    fn send(&mut self, bytes: &[u8]) {
        self.write_all(bytes).expect("the server takes what it will refuse");
    }

    fn shut(&mut self) {
        self.shutdown(Shutdown::Write).expect("the connection is open");
    }

    fn more(&mut self) -> Vec<u8> {
        let mut bytes = vec![0; 64 * 1024];
        let size = self.read(&mut bytes).expect("the server answers or closes");
        bytes.truncate(size);
        bytes
    }
}
