//! The registry: what an operator has made, kept over restarts.
//!
//! Everything in it is an object: a kind, an id, a document, and the revision that wrote it. What a
//! document says is the business of whoever owns its kind (`keys`, …); the registry gives each
//! write a revision, refuses one that was made from an older state, and tells what has changed.
//!
//! A `Store` does the keeping. It blocks, so it lives on a thread of its own, and control sends it
//! jobs through a bounded queue: a disk that hangs costs those who ask, and nobody who watches.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;

use super::audit::{self, Act, Note};
use super::idempotency::Remembered;
use super::sessions::history::{self, Over};
use crate::config::REGISTRY_JOBS_MAX;
use crate::units::UnixTime;

mod announcing;
mod sqlite;

use announcing::Announcing;
pub use sqlite::{Sqlite, backup, verified};

/// What an object is. Its word stands in the file, in the change feed and in exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A key that signs viewers' tokens.
    SigningKey,
    /// What channels, films or series are sorted by.
    Category,
    /// A live programme: its id stands in its addresses.
    Channel,
    /// What is said of something in the libraries: its id is the path of it.
    Asset,
    /// Episodes that belong together.
    Series,
    /// One of them.
    Episode,
    /// Channels and assets that are sold together.
    Bouquet,
    /// What a subscriber has paid for.
    Plan,
    /// Whoever watches.
    Subscriber,
    /// What a subscriber's apps sign in with.
    AppPasswords,
    /// What a subscriber signs in to the portal with.
    PortalPassword,
    /// Whoever is kept out: its id is a network.
    Ban,
    /// A device's session whose tokens are good for nothing any more: its id is the session.
    Revocation,
    /// Where a guide is read: a file or an address of XMLTV.
    GuideSource,
    /// By what a channel is found in guides: its id is the channel's.
    GuideChannel,
    /// Whoever administers the server over the network.
    Admin,
    /// What a program administers it with.
    ApiKey,
}

impl Kind {
    /// Every kind, those that others speak of first.
    pub const ALL: [Self; 17] = [
        Self::SigningKey,
        Self::Category,
        Self::Channel,
        Self::Asset,
        Self::Series,
        Self::Episode,
        Self::Bouquet,
        Self::Plan,
        Self::Subscriber,
        Self::AppPasswords,
        Self::PortalPassword,
        Self::Ban,
        Self::Revocation,
        Self::GuideSource,
        Self::GuideChannel,
        Self::Admin,
        Self::ApiKey,
    ];

    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::SigningKey => "signing-key",
            Self::Category => "category",
            Self::Channel => "channel",
            Self::Asset => "asset",
            Self::Series => "series",
            Self::Episode => "episode",
            Self::Bouquet => "bouquet",
            Self::Plan => "plan",
            Self::Subscriber => "subscriber",
            Self::AppPasswords => "app-passwords",
            Self::PortalPassword => "portal-password",
            Self::Ban => "ban",
            Self::Revocation => "revocation",
            Self::GuideSource => "guide-source",
            Self::GuideChannel => "guide-channel",
            Self::Admin => "admin",
            Self::ApiKey => "api-key",
        }
    }

    /// Whether its documents are secrets, which no list and no feed tells.
    #[must_use]
    pub const fn is_secret(self) -> bool {
        matches!(
            self,
            Self::SigningKey
                | Self::AppPasswords
                | Self::PortalPassword
                | Self::Admin
                | Self::ApiKey
        )
    }

    /// Whether its objects stay where they are when a copy is made or restored.
    #[must_use]
    pub const fn is_in_no_copy(self) -> bool {
        matches!(self, Self::SigningKey | Self::Admin | Self::ApiKey)
    }

    /// Whether a restore adds to its objects and takes none away: what was taken from somebody
    /// since the copy was made is not given back by it.
    #[must_use]
    pub const fn outlives_restore(self) -> bool {
        matches!(self, Self::Revocation)
    }

    /// Whether its objects have a number besides their id: other systems' clients know them by it.
    #[must_use]
    pub const fn is_numbered(self) -> bool {
        matches!(self, Self::Subscriber) || self.has_its_number_again()
    }

    /// Whether an object that was removed and comes again has the number that it had: clients'
    /// favourites are of the same content then. A subscriber of the same name may be somebody else.
    #[must_use]
    pub const fn has_its_number_again(self) -> bool {
        matches!(self, Self::Category | Self::Channel | Self::Asset | Self::Series | Self::Episode)
    }

    /// The kind of this word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

/// Counts writes: the first is 1. Never used again, not even by a registry that was restored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

/// An object as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// What it is.
    pub kind: Kind,
    /// Its name among those of its kind.
    pub id: String,
    /// Its number among those of its kind, from 1 to 2^31 - 1, if they have any. It stays, and no
    /// other object ever gets it, not even when this one is gone.
    pub number: Option<u32>,
    /// What wrote it last.
    pub revision: Revision,
    /// What it says.
    pub document: Value,
}

/// An object as it lies in the store.
#[derive(Clone, Copy, Debug)]
pub struct Text<'s> {
    /// Its name among those of its kind.
    pub id: &'s str,
    /// See `Object`.
    pub number: Option<u32>,
    /// What it says, in JSON.
    pub document: &'s str,
}

impl Object {
    /// All of it as one value.
    #[must_use]
    pub fn told_whole(self) -> Value {
        json!({
            "kind": self.kind.word(),
            "id": self.id,
            "number": self.number,
            "revision": self.revision.0,
            "document": self.document,
        })
    }

    /// The object that was told so.
    #[must_use]
    pub fn of_whole(mut told: Value) -> Option<Self> {
        Some(Self {
            kind: Kind::of(told["kind"].as_str()?)?,
            id: told["id"].as_str()?.to_owned(),
            number: told["number"].as_u64().and_then(|number| u32::try_from(number).ok()),
            revision: Revision(told["revision"].as_u64()?),
            document: told["document"].take(),
        })
    }
}

/// A write, and what it was made from.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    /// What is written.
    pub kind: Kind,
    /// Its name.
    pub id: String,
    /// What must stand there for the write to be made.
    pub expected: Expected,
    /// The new document; none = the object is removed.
    pub document: Option<Value>,
    /// The number that a new object is to have, of a numbered kind; none = the next.
    pub number: Option<u32>,
    /// What the document speaks of: it must be there, and stays as long as this does.
    pub references: Vec<Reference>,
}

/// An object that another one speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// What it is.
    pub kind: Kind,
    /// Its name.
    pub id: String,
}

/// What must stand where a write goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Whatever.
    Anything,
    /// Nothing.
    Absent,
    /// The object of this revision.
    At(Revision),
}

/// One entry of the change feed: the newest of what happened to an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Changed {
    /// When.
    pub revision: Revision,
    /// To what.
    pub kind: Kind,
    /// Its name.
    pub id: String,
    /// Its number, if it has one.
    pub number: Option<u32>,
    /// What it says since then; none = it is gone.
    pub document: Option<Value>,
}

/// Why a store could not do it: the operation, and what its library says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreError(pub String);

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why writes were not made; none of them was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Uncommitted {
    /// What stands where one of them goes is not what it was made from.
    Conflict {
        /// Which of them.
        index: usize,
        /// What stands there; none = nothing.
        found: Option<Revision>,
    },
    /// One of them speaks of something that is not there.
    Dangling {
        /// Which of them.
        index: usize,
        /// Of what.
        to: Reference,
    },
    /// One of them removes what something else speaks of.
    Referenced {
        /// Which of them.
        index: usize,
        /// By what.
        by: Reference,
    },
    /// The number that one of them wants is, or was, another object's, or can't be a number.
    NumberTaken {
        /// Which of them.
        index: usize,
    },
    /// The store failed.
    Store(StoreError),
}

impl From<StoreError> for Uncommitted {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// What keeps objects. It blocks.
pub trait Store: Send {
    /// Counts restores: what was made before one may be void since.
    ///
    /// # Errors
    ///
    /// The store failed; so in all of these.
    fn epoch(&self) -> Result<u32, StoreError>;

    /// The newest revision.
    ///
    /// # Errors
    ///
    /// See `epoch`.
    fn revision(&self) -> Result<Revision, StoreError>;

    /// One object.
    ///
    /// # Errors
    ///
    /// See `epoch`.
    fn object(&self, kind: Kind, id: &str) -> Result<Option<Object>, StoreError>;

    /// The id of the object that has this number, or had it last.
    ///
    /// # Errors
    ///
    /// See `epoch`.
    fn named(&self, kind: Kind, number: u32) -> Result<Option<String>, StoreError>;

    /// Objects of a kind in the order of their ids (as bytes), from behind `after` on, so many at
    /// most.
    ///
    /// # Errors
    ///
    /// See `epoch`.
    fn objects(&self, kind: Kind, after: &str, most: usize) -> Result<Vec<Object>, StoreError>;

    /// The same of those that speak of something.
    ///
    /// # Errors
    ///
    /// See `epoch`.
    fn objects_that_name(
        &self,
        kind: Kind,
        named: &Reference,
        after: &str,
        most: usize,
    ) -> Result<Vec<Object>, StoreError>;

    /// Shows every object of a kind, in the order of their ids, without taking it apart: a million
    /// are gone through in a second or two.
    ///
    /// # Errors
    ///
    /// See `epoch`.
    fn each(&self, kind: Kind, see: &mut dyn FnMut(Text<'_>)) -> Result<(), StoreError>;

    /// Makes all of these writes, or none, and gives the last one's revision. When it returns they
    /// are on the disk, and so is an entry of the audit log for each: it was this act.
    ///
    /// # Errors
    ///
    /// `Uncommitted`.
    fn commit(&mut self, act: &Act, writes: &[Write]) -> Result<Revision, Uncommitted>;

    /// Makes each of these groups of writes, or none of its writes; one that is not made is no
    /// reason for the others. When it returns all that were made are on the disk, or none is.
    ///
    /// # Errors
    ///
    /// See `epoch`; of a group, `Uncommitted`.
    fn commit_each(&mut self, act: &Act, groups: &[Vec<Write>])
    -> Result<Vec<Outcome>, StoreError>;

    /// The registry as it is at this moment, whatever is written meanwhile.
    ///
    /// # Errors
    ///
    /// See `epoch`.
    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError>;

    /// Makes the registry what a staged copy says, all of it or nothing; keys stay. What was made
    /// before is of another epoch then.
    ///
    /// # Errors
    ///
    /// See `epoch`; or the copy is of another registry.
    fn restore(&mut self, act: &Act, staged: &Path) -> Result<Revision, StoreError>;

    /// What an act that is to be done once made before; nothing if it is not such a one. `commit`
    /// remembers the first object that it writes, and `note` what the note says was made, for a
    /// day, and together with the rest.
    ///
    /// # Errors
    ///
    /// See `epoch`.
    fn remembered(&self, act: &Act) -> Result<Remembered, StoreError>;

    /// Adds an entry to the audit log about something that changed no object. When it returns it is
    /// on the disk.
    ///
    /// # Errors
    ///
    /// See `epoch`.
    fn note(&mut self, act: &Act, note: &Note) -> Result<(), StoreError>;

    /// The newest entry of the audit log.
    ///
    /// # Errors
    ///
    /// See `epoch`.
    fn audit_head(&self) -> Result<audit::Head, StoreError>;

    /// Entries of the audit log, the oldest first. Where what is wanted is rare a page may be short
    /// and have others behind it.
    ///
    /// # Errors
    ///
    /// See `epoch`.
    fn audited(&self, wanted: &audit::Wanted) -> Result<audit::Page, StoreError>;

    /// Keeps these sessions, which are over, and takes out some of those that ended before then or
    /// are too many. They are no objects, and of no revision.
    ///
    /// # Errors
    ///
    /// See `epoch`.
    fn keep_sessions(&mut self, over: &[Over], kept_from: UnixTime) -> Result<(), StoreError>;

    /// Sessions that are over, those that ended last first.
    ///
    /// # Errors
    ///
    /// See `epoch`.
    fn sessions_over(&self, wanted: &history::Wanted) -> Result<history::Page, StoreError>;

    /// What has changed after a revision, oldest first, so many at most. An object that changed
    /// several times is told of once.
    ///
    /// # Errors
    ///
    /// See `epoch`.
    fn changes(&self, since: Revision, most: usize) -> Result<Vec<Changed>, StoreError>;

    /// The same of one kind.
    ///
    /// # Errors
    ///
    /// See `epoch`.
    fn changes_of(
        &self,
        kind: Kind,
        since: Revision,
        most: usize,
    ) -> Result<Vec<Changed>, StoreError>;
}

/// What became of a group of writes.
pub type Outcome = Result<Revision, Uncommitted>;

/// What a registry was at a moment. It blocks, and may be read on any thread.
pub trait Snapshot: Send {
    /// The newest revision then.
    ///
    /// # Errors
    ///
    /// See `Store::epoch`.
    fn revision(&self) -> Result<Revision, StoreError>;

    /// Like `Store::object`.
    ///
    /// # Errors
    ///
    /// See `Store::epoch`.
    fn object(&self, kind: Kind, id: &str) -> Result<Option<Object>, StoreError>;

    /// Like `Store::objects`.
    ///
    /// # Errors
    ///
    /// See `Store::epoch`.
    fn objects(&self, kind: Kind, after: &str, most: usize) -> Result<Vec<Object>, StoreError>;
}

/// Why nothing was asked of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy;

type Job = Box<dyn FnOnce(&mut dyn Store) + Send>;

/// The way to the registry's thread.
#[derive(Clone)]
pub struct Registry {
    jobs: SyncSender<Job>,
    newest: watch::Receiver<Revision>,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Registry")
    }
}

impl Registry {
    /// The registry in a state folder, made if there is none.
    ///
    /// # Errors
    ///
    /// The file can't be made or read, or is not ours, or was written by a newer version.
    pub fn open(state: &Path) -> Result<Self, StoreError> {
        let store = Sqlite::open(state)?;
        Self::with(store).map_err(|error| StoreError(format!("no thread can be made: {error}")))
    }

    /// A registry that is kept by this store.
    ///
    /// # Errors
    ///
    /// No thread can be made.
    pub fn with(mut store: impl Store + 'static) -> io::Result<Self> {
        let (jobs, received) = sync_channel::<Job>(REGISTRY_JOBS_MAX);
        let (tell, newest) = watch::channel(Revision(0));
        std::thread::Builder::new().name("registry".to_owned()).spawn(move || {
            for job in received {
                job(&mut Announcing { store: &mut store, tell: &tell });
            }
        })?;
        Ok(Self { jobs, newest })
    }

    /// The newest revision that was committed since the start; 0 = nothing was.
    #[must_use]
    pub fn newest(&self) -> watch::Receiver<Revision> {
        self.newest.clone()
    }

    /// Does this with the store, behind what others want of it.
    ///
    /// # Errors
    ///
    /// `Busy`: too many want something.
    pub async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn Store) -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let (told, tells) = tokio::sync::oneshot::channel();
        self.send(Box::new(move |store| drop(told.send(work(store)))))?;
        // The thread ends with the process.
        tells.await.map_err(|_| Busy)
    }

    /// The same, for threads that may wait.
    ///
    /// # Errors
    ///
    /// See `ask`.
    pub fn ask_now<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn Store) -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let (told, tells) = sync_channel(1);
        self.send(Box::new(move |store| drop(told.send(work(store)))))?;
        tells.recv().map_err(|_| Busy)
    }

    /// The same, for threads that may wait so long.
    ///
    /// # Errors
    ///
    /// See `ask`; or it takes longer.
    pub fn ask_within<T: Send + 'static>(
        &self,
        patience: Duration,
        work: impl FnOnce(&mut dyn Store) -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let (told, tells) = sync_channel(1);
        self.send(Box::new(move |store| drop(told.send(work(store)))))?;
        tells.recv_timeout(patience).map_err(|_| Busy)
    }

    fn send(&self, job: Job) -> Result<(), Busy> {
        self.jobs.try_send(job).map_err(|_| Busy)
    }
}

#[cfg(test)]
mod tests;
