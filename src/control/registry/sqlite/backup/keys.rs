//! Keys in a copy: a table that no registry has, with what was sealed by a passphrase.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::Value;

use super::at;
use crate::control::passphrase::Sealed;
use crate::control::registry::{Kind, StoreError};

/// Puts sealed keys into a copy.
pub(super) fn put(copy: &Connection, sealed: &Sealed) -> rusqlite::Result<()> {
    copy.execute_batch(
        "CREATE TABLE sealed_keys (
            only INTEGER PRIMARY KEY CHECK (only = 1),
            salt BLOB NOT NULL,
            memory_kib INTEGER NOT NULL,
            passes INTEGER NOT NULL,
            bytes BLOB NOT NULL
        ) STRICT",
    )?;
    let insert = "INSERT INTO sealed_keys VALUES (1, ?1, ?2, ?3, ?4)";
    let Sealed { salt, memory_kib, passes, bytes } = sealed;
    copy.execute(insert, params![salt, memory_kib, passes, bytes]).map(drop)
}

/// The sealed keys of a copy; none if it was made without.
///
/// # Errors
///
/// It can't be read.
pub fn sealed(copy: &Path) -> Result<Option<Sealed>, StoreError> {
    let read = || -> rusqlite::Result<Option<Sealed>> {
        let copy = Connection::open(copy)?;
        if !copy.table_exists(None, "sealed_keys")? {
            return Ok(None);
        }
        let select = "SELECT salt, memory_kib, passes, bytes FROM sealed_keys";
        let row = |row: &rusqlite::Row<'_>| {
            let (salt, memory_kib) = (row.get(0)?, row.get(1)?);
            Ok(Sealed { salt, memory_kib, passes: row.get(2)?, bytes: row.get(3)? })
        };
        copy.query_row(select, (), row).optional()
    };
    read().map_err(|error| at(copy, error))
}

/// Makes of every subscriber's app passwords in a staged copy something else; gives how many there
/// were.
///
/// # Errors
///
/// The copy can't be read or written.
pub fn each_app_passwords(
    staged: &Path,
    other: impl Fn(&str, Value) -> Value,
) -> Result<u64, StoreError> {
    let changed = || -> rusqlite::Result<u64> {
        let mut copy = Connection::open(staged)?;
        let transaction = copy.transaction()?;
        let mut count = 0;
        {
            let select = "SELECT id, document FROM object WHERE kind = ?1 AND id > ?2 \
                          ORDER BY id LIMIT 1";
            let mut next = transaction.prepare(select)?;
            let update = "UPDATE object SET document = ?3 WHERE kind = ?1 AND id = ?2";
            let mut update = transaction.prepare(update)?;
            let (kind, mut after) = (Kind::AppPasswords.word(), String::new());
            let row =
                |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?));
            while let Some((id, text)) = next.query_row(params![kind, after], row).optional()? {
                // Each was looked at when the copy was staged.
                let document = serde_json::from_str(&text).unwrap_or_default();
                update.execute(params![kind, id, other(&id, document).to_string()])?;
                (after, count) = (id, count + 1);
            }
        }
        transaction.commit()?;
        Ok(count)
    };
    changed().map_err(|error| at(staged, error))
}
