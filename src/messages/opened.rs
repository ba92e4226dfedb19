//! A source that is open: what it holds, and where its bytes are.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::{Beside, Narrowed, SourceId};
use crate::config::SMALL_BODY_SIZE_MAX;
use crate::pack::index::PackIndex;
use crate::units::{Class, Extent, Rung, UnixTime, Variant};

/// A source that can be served: its index, and where its bytes lie.
///
/// Made once, off the shards, and shared by all of them. Whoever drops the last reference closes
/// the file; shards say `Released` when they have let go.
#[derive(Debug)]
pub struct Opened {
    /// Which version of which pack or file this is.
    pub source: SourceId,
    /// What it holds.
    pub index: Index,
    /// Where the bytes are.
    pub payload: Payload,
    /// What there is beside them for viewers who may not have every rendition.
    pub beside: Option<Arc<Beside>>,
}

impl Opened {
    /// Bytes of an object that are in memory: all of a payload there, and what lies beside a file.
    #[must_use]
    pub fn in_memory(&self, extent: Extent) -> Option<&[u8]> {
        match &self.payload {
            Payload::Heap(bytes) => {
                let start = usize::try_from(extent.offset).ok()?;
                bytes.get(start..start.checked_add(usize::try_from(extent.size).ok()?)?)
            }
            Payload::File(_) => self.beside.as_ref()?.bytes(extent),
            Payload::Reel(_) => None,
        }
    }

    /// The file in which these bytes of an object lie, if they are in no memory of ours.
    #[must_use]
    pub fn file_of(&self, extent: Extent) -> Option<&Arc<FilePayload>> {
        match &self.payload {
            Payload::File(file) if self.in_memory(extent).is_none() => Some(file),
            _ => None,
        }
    }

    /// The number in the index of an object, of which this may be a form for some viewers.
    #[must_use]
    pub fn object_of(&self, entry: u32) -> u32 {
        self.form(entry).map_or(entry, |(object, _)| *object)
    }

    /// The form of a pack's object with this number: they are counted behind the objects.
    #[must_use]
    pub fn form(&self, entry: u32) -> Option<&(u32, Narrowed)> {
        let Index::Pack(index) = &self.index else { return None };
        self.beside.as_ref()?.form(entry.checked_sub(index.count())?)
    }

    /// Where its payload ends in its file, as far as is known: an hour of an archive that is still
    /// being written to was shorter when it was opened than it is where its newest object ends.
    /// None in heap memory.
    #[must_use]
    pub fn payload_end(&self) -> Option<u64> {
        let Payload::File(file) = &self.payload else { return None };
        let ends = match &self.index {
            Index::Pack(_) => 0,
            Index::Single(single) => {
                let variants = [Some(&single.identity), single.gzip.as_ref()];
                let ends = variants.map(|of| of.map_or(0, |of| of.extent.offset + of.extent.size));
                ends.into_iter().max().unwrap_or(0)
            }
        };
        Some(file.size.max(ends))
    }

    /// Whether it is made piece by piece.
    #[must_use]
    pub fn is_made(&self) -> bool {
        matches!(self.payload, Payload::Reel(_))
    }

    /// Whether its bodies are mostly of the size that is sent from the file's own pages.
    #[must_use]
    pub fn has_large_bodies(&self) -> bool {
        let Payload::File(file) = &self.payload else { return false };
        let count = match &self.index {
            Index::Pack(index) => u64::from(index.count().max(1)),
            Index::Single(_) => 1,
        };
        file.size / count > SMALL_BODY_SIZE_MAX as u64
    }
}

/// What a source holds.
#[derive(Debug)]
pub enum Index {
    /// Many objects, found by their path inside the pack.
    Pack(PackIndex),
    /// One file of a folder.
    Single(Single),
}

/// The one object of a file in a folder.
#[derive(Clone, Debug)]
pub struct Single {
    /// Its media type.
    pub media_type: &'static str,
    /// Its class.
    pub class: Class,
    /// `Last-Modified`.
    pub modified: UnixTime,
    /// The bytes as they are in the file.
    pub identity: Variant,
    /// The gzipped bytes, where that pays.
    pub gzip: Option<Variant>,
    /// The same for viewers who may not have every rendition, if it names several.
    pub narrowed: Box<[Narrowed]>,
    /// What the rendition takes that it belongs to.
    pub rung: Rung,
}

/// Where the bytes of a source are.
#[derive(Debug)]
pub enum Payload {
    /// In heap memory.
    Heap(Box<[u8]>),
    /// In a file, of which nobody writes these bytes any more. Live objects share theirs.
    File(Arc<FilePayload>),
    /// Nowhere, until somebody wants a piece of it.
    Reel(Reel),
}

/// An object that is made piece by piece when it is sent: where each piece begins.
///
/// What a piece is depends on nothing but its number, so it is the same whenever it is made.
#[derive(Debug)]
pub struct Reel {
    /// The first is 0; behind the last piece stands the size of all.
    starts: Box<[u64]>,
}

impl Reel {
    /// Of pieces with these sizes.
    #[must_use]
    pub fn of(sizes: impl IntoIterator<Item = u64>) -> Self {
        let mut at = 0;
        let end = |size| {
            at += size;
            at
        };
        Self { starts: std::iter::once(0).chain(sizes.into_iter().map(end)).collect() }
    }

    /// Its size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.starts.last().copied().unwrap_or(0)
    }

    /// How many pieces it has.
    #[must_use]
    pub fn count(&self) -> usize {
        self.starts.len() - 1
    }

    /// Where a piece lies.
    #[must_use]
    pub fn extent(&self, number: u32) -> Option<Extent> {
        let at = number as usize;
        let (offset, end) = (*self.starts.get(at)?, *self.starts.get(at + 1)?);
        Some(Extent { offset, size: end - offset })
    }

    /// The piece that holds the byte at an offset.
    #[must_use]
    pub fn at(&self, offset: u64) -> Option<u32> {
        let behind = self.starts.partition_point(|start| *start <= offset);
        u32::try_from(behind.checked_sub(1)?).ok().filter(|_| offset < self.size())
    }
}

/// An open file, and a mapping of it where one is wanted.
///
/// The mapped bytes are for the kernel only: user space never reads a payload page, so a file that
/// was cut short or a failing disk can cost a connection, not the process.
#[derive(Debug)]
pub struct FilePayload {
    /// Open for reading.
    pub fd: OwnedFd,
    /// Size at the time of opening, in bytes.
    pub size: u64,
    /// What it lies on: one that hangs must not hold up the others.
    pub device: Device,
    /// How it is known which of its bytes are in memory.
    pub residency: Residency,
    /// The mapping, for huge pages and zero-copy sends.
    pub map: Option<memmap2::Mmap>,
}

/// A mounted file system: `st_dev` of stat(2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Device(pub u64);

/// How it is known which bytes of a file can be sent without waiting for a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Residency {
    /// `cachestat(2)` tells of a whole stretch: the file is ours, or we may write it.
    Asked,
    /// Single bytes are tried with `preadv2(RWF_NOWAIT)`.
    Sampled,
    /// It is nowhere but in memory (tmpfs).
    Memory,
    /// Nobody can say: the file system knows no RWF_NOWAIT. A worker reads everything first.
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_of_what_is_made_lies_in_one_piece() {
        let reel = Reel::of([188, 376, 188]);
        assert_eq!((reel.size(), reel.count()), (752, 3));
        for offset in 0..reel.size() {
            let number = reel.at(offset).expect("it is in a piece");
            let extent = reel.extent(number).expect("there is such a piece");
            assert!((extent.offset..extent.offset + extent.size).contains(&offset), "{offset}");
        }
        assert_eq!((reel.at(752), reel.extent(3)), (None, None));
        let none = Reel::of([]);
        assert_eq!((none.size(), none.count(), none.at(0)), (0, 0, None));
    }
}
