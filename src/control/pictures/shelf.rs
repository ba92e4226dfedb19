//! Variants that shards serve: listed on every one of them as long as they take no more memory than
//! they may. The oldest go first, and are read from the disk when somebody asks again.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tokio::sync::oneshot;

use super::Refused;
use super::decode::Form;
use crate::config::{Access, PICTURE_JOBS_MAX, VARIANTS_MEMORY_MAX};
use crate::messages::mail::Outbox;
use crate::messages::{
    Change, Index, Listing, Opened, Payload, Single, SourceId, SourceKind, Update,
};
use crate::units::{Class, ETag, Extent, Rung, UnixTime, Variant};

/// A variant, as it is served.
#[derive(Clone, Debug)]
pub struct Shown {
    /// Its bytes, as shards have them.
    pub opened: Arc<Opened>,
    /// What they are.
    pub form: Form,
    /// Which they are.
    pub identity: Variant,
}

impl Shown {
    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.opened.in_memory(self.identity.extent).unwrap_or_default()
    }
}

/// What came of a question.
pub type Outcome = Result<Arc<Shown>, Refused>;

/// The shelf.
#[derive(Debug)]
pub struct Shelf {
    outboxes: Vec<Outbox>,
    shown: HashMap<Arc<str>, Arc<Shown>>,
    /// Oldest first; one that was taken away since is passed over.
    order: VecDeque<(Arc<str>, SourceId)>,
    size: usize,
    size_max: usize,
    count: u64,
    waiting: HashMap<Arc<str>, Vec<oneshot::Sender<Outcome>>>,
}

/// What one who asks gets.
#[derive(Debug)]
pub enum Taken {
    /// It is there.
    Shown(Arc<Shown>),
    /// It will be; whether this is the first who waits for it.
    Waits(oneshot::Receiver<Outcome>, bool),
    /// Too many others are waited for.
    Full,
}

impl Shelf {
    /// An empty one, of these shards.
    #[must_use]
    pub fn new(outboxes: Vec<Outbox>) -> Self {
        Self {
            outboxes,
            shown: HashMap::new(),
            order: VecDeque::new(),
            size: 0,
            size_max: VARIANTS_MEMORY_MAX,
            count: 0,
            waiting: HashMap::new(),
        }
    }

    /// Whether every shard knows all that it was told.
    #[must_use]
    pub fn is_told(&self) -> bool {
        self.outboxes.iter().all(Outbox::is_empty)
    }

    /// Sends what found no room.
    pub fn flush(&mut self) {
        for outbox in &mut self.outboxes {
            outbox.flush();
        }
    }

    /// What is at this path.
    pub fn take(&mut self, path: &str) -> Taken {
        if let Some(shown) = self.shown.get(path) {
            return Taken::Shown(Arc::clone(shown));
        }
        let is_first = !self.waiting.contains_key(path);
        if is_first && self.waiting.len() >= PICTURE_JOBS_MAX {
            return Taken::Full;
        }
        let (told, tells) = oneshot::channel();
        self.waiting.entry(path.into()).or_default().push(told);
        Taken::Waits(tells, is_first)
    }

    /// A variant is there, or can't be: whoever waits for it gets it.
    pub fn put(&mut self, path: &str, variant: Result<(Vec<u8>, Form), Refused>) {
        let outcome = variant.map(|(bytes, form)| self.listed(path, bytes, form));
        for waits in self.waiting.remove(path).unwrap_or_default() {
            // Who has gone in the meantime needs nothing.
            let _ = waits.send(outcome.clone());
        }
    }

    /// Tells every shard of it.
    fn listed(&mut self, path: &str, bytes: Vec<u8>, form: Form) -> Arc<Shown> {
        self.count += 1;
        let source = SourceId::of_picture(self.count);
        let extent = Extent { offset: 0, size: bytes.len() as u64 };
        let identity = Variant { extent, etag: ETag::of(&bytes) };
        let index = Index::Single(Single {
            media_type: form.media_type(),
            class: Class::Other,
            modified: UnixTime(0),
            identity,
            gzip: None,
            narrowed: Box::default(),
            rung: Rung::default(),
        });
        self.size += bytes.len();
        let payload = Payload::Heap(bytes.into());
        let opened = Arc::new(Opened { source, index, payload, beside: None });
        let shown = Arc::new(Shown { opened: Arc::clone(&opened), form, identity });
        let path: Arc<str> = path.into();
        let (kind, access) = (SourceKind::File, Access::Open);
        let change = Change::Present { source, kind, access, opened: Some(opened) };
        let mut batch = vec![Listing { path: Arc::clone(&path), change }];
        self.order.push_back((Arc::clone(&path), source));
        if let Some(old) = self.shown.insert(path, Arc::clone(&shown)) {
            self.size -= old.bytes().len();
        }
        while self.size > self.size_max && self.shown.len() > 1 {
            let Some((path, source)) = self.order.pop_front() else { break };
            if self.shown.get(&path).is_some_and(|shown| shown.opened.source == source) {
                self.remove(&path, &mut batch);
            }
        }
        self.tell(batch);
        shown
    }

    /// Takes these paths away.
    pub fn take_away(&mut self, paths: impl Iterator<Item = String>) {
        let mut batch = Vec::new();
        paths.for_each(|path| self.remove(&path, &mut batch));
        let shown = &self.shown;
        self.order.retain(|(path, _)| shown.contains_key(path));
        self.tell(batch);
    }

    fn remove(&mut self, path: &str, batch: &mut Vec<Listing>) {
        let Some((path, shown)) = self.shown.remove_entry(path) else { return };
        self.size -= shown.bytes().len();
        batch.push(Listing { path, change: Change::Absent });
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc::Receiver;

    use super::*;
    use crate::messages::mail;

    fn shelf() -> (Shelf, Receiver<Update>) {
        let bell = Arc::new(tempfile::tempfile().unwrap());
        let (outbox, received) = mail::queue(bell);
        (Shelf::new(vec![outbox]), received)
    }

    /// What the shard was told: paths, with + and -.
    fn told(received: &Receiver<Update>) -> String {
        let word = |listing: &Listing| match listing.change {
            Change::Present { .. } => format!("+{} ", listing.path),
            _ => format!("-{} ", listing.path),
        };
        let batch = |update| match update {
            Update::Listed(batch) => batch.iter().map(word).collect::<String>(),
            other => panic!("{other:?}"),
        };
        received.try_iter().map(batch).collect()
    }

    #[test]
    fn one_makes_it_for_all_who_wait_and_shards_are_told() {
        let (mut shelf, received) = shelf();
        let Taken::Waits(mut first, true) = shelf.take("/a") else { panic!() };
        let Taken::Waits(mut second, false) = shelf.take("/a") else { panic!() };
        shelf.put("/a", Ok((b"abc".to_vec(), Form::Jpeg)));
        for waits in [&mut first, &mut second] {
            assert_eq!(waits.try_recv().unwrap().unwrap().bytes(), b"abc");
        }
        assert_eq!(told(&received), "+/a ");
        assert!(matches!(shelf.take("/a"), Taken::Shown(_)));
        shelf.take_away(["/a".to_owned(), "/b".to_owned()].into_iter());
        assert_eq!((told(&received).as_str(), shelf.size), ("-/a ", 0));
    }

    #[test]
    fn the_oldest_go_when_they_take_too_much() {
        let (mut shelf, received) = shelf();
        shelf.size_max = 10;
        for path in ["/a", "/b", "/c"] {
            shelf.put(path, Ok((vec![0; 4], Form::Png)));
        }
        assert_eq!((told(&received).as_str(), shelf.size), ("+/a +/b +/c -/a ", 8));
        // One alone stays, whatever it takes.
        shelf.put("/d", Ok((vec![0; 40], Form::Png)));
        assert_eq!((told(&received).as_str(), shelf.shown.len()), ("+/d -/b -/c ", 1));
    }
}
