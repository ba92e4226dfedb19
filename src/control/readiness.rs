//! How far the server is: what `/readyz` says, and the only value that main and control share.

use std::sync::atomic::{AtomicU8, Ordering};

/// How far the server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Stage {
    /// Libraries are being read.
    Starting,
    /// Everything that was found can be served.
    Ready,
    /// Running transfers are being finished, new clients are not wanted.
    Draining,
}

/// The stage, as all threads see it.
#[derive(Debug)]
pub struct Readiness(AtomicU8);

impl Default for Readiness {
    fn default() -> Self {
        Self(AtomicU8::new(Stage::Starting as u8))
    }
}

impl Readiness {
    /// The stage now.
    #[must_use]
    pub fn stage(&self) -> Stage {
        match self.0.load(Ordering::Acquire) {
            0 => Stage::Starting,
            1 => Stage::Ready,
            _ => Stage::Draining,
        }
    }

    /// Moves to a stage. Nothing leads back from draining.
    pub fn become_stage(&self, stage: Stage) {
        self.0.fetch_max(stage as u8, Ordering::AcqRel);
    }
}
