//! What was sent, what was refused, and how punctual the feeder was.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;

use super::fault::Fault;
use super::plan::Manner;

/// Kinds of trouble that are told at once; the rest is only counted.
const NOTES_MAX: usize = 20;

/// Above this share of sends that were late by more than a chunk, the run says nothing.
const LATE_SHARE_MAX: f64 = 0.01;

/// The counts of all streams.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Tally {
    /// Chunks that were sent, again or not.
    pub chunks: u64,
    /// Segments that were sent and taken, without duplicates.
    pub segments: u64,
    /// Bytes of media and headers, without the framing of HTTP.
    pub bytes: u64,
    /// Requests that were refused, by status.
    pub refusals: BTreeMap<u16, u64>,
    /// Connections that broke, could not be made, or did not answer.
    pub cuts: u64,
    /// Segments that were taken only when they were sent once more, after a cut or a refusal.
    pub resent_segments: u64,
    /// Segments that were given up.
    pub skipped_segments: u64,
    /// Faults on command, by name.
    pub faults: BTreeMap<&'static str, u64>,
    /// Chunks of which it was measured how late they were.
    pub timed_sends: u64,
    /// Of them, those that the feeder sent later than a chunk lasts.
    pub late_sends: u64,
    /// The latest, in ms.
    pub worst_lateness_ms: f64,
    /// Longest that a chunk had to wait because the server had not taken or answered what came
    /// before it, in ms.
    pub worst_wait_for_server_ms: f64,
    #[serde(skip)]
    noted: BTreeSet<String>,
    #[serde(skip)]
    notes: Vec<String>,
}

impl Tally {
    /// A chunk was sent `lateness` after it was due; `chunk` is how long it lasts, in our time.
    pub fn sent_late(&mut self, lateness: Duration, chunk: Duration, waited_for_server: bool) {
        let ms = lateness.as_secs_f64() * 1e3;
        self.timed_sends += 1;
        if waited_for_server {
            self.worst_wait_for_server_ms = self.worst_wait_for_server_ms.max(ms);
            return;
        }
        self.worst_lateness_ms = self.worst_lateness_ms.max(ms);
        self.late_sends += u64::from(lateness > chunk);
    }

    /// A segment was taken.
    pub fn taken(&mut self, manner: Manner) {
        match manner {
            Manner::Live => self.segments += 1,
            Manner::Late => {
                self.segments += 1;
                self.fault(Fault::Late);
            }
            Manner::Again => self.fault(Fault::Duplicate),
            Manner::Other => self.fault(Fault::Other),
        }
    }

    /// A fault was done.
    pub fn fault(&mut self, fault: Fault) {
        *self.faults.entry(fault.name()).or_default() += 1;
    }

    /// A request was refused.
    pub fn refused(&mut self, status: u16, what: &str) {
        *self.refusals.entry(status).or_default() += 1;
        self.note(&status.to_string(), format!("{what}: status {status}"));
    }

    /// A connection was lost.
    pub fn cut(&mut self, reason: &str, what: &str) {
        self.cuts += 1;
        self.note(reason, format!("{what}: {reason}"));
    }

    /// What has not been told yet.
    pub fn notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// Whether the feeder itself was too slow for its own timetable.
    pub fn was_late(&self) -> bool {
        self.late_sends as f64 > self.timed_sends as f64 * LATE_SHARE_MAX
    }

    fn note(&mut self, kind: &str, text: String) {
        if self.noted.len() < NOTES_MAX && self.noted.insert(kind.to_owned()) {
            self.notes.push(format!("{text} (more of these are only counted)"));
        }
    }
}
