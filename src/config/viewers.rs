//! Limits of viewers' tokens and of the registry. They are constants like those of `config.rs`.

use super::{LEASE_MIN_MS, LEASES_TOLD_MS, SILENCE_MS, TARGET_SIZE_MAX};
use crate::units::MIB;

/// Longest token, in characters. One without patterns has 46 to 80; one that came of a CDN's token
/// carries its paths. Longer ones are not made, and are unknown where they come.
pub const TOKEN_SIZE_MAX: usize = 512;
const _: () = assert!(TOKEN_SIZE_MAX * 4 <= TARGET_SIZE_MAX, "most of a target is its path");

/// The same in bytes: base64 takes four characters for three.
pub const TOKEN_BYTES_MAX: usize = TOKEN_SIZE_MAX / 4 * 3;
const _: () = assert!(TOKEN_SIZE_MAX.is_multiple_of(4), "the sizes are those of one text");

/// How long a token is good at most, in seconds: a day. What a viewer may have is looked at with
/// each request; a player that plays through the night rarely comes back from a refusal.
pub const TOKEN_SECONDS_MAX: u32 = 86_400;

/// How many of the times at which control is told of sessions pass before it is told of one again
/// beside which there is room: that it goes on is all that matters of it then.
pub const LEASES_TOLD_SELDOM: u32 = 4;
const _: () = assert!(
    LEASES_TOLD_SELDOM as u64 * LEASES_TOLD_MS + LEASE_MIN_MS / 3 < SILENCE_MS,
    "who fetches once a target duration is never silent"
);

/// Patterns of one token. What is beyond is refused when it is made.
pub const TOKEN_PATTERNS_MAX: usize = 16;

/// Jobs that wait for the registry's thread. Beyond it who asks is told 503: a disk that takes
/// longer than a thousand writes do helps nobody by taking more of them.
pub const REGISTRY_JOBS_MAX: usize = 1024;

/// Longest id of an object of the registry, and longest user name, in bytes. Longer ones are
/// refused.
pub const OBJECT_ID_MAX: usize = 128;

/// Longest path of an asset that something is said of, in bytes: some folders deep, and in any
/// language. Longer ones are refused.
pub const ASSET_PATH_SIZE_MAX: usize = 512;

/// Longest text of a document, in bytes: a paragraph of notes. Longer ones are refused.
pub const DOCUMENT_TEXT_MAX: usize = 1024;

/// Most entries of a list in a document: a bouquet of everything. Longer ones are refused.
pub const DOCUMENT_LIST_MAX: usize = 100_000;

/// Entries of a list of the API, unless more are asked for.
pub const LIST_ENTRIES: usize = 100;

/// Most entries of a list of the API; who asks for more gets so many.
pub const LIST_ENTRIES_MAX: usize = 1000;

/// Entries of the audit log that are looked at for one page of those that were asked for: some ten
/// milliseconds of the registry's thread. Beyond it the page ends, and says where to go on.
pub const AUDIT_ENTRIES_EXAMINED: u64 = 100_000;

/// How often the newest entry of the audit log is written to the server's log, in seconds: entries
/// that are taken off its end later are missed by whoever has that line.
pub const AUDIT_HEAD_SECONDS: u64 = 3600;

/// Longest `Idempotency-Key`, in characters: seven UUIDs. Longer ones are refused (400).
pub const IDEMPOTENCY_KEY_SIZE_MAX: usize = 255;

/// How long an answer is remembered for whoever asks again with the same key, in seconds: a day, in
/// which somebody looks after a script that failed. Then the key is as good as new.
pub const IDEMPOTENCY_SECONDS: u64 = 86_400;

/// Most keys that are remembered, of everybody. One more is 503 until others are a day old;
/// requests without a key are answered.
pub const IDEMPOTENCY_KEYS_MAX: usize = 100_000;

/// Most bytes of all that they made. Beyond it: as above.
pub const IDEMPOTENCY_KEYS_SIZE_MAX: usize = 256 * MIB;

/// Largest body of a request of an operator, in bytes: a bouquet of 100,000 entries. Beyond: 413.
pub const OPERATOR_BODY_SIZE_MAX: usize = 16 * MIB;

/// Longest wait for a change of the registry, in seconds: less than the 30 s after which many
/// clients and proxies give up. Who asks for more waits so long.
pub const FEED_WAIT_SECONDS_MAX: u64 = 25;

/// Changes of the registry that are read at once to follow it: a few megabytes of documents.
pub const FOLLOWED_AT_ONCE: usize = 10_000;

/// Tokens that a shard knows again without verifying them, once any came: about 600 KiB. What has
/// no place is verified each time, which costs it some hundred nanoseconds.
pub const RECENT_TOKENS: usize = 4096;

/// Texts of one playlist or manifest, beside the whole one, for caps of a plan's bit rate: most
/// channels have as many renditions or fewer. Of those that have more, caps between two of them get
/// the lower one.
pub const VARIANT_SETS_MAX: usize = 16;

/// Files that a packaged rendition may have which has no folder of its own: four hours of segments
/// of 2 s. Beyond it they are nobody's, and no cap holds for them.
pub const RENDITION_FILES_MAX: usize = 8192;

/// Texts of a pack that are read for what caps leave of it, when it is opened, and the longest of
/// them, in bytes. Beyond it the whole pack is everybody's.
pub const PACK_TEXTS_MAX: usize = 256;
/// See `PACK_TEXTS_MAX`.
pub const PACK_TEXT_SIZE_MAX: u64 = MIB as u64;

/// How much older than a plan's catch-up a segment may be, in seconds: who begins in time may pause
/// for an hour. Beyond it the segment is refused as what lies further back is.
pub const CATCH_UP_PAUSE_SECONDS: u64 = 3600;

/// Sessions of tokens that are revoked at a time: some 3 MiB, which all shards share. One more is
/// refused (409) until others have ended; `key rotate`, twice, makes every token void.
pub const REVOCATIONS_MAX: usize = 100_000;

/// How long what was exchanged for a token of somebody else stays revoked, in seconds: that token
/// may be good for longer than any of ours. If it is shown meanwhile, it stays so until it expires.
pub const REVOKED_EXCHANGED_SECONDS: u64 = 30 * TOKEN_SECONDS_MAX as u64;

/// How long anything stays revoked at most, in seconds: what says nothing of its end is revoked for
/// so long each time it is shown.
pub const REVOKED_SECONDS_MAX: u64 = 366 * TOKEN_SECONDS_MAX as u64;

/// How long a revocation is kept after the last of its tokens has expired, in seconds: a clock that
/// went ahead by a day and came back makes nothing good again.
pub const REVOKED_KEPT_SECONDS: u64 = TOKEN_SECONDS_MAX as u64;

/// Milliseconds between two looks at revocations that may go.
pub const REVOCATIONS_TICK_MS: u64 = 30_000;

/// Revocations that go at once: one transaction of some ten milliseconds.
pub const REVOCATIONS_AT_ONCE: usize = 1000;
