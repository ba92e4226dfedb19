//! `shardcast backup` and `shardcast restore`: copies of the registry.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};
use zeroize::Zeroizing;

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
    /// File with a passphrase in its first line, or "-" for stdin: with it the copy has the keys,
    /// encrypted, so that app passwords are of use on another machine [default: without keys]
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
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
    /// File with a passphrase in its first line, or "-" for stdin: that of a copy from another
    /// machine, whose app passwords are to be of use here
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Only look at it: whether it could be restored
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    server: ServerArgs,
    /// One JSON document instead of a sentence
    #[arg(long)]
    json: bool,
}

/// Longest passphrase that is read, in bytes.
const PASSPHRASE_SIZE_MAX: u64 = 4096;

/// What stands in a file's first line, as it is. Arguments are shown to everybody on the machine.
fn first_line(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let failed = |error| Failure::new(format!("read {}", path.display()), error);
    let mut text = Zeroizing::new(String::new());
    if path.as_os_str() == "-" {
        std::io::stdin()
            .lock()
            .take(PASSPHRASE_SIZE_MAX)
            .read_to_string(&mut text)
            .map_err(failed)?;
    } else {
        let file = fs::File::open(path).map_err(failed)?;
        file.take(PASSPHRASE_SIZE_MAX).read_to_string(&mut text).map_err(failed)?;
    }
    let line = text.split(['\r', '\n']).next().unwrap_or_default();
    Ok(Zeroizing::new(line.to_owned()))
}

/// Copies the registry, also while the server runs.
///
/// # Errors
///
/// There is no registry, or the file can't be written.
pub fn run(args: &BackupArgs) -> Result<(), Failure> {
    let state = args.server.state_here("backup")?;
    let passphrase = args.passphrase_file.as_deref().map(first_line).transpose()?;
    let copied = restore::copied(
        &state,
        &args.to,
        passphrase.as_ref().map(|passphrase| passphrase.as_str()),
    )
    .map_err(|error| Failure::new("back the registry up", error))?;
    let size = fs::metadata(&args.to).map_or(0, |file| file.len());
    let (objects, revision) = (copied.objects, copied.revision.0);
    if args.json {
        let keys = passphrase.is_some();
        let told = json!({ "objects": objects, "revision": revision, "bytes": size, "keys": keys });
        return say(&format!("{told:#}\n"));
    }
    let to = args.to.display();
    let without = match passphrase {
        Some(_) => "with keys, encrypted, and without administrators",
        None => "without keys and administrators",
    };
    say(&format!("{to}: {objects} objects as of revision {revision}, {size} bytes, {without}\n"))
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
    let passphrase = args.passphrase_file.as_deref().map(first_line).transpose()?;
    let (staged, copied) = restore::staged(&args.from, &state).map_err(failed)?;
    let rekeyed = passphrase.map(|passphrase| restore::rekeyed(&staged, &state, &passphrase));
    let restored = rekeyed.transpose().map_err(failed);
    let restored =
        restored.and_then(|_| if args.dry_run { Ok(None) } else { put(args, &state, &staged) });
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

/// Puts a staged copy in the registry's place, by the server if one runs; says what was made.
fn put(args: &RestoreArgs, state: &Path, staged: &Path) -> Result<Option<Value>, Failure> {
    if args.server.answers(state)? {
        let name = staged.file_name().map(|name| name.to_string_lossy().into_owned());
        return args.server.post_long("/api/v1/restore", &json!({ "file": name })).map(Some);
    }
    let told = |(revision, epoch)| Some(json!({ "revision": revision, "epoch": epoch }));
    let restored = restore::without_server(state, staged).map(told);
    restored.map_err(|error| Failure::new("restore the registry", error))
}
