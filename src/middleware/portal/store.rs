//! What the portal remembers: who is signed in, what they like, where they stopped.
//!
//! One SQLite file, `<state>/portal.db`, on a thread of its own with a bounded queue; losing it
//! costs sign-ins and positions, and nothing that an operator has made. Ids of sessions are kept as
//! hashes. Positions are gathered for a few seconds and written together.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::config::portal::{
    PORTAL_IDLE_DAYS, PORTAL_JOBS_MAX, PORTAL_POSITIONS_EVERY_MS, PORTAL_POSITIONS_MAX,
    PORTAL_SESSIONS_OF_ONE_MAX,
};

/// What makes of each version the next one. A step that was released is never changed.
const STEPS: &[&str] = &["
CREATE TABLE session (
    hash BLOB PRIMARY KEY,
    number INTEGER NOT NULL,
    user TEXT NOT NULL,
    app TEXT,
    stamp TEXT NOT NULL,
    device INTEGER NOT NULL,
    agent TEXT NOT NULL,
    since INTEGER NOT NULL,
    seen INTEGER NOT NULL,
    proved INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX session_of ON session (number, seen);
CREATE TABLE preferences (
    number INTEGER PRIMARY KEY,
    document TEXT NOT NULL CHECK (json_valid(document)),
    pin BLOB
) STRICT;
CREATE TABLE position (
    number INTEGER NOT NULL,
    content TEXT NOT NULL,
    seconds INTEGER NOT NULL,
    duration INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (number, content)
) STRICT, WITHOUT ROWID;
"];

/// Why nothing was done: too much waits, or the file failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unkept;

/// Somebody who is signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The subscriber's number.
    pub number: u32,
    /// The subscriber's id.
    pub user: String,
    /// Which app password it was; none = the portal password.
    pub app: Option<String>,
    /// What tells that password from a later one.
    pub stamp: String,
    /// What its tokens say of the device.
    pub device: u64,
    /// What the browser said of itself.
    pub agent: String,
    /// When it began, in seconds since 1970.
    pub since: u64,
    /// When it was seen last.
    pub seen: u64,
    /// When the portal password was given last; 0 = never.
    pub proved: u64,
}

/// Where somebody stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// In what: `vod/films/a`.
    pub content: String,
    /// How far, in seconds.
    pub seconds: u32,
    /// How long it is.
    pub duration: u32,
    /// When that was, in seconds since 1970.
    pub at: u64,
}

/// The file, as its thread has it.
pub struct File {
    connection: Connection,
    /// Positions that are not written yet, by subscriber and content.
    gathered: HashMap<(u32, String), Position>,
}

type Job = Box<dyn FnOnce(&mut File) + Send>;

/// The way to its thread, which ends when nobody is left who could ask.
#[derive(Clone)]
pub struct Store(SyncSender<Job>);

impl Store {
    /// The file in a state folder, made if there is none.
    ///
    /// # Errors
    ///
    /// It can't be opened, or is of a newer version.
    pub fn open(state: &Path) -> io::Result<Self> {
        let mut file = File::open(&state.join("portal.db")).map_err(io::Error::other)?;
        let (jobs, received) = sync_channel(PORTAL_JOBS_MAX);
        let thread = std::thread::Builder::new().name("portal".to_owned());
        thread.spawn(move || file.work(&received))?;
        Ok(Self(jobs))
    }

    /// Does something with the file, on its thread.
    ///
    /// # Errors
    ///
    /// `Unkept`.
    pub async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut File) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Unkept> {
        let (reply, answer) = tokio::sync::oneshot::channel();
        let job = move |file: &mut File| drop(reply.send(work(file)));
        self.0.try_send(Box::new(job)).map_err(|_| Unkept)?;
        answer.await.map_err(|_| Unkept)?.map_err(|error| {
            tracing::error!(%error, "the portal's file failed");
            Unkept
        })
    }
}

impl File {
    fn open(path: &Path) -> rusqlite::Result<Self> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        Self::of(connection)
    }

    fn of(mut connection: Connection) -> rusqlite::Result<Self> {
        let version: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        let write = connection.transaction()?;
        for (next, step) in (1_u32..).zip(STEPS).skip(version as usize) {
            write.execute_batch(step)?;
            write.pragma_update(None, "user_version", next)?;
        }
        write.commit()?;
        Ok(Self { connection, gathered: HashMap::new() })
    }

    fn work(&mut self, jobs: &Receiver<Job>) {
        let every = Duration::from_millis(PORTAL_POSITIONS_EVERY_MS);
        let mut due = Instant::now() + every;
        loop {
            match jobs.recv_timeout(due.saturating_duration_since(Instant::now())) {
                Ok(job) => job(self),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if Instant::now() >= due {
                self.write_gathered_or_say();
                due = Instant::now() + every;
            }
        }
        self.write_gathered_or_say();
    }

    fn write_gathered_or_say(&mut self) {
        if let Err(error) = self.write_gathered() {
            tracing::error!(%error, "positions in films could not be written");
        }
    }

    fn write_gathered(&mut self) -> rusqlite::Result<()> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let write = self.connection.transaction()?;
        for ((number, content), position) in &self.gathered {
            write
                .prepare_cached(
                    "INSERT INTO position VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET \
                 seconds = excluded.seconds, duration = excluded.duration, at = excluded.at",
                )?
                .execute(params![
                    number,
                    content,
                    position.seconds,
                    position.duration,
                    position.at.cast_signed()
                ])?;
            write
                .prepare_cached(
                    "DELETE FROM position WHERE number = ?1 AND content IN (SELECT content FROM \
                     position WHERE number = ?1 ORDER BY at DESC, content LIMIT -1 OFFSET ?2)",
                )?
                .execute(params![number, PORTAL_POSITIONS_MAX as i64])?;
        }
        write.commit()?;
        self.gathered.clear();
        Ok(())
    }

    /// Somebody has signed in. Of too many of one subscriber the one seen longest ago ends, and so
    /// does who was not seen for long.
    ///
    /// # Errors
    ///
    /// The file failed; so in all of these.
    pub fn begin(&mut self, hash: &[u8], session: &Session) -> rusqlite::Result<()> {
        let write = self.connection.transaction()?;
        write.execute(
            "INSERT INTO session VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            params![
                hash,
                session.number,
                session.user,
                session.app,
                session.stamp,
                session.device.cast_signed(),
                session.agent,
                session.since.cast_signed(),
                session.seen.cast_signed(),
                session.proved.cast_signed()
            ],
        )?;
        write.execute(
            "DELETE FROM session WHERE number = ?1 AND hash IN (SELECT hash FROM session WHERE \
             number = ?1 ORDER BY seen DESC, since DESC LIMIT -1 OFFSET ?2)",
            params![session.number, PORTAL_SESSIONS_OF_ONE_MAX as i64],
        )?;
        write.commit()
    }

    /// A session, if it is not over.
    ///
    /// # Errors
    ///
    /// See `begin`.
    pub fn found(&mut self, hash: &[u8], now: u64) -> rusqlite::Result<Option<Session>> {
        let oldest = now.saturating_sub(PORTAL_IDLE_DAYS * 86_400);
        self.connection
            .prepare_cached("SELECT * FROM session WHERE hash = ?1 AND seen > ?2")?
            .query_row(params![hash, oldest.cast_signed()], |row| {
                Ok(Session {
                    number: row.get("number")?,
                    user: row.get("user")?,
                    app: row.get("app")?,
                    stamp: row.get("stamp")?,
                    device: row.get::<_, i64>("device")?.cast_unsigned(),
                    agent: row.get("agent")?,
                    since: row.get::<_, i64>("since")?.cast_unsigned(),
                    seen: row.get::<_, i64>("seen")?.cast_unsigned(),
                    proved: row.get::<_, i64>("proved")?.cast_unsigned(),
                })
            })
            .optional()
    }

    /// It was seen now.
    ///
    /// # Errors
    ///
    /// See `begin`.
    pub fn see(&mut self, hash: &[u8], now: u64) -> rusqlite::Result<()> {
        let sql = "UPDATE session SET seen = ?2 WHERE hash = ?1";
        self.connection.execute(sql, params![hash, now.cast_signed()]).map(drop)
    }

    /// The portal password was given in it, and it goes on by that if it began so.
    ///
    /// # Errors
    ///
    /// See `begin`.
    pub fn prove(&mut self, hash: &[u8], now: u64) -> rusqlite::Result<()> {
        let sql = "UPDATE session SET proved = ?2 WHERE hash = ?1";
        self.connection.execute(sql, params![hash, now.cast_signed()]).map(drop)
    }

    /// A session ends.
    ///
    /// # Errors
    ///
    /// See `begin`.
    pub fn end(&mut self, hash: &[u8]) -> rusqlite::Result<()> {
        self.connection.execute("DELETE FROM session WHERE hash = ?1", [hash]).map(drop)
    }

    /// All of a subscriber end that began by its portal password, but this one, which goes on by
    /// another (ASVS 5.0, 7.4.3).
    ///
    /// # Errors
    ///
    /// See `begin`.
    pub fn end_others(&mut self, number: u32, kept: &[u8], stamp: &str) -> rusqlite::Result<()> {
        let write = self.connection.transaction()?;
        write.execute(
            "DELETE FROM session WHERE number = ?1 AND app IS NULL AND hash <> ?2",
            params![number, kept],
        )?;
        write.execute(
            "UPDATE session SET stamp = ?2 WHERE hash = ?1 AND app IS NULL",
            params![kept, stamp],
        )?;
        write.commit()
    }

    /// What somebody likes and hides, and what its PIN is known by.
    ///
    /// # Errors
    ///
    /// See `begin`.
    pub fn preferences(
        &mut self,
        number: u32,
    ) -> rusqlite::Result<(Option<String>, Option<Vec<u8>>)> {
        let sql = "SELECT document, pin FROM preferences WHERE number = ?1";
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let found = self.connection.prepare_cached(sql)?.query_row([number], row).optional()?;
        Ok(found.unwrap_or_default())
    }

    /// Keeps what somebody likes and hides.
    ///
    /// # Errors
    ///
    /// See `begin`.
    pub fn prefer(&mut self, number: u32, document: &str) -> rusqlite::Result<()> {
        let sql = "INSERT INTO preferences VALUES (?1, ?2, NULL) ON CONFLICT DO UPDATE SET \
                   document = excluded.document";
        self.connection.execute(sql, params![number, document]).map(drop)
    }

    /// Keeps what a PIN is known by; none = there is no PIN any more.
    ///
    /// # Errors
    ///
    /// See `begin`.
    pub fn set_pin(&mut self, number: u32, pin: Option<&[u8]>) -> rusqlite::Result<()> {
        let sql = "INSERT INTO preferences VALUES (?1, '{}', ?2) ON CONFLICT DO UPDATE SET \
                   pin = excluded.pin";
        self.connection.execute(sql, params![number, pin]).map(drop)
    }

    /// Somebody is there now in a film; one that is new takes the place of an older one.
    pub fn stop_at(&mut self, number: u32, position: Position) {
        self.gathered.insert((number, position.content.clone()), position);
    }

    /// Where somebody stopped, the newest first.
    ///
    /// # Errors
    ///
    /// See `begin`.
    pub fn positions(&mut self, number: u32) -> rusqlite::Result<Vec<Position>> {
        self.write_gathered()?;
        let sql = "SELECT content, seconds, duration, at FROM position WHERE number = ?1 \
                   ORDER BY at DESC, content";
        let mut statement = self.connection.prepare_cached(sql)?;
        let position = |row: &rusqlite::Row<'_>| {
            let (content, seconds) = (row.get(0)?, row.get(1)?);
            let at = row.get::<_, i64>(3)?.cast_unsigned();
            Ok(Position { content, seconds, duration: row.get(2)?, at })
        };
        statement.query_map([number], position)?.collect()
    }

    /// Forgets where somebody stopped in something.
    ///
    /// # Errors
    ///
    /// See `begin`.
    pub fn forget(&mut self, number: u32, content: &str) -> rusqlite::Result<()> {
        self.gathered.remove(&(number, content.to_owned()));
        let sql = "DELETE FROM position WHERE number = ?1 AND content = ?2";
        self.connection.execute(sql, params![number, content]).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> File {
        File::of(Connection::open_in_memory().unwrap()).unwrap()
    }

    fn session(number: u32, seen: u64) -> Session {
        Session {
            number,
            user: "anna".to_owned(),
            app: None,
            stamp: "1".to_owned(),
            device: u64::MAX - 7,
            agent: "TV".to_owned(),
            since: 1,
            seen,
            proved: 0,
        }
    }

    #[test]
    fn a_session_is_found_until_it_was_not_seen_for_long() {
        let mut file = file();
        let anna = session(1, 1_000);
        file.begin(b"a", &anna).unwrap();
        assert_eq!(file.found(b"a", 1_001).unwrap(), Some(anna));
        assert_eq!(file.found(b"b", 1_001).unwrap(), None);
        let late = 1_000 + PORTAL_IDLE_DAYS * 86_400;
        assert_eq!(file.found(b"a", late).unwrap(), None);
        file.see(b"a", late).unwrap();
        assert!(file.found(b"a", late).unwrap().is_some());
        file.end(b"a").unwrap();
        assert_eq!(file.found(b"a", late).unwrap(), None);
    }

    #[test]
    fn of_too_many_the_one_seen_longest_ago_ends() {
        let mut file = file();
        for at in 0..=PORTAL_SESSIONS_OF_ONE_MAX as u64 {
            file.begin(&at.to_be_bytes(), &session(1, 1_000 + at)).unwrap();
        }
        file.begin(b"other", &session(2, 1)).unwrap();
        assert_eq!(file.found(&0_u64.to_be_bytes(), 1_000).unwrap(), None);
        assert!(file.found(&1_u64.to_be_bytes(), 1_000).unwrap().is_some());
        assert!(file.found(b"other", 2).unwrap().is_some());
    }

    #[test]
    fn another_portal_password_ends_the_others_that_began_by_it() {
        let mut file = file();
        for hash in [b"a", b"b"] {
            file.begin(hash, &session(1, 1_000)).unwrap();
        }
        let by_app = Session { app: Some("tv".to_owned()), ..session(1, 1_000) };
        file.begin(b"c", &by_app).unwrap();
        file.end_others(1, b"a", "2").unwrap();
        assert_eq!(file.found(b"a", 1_000).unwrap().unwrap().stamp, "2");
        assert_eq!(file.found(b"b", 1_000).unwrap(), None);
        assert_eq!(file.found(b"c", 1_000).unwrap(), Some(by_app));
    }

    #[test]
    fn positions_are_the_newest_and_so_many_are_kept() {
        let mut file = file();
        let position = |content: &str, seconds, at| {
            let content = content.to_owned();
            Position { content, seconds, duration: 100, at }
        };
        file.stop_at(1, position("vod/a", 5, 1));
        file.stop_at(1, position("vod/a", 9, 2));
        file.stop_at(2, position("vod/a", 1, 2));
        assert_eq!(file.positions(1).unwrap(), [position("vod/a", 9, 2)]);
        for at in 0..PORTAL_POSITIONS_MAX as u64 {
            file.stop_at(1, position(&format!("vod/{at:04}"), 1, 10 + at));
        }
        let all = file.positions(1).unwrap();
        assert_eq!(all.len(), PORTAL_POSITIONS_MAX);
        assert_eq!(all[0].content, format!("vod/{:04}", PORTAL_POSITIONS_MAX - 1));
        assert!(all.iter().all(|one| one.content != "vod/a"), "the oldest is gone");
        file.forget(2, "vod/a").unwrap();
        assert_eq!(file.positions(2).unwrap(), []);
    }

    #[test]
    fn a_pin_and_what_somebody_likes_are_kept_apart() {
        let mut file = file();
        assert_eq!(file.preferences(1).unwrap(), (None, None));
        file.set_pin(1, Some(b"1234")).unwrap();
        file.prefer(1, "{\"favourites\":[]}").unwrap();
        let (document, pin) = file.preferences(1).unwrap();
        assert_eq!(document.as_deref(), Some("{\"favourites\":[]}"));
        assert_eq!(pin.as_deref(), Some(&b"1234"[..]));
        file.set_pin(1, None).unwrap();
        assert_eq!(file.preferences(1).unwrap().1, None);
    }
}
