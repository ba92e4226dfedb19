//! A folder that an encoder of this machine writes: what it closes or renames into place is taken
//! as if it had been pushed under the same name.
//!
//! What lay there before is not taken, but for headers, which encoders write once. Nothing is
//! removed. Links are not followed. News that was lost is found again by a scan.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind, RemoveKind, RenameMode};
use notify::{EventKind, INotifyWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::receive::{self, Outcome};
use super::{Live, transport};
use crate::config::SEGMENT_SIZE_MAX;
use crate::config::sources::{FOLDER_FILES_MAX, FOLDER_FOLDERS_MAX, FOLDER_NEWS_MAX};
use crate::live::upload::{Kind, upload};

/// How often it is looked whether the channel is still there, and whether news was lost.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How a file was when it was taken.
type Version = (SystemTime, u64);

struct Folder {
    root: PathBuf,
    watcher: INotifyWatcher,
    news: Receiver<PathBuf>,
    lost: Arc<AtomicBool>,
    watched: BTreeSet<PathBuf>,
    known: BTreeMap<PathBuf, Version>,
}

/// Watches the folder of a channel until that is gone.
pub async fn watch(root: PathBuf, live: Weak<Live>) {
    let shown = root.display().to_string();
    let mut folder = match Folder::open(root) {
        Ok(folder) => folder,
        Err(error) => return tracing::error!(folder = shown, "it can't be watched: {error}"),
    };
    folder.scan(&live, true).await;
    loop {
        let news = tokio::time::timeout(LOOK_EVERY, folder.news.recv()).await;
        if live.strong_count() == 0 {
            return;
        }
        if let Ok(Some(path)) = news {
            folder.look(&path, &live, false).await;
        }
        if folder.lost.swap(false, Ordering::AcqRel) || folder.watched.is_empty() {
            folder.scan(&live, false).await;
        }
    }
}

impl Folder {
    fn open(root: PathBuf) -> notify::Result<Self> {
        let (sender, news) = channel(FOLDER_NEWS_MAX);
        let lost = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&lost);
        let config = notify::Config::default().with_follow_symlinks(false);
        let watcher = INotifyWatcher::new(move |event| tell(event, &sender, &told), config)?;
        let (watched, known) = (BTreeSet::new(), BTreeMap::new());
        Ok(Self { root, watcher, news, lost, watched, known })
    }

    /// Looks at everything; at the start what is there is known, but for headers.
    async fn scan(&mut self, live: &Weak<Live>, is_start: bool) {
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
            self.look(&path, live, is_start).await;
        }
    }

    fn watch_folder(&mut self, folder: &Path) {
        if self.watched.contains(folder) {
            return;
        }
        if self.watched.len() >= FOLDER_FOLDERS_MAX {
            return tracing::warn!(folder = %folder.display(), "not watched: one folder too many");
        }
        match self.watcher.watch(folder, RecursiveMode::NonRecursive) {
            Ok(()) => drop(self.watched.insert(folder.to_owned())),
            // It may not be there yet: the next look sees.
            Err(error) => tracing::debug!(folder = %folder.display(), "not watched: {error}"),
        }
    }

    /// Something was written, or a folder came.
    async fn look(&mut self, path: &Path, live: &Weak<Live>, is_start: bool) {
        let Ok(metadata) = fs::symlink_metadata(path) else { return };
        if metadata.is_dir() {
            // A scan watches it, and finds what was written there before.
            return self.lost.store(true, Ordering::Release);
        }
        let Some(version) = version(&metadata) else { return };
        let below = path.strip_prefix(&self.root).ok().and_then(Path::to_str).map(str::to_owned);
        let Some(below) = below else { return };
        let upload = upload(&below, None);
        let is_media = matches!(upload.kind, Kind::Media | Kind::Stream);
        if !(is_media || upload.kind == Kind::Header) {
            return;
        }
        if self.known.get(path) == Some(&version) {
            return;
        }
        self.remember(path, version);
        if is_start && is_media {
            return;
        }
        let Some(live) = live.upgrade() else { return };
        let outcome = match read(path.to_owned()).await {
            Ok(bytes) if upload.is_ts => transport::file(&bytes, (0, &below), &upload, &live),
            Ok(bytes) => receive::file(&bytes, (0, &below), &upload, &live),
            Err(error) => Outcome::new(400, error.to_string()),
        };
        if outcome.status.is_client_error() || outcome.status.is_server_error() {
            let channel = live.of.id.as_str();
            tracing::warn!(channel, path = below, "not taken: {}", outcome.why);
        }
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

fn version(metadata: &Metadata) -> Option<Version> {
    metadata
        .is_file()
        .then(|| (metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH), metadata.len()))
}

/// All of a file, off this thread.
async fn read(path: PathBuf) -> io::Result<Vec<u8>> {
    let read = move || {
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let file = fs::File::options().read(true).custom_flags(flags).open(path)?;
        let mut bytes = Vec::new();
        file.take(SEGMENT_SIZE_MAX + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes: io::Result<Vec<u8>> = tokio::task::spawn_blocking(read).await?;
    let bytes = bytes?;
    if bytes.len() as u64 > SEGMENT_SIZE_MAX {
        return Err(io::Error::other("it is longer than is taken"));
    }
    Ok(bytes)
}

/// Runs on the watcher's thread, so it never waits.
fn tell(event: notify::Result<notify::Event>, news: &Sender<PathBuf>, lost: &AtomicBool) {
    let Ok(event) = event else { return lost.store(true, Ordering::Release) };
    if event.need_rescan() || event.kind == EventKind::Remove(RemoveKind::Folder) {
        lost.store(true, Ordering::Release);
    }
    let is_whole = matches!(
        event.kind,
        EventKind::Access(AccessKind::Close(AccessMode::Write))
            | EventKind::Modify(ModifyKind::Name(RenameMode::To))
            | EventKind::Create(CreateKind::Folder)
    );
    for path in event.paths.into_iter().filter(|_| is_whole) {
        if news.try_send(path).is_err() {
            lost.store(true, Ordering::Release);
        }
    }
}

/// Watches the folder of a channel, if it has one.
pub fn begin(live: &Rc<Live>) {
    if let Some(root) = live.of.sources.folder.clone() {
        tokio::task::spawn_local(watch(root, Rc::downgrade(live)));
    }
}
