//! Limits of this process: how many descriptors, how much locked memory.
//!
//! Contract: the kernel reads or fills one struct for the time of the call and keeps no pointer.

use std::io;

/// A limit: what holds now, and how far the process may raise it by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rlimit {
    /// What holds now.
    pub soft: u64,
    /// What it can be raised to.
    pub hard: u64,
}

/// No limit.
pub const INFINITY: u64 = libc::RLIM_INFINITY;

/// Open descriptors.
pub fn nofile() -> io::Result<Rlimit> {
    read(libc::RLIMIT_NOFILE)
}

/// Bytes of locked memory; rings count against it for unprivileged users of old kernels.
pub fn memlock() -> io::Result<Rlimit> {
    read(libc::RLIMIT_MEMLOCK)
}

/// Raises the soft limit of descriptors to the hard one, and says what holds then.
pub fn raise_nofile() -> io::Result<Rlimit> {
    let now = nofile()?;
    if now.soft == now.hard {
        return Ok(now);
    }
    let wanted = libc::rlimit { rlim_cur: now.hard, rlim_max: now.hard };
    // SAFETY: `wanted` is initialised, lives over the call, and is only read.
    let result = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const wanted) };
    if result == 0 { nofile() } else { Err(io::Error::last_os_error()) }
}

fn read(resource: libc::__rlimit_resource_t) -> io::Result<Rlimit> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is ours, lives over the call, and any bits are a valid value of it.
    let result = unsafe { libc::getrlimit(resource, &raw mut limit) };
    if result == 0 {
        Ok(Rlimit { soft: limit.rlim_cur, hard: limit.rlim_max })
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raising_reaches_the_hard_limit() {
        let raised = raise_nofile().unwrap();
        assert_eq!(raised.soft, raised.hard);
        assert!(memlock().unwrap().soft <= memlock().unwrap().hard);
    }
}
