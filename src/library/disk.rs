//! Every call by which we write files that are served: the seam at which tests cut the power.
//!
//! There is no call that truncates, and none that writes at a place already written. A file
//! becomes visible only by `publish`.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::sys::files;

/// A disk, or a test's idea of one.
pub trait Disk {
    /// A file open for appending.
    type File: std::fmt::Debug;

    /// Creates a file that did not exist, empty, and locks it: its writer is alive.
    ///
    /// # Errors
    /// `AlreadyExists` among others.
    fn create(&self, path: &Path) -> io::Result<Self::File>;

    /// Opens an existing file for appending, and locks it; gives its size too.
    ///
    /// # Errors
    /// `WouldBlock` if another writer has it.
    fn open_append(&self, path: &Path) -> io::Result<(Self::File, u64)>;

    /// Appends bytes: perhaps fewer than there are, as write(2).
    ///
    /// # Errors
    /// As write(2).
    fn write(&self, file: &mut Self::File, bytes: &[u8]) -> io::Result<usize>;

    /// Makes everything appended durable (fdatasync).
    ///
    /// # Errors
    /// After an error nothing is known of the file's bytes: write another file.
    fn sync(&self, file: &mut Self::File) -> io::Result<()>;

    /// Gives a file its visible name. What has that name already stays, unless `replace`.
    ///
    /// # Errors
    /// `AlreadyExists` among others.
    fn publish(&self, from: &Path, to: &Path, replace: bool) -> io::Result<()>;

    /// Makes the names in a folder durable.
    ///
    /// # Errors
    /// As fsync(2).
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;

    /// Up to `size` bytes of a file from `offset`; fewer only at its end.
    ///
    /// # Errors
    /// As open(2) and pread(2).
    fn read(&self, path: &Path, offset: u64, size: usize) -> io::Result<Vec<u8>>;

    /// Size of a file, in bytes.
    ///
    /// # Errors
    /// As stat(2).
    fn size(&self, path: &Path) -> io::Result<u64>;

    /// Removes a file.
    ///
    /// # Errors
    /// As unlink(2).
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// The names in a folder.
    ///
    /// # Errors
    /// As readdir(3).
    fn names(&self, folder: &Path) -> io::Result<Vec<OsString>>;

    /// Removes a file if no living writer has locked it; whether it did.
    ///
    /// # Errors
    /// As open(2) and unlink(2).
    fn remove_if_abandoned(&self, path: &Path) -> io::Result<bool>;
}

/// The end of the names of files that are being written. They begin with a dot.
const UNFINISHED: &str = ".shardcast-part";

/// Whether a file name is that of a file, or folder, that is being written, or was when its
/// writer died.
#[must_use]
pub fn is_unfinished(name: &[u8]) -> bool {
    name.starts_with(b".") && name.ends_with(UNFINISHED.as_bytes())
}

/// A name for what will be `target`, beside it. `attempt` tells several of one process apart.
#[must_use]
pub fn unfinished_name(target: &Path, attempt: u32) -> PathBuf {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    /// Leaves room for the dot, a process id, an attempt and the ending.
    const NAME_KEPT_MAX: usize = 200;
    let name = target.file_name().map_or(&b"pack"[..], OsStrExt::as_bytes);
    let mut unfinished = vec![b'.'];
    unfinished.extend_from_slice(&name[..name.len().min(NAME_KEPT_MAX)]);
    let pid = std::process::id();
    unfinished.extend_from_slice(format!(".{pid}-{attempt}{UNFINISHED}").as_bytes());
    target.with_file_name(OsString::from_vec(unfinished))
}

/// The folder that holds `path`.
#[must_use]
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// The real one.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    type File = File;

    fn create(&self, path: &Path) -> io::Result<File> {
        let file = File::options().append(true).create_new(true).open(path)?;
        lock(&file)?;
        // Between creation and lock another run may have taken the file for abandoned.
        if file.metadata()?.nlink() == 0 {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        Ok(file)
    }

    fn open_append(&self, path: &Path) -> io::Result<(File, u64)> {
        let file = File::options().append(true).open(path)?;
        lock(&file)?;
        let size = file.metadata()?.len();
        Ok((file, size))
    }

    fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<usize> {
        file.write(bytes)
    }

    fn sync(&self, file: &mut File) -> io::Result<()> {
        file.sync_data()
    }

    fn publish(&self, from: &Path, to: &Path, replace: bool) -> io::Result<()> {
        if replace {
            return fs::rename(from, to);
        }
        match files::rename_new(from, to) {
            // A file system that cannot refuse to replace can refuse to link twice.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                fs::hard_link(from, to)?;
                fs::remove_file(from)
            }
            result => result,
        }
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }

    fn read(&self, path: &Path, offset: u64, size: usize) -> io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::new();
        file.take(size as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn size(&self, path: &Path) -> io::Result<u64> {
        fs::metadata(path).map(|metadata| metadata.len())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn names(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name())).collect()
    }

    fn remove_if_abandoned(&self, path: &Path) -> io::Result<bool> {
        use std::os::unix::fs::OpenOptionsExt;
        let no_follow = libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let file = File::options().read(true).custom_flags(no_follow).open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(false),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // The name may be another file's by now; with the lock held, the check stays true.
        let (held, named) = (file.metadata()?, fs::symlink_metadata(path)?);
        if (held.dev(), held.ino()) != (named.dev(), named.ino()) {
            return Ok(false);
        }
        if held.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }?;
        Ok(true)
    }
}

fn lock(file: &File) -> io::Result<()> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Removes what runs that died left in a folder. Of no consequence if it fails.
pub fn remove_abandoned(disk: &impl Disk, folder: &Path) {
    use std::os::unix::ffi::OsStrExt;
    for name in disk.names(folder).unwrap_or_default() {
        if is_unfinished(name.as_bytes()) {
            let _ = disk.remove_if_abandoned(&folder.join(name));
        }
    }
}
