//! What there is to watch for whoever is signed in, what is on, and the token that it is watched
//! with: `/api/v1/channels`, `…/guide`, `…/films`, `…/series`, `…/play`.

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, Response, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Portal;
use super::door::{self, Caller, Problem};
use super::shelf::{Books, Unread, category_told, details_told};
use crate::config::portal::{GUIDE_CHANNELS_AT_ONCE_MAX, GUIDE_SECONDS_AT_ONCE_MAX};
use crate::config::{LIST_ENTRIES, LIST_ENTRIES_MAX};
use crate::control::inside::unix_now;
use crate::control::json::answer;
use crate::control::problem::{problem, problem_with};
use crate::control::registry::StoreError;
use crate::middleware::content::{Asset, Held, Shown, Sorts};
use crate::units::UnixTime;

/// Asks the thread that knows it, for the plan of whoever asks.
async fn asked<T: Send + 'static>(
    portal: &Portal,
    caller: &Caller,
    work: impl FnOnce(&mut Books, &str) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Problem> {
    let Some(shelf) = &portal.0.shelf else { return Err(door::unkept()) };
    let plan = caller.subscriber.document["plan"].as_str().unwrap_or_default().to_owned();
    let asked = shelf.ask(caller.visitor.inside.in_file(), move |books| work(books, &plan));
    asked.await.map_err(|Unread| door::unkept())
}

fn told(text: String) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// `GET /api/v1/channels`: the channels that may be watched, in the order in which they are shown,
/// with what is on.
pub async fn channels(State(portal): State<Portal>, caller: Caller) -> Response<Body> {
    let read = asked(&portal, &caller, |books, plan| books.channels(plan, unix_now())).await;
    read.map_or_else(|problem| problem, |text| told(text.to_string()))
}

/// Which programmes are asked for.
#[derive(Debug, Deserialize)]
pub struct Window {
    /// From this second on, since 1970,
    from: u64,
    /// until this one.
    to: u64,
    /// Ids of channels, with commas between them.
    channels: String,
}

/// `GET /api/v1/guide?channels=&from=&to=`: programmes of some channels.
pub async fn guide(
    State(portal): State<Portal>,
    caller: Caller,
    Query(window): Query<Window>,
) -> Response<Body> {
    let Window { from, to, channels } = window;
    let ids: Vec<String> = channels.split(',').map(str::to_owned).collect();
    if ids.len() > GUIDE_CHANNELS_AT_ONCE_MAX || to.saturating_sub(from) > GUIDE_SECONDS_AT_ONCE_MAX
    {
        let why = format!(
            "up to {GUIDE_CHANNELS_AT_ONCE_MAX} channels and {GUIDE_SECONDS_AT_ONCE_MAX} seconds \
             are told at once"
        );
        return problem(StatusCode::BAD_REQUEST, &why);
    }
    let window = (UnixTime(from), UnixTime(to));
    let read = asked(&portal, &caller, move |books, plan| books.programmes(plan, &ids, window));
    match read.await {
        Ok(programmes) => answer(StatusCode::OK, &json!({ "programmes": programmes })),
        Err(problem) => problem,
    }
}

/// What is looked for.
#[derive(Debug, Deserialize)]
pub struct Search {
    /// Letters of a title.
    text: String,
}

/// `GET /api/v1/guide/search?text=`: programmes with these letters in their titles.
pub async fn search(
    State(portal): State<Portal>,
    caller: Caller,
    Query(Search { text }): Query<Search>,
) -> Response<Body> {
    if text.trim().chars().count() < 2 {
        return answer(StatusCode::OK, &json!({ "programmes": [] }));
    }
    let read =
        asked(&portal, &caller, move |books, plan| books.search(plan, text.trim(), unix_now()));
    match read.await {
        Ok(programmes) => answer(StatusCode::OK, &json!({ "programmes": programmes })),
        Err(problem) => problem,
    }
}

/// Which titles are asked for.
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

/// Something with a name, in categories.
trait Titled {
    fn name(&self) -> &str;
    fn categories(&self) -> &[Box<str>];
    fn told(&self) -> Value;
}

impl Titled for Asset {
    fn name(&self) -> &str {
        &self.name
    }
    fn categories(&self) -> &[Box<str>] {
        &self.categories
    }
    fn told(&self) -> Value {
        json!({
            "id": format!("vod/{}", self.id),
            "number": self.number,
            "name": self.name,
            "categories": self.categories,
            "details": details_told(&self.details),
        })
    }
}

impl Titled for Shown {
    fn name(&self) -> &str {
        &self.series.name
    }
    fn categories(&self) -> &[Box<str>] {
        &self.series.categories
    }
    fn told(&self) -> Value {
        let season = |(season, name): &(u16, Box<str>)| json!({ "season": season, "name": name });
        json!({
            "id": &*self.series.id,
            "number": self.series.number,
            "name": self.series.name,
            "categories": self.series.categories,
            "details": details_told(&self.series.details),
            "seasons": self.series.seasons.iter().map(season).collect::<Vec<_>>(),
        })
    }
}

impl Asked {
    /// A page of these, and how many there are in all.
    fn page<'t, T: Titled + 't>(&self, all: impl Iterator<Item = &'t T>) -> (Vec<Value>, usize) {
        let search = self.search.as_ref().map(|text| text.to_lowercase());
        let is_wanted = |of: &&T| {
            let is_in = |id: &String| of.categories().iter().any(|one| **one == **id);
            let is_named = |text: &String| of.name().to_lowercase().contains(text);
            self.category.as_ref().is_none_or(is_in) && search.as_ref().is_none_or(is_named)
        };
        let limit = self.limit.unwrap_or(LIST_ENTRIES).clamp(1, LIST_ENTRIES_MAX);
        let wanted: Vec<_> = all.filter(is_wanted).collect();
        let page = wanted.iter().skip(self.from).take(limit).map(|of| of.told()).collect();
        (page, wanted.len())
    }
}

fn categories(held: &Held, sorts: Sorts) -> Vec<Value> {
    held.categories_of(sorts).map(|category| category_told(category)).collect()
}

/// `GET /api/v1/films?category=&search=&from=&limit=`: some of the films.
pub async fn films(
    State(portal): State<Portal>,
    caller: Caller,
    Query(asked_for): Query<Asked>,
) -> Response<Body> {
    let read = asked(&portal, &caller, move |books, plan| {
        let held = books.held(plan)?;
        let (films, count) = asked_for.page(held.films.iter().map(|film| &**film));
        let categories = categories(&held, Sorts::Film);
        Ok(json!({ "categories": categories, "films": films, "count": count }).to_string())
    });
    read.await.map_or_else(|problem| problem, told)
}

/// `GET /api/v1/series?category=&search=&from=&limit=`: some of the series.
pub async fn series(
    State(portal): State<Portal>,
    caller: Caller,
    Query(asked_for): Query<Asked>,
) -> Response<Body> {
    let read = asked(&portal, &caller, move |books, plan| {
        let held = books.held(plan)?;
        let (series, count) = asked_for.page(held.series.iter());
        let categories = categories(&held, Sorts::Series);
        Ok(json!({ "categories": categories, "series": series, "count": count }).to_string())
    });
    read.await.map_or_else(|problem| problem, told)
}

/// `GET /api/v1/series/{id}`: a series with its episodes.
pub async fn one_series(
    State(portal): State<Portal>,
    caller: Caller,
    Path(id): Path<String>,
) -> Response<Body> {
    let read = asked(&portal, &caller, move |books, plan| {
        let held = books.held(plan)?;
        let Some(shown) = held.series.iter().find(|shown| *shown.series.id == *id) else {
            return Ok(None);
        };
        let episodes = shown.episodes.iter().map(|episode| {
            json!({
                "id": format!("vod/{}", episode.asset),
                "number": episode.number,
                "name": episode.name,
                "categories": [],
                "season": episode.season,
                "episode": episode.episode,
                "details": details_told(&episode.details),
            })
        });
        let episodes: Vec<_> = episodes.collect();
        Ok(Some(json!({ "series": shown.told(), "episodes": episodes }).to_string()))
    });
    match read.await {
        Ok(Some(text)) => told(text),
        Ok(None) => problem(StatusCode::NOT_FOUND, "there is no such series"),
        Err(problem) => problem,
    }
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
    use crate::middleware::content::{Details, Form};

    fn film(name: &str, category: &str) -> Asset {
        Asset {
            number: 1,
            id: name.into(),
            name: name.into(),
            form: Form::Film,
            categories: [category.into()].into(),
            order: 0,
            details: Details::default(),
        }
    }

    #[test]
    fn a_page_is_of_what_is_wanted() {
        let all = [film("Alpha", "a"), film("Beta", "b"), film("Alphabet", "a")];
        let page = |asked: Asked| {
            let (page, count) = asked.page(all.iter());
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
}
