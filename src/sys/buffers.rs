//! The ring of receive buffers that the kernel fills (a "provided buffer ring", Linux 5.19).
//!
//! Contract: the memory of the ring and of its buffers is owned here and outlives the registration:
//! `sys::ring` drops it after every operation that uses it has completed. A buffer belongs
//! either to the kernel (its entry is in the ring) or to us (from a completion to `give_back`).

use std::io;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::types::BufRingEntry;
use memmap2::MmapMut;

use crate::config::{RECEIVE_BUFFER_SIZE, RECEIVE_BUFFERS};

/// The buffer group's number; a ring has only one.
pub const GROUP: u16 = 0;

/// Receive buffers and the ring that hands them to the kernel.
#[derive(Debug)]
pub struct Buffers {
    entries: MmapMut,
    bytes: MmapMut,
    tail: u16,
}

impl Buffers {
    /// Memory for all of them; pages are used when the kernel first fills them.
    ///
    /// # Errors
    ///
    /// Out of memory.
    pub fn new() -> io::Result<Self> {
        let entries = MmapMut::map_anon(RECEIVE_BUFFERS * size_of::<BufRingEntry>())?;
        let bytes = MmapMut::map_anon(RECEIVE_BUFFERS * RECEIVE_BUFFER_SIZE)?;
        Ok(Self { entries, bytes, tail: 0 })
    }

    /// Registers the ring, and gives every buffer to the kernel.
    ///
    /// # Errors
    ///
    /// The kernel's.
    pub fn register(&mut self, submitter: &io_uring::Submitter<'_>) -> io::Result<()> {
        let count = u16::try_from(RECEIVE_BUFFERS).expect("fits the kernel's type");
        let address = self.entries.as_ptr() as u64;
        // SAFETY: `entries` is page-aligned memory for `count` entries, and is unmapped only after
        // the last operation that uses it (module contract).
        unsafe { submitter.register_buf_ring_with_flags(address, count, GROUP, 0)? };
        for buffer in 0..count {
            self.give_back(buffer);
        }
        Ok(())
    }

    /// The first `size` bytes of a buffer that a completion named.
    #[must_use]
    pub fn bytes(&self, buffer: u16, size: u32) -> &[u8] {
        let start = usize::from(buffer) * RECEIVE_BUFFER_SIZE;
        let size = size as usize;
        assert!(size <= RECEIVE_BUFFER_SIZE && start + size <= self.bytes.len());
        let address = self.bytes.as_ptr().wrapping_add(start);
        // SAFETY: the range is inside the mapping. The kernel does not write it: the buffer is ours
        // until `give_back`, which takes `&mut self` and so cannot run while this borrow lives.
        unsafe { std::slice::from_raw_parts(address, size) }
    }

    /// Gives a buffer to the kernel.
    pub fn give_back(&mut self, buffer: u16) {
        let mask = u16::try_from(RECEIVE_BUFFERS - 1).expect("fits the kernel's type");
        let base: *mut BufRingEntry = self.entries.as_mut_ptr().cast();
        let start = usize::from(buffer) * RECEIVE_BUFFER_SIZE;
        let entry = base.wrapping_add(usize::from(self.tail & mask));
        // SAFETY: the index is masked to the ring's size, so the entry is inside the mapping, and
        // the kernel does not read it before the tail says so.
        let entry = unsafe { &mut *entry };
        entry.set_addr(self.bytes.as_ptr() as u64 + start as u64);
        entry.set_len(RECEIVE_BUFFER_SIZE as u32);
        entry.set_bid(buffer);
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: `base` is the address of the ring's first entry; its reserved field is the tail.
        let tail = unsafe { BufRingEntry::tail(base) };
        // SAFETY: the field is a u16, aligned to two bytes, and lives as long as the mapping; we
        // are its only writer, and the kernel reads it with acquire semantics.
        let tail = unsafe { AtomicU16::from_ptr(tail.cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }
}
