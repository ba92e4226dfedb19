//! A pack back to files: into a hidden folder beside the target, checked, synced, renamed.

use std::fs::{self, File, FileTimes};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::disk::{Disk, RealDisk, folder_of, remove_abandoned, unfinished_name};
use super::error::DiskError;
use super::open::{OpenPack, open_path};
use super::write::{BLOCK_SIZE, Progress};
use crate::pack::index::Entry;
use crate::sys::files;

/// Extracts every object of a pack into the new folder `target`; gives their number.
///
/// # Errors
/// If the pack is damaged, the folder exists and is not empty, or the disk refuses; then nothing
/// was extracted.
pub fn extract(
    pack: &Path,
    target: &Path,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<u32, DiskError> {
    let opened = open_path(pack)?;
    check_free(target)?;
    remove_abandoned(&RealDisk, folder_of(target));
    let (unfinished, lock) = create_folder(target)?;
    let extracted = fill(&opened, pack, &unfinished, progress).and_then(|()| {
        files::sync_file_system(&lock).map_err(DiskError::of("syncing", &unfinished))?;
        // Over an empty folder this is a plain rename; over a full one it fails.
        fs::rename(&unfinished, target).map_err(DiskError::of("renaming to", target))?;
        let folder = folder_of(target);
        RealDisk.sync_folder(folder).map_err(DiskError::of("syncing", folder))
    });
    if let Err(error) = extracted {
        let _ = fs::remove_dir_all(&unfinished);
        return Err(error);
    }
    Ok(opened.index.count())
}

fn check_free(target: &Path) -> Result<(), DiskError> {
    let taken = match fs::read_dir(target) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err(DiskError::new("writing to", target, error)),
    };
    if taken {
        return Err(DiskError::new("writing to", target, "it exists and is not empty")
            .with_remedy("extract into a new folder; nothing is overwritten"));
    }
    Ok(())
}

/// Creates the hidden folder, locked while we live.
fn create_folder(target: &Path) -> Result<(PathBuf, File), DiskError> {
    let unfinished = unfinished_name(target, 0);
    fs::create_dir(&unfinished).map_err(DiskError::of("creating", &unfinished))?;
    let lock = File::open(&unfinished).map_err(DiskError::of("opening", &unfinished))?;
    lock.try_lock().map_err(|error| DiskError::new("locking", &unfinished, error))?;
    Ok((unfinished, lock))
}

fn fill(
    opened: &OpenPack,
    pack: &Path,
    folder: &Path,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<(), DiskError> {
    let total = opened.index.entries().map(|entry| entry.identity.extent.size).sum();
    let mut block = vec![0; BLOCK_SIZE];
    let mut done = 0;
    for (number, entry) in (0..).zip(opened.index.entries()) {
        let path = folder.join(entry.path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(DiskError::of("creating", parent))?;
        }
        let mut file = File::options()
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(DiskError::of("creating", &path))?;
        copy(opened, pack, &entry, &mut file, &mut block, &mut |bytes| {
            done += bytes;
            progress(Progress { path: entry.path, done, total });
        })?;
        let modified = SystemTime::UNIX_EPOCH
            + Duration::new(entry.modified.0, opened.index.modified_nanos(number));
        file.set_times(FileTimes::new().set_modified(modified))
            .map_err(DiskError::of("setting the time of", &path))?;
    }
    Ok(())
}

fn copy(
    opened: &OpenPack,
    pack: &Path,
    entry: &Entry<'_>,
    into: &mut File,
    block: &mut [u8],
    copied: &mut dyn FnMut(u64),
) -> Result<(), DiskError> {
    let extent = entry.identity.extent;
    let (mut at, end) = (extent.offset, extent.offset + extent.size);
    let mut crc = crc32fast::Hasher::new();
    while at < end {
        let size = usize::try_from(end - at).unwrap_or(usize::MAX).min(block.len());
        let part = &mut block[..size];
        opened.file.read_exact_at(part, at).map_err(DiskError::of("reading", pack))?;
        crc.update(part);
        into.write_all(part).map_err(DiskError::of("writing", Path::new(entry.path)))?;
        at += size as u64;
        copied(size as u64);
    }
    if crc.finalize() != entry.crc {
        let why = format!("object {:?} is damaged (checksum)", entry.path);
        return Err(DiskError::new("extracting from", pack, why));
    }
    Ok(())
}
