//! When media is that is not on the epoch's own time.

use super::is_epoch;
use crate::live::cut::Timed;
use crate::live::pushed::Dated;
use crate::live::stretches::{Stretch, Stretches};

/// Renditions of one encoder begin less than this apart, in microseconds.
const SAME_ZERO_MICROS: u64 = 5_000_000;
/// How far from the media of which a date was told that is believed, in microseconds.
const TOLD_NEAR_MICROS: u64 = 15_000_000;
/// Zeros that are remembered: a few runs of a few encoders.
const ZEROS_MAX: usize = 16;

/// Where the media of a channel has its zero, for all of its renditions.
///
/// What is not on the epoch's time is placed by when its first chunk came. Chunks of one encoder's
/// renditions do not come at once, and must not be put apart by that: what has its zero near a
/// known one has that.
#[derive(Debug, Default)]
pub struct Zeros {
    /// Microseconds of Unix time; the newest last.
    known: Vec<i64>,
    /// What encoders say of it.
    told: Vec<Dated>,
    /// Where media does not go on.
    pub(super) stretches: Stretches,
}

impl Zeros {
    /// With these known already, the newest last, and behind this stretch, if there was one.
    #[must_use]
    pub fn of_known(mut known: Vec<i64>, newest: Option<Stretch>) -> Self {
        known.drain(..known.len().saturating_sub(ZEROS_MAX));
        Self { known, stretches: Stretches::behind(newest), ..Self::default() }
    }

    /// The channel's newest stretch, if anything has begun.
    #[must_use]
    pub fn newest_stretch(&self) -> Option<Stretch> {
        self.stretches.newest()
    }

    /// Those that are known.
    #[must_use]
    pub fn known(&self) -> &[i64] {
        &self.known
    }

    /// The zero of media of which this chunk has just come: its end is now.
    pub fn of(&mut self, chunk: &Timed, now_micros: i64) -> i64 {
        if is_epoch(chunk.start) {
            return 0;
        }
        let zero = now_micros.saturating_sub(chunk.start.plus(chunk.duration).micros());
        let near = |known: &&i64| known.abs_diff(zero) < SAME_ZERO_MICROS;
        if let Some(&known) = self.known.iter().rev().find(near) {
            return known;
        }
        let is_of = |told: &&Dated| {
            let away = told.start.micros().abs_diff(chunk.start.micros());
            away < TOLD_NEAR_MICROS && told.zero_micros.abs_diff(zero) < SAME_ZERO_MICROS
        };
        let zero = self.told.iter().rev().find(is_of).map_or(zero, |told| told.zero_micros);
        self.remember(zero);
        zero
    }

    /// An encoder says when some of its media is. That is believed where the next media of a zero
    /// of its own is placed, if our clock says nearly the same.
    pub fn tell(&mut self, dated: Dated) {
        if self.told.len() == ZEROS_MAX {
            self.told.remove(0);
        }
        self.told.push(dated);
    }

    pub(super) fn remember(&mut self, zero: i64) {
        if self.known.len() == ZEROS_MAX {
            self.known.remove(0);
        }
        self.known.push(zero);
    }
}
