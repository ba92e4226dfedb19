//! Response heads: a plan in, its status line and header fields out.

use super::locate::Object;
use super::plan::Plan;
use super::range::ByteRange;

/// What every head has in common, prepared once.
#[derive(Clone, Debug, Default)]
pub struct Common {
    /// The CORS lines of a response, each ended by CRLF; empty if CORS is off.
    pub cors: Box<[u8]>,
    /// The CORS lines of an answer to a preflight.
    pub preflight: Box<[u8]>,
}

impl Common {
    /// Prepared for this value of Access-Control-Allow-Origin; empty = CORS is off.
    #[must_use]
    pub fn new(_cors: &str) -> Self {
        Self::default()
    }
}

/// A date as HTTP writes it, for one second (RFC 9110, 5.6.7): `Sun, 06 Nov 1994 08:49:37 GMT`.
pub type Date = [u8; 29];

/// The date of a second.
#[must_use]
pub fn date(_now: crate::units::UnixTime) -> Date {
    *b"Thu, 01 Jan 1970 00:00:00 GMT"
}

/// A written head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its size in bytes; with a refusal's or health's short body, which follows in the same bytes.
    pub size: usize,
    /// Where in it the date begins, so that a prebuilt response can be kept for longer than a
    /// second.
    pub date_at: usize,
    /// How many bytes of `size` are that short body.
    pub text_size: usize,
}

/// Writes the head of a plan. `object` is there where the plan's content is an object's.
/// For several ranges `boundary` separates the parts.
///
/// # Panics
///
/// If `out` is smaller than `RESPONSE_HEAD_SIZE_MAX`.
pub fn write(
    _plan: &Plan,
    _object: Option<&Object<'_>>,
    _common: &Common,
    _date: &Date,
    _out: &mut [u8],
) -> Written {
    Written { size: 0, date_at: 0, text_size: 0 }
}

/// Writes what stands before a part of multipart/byteranges, and returns its size.
pub fn write_part(
    _range: ByteRange,
    _object_size: u64,
    _media_type: &str,
    _first: bool,
    _out: &mut [u8],
) -> usize {
    0
}

/// Writes what stands after the last part, and returns its size.
pub fn write_end(_out: &mut [u8]) -> usize {
    0
}

/// Writes the head of control's answer, whose own lines are `lines`; `None` if it does not fit.
pub fn write_answer(
    _status: u16,
    _lines: &[u8],
    _body_size: usize,
    _connection: super::plan::Connection,
    _common: &Common,
    _date: &Date,
    _out: &mut [u8],
) -> Option<usize> {
    None
}

/// Writes the head of a growing object's response.
pub fn write_growing(
    _plan: &Plan,
    _media_type: &str,
    _common: &Common,
    _date: &Date,
    _out: &mut [u8],
) -> Written {
    Written { size: 0, date_at: 0, text_size: 0 }
}
