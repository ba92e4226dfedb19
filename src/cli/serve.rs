//! `serve`: everything around the shards, from the config to the last transfer.
//!
//! `start` puts the server together, `supervise` keeps it until it is told to end. This thread
//! serves nobody: it waits for signals and looks after the others.

use clap::Args;

use super::Failure;
use super::sources::{SourceArgs, USUAL_FILE};
use crate::config::Channel;
use crate::config::file::Draft;
use crate::ops::logs;

mod answers;
mod start;
mod supervise;
mod reload;
mod line_up;

/// Arguments of `serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Where the config comes from.
    #[command(flatten)]
    pub sources: SourceArgs,
}

/// Serves until a signal ends it.
pub fn run(args: &ServeArgs) -> Result<(), Failure> {
    let sources = args.sources.sources();
    let draft = sources.read();
    if let Some(failure) = Failure::of_complaints(&draft.errors) {
        return Err(failure);
    }
    if sources.file.is_none() && draft.config.libraries.is_empty() {
        return Err(Failure::new("serve", "there is nothing to serve")
            .remedy(format!("name packs or folders, or write {USUAL_FILE}")));
    }
    // Whoever types a path means one that is there. A library of a config may come later, for
    // instance on a disk that is mounted late.
    for path in &sources.paths {
        path.metadata()
            .map_err(|error| Failure::new(format!("serve {}", path.display()), error))?;
    }
    logs::start(draft.config.log_format, &draft.config.log_level);
    warn_of(&draft);
    start::server(sources, draft)?.supervise()
}

/// Logs what an operator should know of the config.
fn warn_of(draft: &Draft) {
    for warning in &draft.warnings {
        tracing::warn!(place = %warning.place, key = warning.key, "config: {}", warning.why);
    }
    if draft.config.libraries.is_empty() && draft.config.channels.is_empty() {
        tracing::warn!("the config names no [[library]] and no [[channel]]: nothing is served");
    }
    if draft.config.ingest.is_none() && draft.config.channels.iter().any(needs_a_port) {
        tracing::warn!("server.ingest is \"off\": nobody can push to the channels");
    }
}

/// Whether nothing can come of a channel unless somebody pushes.
fn needs_a_port(channel: &Channel) -> bool {
    channel.is_pushed() && channel.sources.folders().next().is_none()
}
