//! `print-config`: the effective config, and where each value comes from.

use clap::Args;

use super::Failure;
use super::sources::SourceArgs;
use super::terminal::{say, warn};
use crate::config::shown;
use crate::ops::machine;

/// Arguments of `print-config`.
#[derive(Debug, Args)]
pub struct PrintConfigArgs {
    #[command(flatten)]
    sources: SourceArgs,
    /// JSON instead of TOML
    #[arg(long)]
    json: bool,
}

/// Prints what `serve` would go by with the same arguments.
pub fn run(args: &PrintConfigArgs) -> Result<(), Failure> {
    let draft = args.sources.sources().read();
    for warning in &draft.warnings {
        warn(format_args!("shardcast: {warning}"));
    }
    if let Some(failure) = Failure::of_complaints(&draft.errors) {
        return Err(failure);
    }
    let text = if args.json {
        format!("{:#}\n", shown::json(&draft))
    } else {
        shown::toml_text(&draft, &machine::meaning_of_zero)
    };
    say(&text)
}
