//! What the shard is told: updates applied in bounded batches, waiting requests released.

use super::exchange::{State, Work};
use super::kernel::Kernel;
use super::{Shard, cache_capacity, capacity};
use crate::catalog::Effect;
use crate::config::{Backend, UPDATES_A_TURN_MAX};
use crate::live::slate::Shown;
use crate::messages::mail::Inbox;
use crate::messages::{OpenFault, ShardReport, ToLive, Update};
use crate::viewer::cmcd::ObjectKind;

use super::connection::Ending;

impl<K: Kernel, I: Inbox> Shard<K, I> {
    /// Takes what is in the inbox, so much a turn.
    pub(super) fn take_updates(&mut self) {
        for _ in 0..UPDATES_A_TURN_MAX {
            let Some(update) = self.inbox.take() else { return };
            self.apply(update);
        }
        // There may be more, and nobody rings twice: look again at once.
        self.look_again = true;
    }

    fn apply(&mut self, update: Update) {
        let mut effects = std::mem::take(&mut self.effects);
        match update {
            Update::Listed(listings) => {
                self.hear_of_channels(&listings);
                self.catalog.list(&listings, &mut effects);
            }
            Update::Opened(opened) => self.catalog.open(&opened, &mut effects),
            Update::Spare(source) => self.catalog.spare(source, &mut effects),
            Update::Reread => self.recent.distrust(self.now.ticks),
            Update::Failed(source, fault) => {
                self.catalog.fail(source, fault, &mut effects);
                if fault == OpenFault::Exhausted {
                    self.exhausted.extend(self.catalog.slot_of(source));
                }
            }
            Update::Growing(id, growth) => self.catalog.grow(id, &growth, &mut effects),
            Update::IsWatched(folder, stream) => {
                if self.catalog.is_watched(&folder, stream)
                    && let Some(live) = &self.outside.live
                {
                    // It asks again.
                    let _ = live.try_send(ToLive::Watched(folder));
                }
            }
            Update::Answered(answer) => self.handle_answer(answer),
            Update::Report(to) => {
                // Whoever asked may have given up.
                let _ = to.try_send(Box::new(self.report()));
            }
            Update::Refusals(subscriber, to) => {
                // Whoever asked may have given up.
                let _ = to.try_send(self.refusals.of(subscriber));
            }
            Update::Limits(limits) => {
                self.settings.limits = limits;
                self.catalog.set_capacity(capacity(&self.settings));
                self.cache.set_capacity(cache_capacity(&self.settings));
                self.look_for_caps();
                self.tell_players();
                self.review.begin();
            }
            Update::Keys(keys) => {
                self.keys = keys;
                self.known.recent.clear();
                self.refusals.strikes.hear_of_keys(self.now.ticks);
                self.review.begin();
            }
            Update::Foreign(watched) => self.foreign = watched,
            Update::Rights(rights) => {
                self.rights = rights;
                self.look_for_caps();
                self.review.begin();
            }
            Update::Apps(apps) => self.apps = apps,
            Update::Slates(slates) => self.slates = Shown::new(slates, self.now.ticks),
            Update::Bans(bans) => self.hear_of_bans(bans),
            Update::Sessions(said) => self.hear_of_sessions(&said),
            Update::Shares(shares) => self.take_shares(&shares),
            Update::Full(is_full) => self.known.leases.fill(is_full),
            Update::Asking(asking) => self.known.leases.ask_as(asking),
            Update::Accept => self.listening = self.draining.is_none(),
            Update::Drain { deadline_ms } => self.drain(deadline_ms),
            Update::Stop => self.stop(),
        }
        for effect in effects.drain(..) {
            self.follow(effect);
        }
        self.effects = effects;
    }

    pub(super) fn follow(&mut self, effect: Effect) {
        match effect {
            Effect::Release(place) => {
                if let Some(waiters) = self.parked.remove(&place) {
                    self.releasing.extend(waiters);
                }
            }
            Effect::Grown(slot) => {
                for waiter in self.growing.remove(&slot).unwrap_or_default() {
                    let is_waiting = self
                        .waiting(waiter)
                        .is_some_and(|exchange| exchange.state == State::Growing);
                    if is_waiting {
                        self.make_ready(waiter.exchange);
                    }
                }
            }
            Effect::LetGo(source) => self.let_go(source),
            // Transfers find out when they next send; those that are blocked now are ended here.
            Effect::Reset(slot) => {
                let torn: Vec<u32> = self
                    .exchanges
                    .used()
                    .filter(|&place| {
                        matches!(self.exchanges[place].work,
                            Work::Object { key, .. } if key.source == slot)
                    })
                    .map(|place| self.exchanges[place].owner)
                    .collect();
                for owner in torn {
                    self.close(owner, Ending::Reset);
                }
            }
        }
    }

    /// The latency of a released request counts from its first reading.
    pub(super) fn backdate(&mut self, owner: u32, to: u64) {
        use super::connection::Phase;
        let Some(connection) = self.connections.get_mut(owner) else { return };
        match &mut connection.phase {
            Phase::Quick(quick) => quick.started = to,
            Phase::Exchange(place) => self.exchanges[*place].started = to,
            Phase::Waiting(place) => self.waits[*place].started = to,
            Phase::Idle { .. } | Phase::Head | Phase::Linger { .. } => {}
        }
    }

    fn report(&self) -> ShardReport {
        let count = |backend| {
            let of = self.listeners.iter().filter(|listener| listener.backend == backend);
            of.count() as u64
        };
        let counters = &self.counters;
        let said = self.known.players.counts();
        ShardReport {
            shard: self.settings.number,
            requests: counters.requests(),
            refusals: counters.refusals(),
            latency: counters.latency(),
            sent_bytes: counters.sent_bytes,
            body_copied_bytes: counters.body_copied_bytes,
            connections: self.connections.count() as u64,
            connections_total: counters.connections_total,
            ring_enters: counters.ring_enters,
            ring_completions: counters.ring_completions,
            cold_reads: self.cold.begun,
            parked: self.parked_count,
            backends: vec![
                ("sendfile", count(Backend::Sendfile)),
                ("send_zc", count(Backend::SendZeroCopy)),
            ],
            cache_bytes: self.cache.size() as u64,
            access_dropped: counters.access_dropped,
            faults: counters.faults,
            told: ObjectKind::ALL.map(ObjectKind::label).into_iter().zip(said.requests).collect(),
            stalls: said.stalls,
            starts: said.starts,
            malformed: said.malformed,
            paces_set: counters.paces_set,
        }
    }
}
