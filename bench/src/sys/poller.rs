//! Waiting for many sockets at once: epoll, edge-triggered.
//!
//! Contract: each function is one system call on a descriptor that the poller owns, or that the
//! caller lends for the call. A socket that is closed leaves the poller by itself; an event that
//! was already fetched for it may still come, so events are hints, and never promises.

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::ptr;
use std::time::Duration;

/// Events fetched at once; the rest come with the next call.
const EVENTS_MAX: usize = 512;

/// Sockets that are waited for.
pub struct Poller {
    epoll: OwnedFd,
    events: Vec<libc::epoll_event>,
}

impl Poller {
    /// Without sockets.
    pub fn new() -> io::Result<Self> {
        // SAFETY: takes a number only.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call has just made this descriptor, and nobody else knows it.
        let epoll = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self { epoll, events: vec![libc::epoll_event { events: 0, u64: 0 }; EVENTS_MAX] })
    }

    /// From now on `key` is reported when the socket can be read or written anew.
    pub fn add(&self, socket: &impl AsFd, key: u64) -> io::Result<()> {
        let kinds = libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLET;
        let mut event = libc::epoll_event { events: kinds.cast_unsigned(), u64: key };
        let fd = socket.as_fd().as_raw_fd();
        let epoll = self.epoll.as_raw_fd();
        // SAFETY: both descriptors are open during the call, and the kernel copies the event.
        let result = unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, &mut event) };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }

    /// Waits until something happens, `timeout` has passed or a signal came; the keys of sockets
    /// to look at.
    pub fn wait(&mut self, timeout: Duration) -> io::Result<impl Iterator<Item = u64> + '_> {
        let timeout = libc::timespec {
            tv_sec: timeout.as_secs().try_into().unwrap_or(libc::time_t::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        };
        let room = self.events.len() as i32;
        let events = self.events.as_mut_ptr();
        let epoll = self.epoll.as_raw_fd();
        // SAFETY: the kernel writes at most `room` events to a vector of that length, reads the
        // time, and gets no signal mask.
        let result = unsafe { libc::epoll_pwait2(epoll, events, room, &timeout, ptr::null()) };
        let count = match usize::try_from(result) {
            Ok(count) => count,
            Err(_) => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => 0,
                error => return Err(error),
            },
        };
        Ok(self.events[..count].iter().map(|event| event.u64))
    }
}
