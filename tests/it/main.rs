//! Real shards on the real ring, over real sockets; the inbox, the library and control are played.
//!
//! The binary needs nothing of cargo at run time, and no network but the loopback device: it also
//! runs inside a guest with the oldest kernel. Scratch folders are made under `$TMPDIR`.

#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

mod content;
mod client;
mod server;
mod disk;
mod bodies;
mod waiting;
mod faults;
mod lifetimes;
mod drain;
mod cold;
mod pieces;
mod overflow;

use std::process::Command;

use shardcast::sys::features::{Features, NAMES};

/// Switches optional features off.
const VARIABLE: &str = "SHARDCAST_RING_FEATURES";

/// The suite once more with every optional feature of the kernel switched off.
#[test]
fn all_of_it_passes_without_optional_ring_features() {
    if std::env::var(VARIABLE).as_deref() == Ok("-all") {
        // This is that run, or the whole run is one.
        assert!(!Features::from_environment().cachestat);
        return;
    }
    let run = Command::new(std::env::current_exe().unwrap())
        .args(["--test-threads", "2"])
        .env(VARIABLE, "-all")
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stdout));
}

/// Requests of every kind.
const EVERY_KIND: [&str; 9] = [
    "bodies::objects_of_every_size_come_whole_from_every_shard",
    "bodies::pipelined_requests_are_answered_in_order",
    "bodies::zero_copy_gives_way_where_the_kernel_copies",
    "waiting::a_growing_object_is_sent_as_it_grows",
    "waiting::what_is_expected_is_waited_for",
    "waiting::control_gets_the_question_as_it_was_put",
    "faults::a_file_that_is_cut_short_resets_its_transfers",
    "cold::a_file_that_is_out_of_memory_is_read_once_and_served_whole",
    "lifetimes::a_drain_finishes_what_runs",
];

#[test]
fn each_optional_ring_feature_can_be_missing_alone() {
    if std::env::var(VARIABLE).is_ok_and(|value| !value.is_empty()) {
        // This is such a run, or one with more of them off.
        assert_ne!(Features::from_environment(), Features::ALL);
        return;
    }
    for name in NAMES {
        let run = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "each_optional_ring_feature_can_be_missing_alone"])
            .args(EVERY_KIND)
            .env(VARIABLE, format!("-{name}"))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stdout);
        assert!(run.status.success(), "without {name}: {said}");
        let passed = format!("test result: ok. {} passed", EVERY_KIND.len() + 1);
        assert!(said.contains(&passed), "without {name}: {said}");
    }
}
