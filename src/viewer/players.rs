//! What a shard knows of the players of its sessions: what they said of themselves, how fast they
//! may be sent to here, and how much they took.
//!
//! Control adds up what all shards tell, and says how much of a session's rate falls to each. Until
//! it has spoken a shard goes by what it knows itself, and tells at once of what it begins with; it
//! goes by what control said last as long as that is silent.

use std::num::{NonZeroU32, NonZeroU64};

use ahash::AHashMap;

use super::SessionId;
use super::cmcd::{ObjectKind, Told};
use crate::config::{
    FAST_START_MS, FAST_START_OVER_MS, LEASES_TOLD_MS, PACE_MADE_UP_PART, PACE_MIN_KBPS,
    PLAYER_KEPT_MS, PLAYERS_KEPT_MIN, PLAYERS_MAX, REALTIME_MAX, TIMER_TICK_MS,
};
use crate::units::Ticks;

/// What bounds a session's rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// The plan's cap, in kilobits a second.
    pub cap_kbps: Option<NonZeroU32>,
    /// Whether sessions are held to what players ask for, and to real time.
    pub is_paced: bool,
}

impl Bounds {
    /// Whether there is anything.
    #[must_use]
    pub fn is_some(&self) -> bool {
        self.is_paced || self.cap_kbps.is_some()
    }
}

/// A shard's part of a session's rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// In kilobits a second, for all connections of the session here; none = no bound.
    pub kbps: Option<NonZeroU32>,
    /// Whether there is some of its fast start left.
    pub may_hurry: bool,
}

/// What a rendition takes of which a session fetches something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Played {
    /// In kilobits a second.
    pub kbps: NonZeroU32,
    /// Whether it is sound alone.
    pub is_sound: bool,
}

/// The bit rates of what is played, in kilobits a second; 0 = nobody knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Of the picture, or of both together.
    pub picture_kbps: u32,
    /// Of the sound, where it is fetched by itself.
    pub sound_kbps: u32,
}

impl Rates {
    /// Both, as far as they are known.
    #[must_use]
    pub fn media_kbps(self) -> Option<u32> {
        Some(self.picture_kbps.saturating_add(self.sound_kbps)).filter(|kbps| *kbps > 0)
    }

    /// The same with what is known better.
    #[must_use]
    pub fn with(self, new: Self) -> Self {
        let known = |new: u32, old: u32| if new > 0 { new } else { old };
        Self {
            picture_kbps: known(new.picture_kbps, self.picture_kbps),
            sound_kbps: known(new.sound_kbps, self.sound_kbps),
        }
    }

    /// What players say, as far as it is no more than what they fetch takes.
    fn within(self, fetched: Self) -> Self {
        let least = |told: u32, fetched: u32| match (told, fetched) {
            (0, known) | (known, 0) => known,
            (told, fetched) => told.min(fetched),
        };
        Self {
            picture_kbps: least(self.picture_kbps, fetched.picture_kbps),
            sound_kbps: least(self.sound_kbps, fetched.sound_kbps),
        }
    }
}

/// What a player said in some requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// Requests that said something.
    pub requests: u32,
    /// Requests that said that it had stalled.
    pub stalls: u32,
    /// Requests that said that it starts.
    pub starts: u32,
    /// The least that it had in hand, in milliseconds.
    pub buffer_ms_min: Option<u32>,
    /// What it measured last, in kilobits a second.
    pub throughput_kbps: Option<u32>,
    /// What it fetched last, playlists aside.
    pub kind: Option<ObjectKind>,
    /// The bit rate of all that it plays, in kilobits a second, as it says.
    pub media_kbps: Option<u32>,
    /// Stands for what it calls its session.
    pub player: Option<NonZeroU64>,
    /// Whether its last request was in a hurry, or it says nothing of that, and may be.
    pub hurries: bool,
}

/// What a shard tells of a session's player.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// Which session.
    pub id: SessionId,
    /// What it said since this was told last.
    pub heard: Heard,
    /// Connections that are being sent to.
    pub busy: u32,
    /// Bytes that clients took since this was told last.
    pub taken: u64,
    /// What is fetched here, as far as the player or the server knows.
    pub rates: Rates,
}

/// What all players said to a shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests, by what was asked for, in the order of `ObjectKind::ALL`.
    pub requests: [u64; ObjectKind::ALL.len()],
    /// Requests that said that the player had stalled.
    pub stalls: u64,
    /// Requests that said that it starts.
    pub starts: u64,
    /// Parts that were not understood.
    pub malformed: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Player {
    heard: Heard,
    /// Whether it tells anything of itself.
    tells: bool,
    /// What it said last of bit rates; the same as far as it counts, which is from when something
    /// is sent to it: by then it is known what its rendition takes; and what that is.
    claimed: Rates,
    told: Rates,
    fetched: Rates,
    /// The most that it wants.
    wanted_kbps: Option<NonZeroU32>,
    /// What control said last.
    share: Option<Share>,
    busy: u32,
    /// Whether any of its connections was sent to.
    has_begun: bool,
    taken: u64,
    /// Whether it stands in the list of those that are told of.
    is_news: bool,
    used: Ticks,
}

/// The players of one shard.
#[derive(Debug)]
pub struct Players {
    known: AHashMap<SessionId, Player>,
    counts: Counts,
    /// Those of whom there is something to tell.
    news: Vec<SessionId>,
    /// What found no room with control.
    untold: Option<Vec<Report>>,
    /// When it was told last, and when it is next.
    told_at: Ticks,
    tell_at: Ticks,
    forget_at: usize,
}

impl Default for Players {
    fn default() -> Self {
        Self {
            known: AHashMap::new(),
            counts: Counts::default(),
            news: Vec::new(),
            untold: None,
            told_at: Ticks(0),
            tell_at: Ticks(0),
            forget_at: PLAYERS_KEPT_MIN,
        }
    }
}

impl Players {
    /// A request of this session, if it is of one, told something.
    pub fn hear(&mut self, session: Option<SessionId>, told: &Told, now: Ticks) {
        let kind = told.kind.unwrap_or(ObjectKind::Other);
        self.counts.requests[kind as usize] += 1;
        self.counts.stalls += u64::from(told.stalled);
        self.counts.starts += u64::from(told.starts);
        self.counts.malformed += u64::from(told.malformed);
        let Some(id) = session else { return };
        let Some(player) = self.player(id, now) else { return };
        let hurried = player.heard.hurries;
        player.take(told, kind);
        let is_paced = player.share.is_some() || player.busy > 0;
        // Whoever begins to hurry is not to wait for its rate.
        let wants_more = player.heard.hurries && !hurried;
        self.note(id);
        if is_paced && wants_more {
            self.tell_soon(now);
        }
    }

    /// A connection begins to be sent to: how fast, in kilobits a second; none = as fast as it
    /// goes. `played` is what its rendition takes, if that is known.
    pub fn begin(
        &mut self,
        id: SessionId,
        (bounds, played): (Bounds, Option<Played>),
        now: Ticks,
    ) -> Option<NonZeroU32> {
        let Some(player) = self.player(id, now) else { return bounds.cap_kbps };
        player.busy += 1;
        let media = player.media_kbps();
        player.fetch(played);
        // Whoever goes to another rendition is not to wait for its rate.
        let is_other = player.media_kbps() != media;
        // It may have been told of before, while its first body was waited for.
        let is_new = !std::mem::replace(&mut player.has_begun, true) || is_other;
        let pace = player.pace(bounds);
        self.note(id);
        if is_new {
            self.tell_soon(now);
        }
        pace
    }

    /// How fast a connection that is being sent to may be now.
    #[must_use]
    pub fn pace(&self, id: SessionId, bounds: Bounds) -> Option<NonZeroU32> {
        self.known.get(&id).map_or(bounds.cap_kbps, |player| player.pace(bounds))
    }

    /// A client of a session took so many bytes.
    pub fn took(&mut self, id: SessionId, size: u64, now: Ticks) {
        if let Some(player) = self.known.get_mut(&id) {
            player.taken += size;
            player.used = now;
            self.note(id);
        }
    }

    /// A connection is sent to no more.
    pub fn end(&mut self, id: SessionId, size: u64, now: Ticks) {
        if let Some(player) = self.known.get_mut(&id) {
            player.busy = player.busy.saturating_sub(1);
        }
        self.took(id, size, now);
    }

    /// Control has said how much of a session's rate falls to this shard; whether that is for the
    /// first time, or much less than before.
    pub fn share(&mut self, id: SessionId, share: Share) -> bool {
        let Some(player) = self.known.get_mut(&id) else { return false };
        let Some(before) = player.share.replace(share) else { return true };
        let is_much_less = |new: NonZeroU32| {
            before.kbps.is_none_or(|before| new.get() < before.get() - before.get() / 4)
        };
        share.kbps.is_some_and(is_much_less)
    }

    /// What all of them said.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Tells control what it is to know; what `tell` gives back is told another time.
    pub fn tell(
        &mut self,
        now: Ticks,
        mut tell: impl FnMut(Vec<Report>) -> Result<(), Vec<Report>>,
    ) {
        if self.news.is_empty() && self.untold.is_none() || now < self.tell_at {
            return;
        }
        (self.told_at, self.tell_at) = (now, now.plus(LEASES_TOLD_MS));
        if let Some(untold) = self.untold.take() {
            self.untold = tell(untold).err();
        }
        if self.untold.is_some() {
            return;
        }
        let mut busy = Vec::new();
        let mut reports = Vec::with_capacity(self.news.len());
        for id in self.news.drain(..) {
            let Some(player) = self.known.get_mut(&id) else { continue };
            reports.push(player.report(id));
            player.is_news = player.busy > 0;
            busy.extend(player.is_news.then_some(id));
        }
        // Those that are being sent to are told of again.
        self.news.append(&mut busy);
        self.untold = tell(reports).err();
    }

    /// Milliseconds until there is something to tell.
    #[must_use]
    pub fn wait_ms(&self, now: Ticks) -> Option<u64> {
        let has_news = !self.news.is_empty() || self.untold.is_some();
        has_news.then(|| self.tell_at.since(now))
    }

    /// As soon as that was not done a moment ago.
    fn tell_soon(&mut self, now: Ticks) {
        let soonest = self.told_at.plus(TIMER_TICK_MS).max(now);
        self.tell_at = self.tell_at.min(soonest);
    }

    fn note(&mut self, id: SessionId) {
        if let Some(player) = self.known.get_mut(&id)
            && !player.is_news
        {
            player.is_news = true;
            self.news.push(id);
        }
    }

    fn player(&mut self, id: SessionId, now: Ticks) -> Option<&mut Player> {
        if !self.known.contains_key(&id) {
            if self.known.len() >= self.forget_at {
                self.forget(now);
            }
            if self.known.len() >= PLAYERS_MAX {
                return None;
            }
        }
        let player = self.known.entry(id).or_default();
        player.used = now;
        Some(player)
    }

    fn forget(&mut self, now: Ticks) {
        self.known.retain(|_, player| {
            player.busy > 0 || player.is_news || now.since(player.used) < PLAYER_KEPT_MS
        });
        self.forget_at = PLAYERS_KEPT_MIN.max(2 * self.known.len()).min(PLAYERS_MAX);
    }
}

impl Player {
    fn take(&mut self, told: &Told, kind: ObjectKind) {
        self.tells = true;
        let heard = &mut self.heard;
        heard.requests += 1;
        heard.stalls += u32::from(told.stalled);
        heard.starts += u32::from(told.starts);
        let least = [heard.buffer_ms_min, told.buffer_ms].into_iter().flatten().min();
        heard.buffer_ms_min = least;
        heard.throughput_kbps = told.throughput_kbps.or(heard.throughput_kbps);
        heard.player = told.session.or(heard.player);
        if kind == ObjectKind::Manifest {
            return;
        }
        heard.kind = told.kind.or(heard.kind);
        heard.hurries = told.starts || told.stalled;
        self.wanted_kbps = told.rate_kbps.and_then(NonZeroU32::new);
        match (kind, told.bitrate_kbps) {
            (_, None) | (ObjectKind::Text | ObjectKind::Init | ObjectKind::Key, _) => {}
            (ObjectKind::Audio, Some(kbps)) => self.claimed.sound_kbps = kbps,
            (_, Some(kbps)) => self.claimed.picture_kbps = kbps,
        }
        self.heard.media_kbps = self.claimed.media_kbps();
    }

    /// Something of a rendition is sent to it.
    fn fetch(&mut self, played: Option<Played>) {
        self.told = self.claimed;
        match played {
            Some(Played { kbps, is_sound: true }) => self.fetched.sound_kbps = kbps.get(),
            Some(Played { kbps, is_sound: false }) => self.fetched.picture_kbps = kbps.get(),
            None => {}
        }
    }

    fn rates(&self) -> Rates {
        self.told.within(self.fetched)
    }

    fn media_kbps(&self) -> Option<u32> {
        self.rates().media_kbps()
    }

    /// Whether it may have some of its fast start. Of one that never says so nobody knows when it
    /// starts: it has all that there is, until that is used up.
    fn hurries(&self) -> bool {
        self.heard.hurries || !self.tells && self.media_kbps().is_some()
    }

    /// What is told of it, and begins anew.
    fn report(&mut self, id: SessionId) -> Report {
        let Heard { kind, media_kbps, hurries, .. } = self.heard;
        let kept = Heard { kind, media_kbps, hurries, ..Heard::default() };
        let heard = std::mem::replace(&mut self.heard, kept);
        let heard = Heard { hurries: self.hurries(), ..heard };
        let (rates, taken) = (self.rates(), std::mem::take(&mut self.taken));
        Report { id, heard, busy: self.busy, taken, rates }
    }

    fn pace(&self, bounds: Bounds) -> Option<NonZeroU32> {
        if !bounds.is_some() {
            return None;
        }
        let cap = bounds.cap_kbps.map(NonZeroU32::get);
        let (share, cap) = match self.share {
            // Control has not heard yet what is played.
            Some(share) if share.kbps.is_none() => {
                (Share { kbps: self.realtime(bounds), ..share }, cap)
            }
            // Control may give more than the cap, for what was too little before.
            Some(share) => (share, cap.map(|kbps| kbps.saturating_add(kbps / PACE_MADE_UP_PART))),
            None => (Share { kbps: self.realtime(bounds), may_hurry: true }, cap),
        };
        let all = share.kbps.map(NonZeroU32::get).into_iter().chain(cap).min();
        let part = all.map(|kbps| kbps / self.busy.max(1));
        let hurries = self.hurries() && share.may_hurry && self.media_kbps().is_some();
        let wanted = self.wanted_kbps.filter(|_| bounds.is_paced && !hurries);
        let pace = part.into_iter().chain(wanted.map(NonZeroU32::get)).min()?;
        NonZeroU32::new(pace.max(PACE_MIN_KBPS))
    }

    /// What real time allows it before control has reckoned.
    fn realtime(&self, bounds: Bounds) -> Option<NonZeroU32> {
        let media = self.media_kbps().filter(|_| bounds.is_paced)?;
        let fast = (FAST_START_MS / FAST_START_OVER_MS) as u32;
        let times = REALTIME_MAX + if self.hurries() { fast } else { 0 };
        NonZeroU32::new(media.saturating_mul(times))
    }
}

#[cfg(test)]
mod tests;
