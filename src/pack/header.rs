//! Header and trailer of a pack: bytes in, values out, and back.

use super::error::PackError;
use super::layout::{
    GZIP_SIZE, HEADER_SIZE, INDEX_SIZE_MAX, MEDIA_TYPE_SIZE, MEDIA_TYPES_MAX, OBJECT_SIZE,
    OBJECTS_MAX, TRAILER_SIZE, u32_at, u64_at,
};
use crate::units::PAGE_SIZE;

const HEADER_MAGIC: &[u8; 8] = b"\x8fSCPK\r\n\x1a";
const TRAILER_MAGIC: &[u8; 8] = b"\x8fSCPE\r\n\x1a";
/// The version that is written, and the only one that is read.
pub(super) const VERSION: u32 = 1;
const FLAG_ARCHIVE: u32 = 1;

/// What a pack holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One asset; every byte is accounted for.
    Asset,
    /// One hour of a channel, which grew by appending.
    Archive,
}

impl Kind {
    const fn flags(self) -> u32 {
        match self {
            Self::Asset => 0,
            Self::Archive => FLAG_ARCHIVE,
        }
    }

    fn of_flags(part: &'static str, flags: u32) -> Result<Self, PackError> {
        match flags {
            0 => Ok(Self::Asset),
            FLAG_ARCHIVE => Ok(Self::Archive),
            found => Err(PackError::Flags { part, found }),
        }
    }
}

/// The first page of a pack.
#[must_use]
pub fn header(kind: Kind) -> Box<[u8; HEADER_SIZE]> {
    let mut page = Box::new([0; HEADER_SIZE]);
    page[..8].copy_from_slice(HEADER_MAGIC);
    page[8..12].copy_from_slice(&VERSION.to_le_bytes());
    page[12..16].copy_from_slice(&kind.flags().to_le_bytes());
    page[16..20].copy_from_slice(&u32::try_from(PAGE_SIZE).expect("4096 fits").to_le_bytes());
    let crc = crc32fast::hash(&page[..20]);
    page[20..24].copy_from_slice(&crc.to_le_bytes());
    page
}

/// Reads the first page of a pack.
///
/// # Errors
/// If it is not a header of our version, or damaged.
pub fn check_header(page: &[u8; HEADER_SIZE]) -> Result<Kind, PackError> {
    if page[..8] != *HEADER_MAGIC {
        return Err(PackError::NotAPack);
    }
    // The version comes before the checksum: another version may have it elsewhere.
    let version = u32_at(page, 8);
    if version != VERSION {
        return Err(PackError::Version { part: "header", found: version });
    }
    if crc32fast::hash(&page[..20]) != u32_at(page, 20) || page[24..].iter().any(|&b| b != 0) {
        return Err(PackError::Damaged { part: "header" });
    }
    let page_size = u32_at(page, 16);
    if page_size as usize != PAGE_SIZE {
        return Err(PackError::PageSize(page_size));
    }
    Kind::of_flags("header", u32_at(page, 12))
}

/// What the end of a pack says, checked against the file's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trailer {
    /// What the pack holds.
    pub kind: Kind,
    /// Size of the file, in bytes.
    pub file_size: u64,
    /// Where the index begins.
    pub index_offset: u64,
    /// Size of the index, in bytes.
    pub index_size: u64,
    /// How many objects.
    pub objects: u32,
    /// How many gzip variants.
    pub gzips: u32,
    /// How many media types.
    pub media_types: u32,
    /// Size of the strings, in bytes.
    pub strings_size: u32,
    /// CRC-32 of the index.
    pub index_crc: u32,
}

impl Trailer {
    /// The last bytes of a pack.
    #[must_use]
    pub fn bytes(&self) -> [u8; TRAILER_SIZE] {
        let mut bytes = [0; TRAILER_SIZE];
        bytes[..8].copy_from_slice(TRAILER_MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.kind.flags().to_le_bytes());
        bytes[16..24].copy_from_slice(&self.file_size.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.index_offset.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.index_size.to_le_bytes());
        bytes[40..44].copy_from_slice(&self.objects.to_le_bytes());
        bytes[44..48].copy_from_slice(&self.gzips.to_le_bytes());
        bytes[48..52].copy_from_slice(&self.media_types.to_le_bytes());
        bytes[52..56].copy_from_slice(&self.strings_size.to_le_bytes());
        bytes[56..60].copy_from_slice(&self.index_crc.to_le_bytes());
        let crc = crc32fast::hash(&bytes[..60]);
        bytes[60..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads the last bytes of a file of `actual` bytes whose header was `kind`.
    ///
    /// # Errors
    /// If they are no trailer, or do not fit the file.
    pub fn check(bytes: &[u8; TRAILER_SIZE], kind: Kind, actual: u64) -> Result<Self, PackError> {
        if bytes[..8] != *TRAILER_MAGIC {
            return Err(PackError::Unfinished);
        }
        let version = u32_at(bytes, 8);
        if version != VERSION {
            return Err(PackError::Version { part: "trailer", found: version });
        }
        if crc32fast::hash(&bytes[..60]) != u32_at(bytes, 60) {
            return Err(PackError::Damaged { part: "trailer" });
        }
        let trailer = Self {
            kind: Kind::of_flags("trailer", u32_at(bytes, 12))?,
            file_size: u64_at(bytes, 16),
            index_offset: u64_at(bytes, 24),
            index_size: u64_at(bytes, 32),
            objects: u32_at(bytes, 40),
            gzips: u32_at(bytes, 44),
            media_types: u32_at(bytes, 48),
            strings_size: u32_at(bytes, 52),
            index_crc: u32_at(bytes, 56),
        };
        if trailer.kind != kind {
            return Err(PackError::Damaged { part: "trailer" });
        }
        trailer.check_sizes(actual)?;
        Ok(trailer)
    }

    fn check_sizes(&self, actual: u64) -> Result<(), PackError> {
        let Self { file_size, index_offset, index_size, objects, gzips, .. } = *self;
        if file_size != actual {
            return Err(PackError::Size { claimed: file_size, actual });
        }
        let end = index_offset
            .checked_add(index_size)
            .and_then(|end| end.checked_add(TRAILER_SIZE as u64));
        if end != Some(file_size)
            || index_offset < HEADER_SIZE as u64
            || !index_offset.is_multiple_of(PAGE_SIZE as u64)
        {
            return Err(PackError::IndexBounds { offset: index_offset, size: index_size });
        }
        limit("objects", u64::from(objects), OBJECTS_MAX as u64)?;
        limit("media types", u64::from(self.media_types), MEDIA_TYPES_MAX as u64)?;
        limit("index size", index_size, INDEX_SIZE_MAX)?;
        let tables = OBJECT_SIZE as u64 * u64::from(objects)
            + GZIP_SIZE as u64 * u64::from(gzips)
            + MEDIA_TYPE_SIZE as u64 * u64::from(self.media_types)
            + u64::from(self.strings_size);
        if tables != index_size || gzips > objects {
            return Err(PackError::IndexCounts { objects, gzips, size: index_size });
        }
        Ok(())
    }
}

fn limit(what: &'static str, found: u64, limit: u64) -> Result<(), PackError> {
    if found > limit { Err(PackError::TooLarge { what, found, limit }) } else { Ok(()) }
}
