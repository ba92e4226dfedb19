//! Catch-up over HTTP: what shards ask of a channel's past, answered from its record.
//!
//! A text is written once, by a thread of its own, however many wait for it. Then it lies on the
//! shelf (`shelf`): every shard is told of it as of any other object, and nobody asks for it again
//! until it changes. Errors say what is wrong with an address, or why there is nothing.

use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, Uri, header};
use axum::routing::get;

use super::ask::Granted;
use super::{dialects, problem};
use crate::config::{CATCH_UP_WAITING_MAX, TARGET_SIZE_MAX};
use crate::library::past::Past;
use crate::live::catchup::address::{Address, STREAM, Text as Of};
use crate::live::catchup::excerpt::{Unwritten, excerpt};
use crate::live::catchup::reel;
use crate::live::playlist::dash::timed::Timed;
use crate::live::playlist::hls::segment_name;
use crate::live::records::Records;
use crate::messages::WantedPiece;
use crate::messages::mail::Outbox;
use crate::request::parse::accepts_gzip;
use crate::request::route::unescaped;
use crate::viewer::Terms;
use crate::viewer::foreign::Unexchanged;
use crate::viewer::rights::Bar;

mod pieces;
mod shelf;
mod windows;
mod write;

use shelf::{Shelf, Taken};
use windows::Windows;
use write::{Refused, Text, Writer};

/// How often it is looked whether what lies on the shelf still holds.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Whoever asks for what is past.
#[derive(Clone)]
pub struct CatchUp {
    records: Arc<Records>,
    shelf: Arc<Mutex<Shelf>>,
    /// Paths to write, of those who may have the text.
    to_write: SyncSender<Granted<Arc<str>>>,
}

impl CatchUp {
    /// Starts the thread that writes, from these records, and tells these shards; what it must
    /// remember over a restart is below `state`.
    ///
    /// # Errors
    ///
    /// No thread can be made.
    pub fn start(
        records: Arc<Records>,
        state: &Path,
        outboxes: Vec<Outbox>,
        wanted: Receiver<WantedPiece>,
    ) -> io::Result<Self> {
        let (streams, past) = (pieces::Shared::default(), Past::in_state(state));
        let archive = (past, Arc::clone(&records));
        pieces::start(Arc::clone(&streams), archive, outboxes.clone(), wanted)?;
        let archive = (Past::in_state(state), streams);
        Self::with(records, Windows::in_state(state), archive, outboxes)
    }

    fn with(
        records: Arc<Records>,
        windows: Windows,
        archive: (Past, pieces::Shared),
        outboxes: Vec<Outbox>,
    ) -> io::Result<Self> {
        let shelf = Arc::new(Mutex::new(Shelf::new(Arc::clone(&records), outboxes)));
        let (to_write, paths) = sync_channel(CATCH_UP_WAITING_MAX);
        let (its, writer) =
            (Arc::clone(&shelf), Writer::new(Arc::clone(&records), windows, archive));
        let thread = std::thread::Builder::new().name("catch-up".to_owned());
        thread.spawn(move || write_all(&paths, writer, &its))?;
        Ok(Self { records, shelf, to_write })
    }

    /// The name by its number of the segment of which this is the path by its time, if that is
    /// recorded.
    fn name_by_number(&self, path: &str) -> Option<String> {
        let (folder, name) = path.rsplit_once('/')?;
        let (channel, rendition) = folder.rsplit_once('/')?;
        let (_, channel) = channel.rsplit_once('/')?;
        let (_, extension) = name.split_once('.')?;
        let timed = Timed::of_name(name)?;
        let number = self.records.with(channel, |record| {
            let kept = record.rendition(rendition)?.segment_at(timed)?;
            (kept.container().extension() == extension).then_some(kept.number)
        });
        Some(segment_name(number.flatten()?, extension))
    }

    /// The name of the rendition of which who may have so much gets a transport stream.
    fn lead(&self, address: &Address<'_>, terms: Terms) -> Result<String, Refused> {
        let read = self.records.with(address.channel, |record| {
            let excerpt = excerpt(record, address.stretch, now_micros())?;
            let lead = reel::lead(&excerpt.renditions, terms.bitrate_max_kbps);
            lead.map(|one| one.name.clone()).ok_or(Unwritten::Nothing)
        });
        read.ok_or(Refused::NotKept)?.map_err(|why| match why {
            Unwritten::TooMuch => Refused::TooLong,
            Unwritten::Nothing => Refused::Nothing,
        })
    }

    /// The text at a path, as soon as it is written.
    async fn text(&self, path: &str, granted: Granted<()>) -> Result<Arc<Text>, Refused> {
        let taken = locked(&self.shelf).take(path, now_micros());
        let (waits, is_first) = match taken {
            Taken::Text(text) => return Ok(text),
            Taken::Full => return Err(Refused::Busy),
            Taken::Waits(waits, is_first) => (waits, is_first),
        };
        // There is a place for every path that is waited for.
        let Granted { access, terms, .. } = granted;
        let path = Granted { what: path.into(), access, terms };
        if is_first && self.to_write.try_send(path).is_err() {
            return Err(Refused::Busy);
        }
        waits.await.unwrap_or(Err(Refused::Busy))
    }
}

fn locked(shelf: &Mutex<Shelf>) -> std::sync::MutexGuard<'_, Shelf> {
    // Nothing that is done with it leaves half a change.
    shelf.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes what is asked for, and looks after what was written, until nobody can ask any more.
fn write_all(paths: &Receiver<Granted<Arc<str>>>, mut writer: Writer, shelf: &Mutex<Shelf>) {
    let mut looked = std::time::Instant::now();
    loop {
        let is_idle = locked(shelf).is_idle();
        let asked = if is_idle {
            // Nothing can happen before somebody asks.
            paths.recv().map_err(RecvTimeoutError::from)
        } else {
            paths.recv_timeout(LOOK_EVERY)
        };
        match asked {
            Ok(Granted { what: path, access, .. }) => {
                let text = writer.text(&path, now_micros());
                locked(shelf).put(&path, access, text);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        if looked.elapsed() >= LOOK_EVERY {
            looked = std::time::Instant::now();
            locked(shelf).look(now_micros());
            writer.forget_gone();
        }
    }
}

fn now_micros() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Answers for every channel's past.
pub fn router(catch_up: CatchUp) -> Router {
    Router::new()
        .route("/tv/{channel}/archive/{*path}", get(answer))
        .route("/tv/{channel}/rewind/{*path}", get(answer))
        .route("/tv/{channel}/{rendition}/{name}", get(segment))
        .route("/s/{token}/tv/{channel}/{rendition}/{name}", get(segment))
        .route("/s/{token}/tv/{channel}/archive/{*path}", get(answer))
        .route("/s/{token}/tv/{channel}/rewind/{*path}", get(answer))
        .with_state(catch_up)
}

async fn answer(
    State(catch_up): State<CatchUp>,
    Extension(granted): Extension<Granted<()>>,
    uri: Uri,
    headers: HeaderMap,
) -> Response<Body> {
    let mut scratch = [0; TARGET_SIZE_MAX];
    // The shard has decoded it in the same way, and found no fault with it.
    let Ok(path) = unescaped(uri.path().as_bytes(), &mut scratch) else {
        return problem::problem(StatusCode::BAD_REQUEST, "the path can't be read");
    };
    let at = path.find("/tv/").unwrap_or(0);
    let path = path[at..].to_owned();
    let address = Address::read(&path);
    if let Ok(address @ Address { text: of @ (Of::Stream | Of::StreamOf(_)), .. }) = address {
        return stream(&catch_up, &path, (address, of), granted).await;
    }
    match catch_up.text(&path, granted).await {
        Ok(text) if !text.is_within(granted.terms) => beyond(),
        Ok(text) => {
            let encodings = headers.get_all(header::ACCEPT_ENCODING);
            let gzip = accepts_gzip(encodings.iter().map(HeaderValue::as_bytes));
            response(&text, gzip, granted.terms)
        }
        Err(refused) => refusal(refused),
    }
}

/// Where a transport stream is that shards know as soon as this is said. It has parts that are made
/// when they are sent, so it is theirs to send.
async fn stream(
    catch_up: &CatchUp,
    path: &str,
    (address, of): (Address<'_>, Of<'_>),
    granted: Granted<()>,
) -> Response<Body> {
    let (path, name) = match of {
        Of::Stream => match catch_up.lead(&address, granted.terms) {
            Ok(lead) => {
                let below = path.strip_suffix(STREAM).unwrap_or(path);
                (format!("{below}{lead}/{STREAM}"), format!("{lead}/{STREAM}"))
            }
            Err(refused) => return refusal(refused),
        },
        _ => (path.to_owned(), STREAM.to_owned()),
    };
    match catch_up.text(&path, granted).await {
        Ok(text) if !text.is_within(granted.terms) => beyond(),
        Ok(_) => dialects::moved(&name),
        Err(refused) => refusal(refused),
    }
}

/// Of a segment that is past, and asked for by its time, the name by its number: shards have it so.
/// Only a player whose manifest is older than the server's start asks.
async fn segment(State(catch_up): State<CatchUp>, uri: Uri) -> Response<Body> {
    let mut scratch = [0; TARGET_SIZE_MAX];
    let path = unescaped(uri.path().as_bytes(), &mut scratch).unwrap_or_default();
    let Some(name) = catch_up.name_by_number(path) else {
        return problem::problem(StatusCode::NOT_FOUND, "no such segment is recorded");
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::FOUND;
    let name = HeaderValue::try_from(name).expect("digits and an extension");
    response.headers_mut().insert(header::LOCATION, name);
    let moved = HeaderValue::from_static("public, max-age=60");
    response.headers_mut().insert(header::CACHE_CONTROL, moved);
    response
}

/// The shard refuses, as it will by itself when it knows the text.
fn beyond() -> Response<Body> {
    let mut response = problem::problem(StatusCode::FORBIDDEN, "this takes more than it may");
    response.extensions_mut().insert(Unexchanged::Subscriber(None, Bar::Bitrate));
    response
}

/// The first answer of a text; shards write the others (`request::head`), and say the same.
fn response(text: &Arc<Text>, gzip: bool, terms: Terms) -> Response<Body> {
    let (bytes, etag, is_gzip) = text.bytes(gzip, terms);
    let mut response = Response::new(Body::from(bytes));
    let headers = response.headers_mut();
    let media_type = HeaderValue::from_static(text.media_type());
    headers.insert(header::CONTENT_TYPE, media_type);
    if is_gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    let etag = HeaderValue::from_bytes(&etag.wire()).expect("hexadecimal digits in quotes");
    headers.insert(header::ETAG, etag);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(text.cache_control()));
    if text.has_gzip() {
        headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    }
    response
}

fn refusal(refused: Refused) -> Response<Body> {
    let (status, why) = match refused {
        Refused::Address(fault) => (StatusCode::BAD_REQUEST, fault.explanation()),
        Refused::NotKept => (StatusCode::NOT_FOUND, "nothing of this channel is recorded"),
        Refused::Nothing => (StatusCode::NOT_FOUND, "nothing was recorded in this stretch of time"),
        Refused::NotYet => (StatusCode::NOT_FOUND, "this stretch of time has not begun"),
        Refused::Rendition => {
            (StatusCode::NOT_FOUND, "no such rendition was recorded in this stretch of time")
        }
        Refused::TooLong => {
            (StatusCode::BAD_REQUEST, "too much was recorded in it: ask for a shorter stretch")
        }
        Refused::Busy => (StatusCode::SERVICE_UNAVAILABLE, "too many texts are being written"),
    };
    let mut response = problem::problem(status, why);
    if refused == Refused::Busy {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

#[cfg(test)]
mod tests;
