//! Chunks of one encoder that come before what they follow: they are held until that has come, or
//! until their time is up.
//!
//! An encoder that sends a segment a request may have several connections, and what it sent first
//! does not always come first.
//!
//! 1. In one request everything comes in its order: what follows there is never held, whatever is
//!    missing before it.
//! 2. Anything else is held if whole segments are missing before it, `SEGMENTS_AWAITED_MAX` at
//!    most; or if the rest of the segment that grows is, as long as the request is open that
//!    brought what there is of it.
//! 3. It is held for a segment's length at most, and no longer than a silent encoder is waited for.
//!    Then what is missing is published as gaps, and comes too late.
//!
//! Pure: time is an argument, counted from any moment. How many bytes are held is the caller's to
//! limit (`size`, `pop`).

use std::collections::BTreeMap;
use std::time::Duration;

use super::boxes::stream::Chunk;
use super::publisher::{Missing, Publisher, Taken};
use crate::config::SEGMENTS_AWAITED_MAX;

/// A chunk that waits for what it follows.
#[derive(Clone, Debug)]
pub struct Held {
    /// What it says.
    pub chunk: Chunk,
    /// All of it.
    pub bytes: Vec<u8>,
    /// Of its bytes.
    pub hash: u64,
    /// Which request brought it.
    pub request: u64,
    /// When it came.
    pub came: Duration,
    /// Whether its request has ended.
    pub is_over: bool,
    /// Whether it was the last one of its request, which ended as it should.
    pub ends_request: bool,
}

/// Puts the chunks of one rendition into their order.
#[derive(Debug, Default)]
pub struct Order {
    /// By decoding time.
    held: BTreeMap<u64, Held>,
    size: usize,
    /// The request that brought what was published last, and whether more of it may come.
    newest: Option<(u64, bool)>,
}

impl Order {
    /// Whether a chunk of this request is held, before which so much is missing.
    #[must_use]
    pub fn holds(&self, missing: Missing, request: u64) -> bool {
        let is_its_own = self.newest.is_some_and(|(newest, _)| newest == request);
        match missing {
            Missing::Nothing => false,
            _ if is_its_own => false,
            Missing::Rest => self.newest.is_some_and(|(_, is_open)| is_open),
            Missing::Segments(count) => count <= SEGMENTS_AWAITED_MAX,
        }
    }

    /// Holds a chunk that is decoded at this time; gives what came of it, if one of its time is
    /// held already.
    pub fn hold(&mut self, decode_time: u64, one: Held) -> Option<Taken> {
        if let Some(held) = self.held.get(&decode_time) {
            return Some(if held.hash == one.hash { Taken::Repeated } else { Taken::Conflict });
        }
        self.size += one.bytes.len();
        self.held.insert(decode_time, one);
        None
    }

    /// A chunk of this request was published.
    pub fn publishes(&mut self, request: u64, is_open: bool) {
        self.newest = Some((request, is_open));
    }

    /// A request has ended, or broke off. True if it ended as it should, and that may end the
    /// segment that grows; if chunks of it are held, the last of them will say so.
    pub fn end_request(&mut self, request: u64, is_whole: bool) -> bool {
        let newest = self.newest.as_mut().filter(|(newest, _)| *newest == request);
        let is_newest = newest.map(|(_, is_open)| *is_open = false).is_some();
        let mut last = None;
        for one in self.held.values_mut().filter(|one| one.request == request) {
            one.is_over = true;
            last = Some(one);
        }
        match last {
            Some(last) => {
                last.ends_request = is_whole;
                false
            }
            None => is_newest && is_whole,
        }
    }

    /// The next chunk whose time has come, if any. It is asked for again when that is published.
    /// `is_overdue`: nothing was published for so long that a silent encoder would be given up.
    pub fn poll(&mut self, publisher: &Publisher, is_overdue: bool, now: Duration) -> Option<Held> {
        let (_, first) = self.held.first_key_value()?;
        let is_held = self.holds(publisher.missing_before(&first.chunk), first.request);
        if is_held && !is_overdue {
            let since = self.held.values().map(|one| one.came).min()?;
            let most = publisher.timeline().lengths().segment.micros();
            if now.saturating_sub(since) < Duration::from_micros(most) {
                return None;
            }
        }
        self.pop()
    }

    /// Lets go of the first chunk, as if its time were up.
    pub fn pop(&mut self) -> Option<Held> {
        let (_, first) = self.held.pop_first()?;
        self.size -= first.bytes.len();
        Some(first)
    }

    /// Whether nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Bytes that are held.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// Chunks that are held.
    #[must_use]
    pub fn count(&self) -> usize {
        self.held.len()
    }
}

#[cfg(test)]
mod tests;
