//! One client: its socket, what is in flight on it, and what it is doing.

use std::cell::OnceCell;
use std::net::IpAddr;
use std::num::NonZeroU32;

use crate::messages::AccessRecord;
use crate::units::{Class, Ticks};

use super::kernel::{Kernel, Operation};

/// One client. It costs this much user memory while it is idle, so its size has a test.
#[derive(Debug)]
pub struct Connection<S> {
    /// None once it is closed and only waits to be removed.
    pub socket: Option<S>,
    /// What it is doing.
    pub phase: Phase,
    /// What is in flight: no place or socket is used again before all of it has completed.
    pub flight: Flight,
    /// Which listener it came from.
    pub listener: u8,
    /// Who speaks on it.
    pub via: Via,
    /// The client has ended its side.
    pub ended: bool,
    /// Its socket keeps partial packets back.
    pub holds: bool,
    /// How it is to be closed, once nothing is in flight.
    pub closing: Option<Ending>,
    /// When something is due.
    pub deadline: Ticks,
    /// The tick of its entry in the wheel; 0 = none.
    pub scheduled: u32,
    /// How fast its socket sends at most, in kilobits a second; none = as fast as it goes.
    pub pace: Option<NonZeroU32>,
    /// Bytes of a head that is not complete, or of requests that came early.
    pub pending: Option<Box<Pending>>,
    /// The line of the request that is being answered, if there is an access log.
    pub record: Option<Box<AccessRecord>>,
    /// Where its client is, once somebody had to know: it takes a system call.
    peer: OnceCell<Option<IpAddr>>,
}

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Waiting for a request; `since` its last response.
    Idle {
        /// Since when.
        since: Ticks,
    },
    /// Part of a head is here.
    Head,
    /// One send carries the whole response.
    Quick(Quick),
    /// A response of several steps is under way.
    Exchange(u32),
    /// Its request waits for an update.
    Waiting(u32),
    /// The response is out; what the client still sends is thrown away until it ends its side.
    Linger {
        /// Bytes thrown away.
        size: u32,
        /// Since when; begins anew for a client that still reads.
        since: Ticks,
        /// Bytes that the client had not acknowledged then.
        behind: u32,
    },
}

/// A response that one send carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quick {
    /// When its request was complete, in nanoseconds.
    pub started: u64,
    /// Bytes of its body.
    pub body_size: u32,
    /// Its status.
    pub status: u16,
    /// Its class.
    pub class: Class,
    /// Whether the connection ends after it.
    pub last: bool,
}

/// Who speaks on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// A client, for itself.
    Direct,
    /// A trusted proxy that has not said anything yet.
    Silent,
    /// A trusted proxy: each of its requests says whose it is.
    Forwarding,
}

/// How a connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// What was sent is still delivered.
    Close,
    /// A response was cut off: the client must see it.
    Reset,
}

/// Bytes that came before they could be used.
#[derive(Debug, Default)]
pub struct Pending {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// How many of them have been used.
    pub start: usize,
}

impl Pending {
    /// What has not been used.
    pub fn rest(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

/// The operations of one connection that the kernel has not completed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flight {
    bits: u8,
    /// Zero-copy sends whose bytes the kernel still uses.
    pub let_gos: u8,
}

const CANCELLED: u8 = 4;

impl Flight {
    fn bit(operation: Operation) -> u8 {
        match operation {
            Operation::Receive => 1,
            Operation::PollIn => 1 << 1,
            Operation::PollOut => 1 << 2,
            Operation::Send => 1 << 3,
        }
    }

    /// Whether it is in flight.
    pub fn has(self, operation: Operation) -> bool {
        self.bits & Self::bit(operation) != 0
    }

    /// Whether it is in flight, and its cancellation was asked for.
    pub fn is_cancelled(self, operation: Operation) -> bool {
        self.bits & (Self::bit(operation) << CANCELLED) != 0
    }

    /// It was queued.
    pub fn begin(&mut self, operation: Operation) {
        assert!(!self.has(operation), "one operation of each kind at a time");
        self.bits |= Self::bit(operation);
    }

    /// Its cancellation was queued.
    pub fn cancel(&mut self, operation: Operation) {
        self.bits |= Self::bit(operation) << CANCELLED;
    }

    /// It has completed for the last time.
    pub fn end(&mut self, operation: Operation) {
        assert!(self.has(operation), "an operation completes once");
        self.bits &= !(Self::bit(operation) | Self::bit(operation) << CANCELLED);
    }

    /// Whether an operation is in flight; bytes that are lent are not one.
    pub fn has_operations(self) -> bool {
        self.bits != 0
    }
}

impl<S> Connection<S> {
    /// A client that has just come.
    pub fn new(socket: S, listener: u8, now: Ticks) -> Self {
        Self {
            socket: Some(socket),
            phase: Phase::Idle { since: now },
            flight: Flight::default(),
            listener,
            via: Via::Direct,
            ended: false,
            holds: false,
            closing: None,
            deadline: now,
            scheduled: 0,
            pace: None,
            pending: None,
            record: None,
            peer: OnceCell::new(),
        }
    }

    /// Where the client is.
    pub fn peer<K: Kernel<Socket = S>>(&self, kernel: &K) -> Option<IpAddr> {
        let asked = || self.socket.as_ref().and_then(|socket| kernel.peer(socket));
        *self.peer.get_or_init(asked)
    }

    /// The client is there; none = at the other end of the socket.
    pub fn set_peer(&mut self, address: Option<IpAddr>) {
        self.peer = address.map_or_else(OnceCell::new, |address| OnceCell::from(Some(address)));
    }

    /// The exchange under way.
    pub fn exchange(&self) -> Option<u32> {
        match self.phase {
            Phase::Exchange(exchange) => Some(exchange),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_connection_is_small() {
        let size = size_of::<Option<Connection<std::os::fd::OwnedFd>>>();
        assert!(size <= 96, "a connection takes {size} bytes");
    }
}
