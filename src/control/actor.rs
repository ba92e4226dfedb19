//! Who asks something of control: whoever reached the socket, or has signed in.
//!
//! A connection says who is at its other end (`Peer`). What comes in by the unix socket acts by
//! that alone; what comes in by the port acts as whoever has signed in. Handlers take the `Actor`
//! from their request's extensions: it is there wherever something can be changed.

use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;

use axum::body::Body;
use axum::http::Request;

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// A client of the admin port.
    Network(SocketAddr),
    /// A process on this machine that the socket's permissions let in, and its user where the
    /// kernel says it (`SO_PEERCRED`).
    Local(Option<u32>),
}

/// Who does something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// Somebody on this machine, by the unix socket: the number of the user.
    Local(Option<u32>),
    /// A person who has signed in: the administrator's id.
    Operator(String),
    /// A program with a key of the API: the key's id.
    Key(String),
    /// Somebody who watches, in the portal: the subscriber's id.
    Subscriber(String),
    /// The server, by itself.
    Server,
}

impl Actor {
    /// Whoever runs this process.
    #[must_use]
    pub fn this_process() -> Self {
        // The kernel gives a process's folder to its user.
        Self::Local(fs::metadata("/proc/self").ok().map(|of| of.uid()))
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(Some(uid)) => write!(f, "local:{uid}"),
            Self::Local(None) => f.write_str("local"),
            Self::Operator(id) => write!(f, "operator:{id}"),
            Self::Key(id) => write!(f, "key:{id}"),
            Self::Subscriber(id) => write!(f, "subscriber:{id}"),
            Self::Server => f.write_str("server"),
        }
    }
}

/// A request of the socket: its actor is whoever is at the other end.
pub async fn local(mut request: Request<Body>) -> Request<Body> {
    let uid = match request.extensions().get::<Peer>() {
        Some(Peer::Local(uid)) => *uid,
        _ => None,
    };
    request.extensions_mut().insert(Actor::Local(uid));
    request
}
