//! The demo's sample content: one film, encoded by ffmpeg, as a folder and as a pack; and the page.
//!
//! Made once: a file beside it says by which recipe, and the same recipe is not run again.

use std::fs;
use std::io::{BufRead, BufReader, IsTerminal};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::Receiver;

use indicatif::{ProgressBar, ProgressStyle};

use super::{Failure, library};

/// The page that plays everything.
pub(super) const PAGE: &str = "vod/player/index.html";

/// The path of every media URL of the demo.
pub(super) const MEDIA: &[(&str, &str)] = &[
    ("vod/film/master.m3u8", "HLS from a folder"),
    ("vod/film/manifest.mpd", "DASH from the same segments"),
    ("vod/film/film.mp4", "the whole film"),
    ("vod/packed/master.m3u8", "HLS from a pack"),
    ("vod/packed/manifest.mpd", "DASH from a pack"),
    ("vod/packed/film.mp4", "the whole film from a pack"),
    (LIVE, "a folder that is rewritten every 2 s"),
    (CHANNEL, "a live channel: HLS"),
    ("tv/demo/ll.m3u8", "low-latency HLS"),
    ("tv/demo/manifest.mpd", "DASH"),
    ("tv/demo/ll.mpd", "low-latency DASH"),
    ("tv/linear/master.m3u8", "a channel of both films in turn, without an encoder: HLS"),
];

/// The playlist of the folder that ffmpeg rewrites.
pub(super) const LIVE: &str = "vod/live/master.m3u8";

/// The plain playlist of the channel that ffmpeg pushes to.
pub(super) const CHANNEL: &str = "tv/demo/master.m3u8";

/// Whether what is at this path has no end.
pub(super) fn is_live(path: &str) -> bool {
    path == LIVE || path.starts_with("tv/")
}

/// Whether times begin anew there with every film, so that only packets can be counted.
pub(super) fn begins_anew(path: &str) -> bool {
    path.starts_with("tv/linear/")
}

/// Length of the film.
pub(super) const FILM_SECONDS: u64 = 30;

/// Pictures a second, of film and live alike.
pub(super) const FRAME_RATE: u64 = 25;

/// Renditions: size and bit rate. Small, since the first start of a demo should take seconds.
const LADDER: &[(&str, &str)] = &[("640x360", "700k"), ("416x234", "350k"), ("256x144", "150k")];

/// Makes what is not there yet. A signal while ffmpeg works ends the demo.
pub(super) fn make(scratch: &Path, stop: &Receiver<()>) -> Result<(), Failure> {
    let library = library(scratch);
    let recipe = format!("{} {:?}", env!("CARGO_PKG_VERSION"), film_arguments(Path::new("-")));
    let key = scratch.join("recipe");
    if fs::read_to_string(&key).ok().as_deref() != Some(recipe.as_str()) {
        remove(&library)?;
        let film = library.join("film");
        folder(&film)?;
        encode(&film, stop)?;
        whole_film(&film)?;
        pack(&film, &library.join("packed.pack"))?;
        write(&key, &recipe)?;
    }
    // The page is part of the program, not of the recipe: a newer program has a newer page.
    let page = library.join(PAGE.strip_prefix("vod/").expect("it lies in the library"));
    folder(page.parent().expect("the page lies in a folder"))?;
    write(&page, include_str!("player.html"))
}

/// The film in three renditions: CMAF segments with a DASH manifest and HLS playlists over them.
fn film_arguments(film: &Path) -> Vec<String> {
    let pictures = format!("testsrc2=size=640x360:rate={FRAME_RATE}:duration={FILM_SECONDS}");
    let sound =
        format!("aevalsrc='0.1*sin(2*PI*t*(220+55*floor(mod(t,8))))':s=48000:d={FILM_SECONDS}");
    let mut arguments = words("-nostdin -v error -y -f lavfi -i");
    arguments.push(pictures);
    arguments.extend(words("-f lavfi -i"));
    arguments.push(sound);
    for _ in LADDER {
        arguments.extend(words("-map 0:v"));
    }
    arguments
        .extend(words("-map 1:a -c:v libx264 -preset ultrafast -profile:v main -pix_fmt yuv420p"));
    arguments.extend(words("-g 50 -keyint_min 50 -sc_threshold 0 -c:a aac -b:a 64k"));
    for (index, (size, rate)) in LADDER.iter().enumerate() {
        arguments.extend([format!("-s:v:{index}"), (*size).to_owned()]);
        arguments.extend([format!("-b:v:{index}"), (*rate).to_owned()]);
    }
    arguments
        .extend(words("-f dash -seg_duration 2 -use_template 1 -use_timeline 1 -hls_playlist 1"));
    arguments.extend(words("-hls_master_name master.m3u8 -adaptation_sets"));
    arguments.push("id=0,streams=v id=1,streams=a".to_owned());
    arguments.extend(words("-progress pipe:1"));
    arguments.push(film.join("manifest.mpd").display().to_string());
    arguments
}

pub(super) fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// Runs the encode with a progress bar on a terminal.
fn encode(film: &Path, stop: &Receiver<()>) -> Result<(), Failure> {
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(film_arguments(film)).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = ffmpeg.spawn().map_err(|error| no_ffmpeg(&error))?;
    let bar = progress_bar();
    let output = child.stdout.take().expect("stdout was asked to be a pipe");
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        if let Some(done) = line.strip_prefix("out_time_us=").and_then(|us| us.parse::<u64>().ok())
        {
            bar.set_position((done / 1_000_000).min(FILM_SECONDS));
        }
        if stop.try_recv().is_ok() {
            // It may have ended by itself in this moment.
            let _ = child.kill();
            let _ = child.wait();
            return Err(Failure::new("make the sample film", "stopped by a signal"));
        }
    }
    bar.finish_and_clear();
    let status = child.wait().map_err(|error| Failure::new("run ffmpeg", error))?;
    succeeded("make the sample film with ffmpeg", status)
}

fn progress_bar() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("sample film  {wide_bar}  {pos} s of {len} s")
        .expect("the template is a constant");
    ProgressBar::new(FILM_SECONDS).with_style(style)
}

/// The best rendition once more, as one progressive file.
fn whole_film(film: &Path) -> Result<(), Failure> {
    let status = Command::new("ffmpeg")
        .args(words("-nostdin -v error -y -i"))
        .arg(film.join("manifest.mpd"))
        .args(words("-map 0:v:0 -map 0:a:0 -c copy -movflags +faststart"))
        .arg(film.join("film.mp4"))
        .status()
        .map_err(|error| no_ffmpeg(&error))?;
    succeeded("make the whole film with ffmpeg", status)
}

/// The folder as a pack, by this program's own verb.
fn pack(film: &Path, pack: &Path) -> Result<(), Failure> {
    let mut command = own_program()?;
    let status = command.arg("pack").arg(film).arg("-o").arg(pack).stdin(Stdio::null()).status();
    let status = status.map_err(|error| Failure::new("run shardcast pack", error))?;
    succeeded("pack the sample film", status)
}

/// This very program, to be started again with another verb.
pub(super) fn own_program() -> Result<Command, Failure> {
    let path = std::env::current_exe();
    path.map(Command::new).map_err(|error| Failure::new("find this program's own file", error))
}

pub(super) fn no_ffmpeg(error: &std::io::Error) -> Failure {
    Failure::new("run ffmpeg", error).remedy("install it: apt-get install ffmpeg")
}

fn succeeded(what: &str, status: std::process::ExitStatus) -> Result<(), Failure> {
    if status.success() { Ok(()) } else { Err(Failure::new(what, status)) }
}

/// Removes a folder of ours, if it is there.
pub(super) fn remove(path: &Path) -> Result<(), Failure> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::new(format!("remove {}", path.display()), error))
        }
        _ => Ok(()),
    }
}

pub(super) fn folder(path: &Path) -> Result<(), Failure> {
    let made = fs::create_dir_all(path);
    made.map_err(|error| Failure::new(format!("make the folder {}", path.display()), error))
}

/// Writes beside the name and renames, so that a server that watches never sees half a file.
pub(super) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let beside = path.with_extension("new");
    let written = fs::write(&beside, text).and_then(|()| fs::rename(&beside, path));
    written.map_err(|error| Failure::new(format!("write {}", path.display()), error))
}
