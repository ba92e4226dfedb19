//! Which files are kept gzipped as well, and their gzipped bytes.

use std::io::Write;

use flate2::{Compression, GzBuilder};

use crate::units::{Class, MIB};

/// Largest file that gets a gzip variant, in bytes: it is compressed in memory.
pub const GZIP_SOURCE_SIZE_MAX: usize = 8 * MIB;

/// Bytes that a variant must save: its header lines cost about 50.
const SAVING_MIN: usize = 128;

/// Whether files of this name are worth a try: playlists, manifests and subtitles are text.
#[must_use]
pub fn is_text(path: &str) -> bool {
    let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
    matches!(Class::of(path), Class::Playlist | Class::Manifest)
        || ["vtt", "webvtt", "ttml", "srt"].iter().any(|text| text.eq_ignore_ascii_case(extension))
}

/// The gzipped bytes, if they save at least an eighth. The same bytes give the same result: no
/// name and no time is put in.
#[must_use]
pub fn gzip(path: &str, bytes: &[u8]) -> Option<Vec<u8>> {
    if !is_text(path) || bytes.len() > GZIP_SOURCE_SIZE_MAX || bytes.len() <= SAVING_MIN {
        return None;
    }
    gzipped(bytes, Compression::new(6))
}

/// The same of a text that somebody waits for: sooner, and somewhat larger.
#[must_use]
pub fn gzip_now(bytes: &[u8]) -> Option<Vec<u8>> {
    if bytes.len() <= SAVING_MIN { None } else { gzipped(bytes, Compression::fast()) }
}

fn gzipped(bytes: &[u8], level: Compression) -> Option<Vec<u8>> {
    let mut encoder = GzBuilder::new().mtime(0).write(Vec::with_capacity(bytes.len() / 4), level);
    encoder.write_all(bytes).expect("a Vec takes every write");
    let gzipped = encoder.finish().expect("a Vec takes every write");
    let saved = bytes.len().saturating_sub(gzipped.len());
    (saved >= SAVING_MIN && saved >= bytes.len() / 8).then_some(gzipped)
}
