//! In which order assets follow each other, and when: a list with times of day in, slots out.
//!
//! Without times the list is gone through again and again. With times it is a day's: an entry with
//! a time begins then, whatever is on, and what stands behind it follows, again and again, until
//! the next time. So every day is the same, and what is on follows from the clock.

use super::asset::{Asset, Rendition, Unfit};

/// A day, in nanoseconds.
pub const DAY: u64 = 86_400 * 1_000_000_000;

/// Slots of one loop: a day of seconds. Beyond it a channel is refused.
const SLOTS_MAX: usize = 86_400;

/// An asset in its place in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Which of the channel's assets it is.
    pub asset: usize,
    /// When it begins, in nanoseconds of a day of UTC; none = when what is before it is over.
    pub at: Option<u64>,
}

/// One run of an asset within the loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Which asset.
    pub asset: usize,
    /// When it begins, from the start of the loop.
    pub start: u64,
    /// How long it is: as the asset, or until something else begins.
    pub length: u64,
}

/// What is gone through again and again.
#[derive(Debug)]
pub struct Plan {
    /// What follows each other.
    pub slots: Vec<Slot>,
    /// How long all of it is.
    pub length: u64,
    /// When the first loop began, in nanoseconds of Unix time.
    pub zero: u64,
}

impl Plan {
    /// What becomes of a list of assets of these lengths.
    ///
    /// # Errors
    ///
    /// Times are not in their order, or there are more slots than can be.
    pub fn new(lengths: &[u64], list: &[Entry]) -> Result<Self, Unfit> {
        let is_timed = |entry: &Entry| entry.at.is_some();
        let Some(first) = list.iter().position(is_timed) else {
            let mut plan = Self { slots: Vec::new(), length: 0, zero: 0 };
            plan.fill(lengths, list.iter().map(|entry| entry.asset), u64::MAX)?;
            return Ok(plan);
        };
        // The day is looked at from the first of the times, so that nothing goes over its end.
        let mut list = list.to_vec();
        list.rotate_left(first);
        let zero = list[0].at.unwrap_or(0);
        let mut plan = Self { slots: Vec::new(), length: 0, zero };
        let starts = list.iter().filter_map(|entry| Some((entry.at? + DAY - zero) % DAY));
        let mut ends: Vec<u64> = starts.skip(1).collect();
        ends.push(DAY);
        let blocks = list.chunk_by(|_, next| !is_timed(next));
        for (block, end) in blocks.zip(ends) {
            if end <= plan.length {
                return Err(Unfit("its times are not in the order of a day".to_owned()));
            }
            let begins = std::iter::once(&block[0]);
            let follow = if block.len() > 1 { &block[1..] } else { block };
            let assets = begins.chain(follow.iter().cycle()).map(|entry| entry.asset);
            plan.fill(lengths, assets, end)?;
            plan.length = end;
        }
        Ok(plan)
    }

    /// Assets after each other until all have been, or until the end, where the last is cut off.
    fn fill(
        &mut self,
        lengths: &[u64],
        mut assets: impl Iterator<Item = usize>,
        end: u64,
    ) -> Result<(), Unfit> {
        while self.length < end
            && let Some(asset) = assets.next()
        {
            if self.slots.len() == SLOTS_MAX {
                return Err(Unfit(format!("it has more than {SLOTS_MAX} programmes a day")));
            }
            let start = self.length;
            let length = lengths[asset].min(end - start);
            self.length = start.checked_add(length).ok_or_else(too_long)?;
            self.slots.push(Slot { asset, start, length });
        }
        Ok(())
    }

    /// Leaves out slots that are too short for a segment of each of these renditions of their
    /// assets, in the order of assets.
    pub fn retain(&mut self, assets: &[Asset], of: &[&[usize]]) {
        self.slots.retain(|slot| {
            let one = |of: &&[usize]| &assets[slot.asset].renditions[of[slot.asset]];
            of.iter().all(|of| count(one(of), slot.length) > 0)
        });
    }
}

/// How many segments of a rendition lie within such a time, for their greater part.
pub fn count(rendition: &Rendition, length: u64) -> usize {
    let times = &rendition.times;
    let is_within = |two: &[u64]| rendition.nanos_until(u64::midpoint(two[0], two[1])) < length;
    times.windows(2).take_while(|two| is_within(two)).count()
}

fn too_long() -> Unfit {
    Unfit("all of it together has no length".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = DAY / 24;

    /// Asset and hour of each slot; assets have as many hours as their number says, and 25 at most.
    #[track_caller]
    fn check(list: &[(usize, Option<u64>)], zero: u64, expected: &str) {
        let lengths: Vec<_> = (0..26).map(|hours| hours * HOUR).collect();
        let at = |hour: u64| hour * HOUR;
        let entry = |&(asset, hour): &(usize, Option<u64>)| Entry { asset, at: hour.map(at) };
        let plan = Plan::new(&lengths, &list.iter().map(entry).collect::<Vec<_>>());
        let seen = match plan {
            Ok(plan) => {
                let ends = plan.slots.iter().skip(1).map(|slot| slot.start);
                let ends = ends.chain([plan.length]);
                for (slot, end) in plan.slots.iter().zip(ends) {
                    assert_eq!(slot.start + slot.length, end, "{plan:?}");
                }
                assert_eq!(plan.zero, zero * HOUR);
                let word = |slot: &Slot| format!("{}@{}", slot.asset, slot.start / HOUR);
                plan.slots.iter().map(word).collect::<Vec<_>>().join(" ")
            }
            Err(unfit) => unfit.0,
        };
        assert_eq!(seen, expected);
    }

    #[test]
    fn a_list_without_times_is_as_long_as_its_assets() {
        check(&[(2, None), (3, None), (2, None)], 0, "2@0 3@2 2@5");
    }

    #[test]
    fn what_has_a_time_begins_then_and_the_rest_fills_the_day() {
        // From the first of the times on: the list goes on where it was left, and begins again.
        check(&[(5, None), (2, Some(20)), (4, None)], 20, "2@0 4@2 5@6 4@11 5@15 4@20");
        check(
            &[(2, Some(6)), (4, None), (3, Some(20)), (5, None)],
            6,
            "2@0 4@2 4@6 4@10 3@14 5@17 5@22",
        );
        // What is alone begins again, and what is too long is cut off.
        check(
            &[(7, Some(0)), (9, Some(8)), (1, Some(12))],
            0,
            "7@0 7@7 9@8 1@12 1@13 1@14 1@15 \
            1@16 1@17 1@18 1@19 1@20 1@21 1@22 1@23",
        );
        check(&[(25, Some(3))], 3, "25@0");
        // A day that begins before midnight of UTC.
        check(&[(12, Some(23)), (11, Some(11))], 23, "12@0 11@12 11@23");
    }

    #[test]
    fn what_can_be_no_day_is_refused() {
        let unordered = "its times are not in the order of a day";
        check(&[(1, Some(8)), (1, Some(8))], 8, unordered);
        check(&[(1, Some(8)), (1, Some(20)), (1, Some(12))], 8, unordered);
        let short = Plan::new(&[1_000_000], &[Entry { asset: 0, at: Some(0) }]);
        assert_eq!(short.unwrap_err().0, "it has more than 86400 programmes a day");
    }
}
