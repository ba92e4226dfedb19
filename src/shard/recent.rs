//! Stretches of files that were found in memory a moment ago.
//!
//! Asking the kernel whether 256 KiB are in memory costs 5 to 8 % of sending them. Pages that were
//! just used are the last ones it gives up, so an answer is believed for a second, as long as
//! nothing at all had to be read from a disk: a shard that sees one cold chunk is on a machine that
//! runs out of memory, or on one that reads much, and for a while asks every time, of every page.

use ahash::RandomState;

use super::kernel::Look;
use crate::config::DISTRUST_MS;
use crate::messages::SourceId;
use crate::units::{Extent, Ticks};

/// Answers that are remembered: a table of 160 KiB.
const PLACES: usize = 4096;

/// How long an answer is believed, in milliseconds.
const BELIEVED_MS: u64 = 1_000;

#[derive(Clone, Copy, Debug)]
struct Seen {
    source: SourceId,
    extent: Extent,
    at: Ticks,
}

/// The answers of one shard. A new one takes the place of whatever has its hash.
#[derive(Debug)]
pub struct Recent {
    seen: Box<[Option<Seen>]>,
    hasher: RandomState,
    /// Answers from before are not believed.
    trusted_from: Ticks,
}

impl Recent {
    /// No answers.
    pub fn new() -> Self {
        let seen = vec![None; PLACES].into_boxed_slice();
        Self { seen, hasher: RandomState::new(), trusted_from: Ticks(0) }
    }

    /// Whether exactly this stretch was in memory a moment ago.
    pub fn knows(&self, source: SourceId, extent: Extent, now: Ticks) -> bool {
        self.seen[self.place(source, extent)].is_some_and(|seen| {
            seen.source == source
                && seen.extent == extent
                && now.since(seen.at) < BELIEVED_MS
                && seen.at >= self.trusted_from
        })
    }

    /// How closely the kernel is asked now.
    pub fn look(&self, now: Ticks) -> Look {
        if now >= self.trusted_from { Look::Sample } else { Look::Every }
    }

    /// The kernel said that it is.
    pub fn note(&mut self, source: SourceId, extent: Extent, now: Ticks) {
        if now >= self.trusted_from {
            let place = self.place(source, extent);
            self.seen[place] = Some(Seen { source, extent, at: now });
        }
    }

    /// Something was not in memory.
    pub fn distrust(&mut self, now: Ticks) {
        self.trusted_from = now.plus(DISTRUST_MS);
    }

    fn place(&self, source: SourceId, extent: Extent) -> usize {
        self.hasher.hash_one((source, extent)) as usize % PLACES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRETCH: Extent = Extent { offset: 4096, size: 1 << 20 };
    const SOURCE: SourceId = SourceId(7);

    #[test]
    fn an_answer_is_believed_for_a_second() {
        let mut recent = Recent::new();
        assert!(!recent.knows(SOURCE, STRETCH, Ticks(5)));
        recent.note(SOURCE, STRETCH, Ticks(5));
        assert!(recent.knows(SOURCE, STRETCH, Ticks(5)));
        assert!(recent.knows(SOURCE, STRETCH, Ticks(1_004)));
        assert!(!recent.knows(SOURCE, STRETCH, Ticks(1_005)));
    }

    #[test]
    fn only_what_was_asked_is_known() {
        let mut recent = Recent::new();
        recent.note(SOURCE, STRETCH, Ticks(5));
        assert!(!recent.knows(SourceId(8), STRETCH, Ticks(5)));
        assert!(!recent.knows(SOURCE, Extent { size: STRETCH.size + 1, ..STRETCH }, Ticks(5)));
    }

    #[test]
    fn after_a_cold_chunk_nothing_is_believed_for_a_while() {
        let mut recent = Recent::new();
        recent.note(SOURCE, STRETCH, Ticks(5));
        recent.distrust(Ticks(6));
        assert!(!recent.knows(SOURCE, STRETCH, Ticks(6)));
        recent.note(SOURCE, STRETCH, Ticks(10_005));
        assert!(!recent.knows(SOURCE, STRETCH, Ticks(10_005)));
        recent.note(SOURCE, STRETCH, Ticks(10_006));
        assert!(recent.knows(SOURCE, STRETCH, Ticks(10_006)));
    }
}
