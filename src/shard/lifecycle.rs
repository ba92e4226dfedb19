//! Clients come, time out and go: accepting, deadlines, closing, draining.

use super::Shard;
use super::connection::{Connection, Ending, Phase, Via};
use super::exchange::{State, Work};
use super::kernel::{Errno, Kernel, OWNERS_MAX, Operation};
use super::room::is_for_want_of_room;
use super::wheel::tick_of;
use crate::config::{
    ASK_DEADLINE_MS, IDLE_POLL_AFTER_MS, LINGER_ALL_MS, LINGER_MS, SEND_RATE_WINDOW_MS,
    SENDFILE_SIZE_MAX, TIMER_TICK_MS,
};
use crate::messages::mail::Inbox;
use crate::request::plan;
use crate::request::refusal::Refusal;
use crate::units::{KIB, Ticks};

/// How long an idle connection may still bring a request while the server drains: a client that
/// has just written one must not find the door shut.
const DRAIN_IDLE_MS: u64 = 1_000;

/// Deadlines met in one turn: thousands of clients may have come at once, and then their time is
/// up at once, too.
const DEADLINES_MAX: usize = 8;

/// Clients taken from a listener's queue in one go when draining begins.
const DRAIN_ACCEPTS_MAX: usize = 4096;

impl<K: Kernel, I: Inbox> Shard<K, I> {
    /// Begins to accept wherever that ended, and there is room.
    pub(super) fn accept_where_possible(&mut self) {
        if !self.listening || !self.has_room() || self.now.ticks < self.accept_after {
            return;
        }
        for (number, listener) in (0u16..).zip(&mut self.listeners) {
            if !listener.accepting {
                listener.accepting = true;
                self.kernel.accept(number);
            }
        }
    }

    /// Whether every listener accepts, as it should.
    pub(super) fn is_accepting(&self) -> bool {
        !self.listening || self.listeners.iter().all(|listener| listener.accepting)
    }

    pub(super) fn has_room(&self) -> bool {
        let share = self.settings.connections_max / usize::from(self.settings.count.max(1));
        self.connections.count() < share.max(1)
    }

    pub(super) fn handle_accepted(
        &mut self,
        listener: u16,
        result: Result<K::Socket, Errno>,
        more: bool,
    ) {
        if !more {
            // It is armed again next turn, or when a connection has gone (EMFILE, ENOBUFS).
            self.listeners[usize::from(listener)].accepting = false;
            self.close_listeners_when_quiet();
        }
        match result {
            Ok(socket) => {
                self.lacks_descriptors = false;
                self.welcome(socket, listener);
            }
            Err(Errno::CANCELED) => {}
            // EMFILE and its like would come again at once; a connection that goes mends it.
            Err(errno) => {
                self.accept_after = self.now.ticks.plus(TIMER_TICK_MS);
                self.lacks_descriptors |= is_for_want_of_room(errno);
            }
        }
        if more && self.listening && !self.has_room() {
            self.kernel.cancel_accept(listener);
        }
    }

    fn welcome(&mut self, socket: K::Socket, listener: u16) {
        if self.stopped {
            self.kernel.reset(socket);
            return;
        }
        self.counters.connections_total += 1;
        let address = if self.needs_address() { self.kernel.peer(&socket) } else { None };
        let is_proxy = address.is_some_and(|address| self.settings.door.trusted.holds(address));
        // A proxy's connections are many people's.
        let address = address.filter(|_| !is_proxy);
        if let Some(refusal) = address.and_then(|address| self.shut_to(address)) {
            self.counters.refused(refusal);
            match refusal {
                Refusal::Banned => self.kernel.reset(socket),
                _ => self.kernel.close(socket),
            }
            return;
        }
        let listener = u8::try_from(listener).expect("fewer than 256 listeners");
        let mut connection = Connection::new(socket, listener, self.now.ticks);
        if is_proxy {
            connection.via = Via::Silent;
        } else if address.is_some() {
            connection.set_peer(address);
        }
        let owner = self.connections.insert(connection);
        assert!(owner < OWNERS_MAX, "descriptors run out long before");
        if let Some(address) = address {
            self.count_address(owner, address);
        }
        self.receive(owner);
        self.set_deadline(owner, self.now.ticks.plus(IDLE_POLL_AFTER_MS));
    }

    /// Receives, if nothing does so already.
    pub(super) fn receive(&mut self, owner: u32) {
        let connection = &mut self.connections[owner];
        if connection.ended || connection.closing.is_some() {
            return;
        }
        if connection.flight.has(Operation::Receive) || connection.flight.has(Operation::PollIn) {
            return;
        }
        let Some(socket) = &connection.socket else { return };
        connection.flight.begin(Operation::Receive);
        self.kernel.receive(socket, owner);
    }

    /// Ends an operation early, if it is in flight.
    pub(super) fn cancel(&mut self, owner: u32, operation: Operation) {
        let flight = &mut self.connections[owner].flight;
        if flight.has(operation) && !flight.is_cancelled(operation) {
            flight.cancel(operation);
            self.kernel.cancel(operation, owner);
        }
    }

    /// Waits for room in the socket.
    pub(super) fn poll_out(&mut self, owner: u32) {
        let connection = &mut self.connections[owner];
        if connection.flight.has(Operation::PollOut) {
            return;
        }
        let Some(socket) = &connection.socket else { return };
        connection.flight.begin(Operation::PollOut);
        self.kernel.poll(socket, Operation::PollOut, owner);
    }

    /// Something must happen by then.
    pub(super) fn set_deadline(&mut self, owner: u32, deadline: Ticks) {
        let connection = &mut self.connections[owner];
        connection.deadline = deadline;
        let tick = tick_of(deadline);
        if connection.scheduled == 0 || tick < connection.scheduled {
            connection.scheduled = self.wheel.add(owner, tick);
        }
    }

    pub(super) fn meet_deadlines(&mut self) {
        self.wheel.advance(self.now.ticks, &mut self.due);
        let mut met = 0;
        while met < DEADLINES_MAX
            && let Some((owner, tick)) = self.due.pop_front()
        {
            let Some(connection) = self.connections.get_mut(owner) else { continue };
            if connection.scheduled != tick {
                continue;
            }
            connection.scheduled = 0;
            if connection.deadline > self.now.ticks {
                let deadline = connection.deadline;
                self.set_deadline(owner, deadline);
                continue;
            }
            met += 1;
            if connection.closing.is_some() {
                self.close(owner, Ending::Reset);
            } else {
                self.meet_deadline(owner);
            }
        }
        if let Some(end) = self.draining
            && self.now.ticks >= end
        {
            self.stop();
        }
    }

    /// Resets every connection. The loop ends when the kernel has given up everything of them.
    pub(super) fn stop(&mut self) {
        if self.stopped {
            return;
        }
        self.stopped = true;
        self.listening = false;
        let owners: Vec<u32> = self.connections.used().collect();
        for owner in owners {
            self.close(owner, Ending::Reset);
        }
    }

    fn meet_deadline(&mut self, owner: u32) {
        match self.connections[owner].phase {
            Phase::Idle { since } => self.meet_idle_deadline(owner, since),
            Phase::Head => {
                self.refuse_unread(owner, Refusal::HeadTimeout);
            }
            Phase::Quick(_) => self.close(owner, Ending::Reset),
            Phase::Linger { since, behind, .. } => self.meet_linger_deadline(owner, since, behind),
            Phase::Exchange(exchange) => self.meet_exchange_deadline(owner, exchange),
            Phase::Waiting(_) => self.refuse_waiting(owner, Refusal::TimedOut),
        }
    }

    fn meet_idle_deadline(&mut self, owner: u32, since: Ticks) {
        let timeout = if self.draining.is_some() {
            DRAIN_IDLE_MS
        } else {
            self.settings.limits.idle_timeout_ms
        };
        let end = since.plus(timeout);
        if self.now.ticks >= end {
            self.close(owner, Ending::Close);
            return;
        }
        // A long-idle client costs less kernel memory with a poll than with a receive.
        self.cancel(owner, Operation::Receive);
        self.set_deadline(owner, end);
    }

    /// Waits on for a client that has not read everything and does read (RFC 9112 section 9.6): if
    /// it sends anything after the close, the reset takes along what it has not read.
    fn meet_linger_deadline(&mut self, owner: u32, since: Ticks, before: u32) {
        let behind = self.behind(owner);
        if behind == 0 || self.draining.is_some() {
            self.close(owner, Ending::Close);
            return;
        }
        let now = self.now.ticks;
        if now >= since.plus(LINGER_ALL_MS) {
            let least = self.least_taken(owner, since).max(1);
            if u64::from(before.saturating_sub(behind)) < least {
                // What is lent would be waited for once more.
                let lends = self.connections[owner].flight.let_gos > 0;
                self.close(owner, if lends { Ending::Reset } else { Ending::Close });
                return;
            }
            if let Phase::Linger { since, behind: before, .. } = &mut self.connections[owner].phase
            {
                (*since, *before) = (now, behind);
            }
        }
        self.set_deadline(owner, now.plus(LINGER_MS));
    }

    /// Bytes that a client must have taken since then, at the least send rate, or at half of what
    /// it is paced to, if that is less.
    fn least_taken(&self, owner: u32, since: Ticks) -> u64 {
        let least = self.settings.limits.send_rate_min;
        let pace = self.connections[owner].pace;
        let paced = pace.map_or(least, |kbps| u64::from(kbps.get()) * 1000 / 8 / 2);
        least.min(paced) * self.now.ticks.since(since) / 1000
    }

    /// Bytes that were sent to a client and that it has not acknowledged.
    fn behind(&mut self, owner: u32) -> u32 {
        let Some(socket) = &self.connections[owner].socket else { return 0 };
        u32::try_from(self.kernel.unconfirmed(socket)).unwrap_or(u32::MAX)
    }

    fn meet_exchange_deadline(&mut self, owner: u32, place: u32) {
        let exchange = &mut self.exchanges[place];
        match exchange.state {
            State::Asked => self.answer_refused(place, Refusal::TimedOut),
            State::Receiving => self.answer_refused(place, Refusal::HeadTimeout),
            State::Over => {}
            State::Cold(_) | State::Unmade => self.give_up_object(place, Refusal::TimedOut),
            State::Growing | State::Ready => self.judge_anew(owner, place),
            State::Blocked | State::Sending => self.judge_rate(owner, place),
        }
    }

    /// Resets a client that has taken less than the least rate since it was looked at last.
    fn judge_rate(&mut self, owner: u32, place: u32) {
        let now = self.now.ticks;
        let Some((since, before)) = self.exchanges[place].window else {
            self.judge_anew(owner, place);
            return;
        };
        let end = since.plus(SEND_RATE_WINDOW_MS);
        let wanted = self.least_taken(owner, since);
        if now < end {
            self.set_deadline(owner, end);
        } else if wanted > 0 && self.taken(owner, place) - before < wanted as i64 {
            // With no least rate, heads that were handed over since are no reason either.
            self.close(owner, Ending::Reset);
        } else {
            self.judge_anew(owner, place);
        }
    }

    /// A client makes us wait: how fast it reads is judged from the first time on.
    pub(super) fn note_wait(&mut self, owner: u32, place: u32) {
        if self.exchanges[place].window.is_none() {
            self.exchanges[place].window = Some((self.now.ticks, self.taken(owner, place)));
        }
    }

    /// How fast a client reads is judged from now on.
    pub(super) fn judge_anew(&mut self, owner: u32, place: u32) {
        let now = self.now.ticks;
        self.exchanges[place].window = Some((now, self.taken(owner, place)));
        self.set_deadline(owner, now.plus(SEND_RATE_WINDOW_MS));
    }

    /// Bytes of a body that the client has acknowledged. How many the kernel has accepted says
    /// nothing of it: that may be megabytes at once, and then none for a minute.
    pub(super) fn taken(&mut self, owner: u32, place: u32) -> i64 {
        self.exchanges[place].sent as i64 - i64::from(self.behind(owner))
    }

    /// The deadline of an exchange that begins to send, or to wait.
    pub(super) fn set_exchange_deadline(&mut self, owner: u32, waits: bool) {
        let ms = if waits { ASK_DEADLINE_MS } else { SEND_RATE_WINDOW_MS };
        let deadline = self.now.ticks.plus(ms);
        self.set_deadline(owner, deadline);
    }

    /// The connection has nothing to do: the next request may come.
    pub(super) fn rest(&mut self, owner: u32) {
        let now = self.now.ticks;
        let connection = &mut self.connections[owner];
        connection.phase = Phase::Idle { since: now };
        if connection.ended {
            self.close(owner, Ending::Close);
            return;
        }
        let ms = if self.draining.is_some() { DRAIN_IDLE_MS } else { IDLE_POLL_AFTER_MS };
        let ms = ms.min(self.settings.limits.idle_timeout_ms);
        self.set_deadline(owner, now.plus(ms));
        self.receive(owner);
    }

    /// The last response is out: say so, and wait for the client to read it or to end its side,
    /// since closing over unread bytes would reset, and the response might be lost.
    pub(super) fn linger(&mut self, owner: u32) {
        self.forget_pending(owner);
        if self.connections[owner].ended {
            self.close(owner, Ending::Close);
            return;
        }
        let behind = self.behind(owner);
        let connection = &mut self.connections[owner];
        connection.phase = Phase::Linger { size: 0, since: self.now.ticks, behind };
        if let Some(socket) = &connection.socket {
            self.kernel.finish_sending(socket);
        }
        self.receive(owner);
        let deadline = self.now.ticks.plus(LINGER_MS);
        self.set_deadline(owner, deadline);
    }

    /// Ends a connection: now if nothing is in flight, else as soon as nothing is.
    pub(super) fn close(&mut self, owner: u32, ending: Ending) {
        let connection = &mut self.connections[owner];
        match (connection.closing, ending) {
            (None, _) => {}
            // It waited for a client that does not take what was sent.
            (Some(Ending::Close), Ending::Reset) => {
                connection.closing = Some(ending);
                self.settle(owner);
                return;
            }
            _ => return,
        }
        connection.closing = Some(ending);
        self.forget_pending(owner);
        if let Some(exchange) = self.connections[owner].exchange() {
            let state = std::mem::replace(&mut self.exchanges[exchange].state, State::Over);
            self.parked_count -= u64::from(state.is_parked());
            self.leave_cold(state);
            self.log_end(owner, true);
        } else if let Some(wait) = self.end_wait(owner) {
            self.log(owner, 0, 0, wait.started, true);
        }
        for operation in Operation::ALL {
            self.cancel(owner, operation);
        }
        self.wait_for_let_go(owner);
        self.settle(owner);
    }

    /// A client that ends has as long for each zero-copy send as the least rate gives it.
    pub(super) fn wait_for_let_go(&mut self, owner: u32) {
        let connection = &self.connections[owner];
        if connection.closing == Some(Ending::Close) && connection.flight.let_gos > 0 {
            let rate = self.settings.limits.send_rate_min.max(KIB as u64);
            let ms = SENDFILE_SIZE_MAX as u64 * 1000 / rate;
            self.set_deadline(owner, self.now.ticks.plus(ms));
        }
    }

    /// Frees a closing connection once nothing is in flight.
    ///
    /// Bytes of zero-copy sends that the client has not taken yet are waited for, in its own time,
    /// if it shall have them. After a reset nobody gets them: the kernel lets go of them because
    /// the socket is gone, so that is closed first.
    pub(super) fn settle(&mut self, owner: u32) {
        let connection = &mut self.connections[owner];
        let Some(ending) = connection.closing else { return };
        if connection.flight.has_operations() {
            return;
        }
        let lends = connection.flight.let_gos > 0;
        if lends && ending == Ending::Close {
            return;
        }
        if let Some(exchange) = connection.exchange() {
            connection.phase = Phase::Head;
            self.free_exchange(exchange);
        }
        if let Some(socket) = self.connections[owner].socket.take() {
            self.forget_address(owner);
            self.accept_after = self.now.ticks;
            match ending {
                Ending::Close => self.kernel.close(socket),
                Ending::Reset => self.kernel.reset(socket),
            }
        }
        if !lends {
            self.connections.remove(owner);
        }
    }

    pub(super) fn forget_address(&mut self, owner: u32) {
        let Some(address) = self.address_of.remove(&owner) else { return };
        if let Some(count) = self.addresses.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                self.addresses.remove(&address);
            }
        }
    }

    /// Takes an exchange out of the table and gives back what it held.
    pub(super) fn free_exchange(&mut self, place: u32) {
        let exchange = self.exchanges.remove(place);
        self.end_pace(&exchange);
        if let Some(head) = exchange.head {
            self.keep_head_buffer(head);
        }
        self.parked_count -= u64::from(exchange.state.is_parked());
        self.leave_cold(exchange.state);
        match exchange.work {
            Work::Object { key, .. } => {
                if let Some(source) = self.catalog.give_back(key.source) {
                    self.let_go(source);
                }
            }
            Work::Growing { slot, .. } => self.catalog.give_back_growing(slot),
            Work::Ask { body, .. } => self.bodies_size -= body.bytes.capacity(),
            Work::Answer { .. } => {}
        }
    }

    /// Begins to drain: no new clients, `deadline_ms` for those that are here.
    pub(super) fn drain(&mut self, deadline_ms: u64) {
        if self.draining.is_some() {
            return;
        }
        self.draining = Some(self.now.ticks.plus(deadline_ms));
        self.listening = false;
        for number in 0..self.listeners.len() {
            let number = u16::try_from(number).expect("fewer than 256 listeners");
            if self.listeners[usize::from(number)].accepting {
                self.kernel.cancel_accept(number);
            }
        }
        self.close_listeners_when_quiet();
        let soon = self.now.ticks.plus(DRAIN_IDLE_MS);
        let owners: Vec<u32> = self.connections.used().collect();
        for owner in owners {
            if let Phase::Idle { .. } = self.connections[owner].phase {
                self.connections[owner].phase = Phase::Idle { since: self.now.ticks };
                self.set_deadline(owner, soon.plus(TIMER_TICK_MS));
            }
        }
    }

    /// Once no accept is in flight, the queues are emptied, and the listeners closed: whoever is in
    /// a queue has a connection as far as he knows.
    pub(super) fn close_listeners_when_quiet(&mut self) {
        if self.draining.is_none() || self.listeners_closed {
            return;
        }
        if self.listeners.iter().any(|listener| listener.accepting) {
            return;
        }
        for number in 0..self.listeners.len() {
            let number = u16::try_from(number).expect("fewer than 256 listeners");
            for _ in 0..DRAIN_ACCEPTS_MAX {
                let Ok(socket) = self.kernel.accept_now(number) else { break };
                self.welcome(socket, number);
            }
        }
        self.kernel.close_listeners();
        self.listeners_closed = true;
    }

    /// Answers bytes that are no request, and ends the connection.
    pub(super) fn refuse_unread(&mut self, owner: u32, refusal: Refusal) {
        self.forget_pending(owner);
        self.respond_without_object(owner, plan::unreadable(refusal));
    }
}
