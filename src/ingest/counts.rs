//! What came of the chunks of every channel, for the metrics.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::live::publisher::Taken;

/// The counts of one channel, in the order of `RESULTS`.
#[derive(Debug, Default)]
pub struct Counts([AtomicU64; RESULTS.len()]);

/// What can come of a chunk, as the label `result` says it.
const RESULTS: [&str; 6] =
    ["published", "repeated", "conflict", "late", "early", "not-independent"];

impl Counts {
    /// Counts a chunk.
    pub fn add(&self, taken: Taken) {
        let index = match taken {
            Taken::Published(_) => 0,
            Taken::Repeated => 1,
            Taken::Conflict => 2,
            Taken::Late => 3,
            Taken::Early => 4,
            Taken::NotIndependent => 5,
        };
        self.0[index].fetch_add(1, Ordering::Relaxed);
    }
}

/// The counts of all channels that there are.
#[derive(Debug, Default)]
pub struct Table {
    channels: Mutex<BTreeMap<String, Arc<Counts>>>,
}

impl Table {
    /// Those of a channel, from now on.
    #[must_use]
    pub fn of(&self, channel: &str) -> Arc<Counts> {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(channels.entry(channel.to_owned()).or_default())
    }

    /// A channel is gone, and is not shown any more.
    pub fn remove(&self, channel: &str) {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner).remove(channel);
    }

    /// Channel, result and how many, for each of them.
    #[must_use]
    pub fn read(&self) -> Vec<(String, &'static str, u64)> {
        let channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |(channel, counts): (&String, &Arc<Counts>)| {
            let counts: Vec<_> = RESULTS
                .iter()
                .zip(&counts.0)
                .map(|(result, count)| (channel.clone(), *result, count.load(Ordering::Relaxed)))
                .collect();
            counts
        };
        channels.iter().flat_map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_read_by_channel_until_it_is_gone() {
        let table = Table::default();
        table.of("news").add(Taken::Late);
        table.of("news").add(Taken::Late);
        let _ = table.of("film");
        let late: Vec<_> = table.read().into_iter().filter(|one| one.1 == "late").collect();
        assert_eq!(late, [("film".to_owned(), "late", 0), ("news".to_owned(), "late", 2)]);
        table.remove("news");
        assert_eq!(table.read().len(), RESULTS.len());
    }
}
