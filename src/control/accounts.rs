//! What apps sign in with and start: the registry's app passwords and numbers in, one value for all
//! shards out, anew with every change.
//!
//! At the start all of it is read once; from then on only what has changed. Reading and putting
//! together happen on the registry's thread. Whoever signs somebody in looks at the same value.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ahash::RandomState;
use serde::Deserialize;
use tokio::sync::watch;

use super::app_passwords::{Keys, credentials};
use super::post::Post;
use super::registry::{Busy, Changed, Kind, Registry, Revision, Store, StoreError};
use crate::config::{FOLLOWED_AT_ONCE, SIGN_IN_CATCH_UP_MS};
use crate::messages::Update;
use crate::viewer::accounts::{Accounts, Entry, Hasher, Login, Tag};
use crate::viewer::numbers::{self, Numbered, Played};
use crate::viewer::{Apps, Numbers};

/// What is known of the registry, and what follows from it.
struct Known {
    since: Revision,
    epoch: u32,
    hasher: Option<Hasher>,
    apps: Apps,
    /// Of tags.
    names: RandomState,
}

/// What matters here of an episode's document.
#[derive(Deserialize)]
struct OfEpisode {
    asset: String,
}

impl Known {
    fn new(hasher: Option<Hasher>) -> Self {
        let accounts = hasher.clone().map_or_else(Accounts::default, Accounts::new);
        let apps = Apps { accounts, numbers: Numbers::default() };
        let names = RandomState::new();
        Self { since: Revision(0), epoch: 0, hasher, apps, names }
    }

    /// Takes in what has changed; false if none of it is any shard's business.
    fn follow(&mut self, store: &dyn Store) -> Result<bool, StoreError> {
        let epoch = store.epoch()?;
        let is_first = self.since == Revision(0) || epoch != self.epoch;
        if is_first {
            // In a registry that was restored an id may have another number.
            *self = Self { epoch, ..Self::new(self.hasher.clone()) };
        }
        let newest = store.revision()?;
        if is_first {
            self.read_all(store)?;
        }
        // At the start what is there was just read.
        let from = if is_first { newest } else { self.since };
        let mut matters = is_first;
        let kinds = [Kind::AppPasswords, Kind::Channel, Kind::Asset, Kind::Episode];
        for kind in kinds {
            let mut since = from;
            loop {
                let changes = store.changes_of(kind, since, FOLLOWED_AT_ONCE)?;
                let Some(last) = changes.last() else { break };
                since = last.revision;
                matters = true;
                match kind {
                    Kind::AppPasswords => self.take_passwords(store, &changes)?,
                    _ => self.take_numbers(&changes),
                }
            }
        }
        self.since = newest;
        Ok(matters)
    }

    fn read_all(&mut self, store: &dyn Store) -> Result<(), StoreError> {
        let mut subscribers: Vec<(Box<str>, NonZeroU32)> = Vec::new();
        store.each(Kind::Subscriber, &mut |of| {
            let number = of.number.and_then(NonZeroU32::new);
            subscribers.extend(number.map(|number| (of.id.into(), number)));
        })?;
        // Both come in the order of their ids.
        let (mut at, mut entries) = (0, Vec::new());
        store.each(Kind::AppPasswords, &mut |of| {
            at += subscribers[at..].iter().take_while(|(id, _)| **id < *of.id).count();
            if let Some((_, number)) = subscribers.get(at).filter(|(id, _)| **id == *of.id) {
                entries.extend(self.entries(of.id, *number, of.document));
            }
        })?;
        self.apps.accounts = self.apps.accounts.with(&[], &entries);
        let mut changes = Vec::new();
        for kind in [Kind::Channel, Kind::Asset, Kind::Episode] {
            store.each(kind, &mut |of| {
                let episode = || serde_json::from_str::<OfEpisode>(of.document).ok();
                let place = of.number.and_then(|number| Some((numbered(kind)?, number)));
                changes.extend(place.map(|place| (place, played(kind, of.id, episode))));
            })?;
        }
        self.apps.numbers = self.apps.numbers.with(&changes);
        Ok(())
    }

    /// What an app may say as this user.
    fn entries(&self, id: &str, subscriber: NonZeroU32, document: &str) -> Vec<Entry> {
        let tag = self.tag(id);
        let kept = credentials(document).into_iter().zip(0_u8..);
        let entry = |(credential, which): (Option<_>, u8)| {
            Some(Entry::new(credential?, Login { subscriber, which }, tag))
        };
        kept.filter_map(entry).collect()
    }

    fn tag(&self, id: &str) -> Tag {
        Tag::of(self.names.hash_one(id))
    }

    fn take_passwords(&mut self, store: &dyn Store, changes: &[Changed]) -> Result<(), StoreError> {
        let ids: BTreeSet<_> = changes.iter().map(|change| change.id.as_str()).collect();
        let tags: Vec<_> = ids.iter().map(|id| self.tag(id)).collect();
        let mut owners: BTreeMap<NonZeroU32, bool> = BTreeMap::new();
        let mut gone = Vec::new();
        for (_, entry) in self.apps.accounts.tagged(&tags) {
            let number = entry.login().subscriber;
            // Another one's name may have the same tag.
            let is_theirs = match owners.get(&number) {
                Some(is_theirs) => *is_theirs,
                None => {
                    let id = store.named(Kind::Subscriber, number.get())?;
                    id.is_none_or(|id| ids.contains(id.as_str()))
                }
            };
            owners.insert(number, is_theirs);
            gone.extend(is_theirs.then(|| entry.credential()));
        }
        let mut come = Vec::new();
        for change in changes {
            let Some(document) = &change.document else { continue };
            let found = store.object(Kind::Subscriber, &change.id)?;
            let number = found.and_then(|of| of.number).and_then(NonZeroU32::new);
            if let Some(number) = number {
                come.extend(self.entries(&change.id, number, &document.to_string()));
            }
        }
        self.apps.accounts = self.apps.accounts.with(&gone, &come);
        Ok(())
    }

    fn take_numbers(&mut self, changes: &[Changed]) {
        let change = |change: &Changed| {
            let place = (numbered(change.kind)?, change.number?);
            let document = change.document.as_ref();
            let episode = || OfEpisode::deserialize(document?).ok();
            Some((place, document.and_then(|_| played(change.kind, &change.id, episode))))
        };
        let changes: Vec<numbers::Change> = changes.iter().filter_map(change).collect();
        self.apps.numbers = self.apps.numbers.with(&changes);
    }
}

fn numbered(kind: Kind) -> Option<Numbered> {
    match kind {
        Kind::Channel => Some(Numbered::Channel),
        Kind::Asset => Some(Numbered::Film),
        Kind::Episode => Some(Numbered::Episode),
        _ => None,
    }
}

fn played(kind: Kind, id: &str, episode: impl Fn() -> Option<OfEpisode>) -> Option<Played> {
    match kind {
        Kind::Channel => Some(Played::channel(id)),
        Kind::Asset => Some(Played::asset(id)),
        _ => episode().map(|of| Played::asset(&of.asset)),
    }
}

/// What was told last, and as of which revision.
#[derive(Clone)]
pub struct Followed {
    newest: watch::Receiver<Revision>,
    told: watch::Receiver<(Revision, Arc<Apps>)>,
}

impl Followed {
    /// What was told last.
    #[must_use]
    pub fn current(&self) -> Arc<Apps> {
        Arc::clone(&self.told.borrow().1)
    }

    /// What holds by now: what was committed before is in it, or it takes too long.
    pub async fn caught_up(&self) -> Arc<Apps> {
        let newest = *self.newest.borrow();
        let mut told = self.told.clone();
        let caught_up = told.wait_for(|(revision, _)| *revision >= newest);
        let patience = Duration::from_millis(SIGN_IN_CATCH_UP_MS);
        drop(tokio::time::timeout(patience, caught_up).await);
        self.current()
    }
}

/// Tells every shard what apps sign in with and start, now and whenever it changes. Without keys
/// nobody can sign in.
///
/// # Errors
///
/// The registry failed while it was read for the first time.
pub fn start(
    registry: Registry,
    post: Arc<Post>,
    keys: Option<&Keys>,
) -> Result<Followed, StoreError> {
    let known = Arc::new(Mutex::new(Known::new(keys.map(|keys| keys.hasher().clone()))));
    let newest = registry.newest();
    let its = Arc::clone(&known);
    let (revision, _) = registry
        .ask_now(move |store| followed(&its, store))
        .map_err(|Busy| StoreError("its thread does not answer".to_owned()))??;
    let apps = Arc::new(lock(&known).apps.clone());
    post.tell(|| Update::Apps(Arc::clone(&apps)));
    let (tell, told) = watch::channel((revision, Arc::clone(&apps)));
    let all = Told { all: vec![apps], tell, post };
    let its = newest.clone();
    tokio::task::spawn_local(async move { follow(registry, its, known, all).await });
    Ok(Followed { newest, told })
}

fn lock(known: &Mutex<Known>) -> std::sync::MutexGuard<'_, Known> {
    // An error leaves it where it was, and the same changes are read again.
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

/// As of when it is known what apps sign in with, and that if it has changed.
fn followed(
    known: &Mutex<Known>,
    store: &mut dyn Store,
) -> Result<(Revision, Option<Apps>), StoreError> {
    let mut known = lock(known);
    let matters = known.follow(store)?;
    Ok((known.since, matters.then(|| known.apps.clone())))
}

async fn follow(
    registry: Registry,
    mut newest: watch::Receiver<Revision>,
    known: Arc<Mutex<Known>>,
    mut told: Told,
) {
    while newest.changed().await.is_ok() {
        let its = Arc::clone(&known);
        match registry.ask(move |store| followed(&its, store)).await {
            Ok(Ok((revision, apps))) => told.tell(revision, apps),
            Ok(Err(error)) => {
                tracing::error!(%error, "what apps sign in with can't be read; the old holds");
            }
            // So much is wanted of it that it will have changed again.
            Err(Busy) => {
                tokio::time::sleep(Duration::from_millis(100)).await;
                newest.mark_changed();
            }
        }
    }
}

/// What shards were told, for as long as one of them has it: to free a million takes longer than a
/// shard may stand still.
struct Told {
    all: Vec<Arc<Apps>>,
    tell: watch::Sender<(Revision, Arc<Apps>)>,
    post: Arc<Post>,
}

impl Told {
    fn tell(&mut self, revision: Revision, apps: Option<Apps>) {
        if let Some(apps) = apps {
            let apps = Arc::new(apps);
            // Before anybody is signed in by it: what is said of that comes behind.
            self.post.tell(|| Update::Apps(Arc::clone(&apps)));
            self.all.push(apps);
        }
        let newest = self.all.last().map(Arc::clone).unwrap_or_default();
        self.tell.send_replace((revision, newest));
        // The newest is everybody's; of the others, those that nobody else has can go.
        let newest = self.all.len().saturating_sub(1);
        let mut index = 0;
        self.all.retain(|of| {
            index += 1;
            index > newest || Arc::strong_count(of) > 1
        });
    }
}

#[cfg(test)]
mod tests;
