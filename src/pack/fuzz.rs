//! What must hold for any bytes. The fuzz targets call these.

use super::header::{Kind, Trailer, header};
use super::index::PackIndex;
use super::journal;
use super::layout::{GZIP_SIZE, HEADER_SIZE, MEDIA_TYPE_SIZE, OBJECT_SIZE, u16_at};
use super::{TRAILER_SIZE, check_path};

/// A pack: refused, or every object is found, safe to serve, and inside the file.
///
/// # Panics
///
/// If something does not hold.
pub fn pack(data: &[u8]) {
    if let Ok(index) = PackIndex::of_bytes(data) {
        believed(&index, data.len() as u64);
    }
    // The same bytes as an index, with a frame around them that is right in every checksum.
    if let Some(framed) = framed(data)
        && let Ok(index) = PackIndex::of_bytes(&framed)
    {
        believed(&index, framed.len() as u64);
    }
}

/// A journal: refused, or a run of objects to which more can be appended.
///
/// # Panics
///
/// If something does not hold.
pub fn journal(data: &[u8]) {
    let framed = [&journal::header()[..], data].concat();
    for bytes in [data, &framed] {
        let Ok(read) = journal::read(bytes, u64::MAX) else { continue };
        let mut longer = bytes.to_vec();
        let mut writer = journal::JournalWriter::after(&read);
        if let Some(last) = read.objects.last() {
            let mut next = last.clone();
            let end = last.gzip.unwrap_or(last.identity).variant.extent;
            let Some(offset) = (end.offset + end.size).checked_next_multiple_of(4096) else {
                continue;
            };
            next.identity.variant.extent.offset = offset;
            next.identity.variant.extent.size = 0;
            next.gzip = None;
            longer.extend(writer.records(std::slice::from_ref(&next)).expect("it was read"));
            let again = journal::read(&longer, u64::MAX).expect("what is appended is read");
            assert_eq!(again.objects.split_last(), Some((&next, &read.objects[..])));
        }
    }
}

/// What everybody relies on in an index that was believed.
fn believed(index: &PackIndex, size: u64) {
    let mut extents = Vec::new();
    for (number, entry) in (0..).zip(index.entries()) {
        assert_eq!(index.find(entry.path.as_bytes()), Some(number));
        assert_eq!(check_path(entry.path.as_bytes()), Ok(entry.path));
        assert!(entry.media_type.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
        assert_eq!(entry.gzip.is_some(), index.gzip_crc(number).is_some());
        let variants = [Some(entry.identity), entry.gzip].into_iter().flatten();
        extents.extend(variants.map(|variant| (variant.extent.offset, variant.extent.size)));
    }
    assert_eq!(index.find(b"/"), None);
    extents.retain(|(_, size)| *size > 0);
    extents.sort_unstable();
    assert!(extents.iter().all(|(offset, bytes)| offset + bytes <= size && offset % 4096 == 0));
    assert!(extents.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0));
}

/// The bytes as the index of a pack of 16 pages, whose counts come from the first of them.
fn framed(data: &[u8]) -> Option<Vec<u8>> {
    const PAYLOAD_SIZE: usize = 16 * 4096;
    let (counts, index) = data.split_at_checked(6)?;
    let (objects, gzips) =
        (usize::from(u16_at(counts, 0)) % 64, usize::from(u16_at(counts, 2)) % 8);
    let media_types = usize::from(u16_at(counts, 4)) % 4;
    let tables = OBJECT_SIZE * objects + GZIP_SIZE * gzips + MEDIA_TYPE_SIZE * media_types;
    let strings_size = index.len().checked_sub(tables)?;
    let mut pack = header(Kind::Asset).to_vec();
    pack.resize(HEADER_SIZE + PAYLOAD_SIZE, 0);
    let narrow = |number: usize| u32::try_from(number).ok();
    let trailer = Trailer {
        kind: Kind::Asset,
        file_size: (pack.len() + index.len() + TRAILER_SIZE) as u64,
        index_offset: pack.len() as u64,
        index_size: index.len() as u64,
        objects: narrow(objects)?,
        gzips: narrow(gzips)?,
        media_types: narrow(media_types)?,
        strings_size: narrow(strings_size)?,
        index_crc: crc32fast::hash(index),
    };
    pack.extend_from_slice(index);
    pack.extend_from_slice(&trailer.bytes());
    Some(pack)
}
