//! One rendition's connection to a server: chunked PUT or POST without ever waiting.
//!
//! Objects are framed into `output`, which `flush` hands to the kernel as far as it takes it. It
//! keeps no time and decides nothing: whoever drives it says when to connect, send and give up.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;

use super::outlet::Object;
use crate::load::response::{Progress, Receiver, Response};
use crate::load::urls;
use crate::sys::poller::Poller;
use crate::sys::socket;

/// Answers are read in pieces of this many bytes; ingest answers have a few hundred.
const RECEIVE_SIZE: usize = 4096;

/// How a rendition is cut into requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Mode {
    /// PUT the header once, then PUT every segment
    Segments,
    /// One POST that does not end: the header, then chunks
    Long,
}

/// The server, as its URL says.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    authority: String,
    path: String,
    mode: Mode,
}

impl Server {
    /// From a URL such as `http://127.0.0.1:8082/ingest`.
    pub fn parse(url: &str, mode: Mode) -> Result<Self, String> {
        let (authority, path) = urls::split(url)?;
        if path.contains('?') {
            return Err(format!("'{url}': channels go behind it, so it can't have a query"));
        }
        let address = urls::resolve(authority)?;
        let path = path.trim_end_matches('/').to_owned();
        Ok(Self { address, authority: authority.to_owned(), path, mode })
    }
}

/// A connection, and what is on its way.
#[derive(Debug)]
pub struct Http {
    server: Rc<Server>,
    /// `/channel/rendition`.
    place: String,
    is_audio: bool,
    socket: Option<TcpStream>,
    output: Vec<u8>,
    written: usize,
    receiver: Receiver,
}

impl Http {
    /// Not connected yet.
    pub fn new(server: Rc<Server>, place: String, is_audio: bool) -> Self {
        let receiver = Receiver::default();
        Self { server, place, is_audio, socket: None, output: Vec::new(), written: 0, receiver }
    }

    /// Whether there is a connection, or one is being made.
    pub fn is_open(&self) -> bool {
        self.socket.is_some()
    }

    /// Begins to connect.
    pub fn open(&mut self, poller: &Poller, key: u64) -> io::Result<()> {
        let socket = TcpStream::from(socket::begin_connect(self.server.address, None)?);
        poller.add(&socket, key)?;
        self.close();
        self.socket = Some(socket);
        Ok(())
    }

    /// Closes the connection, with whatever was to be sent on it.
    pub fn close(&mut self) {
        self.socket = None;
        self.output.clear();
        self.written = 0;
        self.receiver = Receiver::default();
    }

    /// The head of a request. In `Long` mode only the header has one.
    pub fn begin(&mut self, object: Object) {
        let Server { authority, path, mode, .. } = &*self.server;
        let kind = if self.is_audio { "audio/mp4" } else { "video/mp4" };
        let (method, name, kind) = match (mode, object) {
            (Mode::Long, Object::Segment(_)) => return,
            (Mode::Long, Object::Header) => ("POST", "stream.mp4".to_owned(), kind),
            (Mode::Segments, Object::Header) => ("PUT", object.to_string(), kind),
            (Mode::Segments, Object::Segment(_)) => {
                ("PUT", object.to_string(), "video/iso.segment")
            }
        };
        let head = format!(
            "{method} {path}{}/{name} HTTP/1.1\r\nHost: {authority}\r\n\
             User-Agent: shardcast-bench/{}\r\nDASH-IF-Ingest: 1.1\r\nContent-Type: {kind}\r\n\
             Transfer-Encoding: chunked\r\n\r\n",
            self.place,
            env!("CARGO_PKG_VERSION"),
        );
        self.output.extend(head.bytes());
    }

    /// A chunk of the body.
    pub fn data(&mut self, bytes: &[u8]) {
        self.chunk_head(bytes.len());
        self.output.extend(bytes);
        self.output.extend(b"\r\n");
    }

    /// A chunk that claims to be whole and has half of its bytes.
    pub fn half(&mut self, bytes: &[u8]) {
        self.chunk_head(bytes.len());
        self.output.extend(&bytes[..bytes.len() / 2]);
    }

    /// The end of the body.
    pub fn finish(&mut self) {
        self.output.extend(b"0\r\n\r\n");
    }

    /// Sends what the kernel takes; whether that was all.
    pub fn flush(&mut self) -> io::Result<bool> {
        let socket = self.socket.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        while self.written < self.output.len() {
            match socket.write(&self.output[self.written..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(size) => self.written += size,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.output.clear();
        self.written = 0;
        Ok(true)
    }

    /// An answer, if one is whole.
    pub fn receive(&mut self) -> io::Result<Option<Response>> {
        let Some(socket) = self.socket.as_mut() else { return Ok(None) };
        let mut buffer = [0; RECEIVE_SIZE];
        loop {
            let size = match socket.read(&mut buffer) {
                Ok(0) => {
                    let last = self.receiver.end().map(Some);
                    return last.ok_or(io::ErrorKind::UnexpectedEof.into());
                }
                Ok(size) => size,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let malformed = |_| io::Error::new(io::ErrorKind::InvalidData, "an answer is not HTTP");
            if let Progress::Whole(response, _) =
                self.receiver.feed(&buffer[..size]).map_err(malformed)?
            {
                return Ok(Some(response));
            }
        }
    }

    fn chunk_head(&mut self, size: usize) {
        self.output.extend(format!("{size:x}\r\n").bytes());
    }
}
