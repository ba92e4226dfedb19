//! Signing in with an app password: who it is, or why not. Every path that takes one comes here:
//! shards with addresses that start something, pages of the Xtream-compatible API, the portal.
//!
//! In this order: whether it may be looked at (`guard`), whether it is right, and, for whoever may
//! watch, what an operator's back end says. A right one of an account that is blocked or has ended
//! is right, and never counts as a failure. Nothing is asked of the registry's thread: what is
//! right is looked up in the value that shards have too, once that is as new as the registry. So
//! an unknown user and a wrong password take the same way, the same time and get the same answer.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::sync::Arc;

use super::accounts::Followed;
use super::guard::{Attempt, Guard};
use super::hook::wire::Event;
use super::hook::{self, Decision};
use super::sessions::Desk;
use super::tokens::now;
use crate::config::SESSION_AGENT_SIZE_MAX;
use crate::guard::failures::LockedOut;
use crate::viewer::Apps;
use crate::viewer::accounts::{Credential, Login};
use crate::viewer::rights::Bar;

/// What somebody says who signs in.
#[derive(Clone, Copy, Debug)]
pub struct Said<'a> {
    /// The subscriber's id.
    pub user: &'a str,
    /// One of its app passwords.
    pub password: &'a str,
    /// From where, if that is known.
    pub from: Option<IpAddr>,
    /// `User-Agent`; empty if there is none.
    pub agent: &'a [u8],
    /// The request's head, or its first line, for the log: secrets in its address are taken out.
    pub head: &'a [u8],
}

/// Somebody who has said a right password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedIn {
    /// The subscriber's number.
    pub subscriber: NonZeroU32,
    /// Which of its passwords it was, in the order in which they were given.
    pub which: u8,
    /// Whether it may watch now: `Unknown`, `Blocked`, `Expired`; `NotInPlan` for whoever has no
    /// plan.
    pub standing: Result<(), Bar>,
}

/// Why somebody is not signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotSignedIn {
    /// No such user, or not this password.
    Wrong,
    /// Too many different ones were wrong within the hour: nothing was looked at.
    LockedOut(LockedOut),
    /// The operator's back end says no; why, as it says.
    Hook(Option<Box<str>>),
    /// The operator's back end says nothing, and then nobody is let in.
    HookFailed,
}

/// Where people sign in with app passwords. `middleware` finds it as an extension of a request.
#[derive(Clone)]
pub struct SignIns {
    followed: Followed,
    guard: Arc<Guard>,
    desk: Arc<Desk>,
}

impl std::fmt::Debug for SignIns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SignIns")
    }
}

impl SignIns {
    /// By what is followed there, with this guard, and the desk's back end.
    #[must_use]
    pub(super) fn new(followed: Followed, guard: Arc<Guard>, desk: Arc<Desk>) -> Self {
        Self { followed, guard, desk }
    }

    /// Who it is.
    ///
    /// # Errors
    ///
    /// `NotSignedIn`.
    pub async fn signed_in(&self, said: &Said<'_>) -> Result<SignedIn, NotSignedIn> {
        let attempt = Attempt {
            from: said.from.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            account: said.user,
            credential: said.password.as_bytes(),
            head: said.head,
        };
        self.guard.may_try(&attempt).map_err(NotSignedIn::LockedOut)?;
        let Some(login) = self.login(said).await else {
            self.guard.failed(&attempt).await;
            return Err(NotSignedIn::Wrong);
        };
        self.guard.succeeded(&attempt);
        let Login { subscriber, which } = login;
        let standing = self.desk.rights().plan(subscriber, now()).map(drop);
        if standing.is_ok() {
            self.ask(subscriber, said).await?;
        }
        Ok(SignedIn { subscriber, which, standing })
    }

    /// Whose it is. What is not there is looked for again once everything is heard of that was
    /// committed by now: a password may be used as soon as it was given.
    async fn login(&self, said: &Said<'_>) -> Option<Login> {
        let found = |apps: &Apps| {
            let hash = apps.accounts.hasher()?.hash(said.user, said.password);
            apps.accounts.find(Credential::of(&hash))
        };
        match found(&self.followed.current()) {
            Some(login) => Some(login),
            None => found(&*self.followed.caught_up().await),
        }
    }

    /// What an operator's back end says; what it said is remembered there.
    async fn ask(&self, subscriber: NonZeroU32, said: &Said<'_>) -> Result<(), NotSignedIn> {
        let hook = &self.desk.outside.hook;
        if !hook.asks(Event::Login) {
            return Ok(());
        }
        let wanted = hook::Wanted {
            event: Event::Login,
            subscriber: Some(subscriber),
            token: 0,
            content: None,
            address: said.from,
            place: self.desk.place(said.from),
            agent: said.agent.iter().take(SESSION_AGENT_SIZE_MAX).copied().collect(),
        };
        let decision = hook.ask(wanted).await;
        match (decision.over(), decision) {
            (None, _) => Ok(()),
            (Some(_), Decision::Refused(reason, _)) => Err(NotSignedIn::Hook(reason)),
            (Some(_), _) => Err(NotSignedIn::HookFailed),
        }
    }
}

#[cfg(test)]
mod tests;
