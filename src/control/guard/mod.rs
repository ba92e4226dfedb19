//! Who is kept out: what clients did wrong is counted here for all shards, and who is banned is
//! told to them from here.
//!
//! Whatever takes a password asks first (`may_try`) and says afterwards how it went (`failed`,
//! `succeeded`). What is counted, and what not, is `crate::guard::failures`' business.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use ipnet::IpNet;
use tokio::sync::mpsc::Receiver;

use super::post::Post;
use super::registry::Registry;
use super::tokens::now;
use crate::config::{self, Config, GUESSES_AN_HOUR_MAX};
use crate::guard::failures::{Counted, Failures, LockedOut, Who, household};
use crate::guard::{Door, Marks, Networks, Offence, Strike};
use crate::ops::security::{Event, Events};
use crate::units::UnixTime;

pub mod bans;

use bans::Listed;

/// What the guard is told at its start; by default that nobody tells it anything.
#[derive(Debug, Default)]
pub struct Settings {
    /// How much is too much.
    config: config::Guard,
    /// Whoever is never banned: what the config allows, and trusted proxies.
    allowed: Arc<Networks>,
    /// The same for all.
    marks: Marks,
    /// Where events go.
    events: Events,
    /// What shards and the ingest port tell.
    strikes: Option<Receiver<Vec<Strike>>>,
}

impl Settings {
    /// Of this config.
    #[must_use]
    pub fn new(
        config: &Config,
        door: &Door,
        events: Events,
        strikes: Receiver<Vec<Strike>>,
    ) -> Self {
        let allowed = config.guard.allow.iter().chain(&config.guard.trusted_proxies).copied();
        let allowed = Arc::new(Networks::of(allowed));
        let (config, marks) = (config.guard.clone(), door.marks.clone());
        Self { config, allowed, marks, events, strikes: Some(strikes) }
    }
}

/// Somebody who says a password.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// From where.
    pub from: IpAddr,
    /// Whose it is to be.
    pub account: &'a str,
    /// The password, as it was said; nothing is kept of it but a keyed hash.
    pub credential: &'a [u8],
    /// The request's head, or its first line, for the log: secrets in its address are taken out.
    pub head: &'a [u8],
}

/// Where it is decided who is kept out.
pub struct Guard {
    config: config::Guard,
    allowed: Arc<Networks>,
    marks: Marks,
    events: Events,
    failures: Mutex<Failures>,
    /// When it began, by both clocks.
    began: (Instant, UnixTime),
    /// Who is banned, as the registry says.
    listed: Mutex<Listed>,
    registry: Option<Registry>,
    post: Arc<Post>,
}

impl Guard {
    /// Where events go.
    pub(in crate::control) fn events(&self) -> &Events {
        &self.events
    }

    /// One that knows of no failures, and what it will be told of next.
    #[must_use]
    pub fn new(
        settings: Settings,
        registry: Option<Registry>,
        post: Arc<Post>,
    ) -> (Self, Option<Receiver<Vec<Strike>>>) {
        let Settings { config, allowed, marks, events, strikes } = settings;
        let (failures, listed) = (Mutex::default(), Mutex::default());
        let began = (Instant::now(), now());
        (Self { config, allowed, marks, events, failures, began, listed, registry, post }, strikes)
    }

    /// Counts what it is told, until nobody is left who could.
    pub(super) async fn hear(self: Arc<Self>, mut strikes: Receiver<Vec<Strike>>) {
        while let Some(lot) = strikes.recv().await {
            let now = now();
            for strike in lot {
                self.count(&strike, now).await;
            }
        }
    }

    /// Whether a password may be looked at. Ask this first: looking may be slow, and tells.
    ///
    /// # Errors
    ///
    /// `LockedOut`: too many different ones were wrong within the hour, of this account and from
    /// this address. Others, and whoever said the right one from there before, may go on.
    pub fn may_try(&self, attempt: &Attempt<'_>) -> Result<(), LockedOut> {
        let mark = self.marks.of(attempt.credential);
        self.failures().may_try(self.who(attempt), mark, self.steady())
    }

    /// A password was wrong. One that is right, of an account that is blocked or has ended, is not.
    pub async fn failed(&self, attempt: &Attempt<'_>) {
        let (now, mark) = (now(), self.marks.of(attempt.credential));
        let who = self.who(attempt);
        let counted = self.failures().failed(who, mark, GUESSES_AN_HOUR_MAX, self.steady());
        let Counted::New(count) = counted else { return };
        let Attempt { from, account, head, .. } = *attempt;
        let (offence, times) = (Offence::Password, 1);
        let account = Some(account);
        self.events.tell(&Event::Refused { from, offence, account, times, head }, now);
        if count == GUESSES_AN_HOUR_MAX {
            self.lock_out(attempt, mark, now);
        }
        self.note_offence(from, offence, mark, now).await;
    }

    /// A password was right, whether or not its account is good for anything.
    pub fn succeeded(&self, attempt: &Attempt<'_>) {
        let mark = self.marks.of(attempt.credential);
        self.failures().succeeded(self.who(attempt), mark, self.steady());
    }

    fn lock_out(&self, attempt: &Attempt<'_>, mark: u64, now: UnixTime) {
        // Any other password would be refused now.
        let Err(LockedOut { until }) =
            self.failures().may_try(self.who(attempt), mark.wrapping_add(1), self.steady())
        else {
            return;
        };
        let Attempt { from, account, head, .. } = *attempt;
        self.events.tell(&Event::LockedOut { from, account, until, head }, now);
    }

    fn who(&self, attempt: &Attempt<'_>) -> Who {
        Who::saying(attempt.from, self.marks.of(attempt.account.as_bytes()))
    }

    async fn count(&self, strike: &Strike, now: UnixTime) {
        let Strike { from, offence, mark, times, .. } = *strike;
        match offence {
            Offence::Flood => self.events.tell(&Event::Flood { from, times }, now),
            Offence::Token | Offence::Password => {
                if self.note_offence(from, offence, mark, now).await {
                    let (account, head) = (strike.account.as_deref(), &*strike.head);
                    let event = Event::Refused { from, offence, account, times, head };
                    self.events.tell(&event, now);
                }
            }
            Offence::Path => drop(self.note_offence(from, offence, mark, now).await),
        }
    }

    /// Counts one more thing that an address did wrong, and bans it if that is one too many; true
    /// unless it did the same before.
    async fn note_offence(&self, from: IpAddr, offence: Offence, mark: u64, now: UnixTime) -> bool {
        let most = self.config.ban_after;
        let counted = self.failures().failed(Who::at(from), mark, most, self.steady());
        let Counted::New(count) = counted else { return false };
        if most > 0 && count >= most && !self.allowed.holds(from) {
            let reason = format!("{count} offences in an hour, the last: {}", offence.word());
            self.ban(network(from), reason, now).await;
            self.failures().forget(Who::at(from));
        }
        true
    }

    /// The time by a clock that nobody sets: an hour is one whatever is done to the other.
    fn steady(&self) -> UnixTime {
        let (began, at) = self.began;
        UnixTime(at.0.saturating_add(began.elapsed().as_secs()))
    }

    fn failures(&self) -> MutexGuard<'_, Failures> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All that belongs to whoever has this address.
fn network(address: IpAddr) -> IpNet {
    let address = household(address);
    match address {
        IpAddr::V4(_) => address.into(),
        IpAddr::V6(_) => IpNet::new(address, 64).unwrap_or_else(|_| address.into()),
    }
}

#[cfg(test)]
mod tests;
