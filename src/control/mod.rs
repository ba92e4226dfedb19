//! The control thread: the admin port, metrics, and the answers that shards ask for.
//!
//! One thread with a tokio-uring runtime of its own. It never serves a segment, and nothing that a
//! shard does waits for it: questions come through a bounded queue and have a deadline.

use std::io;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc;

use crate::ingest;
use crate::messages::Ask;
use crate::messages::mail::Outbox;
use crate::ops::access_log;

pub mod readiness;
mod admin;
mod channels;
mod connections;
mod socket;
pub mod ask;
pub mod catchup;
pub mod linear;
pub mod problem;

pub use readiness::{Readiness, Stage};

/// What the control thread needs.
pub struct Parts {
    /// The admin port; none = only the unix socket.
    pub admin: Option<TcpListener>,
    /// The folder of `admin.sock`.
    pub state: PathBuf,
    /// To every shard, in order.
    pub outboxes: Vec<Outbox>,
    /// What shards ask.
    pub asks: tokio::sync::mpsc::Receiver<Ask>,
    /// Answers them.
    pub answers: axum::Router,
    /// How far the server is.
    pub readiness: Arc<Readiness>,
    /// What the access log did.
    pub log: Option<Arc<access_log::Counters>>,
    /// What encoders pushed; none where nobody can.
    pub pushed: Option<Arc<ingest::counts::Table>>,
    /// Where it is asked how channels are; none where nobody can push.
    pub desk: Option<ingest::health::Desk>,
}

/// The running control thread. It runs until the process ends; dropping this removes the socket.
#[derive(Debug)]
pub struct Handle {
    _socket: Option<socket::Guard>,
}

/// Starts the control thread, and waits until it listens.
pub fn start(parts: Parts) -> io::Result<Handle> {
    let (unix, guard) = socket::open(&parts.state).unzip();
    if let Some(admin) = &parts.admin {
        admin.set_nonblocking(true)?;
    }
    let (started, outcome) = mpsc::sync_channel(1);
    std::thread::Builder::new().name("control".to_owned()).spawn(move || {
        match tokio_uring::Runtime::new(&tokio_uring::builder()) {
            Ok(runtime) => runtime.block_on(run(parts, unix, started)),
            Err(error) => drop(started.send(Err(error))),
        }
    })?;
    outcome.recv().map_err(io::Error::other)??;
    Ok(Handle { _socket: guard })
}

async fn run(
    parts: Parts,
    unix: Option<std::os::unix::net::UnixListener>,
    started: mpsc::SyncSender<io::Result<()>>,
) {
    let router = admin::router(admin::Shared::new(&parts));
    let listening = || -> io::Result<()> {
        if let Some(admin) = parts.admin {
            let listener = tokio::net::TcpListener::from_std(admin)?;
            tokio::task::spawn_local(connections::serve(listener, router.clone()));
        }
        if let Some(unix) = unix {
            let listener = tokio::net::UnixListener::from_std(unix)?;
            tokio::task::spawn_local(connections::serve(listener, router));
        }
        Ok(())
    };
    let _ = started.send(listening());
    ask::answer_all(parts.asks, parts.answers, parts.outboxes).await;
    // No shard is left that could ask. Health and metrics go on until the process ends.
    std::future::pending::<()>().await;
}

#[cfg(test)]
mod tests;
