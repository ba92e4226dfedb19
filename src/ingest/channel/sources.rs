//! A channel of several encoders: which of them each rendition is taken from.

use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64;

use super::headers::Sent;
use super::{Channel, Request, Unfit};
use crate::config::sources::{SOURCE_PATIENCE_MS, SPARE_SIZE_MAX};
use crate::config::{self, AHEAD_MICROS_MAX};
use crate::ingest::output::Stamp;
use crate::live::boxes::stream::Chunk;
use crate::live::cut::Timed;
use crate::live::publisher::{Taken, is_epoch, lead, timed};
use crate::live::select::{Action, Candidate, Front, Offered, Publish, Selector};

/// The sources of a channel.
#[derive(Debug)]
pub struct Sources {
    /// Names, the highest first; none if all that pushes is one encoder.
    names: Vec<String>,
    /// One a rendition; none if there is one source.
    selectors: Vec<Selector>,
}

impl Sources {
    /// As the config has them.
    #[must_use]
    pub fn new(of: &config::sources::Sources) -> Self {
        let names = of.encoders.iter().map(|encoder| encoder.name.clone()).collect();
        Self { names, selectors: Vec::new() }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.names.len().max(1)
    }
}

impl Channel {
    /// How many encoders it may have.
    #[must_use]
    pub fn source_count(&self) -> usize {
        self.sources.count()
    }

    /// Whether what a source sends of a feed is published, or would be.
    pub(super) fn is_taken_from(&self, feed: usize, source: usize) -> bool {
        let active = self.sources.selectors.get(feed).and_then(Selector::active);
        active.is_none_or(|active| active == source)
    }

    /// A chunk of a source: it is published if its time has come, or held. Gives what came of it,
    /// if that is known.
    pub(super) fn offer(
        &mut self,
        feed: usize,
        Request { source, number }: Request,
        chunk: &Chunk,
        bytes: &[u8],
        stamp: Stamp,
    ) -> Result<Option<Taken>, Unfit> {
        let hash = xxh3_64(bytes);
        if self.sources.count() == 1 {
            return self.publish_in_order(feed, number, chunk, (bytes, hash), stamp);
        }
        self.make_selectors();
        let Some(candidate) = self.candidate(feed, source, chunk, (bytes, hash)) else {
            return Ok(Some(Taken::NotIndependent));
        };
        let start = candidate.timed.start;
        if is_epoch(start) && start.micros() - stamp.micros > AHEAD_MICROS_MAX {
            self.counts.add(Taken::Early);
            return Ok(Some(Taken::Early));
        }
        let decode_time = candidate.decode_time;
        let (front, now) = (self.front(feed), self.since_began(stamp));
        match self.sources.selectors[feed].offer(source, candidate, front, now) {
            Offered::Past => return self.publish(feed, chunk, (bytes, hash), stamp).map(Some),
            Offered::Spare => {
                self.counts.add_spare();
                self.select(feed, stamp, None)?;
                return Ok(None);
            }
            Offered::Held => {}
        }
        self.bound_held(feed);
        self.select(feed, stamp, Some((source, decode_time)))
    }

    /// Lengths are known: each rendition has something that selects.
    fn make_selectors(&mut self) {
        let Some(lengths) = self.lengths else { return };
        let patience = Duration::from_millis(SOURCE_PATIENCE_MS);
        while self.sources.selectors.len() < self.renditions.len() {
            let selector = Selector::new(lengths, self.sources.count(), patience);
            self.sources.selectors.push(selector);
        }
    }

    fn candidate(
        &self,
        feed: usize,
        source: usize,
        chunk: &Chunk,
        (bytes, hash): (&[u8], u64),
    ) -> Option<Candidate> {
        let Sent { init, tag, .. } = self.feeds[feed].given[source].header.as_ref()?;
        let timed = timed(init, chunk)?;
        let decode_time = chunk.fragment.run(lead(init).id)?.decode_time;
        let (chunk, bytes) = (chunk.clone(), bytes.to_vec());
        Some(Candidate { chunk, bytes, hash, timed, decode_time, header: *tag })
    }

    fn front(&self, feed: usize) -> Option<Front> {
        let last = self.renditions.get(feed)?.publisher.timeline().segments().back()?;
        Some(Front { end: last.end(), is_whole: last.is_whole })
    }

    fn bound_held(&mut self, feed: usize) {
        let held =
            |selectors: &[Selector]| -> usize { selectors.iter().map(Selector::held_size).sum() };
        while held(&self.sources.selectors) > SPARE_SIZE_MAX {
            if !self.sources.selectors[feed].drop_oldest() {
                return;
            }
            self.counts.add_spare();
        }
    }

    /// Publishes what can be; gives what came of the chunk of this source and time.
    fn select(
        &mut self,
        feed: usize,
        stamp: Stamp,
        wanted: Option<(usize, u64)>,
    ) -> Result<Option<Taken>, Unfit> {
        let mut outcome = Ok(None);
        loop {
            let (front, now) = (self.front(feed), self.since_began(stamp));
            let Some(action) = self.sources.selectors[feed].poll(front, now) else { break };
            match action {
                Action::Skip(gap) => self.skip(feed, &gap, stamp),
                Action::Publish(one) => {
                    let is_wanted = wanted == Some((one.source, one.candidate.decode_time));
                    let taken = self.publish_one(feed, &one, stamp);
                    if is_wanted || taken.is_err() {
                        outcome = taken.map(Some);
                    }
                }
            }
        }
        outcome
    }

    fn publish_one(&mut self, feed: usize, one: &Publish, stamp: Stamp) -> Result<Taken, Unfit> {
        let Publish { source, candidate, begins_anew, ends_request } = one;
        if self.feeds[feed].header.tag != candidate.header {
            let given = self.feeds[feed].given[*source].header.clone();
            // What is left of before its source sent another header can't be decoded any more.
            let Some(given) = given.filter(|given| given.tag == candidate.header) else {
                return Ok(Taken::NotIndependent);
            };
            self.change_header(feed, &given, stamp);
        }
        if *begins_anew {
            self.renditions[feed].publisher.change_encoder();
        }
        if self.feeds[feed].taken_from.replace(*source) != Some(*source) {
            let (rendition, source) = (&self.feeds[feed].name, &self.sources.names[*source]);
            tracing::info!(channel = self.id, rendition, source, "taken from this source");
        }
        let bytes = (&candidate.bytes[..], candidate.hash);
        let taken = self.publish(feed, &candidate.chunk, bytes, stamp);
        if *ends_request {
            self.end_request(feed, stamp);
        }
        taken
    }

    /// Publishes parts of which nothing can be had.
    fn skip(&mut self, feed: usize, gap: &Timed, stamp: Stamp) {
        let Some(lengths) = self.lengths else { return };
        tracing::warn!(
            channel = self.id,
            rendition = self.feeds[feed].name,
            micros = gap.start.plus(gap.duration).micros() - gap.start.micros(),
            "a source is lost, and the next one has other bytes: a gap"
        );
        self.keep_hole(feed);
        let most = lengths.part.ticks_of(gap.start.timescale);
        let mut done = 0;
        while done < gap.duration {
            let duration = most.min(gap.duration - done);
            let piece = Timed { start: gap.start.plus(done), duration, independent: false };
            done += duration;
            let Some(steps) = self.renditions[feed].publisher.skip(&piece) else {
                return self.end_segment(feed, stamp);
            };
            if steps.ends_part {
                self.batch.extend(self.outputs[feed].end_part(&mut self.post, stamp));
            }
            if steps.completes_part {
                self.batch.extend(self.outputs[feed].end_part(&mut self.post, stamp));
            }
            if let Some(last) = self.renditions[feed].publisher.timeline().segments().back() {
                let micros = last.end().micros().abs_diff(last.start.micros());
                self.outputs[feed].duration_micros = micros;
            }
        }
        self.tell(feed, false, false, stamp);
    }

    /// Time has passed: sources may be lost, or no longer waited for.
    pub fn look_at_sources(&mut self, stamp: Stamp) {
        for feed in 0..self.sources.selectors.len() {
            if let Err(unfit) = self.select(feed, stamp, None) {
                tracing::warn!(channel = self.id, ?unfit, "what was held is not published");
            }
        }
    }

    /// A request of a source has ended, or broke off.
    pub fn end_request_of(&mut self, feed: usize, of: Request, is_whole: bool, stamp: Stamp) {
        let Request { source, number } = of;
        let Some(selector) = self.sources.selectors.get_mut(feed) else {
            return self.end_request_in_order(feed, number, is_whole, stamp);
        };
        if !is_whole {
            selector.break_request(source);
        } else if selector.end_request(source) {
            self.end_request(feed, stamp);
        }
        self.look_at_sources(stamp);
    }
}
