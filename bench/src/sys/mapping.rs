//! Anonymous memory, page-aligned, that the kernel may read or write while it is owned here.
//!
//! Contract: a `Mapping` owns its pages from `new` to `drop` and never moves them. Whoever gives
//! its address to the kernel keeps the `Mapping` until the kernel is done with it.

use std::io;
use std::ptr::{self, NonNull};

/// Pages of anonymous memory, unmapped when dropped.
pub struct Mapping {
    start: NonNull<u8>,
    size: usize,
}

impl Mapping {
    /// Zeroed memory to read and write, rounded up to whole pages by the kernel.
    pub fn new(size: usize) -> io::Result<Self> {
        Self::map(size, libc::PROT_READ | libc::PROT_WRITE)
    }

    /// Addresses nobody may touch: a receive that copied into them would fail with EFAULT.
    pub fn forbidden(size: usize) -> io::Result<Self> {
        Self::map(size, libc::PROT_NONE)
    }

    fn map(size: usize, protection: i32) -> io::Result<Self> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new anonymous mapping at an address of the kernel's choice touches no memory
        // that exists; the result is checked before use.
        let start = unsafe { libc::mmap(ptr::null_mut(), size, protection, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).expect("a successful mmap is not null");
        Ok(Self { start, size })
    }

    /// The first byte. Valid for `size` bytes as long as `self` lives.
    pub fn start(&self) -> *mut u8 {
        self.start.as_ptr()
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: `map` created exactly this range, and nothing else unmaps it.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.size) };
    }
}
