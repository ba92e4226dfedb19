//! Rows of a MySQL or MariaDB dump: what `INSERT` statements put into the tables that matter here.
//!
//! It is read as it comes, one value at a time. Names of columns stand in the `INSERT`, or in the
//! `CREATE TABLE` before it; any other statement is passed over.

use std::collections::BTreeMap;
use std::io::{self, BufRead};

use super::table::Row;

/// Longest value or name, in bytes. A longer one ends the import: it is none of a panel's.
const VALUE_SIZE_MAX: usize = 1 << 20;

/// Columns of a table.
const COLUMNS_MAX: usize = 512;

/// What a dump has.
#[derive(Debug, PartialEq)]
pub enum Found {
    /// A row of the table that was asked for.
    Row(Result<Row, String>),
    /// A bouquet: its number, and what it is called.
    Bouquet(u64, String),
}

/// A dump that is read.
pub struct Dump {
    file: Box<dyn BufRead>,
    /// A byte that was read, and is none of a comment.
    held: Option<u8>,
    line: u64,
    /// The table of subscribers.
    table: String,
    /// Columns of tables that were made.
    columns: BTreeMap<String, Vec<String>>,
    /// The table whose rows are read at the moment, with its columns.
    inserting: Option<(String, Vec<String>)>,
    /// Whether anything was said of the table of subscribers.
    has_table: bool,
}

impl Dump {
    /// Of this file: rows of this table.
    pub fn new(file: Box<dyn BufRead>, table: &str) -> Self {
        let (held, columns, inserting, has_table) = Default::default();
        Self { file, held, line: 1, table: table.to_owned(), columns, inserting, has_table }
    }

    /// The next row of the table, or a bouquet, with the line that it begins on; none at the end.
    ///
    /// # Errors
    ///
    /// The file can't be read, ends in the middle, or is no dump.
    pub fn next(&mut self) -> io::Result<Option<(u64, Found)>> {
        loop {
            if let Some((table, columns)) = self.inserting.take() {
                if let Some((line, values)) = self.tuple()? {
                    let found = self.found(&table, &columns, values);
                    self.inserting = Some((table, columns));
                    match found {
                        Some(found) => return Ok(Some((line, found))),
                        None => continue,
                    }
                }
            } else if !self.statement()? {
                return self.missing().map_or(Ok(None), |why| Err(io::Error::other(why)));
            }
        }
    }

    /// What to say at the end where the table of subscribers is not in the dump, and another one
    /// looks like it: panels call it differently.
    fn missing(&self) -> Option<String> {
        let is_like_it = |columns: &Vec<String>| {
            let has = |name: &str| columns.iter().any(|column| column == name);
            ["username", "password", "exp_date", "max_connections"].into_iter().all(has)
        };
        let mut others = self.columns.iter().filter(|(_, columns)| is_like_it(columns));
        let (other, _) = others.next().filter(|_| !self.has_table)?;
        Some(format!("it has no table {:?}; {other:?} is one of subscribers (--table)", self.table))
    }

    /// What values of a row are.
    fn found(
        &self,
        table: &str,
        columns: &[String],
        values: Vec<Option<Vec<u8>>>,
    ) -> Option<Found> {
        let row = row(columns, values);
        if table == self.table {
            return Some(Found::Row(row));
        }
        let row = row.ok()?;
        let name = row.get("bouquet_name").or_else(|| row.get("name"))?;
        Some(Found::Bouquet(row.get("id")?.parse().ok()?, name.clone()))
    }

    /// Reads the head of a statement, and all of it if it brings no rows; false at the end.
    fn statement(&mut self) -> io::Result<bool> {
        self.space()?;
        if self.peek()?.is_none() {
            return Ok(false);
        }
        match self.word()?.as_str() {
            "INSERT" | "REPLACE" => self.insert()?,
            "CREATE" => self.create()?,
            _ => self.skip_statement()?,
        }
        Ok(true)
    }

    fn insert(&mut self) -> io::Result<()> {
        let mut word = self.word()?;
        while matches!(word.as_str(), "INTO" | "IGNORE" | "DELAYED" | "LOW_PRIORITY") {
            word = self.word()?;
        }
        let table = if word.is_empty() { self.table_name()? } else { word.to_lowercase() };
        self.has_table |= table == self.table;
        if table != self.table && table != "bouquets" {
            return self.skip_statement();
        }
        let mut columns = self.columns.get(&table).cloned();
        self.space()?;
        if self.peek()? == Some(b'(') {
            columns = Some(self.names()?);
        }
        let columns = columns.ok_or_else(|| {
            self.wrong(&format!("the dump does not say what the columns of {table:?} are"))
        })?;
        if !matches!(self.word()?.as_str(), "VALUES" | "VALUE") {
            return Err(self.wrong("VALUES is missing"));
        }
        self.inserting = Some((table, columns));
        Ok(())
    }

    /// `CREATE TABLE`: its columns are the entries whose names are quoted.
    fn create(&mut self) -> io::Result<()> {
        if self.word()? != "TABLE" {
            return self.skip_statement();
        }
        let mut word = self.word()?;
        while matches!(word.as_str(), "IF" | "NOT" | "EXISTS") {
            word = self.word()?;
        }
        let table = if word.is_empty() { self.table_name()? } else { word.to_lowercase() };
        self.space()?;
        if self.peek()? != Some(b'(') {
            return self.skip_statement();
        }
        self.take()?;
        let mut columns = Vec::new();
        loop {
            self.space()?;
            if self.peek()? == Some(b'`') && columns.len() < COLUMNS_MAX {
                columns.push(self.quoted_name()?);
            }
            if !self.skip_entry()? {
                break;
            }
        }
        self.has_table |= table == self.table;
        self.columns.insert(table, columns);
        self.skip_statement()
    }

    /// A table's name behind what may be a database's.
    fn table_name(&mut self) -> io::Result<String> {
        let mut name = self.quoted_name()?;
        while self.peek()? == Some(b'.') {
            self.take()?;
            name = self.quoted_name()?;
        }
        Ok(name)
    }

    /// `(a, b)`.
    fn names(&mut self) -> io::Result<Vec<String>> {
        self.take()?;
        let mut names = Vec::new();
        loop {
            self.space()?;
            match self.peek()? {
                Some(b')') => {
                    self.take()?;
                    return Ok(names);
                }
                Some(b',') => drop(self.take()?),
                Some(b'`' | b'"') => names.push(self.quoted_name()?),
                _ => names.push(self.word()?.to_lowercase()),
            }
            if names.len() > COLUMNS_MAX || names.last().is_some_and(String::is_empty) {
                return Err(self.wrong("these are no names of columns"));
            }
        }
    }

    /// The next row's values with its line; none when the statement ends.
    #[expect(clippy::type_complexity, reason = "values of a row, of which some are NULL")]
    fn tuple(&mut self) -> io::Result<Option<(u64, Vec<Option<Vec<u8>>>)>> {
        loop {
            self.space()?;
            match self.peek()? {
                Some(b',') => drop(self.take()?),
                Some(b'(') => break,
                Some(b';') => {
                    self.take()?;
                    return Ok(None);
                }
                // `ON DUPLICATE KEY UPDATE …`
                Some(byte) if byte.is_ascii_alphabetic() => {
                    self.skip_statement()?;
                    return Ok(None);
                }
                _ => return Err(self.wrong("a row is to begin here")),
            }
        }
        let line = self.line;
        self.take()?;
        let mut values = Vec::new();
        loop {
            self.space()?;
            values.push(self.value()?);
            self.space()?;
            match self.take()? {
                b',' if values.len() < COLUMNS_MAX => {}
                b')' => return Ok(Some((line, values))),
                _ => return Err(self.wrong("a row is to go on or end here")),
            }
        }
    }

    /// A string, a number, or NULL.
    fn value(&mut self) -> io::Result<Option<Vec<u8>>> {
        match self.peek()? {
            Some(b'\'' | b'"') => self.string().map(Some),
            Some(b'_') => {
                // `_binary '…'`: a character set before a string.
                self.word()?;
                self.space()?;
                self.string().map(Some)
            }
            _ => {
                let mut text = Vec::new();
                while let Some(byte) = self.peek()?
                    && !matches!(byte, b',' | b')' | b' ' | b'\n' | b'\r' | b'\t')
                {
                    self.push(&mut text, byte)?;
                    self.take()?;
                }
                match text.as_slice() {
                    b"" => Err(self.wrong("a value is missing")),
                    text if text.eq_ignore_ascii_case(b"NULL") => Ok(None),
                    _ => Ok(Some(text)),
                }
            }
        }
    }

    /// A string in quotes, with what is escaped as it was (MySQL 8.0 manual, 9.1.1).
    fn string(&mut self) -> io::Result<Vec<u8>> {
        let quote = self.take()?;
        if !matches!(quote, b'\'' | b'"') {
            return Err(self.wrong("a string is to begin here"));
        }
        let mut text = Vec::new();
        loop {
            match self.take()? {
                b'\\' => {
                    let byte = match self.take()? {
                        b'0' => b'\0',
                        b'b' => 8,
                        b'n' => b'\n',
                        b'r' => b'\r',
                        b't' => b'\t',
                        b'Z' => 26,
                        other => other,
                    };
                    self.push(&mut text, byte)?;
                }
                byte if byte == quote => {
                    if self.peek()? != Some(quote) {
                        return Ok(text);
                    }
                    self.take()?;
                    self.push(&mut text, quote)?;
                }
                byte => self.push(&mut text, byte)?,
            }
        }
    }

    fn quoted_name(&mut self) -> io::Result<String> {
        let quote = match self.peek()? {
            Some(quote @ (b'`' | b'"')) => quote,
            _ => return self.word().map(|word| word.to_lowercase()),
        };
        self.take()?;
        let mut name = Vec::new();
        loop {
            match self.take()? {
                byte if byte == quote => return Ok(String::from_utf8_lossy(&name).to_lowercase()),
                byte => self.push(&mut name, byte)?,
            }
        }
    }

    /// Letters, digits and underscores, in capitals; nothing if something else stands there.
    fn word(&mut self) -> io::Result<String> {
        self.space()?;
        let mut word = Vec::new();
        while let Some(byte) = self.peek()?
            && (byte.is_ascii_alphanumeric() || byte == b'_')
        {
            self.push(&mut word, byte.to_ascii_uppercase())?;
            self.take()?;
        }
        Ok(String::from_utf8_lossy(&word).into_owned())
    }

    /// Goes behind the comma that ends an entry of `CREATE TABLE`; false behind the last one.
    fn skip_entry(&mut self) -> io::Result<bool> {
        let mut depth = 0_u32;
        loop {
            match self.skip_one()? {
                b'(' => depth += 1,
                b')' if depth == 0 => return Ok(false),
                b')' => depth -= 1,
                b',' if depth == 0 => return Ok(true),
                _ => {}
            }
        }
    }

    fn skip_statement(&mut self) -> io::Result<()> {
        while self.peek()?.is_some() {
            if self.skip_one()? == b';' {
                break;
            }
        }
        Ok(())
    }

    /// One byte, or a whole string or comment, of which the first byte is given.
    fn skip_one(&mut self) -> io::Result<u8> {
        match self.peek()? {
            Some(quote @ (b'\'' | b'"')) => self.string().map(|_| quote),
            Some(b'`') => self.quoted_name().map(|_| b'`'),
            Some(b'-' | b'#' | b'/') => {
                if self.comment()? {
                    Ok(b' ')
                } else {
                    self.take()
                }
            }
            _ => self.take(),
        }
    }

    /// Goes over white space and comments.
    fn space(&mut self) -> io::Result<()> {
        loop {
            match self.peek()? {
                Some(b' ' | b'\n' | b'\r' | b'\t') => drop(self.take()?),
                Some(b'-' | b'#' | b'/') if self.comment()? => {}
                _ => return Ok(()),
            }
        }
    }

    /// Goes over a comment if one begins here.
    fn comment(&mut self) -> io::Result<bool> {
        let first = self.take()?;
        match (first, self.peek()?) {
            (b'#', _) | (b'-', Some(b'-')) => {
                while self.peek()?.is_some_and(|byte| byte != b'\n') {
                    self.take()?;
                }
                Ok(true)
            }
            (b'/', Some(b'*')) => {
                self.take()?;
                let mut before = 0;
                loop {
                    let byte = self.take()?;
                    if (before, byte) == (b'*', b'/') {
                        return Ok(true);
                    }
                    before = byte;
                }
            }
            _ => {
                self.held = Some(first);
                Ok(false)
            }
        }
    }

    fn peek(&mut self) -> io::Result<Option<u8>> {
        match self.held {
            Some(byte) => Ok(Some(byte)),
            None => self.file.fill_buf().map(|buffer| buffer.first().copied()),
        }
    }

    fn take(&mut self) -> io::Result<u8> {
        if let Some(byte) = self.held.take() {
            return Ok(byte);
        }
        let Some(byte) = self.peek()? else {
            let why = format!("line {}: the file ends within a statement", self.line);
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, why));
        };
        self.file.consume(1);
        self.line += u64::from(byte == b'\n');
        Ok(byte)
    }

    fn push(&self, text: &mut Vec<u8>, byte: u8) -> io::Result<()> {
        if text.len() == VALUE_SIZE_MAX {
            return Err(self.wrong(&format!("a value has more than {VALUE_SIZE_MAX} bytes")));
        }
        text.push(byte);
        Ok(())
    }

    fn wrong(&self, why: &str) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, format!("line {}: {why}", self.line))
    }
}

/// Values under their columns' names.
fn row(columns: &[String], values: Vec<Option<Vec<u8>>>) -> Result<Row, String> {
    if columns.len() != values.len() {
        let (has, names) = (values.len(), columns.len());
        return Err(format!("it has {has} values, and there are {names} columns"));
    }
    let mut row = Row::new();
    for (name, value) in columns.iter().zip(values) {
        let Some(value) = value else { continue };
        // What means nothing here may be in any character set.
        if super::table::is_known(name) || name == "bouquet_name" || name == "name" {
            let text =
                String::from_utf8(value).map_err(|_| format!("{name}: it is not in UTF-8"))?;
            row.insert(name.clone(), text);
        }
    }
    Ok(row)
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod panels;
