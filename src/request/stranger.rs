//! Who comes from where too many wrong things came from, and does not say who it is.
//!
//! An address may be a whole town's, behind one NAT of a carrier: whoever has a good token is let
//! through before anything is looked at here, and what is open to all stays open. Logins, and what
//! was refused anyway, are what is left.

use super::View;
use super::refusal::Refusal;
use super::route::Target;

/// What a refused request is told: where it comes from an address that is suspected, nothing about
/// what was asked for.
#[must_use]
pub fn refused(refusal: Refusal, view: &View<'_>) -> Refusal {
    match refusal {
        Refusal::NotFound | Refusal::TokenUnknown if is_suspected(view) => Refusal::Banned,
        refusal => refusal,
    }
}

/// Whether control may be asked, which lets people in.
///
/// # Errors
///
/// `Banned`.
pub fn may_ask(target: &Target<'_>, view: &View<'_>) -> Result<(), Refusal> {
    match target {
        Target::Control if is_suspected(view) => Err(Refusal::Banned),
        _ => Ok(()),
    }
}

fn is_suspected(view: &View<'_>) -> bool {
    view.bans.refuse_strangers() && (view.peer)().is_some_and(|peer| view.bans.suspect(peer))
}
