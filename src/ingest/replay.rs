//! What was under way when the server was ended: taken again as if its encoder sent it.
//!
//! So the segment that grew grows on, with the same name: an encoder that sends it again repeats
//! what is there, and one that goes on with it goes on. If none does, it is closed as any segment
//! of a silent encoder is.

use std::collections::{HashMap, VecDeque};

use super::Live;
use super::archive::growing::{Grown, Key};
use super::channel::{Header, Request, Unfit};
use super::output::Stamp;
use super::receive;
use crate::live::boxes::chunk::Fragment;
use crate::live::boxes::init::Init;
use crate::live::boxes::stream::{Chunk, Event, Reader};
use crate::live::ts;
use crate::units::ETag;

/// A source, and the path of what it sends.
type Of<'g> = (usize, &'g str);

/// Takes these chunks, in their order.
pub fn replay(live: &Live, grown: &[Grown]) {
    // Where each rendition is, with the header that was taken last.
    let mut feeds: HashMap<Of<'_>, (Option<ETag>, usize)> = HashMap::new();
    let mut streams = streams(live, grown);
    let mut taken = 0;
    for one in grown {
        let of = (source(live, one), &*one.path);
        let feed = match &one.key {
            Key::Header(tag, bytes) => {
                let known = feeds.get(&of).filter(|(known, _)| known.as_ref() == Some(tag));
                let known = known.map(|(_, feed)| *feed);
                known.or_else(|| header(live, of, bytes, one)).map(|feed| (Some(*tag), feed))
            }
            Key::Times(_) => {
                let stream = streams.get_mut(&of).expect("it was made of what comes here");
                stream.feed_of_next(live, of, one).map(|feed| (None, feed))
            }
        };
        let Some(feed) = feed else { continue };
        feeds.insert(of, feed);
        match chunk(live, feed.1, request_of(of.0), one) {
            Ok(()) => taken += 1,
            Err(unfit) => tracing::warn!(
                channel = live.of.id,
                rendition = &*one.rendition,
                ?unfit,
                "of what was under way something is left out"
            ),
        }
    }
    // Whatever brought it has broken off: nothing waits for the rest of that.
    for (of, (_, feed)) in feeds {
        let mut channel = live.channel.borrow_mut();
        if let Some(stream) = streams.remove(&of) {
            channel.keep_transport(feed, of.0, stream.known);
        }
        channel.end_request_of(feed, request_of(of.0), false, receive::now());
    }
    if taken > 0 {
        tracing::info!(channel = live.of.id, chunks = taken, "what was under way goes on");
    }
}

/// The config may have had more sources.
fn source(live: &Live, one: &Grown) -> usize {
    usize::from(one.source).min(live.channel.borrow().source_count() - 1)
}

fn stamp(one: &Grown) -> Stamp {
    Stamp { micros: one.micros, ..receive::now() }
}

/// It lies in the order in which it was published, as what one request brings does.
fn request_of(source: usize) -> Request {
    Request { source, ..Request::default() }
}

/// The feed of a chunk of a source, whose header is taken.
fn header(live: &Live, of: Of<'_>, bytes: &[u8], one: &Grown) -> Option<usize> {
    let mut events = Vec::new();
    Reader::new(None).take(bytes, &mut events).ok()?;
    let init = events.into_iter().find_map(|event| match event {
        Event::Header(_, init) => Some(init),
        Event::Chunk(..) => None,
    })?;
    live.channel.borrow_mut().take_header(of, Header::Cmaf(bytes), init, stamp(one)).ok()
}

fn chunk(live: &Live, feed: usize, request: Request, one: &Grown) -> Result<(), Unfit> {
    let mut channel = live.channel.borrow_mut();
    if let Key::Times(run) = one.key {
        let fragment = Fragment { sequence: 0, runs: vec![run] };
        let chunk = Chunk { fragment, brands: None, reference: None, messages: Vec::new() };
        return channel.take(feed, request, &chunk, &one.bytes, stamp(one)).map(drop);
    }
    let mut events = Vec::new();
    // It was read before it was put down.
    let init = channel.init(feed, request.source).cloned();
    let read = Reader::new(init).take(&one.bytes, &mut events);
    for event in events.into_iter().filter(|_| read.is_ok()) {
        if let Event::Chunk(_, chunk) = event {
            channel.take(feed, request, &chunk, &one.bytes, stamp(one))?;
        }
    }
    Ok(())
}

/// A transport stream of a source: what its packets say that it is, which may stand behind the
/// first chunks for which it holds.
struct Stream {
    /// Each with the number of the first chunk that it holds for.
    headers: VecDeque<(usize, Init)>,
    /// What its encoder's next request has to know.
    known: ts::stream::Known,
    /// Chunks of it that were taken.
    taken: usize,
    feed: Option<usize>,
}

/// The transport streams that these chunks are of.
fn streams<'g>(live: &Live, grown: &'g [Grown]) -> HashMap<Of<'g>, Stream> {
    let mut chunks: HashMap<_, Vec<_>> = HashMap::new();
    for one in grown {
        if let Key::Times(run) = &one.key {
            let of = (source(live, one), &*one.path);
            chunks.entry(of).or_default().push((run.decode_time, &one.bytes[..]));
        }
    }
    let longest = live.channel.borrow().transport_ticks();
    chunks.into_iter().map(|(of, chunks)| (of, Stream::read(&chunks, longest))).collect()
}

impl Stream {
    /// Reads chunks, which were read before, each with its decoding time.
    fn read(chunks: &[(u64, &[u8])], longest: u64) -> Self {
        let begins = chunks.first().and_then(|(time, _)| i64::try_from(*time).ok());
        let mut reader =
            ts::stream::Reader::new(ts::stream::Known::at(begins.unwrap_or(0)), longest);
        let mut headers = VecDeque::new();
        let mut said = |events: Vec<_>, read: usize| {
            for event in events {
                if let ts::stream::Event::Header(init) = event {
                    let first = if headers.is_empty() { 0 } else { read };
                    headers.push_back((first, init));
                }
            }
        };
        for (at, (_, bytes)) in chunks.iter().enumerate() {
            let mut events = Vec::new();
            // It was read before: if it can't be now, what was said of it so far has to do.
            let _ = reader.take(bytes, &mut events);
            // A chunk is whole when the next one begins.
            said(events, at.saturating_sub(1));
        }
        let mut events = Vec::new();
        reader.end(&mut events);
        said(events, chunks.len().saturating_sub(1));
        Self { headers, known: reader.into_known(), taken: 0, feed: None }
    }

    /// The feed that its next chunk is of, whose header is taken.
    fn feed_of_next(&mut self, live: &Live, of: Of<'_>, one: &Grown) -> Option<usize> {
        while let Some((_, init)) = self.headers.pop_front_if(|(first, _)| *first <= self.taken) {
            let taken = live.channel.borrow_mut().take_header(of, Header::Ts, init, stamp(one));
            self.feed = taken.ok();
        }
        self.taken += 1;
        self.feed
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::sync::Arc;

    use super::*;
    use crate::config::{self, Access};
    use crate::ingest::archive::Recovered;
    use crate::ingest::channel::Channel;
    use crate::ingest::login::Logins;
    use crate::ingest::post::Post;
    use crate::ingest::slab::Ledger;
    use crate::live::boxes::stream::Span;
    use crate::live::publisher::Taken;

    /// A header, and a chunk of a second.
    const BOTH: &[u8] = include_bytes!("../../tests/fuzz/seeds/boxes/both.mp4");

    #[test]
    fn what_comes_behind_a_hole_does_not_wait_for_what_has_broken_off() {
        let of = config::Channel {
            id: "news".to_owned(),
            name: "news".to_owned(),
            access: Some(Access::Open),
            window_ms: 60_000,
            segment_ms: Some(2000),
            part_ms: Some(1000),
            patience_ms: None,
            push: None,
            archive: None,
            sources: Default::default(),
            shelf: Default::default(),
        };
        let (post, _) = Post::new(Vec::new(), Ledger::new(u64::MAX));
        let (counts, recovered) = (Default::default(), Recovered::nothing());
        let channel = RefCell::new(Channel::new(&of, Access::Open, post, counts, recovered));
        let live = Live { of, logins: Logins::only("a:b"), channel, records: Arc::default() };
        let mut events = Vec::new();
        Reader::new(None).take(BOTH, &mut events).unwrap();
        let [Event::Header(header, _), Event::Chunk(span, chunk)] = &events[..] else {
            panic!("a header and a chunk");
        };
        let bytes = |span: &Span| &BOTH[span.start as usize..span.end as usize];
        let grown = Grown {
            path: "v/init.mp4".into(),
            rendition: "v".into(),
            number: 0,
            index: 0,
            source: 0,
            micros: receive::now().micros,
            key: Key::Header(ETag::of(bytes(header)), bytes(header).into()),
            bytes: bytes(span).to_vec(),
        };
        replay(&live, &[grown]);
        let mut channel = live.channel.borrow_mut();
        assert!(channel.growing(0).is_some(), "it was taken");
        // The next segment, as if the second half of this one were lost.
        let mut next = chunk.clone();
        for run in &mut next.fragment.runs {
            let later = 2 * if run.track == 1 { 10_240 } else { 44_100 };
            run.decode_time += later;
            run.presentation_time += later as i64;
        }
        let request = channel.begin_request(0);
        let taken = channel.take(0, request, &next, bytes(span), receive::now());
        assert!(matches!(taken, Ok(Some(Taken::Published(_)))), "{taken:?}");
    }
}
