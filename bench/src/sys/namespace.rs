//! A network namespace of our own: loopback only, with a congestion control chosen for it alone.
//!
//! Contract: must be called while the program has one thread, because threads started later
//! inherit the namespace and earlier ones would not be moved.

use std::fs;
use std::io;
use std::os::fd::AsRawFd;

use socket2::{Domain, Socket, Type};

use super::machine::loopback_request;

/// The namespaced setting; the host's own value is another one.
const CONGESTION: &str = "/proc/sys/net/ipv4/tcp_congestion_control";

/// Moves this program and its later children into a new network namespace with `lo` up.
pub fn enter(congestion: &str) -> io::Result<()> {
    // SAFETY: takes flags only.
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
        return Err(io::Error::last_os_error());
    }
    raise_loopback()?;
    fs::write(CONGESTION, congestion)
}

fn raise_loopback() -> io::Result<()> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    let mut request = loopback_request();
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: the request names a device and carries its flags.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &request) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
