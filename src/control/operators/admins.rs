//! Administrators in the API: `/api/v1/admins`, `/api/v1/admins/{id}`, `…/password`, `…/factor`.
//!
//! On the port for owners, on the socket for whoever is there. An owner who may sign in is always
//! left.

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Response, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::gate::address;
use super::hashing::{Full, Turn};
use super::people::{self, Admin, AdminTold, Kept, Unwritten};
use super::scope::Role;
use super::signed_in::drawn;
use super::{Office, event, password, wire};
use crate::control::actor::{Actor, Peer};
use crate::control::admin::Shared;
use crate::control::audit::Act;
use crate::control::documents;
use crate::control::inside;
use crate::control::json::{self, answer, nothing, wanted};
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

/// The same, with why not in words.
///
/// # Errors
///
/// What is wrong with it, or that too many wait.
pub async fn hashed_or_why(
    office: &Office,
    user: &str,
    password: String,
) -> Result<String, inside::Refused> {
    let user = user.to_owned();
    let hashed = office.hashing.run(Turn::Last, move || match password::fault(&password, &user) {
        Some(why) => Err(why),
        None => password::hashed(&password),
    });
    let hashed = hashed.await.map_err(|Full| inside::Refused::Busy)?;
    hashed.map_err(inside::Refused::Unfit)
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

/// All administrators.
#[derive(Serialize, ToSchema)]
struct AdminList {
    /// In the order of their ids.
    admins: Vec<AdminTold>,
    /// Always null: there are few.
    next: Option<String>,
}

/// `GET /api/v1/admins`: all administrators.
#[utoipa::path(
    get, path = "/api/v1/admins", tag = "operators",
    responses((status = 200, body = AdminList))
)]
pub async fn all(State(shared): State<Shared>) -> Response<Body> {
    let Some(office) = shared.office.clone() else { return nowhere() };
    match office.registry.ask(|store| people::all::<Admin>(store)).await {
        Ok(Ok(all)) => {
            let told = all.iter().map(|admin| admin.is.told(&admin.id, admin.revision));
            answer(StatusCode::OK, &AdminList { admins: told.collect(), next: None })
        }
        Ok(Err(error)) => failed(&error),
        Err(Busy) => busy(),
    }
}

/// `GET /api/v1/admins/{id}`: one administrator.
#[utoipa::path(
    get, path = "/api/v1/admins/{id}", tag = "operators",
    params(("id" = String, Path, description = "The administrator's.")),
    responses(
        (status = 200, body = AdminTold),
        (status = 404, description = "There is no such administrator."),
    )
)]
pub async fn one(State(shared): State<Shared>, Path(id): Path<String>) -> Response<Body> {
    let Some(office) = shared.office.clone() else { return nowhere() };
    match office.registry.ask(move |store| people::one::<Admin>(store, &id)).await {
        Ok(Ok(Some(admin))) => answer(StatusCode::OK, &admin.is.told(&admin.id, admin.revision)),
        Ok(Ok(None)) => *unwritten("admin", Unwritten::Absent),
        Ok(Err(error)) => failed(&error),
        Err(Busy) => busy(),
    }
}

/// Somebody new.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewAdmin)]
#[serde(deny_unknown_fields)]
struct New {
    /// What the person signs in as.
    id: String,
    /// What the person is there for.
    role: Role,
    /// One that can't be guessed, of 8 characters at least; 15 are better.
    password: String,
}

/// `POST /api/v1/admins`: a new administrator: 201.
#[utoipa::path(
    post, path = "/api/v1/admins", tag = "operators",
    request_body = New,
    responses(
        (status = 201, body = AdminTold),
        (status = 409, description = "It is there, or there are as many as there may be."),
    )
)]
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
            event("admin-made", &told.id, address(peer.as_deref()), &actor.to_string());
            answer(StatusCode::CREATED, &told)
        }
        Ok(Err(why)) => *unwritten("admin", why),
        Err(Busy) => busy(),
    }
}

/// What of one is changed; what else there is has a way of its own.
#[derive(Deserialize, ToSchema)]
#[schema(as = AdminChanges)]
#[serde(deny_unknown_fields)]
struct Changes {
    /// What the person is there for.
    #[serde(default)]
    role: Option<Role>,
    /// Whether the person may sign in.
    #[serde(default)]
    enabled: Option<bool>,
}

/// `PATCH /api/v1/admins/{id}`: another role, or whether one may sign in: 200. Whoever is not
/// enabled any more is out at once.
#[utoipa::path(
    patch, path = "/api/v1/admins/{id}", tag = "operators",
    params(("id" = String, Path, description = "The administrator's.")),
    request_body = Changes,
    responses(
        (status = 200, body = AdminTold),
        (status = 404, description = "There is no such administrator."),
        (
            status = 409,
            description = "Somebody else changed it meanwhile, or no owner would be left.",
        ),
    )
)]
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
    let Changes { role, enabled } = match json::changes(&headers, &body) {
        Ok(changes) => changes,
        Err(problem) => return problem,
    };
    let changed = change(&office, act, &id, move |store, admin| {
        let owns = |admin: &Admin| admin.enabled && admin.role == Role::Owner;
        let owned = owns(&admin.is);
        admin.is.role = role.unwrap_or(admin.is.role);
        admin.is.enabled = enabled.unwrap_or(admin.is.enabled);
        // Who was none takes no owner away, also where the socket made everybody and there is none.
        if !owned || owns(&admin.is) || people::is_owner_left(store, &admin.id)? {
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

/// What somebody signs in with from now on.
#[derive(Deserialize, ToSchema)]
#[schema(as = AdminPassword)]
#[serde(deny_unknown_fields)]
struct NewPassword {
    /// The password.
    password: String,
}

/// `POST /api/v1/admins/{id}/password`: another password: 204; whoever is signed in by the old one
/// is out.
#[utoipa::path(
    post, path = "/api/v1/admins/{id}/password", tag = "operators",
    params(("id" = String, Path, description = "The administrator's.")),
    request_body = NewPassword,
    responses(
        (status = 204, description = "It is the password now."),
        (status = 404, description = "There is no such administrator."),
        (status = 409, description = "Somebody else changed it meanwhile."),
    )
)]
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

/// `DELETE /api/v1/admins/{id}/factor`: the second factor is taken away: 204; it is gone, and with
/// it the recovery codes: for a device that was lost.
#[utoipa::path(
    delete, path = "/api/v1/admins/{id}/factor", tag = "operators",
    params(("id" = String, Path, description = "The administrator's.")),
    responses(
        (status = 204, description = "It is gone."),
        (status = 404, description = "There is no such administrator."),
        (status = 409, description = "Somebody else changed it meanwhile."),
    )
)]
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

/// `DELETE /api/v1/admins/{id}`: an administrator is removed: 204; out at once.
#[utoipa::path(
    delete, path = "/api/v1/admins/{id}", tag = "operators",
    params(("id" = String, Path, description = "The administrator's.")),
    responses(
        (status = 204, description = "It is gone."),
        (status = 404, description = "There is no such administrator."),
        (
            status = 409,
            description = "Somebody else changed it meanwhile, or no owner would be left.",
        ),
    )
)]
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
