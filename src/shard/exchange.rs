//! One request whose response takes several steps: a large body, or a question to control.
//!
//! The connection is the client's; the exchange is the request's, with its plan, its lease and the
//! place where it waits. Small responses never become one.

use std::sync::Arc;

use super::kernel::HeadBuffer;
use super::slab::Slab;
use crate::catalog::GrowingSlot;
use crate::messages::{Response, Wants};
use crate::request::body::Receiving;
use crate::request::locate::ObjectKey;
use crate::request::plan::Plan;
use crate::units::Ticks;

/// One request under way.
#[derive(Debug)]
pub struct Exchange {
    /// Its client.
    pub owner: u32,
    /// Guards references to its place in the table.
    pub generation: u32,
    /// When its request was complete, in nanoseconds.
    pub started: u64,
    /// What it is waiting for.
    pub state: State,
    /// What is being sent.
    pub work: Work,
    /// Bytes of a head, or between bodies, still to be sent before anything else.
    pub head: Option<HeadBuffer>,
    /// Body bytes that were handed to the kernel.
    pub sent: u64,
    /// How many the client had taken when its session was seen last; less than none, if some of an
    /// earlier response were still on their way.
    pub seen: i64,
    /// Whether it counts with its session's rate.
    pub is_paced: bool,
    /// When the client's rate was looked at last, and how many bytes it had taken then: less than
    /// none, if some of an earlier response were still on their way. None until it makes us wait.
    pub window: Option<(Ticks, i64)>,
}

/// What an exchange is waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// For its turn.
    Ready,
    /// For room in the socket.
    Blocked,
    /// For a zero-copy send to be taken.
    Sending,
    /// For the cold chunk at this place.
    Cold(u32),
    /// For control's answer.
    Asked,
    /// For the rest of the request's body.
    Receiving,
    /// For a growing object to grow.
    Growing,
    /// For a piece of its object to be made.
    Unmade,
    /// For nothing: it is over, but the kernel may still use its bytes.
    Over,
}

impl State {
    /// Whether it waits for somebody off the shard to say something.
    pub fn is_parked(self) -> bool {
        self == Self::Asked
    }
}

/// What an exchange does.
#[derive(Debug)]
pub enum Work {
    /// Sends bytes of an object.
    Object {
        /// The plan.
        plan: Plan,
        /// Which object.
        key: ObjectKey,
        /// The next byte of the payload, and the end of the stretch that is being sent.
        at: u64,
        /// See `at`.
        end: u64,
        /// How many of several ranges have been begun.
        parts: u8,
        /// Bytes from `at` on that are known to be in memory.
        resident: u64,
        /// Cold chunks that were waited for without getting on.
        attempts: u8,
        /// Whether any chunk was cold: then what follows is fetched ahead.
        cold: bool,
    },
    /// Sends what has come of a growing object.
    Growing {
        /// The plan.
        plan: Plan,
        /// Which.
        slot: GrowingSlot,
        /// The number of the current piece.
        pieces: usize,
        /// Bytes of the current piece that were sent.
        at: u64,
        /// Where the framing stands.
        frame: Frame,
    },
    /// Sends control's answer.
    Answer {
        /// The answer.
        response: Arc<Response>,
        /// Whether its body is sent.
        with_body: bool,
        /// Whether the connection ends after it.
        last: bool,
        /// Bytes of the body that were sent.
        at: usize,
    },
    /// Receives the body of a request for control.
    Ask {
        /// The head.
        head: Box<[u8]>,
        /// The body.
        body: Receiving,
        /// What for.
        wants: Wants,
    },
}

/// Where the chunk framing of a growing object stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Before a chunk.
    Between,
    /// In a chunk's bytes.
    Inside,
    /// After the last chunk.
    Over,
}

/// A reference to an exchange, or to a request that waits, that may be over when it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Waiter {
    /// Its place.
    pub exchange: u32,
    /// Its generation.
    pub generation: u32,
}

/// Adds one who waits. Those who left in the meantime are struck off before the list grows, so it
/// is never much longer than the number of exchanges.
pub fn add_waiter<T: Awaited>(waiters: &mut Vec<Waiter>, waiter: Waiter, table: &Slab<T>) {
    if waiters.len() == waiters.capacity() {
        waiters.retain(|waiter| {
            let there = table.get(waiter.exchange);
            there.is_some_and(|there| there.generation() == waiter.generation)
        });
    }
    waiters.push(waiter);
}

/// What a `Waiter` refers to.
pub trait Awaited {
    /// Guards references to its place in its table.
    fn generation(&self) -> u32;
}

impl Awaited for Exchange {
    fn generation(&self) -> u32 {
        self.generation
    }
}

impl Exchange {
    /// What is known to be in memory of its object is to be looked at again.
    pub fn is_to_look(&mut self) {
        if let Work::Object { resident, .. } = &mut self.work {
            *resident = 0;
        }
    }

    /// Whether the connection ends after this response.
    pub fn is_last(&self) -> bool {
        use crate::request::plan::Connection;
        match &self.work {
            Work::Object { plan, .. } | Work::Growing { plan, .. } => {
                plan.connection == Connection::Close
            }
            Work::Answer { last, .. } => *last,
            Work::Ask { .. } => false,
        }
    }
}
