//! Parameters of a request: of the query, and of a form in the body, urlencoded or in parts. What
//! the query says holds; what is empty was not said.

use std::collections::BTreeMap;

use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;

/// Parameters that are read of one request. What comes after them is not looked at.
const PARAMETERS_MAX: usize = 64;

/// Longest name or value, in bytes: nothing that means anything is longer.
const TEXT_SIZE_MAX: usize = 1024;

/// What a request says.
#[derive(Debug, Default)]
pub struct Parameters(BTreeMap<String, String>);

impl Parameters {
    /// Those of a request.
    #[must_use]
    pub fn of(query: Option<&str>, headers: &HeaderMap, body: &[u8]) -> Self {
        let mut parameters = Self::default();
        parameters.urlencoded(query.unwrap_or_default().as_bytes());
        let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media_type = media_type.unwrap_or_default();
        match media_type.split_once(';') {
            Some((kind, rest)) if kind.trim().eq_ignore_ascii_case("multipart/form-data") => {
                if let Some(boundary) = boundary(rest) {
                    parameters.parts(body, boundary);
                }
            }
            // Some apps send a form and say nothing of it.
            _ => parameters.urlencoded(body),
        }
        parameters
    }

    /// What it says of this, if it says anything.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The same as a number, if it is one.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u32> {
        self.get(name)?.trim().parse().ok()
    }

    fn put(&mut self, name: &[u8], value: &[u8]) {
        let is_long = name.len().max(value.len()) > TEXT_SIZE_MAX;
        if is_long || self.0.len() >= PARAMETERS_MAX {
            return;
        }
        let value = String::from_utf8_lossy(value).into_owned();
        if !value.trim().is_empty() {
            self.0.entry(String::from_utf8_lossy(name).into_owned()).or_insert(value);
        }
    }

    fn urlencoded(&mut self, text: &[u8]) {
        for pair in text.split(|byte| *byte == b'&').take(PARAMETERS_MAX) {
            let at = memchr::memchr(b'=', pair).unwrap_or(pair.len());
            let (name, value) = (&pair[..at], pair.get(at + 1..).unwrap_or_default());
            self.put(&decoded(name), &decoded(value));
        }
    }

    /// Parts of a form (RFC 7578): each has a head with its name, an empty line and a value.
    fn parts(&mut self, body: &[u8], boundary: &str) {
        let line = format!("--{boundary}");
        let starts: Vec<_> =
            memchr::memmem::find_iter(body, line.as_bytes()).take(PARAMETERS_MAX + 1).collect();
        for pair in starts.windows(2) {
            let part = &body[pair[0] + line.len()..pair[1]];
            let Some(at) = memchr::memmem::find(part, b"\r\n\r\n") else { continue };
            let (head, value) = (&part[..at], &part[at + 4..]);
            let value = value.strip_suffix(b"\r\n").unwrap_or(value);
            if let Some(name) = name(head) {
                self.put(name.as_bytes(), value);
            }
        }
    }
}

fn boundary(rest: &str) -> Option<&str> {
    let mut fields = rest.split(';').filter_map(|field| field.trim().split_once('='));
    let (_, boundary) = fields.find(|(name, _)| name.trim().eq_ignore_ascii_case("boundary"))?;
    let boundary = boundary.trim().trim_matches('"');
    // RFC 2046, 5.1.1.
    (1..=70).contains(&boundary.len()).then_some(boundary)
}

/// The name of a part, unless it is a file.
fn name(head: &[u8]) -> Option<&str> {
    let head = str::from_utf8(head).ok()?;
    let line = head.lines().find(|line| {
        line.get(..20).is_some_and(|start| start.eq_ignore_ascii_case("content-disposition:"))
    })?;
    let mut fields = line.split(';').filter_map(|field| field.trim().split_once('='));
    let (_, name) = fields.find(|(name, _)| *name == "name")?;
    Some(name.trim_matches('"'))
}

/// As forms are encoded: `+` is a space. An escape that is none stands for itself.
fn decoded(text: &[u8]) -> Vec<u8> {
    let hex = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (mut decoded, mut rest) = (Vec::with_capacity(text.len()), text);
    while let [first, after @ ..] = rest {
        rest = after;
        match (first, after) {
            (b'+', _) => decoded.push(b' '),
            (b'%', [high, low, after @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    decoded.push(high << 4 | low);
                    rest = after;
                }
                _ => decoded.push(b'%'),
            },
            _ => decoded.push(*first),
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(query: &str, media_type: &str, body: &str) -> Parameters {
        let mut headers = HeaderMap::new();
        if !media_type.is_empty() {
            headers.insert(CONTENT_TYPE, media_type.parse().unwrap());
        }
        Parameters::of(Some(query), &headers, body.as_bytes())
    }

    #[test]
    fn all_three_ways_say_the_same_and_the_query_holds() {
        const FORM: &str = "application/x-www-form-urlencoded";
        let parts = "--X\r\nContent-Disposition: form-data; name=\"username\"\r\n\r\nan na\r\n\
                     --X\r\nContent-Type: text/plain\r\ncontent-disposition: form-data; name=b\r\n\r\n\
                     2\r\n--X--\r\n";
        for (query, media_type, body) in [
            ("username=an+na&b=2", "", ""),
            ("username=an%20na", FORM, "b=2&username=x"),
            ("", FORM, "username=an%20na&b=2"),
            ("", "", "username=an%20na&b=2"),
            ("username=&username=an%20na&b=%20", FORM, "b=2"),
            ("", "multipart/form-data; boundary=X", parts),
            ("b=2", "Multipart/Form-Data; charset=utf-8; boundary=\"X\"", parts),
        ] {
            let read = read(query, media_type, body);
            let said = (read.get("username"), read.get("b"), read.number("b"), read.get("c"));
            assert_eq!(said, (Some("an na"), Some("2"), Some(2), None), "{query} {body}");
        }
    }

    #[test]
    fn numbers_are_numbers() {
        for (text, expected) in
            [("7", Some(7)), (" 7", Some(7)), ("-1", None), ("99999999999", None), ("1e3", None)]
        {
            assert_eq!(
                read(&format!("n={}", text.replace(' ', "+")), "", "").number("n"),
                expected
            );
        }
    }

    proptest! {
        #[test]
        fn nothing_that_is_sent_breaks_it(query: String, body: Vec<u8>, boundary in "[a-z\"]{0,4}") {
            for media_type in [String::new(), format!("multipart/form-data; boundary={boundary}")] {
                let mut headers = HeaderMap::new();
                headers.insert(CONTENT_TYPE, media_type.parse().unwrap());
                let read = Parameters::of(Some(&query), &headers, &body);
                prop_assert!(read.0.len() <= PARAMETERS_MAX);
            }
        }
    }
}
