//! Every knob and every limit: its unit, the reason for its value, what happens at it.
//!
//! Two kinds. *Constants* are properties of the design, and relations between them are asserted at
//! compile time. [`Limits`] and the rest of [`Config`] can be set by an operator, and some are read
//! again on SIGHUP. Reading the file is `config/file.rs`; this page knows no file.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::units::{KIB, MIB};

mod bandwidth;
mod catch_up;
mod app_answers;
mod live;
mod operators;
mod dash;
mod transport;
mod viewers;
mod accounts;
pub mod portal;
mod apps;
pub mod slates;
pub mod foreign;
mod guard;
pub mod guide;
mod outside;
mod sessions;
pub mod values;
mod day;
mod given;
pub mod settings;
pub mod file;
pub mod load;
pub mod shown;
pub mod sources;
mod catalogue;
mod pictures;
mod titles;
pub mod inputs;

pub use accounts::*;
pub use app_answers::*;
pub use apps::*;
pub use bandwidth::*;
pub use catalogue::*;
pub use catch_up::*;
pub use dash::*;
pub use guard::*;
pub use live::*;
pub use operators::*;
pub use outside::*;
pub use pictures::*;
pub use sessions::*;
pub use sources::{Password, Push};
pub use titles::*;
pub use transport::*;
pub use viewers::*;

/// Longest request head we read, in bytes. Players send 400 to 900; tokens add up to 1 KiB.
/// Beyond it the client gets 431 (or 414, if the request line alone is longer) and is closed.
pub const HEAD_SIZE_MAX: usize = 4 * KIB;

/// Most header lines of one request. Browsers send about 20. Beyond it: 431 and close.
pub const HEADER_LINES_MAX: usize = 64;

/// Longest request target, in bytes. Beyond it: 414 and close.
pub const TARGET_SIZE_MAX: usize = 2 * KIB;

/// Size of one receive buffer, in bytes. The kernel fills one at a time of a few hundred.
pub const RECEIVE_BUFFER_SIZE: usize = 4 * KIB;
const _: () = assert!(HEAD_SIZE_MAX <= RECEIVE_BUFFER_SIZE, "a head must fit one receive buffer");

/// Receive buffers of a shard. None outlives a turn, so this bounds the receives of one turn only;
/// when they run out the kernel says ENOBUFS and the receive is armed again.
pub const RECEIVE_BUFFERS: usize = 256;
const _: () = assert!(RECEIVE_BUFFERS.is_power_of_two(), "the kernel masks the ring's index");

/// Largest body that a request may bring, in bytes, and only where control answers. Beyond: 413.
pub const REQUEST_BODY_SIZE_MAX: usize = 64 * KIB;

/// Most bytes of chunk extensions in one request body. Hardly anybody sends one. Beyond it: 413.
pub const CHUNK_EXTENSIONS_SIZE_MAX: usize = KIB;

/// Most ranges answered as multipart/byteranges. Players ask for one; PDF-like readers for a few.
/// Beyond it, or when ranges overlap, the whole object is sent (RFC 9110, 14.2).
pub const RANGES_MAX: usize = 8;

/// Bytes of pipelined requests kept while a response is being sent. At the limit the receive is
/// cancelled, and TCP pushes back.
pub const PIPELINE_SIZE_MAX: usize = 4 * KIB;
const _: () = assert!(PIPELINE_SIZE_MAX >= HEAD_SIZE_MAX, "one whole head must fit");

/// Bytes of one client that may pile up all the same, because a multishot receive goes on until its
/// cancellation is heard, which is with the next turn. Linux hands on 32 buffers of a socket, 128
/// KiB, before others have theirs, and may come back to it in the same turn: so twice that, in
/// which 3,000 requests written in one go find room. Beyond it the client is reset.
pub const FLOOD_SIZE_MAX: usize = 256 * KIB;
const _: () =
    assert!(FLOOD_SIZE_MAX <= RECEIVE_BUFFERS * RECEIVE_BUFFER_SIZE, "a turn brings no more");

/// Bytes of memory of a shard for what came before it could be used, all clients together: parts of
/// heads, and requests behind a response. From half of it on a client that sends ahead of its
/// response, or more than `PIPELINE_SIZE_MAX`, is reset; the other half is for heads that come in
/// pieces, which end in `head_timeout`, and at the limit those clients are reset, too. A head that
/// comes in one piece, as nearly all do, is never kept.
pub const EARLY_SIZE_MAX: usize = 32 * MIB;
const _: () = assert!(EARLY_SIZE_MAX >= 64 * FLOOD_SIZE_MAX, "a few floods leave room for others");

/// Bytes of memory of a shard for bodies of requests while they come, all clients together: as for
/// that many sign-ins as it can ask at once, and then some. A request that would take more gets
/// 503 with Retry-After.
pub const BODIES_SIZE_MAX: usize = 16 * MIB;
const _: () = assert!(BODIES_SIZE_MAX >= 64 * REQUEST_BODY_SIZE_MAX, "a few leave room for others");

/// Largest body that is kept as a prebuilt response in heap memory, in bytes. Measured: below
/// about 32 KiB a copying SEND is cheaper than sendfile with its two calls.
pub const SMALL_BODY_SIZE_MAX: usize = 32 * KIB;

/// Longest response head we write, in bytes. Ours is below 700; the rest is room for the media
/// type and for header lines of control.
pub const RESPONSE_HEAD_SIZE_MAX: usize = 2 * KIB;

/// Most bytes handed to one sendfile call. Measured: 128 KiB costs 35 % more CPU than 2 MiB.
pub const SENDFILE_SIZE_MAX: usize = 2 * MIB;

/// Zero-copy sends of one connection whose bytes the kernel still uses: 32 MiB of a mapping, which
/// a client pins until it has taken them. At the limit the next one waits until one is let go, and
/// who takes nothing is reset for its rate.
pub const ZERO_COPY_SENDS_MAX: u8 = 16;

/// Bytes not yet sent with which a socket still takes more, `TCP_NOTSENT_LOWAT`. A client with a
/// small window costs a packet, in time and memory, for every few bytes of them: 2 MiB took 9 ms.
/// Measured: 256 KiB costs good clients 3 % of their rate at 1 MiB, this nothing.
pub const UNSENT_SIZE_MAX: u32 = MIB as u32;

/// Bytes of bodies sent by direct calls in one turn of a shard, all connections together; the rest
/// waits for the next turn, so that a small request never waits for more than this.
pub const TURN_BYTES_MAX: usize = 2 * MIB;
const _: () = assert!(TURN_BYTES_MAX >= SENDFILE_SIZE_MAX, "one call must fit a turn");

/// Size of one asynchronous read of a cold chunk, in bytes, and the alignment of its start.
pub const COLD_CHUNK_SIZE: usize = 512 * KIB;

/// Cold chunks of one device read at once by a shard. The rest waits in order of arrival.
pub const COLD_READS_MAX: usize = 8;

/// Cold chunks read at once by a shard, of all devices: three that hang leave a fourth its own.
pub const COLD_READS_ALL_MAX: usize = 4 * COLD_READS_MAX;

/// Cold chunks of one device that wait for a read by a shard, at which a new response that needs
/// another one is refused (503 with Retry-After): 256 MiB. A response that is under way can't be
/// refused any more; it waits for one chunk at a time, so there are never more of those than
/// connections.
pub const COLD_QUEUE_MAX: usize = 512;

/// Milliseconds that a response waits for one cold chunk. Linux gives a disk 30 s for a command
/// before it calls it failed, and most players have given up by then. After it the client gets 503
/// with Retry-After, or, if some of the body is out, a reset. The read itself can't be given up:
/// its buffer and the lease on its source stay until it ends.
pub const COLD_DEADLINE_MS: u64 = 30_000;
const _: () = assert!(
    (COLD_QUEUE_MAX * COLD_CHUNK_SIZE) as u64 * 1000 / COLD_DEADLINE_MS <= 20 * MIB as u64,
    "a disk that reads 20 MiB a second empties a full queue before its last place is given up"
);

/// Milliseconds for which a shard believes nothing of what it knew to be in memory, after a cold
/// chunk, or after it was told that pages are dropped. Meanwhile it asks the kernel every time.
pub const DISTRUST_MS: u64 = 10_000;

/// Updates taken from the inbox in one turn of a shard.
pub const UPDATES_A_TURN_MAX: usize = 64;

/// Parked requests released in one turn of a shard: some 15 µs each, and other clients wait for the
/// turn.
pub const RELEASES_A_TURN_MAX: usize = 64;

/// Refusals of subscribers that a shard remembers, some 150 bytes each, and how many of one are
/// told.
pub const REFUSALS_REMEMBERED: usize = 4096;
/// See `REFUSALS_REMEMBERED`.
pub const REFUSALS_TOLD_MAX: usize = 20;

/// Answers that go on are looked at again after so many milliseconds: within a second a viewer
/// whose token or subscription has ended gets nothing more.
pub const REVIEW_MS: u64 = 500;

/// Places of such answers that are looked at in one turn of a shard: some 20 ns each.
pub const REVIEWED_A_TURN_MAX: u32 = 1024;

/// Updates that fit an inbox. Beyond it the sender keeps them, the newest of each path only.
pub const INBOX_UPDATES_MAX: usize = 1024;

/// Milliseconds after which an idle client's receive is replaced by a poll: 241 bytes of kernel
/// memory instead of 875. Shorter would cost busy clients an extra operation a request.
pub const IDLE_POLL_AFTER_MS: u64 = 4_000;

/// Milliseconds after which an idle client may be closed to make room for a new one, at the limit
/// of connections or when descriptors run out: longer than a live player waits between segments.
pub const IDLE_GIVEN_UP_AFTER_MS: u64 = 10_000;
const _: () = assert!(IDLE_GIVEN_UP_AFTER_MS > IDLE_POLL_AFTER_MS, "they are polled by then");

/// Connections that a shard looks at in one turn when it makes room.
pub const IDLE_LOOKS_A_TURN_MAX: usize = 256;
/// Connections that a shard closes in one turn at most to make room. Clients wait for the turn, so
/// the rest is closed in the next ones.
pub const IDLE_CLOSES_A_TURN_MAX: usize = 8;

/// Resolution of deadlines, in milliseconds.
pub const TIMER_TICK_MS: u64 = 100;

/// Milliseconds without a byte after which a connection is closed whose last response was read;
/// what it sends until then is thrown away. Without this wait the kernel would reset, and the
/// response might never be read.
pub const LINGER_MS: u64 = 2_000;

/// Milliseconds after which it is closed although bytes still come, or its last response is not
/// read yet, unless that was read at the least send rate meanwhile.
pub const LINGER_ALL_MS: u64 = 30_000;
const _: () = assert!(LINGER_ALL_MS >= LINGER_MS, "the wait for one byte is a part of it");

/// Bytes thrown away meanwhile. Beyond: closed at once.
pub const LINGER_SIZE_MAX: usize = 256 * KIB;

/// Milliseconds over which a minimum send rate is judged.
pub const SEND_RATE_WINDOW_MS: u64 = 30_000;

/// Most shards. Beyond it the config is refused.
pub const SHARDS_MAX: usize = 512;
const _: () = assert!(SHARDS_MAX <= u16::MAX as usize, "an answer names its shard in 16 bits");

/// Connections that a shard's listener holds before they are accepted. Beyond it the kernel lets
/// clients try again; net.core.somaxconn may make it less.
pub const BACKLOG: i32 = 4096;

/// Milliseconds that a start waits for a port that is taken, and milliseconds between its attempts.
/// Listeners of a process that was killed are there until the kernel has taken its rings apart.
pub const PORT_AWAITED_MS: u64 = 3_000;
/// See `PORT_AWAITED_MS`.
pub const PORT_AGAIN_MS: u64 = 50;

/// Milliseconds of silence after which a client is asked whether it is still there, milliseconds
/// between such keep-alive probes, and how many stay unanswered before the kernel gives it up.
/// Viewers whose network went away without a word are found so; nginx waits for two hours.
pub const KEEPALIVE_AFTER_MS: u64 = 30_000;
/// See `KEEPALIVE_AFTER_MS`.
pub const KEEPALIVE_EVERY_MS: u64 = 10_000;
/// See `KEEPALIVE_AFTER_MS`.
pub const KEEPALIVE_PROBES: u32 = 3;

/// Milliseconds that sent bytes, or probes, may stay unacknowledged (`TCP_USER_TIMEOUT`), and that
/// a client may take nothing at all. Then the kernel gives the connection up, and it is closed.
pub const UNACKNOWLEDGED_MAX_MS: u64 = 60_000;
const _: () = assert!(
    KEEPALIVE_AFTER_MS + KEEPALIVE_EVERY_MS * KEEPALIVE_PROBES as u64 == UNACKNOWLEDGED_MAX_MS,
    "a client that is half open goes after the same time, idle or not"
);

/// Questions from all shards that wait for control. Beyond it a shard answers 503 by itself.
pub const ASKS_MAX: usize = 1024;

/// Messages from all shards that wait for the library.
pub const TO_LIBRARY_MAX: usize = 64 * KIB;

/// Milliseconds before a pack or file is tried again that could not be opened although nothing is
/// proven against it: the disk failed, or no descriptor was left. Soon enough that nobody notices
/// the end of the trouble, and seldom enough that a dying disk is not asked for every request.
/// Until then requests get 503.
pub const OPEN_RETRY_MS: u64 = 1_000;

/// Packs and files of all libraries that are listed. Each costs about half a kilobyte and as much
/// a shard. Beyond it more of them are not served, and the log says so. The library's tests have
/// few inodes.
pub const LISTED_MAX: usize = if cfg!(test) { 12_000 } else { 4 << 20 };

/// Access records that wait for the log's writer. Beyond it they are dropped and counted.
pub const ACCESS_RECORDS_MAX: usize = 16 * KIB;

/// Questions after the health of channels that wait for the live thread. Beyond it whoever asks
/// gets 503.
pub const HEALTH_QUESTIONS_MAX: usize = 16;

/// Longest body of an answer of control, in bytes: a playlist of 50,000 channels. Beyond it the
/// client gets 500, and the log says so.
pub const ANSWER_BODY_SIZE_MAX: usize = 16 * MIB;

/// Longest header lines of an answer, in bytes; the rest of the head is the shard's. Beyond it the
/// client gets 500, and the log says so.
pub const ANSWER_LINES_SIZE_MAX: usize = RESPONSE_HEAD_SIZE_MAX - 512;

/// Answers being made at once. Beyond it questions wait in their queue.
pub const ANSWERS_AT_ONCE_MAX: usize = 64;
const _: () = assert!(ANSWERS_AT_ONCE_MAX <= ASKS_MAX, "what is being made was asked");

/// Milliseconds a shard has to say what it counted. A shard that takes longer is left out of the
/// scrape, and counted as silent.
pub const REPORT_DEADLINE_MS: u64 = 1_000;

/// Milliseconds a request waits for control's answer, or for an object that is expected. After it
/// the client gets 503 with Retry-After.
pub const ASK_DEADLINE_MS: u64 = 10_000;

/// Limits that an operator sets. Each says whether it holds for a shard or for the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Open connections of the machine; a shard gets its even share. At the limit accepting
    /// pauses until idle clients have been closed (see `IDLE_GIVEN_UP_AFTER_MS`) or others have
    /// gone; meanwhile new clients wait in the kernel's queue. 0 = what RLIMIT_NOFILE allows, less
    /// a reserve.
    pub connections: usize,
    /// Open connections of one client address, on one shard. 0 = off: carrier NAT and balancers
    /// look like one address. At the limit a new connection is closed.
    pub connections_per_address: usize,
    /// Milliseconds for a whole request head, from its first byte. Then 408 and close.
    pub head_timeout_ms: u64,
    /// Milliseconds between requests on one connection. Then it is closed.
    pub idle_timeout_ms: u64,
    /// Bytes a second that a client must acknowledge while it is being sent to, averaged over
    /// `SEND_RATE_WINDOW_MS`. Below it the connection is reset. 0 = off.
    pub send_rate_min: u64,
    /// Bytes of hot small bodies and of packs on huge pages, all shards together: half of it for
    /// each of the two. At the limit the least recently used go.
    pub cache_memory: usize,
    /// Whether packs are brought onto huge pages of the page cache, where the file system has
    /// them: sendfile then costs about a seventh less. Off by itself where it gives nothing.
    pub huge_pages: bool,
    /// Bytes a second at which payloads are read in the background to verify their checksums, one
    /// pack at a time, each once a day. 0 = off.
    pub scrub_rate: u64,
    /// Packs and large files open at once, of the machine; a shard gets its even share. At the
    /// limit the least recently used is closed. 0 = what RLIMIT_NOFILE allows.
    pub open_sources: usize,
    /// Bytes of small files of plain folders held in memory, of the machine. At the limit the
    /// least recently used go.
    pub folder_memory: usize,
    /// Bytes of indexes of open packs, of the machine: all shards share one copy of each, about 100
    /// bytes an object. At the limit the least recently used packs are closed, but none in use.
    pub index_memory: usize,
    /// Milliseconds that running transfers may take after SIGTERM. Then they are reset.
    pub drain_timeout_ms: u64,
    /// Milliseconds that an encoder may be silent in the middle of a request. Then it hears 408,
    /// and what was whole of the segment stays.
    pub ingest_idle_ms: u64,
    /// How fast players are sent to.
    pub bandwidth: Bandwidth,
    /// Whether an app that starts a channel as a playlist is redirected to it.
    pub start_redirects: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 0,
            connections_per_address: 0,
            head_timeout_ms: 10_000,
            idle_timeout_ms: 75_000,
            send_rate_min: 16 * KIB as u64,
            cache_memory: 256 * MIB,
            huge_pages: true,
            scrub_rate: 4 * MIB as u64,
            open_sources: 0,
            folder_memory: 256 * MIB,
            index_memory: 512 * MIB,
            drain_timeout_ms: 30_000,
            ingest_idle_ms: INGEST_IDLE_MS,
            bandwidth: Bandwidth::default(),
            start_redirects: false,
        }
    }
}

/// Who may watch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// Only with a token in the path.
    #[default]
    Token,
    /// Anybody.
    Open,
}

/// How large bodies go to the sockets of a listener.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// Non-blocking `sendfile(2)`: no copy on any device, loopback included.
    #[default]
    Sendfile,
    /// SEND_ZC from the mapping; given up by itself when the kernel says that it copied.
    SendZeroCopy,
}

/// A public address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Where.
    pub address: SocketAddr,
    /// How large bodies are sent there.
    pub backend: Backend,
}

/// A folder of packs and of packaged files, or one pack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Library {
    /// Where it is.
    pub path: PathBuf,
    /// Who may watch; the server's if none is said.
    pub access: Option<Access>,
}

/// A live channel that encoders push to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Its name in URLs.
    pub id: String,
    /// Its name for people; the id if none is said.
    pub name: String,
    /// Who may watch; the server's if none is said.
    pub access: Option<Access>,
    /// Milliseconds of it that playlists list.
    pub window_ms: u64,
    /// Milliseconds of a segment; none = learnt from the encoder.
    pub segment_ms: Option<u64>,
    /// Milliseconds of a part, at most a segment's; none = learnt from the encoder.
    pub part_ms: Option<u64>,
    /// Milliseconds of silence after which a segment that did not come is published as a gap;
    /// none = a segment and a half.
    pub patience_ms: Option<u64>,
    /// What is kept beyond the window, if anything is.
    pub archive: Option<Archive>,
    /// Who may push; none = whoever comes from a loopback address.
    pub push: Option<Push>,
    /// What it is made from besides.
    pub sources: sources::Sources,
    /// How it is shown.
    pub shelf: sources::Shelf,
}

/// How a live channel is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archive {
    /// Milliseconds for which a segment stays.
    pub age_ms: u64,
    /// Whether an encoder is told that a segment was taken only when it is durable; else when it is
    /// published.
    pub is_required: bool,
    /// Bytes of the disk that it may take. Beyond it the oldest hours go.
    pub size_max: Option<u64>,
}

/// Shape of access-log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AccessLog {
    /// None.
    #[default]
    Off,
    /// nginx's combined shape.
    Combined,
    /// One JSON object a line.
    Json,
}

/// Shape of the server's own log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    #[default]
    Json,
    /// For people.
    Text,
}

/// Everything an operator can set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Public addresses. Each shard listens on each of them.
    pub listen: Vec<Listen>,
    /// Who is kept out, and who is believed.
    pub guard: Guard,
    /// What is kept of sessions that are over.
    pub sessions: Sessions,
    /// Ingest address, where encoders push; none = nobody pushes.
    pub ingest: Option<SocketAddr>,
    /// Admin address: metrics, health.
    pub admin: Option<SocketAddr>,
    /// Who may come there, and how.
    pub admin_port: AdminPort,
    /// How many shards; 0 = one for each CPU that we may run on.
    pub shards: usize,
    /// Registry, archive, keys.
    pub state: PathBuf,
    /// Who may watch, where a library or a channel says nothing else.
    pub access: Access,
    /// Value of Access-Control-Allow-Origin; empty = no CORS headers.
    pub cors: String,
    /// Shape of the server's own log lines on stderr.
    pub log_format: LogFormat,
    /// What is logged: a level, or `module=level` pairs, as tracing's filters are written.
    pub log_level: String,
    /// Shape of access-log lines.
    pub access_log: AccessLog,
    /// The access log's file; none = stdout.
    pub access_log_path: Option<PathBuf>,
    /// What is served.
    pub libraries: Vec<Library>,
    /// What is live, `CHANNELS_MAX` at most.
    pub channels: Vec<Channel>,
    /// Tokens of others that are taken.
    pub tokens: Vec<foreign::Section>,
    /// Who is asked besides, and where addresses are.
    pub outside: Outside,
    /// How catalogues of the libraries are made.
    pub catalogue: Catalogue,
    /// What viewers see who are refused.
    pub slates: slates::Section,
    /// How guides are taken from elsewhere.
    pub guide: guide::Guide,
    /// What subscribers' apps get.
    pub apps: Apps,
    /// The limits.
    pub limits: Limits,
}

impl Config {
    /// Whether there is anything that only a viewer with a token may have.
    #[must_use]
    pub fn takes_tokens(&self) -> bool {
        let libraries = self.libraries.iter().map(|library| library.access);
        let channels = self.channels.iter().map(|channel| channel.access);
        libraries.chain(channels).any(|access| access.unwrap_or(self.access) == Access::Token)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: vec![Listen {
                address: SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, 8080)),
                backend: Backend::default(),
            }],
            guard: Guard::default(),
            sessions: Sessions::default(),
            ingest: Some(SocketAddr::from(([127, 0, 0, 1], 8082))),
            admin: Some(SocketAddr::from(([127, 0, 0, 1], 8081))),
            admin_port: AdminPort::default(),
            shards: 0,
            state: PathBuf::from("/var/lib/shardcast"),
            access: Access::default(),
            cors: "*".to_owned(),
            log_format: LogFormat::default(),
            log_level: "info".to_owned(),
            access_log: AccessLog::default(),
            access_log_path: None,
            libraries: Vec::new(),
            channels: Vec::new(),
            tokens: Vec::new(),
            outside: Outside::default(),
            catalogue: Catalogue::default(),
            slates: slates::Section::default(),
            guide: guide::Guide::default(),
            apps: Apps::default(),
            limits: Limits::default(),
        }
    }
}
