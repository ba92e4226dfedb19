//! `slates make`: short films with a sentence for viewers who get nothing else, by ffmpeg.
//!
//! One transport stream for each reason and language. Pictures and sounds are equally long to the
//! sample, so that the server can repeat it without a seam. The sentence is drawn by libass, which
//! breaks lines, and shapes scripts that are written from right to left. All of it appears whole or
//! not at all.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Failure;
use super::package::ffmpeg::{self, Interrupt, file_url};
use super::terminal::say;
use crate::config::slates::{SLATE_LANGUAGES_MAX, SlateReason, file_name, language_tag};
use crate::library::new_folder::NewFolder;
use crate::live::slate::passes;

mod sentences;

use sentences::Sentences;

/// What to do where a slate is missing.
pub const REMEDY: &str = "shardcast slates make -o DIR --language en,de; slates.languages and \
                          slates.reasons say which there shall be";

/// The font of the sentences; Debian's fonts-dejavu-core.
const FONT: &str = "DejaVu Sans";
const FONT_FOLDER: &str = "/usr/share/fonts/truetype/dejavu";

/// Pictures: 96 at 25 a second, which last as long as 180 frames of AAC at 48 kHz, 3.84 s. The
/// encoder puts one frame of silence in front, so it is given one less.
const PICTURES: u32 = 96;
const SAMPLES: u32 = 179 * 1024;

/// Arguments of `slates`.
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub struct SlatesArgs {
    #[command(subcommand)]
    verb: SlatesVerb,
}

#[derive(Debug, Subcommand)]
enum SlatesVerb {
    /// Make a folder of slates for `[slates] path`
    Make(MakeArgs),
}

/// Arguments of `slates make`.
#[derive(Debug, Args)]
struct MakeArgs {
    /// New folder of the slates
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Languages; there are sentences in ar, de, en, es, fr, it, nl and pt
    #[arg(long, value_name = "TAG", value_delimiter = ',', default_value = "en", value_parser = language_tag)]
    language: Vec<String>,
    /// TOML file with sentences of your own: a table for each language, with limit, expired,
    /// blocked and off-air
    #[arg(long, value_name = "FILE")]
    text: Option<PathBuf>,
    /// Picture above the sentence
    #[arg(long, value_name = "FILE")]
    logo: Option<PathBuf>,
}

/// Runs `slates`.
pub fn run(args: &SlatesArgs) -> Result<(), Failure> {
    match &args.verb {
        SlatesVerb::Make(args) => make(args),
    }
}

fn make(args: &MakeArgs) -> Result<(), Failure> {
    let what = || format!("make slates in {}", args.output.display());
    if args.language.len() > SLATE_LANGUAGES_MAX {
        let why = format!("there are more than {SLATE_LANGUAGES_MAX} languages");
        return Err(Failure::new(what(), why));
    }
    let sentences = Sentences::read(args.text.as_deref())?;
    let wanted = sentences.of(&args.language)?;
    if !Path::new(FONT_FOLDER).join("DejaVuSans.ttf").exists() {
        return Err(Failure::new(what(), format!("there is no font {FONT} in {FONT_FOLDER}"))
            .remedy("apt-get install fonts-dejavu-core"));
    }
    let logo = args.logo.as_deref().map(absolute).transpose()?;
    let interrupt = Interrupt::listen().map_err(|error| Failure::new("signals", error))?;
    if let Some(parent) = args.output.parent() {
        std::fs::create_dir_all(parent)
            .map_err(|error| Failure::new(format!("create {}", parent.display()), error))?;
    }
    let folder = NewFolder::create(&args.output)?;
    let bar = bar(wanted.len() as u64);
    for (name, sentence) in &wanted {
        bar.set_message(name.clone());
        encode(folder.path(), name, sentence, logo.as_deref(), &interrupt)
            .map_err(|fault| fault.of(format!("make {name}")))?;
        let made = std::fs::read(folder.path().join(name))
            .map_err(|error| Failure::new(format!("read {name}"), error))?;
        passes::repeated(&made).map_err(|unfit| Failure::new(format!("make {name}"), unfit))?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    folder.publish()?;
    say(&format!("{}\n", args.output.display()))
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    let failed = |error| Failure::new(format!("read {}", path.display()), error);
    std::fs::metadata(path).map_err(failed)?;
    std::path::absolute(path).map_err(failed)
}

/// Writes one slate.
fn encode(
    folder: &Path,
    name: &str,
    sentence: &str,
    logo: Option<&Path>,
    interrupt: &Interrupt,
) -> Result<(), ffmpeg::Fault> {
    let script = folder.join("sentence.ass");
    let fault = |error: std::io::Error| ffmpeg::Fault::new(error.to_string());
    std::fs::write(&script, drawn(sentence, logo.is_some())).map_err(fault)?;
    ffmpeg::run(&arguments(name, logo), folder, interrupt, &|_| {})?;
    std::fs::remove_file(&script).map_err(fault)
}

/// Everything that ffmpeg is told. It runs in the folder it writes to, so its names are plain.
fn arguments(name: &str, logo: Option<&Path>) -> Vec<OsString> {
    let mut words: Vec<OsString> = Vec::new();
    let mut all = |more: &[&str]| words.extend(more.iter().map(OsString::from));
    all(&["-hide_banner", "-nostdin", "-v", "warning", "-progress", "pipe:1"]);
    all(&["-f", "lavfi", "-i", "color=c=0x14181f:s=1280x720:r=25"]);
    all(&["-f", "lavfi", "-i", "anullsrc=r=48000:cl=stereo"]);
    if let Some(logo) = logo {
        words.extend(["-protocol_whitelist", "file", "-i"].map(OsString::from));
        words.push(file_url(logo));
    }
    let picture = match logo {
        Some(_) => {
            "[2:v]scale=w=960:h=200:force_original_aspect_ratio=decrease[logo];\
             [0:v][logo]overlay=(W-w)/2:90[ground];[ground]"
        }
        None => "[0:v]",
    };
    let filter = format!(
        "{picture}trim=end_frame={PICTURES},ass=sentence.ass:fontsdir={FONT_FOLDER},\
         format=yuv420p[v];[1:a]atrim=end_sample={SAMPLES}[a]"
    );
    let mut all = |more: &[&str]| words.extend(more.iter().map(OsString::from));
    all(&["-filter_complex", &filter, "-map", "[v]", "-map", "[a]"]);
    // One closed group of pictures, in the order in which they are shown.
    all(&["-c:v", "libx264", "-profile:v", "main", "-level:v", "3.1", "-preset", "medium"]);
    all(&["-crf", "22", "-tune", "stillimage", "-bf", "0", "-g", "9999", "-sc_threshold", "0"]);
    all(&["-c:a", "aac", "-b:a", "64k", "-map_metadata", "-1", "-bitexact"]);
    all(&["-f", "mpegts", name]);
    words
}

/// The sentence in the middle of the picture, or below the logo, as a script of libass.
fn drawn(sentence: &str, has_logo: bool) -> String {
    let lines: Vec<&str> = sentence.lines().map(str::trim).collect();
    let top = if has_logo { 200 } else { 0 };
    format!(
        "[Script Info]\nScriptType: v4.00+\nPlayResX: 1280\nPlayResY: 720\nWrapStyle: 0\n\
         [V4+ Styles]\nFormat: Name, Fontname, Fontsize, PrimaryColour, BorderStyle, Outline, \
         Shadow, Alignment, MarginL, MarginR, MarginV, Encoding\n\
         Style: S,{FONT},52,&H00F2F2F2,1,0,0,5,130,130,40,-1\n\
         [Events]\nFormat: Layer, Start, End, Style, Text\n\
         Dialogue: 0,0:00:00.00,1:00:00.00,S,{{\\pos(640,{})}}{}\n",
        360 + top / 2,
        lines.join("\\N"),
    )
}

/// A progress bar on a terminal, nothing elsewhere.
fn bar(length: u64) -> ProgressBar {
    let target = if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(Some(length), target);
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len}  {wide_msg}");
    bar.set_style(style.expect("the template is valid"));
    bar
}

/// Files and their sentences.
type Wanted = BTreeMap<String, String>;

impl Sentences {
    /// Of these languages.
    fn of(&self, languages: &[String]) -> Result<Wanted, Failure> {
        let mut wanted = Wanted::new();
        for language in languages {
            for reason in SlateReason::ALL {
                let sentence = self.find(language, reason).ok_or_else(|| {
                    let what = format!("the sentence {} in {language}", reason.word());
                    Failure::new(what, "there is none").remedy("write it into a file for --text")
                })?;
                wanted.insert(file_name(reason, language), sentence.to_owned());
            }
        }
        Ok(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_language_has_a_file_for_each_reason_or_it_is_said_which_is_missing() {
        let sentences = Sentences::read(None).unwrap();
        let wanted = sentences.of(&["de-AT".to_owned(), "ar".to_owned()]).unwrap();
        let names: Vec<_> = wanted.keys().map(String::as_str).collect();
        assert_eq!(names.len(), 8);
        assert!(names.contains(&"limit.de-AT.ts") && names.contains(&"off-air.ar.ts"));
        let missing = sentences.of(&["tlh".to_owned()]).unwrap_err().to_string();
        assert!(missing.contains("the sentence limit in tlh: there is none"), "{missing}");
    }

    #[test]
    fn pictures_and_sounds_are_equally_long() {
        // With the one that the encoder puts in front.
        let sounds = u64::from(SAMPLES) + 1024;
        assert_eq!(u64::from(PICTURES) * 48_000, sounds * 25);
    }

    #[test]
    fn a_logo_is_a_file_whatever_its_name() {
        let name = "/x/concat:a|b;[v]";
        let words = arguments("limit.en.ts", Some(Path::new(name)));
        let with: Vec<_> =
            words.iter().filter(|word| word.to_string_lossy().contains(name)).collect();
        assert_eq!(with, [&OsString::from(format!("file:{name}"))]);
    }
}
