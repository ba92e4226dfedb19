//! The audit log: who did what to what, when and from where.
//!
//! Whoever changes something says so with an `Act`, which the store asks for: a change and the
//! entry that tells of it are written together, or neither is. Entries are only ever added,
//! numbered without holes and chained (`chain`) by a key that lies outside the database (`key`).
//! Nothing takes entries away; the log grows with what is done, by some 150 bytes an entry.

use std::net::IpAddr;

use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{Response, StatusCode};
use serde::Serialize;
use serde_json::Value;

pub mod api;
pub mod chain;
pub mod heads;
pub mod key;

pub use chain::Head;

use super::actor::{Actor, Peer};
use super::idempotency::Once;
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
    /// If it is to be done once, however often it is asked for.
    pub once: Option<Once>,
}

impl Act {
    /// Of somebody on this machine.
    #[must_use]
    pub fn of(actor: Actor, at: UnixTime) -> Self {
        Self { actor, peer: None, at, deed: None, once: None }
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
    /// A chain begins, with a key that no entry before was made with.
    Begin,
    /// An object was there when a chain began.
    Adopt,
    /// An object was made.
    Create,
    /// An object says something else.
    Change,
    /// An object is gone.
    Remove,
    /// A token was signed.
    Mint,
    /// Another key signs tokens.
    Rotate,
    /// A session was ended.
    Kick,
    /// The registry was copied.
    Backup,
    /// The registry was made what a copy says.
    Restore,
}

impl Deed {
    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Begin => "begin",
            Self::Adopt => "adopt",
            Self::Create => "create",
            Self::Change => "change",
            Self::Remove => "remove",
            Self::Mint => "mint",
            Self::Rotate => "rotate",
            Self::Kick => "kick",
            Self::Backup => "backup",
            Self::Restore => "restore",
        }
    }
}

/// Something that was done and changed no object.
#[derive(Clone, Debug, PartialEq)]
pub struct Note {
    /// What was done.
    pub deed: Deed,
    /// What it was done to: "token", "session", …
    pub kind: &'static str,
    /// Its name.
    pub id: String,
    /// More about it: an object, or null. Never what is secret.
    pub details: Value,
    /// What it made, for whoever asks the same again; if the act is one that is done once.
    pub made: Value,
}

/// An entry as it is told.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = AuditEntry)]
pub struct Told {
    /// Its number: 1, 2, 3 …
    pub sequence: u64,
    /// When, in seconds since 1970.
    pub at: u64,
    /// Who.
    pub actor: String,
    /// From which address, if from any.
    pub peer: Option<String>,
    /// What was done.
    pub deed: String,
    /// To what,
    pub kind: String,
    /// and its name.
    pub id: String,
    /// The revision that this made.
    pub revision: Option<u64>,
    /// More about it.
    pub details: Value,
}

/// Which entries are asked for.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// The number behind which they begin.
    pub after: u64,
    /// None that is older (seconds since 1970).
    pub since: u64,
    /// Only this one's.
    pub actor: Option<String>,
    /// So many at most.
    pub most: usize,
}

/// Some of the entries.
#[derive(Clone, Debug)]
pub struct Page {
    /// In their order.
    pub entries: Vec<Told>,
    /// Behind which number to go on; none = these are the last.
    pub next: Option<u64>,
    /// The newest entry of all.
    pub head: Head,
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
        Ok(Self { actor: actor.clone(), peer, at, deed: None, once: None })
    }
}
