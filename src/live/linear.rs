//! A linear channel out of assets: what is on at a moment, from that moment alone.
//!
//! Assets follow each other and begin again, without end, as if they had since 1970; some of them
//! at times of day (`plan`). So numbers, dates and counts of discontinuities need no memory: two
//! servers with the same assets say the same, whenever they were started, and nothing is to be done
//! while nobody asks. A *pass* is one run of one asset; each is a timeline of its own, as long as
//! the asset's first picture, or until another one has its time.
//!
//! Times are nanoseconds of Unix time. Rounding is the same for everybody: each segment's start is
//! counted from its pass, each pass from the loop, each loop from 1970.

pub mod asset;
pub mod hls;
pub mod plan;

use asset::{Asset, Media, Rendition, Unfit};
use plan::{Entry, Plan};

use super::playlist::multivariant;
use super::record::About;

/// Segments that are listed at most, however short they are.
const LISTED_MAX: usize = 4096;

/// Least number of segments that are listed.
const LISTED_MIN: usize = 3;

/// What is on.
#[derive(Debug)]
pub struct Schedule {
    assets: Vec<Asset>,
    /// The channel's renditions: those that all assets have.
    tracks: Vec<Track>,
    /// What is gone through again and again.
    plan: Plan,
    window: u64,
    target_seconds: u64,
}

/// A rendition of the channel.
#[derive(Debug)]
pub struct Track {
    /// Its name.
    pub name: String,
    /// Of the first asset, with the largest bandwidth of all.
    pub about: About,
    /// Which rendition it is of each asset.
    of: Vec<usize>,
    /// Segments before each slot of the loop, and in all of it.
    before: Vec<u64>,
}

/// A pass, as far as one rendition of it is listed.
#[derive(Debug)]
pub struct Pass<'s> {
    /// How many came before it, since 1970: its discontinuity sequence number.
    pub number: u64,
    /// When it begins.
    pub start: u64,
    /// How long it is.
    length: u64,
    /// How many segments it has.
    count: usize,
    /// The asset.
    pub asset: &'s Asset,
    /// The rendition.
    pub rendition: &'s Rendition,
    /// The first segment that is listed, and the one behind the last.
    pub segments: std::ops::Range<usize>,
    /// The media sequence number of the first one.
    pub first_number: u64,
}

impl Schedule {
    /// Assets in the order of this list; `window` is how much of it is listed. Gives the names of
    /// renditions, too, that not all of them have.
    ///
    /// # Errors
    ///
    /// There is nothing that all assets have, one has no length, or the list's times can't be.
    pub fn new(
        mut assets: Vec<Asset>,
        list: &[Entry],
        window: u64,
    ) -> Result<(Self, Vec<String>), Unfit> {
        let Some(first) = list.first().and_then(|entry| assets.get(entry.asset)) else {
            return Err(Unfit("it has no assets".to_owned()));
        };
        let wanted = first.renditions.iter().map(|one| (one.name.clone(), one.header.is_some()));
        let wanted: Vec<_> = wanted.collect();
        let lengths: Vec<u64> = assets.iter_mut().map(cut).collect();
        if let Some(at) = lengths.iter().position(|length| *length == 0) {
            return Err(Unfit(format!("{} has no length", assets[at].path)));
        }
        let mut plan = Plan::new(&lengths, list)?;
        let mut left_out: Vec<String> = Vec::new();
        let mut tracks = Vec::new();
        for (name, has_header) in wanted {
            // Transport streams have no header, and can't follow what has one.
            let is_it = |one: &Rendition| one.name == name && one.header.is_some() == has_header;
            let find = |asset: &Asset| {
                asset.renditions.iter().position(|one| is_it(one) && one.count() > 0)
            };
            let of: Option<Vec<usize>> = assets.iter().map(find).collect();
            match of {
                Some(of) => tracks.push(Track::new(name, of, &assets, list[0].asset)),
                None => left_out.push(name),
            }
        }
        if tracks.is_empty() {
            return Err(Unfit("no rendition is in all of its assets".to_owned()));
        }
        plan.retain(&assets, &tracks.iter().map(|track| &track.of[..]).collect::<Vec<_>>());
        if plan.slots.is_empty() {
            return Err(Unfit("nothing fits between its times".to_owned()));
        }
        tracks.iter_mut().for_each(|track| track.count_before(&plan, &assets));
        let others = assets.iter().flat_map(|asset| &asset.renditions);
        for other in others {
            let is_known = tracks.iter().any(|track| track.name == other.name);
            if !is_known && !left_out.contains(&other.name) {
                left_out.push(other.name.clone());
            }
        }
        let longest = tracks.iter().map(|track| track.longest(&assets)).max().unwrap_or(0);
        let target_seconds = ((longest + 500_000_000) / 1_000_000_000).max(1);
        Ok((Self { assets, tracks, plan, window, target_seconds }, left_out))
    }

    /// The channel's renditions.
    #[must_use]
    pub fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    /// Whether it can have a manifest of DASH: where the time of all media begins is known.
    #[must_use]
    pub fn has_manifest(&self) -> bool {
        let mut all = self.assets.iter().flat_map(|asset| &asset.renditions);
        all.all(|one| matches!(one.media, Media::Template { .. }))
    }

    /// How much is listed.
    #[must_use]
    pub fn window(&self) -> u64 {
        self.window
    }

    /// The longest segment to the nearest second, of all assets: it never changes.
    #[must_use]
    pub fn target_seconds(&self) -> u64 {
        self.target_seconds
    }

    /// The passes of which something is listed at this moment, oldest first. A segment is listed
    /// when it has ended: then an encoder would have made it.
    #[must_use]
    pub fn listed(&self, track: usize, now: u64) -> Vec<Pass<'_>> {
        let mut passes = Vec::new();
        let (mut listed, mut count) = (0, 0);
        let mut number = self.pass_at(now);
        loop {
            let pass = self.pass(track, number, now);
            let rendition = pass.rendition;
            let mut from = pass.segments.end;
            while from > 0 && count < LISTED_MAX && (listed < self.window || count < LISTED_MIN) {
                from -= 1;
                count += 1;
                listed += rendition.nanos_until(rendition.times[from + 1])
                    - rendition.nanos_until(rendition.times[from]);
            }
            let is_last = from > 0 || (listed >= self.window && count >= LISTED_MIN);
            if from < pass.segments.end {
                let first_number = pass.first_number + from as u64;
                let segments = from..pass.segments.end;
                passes.push(Pass { segments, first_number, ..pass });
            }
            match number.checked_sub(1).filter(|_| !is_last && count < LISTED_MAX) {
                Some(before) => number = before,
                None => break,
            }
        }
        passes.reverse();
        passes
    }

    /// When something is listed next of this rendition.
    #[must_use]
    pub fn next_change(&self, track: usize, now: u64) -> u64 {
        let number = self.pass_at(now);
        let pass = self.pass(track, number, now);
        if pass.segments.end < pass.count {
            return pass.start + pass.end_of(pass.segments.end);
        }
        // All of this one is listed; the next one has a first segment.
        let next = self.pass(track, number + 1, now);
        next.start + next.end_of(0)
    }

    /// The number of the pass that is on.
    fn pass_at(&self, now: u64) -> u64 {
        let elapsed = now.saturating_sub(self.plan.zero);
        let (loops, within) = (elapsed / self.plan.length, elapsed % self.plan.length);
        let slots = &self.plan.slots;
        let begun = slots.partition_point(|slot| slot.start <= within);
        // What a loop begins with may have been left out, and then the last one is still on.
        (loops * slots.len() as u64 + begun as u64).saturating_sub(1)
    }

    /// A pass with everything of it that has ended.
    fn pass(&self, track: usize, number: u64, now: u64) -> Pass<'_> {
        let slots = &self.plan.slots;
        let in_loop = slots.len() as u64;
        let (loops, at) = (number / in_loop, usize::try_from(number % in_loop).unwrap_or(0));
        let (track, slot) = (&self.tracks[track], &slots[at]);
        let asset = &self.assets[slot.asset];
        let rendition = &asset.renditions[track.of[slot.asset]];
        let start = self.plan.zero + loops * self.plan.length + slot.start;
        let count = usize::try_from(track.before[at + 1] - track.before[at]).unwrap_or(0);
        let first_number = loops * track.before[slots.len()] + track.before[at];
        let (length, segments) = (slot.length, 0..0);
        let mut pass =
            Pass { number, start, length, count, asset, rendition, segments, first_number };
        if let Some(elapsed) = now.checked_sub(start) {
            let has_ended = |end: &u64| pass.nanos_until(*end) <= elapsed;
            pass.segments.end = rendition.times[1..=count].partition_point(has_ended);
        }
        pass
    }
}

impl Track {
    fn new(name: String, of: Vec<usize>, assets: &[Asset], first: usize) -> Self {
        let renditions: Vec<_> =
            assets.iter().zip(&of).map(|(asset, at)| &asset.renditions[*at]).collect();
        let mut about = renditions[first].about.clone();
        for one in &renditions {
            about.bandwidth.peak = about.bandwidth.peak.max(one.about.bandwidth.peak);
            about.bandwidth.average = about.bandwidth.average.max(one.about.bandwidth.average);
        }
        Self { name, about, of, before: Vec::new() }
    }

    fn count_before(&mut self, plan: &Plan, assets: &[Asset]) {
        let mut all = 0;
        self.before = vec![all];
        for slot in &plan.slots {
            let one = &assets[slot.asset].renditions[self.of[slot.asset]];
            all += plan::count(one, slot.length) as u64;
            self.before.push(all);
        }
    }

    /// What multivariant playlists and manifests say of it.
    #[must_use]
    pub fn described(&self) -> multivariant::Rendition<'_> {
        self.about.described(&self.name)
    }

    /// Its longest segment, of all assets.
    fn longest(&self, assets: &[Asset]) -> u64 {
        let longest = |(asset, at): (&Asset, &usize)| longest(&asset.renditions[*at]);
        assets.iter().zip(&self.of).map(longest).max().unwrap_or(0)
    }
}

impl Pass<'_> {
    /// When a segment begins, in nanoseconds of Unix time.
    #[must_use]
    pub fn start_of(&self, segment: usize) -> u64 {
        self.start + self.rendition.nanos_until(self.rendition.times[segment])
    }

    /// When a segment ends, from the start of the pass.
    fn end_of(&self, segment: usize) -> u64 {
        self.nanos_until(self.rendition.times[segment + 1])
    }

    /// When what ends at this tick ends, from the start of the pass: at the latest with the pass,
    /// so that what belongs to the next one does not come before it.
    fn nanos_until(&self, tick: u64) -> u64 {
        self.rendition.nanos_until(tick).min(self.length)
    }
}

/// Leaves out what lies for the most part behind the end of the asset, such as a sound that is
/// longer than its picture; gives its length.
fn cut(asset: &mut Asset) -> u64 {
    let lead = asset.lead();
    let length = lead.nanos_until(lead.times[lead.count()]);
    for one in &mut asset.renditions {
        one.times.truncate(plan::count(one, length) + 1);
    }
    length
}

fn longest(rendition: &Rendition) -> u64 {
    let length = |two: &[u64]| rendition.nanos_until(two[1]) - rendition.nanos_until(two[0]);
    rendition.times.windows(2).map(length).max().unwrap_or(0)
}

#[cfg(test)]
mod tests;
