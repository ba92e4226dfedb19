//! Texts gzipped, once somebody has asked for one, and then as long as somebody asks.
//!
//! Most texts are replaced every half second, and most channels have nobody who watches: to
//! compress each would be work for nobody. So shards say which text a client would have had
//! gzipped, and that one and those that replace it in the next seconds are compressed, on a thread
//! of low priority. What it makes replaces the text as it is, if that is still the newest; a text
//! is always told of before, so nobody who waits for it waits for this.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{Sender, channel};

use crate::config::{Access, SQUEEZES_MAX};
use crate::messages::{Change, Index, Listing, Opened, Payload, Single, SourceId, SourceKind};
use crate::pack::compress;
use crate::sys::priority;
use crate::units::{Class, ETag, Extent, KIB, Variant};

/// Smallest text that is worth it, in bytes: a smaller one fits a packet as it is.
const SIZE_MIN: u64 = KIB as u64;

/// How long texts are compressed after somebody asked.
const WANTED: Duration = Duration::from_secs(10);

/// What lowers the thread's priority, as `nice` counts.
const NICE: i32 = 10;

/// Texts that can be compressed, and the thread that does it.
#[derive(Debug)]
pub struct Squeezer {
    texts: HashMap<Arc<str>, Text>,
    by_source: HashMap<SourceId, Arc<str>>,
    /// None where no thread could be made: texts stay as they are.
    jobs: Option<SyncSender<Job>>,
}

/// The newest version of a text.
#[derive(Debug)]
struct Text {
    opened: Arc<Opened>,
    access: Access,
    /// When somebody asked last.
    wanted: Option<Instant>,
}

#[derive(Debug)]
struct Job {
    path: Arc<str>,
    opened: Arc<Opened>,
}

/// A text with its gzipped form.
#[derive(Debug)]
pub struct Squeezed {
    path: Arc<str>,
    /// The version that was compressed.
    of: SourceId,
    /// Both forms, one behind the other, and where the second one begins.
    bytes: Box<[u8]>,
    single: Single,
}

/// What was compressed, as it comes.
pub type Results = tokio::sync::mpsc::Receiver<Squeezed>;

impl Squeezer {
    /// With a thread of its own, which ends with it.
    #[must_use]
    pub fn new() -> (Self, Results) {
        let (jobs, waiting) = sync_channel(SQUEEZES_MAX);
        let (made, results) = channel(SQUEEZES_MAX);
        let thread = std::thread::Builder::new().name("compress".to_owned());
        let jobs = match thread.spawn(move || compress_all(&waiting, &made)) {
            Ok(_) => Some(jobs),
            Err(error) => {
                tracing::warn!(%error, "no thread can be made: live texts are not gzipped");
                None
            }
        };
        (Self { texts: HashMap::new(), by_source: HashMap::new(), jobs }, results)
    }

    /// A text is published, in the place of an older one of its path.
    pub fn published(&mut self, path: &Arc<str>, opened: &Arc<Opened>, access: Access) {
        let wanted = self.take(path).and_then(|old| old.wanted);
        let Index::Single(single) = &opened.index else { return };
        let is_text = matches!(single.class, Class::Playlist | Class::Manifest);
        if !is_text || single.identity.extent.size < SIZE_MIN {
            return;
        }
        let wanted = wanted.filter(|since| since.elapsed() < WANTED);
        if wanted.is_some() {
            self.compress(path, opened);
        }
        self.by_source.insert(opened.source, Arc::clone(path));
        let opened = Arc::clone(opened);
        self.texts.insert(Arc::clone(path), Text { opened, access, wanted });
    }

    /// A text is gone.
    pub fn remove(&mut self, path: &str) {
        self.take(path);
    }

    fn take(&mut self, path: &str) -> Option<Text> {
        let text = self.texts.remove(path)?;
        self.by_source.remove(&text.opened.source);
        Some(text)
    }

    /// A shard has a client that would take it gzipped.
    pub fn asked(&mut self, source: SourceId) {
        let Some(path) = self.by_source.get(&source).map(Arc::clone) else { return };
        let Some(text) = self.texts.get_mut(&path) else { return };
        // Each shard says so of each version, and one is enough.
        let is_new = text.wanted.is_none_or(|since| since.elapsed() >= WANTED);
        text.wanted = Some(Instant::now());
        if is_new {
            let opened = Arc::clone(&text.opened);
            self.compress(&path, &opened);
        }
    }

    /// If there is too much to do, the text stays as it is.
    fn compress(&self, path: &Arc<str>, opened: &Arc<Opened>) {
        if let Some(jobs) = &self.jobs {
            let _ = jobs.try_send(Job { path: Arc::clone(path), opened: Arc::clone(opened) });
        }
    }

    /// The listing of what was compressed, under this number; none if it is not the newest any
    /// more.
    pub fn listing(&mut self, squeezed: Squeezed, source: SourceId) -> Option<Listing> {
        let Squeezed { path, of, bytes, single } = squeezed;
        let text = self.texts.get_mut(&path).filter(|text| text.opened.source == of)?;
        let index = Index::Single(single);
        let opened = Arc::new(Opened { source, index, payload: Payload::Heap(bytes) });
        self.by_source.remove(&of);
        self.by_source.insert(source, Arc::clone(&path));
        text.opened = Arc::clone(&opened);
        let (kind, access) = (SourceKind::File, text.access);
        let change = Change::Present { source, kind, access, opened: Some(opened) };
        Some(Listing { path, change })
    }
}

fn compress_all(jobs: &Receiver<Job>, made: &Sender<Squeezed>) {
    priority::lower_thread_priority(NICE);
    while let Ok(Job { path, opened }) = jobs.recv() {
        let squeezed = squeezed(path, &opened);
        // Nobody else may be kept from freeing the text by this.
        drop(opened);
        if let Some(squeezed) = squeezed
            && made.blocking_send(squeezed).is_err()
        {
            return;
        }
    }
}

/// Both forms of a text, if the second one saves anything.
fn squeezed(path: Arc<str>, opened: &Opened) -> Option<Squeezed> {
    let (Index::Single(single), Payload::Heap(bytes)) = (&opened.index, &opened.payload) else {
        return None;
    };
    let gzipped = compress::gzip(&path, bytes)?;
    let extent = Extent { offset: bytes.len() as u64, size: gzipped.len() as u64 };
    let gzip = Some(Variant { extent, etag: ETag::of(&gzipped) });
    let bytes = [&bytes[..], &gzipped].concat().into_boxed_slice();
    Some(Squeezed { path, of: opened.source, bytes, single: Single { gzip, ..single.clone() } })
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::units::UnixTime;

    fn text(number: u64, body: &str) -> Arc<Opened> {
        let extent = Extent { offset: 0, size: body.len() as u64 };
        let single = Single {
            media_type: "application/vnd.apple.mpegurl",
            class: Class::Playlist,
            modified: UnixTime(0),
            identity: Variant { extent, etag: ETag::of(body.as_bytes()) },
            gzip: None,
        };
        let payload = Payload::Heap(body.as_bytes().into());
        let source = SourceId::of_live(number);
        Arc::new(Opened { source, index: Index::Single(single), payload })
    }

    #[test]
    fn a_text_is_compressed_when_somebody_asks_and_so_is_the_next_one() {
        let (mut squeezer, mut results) = Squeezer::new();
        let path: Arc<str> = "/tv/news/v/index.m3u8".into();
        let body = "#EXTINF:2.0,\n897825600.m4s\n".repeat(60);
        squeezer.published(&path, &text(1, &body), Access::Open);
        squeezer.asked(SourceId::of_live(7));
        squeezer.asked(SourceId::of_live(1));
        squeezer.asked(SourceId::of_live(1));
        let first = results.blocking_recv().unwrap();
        let listing = squeezer.listing(first, SourceId::of_live(2)).expect("it is the newest");
        let Change::Present { opened: Some(opened), .. } = listing.change else { panic!() };
        let (Index::Single(single), Payload::Heap(bytes)) = (&opened.index, &opened.payload) else {
            panic!("it is a text");
        };
        assert!(bytes.starts_with(body.as_bytes()));
        let gzip = single.gzip.expect("it has both forms");
        assert_ne!(gzip.etag, single.identity.etag);
        let mut plain = String::new();
        let gzipped = &bytes[usize::try_from(gzip.extent.offset).unwrap()..];
        flate2::read::GzDecoder::new(gzipped).read_to_string(&mut plain).unwrap();
        assert_eq!(plain, body);
        // Nobody has to ask again at once; what came too late is of no use.
        squeezer.published(&path, &text(3, &body), Access::Open);
        squeezer.published(&path, &text(4, &body), Access::Open);
        let late = results.blocking_recv().unwrap();
        assert!(squeezer.listing(late, SourceId::of_live(5)).is_none());
        let newest = results.blocking_recv().unwrap();
        assert!(squeezer.listing(newest, SourceId::of_live(6)).is_some());
    }

    #[test]
    fn what_is_small_or_gone_is_not_compressed() {
        let (mut squeezer, _results) = Squeezer::new();
        let path: Arc<str> = "/tv/news/master.m3u8".into();
        squeezer.published(&path, &text(1, "#EXTM3U\n"), Access::Open);
        assert!(squeezer.texts.is_empty() && squeezer.by_source.is_empty());
        squeezer.published(&path, &text(2, &"#EXTM3U\n".repeat(1000)), Access::Open);
        squeezer.remove(&path);
        assert!(squeezer.texts.is_empty() && squeezer.by_source.is_empty());
    }
}
