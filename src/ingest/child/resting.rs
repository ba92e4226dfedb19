//! A channel on demand: what is listed while nothing is read, how it is known that somebody
//! watches, and how what was published is taken back.
//!
//! While it rests its texts are listed without anything behind them, as a remux is: whoever asks
//! waits, and the shard says so. What the channel publishes takes their places. Players poll, so a
//! rendition's folder of which nothing was asked for a while is watched by nobody; shards remember
//! that for themselves, and are asked now and then.

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::Child;
use crate::config::Access;
use crate::config::inputs::CHILD_ASK_MS;
use crate::ingest::State;
use crate::ingest::channel::Channel;
use crate::ingest::login::Logins;
use crate::ingest::output::absent;
use crate::ingest::post::Post;
use crate::messages::SourceId;

/// Media after which a channel has listed whatever it lists.
pub const SETTLED_AFTER: Duration = Duration::from_secs(20);

/// What is listed for whoever wants it.
#[derive(Debug, Default)]
pub struct Offers {
    listed: Vec<(SourceId, String)>,
    /// When shards were asked who watches.
    asked: Option<Instant>,
}

impl Offers {
    /// Whether this is one of them.
    #[must_use]
    pub fn has(&self, source: SourceId) -> bool {
        self.listed.iter().any(|(offered, _)| *offered == source)
    }

    /// Whoever waits for one of them hears that it can't be now.
    pub fn fail(&self, post: &Post) {
        self.listed.iter().for_each(|(source, _)| post.fail(*source));
    }

    fn list(&mut self, paths: Vec<String>, access: Access, post: &Post) {
        let mut batch = Vec::new();
        self.listed.clear();
        for path in paths {
            let (source, listing) = post.on_demand(&path, access);
            self.listed.push((source, path));
            batch.push(listing);
        }
        post.list(&mut batch);
    }

    /// Asks who watches, now and then.
    pub fn ask_for_viewers(&mut self, channel: &Channel, now: Instant) {
        let every = Duration::from_millis(CHILD_ASK_MS);
        if self.asked.is_none_or(|asked| now.saturating_duration_since(asked) >= every) {
            self.asked = Some(now);
            channel.ask_for_viewers();
        }
    }

    /// Takes back what the channel turned out not to have.
    pub fn withdraw_unlisted(&mut self, channel: &Channel, post: &Post) {
        let unlisted = self.listed.drain(..).filter(|(_, path)| !channel.has_listed(path));
        let mut batch = unlisted.map(|(_, path)| absent(path)).collect();
        post.list(&mut batch);
    }
}

impl Child {
    /// Lists what the channel can be asked for, if it is on demand.
    pub(super) fn offer(&self, state: &State, paths: Vec<String>) {
        if !self.of.sources.inputs.on_demand {
            return;
        }
        let access = self.of.access.unwrap_or(self.access);
        self.offers.borrow_mut().list(paths, access, &state.post);
    }

    /// Takes back what was published, and begins the channel anew: nobody who comes later is to
    /// find what was live an hour ago. Its numbers go on, and its archive stays.
    pub(super) async fn rest(&self, state: &Rc<State>) {
        let Some(live) = state.channels.borrow_mut().remove(&self.of.id) else { return };
        let paths = live.channel.borrow().playlists();
        live.channel.borrow_mut().close();
        self.offer(state, paths);
        let (of, logins) = (live.of.clone(), Logins::only(&self.target.login));
        let what = "nobody watches: the channel rests";
        if let Some(added) = state.add_later(of, logins, self.access, what) {
            // It ends by itself, also if this channel's inputs are gone by then.
            let _ = added.await;
        }
    }
}
