//! One channel: what its encoders send in, what shards are told out.
//!
//! Nothing here waits. A chunk that has a place goes into its rendition's slab, and everything that
//! follows from it to the shards in one batch: parts and segments first, then the texts that list
//! them, then how far the rendition has come, which releases those who wait.

mod headers;
mod keep;
mod tell;
mod manifests;
mod longer;
mod parts;
mod gaps;
mod health;
mod sources;
mod order;
mod pushed;
mod transport;
mod remux;
mod demand;

pub use demand::beginnings;
pub use headers::Header;
pub use order::Request;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::archive::Recovered;
use super::counts::Counts;
use super::health::Fault;
use super::output::{Output, Piece, Stamp, absent};
use super::post::Post;
use super::slab::Refused;
use crate::config::{self, Access, UNSETTLED_CHUNKS_MAX, UNSETTLED_SIZE_MAX};
use crate::live::boxes::init::Media;
use crate::live::boxes::stream::Chunk;
use crate::live::channel::{Container, Rendition};
use crate::live::cut::Lengths;
use crate::live::events::Events;
use crate::live::learn::Learner;
use crate::live::order::Order;
use crate::live::playlist::name::{Kind, Longer};
use crate::live::playlist::{DELTA, DELTA_OF_DATES};
use crate::live::publisher::{Steps, Taken, Zeros, lead};
use crate::live::pushed::Pushed;
use crate::live::time::Length;
use crate::live::ts::stream::Known;
use crate::messages::Listing;

use headers::Sent;
use manifests::Manifests;
use parts::Fitting;
use remux::Remuxing;
use sources::Sources;

/// Media of a sound that is waited for a picture, in microseconds: longer than encoders take from
/// the first header to the last.
const PICTURE_AWAITED_MICROS: u64 = 6_000_000;

/// Media of a picture that waits for the first chunk of sounds whose headers have come, in
/// microseconds: parts are to fit both.
const SOUNDS_AWAITED_MICROS: u64 = 2_000_000;

/// Why something that an encoder sent was not taken.
#[derive(Debug)]
pub enum Unfit {
    /// The channel is gone.
    Gone,
    /// A header is longer than `HEADER_SIZE_MAX`.
    HeaderTooLarge,
    /// There are `RENDITIONS_MAX` already.
    TooManyRenditions,
    /// It could not be written.
    Refused(Refused),
}

/// How far a segment has come that grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grown {
    /// Its number.
    pub number: i64,
    /// In ticks.
    duration: u64,
}

/// A header as it came, and how its chunks are found.
#[derive(Debug)]
struct Feed {
    /// The path of the upload, below the channel's.
    path: String,
    name: String,
    container: Container,
    /// The one that holds for what comes next.
    header: Sent,
    /// What each source has sent, as many as there are.
    given: Vec<Given>,
    /// Of several sources that of which something was published last.
    taken_from: Option<usize>,
}

/// What a source has sent of a feed.
#[derive(Debug)]
struct Given {
    header: Option<Sent>,
    /// Of a transport stream, what its next request has to know.
    known: Known,
    learner: Learner,
    /// How long a sample of its leading track is, in ticks.
    sample: u64,
    /// Microseconds of media that came before lengths were known.
    unsettled_micros: u64,
}

/// A chunk that came before lengths were known.
#[derive(Debug)]
struct Unsettled {
    feed: usize,
    request: Request,
    chunk: Chunk,
    bytes: Vec<u8>,
    stamp: Stamp,
}

/// A channel.
#[derive(Debug)]
pub struct Channel {
    id: String,
    name: String,
    /// From when its time is counted.
    began: Instant,
    last_error: Option<Fault>,
    /// When a chunk came last.
    came: Option<Instant>,
    access: Access,
    window_micros: u64,
    patience: Option<Duration>,
    /// What the config says of them.
    given: (Option<Length>, Option<Length>),
    lengths: Option<Lengths>,
    /// What came to be longer than that.
    longer: Option<Longer>,
    /// While parts are still made to fit what comes first of each feed.
    fitting: Option<Fitting>,
    feeds: Vec<Feed>,
    unsettled: VecDeque<Unsettled>,
    unsettled_size: usize,
    /// One a feed, in the same order, once lengths are known.
    renditions: Vec<Rendition>,
    outputs: Vec<Output>,
    zeros: Zeros,
    events: Events,
    keeping: keep::Keeping,
    post: Post,
    counts: Arc<Counts>,
    batch: Vec<Listing>,
    /// The config's own words, for the channel that is made of this one.
    of: config::Channel,
    remuxing: Remuxing,
    /// What the multivariant playlists said last.
    multivariants: [String; 2],
    manifests: [Manifests; 2],
    sources: Sources,
    /// Of one encoder, one a rendition: what waits for what it follows.
    orders: Vec<Order>,
    /// Requests that have begun.
    requests: u64,
    /// One a source: what its playlists say.
    pushed: Vec<Pushed>,
    is_closed: bool,
}

impl Channel {
    /// As the config has it; `access` is the server's.
    #[must_use]
    pub fn new(
        of: &config::Channel,
        access: Access,
        post: Post,
        counts: Arc<Counts>,
        recovered: Recovered,
    ) -> Self {
        let length = |millis: Option<u64>| millis.map(Length::of_millis);
        let given = (length(of.segment_ms), length(of.part_ms));
        let keeping = keep::Keeping::new(recovered);
        let lengths = keeping.lengths(given);
        Self {
            id: of.id.clone(),
            name: of.name.clone(),
            began: Instant::now(),
            last_error: None,
            came: None,
            access: of.access.unwrap_or(access),
            window_micros: of.window_ms * 1000,
            patience: of.patience_ms.map(Duration::from_millis),
            given,
            lengths,
            longer: keeping.longer(lengths),
            fitting: lengths.filter(|_| !keeping.is_fitted(given.1)).map(Fitting::of),
            feeds: Vec::new(),
            unsettled: VecDeque::new(),
            unsettled_size: 0,
            renditions: Vec::new(),
            outputs: Vec::new(),
            zeros: keeping.zeros(),
            events: Events::default(),
            keeping,
            post,
            counts,
            batch: Vec::new(),
            of: of.clone(),
            remuxing: Remuxing::default(),
            multivariants: Default::default(),
            manifests: Default::default(),
            sources: Sources::new(&of.sources),
            orders: Vec::new(),
            requests: 0,
            pushed: Vec::new(),
            is_closed: false,
        }
    }

    /// Its name in URLs.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    fn since_began(&self, stamp: Stamp) -> Duration {
        stamp.instant.saturating_duration_since(self.began)
    }

    /// Takes a chunk of a feed; gives what came of it, if that is known yet.
    ///
    /// # Errors
    ///
    /// `Refused`: it has a place, and could not be written there.
    pub fn take(
        &mut self,
        feed: usize,
        request: Request,
        chunk: &Chunk,
        bytes: &[u8],
        stamp: Stamp,
    ) -> Result<Option<Taken>, Unfit> {
        if self.is_closed {
            return Err(Unfit::Gone);
        }
        self.came = Some(stamp.instant);
        if self.lengths.is_some() {
            self.fit(feed, request.source, chunk, stamp);
            let taken = self.offer(feed, request, chunk, bytes, stamp)?;
            if matches!(taken, Some(Taken::Published(steps)) if steps != Steps::default()) {
                self.counts.published(stamp.instant.elapsed());
            }
            return Ok(taken);
        }
        self.keep((feed, request), chunk, bytes, stamp);
        let Some(lengths) = self.learnt() else { return Ok(None) };
        self.settle(lengths, stamp)
    }

    fn keep(
        &mut self,
        (feed, request): (usize, Request),
        chunk: &Chunk,
        bytes: &[u8],
        stamp: Stamp,
    ) {
        let of = &mut self.feeds[feed].given[request.source];
        if let Some(timed) = of.learn(chunk) {
            let end = timed.start.plus(timed.duration).micros();
            of.unsettled_micros += end.abs_diff(timed.start.micros());
        }
        self.unsettled_size += bytes.len();
        let (chunk, bytes) = (chunk.clone(), bytes.to_vec());
        self.unsettled.push_back(Unsettled { feed, request, chunk, bytes, stamp });
        while self.unsettled_size > UNSETTLED_SIZE_MAX
            || self.unsettled.len() > UNSETTLED_CHUNKS_MAX
        {
            let Some(oldest) = self.unsettled.pop_front() else { break };
            self.unsettled_size -= oldest.bytes.len();
        }
    }

    /// The channel's lengths, if what has come tells them: the first picture does, or a sound for
    /// which no picture has come.
    fn learnt(&self) -> Option<Lengths> {
        let is = |feed: &&Feed, media| lead(&feed.header.init).sample.media == media;
        let picture = self.feeds.iter().find(|feed| is(feed, Media::Video));
        let awaited = |feed: &&Feed| {
            let micros = |given: &Given| given.unsettled_micros;
            feed.given.iter().map(micros).max().unwrap_or(0) >= PICTURE_AWAITED_MICROS
        };
        let other = || self.feeds.iter().find(awaited);
        let lead = picture.or_else(other)?;
        let has_come = |feed: &Feed| feed.given.iter().any(|given| given.learner.chunk().is_some());
        let all = self.feeds.iter().all(|feed| !is(&feed, Media::Audio) || has_come(feed));
        let given = self.feeds.iter().flat_map(|feed| &feed.given);
        let micros = given.map(|given| given.unsettled_micros).max().unwrap_or(0);
        if !all && micros < SOUNDS_AWAITED_MICROS {
            return None;
        }
        lead.given.iter().find_map(|given| given.learner.lengths(false))
    }

    /// Lengths are known: everything that has come is published. Gives what came of the last chunk.
    fn settle(&mut self, lengths: Lengths, stamp: Stamp) -> Result<Option<Taken>, Unfit> {
        self.fitting = Some(Fitting::since(lengths, stamp.instant));
        let lengths = self.fitted(lengths, stamp);
        let millis = |length: Length| length.micros() / 1000;
        tracing::info!(
            channel = self.id,
            segment_ms = millis(lengths.segment),
            part_ms = millis(lengths.part),
            "lengths are settled"
        );
        self.lengths = Some(lengths);
        self.keeping.settle(lengths, self.given.1);
        for at in 0..self.feeds.len() {
            self.begin_rendition(at, lengths, stamp);
        }
        self.unsettled_size = 0;
        let mut last = None;
        for one in std::mem::take(&mut self.unsettled) {
            last = self.offer(one.feed, one.request, &one.chunk, &one.bytes, one.stamp)?;
        }
        Ok(last)
    }

    /// Takes everything back: the channel is gone.
    pub fn close(&mut self) {
        self.is_closed = true;
        for (output, rendition) in self.outputs.iter_mut().zip(&self.renditions) {
            output.forget_all(&self.post, &mut self.batch);
            let names = Kind::ALL.into_iter().map(|kind| rendition.playlist(kind));
            let names = names.chain([DELTA, DELTA_OF_DATES].map(str::to_owned));
            let names = names.chain(rendition.headers.iter().cloned());
            self.batch.extend(names.map(|name| absent(format!("{}/{name}", output.folder))));
            // The folder goes last: it releases whoever waits there.
            self.batch.push(absent(output.folder.clone()));
        }
        self.close_remux();
        self.close_manifests();
        for name in self.texts() {
            self.batch.push(absent(format!("/tv/{}/{name}", self.id)));
        }
        if self.remuxing.is_result() {
            return self.post.list(&mut self.batch);
        }
        self.batch.push(absent(format!("/tv/{}", self.id)));
        self.post.list(&mut self.batch);
        self.keeping.archive().end();
    }

    /// Publishes a chunk, whose bytes have this hash, if it has a place.
    fn publish(
        &mut self,
        at: usize,
        chunk: &Chunk,
        (bytes, hash): (&[u8], u64),
        stamp: Stamp,
    ) -> Result<Taken, Unfit> {
        let rendition = &mut self.renditions[at];
        let taken = rendition.publisher.take(chunk, hash, stamp.micros, &mut self.zeros);
        if let Some(run) = chunk.fragment.runs.first()
            && let Some(track) = rendition.publisher.init().track(run.track)
            && track.sample.media == Media::Video
        {
            rendition.measure.add_run(run.samples, run.duration, track.timescale);
        }
        self.tally(at, chunk, taken, stamp);
        if taken == Taken::Late {
            self.learn_from_late(at, chunk, stamp);
        }
        let Taken::Published(steps) = taken else { return Ok(taken) };
        let _held = self.post.hold();
        self.outputs[at].fed = Some(stamp.instant);
        self.take_events(at, chunk);
        let says_last = chunk.brands.is_some_and(|brands| brands.last);
        if std::mem::take(&mut self.outputs[at].gaps) > 0 && !self.is_text(at) {
            let rendition = &self.renditions[at].name;
            tracing::info!(channel = self.id, rendition, "its encoder is back");
        }
        let is_independent = chunk.fragment.runs.iter().any(|run| run.independent);
        let written = self.follow(at, &steps, (bytes, is_independent), stamp);
        if steps.begins_segment {
            self.remember_begun(at);
        }
        self.outputs[at].ends_with_it |= says_last;
        // A chunk in the middle of a part changes nothing that is listed.
        if steps != Steps::default() {
            self.tell(at, steps.ends_segment || steps.gaps > 0, steps.begins_segment, stamp);
        }
        if written.is_ok() {
            self.keep_grown(at, chunk, bytes, stamp);
            self.remux(at, chunk, bytes, stamp);
        }
        if let Err(refused) = written {
            self.renditions[at].publisher.forget(chunk);
            self.end_segment(at, stamp);
            return Err(Unfit::Refused(refused));
        }
        Ok(taken)
    }

    /// Does what a chunk brings about.
    fn follow(
        &mut self,
        at: usize,
        steps: &Steps,
        (bytes, is_independent): (&[u8], bool),
        stamp: Stamp,
    ) -> Result<(), Refused> {
        let (output, post) = (&mut self.outputs[at], &mut self.post);
        let rendition = &mut self.renditions[at];
        if steps.ends_part {
            self.batch.extend(output.end_part(post, stamp));
        }
        if steps.ends_segment {
            self.batch.extend(output.end_segment(post, &mut rendition.measure, stamp));
        }
        let segment = rendition.publisher.timeline().segments().back();
        let segment = segment.expect("a chunk was published");
        if steps.begins_segment {
            output.begin_segment(post, segment, rendition.publisher.timeline().run());
            output.ends_with_it = false;
        }
        let is_anew = steps.gaps > 0 || (steps.begins_segment && segment.discontinuity);
        output.append(post, Piece { bytes, is_independent, is_anew })?;
        output.key_size = segment.key_size;
        output.duration_micros = segment.end().micros().abs_diff(segment.start.micros());
        if steps.completes_part {
            self.batch.extend(output.end_part(post, stamp));
        }
        Ok(())
    }

    /// A request for a feed has ended. Encoders send a segment a request, so if that has all that
    /// belongs to it, or is the last one, it need not wait for the next one to be whole.
    ///
    /// Media time says what belongs to it: some encoders put the last sound of a segment into the
    /// next request.
    pub fn end_request(&mut self, at: usize, stamp: Stamp) {
        if self.lengths.is_none() {
            return;
        }
        if self.renditions[at].publisher.is_full() || self.outputs[at].ends_with_it {
            self.end_segment(at, stamp);
        }
    }

    /// Nothing more comes to the segment that grows.
    pub fn end_segment(&mut self, at: usize, stamp: Stamp) {
        // A request that broke off may say so when the channel is gone.
        if self.is_closed {
            return;
        }
        let _held = self.post.hold();
        if self.close_segment(at, stamp) {
            self.tell(at, true, false, stamp);
        }
    }

    /// The same, and nobody is told yet; false if none grows.
    fn close_segment(&mut self, at: usize, stamp: Stamp) -> bool {
        let growing = self.renditions[at].publisher.timeline().growing();
        let part_grew = growing.is_some_and(|last| !last.last_part_is_whole);
        if !self.renditions[at].publisher.end_segment() {
            return false;
        }
        let (output, rendition) = (&mut self.outputs[at], &mut self.renditions[at]);
        if part_grew {
            self.batch.extend(output.end_part(&mut self.post, stamp));
        }
        let listings = output.end_segment(&mut self.post, &mut rendition.measure, stamp);
        if listings.is_empty() {
            // Nothing of it could be written.
            rendition.publisher.timeline_mut().spoil_last();
        }
        self.batch.extend(listings);
        true
    }

    /// The segment of a feed that grows.
    #[must_use]
    pub fn growing(&self, at: usize) -> Option<Grown> {
        let last = self.renditions.get(at)?.publisher.timeline().growing()?;
        Some(Grown { number: last.number, duration: last.duration })
    }

    /// The number of the segment that grows, if this is its first chunk.
    #[must_use]
    pub fn begun_with(&self, at: usize, chunk: &Chunk) -> Option<i64> {
        let publisher = &self.renditions.get(at)?.publisher;
        let last = publisher.timeline().growing()?;
        (publisher.start_of(chunk)? == last.start).then_some(last.number)
    }

    fn is_text(&self, at: usize) -> bool {
        lead(&self.feeds[at].header.init).sample.media == Media::Text
    }

    /// How long a segment is, once that is known.
    #[must_use]
    pub fn segment_length(&self) -> Option<Duration> {
        self.lengths.map(|lengths| Duration::from_micros(lengths.segment.micros()))
    }
}
