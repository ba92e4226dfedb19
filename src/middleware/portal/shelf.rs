//! What there is to watch for whoever is signed in, and the token that it is watched with:
//! `/api/v1/channels`, `/api/v1/films`, `/api/v1/series`, `/api/v1/play`.
//!
//! What a plan holds is read of the registry, and kept for a moment: a household whose televisions
//! are switched on together asks for the same.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Portal;
use super::door::{self, Caller, Problem};
use crate::config::portal::{SHELF_KEPT_MS, SHELVES_MAX};
use crate::config::values;
use crate::config::{LIST_ENTRIES, LIST_ENTRIES_MAX};
use crate::control::inside::{Inside, Refused, unix_now};
use crate::control::json::answer;
use crate::control::lineup::InFile;
use crate::control::problem::{problem, problem_with};
use crate::control::registry::{Kind, Object, Store, StoreError};

/// Milliseconds of a day.
const DAY_MS: u64 = 86_400_000;

/// What a plan holds, as the app is told of it.
#[derive(Debug, Default)]
pub struct Shelf {
    categories: Vec<Value>,
    channels: Vec<Value>,
    films: Vec<Value>,
    series: Vec<Value>,
    episodes: HashMap<String, Vec<Value>>,
}

/// What was read of some plans, and when.
#[derive(Default)]
pub struct Shelves(Mutex<HashMap<String, (u64, Arc<Shelf>)>>);

impl Shelves {
    fn found(&self, plan: &str, now: u64) -> Option<Arc<Shelf>> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, shelf) = all.get(plan)?;
        (now < at + SHELF_KEPT_MS).then(|| Arc::clone(shelf))
    }

    fn keep(&self, plan: &str, shelf: &Arc<Shelf>, now: u64) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= SHELVES_MAX && !all.contains_key(plan) {
            let oldest = all.iter().min_by_key(|(_, (at, _))| *at).map(|(plan, _)| plan.clone());
            oldest.and_then(|oldest| all.remove(&oldest));
        }
        all.insert(plan.to_owned(), (now, Arc::clone(shelf)));
    }
}

/// What whoever asks may watch.
async fn shelf(portal: &Portal, caller: &Caller) -> Result<Arc<Shelf>, Problem> {
    let Some(plan) = caller.subscriber.document["plan"].as_str() else {
        return Ok(Arc::default());
    };
    let now = portal.ticks();
    if let Some(found) = portal.0.shelves.found(plan, now) {
        return Ok(found);
    }
    let inside: &Inside = &caller.visitor.inside;
    let (id, in_file) = (plan.to_owned(), inside.in_file());
    let read = inside.registry().ask(move |store| Shelf::read(store, &id, &in_file)).await;
    let shelf = match read {
        Ok(Ok(shelf)) => Arc::new(shelf),
        Ok(Err(error)) => return Err(door::refused(Refused::Store(error))),
        Err(_) => return Err(door::refused(Refused::Busy)),
    };
    portal.0.shelves.keep(plan, &shelf, now);
    Ok(shelf)
}

impl Shelf {
    fn read(store: &dyn Store, plan: &str, in_file: &InFile) -> Result<Self, StoreError> {
        let Some(plan) = store.object(Kind::Plan, plan)? else { return Ok(Self::default()) };
        let days = plan.document["catch_up_days"].as_u64().unwrap_or(0);
        let mut content = Vec::new();
        for bouquet in texts(&plan.document["bouquets"]) {
            if let Some(bouquet) = store.object(Kind::Bouquet, &bouquet)? {
                content.extend(texts(&bouquet.document["content"]));
            }
        }
        let mut shelf = Self::default();
        let mut seen = BTreeSet::new();
        let mut folders = Vec::new();
        for path in content {
            if let Some(id) = path.strip_prefix("tv/") {
                if seen.insert(id.to_owned())
                    && let Some(channel) = store.object(Kind::Channel, id)?
                {
                    shelf.channels.push(channel_told(&channel, in_file, days));
                }
            } else if let Some(folder) = path.strip_prefix("vod/") {
                folders.push(folder.to_owned());
            }
        }
        shelf.channels.sort_by_key(|of| of["order"].as_i64());
        shelf.read_assets(store, &folders)?;
        shelf.read_categories(store)?;
        Ok(shelf)
    }

    fn read_assets(&mut self, store: &dyn Store, folders: &[String]) -> Result<(), StoreError> {
        let is_held = |id: &str| {
            folders.iter().any(|folder| {
                id.strip_prefix(folder.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
        };
        if folders.is_empty() {
            return Ok(());
        }
        let mut assets = BTreeMap::new();
        store.each(Kind::Asset, &mut |of| {
            if let Ok(document) = serde_json::from_str::<Value>(of.document)
                && is_held(of.id)
            {
                assets.insert(of.id.to_owned(), (of.number, document));
            }
        })?;
        for (id, (number, document)) in &assets {
            if document["form"] == "film" {
                self.films.push(told(&format!("vod/{id}"), *number, document));
            }
        }
        store.each(Kind::Episode, &mut |of| {
            let Ok(document) = serde_json::from_str::<Value>(of.document) else { return };
            let (asset, series) = (document["asset"].as_str(), document["series"].as_str());
            let (Some(asset), Some(series)) = (asset.filter(|id| is_held(id)), series) else {
                return;
            };
            let mut episode = told(&format!("vod/{asset}"), of.number, &document);
            episode["season"] = document["season"].clone();
            episode["episode"] = document["episode"].clone();
            self.episodes.entry(series.to_owned()).or_default().push(episode);
        })?;
        let place = |of: &Value| (of["season"].as_u64(), of["episode"].as_u64());
        self.episodes.values_mut().for_each(|all| all.sort_by_key(place));
        for id in self.episodes.keys() {
            if let Some(Object { number, document, .. }) = store.object(Kind::Series, id)? {
                let mut series = told(id, number, &document);
                series["seasons"] = document["seasons"].clone();
                self.series.push(series);
            }
        }
        for list in [&mut self.films, &mut self.series] {
            list.sort_by_cached_key(|of| (of["order"].as_i64(), of["name"].to_string()));
        }
        Ok(())
    }

    /// The categories that something is in.
    fn read_categories(&mut self, store: &dyn Store) -> Result<(), StoreError> {
        let all = self.channels.iter().chain(&self.films).chain(&self.series);
        let ids: BTreeSet<_> = all.flat_map(|of| texts(&of["categories"])).collect();
        for id in ids {
            if let Some(category) = store.object(Kind::Category, &id)? {
                let Value::Object(mut told) = category.document else { continue };
                told.insert("id".to_owned(), json!(id));
                self.categories.push(Value::Object(told));
            }
        }
        self.categories.sort_by_cached_key(|of| (of["order"].as_i64(), of["name"].to_string()));
        Ok(())
    }
}

fn texts(list: &Value) -> Vec<String> {
    let list = list.as_array().into_iter().flatten();
    list.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// What the app is told of something.
fn told(id: &str, number: Option<u32>, document: &Value) -> Value {
    json!({
        "id": id,
        "number": number,
        "name": document["name"],
        "categories": document["categories"],
        "order": document["order"],
        "details": document["details"],
    })
}

fn channel_told(channel: &Object, in_file: &InFile, days: u64) -> Value {
    let Object { id, number, document, .. } = channel;
    let mut told = told(id, *number, document);
    if told["name"].is_null() {
        told["name"] = json!(id);
    }
    told["logo"] = document["logo"].clone();
    let archive_ms = match in_file.channel(id) {
        Some(channel) => channel.archive.as_ref().map(|archive| archive.age_ms),
        None => document["archive"].as_str().and_then(|text| values::duration_ms(text).ok()),
    };
    let past_ms = archive_ms.unwrap_or(0).min(days.saturating_mul(DAY_MS));
    told["past_s"] = json!(past_ms / 1000);
    told
}

/// `GET /api/v1/channels`: the channels that may be watched, in the order in which they are shown.
pub async fn channels(State(portal): State<Portal>, caller: Caller) -> Response<Body> {
    match shelf(&portal, &caller).await {
        Ok(shelf) => {
            let told = json!({ "categories": shelf.categories, "channels": shelf.channels });
            answer(StatusCode::OK, &told)
        }
        Err(problem) => problem,
    }
}

/// Which films are asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Asked {
    /// In this category.
    category: Option<String>,
    /// With these letters in their names.
    search: Option<String>,
    /// How many are left out before.
    from: usize,
    /// How many at most.
    limit: Option<usize>,
}

impl Asked {
    fn page<'s>(&self, all: &'s [Value]) -> (Vec<&'s Value>, usize) {
        let search = self.search.as_ref().map(|text| text.to_lowercase());
        let is_wanted = |of: &&Value| {
            let in_category = |id: &String| {
                of["categories"].as_array().is_some_and(|ids| ids.iter().any(|one| one == id))
            };
            let is_named = |text: &String| {
                of["name"].as_str().is_some_and(|name| name.to_lowercase().contains(text))
            };
            self.category.as_ref().is_none_or(in_category) && search.as_ref().is_none_or(is_named)
        };
        let wanted: Vec<_> = all.iter().filter(is_wanted).collect();
        let limit = self.limit.unwrap_or(LIST_ENTRIES).clamp(1, LIST_ENTRIES_MAX);
        let count = wanted.len();
        (wanted.into_iter().skip(self.from).take(limit).collect(), count)
    }
}

/// `GET /api/v1/films?category=&search=&from=&limit=`: some of the films.
pub async fn films(
    State(portal): State<Portal>,
    caller: Caller,
    Query(asked): Query<Asked>,
) -> Response<Body> {
    match shelf(&portal, &caller).await {
        Ok(shelf) => {
            let (films, count) = asked.page(&shelf.films);
            let categories = of_sort(&shelf.categories, "film");
            let told = json!({ "categories": categories, "films": films, "count": count });
            answer(StatusCode::OK, &told)
        }
        Err(problem) => problem,
    }
}

/// `GET /api/v1/series?category=&search=&from=&limit=`: some of the series.
pub async fn series(
    State(portal): State<Portal>,
    caller: Caller,
    Query(asked): Query<Asked>,
) -> Response<Body> {
    match shelf(&portal, &caller).await {
        Ok(shelf) => {
            let (series, count) = asked.page(&shelf.series);
            let categories = of_sort(&shelf.categories, "series");
            let told = json!({ "categories": categories, "series": series, "count": count });
            answer(StatusCode::OK, &told)
        }
        Err(problem) => problem,
    }
}

/// `GET /api/v1/series/{id}`: a series with its episodes.
pub async fn one_series(
    State(portal): State<Portal>,
    caller: Caller,
    Path(id): Path<String>,
) -> Response<Body> {
    match shelf(&portal, &caller).await {
        Ok(shelf) => match shelf.series.iter().find(|of| of["id"] == id.as_str()) {
            Some(series) => {
                let told = json!({ "series": series, "episodes": shelf.episodes.get(&id) });
                answer(StatusCode::OK, &told)
            }
            None => problem(StatusCode::NOT_FOUND, "there is no such series"),
        },
        Err(problem) => problem,
    }
}

fn of_sort<'s>(categories: &'s [Value], sorts: &str) -> Vec<&'s Value> {
    categories.iter().filter(|of| of["sorts"] == sorts).collect()
}

/// `POST /api/v1/play`: what stands before the paths of what is watched, and until when: 200. The
/// shards say what of it may be watched, with each request.
pub async fn play(caller: Caller) -> Response<Body> {
    let now = unix_now();
    let device = caller.session.device;
    match caller.visitor.inside.token(&caller.subscriber, device, now) {
        Ok((token, expires)) => {
            let told = json!({ "path": format!("/s/{token}/"), "expires": expires.0 });
            answer(StatusCode::OK, &told)
        }
        Err(why) => {
            let besides = json!({ "reason": "subscriber-expired" });
            problem_with(StatusCode::FORBIDDEN, &why, &besides)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_of_what_is_wanted() {
        let film = |id: &str, category: &str| json!({ "name": id, "categories": [category] });
        let all = [film("Alpha", "a"), film("Beta", "b"), film("Alphabet", "a")];
        let page = |asked: Asked| {
            let (page, count) = asked.page(&all);
            let names: Vec<_> = page.iter().filter_map(|of| of["name"].as_str()).collect();
            (names.join(" "), count)
        };
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(page(Asked::default()), ("Alpha Beta Alphabet".to_owned(), 3));
        let in_a = Asked { category: text("a"), ..Asked::default() };
        assert_eq!(page(in_a), ("Alpha Alphabet".to_owned(), 2));
        let found = Asked { search: text("BET"), from: 1, ..Asked::default() };
        assert_eq!(page(found), ("Alphabet".to_owned(), 2));
        let first = Asked { limit: Some(1), ..Asked::default() };
        assert_eq!(page(first), ("Alpha".to_owned(), 3));
        let beyond = Asked { from: usize::MAX, ..Asked::default() };
        assert_eq!(page(beyond), (String::new(), 3));
    }

    #[test]
    fn what_was_read_is_kept_for_a_moment_and_of_so_many_plans() {
        let shelves = Shelves::default();
        shelves.keep("a", &Arc::default(), 0);
        assert!(shelves.found("a", SHELF_KEPT_MS - 1).is_some());
        assert!(shelves.found("a", SHELF_KEPT_MS).is_none());
        for at in 0..SHELVES_MAX as u64 {
            shelves.keep(&at.to_string(), &Arc::default(), 1 + at);
        }
        assert!(shelves.found("a", 1).is_none());
        assert!(shelves.found("0", 1).is_some());
    }
}
