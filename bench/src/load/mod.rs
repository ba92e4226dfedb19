//! The load generator: one thread, one ring, keep-alive connections in a closed or open loop.
//!
//! `urls` says what is asked for, `response` reads what comes back (pure), `tally` counts it,
//! `engine` drives the connections, and `measure` puts the machine's figures around a run. `storm`
//! is the opposite: clients that ask for little and are hard to bear.

pub mod engine;
pub mod measure;
pub mod probe;
pub mod random;
pub mod response;
pub mod schedule;
pub mod storm;
pub mod tally;
pub mod urls;
