//! The small body of a POST, taken piece by piece (RFC 9112, 6 and 7.1), strictly.
//!
//! Bytes come in as the socket gives them, decoded bytes are kept; where the bytes are cut makes no
//! difference. Chunks have one reading here: a size in plain hexadecimal digits, lines that end
//! with CRLF, extensions as the grammar has them, no trailer fields. Anything else is refused,
//! because a lenient reader and a strict one would see different requests behind it.

#[cfg(test)]
mod tests;

use super::parse::BodyFraming;
use super::refusal::Refusal;
use crate::config::{CHUNK_EXTENSIONS_SIZE_MAX, REQUEST_BODY_SIZE_MAX};

/// A body that is being received.
#[derive(Debug)]
pub struct Receiving {
    /// What came so far, decoded.
    pub bytes: Vec<u8>,
    state: State,
    /// Bytes of chunk extensions seen, of all chunks.
    extensions_size: usize,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// How many of the bytes given belong to the body.
    pub used: usize,
    /// Whether it is whole.
    pub whole: bool,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// So many bytes, and that is all.
    Plain(usize),
    /// Digits of a chunk's size, of which there were some.
    Size {
        size: u64,
        digits: u8,
    },
    /// A chunk's extension, behind its size.
    Extension {
        size: u64,
        place: Place,
    },
    /// The LF that ends the line with a chunk's size.
    SizeEnd(u64),
    /// So many bytes of a chunk.
    Data(usize),
    /// The CR behind a chunk's bytes, then the LF.
    DataCr,
    DataLf,
    /// The CR of the empty line behind the last chunk, then the LF.
    EndCr,
    EndLf,
    /// Nothing: the body is whole.
    Whole,
}

/// Where in an extension we are (RFC 9112, 7.1.1): `;name`, `;name=value`, `;name="value"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Before the first byte of a name.
    NameStart,
    Name,
    /// Before the first byte of a value.
    ValueStart,
    Value,
    Quoted,
    /// Behind a backslash in quotes.
    Escaped,
    /// Behind the closing quote.
    QuotedEnd,
}

/// Most digits of a chunk's size: what 64 bits hold.
const SIZE_DIGITS_MAX: u8 = 16;

impl Receiving {
    /// A body framed like this.
    ///
    /// # Errors
    ///
    /// `BodyTooLarge` if its length is stated and beyond `REQUEST_BODY_SIZE_MAX`.
    pub fn new(framing: BodyFraming) -> Result<Self, Refusal> {
        let state = match framing {
            BodyFraming::Empty | BodyFraming::Length(0) => State::Whole,
            BodyFraming::Length(length) => State::Plain(bounded(length, 0)?),
            BodyFraming::Chunked => State::Size { size: 0, digits: 0 },
        };
        Ok(Self { bytes: Vec::new(), state, extensions_size: 0 })
    }

    /// Takes what belongs to the body.
    ///
    /// # Errors
    ///
    /// `BodyTooLarge`, or `Malformed` for chunks that are not well formed.
    pub fn take(&mut self, bytes: &[u8]) -> Result<Progress, Refusal> {
        let mut rest = bytes;
        while self.state != State::Whole && !rest.is_empty() {
            rest = match self.state {
                State::Plain(size) => match self.keep(rest, size) {
                    (rest, 0) => {
                        self.state = State::Whole;
                        rest
                    }
                    (rest, left) => {
                        self.state = State::Plain(left);
                        rest
                    }
                },
                State::Data(size) => {
                    let (rest, left) = self.keep(rest, size);
                    self.state = if left == 0 { State::DataCr } else { State::Data(left) };
                    rest
                }
                state => {
                    self.state = self.after(state, rest[0])?;
                    &rest[1..]
                }
            };
        }
        Ok(Progress { used: bytes.len() - rest.len(), whole: self.state == State::Whole })
    }

    /// Keeps up to `size` bytes; gives the others, and how many are still to come.
    fn keep<'b>(&mut self, bytes: &'b [u8], size: usize) -> (&'b [u8], usize) {
        let (kept, rest) = bytes.split_at(bytes.len().min(size));
        self.bytes.extend_from_slice(kept);
        (rest, size - kept.len())
    }

    /// The state behind one byte of what frames the chunks.
    fn after(&mut self, state: State, byte: u8) -> Result<State, Refusal> {
        Ok(match (state, byte) {
            (State::Size { size, digits }, _) if byte.is_ascii_hexdigit() => {
                if digits == SIZE_DIGITS_MAX {
                    return Err(Refusal::Malformed);
                }
                let digit = char::from(byte).to_digit(16).expect("just seen to be a digit");
                State::Size { size: size << 4 | u64::from(digit), digits: digits + 1 }
            }
            (State::Size { size, digits: 1.. }, b'\r') => State::SizeEnd(size),
            (State::Size { size, digits: 1.. }, b';') => {
                State::Extension { size, place: Place::NameStart }
            }
            (State::Extension { size, place }, _) => {
                self.extensions_size += 1;
                if self.extensions_size > CHUNK_EXTENSIONS_SIZE_MAX {
                    return Err(Refusal::BodyTooLarge);
                }
                match place.after(byte)? {
                    Some(place) => State::Extension { size, place },
                    None => State::SizeEnd(size),
                }
            }
            (State::SizeEnd(0), b'\n') => State::EndCr,
            (State::SizeEnd(size), b'\n') => State::Data(bounded(size, self.bytes.len())?),
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Size { size: 0, digits: 0 },
            // A trailer field would begin here. None is of use to us, and some name what a head has
            // decided already.
            (State::EndCr, b'\r') => State::EndLf,
            (State::EndLf, b'\n') => State::Whole,
            _ => return Err(Refusal::Malformed),
        })
    }
}

impl Place {
    /// The place behind this byte; `None` behind the CR that ends the line.
    fn after(self, byte: u8) -> Result<Option<Self>, Refusal> {
        Ok(Some(match (self, byte) {
            (Self::NameStart | Self::Name, _) if is_token_byte(byte) => Self::Name,
            (Self::ValueStart | Self::Value, _) if is_token_byte(byte) => Self::Value,
            (Self::Name, b'=') => Self::ValueStart,
            (Self::ValueStart, b'"') => Self::Quoted,
            (Self::Quoted, b'"') => Self::QuotedEnd,
            (Self::Quoted, b'\\') => Self::Escaped,
            (Self::Quoted | Self::Escaped, b'\t' | b' '..=b'~') => Self::Quoted,
            (Self::Name | Self::Value | Self::QuotedEnd, b';') => Self::NameStart,
            (Self::Name | Self::Value | Self::QuotedEnd, b'\r') => return Ok(None),
            _ => return Err(Refusal::Malformed),
        }))
    }
}

/// `size` more bytes, if they may come on top of `held` ones.
fn bounded(size: u64, held: usize) -> Result<usize, Refusal> {
    let room = REQUEST_BODY_SIZE_MAX - held;
    usize::try_from(size).ok().filter(|&size| size <= room).ok_or(Refusal::BodyTooLarge)
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
