//! Objects of a JSON file, whether it is one a line or an array of them: what stands between two
//! objects does not matter.

use std::io::{self, BufRead};

use serde_json::{Map, Value};

/// Longest object, in bytes. A longer one is refused, and what follows is read.
const OBJECT_SIZE_MAX: usize = 1 << 20;

/// A file of objects.
pub struct Objects {
    file: Box<dyn BufRead>,
    line: u64,
}

impl Objects {
    /// Of this file.
    pub fn new(file: Box<dyn BufRead>) -> Self {
        Self { file, line: 1 }
    }

    /// The next object with the line that it begins on; none at the end.
    ///
    /// # Errors
    ///
    /// The file can't be read, ends within an object, or has something else between objects.
    #[expect(clippy::type_complexity, reason = "a line's number, and what stands there")]
    pub fn next(&mut self) -> io::Result<Option<(u64, Result<Map<String, Value>, String>)>> {
        let Some(begin) = self.begin()? else { return Ok(None) };
        let text = self.object()?;
        if text.len() > OBJECT_SIZE_MAX {
            let why = format!("it has more than {OBJECT_SIZE_MAX} bytes");
            return Ok(Some((begin, Err(why))));
        }
        let object = serde_json::from_slice(&text).map_err(|error| error.to_string());
        Ok(Some((begin, object)))
    }

    /// Goes to the next object, and gives its line.
    fn begin(&mut self) -> io::Result<Option<u64>> {
        loop {
            let Some(&byte) = self.file.fill_buf()?.first() else { return Ok(None) };
            match byte {
                b'{' => return Ok(Some(self.line)),
                b'\n' => self.line += 1,
                b' ' | b'\t' | b'\r' | b',' | b'[' | b']' | 0xef | 0xbb | 0xbf => {}
                other => {
                    let why = format!("line {}: this is no object: {:?}", self.line, other as char);
                    return Err(io::Error::new(io::ErrorKind::InvalidData, why));
                }
            }
            self.file.consume(1);
        }
    }

    /// The text of an object, to the brace that closes it; of one that is too long its beginning.
    fn object(&mut self) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        let (mut depth, mut in_string, mut is_escaped) = (0_u64, false, false);
        loop {
            let buffer = self.file.fill_buf()?;
            if buffer.is_empty() {
                let why = format!("line {}: the file ends within an object", self.line);
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, why));
            }
            let mut used = 0;
            let mut is_whole = false;
            for &byte in buffer {
                used += 1;
                self.line += u64::from(byte == b'\n');
                match byte {
                    _ if is_escaped => is_escaped = false,
                    b'\\' if in_string => is_escaped = true,
                    b'"' => in_string = !in_string,
                    b'{' if !in_string => depth += 1,
                    b'}' if !in_string => depth -= 1,
                    _ => {}
                }
                if depth == 0 {
                    is_whole = true;
                    break;
                }
            }
            let room = (OBJECT_SIZE_MAX + 1).saturating_sub(text.len());
            text.extend_from_slice(&buffer[..used.min(room)]);
            self.file.consume(used);
            if is_whole {
                return Ok(text);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<String> {
        // A small buffer, so that objects lie across its ends.
        let file = io::BufReader::with_capacity(3, io::Cursor::new(text.to_owned()));
        let mut objects = Objects::new(Box::new(file));
        let mut all = Vec::new();
        loop {
            match objects.next() {
                Ok(Some((line, Ok(object)))) => {
                    all.push(format!("{line} {}", Value::Object(object)));
                }
                Ok(Some((line, Err(why)))) => all.push(format!("{line} wrong: {why}")),
                Ok(None) => return all,
                Err(error) => {
                    all.push(format!("stopped: {error}"));
                    return all;
                }
            }
        }
    }

    #[test]
    fn objects_stand_in_lines_or_in_an_array() {
        let two = [r#"1 {"a":"}\"{"}"#, r#"3 {"b":{"c":[1]}}"#];
        for text in [
            "{\"a\":\"}\\\"{\"}\n\n{\"b\":{\"c\":[1]}}\n",
            "[{\"a\":\"}\\\"{\"},\n\n{\"b\":{\"c\":[1]}}]",
            "\u{feff}{\"a\":\"}\\\"{\"}\r\n\r\n{\"b\":\n{\"c\":[1]}}",
        ] {
            assert_eq!(read(text), two, "{text}");
        }
        assert_eq!(read(""), Vec::<String>::new());
        assert_eq!(read("[]"), Vec::<String>::new());
    }

    #[test]
    fn what_is_no_object_is_said_with_its_line() {
        assert_eq!(
            read("{\"a\":1}\n{\"a\":}\n{}"),
            ["1 {\"a\":1}", "2 wrong: expected value at line 1 column 6", "3 {}"]
        );
        assert_eq!(read("{}\nid,name\n"), ["1 {}", "stopped: line 2: this is no object: 'i'"]);
        assert_eq!(
            read("{}\n{\"a\":\n"),
            ["1 {}", "stopped: line 3: the file ends within an object"]
        );
        let long = format!("{{\"a\":\"{}\"}}\n{{}}", "x".repeat(OBJECT_SIZE_MAX));
        assert_eq!(read(&long), ["1 wrong: it has more than 1048576 bytes", "2 {}"]);
    }
}
