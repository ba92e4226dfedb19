//! Where a stream's objects go: to a server, or into a folder.

use std::fmt;
use std::io;

use super::folder::Folder;
use super::http::Http;
use crate::load::response::Response;
use crate::sys::poller::Poller;

/// What a request or a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object {
    /// The header of the rendition.
    Header,
    /// The segment of this number.
    Segment(u64),
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header => f.write_str("init.mp4"),
            Self::Segment(number) => write!(f, "{number}.m4s"),
        }
    }
}

/// Either kind of place.
#[derive(Debug)]
pub enum Outlet {
    /// A server that is pushed to.
    Http(Box<Http>),
    /// A folder that is written to.
    Folder(Folder),
}

impl Outlet {
    /// Whether it can take something.
    pub fn is_open(&self) -> bool {
        match self {
            Self::Http(http) => http.is_open(),
            Self::Folder(folder) => folder.is_open(),
        }
    }

    /// Makes it ready; events of a socket are reported as `key`.
    pub fn open(&mut self, poller: &Poller, key: u64) -> io::Result<()> {
        match self {
            Self::Http(http) => http.open(poller, key),
            Self::Folder(folder) => folder.open(),
        }
    }

    /// Drops whatever is under way.
    pub fn close(&mut self) {
        match self {
            Self::Http(http) => http.close(),
            Self::Folder(folder) => folder.close(),
        }
    }

    /// An object begins.
    pub fn begin(&mut self, object: Object) {
        match self {
            Self::Http(http) => http.begin(object),
            Self::Folder(folder) => folder.begin(object),
        }
    }

    /// More of it.
    pub fn data(&mut self, bytes: &[u8]) {
        match self {
            Self::Http(http) => http.data(bytes),
            Self::Folder(folder) => folder.data(bytes),
        }
    }

    /// The first half of what should have been more of it, as if all would come.
    pub fn half(&mut self, bytes: &[u8]) {
        match self {
            Self::Http(http) => http.half(bytes),
            Self::Folder(folder) => folder.data(&bytes[..bytes.len() / 2]),
        }
    }

    /// The object is whole.
    pub fn finish(&mut self) {
        match self {
            Self::Http(http) => http.finish(),
            Self::Folder(folder) => folder.finish(),
        }
    }

    /// Hands over what was given; whether all of it was taken.
    pub fn flush(&mut self) -> io::Result<bool> {
        match self {
            Self::Http(http) => http.flush(),
            Self::Folder(folder) => folder.outcome().map(|()| true),
        }
    }

    /// An answer that has come. An error says that the connection is of no more use.
    pub fn receive(&mut self) -> io::Result<Option<Response>> {
        match self {
            Self::Http(http) => http.receive(),
            Self::Folder(_) => Ok(None),
        }
    }

    /// Whether objects are answered.
    pub fn answers(&self) -> bool {
        matches!(self, Self::Http(_))
    }
}
