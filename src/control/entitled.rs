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
mod tests {
    use serde_json::{Value, json};

    use super::super::audit::Act;
    use super::super::documents::{Checked, checked};
    use super::super::registry::{Expected, Sqlite, Write};
    use super::*;
    use crate::viewer::rights::{Bar, From, Wanted};

    const ANYBODY: From<'_> = From { peer: &|| None, agent: None };
    const NOON: UnixTime = UnixTime(1_800_000_000);

    struct Place {
        store: Sqlite,
        known: Known,
        _state: tempfile::TempDir,
    }

    impl Place {
        fn new() -> Self {
            let state = tempfile::tempdir().unwrap();
            let store = Sqlite::open(state.path()).unwrap();
            Self { store, known: Known::default(), _state: state }
        }

        /// Writes as the API does; none = removed.
        fn write(&mut self, kind: Kind, id: &str, document: Option<Value>) {
            let checked = document.map(|document| checked(kind, document).unwrap());
            let (document, references) = checked
                .map(|Checked { document, references }| (document, references))
                .map_or((None, Vec::new()), |(document, references)| (Some(document), references));
            let (id, expected, number) = (id.to_owned(), Expected::Anything, None);
            let write = Write { kind, id, expected, document, number, references };
            self.store.commit(&Act::server(NOON), &[write]).unwrap();
        }

        /// What the subscriber of this number gets of channels, after all that was written.
        #[track_caller]
        fn check(&mut self, number: u32, channels: &[&str], expected: &[&str]) {
            self.known.follow(&self.store).unwrap();
            let number = NonZeroU32::new(number).unwrap();
            let verdict = |channel: &&&str| {
                let wanted = Wanted::Channel(channel);
                self.known.rights.verdict(number, wanted, &ANYBODY, NOON).is_ok()
            };
            let has: Vec<_> = channels.iter().filter(verdict).copied().collect();
            assert_eq!(has, expected);
            // Whoever reads all of it at once knows the same.
            let mut anew = Known::default();
            anew.follow(&self.store).unwrap();
            for channel in channels {
                let verdict = |known: &Known| {
                    let wanted = Wanted::Channel(channel);
                    known.rights.verdict(number, wanted, &ANYBODY, NOON)
                };
                assert_eq!(verdict(&anew), verdict(&self.known), "{channel}");
            }
        }
    }

    #[test]
    fn what_is_no_business_of_shards_is_not_told_to_them() {
        let mut place = Place::new();
        assert_eq!(place.known.follow(&place.store), Ok(true), "what there is at first");
        let drama = json!({ "sorts": "film", "name": "Drama" });
        let episode = json!({ "series": "s", "season": 1, "episode": 1, "asset": "a" });
        for (kind, document, is_told) in [
            (Kind::Bouquet, json!({ "name": "B", "content": ["tv/news"] }), true),
            (Kind::Category, drama, false),
            (Kind::Channel, json!({ "window": "60s" }), false),
            (Kind::Asset, json!({ "name": "A" }), false),
            (Kind::Series, json!({ "name": "S" }), false),
            (Kind::Episode, episode, false),
            (Kind::Plan, json!({ "name": "P", "bouquets": ["s"] }), true),
            (Kind::Subscriber, json!({ "plan": "s" }), true),
        ] {
            place.write(kind, "s", Some(document));
            assert_eq!(place.known.follow(&place.store), Ok(is_told), "{kind:?}");
            assert_eq!(place.known.follow(&place.store), Ok(false), "{kind:?}");
        }
        place.write(Kind::Asset, "s", None);
        assert_eq!(place.known.follow(&place.store), Ok(false));
        place.write(Kind::Subscriber, "s", None);
        assert_eq!(place.known.follow(&place.store), Ok(true));
    }

    #[test]
    fn a_subscriber_s_language_is_one_that_there_are_slates_in() {
        let mut place = Place::new();
        place.known.languages = ["en", "de"].map(str::to_owned).into();
        let expected = [("de-AT", Some(1)), ("EN", Some(0)), ("fr", None)];
        for (id, _) in expected {
            place.write(Kind::Subscriber, id, Some(json!({ "language": id })));
        }
        place.write(Kind::Subscriber, "nobody", Some(json!({})));
        place.known.follow(&place.store).unwrap();
        let language = |number| place.known.rights.language(NonZeroU32::new(number).unwrap());
        let found: Vec<_> = (1..=4).map(language).collect();
        assert_eq!(found, [Some(1), Some(0), None, None]);
        place.write(Kind::Subscriber, "fr", Some(json!({ "language": "de" })));
        place.known.follow(&place.store).unwrap();
        assert_eq!(place.known.rights.language(NonZeroU32::new(3).unwrap()), Some(1));
    }

    #[test]
    fn the_terms_of_a_plan_are_told_and_nothing_is_as_much_as_there_is() {
        let mut place = Place::new();
        place.write(Kind::Bouquet, "b", Some(json!({ "name": "B", "content": ["tv/news"] })));
        place.write(Kind::Plan, "gold", Some(json!({ "name": "P" })));
        place.write(Kind::Subscriber, "anna", Some(json!({ "plan": "gold" })));
        for (more, bitrate_max_kbps, catch_up_days) in [
            (json!({}), u32::MAX, 0),
            (json!({ "bitrate_max_kbps": 3000, "catch_up_days": 7 }), 3000, 7),
        ] {
            let mut plan = json!({ "name": "P", "bouquets": ["b"] });
            plan.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            place.write(Kind::Plan, "gold", Some(plan));
            place.known.follow(&place.store).unwrap();
            let anna = NonZeroU32::new(1).unwrap();
            let wanted = Wanted::Channel("news");
            let held = place.known.rights.verdict(anna, wanted, &ANYBODY, NOON).unwrap();
            assert_eq!(held.terms, Terms { bitrate_max_kbps, catch_up_days });
        }
    }

    #[test]
    fn where_and_with_what_a_subscriber_may_watch_is_told() {
        let mut place = Place::new();
        place.write(Kind::Bouquet, "b", Some(json!({ "name": "B", "content": ["tv/news"] })));
        place.write(Kind::Plan, "gold", Some(json!({ "name": "P", "bouquets": ["b"] })));
        let anna = json!({
            "plan": "gold", "networks": ["192.0.2.0/24", "2001:db8::1"],
            "agents_allowed": ["VLC", "Kodi"], "agents_denied": ["vlc/2"],
            "country": "NL",
        });
        place.write(Kind::Subscriber, "anna", Some(anna));
        place.known.follow(&place.store).unwrap();
        let rights = &place.known.rights;
        let anna = NonZeroU32::new(1).unwrap();
        assert_eq!(rights.country(anna).as_ref().map(Country::text), Some("NL"));
        let verdict = |address: &str, agent: Option<&str>| {
            let address = address.parse().ok();
            let (peer, agent) = (|| address, agent.map(str::as_bytes));
            let from = From { peer: &peer, agent };
            rights.verdict(anna, Wanted::Channel("news"), &from, NOON).err()
        };
        for (address, agent, expected) in [
            ("192.0.2.7", Some("VLC/3.0.20 LibVLC/3.0.20"), None),
            ("::ffff:192.0.2.7", Some("Mozilla/5.0 kodi/21"), None),
            ("2001:db8::1", Some("Kodi"), None),
            ("2001:db8::2", Some("Kodi"), Some(Bar::Elsewhere)),
            ("192.0.3.7", Some("Kodi"), Some(Bar::Elsewhere)),
            ("nowhere", Some("Kodi"), Some(Bar::Elsewhere)),
            ("192.0.2.7", Some("VLC/2.2"), Some(Bar::Agent)),
            ("192.0.2.7", Some("Lavf/60"), Some(Bar::Agent)),
            ("192.0.2.7", Some("VL"), Some(Bar::Agent)),
            ("192.0.2.7", None, Some(Bar::Agent)),
        ] {
            assert_eq!(verdict(address, agent), expected, "{address} {agent:?}");
        }
    }

    #[test]
    fn rights_follow_every_change_of_subscriber_plan_and_bouquet() {
        const ALL: &[&str] = &["news", "sport"];
        let mut place = Place::new();
        let bouquet = |content: &[&str]| Some(json!({ "name": "B", "content": content }));
        let plan = |bouquets: &[&str]| Some(json!({ "name": "P", "bouquets": bouquets }));
        let anna = |plan: &str| Some(json!({ "plan": plan }));
        place.check(1, ALL, &[]);
        place.write(Kind::Bouquet, "basic", bouquet(&["tv/news"]));
        place.write(Kind::Bouquet, "extra", bouquet(&["tv/sport"]));
        place.write(Kind::Plan, "gold", plan(&["basic", "extra"]));
        place.write(Kind::Plan, "iron", plan(&["basic"]));
        place.write(Kind::Subscriber, "anna", anna("iron"));
        place.check(1, ALL, &["news"]);
        place.check(2, ALL, &[]);
        place.write(Kind::Subscriber, "anna", anna("gold"));
        place.check(1, ALL, &["news", "sport"]);
        place.write(Kind::Bouquet, "basic", bouquet(&["tv/music"]));
        place.check(1, ALL, &["sport"]);
        place.write(Kind::Plan, "gold", plan(&[]));
        place.check(1, ALL, &[]);
        place.write(Kind::Plan, "gold", plan(&["extra"]));
        place.write(Kind::Plan, "iron", None);
        place.check(1, ALL, &["sport"]);
        place.write(Kind::Subscriber, "anna", Some(json!({ "plan": "gold", "status": "blocked" })));
        place.check(1, ALL, &[]);
        place.write(Kind::Subscriber, "anna", anna("gold"));
        place.write(Kind::Subscriber, "anna", None);
        place.check(1, ALL, &[]);
        place.write(Kind::Subscriber, "anna", anna("gold"));
        place.check(1, ALL, &[]);
        place.check(2, ALL, &["sport"]);
    }

    #[test]
    fn what_is_not_understood_is_nobodys_but_its_own_loss() {
        let mut place = Place::new();
        let bouquet = json!({ "name": "B", "content": ["tv/news"] });
        place.write(Kind::Bouquet, "basic", Some(bouquet));
        place.write(Kind::Plan, "gold", Some(json!({ "name": "P", "bouquets": ["basic"] })));
        for id in ["anna", "bert"] {
            place.write(Kind::Subscriber, id, Some(json!({ "plan": "gold" })));
        }
        let (kind, id, expected) = (Kind::Subscriber, "anna".to_owned(), Expected::Anything);
        let document = Some(json!({ "plan": 7 }));
        let (number, references) = (None, Vec::new());
        let write = Write { kind, id, expected, document, number, references };
        place.store.commit(&Act::server(NOON), &[write]).unwrap();
        place.check(1, &["news"], &[]);
        place.check(2, &["news"], &["news"]);
    }

    #[test]
    fn what_is_revoked_follows_every_change_and_is_read_at_the_start() {
        let mut place = Place::new();
        let revoked = |known: &Known, session| known.rights.revoked().until(session);
        let follow = |place: &mut Place| {
            place.known.follow(&place.store).unwrap();
            let mut anew = Known::default();
            anew.follow(&place.store).unwrap();
            for session in [7, 8] {
                assert_eq!(revoked(&anew, session), revoked(&place.known, session));
            }
            [7, 8].map(|session| revoked(&place.known, session).map(|until| until.0))
        };
        assert_eq!(follow(&mut place), [None, None]);
        let (seven, eight) = (revocations::text(7), revocations::text(8));
        place.write(Kind::Revocation, &seven, Some(json!({ "until": 100 })));
        assert_eq!(follow(&mut place), [Some(100), None]);
        place.write(Kind::Revocation, &eight, Some(json!({ "until": 200 })));
        place.write(Kind::Revocation, &seven, None);
        assert_eq!(follow(&mut place), [None, Some(200)]);
        // Whoever was shut out is not let in by what is not understood.
        let (kind, id, expected) = (Kind::Revocation, seven, Expected::Anything);
        let document = Some(json!({ "until": "soon" }));
        let (number, references) = (None, Vec::new());
        let write = Write { kind, id, expected, document, number, references };
        place.store.commit(&Act::server(NOON), &[write]).unwrap();
        assert_eq!(follow(&mut place), [Some(u64::MAX), Some(200)]);
    }

    #[test]
    fn what_shards_still_have_is_kept_for_them() {
        let post = Arc::new(Post::new(Vec::new()));
        let (_, limits) = tokio::sync::watch::channel(Arc::default());
        let hook = Arc::new(super::super::hook::Hook::new(None));
        let desk = Arc::new(Desk::new(Arc::clone(&post), limits, hook));
        let mut told = Told { all: Vec::new(), desk };
        told.tell(Some(Rights::default()), &post);
        let shard = Arc::clone(&told.all[0]);
        told.tell(Some(Rights::default()), &post);
        told.tell(None, &post);
        assert_eq!(told.all.len(), 2);
        drop(shard);
        told.tell(None, &post);
        assert_eq!(told.all.len(), 1);
    }
}
