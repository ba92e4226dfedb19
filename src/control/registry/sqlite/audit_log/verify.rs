//! Looking at an audit log as a stranger would: does each entry follow from the one before it, and
//! do the objects of the registry stand as the last entry about them wrote them?
//!
//! The file is only read, all of it as it was at one moment, whether or not a server runs.

use std::collections::HashMap;
use std::path::Path;

use rusqlite::{Connection, OpenFlags, Row, Transaction};
use serde_json::Value;

use super::super::{APPLICATION_ID, BUSY};
use crate::control::audit::chain::{Digest, Entry, Head, Key, Mac};
use crate::control::audit::key;
use crate::control::registry::StoreError;

/// A log that holds.
#[derive(Clone, Copy, Debug)]
pub struct Verified {
    /// How many entries there are, and the last of them.
    pub head: Head,
    /// How many objects stand as they were written.
    pub objects: u64,
}

/// Looks at the audit log of a state folder. `seen` is a head that was written down elsewhere: it
/// has to be one of the chain's. What comes before `from`, with which a chain has to begin, is
/// taken as it is: its key is gone, and that is known.
///
/// # Errors
///
/// What is wrong with it: the first entry that does not hold, or the first object that no entry
/// wrote so; or the files can't be read.
pub fn verify(state: &Path, seen: Option<&Head>, from: u64) -> Result<Verified, StoreError> {
    let path = state.join("registry.db");
    let at = |why: &dyn std::fmt::Display| StoreError(format!("{}: {why}", path.display()));
    let key = key::read(state)
        .map_err(|error| StoreError(format!("{}: {error}", key::path(state).display())))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut registry = Connection::open_with_flags(&path, flags).map_err(|error| at(&error))?;
    registry.busy_timeout(BUSY).map_err(|error| at(&error))?;
    let whose = registry.pragma_query_value(None, "application_id", |row| row.get::<_, i32>(0));
    if whose.map_err(|error| at(&error))? != APPLICATION_ID {
        return Err(at(&"this is no registry"));
    }
    let moment = registry.transaction().map_err(|error| at(&error))?;
    let table = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'audit'";
    let tables = moment.query_row(table, (), |row| row.get::<_, i64>(0));
    if tables.map_err(|error| at(&error))? == 0 {
        return Err(at(&"there is no audit log in it: no server that keeps one has opened it"));
    }
    let Some(key) = key else {
        return Err(StoreError(format!(
            "{}: the key is gone, and without it nothing can be verified",
            key::path(state).display()
        )));
    };
    let mut chain = Chain { key: &key, seen, from, before: Mac::START, newest: None };
    let result = chain.read(&moment).map_err(|error| at(&error))?;
    let (head, foreign) = result.map_err(StoreError)?;
    let objects = chain.objects(&moment).map_err(|error| at(&error))?;
    let objects = objects.map_err(StoreError)?;
    match foreign.filter(|last| last + 1 != from) {
        None => Ok(Verified { head, objects }),
        Some(last) => Err(StoreError(format!(
            "entries 1 to {last}: they were made with another key than audit.key, and can't be \
             verified; the {} from {} on hold, head {head}",
            head.sequence - last,
            last + 1
        ))),
    }
}

/// Ours, or what is wrong; and what SQLite says where it fails.
type Read<T> = rusqlite::Result<Result<T, String>>;

/// What the entries of this key's chain say of the registry in the end.
#[derive(Default)]
struct Newest {
    /// Of each object: what wrote it last, and how it left it.
    objects: HashMap<Digest, Written>,
    revision: u64,
    epoch: Option<u64>,
}

#[derive(Clone, Copy)]
struct Written {
    sequence: u64,
    revision: u64,
    /// None = it was removed.
    digest: Option<Digest>,
}

struct Chain<'k> {
    key: &'k Key,
    seen: Option<&'k Head>,
    from: u64,
    before: Mac,
    /// None as long as no entry was made with this key.
    newest: Option<Newest>,
}

impl Chain<'_> {
    /// Reads every entry; gives the last one, and the last one that another key made.
    fn read(&mut self, moment: &Transaction<'_>) -> Read<(Head, Option<u64>)> {
        let mut select = moment.prepare(
            "SELECT sequence, at, actor, peer, deed, kind, id, revision, digest, details, mac \
             FROM audit ORDER BY sequence",
        )?;
        let mut rows = select.query(())?;
        let (mut last, mut foreign) = (0, None);
        let mut is_seen = self.seen.is_none_or(|seen| seen.sequence == 0);
        while let Some(row) = rows.next()? {
            let (entry, mac) = entry(row)?;
            let sequence = entry.sequence;
            if sequence != last + 1 {
                let gone = last + 1;
                return Ok(Err(format!("entry {gone}: it is missing; the next one is {sequence}")));
            }
            last = sequence;
            if let Err(why) = self.follow(&entry, &mac) {
                return Ok(Err(format!("entry {sequence}: {why}")));
            }
            if self.newest.is_none() {
                foreign = Some(sequence);
            }
            if let Some(seen) = self.seen.filter(|seen| seen.sequence == sequence) {
                if !seen.mac.is(&mac) {
                    return Ok(Err(format!("entry {sequence}: it is not the one of this head")));
                }
                is_seen = true;
            }
            self.before = mac;
        }
        if let (false, Some(seen)) = (is_seen, self.seen) {
            let count = seen.sequence - last;
            return Ok(Err(format!(
                "entry {}: it is missing, and so are all behind it: there were at least {count} \
                 more",
                last + 1
            )));
        }
        Ok(match (last, foreign) {
            (0, _) => Err("there is no entry, not even the first one".to_owned()),
            (last, Some(foreign)) if foreign == last => {
                Err("entry 1: it was made with another key than audit.key, and so were all others"
                    .to_owned())
            }
            _ => Ok((Head { sequence: last, mac: self.before }, foreign)),
        })
    }

    /// Whether an entry follows from the one before it.
    fn follow(&mut self, entry: &Entry<'_>, mac: &Mac) -> Result<(), String> {
        let details: Value =
            entry.details.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        if entry.deed == "begin" {
            let is_ours = details["key"].as_str() == Some(&self.key.name());
            match (is_ours, &self.newest) {
                (true, None) => self.newest = Some(Newest::default()),
                (true, Some(_)) => return Err("a second chain begins with the same key".into()),
                (false, None) => {}
                (false, Some(_)) => {
                    return Err("it was made with another key than audit.key".into());
                }
            }
            if is_ours && details["emptied"] == true && entry.sequence != self.from {
                return Err("those before it were taken out".to_owned());
            }
        } else if entry.sequence == 1 || entry.sequence == self.from {
            return Err("no chain begins with it".to_owned());
        }
        let Some(newest) = &mut self.newest else { return Ok(()) };
        if !mac.is(&self.key.mac(entry, &self.before)) {
            return Err("its MAC does not match what it says".to_owned());
        }
        newest.epoch = details["epoch"].as_u64().or(newest.epoch);
        let Some(revision) = entry.revision else { return Ok(()) };
        newest.revision = newest.revision.max(revision);
        if entry.kind == "audit" || entry.kind == "registry" {
            return Ok(());
        }
        let digest = entry.digest.map(Digest::try_from).transpose();
        let digest = digest.map_err(|_| "its digest has another size".to_owned())?;
        let written = Written { sequence: entry.sequence, revision, digest };
        newest.objects.insert(self.key.place(entry.kind, entry.id), written);
        Ok(())
    }

    /// Whether every object is what the last entry about it wrote; gives how many there are.
    fn objects(&mut self, moment: &Transaction<'_>) -> Read<u64> {
        let newest = self.newest.take().unwrap_or_default();
        let Newest { objects: mut expected, revision, epoch } = newest;
        let mut select =
            moment.prepare("SELECT kind, id, revision, number, document FROM object")?;
        let mut rows = select.query(())?;
        let mut count = 0;
        while let Some(row) = rows.next()? {
            count += 1;
            let (kind, id) = (row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_str()?);
            let written = expected.remove(&self.key.place(kind, id));
            let digest = self.key.object(kind, id, row.get(3)?, row.get_ref(4)?.as_str()?);
            let stands = super::number(row, 2)?;
            let why = match written {
                None => "no entry wrote it".to_owned(),
                Some(Written { sequence, digest: None, .. }) => {
                    format!("it is there, although entry {sequence} removed it")
                }
                Some(Written { sequence, digest: Some(wrote), revision })
                    if wrote != digest || revision != stands =>
                {
                    format!("it is not what entry {sequence} wrote")
                }
                Some(_) => continue,
            };
            return Ok(Err(format!("{kind} {id:?}: {why}")));
        }
        let left = expected.into_values().filter(|written| written.digest.is_some());
        if let Some(sequence) = left.map(|written| written.sequence).min() {
            let name = "SELECT kind, id FROM audit WHERE sequence = ?1";
            let (kind, id) = moment.query_row(name, [super::signed(sequence)], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
            })?;
            return Ok(Err(format!("{kind} {id:?}: it is gone, and entry {sequence} wrote it")));
        }
        let (stands, at) = moment.query_row("SELECT revision, epoch FROM registry", (), |row| {
            Ok((super::number(row, 0)?, super::number(row, 1)?))
        })?;
        if stands != revision {
            let why = format!("the registry: its revision is {stands}, and entries say {revision}");
            return Ok(Err(why));
        }
        match epoch {
            Some(epoch) if epoch != at => {
                Ok(Err(format!("the registry: its epoch is {at}, and entries say {epoch}")))
            }
            _ => Ok(Ok(count)),
        }
    }
}

fn entry<'r>(row: &'r Row<'_>) -> rusqlite::Result<(Entry<'r>, Mac)> {
    let revision = row.get::<_, Option<i64>>(7)?;
    let entry = Entry {
        sequence: super::number(row, 0)?,
        at: super::number(row, 1)?,
        actor: row.get_ref(2)?.as_str()?,
        peer: row.get_ref(3)?.as_str_or_null()?,
        deed: row.get_ref(4)?.as_str()?,
        kind: row.get_ref(5)?.as_str()?,
        id: row.get_ref(6)?.as_str()?,
        revision: revision.map(|number| u64::try_from(number).unwrap_or(0)),
        digest: row.get_ref(8)?.as_blob_or_null()?,
        details: row.get_ref(9)?.as_str_or_null()?,
    };
    Ok((entry, super::mac(row, 10)?))
}
