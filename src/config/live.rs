//! Limits of live channels: what encoders may send, and how much of it is kept.

use crate::units::{KIB, MIB};

/// Channels that a config file may name. A large operator has some hundreds; more are a script's
/// mistake. Beyond it the config is refused, with the line of the first that is too many.
pub const CHANNELS_MAX: usize = 1000;

/// Channels of the registry that run at once, besides those that wait for a first push. One more
/// does not run, and the log says so.
pub const CHANNELS_MADE_MAX: usize = 16_000;

/// Milliseconds of a channel that its playlists list, where the config says nothing else.
pub const WINDOW_MS: u64 = 60_000;

/// Shortest window, in milliseconds: players start some seconds before the end and must find what
/// they were told of. Below it the config is refused.
pub const WINDOW_MS_MIN: u64 = 10_000;

/// Longest window, in milliseconds. A playlist lists all of it and is read again with every
/// segment; what is older is for catch-up. Beyond it the config is refused.
pub const WINDOW_MS_MAX: u64 = 4 * 3_600_000;
const _: () = assert!(WINDOW_MS_MIN <= WINDOW_MS && WINDOW_MS <= WINDOW_MS_MAX, "it can be set");

/// Shortest and longest segment that a channel may be set to, in milliseconds: a request for each
/// is a cost, and viewers start at its beginning. Outside them the config is refused.
pub const SEGMENT_MS_MIN: u64 = 500;
/// See `SEGMENT_MS_MIN`.
pub const SEGMENT_MS_MAX: u64 = 30_000;

/// Shortest and longest part that a channel may be set to, in milliseconds: some frames at least,
/// and low latency at most. Outside them, or longer than the segment, the config is refused.
pub const PART_MS_MIN: u64 = 100;
/// See `PART_MS_MIN`.
pub const PART_MS_MAX: u64 = 5_000;
const _: () = assert!(PART_MS_MIN <= SEGMENT_MS_MIN, "every segment can have a part");
const _: () = assert!(PART_MS_MAX <= SEGMENT_MS_MAX, "every part can have a segment");

/// Memory that is made at once for the bytes of a live rendition: some seconds of a good picture.
/// Pages that are not written take none.
pub const SLAB_SIZE: u64 = 8 * MIB as u64;

/// Longest segment of a live rendition, in bytes: 10 s at 50 Mb/s. A longer one is refused with
/// 413, and what is published of it stays.
pub const SEGMENT_SIZE_MAX: u64 = 64 * MIB as u64;

/// Bytes of a chunk that is being received. Encoders that send a whole segment as one chunk need as
/// much as that; beyond it the request is refused with 413.
pub const CHUNK_SIZE_MAX: usize = SEGMENT_SIZE_MAX as usize;

/// Bytes of all chunks that are being received. Beyond it a request is refused with 503.
pub const RECEIVING_SIZE_MAX: usize = 512 * MIB;

/// Renditions of one channel. Beyond it a new header is refused with 400.
pub const RENDITIONS_MAX: usize = 64;

/// Longest header of a rendition, in bytes: a moov with many tracks has a few kilobytes. A longer
/// one is refused with 413.
pub const HEADER_SIZE_MAX: usize = 256 * KIB;

/// Chunks of a channel that wait until its lengths are known, in bytes. Beyond it they are dropped,
/// the oldest first.
pub const UNSETTLED_SIZE_MAX: usize = 64 * MIB;
/// The same as a number of chunks: two segments of 10 s in chunks of a picture, a few renditions.
pub const UNSETTLED_CHUNKS_MAX: usize = 8192;

/// Chunks of one segment that are published. One that goes on beyond that, or beyond four times its
/// length and `SEGMENT_UNCUT_MICROS`, is ended there, and the next one begins where decoding can.
pub const SEGMENT_CHUNKS_MAX: u32 = 4096;

/// Segments that may be missing before one that is held until they have come. Encoders have a few
/// connections; where more is missing nothing was sent, and what has come is published at once.
pub const SEGMENTS_AWAITED_MAX: u64 = 3;

/// Chunks of a rendition that wait for what they follow, in bytes. Beyond it what is missing is
/// given up, and the first of them is published.
pub const AWAITING_SIZE_MAX: usize = 64 * MIB;
/// The same as a number of chunks: a few segments of the longest.
pub const AWAITING_CHUNKS_MAX: usize = 8192;

/// Microseconds of a segment that are published in any case, if no chunk comes with which the next
/// one can begin: encoders that were told nothing put up to 250 pictures between two such.
pub const SEGMENT_UNCUT_MICROS: u64 = 12_000_000;

/// Longest segment for which playlists are made that promise as much, in microseconds: four times
/// the longest that can be set. A longer one is a mistake of its encoder, and is only noted.
pub const SEGMENT_PROMISED_MICROS_MAX: u64 = 4 * 1000 * SEGMENT_MS_MAX;

/// How far ahead of our clock media on the epoch's time is taken, in microseconds. What lies beyond
/// it is ignored: once published, everything before it would come too late.
pub const AHEAD_MICROS_MAX: i64 = 60_000_000;

/// Share of the machine's memory that live bytes may take, as one of so many parts. Beyond it what
/// encoders push is refused with 507, and what is published stays.
pub const LIVE_MEMORY_PARTS: u64 = 2;

/// Events of a channel that playlists list: two an advertisement, and one of them every two minutes
/// of the longest window. Beyond it the oldest goes.
pub const EVENTS_MAX: usize = 256;

/// Longest data of an event that is listed, in bytes; splices have a hundred. It is written twice
/// as long into every playlist. Longer ones reach players in the media only.
pub const EVENT_DATA_SIZE_MAX: usize = 1024;

/// Longest scheme and value of an event, in bytes. Longer ones are not looked at.
pub const EVENT_NAME_SIZE_MAX: usize = 256;

/// Kinds of messages in a channel's media that manifests announce. Further ones are not.
pub const EVENT_STREAMS_MAX: usize = 64;

/// Live texts that wait to be gzipped. Beyond it texts are sent as they are.
pub const SQUEEZES_MAX: usize = 1024;

/// Milliseconds that a connection of an encoder may rest between requests: two of the longest
/// segments, and some more.
pub const INGEST_REST_MS: u64 = 75_000;
const _: () = assert!(INGEST_REST_MS > 2 * SEGMENT_MS_MAX, "encoders send a segment a request");

/// Connections of encoders. Beyond it they wait in the listener's queue.
pub const INGEST_CONNECTIONS_MAX: usize = 4096;

/// Milliseconds an encoder may be silent in the middle of a request, where the config says nothing
/// else: the longest segment, since some send nothing before that is whole.
pub const INGEST_IDLE_MS: u64 = 30_000;

/// Largest playlist or manifest that an encoder may push, in bytes. Beyond it: 413.
pub const PUSHED_TEXT_SIZE_MAX: usize = MIB;

/// Shortest and longest silence of an encoder after which a segment is given up, in milliseconds.
/// Outside them the config is refused.
pub const PATIENCE_MS_MIN: u64 = 500;
/// See `PATIENCE_MS_MIN`.
pub const PATIENCE_MS_MAX: u64 = 3_600_000;

/// Shortest and longest time that a channel may be kept, in milliseconds: it is kept by the hour,
/// and all of its record is in memory. Outside them the config is refused.
pub const ARCHIVE_MS_MIN: u64 = 3_600_000;
/// See `ARCHIVE_MS_MIN`.
pub const ARCHIVE_MS_MAX: u64 = 366 * 86_400_000;

/// Milliseconds for which segments gather before they are made durable together: renditions of a
/// channel end a segment at about the same time, and a sync costs a disk as much for one of them as
/// for all. What is lost by a crash has come in the last so many milliseconds, and the sync's.
pub const ARCHIVE_COMMIT_MS: u64 = 200;

/// Threads that write archives, each for its share of the channels: a disk is slow to sync, and not
/// all channels should wait for one that hangs.
pub const ARCHIVE_THREADS: usize = 4;

/// Bytes of segments that wait for one of these threads, and as many segments. Their memory can't
/// be used again until they are written. Beyond either a segment is published and not kept.
pub const ARCHIVE_QUEUE_SIZE_MAX: usize = 256 * MIB;
/// See `ARCHIVE_QUEUE_SIZE_MAX`.
pub const ARCHIVE_QUEUE_MAX: usize = 4096;
const _: () = assert!(ARCHIVE_QUEUE_SIZE_MAX as u64 >= SEGMENT_SIZE_MAX, "any segment can be kept");

/// Size at which chunks of segments under way go into another file, in bytes: some seconds of a
/// channel. A file stays until its segments are whole, so there are about two.
pub const GROWING_FILE_SIZE: usize = if cfg!(test) { 8 * KIB } else { 4 * MIB };

/// Such files of a channel, of which one segment of the longest takes less than all. Beyond it the
/// oldest goes, and what is under way in it is not there after a crash.
pub const GROWING_FILES_MAX: usize = 20;
const _: () = assert!(
    cfg!(test) || (GROWING_FILES_MAX - 2) * GROWING_FILE_SIZE >= SEGMENT_SIZE_MAX as usize,
    "the longest segment has room beside others"
);

/// Bytes of headers of one channel's archive that are kept in memory, where players find them: one
/// has a kilobyte, and stays the same for years. Beyond it the oldest goes, and what needs it can
/// be played no more.
pub const ARCHIVE_HEADERS_SIZE_MAX: u64 = 32 * MIB as u64;
const _: () =
    assert!(ARCHIVE_HEADERS_SIZE_MAX > HEADER_SIZE_MAX as u64 * 64, "the newest have room");

/// Milliseconds after which a disk that refused is tried again at first, and at most: each time it
/// refuses the wait is doubled.
pub const ARCHIVE_RETRY_MS: u64 = 1_000;
/// See `ARCHIVE_RETRY_MS`.
pub const ARCHIVE_RETRY_MS_MAX: u64 = 30_000;

/// Milliseconds that a request waits for what it brought to become durable: a segment that goes on
/// behind it, and a disk that is slow. Beyond it: 507.
pub const ARCHIVE_DEADLINE_MS: u64 = 90_000;
const _: () = assert!(ARCHIVE_DEADLINE_MS > 2 * SEGMENT_MS_MAX, "any segment can become whole");

/// Numbers of segments that are put down as used before they are, for media whose numbers do not
/// follow from its time: after a crash it goes on above them. More would be fewer writes, and a
/// larger jump.
pub const NUMBERS_RESERVED: i64 = 64;
