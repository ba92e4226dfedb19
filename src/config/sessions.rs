//! Limits of sessions: of those that go on, and of what is kept of those that are over. They are
//! constants like those of `config.rs`.

use super::{KIB, MIB};

/// What is kept of sessions that are over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sessions {
    /// For how long, in milliseconds; 0 = nothing is.
    pub history_ms: u64,
}

impl Default for Sessions {
    fn default() -> Self {
        Self { history_ms: 30 * 86_400_000 }
    }
}

/// Longest time that can be set, in milliseconds: ten years.
pub const HISTORY_MS_MAX: u64 = 3_660 * 86_400_000;

/// Sessions that are over and kept in the registry's file, at some 500 bytes each. Beyond it the
/// oldest go before their time.
pub const HISTORY_SESSIONS_MAX: u64 = 5_000_000;

/// Milliseconds between two times that sessions which are over are written: what a server that is
/// killed forgets.
pub const HISTORY_TICK_MS: u64 = 5_000;

/// Sessions that are written at once, and twice as many that are taken out: some ten milliseconds
/// of the registry's thread.
pub const HISTORY_AT_ONCE: usize = 1000;

/// Sessions that go on when the server ends, and are written then; of more, nothing is kept.
pub const HISTORY_AT_END_MAX: usize = 50_000;

/// Signals of shared tokens that are listed, the newest.
pub const SHARING_MAX: usize = 1024;

/// Milliseconds in which the same subscriber's sharing is one signal, which is told once.
pub const SHARING_AGAIN_MS: u64 = 600_000;

/// News of sessions from all shards that wait for control. Beyond it a shard keeps its own until
/// there is room.
pub const SESSION_NEWS_MAX: usize = 4096;

/// Milliseconds that the first request of a session waits for control. After it the session is let
/// in, and counted when control speaks again; where a back end is asked, see `HOOK_GRACE_MS`.
pub const SESSION_ASK_MS: u64 = 1_000;

/// Milliseconds that a session goes on without a request, at least; more where three target
/// durations are more.
pub const LEASE_MIN_MS: u64 = 15_000;

/// Milliseconds between two times that control is told which sessions go on.
pub const LEASES_TOLD_MS: u64 = 1_000;

/// Milliseconds that one device goes on with one content beside another before it is at two places.
/// Less is zapping.
pub const CONTENTS_OVERLAP_MS: u64 = 10_000;

/// Milliseconds that one player goes on in one network beside another before it is at two places.
/// Less is a telephone that leaves the Wi-Fi.
pub const NETWORKS_OVERLAP_MS: u64 = 1_000;
const _: () = assert!(NETWORKS_OVERLAP_MS + LEASES_TOLD_MS <= 2_000, "who shares is soon found");

/// How far one device may be behind another that looks alike, in segments, to be told from it: a
/// minute of usual ones. Whoever is farther behind is not seen.
pub const LOOKALIKE_LAG_MAX: usize = 16;

/// Renditions of one session of which that is looked at: pictures and sound, and what players
/// change to. Beyond it the one that was fetched longest ago is forgotten.
pub const LOOKALIKE_RENDITIONS_MAX: usize = 3;

/// Segments that are fetched again before one is new. More is one that catches up, or goes back;
/// and so, for what we see, are more devices than that, each of them another way behind the first.
pub const LOOKALIKE_RUN_MAX: u32 = 6;

/// How many segments one that is fetched again may be before or behind the one that is next, and be
/// taken for it: shards tell of what was fetched within a second, and not in turn.
pub const LOOKALIKE_DISORDER_MAX: u64 = 2;

/// Turns after which two are two, if they took as long as a lease. One that goes back or fetches
/// again what came broken does not do so each time, over so many segments.
pub const LOOKALIKE_TURNS: u32 = 6;

/// Milliseconds that a session of devices that look alike is refused when it is one too many: none
/// of them can be told from the other, so it is both.
pub const LOOKALIKES_REFUSED_MS: u32 = 15_000;

/// Segments of which a shard tells control within a second. Beyond it they are not told, and who
/// looks alike is seen later.
pub const FETCHED_TOLD_MAX: usize = 64 * KIB;

/// Milliseconds after which what was silent begins anew, as far as places are counted.
pub const SILENCE_MS: u64 = 10_000;
const _: () = assert!(SILENCE_MS < LEASE_MIN_MS, "who is silent is not over at once");

/// Milliseconds that a shard refuses a session before it asks again.
pub const SESSION_REFUSED_MS: u32 = 1_000;

/// Milliseconds that what was one too many is let in only where the others have fallen silent.
pub const CONTESTED_MS: u64 = 60_000;

/// Milliseconds that a session that an operator has ended can't be begun again.
pub const KICKED_MS: u32 = 60_000;

/// Sessions that are over and remembered, the newest.
pub const SESSIONS_PAST_MAX: usize = 16 * KIB;

/// Sessions of one subscriber whose places are limited, the shortest zaps included. Beyond it new
/// ones are refused.
pub const SESSIONS_COUNTED_MAX: usize = 128;

/// Sessions of one subscriber whose places are not limited. Beyond it new ones are not listed.
pub const SESSIONS_OF_ONE_MAX: usize = 4 * KIB;

/// Sessions that are over, the newest, among which one that goes on is looked for.
pub const SESSIONS_REVIVED_MAX: usize = 1024;

/// News of sessions that a shard keeps while control takes none. Beyond it new sessions that
/// are limited get 503, and others are not counted.
pub const SESSION_NEWS_KEPT_MAX: usize = 64 * KIB;

/// Leases of a shard. Beyond it, as beyond `SESSION_NEWS_KEPT_MAX`.
pub const LEASES_MAX: usize = MIB;

/// Milliseconds between two looks at sessions that may be over.
pub const SESSIONS_TICK_MS: u64 = 1_000;

/// Leases that a shard remembers before it looks for some that are over.
pub const LEASES_KEPT_MIN: usize = 1024;

/// How much of what a player says of itself is kept with its session, in bytes.
pub const SESSION_AGENT_SIZE_MAX: usize = 128;
