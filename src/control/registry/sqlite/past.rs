//! Sessions that are over: rows that are added in batches, read by when they ended, and taken out
//! when they are old or too many.

use rusqlite::{Row, params};
use serde_json::Value;

use super::{Sqlite, begun, failed, signed};
use crate::config::{HISTORY_AT_ONCE, HISTORY_SESSIONS_MAX};
use crate::control::registry::StoreError;
use crate::control::sessions::history::{Cursor, Over, Page, Wanted};
use crate::units::UnixTime;

/// A page of everybody's, and of one subscriber's: each is read along an index.
const SELECT: [&str; 2] = [
    "SELECT sequence, subscriber, until, told FROM session_over
        WHERE (until, sequence) < (?1, ?2) AND until >= ?3
        ORDER BY until DESC, sequence DESC LIMIT ?4",
    "SELECT sequence, subscriber, until, told FROM session_over
        WHERE subscriber = ?5 AND (until, sequence) < (?1, ?2) AND until >= ?3
        ORDER BY until DESC, sequence DESC LIMIT ?4",
];

impl Sqlite {
    /// Adds these, and takes some out.
    pub(super) fn kept(&mut self, over: &[Over], kept_from: UnixTime) -> Result<(), StoreError> {
        self.kept_of(over, kept_from, HISTORY_SESSIONS_MAX)
    }

    fn kept_of(&mut self, over: &[Over], kept_from: UnixTime, most: u64) -> Result<(), StoreError> {
        let transaction = begun(&mut self.connection)?;
        let made = || -> rusqlite::Result<()> {
            let insert = "INSERT INTO session_over (subscriber, until, told) VALUES (?1, ?2, ?3)";
            let mut insert = transaction.prepare_cached(insert)?;
            for one in over.iter().filter(|one| one.until >= kept_from) {
                let until = signed(one.until.0);
                insert.execute(params![one.subscriber, until, one.told.to_string()])?;
            }
            // More than are added, so that what is too much goes in the end.
            let at_once = signed(2 * HISTORY_AT_ONCE as u64);
            transaction
                .prepare_cached(
                    "DELETE FROM session_over WHERE sequence IN (SELECT sequence FROM \
                     session_over WHERE until < ?1 ORDER BY until LIMIT ?2)",
                )?
                .execute(params![signed(kept_from.0), at_once])?;
            // They are numbered as they come, and go from the front: there may be holes, and then
            // there are fewer.
            transaction
                .prepare_cached(
                    "DELETE FROM session_over WHERE sequence IN (SELECT sequence FROM \
                     session_over WHERE sequence <= (SELECT max(sequence) FROM session_over) - ?1 \
                     ORDER BY sequence LIMIT ?2)",
                )?
                .execute(params![signed(most), at_once])?;
            Ok(())
        };
        made().map_err(failed)?;
        transaction.commit().map_err(failed)
    }

    /// A page of them.
    pub(super) fn over(&self, wanted: &Wanted) -> Result<Page, StoreError> {
        let end = Cursor { until: wanted.to, sequence: i64::MIN };
        let before = wanted.before.map_or(end, |before| before.min(end));
        let row = |row: &Row<'_>| {
            let until = u64::try_from(row.get::<_, i64>(2)?).unwrap_or(0);
            let cursor = Cursor { until: UnixTime(until), sequence: row.get(0)? };
            Ok((cursor, row.get::<_, Option<u32>>(1)?, row.get::<_, String>(3)?))
        };
        // One more says whether there are more.
        let most = signed(wanted.most as u64 + 1);
        let (until, from) = (signed(before.until.0), signed(wanted.from.0));
        let read = || -> rusqlite::Result<Vec<_>> {
            match wanted.subscriber {
                None => {
                    let mut select = self.connection.prepare_cached(SELECT[0])?;
                    select.query_map(params![until, before.sequence, from, most], row)?.collect()
                }
                Some(of) => {
                    let mut select = self.connection.prepare_cached(SELECT[1])?;
                    select
                        .query_map(params![until, before.sequence, from, most, of], row)?
                        .collect()
                }
            }
        };
        let mut rows = read().map_err(failed)?;
        let has_more = rows.len() > wanted.most;
        rows.truncate(wanted.most);
        let next = has_more.then(|| rows.last().map(|(cursor, ..)| *cursor)).flatten();
        let over = |(cursor, subscriber, told): (Cursor, Option<u32>, String)| {
            let told: Value = serde_json::from_str(&told).map_err(|error| {
                StoreError(format!("registry.db: a session that is over: {error}"))
            })?;
            Ok(Over { subscriber, until: cursor.until, told })
        };
        Ok(Page { over: rows.into_iter().map(over).collect::<Result<_, _>>()?, next })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn over(subscriber: Option<u32>, until: u64, name: &str) -> Over {
        Over { subscriber, until: UnixTime(until), told: json!({ "id": name }) }
    }

    fn store() -> (tempfile::TempDir, Sqlite) {
        let state = tempfile::tempdir().unwrap();
        let store = Sqlite::open(state.path()).unwrap();
        (state, store)
    }

    fn wanted(subscriber: Option<u32>, from: u64, to: u64, most: usize) -> Wanted {
        let (from, to) = (UnixTime(from), UnixTime(to));
        Wanted { subscriber, from, to, before: None, most }
    }

    /// The names of all pages, a page of so many.
    fn named(store: &Sqlite, mut wanted: Wanted) -> Vec<String> {
        let mut names = Vec::new();
        loop {
            let page = store.over(&wanted).unwrap();
            assert!(page.over.len() <= wanted.most);
            names.extend(page.over.iter().map(|of| of.told["id"].as_str().unwrap().to_owned()));
            match page.next {
                Some(_) => wanted.before = page.next,
                None => return names,
            }
        }
    }

    #[test]
    fn they_are_read_page_by_page_by_whom_and_when() {
        let (_state, mut store) = store();
        let all = [
            over(Some(7), 100, "a"),
            over(None, 300, "b"),
            over(Some(7), 300, "c"),
            over(Some(8), 300, "d"),
            over(Some(7), 200, "e"),
        ];
        store.kept(&all, UnixTime(0)).unwrap();
        let far = i64::MAX as u64;
        for most in 1..7 {
            assert_eq!(named(&store, wanted(None, 0, far, most)), ["d", "c", "b", "e", "a"]);
            assert_eq!(named(&store, wanted(Some(7), 0, far, most)), ["c", "e", "a"]);
            assert_eq!(named(&store, wanted(None, 200, 300, most)), ["e"], "it is before its end");
            assert_eq!(named(&store, wanted(Some(9), 0, far, most)), [""; 0]);
        }
    }

    #[test]
    fn what_is_old_or_too_much_goes_and_is_not_taken() {
        let (_state, mut store) = store();
        store.kept(&[over(None, 100, "a"), over(None, 200, "b")], UnixTime(0)).unwrap();
        store.kept(&[over(None, 90, "late"), over(None, 300, "c")], UnixTime(101)).unwrap();
        let names = |store: &Sqlite| named(store, wanted(None, 0, u64::MAX >> 1, 9));
        assert_eq!(names(&store), ["c", "b"]);
        store.kept_of(&[over(None, 400, "d")], UnixTime(101), 2).unwrap();
        assert_eq!(names(&store), ["d", "c"]);
        store.kept_of(&[], UnixTime(401), 2).unwrap();
        assert_eq!(names(&store), [""; 0]);
    }

    /// A few hundred thousand are no reason to look at all of them.
    #[test]
    fn a_page_is_read_along_an_index() {
        let (_state, store) = store();
        for select in SELECT {
            let plan = format!("EXPLAIN QUERY PLAN {select}");
            let mut plan = store.connection.prepare(&plan).unwrap();
            let count = plan.parameter_count();
            let of = rusqlite::params_from_iter(vec![1_i64; count]);
            let steps: Vec<String> =
                plan.query_map(of, |row| row.get(3)).unwrap().map(Result::unwrap).collect();
            assert_eq!(steps.len(), 1, "nothing is sorted: {steps:?}");
            assert!(steps[0].starts_with("SEARCH session_over USING INDEX"), "{steps:?}");
        }
    }
}
