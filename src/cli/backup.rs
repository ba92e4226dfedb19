//! `shardcast backup` and `shardcast restore`: copies of the registry.

use std::fs;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::Failure;
use super::admin_api::ServerArgs;
use super::terminal::{say, warn};
use crate::control::restore;

/// Arguments of `shardcast backup`.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// The new file
    #[arg(value_name = "FILE")]
    to: PathBuf,
    #[command(flatten)]
    server: ServerArgs,
    /// One JSON document instead of a sentence
    #[arg(long)]
    json: bool,
}

/// Arguments of `shardcast restore`.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// What `backup` wrote
    #[arg(value_name = "FILE")]
    from: PathBuf,
    /// Only look at it: whether it could be restored
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    server: ServerArgs,
    /// One JSON document instead of a sentence
    #[arg(long)]
    json: bool,
}

/// Copies the registry, also while the server runs.
///
/// # Errors
///
/// There is no registry, or the file can't be written.
pub fn run(args: &BackupArgs) -> Result<(), Failure> {
    let state = args.server.state_here("backup")?;
    let copied = restore::copied(&state, &args.to)
        .map_err(|error| Failure::new("back the registry up", error))?;
    let size = fs::metadata(&args.to).map_or(0, |file| file.len());
    let (objects, revision) = (copied.objects, copied.revision.0);
    if args.json {
        let told = json!({ "objects": objects, "revision": revision, "bytes": size });
        return say(&format!("{told:#}\n"));
    }
    let to = args.to.display();
    say(&format!(
        "{to}: {objects} objects as of revision {revision}, {size} bytes, without keys and administrators\n"
    ))
}

/// Makes the registry what a copy says.
///
/// # Errors
///
/// The copy is not sound, or the registry can't be restored from it. Then it stays as it was.
pub fn run_restore(args: &RestoreArgs) -> Result<(), Failure> {
    let state = args.server.state_here("restore")?;
    let what = "restore the registry";
    let failed = |error| Failure::new(what, error);
    let (staged, copied) = restore::staged(&args.from, &state).map_err(failed)?;
    let restored = match args.server.answers(&state) {
        _ if args.dry_run => Ok(None),
        Ok(true) => {
            let name = staged.file_name().map(|name| name.to_string_lossy().into_owned());
            args.server.post_long("/api/v1/restore", &json!({ "file": name })).map(Some)
        }
        Ok(false) => {
            let told = |(revision, epoch)| Some(json!({ "revision": revision, "epoch": epoch }));
            restore::without_server(&state, &staged).map(told).map_err(failed)
        }
        Err(failure) => Err(failure),
    };
    if let Err(error) = fs::remove_file(&staged) {
        warn(format!("{} can go: {error}", staged.display()));
    }
    let told = restored?;
    let (objects, of) = (copied.objects, copied.revision.0);
    if args.json {
        let now = told.unwrap_or(Value::Null);
        let told = json!({ "objects": objects, "of_revision": of, "restored": now });
        return say(&format!("{told:#}\n"));
    }
    let from = args.from.display();
    say(&match told {
        None => format!("{from}: {objects} objects as of revision {of}; it can be restored\n"),
        Some(_) => format!(
            "{objects} objects as of revision {of} are restored; tokens of before are void\n"
        ),
    })
}
