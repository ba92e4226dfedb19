//! Looking into folders without taking for ever: everything is bounded and says so.

use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::config::Config;

/// Entries that are looked at in all libraries together: a second or two on a slow disk.
const ENTRIES_MAX: usize = 200_000;

/// A count that may have been cut short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    number: u64,
    cut: bool,
}

impl Count {
    /// A whole count.
    #[cfg(test)]
    pub fn of(number: u64) -> Self {
        Self { number, cut: false }
    }

    /// What was counted.
    pub fn number(self) -> u64 {
        self.number
    }

    /// Whether there are more.
    pub fn is_cut(self) -> bool {
        self.cut
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let more = if self.cut { "more than " } else { "" };
        write!(f, "{more}{}", self.number)
    }
}

/// Walks folders, never through symlinks; `see` says whether to go on.
fn walk(roots: impl Iterator<Item = PathBuf>, mut see: impl FnMut(&Path, fs::FileType) -> bool) {
    let mut waiting: Vec<PathBuf> = roots.collect();
    while let Some(path) = waiting.pop() {
        let Ok(is) = fs::symlink_metadata(&path) else { continue };
        if !see(&path, is.file_type()) {
            return;
        }
        if is.is_dir() {
            let entries = fs::read_dir(&path).into_iter().flatten().flatten();
            waiting.extend(entries.map(|entry| entry.path()));
        }
    }
}

/// The folders of all libraries.
pub fn folders(config: &Config) -> Count {
    let (mut count, mut seen) = (Count { number: 0, cut: false }, 0);
    walk(config.libraries.iter().map(|library| library.path.clone()), |_, kind| {
        seen += 1;
        count.number += u64::from(kind.is_dir());
        count.cut = seen > ENTRIES_MAX;
        !count.cut
    });
    count
}

/// Some file of this library that is not empty and that we may read.
pub fn sample(root: &Path) -> Option<File> {
    let (mut found, mut seen) = (None, 0);
    walk(std::iter::once(root.to_owned()), |path, kind| {
        seen += 1;
        if kind.is_file() && fs::metadata(path).is_ok_and(|is| is.len() > 0) {
            found = File::open(path).ok();
        }
        found.is_none() && seen < 10_000
    });
    found
}

/// Whether we may make files in this folder, as far as can be told without making one.
pub fn may_write(folder: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ids = |name: &str| -> Vec<u32> {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.split_whitespace().filter_map(|id| id.parse().ok()).collect()
    };
    // Real, effective, saved, file system: the last is asked for files.
    let (user, group) = (ids("Uid:").pop(), ids("Gid:").pop());
    let Ok(is) = fs::metadata(folder) else { return false };
    let bits = if user == Some(0) {
        0o3
    } else if user == Some(is.uid()) {
        is.mode() >> 6
    } else if group == Some(is.gid()) || ids("Groups:").contains(&is.gid()) {
        is.mode() >> 3
    } else {
        is.mode()
    };
    is.is_dir() && bits & 0o3 == 0o3
}
