//! From a plan to its first operation: one SEND for what is small, an exchange for the rest.

use std::rc::Rc;

use super::Shard;
use super::cache::Key;
use super::connection::{Ending, Phase, Quick, Via};
use super::exchange::{Exchange, Frame, State, Waiter, Work};
use super::input::{Wish, wish_size};
use super::kernel::{Errno, Kernel, Operation, Outgoing};
use super::wheel::tick_of;
use crate::config::{RESPONSE_HEAD_SIZE_MAX, SEND_RATE_WINDOW_MS, SMALL_BODY_SIZE_MAX};
use crate::messages::mail::Inbox;
use crate::messages::{AccessRecord, Answer, Ask, AskKey, Response, SourceId, ToLibrary, ToLive};
use crate::request::View;
use crate::request::authorise::unexchanged;
use crate::request::head;
use crate::request::locate::ObjectKey;
use crate::request::parse::{self, Method};
use crate::request::plan::{self, Connection as Goes, Content, Part, Plan};
use crate::request::refusal::Refusal;
use crate::units::{Class, Extent};
use crate::viewer::foreign::Unexchanged;

/// A small object that is to be sent whole.
#[derive(Clone, Copy, Debug)]
pub(super) struct Small<'p> {
    pub(super) plan: &'p Plan,
    pub(super) key: ObjectKey,
    gzip: bool,
    pub(super) offset: u64,
    pub(super) size: usize,
}

impl Small<'_> {
    /// Whether its response is the one that most clients get, and is kept.
    fn is_cached(&self) -> bool {
        self.plan.connection == Goes::KeepAlive && self.plan.slate.is_none()
    }
}

impl<K: Kernel, I: Inbox> Shard<K, I> {
    /// Begins the response to a connection's request.
    pub(super) fn respond(&mut self, owner: u32, plan: &Plan) {
        let last;
        let plan = if self.draining.is_some() {
            last = Plan { connection: Goes::Close, ..*plan };
            &last
        } else {
            plan
        };
        if let Some(slate) = plan.slate {
            self.counters.refused(slate.instead_of);
        }
        match plan.content {
            Content::Slate { index, reader } => self.respond_slate(owner, plan, index, reader),
            Content::Object { key, gzip, variant, part } if plan.with_body => {
                if plan.lacks_gzip {
                    self.want_gzip(key);
                }
                let size = variant.extent.size;
                if part == Part::Whole && size <= SMALL_BODY_SIZE_MAX as u64 {
                    let size = size as usize;
                    let offset = variant.extent.offset;
                    let small = Small { plan, key, gzip, offset, size };
                    self.respond_small(owner, &small);
                } else {
                    self.respond_large(owner, *plan, key);
                }
            }
            Content::Growing(slot) if plan.with_body => {
                self.catalog.lease_growing(slot);
                let (plan, pieces) = (*plan, self.catalog.first_piece(slot));
                let work = Work::Growing { plan, slot, pieces, at: 0, frame: Frame::Between };
                self.begin_sending(owner, plan, work);
            }
            _ => self.respond_without_object(owner, *plan),
        }
    }

    /// Says that a client would have taken a text gzipped, if nobody has said so of it.
    fn want_gzip(&mut self, key: ObjectKey) {
        if let Some(source) = self.catalog.want_gzip(key.source)
            && let Some(live) = &self.outside.live
        {
            let _ = live.try_send(ToLive::Gzip(source));
        }
    }

    fn while_draining(&self, mut plan: Plan) -> Plan {
        if self.draining.is_some() {
            plan.connection = Goes::Close;
        }
        plan
    }

    /// Sends a response whose body, if it has any, is written with its head.
    pub(super) fn respond_without_object(&mut self, owner: u32, plan: Plan) {
        let plan = self.while_draining(plan);
        if let Content::Refused(refusal) = plan.content {
            self.counters.refused(refusal);
        }
        let mut buffer = self.head_buffer();
        let object = match plan.content {
            Content::Object { key, .. } | Content::NotModified { key, .. } => {
                Some(self.catalog.entry(key))
            }
            _ => None,
        };
        let out = &mut buffer.bytes[..];
        let written = match plan.content {
            Content::Growing(slot) => {
                let media_type = self.catalog.growing_media_type(slot);
                head::write_growing(&plan, media_type, &self.common, &self.date, out)
            }
            _ => head::write(&plan, object.as_ref(), &self.common, &self.date, out),
        };
        buffer.range = 0..u16::try_from(written.size).expect("a head fits its buffer");
        self.send_quick(
            owner,
            Quick {
                started: self.now.nanos,
                body_size: written.text_size as u32,
                status: plan.status,
                class: plan.class,
                last: plan.connection == Goes::Close,
            },
            Outgoing { head: Some(buffer), body: None },
        );
    }

    /// Sends a small object: a prebuilt response if there is one.
    fn respond_small(&mut self, owner: u32, small: &Small<'_>) {
        let key = self.cache_key(small);
        if small.is_cached()
            && let Some((bytes, head_size)) = self.cache.get(key, self.now.unix, &self.date)
        {
            self.catalog.touch(small.key.source);
            let size = bytes.len();
            self.send_prebuilt(owner, small, bytes, size - head_size);
            return;
        }
        let mut body = std::mem::take(&mut self.small_body);
        body.resize(small.size, 0);
        let held = self.catalog.opened(small.key.source);
        let extent = Extent { offset: small.offset, size: small.size as u64 };
        let read = match held.in_memory(extent) {
            Some(bytes) => {
                body.copy_from_slice(bytes);
                Ok(small.size)
            }
            None => self.kernel.read_now(held, small.offset, &mut body),
        };
        match read {
            Ok(size) if size == small.size => self.build_small(owner, small, &body),
            // Part of it is in memory, or the file is shorter than it was: the read will tell.
            Ok(_) | Err(Errno::AGAIN) => self.wait_for_small(owner, small),
            Err(errno) if !errno.passes() => {
                // Only who gives a lease back hears that a faulty source can go.
                self.catalog.lease(small.key.source);
                self.find_fault(small.key.source, crate::messages::Fault::Unreadable(errno.0));
                self.give_back_source(small.key);
                self.close(owner, Ending::Reset);
            }
            Err(_) => {
                self.respond_without_object(owner, plan::instead(small.plan, Refusal::Busy));
            }
        }
        self.small_body = body;
    }

    /// Builds the response of a small object from its bytes, and sends it.
    fn build_small(&mut self, owner: u32, small: &Small<'_>, body: &[u8]) {
        let object = self.catalog.entry(small.key);
        let mut response = std::mem::take(&mut self.small_response);
        response.resize(RESPONSE_HEAD_SIZE_MAX, 0);
        let head = head::write(small.plan, Some(&object), &self.common, &self.date, &mut response);
        response.truncate(head.size);
        response.extend_from_slice(body);
        let bytes = if small.is_cached() {
            let key = self.cache_key(small);
            self.cache.put(key, &response, head.size, head.date_at, self.now.unix)
        } else {
            Rc::from(&response[..])
        };
        self.small_response = response;
        self.send_prebuilt(owner, small, bytes, small.size);
    }

    fn cache_key(&self, small: &Small<'_>) -> Key {
        let source = self.catalog.source_at(small.key.source);
        let is_private = small.plan.is_private;
        Key { source, entry: small.key.entry, gzip: small.gzip, is_private }
    }

    fn send_prebuilt(&mut self, owner: u32, small: &Small<'_>, bytes: Rc<[u8]>, body_size: usize) {
        let range = 0..bytes.len();
        self.send_quick(
            owner,
            Quick {
                started: self.now.nanos,
                body_size: body_size as u32,
                status: small.plan.status,
                class: small.plan.class,
                last: small.plan.connection == Goes::Close,
            },
            Outgoing { head: None, body: Some((bytes, range)) },
        );
    }

    /// One send carries the whole response.
    pub(super) fn send_quick(&mut self, owner: u32, quick: Quick, outgoing: Outgoing) {
        self.hold_partial_packets(owner, false);
        let connection = &mut self.connections[owner];
        connection.phase = Phase::Quick(quick);
        let Some(socket) = &connection.socket else { return };
        connection.flight.begin(Operation::Send);
        self.kernel.send(socket, outgoing, owner);
        // The wheel looks at it in time; nothing is put in for a send that ends at once.
        connection.deadline = self.now.ticks.plus(SEND_RATE_WINDOW_MS);
        if connection.scheduled == 0 || tick_of(connection.deadline) < connection.scheduled {
            let deadline = connection.deadline;
            self.set_deadline(owner, deadline);
        }
    }

    pub(super) fn handle_sent(
        &mut self,
        owner: u32,
        result: Result<usize, Errno>,
        mut outgoing: Outgoing,
    ) {
        let connection = &mut self.connections[owner];
        connection.flight.end(Operation::Send);
        let wanted = outgoing.size();
        let sent = result.unwrap_or(0);
        self.counters.sent_bytes += sent as u64;
        if connection.closing.is_some() {
            self.settle(owner);
        } else if sent == wanted {
            if let Some(buffer) = outgoing.head {
                self.keep_head_buffer(buffer);
            }
            self.finish_quick(owner);
        } else if sent > 0 {
            outgoing.advance(sent);
            let Some(socket) = &connection.socket else { return };
            connection.flight.begin(Operation::Send);
            self.kernel.send(socket, outgoing, owner);
        } else {
            self.close(owner, Ending::Reset);
        }
    }

    fn finish_quick(&mut self, owner: u32) {
        let Phase::Quick(quick) = self.connections[owner].phase else {
            unreachable!("a send belongs to a quick response")
        };
        self.counters.body_copied_bytes += u64::from(quick.body_size);
        self.counters.finished(quick.class, quick.status, self.now.nanos - quick.started);
        self.log(owner, quick.status, u64::from(quick.body_size), quick.started, false);
        self.go_on(owner, quick.last);
    }

    /// After a response: the next request, or the end.
    pub(super) fn go_on(&mut self, owner: u32, last: bool) {
        if last {
            self.linger(owner);
            return;
        }
        let has_pending = self.connections[owner].pending.is_some();
        if has_pending {
            self.connections[owner].phase = Phase::Idle { since: self.now.ticks };
            self.take_request(owner);
        } else {
            self.rest(owner);
        }
    }

    /// A cold small object has come.
    pub(super) fn answer_small(&mut self, owner: u32, body: &[u8]) {
        let Some(place) = self.connections[owner].exchange() else { return };
        let Exchange { started, work: Work::Object { plan, key, at, end, .. }, .. } =
            self.exchanges[place]
        else {
            return;
        };
        let Content::Object { gzip, .. } = plan.content else { return };
        let size = (end - at) as usize;
        let small = Small { plan: &plan, key, gzip, offset: at, size };
        // The lease of the exchange goes, and with it the source if that is not listed any more.
        self.catalog.lease(key.source);
        self.drop_exchange(owner);
        self.build_small(owner, &small, body);
        self.give_back_source(key);
        self.backdate(owner, started);
    }

    pub(super) fn give_back_source(&mut self, key: ObjectKey) {
        if let Some(source) = self.catalog.give_back(key.source) {
            self.let_go(source);
        }
    }

    fn respond_large(&mut self, owner: u32, plan: Plan, key: ObjectKey) {
        self.catalog.lease(key.source);
        let (at, end, parts) = stretch(&plan, 0).expect("a planned body has bytes");
        let work =
            Work::Object { plan, key, at, end, parts, resident: 0, attempts: 0, cold: false };
        self.begin_sending(owner, plan, work);
    }

    /// Writes the head of a response of several steps, and queues it.
    fn begin_sending(&mut self, owner: u32, plan: Plan, work: Work) {
        let mut buffer = self.head_buffer();
        let way = if self.common.tells_players { self.way(owner) } else { None };
        let object = match plan.content {
            Content::Object { key, .. } => Some(self.catalog.entry(key)),
            _ => None,
        };
        let out = &mut buffer.bytes[..];
        let written = match plan.content {
            Content::Growing(slot) => {
                let media_type = self.catalog.growing_media_type(slot);
                head::write_growing(&plan, media_type, &self.common, &self.date, out)
            }
            _ => head::write(&plan, object.as_ref(), &self.common, &self.date, out),
        };
        let mut size = written.size;
        if let Some(way) = way {
            let most = self.cap_kbps(&plan.permit).map(std::num::NonZeroU32::get);
            size = head::cmsd::put_dynamic(way, most, size, &mut buffer.bytes[..]);
        }
        let out = &mut buffer.bytes[..];
        if let (Content::Object { part: Part::Ranges(ranges), variant, .. }, Some(object)) =
            (plan.content, &object)
        {
            let range = ranges.as_slice()[0];
            size += head::write_part(
                range,
                variant.extent.size,
                object.media_type(),
                true,
                &mut out[size..],
            );
        }
        buffer.range = 0..u16::try_from(size).expect("a head fits its buffer");
        self.hold_partial_packets(owner, matches!(work, Work::Object { .. }));
        let exchange = self.begin_exchange(owner, State::Ready, work);
        self.begin_pace(owner, exchange, &plan.permit);
        self.pace_slate(owner, &plan);
        self.review.note(&plan.permit);
        self.exchanges[exchange].head = Some(buffer);
        self.set_exchange_deadline(owner, false);
        self.make_ready(exchange);
    }

    /// Puts an exchange at the end of the queue of those that may send.
    pub(super) fn make_ready(&mut self, exchange: u32) {
        let generation = self.exchanges[exchange].generation;
        self.exchanges[exchange].state = State::Ready;
        self.ready.push_back(Waiter { exchange, generation });
    }

    /// Hands a whole request to control.
    pub(super) fn ask_control(&mut self, owner: u32, place: u32) {
        let exchange = &mut self.exchanges[place];
        let Work::Ask { head, body, wants } = &mut exchange.work else { return };
        let peer = self.connections[owner].peer(&self.kernel);
        // From here on it counts as a question, of which control takes only so many.
        self.bodies_size -= body.bytes.capacity();
        let ask = Ask {
            key: AskKey {
                shard: self.settings.number,
                exchange: place,
                generation: exchange.generation,
            },
            peer,
            is_forwarded: self.connections[owner].via == Via::Forwarding,
            wants: *wants,
            head: head.clone(),
            body: std::mem::take(&mut body.bytes),
        };
        let asked =
            self.outside.control.as_ref().is_some_and(|control| control.try_send(ask).is_ok());
        // From here on the request is whole, whatever becomes of it.
        exchange.state = State::Asked;
        self.parked_count += 1;
        if asked {
            self.set_exchange_deadline(owner, true);
        } else {
            self.answer_refused(place, Refusal::Busy);
        }
    }

    /// Control has answered.
    pub(super) fn handle_answer(&mut self, answer: Answer) {
        let AskKey { exchange: place, generation, .. } = answer.key;
        let Some(exchange) = self.waiting(Waiter { exchange: place, generation }) else { return };
        if exchange.state != State::Asked {
            return;
        }
        let owner = exchange.owner;
        if let Some(why) = answer.response.refused {
            self.refuse_to_exchange(place, why);
            return;
        }
        let Work::Ask { head, .. } = &exchange.work else { return };
        let Ok(Some(request)) = parse::request(head) else {
            unreachable!("it was parsed before it was asked")
        };
        let (with_body, goes) = (request.method != Method::Head, plan::goes(&request));
        self.send_answer(owner, place, answer.response, with_body, goes);
    }

    /// A token of others is not good enough. Whose it is remembers that as of any token.
    fn refuse_to_exchange(&mut self, place: u32, why: Unexchanged) {
        let (refusal, exchange) = (unexchanged(why), &self.exchanges[place]);
        if let (Unexchanged::Subscriber(Some(of), _), Work::Ask { head, .. }) =
            (why, &exchange.work)
        {
            let connection = &self.connections[exchange.owner];
            let peer = || connection.peer(&self.kernel);
            let (catalog, keys, rights) = (&self.catalog, &self.keys, &self.rights);
            let (foreign, bans) = (&self.foreign, &self.bans);
            let (slates, now) = (&self.slates, self.now);
            let view = View { catalog, keys, rights, foreign, bans, slates, peer: &peer, now };
            self.refusals.note(of, (refusal, head), &view);
        }
        self.answer_refused(place, refusal);
    }

    fn send_answer(
        &mut self,
        owner: u32,
        place: u32,
        response: std::sync::Arc<Response>,
        with_body: bool,
        goes: Goes,
    ) {
        let goes = if self.draining.is_some() { Goes::Close } else { goes };
        let mut buffer = self.head_buffer();
        let size = head::write_answer(
            response.status,
            &response.lines,
            response.body.len(),
            goes,
            &self.common,
            &self.date,
            &mut buffer.bytes[..],
        );
        let Some(size) = size else {
            self.keep_head_buffer(buffer);
            self.answer_refused(place, Refusal::Busy);
            return;
        };
        buffer.range = 0..u16::try_from(size).expect("a head fits its buffer");
        self.hold_partial_packets(owner, false);
        let exchange = &mut self.exchanges[place];
        self.parked_count -= 1;
        exchange.head = Some(buffer);
        let last = goes == Goes::Close;
        exchange.work = Work::Answer { response, with_body, last, at: 0 };
        self.judge_anew(owner, place);
        self.make_ready(place);
    }

    /// The library may close this source.
    pub(super) fn let_go(&mut self, source: SourceId) {
        // Nothing has to be said of what is live: it goes with its last reference.
        if !source.is_live() {
            let shard = self.settings.number;
            self.to_library.push_back(ToLibrary::Released { shard, source });
        }
    }

    /// The access log's line of a request that is about to be answered.
    pub(super) fn record_of(&self, bytes: &[u8], wish: &Wish) -> Option<Box<AccessRecord>> {
        self.outside.access.as_ref()?;
        if matches!(wish, Wish::Incomplete) {
            return None;
        }
        let size = wish_size(wish);
        Some(Box::new(AccessRecord {
            at: self.now.unix,
            peer: None,
            head: bytes[..size.min(bytes.len())].into(),
            status: 0,
            body_bytes: 0,
            nanos: 0,
            aborted: false,
        }))
    }

    /// Completes and sends the access log's line.
    pub(super) fn log(
        &mut self,
        owner: u32,
        status: u16,
        body_bytes: u64,
        started: u64,
        aborted: bool,
    ) {
        let Some(access) = &self.outside.access else { return };
        let connection = &mut self.connections[owner];
        let Some(record) = connection.record.take() else { return };
        let peer = connection.peer(&self.kernel);
        let nanos = self.now.nanos - started;
        let record = AccessRecord { peer, status, body_bytes, nanos, aborted, ..*record };
        if access.try_send(record).is_err() {
            self.counters.access_dropped += 1;
        }
    }

    /// The line of an exchange that ends, whole or cut off.
    pub(super) fn log_end(&mut self, owner: u32, aborted: bool) {
        let Some(place) = self.connections[owner].exchange() else { return };
        let exchange = &self.exchanges[place];
        let (status, sent, started) = (status_of(&exchange.work), exchange.sent, exchange.started);
        self.log(owner, status, sent, started, aborted);
    }
}

/// The status an exchange answers with; 0 if it has not come to that.
pub(super) fn status_of(work: &Work) -> u16 {
    match work {
        Work::Object { plan, .. } | Work::Growing { plan, .. } => plan.status,
        Work::Answer { response, .. } => response.status,
        Work::Ask { .. } => 0,
    }
}

/// The class an exchange counts under.
pub(super) fn class_of(work: &Work) -> Class {
    match work {
        Work::Object { plan, .. } | Work::Growing { plan, .. } => plan.class,
        _ => Class::Api,
    }
}

/// The next stretch of payload that a plan sends after `parts` of several ranges were begun:
/// its first byte, its end, and how many have been begun then.
pub(super) fn stretch(plan: &Plan, parts: u8) -> Option<(u64, u64, u8)> {
    let Content::Object { variant, part, .. } = plan.content else { return None };
    let base = variant.extent.offset;
    let range = match part {
        Part::Whole if parts == 0 => return Some((base, base + variant.extent.size, 1)),
        Part::Range(range) if parts == 0 => range,
        Part::Ranges(ranges) => *ranges.as_slice().get(usize::from(parts))?,
        Part::Whole | Part::Range(_) => return None,
    };
    Some((base + range.first, base + range.last + 1, parts + 1))
}
