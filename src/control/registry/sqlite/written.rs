//! Writes within a transaction: each is looked at against what stands there, made, and told to the
//! audit log.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde_json::{Value, json};

use super::super::{Expected, Kind, Object, Reference, Revision, StoreError, Uncommitted, Write};
use super::answered;
use super::audit_log::{Log, Said};
use super::{failed, revision_at, signed};
use crate::control::audit::{Act, Deed};

/// Makes these writes, with revisions behind this one, and gives the last.
///
/// # Errors
///
/// `Uncommitted`; then what was made is to be undone.
pub(super) fn together(
    log: &mut Log<'_>,
    act: &Act,
    writes: &[Write],
    mut revision: Revision,
) -> Result<Revision, Uncommitted> {
    let transaction = log.transaction();
    for (index, write) in writes.iter().enumerate() {
        revision.0 += 1;
        let done = one(transaction, write, revision, index)?;
        log.add(act, &done.said(act, log, write, revision))?;
        if index == 0 {
            let made = || done.object(write, revision).told_whole();
            answered::remember(transaction, log.key(), act, made)?;
        }
    }
    // Whatever the order of the writes, it is what they leave that must hold together.
    for (index, write) in writes.iter().enumerate() {
        held_together(transaction, write, index)?;
    }
    Ok(revision)
}

/// What a write did.
struct Done {
    deed: Deed,
    number: Option<u32>,
    /// The document as it was written; none = the object was removed.
    document: Option<String>,
    /// Which fields of it were other before; none = it is new, or gone.
    fields: Option<Vec<String>>,
}

impl Done {
    /// Its entry in the audit log.
    fn said<'w>(&self, act: &Act, log: &Log<'_>, write: &'w Write, revision: Revision) -> Said<'w> {
        let (kind, id) = (write.kind, write.id.as_str());
        let document = self.document.as_deref();
        Said {
            deed: act.deed.unwrap_or(self.deed),
            kind: kind.word(),
            id,
            revision: Some(revision),
            digest: document.map(|document| log.object(kind, id, self.number, document)),
            details: self.fields.as_ref().map_or(Value::Null, |fields| json!({ "fields": fields })),
        }
    }

    /// The object as it stands now.
    fn object(&self, write: &Write, revision: Revision) -> Object {
        let (kind, id, number) = (write.kind, write.id.clone(), self.number);
        let document = write.document.clone().unwrap_or_default();
        Object { kind, id, number, revision, document }
    }
}

/// The names of the fields that say something else.
fn fields_changed(before: &str, after: &Value) -> Vec<String> {
    let before = serde_json::from_str::<Value>(before).unwrap_or_default();
    let (Value::Object(before), Value::Object(after)) = (&before, after) else { return Vec::new() };
    let names = before.keys().chain(after.keys().filter(|name| !before.contains_key(*name)));
    names.filter(|name| before.get(*name) != after.get(*name)).cloned().collect()
}

/// Makes one write within a transaction.
fn one(
    transaction: &Connection,
    write: &Write,
    revision: Revision,
    index: usize,
) -> Result<Done, Uncommitted> {
    let (kind, id) = (write.kind.word(), &write.id);
    let found = transaction
        .prepare_cached("SELECT revision, number, document FROM object WHERE kind = ?1 AND id = ?2")
        .and_then(|mut select| {
            let row = |row: &Row<'_>| {
                Ok((revision_at(row, 0)?, row.get::<_, Option<u32>>(1)?, row.get::<_, String>(2)?))
            };
            select.query_row(params![kind, id], row).optional()
        })
        .map_err(failed)?;
    let (found, number, before) = match found {
        Some((revision, number, before)) => (Some(revision), number, Some(before)),
        None => (None, None, None),
    };
    let stands = match write.expected {
        Expected::Anything => true,
        Expected::Absent => found.is_none(),
        Expected::At(revision) => found == Some(revision),
    };
    if !stands {
        return Err(Uncommitted::Conflict { index, found });
    }
    let gone = |delete: &str| {
        let mut delete = transaction.prepare_cached(delete).map_err(failed)?;
        delete.execute(params![kind, id]).map_err(failed)
    };
    gone("DELETE FROM removed WHERE kind = ?1 AND id = ?2")?;
    if found.is_some() {
        gone("DELETE FROM reference WHERE kind = ?1 AND id = ?2")?;
        gone("DELETE FROM object WHERE kind = ?1 AND id = ?2")?;
    }
    let at = signed(revision.0);
    let Some(document) = &write.document else {
        let mut insert = transaction
            .prepare_cached(
                "INSERT INTO removed (kind, id, revision, number) VALUES (?1, ?2, ?3, ?4)",
            )
            .map_err(failed)?;
        insert.execute(params![kind, id, at, number]).map_err(failed)?;
        return Ok(Done { deed: Deed::Remove, number, document: None, fields: None });
    };
    let number = numbered(transaction, write, number, index)?;
    let text = document.to_string();
    let mut insert = transaction
        .prepare_cached(
            "INSERT INTO object (kind, id, revision, number, document) VALUES (?1, ?2, ?3, ?4, ?5)",
        )
        .map_err(failed)?;
    insert.execute(params![kind, id, at, number, text]).map_err(failed)?;
    for to in &write.references {
        let mut insert = transaction
            .prepare_cached("INSERT OR IGNORE INTO reference VALUES (?1, ?2, ?3, ?4)")
            .map_err(failed)?;
        insert.execute(params![kind, id, to.kind.word(), to.id]).map_err(failed)?;
    }
    let deed = if before.is_some() { Deed::Change } else { Deed::Create };
    let fields = before.map(|before| fields_changed(&before, document));
    Ok(Done { deed, number, document: Some(text), fields })
}

/// The number of an object that is written, which has this one already if it was there.
fn numbered(
    transaction: &Connection,
    write: &Write,
    has: Option<u32>,
    index: usize,
) -> Result<Option<u32>, Uncommitted> {
    let taken = Uncommitted::NumberTaken { index };
    if !write.kind.is_numbered() {
        return if write.number.is_none() { Ok(None) } else { Err(taken) };
    }
    if let Some(has) = has {
        let stays = write.number.is_none_or(|wanted| wanted == has);
        return if stays { Ok(Some(has)) } else { Err(taken) };
    }
    let kind = write.kind.word();
    let next = || -> rusqlite::Result<u32> {
        let select = "SELECT coalesce(max(number), 0) FROM number WHERE kind = ?1";
        let last: u32 = transaction.prepare_cached(select)?.query_row([kind], |row| row.get(0))?;
        if last < NUMBER_MAX {
            return Ok(last + 1);
        }
        // Somebody wished for the last one. Below it there is room.
        let select = "SELECT coalesce(min(number), 0) + 1 FROM (SELECT 0 AS number UNION ALL \
                      SELECT number FROM number WHERE kind = ?1) AS had WHERE NOT EXISTS (SELECT 1 \
                      FROM number AS next WHERE next.kind = ?1 AND next.number = had.number + 1)";
        transaction.prepare_cached(select)?.query_row([kind], |row| row.get(0))
    };
    let number = match (write.number, had(transaction, write)?) {
        (Some(wanted), _) => wanted,
        (None, Some(had)) => had,
        (None, None) => next().map_err(failed)?,
    };
    let owner = transaction
        .prepare_cached("SELECT id FROM number WHERE kind = ?1 AND number = ?2")
        .and_then(|mut select| {
            select.query_row(params![kind, number], |row| row.get::<_, String>(0)).optional()
        })
        .map_err(failed)?;
    match owner {
        // It was this object's before it was removed.
        Some(owner) if owner == write.id => Ok(Some(number)),
        Some(_) => Err(taken),
        None if !(1..=NUMBER_MAX).contains(&number) => Err(taken),
        None => {
            transaction
                .prepare_cached("INSERT INTO number VALUES (?1, ?2, ?3)")
                .and_then(|mut insert| insert.execute(params![kind, number, write.id]))
                .map_err(failed)?;
            Ok(Some(number))
        }
    }
}

/// The number that an object had that was removed, if it is to have it again.
fn had(transaction: &Connection, write: &Write) -> Result<Option<u32>, StoreError> {
    if !write.kind.has_its_number_again() {
        return Ok(None);
    }
    let select = "SELECT max(number) FROM number WHERE kind = ?1 AND id = ?2";
    transaction
        .prepare_cached(select)
        .and_then(|mut select| {
            select.query_row(params![write.kind.word(), write.id], |row| row.get(0))
        })
        .map_err(failed)
}

/// The largest number: 31 bits, as Xtream's clients keep them.
const NUMBER_MAX: u32 = i32::MAX as u32;

/// Whether everything that a write speaks of is there, and nothing speaks of what it removed.
fn held_together(transaction: &Connection, write: &Write, index: usize) -> Result<(), Uncommitted> {
    let first = |select: &str| {
        transaction
            .prepare_cached(select)
            .and_then(|mut select| {
                let row = |row: &Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?));
                select.query_row(params![write.kind.word(), write.id], row).optional()
            })
            .map_err(failed)
    };
    let reference = |(word, id): (String, String)| {
        let kind = Kind::of(&word)
            .ok_or_else(|| StoreError(format!("registry.db: no kind is called {word:?}")))?;
        Ok::<_, StoreError>(Reference { kind, id })
    };
    let dangling = first(
        "SELECT to_kind, to_id FROM reference WHERE kind = ?1 AND id = ?2 AND NOT EXISTS \
         (SELECT 1 FROM object WHERE object.kind = to_kind AND object.id = to_id)",
    )?;
    if let Some(to) = dangling {
        return Err(Uncommitted::Dangling { index, to: reference(to)? });
    }
    let referenced = first(
        "SELECT kind, id FROM reference WHERE to_kind = ?1 AND to_id = ?2 AND NOT EXISTS \
         (SELECT 1 FROM object WHERE object.kind = to_kind AND object.id = to_id)",
    )?;
    match referenced {
        Some(by) => Err(Uncommitted::Referenced { index, by: reference(by)? }),
        None => Ok(()),
    }
}
