//! Reads HTTP/1.1 responses to GET: bytes in, "more" or "whole" out. Pure.
//!
//! A `Receiver` is one connection's place in one response. Bytes may come in any pieces, and the
//! part of a body whose length is known may be skipped without being looked at, which is how large
//! bodies are thrown away in the kernel. It knows no socket and no clock.

use memchr::memchr;

/// Longest response head that is believed; anything longer counts as malformed.
const HEAD_SIZE_MAX: usize = 16 * 1024;

/// What was wrong with a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Malformed {
    /// Not `HTTP/1.x NNN …`.
    StatusLine,
    /// A line without a colon, or with a bare line feed.
    HeaderLine,
    /// A Content-Length that is no number, or two that differ, or one beside a chunked coding.
    Length,
    /// A transfer coding other than chunked.
    Coding,
    /// A chunk that does not follow its own framing.
    Chunk,
    /// No end of the head within 16 KiB.
    HeadTooLong,
}

/// A response that has arrived whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Bytes of the body, without chunk framing.
    pub body_size: u64,
    /// The server will take no further request on this connection.
    pub close: bool,
}

/// How far a response has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// All bytes were taken, and more belong to this response.
    More,
    /// The response is whole; so many of the bytes given were its own.
    Whole(Response, usize),
}

/// One connection's place in one response.
#[derive(Debug, Default)]
pub struct Receiver {
    partial_head: Vec<u8>,
    state: State,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Head,
    /// A body of known length.
    Counted {
        status: u16,
        close: bool,
        size: u64,
        remaining: u64,
    },
    Chunked {
        status: u16,
        close: bool,
        size: u64,
        chunk: Chunk,
    },
    /// A body that ends with the connection.
    Open {
        status: u16,
        size: u64,
    },
}

/// The place in a chunked body.
#[derive(Clone, Copy, Debug)]
enum Chunk {
    /// In the line with the size; digits so far, and whether an extension has begun.
    Size {
        value: u64,
        digits: u8,
        extension: bool,
    },
    Data {
        remaining: u64,
    },
    /// The CRLF after the data; how much of it has been seen.
    DataEnd {
        seen: u8,
    },
    /// In the trailer; bytes of the current line.
    Trailer {
        line: u64,
    },
}

const CHUNK_START: Chunk = Chunk::Size { value: 0, digits: 0, extension: false };

impl Receiver {
    /// True before the first byte of a response.
    pub fn is_at_start(&self) -> bool {
        self.partial_head.is_empty() && matches!(self.state, State::Head)
    }

    /// Bytes of the body that may be skipped without being seen.
    pub fn skippable(&self) -> u64 {
        match self.state {
            State::Counted { remaining, .. } => remaining,
            _ => 0,
        }
    }

    /// Takes the next bytes of the connection.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Progress, Malformed> {
        let mut used = 0;
        loop {
            let rest = &bytes[used..];
            match self.state {
                State::Head => match self.feed_head(rest)? {
                    Some(size) => used += size,
                    None => return Ok(Progress::More),
                },
                State::Counted { status, close, size, remaining } => {
                    let taken = remaining.min(rest.len() as u64);
                    let left = remaining - taken;
                    if left > 0 {
                        self.state = State::Counted { status, close, size, remaining: left };
                        return Ok(Progress::More);
                    }
                    used += taken as usize;
                    self.state = State::Head;
                    return Ok(Progress::Whole(Response { status, body_size: size, close }, used));
                }
                State::Chunked { .. } => return self.feed_chunks(rest, used),
                State::Open { status, size } => {
                    self.state = State::Open { status, size: size + rest.len() as u64 };
                    return Ok(Progress::More);
                }
            }
        }
    }

    /// Counts bytes that were thrown away; at most `skippable` of them.
    pub fn skip(&mut self, count: u64) -> Progress {
        let State::Counted { status, close, size, remaining } = self.state else {
            panic!("only a body of known length is skipped");
        };
        assert!(count <= remaining, "a receive is never longer than what was asked for");
        if count < remaining {
            self.state = State::Counted { status, close, size, remaining: remaining - count };
            return Progress::More;
        }
        self.state = State::Head;
        Progress::Whole(Response { status, body_size: size, close }, 0)
    }

    /// The peer has closed: whole only if that is how this body ends. Starts anew in any case.
    pub fn end(&mut self) -> Option<Response> {
        let state = std::mem::take(self).state;
        match state {
            State::Open { status, size } => Some(Response { status, body_size: size, close: true }),
            _ => None,
        }
    }

    /// Returns how many of `bytes` belonged to the head, once it is whole.
    fn feed_head(&mut self, bytes: &[u8]) -> Result<Option<usize>, Malformed> {
        let before = self.partial_head.len();
        let head = if before == 0 {
            head(bytes)?
        } else {
            self.partial_head.extend_from_slice(bytes);
            head(&self.partial_head)?
        };
        let Some(head) = head else {
            if before == 0 {
                self.partial_head.extend_from_slice(bytes);
            }
            if self.partial_head.len() > HEAD_SIZE_MAX {
                return Err(Malformed::HeadTooLong);
            }
            return Ok(None);
        };
        self.partial_head.clear();
        let Head { status, close, .. } = head;
        self.state = match head.body {
            // An interim response; the real one follows.
            _ if (100..200).contains(&status) => State::Head,
            _ if status == 204 || status == 304 => {
                State::Counted { status, close, size: 0, remaining: 0 }
            }
            Body::Counted(size) => State::Counted { status, close, size, remaining: size },
            Body::Chunked => State::Chunked { status, close, size: 0, chunk: CHUNK_START },
            Body::Open => State::Open { status, size: 0 },
        };
        Ok(Some(head.size - before))
    }

    fn feed_chunks(&mut self, bytes: &[u8], before: usize) -> Result<Progress, Malformed> {
        let State::Chunked { status, close, mut size, mut chunk } = self.state else {
            panic!("called in a chunked body only");
        };
        let mut used = 0;
        while used < bytes.len() {
            if let Chunk::Data { remaining } = chunk {
                let taken = remaining.min((bytes.len() - used) as u64);
                size += taken;
                used += taken as usize;
                chunk = match remaining - taken {
                    0 => Chunk::DataEnd { seen: 0 },
                    left => Chunk::Data { remaining: left },
                };
                continue;
            }
            let next = chunk_after(chunk, bytes[used])?;
            used += 1;
            let Some(next) = next else {
                self.state = State::Head;
                let response = Response { status, body_size: size, close };
                return Ok(Progress::Whole(response, before + used));
            };
            chunk = next;
        }
        self.state = State::Chunked { status, close, size, chunk };
        Ok(Progress::More)
    }
}

/// The place after one byte of framing; `None` when that byte ended the body.
fn chunk_after(chunk: Chunk, byte: u8) -> Result<Option<Chunk>, Malformed> {
    let next = match chunk {
        Chunk::Size { value, digits, extension } => match byte {
            b'\n' if digits == 0 => return Err(Malformed::Chunk),
            b'\n' if value == 0 => Chunk::Trailer { line: 0 },
            b'\n' => Chunk::Data { remaining: value },
            b'\r' => chunk,
            b';' | b' ' | b'\t' => Chunk::Size { value, digits, extension: true },
            _ if extension => chunk,
            _ => {
                let digit = char::from(byte).to_digit(16).ok_or(Malformed::Chunk)?;
                // 15 digits are 2^60 bytes; more would only be there to overflow.
                if digits == 15 {
                    return Err(Malformed::Chunk);
                }
                let value = value << 4 | u64::from(digit);
                Chunk::Size { value, digits: digits + 1, extension }
            }
        },
        Chunk::DataEnd { seen } => match (seen, byte) {
            (0, b'\r') => Chunk::DataEnd { seen: 1 },
            (1, b'\n') => CHUNK_START,
            _ => return Err(Malformed::Chunk),
        },
        Chunk::Trailer { line } => match byte {
            b'\n' if line == 0 => return Ok(None),
            b'\n' => Chunk::Trailer { line: 0 },
            b'\r' => chunk,
            _ => Chunk::Trailer { line: line + 1 },
        },
        Chunk::Data { .. } => panic!("data is counted by its caller"),
    };
    Ok(Some(next))
}

/// What a head says that matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    body: Body,
    close: bool,
    size: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    Counted(u64),
    Chunked,
    Open,
}

/// The head at the start of `bytes`, or `None` while its end has not arrived.
fn head(bytes: &[u8]) -> Result<Option<Head>, Malformed> {
    let Some(first) = line(bytes)? else {
        return Ok(None);
    };
    let (status, mut close) = status(first)?;
    let mut length = None;
    let mut chunked = false;
    let mut at = first.len() + 2;
    loop {
        let Some(line) = line(&bytes[at..])? else {
            return Ok(None);
        };
        at += line.len() + 2;
        if line.is_empty() {
            break;
        }
        let colon = memchr(b':', line).ok_or(Malformed::HeaderLine)?;
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        // Only three headers matter, and their lengths tell them from nearly all others.
        match name.len() {
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                let value = number(value)?;
                if length.is_some_and(|other| other != value) {
                    return Err(Malformed::Length);
                }
                length = Some(value);
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                if !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(Malformed::Coding);
                }
                chunked = true;
            }
            10 if name.eq_ignore_ascii_case(b"connection") => {
                close = value.eq_ignore_ascii_case(b"close")
                    || (close && !value.eq_ignore_ascii_case(b"keep-alive"));
            }
            _ => {}
        }
    }
    let body = match (chunked, length) {
        (true, None) => Body::Chunked,
        (false, Some(size)) => Body::Counted(size),
        (false, None) => Body::Open,
        (true, Some(_)) => return Err(Malformed::Length),
    };
    Ok(Some(Head { status, body, close, size: at }))
}

/// The first line without its CRLF.
fn line(bytes: &[u8]) -> Result<Option<&[u8]>, Malformed> {
    let Some(end) = memchr(b'\n', bytes) else {
        return Ok(None);
    };
    match bytes[..end].split_last() {
        Some((b'\r', line)) => Ok(Some(line)),
        _ => Err(Malformed::HeaderLine),
    }
}

/// The status, and whether the version implies that the connection ends.
fn status(line: &[u8]) -> Result<(u16, bool), Malformed> {
    let (close, rest) = match line.split_at_checked(9) {
        Some((b"HTTP/1.1 ", rest)) => (false, rest),
        Some((b"HTTP/1.0 ", rest)) => (true, rest),
        _ => return Err(Malformed::StatusLine),
    };
    let (digits, after) = rest.split_at_checked(3).ok_or(Malformed::StatusLine)?;
    if !digits.iter().all(u8::is_ascii_digit) || !matches!(after.first(), None | Some(b' ')) {
        return Err(Malformed::StatusLine);
    }
    let status = digits.iter().fold(0, |value, digit| value * 10 + u16::from(digit - b'0'));
    Ok((status, close))
}

fn number(value: &[u8]) -> Result<u64, Malformed> {
    // 18 digits cannot overflow, and no body is that long.
    if value.is_empty() || value.len() > 18 || !value.iter().all(u8::is_ascii_digit) {
        return Err(Malformed::Length);
    }
    Ok(value.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
}

#[cfg(test)]
mod tests;
