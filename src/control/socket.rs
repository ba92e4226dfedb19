//! The unix socket `<state>/admin.sock`: the admin port for root, the server's own user and the
//! members of a group (`admin.group`).
//!
//! File permissions let them in, and what the kernel says of whoever connects is looked at once
//! more, so that a mode which somebody has widened lets in nobody else. A state folder that can't
//! be written costs the socket and a warning, not the server.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use super::actor::Peer;
use super::connections::Listener;
use crate::sys::peers;

/// Where the machine's groups stand.
const GROUPS: &str = "/etc/group";

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

/// Who may use the socket, besides root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trusted {
    /// The server's own user,
    uid: u32,
    /// and whoever is in this group.
    gid: u32,
}

impl Trusted {
    /// Whether a process of this user and these groups may use it.
    fn holds(self, uid: u32, gid: u32, groups: &[u32]) -> bool {
        uid == 0 || uid == self.uid || gid == self.gid || groups.contains(&self.gid)
    }
}

/// The listening socket.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    trusted: Trusted,
}

/// The same as control listens on it.
pub struct AsyncSocket {
    listener: tokio::net::UnixListener,
    trusted: Trusted,
}

impl Socket {
    /// The same on this thread's runtime.
    ///
    /// # Errors
    ///
    /// The runtime does not take it.
    pub fn listening(self) -> io::Result<AsyncSocket> {
        let listener = tokio::net::UnixListener::from_std(self.listener)?;
        Ok(AsyncSocket { listener, trusted: self.trusted })
    }
}

impl Listener for AsyncSocket {
    type Accepted = tokio::net::UnixStream;
    type Stream = tokio::net::UnixStream;

    async fn next(&self) -> io::Result<(tokio::net::UnixStream, Peer)> {
        loop {
            let (stream, _) = self.listener.accept().await?;
            let whose = stream.peer_cred()?;
            let groups = peers::groups(stream.as_fd())?;
            if self.trusted.holds(whose.uid(), whose.gid(), &groups) {
                return Ok((stream, Peer::Local(Some(whose.uid()))));
            }
            tracing::warn!(
                target: "security", event = "socket-refused", user = whose.uid(),
                "whoever is not in the group may not use the admin socket"
            );
        }
    }

    async fn opened(accepted: tokio::net::UnixStream) -> io::Result<tokio::net::UnixStream> {
        Ok(accepted)
    }
}

/// The listening socket, if it can be had, for the members of this group, if there is one.
pub fn open(state: &Path, group: &str) -> Option<(Socket, Guard)> {
    let path = state.join("admin.sock");
    let group = numbered(Path::new(GROUPS), group).unwrap_or_else(|error| {
        tracing::warn!(path = GROUPS, %error, "the groups of this machine can't be read");
        None
    });
    match bind(state, &path, group) {
        Ok(opened) => Some(opened),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "there is no admin socket");
            None
        }
    }
}

/// The number of a group in a file of them (group(5)); none if there is no such.
fn numbered(file: &Path, group: &str) -> io::Result<Option<u32>> {
    let text = fs::read_to_string(file)?;
    let number = |line: &str| {
        let mut fields = line.split(':');
        let is_it = !group.is_empty() && fields.next() == Some(group);
        fields.nth(1).filter(|_| is_it)?.parse().ok()
    };
    Ok(text.lines().find_map(number))
}

fn bind(state: &Path, path: &Path, group: Option<u32>) -> io::Result<(Socket, Guard)> {
    DirBuilder::new().recursive(true).mode(0o750).create(state)?;
    if UnixStream::connect(path).is_ok() {
        return Err(io::Error::new(io::ErrorKind::AddrInUse, "another server answers there"));
    }
    // Bound beside and renamed, so that it is never there with wider permissions, and so that the
    // socket of a server that was killed is replaced.
    let beside = state.join(format!(".admin.sock.{}", std::process::id()));
    let _ = fs::remove_file(&beside);
    let listener = UnixListener::bind(&beside)?;
    // First the group, then what it may.
    if let Some(Err(error)) = group.map(|gid| shared(state, &beside, gid)) {
        tracing::warn!(
            path = %path.display(), %error,
            "the group of administrators can't be given the admin socket: is the server's user a \
             member of it?"
        );
    }
    let placed = fs::set_permissions(&beside, Permissions::from_mode(0o660))
        .and_then(|()| fs::rename(&beside, path));
    if let Err(error) = placed {
        let _ = fs::remove_file(&beside);
        return Err(error);
    }
    listener.set_nonblocking(true)?;
    let is = fs::symlink_metadata(path)?;
    let trusted = Trusted { uid: is.uid(), gid: is.gid() };
    let guard = Guard { path: path.to_owned(), inode: is.ino() };
    Ok((Socket { listener, trusted }, guard))
}

/// Gives the socket to a group, and the way to it. What else lies in the folder has modes of its
/// own, and no secret is its group's.
fn shared(state: &Path, socket: &Path, gid: u32) -> io::Result<()> {
    chown(socket, None, Some(gid))?;
    let folder = fs::metadata(state)?;
    if folder.gid() != gid {
        chown(state, None, Some(gid))?;
    }
    let passes = 0o010;
    if folder.mode() & passes == 0 {
        fs::set_permissions(state, Permissions::from_mode(folder.mode() & 0o7777 | passes))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_is_private_and_goes_with_its_guard() {
        let state = tempfile::tempdir().unwrap();
        let path = state.path().join("admin.sock");
        let (listener, guard) = open(state.path(), "").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o660);
        assert!(UnixStream::connect(&path).is_ok());
        assert!(open(state.path(), "").is_none(), "a living server keeps its socket");
        drop(listener);
        let (_listener, second) = open(state.path(), "").expect("a dead one's is replaced");
        drop(guard);
        assert!(path.exists(), "the first guard leaves the second socket alone");
        drop(second);
        assert!(!path.exists());
        assert_eq!(fs::read_dir(state.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_no_reason_to_fail() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(open(&file.path().join("state"), "").is_none());
    }

    #[test]
    fn a_group_is_found_by_its_whole_name() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text =
            "root:x:0:\nshardcast:x:7:a,b\nbroken:x\nodd:x:nine:\nshardcast-admin:x:42:olga\n";
        fs::write(file.path(), text).unwrap();
        for (name, expected) in [
            ("shardcast-admin", Some(42)),
            ("shardcast", Some(7)),
            ("root", Some(0)),
            ("broken", None),
            ("odd", None),
            ("olga", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(numbered(file.path(), name).unwrap(), expected, "{name}");
        }
        assert!(numbered(Path::new("/nowhere/group"), "root").is_err());
    }

    #[test]
    fn root_the_servers_user_and_the_group_are_trusted_and_nobody_else() {
        let trusted = Trusted { uid: 100, gid: 42 };
        for (uid, gid, groups, expected) in [
            (0, 0, &[][..], true),
            (100, 100, &[], true),
            (1000, 42, &[], true),
            (1000, 1000, &[7, 42], true),
            (1000, 1000, &[7], false),
            (42, 100, &[100], false),
        ] {
            assert_eq!(trusted.holds(uid, gid, groups), expected, "{uid} {gid} {groups:?}");
        }
    }

    /// With the groups that this process has: who is not root can give files to these only.
    #[test]
    fn a_group_gets_the_socket_and_the_way_to_it() {
        let state = tempfile::tempdir().unwrap();
        let folder = state.path().join("state");
        DirBuilder::new().mode(0o700).create(&folder).unwrap();
        let is_root = fs::metadata(&folder).unwrap().uid() == 0;
        let gid = if is_root { 1 } else { fs::metadata(&folder).unwrap().gid() };
        let path = folder.join("admin.sock");
        let (socket, _guard) = bind(&folder, &path, Some(gid)).unwrap();
        assert_eq!(socket.trusted.gid, gid);
        let (folder, socket) = (fs::metadata(&folder).unwrap(), fs::metadata(&path).unwrap());
        assert_eq!((folder.gid(), folder.mode() & 0o777), (gid, 0o710));
        assert_eq!((socket.gid(), socket.mode() & 0o777), (gid, 0o660));
    }
}
