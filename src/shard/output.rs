//! Large bodies: heads and extents by direct calls, in turns, as far as each socket takes them.

use std::rc::Rc;

use super::Shard;
use super::connection::{Ending, Phase};
use super::exchange::{Frame, State, Work};
use super::kernel::{Errno, Kernel, Loan, Operation};
use super::respond::{class_of, status_of, stretch};
use crate::catalog::{Catalog, SourceSlot};
use crate::config::{
    Backend, SENDFILE_SIZE_MAX, SMALL_BODY_SIZE_MAX, TURN_BYTES_MAX, ZERO_COPY_SENDS_MAX,
};
use crate::messages::mail::Inbox;
use crate::messages::{Fault, Payload, Reel, ToLibrary};
use crate::request::head;
use crate::request::locate::ObjectKey;
use crate::request::plan::{Content, Part};
use crate::request::refusal::Refusal;
use crate::units::Extent;

/// Zero-copy sends that are looked at before a listener's backend is judged.
const JUDGED_AFTER: u32 = 8;

/// What a step costs of a turn's bytes at least.
const STEP_COST: usize = 4096;

/// What one step of sending came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stepped {
    /// Bytes went out; there may be more.
    Sent,
    /// The socket takes nothing now.
    Blocked,
    /// The exchange waits for something else, and will be woken.
    Waiting,
    /// The response is whole.
    Finished,
    /// It can't be continued: the client must see that.
    Broken,
    /// It would have to wait for a disk, and the queue for that is full.
    Full,
}

impl<K: Kernel, I: Inbox> Shard<K, I> {
    /// Lets those that may send, send: each one call at a time, all of them so much a turn.
    pub(super) fn send_ready(&mut self) {
        let mut budget = TURN_BYTES_MAX;
        // Who becomes ready meanwhile goes to the end, and may have its turn in this one.
        while budget > 0 {
            let Some(waiter) = self.ready.pop_front() else { return };
            let Some(exchange) = self.waiting(waiter) else { continue };
            if exchange.state != State::Ready {
                continue;
            }
            let place = waiter.exchange;
            let owner = exchange.owner;
            let before = self.counters.sent_bytes;
            let stepped = self.send_step(owner, place);
            // What went out counts, also if the socket then took no more; and a call costs
            // something even if it sends little.
            let sent = (self.counters.sent_bytes - before) as usize;
            budget = budget.saturating_sub(sent.max(STEP_COST));
            match stepped {
                Stepped::Sent => self.ready.push_back(waiter),
                Stepped::Blocked => {
                    self.exchanges[place].state = State::Blocked;
                    self.note_wait(owner, place);
                    self.poll_out(owner);
                }
                Stepped::Waiting => {}
                Stepped::Finished => self.finish_exchange(owner, place),
                Stepped::Broken => self.close(owner, Ending::Reset),
                Stepped::Full => self.give_up_object(place, Refusal::Busy),
            }
        }
    }

    /// One call for one exchange.
    fn send_step(&mut self, owner: u32, place: u32) -> Stepped {
        if let Some(stepped) = self.hold_head_back(place) {
            return stepped;
        }
        if self.exchanges[place].head.is_some() {
            return self.send_head(owner, place);
        }
        match self.exchanges[place].work {
            Work::Object { .. } => self.send_object(owner, place),
            Work::Growing { .. } => self.send_growing(owner, place),
            Work::Answer { .. } => self.send_answer_body(owner, place),
            Work::Ask { .. } => Stepped::Waiting,
        }
    }

    /// A head is not sent before the first chunk of its body is in memory.
    fn hold_head_back(&mut self, place: u32) -> Option<Stepped> {
        let exchange = &self.exchanges[place];
        let Work::Object { key, resident: 0, at, end, .. } = exchange.work else { return None };
        if self.catalog.is_torn(key.source) {
            return Some(Stepped::Broken);
        }
        if at == end { None } else { self.unless_resident(place) }
    }

    pub(super) fn send_head(&mut self, owner: u32, place: u32) -> Stepped {
        let exchange = &mut self.exchanges[place];
        let more = has_more(&exchange.work);
        let Some(socket) = &self.connections[owner].socket else { return Stepped::Broken };
        let buffer = exchange.head.as_mut().expect("there is a head");
        match self.kernel.send_now(socket, buffer.rest(), more) {
            Ok(size) => {
                self.counters.sent_bytes += size as u64;
                buffer.advance(size);
                if !buffer.is_empty() {
                    return Stepped::Blocked;
                }
                let buffer = exchange.head.take().expect("there is a head");
                self.keep_head_buffer(buffer);
                // The body follows in the same step, so that both share a packet.
                if more { self.send_step(owner, place) } else { Stepped::Sent }
            }
            Err(Errno::AGAIN) => Stepped::Blocked,
            Err(_) => Stepped::Broken,
        }
    }

    fn send_object(&mut self, owner: u32, place: u32) -> Stepped {
        let exchange = &self.exchanges[place];
        let Work::Object { key, at, end, .. } = exchange.work else { return Stepped::Broken };
        if at == end {
            return self.next_part(owner, place);
        }
        if self.catalog.is_torn(key.source) {
            return Stepped::Broken;
        }
        if let Some(stepped) = self.unless_resident(place) {
            return stepped;
        }
        let Work::Object { resident, .. } = self.exchanges[place].work else {
            return Stepped::Broken;
        };
        let size = (end - at).min(resident).min(SENDFILE_SIZE_MAX as u64);
        self.send_extent(owner, place, key, Extent { offset: at, size })
    }

    /// Sends an extent by the listener's backend, or from the heap.
    fn send_extent(&mut self, owner: u32, place: u32, key: ObjectKey, extent: Extent) -> Stepped {
        let held = self.catalog.opened(key.source);
        let connection = &mut self.connections[owner];
        let Some(socket) = &connection.socket else { return Stepped::Broken };
        let result = match (held.in_memory(extent), &held.payload) {
            (Some(bytes), _) => {
                let result = self.kernel.send_now(socket, bytes, false);
                self.counters.body_copied_bytes += *result.as_ref().unwrap_or(&0) as u64;
                result
            }
            (None, Payload::Heap(_)) => unreachable!("an extent lies within its payload"),
            (None, Payload::Reel(reel)) => {
                let Some(bytes) = piece(&self.catalog, (key.source, reel), extent) else {
                    // It went, for want of room, since it was looked at.
                    self.exchanges[place].is_to_look();
                    return Stepped::Sent;
                };
                let result = self.kernel.send_now(socket, bytes, false);
                self.counters.body_copied_bytes += *result.as_ref().unwrap_or(&0) as u64;
                result
            }
            (None, Payload::File(file)) => {
                let backend = self.listeners[usize::from(connection.listener)].backend;
                if backend == Backend::SendZeroCopy
                    && file.map.is_some()
                    && extent.size > SMALL_BODY_SIZE_MAX as u64
                {
                    if connection.flight.let_gos >= ZERO_COPY_SENDS_MAX {
                        self.exchanges[place].state = State::Sending;
                        self.note_wait(owner, place);
                        return Stepped::Waiting;
                    }
                    connection.flight.begin(Operation::Send);
                    let loan = Loan { slot: key.source, held: Rc::clone(held) };
                    self.kernel.send_zero_copy(socket, loan, extent, owner);
                    // Until the kernel has let go of the bytes, whatever becomes of the exchange.
                    self.catalog.lease(key.source);
                    self.exchanges[place].state = State::Sending;
                    self.note_wait(owner, place);
                    return Stepped::Waiting;
                }
                self.kernel.send_file(socket, held, extent)
            }
        };
        match result {
            Ok(0) => {
                self.find_fault(key.source, Fault::Truncated);
                Stepped::Broken
            }
            Ok(size) => {
                self.sent_body(place, size);
                match self.exchanges[place].work {
                    Work::Object { at, end, .. } if at == end => self.next_part(owner, place),
                    _ if size as u64 == extent.size => Stepped::Sent,
                    _ => Stepped::Blocked,
                }
            }
            Err(Errno::AGAIN) => Stepped::Blocked,
            Err(errno @ (Errno::IO | Errno::FAULT)) => {
                self.find_fault(key.source, Fault::Unreadable(errno.0));
                Stepped::Broken
            }
            Err(_) => Stepped::Broken,
        }
    }

    /// Bytes of an object's body were taken.
    fn sent_body(&mut self, place: u32, size: usize) {
        let exchange = &mut self.exchanges[place];
        exchange.sent += size as u64;
        self.counters.sent_bytes += size as u64;
        if let Work::Object { at, resident, attempts, .. } = &mut exchange.work {
            *at += size as u64;
            *resident -= size as u64;
            *attempts = 0;
        }
    }

    /// Makes a connection's socket keep partial packets back, or no longer.
    pub(super) fn hold_partial_packets(&mut self, owner: u32, hold: bool) {
        let connection = &mut self.connections[owner];
        if connection.holds != hold
            && let Some(socket) = &connection.socket
        {
            connection.holds = hold;
            self.kernel.hold_partial_packets(socket, hold);
        }
    }

    /// A stretch is out: the next range, what stands after the last one, or the end.
    fn next_part(&mut self, owner: u32, place: u32) -> Stepped {
        let Work::Object { plan, key, parts, .. } = self.exchanges[place].work else {
            return Stepped::Broken;
        };
        let Content::Object { variant, part: Part::Ranges(ranges), .. } = plan.content else {
            return Stepped::Finished;
        };
        let count = ranges.as_slice().len();
        if usize::from(parts) > count {
            return Stepped::Finished;
        }
        let mut buffer = self.head_buffer();
        let out = &mut buffer.bytes[..];
        let size = if let Some(&range) = ranges.as_slice().get(usize::from(parts)) {
            let media_type = self.catalog.entry(key).media_type();
            head::write_part(range, variant.extent.size, media_type, false, out)
        } else {
            head::write_end(out)
        };
        buffer.range = 0..u16::try_from(size).expect("a part's head fits its buffer");
        let exchange = &mut self.exchanges[place];
        exchange.head = Some(buffer);
        if let Work::Object { at, end, parts, resident, .. } = &mut exchange.work {
            match stretch(&plan, *parts) {
                Some((first, last, begun)) => {
                    (*at, *end, *parts, *resident) = (first, last, begun, 0)
                }
                None => *parts += 1,
            }
        }
        self.send_step(owner, place)
    }

    /// A source can't be read: it is served no more, and the library is told.
    pub(super) fn find_fault(&mut self, slot: SourceSlot, fault: Fault) {
        self.counters.faults += 1;
        let source = self.catalog.mark_faulty(slot);
        self.to_library.push_back(ToLibrary::Faulty { source, fault });
    }

    fn send_answer_body(&mut self, owner: u32, place: u32) -> Stepped {
        let exchange = &mut self.exchanges[place];
        let Work::Answer { response, with_body, at, .. } = &mut exchange.work else {
            return Stepped::Broken;
        };
        let rest = &response.body[*at..];
        if !*with_body || rest.is_empty() {
            return Stepped::Finished;
        }
        let rest = &rest[..rest.len().min(SENDFILE_SIZE_MAX)];
        let Some(socket) = &self.connections[owner].socket else { return Stepped::Broken };
        match self.kernel.send_now(socket, rest, false) {
            Ok(size) => {
                *at += size;
                exchange.sent += size as u64;
                self.counters.sent_bytes += size as u64;
                self.counters.body_copied_bytes += size as u64;
                if size < rest.len() { Stepped::Blocked } else { Stepped::Sent }
            }
            Err(Errno::AGAIN) => Stepped::Blocked,
            Err(_) => Stepped::Broken,
        }
    }

    fn finish_exchange(&mut self, owner: u32, place: u32) {
        if let Work::Object { plan, .. } | Work::Growing { plan, .. } = self.exchanges[place].work {
            self.note_fetched(&plan);
        }
        let exchange = &self.exchanges[place];
        let (class, status) = (class_of(&exchange.work), status_of(&exchange.work));
        let last = exchange.is_last() || self.draining.is_some();
        self.counters.finished(class, status, self.now.nanos - exchange.started);
        self.log_end(owner, false);
        let connection = &self.connections[owner];
        if connection.holds
            && let Some(socket) = &connection.socket
        {
            self.kernel.flush(socket);
        }
        // Zero-copy sends may still be in flight; the kernel's slots hold their bytes.
        self.drop_exchange(owner);
        self.go_on(owner, last);
    }

    pub(super) fn handle_polled(
        &mut self,
        owner: u32,
        operation: Operation,
        result: Result<(), Errno>,
    ) {
        let connection = &mut self.connections[owner];
        connection.flight.end(operation);
        if connection.closing.is_some() {
            self.settle(owner);
        } else if operation == Operation::PollIn {
            match result {
                Ok(()) | Err(Errno::CANCELED) => self.receive(owner),
                Err(_) => self.close(owner, Ending::Reset),
            }
        } else if result.is_err() {
            self.close(owner, Ending::Reset);
        } else if let Phase::Exchange(place) = connection.phase
            && self.exchanges[place].state == State::Blocked
        {
            self.make_ready(place);
        }
    }

    pub(super) fn handle_sent_zero_copy(
        &mut self,
        owner: u32,
        result: Result<usize, Errno>,
        loan: Option<Loan>,
    ) {
        let connection = &mut self.connections[owner];
        connection.flight.end(Operation::Send);
        match loan {
            Some(loan) => self.give_back_loan(&loan),
            None => connection.flight.let_gos += 1,
        }
        let connection = &mut self.connections[owner];
        if connection.closing.is_some() {
            self.counters.sent_bytes += result.unwrap_or(0) as u64;
            self.settle(owner);
            return;
        }
        let Phase::Exchange(place) = connection.phase else {
            unreachable!("a zero-copy send belongs to an exchange")
        };
        match result {
            Ok(size) if size > 0 => {
                self.sent_body(place, size);
                self.make_ready(place);
            }
            Ok(_) | Err(Errno::FAULT | Errno::IO) => {
                if let Work::Object { key, .. } = self.exchanges[place].work {
                    self.find_fault(key.source, Fault::Unreadable(Errno::FAULT.0));
                }
                self.close(owner, Ending::Reset);
            }
            Err(Errno(libc::ENOMEM | libc::ENOBUFS | libc::EOPNOTSUPP)) => {
                // No room to pin pages, or no such device: the other backend always works.
                let listener = usize::from(self.connections[owner].listener);
                self.listeners[listener].backend = Backend::Sendfile;
                self.make_ready(place);
            }
            Err(_) => self.close(owner, Ending::Reset),
        }
    }

    /// Gives back the lease of a zero-copy send.
    fn give_back_loan(&mut self, loan: &Loan) {
        if let Some(source) = self.catalog.give_back(loan.slot) {
            self.let_go(source);
        }
    }

    /// A notification tells whether the kernel had to copy; a listener where it mostly does so
    /// (loopback, veth, packet taps) goes back to sendfile.
    pub(super) fn handle_let_go(&mut self, owner: u32, copied: bool, loan: &Loan) {
        self.give_back_loan(loan);
        let connection = &mut self.connections[owner];
        connection.flight.let_gos -= 1;
        let listener = &mut self.listeners[usize::from(connection.listener)];
        listener.let_gos += 1;
        listener.copied += u32::from(copied);
        if listener.let_gos >= JUDGED_AFTER {
            if listener.copied * 2 > listener.let_gos {
                listener.backend = Backend::Sendfile;
            }
            (listener.let_gos, listener.copied) = (0, 0);
        }
        if connection.closing.is_some() {
            self.wait_for_let_go(owner);
            self.settle(owner);
        } else if let Phase::Exchange(place) = connection.phase
            && self.exchanges[place].state == State::Sending
            && !connection.flight.has(Operation::Send)
        {
            self.make_ready(place);
        }
    }
}

/// Bytes of a piece that is there; the extent does not reach beyond it.
fn piece<'c>(
    catalog: &'c Catalog,
    (slot, reel): (SourceSlot, &Reel),
    extent: Extent,
) -> Option<&'c [u8]> {
    let number = reel.at(extent.offset)?;
    let from = extent.offset - reel.extent(number)?.offset;
    let bytes = catalog.piece_of(catalog.source_at(slot), number)?;
    bytes.get(from as usize..)?.get(..extent.size as usize)
}

/// Whether bytes follow a head at once.
fn has_more(work: &Work) -> bool {
    match work {
        Work::Object { at, end, .. } => at < end,
        Work::Growing { frame, .. } => *frame == Frame::Inside,
        Work::Answer { response, with_body, at, .. } => *with_body && *at < response.body.len(),
        Work::Ask { .. } => false,
    }
}
