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
use std::rc::Rc;
use std::sync::mpsc;

use crate::config::{self, Access};
use crate::messages::mail::Outbox;

mod server;
mod login;
mod receive;
mod channel;
mod output;
mod slab;
mod post;

use channel::Channel;
use login::Login;
use post::Post;

/// What the live thread needs.
#[derive(Debug)]
pub struct Parts {
    /// The ingest port.
    pub listener: TcpListener,
    /// The channels of the config.
    pub channels: Vec<config::Channel>,
    /// Who may watch those that say nothing of it.
    pub access: Access,
    /// To every shard.
    pub outboxes: Vec<Outbox>,
}

/// What all requests share.
#[derive(Debug)]
struct State {
    channels: HashMap<String, Live>,
    /// Bytes of chunks that are being received, of all requests.
    receiving: Cell<usize>,
}

/// A channel, and who may push to it.
#[derive(Debug)]
struct Live {
    login: Option<Login>,
    channel: RefCell<Channel>,
}

/// Starts the live thread, and waits until it takes connections. It runs until the process ends.
///
/// # Errors
///
/// A password file that can't be read, a runtime or a thread that can't be made.
pub fn start(parts: Parts) -> io::Result<()> {
    parts.listener.set_nonblocking(true)?;
    let mut logins = Vec::new();
    for channel in &parts.channels {
        logins.push(channel.push.as_ref().map(Login::read).transpose()?);
    }
    let (started, outcome) = mpsc::sync_channel(1);
    std::thread::Builder::new().name("live".to_owned()).spawn(move || {
        match tokio_uring::Runtime::new(&tokio_uring::builder()) {
            Ok(runtime) => runtime.block_on(run(parts, logins, started)),
            Err(error) => drop(started.send(Err(error))),
        }
    })?;
    outcome.recv().map_err(io::Error::other)?
}

async fn run(parts: Parts, logins: Vec<Option<Login>>, started: mpsc::SyncSender<io::Result<()>>) {
    let listener = match tokio::net::TcpListener::from_std(parts.listener) {
        Ok(listener) => listener,
        Err(error) => return drop(started.send(Err(error))),
    };
    let post = Post::new(parts.outboxes);
    tokio::task::spawn_local(post.clone().flush_for_ever());
    let live = |(of, login): (&config::Channel, Option<Login>)| {
        let channel = RefCell::new(Channel::new(of, parts.access, post.clone()));
        (of.id.clone(), Live { login, channel })
    };
    let channels = parts.channels.iter().zip(logins).map(live).collect();
    let state = Rc::new(State { channels, receiving: Cell::new(0) });
    let _ = started.send(Ok(()));
    server::serve(listener, state).await;
}
