//! What was under way when the server was ended: taken again as if its encoder sent it.
//!
//! So the segment that grew grows on, with the same name: an encoder that sends it again repeats
//! what is there, and one that goes on with it goes on. If none does, it is closed as any segment
//! of a silent encoder is.

use std::collections::HashMap;

use super::Live;
use super::archive::growing::Grown;
use super::channel::{Header, Request, Unfit};
use super::output::Stamp;
use super::receive;
use crate::live::boxes::stream::{Event, Reader};

/// Takes these chunks, in their order.
pub fn replay(live: &Live, grown: &[Grown]) {
    // Where each rendition is, with the header that was taken last.
    let mut feeds = HashMap::new();
    let mut taken = 0;
    for one in grown {
        // The config may have had more sources.
        let source = usize::from(one.source).min(live.channel.borrow().source_count() - 1);
        let of = (source, &one.path);
        let known = feeds.get(&of).filter(|(tag, _)| *tag == one.tag).map(|(_, feed)| *feed);
        let feed = known.or_else(|| header(live, source, one));
        let Some(feed) = feed else { continue };
        feeds.insert(of, (one.tag, feed));
        match chunk(live, feed, request_of(source), one) {
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
    for ((source, _), (_, feed)) in feeds {
        let mut channel = live.channel.borrow_mut();
        channel.end_request_of(feed, request_of(source), false, receive::now());
    }
    if taken > 0 {
        tracing::info!(channel = live.of.id, chunks = taken, "what was under way goes on");
    }
}

fn stamp(one: &Grown) -> Stamp {
    Stamp { micros: one.micros, ..receive::now() }
}

/// It lies in the order in which it was published, as what one request brings does.
fn request_of(source: usize) -> Request {
    Request { source, ..Request::default() }
}

/// The feed of a chunk of a source, whose header is taken.
fn header(live: &Live, source: usize, one: &Grown) -> Option<usize> {
    let mut events = Vec::new();
    Reader::new(None).take(&one.header, &mut events).ok()?;
    let init = events.into_iter().find_map(|event| match event {
        Event::Header(_, init) => Some(init),
        Event::Chunk(..) => None,
    })?;
    let mut channel = live.channel.borrow_mut();
    channel.take_header((source, &one.path), Header::Cmaf(&one.header), init, stamp(one)).ok()
}

fn chunk(live: &Live, feed: usize, request: Request, one: &Grown) -> Result<(), Unfit> {
    let mut channel = live.channel.borrow_mut();
    let mut events = Vec::new();
    // It was read before it was put down.
    let read =
        Reader::new(channel.init(feed, request.source).cloned()).take(&one.bytes, &mut events);
    for event in events.into_iter().filter(|_| read.is_ok()) {
        if let Event::Chunk(_, chunk) = event {
            channel.take(feed, request, &chunk, &one.bytes, stamp(one))?;
        }
    }
    Ok(())
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
    use crate::units::ETag;

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
            tag: ETag::of(bytes(header)),
            header: bytes(header).into(),
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
