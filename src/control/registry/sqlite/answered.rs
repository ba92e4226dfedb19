//! What requests with an `Idempotency-Key` made, for a day: written in the transaction of that.
//!
//! Of the request there is a keyed hash. What was made is an object as it was then, no more secret
//! than where it lies, or a token without its MAC.

use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::Value;

use super::{Sqlite, failed, signed};
use crate::config::{IDEMPOTENCY_KEYS_MAX, IDEMPOTENCY_KEYS_SIZE_MAX, IDEMPOTENCY_SECONDS};
use crate::control::audit::Act;
use crate::control::audit::chain::Key;
use crate::control::idempotency::Remembered;
use crate::control::registry::StoreError;

impl Sqlite {
    /// What is remembered of the key of this act; nothing if it has none.
    pub(super) fn answered(&self, act: &Act) -> Result<Remembered, StoreError> {
        let Some(once) = &act.once else { return Ok(Remembered::Nothing) };
        let found = self
            .connection
            .prepare_cached(
                "SELECT request, answer FROM answered WHERE actor = ?1 AND key = ?2 AND until > ?3",
            )
            .and_then(|mut select| {
                let row = |row: &rusqlite::Row<'_>| {
                    Ok((row.get::<_, [u8; 16]>(0)?, row.get::<_, String>(1)?))
                };
                let of = params![act.actor.to_string(), once.key, signed(act.at.0)];
                select.query_row(of, row).optional()
            })
            .map_err(failed)?;
        match found {
            Some((request, answer)) if request == self.key.request(once) => {
                let answer = serde_json::from_str(&answer).map_err(|error| {
                    StoreError(format!("registry.db: the answer of a key is none: {error}"))
                })?;
                Ok(Remembered::Made(answer))
            }
            Some(_) => Ok(Remembered::Other),
            None if self.has_room(once.body.len(), act)? => Ok(Remembered::Nothing),
            None => Ok(Remembered::Full),
        }
    }

    fn has_room(&self, more: usize, act: &Act) -> Result<bool, StoreError> {
        let select = "SELECT count(*), coalesce(sum(size), 0) FROM answered WHERE until > ?1";
        let (count, size) = self
            .connection
            .prepare_cached(select)
            .and_then(|mut select| {
                select.query_row([signed(act.at.0)], |row| {
                    Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
                })
            })
            .map_err(failed)?;
        let size = size.saturating_add(signed(more as u64));
        Ok(count < signed(IDEMPOTENCY_KEYS_MAX as u64)
            && size <= signed(IDEMPOTENCY_KEYS_SIZE_MAX as u64))
    }
}

/// Remembers what an act made, if it has a key. What is a day old is forgotten.
pub(super) fn remember(
    transaction: &Connection,
    key: &Key,
    act: &Act,
    made: impl FnOnce() -> Value,
) -> Result<(), StoreError> {
    let Some(once) = &act.once else { return Ok(()) };
    let answer = made().to_string();
    let until = act.at.0.saturating_add(IDEMPOTENCY_SECONDS);
    let forget = "DELETE FROM answered WHERE until <= ?1";
    transaction
        .prepare_cached(forget)
        .and_then(|mut forget| forget.execute([signed(act.at.0)]))
        .and_then(|_| {
            transaction.prepare_cached("INSERT INTO answered VALUES (?1, ?2, ?3, ?4, ?5, ?6)")
        })
        .and_then(|mut insert| {
            insert.execute(params![
                act.actor.to_string(),
                once.key,
                signed(until),
                signed(answer.len() as u64),
                key.request(once).as_slice(),
                answer,
            ])
        })
        .map(drop)
        .map_err(failed)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::control::actor::Actor;
    use crate::control::idempotency::Once;
    use crate::control::registry::{Expected, Kind, Object, Revision, Store as _, Write};
    use crate::units::UnixTime;

    const NOON: u64 = 1_800_000_000;

    fn act(actor: u32, key: &str, body: &str, at: u64) -> Act {
        let mut act = Act::of(Actor::Local(Some(actor)), UnixTime(at));
        let (key, path, body) = (key.to_owned(), "plans".to_owned(), body.into());
        act.once = Some(Once { key, path, body });
        act
    }

    fn plan(expected: Expected) -> Write {
        let (kind, id, document) = (Kind::Plan, "gold".to_owned(), Some(json!({ "name": "Gold" })));
        Write { kind, id, expected, document, number: None, references: Vec::new() }
    }

    #[test]
    fn what_a_request_made_is_remembered_for_a_day_with_what_it_made() {
        let state = tempfile::tempdir().unwrap();
        let mut store = Sqlite::open(state.path()).unwrap();
        let first = act(1, "a", "{}", NOON);
        assert_eq!(store.remembered(&first), Ok(Remembered::Nothing));
        // What is not made is not remembered.
        store.commit(&first, &[plan(Expected::At(Revision(7)))]).unwrap_err();
        assert_eq!(store.remembered(&first), Ok(Remembered::Nothing));
        store.commit(&first, &[plan(Expected::Absent)]).unwrap();
        let made = store.object(Kind::Plan, "gold").unwrap();
        drop(store);
        let mut store = Sqlite::open(state.path()).unwrap();
        store.commit(&Act::server(UnixTime(NOON)), &[plan(Expected::Anything)]).unwrap();
        let end = NOON + IDEMPOTENCY_SECONDS;
        for (act, expected) in [
            (act(1, "a", "{}", NOON), "made"),
            (act(1, "a", "{}", end - 1), "made"),
            (act(1, "a", "{ }", NOON), "other"),
            (act(1, "b", "{}", NOON), "nothing"),
            (act(2, "a", "{}", NOON), "nothing"),
            (act(1, "a", "{ }", end), "nothing"),
            (Act::server(UnixTime(NOON)), "nothing"),
        ] {
            let said = match store.remembered(&act).unwrap() {
                Remembered::Nothing => "nothing",
                Remembered::Made(object) => {
                    assert_eq!(Object::of_whole(object), made, "as it was then");
                    "made"
                }
                Remembered::Other => "other",
                Remembered::Full => "full",
            };
            assert_eq!(said, expected, "{act:?}");
        }
        let again = act(1, "a", "{ }", end);
        store.commit(&again, &[plan(Expected::Anything)]).unwrap();
        assert!(matches!(store.remembered(&again), Ok(Remembered::Made(_))));
    }

    #[test]
    fn no_more_is_remembered_than_there_is_room_for() {
        let state = tempfile::tempdir().unwrap();
        let store = Sqlite::open(state.path()).unwrap();
        let fill = |count: usize, size: usize| {
            let fill = format!(
                "DELETE FROM answered; WITH RECURSIVE counted(number) AS (SELECT 1 UNION ALL \
                 SELECT number + 1 FROM counted WHERE number < {count}) INSERT INTO answered \
                 SELECT 'x', number, {NOON} + 60, {size}, zeroblob(16), '{{}}' FROM counted"
            );
            store.connection.execute_batch(&fill).unwrap();
        };
        let of = |at| store.remembered(&act(1, "a", "{}", at)).unwrap();
        fill(IDEMPOTENCY_KEYS_MAX - 1, 1);
        assert_eq!(of(NOON), Remembered::Nothing);
        fill(IDEMPOTENCY_KEYS_MAX, 1);
        assert_eq!((of(NOON), of(NOON + 60)), (Remembered::Full, Remembered::Nothing));
        fill(1, IDEMPOTENCY_KEYS_SIZE_MAX - 1);
        assert_eq!((of(NOON), of(NOON + 60)), (Remembered::Full, Remembered::Nothing));
        fill(1, IDEMPOTENCY_KEYS_SIZE_MAX - 2);
        assert_eq!(of(NOON), Remembered::Nothing);
    }
}
