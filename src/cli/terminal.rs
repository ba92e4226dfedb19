//! What verbs print. A reader that has gone (`shardcast man | head`) is no error, and a stderr
//! that can't be written to is no reason to stop.

use std::io::{self, Write as _};

use serde_json::Value;

use super::Failure;
use crate::units::UnixTime;

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

/// Columns as wide as their widest cell.
#[must_use]
pub fn table(head: &[&str], rows: Vec<Vec<String>>) -> String {
    let head = head.iter().map(|&name| name.to_owned()).collect();
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
    let width = |column: usize| {
        rows.iter().map(|row| row.get(column).map_or(0, |cell| cell.chars().count())).max()
    };
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            line += &format!("{cell:wide$}  ", wide = width(column).unwrap_or(0));
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

/// A value as a cell: nothing is a dash.
#[must_use]
pub fn word(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) if text.is_empty() => "-".to_owned(),
        Value::String(text) => printable(text),
        other => printable(&other.to_string()),
    }
}

/// Seconds since 1970 as a cell of a table.
pub fn moment(value: &Value) -> String {
    value.as_u64().map_or_else(|| "-".to_owned(), |at| UnixTime(at).iso())
}
