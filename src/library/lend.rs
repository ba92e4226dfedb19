//! Sources are opened once, lent to shards, and closed when the last shard has let go.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::error::{shown, told};
use super::names::Name;
use super::opener::{Job, Outcome, Refused, ToOpen};
use super::run::Library;
use super::version::Version;
use super::watch::Hint;
use crate::config::OPEN_RETRY_MS;
use crate::messages::{Fault, Index, OpenFault, Opened, Payload, SourceId, Update};

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
    /// Why it can't be served.
    failed: Option<Failed>,
    /// Bytes of it that are counted as those of a list: from when it is asked to be copied.
    counted: usize,
    /// Its place in the order in which packs are asked about, if its index is counted.
    turn: u64,
}

impl Lent {
    /// Whether somebody uses it, or is about to.
    pub(super) fn is_used(&self) -> bool {
        self.opened.is_some() || self.opening || !self.holders.is_empty()
    }
}

/// Why a source can't be served.
#[derive(Clone, Copy, Debug)]
enum Failed {
    /// Its bytes are proven to be wrong, or could not be read under a transfer: until it changes.
    Damaged,
    /// It could not be opened: not tried again before then.
    Until(Instant),
}

/// Indexes of open packs: what they take, and the order in which shards are asked about them.
#[derive(Debug, Default)]
pub(super) struct Indexes {
    bytes: usize,
    /// Open packs by their turn, the one that was asked about last at the end.
    turns: BTreeMap<u64, SourceId>,
    turn: u64,
}

/// Packs that shards are asked about for each that is opened beyond the limit. Packs that were used
/// since they were asked about last stay, so the limit can be exceeded by an eighth.
const SPARED_AT_ONCE: usize = 8;

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
        match lent.failed {
            Some(Failed::Damaged) => return self.refuse(shard, source, OpenFault::Damaged),
            Some(Failed::Until(then)) if Instant::now() < then => {
                return self.refuse(shard, source, OpenFault::Exhausted);
            }
            _ => {}
        }
        if let Some(opened) = lent.opened.clone() {
            lent.failed = None;
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
        let Some(name) = self.sources.get(&source).cloned() else { return };
        let why = told(fault);
        match fault {
            Fault::Truncated | Fault::Unreadable(libc::EIO | libc::EFAULT) => {
                self.note_damage(source, &name, &why);
            }
            // It says nothing about the bytes.
            Fault::Unreadable(_) => self.note_passing(source, &name, &why, "look at the system"),
        }
    }

    /// Logs that a source is no good, and refuses it until it changes.
    pub(super) fn note_damage(&mut self, source: SourceId, name: &Name, why: &str) {
        let lent = self.lent.entry(source).or_default();
        if let Some(Failed::Damaged) = lent.failed.replace(Failed::Damaged) {
            return;
        }
        let path = self.shown(name);
        tracing::error!("shardcast: serving {path}: {why} (replace the file; the rest is served)");
        // Who holds it keeps it until it says that it has let go; nobody else gets it.
        self.close_if_unused(source);
    }

    /// Takes a source that is no good from all shards that hold it: their transfers of it are
    /// reset, and whoever asks for it hears that it is damaged. It is listed under a new number, so
    /// that what is still said of the old one does not open it again.
    pub(super) fn take_back(&mut self, source: SourceId, name: &Name) {
        if self.names.told(&name.public) == Some(source) {
            self.withdraw_torn(name);
            self.tell_of(name);
        }
    }

    /// What is known against a source holds for the number that takes its place, too. Says how many
    /// bytes of it are counted as those of a list.
    pub(super) fn pass_on(&mut self, old: SourceId, fresh: SourceId) -> usize {
        let Some(lent) = self.lent.get(&old) else { return 0 };
        let (failed, counted) = (lent.failed, lent.counted);
        if failed.is_some() {
            self.lent.insert(fresh, Lent { failed, ..Lent::default() });
        }
        counted
    }

    /// Opens a list before anybody asks. Its bytes are counted from now on.
    pub(super) fn open_unasked(&mut self, source: SourceId, size: usize) {
        if let Some(name) = self.sources.get(&source).cloned() {
            self.open_source(source, &name, Vec::new(), false);
        }
        if let Some(lent) = self.lent.get_mut(&source) {
            lent.counted = size;
            self.list_bytes += size;
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
        let is_damaged = matches!(lent.failed, Some(Failed::Damaged));
        let Some(name) = self.sources.get(&source).cloned() else {
            // It was replaced meanwhile; what was read may be the newer bytes.
            self.forget_lent(source);
            return self.refuse_all(waiting, source, OpenFault::Missing);
        };
        if is_damaged {
            // Its payload was found to be damaged meanwhile.
            return self.refuse_all(waiting, source, OpenFault::Damaged);
        }
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
            self.forget_lent(source);
            self.refuse_all(waiting, source, OpenFault::Missing);
            return self.look_again(name);
        }
        // Nobody has seen a byte of the listed version, so the number may as well stand for this.
        shelved.version = version;
        let is_first = !std::mem::replace(&mut lent.bound, true);
        let was_ready = std::mem::replace(&mut shelved.ready, true);
        if lent.counted > 0
            && let Payload::Heap(bytes) = &opened.payload
        {
            self.list_bytes = self.list_bytes - lent.counted + bytes.len();
            lent.counted = bytes.len();
        }
        lent.failed = None;
        lent.opened = Some(Arc::clone(&opened));
        lent.turn = self.indexes.add(&opened);
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
        self.spare_packs(source);
    }

    /// Asks shards to let go of packs that they do not use, if indexes take more memory than they
    /// may. `newest` has just been opened, and is not asked about.
    fn spare_packs(&mut self, newest: SourceId) {
        for _ in 0..SPARED_AT_ONCE {
            if self.indexes.bytes <= self.limits.index_memory {
                return;
            }
            let Some((_, source)) = self.indexes.turns.pop_first() else { return };
            let lent = self.lent.get_mut(&source).expect("what is counted is lent");
            lent.turn = self.indexes.last_turn(source);
            if source != newest {
                for shard in lent.holders.clone() {
                    self.send(shard, Update::Spare(source));
                }
            }
        }
    }

    fn handle_refused(
        &mut self,
        name: &Name,
        source: SourceId,
        refused: Refused,
        waiting: Vec<u16>,
    ) {
        let fault = match &refused {
            Refused::Damaged(why) => {
                self.note_damage(source, name, why);
                OpenFault::Damaged
            }
            Refused::Exhausted(why) => {
                self.note_passing(source, name, why, "raise LimitNOFILE or open fewer sources");
                OpenFault::Exhausted
            }
            Refused::Unreadable(why) => {
                self.note_passing(source, name, why, "look at the disk");
                OpenFault::Exhausted
            }
            Refused::Missing | Refused::Unfinished => OpenFault::Missing,
        };
        self.refuse_all(waiting, source, fault);
        match refused {
            // A list that was to be copied before it is listed is listed without.
            Refused::Damaged(_) | Refused::Exhausted(_) | Refused::Unreadable(_) => {
                if let Some(lent) = self.lent.get_mut(&source) {
                    self.list_bytes -= std::mem::take(&mut lent.counted);
                }
                if let Some(shelved) = self.names.get_mut(name) {
                    shelved.ready = true;
                }
                self.tell_of(name);
            }
            Refused::Missing | Refused::Unfinished => {
                self.forget_lent(source);
                self.unshelve(name, false);
                self.look_again(name);
            }
        }
    }

    /// Notes that a source could not be opened or read now, and when to try again. The log says so
    /// once until the source has been opened.
    fn note_passing(&mut self, source: SourceId, name: &Name, why: &str, remedy: &str) {
        let again = Failed::Until(Instant::now() + Duration::from_millis(OPEN_RETRY_MS));
        let before = self.lent.get_mut(&source).and_then(|lent| lent.failed.replace(again));
        if before.is_none() {
            tracing::warn!(
                "shardcast: reading {}: {why} ({remedy}; after {OPEN_RETRY_MS} ms a request tries \
                 again)",
                self.shown(name)
            );
        }
    }

    /// Where the file of a name lies, for the log.
    pub(super) fn shown(&self, name: &Name) -> String {
        shown(&self.roots[usize::from(name.root)].folder.join(self.below(name)))
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
                return self.forget_lent(source);
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
            self.indexes.remove(&opened, lent.turn);
            self.pool.add(Job::Close(opened), false);
        }
        if !current {
            self.forget_lent(source);
        }
    }

    /// Forgets a source, and what is counted of it.
    fn forget_lent(&mut self, source: SourceId) {
        let Some(lent) = self.lent.remove(&source) else { return };
        self.list_bytes -= lent.counted;
        if let Some(opened) = lent.opened {
            self.indexes.remove(&opened, lent.turn);
            self.pool.add(Job::Close(opened), false);
        }
    }

    /// What goes with a listing: the source, if it is open already.
    pub(super) fn lend_to_all(&mut self, source: SourceId) -> Option<Arc<Opened>> {
        let shards = u16::try_from(self.shards.len()).unwrap_or(u16::MAX);
        let lent = self.lent.get_mut(&source).filter(|lent| lent.failed.is_none())?;
        let opened = lent.opened.clone()?;
        lent.holders = (0..shards).collect();
        Some(opened)
    }

    /// Whether somebody uses a source, or is about to.
    pub(super) fn is_lent(&self, source: SourceId) -> bool {
        self.lent.get(&source).is_some_and(Lent::is_used)
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

impl Indexes {
    fn add(&mut self, opened: &Opened) -> u64 {
        let Index::Pack(index) = &opened.index else { return 0 };
        self.bytes += index.memory_size();
        self.last_turn(opened.source)
    }

    fn remove(&mut self, opened: &Opened, turn: u64) {
        if let Index::Pack(index) = &opened.index {
            self.bytes -= index.memory_size();
            self.turns.remove(&turn);
        }
    }

    fn last_turn(&mut self, source: SourceId) -> u64 {
        self.turn += 1;
        self.turns.insert(self.turn, source);
        self.turn
    }
}
