//! Cold chunks: one read a chunk, however many requests wait for it, and few at a time.
//!
//! A read brings a chunk of a file into the page cache on a worker of the kernel; its bytes are
//! then sent from there like any others. The buffer it was read into is thrown away. A chunk that
//! is being read holds a lease on its source, also when nobody waits for it any more.

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
    places: AHashMap<(SourceId, u64), u32>,
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
    /// Whether bytes that should be there are missing, in what was read.
    pub is_short: bool,
}

impl Cold {
    /// Waits for the chunk that holds the byte at `offset`. True if nobody did so before: then the
    /// caller takes a lease on the source, until the chunk has come.
    pub fn wait<K: Kernel>(
        &mut self,
        kernel: &mut K,
        (slot, held): (SourceSlot, &Held),
        offset: u64,
        waiter: Waiter,
    ) -> bool {
        let Some((place, is_new)) = self.want(slot, held, offset) else { return false };
        self.chunks[place].waiters.push(waiter);
        self.begin(kernel);
        is_new
    }

    /// Fetches the chunk that holds the byte at `offset`, if there is little else to do. True as
    /// for `wait`.
    pub fn ahead<K: Kernel>(
        &mut self,
        kernel: &mut K,
        (slot, held): (SourceSlot, &Held),
        offset: u64,
    ) -> bool {
        if self.running + self.queue.len() >= AHEAD_MAX {
            return false;
        }
        let Some((_, is_new)) = self.want(slot, held, offset) else { return false };
        self.begin(kernel);
        is_new
    }

    /// The place of a chunk, and whether it is new.
    fn want(&mut self, slot: SourceSlot, held: &Held, offset: u64) -> Option<(u32, bool)> {
        let Payload::File(file) = &held.payload else { return None };
        let chunk_size = COLD_CHUNK_SIZE as u64;
        let start = offset - offset % chunk_size;
        let end = (start + chunk_size).min(file.size);
        if offset >= end {
            return None;
        }
        let key = (held.source, start);
        if let Some(&place) = self.places.get(&key) {
            return Some((place, false));
        }
        let place = self.chunks.insert(Chunk {
            slot,
            source: held.source,
            held: Rc::clone(held),
            extent: Extent { offset: start, size: end - start },
            waiters: Vec::new(),
        });
        self.places.insert(key, place);
        self.queue.push_back(place);
        Some((place, true))
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
        self.places.remove(&(chunk.source, chunk.extent.offset));
        self.running -= 1;
        if self.spare.len() < SPARE_BUFFERS_MAX {
            self.spare.push(buffer);
        }
        self.begin(kernel);
        let is_short = (size as u64) < chunk.extent.size;
        Came { slot: chunk.slot, waiters: chunk.waiters, is_short }
    }
}
