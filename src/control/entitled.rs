//! What subscribers may have: the registry's plans and subscribers in, one value for all shards
//! out, anew with every change.
//!
//! At the start all of it is read once; from then on only what has changed. Reading and putting
//! together happen on the registry's thread.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};

use ipnet::IpNet;
use serde::Deserialize;

use super::documents::{self, WhenFull};
use super::post::Post;
use super::registry::{Busy, Changed, Kind, Registry, Revision, Store, StoreError};
use super::revocations;
use super::sessions::Desk;
use crate::config::FOLLOWED_AT_ONCE;
use crate::live::slate::language;
use crate::messages::Update;
use crate::units::UnixTime;
use crate::viewer::rights::{Country, Limits, Plan, PlanIndex, Standing};
use crate::viewer::{Rights, Terms};

/// What is known of the registry, and what follows from it.
#[derive(Debug, Default)]
struct Known {
    since: Revision,
    epoch: u32,
    /// Contents of bouquets.
    bouquets: BTreeMap<String, Vec<String>>,
    /// Bouquets of plans.
    plans: BTreeMap<String, OfPlan>,
    /// The place of each plan that was ever spoken of, so that none gets another one's subscribers.
    places: BTreeMap<String, PlanIndex>,
    rights: Rights,
    /// That there are slates in.
    languages: Arc<[String]>,
}

/// How subscribers stand; none = gone.
type Stood = Vec<(NonZeroU32, Option<Standing>)>;

/// What matters here of a subscriber's document.
#[derive(Deserialize)]
struct OfSubscriber<'d> {
    #[serde(borrow)]
    plan: Option<Cow<'d, str>>,
    expires: Option<u64>,
    #[serde(borrow)]
    status: Cow<'d, str>,
    networks: Vec<String>,
    agents_allowed: Vec<String>,
    agents_denied: Vec<String>,
    sessions_max: Option<u32>,
    #[serde(borrow)]
    country: Option<Cow<'d, str>>,
    #[serde(borrow, default)]
    language: Option<Cow<'d, str>>,
}

#[derive(Debug, Deserialize)]
struct OfPlan {
    bouquets: Vec<String>,
    sessions_max: u32,
    #[serde(default)]
    when_full: WhenFull,
    #[serde(default)]
    rate_max_kbps: u32,
    #[serde(default)]
    bitrate_max_kbps: u32,
    #[serde(default)]
    catch_up_days: u32,
}

impl OfPlan {
    fn terms(&self) -> Terms {
        let bitrate_max_kbps = match self.bitrate_max_kbps {
            0 => u32::MAX,
            kbps => kbps,
        };
        Terms { bitrate_max_kbps, catch_up_days: self.catch_up_days }
    }
}

#[derive(Deserialize)]
struct OfRevocation {
    until: u64,
}

/// Sessions that were revoked until then; none = not any more.
type Revoked = Vec<(u64, Option<UnixTime>)>;

#[derive(Deserialize)]
struct OfBouquet {
    content: Vec<String>,
}

impl Known {
    /// Takes in what has changed; false if none of it is any shard's business.
    fn follow(&mut self, store: &dyn Store) -> Result<bool, StoreError> {
        let epoch = store.epoch()?;
        if epoch != self.epoch {
            // In a registry that was restored an id may have another number.
            let languages = Arc::clone(&self.languages);
            *self = Self { epoch, languages, ..Self::default() };
        }
        let (since, places) = (self.since, self.places.len());
        let (mut subscribers, mut revoked): (Stood, Revoked) = Default::default();
        let mut plans_changed = false;
        if since == Revision(0) {
            plans_changed = true;
            // What is written meanwhile is read once more.
            let newest = store.revision()?;
            self.read_all(store, &mut subscribers)?;
            store.each(Kind::Revocation, &mut |of| {
                revoked.extend(revocation(of.id, Some(read(Kind::Revocation, of.id, of.document))));
            })?;
            self.since = newest;
        }
        loop {
            let changes = store.changes(self.since, FOLLOWED_AT_ONCE)?;
            let Some(last) = changes.last() else { break };
            self.since = last.revision;
            for change in changes {
                if change.kind == Kind::Revocation {
                    let until = change.document.is_some().then(|| document(&change));
                    revoked.extend(revocation(&change.id, until));
                    continue;
                }
                plans_changed |= self.take(change, &mut subscribers);
            }
        }
        let is_first = since == Revision(0);
        let matters = is_first || plans_changed || !subscribers.is_empty() || !revoked.is_empty();
        if plans_changed || places != self.places.len() {
            let contents = self.contents();
            self.rights = self.rights.with_plans(contents);
        }
        self.rights = self.rights.with(&subscribers).with_revoked(&revoked);
        Ok(matters)
    }

    /// Reads all that there is.
    fn read_all(&mut self, store: &dyn Store, subscribers: &mut Stood) -> Result<(), StoreError> {
        store.each(Kind::Bouquet, &mut |of| {
            let bouquet = read::<OfBouquet>(Kind::Bouquet, of.id, of.document);
            put(&mut self.bouquets, of.id.to_owned(), bouquet.map(|of| of.content));
        })?;
        store.each(Kind::Plan, &mut |of| {
            let plan = read::<OfPlan>(Kind::Plan, of.id, of.document);
            put(&mut self.plans, of.id.to_owned(), plan);
        })?;
        store.each(Kind::Subscriber, &mut |of| {
            let subscriber = read::<OfSubscriber>(Kind::Subscriber, of.id, of.document);
            subscribers.extend(self.subscriber(of.number, subscriber));
        })
    }

    /// Takes in a change; true if what plans hold may be other now.
    fn take(&mut self, change: Changed, subscribers: &mut Stood) -> bool {
        match change.kind {
            Kind::Subscriber => {
                let subscriber = document::<OfSubscriber>(&change);
                subscribers.extend(self.subscriber(change.number, subscriber));
                return false;
            }
            Kind::Plan => {
                let plan = document::<OfPlan>(&change);
                put(&mut self.plans, change.id, plan);
            }
            Kind::Bouquet => {
                let bouquet = document::<OfBouquet>(&change).map(|of| of.content);
                put(&mut self.bouquets, change.id, bouquet);
            }
            Kind::SigningKey
            | Kind::Category
            | Kind::Channel
            | Kind::Asset
            | Kind::Series
            | Kind::Episode
            | Kind::AppPasswords
            | Kind::PortalPassword
            | Kind::Ban
            | Kind::Revocation
            | Kind::GuideSource
            | Kind::GuideChannel
            | Kind::Admin
            | Kind::ApiKey => return false,
        }
        true
    }

    fn subscriber(
        &mut self,
        number: Option<u32>,
        subscriber: Option<OfSubscriber<'_>>,
    ) -> Option<(NonZeroU32, Option<Standing>)> {
        let number = number.and_then(NonZeroU32::new)?;
        let standing = subscriber.map(|of| Standing {
            limits: limits(&of).map(Arc::new),
            plan: of.plan.map(|plan| self.place(&plan)),
            expires: of.expires.map(UnixTime),
            is_blocked: of.status == "blocked",
            sessions_max: of.sessions_max,
            country: of.country.and_then(|country| Country::of_text(&country)),
            language: of.language.and_then(|tag| language(&tag, &self.languages)),
        });
        Some((number, standing))
    }

    fn place(&mut self, plan: &str) -> PlanIndex {
        if let Some(place) = self.places.get(plan) {
            return *place;
        }
        let next = PlanIndex(u32::try_from(self.places.len()).expect("fewer than subscribers"));
        self.places.insert(plan.to_owned(), next);
        next
    }

    /// What each plan holds, in the order of their places.
    fn contents(&mut self) -> Vec<Plan> {
        let ids: Vec<_> = self.plans.keys().cloned().collect();
        for id in ids {
            self.place(&id);
        }
        let mut contents = vec![Plan::default(); self.places.len()];
        for (id, plan) in &self.plans {
            let bouquets = plan.bouquets.iter().filter_map(|bouquet| self.bouquets.get(bouquet));
            let place = self.places[id].0 as usize;
            let ends_oldest = plan.when_full == WhenFull::EndOldest;
            contents[place] = Plan::of(bouquets.flatten().map(String::as_str))
                .at_places(plan.sessions_max, ends_oldest)
                .at_rate(plan.rate_max_kbps)
                .on(plan.terms());
        }
        contents
    }
}

/// Where and with what a subscriber may watch. What is no network holds nobody.
fn limits(of: &OfSubscriber<'_>) -> Option<Limits> {
    let nobody = IpNet::from(IpAddr::from([0, 0, 0, 0]));
    let network = |text: &String| documents::network(text).unwrap_or(nobody);
    Limits::of(
        of.networks.iter().map(network).collect(),
        of.agents_allowed.iter().map(String::as_str),
        of.agents_denied.iter().map(String::as_str),
    )
}

/// A subscriber's among those that there are slates in.
fn language(tag: &str, languages: &[String]) -> Option<u8> {
    language::lookup(tag, languages).and_then(|at| u8::try_from(at).ok())
}

/// What becomes of a session: none = it is revoked no more. One whose time can't be read is revoked
/// for good: whoever was shut out is not let in by a mistake.
fn revocation(id: &str, document: Option<Option<OfRevocation>>) -> Option<(u64, Option<UnixTime>)> {
    let until = |of: Option<OfRevocation>| of.map_or(UnixTime(u64::MAX), |of| UnixTime(of.until));
    Some((revocations::session(id)?, document.map(until)))
}

fn put<T>(map: &mut BTreeMap<String, T>, id: String, value: Option<T>) {
    match value {
        Some(value) => drop(map.insert(id, value)),
        None => drop(map.remove(&id)),
    }
}

/// What a document says, of which everything else is somebody else's business. One that can't be
/// read gives nobody a right, and keeps nobody else from theirs.
fn document<'d, T: Deserialize<'d>>(change: &'d Changed) -> Option<T> {
    let read = T::deserialize(change.document.as_ref()?);
    understood(read, change.kind, &change.id)
}

/// The same of a text.
fn read<'d, T: Deserialize<'d>>(kind: Kind, id: &str, document: &'d str) -> Option<T> {
    understood(serde_json::from_str(document), kind, id)
}

fn understood<T>(read: serde_json::Result<T>, kind: Kind, id: &str) -> Option<T> {
    read.inspect_err(|error| {
        let kind = kind.word();
        tracing::error!(kind, id, %error, "this is not understood, and gives no rights");
    })
    .ok()
}

/// Tells every shard what subscribers may have, now and whenever it changes.
///
/// # Errors
///
/// The registry failed while it was read for the first time.
pub fn start(
    registry: Registry,
    post: Arc<Post>,
    desk: Arc<Desk>,
    languages: Arc<[String]>,
) -> Result<(), StoreError> {
    let known = Arc::new(Mutex::new(Known { languages, ..Known::default() }));
    let newest = registry.newest();
    let its = Arc::clone(&known);
    let rights = registry
        .ask_now(move |store| followed(&its, store))
        .map_err(|Busy| StoreError("its thread does not answer".to_owned()))??;
    let mut told = Told { desk, all: Vec::new() };
    told.tell(rights, &post);
    tokio::task::spawn_local(async move { follow(registry, newest, known, told, post).await });
    Ok(())
}

/// What subscribers may have after the newest change; none = nothing has changed.
fn followed(known: &Mutex<Known>, store: &mut dyn Store) -> Result<Option<Rights>, StoreError> {
    // An error leaves it where it was, and the same changes are read again.
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(known.follow(store)?.then(|| known.rights.clone()))
}

async fn follow(
    registry: Registry,
    mut newest: tokio::sync::watch::Receiver<Revision>,
    known: Arc<Mutex<Known>>,
    mut told: Told,
    post: Arc<Post>,
) {
    while newest.changed().await.is_ok() {
        let its = Arc::clone(&known);
        match registry.ask(move |store| followed(&its, store)).await {
            Ok(Ok(rights)) => told.tell(rights, &post),
            Ok(Err(error)) => {
                tracing::error!(%error, "what subscribers may have can't be read; the old holds");
            }
            // So much is wanted of it that it will have changed again.
            Err(Busy) => {
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                newest.mark_changed();
            }
        }
    }
}

/// What shards were told, for as long as one of them has it: to free a million subscribers takes
/// longer than a shard may stand still.
struct Told {
    all: Vec<Arc<Rights>>,
    /// Whoever counts sessions is told as well.
    desk: Arc<Desk>,
}

impl Told {
    fn tell(&mut self, rights: Option<Rights>, post: &Post) {
        if let Some(rights) = rights {
            let rights = Arc::new(rights);
            self.desk.take(Arc::clone(&rights));
            post.tell(|| Update::Rights(Arc::clone(&rights)));
            self.all.push(rights);
        }
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
