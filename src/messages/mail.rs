//! The bounded queue into one shard: `Outbox` for those who tell it something, `Inbox` for it.
//!
//! A full queue never blocks a sender and never loses anything: what does not fit waits in the
//! sender's `Outbox`, where of several changes of one path only the newest is kept, and that its
//! bytes were torn, which must reset transfers before the newest is known. So what waits is bounded
//! by the number of paths, and removals always arrive. Whoever holds an `Outbox` with
//! something waiting calls `flush` again, a few milliseconds later.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use ahash::AHashMap;

use super::{Change, Listing, Update};
use crate::config::INBOX_UPDATES_MAX;

/// Where a shard takes its updates from. A test may play it.
pub trait Inbox {
    /// The next update, if there is one.
    fn take(&mut self) -> Option<Update>;
}

impl Inbox for Receiver<Update> {
    fn take(&mut self) -> Option<Update> {
        self.try_recv().ok()
    }
}

/// One sender's end of the queue into one shard.
#[derive(Debug)]
pub struct Outbox {
    queue: SyncSender<Update>,
    /// An eventfd that the shard's ring reads.
    bell: Arc<File>,
    /// Changes of paths that did not fit, the newest of each path.
    listings: Vec<Option<Listing>>,
    /// Where in `listings` a path stands.
    places: AHashMap<Arc<str>, Place>,
    /// Other updates that did not fit; they come after the listings, on which they may depend.
    others: VecDeque<Update>,
    /// More comes at once: the bell is for its end.
    is_held: bool,
    /// It has to ring then.
    owes_ring: bool,
}

/// Where a path's changes stand in the list of those that wait.
#[derive(Clone, Copy, Debug)]
struct Place {
    newest: usize,
    /// The first `Torn`; the newest may come after it.
    torn: Option<usize>,
}

impl Clone for Outbox {
    /// Another sender into the same queue; what waits here is not cloned.
    fn clone(&self) -> Self {
        Self::over(self.queue.clone(), Arc::clone(&self.bell))
    }
}

/// A queue into one shard; `bell` is the eventfd that wakes it.
#[must_use]
pub fn queue(bell: Arc<File>) -> (Outbox, Receiver<Update>) {
    let (sender, receiver) = sync_channel(INBOX_UPDATES_MAX);
    (Outbox::over(sender, bell), receiver)
}

impl Outbox {
    fn over(queue: SyncSender<Update>, bell: Arc<File>) -> Self {
        Self {
            queue,
            bell,
            listings: Vec::new(),
            places: AHashMap::new(),
            others: VecDeque::new(),
            is_held: false,
            owes_ring: false,
        }
    }

    /// Sends, or keeps until `flush`. Order is kept, except that listings overtake other updates
    /// that wait.
    pub fn send(&mut self, update: Update) {
        if self.is_empty() {
            match self.queue.try_send(update) {
                Ok(()) => self.ring(),
                Err(TrySendError::Full(update)) => self.keep(update),
                // The shard has ended, and with it everything it could be told.
                Err(TrySendError::Disconnected(_)) => {}
            }
        } else {
            self.keep(update);
            self.flush();
        }
    }

    /// More comes at once: a shard that sleeps is not woken before `release`. It takes its
    /// processor as soon as it wakes, so each time would cost two changes from thread to thread.
    pub fn hold(&mut self) {
        self.is_held = true;
    }

    /// That was all: the shard is woken, if it was sent anything.
    pub fn release(&mut self) {
        self.is_held = false;
        if std::mem::take(&mut self.owes_ring) {
            self.ring();
        }
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.listings.is_empty() && self.others.is_empty()
    }

    /// Sends what waits, as far as it fits; true if nothing is left.
    pub fn flush(&mut self) -> bool {
        if self.is_empty() {
            return true;
        }
        if !self.listings.is_empty() {
            let batch: Arc<[Listing]> = self.listings.iter().flatten().cloned().collect();
            match self.queue.try_send(Update::Listed(batch)) {
                Ok(()) | Err(TrySendError::Disconnected(_)) => {
                    self.listings.clear();
                    self.places.clear();
                }
                Err(TrySendError::Full(_)) => return false,
            }
        }
        while let Some(update) = self.others.pop_front() {
            if let Err(TrySendError::Full(update)) = self.queue.try_send(update) {
                self.others.push_front(update);
                break;
            }
        }
        self.ring();
        self.others.is_empty()
    }

    fn keep(&mut self, update: Update) {
        let Update::Listed(batch) = update else {
            self.others.push_back(update);
            return;
        };
        for listing in batch.iter() {
            self.keep_listing(listing.clone());
        }
        if self.listings.len() > 3 * self.places.len() + 64 {
            self.compact();
        }
    }

    fn keep_listing(&mut self, listing: Listing) {
        let index = self.listings.len();
        let is_torn = matches!(listing.change, Change::Torn);
        let fresh = Place { newest: index, torn: is_torn.then_some(index) };
        let place = self.places.entry(Arc::clone(&listing.path)).or_insert(fresh);
        if place.newest != index {
            if Some(place.newest) != place.torn {
                self.listings[place.newest] = None;
            }
            if let (true, Some(torn)) = (is_torn, place.torn) {
                // What came after the first was never told, so it need not be torn as well.
                place.newest = torn;
                return;
            }
            *place = Place { newest: index, torn: place.torn.or(fresh.torn) };
        }
        self.listings.push(Some(listing));
    }

    /// Closes the gaps that newer changes of a path left behind.
    fn compact(&mut self) {
        self.places.clear();
        for listing in std::mem::take(&mut self.listings).into_iter().flatten() {
            self.keep_listing(listing);
        }
    }

    fn ring(&mut self) {
        if self.is_held {
            self.owes_ring = true;
            return;
        }
        // An eventfd refuses a write only when its counter is full: then it rings already.
        let _ = (&*self.bell).write(&1u64.to_ne_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Access;
    use crate::messages::{SourceId, SourceKind};

    fn absent(path: &str) -> Update {
        Update::Listed(Arc::new([Listing { path: path.into(), change: Change::Absent }]))
    }

    fn paths(inbox: &mut Receiver<Update>) -> Vec<String> {
        let mut paths = Vec::new();
        while let Some(update) = inbox.take() {
            if let Update::Listed(batch) = update {
                paths.extend(batch.iter().map(|listing| listing.path.to_string()));
            }
        }
        paths
    }

    #[test]
    fn what_does_not_fit_waits_and_only_the_newest_of_a_path_is_kept() {
        let null = File::options().write(true).open("/dev/null").unwrap();
        let (mut outbox, mut inbox) = queue(Arc::new(null));
        for _ in 0..INBOX_UPDATES_MAX {
            outbox.send(absent("early"));
        }
        for round in 0..1000 {
            outbox.send(absent("a"));
            outbox.send(absent(if round == 999 { "last" } else { "b" }));
        }
        assert!(!outbox.is_empty());
        assert!(outbox.listings.len() < 100, "what waits is bounded by the number of paths");
        assert_eq!(paths(&mut inbox).len(), INBOX_UPDATES_MAX);
        assert!(outbox.flush());
        assert_eq!(paths(&mut inbox), ["b", "a", "last"]);
    }

    #[test]
    fn a_torn_path_is_told_before_its_newest_version() {
        let null = File::options().write(true).open("/dev/null").unwrap();
        let (mut outbox, mut inbox) = queue(Arc::new(null));
        for _ in 0..INBOX_UPDATES_MAX {
            outbox.send(absent("early"));
        }
        let (kind, access) = (SourceKind::File, Access::Open);
        for round in 0..1000 {
            let source = SourceId(round);
            let present = Change::Present { source, kind, access, opened: None };
            for change in [Change::Torn, present] {
                outbox.send(Update::Listed(Arc::new([Listing { path: "a".into(), change }])));
            }
        }
        assert!(outbox.listings.len() < 100, "what waits is bounded by the number of paths");
        assert_eq!(paths(&mut inbox).len(), INBOX_UPDATES_MAX);
        assert!(outbox.flush());
        let Some(Update::Listed(batch)) = inbox.take() else { panic!("one batch") };
        let changes: Vec<_> = batch.iter().map(|listing| &listing.change).collect();
        let [Change::Torn, Change::Present { source: SourceId(999), .. }] = changes[..] else {
            panic!("{changes:?}")
        };
    }
}
