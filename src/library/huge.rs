//! Bringing a file onto huge pages of the page cache: a hint to the kernel, never a promise.
//!
//! The recipe (measured on ext4, Linux 6.18): MADV_HUGEPAGE and MADV_POPULATE_READ on a mapping
//! read what is not cached in folios of 2 MiB. What is cached in small folios stays so, unless it
//! is dropped first, and that may only be done while nobody is being served from the file.
//! MADV_COLLAPSE would need no dropping, but kernels without READ_ONLY_THP_FOR_FS refuse it.

use std::fs::{self, File};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use memmap2::{Advice, Mmap};

use crate::sys::{files, mapping};
use crate::units::MIB;

/// The size of a huge page, in bytes. Smaller files have nothing to gain.
pub(super) const HUGE_PAGE_SIZE: u64 = 2 * MIB as u64;

/// Bytes that are brought in before we look whether to go on.
const STEP: usize = 32 * MIB;

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Nearly all of it is on huge pages.
    Huge,
    /// It stays on small pages, because somebody may be using it.
    Small,
    /// The kernel, or the file system, has no huge pages for files.
    Unsupported,
    /// We were told to stop.
    Stopped,
}

/// Brings a file onto huge pages. `exclusive`: nobody is being served from it, so it may be
/// dropped from the cache and read again.
pub(super) fn settle(file: &File, exclusive: bool, stop: &AtomicBool) -> io::Result<Outcome> {
    let first = populate(file, false, stop)?;
    if first != Outcome::Small || !exclusive {
        return Ok(first);
    }
    match populate(file, true, stop)? {
        Outcome::Small => Ok(Outcome::Unsupported),
        outcome => Ok(outcome),
    }
}

fn populate(file: &File, drop_first: bool, stop: &AtomicBool) -> io::Result<Outcome> {
    let map = mapping::map_file(file)?;
    if map.advise(Advice::HugePage).is_err() {
        return Ok(Outcome::Unsupported);
    }
    for start in (0..map.len()).step_by(STEP) {
        if stop.load(Ordering::Relaxed) {
            return Ok(Outcome::Stopped);
        }
        let size = STEP.min(map.len() - start);
        if drop_first {
            // Pages that are dirty, or still on their way to a socket, stay; so they stay small.
            files::advise(file, start as u64, size as u64, libc::POSIX_FADV_DONTNEED);
        }
        match map.advise_range(Advice::PopulateRead, start, size) {
            // Linux before 5.14.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                return Ok(Outcome::Unsupported);
            }
            result => result?,
        }
    }
    let whole = map.len() as u64 / HUGE_PAGE_SIZE * HUGE_PAGE_SIZE;
    let huge = huge_bytes(&map)?;
    Ok(if huge * 8 >= whole * 7 { Outcome::Huge } else { Outcome::Small })
}

/// Bytes of a populated mapping that lie on huge pages.
fn huge_bytes(map: &Mmap) -> io::Result<u64> {
    let start = map.as_ptr() as usize;
    let smaps = fs::read_to_string("/proc/self/smaps")?;
    let mut lines = smaps.lines().skip_while(|line| !begins_at(line, start));
    let field = lines.find_map(|line| line.strip_prefix("FilePmdMapped:"));
    let kib = field.and_then(|field| field.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    Ok(kib.unwrap_or(0) * 1024)
}

/// Whether a line of smaps begins the mapping at this address.
fn begins_at(line: &str, start: usize) -> bool {
    let address = line.split_once('-').map(|(address, _)| usize::from_str_radix(address, 16));
    address == Some(Ok(start))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// A file of 8 MiB, written in pieces of this size and synced.
    fn written(piece: usize) -> (tempfile::TempDir, File) {
        let scratch =
            tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR").to_owned() + "/target").unwrap();
        let path = scratch.path().join("file");
        let mut file = File::create(&path).unwrap();
        for _ in 0..8 * MIB / piece {
            file.write_all(&vec![1; piece]).unwrap();
        }
        file.sync_all().unwrap();
        (scratch, File::open(path).unwrap())
    }

    #[test]
    fn a_file_in_small_folios_is_dropped_only_when_it_is_ours_alone() {
        let (_scratch, file) = written(4096);
        let go = AtomicBool::new(false);
        let shared = settle(&file, false, &go).unwrap();
        let exclusive = settle(&file, true, &go).unwrap();
        // What this file system can give decides which of the two it is; never an error.
        match exclusive {
            Outcome::Huge => assert_eq!(settle(&file, false, &go).unwrap(), Outcome::Huge),
            other => assert_eq!((shared, other), (shared, Outcome::Unsupported)),
        }
    }

    #[test]
    fn it_stops_when_told() {
        let (_scratch, file) = written(MIB);
        let stop = AtomicBool::new(true);
        assert_eq!(settle(&file, true, &stop).unwrap(), Outcome::Stopped);
    }
}
