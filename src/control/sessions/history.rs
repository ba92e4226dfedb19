//! What is kept of sessions that are over: rows in the registry's file, written in batches.
//!
//! Whoever asks for them has all that were over by then: what is not written yet is written first.
//! A server that is killed forgets those of the last seconds, and one that ends in peace writes
//! those that go on, too.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::Desk;
use crate::config::{HISTORY_AT_END_MAX, HISTORY_AT_ONCE, HISTORY_TICK_MS};
use crate::control::registry::{Busy, Registry, Store, StoreError};
use crate::control::tokens::now;
use crate::units::UnixTime;

/// A session that is over.
#[derive(Clone, Debug, PartialEq)]
pub struct Over {
    /// The number of its subscriber; none = nobody of the registry.
    pub subscriber: Option<u32>,
    /// When it was seen last.
    pub until: UnixTime,
    /// All of it, as the API tells it.
    pub told: Value,
}

/// A place among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// When the session there was seen last,
    pub until: UnixTime,
    /// and which it is of those.
    pub sequence: i64,
}

impl Cursor {
    /// As the API writes it.
    #[must_use]
    pub fn text(self) -> String {
        format!("{}-{}", self.until.0, self.sequence)
    }

    /// What was written so.
    #[must_use]
    pub fn of_text(text: &str) -> Option<Self> {
        let (until, sequence) = text.split_once('-')?;
        Some(Self { until: UnixTime(until.parse().ok()?), sequence: sequence.parse().ok()? })
    }
}

/// Which are asked for.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Only those of the subscriber of this number.
    pub subscriber: Option<u32>,
    /// None that ended before this second,
    pub from: UnixTime,
    /// or in this one or later.
    pub to: UnixTime,
    /// Those that come behind this one; none = from the newest on.
    pub before: Option<Cursor>,
    /// So many at most.
    pub most: usize,
}

/// Some of them.
#[derive(Clone, Debug)]
pub struct Page {
    /// The newest first.
    pub over: Vec<Over>,
    /// Where to go on; none = these are the last.
    pub next: Option<Cursor>,
}

impl Desk {
    /// From when on those that are over are kept.
    fn kept_from(&self, now: UnixTime) -> UnixTime {
        match self.history_ms {
            0 => UnixTime(u64::MAX),
            ms => UnixTime(now.0.saturating_sub(ms / 1000)),
        }
    }

    /// Writes what is over and not written yet, so many at most, and then does this with the store;
    /// gives that, and whether there is more to write.
    pub(super) async fn keep<T: Send + 'static>(
        &self,
        registry: &Registry,
        then: impl FnOnce(&mut dyn Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<Result<(T, bool), StoreError>, Busy> {
        // Nothing is written twice.
        let _turn = self.keeping.lock().await;
        let (over, upto) = self.unwritten(HISTORY_AT_ONCE);
        let (has_more, kept_from) = (over.len() == HISTORY_AT_ONCE, self.kept_from(now()));
        let done = registry.ask(move |store| {
            store.keep_sessions(&over, kept_from)?;
            then(store)
        });
        let done = done.await?;
        if done.is_ok() {
            self.table().written(upto);
        }
        Ok(done.map(|done| (done, has_more)))
    }

    /// Writes what is over and what goes on, as the server ends; the disk is waited for so long.
    pub(in crate::control) fn keep_all(&self, registry: &Registry, patience: Duration) {
        let (mut over, upto) = self.unwritten(HISTORY_AT_END_MAX);
        let left = HISTORY_AT_END_MAX - over.len();
        over.extend(self.going_on(left));
        let kept_from = self.kept_from(now());
        if self.history_ms == 0 || over.is_empty() {
            return;
        }
        let kept =
            registry.ask_within(patience, move |store| store.keep_sessions(&over, kept_from));
        match kept {
            Ok(Ok(())) => self.table().written(upto),
            Ok(Err(error)) => tracing::error!(%error, "sessions that are over are forgotten"),
            Err(Busy) => tracing::error!("the registry is too slow: sessions are forgotten"),
        }
    }
}

/// Writes what is over, for ever.
pub async fn keep_for_ever(desk: Arc<Desk>, registry: Registry) {
    loop {
        tokio::time::sleep(Duration::from_millis(HISTORY_TICK_MS)).await;
        loop {
            match desk.keep(&registry, |_| Ok(())).await {
                Ok(Ok(((), true))) => {}
                Ok(Ok(((), false))) | Err(Busy) => break,
                Ok(Err(error)) => {
                    tracing::error!(%error, "sessions that are over can't be kept");
                    break;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_was_written() {
        for cursor in [
            Cursor { until: UnixTime(0), sequence: 1 },
            Cursor { until: UnixTime(1_800_000_000), sequence: i64::MAX },
        ] {
            assert_eq!(Cursor::of_text(&cursor.text()), Some(cursor));
        }
        for wrong in ["", "1", "-", "a-1", "1-a", "1-", "-1"] {
            assert_eq!(Cursor::of_text(wrong), None, "{wrong}");
        }
    }
}
