//! Whether somebody is who they say: password, and second factor where there is one.
//!
//! Whatever is wrong, it takes as long and looks the same from outside: one hash, and "user,
//! password or code is wrong".

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::http::Response;

use super::backoff::Wait;
use super::factor::{self, SECRET_SIZE};
use super::hashing::Full;
use super::people::{self, Admin, Factor, Kept, Unwritten};
use super::{Office, event, password, wire};
use crate::config::{OBJECT_ID_MAX, PASSWORD_SIZE_MAX};
use crate::control::actor::Actor;
use crate::control::audit::Act;
use crate::control::registry::{Busy, StoreError};
use crate::control::tokens::{busy, failed, now};

/// Label of the key that seals secrets of second factors.
const LABEL: &str = "second-factor";

/// Why somebody is not let in.
#[derive(Debug)]
pub enum Refused {
    /// User, password or code is wrong.
    Wrong,
    /// A code is missing, and the rest is right.
    CodeWanted,
    /// It failed too often.
    Wait(Wait),
    /// Too many at once.
    Full,
    /// The registry has too much to do.
    Busy,
    /// The registry failed.
    Store(StoreError),
}

impl From<Refused> for Response<Body> {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Wrong => wire::unknown("user, password or code is wrong"),
            Refused::CodeWanted => wire::code_wanted(),
            Refused::Wait(wait) => wire::wait(wait),
            Refused::Full => wire::full(),
            Refused::Busy => busy(),
            Refused::Store(error) => failed(&error),
        }
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// What shows a second factor.
pub enum Code {
    /// It is not asked for: it was shown a short time ago.
    Unasked,
    /// It is asked for where there is one, and this was sent.
    Sent(Option<String>),
}

/// What somebody sent.
pub struct Claim {
    /// Who it is said to be.
    pub user: String,
    /// As it was typed.
    pub password: String,
    /// Of the second factor, or a recovery code.
    pub code: Code,
    /// From where.
    pub address: IpAddr,
}

impl Office {
    /// Whoever this is, if it is right. A code is used up by it.
    ///
    /// # Errors
    ///
    /// `Refused`.
    pub(super) async fn verified(self: &Arc<Self>, claim: &Claim) -> Result<Kept<Admin>, Refused> {
        let Claim { user, address, .. } = claim;
        // Longer ones are nobody's, and cost no hash.
        if user.len() > OBJECT_ID_MAX || claim.password.len() > PASSWORD_SIZE_MAX {
            return Err(Refused::Wrong);
        }
        let turn = self.backoff().attempt(*address, user, self.ticks()).map_err(Refused::Wait)?;
        let forgiven = || self.backoff().forgiven(*address, user, self.ticks());
        let id = user.clone();
        let found = self.registry.ask(move |store| people::one::<Admin>(store, &id)).await;
        let found = found.map_err(|Busy| Refused::Busy).and_then(|found| Ok(found?));
        let found = found.inspect_err(|_| forgiven())?;
        let kept = found.as_ref().map(|admin| admin.is.password.clone());
        let typed = claim.password.clone();
        let is_right = self.hashing.run(turn, move || password::is_right(&typed, kept.as_deref()));
        let is_right = is_right.await.map_err(|Full| {
            forgiven();
            Refused::Full
        })?;
        let wrong = |reason| {
            event("login-failed", user, *address, reason);
            let lock_out = self.backoff().lock_out(*address, user, self.ticks());
            if lock_out > 0 {
                let seconds = format!("{} s", lock_out.div_ceil(1_000));
                event("locked-out", user, *address, &seconds);
            }
            Err(Refused::Wrong)
        };
        let admin = match found {
            Some(admin) if is_right && admin.is.enabled => admin,
            Some(_) if is_right => return wrong("not enabled"),
            Some(_) => return wrong("wrong password"),
            None => return wrong("unknown user"),
        };
        let admin = match (&admin.is.factor, &claim.code) {
            (None, _) | (_, Code::Unasked) => admin,
            (Some(_), Code::Sent(None)) => {
                forgiven();
                return Err(Refused::CodeWanted);
            }
            (Some(_), Code::Sent(Some(code))) => {
                match self.with_code_used(admin, code, *address).await? {
                    Some(admin) => admin,
                    None => return wrong("wrong code"),
                }
            }
        };
        self.backoff().succeeded(*address, user, self.ticks());
        Ok(admin)
    }

    /// The administrator with this code used up; none if it is wrong. Of two who send the same
    /// code at the same moment one is let in.
    async fn with_code_used(
        self: &Arc<Self>,
        admin: Kept<Admin>,
        code: &str,
        address: IpAddr,
    ) -> Result<Option<Kept<Admin>>, Refused> {
        let may_try = self.backoff().code(&admin.id, self.ticks());
        let user = admin.id.clone();
        let (office, code) = (Arc::clone(self), code.to_owned());
        let actor = Actor::Operator(admin.id.clone());
        let act = Act { peer: Some(address), ..Act::of(actor, now()) };
        let used = self.registry.ask(move |store| {
            // Read again: it is what stands now that is used up.
            let Some(mut found) = people::one::<Admin>(store, &admin.id)? else { return Ok(None) };
            let is_same = found.is.enabled && found.is.password == admin.is.password;
            let Some(factor) = found.is.factor.as_mut().filter(|_| is_same) else {
                return Ok(None);
            };
            let by_recovery = factor::recovery_hash(&code);
            let place =
                by_recovery.and_then(|hash| factor.recovery.iter().position(|one| *one == hash));
            if let Some(place) = place {
                factor.recovery.remove(place);
            } else if may_try.is_err() || !office.is_step_used(&found.id, factor, &code) {
                return Ok(None);
            }
            match people::changed(store, &act, &found) {
                Ok(written) => Ok(Some(Kept { revision: written.revision, ..found })),
                Err(Unwritten::Store(error)) => Err(error),
                Err(_) => Ok(None),
            }
        });
        let used = used.await.map_err(|Busy| Refused::Busy)??;
        match (used, may_try) {
            (None, Err(wait)) => Err(Refused::Wait(wait)),
            (None, Ok(())) => Ok(None),
            (Some(admin), _) => {
                self.backoff().right_code(&user);
                Ok(Some(admin))
            }
        }
    }

    /// Takes the step of a code, if it is one of a step behind the last.
    fn is_step_used(&self, id: &str, factor: &mut Factor, code: &str) -> bool {
        let Some(secret) = self.factor_opened(id, &factor.secret) else {
            tracing::error!(admin = id, "the second factor was sealed with another secrets.key");
            return false;
        };
        match factor::step(&secret, code, factor.step, now()) {
            Some(step) => {
                factor.step = step;
                true
            }
            None => false,
        }
    }

    fn factor_opened(&self, id: &str, sealed: &str) -> Option<[u8; SECRET_SIZE]> {
        let secret = self.secrets.opened(LABEL, &format!("admin/{id}"), sealed)?;
        secret.try_into().ok()
    }

    /// A second factor's secret as it lies in the registry.
    ///
    /// # Errors
    ///
    /// It can't be sealed.
    pub(super) fn factor_sealed(
        &self,
        id: &str,
        secret: &[u8; SECRET_SIZE],
    ) -> Result<String, String> {
        let sealed = self.secrets.sealed(LABEL, &format!("admin/{id}"), secret);
        sealed.map_err(|error| format!("the secret can't be sealed: {error}"))
    }
}
