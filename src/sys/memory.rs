//! Memory that has a descriptor, so that it can be sent like a file.
//!
//! Contract: plain system calls; the descriptor is new, and nobody else knows it.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use crate::units::PAGE_SIZE;

/// A memfd of this size, in bytes, that can't be made larger or smaller any more: what is promised
/// of its bytes is there. Pages that were never written take no memory.
///
/// # Errors
/// As memfd_create(2), ftruncate(2), fcntl(2): no descriptor, no memory.
pub fn sealed(name: &CStr, size: u64) -> io::Result<File> {
    // SAFETY: the name lives until the call returns.
    let fd =
        unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given us this descriptor.
    let file = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
    file.set_len(size)?;
    let seals = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;
    // SAFETY: an integer goes in, and the descriptor is open for the call.
    if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(file)
}

/// Bytes of memory that the machine has.
///
/// # Errors
/// As sysconf(3): the C library does not know.
pub fn of_machine() -> io::Result<u64> {
    // SAFETY: only a number goes in.
    let pages = unsafe { libc::sysconf(libc::_SC_PHYS_PAGES) };
    let pages = u64::try_from(pages).map_err(|_| io::Error::last_os_error())?;
    Ok(pages.saturating_mul(PAGE_SIZE as u64))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    #[test]
    fn its_size_stays_and_its_bytes_can_be_written() {
        let file = sealed(c"test", 8192).unwrap();
        file.write_all_at(b"there", 4000).unwrap();
        let mut read = [0; 5];
        file.read_exact_at(&mut read, 4000).unwrap();
        assert_eq!(&read, b"there");
        assert!(file.set_len(0).is_err() && file.set_len(16384).is_err());
        assert!(file.write_all_at(b"beyond", 8190).is_err());
        assert_eq!(file.metadata().unwrap().len(), 8192);
    }
}
