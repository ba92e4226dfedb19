//! The key of the audit log: a file of its own beside the registry, `<state>/audit.key`.
//!
//! Whoever can write into the database alone can't make entries. The file is made once, whole or
//! not at all, for the server's user only; it is in no copy of the registry.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};

use super::chain::{KEY_SIZE, Key, hex};

/// Where the key of a state folder lies.
#[must_use]
pub fn path(state: &Path) -> PathBuf {
    state.join("audit.key")
}

/// The key of a state folder, if it has one.
///
/// # Errors
///
/// It can't be read, or is none.
pub fn read(state: &Path) -> io::Result<Option<Key>> {
    let file = match File::open(path(state)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(KEY_SIZE as u64 + 1).read_to_end(&mut bytes)?;
    let bytes: [u8; KEY_SIZE] = bytes.try_into().map_err(|_| {
        io::Error::new(io::ErrorKind::InvalidData, "this is no key: one has 32 bytes")
    })?;
    Ok(Some(Key::new(&bytes)))
}

/// The same; a first one is made if there is none.
///
/// # Errors
///
/// See `read`; or none can be made.
pub fn read_or_made(state: &Path) -> io::Result<Key> {
    if let Some(key) = read(state)? {
        return Ok(key);
    }
    make(state)?;
    // Whoever else makes one at the same moment: there is one name, and the first one has it.
    read(state)?.ok_or_else(|| io::ErrorKind::NotFound.into())
}

fn make(state: &Path) -> io::Result<()> {
    let (mut bytes, mut suffix) = ([0; KEY_SIZE], [0; 8]);
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    getrandom::fill(&mut suffix).map_err(io::Error::other)?;
    // Written beside and linked: never there without its bytes, and never over another one.
    let beside = state.join(format!(".audit.key.{}", hex(&suffix)));
    let placed =
        written(&beside, &bytes, &fs::metadata(state)?).and_then(|()| {
            match fs::hard_link(&beside, path(state)) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                linked => linked,
            }
        });
    let _ = fs::remove_file(&beside);
    placed?;
    File::open(state)?.sync_all()
}

fn written(path: &Path, bytes: &[u8], folder: &fs::Metadata) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    // An administrator may be the first who needs it: it is the server's all the same.
    if file.metadata()?.uid() != folder.uid() {
        fchown(&file, Some(folder.uid()), Some(folder.gid()))?;
    }
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_is_its_users_alone() {
        let state = tempfile::tempdir().unwrap();
        assert!(read(state.path()).unwrap().is_none());
        let name = read_or_made(state.path()).unwrap().name();
        assert_eq!(read_or_made(state.path()).unwrap().name(), name);
        let metadata = fs::metadata(path(state.path())).unwrap();
        assert_eq!((metadata.mode() & 0o777, metadata.len()), (0o600, 32));
        assert_eq!(fs::read_dir(state.path()).unwrap().count(), 1, "nothing is left beside it");
        fs::remove_file(path(state.path())).unwrap();
        assert_ne!(read_or_made(state.path()).unwrap().name(), name);
    }

    #[test]
    fn of_many_who_make_one_all_have_the_same() {
        let state = tempfile::tempdir().unwrap();
        let names: Vec<_> = std::thread::scope(|scope| {
            let made = || read_or_made(state.path()).unwrap().name();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(made)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(names.iter().all(|name| *name == names[0]), "{names:?}");
    }

    #[test]
    fn what_is_no_key_is_said_to_be_none() {
        let state = tempfile::tempdir().unwrap();
        for size in [0, 31, 33] {
            fs::write(path(state.path()), vec![1; size]).unwrap();
            let why = read_or_made(state.path()).unwrap_err();
            assert_eq!(why.to_string(), "this is no key: one has 32 bytes");
        }
    }
}
