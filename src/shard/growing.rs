//! Growing objects: pieces framed as chunks while more of them arrive (RFC 9112, 7.1).
//!
//! A response to HTTP/1.0 has no chunks; it is ended by closing. An object that is given up ends in
//! a reset without a last chunk, so that no cache keeps a part of it. Of a stream without an end
//! pieces are left out between two chunks, where a client has fallen behind.

use std::rc::Rc;

use super::Shard;
use super::exchange::{Frame, State, Waiter, Work, add_waiter};
use super::kernel::{Errno, Kernel};
use super::output::Stepped;
use crate::catalog::{Held, Piece};
use crate::config::SENDFILE_SIZE_MAX;
use crate::messages::Payload;
use crate::messages::mail::Inbox;
use crate::units::Extent;

/// The longest framing: a size of 16 digits and a line end.
const FRAMING_SIZE_MAX: usize = 18;

/// What a response of a growing object sends next.
enum Next {
    /// Bytes of a piece.
    Bytes(Held, Extent),
    /// What stands between pieces.
    Framing([u8; FRAMING_SIZE_MAX], usize),
    /// Nothing of that kind.
    Step(Stepped),
}

impl<K: Kernel, I: Inbox> Shard<K, I> {
    pub(super) fn send_growing(&mut self, owner: u32, place: u32) -> Stepped {
        match self.next_of_growing(place) {
            Next::Bytes(held, extent) => self.send_piece(owner, place, &held, extent),
            Next::Framing(bytes, size) => self.send_framing(owner, place, &bytes[..size]),
            Next::Step(stepped) => stepped,
        }
    }

    fn next_of_growing(&mut self, place: u32) -> Next {
        let exchange = &mut self.exchanges[place];
        let Work::Growing { plan, slot, pieces, at, frame } = &mut exchange.work else {
            return Next::Step(Stepped::Broken);
        };
        let chunks = plan.chunks;
        loop {
            if *frame == Frame::Between {
                *pieces = self.catalog.next_piece(*slot, *pieces);
            }
            let (held, extent) = match self.catalog.piece(*slot, *pieces) {
                _ if *frame == Frame::Over => return Next::Step(Stepped::Finished),
                Piece::Bytes(held, extent) => (held, extent),
                Piece::Wait => {
                    exchange.state = State::Growing;
                    let waiter = Waiter { exchange: place, generation: exchange.generation };
                    let waiters = self.growing.entry(*slot).or_default();
                    add_waiter(waiters, waiter, &self.exchanges);
                    return Next::Step(Stepped::Waiting);
                }
                Piece::Abort => return Next::Step(Stepped::Broken),
                Piece::End => {
                    *frame = Frame::Over;
                    if chunks {
                        return framing(b"0\r\n\r\n");
                    }
                    continue;
                }
            };
            if *frame == Frame::Between {
                *frame = Frame::Inside;
                if chunks {
                    return framing(format!("{:x}\r\n", extent.size).as_bytes());
                }
            }
            if *at < extent.size {
                let size = (extent.size - *at).min(SENDFILE_SIZE_MAX as u64);
                let rest = Extent { offset: extent.offset + *at, size };
                return Next::Bytes(Rc::clone(held), rest);
            }
            (*pieces, *at, *frame) = (*pieces + 1, 0, Frame::Between);
            if chunks {
                return framing(b"\r\n");
            }
        }
    }

    fn send_piece(&mut self, owner: u32, place: u32, held: &Held, extent: Extent) -> Stepped {
        let Some(socket) = &self.connections[owner].socket else { return Stepped::Broken };
        let result = match &held.payload {
            Payload::Heap(bytes) => {
                let start = extent.offset as usize;
                let bytes = &bytes[start..start + extent.size as usize];
                let result = self.kernel.send_now(socket, bytes, false);
                self.counters.body_copied_bytes += *result.as_ref().unwrap_or(&0) as u64;
                result
            }
            Payload::File(_) => self.kernel.send_file(socket, held, extent),
            Payload::Reel(_) => unreachable!("what grows is there"),
        };
        let size = match result {
            Ok(size) if size > 0 => size,
            Err(Errno::AGAIN) => return Stepped::Blocked,
            Ok(_) | Err(Errno::IO | Errno::FAULT) => {
                self.counters.faults += 1;
                return Stepped::Broken;
            }
            Err(_) => return Stepped::Broken,
        };
        self.counters.sent_bytes += size as u64;
        let exchange = &mut self.exchanges[place];
        exchange.sent += size as u64;
        if let Work::Growing { at, .. } = &mut exchange.work {
            *at += size as u64;
        }
        if (size as u64) < extent.size { Stepped::Blocked } else { Stepped::Sent }
    }

    fn send_framing(&mut self, owner: u32, place: u32, bytes: &[u8]) -> Stepped {
        let mut buffer = self.head_buffer();
        buffer.bytes[..bytes.len()].copy_from_slice(bytes);
        buffer.range = 0..u16::try_from(bytes.len()).expect("framing is short");
        self.exchanges[place].head = Some(buffer);
        self.send_head(owner, place)
    }
}

fn framing(bytes: &[u8]) -> Next {
    let mut framing = [0; FRAMING_SIZE_MAX];
    framing[..bytes.len()].copy_from_slice(bytes);
    Next::Framing(framing, bytes.len())
}
