//! `POST /api/v1/catalogue`: what is said of assets is brought up to date with the libraries.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Response, StatusCode};
use serde::Deserialize;
use tokio::sync::oneshot;
use utoipa::ToSchema;

use super::{Maker, Report, made};
use crate::config::{Access, Library};
use crate::control::admin::Shared;
use crate::control::audit::Act;
use crate::control::json::{answer, wanted};
use crate::control::pictures::Pictures;
use crate::control::problem::problem;
use crate::control::registry::Registry;
use crate::control::tokens::{busy, now, nowhere};
use crate::sys::priority;

/// How much the thread gives way to shards.
const NICE: i32 = 10;

/// The libraries as the config has them now, and one catalogue at a time.
#[derive(Debug, Default)]
pub struct Libraries {
    libraries: Mutex<(Vec<Library>, Access)>,
    running: Mutex<()>,
}

impl Libraries {
    /// These are there from now on; who may watch what says nothing else.
    pub fn take(&self, libraries: Vec<Library>, access: Access) {
        *self.libraries.lock().unwrap_or_else(PoisonError::into_inner) = (libraries, access);
    }

    fn now(&self) -> (Vec<Library>, Access) {
        self.libraries.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Brings everything up to date now, and again and again, on a thread of its own.
///
/// # Errors
///
/// No thread can be made.
pub fn keep_up(
    libraries: Arc<Libraries>,
    (registry, pictures): (Registry, Option<Arc<Pictures>>),
    every: Duration,
) -> io::Result<()> {
    let thread = std::thread::Builder::new().name("catalogue".to_owned());
    thread.spawn(move || {
        priority::give_way(NICE);
        loop {
            let maker = Maker {
                registry: registry.clone(),
                pictures: pictures.clone(),
                libraries: libraries.now(),
                act: Act::server(now()),
                is_dry: false,
            };
            let turn = libraries.running.lock().unwrap_or_else(PoisonError::into_inner);
            match made(&maker, None) {
                Ok(report) if report.is_news() => {
                    let Report { added, changed, missing, refused, .. } = report;
                    tracing::info!(
                        added,
                        changed,
                        missing,
                        refused,
                        "the libraries were catalogued"
                    );
                }
                Ok(_) => {}
                Err(why) => tracing::error!(why, "the libraries can't be catalogued"),
            }
            drop(turn);
            std::thread::sleep(every);
        }
    })?;
    Ok(())
}

/// What is to be brought up to date.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = Catalogue)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// The path of a library as the config has it, or of a folder in one; none = all of them.
    #[serde(default)]
    path: Option<String>,
    /// Only say what would become of each title.
    #[serde(default)]
    dry_run: bool,
}

/// `POST /api/v1/catalogue`: assets, series and episodes are made of what the libraries hold, and
/// of the sidecar files there; those that are gone are marked. 200 with what became of each.
#[utoipa::path(
    post, path = "/api/v1/catalogue", tag = "registry",
    request_body = Wanted,
    responses(
        (status = 200, body = Report),
        (status = 409, description = "One is being made."),
    )
)]
pub async fn make(
    State(shared): State<Shared>,
    act: Act,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let Some(signer) = &shared.signer else { return nowhere() };
    let wanted: Wanted = match wanted(&headers, &body) {
        Ok(wanted) => wanted,
        Err(problem) => return problem,
    };
    let libraries = Arc::clone(&shared.libraries);
    let maker = Maker {
        registry: signer.registry().clone(),
        pictures: shared.pictures.clone(),
        libraries: libraries.now(),
        act,
        is_dry: wanted.dry_run,
    };
    let (told, tells) = oneshot::channel();
    let making = std::thread::Builder::new().name("catalogue".to_owned()).spawn(move || {
        let _turn = match libraries.running.try_lock() {
            Ok(turn) => turn,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return drop(told.send(None)),
        };
        priority::give_way(NICE);
        let path = wanted.path.map(PathBuf::from);
        let _ = told.send(Some(made(&maker, path.as_deref())));
    });
    if making.is_err() {
        return busy();
    }
    match tells.await {
        Ok(Some(Ok(report))) => answer(StatusCode::OK, &report),
        Ok(Some(Err(why))) => problem(StatusCode::BAD_REQUEST, &why),
        Ok(None) => problem(StatusCode::CONFLICT, "a catalogue is being made; ask again"),
        Err(_) => busy(),
    }
}
