//! The records of all channels, shared between who keeps them and who reads them.
//!
//! A channel's record is changed in place, a commit at a time, and read under its own lock: nobody
//! copies days of segments. Whoever reads takes what is needed and lets go; nothing here waits for
//! a disk.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::record::Record;

/// Every channel's record, by the channel's id.
#[derive(Debug, Default)]
pub struct Records {
    channels: RwLock<HashMap<String, Arc<RwLock<Record>>>>,
}

impl Records {
    /// Reads a channel's record; none if nothing is kept of it.
    pub fn with<T>(&self, channel: &str, read: impl FnOnce(&Record) -> T) -> Option<T> {
        let record = self.of(channel)?;
        // The locks are never held across anything that can panic and leave half a change.
        let record = record.read().unwrap_or_else(PoisonError::into_inner);
        Some(read(&record))
    }

    /// Changes a channel's record, which begins empty.
    pub fn change<T>(&self, channel: &str, change: impl FnOnce(&mut Record) -> T) -> T {
        let record = self.of(channel).unwrap_or_else(|| {
            let mut channels = self.channels.write().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(channels.entry(channel.to_owned()).or_default())
        });
        let mut record = record.write().unwrap_or_else(PoisonError::into_inner);
        change(&mut record)
    }

    /// A channel is gone.
    pub fn remove(&self, channel: &str) {
        self.channels.write().unwrap_or_else(PoisonError::into_inner).remove(channel);
    }

    fn of(&self, channel: &str) -> Option<Arc<RwLock<Record>>> {
        self.channels.read().unwrap_or_else(PoisonError::into_inner).get(channel).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_there_from_its_first_change_until_its_channel_is_gone() {
        let records = Records::default();
        assert_eq!(records.with("news", |record| record.renditions.len()), None);
        records.change("news", |_| {});
        assert_eq!(records.with("news", |record| record.renditions.len()), Some(0));
        records.remove("news");
        assert_eq!(records.with("news", |_| ()), None);
    }
}
