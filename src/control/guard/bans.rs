//! Bans: the registry's objects of that kind in, one value for all shards out, anew with every
//! change and whenever one ends.
//!
//! Whoever made one, it is an object of the registry: it survives a restart, is in a backup, and
//! is listed and lifted like any other.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use ipnet::IpNet;
use serde::Deserialize;

use super::Guard;
use crate::config::BANS_MAX;
use crate::control::audit::Act;
use crate::control::documents::{self, Made};
use crate::control::registry::{
    Busy, Expected, Kind, Object, Revision, Store, StoreError, Uncommitted, Write,
};
use crate::control::tokens::now;
use crate::guard::{Bans, Networks};
use crate::messages::Update;
use crate::ops::security::Event;
use crate::units::UnixTime;

/// How long changes are collected: an import makes many, and bans are read whole.
const COLLECT: Duration = Duration::from_millis(100);

/// How often it is looked at what has ended, at most.
const LOOK: Duration = Duration::from_secs(30);

/// One ban.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ban {
    id: String,
    revision: Revision,
    until: Option<UnixTime>,
    made: Made,
    reason: String,
}

/// Who is banned.
pub type Listed = BTreeMap<IpNet, Ban>;

/// What a ban's document says.
#[derive(Deserialize)]
struct OfBan {
    until: Option<u64>,
    made: Made,
    reason: String,
}

/// Why somebody can't be banned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unbannable {
    /// The config says never to.
    Allowed,
    /// There are as many as there may be.
    Full,
}

impl Guard {
    /// Reads who is banned, tells every shard, and follows what changes.
    ///
    /// # Errors
    ///
    /// The registry failed while it was read for the first time.
    pub fn start(self: &Arc<Self>) -> Result<(), StoreError> {
        let Some(registry) = &self.registry else { return Ok(()) };
        let newest = registry.newest();
        let listed = registry
            .ask_now(|store| read(store))
            .map_err(|Busy| StoreError("its thread does not answer".to_owned()))??;
        *self.listed() = listed;
        self.tell(now());
        let guard = Arc::clone(self);
        tokio::task::spawn_local(async move { guard.follow(newest).await });
        Ok(())
    }

    /// Whether this network may be banned.
    ///
    /// # Errors
    ///
    /// `Unbannable`.
    pub fn may_ban(&self, network: IpNet) -> Result<(), Unbannable> {
        if self.allowed.cover(network) {
            return Err(Unbannable::Allowed);
        }
        let listed = self.listed();
        let is_one_more = !listed.contains_key(&network);
        if is_one_more && listed.len() >= BANS_MAX { Err(Unbannable::Full) } else { Ok(()) }
    }

    /// The ban that holds this address, one by hand before others: its network, who made it, why.
    pub(in crate::control) fn ban_of(&self, address: IpAddr) -> Option<(IpNet, Made, String)> {
        if self.allowed.holds(address) {
            return None;
        }
        let (listed, now) = (self.listed(), now());
        let address = address.to_canonical();
        let of = listed
            .iter()
            .filter(|(network, ban)| network.contains(&address) && !ban.has_ended(now));
        let (network, ban) = of.max_by_key(|(_, ban)| ban.made == Made::Hand)?;
        Some((*network, ban.made, ban.reason.clone()))
    }

    /// Bans a network because of what came from there.
    pub(super) async fn ban(&self, network: IpNet, reason: String, now: UnixTime) {
        let Some(registry) = &self.registry else { return };
        let mut writes = Vec::new();
        match self.may_ban(network) {
            // It is on its way to the shards.
            Ok(()) if self.listed().contains_key(&network) => return,
            Ok(()) => {}
            Err(Unbannable::Allowed) => return,
            Err(Unbannable::Full) => match self.first_to_end() {
                Some(ban) => writes.push(removal(&ban)),
                None => {
                    tracing::error!(%network, "there are as many bans as there may be");
                    return;
                }
            },
        }
        let until = now.0.saturating_add(self.config.ban_for_ms.div_ceil(1000));
        let document = serde_json::json!({ "until": until, "made": "automatic", "reason": reason });
        writes.push(Write {
            kind: Kind::Ban,
            id: network.to_string(),
            // One that somebody made stays.
            expected: Expected::Absent,
            document: Some(document),
            number: None,
            references: Vec::new(),
        });
        let act = Act::server(now);
        match registry.ask(move |store| store.commit(&act, &writes)).await {
            // It was made meanwhile, or whoever goes on will be banned for that.
            Ok(Ok(_) | Err(Uncommitted::Conflict { .. })) | Err(Busy) => {}
            Ok(Err(why)) => tracing::warn!(%network, ?why, "the ban was not written"),
        }
    }

    /// Of those that were made automatically.
    fn first_to_end(&self) -> Option<Ban> {
        let listed = self.listed();
        let automatic = listed.values().filter(|ban| ban.made == Made::Automatic);
        automatic.min_by_key(|ban| ban.until).cloned()
    }

    async fn follow(&self, mut newest: tokio::sync::watch::Receiver<Revision>) {
        loop {
            let patience = self.until_next(now()).unwrap_or(LOOK).min(LOOK);
            // Whether something has changed, or only time has passed.
            match tokio::time::timeout(patience, newest.changed()).await {
                Ok(Err(_)) => return,
                Ok(Ok(())) => tokio::time::sleep(COLLECT).await,
                Err(_) => {}
            }
            newest.mark_unchanged();
            self.lift_ended(now()).await;
            self.read_again().await;
        }
    }

    /// How long until the next one ends.
    fn until_next(&self, now: UnixTime) -> Option<Duration> {
        let listed = self.listed();
        let next = listed.values().filter_map(|ban| ban.until).min()?;
        // One whose end could not be written is tried again in a second.
        Some(Duration::from_secs(next.0.saturating_sub(now.0).max(1)))
    }

    /// Takes those out of the registry whose time is over.
    async fn lift_ended(&self, now: UnixTime) {
        let Some(registry) = &self.registry else { return };
        let ended: Vec<Write> = {
            let listed = self.listed();
            listed.values().filter(|ban| ban.has_ended(now)).map(removal).collect()
        };
        for write in ended {
            // Somebody may have changed it meanwhile; then it is another one.
            let act = Act::server(now);
            let _ = registry.ask(move |store| store.commit(&act, &[write])).await;
        }
    }

    async fn read_again(&self) {
        let Some(registry) = &self.registry else { return };
        let read = registry.ask(|store| read(store)).await;
        match read {
            Ok(Ok(listed)) => self.take(listed, now()),
            Ok(Err(error)) => tracing::error!(%error, "bans can't be read; the old ones hold"),
            Err(Busy) => {}
        }
    }

    fn take(&self, listed: Listed, now: UnixTime) {
        let before = std::mem::replace(&mut *self.listed(), listed.clone());
        if before == listed {
            return;
        }
        self.tell(now);
        for (&network, ban) in &listed {
            if before.get(&network) != Some(ban) && !ban.has_ended(now) {
                let (until, made, reason) = (ban.until, ban.made.word(), &*ban.reason);
                self.events.tell(&Event::Banned { network, until, made, reason }, now);
            }
        }
        for (&network, ban) in before.iter().filter(|(network, _)| !listed.contains_key(network)) {
            self.events.tell(&Event::Lifted { network, expired: ban.has_ended(now) }, now);
        }
    }

    /// Tells every shard.
    fn tell(&self, now: UnixTime) {
        let bans = Arc::new(self.bans(now));
        self.post.tell(|| Update::Bans(Arc::clone(&bans)));
    }

    fn bans(&self, now: UnixTime) -> Bans {
        let listed = self.listed();
        let made = |made: Made| {
            let of = listed.iter().filter(|(_, ban)| ban.made == made && !ban.has_ended(now));
            Networks::of(of.map(|(network, _)| *network))
        };
        Bans::new(Arc::clone(&self.allowed), made(Made::Hand), made(Made::Automatic))
    }

    fn listed(&self) -> MutexGuard<'_, Listed> {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ban {
    fn has_ended(&self, now: UnixTime) -> bool {
        self.until.is_some_and(|until| now >= until)
    }
}

fn removal(ban: &Ban) -> Write {
    Write {
        kind: Kind::Ban,
        id: ban.id.clone(),
        expected: Expected::At(ban.revision),
        document: None,
        number: None,
        references: Vec::new(),
    }
}

/// All that are in the registry; of a restored one there may be more than can be made.
fn read(store: &dyn Store) -> Result<Listed, StoreError> {
    let objects = store.objects(Kind::Ban, "", BANS_MAX)?;
    Ok(objects.into_iter().filter_map(ban).collect())
}

/// One; none if it is not understood, and bans nobody.
fn ban(object: Object) -> Option<(IpNet, Ban)> {
    let network = documents::network(&object.id);
    let read = OfBan::deserialize(&object.document);
    let (Some(network), Ok(of)) = (network, read) else {
        tracing::error!(id = object.id, "this ban is not understood, and bans nobody");
        return None;
    };
    let OfBan { until, made, reason } = of;
    let (id, revision, until) = (object.id, object.revision, until.map(UnixTime));
    Some((network, Ban { id, revision, until, made, reason }))
}
