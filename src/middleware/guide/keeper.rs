//! The thread that keeps guides up to date: what is due is fetched, unpacked, read and written, one
//! source after the other.
//!
//! It gives way to shards and to everybody who reads from disks. While it works nobody waits for
//! it: how far it is stands on a board, and what is asked meanwhile is asked of others.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::Guide;
use super::fetch::{Fetched, Trust, Wanted, fetch};
use super::import::{Order, Report, import};
use super::store::{Kept, Reading, Store};
use super::unpack::Progress;
use crate::config;
use crate::config::guide::{
    Address, GUIDE_PAST_SECONDS_MIN, GUIDE_REFRESH_MS_MIN, GUIDE_REPLACED_MS, is_file_name,
};
use crate::sys::priority;
use crate::units::UnixTime;

/// A source, as the registry has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// Its id.
    pub id: String,
    /// Where it is, in the network,
    pub url: Option<String>,
    /// or below the guides' folder.
    pub file: Option<String>,
    /// Milliseconds between two looks at it; none = as the config says.
    pub refresh_ms: Option<u64>,
    /// Minutes that its times without an offset are ahead of UTC.
    pub offset_minutes: i32,
    /// Nobody looks at it; what it said before still counts.
    pub is_paused: bool,
}

/// What the last looks at a source brought; the store keeps it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Outcome {
    /// When it was looked at last,
    pub looked_at: u64,
    /// and when that brought something new.
    pub imported_at: u64,
    /// What went wrong, if something did.
    pub error: Option<String>,
    /// Looks in a row that went wrong.
    pub failures: u32,
    /// What the last import brought.
    pub import: Option<Report>,
    /// Where that was from.
    pub from: String,
}

/// What is being done with a source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Nothing.
    #[default]
    Waiting,
    /// It is next, or one of the next.
    Queued,
    /// It is being fetched.
    Fetching,
    /// It is being read and written.
    Importing,
}

/// How a source is.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// What is being done.
    pub state: State,
    /// When it is looked at next; 0 = not by itself.
    pub next_at: u64,
    /// How far that is.
    pub progress: Progress,
    /// What came of it before.
    pub outcome: Outcome,
}

/// How all sources are, by their ids.
pub type Board = Arc<Mutex<BTreeMap<String, Status>>>;

/// The board, for a moment.
pub fn seen(board: &Board) -> MutexGuard<'_, BTreeMap<String, Status>> {
    // Nothing that is done with it leaves half a change.
    board.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the thread is told.
#[derive(Clone, Debug)]
pub enum Task {
    /// These are the sources now, in the order in which they count.
    Sources(Vec<Source>),
    /// This one is to be looked at now.
    Refresh(String),
}

/// The way to the thread.
#[derive(Clone)]
pub struct Keeper {
    /// What it is told.
    pub tasks: Sender<Task>,
    /// How sources are.
    pub board: Board,
    /// Counts editions that came to count, and the start.
    pub editions: watch::Receiver<u64>,
}

/// Starts the thread. It ends when nobody can tell it anything any more.
///
/// # Errors
///
/// No thread can be made.
pub fn start(state: &Path, config: config::guide::Guide, guide: Guide) -> io::Result<Keeper> {
    let (tasks, received) = channel();
    let board = Board::default();
    let (edition, editions) = watch::channel(0);
    let (state, its) = (state.to_owned(), Arc::clone(&board));
    std::thread::Builder::new().name("guides".to_owned()).spawn(move || {
        priority::give_way(19);
        priority::idle_disk_priority();
        let opened = Work::open(&state, config, guide, (its, edition));
        match opened {
            Ok(work) => work.run(&received),
            Err(why) => tracing::error!(why, "there is no guide"),
        }
    })?;
    Ok(Keeper { tasks, board, editions })
}

struct Work {
    state: PathBuf,
    config: config::guide::Guide,
    guide: Guide,
    store: Store,
    reading: Reading,
    board: Board,
    edition: watch::Sender<u64>,
    runtime: tokio::runtime::Runtime,
    trust: Trust,
    sources: Vec<Source>,
}

impl Work {
    fn open(
        state: &Path,
        config: config::guide::Guide,
        guide: Guide,
        (board, edition): (Board, watch::Sender<u64>),
    ) -> Result<Self, String> {
        let store = Store::open(state).map_err(|error| error.to_string())?;
        let reading = Reading::open(state).map_err(|error| error.to_string())?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .max_blocking_threads(1)
            .build()
            .map_err(|error| error.to_string())?;
        // What was half fetched when the server ended.
        let _ = std::fs::remove_dir_all(folder(state));
        edition.send_modify(|count| *count += 1);
        let (state, trust, sources) = (state.to_owned(), Trust::default(), Vec::new());
        Ok(Self { state, config, guide, store, reading, board, edition, runtime, trust, sources })
    }

    fn run(mut self, tasks: &Receiver<Task>) {
        loop {
            match tasks.recv_timeout(self.patience()) {
                Ok(task) => self.take(task),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            while let Some(source) = self.due(tasks) {
                self.look_at(&source);
            }
            let before = now().0.saturating_sub(GUIDE_REPLACED_MS / 1000);
            if let Err(error) = self.store.sweep(UnixTime(before)) {
                tracing::error!(%error, "what was replaced is still there");
            }
        }
    }

    /// How long there is nothing to do, unless something is told.
    fn patience(&self) -> Duration {
        let now = now().0;
        let next = seen(&self.board).values().map(|of| of.next_at).filter(|&at| at > 0).min();
        let next = next.map_or(GUIDE_REPLACED_MS / 1000, |at| at.saturating_sub(now));
        Duration::from_secs(next.clamp(1, GUIDE_REPLACED_MS / 1000))
    }

    fn take(&mut self, task: Task) {
        match task {
            Task::Sources(sources) => self.take_sources(sources),
            Task::Refresh(id) => {
                if let Some(status) = seen(&self.board).get_mut(&id) {
                    status.state = State::Queued;
                }
            }
        }
    }

    fn take_sources(&mut self, sources: Vec<Source>) {
        let ids: Vec<_> = sources.iter().map(|source| source.id.clone()).collect();
        match self.store.retain(&ids, now()) {
            Ok(true) => self.edition.send_modify(|count| *count += 1),
            Ok(false) => {}
            Err(error) => tracing::error!(%error, "sources that are gone are still there"),
        }
        let mut board = seen(&self.board);
        board.retain(|id, _| ids.contains(id));
        for source in &sources {
            let before = self.sources.iter().find(|before| before.id == source.id);
            let is_elsewhere = before
                .is_some_and(|before| (&before.url, &before.file) != (&source.url, &source.file));
            let status = board.entry(source.id.clone()).or_default();
            if before.is_none() {
                let kept = self.store.kept(&source.id).unwrap_or_default();
                status.outcome = serde_json::from_str(&kept.report).unwrap_or_default();
            }
            let next = self.next(source, &status.outcome);
            // What is new, or is elsewhere now, is looked at at once.
            let is_new = status.outcome.looked_at == 0 || status.outcome.from != place(source);
            status.next_at = match (source.is_paused, is_elsewhere || is_new) {
                (true, _) => 0,
                (false, true) => now().0.max(1),
                (false, false) => next,
            };
        }
        drop(board);
        self.sources = sources;
    }

    /// When a source is looked at again, by what was seen last.
    fn next(&self, source: &Source, outcome: &Outcome) -> u64 {
        let period = source.refresh_ms.unwrap_or(self.config.refresh_ms).max(GUIDE_REFRESH_MS_MIN);
        // What fails is tried again sooner, and then less and less often.
        let period = match outcome.failures {
            0 => period,
            failures => period.min(GUIDE_REFRESH_MS_MIN << failures.min(10)),
        };
        // Up to a tenth later, so that not all who fetch a guide come at the same second.
        let mut noise = [0; 2];
        let _ = getrandom::fill(&mut noise);
        let later = period / 10 * u64::from(u16::from_le_bytes(noise)) / u64::from(u16::MAX);
        outcome.looked_at + (period + later) / 1000
    }

    /// The next source that is to be looked at.
    fn due(&mut self, tasks: &Receiver<Task>) -> Option<Source> {
        while let Ok(task) = tasks.try_recv() {
            self.take(task);
        }
        let (board, now) = (seen(&self.board), now().0);
        let is_due = |source: &&Source| {
            board.get(&source.id).is_some_and(|status| {
                status.state == State::Queued || (status.next_at > 0 && status.next_at <= now)
            })
        };
        self.sources.iter().find(is_due).cloned()
    }

    fn set(&self, source: &str, state: State) -> Progress {
        let mut board = seen(&self.board);
        let status = board.entry(source.to_owned()).or_default();
        status.state = state;
        status.progress.clone()
    }

    fn look_at(&mut self, source: &Source) {
        let outcome = self.looked(source);
        let mut board = seen(&self.board);
        let Some(status) = board.get_mut(&source.id) else { return };
        status.state = State::Waiting;
        let before = std::mem::take(&mut status.outcome);
        let looked_at = now().0;
        let from = place(source);
        status.outcome = match outcome {
            Ok(Some(report)) => {
                tracing::info!(
                    source = source.id,
                    channels = report.channels,
                    programmes = report.programmes,
                    skipped = report.skipped,
                    took_ms = report.took_ms,
                    "a guide was imported"
                );
                let (imported_at, import) = (looked_at, Some(report));
                Outcome { looked_at, imported_at, import, from, ..Outcome::default() }
            }
            Ok(None) => Outcome { looked_at, error: None, failures: 0, from, ..before },
            Err(why) => {
                tracing::warn!(source = source.id, why, "a guide was not imported");
                let failures = before.failures.saturating_add(1);
                Outcome { looked_at, error: Some(why), failures, from, ..before }
            }
        };
        status.next_at = if source.is_paused { 0 } else { self.next(source, &status.outcome) };
        let report = serde_json::to_string(&status.outcome).unwrap_or_default();
        drop(board);
        let kept = self.store.kept(&source.id).unwrap_or_default();
        if let Err(error) = self.store.keep(&source.id, &Kept { report, ..kept }) {
            tracing::error!(source = source.id, %error, "what came of it is not kept");
        }
    }

    /// Looks at a source; none = it is what it was.
    fn looked(&mut self, source: &Source) -> Result<Option<Report>, String> {
        let kept = self.store.kept(&source.id).map_err(|error| error.to_string())?;
        let outcome: Outcome = serde_json::from_str(&kept.report).unwrap_or_default();
        // Of something else, or of nothing that was taken, no version is known.
        let is_known = kept.edition.is_some() && outcome.from == place(source);
        let known = if is_known { kept } else { Kept::default() };
        match (&source.url, &source.file) {
            (Some(url), _) => self.fetched(source, url, known),
            (None, Some(file)) => self.found(source, file, &known),
            (None, None) => Err("it says neither where it is nor in which file".to_owned()),
        }
    }

    fn fetched(
        &mut self,
        source: &Source,
        url: &str,
        known: Kept,
    ) -> Result<Option<Report>, String> {
        let address = Address::of_text(url)?;
        let progress = self.set(&source.id, State::Fetching);
        let folder = folder(&self.state);
        let failed = |error: io::Error| format!("{}: {error}", folder.display());
        std::fs::create_dir_all(&folder).map_err(failed)?;
        let path = folder.join("fetched");
        let wanted = Wanted {
            address: &address,
            etag: known.etag.as_deref(),
            modified: known.modified.as_deref(),
            to: &path,
            size_max: self.config.download_max,
            allowed: &self.config.networks,
            progress: &progress,
        };
        let fetched = self.runtime.block_on(fetch(&wanted, &mut self.trust));
        let outcome = match fetched {
            Ok(Fetched::Unchanged) => Ok(None),
            Ok(Fetched::New { etag, modified }) => {
                let kept = Kept { etag, modified, ..Kept::default() };
                self.import(source, &path, kept).map(Some)
            }
            Err(why) => Err(why),
        };
        let _ = std::fs::remove_file(&path);
        outcome
    }

    fn found(
        &mut self,
        source: &Source,
        file: &str,
        known: &Kept,
    ) -> Result<Option<Report>, String> {
        let folder = self.config.folder.clone();
        let folder = folder.ok_or("guide.folder names no folder in which files may lie")?;
        if !is_file_name(file) {
            return Err("it names no file below guide.folder".to_owned());
        }
        let folder = folder.canonicalize().map_err(|error| format!("guide.folder: {error}"))?;
        let path = folder.join(file).canonicalize().map_err(|error| format!("{file}: {error}"))?;
        let metadata = path.metadata().map_err(|error| format!("{file}: {error}"))?;
        if !path.starts_with(&folder) || !metadata.is_file() {
            return Err(format!("{file}: is no file below guide.folder"));
        }
        let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        let modified = modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let version = format!("{}-{}", modified.as_nanos(), metadata.len());
        if known.etag.as_ref() == Some(&version) {
            return Ok(None);
        }
        let kept = Kept { etag: Some(version), ..Kept::default() };
        self.import(source, &path, kept).map(Some)
    }

    fn import(&mut self, source: &Source, path: &Path, kept: Kept) -> Result<Report, String> {
        let progress = self.set(&source.id, State::Importing);
        let archives = self.archives(&source.id);
        let past = |xmltv: &str| {
            archives.get(xmltv).copied().unwrap_or_default().max(GUIDE_PAST_SECONDS_MIN)
        };
        let order = Order {
            source: &source.id,
            kept,
            path,
            offset_minutes: source.offset_minutes,
            unpacked_max: self.config.unpacked_max,
            progress: &progress,
            past_seconds: &past,
            now: now(),
        };
        let imported = import(&mut self.store, &self.reading, &order);
        let report = imported.map_err(|failure| failure.to_string())?;
        self.edition.send_modify(|count| *count += 1);
        progress.read.store(progress.size.load(Ordering::Relaxed), Ordering::Relaxed);
        Ok(report)
    }

    /// How long the past of a source's channels can be watched, by what it calls them.
    fn archives(&self, source: &str) -> BTreeMap<String, u64> {
        let mut archives = BTreeMap::new();
        for line in self.guide.lines().channels.values() {
            for feed in line.feeds.iter().filter(|feed| feed.source == source) {
                let known = archives.entry(feed.xmltv.clone()).or_default();
                *known = line.archive_seconds.max(*known);
            }
        }
        archives
    }
}

/// Where a source is, for whoever compares.
fn place(source: &Source) -> String {
    let of = |text: &Option<String>| text.clone().unwrap_or_default();
    format!("{} {}", of(&source.url), of(&source.file))
}

/// Where it is fetched to.
fn folder(state: &Path) -> PathBuf {
    state.join("guide-fetched")
}

/// The time.
pub fn now() -> UnixTime {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    UnixTime(since.map(|since| since.as_secs()).unwrap_or_default())
}
