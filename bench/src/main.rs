//! The load-test harness.
fn main() {}
