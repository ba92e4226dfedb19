//! What is made on demand, by a clock that tests play.

use std::collections::HashMap;
use std::fs::File;
use std::sync::Arc;

use super::*;
use crate::config::Access;
use crate::ingest::post::Post;
use crate::ingest::slab::Ledger;
use crate::live::boxes::stream;
use crate::messages::mail::{Inbox as _, Outbox, queue};
use crate::messages::{Change, Update};

const BOTH: &[u8] = include_bytes!("../../../../tests/fuzz/seeds/boxes/both.mp4");

/// So many milliseconds after the test began.
fn at(began: Instant, millis: u64) -> Stamp {
    let micros = 1_795_651_200_000_000 + i64::try_from(millis).unwrap() * 1000;
    Stamp { micros, instant: began + Duration::from_millis(millis) }
}

/// A channel with one segment, which is whole.
fn channel(began: Instant) -> Channel {
    channel_of(began, Vec::new())
}

/// The same, which tells these shards.
fn channel_of(began: Instant, shards: Vec<Outbox>) -> Channel {
    let of = crate::config::Channel {
        id: "news".to_owned(),
        name: "news".to_owned(),
        access: Some(Access::Open),
        window_ms: 60_000,
        segment_ms: Some(1000),
        part_ms: Some(1000),
        patience_ms: Some(1_000_000),
        push: None,
        archive: None,
        sources: Default::default(),
        shelf: Default::default(),
    };
    let (post, _) = Post::new(shards, Ledger::new(u64::MAX));
    let recovered = Recovered::nothing();
    let mut channel = Channel::new(&of, Access::Open, post, Default::default(), recovered);
    let mut events = Vec::new();
    stream::Reader::default().take(BOTH, &mut events).unwrap();
    let bytes = |span: stream::Span| &BOTH[span.start as usize..span.end as usize];
    for event in events {
        match event {
            stream::Event::Header(span, init) => {
                let header = Header::Cmaf(bytes(span));
                channel.take_header((0, "v/init.mp4"), header, init, at(began, 0)).unwrap();
            }
            stream::Event::Chunk(span, chunk) => {
                channel.take(0, Request::default(), &chunk, bytes(span), at(began, 0)).unwrap();
            }
        }
    }
    channel.end_segment(0, at(began, 0));
    channel
}

#[test]
fn what_nobody_wants_is_not_made_and_what_nobody_watches_ends() {
    let began = Instant::now();
    let mut channel = channel(began);
    let [stream, playlist] = channel.remuxing.offered[..] else { panic!("both are offered") };
    assert!(channel.remuxing.running.is_none());
    channel.want(&ToLive::Wanted(SourceId(7)), at(began, 0));
    assert!(channel.remuxing.running.is_none(), "it was another's");
    channel.want(&ToLive::Wanted(playlist), at(began, 0));
    channel.want(&ToLive::Wanted(stream), at(began, 0));
    assert!(channel.remuxing.running.is_some());
    channel.look_at_remux(at(began, REMUX_IDLE_MS - 1));
    assert!(channel.remuxing.running.is_some());
    channel.look_at_remux(at(began, REMUX_IDLE_MS));
    assert!(channel.remuxing.running.is_none());
    // Under other numbers it can be wanted again.
    assert_eq!(channel.remuxing.offered.len(), 2);
    assert!(!channel.remuxing.offered.contains(&stream));
    channel.want(&ToLive::Wanted(channel.remuxing.offered[0]), at(began, REMUX_IDLE_MS));
    assert!(channel.remuxing.running.is_some());
}

#[test]
fn it_goes_on_with_another_header_and_a_channel_that_goes_takes_it_along() {
    let began = Instant::now();
    let mut channel = channel(began);
    channel.want(&ToLive::Wanted(channel.remuxing.offered[0]), at(began, 0));
    // The same header in other bytes: nothing was in them.
    let feed = &channel.feeds[0];
    let (init, bytes) = (feed.header.init.clone(), feed.header.bytes.clone());
    let bytes = [&bytes[..], &[0, 0, 0, 8], b"free"].concat();
    let header = Header::Cmaf(&bytes);
    channel.take_header((0, "v/init.mp4"), header, init.clone(), at(began, 0)).unwrap();
    assert_eq!(channel.renditions[0].headers.len(), 2);
    assert!(channel.remuxing.running.is_some());
    // And one of which none can be made.
    let header = Header::Cmaf(b"no box");
    channel.take_header((0, "v/init.mp4"), header, init, at(began, 0)).unwrap();
    assert!(channel.remuxing.running.is_none());
    let header = Header::Cmaf(&bytes);
    let init = channel.feeds[0].header.init.clone();
    channel.take_header((0, "v/init.mp4"), header, init, at(began, 0)).unwrap();
    channel.offer_remux();
    assert_eq!(channel.remuxing.offered.len(), 2);
    channel.want(&ToLive::Wanted(channel.remuxing.offered[0]), at(began, 0));
    channel.close();
    assert!(channel.remuxing.running.is_none());
}

#[test]
fn what_can_be_made_no_more_is_listed_no_more() {
    let began = Instant::now();
    let bell = Arc::new(File::options().write(true).open("/dev/null").unwrap());
    let (outbox, mut inbox) = queue(bell);
    let mut channel = channel_of(began, vec![outbox]);
    channel.want(&ToLive::Wanted(channel.remuxing.offered[0]), at(began, 0));
    // Of a channel that is a transport stream itself none is made.
    let init = channel.feeds[0].header.init.clone();
    channel.take_header((0, "s"), Header::Ts, init, at(began, 0)).unwrap();
    channel.stop_remux();
    let mut listed = HashMap::new();
    while let Some(update) = inbox.take() {
        let Update::Listed(listings) = update else { continue };
        for listing in listings.iter() {
            let is_there = !matches!(listing.change, Change::Absent);
            listed.insert(listing.path.to_string(), is_there);
        }
    }
    for name in [STREAM, PLAYLIST] {
        assert_eq!(listed.get(&format!("/tv/news/{name}")), Some(&false), "{name}");
    }
}

#[test]
fn what_is_made_again_begins_above_what_was_published() {
    let began = Instant::now();
    let mut channel = channel(began);
    let news = Instant::now();
    for (kept, number) in [(None, 7), (Some(7), 9), (Some(9), 9)] {
        channel.want(&ToLive::Wanted(channel.remuxing.offered[0]), at(news, 0));
        let running = channel.remuxing.running.as_mut().expect("it is wanted");
        assert_eq!(running.channel.keeping.begin_rendition(FOLDER).kept, kept);
        channel.stop_remux();
        // As if so much had been published.
        channel.remuxing.last = Some(number);
    }
}
