//! Parts that fit the chunks that come: their length is made to before anything is published, and
//! parts that are too short all the same are noted.

use super::{Channel, Feed, Given};
use crate::config::SEGMENT_PROMISED_MICROS_MAX;
use crate::ingest::output::Stamp;
use crate::live::boxes::init::Media;
use crate::live::boxes::stream::Chunk;
use crate::live::cut::{Lengths, Timed};
use crate::live::learn::part::{fitting, is_filled};
use crate::live::publisher::{lead, timed};
use crate::live::time::Length;

impl Channel {
    /// These lengths, with parts that fit the chunks that have come. Of texts one may be as long as
    /// nothing is said.
    pub(super) fn fitted(&mut self, lengths: Lengths, stamp: Stamp) -> Lengths {
        let chunks_of = |media| {
            let is_it = move |feed: &&Feed| lead(&feed.header.init).sample.media == media;
            self.feeds.iter().filter(is_it).flat_map(|feed| &feed.given)
        };
        let pictures: Vec<_> =
            chunks_of(Media::Video).filter_map(|of| of.learner.chunk()).collect();
        let sounds = chunks_of(Media::Audio).filter_map(|of| of.longest(&pictures));
        let is_believed = |chunk: &Length| chunk.micros() <= SEGMENT_PROMISED_MICROS_MAX;
        let chunks: Vec<_> = pictures.iter().copied().chain(sounds).filter(is_believed).collect();
        let part = fitting(lengths.part, &chunks);
        let millis = |length: Length| length.micros() as f64 / 1000.0;
        if self.given.1.is_some() && part.micros() != lengths.part.micros() {
            let chunks: Vec<_> = chunks.iter().map(|chunk| millis(*chunk).to_string()).collect();
            let (set, part) = (millis(lengths.part), millis(part));
            let chunks = chunks.join(" and ");
            let what = format!("chunks of {chunks} ms do not fill parts of {set} ms: {part} ms");
            tracing::warn!(channel = self.id, "{what}");
            self.note(what, stamp);
        }
        Lengths { part, ..lengths }
    }

    /// The first chunk of a channel whose lengths were given, and taken as they are: where success
    /// must mean that a segment is durable, nothing waits until lengths are known.
    pub(super) fn fit(&mut self, feed: usize, source: usize, chunk: &Chunk, stamp: Stamp) {
        let Some(lengths) = self.lengths.filter(|_| !self.is_fitted && !self.is_text(feed)) else {
            return;
        };
        self.is_fitted = true;
        self.feeds[feed].given[source].learn(chunk);
        let lengths = self.fitted(lengths, stamp);
        self.lengths = Some(lengths);
        self.keeping.settle(lengths, self.given.1);
        for rendition in &mut self.renditions {
            rendition.publisher.set_part(lengths.part);
        }
    }

    /// Notes a part that is too short, though chunks came that would have filled it, and another
    /// one follows that does not stand alone.
    pub(super) fn note_short_part(&mut self, at: usize, stamp: Stamp) {
        let timeline = self.renditions[at].publisher.timeline();
        let Some(last) = timeline.segments().back() else { return };
        let [.., short, next] = &last.parts[..] else { return };
        let length = Length::new(short.duration, last.start.timescale);
        let part = timeline.lengths().part;
        let is_excused = short.independent || short.is_gap || next.is_gap || self.is_text(at);
        if self.outputs[at].has_short_parts
            || is_excused
            || length.is_none_or(|length| is_filled(part, length))
        {
            return;
        }
        self.outputs[at].has_short_parts = true;
        let rendition = &self.renditions[at].name;
        let what = format!("{rendition}: its chunks do not fill the channel's parts");
        tracing::warn!(channel = self.id, "{what}");
        self.note(what, stamp);
    }
}

impl Given {
    /// Learns lengths from a chunk; gives when it is.
    pub(super) fn learn(&mut self, chunk: &Chunk) -> Option<Timed> {
        let init = &self.header.as_ref()?.init;
        let timed = timed(init, chunk)?;
        let samples = chunk.fragment.run(lead(init).id)?.samples;
        self.sample = self.sample.max(timed.duration.checked_div(samples.into()).unwrap_or(0));
        self.learner.add(&timed);
        Some(timed)
    }

    /// How long its longest chunk will be. Sounds are cut where pictures are, as far as their
    /// samples allow it: one that is not as long as theirs is a sample longer another time.
    fn longest(&self, pictures: &[Length]) -> Option<Length> {
        let chunk = self.learner.chunk()?;
        let (ticks, timescale) = chunk.ticks();
        let cut_there = pictures.iter().filter(|picture| picture.micros() <= 2 * chunk.micros());
        let Some(picture) = cut_there.max_by_key(|picture| picture.micros()) else {
            return Some(chunk);
        };
        if picture.cmp_ticks(ticks, timescale).is_eq() || ticks <= self.sample {
            return Some(chunk);
        }
        let longest = ticks.max(picture.ticks_of(timescale)).saturating_add(self.sample);
        Length::new(longest, timescale)
    }
}
