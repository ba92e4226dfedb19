//! STAND-IN for `demo`, to be replaced with the demo's own verb.

use clap::Args;

use super::Failure;

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {}

/// Runs it.
pub fn run(_args: &DemoArgs) -> Result<(), Failure> {
    Err(Failure::new("demo", "this build has no demo yet"))
}
