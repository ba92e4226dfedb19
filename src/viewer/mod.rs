//! Viewers, as a request tells of them: the token in its path, and what that lets them have.
//!
//! Pure values. Control makes tokens and rights of the registry; shards read the tokens with the
//! same keys, and look at the rights of those whom they name. Nothing here knows a clock or a file:
//! the keys, the rights and `now` are arguments.

pub mod token;
pub mod permit;
pub mod scope;
pub mod recent;
pub mod rights;
pub mod terms;
pub mod revoked;
pub mod session;
pub mod accounts;
pub mod numbers;
pub mod leases;
pub mod cmcd;
pub mod foreign;
pub mod players;
#[cfg(any(test, fuzzing))]
pub mod fuzz;

pub use accounts::Accounts;
pub use leases::Leases;
pub use numbers::Numbers;
pub use permit::Permit;
pub use players::Players;
pub use recent::Recent;
pub use rights::Rights;
pub use scope::Scope;
pub use session::{SessionId, Viewing};
pub use terms::{Needs, Terms};
pub use token::{Claims, Denial, Key, Keys, Token};

/// What apps start by: who they are, and what their numbers stand for.
#[derive(Clone, Debug, Default)]
pub struct Apps {
    /// What they sign in with.
    pub accounts: Accounts,
    /// What is played.
    pub numbers: Numbers,
}

/// What a shard remembers of viewers.
#[derive(Debug, Default)]
pub struct Known {
    /// Their tokens,
    pub recent: Recent,
    /// what they watch,
    pub leases: Leases,
    /// and what their players say, and how fast they are sent to.
    pub players: Players,
}
