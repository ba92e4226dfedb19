//! The generator's ring: requests go out of one prebuilt arena, responses come in by three ways.
//!
//! Contract: the ring owns everything the kernel may touch for it: the request bytes, the provided
//! buffers, the landing memory of large receives, and the sockets. On drop every operation is
//! cancelled synchronously before any of that memory goes. Sockets live in the ring's own table
//! (direct descriptors), which saves a reference count an operation.
//!
//! It knows slots and byte ranges. It does not know HTTP.

use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use io_uring::types::{CancelBuilder, Fixed, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};
use socket2::Socket;

use super::mapping::Mapping;
use super::provided::{GROUP, ProvidedBuffers};

/// Entries of the submission queue; when it is full it is handed to the kernel at once.
const SUBMISSIONS_MAX: u32 = 4096;

/// How bodies of large responses are taken off a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taking {
    /// Dropped inside the kernel (MSG_TRUNC): the receiver's copy is not part of the measurement.
    Discard,
    /// Copied into memory of this program, as a player would.
    Read,
}

/// What a ring is made of.
pub struct Shape {
    /// One for each connection.
    pub slot_count: u32,
    /// Buffers for heads and small responses: a power of two.
    pub buffer_count: u16,
    /// Bytes of each.
    pub buffer_size: u32,
    /// Whether large bodies are copied.
    pub taking: Taking,
    /// Largest single receive of a large body, in bytes.
    pub take_size_max: u32,
}

/// Which operation of a slot has completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Operation {
    /// A request was not sent; success is silent.
    Send = 0,
    /// The standing receive brought bytes, or ended.
    Stream = 1,
    /// One receive into a provided buffer.
    Head = 2,
    /// One receive of a large body, thrown away or copied.
    Take = 3,
}

/// One completion, decoded.
#[derive(Clone, Copy, Debug)]
pub struct Completion {
    /// The connection's slot.
    pub slot: u32,
    /// What has completed.
    pub operation: Operation,
    /// Bytes, or a negative errno.
    pub result: i32,
    /// The provided buffer that holds the bytes, if any.
    pub buffer: Option<u16>,
    /// The standing receive goes on.
    pub more: bool,
    /// More bytes were waiting when this one completed.
    pub nonempty: bool,
}

/// When a turn comes back.
#[derive(Clone, Copy, Debug)]
pub struct Wait {
    /// Completions to wait for.
    pub want: usize,
    /// After this long, one completion is enough. Needs Linux 6.12; older kernels wait for one.
    pub gather: Duration,
    /// Come back after this long in any case.
    pub at_most: Duration,
}

/// The generator's ring.
pub struct LoadRing {
    ring: IoUring,
    buffers: ProvidedBuffers,
    landing: Mapping,
    requests: Arc<[u8]>,
    sockets: Vec<Option<Socket>>,
    take_size_max: u32,
    take_flags: i32,
    gathers: bool,
}

impl LoadRing {
    /// A ring for `shape`, with all request bytes it will ever send. Needs Linux 6.1.
    pub fn new(shape: &Shape, requests: Arc<[u8]>) -> io::Result<Self> {
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_submit_all()
            .setup_cqsize((shape.slot_count * 4).next_power_of_two().max(SUBMISSIONS_MAX * 2))
            .build(SUBMISSIONS_MAX)?;
        ring.submitter().register_files_sparse(shape.slot_count)?;
        let buffers =
            ProvidedBuffers::register(&ring.submitter(), shape.buffer_count, shape.buffer_size)?;
        let landing = match shape.taking {
            Taking::Discard => Mapping::forbidden(shape.take_size_max as usize)?,
            Taking::Read => Mapping::new(shape.take_size_max as usize)?,
        };
        let gathers = ring.params().is_feature_min_timeout();
        let sockets = (0..shape.slot_count).map(|_| None).collect();
        Ok(Self {
            ring,
            buffers,
            landing,
            requests,
            sockets,
            take_size_max: shape.take_size_max,
            take_flags: match shape.taking {
                Taking::Discard => libc::MSG_TRUNC,
                Taking::Read => 0,
            },
            gathers,
        })
    }

    /// Puts a connected socket into a slot, or takes the old one out.
    pub fn place(&mut self, slot: u32, socket: Option<Socket>) -> io::Result<()> {
        let fd = socket.as_ref().map_or(-1, AsRawFd::as_raw_fd);
        // An update replaces what was there; operations under way keep their own reference.
        self.ring.submitter().register_files_update(slot, &[fd])?;
        self.sockets[slot as usize] = socket;
        Ok(())
    }

    /// Ends a connection, so that its standing receive completes.
    pub fn shut_down(&self, slot: u32) {
        if let Some(socket) = &self.sockets[slot as usize] {
            // A peer that has gone already makes this fail, and then there is nothing to end.
            let _ = socket.shutdown(std::net::Shutdown::Both);
        }
    }

    /// Sends a range of the requests given at `new`. Only failure makes a completion.
    pub fn send(&mut self, slot: u32, request: Range<usize>) -> io::Result<()> {
        let bytes = &self.requests[request];
        let size = u32::try_from(bytes.len()).expect("a request is shorter than 4 GiB");
        let entry = opcode::Send::new(Fixed(slot), bytes.as_ptr(), size)
            .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL)
            .build()
            .flags(squeue::Flags::SKIP_SUCCESS);
        self.push(entry, slot, Operation::Send)
    }

    /// Arms a receive that stands until the connection ends, into provided buffers.
    pub fn stream(&mut self, slot: u32) -> io::Result<()> {
        let entry = opcode::RecvMulti::new(Fixed(slot), GROUP).build();
        self.push(entry, slot, Operation::Stream)
    }

    /// Receives once into a provided buffer; `soon` tells that bytes may be there already.
    pub fn head(&mut self, slot: u32, soon: bool) -> io::Result<()> {
        let entry = opcode::Recv::new(Fixed(slot), std::ptr::null_mut(), 0)
            .buf_group(GROUP)
            .ioprio(poll_first(!soon))
            .build()
            .flags(squeue::Flags::BUFFER_SELECT);
        self.push(entry, slot, Operation::Head)
    }

    /// Takes up to `size` bytes of a body off the socket.
    pub fn take(&mut self, slot: u32, size: u64, soon: bool) -> io::Result<()> {
        let size = u32::try_from(size).unwrap_or(u32::MAX).min(self.take_size_max);
        let entry = opcode::Recv::new(Fixed(slot), self.landing.start(), size)
            .flags(self.take_flags)
            .ioprio(poll_first(!soon))
            .build();
        self.push(entry, slot, Operation::Take)
    }

    /// The bytes that a completion brought.
    pub fn bytes(&self, buffer: u16, size: usize) -> &[u8] {
        self.buffers.bytes(buffer, size)
    }

    /// Gives a buffer back to the kernel.
    pub fn recycle(&mut self, buffer: u16) {
        self.buffers.recycle(buffer);
    }

    /// Hands in what was pushed, waits, and appends what has completed: one system call.
    pub fn turn(&mut self, wait: Wait, completions: &mut Vec<Completion>) -> io::Result<()> {
        let at_most = Timespec::from(wait.at_most);
        let mut arguments = SubmitArgs::new().timespec(&at_most);
        let want = if self.gathers && wait.want > 1 {
            let microseconds = u32::try_from(wait.gather.as_micros()).unwrap_or(u32::MAX);
            arguments = arguments.min_wait_usec(microseconds);
            wait.want
        } else {
            1
        };
        match self.ring.submitter().submit_with_args(want, &arguments) {
            Ok(_) => {}
            // ETIME: nothing came in time. EBUSY: completions must be taken first.
            Err(error) if is_passing(&error) => {}
            Err(error) => return Err(error),
        }
        completions.extend(self.ring.completion().map(|entry| decode(&entry)));
        Ok(())
    }

    fn push(&mut self, entry: squeue::Entry, slot: u32, operation: Operation) -> io::Result<()> {
        let entry = entry.user_data(u64::from(operation as u8) << 32 | u64::from(slot));
        loop {
            // SAFETY: every address in the entries made above lies in `requests`, `landing` or
            // `buffers`, which live until after the ring (see `drop`) and do not move.
            let pushed = unsafe { self.ring.submission().push(&entry) };
            if pushed.is_ok() {
                return Ok(());
            }
            match self.ring.submit() {
                Ok(_) => {}
                Err(error) if is_passing(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for LoadRing {
    fn drop(&mut self) {
        // The fields are dropped after this, the ring before the memory; a cancelled operation no
        // longer refers to it. NotFound means that nothing was under way.
        let _ = self.ring.submitter().register_sync_cancel(None, CancelBuilder::any());
    }
}

fn poll_first(yes: bool) -> u16 {
    // IORING_RECVSEND_POLL_FIRST: the socket is known to be empty, so do not try first.
    u16::from(yes)
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN))
}

fn decode(entry: &cqueue::Entry) -> Completion {
    let data = entry.user_data();
    Completion {
        slot: data as u32,
        operation: match data >> 32 {
            0 => Operation::Send,
            1 => Operation::Stream,
            2 => Operation::Head,
            _ => Operation::Take,
        },
        result: entry.result(),
        buffer: cqueue::buffer_select(entry.flags()),
        more: cqueue::more(entry.flags()),
        nonempty: cqueue::sock_nonempty(entry.flags()),
    }
}
