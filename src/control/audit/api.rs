//! `GET /api/v1/audit?after=&limit=&since=&actor=`: the audit log, oldest entries first.

use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Told, Wanted};
use crate::config::{LIST_ENTRIES, LIST_ENTRIES_MAX};
use crate::control::admin::Shared;
use crate::control::json::answer;
use crate::control::registry::Busy;
use crate::control::tokens::{busy, failed, nowhere};

/// Which entries are asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Asked {
    /// The number behind which the page begins.
    #[serde(default)]
    after: u64,
    /// How many at most.
    limit: Option<usize>,
    /// None that is older, in seconds since 1970.
    #[serde(default)]
    since: u64,
    /// Only this one's: "server", "local:0".
    actor: Option<String>,
}

/// A page of the log.
#[derive(Serialize, ToSchema)]
struct AuditPage {
    /// The oldest first.
    entries: Vec<Told>,
    /// Where the next page begins; null = there is none.
    next: Option<u64>,
    /// The newest entry of all: its number and what it is sealed with.
    head: String,
}

/// `GET /api/v1/audit`: the audit log, oldest entries first; `next` is where the following page
/// begins, if there is one. A page may be empty and have others behind it: what is looked for is
/// rare.
#[utoipa::path(
    get, path = "/api/v1/audit", tag = "registry",
    params(Asked),
    responses((status = 200, body = AuditPage))
)]
pub async fn all(State(shared): State<Shared>, Query(asked): Query<Asked>) -> Response<Body> {
    let Some(signer) = &shared.signer else { return nowhere() };
    let most = asked.limit.unwrap_or(LIST_ENTRIES).clamp(1, LIST_ENTRIES_MAX);
    let Asked { after, since, actor, .. } = asked;
    let wanted = Wanted { after, since, actor, most };
    match signer.registry().ask(move |store| store.audited(&wanted)).await {
        Ok(Ok(page)) => answer(
            StatusCode::OK,
            &AuditPage { entries: page.entries, next: page.next, head: page.head.to_string() },
        ),
        Ok(Err(error)) => failed(&error),
        Err(Busy) => busy(),
    }
}
