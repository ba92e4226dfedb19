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
        let of = (one.source, &one.path);
        let known = feeds.get(&of).filter(|(tag, _)| *tag == one.tag).map(|(_, feed)| *feed);
        let feed = known.or_else(|| header(live, one));
        let Some(feed) = feed else { continue };
        feeds.insert(of, (one.tag, feed));
        match chunk(live, feed, one) {
            Ok(()) => taken += 1,
            Err(unfit) => tracing::warn!(
                channel = live.of.id,
                rendition = &*one.rendition,
                ?unfit,
                "of what was under way something is left out"
            ),
        }
    }
    if taken > 0 {
        tracing::info!(channel = live.of.id, chunks = taken, "what was under way goes on");
    }
}

fn stamp(one: &Grown) -> Stamp {
    Stamp { micros: one.micros, ..receive::now() }
}

/// The feed of a chunk, whose header is taken.
fn header(live: &Live, one: &Grown) -> Option<usize> {
    let mut events = Vec::new();
    Reader::new(None).take(&one.header, &mut events).ok()?;
    let init = events.into_iter().find_map(|event| match event {
        Event::Header(_, init) => Some(init),
        Event::Chunk(..) => None,
    })?;
    let mut channel = live.channel.borrow_mut();
    // The config may have had more sources.
    let source = usize::from(one.source).min(channel.source_count() - 1);
    channel.take_header((source, &one.path), Header::Cmaf(&one.header), init, stamp(one)).ok()
}

fn chunk(live: &Live, feed: usize, one: &Grown) -> Result<(), Unfit> {
    let mut channel = live.channel.borrow_mut();
    let source = usize::from(one.source).min(channel.source_count() - 1);
    // It lies in the order in which it was published, as what one request brings does.
    let request = Request { source, ..Request::default() };
    let mut events = Vec::new();
    // It was read before it was put down.
    let read = Reader::new(channel.init(feed, source).cloned()).take(&one.bytes, &mut events);
    for event in events.into_iter().filter(|_| read.is_ok()) {
        if let Event::Chunk(_, chunk) = event {
            channel.take(feed, request, &chunk, &one.bytes, stamp(one))?;
        }
    }
    Ok(())
}
