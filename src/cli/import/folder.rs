//! `shardcast import folder`: what is said of assets is brought up to date with the libraries.

use clap::Args;
use serde_json::{Value, json};

use crate::cli::Failure;
use crate::cli::admin_api::ServerArgs;
use crate::cli::terminal::{printable, say, table, word};

/// Arguments of `shardcast import folder`.
#[derive(Debug, Args)]
pub struct FolderArgs {
    /// A library's path on the server, as its config has it, or a folder in one [default: all
    /// libraries]
    #[arg(value_name = "PATH")]
    path: Option<String>,
    /// Only say what would become of each title
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    server: ServerArgs,
    /// One JSON document instead of a table
    #[arg(long)]
    json: bool,
}

/// Asks the server, and says what became of each title that is not as it was.
///
/// # Errors
///
/// The server can't be asked, or refuses; or something was refused.
pub fn run(args: &FolderArgs) -> Result<(), Failure> {
    let body = json!({ "path": args.path, "dry_run": args.dry_run });
    let report = args.server.post_long("/api/v1/catalogue", &body)?;
    let refused = report["refused"].as_u64().unwrap_or(0);
    if args.json {
        say(&format!("{report:#}\n"))?;
    } else {
        say(&told(&report, args.dry_run))?;
    }
    match refused {
        0 => Ok(()),
        count => Err(Failure::new("import folder", format_args!("{count} were refused"))),
    }
}

fn told(report: &Value, is_dry: bool) -> String {
    let lines = report["lines"].as_array().map_or(&[][..], Vec::as_slice);
    let notes = |line: &Value| {
        let notes = line["notes"].as_array().map_or(&[][..], Vec::as_slice);
        let notes: Vec<_> = notes.iter().filter_map(Value::as_str).map(printable).collect();
        notes.join("; ")
    };
    let row = |line: &Value| {
        vec![word(&line["result"]), word(&line["kind"]), word(&line["id"]), notes(line)]
    };
    let mut text = String::new();
    if !lines.is_empty() {
        text += &table(&["RESULT", "KIND", "ID", "NOTES"], lines.iter().map(row).collect());
    }
    let count = |key: &str| report[key].as_u64().unwrap_or(0);
    let (added, changed, unchanged) = (count("added"), count("changed"), count("unchanged"));
    let (missing, refused) = (count("missing"), count("refused"));
    let only = if is_dry { "nothing was written; " } else { "" };
    text + &format!(
        "{only}{added} added, {changed} changed, {unchanged} unchanged, {missing} missing, \
         {refused} refused\n"
    )
}
