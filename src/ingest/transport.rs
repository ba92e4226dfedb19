//! One request's body that is a transport stream: bytes in as they come, chunks to the channel.

use std::rc::Rc;

use hyper::body::Incoming;

use super::channel::Header;
use super::durable;
use super::receive::{Brought, Outcome, all, now, said, unfit};
use super::{Live, State};
use crate::live::ts::stream::{Event, Reader};
use crate::live::upload::Upload;

/// A body under way.
pub(super) struct Intake {
    live: Rc<Live>,
    reader: Reader,
    /// Under which its feed is known.
    key: String,
    brought: Brought,
    /// Whether a chunk has come.
    has_begun: bool,
}

/// Takes a segment, or a stream that goes on and on.
pub async fn media(
    body: Incoming,
    (source, path): (usize, &str),
    upload: &Upload<'_>,
    live: &Rc<Live>,
    state: &State,
) -> Outcome {
    let mut intake = Intake::new(live, (source, path), upload);
    let take = |bytes: &[u8]| intake.take(Some(bytes)).map(|()| intake.waiting());
    let torn = all(body, state, take).await;
    let (outcome, brought) = intake.finish(torn, live);
    durable::told(outcome, live, brought.feed, brought.touched).await
}

impl Intake {
    /// For what a source sends.
    pub(super) fn new(live: &Rc<Live>, (source, path): (usize, &str), upload: &Upload<'_>) -> Self {
        let key = upload.track.key();
        let mut channel = live.channel.borrow_mut();
        let feed = channel.transport(&key, source);
        let known = feed.map(|feed| channel.known_transport(feed, source)).unwrap_or_default();
        let reader = Reader::new(known, channel.transport_ticks());
        let brought = Brought::new(channel.begin_request(source), feed, path);
        drop(channel);
        Self { live: Rc::clone(live), reader, key, brought, has_begun: false }
    }

    /// Bytes that are not part of a whole chunk yet.
    pub(super) fn waiting(&self) -> usize {
        self.reader.kept()
    }

    /// Takes the next bytes; none at the end.
    pub(super) fn take(&mut self, bytes: Option<&[u8]>) -> Result<(), Outcome> {
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
        let (live, source) = (&*self.live, self.brought.request.source);
        match (event, self.brought.feed) {
            (Event::Header(init), _) => {
                let place = (source, self.key.as_str());
                let feed = live.channel.borrow_mut().take_header(place, Header::Ts, init, now());
                self.brought.feed = Some(feed.map_err(unfit)?);
            }
            (Event::Break, Some(feed)) => {
                live.channel.borrow_mut().may_begin_anew(feed, source, now())
            }
            (Event::Break, None) => {}
            (Event::Chunk(chunk, bytes), feed) => {
                let feed = feed.expect("a reader says what it is before a chunk");
                if !std::mem::replace(&mut self.has_begun, true) {
                    live.channel.borrow_mut().begin_transport(feed, source, &chunk, now());
                }
                self.brought.take(live, feed, &chunk, &bytes)?;
            }
        }
        Ok(())
    }

    /// The body has ended, or broke off for this reason: what is said, and what it brought.
    pub(super) fn finish(mut self, torn: Option<Outcome>, live: &Rc<Live>) -> (Outcome, Brought) {
        // Of a torn body the last chunk is not whole.
        let outcome = match torn {
            Some(outcome) => Err(outcome),
            None => self.take(None).and_then(|()| self.outcome()),
        };
        let brought = self.brought;
        if let Some(feed) = brought.feed {
            let known = self.reader.into_known();
            live.channel.borrow_mut().keep_transport(feed, brought.request.source, known);
        }
        brought.end(live, outcome.is_ok());
        (outcome.unwrap_or_else(|outcome| outcome), brought)
    }

    /// What is said of a body that came to its end.
    fn outcome(&self) -> Result<Outcome, Outcome> {
        if !self.reader.is_whole() {
            return Err(Outcome::new(400, "the body ends in the middle of a packet"));
        }
        if !self.has_begun {
            let why = "no picture or sound is found in it with which decoding can begin";
            return Err(Outcome::new(400, why));
        }
        Ok(said(self.brought.refused))
    }
}
