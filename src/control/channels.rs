//! Channels in the API: as the registry has them, with how each of them is, and where the config
//! file names it.
//!
//! They are objects like others (`objects`), of which those of the config file can't be changed
//! here: 409 with file and line. What is told of how a channel is may be sent back with the rest,
//! and says nothing then.

use std::collections::HashMap;

use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, Response, StatusCode, header};
use serde_json::{Map, Value};

use super::admin::Shared;
use super::audit::Act;
use super::json::answer;
use super::objects::{self, Page, Problem, refused};
use super::problem::problem;
use super::registry::{Kind, Object};
use super::sealed;
use super::secrets::Secrets;
use crate::ingest::health::Health;

/// The name of their kind in addresses.
const PLURAL: &str = "channels";

/// What is told of a channel besides its document.
const TOLD_BESIDES: [&str; 9] = [
    "file",
    "input",
    "segment_ms",
    "part_ms",
    "window_ms",
    "chunks",
    "last_error",
    "ffmpeg",
    "renditions",
];

/// `GET /api/v1/channels?after=&limit=&category=`.
pub async fn all(State(shared): State<Shared>, Query(page): Query<Page>) -> Response<Body> {
    let Some(health) = health(&shared).await else { return busy() };
    if shared.signer.is_none() {
        let told: Vec<_> = health.into_iter().map(Told::of_health).map(Told::value).collect();
        return answer(StatusCode::OK, &serde_json::json!({ PLURAL: told }));
    }
    let (objects, next) = match objects::listed(&shared, Kind::Channel, page).await {
        Ok(listed) => listed,
        Err(problem) => return *problem,
    };
    let mut health: HashMap<_, _> = health.into_iter().map(|of| (of.id.clone(), of)).collect();
    let told = objects.into_iter().map(|object| {
        let health = health.remove(&object.id);
        Told::of(&shared, object, health).value()
    });
    let told: Vec<_> = told.collect();
    answer(StatusCode::OK, &serde_json::json!({ PLURAL: told, "next": next }))
}

/// `GET /api/v1/channels/{id}`.
pub async fn one(State(shared): State<Shared>, Path(id): Path<String>) -> Response<Body> {
    let Some(health) = health(&shared).await else { return busy() };
    let health = health.into_iter().find(|channel| channel.id == id);
    if shared.signer.is_none() {
        let health = health.map(|health| answer(StatusCode::OK, &Told::of_health(health).value()));
        return health.unwrap_or_else(|| problem(StatusCode::NOT_FOUND, "no channel has this id"));
    }
    match objects::found(&shared, Kind::Channel, id).await {
        Ok(object) => {
            let tag = objects::tag(&object);
            let mut response = answer(StatusCode::OK, &Told::of(&shared, object, health).value());
            response.headers_mut().insert(header::ETAG, tag);
            response
        }
        Err(problem) => *problem,
    }
}

/// `POST /api/v1/channels`.
pub async fn create(
    shared: State<Shared>,
    act: Act,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    objects::create(shared, Path(PLURAL.to_owned()), act, headers, body).await
}

/// `PUT /api/v1/channels/{id}`.
pub async fn put(
    shared: State<Shared>,
    Path(id): Path<String>,
    act: Act,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    objects::put(shared, Path((PLURAL.to_owned(), id)), act, headers, body).await
}

/// `PATCH /api/v1/channels/{id}`.
pub async fn patch(
    shared: State<Shared>,
    Path(id): Path<String>,
    act: Act,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    objects::patch(shared, Path((PLURAL.to_owned(), id)), act, headers, body).await
}

/// `DELETE /api/v1/channels/{id}`.
pub async fn remove(
    shared: State<Shared>,
    Path(id): Path<String>,
    act: Act,
    headers: HeaderMap,
) -> Response<Body> {
    objects::remove(shared, Path((PLURAL.to_owned(), id)), act, headers).await
}

/// Whether a channel may be written here.
pub(super) fn may_write(shared: &Shared, id: &str) -> Result<(), Problem> {
    match shared.in_file.borrow().place(id) {
        None => Ok(()),
        Some(place) => Err(refused(StatusCode::CONFLICT, &of_file(id, place))),
    }
}

/// Why a channel of the config file can't be written.
pub(super) fn of_file(id: &str, place: &str) -> String {
    format!("the channel {id:?} is in the config file, {place}: change it there")
}

/// A document that was sent, as it is kept.
///
/// # Errors
///
/// `FIELD: WHY`.
pub(super) fn settled(
    secrets: &Secrets,
    id: &str,
    mut sent: Map<String, Value>,
    found: Option<&Object>,
) -> Result<Map<String, Value>, String> {
    sent.retain(|field, _| !TOLD_BESIDES.contains(&field.as_str()));
    if sent.contains_key("in_file") {
        return Err("in_file: the server alone says that".to_owned());
    }
    sealed::kept(secrets, id, sent, found)
}

/// A channel as it is told.
struct Told {
    object: Value,
    file: Option<String>,
    health: Option<Health>,
}

impl Told {
    fn of(shared: &Shared, object: Object, health: Option<Health>) -> Self {
        let file = shared.in_file.borrow().place(&object.id).map(str::to_owned);
        Self { object: objects::told(object), file, health }
    }

    /// Of one of which nothing else is known.
    fn of_health(health: Health) -> Self {
        Self { object: Value::Null, file: None, health: Some(health) }
    }

    fn value(self) -> Value {
        let health = self.health.and_then(|health| serde_json::to_value(health).ok());
        let mut told = match health {
            Some(Value::Object(health)) => health,
            _ => Map::new(),
        };
        if let Value::Object(object) = self.object {
            // What it is called is the document's to say.
            told.extend(object);
        }
        told.extend(self.file.map(|file| ("file".to_owned(), file.into())));
        Value::Object(told)
    }
}

/// How all of them are; none if the live thread does not come to it.
async fn health(shared: &Shared) -> Option<Vec<Health>> {
    match &shared.desk {
        Some(desk) => desk.ask().await,
        None => Some(Vec::new()),
    }
}

fn busy() -> Response<Body> {
    problem(StatusCode::SERVICE_UNAVAILABLE, "the live thread has too much to do; ask again")
}
