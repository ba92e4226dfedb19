//! By what right an answer is sent: small enough to stay with one that goes on for hours, and to be
//! looked at again when keys or rights change.

use std::num::NonZeroU32;

use super::leases::Over;
use super::rights::{Bar, Entry};
use super::terms::{Kept, Needs};
use super::{Claims, Denial, Keys, Rights, SessionId};
use crate::units::UnixTime;

/// What an answer needs to be sent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permit {
    /// The mark of the key that signed the viewer's token; none = it took no token.
    key: Option<NonZeroU32>,
    /// Whose token it is, if that is somebody of the registry.
    subscriber: Option<NonZeroU32>,
    /// When it ends, in seconds since 1970.
    expires: u32,
    /// The token's session.
    device: u64,
    /// By what its subscriber's plan holds it.
    entry: Option<Entry>,
    /// The session that it belongs to, if it belongs to one.
    session: Option<SessionId>,
    /// What it needs of its subscriber's terms. Those of the token never change.
    needs: Kept,
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
    pub const OPEN: Self = Self {
        key: None,
        subscriber: None,
        expires: u32::MAX,
        device: 0,
        entry: None,
        session: None,
        needs: Kept::NOTHING,
    };

    /// By a token with these claims, which the key of this mark signed; `entry` is what its
    /// subscriber's plan holds it by.
    #[must_use]
    pub fn of(key: u32, claims: &Claims, entry: Option<Entry>) -> Self {
        let expires = u32::try_from(claims.expires.0).unwrap_or(u32::MAX);
        let subscriber = claims.subscriber;
        // No key has the mark 0.
        let key = Some(NonZeroU32::new(key).unwrap_or(NonZeroU32::MAX));
        Self { key, subscriber, expires, device: claims.session, entry, ..Self::OPEN }
    }

    /// The same, as a part of this session.
    #[must_use]
    pub fn within(self, session: SessionId) -> Self {
        Self { session: Some(session), ..self }
    }

    /// The same for what needs so much.
    #[must_use]
    pub fn needing(self, needs: Needs) -> Self {
        Self { needs: Kept::of(needs), ..self }
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
        if !keys.has(key.get()) {
            return Err(Ended::Token(Denial::Unknown));
        }
        let expires = UnixTime(u64::from(self.expires));
        if now >= expires {
            return Err(Ended::Token(Denial::Expired(expires)));
        }
        if rights.revoked().has(self.device) {
            return Err(Ended::Token(Denial::Revoked));
        }
        let Some(subscriber) = self.subscriber else { return Ok(()) };
        let plan = rights.plan(subscriber, now).map_err(Ended::Subscriber)?;
        let is_held = self.entry.is_some_and(|entry| plan.has(entry));
        let terms = plan.terms();
        let bar = match self.needs.needs() {
            _ if !is_held => Bar::NotInPlan,
            needs if terms.hold(needs) => return Ok(()),
            needs if needs.kbps > terms.bitrate_max_kbps => Bar::Bitrate,
            _ => Bar::Past,
        };
        Err(Ended::Subscriber(bar))
    }
}

#[cfg(test)]
mod tests {
    use super::super::rights::{From, Plan, PlanIndex, Standing, Wanted};
    use super::super::terms::Terms;
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
        let entry = here.verdict(ANNA, Wanted::Object("films/a/1.m4s"), &from, NOON).unwrap();
        let permit = Permit::of(mark(3), &claims(Some(ANNA)), Some(entry.entry));
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
        let revoked = here.with_revoked(&[(1, Some(UnixTime(NOON.0 + 10)))]);
        assert_eq!(check(&keys(3), &revoked, 0), Err(Ended::Token(Denial::Revoked)));
        let another = here.with_revoked(&[(2, Some(UnixTime(NOON.0 + 10)))]);
        assert_eq!(check(&keys(3), &another, 0), Ok(()));
        let less = rights(&["tv/news", "tv/films"], Some(standing()));
        assert_eq!(check(&keys(3), &less, 0), barred(Bar::NotInPlan));
    }

    #[test]
    fn it_ends_when_its_plan_has_other_terms() {
        let on = |terms| {
            let plan = Plan::of(["tv/news"]).on(terms);
            Rights::default().with_plans(vec![plan]).with(&[(ANNA, Some(standing()))])
        };
        let all = on(Terms::ALL);
        let from = From { peer: &|| None, agent: None };
        let held = all.verdict(ANNA, Wanted::Channel("news"), &from, NOON).unwrap();
        assert_eq!(held.terms, Terms::ALL);
        let permit = Permit::of(mark(3), &claims(Some(ANNA)), Some(held.entry));
        for (needs, terms, expected) in [
            (Needs { kbps: 3000, days: 7 }, Terms::ALL, Ok(())),
            (Needs { kbps: 3000, days: 0 }, terms(3000, 0), Ok(())),
            (Needs { kbps: 3001, days: 0 }, terms(3000, 0), Err(Bar::Bitrate)),
            (Needs { kbps: 0, days: 7 }, terms(0, 7), Ok(())),
            (Needs { kbps: 0, days: 1 }, terms(3000, 0), Err(Bar::Past)),
        ] {
            let found = permit.needing(needs).verdict(&keys(3), &on(terms), NOON);
            assert_eq!(found, expected.map_err(Ended::Subscriber), "{needs:?} {terms:?}");
        }
    }

    fn terms(bitrate_max_kbps: u32, catch_up_days: u32) -> Terms {
        Terms { bitrate_max_kbps, catch_up_days }
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
        assert!(size_of::<Permit>() <= 40, "{}", size_of::<Permit>());
    }
}
