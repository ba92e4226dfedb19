//! The environment's fault, with the operation and the object attached where it was caught.

use std::fmt;
use std::io;
use std::path::Path;

use crate::messages::Fault;
use crate::pack::PackError;

/// What could not be done to which file, why, and what to do about it.
#[derive(Debug)]
pub struct DiskError {
    /// The operation and its object: `reading /srv/vod/a.pack`.
    pub what: String,
    /// The reason.
    pub why: String,
    /// What to do, where that is known.
    pub remedy: Option<&'static str>,
}

impl DiskError {
    /// An operation on a path that failed.
    #[must_use]
    pub fn new(doing: &str, path: &Path, why: impl fmt::Display) -> Self {
        Self { what: format!("{doing} {}", shown(path)), why: why.to_string(), remedy: None }
    }

    /// For `map_err` of calls that give an `io::Error`.
    pub fn of<'a>(doing: &'a str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + 'a {
        move |error| Self::new(doing, path, error)
    }

    /// With what to do about it.
    #[must_use]
    pub fn with_remedy(self, remedy: &'static str) -> Self {
        Self { remedy: Some(remedy), ..self }
    }

    /// A file that is no good pack.
    #[must_use]
    pub fn pack(path: &Path, error: &PackError) -> Self {
        Self::new("reading the pack", path, error)
    }
}

/// A path for a log or a terminal, on one line: whoever may name a file may not write a line of a
/// log, nor move somebody's cursor.
pub(super) fn shown(path: &Path) -> String {
    let text = path.display().to_string();
    if !text.contains(char::is_control) {
        return text;
    }
    let mut line = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() {
            line.extend(letter.escape_default());
        } else {
            line.push(letter);
        }
    }
    line
}

/// What a shard found wrong with a source's bytes, for a log.
pub(super) fn told(fault: Fault) -> String {
    match fault {
        Fault::Truncated => "it was cut short while it was served".to_owned(),
        Fault::Unreadable(number) => io::Error::from_raw_os_error(number).to_string(),
    }
}

impl fmt::Display for DiskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.why)?;
        self.remedy.map_or(Ok(()), |remedy| write!(f, " ({remedy})"))
    }
}

impl std::error::Error for DiskError {}
