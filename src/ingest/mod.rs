//! Where encoders push: the ingest port, and the channels that come of it.
//!
//! One thread, "live", with a tokio-uring runtime of its own. It never serves a segment: what it
//! publishes goes to the shards as messages. A request's body is taken chunk by chunk (`receive`),
//! a chunk goes to its channel (`channel`), which puts its bytes into memory that shards send from
//! (`slab`, `output`) and tells them (`post`).

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::TcpListener;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use tokio::sync::mpsc::{Receiver, Sender, UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

use crate::config::{self, Access, LIVE_MEMORY_PARTS};
use crate::guard::{Marks, Strike};
use crate::library::lender::Lender;
use crate::live::records::Records;
use crate::messages::ToLive;
use crate::messages::mail::Outbox;
use crate::messages::{Change, Listing};
use crate::sys::memory;

pub mod counts;
pub mod health;
mod server;
mod login;
mod guarded;
mod receive;
mod replay;
mod transport;
mod durable;
mod archive;
mod coming;
mod made;
mod folder;
pub mod child;
mod channel;
mod output;
mod slab;
mod post;
mod squeeze;

pub use archive::progress::Figures;

use archive::{Archives, Recovered};
use channel::Channel;
use child::Children;
use coming::Coming;
use counts::Table;
use guarded::Guarded;
use login::Logins;
use made::{Reload, Sleeping, Wish};
use post::Post;
use slab::Ledger;

/// What the live thread needs.
#[derive(Debug)]
pub struct Parts {
    /// The ingest port, if encoders push.
    pub listener: Option<TcpListener>,
    /// The channels of the config.
    pub channels: Vec<config::Channel>,
    /// The channels of the registry.
    pub made: Vec<config::Channel>,
    /// Who may watch those that say nothing of it.
    pub access: Access,
    /// To every shard.
    pub outboxes: Vec<Outbox>,
    /// What shards say.
    pub wishes: Receiver<ToLive>,
    /// The server's folder.
    pub state: PathBuf,
    /// To whoever lends archives to the shards.
    pub lender: Lender,
    /// What is kept of every channel.
    pub records: Arc<Records>,
    /// How long an encoder may be silent in the middle of a request.
    pub idle: Duration,
    /// How passwords are told apart without keeping them.
    pub marks: Marks,
    /// To whoever counts offences.
    pub strikes: Option<Sender<Vec<Strike>>>,
}

/// What all requests share.
#[derive(Debug)]
struct State {
    channels: RefCell<HashMap<String, Rc<Live>>>,
    counts: Arc<Table>,
    post: Post,
    /// Bytes of chunks that are being received, of all requests.
    receiving: Cell<usize>,
    /// How long an encoder may be silent in the middle of a request.
    idle: Cell<Duration>,
    guarded: Guarded,
    archives: Archives,
    records: Arc<Records>,
    /// Channels that will be added when what there was of them is known.
    coming: Coming,
    /// Channels of the registry that begin when somebody pushes to them.
    sleeping: Sleeping,
    children: Children,
}

/// A channel, and who may push to it.
#[derive(Debug)]
struct Live {
    /// As the config has it.
    of: config::Channel,
    logins: Logins,
    channel: RefCell<Channel>,
    records: Arc<Records>,
}

/// The running live thread. It runs until the process ends.
#[derive(Debug)]
pub struct Handle {
    wishes: UnboundedSender<Wish>,
    counts: Arc<Table>,
    desk: health::Desk,
    archives: Archives,
}

impl Handle {
    /// Takes the channels of a config that was read again: those that are new, and that some are
    /// gone. Channels that stay are not changed. `made` are those of the registry.
    pub fn reload(&self, config: &config::Config, made: Vec<config::Channel>) {
        let (mut channels, access) = (config.channels.clone(), config.access);
        channels.retain(config::Channel::is_pushed);
        // It fails only when the thread has ended, and then nothing is live any more.
        let idle = Duration::from_millis(config.limits.ingest_idle_ms);
        let _ = self.wishes.send(Wish::Reload(Reload { channels, made, access, idle }));
    }

    /// Takes what became of channels of the registry: some are gone, and some are new, or are other
    /// than before and begin anew.
    pub fn change(&self, gone: Vec<String>, come: Vec<config::Channel>, access: Access) {
        let _ = self.wishes.send(Wish::Change(made::Change { gone, come, access }));
    }

    /// Takes the ingest port, which was not open so far.
    pub fn open(&self, listener: TcpListener) {
        let _ = self.wishes.send(Wish::Open(listener));
    }

    /// The server ends: whole segments are kept that wait for it, as long as that does not take
    /// longer than `patience`.
    pub fn finish(&self, patience: Duration) {
        self.archives.finish(patience);
    }

    /// What came of the chunks of every channel.
    #[must_use]
    pub fn counts(&self) -> Arc<Table> {
        Arc::clone(&self.counts)
    }

    /// Where it is asked how channels are.
    #[must_use]
    pub fn desk(&self) -> health::Desk {
        self.desk.clone()
    }
}

/// How often channels are looked at whose encoder may be silent.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What is assumed of a machine that does not tell its memory, in bytes.
const MACHINE_UNKNOWN: u64 = 4 << 30;

/// Starts the live thread, and waits until it takes connections.
///
/// # Errors
///
/// A password file that can't be read, a runtime or a thread that can't be made.
pub fn start(mut parts: Parts) -> io::Result<Handle> {
    parts.channels.retain(config::Channel::is_pushed);
    parts.listener.as_ref().map_or(Ok(()), |listener| listener.set_nonblocking(true))?;
    let logins = parts.channels.iter().map(Logins::read).collect::<io::Result<Vec<_>>>()?;
    let archives = Archives::start(&parts.state, &parts.lender, &parts.records)?;
    let (wishes, reloads) = unbounded_channel();
    let counts = Arc::new(Table::default());
    let (started, outcome) = mpsc::sync_channel(1);
    let table = Arc::clone(&counts);
    let (desk, questions) = health::desk();
    let of_thread = archives.clone();
    std::thread::Builder::new().name("live".to_owned()).spawn(move || {
        match tokio_uring::Runtime::new(&tokio_uring::builder()) {
            Ok(runtime) => {
                let wishes = (reloads, questions);
                runtime.block_on(run(parts, logins, of_thread, table, wishes, started));
            }
            Err(error) => drop(started.send(Err(error))),
        }
    })?;
    outcome.recv().map_err(io::Error::other)??;
    Ok(Handle { wishes, counts, desk, archives })
}

async fn run(
    parts: Parts,
    logins: Vec<Logins>,
    archives: Archives,
    counts: Arc<Table>,
    (mut reloads, mut questions): (UnboundedReceiver<Wish>, health::Questions),
    started: mpsc::SyncSender<io::Result<()>>,
) {
    let listener = match parts.listener.map(tokio::net::TcpListener::from_std).transpose() {
        Ok(listener) => listener,
        Err(error) => return drop(started.send(Err(error))),
    };
    let address = listener.as_ref().map(tokio::net::TcpListener::local_addr).transpose();
    let children = match address {
        Ok(ingest) => Children::new(ingest, parts.state),
        Err(error) => return drop(started.send(Err(error))),
    };
    let memory = memory::of_machine().unwrap_or(MACHINE_UNKNOWN) / LIVE_MEMORY_PARTS;
    let (post, squeezed) = Post::new(parts.outboxes, Ledger::new(memory));
    tokio::task::spawn_local(post.clone().flush_for_ever());
    tokio::task::spawn_local(post.clone().squeeze_for_ever(squeezed));
    let mut wishes = parts.wishes;
    let (channels, receiving, idle) = (RefCell::default(), Cell::new(0), Cell::new(parts.idle));
    let (lender, records, coming) = (parts.lender, parts.records, Coming::default());
    let sleeping = Sleeping::new(parts.access);
    let guarded = Guarded::new(parts.marks, parts.strikes);
    let state = State {
        channels,
        counts,
        post,
        receiving,
        idle,
        guarded,
        archives,
        records,
        coming,
        sleeping,
        children,
    };
    let state = Rc::new(state);
    let begin = |channel: &config::Channel| state.archives.begin(channel, parts.access);
    let archives: Vec<_> = parts.channels.iter().map(begin).collect();
    for ((channel, logins), recovered) in parts.channels.into_iter().zip(logins).zip(archives) {
        match recovered.await {
            Ok(recovered) => state.add(channel, logins, parts.access, recovered),
            Err(error) => return drop(started.send(Err(io::Error::other(error)))),
        }
    }
    state.add_made(parts.made, parts.access).await;
    // Nobody is let in who would not find what is kept. So far nothing else waits for this thread.
    lender.wait();
    let _ = started.send(Ok(()));
    if let Some(listener) = listener {
        tokio::task::spawn_local(server::serve(listener, Rc::clone(&state)));
    }
    let mut looks = tokio::time::interval(LOOK_EVERY);
    loop {
        tokio::select! {
            reload = reloads.recv() => match reload {
                Some(wish) => state.grant(wish),
                // Nobody can wish for anything any more: the process ends.
                None => return std::future::pending().await,
            },
            Some(reply) = questions.recv() => drop(reply.send(state.health())),
            Some(wish) = wishes.recv() => state.hear(&wish),
            _ = looks.tick() => state.look(),
        }
    }
}

impl State {
    fn add(
        self: &Rc<Self>,
        of: config::Channel,
        logins: Logins,
        access: Access,
        mut recovered: Recovered,
    ) {
        // What ffmpeg reads for a channel is all that may be pushed to it.
        let logins = child::begin(self, &of, access).unwrap_or(logins);
        let grown = std::mem::take(&mut recovered.grown);
        let counts = self.counts.of(&of.id);
        let channel = Channel::new(&of, access, self.post.clone(), counts, recovered);
        if channel.archive().is_kept() {
            self.counts.add_archive(&of.id, Arc::clone(channel.archive().progress()));
        }
        let channel = RefCell::new(channel);
        let id = of.id.clone();
        // Known before anything is pushed: what is past of it can be asked for.
        let (path, access) = (format!("/tv/{id}").into(), of.access.unwrap_or(access));
        let no_patch = channel.borrow().no_patch(receive::now());
        self.post.list(&mut vec![Listing { path, change: Change::Channel(access) }, no_patch]);
        let live = Rc::new(Live { of, logins, channel, records: Arc::clone(&self.records) });
        replay::replay(&live, &grown);
        folder::begin(&live);
        self.channels.borrow_mut().insert(id, live);
    }

    /// Adds a channel when what there was of it is known, unless it is gone by then; and says so.
    fn add_later(
        self: &Rc<Self>,
        of: config::Channel,
        logins: Logins,
        access: Access,
        what: &'static str,
    ) -> Option<JoinHandle<()>> {
        let ticket = self.coming.begin(&of.id)?;
        let recovered = self.archives.begin(&of, access);
        let state = Rc::clone(self);
        Some(tokio::task::spawn_local(async move {
            let Ok(recovered) = recovered.await else { return };
            if state.coming.arrive(&of.id, ticket) {
                tracing::info!(channel = of.id, "{what}");
                state.add(of, logins, access, recovered);
            }
        }))
    }

    fn look(&self) {
        for live in self.channels.borrow().values() {
            let now = receive::now();
            let mut channel = live.channel.borrow_mut();
            channel.look_at_sources(now);
            channel.publish_overdue(now);
            channel.look_at_remux(now);
            channel.look_at_patches(now);
        }
    }

    /// Shards say what their clients want.
    fn hear(&self, wish: &ToLive) {
        if let ToLive::Gzip(source) = wish {
            return self.post.squeeze(*source);
        }
        self.children.hear(wish);
        for live in self.channels.borrow().values() {
            live.channel.borrow_mut().want(wish, receive::now());
        }
    }

    fn health(&self) -> Vec<health::Health> {
        let now = receive::now();
        let channels = self.channels.borrow();
        let health = |(id, live): (&String, &Rc<Live>)| health::Health {
            ffmpeg: self.children.health(id),
            ..live.channel.borrow().health(now)
        };
        channels.iter().map(health).collect()
    }
}
