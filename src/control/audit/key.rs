//! The key of the audit log: a file of its own beside the registry, `<state>/audit.key`, so that
//! whoever can write into the database alone can't make entries.

use std::io;
use std::path::{Path, PathBuf};

use super::super::key_file;
use super::chain::Key;

const NAME: &str = "audit.key";

/// Where the key of a state folder lies.
#[must_use]
pub fn path(state: &Path) -> PathBuf {
    state.join(NAME)
}

/// The key of a state folder, if it has one.
///
/// # Errors
///
/// It can't be read, or is none.
pub fn read(state: &Path) -> io::Result<Option<Key>> {
    Ok(key_file::read(&path(state))?.map(|bytes| Key::new(&bytes)))
}

/// The same; a first one is made if there is none.
///
/// # Errors
///
/// See `read`; or none can be made.
pub fn read_or_made(state: &Path) -> io::Result<Key> {
    key_file::read_or_made(state, NAME).map(|bytes| Key::new(&bytes))
}
