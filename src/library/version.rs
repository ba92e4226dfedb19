//! What tells two versions of a file apart.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

use xxhash_rust::xxh3::Xxh3;

use crate::units::{ETag, UnixTime};

/// Identity, size and times of a file at one moment. Any write changes one of them: the change
/// time cannot be set by anybody, only moved forward by the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Version {
    pub device: u64,
    pub inode: u64,
    pub size: u64,
    pub modified: (i64, i64),
    pub changed: (i64, i64),
}

impl Version {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    pub(super) fn of_file(file: &File) -> io::Result<Self> {
        file.metadata().map(|metadata| Self::of(&metadata))
    }

    /// `Last-Modified`.
    pub(super) fn unix_time(&self) -> UnixTime {
        UnixTime(u64::try_from(self.modified.0).unwrap_or(0))
    }

    /// Whether `newer` is the same file with other bytes: its old readers see them too. A file
    /// that was renamed over the old one is another file, and one whose rights were changed has
    /// the same bytes.
    pub(super) fn is_torn_by(&self, newer: &Self) -> bool {
        (self.device, self.inode) == (newer.device, newer.inode)
            && (self.size, self.modified) != (newer.size, newer.modified)
    }

    /// Time since the last change. A change in the future counts as just now.
    pub(super) fn age(&self) -> Duration {
        let seconds = u64::try_from(self.changed.0).unwrap_or(0);
        let nanos = u32::try_from(self.changed.1).unwrap_or(0);
        // A strange file system may say anything.
        let changed =
            Duration::from_secs(seconds).saturating_add(Duration::from_nanos(nanos.into()));
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        since.saturating_sub(changed)
    }

    /// A strong tag for a file too large to be hashed while a client waits.
    ///
    /// Two versions that share it would have the same inode, size, and both times to the
    /// nanosecond. Every write moves the change time, and a large file is not opened before its
    /// change time lies a clock tick back (`opener.rs`), so a later write gets another one.
    pub(super) fn etag(&self) -> ETag {
        let mut hash = Xxh3::new();
        for number in [self.device, self.inode, self.size] {
            hash.update(&number.to_le_bytes());
        }
        for (seconds, nanos) in [self.modified, self.changed] {
            hash.update(&seconds.to_le_bytes());
            hash.update(&nanos.to_le_bytes());
        }
        ETag(hash.digest128().to_be_bytes())
    }
}
