//! The text of a guide as it is handed to the XML reader: in UTF-8, counted, and never more of it
//! than a piece between two calls.
//!
//! An XML reader keeps a whole tag or a whole text in memory. How much it has read since it was
//! last asked is counted here, and beyond a limit there is no more for it, so a file of a gigabyte
//! without a single `>` costs a megabyte.

use std::cell::Cell;
use std::io::{self, BufRead, Read};
use std::rc::Rc;

use crate::config::guide::GUIDE_PIECE_SIZE_MAX;
use crate::units::KIB;

/// Bytes that are read at once.
const CHUNK_SIZE: usize = 64 * KIB;

/// Where in the text the reader is, and what it may still take.
#[derive(Clone, Debug, Default)]
pub struct Place {
    line: Rc<Cell<u64>>,
    taken: Rc<Cell<usize>>,
    replaced: Rc<Cell<u64>>,
}

impl Place {
    /// The line, from 1.
    #[must_use]
    pub fn line(&self) -> u64 {
        self.line.get() + 1
    }

    /// What comes now is another piece.
    pub fn begin_piece(&self) {
        self.taken.set(0);
    }

    /// Places where bytes stood that are no text.
    #[must_use]
    pub fn replaced(&self) -> u64 {
        self.replaced.get()
    }
}

/// How bytes are letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Utf8,
    /// ISO 8859-1, read as Windows-1252, which has letters where that has control characters.
    Latin1,
}

/// Bytes as text. What is no text in its encoding becomes U+FFFD.
#[derive(Debug)]
pub struct Pieces<R> {
    from: R,
    encoding: Encoding,
    place: Place,
    /// Bytes that are no whole letter yet.
    raw: Vec<u8>,
    text: Vec<u8>,
    used: usize,
    is_over: bool,
}

impl<R: Read> Pieces<R> {
    /// Of what is read there.
    ///
    /// # Errors
    ///
    /// It can't be read; or it says that it is in an encoding that is not read here.
    pub fn new(mut from: R) -> io::Result<Self> {
        let mut raw = Vec::with_capacity(CHUNK_SIZE);
        from.by_ref().take(512).read_to_end(&mut raw)?;
        let encoding =
            encoding(&raw).map_err(|why| io::Error::new(io::ErrorKind::Unsupported, why))?;
        if raw.starts_with(b"\xef\xbb\xbf") {
            raw.drain(..3);
        }
        let place = Place::default();
        let mut pieces =
            Self { from, encoding, place, raw, text: Vec::new(), used: 0, is_over: false };
        pieces.convert();
        Ok(pieces)
    }

    /// Where it is.
    #[must_use]
    pub fn place(&self) -> Place {
        self.place.clone()
    }

    /// Makes text of the bytes that are there.
    fn convert(&mut self) {
        self.text.clear();
        self.used = 0;
        match self.encoding {
            Encoding::Latin1 => {
                for byte in self.raw.drain(..) {
                    let letter = latin(byte);
                    self.text.extend(letter.encode_utf8(&mut [0; 4]).as_bytes());
                }
            }
            Encoding::Utf8 => {
                let (mut rest, mut left) = (self.raw.as_slice(), 0);
                loop {
                    match str::from_utf8(rest) {
                        Ok(text) => {
                            self.text.extend(text.as_bytes());
                            break;
                        }
                        Err(error) => {
                            let (good, bad) = rest.split_at(error.valid_up_to());
                            self.text.extend(good);
                            let Some(size) =
                                error.error_len().or(self.is_over.then_some(bad.len()))
                            else {
                                left = bad.len();
                                break;
                            };
                            self.text.extend("\u{fffd}".as_bytes());
                            self.place.replaced.set(self.place.replaced.get() + 1);
                            rest = &bad[size..];
                        }
                    }
                }
                let gone = self.raw.len() - left;
                self.raw.drain(..gone);
            }
        }
    }
}

/// A byte of Windows-1252.
fn latin(byte: u8) -> char {
    const HIGH: [char; 32] = [
        '€', '\u{fffd}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{fffd}', 'Ž',
        '\u{fffd}', '\u{fffd}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ',
        '\u{fffd}', 'ž', 'Ÿ',
    ];
    match byte {
        0x80..=0x9f => HIGH[usize::from(byte - 0x80)],
        byte => char::from(byte),
    }
}

/// What the first bytes say of the others.
fn encoding(start: &[u8]) -> Result<Encoding, String> {
    if start.starts_with(b"\xff\xfe") || start.starts_with(b"\xfe\xff") || start.contains(&0) {
        return Err("it is in UTF-16 or no text at all (write it in UTF-8)".to_owned());
    }
    let Some(end) = start.windows(2).position(|two| two == b"?>") else {
        return Ok(Encoding::Utf8);
    };
    let head = String::from_utf8_lossy(&start[..end]).to_ascii_lowercase();
    let Some((_, said)) = head.split_once("encoding") else { return Ok(Encoding::Utf8) };
    let said = said.trim_start_matches([' ', '=', '\t']).trim_start_matches(['"', '\'']);
    let name = said.split(['"', '\'', ' ']).next().unwrap_or_default();
    match name {
        "utf-8" | "utf8" | "us-ascii" | "ascii" => Ok(Encoding::Utf8),
        "iso-8859-1" | "latin1" | "iso-8859-15" | "windows-1252" | "cp1252" => Ok(Encoding::Latin1),
        name => {
            let name: String = name.chars().filter(char::is_ascii_graphic).take(40).collect();
            Err(format!("it is in the encoding {name:?}, which is not read (write it in UTF-8)"))
        }
    }
}

impl<R: Read> Read for Pieces<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let size = self.fill_buf()?.read(to)?;
        self.consume(size);
        Ok(size)
    }
}

impl<R: Read> BufRead for Pieces<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.place.taken.get() > GUIDE_PIECE_SIZE_MAX {
            let why = format!("a tag or a text is longer than {GUIDE_PIECE_SIZE_MAX} bytes");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
        }
        while self.used == self.text.len() && !self.is_over {
            let had = self.raw.len();
            let size =
                self.from.by_ref().take((CHUNK_SIZE - had) as u64).read_to_end(&mut self.raw)?;
            self.is_over = size == 0;
            self.convert();
        }
        Ok(&self.text[self.used..])
    }

    fn consume(&mut self, size: usize) {
        let lines = memchr::memchr_iter(b'\n', &self.text[self.used..self.used + size]).count();
        self.place.line.set(self.place.line.get() + lines as u64);
        self.place.taken.set(self.place.taken.get() + size);
        self.used += size;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reader that gives a byte at a time.
    struct Slow<'b>(&'b [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            let size = usize::from(!self.0.is_empty() && !to.is_empty());
            to[..size].copy_from_slice(&self.0[..size]);
            self.0 = &self.0[size..];
            Ok(size)
        }
    }

    fn text(bytes: &[u8]) -> Result<String, String> {
        let mut text = String::new();
        let pieces = Pieces::new(Slow(bytes)).map_err(|error| error.to_string());
        pieces?.read_to_string(&mut text).map_err(|error| error.to_string())?;
        Ok(text)
    }

    #[test]
    fn bytes_are_read_in_the_encoding_that_they_say() {
        assert_eq!(text("\u{feff}<tv>é€</tv>".as_bytes()).unwrap(), "<tv>é€</tv>");
        assert_eq!(text(b"<tv>\xc3\xa9\xff\xe2\x82").unwrap(), "<tv>é\u{fffd}\u{fffd}");
        let latin = b"<?xml version='1.0' encoding='ISO-8859-1'?><tv>\xe9\x80</tv>";
        assert!(text(latin).unwrap().ends_with("<tv>é€</tv>"));
        assert!(text(b"<?xml encoding=\"KOI8-R\"?>").unwrap_err().contains("\"koi8-r\""));
        assert!(text(b"\xff\xfe<\0t\0v\0").unwrap_err().contains("UTF-16"));
        let long = "é".repeat(100_000);
        assert_eq!(text(long.as_bytes()).unwrap(), long);
    }

    #[test]
    fn lines_are_counted_and_a_piece_has_an_end() {
        let long = format!("a\nb\n{}", "x".repeat(3 * GUIDE_PIECE_SIZE_MAX));
        let mut pieces = Pieces::new(long.as_bytes()).unwrap();
        let place = pieces.place();
        pieces.consume(3);
        assert_eq!(place.line(), 2);
        let mut size = 0;
        let error = loop {
            match pieces.fill_buf().map(<[u8]>::len) {
                Ok(some) => {
                    size += some;
                    pieces.consume(some);
                }
                Err(error) => break error,
            }
        };
        assert!(
            size < GUIDE_PIECE_SIZE_MAX + 2 * CHUNK_SIZE && error.to_string().contains("longer")
        );
        place.begin_piece();
        assert!(!pieces.fill_buf().unwrap().is_empty());
        assert_eq!(place.line(), 3);
    }
}
