//! Parts that fit the chunks that come: their length is made to by the first of each feed, and
//! parts that are too short all the same are noted.

use std::time::{Duration, Instant};

use super::{Channel, Feed, Given};
use crate::config::SEGMENT_PROMISED_MICROS_MAX;
use crate::ingest::output::Stamp;
use crate::live::boxes::init::Media;
use crate::live::boxes::stream::Chunk;
use crate::live::cut::{Lengths, Timed};
use crate::live::learn::part::{fitting, is_filled};
use crate::live::publisher::{lead, timed};
use crate::live::time::Length;

/// How long after the lengths of a channel were settled its parts are still made to fit what
/// begins: longer than encoders take from the first chunk of a picture to that of its sound, and
/// not so long that a player has begun, which wants some parts first.
const FITTED_WITHIN: Duration = Duration::from_secs(1);

/// The lengths that parts are made to fit from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fitting {
    wanted: Lengths,
    /// None before the first chunk: where success must mean that a segment is durable, lengths that
    /// are given are taken at once, and nothing waits until they are known.
    since: Option<Instant>,
}

impl Fitting {
    pub fn of(wanted: Lengths) -> Self {
        Self { wanted, since: None }
    }

    pub fn since(wanted: Lengths, settled: Instant) -> Self {
        Self { wanted, since: Some(settled) }
    }
}

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
        let is_known = self.lengths.is_some_and(|now| now.part.micros() == part.micros());
        if self.given.1.is_some() && part.micros() != lengths.part.micros() && !is_known {
            let chunks: Vec<_> = chunks.iter().map(|chunk| millis(*chunk).to_string()).collect();
            let (set, part) = (millis(lengths.part), millis(part));
            let chunks = chunks.join(" and ");
            let what = format!("chunks of {chunks} ms do not fill parts of {set} ms: {part} ms");
            tracing::warn!(channel = self.id, "{what}");
            self.note(what, stamp);
        }
        Lengths { part, ..lengths }
    }

    /// Looks at the first chunk of a feed that comes when the channel's lengths are settled: parts
    /// are to fit it, too, as they would if it had come before the others. So they do not depend on
    /// what comes first, and servers that are fed alike publish alike.
    pub(super) fn fit(&mut self, feed: usize, source: usize, chunk: &Chunk, stamp: Stamp) {
        let is_text = self.is_text(feed);
        let Some(fitting) = &mut self.fitting else { return };
        let since = *fitting.since.get_or_insert(stamp.instant);
        if stamp.instant.saturating_duration_since(since) > FITTED_WITHIN {
            self.fitting = None;
            return;
        }
        let wanted = fitting.wanted;
        let given = &mut self.feeds[feed].given[source];
        if is_text || given.learner.chunk().is_some() || given.learn(chunk).is_none() {
            return;
        }
        let lengths = self.fitted(wanted, stamp);
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
