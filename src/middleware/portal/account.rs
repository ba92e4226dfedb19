//! The account: addresses for apps, passwords, what runs: `/api/v1/account`, `/api/v1/sessions`.
//!
//! Everybody who is signed in sees what runs and ends it. Addresses with passwords in them are
//! shown to whoever typed such a password, and all of them to whoever gave the portal password a
//! short time ago; that is what changes take as well.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Portal;
use super::door::{self, Caller};
use super::store::Unkept;
use crate::config::portal::PORTAL_STEP_UP_SECONDS;
use crate::control::inside::{event, unix_now};
use crate::control::json::{answer, nothing};
use crate::control::problem::problem;

/// Second factors that are being set up, by subscribers' numbers: secret, and until when. Whoever
/// is here gave the portal password a short time ago, so there are few.
#[derive(Default)]
pub struct SettingUp(Mutex<HashMap<u32, ([u8; 20], u64)>>);

impl SettingUp {
    fn begin(&self, number: u32, secret: [u8; 20], now: u64) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, (_, until)| *until > now);
        all.insert(number, (secret, now + PORTAL_STEP_UP_SECONDS));
    }

    fn of(&self, number: u32, now: u64) -> Option<[u8; 20]> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&number).filter(|(_, until)| *until > now).map(|(secret, _)| *secret)
    }

    fn end(&self, number: u32) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
    }
}

/// `GET /api/v1/account`: what is to be known of it.
pub async fn account(caller: Caller) -> Response<Body> {
    let (inside, user) = (&caller.visitor.inside, &caller.session.user);
    let passwords = match inside.portal_password(user).await {
        Ok(passwords) => passwords,
        Err(why) => return door::refused(why),
    };
    let apps = match inside.app_passwords(user).await {
        Ok(apps) => apps,
        Err(why) => return door::refused(why),
    };
    let is_proved = caller.is_proved();
    let told = |app: crate::control::inside::AppPassword| -> Value {
        let is_own = caller.session.app.as_deref() == Some(app.name.as_str());
        let password = app.password.filter(|_| is_own || is_proved);
        json!({ "name": app.name, "created": app.created, "own": is_own, "password": password })
    };
    let document = &caller.subscriber.document;
    answer(
        StatusCode::OK,
        &json!({
            "user": user,
            "expires": document["expires"],
            "status": document["status"],
            "trial": document["trial"],
            "plan": document["plan"],
            "has_password": passwords.0,
            "has_factor": passwords.1,
            "proved": is_proved,
            "apps": apps.into_iter().map(told).collect::<Vec<_>>(),
        }),
    )
}

/// Another portal password.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPassword {
    password: String,
}

/// `POST /api/v1/account/password`: another portal password: 204; others that are signed in by the
/// old one are out.
pub async fn password(
    State(portal): State<Portal>,
    caller: Caller,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let NewPassword { password } = match caller.wanted(&headers, &body) {
        Ok(new) => new,
        Err(problem) => return problem,
    };
    let user = &caller.session.user;
    let stamp = match caller.visitor.inside.set_portal_password(user, password).await {
        Ok(stamp) => stamp,
        Err(why) => return door::refused(why),
    };
    let (number, hash) = (caller.session.number, caller.hash);
    let ended = portal.store().ask(move |file| file.end_others(number, &hash, &stamp)).await;
    event("password-changed", user, caller.visitor.address, "portal");
    ended.map_or_else(|Unkept| door::unkept(), |()| nothing())
}

/// `POST /api/v1/account/factor`: a second factor to set up: 200 with its secret.
pub async fn factor(State(portal): State<Portal>, caller: Caller) -> Response<Body> {
    if let Err(problem) = caller.proved() {
        return problem;
    }
    match caller.visitor.inside.new_factor(&caller.session.user) {
        Ok(new) => {
            portal.0.setting_up.begin(caller.session.number, new.secret, unix_now().0);
            let told = json!({ "secret": new.typed, "address": new.address });
            answer(StatusCode::OK, &told)
        }
        Err(why) => door::refused(why),
    }
}

/// A code of this moment.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Confirmation {
    code: String,
}

/// `POST /api/v1/account/factor/confirm`: it counts from now on: 200 with recovery codes, which are
/// told this once.
pub async fn confirm_factor(
    State(portal): State<Portal>,
    caller: Caller,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let Confirmation { code } = match caller.wanted(&headers, &body) {
        Ok(confirmation) => confirmation,
        Err(problem) => return problem,
    };
    let (number, user) = (caller.session.number, &caller.session.user);
    let Some(secret) = portal.0.setting_up.of(number, unix_now().0) else {
        return problem(StatusCode::CONFLICT, "no second factor is being set up");
    };
    match caller.visitor.inside.set_factor(user, &secret, &code).await {
        Ok(codes) => {
            portal.0.setting_up.end(number);
            event("factor-changed", user, caller.visitor.address, "portal");
            answer(StatusCode::OK, &json!({ "recovery_codes": codes }))
        }
        Err(why) => door::refused(why),
    }
}

/// `POST /api/v1/account/factor/remove`: there is no second factor any more: 204.
pub async fn remove_factor(caller: Caller) -> Response<Body> {
    if let Err(problem) = caller.proved() {
        return problem;
    }
    let removed = caller.visitor.inside.remove_factor(&caller.session.user).await;
    event("factor-removed", &caller.session.user, caller.visitor.address, "portal");
    removed.map_or_else(door::refused, |()| nothing())
}

/// A name for an app or device.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewApp {
    name: String,
}

/// `POST /api/v1/account/apps`: one more app password: 201 with it.
pub async fn add_app(caller: Caller, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let NewApp { name } = match caller.wanted(&headers, &body) {
        Ok(new) => new,
        Err(problem) => return problem,
    };
    let added = caller.visitor.inside.add_app_password(&caller.session.user, name).await;
    match added {
        Ok(password) => answer(StatusCode::CREATED, &json!({ "password": password })),
        Err(why) => door::refused(why),
    }
}

/// `POST /api/v1/account/apps/remove`: the app password of a name is good for nothing from now on:
/// 204.
pub async fn remove_app(caller: Caller, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let NewApp { name } = match caller.wanted(&headers, &body) {
        Ok(named) => named,
        Err(problem) => return problem,
    };
    let removed = caller.visitor.inside.remove_app_password(&caller.session.user, name).await;
    removed.map_or_else(door::refused, |()| nothing())
}

/// `GET /api/v1/sessions`: what the subscriber watches now, wherever.
pub async fn sessions(caller: Caller) -> Response<Body> {
    let own = format!("{:016x}", caller.session.device);
    let told = |mut session: Value| {
        session["own"] = json!(session["device"] == own.as_str());
        session
    };
    let all = caller.visitor.inside.sessions(caller.credential().number);
    answer(StatusCode::OK, &json!({ "sessions": all.into_iter().map(told).collect::<Vec<_>>() }))
}

/// `POST /api/v1/sessions/{id}/end`: one of them ends: 204.
pub async fn end_session(caller: Caller, Path(id): Path<String>) -> Response<Body> {
    let ended = caller.visitor.inside.end_session(&caller.credential(), &id).await;
    ended.map_or_else(door::refused, |()| nothing())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_factor_is_set_up_for_as_long_as_the_password_counts() {
        let all = SettingUp::default();
        all.begin(1, [7; 20], 100);
        assert_eq!(all.of(1, 100 + PORTAL_STEP_UP_SECONDS - 1), Some([7; 20]));
        assert_eq!(all.of(1, 100 + PORTAL_STEP_UP_SECONDS), None);
        assert_eq!(all.of(2, 100), None);
        all.end(1);
        assert_eq!(all.of(1, 100), None);
    }
}
