//! Where the bytes of one rendition lie: memory of a fixed size, filled from its start to its end.
//!
//! A segment lies in one slab, so that it and its parts are extents of the same bytes. What is
//! written is never written over. A slab goes when nothing of it is published any more and nobody
//! sends it: each object holds a reference to it.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::rc::Rc;
use std::sync::{Arc, Weak};

use crate::config::{SEGMENT_SIZE_MAX, SLAB_SIZE};
use crate::messages::{Device, FilePayload, Payload, Residency};
use crate::sys::memory;
use crate::units::Extent;

/// All slabs that there are, and how much memory they may take.
#[derive(Clone, Debug)]
pub struct Ledger {
    limit: u64,
    slabs: Rc<RefCell<Vec<Entry>>>,
}

/// A slab, as long as anything refers to it, and its size in bytes.
type Entry = (Weak<FilePayload>, u64);

impl Ledger {
    /// Without slabs; `limit` is in bytes.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self { limit, slabs: Rc::default() }
    }

    /// A slab of this size, in bytes, if there may be one.
    fn slab(&self, size: u64) -> io::Result<Slab> {
        let mut slabs = self.slabs.borrow_mut();
        slabs.retain(|(payload, _)| payload.strong_count() > 0);
        let taken = slabs.iter().map(|(_, size)| size).sum::<u64>();
        if taken.saturating_add(size) > self.limit {
            return Err(io::Error::other("live channels take all the memory that they may"));
        }
        let slab = Slab::new(size)?;
        slabs.push((Arc::downgrade(&slab.payload), size));
        Ok(slab)
    }
}

/// Writes a rendition's bytes.
#[derive(Debug)]
pub struct Writer {
    ledger: Ledger,
    slab: Option<Slab>,
    /// Where the segment under way begins.
    segment: u64,
    /// Bytes of the largest segment so far: another such must fit where one begins.
    largest: u64,
}

#[derive(Debug)]
struct Slab {
    payload: Arc<FilePayload>,
    file: File,
    size: u64,
    /// Bytes that are written.
    used: u64,
}

/// Why bytes were not taken.
#[derive(Debug)]
pub enum Refused {
    /// The segment is longer than `SEGMENT_SIZE_MAX`.
    TooLarge,
    /// No memory or descriptor is left.
    Exhausted(io::Error),
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self::Exhausted(error)
    }
}

impl Writer {
    /// Without a slab.
    #[must_use]
    pub fn new(ledger: Ledger) -> Self {
        Self { ledger, slab: None, segment: 0, largest: 0 }
    }

    /// A segment begins: what comes next belongs to it.
    pub fn begin_segment(&mut self) {
        if let Some(slab) = &self.slab {
            self.largest = self.largest.max(slab.used - self.segment);
            self.segment = slab.used;
            if slab.size - slab.used < self.largest + self.largest / 4 {
                self.slab = None;
            }
        }
        if self.slab.is_none() {
            self.segment = 0;
        }
    }

    /// Adds bytes to the segment under way, and says where in it they begin.
    ///
    /// # Errors
    ///
    /// `TooLarge`, or that there is no room; nothing is written then.
    pub fn append(&mut self, bytes: &[u8]) -> Result<u64, Refused> {
        let size = bytes.len() as u64;
        let before = self.segment_size();
        if before + size > SEGMENT_SIZE_MAX {
            return Err(Refused::TooLarge);
        }
        let fits = self.slab.as_ref().is_some_and(|slab| slab.size - slab.used >= size);
        if !fits {
            self.move_segment(before, size)?;
        }
        let slab = self.slab.as_mut().expect("a slab with room was just made");
        slab.file.write_all_at(bytes, slab.used)?;
        slab.used += size;
        Ok(before)
    }

    /// Goes on in a new slab, where all of the segment has room. What was published of it stays
    /// where it was, too.
    fn move_segment(&mut self, before: u64, size: u64) -> Result<(), Refused> {
        let needed = (before + size).max(self.largest) * 2;
        let mut slab = self.ledger.slab(needed.clamp(SLAB_SIZE, 2 * SEGMENT_SIZE_MAX))?;
        if let Some(old) = &self.slab
            && before > 0
        {
            let mut bytes = vec![0; usize::try_from(before).expect("a segment fits memory")];
            old.file.read_exact_at(&mut bytes, self.segment)?;
            slab.file.write_all_at(&bytes, 0)?;
            slab.used = before;
        }
        self.slab = Some(slab);
        self.segment = 0;
        Ok(())
    }

    /// Bytes of the segment under way.
    #[must_use]
    pub fn segment_size(&self) -> u64 {
        self.slab.as_ref().map_or(0, |slab| slab.used - self.segment)
    }

    /// Where bytes of the segment under way lie, of which at least one was written.
    ///
    /// # Panics
    ///
    /// If nothing was written.
    #[must_use]
    pub fn placed(&self, from: u64, size: u64) -> (Payload, Extent) {
        let slab = self.slab.as_ref().expect("something was written");
        let extent = Extent { offset: self.segment + from, size };
        (Payload::File(Arc::clone(&slab.payload)), extent)
    }
}

impl Slab {
    fn new(size: u64) -> io::Result<Self> {
        let file = memory::sealed(c"shardcast-live", size)?;
        let payload = FilePayload {
            fd: file.try_clone()?.into(),
            size,
            device: Device::default(),
            residency: Residency::Memory,
            map: None,
        };
        Ok(Self { payload: Arc::new(payload), file, size, used: 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(placed: &(Payload, Extent)) -> Vec<u8> {
        let (Payload::File(file), extent) = placed else { panic!("it is in a slab") };
        let file = File::from(file.fd.try_clone().unwrap());
        let mut bytes = vec![0; extent.size as usize];
        file.read_exact_at(&mut bytes, extent.offset).unwrap();
        bytes
    }

    #[test]
    fn a_segment_lies_in_one_piece_and_stays_when_others_come() {
        let mut writer = Writer::new(Ledger::new(u64::MAX));
        let mut segments = Vec::new();
        for number in 0..40_u8 {
            writer.begin_segment();
            // Together more than a slab holds.
            let piece = vec![number; 100 * 1024];
            for at in 0..4 {
                assert_eq!(writer.append(&piece).unwrap(), at * piece.len() as u64);
            }
            segments.push((number, writer.placed(0, writer.segment_size())));
        }
        for (number, placed) in &segments {
            let bytes = read(placed);
            assert!(bytes.len() == 400 * 1024 && bytes.iter().all(|byte| byte == number));
        }
    }

    #[test]
    fn a_segment_that_outgrows_its_slab_moves_and_its_parts_stay_readable() {
        let mut writer = Writer::new(Ledger::new(u64::MAX));
        writer.begin_segment();
        let piece = vec![1; usize::try_from(SLAB_SIZE).unwrap() - 10];
        writer.append(&piece).unwrap();
        let before = writer.placed(100, 50);
        assert_eq!(writer.append(&[2; 50]).unwrap(), SLAB_SIZE - 10);
        assert_eq!(read(&before), [1; 50]);
        let whole = read(&writer.placed(0, writer.segment_size()));
        assert_eq!(whole.len() as u64, SLAB_SIZE + 40);
        assert!(whole[..piece.len()] == piece && whole[piece.len()..] == [2; 50]);
    }

    #[test]
    fn memory_has_a_limit_and_is_free_again_when_nothing_refers_to_it() {
        let ledger = Ledger::new(2 * SLAB_SIZE);
        let mut writers: Vec<_> = (0..3).map(|_| Writer::new(ledger.clone())).collect();
        let mut held = Vec::new();
        for writer in &mut writers[..2] {
            writer.append(&[0; 10]).unwrap();
            held.push(writer.placed(0, 10));
        }
        assert!(matches!(writers[2].append(&[0]), Err(Refused::Exhausted(_))));
        // Somebody is still being sent what its writer has left behind.
        writers.remove(0);
        assert!(writers[1].append(&[0]).is_err());
        held.clear();
        writers[1].append(&[0]).unwrap();
    }

    #[test]
    fn a_segment_has_a_largest_size() {
        let mut writer = Writer::new(Ledger::new(u64::MAX));
        let piece = vec![0; usize::try_from(SEGMENT_SIZE_MAX / 4).unwrap()];
        for _ in 0..4 {
            writer.append(&piece).unwrap();
        }
        assert!(matches!(writer.append(&[0]), Err(Refused::TooLarge)));
        writer.begin_segment();
        writer.append(&[0]).unwrap();
    }
}
