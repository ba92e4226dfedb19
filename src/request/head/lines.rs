//! Header lines into a buffer that is large enough.

use std::fmt;

use crate::request::range::ByteRange;

/// A buffer, and how much of it is written.
pub(super) struct Lines<'o> {
    out: &'o mut [u8],
    size: usize,
}

impl<'o> Lines<'o> {
    pub(super) fn new(out: &'o mut [u8]) -> Self {
        Self { out, size: 0 }
    }

    pub(super) fn size(&self) -> usize {
        self.size
    }

    pub(super) fn put(&mut self, bytes: &[u8]) {
        self.out[self.size..self.size + bytes.len()].copy_from_slice(bytes);
        self.size += bytes.len();
    }

    pub(super) fn field(&mut self, name: &str, value: &str) {
        self.put(name.as_bytes());
        self.put(b": ");
        self.put(value.as_bytes());
        self.put(b"\r\n");
    }

    pub(super) fn content_range(&mut self, range: ByteRange, object_size: u64) {
        self.put(b"Content-Range: bytes ");
        self.number(range.first);
        self.put(b"-");
        self.number(range.last);
        self.put(b"/");
        self.number(object_size);
        self.put(b"\r\n");
    }

    pub(super) fn number(&mut self, number: u64) {
        let mut text = [0; 20];
        let mut start = text.len();
        let mut rest = number;
        loop {
            start -= 1;
            text[start] = b"0123456789"[(rest % 10) as usize];
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.put(&text[start..]);
    }
}

/// For what is no text yet, and writes itself.
impl fmt::Write for Lines<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.put(text.as_bytes());
        Ok(())
    }
}

/// How many digits `Lines::number` writes.
pub(super) fn digits(number: u64) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1)
}

/// Longest value from outside that gets into a head, in bytes.
const VALUE_SIZE_MAX: usize = 127;

/// Whether this can be the value of a field: one line, short, printable.
pub(super) fn is_value(text: &str) -> bool {
    let printable = |byte: u8| (b' '..=b'~').contains(&byte);
    !text.is_empty() && text.len() <= VALUE_SIZE_MAX && text.bytes().all(printable)
}
