//! What this kernel lets us do: tried out, never guessed from a version.
//!
//! Rings are made as the shards make theirs, and let go again.

use crate::messages::Residency;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use io_uring::{IoUring, opcode, squeue};

use super::features::Features;
use super::ring::Ring;
use super::{calls, files};
use crate::shard::kernel::Errno;
use crate::units::Extent;

/// Makes as many rings as there will be shards, all at once: each counts against the same limits.
///
/// # Errors
///
/// As `Ring::new`.
pub fn rings(count: usize) -> io::Result<()> {
    let mut rings = Vec::with_capacity(count);
    for _ in 0..count {
        rings.push(Ring::new(Vec::new(), calls::bell()?, Features::from_environment())?);
    }
    Ok(())
}

/// The operations that the shards need and that this kernel lacks, by name.
///
/// # Errors
///
/// No ring could be made, or the kernel does not tell.
pub fn missing_operations() -> io::Result<Vec<&'static str>> {
    let ring = plain(false)?;
    let mut probe = io_uring::Probe::new();
    ring.submitter().register_probe(&mut probe)?;
    let needed = [
        ("ACCEPT", opcode::AcceptMulti::CODE),
        ("RECV", opcode::RecvMulti::CODE),
        ("POLL_ADD", opcode::PollAdd::CODE),
        ("SEND", opcode::Send::CODE),
        ("SENDMSG", opcode::SendMsg::CODE),
        ("SEND_ZC", opcode::SendZc::CODE),
        ("READ", opcode::Read::CODE),
        ("ASYNC_CANCEL", opcode::AsyncCancel::CODE),
    ];
    Ok(needed
        .into_iter()
        .filter(|(_, code)| !probe.is_supported(*code))
        .map(|(name, _)| name)
        .collect())
}

/// Which optional features this kernel has, whatever is switched off.
///
/// # Errors
///
/// No ring could be made.
pub fn features() -> io::Result<Features> {
    let ring = plain(false)?;
    Ok(Features {
        cachestat: knows_cachestat(),
        no_sqarray: plain(true).is_ok(),
        registered_ring: ring.submitter().register_ring_fd().is_ok(),
    })
}

/// Whether the residency of this file can be asked for in one call.
#[must_use]
pub fn residency_is_known(file: &File) -> bool {
    files::residency(file) == Residency::Asked
}

fn plain(no_sqarray: bool) -> io::Result<IoUring<squeue::Entry>> {
    let mut builder = IoUring::builder();
    if no_sqarray {
        builder.setup_no_sqarray();
    }
    builder.build(8)
}

/// The call exists if a kernel refuses it for any other reason than not knowing it.
fn knows_cachestat() -> bool {
    File::open("/proc/self/exe").is_ok_and(|program| {
        let page = Extent { offset: 0, size: 1 };
        calls::cached_pages(OwnedFd::from(program), page) != Err(Errno(libc::ENOSYS))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_kernel_can_do_what_the_shards_need() {
        rings(2).unwrap();
        assert_eq!(missing_operations().unwrap(), Vec::<&str>::new());
        // They are optional, so any answer is right; asking must work.
        features().unwrap();
    }
}
