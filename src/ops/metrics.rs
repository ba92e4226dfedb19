//! Reports of all shards as Prometheus text, each name once, no label without bounds.
//!
//! Names are a contract with dashboards: they are added to, not changed. Those of parts that this
//! version lacks stand at 0, so that an alert on them is written once.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use hdrhistogram::Histogram;

use crate::config::Backend;
use crate::messages::ShardReport;
use crate::units::Class;

use super::access_log::Counters;
use super::scrape::Reports;
use super::{machine, version};

mod exposition;
mod hook;
mod players;
mod process;

use exposition::{Exposition, Kind};

pub use hook::Asked;

/// Upper bounds of the latency buckets, in nanoseconds: 50 µs to 60 s.
const REQUEST_BOUNDS: &[u64] = &[
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
    30_000_000_000,
    60_000_000_000,
];

/// The same for publishing a live chunk: 0.1 ms to 10 s.
const PUBLISH_BOUNDS: &[u64] = &[
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    500_000_000,
    1_000_000_000,
    10_000_000_000,
];

/// What encoders pushed.
#[derive(Debug, Default)]
pub struct Pushed {
    /// Channel, what came of chunks, and how many.
    pub objects: Vec<(String, &'static str, u64)>,
    /// Channel, and how often a transport stream began to be made of it.
    pub remuxes: Vec<(String, u64)>,
    /// How long publishing took, in nanoseconds; none where there is nothing live.
    pub times: Option<Histogram<u64>>,
    /// What is kept of channels that have archives.
    pub kept: Vec<Kept>,
    /// What ffmpeg reads: channels with whether media comes, which input it comes from, and how
    /// often one was begun with.
    pub inputs: Vec<(String, [u64; 3])>,
}

/// What control counts for all shards.
#[derive(Debug, Default)]
pub struct Viewers {
    /// Sessions.
    pub sessions: usize,
    /// Times that one token was used in several networks at once.
    pub sharing: u64,
    /// Bits a second that the machine sends, and whether that is as much as it may; none where
    /// nothing bounds it.
    pub sent: Option<(u64, bool)>,
    /// What became of questions to an operator's back end; none where there is none.
    pub asked: Option<Asked>,
}

/// The body of `/metrics`.
#[must_use]
pub fn text(
    scrape: &Reports,
    log: Option<&Counters>,
    pushed: &Pushed,
    (ready, viewers): (bool, &Viewers),
) -> String {
    let mut out = Exposition::default();
    build(&mut out);
    requests(&mut out, &scrape.reports);
    shards(&mut out, scrape);
    live(&mut out, pushed);
    archives(&mut out, &pushed.kept);
    inputs(&mut out, &pushed.inputs);
    access_log(&mut out, &scrape.reports, log);
    out.family("shardcast_sessions", Kind::Gauge, "Sessions of viewers with tokens.");
    out.sample("shardcast_sessions", &[], viewers.sessions as u64);
    let name = "shardcast_sharing_total";
    out.family(name, Kind::Counter, "Times that one token was used in several networks at once.");
    out.sample(name, &[], viewers.sharing);
    players::append(&mut out, &scrape.reports, viewers.sent);
    hook::append(&mut out, viewers.asked.as_ref());
    out.family("shardcast_ready", Kind::Gauge, "1 if everything that was found can be served.");
    out.sample("shardcast_ready", &[], u64::from(ready));
    process::append(&mut out);
    out.text()
}

fn build(out: &mut Exposition) {
    let name = "shardcast_build_info";
    out.family(name, Kind::Gauge, "Always 1; the labels say what runs, and on what.");
    let kernel = machine::kernel_release();
    let switched_off = std::env::var("SHARDCAST_RING_FEATURES").unwrap_or_default();
    let labels = [
        ("version", version::VERSION),
        ("revision", version::REVISION),
        ("kernel", &kernel),
        ("ring_features", &switched_off),
    ];
    out.sample(name, &labels, 1);
}

/// Adds up what shards counted under the same labels.
fn summed<K: Ord>(counts: impl Iterator<Item = (K, u64)>) -> BTreeMap<K, u64> {
    let mut sums = BTreeMap::new();
    for (key, count) in counts {
        *sums.entry(key).or_insert(0) += count;
    }
    sums
}

fn requests(out: &mut Exposition, reports: &[ShardReport]) {
    let name = "shardcast_requests_total";
    out.family(name, Kind::Counter, "Finished responses by class of object and status.");
    let counts = reports.iter().flat_map(|report| &report.requests);
    let sums = summed(counts.map(|(class, status, count)| ((class.label(), *status), *count)));
    for ((class, status), count) in sums {
        out.sample(name, &[("class", class), ("status", &status.to_string())], count);
    }

    let name = "shardcast_refusals_total";
    out.family(name, Kind::Counter, "Refused requests by reason.");
    let counts = reports.iter().flat_map(|report| report.refusals.iter().copied());
    for (reason, count) in summed(counts) {
        out.sample(name, &[("reason", reason)], count);
    }

    let name = "shardcast_request_seconds";
    let help = "Time from the end of a request's head to the last byte handed to the kernel.";
    out.family(name, Kind::Histogram, help);
    for class in Class::ALL {
        let mut buckets = exposition::Buckets::new(REQUEST_BOUNDS);
        let of_class = reports.iter().flat_map(|report| &report.latency);
        for (_, histogram) in of_class.filter(|(of, _)| *of == class) {
            fill(&mut buckets, histogram);
        }
        out.histogram(name, &[("class", class.label())], &buckets);
    }
}

fn fill(buckets: &mut exposition::Buckets, histogram: &Histogram<u64>) {
    for value in histogram.iter_recorded() {
        let nanos = histogram.median_equivalent(value.value_iterated_to());
        buckets.add(nanos, value.count_since_last_iteration());
    }
}

/// Name, kind, help, and where a report has it.
type Sum = (&'static str, Kind, &'static str, fn(&ShardReport) -> u64);

/// What is one number of each shard, added up.
const SUMS: &[Sum] = &[
    (
        "shardcast_sent_bytes_total",
        Kind::Counter,
        "Bytes handed to sockets, heads included.",
        |report| report.sent_bytes,
    ),
    (
        "shardcast_body_copied_bytes_total",
        Kind::Counter,
        "Bytes of bodies that were copied from user memory on their way.",
        |report| report.body_copied_bytes,
    ),
    ("shardcast_connections", Kind::Gauge, "Open connections.", |report| report.connections),
    ("shardcast_connections_total", Kind::Counter, "Accepted connections.", |report| {
        report.connections_total
    }),
    ("shardcast_ring_enters_total", Kind::Counter, "Calls of io_uring_enter.", |report| {
        report.ring_enters
    }),
    ("shardcast_ring_completions_total", Kind::Counter, "Completions reaped.", |report| {
        report.ring_completions
    }),
    (
        "shardcast_cold_reads_total",
        Kind::Counter,
        "Chunks read because they were not in the page cache.",
        |report| report.cold_reads,
    ),
    (
        "shardcast_parked_requests",
        Kind::Gauge,
        "Requests that wait for an object or an answer.",
        |report| report.parked,
    ),
    ("shardcast_cache_bytes", Kind::Gauge, "Bytes of prebuilt responses held.", |report| {
        report.cache_bytes
    }),
    (
        "shardcast_payload_faults_total",
        Kind::Counter,
        "Bodies broken off because their file was cut short or could not be read.",
        |report| report.faults,
    ),
];

fn shards(out: &mut Exposition, scrape: &Reports) {
    for (name, kind, help, of) in SUMS {
        out.family(name, *kind, help);
        out.sample(name, &[], scrape.reports.iter().map(of).sum());
    }

    let name = "shardcast_send_backend";
    out.family(name, Kind::Gauge, "Listeners by how they send large bodies, all shards together.");
    let known = [Backend::Sendfile, Backend::SendZeroCopy];
    let counts = scrape.reports.iter().flat_map(|report| report.backends.iter().copied());
    for (backend, count) in summed(known.iter().map(|known| (known.word(), 0)).chain(counts)) {
        out.sample(name, &[("backend", backend)], count);
    }

    out.family("shardcast_shards", Kind::Gauge, "Shards.");
    out.sample("shardcast_shards", &[], scrape.shards as u64);
    let name = "shardcast_shards_silent";
    out.family(
        name,
        Kind::Gauge,
        "Shards that did not answer this scrape in time; they count with what they said last.",
    );
    out.sample(name, &[], scrape.silent as u64);
}

/// What is kept of a live channel.
#[derive(Clone, Debug)]
pub struct Kept {
    /// The channel's id.
    pub channel: String,
    /// Segments, by what came of them.
    pub segments: [(&'static str, u64); 3],
    /// Bytes on disk.
    pub bytes: u64,
}

/// The lines of archives; none where nothing is kept.
fn archives(out: &mut Exposition, kept: &[Kept]) {
    if kept.is_empty() {
        return;
    }
    let name = "shardcast_archive_segments_total";
    let help = "Segments for the archives: durable, refused by the disk, dropped because it was \
                behind.";
    out.family(name, Kind::Counter, help);
    for one in kept {
        for (result, count) in one.segments {
            out.sample(name, &[("channel", &one.channel), ("result", result)], count);
        }
    }
    let name = "shardcast_archive_bytes";
    out.family(name, Kind::Gauge, "Bytes of archives on disk.");
    for one in kept {
        out.sample(name, &[("channel", &one.channel)], one.bytes);
    }
}

/// The lines of inputs; none where nothing is read.
fn inputs(out: &mut Exposition, channels: &[(String, [u64; 3])]) {
    if channels.is_empty() {
        return;
    }
    let families = [
        ("shardcast_input_up", Kind::Gauge, "Whether media comes from an input of the channel."),
        ("shardcast_input_number", Kind::Gauge, "Which input is read: 0 is the first."),
        ("shardcast_input_starts_total", Kind::Counter, "How often an input was begun with."),
    ];
    for (at, (name, kind, help)) in families.into_iter().enumerate() {
        out.family(name, kind, help);
        for (channel, figures) in channels {
            out.sample(name, &[("channel", channel)], figures[at]);
        }
    }
}

/// What is live. Names of parts that this version lacks stand at 0.
fn live(out: &mut Exposition, pushed: &Pushed) {
    let name = "shardcast_live_publish_seconds";
    let help = "Time from a live chunk's last byte until the shards were told of it.";
    out.family(name, Kind::Histogram, help);
    let mut buckets = exposition::Buckets::new(PUBLISH_BOUNDS);
    pushed.times.iter().for_each(|times| fill(&mut buckets, times));
    out.histogram(name, &[], &buckets);
    let name = "shardcast_ingest_objects_total";
    out.family(name, Kind::Counter, "Chunks that encoders pushed, by what came of them.");
    for (channel, result, count) in &pushed.objects {
        out.sample(name, &[("channel", channel), ("result", result)], *count);
    }
    let name = "shardcast_remuxes_total";
    let help = "Times that a transport stream began to be made of a channel, for all who watch it.";
    out.family(name, Kind::Counter, help);
    for (channel, count) in &pushed.remuxes {
        out.sample(name, &[("channel", channel)], *count);
    }
}

fn access_log(out: &mut Exposition, reports: &[ShardReport], log: Option<&Counters>) {
    let name = "shardcast_access_log_lines_total";
    let help = "Lines of the access log: written, lost by the disk, dropped because it was behind.";
    out.family(name, Kind::Counter, help);
    let count = |of: fn(&Counters) -> u64| log.map_or(0, of);
    for (result, count) in [
        ("written", count(|log| log.written.load(Ordering::Relaxed))),
        ("lost", count(|log| log.lost.load(Ordering::Relaxed))),
        ("dropped", reports.iter().map(|report| report.access_dropped).sum()),
    ] {
        out.sample(name, &[("result", result)], count);
    }
}

#[cfg(test)]
mod tests;
