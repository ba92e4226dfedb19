//! Limits of continuous transport streams. They are constants like those of `config.rs`.

/// Pieces that are kept of a stream without an end. A piece is a part, or what is left of a segment
/// behind its last whole one, so this is 20 to 30 s: less than a channel's window, whose segments
/// are the same bytes. At the limit the oldest goes; a response in the middle of it is reset.
pub const STREAM_PIECES_MAX: usize = 64;

/// How many pieces a viewer of such a stream may be behind. Beyond it, the response goes on at the
/// newest entry, as soon as the piece under way is sent.
pub const STREAM_PIECES_BEHIND_MAX: usize = 40;
const _: () = assert!(
    STREAM_PIECES_BEHIND_MAX < STREAM_PIECES_MAX,
    "whoever is moved must be able to end a piece before"
);

/// Messages of all shards that wait for the live thread. A shard whose client wants what is made on
/// demand, and finds no room, answers 503; a text that somebody would take gzipped stays as it is.
pub const TO_LIVE_MAX: usize = 1024;

/// How often shards are asked whether anybody watches a transport stream that is made on demand, in
/// milliseconds: several times before it is given up.
pub const REMUX_ASK_MS: u64 = 10_000;

/// How long a transport stream is made that nobody watches, in milliseconds. A player that was cut
/// off comes back within that, and one of HLS asks every few seconds.
pub const REMUX_IDLE_MS: u64 = 60_000;
const _: () = assert!(REMUX_ASK_MS * 3 <= REMUX_IDLE_MS, "an answer may come late");

/// How long nothing is made after it failed, in milliseconds: longer each time, up to a limit.
pub const REMUX_PAUSE_MS: u64 = 1000;
/// See [`REMUX_PAUSE_MS`].
pub const REMUX_PAUSE_MS_MAX: u64 = 60_000;
