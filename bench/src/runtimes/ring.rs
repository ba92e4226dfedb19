//! The raw style: one ring, one system call a turn, no tasks.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};

use super::{HeadEnds, response};
use crate::sys::answer_ring::{AnswerRing, Event};

/// As the servers that it stands for: thousands of clients may come at once.
const BACKLOG: i32 = 4096;

/// Serves until the process is ended.
pub fn serve(port: u16) -> io::Result<()> {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())?;
    listener.listen(BACKLOG)?;
    let mut ring = AnswerRing::new(listener.into(), response())?;
    let mut heads: Vec<HeadEnds> = Vec::new();
    let mut completions = Vec::with_capacity(4096);
    loop {
        ring.turn(&mut completions, |event| match event {
            Event::Accepted(connection) => {
                if heads.len() <= connection {
                    heads.resize(connection + 1, HeadEnds::default());
                }
                heads[connection] = HeadEnds::default();
                0
            }
            Event::Received(connection, bytes) => heads[connection].count(bytes),
        })?;
    }
}
