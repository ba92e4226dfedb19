//! The guide in the API: how sources are, which of their channels are which of ours, and what is on.
//!
//! What operators say of it are objects of the registry like others: `guide-sources`, and
//! `guide-channels`, which say by what a channel is found in them and by how much its programmes are
//! moved. What came of it is asked of the guide's own thread, through a bounded queue.

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{Response, StatusCode};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use super::admin::Shared;
use super::json::answer;
use super::problem::problem;
use crate::config::guide::GUIDE_QUESTIONS_MAX;
use crate::config::{LIST_ENTRIES, LIST_ENTRIES_MAX};

/// What is asked of the guide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// How all sources are.
    Sources,
    /// How one is.
    Source(String),
    /// That one is looked at now.
    Refresh(String),
    /// Our channels, and what speaks of them.
    Channels {
        /// The id behind which they begin.
        after: String,
        /// How many at most.
        limit: usize,
        /// Only those without a guide.
        is_unmatched: bool,
    },
    /// One of them, with what it may be.
    Channel(String),
    /// What is on.
    Programmes {
        /// On which channel.
        channel: String,
        /// From this second
        from: u64,
        /// to this one.
        to: u64,
    },
}

/// What is answered, or why not.
pub type Told = Result<Value, (StatusCode, String)>;

/// A question.
#[derive(Debug)]
pub struct Question {
    /// What is asked.
    pub wish: Wish,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Told>,
}

/// Where the guide is asked.
#[derive(Clone, Debug)]
pub struct Desk(mpsc::Sender<Question>);

/// A desk, and what is asked there.
#[must_use]
pub fn desk() -> (Desk, mpsc::Receiver<Question>) {
    let (questions, received) = mpsc::channel(GUIDE_QUESTIONS_MAX);
    (Desk(questions), received)
}

impl Desk {
    async fn ask(&self, wish: Wish) -> Told {
        let (answer, told) = oneshot::channel();
        let busy = || {
            let why = "the guide's thread has too much to do; ask again".to_owned();
            Err((StatusCode::SERVICE_UNAVAILABLE, why))
        };
        if self.0.try_send(Question { wish, answer }).is_err() {
            return busy();
        }
        told.await.unwrap_or_else(|_| busy())
    }
}

/// Its routes. Each has a line in `operators::scope::ROUTES`.
pub fn routes() -> Router<Shared> {
    Router::new()
        .route("/api/v1/guide/sources", get(sources))
        .route("/api/v1/guide/sources/{id}", get(source))
        .route("/api/v1/guide/sources/{id}/refresh", post(refresh))
        .route("/api/v1/guide/channels", get(channels))
        .route("/api/v1/guide/channels/{id}", get(channel))
        .route("/api/v1/guide/programmes", get(programmes))
}

async fn told(shared: &Shared, wish: Wish) -> Response<Body> {
    let Some(desk) = &shared.guide else {
        return problem(StatusCode::NOT_FOUND, "this server keeps no guide: it has no registry");
    };
    match desk.ask(wish).await {
        Ok(value) => answer(StatusCode::OK, &value),
        Err((status, why)) => problem(status, &why),
    }
}

/// `GET /api/v1/guide/sources`: how all sources of guides are, in the order in which they count.
#[utoipa::path(
    get, path = "/api/v1/guide/sources", tag = "guide",
    responses((status = 200, body = Object))
)]
pub async fn sources(State(shared): State<Shared>) -> Response<Body> {
    told(&shared, Wish::Sources).await
}

/// `GET /api/v1/guide/sources/{id}`: how one is; what its last import brought, and what it skipped.
#[utoipa::path(
    get, path = "/api/v1/guide/sources/{id}", tag = "guide",
    params(("id" = String, Path, description = "The source.")),
    responses((status = 200, body = Object), (status = 404, description = "There is none."))
)]
pub async fn source(State(shared): State<Shared>, Path(id): Path<String>) -> Response<Body> {
    told(&shared, Wish::Source(id)).await
}

/// `POST /api/v1/guide/sources/{id}/refresh`: it is looked at now, whenever it would be by itself.
#[utoipa::path(
    post, path = "/api/v1/guide/sources/{id}/refresh", tag = "guide",
    params(("id" = String, Path, description = "The source.")),
    responses((status = 200, body = Object), (status = 404, description = "There is none."))
)]
pub async fn refresh(State(shared): State<Shared>, Path(id): Path<String>) -> Response<Body> {
    told(&shared, Wish::Refresh(id)).await
}

/// Which channels.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Channels {
    /// The id behind which they begin.
    #[serde(default)]
    after: String,
    /// How many at most.
    limit: Option<usize>,
    /// Only those that no source speaks of, with what they may be.
    #[serde(default)]
    unmatched: bool,
}

/// `GET /api/v1/guide/channels?after=&limit=&unmatched=`: which channel of which source speaks of
/// which of ours.
#[utoipa::path(
    get, path = "/api/v1/guide/channels", tag = "guide",
    params(Channels),
    responses((status = 200, body = Object))
)]
pub async fn channels(State(shared): State<Shared>, Query(of): Query<Channels>) -> Response<Body> {
    let limit = of.limit.unwrap_or(LIST_ENTRIES).clamp(1, LIST_ENTRIES_MAX);
    let wish = Wish::Channels { after: of.after, limit, is_unmatched: of.unmatched };
    told(&shared, wish).await
}

/// `GET /api/v1/guide/channels/{id}`: one of our channels, with channels of sources that may be it.
/// Nothing of that is taken before somebody writes it into `guide-channels`.
#[utoipa::path(
    get, path = "/api/v1/guide/channels/{id}", tag = "guide",
    params(("id" = String, Path, description = "The channel.")),
    responses((status = 200, body = Object), (status = 404, description = "There is none."))
)]
pub async fn channel(State(shared): State<Shared>, Path(id): Path<String>) -> Response<Body> {
    told(&shared, Wish::Channel(id)).await
}

/// Which programmes.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Programmes {
    /// On which channel.
    channel: String,
    /// Those that are on from this second of Unix time on; none = now.
    from: Option<u64>,
    /// And before this one; none = a day later.
    to: Option<u64>,
}

/// `GET /api/v1/guide/programmes?channel=&from=&to=`: what is on, of all sources together.
#[utoipa::path(
    get, path = "/api/v1/guide/programmes", tag = "guide",
    params(Programmes),
    responses((status = 200, body = Object), (status = 404, description = "No such channel."))
)]
pub async fn programmes(
    State(shared): State<Shared>,
    Query(of): Query<Programmes>,
) -> Response<Body> {
    let from = of.from.unwrap_or_else(|| super::tokens::now().0);
    let to = of.to.unwrap_or_else(|| from.saturating_add(86_400));
    told(&shared, Wish::Programmes { channel: of.channel, from, to }).await
}
