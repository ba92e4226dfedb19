//! Channels that come, change and go while the server runs: by a config that is read again, and by
//! the registry.
//!
//! A channel of the registry that nothing is read for, and to which only this machine may push,
//! sleeps until somebody does: a line-up of 100,000 of them costs what a table of them does.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, TcpListener};
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::login::Logins;
use super::{Live, State, server};
use crate::config::{self, Access};

/// What the live thread is told.
#[derive(Debug)]
pub enum Wish {
    /// A config was read again.
    Reload(Reload),
    /// Channels of the registry are other ones.
    Change(Change),
    /// There is an ingest port.
    Open(TcpListener),
}

/// The channels of a config that was read again.
#[derive(Debug)]
pub struct Reload {
    /// Those of the config.
    pub channels: Vec<config::Channel>,
    /// Those of the registry, all of them.
    pub made: Vec<config::Channel>,
    /// Who may watch those that say nothing of it.
    pub access: Access,
    /// How long an encoder may be silent in the middle of a request.
    pub idle: Duration,
}

/// What became of channels of the registry.
#[derive(Debug)]
pub struct Change {
    /// These are gone.
    pub gone: Vec<String>,
    /// These are there, as they are said to be.
    pub come: Vec<config::Channel>,
    /// Who may watch those that say nothing of it.
    pub access: Access,
}

/// Channels that nobody has pushed to.
#[derive(Debug)]
pub struct Sleeping {
    all: RefCell<HashMap<String, Box<config::Channel>>>,
    /// Those that somebody has woken, and that do not run yet; closed when they do.
    waking: RefCell<HashMap<String, Rc<Semaphore>>>,
    access: Cell<Access>,
}

impl Sleeping {
    /// None yet.
    #[must_use]
    pub fn new(access: Access) -> Self {
        let (all, waking) = (RefCell::default(), RefCell::default());
        Self { all, waking, access: Cell::new(access) }
    }
}

impl State {
    /// Does what is wished for.
    pub(super) fn grant(self: &Rc<Self>, wish: Wish) {
        match wish {
            Wish::Reload(reload) => self.reload(reload),
            Wish::Change(change) => self.change(change),
            Wish::Open(listener) => self.open(listener),
        }
    }

    fn open(self: &Rc<Self>, listener: TcpListener) {
        let opened = listener
            .set_nonblocking(true)
            .and_then(|()| tokio::net::TcpListener::from_std(listener));
        match opened.and_then(|listener| Ok((listener.local_addr()?, listener))) {
            Ok((address, listener)) => {
                self.children.push_to(address);
                tokio::task::spawn_local(server::serve(listener, Rc::clone(self)));
            }
            Err(error) => tracing::error!(%error, "the ingest port can't be used"),
        }
    }

    /// Adds the channels of the registry, before anybody is let in.
    pub(super) async fn add_made(self: &Rc<Self>, made: Vec<config::Channel>, access: Access) {
        let begun: Vec<_> = made.into_iter().filter_map(|of| self.add_one(of, access)).collect();
        for begun in begun {
            let _ = begun.await;
        }
    }

    /// Adds a channel of the registry, or lets it sleep. What can't run is no reason for others.
    fn add_one(
        self: &Rc<Self>,
        of: config::Channel,
        access: Access,
    ) -> Option<tokio::task::JoinHandle<()>> {
        if of.is_idle() {
            self.sleeping.all.borrow_mut().insert(of.id.clone(), Box::new(of));
            return None;
        }
        match Logins::read(&of) {
            Ok(logins) => self.add_later(of, logins, access, "a channel is added"),
            Err(error) => {
                tracing::error!(channel = of.id, "not added: {error}");
                None
            }
        }
    }

    /// Begins a channel that sleeps, if this is one and the peer may push to it. Encoders begin
    /// with several requests at once: all of them wait until it runs.
    pub(super) async fn wake(self: &Rc<Self>, id: &str, peer: IpAddr) {
        if self.channels.borrow().contains_key(id) || !peer.to_canonical().is_loopback() {
            return;
        }
        let woken = self.sleeping.waking.borrow().get(id).cloned();
        if let Some(woken) = woken {
            return drop(woken.acquire().await);
        }
        let Some(of) = self.sleeping.all.borrow_mut().remove(id) else { return };
        let Ok(logins) = Logins::read(&of) else { return };
        let runs = Rc::new(Semaphore::new(0));
        self.sleeping.waking.borrow_mut().insert(id.to_owned(), Rc::clone(&runs));
        let (state, id, access) = (Rc::clone(self), id.to_owned(), self.sleeping.access.get());
        let added = self.add_later(*of, logins, access, "a channel is woken");
        // Not a part of this request: its encoder may go away.
        let waking = tokio::task::spawn_local(async move {
            if let Some(added) = added {
                let _ = added.await;
            }
            state.sleeping.waking.borrow_mut().remove(&id);
            runs.close();
        });
        let _ = waking.await;
    }

    fn change(self: &Rc<Self>, change: Change) {
        let Change { gone, come, access } = change;
        let gone: HashSet<_> =
            gone.into_iter().chain(come.iter().map(|of| of.id.clone())).collect();
        for id in &gone {
            self.sleeping.all.borrow_mut().remove(id);
        }
        self.end(|id| gone.contains(id));
        for channel in come {
            self.add_one(channel, access);
        }
    }

    /// Ends channels that run, or are coming.
    fn end(&self, is_gone: impl Fn(&String) -> bool) {
        let stays = |id: &String| !is_gone(id);
        // At once, so that one that comes again finds its archive closed.
        self.coming.retain(stays).iter().for_each(|id| self.archives.end(id));
        self.children.retain(stays);
        self.channels.borrow_mut().retain(|id, live| {
            if stays(id) {
                return true;
            }
            live.channel.borrow_mut().close();
            self.counts.remove(id);
            tracing::info!(channel = id, "the channel is gone");
            false
        });
    }

    fn reload(self: &Rc<Self>, new: Reload) {
        self.idle.set(new.idle);
        self.sleeping.access.set(new.access);
        let named: HashSet<_> =
            new.channels.iter().chain(&new.made).map(|channel| channel.id.clone()).collect();
        self.sleeping.all.borrow_mut().retain(|id, _| named.contains(id));
        self.end(|id| !named.contains(id));
        for channel in new.channels {
            if self.is_other(&channel).is_none() {
                // Whatever the registry said of it.
                self.sleeping.all.borrow_mut().remove(&channel.id);
                match Logins::read(&channel) {
                    Ok(logins) => {
                        self.add_later(channel, logins, new.access, "a channel is added");
                    }
                    Err(error) => tracing::error!(channel = channel.id, "not added: {error}"),
                }
            }
        }
        for channel in new.made {
            let sleeps = self.sleeping.all.borrow().contains_key(&channel.id);
            if !sleeps && self.is_other(&channel).is_none() {
                self.add_one(channel, new.access);
            }
        }
    }

    /// Whether a channel runs as something else than this; none if it does not run.
    fn is_other(&self, channel: &config::Channel) -> Option<bool> {
        let runs = |live: &Rc<Live>| live.of.runs_as(channel);
        let is_other = !self.channels.borrow().get(&channel.id).map(runs)?;
        if is_other {
            tracing::warn!(channel = channel.id, "changed, and taken at the next restart");
        }
        Some(is_other)
    }
}
