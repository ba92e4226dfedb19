//! What the admin port answers: metrics, health, and problems for everything else.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::middleware::{from_fn_with_state, map_request, map_response};
use axum::routing::{delete, get, post};
use tokio::sync::{Mutex, watch};

use super::foreign::Exchange;
use super::guard::Guard;
use super::guide;
use super::hook::Hook;
use super::idempotency::Running;
use super::inside::Inside;
use super::lineup::InFile;
use super::operators::{Office, account, admins, api_keys, gate, login, page};
use super::pictures::{self, Pictures};
use super::secrets::Secrets;
use super::sessions::{self, Desk};
use super::tokens::{self, Signer};
use super::{
    Parts, Readiness, Stage, actor, app_passwords, audit, catalogue, channels, events, explain,
    export, feed, import, objects, openapi, portal_password, problem, restore, revocations,
};
use crate::config::{OPERATOR_BODY_SIZE_MAX, REPORT_DEADLINE_MS, REQUEST_BODY_SIZE_MAX};
use crate::ingest;
use crate::ingest::Figures;
use crate::ops::{access_log, metrics, scrape};

/// What the handlers share.
#[derive(Clone)]
pub struct Shared {
    readiness: Arc<Readiness>,
    log: Option<Arc<access_log::Counters>>,
    pushed: Option<Arc<ingest::counts::Table>>,
    /// Where it is asked how channels are; none where there can't be any.
    pub(super) desk: Option<ingest::health::Desk>,
    /// The state folder.
    pub(super) state: PathBuf,
    /// Signs tokens; none without a registry.
    pub(super) signer: Option<Arc<Signer>>,
    /// Where people sign in; none without a registry.
    pub(super) office: Option<Arc<Office>>,
    /// Hashes and seals app passwords; none where the state folder can't be used.
    pub(super) app_passwords: Option<Arc<app_passwords::Keys>>,
    /// Where sessions are counted.
    pub(super) sessions: Arc<Desk>,
    /// An operator's back end.
    pub(super) hook: Arc<Hook>,
    /// Who made tokens that are exchanged.
    pub(super) exchange: Exchange,
    /// Requests with a key that are worked on.
    pub(super) running: Arc<Running>,
    /// What catalogues are made of.
    pub(super) libraries: Arc<catalogue::api::Libraries>,
    /// Stored pictures; none where the state folder can't be used.
    pub(super) pictures: Option<Arc<Pictures>>,
    /// The channels of the config file.
    pub(super) in_file: watch::Receiver<Arc<InFile>>,
    /// Who is kept out.
    pub(super) guard: Arc<Guard>,
    /// Where the guide is asked.
    pub(super) guide: Option<guide::Desk>,
    /// One scrape at a time: a second one waits for the first.
    scraper: Arc<Mutex<scrape::Scraper>>,
}

impl Shared {
    /// Of these parts.
    pub fn new(
        parts: &Parts,
        signer: Option<Arc<Signer>>,
        office: Option<Arc<Office>>,
        sessions: Arc<Desk>,
        guard: Arc<Guard>,
    ) -> Self {
        Self {
            hook: Arc::clone(&sessions.outside.hook),
            sessions,
            office,
            guard,
            guide: parts.guide.clone(),
            app_passwords: app_passwords(&parts.state),
            exchange: parts.exchange.clone(),
            running: Arc::default(),
            libraries: Arc::clone(&parts.titles.libraries),
            pictures: parts.titles.pictures.clone(),
            in_file: watch::channel(Arc::clone(&parts.in_file)).1,
            state: parts.state.clone(),
            signer,
            readiness: Arc::clone(&parts.readiness),
            log: parts.log.clone(),
            pushed: parts.pushed.clone(),
            desk: parts.desk.clone(),
            scraper: Arc::new(Mutex::new(scrape::Scraper::new(parts.outboxes.clone()))),
        }
    }
}

impl Shared {
    /// What the middleware may ask; none without a registry, or without a key for app passwords.
    pub fn inside(&self) -> Option<Arc<Inside>> {
        let (signer, office) = (self.signer.clone()?, self.office.clone()?);
        let desk = Arc::clone(&self.sessions);
        let (keys, in_file) = (self.app_passwords.clone()?, self.in_file.clone());
        Some(Arc::new(Inside::new((signer, office, desk), keys, in_file)))
    }

    /// The same, which follows what the config file says of channels.
    #[must_use]
    pub fn with_channels_of(self, in_file: watch::Receiver<Arc<InFile>>) -> Self {
        Self { in_file, ..self }
    }
}

/// What hashes and seals app passwords, if the state folder can be used.
fn app_passwords(state: &Path) -> Option<Arc<app_passwords::Keys>> {
    match Secrets::open(state) {
        Ok(secrets) => Some(Arc::new(app_passwords::Keys::new(secrets))),
        Err(error) => {
            tracing::error!(%error, "there is no key for app passwords: nobody signs in with one");
            None
        }
    }
}

/// What the port answers: to everybody what scrapers and supervisors ask, and the rest to whoever
/// has signed in or shows a key, as far as `operators::scope` says.
pub fn port(shared: Shared) -> Router {
    let gate = from_fn_with_state(shared.clone(), gate::gate);
    let gated = operated().merge(signing_in()).route_layer(gate);
    seen().merge(page::router()).merge(gated).with_state(shared)
}

/// The same for whoever the kernel lets reach the socket, who need not sign in.
pub fn socket(shared: Shared) -> Router {
    seen().merge(operated().layer(map_request(actor::local))).with_state(shared)
}

/// How people sign in, and what they do with their own.
pub fn signing_in() -> Router<Shared> {
    Router::new()
        .route("/api/v1/login", post(login::login))
        .route("/api/v1/setup", post(login::set_up))
        .route("/api/v1/logout", post(login::logout))
        .route("/api/v1/step-up", post(login::step_up))
        .route("/api/v1/session", get(login::session))
        .route("/api/v1/session/password", post(account::password))
        .route("/api/v1/session/factor", post(account::factor))
        .route("/api/v1/session/factor/confirm", post(account::confirm))
        .route("/api/v1/session/recovery-codes", post(account::recovery_codes))
        .layer(DefaultBodyLimit::max(REQUEST_BODY_SIZE_MAX))
        .layer(map_response(problem::uniform))
}

/// What an operator may do. Each route has a line in `operators::scope::ROUTES`.
pub fn operated() -> Router<Shared> {
    guide::routes()
        .route("/api/v1/admins", get(admins::all).post(admins::create))
        .route("/api/v1/admins/{id}", get(admins::one).patch(admins::patch).delete(admins::remove))
        .route("/api/v1/admins/{id}/password", post(admins::set_password))
        .route("/api/v1/admins/{id}/factor", delete(admins::reset_factor))
        .route("/api/v1/api-keys", get(api_keys::all).post(api_keys::create))
        .route("/api/v1/api-keys/{id}", delete(api_keys::remove))
        .route("/api/v1/channels", get(channels::all).post(channels::create))
        .route(
            "/api/v1/channels/{id}",
            get(channels::one).put(channels::put).patch(channels::patch).delete(channels::remove),
        )
        .route("/api/v1/audit", get(audit::api::all))
        .route("/api/v1/changes", get(feed::changes))
        .route("/api/v1/events", get(events::all))
        .route("/api/v1/events/{id}", get(events::one))
        .route("/api/v1/keys", get(tokens::keys))
        .route("/api/v1/keys/rotate", post(tokens::rotate))
        .route("/api/v1/sessions", get(sessions::api::all))
        .route("/api/v1/sessions/sharing", get(sessions::api::sharing))
        .route("/api/v1/sessions/{id}", get(sessions::api::one).delete(sessions::api::kick))
        .route("/api/v1/tokens", post(tokens::mint))
        .route("/api/v1/tokens/revoke", post(revocations::revoke))
        .route("/api/v1/tokens/{session}", delete(revocations::remove))
        .route("/api/v1/catalogue", post(catalogue::api::make))
        .route("/api/v1/pictures", get(pictures::api::all).post(pictures::api::add))
        .route("/api/v1/pictures/{id}", delete(pictures::api::remove))
        .route("/api/v1/restore", post(restore::restore))
        .route("/api/v1/import", post(import::import))
        .route("/api/v1/export", get(export::export))
        .route("/api/v1/subscribers/{id}/explain", get(explain::explain))
        .route(
            "/api/v1/subscribers/{id}/app-passwords",
            get(app_passwords::api::all).post(app_passwords::api::add),
        )
        .route("/api/v1/subscribers/{id}/app-passwords/{name}", delete(app_passwords::api::remove))
        .route(
            "/api/v1/subscribers/{id}/portal-password",
            get(portal_password::one).put(portal_password::set).delete(portal_password::remove),
        )
        .route("/api/v1/portal-passwords/check", post(portal_password::check))
        .route("/api/v1/app-passwords/check", post(app_passwords::api::check))
        .route("/api/v1/{kind}", get(objects::all).post(objects::create))
        .route(
            "/api/v1/{kind}/{id}",
            get(objects::one).put(objects::put).patch(objects::patch).delete(objects::remove),
        )
        .layer(DefaultBodyLimit::max(OPERATOR_BODY_SIZE_MAX))
        .layer(map_response(problem::uniform))
}

fn seen() -> Router<Shared> {
    Router::new()
        .route("/metrics", get(metrics_text))
        .route(openapi::PATH, get(openapi::told))
        .route("/healthz", get(|| async { text(StatusCode::OK, "alive\n") }))
        .route("/readyz", get(ready))
        .fallback(problem::unknown)
        .method_not_allowed_fallback(|| async {
            problem::problem(StatusCode::METHOD_NOT_ALLOWED, "another method is answered here")
        })
        .layer(DefaultBodyLimit::max(REQUEST_BODY_SIZE_MAX))
}

fn text(status: StatusCode, text: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(text.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn ready(State(shared): State<Shared>) -> Response<Body> {
    match shared.readiness.stage() {
        Stage::Ready => text(StatusCode::OK, "ready\n"),
        Stage::Starting => {
            text(StatusCode::SERVICE_UNAVAILABLE, "starting: the libraries are being read\n")
        }
        Stage::Draining => {
            text(StatusCode::SERVICE_UNAVAILABLE, "draining: running transfers are finished\n")
        }
    }
}

async fn metrics_text(State(shared): State<Shared>) -> Response<Body> {
    let mut scraper = shared.scraper.lock_owned().await;
    let deadline = Duration::from_millis(REPORT_DEADLINE_MS);
    // Waiting for shards blocks, so it does not happen on the thread that answers; nor in tokio's
    // pool, which panics where no thread can be made.
    let (told, tells) = tokio::sync::oneshot::channel();
    let asking = std::thread::Builder::new().name("scrape".to_owned()).spawn(move || {
        let _ = told.send(scraper.scrape(deadline));
    });
    if let Err(error) = asking {
        tracing::error!(%error, "no thread can be made to ask the shards");
        return problem::problem(StatusCode::SERVICE_UNAVAILABLE, "the shards can't be asked now");
    }
    let Ok(reports) = tells.await else {
        return problem::problem(StatusCode::INTERNAL_SERVER_ERROR, "the shards can't be asked");
    };
    let ready = shared.readiness.stage() == Stage::Ready;
    let pushed = shared.pushed.as_deref().map(pushed).unwrap_or_default();
    let desk = &shared.sessions;
    let (sessions, sharing, sent) = (desk.count(), desk.sharing_count(), desk.sent());
    let viewers = metrics::Viewers { sessions, sharing, sent, asked: shared.hook.figures() };
    let metrics = metrics::text(&reports, shared.log.as_deref(), &pushed, (ready, &viewers));
    let mut response = text(StatusCode::OK, metrics);
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
    );
    response
}

/// What encoders pushed, what is kept of it, and what is read for channels.
fn pushed(table: &ingest::counts::Table) -> metrics::Pushed {
    let of = |(channel, figures): (String, Figures)| metrics::Kept {
        channel,
        segments: [
            ("committed", figures.committed),
            ("failed", figures.failed),
            ("dropped", figures.dropped),
        ],
        bytes: figures.size,
    };
    let kept = table.read_archives().into_iter().map(of).collect();
    let (objects, remuxes) = (table.read(), table.remuxes());
    let inputs = table.read_children();
    metrics::Pushed { objects, remuxes, times: Some(table.times()), kept, inputs }
}
