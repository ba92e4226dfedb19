//! Cold chunks: one read a chunk, however many requests wait for it, and few at a time.
//!
//! A read brings a chunk of a file into the page cache on a worker of the kernel. A large body is
//! then sent from there like any other; a small one is taken from the buffer it was read into. A
//! chunk that is being read holds a lease on its source, also when nobody waits for it any more.

use std::collections::VecDeque;
use std::rc::Rc;

use ahash::AHashMap;

use super::exchange::Waiter;
use super::kernel::Kernel;
use super::slab::Slab;
use crate::catalog::{Held, SourceSlot};
use crate::config::{COLD_CHUNK_SIZE, COLD_READS_MAX};
use crate::messages::{Payload, SourceId};
use crate::units::Extent;

/// Buffers that are kept when no chunk is cold any more.
const SPARE_BUFFERS_MAX: usize = 4;

/// Chunks that may wait for a read, besides those with somebody waiting: reads ahead beyond it are
/// not begun.
const AHEAD_MAX: usize = 8;

#[derive(Debug)]
struct Chunk {
    slot: SourceSlot,
    source: SourceId,
    held: Held,
    extent: Extent,
    waiters: Vec<Waiter>,
}

/// The cold chunks of one shard.
#[derive(Debug, Default)]
pub struct Cold {
    chunks: Slab<Chunk>,
    places: AHashMap<(SourceId, Extent), u32>,
    queue: VecDeque<u32>,
    running: usize,
    spare: Vec<Vec<u8>>,
    /// Reads begun.
    pub begun: u64,
}

/// A chunk that has come, or has not.
#[derive(Debug)]
pub struct Came {
    /// Of which source; the lease on it is to be given back.
    pub slot: SourceSlot,
    /// Who waited for it.
    pub waiters: Vec<Waiter>,
    /// What was read, to be given back with `keep`.
    pub buffer: Vec<u8>,
    /// Whether bytes that should be there are missing, in what was read.
    pub is_short: bool,
}

impl Cold {
    /// Waits for the chunk that holds the byte at `offset`. True if nobody did so before: then the
    /// caller takes a lease on the source, until the chunk has come.
    pub fn wait<K: Kernel>(
        &mut self,
        kernel: &mut K,
        from: (SourceSlot, &Held),
        offset: u64,
        waiter: Waiter,
    ) -> bool {
        let Some(extent) = chunk(from.1, offset) else { return false };
        self.wait_for(kernel, from, extent, waiter)
    }

    /// Waits for exactly these bytes, no more than a chunk. True as for `wait`.
    pub fn wait_for<K: Kernel>(
        &mut self,
        kernel: &mut K,
        from: (SourceSlot, &Held),
        extent: Extent,
        waiter: Waiter,
    ) -> bool {
        let (place, is_new) = self.want(from, extent);
        self.chunks[place].waiters.push(waiter);
        self.begin(kernel);
        is_new
    }

    /// Fetches the chunk that holds the byte at `offset`, if there is little else to do. True as
    /// for `wait`.
    pub fn ahead<K: Kernel>(
        &mut self,
        kernel: &mut K,
        from: (SourceSlot, &Held),
        offset: u64,
    ) -> bool {
        if self.running + self.queue.len() >= AHEAD_MAX {
            return false;
        }
        let Some(extent) = chunk(from.1, offset) else { return false };
        let (_, is_new) = self.want(from, extent);
        self.begin(kernel);
        is_new
    }

    /// The place of a chunk, and whether it is new.
    fn want(&mut self, (slot, held): (SourceSlot, &Held), extent: Extent) -> (u32, bool) {
        let key = (held.source, extent);
        if let Some(&place) = self.places.get(&key) {
            return (place, false);
        }
        let (source, held, waiters) = (held.source, Rc::clone(held), Vec::new());
        let place = self.chunks.insert(Chunk { slot, source, held, extent, waiters });
        self.places.insert(key, place);
        self.queue.push_back(place);
        (place, true)
    }

    fn begin<K: Kernel>(&mut self, kernel: &mut K) {
        while self.running < COLD_READS_MAX {
            let Some(place) = self.queue.pop_front() else { return };
            let chunk = &self.chunks[place];
            let buffer = self.spare.pop().unwrap_or_else(|| Vec::with_capacity(COLD_CHUNK_SIZE));
            kernel.read(&chunk.held, chunk.extent, buffer, place);
            self.running += 1;
            self.begun += 1;
        }
    }

    /// A read ended with so many bytes.
    pub fn came<K: Kernel>(
        &mut self,
        kernel: &mut K,
        read: u32,
        size: usize,
        buffer: Vec<u8>,
    ) -> Came {
        let chunk = self.chunks.remove(read);
        self.places.remove(&(chunk.source, chunk.extent));
        self.running -= 1;
        self.begin(kernel);
        let is_short = (size as u64) < chunk.extent.size;
        Came { slot: chunk.slot, waiters: chunk.waiters, buffer, is_short }
    }

    /// Keeps a buffer for the next read.
    pub fn keep(&mut self, buffer: Vec<u8>) {
        if self.spare.len() < SPARE_BUFFERS_MAX {
            self.spare.push(buffer);
        }
    }
}

/// The chunk that holds the byte at `offset`; none where the file has no such byte.
fn chunk(held: &Held, offset: u64) -> Option<Extent> {
    let Payload::File(file) = &held.payload else { return None };
    let chunk_size = COLD_CHUNK_SIZE as u64;
    let start = offset - offset % chunk_size;
    let end = (start + chunk_size).min(file.size);
    (offset < end).then(|| Extent { offset: start, size: end - start })
}
