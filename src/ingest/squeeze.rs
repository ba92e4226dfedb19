//! Texts gzipped, once somebody has asked for one, and then as long as somebody asks.
//!
//! Most texts are replaced every half second, and most channels have nobody who watches: to
//! compress each would be work for nobody. So shards say which text a client would have had
//! gzipped, and that one and those that replace it in the next seconds are compressed.
//!
//! Players of low latency wait for a text, and have what it is when they are released. So a text
//! that is wanted is compressed before it is told of: a playlist of a minute has 2 KiB, which takes
//! a tenth of a millisecond and a fifth of the bytes. All channels together may take `AT_ONCE` of
//! each `PERIOD` for that, since whoever comes behind them waits, too. What is too large or comes
//! when that is used up is told of as it is and compressed by a thread of low priority; what that
//! makes replaces the text, if it is still the newest.

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

/// How long texts are compressed after somebody asked. Then one comes as it is, and whoever has it
/// asks again.
const WANTED: Duration = Duration::from_secs(30);

/// Largest text that is compressed before it is told of, in bytes: a playlist of ten minutes.
const AT_ONCE_SIZE_MAX: usize = 16 * KIB;

/// How much of each period texts may take that are compressed before they are told of: so much
/// later is the last of all that come in the same moment.
const AT_ONCE: Duration = Duration::from_millis(2);

/// See `AT_ONCE`.
const PERIOD: Duration = Duration::from_millis(20);

/// What lowers the thread's priority, as `nice` counts.
const NICE: i32 = 10;

/// Texts that can be compressed, and the thread that does it.
#[derive(Debug)]
pub struct Squeezer {
    texts: HashMap<Arc<str>, Text>,
    by_source: HashMap<SourceId, Arc<str>>,
    /// None where no thread could be made: texts stay as they are.
    jobs: Option<SyncSender<Job>>,
    /// When the period began, and what it has taken so far.
    period: (Instant, Duration),
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
        let (texts, by_source) = (HashMap::new(), HashMap::new());
        (Self { texts, by_source, jobs, period: (Instant::now(), Duration::ZERO) }, results)
    }

    /// The gzipped form of a text that will be published, if it is wanted and there is time.
    pub fn at_once(&mut self, path: &str, bytes: &[u8]) -> Option<Vec<u8>> {
        let wanted = self.texts.get(path)?.wanted?;
        let began = Instant::now();
        if began.saturating_duration_since(self.period.0) >= PERIOD {
            self.period = (began, Duration::ZERO);
        }
        let is_wanted = began.saturating_duration_since(wanted) < WANTED;
        if !is_wanted || bytes.len() > AT_ONCE_SIZE_MAX || self.period.1 >= AT_ONCE {
            return None;
        }
        let gzipped = compress::gzip_now(bytes);
        self.period.1 += began.elapsed();
        gzipped
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
        if wanted.is_some() && single.gzip.is_none() {
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
        let opened =
            Arc::new(Opened { source, index, payload: Payload::Heap(bytes), beside: None });
        self.by_source.remove(&of);
        self.by_source.insert(source, Arc::clone(&path));
        text.opened = Arc::clone(&opened);
        let (kind, access) = (SourceKind::File, text.access);
        let change = Change::Present { source, kind, access, opened: Some(opened) };
        Some(Listing { path, change })
    }
}

fn compress_all(jobs: &Receiver<Job>, made: &Sender<Squeezed>) {
    priority::give_way(NICE);
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
    let mut bytes = bytes.to_vec();
    let mut put = |identity: Variant| -> Option<Variant> {
        let Extent { offset, size } = identity.extent;
        let range = usize::try_from(offset).ok()?..usize::try_from(offset + size).ok()?;
        let gzipped = compress::gzip(&path, bytes.get(range)?)?;
        let extent = Extent { offset: bytes.len() as u64, size: gzipped.len() as u64 };
        bytes.extend_from_slice(&gzipped);
        Some(Variant { extent, etag: ETag::of(&gzipped) })
    };
    let mut single = single.clone();
    single.gzip = Some(put(single.identity)?);
    for narrowed in &mut single.narrowed {
        narrowed.gzip = narrowed.gzip.or_else(|| put(narrowed.identity));
    }
    Some(Squeezed { path, of: opened.source, bytes: bytes.into(), single })
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
            narrowed: Box::default(),
            rung: Default::default(),
        };
        let payload = Payload::Heap(body.as_bytes().into());
        let source = SourceId::of_live(number);
        Arc::new(Opened { source, index: Index::Single(single), payload, beside: None })
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
    fn a_text_that_is_wanted_is_compressed_before_it_is_told_of_as_long_as_there_is_time() {
        let (mut squeezer, mut results) = Squeezer::new();
        let path: Arc<str> = "/tv/news/v/ll.m3u8".into();
        let body = "#EXTINF:2.0,\n897825600.m4s\n".repeat(60);
        squeezer.published(&path, &text(1, &body), Access::Open);
        assert!(squeezer.at_once(&path, body.as_bytes()).is_none(), "nobody has asked");
        squeezer.asked(SourceId::of_live(1));
        let gzipped = squeezer.at_once(&path, body.as_bytes()).expect("somebody has");
        let mut plain = String::new();
        flate2::read::GzDecoder::new(&gzipped[..]).read_to_string(&mut plain).unwrap();
        assert_eq!(plain, body);
        // What a period may take is taken, and then it is over.
        squeezer.period = (Instant::now() + PERIOD, AT_ONCE);
        assert!(squeezer.at_once(&path, body.as_bytes()).is_none());
        squeezer.period.0 = Instant::now().checked_sub(PERIOD).expect("the machine runs longer");
        assert!(squeezer.at_once(&path, body.as_bytes()).is_some());
        assert!(squeezer.at_once(&path, &vec![b'x'; AT_ONCE_SIZE_MAX + 1]).is_none());
        // What has both forms is left alone.
        let first = results.blocking_recv().unwrap();
        let both = squeezer.listing(first, SourceId::of_live(2)).and_then(|one| one.opened());
        squeezer.published(&path, &both.expect("it is the newest"), Access::Open);
        squeezer.jobs = None;
        assert!(results.blocking_recv().is_none(), "nothing more was to be done");
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
