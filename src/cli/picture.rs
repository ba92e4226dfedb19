//! `shardcast picture`: posters, backdrops and logos that the server stores.

use std::fs;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::Failure;
use super::admin_api::ServerArgs;
use super::objects::encoded;
use super::terminal::{say, table, word};

/// Arguments of `shardcast picture`.
#[derive(Debug, Args)]
pub struct PictureArgs {
    #[command(subcommand)]
    verb: PictureVerb,
}

#[derive(Debug, Subcommand)]
enum PictureVerb {
    /// List all
    Ls {
        #[command(flatten)]
        server: ServerArgs,
        /// One JSON document a line instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Store pictures: JPEG, PNG, WebP or GIF
    Add {
        /// The files
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
        #[command(flatten)]
        server: ServerArgs,
        /// One JSON document a line instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Remove one that nothing names
    Rm {
        /// Its id
        id: String,
        #[command(flatten)]
        server: ServerArgs,
    },
}

/// Runs the verb.
///
/// # Errors
///
/// The server can't be asked, or refuses; or a file can't be read.
pub fn run(args: &PictureArgs) -> Result<(), Failure> {
    match &args.verb {
        PictureVerb::Ls { server, json } => {
            let mut all = Vec::new();
            let mut after = String::new();
            loop {
                let mut page = server.get(&format!("/api/v1/pictures?limit=1000{after}"))?;
                if let Value::Array(pictures) = page["pictures"].take() {
                    all.extend(pictures);
                }
                let Some(next) = page["next"].as_str() else { break };
                after = format!("&after={}", encoded(next));
            }
            told(all, *json)
        }
        PictureVerb::Add { files, server, json } => {
            let add = |path: &PathBuf| {
                let what = format!("picture add {}", path.display());
                let bytes = fs::read(path).map_err(|error| Failure::new(&what, error))?;
                // What it is, its bytes say.
                server.post_bytes("/api/v1/pictures", "image/jpeg", &bytes).map_err(|failure| {
                    Failure { what: format!("{what}: {}", failure.what), ..failure }
                })
            };
            told(files.iter().map(add).collect::<Result<_, _>>()?, *json)
        }
        PictureVerb::Rm { id, server } => {
            server.delete(&format!("/api/v1/pictures/{}", encoded(id)))
        }
    }
}

fn told(pictures: Vec<Value>, json: bool) -> Result<(), Failure> {
    if json {
        return say(&pictures.iter().map(|one| format!("{one}\n")).collect::<String>());
    }
    let columns = ["picture", "media_type", "width", "height", "size"];
    let row = |one: &Value| columns.iter().map(|column| word(&one[*column])).collect();
    let rows = pictures.iter().map(row).collect();
    say(&table(&["PICTURE", "TYPE", "WIDTH", "HEIGHT", "BYTES"], rows))
}
