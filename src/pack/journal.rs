//! The journal of an archive hour that is still open: bytes in, objects out, and back.
//!
//! An open hour is two files: the payload, which begins like any pack and grows by appends, and
//! the journal beside it. A commit makes the payload durable, then appends records to the journal
//! and makes them durable; only objects with a journalled record are served. Nothing is ever
//! truncated or overwritten. At the hour's end index and trailer are appended to the payload, and
//! it is a pack; the journal is removed.
//!
//! | journal's header | | |
//! |---|---|---|
//! | 0 | 8 | magic: `8F 53 43 50 4A 0D 0A 1A` |
//! | 8 | 4 | version: 1 |
//! | 12 | 16 | zero |
//! | 28 | 4 | CRC of bytes 0 to 27 |
//!
//! Records follow each other without gaps:
//!
//! | record | | |
//! |---|---|---|
//! | 0 | 4 | size of the record, these bytes included |
//! | 4 | 4 | CRC of the rest of the record |
//! | 8 | 8 | its number, from 0 |
//! | 16 | 36 | offset, size, ETag and CRC of the payload, as in an object of the index |
//! | 52 | 4 | Last-Modified, nanoseconds below a second |
//! | 56 | 8 | Last-Modified, seconds since 1970 |
//! | 64 | 36 | the same of the gzip variant; all zero: there is none |
//! | 100 | 2 | size of the path |
//! | 102 | 2 | size of the media type |
//! | 104 | | the path, then the media type |
//!
//! A record counts if its CRC is right and its number is the next one. After a crash the journal
//! may end in a torn record; the next append begins at the next multiple of 4096, behind bytes of
//! FF: a record ends in text, or in the sizes of none, so that no torn one becomes whole by them. A
//! reader that meets anything but the next record goes on at the next multiple of 4096, to the end
//! of the file. In the payload, too, appends after a crash begin at the next multiple of 4096
//! after whatever is there.

use super::error::PackError;
use super::layout::{HEADER_SIZE, array_at, u16_at, u32_at, u64_at};
use super::writer::{Object, Written, check_object, put_written};
use crate::units::{ETag, Extent, PAGE_SIZE, Variant};

const MAGIC: &[u8; 8] = b"\x8fSCPJ\r\n\x1a";
const VERSION: u32 = 1;
/// Size of the journal's header, in bytes.
pub const JOURNAL_HEADER_SIZE: usize = 32;
/// Size of a record without its strings.
const RECORD_SIZE_MIN: usize = 104;
/// Longest record: the longest path and media type.
const RECORD_SIZE_MAX: usize = RECORD_SIZE_MIN + 1024 + 127;

/// What stands between a torn record and the next one: in no text, and in no size of one.
const PADDING: u8 = 0xff;

/// What a journal says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journal {
    /// The committed objects, in the order of their commits.
    pub objects: Vec<Object>,
    /// Size of the journal, in bytes.
    size: u64,
    /// Whether something after the last record is none.
    torn: bool,
}

/// The first bytes of a journal.
#[must_use]
pub fn header() -> [u8; JOURNAL_HEADER_SIZE] {
    let mut bytes = [0; JOURNAL_HEADER_SIZE];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    let crc = crc32fast::hash(&bytes[..28]);
    bytes[28..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// Reads a journal. `payload_size` is the size of the payload beside it.
///
/// # Errors
/// If it is not a journal of our version, or names bytes that the payload does not have: then the
/// two files do not belong together.
pub fn read(bytes: &[u8], payload_size: u64) -> Result<Journal, PackError> {
    check_header(bytes)?;
    let mut journal = Journal { objects: Vec::new(), size: bytes.len() as u64, torn: false };
    let (mut at, mut end) = (JOURNAL_HEADER_SIZE, HEADER_SIZE as u64);
    while at < bytes.len() {
        let number = journal.objects.len() as u64;
        let Some((size, object)) = record(&bytes[at..], number) else {
            journal.torn = true;
            at = (at + 1).next_multiple_of(PAGE_SIZE);
            continue;
        };
        end = check_extents(&object, end, payload_size)?;
        check_object(&object, journal.objects.len())?;
        journal.objects.push(object);
        journal.torn = false;
        at += size;
    }
    Ok(journal)
}

fn check_header(bytes: &[u8]) -> Result<(), PackError> {
    if bytes.len() < JOURNAL_HEADER_SIZE || bytes[..8] != *MAGIC {
        return Err(PackError::NotAPack);
    }
    let version = u32_at(bytes, 8);
    if version != VERSION {
        return Err(PackError::Version { part: "journal", found: version });
    }
    let zeros = bytes[12..28].iter().all(|&byte| byte == 0);
    if !zeros || crc32fast::hash(&bytes[..28]) != u32_at(bytes, 28) {
        return Err(PackError::Damaged { part: "journal" });
    }
    Ok(())
}

/// The record that begins here, and its size, if it is whole and has this number.
fn record(bytes: &[u8], number: u64) -> Option<(usize, Object)> {
    if bytes.len() < RECORD_SIZE_MIN {
        return None;
    }
    let size = u32_at(bytes, 0) as usize;
    if !(RECORD_SIZE_MIN..=RECORD_SIZE_MAX).contains(&size) {
        return None;
    }
    let record = bytes.get(..size)?;
    if crc32fast::hash(&record[8..]) != u32_at(record, 4) || u64_at(record, 8) != number {
        return None;
    }
    let (path_size, type_size) =
        (usize::from(u16_at(record, 100)), usize::from(u16_at(record, 102)));
    if size != RECORD_SIZE_MIN + path_size + type_size {
        return None;
    }
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
    let (path, media_type) = record[RECORD_SIZE_MIN..].split_at(path_size);
    let object = Object {
        path: text(path)?,
        media_type: text(media_type)?,
        modified: u64_at(record, 56),
        modified_nanos: u32_at(record, 52),
        identity: written(&record[16..52]),
        gzip: record[64..100].iter().any(|&byte| byte != 0).then(|| written(&record[64..100])),
    };
    Some((size, object))
}

fn written(bytes: &[u8]) -> Written {
    let extent = Extent { offset: u64_at(bytes, 0), size: u64_at(bytes, 8) };
    let variant = Variant { extent, etag: ETag(array_at(bytes, 16)) };
    Written { variant, crc: u32_at(bytes, 32) }
}

/// Extents rise, are aligned, and lie in the payload. Gives the end of the last one.
fn check_extents(object: &Object, mut end: u64, payload_size: u64) -> Result<u64, PackError> {
    for written in [Some(object.identity), object.gzip].into_iter().flatten() {
        let Extent { offset, size } = written.variant.extent;
        let next = offset.checked_add(size).filter(|next| *next <= payload_size);
        match next {
            Some(next) if offset >= end && offset.is_multiple_of(PAGE_SIZE as u64) => end = next,
            _ => {
                let why = "its journalled bytes are not in the payload";
                return Err(PackError::Object { path: object.path.clone(), why });
            }
        }
    }
    Ok(end)
}

/// What is appended to a journal, and where.
#[derive(Clone, Copy, Debug)]
pub struct JournalWriter {
    /// The next record's number.
    number: u64,
    /// Bytes before the next record.
    padding: usize,
}

impl Default for JournalWriter {
    fn default() -> Self {
        Self::new()
    }
}

impl JournalWriter {
    /// Goes on behind the header of a new journal.
    #[must_use]
    pub fn new() -> Self {
        Self { number: 0, padding: 0 }
    }

    /// Goes on behind what a crash has left.
    #[must_use]
    pub fn after(journal: &Journal) -> Self {
        let padding = if journal.torn {
            journal.size.next_multiple_of(PAGE_SIZE as u64) - journal.size
        } else {
            0
        };
        let padding = usize::try_from(padding).expect("below a page");
        Self { number: journal.objects.len() as u64, padding }
    }

    /// The bytes that commit these objects, once they are durable behind all earlier ones.
    ///
    /// # Errors
    /// If an object can't be in a pack.
    pub fn records(&mut self, objects: &[Object]) -> Result<Vec<u8>, PackError> {
        let mut bytes = vec![PADDING; self.padding];
        for (number, object) in (self.number..).zip(objects) {
            check_object(object, usize::try_from(number).unwrap_or(usize::MAX))?;
            put_record(&mut bytes, number, object);
        }
        self.number += objects.len() as u64;
        self.padding = 0;
        Ok(bytes)
    }
}

fn put_record(into: &mut Vec<u8>, number: u64, object: &Object) {
    let start = into.len();
    into.extend_from_slice(&[0; 8]);
    into.extend_from_slice(&number.to_le_bytes());
    put_written(into, &object.identity);
    into.extend_from_slice(&object.modified_nanos.to_le_bytes());
    into.extend_from_slice(&object.modified.to_le_bytes());
    match &object.gzip {
        Some(written) => put_written(into, written),
        None => into.extend_from_slice(&[0; 36]),
    }
    for text in [&object.path, &object.media_type] {
        let size = u16::try_from(text.len()).expect("checked above");
        into.extend_from_slice(&size.to_le_bytes());
    }
    into.extend_from_slice(object.path.as_bytes());
    into.extend_from_slice(object.media_type.as_bytes());
    let size = u32::try_from(into.len() - start).expect("a record is small");
    let crc = crc32fast::hash(&into[start + 8..]);
    into[start..start + 4].copy_from_slice(&size.to_le_bytes());
    into[start + 4..start + 8].copy_from_slice(&crc.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PAYLOAD_SIZE: u64 = 1 << 30;

    fn object(number: u64) -> Object {
        let bytes = number.to_le_bytes();
        let written = |page: u64, size| Written {
            variant: Variant {
                extent: Extent { offset: page * PAGE_SIZE as u64, size },
                etag: ETag::of(&bytes),
            },
            crc: crc32fast::hash(&bytes),
        };
        Object {
            path: format!("v/{number}.m4s"),
            media_type: "video/mp4".to_owned(),
            modified: 1_700_000_000 + number,
            modified_nanos: 7,
            identity: written(1 + 3 * number, 5000),
            gzip: (number.is_multiple_of(3)).then(|| written(3 + 3 * number, 100)),
        }
    }

    /// A journal of so many objects, committed one by one.
    fn journal(count: u64) -> Vec<u8> {
        let (mut bytes, mut writer) = (header().to_vec(), JournalWriter::new());
        for number in 0..count {
            bytes.extend_from_slice(&writer.records(&[object(number)]).unwrap());
        }
        bytes
    }

    #[track_caller]
    fn check_prefix(bytes: &[u8], max: u64) -> u64 {
        let journal = read(bytes, PAYLOAD_SIZE).unwrap();
        let count = journal.objects.len() as u64;
        assert!(count <= max);
        let expected: Vec<_> = (0..count).map(object).collect();
        assert_eq!(journal.objects, expected);
        // Whatever is there, appending goes on, and all of it is read afterwards.
        let mut longer = bytes.to_vec();
        let mut writer = JournalWriter::after(&journal);
        let more: Vec<_> = (count..count + 3).map(object).collect();
        longer.extend_from_slice(&writer.records(&more[..1]).unwrap());
        longer.extend_from_slice(&writer.records(&more[1..]).unwrap());
        let again = read(&longer, PAYLOAD_SIZE).unwrap();
        assert_eq!(again.objects, [expected, more].concat());
        count
    }

    #[test]
    fn a_journal_torn_at_any_byte_gives_what_was_whole() {
        let bytes = journal(40);
        let mut last = 0;
        for size in JOURNAL_HEADER_SIZE..=bytes.len() {
            let count = check_prefix(&bytes[..size], 40);
            assert!(count >= last, "more bytes, fewer objects");
            last = count;
        }
        assert_eq!(last, 40);
        for size in 0..JOURNAL_HEADER_SIZE {
            assert!(read(&bytes[..size], PAYLOAD_SIZE).is_err());
        }
    }

    #[test]
    fn a_flipped_bit_ends_what_is_believed() {
        let good = journal(40);
        let mut bytes = good.clone();
        for at in JOURNAL_HEADER_SIZE..good.len() {
            bytes[at] ^= 1 << (at % 8);
            let count = read(&bytes, PAYLOAD_SIZE).unwrap().objects.len();
            assert!(count < 40, "byte {at}");
            bytes[at] = good[at];
        }
        for at in 0..JOURNAL_HEADER_SIZE {
            bytes[at] ^= 1;
            assert!(read(&bytes, PAYLOAD_SIZE).is_err(), "byte {at}");
            bytes[at] = good[at];
        }
    }

    /// A record may end in whatever somebody who can write the file lets it end in.
    #[test]
    fn what_is_torn_never_becomes_whole_by_what_is_appended() {
        for tail in ["", "\0", "\0\0\0", "video/mp4"] {
            let mut whole = journal(1);
            put_record(&mut whole, 1, &Object { media_type: tail.to_owned(), ..object(1) });
            let mut bare = journal(1);
            let (path, media_type) = (String::new(), tail.to_owned());
            put_record(&mut bare, 1, &Object { path, media_type, ..object(1) });
            for bytes in [whole, bare] {
                for size in journal(1).len() + 1..bytes.len() {
                    check_prefix(&bytes[..size], 1);
                }
            }
        }
    }

    #[test]
    fn a_journal_of_another_payload_is_refused() {
        let bytes = journal(5);
        let end = object(4).identity.variant.extent;
        assert!(read(&bytes, end.offset + end.size).is_ok());
        assert!(read(&bytes, end.offset + end.size - 1).is_err());
    }

    proptest! {
        #[test]
        fn sectors_lost_in_the_last_commit_cost_only_it(
            lost in prop::collection::vec(any::<bool>(), 64), garbage in any::<u8>(),
        ) {
            let durable = journal(10);
            let mut bytes = journal(100);
            for (sector, _) in lost.iter().enumerate().filter(|(_, lost)| **lost) {
                let start = (durable.len() + sector * 512).min(bytes.len());
                let end = (start + 512).min(bytes.len());
                bytes[start..end].fill(garbage);
            }
            prop_assert!(check_prefix(&bytes, 100) >= 10);
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..9000)) {
            let _ = read(&bytes, PAYLOAD_SIZE);
            let framed = [&header()[..], &bytes].concat();
            prop_assert!(read(&framed, PAYLOAD_SIZE).is_ok());
        }
    }
}
