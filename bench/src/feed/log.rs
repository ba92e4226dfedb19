//! Segments that were taken, a line each, written before anything else happens.
//!
//! For those who want to know what a server promised before it was killed: `news/r0/850000000`.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use super::compose::Names;

/// A file of lines.
#[derive(Debug)]
pub struct Log {
    file: File,
    /// The first error.
    failed: Option<io::Error>,
}

impl Log {
    /// Makes the file anew.
    pub fn create(path: &Path) -> io::Result<Self> {
        Ok(Self { file: File::create(path)?, failed: None })
    }

    /// The server has said that it has a segment.
    pub fn taken(&mut self, names: &Names, number: u64) {
        let line = format!("{}/{}/{number}\n", names.channel, names.rendition);
        if let Err(error) = self.file.write_all(line.as_bytes()) {
            self.failed.get_or_insert(error);
        }
    }

    /// Whether all of it could be written.
    pub fn outcome(self) -> io::Result<()> {
        self.failed.map_or(Ok(()), Err)
    }
}
