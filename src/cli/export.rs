//! `shardcast export`: all that operators made, in a file that `import` takes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::Failure;
use super::admin_api::ServerArgs;
use super::terminal::say;

/// Arguments of `shardcast export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The new file [default: stdout]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// With app passwords, as they are typed
    #[arg(long)]
    passwords: bool,
    #[command(flatten)]
    server: ServerArgs,
    /// One JSON document instead of a sentence
    #[arg(long, requires = "output")]
    json: bool,
}

/// Writes it.
///
/// # Errors
///
/// The server can't be asked, or the file can't be written; then there is none.
pub fn run(args: &ExportArgs) -> Result<(), Failure> {
    let path = format!("/api/v1/export?passwords={}", args.passwords);
    let Some(output) = &args.output else {
        let mut last = Last::new(io::stdout().lock());
        args.server.stream(&path, &mut last)?;
        return last.end().map(drop).map_err(|why| Failure::new("export", why));
    };
    let failed = |error: io::Error| Failure::new(format!("write {}", output.display()), error);
    let mut unfinished = output.clone().into_os_string();
    unfinished.push(format!(".{}.part", std::process::id()));
    let unfinished = PathBuf::from(unfinished);
    let _ = fs::remove_file(&unfinished);
    // It says who the subscribers are: it is for whoever wrote it.
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished);
    let mut last = Last::new(io::BufWriter::new(file.map_err(failed)?));
    let written = args.server.stream(&path, &mut last).and_then(|()| {
        last.out.flush().and_then(|()| last.out.get_ref().sync_all()).map_err(failed)?;
        let end = last.end().map_err(|why| Failure::new("export", why))?;
        // Never over something that is there.
        fs::hard_link(&unfinished, output).map_err(failed)?;
        Ok(end)
    });
    let _ = fs::remove_file(&unfinished);
    let end = written?;
    let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(std::path::Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    let (objects, revision) = (&end["objects"], &end["revision"]);
    if args.json {
        let told = json!({ "objects": objects, "revision": revision });
        return say(&format!("{told:#}\n"));
    }
    say(&format!("{}: {objects} objects as of revision {revision}\n", output.display()))
}

/// Passes lines on, and keeps the last.
struct Last<W> {
    out: W,
    line: Vec<u8>,
    is_ended: bool,
}

impl<W: Write> Last<W> {
    fn new(out: W) -> Self {
        Self { out, line: Vec::new(), is_ended: false }
    }

    /// The last line, if it is the one that says that all is there.
    fn end(&self) -> Result<Value, &'static str> {
        let end = serde_json::from_slice::<Value>(&self.line).unwrap_or_default();
        let is_end = self.is_ended && end["kind"] == "end";
        if is_end { Ok(end) } else { Err("the server stopped before all was told") }
    }
}

impl<W: Write> Write for Last<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write_all(bytes)?;
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            if self.is_ended {
                self.line.clear();
            }
            self.line.extend_from_slice(part);
            self.is_ended = part.ends_with(b"\n");
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_cut_is_not_taken_for_all() {
        let text = "{\"kind\":\"plan\",\"id\":\"a\"}\n{\"kind\":\"end\",\"objects\":1}\n";
        for size in 0..=text.len() {
            for step in [1, 7, 1000] {
                let mut last = Last::new(Vec::new());
                text.as_bytes()[..size].chunks(step).for_each(|part| last.write_all(part).unwrap());
                assert_eq!(last.end().is_ok(), size == text.len(), "{size}");
                assert_eq!(last.out, text.as_bytes()[..size]);
            }
        }
    }
}
