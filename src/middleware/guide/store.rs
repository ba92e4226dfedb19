//! The store of guides: `<state>/guide.db`, an SQLite file of its own, beside the registry.
//!
//! What a source said is an *edition*: its channels, and blocks of their programmes
//! (`programme`). An import writes the next edition while the last one is read, and one write makes
//! it the one that counts. One thread writes; any number of others read, each with a connection of
//! its own. Everything in it can be had again from the sources: a file that can't be read is put
//! aside and begun anew, and a backup of the registry is enough.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, params};

use super::programme::Packed;
use crate::units::UnixTime;

/// Its name in the state folder.
pub const FILE: &str = "guide.db";

/// What the file is made by. One of another version is begun anew.
const VERSION: i64 = 1;

const TABLES: &str = "
CREATE TABLE edition (
    number INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    -- When it became the one that counts; none = it is being written.
    since INTEGER,
    -- When another one took its place.
    until INTEGER
) STRICT;
CREATE TABLE source (
    id TEXT PRIMARY KEY,
    edition INTEGER,
    etag TEXT,
    modified TEXT,
    -- What the last look at it brought, for whoever asks.
    report TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE channel (
    number INTEGER PRIMARY KEY,
    edition INTEGER NOT NULL,
    xmltv TEXT NOT NULL,
    -- One a line.
    names TEXT NOT NULL,
    icon TEXT NOT NULL,
    programmes INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL
) STRICT;
CREATE INDEX channel_of ON channel (edition);
CREATE TABLE block (
    channel INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    bytes BLOB NOT NULL
) STRICT;
CREATE INDEX block_of ON block (channel, first, last);
";

/// What a store could not do, and what SQLite says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreError(pub String);

impl std::fmt::Display for StoreError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the store of guides failed: {}", self.0)
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self(error.to_string())
    }
}

/// A channel, as a source has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceChannel {
    /// Its number in the store.
    pub number: i64,
    /// What the source calls it in its programmes.
    pub xmltv: String,
    /// What people call it.
    pub names: Vec<String>,
    /// Where its logo is; empty = nowhere.
    pub icon: String,
    /// How many programmes there are,
    pub programmes: u64,
    /// the start of the first,
    pub first: u64,
    /// and the end of the last.
    pub last: u64,
}

/// What is kept of a source besides its edition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Its edition that counts.
    pub edition: Option<i64>,
    /// What the server said of the file that it was read from (RFC 9110, 8.8.3 and 8.8.2).
    pub etag: Option<String>,
    /// See `etag`.
    pub modified: Option<String>,
    /// JSON: what the last look at it brought.
    pub report: String,
}

/// The writing end of the store.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
}

/// The path of the store in a state folder.
#[must_use]
pub fn path(state: &Path) -> PathBuf {
    state.join(FILE)
}

impl Store {
    /// The store in a state folder, made if there is none; editions that were not finished go.
    ///
    /// # Errors
    ///
    /// The file can't be made, or the folder can't be written.
    pub fn open(state: &Path) -> Result<Self, StoreError> {
        let path = path(state);
        match Self::opened(&path) {
            Ok(Some(store)) => return Ok(store),
            Ok(None) => tracing::warn!("guide.db is of another version: guides are read anew"),
            Err(error) if is_damaged(&error) => {
                tracing::error!(%error, "guide.db can't be read: guides are read anew");
            }
            Err(error) => return Err(error.into()),
        }
        for name in ["guide.db", "guide.db-wal", "guide.db-shm"] {
            let found = state.join(name);
            if found.exists() {
                let aside = state.join(format!("{name}.aside"));
                std::fs::rename(&found, aside).map_err(|error| StoreError(error.to_string()))?;
            }
        }
        let made = Self::opened(&path)?;
        made.ok_or_else(|| StoreError("it was not made as it should be".to_owned()))
    }

    fn opened(path: &Path) -> Result<Option<Self>, rusqlite::Error> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(Duration::from_secs(10))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // What a power cut takes is had again from the sources.
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "cache_size", -8 * 1024)?;
        // Tables are walked through in the order in which they grew.
        connection.pragma_update(None, "wal_autocheckpoint", 2000)?;
        let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if version == 0 {
            let made = format!("BEGIN; {TABLES} PRAGMA user_version = {VERSION}; COMMIT;");
            connection.execute_batch(&made)?;
        } else if version != VERSION {
            return Ok(None);
        }
        let mut store = Self { connection };
        store.sweep_all()?;
        Ok(Some(store))
    }

    /// Begins an edition of a source.
    ///
    /// # Errors
    ///
    /// SQLite failed; so in all of these.
    pub fn begin(&mut self, source: &str) -> Result<i64, StoreError> {
        let insert = "INSERT INTO edition (source) VALUES (?1)";
        self.connection.execute(insert, [source])?;
        Ok(self.connection.last_insert_rowid())
    }

    /// Writes channels and blocks of an edition that was begun.
    ///
    /// # Errors
    ///
    /// See `begin`.
    pub fn write<T>(
        &mut self,
        work: impl FnOnce(&mut Writing<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let transaction = self.connection.transaction()?;
        let done = work(&mut Writing { connection: &transaction })?;
        transaction.commit()?;
        Ok(done)
    }

    /// Makes an edition the one that counts, with what is kept of its source.
    ///
    /// # Errors
    ///
    /// See `begin`.
    pub fn finish(
        &mut self,
        (source, edition): (&str, i64),
        kept: &Kept,
        now: UnixTime,
    ) -> Result<(), StoreError> {
        let now = i64::try_from(now.0).unwrap_or(i64::MAX);
        let transaction = self.connection.transaction()?;
        let replaced = "UPDATE edition SET until = ?2 WHERE source = ?1 AND since IS NOT NULL \
                        AND until IS NULL";
        transaction.execute(replaced, params![source, now])?;
        transaction
            .execute("UPDATE edition SET since = ?2 WHERE number = ?1", params![edition, now])?;
        let kept = Kept { edition: Some(edition), ..kept.clone() };
        keep(&transaction, source, &kept)?;
        transaction.commit()?;
        Ok(())
    }

    /// Takes an edition that was begun away again; or any other one.
    ///
    /// # Errors
    ///
    /// See `begin`.
    pub fn drop_edition(&mut self, edition: i64) -> Result<(), StoreError> {
        loop {
            // In pieces, so that the log of what is written stays short.
            let channels = "SELECT number FROM channel WHERE edition = ?1 LIMIT 200";
            let mut found = self.connection.prepare_cached(channels)?;
            let found: Vec<i64> =
                found.query_map([edition], |row| row.get(0))?.collect::<Result<_, _>>()?;
            if found.is_empty() {
                break;
            }
            let transaction = self.connection.unchecked_transaction()?;
            for channel in found {
                let blocks = "DELETE FROM block WHERE channel = ?1";
                transaction.prepare_cached(blocks)?.execute([channel])?;
                let row = "DELETE FROM channel WHERE number = ?1";
                transaction.prepare_cached(row)?.execute([channel])?;
            }
            transaction.commit()?;
        }
        self.connection.execute("DELETE FROM edition WHERE number = ?1", [edition])?;
        Ok(())
    }

    /// Takes editions away that were replaced before then.
    ///
    /// # Errors
    ///
    /// See `begin`.
    pub fn sweep(&mut self, before: UnixTime) -> Result<(), StoreError> {
        let before = i64::try_from(before.0).unwrap_or(i64::MAX);
        let old = "SELECT number FROM edition WHERE until < ?1";
        self.drop_all(old, before)
    }

    /// At the start nobody reads what was replaced, and nobody writes.
    fn sweep_all(&mut self) -> Result<(), rusqlite::Error> {
        let old = "SELECT number FROM edition WHERE until < ?1 OR since IS NULL";
        self.drop_all(old, i64::MAX).map_err(|error| {
            rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(1), Some(error.0))
        })
    }

    fn drop_all(&mut self, which: &str, before: i64) -> Result<(), StoreError> {
        let found: Vec<i64> = {
            let mut found = self.connection.prepare(which)?;
            found.query_map([before], |row| row.get(0))?.collect::<Result<_, _>>()?
        };
        found.into_iter().try_for_each(|edition| self.drop_edition(edition))
    }

    /// Keeps what the last look at a source brought.
    ///
    /// # Errors
    ///
    /// See `begin`.
    pub fn keep(&mut self, source: &str, kept: &Kept) -> Result<(), StoreError> {
        Ok(keep(&self.connection, source, kept)?)
    }

    /// What is kept of a source.
    ///
    /// # Errors
    ///
    /// See `begin`.
    pub fn kept(&self, source: &str) -> Result<Kept, StoreError> {
        Ok(kept(&self.connection, source)?.unwrap_or_default())
    }

    /// Forgets sources that are not among these.
    ///
    /// # Errors
    ///
    /// See `begin`.
    pub fn retain(&mut self, sources: &[String], now: UnixTime) -> Result<bool, StoreError> {
        let all: Vec<String> = {
            let mut all = self.connection.prepare("SELECT id FROM source")?;
            all.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?
        };
        let gone: Vec<_> = all.into_iter().filter(|id| !sources.contains(id)).collect();
        let until = i64::try_from(now.0).unwrap_or(i64::MAX);
        for id in &gone {
            let transaction = self.connection.transaction()?;
            transaction.execute("DELETE FROM source WHERE id = ?1", [id])?;
            let replaced = "UPDATE edition SET until = ?2 WHERE source = ?1 AND until IS NULL";
            transaction.execute(replaced, params![id, until])?;
            transaction.commit()?;
        }
        Ok(!gone.is_empty())
    }
}

#[cfg(test)]
impl Store {
    /// How many editions and blocks there are.
    pub fn left(&self) -> (i64, i64) {
        let count = |of: &str| {
            let select = format!("SELECT COUNT(*) FROM {of}");
            self.connection.query_row(&select, [], |row| row.get(0)).unwrap()
        };
        (count("edition"), count("block"))
    }
}

/// What is written of an edition within one transaction.
#[derive(Debug)]
pub struct Writing<'s> {
    connection: &'s Connection,
}

impl Writing<'_> {
    /// Adds a channel; what is counted of it is said at the end.
    ///
    /// # Errors
    ///
    /// See `Store::begin`.
    pub fn channel(&mut self, edition: i64, channel: &SourceChannel) -> Result<i64, StoreError> {
        let insert = "INSERT INTO channel (edition, xmltv, names, icon, programmes, first, last) \
                      VALUES (?1, ?2, ?3, ?4, 0, 0, 0)";
        let names = channel.names.join("\n");
        self.connection.prepare_cached(insert)?.execute(params![
            edition,
            channel.xmltv,
            names,
            channel.icon
        ])?;
        Ok(self.connection.last_insert_rowid())
    }

    /// Says all of a channel anew.
    ///
    /// # Errors
    ///
    /// See `Store::begin`.
    pub fn counted(&mut self, channel: &SourceChannel) -> Result<(), StoreError> {
        let update = "UPDATE channel SET names = ?2, icon = ?3, programmes = ?4, first = ?5, \
                      last = ?6 WHERE number = ?1";
        self.connection.prepare_cached(update)?.execute(params![
            channel.number,
            channel.names.join("\n"),
            channel.icon,
            i64::try_from(channel.programmes).unwrap_or(i64::MAX),
            i64::try_from(channel.first).unwrap_or(i64::MAX),
            i64::try_from(channel.last).unwrap_or(i64::MAX),
        ])?;
        Ok(())
    }

    /// Adds a block of a channel.
    ///
    /// # Errors
    ///
    /// See `Store::begin`.
    pub fn block(&mut self, channel: i64, packed: &Packed) -> Result<(), StoreError> {
        let insert = "INSERT INTO block (channel, first, last, bytes) VALUES (?1, ?2, ?3, ?4)";
        let (first, last) = (packed.first.cast_signed(), packed.last.cast_signed());
        self.connection.prepare_cached(insert)?.execute(params![
            channel,
            first,
            last,
            packed.bytes
        ])?;
        Ok(())
    }
}

fn keep(connection: &Connection, source: &str, kept: &Kept) -> Result<(), rusqlite::Error> {
    let insert = "INSERT OR REPLACE INTO source (id, edition, etag, modified, report) \
                  VALUES (?1, ?2, ?3, ?4, ?5)";
    let Kept { edition, etag, modified, report } = kept;
    connection.prepare_cached(insert)?.execute(params![source, edition, etag, modified, report])?;
    Ok(())
}

fn kept(connection: &Connection, source: &str) -> Result<Option<Kept>, rusqlite::Error> {
    let select = "SELECT edition, etag, modified, report FROM source WHERE id = ?1";
    let read = |row: &rusqlite::Row<'_>| {
        let (edition, etag) = (row.get(0)?, row.get(1)?);
        Ok(Kept { edition, etag, modified: row.get(2)?, report: row.get(3)? })
    };
    connection.prepare_cached(select)?.query_row([source], read).optional()
}

/// The file is no database, or its bytes are not what was written.
fn is_damaged(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
}

/// A reading end of the store.
#[derive(Debug)]
pub struct Reading {
    connection: Connection,
}

impl Reading {
    /// Another connection to a store that is there.
    ///
    /// # Errors
    ///
    /// The file can't be opened; in the others, SQLite failed.
    pub fn open(state: &Path) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path(state), flags)?;
        connection.busy_timeout(Duration::from_secs(10))?;
        connection.pragma_update(None, "cache_size", -4 * 1024)?;
        Ok(Self { connection })
    }

    /// What is kept of a source.
    ///
    /// # Errors
    ///
    /// See `open`.
    pub fn kept(&self, source: &str) -> Result<Option<Kept>, StoreError> {
        Ok(kept(&self.connection, source)?)
    }

    /// The channels of an edition, in the order in which they came.
    ///
    /// # Errors
    ///
    /// See `open`.
    pub fn channels(&self, edition: i64) -> Result<Vec<SourceChannel>, StoreError> {
        let select = "SELECT number, xmltv, names, icon, programmes, first, last FROM channel \
                      WHERE edition = ?1 ORDER BY number";
        let mut statement = self.connection.prepare_cached(select)?;
        let channels = statement.query_map([edition], |row| {
            let names: String = row.get(2)?;
            Ok(SourceChannel {
                number: row.get(0)?,
                xmltv: row.get(1)?,
                names: names.lines().map(str::to_owned).collect(),
                icon: row.get(3)?,
                programmes: row.get::<_, i64>(4)?.cast_unsigned(),
                first: row.get::<_, i64>(5)?.cast_unsigned(),
                last: row.get::<_, i64>(6)?.cast_unsigned(),
            })
        })?;
        Ok(channels.collect::<Result<_, _>>()?)
    }

    /// The blocks of a channel in which something is on between these seconds.
    ///
    /// # Errors
    ///
    /// See `open`; or whoever sees a block fails.
    pub fn blocks(
        &self,
        channel: i64,
        (from, to): (u64, u64),
        mut see: impl FnMut(&[u8]),
    ) -> Result<(), StoreError> {
        let select = "SELECT bytes FROM block WHERE channel = ?1 AND first < ?2 AND last > ?3 \
                      ORDER BY first, rowid";
        let mut statement = self.connection.prepare_cached(select)?;
        let bound = |second: u64| i64::try_from(second).unwrap_or(i64::MAX);
        let mut rows = statement.query(params![channel, bound(to), bound(from)])?;
        while let Some(row) = rows.next()? {
            if let rusqlite::types::ValueRef::Blob(bytes) = row.get_ref(0)? {
                see(bytes);
            }
        }
        Ok(())
    }

    /// Begins to see one moment of the store only.
    ///
    /// # Errors
    ///
    /// See `open`.
    pub fn hold(&self) -> Result<(), StoreError> {
        self.connection.execute_batch("BEGIN; SELECT 1 FROM edition LIMIT 1;")?;
        Ok(())
    }

    /// Ends that.
    pub fn let_go(&self) {
        // A transaction that only read has nothing to lose.
        let _ = self.connection.execute_batch("ROLLBACK;");
    }
}

#[cfg(test)]
mod tests;
