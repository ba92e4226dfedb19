//! Clients: they connect, write requests as they please, read what comes as they please, vanish.

use std::collections::VecDeque;

use shardcast::shard::kernel::Errno;

use crate::library::Told;
use crate::net::Sock;
use crate::pipe::Pipe;
use crate::request::{Request, Wanted};
use crate::response::Reader;
use crate::world::{Event, World};

/// Bytes that a client may have on their way to a server that does not receive.
const INBOUND_MAX: usize = 64 * 1024;

/// How a client behaves.
#[derive(Clone, Debug)]
pub struct Manner {
    /// Requests that may be unanswered when the next one is written.
    pub pipeline: usize,
    pub write_size: u64,
    pub write_gap: u64,
    pub read_size: u64,
    pub read_gap: u64,
    /// Nanoseconds between a response and the next request.
    pub pause: u64,
    /// Room in the server's end of the connection.
    pub capacity: u64,
    /// It ends its side after the last request.
    pub half_closes: bool,
    /// It resets the connection after reading so many bytes.
    pub resets_after: Option<u64>,
    /// It resets the connection so many nanoseconds after it came.
    pub leaves_after: Option<u64>,
    /// It is so slow that the server may cut it off.
    pub may_be_cut: bool,
    /// The last number of its address.
    pub address: u8,
    /// It stays when everything was answered, until the server ends it.
    pub stays: bool,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            pipeline: 1,
            write_size: u64::MAX,
            write_gap: 0,
            read_size: u64::MAX,
            read_gap: 0,
            pause: 0,
            capacity: 256 * 1024,
            half_closes: false,
            resets_after: None,
            leaves_after: None,
            may_be_cut: false,
            address: 1,
            stays: false,
        }
    }
}

/// How a client's conversation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Everything was answered.
    Answered,
    /// The server closed the connection before everything was answered.
    Closed,
    /// The client saw a reset.
    Reset,
    /// The client reset the connection itself.
    Left,
}

/// One client, with one connection.
#[derive(Debug, Default)]
pub struct Client {
    pub manner: Manner,
    pub script: VecDeque<Request>,
    pub socket: Option<usize>,
    /// When its next event is due; others that are scheduled are void.
    pub wakes_at: Option<u64>,
    pub awaiting: VecDeque<Request>,
    /// The rest of the request that is being written.
    writing: Vec<u8>,
    pub reader: Reader,
    input: Pipe,
    next_write: u64,
    next_read: u64,
    /// The last response said that nothing follows.
    last: bool,
    pub statuses: Vec<u16>,
    /// When each response was whole.
    pub answered_at: Vec<u64>,
    pub ended: Option<Ended>,
    came_at: u64,
    /// When it ended.
    pub ended_at: u64,
}

impl World {
    /// A client that comes so many nanoseconds from now.
    pub fn add_client(&mut self, after: u64, manner: Manner, script: Vec<Request>) -> usize {
        let script = script.into();
        self.clients.push(Client { manner, script, ..Client::default() });
        let client = self.clients.len() - 1;
        self.wake_at(client, self.now + after);
        client
    }

    /// Schedules a client's turn, unless one comes before.
    pub fn wake_at(&mut self, client: usize, at: u64) {
        if self.clients[client].wakes_at.is_none_or(|before| at < before) {
            self.clients[client].wakes_at = Some(at);
            self.after(at - self.now, Event::Client(client));
        }
    }

    /// A client's turn.
    pub fn wake(&mut self, number: usize) {
        if self.clients[number].wakes_at.is_none_or(|at| at > self.now) {
            return;
        }
        let mut client = std::mem::take(&mut self.clients[number]);
        client.wakes_at = None;
        let next = if client.ended.is_none() { client.turn(number, self) } else { None };
        if client.ended.is_some() && client.ended_at == 0 {
            client.ended_at = self.now;
            self.trace(|| format!("client {number} ends: {:?}", client.ended));
            // The test looks again.
            self.ring();
        }
        // What it did may have come back to it.
        let woken = std::mem::replace(&mut self.clients[number], client).wakes_at;
        self.clients[number].wakes_at = woken;
        if let Some(at) = next {
            self.wake_at(number, at.max(self.now));
        }
    }
}

impl Client {
    /// Reads and writes; gives the time at which it wants to go on by itself.
    fn turn(&mut self, number: usize, world: &mut World) -> Option<u64> {
        let socket = match self.socket {
            Some(socket) => socket,
            None => self.connect(number, world),
        };
        self.read(number, socket, world);
        if self.ended.is_some() {
            return None;
        }
        self.write(number, socket, world);
        let has_enough =
            self.manner.resets_after.is_some_and(|limit| world.sockets[socket].read >= limit);
        let leaves_at = self.manner.leaves_after.map(|after| self.came_at + after);
        if has_enough || leaves_at.is_some_and(|at| world.now >= at) {
            world.trace(|| format!("client {number} resets"));
            world.kill(socket, Errno::CONNRESET);
            self.ended = Some(Ended::Left);
            return None;
        }
        let next = self.next_turn(&world.sockets[socket], world.now);
        [next, leaves_at].into_iter().flatten().min()
    }

    fn next_turn(&self, sock: &Sock, now: u64) -> Option<u64> {
        let readable = sock.visible() > 0 || sock.outbound_end || sock.dead.is_some();
        let read = readable.then_some(self.next_read);
        let has_room = sock.inbound.len() < INBOUND_MAX;
        let may_begin =
            !self.script.is_empty() && self.awaiting.len() < self.manner.pipeline && !self.last;
        let writes = sock.dead.is_none() && has_room && (!self.writing.is_empty() || may_begin);
        // Closing is writing, too.
        let is_done = self.script.is_empty() && self.writing.is_empty() && !sock.inbound_end;
        let finished = self.awaiting.is_empty() && !self.manner.stays;
        let closes = is_done && (self.manner.half_closes || finished);
        let write = (writes || (closes && sock.dead.is_none())).then_some(self.next_write);
        [read, write].into_iter().flatten().min().map(|at| at.max(now + 1))
    }

    fn connect(&mut self, number: usize, world: &mut World) -> usize {
        let socket = world.sockets.len();
        world.sockets.push(Sock::new(number, self.manner.capacity));
        world.listeners[0].queue.push_back(socket);
        world.soon(Event::Accept(0));
        world.trace(|| format!("client {number} connects as socket {socket}"));
        self.socket = Some(socket);
        self.came_at = world.now;
        socket
    }

    fn write(&mut self, number: usize, socket: usize, world: &mut World) {
        if world.now < self.next_write || world.sockets[socket].dead.is_some() {
            return;
        }
        let mut size = self.manner.write_size as usize;
        while size > 0 && world.sockets[socket].inbound.len() < INBOUND_MAX {
            if self.writing.is_empty() && !self.begin_request(number, world) {
                break;
            }
            let count = size.min(self.writing.len());
            let sock = &mut world.sockets[socket];
            sock.inbound.extend(self.writing.drain(..count));
            size -= count;
        }
        if world.sockets[socket].is_closed_over() {
            world.cut_off(socket);
        }
        self.next_write = world.now + self.manner.write_gap;
        let is_done = self.script.is_empty() && self.writing.is_empty();
        let finished = self.awaiting.is_empty() && !self.manner.stays;
        if is_done && (self.manner.half_closes || finished) {
            world.sockets[socket].inbound_end = true;
            if self.awaiting.is_empty() {
                self.ended = Some(Ended::Answered);
            }
        }
        world.pump_soon(socket);
    }

    fn begin_request(&mut self, number: usize, world: &mut World) -> bool {
        if self.awaiting.len() >= self.manner.pipeline || self.last {
            return false;
        }
        let Some(mut request) = self.script.pop_front() else { return false };
        request.begun = world.now;
        self.writing = request.written();
        world.trace(|| format!("client {number} asks {:?}", request.wanted));
        self.awaiting.push_back(request);
        true
    }

    fn read(&mut self, number: usize, socket: usize, world: &mut World) {
        if world.now < self.next_read {
            return;
        }
        let mut left = self.manner.read_size.min(world.sockets[socket].visible());
        while left > 0
            && let Some(run) = world.sockets[socket].outbound.pop(left)
        {
            left -= run.size();
            world.sockets[socket].read += run.size();
            self.input.push(run);
        }
        self.next_read = world.now + self.manner.read_gap;
        world.pump_soon(socket);
        while self.input.size() > 0 {
            match self.reader.read(&mut self.input, self.awaiting.front(), world) {
                Ok(None) => break,
                Ok(Some(whole)) => {
                    assert!(!self.last, "client {number}: a response after the last one");
                    self.statuses.push(whole.status);
                    self.answered_at.push(world.now);
                    self.last = whole.last;
                    self.awaiting.pop_front();
                    self.next_write = self.next_write.max(world.now + self.manner.pause);
                }
                Err(why) => panic!("client {number}: {why}\nasked: {:?}", self.awaiting.front()),
            }
        }
        let sock = &world.sockets[socket];
        if sock.outbound.size() == 0 {
            if sock.dead.is_some() {
                self.see_reset(number, world);
            } else if sock.outbound_end {
                self.see_end(number, socket, world);
            }
        }
    }

    /// The server has ended its side.
    fn see_end(&mut self, number: usize, socket: usize, world: &mut World) {
        world.sockets[socket].inbound_end = true;
        world.pump_soon(socket);
        if self.reader.end(world) {
            self.statuses.push(200);
            self.answered_at.push(world.now);
            self.awaiting.pop_front();
            self.last = true;
        } else {
            let between = self.reader.is_between();
            assert!(between, "client {number}: a response that is cut off ends cleanly");
        }
        if self.awaiting.is_empty() && self.script.is_empty() {
            self.ended = Some(Ended::Answered);
            return;
        }
        self.ended = Some(Ended::Closed);
        let excused =
            self.last || world.draining || self.manner.may_be_cut || world.sockets[socket].excused;
        assert!(excused, "client {number}: closed, but it waits for {:?}", self.awaiting.front());
    }

    fn see_reset(&mut self, number: usize, world: &World) {
        self.ended = Some(Ended::Reset);
        let socket = self.socket.expect("it is connected");
        let excused = world.sockets[socket].excused
            || world.is_past_the_end()
            || self.manner.may_be_cut
            || (self.last && self.reader.is_between())
            // A reset takes along what was sent before, and is still on its way.
            || self.awaiting.iter().any(|request| is_damaged(request, world));
        assert!(excused, "client {number}: reset, asked {:?}", self.awaiting.front());
    }
}

/// Whether what is asked for may have been cut off for a good reason.
fn is_damaged(request: &Request, world: &World) -> bool {
    match &request.wanted {
        Wanted::Object { path, .. } => {
            let told = world.library.told_since(path, request.begun);
            told.iter().any(|told| match told {
                Told::Present(source) => {
                    let source = &world.sources[source];
                    source.broken || source.cut.is_some() || source.torn
                }
                Told::Absent => false,
            })
        }
        Wanted::Growing { path } => world.library.growing_at(path).any(|one| {
            let damaged = |(source, _): &(_, _)| {
                world.sources[source].broken || world.sources[source].cut.is_some()
            };
            one.aborted || one.pieces.iter().any(damaged)
        }),
        Wanted::Answer { .. } | Wanted::Fixed { .. } => false,
    }
}
