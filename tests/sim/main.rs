//! The simulator: the real driver over a fake kernel whose every decision comes from a seed.
//!
//! `cargo test --test sim` runs 200 seeds and the directed scenarios, `SHARDCAST_FULL=1` runs 1,000
//! of them, with `--release` 10,000; `SEED=… cargo test --test sim` replays one and prints what
//! happens in it.

#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

mod random;
mod content;
mod pipe;
mod net;
mod request;
mod response;
mod client;
mod library;
mod world;
mod ops;
mod kernel;
mod run;
mod workload;
mod heads;
mod scenarios;
mod disk;
mod limits;
mod guarded;
mod ends;

use std::sync::Mutex;

#[test]
fn every_seed_ends_well() {
    if let Ok(seed) = std::env::var("SEED") {
        workload::run(seed.parse().expect("SEED is a number"));
        return;
    }
    let count = match std::env::var_os("SHARDCAST_FULL") {
        None => 200,
        Some(_) if cfg!(debug_assertions) => 1_000,
        Some(_) => 10_000,
    };
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for half in 0..2 {
            let failed = &failed;
            scope.spawn(move || {
                for seed in (0..count).filter(|seed| seed % 2 == half) {
                    if std::panic::catch_unwind(|| workload::run(seed)).is_err() {
                        failed.lock().expect("nobody panics with it").push(seed);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().expect("nobody panics with it");
    assert!(failed.is_empty(), "{} of {count} seeds failed: {failed:?}", failed.len());
}
