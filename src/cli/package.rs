//! `package`: films into ladders of CMAF renditions with HLS and DASH manifests, by ffmpeg.
//!
//! One encoding feeds both manifests. ffmpeg writes into a hidden folder beside the target, which
//! is renamed when everything is there; whatever goes wrong, Ctrl-C included, nothing half-done is
//! left behind. Inputs are files, whatever their names look like, and no shell sees them.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Failure;
use super::terminal::say;
use crate::library::new_folder::NewFolder;

mod ladder;
mod probe;
pub mod ffmpeg;
mod renditions;
mod manifests;

use ffmpeg::Interrupt;

/// Arguments of `package`.
#[derive(Debug, Args)]
pub struct PackageArgs {
    /// Films
    #[arg(value_name = "INPUT", required = true)]
    inputs: Vec<PathBuf>,
    /// New folder of the renditions; of several inputs each gets a folder of its own in it
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Length of a segment, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=20))]
    segment: u32,
    /// Lines of the largest rendition; never more than the input has
    #[arg(long, value_name = "LINES", default_value_t = 2160, value_parser = clap::value_parser!(u32).range(64..=4320))]
    height: u32,
    /// How hard x264 works: ultrafast … veryslow
    #[arg(long, value_name = "PRESET", default_value = "medium", value_parser = PRESETS)]
    preset: String,
}

/// x264's own.
const PRESETS: [&str; 9] = [
    "ultrafast",
    "superfast",
    "veryfast",
    "faster",
    "fast",
    "medium",
    "slow",
    "slower",
    "veryslow",
];

/// How the encoding is wanted.
struct Wishes<'a> {
    segment: u32,
    height: u32,
    preset: &'a str,
}

/// Packages all inputs, one after the other.
pub fn run(args: &PackageArgs) -> Result<(), Failure> {
    let targets = targets(&args.inputs, &args.output)?;
    let interrupt = Interrupt::listen().map_err(|error| Failure::new("signals", error))?;
    let wishes = Wishes { segment: args.segment, height: args.height, preset: &args.preset };
    for (input, target) in args.inputs.iter().zip(&targets) {
        package(input, target, &wishes, &interrupt)?;
        say(&format!("{}\n", target.display()))?;
    }
    Ok(())
}

/// The folder of each input. All are looked at before anything is encoded.
fn targets(inputs: &[PathBuf], output: &Path) -> Result<Vec<PathBuf>, Failure> {
    if output.file_name().is_none() {
        return Err(Failure::new(format!("package into {}", output.display()), "it has no name")
            .remedy("name a new folder"));
    }
    let mut targets: Vec<PathBuf> = Vec::new();
    for input in inputs {
        let target = match (inputs.len(), input.file_stem()) {
            (1, _) => output.to_owned(),
            (_, Some(stem)) => output.join(stem),
            (_, None) => {
                return Err(Failure::new(format!("package {}", input.display()), "it has no name"));
            }
        };
        if targets.contains(&target) {
            let what = format!("package {}", input.display());
            let why = format!("another input goes to {} too", target.display());
            return Err(Failure::new(what, why).remedy("package it by itself"));
        }
        NewFolder::check_free(&target)?;
        targets.push(target);
    }
    Ok(targets)
}

fn package(
    input: &Path,
    target: &Path,
    wishes: &Wishes<'_>,
    interrupt: &Interrupt,
) -> Result<(), Failure> {
    let what = || format!("package {}", input.display());
    let absolute = std::path::absolute(input).map_err(|error| Failure::new(what(), error))?;
    std::fs::metadata(&absolute).map_err(|error| Failure::new(what(), error))?;
    let source = probe::source(&absolute).map_err(|failure| failure.of(what()))?;
    let rungs = ladder::rungs(source.height, wishes.height);
    if let Some(parent) = target.parent() {
        std::fs::create_dir_all(parent)
            .map_err(|error| Failure::new(format!("create {}", parent.display()), error))?;
    }
    let folder = NewFolder::create(target)?;
    let bar = bar(source.duration, input);
    let arguments = ffmpeg::arguments(&absolute, &source, &rungs, wishes.segment, wishes.preset);
    let encoded = ffmpeg::run(&arguments, folder.path(), interrupt, &|position| {
        bar.set_position(u64::try_from(position.as_millis()).unwrap_or(u64::MAX));
    });
    bar.finish_and_clear();
    encoded.map_err(|failure| failure.of(what()))?;
    manifests::finish(folder.path(), &source, rungs.len())
        .map_err(|error| Failure::new(what(), error))?;
    folder.publish()?;
    Ok(())
}

/// A progress bar on a terminal, nothing elsewhere.
fn bar(duration: Duration, input: &Path) -> ProgressBar {
    let target = if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let length = u64::try_from(duration.as_millis()).ok().filter(|length| *length > 0);
    let bar = ProgressBar::with_draw_target(length, target);
    let template = "{bar:30} {percent:>3} %  {eta:>4} left  {wide_msg}";
    bar.set_style(ProgressStyle::with_template(template).expect("the template is valid"));
    bar.set_message(input.display().to_string());
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_input_gets_a_folder_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        let paths = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
        assert_eq!(targets(&paths(&["a.mp4"]), &out).unwrap(), std::slice::from_ref(&out));
        let both = targets(&paths(&["x/a.mp4", "b.c.mkv"]), &out).unwrap();
        assert_eq!(both, [out.join("a"), out.join("b.c")]);
        assert!(targets(&paths(&["x/a.mp4", "y/a.mkv"]), &out).is_err());
        std::fs::create_dir_all(out.join("a")).unwrap();
        assert!(targets(&paths(&["a.mp4", "b.mp4"]), &out).is_ok(), "an empty folder is free");
        std::fs::write(out.join("a/x"), "").unwrap();
        let taken = targets(&paths(&["a.mp4", "b.mp4"]), &out).unwrap_err();
        assert!(taken.to_string().contains("it exists and is not empty"), "{taken}");
    }
}
