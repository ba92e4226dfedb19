//! Copies of a registry: made while it is in use, looked at, and put in its place.
//!
//! A copy is a database like the registry itself, with everything but what is secret: a copy is
//! kept where it can be read by others. What was signed before it is restored is void anyway, and
//! who may administer a server is no business of a copy: whoever was let in or put out since stays
//! so.
//!
//! Restoring is one transaction. What is other than in the copy gets a new revision, so whoever
//! follows changes sees the registry become what it was, and revisions and numbers that were given
//! since are never given again.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, chown};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, Transaction, params};
use serde_json::{Value, json};

use super::super::{Kind, Revision, StoreError};
use super::audit_log::{Log, Said, noted_outside};
use super::{APPLICATION_ID, BUSY, Sqlite, failed, revision_at, signed, up_to_date};
use crate::control::audit::chain::Key;
use crate::control::audit::{Act, Deed, Note};
use crate::control::passphrase::Sealed;

pub mod keys;

/// Looks at one document: what is wrong with it.
pub type Look<'l> = &'l dyn Fn(Kind, Value) -> Result<(), String>;

/// What a copy holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Objects.
    pub objects: u64,
    /// The revision that it is of.
    pub revision: Revision,
}

fn at(path: &Path, why: impl std::fmt::Display) -> StoreError {
    StoreError(format!("{}: {why}", path.display()))
}

/// Copies the registry of a state folder into a new file, which its user alone can read. The server
/// may run meanwhile; nobody waits for it. Keys are in it only as they were sealed. The audit log
/// has an entry about it, and is in the copy.
///
/// # Errors
///
/// There is no registry, it can't be read, the file is there or can't be written.
pub fn backup(
    act: &Act,
    state: &Path,
    to: &Path,
    keys: Option<&Sealed>,
) -> Result<Copied, StoreError> {
    let path = state.join("registry.db");
    let mut registry = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)
        .map_err(|error| at(&path, error))?;
    let whose = registry.pragma_query_value(None, "application_id", |row| row.get::<_, i32>(0));
    if whose.map_err(|error| at(&path, error))? != APPLICATION_ID {
        return Err(at(&path, "this is no registry"));
    }
    registry.busy_timeout(BUSY).map_err(|error| at(&path, error))?;
    let details = json!({ "file": to.to_string_lossy(), "keys": keys.is_some() });
    let (deed, kind, id) = (Deed::Backup, "registry", String::new());
    let note = Note { deed, kind, id, details, made: Value::Null };
    noted_outside(&mut registry, state, act, &note)?;
    let unfinished = beside(to, "part");
    made(&unfinished)?;
    let result = copied(&registry, &unfinished, keys).and_then(|copied| {
        let put = File::open(&unfinished).and_then(|file| file.sync_all());
        // Never over something that is there.
        put.and_then(|()| fs::hard_link(&unfinished, to)).map_err(|error| at(to, error))?;
        Ok(copied)
    });
    let _ = fs::remove_file(&unfinished);
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty());
    let synced = File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all());
    result.and_then(|copied| synced.map(|()| copied).map_err(|error| at(to, error)))
}

/// A name beside a path.
fn beside(path: &Path, extension: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.{extension}", std::process::id()));
    name.into()
}

/// Makes an empty file that nobody else can read.
fn made(path: &Path) -> Result<(), StoreError> {
    let _ = fs::remove_file(path);
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    made.map(drop).map_err(|error| at(path, error))
}

fn copied(registry: &Connection, to: &Path, keys: Option<&Sealed>) -> Result<Copied, StoreError> {
    let name = to.to_str().ok_or_else(|| at(to, "this path is no text"))?;
    registry.execute("VACUUM INTO ?1", params![name]).map_err(|error| at(to, error))?;
    let copy = Connection::open(to).map_err(|error| at(to, error))?;
    let made = || -> rusqlite::Result<Copied> {
        // What was deleted is not left in the file either.
        copy.execute_batch("PRAGMA journal_mode = DELETE; PRAGMA secure_delete = ON;")?;
        copy.execute(&format!("DELETE FROM object WHERE kind IN ({})", secret()), ())?;
        copy.execute(&format!("DELETE FROM removed WHERE kind IN ({})", secret()), ())?;
        // Answers are for whoever asked this server.
        if copy.table_exists(None, "answered")? {
            copy.execute("DELETE FROM answered", ())?;
        }
        // Who watched what is nobody's business who finds a copy.
        if copy.table_exists(None, "session_over")? {
            copy.execute("DELETE FROM session_over", ())?;
        }
        copy.execute_batch("VACUUM")?;
        if let Some(sealed) = keys {
            keys::put(&copy, sealed)?;
        }
        held(&copy)
    };
    made().map_err(|error| at(to, error))
}

/// The kinds that no copy has, as SQL lists them.
fn secret() -> String {
    listed(Kind::is_in_no_copy)
}

fn listed(is_one: impl Fn(Kind) -> bool) -> String {
    let kinds = Kind::ALL.into_iter().filter(|kind| is_one(*kind));
    kinds.map(|kind| format!("'{}'", kind.word())).collect::<Vec<_>>().join(", ")
}

fn held(copy: &Connection) -> rusqlite::Result<Copied> {
    let objects: i64 = copy.query_row("SELECT count(*) FROM object", (), |row| row.get(0))?;
    let select = "SELECT revision FROM registry";
    let revision = copy.query_row(select, (), |row| revision_at(row, 0))?;
    Ok(Copied { objects: u64::try_from(objects).unwrap_or(0), revision })
}

/// Whether this is the name that `staged` gives a copy.
#[must_use]
pub fn is_staged(name: &str) -> bool {
    let number = name.strip_prefix("restore-").and_then(|name| name.strip_suffix(".db"));
    number
        .is_some_and(|number| !number.is_empty() && number.bytes().all(|one| one.is_ascii_digit()))
}

/// Puts a copy into a state folder as it will be restored, if it can be: of this version, sound,
/// with nothing in it that the server would not have taken. Gives its place there.
///
/// # Errors
///
/// What is wrong with it. Nothing is left behind.
pub fn staged(from: &Path, state: &Path, look: Look<'_>) -> Result<(PathBuf, Copied), StoreError> {
    let staged = state.join(format!("restore-{}.db", std::process::id()));
    made(&staged)?;
    // The copy's own mode is nobody's business.
    let copied = || {
        let mut to = OpenOptions::new().write(true).open(&staged)?;
        io::copy(&mut File::open(from)?, &mut to)
    };
    let looked = copied()
        .map_err(|error| at(from, error))
        .and_then(|_| sound(from, &staged, look))
        .and_then(|copied| given(state, &staged).map(|()| copied));
    match looked {
        Ok(copied) => Ok((staged, copied)),
        Err(error) => {
            let _ = fs::remove_file(&staged);
            Err(error)
        }
    }
}

/// The server may be another user's: it is to read what an administrator restores.
///
/// # Errors
///
/// The owner can't be known, or changed.
pub fn given(state: &Path, staged: &Path) -> Result<(), StoreError> {
    let owner = fs::metadata(state).map_err(|error| at(state, error))?;
    let is_ours = fs::metadata(staged).is_ok_and(|staged| staged.uid() == owner.uid());
    if is_ours {
        return Ok(());
    }
    chown(staged, Some(owner.uid()), Some(owner.gid())).map_err(|error| at(staged, error))
}

fn sound(from: &Path, staged: &Path, look: Look<'_>) -> Result<Copied, StoreError> {
    let wrong = |why: &dyn std::fmt::Display| at(from, why);
    let mut copy = Connection::open(staged).map_err(|error| wrong(&error))?;
    let select = "SELECT count(*) FROM sqlite_schema";
    let tables = copy.query_row(select, (), |row| row.get::<_, i64>(0));
    if tables.map_err(|error| wrong(&error))? == 0 {
        return Err(wrong(&"it is empty"));
    }
    up_to_date(&mut copy, None).map_err(|error| wrong(&error))?;
    // One file, without what WAL keeps beside it.
    let single = copy.pragma_update(None, "journal_mode", "DELETE");
    single.map_err(|error| wrong(&error))?;
    let check = "PRAGMA integrity_check(1)";
    let said = copy.query_row(check, (), |row| row.get::<_, String>(0));
    match said.map_err(|error| wrong(&error))?.as_str() {
        "ok" => {}
        damage => return Err(wrong(&format!("it is damaged: {damage}"))),
    }
    every_document(&copy, look).map_err(|why| wrong(&why))?;
    dangling(&copy).map_err(|why| wrong(&why))?;
    held(&copy).map_err(|error| wrong(&error))
}

fn every_document(copy: &Connection, look: Look<'_>) -> Result<(), String> {
    let text = |error: rusqlite::Error| error.to_string();
    let mut select = copy.prepare("SELECT kind, id, document FROM object").map_err(text)?;
    let mut rows = select.query(()).map_err(text)?;
    while let Some(row) = rows.next().map_err(text)? {
        let (word, id): (String, String) = (row.get(0).map_err(text)?, row.get(1).map_err(text)?);
        let document: String = row.get(2).map_err(text)?;
        let kind = Kind::of(&word).ok_or_else(|| format!("no kind is called {word:?}"))?;
        if kind.is_in_no_copy() {
            return Err(format!("it has a {word}, which no copy has"));
        }
        let document = serde_json::from_str(&document).map_err(|error| error.to_string());
        document
            .and_then(|document| look(kind, document))
            .map_err(|why| format!("{word} {id:?}: {why}"))?;
    }
    Ok(())
}

fn dangling(copy: &Connection) -> Result<(), String> {
    let select = "SELECT kind, id, to_kind, to_id FROM reference WHERE NOT EXISTS (SELECT 1 FROM \
                  object WHERE object.kind = to_kind AND object.id = to_id) LIMIT 1";
    let text = |column| move |row: &rusqlite::Row<'_>| row.get::<_, String>(column);
    let found = copy.query_row(select, (), |row| {
        Ok((text(0)(row)?, text(1)(row)?, text(2)(row)?, text(3)(row)?))
    });
    match found {
        Ok((kind, id, to_kind, to_id)) => {
            Err(format!("{kind} {id:?} speaks of {to_kind} {to_id:?}, which is not there"))
        }
        Err(rusqlite::Error::QueryReturnedNoRows) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// Makes the registry what the copy says, with revisions behind this one. What is secret stays, and
/// so does what outlives a restore; the epoch is another one.
fn restore(base: i64) -> String {
    let stay = listed(|kind| kind.is_in_no_copy() || kind.outlives_restore());
    let outlive = listed(Kind::outlives_restore);
    format!(
        "
-- Channels of the config file were numbered by nobody's wish: their numbers give way.
DELETE FROM main.number AS here WHERE EXISTS
    (SELECT 1 FROM copy.number AS there WHERE there.kind = here.kind
        AND there.number = here.number AND there.id <> here.id)
    AND EXISTS (SELECT 1 FROM main.object AS of WHERE of.kind = here.kind AND of.id = here.id
        AND of.number = here.number AND json_extract(of.document, '$.in_file'));
-- What is gone.
INSERT OR REPLACE INTO removed (kind, id, revision, number)
    SELECT kind, id, {base} + row_number() OVER (ORDER BY kind, id), number
    FROM main.object AS here WHERE kind NOT IN ({stay}) AND NOT EXISTS
        (SELECT 1 FROM copy.object AS there WHERE there.kind = here.kind AND there.id = here.id);
DELETE FROM main.object AS here WHERE kind NOT IN ({stay}) AND NOT EXISTS
    (SELECT 1 FROM copy.object AS there WHERE there.kind = here.kind AND there.id = here.id);
-- What is new or other.
INSERT INTO main.object (kind, id, revision, number, document)
    SELECT kind, id, {base} + (SELECT count(*) FROM main.removed WHERE revision > {base})
        + row_number() OVER (ORDER BY kind, id), number, document
    FROM copy.object AS there WHERE NOT EXISTS
        (SELECT 1 FROM main.object AS here
            WHERE here.kind = there.kind AND here.id = there.id
            AND (here.kind IN ({outlive})
                OR here.document = there.document AND here.number IS there.number))
    ON CONFLICT (kind, id) DO UPDATE SET
        revision = excluded.revision, number = excluded.number, document = excluded.document;
DELETE FROM main.removed AS gone WHERE EXISTS
    (SELECT 1 FROM main.object AS here WHERE here.kind = gone.kind AND here.id = gone.id);
DELETE FROM main.reference;
INSERT INTO main.reference SELECT * FROM copy.reference;
-- A number that is another object's here fails, and with it all of this.
INSERT INTO main.number SELECT * FROM copy.number AS there WHERE NOT EXISTS
    (SELECT 1 FROM main.number AS here WHERE here.kind = there.kind
        AND here.number = there.number AND here.id = there.id);
-- What was made before may be gone: whoever asks for it again is not told that it is there.
DELETE FROM main.answered;
UPDATE main.registry SET
    epoch = 1 + max(epoch, (SELECT epoch FROM copy.registry)),
    revision = 1 + max({base},
        coalesce((SELECT max(revision) FROM main.object), 0),
        coalesce((SELECT max(revision) FROM main.removed), 0));
"
    )
}

/// Says in the audit log what became of each object, and of it all. The log itself is not restored:
/// it tells what was done here, and goes on.
fn restore_told(
    transaction: &Transaction<'_>,
    key: &Key,
    act: &Act,
    (base, of, revision): (i64, Revision, Revision),
) -> Result<(), StoreError> {
    let since = Revision(u64::try_from(base).unwrap_or(0));
    let mut log = Log::at_end(transaction, key)?;
    log.removals_since(act, since)?;
    log.objects_since(act, Deed::Restore, since)?;
    let select = "SELECT epoch FROM main.registry";
    let epoch: u32 = transaction.query_row(select, (), |row| row.get(0)).map_err(failed)?;
    let said = Said {
        deed: Deed::Restore,
        kind: "registry",
        id: "",
        revision: Some(revision),
        digest: None,
        details: json!({ "of_revision": of.0, "epoch": epoch }),
    };
    log.add(act, &said)
}

impl Sqlite {
    /// Makes the registry what a staged copy says, all of it or nothing.
    ///
    /// # Errors
    ///
    /// The copy can't be read, has numbers that are others' here, or the disk refuses.
    pub fn restored(&mut self, act: &Act, staged: &Path) -> Result<Revision, StoreError> {
        let name = staged.to_str().ok_or_else(|| at(staged, "this path is no text"))?;
        let attached = self.connection.execute("ATTACH ?1 AS copy", params![name]);
        attached.map_err(|error| at(staged, error))?;
        let restored = self.restored_from_copy(act);
        // Whatever becomes of that, what was restored is.
        if let Err(error) = self.connection.execute("DETACH copy", ()) {
            tracing::warn!(%error, "the copy that was restored is still open");
        }
        restored
    }

    fn restored_from_copy(&mut self, act: &Act) -> Result<Revision, StoreError> {
        let transaction = self
            .connection
            .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
            .map_err(failed)?;
        let revision = |name: &str| {
            let select = format!("SELECT revision FROM {name}.registry");
            transaction.query_row(&select, (), |row| revision_at(row, 0)).map_err(failed)
        };
        // Revisions of a registry that was lost may have been told, too.
        let base = signed(revision("main")?.max(revision("copy")?).0);
        transaction.execute_batch(&restore(base)).map_err(|error| {
            match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::ConstraintViolation) => StoreError(
                "numbers in the copy are those of other objects here: it is of another registry"
                    .to_owned(),
            ),
            _ => failed(error),
        }
        })?;
        let of = revision("copy")?;
        let revision = revision("main")?;
        restore_told(&transaction, &self.key, act, (base, of, revision))?;
        transaction.commit().map_err(failed)?;
        Ok(revision)
    }
}

#[cfg(test)]
mod tests;
