//! The files of a watched folder: news of them in, what is in them out, on a thread of its own,
//! since a disk may make one wait.
//!
//! A segment is read while it grows, as far as it has come; other files are read when they are
//! closed or renamed into place. What lay there before is not taken, but for headers, which
//! encoders write once. Nothing is removed. Links are not followed. News that was lost is found
//! again by a scan.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant, SystemTime};

use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind, RemoveKind, RenameMode};
use notify::{EventKind, INotifyWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

use crate::config::sources::{
    FOLDER_FILES_MAX, FOLDER_FOLDERS_MAX, FOLDER_GROWING_MAX, FOLDER_NEWS_MAX, FOLDER_PIECE_SIZE,
    FOLDER_PIECES_MAX,
};
use crate::config::{INGEST_IDLE_MS, SEGMENT_SIZE_MAX};
use crate::library::watcher;
use crate::live::upload::{Kind, upload};

/// How often it is looked whether anybody still listens, and whether news was lost.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Bytes of a file.
#[derive(Debug)]
pub struct Piece {
    /// The file, below the folder.
    pub path: String,
    /// May be none.
    pub bytes: Vec<u8>,
    /// Whether the file begins with it.
    pub is_first: bool,
    /// Whether nothing more comes of the file.
    pub is_last: bool,
    /// Whether something would have come, if its writer had gone on.
    pub is_torn: bool,
    /// What it belongs to.
    pub series: Series,
}

/// The pieces of one reading of a file.
#[derive(Clone, Debug, Default)]
pub struct Series(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    is_refused: AtomicBool,
    grew: bool,
}

impl Series {
    /// Nothing more of it is of use.
    pub fn refuse(&self) {
        self.0.is_refused.store(true, Ordering::Release);
    }

    fn is_refused(&self) -> bool {
        self.0.is_refused.load(Ordering::Acquire)
    }

    /// Whether it was read while it grew.
    #[must_use]
    pub fn grew(&self) -> bool {
        self.0.grew
    }

    fn of_growing() -> Self {
        Self(Arc::new(Shared { grew: true, ..Shared::default() }))
    }
}

/// Where it is asked for a file that is to be read again, as a whole.
#[derive(Debug)]
pub struct Again(SyncSender<News>, Arc<AtomicBool>);

impl Again {
    /// Asks for this file below the folder.
    pub fn ask(&self, path: String) {
        if self.0.try_send(News::Again(path)).is_err() {
            self.1.store(true, Ordering::Release);
        }
    }
}

/// What happened to a file.
#[derive(Debug)]
enum News {
    /// It was closed or renamed into place, or is a folder.
    Whole(PathBuf),
    /// Something was written to it.
    Grew(PathBuf),
    /// It was removed or renamed.
    Gone(PathBuf),
    /// What was read of it while it grew was of no use.
    Again(String),
}

/// How a file was when it was taken.
type Version = (SystemTime, u64);

/// Watches a folder, on a thread of its own, until nobody wants its pieces any more.
///
/// # Errors
///
/// There is no thread or watcher to be had.
pub fn start(root: PathBuf) -> notify::Result<(mpsc::Receiver<Piece>, Again)> {
    let (sender, news) = sync_channel(FOLDER_NEWS_MAX);
    let lost = Arc::new(AtomicBool::new(false));
    let (told, noticed) = (Arc::clone(&lost), sender.clone());
    let watcher = watcher(move |event| tell(event, &noticed, &told))?;
    let (pieces, taken) = mpsc::channel(FOLDER_PIECES_MAX);
    let again = Again(sender, Arc::clone(&lost));
    let mut files = Files::new(root, Some(watcher), pieces, lost);
    let run = move || {
        files.scan(true);
        while files.turn(&news) {}
    };
    std::thread::Builder::new().name("folder".to_owned()).spawn(run)?;
    Ok((taken, again))
}

/// Runs on the watcher's thread, so it never waits.
fn tell(event: notify::Result<notify::Event>, news: &SyncSender<News>, lost: &AtomicBool) {
    let Ok(event) = event else { return lost.store(true, Ordering::Release) };
    if event.need_rescan() || event.kind == EventKind::Remove(RemoveKind::Folder) {
        lost.store(true, Ordering::Release);
    }
    let of: fn(PathBuf) -> News = match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write))
        | EventKind::Modify(ModifyKind::Name(RenameMode::To))
        | EventKind::Create(CreateKind::Folder) => News::Whole,
        EventKind::Modify(ModifyKind::Data(_)) => News::Grew,
        EventKind::Remove(RemoveKind::File)
        | EventKind::Modify(ModifyKind::Name(RenameMode::From)) => News::Gone,
        _ => return,
    };
    for path in event.paths {
        let one = of(path);
        // What grew will grow again, or be closed.
        let is_needed = matches!(one, News::Whole(_));
        if news.try_send(one).is_err() && is_needed {
            lost.store(true, Ordering::Release);
        }
    }
}

/// A file that is read while it grows.
struct Tail {
    file: File,
    /// Its path below the folder.
    below: String,
    read: u64,
    /// When something of it was read last.
    heard: Instant,
    series: Series,
}

struct Files {
    root: PathBuf,
    watcher: Option<INotifyWatcher>,
    pieces: mpsc::Sender<Piece>,
    /// Set when news was lost.
    lost: Arc<AtomicBool>,
    watched: BTreeSet<PathBuf>,
    known: BTreeMap<PathBuf, Version>,
    tails: BTreeMap<PathBuf, Tail>,
}

impl Files {
    fn new(
        root: PathBuf,
        watcher: Option<INotifyWatcher>,
        pieces: mpsc::Sender<Piece>,
        lost: Arc<AtomicBool>,
    ) -> Self {
        let (watched, known, tails) = Default::default();
        Self { root, watcher, pieces, lost, watched, known, tails }
    }

    /// Does what the next news asks for; false if there is nobody to do it for.
    fn turn(&mut self, news: &Receiver<News>) -> bool {
        match news.recv_timeout(LOOK_EVERY) {
            Ok(News::Whole(path)) => self.look(&path, false),
            Ok(News::Grew(path)) => self.grow(&path),
            Ok(News::Gone(path)) => self.end_tail(&path, true),
            Ok(News::Again(path)) => self.read(&self.root.join(&path), path),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return false,
        }
        self.end_idle_tails();
        if self.lost.swap(false, Ordering::AcqRel) || self.watched.is_empty() {
            self.scan(false);
        }
        !self.pieces.is_closed()
    }

    /// Looks at everything; at the start what is there is known, but for headers.
    fn scan(&mut self, is_start: bool) {
        // One that was made anew has the name of the old one, whose watch went with it.
        self.watched.clear();
        let mut folders = vec![self.root.clone()];
        let mut files = Vec::new();
        while let Some(folder) = folders.pop() {
            // A watch before the first read misses nothing.
            self.watch_folder(&folder);
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                    Ok(kind) if kind.is_file() => files.push(entry.path()),
                    _ => {}
                }
            }
            if self.watched.len() >= FOLDER_FOLDERS_MAX {
                break;
            }
        }
        // Headers come first: files of one moment of the file system's clock have no order.
        let order = |path: &PathBuf| {
            let is_header = |name: &str| upload(name, None).kind == Kind::Header;
            let written = fs::metadata(path).and_then(|of| of.modified()).ok();
            (!path.to_str().is_some_and(is_header), written)
        };
        files.sort_by_cached_key(order);
        for path in files {
            // What is being read while it grows says by itself when it is whole.
            if !self.tails.contains_key(&path) {
                self.look(&path, is_start);
            }
        }
    }

    fn watch_folder(&mut self, folder: &Path) {
        if self.watched.contains(folder) {
            return;
        }
        if self.watched.len() >= FOLDER_FOLDERS_MAX {
            return tracing::warn!(folder = %folder.display(), "not watched: one folder too many");
        }
        let Some(watcher) = &mut self.watcher else { return };
        match watcher.watch(folder, RecursiveMode::NonRecursive) {
            Ok(()) => drop(self.watched.insert(folder.to_owned())),
            // It may not be there yet: the next look sees.
            Err(error) => tracing::debug!(folder = %folder.display(), "not watched: {error}"),
        }
    }

    /// A file is whole, or a folder came.
    fn look(&mut self, path: &Path, is_start: bool) {
        let Ok(metadata) = fs::symlink_metadata(path) else { return self.end_tail(path, true) };
        if metadata.is_dir() {
            // A scan watches it, and finds what was written there before.
            return self.lost.store(true, Ordering::Release);
        }
        let Some((below, kind)) = self.taken_as(path, &metadata) else { return };
        let version = version(&metadata);
        let is_same = self.tails.get(path).is_some_and(|tail| tail.is_of(&metadata));
        if is_same && self.read_tail(path) {
            self.remember(path, version);
            return self.end_tail(path, false);
        }
        self.end_tail(path, true);
        if self.known.get(path) == Some(&version) {
            return;
        }
        self.remember(path, version);
        if !is_start || kind == Kind::Header {
            self.read(path, below);
        }
    }

    /// What a regular file is taken as, and its path below the folder; none if it is of no use.
    fn taken_as(&self, path: &Path, metadata: &Metadata) -> Option<(String, Kind)> {
        let below = path.strip_prefix(&self.root).ok().and_then(Path::to_str)?;
        let kind = upload(below, None).kind;
        let is_of_use =
            metadata.is_file() && !matches!(kind, Kind::Probe | Kind::Key | Kind::Unknown);
        is_of_use.then(|| (below.to_owned(), kind))
    }

    /// Something was written to a file.
    fn grow(&mut self, path: &Path) {
        if !self.tails.contains_key(path) && !self.begin_tail(path) {
            return;
        }
        if !self.read_tail(path) {
            // It was cut, or can't be read: when it is closed it is read from its start.
            self.end_tail(path, true);
        }
    }

    /// From now on a file is read while it grows; false if it is not.
    fn begin_tail(&mut self, path: &Path) -> bool {
        let Ok(metadata) = fs::symlink_metadata(path) else { return false };
        let Some((below, kind)) = self.taken_as(path, &metadata) else { return false };
        if !matches!(kind, Kind::Media | Kind::Stream)
            || self.known.get(path) == Some(&version(&metadata))
            || self.tails.len() >= FOLDER_GROWING_MAX
            // It was there for long, and is not of now.
            || metadata.len() > SEGMENT_SIZE_MAX
        {
            return false;
        }
        let Ok(file) = open(path) else { return false };
        let series = Series::of_growing();
        let tail = Tail { file, below, read: 0, heard: Instant::now(), series };
        self.send(Piece { is_first: true, ..tail.piece(Vec::new()) });
        self.tails.insert(path.to_owned(), tail);
        true
    }

    /// Reads what has been written; false if the file is not what it was.
    fn read_tail(&mut self, path: &Path) -> bool {
        let Some(tail) = self.tails.get_mut(path) else { return false };
        let size = tail.file.metadata().map_or(0, |metadata| metadata.len());
        if size < tail.read {
            return false;
        }
        loop {
            let Ok(bytes) = piece_of(&tail.file) else { return false };
            if bytes.is_empty() {
                return true;
            }
            tail.read += bytes.len() as u64;
            tail.heard = Instant::now();
            if !tail.series.is_refused() {
                // If nobody takes it, the next turn is the last one.
                let _ = self.pieces.blocking_send(tail.piece(bytes));
            }
        }
    }

    /// Nothing more is read of a file while it grows.
    fn end_tail(&mut self, path: &Path, is_torn: bool) {
        let Some(tail) = self.tails.remove(path) else { return };
        self.send(Piece { is_last: true, is_torn, ..tail.piece(Vec::new()) });
    }

    /// A writer that is silent for too long has gone.
    fn end_idle_tails(&mut self) {
        let idle = Duration::from_millis(INGEST_IDLE_MS);
        let is_idle = |(_, tail): &(&PathBuf, &Tail)| tail.heard.elapsed() >= idle;
        let gone: Vec<_> =
            self.tails.iter().filter(is_idle).map(|(path, _)| path.clone()).collect();
        gone.iter().for_each(|path| self.end_tail(path, true));
    }

    /// Reads all of a file.
    fn read(&self, path: &Path, below: String) {
        let Ok(file) = open(path) else { return };
        if file.metadata().is_ok_and(|metadata| metadata.len() > SEGMENT_SIZE_MAX) {
            return tracing::warn!(path = below, "not taken: it is longer than is taken");
        }
        let series = Series::default();
        let mut is_first = true;
        loop {
            let bytes = piece_of(&file).unwrap_or_default();
            let is_last = bytes.is_empty() || series.is_refused();
            let (path, series) = (below.clone(), series.clone());
            self.send(Piece { path, bytes, is_first, is_last, is_torn: false, series });
            is_first = false;
            if is_last || self.pieces.is_closed() {
                return;
            }
        }
    }

    fn send(&self, piece: Piece) {
        // If nobody takes it, the next turn is the last one.
        let _ = self.pieces.blocking_send(piece);
    }

    fn remember(&mut self, path: &Path, version: Version) {
        self.known.insert(path.to_owned(), version);
        if self.known.len() > FOLDER_FILES_MAX {
            let oldest = self.known.iter().min_by_key(|(_, version)| version.0);
            let oldest = oldest.map(|(path, _)| path.clone());
            oldest.map(|path| self.known.remove(&path));
        }
    }
}

impl Tail {
    /// Bytes of it that are neither the first nor the last.
    fn piece(&self, bytes: Vec<u8>) -> Piece {
        let (path, series) = (self.below.clone(), self.series.clone());
        Piece { path, bytes, is_first: false, is_last: false, is_torn: false, series }
    }

    /// Whether the file at its path is still the one that is read.
    fn is_of(&self, metadata: &Metadata) -> bool {
        let of = self.file.metadata();
        of.is_ok_and(|of| (of.dev(), of.ino()) == (metadata.dev(), metadata.ino()))
    }
}

fn version(metadata: &Metadata) -> Version {
    (metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH), metadata.len())
}

fn open(path: &Path) -> io::Result<File> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    File::options().read(true).custom_flags(flags).open(path)
}

/// The next bytes of a file; none at its end.
fn piece_of(file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(FOLDER_PIECE_SIZE).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
