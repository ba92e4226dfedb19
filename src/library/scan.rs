//! What lies below a library's folder: one readdir a folder, one stat a file, nothing opened.
//!
//! Whoever may write to the folder may swap anything for anything between two calls of ours. So
//! folders are opened below the library's own, and their entries looked at from there: a link that
//! takes a folder's place does not lead the scan out.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use super::root::Root;
use super::version::Version;
use crate::config::LISTED_MAX;
use crate::sys::files;

/// Folders within folders that are entered.
const DEPTH_MAX: usize = 32;

/// Entries of folders behind links that one scan looks at: half a minute of work. Beyond it the
/// rest is not listed, and the log says so. Without a limit a few folders full of links to each
/// other would be entered on every way there is, which has no end in our lifetime.
const LINKED_ENTRIES_MAX: usize = if cfg!(test) { 4096 } else { 1 << 20 };

/// What a scan saw.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// Files, by their paths below the library's folder.
    pub files: Vec<(PathBuf, Version)>,
    /// Folders that could not be read: what is known of them stays.
    pub unreadable: Vec<(PathBuf, io::Error)>,
    /// Whether there are symbolic links: what they point to is not watched.
    pub links: bool,
    /// Entries of folders behind links that were looked at.
    linked: usize,
    /// Whether there was more than a scan takes.
    pub cut: bool,
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
    let found = if below.as_os_str().is_empty() {
        fs::symlink_metadata(&root.folder)
    } else {
        let flags = libc::O_PATH | libc::O_NOFOLLOW;
        files::open_beneath(folder, below, flags).and_then(|fd| File::from(fd).metadata())
    };
    match found {
        Ok(metadata) => kind(&metadata, folder, below),
        Err(error) if is_gone(&error) => Ok((Kind::Nothing, false)),
        Err(error) => Err(error),
    }
}

/// What something is, by its own metadata or that of what it links to; and whether it is a link.
fn kind(metadata: &Metadata, folder: &File, below: &Path) -> io::Result<(Kind, bool)> {
    if metadata.is_symlink() {
        let target = target(folder, below)?;
        return Ok((target.as_ref().map_or(Kind::Nothing, kind_of), true));
    }
    Ok((kind_of(metadata), false))
}

fn kind_of(metadata: &Metadata) -> Kind {
    if metadata.is_dir() {
        Kind::Folder(Version::of(metadata))
    } else if metadata.is_file() {
        Kind::File(Version::of(metadata))
    } else {
        Kind::Nothing
    }
}

/// What a link points to, if that lies in the library.
fn target(folder: &File, below: &Path) -> io::Result<Option<Metadata>> {
    match files::open_beneath(folder, below, libc::O_PATH) {
        Ok(fd) => File::from(fd).metadata().map(Some),
        Err(error) if is_gone(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What is in a folder that lies below the library's, whatever its path leads to by now.
fn entries(root: &Root, folder: &File, below: &Path) -> io::Result<fs::ReadDir> {
    let below = if below.as_os_str().is_empty() { Path::new(".") } else { below };
    let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NONBLOCK;
    let opened = files::open_beneath(folder, below, flags)?;
    match fs::read_dir(format!("/proc/self/fd/{}", opened.as_raw_fd())) {
        // Without /proc only the path is left, and a link in its place would be followed.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::read_dir(root.folder.join(below))
        }
        entries => entries,
    }
}

/// Whether an error says that there is nothing to serve.
pub(super) fn is_gone(error: &io::Error) -> bool {
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
        if watched {
            watch(&root.folder.join(below));
        }
        let entries = match entries(root, folder, below) {
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
            // What is not watched lies behind a link.
            if !watched {
                self.linked += 1;
                if self.linked > LINKED_ENTRIES_MAX {
                    self.cut = true;
                    return;
                }
            }
            let below = below.join(entry.file_name());
            // Asked of the open folder, not by the path.
            let looked = entry.metadata().and_then(|metadata| kind(&metadata, folder, &below));
            match looked {
                Ok((kind, link)) => {
                    self.links |= link;
                    match kind {
                        Kind::File(_) if self.files.len() >= LISTED_MAX => self.cut = true,
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
                Err(error) if is_gone(&error) => {}
                Err(error) => self.unreadable.push((below, error)),
            }
        }
    }
}
