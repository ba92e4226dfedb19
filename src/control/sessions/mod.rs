//! Who watches what, for all shards: sessions are counted here, and here it is decided who may
//! begin.
//!
//! Shards ask when a session begins, and tell twice a second which go on. What is decided goes to
//! whoever asked; what ends a session, to all of them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::Receiver;

use super::post::Post;
use super::tokens::now;
use crate::config::SESSIONS_TICK_MS;
use crate::messages::{SessionNews, Update};
use crate::units::Ticks;
use crate::viewer::leases::{News, Verdict};
use crate::viewer::rights::Places;
use crate::viewer::{Rights, SessionId};

use self::table::{Moment, Owner, Table};

pub mod api;
mod count;
mod table;

/// News that are taken at once.
const NEWS_AT_ONCE: usize = 256;

/// Where sessions are counted.
pub struct Desk {
    table: Mutex<Table>,
    /// How many a subscriber may have.
    rights: Mutex<Arc<Rights>>,
    /// Where its time begins.
    started: Instant,
    post: Arc<Post>,
}

impl Desk {
    /// One that knows of none, and tells shards by this post.
    #[must_use]
    pub fn new(post: Arc<Post>) -> Self {
        let (table, rights) = (Mutex::default(), Mutex::default());
        Self { table, rights, started: Instant::now(), post }
    }

    /// What subscribers may have has changed.
    pub(super) fn take(&self, rights: Arc<Rights>) {
        *self.rights.lock().unwrap_or_else(PoisonError::into_inner) = rights;
    }

    /// Counts, until no shard is left.
    pub async fn serve(self: Arc<Self>, mut news: Receiver<SessionNews>) {
        let mut taken = Vec::with_capacity(NEWS_AT_ONCE);
        let mut tick = tokio::time::interval(Duration::from_millis(SESSIONS_TICK_MS));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                count = news.recv_many(&mut taken, NEWS_AT_ONCE) => {
                    if count == 0 {
                        return;
                    }
                    for news in taken.drain(..) {
                        self.hear(news);
                    }
                }
                _ = tick.tick() => {
                    let now = self.now();
                    self.table().tick(now);
                }
            }
        }
    }

    fn hear(&self, SessionNews { shard, news }: SessionNews) {
        let now = self.now();
        match news {
            News::Asked(start) | News::Begun(start) => {
                let places = self.places(start.subscriber.map(Owner::Subscriber));
                let said = self.table().start(&start, places, now);
                if let Some(answer) = said.answer {
                    self.post.tell_one(shard, Update::Sessions(Arc::new([answer])));
                }
                self.tell(said.all);
            }
            News::Seen(all) => {
                let mut said = Vec::new();
                let mut table = self.table();
                for seen in all {
                    let places = self.places(table.owner_of(seen.id));
                    said.extend(table.see(seen, places, now));
                }
                drop(table);
                self.tell(said);
            }
        }
    }

    fn tell(&self, said: Vec<(SessionId, Verdict)>) {
        if !said.is_empty() {
            let said: Arc<[_]> = said.into();
            self.post.tell(|| Update::Sessions(Arc::clone(&said)));
        }
    }

    fn places(&self, owner: Option<Owner>) -> Option<Places> {
        let Some(Owner::Subscriber(subscriber)) = owner else { return None };
        self.rights.lock().unwrap_or_else(PoisonError::into_inner).places(subscriber)
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

    /// How many sessions there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.table().count()
    }
}
