//! A pack's index as every shard uses it: one immutable allocation, checked once.
//!
//! The allocation holds the index as it stands in the file, and behind it a hash table that is
//! built when the pack is opened. About 70 bytes an object and its path; a lookup touches one word
//! of the table, one record and one path.

use std::fmt;

use super::error::PackError;
use super::header::{Kind, Trailer};
use super::layout::{
    GZIP_SIZE, MEDIA_TYPE_SIZE, NO_GZIP, OBJECT_SIZE, array_at, u16_at, u32_at, u64_at,
};
use crate::units::{Class, ETag, Extent, UnixTime, Variant};

mod check;

/// The verified index of one pack.
pub struct PackIndex {
    /// Objects, gzip variants, media types, strings; then the hash table's slots, 4 bytes each.
    data: Box<[u8]>,
    kind: Kind,
    count: u32,
    /// Bits of a slot that hold an object's number; the rest is a tag of the path's hash.
    number_bits: u32,
    slots: u32,
    gzips_start: usize,
    media_types_start: usize,
    strings_start: usize,
    slots_start: usize,
}

/// One object of a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its path inside the pack, with `/` between elements.
    pub path: &'a str,
    /// Its media type.
    pub media_type: &'a str,
    /// Its class.
    pub class: Class,
    /// `Last-Modified`.
    pub modified: UnixTime,
    /// The bytes as they were packed.
    pub identity: Variant,
    /// CRC-32 of these bytes.
    pub crc: u32,
    /// The gzipped bytes, for playlists and manifests.
    pub gzip: Option<Variant>,
}

/// An empty slot. No number is all ones, so no full slot looks like this.
const EMPTY: u32 = u32::MAX;

/// Where in an object's record the class is kept, in memory only: the field is zero in the file.
const CLASS_AT: usize = 60;

/// What a response needs to know of an object, before it needs any text of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Its class.
    pub class: Class,
    /// `Last-Modified`.
    pub modified: UnixTime,
    /// The bytes as they were packed.
    pub identity: Variant,
    /// The gzipped bytes, for playlists and manifests.
    pub gzip: Option<Variant>,
}

impl PackIndex {
    /// Size of the allocation that [`PackIndex::verified`] wants, in bytes: the index, which the
    /// caller reads from the file, and behind it room for the hash table.
    #[must_use]
    pub fn allocation_size(trailer: &Trailer) -> usize {
        let index = usize::try_from(trailer.index_size).expect("checked against a limit");
        index + 4 * slots_for(trailer.objects) as usize
    }

    /// Checks every field of an index and builds its hash table.
    ///
    /// # Errors
    /// The first thing that is wrong.
    ///
    /// # Panics
    /// If `data` has another size than [`PackIndex::allocation_size`].
    pub fn verified(trailer: &Trailer, data: Box<[u8]>) -> Result<Self, PackError> {
        assert_eq!(data.len(), Self::allocation_size(trailer), "the caller allocates what we said");
        let gzips_start = OBJECT_SIZE * trailer.objects as usize;
        let media_types_start = gzips_start + GZIP_SIZE * trailer.gzips as usize;
        let strings_start = media_types_start + MEDIA_TYPE_SIZE * trailer.media_types as usize;
        let mut index = Self {
            data,
            kind: trailer.kind,
            count: trailer.objects,
            number_bits: u32::BITS - trailer.objects.leading_zeros(),
            slots: slots_for(trailer.objects),
            gzips_start,
            media_types_start,
            strings_start,
            slots_start: strings_start + trailer.strings_size as usize,
        };
        check::index(&index, trailer)?;
        index.note_classes();
        index.fill_slots()?;
        Ok(index)
    }

    /// The index of a pack that lies in memory as a whole.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn of_bytes(pack: &[u8]) -> Result<Self, PackError> {
        use super::{HEADER_SIZE, TRAILER_SIZE, header};
        let size = pack.len() as u64;
        if pack.len() < HEADER_SIZE + TRAILER_SIZE {
            return Err(PackError::TooShort { size });
        }
        let kind = header::check_header(&array_at(pack, 0))?;
        let trailer = Trailer::check(&array_at(pack, pack.len() - TRAILER_SIZE), kind, size)?;
        let start = usize::try_from(trailer.index_offset).expect("within a slice");
        let disk = &pack[start..pack.len() - TRAILER_SIZE];
        let mut data = vec![0; Self::allocation_size(&trailer)].into_boxed_slice();
        data[..disk.len()].copy_from_slice(disk);
        Self::verified(&trailer, data)
    }

    /// How many objects it has.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Whether it is an asset or an archive hour.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Size of the allocation, in bytes.
    #[must_use]
    pub fn memory_size(&self) -> usize {
        self.data.len()
    }

    /// The number of the object with this path.
    #[must_use]
    pub fn find(&self, path: &[u8]) -> Option<u32> {
        let (mut slot, tag) = self.home(path);
        let numbers = (1 << self.number_bits) - 1;
        loop {
            let word = self.slot(slot);
            if word == EMPTY {
                return None;
            }
            let number = word & numbers;
            if word & !numbers == tag && self.path_bytes(number) == path {
                return Some(number);
            }
            slot = if slot + 1 == self.slots { 0 } else { slot + 1 };
        }
    }

    /// The object with this number: one that `find` gave, or any below `count`.
    ///
    /// # Panics
    /// If there is no such object.
    #[must_use]
    pub fn entry(&self, number: u32) -> Entry<'_> {
        let record = self.record(number);
        Entry {
            path: self.path(number),
            media_type: self.media_type(u16_at(record, 54)),
            class: Class::ALL[usize::from(record[CLASS_AT])],
            modified: UnixTime(u64_at(record, 40)),
            identity: variant(record),
            crc: u32_at(record, 32),
            gzip: self.gzip_record(number).map(variant),
        }
    }

    /// What a response needs to know of the object with this number: the part of `entry` that
    /// costs no look at a string.
    ///
    /// # Panics
    /// If there is no such object.
    #[must_use]
    pub fn facts(&self, number: u32) -> Facts {
        let record = self.record(number);
        Facts {
            class: Class::ALL[usize::from(record[CLASS_AT])],
            modified: UnixTime(u64_at(record, 40)),
            identity: variant(record),
            gzip: self.gzip_record(number).map(variant),
        }
    }

    /// The media type of the object with this number.
    ///
    /// # Panics
    /// If there is no such object.
    #[must_use]
    pub fn media_type_of(&self, number: u32) -> &str {
        self.media_type(u16_at(self.record(number), 54))
    }

    /// All objects, in the order of their paths.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        (0..self.count).map(|number| self.entry(number))
    }

    /// Nanoseconds of an object's `Last-Modified` below a second.
    #[must_use]
    pub fn modified_nanos(&self, number: u32) -> u32 {
        u32_at(self.record(number), 36)
    }

    /// CRC-32 of an object's gzip variant.
    #[must_use]
    pub fn gzip_crc(&self, number: u32) -> Option<u32> {
        self.gzip_record(number).map(|record| u32_at(record, 32))
    }

    fn record(&self, number: u32) -> &[u8] {
        assert!(number < self.count, "object {number} of {}", self.count);
        let start = OBJECT_SIZE * number as usize;
        &self.data[start..start + OBJECT_SIZE]
    }

    fn gzip_record(&self, number: u32) -> Option<&[u8]> {
        let gzip = u32_at(self.record(number), 56);
        (gzip != NO_GZIP).then(|| self.gzip(gzip))
    }

    fn gzip(&self, gzip: u32) -> &[u8] {
        let start = self.gzips_start + GZIP_SIZE * gzip as usize;
        &self.data[start..start + GZIP_SIZE]
    }

    fn path_bytes(&self, number: u32) -> &[u8] {
        let record = self.record(number);
        let start = self.strings_start + u32_at(record, 48) as usize;
        &self.data[start..start + usize::from(u16_at(record, 52))]
    }

    /// The path of the object with this number.
    ///
    /// # Panics
    /// If there is no such object.
    #[must_use]
    pub fn path(&self, number: u32) -> &str {
        std::str::from_utf8(self.path_bytes(number)).expect("checked when the pack was opened")
    }

    fn media_type_bytes(&self, number: u16) -> &[u8] {
        let record = self.media_types_start + MEDIA_TYPE_SIZE * usize::from(number);
        let start = self.strings_start + u32_at(&self.data, record) as usize;
        &self.data[start..start + u32_at(&self.data, record + 4) as usize]
    }

    fn media_type(&self, number: u16) -> &str {
        std::str::from_utf8(self.media_type_bytes(number)).expect("checked when it was opened")
    }

    fn slot(&self, slot: u32) -> u32 {
        u32_at(&self.data, self.slots_start + 4 * slot as usize)
    }

    /// The slot where the search for a path begins, and the tag of the path's hash.
    fn home(&self, path: &[u8]) -> (u32, u32) {
        // Fixed seeds: the table is built from the operator's own packs, and what a client asks
        // for only probes it, at most to the end of one cluster.
        const SEEDS: ahash::RandomState = ahash::RandomState::with_seeds(
            0x7368_6172_6463_6173,
            0x7420_7061_636b_2069,
            0x6e64_6578_2074_6162,
            0x6c65_2073_6565_6473,
        );
        let hash = SEEDS.hash_one(path);
        let slot = ((hash >> 32) * u64::from(self.slots)) >> 32;
        let tag = (hash & 0xffff_ffff) as u32 >> self.number_bits << self.number_bits;
        (slot as u32, tag)
    }

    fn note_classes(&mut self) {
        for number in 0..self.count {
            let class = Class::of(self.path(number));
            self.data[OBJECT_SIZE * number as usize + CLASS_AT] = class as u8;
        }
    }

    /// Builds the table: open addressing, linear probing, two thirds full.
    fn fill_slots(&mut self) -> Result<(), PackError> {
        /// Honest paths stay below 200 even in a pack of millions.
        const PROBES_MAX: u32 = 4096;
        self.data[self.slots_start..].fill(0xff);
        for number in 0..self.count {
            let (mut slot, tag) = self.home(self.path_bytes(number));
            let mut probes = 0;
            while self.slot(slot) != EMPTY {
                slot = if slot + 1 == self.slots { 0 } else { slot + 1 };
                probes += 1;
                if probes > PROBES_MAX {
                    return Err(PackError::Crowded);
                }
            }
            let at = self.slots_start + 4 * slot as usize;
            self.data[at..at + 4].copy_from_slice(&(tag | number).to_le_bytes());
        }
        Ok(())
    }
}

impl fmt::Debug for PackIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PackIndex").field("kind", &self.kind).field("count", &self.count).finish()
    }
}

/// Slots of a table of this many objects: one and a half each, and always one that stays empty.
fn slots_for(objects: u32) -> u32 {
    objects + objects / 2 + 1
}

/// Objects and gzip variants begin alike.
fn variant(record: &[u8]) -> Variant {
    Variant {
        extent: Extent { offset: u64_at(record, 0), size: u64_at(record, 8) },
        etag: ETag(array_at(record, 16)),
    }
}
