//! What must hold in an index before a byte of it is believed: one function a rule.

use super::super::error::PackError;
use super::super::header::Trailer;
use super::super::layout::{
    HEADER_SIZE, MEDIA_TYPE_LENGTH_MAX, MEDIA_TYPE_SIZE, NO_GZIP, SECONDS_MAX, check_path, u16_at,
    u32_at, u64_at,
};
use super::PackIndex;
use crate::units::PAGE_SIZE;

/// Checks an index, as it was read from the file, against its trailer and against itself.
pub(super) fn index(index: &PackIndex, trailer: &Trailer) -> Result<(), PackError> {
    if crc32fast::hash(&index.data[..index.slots_start]) != trailer.index_crc {
        return Err(PackError::Damaged { part: "index" });
    }
    // In this order: each rule relies on what the former ones have shown.
    let paths_size = paths(index, trailer)?;
    media_types(index, trailer, paths_size)?;
    objects(index, trailer)?;
    overlaps(index, trailer)
}

/// Paths lie in the strings without gaps, are safe, and rise. Gives the size of all of them.
fn paths(index: &PackIndex, trailer: &Trailer) -> Result<usize, PackError> {
    let strings = &index.data[index.strings_start..index.slots_start];
    let mut end = 0;
    let mut last: &[u8] = b"";
    for number in 0..trailer.objects {
        let record = index.record(number);
        let start = u32_at(record, 48) as usize;
        let next = start + usize::from(u16_at(record, 52));
        if start != end || next > strings.len() {
            return Err(PackError::Object {
                path: format!("number {number}"),
                why: "its path lies outside its place in the strings",
            });
        }
        let path = &strings[start..next];
        check_path(path).map_err(|fault| PackError::Path { object: number, fault })?;
        if path <= last {
            return Err(PackError::Order { path: String::from_utf8_lossy(path).into_owned() });
        }
        (last, end) = (path, next);
    }
    Ok(end)
}

/// Media types follow the paths without gaps to the end of the strings, and can be header values.
fn media_types(index: &PackIndex, trailer: &Trailer, mut end: usize) -> Result<(), PackError> {
    let strings = &index.data[index.strings_start..index.slots_start];
    for number in 0..trailer.media_types {
        let record = index.media_types_start + MEDIA_TYPE_SIZE * number as usize;
        let start = u32_at(&index.data, record) as usize;
        let size = u32_at(&index.data, record + 4) as usize;
        let fits = start == end && (1..=MEDIA_TYPE_LENGTH_MAX).contains(&size);
        let text = if fits { strings.get(start..start + size) } else { None };
        // A control character here would become a header line of its own choosing.
        if !text.is_some_and(|text| text.iter().all(|byte| (b' '..=b'~').contains(byte))) {
            return Err(PackError::MediaType { number });
        }
        end += size;
    }
    if end == strings.len() { Ok(()) } else { Err(PackError::Damaged { part: "index" }) }
}

/// Each object's extents, times and references.
fn objects(index: &PackIndex, trailer: &Trailer) -> Result<(), PackError> {
    let mut next_gzip = 0;
    for number in 0..trailer.objects {
        let record = index.record(number);
        let wrong = |why| PackError::Object { path: index.path(number).to_owned(), why };
        extent(record, trailer).map_err(wrong)?;
        if u64_at(record, 40) > SECONDS_MAX || u32_at(record, 36) >= 1_000_000_000 {
            return Err(wrong("its time is not before the year 10000"));
        }
        if u32::from(u16_at(record, 54)) >= trailer.media_types {
            return Err(wrong("its media type is not in the table"));
        }
        if u32_at(record, 60) != 0 {
            return Err(wrong("a field that must be zero is not"));
        }
        let gzip = u32_at(record, 56);
        if gzip == NO_GZIP {
            continue;
        }
        if gzip != next_gzip || gzip >= trailer.gzips {
            return Err(wrong("its gzip variant is another object's"));
        }
        next_gzip += 1;
        let record = index.gzip(gzip);
        extent(record, trailer).map_err(wrong)?;
        if u32_at(record, 36) != 0 {
            return Err(wrong("a field of its gzip variant that must be zero is not"));
        }
    }
    if next_gzip == trailer.gzips { Ok(()) } else { Err(PackError::Damaged { part: "index" }) }
}

/// One extent is aligned and lies between header and index.
fn extent(record: &[u8], trailer: &Trailer) -> Result<(), &'static str> {
    let (offset, size) = (u64_at(record, 0), u64_at(record, 8));
    if !offset.is_multiple_of(PAGE_SIZE as u64) {
        return Err("its payload does not begin at a page");
    }
    let inside = offset >= HEADER_SIZE as u64
        && offset.checked_add(size).is_some_and(|end| end <= trailer.index_offset);
    if inside { Ok(()) } else { Err("its payload lies outside the pack") }
}

/// No two extents share a byte.
fn overlaps(index: &PackIndex, trailer: &Trailer) -> Result<(), PackError> {
    let object = |number| index.record(number);
    let gzip = |number| index.gzip(number);
    let mut extents: Vec<(u64, u64)> = (0..trailer.objects)
        .map(object)
        .chain((0..trailer.gzips).map(gzip))
        .map(|record| (u64_at(record, 0), u64_at(record, 8)))
        .filter(|&(_, size)| size > 0)
        .collect();
    // Our writer leaves few runs that rise by themselves, which this sort only merges.
    extents.sort();
    match extents.windows(2).find(|pair| pair[0].0 + pair[0].1 > pair[1].0) {
        None => Ok(()),
        Some(pair) => Err(PackError::Overlap { offset: pair[1].0 }),
    }
}
