//! Who may have what: a target, keys and rights in, proof that its viewer was looked at out.

use std::num::NonZeroU32;

use super::View;
use super::refusal::Refusal;
use super::route::Target;
use crate::config::{Access, TOKEN_BYTES_MAX};
use crate::units::{Rung, split_first};
use crate::viewer::foreign::{Denied, Unexchanged};
use crate::viewer::leases::Over;
use crate::viewer::permit::{Ended, Permit};
use crate::viewer::rights::{Bar, From, Wanted};
use crate::viewer::{Claims, Denial, Key, Recent, Terms, token};

/// Proof that this viewer was looked at.
///
/// Only `grant` makes one that allows more than what is open to all, and `locate` will not work
/// without one.
#[derive(Clone, Copy, Debug)]
pub struct Grant {
    /// Viewers without a token get what is open to all, and nothing else.
    permit: Permit,
    /// Who it is, if there is a token.
    viewer: Option<Viewer>,
    terms: Terms,
}

/// Whose token it is.
#[derive(Clone, Copy, Debug)]
pub struct Viewer {
    /// The subscriber, if that is somebody of the registry.
    pub subscriber: Option<NonZeroU32>,
    /// The device's session.
    pub session: u64,
    /// Whether it may watch at so many places only.
    pub is_limited: bool,
}

impl Grant {
    /// What everybody has.
    pub const OPEN: Self = Self { permit: Permit::OPEN, viewer: None, terms: Terms::ALL };

    /// Whether the viewer may have an object of this access.
    #[must_use]
    pub fn allows(&self, access: Access) -> bool {
        access == Access::Open || self.permit.can_end()
    }

    /// Whose token it is, if there is one.
    #[must_use]
    pub fn viewer(&self) -> Option<Viewer> {
        self.viewer
    }

    /// Whether its terms hold for what takes so much.
    #[must_use]
    pub fn is_within(&self, rung: Rung) -> bool {
        rung.least_cap_kbps() <= self.terms.bitrate_max_kbps
    }

    /// Whether there is a most that a rendition may take.
    #[must_use]
    pub fn is_capped(&self) -> bool {
        self.terms.bitrate_max_kbps != u32::MAX
    }

    /// On what terms: the plan's and the token's together.
    #[must_use]
    pub fn terms(&self) -> Terms {
        self.terms
    }

    /// By what right, for as long as the answer goes on.
    #[must_use]
    pub fn permit(&self) -> Permit {
        self.permit
    }
}

/// What the viewer of this target may have.
///
/// # Errors
///
/// `TokenUnknown`, `TokenExpired`, `TokenElsewhere`, `TokenRevoked`; `SubscriberUnknown`,
/// `SubscriberBlocked`, `SubscriberExpired`, `SubscriberElsewhere`, `AgentDenied`; `NotEntitled`
/// for a path that the token's scope, or the subscriber's plan, does not hold.
pub fn grant(
    target: &Target<'_>,
    agent: Option<&[u8]>,
    view: &View<'_>,
    recent: &mut Recent,
) -> Result<Grant, Refusal> {
    let (text, first, rest) = match *target {
        Target::Vod { token: Some(token), path } => (token, "/vod/", path),
        Target::Live { token: Some(token), path, .. } => (token, "", path),
        _ => return Ok(Grant::OPEN),
    };
    let (claims, key, is_in_scope) = said(text, (first, rest), view, recent)?;
    let permitted = || {
        claims.hold(view.peer, view.now.unix).map_err(refused)?;
        if view.rights.revoked().has(claims.session) {
            return Err(Refusal::TokenRevoked);
        }
        if !is_in_scope {
            return Err(Refusal::NotEntitled);
        }
        granted(&claims, || Ok(key), target, agent, view)
    };
    permitted().inspect_err(|_| recent.refuse(claims.subscriber))
}

/// What the viewer may have who signed in, and whose token would say this.
///
/// # Errors
///
/// See `grant`; `Busy` where there is no key to sign with.
pub(super) fn of_app(
    claims: &Claims,
    target: &Target<'_>,
    agent: Option<&[u8]>,
    view: &View<'_>,
    recent: &mut Recent,
) -> Result<Grant, Refusal> {
    let mark = || view.keys.current.as_ref().map(Key::mark).ok_or(Refusal::Busy);
    granted(claims, mark, target, agent, view).inspect_err(|_| recent.refuse(claims.subscriber))
}

/// What a viewer may have with a token that says this and is good, of a key of this mark.
fn granted(
    claims: &Claims,
    mark: impl FnOnce() -> Result<u32, Refusal>,
    target: &Target<'_>,
    agent: Option<&[u8]>,
    view: &View<'_>,
) -> Result<Grant, Refusal> {
    let (from, now) = (From { peer: view.peer, agent }, view.now.unix);
    let verdict = |subscriber| view.rights.verdict(subscriber, wanted(target), &from, now);
    let held = claims.subscriber.map(verdict).transpose().map_err(barred)?;
    let permit = Permit::of(mark()?, claims, held.map(|held| held.entry));
    let mut terms = held.map_or(Terms::ALL, |held| held.terms);
    let of_token = claims.bitrate_max.unwrap_or(u32::MAX);
    terms.bitrate_max_kbps = terms.bitrate_max_kbps.min(of_token);
    let is_limited = held.is_some_and(|held| held.is_limited);
    let Claims { subscriber, session, .. } = *claims;
    let viewer = Some(Viewer { subscriber, session, is_limited });
    Ok(Grant { permit, viewer, terms })
}

/// What a token of ours says, the mark of the key that signed it, and whether its patterns hold
/// this path.
fn said(
    text: &str,
    (first, rest): (&str, &str),
    view: &View<'_>,
    recent: &mut Recent,
) -> Result<(Claims, u32, bool), Refusal> {
    if let Some((claims, key)) = recent.find(text) {
        return Ok((claims, key, true));
    }
    let mut scratch = [0; TOKEN_BYTES_MAX];
    let token = token::verified(text, view.keys, &mut scratch).map_err(refused)?;
    if token.scope.is_whole() {
        recent.keep(text, token.claims, token.key);
        return Ok((token.claims, token.key, true));
    }
    Ok((token.claims, token.key, token.scope.holds(first, rest)))
}

/// Why an answer that was granted must end.
#[must_use]
pub fn ended(ended: Ended) -> Refusal {
    match ended {
        Ended::Token(denial) => refused(denial),
        Ended::Subscriber(bar) => barred(bar),
        Ended::Session(why) => over(why),
    }
}

/// Why a session may not go on.
#[must_use]
pub fn over(over: Over) -> Refusal {
    match over {
        Over::Limit => Refusal::SessionLimit,
        Over::Kicked => Refusal::SessionKicked,
        Over::Full => Refusal::EgressFull,
        Over::Abroad => Refusal::CountryDenied,
        Over::Somewhere => Refusal::CountryUnknown,
        Over::Hook => Refusal::HookRefused,
        Over::Unheard => Refusal::HookFailed,
    }
}

/// What a target is of, as plans know it.
fn wanted<'t>(target: &Target<'t>) -> Wanted<'t> {
    match *target {
        Target::Vod { path, .. } => Wanted::Object(path),
        Target::Live { path, .. } => {
            let below = path.strip_prefix("/tv/").unwrap_or_default();
            Wanted::Channel(split_first(below, b'/').0)
        }
        _ => unreachable!("nothing else has a token"),
    }
}

fn barred(bar: Bar) -> Refusal {
    match bar {
        Bar::Unknown => Refusal::SubscriberUnknown,
        Bar::Blocked => Refusal::SubscriberBlocked,
        Bar::Expired => Refusal::SubscriberExpired,
        Bar::Elsewhere => Refusal::SubscriberElsewhere,
        Bar::Agent => Refusal::AgentDenied,
        Bar::NotInPlan => Refusal::NotEntitled,
        Bar::Bitrate => Refusal::Bitrate,
        Bar::Past => Refusal::CatchUp,
    }
}

/// Why a token of others is not exchanged.
#[must_use]
pub fn unexchanged(why: Unexchanged) -> Refusal {
    match why {
        Unexchanged::Missing => Refusal::TokenMissing,
        Unexchanged::TooLong => Refusal::TargetTooLong,
        Unexchanged::Busy => Refusal::Busy,
        Unexchanged::Subscriber(_, bar) => barred(bar),
        Unexchanged::Token(denied) => match denied {
            Denied::Unknown => Refusal::TokenUnknown,
            Denied::Early => Refusal::TokenEarly,
            Denied::Expired => Refusal::TokenExpired,
            Denied::Elsewhere => Refusal::TokenElsewhere,
            Denied::OutOfScope => Refusal::NotEntitled,
            Denied::Unfit => Refusal::TokenUnfit,
            Denied::Revoked => Refusal::TokenRevoked,
        },
    }
}

fn refused(denial: Denial) -> Refusal {
    match denial {
        Denial::Unknown => Refusal::TokenUnknown,
        Denial::Expired(_) => Refusal::TokenExpired,
        Denial::Elsewhere => Refusal::TokenElsewhere,
        Denial::Revoked => Refusal::TokenRevoked,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::Bans;
    use crate::live::slate::Shown;
    use crate::request::fixture;
    use crate::units::{Now, UnixTime};
    use crate::viewer::foreign::carrier::Watched;
    use crate::viewer::rights::{Plan, PlanIndex, Standing};
    use crate::viewer::{Apps, Keys, Rights};

    const ANNA: NonZeroU32 = NonZeroU32::new(7).unwrap();

    const NOON: UnixTime = UnixTime(1_800_000_000);

    /// What the viewer of a path gets whose token has these patterns.
    #[track_caller]
    fn check(rules: &[&str], target: impl Fn(&str) -> Result<Grant, Refusal>, expected: &str) {
        let text = token::sealed(&claims(), rules, &key()).unwrap();
        let found = match target(&text) {
            Ok(grant) if grant.allows(Access::Token) => "all",
            Ok(_) => "open",
            Err(refusal) => refusal.reason(),
        };
        assert_eq!(found, expected, "{rules:?}");
    }

    fn key() -> Key {
        Key::new(1, &[1; 32], 0)
    }

    fn claims() -> Claims {
        Claims {
            subscriber: None,
            session: 1,
            expires: UnixTime(NOON.0 + 1),
            bitrate_max: None,
            network: Some("192.0.2.0/24".parse().unwrap()),
        }
    }

    fn granted(target: &Target<'_>, peer: &str, unix: UnixTime) -> Result<Grant, Refusal> {
        granted_on(Terms::ALL, target, peer, unix)
    }

    /// What a viewer gets whose plan has these terms.
    fn granted_on(
        terms: Terms,
        target: &Target<'_>,
        peer: &str,
        unix: UnixTime,
    ) -> Result<Grant, Refusal> {
        let catalog = fixture::catalog();
        let keys = Keys { current: Some(key()), previous: None };
        let (now, peer) = (Now { unix, ..Now::default() }, Some(peer.parse().unwrap()));
        let gold = Plan::of(["tv/news"]).on(terms);
        let standing = Standing {
            plan: Some(PlanIndex(0)),
            expires: None,
            is_blocked: false,
            limits: None,
            sessions_max: None,
            country: None,
            language: None,
        };
        let rights = Rights::default().with_plans(vec![gold]).with(&[(ANNA, Some(standing))]);
        let (catalog, keys, rights, apps) = (&catalog, &keys, &rights, &Apps::default());
        let (foreign, bans) = (&Watched::default(), &Bans::default());
        let slates = &Shown::default();
        let view = View { catalog, keys, rights, apps, foreign, bans, slates, peer: &|| peer, now };
        let mut recent = Recent::default();
        let first = grant(target, None, &view, &mut recent);
        // Whoever is known again is judged as before.
        let again = grant(target, None, &view, &mut recent);
        assert_eq!(first.map(|grant| grant.permit), again.map(|grant| grant.permit));
        again
    }

    fn vod(path: &str) -> impl Fn(&str) -> Result<Grant, Refusal> {
        move |token| granted(&Target::Vod { path, token: Some(token) }, "192.0.2.1", NOON)
    }

    fn live(path: &str) -> impl Fn(&str) -> Result<Grant, Refusal> {
        let query = b"";
        move |token| granted(&Target::Live { path, query, token: Some(token) }, "192.0.2.1", NOON)
    }

    #[test]
    fn who_has_no_token_may_have_what_is_open_and_nothing_else() {
        check(&[], |_| granted(&Target::Vod { path: "a", token: None }, "192.0.2.1", NOON), "open");
    }

    #[test]
    fn a_token_is_good_for_what_its_patterns_hold() {
        check(&[], vod("films/a/1.m4s"), "all");
        check(&[], live("/tv/news/1.m4s"), "all");
        check(&["/vod/films/*"], vod("films/a/1.m4s"), "all");
        check(&["/vod/films/*"], vod("series/a/1.m4s"), "not-entitled");
        check(&["/tv/news/*", "/tv/sport/*"], live("/tv/sport/1.m4s"), "all");
        check(&["/tv/news/*", "/tv/sport/*"], live("/tv/music/1.m4s"), "not-entitled");
    }

    /// What the viewer of a channel gets whose token names this subscriber.
    #[track_caller]
    fn check_subscriber(subscriber: NonZeroU32, path: &str, expected: &str) {
        let claims = Claims { subscriber: Some(subscriber), ..claims() };
        let text = token::sealed(&claims, &[], &key()).unwrap();
        let found = live(path)(&text);
        let found = found.map_or_else(Refusal::reason, |_| "all");
        assert_eq!(found, expected, "{path}");
    }

    #[test]
    fn a_subscriber_may_have_what_the_plan_holds() {
        check_subscriber(ANNA, "/tv/news/1.m4s", "all");
        check_subscriber(ANNA, "/tv/news", "all");
        check_subscriber(ANNA, "/tv/newsroom/1.m4s", "not-entitled");
        check_subscriber(NonZeroU32::MAX, "/tv/news/1.m4s", "subscriber-unknown");
    }

    #[test]
    fn a_token_and_a_plan_narrow_each_other() {
        for (of_plan, of_token, expected) in [
            (u32::MAX, None, u32::MAX),
            (3000, None, 3000),
            (u32::MAX, Some(800), 800),
            (3000, Some(800), 800),
            (3000, Some(6000), 3000),
        ] {
            let terms = Terms { bitrate_max_kbps: of_plan, catch_up_days: 7 };
            let claims = Claims { subscriber: Some(ANNA), bitrate_max: of_token, ..claims() };
            let token = token::sealed(&claims, &[], &key()).unwrap();
            let target = Target::Live { path: "/tv/news/1", query: b"", token: Some(&token) };
            let grant = granted_on(terms, &target, "192.0.2.1", NOON).unwrap();
            assert_eq!(grant.terms(), Terms { bitrate_max_kbps: expected, ..terms });
            assert_eq!(grant.is_capped(), expected != u32::MAX);
        }
    }

    #[test]
    fn a_token_is_good_for_a_time_and_in_a_network() {
        fn target(token: &str) -> Target<'_> {
            Target::Live { path: "/tv/news/1.m4s", query: b"", token: Some(token) }
        }
        let later = UnixTime(NOON.0 + 1);
        check(&[], |token| granted(&target(token), "192.0.2.1", later), "token-expired");
        check(&[], |token| granted(&target(token), "192.0.3.1", NOON), "token-elsewhere");
        check(&[], |_| granted(&target("letmein"), "192.0.2.1", NOON), "token-unknown");
    }
}
