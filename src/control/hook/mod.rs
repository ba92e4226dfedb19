//! An operator's back end, which is asked whether a session may begin, and whether somebody may
//! sign in.
//!
//! Questions in, decisions out. What was said is remembered for a while, the same question is put
//! once however many wait for its answer, and a back end that does not answer is left alone; then
//! `hook.on_failure` holds. Who watches already is never asked about.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ahash::{AHashMap, RandomState};
use tokio::sync::{mpsc, oneshot};

use super::geo;
use super::registry::{Kind as Objects, Registry};
use super::tokens::now;
use crate::config::{
    HOOK_ASKERS_MAX, HOOK_FAILED_MS, HOOK_GRACE_MS, HOOK_OF_ONE_MAX, HOOK_REFUSED_MS_MAX,
    HOOK_TOLD_MS, HOOK_VERDICTS_MAX, HOOK_WAITING_MAX, HookUrl, OnFailure, SESSION_ASK_MS,
};
use crate::ops::metrics;
use crate::units::{Ticks, UnixTime};
use crate::viewer::leases::{Asking, Over};
use crate::viewer::rights::Country;
use crate::viewer::session::network;

use breaker::{Breaker, Turn};
use client::{Endpoint, Failure, Question};
use verdicts::{Good, Newest, Verdict};
use wire::{Answer, Body, Event};

mod breaker;
pub mod client;
mod verdicts;
pub mod wire;

/// Who is asked about.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// What for.
    pub event: Event,
    /// The subscriber; none = a token that names nobody.
    pub subscriber: Option<NonZeroU32>,
    /// The device's session, as its token says; 0 where there is none.
    pub token: u64,
    /// What is watched.
    pub content: Option<String>,
    /// Where the viewer is.
    pub address: Option<IpAddr>,
    /// Where that is.
    pub place: geo::Place,
    /// What the player says of itself: the beginning.
    pub agent: Box<[u8]>,
}

/// Stands for a question: a hash with a key of this process, so that nobody can find two questions
/// with the same one.
type Key = u64;

impl Wanted {
    /// What makes it the same question.
    fn key(&self) -> Key {
        static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        let device = (self.subscriber, self.token, self.address.map(network), &self.agent);
        KEYS.hash_one((self.event, device, &self.content))
    }

    fn owner(&self) -> Owner {
        (self.subscriber, self.subscriber.is_none().then_some(self.token))
    }
}

/// What is decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It may begin.
    Allowed(Option<Box<str>>),
    /// The back end says no, for so many milliseconds.
    Refused(Option<Box<str>>, u32),
    /// The back end says nothing, and that is what holds then.
    Unheard(OnFailure),
}

impl Decision {
    /// Why a session may not begin, and for how long it may not, if so.
    #[must_use]
    pub fn over(&self) -> Option<(Over, u32)> {
        match self {
            Self::Allowed(_) | Self::Unheard(OnFailure::Allow) => None,
            Self::Refused(_, for_ms) => Some((Over::Hook, *for_ms)),
            Self::Unheard(OnFailure::Refuse) => Some((Over::Unheard, HOOK_FAILED_MS)),
        }
    }
}

/// What was decided of a subscriber last.
#[derive(Clone, Debug)]
pub struct Last {
    /// When.
    pub at: UnixTime,
    /// What for.
    pub event: Event,
    /// What was to be watched.
    pub content: Option<String>,
    /// From where.
    pub address: Option<IpAddr>,
    /// What came of it.
    pub decision: Decision,
}

/// The back end, or nobody.
pub struct Hook {
    registry: Option<Registry>,
    state: Mutex<State>,
    /// Where its time begins.
    started: Instant,
}

struct State {
    endpoint: Option<Arc<Endpoint>>,
    /// The way to its thread, once there was a back end.
    questions: Option<mpsc::Sender<Question>>,
    breaker: Breaker,
    good: Newest<Key, Good>,
    /// What is being asked.
    asked: AHashMap<Key, Asked>,
    last: Newest<NonZeroU32, Last>,
    counts: BTreeMap<(&'static str, &'static str), u64>,
    /// When it was told last that something went wrong, and how often it did since.
    told: Option<Ticks>,
    untold: u64,
}

/// A question that is being asked.
struct Asked {
    owner: Owner,
    /// Who waits for the answer.
    askers: Vec<oneshot::Sender<Decision>>,
}

/// Whose questions are counted together: a subscriber's, or those of a token that names nobody.
type Owner = (Option<NonZeroU32>, Option<u64>);

/// What became of a question before it was put.
enum First {
    /// It is decided.
    Decided(Decision),
    /// Somebody asks it already, or will do now.
    Waits(oneshot::Receiver<Decision>),
}

impl Hook {
    /// Nobody yet.
    #[must_use]
    pub fn new(registry: Option<Registry>) -> Self {
        let state = State {
            endpoint: None,
            questions: None,
            breaker: Breaker::default(),
            good: Newest::new(HOOK_VERDICTS_MAX),
            asked: AHashMap::new(),
            last: Newest::new(HOOK_VERDICTS_MAX),
            counts: BTreeMap::new(),
            told: None,
            untold: 0,
        };
        Self { registry, state: Mutex::new(state), started: Instant::now() }
    }

    /// From now on it is this one. What another one said is forgotten; false if it is the same.
    pub fn take(&self, new: Option<Arc<Endpoint>>) -> bool {
        let mut state = self.state();
        match (&state.endpoint, &new) {
            (Some(old), Some(new)) if old.is_like(new) => return false,
            (None, None) => return false,
            _ => {}
        }
        if new.is_some() && state.questions.is_none() {
            match client::start() {
                Ok(questions) => state.questions = Some(questions),
                // Each question fails, and what holds then is what the operator chose.
                Err(error) => tracing::error!(%error, "no thread can be made for hook.url"),
            }
        }
        match &new {
            Some(new) => tracing::info!(
                url = new.settings.url.as_ref().map(HookUrl::text),
                "a back end is asked"
            ),
            None => tracing::info!("no back end is asked any more"),
        }
        state.endpoint = new;
        state.breaker = Breaker::default();
        state.good.clear();
        true
    }

    /// What shards ask control about on its account.
    #[must_use]
    pub fn asking(&self) -> Asking {
        let state = self.state();
        let settings = state.endpoint.as_ref().map(|endpoint| &endpoint.settings);
        let Some(settings) = settings else { return Asking::default() };
        let of_logins = settings.asks_logins;
        if !settings.asks_sessions {
            return Asking { of_logins, ..Asking::default() };
        }
        Asking {
            of_all: true,
            within_ms: SESSION_ASK_MS.max(settings.deadline_ms + HOOK_GRACE_MS),
            refuses: settings.on_failure == OnFailure::Refuse,
            of_logins,
        }
    }

    /// Whether there is one that wants to be asked.
    #[must_use]
    pub fn asks(&self, event: Event) -> bool {
        let state = self.state();
        state.endpoint.as_ref().is_some_and(|endpoint| match event {
            Event::Login => endpoint.settings.asks_logins,
            Event::Session => endpoint.settings.asks_sessions,
        })
    }

    /// What was said to this question, if it is still good: nobody has to wait for that.
    pub fn known(&self, wanted: &Wanted) -> Option<Decision> {
        let now = self.now();
        let mut state = self.state();
        let good = state.good.get(&wanted.key()).filter(|good| now < good.until)?.clone();
        state.count(wanted.event, "cached");
        Some(decision(&good, now))
    }

    /// Asks, and says what is decided.
    pub async fn ask(self: &Arc<Self>, wanted: Wanted) -> Decision {
        match self.first(wanted) {
            First::Decided(decision) => decision,
            // Whoever asks tells everybody.
            First::Waits(waits) => waits.await.unwrap_or(Decision::Unheard(OnFailure::Refuse)),
        }
    }

    fn first(self: &Arc<Self>, wanted: Wanted) -> First {
        if let Some(known) = self.known(&wanted) {
            return First::Decided(known);
        }
        let (now, key) = (self.now(), wanted.key());
        let mut state = self.state();
        let Some(endpoint) = state.endpoint.clone() else {
            return First::Decided(Decision::Allowed(None));
        };
        let unheard = Decision::Unheard(endpoint.settings.on_failure);
        let (tell, waits) = oneshot::channel();
        if let Some(Asked { askers, .. }) = state.asked.get_mut(&key) {
            if askers.len() >= HOOK_ASKERS_MAX {
                return First::Decided(unheard);
            }
            askers.push(tell);
            return First::Waits(waits);
        }
        let (why, decided) = match state.turn(&wanted, now) {
            Ok(ask) => {
                state.asked.insert(key, Asked { owner: wanted.owner(), askers: vec![tell] });
                drop(state);
                // Whoever wants it may go away; it is asked to its end.
                let this = Arc::clone(self);
                tokio::task::spawn_local(async move { this.put(endpoint, wanted, ask).await });
                return First::Waits(waits);
            }
            // Nobody is let in without an answer by asking for too many.
            Err(why @ TOO_MANY_OF_ONE) => (why, Decision::Unheard(OnFailure::Refuse)),
            Err(why) => (why, unheard),
        };
        state.count(wanted.event, why);
        state.remember(&wanted, &decided);
        First::Decided(decided)
    }

    async fn put(self: Arc<Self>, endpoint: Arc<Endpoint>, wanted: Wanted, ask: breaker::Ask) {
        let patience = Duration::from_millis(endpoint.settings.deadline_ms);
        let deadline = tokio::time::Instant::now() + patience;
        let asked = async {
            let body = self.body(&endpoint, &wanted).await?;
            let (answer, answered) = oneshot::channel();
            let question = Question { endpoint: Arc::clone(&endpoint), body, deadline, answer };
            let no_turn = |why| Failure::new(client::Kind::NoTurn, why);
            let questions = self.state().questions.clone().ok_or_else(|| no_turn("no thread"))?;
            questions.try_send(question).map_err(|_| no_turn("its queue is full"))?;
            answered.await.map_err(|_| no_turn("its thread has ended"))?
        };
        // Its thread says itself when it is late, unless it has no time for that either.
        let late = deadline + Duration::from_millis(HOOK_GRACE_MS / 4);
        let no_turn = |_| Err(Failure::new(client::Kind::NoTurn, "nobody had time to ask"));
        let outcome = tokio::time::timeout_at(late, asked).await.unwrap_or_else(no_turn);
        self.settle(&endpoint, &wanted, ask, outcome);
    }

    /// What is said of whom: ids are the registry's.
    async fn body(
        &self,
        endpoint: &Endpoint,
        wanted: &Wanted,
    ) -> Result<hyper::body::Bytes, Failure> {
        let (id, external_id) = match (wanted.subscriber, &self.registry) {
            (Some(number), Some(registry)) => {
                let found = registry.ask(move |store| -> Result<_, super::registry::StoreError> {
                    let Some(id) = store.named(Objects::Subscriber, number.get())? else {
                        return Ok((None, None));
                    };
                    let found = store.object(Objects::Subscriber, &id)?;
                    let text =
                        found.and_then(|of| of.document["external_id"].as_str().map(str::to_owned));
                    Ok((Some(id), text))
                });
                let found = found.await.map(|found| found.map_err(|error| error.to_string()));
                let failed = |why: &str| Failure::new(client::Kind::NoTurn, why);
                let found = found.map_err(|_| failed("the registry is busy"))?;
                found.map_err(|error| failed(&error))?
            }
            _ => (None, None),
        };
        let device = (wanted.token != 0).then(|| endpoint.device(wanted.token, &wanted.agent));
        let body = Body {
            version: 1,
            event: wanted.event,
            subscriber: id.as_deref(),
            external_id: external_id.as_deref(),
            content: wanted.content.as_deref(),
            device: device.as_deref(),
            address: wanted.address.map(|address| address.to_canonical()),
            country: wanted.place.country.as_ref().map(Country::text),
            asn: wanted.place.asn,
            agent: &String::from_utf8_lossy(&wanted.agent),
        };
        let body = serde_json::to_vec(&body);
        Ok(body.expect("texts and numbers are JSON").into())
    }

    /// What came of a question, for all that wait for it.
    fn settle(
        &self,
        endpoint: &Arc<Endpoint>,
        wanted: &Wanted,
        ask: breaker::Ask,
        outcome: Result<Answer, Failure>,
    ) {
        let (now, key) = (self.now(), wanted.key());
        let mut state = self.state();
        // Another one may be asked by now, which has failed in nothing and has said nothing.
        let is_current = state.endpoint.as_ref().is_some_and(|of| Arc::ptr_eq(of, endpoint));
        if is_current {
            let turn = match &outcome {
                Ok(_) => state.breaker.succeed(ask),
                Err(failure) if failure.kind == client::Kind::NoTurn => {
                    state.breaker.give_back(ask);
                    Turn::None
                }
                Err(_) => state.breaker.fail(ask, now),
            };
            state.tell_of(turn, outcome.as_ref().err(), now);
        }
        let decision = match outcome {
            Ok(Answer { verdict, ttl_ms }) => {
                let settings = &endpoint.settings;
                let usual_ms =
                    if verdict.allow { settings.cache_ms } else { settings.cache_refused_ms };
                state.count(wanted.event, if verdict.allow { "allowed" } else { "refused" });
                let until = now.plus(ttl_ms.unwrap_or(usual_ms));
                let good = Good { verdict, until };
                let decision = decision(&good, now);
                if is_current && now < until {
                    state.good.put(key, good);
                }
                decision
            }
            Err(failure) => {
                state.count(wanted.event, failure.kind.word());
                Decision::Unheard(endpoint.settings.on_failure)
            }
        };
        state.remember(wanted, &decision);
        let asked = state.asked.remove(&key);
        drop(state);
        for asker in asked.into_iter().flat_map(|asked| asked.askers) {
            // It may have given up.
            let _ = asker.send(decision.clone());
        }
    }

    /// What was decided of a subscriber last, since the start.
    #[must_use]
    pub fn last(&self, subscriber: NonZeroU32) -> Option<Last> {
        self.state().last.get(&subscriber).cloned()
    }

    /// What metrics tell; none where nobody is asked.
    #[must_use]
    pub fn figures(&self) -> Option<metrics::Asked> {
        let state = self.state();
        state.endpoint.as_ref()?;
        Some(metrics::Asked {
            outcomes: state.counts.iter().map(|(labels, count)| (*labels, *count)).collect(),
            waiting: state.asked.len() as u64,
            is_left_alone: state.breaker.is_open(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Ticks {
        let ms = self.started.elapsed().as_millis();
        Ticks(u64::try_from(ms).unwrap_or(u64::MAX / 2))
    }
}

/// As metrics have it that somebody asks for too much at once.
const TOO_MANY_OF_ONE: &str = "too-many-of-one";

impl State {
    /// Whether a question may be put; else why not, as metrics have it.
    fn turn(&mut self, wanted: &Wanted, now: Ticks) -> Result<breaker::Ask, &'static str> {
        if self.asked.len() >= HOOK_WAITING_MAX {
            return Err("full");
        }
        let owner = wanted.owner();
        let of_one = self.asked.values().filter(|asked| asked.owner == owner).count();
        if of_one >= HOOK_OF_ONE_MAX {
            return Err(TOO_MANY_OF_ONE);
        }
        self.breaker.ask(now).ok_or("left-alone")
    }

    fn count(&mut self, event: Event, outcome: &'static str) {
        *self.counts.entry((event.word(), outcome)).or_insert(0) += 1;
    }

    fn remember(&mut self, wanted: &Wanted, decision: &Decision) {
        let Some(subscriber) = wanted.subscriber else { return };
        let Wanted { event, address, .. } = *wanted;
        let (content, decision) = (wanted.content.clone(), decision.clone());
        self.last.put(subscriber, Last { at: now(), event, content, address, decision });
    }

    /// A line when it is left alone and when it is there again, and one now and then between.
    fn tell_of(&mut self, turn: Turn, failure: Option<&Failure>, now: Ticks) {
        if turn == Turn::Closed {
            tracing::info!("the back end of hook.url answers again");
        }
        let Some(Failure { kind, detail }) = failure else { return };
        self.untold += 1;
        let (kind, failures) = (kind.word(), self.untold);
        let is_due = self.told.is_none_or(|told| now.since(told) >= HOOK_TOLD_MS);
        if turn == Turn::Opened {
            tracing::error!(kind, detail, failures, "the back end of hook.url is left alone");
        } else if is_due {
            tracing::warn!(kind, detail, failures, "the back end of hook.url failed");
        } else {
            return;
        }
        (self.told, self.untold) = (Some(now), 0);
    }
}

/// What is decided by an answer.
fn decision(good: &Good, now: Ticks) -> Decision {
    let Verdict { allow, reason } = good.verdict.clone();
    if allow {
        return Decision::Allowed(reason);
    }
    let for_ms = good.until.since(now).clamp(u64::from(HOOK_FAILED_MS), HOOK_REFUSED_MS_MAX);
    Decision::Refused(reason, u32::try_from(for_ms).expect("some seconds"))
}

#[cfg(test)]
mod tests;
