//! Administrators in the API: `/api/v1/admins`, `/api/v1/admins/{id}`, `…/password`, `…/factor`.
//!
//! On the port for owners, on the socket for whoever is there. An owner who may sign in is always
//! left.

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Response, StatusCode};
use serde::Deserialize;
use serde_json::json;

use super::gate::address;
use super::hashing::{Full, Turn};
use super::people::{self, Admin, Kept, Unwritten};
use super::scope::Role;
use super::signed_in::drawn;
use super::{Office, event, password, wire};
use crate::control::actor::{Actor, Peer};
use crate::control::admin::Shared;
use crate::control::audit::Act;
use crate::control::documents;
use crate::control::json::{answer, nothing, wanted};
use crate::control::problem::problem;
use crate::control::registry::{Busy, Kind, Store};
use crate::control::tokens::{busy, failed, now, nowhere};
use crate::units::UnixTime;

/// A refusal, as it is answered.
type Problem = Box<Response<Body>>;

fn refused(status: StatusCode, why: &str) -> Problem {
    Box::new(problem(status, why))
}

/// A password as it is kept, if it is a good one.
///
/// # Errors
///
/// The problem: 400 with what is wrong with it, or 503.
pub async fn hashed(office: &Office, user: &str, password: String) -> Result<String, Problem> {
    let user = user.to_owned();
    let hashed = office.hashing.run(Turn::First, move || match password::fault(&password, &user) {
        Some(why) => Err((StatusCode::BAD_REQUEST, why)),
        None => {
            let hash = password::hashed(&password);
            hash.map_err(|why| (StatusCode::INTERNAL_SERVER_ERROR, why))
        }
    });
    let hashed = hashed.await.map_err(|Full| Box::new(wire::full()))?;
    hashed.map_err(|(status, why)| refused(status, &why))
}

/// One with this password.
///
/// # Errors
///
/// Nothing can be drawn.
pub fn new(role: Role, hash: String, now: UnixTime) -> Result<Admin, String> {
    let (enabled, created, stamp) = (true, now.0, drawn()?);
    Ok(Admin { role, enabled, created, password: hash, stamp, factor: None })
}

/// The answer to what was not written.
pub fn unwritten(kind: &str, why: Unwritten) -> Problem {
    let (status, why) = match why {
        Unwritten::Absent => (StatusCode::NOT_FOUND, format!("no {kind} has this id")),
        Unwritten::Present => (StatusCode::CONFLICT, "it is there".to_owned()),
        Unwritten::Changed => {
            (StatusCode::CONFLICT, "somebody else changed it at the same moment".to_owned())
        }
        Unwritten::TooMany => {
            (StatusCode::CONFLICT, "there are as many as there may be".to_owned())
        }
        Unwritten::LastOwner => (
            StatusCode::CONFLICT,
            "nobody would be left who may change administrators: make another owner first"
                .to_owned(),
        ),
        Unwritten::Wrong(why) => (StatusCode::CONFLICT, why),
        Unwritten::Store(error) => return Box::new(failed(&error)),
    };
    refused(status, &why)
}

/// `GET /api/v1/admins`: all of them.
pub async fn all(State(shared): State<Shared>) -> Response<Body> {
    let Some(office) = shared.office.clone() else { return nowhere() };
    match office.registry.ask(|store| people::all::<Admin>(store)).await {
        Ok(Ok(all)) => {
            let told = all.iter().map(|admin| admin.is.told(&admin.id, admin.revision));
            answer(StatusCode::OK, &json!({ "admins": told.collect::<Vec<_>>(), "next": null }))
        }
        Ok(Err(error)) => failed(&error),
        Err(Busy) => busy(),
    }
}

/// `GET /api/v1/admins/{id}`.
pub async fn one(State(shared): State<Shared>, Path(id): Path<String>) -> Response<Body> {
    let Some(office) = shared.office.clone() else { return nowhere() };
    match office.registry.ask(move |store| people::one::<Admin>(store, &id)).await {
        Ok(Ok(Some(admin))) => answer(StatusCode::OK, &admin.is.told(&admin.id, admin.revision)),
        Ok(Ok(None)) => *unwritten("admin", Unwritten::Absent),
        Ok(Err(error)) => failed(&error),
        Err(Busy) => busy(),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    id: String,
    role: Role,
    password: String,
}

/// `POST /api/v1/admins`: 201 with a new one.
pub async fn create(
    State(shared): State<Shared>,
    Extension(actor): Extension<Actor>,
    act: Act,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let Some(office) = shared.office.clone() else { return nowhere() };
    let New { id, role, password } = match wanted(&headers, &body) {
        Ok(new) => new,
        Err(problem) => return problem,
    };
    if let Err(why) = documents::id(Kind::Admin, &id) {
        return problem(StatusCode::BAD_REQUEST, &format!("id: {why}"));
    }
    let hash = match hashed(&office, &id, password).await {
        Ok(hash) => hash,
        Err(problem) => return *problem,
    };
    let admin = match new(role, hash, now()) {
        Ok(admin) => admin,
        Err(why) => return problem(StatusCode::INTERNAL_SERVER_ERROR, &why),
    };
    let made = office.registry.ask(move |store| {
        let made = people::made(store, &act, &id, &admin)?;
        Ok(admin.told(&id, made.revision))
    });
    match made.await {
        Ok(Ok(told)) => {
            let id = told["id"].as_str().unwrap_or_default();
            event("admin-made", id, address(peer.as_deref()), &actor.to_string());
            answer(StatusCode::CREATED, &told)
        }
        Ok(Err(why)) => *unwritten("admin", why),
        Err(Busy) => busy(),
    }
}

/// What of one is changed; what else there is has a way of its own.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Changes {
    #[serde(default)]
    role: Option<Role>,
    #[serde(default)]
    enabled: Option<bool>,
}

/// `PATCH /api/v1/admins/{id}`: 200. Whoever is not enabled any more is out at once.
pub async fn patch(
    State(shared): State<Shared>,
    Extension(actor): Extension<Actor>,
    act: Act,
    Path(id): Path<String>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let Some(office) = shared.office.clone() else { return nowhere() };
    let Changes { role, enabled } = match wanted(&headers, &body) {
        Ok(changes) => changes,
        Err(problem) => return problem,
    };
    let changed = change(&office, act, &id, move |store, admin| {
        admin.is.role = role.unwrap_or(admin.is.role);
        admin.is.enabled = enabled.unwrap_or(admin.is.enabled);
        let owns = admin.is.enabled && admin.is.role == Role::Owner;
        if owns || people::is_owner_left(store, &admin.id)? {
            Ok(())
        } else {
            Err(Unwritten::LastOwner)
        }
    });
    match changed.await {
        Ok(admin) => {
            event("admin-changed", &id, address(peer.as_deref()), &actor.to_string());
            answer(StatusCode::OK, &admin.is.told(&admin.id, admin.revision))
        }
        Err(problem) => *problem,
    }
}

/// Changes one, and ends what it is signed in with.
async fn change(
    office: &Office,
    act: Act,
    id: &str,
    change: impl FnOnce(&dyn Store, &mut Kept<Admin>) -> Result<(), Unwritten> + Send + 'static,
) -> Result<Kept<Admin>, Problem> {
    let stamp = drawn().map_err(|why| refused(StatusCode::INTERNAL_SERVER_ERROR, &why))?;
    let wanted = id.to_owned();
    let changed = office.registry.ask(move |store| {
        let mut admin = people::one::<Admin>(store, &wanted)?.ok_or(Unwritten::Absent)?;
        change(store, &mut admin)?;
        admin.is.stamp = stamp;
        let written = people::changed(store, &act, &admin)?;
        Ok(Kept { revision: written.revision, ..admin })
    });
    let admin = changed.await.map_err(|Busy| Box::new(busy()))?;
    let admin = admin.map_err(|why| unwritten("admin", why))?;
    office.signed_in().end_others(id, None, &admin.is.stamp);
    Ok(admin)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPassword {
    password: String,
}

/// `POST /api/v1/admins/{id}/password`: 204; whoever is signed in by the old one is out.
pub async fn set_password(
    State(shared): State<Shared>,
    Extension(actor): Extension<Actor>,
    act: Act,
    Path(id): Path<String>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let Some(office) = shared.office.clone() else { return nowhere() };
    let NewPassword { password } = match wanted(&headers, &body) {
        Ok(new) => new,
        Err(problem) => return problem,
    };
    let hash = match hashed(&office, &id, password).await {
        Ok(hash) => hash,
        Err(problem) => return *problem,
    };
    let changed = change(&office, act, &id, move |_, admin| {
        admin.is.password = hash;
        Ok(())
    });
    if let Err(problem) = changed.await {
        return *problem;
    }
    event("password-changed", &id, address(peer.as_deref()), &actor.to_string());
    nothing()
}

/// `DELETE /api/v1/admins/{id}/factor`: 204; the second factor is gone, and with it the recovery
/// codes: for a device that was lost.
pub async fn reset_factor(
    State(shared): State<Shared>,
    Extension(actor): Extension<Actor>,
    act: Act,
    Path(id): Path<String>,
    peer: Option<Extension<Peer>>,
) -> Response<Body> {
    let Some(office) = shared.office.clone() else { return nowhere() };
    let changed = change(&office, act, &id, |_, admin| {
        admin.is.factor = None;
        Ok(())
    });
    if let Err(problem) = changed.await {
        return *problem;
    }
    event("factor-reset", &id, address(peer.as_deref()), &actor.to_string());
    nothing()
}

/// `DELETE /api/v1/admins/{id}`: 204; out at once.
pub async fn remove(
    State(shared): State<Shared>,
    Extension(actor): Extension<Actor>,
    act: Act,
    Path(id): Path<String>,
    peer: Option<Extension<Peer>>,
) -> Response<Body> {
    let Some(office) = shared.office.clone() else { return nowhere() };
    let wanted = id.clone();
    let removed = office.registry.ask(move |store| {
        let admin = people::one::<Admin>(store, &wanted)?.ok_or(Unwritten::Absent)?;
        let owns = admin.is.enabled && admin.is.role == Role::Owner;
        if owns && !people::is_owner_left(store, &wanted)? {
            return Err(Unwritten::LastOwner);
        }
        people::removed::<Admin>(store, &act, &wanted)
    });
    match removed.await {
        Ok(Ok(())) => {
            office.signed_in().end_others(&id, None, "");
            event("admin-removed", &id, address(peer.as_deref()), &actor.to_string());
            nothing()
        }
        Ok(Err(why)) => *unwritten("admin", why),
        Err(Busy) => busy(),
    }
}
