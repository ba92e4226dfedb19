//! What the server writes down to remember it over a restart: a small text a file.

use std::io;
use std::path::Path;

use super::DiskError;
use super::archive::replaced;
use super::disk::{Disk, unfinished_name};

/// What `of_text` makes of the text at this path, of which no more bytes are read than that;
/// nothing, if there is no such file.
///
/// # Errors
/// If it can't be read, or is not understood.
pub fn load<D: Disk, T: Default>(
    disk: &D,
    path: &Path,
    size_max: usize,
    of_text: impl FnOnce(&str) -> Option<T>,
) -> Result<T, DiskError> {
    match disk.read(path, 0, size_max) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(T::default()),
        Err(error) => Err(DiskError::new("reading", path, error)),
        Ok(bytes) => str::from_utf8(&bytes)
            .ok()
            .and_then(of_text)
            .ok_or_else(|| DiskError::new("reading", path, "it is not understood")),
    }
}

/// Writes a text in place of what was there.
///
/// # Errors
/// If the disk refuses. What was there stays.
pub fn store<D: Disk>(disk: &D, path: &Path, text: &str) -> Result<(), DiskError> {
    // An earlier attempt may have left it.
    let _ = disk.remove(&unfinished_name(path, 0));
    replaced(disk, path, text.as_bytes()).map(drop)
}
