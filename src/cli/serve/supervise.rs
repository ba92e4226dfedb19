//! The life of a running server: ready, reloaded, drained, ended; one way out.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::line_up::LineUp;
use crate::cli::Failure;
use crate::config::load::Sources;
use crate::config::{Channel, Config};
use crate::control::foreign::Exchange;
use crate::control::linear::{self, Stations};
use crate::control::lineup::Made;
use crate::control::tls::Certificate;
use crate::control::{self, Readiness, Stage};
use crate::ingest;
use crate::library;
use crate::messages::Update;
use crate::messages::mail::Outbox;
use crate::middleware::catalogue::Catalogue;
use crate::ops::signals::Wish;
use crate::ops::{access_log, scrape, systemd};
use crate::shard::thread::ShardHandle;

/// How often something that cannot call us is looked at, while we wait for it.
const SHORT: Duration = Duration::from_millis(10);
/// The same while nothing is expected: a shard that ended by itself.
const LONG: Duration = Duration::from_secs(1);
/// What shards may take longer than their deadline to end.
const GRACE: Duration = Duration::from_secs(2);
/// What they may take to end when they are told to end now.
const STOP: Duration = Duration::from_secs(1);

/// What happens to the supervising thread.
#[derive(Debug)]
pub enum Event {
    /// A signal came.
    Wish(Wish),
    /// Channels of the registry are other ones.
    Channels(Made),
}

/// A running server, seen from outside its shards.
pub struct Server {
    /// What the config is read from again.
    pub(super) sources: Sources,
    /// What holds now.
    pub(super) config: Config,
    pub(super) outboxes: Vec<Outbox>,
    pub(super) readiness: Arc<Readiness>,
    shards: Vec<ShardHandle>,
    pub(super) library: library::Handle,
    /// The channels of the registry, and where they are pushed to.
    pub(super) line_up: LineUp,
    /// None where there can be no channels.
    pub(super) live: Option<ingest::Handle>,
    pub(super) control: control::Handle,
    /// Linear channels, of the file and of the registry.
    pub(super) linear: Vec<Channel>,
    /// What answers for them.
    pub(super) stations: Stations,
    /// What apps get; none without a registry.
    pub(super) catalogue: Option<Catalogue>,
    /// What the admin port shows, if it has TLS.
    pub(super) certificate: Option<Arc<Certificate>>,
    /// Tokens of others.
    pub(super) exchange: Exchange,
    pub(super) log: Option<access_log::Handle>,
    security_log: Option<access_log::Handle>,
    events: Receiver<Event>,
    /// When we leave, whatever still runs.
    leave_at: Option<Instant>,
    watchdog: Option<(Duration, Instant)>,
}

/// What answers what shards ask.
type Answering = (Stations, Option<Catalogue>);

impl Server {
    /// Everything that `start` made.
    pub(super) fn new(
        (sources, config): (Sources, Config),
        (shards, outboxes): (Vec<ShardHandle>, Vec<Outbox>),
        library: library::Handle,
        (live, line_up): (Option<ingest::Handle>, LineUp),
        (control, (stations, catalogue), exchange, certificate): (
            control::Handle,
            Answering,
            Exchange,
            Option<Arc<Certificate>>,
        ),
        (log, security_log): (Option<access_log::Handle>, Option<access_log::Handle>),
        (readiness, events): (Arc<Readiness>, Receiver<Event>),
    ) -> Self {
        let linear = line_up.of(&config).into_iter().filter(|of| !of.is_pushed()).collect();
        let watchdog = systemd::watchdog_period().map(|period| (period, Instant::now()));
        Self {
            sources,
            config,
            outboxes,
            readiness,
            shards,
            library,
            live,
            line_up,
            control,
            linear,
            stations,
            catalogue,
            certificate,
            exchange,
            log,
            security_log,
            events,
            leave_at: None,
            watchdog,
        }
    }

    /// Runs until the shards have ended.
    pub fn supervise(mut self) -> Result<(), Failure> {
        loop {
            match self.events.recv_timeout(self.patience()) {
                Ok(Event::Wish(wish)) => self.grant(wish),
                Ok(Event::Channels(made)) => self.take_made(made),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Failure::new("signals", "their thread ended"));
                }
            }
            self.look_after();
            if let Some(outcome) = self.ended() {
                self.leave();
                return outcome;
            }
        }
    }

    /// How long to wait for the next event before looking around.
    fn patience(&self) -> Duration {
        let waiting = self.readiness.stage() != Stage::Ready
            || self.outboxes.iter().any(|outbox| !outbox.is_empty());
        if waiting { SHORT } else { self.watchdog.map_or(LONG, |(period, _)| period.min(LONG)) }
    }

    fn grant(&mut self, wish: Wish) {
        match wish {
            Wish::Drain if self.leave_at.is_none() => self.drain(),
            Wish::Drain | Wish::Quit => self.stop(),
            Wish::Reload if self.leave_at.is_none() => self.reload(),
            Wish::Reload => tracing::warn!("the config is not read again while draining"),
            Wish::ReopenLogs => {
                self.log.iter().chain(&self.security_log).for_each(access_log::Handle::reopen);
            }
        }
    }

    fn look_after(&mut self) {
        for outbox in &mut self.outboxes {
            outbox.flush();
        }
        if self.readiness.stage() == Stage::Starting && self.library.is_ready() {
            self.become_ready();
        }
        let now = Instant::now();
        if let Some((period, due)) = &mut self.watchdog
            && now >= *due
        {
            *due = now + *period;
            // A shard that is stuck is the one thing that a restart mends, so it has a say. A
            // draining shard may be gone already.
            let all_alive = scrape::reports(&mut self.outboxes, *period / 2).silent == 0;
            if all_alive || self.leave_at.is_some() {
                systemd::alive();
            } else {
                tracing::error!("a shard does not answer; systemd is not told that we are alive");
            }
        }
    }

    fn become_ready(&mut self) {
        let linear = linear::listings(&self.linear, self.config.access);
        let linear: Arc<[_]> = linear.into();
        self.tell(|| Update::Listed(Arc::clone(&linear)));
        self.tell(|| Update::Accept);
        self.readiness.become_stage(Stage::Ready);
        tracing::info!(shards = self.shards.len(), "ready");
        systemd::ready(&self.status());
    }

    /// What `systemctl status` shows of a healthy server.
    pub(super) fn status(&self) -> String {
        format!("Serving from {} shards", self.shards.len())
    }

    fn drain(&mut self) {
        let deadline_ms = self.config.limits.drain_timeout_ms;
        self.readiness.become_stage(Stage::Draining);
        tracing::info!(deadline_ms, "draining: running transfers are finished");
        systemd::stopping("Finishing running transfers");
        self.tell(|| Update::Drain { deadline_ms });
        self.leave_at = Some(Instant::now() + Duration::from_millis(deadline_ms) + GRACE);
    }

    fn stop(&mut self) {
        tracing::info!("ending at once");
        self.readiness.become_stage(Stage::Draining);
        systemd::stopping("Ending at once");
        self.tell(|| Update::Stop);
        self.leave_at = Some(Instant::now() + STOP);
    }

    /// Says the same to every shard.
    pub(super) fn tell(&mut self, update: impl Fn() -> Update) {
        for outbox in &mut self.outboxes {
            outbox.send(update());
        }
    }

    /// How it all ended, once it has.
    fn ended(&self) -> Option<Result<(), Failure>> {
        let running = self.shards.iter().filter(|shard| !shard.thread.is_finished()).count();
        match self.leave_at {
            None if running < self.shards.len() => {
                Some(Err(Failure::new("a shard", "ended by itself").remedy("see the log above")))
            }
            None => None,
            Some(_) if running == 0 => Some(Ok(())),
            Some(at) if Instant::now() >= at => {
                tracing::warn!(running, "left before all transfers were finished");
                Some(Ok(()))
            }
            Some(_) => None,
        }
    }

    /// The one way out: what was logged is written, what we made is removed.
    fn leave(mut self) {
        self.shards.clear();
        if let Some(live) = &self.live {
            live.finish(STOP);
        }
        if let Some(log) = self.log.take() {
            log.finish(STOP);
        }
        self.control.finish(STOP);
        drop(self.control);
        // Dropping it would wait for its threads. They only read, and may be in the middle of a
        // slow disk: nothing of them is needed any more.
        std::mem::forget(self.library);
        tracing::info!("ended");
    }
}
