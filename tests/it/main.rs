//! Real shards on the real ring, over real sockets; the inbox, the library and control are played.
//!
//! The binary needs nothing of cargo at run time, and no network but the loopback device: it also
//! runs inside a guest with the oldest kernel. Scratch folders are made under `$TMPDIR`.

#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

mod content;
mod client;
mod server;
mod bodies;
mod waiting;
mod faults;
mod lifetimes;

use std::process::Command;

/// The suite once more with every optional feature of the kernel switched off.
#[test]
fn all_of_it_passes_without_optional_ring_features() {
    const VARIABLE: &str = "SHARDCAST_RING_FEATURES";
    if std::env::var(VARIABLE).as_deref() == Ok("-all") {
        // This is that run, or the whole run is one.
        assert!(!shardcast::sys::features::Features::from_environment().cachestat);
        return;
    }
    let run = Command::new(std::env::current_exe().unwrap())
        .args(["--test-threads", "2"])
        .env(VARIABLE, "-all")
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stdout));
}
