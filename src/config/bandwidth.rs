//! Limits of what players tell of themselves, of how fast they are sent to, and of what the machine
//! sends. They are constants like those of `config.rs`.

use super::{LEASES_TOLD_MS, SENDFILE_SIZE_MAX};

/// How fast players are sent to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bandwidth {
    /// Whether sessions are paced: by what their players ask for (CMCD `rtp`), and to
    /// `REALTIME_MAX` times real time. Caps of plans hold in any case.
    pub is_paced: bool,
    /// Bits a second that the machine sends. At the limit new sessions get 503 with Retry-After,
    /// and those that are there go on. 0 = off.
    pub egress: u64,
    /// Whether responses tell players of themselves (CMSD).
    pub tells_players: bool,
}

/// Most that a player is believed to speak of, in kilobits a second: 1 Gbit. More counts as this.
pub const CMCD_KBPS_MAX: u32 = 1_000_000;

/// Pairs of one list that are read. Players send about twelve. What is behind them is left out,
/// and counted as malformed.
pub const CMCD_PAIRS_MAX: usize = 64;

/// Longest id of a player's session, in bytes (CTA-5004: 64, and we read loosely). A longer one is
/// left out, and counted as malformed.
pub const CMCD_STRING_SIZE_MAX: usize = 128;

/// How many times the bit rate of its media a session gets for long, where pacing is on.
pub const REALTIME_MAX: u32 = 4;

/// What a session may get beyond that when its player starts, seeks or has stalled: so many
/// milliseconds of media,
pub const FAST_START_MS: i64 = 30_000;
/// in so many milliseconds. Used up, it comes back evenly over that time.
pub const FAST_START_PERIOD_MS: i64 = 300_000;
/// Milliseconds of media that four times real time may be ahead before that is taken of the fast
/// start: shards tell once a second what was had meanwhile.
pub const REALTIME_AHEAD_MS: i64 = REALTIME_MAX as i64 * LEASES_TOLD_MS as i64 * 5 / 4;
/// What is left of it is given out over so many milliseconds: nine times real time at first. What
/// was used is known and taken into account within two seconds, and the time must be thrice that,
/// else some of it would be given twice.
pub const FAST_START_OVER_MS: i64 = 6_000;
const _: () = assert!(FAST_START_OVER_MS >= 6 * LEASES_TOLD_MS as i64, "none is given twice");

/// Least that a connection is paced to, in kilobits a second. Who asks for less gets this.
pub const PACE_MIN_KBPS: u32 = 64;

/// Milliseconds of a rate cap that may be caught up on after a pause: less than a tenth of the
/// half minute over which the cap holds to a tenth.
pub const PACE_AHEAD_MS: i64 = 1_000;
/// Milliseconds of it, sent too much, that are remembered and taken back.
pub const PACE_BEHIND_MS: i64 = 30_000;
/// What is given beyond a cap at most to catch up: one part of so many.
pub const PACE_MADE_UP_PART: u32 = 10;
/// Milliseconds over which either is made up for.
pub const PACE_EVENED_MS: i64 = 3_000;

/// Milliseconds between two times that a session's rate is divided anew.
pub const PACE_DIVIDED_MS: u64 = 400;
const _: () = assert!(PACE_DIVIDED_MS < LEASES_TOLD_MS, "more than once a round of what is told");

/// Milliseconds without a word after which a shard counts no more for a session's rate.
pub const PACE_SILENT_MS: u64 = 5_000;

/// Milliseconds that a shard remembers what a player said, and how fast it is sent to, after its
/// last request: longer than players wait that have a full buffer.
pub const PLAYER_KEPT_MS: u64 = 60_000;

/// Players that a shard remembers before it looks for some to forget.
pub const PLAYERS_KEPT_MIN: usize = 1024;

/// Players that a shard remembers. Beyond it what new ones say is counted only, and their
/// connections get what the plan's cap allows, each.
pub const PLAYERS_MAX: usize = 1 << 20;

/// Milliseconds over which what the machine sends is averaged: segments come in bursts.
pub const EGRESS_OVER_MS: u64 = 5_000;

/// Milliseconds for which a session that was let in counts with what it will need, until it shows
/// in what is sent.
pub const EGRESS_NEWCOMER_MS: u64 = 10_000;
const _: () = assert!(EGRESS_NEWCOMER_MS >= EGRESS_OVER_MS, "it shows by then");

/// What a session is taken to need while nobody knows better, in kilobits a second: full HD.
pub const SESSION_KBPS_GUESSED: u64 = 5_000;

/// The machine is full from all of the cap on, until it is below so many percent of it again, and
/// for so many milliseconds at least: else it would flap with every segment.
pub const EGRESS_FREE_PERCENT: u64 = 90;
/// See `EGRESS_FREE_PERCENT`.
pub const EGRESS_FULL_MS: u64 = 5_000;

/// Milliseconds that a session is refused by a full machine before it is looked at again; and
/// seconds that its player is told to wait.
pub const EGRESS_REFUSED_MS: u32 = 2_000;
/// See `EGRESS_REFUSED_MS`.
pub const EGRESS_RETRY_SECONDS: u32 = 10;

/// Least egress cap that can be set, in bits a second: below it a few calls of a shard are more.
pub const EGRESS_MIN: u64 = 1_000_000;
const _: () = assert!(SENDFILE_SIZE_MAX as u64 * 8 / EGRESS_MIN < 20, "a call is not a minute");
