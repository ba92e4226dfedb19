//! Sources are opened once, lent to shards, and closed when the last shard has let go.

use std::sync::Arc;

use super::names::Name;
use super::opener::{Job, Outcome, Refused, ToOpen};
use super::run::Library;
use super::version::Version;
use super::watch::Hint;
use crate::messages::{Fault, OpenFault, Opened, Payload, SourceId, Update};

/// A source that somebody has asked for, or that was opened without being asked for.
#[derive(Debug, Default)]
pub(super) struct Lent {
    /// Kept here too, so that the last reference to a file is never a shard's to drop.
    opened: Option<Arc<Opened>>,
    /// Shards that hold it.
    holders: Vec<u16>,
    /// Shards that wait for it.
    pub waiting: Vec<u16>,
    /// Whether the pool has it, or will have it.
    pub opening: bool,
    /// Whether its bytes were shown to somebody, so that they may not be others from now on.
    bound: bool,
    /// Why it can't be served, until it changes.
    failed: Option<OpenFault>,
    /// Whether its bytes are counted as those of a list.
    counted: usize,
}

impl Library {
    /// A shard wants a source.
    pub(super) fn handle_open(&mut self, shard: u16, source: SourceId) {
        let current = self.sources.get(&source).cloned();
        let Some(lent) = self.lent.get_mut(&source) else {
            return match current {
                None => self.refuse(shard, source, OpenFault::Missing),
                Some(name) => self.open_source(source, &name, vec![shard], true),
            };
        };
        if let Some(fault) = lent.failed {
            self.refuse(shard, source, fault);
        } else if let Some(opened) = lent.opened.clone() {
            if !lent.holders.contains(&shard) {
                lent.holders.push(shard);
            }
            self.send(shard, Update::Opened(opened));
        } else if lent.opening {
            lent.waiting.push(shard);
        } else if let Some(name) = current {
            self.open_source(source, &name, vec![shard], true);
        } else {
            self.refuse(shard, source, OpenFault::Missing);
        }
    }

    /// A shard has let go of a source.
    pub(super) fn handle_released(&mut self, shard: u16, source: SourceId) {
        if let Some(lent) = self.lent.get_mut(&source) {
            lent.holders.retain(|holder| *holder != shard);
            self.close_if_unused(source);
        }
    }

    /// A shard could not send a source's bytes.
    pub(super) fn handle_faulty(&mut self, source: SourceId, fault: Fault) {
        let Some(name) = self.sources.get(&source) else { return };
        let root = &self.roots[usize::from(name.root)];
        let path = root.folder.join(root.below(&name.public, name.kind()));
        let why = match fault {
            Fault::Truncated => "it was cut short while it was served".to_owned(),
            Fault::Unreadable(number) => std::io::Error::from_raw_os_error(number).to_string(),
        };
        self.note_damage(source, &path.display().to_string(), &why);
    }

    /// Logs that a source is no good, and refuses it until it changes.
    pub(super) fn note_damage(&mut self, source: SourceId, path: &str, why: &str) {
        let lent = self.lent.entry(source).or_default();
        if lent.failed.replace(OpenFault::Damaged).is_some() {
            return;
        }
        tracing::error!("shardcast: serving {path}: {why} (replace the file; the rest is served)");
        // Who holds it keeps it until it says that it has let go; nobody else gets it.
        self.close_if_unused(source);
    }

    /// Opens a list before anybody asks.
    pub(super) fn open_unasked(&mut self, source: SourceId) {
        if let Some(name) = self.sources.get(&source).cloned() {
            self.open_source(source, &name, Vec::new(), false);
        }
    }

    fn open_source(&mut self, source: SourceId, name: &Name, waiting: Vec<u16>, urgent: bool) {
        let Some(root) = self.folders[usize::from(name.root)].clone() else {
            for shard in waiting {
                self.refuse(shard, source, OpenFault::Missing);
            }
            return;
        };
        let lent = self.lent.entry(source).or_default();
        lent.opening = true;
        lent.waiting = waiting;
        let below = self.below(name);
        self.pool.add(Job::Open(ToOpen { source, root, below, kind: name.kind() }), urgent);
    }

    /// The pool has opened a source, or not.
    pub(super) fn handle_outcome(&mut self, outcome: Outcome) {
        let Outcome { source, result } = outcome;
        let Some(lent) = self.lent.get_mut(&source) else { return };
        lent.opening = false;
        let waiting = std::mem::take(&mut lent.waiting);
        let Some(name) = self.sources.get(&source).cloned() else {
            // It was replaced meanwhile; what was read may be the newer bytes.
            self.lent.remove(&source);
            return self.refuse_all(waiting, source, OpenFault::Missing);
        };
        match result {
            Ok((opened, version)) => self.lend(&name, opened, version, waiting),
            Err(refused) => self.handle_refused(&name, source, refused, waiting),
        }
    }

    fn lend(&mut self, name: &Name, opened: Arc<Opened>, version: Version, waiting: Vec<u16>) {
        let source = opened.source;
        let lent = self.lent.get_mut(&source).expect("the caller has found it");
        let shelved = self.names.get_mut(name).expect("a current source has a claim");
        if lent.bound && shelved.version != version {
            // These bytes need another number. The news of the change may still be on its way.
            self.lent.remove(&source);
            self.refuse_all(waiting, source, OpenFault::Missing);
            return self.look_again(name);
        }
        // Nobody has seen a byte of the listed version, so the number may as well stand for this.
        shelved.version = version;
        let is_first = !std::mem::replace(&mut lent.bound, true);
        let was_ready = std::mem::replace(&mut shelved.ready, true);
        if let (false, Payload::Heap(bytes)) = (was_ready, &opened.payload) {
            lent.counted = bytes.len();
            self.list_bytes += bytes.len();
        }
        lent.opened = Some(Arc::clone(&opened));
        for &shard in &waiting {
            if !lent.holders.contains(&shard) {
                lent.holders.push(shard);
            }
        }
        for shard in waiting {
            self.send(shard, Update::Opened(Arc::clone(&opened)));
        }
        if !was_ready {
            self.tell_of(name);
        }
        if is_first && opened.has_large_bodies() {
            self.warm_soon(source);
        }
    }

    fn handle_refused(
        &mut self,
        name: &Name,
        source: SourceId,
        refused: Refused,
        waiting: Vec<u16>,
    ) {
        let path = self.roots[usize::from(name.root)].folder.join(self.below(name));
        let fault = match &refused {
            Refused::Damaged(why) => {
                self.note_damage(source, &path.display().to_string(), why);
                OpenFault::Damaged
            }
            Refused::Exhausted(why) => {
                tracing::warn!(
                    "shardcast: opening {}: {why} (raise LimitNOFILE or open fewer sources; the \
                     next request tries again)",
                    path.display()
                );
                OpenFault::Exhausted
            }
            Refused::Missing | Refused::Unfinished => OpenFault::Missing,
        };
        self.refuse_all(waiting, source, fault);
        match refused {
            // A list that was to be copied before it is listed is listed without.
            Refused::Damaged(_) | Refused::Exhausted(_) => {
                if let Some(shelved) = self.names.get_mut(name) {
                    shelved.ready = true;
                }
                self.tell_of(name);
            }
            Refused::Missing | Refused::Unfinished => {
                self.lent.remove(&source);
                self.unshelve(name, false);
                self.look_again(name);
            }
        }
    }

    /// Looks at a file that is not what it was taken for; it may still be written.
    fn look_again(&mut self, name: &Name) {
        let below = self.below(name);
        self.look_below(usize::from(name.root), &below, Hint::Growing);
    }

    /// A newer version, or none, has the name of a source now.
    pub(super) fn supersede(&mut self, source: SourceId) {
        self.sources.remove(&source);
        self.forget_warmed(source);
        if let Some(lent) = self.lent.get_mut(&source) {
            self.list_bytes -= std::mem::take(&mut lent.counted);
            // Shards let go of a copy in memory by themselves; a file is closed by us.
            if lent.opened.as_ref().is_some_and(|o| matches!(o.payload, Payload::Heap(_))) {
                self.lent.remove(&source);
                return;
            }
        }
        self.close_if_unused(source);
    }

    fn close_if_unused(&mut self, source: SourceId) {
        let Some(lent) = self.lent.get_mut(&source) else { return };
        let current = self.sources.contains_key(&source);
        // Lists stay in memory as long as they are current, whoever looks at them.
        if !lent.holders.is_empty() || lent.opening || (current && lent.counted > 0) {
            return;
        }
        if let Some(opened) = lent.opened.take() {
            self.pool.add(Job::Close(opened), false);
        }
        if !current {
            self.lent.remove(&source);
        }
    }

    /// What goes with a listing: the source, if it is open already.
    pub(super) fn lend_to_all(&mut self, source: SourceId) -> Option<Arc<Opened>> {
        let shards = u16::try_from(self.shards.len()).unwrap_or(u16::MAX);
        let lent = self.lent.get_mut(&source)?;
        let opened = lent.opened.clone()?;
        lent.holders = (0..shards).collect();
        Some(opened)
    }

    /// Whether somebody uses a source, or is about to.
    pub(super) fn is_lent(&self, source: SourceId) -> bool {
        let lent = self.lent.get(&source);
        lent.is_some_and(|lent| lent.opened.is_some() || lent.opening || !lent.holders.is_empty())
    }

    /// Whether a source was copied to memory.
    pub(super) fn is_in_memory(&self, source: SourceId) -> bool {
        let opened = self.lent.get(&source).and_then(|lent| lent.opened.as_ref());
        opened.is_some_and(|opened| matches!(opened.payload, Payload::Heap(_)))
    }

    /// Whether a shard may be sending a source's bytes from disk.
    pub(super) fn is_lent_from_disk(&self, source: SourceId) -> bool {
        let opened = self.lent.get(&source).and_then(|lent| lent.opened.as_ref());
        opened.is_some_and(|opened| matches!(opened.payload, Payload::File(_)))
    }

    fn refuse_all(&mut self, shards: Vec<u16>, source: SourceId, fault: OpenFault) {
        for shard in shards {
            self.refuse(shard, source, fault);
        }
    }

    fn refuse(&mut self, shard: u16, source: SourceId, fault: OpenFault) {
        self.send(shard, Update::Failed(source, fault));
    }

    fn send(&mut self, shard: u16, update: Update) {
        // A shard must know the listing that an answer is about.
        self.send_listings();
        match self.shards.get_mut(usize::from(shard)) {
            Some(outbox) => outbox.send(update),
            None => tracing::error!("a message from shard {shard}, which does not exist"),
        }
    }
}
