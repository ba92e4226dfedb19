//! `GET /api/v1/changes?since=&limit=&wait=`: what has changed in the registry after a revision.
//!
//! Whoever follows it asks again with `next`. With `wait` (seconds) an answer that would be empty
//! is held until there is something, or that time is over. Secrets are not told.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::admin::Shared;
use super::json::answer;
use super::problem::problem;
use super::registry::{Busy, Changed, Registry, Revision, StoreError};
use super::sealed;
use super::tokens::{busy, failed, nowhere};
use crate::config::{FEED_WAIT_SECONDS_MAX, LIST_ENTRIES_MAX};

/// What is asked of it.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Asked {
    /// The revision that is known.
    #[serde(default)]
    since: u64,
    /// How many changes at most.
    limit: Option<usize>,
    /// How long to wait for one, in seconds.
    #[serde(default)]
    wait: u64,
}

/// `GET /api/v1/changes`: what has changed in the registry after a revision. Who follows it asks
/// again with `next`, and with `wait` is held until there is something.
#[utoipa::path(
    get, path = "/api/v1/changes", tag = "registry",
    params(Asked),
    responses(
        (status = 200, body = Changes),
        (status = 410, description = "There was no such revision."),
    )
)]
pub async fn changes(State(shared): State<Shared>, Query(asked): Query<Asked>) -> Response<Body> {
    let Some(signer) = &shared.signer else { return nowhere() };
    let registry = signer.registry();
    let mut newest = registry.newest();
    let wait = Duration::from_secs(asked.wait.min(FEED_WAIT_SECONDS_MAX));
    let limit = asked.limit.unwrap_or(LIST_ENTRIES_MAX).clamp(1, LIST_ENTRIES_MAX);
    let until = tokio::time::Instant::now() + wait;
    let mut since = asked.since;
    loop {
        let (known, changes) = match since_then(registry, since, limit).await {
            Ok(Ok(read)) => read,
            Ok(Err(error)) => return failed(&error),
            Err(Busy) => return busy(),
        };
        if since > known.0 {
            return problem(
                StatusCode::GONE,
                "since: there was no such revision; another registry stands here: begin at 0",
            );
        }
        let next = changes.last().map_or(known.0, |change| change.revision.0);
        let told: Vec<_> = changes.into_iter().filter(is_public).map(told).collect();
        if !told.is_empty() || tokio::time::Instant::now() >= until {
            return answer(StatusCode::OK, &Changes { changes: told, next });
        }
        since = next;
        // Nothing is missed: what was committed after the receiver was made wakes it at once.
        let changed = newest.wait_for(|newest| newest.0 > since);
        drop(tokio::time::timeout_at(until, changed).await);
    }
}

/// The newest revision, and changes after this one.
async fn since_then(
    registry: &Registry,
    since: u64,
    limit: usize,
) -> Result<Result<(Revision, Vec<Changed>), StoreError>, Busy> {
    registry.ask(move |store| Ok((store.revision()?, store.changes(Revision(since), limit)?))).await
}

fn is_public(change: &Changed) -> bool {
    !change.kind.is_secret()
}

/// Some of what has changed.
#[derive(Serialize, ToSchema)]
struct Changes {
    /// In their order; of an object only the newest.
    changes: Vec<Change>,
    /// The revision to ask with next.
    next: u64,
}

/// What became of an object.
#[derive(Serialize, ToSchema)]
struct Change {
    /// The write that it became so by.
    revision: u64,
    /// What it is.
    kind: &'static str,
    /// Its name among those of its kind.
    id: String,
    /// Its number, if it has one.
    number: Option<u32>,
    /// What it says; null = it is gone.
    #[schema(value_type = Option<Object>)]
    document: Option<Value>,
}

fn told(change: Changed) -> Change {
    let Changed { revision, kind, id, number, document } = change;
    let document = document.map(|document| sealed::told(kind, document));
    Change { revision: revision.0, kind: kind.word(), id, number, document }
}
