//! Up to which number each rendition of a channel has begun segments: what came of a number once
//! is never published under it again, whatever an encoder sends after a restart.
//!
//! Two small files of lines, like a channel's memory:
//!
//! ```text
//! shardcast marks 1
//! boot 5c9f0e2b-7a1d-4c3e-8f60-718293a4b5c6
//! number video 897825601
//! end
//! ```
//!
//! One is written with every segment and left to the page cache, which outlasts the process. It
//! holds as long as the machine runs (`boot_id`). The other one is synced, once in `AHEAD`
//! segments, and is that much ahead: after a power cut it is what is known.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::{fs, process};

use crate::library::disk::{RealDisk, folder_of};
use crate::library::hours::make_folder;
use crate::library::{DiskError, state};
use crate::live::remembered::{self, LAST};

const FIRST: &str = "shardcast marks 1";

/// Largest such file that is read, in bytes.
const SIZE_MAX: usize = 64 * 1024;

/// How far ahead of what has begun the synced numbers are, in segments. Each write of them is a
/// sync of the disk; after a power cut as many segments are not published.
const AHEAD: i64 = 16;

/// So long before they are reached they are written again.
const EARLY: i64 = 4;

/// By rendition, up to which number segments have begun.
pub type Numbers = BTreeMap<String, i64>;

/// A channel's marks.
#[derive(Debug, Default)]
pub struct Marks {
    begun: Numbers,
    ahead: Numbers,
}

impl Marks {
    /// What was begun of a channel before this run, as far as that is known.
    ///
    /// # Errors
    ///
    /// A file can't be read, or is not understood.
    pub fn before(state: &Path, id: &str) -> Result<Numbers, DiskError> {
        let read = |path: PathBuf| state::load(&RealDisk, &path, SIZE_MAX, read);
        let of_now = |read: &Read| read.boot == boot_id();
        let exact = read(begun_path(state, id)).ok().filter(of_now);
        match exact {
            Some(exact) => Ok(exact.numbers),
            None => read(ahead_path(state, id)).map(|read| read.numbers),
        }
    }

    /// A segment of a rendition has begun.
    ///
    /// # Errors
    ///
    /// The disk refuses. What was written before stays.
    pub fn begin(&mut self, of: (&Path, &str), rendition: &str, number: i64) -> io::Result<()> {
        let (state, id) = of;
        self.begun.insert(rendition.to_owned(), number);
        write(&begun_path(state, id), &text(&self.begun))?;
        let ahead = self.ahead.get(rendition).copied().unwrap_or(i64::MIN);
        if number < ahead.saturating_sub(EARLY) {
            return Ok(());
        }
        // All of a channel's renditions at once: they come at the same time.
        self.ahead = self.begun.clone();
        self.ahead.values_mut().for_each(|number| *number = number.saturating_add(AHEAD));
        let path = ahead_path(state, id);
        make_folder(folder_of(&path)).map_err(io::Error::other)?;
        state::store(&RealDisk, &path, &text(&self.ahead)).map_err(io::Error::other)
    }
}

/// Puts a text in place of what was there, without waiting for the disk.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let folder = folder_of(path);
    let unfinished = folder.join(format!(".{}.{}", process::id(), "part"));
    if !folder.is_dir() {
        fs::create_dir_all(folder)?;
    }
    fs::write(&unfinished, text)?;
    fs::rename(&unfinished, path)
}

fn begun_path(state: &Path, id: &str) -> PathBuf {
    state.join("begun").join(id)
}

fn ahead_path(state: &Path, id: &str) -> PathBuf {
    state.join("begun-ahead").join(id)
}

/// What tells one start of the machine from another; empty where nobody says.
fn boot_id() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}

/// What a file says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Read {
    boot: String,
    numbers: Numbers,
}

fn text(numbers: &Numbers) -> String {
    let mut text = format!("{FIRST}\nboot {}\n", boot_id());
    for (rendition, number) in numbers {
        writeln!(text, "number {rendition} {number}").expect("a string takes everything");
    }
    text.push_str(LAST);
    text.push('\n');
    text
}

fn read(text: &str) -> Option<Read> {
    let mut read = Read::default();
    remembered::read(text, FIRST, |words| {
        match *words {
            ["boot", id] => read.boot = id.to_owned(),
            ["number", rendition, number] => {
                read.numbers.insert(rendition.to_owned(), number.parse().ok()?);
            }
            _ => return None,
        }
        Some(())
    })?;
    Some(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(video: i64, sound: i64) -> Numbers {
        [("video", video), ("sound", sound)].map(|(name, number)| (name.to_owned(), number)).into()
    }

    #[test]
    fn while_the_machine_runs_they_are_exact_and_after_a_power_cut_ahead() {
        let state = tempfile::tempdir().unwrap();
        let (state, id) = (state.path(), "news");
        assert_eq!(Marks::before(state, id).unwrap(), Numbers::new());
        let mut marks = Marks::default();
        for number in 100..=113 {
            marks.begin((state, id), "video", number).unwrap();
            marks.begin((state, id), "sound", number - 1).unwrap();
            assert_eq!(Marks::before(state, id).unwrap(), numbers(number, number - 1));
        }
        // What was not synced is gone.
        let begun = begun_path(state, id);
        let of_another = fs::read_to_string(&begun).unwrap().replace(&boot_id(), "other");
        for lost in [Some(of_another), Some(String::new()), None] {
            match lost {
                Some(text) => fs::write(&begun, text).unwrap(),
                None => fs::remove_file(&begun).unwrap(),
            }
            let known = Marks::before(state, id).unwrap();
            assert!(known["video"] >= 113 && known["sound"] >= 112, "{known:?}");
            assert!(known["video"] <= 113 + AHEAD, "{known:?}");
        }
    }

    #[test]
    fn a_text_says_the_same_and_what_is_cut_off_says_nothing() {
        let text = text(&numbers(7, -1));
        assert_eq!(read(&text).unwrap().numbers, numbers(7, -1));
        for size in 0..text.len() - 1 {
            assert_eq!(read(&text[..size]), None, "{size}");
        }
    }
}
