//! Who comes: whether a session may begin where it is, and what an operator's back end says of it.
//!
//! In this order: the machine has room, the subscriber's country, the back end, places. Whoever
//! watches already is asked about again by none of them but the last.

use std::sync::{Arc, MutexGuard, PoisonError};

use super::{Desk, Moment};
use crate::config::EGRESS_REFUSED_MS;
use crate::control::geo::{self, Geo};
use crate::control::hook::wire::Event;
use crate::control::hook::{Hook, Wanted};
use crate::messages::Update;
use crate::viewer::SessionId;
use crate::viewer::leases::{Over, Seen, Start, Verdict};
use crate::viewer::rights::Country;

use super::table::Owner;

/// Whom the desk asks besides, and where it looks addresses up.
pub struct Outside {
    /// An operator's back end.
    pub hook: Arc<Hook>,
    geo: std::sync::Mutex<Arc<Geo>>,
}

impl Outside {
    /// Nothing is known of addresses yet.
    #[must_use]
    pub fn new(hook: Arc<Hook>) -> Self {
        Self { hook, geo: std::sync::Mutex::default() }
    }

    /// What is known from now on of where addresses are.
    pub fn take(&self, geo: Arc<Geo>) {
        *self.lock() = geo;
    }

    /// Where addresses are.
    #[must_use]
    pub fn geo(&self) -> Arc<Geo> {
        Arc::clone(&self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Arc<Geo>> {
        self.geo.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Desk {
    /// A session wants to begin at a shard, which waits for what is said of it.
    pub(super) fn arrive(self: &Arc<Self>, shard: u16, start: Box<Start>, now: Moment) {
        let refuse = |(over, for_ms)| self.refuse(shard, &start, over, for_ms);
        if self.is_too_much(&start, now) {
            return refuse((Over::Full, EGRESS_REFUSED_MS));
        }
        if let Some(over) = self.abroad(&start) {
            return refuse((over, ABROAD_MS));
        }
        let hook = &self.outside.hook;
        if !hook.asks(Event::Session) || self.table().goes_on(&start, now) {
            return self.begin(shard, &start, now);
        }
        let wanted = self.wanted(&start);
        if let Some(known) = hook.known(&wanted) {
            return match known.over() {
                Some(over) => refuse(over),
                None => self.begin(shard, &start, now),
            };
        }
        let this = Arc::clone(self);
        // How many wait is bounded by the hook, which answers those beyond at once.
        tokio::task::spawn_local(async move {
            match this.outside.hook.ask(wanted).await.over() {
                Some((over, for_ms)) => this.refuse(shard, &start, over, for_ms),
                None => this.begin(shard, &start, this.now()),
            }
        });
    }

    /// A session has begun at a shard, which was not to ask: rights may have changed meanwhile.
    pub(super) fn come(&self, shard: u16, start: &Start, now: Moment) {
        match self.abroad(start) {
            Some(over) => self.refuse(shard, start, over, ABROAD_MS),
            None => self.begin(shard, start, now),
        }
    }

    fn wanted(&self, start: &Start) -> Wanted {
        let place = start.peer.map(|peer| self.outside.geo().place(peer));
        Wanted {
            event: Event::Session,
            subscriber: start.subscriber,
            token: start.token,
            content: Some(start.content.content().to_string()),
            address: start.peer,
            place: place.unwrap_or_default(),
            agent: start.agent.clone(),
        }
    }

    fn refuse(&self, shard: u16, start: &Start, over: Over, for_ms: u32) {
        let refused = (start.id, Verdict::Refused { over, for_ms });
        self.post.tell_one(shard, Update::Sessions(Arc::new([refused])));
    }

    /// Why a session may not begin where it is.
    fn abroad(&self, start: &Start) -> Option<Over> {
        let only = self.rights().country(start.subscriber?)?;
        self.outside.geo().hold(only, start.peer).err()
    }

    /// Ends a session that goes on where its subscriber may not watch any more: the country was
    /// said, or the file was brought, after it began.
    pub(super) fn expel(&self, geo: &Geo, seen: &Seen, now: Moment) -> Vec<(SessionId, Verdict)> {
        let mut table = self.table();
        let Some(session) = table.named(seen.id) else { return Vec::new() };
        let only = match session.owner {
            Owner::Subscriber(number) => self.rights().country(number),
            Owner::Device(_) => None,
        };
        let held = only.map_or(Ok(()), |only: Country| geo.hold(only, session.peer));
        match held {
            Ok(()) => Vec::new(),
            Err(over) => table.leave(seen.id, Verdict::Refused { over, for_ms: ABROAD_MS }, now),
        }
    }

    /// Where an address is, for lists.
    #[must_use]
    pub fn place(&self, address: Option<std::net::IpAddr>) -> geo::Place {
        address.map(|address| self.outside.geo().place(address)).unwrap_or_default()
    }
}

/// Milliseconds that a shard refuses somebody who is in another country before it asks again.
const ABROAD_MS: u32 = 5_000;
