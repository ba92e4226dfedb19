//! A pack back to files: into a hidden folder beside the target, checked, synced, renamed.

use std::fs::{self, File, FileTimes};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::error::DiskError;
use super::new_folder::NewFolder;
use super::open::{OpenPack, open_path};
use super::write::{BLOCK_SIZE, Progress};
use crate::pack::index::Entry;

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
    let folder = NewFolder::create(target)?;
    fill(&opened, pack, folder.path(), progress)?;
    folder.publish()?;
    Ok(opened.index.count())
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
