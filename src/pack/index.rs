//! A pack's index as every shard uses it: one immutable allocation, checked once.

use crate::units::{Class, UnixTime, Variant};

/// The verified index of one pack.
#[derive(Debug)]
pub struct PackIndex {}

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

impl PackIndex {
    /// The number of the object with this path.
    #[must_use]
    pub fn find(&self, _path: &[u8]) -> Option<u32> {
        None
    }

    /// The object with this number, which `find` gave.
    #[must_use]
    pub fn entry(&self, _number: u32) -> Entry<'_> {
        unreachable!("find gave no number")
    }
}
