//! Pictures: posters, backdrops and logos, stored once by their content, and served small.
//!
//! What somebody sends, or names by an address (`addresses`), is decoded to its last pixel
//! (`decode`) and put down under the digest of its content (`store`). `/img/ID-WIDTH.jpg` is a
//! variant of it, made when somebody asks for the first time, by a thread of its own; then every
//! shard is told of it (`shelf`), and nobody asks again. It never changes, since its id would.
//!
//! Pictures are public: their addresses can't be guessed, and lists show them to whoever may not
//! watch yet.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path as InPath, State};
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::routing::get;
use tokio::sync::oneshot;

use super::problem::problem;
use crate::config::{PICTURE_JOBS_MAX, PICTURE_SIZE_MAX, PICTURE_WIDTHS, values};
use crate::messages::mail::Outbox;
use crate::sys::priority;

pub mod addresses;
pub mod api;
mod decode;
mod shelf;
mod store;

use addresses::Addresses;
pub use decode::{Form, Seen, Unfit};
use shelf::{Outcome, Shelf, Shown, Taken};
use store::{Original, Store};

/// How much the thread that makes variants gives way to shards.
const NICE: i32 = 10;

/// How often shards are told again of what found no room.
const FLUSH_EVERY: Duration = Duration::from_millis(20);

/// Why there is no variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is no such picture.
    Unknown,
    /// Too much else waits.
    Busy,
    /// It can't be read, made or written down.
    Failed,
}

/// Why a picture was not stored.
#[derive(Debug)]
pub enum Unadded {
    /// It has too many bytes.
    TooLarge,
    /// It is none.
    Unfit(Unfit),
    /// There is no room for one more.
    Full,
    /// The disk refuses.
    Disk(io::Error),
}

impl fmt::Display for Unadded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => write!(f, "it has more than {PICTURE_SIZE_MAX} bytes"),
            Self::Unfit(why) => why.fmt(f),
            Self::Full => f.write_str("there is no room for one more picture; remove some"),
            Self::Disk(error) => write!(f, "it can't be put down: {error}"),
        }
    }
}

/// A picture that is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Added {
    /// Its id.
    pub id: String,
    /// What it is.
    pub seen: Seen,
    /// Its size, in bytes.
    pub size: u64,
    /// Whether it was not there before.
    pub is_new: bool,
}

/// What the thread does.
enum Job {
    Variant { path: Arc<str>, id: String, width: u32 },
    Add(Bytes, oneshot::Sender<Result<Added, Unadded>>),
}

/// All pictures.
pub struct Pictures {
    store: Mutex<Store>,
    shelf: Mutex<Shelf>,
    jobs: SyncSender<Job>,
    /// Those that are named by an address.
    pub addresses: Addresses,
}

impl fmt::Debug for Pictures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pictures")
    }
}

fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that is done with them leaves half a change.
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pictures {
    /// Those of a state folder, shown by these shards; starts the thread that makes variants.
    ///
    /// # Errors
    ///
    /// The folder can't be used, or no thread can be made.
    pub fn start(state: &Path, outboxes: Vec<Outbox>) -> io::Result<Arc<Self>> {
        let (jobs, received) = sync_channel(PICTURE_JOBS_MAX);
        let pictures = Arc::new(Self {
            store: Mutex::new(Store::open(state)?),
            shelf: Mutex::new(Shelf::new(outboxes)),
            jobs,
            addresses: Addresses::open(state),
        });
        let its = Arc::clone(&pictures);
        std::thread::Builder::new().name("pictures".to_owned()).spawn(move || {
            priority::give_way(NICE);
            its.work(&received);
        })?;
        Ok(pictures)
    }

    /// Stores a picture, once however often it comes.
    ///
    /// # Errors
    ///
    /// `Unadded`.
    pub fn add(&self, bytes: &[u8]) -> Result<Added, Unadded> {
        if bytes.len() > PICTURE_SIZE_MAX {
            return Err(Unadded::TooLarge);
        }
        let id = store::id_of(bytes);
        if let Some(Original { seen, size }) = locked(&self.store).original(&id) {
            return Ok(Added { id, seen, size, is_new: false });
        }
        let seen = decode::seen(bytes).map_err(Unadded::Unfit)?;
        let path = {
            let store = locked(&self.store);
            if !store.has_room(bytes.len()) {
                return Err(Unadded::Full);
            }
            store.original_path(&id, seen)
        };
        store::put_down(&path, bytes).map_err(Unadded::Disk)?;
        let size = bytes.len() as u64;
        locked(&self.store).has_original(&id, Original { seen, size });
        Ok(Added { id, seen, size, is_new: true })
    }

    /// Takes a picture away. False if it is not there.
    ///
    /// # Errors
    ///
    /// Its file can't be removed.
    pub fn remove(&self, id: &str) -> io::Result<bool> {
        let Some(_) = locked(&self.store).remove(id)? else { return Ok(false) };
        let paths = PICTURE_WIDTHS.iter().map(|width| path(id, *width));
        locked(&self.shelf).take_away(paths);
        Ok(true)
    }

    /// Whether it is there.
    #[must_use]
    pub fn has(&self, id: &str) -> bool {
        locked(&self.store).original(id).is_some()
    }

    fn listed(&self, after: &str, most: usize) -> Vec<(String, Original)> {
        locked(&self.store).listed(after, most)
    }

    /// A variant, as soon as it is made.
    async fn variant(&self, id: &str, width: u32) -> Outcome {
        if !self.has(id) {
            return Err(Refused::Unknown);
        }
        let path = path(id, width);
        let taken = locked(&self.shelf).take(&path);
        let (waits, is_first) = match taken {
            Taken::Shown(shown) => return Ok(shown),
            Taken::Full => return Err(Refused::Busy),
            Taken::Waits(waits, is_first) => (waits, is_first),
        };
        if is_first {
            let job = Job::Variant { path: path.as_str().into(), id: id.to_owned(), width };
            if self.jobs.try_send(job).is_err() {
                locked(&self.shelf).put(&path, Err(Refused::Busy));
            }
        }
        waits.await.unwrap_or(Err(Refused::Busy))
    }

    /// Does what is wanted, until nobody is left who could want anything.
    fn work(&self, jobs: &Receiver<Job>) {
        loop {
            let is_told = locked(&self.shelf).is_told();
            let job = if is_told {
                jobs.recv().map_err(RecvTimeoutError::from)
            } else {
                jobs.recv_timeout(FLUSH_EVERY)
            };
            match job {
                Ok(Job::Variant { path, id, width }) => {
                    let made = self.made(&id, width);
                    locked(&self.shelf).put(&path, made);
                    // It may have been removed meanwhile.
                    if !self.has(&id) {
                        locked(&self.shelf).take_away(std::iter::once(path.to_string()));
                    }
                }
                Ok(Job::Add(bytes, told)) => drop(told.send(self.add(&bytes))),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            locked(&self.shelf).flush();
        }
    }

    /// A variant from the disk, or made of its picture.
    fn made(&self, id: &str, width: u32) -> Result<(Vec<u8>, Form), Refused> {
        let kept = locked(&self.store).variant(id, width);
        if let Some((path, form)) = kept {
            match store::read(&path) {
                Ok(bytes) => return Ok((bytes, form)),
                Err(_) => locked(&self.store).forget(id, width),
            }
        }
        let original = locked(&self.store).original(id).ok_or(Refused::Unknown)?;
        let from = locked(&self.store).original_path(id, original.seen);
        let failed = |why: &dyn fmt::Display| {
            tracing::warn!(picture = id, width, %why, "no variant of a picture can be made");
            Refused::Failed
        };
        let bytes = store::read(&from).map_err(|error| failed(&error))?;
        let (small, form) = decode::variant(&bytes, width).map_err(|unfit| failed(&unfit))?;
        let path = locked(&self.store).variant_path(id, width, form);
        // A disk that is full is no reason not to show it.
        match store::put_down(&path, &small) {
            Ok(()) => locked(&self.store).has_variant(id, width, form, small.len() as u64),
            Err(error) => drop(failed(&error)),
        }
        Ok((small, form))
    }
}

/// What documents call a picture of these bytes, whether or not it is stored.
#[must_use]
pub fn picture_of(bytes: &[u8]) -> String {
    format!("img:{}", store::id_of(bytes))
}

/// Where a variant of a stored picture is.
fn path(id: &str, width: u32) -> String {
    format!("/img/{id}-{width}.jpg")
}

/// Where a picture is to be had so wide, of what documents say of it: `img:ID`, or an address,
/// whose picture is fetched. None if it says neither, or of a width that there is not.
#[must_use]
pub fn path_of(picture: &str, width: u32) -> Option<String> {
    if !PICTURE_WIDTHS.contains(&width) {
        return None;
    }
    if let Some(id) = picture.strip_prefix("img:") {
        return values::is_picture_id(id).then(|| path(id, width));
    }
    values::web_address(picture).ok().map(|address| path(&store::id_of(address.as_bytes()), width))
}

/// Answers for variants that shards do not have.
pub fn router(pictures: Arc<Pictures>) -> Router {
    Router::new().route("/img/{name}", get(answer)).with_state(pictures)
}

async fn answer(
    State(pictures): State<Arc<Pictures>>,
    InPath(name): InPath<String>,
) -> Response<Body> {
    let unknown = || problem(StatusCode::NOT_FOUND, "there is no such picture");
    let Some((id, width)) = named(&name) else { return unknown() };
    match pictures.variant(id, width).await {
        Ok(shown) => response(&shown),
        Err(Refused::Unknown) => match pictures.addresses.at(id) {
            Some(found) => led(&found, width),
            None => unknown(),
        },
        Err(Refused::Busy) => {
            let mut busy = problem(StatusCode::SERVICE_UNAVAILABLE, "too many pictures are made");
            busy.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            busy
        }
        Err(Refused::Failed) => {
            problem(StatusCode::INTERNAL_SERVER_ERROR, "this picture can't be read")
        }
    }
}

/// The picture and the width of a variant's name.
fn named(name: &str) -> Option<(&str, u32)> {
    let (id, width) = name.strip_suffix(".jpg")?.split_once('-')?;
    let width = PICTURE_WIDTHS.into_iter().find(|one| one.to_string() == width)?;
    values::is_picture_id(id).then_some((id, width))
}

/// The first answer; shards write the others (`request::head`), and say the same.
fn response(shown: &Arc<Shown>) -> Response<Body> {
    /// The bytes of a variant, as a body takes them.
    struct Whole(Arc<Shown>);
    impl AsRef<[u8]> for Whole {
        fn as_ref(&self) -> &[u8] {
            self.0.bytes()
        }
    }
    let bytes = Bytes::from_owner(Whole(Arc::clone(shown)));
    let mut response = Response::new(Body::from(bytes));
    let headers = response.headers_mut();
    let media_type = HeaderValue::from_static(shown.form.media_type());
    headers.insert(header::CONTENT_TYPE, media_type);
    let etag = HeaderValue::from_bytes(&shown.identity.etag.wire());
    headers.insert(header::ETAG, etag.expect("hexadecimal digits in quotes"));
    let kept = HeaderValue::from_static("public, max-age=31536000, immutable");
    headers.insert(header::CACHE_CONTROL, kept);
    response
}

/// Whoever asks for the picture of an address is led to what was fetched from there last; and as
/// long as nothing was, there.
fn led(found: &addresses::Found, width: u32) -> Response<Body> {
    let (to, kept) = match found {
        addresses::Found::Picture(id) => (path(id, width), "public, max-age=3600"),
        addresses::Found::Address(address) => (address.to_string(), "public, max-age=60"),
    };
    let Ok(to) = HeaderValue::try_from(to) else {
        return problem(StatusCode::NOT_FOUND, "its address can't be written into a head");
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::FOUND;
    response.headers_mut().insert(header::LOCATION, to);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(kept));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variant_has_a_name_of_one_shape() {
        let id = "0123456789abcdef0123456789abcdef";
        assert_eq!(named(&format!("{id}-384.jpg")), Some((id, 384)));
        for name in
            ["-385.jpg", "-0384.jpg", "-+384.jpg", "-384.png", "-384.jpg.jpg", "-", ".jpg", "-.jpg"]
        {
            assert_eq!(named(&format!("{id}{name}")), None, "{name}");
        }
        for other in ["news-320.jpg", "0123-384.jpg", "..-384.jpg"] {
            assert_eq!(named(other), None, "{other}");
        }
        assert_eq!(path_of(&format!("img:{id}"), 384), Some(format!("/img/{id}-384.jpg")));
        let of_address = path_of("https://a.example/p.jpg", 64).unwrap();
        assert!(named(of_address.strip_prefix("/img/").unwrap()).is_some());
        for (wrong, width) in [("img:a", 64), ("file:///a", 64), ("https://a.example/", 65)] {
            assert_eq!(path_of(wrong, width), None);
        }
    }
}
