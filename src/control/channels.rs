//! Channels in the API: how each of them is.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{Response, StatusCode};

use super::admin::Shared;
use super::json::answer;
use super::problem::problem;
use crate::ingest::health::Health;

/// `GET /api/v1/channels`.
pub async fn all(State(shared): State<Shared>) -> Response<Body> {
    match channels(&shared).await {
        Some(channels) => answer(StatusCode::OK, &serde_json::json!({ "channels": channels })),
        None => busy(),
    }
}

/// `GET /api/v1/channels/{id}`.
pub async fn one(State(shared): State<Shared>, Path(id): Path<String>) -> Response<Body> {
    let Some(channels) = channels(&shared).await else { return busy() };
    match channels.into_iter().find(|channel| channel.id == id) {
        Some(channel) => answer(StatusCode::OK, &channel),
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
