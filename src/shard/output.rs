//! Large bodies: heads and extents by direct calls, in turns, as far as each socket takes them.

use std::rc::Rc;

use super::Shard;
use super::connection::{Ending, Phase};
use super::exchange::{Frame, State, Waiter, Work};
use super::kernel::{Errno, Kernel, Operation};
use super::respond::{class_of, status_of, stretch};
use crate::catalog::{Held, SourceSlot};
use crate::config::{
    Backend, COLD_CHUNK_SIZE, SENDFILE_SIZE_MAX, SMALL_BODY_SIZE_MAX, TURN_BYTES_MAX,
};
use crate::messages::mail::Inbox;
use crate::messages::{Fault, Payload, Residency, ToLibrary};
use crate::request::head;
use crate::request::locate::ObjectKey;
use crate::request::plan::{Content, Part};
use crate::units::{Extent, PAGE_SIZE};

/// How often a chunk may turn out cold again after it was read, before it is sent all the same.
const COLD_ATTEMPTS_MAX: u8 = 4;

/// Zero-copy sends that are looked at before a listener's backend is judged.
const JUDGED_AFTER: u32 = 8;

/// Zero-copy sends of one connection whose bytes the kernel may still use.
const LET_GOS_MAX: u8 = 16;

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
                    self.poll_out(owner);
                }
                Stepped::Waiting => {}
                Stepped::Finished => self.finish_exchange(owner, place),
                Stepped::Broken => self.close(owner, Ending::Reset),
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
            Work::Wait { .. } | Work::Ask { .. } | Work::Nothing => Stepped::Waiting,
        }
    }

    /// A head is not sent before the first chunk of its body is in memory.
    fn hold_head_back(&mut self, place: u32) -> Option<Stepped> {
        let exchange = &self.exchanges[place];
        let Work::Object { key, resident: 0, at, end, .. } = exchange.work else { return None };
        if self.catalog.is_torn(key.source) {
            return Some(Stepped::Broken);
        }
        (at < end && !self.is_resident(place)).then_some(Stepped::Waiting)
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
        if !self.is_resident(place) {
            return Stepped::Waiting;
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
        let result = match &held.payload {
            Payload::Heap(bytes) => {
                let start = extent.offset as usize;
                let result = self.kernel.send_now(
                    socket,
                    &bytes[start..start + extent.size as usize],
                    false,
                );
                self.counters.body_copied_bytes += *result.as_ref().unwrap_or(&0) as u64;
                result
            }
            Payload::File(file) => {
                let backend = self.listeners[usize::from(connection.listener)].backend;
                if backend == Backend::SendZeroCopy
                    && file.map.is_some()
                    && extent.size > SMALL_BODY_SIZE_MAX as u64
                {
                    if connection.flight.let_gos >= LET_GOS_MAX {
                        self.exchanges[place].state = State::Sending;
                        return Stepped::Waiting;
                    }
                    connection.flight.begin(Operation::Send);
                    self.kernel.send_zero_copy(socket, held, extent, owner);
                    // Until the kernel has let go of the bytes, whatever becomes of the exchange.
                    self.catalog.lease(key.source);
                    self.exchanges[place].state = State::Sending;
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

    /// Whether the next byte can be sent without waiting for a disk; if not, the exchange waits.
    fn is_resident(&mut self, place: u32) -> bool {
        let exchange = &mut self.exchanges[place];
        let waiter = Waiter { exchange: place, generation: exchange.generation };
        let Work::Object { key, at, end, resident, attempts, cold, .. } = &mut exchange.work else {
            return true;
        };
        if *resident > 0 {
            return true;
        }
        let slot = key.source;
        let held = self.catalog.opened(slot);
        let Payload::File(file) = &held.payload else {
            *resident = *end - *at;
            return true;
        };
        let size = (*end - *at).min(SENDFILE_SIZE_MAX as u64);
        let extent = Extent { offset: *at, size };
        if self.recent.knows(held.source, extent, self.now.ticks) {
            *resident = size;
            return true;
        }
        *resident = self.kernel.resident(held, extent).min(size);
        if *resident == size {
            self.recent.note(held.source, extent, self.now.ticks);
        }
        if *resident == 0 && *attempts > 0 && file.residency == Residency::Unknown {
            // Its chunk has just been read; more than that nobody can know here.
            *resident = size.min(COLD_CHUNK_SIZE as u64 - *at % COLD_CHUNK_SIZE as u64);
        } else if *resident == 0 && *attempts >= COLD_ATTEMPTS_MAX {
            // It was read several times and is gone again: memory is short. Get on, a page at
            // least; the alternative is a client that never gets its segment.
            *resident = size.min(PAGE_SIZE as u64);
        }
        let held = Rc::clone(held);
        if *resident > 0 {
            if *cold {
                // Somebody reads a cold object from its start: fetch what follows, and at its end
                // the object that lies behind it, which is the next segment of the rendition.
                let next = (*at + *resident).min(file_end(file.size));
                let is_there = self.kernel.resident(&held, Extent { offset: next, size: 1 }) > 0;
                if !is_there && self.cold.ahead(&mut self.kernel, (slot, &held), next) {
                    self.catalog.lease(slot);
                }
            }
            return true;
        }
        *attempts += 1;
        *cold = true;
        self.recent.distrust(self.now.ticks);
        let at = *at;
        exchange.state = State::Cold;
        if self.cold.wait(&mut self.kernel, (slot, &held), at, waiter) {
            self.catalog.lease(slot);
        }
        false
    }

    pub(super) fn handle_read(&mut self, read: u32, result: Result<usize, Errno>, buffer: Vec<u8>) {
        let size = *result.as_ref().unwrap_or(&0);
        let came = self.cold.came(&mut self.kernel, read, size, buffer);
        let body = came.buffer;
        let fault = match result {
            Ok(_) if came.is_short => Some(Fault::Truncated),
            Ok(_) => None,
            Err(errno) => Some(Fault::Unreadable(errno.0)),
        };
        let mut is_told = false;
        for waiter in came.waiters {
            let Some(exchange) = self.waiting(waiter) else { continue };
            if exchange.state != State::Cold {
                continue;
            }
            let owner = exchange.owner;
            if let Some(fault) = fault {
                if !std::mem::replace(&mut is_told, true) {
                    self.find_fault(came.slot, fault);
                }
                self.close(owner, Ending::Reset);
            } else if exchange.head.is_none() && exchange.sent == 0 {
                self.answer_small(owner, &body);
            } else {
                self.make_ready(waiter.exchange);
            }
        }
        self.cold.keep(body);
        if let Some(source) = self.catalog.give_back(came.slot) {
            self.let_go(source);
        }
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
        held: Option<Held>,
    ) {
        let connection = &mut self.connections[owner];
        connection.flight.end(Operation::Send);
        match held {
            Some(held) => self.give_back_held(&held),
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
    fn give_back_held(&mut self, held: &Held) {
        if let Some(slot) = self.catalog.slot_of(held.source)
            && let Some(source) = self.catalog.give_back(slot)
        {
            self.let_go(source);
        }
    }

    /// A notification tells whether the kernel had to copy; a listener where it mostly does so
    /// (loopback, veth, packet taps) goes back to sendfile.
    pub(super) fn handle_let_go(&mut self, owner: u32, copied: bool, held: &Held) {
        self.give_back_held(held);
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

/// Whether bytes follow a head at once.
fn has_more(work: &Work) -> bool {
    match work {
        Work::Object { at, end, .. } => at < end,
        Work::Growing { frame, .. } => *frame == Frame::Inside,
        Work::Answer { response, with_body, at, .. } => *with_body && *at < response.body.len(),
        Work::Wait { .. } | Work::Ask { .. } | Work::Nothing => false,
    }
}

/// The last page that holds payload ends here, as far as reading ahead is concerned.
fn file_end(size: u64) -> u64 {
    size.saturating_sub(1)
}
