//! `shardcast pack`: writing, listing, verifying and extracting segment packs.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use super::Failure;
use crate::library::disk::RealDisk;
use crate::library::write::Progress;
use crate::library::{extract, open, verify, write};

/// Arguments of `shardcast pack`.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct PackArgs {
    /// Folder of packaged files to put into one pack
    #[arg(value_name = "DIR", required = true)]
    folder: Option<PathBuf>,
    /// The pack to write
    #[arg(short, long, value_name = "FILE", required = true)]
    output: Option<PathBuf>,
    /// Put the new pack in the place of an old one of that name; running transfers keep the old one
    #[arg(long)]
    replace: bool,
    #[command(subcommand)]
    verb: Option<PackVerb>,
}

#[derive(Debug, Subcommand)]
enum PackVerb {
    /// List the objects of a pack
    Ls {
        /// The pack
        file: PathBuf,
        /// One JSON document instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Check every byte of packs
    Verify {
        /// The packs
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// One JSON document instead of lines
        #[arg(long)]
        json: bool,
    },
    /// Write the objects of a pack into a new folder
    Extract {
        /// The pack
        file: PathBuf,
        /// The folder to make
        #[arg(short, long, value_name = "DIR")]
        output: PathBuf,
    },
}

/// Runs the verb.
///
/// # Errors
/// What could not be done; nothing half-done is left behind.
pub fn run(args: &PackArgs) -> Result<(), Failure> {
    match &args.verb {
        Some(PackVerb::Ls { file, json }) => ls(file, *json),
        Some(PackVerb::Verify { files, json }) => verify(files, *json),
        Some(PackVerb::Extract { file, output }) => {
            let bar = Bar::new();
            let count = extract::extract(file, output, &mut |progress| bar.show(progress))?;
            bar.finish();
            say(&format!("{count} files in {}\n", output.display()))
        }
        None => {
            let (Some(folder), Some(output)) = (&args.folder, &args.output) else {
                unreachable!("the parser requires both where no verb is given");
            };
            pack(folder, output, args.replace)
        }
    }
}

fn pack(folder: &Path, output: &Path, replace: bool) -> Result<(), Failure> {
    let bar = Bar::new();
    let written = write::pack_folder(&RealDisk, folder, output, replace, &mut |at| bar.show(at))?;
    bar.finish();
    say(&format!(
        "{}: {} objects, {} gzipped as well, {} bytes\n",
        output.display(),
        written.objects,
        written.gzips,
        written.size
    ))
}

fn ls(file: &Path, as_json: bool) -> Result<(), Failure> {
    let pack = open::open_path(file)?;
    if as_json {
        let objects: Vec<_> = pack
            .index
            .entries()
            .map(|entry| {
                json!({
                    "path": entry.path,
                    "size": entry.identity.extent.size,
                    "offset": entry.identity.extent.offset,
                    "media_type": entry.media_type,
                    "etag": hex(&entry.identity.etag.0),
                    "modified": entry.modified.0,
                    "crc32": entry.crc,
                    "gzip_size": entry.gzip.map(|gzip| gzip.extent.size),
                })
            })
            .collect();
        let all = json!({ "file": file, "size": pack.size, "objects": objects });
        return say(&format!("{all:#}\n"));
    }
    let width = pack.index.entries().map(|entry| entry.media_type.len()).max().unwrap_or(0);
    let mut text = format!("{:>12}  {:width$}  {:32}  PATH\n", "SIZE", "TYPE", "ETAG");
    let (mut total, mut gzips) = (0, 0);
    for entry in pack.index.entries() {
        let size = entry.identity.extent.size;
        let (media_type, etag) = (entry.media_type, hex(&entry.identity.etag.0));
        text += &format!("{size:>12}  {media_type:width$}  {etag}  {}\n", printable(entry.path));
        total += size;
        gzips += u32::from(entry.gzip.is_some());
    }
    let count = pack.index.count();
    text +=
        &format!("{total:>12}  {count} objects, {gzips} gzipped as well; {} bytes\n", pack.size);
    say(&text)
}

fn verify(files: &[PathBuf], as_json: bool) -> Result<(), Failure> {
    let (mut bad, mut reports, mut text) = (0, Vec::new(), String::new());
    for file in files {
        let bar = Bar::new();
        let result = verify::verify(file, &mut |progress| bar.show(progress));
        bar.finish();
        let (objects, problems) = match result {
            Ok((objects, damages)) => {
                let problem = |damage: verify::Damage| (damage.path, damage.why.to_string());
                (Some(objects), damages.into_iter().map(problem).collect())
            }
            Err(error) => (None, vec![(None, error.why)]),
        };
        bad += u32::from(!problems.is_empty());
        let name = file.display();
        for (path, why) in &problems {
            let path = path.as_deref().map(|path| format!("{}: ", printable(path)));
            text += &format!("{name}: {}{why}\n", path.unwrap_or_default());
        }
        if problems.is_empty() {
            text += &format!("{name}: good, {} objects\n", objects.unwrap_or(0));
        }
        let problems: Vec<_> =
            problems.iter().map(|(path, why)| json!({ "path": path, "why": why })).collect();
        reports.push(json!({
            "file": file, "good": problems.is_empty(), "objects": objects, "damaged": problems,
        }));
    }
    say(&if as_json { format!("{:#}\n", json!(reports)) } else { text })?;
    if bad == 0 {
        return Ok(());
    }
    Err(Failure::new("verifying", format!("{bad} of {} packs are damaged", files.len()))
        .remedy("pack them again from their source"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A path for people: control characters would reach their terminal.
fn printable(path: &str) -> String {
    path.chars()
        .flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] })
        .collect()
}

/// Writes to stdout. A reader that has gone (`pack ls | head`) is not an error.
fn say(text: &str) -> Result<(), Failure> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new("writing to stdout", error))
        }
        _ => Ok(()),
    }
}

/// A progress bar on a terminal, nothing elsewhere.
struct Bar(ProgressBar);

impl Bar {
    fn new() -> Self {
        let target = if io::stderr().is_terminal() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(None, target);
        let template = "{bar:30} {binary_bytes:>10} of {binary_total_bytes}  {eta:>4}  {wide_msg}";
        bar.set_style(ProgressStyle::with_template(template).expect("the template is valid"));
        Self(bar)
    }

    fn show(&self, progress: Progress<'_>) {
        self.0.set_length(progress.total);
        self.0.set_position(progress.done);
        if self.0.message() != progress.path {
            self.0.set_message(progress.path.to_owned());
        }
    }

    fn finish(&self) {
        self.0.finish_and_clear();
    }
}
