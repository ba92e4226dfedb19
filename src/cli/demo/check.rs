//! `demo --check`: every media URL through ffprobe, every page asked for a 200.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use super::content::{self, FILM_SECONDS, FRAME_RATE, words};
use super::{Failure, Site, reachable};

/// Longest wait for one answer.
const PATIENCE: Duration = Duration::from_secs(15);

/// Checks everything, says what was seen, and fails if anything was wrong.
pub(super) fn everything(site: &Site, stop: &Receiver<()>) -> Result<(), Failure> {
    let mut failed = 0;
    let mut say = |what: &str, seen: Result<String, String>| {
        let (verdict, seen) = match seen {
            Ok(seen) => ("ok", seen),
            Err(why) => {
                failed += 1;
                ("FAILED", why)
            }
        };
        println!("demo: {verdict} {what}: {seen}");
    };
    let pages = [
        (site.listen, format!("/{}", content::PAGE)),
        (site.listen, "/tv/clock".to_owned()),
        (site.admin, "/healthz".to_owned()),
        (site.admin, "/readyz".to_owned()),
        (site.admin, "/metrics".to_owned()),
    ];
    for (address, path) in pages {
        say(&format!("http://{}{path}", reachable(address)), page(address, &path));
    }
    for (path, what) in content::MEDIA {
        if stop.try_recv().is_ok() {
            return Err(Failure::new("demo --check", "stopped by a signal"));
        }
        let url = site.url(path);
        let interval = match (content::is_live(path), content::begins_anew(path)) {
            (_, true) => Some("%+#900"),
            (true, false) => Some("%+4"),
            (false, false) => None,
        };
        say(&format!("{url} ({what})"), played(&url, interval));
    }
    if failed == 0 { Ok(()) } else { Err(Failure::new("demo --check", format!("{failed} failed"))) }
}

fn page(address: SocketAddr, path: &str) -> Result<String, String> {
    match status(address, path) {
        Ok(200) => Ok("200".to_owned()),
        Ok(other) => Err(format!("status {other}")),
        Err(error) => Err(error.to_string()),
    }
}

/// The status of one GET.
pub(super) fn status(address: SocketAddr, path: &str) -> io::Result<u16> {
    let mut stream = TcpStream::connect_timeout(&reachable(address), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let line = String::from_utf8_lossy(answer.split(|&byte| byte == b'\r').next().unwrap_or(&[]))
        .into_owned();
    let status = line.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
    status.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("answered {line:?}")))
}

/// Reads the whole film, or a few seconds of what has no end, and counts what came.
fn played(url: &str, interval: Option<&str>) -> Result<String, String> {
    let mut ffprobe = Command::new("ffprobe");
    ffprobe.args(words("-v error -rw_timeout 15000000 -count_packets -of csv=p=0 -show_entries"));
    ffprobe.arg("stream=codec_type,nb_read_packets");
    if let Some(interval) = interval {
        ffprobe.args(["-read_intervals", interval]);
    }
    let output = ffprobe.arg(url).output().map_err(|error| format!("ffprobe: {error}"))?;
    let complaint = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if !output.status.success() || !complaint.is_empty() {
        return Err(format!("ffprobe: {}: {complaint}", output.status));
    }
    let listed = String::from_utf8_lossy(&output.stdout).into_owned();
    let (pictures, sounds) = (most(&listed, "video"), most(&listed, "audio"));
    let expected = if interval.is_some() { 2 * FRAME_RATE } else { FILM_SECONDS * FRAME_RATE };
    if pictures < expected || sounds == 0 {
        return Err(format!("{pictures} pictures, not {expected}; {sounds} packets of sound"));
    }
    Ok(format!("{pictures} pictures, {sounds} packets of sound"))
}

/// The most packets that any stream of this kind gave, from lines like `video,750`.
fn most(listed: &str, kind: &str) -> u64 {
    let counts = listed.lines().filter_map(|line| {
        let (found, count) = line.split_once(',')?;
        (found == kind).then(|| count.trim_end_matches(',').parse().ok())?
    });
    counts.max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_stream_of_a_kind_counts() {
        let listed = "video,750\nvideo,12,\naudio,1408\nvideo,N/A\n";
        assert_eq!((most(listed, "video"), most(listed, "audio")), (750, 1408));
        assert_eq!(most(listed, "subtitle"), 0);
    }
}
