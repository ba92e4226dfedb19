//! The portal: a web app at `/portal/`, and what it asks for below `/api/v1/` of the public port.
//!
//! The app is files that were built into the binary (`files`). What it asks passes the door
//! (`door`): over TLS or from this machine, of no page of somebody else's, and by somebody who is
//! signed in. `signing_in` and `television` are how one gets in, `account`, `watching` and
//! `liked` what there is inside. What has to outlive a restart is in a file of its own (`store`).

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::map_response;
use axum::routing::{get, post};

use crate::config::REQUEST_BODY_SIZE_MAX;
use crate::control::operators::Backoff;
use crate::control::problem;
use crate::control::registry::Registry;
use crate::middleware::guide::Guide;

mod account;
mod codes;
mod door;
mod files;
mod liked;
mod shelf;
mod signing_in;
mod store;
mod television;
mod watching;

use codes::Codes;
use shelf::Shelf;
use store::Store;

/// What the handlers share.
#[derive(Clone)]
pub struct Portal(Arc<Shared>);

struct Shared {
    store: Store,
    backoff: Mutex<Backoff>,
    codes: Mutex<Codes>,
    shelf: Option<Shelf>,
    pins: liked::Pins,
    setting_up: account::SettingUp,
    began: Instant,
}

impl Portal {
    /// With what it remembers in a state folder, for what this registry has and this guide says.
    ///
    /// # Errors
    ///
    /// The file can't be opened, or no thread be made.
    pub fn open(state: &Path, registry: Option<&Registry>, guide: Guide) -> io::Result<Self> {
        if !files::are_there() {
            tracing::info!("the portal's pages were not built in: scripts/portal makes them");
        }
        let shelf = registry.map(|registry| Shelf::start(registry.clone(), guide)).transpose()?;
        Ok(Self(Arc::new(Shared {
            store: Store::open(state)?,
            backoff: Mutex::default(),
            codes: Mutex::default(),
            shelf,
            pins: liked::Pins::default(),
            setting_up: account::SettingUp::default(),
            began: Instant::now(),
        })))
    }

    /// Answers for it; for all that is not its, these others do.
    pub fn router(self, others: Router) -> Router {
        // What changes something is a POST: a public port takes no other method with a body.
        let api = Router::new()
            .route("/session", get(signing_in::session).post(signing_in::sign_in))
            .route("/session/end", post(signing_in::sign_out))
            .route("/session/prove", post(signing_in::prove))
            .route("/tv-codes", post(television::show))
            .route("/tv-codes/fetch", post(television::fetch))
            .route("/tv-codes/look", post(television::look))
            .route("/tv-codes/confirm", post(television::confirm))
            .route("/play", post(watching::play))
            .route("/channels", get(watching::channels))
            .route("/guide", get(watching::guide))
            .route("/guide/search", get(watching::search))
            .route("/films", get(watching::films))
            .route("/series", get(watching::series))
            .route("/series/{id}", get(watching::one_series))
            .route("/preferences", get(liked::preferences).post(liked::prefer))
            .route("/pin", post(liked::try_pin))
            .route("/pin/set", post(liked::set_pin))
            .route("/positions", get(liked::positions).post(liked::stop_at))
            .route("/account", get(account::account))
            .route("/account/password", post(account::password))
            .route("/account/factor", post(account::factor))
            .route("/account/factor/remove", post(account::remove_factor))
            .route("/account/factor/confirm", post(account::confirm_factor))
            .route("/account/apps", post(account::add_app))
            .route("/account/apps/remove", post(account::remove_app))
            .route("/sessions", get(account::sessions))
            .route("/sessions/{id}/end", post(account::end_session))
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::request::refusal::Refusal;

    fn words(text: &str) -> BTreeMap<String, String> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn every_refusal_has_a_sentence_and_every_sentence_stands_in_both_languages() {
        let english = words(include_str!("../../../portal/src/words/en.json"));
        let german = words(include_str!("../../../portal/src/words/de.json"));
        assert_eq!(english.keys().collect::<Vec<_>>(), german.keys().collect::<Vec<_>>());
        for refusal in Refusal::ALL {
            let key = format!("reason.{}", refusal.reason());
            for words in [&english, &german] {
                let sentence = words.get(&key).unwrap_or_else(|| panic!("{key} has none"));
                assert!(sentence.ends_with('.'), "{key}: {sentence}");
            }
        }
        let values = |text: &str| -> Vec<String> {
            let parts = text.split('{').skip(1);
            parts.filter_map(|part| part.split_once('}')).map(|(name, _)| name.to_owned()).collect()
        };
        for (key, sentence) in &english {
            let (mut one, mut other) = (values(sentence), values(&german[key]));
            one.sort_unstable();
            other.sort_unstable();
            assert_eq!(one, other, "{key} says the same");
        }
    }
}
