//! What somebody likes and hides, the PIN before what is not for children, and where somebody
//! stopped: `/api/v1/preferences`, `/api/v1/pin`, `/api/v1/positions`.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Response, StatusCode};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use super::door::{self, Caller};
use super::store::{Position, Unkept};
use super::{Portal, signing_in};
use crate::config::ASSET_PATH_SIZE_MAX;
use crate::config::portal::{
    PIN_EVERY_MS, PIN_WRONG_MAX, PORTAL_POSITIONS_AT_ONCE_MAX, PORTAL_PREFERENCES_SIZE_MAX,
};
use crate::control::inside::unix_now;
use crate::control::json::{answer, nothing, wanted};
use crate::control::problem::{problem, problem_with};

/// What somebody likes and hides.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Preferences {
    /// Contents, in the order in which they are shown: `tv/news`.
    favourites: Vec<String>,
    /// Categories that are not shown.
    hidden: Vec<String>,
    /// Categories that take the PIN.
    locked: Vec<String>,
    /// Of the portal; none = the browser's.
    language: Option<String>,
}

/// Wrong PINs of subscribers, by number: until when it is owed.
#[derive(Default)]
pub struct Pins(Mutex<HashMap<u32, u64>>);

impl Pins {
    /// Takes one try; none if there were too many, with how long to wait.
    fn attempt(&self, number: u32, now: u64) -> Result<(), u64> {
        let mut owed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        owed.retain(|_, until| *until > now);
        let until = owed.get(&number).copied().unwrap_or(now).max(now) + PIN_EVERY_MS;
        let most = now + u64::from(PIN_WRONG_MAX) * PIN_EVERY_MS;
        if until > most {
            return Err(until - most);
        }
        owed.insert(number, until);
        Ok(())
    }

    fn right(&self, number: u32) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
    }
}

/// `GET /api/v1/preferences`: what somebody likes and hides, and whether there is a PIN.
pub async fn preferences(State(portal): State<Portal>, caller: Caller) -> Response<Body> {
    let number = caller.session.number;
    let found = portal.store().ask(move |file| file.preferences(number)).await;
    let Ok((document, pin)) = found else { return door::unkept() };
    let kept = document.and_then(|text| serde_json::from_str::<Preferences>(&text).ok());
    let kept = kept.unwrap_or_default();
    answer(StatusCode::OK, &json!({ "preferences": kept, "pin": pin.is_some() }))
}

/// `POST /api/v1/preferences`: 204.
pub async fn prefer(
    State(portal): State<Portal>,
    caller: Caller,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let preferences: Preferences = match wanted(&headers, &body) {
        Ok(preferences) => preferences,
        Err(problem) => return problem,
    };
    let text = json!(preferences).to_string();
    if text.len() > PORTAL_PREFERENCES_SIZE_MAX {
        let why = format!("what is liked and hidden may take {PORTAL_PREFERENCES_SIZE_MAX} bytes");
        return problem(StatusCode::PAYLOAD_TOO_LARGE, &why);
    }
    let number = caller.session.number;
    let kept = portal.store().ask(move |file| file.prefer(number, &text)).await;
    kept.map_or_else(|Unkept| door::unkept(), |()| nothing())
}

/// A PIN, and the one to come.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pin {
    /// The one of now, where there is one.
    #[serde(default)]
    pin: String,
    /// The one to come; empty = none.
    #[serde(default)]
    new: Option<String>,
}

/// What a PIN is known by. It has 13 bits, so whoever has the file and the key knows it; what it
/// keeps out is children.
fn known_by(caller: &Caller, pin: &str) -> Vec<u8> {
    let key = caller.visitor.inside.key("portal-pin");
    let mac = Hmac::<Sha256>::new_from_slice(&key).expect("any size is a key");
    let number = caller.session.number.to_be_bytes();
    mac.chain_update(number).chain_update(pin).finalize().into_bytes().to_vec()
}

/// Whether a PIN is the one that is kept, or none is.
async fn is_right(portal: &Portal, caller: &Caller, pin: &str) -> Result<(), Response<Body>> {
    let number = caller.session.number;
    let found = portal.store().ask(move |file| file.preferences(number)).await;
    let (_, kept) = found.map_err(|Unkept| door::unkept())?;
    let Some(kept) = kept else { return Ok(()) };
    portal.0.pins.attempt(number, portal.ticks()).map_err(signing_in::later)?;
    if bool::from(kept.ct_eq(&known_by(caller, pin))) {
        portal.0.pins.right(number);
        return Ok(());
    }
    let besides = json!({ "reason": "pin" });
    Err(problem_with(StatusCode::FORBIDDEN, "the PIN is wrong", &besides))
}

/// `POST /api/v1/pin`: whether it is right: 204, or 403.
pub async fn try_pin(
    State(portal): State<Portal>,
    caller: Caller,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let Pin { pin, .. } = match wanted(&headers, &body) {
        Ok(pin) => pin,
        Err(problem) => return problem,
    };
    is_right(&portal, &caller, &pin).await.map_or_else(|problem| problem, |()| nothing())
}

/// `POST /api/v1/pin/set`: another PIN, or none: 204. It takes the one of now, or the portal
/// password of a short time ago.
pub async fn set_pin(
    State(portal): State<Portal>,
    caller: Caller,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let Pin { pin, new } = match wanted(&headers, &body) {
        Ok(pin) => pin,
        Err(problem) => return problem,
    };
    let new = new.unwrap_or_default();
    let is_pin = new.len() == 4 && new.bytes().all(|byte| byte.is_ascii_digit());
    if !new.is_empty() && !is_pin {
        return problem(StatusCode::BAD_REQUEST, "new: a PIN has four digits");
    }
    if !caller.is_proved()
        && let Err(problem) = is_right(&portal, &caller, &pin).await
    {
        return problem;
    }
    let number = caller.session.number;
    let kept = (!new.is_empty()).then(|| known_by(&caller, &new));
    let set = portal.store().ask(move |file| file.set_pin(number, kept.as_deref())).await;
    set.map_or_else(|Unkept| door::unkept(), |()| nothing())
}

/// Where somebody is.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Stopped {
    content: String,
    seconds: u32,
    duration: u32,
    /// When that was; what is sent has no say in it.
    #[serde(default)]
    at: u64,
}

/// Where several films were left.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Lot {
    positions: Vec<Stopped>,
}

/// `GET /api/v1/positions`: where somebody stopped, the newest first.
pub async fn positions(State(portal): State<Portal>, caller: Caller) -> Response<Body> {
    let number = caller.session.number;
    let found = portal.store().ask(move |file| file.positions(number)).await;
    let Ok(found) = found else { return door::unkept() };
    let told = found.into_iter().map(|Position { content, seconds, duration, at }| Stopped {
        content,
        seconds,
        duration,
        at,
    });
    answer(StatusCode::OK, &json!({ "positions": told.collect::<Vec<_>>() }))
}

/// Share of a film in percent behind which nobody goes on with it: titles roll there.
const SEEN_PERCENT: u64 = 95;

/// `POST /api/v1/positions`: where somebody is in some films: 204. Who has seen one to its end does
/// not go on with it.
pub async fn stop_at(
    State(portal): State<Portal>,
    caller: Caller,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let Lot { positions } = match wanted(&headers, &body) {
        Ok(lot) => lot,
        Err(problem) => return problem,
    };
    let is_content = |of: &Stopped| {
        of.content.starts_with("vod/") && of.content.len() <= ASSET_PATH_SIZE_MAX + 4
    };
    if positions.len() > PORTAL_POSITIONS_AT_ONCE_MAX || !positions.iter().all(is_content) {
        let why = format!("positions: up to {PORTAL_POSITIONS_AT_ONCE_MAX}, of \"vod/…\"");
        return problem(StatusCode::BAD_REQUEST, &why);
    }
    let (number, at) = (caller.session.number, unix_now().0);
    let kept = portal.store().ask(move |file| {
        for Stopped { content, seconds, duration, .. } in positions {
            let is_seen = u64::from(seconds) * 100 >= u64::from(duration) * SEEN_PERCENT;
            if is_seen {
                file.forget(number, &content)?;
            } else {
                file.stop_at(number, Position { content, seconds, duration, at });
            }
        }
        Ok(())
    });
    kept.await.map_or_else(|Unkept| door::unkept(), |()| nothing())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_guesses_pins_has_to_wait() {
        let pins = Pins::default();
        for _ in 0..PIN_WRONG_MAX {
            assert_eq!(pins.attempt(1, 1_000), Ok(()));
        }
        assert_eq!(pins.attempt(1, 1_000), Err(PIN_EVERY_MS));
        assert_eq!(pins.attempt(2, 1_000), Ok(()), "others need not");
        assert_eq!(pins.attempt(1, 1_000 + PIN_EVERY_MS), Ok(()));
        assert!(pins.attempt(1, 1_000 + PIN_EVERY_MS).is_err());
        pins.right(1);
        assert_eq!(pins.attempt(1, 1_000 + PIN_EVERY_MS), Ok(()));
    }
}
