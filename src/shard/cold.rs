//! Cold chunks: one read a chunk, however many requests wait for it, and few at a time.
//!
//! A read brings a chunk of a file into the page cache on a worker of the kernel. A large body is
//! then sent from there like any other; a small one is taken from the buffer it was read into. A
//! chunk that is being read holds a lease on its source, also when nobody waits for it any more;
//! one whose read has not begun is dropped when the last of those who wait for it has left.
//!
//! Chunks are read in order of arrival, those of each device for themselves: a disk that hangs, or
//! a mount whose server is gone, keeps its own readers waiting and nobody else's. Each request
//! waits for one chunk at a time, so who asks for much has no more places in the queue than who
//! asks for little.

use std::collections::VecDeque;
use std::rc::Rc;

use ahash::AHashMap;

use super::exchange::{Exchange, Waiter, add_waiter};
use super::kernel::Kernel;
use super::slab::Slab;
use crate::catalog::{Held, SourceSlot};
use crate::config::{COLD_CHUNK_SIZE, COLD_QUEUE_MAX, COLD_READS_ALL_MAX, COLD_READS_MAX};
use crate::messages::{Device, Payload, SourceId};
use crate::units::Extent;

/// Buffers that are kept when no chunk is cold any more.
const SPARE_BUFFERS_MAX: usize = 4;

/// Chunks of a device, read or waiting, at which none is fetched ahead that nobody waits for yet.
const AHEAD_MAX: usize = 8;
const _: () =
    assert!(AHEAD_MAX <= COLD_READS_MAX, "what is fetched ahead never waits in the queue");

#[derive(Debug)]
struct Chunk {
    slot: SourceSlot,
    source: SourceId,
    held: Held,
    device: Device,
    extent: Extent,
    /// Who waits for it, and some who have left.
    waiters: Vec<Waiter>,
    /// How many of the waiters have not left.
    waiting: u32,
    /// Tells this chunk from others that have its place later.
    number: u64,
    is_begun: bool,
}

/// The cold chunks of one shard.
#[derive(Debug, Default)]
pub struct Cold {
    chunks: Slab<Chunk>,
    places: AHashMap<(SourceId, Extent), u32>,
    /// One for each device of which a chunk was ever cold: as many as there are mounts.
    lanes: Vec<Lane>,
    /// Reads under way, of all devices.
    running: usize,
    spare: Vec<Vec<u8>>,
    /// Reads begun.
    pub begun: u64,
    numbers: u64,
}

/// The chunks of one device.
#[derive(Debug)]
struct Lane {
    device: Device,
    /// Chunks that wait for a read, by place and number, and some that were dropped.
    queue: VecDeque<(u32, u64)>,
    /// How many chunks of the queue were not dropped.
    queued: usize,
    /// Reads under way.
    running: usize,
}

/// One who waits.
#[derive(Clone, Copy, Debug)]
pub struct Waits {
    /// Who.
    pub waiter: Waiter,
    /// Whether some of its body was sent: it can't be refused any more.
    pub is_under_way: bool,
}

/// A chunk that is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its place, until it comes.
    pub place: u32,
    /// Nobody wanted it before: the caller takes a lease on the source, until the chunk has come or
    /// was dropped.
    pub is_new: bool,
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
    /// Waits for the chunk that holds the byte at `offset`; none if there is no room, or no such
    /// byte.
    pub fn wait<K: Kernel>(
        &mut self,
        kernel: &mut K,
        from: (SourceSlot, &Held),
        offset: u64,
        waits: Waits,
        exchanges: &Slab<Exchange>,
    ) -> Option<Wanted> {
        let extent = chunk(from.1, offset)?;
        self.wait_for(kernel, from, extent, waits, exchanges)
    }

    /// Waits for exactly these bytes, no more than a chunk; none if there is no room.
    pub fn wait_for<K: Kernel>(
        &mut self,
        kernel: &mut K,
        from: (SourceSlot, &Held),
        extent: Extent,
        waits: Waits,
        exchanges: &Slab<Exchange>,
    ) -> Option<Wanted> {
        let device = device(from.1)?;
        let is_known = self.places.contains_key(&(from.1.source, extent));
        // A response that is under way can't be refused: it has one place, and waits so long.
        if !is_known && !waits.is_under_way && self.lane(device).queued >= COLD_QUEUE_MAX {
            return None;
        }
        let wanted = self.want(from, device, extent);
        let chunk = &mut self.chunks[wanted.place];
        add_waiter(&mut chunk.waiters, waits.waiter, exchanges);
        chunk.waiting += 1;
        self.begin(kernel);
        Some(wanted)
    }

    /// Fetches the chunk that holds the byte at `offset`, if there is little else to do. True if
    /// nobody did so before: then the caller takes a lease on the source, until it has come.
    pub fn ahead<K: Kernel>(
        &mut self,
        kernel: &mut K,
        from: (SourceSlot, &Held),
        offset: u64,
    ) -> bool {
        let Some(device) = device(from.1) else { return false };
        let lane = self.lane(device);
        // No more than may run together: what nobody waits for is begun at once or not at all.
        if lane.running + lane.queued >= AHEAD_MAX || self.running >= COLD_READS_ALL_MAX {
            return false;
        }
        let Some(extent) = chunk(from.1, offset) else { return false };
        let wanted = self.want(from, device, extent);
        self.begin(kernel);
        wanted.is_new
    }

    /// One who waited has left. A chunk that nobody waits for and that is not being read is
    /// dropped: the lease on its source is to be given back.
    pub fn leave(&mut self, place: u32) -> Option<SourceSlot> {
        let chunk = &mut self.chunks[place];
        chunk.waiting -= 1;
        if chunk.waiting > 0 || chunk.is_begun {
            return None;
        }
        let chunk = self.chunks.remove(place);
        self.places.remove(&(chunk.source, chunk.extent));
        self.lane(chunk.device).queued -= 1;
        Some(chunk.slot)
    }

    /// The place of a chunk, which is queued if it is new.
    fn want(
        &mut self,
        (slot, held): (SourceSlot, &Held),
        device: Device,
        extent: Extent,
    ) -> Wanted {
        let key = (held.source, extent);
        if let Some(&place) = self.places.get(&key) {
            return Wanted { place, is_new: false };
        }
        self.numbers += 1;
        let number = self.numbers;
        let place = self.chunks.insert(Chunk {
            slot,
            source: held.source,
            held: Rc::clone(held),
            device,
            extent,
            waiters: Vec::new(),
            waiting: 0,
            number,
            is_begun: false,
        });
        self.places.insert(key, place);
        let lane = lane(&mut self.lanes, device);
        lane.strike_dropped(&self.chunks);
        lane.queue.push_back((place, number));
        lane.queued += 1;
        Wanted { place, is_new: true }
    }

    fn lane(&mut self, device: Device) -> &mut Lane {
        lane(&mut self.lanes, device)
    }

    fn begin<K: Kernel>(&mut self, kernel: &mut K) {
        for lane in &mut self.lanes {
            while lane.running < COLD_READS_MAX && self.running < COLD_READS_ALL_MAX {
                let Some((place, number)) = lane.queue.pop_front() else { break };
                let Some(chunk) = self.chunks.get_mut(place) else { continue };
                if chunk.number != number {
                    continue;
                }
                let spare = self.spare.pop();
                let buffer = spare.unwrap_or_else(|| Vec::with_capacity(COLD_CHUNK_SIZE));
                kernel.read(&chunk.held, chunk.extent, buffer, place);
                chunk.is_begun = true;
                lane.queued -= 1;
                lane.running += 1;
                self.running += 1;
                self.begun += 1;
            }
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
        self.lane(chunk.device).running -= 1;
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

impl Lane {
    /// Before the queue grows, chunks that were dropped are struck off it: it is never much longer
    /// than its limit, however many come and leave while the disk is busy.
    fn strike_dropped(&mut self, chunks: &Slab<Chunk>) {
        let capacity = self.queue.capacity();
        if self.queue.len() < capacity {
            return;
        }
        self.queue.retain(|&(place, number)| {
            chunks.get(place).is_some_and(|chunk| chunk.number == number)
        });
        if self.queue.len() > capacity / 2 {
            self.queue.reserve(capacity);
        }
    }
}

fn lane(lanes: &mut Vec<Lane>, device: Device) -> &mut Lane {
    let known = lanes.iter().position(|lane| lane.device == device);
    let place = known.unwrap_or_else(|| {
        lanes.push(Lane { device, queue: VecDeque::new(), queued: 0, running: 0 });
        lanes.len() - 1
    });
    &mut lanes[place]
}

/// Where the bytes come from; none if they are in memory anyway.
fn device(held: &Held) -> Option<Device> {
    match &held.payload {
        Payload::File(file) => Some(file.device),
        _ => None,
    }
}

/// The chunk that holds the byte at `offset`; none where the file has no such byte.
fn chunk(held: &Held, offset: u64) -> Option<Extent> {
    let chunk_size = COLD_CHUNK_SIZE as u64;
    let start = offset - offset % chunk_size;
    let end = (start + chunk_size).min(held.payload_end()?);
    (offset < end).then(|| Extent { offset: start, size: end - start })
}
