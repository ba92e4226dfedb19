//! How fast connections are sent to: the rates of sessions, set on sockets when they change; and
//! how much the shard has sent, for whoever watches over what the machine may.
//!
//! The kernel paces (`SO_MAX_PACING_RATE`): sends are as large as ever, and no timer is ours. A
//! server where no plan has a cap and pacing is off pays a look at two fields for each large body.

use std::num::NonZeroU32;

use super::cache::Cache;
use super::exchange::{Exchange, Work};
use super::kernel::Kernel;
use super::sessions::unsent;
use super::{Shard, cache_capacity};
use crate::config::LEASES_TOLD_MS;
use crate::messages::SessionNews;
use crate::messages::mail::Inbox;
use crate::request::plan::Plan;
use crate::units::{Ticks, Way};
use crate::viewer::Permit;
use crate::viewer::leases::News;
use crate::viewer::players::{Bounds, Share};
use crate::viewer::session::SessionId;

/// What control was told of how much was sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Meter {
    told: u64,
    tell_at: Ticks,
}

impl<K: Kernel, I: Inbox> Shard<K, I> {
    /// Rights or limits have changed: whether anybody is paced from now on.
    pub(super) fn look_for_caps(&mut self) {
        let is_paced = self.settings.limits.bandwidth.is_paced;
        self.has_caps = is_paced || self.rights.has_rate_caps();
    }

    /// A large body begins: its connection gets the rate of its session.
    pub(super) fn begin_pace(&mut self, owner: u32, place: u32, plan: &Plan) {
        let permit = &plan.permit;
        if !self.has_caps && self.connections[owner].pace.is_none() {
            return;
        }
        let bounds = self.bounds(permit);
        let session = permit.session().filter(|_| bounds.is_some());
        let pace = session.and_then(|id| {
            self.exchanges[place].is_paced = true;
            self.known.players.begin(id, (bounds, plan.played), self.now.ticks)
        });
        self.set_pace(owner, pace);
    }

    /// What bounds the rate of whoever has this.
    fn bounds(&self, permit: &Permit) -> Bounds {
        let is_paced = self.settings.limits.bandwidth.is_paced;
        Bounds { cap_kbps: self.cap_kbps(permit), is_paced }
    }

    /// What a plan's cap is for whoever has this.
    pub(super) fn cap_kbps(&self, permit: &Permit) -> Option<NonZeroU32> {
        permit.subscriber().and_then(|of| self.rights.rate_max_kbps(of))
    }

    /// What is known of the way to a client.
    pub(super) fn way(&mut self, owner: u32) -> Option<Way> {
        let socket = self.connections[owner].socket.as_ref()?;
        self.kernel.way(socket)
    }

    /// Limits were read: what heads say from now on. Responses that were built before are built
    /// anew.
    pub(super) fn tell_players(&mut self) {
        let tells_players = self.settings.limits.bandwidth.tells_players;
        if self.common.tells_players != tells_players {
            self.common.tells_players = tells_players;
            self.cache = Cache::new(cache_capacity(&self.settings));
        }
    }

    pub(super) fn set_pace(&mut self, owner: u32, pace: Option<NonZeroU32>) {
        let connection = &mut self.connections[owner];
        if connection.pace == pace {
            return;
        }
        if let Some(socket) = &connection.socket {
            connection.pace = pace;
            self.kernel.pace(socket, pace.map(|kbps| u64::from(kbps.get()) * 1000 / 8));
            self.counters.paces_set += 1;
        }
    }

    /// The client of a body that goes on took so many bytes more; its rate may be another one now.
    pub(super) fn pace_on(&mut self, owner: u32, place: u32, permit: &Permit, size: u64) {
        if !self.exchanges[place].is_paced {
            return;
        }
        let Some(id) = permit.session() else { return };
        if size > 0 {
            self.known.players.took(id, size, self.now.ticks);
        }
        let pace = self.known.players.pace(id, self.bounds(permit));
        self.set_pace(owner, pace);
    }

    /// A body is out, or given up.
    pub(super) fn end_pace(&mut self, exchange: &Exchange) {
        let (Work::Object { plan, .. } | Work::Growing { plan, .. }) = &exchange.work else {
            return;
        };
        if let Some(id) = plan.permit.session().filter(|_| exchange.is_paced) {
            // What is still on its way counts as taken: nobody looks at it any more.
            let rest = exchange.sent.saturating_sub(exchange.seen.max(0).unsigned_abs());
            self.known.players.end(id, rest, self.now.ticks);
        }
    }

    /// Control has said how much of sessions' rates falls to this shard.
    pub(super) fn take_shares(&mut self, shares: &[(SessionId, Share)]) {
        let mut is_urgent = false;
        for (id, share) in shares {
            is_urgent |= self.known.players.share(*id, *share);
        }
        // What is sent meanwhile may be far too much; all else the next review takes in.
        if is_urgent {
            self.review.begin();
        }
    }

    /// Tells control of players, and of how much was sent.
    pub(super) fn tell_of_bandwidth(&mut self) {
        let (now, shard) = (self.now.ticks, self.settings.number);
        let Some(to) = self.outside.sessions.as_ref() else {
            // Nobody wants to know.
            self.known.players.tell(now, |_| Ok(()));
            return;
        };
        self.known.players.tell(now, |reports| {
            let news = News::Players(reports);
            match to.try_send(SessionNews { shard, news }).map_err(|error| unsent(error).news) {
                Err(News::Players(reports)) => Err(reports),
                _ => Ok(()),
            }
        });
        let sent = self.counters.sent_bytes;
        if self.has_something_to_tell() && now >= self.meter.tell_at {
            let news = News::Sent(sent);
            if to.try_send(SessionNews { shard, news }).is_ok() {
                self.meter.told = sent;
            }
            self.meter.tell_at = now.plus(LEASES_TOLD_MS);
        }
    }

    fn has_something_to_tell(&self) -> bool {
        let is_asked = self.settings.limits.bandwidth.egress > 0 && self.outside.sessions.is_some();
        is_asked && self.meter.told != self.counters.sent_bytes
    }

    /// Milliseconds until there is something to tell.
    pub(super) fn bandwidth_wait_ms(&self) -> Option<u64> {
        let now = self.now.ticks;
        let players = self.known.players.wait_ms(now);
        let meter = self.has_something_to_tell().then(|| self.meter.tell_at.since(now));
        players.into_iter().chain(meter).min()
    }
}
