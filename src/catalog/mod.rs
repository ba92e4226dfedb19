//! What one shard knows of objects: paths, open sources, growing objects, leases.
//!
//! The two journeys meet only here: updates change it (`apply`), requests look things up in it
//! (`vod`, `live`). It is owned by one shard; its counts are plain integers, and it takes one
//! shared reference an update, never one a request. It knows no file, no clock and no socket.

mod films;
mod found;
mod growing;
mod ladders;
mod renditions;
mod archived;
mod live;
mod source;
mod vod;
#[cfg(test)]
mod tests;

use std::rc::Rc;
use std::sync::Arc;

use ahash::AHashMap;

use crate::config::Access;
use crate::messages::{Change, GrowingId, Listing, Made, OpenFault, Opened, SourceId, SourceKind};
use crate::request::locate::{self, Place};
use crate::units::{Extent, Rung};

pub use found::Found;
use growing::Growing;
pub use growing::{GrowingState, Piece};
pub use renditions::RenditionSlot;
use renditions::Renditions;
use source::{Source, State};

/// An open source as a shard holds it: the inner reference is taken once an update and shared by
/// all shards, the outer one is the shard's own plain count, and may be taken for each operation.
pub type Held = Rc<Arc<Opened>>;

/// A source's place in the catalog. Not used for another source while a lease is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SourceSlot(u32);

/// A growing object's place in the catalog. Not used for another one while a lease is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GrowingSlot(u32);

/// What an update makes the driver do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Requests that wait here can go on.
    Release(Place),
    /// Responses of this growing object can go on.
    Grown(GrowingSlot),
    /// The library may close this source.
    LetGo(SourceId),
    /// Transfers of this source must be reset: its bytes may have changed under them.
    Reset(SourceSlot),
}

/// What a shard may keep open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Open sources.
    pub sources: usize,
    /// Bytes of files held in memory.
    pub heap_bytes: usize,
}

/// Everything one shard knows of objects.
#[derive(Debug)]
pub struct Catalog {
    /// Packs by path.
    packs: AHashMap<Arc<str>, SourceSlot>,
    /// Files of folders by path.
    files: AHashMap<Arc<str>, SourceSlot>,
    films: films::Films,
    /// Paths that are expected.
    expected: AHashMap<Arc<str>, u32>,
    expected_next: u32,
    /// Channels that control answers for, by `/tv/{channel}`.
    asked: AHashMap<Arc<str>, Access>,
    sources: Vec<Source>,
    sources_free: Vec<SourceSlot>,
    ids: AHashMap<SourceId, SourceSlot>,
    growing_paths: AHashMap<Arc<str>, GrowingSlot>,
    growing_ids: AHashMap<GrowingId, GrowingSlot>,
    growing: Vec<Growing>,
    growing_free: Vec<GrowingSlot>,
    renditions: Renditions,
    /// Folders of channels, of which control may write what is past.
    channels: AHashMap<Arc<str>, Access>,
    archived: archived::Archives,
    /// Pieces that are there, of what is made piece by piece.
    pieces: AHashMap<SourceId, AHashMap<u32, Arc<[u8]>>>,
    /// What takes so much, if it is no rendition that is live: by its path or its folder.
    rungs: AHashMap<Arc<str>, Rung>,
    ladders: ladders::Ladders,
    capacity: Capacity,
    /// Listed sources that take a token.
    token_count: usize,
    open_count: usize,
    heap_bytes: usize,
    /// Where the search for something to close goes on.
    hand: usize,
}

impl Catalog {
    /// An empty catalog.
    #[must_use]
    pub fn new(capacity: Capacity) -> Self {
        Self {
            packs: AHashMap::new(),
            files: AHashMap::new(),
            films: films::Films::default(),
            expected: AHashMap::new(),
            expected_next: 0,
            asked: AHashMap::new(),
            sources: Vec::new(),
            sources_free: Vec::new(),
            ids: AHashMap::new(),
            growing_paths: AHashMap::new(),
            growing_ids: AHashMap::new(),
            growing: Vec::new(),
            growing_free: Vec::new(),
            renditions: Renditions::default(),
            channels: AHashMap::new(),
            archived: archived::Archives::default(),
            pieces: AHashMap::new(),
            rungs: AHashMap::new(),
            ladders: ladders::Ladders::default(),
            capacity,
            token_count: 0,
            open_count: 0,
            heap_bytes: 0,
            hand: 0,
        }
    }

    /// Whether it is something live that is made when somebody wants it.
    fn is_on_demand(&self, slot: SourceSlot) -> bool {
        let source = &self.sources[slot.0 as usize];
        source.id.is_live() && matches!(source.state, State::Closed | State::Opening)
    }

    /// Says that a closed source is wanted; true if somebody must be asked to open it.
    pub fn want(&mut self, slot: SourceSlot) -> Option<SourceId> {
        let source = &mut self.sources[slot.0 as usize];
        if matches!(source.state, State::Closed) {
            source.state = State::Opening;
            return Some(source.id);
        }
        None
    }

    /// Says that nobody could be asked.
    pub fn unwant(&mut self, slot: SourceSlot) {
        let source = &mut self.sources[slot.0 as usize];
        if matches!(source.state, State::Opening) {
            source.state = State::Closed;
        }
    }

    /// The open source of an object that `locate` found in this turn, or that is leased.
    #[must_use]
    pub fn opened(&self, slot: SourceSlot) -> &Held {
        match &self.sources[slot.0 as usize] {
            Source { state: State::Open(opened), .. } => opened,
            Source { retired: Some(opened), .. } => opened,
            _ => unreachable!("a leased source stays open"),
        }
    }

    /// What a source is, and how many bytes of the path under which it is listed there are.
    #[must_use]
    pub fn listed_as(&self, slot: SourceSlot) -> (SourceKind, usize) {
        let source = &self.sources[slot.0 as usize];
        (source.kind, source.path_size as usize)
    }

    /// The object with this key, which `locate` found in this turn, or whose source is leased.
    #[must_use]
    pub fn entry(&self, key: locate::ObjectKey) -> locate::Object<'_> {
        let opened = self.opened(key.source);
        let source = &self.sources[key.source.0 as usize];
        locate::Object {
            key,
            source: source.id,
            entry: source::facts(opened, key.entry),
            opened,
            kind: source.kind,
            rung: Rung::default(),
        }
    }

    /// Whether transfers of this source must end (see `Effect::Reset`).
    #[must_use]
    pub fn is_torn(&self, slot: SourceSlot) -> bool {
        self.sources[slot.0 as usize].torn
    }

    /// Keeps a source while a response is being sent.
    pub fn lease(&mut self, slot: SourceSlot) {
        let source = &mut self.sources[slot.0 as usize];
        source.leases += 1;
        source.touched = true;
    }

    /// Gives a lease back; says which source the library may close, if this was the last one.
    pub fn give_back(&mut self, slot: SourceSlot) -> Option<SourceId> {
        let source = &mut self.sources[slot.0 as usize];
        assert!(source.leases > 0, "a lease is given back once");
        source.leases -= 1;
        if source.leases > 0 {
            return None;
        }
        if source.gone {
            return self.forget(slot);
        }
        // What a fault left open for running transfers has no use any more.
        source.retired.take().map(|_| source.id)
    }

    /// Which version of which source has this place.
    #[must_use]
    pub fn source_at(&self, slot: SourceSlot) -> SourceId {
        self.sources[slot.0 as usize].id
    }

    /// The place of a source that is listed or leased.
    #[must_use]
    pub fn slot_of(&self, source: SourceId) -> Option<SourceSlot> {
        self.ids.get(&source).copied()
    }

    /// A client would have taken it gzipped: the id to say so of, if that is something live and was
    /// not said yet.
    pub fn want_gzip(&mut self, slot: SourceSlot) -> Option<SourceId> {
        let source = &mut self.sources[slot.0 as usize];
        let is_said = std::mem::replace(&mut source.gzip_wanted, true);
        (!is_said && source.id.is_live()).then_some(source.id)
    }

    /// Marks a source as used, so that it stays open.
    pub fn touch(&mut self, slot: SourceSlot) {
        self.sources[slot.0 as usize].touched = true;
    }

    /// Marks a source as unusable; the id is for telling the library.
    pub fn mark_faulty(&mut self, slot: SourceSlot) -> SourceId {
        let source = &mut self.sources[slot.0 as usize];
        if let State::Open(opened) = &source.state {
            source.retired = Some(Rc::clone(opened));
            if !source.id.is_live() {
                self.open_count -= 1;
                self.heap_bytes -= source::heap_size(opened);
            }
            source.state = State::Failed(OpenFault::Damaged);
        }
        source.id
    }

    /// Changes what is known, and adds what follows from it to `effects`.
    pub fn list(&mut self, listings: &[Listing], effects: &mut Vec<Effect>) {
        for listing in listings {
            self.list_one(listing, effects);
        }
    }

    fn list_one(&mut self, listing: &Listing, effects: &mut Vec<Effect>) {
        let path = &listing.path;
        if !matches!(listing.change, Change::Expected)
            && let Some(place) = self.expected.remove(path)
        {
            effects.push(Effect::Release(Place::Path(place)));
        }
        match &listing.change {
            Change::Present { source, kind, access, opened } => {
                match self.listed(path, *kind) {
                    // The same version again: only who may have it can be new.
                    Some(slot) if self.sources[slot.0 as usize].id == *source => {
                        let old =
                            std::mem::replace(&mut self.sources[slot.0 as usize].access, *access);
                        self.token_count += usize::from(*access == Access::Token);
                        self.token_count -= usize::from(old == Access::Token);
                    }
                    _ => {
                        self.retire(path, *kind, false, effects);
                        let slot = self.add(*source, *kind, *access);
                        let size = u32::try_from(path.len()).unwrap_or(u32::MAX);
                        self.sources[slot.0 as usize].path_size = size;
                        let list = ladders::of_folder(path, *kind).then(|| Arc::clone(path));
                        self.sources[slot.0 as usize].path = list;
                        self.table(*kind).insert(Arc::clone(path), slot);
                        self.films.add(path, *kind);
                    }
                }
                if let Some(opened) = opened {
                    self.open(opened, effects);
                }
                // What grew is whole: whoever comes now gets it so.
                self.end_growing(path);
            }
            Change::Rung(rung) => drop(self.rungs.insert(Arc::clone(path), *rung)),
            Change::Rendition(news) => self.renditions.update(path, news, effects),
            Change::Channel(access) => {
                self.channels.insert(Arc::clone(path), *access);
            }
            Change::Archived(archived) => self.list_archived(path, archived, effects),
            Change::Asked(access) => {
                let old = self.asked.insert(Arc::clone(path), *access);
                self.token_count += usize::from(*access == Access::Token);
                self.token_count -= usize::from(old == Some(Access::Token));
            }
            Change::Unasked => {
                let asked = self.asked.remove(path);
                self.token_count -= usize::from(asked == Some(Access::Token));
            }
            Change::Expected => {
                if !self.expected.contains_key(path) {
                    self.expected_next = self.expected_next.wrapping_add(1);
                    self.expected.insert(Arc::clone(path), self.expected_next);
                }
            }
            Change::Absent | Change::Torn => {
                let torn = matches!(listing.change, Change::Torn);
                self.retire(path, SourceKind::Pack, torn, effects);
                self.retire(path, SourceKind::File, torn, effects);
                self.retire_archived(path, effects);
                self.end_growing(path);
                self.renditions.remove(path, effects);
                self.channels.remove(path);
                self.rungs.remove(path);
            }
        }
    }

    /// What is said of this path, or folder, that it takes.
    fn rung_at(&self, path: &str) -> Rung {
        self.rungs.get(path).copied().unwrap_or_default()
    }

    fn table(&mut self, kind: SourceKind) -> &mut AHashMap<Arc<str>, SourceSlot> {
        match kind {
            SourceKind::Pack => &mut self.packs,
            SourceKind::File => &mut self.files,
        }
    }

    fn listed(&mut self, path: &str, kind: SourceKind) -> Option<SourceSlot> {
        self.table(kind).get(path).copied()
    }

    /// Lets go of the source at a path; what still runs keeps it until its end.
    fn retire(&mut self, path: &str, kind: SourceKind, torn: bool, effects: &mut Vec<Effect>) {
        let Some(slot) = self.table(kind).remove(path) else { return };
        self.films.remove(path, kind);
        self.let_go(slot, torn, effects);
    }

    /// What is listed no more goes when nothing of it is being sent.
    fn let_go(&mut self, slot: SourceSlot, torn: bool, effects: &mut Vec<Effect>) {
        let source = &mut self.sources[slot.0 as usize];
        source.gone = true;
        if let Some(path) = &source.path {
            self.ladders.remove(path, source.id);
        }
        self.token_count -= usize::from(source.access == Access::Token);
        if matches!(source.state, State::Closed | State::Opening) {
            effects.push(Effect::Release(Place::Source(slot)));
        }
        if torn {
            source.torn = true;
            effects.push(Effect::Reset(slot));
        }
        if source.leases == 0
            && let Some(id) = self.forget(slot)
        {
            effects.push(Effect::LetGo(id));
        }
    }

    fn add(&mut self, id: SourceId, kind: SourceKind, access: Access) -> SourceSlot {
        self.token_count += usize::from(access == Access::Token);
        let source = Source::new(id, kind, access);
        let slot = match self.sources_free.pop() {
            Some(slot) => {
                self.sources[slot.0 as usize] = source;
                slot
            }
            None => {
                self.sources.push(source);
                let index = u32::try_from(self.sources.len() - 1).expect("fewer than 2^32 sources");
                SourceSlot(index)
            }
        };
        self.ids.insert(id, slot);
        slot
    }

    /// Frees a source's place. The id is for telling the library, if something was open.
    fn forget(&mut self, slot: SourceSlot) -> Option<SourceId> {
        let source = &mut self.sources[slot.0 as usize];
        debug_assert!(source.leases == 0 && source.gone);
        let id = source.id;
        let was_open = self.close(slot);
        if self.ids.get(&id) == Some(&slot) {
            self.ids.remove(&id);
        }
        self.pieces.remove(&id);
        self.sources_free.push(slot);
        was_open.then_some(id)
    }

    /// Drops what is open of a source.
    fn close(&mut self, slot: SourceSlot) -> bool {
        let source = &mut self.sources[slot.0 as usize];
        let retired = source.retired.take().is_some();
        if let State::Open(opened) = &source.state {
            if !source.id.is_live() {
                self.open_count -= 1;
                self.heap_bytes -= source::heap_size(opened);
            }
            source.state = State::Closed;
            return true;
        }
        retired
    }

    /// A source was opened. If it is not listed any more, it is let go at once.
    pub fn open(&mut self, opened: &Arc<Opened>, effects: &mut Vec<Effect>) {
        let Some(&slot) = self.ids.get(&opened.source) else {
            effects.push(Effect::LetGo(opened.source));
            return;
        };
        let source = &mut self.sources[slot.0 as usize];
        if matches!(source.state, State::Open(_)) {
            return;
        }
        source.state = State::Open(Rc::new(Arc::clone(opened)));
        if let (Some(path), Some(beside)) = (&source.path, &opened.beside) {
            self.ladders.add(path, source.id, beside);
        }
        source.touched = true;
        effects.push(Effect::Release(Place::Source(slot)));
        // What is live is there as long as it is listed, and bounded by its channel's window.
        if !opened.source.is_live() {
            self.open_count += 1;
            self.heap_bytes += source::heap_size(opened);
            self.make_room(slot, effects);
        }
    }

    /// What has become of a piece of a source.
    pub fn take_piece(&mut self, source: SourceId, number: u32, made: &Made) {
        let Made::There(bytes) = made else {
            if let Some(pieces) = self.pieces.get_mut(&source) {
                pieces.remove(&number);
            }
            return;
        };
        if self.ids.contains_key(&source) {
            self.pieces.entry(source).or_default().insert(number, Arc::clone(bytes));
        }
    }

    /// A piece that is there.
    #[must_use]
    pub fn piece_of(&self, source: SourceId, number: u32) -> Option<&Arc<[u8]>> {
        self.pieces.get(&source)?.get(&number)
    }

    /// Takes in an object that is listed nowhere, to answer with: it stays as long as there are
    /// leases on it. Whoever has answered abandons it.
    pub fn adopt(&mut self, opened: &Arc<Opened>) -> SourceSlot {
        if let Some(&slot) = self.ids.get(&opened.source) {
            return slot;
        }
        let slot = self.add(opened.source, SourceKind::File, Access::Open);
        let source = &mut self.sources[slot.0 as usize];
        source.state = State::Open(Rc::new(Arc::clone(opened)));
        source.gone = true;
        slot
    }

    /// Forgets what was taken in, unless it is being sent.
    pub fn abandon(&mut self, slot: SourceSlot) {
        let source = &self.sources[slot.0 as usize];
        if source.gone && source.leases == 0 && self.ids.get(&source.id) == Some(&slot) {
            self.forget(slot);
        }
    }

    /// A source could not be opened.
    pub fn fail(&mut self, id: SourceId, fault: OpenFault, effects: &mut Vec<Effect>) {
        let Some(&slot) = self.ids.get(&id) else { return };
        let source = &mut self.sources[slot.0 as usize];
        if matches!(source.state, State::Open(_)) {
            return;
        }
        source.state = State::Failed(fault);
        effects.push(Effect::Release(Place::Source(slot)));
    }

    /// After the waiting requests were told: what failed for want of room may be tried again.
    pub fn retry_exhausted(&mut self, slot: SourceSlot) {
        let source = &mut self.sources[slot.0 as usize];
        if matches!(source.state, State::Failed(OpenFault::Exhausted)) {
            source.state = State::Closed;
        }
    }

    /// Closes what was not used since the hand came by last, until the capacity is met. A source
    /// in use stays; so does the one just opened.
    fn make_room(&mut self, keep: SourceSlot, effects: &mut Vec<Effect>) {
        let mut steps = 2 * self.sources.len();
        while steps > 0
            && (self.open_count > self.capacity.sources.max(1)
                || self.heap_bytes > self.capacity.heap_bytes)
        {
            steps -= 1;
            self.hand = (self.hand + 1) % self.sources.len();
            let slot = SourceSlot(u32::try_from(self.hand).expect("fewer than 2^32 sources"));
            let source = &mut self.sources[self.hand];
            let can_be_closed = matches!(source.state, State::Open(_)) && !source.id.is_live();
            if !can_be_closed || source.leases > 0 || slot == keep {
                continue;
            }
            if std::mem::take(&mut source.touched) {
                continue;
            }
            let id = source.id;
            self.close(slot);
            effects.push(Effect::LetGo(id));
        }
    }

    /// Lets go of a source that is not in use, and was not used since this was asked of it last.
    pub fn spare(&mut self, id: SourceId, effects: &mut Vec<Effect>) {
        let Some(&slot) = self.ids.get(&id) else { return };
        let source = &mut self.sources[slot.0 as usize];
        let is_open = matches!(source.state, State::Open(_));
        if is_open && source.leases == 0 && !std::mem::take(&mut source.touched) {
            self.close(slot);
            effects.push(Effect::LetGo(id));
        }
    }

    /// How many sources are open.
    #[must_use]
    pub fn open_count(&self) -> usize {
        self.open_count
    }

    /// Sets what may be kept open; takes effect with the next source that is opened.
    pub fn set_capacity(&mut self, capacity: Capacity) {
        self.capacity = capacity;
    }
}

/// Where an object's bytes lie.
#[must_use]
pub fn extent_of(object: &locate::Object<'_>, gzip: bool) -> Extent {
    match object.entry.gzip {
        Some(variant) if gzip => variant.extent,
        _ => object.entry.identity.extent,
    }
}
