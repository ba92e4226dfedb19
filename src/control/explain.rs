//! `GET /api/v1/subscribers/{id}/explain?content=&from=&agent=`: why a subscriber may have
//! something, or not.
//!
//! Beside that, what was refused last: what shards remember of it, so not over a restart.
//!
//! Every check in the order in which shards make them, up to the one that decides, with what it
//! looked at; the reason is the one that a viewer gets in `X-Shardcast-Reason`.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{Response, StatusCode};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::admin::Shared;
use super::documents::{self, Made};
use super::geo::{Geo, Place};
use super::hook::wire::Event;
use super::hook::{Decision, Last};
use super::json::answer;
use super::problem::problem;
use super::registry::{Busy, Kind, Object, Store, StoreError};
use super::tokens::{busy, failed, now, nowhere};
use crate::live::catchup::address::channel_folder;
use crate::messages::Refused;
use crate::request::authorise::over;
use crate::request::refusal::Refusal;
use crate::request::terms;
use crate::units::UnixTime;
use crate::viewer::rights::{Country, From, Limits, Plan, Wanted};

/// What is asked.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Asked {
    /// `tv/news`, or a path below `vod/`.
    content: Option<String>,
    /// An address to watch from.
    #[param(value_type = Option<String>)]
    from: Option<IpAddr>,
    /// What the player says of itself.
    agent: Option<String>,
}

/// Why a subscriber may have something, or not.
#[derive(Serialize, ToSchema)]
struct Explained {
    /// The subscriber's.
    id: String,
    /// Whether it may.
    allowed: bool,
    /// Why not, as `X-Shardcast-Reason` says it.
    reason: Option<&'static str>,
    /// The check that decided.
    deciding: Option<&'static str>,
    /// In the order in which shards make them, up to the one that decides.
    checks: Vec<Looked>,
    /// What was refused last, the newest first.
    refusals: Vec<Refusals>,
}

/// A check that was made.
#[derive(Serialize, ToSchema)]
#[schema(as = ExplainedCheck)]
struct Looked {
    /// Which.
    check: &'static str,
    /// Whether it passes.
    passes: bool,
    /// What it looked at, for people.
    says: String,
}

/// What was refused.
#[derive(Serialize, ToSchema)]
struct Refusals {
    /// Why, as `X-Shardcast-Reason` says it.
    reason: &'static str,
    /// What was asked for: the beginning of the path, without the token.
    path: String,
    /// From where, if that is known.
    #[schema(value_type = Option<String>)]
    from: Option<IpAddr>,
    /// When first, in seconds since 1970,
    first: u64,
    /// when last,
    last: u64,
    /// and how often.
    count: u64,
}

/// `GET /api/v1/subscribers/{id}/explain`: why a subscriber may have something, or not: every check
/// in order, up to the one that decides, and what was refused last.
#[utoipa::path(
    get, path = "/api/v1/subscribers/{id}/explain", tag = "subscribers",
    params(("id" = String, Path, description = "The subscriber's."), Asked),
    responses(
        (status = 200, body = Explained),
        (status = 404, description = "There is no such subscriber."),
    )
)]
pub async fn explain(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> Response<Body> {
    let Some(signer) = &shared.signer else { return nowhere() };
    let content = asked.content.map(|content| content.trim_start_matches('/').to_owned());
    let is_content = |content: &String| content.starts_with("tv/") || content.starts_with("vod/");
    if content.as_ref().is_some_and(|content| !is_content(content)) {
        let why = "content: write \"tv/news\" or \"vod/films/a\"";
        return problem(StatusCode::BAD_REQUEST, why);
    }
    let banned = asked.from.and_then(|from| shared.guard.ban_of(from));
    let geo = shared.sessions.outside.geo();
    let wanted = content.clone();
    let explained = signer.registry().ask(move |store| {
        let Some(subscriber) = store.object(Kind::Subscriber, &id)? else { return Ok(None) };
        let (content, from, agent) = (content.as_deref(), asked.from, asked.agent);
        let with = With { content, from, agent, banned, geo };
        let checks = checks(store, &subscriber, &with, now())?;
        Ok(Some((subscriber, checks)))
    });
    match explained.await {
        Ok(Ok(Some((subscriber, mut checks)))) => {
            let number = subscriber.number.and_then(NonZeroU32::new);
            if checks.iter().all(|check| check.refusal.is_none()) {
                let last = number.and_then(|number| shared.hook.last(number));
                let is_asked = shared.hook.asks(Event::Session);
                checks.extend(is_asked.then(|| heard(last, wanted.as_deref())));
            }
            let mut explained = told(&subscriber, &checks);
            let refused = match number {
                Some(number) => signer.refusals(number).await,
                None => Vec::new(),
            };
            explained.refusals = refused.iter().map(refusal).collect();
            answer(StatusCode::OK, &explained)
        }
        Ok(Ok(None)) => problem(StatusCode::NOT_FOUND, "no subscriber has this id"),
        Ok(Err(error)) => failed(&error),
        Err(Busy) => busy(),
    }
}

fn refusal(refused: &Refused) -> Refusals {
    let Refused { reason, path, from, first, last, count, .. } = refused;
    let (path, from, count) = (path.to_string(), *from, *count);
    Refusals { reason, path, from, first: first.0, last: last.0, count }
}

/// What it is about.
struct With<'a> {
    content: Option<&'a str>,
    from: Option<IpAddr>,
    agent: Option<String>,
    /// The ban that holds the address.
    banned: Option<(IpNet, Made, String)>,
    /// Where addresses are.
    geo: Arc<Geo>,
}

/// A check that was made.
struct Check {
    name: &'static str,
    says: String,
    /// What a viewer is told if it does not pass.
    refusal: Option<Refusal>,
}

impl Check {
    fn new(name: &'static str, says: impl Into<String>, refusal: Option<Refusal>) -> Self {
        Self { name, says: says.into(), refusal }
    }
}

fn checks(
    store: &dyn Store,
    subscriber: &Object,
    with: &With<'_>,
    now: UnixTime,
) -> Result<Vec<Check>, StoreError> {
    let mut checks = Vec::new();
    let is_over = |checks: &[Check]| checks.last().is_some_and(|check| check.refusal.is_some());
    for step in [address, status, expiry, paid, network, player] {
        checks.extend(step(subscriber, with, now));
        if is_over(&checks) {
            return Ok(checks);
        }
    }
    if let (Some(plan), Some(content)) = (subscriber.document["plan"].as_str(), with.content) {
        let plan = store.object(Kind::Plan, plan)?;
        let held = held(store, plan.as_ref(), content)?;
        let is_held = held.refusal.is_none();
        checks.push(held);
        if let Some(plan) = plan.filter(|_| is_held) {
            checks.extend(bitrate(&plan));
            checks.extend(past(&plan, content, now));
        }
    }
    if !is_over(&checks) {
        checks.extend(country(subscriber, with));
    }
    Ok(checks)
}

/// Whether anything is taken from there; none if nobody is banned there.
fn address(_: &Object, with: &With<'_>, _: UnixTime) -> Option<Check> {
    let (network, made, reason) = with.banned.as_ref()?;
    let (made_by, is_closed) = (made.word(), *made == Made::Hand);
    let mut says = format!("{network} is banned ({made_by})");
    if !is_closed {
        says += ", which is for those without a good token";
    }
    if !reason.is_empty() {
        says += &format!(": {reason}");
    }
    Some(Check::new("address", says, is_closed.then_some(Refusal::Banned)))
}

fn status(subscriber: &Object, _: &With<'_>, _: UnixTime) -> Option<Check> {
    let status = subscriber.document["status"].as_str().unwrap_or_default();
    let refusal = (status == "blocked").then_some(Refusal::SubscriberBlocked);
    Some(Check::new("status", status, refusal))
}

fn expiry(subscriber: &Object, _: &With<'_>, now: UnixTime) -> Option<Check> {
    Some(match subscriber.document["expires"].as_u64().map(UnixTime) {
        None => Check::new("expires", "never", None),
        Some(at) => {
            let refusal = (now >= at).then_some(Refusal::SubscriberExpired);
            Check::new("expires", at.iso(), refusal)
        }
    })
}

fn paid(subscriber: &Object, _: &With<'_>, _: UnixTime) -> Option<Check> {
    Some(match subscriber.document["plan"].as_str() {
        Some(plan) => Check::new("plan", plan, None),
        None => Check::new("plan", "none", Some(Refusal::NotEntitled)),
    })
}

/// Whether it may watch from there; none if it may from anywhere.
fn network(subscriber: &Object, with: &With<'_>, _: UnixTime) -> Option<Check> {
    let all = strings(&subscriber.document["networks"]);
    if all.is_empty() {
        return None;
    }
    let networks: Vec<_> = all.iter().filter_map(|text| documents::network(text)).collect();
    let only = all.join(", ");
    let Some(from) = with.from else {
        let says = format!("only from {only}; from where was not said");
        return Some(Check::new("network", says, None));
    };
    let peer = || Some(from);
    let limits = Limits::of(networks, [], [])?;
    let refusal = limits.hold(&From { peer: &peer, agent: None }).is_err();
    let refusal = refusal.then_some(Refusal::SubscriberElsewhere);
    Some(Check::new("network", format!("{from}; only from {only}"), refusal))
}

/// Whether it may watch with that; none if it may with anything.
fn player(subscriber: &Object, with: &With<'_>, _: UnixTime) -> Option<Check> {
    let list = |name: &str| strings(&subscriber.document[name]);
    let (allowed, denied) = (list("agents_allowed"), list("agents_denied"));
    let words = |words: &'_ [String]| words.join(", ");
    let mut rule = Vec::new();
    if !allowed.is_empty() {
        rule.push(format!("only with {}", words(&allowed)));
    }
    if !denied.is_empty() {
        rule.push(format!("not with {}", words(&denied)));
    }
    let rule = rule.join(", ");
    let (allowed, denied) = (allowed.iter(), denied.iter());
    let limits = Limits::of(Vec::new(), allowed.map(String::as_str), denied.map(String::as_str))?;
    let Some(agent) = &with.agent else {
        let says = format!("{rule}; with what was not said");
        return Some(Check::new("player", says, None));
    };
    let from = From { peer: &|| None, agent: Some(agent.as_bytes()) };
    let refusal = limits.hold(&from).is_err().then_some(Refusal::AgentDenied);
    Some(Check::new("player", format!("{agent:?}; {rule}"), refusal))
}

/// Whether it may watch in the country where that is; none if it may in any, and nothing is known
/// of where it is.
fn country(subscriber: &Object, with: &With<'_>) -> Option<Check> {
    let place = with.from.map(|from| (from, with.geo.place(from)));
    let found = place.as_ref().map(|(from, place)| format!("{from} is in {place}"));
    let check = |says: String, refusal| Some(Check::new("country", says, refusal));
    let Some(only) = subscriber.document["country"].as_str().and_then(Country::of_text) else {
        let is_known = place.is_some_and(|(_, place)| place != Place::default());
        return check(format!("{}; in any", found.filter(|_| is_known)?), None);
    };
    let rule = format!("only in {}", only.text());
    if !with.geo.knows_countries() {
        return check(format!("{rule}; not looked at: there is no geo.country"), None);
    }
    let Some(found) = found else {
        return check(format!("{rule}; from where was not said"), None);
    };
    let refusal = with.geo.hold(only, with.from).err().map(over);
    check(format!("{found}; {rule}"), refusal)
}

/// What the operator's back end said last. It is about what is asked for unless that was something
/// else.
fn heard(last: Option<Last>, content: Option<&str>) -> Check {
    let Some(Last { at, event, content: of, address, decision }) = last else {
        return Check::new("hook", "not asked since the start", None);
    };
    let mut says = format!("{} {}", at.iso(), event.word());
    says.extend(of.as_ref().map(|content| format!(" {content}")));
    says.extend(address.map(|address| format!(" from {address}")));
    let is_about = content.is_none() || of.is_none() || content == of.as_deref();
    let refusal = decision.over().filter(|_| is_about).map(|(why, _)| over(why));
    let reason = match &decision {
        Decision::Allowed(reason) => {
            says += ": allowed";
            reason.as_deref()
        }
        Decision::Refused(reason, _) => {
            says += ": refused";
            reason.as_deref()
        }
        Decision::Unheard(on_failure) => {
            says += &format!(": no answer; hook.on_failure is {}", on_failure.word());
            None
        }
    };
    says.extend(reason.map(|reason| format!(" ({reason})")));
    Check::new("hook", says, refusal)
}

fn strings(value: &Value) -> Vec<String> {
    let entries = value.as_array().into_iter().flatten();
    entries.filter_map(|entry| entry.as_str().map(str::to_owned)).collect()
}

/// Whether a plan holds something, and by which bouquet.
fn held(store: &dyn Store, plan: Option<&Object>, content: &str) -> Result<Check, StoreError> {
    let wanted = match content.strip_prefix("tv/") {
        Some(below) => Wanted::Channel(below.split('/').next().unwrap_or_default()),
        None => Wanted::Object(content.strip_prefix("vod/").unwrap_or_default()),
    };
    let bouquets = plan.map(|plan| strings(&plan.document["bouquets"])).unwrap_or_default();
    for id in &bouquets {
        let Some(bouquet) = store.object(Kind::Bouquet, id)? else { continue };
        let entries = strings(&bouquet.document["content"]);
        if Plan::of(entries.iter().map(String::as_str)).holds(wanted).is_some() {
            return Ok(Check::new("content", format!("{content} is in the bouquet {id}"), None));
        }
    }
    let says = match bouquets.as_slice() {
        [] => format!("{content} is in no bouquet: the plan has none"),
        bouquets => format!("{content} is in none of the plan's: {}", bouquets.join(", ")),
    };
    Ok(Check::new("content", says, Some(Refusal::NotEntitled)))
}

/// Which renditions are offered; none if all of them are. It decides about none of a content, of
/// which the lowest is everybody's.
fn bitrate(plan: &Object) -> Option<Check> {
    let kbps = plan.document["bitrate_max_kbps"].as_u64().filter(|kbps| *kbps > 0)?;
    let says = format!("up to {kbps} kbit/s; what is beyond is refused ({})", {
        Refusal::Bitrate.reason()
    });
    Some(Check::new("bitrate", says, None))
}

/// Whether the past may be watched so far back; none if it is not about what is past.
fn past(plan: &Object, content: &str, now: UnixTime) -> Option<Check> {
    let path = format!("/{content}");
    channel_folder(&path)?;
    let days = plan.document["catch_up_days"].as_u64().unwrap_or(0);
    let needed = u64::from(terms::days_back(&path, now));
    let says = match days {
        0 => "the plan has no catch-up".to_owned(),
        days => format!("the plan goes back {days} days, and this takes {needed}"),
    };
    Some(Check::new("catch-up", says, (needed > days).then_some(Refusal::CatchUp)))
}

fn told(subscriber: &Object, checks: &[Check]) -> Explained {
    let deciding = checks.last().and_then(|check| check.refusal.map(|refusal| (check, refusal)));
    let looked = |Check { name, says, refusal }: &Check| Looked {
        check: name,
        passes: refusal.is_none(),
        says: says.clone(),
    };
    Explained {
        id: subscriber.id.clone(),
        allowed: deciding.is_none(),
        reason: deciding.map(|(_, refusal)| refusal.reason()),
        deciding: deciding.map(|(check, _)| check.name),
        checks: checks.iter().map(looked).collect(),
        refusals: Vec::new(),
    }
}
