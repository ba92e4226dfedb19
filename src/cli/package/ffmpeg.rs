//! ffmpeg as a child: its arguments, its progress, its end, and ours if somebody interrupts.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::ladder::Rung;
use super::probe::Source;
use crate::cli::Failure;
use crate::cli::terminal::warn;

/// Lines of ffmpeg that are shown when it fails.
const LINES_SHOWN: usize = 8;

/// How often an interrupt is looked for while ffmpeg says nothing.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Why an input could not be packaged; the caller knows which.
#[derive(Debug)]
pub struct Fault {
    /// The reason.
    pub why: String,
    remedy: Option<&'static str>,
    /// What ffmpeg said last.
    lines: Vec<String>,
}

impl Fault {
    /// A fault without advice.
    pub fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), remedy: None, lines: Vec::new() }
    }

    /// With what ffmpeg said.
    pub fn with_lines(self, lines: Vec<String>) -> Self {
        Self { lines, ..self }
    }

    /// The failure of a verb; ffmpeg's lines are printed before it.
    pub fn of(self, what: String) -> Failure {
        for line in &self.lines {
            warn(format_args!("ffmpeg: {}", line.escape_debug()));
        }
        let failure = Failure::new(what, self.why);
        match self.remedy {
            Some(remedy) => failure.remedy(remedy),
            None => failure,
        }
    }
}

/// A program that can't be started.
pub fn not_found(program: &str, error: &io::Error) -> Fault {
    let fault = Fault::new(format!("{program} can't be started: {error}"));
    match error.kind() {
        io::ErrorKind::NotFound => Fault { remedy: Some("apt-get install ffmpeg"), ..fault },
        _ => fault,
    }
}

/// A path as ffmpeg takes it for a file, and for nothing else.
pub fn file_url(path: &Path) -> OsString {
    let mut url = OsString::from("file:");
    url.push(path);
    url
}

/// Whether somebody wants us to end.
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// From now on, Ctrl-C and its like are heard instead of ending the process.
    pub fn listen() -> io::Result<Self> {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&flag))?;
        }
        Ok(Self(flag))
    }

    fn came(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Everything that ffmpeg is told. It runs in the folder it writes to, so its names are plain.
pub fn arguments(
    input: &Path,
    source: &Source,
    rungs: &[Rung],
    segment: u32,
    preset: &str,
) -> Vec<OsString> {
    let mut words = Words::default();
    words.all(&["-hide_banner", "-nostdin", "-v", "warning", "-progress", "pipe:1"]);
    words.all(&["-protocol_whitelist", "file", "-i"]).0.push(file_url(input));
    words.one("-filter_complex").one(filters(rungs));
    for index in 0..rungs.len() {
        words.one("-map").one(format!("[v{index}]"));
    }
    for index in 0..source.audio.len() {
        words.one("-map").one(format!("0:a:{index}"));
    }
    words.all(&["-c:v", "libx264", "-profile:v", "high", "-pix_fmt", "yuv420p"]);
    words.one("-preset").one(preset);
    // Key frames at the same times in all renditions, and nowhere else: players switch there.
    words.one("-force_key_frames").one(format!("expr:gte(t,n_forced*{segment})"));
    words.all(&["-sc_threshold", "0", "-g", "9999"]);
    for (index, rung) in rungs.iter().enumerate() {
        words.one(format!("-b:v:{index}")).one(rung.bitrate.to_string());
        words.one(format!("-maxrate:v:{index}")).one((rung.bitrate / 4 * 5).to_string());
        words.one(format!("-bufsize:v:{index}")).one((rung.bitrate * 2).to_string());
    }
    words.all(&["-c:a", "aac", "-b:a", "128k", "-ac", "2", "-ar", "48000"]);
    words.all(&["-map_metadata", "-1", "-map_chapters", "-1"]);
    for (index, audio) in source.audio.iter().enumerate() {
        if let Some(language) = &audio.language {
            words.one(format!("-metadata:s:a:{index}")).one(format!("language={language}"));
        }
    }
    words.all(&["-f", "dash", "-dash_segment_type", "mp4", "-hls_playlist", "1"]);
    words.all(&["-format_options", "movflags=+cmaf"]);
    words.one("-seg_duration").one(segment.to_string());
    words.all(&["-use_template", "1", "-use_timeline", "1"]);
    words.all(&["-init_seg_name", "init-$RepresentationID$.mp4"]);
    words.all(&["-media_seg_name", "seg-$RepresentationID$-$Number%05d$.m4s"]);
    words.one("-adaptation_sets").one(adaptation_sets(rungs.len(), source.audio.len()));
    words.one("manifest.mpd");
    words.0
}

/// One picture, deinterlaced where it is marked as such, in all sizes.
///
/// All have the shape of the input exactly, or the DASH muxer refuses them: 854 pixels on 480 lines
/// are not 16:9 unless each is a little narrower than high. The scaler sees to that, if it is told
/// how wide a pixel of the input is. Widths are chosen so that pixels are almost square, which
/// those of old television pictures are not.
fn filters(rungs: &[Rung]) -> String {
    let count = rungs.len();
    let mut text = format!("[0:V:0]yadif=deint=interlaced,setsar=sar:max=10000,split={count}");
    for index in 0..count {
        text.push_str(&format!("[s{index}]"));
    }
    for (index, rung) in rungs.iter().enumerate() {
        let height = rung.height;
        text.push_str(&format!(";[s{index}]scale=2*round({height}*dar/2):{height}[v{index}]"));
    }
    text
}

/// All pictures can be switched between; audio tracks are chosen, so each is a set of its own.
fn adaptation_sets(videos: usize, audios: usize) -> String {
    let streams: Vec<_> = (0..videos).map(|stream| stream.to_string()).collect();
    let mut text = format!("id=0,streams={}", streams.join(","));
    for audio in 0..audios {
        text.push_str(&format!(" id={},streams={}", audio + 1, videos + audio));
    }
    text
}

#[derive(Default)]
struct Words(Vec<OsString>);

impl Words {
    fn one(&mut self, word: impl Into<OsString>) -> &mut Self {
        self.0.push(word.into());
        self
    }

    fn all(&mut self, words: &[&str]) -> &mut Self {
        self.0.extend(words.iter().map(OsString::from));
        self
    }
}

/// Runs ffmpeg in `folder` until it ends or somebody interrupts.
pub fn run(
    arguments: &[OsString],
    folder: &Path,
    interrupt: &Interrupt,
    progress: &dyn Fn(Duration),
) -> Result<(), Fault> {
    let child = Command::new("ffmpeg")
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| not_found("ffmpeg", &error))?;
    let mut encoder = Encoder::new(child);
    loop {
        if interrupt.came() {
            return Err(Fault::new("interrupted"));
        }
        match encoder.progress.recv_timeout(LOOK_EVERY) {
            Ok(position) => progress(position),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    let (status, lines) = encoder.ended().map_err(|error| Fault::new(error.to_string()))?;
    // Ctrl-C reaches ffmpeg too, which may have ended by itself before we looked.
    if interrupt.came() {
        return Err(Fault::new("interrupted"));
    }
    if status.success() {
        return Ok(());
    }
    let why = status.code().map_or_else(
        || format!("ffmpeg was killed ({status})"),
        |code| format!("ffmpeg failed with code {code}"),
    );
    Err(Fault::new(why).with_lines(lines))
}

/// A running ffmpeg. It is killed when this is dropped.
struct Encoder {
    child: Child,
    /// How far it is; ends when ffmpeg closes its stdout.
    progress: Receiver<Duration>,
    lines: Option<JoinHandle<Vec<String>>>,
}

impl Encoder {
    fn new(mut child: Child) -> Self {
        let stdout = child.stdout.take().expect("stdout is piped");
        let stderr = child.stderr.take().expect("stderr is piped");
        let (sender, progress) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let micros = line.strip_prefix("out_time_us=").and_then(|text| text.parse().ok());
                if let Some(micros) = micros
                    && sender.send(Duration::from_micros(micros)).is_err()
                {
                    break;
                }
            }
        });
        let lines = Some(std::thread::spawn(move || last_lines(stderr)));
        Self { child, progress, lines }
    }

    fn ended(&mut self) -> io::Result<(ExitStatus, Vec<String>)> {
        let status = self.child.wait()?;
        let lines = self.lines.take().and_then(|lines| lines.join().ok());
        Ok((status, lines.unwrap_or_default()))
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        // After its end both do nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn last_lines(stderr: impl Read) -> Vec<String> {
    let mut lines = VecDeque::new();
    let mut reader = BufReader::new(stderr);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).is_ok_and(|size| size > 0) {
        if lines.len() == LINES_SHOWN {
            lines.pop_front();
        }
        lines.push_back(String::from_utf8_lossy(&line).trim_end().to_owned());
        line.clear();
    }
    lines.into()
}

#[cfg(test)]
mod tests {
    use super::super::probe::Audio;
    use super::*;

    #[test]
    fn an_input_is_a_file_whatever_its_name() {
        for name in ["/x/-y.mp4", "/x/concat:a|b", "/x/http://y", "/x/a b;rm -rf $HOME"] {
            let source = Source {
                height: 360,
                duration: Duration::ZERO,
                audio: vec![Audio { language: Some("deu".to_owned()) }, Audio { language: None }],
            };
            let rungs = super::super::ladder::rungs(360, 2160);
            let words = arguments(Path::new(name), &source, &rungs, 2, "fast");
            let input = words.iter().position(|word| word == "-i").unwrap() + 1;
            assert_eq!(words[input], OsString::from(format!("file:{name}")));
            assert_eq!(
                words.iter().filter(|word| word.to_string_lossy().contains(name)).count(),
                1
            );
            let sets = OsString::from("id=0,streams=0,1 id=1,streams=2 id=2,streams=3");
            assert!(words.contains(&sets), "{words:?}");
        }
    }
}
