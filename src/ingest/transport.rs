//! One request's body that is a transport stream: bytes in as they come, chunks to the channel.

use std::rc::Rc;

use hyper::body::Incoming;

use super::channel::Header;
use super::durable::{self, Touched};
use super::receive::{Outcome, Receiving, end, next, now, said, unfit};
use super::{Live, State};
use crate::live::publisher::Taken;
use crate::live::ts::stream::{Event, Reader};
use crate::live::upload::Upload;

/// A body under way.
struct Intake<'r> {
    live: &'r Live,
    reader: Reader,
    /// Under which its feed is known.
    key: String,
    /// Of which source it is.
    source: usize,
    feed: Option<usize>,
    chunks: u64,
    /// The last segment that begins with a chunk of this request.
    begun: Option<i64>,
    /// Why the first chunk was not published that was not.
    refused: Option<Taken>,
    touched: Touched,
}

/// Takes a segment, or a stream that goes on and on.
pub async fn media(
    mut body: Incoming,
    source: usize,
    upload: &Upload<'_>,
    live: &Rc<Live>,
    state: &State,
) -> Outcome {
    let mut intake = Intake::new(live, source, upload);
    let mut receiving = Receiving::new(state);
    let torn = loop {
        match next(&mut body).await {
            Ok(None) => break None,
            Ok(Some(bytes)) => {
                let taken = intake.take(Some(&bytes));
                if let Err(outcome) = taken.and_then(|()| receiving.set(intake.reader.kept())) {
                    break Some(outcome);
                }
            }
            Err(outcome) => break Some(outcome),
        }
    };
    let (feed, outcome, touched) = intake.finish(torn, live);
    durable::told(outcome, live, feed, touched).await
}

/// Takes a file that somebody has written, as if it had been pushed.
pub fn file(bytes: &[u8], source: usize, upload: &Upload<'_>, live: &Rc<Live>) -> Outcome {
    let mut intake = Intake::new(live, source, upload);
    let torn = intake.take(Some(bytes)).err();
    let (_, outcome, _) = intake.finish(torn, live);
    outcome
}

impl<'r> Intake<'r> {
    fn new(live: &'r Live, source: usize, upload: &Upload<'_>) -> Self {
        let key = upload.track.key();
        let channel = live.channel.borrow();
        let feed = channel.transport(&key, source);
        let known = feed.map(|feed| channel.known_transport(feed, source)).unwrap_or_default();
        let (reader, touched) = (Reader::new(known, channel.transport_ticks()), Touched::default());
        let (chunks, begun, refused) = (0, None, None);
        Self { live, reader, key, source, feed, chunks, begun, refused, touched }
    }

    /// Takes the next bytes; none at the end.
    fn take(&mut self, bytes: Option<&[u8]>) -> Result<(), Outcome> {
        let mut events = Vec::new();
        self.reader.set_longest(self.live.channel.borrow().transport_ticks());
        let read = match bytes {
            Some(bytes) => self.reader.take(bytes, &mut events),
            None => {
                self.reader.end(&mut events);
                Ok(())
            }
        };
        for event in events {
            self.happens(event)?;
        }
        read.map_err(|error| Outcome::new(400, error.to_string()))
    }

    fn happens(&mut self, event: Event) -> Result<(), Outcome> {
        let mut channel = self.live.channel.borrow_mut();
        match (event, self.feed) {
            (Event::Header(init), _) => {
                let place = (self.source, self.key.as_str());
                let feed = channel.take_header(place, Header::Ts, init, now());
                self.feed = Some(feed.map_err(unfit)?);
            }
            (Event::Break, Some(feed)) => channel.break_transport(feed, self.source),
            (Event::Break, None) => {}
            (Event::Chunk(chunk, bytes), feed) => {
                let feed = feed.expect("a reader says what it is before a chunk");
                if self.chunks == 0 {
                    channel.begin_transport(feed, self.source, &chunk);
                }
                self.chunks += 1;
                let taken = channel.take(feed, self.source, &chunk, &bytes, now());
                let Some(taken) = taken.map_err(unfit)? else { return Ok(()) };
                self.touched.add(&self.live.records, &channel, feed, &chunk, taken);
                match taken {
                    Taken::Published(_) | Taken::Repeated => {
                        self.begun = channel.begun_with(feed, &chunk).or(self.begun);
                    }
                    refused => drop(self.refused.get_or_insert(refused)),
                }
            }
        }
        Ok(())
    }

    /// The body has ended, or broke off for this reason: what is said, and what it brought.
    fn finish(
        mut self,
        torn: Option<Outcome>,
        live: &Rc<Live>,
    ) -> (Option<usize>, Outcome, Touched) {
        // Of a torn body the last chunk is not whole.
        let outcome = match torn {
            Some(outcome) => Err(outcome),
            None => self.take(None).and_then(|()| self.outcome()),
        };
        if let Some(feed) = self.feed {
            let is_whole = outcome.is_ok();
            let mut channel = live.channel.borrow_mut();
            channel.keep_transport(feed, self.source, self.reader.into_known());
            channel.end_request_of(feed, self.source, is_whole, now());
            drop(channel);
            if let Some(segment) = self.begun {
                end(live, feed, segment, is_whole);
            }
        }
        (self.feed, outcome.unwrap_or_else(|outcome| outcome), self.touched)
    }

    /// What is said of a body that came to its end.
    fn outcome(&self) -> Result<Outcome, Outcome> {
        if !self.reader.is_whole() {
            return Err(Outcome::new(400, "the body ends in the middle of a packet"));
        }
        if self.chunks == 0 {
            let why = "no picture or sound is found in it with which decoding can begin";
            return Err(Outcome::new(400, why));
        }
        Ok(said(self.refused))
    }
}
