//! What clients send: receive buffers in, heads found, requests begun.

use super::Shard;
use super::connection::{Ending, Pending, Phase, Via};
use super::exchange::{Exchange, State, Work};
use super::kernel::{Errno, Kernel, Operation, Received};
use super::proxied::said;
use super::refusals::Refusals;
use crate::config::{
    BODIES_SIZE_MAX, EARLY_SIZE_MAX, FLOOD_SIZE_MAX, LINGER_ALL_MS, LINGER_MS, LINGER_SIZE_MAX,
    PIPELINE_SIZE_MAX, TARGET_SIZE_MAX,
};
use crate::messages::Wants;
use crate::messages::mail::Inbox;
use crate::request::body::Receiving;
use crate::request::locate::Place;
use crate::request::parse::{self, BodyFraming};
use crate::request::plan::{self, Plan};
use crate::request::refusal::Refusal;
use crate::request::{Step, View, exchange, slate, steps};
use crate::viewer::{Known, Permit, cmcd};

const GO_ON: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// What the bytes at hand ask for. Owned, so that it outlives the receive buffer.
#[derive(Debug)]
pub(super) enum Wish {
    /// The head is not complete.
    Incomplete,
    /// A response that is planned.
    Response { plan: Plan, size: usize },
    /// A wait. What `parse::kept` keeps of the head is read again.
    Wait { place: Place, permit: Permit, head: Box<[u8]>, size: usize },
    /// A question to control, after the request's body.
    Ask(Question),
}

/// What control is to be asked.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) head: Box<[u8]>,
    framing: BodyFraming,
    wants: Wants,
    expects_continue: bool,
}

/// Reads one request from the start of `bytes`; `shut` is why it is refused whatever it is.
pub(super) fn wish(
    (bytes, shut): (&[u8], Option<Refusal>),
    view: &View<'_>,
    (known, refusals): (&mut Known, &mut Refusals),
    scratch: &mut [u8; TARGET_SIZE_MAX],
) -> Wish {
    let request = match parse::request(bytes) {
        Ok(None) => return Wish::Incomplete,
        Ok(Some(request)) => request,
        Err(refusal) => {
            return Wish::Response { plan: plan::unreadable(refusal), size: bytes.len() };
        }
    };
    let wish = wish_of(&request, (bytes, shut), view, (known, refusals), scratch);
    if request.tells {
        let session = match &wish {
            Wish::Response { plan, .. } => plan.permit.session(),
            Wish::Wait { permit, .. } => permit.session(),
            Wish::Incomplete | Wish::Ask(_) => None,
        };
        let told = cmcd::told(&bytes[..request.size], request.query);
        known.players.hear(session, &told, view.now.ticks);
    }
    wish
}

/// Reads a request again that was read before, when its wait is over.
pub(super) fn wish_again(
    head: &[u8],
    view: &View<'_>,
    both: (&mut Known, &mut Refusals),
    scratch: &mut [u8; TARGET_SIZE_MAX],
) -> Wish {
    match parse::request(head) {
        Ok(Some(request)) => wish_of(&request, (head, None), view, both, scratch),
        _ => unreachable!("it was parsed before it waited"),
    }
}

fn wish_of(
    request: &parse::Request<'_>,
    (bytes, shut): (&[u8], Option<Refusal>),
    view: &View<'_>,
    (known, refusals): (&mut Known, &mut Refusals),
    scratch: &mut [u8; TARGET_SIZE_MAX],
) -> Wish {
    let size = request.size;
    let stepped = match shut {
        None => steps(request, view, known, scratch),
        Some(refusal) => Err(refusal),
    };
    match stepped {
        Ok(Step::Respond(plan)) => Wish::Response { plan, size },
        Ok(Step::Wait(place, permit)) => {
            Wish::Wait { place, permit, head: parse::kept(request, &bytes[..size]), size }
        }
        Ok(Step::Ask { framing, access, terms }) => Wish::Ask(Question {
            head: bytes[..size].into(),
            framing,
            wants: Wants::Answer(access, terms),
            expects_continue: request.expects_continue,
        }),
        Ok(Step::SignIn { framing, said }) => Wish::Ask(Question {
            head: bytes[..size].into(),
            framing,
            wants: Wants::SignIn(said),
            expects_continue: request.expects_continue,
        }),
        Err(Refusal::TokenMissing)
            if exchange::may_be_exchanged(request, &bytes[..size], view.foreign) =>
        {
            Wish::Ask(Question {
                head: bytes[..size].into(),
                framing: request.body,
                wants: Wants::Exchange,
                expects_continue: request.expects_continue,
            })
        }
        Err(refusal) => {
            let subscriber = known.recent.take_refused();
            if let Some(subscriber) = subscriber {
                refusals.note(subscriber, (refusal, bytes), view);
            }
            refusals.strikes.note_refused(request, refusal, bytes, view);
            let plan = slate::instead(request, refusal, subscriber, view);
            Wish::Response { plan: plan.unwrap_or_else(|| plan::refusal(request, refusal)), size }
        }
    }
}

impl<K: Kernel, I: Inbox> Shard<K, I> {
    pub(super) fn handle_received(
        &mut self,
        owner: u32,
        result: Result<Option<Received>, Errno>,
        more: bool,
    ) {
        if !more {
            self.connections[owner].flight.end(Operation::Receive);
        }
        let is_cancelled = matches!(result, Err(Errno::CANCELED));
        match result {
            Ok(Some(received)) => self.take_bytes(owner, received),
            Ok(None) => self.end_input(owner),
            // Buffers ran out (they are back by the next turn), or the receive was cancelled.
            Err(Errno::NOBUFS | Errno::CANCELED) => {}
            Err(_) => self.close(owner, Ending::Reset),
        }
        if !more && let Some(connection) = self.connections.get(owner) {
            if connection.closing.is_some() {
                self.settle(owner);
            } else if is_cancelled {
                self.after_cancelled_receive(owner);
            } else {
                self.receive_if_wanted(owner);
            }
        }
    }

    /// A receive was cancelled because the client is idle, or because it is ahead of us.
    fn after_cancelled_receive(&mut self, owner: u32) {
        let connection = &mut self.connections[owner];
        if matches!(connection.phase, Phase::Idle { .. }) && connection.pending.is_none() {
            if connection.flight.has(Operation::PollIn) || connection.ended {
                return;
            }
            let Some(socket) = &connection.socket else { return };
            connection.flight.begin(Operation::PollIn);
            self.kernel.poll(socket, Operation::PollIn, owner);
        } else {
            self.receive_if_wanted(owner);
        }
    }

    /// Receives again, unless the client is ahead of us.
    pub(super) fn receive_if_wanted(&mut self, owner: u32) {
        let connection = &self.connections[owner];
        let ahead = connection
            .pending
            .as_ref()
            .is_some_and(|pending| pending.rest().len() >= PIPELINE_SIZE_MAX);
        if !ahead {
            self.receive(owner);
        }
    }

    fn take_bytes(&mut self, owner: u32, received: Received) {
        let connection = &mut self.connections[owner];
        if connection.closing.is_some() {
            self.kernel.give_back(received);
            return;
        }
        match &mut connection.phase {
            Phase::Linger { size, since, .. } => {
                *size = size.saturating_add(received.size);
                let flooded = *size as usize > LINGER_SIZE_MAX;
                let quiet = self.now.ticks.plus(LINGER_MS);
                let deadline = quiet.min(since.plus(LINGER_ALL_MS));
                self.kernel.give_back(received);
                if flooded {
                    self.close(owner, Ending::Close);
                } else if self.draining.is_none() {
                    self.set_deadline(owner, deadline);
                }
            }
            Phase::Idle { .. } if connection.pending.is_none() && connection.via != Via::Silent => {
                self.take_first(owner, received);
            }
            Phase::Idle { .. } | Phase::Head => {
                self.keep(owner, received, 0);
                self.take_request(owner);
            }
            Phase::Quick(_) | Phase::Waiting(_) => self.keep(owner, received, 0),
            Phase::Exchange(exchange) => {
                let is_body = self.exchanges[*exchange].state == State::Receiving;
                self.keep(owner, received, 0);
                if is_body {
                    self.take_body(owner);
                }
            }
        }
    }

    /// Bytes for a connection that has nothing else: read where they are.
    fn take_first(&mut self, owner: u32, received: Received) {
        let mut shut = None;
        if self.connections[owner].via == Via::Forwarding
            && let Some(said) = said(self.kernel.received(&received), &self.settings.door.trusted)
        {
            shut = self.hear_of_client(owner, said);
        }
        let bytes = self.kernel.received(&received);
        let connection = &self.connections[owner];
        let peer = || connection.peer(&self.kernel);
        let (catalog, keys, rights, apps) = (&self.catalog, &self.keys, &self.rights, &self.apps);
        let (foreign, bans) = (&self.foreign, &self.bans);
        let (slates, now) = (&self.slates, self.now);
        let view = View { catalog, keys, rights, apps, foreign, bans, slates, peer: &peer, now };
        let wish =
            wish((bytes, shut), &view, (&mut self.known, &mut self.refusals), &mut self.path);
        if let Some(record) = self.record_of(bytes, &wish) {
            self.connections[owner].record = Some(record);
        }
        let used = wish_size(&wish);
        if used < received.size as usize {
            self.keep(owner, received, used);
        } else {
            self.kernel.give_back(received);
        }
        // What has to be kept may be more than there is room for, and end the connection at once.
        if self.connections.get(owner).is_some_and(|connection| connection.closing.is_none()) {
            self.grant(owner, wish);
        }
    }

    /// Keeps what follows `start` for later.
    fn keep(&mut self, owner: u32, received: Received, start: usize) {
        let connection = &mut self.connections[owner];
        let pending = connection.pending.get_or_insert_with(Default::default);
        let before = pending.bytes.capacity();
        if pending.start > 0 {
            pending.bytes.drain(..pending.start);
            pending.start = 0;
        }
        pending.bytes.extend_from_slice(&self.kernel.received(&received)[start..]);
        let size = pending.bytes.len();
        self.early_size += pending.bytes.capacity() - before;
        self.kernel.give_back(received);
        let is_body = connection
            .exchange()
            .is_some_and(|exchange| self.exchanges[exchange].state == State::Receiving);
        // Half of the room is for heads that come in pieces: theirs is soon given back.
        let is_head = matches!(connection.phase, Phase::Idle { .. } | Phase::Head);
        // What belongs to a body leaves it at once.
        let is_small = is_body || is_head && size <= PIPELINE_SIZE_MAX;
        let most = if is_small { EARLY_SIZE_MAX } else { EARLY_SIZE_MAX / 2 };
        if size > FLOOD_SIZE_MAX || self.early_size > most {
            self.close(owner, Ending::Reset);
        } else if size >= PIPELINE_SIZE_MAX && !is_body {
            self.cancel(owner, Operation::Receive);
        }
    }

    /// Reads the next request from the bytes that were kept, if it is complete.
    pub(super) fn take_request(&mut self, owner: u32) {
        // A flood ends its connection, and with nothing in flight at once.
        let Some(connection) = self.connections.get_mut(owner) else { return };
        if connection.closing.is_some() {
            return;
        }
        let Some(pending) = connection.pending.take() else {
            if connection.phase == Phase::Head {
                self.rest(owner);
            }
            return;
        };
        let pending = match connection.via {
            Via::Silent => match self.introduced(owner, pending) {
                Some(pending) => pending,
                None => return,
            },
            _ => pending,
        };
        let mut shut = None;
        if self.connections[owner].via == Via::Forwarding
            && let Some(said) = said(pending.rest(), &self.settings.door.trusted)
        {
            shut = self.hear_of_client(owner, said);
        }
        let connection = &self.connections[owner];
        let peer = || connection.peer(&self.kernel);
        let (catalog, keys, rights, apps) = (&self.catalog, &self.keys, &self.rights, &self.apps);
        let (foreign, bans) = (&self.foreign, &self.bans);
        let (slates, now) = (&self.slates, self.now);
        let view = View { catalog, keys, rights, apps, foreign, bans, slates, peer: &peer, now };
        let wish = wish(
            (pending.rest(), shut),
            &view,
            (&mut self.known, &mut self.refusals),
            &mut self.path,
        );
        let record = self.record_of(pending.rest(), &wish);
        let pending = self.shortened(pending, wish_size(&wish));
        let connection = &mut self.connections[owner];
        if record.is_some() {
            connection.record = record;
        }
        connection.pending = pending;
        self.grant(owner, wish);
        self.receive_if_open(owner);
    }

    /// Receives again, if the connection goes on and the client is not ahead of us.
    pub(super) fn receive_if_open(&mut self, owner: u32) {
        if self.connections.get(owner).is_some_and(|connection| connection.closing.is_none()) {
            self.receive_if_wanted(owner);
        }
    }

    /// Does what was wished for.
    pub(super) fn grant(&mut self, owner: u32, wish: Wish) {
        match wish {
            Wish::Response { plan, .. } => self.respond(owner, &plan),
            Wish::Incomplete => {
                let connection = &mut self.connections[owner];
                if connection.ended {
                    self.close(owner, Ending::Close);
                } else if connection.phase != Phase::Head {
                    connection.phase = Phase::Head;
                    let deadline = self.now.ticks.plus(self.settings.limits.head_timeout_ms);
                    self.set_deadline(owner, deadline);
                }
            }
            Wish::Wait { place, permit, head, .. } => self.wait(owner, place, permit, head),
            Wish::Ask(question) => self.ask(owner, question),
        }
    }

    pub(super) fn ask(&mut self, owner: u32, question: Question) {
        let Question { head, framing, wants, expects_continue } = question;
        let body = match Receiving::new(framing) {
            Ok(body) => body,
            Err(refusal) => {
                self.refuse_unread(owner, refusal);
                return;
            }
        };
        self.begin_exchange(owner, State::Receiving, Work::Ask { head, body, wants });
        self.set_deadline(owner, self.now.ticks.plus(self.settings.limits.head_timeout_ms));
        self.hold_partial_packets(owner, false);
        let connection = &self.connections[owner];
        if expects_continue
            && framing != BodyFraming::Empty
            && connection.pending.is_none()
            && let Some(socket) = &connection.socket
        {
            // Nothing is being sent, so the socket has room; if not, the client sends unasked soon.
            let sent = self.kernel.send_now(socket, GO_ON, false);
            self.counters.sent_bytes += sent.unwrap_or(0) as u64;
            if sent.is_ok_and(|size| size < GO_ON.len()) {
                // A client that asks and has not read what it got before: half a line is out.
                self.close(owner, Ending::Reset);
                return;
            }
        }
        self.take_body(owner);
    }

    /// Takes what came of a request's body, and asks when it is whole.
    fn take_body(&mut self, owner: u32) {
        let Some(connection) = self.connections.get_mut(owner) else { return };
        let (Some(place), None) = (connection.exchange(), connection.closing) else { return };
        let Work::Ask { body, .. } = &mut self.exchanges[place].work else { return };
        let pending = connection.pending.take().unwrap_or_default();
        let before = body.bytes.capacity();
        let taken = body.take(pending.rest());
        self.bodies_size += body.bytes.capacity() - before;
        let has_room = self.bodies_size <= BODIES_SIZE_MAX;
        let bounded = taken.and_then(|progress| has_room.then_some(progress).ok_or(Refusal::Busy));
        let progress = match bounded {
            Ok(progress) => progress,
            Err(refusal) => {
                self.early_size -= pending.bytes.capacity();
                self.drop_exchange(owner);
                self.refuse_unread(owner, refusal);
                return;
            }
        };
        let ended = connection.ended;
        self.connections[owner].pending = self.shortened(pending, progress.used);
        if progress.whole {
            self.ask_control(owner, place);
        } else if ended {
            self.close(owner, Ending::Close);
        } else {
            self.receive(owner);
        }
    }

    /// What is left when so many bytes have been used; none = nothing, and no memory is held.
    pub(super) fn shortened(
        &mut self,
        mut pending: Box<Pending>,
        used: usize,
    ) -> Option<Box<Pending>> {
        pending.start += used;
        if pending.start < pending.bytes.len() {
            return Some(pending);
        }
        self.early_size -= pending.bytes.capacity();
        None
    }

    /// Throws away what a client sent before it could be used.
    pub(super) fn forget_pending(&mut self, owner: u32) {
        if let Some(pending) = self.connections[owner].pending.take() {
            self.early_size -= pending.bytes.capacity();
        }
    }

    /// The client ended its side: what it asked for is still answered.
    fn end_input(&mut self, owner: u32) {
        let connection = &mut self.connections[owner];
        connection.ended = true;
        if connection.closing.is_some() {
            return;
        }
        match connection.phase {
            Phase::Idle { .. } | Phase::Head | Phase::Linger { .. } => {
                self.close(owner, Ending::Close);
            }
            Phase::Quick(_) | Phase::Waiting(_) => {}
            Phase::Exchange(exchange) => {
                if self.exchanges[exchange].state == State::Receiving {
                    self.close(owner, Ending::Close);
                }
            }
        }
    }

    /// Begins an exchange for the connection's request.
    pub(super) fn begin_exchange(&mut self, owner: u32, state: State, work: Work) -> u32 {
        self.generation = self.generation.wrapping_add(1);
        self.parked_count += u64::from(state.is_parked());
        let place = self.exchanges.insert(Exchange {
            owner,
            generation: self.generation,
            started: self.now.nanos,
            state,
            work,
            head: None,
            sent: 0,
            seen: 0,
            is_paced: false,
            window: None,
        });
        self.connections[owner].phase = Phase::Exchange(place);
        place
    }

    /// Ends the exchange of a connection that goes on.
    pub(super) fn drop_exchange(&mut self, owner: u32) {
        let connection = &mut self.connections[owner];
        if let Some(place) = connection.exchange() {
            connection.phase = Phase::Idle { since: self.now.ticks };
            self.free_exchange(place);
        }
    }

    /// A refusal instead of what an exchange was waiting for.
    pub(super) fn answer_refused(&mut self, place: u32, refusal: Refusal) {
        let exchange = &self.exchanges[place];
        let owner = exchange.owner;
        let head = match &exchange.work {
            Work::Ask { head, .. } => head,
            Work::Object { .. } | Work::Growing { .. } | Work::Answer { .. } => {
                self.close(owner, Ending::Reset);
                return;
            }
        };
        // After a request whose body is not whole nobody knows where the next one begins.
        let is_whole = exchange.state != State::Receiving;
        let plan = if is_whole { refused(head, refusal) } else { plan::unreadable(refusal) };
        self.drop_exchange(owner);
        self.respond_without_object(owner, plan);
    }
}

/// The refusal of a request that was read before.
pub(super) fn refused(head: &[u8], refusal: Refusal) -> Plan {
    match parse::request(head) {
        Ok(Some(request)) => plan::refusal(&request, refusal),
        _ => plan::unreadable(refusal),
    }
}

/// How many bytes a wish takes.
pub(super) fn wish_size(wish: &Wish) -> usize {
    match wish {
        Wish::Incomplete => 0,
        Wish::Response { size, .. } | Wish::Wait { size, .. } => *size,
        Wish::Ask(Question { head, .. }) => head.len(),
    }
}
