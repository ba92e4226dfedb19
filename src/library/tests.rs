//! The library over real folders, as the shards see it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel};
use std::time::{Duration, Instant};

use super::run::Event;
use super::watch::Watch;
use super::{Handle, start_with};
use crate::config::{Access, Config, Library, Limits};
use crate::library::disk::RealDisk;
use crate::library::write::pack_folder;
use crate::messages::mail::queue;
use crate::messages::{
    Change, Fault, Index, OpenFault, Opened, Payload, SourceId, SourceKind, ToLibrary, Update,
};

mod appear;
mod archives;
mod archive;
mod attacks;
mod bounds;
mod faults;
mod lending;
mod listing;
mod past;
mod reloading;
pub(crate) mod sim_disk;
mod writing;

/// What one shard has been told.
#[derive(Default)]
struct Told {
    names: BTreeMap<String, (SourceId, SourceKind)>,
    opened: BTreeMap<SourceId, Arc<Opened>>,
    failed: BTreeMap<SourceId, OpenFault>,
    torn: Vec<String>,
    updates: usize,
    /// How often it was told that pages are being dropped.
    reread: usize,
}

/// A library in a scratch folder, and the shards that it tells.
struct Fixture {
    scratch: tempfile::TempDir,
    shards: Vec<(Receiver<Update>, Told)>,
    wishes: Option<Sender<ToLibrary>>,
    handle: Option<Handle>,
}

impl Fixture {
    fn new() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        Self { scratch, shards: Vec::new(), wishes: None, handle: None }
    }

    fn path(&self, below: &str) -> PathBuf {
        self.scratch.path().join(below)
    }

    fn write(&self, below: &str, bytes: &[u8]) {
        let path = self.path(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// Writes beside and renames, as a packager does.
    fn replace(&self, below: &str, bytes: &[u8]) {
        let beside = self.path(&format!("{below}.tmp"));
        fs::write(&beside, bytes).unwrap();
        fs::rename(beside, self.path(below)).unwrap();
    }

    /// A pack with one segment of these bytes.
    fn pack(&self, below: &str, bytes: &[u8]) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("seg.ts"), bytes).unwrap();
        let target = self.path(below);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        pack_folder(&RealDisk, folder.path(), &target, true, &mut |_| {}).unwrap();
    }

    fn start(&mut self, libraries: &[&str]) {
        self.start_shards(libraries, 1, true);
    }

    fn start_shards(&mut self, libraries: &[&str], shards: usize, watched: bool) {
        let limits = Limits { scrub_rate: 1 << 30, ..Limits::default() };
        if watched {
            self.start_over(libraries, shards, limits, Duration::from_secs(60), Watch::start);
        } else {
            self.start_over(libraries, shards, limits, Duration::ZERO, |_, _| Watch::none());
        }
    }

    /// With everything that can be chosen.
    fn start_over(
        &mut self,
        libraries: &[&str],
        shards: usize,
        limits: Limits,
        scrub_after: Duration,
        watch: impl FnOnce(SyncSender<Event>, Arc<AtomicBool>) -> Watch + Send + 'static,
    ) {
        let bell = Arc::new(File::options().write(true).open("/dev/null").unwrap());
        let (outboxes, inboxes): (Vec<_>, Vec<_>) =
            (0..shards).map(|_| queue(Arc::clone(&bell))).unzip();
        let config = Config { limits, ..self.config(libraries) };
        let (wishes, inbox) = channel();
        self.handle = Some(start_with(&config, outboxes, inbox, scrub_after, watch).unwrap());
        self.wishes = Some(wishes);
        self.shards = inboxes.into_iter().map(|inbox| (inbox, Told::default())).collect();
    }

    /// Has something happen to the library's thread.
    fn happens(&self, event: Event) {
        self.handle.as_ref().unwrap().events.send(event).unwrap();
    }

    fn config(&self, libraries: &[&str]) -> Config {
        let library = |below: &&str| Library { path: self.path(below), access: None };
        let libraries = libraries.iter().map(library).collect();
        let mut config = Config { libraries, access: Access::Open, ..Config::default() };
        config.limits.scrub_rate = 1 << 30;
        config
    }

    fn reload(&self, config: &Config) {
        self.handle.as_ref().unwrap().reload(config);
    }

    fn ask(&self, wish: ToLibrary) {
        self.wishes.as_ref().unwrap().send(wish).unwrap();
    }

    /// Takes updates of a shard until the condition holds.
    #[track_caller]
    fn wait(&mut self, shard: usize, what: &str, done: impl Fn(&Told) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        let (inbox, told) = &mut self.shards[shard];
        while !done(told) {
            let left = deadline.saturating_duration_since(Instant::now());
            match inbox.recv_timeout(left) {
                Ok(update) => told.take(update),
                Err(_) => panic!("waited for {what}; names: {:?}", told.names),
            }
        }
    }

    /// Waits until exactly these names are listed.
    #[track_caller]
    fn wait_for_names(&mut self, names: &[&str]) {
        self.wait(0, &format!("{names:?}"), |told| told.names.keys().eq(names));
    }

    /// Opens what has this name, on one shard.
    #[track_caller]
    fn open(&mut self, shard: usize, name: &str) -> Result<Arc<Opened>, OpenFault> {
        let (source, _) = self.shards[shard].1.names[name];
        let number = u16::try_from(shard).unwrap();
        self.shards[shard].1.failed.remove(&source);
        if !self.shards[shard].1.opened.contains_key(&source) {
            self.ask(ToLibrary::Open { shard: number, source });
        }
        self.wait(shard, &format!("{name} to open"), |told| {
            told.opened.contains_key(&source) || told.failed.contains_key(&source)
        });
        let told = &self.shards[shard].1;
        told.opened.get(&source).cloned().ok_or_else(|| told.failed[&source])
    }

    /// The bytes under a name, by which they would be served.
    #[track_caller]
    fn bytes(&mut self, name: &str) -> Vec<u8> {
        let opened = self.open(0, name).expect("it opens");
        identity(&opened)
    }

    /// Waits until a name stands for these bytes.
    #[track_caller]
    fn wait_for_bytes(&mut self, name: &str, bytes: &[u8]) {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let tried = self.shards[0].1.names.get(name).copied();
            if tried.is_some() && self.open(0, name).is_ok_and(|opened| identity(&opened) == bytes)
            {
                return;
            }
            assert!(Instant::now() < deadline, "{name} did not get its new bytes");
            self.wait(0, "another version", |told| told.names.get(name).copied() != tried);
        }
    }
}

impl Told {
    fn take(&mut self, update: Update) {
        self.updates += 1;
        match update {
            Update::Listed(batch) => {
                for listing in batch.iter() {
                    let path = listing.path.to_string();
                    match &listing.change {
                        Change::Present { source, kind, opened, access } => {
                            assert_eq!(*access, Access::Open);
                            if let Some(opened) = opened {
                                self.opened.insert(*source, Arc::clone(opened));
                            }
                            self.names.insert(path, (*source, *kind));
                        }
                        Change::Absent => drop(self.names.remove(&path).expect("it was listed")),
                        Change::Torn => {
                            self.names.remove(&path).expect("it was listed");
                            self.torn.push(path);
                        }
                        Change::Expected => {}
                        Change::Rendition(_)
                        | Change::Rung(_)
                        | Change::Channel(_)
                        | Change::Asked(_)
                        | Change::Unasked
                        | Change::Archived(_) => {
                            panic!("the library has nothing live")
                        }
                    }
                }
            }
            Update::Opened(opened) => drop(self.opened.insert(opened.source, opened)),
            Update::Failed(source, fault) => drop(self.failed.insert(source, fault)),
            Update::Reread => self.reread += 1,
            Update::Spare(_) => {}
            other => panic!("the library does not say {other:?}"),
        }
    }
}

/// The bytes of a single file, or of a pack's `seg.ts`.
fn identity(opened: &Opened) -> Vec<u8> {
    use std::os::unix::fs::FileExt;
    let extent = match &opened.index {
        Index::Single(single) => single.identity.extent,
        Index::Pack(index) => index.entry(index.find(b"seg.ts").unwrap()).identity.extent,
    };
    let (start, size) = (extent.offset, usize::try_from(extent.size).unwrap());
    match &opened.payload {
        Payload::Heap(bytes) => bytes[usize::try_from(start).unwrap()..][..size].to_vec(),
        Payload::File(file) => {
            let mut bytes = vec![0; size];
            File::from(file.fd.try_clone().unwrap()).read_exact_at(&mut bytes, start).unwrap();
            bytes
        }
        Payload::Reel(_) => panic!("it is of a library"),
    }
}

/// 3 MiB: too large for the heap.
fn large(fill: u8) -> Vec<u8> {
    vec![fill; 3 << 20]
}

fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}
