//! The files that are asked for: made once, the same bytes everywhere, also packed on request.
//!
//! A workload is a folder of folders (`d0000/f000.bin`, …). Each inner folder becomes one pack of
//! the same name in a folder beside it, so that `/d0000/f000.bin` of a file server and
//! `/vod/d0000/f000.bin` of shardcast are the same bytes.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::load::random::Random;
use crate::sys::cache;

/// How many files of which size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workload {
    /// As `--workload` calls it, and the folder is named.
    pub name: &'static str,
    /// Folders; each becomes a pack.
    pub folders: usize,
    /// Files in each.
    pub files_per_folder: usize,
    /// Bytes of each file.
    pub file_size: usize,
}

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Files up to this size lie on one page, however they got into the page cache.
const PAGE_SIZE: u64 = 4096;

/// Every workload there is.
pub const WORKLOADS: [Workload; 10] = [
    workload("one-2k", 1, 1, 2 * KIB),
    workload("many-2k", 100, 100, 2 * KIB),
    workload("256k", 1, 1, 256 * KIB),
    workload("1m", 1, 1, MIB),
    workload("4m", 1, 1, 4 * MIB),
    workload("set-2g-256k", 64, 128, 256 * KIB),
    workload("set-2g", 64, 32, MIB),
    workload("set-2g-4m", 64, 8, 4 * MIB),
    workload("million", 10_000, 100, 2 * KIB),
    workload("tiny", 2, 2, 2 * KIB),
];

const fn workload(
    name: &'static str,
    folders: usize,
    files_per_folder: usize,
    file_size: usize,
) -> Workload {
    Workload { name, folders, files_per_folder, file_size }
}

/// The workload of this name; the error lists the names.
pub fn named(name: &str) -> Result<Workload, String> {
    WORKLOADS.into_iter().find(|workload| workload.name == name).ok_or_else(|| {
        let names: Vec<_> = WORKLOADS.iter().map(|workload| workload.name).collect();
        format!("no such workload; there are {}", names.join(", "))
    })
}

impl Workload {
    /// Removes what an earlier run made below `scratch`.
    pub fn unmake(&self, scratch: &Path) -> io::Result<()> {
        let files = scratch.join(self.name);
        for folder in [files.with_extension("packs"), files] {
            match fs::remove_dir_all(folder) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Makes the files below `scratch` unless they are there already.
    pub fn files(&self, scratch: &Path) -> io::Result<PathBuf> {
        made_whole(&scratch.join(self.name), |folder| {
            let mut random = Random::new(self.file_size as u64);
            let mut bytes = vec![0; self.file_size];
            for index in 0..self.folders {
                let inner = folder.join(folder_name(index));
                fs::create_dir(&inner)?;
                for file in 0..self.files_per_folder {
                    for word in bytes.chunks_mut(8) {
                        let next = random.next().to_le_bytes();
                        word.copy_from_slice(&next[..word.len()]);
                    }
                    fs::File::create(inner.join(file_name(file)))?.write_all(&bytes)?;
                }
            }
            Ok(())
        })
    }

    /// Packs each folder of `files` by `shardcast pack`, unless that is done already.
    pub fn packs(&self, files: &Path, shardcast: &Path) -> io::Result<PathBuf> {
        made_whole(&files.with_extension("packs"), |folder| {
            for index in 0..self.folders {
                let name = folder_name(index);
                let output = Command::new(shardcast)
                    .arg("pack")
                    .arg(files.join(&name))
                    .arg("-o")
                    .arg(folder.join(format!("{name}.pack")))
                    .output()?;
                if !output.status.success() {
                    let words = String::from_utf8_lossy(&output.stderr);
                    return Err(io::Error::other(format!("pack {name}: {}", words.trim())));
                }
            }
            Ok(())
        })
    }

    /// Paths of all files, as a server of the folder sees them.
    pub fn paths(&self) -> impl Iterator<Item = String> + use<> {
        let files = self.files_per_folder;
        (0..self.folders).flat_map(move |folder| {
            (0..files).map(move |file| format!("/{}/{}", folder_name(folder), file_name(file)))
        })
    }
}

/// Gives every file below `folder` back to the disk, so that the page cache holds nothing of those
/// larger than a page. What was just written would else lie on larger folios (ext4 since Linux
/// 6.16) than what a server finds after a restart, which is read back.
pub fn forget_all(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            forget_all(&entry.path())?;
        } else if entry.metadata()?.len() > PAGE_SIZE {
            let file = fs::File::open(entry.path())?;
            file.sync_data()?;
            cache::forget(&file)?;
        }
    }
    Ok(())
}

/// Reads every file below `folder`, so that the page cache holds what fits; returns the bytes.
pub fn read_all(folder: &Path) -> io::Result<u64> {
    let mut sum = 0;
    let mut buffer = vec![0; MIB];
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sum += read_all(&entry.path())?;
            continue;
        }
        let mut file = fs::File::open(entry.path())?;
        loop {
            match file.read(&mut buffer)? {
                0 => break,
                size => sum += size as u64,
            }
        }
    }
    Ok(sum)
}

fn folder_name(index: usize) -> String {
    format!("d{index:04}")
}

fn file_name(index: usize) -> String {
    format!("f{index:03}.bin")
}

/// Makes a folder under another name and renames it when it is whole, so that a run that was
/// broken off leaves nothing that the next one would take for a workload.
fn made_whole(folder: &Path, make: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<PathBuf> {
    if !folder.exists() {
        let mut partial = folder.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        match fs::remove_dir_all(&partial) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::create_dir_all(&partial)?;
        make(&partial)?;
        fs::rename(&partial, folder)?;
    }
    folder.canonicalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sets_are_as_large_as_their_names_say() {
        for workload in WORKLOADS {
            let size = workload.folders * workload.files_per_folder * workload.file_size;
            if workload.name.starts_with("set-2g") {
                assert_eq!(size, 2048 * MIB, "{}", workload.name);
            }
        }
        let million = named("million").expect("it is listed");
        assert_eq!(million.folders * million.files_per_folder, 1_000_000);
        assert!(named("huge").expect_err("not listed").contains("one-2k"));
    }

    #[test]
    fn files_are_made_once_and_always_the_same() {
        let scratch = std::env::temp_dir().join(format!("workload-{}", std::process::id()));
        let tiny = named("tiny").expect("it is listed");
        let files = tiny.files(&scratch).expect("the folder is ours");
        let path = files.join("d0001/f001.bin");
        let first = fs::read(&path).expect("it was made");
        assert_eq!(tiny.paths().last().as_deref(), Some("/d0001/f001.bin"));
        forget_all(&files).expect("all can be given back");
        assert_eq!(read_all(&files).expect("all are readable"), 4 * 2048);
        tiny.unmake(&scratch).expect("the folder is ours");
        assert!(!files.exists());
        tiny.files(&scratch).expect("the folder is ours");
        assert_eq!(fs::read(&path).expect("it was made again"), first);
        fs::remove_dir_all(&scratch).expect("the folder is ours");
    }
}
