//! Who is at the other end of a unix socket, as the kernel noted it when that was connected.
//!
//! Contract: every pointer given to the kernel here is to memory that is ours for the whole call;
//! nothing is kept by the kernel after it returns.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};

/// Groups that are asked for at first; most users are in a few.
const GROUPS: usize = 64;

/// The supplementary groups of the process at the other end (`SO_PEERGROUPS`, Linux 4.13).
///
/// # Errors
///
/// As `getsockopt(2)`: it is no unix socket, or nobody is connected.
pub fn groups(socket: BorrowedFd<'_>) -> io::Result<Vec<u32>> {
    let mut groups = vec![0_u32; GROUPS];
    loop {
        let room = size_of_val(&*groups);
        let mut size = libc::socklen_t::try_from(room).map_err(io::Error::other)?;
        let (level, name) = (libc::SOL_SOCKET, libc::SO_PEERGROUPS);
        let into = groups.as_mut_ptr().cast();
        // SAFETY: the kernel writes at most `size` bytes into `groups`, which has so many, and says
        // in `size` how many it wrote; both are ours for the call.
        let result =
            unsafe { libc::getsockopt(socket.as_raw_fd(), level, name, into, &raw mut size) };
        let count = size as usize / size_of::<u32>();
        if result == 0 {
            groups.truncate(count);
            return Ok(groups);
        }
        let error = io::Error::last_os_error();
        // It says how many there are; that may be more once at most, since they are noted.
        if error.raw_os_error() != Some(libc::ERANGE) || count <= groups.len() {
            return Err(error);
        }
        groups.resize(count, 0);
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_peers_groups_are_those_of_its_process() {
        let (here, _there) = UnixStream::pair().unwrap();
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let own = status.lines().find_map(|line| line.strip_prefix("Groups:")).unwrap();
        let mut own: Vec<u32> = own.split_whitespace().map(|gid| gid.parse().unwrap()).collect();
        let mut found = groups(here.as_fd()).unwrap();
        own.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, own);
    }

    #[test]
    fn what_is_no_unix_socket_has_no_peers_groups() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(groups(listener.as_fd()).is_err());
    }
}
