//! What one rendition has in memory: the segment under way, and what is listed of earlier ones.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use super::health::Tally;
use super::post::{Described, Post};
use super::slab::{Ledger, Refused, Writer};
use crate::config::Access;
use crate::live::channel::Container;
use crate::live::drift::Drift;
use crate::live::measure::Measure;
use crate::live::playlist::dash::timed::Timed;
use crate::live::playlist::hls;
use crate::live::timeline::Segment;
use crate::live::ts::counters::Counters;
use crate::messages::{Change, GrowingId, Growth, Listing, Opened};
use crate::units::{Class, ETag, Tagger, UnixTime};

/// The moment at which something came.
#[derive(Clone, Copy, Debug)]
pub struct Stamp {
    /// Microseconds of Unix time.
    pub micros: i64,
    /// The same for waiting: it goes on evenly, whatever becomes of the clock.
    pub instant: Instant,
}

impl Stamp {
    /// Whole seconds.
    #[must_use]
    pub fn unix(self) -> UnixTime {
        UnixTime(u64::try_from(self.micros / 1_000_000).unwrap_or(0))
    }
}

/// A rendition's output.
#[derive(Debug)]
pub struct Output {
    /// Its folder: `/tv/news/video`.
    pub folder: String,
    /// The header's name and bytes, as long as nothing can be published.
    pub header: Option<(String, Vec<u8>)>,
    /// How long the segment under way is.
    pub duration_micros: u64,
    /// Bytes of it to the end of its first picture.
    pub key_size: Option<u64>,
    /// When its last chunk came; none before the first.
    pub fed: Option<Instant>,
    /// The newest segment is the last one, as its encoder says (`lmsg`): what does not come behind
    /// it is not missed.
    pub ends_with_it: bool,
    /// Gaps that were published since.
    pub gaps: u32,
    /// What came of it.
    pub tally: Tally,
    /// The newest segment that was too long.
    pub long: Option<i64>,
    /// Whether some of its parts are too short, and that was noted.
    pub has_short_parts: bool,
    /// How its encoder's clock runs.
    pub drift: Drift,
    /// Microseconds from when its encoder took a picture, by its own word, until that came.
    pub captured_delay: Option<i64>,
    /// Segments that are whole, by number, and were not yet kept.
    pub ended: Vec<(i64, Arc<Opened>)>,
    access: Access,
    container: Container,
    counters: Counters,
    /// The stream without an end that it is, too.
    stream: Option<Stream>,
    writer: Writer,
    current: Option<Current>,
    /// Segments that are listed.
    listed: VecDeque<Listed>,
    /// How many of `listed`, from the front, have no parts listed any more.
    without_parts: usize,
}

/// A stream without an end.
#[derive(Debug)]
struct Stream {
    path: String,
    /// None before its first entry.
    growing: Option<GrowingId>,
}

/// Bytes of a chunk.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'b> {
    /// All of it.
    pub bytes: &'b [u8],
    /// Whether decoding can begin with it.
    pub is_independent: bool,
    /// Whether its times do not go on from those before.
    pub is_anew: bool,
}

/// A segment that is listed.
#[derive(Debug)]
struct Listed {
    number: i64,
    /// How many of its parts are.
    parts: u32,
    /// Its other path, which says when it begins.
    timed: Option<String>,
}

#[derive(Debug)]
struct Current {
    number: i64,
    timed: Option<String>,
    growing: GrowingId,
    parts: u32,
    /// Where its part under way begins, in bytes of the segment.
    part: u64,
    hash: Tagger,
    part_hash: Tagger,
}

impl Output {
    /// Of a rendition of which nothing is published.
    #[must_use]
    pub fn new(folder: String, container: Container, access: Access, ledger: Ledger) -> Self {
        Self {
            folder,
            header: None,
            duration_micros: 0,
            key_size: None,
            fed: None,
            ends_with_it: false,
            gaps: 0,
            tally: Tally::default(),
            long: None,
            has_short_parts: false,
            drift: Drift::default(),
            captured_delay: None,
            ended: Vec::new(),
            access,
            container,
            counters: Counters::default(),
            stream: None,
            writer: Writer::new(ledger),
            current: None,
            listed: VecDeque::new(),
            without_parts: 0,
        }
    }

    /// Whether its encoder said that nothing more comes.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.ends_with_it && self.current.is_none()
    }

    fn path(&self, number: i64, part: Option<u32>) -> String {
        let extension = self.container.extension();
        let name = match part {
            Some(part) => hls::part_name(number, part, extension),
            None => hls::segment_name(number, extension),
        };
        format!("{}/{name}", self.folder)
    }

    /// A segment begins in this run of the server, and can be had as it grows.
    pub fn begin_segment(&mut self, post: &mut Post, segment: &Segment, run: i64) {
        self.writer.begin_segment();
        let number = segment.number;
        let timed = (self.container == Container::Cmaf).then(|| {
            let timed = Timed::at(segment.origin, segment.start, run);
            let name = timed.name(self.container.extension());
            format!("{}/{name}", self.folder)
        });
        let path = self.path(number, None).into();
        let (class, access) = (Class::Segment, self.access);
        let media_type = self.container.media_type();
        let begun = Growth::Begun { path, media_type, class, access };
        let growing = post.grow(None, begun);
        self.current = Some(Current {
            number,
            timed,
            growing,
            parts: 0,
            part: 0,
            hash: Tagger::default(),
            part_hash: Tagger::default(),
        });
    }

    /// Everything that is published from now on is a stream without an end at this path, too.
    pub fn stream_at(&mut self, path: String) {
        self.stream = Some(Stream { path, growing: None });
    }

    /// The stream without an end that it is, once that has begun.
    #[must_use]
    pub fn stream(&self) -> Option<GrowingId> {
        self.stream.as_ref()?.growing
    }

    /// Adds a chunk to the segment under way.
    ///
    /// # Errors
    ///
    /// It could not be written. The segment goes on without it.
    pub fn append(&mut self, post: &mut Post, piece: Piece<'_>) -> Result<(), Refused> {
        let Piece { bytes, is_anew, is_independent } = piece;
        let Some(current) = &mut self.current else { return Ok(()) };
        let mut numbered = Vec::new();
        let bytes = if self.container == Container::Ts {
            numbered.extend_from_slice(bytes);
            self.counters.number(&mut numbered, is_anew);
            &numbered
        } else {
            bytes
        };
        let at = self.writer.append(bytes)?;
        current.hash.update(bytes);
        current.part_hash.update(bytes);
        let described = Described {
            placed: self.writer.placed(at, bytes.len() as u64),
            etag: ETag::default(),
            media_type: self.container.media_type(),
            class: Class::Segment,
            modified: UnixTime(0),
        };
        let extent = described.placed.1;
        let opened = post.opened(described);
        let appended = Growth::Appended { opened, extent };
        post.grow(Some(current.growing), appended.clone());
        self.append_to_stream(post, appended, is_independent);
        Ok(())
    }

    fn append_to_stream(&mut self, post: &Post, appended: Growth, is_independent: bool) {
        let Some(stream) = &mut self.stream else { return };
        if stream.growing.is_none() && is_independent {
            let (path, media_type) = (stream.path.as_str().into(), self.container.media_type());
            // To a cache it is of no use.
            let (class, access) = (Class::Other, self.access);
            stream.growing =
                Some(post.grow(None, Growth::Begun { path, media_type, class, access }));
        }
        if stream.growing.is_none() {
            return;
        }
        if is_independent {
            post.grow(stream.growing, Growth::Entry);
        }
        post.grow(stream.growing, appended);
    }

    /// The part under way is whole: its listing, unless nothing of it could be written.
    pub fn end_part(&mut self, post: &mut Post, stamp: Stamp) -> Option<Listing> {
        let size = self.writer.segment_size();
        let current = self.current.as_mut()?;
        let (from, number, part) = (current.part, current.number, current.parts);
        current.parts += 1;
        current.part = size;
        let hash = std::mem::take(&mut current.part_hash);
        if size == from {
            return None;
        }
        let described = Described {
            placed: self.writer.placed(from, size - from),
            etag: hash.tag(),
            media_type: self.container.media_type(),
            class: Class::Part,
            modified: stamp.unix(),
        };
        Some(post.object(&self.path(number, Some(part)), described, self.access))
    }

    /// The segment under way is whole: its listings, one for each of its names.
    pub fn end_segment(
        &mut self,
        post: &mut Post,
        measure: &mut Measure,
        stamp: Stamp,
    ) -> Vec<Listing> {
        let Some(current) = self.current.take() else { return Vec::new() };
        let size = self.writer.segment_size();
        let Current { number, parts, growing, hash, timed, .. } = current;
        if size == 0 {
            post.grow(Some(growing), Growth::Aborted);
            self.listed.push_back(Listed { number, parts, timed: None });
            return Vec::new();
        }
        measure.add_segment(size, self.duration_micros);
        if let Some(size) = self.key_size {
            measure.add_key(size, self.duration_micros);
        }
        let etag = hash.tag();
        let described = || Described {
            placed: self.writer.placed(0, size),
            etag,
            media_type: self.container.media_type(),
            class: Class::Segment,
            modified: stamp.unix(),
        };
        let listing = post.object(&self.path(number, None), described(), self.access);
        self.ended.extend(listing.opened().map(|opened| (number, opened)));
        let other = timed.as_deref().map(|path| post.object(path, described(), self.access));
        post.grow(Some(growing), Growth::Ended);
        self.listed.push_back(Listed { number, parts, timed });
        [Some(listing), other].into_iter().flatten().collect()
    }

    /// Takes everything back.
    pub fn forget_all(&mut self, post: &Post, batch: &mut Vec<Listing>) {
        if let Some(current) = self.current.take() {
            // Whoever is being sent it would wait for the rest for ever.
            post.grow(Some(current.growing), Growth::Aborted);
            let Current { number, parts, .. } = current;
            self.listed.push_back(Listed { number, parts, timed: None });
        }
        self.forget(i64::MAX, i64::MAX, batch);
        if let Some(Stream { path, growing: Some(growing) }) = self.stream.take() {
            post.grow(Some(growing), Growth::Ended);
            batch.push(absent(path));
        }
    }

    /// Takes back what is older than these segments.
    pub fn forget(&mut self, parts_from: i64, segments_from: i64, batch: &mut Vec<Listing>) {
        while let Some(&Listed { number, parts, .. }) = self.listed.get(self.without_parts)
            && number < parts_from
        {
            batch.extend((0..parts).map(|part| absent(self.path(number, Some(part)))));
            self.without_parts += 1;
        }
        while self.without_parts > 0
            && let Some(gone) = self.listed.pop_front_if(|oldest| oldest.number < segments_from)
        {
            batch.push(absent(self.path(gone.number, None)));
            batch.extend(gone.timed.map(absent));
            self.without_parts -= 1;
        }
    }
}

/// A path that is gone.
#[must_use]
pub fn absent(path: String) -> Listing {
    Listing { path: path.into(), change: Change::Absent }
}
