//! App passwords in the API: `/api/v1/subscribers/{id}/app-passwords`, and whether one is right.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, Response, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::super::admin::Shared;
use super::super::audit::Act;
use super::super::beside::{self, Missed};
use super::super::hook::wire::Event;
use super::super::hook::{self, Decision};
use super::super::json::{answer, nothing, wanted};
use super::super::problem::problem;
use super::super::registry::{Kind, Object, Store};
use super::super::tokens::nowhere;
use super::{Given, Passwords, Told, app, generated, weakness};
use crate::config::SESSION_AGENT_SIZE_MAX;

/// Whether passwords themselves are asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Asked {
    /// With the passwords, as they are typed.
    #[serde(default)]
    reveal: bool,
}

/// What is to be added.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewAppPassword)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// Which app or device it is for.
    #[serde(default = "app")]
    name: String,
    /// The password; none = one is made.
    #[serde(default)]
    password: Option<String>,
}

/// A user name with a password.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = AppLogin)]
#[serde(deny_unknown_fields)]
struct Pair {
    /// The subscriber's id.
    user: String,
    /// As it is typed.
    password: String,
    /// From where it would be, for the operator's back end.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = "ip")]
    address: Option<IpAddr>,
    /// What the app would say of itself.
    #[serde(default)]
    agent: String,
}

/// A subscriber's app passwords.
#[derive(Serialize, ToSchema)]
struct AppPasswordList {
    /// In the order in which they were given.
    passwords: Vec<Told>,
}

/// Whether one is right.
#[derive(Serialize, ToSchema)]
struct Matched {
    /// Whether it is.
    matches: bool,
    /// Which one it is.
    name: Option<String>,
    /// What an operator's back end says of it, if it is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    hook: Option<Said>,
}

/// What an operator's back end says.
#[derive(Serialize, ToSchema)]
#[schema(as = HookSaid)]
struct Said {
    /// Whether the app is let in.
    allow: bool,
    /// Whether it said anything; else `hook.on_failure` decides.
    answered: bool,
    /// Why, as it says.
    reason: Option<String>,
}

/// Does something with a subscriber's, on the registry's thread.
async fn with<T: Send + 'static>(
    shared: &Shared,
    id: String,
    work: impl FnOnce(&mut dyn Store, Passwords<'_>) -> Result<T, Missed> + Send + 'static,
) -> Result<T, Response<Body>> {
    let (Some(signer), Some(keys)) = (&shared.signer, &shared.app_passwords) else {
        return Err(nowhere());
    };
    let keys = Arc::clone(keys);
    let work = move |store: &mut dyn Store, id: &str, found: Option<Object>| {
        work(store, Passwords::of(&keys, id, found))
    };
    beside::with(signer.registry(), Kind::AppPasswords, id, work).await
}

/// `GET /api/v1/subscribers/{id}/app-passwords?reveal=`: their names; with `reveal=true` the
/// passwords, and which of them are weak.
#[utoipa::path(
    get, path = "/api/v1/subscribers/{id}/app-passwords", tag = "subscribers",
    params(("id" = String, Path, description = "The subscriber's."), Asked),
    responses(
        (status = 200, body = AppPasswordList),
        (status = 404, description = "There is no such subscriber."),
    )
)]
pub async fn all(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> Response<Body> {
    let told = with(&shared, id, move |_, passwords| Ok(passwords.told(asked.reveal))).await;
    told.map_or_else(
        |refused| refused,
        |passwords| answer(StatusCode::OK, &AppPasswordList { passwords }),
    )
}

/// `POST /api/v1/subscribers/{id}/app-passwords`: one more, 201; what was not given is made.
#[utoipa::path(
    post, path = "/api/v1/subscribers/{id}/app-passwords", tag = "subscribers",
    params(("id" = String, Path, description = "The subscriber's.")),
    request_body = Wanted,
    responses(
        (status = 201, body = Told),
        (status = 404, description = "There is no such subscriber."),
        (status = 409, description = "Somebody else changed them meanwhile."),
    )
)]
pub async fn add(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    act: Act,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let wanted: Wanted = match wanted(&headers, &body) {
        Ok(wanted) => wanted,
        Err(problem) => return problem,
    };
    let password = match wanted.password.map_or_else(generated, Ok) {
        Ok(password) => password,
        Err(error) => {
            tracing::error!(%error, "no password can be drawn");
            return problem(StatusCode::INTERNAL_SERVER_ERROR, "no password can be made");
        }
    };
    let given = Given { name: wanted.name, password };
    let added = with(&shared, id, move |store, mut passwords| {
        passwords.add(&given, act.at).map_err(Missed::Wrong)?;
        store.commit(&act, &[passwords.write()])?;
        let weak = weakness(&passwords.user, &given.password);
        let (name, password, created) = (given.name, Some(given.password), act.at.0);
        Ok(Told { name, created, password, weak })
    });
    added.await.map_or_else(|refused| refused, |told| answer(StatusCode::CREATED, &told))
}

/// `DELETE /api/v1/subscribers/{id}/app-passwords/{name}`: an app password is removed: 204.
#[utoipa::path(
    delete, path = "/api/v1/subscribers/{id}/app-passwords/{name}", tag = "subscribers",
    params(
        ("id" = String, Path, description = "The subscriber's."),
        ("name" = String, Path, description = "Which app or device it is for."),
    ),
    responses(
        (status = 204, description = "It is gone."),
        (status = 404, description = "There is none."),
        (status = 409, description = "Somebody else changed them meanwhile."),
    )
)]
pub async fn remove(
    State(shared): State<Shared>,
    Path((id, name)): Path<(String, String)>,
    act: Act,
) -> Response<Body> {
    let removed = with(&shared, id, move |store, mut passwords| {
        if !passwords.remove(&name) {
            return Err(Missed::Absent("no app password has this name"));
        }
        store.commit(&act, &[passwords.write()])?;
        Ok(())
    });
    removed.await.map_or_else(|refused| refused, |()| nothing())
}

/// `POST /api/v1/app-passwords/check`: whether a user's app could sign in with this, for a help
/// desk. It says nothing of plan, expiry or status: `explain` does. Where the password is right, an
/// operator's back end is asked as it is when an app signs in, and `hook` is what came of it.
#[utoipa::path(
    post, path = "/api/v1/app-passwords/check", tag = "subscribers",
    request_body = Pair,
    responses(
        (status = 200, body = Matched),
        (status = 404, description = "There is no such subscriber."),
    )
)]
pub async fn check(
    State(shared): State<Shared>,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let Pair { user, password, address, agent } = match wanted(&headers, &body) {
        Ok(pair) => pair,
        Err(problem) => return problem,
    };
    let checked = with(&shared, user.clone(), move |store, passwords| {
        let number = store.object(Kind::Subscriber, &user)?.and_then(|of| of.number);
        let name = passwords.name_of(&password).map(ToOwned::to_owned);
        Ok((number.and_then(NonZeroU32::new), name))
    });
    let (subscriber, name) = match checked.await {
        Ok(checked) => checked,
        Err(refused) => return refused,
    };
    let mut told = Matched { matches: name.is_some(), name, hook: None };
    if told.matches && shared.hook.asks(Event::Login) {
        let agent = agent.as_bytes().iter().take(SESSION_AGENT_SIZE_MAX).copied().collect();
        told.hook = Some(login(&shared, subscriber, address, agent).await);
    }
    answer(StatusCode::OK, &told)
}

/// What an operator's back end says of a subscriber whose app signs in.
async fn login(
    shared: &Shared,
    subscriber: Option<NonZeroU32>,
    address: Option<IpAddr>,
    agent: Box<[u8]>,
) -> Said {
    let (event, token, content) = (Event::Login, 0, None);
    let place = shared.sessions.place(address);
    let decision = Arc::clone(&shared.hook)
        .ask(hook::Wanted { event, subscriber, token, content, address, place, agent })
        .await;
    let allow = decision.over().is_none();
    match decision {
        Decision::Allowed(reason) | Decision::Refused(reason, _) => {
            Said { allow, answered: true, reason: reason.map(String::from) }
        }
        Decision::Unheard(_) => Said { allow, answered: false, reason: None },
    }
}
