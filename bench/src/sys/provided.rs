//! A provided-buffer ring: memory from which the kernel picks where a receive lands.
//!
//! Contract: every buffer is either the kernel's (published in the ring) or ours (between its
//! completion and `recycle`). `bytes` may only be called for a buffer that is ours, which the
//! completion that named it proves. The value outlives the io_uring that it was registered with.

use std::io;
use std::slice;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::Submitter;
use io_uring::types::BufRingEntry;

use super::mapping::Mapping;

/// The one buffer group that every ring here uses.
pub const GROUP: u16 = 0;

/// Equal buffers, lent to the kernel and taken back in the order in which it fills them.
pub struct ProvidedBuffers {
    entries: Mapping,
    memory: Mapping,
    count: u16,
    size: u32,
    tail: u16,
}

impl ProvidedBuffers {
    /// `count` (a power of two, at most 32,768) buffers of `size` bytes, all lent to the kernel.
    pub fn register(submitter: &Submitter<'_>, count: u16, size: u32) -> io::Result<Self> {
        assert!(count.is_power_of_two() && count <= 1 << 15, "the kernel's rule for buffer rings");
        let entries = Mapping::new(usize::from(count) * size_of::<BufRingEntry>())?;
        let memory = Mapping::new(usize::from(count) * size as usize)?;
        let address = entries.start() as u64;
        // SAFETY: `entries` is page-aligned, holds `count` entries, and lives as long as `self`,
        // which its owner drops after the ring (module contract).
        unsafe { submitter.register_buf_ring_with_flags(address, count, GROUP, 0)? };
        let mut buffers = Self { entries, memory, count, size, tail: 0 };
        for buffer in 0..count {
            buffers.recycle(buffer);
        }
        Ok(buffers)
    }

    /// The first `size` bytes of a buffer that a completion has just handed over.
    pub fn bytes(&self, buffer: u16, size: usize) -> &[u8] {
        assert!(buffer < self.count && size <= self.size as usize, "a buffer of this ring");
        // SAFETY: the assertion above keeps the offset inside `memory`.
        let start = unsafe { self.memory.start().add(usize::from(buffer) * self.size as usize) };
        // SAFETY: the range lies inside `memory`, which is initialised (anonymous pages are
        // zero), and the kernel does not write it until `recycle`, which needs `&mut self`.
        unsafe { slice::from_raw_parts(start, size) }
    }

    /// Lends a buffer to the kernel again.
    pub fn recycle(&mut self, buffer: u16) {
        let index = usize::from(self.tail & (self.count - 1));
        let address = self.memory.start() as u64 + u64::from(buffer) * u64::from(self.size);
        // SAFETY: `index` is below `count`, so the entry lies inside `entries`.
        let entry = unsafe { self.entries.start().cast::<BufRingEntry>().add(index) };
        // SAFETY: the entry is aligned and inside the mapping; the kernel reads it only after the
        // tail below passes it.
        let entry = unsafe { &mut *entry };
        entry.set_addr(address);
        entry.set_len(self.size);
        entry.set_bid(buffer);
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: the first entry of the ring is where the kernel's layout keeps the tail.
        let tail = unsafe { BufRingEntry::tail(self.entries.start().cast()) };
        // SAFETY: the tail is an aligned u16 inside `entries`, and the kernel only reads it.
        let tail = unsafe { AtomicU16::from_ptr(tail.cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }
}
