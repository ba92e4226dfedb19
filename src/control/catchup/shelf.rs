//! Texts that were written: told to the shards, taken back when they change or take too much room.
//!
//! A text that is complete stays until what it lists is kept no longer; one that grows is taken
//! back with the next segment, so that whoever asks then gets a newer one. The oldest go first when
//! there are too many.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use tokio::sync::oneshot;

use super::write::{Refused, Text};
use crate::config::{Access, CATCH_UP_TEXTS_MAX, CATCH_UP_TEXTS_SIZE_MAX, CATCH_UP_WAITING_MAX};
use crate::live::catchup::address::Address;
use crate::live::catchup::excerpt::{Form, basis};
use crate::live::record::Recorded;
use crate::live::records::Records;
use crate::messages::mail::Outbox;
use crate::messages::{Change, Listing, SourceId, SourceKind, Update};
use crate::units::Rung;

type Outcome = Result<Arc<Text>, Refused>;

/// The shelf.
#[derive(Debug)]
pub struct Shelf {
    records: Arc<Records>,
    outboxes: Vec<Outbox>,
    texts: HashMap<Arc<str>, Arc<Text>>,
    /// Oldest first; a text that was replaced since is passed over.
    order: VecDeque<(Arc<str>, SourceId)>,
    size: usize,
    /// Numbers of the oldest segments of each channel that has texts, as they were when it was
    /// looked last; none of a channel that is gone.
    oldest: HashMap<String, Option<Vec<i64>>>,
    waiting: HashMap<Arc<str>, Vec<oneshot::Sender<Outcome>>>,
    /// What renditions take, by their folders.
    rungs: HashMap<Arc<str>, Rung>,
}

/// Renditions of which it is remembered what they take: thousands of channels. Beyond it all are
/// forgotten, and remembered anew with their next texts.
const RUNGS_MAX: usize = 65_536;

/// What one who asks gets.
pub enum Taken {
    /// It is there.
    Text(Arc<Text>),
    /// It will be; whether this is the first who waits for it.
    Waits(oneshot::Receiver<Outcome>, bool),
    /// Too many others are waited for.
    Full,
}

impl Shelf {
    /// An empty one.
    pub fn new(records: Arc<Records>, outboxes: Vec<Outbox>) -> Self {
        Self {
            records,
            outboxes,
            texts: HashMap::new(),
            order: VecDeque::new(),
            size: 0,
            oldest: HashMap::new(),
            waiting: HashMap::new(),
            rungs: HashMap::new(),
        }
    }

    /// Whether nothing has to be looked after.
    pub fn is_idle(&self) -> bool {
        self.texts.is_empty() && self.outboxes.iter().all(Outbox::is_empty)
    }

    /// What lies at this path, if it still holds.
    pub fn take(&mut self, path: &str, now_micros: i64) -> Taken {
        if let Some(text) = self.texts.get(path)
            && self.holds(path, text, now_micros)
        {
            return Taken::Text(Arc::clone(text));
        }
        let is_first = !self.waiting.contains_key(path);
        if is_first && self.waiting.len() >= CATCH_UP_WAITING_MAX {
            return Taken::Full;
        }
        let (told, tells) = oneshot::channel();
        self.waiting.entry(path.into()).or_default().push(told);
        Taken::Waits(tells, is_first)
    }

    /// A text was written, or can't be: whoever waits for it gets it.
    pub fn put(&mut self, path: &Arc<str>, access: Access, text: Result<Text, Refused>) {
        let text = text.map(Arc::new);
        let outcome = text.clone();
        let mut batch = Vec::new();
        match text {
            Ok(text) => {
                let opened = Arc::clone(&text.opened);
                let (source, kind) = (opened.source, SourceKind::File);
                let change = Change::Present { source, kind, access, opened: Some(opened) };
                // Whoever has the text may ask for what it names.
                let rungs = text.rungs.iter().map(|of| self.rung(of));
                batch.extend(rungs);
                batch.push(Listing { path: Arc::clone(path), change });
                self.size += text.size();
                self.order.push_back((Arc::clone(path), text.opened.source));
                if let Some(old) = self.texts.insert(Arc::clone(path), text) {
                    self.size -= old.size();
                }
                self.make_room(&mut batch);
            }
            Err(_) => self.remove(path, &mut batch),
        }
        // Shards know it before those who asked do, so that nobody asks again.
        self.tell(batch);
        for waits in self.waiting.remove(path).unwrap_or_default() {
            // Who has gone in the meantime needs nothing.
            let _ = waits.send(outcome.clone());
        }
    }

    /// What a rendition takes, for shards. One that was the lowest of some stretch of time stays
    /// everybody's: of another stretch it would be refused to who is offered nothing else here.
    fn rung(&mut self, (folder, rung): &(Arc<str>, Rung)) -> Listing {
        if self.rungs.len() >= RUNGS_MAX {
            self.rungs.clear();
        }
        let known = self.rungs.entry(Arc::clone(folder)).or_insert(*rung);
        *known = Rung { is_capped: known.is_capped && rung.is_capped, ..*rung };
        Listing { path: Arc::clone(folder), change: Change::Rung(*known) }
    }

    /// Takes back what does not hold any more, and sends what found no room.
    pub fn look(&mut self, now_micros: i64) {
        let trimmed = self.trimmed();
        let stale = |(path, text): (&Arc<str>, &Arc<Text>)| {
            // Nothing is added to what is complete, so there is nothing to look at otherwise.
            let may_be = text.basis.form != Form::Complete || trimmed.contains(&text.channel);
            (may_be && !self.holds(path, text, now_micros)).then(|| Arc::clone(path))
        };
        let stale: Vec<_> = self.texts.iter().filter_map(stale).collect();
        let mut batch = Vec::new();
        for path in stale {
            self.remove(&path, &mut batch);
        }
        self.tell(batch);
        for outbox in &mut self.outboxes {
            outbox.flush();
        }
    }

    /// Channels of which the oldest segments have changed since this was asked last.
    fn trimmed(&mut self) -> HashSet<String> {
        let before = std::mem::take(&mut self.oldest);
        let mut trimmed = HashSet::new();
        for text in self.texts.values() {
            if self.oldest.contains_key(&text.channel) {
                continue;
            }
            let oldest = self.records.with(&text.channel, |record| {
                let first = |one: &Recorded| one.segments.first().map_or(-1, |kept| kept.number);
                record.renditions.iter().map(first).collect()
            });
            if before.get(&text.channel) != Some(&oldest) {
                trimmed.insert(text.channel.clone());
            }
            self.oldest.insert(text.channel.clone(), oldest);
        }
        trimmed
    }

    /// Whether a text says what would be written now.
    fn holds(&self, path: &str, text: &Text, now_micros: i64) -> bool {
        let Ok(address) = Address::read(path) else { return false };
        let basis = |record: &_| basis(record, address.stretch, address.text, now_micros);
        self.records.with(&text.channel, basis).is_some_and(|basis| basis == text.basis)
    }

    fn remove(&mut self, path: &Arc<str>, batch: &mut Vec<Listing>) {
        let Some(text) = self.texts.remove(path) else { return };
        self.size -= text.size();
        batch.push(Listing { path: Arc::clone(path), change: Change::Absent });
    }

    /// The oldest go until the others fit.
    fn make_room(&mut self, batch: &mut Vec<Listing>) {
        while self.texts.len() > CATCH_UP_TEXTS_MAX || self.size > CATCH_UP_TEXTS_SIZE_MAX {
            let Some((path, source)) = self.order.pop_front() else { break };
            if is_newest(&self.texts, &path, source) {
                self.remove(&path, batch);
            }
        }
        if self.order.len() > 2 * self.texts.len() + 64 {
            let texts = &self.texts;
            self.order.retain(|(path, source)| is_newest(texts, path, *source));
        }
    }

    fn tell(&mut self, batch: Vec<Listing>) {
        if batch.is_empty() {
            return;
        }
        let batch: Arc<[Listing]> = batch.into();
        for outbox in &mut self.outboxes {
            outbox.send(Update::Listed(Arc::clone(&batch)));
        }
    }
}

/// Whether a text is the one that lies at its path.
fn is_newest(texts: &HashMap<Arc<str>, Arc<Text>>, path: &str, source: SourceId) -> bool {
    texts.get(path).is_some_and(|text| text.opened.source == source)
}
