//! The channel as a transport stream, made of its boxes when somebody wants it, once for all.
//!
//! What is made is a channel of its own, which shards know by `/tv/{id}/stream.ts`, `ts.m3u8` and
//! the folder `ts`: packets go the same way as those that an encoder pushes. As long as nobody
//! watches, the two paths are listed without anything behind them; a shard whose client asks for
//! one says so. Shards are asked now and then whether anybody still watches.

use std::time::{Duration, Instant};

use super::{Channel, Feed, Header, Request};
use crate::config::{self, REMUX_ASK_MS, REMUX_IDLE_MS, REMUX_PAUSE_MS, REMUX_PAUSE_MS_MAX};
use crate::ingest::archive::Recovered;
use crate::ingest::output::{Output, Stamp, absent};
use crate::live::boxes::init::Media;
use crate::live::boxes::stream::Chunk;
use crate::live::channel::{self, Container, Latency};
use crate::live::protection::Protection;
use crate::live::publisher::{Zeros, lead, timed};
use crate::live::ts::TIMESCALE;
use crate::live::ts::mux::{Muxer, Source};
use crate::live::ts::stream::{Event, Known, Reader};
use crate::messages::{Change, Listing, SourceId, ToLive};
use crate::units::Rung;

/// Name of the rendition that is made, and of its folder.
pub(super) const FOLDER: &str = "ts";

/// The channel's playlist for players that know nothing but transport streams.
pub(super) const PLAYLIST: &str = "ts.m3u8";

/// The channel as one stream.
pub(super) const STREAM: &str = "stream.ts";

/// Names of the texts of a channel.
pub(super) const TEXTS: [&str; 4] = ["master.m3u8", "ll.m3u8", "manifest.mpd", "ll.mpd"];

/// Whether and how a channel is made of this one.
#[derive(Debug, Default)]
pub(super) struct Remuxing {
    /// This channel is itself made of another one.
    is_result: bool,
    /// What is listed, to be made on demand.
    offered: Vec<SourceId>,
    running: Option<Running>,
    /// What the picture takes that it is made of.
    rung: Rung,
    /// The last number that was published: what is made anew within one segment has other bytes.
    last: Option<i64>,
    /// How often it failed in a row, and when it may begin again.
    failures: u32,
    not_before: Option<Instant>,
}

#[derive(Debug)]
struct Running {
    muxer: Muxer,
    reader: Option<Reader>,
    channel: Box<Channel>,
    feed: Option<usize>,
    /// When somebody was known to watch, and when that was asked last.
    watched: Instant,
    asked: Instant,
}

impl Remuxing {
    pub(super) fn is_result(&self) -> bool {
        self.is_result
    }

    /// What it takes, if this is one that is made.
    pub(super) fn rung(&self) -> Option<Rung> {
        self.is_result.then_some(self.rung)
    }
}

impl Channel {
    /// Names of the texts of this channel.
    pub(super) fn texts(&self) -> &'static [&'static str] {
        if self.remuxing.is_result {
            return &[PLAYLIST];
        }
        &TEXTS
    }

    /// Writes the playlist of a channel that is made of another one.
    pub(super) fn write_remuxed(&mut self, stamp: Stamp) {
        // Players that are so old stop at a version that they do not know, and need none.
        let text = channel::multivariant(&self.renditions, Latency::Plain);
        let text = text.replacen("#EXT-X-VERSION:6\n", "#EXT-X-VERSION:3\n", 1);
        if text != self.multivariants[0] {
            let path = format!("/tv/{}/{PLAYLIST}", self.id);
            self.batch.push(self.post.text(&path, text.as_bytes(), self.access, stamp));
            self.multivariants[0] = text;
        }
    }

    /// Whether it can be asked for.
    pub(super) fn is_remux_offered(&self) -> bool {
        !self.remuxing.offered.is_empty() || self.remuxing.running.is_some()
    }

    /// Where it goes, while it is made.
    pub(super) fn remuxed_output(&self) -> Option<&Output> {
        self.remuxing.running.as_ref()?.channel.outputs.first()
    }

    /// What puts all renditions together, if they can be: one that goes on behind another, if there
    /// is one.
    fn muxer(&self, before: Option<&Muxer>) -> Option<Muxer> {
        let can_be = |feed: &Feed| {
            feed.container == Container::Cmaf && Protection::of(&feed.header.init).is_none()
        };
        if !self.feeds.iter().all(can_be) {
            return None;
        }
        let sources = self.feeds.iter().enumerate().map(|(id, feed)| Source {
            id,
            header: &feed.header.bytes,
            init: &feed.header.init,
        });
        let sources: Vec<_> = sources.collect();
        let muxer = match before {
            Some(before) => before.renewed(&sources),
            None => Muxer::new(&sources),
        };
        muxer.ok().flatten()
    }

    /// Says what it takes, if that is not what was said last: what the picture of it takes.
    fn tell_remux_rung(&mut self) {
        let is_picture = |feed: &&Feed| lead(&feed.header.init).sample.media == Media::Video;
        let first = self.feeds.iter().position(|feed| is_picture(&feed));
        let rung = first.filter(|at| *at < self.renditions.len()).map(|at| self.rung(at));
        let rung = rung.unwrap_or_default();
        if rung == self.remuxing.rung {
            return;
        }
        self.remuxing.rung = rung;
        if let Some(running) = &mut self.remuxing.running {
            running.channel.remuxing.rung = rung;
        }
        let path = format!("/tv/{}/{STREAM}", self.id).into();
        self.batch.push(Listing { path, change: Change::Rung(rung) });
    }

    /// Lists what can be made on demand, if it is not yet.
    pub(super) fn offer_remux(&mut self) {
        let Remuxing { is_result, offered, running, .. } = &self.remuxing;
        if *is_result {
            return;
        }
        if offered.is_empty() && running.is_none() && self.muxer(None).is_some() {
            for name in [STREAM, PLAYLIST] {
                let path = format!("/tv/{}/{name}", self.id);
                let (source, listing) = self.post.on_demand(&path, self.access);
                self.remuxing.offered.push(source);
                self.batch.push(listing);
            }
        }
        if self.is_remux_offered() {
            self.tell_remux_rung();
        }
    }

    /// A shard says what its clients want.
    pub fn want(&mut self, want: &ToLive, stamp: Stamp) {
        match want {
            ToLive::Wanted(source) if self.remuxing.offered.contains(source) => {
                if self.remuxing.not_before.is_some_and(|until| stamp.instant < until) {
                    self.post.fail(*source);
                } else if self.remuxing.running.is_none() {
                    self.start_remux(stamp);
                }
            }
            ToLive::Wanted(source) => self.want_patch(*source, stamp),
            ToLive::Gzip(_) => {}
            ToLive::Watched(folder) => {
                if let Some(running) = &mut self.remuxing.running
                    && running.folder() == Some(folder)
                {
                    running.watched = stamp.instant;
                }
            }
        }
    }

    fn start_remux(&mut self, stamp: Stamp) {
        let Some(muxer) = self.muxer(None) else { return };
        let (post, counts) = (self.post.clone(), Default::default());
        let of = config::Channel { sources: Default::default(), ..self.of.clone() };
        let kept = self.remuxing.last.map(|number| (FOLDER.to_owned(), number));
        let recovered = Recovered { kept: Vec::from_iter(kept), ..Recovered::nothing() };
        let mut channel = Channel::new(&of, self.access, post, counts, recovered);
        channel.remuxing.is_result = true;
        channel.remuxing.rung = self.remuxing.rung;
        (channel.lengths, channel.longer) = (self.lengths, self.longer);
        let known = self.zeros.known().to_vec();
        channel.zeros = Zeros::of_known(known, self.zeros.newest_stretch());
        self.counts.add_remux();
        tracing::info!(channel = self.id, "a transport stream is made of it");
        self.remuxing.running = Some(Running {
            muxer,
            reader: None,
            channel: Box::new(channel),
            feed: None,
            watched: stamp.instant,
            asked: stamp.instant,
        });
    }

    /// A chunk was published.
    pub(super) fn remux(&mut self, at: usize, chunk: &Chunk, bytes: &[u8], stamp: Stamp) {
        let Some(running) = &mut self.remuxing.running else { return };
        if !running.muxer.has(at) {
            return;
        }
        let init = self.renditions[at].publisher.init();
        if running.reader.is_none() {
            let Some(timed) = timed(init, chunk) else { return };
            let ticks = i128::from(timed.start.ticks) * i128::from(TIMESCALE)
                / i128::from(timed.start.timescale);
            let known = Known::at(i64::try_from(ticks).unwrap_or(0).max(0));
            // A segment is known to be whole with the first chunk of the next one.
            let longest = running.channel.transport_ticks().min(u64::from(TIMESCALE) / 2);
            running.reader = Some(Reader::new(known, longest));
        }
        let mut packets = Vec::new();
        let muxed =
            running.muxer.take(at, init, bytes, &mut packets).map_err(|error| error.to_string());
        match muxed.and_then(|()| running.publish(&packets, stamp)) {
            Ok(()) => self.remuxing.failures = 0,
            Err(error) => {
                tracing::warn!(channel = self.id, error, "no transport stream can be made of it");
                let remuxing = &mut self.remuxing;
                let pause = REMUX_PAUSE_MS << remuxing.failures.min(16);
                let pause = Duration::from_millis(pause.min(REMUX_PAUSE_MS_MAX));
                remuxing.failures += 1;
                remuxing.not_before = Some(stamp.instant + pause);
                self.stop_remux();
            }
        }
    }

    /// A rendition has another header: what is made goes on with it, behind a discontinuity. Where
    /// that can't be, it ends.
    pub(super) fn renew_remux(&mut self, stamp: Stamp) {
        let Some(running) = &self.remuxing.running else { return };
        let renewed = self.muxer(Some(&running.muxer));
        let Some((muxer, running)) = renewed.zip(self.remuxing.running.as_mut()) else {
            return self.stop_remux();
        };
        if let Err(error) = running.go_on_with(muxer, stamp) {
            tracing::warn!(channel = self.id, error, "its transport stream can't go on");
            self.stop_remux();
        }
    }

    /// Nothing is made any more, until somebody wants it again.
    pub(super) fn stop_remux(&mut self) {
        if self.remuxing.running.is_some() {
            self.close_remux();
            self.offer_remux();
            self.post.list(&mut self.batch);
        }
    }

    /// What is made of the channel is gone, and nothing is offered.
    pub(super) fn close_remux(&mut self) {
        if let Some(mut running) = self.remuxing.running.take() {
            self.remuxing.last = running.last().or(self.remuxing.last);
            running.channel.close();
        }
        // Told again with what is offered next.
        self.remuxing.rung = Rung::default();
        if !std::mem::take(&mut self.remuxing.offered).is_empty() {
            let names = [STREAM, PLAYLIST].into_iter();
            self.batch.extend(names.map(|name| absent(format!("/tv/{}/{name}", self.id))));
        }
    }

    /// Asks whether anybody watches, and stops when nobody does.
    pub fn look_at_remux(&mut self, stamp: Stamp) {
        let Some(running) = &mut self.remuxing.running else { return };
        running.channel.publish_overdue(stamp);
        let since = |at: Instant| stamp.instant.saturating_duration_since(at);
        if since(running.watched) >= Duration::from_millis(REMUX_IDLE_MS) {
            tracing::info!(channel = self.id, "nobody watches its transport stream");
            self.stop_remux();
        } else if since(running.asked) >= Duration::from_millis(REMUX_ASK_MS) {
            running.asked = stamp.instant;
            running.channel.ask_for_viewers();
        }
    }
}

impl Running {
    fn folder(&self) -> Option<&str> {
        self.channel.outputs.first().map(|output| output.folder.as_str())
    }

    /// The number of the last segment that was begun.
    fn last(&self) -> Option<i64> {
        let timeline = self.channel.renditions.first()?.publisher.timeline();
        timeline.segments().back().map(|last| last.number)
    }

    /// Packets go the way of those that an encoder pushes.
    fn publish(&mut self, packets: &[u8], stamp: Stamp) -> Result<(), String> {
        let Some(reader) = &mut self.reader else { return Ok(()) };
        let mut events = Vec::new();
        let read = reader.take(packets, &mut events);
        self.take_events(events, stamp)?;
        read.map_err(|error| error.to_string())
    }

    /// What was made so far ends, and other headers hold for what comes next.
    fn go_on_with(&mut self, muxer: Muxer, stamp: Stamp) -> Result<(), String> {
        let mut packets = Vec::new();
        self.muxer.finish(&mut packets);
        self.publish(&packets, stamp)?;
        let mut events = Vec::new();
        if let Some(reader) = &mut self.reader {
            reader.end(&mut events);
        }
        self.take_events(events, stamp)?;
        self.muxer = muxer;
        if let Some(feed) = self.feed {
            self.channel.change_streams(feed);
        }
        Ok(())
    }

    fn take_events(&mut self, events: Vec<Event>, stamp: Stamp) -> Result<(), String> {
        for event in events {
            let taken = match (event, self.feed) {
                (Event::Header(init), _) => {
                    let feed = self.channel.take_header((0, FOLDER), Header::Ts, init, stamp);
                    feed.map(|feed| self.feed = Some(feed))
                }
                (Event::Chunk(chunk, bytes), Some(feed)) => {
                    self.channel.take(feed, Request::default(), &chunk, &bytes, stamp).map(drop)
                }
                (Event::Break, Some(feed)) => {
                    self.channel.may_begin_anew(feed, 0, stamp);
                    Ok(())
                }
                (Event::Break | Event::Chunk(..), None) => Ok(()),
            };
            taken.map_err(|unfit| format!("{unfit:?}"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
