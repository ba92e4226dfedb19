//! Segment packs: the format, over bytes. Pure; it knows no file, no clock, no thread.
//!
//! One pack holds one asset, or one hour of a channel's archive. This page is the format: it is
//! meant to be enough to write a second reader (`tests/naive.rs` is one, and the oracle of the
//! tests). All numbers are little-endian and unsigned; *CRC* is CRC-32 as in gzip and zlib; what
//! is called zero must be zero, and a reader refuses anything else.
//!
//! ```text
//! offset 0        header, 4 KiB      written first, never changed
//! 4096            payloads           each begins at a multiple of 4096; zeros between them
//! I               index              I is a multiple of 4096
//! size - 64       trailer, 64 bytes  ends the file, so that the index is found from the end
//! ```
//!
//! | header | | |
//! |---|---|---|
//! | 0 | 8 | magic: `8F 53 43 50 4B 0D 0A 1A` |
//! | 8 | 4 | version: 1 |
//! | 12 | 4 | flags: bit 0 = this is an archive hour; others zero |
//! | 16 | 4 | page size: 4096 |
//! | 20 | 4 | CRC of bytes 0 to 19 |
//! | 24 | 4072 | zero |
//!
//! | trailer | | |
//! |---|---|---|
//! | 0 | 8 | magic: `8F 53 43 50 45 0D 0A 1A` |
//! | 8 | 4 | version, as in the header |
//! | 12 | 4 | flags, as in the header |
//! | 16 | 8 | size of the file, trailer included |
//! | 24 | 8 | offset of the index, I |
//! | 32 | 8 | size of the index; it ends where the trailer begins |
//! | 40 | 4 | number of objects, *n*; at most 16,777,214 |
//! | 44 | 4 | number of gzip variants, *g*; at most *n* |
//! | 48 | 4 | number of media types, *t*; at most 65,536 |
//! | 52 | 4 | size of the strings, *s* |
//! | 56 | 4 | CRC of the index |
//! | 60 | 4 | CRC of bytes 0 to 59 of the trailer |
//!
//! The index is four tables without gaps, 64 *n* + 40 *g* + 8 *t* + *s* bytes: objects, gzip
//! variants, media types, strings.
//!
//! | object | | |
//! |---|---|---|
//! | 0 | 8 | offset of the payload in the file, a multiple of 4096 |
//! | 8 | 8 | size of the payload |
//! | 16 | 16 | ETag: opaque; our writer takes XXH3-128 of the payload, big-endian |
//! | 32 | 4 | CRC of the payload |
//! | 36 | 4 | Last-Modified, nanoseconds below a second |
//! | 40 | 8 | Last-Modified, seconds since 1970, at most 253402300799 (the year 9999) |
//! | 48 | 4 | where the path begins in the strings |
//! | 52 | 2 | size of the path |
//! | 54 | 2 | number of the media type |
//! | 56 | 4 | number of the gzip variant, or `FF FF FF FF` for none |
//! | 60 | 4 | zero |
//!
//! | gzip variant | | |
//! |---|---|---|
//! | 0 | 8 | offset, a multiple of 4096 |
//! | 8 | 8 | size |
//! | 16 | 16 | ETag of these bytes |
//! | 32 | 4 | CRC of these bytes |
//! | 36 | 4 | zero |
//!
//! A media type is where it begins in the strings (4) and its size (4), 1 to 127 visible ASCII
//! characters or spaces. The strings are the paths in the order of the objects, then the media
//! types in their order, without gaps.
//!
//! Objects stand in strict byte order of their paths; so a path occurs once. A path is UTF-8 of 1
//! to 1,024 bytes, elements divided by `/`, none of them empty, `.`, `..`, longer than 255 bytes
//! or with a NUL. Gzip variants belong to objects in rising order, each to exactly one. Payloads
//! and variants lie between the header and the index, and do not overlap. Bytes there that belong
//! to nobody are zero in an asset; in an archive hour they may be anything, because an append that
//! was not committed stays where it is.
//!
//! An hour that is still being written has no index: see [`journal`].

pub mod compress;
mod error;
pub mod header;
pub mod index;
pub mod journal;
mod layout;
pub mod writer;

pub use error::{PackError, PathFault};
pub use layout::{HEADER_SIZE, PATH_SIZE_MAX, TRAILER_SIZE, check_path};

#[cfg(any(test, fuzzing))]
pub mod fuzz;
#[cfg(test)]
mod tests;
