//! Direct system calls on descriptors that somebody owns: sending, reading what is in memory,
//! residency, closing hard.
//!
//! Contract: every pointer given to the kernel here is to memory that is borrowed for the whole
//! call; nothing is kept by the kernel after it returns.

use std::fs::File;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::Arc;

use socket2::SockRef;

use crate::shard::kernel::Errno;
use crate::units::{Extent, Way};

/// `cachestat(2)` on every architecture that has it (Linux 6.5).
const SYS_CACHESTAT: libc::c_long = 451;

/// The error of the last call.
#[must_use]
pub fn errno() -> Errno {
    Errno(io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))
}

fn checked(result: libc::ssize_t) -> Result<usize, Errno> {
    usize::try_from(result).map_err(|_| errno())
}

/// `send(2)` that never waits and never raises SIGPIPE.
///
/// # Errors
///
/// As `send(2)`; `AGAIN` when the socket takes nothing.
pub fn send(socket: &OwnedFd, bytes: &[u8], more: bool) -> Result<usize, Errno> {
    let more = if more { libc::MSG_MORE } else { 0 };
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL | more;
    // SAFETY: the bytes are borrowed for the call.
    let sent = unsafe { libc::send(socket.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), flags) };
    checked(sent)
}

/// `sendfile(2)`. The socket must be non-blocking.
///
/// # Errors
///
/// As `sendfile(2)`; `AGAIN` when the socket takes nothing.
pub fn sendfile(socket: &OwnedFd, file: &OwnedFd, extent: Extent) -> Result<usize, Errno> {
    let mut offset = extent.offset as libc::off_t;
    let size = extent.size as usize;
    // SAFETY: `offset` is ours for the call.
    let sent =
        unsafe { libc::sendfile(socket.as_raw_fd(), file.as_raw_fd(), &raw mut offset, size) };
    checked(sent)
}

/// Reads from a file what is in memory (`preadv2(RWF_NOWAIT)`, Linux 4.14).
///
/// # Errors
///
/// As `preadv2(2)`; `AGAIN` when the first byte is not in memory.
pub fn read_now(file: impl AsFd, offset: u64, into: &mut [u8]) -> Result<usize, Errno> {
    read(file, offset, into, libc::RWF_NOWAIT)
}

/// Reads from a file that is nowhere but in memory.
///
/// # Errors
///
/// As `preadv2(2)`.
pub fn read_memory(file: impl AsFd, offset: u64, into: &mut [u8]) -> Result<usize, Errno> {
    read(file, offset, into, 0)
}

fn read(file: impl AsFd, offset: u64, into: &mut [u8], flags: i32) -> Result<usize, Errno> {
    let fd = file.as_fd().as_raw_fd();
    let part = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
    // SAFETY: `part` describes `into`, which is borrowed mutably for the call.
    let read = unsafe { libc::preadv2(fd, &raw const part, 1, offset as libc::off_t, flags) };
    checked(read)
}

#[repr(C)]
#[derive(Default)]
struct CachestatRange {
    offset: u64,
    size: u64,
}

#[repr(C)]
#[derive(Default)]
struct Cachestat {
    cached: u64,
    dirty: u64,
    writeback: u64,
    evicted: u64,
    recently_evicted: u64,
}

/// How many pages of an extent are in the page cache; they may still be on their way from the disk.
///
/// # Errors
///
/// `ENOSYS` before Linux 6.5, `EPERM` for a file that is neither ours nor writable by us.
pub fn cached_pages(file: impl AsFd, extent: Extent) -> Result<u64, Errno> {
    let range = CachestatRange { offset: extent.offset, size: extent.size };
    let mut stat = Cachestat::default();
    let fd = file.as_fd().as_raw_fd();
    // SAFETY: both structs have the kernel's layout and are ours for the call.
    let result = unsafe { libc::syscall(SYS_CACHESTAT, fd, &raw const range, &raw mut stat, 0u32) };
    if result == 0 { Ok(stat.cached) } else { Err(errno()) }
}

/// Takes a client from a listener's queue, as a non-blocking socket.
///
/// # Errors
///
/// As `accept4(2)`.
pub fn accept(listener: &OwnedFd) -> Result<OwnedFd, Errno> {
    // Listeners block, because the ring's accepts would otherwise give up at once; so we look
    // before we take.
    let mut ready = libc::pollfd { fd: listener.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one entry, ours for the call.
    if unsafe { libc::poll(&raw mut ready, 1, 0) } != 1 {
        return Err(Errno(libc::EAGAIN));
    }
    let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: no address is asked for, so nothing is written.
    let socket = unsafe {
        libc::accept4(listener.as_raw_fd(), std::ptr::null_mut(), std::ptr::null_mut(), flags)
    };
    if socket < 0 {
        return Err(errno());
    }
    // SAFETY: the kernel has just given us this descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(socket) })
}

/// Ends our side of a connection; what was sent is still delivered.
pub fn shut_down_sending(socket: &OwnedFd) {
    // SAFETY: no memory is involved. A peer that is gone already is no error for us.
    unsafe { libc::shutdown(socket.as_raw_fd(), libc::SHUT_WR) };
}

/// Keeps partial packets back, or no longer (`TCP_CORK`, tcp(7)). Linux keeps them for 200 ms at
/// most.
pub fn hold_partial_packets(socket: &OwnedFd, hold: bool) {
    // A socket whose peer is gone has nothing to hold.
    let _ = SockRef::from(socket).set_tcp_cork(hold);
}

/// Sends the partial packet that is kept back: setting `TCP_NODELAY` does so even while `TCP_CORK`
/// is set, and leaves that set (tcp(7)).
pub fn flush(socket: &OwnedFd) {
    // As above.
    let _ = SockRef::from(socket).set_tcp_nodelay(true);
}

/// Sends no faster than so many bytes a second (`SO_MAX_PACING_RATE`, socket(7)); none = as fast as
/// it goes. Where no fq is on the way, TCP paces by timers of its own (Linux 4.13), from the first
/// such call of a socket on.
pub fn pace(socket: &OwnedFd, rate: Option<u64>) {
    let rate = rate.unwrap_or(u64::MAX);
    let size = libc::socklen_t::try_from(size_of_val(&rate)).expect("8 fits");
    let (level, name) = (libc::SOL_SOCKET, libc::SO_MAX_PACING_RATE);
    // SAFETY: the kernel reads `size` bytes of `rate`, which is ours for the call. A socket that
    // takes no rate is sent to as fast as it goes.
    unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const rate).cast(), size) };
}

/// What TCP knows of the way to the peer (`TCP_INFO`, tcp(7)); none where it can't say.
pub fn way(socket: &OwnedFd) -> Option<Way> {
    // SAFETY: a struct of zeros is a valid one; a kernel that knows less of it leaves them there.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut size = libc::socklen_t::try_from(size_of_val(&info)).expect("some hundred bytes");
    let (level, name) = (libc::IPPROTO_TCP, libc::TCP_INFO);
    let into = (&raw mut info).cast();
    // SAFETY: the kernel writes at most `size` bytes into `info`, both of which are ours for the
    // call.
    let result = unsafe { libc::getsockopt(socket.as_raw_fd(), level, name, into, &raw mut size) };
    (result == 0).then_some(Way { round_trip_us: info.tcpi_rtt, rate: info.tcpi_delivery_rate })
}

/// Bytes in the socket's queue that the peer has not acknowledged (`SIOCOUTQ`, tcp(7)); 0 where the
/// kernel can't say.
pub fn unconfirmed(socket: &OwnedFd) -> u64 {
    let mut size: libc::c_int = 0;
    // SAFETY: the kernel writes one integer, ours for the call. TIOCOUTQ is its other name.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut size) };
    if result == 0 { u64::try_from(size).unwrap_or(0) } else { 0 }
}

/// Closes at once: the peer sees a reset, and what is queued is thrown away.
pub fn reset(socket: OwnedFd) {
    let socket = socket2::Socket::from(socket);
    // A socket whose peer is gone cannot linger; then it is closed all the same.
    let _ = socket.set_linger(Some(std::time::Duration::ZERO));
}

/// The peer's address.
#[must_use]
pub fn peer(socket: &OwnedFd) -> Option<IpAddr> {
    // SAFETY: the descriptor is open for as long as `socket` is borrowed.
    let socket = unsafe { BorrowedFd::borrow_raw(socket.as_raw_fd()) };
    let address = socket2::SockRef::from(&socket).peer_addr().ok()?.as_socket()?;
    Some(match address {
        SocketAddr::V4(address) => IpAddr::V4(*address.ip()),
        SocketAddr::V6(address) => address.ip().to_canonical(),
    })
}

/// An eventfd: the bell of an inbox.
///
/// # Errors
///
/// As `eventfd(2)`.
pub fn bell() -> io::Result<Arc<File>> {
    // SAFETY: no memory is involved.
    let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given us this descriptor, and nobody else knows it.
    Ok(Arc::new(unsafe { File::from_raw_fd(fd) }))
}

/// Nanoseconds of the monotonic clock.
#[must_use]
pub fn monotonic_nanos() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is ours for the call; the clock exists on every Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// The processors that this thread may run on.
#[must_use]
pub fn allowed_processors() -> Vec<usize> {
    // SAFETY: a set of zeros is a valid, empty one.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: `set` is ours for the call, and its size is given.
    let result = unsafe { libc::sched_getaffinity(0, size_of_val(&set), &raw mut set) };
    if result != 0 {
        return vec![0];
    }
    // SAFETY: every number asked for is below CPU_SETSIZE, the set's size in bits.
    (0..libc::CPU_SETSIZE as usize).filter(|&cpu| unsafe { libc::CPU_ISSET(cpu, &set) }).collect()
}

/// Pins this thread to one processor.
///
/// # Errors
///
/// As `sched_setaffinity(2)`.
pub fn pin_to(processor: usize) -> io::Result<()> {
    // SAFETY: a set of zeros is a valid, empty one.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    assert!(processor < libc::CPU_SETSIZE as usize, "came from `allowed_processors`");
    // SAFETY: the number is below the set's size in bits.
    unsafe { libc::CPU_SET(processor, &mut set) };
    // SAFETY: `set` is ours for the call, and its size is given.
    let result = unsafe { libc::sched_setaffinity(0, size_of_val(&set), &raw const set) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
