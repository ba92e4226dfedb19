//! Opening sources off the shards and off the library's own thread: two threads, one queue.
//!
//! A source comes out as an `Opened` that can be served, or as the reason why not. Nothing here
//! knows who asked.

mod beside;

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::open::{OpenError, open_pack};
use super::version::Version;
use crate::live::playlist::ladder;
use crate::messages::{
    Beside, Device, FilePayload, Index, Laid, Opened, Payload, Single, SourceId, SourceKind,
};
use crate::pack::compress;
use crate::sys::{files, mapping, priority};
use crate::units::{Class, Extent, MIB, Rung, Variant, media_type};

/// Largest file of a folder that is copied to the heap, in bytes. Beyond it a file is served from
/// disk once it is complete. Playlists and manifests are copied up to 8 MiB.
pub(super) const HEAP_FILE_SIZE_MAX: u64 = MIB as u64;

/// Threads that open. One would let one slow disk stall the others.
const THREADS: usize = 2;

/// The kernel stamps changes with the time of its last tick, at most this long ago.
const STAMP: Duration = Duration::from_millis(20);

/// Whether a file of this name and size is served from the heap.
pub(super) fn is_heap_file(public: &str, size: u64) -> bool {
    size <= HEAP_FILE_SIZE_MAX || (is_list(public) && size <= compress::GZIP_SOURCE_SIZE_MAX as u64)
}

/// Whether files of this name change while they are watched: they are copied at once.
pub(super) fn is_list(public: &str) -> bool {
    matches!(Class::of(public), Class::Playlist | Class::Manifest)
}

/// Something to do off the library's thread.
#[derive(Debug)]
pub(super) enum Job {
    /// Open a source.
    Open(ToOpen),
    /// Close one: the last reference to a large or unlinked file can take its time.
    Close(Arc<Opened>),
}

/// What to open.
#[derive(Debug)]
pub(super) struct ToOpen {
    /// The number it will have.
    pub source: SourceId,
    /// The library's folder.
    pub root: Arc<File>,
    /// Where the file lies below it.
    pub below: PathBuf,
    /// Pack or file.
    pub kind: SourceKind,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Outcome {
    pub source: SourceId,
    pub result: Result<(Arc<Opened>, Version), Refused>,
}

/// Why a source was not opened.
#[derive(Debug)]
pub(super) enum Refused {
    /// It is no good, until it changes: the reason.
    Damaged(String),
    /// It isn't there, or not a regular file, or a link out of the library.
    Missing,
    /// Somebody is writing it.
    Unfinished,
    /// No descriptor or memory is left: the reason.
    Exhausted(String),
    /// It could not be read, which proves nothing against its bytes: the reason.
    Unreadable(String),
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::ENOENT | libc::ENOTDIR | libc::EXDEV | libc::ELOOP | libc::ENXIO) => {
                Self::Missing
            }
            Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::EAGAIN) => {
                Self::Exhausted(error.to_string())
            }
            _ => Self::Unreadable(error.to_string()),
        }
    }
}

/// The queue and its threads.
#[derive(Debug)]
pub(super) struct Pool {
    queue: Arc<Queue>,
    threads: Vec<thread::JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Queue {
    jobs: Mutex<Jobs>,
    news: Condvar,
}

#[derive(Debug, Default)]
struct Jobs {
    /// A client waits for these.
    urgent: VecDeque<Job>,
    /// Nobody waits for these.
    patient: VecDeque<Job>,
    ended: bool,
}

impl Pool {
    /// Starts the threads; each outcome is given to `done`.
    /// `mapped`: files that are served from disk are mapped as well, for zero-copy sends.
    pub(super) fn start(
        mapped: bool,
        done: impl Fn(Outcome) + Clone + Send + 'static,
    ) -> io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let threads = (0..THREADS)
            .map(|number| {
                let (queue, done) = (Arc::clone(&queue), done.clone());
                thread::Builder::new().name(format!("opener-{number}")).spawn(move || {
                    priority::give_way(super::NICE);
                    while let Some(job) = queue.take() {
                        match job {
                            Job::Open(to_open) => {
                                let source = to_open.source;
                                done(Outcome { source, result: open(&to_open, mapped) });
                            }
                            Job::Close(opened) => drop(opened),
                        }
                    }
                })
            })
            .collect::<io::Result<_>>()?;
        Ok(Self { queue, threads })
    }

    /// Adds a job. The queue is bounded by the number of sources: each is in it at most once.
    pub(super) fn add(&self, job: Job, urgent: bool) {
        let mut jobs = self.queue.lock();
        if urgent {
            jobs.urgent.push_back(job)
        } else {
            jobs.patient.push_back(job)
        }
        drop(jobs);
        self.queue.news.notify_one();
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.queue.lock().ended = true;
        self.queue.news.notify_all();
        for thread in self.threads.drain(..) {
            // A thread that panicked has aborted the process.
            let _ = thread.join();
        }
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Jobs> {
        // The lock is never held across anything that can panic.
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<Job> {
        let mut jobs = self.lock();
        loop {
            if jobs.ended {
                return None;
            }
            if let Some(job) = jobs.urgent.pop_front().or_else(|| jobs.patient.pop_front()) {
                return Some(job);
            }
            jobs = self.news.wait(jobs).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Opens one source and checks what can be checked.
fn open(to_open: &ToOpen, mapped: bool) -> Result<(Arc<Opened>, Version), Refused> {
    // A FIFO must not block us, so it is opened without waiting and then refused.
    let flags = libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = File::from(files::open_beneath(&*to_open.root, &to_open.below, flags)?);
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(Refused::Missing);
    }
    let version = Version::of(&metadata);
    let device = Device(version.device);
    let name = to_open.below.to_string_lossy();
    let source = to_open.source;
    let (opened, version) = match to_open.kind {
        SourceKind::Pack => {
            let (index, payload, beside) = pack(file, device, mapped)?;
            (Opened { source, index, payload, beside }, version)
        }
        SourceKind::File if is_heap_file(&name, version.size) => {
            let (index, payload, version) = heap_file(file, &name)?;
            let beside = beside::of_folder(to_open, &name, (&index, &payload));
            (Opened { source, index, payload, beside }, version)
        }
        SourceKind::File => {
            let (index, payload) = large_file(file, &name, version, mapped)?;
            (Opened { source, index, payload, beside: None }, version)
        }
    };
    Ok((Arc::new(opened), version))
}

fn pack(
    file: File,
    device: Device,
    mapped: bool,
) -> Result<(Index, Payload, Option<Arc<Beside>>), Refused> {
    let pack = open_pack(file).map_err(|error| match error {
        OpenError::Io(error) => Refused::from(error),
        OpenError::Pack(error) => Refused::Damaged(error.to_string()),
    })?;
    let beside = beside::of_pack(&pack);
    let payload = file_payload(pack.file, pack.size, device, mapped);
    Ok((Index::Pack(pack.index), payload, beside))
}

fn file_payload(file: File, size: u64, device: Device, mapped: bool) -> Payload {
    // Without a mapping (there are at most 65,530) it is sent by sendfile, which needs none.
    let map = if mapped && size > 0 { mapping::map_file(&file).ok() } else { None };
    let residency = files::residency(&file);
    let fd = OwnedFd::from(file);
    Payload::File(Arc::new(FilePayload { fd, size, device, residency, map }))
}

/// A file that is served from disk: complete only when no writer has it open.
fn large_file(
    file: File,
    name: &str,
    version: Version,
    mapped: bool,
) -> Result<(Index, Payload), Refused> {
    // Its tag is made of its times: a further change must get another stamp than the last one.
    if let Some(wait) = STAMP.checked_sub(version.age()) {
        thread::sleep(wait);
    }
    // Where we may not ask, the listing has waited until its size was stable.
    if files::has_writer(&file) == Some(true) {
        return Err(Refused::Unfinished);
    }
    if Version::of_file(&file)? != version {
        return Err(Refused::Unfinished);
    }
    let extent = Extent { offset: 0, size: version.size };
    let identity = Variant { extent, etag: version.etag() };
    let index = Index::Single(single(name, version, identity, None));
    Ok((index, file_payload(file, version.size, Device(version.device), mapped)))
}

/// A copy of a small file, with the gzipped bytes behind it where that pays.
fn heap_file(mut file: File, name: &str) -> Result<(Index, Payload, Version), Refused> {
    let (bytes, version) = stable_bytes(&mut file)?;
    let text = str::from_utf8(&bytes).unwrap_or_default();
    let ladder = ladder::narrowed(Class::of(name), text);
    let laid = Laid::of(&bytes, &ladder, |text| compress::gzip(name, text));
    let of = single(name, version, laid.identity, laid.gzip);
    let index = Index::Single(Single { narrowed: laid.narrowed, ..of });
    Ok((index, Payload::Heap(laid.bytes), version))
}

fn single(name: &str, version: Version, identity: Variant, gzip: Option<Variant>) -> Single {
    Single {
        media_type: media_type(name),
        class: Class::of(name),
        modified: version.unix_time(),
        identity,
        gzip,
        narrowed: Box::default(),
        rung: Rung::default(),
    }
}

/// The bytes of a file that did not change while they were read.
fn stable_bytes(file: &mut File) -> Result<(Vec<u8>, Version), Refused> {
    use std::io::Seek;
    const ATTEMPTS: usize = 3;
    for _ in 0..ATTEMPTS {
        let before = Version::of_file(file)?;
        let size = usize::try_from(before.size).unwrap_or(usize::MAX);
        let mut bytes = Vec::new();
        bytes
            .try_reserve_exact(size.saturating_add(1))
            .map_err(|_| Refused::Exhausted("no memory".to_owned()))?;
        file.rewind()?;
        // One byte more than promised, so that a file that grows is seen to grow.
        file.by_ref().take(before.size + 1).read_to_end(&mut bytes)?;
        if bytes.len() == size && Version::of_file(file)? == before {
            return Ok((bytes, before));
        }
    }
    Err(Refused::Unfinished)
}
