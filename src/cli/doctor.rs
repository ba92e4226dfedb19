//! `doctor`: what this machine is like, and what would mend it.

use clap::Args;

use super::Failure;
use super::sources::SourceArgs;
use super::terminal::say;
use crate::ops::doctor::{self, Level};

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Whose libraries and limits are looked at.
    #[command(flatten)]
    sources: SourceArgs,
    /// JSON instead of lines
    #[arg(long)]
    json: bool,
}

/// Prints a line for each thing that was looked at. Fails if the server could not serve.
pub fn run(args: &DoctorArgs) -> Result<(), Failure> {
    let draft = args.sources.sources().read();
    if let Some(failure) = Failure::of_complaints(&draft.errors) {
        return Err(failure);
    }
    let findings = doctor::findings(&draft.config);
    let text = if args.json {
        let all: Vec<_> = findings.iter().map(doctor::Finding::json).collect();
        format!("{:#}\n", serde_json::Value::Array(all))
    } else {
        findings.iter().map(|finding| format!("{finding}\n")).collect()
    };
    say(&text)?;
    match findings.iter().filter(|finding| finding.level == Level::Broken).count() {
        0 => Ok(()),
        1 => Err(Failure::new("doctor", "1 thing keeps the server from serving")
            .remedy("see the line that begins with \"broken\"")),
        count => {
            Err(Failure::new("doctor", format!("{count} things keep the server from serving"))
                .remedy("see the lines that begin with \"broken\""))
        }
    }
}
