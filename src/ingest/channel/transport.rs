//! What a transport stream needs of its channel beyond chunks: its requests, one by one, go on from
//! each other, and none of them has a header that says that an encoder has begun again.

use super::remux::STREAM;
use super::{Channel, Feed};
use crate::ingest::output::Stamp;
use crate::live::boxes::stream::Chunk;
use crate::live::channel::{Container, Rendition};
use crate::live::time::Length;
use crate::live::ts::TIMESCALE;
use crate::live::ts::stream::Known;

/// How long chunks are as long as nobody knows how long parts are, in milliseconds.
const CHUNK_MILLIS: u64 = 500;

impl Channel {
    /// The feed of the transport streams of this name, if the source has sent any.
    #[must_use]
    pub fn transport(&self, key: &str, source: usize) -> Option<usize> {
        let is_it = |feed: &Feed| feed.container == Container::Ts && feed.path == key;
        let at = self.feeds.iter().position(is_it)?;
        self.feeds[at].given[source].header.is_some().then_some(at)
    }

    /// What was known when the last request of a source for a feed ended.
    #[must_use]
    pub fn known_transport(&self, at: usize, source: usize) -> Known {
        self.feeds[at].given[source].known.clone()
    }

    /// A request of a feed has ended.
    pub fn keep_transport(&mut self, at: usize, source: usize, known: Known) {
        self.feeds[at].given[source].known = known;
    }

    /// How long a chunk of a transport stream should be, in its ticks: as long as a part.
    #[must_use]
    pub fn transport_ticks(&self) -> u64 {
        let part = self.lengths.map(|lengths| lengths.part).or(self.given.1);
        part.unwrap_or_else(|| Length::of_millis(CHUNK_MILLIS)).ticks_of(TIMESCALE)
    }

    /// The channel's first transport stream is the one that is had without an end.
    pub(super) fn begin_stream(&mut self, at: usize) {
        let is_other = |one: &Rendition| one.container == Container::Ts;
        if !self.renditions[..at].iter().any(is_other) {
            self.outputs[at].stream_at(format!("/tv/{}/{STREAM}", self.id));
        }
    }

    /// A request of a source begins with this chunk: an encoder that sends what was published long
    /// ago has begun again.
    pub fn begin_transport(&mut self, at: usize, source: usize, chunk: &Chunk, stamp: Stamp) {
        let left_behind = |one: &Rendition| one.publisher.is_left_behind(chunk);
        if self.renditions.get(at).is_some_and(left_behind) {
            self.may_begin_anew(at, source, stamp);
        }
    }

    /// What comes next of a feed is made of other headers, whether or not its packets say so.
    pub(super) fn change_streams(&mut self, at: usize) {
        let init = self.feeds[at].header.init.clone();
        if let Some(rendition) = self.renditions.get_mut(at) {
            rendition.publisher.take_header(init, true);
        }
    }

    /// What a source sends may not go on from what it has sent.
    pub fn may_begin_anew(&mut self, at: usize, source: usize, stamp: Stamp) {
        if !self.is_taken_from(at, source) {
            return;
        }
        self.publish_all_awaiting(at, stamp);
        let init = self.feeds[at].header.init.clone();
        if let Some(rendition) = self.renditions.get_mut(at) {
            rendition.publisher.take_header(init, false);
        }
    }
}
