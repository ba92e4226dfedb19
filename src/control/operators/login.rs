//! How a session of a person begins and ends: `POST /api/v1/login`, `/logout`, `/step-up`,
//! `/setup`, `GET /api/v1/session`.

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Response, StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::check::{Claim, Code};
use super::gate::{Person, address};
use super::people::{self, Admin, Kept, Unwritten};
use super::scope::{Role, Scope};
use super::{Office, admins, event, wire};
use crate::config::SIGNED_IN_IDLE_MS;
use crate::control::actor::{Actor, Peer};
use crate::control::admin::Shared;
use crate::control::audit::Act;
use crate::control::documents;
use crate::control::json::{answer, nothing, wanted};
use crate::control::problem::problem;
use crate::control::registry::{Busy, Kind};
use crate::control::tokens::{busy, failed, now, nowhere};

/// What somebody signs in with.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Login {
    /// Who it is.
    user: String,
    /// The password.
    password: String,
    /// Of the second factor, or a recovery code; where there is one.
    #[serde(default)]
    code: Option<String>,
}

/// `POST /api/v1/login`: a person signs in: 200 with a session's cookie and token; 401 if anything
/// is wrong, or a code is wanted; 429 if it was too often. A session that the request came with
/// ends.
#[utoipa::path(
    post, path = "/api/v1/login", tag = "signing in",
    request_body = Login,
    responses(
        (status = 200, body = SignedIn),
        (status = 401, description = "It is wrong, or a code is wanted (`code_required`)."),
        (status = 429, description = "It failed too often."),
    )
)]
pub async fn login(
    State(shared): State<Shared>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let Some(office) = shared.office.clone() else { return nowhere() };
    let Login { user, password, code } = match wanted(&headers, &body) {
        Ok(login) => login,
        Err(problem) => return problem,
    };
    let (address, code) = (address(peer.as_deref()), Code::Sent(code));
    match office.verified(&Claim { user, password, code, address }).await {
        Ok(admin) => {
            event("login", &admin.id, address, admin_word(&admin.is));
            begun(&office, &headers, &admin, StatusCode::OK)
        }
        Err(refused) => refused.into(),
    }
}

fn admin_word(admin: &Admin) -> &'static str {
    if admin.factor.is_some() { "password and code" } else { "password" }
}

/// A new session, in place of the one that the request came with.
fn begun(
    office: &Office,
    headers: &HeaderMap,
    admin: &Kept<Admin>,
    status: StatusCode,
) -> Response<Body> {
    let now = office.ticks();
    let mut signed_in = office.signed_in();
    if let Some(old) = wire::session_id(&office.rules, headers) {
        signed_in.end(old);
    }
    let id = match signed_in.begin(&admin.id, &admin.is.stamp, now) {
        Ok(id) => id,
        Err(why) => return problem(StatusCode::INTERNAL_SERVER_ERROR, &why),
    };
    let token = signed_in.found(&id, now).map(|session| session.token.clone());
    drop(signed_in);
    let mut response = told(admin, token.as_deref().unwrap_or_default(), true, status);
    response.headers_mut().insert(header::SET_COOKIE, wire::cookie(&office.rules, Some(&id)));
    response
}

/// Who is signed in.
#[derive(Serialize, ToSchema)]
struct SignedIn<'a> {
    /// Who.
    user: &'a str,
    /// What the person is there for,
    role: Role,
    /// and may therefore.
    scopes: &'a [Scope],
    /// Whether there is a second factor.
    factor: bool,
    /// How many recovery codes are left.
    recovery_codes: usize,
    /// What `X-CSRF-Token` is to be of whatever changes something.
    csrf_token: &'a str,
    /// Whether the password was given in the last five minutes.
    is_fresh: bool,
    /// The session ends if nothing is asked for so long.
    idle_seconds: u64,
}

fn told(admin: &Kept<Admin>, token: &str, is_fresh: bool, status: StatusCode) -> Response<Body> {
    let Admin { role, factor, .. } = &admin.is;
    let told = SignedIn {
        user: &admin.id,
        role: *role,
        scopes: role.scopes(),
        factor: factor.is_some(),
        recovery_codes: factor.as_ref().map_or(0, |factor| factor.recovery.len()),
        csrf_token: token,
        is_fresh,
        idle_seconds: SIGNED_IN_IDLE_MS / 1_000,
    };
    answer(status, &told)
}

/// `GET /api/v1/session`: who is signed in, and the token for what changes something.
#[utoipa::path(
    get, path = "/api/v1/session", tag = "signing in",
    responses((status = 200, body = SignedIn))
)]
pub async fn session(
    State(shared): State<Shared>,
    Extension(person): Extension<Person>,
) -> Response<Body> {
    let Some(office) = shared.office.clone() else { return nowhere() };
    let user = person.user.clone();
    let found = office.registry.ask(move |store| people::one::<Admin>(store, &user)).await;
    let ticks = office.ticks();
    let session = office.signed_in().found(&person.id, ticks).cloned();
    match (found, session) {
        (Ok(Ok(Some(admin))), Some(session)) => {
            told(&admin, &session.token, session.is_fresh(ticks), StatusCode::OK)
        }
        (Ok(Err(error)), _) => failed(&error),
        (Err(Busy), _) => busy(),
        _ => wire::unknown("it has ended"),
    }
}

/// `POST /api/v1/logout`: a person signs out: 204; the session is over.
#[utoipa::path(
    post, path = "/api/v1/logout", tag = "signing in",
    responses((status = 204, description = "The session is over."))
)]
pub async fn logout(
    State(shared): State<Shared>,
    Extension(person): Extension<Person>,
    peer: Option<Extension<Peer>>,
) -> Response<Body> {
    let Some(office) = shared.office.clone() else { return nowhere() };
    office.signed_in().end(&person.id);
    event("logout", &person.user, address(peer.as_deref()), "asked for");
    let mut response = nothing();
    response.headers_mut().insert(header::SET_COOKIE, wire::cookie(&office.rules, None));
    response
}

/// What shows again who somebody is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Proof {
    /// The password.
    password: String,
    /// Of the second factor, or a recovery code; where there is one.
    #[serde(default)]
    code: Option<String>,
}

/// `POST /api/v1/step-up`: the password again: 200 as for a login, with a new session in place of
/// this one, in which what is dangerous may be done for five minutes.
#[utoipa::path(
    post, path = "/api/v1/step-up", tag = "signing in",
    request_body = Proof,
    responses((status = 200, body = SignedIn))
)]
pub async fn step_up(
    State(shared): State<Shared>,
    Extension(person): Extension<Person>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let Some(office) = shared.office.clone() else { return nowhere() };
    let Proof { password, code } = match wanted(&headers, &body) {
        Ok(proof) => proof,
        Err(problem) => return problem,
    };
    let address = address(peer.as_deref());
    let user = person.user.clone();
    let code = Code::Sent(code);
    match office.verified(&Claim { user, password, code, address }).await {
        Ok(admin) => {
            event("step-up", &admin.id, address, admin_word(&admin.is));
            begun(&office, &headers, &admin, StatusCode::OK)
        }
        Err(refused) => refused.into(),
    }
}

/// What makes the first administrator.
#[derive(Deserialize, ToSchema)]
#[schema(as = FirstAdmin)]
#[serde(deny_unknown_fields)]
struct First {
    /// Of the link that the server said at its start.
    token: String,
    /// What the person signs in as.
    user: String,
    /// The password.
    password: String,
}

/// `POST /api/v1/setup`: the first administrator: 201 with a session of the first owner; 403 if the
/// token is not good (any more). It is used up only where an owner was made.
#[utoipa::path(
    post, path = "/api/v1/setup", tag = "signing in",
    request_body = First,
    responses(
        (status = 201, body = SignedIn),
        (status = 403, description = "The token is not good (any more)."),
        (status = 409, description = "There is an administrator."),
    )
)]
pub async fn set_up(
    State(shared): State<Shared>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let Some(office) = shared.office.clone() else { return nowhere() };
    let First { token, user, password } = match wanted(&headers, &body) {
        Ok(first) => first,
        Err(problem) => return problem,
    };
    let address = address(peer.as_deref());
    let is_good = |office: &Office| {
        let now = office.ticks();
        office.set_up().as_ref().is_some_and(|set_up| set_up.is_good(&token, now))
    };
    let used = || {
        event("setup-refused", &user, address, "no good token");
        let why = "token: it was used, or is too old; the next start of the server says another \
                   one, and `shardcast admin add` needs none";
        problem(StatusCode::FORBIDDEN, why)
    };
    if !is_good(&office) {
        return used();
    }
    if let Err(why) = documents::id(Kind::Admin, &user) {
        return problem(StatusCode::BAD_REQUEST, &format!("user: {why}"));
    }
    let hash = match admins::hashed(&office, &user, password).await {
        Ok(hash) => hash,
        Err(problem) => return *problem,
    };
    let admin = match admins::new(Role::Owner, hash, now()) {
        Ok(admin) => admin,
        Err(why) => return problem(StatusCode::INTERNAL_SERVER_ERROR, &why),
    };
    // Somebody else may have used it meanwhile.
    if !is_good(&office) {
        return used();
    }
    let act = Act { peer: Some(address), ..Act::of(Actor::Operator(user.clone()), now()) };
    let made = office.registry.ask(move |store| {
        if !people::all::<Admin>(store)?.is_empty() {
            return Err(Unwritten::Present);
        }
        let made = people::made(store, &act, &user, &admin)?;
        Ok(Kept { id: made.id, revision: made.revision, is: admin })
    });
    match made.await {
        Ok(Ok(admin)) => {
            *office.set_up() = None;
            event("setup", &admin.id, address, "the first owner");
            begun(&office, &headers, &admin, StatusCode::CREATED)
        }
        Ok(Err(Unwritten::Present)) => {
            *office.set_up() = None;
            problem(StatusCode::CONFLICT, "there is an administrator already")
        }
        Ok(Err(why)) => *admins::unwritten("admin", why),
        Err(Busy) => busy(),
    }
}
