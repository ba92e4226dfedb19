//! What a shard counted, and the line it writes of a request: plain values, copied out on demand.

use hdrhistogram::Histogram;

use crate::units::{Class, UnixTime};

/// Everything a shard counts. Plain integers: only the shard's own thread writes them, and a
/// scrape gets a copy by message.
#[derive(Clone, Debug)]
pub struct ShardReport {
    /// The shard's number.
    pub shard: u16,
    /// Finished responses by class and status code.
    pub requests: Vec<(Class, u16, u64)>,
    /// Refusals by reason.
    pub refusals: Vec<(&'static str, u64)>,
    /// Nanoseconds from the end of a head to the last byte handed to the kernel, by class.
    pub latency: Vec<(Class, Histogram<u64>)>,
    /// Bytes handed to sockets, heads included.
    pub sent_bytes: u64,
    /// Bytes of bodies that were copied from user memory on their way.
    pub body_copied_bytes: u64,
    /// Open connections.
    pub connections: u64,
    /// Accepted connections.
    pub connections_total: u64,
    /// Calls of `io_uring_enter`.
    pub ring_enters: u64,
    /// Completions reaped.
    pub ring_completions: u64,
    /// Reads of cold chunks.
    pub cold_reads: u64,
    /// Requests waiting for an Update.
    pub parked: u64,
    /// Listeners by how they send large bodies.
    pub backends: Vec<(&'static str, u64)>,
    /// Bytes of prebuilt responses held.
    pub cache_bytes: u64,
    /// Access records dropped because the log writer was behind.
    pub access_dropped: u64,
    /// Faults of payloads seen.
    pub faults: u64,
    /// Requests with which players told of themselves, by what they asked for,
    pub told: Vec<(&'static str, u64)>,
    /// that the player had stalled,
    pub stalls: u64,
    /// that it starts,
    pub starts: u64,
    /// and parts of what they told that were not understood.
    pub malformed: u64,
    /// How often the rate of a connection was set.
    pub paces_set: u64,
}

/// One request, for the access log. Written off the shards.
#[derive(Clone, Debug)]
pub struct AccessRecord {
    /// When the head was complete.
    pub at: UnixTime,
    /// The client's address.
    pub peer: Option<std::net::IpAddr>,
    /// The head, as received; the writer escapes and redacts it.
    pub head: Box<[u8]>,
    /// The status that was sent.
    pub status: u16,
    /// Body bytes that were handed to the kernel.
    pub body_bytes: u64,
    /// Nanoseconds from head to last byte.
    pub nanos: u64,
    /// Whether the response was cut off.
    pub aborted: bool,
}
