//! The registry as it was at a moment: a transaction that only reads, of a connection of its own.
//!
//! In WAL mode it holds up no writer; only the WAL can't be emptied before it ends, so it is for
//! what ends.

use rusqlite::{Connection, OpenFlags};

use super::super::{Kind, Object, Revision, Snapshot, StoreError};
use super::{BUSY, failed};

/// A moment of a registry.
pub struct Moment {
    connection: Connection,
}

impl Moment {
    /// This moment.
    ///
    /// # Errors
    ///
    /// The file can't be opened again or read.
    pub fn of(registry: &Connection) -> Result<Self, StoreError> {
        let path = registry.path().unwrap_or_default();
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
        connection.busy_timeout(BUSY).map_err(failed)?;
        connection.execute_batch("PRAGMA trusted_schema = OFF; BEGIN").map_err(failed)?;
        let moment = Self { connection };
        // A transaction begins with what it reads first.
        moment.revision()?;
        Ok(moment)
    }
}

impl Snapshot for Moment {
    fn revision(&self) -> Result<Revision, StoreError> {
        super::newest(&self.connection)
    }

    fn object(&self, kind: Kind, id: &str) -> Result<Option<Object>, StoreError> {
        super::object(&self.connection, kind, id)
    }

    fn objects(&self, kind: Kind, after: &str, most: usize) -> Result<Vec<Object>, StoreError> {
        super::objects(&self.connection, kind, after, most)
    }
}
