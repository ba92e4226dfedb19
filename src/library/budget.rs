//! Which packs are on huge pages by our doing, and that they take no more than they may.
//!
//! Pure bookkeeping. A pack in use may take the place of packs that nobody uses any more, the
//! oldest first: their pages stay in the cache as long as the kernel likes, and are no longer
//! counted. Packs in use stay, so that many packs that are touched one after the other are not all
//! read whole.

use std::collections::VecDeque;

use crate::messages::SourceId;

/// Bytes that may be on huge pages, and who has them.
#[derive(Debug)]
pub(super) struct Budget {
    limit: u64,
    taken: VecDeque<(SourceId, u64)>,
}

impl Budget {
    pub(super) fn new(limit: u64) -> Self {
        Self { limit, taken: VecDeque::new() }
    }

    /// Nothing more is brought in.
    pub(super) fn close(&mut self) {
        self.limit = 0;
    }

    /// From now on so many bytes may be taken. What is there stays.
    pub(super) fn set_limit(&mut self, limit: u64) {
        self.limit = limit;
    }

    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    pub(super) fn bytes(&self) -> u64 {
        self.taken.iter().map(|(_, size)| size).sum()
    }

    /// Counts a pack if there is room for it, or if packs that are not in use can make room; says
    /// whether it is counted. `used`: the pack is in use itself; only then does it displace others.
    pub(super) fn take(
        &mut self,
        source: SourceId,
        size: u64,
        used: bool,
        is_used: impl Fn(SourceId) -> bool,
    ) -> bool {
        if size > self.limit || self.taken.iter().any(|(known, _)| *known == source) {
            return false;
        }
        let mut index = 0;
        while used && self.bytes() > self.limit - size && index < self.taken.len() {
            if is_used(self.taken[index].0) {
                index += 1;
            } else {
                self.taken.remove(index);
            }
        }
        let is_room = self.bytes() <= self.limit - size;
        if is_room {
            self.taken.push_back((source, size));
        }
        is_room
    }

    /// A pack is on small pages, or gone.
    pub(super) fn give_back(&mut self, source: SourceId) {
        self.taken.retain(|(taken, _)| *taken != source);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(budget: &Budget) -> Vec<u64> {
        budget.taken.iter().map(|(source, _)| source.0).collect()
    }

    #[test]
    fn the_oldest_that_nobody_uses_makes_room_and_only_for_what_is_used() {
        let mut budget = Budget::new(10);
        let in_use = |source: SourceId| source.0 == 1;
        for number in 1..=3 {
            assert!(budget.take(SourceId(number), 3, false, in_use));
        }
        assert!(!budget.take(SourceId(2), 3, true, in_use), "it is there");
        assert!(!budget.take(SourceId(4), 3, false, in_use), "nobody uses it");
        assert!(budget.take(SourceId(5), 3, true, in_use));
        assert_eq!(sources(&budget), [1, 3, 5]);
        assert!(!budget.take(SourceId(6), 11, true, in_use), "it is larger than all");
        assert_eq!(sources(&budget), [1, 3, 5], "and nothing goes for it");
        assert!(!budget.take(SourceId(7), 3, true, |_| true), "all are in use");
        budget.give_back(SourceId(3));
        assert!(budget.take(SourceId(8), 4, false, in_use));
        budget.close();
        assert!(!budget.take(SourceId(9), 1, true, |_| false));
    }

    #[test]
    fn more_packs_than_fit_never_take_more_than_they_may() {
        let mut budget = Budget::new(1000);
        let (mut random, mut most) = (7u64, 0);
        for number in 0..20_000 {
            random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            let (size, used) = ((random >> 33) % 400, (random >> 20).is_multiple_of(2));
            budget.take(SourceId(number), size, used, |source| source.0.is_multiple_of(7));
            if (random >> 40).is_multiple_of(5) {
                budget.give_back(SourceId(number / 2));
            }
            assert!(budget.bytes() <= 1000, "{}", budget.bytes());
            most = most.max(budget.bytes());
        }
        assert!(most > 900, "it was never full: {most}");
    }
}
