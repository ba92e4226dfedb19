//! Sizes of the format's parts, and how numbers and paths are read from bytes.

use super::error::PathFault;
use crate::units::PAGE_SIZE;

/// Size of the header, in bytes: one page, so that the first payload is aligned.
pub const HEADER_SIZE: usize = PAGE_SIZE;
/// Size of the trailer, in bytes.
pub const TRAILER_SIZE: usize = 64;
/// Size of an object's record, in bytes: one cache line.
pub(super) const OBJECT_SIZE: usize = 64;
/// Size of a gzip variant's record, in bytes.
pub(super) const GZIP_SIZE: usize = 40;
/// Size of a media type's record, in bytes.
pub(super) const MEDIA_TYPE_SIZE: usize = 8;

/// Most objects of a pack. An hour of six renditions in 1 s parts is 25,000.
pub(super) const OBJECTS_MAX: usize = (1 << 24) - 2;
/// Most media types of a pack: their number is 16 bits.
pub(super) const MEDIA_TYPES_MAX: usize = 1 << 16;
/// Longest media type, in bytes; it becomes a header line.
pub(super) const MEDIA_TYPE_LENGTH_MAX: usize = 127;
/// Longest path inside a pack, in bytes: half of what a request target may be.
pub const PATH_SIZE_MAX: usize = 1024;
/// Longest element of a path, in bytes: what Linux allows a file name.
const ELEMENT_SIZE_MAX: usize = 255;
/// Largest index that is read into memory, in bytes. A pack that claims more is refused.
pub(super) const INDEX_SIZE_MAX: u64 = 2 << 30;
/// The last second of the year 9999: HTTP dates have four digits.
pub(super) const SECONDS_MAX: u64 = 253_402_300_799;
/// "No gzip variant."
pub(super) const NO_GZIP: u32 = u32::MAX;

/// The next multiple of the page size.
pub(super) const fn aligned(offset: u64) -> u64 {
    offset.next_multiple_of(PAGE_SIZE as u64)
}

/// The number of two bytes at `at`.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array_at(bytes, at))
}

/// The number of four bytes at `at`.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}

/// The number of eight bytes at `at`.
pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, at))
}

/// The `N` bytes at `at`.
pub(super) fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("the slice has N bytes")
}

/// Checks that `path` can be a URL's tail and a file's name below a folder.
///
/// # Errors
/// What is wrong with it.
pub fn check_path(path: &[u8]) -> Result<&str, PathFault> {
    if path.is_empty() {
        return Err(PathFault::Empty);
    }
    if path.len() > PATH_SIZE_MAX {
        return Err(PathFault::TooLong);
    }
    if path.contains(&0) {
        return Err(PathFault::Nul);
    }
    for element in path.split(|&byte| byte == b'/') {
        match element {
            b"" => return Err(PathFault::EmptyElement),
            b"." | b".." => return Err(PathFault::DotElement),
            _ if element.len() > ELEMENT_SIZE_MAX => return Err(PathFault::ElementTooLong),
            _ => {}
        }
    }
    std::str::from_utf8(path).map_err(|_| PathFault::NotUtf8)
}
