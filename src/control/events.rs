//! `/api/v1/events`: the newest security events, and those of shared tokens among them.

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::admin::Shared;
use super::json::answer;
use super::problem::problem;
use super::registry::{Busy, Kind, Store, StoreError};
use super::tokens::{busy, failed, nowhere};
use crate::config::{LIST_ENTRIES, LIST_ENTRIES_MAX};
use crate::ops::security::Told;

/// Which are asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Asked {
    /// Only those before the one with this number: the `next` of the page before.
    #[serde(default)]
    after: u64,
    /// How many at most.
    limit: Option<usize>,
}

/// Some of the events.
#[derive(Serialize, ToSchema)]
struct EventPage {
    /// The newest first.
    events: Vec<SecurityEvent>,
    /// Behind which one the next page begins; null = there is none.
    next: Option<u64>,
}

/// What happened.
#[derive(Serialize, ToSchema)]
struct SecurityEvent {
    /// Counted from 1 since the server began, which keeps none of before.
    id: u64,
    /// When, in seconds since 1970.
    at: u64,
    /// `credential-refused`, `locked-out`, `flood`, `banned`, `ban-lifted` or `token-shared`.
    event: &'static str,
    /// What the server's log says of it.
    #[schema(value_type = Object)]
    details: Value,
}

/// `GET /api/v1/events`: security events since the server began, the newest first, as many as it
/// keeps.
#[utoipa::path(
    get, path = "/api/v1/events", tag = "guard",
    params(Asked),
    responses((status = 200, body = EventPage))
)]
pub async fn all(State(shared): State<Shared>, Query(asked): Query<Asked>) -> Response<Body> {
    let Some(signer) = &shared.signer else { return nowhere() };
    let most = asked.limit.unwrap_or(LIST_ENTRIES).clamp(1, LIST_ENTRIES_MAX);
    let mut told = shared.guard.events().kept().before(asked.after, most + 1);
    let has_more = told.len() > most;
    told.truncate(most);
    let next = told.last().map(|last| last.number).filter(|_| has_more);
    match signer.registry().ask(move |store| named(store, told)).await {
        Ok(Ok(events)) => answer(StatusCode::OK, &EventPage { events, next }),
        Ok(Err(error)) => failed(&error),
        Err(Busy) => busy(),
    }
}

/// `GET /api/v1/events/{id}`: one of them.
#[utoipa::path(
    get, path = "/api/v1/events/{id}", tag = "guard",
    params(("id" = u64, Path, description = "Its number.")),
    responses(
        (status = 200, body = SecurityEvent),
        (status = 404, description = "There is none, or it is not kept any more."),
    )
)]
pub async fn one(State(shared): State<Shared>, Path(id): Path<u64>) -> Response<Body> {
    let Some(signer) = &shared.signer else { return nowhere() };
    let Some(told) = shared.guard.events().kept().numbered(id) else {
        return problem(StatusCode::NOT_FOUND, "no event that is kept has this number");
    };
    match signer.registry().ask(move |store| named(store, vec![told])).await {
        Ok(Ok(events)) => answer(StatusCode::OK, &events.first()),
        Ok(Err(error)) => failed(&error),
        Err(Busy) => busy(),
    }
}

/// The same with the ids of subscribers.
fn named(store: &dyn Store, told: Vec<Told>) -> Result<Vec<SecurityEvent>, StoreError> {
    let named = |Told { number, at, word, mut details }: Told| {
        if let Some(subscriber) = details["subscriber"].as_u64() {
            let subscriber = u32::try_from(subscriber).unwrap_or(0);
            details["subscriber"] = store.named(Kind::Subscriber, subscriber)?.into();
        }
        Ok(SecurityEvent { id: number, at: at.0, event: word, details })
    };
    told.into_iter().map(named).collect()
}
