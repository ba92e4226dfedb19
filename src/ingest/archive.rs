//! Archives of live channels, and what channels remember over a restart.
//!
//! The live thread hands segments over when they are whole, by reference, and goes on. Threads of
//! their own (`recorder`) write them: every channel belongs to one of them, which gathers what
//! comes within `ARCHIVE_COMMIT_MS` and makes it durable together (`keeper`), and where that is
//! asked for what is under way as well (`growing`). What came of it is said in three places: in the
//! channel's record, to the lender, who lists it for the shards, and to requests that wait for it
//! (`Progress`).

pub mod growing;
pub mod keeper;
pub mod marks;
pub mod memory;
pub mod progress;
mod recorder;

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::config::{self, ARCHIVE_QUEUE_MAX, ARCHIVE_QUEUE_SIZE_MAX, ARCHIVE_THREADS, Access};
use crate::library::lender::Lender;
use crate::live::records::Records;
use crate::sys::priority;

use growing::Grown;
use keeper::Whole;
use marks::{Begun, Numbers};
use memory::Memory;
use progress::Progress;
use recorder::{BegunChannel, Recorder, ToRecorder};

/// Niceness of the threads: shards and the live thread come first.
const NICE: i32 = 5;

/// The threads that write, and what they share with everybody else.
#[derive(Clone, Debug)]
pub struct Archives {
    threads: Vec<Queue>,
}

/// The way to one of the threads.
#[derive(Clone, Debug)]
struct Queue {
    sender: Sender<ToRecorder>,
    load: Arc<Load>,
}

/// What waits for a thread.
#[derive(Debug, Default)]
pub struct Load {
    segments: AtomicUsize,
    bytes: AtomicUsize,
}

/// A channel's way to its archive.
#[derive(Clone, Debug)]
pub struct Archive {
    id: Arc<str>,
    /// None for what leaves nothing behind.
    queue: Option<Queue>,
    progress: Arc<Progress>,
    begun: Arc<Begun>,
    is_kept: bool,
    is_required: bool,
}

/// A channel as it was when the server was ended.
#[derive(Debug)]
pub struct Recovered {
    /// Its archive from now on.
    pub archive: Archive,
    /// What it remembers.
    pub memory: Memory,
    /// Up to which number it has begun segments, where those are not taken up again.
    pub begun: Numbers,
    /// The last number that is kept of each rendition.
    pub kept: Vec<(String, i64)>,
    /// Chunks of segments that were not whole.
    pub grown: Vec<Grown>,
}

impl Archives {
    /// Starts the threads; `state` is the server's folder.
    ///
    /// # Errors
    /// If no thread can be made.
    pub fn start(state: &Path, lender: &Lender, records: &Arc<Records>) -> io::Result<Self> {
        let threads = (0..ARCHIVE_THREADS).map(|number| {
            let (sender, queue) = channel();
            let load = Arc::<Load>::default();
            let (lender, records) = (lender.clone(), Arc::clone(records));
            let recorder = Recorder::new(state.to_owned(), lender, records, Arc::clone(&load));
            thread::Builder::new().name(format!("archive-{number}")).spawn(move || {
                priority::give_way(NICE);
                recorder.run(&queue);
            })?;
            Ok(Queue { sender, load })
        });
        Ok(Self { threads: threads.collect::<io::Result<_>>()? })
    }

    /// Has everything made durable that waits, but waits for that no longer than `patience`.
    pub fn finish(&self, patience: Duration) {
        let (done, all_done) = sync_channel(self.threads.len());
        for queue in &self.threads {
            let _ = queue.sender.send(ToRecorder::Finish(done.clone()));
        }
        drop(done);
        let until = Instant::now() + patience;
        for _ in &self.threads {
            let left = until.saturating_duration_since(Instant::now());
            if all_done.recv_timeout(left).is_err() {
                tracing::warn!("what came last is not kept: the disk is slow");
                return;
            }
        }
    }

    /// Begins with a channel: what there was of it comes in time, none if the threads have ended.
    pub fn begin(&self, of: &config::Channel, access: Access) -> oneshot::Receiver<Recovered> {
        let queue = self.queue_of(&of.id).clone();
        let progress = Arc::<Progress>::default();
        let archive = Archive {
            id: of.id.as_str().into(),
            queue: Some(queue.clone()),
            progress,
            begun: Arc::default(),
            is_kept: of.archive.is_some(),
            is_required: of.archive.as_ref().is_some_and(|archive| archive.is_required),
        };
        let (reply, recovered) = oneshot::channel();
        let access = of.access.unwrap_or(access);
        let begun = BegunChannel { archive, settings: of.archive.clone(), access, reply };
        // If the thread has ended, so has the process.
        let _ = queue.sender.send(ToRecorder::Begin(Box::new(begun)));
        recovered
    }

    /// A channel is gone that has begun, and of which nobody has heard since.
    pub fn end(&self, id: &str) {
        let _ = self.queue_of(id).sender.send(ToRecorder::End(id.into()));
    }

    fn queue_of(&self, id: &str) -> &Queue {
        let mut hasher = DefaultHasher::new();
        id.hash(&mut hasher);
        let at = hasher.finish() % self.threads.len() as u64;
        &self.threads[usize::try_from(at).expect("a small number")]
    }
}

impl Recovered {
    /// Of a channel of which nothing was kept, nor will be.
    #[must_use]
    pub fn nothing() -> Self {
        let archive = Archive {
            id: "".into(),
            queue: None,
            progress: Arc::default(),
            begun: Arc::default(),
            is_kept: false,
            is_required: false,
        };
        let (memory, begun) = (Memory::default(), Numbers::new());
        Self { archive, memory, begun, kept: Vec::new(), grown: Vec::new() }
    }
}

impl Archive {
    /// Whether anything is kept.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.is_kept
    }

    /// Whether an encoder hears of success only when its media is durable.
    #[must_use]
    pub fn is_required(&self) -> bool {
        self.is_required
    }

    /// How far the archive has come.
    #[must_use]
    pub fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// Hands a segment over. If too much waits, it is not kept.
    pub fn keep(&self, whole: Box<Whole>) {
        let Some(queue) = self.queue.as_ref().filter(|_| self.is_kept) else { return };
        let (rendition, number) = (Arc::clone(&whole.rendition), whole.kept.number);
        if !queue.load.add(whole.size()) {
            self.progress.drop_one(&rendition, number);
            return;
        }
        let _ = queue.sender.send(ToRecorder::Whole(Arc::clone(&self.id), whole));
    }

    /// Hands a chunk over of a segment that is not whole, where that must outlast a crash. If too
    /// much waits, what is whole comes first.
    pub fn grow(&self, grown: Box<Grown>) {
        let Some(queue) = &self.queue else { return };
        if queue.load.add(grown.bytes.len()) {
            let _ = queue.sender.send(ToRecorder::Grown(Arc::clone(&self.id), grown));
        }
    }

    /// What the channel remembers from now on.
    pub fn remember(&self, memory: Memory) {
        if let Some(queue) = &self.queue {
            let _ = queue.sender.send(ToRecorder::Remember(Arc::clone(&self.id), memory));
        }
    }

    /// A segment of a rendition has begun: nothing else is to have its number. Where success means
    /// that media is durable, what is under way is kept, and goes on.
    pub fn begin_segment(&self, rendition: &str, number: i64) {
        let Some(queue) = self.queue.as_ref().filter(|_| !self.is_required) else { return };
        if self.begun.put(rendition, number) {
            let _ = queue.sender.send(ToRecorder::BeganSegment(Arc::clone(&self.id)));
        }
    }

    /// The channel is gone. What is on disk stays.
    pub fn end(&self) {
        if let Some(queue) = &self.queue {
            let _ = queue.sender.send(ToRecorder::End(Arc::clone(&self.id)));
        }
    }
}

impl Load {
    /// Counts a segment of this size, if there is room for it. Only the live thread adds.
    fn add(&self, size: usize) -> bool {
        let segments = self.segments.load(Ordering::Relaxed);
        let bytes = self.bytes.load(Ordering::Relaxed);
        if segments >= ARCHIVE_QUEUE_MAX || bytes + size > ARCHIVE_QUEUE_SIZE_MAX {
            return false;
        }
        self.segments.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(size, Ordering::Relaxed);
        true
    }

    /// A segment of this size waits no more.
    fn take(&self, size: usize) {
        self.segments.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(size, Ordering::Relaxed);
    }
}

/// Where the archive of a channel lies.
fn folder(state: &Path, id: &str) -> PathBuf {
    state.join("archive").join(id)
}

/// Where the chunks of its segments under way lie.
fn growing_folder(state: &Path, id: &str) -> PathBuf {
    state.join("growing").join(id)
}

/// Where a channel's memory lies.
fn memory_path(state: &Path, id: &str) -> PathBuf {
    state.join("live").join(id)
}
