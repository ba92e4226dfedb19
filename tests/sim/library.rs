//! The library and control, played: they open, fail, answer late or never, and keep the books.
//!
//! They also know the truth: what the shard had been told of a path at any time, against which
//! every response is judged.

use std::collections::HashMap;
use std::sync::Arc;

use shardcast::config::{Access, Limits};
use shardcast::messages::{
    Answer, Ask, Change, Fault, GrowingId, Growth, Listing, OpenFault, Response, SourceId,
    ToLibrary, Update,
};
use shardcast::units::{Class, Extent};

use crate::content;
use crate::world::{Event, MS, SECOND, World};

/// Whether the shard may have a source open, as far as the library knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hold {
    #[default]
    Closed,
    Asked,
    Held,
}

/// What the shard had been told of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    Present(SourceId),
    Absent,
}

/// A growing object, as it was told.
#[derive(Clone, Debug, Default)]
pub struct Growing {
    pub path: String,
    pub begun: u64,
    pub pieces: Vec<(SourceId, Extent)>,
    pub ended: bool,
    pub aborted: bool,
}

/// What happens to the world in the course of a run.
#[derive(Clone, Debug)]
pub enum Action {
    List(SourceId),
    ListOpen(SourceId),
    Remove(String),
    /// The bytes change under the shard, which is told a little later.
    Tear(String),
    Cut(SourceId, u64),
    Break(SourceId),
    Expect(String),
    Begin(GrowingId, String),
    Append(GrowingId, SourceId),
    End(GrowingId),
    Abort(GrowingId),
    Evict,
    Jump(i64),
    Limits(Limits),
    Accept,
    Drain(u64),
    Stop,
}

/// The other threads of the server.
#[derive(Debug)]
pub struct Library {
    pub actions: Vec<Action>,
    pub actions_done: usize,
    /// Who may have what is listed.
    pub access: Access,
    /// How often it was asked to open something.
    pub opens: u64,
    pub holds: HashMap<SourceId, Hold>,
    /// What the shard had been told of each path since when.
    pub told: HashMap<String, Vec<(u64, Told)>>,
    pub growing: HashMap<GrowingId, Growing>,
    pub faults: Vec<(SourceId, Fault)>,
    /// Chances in a thousand of an answer that fails, and of one that never comes.
    pub failing: u64,
    pub silent: u64,
    /// Nanoseconds that opening takes at most.
    pub latency: u64,
    /// What clients asked control, by the number in their question.
    pub asked: HashMap<u64, Vec<u8>>,
    pub ends_at: Option<u64>,
}

impl World {
    pub fn add_source(&mut self, source: content::SourceModel) -> SourceId {
        let id = source.id;
        assert!(self.sources.insert(id, source).is_none(), "a source's number is used once");
        id
    }

    /// Something happens so many milliseconds after the beginning of the run.
    pub fn plan(&mut self, at_ms: u64, action: Action) {
        self.library.actions.push(action);
        self.after(at_ms * MS, Event::Action(self.library.actions.len() - 1));
    }

    pub fn act(&mut self, number: usize) {
        let action = self.library.actions[number].clone();
        self.trace(|| format!("action {action:?}"));
        match action {
            Action::List(source) => self.list(source, false),
            Action::ListOpen(source) => self.list(source, true),
            Action::Remove(path) => self.tell(listed(&path, Change::Absent)),
            Action::Tear(path) => self.tell(listed(&path, Change::Torn)),
            Action::Cut(source, size) => {
                self.sources.get_mut(&source).expect("it is there").cut = Some(size);
            }
            Action::Break(source) => self.break_source(source),
            Action::Expect(path) => self.tell(listed(&path, Change::Expected)),
            Action::Begin(id, path) => {
                let class = Class::of(&path);
                let path = Arc::from(path);
                let (media_type, access) = ("video/mp4", Access::Open);
                let growth = Growth::Begun { path, media_type, class, access };
                self.tell(Update::Growing(id, growth));
            }
            Action::Append(id, source) => {
                let source = &self.sources[&source];
                let extent = Extent { offset: 0, size: source.size };
                let growth = Growth::Appended { opened: Arc::clone(&source.opened), extent };
                self.tell(Update::Growing(id, growth));
            }
            Action::End(id) => self.tell(Update::Growing(id, Growth::Ended)),
            Action::Abort(id) => self.tell(Update::Growing(id, Growth::Aborted)),
            Action::Evict => {
                self.evicts = true;
                self.resident.values_mut().for_each(|resident| *resident = false);
            }
            Action::Jump(seconds) => self.unix = self.unix.saturating_add_signed(seconds),
            Action::Limits(limits) => self.tell(Update::Limits(Arc::new(limits))),
            Action::Accept => self.tell(Update::Accept),
            Action::Drain(deadline_ms) => self.tell(Update::Drain { deadline_ms }),
            Action::Stop => self.tell(Update::Stop),
        }
    }

    fn list(&mut self, id: SourceId, open: bool) {
        let source = &self.sources[&id];
        let opened = open.then(|| Arc::clone(&source.opened));
        let access = self.library.access;
        let change = Change::Present { source: id, kind: source.kind, access, opened };
        let path = source.path.clone();
        if open {
            self.library.holds.insert(id, Hold::Held);
        }
        self.tell(listed(&path, change));
    }

    /// The shard has just taken this from its inbox: from now on it is the truth.
    pub fn note_taken(&mut self, update: &Update) {
        let now = self.now;
        match update {
            Update::Listed(listings) => {
                listings.iter().for_each(|listing| self.note_listing(listing));
            }
            Update::Growing(id, growth) => self.note_growth(*id, growth),
            Update::Drain { deadline_ms } => {
                self.draining = true;
                let ends = now + deadline_ms * MS;
                self.library.ends_at = Some(self.library.ends_at.map_or(ends, |at| at.min(ends)));
            }
            Update::Stop => {
                self.draining = true;
                self.library.ends_at = Some(now);
            }
            _ => {}
        }
    }

    fn note_listing(&mut self, listing: &Listing) {
        let path = listing.path.to_string();
        if matches!(listing.change, Change::Torn)
            && let Some(Told::Present(source)) = self.library.told_now(&path)
        {
            self.sources.get_mut(&source).expect("it is there").torn = true;
        }
        let told = match &listing.change {
            Change::Present { source, .. } => Told::Present(*source),
            Change::Absent | Change::Torn => Told::Absent,
            Change::Expected
            | Change::Rendition(_)
            | Change::Rung(_)
            | Change::Channel(_)
            | Change::Asked(_)
            | Change::Unasked
            | Change::Archived(_) => {
                return;
            }
        };
        let now = self.now;
        self.library.told.entry(path).or_default().push((now, told));
    }

    fn note_growth(&mut self, id: GrowingId, growth: &Growth) {
        let now = self.now;
        let growing = self.library.growing.entry(id).or_default();
        match growth {
            Growth::Begun { path, .. } => {
                growing.path = path.to_string();
                growing.begun = now;
            }
            Growth::Entry => {}
            Growth::Appended { opened, extent } => growing.pieces.push((opened.source, *extent)),
            Growth::Ended => growing.ended = true,
            Growth::Aborted => growing.aborted = true,
        }
        // A client that waits for the end of a close-delimited body looks again.
    }

    /// A message of the shard to the library.
    pub fn hear(&mut self, message: ToLibrary) {
        self.trace(|| format!("library hears {message:?}"));
        match message {
            ToLibrary::Open { source, .. } => {
                self.library.opens += 1;
                let hold = self.library.holds.insert(source, Hold::Asked).unwrap_or_default();
                assert_eq!(hold, Hold::Closed, "{source:?} is asked for while it is open");
                self.answer_open(source);
            }
            ToLibrary::Released { source, .. } => {
                let hold = self.library.holds.insert(source, Hold::Closed);
                assert_eq!(hold, Some(Hold::Held), "{source:?} is released once");
                let count = Arc::strong_count(&self.sources[&source].opened);
                assert_eq!(count, 1, "{source:?} was released, but is referred to");
            }
            ToLibrary::Faulty { source, fault } => {
                let model = &self.sources[&source];
                assert!(model.broken || model.cut.is_some(), "{source:?} is called {fault:?}");
                self.library.faults.push((source, fault));
            }
        }
    }

    fn answer_open(&mut self, source: SourceId) {
        let (silent, failing) = (self.library.silent, self.library.failing);
        if self.random.chance(silent) {
            return;
        }
        let latency = self.random.below(self.library.latency + 1);
        let update = if self.random.chance(failing) {
            let faults = [OpenFault::Damaged, OpenFault::Missing, OpenFault::Exhausted];
            self.library.holds.insert(source, Hold::Closed);
            Update::Failed(source, self.random.pick(&faults))
        } else {
            self.library.holds.insert(source, Hold::Held);
            Update::Opened(Arc::clone(&self.sources[&source].opened))
        };
        self.after(latency, Event::Update(Box::new(update)));
    }

    /// A question to control: `/api/q?number=N&size=S&ms=T`; without `ms` it is never answered.
    pub fn hear_ask(&mut self, ask: Ask) {
        let head = String::from_utf8(ask.head.to_vec()).expect("clients here write text");
        self.trace(|| format!("control hears {:?} with {} bytes", ask.key, ask.body.len()));
        let value = |name: &str| {
            let rest = head.split_once(&format!("{name}="))?.1;
            rest.split(['&', ' ']).next()?.parse::<u64>().ok()
        };
        let (number, size) = (value("number").expect("it has one"), value("size").unwrap_or(0));
        self.library.asked.insert(number, ask.body);
        let Some(ms) = value("ms") else { return };
        let body = content::bytes_of(SourceId(number), Extent { offset: 0, size });
        let lines = b"Content-Type: text/plain\r\nX-Answer: yes\r\n".to_vec();
        let (status, body, refused) = (200, body.into(), None);
        let response = Arc::new(Response { status, lines, body, refused, object: None });
        let update = Update::Answered(Answer { key: ask.key, response });
        self.after(ms * MS, Event::Update(Box::new(update)));
    }

    /// Whether clients may be cut off: the time of a drain is up, or it was told to stop.
    pub fn is_past_the_end(&self) -> bool {
        self.library.ends_at.is_some_and(|at| self.now + SECOND >= at)
    }
}

impl Default for Library {
    fn default() -> Self {
        Self {
            actions: Vec::new(),
            actions_done: 0,
            access: Access::Open,
            opens: 0,
            holds: HashMap::new(),
            told: HashMap::new(),
            growing: HashMap::new(),
            faults: Vec::new(),
            failing: 0,
            silent: 0,
            latency: 0,
            asked: HashMap::new(),
            ends_at: None,
        }
    }
}

impl Library {
    /// What the shard knows of a path now.
    pub fn told_now(&self, path: &str) -> Option<Told> {
        self.told.get(path).and_then(|told| told.last()).map(|&(_, told)| told)
    }

    /// Everything the shard knew of a path at some moment since `since`.
    pub fn told_since(&self, path: &str, since: u64) -> Vec<Told> {
        let mut found = vec![Told::Absent];
        for &(at, told) in self.told.get(path).into_iter().flatten() {
            if at <= since {
                found.clear();
            }
            found.push(told);
        }
        found
    }

    /// Growing objects that were at a path.
    pub fn growing_at<'l>(&'l self, path: &'l str) -> impl Iterator<Item = &'l Growing> {
        self.growing.values().filter(move |growing| growing.path == path)
    }
}

fn listed(path: &str, change: Change) -> Update {
    Update::Listed(Arc::new([Listing { path: path.into(), change }]))
}
