//! What the demo starts: the server, the ffmpeg that rewrites the live folder, and the one that
//! pushes to the channel.
//!
//! Each child gets a process group of its own, so that Ctrl-C reaches us only and they are stopped
//! in order; and each is stopped on every way out, errors included.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use super::content::{self, words};
use super::{Failure, Site, check, library};

/// How long the first answer may take. A cold disk and a busy machine need a few seconds.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// How long a child may take to end after it was asked to. Then it is killed.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// The step between two looks at something that another process does.
const STEP: Duration = Duration::from_millis(50);

/// What must be there before the URLs are worth printing.
#[derive(Clone, Copy)]
pub(super) enum Wanted {
    /// The server says that it is ready.
    Ready,
    /// The first playlist of the live folder is served.
    Live,
    /// So is that of the channel.
    Channel,
}

struct Running {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

/// Everything that was started, the first to be stopped last.
pub(super) struct Children {
    scratch: PathBuf,
    running: Vec<Running>,
}

impl Children {
    pub(super) fn new(scratch: &Path) -> Self {
        Self { scratch: scratch.to_owned(), running: Vec::new() }
    }

    /// An encoder that rewrites its playlist with each segment and deletes the old ones.
    pub(super) fn start_live(&mut self) -> Result<(), Failure> {
        let folder = library(&self.scratch).join("live");
        content::remove(&folder)?;
        content::folder(&folder)?;
        let pictures = format!("testsrc2=size=416x234:rate={}", content::FRAME_RATE);
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg.current_dir(&folder);
        ffmpeg.args(words("-v error -y -re -f lavfi -i")).arg(pictures);
        ffmpeg.args(words("-re -f lavfi -i sine=frequency=440:sample_rate=48000 -c:v libx264"));
        ffmpeg.args(words("-preset ultrafast -profile:v main -pix_fmt yuv420p -g 50 -b:v 300k"));
        ffmpeg.args(words("-keyint_min 50 -sc_threshold 0 -c:a aac -b:a 64k -f hls -hls_time 2"));
        ffmpeg.args(words("-hls_list_size 8 -hls_delete_threshold 4 -hls_segment_type fmp4"));
        ffmpeg.args(words("-hls_flags delete_segments+temp_file+independent_segments"));
        ffmpeg.args(words("-hls_segment_filename segment-%06d.m4s -master_pl_name master.m3u8"));
        ffmpeg.arg("index.m3u8");
        // ffmpeg ends well when it reads a `q`.
        ffmpeg.stdin(Stdio::piped());
        self.start("ffmpeg", ffmpeg)
    }

    /// An encoder that pushes low-latency DASH, with the time of day in its picture.
    pub(super) fn start_channel(&mut self, site: &Site) -> Result<(), Failure> {
        let pictures = format!("testsrc2=size=416x234:rate={}", content::FRAME_RATE);
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg.current_dir(&self.scratch);
        ffmpeg.args(words("-v error -re -f lavfi -i")).arg(pictures);
        ffmpeg.args(words("-re -f lavfi -i sine=frequency=330:sample_rate=48000 -vf"));
        ffmpeg.arg("drawtext=text='%{localtime}':x=8:y=h-32:fontsize=24:fontcolor=white:box=1:boxcolor=black");
        ffmpeg.args(words("-c:v libx264 -preset ultrafast -tune zerolatency -pix_fmt yuv420p"));
        ffmpeg.args(words("-g 50 -keyint_min 50 -sc_threshold 0 -b:v 300k -c:a aac -b:a 64k"));
        ffmpeg.args(words("-f dash -seg_duration 2 -frag_duration 0.5 -frag_type duration"));
        ffmpeg.args(words("-streaming 1 -ldash 1 -use_template 1 -use_timeline 0 -method PUT"));
        ffmpeg.args(words("-http_persistent 1"));
        ffmpeg.arg(format!("http://{}/ingest/demo/manifest.mpd", super::reachable(site.ingest)));
        ffmpeg.stdin(Stdio::piped());
        self.start("encoder", ffmpeg)
    }

    /// This program again, as the server over the library and the channel.
    pub(super) fn start_server(&mut self, site: &Site) -> Result<(), Failure> {
        let mut server = content::own_program()?;
        let config = self.scratch.join("demo.toml");
        let Site { listen, admin, ingest } = site;
        let text = format!(
            "[server]\nlisten = [\"{listen}\"]\nadmin = \"{admin}\"\ningest = \"{ingest}\"\n\
             state = \"state\"\naccess = \"open\"\n\n[[library]]\npath = \"library\"\n\n\
             [[channel]]\nid = \"demo\"\nname = \"Test picture\"\n\
             [[channel]]\nid = \"linear\"\nname = \"Films\"\nplaylist = [\"film\", \"packed\"]\n"
        );
        content::write(&config, &text)?;
        server.args(["serve", "--log-format", "text", "--config"]).arg(config);
        server.stdin(Stdio::null());
        self.start("server", server)
    }

    fn start(&mut self, name: &'static str, mut command: Command) -> Result<(), Failure> {
        let log = self.scratch.join(format!("{name}.log"));
        let file = File::create(&log);
        let file = file.map_err(|error| Failure::new(format!("write {}", log.display()), error))?;
        let copy = file.try_clone().map_err(|error| Failure::new("share the log file", error))?;
        command.stdout(file).stderr(copy).process_group(0);
        let child = command.spawn().map_err(|error| {
            if name != "server" { content::no_ffmpeg(&error) } else { Failure::new(name, error) }
        })?;
        self.running.push(Running { name, child, log });
        Ok(())
    }

    /// Waits until all of this is there: true; false if a signal came first.
    pub(super) fn wait_until(
        &mut self,
        site: &Site,
        stop: &Receiver<()>,
        wanted: &[Wanted],
    ) -> Result<bool, Failure> {
        let deadline = Instant::now() + READY_WITHIN;
        for wanted in wanted {
            let (what, address, path) = match wanted {
                Wanted::Ready => ("ready", site.admin, "/readyz".to_owned()),
                Wanted::Live => ("live", site.listen, format!("/{}", content::LIVE)),
                Wanted::Channel => ("on the air", site.listen, format!("/{}", content::CHANNEL)),
            };
            while check::status(address, &path).ok() != Some(200) {
                self.all_run()?;
                if Instant::now() > deadline {
                    let why = format!("not {what} within {} s", READY_WITHIN.as_secs());
                    return Err(self.with_log("server", &why));
                }
                if stop.recv_timeout(STEP).is_ok() {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// A failure if a child has ended by itself, with the end of what it said.
    pub(super) fn all_run(&mut self) -> Result<(), Failure> {
        for index in 0..self.running.len() {
            let running = &mut self.running[index];
            if let Ok(Some(status)) = running.child.try_wait() {
                let name = running.name;
                return Err(self.with_log(name, &format!("it ended by itself, {status}")));
            }
        }
        Ok(())
    }

    fn with_log(&self, name: &str, why: &str) -> Failure {
        let running = self.running.iter().find(|running| running.name == name);
        let Some(running) = running else { return Failure::new(format!("run the {name}"), why) };
        let said = std::fs::read_to_string(&running.log).unwrap_or_default();
        let last =
            said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
        Failure::new(format!("run the {name}"), format!("{why}; its last line: {last}"))
            .remedy(format!("read {}", running.log.display()))
    }

    /// Asks each to end, the last started first, and waits for it.
    pub(super) fn stop(&mut self) {
        while let Some(mut running) = self.running.pop() {
            if running.child.try_wait().ok().flatten().is_some() {
                continue;
            }
            ask_to_end(&mut running.child);
            let deadline = Instant::now() + STOP_WITHIN;
            while running.child.try_wait().ok().flatten().is_none() {
                if Instant::now() > deadline {
                    // It did not listen, and may end in this very moment.
                    let _ = running.child.kill();
                }
                std::thread::park_timeout(STEP);
            }
        }
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        self.stop();
    }
}

/// `q` for one that reads its stdin, SIGTERM for the others. The shell sends it: std can only kill.
fn ask_to_end(child: &mut Child) {
    if let Some(mut stdin) = child.stdin.take() {
        // A child that is gone needs no asking.
        let _ = stdin.write_all(b"q\n");
        return;
    }
    let pid = child.id().to_string();
    let asked = Command::new("sh").args(["-c", "kill -TERM \"$0\"", &pid]).status();
    if !asked.is_ok_and(|status| status.success()) {
        // Without a shell there is only the hard way.
        let _ = child.kill();
    }
}
