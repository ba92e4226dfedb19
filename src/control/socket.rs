//! The unix socket `<state>/admin.sock`: the admin port for those whom file permissions let in.
//!
//! A state folder that can't be written costs the socket and a warning, not the server.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Removes the socket when the server ends, unless somebody else's lies there by then.
#[derive(Debug)]
pub struct Guard {
    path: PathBuf,
    inode: u64,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|is| is.ino() == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The listening socket, if it can be had.
pub fn open(state: &Path) -> Option<(UnixListener, Guard)> {
    let path = state.join("admin.sock");
    match bind(state, &path) {
        Ok(opened) => Some(opened),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "there is no admin socket");
            None
        }
    }
}

fn bind(state: &Path, path: &Path) -> io::Result<(UnixListener, Guard)> {
    DirBuilder::new().recursive(true).mode(0o750).create(state)?;
    if UnixStream::connect(path).is_ok() {
        return Err(io::Error::new(io::ErrorKind::AddrInUse, "another server answers there"));
    }
    // Bound beside and renamed, so that it is never there with wider permissions, and so that the
    // socket of a server that was killed is replaced.
    let beside = state.join(format!(".admin.sock.{}", std::process::id()));
    let _ = fs::remove_file(&beside);
    let listener = UnixListener::bind(&beside)?;
    let placed = fs::set_permissions(&beside, Permissions::from_mode(0o660))
        .and_then(|()| fs::rename(&beside, path));
    if let Err(error) = placed {
        let _ = fs::remove_file(&beside);
        return Err(error);
    }
    listener.set_nonblocking(true)?;
    let inode = fs::symlink_metadata(path)?.ino();
    Ok((listener, Guard { path: path.to_owned(), inode }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_is_private_and_goes_with_its_guard() {
        let state = tempfile::tempdir().unwrap();
        let path = state.path().join("admin.sock");
        let (listener, guard) = open(state.path()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o660);
        assert!(UnixStream::connect(&path).is_ok());
        assert!(open(state.path()).is_none(), "a living server keeps its socket");
        drop(listener);
        let (_listener, second) = open(state.path()).expect("a dead one's is replaced");
        drop(guard);
        assert!(path.exists(), "the first guard leaves the second socket alone");
        drop(second);
        assert!(!path.exists());
        assert_eq!(fs::read_dir(state.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_no_reason_to_fail() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(open(&file.path().join("state")).is_none());
    }
}
