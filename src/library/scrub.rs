//! The slow reader: payloads are read in the background, and their checksums verified.
//!
//! One pack at a time, at a bounded rate, with the least priority for processor and disk. What it
//! reads from disk it drops from the page cache again, so that it costs nobody his hot pages.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::open::{OpenError, open_pack};
use super::version::Version;
use crate::messages::SourceId;
use crate::sys::{calls, files, priority};
use crate::units::{Extent, KIB};

/// Bytes read at once, between two looks at the clock.
const BLOCK_SIZE: usize = 128 * KIB;

/// One pack to read.
#[derive(Debug)]
pub(super) struct ToScrub {
    pub source: SourceId,
    /// The library's folder.
    pub root: Arc<File>,
    /// Where the pack lies below it.
    pub below: PathBuf,
    /// Bytes a second.
    pub rate: u64,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Scrubbed {
    pub source: SourceId,
    pub found: Found,
}

/// What was found.
#[derive(Debug)]
pub(super) enum Found {
    /// Nothing.
    Good,
    /// This version of the file is damaged, and how.
    Damaged(Version, String),
    /// The disk would not read something, which proves nothing.
    Unreadable(String),
}

/// Runs until the other end of `wishes` is dropped.
pub(super) fn run(wishes: &Receiver<ToScrub>, done: impl Fn(Scrubbed)) {
    priority::give_way(19);
    priority::idle_disk_priority();
    let mut next = wishes.recv().ok();
    while let Some(wish) = next.take() {
        let mut pace = Pace { wishes, rate: wish.rate.max(1), began: Instant::now(), read: 0 };
        match scrub(&wish, &mut pace) {
            Ok(found) => done(Scrubbed { source: wish.source, found }),
            // Nobody wants to know any more.
            Err(Ended) => return,
        }
        next = wishes.recv().ok();
    }
}

struct Ended;

/// Keeps the rate: bytes read so far, and when that began.
struct Pace<'a> {
    wishes: &'a Receiver<ToScrub>,
    rate: u64,
    began: Instant,
    read: u64,
}

impl Pace<'_> {
    fn wait(&mut self, bytes: usize) -> Result<(), Ended> {
        self.read += bytes as u64;
        let due = Duration::from_secs_f64(self.read as f64 / self.rate as f64);
        // One wish is under way at a time, so the only thing that can come is the end.
        match self.wishes.recv_timeout(due.saturating_sub(self.began.elapsed())) {
            Err(RecvTimeoutError::Disconnected) => Err(Ended),
            _ => Ok(()),
        }
    }
}

/// Reads a pack whole. A pack that can't be opened is found out by whoever wants it.
fn scrub(wish: &ToScrub, pace: &mut Pace<'_>) -> Result<Found, Ended> {
    let flags = libc::O_RDONLY | libc::O_NONBLOCK;
    let opened = files::open_beneath(&*wish.root, &wish.below, flags).map(File::from);
    let Ok(file) = opened else { return Ok(Found::Good) };
    let (Ok(before), Ok(checked)) = (Version::of_file(&file), file.try_clone()) else {
        return Ok(Found::Good);
    };
    let found = check(file, pace)?;
    // A file that changed while it was read is another version, which the watcher reports.
    Ok(match (found, Version::of_file(&checked)) {
        (Checked::Damaged(why), Ok(after)) if after == before => Found::Damaged(before, why),
        (Checked::Unreadable(why), _) => Found::Unreadable(why),
        _ => Found::Good,
    })
}

enum Checked {
    Good,
    Damaged(String),
    Unreadable(String),
}

fn check(file: File, pace: &mut Pace<'_>) -> Result<Checked, Ended> {
    let pack = match open_pack(file) {
        Ok(pack) => pack,
        Err(OpenError::Pack(error)) => return Ok(Checked::Damaged(error.to_string())),
        Err(OpenError::Io(_)) => return Ok(Checked::Good),
    };
    // Without readahead exactly what is asked for comes in, and can be dropped again.
    files::advise(&pack.file, 0, 0, libc::POSIX_FADV_RANDOM);
    let mut block = vec![0; BLOCK_SIZE];
    for (number, entry) in (0..).zip(pack.index.entries()) {
        let gzip = entry.gzip.zip(pack.index.gzip_crc(number));
        let gzip = gzip.map(|(variant, crc)| (variant.extent, crc));
        for (extent, crc) in [Some((entry.identity.extent, entry.crc)), gzip].into_iter().flatten()
        {
            let object = entry.path;
            match extent_crc(&pack.file, extent, &mut block, pace)? {
                Ok(found) if found == crc => {}
                Ok(_) => {
                    return Ok(Checked::Damaged(format!(
                        "object {object:?} is damaged (checksum)"
                    )));
                }
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Ok(Checked::Damaged(format!("object {object:?} was cut short")));
                }
                Err(error) => {
                    return Ok(Checked::Unreadable(format!("object {object:?}: {error}")));
                }
            }
        }
    }
    Ok(Checked::Good)
}

fn extent_crc(
    file: &File,
    extent: Extent,
    block: &mut [u8],
    pace: &mut Pace<'_>,
) -> Result<io::Result<u32>, Ended> {
    let (mut at, end) = (extent.offset, extent.offset + extent.size);
    let mut crc = crc32fast::Hasher::new();
    while at < end {
        let size = usize::try_from(end - at).unwrap_or(usize::MAX).min(block.len());
        if let Err(error) = read(file, &mut block[..size], at) {
            return Ok(Err(error));
        }
        crc.update(&block[..size]);
        at += size as u64;
        pace.wait(size)?;
    }
    Ok(Ok(crc.finalize()))
}

/// Fills `into`; what was not in the page cache before is not there afterwards either.
fn read(file: &File, into: &mut [u8], at: u64) -> io::Result<()> {
    let cached = calls::read_now(file, at, into).unwrap_or(0);
    if cached < into.len() {
        let rest = at + cached as u64;
        file.read_exact_at(&mut into[cached..], rest)?;
        files::advise(file, rest, (into.len() - cached) as u64, libc::POSIX_FADV_DONTNEED);
    }
    Ok(())
}
