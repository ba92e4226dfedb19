//! One answer after the other, whole: for those who look into what a server says.
//!
//! A blocking client on a connection that is kept. Bodies are bounded. It follows no redirects and
//! asks for no coding.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::urls;

/// Longest body that is read. A segment of 10 s at 50 Mb/s has 63 MB.
const BODY_SIZE_MAX: u64 = 128 << 20;

/// Longest head, in lines and in bytes of a line.
const LINES_MAX: usize = 200;
const LINE_SIZE_MAX: u64 = 16 * 1024;

/// A server that says nothing for this long has failed, unless it may hold the request.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A connection to one server.
#[derive(Debug)]
pub struct Fetcher {
    address: SocketAddr,
    authority: String,
    stream: Option<BufReader<TcpStream>>,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The status code.
    pub status: u16,
    /// Names in small letters.
    pub headers: Vec<(String, String)>,
    /// Without the framing of HTTP.
    pub body: Vec<u8>,
}

impl Fetched {
    /// The value of a header; `name` is in small letters.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// The body as text, or what of it is.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Fetcher {
    /// To the server of this URL; not connected yet.
    pub fn new(url: &str) -> Result<Self, String> {
        let (authority, _) = urls::split(url)?;
        let address = urls::resolve(authority)?;
        Ok(Self { address, authority: authority.to_owned(), stream: None })
    }

    /// Fetches a path; the answer may be held for `patience`.
    pub fn get(&mut self, path: &str, patience: Duration) -> Result<Fetched, String> {
        let fetched = self.asked(path, patience).and_then(|stream| self.read(stream));
        fetched.map_err(|error| format!("GET http://{}{path}: {error}", self.authority))
    }

    /// A connection on which an answer has begun.
    fn asked(&mut self, path: &str, patience: Duration) -> io::Result<BufReader<TcpStream>> {
        let head = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.authority);
        if let Some(stream) = self.stream.take() {
            match ask(stream, &head, patience) {
                // A server may end a connection between two requests whenever it likes.
                Err(error) if is_ended(&error) => {}
                other => return other,
            }
        }
        let stream = TcpStream::connect_timeout(&self.address, PATIENCE)?;
        stream.set_nodelay(true)?;
        ask(BufReader::new(stream), &head, patience)
    }

    /// Reads the answer, and keeps the connection if it goes on.
    fn read(&mut self, mut stream: BufReader<TcpStream>) -> io::Result<Fetched> {
        let (status, headers) = read_head(&mut stream)?;
        let mut fetched = Fetched { status, headers, body: Vec::new() };
        let mut ends = fetched.header("connection").is_some_and(|value| value == "close");
        let length = fetched.header("content-length").and_then(|value| value.parse::<u64>().ok());
        let has_body = status != 204 && status != 304;
        if has_body && fetched.header("transfer-encoding") == Some("chunked") {
            read_chunks(&mut stream, &mut fetched.body)?;
        } else if let Some(length) = length.filter(|_| has_body) {
            read_exactly(&mut stream, length, &mut fetched.body)?;
        } else if has_body {
            stream.by_ref().take(BODY_SIZE_MAX).read_to_end(&mut fetched.body)?;
            ends = true;
        }
        self.stream = Some(stream).filter(|_| !ends);
        Ok(fetched)
    }
}

/// Sends a request, and waits until its answer begins.
fn ask(
    mut stream: BufReader<TcpStream>,
    head: &str,
    patience: Duration,
) -> io::Result<BufReader<TcpStream>> {
    stream.get_ref().set_read_timeout(Some(patience))?;
    stream.get_mut().write_all(head.as_bytes())?;
    loop {
        match stream.fill_buf() {
            Ok([]) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => return Ok(stream),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Whether the other side had closed the connection.
fn is_ended(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
}

type Head = (u16, Vec<(String, String)>);

fn read_head(stream: &mut BufReader<TcpStream>) -> io::Result<Head> {
    let status = line(stream)?;
    let status = status.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| wrong("no status"))?;
    let mut headers = Vec::new();
    loop {
        let line = line(stream)?;
        if line.is_empty() {
            return Ok((status, headers));
        }
        let (name, value) =
            line.split_once(':').ok_or_else(|| wrong("a header without a colon"))?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        if headers.len() > LINES_MAX {
            return Err(wrong("too many headers"));
        }
    }
}

fn line(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = String::new();
    stream.take(LINE_SIZE_MAX).read_line(&mut line)?;
    match line.strip_suffix("\r\n") {
        Some(line) => Ok(line.to_owned()),
        None if line.is_empty() => Err(io::ErrorKind::UnexpectedEof.into()),
        None => Err(wrong("a line without its end")),
    }
}

fn read_exactly(
    stream: &mut BufReader<TcpStream>,
    length: u64,
    body: &mut Vec<u8>,
) -> io::Result<()> {
    if body.len() as u64 + length > BODY_SIZE_MAX {
        return Err(wrong("a body that is too long"));
    }
    let before = body.len() as u64;
    stream.take(length).read_to_end(body)?;
    if body.len() as u64 - before < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(())
}

fn read_chunks(stream: &mut BufReader<TcpStream>, body: &mut Vec<u8>) -> io::Result<()> {
    loop {
        let size = line(stream)?;
        let digits = size.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(digits, 16).map_err(|_| wrong("no size of a chunk"))?;
        if size == 0 {
            while !line(stream)?.is_empty() {}
            return Ok(());
        }
        read_exactly(stream, size, body)?;
        if !line(stream)?.is_empty() {
            return Err(wrong("a chunk without its end"));
        }
    }
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the answer is malformed: {what}"))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};
    use std::thread;

    use super::*;

    #[test]
    fn only_what_has_no_answer_is_asked_for_again() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";
        // What each connection answers, a request each, until it is closed.
        let connections = [vec!["ok"], vec!["ok", "o"], vec!["ok"]];
        let server = thread::spawn(move || {
            for answers in connections {
                let mut stream = BufReader::new(listener.accept().unwrap().0);
                for body in answers {
                    while !line(&mut stream).unwrap().is_empty() {}
                    stream.get_mut().write_all(format!("{head}{body}").as_bytes()).unwrap();
                }
            }
        });
        let mut fetcher = Fetcher::new(&url).unwrap();
        let mut get = || fetcher.get("/", PATIENCE).map(|fetched| fetched.text());
        assert_eq!(get(), Ok("ok".to_owned()));
        assert_eq!(get(), Ok("ok".to_owned()), "the first connection was closed");
        assert!(get().is_err(), "it is cut off, and another answer must not hide that");
        assert_eq!(get(), Ok("ok".to_owned()));
        server.join().unwrap();
    }
}
