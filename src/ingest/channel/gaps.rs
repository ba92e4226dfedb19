//! What did not come in its time: it is published as a gap.

use std::time::Duration;

use super::Channel;
use crate::ingest::output::Stamp;

impl Channel {
    /// Publishes gaps for what should have come by now: when patience with a silent encoder ends,
    /// and then a segment later each, until there is nothing left in the window but gaps.
    pub fn publish_overdue(&mut self, stamp: Stamp) {
        let Some(segment) = self.lengths.map(|lengths| lengths.segment.micros()) else { return };
        for at in 0..self.renditions.len() {
            // It may be here, and wait for what did not come.
            self.publish_awaited(at, stamp);
            let output = &self.outputs[at];
            let waited = u64::from(output.gaps) * segment;
            let is_due = self.is_overdue(at, Duration::from_micros(waited), stamp);
            if is_due && !self.outputs[at].is_over() && waited <= self.window_micros {
                self.publish_gap(at, stamp);
            }
        }
    }

    /// Whether patience with a silent encoder has ended, so long ago at least.
    pub(super) fn is_overdue(&self, at: usize, waited: Duration, stamp: Stamp) -> bool {
        let segment = self.lengths.map_or(0, |lengths| lengths.segment.micros());
        let longest = self.renditions[at].publisher.timeline().longest().micros();
        let silent = self.outputs[at].fed.map(|fed| stamp.instant.saturating_duration_since(fed));
        // Whoever writes texts is behind the picture, and has less to lose by a gap late.
        let more = if self.is_text(at) { 2 * segment } else { 0 };
        let usual = Duration::from_micros(longest + longest / 2 + more);
        let due = self.patience.unwrap_or(usual) + waited;
        silent.is_some_and(|silent| silent >= due)
    }

    fn publish_gap(&mut self, at: usize, stamp: Stamp) {
        // Where nothing is said there may be no text at all.
        if self.outputs[at].gaps == 0 && !self.is_text(at) {
            let rendition = &self.renditions[at].name;
            tracing::warn!(channel = self.id, rendition, "its encoder is silent");
            self.note(format!("{rendition}: its encoder is silent"), stamp);
        }
        self.outputs[at].gaps += 1;
        self.outputs[at].tally.missing_segments += 1;
        self.close_segment(at, stamp);
        if self.renditions[at].publisher.add_gap().is_some() {
            self.tell(at, true, false, stamp);
        }
    }
}
