//! Public listeners: one a shard for each address, inherited where somebody handed them over.
//!
//! The kernel spreads new connections over listeners with SO_REUSEPORT, so shards share nothing.
//! An inherited listener may have clients in its queue already, so it is always given to a shard,
//! never closed and bound again.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

use crate::config::{
    BACKLOG, KEEPALIVE_AFTER_MS, KEEPALIVE_EVERY_MS, KEEPALIVE_PROBES, Listen, PORT_AGAIN_MS,
    PORT_AWAITED_MS, UNACKNOWLEDGED_MAX_MS, UNSENT_SIZE_MAX,
};
use crate::sys::inherit;

/// An address that nobody can listen on.
#[derive(Debug)]
pub struct ListenError {
    /// Which.
    pub address: SocketAddr,
    /// What the kernel said.
    pub error: io::Error,
}

impl ListenError {
    /// What is wrong, for people.
    #[must_use]
    pub fn why(&self) -> String {
        match self.error.kind() {
            io::ErrorKind::AddrInUse => "another process listens there".to_owned(),
            io::ErrorKind::AddrNotAvailable => "no interface has this address".to_owned(),
            io::ErrorKind::PermissionDenied => "ports below 1024 need a privilege".to_owned(),
            _ => self.error.to_string(),
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> Option<String> {
        let port = self.address.port();
        Some(match self.error.kind() {
            io::ErrorKind::AddrInUse => format!("see who with: ss -ltnp 'sport = :{port}'"),
            io::ErrorKind::AddrNotAvailable => "see those there are with: ip address".to_owned(),
            io::ErrorKind::PermissionDenied => format!(
                "use the systemd unit, which grants CAP_NET_BIND_SERVICE, or a port above 1023 \
                 instead of {port}"
            ),
            _ => return None,
        })
    }
}

/// Sockets that systemd or our predecessor handed over, and how many other descriptors came along.
pub fn inherited() -> io::Result<(Vec<TcpListener>, usize)> {
    inherit::listeners()
}

/// For each shard its listeners: the one at `index` is for `listen[index]`; inherited ones beyond
/// that come last.
pub fn open(
    listen: &[Listen],
    shards: usize,
    inherited: Vec<TcpListener>,
) -> Result<Vec<Vec<TcpListener>>, ListenError> {
    let mut given: Vec<Vec<TcpListener>> = listen.iter().map(|_| Vec::new()).collect();
    for listener in inherited {
        let address = listener.local_addr().ok();
        match listen.iter().position(|wanted| address.is_some_and(|is| same(is, wanted.address))) {
            Some(index) => {
                let failed = |error| ListenError { address: listen[index].address, error };
                prepare(&SockRef::from(&listener)).map_err(failed)?;
                given[index].push(listener);
            }
            None => tracing::warn!(?address, "an inherited listener has no server.listen; closed"),
        }
    }
    let mut of_shards: Vec<Vec<TcpListener>> = (0..shards).map(|_| Vec::new()).collect();
    let mut spare = Vec::new();
    for (wanted, mut inherited) in listen.iter().zip(given) {
        let failed = |error| ListenError { address: wanted.address, error };
        let own = if inherited.is_empty() {
            bind_all(wanted.address, shards).map_err(failed)?
        } else {
            spare.extend(inherited.drain(shards.min(inherited.len())..));
            share(inherited, shards).map_err(failed)?
        };
        for (shard, listener) in own.into_iter().enumerate() {
            of_shards[shard].push(listener);
        }
    }
    for (turn, listener) in spare.into_iter().enumerate() {
        of_shards[turn % shards].push(listener);
    }
    Ok(of_shards)
}

/// The admin listener. It belongs to one thread, so its port is not shared.
pub fn single(address: SocketAddr) -> Result<TcpListener, ListenError> {
    bind_when_free(address).and_then(listening).map_err(|error| ListenError { address, error })
}

/// Whether an inherited address is the wanted one; `[::]` may have become `0.0.0.0`.
fn same(is: SocketAddr, wanted: SocketAddr) -> bool {
    is == wanted
        || (is.port() == wanted.port() && is.ip().is_unspecified() && wanted.ip().is_unspecified())
}

/// As many descriptors as shards. Some of them may share one queue: systemd binds as root, and
/// only the same user may add listeners of its own.
fn share(inherited: Vec<TcpListener>, shards: usize) -> io::Result<Vec<TcpListener>> {
    let count = inherited.len();
    let mut own = inherited;
    while own.len() < shards {
        let copy = own[own.len() % count].try_clone()?;
        own.push(copy);
    }
    Ok(own)
}

/// A listener a shard, all on the port of the first.
fn bind_all(address: SocketAddr, shards: usize) -> io::Result<Vec<TcpListener>> {
    // SO_REUSEPORT would let a second server of the same user take half of the clients in silence.
    // A socket without it is refused if anybody listens, so it is tried first.
    if address.port() != 0 {
        bind_when_free(address)?;
    }
    let first = listening(bind(address, true)?)?;
    let address = first.local_addr()?;
    let mut own = vec![first];
    while own.len() < shards {
        own.push(listening(bind(address, true)?)?);
    }
    Ok(own)
}

/// A socket of its own on this port. The kernel takes rings apart some time after their process has
/// ended, and until then its listeners still listen: whoever starts a server again right after a
/// SIGKILL would be refused. So a port that is taken is waited for.
fn bind_when_free(address: SocketAddr) -> io::Result<Socket> {
    let mut waited_ms = 0;
    loop {
        match bind(address, false) {
            Err(error)
                if error.kind() == io::ErrorKind::AddrInUse && waited_ms < PORT_AWAITED_MS =>
            {
                if waited_ms == 0 {
                    tracing::info!(%address, "the port is taken: waiting for it");
                }
                std::thread::sleep(Duration::from_millis(PORT_AGAIN_MS));
                waited_ms += PORT_AGAIN_MS;
            }
            done => return done,
        }
    }
}

fn bind(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = match Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))
    {
        // A kernel without IPv6: everything there is is IPv4.
        Err(error)
            if error.raw_os_error() == Some(libc::EAFNOSUPPORT)
                && address.is_ipv6()
                && address.ip().is_unspecified() =>
        {
            return bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port())), shared);
        }
        other => other?,
    };
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    prepare(&socket)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Sets what accepted sockets inherit.
fn prepare(socket: &Socket) -> io::Result<()> {
    // A response is never held back for an acknowledgement.
    socket.set_tcp_nodelay(true)?;
    // A client that has died without a word is found in a minute.
    let probes = TcpKeepalive::new()
        .with_time(Duration::from_millis(KEEPALIVE_AFTER_MS))
        .with_interval(Duration::from_millis(KEEPALIVE_EVERY_MS))
        .with_retries(KEEPALIVE_PROBES);
    socket.set_tcp_keepalive(&probes)?;
    socket.set_tcp_user_timeout(Some(Duration::from_millis(UNACKNOWLEDGED_MAX_MS)))?;
    socket.set_tcp_notsent_lowat(UNSENT_SIZE_MAX)
}

fn listening(socket: Socket) -> io::Result<TcpListener> {
    socket.listen(BACKLOG)?;
    Ok(TcpListener::from(socket))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Backend;

    fn any(address: &str) -> Listen {
        Listen { address: address.parse().unwrap(), backend: Backend::default() }
    }

    #[test]
    fn every_shard_gets_a_listener_of_its_own_on_one_port() {
        let opened = open(&[any("127.0.0.1:0"), any("[::]:0")], 3, Vec::new()).unwrap();
        assert_eq!(opened.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 2]);
        for index in 0..2 {
            let mut ports: Vec<_> =
                opened.iter().map(|own| own[index].local_addr().unwrap().port()).collect();
            ports.dedup();
            assert_eq!(ports.len(), 1);
        }
    }

    #[test]
    fn clients_inherit_what_their_listener_was_given() {
        let mut opened = open(&[any("127.0.0.1:0")], 1, Vec::new()).unwrap();
        let listener = opened.remove(0).remove(0);
        let _client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        let socket = SockRef::from(&accepted);
        assert!(socket.tcp_nodelay().unwrap() && socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(30));
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(10));
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), 3);
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(Duration::from_secs(60)));
        assert_eq!(socket.tcp_notsent_lowat().unwrap(), UNSENT_SIZE_MAX);
    }

    #[test]
    fn a_taken_port_is_refused_even_if_its_owner_would_share_it() {
        let first = open(&[any("127.0.0.1:0")], 1, Vec::new()).unwrap();
        let taken = first[0][0].local_addr().unwrap();
        let refused = open(&[any(&taken.to_string())], 1, Vec::new()).unwrap_err();
        assert_eq!(refused.error.kind(), io::ErrorKind::AddrInUse);
        let port = format!("ss -ltnp 'sport = :{}'", taken.port());
        assert!(refused.remedy().unwrap().contains(&port));
    }

    #[test]
    fn inherited_listeners_are_shared_and_none_is_closed() {
        for (inherited, shards) in [(1, 3), (3, 3), (5, 2)] {
            let sockets = bind_all("127.0.0.1:0".parse().unwrap(), inherited).unwrap();
            let address = sockets[0].local_addr().unwrap();
            let opened = open(&[any(&address.to_string())], shards, sockets).unwrap();
            let all: usize = opened.iter().map(Vec::len).sum();
            assert_eq!(all, shards.max(inherited));
            assert!(opened.iter().all(|own| !own.is_empty()));
            for listener in opened.iter().flatten() {
                assert_eq!(listener.local_addr().unwrap(), address);
            }
        }
    }

    #[test]
    fn an_address_of_nobody_is_refused_with_advice() {
        let refused = open(&[any("192.0.2.1:0")], 1, Vec::new()).unwrap_err();
        assert_eq!(refused.why(), "no interface has this address");
        assert!(refused.remedy().is_some());
    }
}
