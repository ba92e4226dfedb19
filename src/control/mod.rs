//! The control thread: the admin port, metrics, and the answers that shards ask for.
//!
//! One thread with a tokio-uring runtime of its own. It never serves a segment, and nothing that a
//! shard does waits for it: questions come through a bounded queue and have a deadline.

use std::io;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use axum::Extension;
use tokio::sync::watch;

use crate::config::{Access, Library, Limits};
use crate::ingest;
use crate::messages::mail::Outbox;
use crate::messages::{Ask, SessionNews};
use crate::ops::access_log;
use operators::Office;
use outside::Outside;
use secrets::Secrets;

pub mod readiness;
mod accounts;
mod actor;
pub mod audit;
mod admin;
mod app_passwords;
mod beside;
pub mod catalogue;
mod channels;
mod connections;
mod dialects;
mod documents;
mod entitled;
mod explain;
mod export;
mod events;
mod feed;
pub mod fetch;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod geo;
pub mod guard;
pub mod guide;
pub mod hook;
pub mod idempotency;
mod import;
pub mod inside;
pub mod json;
mod key_file;
mod keys;
pub mod lineup;
mod objects;
mod openapi;
pub mod outside;
pub mod passphrase;
pub mod operators;
pub mod pictures;
mod portal_password;
mod post;
mod revocations;
mod sealed;
pub mod sign_in;
pub mod sessions;
mod socket;
mod tokens;
pub mod answers;
pub mod ask;
pub mod catchup;
pub mod foreign;
pub mod linear;
pub mod problem;
pub mod registry;
pub mod restore;
pub mod secrets;
pub mod subscription;
pub mod tls;

pub use readiness::{Readiness, Stage};

/// What the control thread needs.
pub struct Parts {
    /// The admin port; none = only the unix socket.
    pub admin: Option<TcpListener>,
    /// What the config says of it.
    pub admin_rules: operators::Rules,
    /// What it shows; none = no TLS.
    pub certificate: Option<Arc<tls::Certificate>>,
    /// The folder of `admin.sock`.
    pub state: PathBuf,
    /// To every shard, in order.
    pub outboxes: Vec<Outbox>,
    /// What operators have made; none where the state folder can't be used.
    pub registry: Option<registry::Registry>,
    /// What shards ask.
    pub asks: tokio::sync::mpsc::Receiver<Ask>,
    /// What shards tell of sessions.
    pub sessions: tokio::sync::mpsc::Receiver<SessionNews>,
    /// How long sessions that are over are kept, in milliseconds.
    pub history_ms: u64,
    /// What it goes by who is kept out.
    pub guard: guard::Settings,
    /// The limits.
    pub limits: Arc<Limits>,
    /// Who is asked besides, and where addresses are.
    pub outside: Outside,
    /// That there are slates in.
    pub languages: Arc<[String]>,
    /// Answers them.
    pub answers: axum::Router,
    /// Pictures, and what catalogues are made of.
    pub titles: catalogue::Titles,
    /// Where the guide is asked; none without a registry.
    pub guide: Option<guide::Desk>,
    /// Exchanges tokens of others.
    pub exchange: foreign::Exchange,
    /// How far the server is.
    pub readiness: Arc<Readiness>,
    /// What the access log did.
    pub log: Option<Arc<access_log::Counters>>,
    /// What encoders pushed; none where nobody can.
    pub pushed: Option<Arc<ingest::counts::Table>>,
    /// What is known of the registry's channels, and who is told of changes; none without it.
    pub line_up: Option<(lineup::Since, lineup::Tell)>,
    /// The channels of the config file.
    pub in_file: Arc<lineup::InFile>,
    /// Where it is asked how channels are; none where nobody can push.
    pub desk: Option<ingest::health::Desk>,
}

/// The running control thread. It runs until the process ends; dropping this removes the socket.
#[derive(Debug)]
pub struct Handle {
    _socket: Option<socket::Guard>,
    registry: Option<registry::Registry>,
    desk: Arc<sessions::Desk>,
    limits: watch::Sender<Arc<Limits>>,
    outside: watch::Sender<Outside>,
    libraries: Arc<catalogue::api::Libraries>,
    in_file: watch::Sender<Arc<lineup::InFile>>,
}

impl Handle {
    /// The limits were read again.
    pub fn take(&self, limits: Arc<Limits>) {
        self.limits.send_replace(limits);
    }

    /// Others are asked from now on, or files were read again.
    pub fn take_outside(&self, outside: Outside) {
        self.outside.send_replace(outside);
    }

    /// The config file was read again, and these are its libraries.
    pub fn take_libraries(&self, libraries: Vec<Library>, access: Access) {
        self.libraries.take(libraries, access);
    }

    /// The config file was read again, and these are its channels.
    pub fn take_channels(&self, in_file: lineup::InFile) {
        self.in_file.send_replace(Arc::new(in_file));
    }

    /// Writes down what is to be known of the end; a disk that hangs is waited for so long.
    pub fn finish(&self, patience: Duration) {
        if let Some(registry) = &self.registry {
            self.desk.keep_all(registry, patience);
            audit::heads::tell_last(registry, patience);
        }
    }
}

/// Starts the control thread, and waits until it listens.
pub fn start(parts: Parts) -> io::Result<Handle> {
    let (unix, guard) = socket::open(&parts.state, &parts.admin_rules.group).unzip();
    if let Some(admin) = &parts.admin {
        admin.set_nonblocking(true)?;
    }
    let (registry, libraries) = (parts.registry.clone(), Arc::clone(&parts.titles.libraries));
    let (limits, known) = watch::channel(Arc::clone(&parts.limits));
    let (outside, others) = watch::channel(parts.outside.clone());
    let (in_file, named) = watch::channel(Arc::clone(&parts.in_file));
    let post = Arc::new(post::Post::new(parts.outboxes.clone()));
    let hook = Arc::new(hook::Hook::new(parts.registry.clone()));
    let desk = sessions::Desk::new(Arc::clone(&post), known, hook).keeping(parts.history_ms);
    let desk = Arc::new(desk);
    let its = Arc::clone(&desk);
    let (started, outcome) = mpsc::sync_channel(1);
    std::thread::Builder::new().name("control".to_owned()).spawn(move || {
        match tokio_uring::Runtime::new(&tokio_uring::builder()) {
            Ok(runtime) => {
                runtime.block_on(run(parts, (post, its), (others, named), unix, started))
            }
            Err(error) => drop(started.send(Err(error))),
        }
    })?;
    outcome.recv().map_err(io::Error::other)??;
    Ok(Handle { _socket: guard, registry, desk, limits, outside, libraries, in_file })
}

async fn run(
    mut parts: Parts,
    (post, desk): (Arc<post::Post>, Arc<sessions::Desk>),
    (others, in_file): (watch::Receiver<Outside>, watch::Receiver<Arc<lineup::InFile>>),
    unix: Option<socket::Socket>,
    started: mpsc::SyncSender<io::Result<()>>,
) {
    let flushing = Arc::clone(&post);
    tokio::task::spawn_local(async move { flushing.flush_for_ever().await });
    parts.outside.hold(&desk, &post);
    tokio::task::spawn_local(outside::follow(others, Arc::clone(&desk), Arc::clone(&post)));
    let (mut signing, mut sign_ins, mut inside) = (None, None, None);
    let (guard, strikes) = guard::Guard::new(
        std::mem::take(&mut parts.guard),
        parts.registry.clone(),
        Arc::clone(&post),
    );
    let guard = Arc::new(guard);
    let listening = || -> io::Result<()> {
        guard.start().map_err(|error| io::Error::other(error.to_string()))?;
        let signer = |registry| signer(registry, &post, &desk, &parts.languages);
        let signer = parts.registry.clone().map(signer).transpose()?.map(Arc::new);
        signing.clone_from(&signer);
        sign_ins = signed_in(&parts, &post, &desk, &guard)?;
        let (office, guard) = (office(&parts), Arc::clone(&guard));
        let shared = admin::Shared::new(&parts, signer, office, Arc::clone(&desk), guard);
        let shared = shared.with_channels_of(in_file.clone());
        inside = shared.inside();
        if let Some(admin) = parts.admin.take() {
            let listener = tokio::net::TcpListener::from_std(admin)?;
            let port = admin::port(shared.clone());
            match parts.certificate.take() {
                Some(certificate) => {
                    let listener = tls::TlsListener { listener, certificate };
                    drop(tokio::task::spawn_local(connections::serve(listener, port)));
                }
                None => drop(tokio::task::spawn_local(connections::serve(listener, port))),
            }
        }
        if let Some(unix) = unix {
            let listener = unix.listening()?;
            tokio::task::spawn_local(connections::serve(listener, admin::socket(shared)));
        }
        Ok(())
    };
    let _ = started.send(listening());
    if let (Some(registry), Some((since, tell))) = (parts.registry.clone(), parts.line_up) {
        let secrets = Secrets::open(&parts.state).ok();
        tokio::task::spawn_local(lineup::follow(registry, secrets, since, in_file, tell));
    }
    if let Some(registry) = parts.registry {
        let (its, known) = (registry.clone(), Arc::clone(&desk));
        tokio::task::spawn_local(revocations::prune_for_ever(its, known));
        let (its, known) = (registry.clone(), Arc::clone(&desk));
        tokio::task::spawn_local(sessions::history::keep_for_ever(known, its));
        tokio::task::spawn_local(audit::heads::tell_for_ever(registry));
    }
    tokio::task::spawn_local(Arc::clone(&desk).serve(parts.sessions, Arc::clone(&guard)));
    if let Some(strikes) = strikes {
        tokio::task::spawn_local(guard.hear(strikes));
    }
    let exchange = foreign::router(parts.exchange, signing.clone(), Arc::clone(&desk));
    let sign_ins = sign_ins.map(Arc::new);
    let answers = extended(parts.answers, (sign_ins.clone(), signing), (inside, desk));
    ask::answer_all(parts.asks, (answers, exchange), sign_ins, post).await;
    // No shard is left that could ask. Health and metrics go on until the process ends.
    std::future::pending::<()>().await;
}

/// The middleware's answers, with what its handlers may ask of control.
fn extended(
    answers: axum::Router,
    (sign_ins, signing): (Option<Arc<sign_in::SignIns>>, Option<Arc<tokens::Signer>>),
    (inside, desk): (Option<Arc<inside::Inside>>, Arc<sessions::Desk>),
) -> axum::Router {
    let mut answers = answers.layer(Extension(desk));
    if let Some(sign_ins) = sign_ins {
        let doors = dialects::Doors::new(sign_in::SignIns::clone(&sign_ins), signing);
        answers = answers.layer(Extension(sign_ins)).layer(Extension(doors));
    }
    if let Some(inside) = inside {
        answers = answers.layer(Extension(inside));
    }
    answers
}

/// Where apps sign in. Before clients come, every shard is told what they may say.
fn signed_in(
    parts: &Parts,
    post: &Arc<post::Post>,
    desk: &Arc<sessions::Desk>,
    guard: &Arc<guard::Guard>,
) -> io::Result<Option<sign_in::SignIns>> {
    let Some(registry) = parts.registry.clone() else { return Ok(None) };
    let keys = Secrets::open(&parts.state).ok().map(app_passwords::Keys::new);
    let followed = accounts::start(registry, Arc::clone(post), keys.as_ref())
        .map_err(|error| io::Error::other(error.to_string()))?;
    Ok(Some(sign_in::SignIns::new(followed, Arc::clone(guard), Arc::clone(desk))))
}

/// Where people sign in. Without it the socket is there, and viewers need none.
fn office(parts: &Parts) -> Option<Arc<Office>> {
    let registry = parts.registry.clone()?;
    let opened = Secrets::open(&parts.state)
        .and_then(|secrets| Office::open(registry, secrets, parts.admin_rules.clone()));
    let office = match opened {
        Ok(office) => Arc::new(office),
        Err(error) => {
            tracing::error!(%error, "nobody can sign in on the admin port");
            return None;
        }
    };
    let address = parts.admin.as_ref().and_then(|admin| admin.local_addr().ok());
    if let Some(address) = address {
        operators::welcome(&office, address, &parts.admin_rules);
    }
    Some(office)
}

/// Signs tokens with the registry's keys. Before clients come, every shard is told of them, and of
/// what subscribers may have.
fn signer(
    registry: registry::Registry,
    post: &Arc<post::Post>,
    desk: &Arc<sessions::Desk>,
    languages: &Arc<[String]>,
) -> io::Result<tokens::Signer> {
    let (to, desk, languages) = (Arc::clone(post), Arc::clone(desk), Arc::clone(languages));
    entitled::start(registry.clone(), to, desk, languages)
        .and_then(|()| tokens::Signer::start(registry, Arc::clone(post)))
        .map_err(|error| io::Error::other(error.to_string()))
}

#[cfg(test)]
mod tests;
