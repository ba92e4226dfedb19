//! What lies below a library's folder: one readdir a folder, one stat a file, nothing opened.

use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use super::root::Root;
use super::version::Version;
use crate::sys::files;

/// Folders within folders that are entered.
const DEPTH_MAX: usize = 32;

/// What a scan saw.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// Files, by their paths below the library's folder.
    pub files: Vec<(PathBuf, Version)>,
    /// Folders that could not be read: what is known of them stays.
    pub unreadable: Vec<(PathBuf, io::Error)>,
    /// Whether there are symbolic links: what they point to is not watched.
    pub links: bool,
}

/// What one path below a library's folder is.
#[derive(Debug)]
pub(super) enum Kind {
    Folder(Version),
    File(Version),
    /// Nothing, or nothing that is served: a FIFO, a link out of the library.
    Nothing,
}

/// Looks at one path. `folder` is the library's, open.
pub(super) fn look(root: &Root, folder: &File, below: &Path) -> io::Result<(Kind, bool)> {
    let found = fs::symlink_metadata(root.folder.join(below));
    let (metadata, link) = match found {
        Ok(metadata) if metadata.is_symlink() => match target(folder, below)? {
            Some(metadata) => (metadata, true),
            None => return Ok((Kind::Nothing, true)),
        },
        Ok(metadata) => (metadata, false),
        Err(error) if is_gone(&error) => return Ok((Kind::Nothing, false)),
        Err(error) => return Err(error),
    };
    let kind = if metadata.is_dir() {
        Kind::Folder(Version::of(&metadata))
    } else if metadata.is_file() {
        Kind::File(Version::of(&metadata))
    } else {
        Kind::Nothing
    };
    Ok((kind, link))
}

/// What a link points to, if that lies in the library.
fn target(folder: &File, below: &Path) -> io::Result<Option<Metadata>> {
    match files::open_beneath(folder, below, libc::O_PATH) {
        Ok(fd) => File::from(fd).metadata().map(Some),
        Err(error) if is_gone(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether an error says that there is nothing to serve.
fn is_gone(error: &io::Error) -> bool {
    let gone = [libc::ENOENT, libc::ENOTDIR, libc::EXDEV, libc::ELOOP, libc::EACCES];
    error.raw_os_error().is_some_and(|number| gone.contains(&number))
}

impl Scan {
    /// Scans a folder. `watch` is called for each folder before it is read, so that nothing that
    /// comes later is missed.
    pub(super) fn of(
        root: &Root,
        folder: &File,
        below: &Path,
        watch: &mut dyn FnMut(&Path),
    ) -> Self {
        let mut scan = Self::default();
        let mut above = Vec::new();
        if let Ok((Kind::Folder(version), _)) = look(root, folder, below) {
            above.push((version.device, version.inode));
        }
        scan.folder(root, folder, below, true, &mut above, watch);
        scan
    }

    fn folder(
        &mut self,
        root: &Root,
        folder: &File,
        below: &Path,
        watched: bool,
        above: &mut Vec<(u64, u64)>,
        watch: &mut dyn FnMut(&Path),
    ) {
        let path = root.folder.join(below);
        if watched {
            watch(&path);
        }
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if is_gone(&error) => return,
            Err(error) => return self.unreadable.push((below.to_owned(), error)),
        };
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => return self.unreadable.push((below.to_owned(), error)),
            };
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let below = below.join(entry.file_name());
            match look(root, folder, &below) {
                Ok((kind, link)) => {
                    self.links |= link;
                    match kind {
                        Kind::File(version) => self.files.push((below, version)),
                        Kind::Folder(version) if !root.is_one_file() => {
                            // A link to a folder above would be entered again and again.
                            let identity = (version.device, version.inode);
                            if above.contains(&identity) || above.len() >= DEPTH_MAX {
                                continue;
                            }
                            // A linked folder's events would come under its real name.
                            let watched = watched && !link;
                            above.push(identity);
                            self.folder(root, folder, &below, watched, above, watch);
                            above.pop();
                        }
                        Kind::Folder(_) | Kind::Nothing => {}
                    }
                }
                Err(error) => self.unreadable.push((below, error)),
            }
        }
    }
}
