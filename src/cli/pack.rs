//! STAND-IN for `pack`, to be replaced with the pack format's own verb.

use clap::Args;

use super::Failure;

/// Arguments of `pack`.
#[derive(Debug, Args)]
pub struct PackArgs {}

/// Runs it.
pub fn run(_args: &PackArgs) -> Result<(), Failure> {
    Err(Failure::new("pack", "this build has no packs yet"))
}
