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

/// Whether control may be asked, which lets people in. Pictures are everybody's: the player of
/// somebody who watches shows them.
///
/// # Errors
///
/// `Banned`.
pub fn may_ask(target: &Target<'_>, view: &View<'_>) -> Result<(), Refusal> {
    let lets_in = matches!(target, Target::Control | Target::Start(_));
    if lets_in && is_suspected(view) { Err(Refusal::Banned) } else { Ok(()) }
}

fn is_suspected(view: &View<'_>) -> bool {
    view.bans.refuse_strangers() && (view.peer)().is_some_and(|peer| view.bans.suspect(peer))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::guard::{Bans, Networks};
    use crate::request::fixture;

    /// What a client at this address is told where one network is suspected.
    #[track_caller]
    fn check(address: &str, told: Refusal, expected: Refusal, may_ask_expected: bool) {
        let suspected = Networks::of(["192.0.2.0/24".parse().unwrap()]);
        let bans = Bans::new(Arc::default(), Networks::default(), suspected);
        let catalog = fixture::catalog();
        let address = address.parse().unwrap();
        let peer = || Some(address);
        let view = View { bans: &bans, peer: &peer, ..fixture::view(&catalog) };
        assert_eq!(refused(told, &view), expected, "{address}");
        let may = |target| may_ask(&target, &view);
        let login = may(Target::Control);
        assert_eq!(login.is_ok(), may_ask_expected, "{address}");
        assert_eq!(may(Target::Picture { path: "/img/news-320.jpg" }), Ok(()), "{address}");
        // A channel that is open to all has a past, of which control is asked.
        let path = "/tv/news/archive/1-2/a";
        assert_eq!(may(Target::Live { path, query: b"", token: None }), Ok(()), "{address}");
    }

    #[test]
    fn strangers_of_a_suspected_address_learn_and_ask_nothing() {
        let suspected = "192.0.2.7";
        check(suspected, Refusal::NotFound, Refusal::Banned, false);
        check(suspected, Refusal::TokenUnknown, Refusal::Banned, false);
        check("198.51.100.7", Refusal::NotFound, Refusal::NotFound, true);
        check("198.51.100.7", Refusal::TokenUnknown, Refusal::TokenUnknown, true);
    }

    #[test]
    fn whoever_is_known_is_told_why_as_ever() {
        for refusal in [
            Refusal::TokenExpired,
            Refusal::SubscriberExpired,
            Refusal::SubscriberBlocked,
            Refusal::SessionLimit,
            Refusal::Busy,
            Refusal::Malformed,
        ] {
            check("192.0.2.7", refusal, refusal, false);
        }
    }
}
