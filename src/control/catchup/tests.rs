//! Catch-up through the router that shards ask, and what they are told of it.

use std::fs::File;
use std::io::Read as _;
use std::sync::mpsc::Receiver as Inbox;

use super::*;
use crate::config::{Access, CATCH_UP_TEXTS_MAX};
use crate::control::ask;
use crate::live::catchup::fixture::{FIRST, MIDNIGHT, at, kept, record};
use crate::live::record::Record;
use crate::messages::mail::queue;
use crate::messages::{
    Ask, AskKey, Change, Index, Listing, Payload, Response as Whole, Update, Wants,
};

fn shards(count: usize) -> (Vec<Outbox>, Vec<Inbox<Update>>) {
    let bell = Arc::new(File::options().write(true).open("/dev/null").unwrap());
    (0..count).map(|_| queue(Arc::clone(&bell))).unzip()
}

fn records(of: Record) -> Arc<Records> {
    let records = Records::default();
    records.change("news", |record| *record = of);
    Arc::new(records)
}

/// What a shard is told that asks for this.
fn asked(catch_up: &CatchUp, path: &str, lines: &str, access: Access) -> Whole {
    let head = format!("GET {path} HTTP/1.1\r\nHost: tv\r\n{lines}\r\n");
    let key = AskKey { shard: 0, exchange: 0, generation: 0 };
    let (peer, body) = (None, Vec::new());
    let ask = Ask {
        key,
        peer,
        is_forwarded: false,
        wants: Wants::Answer(access, Terms::ALL),
        head: head.into_bytes().into(),
        body,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(ask::response(ask, ask::router(catch_up.clone())))
}

/// What a shard was told of, in order.
fn told(inbox: &Inbox<Update>) -> Vec<Listing> {
    let listed = |update| match update {
        Update::Listed(batch) => batch.to_vec(),
        other => panic!("{other:?}"),
    };
    // What renditions take is told beside their texts.
    let is_text = |listing: &Listing| !matches!(listing.change, Change::Rung(_));
    inbox.try_iter().flat_map(listed).filter(is_text).collect()
}

/// The same in words.
fn words(inbox: &Inbox<Update>) -> Vec<String> {
    let word = |listing: Listing| {
        let name = listing.path.strip_prefix("/tv/news/").unwrap().to_owned();
        match listing.change {
            Change::Present { source, .. } if source.is_complete() => format!("{name}: complete"),
            Change::Present { .. } => format!("{name}: grows"),
            Change::Absent => format!("{name}: gone"),
            other => panic!("{other:?}"),
        }
    };
    told(inbox).into_iter().map(word).collect()
}

fn path(from: i64, seconds: i64, name: &str) -> String {
    format!("/tv/news/archive/{}-{seconds}/{name}", MIDNIGHT + from)
}

#[test]
fn a_text_is_answered_and_every_shard_is_told_of_it() {
    let (outboxes, inboxes) = shards(2);
    let catch_up = CatchUp::with(records(record(60)), Windows::default(), outboxes).unwrap();
    let path = path(0, 100, "v/media.m3u8");
    let first = asked(&catch_up, &path, "", Access::Token);
    let text = String::from_utf8(first.body.to_vec()).unwrap();
    assert_eq!(first.status, 200, "{text}");
    assert!(text.ends_with("../../../v/897825649.m4s\n#EXT-X-ENDLIST\n"), "{text}");
    let etag = crate::units::ETag::of(text.as_bytes()).wire();
    let lines = format!(
        "content-type: application/vnd.apple.mpegurl\r\netag: {}\r\n\
         cache-control: public, max-age=3600\r\nvary: Accept-Encoding\r\n",
        str::from_utf8(&etag).unwrap()
    );
    assert_eq!(String::from_utf8(first.lines).unwrap(), lines);

    for inbox in &inboxes {
        let told = told(inbox);
        let [Listing { path: told, change }] = &told[..] else { panic!("{told:?}") };
        let Change::Present { source, access: Access::Token, opened: Some(opened), .. } = change
        else {
            panic!("{change:?}")
        };
        assert!(**told == *path && source.is_live() && source.is_complete());
        let (Index::Single(single), Payload::Heap(bytes)) = (&opened.index, &opened.payload) else {
            panic!("{opened:?}")
        };
        let size = usize::try_from(single.identity.extent.size).unwrap();
        assert_eq!(&bytes[..size], text.as_bytes());
        let mut unpacked = String::new();
        flate2::read::GzDecoder::new(&bytes[size..]).read_to_string(&mut unpacked).unwrap();
        assert_eq!(unpacked, text);
    }

    // The second one is the same, and nothing is written for it.
    let gzip = asked(&catch_up, &path, "Accept-Encoding: gzip\r\n", Access::Token);
    assert!(String::from_utf8(gzip.lines).unwrap().contains("content-encoding: gzip\r\n"));
    let mut unpacked = String::new();
    flate2::read::GzDecoder::new(&gzip.body[..]).read_to_string(&mut unpacked).unwrap();
    assert_eq!(unpacked, text);
    assert!(inboxes.iter().all(|inbox| told(inbox).is_empty()));
}

#[test]
fn every_text_has_its_type_behind_tokens_and_escapes_too() {
    let catch_up = CatchUp::with(records(record(60)), Windows::default(), Vec::new()).unwrap();
    for (name, media_type) in [
        ("master.m3u8", "application/vnd.apple.mpegurl"),
        ("a/media.m3u8", "application/vnd.apple.mpegurl"),
        ("manifest.mpd", "application/dash+xml"),
    ] {
        for folder in ["archive/1795651200-60", "rewind", "archive/1795651200-now"] {
            let path = format!("/tv/news/{folder}/{name}");
            let plain = asked(&catch_up, &path, "", Access::Open);
            let lines = String::from_utf8(plain.lines).unwrap();
            assert!(plain.status == 200 && lines.contains(media_type), "{path}: {lines}");
            let escaped = path.replace("/news/", "/n%65ws/");
            for other in [format!("/s/token{path}"), format!("{escaped}?x=/tv/")] {
                let other = asked(&catch_up, &other, "", Access::Open);
                assert_eq!(other.body, plain.body, "{path}");
            }
        }
    }
}

#[test]
fn what_can_not_be_answered_says_why() {
    let catch_up = CatchUp::with(records(record(60)), Windows::default(), Vec::new()).unwrap();
    let long_ago = path(-1000, 100, "master.m3u8");
    for (path, status, why) in [
        (path(0, 0, "master.m3u8"), 400, "a length is a number of seconds, at least 1, or now"),
        (path(0, 86_401, "master.m3u8"), 400, "catch-up is at most 86400 seconds long"),
        (path(0, 60, "v/index.m3u8"), 400, "catch-up has master.m3u8, manifest.mpd and"),
        ("/tv/news/archive/x-60/master.m3u8".to_owned(), 400, "a start is a number of seconds"),
        (path(0, 60, "x/media.m3u8"), 404, "no such rendition was recorded in this stretch"),
        (long_ago.clone(), 404, "nothing was recorded in this stretch of time"),
        (path(1 << 32, 60, "master.m3u8"), 404, "this stretch of time has not begun"),
        (long_ago.replace("news", "sport"), 404, "nothing of this channel is recorded"),
    ] {
        let answer = asked(&catch_up, &path, "", Access::Open);
        let body = String::from_utf8(answer.body.to_vec()).unwrap();
        assert!(answer.status == status && body.contains(why), "{path}: {body}");
        let lines = String::from_utf8(answer.lines).unwrap();
        assert!(lines.contains("cache-control: no-store"), "{lines}");
    }
}

/// A shelf whose texts are written at once, at a moment of the test's own.
struct Desk {
    shelf: Shelf,
    writer: Writer,
    inbox: Inbox<Update>,
}

impl Desk {
    fn new(records: &Arc<Records>) -> Self {
        let (outboxes, mut inboxes) = shards(1);
        let shelf = Shelf::new(Arc::clone(records), outboxes);
        let writer = Writer::new(Arc::clone(records), Windows::default());
        Self { shelf, writer, inbox: inboxes.remove(0) }
    }

    /// Asks for a path; whether it had to be written.
    fn ask(&mut self, path: &str, seconds: i64) -> bool {
        match self.shelf.take(path, at(seconds)) {
            Taken::Text(_) => false,
            Taken::Full => panic!("there is room"),
            Taken::Waits(mut waits, is_first) => {
                assert!(is_first, "the one before was answered");
                let text = self.writer.text(path, at(seconds));
                self.shelf.put(&path.into(), Access::Open, text);
                assert!(waits.try_recv().unwrap().is_ok());
                true
            }
        }
    }
}

fn grow(records: &Records, rendition: usize) {
    records.change("news", |record| {
        let one = &mut record.renditions[rendition];
        let next = FIRST + i64::try_from(one.segments.len()).unwrap();
        let next = kept(one, next);
        one.segments.push(next);
    });
}

#[test]
fn what_grows_is_written_once_a_segment_and_what_is_complete_once() {
    let records = records(record(10));
    let mut desk = Desk::new(&records);
    let (past, now) = (path(0, 10, "v/media.m3u8"), path(0, 60, "v/media.m3u8"));
    let rewind = "/tv/news/rewind/v/media.m3u8";
    let all = [past.as_str(), now.as_str(), rewind];
    assert_eq!(all.map(|path| desk.ask(path, 20)), [true; 3]);
    assert_eq!(all.map(|path| desk.ask(path, 21)), [false; 3]);
    let name = |path: &str| path.strip_prefix("/tv/news/").unwrap().to_owned();
    let [past_name, now_name, rewind_name] = all.map(name);
    let first = [
        format!("{past_name}: complete"),
        format!("{now_name}: grows"),
        format!("{rewind_name}: grows"),
    ];
    assert_eq!(words(&desk.inbox), first);

    // Another rendition came further: what it is not about stays.
    grow(&records, 1);
    desk.shelf.look(at(22));
    assert!(words(&desk.inbox).is_empty());
    grow(&records, 0);
    assert_eq!(all.map(|path| desk.ask(path, 22)), [false, true, true], "before it was looked");
    desk.shelf.look(at(22));
    let again = [format!("{now_name}: grows"), format!("{rewind_name}: grows")];
    assert_eq!(words(&desk.inbox), again);

    // Nothing comes any more: it ends by itself.
    desk.shelf.look(at(179));
    assert!(words(&desk.inbox).is_empty());
    desk.shelf.look(at(180));
    assert_eq!(words(&desk.inbox), [format!("{now_name}: gone")]);
    assert!(desk.ask(&now, 180));
    assert_eq!(words(&desk.inbox), [format!("{now_name}: complete")]);
}

#[test]
fn what_is_kept_no_longer_is_taken_back() {
    let records = records(record(10));
    let mut desk = Desk::new(&records);
    let (first, last) = (path(0, 4, "master.m3u8"), path(10, 4, "manifest.mpd"));
    assert_eq!([desk.ask(&first, 20), desk.ask(&last, 20)], [true; 2]);
    words(&desk.inbox);
    records.change("news", |record| record.renditions[0].segments.drain(..1).count());
    desk.shelf.look(at(20));
    let name = |path: &str| path.strip_prefix("/tv/news/").unwrap().to_owned();
    assert_eq!(words(&desk.inbox), [format!("{}: gone", name(&first))]);
    assert!(!desk.shelf.is_idle());
    records.remove("news");
    desk.shelf.look(at(20));
    assert_eq!(words(&desk.inbox), [format!("{}: gone", name(&last))]);
    assert!(desk.shelf.is_idle());
}

#[test]
fn the_oldest_go_when_there_are_too_many() {
    let records = records(record(10));
    let mut desk = Desk::new(&records);
    let path = |number: usize| path(0, 1 + i64::try_from(number).unwrap(), "master.m3u8");
    // The first is written a second time, so it is not the oldest.
    assert!(desk.ask(&path(0), 200));
    let text = desk.writer.text(&path(0), at(200));
    desk.shelf.put(&path(0).as_str().into(), Access::Open, text);
    for number in 1..CATCH_UP_TEXTS_MAX + 3 {
        assert!(desk.ask(&path(number), 200));
    }
    let told = words(&desk.inbox);
    let gone: Vec<_> = told.iter().filter(|word| word.ends_with("gone")).collect();
    let expected = [0, 1, 2].map(|number| path(number).replace("/tv/news/", "") + ": gone");
    assert_eq!(gone, expected.iter().collect::<Vec<_>>());
    assert!(!desk.ask(&path(3), 200) && desk.ask(&path(0), 200));
}

#[test]
fn many_who_wait_for_one_text_are_answered_together_and_texts_that_are_waited_for_are_few() {
    let records = records(record(10));
    let (mut shelf, mut writer) =
        (Shelf::new(Arc::clone(&records), Vec::new()), Writer::new(records, Windows::default()));
    let path: Arc<str> = path(0, 10, "master.m3u8").into();
    let wait = |shelf: &mut Shelf, path: &str| match shelf.take(path, at(20)) {
        Taken::Waits(waits, is_first) => Some((waits, is_first)),
        Taken::Full => None,
        Taken::Text(_) => panic!("nothing was written"),
    };
    let mut all: Vec<_> = (0..100).map(|_| wait(&mut shelf, &path).unwrap()).collect();
    let firsts = all.iter().filter(|(_, is_first)| *is_first);
    assert_eq!(firsts.count(), 1);
    for number in 1..CATCH_UP_WAITING_MAX {
        assert!(wait(&mut shelf, &format!("/tv/news/rewind/{number}/media.m3u8")).is_some());
    }
    assert!(wait(&mut shelf, "/tv/news/rewind/x/media.m3u8").is_none());
    assert!(wait(&mut shelf, &path).is_some_and(|(_, is_first)| !is_first), "it is waited for");
    shelf.put(&path, Access::Open, writer.text(&path, at(20)));
    let texts: Vec<_> =
        all.iter_mut().map(|(waits, _)| waits.try_recv().unwrap().unwrap()).collect();
    assert!(texts.iter().all(|text| Arc::ptr_eq(text, &texts[0])));
}
