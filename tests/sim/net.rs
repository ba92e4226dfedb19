//! Sockets and listeners of the fake kernel, and what is in flight on them.

use std::collections::VecDeque;

use shardcast::shard::kernel::{Errno, Loan, Operation, Outgoing, Owner};
use shardcast::units::Extent;

use crate::pipe::{Pipe, Run};

/// A connected client, as the driver holds it.
#[derive(Debug)]
pub struct Socket {
    pub id: usize,
}

/// Bytes of a whole packet.
pub const PACKET_SIZE: u64 = 1448;

/// What the driver has done with a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// It was not accepted yet.
    Queued,
    Open,
    Closed,
}

/// A send in flight.
#[derive(Debug)]
pub enum SendOp {
    Ring { owner: Owner, outgoing: Outgoing, done: usize },
    ZeroCopy { owner: Owner, loan: Loan, extent: Extent },
}

/// Bytes of a zero-copy send that was taken, until the client has them.
#[derive(Debug)]
pub struct Lent {
    pub owner: Owner,
    pub loan: Loan,
    /// The client has them when it has read so many bytes of the connection.
    pub until: u64,
}

/// One connection, both ends of it.
#[derive(Debug)]
pub struct Sock {
    pub client: usize,
    /// What the client wrote and the server has not received.
    pub inbound: VecDeque<u8>,
    pub inbound_end: bool,
    /// What the server sent and the client has not read.
    pub outbound: Pipe,
    pub capacity: u64,
    pub outbound_end: bool,
    /// The connection is gone: every call on it fails.
    pub dead: Option<Errno>,
    pub server: Server,
    /// The client has a right to see a reset: something was done to the connection.
    pub excused: bool,
    pub taken: u64,
    /// When it took something last, or was accepted.
    pub served_at: u64,
    pub read: u64,
    /// Partial packets are kept back.
    pub holds: bool,
    /// How fast it sends at most.
    pub pace: Option<u64>,
    /// A head found no room, and waits.
    pub head_waits: bool,
    /// Bytes since the last flush, while they are.
    pub unflushed: u64,
    pub receive: Option<Owner>,
    pub poll_in: Option<Owner>,
    pub poll_out: Option<Owner>,
    pub send: Option<SendOp>,
    /// Operations whose last completion the driver has not seen.
    pub in_flight: u32,
    pub lent: Vec<Lent>,
    /// Its next `pump` is scheduled.
    pub pumped_later: bool,
}

impl Sock {
    pub fn new(client: usize, capacity: u64) -> Self {
        Self {
            client,
            inbound: VecDeque::new(),
            inbound_end: false,
            outbound: Pipe::default(),
            capacity,
            outbound_end: false,
            dead: None,
            server: Server::Queued,
            excused: false,
            taken: 0,
            served_at: 0,
            read: 0,
            holds: false,
            pace: None,
            head_waits: false,
            unflushed: 0,
            receive: None,
            poll_in: None,
            poll_out: None,
            send: None,
            in_flight: 0,
            lent: Vec::new(),
            pumped_later: false,
        }
    }

    pub fn room(&self) -> u64 {
        self.capacity.saturating_sub(self.outbound.size())
    }

    pub fn put(&mut self, run: Run) {
        self.taken += run.size();
        self.unflushed += if self.holds { run.size() } else { 0 };
        self.outbound.push(run);
    }

    /// What has left for the client: whole packets, and all of it where nothing is kept back.
    pub fn visible(&self) -> u64 {
        let ended = self.outbound_end || self.dead.is_some();
        let kept = if self.holds && !ended { self.unflushed % PACKET_SIZE } else { 0 };
        self.outbound.size().saturating_sub(kept)
    }

    /// The client has sent something to a server that has closed: that is answered by a reset.
    pub fn is_closed_over(&self) -> bool {
        self.server == Server::Closed && self.dead.is_none() && !self.inbound.is_empty()
    }

    pub fn is_readable(&self) -> bool {
        !self.inbound.is_empty() || self.inbound_end || self.dead.is_some()
    }

    /// As Linux says it: not at the first byte of room, but at a third of it.
    pub fn is_writable(&self) -> bool {
        self.dead.is_some() || self.room() * 3 >= self.capacity
    }

    pub fn owner_of(&self, operation: Operation) -> Option<Owner> {
        match operation {
            Operation::Receive => self.receive,
            Operation::PollIn => self.poll_in,
            Operation::PollOut => self.poll_out,
            Operation::Send => self.send.as_ref().map(|send| match send {
                SendOp::Ring { owner, .. } | SendOp::ZeroCopy { owner, .. } => *owner,
            }),
        }
    }
}

/// The bytes of a send that are next, at most `limit`.
pub fn next_bytes(outgoing: &Outgoing, done: usize, limit: usize) -> Vec<u8> {
    let head = outgoing.head.as_ref().map_or(&[][..], |head| head.rest());
    let body = outgoing.body.as_ref().map_or(&[][..], |(bytes, range)| &bytes[range.clone()]);
    let head_rest = &head[done.min(head.len())..];
    let body_rest = &body[done.saturating_sub(head.len())..];
    let mut bytes = head_rest[..limit.min(head_rest.len())].to_vec();
    let left = limit - bytes.len();
    bytes.extend_from_slice(&body_rest[..left.min(body_rest.len())]);
    bytes
}

/// A listener.
#[derive(Debug, Default)]
pub struct Listener {
    pub queue: VecDeque<usize>,
    pub accepting: bool,
    pub closed: bool,
}
