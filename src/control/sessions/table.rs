//! The sessions of all shards: who watches what, and who may begin.
//!
//! Pure: what shards tell, the limits and the time are arguments, and what is to be said comes out.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::LazyLock;

use ahash::{AHashMap, RandomState};

use self::group::{Admission, Barred, Group};
use super::count;
use super::lookalikes::Lookalikes;
use super::pace::{self, Pace};
use super::quality::Quality;
use super::sharing::Sharing;
use crate::config::{
    CONTESTED_MS, KICKED_MS, LEASES_TOLD_MS, LEASES_TOLD_SELDOM, LOOKALIKES_REFUSED_MS,
    SESSION_REFUSED_MS, SESSIONS_COUNTED_MAX, SESSIONS_PAST_MAX, SESSIONS_REVIVED_MAX, SILENCE_MS,
};
use crate::units::{Ticks, UnixTime};
use crate::viewer::SessionId;
use crate::viewer::fetched::Fetched;
use crate::viewer::leases::{Over, Seen, Start, Verdict};
use crate::viewer::players::{Bounds, Report};
use crate::viewer::rights::Places;
use crate::viewer::session::{Watched, network};

/// Now, on both clocks: what counts goes by the one that never jumps.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// For all that is decided.
    pub ticks: Ticks,
    /// For people.
    pub unix: UnixTime,
}

/// Whose sessions are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// A subscriber's, whose number this is.
    Subscriber(NonZeroU32),
    /// Those of one device with a token that names nobody, of which there may be many: by a hash.
    Device(u64),
}

impl Owner {
    fn of(start: &Start) -> Self {
        static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        let device = (start.token, start.peer.map(network), &start.agent);
        start.subscriber.map_or_else(|| Self::Device(KEYS.hash_one(device)), Self::Subscriber)
    }
}

/// A player, wherever it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handset {
    /// The session of its token.
    pub token: u64,
    /// What it says of itself.
    pub agent: Box<[u8]>,
}

/// One session.
#[derive(Clone, Debug)]
pub struct Session {
    /// What shards call it: more than one name if a film lies in several folders.
    pub names: Vec<SessionId>,
    /// Whose it is.
    pub owner: Owner,
    /// With what it is watched.
    pub handset: Handset,
    /// In which network.
    pub network: Option<IpAddr>,
    /// From which address, when it began.
    pub peer: Option<IpAddr>,
    /// What is watched.
    pub content: Watched,
    /// When it began, or went on after a silence.
    pub began: Ticks,
    /// When it was seen last.
    pub seen: Ticks,
    /// When it began, for people.
    pub since: UnixTime,
    /// How long it may be silent, in milliseconds.
    pub length_ms: u32,
    /// Whether shards tell of it seldom: its owner could watch at one place more.
    pub is_roomy: bool,
    /// What its player said of itself.
    pub quality: Quality,
    /// How fast it is sent to, if anything bounds that.
    pub pace: Option<Box<Pace>>,
    /// What was fetched of something live.
    pub lookalikes: Option<Box<Lookalikes>>,
    /// Whether that is two devices, when it was looked at last.
    pub is_two: bool,
}

impl Session {
    fn new(start: &Start, now: Moment) -> Self {
        Self {
            names: vec![start.id],
            owner: Owner::of(start),
            handset: Handset { token: start.token, agent: start.agent.clone() },
            network: start.peer.map(network),
            peer: start.peer,
            content: start.content.clone(),
            began: now.ticks,
            seen: now.ticks,
            since: now.unix,
            length_ms: start.length_ms,
            is_roomy: false,
            quality: Quality::default(),
            pace: None,
            lookalikes: None,
            is_two: false,
        }
    }

    fn is_of_device(&self, other: &Self) -> bool {
        self.network == other.network && self.handset == other.handset
    }

    fn is_of(&self, other: &Self) -> bool {
        self.is_of_device(other) && self.content.content().is_of(other.content.content())
    }

    /// How long it is silent before it begins anew, as far as places are counted: players with long
    /// segments fetch seldom.
    fn silence_ms(&self) -> u64 {
        SILENCE_MS.max(u64::from(self.length_ms) * 2 / 3)
    }

    /// Whether it seems to have been left, and is not over yet.
    fn is_silent(&self, now: Ticks) -> bool {
        now.since(self.seen) >= u64::from(self.length_ms) * 2 / 5
    }

    /// Whether it has been silent for too long.
    pub fn is_over(&self, now: Ticks) -> bool {
        // It may have been used once more since shards told of it.
        let untold = if self.is_roomy { u64::from(LEASES_TOLD_SELDOM) } else { 1 };
        now.since(self.seen) >= u64::from(self.length_ms) + untold * LEASES_TOLD_MS
    }
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Nothing was fetched any more.
    Left,
    /// It was one too many.
    Limit,
    /// An operator has ended it.
    Kicked,
    /// It was where its subscriber may not watch.
    Abroad,
    /// The server has ended.
    Stopped,
}

/// A session that is over.
#[derive(Clone, Debug)]
pub struct Past {
    /// What it was.
    pub session: Session,
    /// When it was seen last.
    pub until: UnixTime,
    /// How it ended.
    pub end: End,
}

/// What is said to shards.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// To whoever asked.
    pub answer: Option<(SessionId, Verdict)>,
    /// To all of them.
    pub all: Vec<(SessionId, Verdict)>,
}

impl Said {
    /// Whoever asked goes on, unless it is among those that end.
    fn held_unless(asked: SessionId, all: Vec<(SessionId, Verdict)>) -> Self {
        let ends = |verdict| matches!(verdict, Verdict::Refused { .. });
        let ended = all.iter().find(|(id, verdict)| *id == asked && ends(*verdict));
        let verdict = ended.map_or(Verdict::Held, |(_, verdict)| *verdict);
        Self { answer: Some((asked, verdict)), all }
    }
}

/// All sessions.
#[derive(Debug, Default)]
pub struct Table {
    owners: AHashMap<Owner, Group>,
    /// Whose session each is, and its place among theirs.
    names: AHashMap<SessionId, (Owner, usize)>,
    /// Whose sessions are looked at next for those that are over.
    due: VecDeque<(Ticks, Owner)>,
    past: VecDeque<Past>,
    /// How many there ever were, and how many of them are written down.
    past_count: u64,
    past_written: u64,
    /// What was seen since somebody asked.
    sharing: Vec<Sharing>,
    /// Until then there may be some that are not listed, and shards that tell of them.
    uncounted_until: Ticks,
}

const REFUSED: Verdict = Verdict::Refused { over: Over::Limit, for_ms: SESSION_REFUSED_MS };

impl Table {
    /// A session begins, or goes on at another shard.
    pub fn start(&mut self, start: &Start, places: Option<Places>, now: Moment) -> Said {
        let owner = Owner::of(start);
        let is_new = !self.owners.contains_key(&owner);
        if is_new {
            self.due.push_back((now.ticks.plus(SILENCE_MS), owner));
        }
        if places.is_some() {
            self.forget(owner, now);
        }
        let group = self.owners.entry(owner).or_default();
        let session = Session::new(start, now);
        let answer = |verdict| Some((start.id, verdict));
        let bars = |over| {
            let mut barred = group.barred.iter();
            barred.position(|barred| barred.over == over && barred.bars(&session))
        };
        let barred = bars(Over::Limit);
        if let Some(kicked) = bars(Over::Kicked) {
            let until = group.barred[kicked].until;
            let for_ms = u32::try_from(until.since(now.ticks)).unwrap_or(u32::MAX);
            let verdict = Verdict::Refused { over: Over::Kicked, for_ms };
            return Said { answer: answer(verdict), all: Vec::new() };
        }
        let same = group.sessions.iter().position(|of| of.is_of(&session));
        let has_room =
            |of: &Session| of.names.contains(&start.id) || of.names.len() < SESSIONS_COUNTED_MAX;
        if let Some(place) = same.filter(|place| has_room(&group.sessions[*place])) {
            let same = &mut group.sessions[place];
            if !same.names.contains(&start.id) {
                same.names.push(start.id);
                self.names.insert(start.id, (owner, place));
            }
            // The shard that asks does not know yet that there is room.
            same.is_roomy = false;
            let seen = Seen { id: start.id, length_ms: start.length_ms, at: now.ticks };
            let all = self.see(seen, |_| places, now);
            return Said::held_unless(start.id, all);
        }
        match group.admit(session, barred, places, now.ticks) {
            Admission::Counted => {}
            Admission::Uncounted => {
                self.uncounted_until = now.ticks.plus(CONTESTED_MS);
                return Said { answer: answer(Verdict::Held), all: Vec::new() };
            }
            Admission::Refused => return Said { answer: answer(REFUSED), all: Vec::new() },
        }
        let place = group.sessions.len() - 1;
        self.names.insert(start.id, (owner, place));
        let mut all = places.map(|places| self.enforce(owner, places, now)).unwrap_or_default();
        let group = self.owners.get_mut(&owner);
        all.extend(group.map(|group| group.crowd(place, places)).unwrap_or_default());
        Said::held_unless(start.id, all)
    }

    /// A session goes on. One that was over begins again: its answer was held up, perhaps.
    pub fn see(
        &mut self,
        seen: Seen,
        places: impl Fn(Owner) -> Option<Places>,
        now: Moment,
    ) -> Vec<(SessionId, Verdict)> {
        let Some(&(owner, place)) = self.names.get(&seen.id) else {
            return self.revive(seen, places, now);
        };
        let Some(group) = self.owners.get_mut(&owner) else { return Vec::new() };
        let is_alone = group.sessions.len() == 1;
        let Some(session) = group.sessions.get_mut(place) else { return Vec::new() };
        if !is_alone && now.ticks.since(session.seen) >= session.silence_ms() {
            session.began = now.ticks;
        }
        session.seen = session.seen.max(now.ticks);
        session.length_ms = session.length_ms.max(seen.length_ms);
        let places = places(owner);
        let mut said = group.crowd(place, places);
        if let Some(places) = places
            && group.count() > places.max.get() as usize
        {
            said.extend(self.enforce(owner, places, now));
        }
        said
    }

    /// A session has had all of a segment of something live: whether its devices are two now.
    pub fn fetch(
        &mut self,
        fetched: Fetched,
        places: impl Fn(Owner) -> Option<Places>,
        now: Moment,
    ) -> Vec<(SessionId, Verdict)> {
        let Some(&(owner, place)) = self.names.get(&fetched.id) else { return Vec::new() };
        let Some(places) = places(owner) else { return Vec::new() };
        let Some(group) = self.owners.get_mut(&owner) else { return Vec::new() };
        let Some(session) = group.sessions.get_mut(place) else { return Vec::new() };
        let lookalikes = session.lookalikes.get_or_insert_default();
        lookalikes.fetch(fetched.segment, session.length_ms, now.ticks);
        let was_two = std::mem::replace(&mut session.is_two, lookalikes.are_two(now.ticks));
        if was_two == session.is_two {
            return Vec::new();
        }
        let mut said = group.crowd(place, Some(places));
        if group.count() > places.max.get() as usize {
            said.extend(self.enforce(owner, places, now));
        }
        said
    }

    fn revive(
        &mut self,
        seen: Seen,
        places: impl Fn(Owner) -> Option<Places>,
        now: Moment,
    ) -> Vec<(SessionId, Verdict)> {
        let is_it = |past: &&Past| past.session.names.contains(&seen.id);
        if now.ticks < self.uncounted_until {
            return Vec::new();
        }
        let newest = self.past.iter().rev().take(SESSIONS_REVIVED_MAX);
        let Some(past) = newest.into_iter().find(is_it) else {
            // Whoever tells of it shall ask once more.
            return vec![(seen.id, Verdict::Unknown)];
        };
        if past.end != End::Left {
            // It was told of before whoever used it heard that it is over.
            return Vec::new();
        }
        let session = &past.session;
        let places = places(session.owner);
        let start = Start {
            id: seen.id,
            subscriber: match session.owner {
                Owner::Subscriber(number) => Some(number),
                Owner::Device(_) => None,
            },
            token: session.handset.token,
            peer: session.peer,
            agent: session.handset.agent.clone(),
            content: session.content.clone(),
            length_ms: seen.length_ms,
        };
        let Said { answer, mut all } = self.start(&start, places, now);
        all.extend(answer.filter(|(_, verdict)| *verdict != Verdict::Held));
        all
    }

    /// Ends what is one too many.
    fn enforce(&mut self, owner: Owner, places: Places, now: Moment) -> Vec<(SessionId, Verdict)> {
        let max = places.max.get() as usize;
        let mut said = Vec::new();
        if self.owners.get(&owner).is_some_and(|of| of.count() > max) {
            self.forget(owner, now);
        }
        while let Some(group) = self.owners.get_mut(&owner).filter(|of| of.count() > max) {
            let counted = count::counted(&group.sessions);
            if counted.len() <= max {
                break;
            }
            let began = |place: &&usize| (group.sessions[**place].began, **place);
            let victim = if places.ends_oldest {
                counted.iter().min_by_key(began)
            } else {
                counted.iter().max_by_key(began)
            };
            let Some(&victim) = victim else { break };
            let Some(session) = self.taken(owner, victim) else { break };
            let Some(group) = self.owners.get_mut(&owner) else { break };
            let is_for_content = group.sessions.iter().any(|of| of.is_of_device(&session));
            let elsewhere = group.sessions.iter().find(|of| of.handset == session.handset);
            let is_elsewhere = elsewhere.is_some();
            let (device, from) = (session.handset.token, session.peer);
            if let Some(other) = elsewhere.filter(|_| !is_for_content) {
                self.sharing.push(Sharing { owner, device, from, elsewhere: other.peer });
            }
            let verdict = match session.is_two {
                true => Verdict::Refused { over: Over::Limit, for_ms: LOOKALIKES_REFUSED_MS },
                false => REFUSED,
            };
            if session.is_two {
                // At the same address, as far as anybody can see.
                self.sharing.push(Sharing { owner, device, from, elsewhere: from });
            }
            said.extend(session.names.iter().map(|name| (*name, verdict)));
            let (over, until) = (Over::Limit, now.ticks.plus(CONTESTED_MS));
            // A player that tries again must not end whoever ended it.
            if is_for_content || is_elsewhere || places.ends_oldest {
                let barred = Barred { session: session.clone(), is_for_content, over, until };
                group.bar(barred);
            }
            self.end(session, End::Limit, now);
        }
        said
    }

    /// An operator ends a session: the same content can't be watched there for a while.
    pub fn kick(&mut self, id: SessionId, now: Moment) -> Option<Vec<(SessionId, Verdict)>> {
        let &(owner, place) = self.names.get(&id)?;
        let session = self.taken(owner, place)?;
        let verdict = Verdict::Refused { over: Over::Kicked, for_ms: KICKED_MS };
        let said = session.names.iter().map(|name| (*name, verdict)).collect();
        let until = now.ticks.plus(u64::from(KICKED_MS));
        let (over, is_for_content) = (Over::Kicked, true);
        let barred = Barred { session: session.clone(), is_for_content, over, until };
        self.owners.get_mut(&owner)?.bar(barred);
        self.end(session, End::Kicked, now);
        Some(said)
    }

    /// A session ends, as nothing may be watched where it is.
    pub fn leave(
        &mut self,
        id: SessionId,
        verdict: Verdict,
        now: Moment,
    ) -> Vec<(SessionId, Verdict)> {
        let Some(&(owner, place)) = self.names.get(&id) else { return Vec::new() };
        let Some(session) = self.taken(owner, place) else { return Vec::new() };
        let said = session.names.iter().map(|name| (*name, verdict)).collect();
        self.end(session, End::Abroad, now);
        said
    }

    /// Ends what has been silent for too long, of everybody whose turn it is.
    pub fn tick(&mut self, now: Moment) {
        while let Some(&(due, owner)) = self.due.front()
            && due <= now.ticks
        {
            self.due.pop_front();
            self.forget(owner, now);
            let Some(group) = self.owners.get(&owner) else { continue };
            if group.sessions.is_empty() && group.barred.is_empty() {
                self.owners.remove(&owner);
            } else {
                self.due.push_back((now.ticks.plus(SILENCE_MS), owner));
            }
        }
    }

    /// A shard tells of a session's player; what is to be said of its rate comes out.
    pub fn report(
        &mut self,
        shard: u16,
        report: &Report,
        bounds: impl Fn(Owner) -> Bounds,
        now: Ticks,
    ) -> Vec<pace::Told> {
        let Some(&(owner, place)) = self.names.get(&report.id) else { return Vec::new() };
        let group = self.owners.get_mut(&owner);
        let Some(session) = group.and_then(|of| of.sessions.get_mut(place)) else {
            return Vec::new();
        };
        session.quality.add(&report.heard);
        let bounds = bounds(owner);
        if !bounds.is_some() {
            session.pace = None;
            return Vec::new();
        }
        let pace = session.pace.get_or_insert_with(|| Box::new(Pace::new(now)));
        pace.hear(shard, report, bounds, now)
    }

    /// Whether this is nobody's who watches already, be it something else.
    #[must_use]
    pub fn is_newcomer(&self, start: &Start, now: Moment) -> bool {
        let session = Session::new(start, now);
        let goes_on = |of: &Session| of.is_of_device(&session) && !of.is_over(now.ticks);
        !self.of(session.owner).iter().any(goes_on)
    }

    /// Whether this is a session that is there already, maybe under another name.
    #[must_use]
    pub fn goes_on(&self, start: &Start, now: Moment) -> bool {
        let session = Session::new(start, now);
        let goes_on = |of: &Session| of.is_of(&session) && !of.is_over(now.ticks);
        self.of(session.owner).iter().any(goes_on)
    }

    /// All of them, in no order.
    pub fn all(&self) -> impl Iterator<Item = &Session> {
        self.owners.values().flat_map(|group| &group.sessions)
    }

    /// The one that goes by this id.
    #[must_use]
    pub fn named(&self, id: SessionId) -> Option<&Session> {
        let (owner, _) = self.names.get(&id)?;
        self.of(*owner).iter().find(|session| session.names.contains(&id))
    }

    /// Those of one.
    #[must_use]
    pub fn of(&self, owner: Owner) -> &[Session] {
        self.owners.get(&owner).map_or(&[], |group| &group.sessions)
    }

    /// Those that are over, the newest last.
    #[cfg(test)]
    pub fn past(&self) -> impl DoubleEndedIterator<Item = &Past> {
        self.past.iter()
    }

    /// Those that are over and not written down yet, the oldest first, so many at most; and what
    /// `written` is to be told when they are.
    pub fn unwritten(&self, most: usize) -> (impl Iterator<Item = &Past>, u64) {
        let oldest = self.past_count - self.past.len() as u64;
        let from = self.past_written.max(oldest);
        let left = usize::try_from(self.past_count - from).unwrap_or(usize::MAX);
        let count = left.min(most);
        (self.past.range(self.past.len() - left..).take(count), from + count as u64)
    }

    /// They are written down.
    pub fn written(&mut self, upto: u64) {
        self.past_written = self.past_written.max(upto);
    }

    /// What was seen of shared tokens since this was asked.
    pub fn take_sharing(&mut self) -> Vec<Sharing> {
        std::mem::take(&mut self.sharing)
    }

    /// How many names are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// How many there are now.
    #[must_use]
    pub fn count(&self, now: Moment) -> usize {
        self.all().filter(|session| !session.is_over(now.ticks)).count()
    }

    fn forget(&mut self, owner: Owner, now: Moment) {
        let Some(group) = self.owners.get_mut(&owner) else { return };
        group.barred.retain(|barred| barred.until > now.ticks);
        let mut place = 0;
        while let Some(session) = self.owners.get(&owner).and_then(|of| of.sessions.get(place)) {
            if session.is_over(now.ticks) {
                let Some(session) = self.taken(owner, place) else { return };
                self.end(session, End::Left, now);
            } else {
                place += 1;
            }
        }
    }

    /// Takes a session out of those of its owner; another one gets its place.
    fn taken(&mut self, owner: Owner, place: usize) -> Option<Session> {
        let group = self.owners.get_mut(&owner)?;
        if place >= group.sessions.len() {
            return None;
        }
        let session = group.sessions.swap_remove(place);
        for name in group.sessions.get(place).map_or(&[][..], |moved| &moved.names) {
            self.names.insert(*name, (owner, place));
        }
        for name in &session.names {
            self.names.remove(name);
        }
        Some(session)
    }

    fn end(&mut self, session: Session, end: End, now: Moment) {
        let silent = now.ticks.since(session.seen) / 1000;
        let until = UnixTime(now.unix.0.saturating_sub(silent));
        if self.past.len() == SESSIONS_PAST_MAX {
            self.past.pop_front();
        }
        self.past.push_back(Past { session, until, end });
        self.past_count += 1;
    }
}

mod group;

#[cfg(test)]
mod tests;
