//! `shardcast import`: plans, subscribers and their app passwords, titles and channels from a file,
//! a line at a time.
//!
//! The file is read as it is sent, so its size does not matter. What became of a line, the server
//! says; a line that is refused is no reason for the others.

use std::fs::File;
use std::io::{BufReader, IsTerminal as _, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::{Args, Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Map, Value, json};

use super::Failure;
use super::admin_api::ServerArgs;
use super::terminal::{printable, say, warn};
use crate::config::{IMPORT_LINES_MAX, OPERATOR_BODY_SIZE_MAX};

mod bouquet;
mod dump;
mod folder;
mod json;
mod list;
mod rows;
mod source;
mod table;

use source::{Entry, Source, Wishes};

/// Problems that are printed; all of them are in the report.
const PRINTED_MAX: u64 = 20;

/// How often a server that is busy is asked again, a second later each time.
const TRIES: u32 = 10;

/// Arguments of `shardcast import`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct ImportArgs {
    #[command(subcommand)]
    verb: Option<ImportVerb>,
    /// The file; - reads from stdin
    #[arg(value_name = "FILE", required = true)]
    from: Option<PathBuf>,
    /// What it is [default: by its name: .csv, .json, .jsonl, .sql, .m3u, .m3u8]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// The plan of subscribers for whom the file names none
    #[arg(long, value_name = "ID")]
    plan: Option<String>,
    /// The table of an SQL dump
    #[arg(long, value_name = "NAME", default_value = "lines")]
    table: String,
    /// What ids of a list's channels and categories begin with
    #[arg(long, value_name = "TEXT", default_value = "")]
    prefix: String,
    /// The bouquet that holds a list's channels from now on, and no others
    #[arg(long, value_name = "ID")]
    bouquet: Option<String>,
    /// What becomes of what is there already, and says something else
    #[arg(long, value_enum, default_value_t)]
    existing: Existing,
    /// Only say what would become of each line
    #[arg(long)]
    dry_run: bool,
    /// Write what became of each line into this file, a JSON document each
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    #[command(flatten)]
    server: ServerArgs,
    /// One JSON document instead of a sentence
    #[arg(long)]
    json: bool,
}

/// What is imported besides files.
#[derive(Debug, Subcommand)]
enum ImportVerb {
    /// Make films, series and episodes of what the server's libraries hold and of the sidecar files
    /// there, or bring them up to date
    Folder(folder::FolderArgs),
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Rows under a line of names: user name, password, and whatever is known besides
    Csv,
    /// Objects as `export` writes them, one a line or in an array
    Json,
    /// A dump of an Xtream panel's database, with its table `lines`
    Xtream,
    /// A list of channels as players take it: each is read on demand from where the list says
    M3u,
}

/// What becomes of an object that is there and says something else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Existing {
    /// The line is refused
    #[default]
    Refuse,
    /// It stays as it is
    Keep,
    /// It becomes what the line says
    Replace,
}

impl Existing {
    const fn word(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Keep => "keep",
            Self::Replace => "replace",
        }
    }
}

/// Sends the file to the server.
///
/// # Errors
///
/// It can't be read, the server can't be asked, or lines were refused. What was written stays.
pub fn run(args: &ImportArgs) -> Result<(), Failure> {
    if let Some(ImportVerb::Folder(args)) = &args.verb {
        return folder::run(args);
    }
    let from = args.from.as_deref().unwrap_or(Path::new("-"));
    let what = format!("import {}", from.display());
    let failed = |error: std::io::Error| Failure::new(&what, error);
    let format = args.format.or_else(|| Format::of(from)).ok_or_else(|| {
        Failure::new(&what, "its name does not say what it is")
            .remedy("say --format csv, json, xtream or m3u")
    })?;
    let (file, size) = opened(from).map_err(failed)?;
    let bar = bar(size, args.json);
    let file = BufReader::with_capacity(1 << 20, bar.wrap_read(file));
    let wishes = Wishes { table: &args.table, plan: args.plan.as_deref(), prefix: &args.prefix };
    let mut source = Source::new(format, Box::new(file), &wishes).map_err(failed)?;
    if !source.unknown().is_empty() {
        let names = printable(&source.unknown().join(", "));
        warn(format!("columns that mean nothing here, and are left out: {names}"));
    }
    let mut told = Tally::new(args.report.as_deref(), bar)?;
    let sent = all(args, &mut source, &mut told);
    told.bar.finish_and_clear();
    if let Err(failure) = sent {
        let why = format!("stopped behind line {}: {}", told.line, failure.why);
        return Err(Failure::new(what, why)
            .remedy("what was written stays; import it again, and it goes on from there"));
    }
    let gone = match &args.bouquet {
        Some(bouquet) => bouquet::hold(args, bouquet, &told.channels)?,
        None => Vec::new(),
    };
    told.gone(&gone)?;
    told.finish(args.json, args.dry_run)?;
    match told.of("refused") {
        0 => Ok(()),
        1 => Err(Failure::new(what, "1 line was refused").remedy(told.advice())),
        count => {
            let why = format!("{count} lines were refused");
            Err(Failure::new(what, why).remedy(told.advice()))
        }
    }
}

impl Format {
    fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "csv" => Some(Self::Csv),
            "json" | "jsonl" | "ndjson" => Some(Self::Json),
            "sql" => Some(Self::Xtream),
            "m3u" | "m3u8" => Some(Self::M3u),
            _ => None,
        }
    }
}

fn opened(path: &Path) -> std::io::Result<(Box<dyn Read>, Option<u64>)> {
    if path == Path::new("-") {
        return Ok((Box::new(std::io::stdin().lock()), None));
    }
    let file = File::open(path)?;
    let size = file.metadata()?;
    let size = size.is_file().then_some(size.len());
    Ok((Box::new(file), size))
}

/// Reads and sends all of it, in batches.
fn all(args: &ImportArgs, source: &mut Source, told: &mut Tally) -> Result<(), Failure> {
    let mut batch = Vec::new();
    let mut size = 0;
    loop {
        let entry = source.next().map_err(|error| Failure::new("read", error))?;
        let is_last = entry.is_none();
        if let Some(entry) = entry {
            match &entry.object {
                Ok(object) => size += Value::Object(object.clone()).to_string().len() + 1,
                Err(why) => {
                    told.line(&entry, "refused", Some(why), &[])?;
                    continue;
                }
            }
            batch.push(entry);
        }
        let is_full = batch.len() == IMPORT_LINES_MAX || size > OPERATOR_BODY_SIZE_MAX / 4;
        if (is_full || is_last) && !batch.is_empty() {
            sent(args, std::mem::take(&mut batch), told)?;
            size = 0;
        }
        if is_last {
            return Ok(());
        }
    }
}

fn sent(args: &ImportArgs, mut batch: Vec<Entry>, told: &mut Tally) -> Result<(), Failure> {
    let object = |entry: &mut Entry| entry.object.as_mut().map(std::mem::take).unwrap_or_default();
    let lines: Vec<Map<String, Value>> = batch.iter_mut().map(object).collect();
    for (entry, object) in batch.iter_mut().zip(&lines) {
        entry.name(object);
    }
    let body = json!({
        "lines": lines, "existing": args.existing.word(), "dry_run": args.dry_run,
    });
    let answer = patiently(|| args.server.post("/api/v1/import", &body))?;
    let results = answer["lines"].as_array().map_or(&[][..], Vec::as_slice);
    if results.len() != batch.len() {
        return Err(Failure::new("import", "the server's answer is not of these lines"));
    }
    for (entry, result) in batch.iter().zip(results) {
        let warnings = result["warnings"].as_array().map_or(&[][..], Vec::as_slice);
        let warnings: Vec<_> = warnings.iter().filter_map(Value::as_str).collect();
        let word = result["result"].as_str().unwrap_or("refused");
        if word != "refused" && entry.is_channel {
            told.channels.push(entry.name.clone());
        }
        told.line(entry, word, result["why"].as_str(), &warnings)?;
    }
    Ok(())
}

/// Asks again as long as the server is busy.
fn patiently(mut ask: impl FnMut() -> Result<Value, Failure>) -> Result<Value, Failure> {
    let mut tries = 1;
    loop {
        match ask() {
            Err(failure) if tries < TRIES && failure.why.starts_with("status 503") => {
                tries += 1;
                std::thread::sleep(Duration::from_secs(1));
            }
            done => return done,
        }
    }
}

fn bar(size: Option<u64>, quiet: bool) -> ProgressBar {
    let target = if quiet || !std::io::stderr().is_terminal() {
        ProgressDrawTarget::hidden()
    } else {
        ProgressDrawTarget::stderr()
    };
    let style = match size {
        Some(_) => "{bar:30} {bytes}/{total_bytes}  {msg}  {eta} left",
        None => "{spinner} {bytes}  {msg}",
    };
    let style = ProgressStyle::with_template(style).expect("a constant of ours");
    ProgressBar::with_draw_target(size, target).with_style(style)
}

/// What became of all lines.
struct Tally {
    bar: ProgressBar,
    began: Instant,
    report: Option<std::io::BufWriter<File>>,
    report_path: Option<PathBuf>,
    counts: [(&'static str, u64); 5],
    warnings: u64,
    printed: u64,
    /// The last line of which is known what became.
    line: u64,
    /// Channels that are there, in the order of the file.
    channels: Vec<String>,
    /// What the bouquet held, and the file does not name any more.
    gone: usize,
}

impl Tally {
    fn new(report: Option<&Path>, bar: ProgressBar) -> Result<Self, Failure> {
        let made = |path: &Path| {
            let file = File::create(path).map(std::io::BufWriter::new);
            file.map_err(|error| Failure::new(format!("write {}", path.display()), error))
        };
        let counts = ["added", "replaced", "unchanged", "kept", "refused"].map(|word| (word, 0));
        Ok(Self {
            bar,
            began: Instant::now(),
            report: report.map(made).transpose()?,
            report_path: report.map(Path::to_owned),
            counts,
            warnings: 0,
            printed: 0,
            line: 0,
            channels: Vec::new(),
            gone: 0,
        })
    }

    fn of(&self, word: &str) -> u64 {
        self.counts.iter().find(|(is, _)| *is == word).map_or(0, |(_, count)| *count)
    }

    fn line(
        &mut self,
        entry: &Entry,
        result: &str,
        why: Option<&str>,
        warnings: &[&str],
    ) -> Result<(), Failure> {
        let warnings: Vec<&str> =
            entry.warnings.iter().map(String::as_str).chain(warnings.iter().copied()).collect();
        if let Some((_, count)) = self.counts.iter_mut().find(|(word, _)| *word == result) {
            *count += 1;
        }
        self.warnings += u64::from(!warnings.is_empty());
        self.line = self.line.max(entry.line);
        for text in why.iter().chain(&warnings) {
            self.print(&format!(
                "line {}: {}: {}",
                entry.line,
                printable(&entry.name),
                printable(text)
            ));
        }
        self.bar.set_message(format!("line {}", entry.line));
        let document = json!({
            "line": entry.line, "id": entry.name, "result": result, "why": why,
            "warnings": warnings,
        });
        self.write(&document)
    }

    /// These were in the bouquet, and are no more.
    fn gone(&mut self, gone: &[String]) -> Result<(), Failure> {
        self.gone = gone.len();
        for path in gone {
            self.print(&format!("{}: the file does not name it any more", printable(path)));
            let document = json!({ "id": path, "result": "vanished" });
            self.write(&document)?;
        }
        Ok(())
    }

    fn write(&mut self, document: &Value) -> Result<(), Failure> {
        let Some(report) = &mut self.report else { return Ok(()) };
        let path = self.report_path.as_deref().unwrap_or(Path::new(""));
        writeln!(report, "{document}")
            .map_err(|error| Failure::new(format!("write {}", path.display()), error))
    }

    fn print(&mut self, line: &str) {
        self.printed += 1;
        if self.printed <= PRINTED_MAX {
            self.bar.suspend(|| warn(line));
        }
        if self.printed == PRINTED_MAX + 1 {
            self.bar.suspend(|| warn("… (more is in what --report FILE writes)"));
        }
    }

    fn finish(&mut self, json: bool, dry_run: bool) -> Result<(), Failure> {
        if let (Some(report), Some(path)) = (&mut self.report, &self.report_path) {
            report
                .flush()
                .map_err(|error| Failure::new(format!("write {}", path.display()), error))?;
        }
        let lines: u64 = self.counts.iter().map(|(_, count)| count).sum();
        let seconds = self.began.elapsed().as_secs_f64();
        if json {
            let mut told = Map::from_iter(
                self.counts.iter().map(|&(word, count)| (word.to_owned(), count.into())),
            );
            told.insert("lines".to_owned(), lines.into());
            told.insert("with_warnings".to_owned(), self.warnings.into());
            told.insert("vanished".to_owned(), self.gone.into());
            told.insert("seconds".to_owned(), seconds.into());
            return say(&format!("{:#}\n", Value::Object(told)));
        }
        let counts: Vec<_> = self
            .counts
            .iter()
            .chain([&("vanished", self.gone as u64)])
            .filter(|(_, count)| *count > 0)
            .map(|(word, count)| format!("{count} {word}"))
            .collect();
        let counts = if counts.is_empty() { "nothing to do".to_owned() } else { counts.join(", ") };
        let rate = lines as f64 / seconds.max(0.001);
        let would = if dry_run { "would be " } else { "" };
        say(&format!(
            "{lines} lines: {would}{counts}; {} with warnings; {seconds:.1} s, {rate:.0} a second\n",
            self.warnings
        ))
    }

    fn advice(&self) -> String {
        match &self.report_path {
            Some(path) => format!("{} says why", path.display()),
            None => "what is said above, or --report FILE, says why".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_what_a_file_is() {
        for (name, expected) in [
            ("a.csv", Some(Format::Csv)),
            ("a.JSON", Some(Format::Json)),
            ("a.jsonl", Some(Format::Json)),
            ("dump.sql", Some(Format::Xtream)),
            ("list.m3u8", Some(Format::M3u)),
            ("dump.sql.gz", None),
            ("-", None),
        ] {
            assert_eq!(Format::of(Path::new(name)), expected, "{name}");
        }
    }
}
