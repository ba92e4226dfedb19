//! The raw style: one ring, one system call a turn, no tasks.

use std::io;
use std::net::{Ipv4Addr, TcpListener};

use super::{HeadEnds, response};
use crate::sys::answer_ring::{AnswerRing, Event};

/// Serves until the process is ended.
pub fn serve(port: u16) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    let mut ring = AnswerRing::new(listener, response())?;
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
