//! The page cache of one file.
//!
//! Contract: one plain system call on a descriptor that the caller owns.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// Gives the pages of `file` back to the disk; they must be written out already. Pages that
/// somebody has mapped, or that wait in a socket, stay.
pub fn forget(file: &File) -> io::Result<()> {
    // SAFETY: the descriptor is open for the call, and no memory is handed over.
    match unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) } {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}
