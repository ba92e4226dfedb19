//! Cold chunks: one read a chunk, however many requests wait for it, and few at a time.
//!
//! A read brings a chunk of a file into the page cache on a worker of the kernel. A large body is
//! then sent from there like any other; a small one is taken from the buffer it was read into.

use std::collections::VecDeque;
use std::rc::Rc;

use ahash::AHashMap;

use super::exchange::Waiter;
use super::kernel::Kernel;
use super::slab::Slab;
use crate::catalog::Held;
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
    /// Who waited for it.
    pub waiters: Vec<Waiter>,
    /// What was read, to be given back with `keep`.
    pub buffer: Vec<u8>,
    /// Whether bytes that should be there are missing, in what was read.
    pub is_short: bool,
}

impl Cold {
    /// Waits for the chunk that holds the byte at `offset`.
    pub fn wait<K: Kernel>(&mut self, kernel: &mut K, held: &Held, offset: u64, waiter: Waiter) {
        if let Some(extent) = chunk(held, offset) {
            self.wait_for(kernel, held, extent, waiter);
        }
    }

    /// Waits for exactly these bytes, no more than a chunk.
    pub fn wait_for<K: Kernel>(
        &mut self,
        kernel: &mut K,
        held: &Held,
        extent: Extent,
        waiter: Waiter,
    ) {
        let place = self.want(held, extent);
        self.chunks[place].waiters.push(waiter);
        self.begin(kernel);
    }

    /// Fetches the chunk that holds the byte at `offset`, if there is little else to do.
    pub fn ahead<K: Kernel>(&mut self, kernel: &mut K, held: &Held, offset: u64) {
        if self.running + self.queue.len() < AHEAD_MAX
            && let Some(extent) = chunk(held, offset)
        {
            self.want(held, extent);
            self.begin(kernel);
        }
    }

    fn want(&mut self, held: &Held, extent: Extent) -> u32 {
        let key = (held.source, extent);
        if let Some(&place) = self.places.get(&key) {
            return place;
        }
        let (source, held, waiters) = (held.source, Rc::clone(held), Vec::new());
        let place = self.chunks.insert(Chunk { source, held, extent, waiters });
        self.places.insert(key, place);
        self.queue.push_back(place);
        place
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
        Came { buffer, waiters: chunk.waiters, is_short: (size as u64) < chunk.extent.size }
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
