//! The control thread: the admin port, metrics, and the answers that shards ask for.
//!
//! One thread with a tokio-uring runtime of its own. It never serves a segment, and nothing that a
//! shard does waits for it: questions come through a bounded queue and have a deadline.

use std::io;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;

use crate::messages::Ask;
use crate::messages::mail::Outbox;
use crate::ops::access_log;

pub mod readiness;
pub mod scrape;
pub mod ask;

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
}

/// The running control thread.
#[derive(Debug)]
pub struct Handle {}

/// Starts the control thread.
pub fn start(parts: Parts) -> io::Result<Handle> {
    let mut asks = parts.asks;
    std::thread::Builder::new()
        .name("control".to_owned())
        .spawn(move || while asks.blocking_recv().is_some() {})?;
    Ok(Handle {})
}
