//! Texts for viewers who may not have every rendition: a multivariant playlist or a manifest in,
//! the same without what is beyond a cap out, once for each set of renditions that caps can leave.
//!
//! Text in, text out: our own and those of other packagers alike. What counts is what the text says
//! itself: `BANDWIDTH` of a variant, sound included (RFC 8216bis, 4.4.6.2), and `@bandwidth` of a
//! representation (ISO/IEC 23009-1, 5.3.5.2). Sounds and subtitles stay, and so does the lowest of
//! the pictures: a picture that costs too much is better than none.

mod dash;
mod hls;
mod places;

pub use places::{Places, places};

use std::ops::Range;

use crate::config::VARIANT_SETS_MAX;
use crate::units::Class;

/// A text for those whose cap is at least `from_kbps`, and below that of the next one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Narrow {
    /// Kilobits a second.
    pub from_kbps: u32,
    /// What they get.
    pub text: String,
}

/// What is left out for caps below some kilobits a second.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Cut {
    bytes: Range<usize>,
    below: Below,
}

/// For whom something is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Below {
    /// For nobody.
    Never,
    /// For those whose cap is below so many kilobits a second.
    Kbps(u32),
    /// For all who do not get the whole text.
    Whole,
}

impl Below {
    fn is_kept_at(self, cap_kbps: u32) -> bool {
        match self {
            Self::Never => true,
            Self::Kbps(kbps) => kbps <= cap_kbps,
            Self::Whole => false,
        }
    }

    /// Of what is kept with either of them.
    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Never, _) | (_, Self::Never) => Self::Never,
            (Self::Kbps(one), Self::Kbps(other)) => Self::Kbps(one.min(other)),
            (Self::Whole, kept) | (kept, Self::Whole) => kept,
        }
    }
}

/// What is written for caps that do not leave all of it, the lowest first. Nothing if there is
/// nothing to leave out. Who has more than the last of them is for gets the text itself: see
/// `whole_from_kbps`.
#[must_use]
pub fn narrowed(class: Class, text: &str) -> Ladder {
    let cuts = match class {
        Class::Playlist => hls::cuts(text),
        Class::Manifest => dash::cuts(text),
        _ => Vec::new(),
    };
    let kbps = |cut: &Cut| match cut.below {
        Below::Kbps(kbps) => Some(kbps),
        _ => None,
    };
    let mut steps: Vec<u32> = cuts.iter().filter_map(kbps).collect();
    steps.sort_unstable();
    steps.dedup();
    let Some(&whole_from_kbps) = steps.last() else { return Ladder::default() };
    steps.insert(0, 0);
    steps.dedup();
    steps.pop();
    let narrow = |from_kbps| Narrow { from_kbps, text: without(text, &cuts, from_kbps) };
    Ladder { narrow: spread(&steps).map(narrow).collect(), whole_from_kbps }
}

/// What there is of a text beside itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ladder {
    /// The lowest first.
    pub narrow: Vec<Narrow>,
    /// From which cap on the text itself is right.
    pub whole_from_kbps: u32,
}

/// As many of them as there may be sets, from the first to the last.
fn spread(steps: &[u32]) -> impl Iterator<Item = u32> {
    let count = steps.len().min(VARIANT_SETS_MAX);
    let last = steps.len().saturating_sub(1);
    (0..count).map(move |at| steps[at * last / (count - 1).max(1)])
}

/// The text without what is left out for this cap.
fn without(text: &str, cuts: &[Cut], cap_kbps: u32) -> String {
    let mut left = String::with_capacity(text.len());
    let mut at = 0;
    for Cut { bytes, below } in cuts {
        // What lies within something that is left out is gone already.
        if !below.is_kept_at(cap_kbps) && bytes.start >= at {
            left.push_str(&text[at..bytes.start]);
            at = bytes.end;
        }
    }
    left.push_str(&text[at..]);
    left
}

/// Bits a second as kilobits, rounded up: what is within a cap is so to the bit.
#[must_use]
pub fn kbps(bits: u64) -> u32 {
    u32::try_from(bits.div_ceil(1000)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
