//! How a channel is, as an operator sees it.

use super::Channel;
use crate::ingest::health::{Fault, Health, Input, RenditionHealth, SegmentsHealth};
use crate::ingest::output::{Output, Stamp};
use crate::live::boxes::chunk::Reference;
use crate::live::boxes::init::Media;
use crate::live::boxes::stream::Chunk;
use crate::live::channel::Rendition;
use crate::live::publisher::{Taken, lead};
use crate::live::time::Length;
use crate::live::timeline::Timeline;

/// Longest description of what went wrong that is kept, in bytes.
const FAULT_SIZE_MAX: usize = 512;

/// Seconds from 1900, where NTP begins, to 1970.
const NTP_TO_UNIX_SECONDS: i64 = 2_208_988_800;

impl Channel {
    /// Notes what went wrong.
    pub fn note(&mut self, mut what: String, stamp: Stamp) {
        let end = (0..=FAULT_SIZE_MAX).rev().find(|at| what.is_char_boundary(*at));
        what.truncate(end.unwrap_or(0));
        self.last_error = Some(Fault { unix_ms: stamp.micros / 1000, what });
    }

    /// Counts what came of a chunk of a rendition, for which it was taken.
    pub(super) fn tally(&mut self, at: usize, chunk: &Chunk, taken: Taken, stamp: Stamp) {
        self.counts.add(taken);
        let since = self.since_began(stamp);
        let output = &mut self.outputs[at];
        match taken {
            Taken::Published(steps) => {
                output.tally.missing_segments += u64::from(steps.gaps);
                let timeline = self.renditions[at].publisher.timeline();
                if let Some(last) = timeline.segments().back() {
                    let delay = stamp.micros.saturating_sub(last.origin.unix_micros(last.end()));
                    let since = u64::try_from(since.as_micros()).unwrap_or(u64::MAX);
                    output.drift.add(delay, since);
                }
                output.captured_delay = chunk
                    .reference
                    .map(|of| stamp.micros.saturating_sub(captured_micros(of)))
                    .or(output.captured_delay);
            }
            Taken::Late => output.tally.late_chunks += 1,
            Taken::Conflict => output.tally.conflicting_chunks += 1,
            Taken::Repeated | Taken::Early | Taken::NotIndependent => {}
        }
    }

    /// How it is.
    #[must_use]
    pub fn health(&self, stamp: Stamp) -> Health {
        let millis = |of: fn(&crate::live::cut::Lengths) -> Length| {
            self.lengths.as_ref().map(|lengths| of(lengths).micros() / 1000)
        };
        let both = self.renditions.iter().zip(&self.outputs);
        let renditions: Vec<_> = both.map(|(one, output)| rendition(one, output, stamp)).collect();
        let has = |input| renditions.iter().any(|one| one.input == input);
        let input = match () {
            () if has(Input::Live) => Input::Live,
            () if has(Input::Silent) => Input::Silent,
            () if self.unsettled.is_empty() => Input::Waiting,
            () => Input::Learning,
        };
        Health {
            id: self.id.clone(),
            name: self.name.clone(),
            input,
            segment_ms: millis(|lengths| lengths.segment),
            part_ms: millis(|lengths| lengths.part),
            window_ms: self.window_micros / 1000,
            chunks: self.counts.read().collect(),
            last_error: self.last_error.clone(),
            ffmpeg: None,
            renditions,
        }
    }
}

fn rendition(one: &Rendition, output: &Output, stamp: Stamp) -> RenditionHealth {
    let track = lead(one.publisher.init());
    let bandwidth = one.measure.bandwidth();
    let silent = output.fed.map(|fed| stamp.instant.saturating_duration_since(fed));
    let frame_rate = one.measure.frame_rate();
    RenditionHealth {
        name: one.name.clone(),
        carries: match track.sample.media {
            Media::Video => "video",
            Media::Audio => "audio",
            Media::Text => "text",
        },
        codecs: one.codecs(),
        resolution: track.sample.resolution,
        frame_rate: frame_rate.map(|(pictures, seconds)| f64::from(pictures) / f64::from(seconds)),
        input: match output.fed {
            None => Input::Waiting,
            Some(_) if output.gaps > 0 => Input::Silent,
            Some(_) => Input::Live,
        },
        silent_ms: silent.map(|silent| u64::try_from(silent.as_millis()).unwrap_or(u64::MAX)),
        peak_bandwidth: bandwidth.peak,
        average_bandwidth: bandwidth.average,
        segments: segments(one.publisher.timeline()),
        tally: output.tally,
        delay_ms: output.drift.delay_micros().map(|micros| micros / 1000),
        drift_ms: output.drift.drift_micros().map(|micros| micros / 1000),
        capture_delay_ms: output.captured_delay.map(|micros| micros / 1000),
    }
}

fn segments(timeline: &Timeline) -> SegmentsHealth {
    let segments = timeline.segments();
    let whole = segments.iter().filter(|one| one.is_whole && !one.is_gap);
    let lengths = whole.map(|one| one.end().micros().abs_diff(one.start.micros()) / 1000);
    SegmentsHealth {
        listed: segments.len(),
        gaps: segments.iter().filter(|one| one.is_gap).count(),
        newest: segments.back().map(|last| last.number),
        discontinuity: segments.back().map(|last| last.sequence),
        shortest_ms: lengths.clone().min(),
        longest_ms: lengths.max(),
    }
}

/// Microseconds of Unix time at which an encoder took a picture, by its own clock.
fn captured_micros(reference: Reference) -> i64 {
    let seconds = i64::from((reference.ntp >> 32) as u32) - NTP_TO_UNIX_SECONDS;
    let micros = ((reference.ntp & 0xffff_ffff) * 1_000_000) >> 32;
    seconds * 1_000_000 + i64::from(micros as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capture_time_is_read_as_ntp_writes_it() {
        // 2026-11-26T00:00:00.25Z.
        let seconds = u64::try_from(1_795_651_200 + NTP_TO_UNIX_SECONDS).unwrap();
        let reference = Reference { track: 1, ntp: seconds << 32 | 0x4000_0000, media_time: 0 };
        assert_eq!(captured_micros(reference), 1_795_651_200_250_000);
        let reference = Reference { track: 1, ntp: u64::MAX, media_time: 0 };
        assert!(captured_micros(reference) > 0);
    }
}
