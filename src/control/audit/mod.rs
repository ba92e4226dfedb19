//! The audit log: who did what to what, when and from where.
//!
//! Whoever changes something says so with an `Act`, which the store asks for: a change and what is
//! said about it are written together.

use std::net::IpAddr;

use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{Response, StatusCode};

use super::actor::{Actor, Peer};
use super::problem::problem;
use crate::units::UnixTime;

/// Who does something, when, and from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    /// Who.
    pub actor: Actor,
    /// The address that it was asked from, if it came over a network.
    pub peer: Option<IpAddr>,
    /// When.
    pub at: UnixTime,
    /// What it is called; none = what becomes of each object says it.
    pub deed: Option<Deed>,
}

impl Act {
    /// Of somebody on this machine.
    #[must_use]
    pub fn of(actor: Actor, at: UnixTime) -> Self {
        Self { actor, peer: None, at, deed: None }
    }

    /// What the server does by itself.
    #[must_use]
    pub fn server(at: UnixTime) -> Self {
        Self::of(Actor::Server, at)
    }

    /// The same, called so.
    #[must_use]
    pub fn called(mut self, deed: Deed) -> Self {
        self.deed = Some(deed);
        self
    }
}

/// What is done. Its word stands in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// An object was made.
    Create,
    /// An object says something else.
    Change,
    /// An object is gone.
    Remove,
    /// Another key signs tokens.
    Rotate,
    /// The registry was made what a copy says.
    Restore,
}

impl Deed {
    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Change => "change",
            Self::Remove => "remove",
            Self::Rotate => "rotate",
            Self::Restore => "restore",
        }
    }
}

/// What a request does, as whoever it came from. Nobody changes anything unnamed: 403 where it is
/// not known who asks.
impl<S: Sync> FromRequestParts<S> for Act {
    type Rejection = Response<Body>;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let Some(actor) = parts.extensions.get::<Actor>() else {
            return Err(problem(StatusCode::FORBIDDEN, "it is not known who asks"));
        };
        let peer = match parts.extensions.get::<Peer>() {
            Some(Peer::Network(address)) => Some(address.ip()),
            _ => None,
        };
        let at = super::tokens::now();
        Ok(Self { actor: actor.clone(), peer, at, deed: None })
    }
}
