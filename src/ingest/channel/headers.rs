//! Headers of a channel: which feed and rendition each of them begins, or goes on with.

use std::sync::Arc;

use super::{Channel, Feed, Given, Unfit, remux};
use crate::config::{HEADER_SIZE_MAX, RENDITIONS_MAX};
use crate::ingest::output::{Output, Stamp};
use crate::ingest::receive;
use crate::live::boxes::init::Init;
use crate::live::channel::{Container, Rendition};
use crate::live::cut::Lengths;
use crate::live::learn::Learner;
use crate::live::protection::Protection;
use crate::live::publisher::{Publisher, lead};
use crate::live::record;
use crate::live::ts::stream::Known;
use crate::live::upload::{Kind, Match, Track, upload};
use crate::units::ETag;

/// A header, as it comes.
#[derive(Clone, Copy, Debug)]
pub enum Header<'b> {
    /// An initialisation segment.
    Cmaf(&'b [u8]),
    /// None: a transport stream says what it is all the time.
    Ts,
}

/// A header that came.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) init: Init,
    /// Of its bytes; of a transport stream, of what that is.
    pub(super) tag: ETag,
    /// None of a transport stream.
    pub(super) bytes: Arc<[u8]>,
}

impl Channel {
    /// The feed whose header a media upload belongs to.
    #[must_use]
    pub fn feed_of(&self, track: &Track<'_>) -> Option<usize> {
        let found = |wanted: Match| {
            let of = |feed: &Feed| track.matches(&track_of_header(&feed.path)) == wanted;
            let has_header = |feed: &Feed| feed.container == Container::Cmaf;
            let is_it = |(_, feed): &(usize, &Feed)| has_header(feed) && of(feed);
            let mut found = (0..).zip(&self.feeds).filter(is_it);
            let first = found.next().map(|(at, _)| at);
            first.filter(|_| found.next().is_none())
        };
        found(Match::Exact).or_else(|| found(Match::SameFolder))
    }

    /// The newest header of a feed that a source has sent.
    #[must_use]
    pub fn init(&self, feed: usize, source: usize) -> Option<&Init> {
        self.feeds[feed].given[source].header.as_ref().map(|header| &header.init)
    }

    /// Takes a header that a source sent to this path; gives its feed.
    ///
    /// # Errors
    ///
    /// `TooManyRenditions`.
    pub fn take_header(
        &mut self,
        (source, path): (usize, &str),
        header: Header<'_>,
        init: Init,
        stamp: Stamp,
    ) -> Result<usize, Unfit> {
        if self.is_closed {
            return Err(Unfit::Gone);
        }
        let (container, bytes, tag) = match header {
            Header::Cmaf(bytes) => (Container::Cmaf, bytes, ETag::of(bytes)),
            Header::Ts => (Container::Ts, &[][..], ETag::of(format!("{init:?}").as_bytes())),
        };
        if bytes.len() > HEADER_SIZE_MAX {
            return Err(Unfit::HeaderTooLarge);
        }
        let sent = Sent { init, tag, bytes: bytes.into() };
        let is_known = |feed: &Feed| feed.path == path && feed.container == container;
        if let Some(at) = self.feeds.iter().position(is_known) {
            if self.is_taken_from(at, source) {
                self.change_header(at, &sent, stamp);
            }
            self.feeds[at].given[source].header = Some(sent);
            return Ok(at);
        }
        if self.feeds.len() == RENDITIONS_MAX {
            return Err(Unfit::TooManyRenditions);
        }
        let name = self.free_name(path);
        let codecs = &lead(&sent.init).sample.codecs;
        tracing::info!(channel = self.id, rendition = name, codecs, "a rendition begins");
        let at = self.feeds.len();
        let learner = Learner::new(self.given.0, self.given.1);
        let nothing = || Given {
            header: None,
            known: Known::default(),
            learner: learner.clone(),
            sample: 0,
            unsettled_micros: 0,
        };
        let mut given: Vec<_> = (0..self.sources.count()).map(|_| nothing()).collect();
        given[source].header = Some(sent.clone());
        let folder = format!("/tv/{}/{name}", self.id);
        let mut output = Output::new(folder, container, self.access, self.post.ledger());
        output.header = Some((header_name(tag), bytes.to_vec()));
        let (path, taken_from) = (path.to_owned(), None);
        self.feeds.push(Feed { path, name, container, header: sent, given, taken_from });
        self.outputs.push(output);
        if let Some(lengths) = self.lengths {
            self.begin_rendition(at, lengths, stamp);
        }
        Ok(at)
    }

    /// A name for what has its header at this path. Two paths may have one name: `a/b` and `a-b`.
    fn free_name(&self, path: &str) -> String {
        let name = track_of_header(path).name();
        let is_free = |name: &String| {
            let is_kept = *name == remux::FOLDER && !self.remuxing.is_result();
            !is_kept && self.feeds.iter().all(|feed| feed.name != *name)
        };
        let mut names = std::iter::once(name.clone()).chain((2..).map(|at| format!("{name}-{at}")));
        names.find(is_free).expect("there are fewer renditions than numbers")
    }

    /// A header holds for what comes next of a feed.
    pub(super) fn change_header(&mut self, at: usize, sent: &Sent, stamp: Stamp) {
        self.publish_all_awaiting(at, stamp);
        let feed = &mut self.feeds[at];
        let (name, container) = (&feed.name, feed.container);
        let is_other = feed.header.tag != sent.tag;
        feed.header = sent.clone();
        let header = header_name(sent.tag);
        if let Some(rendition) = self.renditions.get_mut(at) {
            if is_other {
                tracing::info!(channel = self.id, rendition = name, "another header");
                if container == Container::Cmaf {
                    self.pushed.iter_mut().for_each(|pushed| pushed.forget_key(&feed.path));
                    rendition.headers.push(header.clone());
                    rendition.protections.push(Protection::of(&sent.init));
                    self.list_header(at, &header, &sent.bytes, stamp);
                }
            }
            self.renditions[at].publisher.take_header(sent.init.clone(), is_other);
            self.begin_behind(at);
            if is_other {
                self.renew_remux(stamp);
            }
        } else {
            self.outputs[at].header = Some((header, sent.bytes.to_vec()));
        }
    }

    pub(super) fn begin_rendition(&mut self, at: usize, lengths: Lengths, stamp: Stamp) {
        let feed = &self.feeds[at];
        let (header, bytes) = self.outputs[at].header.take().expect("it waits for its rendition");
        let mut publisher = Publisher::new(feed.header.init.clone(), lengths);
        publisher.resume(self.keeping.begin_rendition(&feed.name), stamp.micros);
        // Not the time of what came, which may have come before a restart.
        publisher.begin_run(receive::now().micros);
        if let Some(longer) = self.longer {
            publisher.lengthen(longer);
        }
        let (name, container) = (feed.name.clone(), feed.container);
        let mut rendition = Rendition {
            name,
            container,
            publisher,
            measure: Default::default(),
            headers: Vec::new(),
            protections: Vec::new(),
            told_language: None,
        };
        if container == Container::Cmaf {
            rendition.headers.push(header.clone());
            rendition.protections.push(Protection::of(&feed.header.init));
        }
        self.renditions.push(rendition);
        self.take_language(at);
        self.begin_behind(at);
        if container == Container::Cmaf {
            self.list_header(at, &header, &bytes, stamp);
            self.take_key(at);
        } else {
            self.begin_stream(at);
        }
    }

    /// Tells a rendition what it was before a restart: its first segment goes on from that, or not.
    fn begin_behind(&mut self, at: usize) {
        let before = self.keeping.before(&self.feeds[at].name, self.feeds[at].header.tag);
        self.renditions[at].publisher.begin_behind(before);
    }

    fn list_header(&mut self, at: usize, header: &str, bytes: &[u8], stamp: Stamp) {
        let output = &self.outputs[at];
        let path = format!("{}/{header}", output.folder);
        let listing = self.post.text(&path, bytes, self.access, stamp);
        let newest = self.renditions[at].protections.last().cloned().flatten();
        let header = record::Header { name: header.to_owned(), protection: newest.map(Arc::new) };
        self.keeping.add_header(at, header, &listing);
        self.batch.push(listing);
    }
}

/// What a header at this path is the header of. A number in its name is part of that:
/// `camera1.mp4` is no segment if it begins with a header.
fn track_of_header(path: &str) -> Track<'_> {
    let upload = upload(path, None);
    if upload.kind == Kind::Media { upload.track.whole() } else { upload.track }
}

/// A header's name says which bytes it has, so it is never used for others.
fn header_name(tag: ETag) -> String {
    format!("init-{:032x}.mp4", u128::from_be_bytes(tag.0))
}
