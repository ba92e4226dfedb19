//! The part of a record that covers a stretch, and what can be said of it without copying it.
//!
//! A record may hold hundreds of thousands of segments and is locked while it is read, so that part
//! is found by halving, and copied: nothing else is looked at.

use std::ops::Range;

use super::address::{Stretch, Text};
use crate::config::{CATCH_UP_SEGMENTS_MAX, CATCH_UP_SETTLED_SECONDS, REWIND_SECONDS};
use crate::live::channel::Container;
use crate::live::record::{Kept, Record, Recorded};

/// How what is written of a stretch goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Nothing is added any more.
    Complete,
    /// It grows at its end, until the stretch is over.
    Growing,
    /// It grows at its end, and what is old leaves it.
    Sliding,
}

/// What a text depends on: while this is the same, so is the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Basis {
    /// How it goes on.
    pub form: Form,
    /// Numbers of the first and the last segment, of each rendition that the text is about.
    pub segments: Vec<(i64, i64)>,
}

/// What covers a stretch.
#[derive(Clone, Debug)]
pub struct Excerpt {
    /// How it goes on.
    pub form: Form,
    /// Those renditions of which there is something, each with the covering segments alone.
    pub renditions: Vec<Recorded>,
}

impl Excerpt {
    /// What of it DASH can have: transport streams are left out.
    ///
    /// # Errors
    ///
    /// `Nothing`.
    pub fn of_dash(mut self) -> Result<Self, Unwritten> {
        for one in &mut self.renditions {
            one.segments.retain(|kept| kept.container() == Container::Cmaf);
        }
        self.renditions.retain(|one| !one.segments.is_empty());
        self.if_any()
    }

    /// This, if anything of it can be played.
    fn if_any(self) -> Result<Self, Unwritten> {
        let mut all = self.renditions.iter().flat_map(|one| &one.segments);
        if all.any(|kept| !kept.is_gap()) { Ok(self) } else { Err(Unwritten::Nothing) }
    }
}

/// Why nothing is written of a stretch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unwritten {
    /// Nothing of it is there to be played.
    Nothing,
    /// It has more than `CATCH_UP_SEGMENTS_MAX`.
    TooMuch,
}

const REWIND_MICROS: i64 = REWIND_SECONDS as i64 * 1_000_000;
const SETTLED_MICROS: i64 = CATCH_UP_SETTLED_SECONDS as i64 * 1_000_000;

/// The segments from the one that covers the start through the one that covers the end.
fn covering(segments: &[Kept], stretch: Stretch) -> Range<usize> {
    let Some(last) = segments.last() else { return 0..0 };
    let (from, until) = match stretch {
        Stretch::Between { from, until } => (from, until),
        Stretch::Rewind => (last.unix_micros().1.saturating_sub(REWIND_MICROS), i64::MAX),
    };
    let begun = segments.partition_point(|kept| kept.unix_micros().0 <= from);
    // The last that has begun by then covers the start, unless it has ended, too.
    let covers = begun.checked_sub(1).filter(|&at| segments[at].unix_micros().1 > from);
    let first = covers.unwrap_or(begun);
    let end = segments.partition_point(|kept| kept.unix_micros().0 < until);
    first.min(end)..end
}

/// How a stretch goes on. It is complete when all renditions have come to its end, or when it is
/// over since so long that nothing comes any more.
#[must_use]
pub fn form(record: &Record, stretch: Stretch, now_micros: i64) -> Form {
    let Stretch::Between { from, until } = stretch else { return Form::Sliding };
    if now_micros >= until.saturating_add(SETTLED_MICROS) {
        return Form::Complete;
    }
    let newest = record.renditions.iter().filter_map(|one| one.segments.last());
    let ends = newest.map(|kept| kept.unix_micros().1);
    // One that has ended before is not waited for.
    let mut ends = ends.filter(|end| *end > from).peekable();
    let is_complete = ends.peek().is_some() && ends.all(|end| end >= until);
    if is_complete { Form::Complete } else { Form::Growing }
}

/// What a text of a stretch depends on.
#[must_use]
pub fn basis(record: &Record, stretch: Stretch, text: Text<'_>, now_micros: i64) -> Basis {
    let is_about = |one: &&Recorded| match text {
        Text::Media(rendition) => one.name == rendition,
        Text::Multivariant | Text::Manifest | Text::Stream | Text::StreamOf(_) => true,
    };
    let numbers = |one: &Recorded| {
        let covering = &one.segments[covering(&one.segments, stretch)];
        Some((covering.first()?.number, covering.last()?.number))
    };
    let segments = record.renditions.iter().filter(is_about).filter_map(numbers).collect();
    Basis { form: form(record, stretch, now_micros), segments }
}

/// What covers a stretch.
///
/// # Errors
///
/// See [`Unwritten`].
pub fn excerpt(record: &Record, stretch: Stretch, now_micros: i64) -> Result<Excerpt, Unwritten> {
    let all = record.renditions.iter().map(|one| (one, covering(&one.segments, stretch)));
    let all: Vec<_> = all.filter(|(_, covering)| !covering.is_empty()).collect();
    if all.iter().map(|(_, covering)| covering.len()).sum::<usize>() > CATCH_UP_SEGMENTS_MAX {
        return Err(Unwritten::TooMuch);
    }
    let cover = |(one, covering): (&Recorded, Range<usize>)| Recorded {
        name: one.name.clone(),
        about: one.about.clone(),
        lengths: one.lengths,
        headers: one.headers.clone(),
        segments: one.segments[covering].to_vec(),
    };
    let renditions = all.into_iter().map(cover).collect();
    Excerpt { form: form(record, stretch, now_micros), renditions }.if_any()
}
