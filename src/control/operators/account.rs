//! What people do with their own: `POST /api/v1/session/password`, `/session/factor`,
//! `/session/factor/confirm`, `/session/recovery-codes`.
//!
//! A change of password or factor ends the person's other sessions (ASVS 5.0, 7.4.3).

use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Response, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::check::{Claim, Code};
use super::factor::{self, SECRET_SIZE};
use super::gate::{Person, address};
use super::people::{self, Admin, Factor, Kept, Unwritten};
use super::signed_in::drawn;
use super::{Office, admins, event};
use crate::control::actor::Peer;
use crate::control::admin::Shared;
use crate::control::audit::Act;
use crate::control::json::{answer, nothing, wanted};
use crate::control::problem::problem;
use crate::control::registry::Busy;
use crate::control::tokens::{busy, now, nowhere};

/// A change of the own password.
#[derive(Deserialize, ToSchema)]
#[schema(as = OwnPassword)]
#[serde(deny_unknown_fields)]
struct NewPassword {
    /// The one of now (ASVS 5.0, 6.2.3).
    current: String,
    /// The one from now on.
    password: String,
}

/// Changes the person's own document, and ends the other sessions; gives what stands then.
async fn change(
    office: &Arc<Office>,
    person: &Person,
    act: Act,
    change: impl FnOnce(&mut Admin) -> Result<(), Unwritten> + Send + 'static,
) -> Result<Kept<Admin>, Box<Response<Body>>> {
    let stamp = drawn().map_err(|why| Box::new(problem(StatusCode::INTERNAL_SERVER_ERROR, &why)));
    let (user, stamp) = (person.user.clone(), stamp?);
    let changed = office.registry.ask(move |store| {
        let mut admin = people::one::<Admin>(store, &user)?.ok_or(Unwritten::Absent)?;
        change(&mut admin.is)?;
        admin.is.stamp = stamp;
        let written = people::changed(store, &act, &admin)?;
        Ok(Kept { revision: written.revision, ..admin })
    });
    let admin = changed.await.map_err(|Busy| Box::new(busy()))?;
    let admin = admin.map_err(|why| admins::unwritten("admin", why))?;
    office.signed_in().end_others(&admin.id, Some(&person.id), &admin.is.stamp);
    Ok(admin)
}

/// `POST /api/v1/session/password`: another own password: 204; the other sessions are over. 401 if
/// the current one is wrong, which counts as a sign-in that failed.
#[utoipa::path(
    post, path = "/api/v1/session/password", tag = "signing in",
    request_body = NewPassword,
    responses(
        (status = 204, description = "It is the password now."),
        (status = 409, description = "Somebody else changed it meanwhile."),
        (status = 404, description = "Whoever was signed in is gone."),
    )
)]
pub async fn password(
    State(shared): State<Shared>,
    Extension(person): Extension<Person>,
    act: Act,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let Some(office) = shared.office.clone() else { return nowhere() };
    let NewPassword { current, password } = match wanted(&headers, &body) {
        Ok(new) => new,
        Err(problem) => return problem,
    };
    let (user, address) = (person.user.clone(), address(peer.as_deref()));
    let claim = Claim { user, password: current, code: Code::Unasked, address };
    if let Err(refused) = office.verified(&claim).await {
        return refused.into();
    }
    let hash = match admins::hashed(&office, &person.user, password).await {
        Ok(hash) => hash,
        Err(problem) => return *problem,
    };
    let changed = change(&office, &person, act, move |admin| {
        admin.password = hash;
        Ok(())
    });
    if let Err(problem) = changed.await {
        return *problem;
    }
    event("password-changed", &person.user, address, "by the user");
    nothing()
}

/// `POST /api/v1/session/factor`: a new second factor: 200 with its secret; it is one once a
/// code of it was sent to `/confirm`. Until then the old one is.
#[utoipa::path(
    post, path = "/api/v1/session/factor", tag = "signing in",
    responses((status = 200, body = NewFactor))
)]
pub async fn factor(
    State(shared): State<Shared>,
    Extension(person): Extension<Person>,
) -> Response<Body> {
    let Some(office) = shared.office.clone() else { return nowhere() };
    let mut secret = [0; SECRET_SIZE];
    if let Err(error) = getrandom::fill(&mut secret) {
        let why = format!("no secret can be drawn: {error}");
        return problem(StatusCode::INTERNAL_SERVER_ERROR, &why);
    }
    if let Some(session) = office.signed_in().found(&person.id, office.ticks()) {
        session.factor = Some(secret);
    }
    let (secret, address) = (factor::typed(&secret), factor::address(&secret, &person.user));
    answer(StatusCode::OK, &NewFactor { secret, address })
}

/// A second factor that is being set up.
#[derive(Serialize, ToSchema)]
struct NewFactor {
    /// Its secret, as people type it.
    secret: String,
    /// The same as a QR code says it (`otpauth:`).
    address: String,
}

/// Recovery codes.
#[derive(Serialize, ToSchema)]
struct RecoveryCodes {
    /// Each is good once.
    recovery_codes: Vec<String>,
}

/// What shows that a device has the new secret.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Confirmation {
    /// Of this moment.
    code: String,
}

/// `POST /api/v1/session/factor/confirm`: the new second factor counts: 200 with recovery codes,
/// which are told this once. From now on a code is wanted; the other sessions are over.
#[utoipa::path(
    post, path = "/api/v1/session/factor/confirm", tag = "signing in",
    request_body = Confirmation,
    responses(
        (status = 200, body = RecoveryCodes),
        (status = 409, description = "None is being set up."),
        (status = 404, description = "Whoever was signed in is gone."),
    )
)]
pub async fn confirm(
    State(shared): State<Shared>,
    Extension(person): Extension<Person>,
    act: Act,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let Some(office) = shared.office.clone() else { return nowhere() };
    let Confirmation { code } = match wanted(&headers, &body) {
        Ok(confirmation) => confirmation,
        Err(problem) => return problem,
    };
    let ticks = office.ticks();
    let secret = office.signed_in().found(&person.id, ticks).and_then(|session| session.factor);
    let Some(secret) = secret else {
        let why = "no second factor is being set up: POST /api/v1/session/factor first";
        return problem(StatusCode::CONFLICT, why);
    };
    let Some(step) = factor::step(&secret, &code, 0, now()) else {
        let why = "code: it is not the one of this moment; is the device's clock right?";
        return problem(StatusCode::BAD_REQUEST, why);
    };
    let made = factor::recovery_codes()
        .and_then(|codes| Ok((office.factor_sealed(&person.user, &secret)?, codes)));
    let (sealed, codes) = match made {
        Ok(made) => made,
        Err(why) => return problem(StatusCode::INTERNAL_SERVER_ERROR, &why),
    };
    let recovery = codes.iter().filter_map(|code| factor::recovery_hash(code)).collect();
    let changed = change(&office, &person, act, move |admin| {
        admin.factor = Some(Factor { secret: sealed, step, recovery });
        Ok(())
    });
    if let Err(problem) = changed.await {
        return *problem;
    }
    if let Some(session) = office.signed_in().found(&person.id, ticks) {
        session.factor = None;
    }
    event("factor-changed", &person.user, address(peer.as_deref()), "by the user");
    answer(StatusCode::OK, &RecoveryCodes { recovery_codes: codes })
}

/// `POST /api/v1/session/recovery-codes`: new recovery codes: 200; they are told this once; the old
/// ones are void.
#[utoipa::path(
    post, path = "/api/v1/session/recovery-codes", tag = "signing in",
    responses(
        (status = 200, body = RecoveryCodes),
        (status = 409, description = "There is no second factor."),
        (status = 404, description = "Whoever was signed in is gone."),
    )
)]
pub async fn recovery_codes(
    State(shared): State<Shared>,
    Extension(person): Extension<Person>,
    act: Act,
    peer: Option<Extension<Peer>>,
) -> Response<Body> {
    let Some(office) = shared.office.clone() else { return nowhere() };
    let codes = match factor::recovery_codes() {
        Ok(codes) => codes,
        Err(why) => return problem(StatusCode::INTERNAL_SERVER_ERROR, &why),
    };
    let recovery = codes.iter().filter_map(|code| factor::recovery_hash(code)).collect();
    let changed = change(&office, &person, act, move |admin| {
        let why = || {
            Unwritten::Wrong("there is no second factor that they could stand in for".to_owned())
        };
        admin.factor.as_mut().ok_or_else(why)?.recovery = recovery;
        Ok(())
    });
    if let Err(problem) = changed.await {
        return *problem;
    }
    event("recovery-codes-made", &person.user, address(peer.as_deref()), "by the user");
    answer(StatusCode::OK, &RecoveryCodes { recovery_codes: codes })
}
