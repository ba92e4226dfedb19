//! Limits of the portal: who is signed in, what is kept for them, codes of televisions. They are
//! constants like those of `config.rs`.

use super::REQUEST_BODY_SIZE_MAX;

/// Days without a request after which whoever is signed in to the portal has to do it again. A
/// television is used rarely by some, and typing on one is no pleasure.
pub const PORTAL_IDLE_DAYS: u64 = 90;

/// Sign-ins of one subscriber to the portal: browsers and televisions of a large household. Beyond
/// it the one that was seen longest ago ends.
pub const PORTAL_SESSIONS_OF_ONE_MAX: usize = 32;

/// Seconds for which a portal password that was given is enough to change an account (ASVS 5.0,
/// 7.5.1).
pub const PORTAL_STEP_UP_SECONDS: u64 = 600;

/// Seconds after which it is written down again that a session was seen.
pub const PORTAL_SEEN_EVERY_SECONDS: u64 = 3_600;

/// Jobs that wait for the thread that keeps what the portal remembers. Beyond it: 503.
pub const PORTAL_JOBS_MAX: usize = 1024;

/// Milliseconds for which positions in films are gathered before they are written, all subscribers'
/// in one transaction. A server that is killed forgets so much of them.
pub const PORTAL_POSITIONS_EVERY_MS: u64 = 5_000;

/// Positions of one subscriber that are kept. Beyond it the oldest goes.
pub const PORTAL_POSITIONS_MAX: usize = 500;

/// Positions that one request may bring. Beyond it: 400.
pub const PORTAL_POSITIONS_AT_ONCE_MAX: usize = 32;

/// Size of what one subscriber likes and hides, in bytes of JSON. Beyond it: 413.
pub const PORTAL_PREFERENCES_SIZE_MAX: usize = 32 * 1024;
const _: () = assert!(PORTAL_PREFERENCES_SIZE_MAX < REQUEST_BODY_SIZE_MAX, "it fits a request");

/// Characters of a television's code, without those between groups. Of 20 consonants (RFC 8628,
/// 6.1) eight have 34 bits.
pub const TV_CODE_CHARACTERS: usize = 8;

/// Seconds for which a television's code is good.
pub const TV_CODE_SECONDS: u64 = 600;

/// Codes that wait to be confirmed, all televisions together, and of one address. Beyond either the
/// next one is told 429: a code that was shown must not vanish from under whoever types it.
pub const TV_CODES_MAX: usize = 4096;
/// See `TV_CODES_MAX`.
pub const TV_CODES_OF_ONE_MAX: usize = 8;

/// Wrong codes that one subscriber may type in `TV_CODE_SECONDS`. Beyond it: 429.
pub const TV_WRONG_CODES_MAX: u32 = 10;

/// Wrong PINs that one subscriber may type in a row, and milliseconds after which one more may be
/// tried. Beyond it: 429.
pub const PIN_WRONG_MAX: u32 = 5;
/// See `PIN_WRONG_MAX`.
pub const PIN_EVERY_MS: u64 = 60_000;

/// Questions that wait for the thread that reads what there is to watch. Beyond it: 503.
pub const SHELF_JOBS_MAX: usize = 256;

/// Milliseconds for which it is not read again what is on: browsers see a programme's end.
pub const ON_AIR_EVERY_MS: u64 = 20_000;

/// Bouquet sets whose answers are kept. Beyond it the one made first goes.
pub const SHELF_SETS_MAX: usize = 64;

/// Channels, and seconds, of which programmes are told at once. Beyond either: 400.
pub const GUIDE_CHANNELS_AT_ONCE_MAX: usize = 100;
/// See `GUIDE_CHANNELS_AT_ONCE_MAX`.
pub const GUIDE_SECONDS_AT_ONCE_MAX: u64 = 48 * 3_600;

/// Programmes that a search finds, seconds before and after now in which it looks, and milliseconds
/// that it takes at most. What is beyond is not found.
pub const GUIDE_FOUND_MAX: usize = 60;
/// See `GUIDE_FOUND_MAX`.
pub const GUIDE_SEARCH_SECONDS: u64 = 7 * 86_400;
/// See `GUIDE_FOUND_MAX`.
pub const GUIDE_SEARCH_MS: u64 = 2_000;
