//! A strict HTTP client on a blocking socket.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use crate::server::PATIENCE;

/// A connection.
pub struct Client {
    pub stream: TcpStream,
    /// Bytes that came and were not used.
    ahead: Vec<u8>,
    /// Whether part of a response has come.
    midway: bool,
}

/// A response.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(of, _)| of.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// Why there is no response, or not all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// The connection ended cleanly.
    Ended,
    /// It was reset.
    Reset,
}

impl Client {
    pub fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).unwrap())
    }

    /// A client of a connection that is there.
    pub fn over(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, ahead: Vec::new(), midway: false }
    }

    /// A client whose end of the connection has little room.
    pub fn narrow(address: SocketAddr) -> Self {
        let socket =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(16 * 1024).unwrap();
        socket.connect(&address.into()).unwrap();
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { stream, ahead: Vec::new(), midway: false }
    }

    pub fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    pub fn try_write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Whether no byte of the response that is waited for has come.
    pub fn is_between(&self) -> bool {
        !self.midway
    }

    pub fn end_writing(&mut self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Leaves with a reset.
    pub fn reset(self) {
        let socket = socket2::Socket::from(self.stream);
        socket.set_linger(Some(std::time::Duration::ZERO)).unwrap();
    }

    pub fn get(&mut self, target: &str) -> Reply {
        self.ask("GET", target, "")
    }

    /// Asks with more lines, each ended by CRLF, and reads the response.
    pub fn ask(&mut self, method: &str, target: &str, lines: &str) -> Reply {
        self.write(format!("{method} {target} HTTP/1.1\r\nHost: tv\r\n{lines}\r\n").as_bytes());
        self.reply(method).unwrap()
    }

    pub fn reply(&mut self, method: &str) -> Result<Reply, Cut> {
        self.midway = !self.ahead.is_empty();
        let head = self.head()?;
        let status: u16 = head[9..12].parse().unwrap();
        let mut reply = Reply { status, head, body: Vec::new() };
        if method == "HEAD" || matches!(status, 100 | 204 | 304) {
            return Ok(reply);
        }
        if reply.field("transfer-encoding") == Some("chunked") {
            while let Some(chunk) = self.chunk()? {
                reply.body.extend(chunk);
            }
        } else if let Some(size) = reply.field("content-length") {
            reply.body = self.take(size.parse().unwrap())?;
        } else {
            reply.body = self.rest()?;
        }
        Ok(reply)
    }

    /// Reads a head up to its empty line.
    pub fn head(&mut self) -> Result<String, Cut> {
        loop {
            if let Some(at) = self.ahead.windows(4).position(|four| four == b"\r\n\r\n") {
                let rest = self.ahead.split_off(at + 4);
                let head = std::mem::replace(&mut self.ahead, rest);
                let head = String::from_utf8(head).unwrap();
                assert!(head.starts_with("HTTP/1.1 "), "{head:?}");
                return Ok(head);
            }
            assert!(self.ahead.len() < 8192, "a head without an end");
            self.more()?;
        }
    }

    /// One chunk of a chunked body; none is the last one.
    pub fn chunk(&mut self) -> Result<Option<Vec<u8>>, Cut> {
        let line = self.line()?;
        let size = usize::from_str_radix(&line, 16).unwrap();
        let chunk = self.take(size)?;
        assert_eq!(self.line()?, "", "a chunk ends with a line end");
        Ok((size > 0).then_some(chunk))
    }

    fn line(&mut self) -> Result<String, Cut> {
        loop {
            if let Some(at) = self.ahead.windows(2).position(|two| two == b"\r\n") {
                let rest = self.ahead.split_off(at + 2);
                let line = std::mem::replace(&mut self.ahead, rest);
                return Ok(String::from_utf8(line[..at].to_vec()).unwrap());
            }
            self.more()?;
        }
    }

    /// Exactly so many bytes.
    pub fn take(&mut self, size: usize) -> Result<Vec<u8>, Cut> {
        while self.ahead.len() < size {
            self.more()?;
        }
        let rest = self.ahead.split_off(size);
        Ok(std::mem::replace(&mut self.ahead, rest))
    }

    /// Everything up to a clean end.
    pub fn rest(&mut self) -> Result<Vec<u8>, Cut> {
        loop {
            match self.more() {
                Ok(()) => {}
                Err(Cut::Ended) => return Ok(std::mem::take(&mut self.ahead)),
                Err(cut) => return Err(cut),
            }
        }
    }

    /// How the connection ends; nothing may come before that.
    pub fn end(&mut self) -> Cut {
        match self.more() {
            Err(cut) => cut,
            Ok(()) => panic!("more bytes: {:?}", String::from_utf8_lossy(&self.ahead)),
        }
    }

    fn more(&mut self) -> Result<(), Cut> {
        let start = self.ahead.len();
        self.ahead.resize(start + 256 * 1024, 0);
        let result = self.stream.read(&mut self.ahead[start..]);
        self.ahead.truncate(start + *result.as_ref().unwrap_or(&0));
        match result {
            Ok(0) => Err(Cut::Ended),
            Ok(_) => {
                self.midway = true;
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Err(Cut::Reset),
            Err(error) => panic!("reading: {error}"),
        }
    }
}
