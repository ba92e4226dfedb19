//! Bringing a file onto huge pages of the page cache: a hint to the kernel, never a promise.
//!
//! The recipe (measured on ext4, Linux 6.18): MADV_HUGEPAGE and MADV_POPULATE_READ on a mapping
//! read what is not cached in folios of 2 MiB, or as large as the file allows. What is cached in
//! small folios stays so, unless it is dropped first. That is done in steps of one huge page, and
//! only while the disk brings each back in a moment. Shards are told before, so that whoever wants
//! to send just those bytes finds them cold, and waits for them as for any cold chunk.
//! MADV_COLLAPSE would need no dropping, but kernels without READ_ONLY_THP_FOR_FS refuse it.

use std::fs::{self, File};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use memmap2::{Advice, Mmap};

use crate::sys::{files, mapping};
use crate::units::{KIB, MIB};

/// The size of a huge page, in bytes.
pub(super) const HUGE_PAGE_SIZE: u64 = 2 * MIB as u64;

/// Smaller files have nothing to gain.
pub(super) const SIZE_MIN: u64 = 64 * KIB as u64;

/// Bytes that are brought in before we look whether to go on.
const STEP: usize = HUGE_PAGE_SIZE as usize;

/// A disk that takes longer for a step is too slow to read from unasked, least of all what is in
/// memory already: 80 MB/s.
const STEP_MAX: Duration = Duration::from_millis(25);

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Nearly all of it is on huge pages.
    Huge,
    /// It was read anew, and is too small for the kernel to tell on which pages it lies.
    Untold,
    /// It stays on small pages, because the disk is slow, or part of it was in use.
    Small,
    /// The kernel, or the file system, has no huge pages for files.
    Unsupported,
    /// We were told to stop.
    Stopped,
}

/// Brings a file onto huge pages.
pub(super) fn settle(file: &File, stop: &AtomicBool) -> io::Result<Outcome> {
    let whole = file.metadata()?.len() / HUGE_PAGE_SIZE * HUGE_PAGE_SIZE;
    let is_most = |huge: u64| huge * 8 >= whole * 7;
    if whole > 0 {
        match populate(file, false, stop)? {
            Populated::Whole(huge) if is_most(huge) => return Ok(Outcome::Huge),
            Populated::Whole(_) => {}
            Populated::Part(outcome) => return Ok(outcome),
        }
    }
    Ok(match populate(file, true, stop)? {
        Populated::Part(outcome) => outcome,
        Populated::Whole(_) if whole == 0 => Outcome::Untold,
        Populated::Whole(0) => Outcome::Unsupported,
        Populated::Whole(huge) if is_most(huge) => Outcome::Huge,
        Populated::Whole(_) => Outcome::Small,
    })
}

/// How far it came.
enum Populated {
    /// To the end, and so many bytes lie on huge pages.
    Whole(u64),
    /// Not to the end.
    Part(Outcome),
}

/// Brings in what is not in memory, or, dropping it first, everything. Through a mapping of its
/// own: the kernel drops no page that is mapped.
fn populate(file: &File, drop_first: bool, stop: &AtomicBool) -> io::Result<Populated> {
    let map = mapping::map_file(file)?;
    if map.advise(Advice::HugePage).is_err() {
        return Ok(Populated::Part(Outcome::Unsupported));
    }
    for start in (0..map.len()).step_by(STEP) {
        if stop.load(Ordering::Relaxed) {
            return Ok(Populated::Part(Outcome::Stopped));
        }
        let size = STEP.min(map.len() - start);
        let begun = Instant::now();
        if drop_first {
            // Pages that are dirty, or still on their way to a socket, stay; so they stay small.
            files::advise(file, start as u64, size as u64, libc::POSIX_FADV_DONTNEED);
        }
        map.advise_range(Advice::PopulateRead, start, size)?;
        if begun.elapsed() > STEP_MAX {
            return Ok(Populated::Part(Outcome::Small));
        }
    }
    Ok(Populated::Whole(huge_bytes(&map)?))
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
    use std::path::Path;

    use super::*;

    /// A folder on the disk that the project lies on: `/tmp` may be in memory.
    fn scratch() -> tempfile::TempDir {
        let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
        std::fs::create_dir_all(&target).unwrap();
        tempfile::tempdir_in(target).unwrap()
    }

    /// A file of 8 MiB, written in pieces of this size and synced.
    fn written(piece: usize) -> (tempfile::TempDir, File) {
        let scratch = scratch();
        let path = scratch.path().join("file");
        let mut file = File::create(&path).unwrap();
        for _ in 0..8 * MIB / piece {
            file.write_all(&vec![1; piece]).unwrap();
        }
        file.sync_all().unwrap();
        (scratch, File::open(path).unwrap())
    }

    #[test]
    fn what_a_file_system_can_give_it_gives_for_good() {
        let (_scratch, file) = written(4096);
        let go = AtomicBool::new(false);
        match settle(&file, &go).unwrap() {
            Outcome::Huge => assert_eq!(settle(&file, &go).unwrap(), Outcome::Huge),
            Outcome::Unsupported => assert_ne!(settle(&file, &go).unwrap(), Outcome::Huge),
            // A slow disk, or pages in use.
            other => assert_eq!(other, Outcome::Small),
        }
    }

    #[test]
    fn a_file_below_one_huge_page_is_read_anew_and_nobody_can_tell() {
        let scratch = scratch();
        let path = scratch.path().join("file");
        std::fs::write(&path, vec![1; MIB]).unwrap();
        let file = File::open(path).unwrap();
        let outcome = settle(&file, &AtomicBool::new(false)).unwrap();
        assert!(matches!(outcome, Outcome::Untold | Outcome::Small | Outcome::Unsupported));
    }

    #[test]
    fn the_bytes_stay_what_they_are() {
        let (_scratch, mut file) = written(64 * KIB);
        settle(&file, &AtomicBool::new(false)).unwrap();
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut file, &mut bytes).unwrap();
        assert!(bytes.len() == 8 * MIB && bytes.iter().all(|byte| *byte == 1));
    }

    #[test]
    fn it_stops_when_told() {
        let (_scratch, file) = written(MIB);
        let stop = AtomicBool::new(true);
        assert_eq!(settle(&file, &stop).unwrap(), Outcome::Stopped);
    }
}
