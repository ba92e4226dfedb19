//! How the child of a channel is, for people and for metrics.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde::Serialize;
use utoipa::ToSchema;

/// How a channel's inputs are.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ChildHealth {
    /// `resting`, `waiting`, `starting`, `running` or `ending`.
    pub state: &'static str,
    /// `always` or `on-demand`.
    pub start: &'static str,
    /// Which input is read, or is next: 0 is the first.
    pub input: usize,
    /// Where they are, without what is secret.
    pub inputs: Vec<String>,
    /// The process that reads it.
    pub pid: Option<u32>,
    /// How long it has run, in milliseconds.
    pub running_ms: Option<u64>,
    /// Milliseconds until it is begun again.
    pub again_ms: Option<u64>,
    /// How often one was begun with.
    pub starts: u64,
    /// How the last one ended.
    pub last_exit: Option<Exit>,
    /// What they said last.
    pub lines: Vec<String>,
}

/// The end of a process.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Exit {
    /// Milliseconds of Unix time.
    pub unix_ms: i64,
    /// Which input it read.
    pub input: usize,
    /// How it ended, and what it said last.
    pub what: String,
}

/// The same as numbers. The live thread writes them, and a scrape reads.
#[derive(Debug, Default)]
pub struct Figures {
    /// Whether media comes.
    pub is_up: AtomicBool,
    /// Which input is read.
    pub input: AtomicU64,
    /// How often one was begun with.
    pub starts: AtomicU64,
}

impl Figures {
    /// Whether media comes, which input is read, how often one was begun with.
    #[must_use]
    pub fn read(&self) -> [u64; 3] {
        let count = |one: &AtomicU64| one.load(Ordering::Relaxed);
        [u64::from(self.is_up.load(Ordering::Relaxed)), count(&self.input), count(&self.starts)]
    }
}
