//! What subscribers may have now: their plans, and what those hold.
//!
//! Made in control of the registry, and handed to shards as one immutable value. A newer one shares
//! what has not changed with the one before it, so that one change among a million subscribers
//! costs little to make, and a shard nothing to take.

use std::net::IpAddr;
use std::num::{NonZeroU32, NonZeroU64};
use std::sync::{Arc, LazyLock};

use ahash::{AHashMap, AHashSet, RandomState};
use ipnet::IpNet;

use super::revoked::Revoked;
use super::terms::Terms;
use super::token::is_in;
use crate::units::UnixTime;

/// A plan's place in a table of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PlanIndex(pub u32);

/// How a subscriber stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What was paid for; none = nothing.
    pub plan: Option<PlanIndex>,
    /// Nothing may be had from this second on; none = it never ends.
    pub expires: Option<UnixTime>,
    /// An operator has shut it out.
    pub is_blocked: bool,
    /// Where and with what it may watch; none = anywhere, with anything.
    pub limits: Option<Arc<Limits>>,
    /// At how many places at once, in place of what the plan says; 0 = as many as one likes.
    pub sessions_max: Option<u32>,
    /// The only country where it may watch; none = anywhere. It is looked at when a session begins.
    pub country: Option<Country>,
    /// Which of the languages that there are slates in is its; none = none of them.
    pub language: Option<u8>,
}

/// A country, by its two capital letters (ISO 3166-1 alpha-2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Country([u8; 2]);

impl Country {
    /// Of its letters; none if they are something else.
    #[must_use]
    pub fn of_text(text: &str) -> Option<Self> {
        let letters: [u8; 2] = text.as_bytes().try_into().ok()?;
        letters.iter().all(u8::is_ascii_uppercase).then_some(Self(letters))
    }

    /// Its letters.
    #[must_use]
    pub fn text(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl Standing {
    /// Whether control must be asked before one of its sessions begins.
    fn is_limited(&self, plan: Option<&Plan>) -> bool {
        self.country.is_some() || plan.is_some_and(|plan| self.places_max(plan).is_some())
    }

    /// At how many places at once it may watch; none = as many as it likes.
    fn places_max(&self, plan: &Plan) -> Option<NonZeroU32> {
        NonZeroU32::new(self.sessions_max.unwrap_or(plan.sessions_max))
    }
}

/// Where and with what a subscriber may watch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// In one of these; none = anywhere.
    networks: Vec<IpNet>,
    /// With what says one of these words of itself; none = with anything. In lower case.
    agents_allowed: Vec<Box<str>>,
    /// With nothing that says one of these.
    agents_denied: Vec<Box<str>>,
}

impl Limits {
    /// Of these; none if they limit nothing.
    #[must_use]
    pub fn of<'w>(
        networks: Vec<IpNet>,
        agents_allowed: impl IntoIterator<Item = &'w str>,
        agents_denied: impl IntoIterator<Item = &'w str>,
    ) -> Option<Self> {
        fn lower<'w>(words: impl IntoIterator<Item = &'w str>) -> Vec<Box<str>> {
            words.into_iter().map(|word| word.to_ascii_lowercase().into()).collect()
        }
        let (agents_allowed, agents_denied) = (lower(agents_allowed), lower(agents_denied));
        let limits = Self { networks, agents_allowed, agents_denied };
        (limits != Self::default()).then_some(limits)
    }

    /// Whether who asks from there, with that, is within them.
    ///
    /// # Errors
    ///
    /// `Elsewhere`, `Agent`.
    pub fn hold(&self, from: &From<'_>) -> Result<(), Bar> {
        let is_here = |peer: IpAddr| self.networks.iter().any(|network| is_in(*network, peer));
        if !self.networks.is_empty() && !(from.peer)().is_some_and(is_here) {
            return Err(Bar::Elsewhere);
        }
        let agent = from.agent.unwrap_or_default();
        let says = |words: &[Box<str>]| {
            words.iter().map(|word| word.as_bytes()).any(|word| {
                agent.windows(word.len().max(1)).any(|part| part.eq_ignore_ascii_case(word))
            })
        };
        let is_allowed = self.agents_allowed.is_empty() || says(&self.agents_allowed);
        if !is_allowed || says(&self.agents_denied) {
            return Err(Bar::Agent);
        }
        Ok(())
    }
}

/// Where a request comes from.
#[derive(Clone, Copy)]
pub struct From<'r> {
    /// Its address; it takes a system call to know it.
    pub peer: &'r dyn Fn() -> Option<IpAddr>,
    /// `User-Agent`, if it has one.
    pub agent: Option<&'r [u8]>,
}

/// What a plan lets its subscribers have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Ids of channels.
    channels: AHashMap<Box<str>, Entry>,
    /// Assets, or folders of them: `films/a`, `films`.
    assets: AHashMap<Box<str>, Entry>,
    /// All of them.
    entries: AHashSet<Entry>,
    /// At how many places at once they may be watched; 0 = as many as one likes.
    sessions_max: u32,
    /// Whether one more ends the oldest, and is not refused.
    ends_oldest: bool,
    /// Most that is sent to a session, in kilobits a second.
    rate_max_kbps: Option<NonZeroU32>,
    terms: Terms,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            channels: AHashMap::default(),
            assets: AHashMap::default(),
            entries: AHashSet::default(),
            sessions_max: 0,
            ends_oldest: false,
            rate_max_kbps: None,
            terms: Terms::ALL,
        }
    }
}

/// By what a subscriber has something, and on what terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holding {
    /// What the plan holds it by.
    pub entry: Entry,
    /// What the plan says.
    pub terms: Terms,
    /// Whether control must be asked before its session begins.
    pub is_limited: bool,
}

/// At how many places somebody may watch at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places {
    /// So many.
    pub max: NonZeroU32,
    /// Whether one more ends the oldest, and is not refused.
    pub ends_oldest: bool,
}

/// Stands for one of the paths that a plan holds, in all plans: a hash with a key of this process,
/// so that nobody can find two paths with the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Entry(NonZeroU64);

impl Entry {
    fn of(kind: Kind, path: &str) -> Self {
        static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        let hash = KEYS.hash_one((kind, path));
        Self(NonZeroU64::new(hash).unwrap_or(NonZeroU64::MAX))
    }
}

/// What a path is one of.
#[derive(Hash)]
enum Kind {
    Channel,
    Asset,
}

impl Plan {
    /// With the contents of bouquets: `tv/news`, `vod/films/a`, `vod/films`.
    #[must_use]
    pub fn of<'c>(content: impl IntoIterator<Item = &'c str>) -> Self {
        let mut plan = Self::default();
        for path in content {
            if let Some(channel) = path.strip_prefix("tv/") {
                let entry = Entry::of(Kind::Channel, channel);
                plan.channels.insert(channel.into(), entry);
                plan.entries.insert(entry);
            } else if let Some(asset) = path.strip_prefix("vod/") {
                let entry = Entry::of(Kind::Asset, asset);
                plan.assets.insert(asset.into(), entry);
                plan.entries.insert(entry);
            }
        }
        plan
    }

    /// The same for so many places at once, 0 = as many as one likes, of which one more ends the
    /// oldest, or is refused.
    #[must_use]
    pub fn at_places(self, sessions_max: u32, ends_oldest: bool) -> Self {
        Self { sessions_max, ends_oldest, ..self }
    }

    /// The same with so many kilobits a second for a session at most; 0 = as fast as it takes it.
    #[must_use]
    pub fn at_rate(self, kbps: u32) -> Self {
        Self { rate_max_kbps: NonZeroU32::new(kbps), ..self }
    }

    /// The same on these terms.
    #[must_use]
    pub fn on(self, terms: Terms) -> Self {
        Self { terms, ..self }
    }

    /// On what terms.
    #[must_use]
    pub fn terms(&self) -> Terms {
        self.terms
    }

    /// What it holds this by, if it does.
    #[must_use]
    pub fn holds(&self, wanted: Wanted<'_>) -> Option<Entry> {
        match wanted {
            Wanted::Channel(channel) => self.channels.get(channel).copied(),
            Wanted::Object(path) => {
                let folders = memchr::memchr_iter(b'/', path.as_bytes()).map(|end| &path[..end]);
                folders.chain([path]).find_map(|path| self.assets.get(path)).copied()
            }
        }
    }

    /// Whether it has what another one, or itself some time ago, held something by.
    #[must_use]
    pub fn has(&self, entry: Entry) -> bool {
        self.entries.contains(&entry)
    }
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted<'p> {
    /// Something of this channel.
    Channel(&'p str),
    /// What lies at this path below `/vod/`.
    Object(&'p str),
}

/// Why a subscriber may not have something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bar {
    /// There is no such subscriber, or not any more.
    Unknown,
    /// An operator has shut it out.
    Blocked,
    /// What was paid for has ended.
    Expired,
    /// It may watch in other networks only.
    Elsewhere,
    /// It may not watch with this player.
    Agent,
    /// The plan does not hold it.
    NotInPlan,
    /// The rendition takes more than the plan or the token lets one take.
    Bitrate,
    /// It lies further back than the plan goes.
    Past,
}

/// Everybody's rights at a moment.
#[derive(Clone, Debug, Default)]
pub struct Rights {
    plans: Arc<[Plan]>,
    /// Most subscribers, as they stood some time ago.
    settled: Arc<AHashMap<NonZeroU32, Standing>>,
    /// Those that have changed since; none = gone.
    recent: Arc<AHashMap<NonZeroU32, Option<Standing>>>,
    /// Sessions of tokens that are good for nothing any more.
    revoked: Arc<Revoked>,
}

/// Changes that are kept apart from the settled ones: so many, and a part of all. What is beyond
/// makes the settled ones anew, which takes as long as there are subscribers.
const RECENT_MIN: usize = 1024;
const RECENT_PART: usize = 32;

impl Rights {
    /// How a subscriber stands; none = there is no such.
    #[must_use]
    pub fn standing(&self, subscriber: NonZeroU32) -> Option<&Standing> {
        match self.recent.get(&subscriber) {
            Some(recent) => recent.as_ref(),
            None => self.settled.get(&subscriber),
        }
    }

    /// What a subscriber has paid for and may have now.
    ///
    /// # Errors
    ///
    /// A `Bar`, which is `NotInPlan` for who has paid for nothing.
    pub fn plan(&self, subscriber: NonZeroU32, now: UnixTime) -> Result<&Plan, Bar> {
        self.paid(self.standing(subscriber).ok_or(Bar::Unknown)?, now)
    }

    /// Which of the languages that there are slates in is a subscriber's, if one is.
    #[must_use]
    pub fn language(&self, subscriber: NonZeroU32) -> Option<usize> {
        self.standing(subscriber)?.language.map(usize::from)
    }

    /// At how many places a subscriber may watch at once; none = as many as it likes.
    #[must_use]
    pub fn places(&self, subscriber: NonZeroU32) -> Option<Places> {
        let standing = self.standing(subscriber)?;
        let plan = self.plan_of(standing)?;
        let max = standing.places_max(plan)?;
        Some(Places { max, ends_oldest: plan.ends_oldest })
    }

    fn plan_of(&self, standing: &Standing) -> Option<&Plan> {
        self.plans.get(standing.plan?.0 as usize)
    }

    /// Whether control must be asked before a session of a subscriber begins.
    #[must_use]
    pub fn limits_sessions(&self, subscriber: NonZeroU32) -> bool {
        self.standing(subscriber)
            .is_some_and(|standing| standing.is_limited(self.plan_of(standing)))
    }

    /// The only country where a subscriber may watch; none = anywhere.
    #[must_use]
    pub fn country(&self, subscriber: NonZeroU32) -> Option<Country> {
        self.standing(subscriber)?.country
    }

    /// Most that is sent to a session of a subscriber, in kilobits a second; none = as fast as it
    /// takes it.
    #[must_use]
    pub fn rate_max_kbps(&self, subscriber: NonZeroU32) -> Option<NonZeroU32> {
        self.plan_of(self.standing(subscriber)?)?.rate_max_kbps
    }

    /// Whether any plan has such a cap.
    #[must_use]
    pub fn has_rate_caps(&self) -> bool {
        self.plans.iter().any(|plan| plan.rate_max_kbps.is_some())
    }

    fn paid(&self, standing: &Standing, now: UnixTime) -> Result<&Plan, Bar> {
        if standing.is_blocked {
            return Err(Bar::Blocked);
        }
        if standing.expires.is_some_and(|expires| now >= expires) {
            return Err(Bar::Expired);
        }
        self.plan_of(standing).ok_or(Bar::NotInPlan)
    }

    /// By what, and how, a subscriber, who asks from there, may have something now.
    ///
    /// # Errors
    ///
    /// A `Bar`.
    pub fn verdict(
        &self,
        subscriber: NonZeroU32,
        wanted: Wanted<'_>,
        from: &From<'_>,
        now: UnixTime,
    ) -> Result<Holding, Bar> {
        let standing = self.standing(subscriber).ok_or(Bar::Unknown)?;
        let plan = self.paid(standing, now)?;
        if let Some(limits) = &standing.limits {
            limits.hold(from)?;
        }
        let entry = plan.holds(wanted).ok_or(Bar::NotInPlan)?;
        Ok(Holding { entry, terms: plan.terms, is_limited: standing.is_limited(Some(plan)) })
    }

    /// Sessions of tokens that are good for nothing any more, whatever else they say.
    #[must_use]
    pub fn revoked(&self) -> &Revoked {
        &self.revoked
    }

    /// The same with these sessions revoked until then; none = not any more.
    #[must_use]
    pub fn with_revoked(&self, changed: &[(u64, Option<UnixTime>)]) -> Self {
        if changed.is_empty() {
            return self.clone();
        }
        Self { revoked: Arc::new(self.revoked.with(changed)), ..self.clone() }
    }

    /// The same with these plans.
    #[must_use]
    pub fn with_plans(&self, plans: Vec<Plan>) -> Self {
        Self { plans: plans.into(), ..self.clone() }
    }

    /// The same with these subscribers as they stand now; none = gone.
    #[must_use]
    pub fn with(&self, changed: &[(NonZeroU32, Option<Standing>)]) -> Self {
        let limit = RECENT_MIN + self.settled.len() / RECENT_PART;
        if self.recent.len() + changed.len() <= limit {
            let mut recent = AHashMap::clone(&self.recent);
            recent.extend(changed.iter().cloned());
            return Self { recent: Arc::new(recent), ..self.clone() };
        }
        let mut settled = AHashMap::clone(&self.settled);
        let recent = self.recent.iter().map(|(number, standing)| (*number, standing.clone()));
        for (number, standing) in recent.chain(changed.iter().cloned()) {
            match standing {
                Some(standing) => drop(settled.insert(number, standing)),
                None => drop(settled.remove(&number)),
            }
        }
        Self { settled: Arc::new(settled), recent: Arc::default(), ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const NOON: UnixTime = UnixTime(1_800_000_000);
    const GOLD: PlanIndex = PlanIndex(1);
    const ANYBODY: From<'_> = From { peer: &|| None, agent: None };

    fn number(number: u32) -> NonZeroU32 {
        NonZeroU32::new(number).unwrap()
    }

    fn standing() -> Standing {
        Standing {
            plan: Some(GOLD),
            expires: None,
            is_blocked: false,
            limits: None,
            sessions_max: None,
            country: None,
            language: None,
        }
    }

    fn rights(standing: Standing) -> Rights {
        let gold = Plan::of(["tv/news", "vod/films", "vod/series/a"]);
        let plans = vec![Plan::default(), gold];
        Rights::default().with_plans(plans).with(&[(number(7), Some(standing))])
    }

    #[test]
    fn a_plan_holds_channels_assets_and_folders_of_them() {
        let rights = rights(standing());
        for (wanted, expected) in [
            (Wanted::Channel("news"), Ok(())),
            (Wanted::Channel("newsroom"), Err(Bar::NotInPlan)),
            (Wanted::Object("films/a/1.m4s"), Ok(())),
            (Wanted::Object("films/a.mp4"), Ok(())),
            (Wanted::Object("films"), Ok(())),
            (Wanted::Object("filmstrip/a/1.m4s"), Err(Bar::NotInPlan)),
            (Wanted::Object("series/a/1.m4s"), Ok(())),
            (Wanted::Object("series/b/1.m4s"), Err(Bar::NotInPlan)),
            (Wanted::Object("news"), Err(Bar::NotInPlan)),
        ] {
            let found = rights.verdict(number(7), wanted, &ANYBODY, NOON).map(drop);
            assert_eq!(found, expected, "{wanted:?}");
        }
    }

    #[test]
    fn a_subscriber_is_there_is_let_in_and_has_paid() {
        let at = |seconds| Some(UnixTime(NOON.0 + seconds));
        for (standing, expected) in [
            (standing(), Ok(())),
            (Standing { expires: at(1), ..standing() }, Ok(())),
            (Standing { expires: at(0), ..standing() }, Err(Bar::Expired)),
            (Standing { is_blocked: true, expires: at(0), ..standing() }, Err(Bar::Blocked)),
            (Standing { plan: None, ..standing() }, Err(Bar::NotInPlan)),
            (Standing { plan: Some(PlanIndex(0)), ..standing() }, Err(Bar::NotInPlan)),
            (Standing { plan: Some(PlanIndex(2)), ..standing() }, Err(Bar::NotInPlan)),
        ] {
            let rights = rights(standing.clone());
            let found = rights.verdict(number(7), Wanted::Channel("news"), &ANYBODY, NOON);
            assert_eq!(found.map(drop), expected, "{standing:?}");
            let other = rights.verdict(number(8), Wanted::Channel("news"), &ANYBODY, NOON);
            assert_eq!(other, Err(Bar::Unknown));
        }
    }

    #[test]
    fn who_is_held_to_a_country_or_to_places_is_asked_about() {
        let nl = Country::of_text("NL");
        assert_eq!(nl.map(|nl| nl.text().to_owned()).as_deref(), Some("NL"));
        for wrong in ["", "N", "nl", "NLD", "N1", "\u{c5}"] {
            assert_eq!(Country::of_text(wrong), None, "{wrong}");
        }
        for (standing, expected) in [
            (standing(), false),
            (Standing { country: nl, ..standing() }, true),
            (Standing { country: nl, sessions_max: Some(0), plan: None, ..standing() }, true),
            (Standing { sessions_max: Some(1), ..standing() }, true),
        ] {
            let rights = rights(standing.clone());
            assert_eq!(rights.limits_sessions(number(7)), expected, "{standing:?}");
            assert_eq!(rights.country(number(7)), standing.country);
            assert!(!rights.limits_sessions(number(8)), "there is no such");
        }
        assert!(size_of::<Standing>() <= 48, "{} bytes a subscriber", size_of::<Standing>());
    }

    #[test]
    fn a_million_subscribers_take_so_much() {
        assert_eq!(size_of::<Standing>(), 48);
    }

    #[test]
    fn what_has_not_changed_is_shared() {
        let first = rights(standing());
        let second = first.with(&[(number(8), Some(standing()))]);
        assert!(Arc::ptr_eq(&first.settled, &second.settled));
        assert!(Arc::ptr_eq(&first.plans, &second.plans));
        assert_eq!(first.standing(number(8)), None, "who has the older one sees what it was");
        let many: Vec<_> = (1..=2000).map(|of| (number(of), Some(standing()))).collect();
        let third = second.with(&many);
        assert_eq!((third.settled.len(), third.recent.len()), (2000, 0));
        assert_eq!(third.with(&[(number(1), None)]).recent.len(), 1);
    }

    proptest! {
        #[test]
        fn whoever_is_changed_however_often_stands_as_was_said_last(
            changes in prop::collection::vec(
                prop::collection::vec((1_u32..3000, any::<Option<u32>>()), 1..900), 1..8,
            ),
        ) {
            let mut rights = Rights::default();
            let mut model = BTreeMap::new();
            for batch in changes {
                let told = |(of, plan): &(u32, Option<u32>)| {
                    let plan = plan.map(|plan| Standing { plan: Some(PlanIndex(plan)), ..standing() });
                    (number(*of), plan)
                };
                let batch: Vec<_> = batch.iter().map(told).collect();
                model.extend(batch.iter().cloned());
                rights = rights.with(&batch);
            }
            for of in 1..3000 {
                let expected = model.get(&number(of)).cloned().flatten();
                prop_assert_eq!(rights.standing(number(of)).cloned(), expected);
            }
        }
    }
}
