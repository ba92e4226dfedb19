//! HTTP over a plain socket, as far as encoders and players need it here: bodies are bytes, and may
//! come piece by piece.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};

use crate::running::PATIENCE;

/// A whole answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub status: u16,
    /// Status line and header lines.
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }

    /// The body of a playlist or manifest.
    pub fn text(&self) -> &str {
        str::from_utf8(&self.body).expect("it is text")
    }
}

fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("somebody listens");
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// One request on a connection of its own; its head is without the empty line.
pub fn ask(address: SocketAddr, head: &str, body: &[u8]) -> io::Result<Answer> {
    asked(connect(address), head, body)
}

pub fn get(address: SocketAddr, path: &str) -> Answer {
    ask(address, &format!("GET {path} HTTP/1.1\r\nHost: tv\r\n"), b"").expect("a whole answer")
}

/// `PUT` of a whole body.
pub fn put(address: SocketAddr, path: &str, body: &[u8]) -> Answer {
    let size = body.len();
    let head = format!("PUT {path} HTTP/1.1\r\nHost: in\r\nContent-Length: {size}\r\n");
    ask(address, &head, body).expect("a whole answer")
}

/// One request to a server that may end at any moment.
pub fn try_ask(address: SocketAddr, head: &str, body: &[u8]) -> io::Result<Answer> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    asked(stream, head, body)
}

fn asked(mut stream: TcpStream, head: &str, body: &[u8]) -> io::Result<Answer> {
    stream.write_all(&[head.as_bytes(), b"Connection: close\r\n\r\n", body].concat())?;
    Answering::of(stream)?.rest()
}

/// An answer under way.
pub struct Answering {
    stream: BufReader<TcpStream>,
    pub status: u16,
    pub head: String,
}

impl Answering {
    /// Reads the head.
    pub fn of(stream: TcpStream) -> io::Result<Self> {
        let mut stream = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let status = head.get(9..12).and_then(|digits| digits.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no status: {head}"));
        Ok(Self { stream, status, head })
    }

    /// `GET`, up to the end of the answer's head.
    pub fn get(address: SocketAddr, path: &str) -> Self {
        let mut stream = connect(address);
        write!(stream, "GET {path} HTTP/1.1\r\nHost: tv\r\n\r\n").unwrap();
        Self::of(stream).expect("an answer")
    }

    /// What comes behind the head, as it comes.
    pub fn stream(&mut self) -> &mut impl io::Read {
        &mut self.stream
    }

    pub fn is_chunked(&self) -> bool {
        header(&self.head, "Transfer-Encoding") == Some("chunked")
    }

    /// The next chunk of a body that comes in chunks; none behind the last one.
    ///
    /// An error: it broke off without a last chunk.
    pub fn chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut size = String::new();
        self.stream.read_line(&mut size)?;
        if !size.ends_with("\r\n") {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let size = usize::from_str_radix(size.trim_end(), 16).map_err(io::Error::other)?;
        let mut bytes = vec![0; size + 2];
        self.stream.read_exact(&mut bytes)?;
        assert!(bytes.ends_with(b"\r\n"), "a chunk ends with a line end");
        bytes.truncate(size);
        Ok(Some(bytes).filter(|bytes| !bytes.is_empty()))
    }

    /// The body to its end; an error if it broke off.
    pub fn rest(mut self) -> io::Result<Answer> {
        let mut body = Vec::new();
        if self.is_chunked() {
            while let Some(chunk) = self.chunk()? {
                body.extend(chunk);
            }
        } else if let Some(size) = header(&self.head, "Content-Length") {
            body = vec![0; size.parse().map_err(io::Error::other)?];
            self.stream.read_exact(&mut body)?;
        } else {
            self.stream.read_to_end(&mut body)?;
        }
        let Self { status, head, .. } = self;
        Ok(Answer { status, head, body })
    }
}

/// An encoder's request under way, whose body comes in chunks.
pub struct Push {
    stream: TcpStream,
}

impl Push {
    pub fn begin(address: SocketAddr, path: &str) -> Self {
        let mut stream = connect(address);
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nHost: in\r\nTransfer-Encoding: chunked\r\n\
             Connection: close\r\n\r\n"
        )
        .unwrap();
        Self { stream }
    }

    pub fn send(&mut self, bytes: &[u8]) {
        let size = format!("{:x}\r\n", bytes.len());
        self.stream.write_all(&[size.as_bytes(), bytes, b"\r\n"].concat()).unwrap();
    }

    /// Ends the body, and hears what is said of it.
    pub fn end(mut self) -> Answer {
        self.stream.write_all(b"0\r\n\r\n").unwrap();
        Answering::of(self.stream).and_then(Answering::rest).expect("a whole answer")
    }

    /// Says nothing more, and hears what is said of that.
    pub fn fall_silent(self) -> Answer {
        Answering::of(self.stream).and_then(Answering::rest).expect("a whole answer")
    }

    /// Breaks off in the middle of the body.
    pub fn tear(self) -> TcpStream {
        self.stream.shutdown(Shutdown::Write).unwrap();
        self.stream
    }
}
