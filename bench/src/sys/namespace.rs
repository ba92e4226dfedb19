//! A network namespace of our own: loopback only, with a congestion control chosen for it alone.
//!
//! Contract: must be called while the program has one thread, because threads started later
//! inherit the namespace and earlier ones would not be moved. Nothing of the host's is changed.

use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;

use socket2::{Domain, Protocol, Socket, Type};

use super::machine::loopback_request;

/// The namespaced setting; the host's own value is another one.
const CONGESTION: &str = "/proc/sys/net/ipv4/tcp_congestion_control";

/// The loopback device of every network namespace.
const LOOPBACK_INDEX: u32 = 1;

/// Attributes of a route request, as linux/rtnetlink.h numbers them.
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_PREFSRC: u16 = 7;
const RTA_METRICS: u16 = 8;
const RTAX_CC_ALGO: u16 = 16;

/// Moves this program and its later children into a new network namespace with `lo` up.
///
/// A namespace may only choose a congestion control as its default that the host allows to
/// everybody (tcp_allowed_congestion_control). Any other one is tied to the namespace's own
/// loopback routes instead, which both sides of a connection then follow.
pub fn enter(congestion: &str) -> io::Result<()> {
    // SAFETY: takes flags only.
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
        return Err(io::Error::last_os_error());
    }
    raise_loopback()?;
    match fs::write(CONGESTION, congestion) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            set_route_congestion([127, 0, 0, 0], 8, congestion)?;
            set_route_congestion([127, 0, 0, 1], 32, congestion)
        }
        other => other,
    }
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

/// Replaces a local route of this namespace by itself with a congestion control.
fn set_route_congestion(prefix: [u8; 4], length: u8, congestion: &str) -> io::Result<()> {
    let mut socket = Socket::new(
        Domain::from(libc::AF_NETLINK),
        Type::RAW,
        Some(Protocol::from(libc::NETLINK_ROUTE)),
    )?;
    socket.write_all(&route_request(prefix, length, congestion))?;
    let mut answer = [0; 1024];
    let size = socket.read(&mut answer)?;
    // An acknowledgement is an error message with the number 0 behind its 16-byte header.
    let Some(code) = answer[..size].get(16..20).and_then(|bytes| bytes.try_into().ok()) else {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
    };
    match i32::from_ne_bytes(code) {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(-code)),
    }
}

fn route_request(prefix: [u8; 4], length: u8, congestion: &str) -> Vec<u8> {
    let mut name = congestion.as_bytes().to_vec();
    name.push(0);
    let flags = libc::NLM_F_REQUEST | libc::NLM_F_ACK | libc::NLM_F_REPLACE | libc::NLM_F_CREATE;
    let mut message = Vec::new();
    message.extend(0_u32.to_ne_bytes()); // the length, filled in below
    message.extend(libc::RTM_NEWROUTE.to_ne_bytes());
    message.extend((flags as u16).to_ne_bytes());
    message.extend(1_u32.to_ne_bytes()); // sequence
    message.extend(0_u32.to_ne_bytes()); // port: chosen by the kernel
    // The route: family, prefix lengths, type of service, table, protocol, scope, type, flags.
    message.extend([libc::AF_INET as u8, length, 0, 0, libc::RT_TABLE_LOCAL]);
    message.extend([libc::RTPROT_KERNEL, libc::RT_SCOPE_HOST, libc::RTN_LOCAL]);
    message.extend(0_u32.to_ne_bytes());
    message.extend(attribute(RTA_DST, &prefix));
    message.extend(attribute(RTA_OIF, &LOOPBACK_INDEX.to_ne_bytes()));
    message.extend(attribute(RTA_PREFSRC, &[127, 0, 0, 1]));
    message.extend(attribute(RTA_METRICS, &attribute(RTAX_CC_ALGO, &name)));
    let size = (message.len() as u32).to_ne_bytes();
    message[..4].copy_from_slice(&size);
    message
}

/// Length, kind, value, and zeros up to a multiple of four bytes.
fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let size = 4 + value.len();
    let mut bytes = Vec::with_capacity(size.next_multiple_of(4));
    bytes.extend((size as u16).to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(size.next_multiple_of(4), 0);
    bytes
}
