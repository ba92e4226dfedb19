//! Requests that wait for an update: for a pack to be opened, for a live channel to come further.
//!
//! There may be as many as there are clients, so each is a few words and what is left of its head.
//! It is read again when its wait is over, and goes the way of any request.

use super::connection::Phase;
use super::exchange::{Awaited, Waiter, add_waiter};
use super::input::{Wish, refused, wish_again};
use super::kernel::Kernel;
use super::{Inbox, Shard};
use crate::config::RELEASES_A_TURN_MAX;
use crate::messages::{SourceId, ToLibrary, ToLive};
use crate::request::View;
use crate::request::locate::Place;
use crate::request::refusal::Refusal;
use crate::viewer::Permit;

/// A request that waits.
#[derive(Debug)]
pub struct Wait {
    /// Its client.
    pub owner: u32,
    /// See `Awaited`.
    pub generation: u32,
    /// When it was complete, in nanoseconds.
    pub started: u64,
    /// By what right.
    pub permit: Permit,
    /// What is read again.
    pub head: Box<[u8]>,
}

impl Awaited for Wait {
    fn generation(&self) -> u32 {
        self.generation
    }
}

impl<K: Kernel, I: Inbox> Shard<K, I> {
    /// Parks a request until an update releases its place.
    pub(super) fn wait(&mut self, owner: u32, place: Place, permit: Permit, head: Box<[u8]>) {
        if let Place::Source(slot) = place
            && let Some(source) = self.catalog.want(slot)
            && !self.ask_to_open(source)
        {
            self.catalog.unwant(slot);
            let plan = refused(&head, Refusal::Busy);
            self.respond_without_object(owner, plan);
            return;
        }
        self.generation = self.generation.wrapping_add(1);
        let generation = self.generation;
        self.parked_count += 1;
        self.review.note(&permit);
        let started = self.now.nanos;
        let wait = self.waits.insert(Wait { owner, generation, started, permit, head });
        self.connections[owner].phase = Phase::Waiting(wait);
        self.set_exchange_deadline(owner, true);
        if let Place::Reach(rendition, reach) = place {
            let hold_ms = self.catalog.wait(rendition, reach);
            self.set_deadline(owner, self.now.ticks.plus(hold_ms));
        }
        let waiters = self.parked.entry(place).or_default();
        add_waiter(waiters, Waiter { exchange: wait, generation }, &self.waits);
    }

    /// Takes the request out of the table that this client waits with, if it does.
    pub(super) fn end_wait(&mut self, owner: u32) -> Option<Wait> {
        let connection = &mut self.connections[owner];
        let Phase::Waiting(place) = connection.phase else { return None };
        connection.phase = Phase::Idle { since: self.now.ticks };
        self.parked_count -= 1;
        Some(self.waits.remove(place))
    }

    /// A refusal instead of what was waited for.
    pub(super) fn refuse_waiting(&mut self, owner: u32, refusal: Refusal) {
        let Some(Wait { started, head, .. }) = self.end_wait(owner) else { return };
        let plan = refused(&head, refusal);
        self.respond_without_object(owner, plan);
        self.backdate(owner, started);
    }

    /// Asks the library to open a source, or the live thread to make it; false if there is no room.
    /// The question never overtakes what was said before: that the same source was let go, perhaps.
    fn ask_to_open(&mut self, source: SourceId) -> bool {
        if source.is_live() {
            let live = self.outside.live.as_ref();
            return live.is_some_and(|live| live.try_send(ToLive::Wanted(source)).is_ok());
        }
        self.tell_library();
        let shard = self.settings.number;
        self.to_library.is_empty()
            && self.outside.library.try_send(ToLibrary::Open { shard, source }).is_ok()
    }

    /// Reads the heads of released requests again, so many a turn.
    pub(super) fn release_waiting(&mut self) {
        for _ in 0..RELEASES_A_TURN_MAX {
            let Some(waiter) = self.releasing.pop_front() else { break };
            let Some(wait) = self.waits.get(waiter.exchange) else { continue };
            if wait.generation != waiter.generation {
                continue;
            }
            let owner = wait.owner;
            let deadline = self.connections[owner].deadline;
            let Some(Wait { started, head, .. }) = self.end_wait(owner) else { continue };
            let connection = &self.connections[owner];
            let peer = || connection.peer(&self.kernel);
            let (catalog, keys, rights, apps) =
                (&self.catalog, &self.keys, &self.rights, &self.apps);
            let (foreign, bans) = (&self.foreign, &self.bans);
            let (slates, now) = (&self.slates, self.now);
            let view =
                View { catalog, keys, rights, apps, foreign, bans, slates, peer: &peer, now };
            let both = (&mut self.known, &mut self.refusals);
            let wish = wish_again(&head, &view, both, &mut self.path);
            match wish {
                Wish::Response { plan, .. } => self.respond(owner, &plan),
                Wish::Wait { place, permit, .. } => {
                    self.wait(owner, place, permit, head);
                    // Its time runs from the first wait.
                    let connection = self.connections.get(owner);
                    if connection.is_some_and(|of| matches!(of.phase, Phase::Waiting(_))) {
                        self.set_deadline(owner, deadline);
                    }
                }
                // What it waited for is gone with its rendition, but the channel has a past.
                Wish::Ask(question) => self.ask(owner, question),
                Wish::Incomplete => unreachable!("the same head goes the same way"),
            }
            self.backdate(owner, started);
        }
        if !self.releasing.is_empty() {
            return;
        }
        // Everybody who waited was told; whoever comes now tries it once more.
        for slot in self.exhausted.drain(..) {
            self.catalog.retry_exhausted(slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_waits_is_small() {
        let size = size_of::<Option<Wait>>();
        assert!(size <= 72, "a request that waits takes {size} bytes beside its head");
    }
}
