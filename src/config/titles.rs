//! Limits of what is said of films, series and episodes.

use crate::units::KIB;

/// Longest plot of a title, in bytes; sidecar files have up to 3 KiB. A longer one is refused.
pub const PLOT_SIZE_MAX: usize = 8 * KIB;

/// Longest name of a person, a genre or a country, in bytes. A longer one is refused.
pub const NAME_SIZE_MAX: usize = 256;

/// Genres of a title. Beyond it the title is refused.
pub const GENRES_MAX: usize = 32;

/// Persons in one list of a title: casts as they are written have up to 60. Beyond it the title is
/// refused.
pub const PERSONS_MAX: usize = 128;

/// Backdrops of a title; clients show one to four. Beyond it the title is refused.
pub const BACKDROPS_MAX: usize = 8;

/// Years in which a title may have been made: the first film is of 1888. Others are refused.
pub const YEARS: std::ops::RangeInclusive<u16> = 1870..=2199;

/// The best rating; the worst is 0. Others are refused.
pub const RATING_MAX: f64 = 10.0;

/// The highest age that a title may be from. Above it, it is refused.
pub const AGE_MAX: u8 = 21;

/// Longest title, in seconds: a week. A longer one is refused.
pub const DURATION_S_MAX: u32 = 7 * 24 * 3600;

/// Hexadecimal digits of a stored picture's id: 128 bits of the digest of its content, so that none
/// can be guessed and two never meet.
pub const PICTURE_ID_SIZE: usize = 32;

/// Fields of a title of which it is remembered what a sidecar said: all that there are, twice.
/// Beyond it the title is refused.
pub const IMPORTED_FIELDS_MAX: usize = 64;

/// Largest sidecar of a title, in bytes: casts of series take 200 KiB. A larger one is not read,
/// and the report says so.
pub const NFO_SIZE_MAX: usize = crate::units::MIB;

/// Elements and texts of a sidecar. One that has more is not read.
pub const NFO_NODES_MAX: u32 = 100_000;

/// Elements within elements of a sidecar; there are five. One that has more is not read.
pub const NFO_DEPTH_MAX: u32 = 64;

/// Titles of a catalogue that are written at once.
pub const CATALOGUE_LOT: usize = 200;

/// Lines of what became of titles that one answer tells. Further ones are only counted.
pub const CATALOGUE_LINES_MAX: usize = 10_000;
