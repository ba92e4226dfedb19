//! Reading a whole pack and checking every byte of it, object by object.

use std::fmt;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use flate2::read::GzDecoder;

use super::error::DiskError;
use super::open::{OpenPack, open_path};
use super::write::{BLOCK_SIZE, Progress};
use crate::pack::header::Kind;
use crate::units::Extent;

/// One object that is not what the index says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The object's path; none if the bytes are nobody's.
    pub path: Option<String>,
    /// What is wrong with it.
    pub why: DamageKind,
}

/// What is wrong with an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DamageKind {
    /// Its bytes have another checksum.
    Payload,
    /// The bytes of its gzip variant have another checksum.
    Gzip,
    /// The gzip variant does not unpack to the object.
    GzipDiffers,
    /// Bytes between payloads that should be zero are not, from this offset.
    Padding(u64),
    /// The disk refuses to read it.
    Unreadable(String),
}

impl fmt::Display for DamageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Payload => f.write_str("its bytes are damaged (checksum)"),
            Self::Gzip => f.write_str("its gzip variant is damaged (checksum)"),
            Self::GzipDiffers => f.write_str("its gzip variant does not unpack to the object"),
            Self::Padding(at) => write!(f, "bytes at {at} that belong to nobody are not zero"),
            Self::Unreadable(why) => write!(f, "it cannot be read: {why}"),
        }
    }
}

/// Checks every object of a pack; gives its number of objects and what is damaged.
///
/// # Errors
/// If it cannot be opened as a pack at all.
pub fn verify(
    path: &Path,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<(u32, Vec<Damage>), DiskError> {
    let pack = open_path(path)?;
    let mut damages = Vec::new();
    let mut block = vec![0; BLOCK_SIZE];
    let mut done = 0;
    for (number, entry) in (0..).zip(pack.index.entries()) {
        progress(Progress { path: entry.path, done, total: pack.payload_end });
        if let Err(why) = object(&pack, number, &mut block) {
            damages.push(Damage { path: Some(entry.path.to_owned()), why });
        }
        done += entry.identity.extent.size + entry.gzip.map_or(0, |gzip| gzip.extent.size);
    }
    if pack.index.kind() == Kind::Asset {
        damages.extend(gaps(&pack, &mut block));
    }
    Ok((pack.index.count(), damages))
}

/// Checks one object and its gzip variant.
fn object(pack: &OpenPack, number: u32, block: &mut [u8]) -> Result<(), DamageKind> {
    let entry = pack.index.entry(number);
    if crc(pack, entry.identity.extent, block)? != entry.crc {
        return Err(DamageKind::Payload);
    }
    let (Some(gzip), Some(gzip_crc)) = (entry.gzip, pack.index.gzip_crc(number)) else {
        return Ok(());
    };
    if crc(pack, gzip.extent, block)? != gzip_crc {
        return Err(DamageKind::Gzip);
    }
    // Unpacked in pieces, and no further than the object is long: it may be a bomb.
    let size = entry.identity.extent.size;
    let mut unpacked =
        GzDecoder::new(Payload { pack, rest: gzip.extent }).take(size.saturating_add(1));
    let (mut sums, mut count) = (crc32fast::Hasher::new(), 0);
    loop {
        match unpacked.read(block) {
            Ok(0) => break,
            Ok(read) => {
                sums.update(&block[..read]);
                count += read as u64;
            }
            Err(_) => return Err(DamageKind::GzipDiffers),
        }
    }
    if count == size && sums.finalize() == entry.crc {
        Ok(())
    } else {
        Err(DamageKind::GzipDiffers)
    }
}

fn crc(pack: &OpenPack, extent: Extent, block: &mut [u8]) -> Result<u32, DamageKind> {
    let mut crc = crc32fast::Hasher::new();
    pieces(pack, extent, block, &mut |piece, _| crc.update(piece))?;
    Ok(crc.finalize())
}

/// Bytes between the payloads that are not zero: one report a gap.
fn gaps(pack: &OpenPack, block: &mut [u8]) -> Vec<Damage> {
    let mut extents: Vec<Extent> = pack
        .index
        .entries()
        .flat_map(|entry| [Some(entry.identity), entry.gzip])
        .flatten()
        .map(|variant| variant.extent)
        .collect();
    extents.sort_by_key(|extent| extent.offset);
    extents.push(Extent { offset: pack.payload_end, size: 0 });
    let mut damages = Vec::new();
    let mut end = crate::pack::HEADER_SIZE as u64;
    for extent in extents {
        let gap = Extent { offset: end, size: extent.offset.saturating_sub(end) };
        end = end.max(extent.offset + extent.size);
        let mut first = None;
        let checked = pieces(pack, gap, block, &mut |piece, at| {
            if first.is_none() {
                first = piece.iter().position(|&byte| byte != 0).map(|index| at + index as u64);
            }
        });
        let why = match (checked, first) {
            (Err(why), _) => why,
            (Ok(()), Some(at)) => DamageKind::Padding(at),
            (Ok(()), None) => continue,
        };
        damages.push(Damage { path: None, why });
    }
    damages
}

/// Calls `each` with every piece of an extent and its offset.
fn pieces(
    pack: &OpenPack,
    extent: Extent,
    block: &mut [u8],
    each: &mut dyn FnMut(&[u8], u64),
) -> Result<(), DamageKind> {
    let (mut at, end) = (extent.offset, extent.offset + extent.size);
    while at < end {
        let size = usize::try_from(end - at).unwrap_or(usize::MAX).min(block.len());
        let piece = &mut block[..size];
        pack.file
            .read_exact_at(piece, at)
            .map_err(|error| DamageKind::Unreadable(error.to_string()))?;
        each(piece, at);
        at += size as u64;
    }
    Ok(())
}

/// The rest of an extent as a reader.
struct Payload<'a> {
    pack: &'a OpenPack,
    rest: Extent,
}

impl Read for Payload<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let size = into.len().min(usize::try_from(self.rest.size).unwrap_or(usize::MAX));
        let count = self.pack.file.read_at(&mut into[..size], self.rest.offset)?;
        self.rest.offset += count as u64;
        self.rest.size -= count as u64;
        Ok(count)
    }
}
