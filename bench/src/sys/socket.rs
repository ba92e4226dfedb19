//! Client sockets: connected, without delay, with the asked congestion control.
//!
//! Contract: plain system calls on descriptors that the caller owns.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};

/// A peer that does not answer a SYN for this long counts as down.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Connections from one source address: below the 28,232 ephemeral ports of a default kernel.
const CONNECTIONS_PER_SOURCE: usize = 25_000;

/// Connects to `address` as connection number `index`, blocking for at most five seconds.
///
/// To a loopback address, every 25,000 connections come from another 127.0.0.x, because each
/// source address has only that many ports.
pub fn connect(address: SocketAddr, index: usize, congestion: Option<&str>) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_tcp_nodelay(true)?;
    if let Some(name) = congestion {
        socket.set_tcp_congestion(name.as_bytes())?;
    }
    if let Some(source) = source(address, index) {
        socket.bind(&source.into())?;
    }
    socket.connect_timeout(&address.into(), CONNECT_TIMEOUT)?;
    // The ring polls by itself; a non-blocking descriptor would make it return EAGAIN instead.
    socket.set_nonblocking(false)?;
    Ok(socket)
}

/// Begins to connect without waiting; the socket does not block, and may have a small receive
/// buffer (in bytes; the kernel doubles it).
pub fn begin_connect(address: SocketAddr, buffer_size: Option<usize>) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    if let Some(size) = buffer_size {
        socket.set_recv_buffer_size(size)?;
    }
    match socket.connect(&address.into()) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
        _ => Ok(socket),
    }
}

/// The congestion control that a loopback connection gets here, as a connection of our own shows.
///
/// Asking an unconnected socket would not do: a route may name another one than the default.
pub fn loopback_congestion() -> io::Result<String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let stream = TcpStream::connect(listener.local_addr()?)?;
    let name = SockRef::from(&stream).tcp_congestion()?;
    let name: Vec<u8> = name.into_iter().take_while(|byte| *byte != 0).collect();
    Ok(String::from_utf8_lossy(&name).into_owned())
}

fn source(address: SocketAddr, index: usize) -> Option<SocketAddr> {
    let group = index / CONNECTIONS_PER_SOURCE;
    match address.ip() {
        IpAddr::V4(ip) if ip.is_loopback() && group > 0 => {
            let last = u8::try_from(group + 1).ok()?;
            Some(SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0)))
        }
        _ => None,
    }
}
