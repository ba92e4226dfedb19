//! Which channels run: those of the config file and, as far as the file has none of the same id,
//! those of the registry; and what becomes of them while the server runs.

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;

use super::supervise::Server;
use crate::config::{CHANNELS_MADE_MAX, Channel, Config};
use crate::control::linear;
use crate::control::lineup::Made;
use crate::messages::{Change, Update};
use crate::ops::listen;

/// The channels of the registry.
#[derive(Debug, Default)]
pub struct LineUp {
    made: BTreeMap<String, Channel>,
    /// Where encoders push, as long as nobody listens there: nobody could push so far.
    closed: Option<SocketAddr>,
}

impl LineUp {
    /// Of these.
    #[must_use]
    pub fn new(made: Vec<Channel>) -> Self {
        let made = made.into_iter().map(|channel| (channel.id.clone(), channel)).collect();
        Self { made, closed: None }
    }

    /// The same; encoders will push to this address, where nobody listens yet.
    #[must_use]
    pub fn closed_at(self, closed: Option<SocketAddr>) -> Self {
        Self { closed, ..self }
    }

    /// All channels: those of the config first.
    #[must_use]
    pub fn of(&self, config: &Config) -> Vec<Channel> {
        config.channels.iter().cloned().chain(self.used(config)).collect()
    }

    /// Those of the registry that the config does not name. What is one too many does not run.
    #[must_use]
    pub fn used(&self, config: &Config) -> Vec<Channel> {
        let named: HashSet<_> = config.channels.iter().map(|channel| &channel.id).collect();
        let mut room = CHANNELS_MADE_MAX;
        let mut used = Vec::new();
        for channel in self.made.values().filter(|channel| !named.contains(&channel.id)) {
            if !channel.is_idle() {
                if room == 0 {
                    tracing::error!(channel = channel.id, "not run: {CHANNELS_MADE_MAX} others do");
                    continue;
                }
                room -= 1;
            }
            used.push(channel.clone());
        }
        used
    }
}

impl Server {
    /// Takes what became of channels of the registry.
    pub(super) fn take_made(&mut self, made: Made) {
        let named: HashSet<_> = self.config.channels.iter().map(|of| of.id.clone()).collect();
        let (mut gone, mut come, mut is_linear) = (Vec::new(), Vec::new(), false);
        let mut running = self.line_up.made.values().filter(|channel| !channel.is_idle()).count();
        for (id, channel) in made {
            let before = match &channel {
                Some(channel) => self.line_up.made.insert(id.clone(), channel.clone()),
                None => self.line_up.made.remove(&id),
            };
            if named.contains(&id) {
                if channel.is_some() {
                    tracing::warn!(channel = id, "it is in the config file, which is used");
                }
                continue;
            }
            let is_same = |(now, before): (&Channel, &Channel)| now.runs_as(before);
            if channel.as_ref().zip(before.as_ref()).is_some_and(is_same) {
                continue;
            }
            let linear = |of: &Option<Channel>| of.as_ref().is_some_and(|of| !of.is_pushed());
            is_linear |= linear(&before) || linear(&channel);
            if before.as_ref().is_some_and(Channel::is_pushed) {
                gone.push(id);
            }
            let runs = |of: &Option<Channel>| of.as_ref().is_some_and(|of| !of.is_idle());
            running = running + usize::from(runs(&channel)) - usize::from(runs(&before));
            match channel.filter(Channel::is_pushed) {
                Some(of) if !of.is_idle() && running > CHANNELS_MADE_MAX => {
                    tracing::error!(channel = of.id, "not run: {CHANNELS_MADE_MAX} others do");
                }
                channel => come.extend(channel),
            }
        }
        if !come.is_empty() {
            self.open_ingest();
        }
        if let Some(live) = self.live.as_ref().filter(|_| !gone.is_empty() || !come.is_empty()) {
            live.change(gone, come, self.config.access);
        }
        if is_linear {
            let linear = self.line_up.of(&self.config);
            let config = self.config.clone();
            self.take_linear(linear, &config);
        }
    }

    /// Takes the channels of a config that was read again.
    pub(super) fn take_channels(&mut self, new: &Config) {
        let has = |config: &Config, id: &String| config.channels.iter().any(|of| of.id == *id);
        // Where one of them takes the place of the other, the other ends.
        let made = self.line_up.made.keys();
        let turned: Vec<_> =
            made.filter(|id| has(&self.config, id) != has(new, id)).cloned().collect();
        let all = self.line_up.of(new);
        if all.iter().any(Channel::is_pushed) {
            self.open_ingest();
        }
        match &self.live {
            Some(live) => {
                if !turned.is_empty() {
                    live.change(turned, Vec::new(), new.access);
                }
                live.reload(new, self.line_up.used(new));
            }
            None if all.iter().all(|channel| !channel.is_pushed()) => {}
            None => tracing::warn!("the first channels of a server are taken at the next restart"),
        }
        self.take_linear(all, new);
        self.config.channels.clone_from(&new.channels);
    }

    /// Linear channels that are new, gone or changed, of all that there are now.
    fn take_linear(&mut self, all: Vec<Channel>, new: &Config) {
        let linear: Vec<_> = all.into_iter().filter(|channel| !channel.is_pushed()).collect();
        // Those that stay are said again behind this.
        let mut listings = linear::listings(&self.linear, self.config.access);
        listings.iter_mut().for_each(|listing| listing.change = Change::Unasked);
        listings.extend(linear::listings(&linear, new.access));
        // Assets may have changed although nothing of the channel has.
        let config = Config { channels: linear.clone(), access: new.access, ..self.config.clone() };
        self.stations.reload(&config);
        if self.linear != linear {
            let listings: Arc<[_]> = listings.into();
            self.tell(|| Update::Listed(Arc::clone(&listings)));
        }
        self.linear = linear;
    }

    /// Listens where encoders push, once there are channels.
    fn open_ingest(&mut self) {
        let (Some(live), Some(address)) = (&self.live, self.line_up.closed) else { return };
        match listen::single(address) {
            Ok(listener) => {
                if let Ok(ingest) = listener.local_addr() {
                    tracing::info!(%ingest, "listening");
                }
                live.open(listener);
                self.line_up.closed = None;
            }
            Err(error) => {
                let why = error.why();
                tracing::error!(%address, why, "nobody can push: the ingest port can't be opened");
            }
        }
    }
}
