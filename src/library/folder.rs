//! A folder of packaged output: the regular files below it, in the order of a pack.

use std::fs::{self, File, Metadata};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::disk::is_unfinished;
use super::error::DiskError;
use crate::pack;
use crate::sys::files;

/// Folders within folders that are entered; a path of 1,024 bytes has no room for more.
const DEPTH_MAX: usize = 512;

/// A folder that is being packed.
pub(super) struct Folder {
    path: PathBuf,
    root: File,
}

/// One file of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Its path below the folder: also its path in the pack.
    pub path: String,
    /// Its size when it was found.
    pub size: u64,
}

impl Folder {
    pub(super) fn open(path: &Path) -> Result<Self, DiskError> {
        // What blocks when it is opened, a FIFO, is no folder.
        let root = File::options()
            .read(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
            .open(path)
            .map_err(DiskError::of("opening", path))?;
        if !root.metadata().map_err(DiskError::of("reading", path))?.is_dir() {
            return Err(DiskError::new("packing", path, "it is not a folder")
                .with_remedy("give the folder that holds the packaged files"));
        }
        Ok(Self { path: path.to_owned(), root })
    }

    /// All files below the folder, sorted by the bytes of their paths.
    pub(super) fn files(&self) -> Result<Vec<Found>, DiskError> {
        let mut found = Vec::new();
        let root = self.root.metadata().map_err(DiskError::of("reading", &self.path))?;
        self.collect(Path::new(""), &mut vec![(root.dev(), root.ino())], &mut found)?;
        found.sort_by(|a, b| a.path.as_bytes().cmp(b.path.as_bytes()));
        Ok(found)
    }

    /// Opens one file for reading, without following a link out of the folder.
    pub(super) fn file(&self, below: &str) -> Result<(File, Metadata), DiskError> {
        let path = self.path.join(below);
        let flags = libc::O_RDONLY | libc::O_NONBLOCK;
        let file = self.open_below(Path::new(below), flags)?;
        let metadata = file.metadata().map_err(DiskError::of("reading", &path))?;
        if !metadata.is_file() {
            return Err(DiskError::new("reading", &path, "it is no longer a regular file"));
        }
        Ok((file, metadata))
    }

    fn open_below(&self, below: &Path, flags: libc::c_int) -> Result<File, DiskError> {
        let path = self.path.join(below);
        files::open_beneath(&self.root, below, flags).map(File::from).map_err(|error| {
            match error.raw_os_error() {
                Some(libc::EXDEV) => {
                    DiskError::new("following the link", &path, "it leaves the folder")
                        .with_remedy("copy the file in, or remove the link")
                }
                Some(libc::ELOOP) => DiskError::new("following the link", &path, "it is a loop"),
                _ => DiskError::new("opening", &path, error),
            }
        })
    }

    fn collect(
        &self,
        below: &Path,
        above: &mut Vec<(u64, u64)>,
        found: &mut Vec<Found>,
    ) -> Result<(), DiskError> {
        let folder = self.path.join(below);
        if above.len() > DEPTH_MAX {
            return Err(DiskError::new("packing", &folder, "folders within folders without end"));
        }
        let entries = fs::read_dir(&folder).map_err(DiskError::of("listing", &folder))?;
        for entry in entries {
            let entry = entry.map_err(DiskError::of("listing", &folder))?;
            if is_unfinished(entry.file_name().as_encoded_bytes()) {
                continue;
            }
            let below = below.join(entry.file_name());
            let path = self.path.join(&below);
            let metadata = self.metadata(&entry, &below)?;
            if metadata.is_dir() {
                let identity = (metadata.dev(), metadata.ino());
                if above.contains(&identity) {
                    let why = "it is a link to a folder above it";
                    return Err(
                        DiskError::new("packing", &path, why).with_remedy("remove the link")
                    );
                }
                above.push(identity);
                self.collect(&below, above, found)?;
                above.pop();
            } else if metadata.is_file() {
                let safe =
                    pack::check_path(below.as_os_str().as_encoded_bytes()).map_err(|fault| {
                        DiskError::new("packing", &path, format!("its path: {fault}"))
                    })?;
                found.push(Found { path: safe.to_owned(), size: metadata.size() });
            } else {
                return Err(DiskError::new("packing", &path, kind(&metadata))
                    .with_remedy("only regular files can be packed; remove it"));
            }
        }
        Ok(())
    }

    /// What an entry is, or what it links to.
    fn metadata(&self, entry: &fs::DirEntry, below: &Path) -> Result<Metadata, DiskError> {
        let metadata =
            entry.metadata().map_err(DiskError::of("reading", &self.path.join(below)))?;
        if !metadata.is_symlink() {
            return Ok(metadata);
        }
        let target = self.open_below(below, libc::O_PATH)?;
        target.metadata().map_err(DiskError::of("reading", &self.path.join(below)))
    }
}

fn kind(metadata: &Metadata) -> &'static str {
    let kind = metadata.file_type();
    if kind.is_fifo() {
        "it is a FIFO"
    } else if kind.is_socket() {
        "it is a socket"
    } else {
        "it is a device"
    }
}
