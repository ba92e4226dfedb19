//! Files of random bytes in the state folder, from which keys are made.
//!
//! Each is made once, whole or not at all, and for the server's user alone. It is in no copy of the
//! registry, so that whoever has that, or can write into it, has no key.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown,
};
use std::path::Path;

/// Bytes of such a file.
pub const SIZE: usize = 32;

/// What a file holds, if it is there.
///
/// # Errors
///
/// It can't be read, or has another size.
pub fn read(path: &Path) -> io::Result<Option<[u8; SIZE]>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(SIZE as u64 + 1).read_to_end(&mut bytes)?;
    let why = || io::Error::new(io::ErrorKind::InvalidData, "this is no key: one has 32 bytes");
    bytes.try_into().map(Some).map_err(|_| why())
}

/// The same of a file of this name in a state folder; it is made if it is not there, and nobody
/// else may read it from now on.
///
/// # Errors
///
/// See `read`; or none can be made.
pub fn read_or_made(state: &Path, name: &str) -> io::Result<[u8; SIZE]> {
    let path = state.join(name);
    if !path.try_exists()? {
        make(state, name)?;
    }
    let mode = fs::metadata(&path)?.mode();
    if mode & 0o077 != 0 {
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        tracing::warn!(path = %path.display(), "others could read it until now");
    }
    // Whoever else makes one at the same moment: there is one name, and the first one has it.
    read(&path)?.ok_or_else(|| io::ErrorKind::NotFound.into())
}

fn make(state: &Path, name: &str) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o750).create(state)?;
    let (mut bytes, mut number) = ([0; SIZE], [0; 8]);
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    getrandom::fill(&mut number).map_err(io::Error::other)?;
    // Written beside and linked: never there without its bytes, and never over another one.
    let beside = state.join(format!(".{name}.{:016x}", u64::from_ne_bytes(number)));
    let written = written(&beside, &bytes, &fs::metadata(state)?);
    let placed = written.and_then(|()| match fs::hard_link(&beside, state.join(name)) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
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

    fn made(state: &Path) -> [u8; SIZE] {
        read_or_made(state, "a.key").unwrap()
    }

    #[test]
    fn it_is_made_once_and_is_its_users_alone() {
        let state = tempfile::tempdir().unwrap();
        let folder = state.path().join("state");
        let path = folder.join("a.key");
        assert_eq!(read(&path).unwrap(), None);
        let bytes = made(&folder);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "nothing is left beside it");
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert_eq!(made(&folder), bytes);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(read(&path).unwrap(), Some(bytes));
        fs::remove_file(path).unwrap();
        assert_ne!(made(&folder), bytes);
    }

    #[test]
    fn of_many_who_make_one_all_have_the_same() {
        let state = tempfile::tempdir().unwrap();
        let all: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| made(state.path()))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(all.iter().all(|bytes| *bytes == all[0]), "{all:?}");
        assert_eq!(fs::read_dir(state.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_has_another_size_is_no_key() {
        let state = tempfile::tempdir().unwrap();
        for size in [0, 31, 33] {
            fs::write(state.path().join("a.key"), vec![1; size]).unwrap();
            let why = read_or_made(state.path(), "a.key").unwrap_err();
            assert_eq!(why.to_string(), "this is no key: one has 32 bytes");
        }
    }
}
