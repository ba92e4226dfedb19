//! Real shards on the real ring, with their inbox, the library and control in the test's hand.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use shardcast::config::{Access, Backend, Config, Limits, Listen};
use shardcast::guard::Door;
use shardcast::messages::mail::Outbox;
use shardcast::messages::{
    AccessRecord, Answer, Ask, Change, Fault, Listing, OpenFault, Opened, Response, ShardReport,
    SourceId, SourceKind, ToLibrary, Update, WantedPiece,
};
use shardcast::shard::thread::{self, Shared};
use tempfile::TempDir;

use crate::client::Client;
use crate::content;

/// Longest wait for anything. Reached only by a failure.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How a server is set up.
pub struct Setup {
    pub shards: usize,
    pub backend: Backend,
    pub limits: Limits,
    pub answer: fn(&Ask) -> Option<Response>,
}

impl Default for Setup {
    fn default() -> Self {
        let nothing = |_: &Ask| None;
        Self { shards: 1, backend: Backend::Sendfile, limits: Limits::default(), answer: nothing }
    }
}

/// What the library was told.
#[derive(Debug, Default)]
pub struct Heard {
    pub released: Vec<SourceId>,
    pub faults: Vec<(SourceId, Fault)>,
}

/// A running server. Everything ends with it.
pub struct Server {
    pub address: SocketAddr,
    pub folder: TempDir,
    pub access: Receiver<AccessRecord>,
    pub pieces: Receiver<WantedPiece>,
    outboxes: Vec<Outbox>,
    shards: Vec<JoinHandle<()>>,
    packs: Arc<Mutex<HashMap<SourceId, PathBuf>>>,
    heard: Arc<Mutex<Heard>>,
    next_source: u64,
}

impl Server {
    pub fn new() -> Self {
        Self::with(Setup::default())
    }

    pub fn with(setup: Setup) -> Self {
        let (address, listeners) = listeners(setup.shards);
        let listen = vec![Listen { address, backend: setup.backend }];
        let config = Config { listen, ..Config::default() };
        let (to_library, library) = sync_channel(1000);
        let (to_control, control) = tokio::sync::mpsc::channel(1000);
        let (to_maker, pieces) = sync_channel(100);
        let (to_log, access) = sync_channel(100_000);
        let shared = Shared {
            limits: Arc::new(setup.limits),
            waits_to_accept: false,
            door: Door::default(),
            descriptors: 20_000,
            library: to_library,
            control: Some(to_control),
            sessions: None,
            strikes: None,
            live: None,
            pieces: Some(to_maker),
            access: Some(to_log),
        };
        let handles = thread::start(&config, listeners, &shared).unwrap();
        let (outboxes, shards): (Vec<_>, Vec<_>) =
            handles.into_iter().map(|handle| (handle.outbox, handle.thread)).unzip();
        let packs = Arc::default();
        let heard = Arc::default();
        play_library(library, outboxes.clone(), Arc::clone(&packs), Arc::clone(&heard));
        play_control(control, outboxes.clone(), setup.answer);
        let folder = tempfile::tempdir().unwrap();
        let next_source = 1;
        Self { address, folder, access, pieces, outboxes, shards, packs, heard, next_source }
    }

    pub fn client(&self) -> Client {
        Client::connect(self.address)
    }

    pub fn tell(&mut self, update: impl Fn() -> Update) {
        for outbox in &mut self.outboxes {
            outbox.send(update());
        }
    }

    pub fn source(&mut self) -> SourceId {
        self.next_source += 1;
        SourceId(self.next_source)
    }

    pub fn list(&mut self, path: &str, change: Change) {
        self.tell(|| {
            let change = change.clone();
            Update::Listed(Arc::new([Listing { path: path.into(), change }]))
        });
    }

    /// Lists a pack that the first request has to have opened.
    pub fn list_pack(&mut self, path: &str, file: PathBuf) -> SourceId {
        let source = self.source();
        self.packs.lock().unwrap().insert(source, file);
        let (kind, access) = (SourceKind::Pack, Access::Open);
        self.list(path, Change::Present { source, kind, access, opened: None });
        source
    }

    /// Lists a file that is open.
    pub fn list_file(&mut self, path: &str, opened: &Arc<Opened>) {
        let change = Change::Present {
            source: opened.source,
            kind: SourceKind::File,
            access: Access::Open,
            opened: Some(Arc::clone(opened)),
        };
        self.list(path, change);
    }

    /// Writes and lists a pack.
    pub fn add_pack(&mut self, path: &str, files: &[(&str, Vec<u8>)]) -> PathBuf {
        let file = content::pack(self.folder.path(), path, files);
        self.list_pack(path, file.clone());
        file
    }

    /// What the shards counted; told after everything that was told before.
    pub fn reports(&mut self) -> Vec<ShardReport> {
        let (to, from) = sync_channel(self.outboxes.len());
        self.tell(|| Update::Report(SyncSender::clone(&to)));
        (0..self.outboxes.len()).map(|_| *from.recv_timeout(PATIENCE).unwrap()).collect()
    }

    pub fn report(&mut self) -> ShardReport {
        self.reports().remove(0)
    }

    /// Waits until a report says something.
    pub fn until(&mut self, what: &str, holds: impl Fn(&ShardReport) -> bool) -> ShardReport {
        let start = Instant::now();
        loop {
            let report = self.report();
            if holds(&report) {
                return report;
            }
            assert!(start.elapsed() < PATIENCE, "never: {what}: {report:?}");
            std::thread::yield_now();
        }
    }

    /// Waits until the library has heard something.
    pub fn until_heard(&self, what: &str, holds: impl Fn(&Heard) -> bool) {
        let start = Instant::now();
        loop {
            let heard = self.heard.lock().unwrap();
            if holds(&heard) {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "never heard: {what}: {heard:?}");
            drop(heard);
            std::thread::yield_now();
        }
    }

    /// Tells every shard to drain, and waits until all have ended.
    pub fn drain(&mut self, deadline_ms: u64) {
        self.tell(|| Update::Drain { deadline_ms });
        self.join();
    }

    fn join(&mut self) {
        for shard in self.shards.drain(..) {
            shard.join().unwrap();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.tell(|| Update::Stop);
        if !std::thread::panicking() {
            self.join();
        }
    }
}

/// One listener a shard, all on one free port of the loopback device.
pub fn listeners(shards: usize) -> (SocketAddr, Vec<Vec<TcpListener>>) {
    let listener = |address: SocketAddr| {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
        socket.set_reuse_port(true)?;
        socket.bind(&address.into())?;
        socket.listen(1024)?;
        Ok::<_, std::io::Error>(TcpListener::from(socket))
    };
    let first = listener(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = first.local_addr().unwrap();
    let mut listeners = vec![vec![first]];
    for _ in 1..shards {
        listeners.push(vec![listener(address).unwrap()]);
    }
    (address, listeners)
}

fn play_library(
    from: Receiver<ToLibrary>,
    mut outboxes: Vec<Outbox>,
    packs: Arc<Mutex<HashMap<SourceId, PathBuf>>>,
    heard: Arc<Mutex<Heard>>,
) {
    std::thread::spawn(move || {
        while let Ok(message) = from.recv() {
            match message {
                ToLibrary::Open { shard, source } => {
                    let path = packs.lock().unwrap().get(&source).cloned();
                    let update = match path {
                        Some(path) => Update::Opened(content::open_pack(&path, source)),
                        None => Update::Failed(source, OpenFault::Missing),
                    };
                    outboxes[usize::from(shard)].send(update);
                }
                ToLibrary::Released { source, .. } => heard.lock().unwrap().released.push(source),
                ToLibrary::Faulty { source, fault } => {
                    heard.lock().unwrap().faults.push((source, fault));
                }
            }
        }
    });
}

fn play_control(
    mut from: tokio::sync::mpsc::Receiver<Ask>,
    mut outboxes: Vec<Outbox>,
    answer: fn(&Ask) -> Option<Response>,
) {
    std::thread::spawn(move || {
        while let Some(ask) = from.blocking_recv() {
            let Some(response) = answer(&ask) else { continue };
            let answer = Answer { key: ask.key, response: Arc::new(response) };
            outboxes[usize::from(ask.key.shard)].send(Update::Answered(answer));
        }
    });
}
