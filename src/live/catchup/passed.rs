//! What is remembered of a window that slides, so that its numbers go on when things leave it.
//!
//! It is also written down, as a small file of lines, so that they go on over a restart:
//!
//! ```text
//! shardcast rewind 1
//! gone 3
//! boundary 1795651200123456
//! skipped video 4711 12
//! end
//! ```
//!
//! How many discontinuities have left the window before the first boundary; the dates of
//! discontinuities, in microseconds of Unix time; and what a rendition's numbers have left out so
//! far, behind up to which number that was counted. A text without its last line, or with one that
//! is not understood, is none.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::live::record::Recorded;
use crate::live::remembered::{self, LAST};

const FIRST: &str = "shardcast rewind 1";

/// What is remembered of a window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// Dates of discontinuities, from the last that has left the window.
    boundaries: Vec<i64>,
    /// How many there were before those.
    gone: u64,
    /// By rendition, what its numbers have left out so far, and up to which number.
    skipped: BTreeMap<String, (i64, i64)>,
}

impl Passed {
    /// The window has come so far, with discontinuities at these dates: what has left it is
    /// counted, and dates stay what they were said to be first, from which they may be so far.
    /// Gives how many discontinuities lie before it.
    pub(super) fn slide(&mut self, dates: &mut [i64], near: u64) -> u64 {
        let mut first = None;
        let mut next = 0;
        for date in dates {
            let rest = self.boundaries[next..].iter();
            let known = rest.clone().position(|known| known.abs_diff(*date) <= near);
            let at = next + known.unwrap_or_else(|| rest.take_while(|known| *known < date).count());
            if known.is_none() {
                self.boundaries.insert(at, *date);
            }
            *date = self.boundaries[at];
            first.get_or_insert(at);
            next = at + 1;
        }
        let first = first.unwrap_or(self.boundaries.len());
        // Only the last that has left still says when a timeline began.
        let forgotten = first.saturating_sub(1);
        self.boundaries.drain(..forgotten);
        self.gone = self.gone.saturating_add(forgotten as u64);
        self.gone.saturating_add((first - forgotten) as u64)
    }

    /// The date of the last discontinuity of so many that lie before the window.
    pub(super) fn newest_gone(&self, timelines_gone: u64) -> Option<i64> {
        (timelines_gone > self.gone).then(|| self.boundaries.first().copied()).flatten()
    }

    /// What a rendition's numbers have left out before its first segment.
    pub(super) fn skipped_before_window(&mut self, of: &Recorded) -> i64 {
        let first = of.segments.first().map_or(0, |kept| kept.number);
        let (seen, total) = self.skipped.entry(of.name.clone()).or_insert((first, 0));
        let mut in_window = 0;
        for pair in of.segments.windows(2) {
            let jump = pair[1].number.saturating_sub(pair[0].number).saturating_sub(1);
            in_window += jump;
            if pair[1].number > *seen {
                *total = total.saturating_add(jump);
                *seen = pair[1].number;
            }
        }
        total.saturating_sub(in_window)
    }

    /// As text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!("{FIRST}\ngone {}\n", self.gone);
        let mut put = |line: std::fmt::Arguments<'_>| {
            writeln!(text, "{line}").expect("a string takes everything");
        };
        self.boundaries.iter().for_each(|date| put(format_args!("boundary {date}")));
        for (rendition, (seen, total)) in &self.skipped {
            put(format_args!("skipped {rendition} {seen} {total}"));
        }
        put(format_args!("{LAST}"));
        text
    }

    /// Of such a text, if it is one.
    #[must_use]
    pub fn of_text(text: &str) -> Option<Self> {
        let mut passed = Self::default();
        remembered::read(text, FIRST, |words| {
            match *words {
                ["gone", count] => passed.gone = count.parse().ok()?,
                ["boundary", date] => passed.boundaries.push(date.parse().ok()?),
                ["skipped", rendition, seen, total] => {
                    let counted = (seen.parse().ok()?, total.parse().ok()?);
                    passed.skipped.insert(rendition.to_owned(), counted);
                }
                _ => return None,
            }
            Some(())
        })?;
        Some(passed)
    }
}
