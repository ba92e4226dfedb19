//! Listening sockets handed over by systemd, or by the process that we replace (LISTEN_FDS).
//!
//! Contract: LISTEN_PID names this process, so descriptors 3 and up were put there for it, and
//! nobody else in it uses them. `listeners` is called once, before the process opens anything
//! that could take their numbers; a second call gets nothing.

use std::io;
use std::net::TcpListener;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the descriptors have an owner already.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The inherited sockets that listen for TCP, and how many other descriptors came with them.
pub fn listeners() -> io::Result<(Vec<TcpListener>, usize)> {
    if TAKEN.swap(true, Ordering::SeqCst) {
        return Ok((Vec::new(), 0));
    }
    let (mut listeners, mut others) = (Vec::new(), 0);
    for number in sd_notify::listen_fds()? {
        let socket = socket2::Socket::from(owned(number));
        if socket.is_listener().unwrap_or(false)
            && socket.local_addr().is_ok_and(|address| address.as_socket().is_some())
        {
            listeners.push(TcpListener::from(socket));
        } else {
            others += 1;
        }
    }
    Ok((listeners, others))
}

fn owned(number: RawFd) -> OwnedFd {
    // SAFETY: `listen_fds` has just set FD_CLOEXEC on this number, which fails for a number that is
    // not open; `TAKEN` makes us the only owner, and the module contract keeps others away.
    unsafe { OwnedFd::from_raw_fd(number) }
}
