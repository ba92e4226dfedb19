//! A second reader, made from the description in `pack/mod.rs` alone: slow, plain, and the oracle.

use super::{PackIndex, bytes_of};
use crate::pack::index::Entry;
use crate::units::Extent;

/// What one reader sees of an object.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Seen {
    path: String,
    media_type: String,
    etag: [u8; 16],
    modified: u64,
    crc: u32,
    identity: (u64, u64),
    gzip: Option<(u64, u64)>,
}

impl Seen {
    pub(super) fn of(entry: Entry<'_>) -> Self {
        let pair = |extent: Extent| (extent.offset, extent.size);
        Self {
            path: entry.path.to_owned(),
            media_type: entry.media_type.to_owned(),
            etag: entry.identity.etag.0,
            modified: entry.modified.0,
            crc: entry.crc,
            identity: pair(entry.identity.extent),
            gzip: entry.gzip.map(|gzip| pair(gzip.extent)),
        }
    }
}

/// The little-endian number of `size` bytes at `at`.
pub(super) fn number(pack: &[u8], at: usize, size: usize) -> usize {
    pack[at..at + size].iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte))
}

/// All objects of a good pack.
pub(super) fn read(pack: &[u8]) -> Vec<Seen> {
    assert_eq!(&pack[..8], b"\x8fSCPK\r\n\x1a");
    let trailer = pack.len() - 64;
    assert_eq!(&pack[trailer..trailer + 8], b"\x8fSCPE\r\n\x1a");
    let index = number(pack, trailer + 24, 8);
    let (objects, gzips, media_types) = (
        number(pack, trailer + 40, 4),
        number(pack, trailer + 44, 4),
        number(pack, trailer + 48, 4),
    );
    let gzip_table = index + 64 * objects;
    let media_type_table = gzip_table + 40 * gzips;
    let strings = media_type_table + 8 * media_types;
    let text = |start: usize, size: usize| {
        String::from_utf8(pack[strings + start..strings + start + size].to_vec()).unwrap()
    };
    let pair = |at| (number(pack, at, 8) as u64, number(pack, at + 8, 8) as u64);
    (0..objects)
        .map(|object| {
            let at = index + 64 * object;
            let media_type = media_type_table + 8 * number(pack, at + 54, 2);
            let gzip = number(pack, at + 56, 4);
            Seen {
                path: text(number(pack, at + 48, 4), number(pack, at + 52, 2)),
                media_type: text(number(pack, media_type, 4), number(pack, media_type + 4, 4)),
                etag: pack[at + 16..at + 32].try_into().unwrap(),
                modified: number(pack, at + 40, 8) as u64,
                crc: u32::try_from(number(pack, at + 32, 4)).unwrap(),
                identity: pair(at),
                gzip: (gzip != 0xffff_ffff).then(|| pair(gzip_table + 40 * gzip)),
            }
        })
        .collect()
}

/// The bytes between header and index that belong to no object.
pub(super) fn unclaimed<'a>(
    pack: &'a [u8],
    index: &PackIndex,
) -> impl Iterator<Item = u8> + use<'a> {
    let mut claimed = vec![false; pack.len()];
    for entry in index.entries() {
        for variant in [Some(entry.identity), entry.gzip].into_iter().flatten() {
            let start = usize::try_from(variant.extent.offset).unwrap();
            let size = bytes_of(pack, variant.extent).len();
            claimed[start..start + size].fill(true);
        }
    }
    let end = number(pack, pack.len() - 64 + 24, 8);
    (4096..end).filter(move |&at| !claimed[at]).map(|at| pack[at])
}

/// Makes the checksums of header, index and trailer right again, so that only a lie is left.
pub(super) fn mend_checksums(pack: &mut [u8]) {
    let crc = crc32fast::hash(&pack[..20]);
    pack[20..24].copy_from_slice(&crc.to_le_bytes());
    let trailer = pack.len() - 64;
    let index = number(pack, trailer + 24, 8);
    if index <= trailer {
        let crc = crc32fast::hash(&pack[index..trailer]);
        pack[trailer + 56..trailer + 60].copy_from_slice(&crc.to_le_bytes());
    }
    let crc = crc32fast::hash(&pack[trailer..trailer + 60]);
    pack[trailer + 60..].copy_from_slice(&crc.to_le_bytes());
}
