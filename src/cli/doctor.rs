//! `doctor`: what this machine is like, and what would mend it.

use clap::Args;

use super::Failure;

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {}

/// Runs it.
pub fn run(_args: &DoctorArgs) -> Result<(), Failure> {
    Err(Failure::new("doctor", "not yet"))
}
