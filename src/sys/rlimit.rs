//! Limits of this process: how many descriptors, how much locked memory.
//!
//! Contract: the kernel reads or fills one struct for the time of the call and keeps no pointer.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

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

/// Makes the process's table of descriptors as large as it may become, up to `TABLE_MAX`.
///
/// The kernel grows it by doubling, and where threads share it, whoever needs the next descriptor
/// waits for a grace period of RCU (`expand_files`): milliseconds at best. Before there are threads
/// nobody waits. The kernel takes 8 bytes for each place, and never gives them back.
///
/// # Errors
/// As fcntl(2): no memory for the table. It then grows as it is needed.
pub fn widen_table(descriptors: u64) -> io::Result<()> {
    let last = descriptors.min(TABLE_MAX).saturating_sub(1);
    let last = libc::c_int::try_from(last).expect("it is at most TABLE_MAX");
    let any = File::open("/dev/null")?;
    // SAFETY: integers only, and the descriptor is open for the call.
    let copy = unsafe { libc::fcntl(any.as_raw_fd(), libc::F_DUPFD_CLOEXEC, last) };
    if copy < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given us this descriptor.
    drop(unsafe { OwnedFd::from_raw_fd(copy) });
    Ok(())
}

/// Places that are made at once: what the usual `fs.nr_open` allows. Containers without a limit of
/// their own have one of a thousand million.
const TABLE_MAX: u64 = 1 << 20;

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
    fn the_table_has_room_for_every_descriptor() {
        let soft = nofile().unwrap().soft;
        widen_table(soft).unwrap();
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let size = status.lines().find_map(|line| line.strip_prefix("FDSize:"));
        let size: u64 = size.unwrap().trim().parse().unwrap();
        assert!(size >= soft.min(TABLE_MAX), "{size} of {soft}");
        widen_table(0).unwrap();
    }

    #[test]
    fn raising_reaches_the_hard_limit() {
        let raised = raise_nofile().unwrap();
        assert_eq!(raised.soft, raised.hard);
        assert!(memlock().unwrap().soft <= memlock().unwrap().hard);
    }
}
