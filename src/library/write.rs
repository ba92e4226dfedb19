//! Writing a pack from a folder: a hidden file beside the target, synced, renamed, synced.
//!
//! Files are streamed through one block of 2 MiB, which is written whole: the page cache then
//! holds the pack in large folios, and sendfile costs an eighth less. Nothing is ever truncated or
//! overwritten; a run that fails removes its own file, and a run that was killed leaves a file
//! that the next run recognises by its lock.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use super::disk::{Disk, folder_of, remove_abandoned, unfinished_name};
use super::error::DiskError;
use super::folder::{Folder, Found};
use super::version::Version;
use crate::pack::compress;
use crate::pack::header::{self, Kind};
use crate::pack::writer::{Layout, Object, Written};
use crate::units::{ETag, Extent, MIB, Variant, media_type};

/// Bytes of one write: a huge page, so that folios can be as large.
pub const BLOCK_SIZE: usize = 2 * MIB;

/// Where a run is, for a progress bar.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// The file that is being read.
    pub path: &'a str,
    /// Bytes read so far.
    pub done: u64,
    /// Bytes of all files.
    pub total: u64,
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Objects of the pack.
    pub objects: usize,
    /// Gzip variants beside them.
    pub gzips: usize,
    /// Size of the pack, in bytes.
    pub size: u64,
}

/// Packs every file below `folder` into the new file `target`.
///
/// # Errors
/// If a file can't be packed, changes meanwhile, or the disk refuses; then there is no new file.
pub fn pack_folder<D: Disk>(
    disk: &D,
    folder: &Path,
    target: &Path,
    replace: bool,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Summary, DiskError> {
    let source = Folder::open(folder)?;
    let files = source.files()?;
    if files.is_empty() {
        return Err(DiskError::new("packing", folder, "there is no file in it"));
    }
    if !replace && target.symlink_metadata().is_ok() {
        return Err(exists(target));
    }
    remove_abandoned(disk, folder_of(target));
    let (file, unfinished) = create(disk, target)?;
    let written = write_all(disk, file, &unfinished, &source, &files, progress)
        .and_then(|summary| publish(disk, &unfinished, target, replace).map(|()| summary));
    if written.is_err() {
        // The error that is reported is the first one; what stays is removed by the next run.
        let _ = disk.remove(&unfinished);
    }
    written
}

fn exists(target: &Path) -> DiskError {
    DiskError::new("writing", target, "it exists already")
        .with_remedy("choose another name, remove it, or give --replace")
}

/// Creates the hidden file beside the target.
fn create<D: Disk>(disk: &D, target: &Path) -> Result<(D::File, PathBuf), DiskError> {
    const ATTEMPTS_MAX: u32 = 100;
    let mut attempt = 0;
    loop {
        let unfinished = unfinished_name(target, attempt);
        match disk.create(&unfinished) {
            Ok(file) => return Ok((file, unfinished)),
            Err(error)
                if error.kind() == io::ErrorKind::AlreadyExists && attempt < ATTEMPTS_MAX =>
            {
                attempt += 1;
            }
            Err(error) => return Err(DiskError::new("creating", &unfinished, error)),
        }
    }
}

fn publish<D: Disk>(
    disk: &D,
    unfinished: &Path,
    target: &Path,
    replace: bool,
) -> Result<(), DiskError> {
    match disk.publish(unfinished, target, replace) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(exists(target)),
        Err(error) => return Err(DiskError::new("renaming to", target, error)),
    }
    let folder = folder_of(target);
    disk.sync_folder(folder).map_err(DiskError::of("syncing", folder))
}

fn write_all<D: Disk>(
    disk: &D,
    file: D::File,
    unfinished: &Path,
    source: &Folder,
    files: &[Found],
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Summary, DiskError> {
    let mut out = Blocks::new(disk, file, unfinished);
    let mut layout = Layout::new(Kind::Asset);
    out.append(&header::header(Kind::Asset)[..])?;
    let total = files.iter().map(|found| found.size).sum();
    let (mut done, mut gzips) = (0, 0);
    for found in files {
        progress(Progress { path: &found.path, done, total });
        let object = write_object(&mut out, &layout, source, &found.path, &mut |bytes| {
            done += bytes as u64;
            progress(Progress { path: &found.path, done, total });
        })?;
        gzips += usize::from(object.gzip.is_some());
        layout.add(object).map_err(|error| DiskError::pack(unfinished, &error))?;
    }
    let objects = layout.count();
    out.pad_to(layout.next_offset())?;
    let end = layout.finish().map_err(|error| DiskError::pack(unfinished, &error))?;
    out.append(&end)?;
    let size = out.finish()?;
    Ok(Summary { objects, gzips, size })
}

/// Streams one file into the pack, and its gzip variant behind it.
fn write_object<D: Disk>(
    out: &mut Blocks<'_, D>,
    layout: &Layout,
    source: &Folder,
    path: &str,
    read: &mut dyn FnMut(usize),
) -> Result<Object, DiskError> {
    let (mut file, metadata) = source.file(path)?;
    let before = Version::of(&metadata);
    let keep = compress::is_text(path) && before.size <= compress::GZIP_SOURCE_SIZE_MAX as u64;
    let mut text = keep.then(Vec::new);
    out.pad_to(layout.next_offset())?;
    let offset = out.position();
    let mut sums = Sums::default();
    loop {
        let bytes = out.fill_from(&mut file, path)?;
        if bytes.is_empty() {
            break;
        }
        sums.add(bytes);
        // A file that grows as fast as it is read would have no end.
        if sums.size > before.size {
            return Err(changed(path));
        }
        if let Some(text) = &mut text {
            text.extend_from_slice(bytes);
        }
        read(bytes.len());
    }
    let identity = sums.written(offset);
    let after = Version::of_file(&file).map_err(DiskError::of("reading", Path::new(path)))?;
    if after != before || identity.variant.extent.size != before.size {
        return Err(changed(path));
    }
    let gzip = match text.and_then(|text| compress::gzip(path, &text)) {
        None => None,
        Some(gzipped) => {
            out.pad_to_page()?;
            let mut sums = Sums::default();
            sums.add(&gzipped);
            let written = sums.written(out.position());
            out.append(&gzipped)?;
            Some(written)
        }
    };
    Ok(Object {
        path: path.to_owned(),
        media_type: media_type(path).to_owned(),
        modified: u64::try_from(before.modified.0).unwrap_or(0),
        modified_nanos: u32::try_from(before.modified.1).unwrap_or(0),
        identity,
        gzip,
    })
}

fn changed(path: &str) -> DiskError {
    DiskError::new("packing", Path::new(path), "it changed while it was read")
        .with_remedy("pack a folder that nobody writes")
}

/// Checksum, tag and size of bytes that stream by.
#[derive(Default)]
pub(super) struct Sums {
    size: u64,
    crc: crc32fast::Hasher,
    hash: Xxh3,
}

impl Sums {
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        self.crc.update(bytes);
        self.hash.update(bytes);
    }

    /// What was added, as bytes that begin at `offset`.
    pub(super) fn written(self, offset: u64) -> Written {
        let etag = ETag(self.hash.digest128().to_be_bytes());
        let variant = Variant { extent: Extent { offset, size: self.size }, etag };
        Written { variant, crc: self.crc.finalize() }
    }
}

/// Appends in writes of one block, each at a multiple of the block's size.
struct Blocks<'d, D: Disk> {
    disk: &'d D,
    file: D::File,
    path: &'d Path,
    block: Box<[u8]>,
    filled: usize,
    flushed: u64,
}

impl<'d, D: Disk> Blocks<'d, D> {
    fn new(disk: &'d D, file: D::File, path: &'d Path) -> Self {
        let block = vec![0; BLOCK_SIZE].into_boxed_slice();
        Self { disk, file, path, block, filled: 0, flushed: 0 }
    }

    fn position(&self) -> u64 {
        self.flushed + self.filled as u64
    }

    fn append(&mut self, mut bytes: &[u8]) -> Result<(), DiskError> {
        while !bytes.is_empty() {
            self.flush_if_full()?;
            let count = bytes.len().min(BLOCK_SIZE - self.filled);
            self.block[self.filled..self.filled + count].copy_from_slice(&bytes[..count]);
            self.filled += count;
            bytes = &bytes[count..];
        }
        Ok(())
    }

    /// Reads the next bytes of a file straight into the block; empty at the file's end.
    fn fill_from(&mut self, file: &mut File, path: &str) -> Result<&[u8], DiskError> {
        self.flush_if_full()?;
        let room = &mut self.block[self.filled..];
        let count = loop {
            match file.read(room) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result.map_err(DiskError::of("reading", Path::new(path)))?,
            }
        };
        let start = self.filled;
        self.filled += count;
        Ok(&self.block[start..start + count])
    }

    fn pad_to_page(&mut self) -> Result<(), DiskError> {
        self.pad_to(self.position().next_multiple_of(crate::units::PAGE_SIZE as u64))
    }

    /// Zeros up to `offset`, less than a page away.
    fn pad_to(&mut self, offset: u64) -> Result<(), DiskError> {
        const ZEROS: [u8; crate::units::PAGE_SIZE] = [0; crate::units::PAGE_SIZE];
        let count = usize::try_from(offset - self.position()).expect("padding is below a page");
        self.append(&ZEROS[..count])
    }

    fn flush_if_full(&mut self) -> Result<(), DiskError> {
        if self.filled == BLOCK_SIZE { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), DiskError> {
        write_whole(self.disk, &mut self.file, &self.block[..self.filled])
            .map_err(DiskError::of("writing", self.path))?;
        self.flushed += self.filled as u64;
        self.filled = 0;
        Ok(())
    }

    /// Writes the rest and makes all of it durable; gives the file's size.
    fn finish(mut self) -> Result<u64, DiskError> {
        self.flush()?;
        self.disk.sync(&mut self.file).map_err(DiskError::of("syncing", self.path))?;
        Ok(self.flushed)
    }
}

/// Appends all of `bytes`. A disk that fills up takes a part first, and says so at the next write.
///
/// # Errors
/// As write(2).
pub fn write_whole<D: Disk>(disk: &D, file: &mut D::File, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match disk.write(file, bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
