//! What a run has counted: requests, bytes, latencies, and errors by kind.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::response::Malformed;

/// Latencies are kept from 1 µs to 120 s, with three significant digits.
const LATENCY_RANGE: (u64, u64) = (1_000, 120_000_000_000);

/// One way in which a request can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The status was not 2xx.
    Status(u16),
    /// The response could not be read.
    Malformed(Malformed),
    /// The connection ended in the middle of a response.
    Short,
    /// The connection ended before the first byte of a response.
    Unanswered,
    /// The body had another length than the first time.
    LengthChanged,
    /// Bytes came that no request had asked for.
    Unasked,
    /// The peer reset the connection.
    Reset,
    /// The request could not be sent.
    Send,
    /// No connection could be made.
    Connect,
    /// Still no whole response after five seconds, or the whole run if that is shorter.
    Stalled,
}

impl Failure {
    fn name(self) -> String {
        match self {
            Self::Status(status) => format!("status {status}"),
            Self::Malformed(kind) => format!("malformed: {kind:?}"),
            Self::Short => "cut short".to_owned(),
            Self::Unanswered => "closed without an answer".to_owned(),
            Self::LengthChanged => "length changed".to_owned(),
            Self::Unasked => "bytes nobody asked for".to_owned(),
            Self::Reset => "reset by peer".to_owned(),
            Self::Send => "send failed".to_owned(),
            Self::Connect => "connect failed".to_owned(),
            Self::Stalled => "stalled".to_owned(),
        }
    }
}

/// The counts of one run.
#[derive(Clone, Debug)]
pub struct Tally {
    /// Whole, correct responses.
    pub requests: u64,
    /// Bytes of their bodies.
    pub body_bytes: u64,
    /// Connections made anew because the server had ended one properly.
    pub reconnects: u64,
    /// From sending (closed loop) or the intended moment (open loop) to the last byte, in ns.
    pub latencies: Histogram<u64>,
    /// How often each kind of failure was seen.
    pub errors: BTreeMap<String, u64>,
}

impl Tally {
    /// Nothing counted yet.
    pub fn new() -> Self {
        let (low, high) = LATENCY_RANGE;
        let latencies = Histogram::new_with_bounds(low, high, 3)
            .expect("the bounds and digits are constants that the histogram allows");
        Self { requests: 0, body_bytes: 0, reconnects: 0, latencies, errors: BTreeMap::new() }
    }

    /// Counts a whole response.
    pub fn record(&mut self, body_size: u64, latency: u64) {
        self.requests += 1;
        self.body_bytes += body_size;
        self.latencies.saturating_record(latency);
    }

    /// Counts a failure.
    pub fn fail(&mut self, failure: Failure) {
        *self.errors.entry(failure.name()).or_default() += 1;
    }

    /// Counts what another one has counted, latencies left out.
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.body_bytes += other.body_bytes;
        self.reconnects += other.reconnects;
        for (failure, count) in &other.errors {
            *self.errors.entry(failure.clone()).or_default() += count;
        }
    }

    /// The latencies people look at, in microseconds.
    pub fn percentiles(&self) -> Latency {
        let at = |quantile| self.latencies.value_at_quantile(quantile) as f64 / 1e3;
        Latency {
            p50_us: at(0.50),
            p90_us: at(0.90),
            p99_us: at(0.99),
            p999_us: at(0.999),
            max_us: self.latencies.max() as f64 / 1e3,
        }
    }

    /// Every latency that was seen, shortest first, as the histogram tells them apart.
    pub fn distribution(&self) -> Vec<Seen> {
        let recorded = self.latencies.iter_recorded();
        recorded
            .map(|bucket| Seen {
                us: bucket.value_iterated_to() as f64 / 1e3,
                requests: bucket.count_at_value(),
            })
            .collect()
    }
}

/// One bucket of the histogram that is not empty; in JSON the pair `[us, requests]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seen {
    /// Its upper end, in microseconds; buckets are as wide as a thousandth of it, or half a µs.
    pub us: f64,
    /// Requests in it.
    pub requests: u64,
}

impl Serialize for Seen {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.us, self.requests).serialize(serializer)
    }
}

/// Latencies in microseconds; values below 1 µs are not told apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Latency {
    /// Half of the requests were at most this long.
    pub p50_us: f64,
    /// Nine of ten.
    pub p90_us: f64,
    /// 99 of 100.
    pub p99_us: f64,
    /// 999 of 1,000.
    pub p999_us: f64,
    /// The longest.
    pub max_us: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distribution_holds_every_request_once() {
        let mut tally = Tally::new();
        for latency in [2_000, 2_000, 5_000, 900_000, 200_000_000_000] {
            tally.record(1, latency);
        }
        let found = tally.distribution();
        let counts: Vec<_> = found.iter().map(|seen| seen.requests).collect();
        assert_eq!(counts, [2, 1, 1, 1]);
        for (seen, us) in found.iter().zip([2.0, 5.0, 900.0, 120e6]) {
            assert!((us..us * 1.001 + 0.6).contains(&seen.us), "{seen:?} {us}");
        }
        assert_eq!(Tally::new().distribution(), []);
        assert_eq!(serde_json::to_string(&Seen { us: 2.5, requests: 3 }).unwrap(), "[2.5,3]");
    }
}
