//! Who watches what, for all shards: sessions are counted here, and here it is decided who may
//! begin.
//!
//! Shards ask when a session begins, and tell once a second which go on. What is decided goes to
//! whoever asked; what ends a session, to all of them.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::Receiver;
use tokio::sync::watch;

use super::guard::Guard;
use super::hook::Hook;
use super::post::Post;
use super::tokens::now;
use crate::config::{Limits, SESSIONS_TICK_MS, Sessions};
use crate::messages::{SessionNews, Update};
use crate::ops::security::{Event, Events};
use crate::units::Ticks;
use crate::viewer::leases::{News, Start, Verdict};
use crate::viewer::players::{Bounds, Report, Share};
use crate::viewer::rights::Places;
use crate::viewer::{Rights, SessionId};

pub use self::arrival::Outside;
use self::egress::Egress;
use self::sharing::{Sharing, Signals};
use self::table::{Moment, Owner, Table};

pub mod api;
mod arrival;
mod count;
mod egress;
pub mod history;
mod lookalikes;
mod pace;
mod quality;
mod sharing;
mod table;

/// News that are taken at once.
const NEWS_AT_ONCE: usize = 256;

/// Where sessions are counted.
pub struct Desk {
    table: Mutex<Table>,
    /// How many a subscriber may have.
    rights: Mutex<Arc<Rights>>,
    /// What the machine sends.
    egress: Mutex<Egress>,
    /// What was seen of shared tokens.
    signals: Mutex<Signals>,
    /// How long those that are over are kept, in milliseconds.
    history_ms: u64,
    /// One writes those that are over at a time.
    keeping: tokio::sync::Mutex<()>,
    limits: watch::Receiver<Arc<Limits>>,
    /// Where its time begins.
    started: Instant,
    post: Arc<Post>,
    /// Who is asked besides.
    pub outside: Outside,
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Desk")
    }
}

impl Desk {
    /// One that knows of none, tells shards by this post, and asks this back end.
    #[must_use]
    pub fn new(post: Arc<Post>, limits: watch::Receiver<Arc<Limits>>, hook: Arc<Hook>) -> Self {
        let (table, rights, egress) = (Mutex::default(), Mutex::default(), Mutex::default());
        let history_ms = Sessions::default().history_ms;
        let (signals, keeping) = (Mutex::default(), tokio::sync::Mutex::default());
        let (started, outside) = (Instant::now(), Outside::new(hook));
        Self { table, rights, egress, signals, history_ms, keeping, limits, started, post, outside }
    }

    /// The same that keeps those that are over for so long.
    #[must_use]
    pub fn keeping(self, history_ms: u64) -> Self {
        Self { history_ms, ..self }
    }

    /// What subscribers may have has changed.
    pub(super) fn take(&self, rights: Arc<Rights>) {
        *self.rights.lock().unwrap_or_else(PoisonError::into_inner) = rights;
    }

    /// Counts, until no shard is left.
    pub async fn serve(self: Arc<Self>, mut news: Receiver<SessionNews>, guard: Arc<Guard>) {
        let mut taken = Vec::with_capacity(NEWS_AT_ONCE);
        let every = Duration::from_millis(SESSIONS_TICK_MS);
        let mut looked = Instant::now();
        loop {
            let some = news.recv_many(&mut taken, NEWS_AT_ONCE);
            // What goes on is heard of first: whoever was held up must not take it for over.
            if let Ok(0) = tokio::time::timeout(every, some).await {
                return;
            }
            for news in taken.drain(..) {
                self.hear(news);
            }
            self.tell_sharing(guard.events());
            let since = looked.elapsed();
            if since >= 10 * every || since >= every && news.is_empty() {
                looked = Instant::now();
                let now = self.now();
                self.table().tick(now);
                self.judge(now.ticks);
            }
        }
    }

    fn hear(self: &Arc<Self>, SessionNews { shard, news }: SessionNews) {
        let now = self.now();
        match news {
            News::Asked(start) => self.arrive(shard, start, now),
            News::Begun(start) => self.come(shard, &start, now),
            News::Players(reports) => self.hear_players(shard, &reports, now.ticks),
            News::Sent(total) => {
                self.egress().hear(shard, total, now.ticks);
                self.judge(now.ticks);
            }
            News::Fetched(all) => {
                let (mut table, rights) = (self.table(), self.rights());
                let fetch = |of| table.fetch(of, |owner| places(&rights, owner), now);
                let said = all.into_iter().flat_map(fetch).collect();
                drop(table);
                self.tell(said);
            }
            News::Seen(all, told_at) => {
                let mut said = Vec::new();
                let geo = self.outside.geo();
                if geo.knows_countries() {
                    said.extend(all.iter().flat_map(|seen| self.expel(&geo, seen, now)));
                }
                let mut table = self.table();
                let rights = self.rights();
                for seen in all {
                    // What is told now may have been a moment ago.
                    let ago = told_at.since(seen.at).min(now.ticks.0);
                    let then = Moment { ticks: Ticks(now.ticks.0 - ago), ..now };
                    let places = |owner| places(&rights, owner);
                    said.extend(table.see(seen, places, then));
                }
                drop(table);
                self.tell(said);
            }
        }
    }

    /// A session begins, if it may.
    fn begin(&self, shard: u16, start: &Start, now: Moment) {
        let rights = self.rights();
        let places = start.subscriber.and_then(|of| rights.places(of));
        let is_newcomer = self.cap() > 0 && self.table().is_newcomer(start, now);
        let said = self.table().start(start, places, now);
        if let Some(answer @ (_, verdict)) = said.answer {
            self.post.tell_one(shard, Update::Sessions(Arc::new([answer])));
            if verdict == Verdict::Held && is_newcomer {
                let cap_kbps = start.subscriber.and_then(|of| rights.rate_max_kbps(of));
                // All of them, those that are over and not forgotten yet among them.
                let sessions = self.table().len() as u64;
                self.egress().admit(cap_kbps.map(NonZeroU32::get), sessions, now.ticks);
                self.judge(now.ticks);
            }
        }
        self.tell(said.all);
    }

    /// Whether the machine sends as much as it may, and this is nobody who watches already.
    fn is_too_much(&self, start: &Start, now: Moment) -> bool {
        self.egress().is_full() && self.table().is_newcomer(start, now)
    }

    /// Tells shards when the machine begins to send as much as it may, and when it does no more.
    fn judge(&self, now: Ticks) {
        let cap = self.cap();
        let judged = self.egress().judge(cap, now);
        let Some(is_full) = judged else { return };
        let sent = self.egress().sent_bits(now);
        if is_full {
            tracing::warn!(cap, sent, "as much is sent as may be: new sessions are refused");
        } else {
            tracing::info!(cap, sent, "less is sent than may be: new sessions are let in");
        }
        self.post.tell(|| Update::Full(is_full));
    }

    fn hear_players(&self, shard: u16, reports: &[Report], now: Ticks) {
        let rights = self.rights();
        let is_paced = self.limits.borrow().bandwidth.is_paced;
        let bounds = |owner| {
            let Owner::Subscriber(subscriber) = owner else {
                return Bounds { cap_kbps: None, is_paced };
            };
            Bounds { cap_kbps: rights.rate_max_kbps(subscriber), is_paced }
        };
        let mut said: BTreeMap<u16, Vec<(SessionId, Share)>> = BTreeMap::new();
        let mut table = self.table();
        for report in reports {
            for (shard, name, share) in table.report(shard, report, bounds, now) {
                said.entry(shard).or_default().push((name, share));
            }
        }
        drop(table);
        for (shard, shares) in said {
            self.post.tell_one(shard, Update::Shares(shares.into()));
        }
    }

    /// What the machine may send, in bits a second; 0 = as much as it can.
    fn cap(&self) -> u64 {
        self.limits.borrow().bandwidth.egress
    }

    fn egress(&self) -> MutexGuard<'_, Egress> {
        self.egress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is sent, in bits a second, and whether that is as much as may be; none where that is
    /// not asked.
    #[must_use]
    pub fn sent(&self) -> Option<(u64, bool)> {
        let now = self.now().ticks;
        let egress = self.egress();
        (self.cap() > 0).then(|| (egress.sent_bits(now), egress.is_full()))
    }

    fn tell(&self, said: Vec<(SessionId, Verdict)>) {
        if !said.is_empty() {
            let said: Arc<[_]> = said.into();
            self.post.tell(|| Update::Sessions(Arc::clone(&said)));
        }
    }

    /// Says what was seen of shared tokens.
    fn tell_sharing(&self, events: &Events) {
        let seen = self.table().take_sharing();
        let now = self.now();
        for sharing in seen {
            if !self.signals().hear(sharing, now) {
                continue;
            }
            let subscriber = match sharing.owner {
                Owner::Subscriber(number) => Some(number.get()),
                Owner::Device(_) => None,
            };
            let Sharing { device, from, elsewhere, .. } = sharing;
            events.tell(&Event::Shared { subscriber, device, from, elsewhere }, now.unix);
        }
    }

    /// Times that one token was used in several networks at once.
    #[must_use]
    pub fn sharing_count(&self) -> u64 {
        self.signals().total()
    }

    fn signals(&self) -> MutexGuard<'_, Signals> {
        self.signals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What subscribers may have, as it was said last.
    pub(super) fn rights(&self) -> Arc<Rights> {
        Arc::clone(&self.rights.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Moment {
        let ms = self.started.elapsed().as_millis();
        // Nothing has begun before time itself, as far as differences go.
        let ticks = Ticks(u64::try_from(ms).unwrap_or(u64::MAX / 2)).plus(1);
        Moment { ticks, unix: now() }
    }

    /// At how many places a subscriber watches.
    #[must_use]
    pub fn count_of(&self, subscriber: NonZeroU32) -> usize {
        let now = self.now().ticks;
        let table = self.table();
        let sessions = table.of(table::Owner::Subscriber(subscriber)).iter();
        sessions.filter(|session| !session.is_over(now)).count()
    }

    /// How many sessions there are.
    #[must_use]
    pub fn count(&self) -> usize {
        let now = self.now();
        self.table().count(now)
    }
}

/// At how many places this one may watch; none = as many as it likes.
fn places(rights: &Rights, owner: Owner) -> Option<Places> {
    match owner {
        Owner::Subscriber(subscriber) => rights.places(subscriber),
        Owner::Device(_) => None,
    }
}
