//! Byte ranges (RFC 9110, 14): what of an object of a known size is wanted.

#[cfg(test)]
mod tests;

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
///
/// Whatever is not understood selects everything (RFC 9110, 14.2), so a client never gets less than
/// it could have asked for: another unit, a malformed set, more than `RANGES_MAX` ranges, or ranges
/// that overlap, with which a few bytes of request would buy many of response. Of several ranges
/// those that lie beyond the end are left out. Numbers beyond 64 bits are large, not malformed.
#[must_use]
pub fn selection(value: &[u8], size: u64) -> Selection {
    let Some((unit, set)) = value.split_at_checked(6) else { return Selection::Whole };
    if !unit.eq_ignore_ascii_case(b"bytes=") {
        return Selection::Whole;
    }
    // Players ask for one range, so that is told without a table of several.
    if memchr::memchr(b',', set).is_none() {
        return match wanted(set.trim_ascii(), size) {
            Wanted::Range(range) => Selection::One(range),
            Wanted::Nothing => Selection::Unsatisfiable,
            Wanted::Unsaid | Wanted::Everything => Selection::Whole,
        };
    }
    several(set, size)
}

fn several(set: &[u8], size: u64) -> Selection {
    let mut selected = Ranges { ranges: [ByteRange::default(); RANGES_MAX], count: 0 };
    let mut asked = 0;
    let mut beyond = false;
    for spec in set.split(|&byte| byte == b',') {
        // RFC 9110, 5.6.1.2: a recipient leaves out empty elements. They count, all the same.
        asked += 1;
        if asked > RANGES_MAX {
            return Selection::Whole;
        }
        match wanted(spec.trim_ascii(), size) {
            Wanted::Range(range) => {
                if selected.as_slice().iter().any(|other| overlap(*other, range)) {
                    return Selection::Whole;
                }
                selected.ranges[usize::from(selected.count)] = range;
                selected.count += 1;
            }
            Wanted::Nothing => beyond = true,
            Wanted::Unsaid => {}
            Wanted::Everything => return Selection::Whole,
        }
    }
    match selected.as_slice() {
        [] if beyond => Selection::Unsatisfiable,
        [] => Selection::Whole,
        [range] => Selection::One(*range),
        _ => Selection::Several(selected),
    }
}

/// What one element of the set asks for.
enum Wanted {
    /// These bytes.
    Range(ByteRange),
    /// Bytes that do not exist.
    Nothing,
    /// The element is empty.
    Unsaid,
    /// It is malformed; or it is the end of an empty object, which no Content-Range can name.
    Everything,
}

fn wanted(spec: &[u8], size: u64) -> Wanted {
    if spec.is_empty() {
        return Wanted::Unsaid;
    }
    let Some(dash) = memchr::memchr(b'-', spec) else { return Wanted::Everything };
    let (first_digits, last_digits) = (&spec[..dash], &spec[dash + 1..]);
    match (number(first_digits), number(last_digits)) {
        (Number::Absent, Number::Of(0)) => Wanted::Nothing,
        (Number::Absent, Number::Of(count)) if size > 0 => {
            Wanted::Range(ByteRange { first: size.saturating_sub(count), last: size - 1 })
        }
        (Number::Of(first), Number::Absent) if first < size => {
            Wanted::Range(ByteRange { first, last: size - 1 })
        }
        (Number::Of(_), Number::Absent) => Wanted::Nothing,
        (Number::Of(u64::MAX), Number::Of(u64::MAX)) if is_less(last_digits, first_digits) => {
            Wanted::Everything
        }
        (Number::Of(first), Number::Of(last)) if last < first => Wanted::Everything,
        (Number::Of(first), Number::Of(last)) if first < size => {
            Wanted::Range(ByteRange { first, last: last.min(size - 1) })
        }
        (Number::Of(_), Number::Of(_)) => Wanted::Nothing,
        _ => Wanted::Everything,
    }
}

enum Number {
    Absent,
    /// Saturated: a position that large lies beyond every object.
    Of(u64),
    Malformed,
}

fn number(digits: &[u8]) -> Number {
    if digits.is_empty() {
        return Number::Absent;
    }
    let mut number = 0_u64;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return Number::Malformed;
        }
        number = number.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
    }
    Number::Of(number)
}

/// Compares numbers of any length, which are both too large for their values to tell.
fn is_less(digits: &[u8], other: &[u8]) -> bool {
    let significant = |digits: &[u8]| digits.iter().skip_while(|&&digit| digit == b'0').count();
    let (size, other_size) = (significant(digits), significant(other));
    (size, &digits[digits.len() - size..]) < (other_size, &other[other.len() - other_size..])
}

fn overlap(one: ByteRange, other: ByteRange) -> bool {
    one.first <= other.last && other.first <= one.last
}
