//! The store that comes with shardcast: one SQLite file, `<state>/registry.db`.
//!
//! In WAL mode with `synchronous = FULL`: a commit is on the disk when it returns, and a reader (a
//! backup, an operator with `sqlite3`) holds up nobody. The file is for the server's user alone.
//! What it holds is versioned by `user_version`; an older one is brought up to date when it is
//! opened, all of it or nothing.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, Transaction, params};

use super::{
    Changed, Kind, Object, Outcome, Reference, Revision, Snapshot, Store, StoreError, Text,
    Uncommitted, Write,
};

use crate::control::audit::chain::Key;
use crate::control::audit::{self, Act, Note};
use crate::control::idempotency::Remembered;
use crate::control::sessions::history::{self, Over};
use crate::units::UnixTime;

mod answered;
mod audit_log;
pub mod backup;
mod past;
mod snapshot;
mod written;

use audit_log::Log;

pub use audit_log::verify as verified;

/// What makes of each version the next one. A step that was released is never changed.
const STEPS: &[&str] = &[
    "
CREATE TABLE registry (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    revision INTEGER NOT NULL,
    epoch INTEGER NOT NULL
) STRICT;
INSERT INTO registry VALUES (1, 0, 0);
CREATE TABLE object (
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    revision INTEGER NOT NULL UNIQUE,
    document TEXT NOT NULL CHECK (json_valid(document)),
    PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;
-- What is gone, for those who were told of it.
CREATE TABLE removed (
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    revision INTEGER NOT NULL UNIQUE,
    PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;
",
    "
-- Who has, or had, a number. Rows stay when the object goes: no other one gets its number.
CREATE TABLE number (
    kind TEXT NOT NULL,
    number INTEGER NOT NULL CHECK (number BETWEEN 1 AND 2147483647),
    id TEXT NOT NULL,
    PRIMARY KEY (kind, number)
) STRICT, WITHOUT ROWID;
ALTER TABLE object ADD COLUMN number INTEGER;
ALTER TABLE removed ADD COLUMN number INTEGER;
-- What an object speaks of.
CREATE TABLE reference (
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    to_kind TEXT NOT NULL,
    to_id TEXT NOT NULL,
    PRIMARY KEY (kind, id, to_kind, to_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX referenced ON reference (to_kind, to_id);
",
    "
-- Who did what: rows are added, and never changed. What is in them is bound by `mac`.
CREATE TABLE audit (
    sequence INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    peer TEXT,
    deed TEXT NOT NULL,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    revision INTEGER,
    digest BLOB,
    details TEXT,
    mac BLOB NOT NULL CHECK (length(mac) = 32)
) STRICT;
CREATE INDEX audit_begins ON audit (sequence) WHERE deed = 'begin';
",
    "
-- What requests made that may come again.
CREATE TABLE answered (
    actor TEXT NOT NULL,
    key TEXT NOT NULL,
    until INTEGER NOT NULL,
    size INTEGER NOT NULL,
    request BLOB NOT NULL,
    answer TEXT NOT NULL,
    PRIMARY KEY (actor, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX answered_until ON answered (until, size);
",
    "
-- Whose an object's number was before, when it comes again.
CREATE INDEX number_of ON number (kind, id);
",
    "
-- Sessions that are over, in the order in which they were written.
CREATE TABLE session_over (
    sequence INTEGER PRIMARY KEY,
    subscriber INTEGER,
    until INTEGER NOT NULL,
    told TEXT NOT NULL
) STRICT;
CREATE INDEX session_over_until ON session_over (until);
CREATE INDEX session_over_of ON session_over (subscriber, until) WHERE subscriber IS NOT NULL;
",
];

/// Says in the file's head whose it is: "shdc".
const APPLICATION_ID: i32 = 0x7368_6463;

/// How long another process may hold the file: `sqlite3` in an operator's hand.
const BUSY: Duration = Duration::from_secs(5);

/// A registry in a file.
#[derive(Debug)]
pub struct Sqlite {
    connection: Connection,
    /// Of the audit log.
    key: Key,
}

impl Sqlite {
    /// The registry in a state folder, made if there is none, and brought up to date.
    ///
    /// # Errors
    ///
    /// The folder or the file can't be made or read, the file is something else, or was written by
    /// a newer version.
    pub fn open(state: &Path) -> Result<Self, StoreError> {
        let path = state.join("registry.db");
        let failed = |why: &dyn std::fmt::Display| StoreError(format!("{}: {why}", path.display()));
        let is_new = made(state, &path).map_err(|error| failed(&error))?;
        let mut connection = Connection::open(&path).map_err(|error| failed(&error))?;
        let key = audit_log::key_of(state)?;
        up_to_date(&mut connection, Some(&key)).map_err(|error| failed(&error))?;
        if is_new {
            // The name of the file is on the disk before anything in it is promised.
            File::open(state)
                .and_then(|folder| folder.sync_all())
                .map_err(|error| failed(&error))?;
        }
        Ok(Self { connection, key })
    }
}

/// Makes the file, if there is none, so that nobody else could ever read it. SQLite gives those
/// that it makes beside it the same mode.
fn made(state: &Path, path: &Path) -> io::Result<bool> {
    DirBuilder::new().recursive(true).mode(0o750).create(state)?;
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// Makes of the file what this version writes. With a key, its audit log has a chain of that key
/// from then on: no file has a log without an entry.
fn up_to_date(connection: &mut Connection, key: Option<&Key>) -> Result<(), StoreError> {
    let failed = |error: rusqlite::Error| StoreError(error.to_string());
    connection.busy_timeout(BUSY).map_err(failed)?;
    patiently(|| connection.execute_batch("PRAGMA journal_mode = WAL")).map_err(failed)?;
    connection
        .execute_batch("PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF")
        .map_err(failed)?;
    let transaction = connection
        .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
        .map_err(failed)?;
    let number = |name: &str| {
        transaction.pragma_query_value(None, name, |row| row.get::<_, i32>(0)).map_err(failed)
    };
    let (version, whose) = (number("user_version")?, number("application_id")?);
    let tables = transaction
        .query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get::<_, i64>(0))
        .map_err(failed)?;
    if whose != APPLICATION_ID && (tables > 0 || version != 0) {
        return Err(StoreError("this is a database of something else".to_owned()));
    }
    let known = i32::try_from(STEPS.len()).expect("a few");
    if version > known {
        return Err(StoreError(format!(
            "it was written by a newer version of shardcast (its version is {version}, and {known} \
             is the newest that this one knows)"
        )));
    }
    let had_log = transaction.table_exists(None, "audit").map_err(failed)?;
    for step in &STEPS[usize::try_from(version).unwrap_or(0)..] {
        transaction.execute_batch(step).map_err(failed)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(failed)?;
    transaction.pragma_update(None, "user_version", known).map_err(failed)?;
    if let Some(key) = key {
        audit_log::begun(&transaction, key, had_log)?;
    }
    transaction.commit().map_err(failed)
}

/// Does what SQLite itself does not wait for: a change of the journal's mode begins with a read,
/// and whoever reads is told that another one writes at once, whatever `busy_timeout` says
/// (`sqlite3BtreeBeginTrans` asks the busy handler only if nothing was begun).
fn patiently(mut attempt: impl FnMut() -> rusqlite::Result<()>) -> rusqlite::Result<()> {
    const PAUSE: Duration = Duration::from_millis(10);
    let mut tries_left = BUSY.as_millis() / PAUSE.as_millis();
    loop {
        match attempt() {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && tries_left > 0 =>
            {
                tries_left -= 1;
                std::thread::sleep(PAUSE);
            }
            done => return done,
        }
    }
}

/// What the library says, as ours.
fn failed(error: rusqlite::Error) -> StoreError {
    StoreError(format!("registry.db: {error}"))
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn revision_at(row: &Row<'_>, column: usize) -> rusqlite::Result<Revision> {
    row.get::<_, i64>(column).map(|number| Revision(u64::try_from(number).unwrap_or(0)))
}

fn document(text: &str, kind: Kind, id: &str) -> Result<serde_json::Value, StoreError> {
    serde_json::from_str(text)
        .map_err(|error| StoreError(format!("registry.db: {} {id:?}: {error}", kind.word())))
}

impl Store for Sqlite {
    fn epoch(&self) -> Result<u32, StoreError> {
        let select = "SELECT epoch FROM registry";
        self.connection.query_row(select, (), |row| row.get(0)).map_err(failed)
    }

    fn revision(&self) -> Result<Revision, StoreError> {
        let select = "SELECT revision FROM registry";
        self.connection.query_row(select, (), |row| revision_at(row, 0)).map_err(failed)
    }

    fn object(&self, kind: Kind, id: &str) -> Result<Option<Object>, StoreError> {
        object(&self.connection, kind, id)
    }

    fn named(&self, kind: Kind, number: u32) -> Result<Option<String>, StoreError> {
        self.connection
            .prepare_cached("SELECT id FROM number WHERE kind = ?1 AND number = ?2")
            .and_then(|mut select| {
                select.query_row(params![kind.word(), number], |row| row.get(0)).optional()
            })
            .map_err(failed)
    }

    fn objects(&self, kind: Kind, after: &str, most: usize) -> Result<Vec<Object>, StoreError> {
        objects(&self.connection, kind, after, most)
    }

    fn objects_that_name(
        &self,
        kind: Kind,
        named: &Reference,
        after: &str,
        most: usize,
    ) -> Result<Vec<Object>, StoreError> {
        // In the order of the index `referenced`, whose rows end with the table's key.
        let select = "SELECT object.id, revision, number, document FROM reference JOIN object \
                      ON object.kind = reference.kind AND object.id = reference.id \
                      WHERE to_kind = ?1 AND to_id = ?2 AND reference.kind = ?3 \
                      AND reference.id > ?4 ORDER BY reference.id LIMIT ?5";
        let (to, of) = (named.kind.word(), kind.word());
        listed(
            &self.connection,
            kind,
            select,
            params![to, named.id, of, after, signed(most as u64)],
        )
    }

    fn each(&self, kind: Kind, see: &mut dyn FnMut(Text<'_>)) -> Result<(), StoreError> {
        let mut see = |row: &Row<'_>| -> rusqlite::Result<()> {
            let (id, document) = (row.get_ref(0)?.as_str()?, row.get_ref(2)?.as_str()?);
            see(Text { id, number: row.get(1)?, document });
            Ok(())
        };
        self.connection
            .prepare_cached("SELECT id, number, document FROM object WHERE kind = ?1 ORDER BY id")
            .and_then(|mut select| {
                let mut rows = select.query([kind.word()])?;
                while let Some(row) = rows.next()? {
                    see(row)?;
                }
                Ok(())
            })
            .map_err(failed)
    }

    fn commit(&mut self, act: &Act, writes: &[Write]) -> Result<Revision, Uncommitted> {
        let transaction = begun(&mut self.connection)?;
        let newest = newest(&transaction)?;
        let mut log = Log::at_end(&transaction, &self.key)?;
        let revision = written::together(&mut log, act, writes, newest)?;
        finished(transaction, revision)?;
        Ok(revision)
    }

    fn commit_each(
        &mut self,
        act: &Act,
        groups: &[Vec<Write>],
    ) -> Result<Vec<Outcome>, StoreError> {
        let mut transaction = begun(&mut self.connection)?;
        let mut revision = newest(&transaction)?;
        let mut head = audit_log::head(&transaction)?;
        let mut outcomes = Vec::with_capacity(groups.len());
        for writes in groups {
            let group = transaction.savepoint().map_err(failed)?;
            let mut log = Log::behind(head, &group, &self.key);
            let outcome = written::together(&mut log, act, writes, revision);
            match outcome {
                Ok(made) => {
                    (head, revision) = (log.head(), made);
                    group.commit().map_err(failed)?;
                }
                // What the file itself does not take, no other group could go on with.
                Err(Uncommitted::Store(error)) => return Err(error),
                Err(_) => group.finish().map_err(failed)?,
            }
            outcomes.push(outcome);
        }
        finished(transaction, revision)?;
        Ok(outcomes)
    }

    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        Ok(Box::new(snapshot::Moment::of(&self.connection)?))
    }

    fn restore(&mut self, act: &Act, staged: &Path) -> Result<Revision, StoreError> {
        self.restored(act, staged)
    }

    fn remembered(&self, act: &Act) -> Result<Remembered, StoreError> {
        self.answered(act)
    }

    fn note(&mut self, act: &Act, note: &Note) -> Result<(), StoreError> {
        self.noted(act, note)
    }

    fn audit_head(&self) -> Result<audit::Head, StoreError> {
        self.newest_entry()
    }

    fn audited(&self, wanted: &audit::Wanted) -> Result<audit::Page, StoreError> {
        self.entries(wanted)
    }

    fn keep_sessions(&mut self, over: &[Over], kept_from: UnixTime) -> Result<(), StoreError> {
        self.kept(over, kept_from)
    }

    fn sessions_over(&self, wanted: &history::Wanted) -> Result<history::Page, StoreError> {
        self.over(wanted)
    }

    fn changes(&self, since: Revision, most: usize) -> Result<Vec<Changed>, StoreError> {
        let select = "SELECT revision, kind, id, number, document FROM object WHERE revision > ?1 \
                      UNION ALL \
                      SELECT revision, kind, id, number, NULL FROM removed WHERE revision > ?1 \
                      ORDER BY revision LIMIT ?2";
        changed(&self.connection, select, params![signed(since.0), signed(most as u64)])
    }

    fn changes_of(
        &self,
        kind: Kind,
        since: Revision,
        most: usize,
    ) -> Result<Vec<Changed>, StoreError> {
        let select = "SELECT revision, kind, id, number, document FROM object \
                      WHERE revision > ?1 AND kind = ?3 \
                      UNION ALL \
                      SELECT revision, kind, id, number, NULL FROM removed \
                      WHERE revision > ?1 AND kind = ?3 \
                      ORDER BY revision LIMIT ?2";
        let of = params![signed(since.0), signed(most as u64), kind.word()];
        changed(&self.connection, select, of)
    }
}

/// Changes: rows of revision, kind, id, number and document.
fn changed(
    connection: &Connection,
    select: &str,
    of: impl rusqlite::Params,
) -> Result<Vec<Changed>, StoreError> {
    let rows = connection
        .prepare_cached(select)
        .and_then(|mut select| {
            let row = |row: &Row<'_>| {
                Ok((
                    revision_at(row, 0)?,
                    row.get::<_, String>(1)?,
                    row.get::<_, String>(2)?,
                    row.get(3)?,
                    row.get::<_, Option<String>>(4)?,
                ))
            };
            select.query_map(of, row)?.collect::<Result<Vec<_>, _>>()
        })
        .map_err(failed)?;
    rows.into_iter()
        .map(|(revision, word, id, number, text)| {
            let kind = Kind::of(&word)
                .ok_or_else(|| StoreError(format!("registry.db: no kind is called {word:?}")))?;
            let document = text.map(|text| document(&text, kind, &id)).transpose()?;
            Ok(Changed { revision, kind, id, number, document })
        })
        .collect()
}

fn object(connection: &Connection, kind: Kind, id: &str) -> Result<Option<Object>, StoreError> {
    let found = connection
        .prepare_cached("SELECT revision, number, document FROM object WHERE kind = ?1 AND id = ?2")
        .and_then(|mut select| {
            let row =
                |row: &Row<'_>| Ok((revision_at(row, 0)?, row.get(1)?, row.get::<_, String>(2)?));
            select.query_row(params![kind.word(), id], row).optional()
        })
        .map_err(failed)?;
    let Some((revision, number, text)) = found else { return Ok(None) };
    let document = document(&text, kind, id)?;
    Ok(Some(Object { kind, id: id.to_owned(), number, revision, document }))
}

fn objects(
    connection: &Connection,
    kind: Kind,
    after: &str,
    most: usize,
) -> Result<Vec<Object>, StoreError> {
    let select = "SELECT id, revision, number, document FROM object WHERE kind = ?1 AND id > ?2 \
                  ORDER BY id LIMIT ?3";
    listed(connection, kind, select, params![kind.word(), after, signed(most as u64)])
}

/// Objects of a kind: rows of id, revision, number and document.
fn listed(
    connection: &Connection,
    kind: Kind,
    select: &str,
    of: impl rusqlite::Params,
) -> Result<Vec<Object>, StoreError> {
    let rows = connection
        .prepare_cached(select)
        .and_then(|mut select| {
            let row = |row: &Row<'_>| {
                let (id, text) = (row.get::<_, String>(0)?, row.get::<_, String>(3)?);
                Ok((id, revision_at(row, 1)?, row.get(2)?, text))
            };
            let rows = select.query_map(of, row)?;
            rows.collect::<Result<Vec<_>, _>>()
        })
        .map_err(failed)?;
    let object = |(id, revision, number, text): (String, Revision, Option<u32>, String)| {
        let document = document(&text, kind, &id)?;
        Ok(Object { kind, id, number, revision, document })
    };
    rows.into_iter().map(object).collect()
}

fn begun(connection: &mut Connection) -> Result<Transaction<'_>, StoreError> {
    connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(failed)
}

fn newest(transaction: &Connection) -> Result<Revision, StoreError> {
    let select = "SELECT revision FROM registry";
    transaction.query_row(select, (), |row| revision_at(row, 0)).map_err(failed)
}

fn finished(transaction: Transaction<'_>, revision: Revision) -> Result<(), StoreError> {
    transaction
        .execute("UPDATE registry SET revision = ?1", params![signed(revision.0)])
        .map_err(failed)?;
    transaction.commit().map_err(failed)
}

#[cfg(test)]
mod tests;
