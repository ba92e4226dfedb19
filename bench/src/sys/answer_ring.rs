//! A server's ring that gives one prebuilt answer: the raw style of `runtimes`.
//!
//! Contract: as `ring`: the value owns the response bytes, the provided buffers and the accepted
//! descriptors, and cancels everything before they go. A descriptor is closed only after its
//! standing receive has ended, so its number cannot come back in a late completion.

use std::io;
use std::net::TcpListener;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use io_uring::types::{CancelBuilder, Fd};
use io_uring::{IoUring, cqueue, opcode, squeue};

use super::provided::{GROUP, ProvidedBuffers};

/// Entries of the submission queue.
const SUBMISSIONS_MAX: u32 = 4096;

/// Buffers for requests; each is only held until its turn ends.
const BUFFER_COUNT: u16 = 1024;

/// Bytes of each: more than any request head of the generator.
const BUFFER_SIZE: u32 = 2048;

const ACCEPT: u64 = 0;
const RECEIVE: u64 = 1;
const SEND: u64 = 2;

/// What a turn brought.
pub enum Event<'a> {
    /// A connection was accepted; the number names it until it ends, and may then come again.
    Accepted(usize),
    /// Bytes of a connection. The answer is how many responses they have asked for.
    Received(usize, &'a [u8]),
}

/// The ring, its listener and its connections.
pub struct AnswerRing {
    ring: IoUring,
    buffers: ProvidedBuffers,
    response: Box<[u8]>,
    listener: TcpListener,
    connections: Vec<Option<OwnedFd>>,
}

impl AnswerRing {
    /// Listens; every response will be these bytes. Needs Linux 6.1.
    pub fn new(listener: TcpListener, response: Vec<u8>) -> io::Result<Self> {
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_submit_all()
            .setup_cqsize(SUBMISSIONS_MAX * 8)
            .build(SUBMISSIONS_MAX)?;
        let buffers = ProvidedBuffers::register(&ring.submitter(), BUFFER_COUNT, BUFFER_SIZE)?;
        let response = response.into_boxed_slice();
        let mut ring = Self { ring, buffers, response, listener, connections: Vec::new() };
        ring.accept()?;
        Ok(ring)
    }

    /// One turn: hands in, waits, and gives each event to `handle`, which answers with the number
    /// of responses to send. `completions` is room that is kept between turns.
    pub fn turn(
        &mut self,
        completions: &mut Vec<cqueue::Entry>,
        mut handle: impl FnMut(Event<'_>) -> usize,
    ) -> io::Result<()> {
        match self.ring.submit_and_wait(1) {
            Err(error) if !matches!(error.raw_os_error(), Some(libc::EINTR | libc::EBUSY)) => {
                return Err(error);
            }
            _ => {}
        }
        completions.extend(self.ring.completion());
        for completion in completions.drain(..) {
            let fd = completion.user_data() as u32 as i32;
            match completion.user_data() >> 32 {
                ACCEPT => self.accepted(&completion, &mut handle)?,
                RECEIVE => self.received(fd, &completion, &mut handle)?,
                // Only a failed send completes; the connection's receive ends as well.
                _ => {}
            }
        }
        Ok(())
    }

    fn accepted(
        &mut self,
        completion: &cqueue::Entry,
        handle: &mut impl FnMut(Event<'_>) -> usize,
    ) -> io::Result<()> {
        let fd = completion.result();
        if fd >= 0 {
            let index = fd as usize;
            if self.connections.len() <= index {
                self.connections.resize_with(index + 1, || None);
            }
            // SAFETY: the kernel has just made this descriptor for us, and nobody else owns it.
            self.connections[index] = Some(unsafe { OwnedFd::from_raw_fd(fd) });
            handle(Event::Accepted(index));
            self.receive(fd)?;
        }
        if cqueue::more(completion.flags()) { Ok(()) } else { self.accept() }
    }

    fn received(
        &mut self,
        fd: i32,
        completion: &cqueue::Entry,
        handle: &mut impl FnMut(Event<'_>) -> usize,
    ) -> io::Result<()> {
        let result = completion.result();
        if let Some(buffer) = cqueue::buffer_select(completion.flags()) {
            let bytes = self.buffers.bytes(buffer, result.max(0) as usize);
            let answers = handle(Event::Received(fd as usize, bytes));
            self.buffers.recycle(buffer);
            for _ in 0..answers {
                self.send(fd)?;
            }
        }
        if cqueue::more(completion.flags()) {
            return Ok(());
        }
        if result > 0 || -result == libc::ENOBUFS {
            return self.receive(fd);
        }
        self.connections[fd as usize] = None;
        Ok(())
    }

    fn accept(&mut self) -> io::Result<()> {
        self.push(opcode::AcceptMulti::new(Fd(self.listener.as_raw_fd())).build(), ACCEPT, 0)
    }

    fn receive(&mut self, fd: i32) -> io::Result<()> {
        self.push(opcode::RecvMulti::new(Fd(fd), GROUP).build(), RECEIVE, fd)
    }

    fn send(&mut self, fd: i32) -> io::Result<()> {
        let entry = opcode::Send::new(Fd(fd), self.response.as_ptr(), self.response.len() as u32)
            .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL)
            .build()
            .flags(squeue::Flags::SKIP_SUCCESS);
        self.push(entry, SEND, fd)
    }

    fn push(&mut self, entry: squeue::Entry, kind: u64, fd: i32) -> io::Result<()> {
        let entry = entry.user_data(kind << 32 | u64::from(fd as u32));
        loop {
            // SAFETY: the only addresses in the entries above are those of `response` and of the
            // provided buffers, which live until after the ring (see `drop`) and do not move.
            let pushed = unsafe { self.ring.submission().push(&entry) };
            if pushed.is_ok() {
                return Ok(());
            }
            self.ring.submit()?;
        }
    }
}

impl Drop for AnswerRing {
    fn drop(&mut self) {
        // NotFound means that nothing was under way.
        let _ = self.ring.submitter().register_sync_cancel(None, CancelBuilder::any());
    }
}
