//! Operations in flight: how they get on, complete, fail and are cancelled.

use shardcast::catalog::Held;
use shardcast::config::{COLD_CHUNK_SIZE, RECEIVE_BUFFER_SIZE};
use shardcast::messages::{Payload, SourceId};
use shardcast::shard::kernel::{Completion, Errno, Operation, Owner, Received};
use shardcast::units::Extent;

use crate::content::bytes_of;
use crate::net::{Lent, SendOp, Server, Socket, next_bytes};
use crate::pipe::Run;
use crate::random::mixed;
use crate::world::{Call, Event, MS, NO_SOCKET, Queued, ReadOp, World};

/// Memory of files comes and goes in pieces of this size.
const PAGES_SIZE: u64 = 64 * 1024;

impl World {
    /// What the driver queued reaches the kernel, in its order.
    pub fn submit(&mut self) {
        for queued in std::mem::take(&mut self.queued) {
            match queued {
                Queued::Accept(listener) => self.begin_accept(listener),
                Queued::CancelAccept(listener) => self.cancel_accept(listener),
                Queued::Receive(socket, owner) => {
                    self.sockets[socket].receive = Some(owner);
                    self.pump_soon(socket);
                }
                Queued::Poll(socket, operation, owner) => self.begin_poll(socket, operation, owner),
                Queued::Send(socket, send) => {
                    self.sockets[socket].send = Some(send);
                    self.pump_soon(socket);
                }
                Queued::Read(read) if self.hangs(&read.held) => self.hanging.push(read),
                Queued::Read(read) => self.soon(Event::Read(read)),
                Queued::Cancel(operation, owner) => self.cancel(operation, owner),
            }
        }
    }

    fn hangs(&self, held: &Held) -> bool {
        matches!(&held.payload, Payload::File(file) if self.hanging_devices.contains(&file.device))
    }

    fn begin_poll(&mut self, socket: usize, operation: Operation, owner: Owner) {
        match operation {
            Operation::PollIn => self.sockets[socket].poll_in = Some(owner),
            _ => self.sockets[socket].poll_out = Some(owner),
        }
        self.pump_soon(socket);
    }

    /// Lets everything on a socket get on as far as it can.
    pub fn pump(&mut self, socket: usize) {
        self.pump_receive(socket);
        self.pump_polls(socket);
        self.pump_send(socket);
    }

    fn pump_receive(&mut self, socket: usize) {
        while let Some(owner) = self.sockets[socket].receive
            && self.sockets[socket].is_readable()
        {
            let (result, more, bytes) = self.received(socket);
            if !more {
                self.sockets[socket].receive = None;
            }
            let completion = Completion::Received { owner, result, more };
            self.complete((socket, Some(Operation::Receive)), completion, bytes);
        }
    }

    /// What a receive on a readable socket says next.
    fn received(&mut self, socket: usize) -> (Result<Option<Received>, Errno>, bool, Vec<u8>) {
        if self.sockets[socket].dead.is_none() && self.fails(Call::Receive) {
            self.kill(socket, Errno::CONNRESET);
        }
        if let Some(errno) = self.sockets[socket].dead {
            return (Err(errno), false, Vec::new());
        }
        let lost = self.profile.lost;
        if self.random.chance(lost) {
            return (Err(self.random.pick(&[Errno::CANCELED, Errno::NOBUFS])), false, Vec::new());
        }
        let available = self.sockets[socket].inbound.len();
        if available == 0 {
            return (Ok(None), false, Vec::new());
        }
        let Some(buffer) = self.buffers_free.pop() else {
            return (Err(Errno::NOBUFS), false, Vec::new());
        };
        let mut size = available.min(RECEIVE_BUFFER_SIZE);
        if self.random.chance(self.profile.short) {
            size = self.random.between(1, size as u64) as usize;
        }
        let bytes: Vec<u8> = self.sockets[socket].inbound.drain(..size).collect();
        self.wake_client_of(socket);
        let more = !self.random.chance(lost);
        (Ok(Some(Received { buffer, size: size as u32 })), more, bytes)
    }

    fn pump_polls(&mut self, socket: usize) {
        let spurious = self.profile.spurious;
        for operation in [Operation::PollIn, Operation::PollOut] {
            let Some(owner) = self.sockets[socket].owner_of(operation) else { continue };
            let sock = &self.sockets[socket];
            let found = match operation {
                Operation::PollIn => sock.is_readable(),
                _ => sock.is_writable(),
            };
            if !found && !self.random.chance(spurious) {
                continue;
            }
            let call = if operation == Operation::PollIn { Call::PollIn } else { Call::PollOut };
            let result = if self.fails(call) {
                self.sockets[socket].excused = true;
                Err(self.random.pick(&[Errno::CANCELED, Errno(libc::ENOMEM)]))
            } else {
                Ok(())
            };
            self.end_poll(socket, operation, owner, result);
        }
    }

    fn end_poll(
        &mut self,
        socket: usize,
        operation: Operation,
        owner: Owner,
        result: Result<(), Errno>,
    ) {
        match operation {
            Operation::PollIn => self.sockets[socket].poll_in = None,
            _ => self.sockets[socket].poll_out = None,
        }
        let completion = Completion::Polled { owner, operation, result };
        self.complete((socket, Some(operation)), completion, Vec::new());
    }

    fn pump_send(&mut self, socket: usize) {
        match self.sockets[socket].send {
            Some(SendOp::Ring { .. }) => self.pump_ring_send(socket),
            Some(SendOp::ZeroCopy { .. }) => self.pump_zero_copy(socket),
            None => {}
        }
        self.let_go(socket);
    }

    fn pump_ring_send(&mut self, socket: usize) {
        if self.sockets[socket].dead.is_none() && self.fails(Call::Send) {
            self.kill(socket, Errno(libc::EPIPE));
        }
        let short = self.profile.short;
        let stops = self.random.chance(short);
        let sock = &mut self.sockets[socket];
        let (room, dead) = (sock.room(), sock.dead);
        let Some(SendOp::Ring { outgoing, done, .. }) = &mut sock.send else { return };
        let wanted = outgoing.size() - *done;
        if dead.is_none() {
            let bytes = next_bytes(outgoing, *done, wanted.min(room as usize));
            *done += bytes.len();
            self.put(socket, Run::Bytes(bytes));
        }
        let Some(SendOp::Ring { outgoing, done, .. }) = &self.sockets[socket].send else { return };
        let (done, whole) = (*done, *done == outgoing.size());
        // MSG_WAITALL goes on by itself, but an interrupted or failing send ends with what it has.
        if whole || dead.is_some() || (stops && done > 0) {
            let result = if done > 0 { Ok(done) } else { Err(dead.unwrap_or(Errno::CANCELED)) };
            self.end_ring_send(socket, result);
        }
    }

    fn end_ring_send(&mut self, socket: usize, result: Result<usize, Errno>) {
        let Some(SendOp::Ring { owner, outgoing, .. }) = self.sockets[socket].send.take() else {
            return;
        };
        let completion = Completion::Sent { owner, result, outgoing };
        self.complete((socket, Some(Operation::Send)), completion, Vec::new());
    }

    fn pump_zero_copy(&mut self, socket: usize) {
        if self.sockets[socket].dead.is_none() && self.fails(Call::ZeroCopy) {
            if self.random.chance(500) {
                self.kill(socket, Errno::CONNRESET);
            } else {
                // No room to pin pages: nothing is sent, and nothing follows.
                self.end_zero_copy(socket, Err(Errno(libc::ENOMEM)), false);
                return;
            }
        }
        let sock = &self.sockets[socket];
        let Some(SendOp::ZeroCopy { loan, extent, .. }) = &sock.send else { return };
        let (id, extent) = (loan.held.source, *extent);
        if let Some(errno) = sock.dead {
            let notified = self.random.chance(500);
            self.end_zero_copy(socket, Err(errno), notified);
            return;
        }
        let source = &self.sources[&id];
        let left = source.readable_end().saturating_sub(extent.offset).min(extent.size);
        if source.broken || left == 0 {
            // As Linux does: an error, and a notification all the same.
            self.end_zero_copy(socket, Err(Errno::FAULT), true);
            return;
        }
        let size = left.min(self.sockets[socket].room());
        if size == 0 {
            return;
        }
        let short = self.profile.short;
        let size = if self.random.chance(short) { self.random.between(1, size) } else { size };
        self.put(socket, Run::File { source: id, offset: extent.offset, size });
        self.end_zero_copy(socket, Ok(size as usize), true);
    }

    fn end_zero_copy(&mut self, socket: usize, result: Result<usize, Errno>, notified: bool) {
        let sock = &mut self.sockets[socket];
        let Some(SendOp::ZeroCopy { owner, loan, .. }) = sock.send.take() else { return };
        let given_back = if notified {
            sock.lent.push(Lent { owner, loan, until: sock.taken });
            None
        } else {
            Some(loan)
        };
        let completion = Completion::SentZeroCopy { owner, result, loan: given_back };
        self.complete((socket, Some(Operation::Send)), completion, Vec::new());
    }

    /// Notifies of zero-copy sends whose bytes the client has, or will never have.
    pub fn let_go(&mut self, socket: usize) {
        let copied = self.profile.copied;
        let mut number = 0;
        while number < self.sockets[socket].lent.len() {
            let sock = &self.sockets[socket];
            let over = sock.dead.is_some();
            let Lent { owner, until, .. } = sock.lent[number];
            let copied = self.random.chance(copied);
            if !(over || copied || self.sockets[socket].read >= until) {
                number += 1;
                continue;
            }
            let loan = self.sockets[socket].lent.remove(number).loan;
            // In the lane of the send, so that it comes after its result.
            let completion = Completion::LetGo { owner, copied, loan };
            self.complete((socket, Some(Operation::Send)), completion, Vec::new());
        }
    }

    fn cancel(&mut self, operation: Operation, owner: Owner) {
        let socket = (0..self.sockets.len())
            .find(|&socket| self.sockets[socket].owner_of(operation) == Some(owner));
        if let Some(socket) = socket {
            self.cancel_one(socket, operation);
        }
    }

    /// Cancels what is in flight; now and then it had just come to its end by itself.
    fn cancel_one(&mut self, socket: usize, operation: Operation) {
        if self.random.chance(300) {
            self.pump(socket);
        }
        let Some(owner) = self.sockets[socket].owner_of(operation) else { return };
        match operation {
            Operation::Receive => {
                self.sockets[socket].receive = None;
                let result = Err(Errno::CANCELED);
                let completion = Completion::Received { owner, result, more: false };
                self.complete((socket, Some(operation)), completion, Vec::new());
            }
            Operation::PollIn | Operation::PollOut => {
                self.end_poll(socket, operation, owner, Err(Errno::CANCELED));
            }
            Operation::Send => match &self.sockets[socket].send {
                Some(SendOp::Ring { done: 0, .. }) => {
                    self.end_ring_send(socket, Err(Errno::CANCELED));
                }
                Some(SendOp::Ring { done, .. }) => self.end_ring_send(socket, Ok(*done)),
                _ => self.end_zero_copy(socket, Err(Errno::CANCELED), false),
            },
        }
    }

    fn begin_accept(&mut self, listener: u16) {
        let place = usize::from(listener);
        assert!(!self.listeners[place].accepting, "one accept of a listener at a time");
        if let Some(at) = self.accept_failed {
            assert!(self.now - at >= 20 * MS, "accepting spins while descriptors are short");
        }
        self.listeners[place].accepting = true;
        self.soon(Event::Accept(listener));
    }

    fn cancel_accept(&mut self, listener: u16) {
        if std::mem::take(&mut self.listeners[usize::from(listener)].accepting) {
            let completion =
                Completion::Accepted { listener, result: Err(Errno::CANCELED), more: false };
            self.complete((NO_SOCKET, None), completion, Vec::new());
        }
    }

    pub fn pump_accept(&mut self, listener: u16) {
        let place = usize::from(listener);
        while self.listeners[place].accepting && !self.listeners[place].queue.is_empty() {
            let result = self.accept_one(listener, Call::Accept);
            let lost = self.profile.lost;
            let more = result.is_ok() && !self.random.chance(lost);
            self.listeners[place].accepting = more;
            if result.is_err() {
                self.accept_failed = Some(self.now);
                self.accept_has_failed = true;
            }
            let completion = Completion::Accepted { listener, result, more };
            self.complete((NO_SOCKET, None), completion, Vec::new());
        }
    }

    pub fn accept_one(&mut self, listener: u16, call: Call) -> Result<Socket, Errno> {
        let exhausted = self.profile.exhausted;
        if self.random.chance(exhausted) {
            self.out_of_descriptors_until = self.now + self.random.below(400 * MS);
        }
        let open = |sock: &&crate::net::Sock| sock.server == Server::Open;
        let is_full =
            self.descriptors.is_some_and(|most| self.sockets.iter().filter(open).count() >= most);
        if is_full || self.now < self.out_of_descriptors_until || self.fails(call) {
            return Err(self.random.pick(&[
                Errno(libc::EMFILE),
                Errno::NOBUFS,
                Errno(libc::ENFILE),
            ]));
        }
        let id = self.listeners[usize::from(listener)].queue.pop_front().ok_or(Errno::AGAIN)?;
        self.trace(|| format!("socket {id} is accepted"));
        self.sockets[id].server = Server::Open;
        self.sockets[id].served_at = self.now;
        Ok(Socket { id })
    }

    pub fn finish_read(&mut self, operation: ReadOp) {
        let ReadOp { held, extent, mut buffer, read } = operation;
        let id = held.source;
        if self.fails(Call::Read) {
            self.break_source(id);
        }
        let source = &self.sources[&id];
        let result = if source.broken {
            Err(Errno::IO)
        } else {
            Ok(source.readable_end().saturating_sub(extent.offset).min(extent.size) as usize)
        };
        self.note_read(&held, extent);
        let pages = extent.offset / PAGES_SIZE..=(extent.offset + extent.size - 1) / PAGES_SIZE;
        for page in pages {
            let evicted = self.profile.evicted;
            let stays = !self.random.chance(evicted);
            self.resident.insert((id, page), stays);
        }
        buffer.clear();
        if let Ok(size) = result {
            let read = Extent { offset: extent.offset, size: size as u64 };
            buffer.extend(bytes_of(id, read));
        }
        // Reads end in any order.
        let lane = (NO_SOCKET - 1 - read as usize, None);
        self.complete(lane, Completion::Read { read, result, buffer }, Vec::new());
    }

    fn note_read(&mut self, held: &Held, extent: Extent) {
        assert!(extent.size <= COLD_CHUNK_SIZE as u64, "a chunk is read at a time");
        *self.reads.entry((held.source, extent.offset)).or_insert(0) += 1;
    }

    /// How much of an extent, from its start, is in memory.
    pub fn resident_size(&mut self, source: SourceId, extent: Extent) -> u64 {
        let cold = self.profile.cold;
        let mut size = 0;
        while size < extent.size {
            let page = (extent.offset + size) / PAGES_SIZE;
            let first = mixed(source.0 << 20 ^ page) % 1000 >= cold;
            if !*self.resident.entry((source, page)).or_insert(first) {
                break;
            }
            size = ((page + 1) * PAGES_SIZE - extent.offset).min(extent.size);
        }
        size
    }

    pub fn break_source(&mut self, source: SourceId) {
        self.trace(|| format!("the disk fails under {source:?}"));
        self.sources.get_mut(&source).expect("it is there").broken = true;
    }
}
