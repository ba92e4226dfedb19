//! What came of the chunks of every channel, and how long it took, for the metrics.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::ingest::archive::progress::{Figures, Progress};
use crate::ingest::child::health as child;
use crate::live::publisher::Taken;

/// The counts of one channel.
#[derive(Debug, Default)]
pub struct Counts {
    /// In the order of `RESULTS`.
    results: [AtomicU64; RESULTS.len()],
    /// How often a transport stream began to be made of it.
    remuxes: AtomicU64,
    times: Arc<Times>,
}

/// How long publishing took, of all channels: from a chunk's last byte until shards were told.
///
/// The live thread is the only one that writes, and a scrape reads: nobody waits here.
#[derive(Debug)]
struct Times(Mutex<Histogram<u64>>);

/// Nanoseconds that are told apart: 1 µs to 60 s, to 1 %.
impl Default for Times {
    fn default() -> Self {
        let histogram = Histogram::new_with_bounds(1_000, 60_000_000_000, 2);
        Self(Mutex::new(histogram.expect("bounds that a histogram can have")))
    }
}

/// What can come of a chunk, as the label `result` says it.
const RESULTS: [&str; 7] =
    ["published", "repeated", "conflict", "late", "early", "not-independent", "spare"];

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
        self.results[index].fetch_add(1, Ordering::Relaxed);
    }

    /// A chunk was published, so long after its last byte came.
    pub fn published(&self, after: Duration) {
        let nanos = u64::try_from(after.as_nanos()).unwrap_or(u64::MAX);
        self.times.0.lock().unwrap_or_else(PoisonError::into_inner).saturating_record(nanos);
    }

    /// A transport stream begins to be made of the channel, for all who watch it.
    pub fn add_remux(&self) {
        self.remuxes.fetch_add(1, Ordering::Relaxed);
    }

    /// Result and how many, for each of them.
    pub fn read(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let results = RESULTS.iter().zip(&self.results);
        results.map(|(result, count)| (*result, count.load(Ordering::Relaxed)))
    }

    /// Counts a chunk of a source that was not needed: another one had its time.
    pub fn add_spare(&self) {
        self.results[RESULTS.len() - 1].fetch_add(1, Ordering::Relaxed);
    }
}

/// The counts of all channels that there are.
#[derive(Debug, Default)]
pub struct Table {
    channels: Mutex<BTreeMap<String, Arc<Counts>>>,
    times: Arc<Times>,
    archives: Mutex<BTreeMap<String, Arc<Progress>>>,
    children: Mutex<BTreeMap<String, Arc<child::Figures>>>,
}

impl Table {
    /// Those of a channel, from now on.
    #[must_use]
    pub fn of(&self, channel: &str) -> Arc<Counts> {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        let times = Arc::clone(&self.times);
        let new = || Arc::new(Counts { times, ..Counts::default() });
        Arc::clone(channels.entry(channel.to_owned()).or_insert_with(new))
    }

    /// A channel is gone, and is not shown any more.
    pub fn remove(&self, channel: &str) {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner).remove(channel);
        self.archives.lock().unwrap_or_else(PoisonError::into_inner).remove(channel);
        self.children.lock().unwrap_or_else(PoisonError::into_inner).remove(channel);
    }

    /// ffmpeg reads what the channel's config names, and this is how that goes.
    pub fn add_child(&self, channel: &str, figures: Arc<child::Figures>) {
        let mut children = self.children.lock().unwrap_or_else(PoisonError::into_inner);
        children.insert(channel.to_owned(), figures);
    }

    /// Whether media comes of each such channel, which input is read, how often one was begun with.
    #[must_use]
    pub fn read_children(&self) -> Vec<(String, [u64; 3])> {
        let children = self.children.lock().unwrap_or_else(PoisonError::into_inner);
        children.iter().map(|(id, figures)| (id.clone(), figures.read())).collect()
    }

    /// A channel is kept, and this is how far that has come.
    pub fn add_archive(&self, channel: &str, progress: Arc<Progress>) {
        let mut archives = self.archives.lock().unwrap_or_else(PoisonError::into_inner);
        archives.insert(channel.to_owned(), progress);
    }

    /// What is kept of every channel that is.
    #[must_use]
    pub fn read_archives(&self) -> Vec<(String, Figures)> {
        let archives = self.archives.lock().unwrap_or_else(PoisonError::into_inner);
        archives.iter().map(|(id, progress)| (id.clone(), progress.figures())).collect()
    }

    /// Channel, result and how many, for each of them.
    #[must_use]
    pub fn read(&self) -> Vec<(String, &'static str, u64)> {
        let channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |(channel, counts): (&String, &Arc<Counts>)| {
            let counts = counts.read().map(|(result, count)| (channel.clone(), result, count));
            counts.collect::<Vec<_>>()
        };
        channels.iter().flat_map(of).collect()
    }

    /// Channel, and how often a transport stream began to be made of it.
    #[must_use]
    pub fn remuxes(&self) -> Vec<(String, u64)> {
        let channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |(channel, counts): (&String, &Arc<Counts>)| {
            (channel.clone(), counts.remuxes.load(Ordering::Relaxed))
        };
        channels.iter().map(of).collect()
    }

    /// How long publishing took, in nanoseconds.
    #[must_use]
    pub fn times(&self) -> Histogram<u64> {
        self.times.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
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
        table.of("film").add_remux();
        assert_eq!(table.remuxes(), [("film".to_owned(), 1), ("news".to_owned(), 0)]);
        table.remove("news");
        assert_eq!(table.read().len(), RESULTS.len());
        table.of("film").published(Duration::from_millis(3));
        table.of("film").published(Duration::MAX);
        let times = table.times();
        assert_eq!(times.len(), 2, "of channels that are gone, too");
        assert!(times.min().abs_diff(3_000_000) < 30_000);
    }
}
