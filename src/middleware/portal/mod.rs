//! The portal: a web app at `/portal/`, and what it asks for below `/api/v1/` of the public port.
//!
//! The app is files that were built into the binary (`files`). What it asks passes the door
//! (`door`): over TLS or from this machine, of no page of somebody else's, and by somebody who is
//! signed in. `signing_in` and `television` are how one gets in, `account`, `shelf` and `liked` what
//! there is inside. What has to outlive a restart is in a file of its own (`store`).

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::map_response;
use axum::routing::{delete, get, post};

use crate::config::REQUEST_BODY_SIZE_MAX;
use crate::control::operators::Backoff;
use crate::control::problem;

mod account;
mod codes;
mod door;
mod files;
mod liked;
mod shelf;
mod signing_in;
mod store;
mod television;

use codes::Codes;
use store::Store;

/// What the handlers share.
#[derive(Clone)]
pub struct Portal(Arc<Shared>);

struct Shared {
    store: Store,
    backoff: Mutex<Backoff>,
    codes: Mutex<Codes>,
    shelves: shelf::Shelves,
    pins: liked::Pins,
    setting_up: account::SettingUp,
    began: Instant,
}

impl Portal {
    /// With what it remembers in a state folder.
    ///
    /// # Errors
    ///
    /// The file can't be opened.
    pub fn open(state: &Path) -> io::Result<Self> {
        Ok(Self(Arc::new(Shared {
            store: Store::open(state)?,
            backoff: Mutex::default(),
            codes: Mutex::default(),
            shelves: shelf::Shelves::default(),
            pins: liked::Pins::default(),
            setting_up: account::SettingUp::default(),
            began: Instant::now(),
        })))
    }

    /// Answers for it; for all that is not its, these others do.
    pub fn router(self, others: Router) -> Router {
        let api = Router::new()
            .route("/session", get(signing_in::session).post(signing_in::sign_in))
            .route("/session/end", post(signing_in::sign_out))
            .route("/session/prove", post(signing_in::prove))
            .route("/tv-codes", post(television::show))
            .route("/tv-codes/fetch", post(television::fetch))
            .route("/tv-codes/look", post(television::look))
            .route("/tv-codes/confirm", post(television::confirm))
            .route("/play", post(shelf::play))
            .route("/channels", get(shelf::channels))
            .route("/films", get(shelf::films))
            .route("/series", get(shelf::series))
            .route("/series/{id}", get(shelf::one_series))
            .route("/preferences", get(liked::preferences).put(liked::prefer))
            .route("/pin", post(liked::try_pin).put(liked::set_pin))
            .route("/positions", get(liked::positions).post(liked::stop_at))
            .route("/account", get(account::account))
            .route("/account/password", post(account::password))
            .route("/account/factor", post(account::factor).delete(account::remove_factor))
            .route("/account/factor/confirm", post(account::confirm_factor))
            .route("/account/apps", post(account::add_app))
            .route("/account/apps/{name}", delete(account::remove_app))
            .route("/sessions", get(account::sessions))
            .route("/sessions/{id}", delete(account::end_session))
            .fallback(problem::unknown)
            .layer(DefaultBodyLimit::max(REQUEST_BODY_SIZE_MAX))
            .layer(map_response(problem::uniform))
            .with_state(self);
        files::router().nest("/api/v1", api).fallback_service(others)
    }

    /// Milliseconds of a clock that never goes back.
    fn ticks(&self) -> u64 {
        u64::try_from(self.0.began.elapsed().as_millis()).unwrap_or(u64::MAX / 2)
    }

    fn store(&self) -> &Store {
        &self.0.store
    }

    fn backoff(&self) -> MutexGuard<'_, Backoff> {
        self.0.backoff.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn codes(&self) -> MutexGuard<'_, Codes> {
        self.0.codes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
