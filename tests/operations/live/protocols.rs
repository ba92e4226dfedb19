//! Inputs in the protocols that encoders speak, each sent by an ffmpeg of its own.

use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, park_timeout, spawn};
use std::time::Duration;

use super::inputs::{channel, started};

/// Sends the film to an address, until it is dropped; where nobody listens yet it tries again.
struct Sender {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Sender {
    fn to(url: &str, format: &[&str], film: &Path) -> Self {
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg.args(["-v", "error", "-nostdin", "-re", "-stream_loop", "-1", "-i"]).arg(film);
        ffmpeg.args(["-map", "0", "-c", "copy"]).args(format).arg(url);
        ffmpeg.stdin(Stdio::null()).stderr(Stdio::null());
        let is_over = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&is_over);
        let thread = spawn(move || {
            while !ends.load(Ordering::Relaxed) {
                run_until(ffmpeg.spawn().expect("ffmpeg is installed"), &ends);
            }
        });
        Self { is_over, thread: Some(thread) }
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Waits until it has ended by itself, or ends it.
fn run_until(mut child: Child, is_over: &AtomicBool) {
    while matches!(child.try_wait(), Ok(None)) {
        if is_over.load(Ordering::Relaxed) {
            let _ = child.kill();
        }
        park_timeout(Duration::from_millis(100));
    }
}

/// A UDP port of this machine that nobody has.
fn free_udp_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn free_tcp_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A channel of this input, to which something is sent by this URL, plays as HLS and DASH.
#[track_caller]
fn check(input: &str, shown: &str, (url, format): (&str, &[&str])) {
    let station = started(&channel("sport", input, "encode = \"all\""), |_, _| {});
    let _sender = Sender::to(url, format, &station.place.path("film.mp4"));
    station.until("sport/master.m3u8", |answer| answer.status == 200);
    let child = station.until_ffmpeg("sport", |said| said["state"] == "running");
    assert_eq!(child["inputs"][0], shown);
    for text in ["master.m3u8", "manifest.mpd"] {
        let url = format!("http://{}/tv/sport/{text}", station.server.public);
        let mut player = Command::new("ffmpeg");
        player.args(["-v", "error", "-nostdin", "-i", &url, "-t", "2", "-abort_on"]);
        player.args(["empty_output_stream", "-f", "null", "-"]);
        let played = player.output().expect("ffmpeg is installed");
        assert!(played.status.success(), "{text}: {}", String::from_utf8_lossy(&played.stderr));
    }
}

const TS: &[&str] = &["-f", "mpegts"];

#[test]
fn a_transport_stream_over_udp_is_played_as_hls_and_dash() {
    let place = format!("udp://127.0.0.1:{}", free_udp_port());
    check(&format!("\"{place}\""), &place, (&format!("{place}?pkt_size=1316"), TS));
}

#[test]
fn a_transport_stream_over_multicast_is_played_as_hls_and_dash() {
    // A group of this machine alone, on its loopback.
    let group = format!("239.255.76.1:{}", free_udp_port());
    let input = format!("\"udp://@{group}?localaddr=127.0.0.1\"");
    let url = format!("udp://{group}?localaddr=127.0.0.1&ttl=0&pkt_size=1316");
    check(&input, &format!("udp://@{group}/***"), (&url, TS));
}

#[test]
fn a_transport_stream_over_rtp_is_played_as_hls_and_dash() {
    // RTCP has the port above.
    let place = format!("rtp://127.0.0.1:{}", free_udp_port() & !1);
    check(&format!("\"{place}\""), &place, (&place, &["-f", "rtp_mpegts"]));
}

#[test]
fn a_transport_stream_over_srt_is_played_as_hls_and_dash() {
    let place = format!("srt://127.0.0.1:{}", free_udp_port());
    let input = format!("\"{place}?mode=listener\"");
    check(&input, &format!("{place}/***"), (&place, TS));
}

#[test]
fn an_encoder_that_connects_by_rtmp_is_played_as_hls_and_dash() {
    let place = format!("rtmp://127.0.0.1:{}", free_tcp_port());
    let url = format!("{place}/live/key12345");
    let input = format!("{{ url = \"{url}\", listen = \"on\" }}");
    check(&input, &format!("{place}/***"), (&url, &["-f", "flv"]));
}

#[test]
fn an_encoder_that_connects_by_rtsp_is_played_as_hls_and_dash() {
    let place = format!("rtsp://127.0.0.1:{}", free_tcp_port());
    let url = format!("{place}/live");
    let input = format!("{{ url = \"{url}\", listen = \"on\" }}");
    check(&input, &format!("{place}/***"), (&url, &["-f", "rtsp", "-rtsp_transport", "tcp"]));
}
