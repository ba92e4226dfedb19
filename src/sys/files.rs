//! File calls that std lacks, each as a safe function over borrowed descriptors.
//!
//! Contract: every call gets descriptors that are borrowed for its duration, C strings that live
//! in the caller's frame, and structures of the size that it is told. No call keeps a pointer.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::calls;
use crate::messages::Residency;
use crate::shard::kernel::Errno;
use crate::units::Extent;

/// Opens `path` below the folder `root`, following symbolic links only while they stay below it.
///
/// `flags` are those of open(2); O_CLOEXEC is added. With O_NONBLOCK a FIFO does not block.
///
/// # Errors
/// EXDEV if a link leaves the folder; else as openat2(2).
pub fn open_beneath(root: impl AsFd, path: &Path, flags: libc::c_int) -> io::Result<OwnedFd> {
    let path = c_string(path)?;
    // SAFETY: `open_how` is three integers, for which zero is a value.
    let mut how: libc::open_how = unsafe { mem::zeroed() };
    how.flags = u64::from((flags | libc::O_CLOEXEC).cast_unsigned());
    how.resolve = libc::RESOLVE_BENEATH | libc::RESOLVE_NO_MAGICLINKS;
    // SAFETY: descriptor, string and structure live until the call returns, and the size is right.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_openat2,
            root.as_fd().as_raw_fd(),
            path.as_ptr(),
            &raw const how,
            mem::size_of::<libc::open_how>(),
        )
    };
    let fd = i32::try_from(fd).expect("a descriptor is an int");
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given us this descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Renames, and fails with EEXIST where `to` exists already.
///
/// # Errors
/// As renameat2(2); EINVAL where the file system cannot do it.
pub fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    let (from, to) = (c_string(from)?, c_string(to)?);
    // SAFETY: both strings live until the call returns.
    let result = unsafe {
        libc::renameat2(
            libc::AT_FDCWD,
            from.as_ptr(),
            libc::AT_FDCWD,
            to.as_ptr(),
            libc::RENAME_NOREPLACE,
        )
    };
    check(result)
}

/// Writes everything of the file system that holds `file` to the disk.
///
/// # Errors
/// As syncfs(2).
pub fn sync_file_system(file: impl AsFd) -> io::Result<()> {
    // SAFETY: the descriptor is borrowed for the call.
    check(unsafe { libc::syncfs(file.as_fd().as_raw_fd()) })
}

/// Whether some descriptor of any process can write this file now. `None`: we may not ask.
///
/// A read lease is refused (EAGAIN) while a writer exists. It is given back at once, because
/// while it lasts the next writer would have to wait for us.
#[must_use]
pub fn has_writer(file: impl AsFd) -> Option<bool> {
    let fd = file.as_fd().as_raw_fd();
    // SAFETY: an integer argument; the descriptor is borrowed for the call.
    if unsafe { libc::fcntl(fd, libc::F_SETLEASE, libc::F_RDLCK) } == 0 {
        // SAFETY: as above; it can only fail if there is no lease, which is what we want.
        unsafe { libc::fcntl(fd, libc::F_SETLEASE, libc::F_UNLCK) };
        return Some(false);
    }
    match io::Error::last_os_error().raw_os_error() {
        Some(libc::EAGAIN) => Some(true),
        // EACCES: neither owner nor CAP_LEASE. EINVAL: the file system has no leases.
        _ => None,
    }
}

/// How it can be known which bytes of a file are in memory: tried out on its first one.
#[must_use]
pub fn residency(file: impl AsFd) -> Residency {
    let first = Extent { offset: 0, size: 1 };
    match calls::read_now(&file, 0, &mut [0]) {
        Err(Errno(libc::EOPNOTSUPP)) if is_in_memory(&file) => Residency::Memory,
        Err(Errno(libc::EOPNOTSUPP)) => Residency::Unknown,
        _ if calls::cached_pages(&file, first).is_ok() => Residency::Asked,
        _ => Residency::Sampled,
    }
}

/// Whether a file's file system has no disk.
fn is_in_memory(file: impl AsFd) -> bool {
    // SAFETY: a plain C struct for which zeros are valid values.
    let mut stat: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: `stat` is ours for the call, and the descriptor is open while it is borrowed.
    let result = unsafe { libc::fstatfs(file.as_fd().as_raw_fd(), &raw mut stat) };
    result == 0 && matches!(stat.f_type, libc::TMPFS_MAGIC | libc::HUGETLBFS_MAGIC)
}

/// Tells the kernel how a stretch of a file will be used. A hint: failure changes nothing.
pub fn advise(file: impl AsFd, offset: u64, size: u64, advice: libc::c_int) {
    let (Ok(offset), Ok(size)) = (i64::try_from(offset), i64::try_from(size)) else {
        return;
    };
    // SAFETY: integers only; the descriptor is borrowed for the call.
    unsafe { libc::posix_fadvise(file.as_fd().as_raw_fd(), offset, size, advice) };
}

fn c_string(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "a path with a NUL"))
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::*;

    #[test]
    fn links_are_followed_only_below_the_root() {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path().join("root");
        fs::create_dir(&root).unwrap();
        fs::write(scratch.path().join("secret"), "s").unwrap();
        fs::write(root.join("inside"), "i").unwrap();
        std::os::unix::fs::symlink("../secret", root.join("out")).unwrap();
        std::os::unix::fs::symlink("inside", root.join("in")).unwrap();
        let folder = File::open(&root).unwrap();
        let open = |path: &str| open_beneath(&folder, Path::new(path), libc::O_RDONLY);
        assert!(open("in").is_ok());
        for escape in ["out", "../secret", "/etc/passwd"] {
            assert_eq!(open(escape).unwrap_err().raw_os_error(), Some(libc::EXDEV), "{escape}");
        }
    }

    #[test]
    fn a_writer_is_seen() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("file");
        let writer = File::create(&path).unwrap();
        let reader = File::open(&path).unwrap();
        assert_eq!(has_writer(&reader), Some(true));
        drop(writer);
        assert_eq!(has_writer(&reader), Some(false));
    }

    #[test]
    fn renaming_never_replaces() {
        let scratch = tempfile::tempdir().unwrap();
        let (a, b) = (scratch.path().join("a"), scratch.path().join("b"));
        fs::write(&a, "a").unwrap();
        fs::write(&b, "b").unwrap();
        assert_eq!(rename_new(&a, &b).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        fs::remove_file(&b).unwrap();
        rename_new(&a, &b).unwrap();
        assert_eq!(fs::read(&b).unwrap(), b"a");
    }
}
