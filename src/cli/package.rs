//! `package`: films into ladders of CMAF renditions, by ffmpeg.

use clap::Args;

use super::Failure;

/// Arguments of `package`.
#[derive(Debug, Args)]
pub struct PackageArgs {}

/// Runs it.
pub fn run(_args: &PackageArgs) -> Result<(), Failure> {
    Err(Failure::new("package", "this build can't package yet"))
}
