//! Renditions of an excerpt, matched with each other: what playlists and manifests are written of.
//!
//! A rendition's discontinuities are where its media does not go on. Players count them in each
//! rendition and match them by their numbers, so all renditions get the same ones here: where one
//! has a discontinuity, the others have it at the same date. What is missing is filled with gaps,
//! so that numbers have no holes; where that can't be, there is a discontinuity.

use super::excerpt::Excerpt;
use super::passed::Passed;
use crate::live::record::{Kept, Recorded};
use crate::live::timeline::GAPS_MAX;

/// A rendition of an excerpt.
#[derive(Clone, Debug)]
pub struct Track {
    /// What it is, with its segments and gaps.
    pub of: Recorded,
    /// Where each timeline but the first begins, as indexes of segments. One that has nothing here
    /// begins where the next one does.
    pub cuts: Vec<usize>,
    /// The media sequence number of the first segment.
    pub media_sequence: i64,
    /// The discontinuity sequence number of the first segment.
    pub discontinuity_sequence: u64,
}

/// An excerpt that can be written.
#[derive(Clone, Debug)]
pub struct Tracks {
    /// Its renditions.
    pub tracks: Vec<Track>,
    /// Discontinuities before the first timeline.
    pub timelines_gone: u64,
    /// Dates at which timelines begin, in microseconds of Unix time; none for a first one of which
    /// the beginning is not known.
    pub starts: Vec<Option<i64>>,
}

impl Tracks {
    /// Of an excerpt; `passed` is what is remembered of a window that slides, else nothing.
    #[must_use]
    pub fn new(excerpt: Excerpt, passed: &mut Passed) -> Self {
        let mut renditions = excerpt.renditions;
        for one in &mut renditions {
            one.segments = filled(one);
        }
        let mut boundaries = Boundaries::of(&renditions);
        let timelines_gone = passed.slide(&mut boundaries.dates, boundaries.near);
        let dates = boundaries.dates.iter().map(|&date| Some(date));
        let starts = std::iter::once(passed.newest_gone(timelines_gone)).chain(dates).collect();
        let tracks = (0..).zip(renditions).map(|(at, of)| {
            let cuts = boundaries.cuts(at, &of.segments);
            let before = cuts.iter().filter(|&&cut| cut == 0).count() as u64;
            let first = of.segments.first().map_or(0, |kept| kept.number);
            let media_sequence = (first - passed.skipped_before_window(&of)).max(0);
            let discontinuity_sequence = timelines_gone + before;
            Track { of, cuts, media_sequence, discontinuity_sequence }
        });
        Self { tracks: tracks.collect(), timelines_gone, starts }
    }
}

impl Track {
    /// The segments of a timeline, counted from the first of the excerpt.
    #[must_use]
    pub fn timeline(&self, at: usize) -> &[Kept] {
        let cut = |at: usize| self.cuts.get(at).copied().unwrap_or(self.of.segments.len());
        let first = at.checked_sub(1).map_or(0, cut);
        &self.of.segments[first..cut(at)]
    }
}

/// The segments with gaps for those that are missing. Where numbers or headers do not go on and no
/// gaps can be put in, a discontinuity begins.
fn filled(of: &Recorded) -> Vec<Kept> {
    let mut filled: Vec<Kept> = Vec::with_capacity(of.segments.len());
    for kept in &of.segments {
        let mut kept = *kept;
        if let Some(last) = filled.last().copied() {
            kept.discontinuity |= kept.header != last.header
                || kept.origin.zero_micros != last.origin.zero_micros
                || kept.start.timescale != last.start.timescale;
            if !kept.discontinuity && kept.number != last.number.saturating_add(1) {
                match gaps(of, &last, &kept) {
                    Some(gaps) => filled.extend(gaps),
                    None => kept.discontinuity = true,
                }
            }
        }
        filled.push(kept);
    }
    filled
}

/// What is missing between two segments, as gaps of about a segment's length; none if the time
/// between them is not as much as their numbers say.
fn gaps(of: &Recorded, last: &Kept, next: &Kept) -> Option<impl Iterator<Item = Kept> + use<>> {
    let missing = next.number.saturating_sub(last.number).saturating_sub(1);
    let missing = u64::try_from(missing).ok().filter(|missing| *missing <= GAPS_MAX as u64)?;
    let start = last.start.plus(last.duration);
    let time = u64::try_from(next.start.ticks.saturating_sub(start.ticks)).ok()?;
    let one = time.checked_div(missing)?;
    let nominal = of.lengths.segment.ticks_of(start.timescale);
    if one == 0 || one < nominal / 2 || one > nominal.saturating_add(nominal / 2) {
        return None;
    }
    let last = *last;
    Some((0..missing).map(move |at| Kept {
        number: last.number + 1 + i64::try_from(at).unwrap_or(0),
        start: start.plus(at * one),
        // What does not divide is the last one's.
        duration: if at + 1 == missing { time - at * one } else { one },
        size: 0,
        discontinuity: false,
        ..last
    }))
}

/// Discontinuities of all renditions together.
struct Boundaries {
    /// When each is, in microseconds of Unix time.
    dates: Vec<i64>,
    /// By rendition, its own: which of all, and with which segment.
    own: Vec<Vec<(usize, usize)>>,
    /// How far apart one of them may be in two renditions, in microseconds.
    near: u64,
}

impl Boundaries {
    fn of(renditions: &[Recorded]) -> Self {
        let mut all = Vec::new();
        for (at, one) in renditions.iter().enumerate() {
            let segments = one.segments.iter().enumerate().skip(1);
            let own = segments.filter(|(_, kept)| kept.discontinuity);
            all.extend(own.map(|(index, kept)| (kept.unix_micros().0, at, index)));
        }
        all.sort_unstable();
        let nominal = renditions.iter().map(|one| one.lengths.segment.micros()).max().unwrap_or(0);
        // Sounds of a new timeline do not begin with the picture, but nearly so.
        let near = nominal / 2;
        let own = vec![Vec::new(); renditions.len()];
        let mut boundaries = Self { dates: Vec::new(), own, near };
        for (date, at, index) in all {
            let newest = boundaries.dates.last().copied();
            let is_near = newest.is_some_and(|newest| date.abs_diff(newest) <= near);
            let number = boundaries.dates.len().wrapping_sub(1);
            let has_it = boundaries.own[at].last().is_some_and(|own| own.0 == number);
            if !is_near || has_it {
                boundaries.dates.push(date);
            }
            boundaries.own[at].push((boundaries.dates.len() - 1, index));
        }
        boundaries
    }

    /// Where a rendition's segments change from one timeline to the next. For a discontinuity that
    /// is not its own that is the first segment of which most lies behind it.
    fn cuts(&self, rendition: usize, segments: &[Kept]) -> Vec<usize> {
        let middle = |kept: &Kept| {
            let (start, end) = kept.unix_micros();
            start.midpoint(end)
        };
        let mut own = self.own[rendition].iter().peekable();
        let mut last = 0;
        let cuts = self.dates.iter().enumerate().map(|(number, &date)| {
            let cut = match own.next_if(|own| own.0 == number) {
                Some(own) => own.1,
                None => segments.partition_point(|kept| middle(kept) < date),
            };
            last = cut.max(last);
            last
        });
        cuts.collect()
    }
}
