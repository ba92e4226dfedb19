//! What shards are told of a channel: the texts that have changed, and how far it has come.

use super::Channel;
use crate::config::Access;
use crate::ingest::output::Stamp;
use crate::live::boxes::init::Media;
use crate::live::boxes::stream::Chunk;
use crate::live::channel::{self, Latency, Rendition};
use crate::live::events::Found;
use crate::live::playlist::dash::timed::Timed;
use crate::live::playlist::ladder::kbps;
use crate::live::playlist::name::Kind;
use crate::live::playlist::{DELTA, DELTA_OF_DATES, dash, hls, target_seconds};
use crate::live::publisher::lead;
use crate::live::reload::Edge;
use crate::live::timeline::Timeline;
use crate::messages::{Change, Listing};
use crate::units::Rung;

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
            let window_micros = self.window_micros;
            let timeline = self.renditions[at].publisher.timeline_mut();
            timeline.trim(listed_micros(timeline, window_micros));
        }
        let is_moved = self.look_at_lengths(at, stamp);
        self.trim_events();
        let with_whole = segment_ended || (is_moved && self.has_whole(at));
        self.write_playlists(at, with_whole, stamp);
        if segment_ended || is_moved {
            self.write_multivariants(stamp);
        }
        if segment_ended {
            self.write_manifest(dash::Edition::Plain, stamp);
        }
        if segment_ended || segment_begun {
            self.write_manifest(dash::Edition::LowLatency, stamp);
            // Headers are read for that, which is too much for every part.
            self.offer_remux();
        }
        let timeline = self.renditions[at].publisher.timeline();
        let kept = Kept::of(timeline, self.window_micros);
        self.outputs[at].forget(kept.parts_from, kept.segments_from, &mut self.batch);
        self.tell_reach(at);
        self.post.list(&mut self.batch);
    }

    /// Writes the media playlists of a rendition; `with_whole`: also those that list nothing but
    /// whole segments.
    pub(super) fn write_playlists(&mut self, at: usize, with_whole: bool, stamp: Stamp) {
        let rendition = &self.renditions[at];
        let mut texts = vec![
            (rendition.playlist(Kind::LowLatency), hls::Edition::LowLatency),
            (DELTA.to_owned(), hls::Edition::Delta),
        ];
        if self.events.has_been() {
            texts.push((DELTA_OF_DATES.to_owned(), hls::Edition::DeltaOfDates));
        }
        if with_whole {
            texts.push((rendition.playlist(Kind::Plain), hls::Edition::Plain));
            if rendition.measure.key_bandwidth().is_some() {
                texts.push((rendition.playlist(Kind::KeyFrames), hls::Edition::KeyFrames));
            }
        }
        for (name, edition) in texts {
            let text = channel::media(&self.renditions, &self.events, at, edition);
            let path = format!("{}/{name}", self.outputs[at].folder);
            self.batch.push(self.post.text(&path, text.as_bytes(), self.access, stamp));
        }
    }

    /// How far a rendition has come, which releases those who wait for that.
    pub(super) fn tell_reach(&mut self, at: usize) {
        let rung = self.rung(at);
        let news = news(self.renditions[at].publisher.timeline(), self.access, rung);
        let path = self.outputs[at].folder.as_str().into();
        self.batch.extend(news.map(|news| Listing { path, change: Change::Rendition(news) }));
    }

    /// What a rendition takes; the lowest of the pictures is everybody's.
    pub(super) fn rung(&self, at: usize) -> Rung {
        if let Some(rung) = self.remuxing.rung() {
            return rung;
        }
        let of = |one: &Rendition| {
            let is_picture = lead(one.publisher.init()).sample.media == Media::Video;
            is_picture.then(|| kbps(one.measure.bandwidth().peak))
        };
        let Some(kbps) = of(&self.renditions[at]) else { return Rung::default() };
        let lowest = self.renditions.iter().filter_map(of).filter(|kbps| *kbps > 0).min();
        Rung { kbps, is_capped: lowest.is_some_and(|lowest| kbps > lowest) }
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
            self.batch.push(self.post.choice(&path, &text, self.access, stamp));
            self.multivariants[at] = text;
        }
    }
}

/// What shards are to know of a rendition.
fn news(timeline: &Timeline, access: Access, rung: Rung) -> Option<crate::messages::Rendition> {
    let lengths = timeline.lengths();
    let parts = timeline.longest().micros().div_ceil(lengths.part.micros().max(1));
    let last = timeline.segments().back()?;
    let timed = |moment| Timed::at(last.origin, moment, timeline.run());
    Some(crate::messages::Rendition {
        edge: Edge::of(timeline)?,
        times: (timed(last.start), timed(last.end())),
        part: lengths.part,
        // One more, for a last one that is short.
        parts_a_segment: u32::try_from(parts).unwrap_or(u32::MAX - 1) + 1,
        hold_ms: 3 * target_seconds(timeline) * 1000,
        promise: timeline.promise(),
        access,
        rung,
    })
}

/// How much is listed: three target durations at least (RFC 8216bis, 6.2.2).
fn listed_micros(timeline: &Timeline, window_micros: u64) -> u64 {
    window_micros.max(3 * target_seconds(timeline) * 1_000_000)
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
        let longest = timeline.longest().micros();
        let listed = listed_micros(timeline, window_micros);
        let behind =
            |micros: u64| last.saturating_sub_unsigned(micros.div_ceil(segment).saturating_add(1));
        let parts = PARTS_KEPT * target_seconds(timeline) * 1_000_000;
        Self { parts_from: behind(parts), segments_from: behind(2 * listed + longest) }
    }
}
