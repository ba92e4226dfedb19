//! A store that says what it commits, so that whoever follows changes hears of them.

use std::path::Path;

use tokio::sync::watch;

use super::{
    Changed, Kind, Object, Outcome, Reference, Revision, Snapshot, Store, StoreError, Text,
    Uncommitted, Write,
};
use crate::control::audit::{self, Act, Note};
use crate::control::idempotency::Remembered;
use crate::control::sessions::history::{self, Over};
use crate::units::UnixTime;

/// A store that says what it commits.
pub(super) struct Announcing<'s> {
    pub(super) store: &'s mut dyn Store,
    pub(super) tell: &'s watch::Sender<Revision>,
}

impl Store for Announcing<'_> {
    fn epoch(&self) -> Result<u32, StoreError> {
        self.store.epoch()
    }

    fn revision(&self) -> Result<Revision, StoreError> {
        self.store.revision()
    }

    fn object(&self, kind: Kind, id: &str) -> Result<Option<Object>, StoreError> {
        self.store.object(kind, id)
    }

    fn named(&self, kind: Kind, number: u32) -> Result<Option<String>, StoreError> {
        self.store.named(kind, number)
    }

    fn objects(&self, kind: Kind, after: &str, most: usize) -> Result<Vec<Object>, StoreError> {
        self.store.objects(kind, after, most)
    }

    fn objects_that_name(
        &self,
        kind: Kind,
        named: &Reference,
        after: &str,
        most: usize,
    ) -> Result<Vec<Object>, StoreError> {
        self.store.objects_that_name(kind, named, after, most)
    }

    fn each(&self, kind: Kind, see: &mut dyn FnMut(Text<'_>)) -> Result<(), StoreError> {
        self.store.each(kind, see)
    }

    fn commit(&mut self, act: &Act, writes: &[Write]) -> Result<Revision, Uncommitted> {
        let revision = self.store.commit(act, writes)?;
        self.tell.send_replace(revision);
        Ok(revision)
    }

    fn commit_each(
        &mut self,
        act: &Act,
        groups: &[Vec<Write>],
    ) -> Result<Vec<Outcome>, StoreError> {
        let outcomes = self.store.commit_each(act, groups)?;
        if let Some(newest) = outcomes.iter().flatten().max() {
            self.tell.send_replace(*newest);
        }
        Ok(outcomes)
    }

    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        self.store.snapshot()
    }

    fn restore(&mut self, act: &Act, staged: &Path) -> Result<Revision, StoreError> {
        let revision = self.store.restore(act, staged)?;
        self.tell.send_replace(revision);
        Ok(revision)
    }

    fn remembered(&self, act: &Act) -> Result<Remembered, StoreError> {
        self.store.remembered(act)
    }

    fn note(&mut self, act: &Act, note: &Note) -> Result<(), StoreError> {
        self.store.note(act, note)
    }

    fn audit_head(&self) -> Result<audit::Head, StoreError> {
        self.store.audit_head()
    }

    fn audited(&self, wanted: &audit::Wanted) -> Result<audit::Page, StoreError> {
        self.store.audited(wanted)
    }

    fn keep_sessions(&mut self, over: &[Over], kept_from: UnixTime) -> Result<(), StoreError> {
        self.store.keep_sessions(over, kept_from)
    }

    fn sessions_over(&self, wanted: &history::Wanted) -> Result<history::Page, StoreError> {
        self.store.sessions_over(wanted)
    }

    fn changes(&self, since: Revision, most: usize) -> Result<Vec<Changed>, StoreError> {
        self.store.changes(since, most)
    }

    fn changes_of(
        &self,
        kind: Kind,
        since: Revision,
        most: usize,
    ) -> Result<Vec<Changed>, StoreError> {
        self.store.changes_of(kind, since, most)
    }
}
