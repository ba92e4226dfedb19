//! A client for the differential test: requests out as given, responses taken apart.
//!
//! Plain and slow, and of its own: it shares no code with the server under test.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longer than any answer takes on a busy machine; an answer that is later is a failure.
const PATIENCE: Duration = Duration::from_secs(20);

/// One request, and what is special about it.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: &'static str,
    /// The target as it is sent, encoded already.
    pub target: String,
    pub version: &'static str,
    pub headers: Vec<(&'static str, String)>,
    /// What rows of differences.toml may refer to.
    pub tags: Vec<&'static str>,
    /// The file that is meant, by its path below the root; none if there is none.
    pub file: Option<String>,
}

impl Request {
    /// Its bytes for this server: validators in the headers are written `{etag}`.
    pub fn wire(&self, etag: &str) -> String {
        let mut wire = format!("{} {} {}\r\nHost: tv\r\n", self.method, self.target, self.version);
        for (name, value) in &self.headers {
            let value = value.replace("{etag}", etag);
            write!(wire, "{name}: {value}\r\n").expect("writing to a string cannot fail");
        }
        wire.push_str("\r\n");
        wire
    }

    /// Whether the server closes the connection after it.
    pub fn is_last(&self) -> bool {
        let connection = self.headers.iter().find(|(name, _)| *name == "Connection");
        match connection {
            Some((_, value)) => value == "close",
            None => self.version == "HTTP/1.0",
        }
    }
}

/// One response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    /// By name in lower case; of several lines of one name, the last.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// Sends the requests in one write, as a pipelining client does, and reads as many responses.
pub fn exchange(
    server: SocketAddr,
    requests: &[Request],
    etags: &[String],
) -> io::Result<Vec<Response>> {
    let mut stream = TcpStream::connect_timeout(&server, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let wire: String = requests.iter().zip(etags).map(|(one, etag)| one.wire(etag)).collect();
    // A server may answer and close before it has read everything.
    let sent = stream.write_all(wire.as_bytes());
    let mut reader = BufReader::new(stream);
    let mut responses = Vec::new();
    for request in requests {
        match response(&mut reader, request.method == "HEAD") {
            Ok(response) => responses.push(response),
            // The peer closed at a boundary: the comparison says that an answer is missing. A peer
            // that closes before it has read everything resets; what it sent before still arrives.
            Err(error) if is_end(&error) => break,
            Err(error) => return Err(sent.err().unwrap_or(error)),
        }
    }
    Ok(responses)
}

fn is_end(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset)
}

fn response(reader: &mut impl BufRead, is_head: bool) -> io::Result<Response> {
    let status_line = line(reader)?;
    let status = status_line.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| odd(&format!("status line {status_line:?}")))?;
    let mut headers = BTreeMap::new();
    loop {
        let line = line(reader)?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').ok_or_else(|| odd(&format!("header {line:?}")))?;
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let mut body = Vec::new();
    let has_body = !is_head && !matches!(status, 100..=199 | 204 | 304);
    if has_body {
        read_body(reader, &headers, &mut body)?;
    }
    Ok(Response { status, headers, body })
}

fn read_body(
    reader: &mut impl BufRead,
    headers: &BTreeMap<String, String>,
    body: &mut Vec<u8>,
) -> io::Result<()> {
    if headers.get("transfer-encoding").is_some_and(|coding| coding == "chunked") {
        loop {
            let size = line(reader)?;
            let size = u64::from_str_radix(&size, 16).map_err(|_| odd("a chunk without a size"))?;
            reader.take(size).read_to_end(body)?;
            line(reader)?;
            if size == 0 {
                return Ok(());
            }
        }
    }
    let Some(length) = headers.get("content-length") else {
        reader.read_to_end(body)?;
        return Ok(());
    };
    let length: u64 = length.parse().map_err(|_| odd("a content-length that is no number"))?;
    reader.take(length).read_to_end(body)?;
    if body.len() as u64 == length { Ok(()) } else { Err(odd("the body ended early")) }
}

/// One line without its end. End of file before it is `UnexpectedEof`.
fn line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut bytes = Vec::new();
    reader.read_until(b'\n', &mut bytes)?;
    if bytes.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let text = String::from_utf8(bytes).map_err(|_| odd("a head that is not UTF-8"))?;
    let stripped = text.strip_suffix("\r\n");
    Ok(stripped.ok_or_else(|| odd(&format!("a line without an end: {text:?}")))?.to_owned())
}

fn odd(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the response has {what}"))
}
