//! A folder that appears whole or not at all: filled under a hidden name beside its target, synced,
//! renamed.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::disk::{Disk, RealDisk, folder_of, remove_abandoned, unfinished_name};
use super::error::DiskError;
use crate::sys::files;

/// A folder that is being filled. Dropped before `publish`, it is removed with all that is in it.
#[derive(Debug)]
pub struct NewFolder {
    target: PathBuf,
    unfinished: PathBuf,
    /// Held while we live, so that others don't take the folder for abandoned.
    lock: File,
}

impl NewFolder {
    /// Creates the hidden folder. What runs that died left beside it is removed.
    ///
    /// # Errors
    ///
    /// The target exists and is not empty, or the disk refuses.
    pub fn create(target: &Path) -> Result<Self, DiskError> {
        Self::check_free(target)?;
        remove_abandoned(&RealDisk, folder_of(target));
        let unfinished = unfinished_name(target, 0);
        fs::create_dir(&unfinished).map_err(DiskError::of("creating", &unfinished))?;
        let lock = File::open(&unfinished).map_err(DiskError::of("opening", &unfinished))?;
        lock.try_lock().map_err(|error| DiskError::new("locking", &unfinished, error))?;
        Ok(Self { target: target.to_owned(), unfinished, lock })
    }

    /// Whether there is nothing at the target yet.
    ///
    /// # Errors
    ///
    /// It exists and is not empty, or can't be read.
    pub fn check_free(target: &Path) -> Result<(), DiskError> {
        let taken = match fs::read_dir(target) {
            Ok(mut entries) => entries.next().is_some(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(DiskError::new("writing to", target, error)),
        };
        if taken {
            return Err(DiskError::new("writing to", target, "it exists and is not empty")
                .with_remedy("choose a new folder; nothing is overwritten"));
        }
        Ok(())
    }

    /// Where to put the files.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.unfinished
    }

    /// Makes everything durable, and gives the folder its visible name.
    ///
    /// # Errors
    ///
    /// The disk refuses; then there is nothing at the target.
    pub fn publish(self) -> Result<(), DiskError> {
        files::sync_file_system(&self.lock).map_err(DiskError::of("syncing", &self.unfinished))?;
        // Over an empty folder this is a plain rename; over a full one it fails.
        fs::rename(&self.unfinished, &self.target)
            .map_err(DiskError::of("renaming to", &self.target))?;
        let folder = folder_of(&self.target);
        RealDisk.sync_folder(folder).map_err(DiskError::of("syncing", folder))
    }
}

impl Drop for NewFolder {
    fn drop(&mut self) {
        // After `publish` there is nothing under this name.
        let _ = fs::remove_dir_all(&self.unfinished);
    }
}
