//! The fake kernel: the driver's seam, played in memory, with its contract asserted.

use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;

use shardcast::catalog::Held;
use shardcast::config::{
    IDLE_GIVEN_UP_AFTER_MS, RECEIVE_BUFFER_SIZE, SENDFILE_SIZE_MAX, TURN_BYTES_MAX,
};
use shardcast::messages::{Opened, Payload, SourceId};
use shardcast::shard::kernel::{
    Completion, Errno, Kernel, Loan, Look, Operation, Outgoing, Owner, Received,
};
use shardcast::units::{Extent, Now, Ticks, UnixTime, Way};

use crate::content;
use crate::net::{SendOp, Server, Socket, next_bytes};
use crate::pipe::Run;
use crate::world::{Call, MS, Queued, ReadOp, Shared, World};

/// What is in a receive buffer that is not the driver's.
const POISON: u8 = 0xdd;

/// Turns that may pass without anything being done or waited for.
const IDLE_TURNS_MAX: u64 = 200;

/// Turns of a run; beyond it something spins.
const STEPS_MAX: u64 = 3_000_000;

/// The kernel of one shard.
#[derive(Debug)]
pub struct FakeKernel {
    world: Shared,
    buffers: Vec<Box<[u8]>>,
}

impl FakeKernel {
    pub fn new(world: Shared) -> Self {
        let count = usize::from(world.borrow().profile.buffers);
        let buffers = vec![vec![POISON; RECEIVE_BUFFER_SIZE].into_boxed_slice(); count];
        Self { world, buffers }
    }

    fn queue(&self, queued: Queued) {
        self.world.borrow_mut().queued.push(queued);
    }
}

impl World {
    fn begin(&mut self, socket: usize, operation: Operation) {
        let sock = &mut self.sockets[socket];
        assert_eq!(sock.server, Server::Open, "an operation on a closed socket");
        assert_eq!(sock.owner_of(operation), None, "one {operation:?} of a connection at a time");
        sock.in_flight += 1;
    }

    /// A direct call that sends; at most one send of any kind is in flight a connection.
    fn begin_direct_send(&mut self, socket: usize) {
        let sock = &self.sockets[socket];
        assert_eq!(sock.server, Server::Open, "a send on a closed socket");
        assert!(!sock.outbound_end, "a send after the end");
        let queued =
            self.queued.iter().any(|queued| matches!(queued, Queued::Send(of, _) if *of == socket));
        assert!(sock.send.is_none() && !queued, "a direct send beside one in flight");
        self.turn.calls += 1;
        self.counts.direct += 1;
    }

    /// Why nothing can be sent now.
    fn refusal(&mut self, socket: usize, call: Call) -> Option<Errno> {
        if let Some(errno) = self.sockets[socket].dead {
            return Some(errno);
        }
        if self.fails(call) {
            let errno =
                self.random.pick(&[Errno::CONNRESET, Errno(libc::EPIPE), Errno(libc::ETIMEDOUT)]);
            self.trace(|| format!("{call:?} on {socket} fails with {errno:?}"));
            self.kill(socket, errno);
            return Some(errno);
        }
        (self.sockets[socket].room() == 0).then_some(Errno::AGAIN)
    }

    /// How many of so many bytes the socket takes now.
    fn taken_now(&mut self, socket: usize, size: u64) -> u64 {
        let size = size.min(self.sockets[socket].room());
        // A few bytes fit into one packet's memory, or not at all.
        let short = if size < 64 { 0 } else { self.profile.short };
        if self.random.chance(short) { self.random.between(1, size) } else { size }
    }

    fn close_socket(&mut self, id: usize, reset: bool) {
        self.trace(|| format!("socket {id} is {}", if reset { "reset" } else { "closed" }));
        let sock = &mut self.sockets[id];
        assert_eq!(sock.server, Server::Open, "a socket is closed once");
        assert_eq!(sock.in_flight, 0, "a socket is closed with operations in flight");
        sock.server = Server::Closed;
        let is_short = self.connections_max <= self.clients.len()
            || self.descriptors.is_some()
            || self.accept_has_failed
            || self.profile.exhausted > 0;
        if is_short && !reset && self.now - sock.served_at >= (IDLE_GIVEN_UP_AFTER_MS - 1) * MS {
            // It was idle for long, as far as the shard can see, whose clock has milliseconds, and
            // made room.
            sock.excused = true;
        }
        self.accept_failed = None;
        let sock = &mut self.sockets[id];
        let flushed = reset || sock.dead.is_some() || sock.unflushed == 0;
        assert!(flushed, "a response that was not flushed");
        if reset || !sock.inbound.is_empty() {
            self.cut_off(id);
        } else {
            sock.outbound_end = true;
        }
        self.let_go(id);
        self.wake_client_of(id);
    }

    /// A reset: what the client has not read is lost, as far as it is still on its way.
    pub fn cut_off(&mut self, id: usize) {
        let kept = self.random.below(self.sockets[id].outbound.size() + 1);
        let sock = &mut self.sockets[id];
        let mut pipe = std::mem::take(&mut sock.outbound);
        let mut left = kept;
        while left > 0 {
            let Some(run) = pipe.pop(left) else { break };
            left -= run.size();
            sock.outbound.push(run);
        }
        sock.dead.get_or_insert(Errno::CONNRESET);
    }
}

impl Kernel for FakeKernel {
    type Socket = Socket;

    fn accept(&mut self, listener: u16) {
        self.queue(Queued::Accept(listener));
    }

    fn cancel_accept(&mut self, listener: u16) {
        self.queue(Queued::CancelAccept(listener));
    }

    fn receive(&mut self, socket: &Socket, owner: Owner) {
        self.world.borrow_mut().begin(socket.id, Operation::Receive);
        self.queue(Queued::Receive(socket.id, owner));
    }

    fn poll(&mut self, socket: &Socket, operation: Operation, owner: Owner) {
        assert!(matches!(operation, Operation::PollIn | Operation::PollOut), "no poll");
        self.world.borrow_mut().begin(socket.id, operation);
        self.queue(Queued::Poll(socket.id, operation, owner));
    }

    fn send(&mut self, socket: &Socket, outgoing: Outgoing, owner: Owner) {
        assert!(outgoing.size() > 0, "an empty send");
        let mut world = self.world.borrow_mut();
        world.counts.sends += 1;
        world.check_head(socket.id, &next_bytes(&outgoing, 0, outgoing.size()), false);
        assert!(!world.sockets[socket.id].holds, "its end would be kept back");
        world.begin(socket.id, Operation::Send);
        assert!(!world.sockets[socket.id].outbound_end, "a send after the end");
        world.queued.push(Queued::Send(socket.id, SendOp::Ring { owner, outgoing, done: 0 }));
    }

    fn send_zero_copy(&mut self, socket: &Socket, loan: Loan, extent: Extent, owner: Owner) {
        let held = &loan.held;
        let mut world = self.world.borrow_mut();
        world.begin(socket.id, Operation::Send);
        world.check_extent(held, extent);
        world.check_not_torn(held.source);
        assert!(matches!(&held.payload, Payload::File(file) if file.map.is_some()), "not mapped");
        let send = SendOp::ZeroCopy { owner, loan, extent };
        world.queued.push(Queued::Send(socket.id, send));
    }

    fn read(&mut self, held: &Held, extent: Extent, buffer: Vec<u8>, read: u32) {
        self.world.borrow_mut().check_extent(held, extent);
        self.queue(Queued::Read(ReadOp { held: Rc::clone(held), extent, buffer, read }));
    }

    fn cancel(&mut self, operation: Operation, owner: Owner) {
        self.queue(Queued::Cancel(operation, owner));
    }

    fn accept_now(&mut self, listener: u16) -> Result<Socket, Errno> {
        self.world.borrow_mut().accept_one(listener, Call::AcceptNow)
    }

    fn send_now(&mut self, socket: &Socket, bytes: &[u8], _more: bool) -> Result<usize, Errno> {
        let mut world = self.world.borrow_mut();
        world.begin_direct_send(socket.id);
        world.check_head(socket.id, bytes, true);
        if let Some(errno) = world.refusal(socket.id, Call::SendNow) {
            return Err(errno);
        }
        world.sockets[socket.id].head_waits = false;
        let size = world.taken_now(socket.id, bytes.len() as u64);
        world.put(socket.id, Run::Bytes(bytes[..size as usize].to_vec()));
        world.turn.bytes += size;
        Ok(size as usize)
    }

    fn send_file(
        &mut self,
        socket: &Socket,
        opened: &Opened,
        extent: Extent,
    ) -> Result<usize, Errno> {
        let mut world = self.world.borrow_mut();
        world.begin_direct_send(socket.id);
        world.check_extent(opened, extent);
        world.check_not_torn(opened.source);
        assert!(extent.size <= SENDFILE_SIZE_MAX as u64, "more than one call may send");
        if let Some(errno) = world.refusal(socket.id, Call::SendFile) {
            return Err(errno);
        }
        let source = &world.sources[&opened.source];
        if source.broken {
            return Err(Errno::IO);
        }
        let left = source.readable_end().saturating_sub(extent.offset).min(extent.size);
        if left == 0 {
            return Ok(0);
        }
        let size = world.taken_now(socket.id, left);
        let sent = Extent { offset: extent.offset, size };
        // To ask gives pages a state, which would make other worlds of those that do not count.
        if world.overlooks && world.resident_size(opened.source, sent) < size {
            world.counts.waited += 1;
        }
        world.put(socket.id, Run::File { source: opened.source, offset: extent.offset, size });
        world.turn.bytes += size;
        Ok(size as usize)
    }

    fn read_now(&mut self, opened: &Opened, offset: u64, into: &mut [u8]) -> Result<usize, Errno> {
        let mut world = self.world.borrow_mut();
        let extent = Extent { offset, size: into.len() as u64 };
        world.check_extent(opened, extent);
        world.check_not_torn(opened.source);
        world.turn.calls += 1;
        world.counts.direct += 1;
        if into.is_empty() {
            return Ok(0);
        }
        if world.fails(Call::ReadNow) {
            world.break_source(opened.source);
            return Err(Errno::IO);
        }
        let resident = world.resident_size(opened.source, extent);
        if resident == 0 {
            return Err(Errno::AGAIN);
        }
        let end = world.sources[&opened.source].readable_end();
        let size = resident.min(end.saturating_sub(offset)) as usize;
        content::fill(opened.source, offset, &mut into[..size]);
        Ok(size)
    }

    fn resident(&mut self, opened: &Opened, extent: Extent, look: Look) -> u64 {
        let mut world = self.world.borrow_mut();
        world.check_extent(opened, extent);
        world.turn.calls += 1;
        world.counts.direct += 1;
        let resident = world.resident_size(opened.source, extent);
        let last = Extent { offset: extent.offset + extent.size - 1, size: 1 };
        // What lies between the first and the last page may be overlooked.
        let is_overlooked = world.overlooks && look == Look::Sample && resident > 0;
        match is_overlooked && world.resident_size(opened.source, last) > 0 {
            true => extent.size,
            false => resident,
        }
    }

    fn hold_partial_packets(&mut self, socket: &Socket, hold: bool) {
        let mut world = self.world.borrow_mut();
        world.counts.direct += 1;
        let sock = &mut world.sockets[socket.id];
        assert_ne!(sock.holds, hold, "it does so already");
        (sock.holds, sock.unflushed) = (hold, 0);
        world.wake_client_of(socket.id);
    }

    fn flush(&mut self, socket: &Socket) {
        let mut world = self.world.borrow_mut();
        assert!(world.sockets[socket.id].holds, "nothing is kept back");
        world.counts.direct += 1;
        world.sockets[socket.id].unflushed = 0;
        world.wake_client_of(socket.id);
    }

    fn finish_sending(&mut self, socket: &Socket) {
        let mut world = self.world.borrow_mut();
        let sock = &world.sockets[socket.id];
        assert!(sock.send.is_none(), "the end beside a send in flight");
        assert!(sock.dead.is_some() || sock.unflushed == 0, "a response that was not flushed");
        world.sockets[socket.id].outbound_end = true;
        world.wake_client_of(socket.id);
    }

    fn close(&mut self, socket: Socket) {
        self.world.borrow_mut().close_socket(socket.id, false);
    }

    fn reset(&mut self, socket: Socket) {
        self.world.borrow_mut().close_socket(socket.id, true);
    }

    fn close_listeners(&mut self) {
        for listener in &mut self.world.borrow_mut().listeners {
            assert!(!listener.accepting, "a listener is closed while it accepts");
            listener.closed = true;
        }
    }

    fn pace(&mut self, socket: &Socket, rate: Option<u64>) {
        let mut world = self.world.borrow_mut();
        world.counts.direct += 1;
        let sock = &mut world.sockets[socket.id];
        assert_eq!(sock.server, Server::Open, "the rate of a closed socket");
        assert_ne!(sock.pace, rate, "it goes so fast already");
        sock.pace = rate;
    }

    fn way(&mut self, socket: &Socket) -> Option<Way> {
        assert_eq!(self.world.borrow().sockets[socket.id].server, Server::Open, "a closed socket");
        Some(Way { round_trip_us: 2_000, rate: 1_000_000 })
    }

    fn unconfirmed(&mut self, socket: &Socket) -> u64 {
        self.world.borrow().sockets[socket.id].outbound.size()
    }

    fn peer(&self, socket: &Socket) -> Option<IpAddr> {
        let world = self.world.borrow();
        let client = world.sockets[socket.id].client;
        Some(IpAddr::V4(Ipv4Addr::new(127, 0, 0, world.clients[client].manner.address)))
    }

    fn now(&mut self) -> Now {
        let world = self.world.borrow();
        let seconds = world.unix + world.now / (1000 * MS);
        let ticks = Ticks(world.now / MS);
        Now { unix: UnixTime(seconds), millis: 0, ticks, nanos: world.now }
    }

    fn enter(&mut self, wait_ms: Option<u64>) -> Result<(), Errno> {
        let mut world = self.world.borrow_mut();
        world.end_turn(wait_ms);
        world.step += 1;
        assert!(world.step < STEPS_MAX, "the run does not end");
        world.now += 1_000 + world.turn.bytes / 8;
        world.turn = crate::world::Turn { idle: world.turn.idle, ..Default::default() };
        world.submit();
        world.wait(wait_ms);
        Ok(())
    }

    fn submit(&mut self) {
        self.world.borrow_mut().submit();
    }

    fn completion(&mut self) -> Option<Completion<Socket>> {
        let (completion, bytes) = self.world.borrow_mut().reap()?;
        if let Completion::Received { result: Ok(Some(received)), .. } = &completion {
            self.buffers[usize::from(received.buffer)][..bytes.len()].copy_from_slice(&bytes);
        }
        Some(completion)
    }

    fn received(&self, received: &Received) -> &[u8] {
        &self.buffers[usize::from(received.buffer)][..received.size as usize]
    }

    fn give_back(&mut self, received: Received) {
        let mut world = self.world.borrow_mut();
        assert!(!world.buffers_free.contains(&received.buffer), "a buffer is given back once");
        world.buffers_free.push(received.buffer);
        world.buffers_held -= 1;
        self.buffers[usize::from(received.buffer)].fill(POISON);
    }
}

impl World {
    /// What must hold at the end of a turn.
    fn end_turn(&mut self, wait_ms: Option<u64>) {
        assert_eq!(self.buffers_held, 0, "a receive buffer outlives the turn");
        let most = (TURN_BYTES_MAX + SENDFILE_SIZE_MAX) as u64;
        assert!(self.turn.bytes <= most, "{} bytes are sent in one turn", self.turn.bytes);
        let busy = self.turn.calls + self.turn.completions > 0 || !self.queued.is_empty();
        if wait_ms == Some(0) && !busy {
            self.turn.idle += 1;
            assert!(self.turn.idle < IDLE_TURNS_MAX, "the shard spins");
        } else {
            self.turn.idle = 0;
        }
    }

    fn wait(&mut self, wait_ms: Option<u64>) {
        let until = wait_ms.map(|ms| self.now + ms * MS);
        loop {
            self.run_events();
            let spurious = self.profile.spurious;
            if wait_ms == Some(0) || !self.ready.is_empty() || self.random.chance(spurious) {
                return;
            }
            match (self.next_event_at(), until) {
                (Some(at), Some(until)) if at > until => {
                    self.now = until;
                    return;
                }
                (Some(at), _) => self.now = at,
                (None, Some(until)) => {
                    self.now = until;
                    return;
                }
                (None, None) => panic!("the shard sleeps for ever"),
            }
        }
    }

    /// The next completion: any that is the first of its lane.
    fn reap(&mut self) -> Option<(Completion<Socket>, Vec<u8>)> {
        if self.ready.is_empty() {
            return None;
        }
        let any = self.random.below(self.ready.len() as u64) as usize;
        let lane = self.ready[any].lane;
        let first = self.ready.iter().position(|ready| ready.lane == lane).expect("it is there");
        let ready = self.ready.remove(first);
        self.turn.completions += 1;
        let socket = ready.lane.0;
        let last = match &ready.completion {
            Completion::Received { result, more, .. } => {
                self.buffers_held += usize::from(matches!(result, Ok(Some(_))));
                !more
            }
            Completion::Polled { .. }
            | Completion::Sent { .. }
            | Completion::SentZeroCopy { .. } => true,
            _ => false,
        };
        if last {
            self.sockets[socket].in_flight -= 1;
        }
        self.trace(|| format!("socket {} {}", socket as isize, brief(&ready.completion)));
        Some((ready.completion, ready.bytes))
    }

    /// Nothing may be read that the index does not promise.
    fn check_extent(&self, opened: &Opened, extent: Extent) {
        let source = &self.sources[&opened.source];
        let end = extent.offset + extent.size;
        assert!(end <= source.size, "bytes {extent:?} of {} are asked for", source.size);
    }

    /// Bytes of a source that the shard knows to be torn are not sent.
    fn check_not_torn(&self, source: SourceId) {
        assert!(!self.sources[&source].torn, "bytes of torn {source:?} are sent");
    }

    pub fn put(&mut self, socket: usize, run: Run) {
        if run.size() == 0 {
            return;
        }
        self.taken += run.size();
        self.trace(|| format!("socket {socket} takes {} bytes", run.size()));
        self.sockets[socket].served_at = self.now;
        self.sockets[socket].put(run);
        self.wake_client_of(socket);
    }
}

fn brief(completion: &Completion<Socket>) -> String {
    match completion {
        Completion::Sent { owner, result, .. } => format!("sent {result:?} for {owner}"),
        Completion::SentZeroCopy { owner, result, loan } => {
            format!("sent zero-copy {result:?} for {owner}, given back {}", loan.is_some())
        }
        Completion::LetGo { owner, copied, .. } => format!("let go, copied {copied}, for {owner}"),
        Completion::Read { read, result, .. } => format!("read {read}: {result:?}"),
        other => format!("{other:?}"),
    }
}
