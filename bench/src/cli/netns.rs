//! `netns`: any command in a network namespace of its own, for measurements by hand.

use std::convert::Infallible;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use clap::Args;

use super::failure::{Doing, Failure};
use crate::sys::namespace;

/// Run a command in a network namespace with only loopback and a chosen congestion control
///
/// Nothing of the host is changed, and the namespace goes with its last process. Needs root.
#[derive(Args, Debug)]
pub struct Netns {
    /// Congestion control of both sides of every connection in it
    #[arg(long, value_name = "NAME", default_value = "cubic")]
    congestion: String,
    /// The command with its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

/// Becomes the command; returns only if that fails.
pub fn run(arguments: &Netns) -> Result<(), Failure> {
    namespace::enter(&arguments.congestion).doing("cannot make a network namespace")?;
    let (program, rest) = arguments.command.split_first().expect("clap requires one");
    let error = Command::new(program).args(rest).exec();
    let result: std::io::Result<Infallible> = Err(error);
    result.doing(&format!("cannot run {}", program.to_string_lossy()))?;
    Ok(())
}
