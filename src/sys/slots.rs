//! What operations in flight own: one slot an operation, at an address that does not move.
//!
//! Contract: a slot is filled before its operation is queued and emptied only by the operation's
//! last completion. The kernel reads `message` and what it points to in between.

use std::ptr;

use crate::catalog::Held;
use crate::shard::kernel::{Loan, Outgoing};

/// A send: its bytes, and the kernel's description of them.
#[derive(Debug)]
pub struct SendSlot {
    pub(super) outgoing: Outgoing,
    message: libc::msghdr,
    parts: [libc::iovec; 2],
}

/// What the kernel is given of a send.
#[derive(Debug)]
pub enum Prepared {
    /// One piece.
    Bytes(*const u8, u32),
    /// Head and body.
    Message(*const libc::msghdr),
}

impl SendSlot {
    fn new() -> Box<Self> {
        let part = libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 };
        // SAFETY: a plain C struct for which zeros are valid values (null, empty).
        let message = unsafe { std::mem::zeroed() };
        Box::new(Self { outgoing: Outgoing::default(), message, parts: [part; 2] })
    }

    /// Fills the slot, and says what to give to the kernel.
    fn prepare(&mut self, outgoing: Outgoing) -> Prepared {
        self.outgoing = outgoing;
        let head = self.outgoing.head.as_ref().map_or(&[][..], |head| head.rest());
        let body = self
            .outgoing
            .body
            .as_ref()
            .map_or(&[][..], |(bytes, range)| &bytes[range.start..range.end]);
        let size = |bytes: &[u8]| u32::try_from(bytes.len()).expect("a small response");
        if body.is_empty() {
            return Prepared::Bytes(head.as_ptr(), size(head));
        }
        if head.is_empty() {
            return Prepared::Bytes(body.as_ptr(), size(body));
        }
        for (part, bytes) in self.parts.iter_mut().zip([head, body]) {
            *part =
                libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
        }
        self.message.msg_iov = self.parts.as_mut_ptr();
        self.message.msg_iovlen = 2;
        Prepared::Message(ptr::addr_of!(self.message))
    }
}

/// What an operation that is not a send owns.
#[derive(Debug)]
pub enum OtherSlot {
    /// What a zero-copy send was lent.
    ZeroCopy(Loan),
    /// A read's source and buffer, and the number the driver gave it.
    Read(Held, Vec<u8>, u32),
    /// The eight bytes an eventfd's count is read into.
    Bell(Box<[u8; 8]>),
}

/// All slots of a ring.
#[derive(Debug, Default)]
#[expect(clippy::vec_box, reason = "the kernel holds addresses of slots")]
pub struct Slots {
    sends: Vec<Box<SendSlot>>,
    sends_free: Vec<u32>,
    others: Vec<Option<OtherSlot>>,
    others_free: Vec<u32>,
}

impl Slots {
    /// Keeps a send until `sent`.
    pub fn send(&mut self, outgoing: Outgoing) -> (u32, Prepared) {
        let place = self.sends_free.pop().unwrap_or_else(|| {
            self.sends.push(SendSlot::new());
            u32::try_from(self.sends.len() - 1).expect("fewer than 2^32 sends")
        });
        (place, self.sends[place as usize].prepare(outgoing))
    }

    /// Gives a send back.
    pub fn sent(&mut self, place: u32) -> Outgoing {
        self.sends_free.push(place);
        std::mem::take(&mut self.sends[place as usize].outgoing)
    }

    /// Keeps something else.
    pub fn keep(&mut self, slot: OtherSlot) -> u32 {
        if let Some(place) = self.others_free.pop() {
            self.others[place as usize] = Some(slot);
            return place;
        }
        self.others.push(Some(slot));
        u32::try_from(self.others.len() - 1).expect("fewer than 2^32 operations")
    }

    /// Gives it back.
    pub fn take(&mut self, place: u32) -> OtherSlot {
        self.others_free.push(place);
        self.others[place as usize].take().expect("an operation completes once")
    }
}
