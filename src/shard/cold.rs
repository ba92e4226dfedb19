//! Cold chunks: one read a chunk, however many requests wait for it, and few at a time.
//!
//! A read brings a chunk of a file into the page cache on a worker of the kernel; its bytes are
//! then sent from there like any others. The buffer it was read into is thrown away.

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
    /// Who waited for it.
    pub waiters: Vec<Waiter>,
    /// Whether bytes that should be there are missing, in what was read.
    pub is_short: bool,
}

impl Cold {
    /// Waits for the chunk that holds the byte at `offset`.
    pub fn wait<K: Kernel>(&mut self, kernel: &mut K, held: &Held, offset: u64, waiter: Waiter) {
        if let Some(place) = self.want(held, offset) {
            self.chunks[place].waiters.push(waiter);
        }
        self.begin(kernel);
    }

    /// Fetches the chunk that holds the byte at `offset`, if there is little else to do.
    pub fn ahead<K: Kernel>(&mut self, kernel: &mut K, held: &Held, offset: u64) {
        if self.running + self.queue.len() < AHEAD_MAX && self.want(held, offset).is_some() {
            self.begin(kernel);
        }
    }

    fn want(&mut self, held: &Held, offset: u64) -> Option<u32> {
        let Payload::File(file) = &held.payload else { return None };
        let chunk_size = COLD_CHUNK_SIZE as u64;
        let start = offset - offset % chunk_size;
        let end = (start + chunk_size).min(file.size);
        if offset >= end {
            return None;
        }
        let key = (held.source, start);
        if let Some(&place) = self.places.get(&key) {
            return Some(place);
        }
        let place = self.chunks.insert(Chunk {
            source: held.source,
            held: Rc::clone(held),
            extent: Extent { offset: start, size: end - start },
            waiters: Vec::new(),
        });
        self.places.insert(key, place);
        self.queue.push_back(place);
        Some(place)
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
        Came { waiters: chunk.waiters, is_short: (size as u64) < chunk.extent.size }
    }
}
