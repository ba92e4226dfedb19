//! Answers that go on, and requests that wait, are looked at again: whether their viewers may still
//! have them.
//!
//! A request is looked at when it comes. A film, a stream or a held request may go on for hours, so
//! whatever needed a token is looked at again when keys or rights change, and every `REVIEW_MS`
//! since tokens and subscriptions end: so many a turn, that nobody waits for it.

use super::Shard;
use super::connection::Ending;
use super::exchange::{State, Work};
use super::kernel::Kernel;
use crate::config::{REVIEW_MS, REVIEWED_A_TURN_MAX};
use crate::messages::mail::Inbox;
use crate::request::authorise;
use crate::request::refusal::Refusal;
use crate::units::Ticks;
use crate::viewer::Permit;
use crate::viewer::permit::Ended;

/// How far a review has come.
#[derive(Debug)]
pub struct Review {
    /// The next place that is looked at, of exchanges and of requests that wait alike; none if none
    /// is under way.
    at: Option<u32>,
    /// Something changed since it began.
    again: bool,
    /// When the next one begins.
    due: Ticks,
    /// Whether the last one found anything that can end.
    has_any: bool,
}

impl Review {
    /// None is under way.
    pub fn new(now: Ticks) -> Self {
        Self { at: None, again: false, due: now, has_any: false }
    }

    /// Keys or rights have changed.
    pub fn begin(&mut self) {
        self.again = self.at.is_some();
        self.at = self.at.or(Some(0));
    }

    /// Something that can end has begun.
    pub fn note(&mut self, permit: &Permit) {
        self.has_any |= permit.can_end();
    }

    /// Whether one is.
    pub fn is_under_way(&self) -> bool {
        self.at.is_some()
    }

    /// Milliseconds until the next one, if there is anything to look at.
    pub fn wait_ms(&self, now: Ticks) -> Option<u64> {
        self.has_any.then(|| self.due.since(now))
    }
}

impl<K: Kernel, I: Inbox> Shard<K, I> {
    /// Looks at some of those who have begun, if that is due.
    pub(super) fn review(&mut self) {
        let Review { at, has_any, due, .. } = &mut self.review;
        if at.is_none() && *has_any && *due <= self.now.ticks {
            (*at, *has_any) = (Some(0), false);
        }
        let Some(from) = self.review.at else { return };
        let end = from.saturating_add(REVIEWED_A_TURN_MAX);
        for place in from..end {
            self.review_exchange(place);
            self.review_wait(place);
        }
        let places = self.exchanges.place_count().max(self.waits.place_count());
        if (end as usize) < places {
            self.review.at = Some(end);
            return;
        }
        self.review.at = self.review.again.then_some(0);
        self.review.again = false;
        self.review.due = self.now.ticks.plus(REVIEW_MS);
    }

    /// Why whoever has this must lose it now, if so.
    fn ends(&mut self, permit: Permit) -> Option<Refusal> {
        self.review.note(&permit);
        let verdict = permit.verdict(&self.keys, &self.rights, self.now.unix);
        let session = permit.session();
        let over = || session.and_then(|id| self.known.leases.ended(id, self.now.ticks));
        verdict.err().or_else(|| over().map(Ended::Session)).map(authorise::ended)
    }

    fn review_exchange(&mut self, place: u32) {
        let Some(exchange) = self.exchanges.get(place) else { return };
        let (Work::Object { plan, .. } | Work::Growing { plan, .. }) = &exchange.work else {
            return;
        };
        let (owner, permit, is_over) = (exchange.owner, plan.permit, exchange.state == State::Over);
        if is_over {
            return;
        }
        if let Some(refusal) = self.ends(permit) {
            self.counters.refused(refusal);
            // The client must not take what it has for all of it.
            self.close(owner, Ending::Reset);
        } else if let Some(session) = permit.session() {
            let taken = self.taken(owner, place);
            // A client that takes nothing any more watches nothing.
            let seen = self.exchanges[place].seen;
            let more = u64::try_from(taken - seen).unwrap_or(0);
            if more > 0 {
                self.exchanges[place].seen = taken;
                self.known.leases.go_on(session, self.now.ticks);
            }
            self.pace_on(owner, place, &permit, more);
        }
    }

    fn review_wait(&mut self, place: u32) {
        let Some(wait) = self.waits.get(place) else { return };
        let (owner, permit) = (wait.owner, wait.permit);
        if let Some(refusal) = self.ends(permit) {
            self.refuse_waiting(owner, refusal);
        } else if let Some(session) = permit.session() {
            self.known.leases.go_on(session, self.now.ticks);
        }
    }
}
