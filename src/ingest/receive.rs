//! One request's body: bytes in as they come, headers and chunks to the channel as they are whole.

use std::pin::Pin;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use axum::http::StatusCode;
use hyper::body::{Body as _, Bytes, Incoming};

use super::channel::{Header, Request, Unfit};
use super::durable::{self, Touched};
use super::output::Stamp;
use super::slab::Refused;
use super::{Live, State};
use crate::config::{CHUNK_SIZE_MAX, PUSHED_TEXT_SIZE_MAX, RECEIVING_SIZE_MAX, RENDITIONS_MAX};
use crate::live::boxes::BoxError;
use crate::live::boxes::stream::{Chunk, Event, Reader, Span};
use crate::live::publisher::Taken;
use crate::live::upload::{Kind, Upload};
use crate::units::KIB;

/// What is said to an encoder.
#[derive(Debug)]
pub struct Outcome {
    /// The status.
    pub status: StatusCode,
    /// The reason, or what to do about it.
    pub why: String,
    /// Whether it will outlast a crash; none where nothing is kept.
    pub durable: Option<bool>,
}

impl Outcome {
    /// With this status, which is one of those that HTTP has.
    #[must_use]
    pub fn new(status: u16, why: impl Into<String>) -> Self {
        let status = StatusCode::from_u16(status).expect("a status of ours");
        Self { status, why: why.into(), durable: None }
    }
}

/// The next bytes of a body; none at its end.
///
/// # Errors
///
/// The connection broke, the framing is wrong, or the encoder was silent for so long.
async fn next(body: &mut Incoming, idle: Duration) -> Result<Option<Bytes>, Outcome> {
    loop {
        let frame = std::future::poll_fn(|context| Pin::new(&mut *body).poll_frame(context));
        match tokio::time::timeout(idle, frame).await {
            Ok(None) => return Ok(None),
            Ok(Some(Ok(frame))) => {
                if let Ok(bytes) = frame.into_data() {
                    return Ok(Some(bytes));
                }
            }
            Ok(Some(Err(error))) => return Err(Outcome::new(400, format!("the body: {error}"))),
            Err(_) => return Err(Outcome::new(408, "the encoder was silent for too long")),
        }
    }
}

/// Takes what nobody looks into.
pub(super) async fn skip(body: Incoming, state: &State) -> Outcome {
    let mut size = 0;
    let take = |bytes: &[u8]| {
        size += bytes.len();
        let is_short = size <= PUSHED_TEXT_SIZE_MAX;
        is_short.then_some(0).ok_or_else(text_too_long)
    };
    all(body, state, take).await.unwrap_or_else(|| Outcome::new(200, "taken"))
}

/// What is said of a playlist or manifest that is too long.
pub(super) fn text_too_long() -> Outcome {
    Outcome::new(413, "a playlist of more than 1 MiB")
}

/// Takes a playlist or a manifest: what only that can tell of the media beside it.
pub(super) async fn text(
    body: Incoming,
    place: (usize, &str),
    kind: Kind,
    live: &Live,
    state: &State,
) -> Outcome {
    let mut text = Vec::new();
    let take = |bytes: &[u8]| {
        text.extend_from_slice(bytes);
        let is_short = text.len() <= PUSHED_TEXT_SIZE_MAX;
        is_short.then_some(text.len()).ok_or_else(text_too_long)
    };
    if let Some(outcome) = all(body, state, take).await {
        return outcome;
    }
    live.channel.borrow_mut().take_text(place, kind, &text, now());
    Outcome::new(200, "taken")
}

/// Bytes of all requests that are received and not whole: counted as long as this lives.
struct Receiving<'s> {
    state: &'s State,
    size: usize,
}

impl Receiving<'_> {
    fn set(&mut self, size: usize) -> Result<(), Outcome> {
        let all = self.state.receiving.get() - self.size + size;
        self.state.receiving.set(all);
        self.size = size;
        if size > CHUNK_SIZE_MAX {
            return Err(Outcome::new(413, "a chunk is longer than is taken"));
        }
        if all > RECEIVING_SIZE_MAX {
            return Err(Outcome::new(503, "too much is being received at once; try again"));
        }
        Ok(())
    }
}

impl Drop for Receiving<'_> {
    fn drop(&mut self) {
        self.state.receiving.set(self.state.receiving.get() - self.size);
    }
}

/// Takes a body as it comes. `take` is given its bytes, and says how many of all of them wait to be
/// whole. Gives why it broke off, if it did.
pub(super) async fn all(
    mut body: Incoming,
    state: &State,
    mut take: impl FnMut(&[u8]) -> Result<usize, Outcome>,
) -> Option<Outcome> {
    let mut receiving = Receiving { state, size: 0 };
    loop {
        let waiting = match next(&mut body, state.idle.get()).await {
            Ok(None) => return None,
            Ok(Some(bytes)) => take(&bytes),
            Err(outcome) => Err(outcome),
        };
        if let Err(outcome) = waiting.and_then(|size| receiving.set(size)) {
            return Some(outcome);
        }
    }
}

/// What a request has brought, and what came of it.
#[derive(Debug)]
pub(super) struct Brought {
    /// Which request of which source it is.
    pub(super) request: Request,
    /// The feed that it belongs to.
    pub(super) feed: Option<usize>,
    /// Segments of which it has brought something.
    pub(super) touched: Touched,
    /// Why the first chunk was not published that was not.
    pub(super) refused: Option<Taken>,
    /// The last segment that begins with a chunk of this request.
    begun: Option<i64>,
    /// Where it was pushed to; none when a chunk has come.
    path: Option<String>,
}

impl Brought {
    /// Nothing yet.
    pub(super) fn new(request: Request, feed: Option<usize>, path: &str) -> Self {
        let path = Some(path.to_owned());
        Self { request, feed, touched: Touched::default(), refused: None, begun: None, path }
    }

    /// Gives a chunk of this feed to the channel.
    pub(super) fn take(
        &mut self,
        live: &Live,
        feed: usize,
        chunk: &Chunk,
        bytes: &[u8],
    ) -> Result<(), Outcome> {
        let mut channel = live.channel.borrow_mut();
        if let Some(path) = self.path.take() {
            channel.begin_object(feed, self.request, &path, chunk, now());
        }
        let taken = channel.take(feed, self.request, chunk, bytes, now());
        let Some(taken) = taken.map_err(unfit)? else {
            self.touched.await_one(&channel, feed, chunk);
            return Ok(());
        };
        self.touched.add(&live.records, &channel, feed, chunk, taken);
        match taken {
            // A segment that was torn is sent again from its start.
            Taken::Published(_) | Taken::Repeated => {
                self.begun = channel.begun_with(feed, chunk).or(self.begun);
            }
            refused => drop(self.refused.get_or_insert(refused)),
        }
        Ok(())
    }

    /// The body has ended, or broke off.
    pub(super) fn end(&self, live: &Rc<Live>, is_whole: bool) {
        let Some(feed) = self.feed else { return };
        live.channel.borrow_mut().end_request_of(feed, self.request, is_whole, now());
        if let Some(segment) = self.begun {
            end(live, feed, segment, is_whole);
        }
    }
}

/// Room that is kept between two chunks, in bytes.
const SPARE_SIZE: usize = 256 * KIB;

/// A body of boxes under way.
pub(super) struct Intake {
    live: Rc<Live>,
    path: String,
    reader: Reader,
    brought: Brought,
    /// Bytes that are not part of a whole chunk yet.
    buffer: Vec<u8>,
    /// Where in the stream the buffer begins.
    start: u64,
    /// Whether chunks belong to a segment that only fills a gap (`slat`).
    in_filler: bool,
    /// Whether there were such.
    had_filler: bool,
}

/// Takes a header, a segment, or a stream of both.
pub async fn media(
    body: Incoming,
    (source, path): (usize, &str),
    upload: &Upload<'_>,
    live: &Rc<Live>,
    state: &State,
) -> Outcome {
    let mut intake = Intake::new(live, (source, path), upload);
    let take = |bytes: &[u8]| intake.take(bytes).map(|()| intake.waiting());
    let outcome = all(body, state, take).await;
    let outcome = intake.finish(outcome, live);
    durable::told(outcome, live, intake.brought.feed, intake.brought.touched).await
}

/// A request that began a segment has ended. If it was torn, that is closed at its last whole
/// chunk, unless more of it comes within a segment's length.
fn end(live: &Rc<Live>, feed: usize, segment: i64, is_whole: bool) {
    if live.channel.borrow().growing(feed).is_none_or(|growing| growing.number != segment) {
        return;
    }
    if is_whole {
        live.channel.borrow_mut().end_request(feed, now());
        // Where success must mean more, the encoder waits for the segment to be whole.
        if !live.channel.borrow().archive().is_required() {
            return;
        }
    }
    let torn = live.channel.borrow().growing(feed);
    let Some(patience) = live.channel.borrow().segment_length() else { return };
    let live = Rc::clone(live);
    // The encoder hears of it now, if it still listens.
    tokio::task::spawn_local(async move {
        tokio::time::sleep(patience).await;
        if live.channel.borrow().growing(feed) == torn {
            live.channel.borrow_mut().end_segment(feed, now());
        }
    });
}

/// Now.
pub fn now() -> Stamp {
    let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let micros = i64::try_from(unix.as_micros()).unwrap_or(i64::MAX);
    Stamp { micros, instant: Instant::now() }
}

impl Intake {
    /// For what a source sends to this path.
    pub(super) fn new(live: &Rc<Live>, (source, path): (usize, &str), upload: &Upload<'_>) -> Self {
        let feed = match upload.kind {
            Kind::Media => live.channel.borrow().feed_of(&upload.track),
            _ => None,
        };
        let init = feed.and_then(|feed| live.channel.borrow().init(feed, source).cloned());
        let request = live.channel.borrow_mut().begin_request(source);
        Self {
            live: Rc::clone(live),
            path: path.to_owned(),
            reader: Reader::new(init),
            brought: Brought::new(request, feed, path),
            buffer: Vec::new(),
            start: 0,
            in_filler: false,
            had_filler: false,
        }
    }

    /// The body has ended, or broke off for this reason.
    pub(super) fn finish(&self, outcome: Option<Outcome>, live: &Rc<Live>) -> Outcome {
        let is_whole = outcome.is_none() && self.buffer.is_empty();
        self.brought.end(live, is_whole);
        outcome.unwrap_or_else(|| self.outcome())
    }

    /// Bytes that are not part of a whole chunk yet.
    pub(super) fn waiting(&self) -> usize {
        self.buffer.len()
    }

    /// Takes the next bytes.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<(), Outcome> {
        self.buffer.extend_from_slice(bytes);
        let mut events = Vec::new();
        let read = self.reader.take(bytes, &mut events);
        for event in events {
            self.happens(event)?;
        }
        let whole = self.reader.whole_until() - self.start;
        self.buffer.drain(..usize::try_from(whole).expect("it is in the buffer"));
        self.start += whole;
        // A large chunk has gone; its room is not kept for the small ones that follow.
        if self.buffer.capacity() > SPARE_SIZE && self.buffer.len() < SPARE_SIZE {
            self.buffer.shrink_to(SPARE_SIZE);
        }
        read.map_err(|error| match error {
            BoxError::Missing(kind) if kind == *b"moov" => {
                Outcome::new(412, "no header has come for this (push the init segment first)")
            }
            BoxError::TooLong(_) => Outcome::new(413, error.to_string()),
            error => Outcome::new(400, error.to_string()),
        })
    }

    fn happens(&mut self, event: Event) -> Result<(), Outcome> {
        let at = |place: u64| usize::try_from(place - self.start).expect("it is in the buffer");
        let bytes = |span: Span| &self.buffer[at(span.start)..at(span.end)];
        match event {
            Event::Header(span, init) => {
                let place = (self.brought.request.source, self.path.as_str());
                let header = Header::Cmaf(bytes(span));
                let feed = self.live.channel.borrow_mut().take_header(place, header, init, now());
                self.brought.feed = Some(feed.map_err(unfit)?);
            }
            Event::Chunk(span, chunk) => {
                let feed = self.brought.feed.expect("a reader without a header gives no chunks");
                if let Some(brands) = chunk.brands.filter(|brands| !brands.chunk) {
                    self.in_filler = brands.filler;
                }
                if self.in_filler {
                    // What it stands for may still come; if not, that is a gap when its time is up.
                    self.had_filler = true;
                    return Ok(());
                }
                self.brought.take(&self.live, feed, &chunk, bytes(span))?;
            }
        }
        Ok(())
    }

    /// What is said of a body that came to its end.
    fn outcome(&self) -> Outcome {
        if !self.buffer.is_empty() {
            return Outcome::new(400, "the body ends in the middle of a chunk");
        }
        if self.brought.refused.is_none() && self.had_filler {
            return Outcome::new(200, "ignored: what only fills a gap is not published");
        }
        said(self.brought.refused)
    }
}

/// What is said of a body whose first chunk that was not published was refused so.
pub(super) fn said(refused: Option<Taken>) -> Outcome {
    let why = match refused {
        None => "taken",
        Some(Taken::Conflict) => "ignored: other bytes were published for this time, and stay",
        Some(Taken::Late) => "ignored: the time of this has gone by",
        Some(Taken::Early) => "ignored: this is a minute or more ahead of the clock",
        Some(_) => "ignored: decoding can't begin with this, and nothing came before it",
    };
    Outcome::new(200, why)
}

pub(super) fn unfit(unfit: Unfit) -> Outcome {
    match unfit {
        Unfit::Gone => Outcome::new(404, "the channel is gone"),
        Unfit::HeaderTooLarge => Outcome::new(413, "a header of more than 256 KiB"),
        Unfit::TooManyRenditions => {
            Outcome::new(400, format!("the channel has {RENDITIONS_MAX} renditions already"))
        }
        Unfit::Refused(Refused::TooLarge) => {
            Outcome::new(413, "the segment is longer than is taken")
        }
        Unfit::Refused(Refused::Exhausted(error)) => Outcome::new(507, error.to_string()),
    }
}
