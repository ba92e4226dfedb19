//! Channels in the API: how each of them is.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;

use super::admin::Shared;
use super::problem::problem;
use crate::ingest::health::Health;

/// `GET /api/v1/channels`.
pub async fn all(State(shared): State<Shared>) -> Response<Body> {
    match channels(&shared).await {
        Some(channels) => json(&serde_json::json!({ "channels": channels })),
        None => busy(),
    }
}

/// `GET /api/v1/channels/{id}`.
pub async fn one(State(shared): State<Shared>, Path(id): Path<String>) -> Response<Body> {
    let Some(channels) = channels(&shared).await else { return busy() };
    match channels.into_iter().find(|channel| channel.id == id) {
        Some(channel) => json(&channel),
        None => problem(StatusCode::NOT_FOUND, "no channel has this id"),
    }
}

/// How all of them are; none if the live thread does not come to it.
async fn channels(shared: &Shared) -> Option<Vec<Health>> {
    match &shared.desk {
        Some(desk) => desk.ask().await,
        None => Some(Vec::new()),
    }
}

fn busy() -> Response<Body> {
    problem(StatusCode::SERVICE_UNAVAILABLE, "the live thread has too much to do; ask again")
}

fn json(value: &impl Serialize) -> Response<Body> {
    let Ok(text) = serde_json::to_string(value) else {
        return problem(StatusCode::INTERNAL_SERVER_ERROR, "this can't be written as JSON");
    };
    let mut response = Response::new(Body::from(format!("{text}\n")));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
