//! Rows of a CSV file (RFC 4180), under a line of names; separated by commas, semicolons or tabs.

use std::io::{self, BufRead, Read};

use super::table::Row;

/// Longest line of names, in bytes.
const NAMES_SIZE_MAX: u64 = 64 << 10;

/// A file of rows.
pub struct Rows {
    reader: csv::Reader<Box<dyn Read>>,
    names: Vec<String>,
    record: csv::ByteRecord,
    /// What the reader's numbers of lines lack: it counts a line's end of two bytes when it reads
    /// the second one, with the next record.
    behind: u64,
    /// Columns that mean nothing here.
    pub unknown: Vec<String>,
}

impl Rows {
    /// Of this file, whose first line has the names.
    ///
    /// # Errors
    ///
    /// It can't be read, or its first line has no name that is known.
    pub fn new(mut file: Box<dyn BufRead>) -> io::Result<Self> {
        let mut names = Vec::new();
        io::Read::take(&mut file, NAMES_SIZE_MAX).read_until(b'\n', &mut names)?;
        let names = names.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&names).to_vec();
        let count = |separator: u8| names.iter().filter(|&&byte| byte == separator).count();
        let delimiter = [b',', b';', b'\t'].into_iter().max_by_key(|&separator| {
            // Of as many the first one.
            (count(separator), separator == b',')
        });
        let behind = u64::from(names.ends_with(b"\r\n"));
        let whole: Box<dyn Read> = Box::new(io::Cursor::new(names).chain(file));
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter.unwrap_or(b','))
            .has_headers(true)
            .flexible(true)
            .from_reader(whole);
        let names = reader.headers().map_err(io::Error::other)?;
        let names: Vec<String> =
            names.iter().map(|name| name.trim().to_ascii_lowercase().replace(' ', "_")).collect();
        if !names.iter().any(|name| super::table::is_user(name)) {
            let why = "its first line is to have the names of columns, and one of them is to be \
                       username";
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        let unknown = names.iter().filter(|name| !super::table::is_known(name)).cloned().collect();
        Ok(Self { reader, names, record: csv::ByteRecord::new(), behind, unknown })
    }

    /// The next row with the line that it begins on; none at the end.
    ///
    /// # Errors
    ///
    /// The file can't be read.
    pub fn next(&mut self) -> io::Result<Option<(u64, Result<Row, String>)>> {
        if !self.reader.read_byte_record(&mut self.record).map_err(io::Error::other)? {
            return Ok(None);
        }
        let line = self.record.position().map_or(0, csv::Position::line) + self.behind;
        if self.record.len() > self.names.len() {
            let (has, names) = (self.record.len(), self.names.len());
            return Ok(Some((
                line,
                Err(format!("it has {has} fields, and there are {names} names")),
            )));
        }
        let mut row = Row::new();
        for (name, field) in self.names.iter().zip(&self.record) {
            let Ok(text) = str::from_utf8(field) else {
                return Ok(Some((line, Err(format!("{name}: it is not in UTF-8")))));
            };
            row.insert(name.clone(), text.to_owned());
        }
        Ok(Some((line, Ok(row))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Result<Vec<String>, String> {
        let file = Box::new(io::Cursor::new(text.to_vec()));
        let mut rows = Rows::new(file).map_err(|error| error.to_string())?;
        let mut all = Vec::new();
        while let Some((line, row)) = rows.next().map_err(|error| error.to_string())? {
            all.push(match row {
                Ok(row) => format!("{line} {row:?}"),
                Err(why) => format!("{line} wrong: {why}"),
            });
        }
        Ok(all)
    }

    #[test]
    fn separators_quotes_and_marks_are_as_spreadsheets_write_them() {
        let expected = [
            r#"2 {"notes": "a \"b\",\n;c", "password": " x ", "username": "anna"}"#,
            r#"4 {"username": "bert"}"#,
        ];
        for text in [
            "username,Password,Notes\nanna, x ,\"a \"\"b\"\",\n;c\"\nbert\n",
            "\u{feff}username;password;notes\r\nanna; x ;\"a \"\"b\"\",\n;c\"\r\nbert\r\n",
            "username\tpassword\tnotes\nanna\t x \t\"a \"\"b\"\",\n;c\"\nbert",
        ] {
            assert_eq!(read(text.as_bytes()).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn a_row_that_makes_no_sense_is_said_with_its_line() {
        assert_eq!(
            read(b"username,notes\nanna,\xff\nbert,a,b\ncleo,c\n").unwrap(),
            [
                "2 wrong: notes: it is not in UTF-8",
                "3 wrong: it has 3 fields, and there are 2 names",
                r#"4 {"notes": "c", "username": "cleo"}"#,
            ]
        );
        assert!(read(b"anna,secret\n").unwrap_err().contains("one of them is to be username"));
        assert!(read(b"").is_err());
    }
}
