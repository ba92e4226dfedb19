//! The way to the shards: every message once a shard, what does not fit kept until it does.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::config::Access;
use crate::live::playlist::ladder::{self, Ladder};
use crate::messages::mail::Outbox;
use crate::messages::{
    Change, GrowingId, Growth, Index, Laid, Listing, OpenFault, Opened, Payload, Single, SourceId,
    SourceKind, Update,
};
use crate::units::{Class, ETag, Extent, Rung, UnixTime, Variant, media_type};

use super::output::Stamp;
use super::slab::Ledger;
use super::squeeze::{Results, Squeezer};

/// How long what found no room waits before it is tried again.
const FLUSH_AGAIN: Duration = Duration::from_millis(5);

/// What all channels of a thread share.
#[derive(Clone, Debug)]
pub struct Post {
    shared: Rc<Shared>,
}

#[derive(Debug)]
struct Shared {
    outboxes: RefCell<Vec<Outbox>>,
    ledger: Ledger,
    squeezer: RefCell<Squeezer>,
    /// Rings when something waits for room.
    waiting: Notify,
    next: Cell<u64>,
    /// How many are at something of which shards are to hear at its end.
    held: Cell<u32>,
}

/// As long as this lives, shards that sleep are not woken by what they are told.
#[derive(Debug)]
pub struct Held(Post);

impl Drop for Held {
    fn drop(&mut self) {
        let shared = &self.0.shared;
        shared.held.set(shared.held.get() - 1);
        if shared.held.get() == 0 {
            shared.outboxes.borrow_mut().iter_mut().for_each(Outbox::release);
        }
    }
}

/// Bytes that lie somewhere, and what they are.
#[derive(Debug)]
pub struct Described {
    /// Where they lie.
    pub placed: (Payload, Extent),
    /// Their tag.
    pub etag: ETag,
    /// Their media type.
    pub media_type: &'static str,
    /// Their class.
    pub class: Class,
    /// `Last-Modified`.
    pub modified: UnixTime,
}

impl Post {
    /// To these shards; what comes of compressing texts is for `squeeze_for_ever`.
    #[must_use]
    pub fn new(outboxes: Vec<Outbox>, ledger: Ledger) -> (Self, Results) {
        let outboxes = RefCell::new(outboxes);
        let (squeezer, results) = Squeezer::new();
        let (squeezer, waiting, next) = (RefCell::new(squeezer), Notify::new(), Cell::new(0));
        let held = Cell::new(0);
        let shared = Shared { outboxes, ledger, squeezer, waiting, next, held };
        (Self { shared: Rc::new(shared) }, results)
    }

    /// What their bytes may take.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        self.shared.ledger.clone()
    }

    /// Several things are told at once: shards are woken by the last of them.
    #[must_use]
    pub fn hold(&self) -> Held {
        self.shared.held.set(self.shared.held.get() + 1);
        self.shared.outboxes.borrow_mut().iter_mut().for_each(Outbox::hold);
        Held(self.clone())
    }

    fn send(&self, update: impl Fn() -> Update) {
        let mut is_empty = true;
        for outbox in &mut *self.shared.outboxes.borrow_mut() {
            outbox.send(update());
            is_empty &= outbox.is_empty();
        }
        if !is_empty {
            self.shared.waiting.notify_one();
        }
    }

    /// Sends what did not fit, until it has.
    pub async fn flush_for_ever(self) {
        loop {
            self.shared.waiting.notified().await;
            while !self.flush() {
                tokio::time::sleep(FLUSH_AGAIN).await;
            }
        }
    }

    /// A client would have taken this text gzipped.
    pub fn squeeze(&self, source: SourceId) {
        self.shared.squeezer.borrow_mut().asked(source);
    }

    /// Tells of texts when they are gzipped.
    pub async fn squeeze_for_ever(self, mut results: Results) {
        while let Some(squeezed) = results.recv().await {
            let source = SourceId::of_live(self.number());
            let listing = self.shared.squeezer.borrow_mut().listing(squeezed, source);
            self.list(&mut listing.into_iter().collect());
        }
    }

    fn flush(&self) -> bool {
        let mut all = true;
        for outbox in &mut *self.shared.outboxes.borrow_mut() {
            all &= outbox.flush();
        }
        all
    }

    fn number(&self) -> u64 {
        let number = self.shared.next.get();
        self.shared.next.set(number + 1);
        number
    }

    /// Tells all shards of these, and empties the batch.
    pub fn list(&self, batch: &mut Vec<Listing>) {
        if !batch.is_empty() {
            let gone = batch.iter().filter(|listing| matches!(listing.change, Change::Absent));
            let mut squeezer = self.shared.squeezer.borrow_mut();
            gone.for_each(|listing| squeezer.remove(&listing.path));
            let listings: Arc<[Listing]> = std::mem::take(batch).into();
            self.send(|| Update::Listed(Arc::clone(&listings)));
        }
    }

    /// Tells of an object that grows; without a number it is a new one.
    pub fn grow(&self, growing: Option<GrowingId>, growth: Growth) -> GrowingId {
        let growing = growing.unwrap_or_else(|| GrowingId(self.number()));
        self.send(|| Update::Growing(growing, growth.clone()));
        growing
    }

    /// The listing of what is made when somebody wants it, and by which number that is said.
    #[must_use]
    pub fn on_demand(&self, path: &str, access: Access) -> (SourceId, Listing) {
        let source = SourceId::of_live(self.number());
        let change = Change::Present { source, kind: SourceKind::File, access, opened: None };
        (source, Listing { path: path.into(), change })
    }

    /// What somebody wants can't be made now.
    pub fn fail(&self, source: SourceId) {
        self.send(|| Update::Failed(source, OpenFault::Exhausted));
    }

    /// Asks all shards whether anybody watches this.
    pub fn ask_for_viewers(&self, folder: &str, stream: GrowingId) {
        let folder: Arc<str> = folder.into();
        self.send(|| Update::IsWatched(Arc::clone(&folder), stream));
    }

    /// Bytes as shards hold them.
    #[must_use]
    pub fn opened(&self, described: Described) -> Arc<Opened> {
        let Described { placed: (payload, extent), etag, media_type, class, modified } = described;
        let identity = Variant { extent, etag };
        let (narrowed, rung) = (Box::default(), Rung::default());
        let single = Single { media_type, class, modified, identity, gzip: None, narrowed, rung };
        self.opened_as(single, payload)
    }

    fn opened_as(&self, single: Single, payload: Payload) -> Arc<Opened> {
        let source = SourceId::of_live(self.number());
        Arc::new(Opened { source, index: Index::Single(single), payload, beside: None })
    }

    /// The listing of an object.
    #[must_use]
    pub fn object(&self, path: &str, described: Described, access: Access) -> Listing {
        listing_of(path, self.opened(described), access)
    }

    /// The listing of a text that names renditions, with what it is for who may not have them all.
    #[must_use]
    pub fn choice(&self, path: &str, text: &str, access: Access, stamp: Stamp) -> Listing {
        let ladder = ladder::narrowed(Class::of(path), text);
        self.laid(path, (text.as_bytes(), &ladder), access, stamp)
    }

    /// The listing of a text or a header, which lies in heap memory.
    #[must_use]
    pub fn text(&self, path: &str, bytes: &[u8], access: Access, stamp: Stamp) -> Listing {
        self.laid(path, (bytes, &Ladder::default()), access, stamp)
    }

    fn laid(
        &self,
        path: &str,
        (bytes, ladder): (&[u8], &Ladder),
        access: Access,
        stamp: Stamp,
    ) -> Listing {
        let mut squeezer = self.shared.squeezer.borrow_mut();
        let laid = Laid::of(bytes, ladder, |text| squeezer.at_once(path, text));
        let single = Single {
            media_type: media_type(path),
            class: if path.ends_with(".mp4") { Class::Init } else { Class::of(path) },
            modified: stamp.unix(),
            identity: laid.identity,
            gzip: laid.gzip,
            narrowed: laid.narrowed,
            rung: Rung::default(),
        };
        let opened = self.opened_as(single, Payload::Heap(laid.bytes));
        let listing = listing_of(path, Arc::clone(&opened), access);
        squeezer.published(&listing.path, &opened, access);
        listing
    }
}

/// The listing of what is there.
fn listing_of(path: &str, opened: Arc<Opened>, access: Access) -> Listing {
    let (source, kind) = (opened.source, SourceKind::File);
    let change = Change::Present { source, kind, access, opened: Some(opened) };
    Listing { path: path.into(), change }
}
