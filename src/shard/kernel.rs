//! The seam between the driver and Linux: ring operations, and every direct call the driver makes.
//!
//! The real one is `sys::ring`; a seeded fake plays it in `tests/sim`, where it shortens, delays,
//! refuses and fails whatever it likes. What the kernel may still touch is owned by the operation
//! (`Outgoing`, a read's buffer, a `Held` source) until its last completion gives it back.

use std::net::IpAddr;
use std::ops::Range;
use std::rc::Rc;

use crate::catalog::{Held, SourceSlot};
use crate::config::RESPONSE_HEAD_SIZE_MAX;
use crate::messages::Opened;
use crate::units::{Extent, Now, Way};

/// An error number of Linux.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Errno(pub i32);

impl Errno {
    /// Would block.
    pub const AGAIN: Self = Self(libc::EAGAIN);
    /// Cancelled on demand.
    pub const CANCELED: Self = Self(libc::ECANCELED);
    /// No receive buffer is left.
    pub const NOBUFS: Self = Self(libc::ENOBUFS);
    /// Reset by the peer.
    pub const CONNRESET: Self = Self(libc::ECONNRESET);
    /// A page of a mapping is beyond the file's end, or the disk failed under it.
    pub const FAULT: Self = Self(libc::EFAULT);
    /// The disk failed.
    pub const IO: Self = Self(libc::EIO);

    /// Whether a read that ended so may succeed later: it says nothing against the file.
    #[must_use]
    pub fn passes(self) -> bool {
        use libc::{EAGAIN, ECANCELED, EINTR, EMFILE, ENFILE, ENOBUFS, ENOMEM, ESTALE};
        let passing = [EAGAIN, ECANCELED, EINTR, EMFILE, ENFILE, ENOBUFS, ENOMEM, ESTALE];
        passing.contains(&self.0)
    }
}

/// Which connection an operation belongs to: its place in the shard's table, below `OWNERS_MAX`.
pub type Owner = u32;

/// Owners fit 28 bits of an operation's name.
pub const OWNERS_MAX: u32 = 1 << 28;

/// Operations on a socket. A connection has at most one of each in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// The multishot receive.
    Receive,
    /// A poll for something to read.
    PollIn,
    /// A poll for room to write.
    PollOut,
    /// A send of any kind.
    Send,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Receive, Self::PollIn, Self::PollOut, Self::Send];
}

/// Bytes of a response head, in a buffer that is used again.
#[derive(Debug)]
pub struct HeadBuffer {
    /// Room for the largest head.
    pub bytes: Box<[u8; RESPONSE_HEAD_SIZE_MAX]>,
    /// Which of them are still to be sent.
    pub range: Range<u16>,
}

impl HeadBuffer {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self { bytes: Box::new([0; RESPONSE_HEAD_SIZE_MAX]), range: 0..0 }
    }

    /// What is still to be sent.
    #[must_use]
    pub fn rest(&self) -> &[u8] {
        &self.bytes[usize::from(self.range.start)..usize::from(self.range.end)]
    }

    /// Says that so many bytes were sent.
    pub fn advance(&mut self, size: usize) {
        let size = u16::try_from(size).expect("no more than was left");
        self.range.start += size;
        assert!(self.range.start <= self.range.end, "no more is sent than was given");
    }

    /// Whether everything was sent.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.range.is_empty()
    }
}

impl Default for HeadBuffer {
    fn default() -> Self {
        Self::new()
    }
}

/// Bytes on their way out through one send: a head, a body that other sends may share, or both.
#[derive(Debug, Default)]
pub struct Outgoing {
    /// The head.
    pub head: Option<HeadBuffer>,
    /// The body, or a whole prebuilt response, and which of its bytes are still to be sent.
    pub body: Option<(Rc<[u8]>, Range<usize>)>,
}

impl Outgoing {
    /// How many bytes are still to be sent.
    #[must_use]
    pub fn size(&self) -> usize {
        self.head.as_ref().map_or(0, |head| head.range.len())
            + self.body.as_ref().map_or(0, |(_, range)| range.len())
    }

    /// Says that so many bytes were sent.
    pub fn advance(&mut self, mut size: usize) {
        if let Some(head) = &mut self.head {
            let part = size.min(head.range.len());
            head.advance(part);
            size -= part;
        }
        if let Some((_, range)) = &mut self.body {
            range.start += size;
            assert!(range.start <= range.end, "no more is sent than was given");
        }
    }
}

/// A receive buffer that the kernel filled. It goes back in the turn that it came in.
#[derive(Debug, PartialEq, Eq)]
pub struct Received {
    /// Which buffer.
    pub buffer: u16,
    /// How many bytes; never 0.
    pub size: u32,
}

/// A source whose bytes a zero-copy send uses.
///
/// The lease on it is given back by its place: its number may stand for another place by then.
#[derive(Debug)]
pub struct Loan {
    /// Its place in the catalog, leased.
    pub slot: SourceSlot,
    /// What keeps its mapping.
    pub held: Held,
}

/// What the kernel has done. `more` = the multishot operation goes on.
#[derive(Debug)]
pub enum Completion<S> {
    /// A client came, or accepting ended.
    Accepted {
        /// On which listener.
        listener: u16,
        /// The client.
        result: Result<S, Errno>,
        /// See above.
        more: bool,
    },
    /// Bytes came, or the end (`None`), or an error.
    Received {
        /// For whom.
        owner: Owner,
        /// The bytes.
        result: Result<Option<Received>, Errno>,
        /// See above.
        more: bool,
    },
    /// A poll ended.
    Polled {
        /// Whose.
        owner: Owner,
        /// `PollIn` or `PollOut`.
        operation: Operation,
        /// Whether it found what it waited for.
        result: Result<(), Errno>,
    },
    /// A send ended, and gives back what it held.
    Sent {
        /// Whose.
        owner: Owner,
        /// How many bytes were taken.
        result: Result<usize, Errno>,
        /// What was to be sent, not advanced.
        outgoing: Outgoing,
    },
    /// A zero-copy send was taken; its bytes stay in use until `LetGo`.
    SentZeroCopy {
        /// Whose.
        owner: Owner,
        /// How many bytes were taken.
        result: Result<usize, Errno>,
        /// What it was lent, if no `LetGo` follows to give it back.
        loan: Option<Loan>,
    },
    /// The kernel has let go of the bytes of a zero-copy send.
    LetGo {
        /// Whose.
        owner: Owner,
        /// Whether it had copied them after all.
        copied: bool,
        /// What it was lent.
        loan: Loan,
    },
    /// A read ended.
    Read {
        /// The number that was given with it.
        read: u32,
        /// How many bytes were read.
        result: Result<usize, Errno>,
        /// Its buffer.
        buffer: Vec<u8>,
    },
    /// Something is in the inbox.
    Bell,
}

/// How closely it is looked at what is in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// As closely as is enough where nothing is being read from a disk.
    Sample,
    /// At every page: while a disk is read, pages come in no order, and may be in the page cache
    /// before their bytes are.
    Every,
}

/// Linux, as the driver sees it.
///
/// Queued operations reach the kernel with the next `enter`, and complete in any order, but for
/// each operation the completions come in its own order. Sockets are closed by `close` or `reset`
/// only after every operation on them has completed; a `LetGo` may come after that.
pub trait Kernel {
    /// A connected client.
    type Socket;

    /// Accepts on a listener until it says `more: false`.
    fn accept(&mut self, listener: u16);
    /// Ends that.
    fn cancel_accept(&mut self, listener: u16);
    /// Receives until it says `more: false`.
    fn receive(&mut self, socket: &Self::Socket, owner: Owner);
    /// Waits once for `PollIn` or `PollOut`.
    fn poll(&mut self, socket: &Self::Socket, operation: Operation, owner: Owner);
    /// Sends all of it, if the client lives.
    fn send(&mut self, socket: &Self::Socket, outgoing: Outgoing, owner: Owner);
    /// Sends an extent of a mapping without copying it. The source must be mapped.
    fn send_zero_copy(&mut self, socket: &Self::Socket, loan: Loan, extent: Extent, owner: Owner);
    /// Reads an extent of a file into the buffer, never on the caller's time. The buffer's length
    /// becomes what was read.
    fn read(&mut self, held: &Held, extent: Extent, buffer: Vec<u8>, read: u32);
    /// Ends an operation early, if it is still in flight; it completes in any case.
    fn cancel(&mut self, operation: Operation, owner: Owner);

    /// Takes a client from a listener's queue.
    ///
    /// # Errors
    ///
    /// `AGAIN` when the queue is empty.
    fn accept_now(&mut self, listener: u16) -> Result<Self::Socket, Errno>;
    /// Sends what the socket takes now; `more` = the rest of the response follows at once.
    ///
    /// # Errors
    ///
    /// `AGAIN` when it takes nothing.
    fn send_now(&mut self, socket: &Self::Socket, bytes: &[u8], more: bool)
    -> Result<usize, Errno>;
    /// Sends an extent of a file as far as the socket takes it now. 0 = the file ends before it.
    ///
    /// # Errors
    ///
    /// `AGAIN` when it takes nothing.
    fn send_file(
        &mut self,
        socket: &Self::Socket,
        opened: &Opened,
        extent: Extent,
    ) -> Result<usize, Errno>;
    /// Reads from a file what is in memory.
    ///
    /// # Errors
    ///
    /// `AGAIN` when the first byte is not.
    fn read_now(&mut self, opened: &Opened, offset: u64, into: &mut [u8]) -> Result<usize, Errno>;
    /// How many bytes of the extent, from its start, can be sent without waiting for a disk.
    fn resident(&mut self, opened: &Opened, extent: Extent, look: Look) -> u64;
    /// Keeps partial packets back until `flush`, or no longer. Without it every acknowledgement
    /// that comes while a large body is being queued sends what is there as a packet of its own.
    fn hold_partial_packets(&mut self, socket: &Self::Socket, hold: bool);
    /// Sends the partial packet that is kept back. What follows is kept back again.
    fn flush(&mut self, socket: &Self::Socket);
    /// Says that nothing more will be sent.
    fn finish_sending(&mut self, socket: &Self::Socket);
    /// Closes; what was sent is still delivered.
    fn close(&mut self, socket: Self::Socket);
    /// Closes at once; what is queued is thrown away, and the client sees a reset.
    fn reset(&mut self, socket: Self::Socket);
    /// Closes the listeners. Their accepts have ended.
    fn close_listeners(&mut self);
    /// Sends no faster than so many bytes a second from now on; none = as fast as it goes.
    fn pace(&mut self, socket: &Self::Socket, rate: Option<u64>);
    /// What is known of the way to the client, if anything is.
    fn way(&mut self, socket: &Self::Socket) -> Option<Way>;
    /// Bytes that were handed over and that the client has not confirmed.
    fn unconfirmed(&mut self, socket: &Self::Socket) -> u64;
    /// The client's address.
    fn peer(&self, socket: &Self::Socket) -> Option<IpAddr>;

    /// The time.
    fn now(&mut self) -> Now;
    /// Submits what is queued and waits for a completion, at most so long (`None` = for ever).
    ///
    /// # Errors
    ///
    /// Only what cannot be mended: the ring is gone.
    fn enter(&mut self, wait_ms: Option<u64>) -> Result<(), Errno>;
    /// Submits what is queued, so that it does not wait for what the turn does next.
    fn submit(&mut self);
    /// The next completion of this turn.
    fn completion(&mut self) -> Option<Completion<Self::Socket>>;
    /// The bytes of a receive buffer.
    fn received(&self, received: &Received) -> &[u8];
    /// Gives a receive buffer back to the kernel.
    fn give_back(&mut self, received: Received);
}
