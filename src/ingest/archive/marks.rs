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
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
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

/// Where the live thread says what has begun. However long the disk takes, no more waits here than
/// a number a rendition.
#[derive(Debug, Default)]
pub struct Begun {
    numbers: Mutex<Numbers>,
    /// Somebody was told that there is something to write.
    is_told: AtomicBool,
}

impl Begun {
    /// A segment has begun. Whether whoever writes has to be told.
    pub fn put(&self, rendition: &str, number: i64) -> bool {
        let mut numbers = self.locked();
        match numbers.get_mut(rendition) {
            Some(known) => *known = number,
            None => drop(numbers.insert(rendition.to_owned(), number)),
        }
        !self.is_told.swap(true, Ordering::Relaxed)
    }

    /// What has begun until now. Whatever begins from here on is told of anew.
    fn take(&self) -> Numbers {
        let numbers = self.locked();
        self.is_told.store(false, Ordering::Relaxed);
        numbers.clone()
    }

    fn locked(&self) -> MutexGuard<'_, Numbers> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A channel's marks.
#[derive(Debug, Default)]
pub struct Marks {
    begun: Numbers,
    ahead: Numbers,
    /// The disk refused them last.
    is_refused: bool,
}

impl Marks {
    /// Of a channel of which these had begun before this run.
    #[must_use]
    pub fn new(before: Numbers) -> Self {
        Self { begun: before, ..Self::default() }
    }

    /// What was begun of a channel before this run, as far as that is known.
    ///
    /// # Errors
    ///
    /// A file can't be read, or is not understood.
    pub fn before(state: &Path, id: &str) -> Result<Numbers, DiskError> {
        let read = |path: PathBuf| state::load(&RealDisk, &path, SIZE_MAX, read);
        let of_now = |read: &Read| read.boot == *BOOT_ID;
        let exact = read(begun_path(state, id)).ok().filter(of_now);
        match exact {
            Some(exact) => Ok(exact.numbers),
            None => read(ahead_path(state, id)).map(|read| read.numbers),
        }
    }

    /// Writes down what has begun. An error that the disk gave before, too, is not given again.
    ///
    /// # Errors
    ///
    /// The disk refuses. What was written before stays.
    pub fn write(&mut self, of: (&Path, &str), begun: &Begun) -> io::Result<()> {
        self.begun.extend(begun.take());
        let written = self.written(of);
        let was_refused = std::mem::replace(&mut self.is_refused, written.is_err());
        if was_refused { Ok(()) } else { written }
    }

    /// The server ends, and nothing more begins: what is known after the machine has been started
    /// again is exact, too.
    ///
    /// # Errors
    ///
    /// The disk refuses. What was written before stays.
    pub fn end(&mut self, (state, id): (&Path, &str), begun: &Begun) -> io::Result<()> {
        self.begun.extend(begun.take());
        if self.begun.is_empty() {
            return Ok(());
        }
        store_ahead((state, id), &self.begun)
    }

    fn written(&mut self, (state, id): (&Path, &str)) -> io::Result<()> {
        write(&begun_path(state, id), &text(&self.begun))?;
        let is_near = |(rendition, number): (&String, &i64)| {
            self.ahead.get(rendition).is_none_or(|ahead| *number >= ahead.saturating_sub(EARLY))
        };
        if !self.begun.iter().any(is_near) {
            return Ok(());
        }
        let ahead = |(rendition, number): (&String, &i64)| {
            (rendition.clone(), number.saturating_add(AHEAD))
        };
        let ahead = self.begun.iter().map(ahead).collect();
        store_ahead((state, id), &ahead)?;
        self.ahead = ahead;
        Ok(())
    }
}

/// Writes what is known after a power cut, and waits until it is on the disk.
fn store_ahead((state, id): (&Path, &str), numbers: &Numbers) -> io::Result<()> {
    let path = ahead_path(state, id);
    make_folder(folder_of(&path))
        .and_then(|()| state::store(&RealDisk, &path, &text(numbers)))
        .map_err(io::Error::other)
}

/// Puts a text in place of what was there, without waiting for the disk.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let folder = folder_of(path);
    // Threads write those of different channels at once.
    let id = path.file_name().unwrap_or_default().to_string_lossy();
    let unfinished = folder.join(format!(".{id}.{}.part", process::id()));
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
static BOOT_ID: LazyLock<String> = LazyLock::new(|| {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
});

/// What a file says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Read {
    boot: String,
    numbers: Numbers,
}

fn text(numbers: &Numbers) -> String {
    let mut text = format!("{FIRST}\nboot {}\n", *BOOT_ID);
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
        // What had begun before and has not begun again stays.
        let mut marks = Marks::new([("text".to_owned(), 7)].into());
        let begun = Begun::default();
        for number in 100..=113 {
            assert!(begun.put("video", number));
            assert!(!begun.put("sound", number - 1), "it was told already");
            marks.write((state, id), &begun).unwrap();
            let mut expected = numbers(number, number - 1);
            expected.insert("text".to_owned(), 7);
            assert_eq!(Marks::before(state, id).unwrap(), expected);
        }
        // What was not synced is gone.
        let begun = begun_path(state, id);
        let of_another = fs::read_to_string(&begun).unwrap().replace(&*BOOT_ID, "other");
        for lost in [Some(of_another), Some(String::new()), None] {
            match lost {
                Some(text) => fs::write(&begun, text).unwrap(),
                None => fs::remove_file(&begun).unwrap(),
            }
            let known = Marks::before(state, id).unwrap();
            assert!(known["video"] >= 113 && known["sound"] >= 112, "{known:?}");
            assert!(known["video"] <= 113 + AHEAD, "{known:?}");
            assert!(known["text"] >= 7, "{known:?}");
        }
    }

    #[test]
    fn after_an_end_they_are_exact_wherever_it_goes_on() {
        let state = tempfile::tempdir().unwrap();
        let (mut marks, begun) = (Marks::default(), Begun::default());
        begun.put("video", 7);
        marks.write((state.path(), "news"), &begun).unwrap();
        begun.put("video", 8);
        marks.end((state.path(), "news"), &begun).unwrap();
        fs::remove_file(begun_path(state.path(), "news")).unwrap();
        assert_eq!(Marks::before(state.path(), "news").unwrap()["video"], 8);
    }

    #[test]
    fn a_disk_that_refuses_is_told_of_once() {
        let state = tempfile::tempdir().unwrap();
        fs::write(state.path().join("begun"), "in the way").unwrap();
        let (mut marks, begun) = (Marks::default(), Begun::default());
        let mut write = |number| {
            begun.put("video", number);
            marks.write((state.path(), "news"), &begun).is_ok()
        };
        assert_eq!([write(1), write(2)], [false, true]);
        fs::remove_file(state.path().join("begun")).unwrap();
        assert!(write(3));
        assert_eq!(Marks::before(state.path(), "news").unwrap()["video"], 3);
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
