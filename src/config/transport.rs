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
