//! Limits of stored pictures and of their small variants.

use crate::units::MIB;

/// Largest picture that is stored, in bytes: a backdrop of a camera. A larger one is refused (413).
pub const PICTURE_SIZE_MAX: usize = 8 * MIB;

/// Longest side of a picture, in pixels. One that is longer is refused before it is decoded.
pub const PICTURE_SIDE_MAX: u32 = 8192;

/// Most pixels of a picture: 64 MiB once it is decoded. One that has more is refused before that,
/// whatever its file is compressed to.
pub const PICTURE_PIXELS_MAX: u64 = 16 * 1024 * 1024;

/// Most memory that decoding one picture may take, in bytes: its pixels at 16 bits a channel, and
/// as much again. Beyond it the picture is refused.
pub const PICTURE_DECODE_SIZE_MAX: u64 = 256 * MIB as u64;

/// Pictures that are stored, all together, in bytes of disk: 100,000 posters of 300 KiB. Beyond it
/// one more is refused (507).
pub const PICTURES_SIZE_MAX: u64 = 32 * 1024 * MIB as u64;

/// Pictures that are stored. Beyond it one more is refused (507).
pub const PICTURES_MAX: usize = 500_000;

/// Widths that variants may have, in pixels: logos in lists, posters in grids and on pages,
/// backdrops of phones and televisions. Few, so that nobody can have every width made; another one
/// is 404.
pub const PICTURE_WIDTHS: [u32; 9] = [64, 128, 192, 256, 384, 512, 768, 1280, 1920];

/// Quality of variants, as JPEG counts it: where an eye sees no difference at a poster's size.
pub const PICTURE_QUALITY: u8 = 82;

/// Variants on the disk, all together, in bytes. Beyond it those that were used longest ago go,
/// and are made again when somebody asks.
pub const VARIANTS_SIZE_MAX: u64 = 4 * 1024 * MIB as u64;

/// Variants on the disk: some 20 MB of memory to know them. Beyond it: as above.
pub const VARIANTS_MAX: usize = 200_000;

/// Variants in memory, which the shards serve, in bytes. Beyond it the oldest goes, and is read
/// from the disk when somebody asks.
pub const VARIANTS_MEMORY_MAX: usize = 64 * MIB;

/// Pictures to store and variants to make that wait. Beyond it one more is 503.
pub const PICTURE_JOBS_MAX: usize = 1024;

/// Pictures that one page of a list has at most.
pub const PICTURES_LISTED_MAX: usize = 1000;

/// Addresses of pictures that are looked after. Further ones are not fetched, and the log says so.
pub const PICTURE_ADDRESSES_MAX: usize = 200_000;

/// Addresses that are fetched at once.
pub const PICTURE_FETCHES_MAX: usize = 4;

/// Milliseconds that a picture may take to come. Then it is tried again later.
pub const PICTURE_FETCH_MS: u64 = 20_000;

/// Seconds after which it is asked whether a picture has changed: a week.
pub const PICTURE_REFRESH_S: u64 = 7 * 24 * 3600;

/// Seconds after which one that could not be fetched is tried again; twice as many after each
/// failure, and `PICTURE_REFRESH_S` at most.
pub const PICTURE_RETRY_S: u64 = 900;
