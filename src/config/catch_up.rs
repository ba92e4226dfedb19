//! Limits of catch-up: how much may be asked for, and how much is kept of what was answered.

use super::{ANSWER_BODY_SIZE_MAX, ANSWERS_AT_ONCE_MAX, SEGMENT_MS_MAX};
use crate::units::{KIB, MIB};

/// Longest stretch of catch-up, in seconds: a day, which is more than any programme. Longer ones
/// are refused with 400; what grows is complete when it is as long.
pub const CATCH_UP_SECONDS_MAX: u64 = 86_400;

/// Minutes of an Xtream address that does not say how long a programme is.
pub const TIMESHIFT_MINUTES: u64 = 120;
const _: () = assert!(TIMESHIFT_MINUTES * 60 <= CATCH_UP_SECONDS_MAX);

/// How far back one can rewind, in seconds, if so much is kept.
pub const REWIND_SECONDS: u64 = 4 * 3600;

/// Longest file in which the numbers of a rewind are written down, in bytes: with a discontinuity
/// in every second of its four hours it has 400 KB. A longer one is not read, and they begin anew.
pub const REWIND_FILE_SIZE_MAX: usize = 4 * MIB;

/// Seconds after the end of a stretch after which it is complete, whatever has come of it: an
/// encoder that is silent, or gone, adds nothing any more.
pub const CATCH_UP_SETTLED_SECONDS: u64 = 120;
const _: () = assert!(
    CATCH_UP_SETTLED_SECONDS * 1000 > 3 * SEGMENT_MS_MAX,
    "a segment may be under way, and another one waited for"
);

/// Longest text of catch-up, in bytes, before it is compressed: a day of segments of 2 s has
/// 2.6 MB, one of half a second 11 MB. Beyond it the request is refused with 400, and a shorter
/// stretch is to be asked for.
pub const CATCH_UP_TEXT_SIZE_MAX: usize = ANSWER_BODY_SIZE_MAX;

/// Segments of all renditions together of which one text of catch-up is written; each is copied, in
/// 72 bytes. A day of 20 renditions in segments of 2 s has fewer. Beyond it as above.
pub const CATCH_UP_SEGMENTS_MAX: usize = 1_000_000;

/// How the segments of a rendition are encrypted, as the record of its past holds it, in bytes: a
/// header has one or two kilobytes of it, so this is another one every ten minutes of a week.
/// Beyond it the oldest headers' is forgotten, and players must find it in the headers themselves.
pub const RECORD_PROTECTIONS_SIZE_MAX: usize = if cfg!(test) { 4 * KIB } else { 2 * MIB };

/// Texts of catch-up that shards hold ready. Beyond it the oldest goes, and is written again when
/// it is asked for.
pub const CATCH_UP_TEXTS_MAX: usize = if cfg!(test) { 50 } else { 4096 };

/// Bytes of those texts, all together: some hundred programmes of two hours. Beyond it as above.
pub const CATCH_UP_TEXTS_SIZE_MAX: usize = 128 * MIB;
const _: () = assert!(
    2 * CATCH_UP_TEXT_SIZE_MAX <= CATCH_UP_TEXTS_SIZE_MAX,
    "the longest has room, gzipped too"
);

/// Bytes of pieces of transport streams of what is past that are held ready, all together. A piece
/// is a segment's length, about a megabyte, and each viewer needs one at a time; beyond it the
/// oldest goes, and is made again for whoever still needs it.
pub const PAST_PIECES_SIZE_MAX: usize = if cfg!(test) { MIB } else { 128 * MIB };

/// Transport streams of what is past of which pieces can be made: a list of segments each, 170 KB
/// an hour. Beyond it the one goes that was used the longest time ago, and its responses are reset.
pub const PAST_STREAMS_MAX: usize = 256;

/// Bytes of those lists, all together: some hundred days. Beyond it as above.
pub const PAST_STREAMS_SIZE_MAX: usize = 256 * MIB;

/// Pieces that shards may be waiting for; each is made in some milliseconds. Beyond it a request is
/// refused with 503, and a response that is under way is reset.
pub const PAST_PIECES_WAITING_MAX: usize = 4096;

/// Hours of archives whose indexes are held open to read from.
pub const PAST_HOURS_OPEN_MAX: usize = 64;

/// Largest segment that becomes a piece, in bytes: ten seconds at 200 Mbit/s. A larger one ends the
/// response.
pub const PAST_SEGMENT_SIZE_MAX: u64 = 256 * MIB as u64;

/// Texts of catch-up that wait to be written, each of which takes some milliseconds. Beyond it a
/// request for another one is refused with 503.
pub const CATCH_UP_WAITING_MAX: usize = 32;
const _: () = assert!(CATCH_UP_WAITING_MAX < ANSWERS_AT_ONCE_MAX, "other answers have places left");
