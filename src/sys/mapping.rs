//! Mappings of files, for the kernel's eyes only.
//!
//! Contract: whoever maps a file never reads the mapped bytes in user space, where a file that was
//! cut short would be a SIGBUS; addresses are handed to system calls, which report EFAULT instead.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;

use memmap2::{Mmap, MmapOptions};

/// Maps a file, read-only and shared.
///
/// # Errors
/// As mmap(2): ENOMEM at the limit of mappings or of address space.
pub fn map_file(file: &File) -> io::Result<Mmap> {
    // SAFETY: the bytes are not looked at in user space (module contract), so nobody relies on
    // their not changing; the mapping itself stays valid whatever happens to the file.
    unsafe { MmapOptions::new().map(file) }
}
