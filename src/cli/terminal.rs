//! What verbs print. A reader that has gone (`shardcast man | head`) is no error, and a stderr
//! that can't be written to is no reason to stop.

use std::io::{self, Write as _};

use super::Failure;

/// Writes to stdout.
pub fn say(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new("write to stdout", error))
        }
        _ => Ok(()),
    }
}

/// What others sent, without what would move a cursor.
pub fn printable(text: &str) -> String {
    text.chars().filter(|one| !one.is_control()).collect()
}

/// Writes a line to stderr.
pub fn warn(line: impl std::fmt::Display) {
    let _ = writeln!(io::stderr(), "{line}");
}
