//! One rendition of one channel, from due chunk to taken segment.
//!
//! A state machine that never waits: `drive` does what can be done now, `wake_at` says when it
//! wants to be driven at the latest; events of its socket drive it sooner. After a cut or a refusal
//! the object that was under way is sent again from its beginning, as long as it is not too old
//! (DASH-IF live media ingest 1.2: fewer than three segments), and then the next that is due.

use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::clock::Clock;
use super::compose::{self, Bytes, Names};
use super::fault::Fault;
use super::log::Log;
use super::outlet::{Object, Outlet};
use super::plan::{Manner, Order, Plan};
use super::tally::Tally;
use super::track::{Chunk, Track};
use crate::load::response::Response;
use crate::sys::poller::Poller;

/// Segments that are sent after an outage, the one under way included. Older ones are given up.
const RESENT_SEGMENTS_MAX: u64 = 3;

/// Pause before something is tried again, at most; half a segment if that is shorter.
const RETRY_AFTER: Duration = Duration::from_millis(250);

/// A server that takes or answers nothing for this long counts as cut off. An origin that has not
/// answered by then has lost the live edge.
const STALLED_AFTER: Duration = Duration::from_secs(10);

/// Steps of one stream before the others get their turn.
const STEPS_MAX: usize = 64;

/// What streams share.
pub struct Room {
    /// The time of the media.
    pub clock: Clock,
    /// Waits for their sockets.
    pub poller: Poller,
    /// Their counts.
    pub tally: Tally,
    /// Chunks that have been sent, if somebody wants to know of each.
    pub sent: Option<Vec<Sent>>,
    /// What has been taken, if that is to be noted.
    pub log: Option<Log>,
    /// Whether chunks say when they were due instead of when they were sent.
    pub is_alike: bool,
}

/// A chunk that was sent.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// The key of its stream.
    pub key: u64,
    /// The number of its segment.
    pub segment: u64,
    /// Its place there.
    pub chunk: u64,
    /// Just before the kernel took its last byte.
    pub at: Instant,
}

/// One rendition of one channel.
pub struct Stream {
    /// The key of its events.
    key: u64,
    names: Names,
    track: Rc<Track>,
    /// How much later than its media it is sent, in ns of media.
    offset: u64,
    /// Whether all goes into one request.
    is_long: bool,
    plan: Plan,
    outlet: Outlet,
    stage: Stage,
    /// Whether the server has the header.
    has_header: bool,
    sending: Option<Sending>,
    /// Whether the request under way was answered before its end.
    answered: bool,
    /// Segments between the live edge and what was being sent when an outage began.
    lag: Option<u64>,
    /// Whether the next chunk could not have been sent sooner.
    waited_for_server: bool,
    /// Bytes of media or header that are being flushed.
    given: u64,
    /// The chunks of the last segment, if it will be sent again.
    kept: Vec<Vec<u8>>,
}

/// What a stream is waiting for.
#[derive(Clone, Copy, Debug)]
enum Stage {
    /// Nothing.
    Ready,
    /// The moment of the next chunk.
    Waiting { due: Instant },
    /// The kernel, to take the bytes.
    Flushing { then: Then, deadline: Instant },
    /// The server's answer.
    Answering { deadline: Instant },
    /// The end of a pause after a failure.
    Down { until: Instant },
    /// The run is over.
    Done,
}

/// What comes after a flush.
#[derive(Clone, Copy, Debug)]
enum Then {
    /// The next chunk of the segment.
    Chunk,
    /// An answer, if objects are answered one by one.
    Answer,
    /// The connection is closed: a fault.
    Kill,
    /// The answer to the one long request.
    End,
}

/// The segment under way.
#[derive(Debug)]
struct Sending {
    order: Order,
    chunks: Vec<Chunk>,
    /// How many of them are sent: a torn segment has fewer.
    count: usize,
    position: usize,
    /// Whether all of it was tried before.
    again: bool,
}

impl Sending {
    fn new(order: Order, track: &Track) -> Self {
        let chunks = track.chunks(order.number);
        let torn = order.fault == Some(Fault::Tear) && chunks.len() > 1;
        let count = if torn { 1 + below(order.chance, chunks.len() - 1) } else { chunks.len() };
        Self { order, chunks, count, position: 0, again: false }
    }

    fn is_killed_here(&self) -> bool {
        let at = below(self.order.chance, self.chunks.len());
        self.order.fault == Some(Fault::Kill) && self.position == at
    }
}

fn below(chance: u64, bound: usize) -> usize {
    (chance % bound as u64) as usize
}

impl Stream {
    /// Nothing is sent before it is driven.
    pub fn new(
        key: u64,
        names: Names,
        track: Rc<Track>,
        offset: u64,
        is_long: bool,
        plan: Plan,
        outlet: Outlet,
    ) -> Self {
        Self {
            key,
            names,
            track,
            offset,
            is_long,
            plan,
            outlet,
            stage: Stage::Ready,
            has_header: false,
            sending: None,
            answered: false,
            lag: None,
            waited_for_server: false,
            given: 0,
            kept: Vec::new(),
        }
    }

    /// Whether all is sent.
    pub fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Done)
    }

    /// When it has something to do, whatever happens; `now` if at once.
    pub fn wake_at(&self, now: Instant) -> Option<Instant> {
        match self.stage {
            Stage::Ready => Some(now),
            Stage::Waiting { due: at }
            | Stage::Flushing { deadline: at, .. }
            | Stage::Answering { deadline: at }
            | Stage::Down { until: at } => Some(at),
            Stage::Done => None,
        }
    }

    /// Does what can be done now.
    pub fn drive(&mut self, room: &mut Room) {
        if self.is_done() {
            return;
        }
        self.listen(room);
        let mut steps = 0;
        while self.step(Instant::now(), room) {
            steps += 1;
            // Only here: bytes that nobody tried to send would have no event to come.
            let is_between = matches!(self.stage, Stage::Ready | Stage::Waiting { .. });
            if is_between && steps >= STEPS_MAX {
                return;
            }
        }
    }

    /// Takes an answer, or notices the end of the connection.
    fn listen(&mut self, room: &mut Room) {
        let now = Instant::now();
        match self.outlet.receive() {
            Ok(None) => {}
            // Between requests a server may close whenever it likes, with a 408 or without.
            Ok(Some(_)) | Err(_) if self.is_idle() => self.outlet.close(),
            Ok(Some(response)) => self.answer(response, now, room),
            Err(error) => self.cut(&reason(&error), now, room),
        }
    }

    /// Whether nothing is on its way.
    fn is_idle(&self) -> bool {
        let between =
            matches!(self.stage, Stage::Ready | Stage::Waiting { .. } | Stage::Down { .. });
        between
            && !self.is_long
            && self.sending.as_ref().is_none_or(|sending| sending.position == 0)
    }

    /// One step; whether another may follow at once.
    fn step(&mut self, now: Instant, room: &mut Room) -> bool {
        match self.stage {
            Stage::Ready => self.choose(now, room),
            Stage::Waiting { due } if due <= now => self.send(due, now, room),
            Stage::Flushing { then, deadline } => match self.outlet.flush() {
                Ok(true) => self.flushed(then, now, room),
                Ok(false) if now < deadline => {
                    self.waited_for_server = true;
                    return false;
                }
                Ok(false) => self.cut("the server takes nothing", now, room),
                Err(error) => self.cut(&reason(&error), now, room),
            },
            Stage::Answering { deadline } if deadline <= now => {
                self.cut("the server does not answer", now, room);
            }
            Stage::Down { until } if until <= now => self.resume(now, room),
            _ => return false,
        }
        true
    }

    /// What comes next: the header, a chunk of the segment under way, or the next segment.
    fn choose(&mut self, now: Instant, room: &mut Room) {
        if !self.open(now, room) {
            return;
        }
        if !self.has_header {
            self.outlet.begin(Object::Header);
            self.outlet.data(&self.track.source().init);
            self.given = self.track.source().init.len() as u64;
            if !self.is_long {
                self.outlet.finish();
            }
            return self.flush(Then::Answer, now);
        }
        if self.sending.is_none() {
            self.sending = self.plan.next_order().map(|order| Sending::new(order, &self.track));
        }
        match &self.sending {
            Some(sending) => {
                let due = match sending.order.manner {
                    Manner::Live => self.due(&sending.chunks[sending.position], room.clock),
                    _ => now,
                };
                self.waited_for_server &= due <= now;
                self.stage = Stage::Waiting { due };
            }
            None if self.is_long => {
                self.outlet.finish();
                self.flush(Then::End, now);
            }
            None => self.stage = Stage::Done,
        }
    }

    /// A chunk is due when all of it has passed.
    fn due(&self, chunk: &Chunk, clock: Clock) -> Instant {
        let end = self.track.nanoseconds(chunk.time + chunk.duration);
        clock.due(end.saturating_add(self.offset))
    }

    /// Whether there is a connection or a folder, or will be.
    fn open(&mut self, now: Instant, room: &mut Room) -> bool {
        if self.outlet.is_open() {
            return true;
        }
        match self.outlet.open(&room.poller, self.key) {
            Ok(()) => true,
            Err(error) => {
                self.cut(&reason(&error), now, room);
                false
            }
        }
    }

    fn send(&mut self, due: Instant, now: Instant, room: &mut Room) {
        if !self.open(now, room) {
            return;
        }
        let mut sending = self.sending.take().expect("only a chunk is waited for");
        let bytes = self.chunk(&sending, room.is_alike);
        let chunk = &sending.chunks[sending.position];
        if sending.position == 0 {
            self.answered &= self.is_long;
            if sending.order.manner == Manner::Live {
                self.kept.clear();
            }
            self.outlet.begin(Object::Segment(sending.order.number));
        }
        if sending.order.manner == Manner::Live && !sending.again {
            let lasts = room.clock.ours(self.track.nanoseconds(chunk.duration));
            room.tally.sent_late(now.duration_since(due), lasts, self.waited_for_server);
        }
        let then = if sending.is_killed_here() {
            room.tally.fault(Fault::Kill);
            self.outlet.half(&bytes);
            Then::Kill
        } else {
            sending.position += 1;
            let is_last = sending.position == sending.count;
            let torn = is_last && sending.order.fault == Some(Fault::Tear);
            if torn {
                room.tally.fault(Fault::Tear);
            }
            // The only chunk of a segment can only be torn in itself.
            let cut = torn && sending.chunks.len() == 1;
            let given = if cut { &bytes[..bytes.len() / 2] } else { &bytes };
            self.outlet.data(given);
            self.given = given.len() as u64;
            if is_last && !self.is_long {
                self.outlet.finish();
            }
            if is_last { Then::Answer } else { Then::Chunk }
        };
        if sending.order.kept {
            self.kept.push(bytes);
        }
        self.sending = Some(sending);
        self.flush(then, now);
    }

    /// The bytes of the chunk that is next.
    fn chunk(&mut self, sending: &Sending, is_alike: bool) -> Vec<u8> {
        let Order { number, manner, .. } = sending.order;
        if manner == Manner::Again {
            return self.kept.get(sending.position).cloned().unwrap_or_default();
        }
        let bytes = if manner == Manner::Other { Bytes::Other } else { Bytes::Own };
        let chunk = &sending.chunks[sending.position];
        let sent = match is_alike {
            true => self.track.nanoseconds(chunk.time + chunk.duration) / 1000,
            false => unix_microseconds(),
        };
        let place = (sending.position, chunk);
        compose::piece(&self.track, &self.names, number, place, bytes, sent)
    }

    fn flush(&mut self, then: Then, now: Instant) {
        self.stage = Stage::Flushing { then, deadline: now + STALLED_AFTER };
    }

    fn flushed(&mut self, then: Then, now: Instant, room: &mut Room) {
        room.tally.bytes += std::mem::take(&mut self.given);
        let is_chunk = matches!(then, Then::Chunk | Then::Answer) && self.has_header;
        room.tally.chunks += u64::from(is_chunk);
        if let (Some(log), Some(sending), true) = (&mut room.sent, &self.sending, is_chunk) {
            let (segment, chunk) = (sending.order.number, sending.position as u64 - 1);
            log.push(Sent { key: self.key, segment, chunk, at: now });
        }
        let is_awaited = self.outlet.answers() && !self.answered;
        match then {
            Then::Chunk => self.stage = Stage::Ready,
            Then::Answer if is_awaited && !self.is_long => {
                self.stage = Stage::Answering { deadline: now + STALLED_AFTER };
                self.waited_for_server = true;
            }
            Then::Answer => self.taken(room),
            Then::Kill => {
                self.outlet.close();
                self.begin_again();
                self.stage = Stage::Ready;
            }
            Then::End if is_awaited => {
                self.stage = Stage::Answering { deadline: now + STALLED_AFTER };
            }
            Then::End => self.stage = Stage::Done,
        }
    }

    fn answer(&mut self, response: Response, now: Instant, room: &mut Room) {
        let is_good = (200..300).contains(&response.status);
        let is_whole = matches!(self.stage, Stage::Answering { .. });
        if !is_good {
            let what = self.what();
            room.tally.refused(response.status, &what);
            if response.close || !is_whole || self.is_long {
                self.outlet.close();
            }
            // Whoever does not know the rendition wants its header first.
            if matches!(response.status, 404 | 412) {
                self.has_header = false;
            }
            return self.fail(now, room);
        }
        match self.stage {
            Stage::Answering { .. } if self.is_long => self.stage = Stage::Done,
            Stage::Answering { .. } => {
                self.taken(room);
                if response.close {
                    self.outlet.close();
                }
            }
            _ => self.answered = true,
        }
    }

    /// An object is where it should be.
    fn taken(&mut self, room: &mut Room) {
        if self.has_header {
            self.lag = None;
            if let Some(sending) = self.sending.take() {
                room.tally.taken(sending.order.manner);
                if let Some(log) = &mut room.log {
                    log.taken(&self.names, sending.order.number);
                }
                room.tally.resent_segments += u64::from(sending.again);
            }
        }
        self.has_header = true;
        self.answered &= self.is_long;
        self.stage = Stage::Ready;
    }

    /// The connection is of no more use.
    fn cut(&mut self, reason: &str, now: Instant, room: &mut Room) {
        let what = self.what();
        room.tally.cut(reason, &what);
        self.outlet.close();
        self.fail(now, room);
    }

    /// The object under way has failed, and is tried again: at once for the first time after a
    /// cut, and then after pauses.
    fn fail(&mut self, now: Instant, room: &mut Room) {
        let is_first = self.lag.is_none() && !self.outlet.is_open();
        if self.lag.is_none() {
            let number = self.sending.as_ref().map(|sending| sending.order.number);
            let edge = self.edge(now, room.clock);
            self.lag = Some(number.map_or(0, |number| edge.saturating_sub(number)));
        }
        self.begin_again();
        self.waited_for_server = true;
        let pause = RETRY_AFTER.min(room.clock.ours(self.track.segment() / 2));
        self.stage = Stage::Down { until: if is_first { now } else { now + pause } };
    }

    /// What was under way starts over, and without a fault.
    fn begin_again(&mut self) {
        self.has_header &= !self.is_long;
        self.answered = false;
        self.given = 0;
        if let Some(sending) = &mut self.sending {
            let order = Order { fault: None, ..sending.order };
            *sending = Sending { again: true, ..Sending::new(order, &self.track) };
        }
    }

    /// Goes on after a failure: with what is not too old.
    fn resume(&mut self, now: Instant, room: &mut Room) {
        let edge = self.edge(now, room.clock);
        let oldest = edge.saturating_sub(self.lag.unwrap_or(0) + RESENT_SEGMENTS_MAX - 1);
        let is_old = |sending: &mut Sending| sending.order.number < oldest;
        if let Some(old) = self.sending.take_if(is_old) {
            let is_first = matches!(old.order.manner, Manner::Live | Manner::Late);
            room.tally.skipped_segments += u64::from(is_first);
        }
        room.tally.skipped_segments += self.plan.skip_below(oldest);
        let is_over = self.sending.is_none() && self.plan.is_over();
        self.stage = if is_over { Stage::Done } else { Stage::Ready };
    }

    /// The segment that is being made now.
    fn edge(&self, now: Instant, clock: Clock) -> u64 {
        clock.media(now).saturating_sub(self.offset) / self.track.segment()
    }

    /// What is being sent, for messages.
    fn what(&self) -> String {
        let Names { channel, rendition } = &self.names;
        match &self.sending {
            Some(sending) if self.has_header => {
                format!("{channel}/{rendition}, segment {}", sending.order.number)
            }
            _ => format!("{channel}/{rendition}, header"),
        }
    }
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "the server has closed the connection".to_owned(),
        _ => error.to_string(),
    }
}

fn unix_microseconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
