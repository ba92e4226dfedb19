//! By what right an answer is sent: small enough to stay with one that goes on for hours, and to be
//! looked at again when keys or rights change.

use std::num::NonZeroU32;

use super::leases::Over;
use super::rights::{Bar, Entry};
use super::{Claims, Denial, Keys, Rights, SessionId};
use crate::units::UnixTime;

/// What an answer needs to be sent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permit {
    /// The mark of the key that signed the viewer's token; none = it took no token.
    key: Option<u32>,
    /// Whose token it is, if that is somebody of the registry.
    subscriber: Option<NonZeroU32>,
    /// When it ends, in seconds since 1970.
    expires: u32,
    /// By what its subscriber's plan holds it.
    entry: Option<Entry>,
    /// The session that it belongs to, if it belongs to one.
    session: Option<SessionId>,
}

/// Why an answer must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The token is not good any more.
    Token(Denial),
    /// Its subscriber may not have it any more.
    Subscriber(Bar),
    /// Its session may not go on.
    Session(Over),
}

impl Permit {
    /// What is open to all, and never ends.
    pub const OPEN: Self =
        Self { key: None, subscriber: None, expires: u32::MAX, entry: None, session: None };

    /// By a token with these claims, which the key of this mark signed; `entry` is what its
    /// subscriber's plan holds it by.
    #[must_use]
    pub fn of(key: u32, claims: &Claims, entry: Option<Entry>) -> Self {
        let expires = u32::try_from(claims.expires.0).unwrap_or(u32::MAX);
        let subscriber = claims.subscriber;
        Self { key: Some(key), subscriber, expires, entry, session: None }
    }

    /// The same, as a part of this session.
    #[must_use]
    pub fn within(self, session: SessionId) -> Self {
        Self { session: Some(session), ..self }
    }

    /// Whose token it is, if that is somebody of the registry.
    #[must_use]
    pub fn subscriber(&self) -> Option<NonZeroU32> {
        self.subscriber
    }

    /// The session that it belongs to.
    #[must_use]
    pub fn session(&self) -> Option<SessionId> {
        self.session
    }

    /// Whether it can end.
    #[must_use]
    pub fn can_end(&self) -> bool {
        self.key.is_some()
    }

    /// Whether it still holds.
    ///
    /// # Errors
    ///
    /// `Ended`.
    pub fn verdict(&self, keys: &Keys, rights: &Rights, now: UnixTime) -> Result<(), Ended> {
        let Some(key) = self.key else { return Ok(()) };
        if !keys.has(key) {
            return Err(Ended::Token(Denial::Unknown));
        }
        let expires = UnixTime(u64::from(self.expires));
        if now >= expires {
            return Err(Ended::Token(Denial::Expired(expires)));
        }
        let Some(subscriber) = self.subscriber else { return Ok(()) };
        let plan = rights.plan(subscriber, now).map_err(Ended::Subscriber)?;
        let is_held = self.entry.is_some_and(|entry| plan.has(entry));
        if is_held { Ok(()) } else { Err(Ended::Subscriber(Bar::NotInPlan)) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::rights::{From, Plan, PlanIndex, Standing, Wanted};
    use super::super::token::Key;
    use super::*;

    const NOON: UnixTime = UnixTime(1_800_000_000);
    const ANNA: NonZeroU32 = NonZeroU32::new(7).unwrap();

    fn keys(id: u8) -> Keys {
        Keys { current: Some(Key::new(id, &[1; 32], 0)), previous: None }
    }

    fn mark(id: u8) -> u32 {
        let text =
            super::super::token::sealed(&claims(None), &[], keys(id).current.as_ref().unwrap());
        keys(id).mark_of(&text.unwrap()).unwrap()
    }

    fn claims(subscriber: Option<NonZeroU32>) -> Claims {
        let expires = UnixTime(NOON.0 + 10);
        Claims { subscriber, session: 1, expires, bitrate_max: None, network: None }
    }

    fn rights(content: &[&str], standing: Option<Standing>) -> Rights {
        let plans = vec![Plan::of(content.iter().copied())];
        Rights::default().with_plans(plans).with(&[(ANNA, standing)])
    }

    fn standing() -> Standing {
        Standing {
            plan: Some(PlanIndex(0)),
            expires: None,
            is_blocked: false,
            limits: None,
            sessions_max: None,
            country: None,
            language: None,
        }
    }

    #[test]
    fn it_holds_as_long_as_key_token_subscriber_and_plan_do() {
        let here = rights(&["tv/news", "vod/films"], Some(standing()));
        let from = From { peer: &|| None, agent: None };
        let wanted = Wanted::Object("films/a/1.m4s");
        let (entry, _) = here.verdict(ANNA, wanted, &from, NOON).unwrap();
        let permit = Permit::of(mark(3), &claims(Some(ANNA)), Some(entry));
        let check = |keys: &Keys, rights: &Rights, seconds: u64| {
            permit.verdict(keys, rights, UnixTime(NOON.0 + seconds))
        };
        assert_eq!(check(&keys(3), &here, 9), Ok(()));
        assert_eq!(check(&keys(4), &here, 0), Err(Ended::Token(Denial::Unknown)));
        // The same key in another epoch is another one.
        let restored = Keys { current: Some(Key::new(3, &[1; 32], 1)), previous: None };
        assert_eq!(check(&restored, &here, 0), Err(Ended::Token(Denial::Unknown)));
        let expired = Err(Ended::Token(Denial::Expired(UnixTime(NOON.0 + 10))));
        assert_eq!(check(&keys(3), &here, 10), expired);
        let barred = |bar| Err(Ended::Subscriber(bar));
        let gone = rights(&["vod/films"], None);
        assert_eq!(check(&keys(3), &gone, 0), barred(Bar::Unknown));
        let blocked = Standing { is_blocked: true, ..standing() };
        let blocked = rights(&["vod/films"], Some(blocked));
        assert_eq!(check(&keys(3), &blocked, 0), barred(Bar::Blocked));
        let ends = Standing { expires: Some(UnixTime(NOON.0 + 5)), ..standing() };
        let ends = rights(&["vod/films"], Some(ends));
        assert_eq!(
            (check(&keys(3), &ends, 4), check(&keys(3), &ends, 5)),
            (Ok(()), barred(Bar::Expired))
        );
        let less = rights(&["tv/news", "tv/films"], Some(standing()));
        assert_eq!(check(&keys(3), &less, 0), barred(Bar::NotInPlan));
    }

    #[test]
    fn what_is_open_never_ends_and_a_token_of_nobody_needs_no_plan() {
        let far = UnixTime(u64::MAX);
        assert_eq!(Permit::OPEN.verdict(&Keys::default(), &Rights::default(), far), Ok(()));
        assert!(!Permit::OPEN.can_end());
        let permit = Permit::of(mark(3), &claims(None), None);
        assert_eq!(permit.verdict(&keys(3), &Rights::default(), NOON), Ok(()));
        assert!(permit.can_end());
    }

    #[test]
    fn it_is_small() {
        assert!(size_of::<Permit>() <= 32, "{}", size_of::<Permit>());
    }
}
