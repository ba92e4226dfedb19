//! How far a channel's archive has come, for requests that wait for it and for the metrics.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

/// Of one channel. Written by its archive's thread, read by others.
#[derive(Debug)]
pub struct Progress {
    renditions: Mutex<HashMap<Arc<str>, Come>>,
    /// Changes with every commit, and with every one that failed.
    ticks: watch::Sender<u64>,
    counts: Counts,
}

/// How far a rendition has come.
#[derive(Clone, Copy, Debug)]
struct Come {
    /// Everything up to here was tried.
    until: i64,
    /// The last number that is not durable.
    failed: i64,
}

/// What came of segments.
#[derive(Debug, Default)]
struct Counts {
    committed: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
    /// Bytes on disk.
    size: AtomicU64,
}

/// The same, read at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Segments that were made durable.
    pub committed: u64,
    /// Segments that the disk refused.
    pub failed: u64,
    /// Segments that were not kept because the disk was behind.
    pub dropped: u64,
    /// Bytes that are kept.
    pub size: u64,
}

impl Default for Progress {
    fn default() -> Self {
        let (ticks, _) = watch::channel(0);
        Self { renditions: Mutex::default(), ticks, counts: Counts::default() }
    }
}

impl Progress {
    fn change(&self, rendition: &Arc<str>, change: impl FnOnce(&mut Come)) {
        let mut renditions = self.renditions.lock().unwrap_or_else(PoisonError::into_inner);
        let none = Come { until: i64::MIN, failed: i64::MIN };
        change(renditions.entry(Arc::clone(rendition)).or_insert(none));
    }

    /// A segment is durable.
    pub fn commit(&self, rendition: &Arc<str>, number: i64) {
        self.counts.committed.fetch_add(1, Ordering::Relaxed);
        self.change(rendition, |come| come.until = come.until.max(number));
    }

    /// The disk refused a segment.
    pub fn fail(&self, rendition: &Arc<str>, number: i64) {
        self.counts.failed.fetch_add(1, Ordering::Relaxed);
        self.change(rendition, |come| {
            come.until = come.until.max(number);
            come.failed = come.failed.max(number);
        });
    }

    /// A segment was not even tried.
    pub fn drop_one(&self, rendition: &Arc<str>, number: i64) {
        self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        self.change(rendition, |come| come.failed = come.failed.max(number));
        self.tell();
    }

    /// So many bytes are kept.
    pub fn set_size(&self, size: u64) {
        self.counts.size.store(size, Ordering::Relaxed);
    }

    /// Tells those who wait that something has changed.
    pub fn tell(&self) {
        self.ticks.send_modify(|tick| *tick += 1);
    }

    /// Whether all of these numbers of a rendition are durable; none if that is not known yet.
    #[must_use]
    pub fn is_durable(&self, rendition: &str, first: i64, last: i64) -> Option<bool> {
        let renditions = self.renditions.lock().unwrap_or_else(PoisonError::into_inner);
        let come = renditions.get(rendition)?;
        if come.failed >= first {
            // It may have been a later one. Then it is refused although it is there, and the
            // encoder sends it again.
            return Some(false);
        }
        (come.until >= last).then_some(true)
    }

    /// Waits until it is known whether all of these numbers are durable.
    pub async fn settled(&self, rendition: &str, first: i64, last: i64) -> bool {
        let mut ticks = self.ticks.subscribe();
        loop {
            if let Some(is_durable) = self.is_durable(rendition, first, last) {
                return is_durable;
            }
            if ticks.changed().await.is_err() {
                return false;
            }
        }
    }

    /// What came of all segments.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Figures {
            committed: of(&self.counts.committed),
            failed: of(&self.counts.failed),
            dropped: of(&self.counts.dropped),
            size: of(&self.counts.size),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_durable_is_known_when_all_of_it_was_tried() {
        let progress = Progress::default();
        let rendition: Arc<str> = "v".into();
        assert_eq!(progress.is_durable("v", 1, 2), None);
        progress.commit(&rendition, 1);
        assert_eq!((progress.is_durable("v", 1, 2), progress.is_durable("a", 1, 1)), (None, None));
        progress.commit(&rendition, 2);
        assert_eq!(progress.is_durable("v", 1, 2), Some(true));
        progress.fail(&rendition, 3);
        assert_eq!(progress.is_durable("v", 2, 3), Some(false));
        progress.commit(&rendition, 4);
        assert_eq!(progress.is_durable("v", 3, 4), Some(false), "one of them is not");
        assert_eq!(progress.is_durable("v", 4, 4), Some(true));
        progress.drop_one(&rendition, 6);
        assert_eq!(progress.is_durable("v", 6, 6), Some(false), "nobody will try it");
        let figures = Figures { committed: 3, failed: 1, dropped: 1, size: 0 };
        assert_eq!(progress.figures(), figures);
    }
}
