//! Archives as shards see them: one thread that lists segments, opens hours when a shard asks, and
//! takes them away.
//!
//! Whoever writes an archive says what has become durable; the lender tells all shards. Segments of
//! an open hour are listed one by one, as extents of the file that grows; a finished hour is one
//! listing, opened at the first request for it and closed when the last shard has let go. An hour
//! that is removed is withdrawn first, and its file goes when no shard has it any more. The thread
//! reads indexes and headers, and no payload.

mod files;
mod headers;

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::thread;
use std::time::Duration;

use super::error::{DiskError, shown, told};
use super::hours::Hour;
use super::open::{OpenError, open_path};
use crate::config::Access;
use crate::messages::mail::Outbox;
use crate::messages::{
    Archived, Change, Fault, FilePayload, Index, Listing, Numbers, OpenFault, Opened, Payload,
    SourceId, SourceKind, ToLibrary, Update,
};
use crate::pack::writer::Object;
use crate::sys::priority;
use crate::units::MIB;

use files::{opened, opened_file, opened_pack, payload, unlink};
use headers::Headers;

/// How often a full inbox is tried again.
const FLUSH_EVERY: Duration = Duration::from_millis(5);

/// Listings of one update.
const BATCH_SIZE: usize = 1024;

/// Bytes by which an open hour may grow before its file is opened again, so that shards can read
/// its newest end from the disk, too. Until then that is in memory: it has just been written.
const REOPEN_SIZE: u64 = 64 * MIB as u64;

/// Largest header that is listed, in bytes: more than any that is taken.
const HEADER_SIZE_MAX: u64 = MIB as u64;

/// Names of an hour: whose, and which.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HourOf {
    /// The channel's id.
    pub channel: Arc<str>,
    /// Its hour.
    pub hour: Hour,
}

/// What has become of an archive.
#[derive(Debug)]
pub enum News {
    /// These objects of an open hour are durable.
    Committed {
        /// The hour.
        of: HourOf,
        /// Its payload.
        file: PathBuf,
        /// Who may have them.
        access: Access,
        /// Segments, by their rendition's name and their number, and headers.
        objects: Vec<(What, Object)>,
    },
    /// An hour is a pack now.
    Finished {
        /// The hour.
        of: HourOf,
        /// The pack.
        file: PathBuf,
        /// Who may have it.
        access: Access,
        /// By rendition, what it holds: first and last number.
        numbers: Vec<(String, i64, i64)>,
        /// Paths of headers in it.
        headers: Vec<String>,
    },
    /// An hour is not kept any longer.
    Removed {
        /// The hour.
        of: HourOf,
        /// What there may be of it on disk.
        files: Vec<PathBuf>,
    },
    /// A channel is gone. What is on disk stays.
    Closed(Arc<str>),
}

/// What an object of an open hour is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The segment of a rendition.
    Segment(String, i64),
    /// A header.
    Header,
}

/// The way to the lender. It takes everything at once: what waits there is bounded by what can be
/// listed.
#[derive(Clone, Debug)]
pub struct Lender {
    events: Sender<Event>,
}

#[derive(Debug)]
enum Event {
    News(News),
    Shard(ToLibrary),
    /// Say so when everything that was told before is sent.
    Wait(SyncSender<()>),
}

impl Lender {
    /// Tells what has become of an archive.
    pub fn tell(&self, news: News) {
        // It fails only when the thread has ended, and then nothing is served any more.
        let _ = self.events.send(Event::News(news));
    }

    /// Waits until the shards were sent everything that was told before.
    pub fn wait(&self) {
        let (sent, is_sent) = sync_channel(1);
        if self.events.send(Event::Wait(sent)).is_ok() {
            // It fails when the thread has ended, and then there is nothing to wait for.
            let _ = is_sent.recv();
        }
    }

    /// A shard's message about a pack of an archive.
    pub(super) fn forward(&self, message: ToLibrary) {
        let _ = self.events.send(Event::Shard(message));
    }
}

/// Starts the thread; it ends with the last `Lender`.
///
/// # Errors
/// If no thread can be made.
pub fn start(shards: Vec<Outbox>) -> io::Result<Lender> {
    let (events, queue) = channel();
    thread::Builder::new().name("archive-lender".to_owned()).spawn(move || {
        priority::give_way(super::NICE);
        Lending::new(shards).run(&queue);
    })?;
    Ok(Lender { events })
}

/// The state of the thread.
#[derive(Debug)]
struct Lending {
    shards: Vec<Outbox>,
    hours: BTreeMap<HourOf, Lent>,
    /// The hour behind each pack that can be asked for.
    sources: HashMap<SourceId, HourOf>,
    /// Packs that are gone and still held by shards.
    leaving: HashMap<SourceId, Leaving>,
    /// Headers that are listed, by channel.
    headers: HashMap<Arc<str>, Headers>,
    next: u64,
    batch: Vec<Listing>,
    waiting: Vec<SyncSender<()>>,
}

/// An hour that goes when the last shard has let go of it.
#[derive(Debug)]
struct Leaving {
    holders: Vec<u16>,
    files: Vec<PathBuf>,
}

/// An hour.
#[derive(Debug)]
struct Lent {
    file: PathBuf,
    /// While it is open: its file, as of some time ago.
    payload: Option<Arc<FilePayload>>,
    /// Paths of segments that are listed one by one.
    singles: Vec<Arc<str>>,
    /// When it is finished.
    source: Option<SourceId>,
    opened: Option<Arc<Opened>>,
    holders: Vec<u16>,
    /// Its bytes are no good.
    is_damaged: bool,
}

impl Lending {
    fn new(shards: Vec<Outbox>) -> Self {
        Self {
            shards,
            hours: BTreeMap::new(),
            sources: HashMap::new(),
            leaving: HashMap::new(),
            headers: HashMap::new(),
            next: 0,
            batch: Vec::new(),
            waiting: Vec::new(),
        }
    }

    fn run(mut self, events: &Receiver<Event>) {
        loop {
            let event = if self.shards.iter().all(Outbox::is_empty) {
                events.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                events.recv_timeout(FLUSH_EVERY)
            };
            match event {
                Ok(Event::News(news)) => self.handle_news(news),
                Ok(Event::Shard(message)) => self.handle_shard(message),
                Ok(Event::Wait(sent)) => self.waiting.push(sent),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.send_listings();
            let mut is_sent = true;
            for shard in &mut self.shards {
                is_sent &= shard.flush();
            }
            if is_sent {
                for waiting in self.waiting.drain(..) {
                    // Who does not wait any more need not hear it.
                    let _ = waiting.try_send(());
                }
            }
        }
    }

    fn handle_news(&mut self, news: News) {
        let told = match news {
            News::Committed { of, file, access, objects } => {
                self.handle_committed(&of, file, access, objects)
            }
            News::Finished { of, file, access, numbers, headers } => {
                self.handle_finished(&of, &file, access, numbers);
                self.list_headers(&of, &file, access, &headers)
            }
            News::Removed { of, files } => {
                self.remove(&of, files);
                Ok(())
            }
            News::Closed(channel) => {
                self.handle_closed(&channel);
                Ok(())
            }
        };
        if let Err(error) = told {
            tracing::error!("an archive is not served: {error}");
        }
    }

    fn handle_committed(
        &mut self,
        of: &HourOf,
        file: PathBuf,
        access: Access,
        objects: Vec<(What, Object)>,
    ) -> Result<(), DiskError> {
        let end = |object: &Object| {
            let extent = object.identity.variant.extent;
            extent.offset + extent.size
        };
        let end = objects.iter().map(|(_, object)| end(object)).max().unwrap_or(0);
        let lent = self.hours.entry(of.clone()).or_insert_with(|| Lent::of(&file));
        let payload = match &lent.payload {
            Some(payload) if end < payload.size + REOPEN_SIZE => Arc::clone(payload),
            _ => {
                let payload = opened_file(&file).map_err(DiskError::of("opening", &file))?;
                Arc::clone(lent.payload.insert(Arc::new(payload)))
            }
        };
        for (what, object) in objects {
            match what {
                What::Segment(rendition, number) => {
                    self.list_single(of, access, (&rendition, number), &object, &payload);
                }
                What::Header => self.list_header(of, access, &object, &payload)?,
            }
        }
        Ok(())
    }

    fn list_single(
        &mut self,
        of: &HourOf,
        access: Access,
        (rendition, number): (&str, i64),
        object: &Object,
        payload: &Arc<FilePayload>,
    ) {
        let source = SourceId::of_archived_object(self.number());
        let opened = opened(source, object, Payload::File(Arc::clone(payload)));
        let path: Arc<str> = format!("{}/{rendition}/{number}", place(of)).into();
        let folder = format!("/tv/{}/{rendition}", of.channel).into();
        let archived = Archived {
            source,
            kind: SourceKind::File,
            access,
            opened: Some(Arc::new(opened)),
            numbers: vec![Numbers { folder, first: number, last: number }],
        };
        if let Some(lent) = self.hours.get_mut(of) {
            lent.singles.push(Arc::clone(&path));
        }
        self.list(path, Change::Archived(Arc::new(archived)));
    }

    /// A header is small, and players begin with it: it is kept in memory, under its own name.
    fn list_header(
        &mut self,
        of: &HourOf,
        access: Access,
        object: &Object,
        payload: &FilePayload,
    ) -> Result<(), DiskError> {
        let path: Arc<str> = format!("/tv/{}/{}", of.channel, object.path).into();
        let extent = object.identity.variant.extent;
        let lent = self.headers.entry(Arc::clone(&of.channel)).or_default();
        if extent.size > HEADER_SIZE_MAX || !lent.add(&path, of.hour, extent.size) {
            return Ok(());
        }
        let too_many = lent.bound();
        let mut bytes = vec![0; usize::try_from(extent.size).expect("at most a mebibyte")];
        let read = payload.fd.try_clone().map(File::from);
        read.and_then(|file| file.read_exact_at(&mut bytes, extent.offset))
            .map_err(DiskError::of("reading", Path::new(&object.path)))?;
        let source = SourceId::of_archived_object(self.number());
        let mut opened = opened(source, object, Payload::Heap(bytes.into()));
        if let Index::Single(single) = &mut opened.index {
            single.identity.extent.offset = 0;
        }
        let opened = Some(Arc::new(opened));
        self.list(path, Change::Present { source, kind: SourceKind::File, access, opened });
        too_many.into_iter().for_each(|path| self.list(path, Change::Absent));
        Ok(())
    }

    fn handle_finished(
        &mut self,
        of: &HourOf,
        file: &Path,
        access: Access,
        numbers: Vec<(String, i64, i64)>,
    ) {
        let source = SourceId::of_archive(self.number());
        let number = |(rendition, first, last): (String, i64, i64)| Numbers {
            folder: format!("/tv/{}/{rendition}", of.channel).into(),
            first,
            last,
        };
        let numbers = numbers.into_iter().map(number).collect();
        let kind = SourceKind::Pack;
        let archived = Archived { source, kind, access, opened: None, numbers };
        let old = self.hours.insert(of.clone(), Lent { source: Some(source), ..Lent::of(file) });
        self.sources.insert(source, of.clone());
        self.list(place(of).into(), Change::Archived(Arc::new(archived)));
        for path in old.map(|old| old.singles).unwrap_or_default() {
            self.list(path, Change::Absent);
        }
    }

    fn list_headers(
        &mut self,
        of: &HourOf,
        file: &Path,
        access: Access,
        headers: &[String],
    ) -> Result<(), DiskError> {
        let mut new = Vec::new();
        let lent = self.headers.entry(Arc::clone(&of.channel)).or_default();
        for header in headers {
            let path: Arc<str> = format!("/tv/{}/{header}", of.channel).into();
            if lent.has(&path) {
                lent.add(&path, of.hour, 0);
            } else {
                new.push(header);
            }
        }
        if new.is_empty() {
            return Ok(());
        }
        let pack = open_path(file)?;
        let payload = payload(pack.file).map_err(DiskError::of("reading", file))?;
        for header in new {
            let Some(number) = pack.index.find(header.as_bytes()) else { continue };
            let entry = pack.index.entry(number);
            let object = Object {
                path: entry.path.to_owned(),
                media_type: entry.media_type.to_owned(),
                modified: entry.modified.0,
                modified_nanos: 0,
                identity: crate::pack::writer::Written { variant: entry.identity, crc: entry.crc },
                gzip: None,
            };
            self.list_header(of, access, &object, &payload)?;
        }
        Ok(())
    }

    /// Withdraws an hour, and removes these files when nobody has it any more.
    fn remove(&mut self, of: &HourOf, files: Vec<PathBuf>) {
        let lent = self.withdraw(of);
        let headers = self.headers.get_mut(&of.channel);
        let gone = headers.map(|headers| headers.remove(of.hour)).unwrap_or_default();
        gone.into_iter().for_each(|path| self.list(path, Change::Absent));
        match lent.and_then(|lent| Some((lent.source?, lent.holders))) {
            Some((source, holders)) if !holders.is_empty() => {
                self.leaving.insert(source, Leaving { holders, files });
            }
            _ => unlink(&files),
        }
    }

    fn withdraw(&mut self, of: &HourOf) -> Option<Lent> {
        let mut lent = self.hours.remove(of)?;
        for path in std::mem::take(&mut lent.singles) {
            self.list(path, Change::Absent);
        }
        if let Some(source) = lent.source {
            self.list(place(of).into(), Change::Absent);
            self.sources.remove(&source);
        }
        Some(lent)
    }

    fn handle_closed(&mut self, channel: &Arc<str>) {
        let of = |hour: &&HourOf| hour.channel == *channel;
        for hour in self.hours.keys().filter(of).cloned().collect::<Vec<_>>() {
            self.withdraw(&hour);
        }
        for path in self.headers.remove(channel).into_iter().flat_map(Headers::into_paths) {
            self.list(path, Change::Absent);
        }
    }

    fn handle_shard(&mut self, message: ToLibrary) {
        match message {
            ToLibrary::Open { shard, source } => self.handle_open(shard, source),
            ToLibrary::Released { shard, source } => self.handle_released(shard, source),
            ToLibrary::Faulty { source, fault } => self.handle_faulty(source, fault),
        }
    }

    fn handle_open(&mut self, shard: u16, source: SourceId) {
        let of = self.sources.get(&source).cloned();
        let Some(lent) = of.and_then(|of| self.hours.get_mut(&of)) else {
            return self.send(shard, Update::Failed(source, OpenFault::Missing));
        };
        if lent.is_damaged {
            return self.send(shard, Update::Failed(source, OpenFault::Damaged));
        }
        let opened = match &lent.opened {
            Some(opened) => Ok(Arc::clone(opened)),
            None => opened_pack(source, &lent.file),
        };
        match opened {
            Ok(opened) => {
                lent.opened = Some(Arc::clone(&opened));
                if !lent.holders.contains(&shard) {
                    lent.holders.push(shard);
                }
                self.send(shard, Update::Opened(opened));
            }
            Err(error) => {
                let (fault, why) = match error {
                    OpenError::Pack(error) => (OpenFault::Damaged, error.to_string()),
                    OpenError::Io(error) if error.kind() == io::ErrorKind::NotFound => {
                        (OpenFault::Missing, error.to_string())
                    }
                    OpenError::Io(error) => (OpenFault::Exhausted, error.to_string()),
                };
                lent.is_damaged = fault == OpenFault::Damaged;
                tracing::error!("shardcast: opening {}: {why}", shown(&lent.file));
                self.send(shard, Update::Failed(source, fault));
            }
        }
    }

    fn handle_released(&mut self, shard: u16, source: SourceId) {
        let of = self.sources.get(&source);
        if let Some(lent) = of.and_then(|of| self.hours.get_mut(of)) {
            lent.holders.retain(|holder| *holder != shard);
            if lent.holders.is_empty() {
                lent.opened = None;
            }
        } else if let Some(leaving) = self.leaving.get_mut(&source) {
            leaving.holders.retain(|holder| *holder != shard);
            if leaving.holders.is_empty() {
                unlink(&leaving.files);
                self.leaving.remove(&source);
            }
        }
    }

    /// A shard could not send its bytes, and has marked it. Others find out for themselves.
    fn handle_faulty(&mut self, source: SourceId, fault: Fault) {
        let of = self.sources.get(&source);
        let Some(lent) = of.and_then(|of| self.hours.get_mut(of)) else { return };
        if !std::mem::replace(&mut lent.is_damaged, true) {
            tracing::error!("shardcast: serving {}: {}", shown(&lent.file), told(fault));
        }
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn list(&mut self, path: Arc<str>, change: Change) {
        self.batch.push(Listing { path, change });
        if self.batch.len() >= BATCH_SIZE {
            self.send_listings();
        }
    }

    fn send_listings(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        let batch: Arc<[Listing]> = self.batch.drain(..).collect();
        for shard in &mut self.shards {
            shard.send(Update::Listed(Arc::clone(&batch)));
        }
    }

    fn send(&mut self, shard: u16, update: Update) {
        // A shard must know the listing that an answer is about.
        self.send_listings();
        if let Some(outbox) = self.shards.get_mut(usize::from(shard)) {
            outbox.send(update);
        }
    }
}

impl Lent {
    fn of(file: &Path) -> Self {
        Self {
            file: file.to_owned(),
            payload: None,
            singles: Vec::new(),
            source: None,
            opened: None,
            holders: Vec::new(),
            is_damaged: false,
        }
    }
}

/// Where an hour is listed: no client can ask for a path with a control character.
fn place(of: &HourOf) -> String {
    format!("\0archive/{}/{}", of.channel, of.hour)
}
