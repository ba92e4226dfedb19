//! The load generator: one thread, one ring, keep-alive connections in a closed or open loop.
//!
//! `urls` says what is asked for, `response` reads what comes back (pure), `tally` counts it,
//! `engine` drives the connections, and `measure` puts the machine's figures around a run. `storm`
//! is the opposite: clients that ask for little and are hard to bear. `crowd` asks for one thing on
//! many connections at once, beside a `hot` client. `fetch` reads answers whole.

pub mod crowd;
pub mod engine;
pub mod fetch;
pub mod hot;
pub mod measure;
pub mod probe;
pub mod random;
pub mod response;
pub mod schedule;
pub mod storm;
pub mod tally;
pub mod urls;
pub mod viewers;
