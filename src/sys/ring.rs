//! The real kernel: one io_uring ring, its buffers, and direct calls.
//!
//! What an operation in flight keeps alive: a send, zero-copy send or read owns its bytes through a
//! slot (`sys::slots`) until its last completion; a receive uses `sys::buffers`. Sockets are the
//! driver's: it closes one only after every operation on it has completed. Dropping the ring first
//! cancels what is in flight and waits for it; memory that the kernel still used after that would
//! be a bug of ours, so then the process aborts.

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::mem::ManuallyDrop;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use io_uring::types::{CancelBuilder, Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};

use super::buffers::{Buffers, GROUP};
use super::calls;
use super::enter;
use super::features::Features;
use super::names::{self, Kind, name};
use super::residency::Looker;
use super::restrict;
use super::slots::{OtherSlot, Prepared, Slots};
use crate::catalog::Held;
use crate::config::COLD_READS_ALL_MAX;
use crate::messages::{FilePayload, Opened, Payload, Residency};
use crate::shard::kernel::{
    Completion, Errno, Kernel, Loan, Look, Operation, Outgoing, Owner, Received,
};
use crate::units::{Extent, Now, Way};

/// Operations queued in one turn before they are submitted early.
const SUBMISSIONS: u32 = 1024;

/// Completions held for us; more are kept by the kernel, a little slower (IORING_FEAT_NODROP).
const COMPLETIONS: u32 = 8192;

/// Threads of the kernel for cold reads, a ring: one a read, so that none waits for one that hangs.
const WORKERS_MAX: u32 = COLD_READS_ALL_MAX as u32;

/// Calls that run deferred work in one turn that does not sleep; what is left runs in the next.
const WORK_CALLS_MAX: usize = 16;

/// One shard's ring.
pub struct Ring {
    ring: IoUring,
    /// Under which index this thread has registered the ring's descriptor.
    index: Option<u32>,
    // Into these the kernel reads and writes: they go when it has nothing more to do there.
    buffers: ManuallyDrop<Buffers>,
    slots: ManuallyDrop<Slots>,
    /// The name of each owner's last send; grows to the highest owner, and stays.
    sends: Vec<u64>,
    listeners: Vec<OwnedFd>,
    bell: Arc<File>,
    /// Operations the kernel has not completed for the last time.
    in_flight: usize,
    /// Turns that found completions which had no room in the ring.
    overflows: Rc<Cell<u64>>,
    epoch: u64,
    looker: Looker,
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ring").field("in_flight", &self.in_flight).finish_non_exhaustive()
    }
}

impl Ring {
    /// A ring for this thread, which listens on `listeners` and hears `bell`.
    ///
    /// # Errors
    ///
    /// `ENOSYS`, `EPERM` or `ENOMEM` where io_uring is missing, forbidden or out of locked memory;
    /// `EINVAL` on kernels before 6.1.
    pub fn new(listeners: Vec<OwnedFd>, bell: Arc<File>, features: Features) -> io::Result<Self> {
        Self::sized(listeners, bell, features, (SUBMISSIONS, COMPLETIONS))
    }

    /// As `new`, with room for so many submissions and completions, which the kernel rounds up. A
    /// smaller ring is slower, not wrong.
    ///
    /// # Errors
    ///
    /// As `new`.
    pub fn sized(
        listeners: Vec<OwnedFd>,
        bell: Arc<File>,
        mut features: Features,
        (submissions, completions): (u32, u32),
    ) -> io::Result<Self> {
        let build = |no_sqarray: bool| {
            let mut builder = IoUring::builder();
            builder
                .setup_single_issuer()
                .setup_defer_taskrun()
                .setup_taskrun_flag()
                .setup_submit_all()
                .setup_r_disabled()
                .setup_cqsize(completions)
                .setup_clamp();
            if no_sqarray {
                builder.setup_no_sqarray();
            }
            builder.build(submissions)
        };
        let ring = match build(features.no_sqarray) {
            Err(error) if features.no_sqarray && error.raw_os_error() == Some(libc::EINVAL) => {
                features.no_sqarray = false;
                build(false)?
            }
            built => built?,
        };
        let index = if features.registered_ring { enter::register_descriptor(&ring) } else { None };
        features.registered_ring = index.is_some();
        // A failure only means that the kernel's own bound holds.
        let _ = ring.submitter().register_iowq_max_workers(&mut [WORKERS_MAX, WORKERS_MAX]);
        let mut buffers = Buffers::new()?;
        buffers.register(&ring.submitter())?;
        restrict::restrict(&ring.submitter())?;
        let mut this = Self {
            ring,
            index,
            buffers: ManuallyDrop::new(buffers),
            slots: ManuallyDrop::default(),
            sends: Vec::new(),
            listeners,
            bell,
            in_flight: 0,
            overflows: Rc::default(),
            epoch: calls::monotonic_nanos(),
            looker: Looker::new(features.cachestat),
        };
        this.hear_bell();
        Ok(this)
    }

    /// Counts the turns that found completions which had no room in the ring: the kernel kept them
    /// (IORING_FEAT_NODROP), and hands them over as soon as there is room.
    #[must_use]
    pub fn overflows(&self) -> Rc<Cell<u64>> {
        Rc::clone(&self.overflows)
    }

    fn queue(&mut self, entry: &squeue::Entry) {
        self.in_flight += 1;
        loop {
            // SAFETY: what the entry points to is in a slot, a registered buffer or nothing, and so
            // outlives the operation (module contract).
            if unsafe { self.ring.submission().push(entry) }.is_ok() {
                return;
            }
            // The queue is full: submit early, but run no deferred work, or a turn could go on for
            // ever. EBUSY and EAGAIN pass once completions are reaped, for which that is needed.
            if self.call(0, 0, None).is_err() {
                let _ = self.call(0, enter::GETEVENTS, None);
            }
        }
    }

    /// Submits everything that is queued, and waits for so many completions.
    fn call(&mut self, want: u32, flags: u32, wait: Option<&SubmitArgs<'_, '_>>) -> io::Result<()> {
        // Dropping the queue's guard tells the kernel what was pushed.
        let queued = self.ring.submission().len() as u32;
        // SAFETY: what the queued entries point to outlives them (`queue`).
        unsafe { enter::enter(&self.ring, self.index, queued, want, flags, wait) }
    }

    /// Submits, and lets the kernel complete what is ready. It does so only in a call that asks for
    /// events, and since Linux 6.13 just 20 of them a call.
    fn run_deferred_work(&mut self) -> io::Result<()> {
        for _ in 0..WORK_CALLS_MAX {
            self.call(0, enter::GETEVENTS, None)?;
            if !self.ring.submission().taskrun() {
                break;
            }
        }
        Ok(())
    }

    fn note_send(&mut self, owner: Owner, name: u64) {
        let owner = owner as usize;
        if owner >= self.sends.len() {
            self.sends.resize(owner + 1, 0);
        }
        self.sends[owner] = name;
    }

    fn hear_bell(&mut self) {
        let mut count = Box::new([0u8; 8]);
        let address = count.as_mut_ptr();
        let slot = self.slots.keep(OtherSlot::Bell(count));
        let entry = opcode::Read::new(Fd(self.bell.as_raw_fd()), address, 8)
            .build()
            .user_data(name(Kind::Bell, 0, slot));
        self.queue(&entry);
    }

    fn complete(&mut self, entry: &cqueue::Entry) -> Option<Completion<OwnedFd>> {
        let (kind, owner, slot) = names::parts(entry.user_data());
        let flags = entry.flags();
        let more = cqueue::more(flags);
        if !more {
            self.in_flight -= 1;
        }
        let result = match entry.result() {
            // A notification's result has only the highest bit, which no error number has.
            error if error < 0 => Err(Errno(error.wrapping_neg())),
            size => Ok(size as usize),
        };
        Some(match kind {
            Kind::Accept => Completion::Accepted {
                listener: u16::try_from(owner).expect("fewer than 2^16 listeners"),
                // SAFETY: the kernel has just given us this descriptor, and nobody else knows it.
                result: result.map(|fd| unsafe { OwnedFd::from_raw_fd(fd as i32) }),
                more,
            },
            Kind::Receive => {
                let result = result.map(|size| {
                    let buffer = cqueue::buffer_select(flags)?;
                    if size == 0 {
                        self.buffers.give_back(buffer);
                        return None;
                    }
                    Some(Received { buffer, size: size as u32 })
                });
                Completion::Received { owner, result, more }
            }
            Kind::PollIn | Kind::PollOut => {
                let operation =
                    if kind == Kind::PollIn { Operation::PollIn } else { Operation::PollOut };
                Completion::Polled { owner, operation, result: result.map(|_| ()) }
            }
            Kind::Send => Completion::Sent { owner, result, outgoing: self.slots.sent(slot) },
            Kind::ZeroCopy => return Some(self.complete_zero_copy(owner, slot, entry, result)),
            Kind::Read => {
                let OtherSlot::Read(_, mut buffer, read) = self.slots.take(slot) else {
                    unreachable!("a read's slot holds a read")
                };
                let size = result.unwrap_or(0);
                assert!(size <= buffer.capacity(), "no more was read than there was room for");
                // SAFETY: the kernel has written the first `size` bytes, and there is room.
                unsafe { buffer.set_len(size) };
                Completion::Read { read, result, buffer }
            }
            Kind::Bell => {
                self.slots.take(slot);
                self.hear_bell();
                Completion::Bell
            }
            Kind::Cancel => return None,
        })
    }

    fn complete_zero_copy(
        &mut self,
        owner: Owner,
        slot: u32,
        entry: &cqueue::Entry,
        result: Result<usize, Errno>,
    ) -> Completion<OwnedFd> {
        /// In a notification's result: the kernel copied after all (Linux 6.2).
        const COPIED: i32 = i32::MIN;
        let take = |slots: &mut Slots| match slots.take(slot) {
            OtherSlot::ZeroCopy(loan) => loan,
            _ => unreachable!("a zero-copy send's slot holds what it was lent"),
        };
        if cqueue::notif(entry.flags()) {
            let copied = entry.result() & COPIED != 0;
            return Completion::LetGo { owner, copied, loan: take(&mut self.slots) };
        }
        let loan = (!cqueue::more(entry.flags())).then(|| take(&mut self.slots));
        Completion::SentZeroCopy { owner, result, loan }
    }

    fn file(opened: &Opened) -> &FilePayload {
        match &opened.payload {
            Payload::File(file) => file,
            Payload::Heap(_) | Payload::Reel(_) => {
                unreachable!("the driver asks only for files")
            }
        }
    }
}

impl Kernel for Ring {
    type Socket = OwnedFd;

    fn accept(&mut self, listener: u16) {
        let fd = Fd(self.listeners[usize::from(listener)].as_raw_fd());
        let entry = opcode::AcceptMulti::new(fd)
            .flags(libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK)
            .build()
            .user_data(name(Kind::Accept, u32::from(listener), 0));
        self.queue(&entry);
    }

    fn cancel_accept(&mut self, listener: u16) {
        let entry = opcode::AsyncCancel::new(name(Kind::Accept, u32::from(listener), 0))
            .build()
            .user_data(name(Kind::Cancel, 0, 0));
        self.queue(&entry);
    }

    fn receive(&mut self, socket: &OwnedFd, owner: Owner) {
        let entry = opcode::RecvMulti::new(Fd(socket.as_raw_fd()), GROUP).build().user_data(name(
            Kind::Receive,
            owner,
            0,
        ));
        self.queue(&entry);
    }

    fn poll(&mut self, socket: &OwnedFd, operation: Operation, owner: Owner) {
        let (kind, events) = match operation {
            Operation::PollIn => (Kind::PollIn, libc::POLLIN | libc::POLLRDHUP),
            Operation::PollOut => (Kind::PollOut, libc::POLLOUT),
            Operation::Receive | Operation::Send => unreachable!("no poll"),
        };
        let entry = opcode::PollAdd::new(Fd(socket.as_raw_fd()), events as u32)
            .build()
            .user_data(name(kind, owner, 0));
        self.queue(&entry);
    }

    fn send(&mut self, socket: &OwnedFd, outgoing: Outgoing, owner: Owner) {
        // With MSG_WAITALL the kernel itself goes on after a short send.
        let flags = libc::MSG_NOSIGNAL | libc::MSG_WAITALL;
        let fd = Fd(socket.as_raw_fd());
        let (slot, prepared) = self.slots.send(outgoing);
        let entry = match prepared {
            Prepared::Bytes(address, size) => {
                opcode::Send::new(fd, address, size).flags(flags).build()
            }
            Prepared::Message(message) => {
                opcode::SendMsg::new(fd, message).flags(flags as u32).build()
            }
        };
        let name = name(Kind::Send, owner, slot);
        self.note_send(owner, name);
        self.queue(&entry.user_data(name));
    }

    fn send_zero_copy(&mut self, socket: &OwnedFd, loan: Loan, extent: Extent, owner: Owner) {
        /// Say in the notification whether the kernel copied (IORING_SEND_ZC_REPORT_USAGE).
        const REPORT_USAGE: u16 = 1 << 3;
        let file = Self::file(&loan.held);
        let map = file.map.as_ref().expect("the driver asks only for mapped sources");
        let (start, size) = (extent.offset as usize, extent.size as usize);
        assert!(start + size <= map.len(), "the index was checked against the file's size");
        // The address of the bytes, without touching them.
        let address = map.as_ptr().wrapping_add(start);
        let slot = self.slots.keep(OtherSlot::ZeroCopy(loan));
        let size = u32::try_from(size).expect("a stretch is at most 2 MiB");
        let name = name(Kind::ZeroCopy, owner, slot);
        self.note_send(owner, name);
        let entry = opcode::SendZc::new(Fd(socket.as_raw_fd()), address, size)
            .flags(libc::MSG_NOSIGNAL)
            .zc_flags(REPORT_USAGE)
            .build()
            .user_data(name);
        self.queue(&entry);
    }

    fn read(&mut self, held: &Held, extent: Extent, mut buffer: Vec<u8>, read: u32) {
        buffer.clear();
        buffer.reserve_exact(extent.size as usize);
        let fd = Fd(Self::file(held).fd.as_raw_fd());
        let address = buffer.as_mut_ptr();
        let slot = self.slots.keep(OtherSlot::Read(Rc::clone(held), buffer, read));
        // IOSQE_ASYNC: even submitting to a full disk queue may wait, so a worker does it.
        let entry = opcode::Read::new(fd, address, extent.size as u32)
            .offset(extent.offset)
            .build()
            .flags(squeue::Flags::ASYNC)
            .user_data(name(Kind::Read, 0, slot));
        self.queue(&entry);
    }

    fn cancel(&mut self, operation: Operation, owner: Owner) {
        // By name, never by descriptor: for that the kernel looks at everything in flight.
        let name_of = match operation {
            Operation::Receive => name(Kind::Receive, owner, 0),
            Operation::PollIn => name(Kind::PollIn, owner, 0),
            Operation::PollOut => name(Kind::PollOut, owner, 0),
            Operation::Send => self.sends[owner as usize],
        };
        let entry = opcode::AsyncCancel::new(name_of).build().user_data(name(Kind::Cancel, 0, 0));
        self.queue(&entry);
    }

    fn accept_now(&mut self, listener: u16) -> Result<OwnedFd, Errno> {
        calls::accept(&self.listeners[usize::from(listener)])
    }

    fn send_now(&mut self, socket: &OwnedFd, bytes: &[u8], more: bool) -> Result<usize, Errno> {
        calls::send(socket, bytes, more)
    }

    fn send_file(
        &mut self,
        socket: &OwnedFd,
        opened: &Opened,
        extent: Extent,
    ) -> Result<usize, Errno> {
        calls::sendfile(socket, &Self::file(opened).fd, extent)
    }

    fn read_now(&mut self, opened: &Opened, offset: u64, into: &mut [u8]) -> Result<usize, Errno> {
        let file = Self::file(opened);
        match file.residency {
            Residency::Asked | Residency::Sampled => calls::read_now(&file.fd, offset, into),
            Residency::Memory => calls::read_memory(&file.fd, offset, into),
            Residency::Unknown => Err(Errno::AGAIN),
        }
    }

    fn resident(&mut self, opened: &Opened, extent: Extent, look: Look) -> u64 {
        self.looker.resident(Self::file(opened), extent, look)
    }

    fn hold_partial_packets(&mut self, socket: &OwnedFd, hold: bool) {
        calls::hold_partial_packets(socket, hold);
    }

    fn flush(&mut self, socket: &OwnedFd) {
        calls::flush(socket);
    }

    fn finish_sending(&mut self, socket: &OwnedFd) {
        calls::shut_down_sending(socket);
    }

    fn close(&mut self, socket: OwnedFd) {
        drop(socket);
    }

    fn reset(&mut self, socket: OwnedFd) {
        calls::reset(socket);
    }

    fn close_listeners(&mut self) {
        self.listeners.clear();
    }

    fn pace(&mut self, socket: &OwnedFd, rate: Option<u64>) {
        calls::pace(socket, rate);
    }

    fn way(&mut self, socket: &OwnedFd) -> Option<Way> {
        calls::way(socket)
    }

    fn unconfirmed(&mut self, socket: &OwnedFd) -> u64 {
        calls::unconfirmed(socket)
    }

    fn peer(&self, socket: &OwnedFd) -> Option<IpAddr> {
        calls::peer(socket)
    }

    fn now(&mut self) -> Now {
        let nanos = calls::monotonic_nanos() - self.epoch;
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now::of(unix, nanos)
    }

    fn enter(&mut self, wait_ms: Option<u64>) -> Result<(), Errno> {
        if self.ring.submission().cq_overflow() {
            self.overflows.set(self.overflows.get() + 1);
        }
        let has_completions = !self.ring.completion().is_empty();
        let result = match wait_ms {
            None if !has_completions => self.call(1, enter::GETEVENTS, None),
            Some(ms) if ms > 0 && !has_completions => {
                let time = Timespec::new().sec(ms / 1000).nsec((ms % 1000) as u32 * 1_000_000);
                let args = SubmitArgs::new().timespec(&time);
                self.call(1, enter::GETEVENTS, Some(&args))
            }
            _ => self.run_deferred_work(),
        };
        match result {
            Ok(()) => Ok(()),
            Err(error) => match error.raw_os_error() {
                // The time is up; a signal came; completions must be reaped first.
                Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN) => Ok(()),
                Some(other) => Err(Errno(other)),
                None => Err(Errno::IO),
            },
        }
    }

    fn submit(&mut self) {
        if !self.ring.submission().is_empty() {
            // What does not go now goes with the next `enter`.
            let _ = self.call(0, 0, None);
        }
    }

    fn completion(&mut self) -> Option<Completion<OwnedFd>> {
        loop {
            let entry = self.ring.completion().next()?;
            if let Some(completion) = self.complete(&entry) {
                return Some(completion);
            }
        }
    }

    fn received(&self, received: &Received) -> &[u8] {
        self.buffers.bytes(received.buffer, received.size)
    }

    fn give_back(&mut self, received: Received) {
        self.buffers.give_back(received.buffer);
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        let entry = opcode::AsyncCancel2::new(CancelBuilder::any()).build().user_data(name(
            Kind::Cancel,
            0,
            0,
        ));
        self.queue(&entry);
        for _ in 0..1000 {
            while self.completion_in_drop() {}
            if self.in_flight == 0 {
                // SAFETY: the ring is being dropped, and the kernel is done: nobody uses them.
                unsafe { ManuallyDrop::drop(&mut self.buffers) };
                // SAFETY: as above.
                unsafe { ManuallyDrop::drop(&mut self.slots) };
                return;
            }
            if self.enter(Some(10)).is_err() {
                break;
            }
        }
        // A disk hangs, most likely. The kernel may still write into this memory, so it stays.
    }
}

impl Ring {
    /// Reaps one completion without arming anything again.
    fn completion_in_drop(&mut self) -> bool {
        let Some(entry) = self.ring.completion().next() else { return false };
        if !cqueue::more(entry.flags()) {
            self.in_flight -= 1;
        }
        if names::parts(entry.user_data()).0 == Kind::Accept && entry.result() >= 0 {
            // SAFETY: the kernel has just given us this descriptor, and nobody else knows it.
            drop(unsafe { OwnedFd::from_raw_fd(entry.result()) });
        }
        true
    }
}

#[cfg(test)]
mod tests;
