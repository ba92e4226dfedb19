//! Waiting for a disk: which bytes are in memory, and what becomes of those who need others.
//!
//! A shard never waits itself: what is cold is read by a worker of the kernel (`cold`), and the
//! exchange goes on when it has come. An exchange waits for a limited time, in a queue of limited
//! length.

use std::rc::Rc;

use super::Shard;
use super::cold::{Waits, Wanted};
use super::connection::Ending;
use super::exchange::{State, Waiter, Work};
use super::kernel::{Errno, Kernel, Look};
use super::output::Stepped;
use super::respond::Small;
use crate::catalog::SourceSlot;
use crate::config::{COLD_CHUNK_SIZE, COLD_DEADLINE_MS, SENDFILE_SIZE_MAX};
use crate::messages::mail::Inbox;
use crate::messages::{Fault, Residency};
use crate::request::plan;
use crate::request::refusal::Refusal;
use crate::units::{Extent, PAGE_SIZE};

/// How often a chunk may turn out cold again after it was read, before it is sent all the same.
const COLD_ATTEMPTS_MAX: u8 = 4;

impl<K: Kernel, I: Inbox> Shard<K, I> {
    /// What becomes of the exchange if its next byte can't be sent without waiting for a disk; none
    /// if it can.
    pub(super) fn unless_resident(&mut self, place: u32) -> Option<Stepped> {
        let exchange = &mut self.exchanges[place];
        let waiter = Waiter { exchange: place, generation: exchange.generation };
        let Work::Object { key, at, end, resident, attempts, cold, .. } = &mut exchange.work else {
            return None;
        };
        if *resident > 0 {
            return None;
        }
        let slot = key.source;
        let held = self.catalog.opened(slot);
        let left = Extent { offset: *at, size: *end - *at };
        let Some(file) = held.file_of(left) else {
            return self.unless_made(place);
        };
        let chunk_size = COLD_CHUNK_SIZE as u64;
        let of_chunk = (*end - *at).min(chunk_size - *at % chunk_size);
        let is_just_read = *attempts > 0;
        let (size, look) = match self.recent.look(self.now.ticks) {
            Look::Sample => ((*end - *at).min(SENDFILE_SIZE_MAX as u64), Look::Sample),
            // All of it was there a moment ago, and where nothing is left the sample shows it.
            Look::Every if is_just_read => (of_chunk, Look::Sample),
            Look::Every => (of_chunk, Look::Every),
        };
        let extent = Extent { offset: *at, size };
        if self.recent.knows(held.source, extent, self.now.ticks) {
            *resident = size;
            return None;
        }
        *resident = self.kernel.resident(held, extent, look).min(size);
        if *resident == size {
            self.recent.note(held.source, extent, self.now.ticks);
        }
        if *resident == 0 && is_just_read && file.residency == Residency::Unknown {
            // More than that nobody can know here.
            *resident = of_chunk;
        } else if *resident == 0 && *attempts >= COLD_ATTEMPTS_MAX {
            // It was read several times and is gone again: memory is short. A page is sent all the
            // same; the alternative is a client that never gets its segment.
            *resident = size.min(PAGE_SIZE as u64);
        }
        let held = Rc::clone(held);
        if *resident > 0 {
            if *cold {
                // Somebody reads a cold object from its start: fetch what follows, and at its end
                // the object that lies behind it, which is the next segment of the rendition.
                let end = held.payload_end().unwrap_or(file.size);
                let next = (*at + *resident).min(file_end(end));
                let first = Extent { offset: next, size: 1 };
                let is_there = self.kernel.resident(&held, first, Look::Sample) > 0;
                if !is_there && self.cold.ahead(&mut self.kernel, (slot, &held), next) {
                    self.catalog.lease(slot);
                }
            }
            return None;
        }
        *attempts += 1;
        *cold = true;
        self.recent.distrust(self.now.ticks);
        let (at, owner) = (*at, exchange.owner);
        let waits = Waits { waiter, is_under_way: exchange.sent > 0 };
        let from = (slot, &held);
        let wanted = self.cold.wait(&mut self.kernel, from, at, waits, &self.exchanges);
        let Some(wanted) = wanted else { return Some(Stepped::Full) };
        self.wait_for_chunk(owner, place, slot, wanted);
        Some(Stepped::Waiting)
    }

    /// Waits until a worker of the kernel has read a small object.
    pub(super) fn wait_for_small(&mut self, owner: u32, small: &Small<'_>) {
        self.recent.distrust(self.now.ticks);
        let slot = small.key.source;
        self.catalog.lease(slot);
        let extent = Extent { offset: small.offset, size: small.size as u64 };
        let work = Work::Object {
            plan: *small.plan,
            key: small.key,
            at: extent.offset,
            end: extent.offset + extent.size,
            parts: 0,
            resident: 0,
            attempts: 0,
            cold: true,
        };
        let exchange = self.begin_exchange(owner, State::Ready, work);
        let generation = self.exchanges[exchange].generation;
        let held = Rc::clone(self.catalog.opened(slot));
        let waits = Waits { waiter: Waiter { exchange, generation }, is_under_way: false };
        let from = (slot, &held);
        match self.cold.wait_for(&mut self.kernel, from, extent, waits, &self.exchanges) {
            Some(wanted) => self.wait_for_chunk(owner, exchange, slot, wanted),
            None => self.give_up_object(exchange, Refusal::Busy),
        }
    }

    fn wait_for_chunk(&mut self, owner: u32, place: u32, slot: SourceSlot, wanted: Wanted) {
        if wanted.is_new {
            self.catalog.lease(slot);
        }
        self.exchanges[place].state = State::Cold(wanted.place);
        self.set_deadline(owner, self.now.ticks.plus(COLD_DEADLINE_MS));
    }

    /// An exchange that was in this state does not wait any more: if it waited for a cold chunk, it
    /// leaves those who still do.
    pub(super) fn leave_cold(&mut self, state: State) {
        if let State::Cold(chunk) = state
            && let Some(slot) = self.cold.leave(chunk)
            && let Some(source) = self.catalog.give_back(slot)
        {
            self.let_go(source);
        }
    }

    /// An object can't be had in time: the client is told so if nothing of it was sent yet, and
    /// else reset. A head waits for its first chunk, so where no byte of a body was sent, no byte
    /// of its head was.
    pub(super) fn give_up_object(&mut self, place: u32, refusal: Refusal) {
        let exchange = &self.exchanges[place];
        let (owner, started) = (exchange.owner, exchange.started);
        match exchange.work {
            Work::Object { plan, .. } if exchange.sent == 0 => {
                self.drop_exchange(owner);
                self.respond_without_object(owner, plan::instead(&plan, refusal));
                self.backdate(owner, started);
            }
            _ => self.close(owner, Ending::Reset),
        }
    }

    pub(super) fn handle_read(&mut self, read: u32, result: Result<usize, Errno>, buffer: Vec<u8>) {
        let size = *result.as_ref().unwrap_or(&0);
        let came = self.cold.came(&mut self.kernel, read, size, buffer);
        let body = came.buffer;
        let fault = match result {
            Ok(_) if came.is_short => Some(Fault::Truncated),
            Err(errno) if !errno.passes() => Some(Fault::Unreadable(errno.0)),
            Ok(_) | Err(_) => None,
        };
        let mut is_told = false;
        for waiter in came.waiters {
            let Some(exchange) = self.waiting(waiter) else { continue };
            if exchange.state != State::Cold(read) {
                continue;
            }
            // The chunk's place may be another's by now.
            exchange.state = State::Ready;
            let owner = exchange.owner;
            if let Some(fault) = fault {
                if !std::mem::replace(&mut is_told, true) {
                    self.find_fault(came.slot, fault);
                }
                self.close(owner, Ending::Reset);
            } else if result.is_err() {
                self.give_up_object(waiter.exchange, Refusal::Busy);
            } else if exchange.head.is_none() && exchange.sent == 0 {
                self.answer_small(owner, &body);
            } else {
                // Until now the disk was slow, not the client.
                self.judge_anew(owner, waiter.exchange);
                self.make_ready(waiter.exchange);
            }
        }
        self.cold.keep(body);
        if let Some(source) = self.catalog.give_back(came.slot) {
            self.let_go(source);
        }
    }
}

/// The last page that holds payload ends here, as far as reading ahead is concerned.
fn file_end(size: u64) -> u64 {
    size.saturating_sub(1)
}
