//! What a channel remembers over a restart beside its archive: a small file of lines.
//!
//! ```text
//! shardcast channel 1
//! lengths 2000/1000 500/1000
//! zero 1795651200123456
//! stretch 3 1795651200123456
//! given 600/1000
//! longer 4000/1000 512/1000
//! number video 4711
//! media video 1795651200123456 5c9f0e2b7a1d4c3e8f60718293a4b5c6
//! end
//! ```
//!
//! Lengths as ticks and ticks a second, of a segment and of a part; of a part, what the config
//! gave; those of the longest ones, if they came to be longer than had been promised; where media
//! that is not on the epoch's time has its zero, in microseconds of Unix time; the newest stretch:
//! its discontinuity sequence number, and the Unix time at which it begins; up to which number a
//! rendition may have published; and what its media was last: its zero, and the tag of its header.
//! A file without its last line, or with one that is not understood, is none.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use crate::library::disk::Disk;
use crate::library::{DiskError, state};
use crate::live::cut::Lengths;
use crate::live::playlist::name::Longer;
use crate::live::remembered::{self, LAST};
use crate::live::stretches::Stretch;
use crate::live::time::Length;
use crate::units::ETag;

const FIRST: &str = "shardcast channel 1";

/// Largest such file that is read, in bytes: 64 renditions have a few kilobytes.
const SIZE_MAX: usize = 64 * 1024;

/// What is remembered of a channel.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// Its lengths, once they were settled.
    pub lengths: Option<Lengths>,
    /// Of parts, what the config said then.
    pub given_part: Option<Length>,
    /// What came to be longer than they are.
    pub longer: Option<Longer>,
    /// Zeros of media, the newest last.
    pub zeros: Vec<i64>,
    /// The newest stretch, once one was begun.
    pub stretch: Option<Stretch>,
    /// By rendition, up to which number segments may have been published.
    pub numbers: BTreeMap<String, i64>,
    /// By rendition, what its media was last.
    pub media: BTreeMap<String, Media>,
}

/// What the media of a rendition was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Media {
    /// The Unix time of its zero, in microseconds: 0 for media on the epoch's own time.
    pub zero_micros: i64,
    /// Of its header.
    pub tag: ETag,
}

impl Memory {
    fn text(&self) -> String {
        let mut text = format!("{FIRST}\n");
        let mut put = |line: std::fmt::Arguments<'_>| {
            writeln!(text, "{line}").expect("a string takes everything");
        };
        let lengths = self.lengths.map(|lengths| ("lengths", lengths.segment, lengths.part));
        let longer = self.longer.map(|longer| ("longer", longer.segment, longer.part));
        for (word, segment, part) in lengths.into_iter().chain(longer) {
            let (segment, part) = (segment.ticks(), part.ticks());
            put(format_args!("{word} {}/{} {}/{}", segment.0, segment.1, part.0, part.1));
        }
        if let Some((ticks, timescale)) = self.given_part.map(Length::ticks) {
            put(format_args!("given {ticks}/{timescale}"));
        }
        for zero in &self.zeros {
            put(format_args!("zero {zero}"));
        }
        if let Some(Stretch { sequence, start_micros }) = self.stretch {
            put(format_args!("stretch {sequence} {start_micros}"));
        }
        for (rendition, number) in &self.numbers {
            put(format_args!("number {rendition} {number}"));
        }
        for (rendition, Media { zero_micros, tag }) in &self.media {
            let tag = u128::from_be_bytes(tag.0);
            put(format_args!("media {rendition} {zero_micros} {tag:032x}"));
        }
        put(format_args!("{LAST}"));
        text
    }

    fn of_text(text: &str) -> Option<Self> {
        let mut memory = Self::default();
        remembered::read(text, FIRST, |words| {
            match *words {
                ["lengths", segment, part] => {
                    let (segment, part) = (length(segment)?, length(part)?);
                    memory.lengths = Some(Lengths { segment, part });
                }
                ["longer", segment, part] => {
                    let (segment, part) = (length(segment)?, length(part)?);
                    memory.longer = Some(Longer { segment, part });
                }
                ["given", part] => memory.given_part = Some(length(part)?),
                ["zero", zero] => memory.zeros.push(zero.parse().ok()?),
                ["number", rendition, number] => {
                    memory.numbers.insert(rendition.to_owned(), number.parse().ok()?);
                }
                ["stretch", sequence, start] => {
                    let (sequence, start_micros) = (sequence.parse().ok()?, start.parse().ok()?);
                    memory.stretch = Some(Stretch { sequence, start_micros });
                }
                ["media", rendition, zero, tag] => {
                    let tag = u128::from_str_radix(tag, 16).ok()?;
                    let (zero_micros, tag) = (zero.parse().ok()?, ETag(tag.to_be_bytes()));
                    memory.media.insert(rendition.to_owned(), Media { zero_micros, tag });
                }
                _ => return None,
            }
            Some(())
        })?;
        Some(memory)
    }

    /// What is remembered at this path; nothing, if there is no such file.
    ///
    /// # Errors
    /// If it can't be read, or is not understood.
    pub fn load<D: Disk>(disk: &D, path: &Path) -> Result<Self, DiskError> {
        state::load(disk, path, SIZE_MAX, Self::of_text)
    }

    /// Writes it, in place of what was there.
    ///
    /// # Errors
    /// If the disk refuses. What was there stays.
    pub fn store<D: Disk>(&self, disk: &D, path: &Path) -> Result<(), DiskError> {
        state::store(disk, path, &self.text())
    }
}

fn length(text: &str) -> Option<Length> {
    let (ticks, timescale) = text.split_once('/')?;
    Length::new(ticks.parse().ok()?, timescale.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::library::tests::sim_disk::{Flaw, Random, SimDisk};

    fn memory(number: i64) -> Memory {
        let lengths = Lengths {
            segment: Length::new(180_180, 90_000).unwrap(),
            part: Length::of_millis(500),
        };
        let longer = Longer { segment: lengths.segment, part: lengths.part };
        let numbers = [("video", number), ("audio-2", 7)];
        Memory {
            lengths: Some(lengths),
            given_part: Some(Length::of_millis(600)),
            longer: Some(Longer { segment: Length::of_millis(4000), ..longer }),
            zeros: vec![1_795_651_200_123_456, -5],
            stretch: Some(Stretch { sequence: 7, start_micros: -3 }),
            numbers: numbers.map(|(name, number)| (name.to_owned(), number)).into(),
            media: [("video".to_owned(), Media { zero_micros: -5, tag: ETag([9; 16]) })].into(),
        }
    }

    #[test]
    fn text_says_the_same_and_what_is_cut_off_says_nothing() {
        let text = memory(4711).text();
        let shown = |memory: &Memory| format!("{memory:?}");
        assert_eq!(shown(&Memory::of_text(&text).unwrap()), shown(&memory(4711)));
        for size in 0..text.len() - 1 {
            assert!(Memory::of_text(&text[..size]).is_none(), "{size}");
        }
        // As it was before there was more to remember.
        let old = "shardcast channel 1\nlengths 2/1 1/2\nzero 5\nnumber v 7\nend\n";
        let old = Memory::of_text(old).unwrap();
        assert!(old.stretch.is_none() && old.media.is_empty() && old.numbers["v"] == 7);
        for wrong in ["", "shardcast channel 2\nend\n", "shardcast channel 1\nlengths 0/1 1/1\nend"]
        {
            assert!(Memory::of_text(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn after_a_power_cut_the_old_one_is_there_or_the_new_one() {
        let path = Path::new("/simulated/news");
        for cut in 0..24 {
            for seed in 0..8 {
                let disk = SimDisk::new(cut, Flaw::None);
                let stored: Vec<_> =
                    (1..4).take_while(|at| memory(*at).store(&disk, path).is_ok()).collect();
                let after = disk.after_power_cut(&mut Random::new(seed));
                let found = Memory::load(&after, path).unwrap();
                let number = found.numbers.get("video").copied().unwrap_or(0);
                let least = stored.last().copied().unwrap_or(0);
                assert!((least..=least + 1).contains(&number), "cut {cut}, seed {seed}");
            }
        }
    }
}
