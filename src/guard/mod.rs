//! Who is kept out, and who is believed: networks and bans, what proxies say of their clients, and
//! counts of what failed.
//!
//! Pure: bytes, addresses and `now` come in, verdicts go out. Shards look at it when clients come,
//! control decides by it who is banned, and nobody here knows a socket or a clock.

pub mod networks;
pub mod bans;
pub mod proxy;
pub mod forwarded;
pub mod strike;
pub mod failures;
#[cfg(any(test, fuzzing))]
pub mod fuzz;

pub use bans::Bans;
pub use networks::Networks;
pub use strike::{Marks, Offence, Strike};

use std::sync::Arc;

/// What a shard is told at its start, and what stays so.
#[derive(Clone, Debug, Default)]
pub struct Door {
    /// Peers whose word on their clients is taken.
    pub trusted: Arc<Networks>,
    /// How credentials are told apart without keeping them: the same for all shards.
    pub marks: Marks,
}
