//! What one shard knows of sessions: which of them hold a lease, which are refused, and which
//! control was asked about.
//!
//! Control counts sessions, for all shards; a shard only remembers what it was told. The first
//! request of a session waits until control has spoken, and if it does not, for `SESSION_ASK_MS`:
//! who has paid is let in then, and counted when control speaks again. Where an operator's back end
//! is asked, it waits for that as well, and who is not heard of may be refused. Whatever holds a
//! lease is served without a question as long as it goes on, and control is told of that once a
//! second; more seldom where its subscriber could watch at one place more, so that nothing hangs on
//! it.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::num::NonZeroU32;

use ahash::AHashMap;

use super::fetched::{Fetched, Segment};
use super::players::Report;
use super::session::{SessionId, Viewing, Watched};
use crate::config::{
    FETCHED_TOLD_MAX, LEASE_MIN_MS, LEASES_KEPT_MIN, LEASES_MAX, LEASES_TOLD_MS,
    LEASES_TOLD_SELDOM, SESSION_AGENT_SIZE_MAX, SESSION_ASK_MS, SESSION_NEWS_KEPT_MAX,
    SESSION_REFUSED_MS, TIMER_TICK_MS,
};
use crate::units::Ticks;

/// Why a session may not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Over {
    /// Its subscriber watches at as many places as the plan allows.
    Limit,
    /// An operator has ended it.
    Kicked,
    /// The machine sends as much as it may, and this one would be new.
    Full,
    /// Its subscriber may watch in another country.
    Abroad,
    /// Its subscriber may watch in one country, and nobody knows where this is.
    Somewhere,
    /// The operator's back end says no.
    Hook,
    /// The operator's back end, or control, says nothing.
    Unheard,
}

/// What control says of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may go on.
    Held,
    /// Control does not know it: it shall begin anew.
    Unknown,
    /// There is room beside it: control need be told of it seldom only.
    Roomy,
    /// There is none any more: control is told of it as often as of any, and when it was used last.
    Crowded,
    /// It may not, for so many milliseconds; then control is asked again.
    Refused {
        /// Why.
        over: Over,
        /// How long.
        for_ms: u32,
    },
}

/// Which sessions control is asked about before they begin, and what becomes of those of which it
/// says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asking {
    /// Of every one, also where nothing limits it.
    pub of_all: bool,
    /// Milliseconds that they wait.
    pub within_ms: u64,
    /// Whether they are refused then, and not let in.
    pub refuses: bool,
    /// Whether control is asked of apps that sign in, also where their password is right.
    pub of_logins: bool,
}

impl Default for Asking {
    fn default() -> Self {
        Self { of_all: false, within_ms: SESSION_ASK_MS, refuses: false, of_logins: false }
    }
}

/// A session that began at a shard, or went on after its lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// Its name.
    pub id: SessionId,
    /// The subscriber; none = nobody of the registry.
    pub subscriber: Option<NonZeroU32>,
    /// The device's session, as its token says.
    pub token: u64,
    /// Where it is.
    pub peer: Option<IpAddr>,
    /// What its player says of itself: the beginning.
    pub agent: Box<[u8]>,
    /// What is watched.
    pub content: Watched,
    /// How long it may be silent, in milliseconds.
    pub length_ms: u32,
}

/// A session that goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Which.
    pub id: SessionId,
    /// How long it may be silent, in milliseconds.
    pub length_ms: u32,
    /// When it was used, by the shard's clock.
    pub at: Ticks,
}

/// What a shard tells of sessions.
#[derive(Debug, PartialEq, Eq)]
pub enum News {
    /// One begins, and waits to be let in.
    Asked(Box<Start>),
    /// One has begun that nothing limits.
    Begun(Box<Start>),
    /// These go on, and it is so late by the shard's clock.
    Seen(Vec<Seen>, Ticks),
    /// These have had all of a segment.
    Fetched(Vec<Fetched>),
    /// What players say, and what their clients take.
    Players(Vec<Report>),
    /// So many bytes were sent in all.
    Sent(u64),
}

/// Where a request's session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is let in.
    Held,
    /// Control was asked.
    Asked,
    /// It is not.
    Refused(Over),
    /// There is no room to remember it.
    Full,
}

#[derive(Clone, Copy, Debug)]
struct Lease {
    standing: Standing,
    /// Of one that is held: when it ends unless it is used again. Of one that is refused: when
    /// control is asked again.
    until: Ticks,
    length_ms: u32,
    /// The second in which control was told last that it goes on.
    told: u32,
    /// Whether nothing hangs on when that was.
    is_roomy: bool,
}

impl Lease {
    /// When it was used last, if it is held.
    fn used(&self) -> Ticks {
        Ticks(self.until.0.saturating_sub(u64::from(self.length_ms)))
    }
}

/// The sessions of one shard.
#[derive(Debug)]
pub struct Leases {
    known: AHashMap<SessionId, Lease>,
    /// What was asked, and when it is let in without an answer.
    asked: VecDeque<(Ticks, SessionId)>,
    /// What control is to be told.
    news: VecDeque<News>,
    seen: Vec<Seen>,
    fetched: Vec<Fetched>,
    tell_at: Ticks,
    /// How many are known when those that are long over are forgotten.
    forget_at: usize,
    /// When they were last.
    forgot_at: Ticks,
    /// Whether the machine sends as much as it may.
    is_full: bool,
    asking: Asking,
}

impl Default for Leases {
    fn default() -> Self {
        Self {
            known: AHashMap::new(),
            asked: VecDeque::new(),
            news: VecDeque::new(),
            seen: Vec::new(),
            fetched: Vec::new(),
            tell_at: Ticks(0),
            forget_at: LEASES_KEPT_MIN,
            forgot_at: Ticks(0),
            is_full: false,
            asking: Asking::default(),
        }
    }
}

impl Leases {
    /// Whether the machine sends as much as it may: then control is asked of every session that is
    /// not known here. It may go on elsewhere.
    pub fn fill(&mut self, is_full: bool) {
        self.is_full = is_full;
    }

    /// Which sessions control is asked about from now on.
    pub fn ask_as(&mut self, asking: Asking) {
        self.asking = asking;
    }

    /// Whether control is asked of apps that sign in.
    #[must_use]
    pub fn asks_logins(&self) -> bool {
        self.asking.of_logins
    }

    /// Whether a session goes on.
    #[must_use]
    pub fn goes_on(&self, id: SessionId, now: Ticks) -> bool {
        let lease = self.known.get(&id);
        lease.is_some_and(|lease| lease.standing == Standing::Held && now < lease.until)
    }

    /// Where the session of a request stands. One that is new, or has been silent for longer than
    /// its lease, begins; if anything `limits` it, control is asked. `hold_ms` says how long the
    /// segments are that it fetches, three of them, if that is known.
    pub fn ask(
        &mut self,
        viewing: &Viewing<'_>,
        limits: bool,
        now: Ticks,
        hold_ms: impl FnOnce() -> Option<u64>,
    ) -> (SessionId, Standing) {
        let id = viewing.id();
        let limits = limits || self.is_full || self.asking.of_all;
        if let Some(lease) = self.known.get_mut(&id) {
            match lease.standing {
                Standing::Asked => return (id, Standing::Asked),
                Standing::Held if now < lease.until => {
                    Self::renew(lease, now, (id, hold_ms), &mut self.seen);
                    return (id, Standing::Held);
                }
                Standing::Refused(over) if now < lease.until => {
                    return (id, Standing::Refused(over));
                }
                Standing::Held | Standing::Refused(_) | Standing::Full => {}
            }
        }
        if !self.has_room(now) {
            return (id, if limits { Standing::Full } else { Standing::Held });
        }
        let length_ms = length_ms(hold_ms());
        let standing = if limits { Standing::Asked } else { Standing::Held };
        let until = now.plus(u64::from(length_ms));
        self.put(id, Lease { standing, until, length_ms, told: second(now), is_roomy: false }, now);
        let start = Box::new(start(id, viewing, length_ms));
        if limits {
            self.asked.push_back((now.plus(self.asking.within_ms), id));
            self.news.push_back(News::Asked(start));
        } else {
            self.news.push_back(News::Begun(start));
        }
        (id, standing)
    }

    /// An answer of a session that began some time ago goes on.
    pub fn go_on(&mut self, id: SessionId, now: Ticks) {
        if !self.has_room(now) {
            return;
        }
        let lease = self.known.entry(id).or_insert(Lease {
            standing: Standing::Held,
            until: now,
            length_ms: length_ms(None),
            told: NEVER,
            is_roomy: false,
        });
        if lease.standing == Standing::Held {
            Self::renew(lease, now, (id, || None), &mut self.seen);
        }
    }

    /// A session has had all of a segment. Those that were refused meanwhile are not told of.
    pub fn fetched(&mut self, id: SessionId, segment: Segment) {
        let is_held = self.known.get(&id).is_some_and(|of| of.standing == Standing::Held);
        if is_held && self.fetched.len() < FETCHED_TOLD_MAX {
            self.fetched.push(Fetched { id, segment });
        }
    }

    fn renew(
        lease: &mut Lease,
        now: Ticks,
        (id, hold_ms): (SessionId, impl FnOnce() -> Option<u64>),
        seen: &mut Vec<Seen>,
    ) {
        let every = if lease.is_roomy { LEASES_TOLD_SELDOM } else { 1 };
        if second(now).wrapping_sub(lease.told) >= every {
            lease.told = second(now);
            lease.length_ms = lease.length_ms.max(length_ms(hold_ms()));
            seen.push(Seen { id, length_ms: lease.length_ms, at: now });
        }
        lease.until = now.plus(u64::from(lease.length_ms));
    }

    /// Takes what control says; true if requests waited for it.
    pub fn hear(&mut self, id: SessionId, verdict: Verdict, now: Ticks) -> bool {
        let known = self.known.get(&id);
        let was_asked = known.is_some_and(|lease| lease.standing == Standing::Asked);
        let length_ms = known.map_or(length_ms(None), |lease| lease.length_ms);
        let (standing, for_ms) = match verdict {
            // What was asked meanwhile is answered in its turn.
            Verdict::Unknown if was_asked => return false,
            Verdict::Unknown => {
                self.known.remove(&id);
                return false;
            }
            Verdict::Held => (Standing::Held, length_ms),
            Verdict::Refused { over, for_ms } => (Standing::Refused(over), for_ms),
            Verdict::Roomy | Verdict::Crowded => {
                self.tell_of(id, verdict == Verdict::Roomy);
                return false;
            }
        };
        let until = now.plus(u64::from(for_ms));
        self.put(id, Lease { standing, until, length_ms, told: NEVER, is_roomy: false }, now);
        was_asked
    }

    /// Control is told of a session seldom, if there is room beside it, or often.
    fn tell_of(&mut self, id: SessionId, is_roomy: bool) {
        let Some(lease) = self.known.get_mut(&id) else { return };
        if lease.is_roomy && !is_roomy && lease.standing == Standing::Held {
            self.seen.push(Seen { id, length_ms: lease.length_ms, at: lease.used() });
        }
        lease.is_roomy = is_roomy;
    }

    /// The next session that control did not speak of in time: it is let in, its requests go on; or
    /// they are refused, and ask again soon.
    pub fn overdue(&mut self, now: Ticks) -> Option<SessionId> {
        while let Some(&(due, id)) = self.asked.front() {
            let lease = self.known.get_mut(&id);
            let lease = lease.filter(|lease| lease.standing == Standing::Asked);
            if lease.is_some() && now < due {
                return None;
            }
            self.asked.pop_front();
            if let Some(lease) = lease {
                let (standing, for_ms) = match self.asking.refuses {
                    true => (Standing::Refused(Over::Unheard), SESSION_REFUSED_MS),
                    false => (Standing::Held, lease.length_ms),
                };
                lease.standing = standing;
                lease.until = now.plus(u64::from(for_ms));
                return Some(id);
            }
        }
        None
    }

    /// Why an answer of this session must end, if so.
    #[must_use]
    pub fn ended(&self, id: SessionId, now: Ticks) -> Option<Over> {
        let lease = self.known.get(&id)?;
        match lease.standing {
            Standing::Refused(over) if now < lease.until => Some(over),
            _ => None,
        }
    }

    /// Tells control what it is to know; what `tell` gives back is told another time.
    pub fn tell(&mut self, now: Ticks, mut tell: impl FnMut(News) -> Result<(), News>) {
        let is_regular = |news: &News| matches!(news, News::Seen(..) | News::Fetched(_));
        let is_told = !self.news.iter().any(is_regular);
        if now >= self.tell_at && self.has_regular() && is_told {
            self.tell_at = now.plus(LEASES_TOLD_MS);
            if !self.seen.is_empty() {
                self.news.push_back(News::Seen(taken(&mut self.seen), now));
            }
            if !self.fetched.is_empty() {
                self.news.push_back(News::Fetched(taken(&mut self.fetched)));
            }
        }
        while let Some(news) = self.news.pop_front() {
            if let Err(news) = tell(news) {
                self.news.push_front(news);
                return;
            }
        }
    }

    /// Milliseconds until there is something to do.
    #[must_use]
    pub fn wait_ms(&self, now: Ticks) -> Option<u64> {
        let due = self.asked.front().map(|(due, _)| due.since(now));
        let tell = self.has_regular().then(|| self.tell_at.since(now));
        // There was no room for it.
        let again = (!self.news.is_empty()).then_some(TIMER_TICK_MS);
        due.into_iter().chain(tell).chain(again).min()
    }

    /// Whether there is something to tell in its time.
    fn has_regular(&self) -> bool {
        !self.seen.is_empty() || !self.fetched.is_empty()
    }

    fn put(&mut self, id: SessionId, lease: Lease, now: Ticks) {
        self.known.insert(id, lease);
        if self.known.len() >= self.forget_at {
            self.forget(now);
        }
    }

    fn forget(&mut self, now: Ticks) {
        self.known.retain(|_, of| of.standing == Standing::Asked || of.until > now);
        self.forget_at = LEASES_KEPT_MIN.max(2 * self.known.len()).min(LEASES_MAX);
        self.forgot_at = now;
    }

    /// Whether one more can be remembered. To look for those that are over takes a while.
    fn has_room(&mut self, now: Ticks) -> bool {
        if self.known.len() >= LEASES_MAX && now.since(self.forgot_at) >= LEASES_TOLD_MS {
            self.forget(now);
        }
        self.known.len() < LEASES_MAX && self.news.len() < SESSION_NEWS_KEPT_MAX
    }
}

/// What is told, with room for as many again: no request has to make some.
fn taken<T>(of: &mut Vec<T>) -> Vec<T> {
    let room = Vec::with_capacity(of.len());
    std::mem::replace(of, room)
}

/// Control was not told of it, however late it is.
const NEVER: u32 = u32::MAX / 2;

/// How many of the times at which control is told have passed.
fn second(now: Ticks) -> u32 {
    (now.0 / LEASES_TOLD_MS) as u32
}

fn length_ms(hold_ms: Option<u64>) -> u32 {
    u32::try_from(hold_ms.unwrap_or(0).max(LEASE_MIN_MS)).unwrap_or(u32::MAX)
}

fn start(id: SessionId, viewing: &Viewing<'_>, length_ms: u32) -> Start {
    let agent = &viewing.agent[..viewing.agent.len().min(SESSION_AGENT_SIZE_MAX)];
    Start {
        id,
        subscriber: viewing.subscriber,
        token: viewing.token,
        peer: viewing.peer,
        agent: agent.into(),
        content: viewing.content.into(),
        length_ms,
    }
}

#[cfg(test)]
mod tests;
