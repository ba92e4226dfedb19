//! Putting a copy in the registry's place: `POST /api/v1/restore`, and the same without a server.

use std::path::{Path, PathBuf};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::actor::Actor;
use super::admin::Shared;
use super::app_passwords::{self, Keys};
use super::audit::Act;
use super::documents;
use super::json::{answer, wanted};
use super::passphrase;
use super::problem::problem;
use super::registry::backup::{self, Copied};
use super::registry::{Busy, Kind, Sqlite, Store as _, StoreError};
use super::secrets::Secrets;
use super::tokens::{busy, failed, now, nowhere};

/// Which copy.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = Restore)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// Its name in the state folder, where it was staged.
    #[schema(pattern = "^restore-[0-9]+\\.db$")]
    file: String,
}

/// What stands since then.
#[derive(Debug, Serialize, ToSchema)]
struct Restored {
    /// The newest write.
    revision: u64,
    /// What tokens of now are signed with: those of before are void.
    epoch: u32,
}

/// `POST /api/v1/restore`: a copy takes the registry's place: 200 with the new revision and epoch,
/// or 400, 404 if no such copy is staged, or 500 that says why it can't be. What was signed before
/// is unknown from then on.
#[utoipa::path(
    post, path = "/api/v1/restore", tag = "registry",
    request_body = Wanted,
    responses((status = 200, body = Restored), (status = 404, description = "There is none."))
)]
pub async fn restore(
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
    if !backup::is_staged(&wanted.file) {
        let why = "file: this is not the name of a staged copy (write restore-1.db)";
        return problem(StatusCode::BAD_REQUEST, why);
    }
    let staged = shared.state.join(wanted.file);
    if !staged.is_file() {
        return problem(StatusCode::NOT_FOUND, "file: no copy of this name is staged");
    }
    let signer = std::sync::Arc::clone(signer);
    match signer.restore(act, staged).await {
        Ok(Ok((revision, epoch))) => {
            tracing::warn!(revision = revision.0, epoch, "the registry was restored from a copy");
            answer(StatusCode::OK, &Restored { revision: revision.0, epoch })
        }
        Ok(Err(error)) => failed(&error),
        Err(Busy) => busy(),
    }
}

/// Puts a copy into a state folder as it will be restored, if it can be.
///
/// # Errors
///
/// What is wrong with it.
pub fn staged(from: &Path, state: &Path) -> Result<(PathBuf, Copied), StoreError> {
    let look = |kind: Kind, document: Value| documents::checked(kind, document).map(drop);
    backup::staged(from, state, &look)
}

/// Makes app passwords of a staged copy those of this state folder, by the keys that the copy was
/// made with; gives how many subscribers have some.
///
/// # Errors
///
/// The copy has no keys, or the passphrase is another one.
pub fn rekeyed(staged: &Path, state: &Path, passphrase: &str) -> Result<u64, StoreError> {
    let sealed = backup::keys::sealed(staged)?;
    let sealed = sealed.ok_or_else(|| {
        StoreError("the copy has no keys: it was made without --passphrase-file".to_owned())
    })?;
    let from = passphrase::opened(&sealed, passphrase);
    let from = from.ok_or_else(|| StoreError("the passphrase is another one".to_owned()))?;
    let to = Secrets::open(state).map_err(|error| StoreError(error.to_string()))?;
    backup::given(state, &state.join("secrets.key"))?;
    let (from, to) = (Keys::new(from), Keys::new(to));
    let other = |user: &str, document| app_passwords::rekeyed(document, user, &from, &to);
    backup::keys::each_app_passwords(staged, other)
}

/// Copies the registry of a state folder into a new file, as whoever runs this; with a passphrase
/// also the keys, sealed by it.
///
/// # Errors
///
/// The passphrase is soon guessed; or see `backup::backup`.
pub fn copied(state: &Path, to: &Path, passphrase: Option<&str>) -> Result<Copied, StoreError> {
    let keys = passphrase.map(|passphrase| {
        let secrets = Secrets::open(state).map_err(|error| error.to_string())?;
        passphrase::sealed(&secrets, passphrase)
    });
    let keys = keys.transpose().map_err(StoreError)?;
    backup::backup(&Act::of(Actor::this_process(), now()), state, to, keys.as_ref())
}

/// Restores a staged copy where no server runs; gives the new revision and epoch.
///
/// # Errors
///
/// The registry can't be opened, or see `Store::restore`.
pub fn without_server(state: &Path, staged: &Path) -> Result<(u64, u32), StoreError> {
    let mut store = Sqlite::open(state)?;
    let act = Act::of(Actor::this_process(), now());
    let revision = store.restore(&act, staged)?;
    Ok((revision.0, store.epoch()?))
}
