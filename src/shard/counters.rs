//! What a shard counts: plain integers that only its own thread touches.

use hdrhistogram::Histogram;

use crate::request::refusal::Refusal;
use crate::units::Class;

/// Status codes we send, with a place each; anything else counts under 0.
const STATUSES: [u16; 22] = [
    200, 204, 206, 302, 304, 400, 401, 403, 404, 405, 408, 409, 412, 413, 414, 416, 417, 429, 431,
    501, 503, 505,
];

/// Longest latency that is told apart, in nanoseconds: a minute.
const LATENCY_MAX: u64 = 60_000_000_000;

/// The counters of one shard; `messages::ShardReport` says what each means.
#[derive(Debug)]
pub struct Counters {
    requests: [[u64; STATUSES.len() + 1]; Class::ALL.len()],
    refusals: [u64; Refusal::ALL.len()],
    latency: [Histogram<u64>; Class::ALL.len()],
    pub(super) sent_bytes: u64,
    pub(super) body_copied_bytes: u64,
    pub(super) connections_total: u64,
    pub(super) ring_enters: u64,
    pub(super) ring_completions: u64,
    pub(super) access_dropped: u64,
    pub(super) faults: u64,
    pub(super) paces_set: u64,
}

impl Counters {
    pub(super) fn new() -> Self {
        Self {
            requests: [[0; STATUSES.len() + 1]; Class::ALL.len()],
            refusals: [0; Refusal::ALL.len()],
            latency: std::array::from_fn(|_| {
                Histogram::new_with_bounds(1_000, LATENCY_MAX, 2).expect("the bounds are valid")
            }),
            sent_bytes: 0,
            body_copied_bytes: 0,
            connections_total: 0,
            ring_enters: 0,
            ring_completions: 0,
            access_dropped: 0,
            faults: 0,
            paces_set: 0,
        }
    }

    /// A response was handed to the kernel whole.
    pub(super) fn finished(&mut self, class: Class, status: u16, nanos: u64) {
        let place = STATUSES.iter().position(|&known| known == status).unwrap_or(STATUSES.len());
        self.requests[class as usize][place] += 1;
        self.latency[class as usize].saturating_record(nanos);
    }

    pub(super) fn refused(&mut self, refusal: Refusal) {
        let place = Refusal::ALL.iter().position(|&known| known == refusal);
        self.refusals[place.expect("ALL has every refusal")] += 1;
    }

    pub(super) fn requests(&self) -> Vec<(Class, u16, u64)> {
        let mut counts = Vec::new();
        for (class, row) in Class::ALL.into_iter().zip(&self.requests) {
            for (place, &count) in row.iter().enumerate() {
                if count > 0 {
                    counts.push((class, STATUSES.get(place).copied().unwrap_or(0), count));
                }
            }
        }
        counts
    }

    pub(super) fn refusals(&self) -> Vec<(&'static str, u64)> {
        Refusal::ALL.into_iter().map(Refusal::reason).zip(self.refusals).collect()
    }

    pub(super) fn latency(&self) -> Vec<(Class, Histogram<u64>)> {
        Class::ALL.into_iter().zip(self.latency.iter().cloned()).collect()
    }
}
