//! The verbs, run as a user runs them, in tiny modes against real sockets on free loopback ports.

#[path = "it/editions.rs"]
mod editions;
#[path = "it/feed.rs"]
mod feed;
#[path = "it/ingest.rs"]
mod ingest;
#[path = "it/listen.rs"]
mod listen;
#[path = "it/live.rs"]
mod live;
#[path = "it/server.rs"]
mod server;
#[path = "it/station.rs"]
mod station;
#[path = "it/verbs.rs"]
mod verbs;

use std::process::{Command, Output};

use serde_json::Value;

/// Runs the program and waits for it.
fn bench(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_shardcast-bench"))
        .args(arguments)
        .output()
        .expect("the program was built for this test")
}

/// Runs the program, which must print a JSON report and end with 0, or with 3: in a debug build
/// the generator may be the limit.
#[track_caller]
fn report(arguments: &[&str]) -> Value {
    let arguments = [arguments, &["--json"]].concat();
    let output = bench(&arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(0 | 3)), "{:?}: {errors}", output.status);
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: no report, but: {errors}"))
}
