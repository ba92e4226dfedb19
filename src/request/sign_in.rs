//! Who starts something by an app's address, and what that is: proof that its viewer was looked at,
//! as `authorise` gives it for a token, and the target behind the address.
//!
//! The grant is that of a token which nobody has to keep: its session is a keyed hash of what makes
//! the device the same one, and when it expires follows from the clock. So a device gets the same
//! token for hours, from every shard and after every restart, and it is revoked as any other; then
//! the next one is counted on to, since whoever has a password is not shut out by that.

use std::num::NonZeroU32;

use super::View;
use super::authorise::{self, Grant};
use super::refusal::Refusal;
use super::route::Target;
use super::start::{Form, Start};
use crate::config::{APP_SESSIONS_REVOKED_MAX, TOKEN_SECONDS_MAX};
use crate::units::UnixTime;
use crate::viewer::accounts::{Credential, Device, Hasher, Login};
use crate::viewer::numbers::{Numbered, Played};
use crate::viewer::sign_ins::{NotLetIn, Said};
use crate::viewer::{Claims, Known};

/// What has begun: of this its token and its addresses are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begun {
    /// Whose it is.
    pub subscriber: NonZeroU32,
    /// The device's session.
    pub session: u64,
    /// When the token expires, in seconds since 1970.
    pub expires: u32,
    /// What the number is one of.
    pub kind: Numbered,
    /// The number, of which the shard's table says what it is.
    pub number: u32,
    /// As what it is wanted.
    pub form: Form,
}

impl Begun {
    /// What its token says.
    #[must_use]
    pub fn claims(&self) -> Claims {
        Claims {
            subscriber: Some(self.subscriber),
            session: self.session,
            expires: UnixTime(u64::from(self.expires)),
            bitrate_max: None,
            network: None,
        }
    }
}

/// Somebody who may have what is started.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'v> {
    /// What that is.
    pub target: Target<'v>,
    /// As with a token.
    pub grant: Grant,
    /// See `Begun`.
    pub begun: Begun,
    /// What was said.
    pub said: Said,
    /// What the number stands for.
    pub played: &'v Played,
}

/// What is known of whoever starts something.
#[derive(Clone, Copy, Debug)]
pub enum SignedIn<'v> {
    /// Who it is.
    In(Signed<'v>),
    /// Control is to be asked.
    Ask(Said),
}

/// Who starts something, and what.
///
/// # Errors
///
/// `NotFound` for a number that stands for nothing; what `authorise::grant` refuses for.
pub fn signed_in<'v>(
    start: &Start<'_>,
    agent: Option<&[u8]>,
    view: &View<'v>,
    known: &mut Known,
) -> Result<SignedIn<'v>, Refusal> {
    // Without a key there is no password.
    let hasher = view.apps.accounts.hasher().ok_or(Refusal::PasswordWrong)?;
    let credential = Credential::of(&hasher.hash(start.user, start.password));
    let login = view.apps.accounts.find(credential);
    let from = (view.peer)();
    let said = known.sign_ins.said((start.user, credential), from, agent.unwrap_or_default());
    let may_go_by_it = known.sign_ins.judge(&said, login.is_some(), view.now.ticks);
    let Some(login) = login.filter(|_| may_go_by_it) else { return Ok(SignedIn::Ask(said)) };
    let number = view.apps.numbers.find(start.kind, start.number);
    let played = number.ok_or(Refusal::NotFound)?;
    let target = target(start, played);
    let device = Device { login, peer: from, agent: agent.unwrap_or_default() };
    let claims = claims(hasher, &device, view)?;
    let grant = authorise::of_app(&claims, &target, agent, view, &mut known.recent)?;
    let begun = Begun {
        subscriber: login.subscriber,
        session: claims.session,
        expires: u32::try_from(claims.expires.0).unwrap_or(u32::MAX),
        kind: start.kind,
        number: start.number,
        form: start.form,
    };
    Ok(SignedIn::In(Signed { target, grant, begun, said, played }))
}

/// What stands behind an address.
fn target<'v>(start: &Start<'_>, played: &'v Played) -> Target<'v> {
    let token = None;
    match (start.kind, start.form) {
        (Numbered::Channel, Form::Playlist) => {
            Target::Live { path: played.path(), query: b"", token }
        }
        (Numbered::Channel, _) => Target::Live { path: played.stream(), query: b"", token },
        _ => Target::Vod { path: played.path(), token },
    }
}

/// What a device's token says now.
fn claims(hasher: &Hasher, device: &Device<'_>, view: &View<'_>) -> Result<Claims, Refusal> {
    let Login { subscriber, .. } = device.login;
    let revoked = view.rights.revoked();
    let session = (0..APP_SESSIONS_REVOKED_MAX).map(|turn| hasher.session(device, turn));
    let session = session.into_iter().find(|session| !revoked.has(*session));
    let standing = view.rights.standing(subscriber);
    let paid_until = standing.and_then(|standing| standing.expires).unwrap_or(UnixTime(u64::MAX));
    Ok(Claims {
        subscriber: Some(subscriber),
        session: session.ok_or(Refusal::TokenRevoked)?,
        expires: expires(subscriber, view.now.unix).min(paid_until),
        bitrate_max: None,
        network: None,
    })
}

/// When a token expires that is made now: the same second for half a day, and half a day to a whole
/// one from now. It is another second for each subscriber, so that not all change at once.
fn expires(subscriber: NonZeroU32, now: UnixTime) -> UnixTime {
    const HALF: u64 = TOKEN_SECONDS_MAX as u64 / 2;
    let phase = u64::from(subscriber.get().wrapping_mul(0x9e37_79b1)) % HALF;
    UnixTime((now.0.saturating_add(phase) / HALF + 2).saturating_mul(HALF) - phase)
}

/// Why somebody is not let in.
#[must_use]
pub fn not_let_in(why: NotLetIn) -> Refusal {
    match why {
        NotLetIn::Wrong => Refusal::PasswordWrong,
        NotLetIn::LockedOut => Refusal::LockedOut,
        NotLetIn::Hook => Refusal::HookRefused,
        NotLetIn::HookFailed => Refusal::HookFailed,
        NotLetIn::Busy => Refusal::Busy,
    }
}

#[cfg(test)]
mod tests;
