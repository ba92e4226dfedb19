//! `io_uring_enter(2)`, on a registered descriptor where there is one.
//!
//! The crate knows a registered descriptor only as long as the `Submitter` lives that registered
//! it, and that borrows the ring. So both calls are made here.
//!
//! Contract: arguments are borrowed for the call; whoever calls `enter` answers for what the queued
//! entries point to.

use std::io;
use std::os::fd::AsRawFd;

use io_uring::IoUring;
use io_uring::types::SubmitArgs;

/// Flag: deferred work is run, and completions are waited for.
pub const GETEVENTS: u32 = 1;
const EXT_ARG: u32 = 1 << 3;
const REGISTERED_RING: u32 = 1 << 4;

/// Registers the ring's descriptor for this thread; none if the kernel has no place left.
pub fn register_descriptor(ring: &IoUring) -> Option<u32> {
    const REGISTER_RING_FDS: libc::c_uint = 20;
    /// `struct io_uring_rsrc_update`.
    #[repr(C)]
    struct Update {
        index: u32,
        reserved: u32,
        descriptor: u64,
    }
    let fd = ring.as_raw_fd();
    // u32::MAX: any place.
    let mut update = Update { index: u32::MAX, reserved: 0, descriptor: fd as u64 };
    // SAFETY: one update, ours for the call, of the kernel's layout.
    let result = unsafe {
        libc::syscall(libc::SYS_io_uring_register, fd, REGISTER_RING_FDS, &raw mut update, 1)
    };
    (result == 1).then_some(update.index)
}

/// Submits `queued` entries and waits for `want` completions. `index` is the ring's, if it is
/// registered.
///
/// # Errors
///
/// As `io_uring_enter(2)`.
///
/// # Safety
///
/// What the queued entries point to must stay as it is until they have completed.
pub unsafe fn enter(
    ring: &IoUring,
    index: Option<u32>,
    queued: u32,
    want: u32,
    flags: u32,
    wait: Option<&SubmitArgs<'_, '_>>,
) -> io::Result<()> {
    let (fd, registered) = match index {
        Some(index) => (index, REGISTERED_RING),
        None => (ring.as_raw_fd() as u32, 0),
    };
    let (argument, size, extended) = match wait {
        // A SubmitArgs is the kernel's struct io_uring_getevents_arg.
        Some(args) => (std::ptr::from_ref(args).cast(), size_of_val(args), EXT_ARG),
        None => (std::ptr::null::<libc::c_void>(), 0, 0),
    };
    let flags = flags | registered | extended;
    // SAFETY: `argument` is null, or borrowed for the call and of the stated size; the entries are
    // the caller's business.
    let result =
        unsafe { libc::syscall(libc::SYS_io_uring_enter, fd, queued, want, flags, argument, size) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
