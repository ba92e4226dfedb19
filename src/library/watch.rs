//! What inotify says of the libraries' folders, as few words as the library needs.
//!
//! Folders are watched one by one, by whoever scans them: a watch before the first read of the
//! folder misses nothing. An overflow, ours or the kernel's, asks for a scan of everything.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};

use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind, RenameMode};
use notify::{Config, ErrorKind, EventKind, INotifyWatcher, RecursiveMode, Watcher};

use super::run::Event;

/// What happened to a path. A later one of a path replaces an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hint {
    /// A writer has closed it, or it was moved here: it should be whole.
    Complete,
    /// It was created or written to: it may not be whole.
    Growing,
    /// It went, or is a folder, or its rights or times were changed, or a scan saw it.
    Look,
}

/// The watcher of all libraries.
pub(super) struct Watch {
    watcher: Option<INotifyWatcher>,
    /// Set when news was lost.
    lost: Arc<AtomicBool>,
    /// Whether the kernel's limit was reached.
    pub full: bool,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("full", &self.full).finish_non_exhaustive()
    }
}

/// A watcher that tells its news by `tell`, on a thread of its own, and follows no links.
///
/// # Errors
///
/// There is no inotify instance or thread left.
pub fn watcher(
    tell: impl Fn(notify::Result<notify::Event>) + Send + 'static,
) -> notify::Result<INotifyWatcher> {
    // If the watcher's own thread can't be made nobody says so, and the first watch panics; so a
    // thread is made for trial.
    let trial = std::thread::Builder::new().spawn(|| {}).map_err(notify::Error::io)?;
    let _ = trial.join();
    INotifyWatcher::new(tell, Config::default().with_follow_symlinks(false))
}

impl Watch {
    /// A watcher that tells `events`; without one (no inotify instance left) scans must do.
    pub(super) fn start(events: SyncSender<Event>, lost: Arc<AtomicBool>) -> Self {
        let told = Arc::clone(&lost);
        Self::over(lost, move |news| tell(news, &events, &told))
    }

    /// A watcher that tells its news by `tell`, on a thread of its own.
    pub(super) fn over(
        lost: Arc<AtomicBool>,
        tell: impl Fn(notify::Result<notify::Event>) + Send + 'static,
    ) -> Self {
        match watcher(tell) {
            Ok(watcher) => Self { watcher: Some(watcher), lost, full: false },
            Err(error) => {
                tracing::warn!(
                    "shardcast: watching the libraries: {error} (raise fs.inotify.max_user_instances; \
                     until then they are scanned every {} s)",
                    super::run::RESCAN_EVERY.as_secs()
                );
                Self { watcher: None, lost, full: true }
            }
        }
    }

    /// None at all: changes are seen by scans only.
    #[cfg(test)]
    pub(super) fn none() -> Self {
        Self { watcher: None, lost: Arc::default(), full: false }
    }

    /// Whether news was lost since the last call.
    pub(super) fn take_lost(&self) -> bool {
        self.lost.swap(false, Ordering::AcqRel)
    }

    /// Watches one folder, without what is below it.
    pub(super) fn folder(&mut self, path: &Path) {
        let Some(watcher) = &mut self.watcher else { return };
        match watcher.watch(path, RecursiveMode::NonRecursive) {
            Ok(()) => {}
            Err(error) if matches!(error.kind, ErrorKind::MaxFilesWatch) => {
                if !self.full {
                    tracing::warn!(
                        "shardcast: watching {}: the kernel's limit of watches is reached (raise \
                         fs.inotify.max_user_watches; until then all is scanned every {} s)",
                        path.display(),
                        super::run::RESCAN_EVERY.as_secs()
                    );
                }
                self.full = true;
            }
            // It went between being found and being watched: its parent's watch has said so.
            Err(error) => tracing::debug!("watching {}: {error}", path.display()),
        }
    }

    /// Forgets a folder that went. Its watch is gone with it, unless it was moved away.
    pub(super) fn forget(&mut self, path: &Path) {
        if let Some(watcher) = &mut self.watcher {
            // It is an error if it was not watched, which is what we want.
            let _ = watcher.unwatch(path);
        }
    }
}

/// Runs on the watcher's thread, so it never waits.
pub(super) fn tell(
    news: notify::Result<notify::Event>,
    events: &SyncSender<Event>,
    lost: &AtomicBool,
) {
    let Ok(event) = news else {
        lost.store(true, Ordering::Release);
        return;
    };
    if event.need_rescan() {
        lost.store(true, Ordering::Release);
    }
    let Some(hint) = hint(event.kind) else {
        if event.need_rescan() {
            let _ = events.try_send(Event::Wake);
        }
        return;
    };
    for path in event.paths {
        if let Err(TrySendError::Full(_)) = events.try_send(Event::Noticed(path, hint)) {
            lost.store(true, Ordering::Release);
        }
    }
}

fn hint(kind: EventKind) -> Option<Hint> {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write))
        | EventKind::Modify(ModifyKind::Name(RenameMode::To)) => Some(Hint::Complete),
        EventKind::Create(CreateKind::File) | EventKind::Modify(ModifyKind::Data(_)) => {
            Some(Hint::Growing)
        }
        EventKind::Create(_)
        | EventKind::Remove(_)
        | EventKind::Modify(ModifyKind::Metadata(_) | ModifyKind::Name(RenameMode::From)) => {
            Some(Hint::Look)
        }
        // Both ends of a rename come one by one as well; every open, our own too, means nothing.
        _ => None,
    }
}

/// Paths that were noticed and not yet looked at.
#[derive(Debug, Default)]
pub(super) struct Noticed {
    hints: ahash::AHashMap<PathBuf, Hint>,
}

impl Noticed {
    pub(super) fn add(&mut self, path: PathBuf, hint: Hint) {
        let entry = self.hints.entry(path).or_insert(hint);
        // Rights or times tell nothing of whether somebody still writes.
        if hint != Hint::Look {
            *entry = hint;
        }
    }

    pub(super) fn clear(&mut self) {
        self.hints.clear();
    }

    /// Takes all of them; folders come before what is in them.
    pub(super) fn take(&mut self) -> Vec<(PathBuf, Hint)> {
        let mut all: Vec<_> = self.hints.drain().collect();
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        all
    }
}
