//! Which bytes of a file can be sent without waiting for a disk.

use super::calls;
use crate::messages::{FilePayload, Residency};
use crate::shard::kernel::{Errno, Look};
use crate::units::{Extent, KIB, PAGE_SIZE};

/// Bytes that are read at a time where every page is looked at: they stay in the CPU's cache.
const LOOKED_AT_SIZE: usize = 64 * KIB;

/// Looks at the page cache.
#[derive(Debug)]
pub struct Looker {
    /// Whether this kernel has `cachestat(2)`.
    has_cachestat: bool,
    /// Where bytes go that are read only to know that they are there.
    scratch: Box<[u8]>,
}

impl Looker {
    /// With `cachestat(2)`, or without it.
    #[must_use]
    pub fn new(has_cachestat: bool) -> Self {
        Self { has_cachestat, scratch: vec![0; LOOKED_AT_SIZE].into() }
    }

    /// How many bytes of the extent, from its start, can be sent without waiting.
    pub fn resident(&mut self, file: &FilePayload, extent: Extent, look: Look) -> u64 {
        match (file.residency, look) {
            (Residency::Memory, _) => extent.size,
            (Residency::Unknown, _) => 0,
            (Residency::Asked | Residency::Sampled, Look::Every) => self.read(file, extent),
            (Residency::Asked, Look::Sample) if self.has_cachestat => counted(file, extent),
            (Residency::Asked | Residency::Sampled, Look::Sample) => sampled(file, extent),
        }
    }

    /// As many bytes as can be read without waiting.
    fn read(&mut self, file: &FilePayload, extent: Extent) -> u64 {
        let mut read = 0;
        while read < extent.size {
            let size = (extent.size - read).min(self.scratch.len() as u64) as usize;
            match calls::read_now(&file.fd, extent.offset + read, &mut self.scratch[..size]) {
                Ok(more) if more > 0 => read += more as u64,
                Err(Errno::AGAIN) => return read,
                // Where nothing more is, and where reading fails, sending does not wait either.
                Ok(_) | Err(_) => return extent.size,
            }
        }
        read
    }
}

/// By the number of its cached pages. They may still be on their way from the disk: mostly so is
/// the last one then.
fn counted(file: &FilePayload, extent: Extent) -> u64 {
    let page = PAGE_SIZE as u64;
    let end = extent.offset + extent.size;
    let pages = end.div_ceil(page) - extent.offset / page;
    match calls::cached_pages(&file.fd, extent) {
        Ok(cached) if cached >= pages && is_there(file, end - 1) => extent.size,
        Ok(0) => 0,
        Ok(_) | Err(_) => page_by_page(file, extent),
    }
}

/// By its first page, every 32nd and the last, since files are mostly read in and evicted in larger
/// pieces than that.
fn sampled(file: &FilePayload, extent: Extent) -> u64 {
    let page = PAGE_SIZE as u64;
    let end = extent.offset + extent.size;
    let mut pages = (extent.offset / page..end.div_ceil(page)).step_by(32);
    match pages.all(|at| is_there(file, at * page)) && is_there(file, end - 1) {
        true => extent.size,
        false => page_by_page(file, extent),
    }
}

/// As many pages as are there one after the other.
fn page_by_page(file: &FilePayload, extent: Extent) -> u64 {
    let page = PAGE_SIZE as u64;
    let mut resident = 0;
    while resident < extent.size && is_there(file, extent.offset + resident) {
        resident += page - (extent.offset + resident) % page;
    }
    resident.min(extent.size)
}

/// Whether the byte at `offset` can be read without waiting.
fn is_there(file: &FilePayload, offset: u64) -> bool {
    calls::read_now(&file.fd, offset, &mut [0]) != Err(Errno::AGAIN)
}
