//! Limits of viewers' tokens. They are constants like those of `config.rs`.

use super::TARGET_SIZE_MAX;

/// Longest token, in characters. One without patterns has 46 to 80; one that came of a CDN's token
/// carries its paths. Longer ones are not made, and are unknown where they come.
pub const TOKEN_SIZE_MAX: usize = 512;
const _: () = assert!(TOKEN_SIZE_MAX * 4 <= TARGET_SIZE_MAX, "most of a target is its path");

/// The same in bytes: base64 takes four characters for three.
pub const TOKEN_BYTES_MAX: usize = TOKEN_SIZE_MAX / 4 * 3;
const _: () = assert!(TOKEN_SIZE_MAX.is_multiple_of(4), "the sizes are those of one text");
