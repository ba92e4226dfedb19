//! One rendition's folder: every object is written beside its place and renamed into it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;

use super::outlet::Object;

/// A folder, and the file that is being written.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    is_open: bool,
    file: Option<(File, Object)>,
    /// The first error since the last outcome.
    failed: Option<io::Error>,
}

impl Folder {
    /// The folder of one rendition; it is made when it is opened.
    pub fn new(path: PathBuf) -> Self {
        Self { path, is_open: false, file: None, failed: None }
    }

    /// Whether it can be written to.
    pub fn is_open(&self) -> bool {
        self.is_open
    }

    /// Makes the folder.
    pub fn open(&mut self) -> io::Result<()> {
        fs::create_dir_all(&self.path)?;
        self.is_open = true;
        Ok(())
    }

    /// Leaves the file that is being written as it is, under its other name.
    pub fn close(&mut self) {
        self.is_open = false;
        self.file = None;
        self.failed = None;
    }

    /// Opens a file for an object.
    pub fn begin(&mut self, object: Object) {
        match File::create(self.beside(object)) {
            Ok(file) => self.file = Some((file, object)),
            Err(error) => self.fail(error),
        }
    }

    /// Writes more of it.
    pub fn data(&mut self, bytes: &[u8]) {
        if let Some((file, _)) = &mut self.file
            && let Err(error) = file.write_all(bytes)
        {
            self.fail(error);
        }
    }

    /// Renames it.
    pub fn finish(&mut self) {
        let Some((_, object)) = self.file.take() else { return };
        if self.failed.is_none() {
            let renamed = fs::rename(self.beside(object), self.path.join(object.to_string()));
            renamed.unwrap_or_else(|error| self.fail(error));
        }
    }

    /// How it went since the last time.
    pub fn outcome(&mut self) -> io::Result<()> {
        self.failed.take().map_or(Ok(()), Err)
    }

    /// Watchers of a folder pass over names with a dot in front.
    fn beside(&self, object: Object) -> PathBuf {
        self.path.join(format!(".{object}.part"))
    }

    fn fail(&mut self, error: io::Error) {
        self.failed.get_or_insert(error);
    }
}
