//! Writing one text: a path and the records in, bytes that can be sent out.

use std::sync::Arc;

use bytes::Bytes;

use super::pieces::{self, Shared};
use super::windows::Windows;
use crate::config::CATCH_UP_TEXT_SIZE_MAX;
use crate::library::past::Past;
use crate::live::boxes::stream::{Event, Reader};
use crate::live::catchup::address::{self, Address, Stretch};
use crate::live::catchup::excerpt::{Basis, Excerpt, Form, Unwritten, basis, excerpt};
use crate::live::catchup::passed::Passed;
use crate::live::catchup::reel::{Header, Headers, Reel};
use crate::live::catchup::tracks::Tracks;
use crate::live::catchup::{dash, hls};
use crate::live::playlist::ladder;
use crate::live::record::{Carried, Recorded};
use crate::live::records::Records;
use crate::messages::{self, Index, Laid, Opened, Payload, Single, SourceId, form_for};
use crate::pack::compress::gzip_now;
use crate::units::{Class, ETag, Extent, Rung, UnixTime, Variant, media_type};
use crate::viewer::Terms;

/// Why there is no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The path is no address.
    Address(address::Fault),
    /// Nothing is kept of the channel.
    NotKept,
    /// Nothing is kept of this stretch.
    Nothing,
    /// The stretch lies ahead.
    NotYet,
    /// Nothing is kept of this rendition in this stretch.
    Rendition,
    /// It would be too long.
    TooLong,
    /// Too many are waited for.
    Busy,
}

/// A text, as shards hold it.
#[derive(Debug)]
pub struct Text {
    /// The channel's id.
    pub channel: String,
    /// What it depends on.
    pub basis: Basis,
    /// Its bytes, gzipped as well where that pays.
    pub opened: Arc<Opened>,
    /// What its renditions take, by their folders.
    pub rungs: Vec<(Arc<str>, Rung)>,
    single: Single,
}

/// A part of a text's bytes, which are shared.
struct Part(Arc<Opened>, Extent);

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        let Payload::Heap(bytes) = &self.0.payload else { return &[] };
        let range = |of: u64| usize::try_from(of).unwrap_or(usize::MAX);
        let (start, size) = (range(self.1.offset), range(self.1.size));
        bytes.get(start..start.saturating_add(size)).unwrap_or_default()
    }
}

impl Text {
    /// Whether viewers of these terms may have it.
    pub fn is_within(&self, terms: Terms) -> bool {
        self.single.rung.least_cap_kbps() <= terms.bitrate_max_kbps
    }

    /// The bytes for who accepts gzip or does not, on these terms, their tag, and whether they are
    /// gzipped.
    pub fn bytes(&self, gzip: bool, terms: Terms) -> (Bytes, ETag, bool) {
        let form = form_for(&self.single.narrowed, terms.bitrate_max_kbps) as usize;
        let (identity, gzipped) = match form.checked_sub(1) {
            None => (self.single.identity, self.single.gzip),
            Some(at) => (self.single.narrowed[at].identity, self.single.narrowed[at].gzip),
        };
        let gzipped = gzipped.filter(|_| gzip);
        let Variant { extent, etag } = gzipped.unwrap_or(identity);
        let bytes = Bytes::from_owner(Part(Arc::clone(&self.opened), extent));
        (bytes, etag, gzipped.is_some())
    }

    /// Bytes of memory that it takes.
    pub fn size(&self) -> usize {
        match &self.opened.payload {
            Payload::Heap(bytes) => bytes.len(),
            Payload::Reel(reel) => reel.count() * size_of::<u64>(),
            Payload::File(_) => 0,
        }
    }

    /// Whether there is a gzipped form.
    pub fn has_gzip(&self) -> bool {
        self.single.gzip.is_some()
    }

    /// Its media type.
    pub fn media_type(&self) -> &'static str {
        self.single.media_type
    }

    /// How long caches may keep it.
    pub fn cache_control(&self) -> &'static str {
        crate::request::head::cache_control_of_live(self.opened.source, self.single.class)
    }
}

/// What writes, with what it must remember for it.
pub struct Writer {
    records: Arc<Records>,
    windows: Windows,
    past: Past,
    streams: Shared,
    /// The number of the next text.
    next: u64,
}

impl Writer {
    /// From these records, and with what is remembered of windows that slide.
    /// Streams are added to these, and their headers read from there.
    pub fn new(records: Arc<Records>, windows: Windows, (past, streams): (Past, Shared)) -> Self {
        Self { records, windows, past, streams, next: 0 }
    }

    /// The text at this path.
    ///
    /// # Errors
    ///
    /// See [`Refused`].
    pub fn text(&mut self, path: &str, now_micros: i64) -> Result<Text, Refused> {
        let address = Address::read(path).map_err(Refused::Address)?;
        let Address { channel, stretch, text, .. } = address;
        // Both of one state of the record, and nothing more while it is locked.
        let read = self.records.with(channel, |record| {
            let basis = basis(record, stretch, text, now_micros);
            excerpt(record, stretch, now_micros).map(|excerpt| (basis, excerpt))
        });
        let read = read.map(|read| match read {
            Ok((basis, excerpt)) if matches!(text, address::Text::Manifest) => {
                excerpt.of_dash().map(|excerpt| (basis, excerpt))
            }
            read => read,
        });
        let (basis, excerpt) = read.ok_or(Refused::NotKept)?.map_err(|why| match why {
            Unwritten::TooMuch => Refused::TooLong,
            Unwritten::Nothing => match stretch {
                Stretch::Between { from, .. } if from > now_micros => Refused::NotYet,
                _ => Refused::Nothing,
            },
        })?;
        if let address::Text::StreamOf(lead) = text {
            let until = match stretch {
                Stretch::Between { until, .. } => until,
                Stretch::Rewind => now_micros,
            };
            return self.stream(path, (channel, lead, until), excerpt, basis);
        }
        let form = basis.form;
        let mut passed = match stretch {
            Stretch::Rewind => self.windows.of(channel),
            Stretch::Between { .. } => Passed::default(),
        };
        let tracks = Tracks::new(excerpt, &mut passed);
        if stretch == Stretch::Rewind {
            self.windows.put(channel, passed);
        }
        let written = written(&tracks, &address, form).ok_or(Refused::Rendition)?;
        if written.len() > CATCH_UP_TEXT_SIZE_MAX {
            return Err(Refused::TooLong);
        }
        let source = SourceId::of_past(self.next, form == Form::Complete);
        self.next += 1;
        let modified = UnixTime(u64::try_from(now_micros / 1_000_000).unwrap_or(0));
        let rungs = rungs(tracks.tracks.iter().map(|track| &track.of));
        let rung = match text {
            address::Text::Media(name) => rungs.iter().find(|(of, _)| of == name),
            _ => None,
        };
        let rung = rung.map_or(Rung::default(), |(_, rung)| *rung);
        let (opened, single) = opened(source, path, (&written, rung), modified);
        let folder = |(name, rung)| (format!("/tv/{channel}/{name}").into(), rung);
        let rungs = rungs.into_iter().map(folder).collect();
        Ok(Text { channel: channel.to_owned(), basis, opened, rungs, single })
    }

    /// One transport stream of a rendition; its pieces are made when somebody wants them.
    fn stream(
        &mut self,
        path: &str,
        (channel, lead, until): (&str, &str, i64),
        excerpt: Excerpt,
        basis: Basis,
    ) -> Result<Text, Refused> {
        let source = SourceId::of_past(self.next, basis.form == Form::Complete);
        self.next += 1;
        let rungs = rungs(excerpt.renditions.iter());
        let rung = rungs.iter().find(|(name, _)| name == lead).map(|(_, rung)| *rung);
        let begins = excerpt.renditions.iter().find(|one| one.name == lead);
        let begins = begins.and_then(|one| one.segments.first()).map(|kept| kept.unix_micros().0);
        let about = u64::try_from(begins.unwrap_or(0) / 1_000_000).unwrap_or(0);
        let mut headers = FromArchive { past: &mut self.past, channel, about };
        let reel =
            Reel::new(excerpt, (lead, until), &mut headers).map_err(|_| Refused::Rendition)?;
        let modified = UnixTime(u64::try_from(reel.begins() / 1_000_000).unwrap_or(0));
        let sizes = messages::Reel::of(reel.sizes());
        let extent = Extent { offset: 0, size: sizes.size() };
        // The number goes up when pieces are made in another way.
        let about = format!("1 {path} {:?} {}", basis.segments, sizes.size());
        let etag = ETag::of(about.as_bytes());
        let single = Single {
            media_type: media_type(path),
            class: Class::Segment,
            modified,
            identity: Variant { extent, etag },
            gzip: None,
            narrowed: Box::default(),
            rung: rung.unwrap_or_default(),
        };
        pieces::add(&self.streams, source, channel, reel);
        let (index, payload) = (Index::Single(single.clone()), Payload::Reel(sizes));
        let opened = Arc::new(Opened { source, index, payload, beside: None });
        let folder = |(name, rung)| (format!("/tv/{channel}/{name}").into(), rung);
        let rungs = rungs.into_iter().map(folder).collect();
        Ok(Text { channel: channel.to_owned(), basis, opened, rungs, single })
    }

    /// Forgets windows of channels that are gone.
    pub fn forget_gone(&mut self) {
        let records = &self.records;
        self.windows.retain(|channel| records.with(channel, |_| ()).is_some());
    }
}

/// Headers of a channel, which lie in the hour of what needs them.
pub(super) struct FromArchive<'p> {
    pub(super) past: &'p mut Past,
    pub(super) channel: &'p str,
    /// In seconds since 1970.
    pub(super) about: u64,
}

impl Headers for FromArchive<'_> {
    fn header(&mut self, rendition: &str, name: &str) -> Option<Header> {
        let path = format!("{rendition}/{name}");
        let bytes = self.past.read(self.channel, &path, self.about);
        let bytes = bytes
            .inspect_err(|error| tracing::warn!(channel = self.channel, path, %error, "a header"))
            .ok()?;
        let mut events = Vec::new();
        Reader::default().take(&bytes, &mut events).ok()?;
        let init = events.into_iter().find_map(|event| match event {
            Event::Header(_, init) => Some(init),
            Event::Chunk(..) => None,
        });
        Some(Arc::new((bytes, init?)))
    }
}

/// What an address names; none for a rendition of which there is nothing.
fn written(tracks: &Tracks, address: &Address<'_>, form: Form) -> Option<String> {
    let target = hls::target_seconds(tracks, form);
    let up = address.up();
    Some(match address.text {
        address::Text::Multivariant => hls::multivariant(tracks),
        address::Text::Manifest => dash::manifest(tracks, form, target, up),
        address::Text::Media(rendition) => {
            let track = tracks.tracks.iter().find(|track| track.of.name == rendition)?;
            hls::media(track, form, target, up)
        }
        // It is no text.
        address::Text::Stream | address::Text::StreamOf(_) => return None,
    })
}

/// What renditions take, by their names; the lowest of the pictures is everybody's.
fn rungs<'r>(all: impl Iterator<Item = &'r Recorded> + Clone) -> Vec<(String, Rung)> {
    let of = |one: &Recorded| {
        let is_picture = matches!(one.about.carries, Carried::Video { .. });
        is_picture.then(|| ladder::kbps(one.about.bandwidth.peak))
    };
    let lowest = all.clone().filter_map(of).min();
    let rung = |one: &Recorded| match of(one) {
        Some(kbps) => Rung { kbps, is_capped: lowest.is_some_and(|lowest| kbps > lowest) },
        None => Rung::default(),
    };
    all.map(|one| (one.name.clone(), rung(one))).collect()
}

/// A text as shards hold it, with what it is for who may not have every rendition, gzipped where
/// that pays.
fn opened(
    source: SourceId,
    path: &str,
    (text, rung): (&str, Rung),
    modified: UnixTime,
) -> (Arc<Opened>, Single) {
    let (media_type, class) = (media_type(path), Class::of(path));
    let laid = Laid::of(text.as_bytes(), &ladder::narrowed(class, text), gzip_now);
    let Laid { bytes, identity, gzip, narrowed } = laid;
    let single = Single { media_type, class, modified, identity, gzip, narrowed, rung };
    let (index, payload) = (Index::Single(single.clone()), Payload::Heap(bytes));
    (Arc::new(Opened { source, index, payload, beside: None }), single)
}
