//! Who watches what, for all shards: sessions are counted here, and here it is decided who may
//! begin.
//!
//! Shards ask when a session begins, and tell once a second which go on. What is decided goes to
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
            let since = looked.elapsed();
            if since >= 10 * every || since >= every && news.is_empty() {
                looked = Instant::now();
                let now = self.now();
                self.table().tick(now);
            }
        }
    }

    fn hear(&self, SessionNews { shard, news }: SessionNews) {
        let now = self.now();
        match news {
            News::Asked(start) | News::Begun(start) => {
                let rights = self.rights();
                let places = start.subscriber.and_then(|of| rights.places(of));
                let said = self.table().start(&start, places, now);
                if let Some(answer) = said.answer {
                    self.post.tell_one(shard, Update::Sessions(Arc::new([answer])));
                }
                self.tell(said.all);
            }
            News::Seen(all, told_at) => {
                let mut said = Vec::new();
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

    fn tell(&self, said: Vec<(SessionId, Verdict)>) {
        if !said.is_empty() {
            let said: Arc<[_]> = said.into();
            self.post.tell(|| Update::Sessions(Arc::clone(&said)));
        }
    }

    fn rights(&self) -> Arc<Rights> {
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
