//! One rendition that is pushed on command, a chunk at a time, whatever the clock says.
//!
//! For measurements that must know the moment at which a server has all of a chunk. Its media lies
//! in the past, so that it may run faster than the clock, and no server waits for it.

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::compose::{self, Bytes, Names};
use super::http::{Http, Mode, Server};
use super::outlet::Object;
use super::track::{Chunk, Track};
use crate::load::response::Response;
use crate::sys::poller::Poller;

/// A server that does not take or answer something for this long is not measured.
const PATIENCE: Duration = Duration::from_secs(10);

/// Between two looks at a socket that has no news.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A rendition, and how far it has been pushed.
pub struct Pusher {
    http: Http,
    poller: Poller,
    names: Names,
    track: Rc<Track>,
    number: u64,
    chunks: Vec<Chunk>,
    position: usize,
    /// Whether the last segment has not been answered yet.
    owes_answer: bool,
}

impl Pusher {
    /// Pushes the header; the segment of this number comes first.
    pub fn start(url: &str, names: Names, track: Rc<Track>, number: u64) -> Result<Self, String> {
        let server = Rc::new(Server::parse(url, Mode::Segments)?);
        let place = format!("/{}/{}", names.channel, names.rendition);
        let mut http = Http::new(server, place, track.source().is_audio);
        let poller = Poller::new().map_err(|error| error.to_string())?;
        http.open(&poller, 0).map_err(|error| format!("{url}: {error}"))?;
        let chunks = track.chunks(number);
        let mut pusher =
            Self { http, poller, names, track, number, chunks, position: 0, owes_answer: true };
        pusher.http.begin(Object::Header);
        pusher.http.data(&pusher.track.source().init);
        pusher.http.finish();
        pusher.flush()?;
        pusher.settle()?;
        Ok(pusher)
    }

    /// Whether the next chunk begins a segment.
    pub fn is_between(&self) -> bool {
        self.position == 0
    }

    /// Whether the next chunk is the last one of its segment. What that adds to a playlist may come
    /// in two steps, as a server may hear of the chunk before it hears that nothing follows.
    pub fn is_last(&self) -> bool {
        self.position + 1 == self.chunks.len()
    }

    /// Pushes the next chunk; gives the moment before the kernel took its last byte. With a
    /// segment's last one its request ends, whose answer is taken later.
    pub fn push(&mut self) -> Result<Instant, String> {
        let Self { track, names, number, position, chunks, .. } = self;
        let place = (*position, &chunks[*position]);
        let out = compose::piece(track, names, *number, place, Bytes::Own, 0);
        if self.position == 0 {
            self.settle()?;
            self.http.begin(Object::Segment(self.number));
        }
        self.http.data(&out);
        self.position += 1;
        if self.position == self.chunks.len() {
            self.http.finish();
            self.owes_answer = true;
            self.number += 1;
            self.position = 0;
            self.chunks = self.track.chunks(self.number);
        }
        self.flush()
    }

    /// Hands all to the kernel; gives the moment before it took the last of it.
    fn flush(&mut self) -> Result<Instant, String> {
        let began = Instant::now();
        loop {
            let at = Instant::now();
            match self.http.flush() {
                Ok(true) => return Ok(at),
                Ok(false) => self.rest(began, "the ingest server takes nothing")?,
                Err(error) if error.kind() == std::io::ErrorKind::NotConnected => {
                    self.rest(began, "the ingest server does not answer")?;
                }
                Err(error) => return Err(format!("pushing failed: {error}")),
            }
        }
    }

    /// Takes the answer to the last object, if it is due.
    pub fn settle(&mut self) -> Result<(), String> {
        let began = Instant::now();
        while self.owes_answer {
            match self.http.receive() {
                Ok(Some(Response { status: 200..300, .. })) => self.owes_answer = false,
                Ok(Some(Response { status, .. })) => {
                    return Err(format!("the ingest server refused with status {status}"));
                }
                Ok(None) => self.rest(began, "the ingest server does not answer")?,
                Err(error) => return Err(format!("pushing failed: {error}")),
            }
        }
        Ok(())
    }

    fn rest(&mut self, began: Instant, what: &str) -> Result<(), String> {
        if began.elapsed() > PATIENCE {
            return Err(what.to_owned());
        }
        // Which socket it was is known.
        let waited = self.poller.wait(LOOK_EVERY).map(drop);
        waited.map_err(|error| error.to_string())
    }
}
