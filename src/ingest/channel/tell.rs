//! What shards are told of a channel: the texts that have changed, and how far it has come.

use super::Channel;
use crate::config::Access;
use crate::ingest::output::Stamp;
use crate::live::boxes::stream::Chunk;
use crate::live::channel::{self, Latency};
use crate::live::events::Found;
use crate::live::playlist::{DELTA, DELTA_OF_DATES, KEY_FRAMES, dash, hls, target_seconds};
use crate::live::reload::Edge;
use crate::live::timeline::Timeline;
use crate::messages::{Change, Listing};

/// Target durations for which parts stay after they were listed, and behind the end until then.
const PARTS_KEPT: u64 = 6;

impl Channel {
    /// Writes the texts that have changed, and sends what there is to be told.
    pub(super) fn tell(
        &mut self,
        at: usize,
        segment_ended: bool,
        segment_begun: bool,
        stamp: Stamp,
    ) {
        if segment_ended {
            self.keep_ended(at);
            let window = self.window_micros;
            self.renditions[at].publisher.timeline_mut().trim(window);
            self.flag_long(at, stamp);
        }
        self.trim_events();
        let mut texts = vec![
            (channel::playlist_name(Latency::Low), hls::Edition::LowLatency),
            (DELTA, hls::Edition::Delta),
        ];
        if self.events.has_been() {
            texts.push((DELTA_OF_DATES, hls::Edition::DeltaOfDates));
        }
        if segment_ended {
            texts.push((channel::playlist_name(Latency::Plain), hls::Edition::Plain));
            if self.renditions[at].measure.key_bandwidth().is_some() {
                texts.push((KEY_FRAMES, hls::Edition::KeyFrames));
            }
        }
        for (name, edition) in texts {
            let text = channel::media(&self.renditions, &self.events, at, edition);
            let path = format!("{}/{name}", self.outputs[at].folder);
            self.batch.push(self.post.text(&path, text.as_bytes(), self.access, stamp));
        }
        if segment_ended {
            self.write_multivariants(stamp);
            self.write_manifest(dash::Edition::Plain, stamp);
        }
        if segment_ended || segment_begun {
            self.write_manifest(dash::Edition::LowLatency, stamp);
            // Headers are read for that, which is too much for every part.
            self.offer_remux();
        }
        let timeline = self.renditions[at].publisher.timeline();
        let news = news(timeline, self.access);
        let kept = Kept::of(timeline, self.window_micros);
        let output = &mut self.outputs[at];
        output.forget(kept.parts_from, kept.segments_from, &mut self.batch);
        let path = output.folder.as_str().into();
        self.batch.extend(news.map(|news| Listing { path, change: Change::Rendition(news) }));
        self.post.list(&mut self.batch);
    }

    /// Notes a segment that is longer than its playlist says any is. Its encoder has changed the
    /// length of its segments, and somebody should know.
    fn flag_long(&mut self, at: usize, stamp: Stamp) {
        let timeline = self.renditions[at].publisher.timeline();
        let mut newest_first = timeline.segments().iter().rev();
        let Some(last) = newest_first.find(|one| one.is_whole && !one.is_gap) else { return };
        let (number, micros) = (last.number, last.end().micros().abs_diff(last.start.micros()));
        let (seconds, target) = ((micros + 500_000) / 1_000_000, target_seconds(timeline));
        if seconds <= target || self.outputs[at].long == Some(number) {
            return;
        }
        let is_first = self.outputs[at].long.replace(number).is_none();
        self.outputs[at].tally.long_segments += 1;
        let rendition = &self.renditions[at].name;
        let what = format!("{rendition}: segment {number} is longer than {target} s");
        if is_first {
            tracing::warn!(channel = self.id, "{what}: its encoder has another length now");
        }
        self.note(what, stamp);
    }

    /// Takes what a chunk of a rendition, which was just published, tells of.
    pub(super) fn take_events(&mut self, rendition: usize, chunk: &Chunk) {
        let last = self.renditions[rendition].publisher.timeline().segments().back();
        let Some(last) = last.filter(|_| !chunk.messages.is_empty()) else { return };
        let (zero_micros, segment) = (last.origin.zero_micros, last.start);
        let found = Found { rendition, zero_micros, segment };
        chunk.messages.iter().for_each(|message| self.events.take(message, &found));
    }

    /// Takes off events that no rendition has in its window any more.
    fn trim_events(&mut self) {
        let timelines = || self.renditions.iter().map(|one| one.publisher.timeline());
        let start = |timeline: &Timeline| {
            timeline.segments().front().map(|first| first.origin.unix_micros(first.start))
        };
        let end = |timeline: &Timeline| {
            timeline.segments().back().map(|last| last.origin.unix_micros(last.end()))
        };
        let target = timelines().next().map_or(1, target_seconds);
        let (from, to) = (timelines().filter_map(start).min(), timelines().filter_map(end).max());
        if let (Some(from), Some(to)) = (from, to) {
            // Whoever asks for a delta has a playlist that is younger than that.
            self.events.trim(from, to, hls::SKIP_BOUNDARY * target * 1_000_000);
        }
    }

    fn write_multivariants(&mut self, stamp: Stamp) {
        if self.remuxing.is_result() {
            return self.write_remuxed(stamp);
        }
        for (at, latency) in [Latency::Plain, Latency::Low].into_iter().enumerate() {
            let text = channel::multivariant(&self.renditions, latency);
            if text == self.multivariants[at] {
                continue;
            }
            let name = ["master.m3u8", "ll.m3u8"][at];
            let path = format!("/tv/{}/{name}", self.id);
            self.batch.push(self.post.text(&path, text.as_bytes(), self.access, stamp));
            self.multivariants[at] = text;
        }
    }
}

/// What shards are to know of a rendition.
fn news(timeline: &Timeline, access: Access) -> Option<crate::messages::Rendition> {
    let lengths = timeline.lengths();
    let parts = lengths.segment.micros().div_ceil(lengths.part.micros().max(1));
    Some(crate::messages::Rendition {
        edge: Edge::of(timeline)?,
        part: lengths.part,
        // One more, for a last one that is short.
        parts_a_segment: u32::try_from(parts).unwrap_or(u32::MAX - 1) + 1,
        hold_ms: 3 * target_seconds(timeline) * 1000,
        access,
    })
}

/// From which segment on things stay.
struct Kept {
    parts_from: i64,
    segments_from: i64,
}

impl Kept {
    /// What leaves a playlist of this window stays as long again, and a segment longer (RFC
    /// 8216bis, 6.2.2); parts stay for `PARTS_KEPT` target durations.
    fn of(timeline: &Timeline, window_micros: u64) -> Self {
        let last = timeline.segments().back().map_or(0, |last| last.number);
        let segment = timeline.lengths().segment.micros().max(1);
        let behind =
            |micros: u64| last.saturating_sub_unsigned(micros.div_ceil(segment).saturating_add(1));
        let parts = PARTS_KEPT * target_seconds(timeline) * 1_000_000;
        Self { parts_from: behind(parts), segments_from: behind(2 * window_micros + segment) }
    }
}
