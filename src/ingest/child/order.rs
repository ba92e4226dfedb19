//! What a child is told: arguments that the config gives, and a credential that nobody else sees.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};

use super::tags::Tags;
use crate::config::Channel;
use crate::config::inputs::{
    CHILD_DESCRIPTORS_MAX, CHILD_MEMORY_MAX, CHILD_TRIAL_MEDIA_MS, Encode, Input, Place, lengths_ms,
};
use crate::sys::confine::Bounds;

/// Niceness of a child that encodes: it takes what processors have left. One that copies is on the
/// way of the channel.
const NICE_OF_ENCODERS: i32 = 5;

/// Containers that an input may have. Others refer to files, put inputs together, or are scripts.
const FORMATS: &str = "mpegts,hls,flv,live_flv,mov,mp4,matroska,webm,rtsp,rtp,sdp,rtp_mpegts,mpeg,\
                       mpegvideo,avi,asf,mxf,ogg,wav,flac,mp3,aac,ac3,eac3,h264,hevc,m4v,dash,\
                       webvtt";

/// What the first of our own programs is told by which the child begins.
#[derive(Debug, Serialize, Deserialize)]
pub struct Order {
    /// What it may do.
    pub bounds: Bounds,
    /// What the program is told.
    pub arguments: Vec<String>,
    /// What the program reads at its standard input.
    pub input: String,
    /// Whose child it is.
    pub parent: u32,
    /// How nice it is.
    pub nice: i32,
}

/// Where a child sends what it reads.
#[derive(Debug)]
pub struct Target {
    /// Our ingest port.
    pub ingest: SocketAddr,
    /// The server's folder.
    pub state: PathBuf,
    /// What a child of this channel says to be let in there, and nobody else.
    pub login: String,
}

/// The order to read this input of a channel.
#[must_use]
pub fn read(
    channel: &Channel,
    (input, tags): (&Input, &Tags),
    program: &Path,
    target: &Target,
) -> Order {
    let mut arguments = input_arguments(input);
    let encode = channel.sources.inputs.encode;
    add(&mut arguments, &["-map", "0:v:0?", "-map", "0:a?"]);
    add(&mut arguments, &codecs(encode, tags));
    let (segment_ms, part_ms) = lengths_ms(channel.segment_ms, channel.part_ms);
    let seconds = |ms: u64| format!("{}.{:03}", ms / 1000, ms % 1000);
    if encode == Encode::All {
        let frames = format!("expr:gte(t,n_forced*{})", seconds(segment_ms));
        add(&mut arguments, &["-force_key_frames", &frames]);
    }
    let (segment, part) = (seconds(segment_ms), seconds(part_ms));
    add(&mut arguments, &["-f", "dash", "-seg_duration", &segment, "-frag_duration", &part]);
    add(&mut arguments, &["-frag_type", "duration", "-streaming", "1", "-ldash", "1"]);
    add(&mut arguments, &["-use_template", "1", "-use_timeline", "0"]);
    // Only what its own manifest lists is remembered by it.
    add(&mut arguments, &["-window_size", "5", "-extra_window_size", "2"]);
    add(&mut arguments, &["-method", "PUT", "-http_persistent", "1"]);
    // Options of a file, so that the login is not in the command line, which everybody can read.
    add(&mut arguments, &["-fpre", "/proc/self/fd/0"]);
    arguments.push(format!("http://{}/ingest/{}/manifest.mpd", target.ingest, channel.id));
    // ffmpeg takes a backslash for what the next character means by itself.
    let login = BASE64_STANDARD.encode(&target.login);
    let nice = if encode == Encode::All { NICE_OF_ENCODERS } else { 0 };
    Order {
        bounds: bounds(input, program, target),
        arguments,
        input: format!("http_opts=headers=Authorization\\: Basic {login}\n"),
        parent: std::process::id(),
        nice,
    }
}

/// The order to look whether there is media at this input. It succeeds if there is.
#[must_use]
pub fn trial(input: &Input, program: &Path, target: &Target) -> Order {
    let mut arguments = input_arguments(input);
    let seconds = format!("{}", CHILD_TRIAL_MEDIA_MS / 1000);
    add(&mut arguments, &["-map", "0:v:0?", "-map", "0:a?", "-c", "copy", "-t", &seconds]);
    add(&mut arguments, &["-abort_on", "empty_output", "-f", "null", "-"]);
    let bounds = bounds(input, program, target);
    Order { bounds, arguments, input: String::new(), parent: std::process::id(), nice: 0 }
}

fn bounds(input: &Input, program: &Path, target: &Target) -> Bounds {
    let readable = match &input.place {
        Place::File(path) => vec![path.clone()],
        Place::Url { .. } => Vec::new(),
    };
    let refers = matches!(&input.place, Place::Url { scheme, .. } if scheme.refers);
    let port = input.tcp_port();
    let listens = port.filter(|_| input.listens).into_iter().collect();
    let connects = port.filter(|_| !input.listens).into_iter().chain([target.ingest.port()]);
    Bounds {
        program: program.to_owned(),
        readable,
        forbidden: target.state.clone(),
        connects: (!refers).then(|| connects.collect()),
        listens,
        memory: CHILD_MEMORY_MAX,
        descriptors: CHILD_DESCRIPTORS_MAX,
    }
}

fn add(arguments: &mut Vec<String>, more: &[&str]) {
    arguments.extend(more.iter().map(|&one| one.to_owned()));
}

fn input_arguments(input: &Input) -> Vec<String> {
    let mut arguments = Vec::new();
    add(&mut arguments, &["-hide_banner", "-nostats", "-nostdin", "-loglevel", "level+warning"]);
    add(&mut arguments, &["-protocol_whitelist", input.protocols(), "-format_whitelist", FORMATS]);
    add(&mut arguments, &["-fflags", "+genpts", "-analyzeduration", "3000000"]);
    if input.is_paced {
        add(&mut arguments, &["-re"]);
    }
    match &input.place {
        Place::File(path) => {
            add(&mut arguments, &["-stream_loop", "-1", "-i"]);
            arguments.push(format!("file:{}", path.display()));
        }
        Place::Url { scheme, url } => {
            if input.listens {
                add(&mut arguments, scheme.listen.as_ref().map_or(&[], |by| &by[..]));
            } else if scheme.name == "rtsp" {
                add(&mut arguments, &["-rtsp_flags", "prefer_tcp"]);
            }
            arguments.push("-i".to_owned());
            arguments.push(url.clone());
        }
    }
    arguments
}

fn codecs(encode: Encode, tags: &Tags) -> Vec<&str> {
    const AAC: [&str; 6] = ["-c:a", "aac", "-b:a", "128k", "-ac", "2"];
    // Parts of half a second leave no room for looking ahead.
    const H264: [&str; 16] = [
        "-c:v",
        "libx264",
        "-preset",
        "veryfast",
        "-tune",
        "zerolatency",
        "-pix_fmt",
        "yuv420p",
        "-crf",
        "23",
        "-maxrate",
        "6M",
        "-bufsize",
        "6M",
        "-sc_threshold",
        "0",
    ];
    let video = ["-c:v", "copy", "-tag:v", &tags.video];
    match encode {
        Encode::Nothing => [&video[..], &["-c:a", "copy", "-tag:a", &tags.audio]].concat(),
        Encode::Audio => [&video[..], &AAC].concat(),
        Encode::All => [&H264[..], &AAC].concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::file::Draft;
    use crate::config::inputs::Scheme;

    fn target() -> Target {
        let ingest = SocketAddr::from(([127, 0, 0, 1], 8082));
        Target { ingest, state: "/state".into(), login: "ffmpeg:secret".to_owned() }
    }

    fn url(url: &str) -> Input {
        let scheme = Scheme::find(url.split_once(':').unwrap().0).unwrap();
        let place = Place::Url { scheme, url: url.to_owned() };
        Input { place, listens: false, is_paced: false }
    }

    fn order(input: &Input) -> Order {
        let mut draft = Draft::default();
        draft.apply_file(Path::new("/x.toml"), "[[channel]]\nid = \"news\"\n");
        read(
            &draft.config.channels[0],
            (input, &Tags::default()),
            Path::new("/usr/bin/ffmpeg"),
            &target(),
        )
    }

    #[test]
    fn an_input_is_one_argument_behind_what_it_may_speak() {
        let order = order(&url("udp://239.1.1.1:5000"));
        let line = order.arguments.join(" ");
        assert!(line.contains("-protocol_whitelist udp -format_whitelist mpegts,"), "{line}");
        let taken = "-map 0:v:0? -map 0:a? -c:v copy -tag:v avc1 -c:a copy -tag:a mp4a";
        assert!(line.contains(&format!(" -i udp://239.1.1.1:5000 {taken} ")), "{line}");
        assert!(line.ends_with(" http://127.0.0.1:8082/ingest/news/manifest.mpd"), "{line}");
        assert_eq!(order.bounds.connects, Some(vec![8082]));
        assert!(order.bounds.listens.is_empty());
    }

    #[test]
    fn the_login_is_not_in_the_command_line() {
        let order = order(&url("udp://239.1.1.1:5000"));
        let login = BASE64_STANDARD.encode("ffmpeg:secret");
        assert_eq!(order.input, format!("http_opts=headers=Authorization\\: Basic {login}\n"));
        assert!(!order.arguments.iter().any(|one| one.contains(&login) || one.contains("secret")));
    }

    #[test]
    fn what_it_may_connect_to_follows_from_the_input() {
        let ports = |input: &Input| (order(input).bounds.connects, order(input).bounds.listens);
        assert_eq!(ports(&url("https://cdn/a.m3u8")), (None, vec![]), "playlists refer anywhere");
        assert_eq!(ports(&url("rtmp://host/a/b")), (Some(vec![1935, 8082]), vec![]));
        let listening = Input { listens: true, ..url("rtmp://0.0.0.0:19/a/b") };
        assert_eq!(ports(&listening), (Some(vec![8082]), vec![19]));
        let line = order(&listening).arguments.join(" ");
        assert!(line.contains(" -listen 1 -i rtmp://0.0.0.0:19/a/b "), "{line}");
        let file = Input { place: Place::File("/a b.mp4".into()), listens: false, is_paced: true };
        let file = order(&file);
        assert_eq!(file.bounds.readable, [PathBuf::from("/a b.mp4")]);
        let at = file.arguments.iter().position(|one| one == "-stream_loop").unwrap();
        assert_eq!(
            file.arguments[at - 1..at + 4],
            ["-re", "-stream_loop", "-1", "-i", "file:/a b.mp4"]
        );
    }

    #[test]
    fn a_trial_sends_nothing_to_anybody() {
        let order = trial(&url("udp://239.1.1.1:5000"), Path::new("/usr/bin/ffmpeg"), &target());
        assert_eq!((order.input.as_str(), order.arguments.last().unwrap().as_str()), ("", "-"));
        let line = order.arguments.join(" ");
        assert!(line.contains("-t 2 -abort_on empty_output -f null -"), "{line}");
    }
}
