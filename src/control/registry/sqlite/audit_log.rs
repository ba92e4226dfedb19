//! The audit log in the registry's file: a table to which rows are added, and nothing else.
//!
//! What is written goes into the transaction of the change that it tells of. The newest row is
//! read there, too, so that a second process with the same file (a restore without a server) goes
//! on with the chain where the first one was.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde_json::{Value, json};

use super::{Sqlite, answered, failed, signed};
use crate::config::AUDIT_ENTRIES_EXAMINED;
use crate::control::audit::chain::{Digest, Entry, Head, Key, Mac};
use crate::control::audit::{Act, Deed, Note, Page, Told, Wanted, key};
use crate::control::registry::{Kind, Revision, StoreError};
use crate::control::tokens::now;

mod verify;

pub use verify::verify;

/// Adds entries within one transaction.
pub(super) struct Log<'t> {
    transaction: &'t Connection,
    key: &'t Key,
    head: Head,
}

/// What an entry says besides who did it.
pub(super) struct Said<'s> {
    pub deed: Deed,
    pub kind: &'s str,
    pub id: &'s str,
    pub revision: Option<Revision>,
    pub digest: Option<Digest>,
    pub details: Value,
}

impl<'t> Log<'t> {
    /// Behind the newest entry.
    pub fn at_end(transaction: &'t Connection, key: &'t Key) -> Result<Self, StoreError> {
        Ok(Self::behind(head(transaction)?, transaction, key))
    }

    /// Behind this entry, which is the newest.
    pub fn behind(head: Head, transaction: &'t Connection, key: &'t Key) -> Self {
        Self { transaction, key, head }
    }

    /// Where it writes.
    pub fn transaction(&self) -> &'t Connection {
        self.transaction
    }

    /// What it signs with.
    pub fn key(&self) -> &'t Key {
        self.key
    }

    /// The newest entry.
    pub fn head(&self) -> Head {
        self.head
    }

    /// An object as it stands, for its entry.
    pub fn object(&self, kind: Kind, id: &str, number: Option<u32>, document: &str) -> Digest {
        self.key.object(kind.word(), id, number, document)
    }

    /// Adds one.
    pub fn add(&mut self, act: &Act, said: &Said<'_>) -> Result<(), StoreError> {
        let actor = act.actor.to_string();
        let peer = act.peer.map(|peer| peer.to_string());
        let details = (!said.details.is_null()).then(|| said.details.to_string());
        let entry = Entry {
            sequence: self.head.sequence + 1,
            at: act.at.0,
            actor: &actor,
            peer: peer.as_deref(),
            deed: said.deed.word(),
            kind: said.kind,
            id: said.id,
            revision: said.revision.map(|revision| revision.0),
            digest: said.digest.as_ref().map(<[u8; 16]>::as_slice),
            details: details.as_deref(),
        };
        let mac = self.key.mac(&entry, &self.head.mac);
        self.transaction
            .prepare_cached(
                "INSERT INTO audit VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            )
            .and_then(|mut insert| {
                insert.execute(params![
                    signed(entry.sequence),
                    signed(entry.at),
                    entry.actor,
                    entry.peer,
                    entry.deed,
                    entry.kind,
                    entry.id,
                    entry.revision.map(signed),
                    entry.digest,
                    entry.details,
                    mac.0.as_slice(),
                ])
            })
            .map_err(failed)?;
        self.head = Head { sequence: entry.sequence, mac };
        Ok(())
    }
}

/// The newest entry.
pub(super) fn head(connection: &Connection) -> Result<Head, StoreError> {
    let select = "SELECT sequence, mac FROM audit ORDER BY sequence DESC LIMIT 1";
    let row = |row: &Row<'_>| Ok(Head { sequence: number(row, 0)?, mac: mac(row, 1)? });
    let found =
        connection.prepare_cached(select).and_then(|mut of| of.query_row((), row).optional());
    Ok(found.map_err(failed)?.unwrap_or(Head { sequence: 0, mac: Mac::START }))
}

fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(|number| u64::try_from(number).unwrap_or(0))
}

fn mac(row: &Row<'_>, column: usize) -> rusqlite::Result<Mac> {
    row.get(column).map(Mac)
}

/// Adds an entry from outside of a server, if a server that keeps a log has opened the file.
///
/// # Errors
///
/// The store failed, or the key can't be had.
pub(super) fn noted_outside(
    connection: &mut Connection,
    state: &Path,
    act: &Act,
    note: &Note,
) -> Result<(), StoreError> {
    if !connection.table_exists(None, "audit").map_err(failed)? {
        return Ok(());
    }
    let key = key_of(state)?;
    let transaction = connection
        .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
        .map_err(failed)?;
    begun(&transaction, &key, true)?;
    transaction.commit().map_err(failed)?;
    noted(connection, &key, act, note)
}

/// The key of a state folder, made if it has none.
pub(super) fn key_of(state: &Path) -> Result<Key, StoreError> {
    key::read_or_made(state)
        .map_err(|error| StoreError(format!("{}: {error}", key::path(state).display())))
}

fn noted(connection: &mut Connection, key: &Key, act: &Act, note: &Note) -> Result<(), StoreError> {
    let transaction = connection
        .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
        .map_err(failed)?;
    Log::at_end(&transaction, key)?.add(act, &Said::of(note))?;
    answered::remember(&transaction, key, act, || note.made.clone())?;
    transaction.commit().map_err(failed)
}

/// Begins a chain if the newest one was made with another key, or there is none: with an entry that
/// says so, and one for each object that is there. A log that was made before and is empty was
/// emptied by somebody; the entry says that, too.
///
/// # Errors
///
/// The store failed.
pub(super) fn begun(transaction: &Connection, key: &Key, had_log: bool) -> Result<(), StoreError> {
    let select = "SELECT details FROM audit WHERE deed = 'begin' ORDER BY sequence DESC LIMIT 1";
    let newest = transaction.query_row(select, (), |row| row.get::<_, Option<String>>(0));
    let newest = newest.optional().map_err(failed)?.flatten();
    let details = newest.and_then(|details| serde_json::from_str::<Value>(&details).ok());
    if details.is_some_and(|details| details["key"].as_str() == Some(&key.name())) {
        return Ok(());
    }
    let mut log = Log::at_end(transaction, key)?;
    let is_emptied = had_log && log.head.sequence == 0;
    if is_emptied {
        tracing::error!("the audit log was emptied; what is there now is taken as it is");
    }
    if log.head.sequence > 0 {
        tracing::error!(
            entries = log.head.sequence,
            "audit.key is not the key of the audit log: the entries so far can't be verified with \
             it, and another chain begins"
        );
    }
    let (revision, epoch) = transaction
        .query_row("SELECT revision, epoch FROM registry", (), |row| {
            Ok((super::revision_at(row, 0)?, row.get::<_, u32>(1)?))
        })
        .map_err(failed)?;
    let mut details = json!({ "key": key.name(), "epoch": epoch });
    if is_emptied {
        details["emptied"] = true.into();
    }
    let (deed, kind, id, revision, digest) = (Deed::Begin, "audit", "", Some(revision), None);
    let act = Act::server(now());
    log.add(&act, &Said { deed, kind, id, revision, digest, details })?;
    log.objects_since(&act, Deed::Adopt, Revision(0))
}

impl Log<'_> {
    /// Adds an entry for each object as it stands, if it was written after a revision.
    pub fn objects_since(
        &mut self,
        act: &Act,
        deed: Deed,
        since: Revision,
    ) -> Result<(), StoreError> {
        let transaction = self.transaction;
        let mut select = transaction
            .prepare_cached(
                "SELECT revision, kind, id, number, document FROM object WHERE revision > ?1 \
                 ORDER BY revision",
            )
            .map_err(failed)?;
        let mut rows = select.query(params![signed(since.0)]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let text = |column| row.get_ref(column)?.as_str().map_err(rusqlite::Error::from);
            let (kind, id) = (text(1).map_err(failed)?, text(2).map_err(failed)?);
            let document = text(4).map_err(failed)?;
            let number = row.get(3).map_err(failed)?;
            let revision = Some(super::revision_at(row, 0).map_err(failed)?);
            let digest = Some(self.key.object(kind, id, number, document));
            self.add(act, &Said { deed, kind, id, revision, digest, details: Value::Null })?;
        }
        Ok(())
    }

    /// The same of what was removed.
    pub fn removals_since(&mut self, act: &Act, since: Revision) -> Result<(), StoreError> {
        let transaction = self.transaction;
        let mut select = transaction
            .prepare_cached(
                "SELECT revision, kind, id FROM removed WHERE revision > ?1 ORDER BY revision",
            )
            .map_err(failed)?;
        let mut rows = select.query(params![signed(since.0)]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let text = |column| row.get_ref(column)?.as_str().map_err(rusqlite::Error::from);
            let (kind, id) = (text(1).map_err(failed)?, text(2).map_err(failed)?);
            let revision = Some(super::revision_at(row, 0).map_err(failed)?);
            let (deed, digest, details) = (Deed::Restore, None, Value::Null);
            self.add(act, &Said { deed, kind, id, revision, digest, details })?;
        }
        Ok(())
    }
}

impl Sqlite {
    /// Adds an entry about something that changed no object.
    pub(super) fn noted(&mut self, act: &Act, note: &Note) -> Result<(), StoreError> {
        noted(&mut self.connection, &self.key, act, note)
    }

    /// The newest entry.
    pub(super) fn newest_entry(&self) -> Result<Head, StoreError> {
        head(&self.connection)
    }

    /// Some of the entries.
    pub(super) fn entries(&self, wanted: &Wanted) -> Result<Page, StoreError> {
        let head = self.newest_entry()?;
        // What is looked for may be rare; nobody else is served meanwhile.
        let until = wanted.after.saturating_add(AUDIT_ENTRIES_EXAMINED);
        let mut entries = self
            .connection
            .prepare_cached(
                "SELECT sequence, at, actor, peer, deed, kind, id, revision, details FROM audit \
                 WHERE sequence > ?1 AND sequence <= ?2 AND at >= ?3 \
                 AND (?4 IS NULL OR actor = ?4) ORDER BY sequence LIMIT ?5",
            )
            .and_then(|mut select| {
                let most = signed(wanted.most as u64).saturating_add(1);
                let (after, until) = (signed(wanted.after), signed(until));
                let since = signed(wanted.since);
                let rows =
                    select.query_map(params![after, until, since, wanted.actor, most], told)?;
                rows.collect::<Result<Vec<_>, _>>()
            })
            .map_err(failed)?;
        let has_more = entries.len() > wanted.most;
        entries.truncate(wanted.most);
        let next = match (has_more, entries.last()) {
            (true, Some(last)) => Some(last.sequence),
            _ => (until < head.sequence).then_some(until),
        };
        Ok(Page { entries, next, head })
    }
}

impl<'n> Said<'n> {
    fn of(note: &'n Note) -> Self {
        Self {
            deed: note.deed,
            kind: note.kind,
            id: &note.id,
            revision: None,
            digest: None,
            details: note.details.clone(),
        }
    }
}

fn told(row: &Row<'_>) -> rusqlite::Result<Told> {
    let details = row.get::<_, Option<String>>(8)?;
    Ok(Told {
        sequence: number(row, 0)?,
        at: number(row, 1)?,
        actor: row.get(2)?,
        peer: row.get(3)?,
        deed: row.get(4)?,
        kind: row.get(5)?,
        id: row.get(6)?,
        revision: row.get::<_, Option<i64>>(7)?.map(|number| u64::try_from(number).unwrap_or(0)),
        // What is no JSON was not written by us, and is shown as it is.
        details: details
            .map_or(Value::Null, |text| serde_json::from_str(&text).unwrap_or(Value::String(text))),
    })
}

#[cfg(test)]
mod tests;
