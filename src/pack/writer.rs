//! Where the next payload goes, and the index and trailer that end a pack. Pure bookkeeping.

use std::collections::HashMap;

use super::error::PackError;
use super::header::{Kind, Trailer};
use super::layout::{
    HEADER_SIZE, INDEX_SIZE_MAX, MEDIA_TYPE_LENGTH_MAX, MEDIA_TYPES_MAX, NO_GZIP, OBJECTS_MAX,
    SECONDS_MAX, TRAILER_SIZE, aligned, check_path,
};
use crate::units::{ETag, Variant};

/// Bytes that were written, with what is known of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Where they lie, and their tag.
    pub variant: Variant,
    /// Their CRC-32.
    pub crc: u32,
}

/// One object that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its path inside the pack.
    pub path: String,
    /// Its media type.
    pub media_type: String,
    /// Last modification, in seconds since 1970.
    pub modified: u64,
    /// Nanoseconds below the second.
    pub modified_nanos: u32,
    /// The bytes as they are.
    pub identity: Written,
    /// The gzipped bytes.
    pub gzip: Option<Written>,
}

/// The objects written so far.
#[derive(Debug)]
pub struct Layout {
    kind: Kind,
    /// Where the last payload ends.
    end: u64,
    objects: Vec<Object>,
}

impl Layout {
    /// A pack of which the header is written.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self { kind, end: HEADER_SIZE as u64, objects: Vec::new() }
    }

    /// Where the next payload must begin; the bytes before it, from the last one's end, are zero.
    #[must_use]
    pub fn next_offset(&self) -> u64 {
        aligned(self.end)
    }

    /// Notes that bytes up to `end` are taken, by an object or by an append that failed.
    pub fn advance(&mut self, end: u64) {
        self.end = self.end.max(end);
    }

    /// How many objects it has.
    #[must_use]
    pub fn count(&self) -> usize {
        self.objects.len()
    }

    /// Adds an object whose bytes are written.
    ///
    /// # Errors
    /// If its path or media type can't be in a pack, or the pack is full.
    pub fn add(&mut self, object: Object) -> Result<(), PackError> {
        check_object(&object, self.objects.len())?;
        for written in [Some(object.identity), object.gzip].into_iter().flatten() {
            self.advance(written.variant.extent.offset + written.variant.extent.size);
        }
        self.objects.push(object);
        Ok(())
    }

    /// Index and trailer, to be written at [`Layout::next_offset`]; they end the file.
    ///
    /// # Errors
    /// If two objects have one path, or the index would be too large.
    pub fn finish(mut self) -> Result<Vec<u8>, PackError> {
        let index_offset = self.next_offset();
        self.objects.sort_by(|a, b| a.path.as_bytes().cmp(b.path.as_bytes()));
        if let Some(pair) = self.objects.windows(2).find(|pair| pair[0].path == pair[1].path) {
            return Err(PackError::Order { path: pair[0].path.clone() });
        }
        let mut tables = Tables::default();
        for object in &self.objects {
            tables.add(object);
        }
        let (gzips, media_types) = (tables.gzip_count, tables.media_types.len() as u64);
        let (mut bytes, strings_size) = tables.joined();
        let index_size = bytes.len() as u64;
        let too_large = |what, found, limit| PackError::TooLarge { what, found, limit };
        if index_size > INDEX_SIZE_MAX {
            return Err(too_large("index size", index_size, INDEX_SIZE_MAX));
        }
        if media_types > MEDIA_TYPES_MAX as u64 {
            return Err(too_large("media types", media_types, MEDIA_TYPES_MAX as u64));
        }
        let narrow = |number: u64| u32::try_from(number).expect("below the index size");
        let trailer = Trailer {
            kind: self.kind,
            file_size: index_offset + index_size + TRAILER_SIZE as u64,
            index_offset,
            index_size,
            objects: narrow(self.objects.len() as u64),
            gzips,
            media_types: narrow(media_types),
            strings_size: narrow(strings_size as u64),
            index_crc: crc32fast::hash(&bytes),
        };
        bytes.extend_from_slice(&trailer.bytes());
        Ok(bytes)
    }
}

/// Checks what a reader would refuse.
pub(super) fn check_object(object: &Object, number: usize) -> Result<(), PackError> {
    if number >= OBJECTS_MAX {
        let (found, limit) = (number as u64 + 1, OBJECTS_MAX as u64);
        return Err(PackError::TooLarge { what: "objects", found, limit });
    }
    let number = u32::try_from(number).expect("checked above");
    check_path(object.path.as_bytes())
        .map_err(|fault| PackError::Path { object: number, fault })?;
    let wrong = |why| Err(PackError::Object { path: object.path.clone(), why });
    let media_type = object.media_type.as_bytes();
    if media_type.is_empty()
        || media_type.len() > MEDIA_TYPE_LENGTH_MAX
        || media_type.iter().any(|byte| !(b' '..=b'~').contains(byte))
    {
        return wrong("its media type cannot be a header line");
    }
    if object.modified > SECONDS_MAX || object.modified_nanos >= 1_000_000_000 {
        return wrong("its time is not before the year 10000");
    }
    Ok(())
}

#[derive(Default)]
struct Tables<'a> {
    objects: Vec<u8>,
    gzips: Vec<u8>,
    gzip_count: u32,
    paths: Vec<u8>,
    media_types: Vec<&'a str>,
    media_type_numbers: HashMap<&'a str, u16>,
}

impl<'a> Tables<'a> {
    fn add(&mut self, object: &'a Object) {
        let media_type = *self.media_type_numbers.entry(&object.media_type).or_insert_with(|| {
            self.media_types.push(&object.media_type);
            // Beyond 65,536 the number is wrong, and `finish` refuses the pack.
            u16::try_from(self.media_types.len() - 1).unwrap_or(u16::MAX)
        });
        let gzip = match &object.gzip {
            None => NO_GZIP,
            Some(written) => {
                put_written(&mut self.gzips, written);
                self.gzips.extend_from_slice(&[0; 4]);
                self.gzip_count += 1;
                self.gzip_count - 1
            }
        };
        let path_start = u32::try_from(self.paths.len()).unwrap_or(u32::MAX);
        let path_size = u16::try_from(object.path.len()).expect("checked when it was added");
        put_written(&mut self.objects, &object.identity);
        self.objects.extend_from_slice(&object.modified_nanos.to_le_bytes());
        self.objects.extend_from_slice(&object.modified.to_le_bytes());
        self.objects.extend_from_slice(&path_start.to_le_bytes());
        self.objects.extend_from_slice(&path_size.to_le_bytes());
        self.objects.extend_from_slice(&media_type.to_le_bytes());
        self.objects.extend_from_slice(&gzip.to_le_bytes());
        self.objects.extend_from_slice(&[0; 4]);
        self.paths.extend_from_slice(object.path.as_bytes());
    }

    /// The whole index, and the size of its strings.
    fn joined(self) -> (Vec<u8>, usize) {
        let mut bytes = self.objects;
        bytes.extend_from_slice(&self.gzips);
        let mut start = self.paths.len();
        for media_type in &self.media_types {
            let size = media_type.len();
            bytes.extend_from_slice(&u32::try_from(start).unwrap_or(u32::MAX).to_le_bytes());
            bytes.extend_from_slice(&u32::try_from(size).unwrap_or(u32::MAX).to_le_bytes());
            start += size;
        }
        bytes.extend_from_slice(&self.paths);
        for media_type in &self.media_types {
            bytes.extend_from_slice(media_type.as_bytes());
        }
        (bytes, start)
    }
}

/// The first 36 bytes of an object's and of a gzip variant's record.
pub(super) fn put_written(into: &mut Vec<u8>, written: &Written) {
    let ETag(etag) = written.variant.etag;
    into.extend_from_slice(&written.variant.extent.offset.to_le_bytes());
    into.extend_from_slice(&written.variant.extent.size.to_le_bytes());
    into.extend_from_slice(&etag);
    into.extend_from_slice(&written.crc.to_le_bytes());
}
