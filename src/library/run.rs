//! The library's thread: what happens on disk and what shards ask for come in as events; listings
//! and opened sources go out to the shards.
//!
//! One turn: take what has happened, look at the paths that were noticed, poll what is being
//! written, send. Nothing here waits for a file's bytes: the pool does that.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use ahash::AHashMap;

use super::error::shown;
use super::lend::{Indexes, Lent};
use super::lender::Lender;
use super::names::{Name, Names};
use super::opener::{Outcome, Pool};
use super::reload::Reload;
use super::root::Root;
use super::scan::{self, Scan};
use super::scrub::Scrubbed;
use super::shelve::Growing;
use super::upkeep::{Upkeep, Warmed};
use super::watch::{Hint, Noticed, Watch};
use crate::config::{LISTED_MAX, Limits};
use crate::messages::mail::Outbox;
use crate::messages::{Change, Listing, SourceId, ToLibrary, Update};

/// Time for a burst of news to become one look. A playlist is replaced by a rename and shows up
/// this much later, and the reading of it.
const SETTLE: Duration = Duration::from_millis(5);
/// How often all is scanned where watching can't be relied on.
pub(super) const RESCAN_EVERY: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 10 });
/// How often a full inbox is tried again.
const FLUSH_EVERY: Duration = Duration::from_millis(5);
/// How many times as long as a scan took the next one waits, if nobody asked for it: whoever writes
/// without pause makes us lose news without pause, and packs must be opened, too.
const REST: u32 = 9;
/// Longest wait for files that were young when the server started, before it says it is ready.
const READY_PATIENCE: Duration = Duration::from_secs(3);
/// Listings of one update.
const BATCH_SIZE: usize = 1024;
/// Events taken in one turn.
const EVENTS_A_TURN: usize = 4096;

/// What happens to the library.
#[derive(Debug)]
pub(super) enum Event {
    /// A shard wants something.
    Shard(ToLibrary),
    /// Something changed on disk.
    Noticed(PathBuf, Hint),
    /// The pool has opened something, or not.
    Opened(Outcome),
    /// A file was brought onto huge pages, or not.
    Warmed(Warmed),
    /// A pack was read whole.
    Scrubbed(Scrubbed),
    /// Look at everything again.
    #[cfg(test)]
    Rescan,
    /// The config was read again: look at everything anew.
    Reload(Box<Reload>),
    /// Look at the flags.
    Wake,
    /// End.
    Stop,
}

/// The state of the thread.
#[derive(Debug)]
pub(super) struct Library {
    pub(super) roots: Vec<Root>,
    /// The roots' folders, open; none while one is missing.
    pub(super) folders: Vec<Option<Arc<File>>>,
    pub(super) limits: Limits,
    pub(super) names: Names,
    /// The claim behind each source that can be asked for.
    pub(super) sources: AHashMap<SourceId, Name>,
    /// Sources that are open, being opened, or found bad.
    pub(super) lent: AHashMap<SourceId, Lent>,
    /// Files that may not be whole yet.
    pub(super) growing: AHashMap<Name, Growing>,
    /// Bytes of lists that are kept in memory, or are being copied there.
    pub(super) list_bytes: usize,
    pub(super) indexes: Indexes,
    pub(super) next_source: u64,
    pub(super) scan_number: u32,
    pub(super) shards: Vec<Outbox>,
    pub(super) pool: Pool,
    pub(super) watch: Watch,
    pub(super) noticed: Noticed,
    pub(super) upkeep: Upkeep,
    pub(super) rivals: u32,
    listings: Vec<Listing>,
    look_at: Option<Instant>,
    rescan_at: Option<Instant>,
    /// Whether news was lost since the last scan.
    lost: bool,
    /// When that may be made up for by a scan.
    rest_until: Instant,
    links: bool,
    /// What could not be read in the last scan, of which no event will tell, and in the one before.
    unreadable: BTreeSet<PathBuf>,
    was_unreadable: BTreeSet<PathBuf>,
    /// Whether the log has said that there is more than is listed.
    pub(super) is_cut: bool,
    /// And whether the scan before did.
    was_cut: bool,
    started: Instant,
    ready: Arc<AtomicBool>,
}

/// What the thread is started with.
pub(super) struct Parts {
    pub roots: Vec<Root>,
    pub limits: Limits,
    pub shards: Vec<Outbox>,
    pub pool: Pool,
    pub watch: Watch,
    pub upkeep: Upkeep,
    pub ready: Arc<AtomicBool>,
}

impl Library {
    pub(super) fn new(parts: Parts) -> Self {
        Self {
            folders: parts.roots.iter().map(|_| None).collect(),
            roots: parts.roots,
            limits: parts.limits,
            names: Names::default(),
            sources: AHashMap::new(),
            lent: AHashMap::new(),
            growing: AHashMap::new(),
            list_bytes: 0,
            indexes: Indexes::default(),
            next_source: 1,
            scan_number: 0,
            shards: parts.shards,
            pool: parts.pool,
            watch: parts.watch,
            noticed: Noticed::default(),
            upkeep: parts.upkeep,
            rivals: 0,
            listings: Vec::new(),
            look_at: None,
            rescan_at: None,
            lost: false,
            rest_until: Instant::now(),
            links: false,
            unreadable: BTreeSet::new(),
            was_unreadable: BTreeSet::new(),
            is_cut: false,
            was_cut: false,
            started: Instant::now(),
            ready: parts.ready,
        }
    }

    /// Runs until it is told to stop.
    pub(super) fn run(mut self, events: Receiver<Event>) {
        self.scan_everything();
        self.end_turn();
        self.turns(&events);
        // First the queue: the pool, which goes with `self`, may be waiting for room in it.
        drop(events);
    }

    fn turns(&mut self, events: &Receiver<Event>) {
        loop {
            let mut event = match events.recv_timeout(self.patience(Instant::now())) {
                Ok(event) => Some(event),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            for _ in 0..EVENTS_A_TURN {
                match event {
                    None => break,
                    Some(Event::Stop) => return,
                    Some(happened) => self.handle(happened),
                }
                event = events.try_recv().ok();
            }
            if let Some(event) = event {
                self.handle(event);
            }
            self.turn(Instant::now());
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Shard(ToLibrary::Open { shard, source }) => self.handle_open(shard, source),
            Event::Shard(ToLibrary::Released { shard, source }) => {
                self.handle_released(shard, source);
            }
            Event::Shard(ToLibrary::Faulty { source, fault }) => self.handle_faulty(source, fault),
            Event::Noticed(path, hint) => {
                self.noticed.add(path, hint);
                self.look_at.get_or_insert_with(|| Instant::now() + SETTLE);
            }
            Event::Opened(outcome) => self.handle_outcome(outcome),
            Event::Warmed(warmed) => self.handle_warmed(warmed),
            Event::Scrubbed(scrubbed) => self.handle_scrubbed(scrubbed),
            #[cfg(test)]
            Event::Rescan => self.scan_everything(),
            Event::Reload(new) => self.handle_reload(*new),
            Event::Wake | Event::Stop => {}
        }
    }

    /// Does what is due.
    fn turn(&mut self, now: Instant) {
        self.lost |= self.watch.take_lost();
        let make_up = self.lost && self.rest_until <= now;
        if make_up || self.rescan_at.is_some_and(|at| at <= now) {
            if make_up {
                tracing::info!("news of the libraries were lost: scanning them");
            }
            self.scan_everything();
        } else if self.look_at.is_some_and(|at| at <= now) {
            self.look_at = None;
            for (path, hint) in self.noticed.take() {
                self.look_at_path(&path, hint);
            }
        }
        self.poll_growing(now);
        self.end_turn();
        if self.ready.load(Ordering::Relaxed) {
            self.upkeep(now);
        }
    }

    fn end_turn(&mut self) {
        self.send_listings();
        let mut all_sent = true;
        for shard in &mut self.shards {
            all_sent &= shard.flush();
        }
        if all_sent && !self.ready.load(Ordering::Relaxed) && self.is_settled() {
            self.ready.store(true, Ordering::Release);
            self.choose_packs_to_warm();
            tracing::info!("{} packs and files are listed", self.names.count());
        }
    }

    /// Whether what was there at the start is listed: nothing is still being copied to memory, and
    /// what looked unfinished was given the time that tells.
    fn is_settled(&self) -> bool {
        let patient = self.started.elapsed() < READY_PATIENCE;
        let unfinished = patient && !self.growing.is_empty();
        !unfinished && !self.lent.values().any(|lent| lent.opening && lent.waiting.is_empty())
    }

    /// How long nothing has to be done if nothing happens.
    fn patience(&self, now: Instant) -> Duration {
        let flush = self.shards.iter().any(|shard| !shard.is_empty()).then(|| now + FLUSH_EVERY);
        let growing = self.growing.values().map(|growing| growing.due).min();
        let ready = self.ready.load(Ordering::Relaxed);
        let patience = Some(self.started + READY_PATIENCE).filter(|end| *end > now);
        let upkeep = if ready { self.upkeep.due(now) } else { patience };
        let make_up = self.lost.then_some(self.rest_until);
        [flush, growing, upkeep, self.look_at, self.rescan_at, make_up]
            .into_iter()
            .flatten()
            .min()
            .map_or(Duration::from_secs(3600), |due| due.saturating_duration_since(now))
    }

    /// Scans every library, and takes from the shards what is no longer there.
    pub(super) fn scan_everything(&mut self) {
        let began = Instant::now();
        self.noticed.clear();
        self.look_at = None;
        self.lost = false;
        self.links = false;
        self.was_unreadable = std::mem::take(&mut self.unreadable);
        self.was_cut = std::mem::take(&mut self.is_cut);
        for root in 0..self.roots.len() {
            if !self.roots[root].gone {
                self.scan_below(root, Path::new(""));
            }
        }
        self.rest_until = Instant::now() + began.elapsed() * REST;
        self.rescan_at = None;
        self.plan_rescan();
    }

    /// Scans a folder of a library, and takes away what is no longer in it.
    pub(super) fn scan_below(&mut self, root: usize, below: &Path) {
        self.scan_number += 1;
        if below.as_os_str().is_empty() && !self.open_folder(root) {
            return;
        }
        let Some(folder) = self.folders[root].clone() else {
            return self.forget_below(root, below, &[]);
        };
        let watch = &mut self.watch;
        let mut watched = |path: &Path| watch.folder(path);
        let scan = Scan::of(&self.roots[root], &folder, below, &mut watched);
        self.links |= scan.links;
        if scan.cut {
            self.note_cut();
        }
        for (path, version) in scan.files {
            self.consider(root, &path, version, Hint::Look);
        }
        let mut unreadable = Vec::new();
        for (path, error) in scan.unreadable {
            let folder = self.roots[root].folder.join(&path);
            // It is tried again every few seconds, and said once.
            if !self.was_unreadable.contains(&folder) && !self.unreadable.contains(&folder) {
                tracing::warn!("shardcast: scanning {}: {error}", shown(&folder));
            }
            self.unreadable.insert(folder);
            unreadable.push(path);
        }
        self.forget_below(root, below, &unreadable);
    }

    /// Opens a library's folder anew; false: it may be there, and what is known of it stays.
    fn open_folder(&mut self, root: usize) -> bool {
        let Root { folder, missing, .. } = &mut self.roots[root];
        // A FIFO in its place must not block us, and is no folder.
        let opened = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(&*folder);
        let opened = opened.and_then(|opened| match opened.metadata()?.is_dir() {
            true => Ok(opened),
            false => Err(std::io::Error::from_raw_os_error(libc::ENOTDIR)),
        });
        let error = match opened {
            Ok(opened) => {
                if std::mem::replace(missing, false) {
                    tracing::info!("{} is there now", folder.display());
                }
                self.folders[root] = Some(Arc::new(opened));
                return true;
            }
            Err(error) => error,
        };
        let gone = scan::is_gone(&error);
        // It is tried again every few seconds, and said once.
        if !std::mem::replace(missing, true) {
            let what = if gone {
                "it is served when it appears"
            } else {
                "what was listed stays, changes are seen when it opens"
            };
            tracing::warn!("shardcast: opening {}: {error} ({what})", shown(folder));
        }
        if gone {
            self.folders[root] = None;
        }
        gone
    }

    /// Looks at one path that was noticed, in every library that it belongs to.
    fn look_at_path(&mut self, path: &Path, hint: Hint) {
        for root in 0..self.roots.len() {
            let Ok(below) = path.strip_prefix(&self.roots[root].folder) else { continue };
            let hidden = |part: &std::ffi::OsStr| part.as_encoded_bytes().starts_with(b".");
            if !below.iter().any(hidden) {
                let below = below.to_owned();
                self.look_below(root, &below, hint);
            }
        }
        self.plan_rescan();
    }

    /// Plans the next scan where watching is not enough: no watches left, links, what could not be
    /// read, a missing root.
    fn plan_rescan(&mut self) {
        let mut roots = self.roots.iter().zip(&self.folders);
        let missing = roots.any(|(root, folder)| !root.gone && (root.missing || folder.is_none()));
        let needed = self.watch.full || self.links || !self.unreadable.is_empty() || missing;
        let next = (Instant::now() + RESCAN_EVERY).max(self.rest_until);
        // What is planned already stays: news that never ends must not put it off for ever.
        self.rescan_at = needed.then(|| self.rescan_at.unwrap_or(next));
    }

    /// Says once, until all could be listed, that there is more than can be.
    pub(super) fn note_cut(&mut self) {
        if !std::mem::replace(&mut self.is_cut, true) && !self.was_cut {
            tracing::error!(
                "shardcast: listing the libraries: more than {LISTED_MAX} files, or too many \
                 behind links to folders (the rest is not served: pack folders of segments, or \
                 take links away)"
            );
        }
    }

    /// Notes that a link was seen.
    pub(super) fn note_link(&mut self, link: bool) {
        self.links |= link;
    }

    /// Tells every shard of a change of one name, with the others of this turn.
    pub(super) fn list(&mut self, path: Arc<str>, change: Change) {
        self.listings.push(Listing { path, change });
        if self.listings.len() >= BATCH_SIZE {
            self.send_listings();
        }
    }

    /// Sends what `list` has gathered. Before anything that depends on it.
    pub(super) fn send_listings(&mut self) {
        if self.listings.is_empty() {
            return;
        }
        let batch: Arc<[Listing]> = self.listings.drain(..).collect();
        for shard in &mut self.shards {
            shard.send(Update::Listed(Arc::clone(&batch)));
        }
    }
}

/// Takes shards' messages into the one queue that the library waits for, and those about archives
/// into the lender's.
pub(super) fn forward(inbox: &Receiver<ToLibrary>, events: &SyncSender<Event>, lender: &Lender) {
    while let Ok(message) = inbox.recv() {
        if message.source().is_archived() {
            lender.forward(message);
            continue;
        }
        if events.send(Event::Shard(message)).is_err() {
            return;
        }
    }
}
