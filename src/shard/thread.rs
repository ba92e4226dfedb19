//! The shards of a server: one pinned thread each, with a ring, listeners and an inbox of its own.

use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use super::{Outside, Settings, Shard};
use crate::config::{Backend, Config, Limits};
use crate::guard::{Door, Strike};
use crate::messages::mail::{self, Outbox};
use crate::messages::{AccessRecord, Ask, SessionNews, ToLibrary, ToLive, Update, WantedPiece};
use crate::sys::features::Features;
use crate::sys::{calls, priority, ring};

/// Descriptors that are not for connections or sources: rings, inboxes, logs, the admin port.
const DESCRIPTORS_RESERVED: usize = 256;

/// A shard that runs.
#[derive(Debug)]
pub struct ShardHandle {
    /// The way to tell it something.
    pub outbox: Outbox,
    /// Ends when it has drained, or was stopped.
    pub thread: JoinHandle<()>,
}

/// What the shards of a server have in common.
#[derive(Debug)]
pub struct Shared {
    /// The limits.
    pub limits: Arc<Limits>,
    /// Whether clients are let in only after `Update::Accept`.
    pub waits_to_accept: bool,
    /// Descriptors that this process may have (RLIMIT_NOFILE).
    pub descriptors: usize,
    /// To the library.
    pub library: SyncSender<ToLibrary>,
    /// To control.
    pub control: Option<tokio::sync::mpsc::Sender<Ask>>,
    /// To whoever counts sessions.
    pub sessions: Option<tokio::sync::mpsc::Sender<SessionNews>>,
    /// To whoever counts offences.
    pub strikes: Option<tokio::sync::mpsc::Sender<Vec<Strike>>>,
    /// Whom shards believe.
    pub door: Door,
    /// To the live thread.
    pub live: Option<tokio::sync::mpsc::Sender<ToLive>>,
    /// To whoever makes pieces of what is past.
    pub pieces: Option<SyncSender<WantedPiece>>,
    /// To the writer of the access log.
    pub access: Option<SyncSender<AccessRecord>>,
}

/// Starts one shard for each set of listeners (one listener for each of `config.listen`), pinned in
/// order to the processors that this process may run on.
///
/// # Errors
///
/// A ring or a thread could not be made; those that were started are told to stop.
pub fn start(
    config: &Config,
    listeners: Vec<Vec<TcpListener>>,
    shared: &Shared,
) -> io::Result<Vec<ShardHandle>> {
    let processors = calls::allowed_processors();
    let count = listeners.len();
    let mut handles = Vec::with_capacity(count);
    for (number, listeners) in listeners.into_iter().enumerate() {
        let mut settings = settings(config, shared, number, count);
        // Listeners that were inherited beyond the config's come last.
        settings.backends.resize(listeners.len(), Backend::default());
        let processor = (count <= processors.len()).then(|| processors[number]);
        match start_one(settings, listeners, shared, processor) {
            Ok(handle) => handles.push(handle),
            Err(error) => {
                for ShardHandle { mut outbox, .. } in handles {
                    outbox.send(Update::Stop);
                }
                return Err(error);
            }
        }
    }
    Ok(handles)
}

fn settings(config: &Config, shared: &Shared, number: usize, count: usize) -> Settings {
    let limits = &shared.limits;
    let descriptors = shared.descriptors.saturating_sub(DESCRIPTORS_RESERVED).max(64);
    // Unless the operator says otherwise, sources may have half of the descriptors and connections
    // three quarters. Few libraries need theirs; where one does, and all clients come at once, what
    // finds no descriptor waits for one.
    let sources_max = match limits.open_sources {
        0 => descriptors / 2,
        limit => limit.min(descriptors),
    };
    let connections_max = match limits.connections {
        0 => descriptors / 4 * 3,
        limit => limit,
    };
    Settings {
        number: u16::try_from(number).expect("fewer than 2^16 shards"),
        count: u16::try_from(count).expect("fewer than 2^16 shards"),
        backends: config.listen.iter().map(|listen| listen.backend).collect(),
        cors: config.cors.clone(),
        waits_to_accept: shared.waits_to_accept,
        door: shared.door.clone(),
        limits: Arc::clone(limits),
        connections_max,
        sources_max,
    }
}

fn start_one(
    settings: Settings,
    listeners: Vec<TcpListener>,
    shared: &Shared,
    processor: Option<usize>,
) -> io::Result<ShardHandle> {
    let bell = calls::bell()?;
    let (outbox, inbox) = mail::queue(Arc::clone(&bell));
    let outside = Outside {
        library: shared.library.clone(),
        control: shared.control.clone(),
        sessions: shared.sessions.clone(),
        strikes: shared.strikes.clone(),
        live: shared.live.clone(),
        pieces: shared.pieces.clone(),
        access: shared.access.clone(),
    };
    // The ring belongs to the thread that makes it (SINGLE_ISSUER), so the thread says how it went.
    let (told, tells) = sync_channel(1);
    let name = format!("shard-{}", settings.number);
    let thread = thread::Builder::new().name(name).spawn(move || {
        if let Some(processor) = processor {
            // Unpinned it is slower, not wrong.
            let _ = calls::pin_to(processor);
        }
        priority::take_short_turns();
        let listeners = listeners.into_iter().map(OwnedFd::from).collect();
        let ring = match ring::Ring::new(listeners, bell, Features::from_environment()) {
            Ok(ring) => ring,
            Err(error) => {
                let _ = told.send(Err(error));
                return;
            }
        };
        let _ = told.send(Ok(()));
        drop(told);
        run(Shard::new(ring, inbox, outside, settings));
    })?;
    match tells.recv() {
        Ok(Ok(())) => Ok(ShardHandle { outbox, thread }),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(io::Error::other("the shard's thread ended early")),
    }
}

fn run(mut shard: Shard<ring::Ring, Receiver<Update>>) {
    if let Err(errno) = shard.run() {
        // The ring is gone: nothing of this shard can go on, and half a server helps nobody.
        eprintln!("shardcast: a shard's ring: {}", io::Error::from_raw_os_error(errno.0));
        std::process::abort();
    }
}
