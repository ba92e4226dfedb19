//! Byte ranges (RFC 9110, 14): what of an object of a known size is wanted.

use crate::config::RANGES_MAX;

/// One satisfiable range: `first <= last < size`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByteRange {
    /// First byte.
    pub first: u64,
    /// Last byte, included.
    pub last: u64,
}

/// Several, in the order asked for, none overlapping another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ranges {
    ranges: [ByteRange; RANGES_MAX],
    count: u8,
}

impl Ranges {
    /// The ranges.
    #[must_use]
    pub fn as_slice(&self) -> &[ByteRange] {
        &self.ranges[..usize::from(self.count)]
    }
}

/// What is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    /// Everything: no range, one we do not understand, or too many.
    Whole,
    /// One range.
    One(ByteRange),
    /// Several ranges.
    Several(Ranges),
    /// Nothing of what was asked for exists.
    Unsatisfiable,
}

/// What the value of a Range field selects of `size` bytes.
#[must_use]
pub fn selection(_value: &[u8], _size: u64) -> Selection {
    Selection::Whole
}
