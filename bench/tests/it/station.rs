//! A tiny live server: takes chunked PUTs, and holds requests for playlists until a part is there.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use super::listen;

/// Parts of a segment.
const PARTS: u64 = 4;

/// No request is held longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Parts that have come, by folder (`channel/rendition`): number of the first one and their bodies.
/// A part's number is its segment's times `PARTS` and its place there.
type Parts = std::collections::BTreeMap<String, (u64, Vec<Vec<u8>>)>;

#[derive(Default)]
struct State {
    parts: Mutex<Parts>,
    news: Condvar,
}

/// Starts it; it ends with the test process. Everything is at one address.
pub fn start() -> SocketAddr {
    let state = State::default();
    listen::start(move |stream| serve(stream, &state))
}

fn serve(stream: TcpStream, state: &State) -> io::Result<()> {
    let (mut reader, mut writer) = listen::halves(stream)?;
    while let Some(head) = listen::head(&mut reader)? {
        let mut words = head.split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let answer = match method {
            "PUT" => take(&mut reader, path, state).map(|()| Some(Vec::new()))?,
            _ => state.answer(path),
        };
        let status = if answer.is_some() { "200 OK" } else { "404 Not Found" };
        let body = answer.unwrap_or_default();
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len());
        writer.write_all(&[head.as_bytes(), &body].concat())?;
    }
    Ok(())
}

/// Takes a chunked body, of which each chunk is a part.
fn take(reader: &mut BufReader<TcpStream>, path: &str, state: &State) -> io::Result<()> {
    let place = path.strip_prefix("/ingest/").and_then(|place| place.rsplit_once('/'));
    let (folder, name) = place.ok_or(io::ErrorKind::InvalidInput)?;
    let segment: Option<u64> = name.strip_suffix(".m4s").and_then(|name| name.parse().ok());
    for part in 0.. {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let size = usize::from_str_radix(line.trim_end(), 16).map_err(io::Error::other)?;
        let mut body = vec![0; size + 2];
        reader.read_exact(&mut body)?;
        body.truncate(size);
        if size == 0 {
            break;
        }
        let Some(segment) = segment else { continue };
        let mut parts = state.parts.lock().expect("no thread panics");
        let number = segment * PARTS + part;
        let (first, bodies) = parts.entry(folder.to_owned()).or_insert((number, Vec::new()));
        assert_eq!(*first + bodies.len() as u64, number, "parts come in their order");
        bodies.push(body);
        state.news.notify_all();
    }
    Ok(())
}

impl State {
    fn answer(&self, path: &str) -> Option<Vec<u8>> {
        match path {
            "/2k" => return Some(vec![7; 2048]),
            "/metrics" => return None,
            _ => {}
        }
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let (folder, name) = path.strip_prefix("/tv/")?.rsplit_once('/')?;
        let mut wanted = None;
        if let Some(query) = query.strip_prefix("_HLS_msn=") {
            let (segment, part) = query.split_once("&_HLS_part=")?;
            wanted = Some(segment.parse::<u64>().ok()? * PARTS + part.parse::<u64>().ok()?);
        } else if name != "ll.m3u8" {
            let (segment, part) = name.strip_suffix(".m4s")?.split_once('.')?;
            wanted = Some(segment.parse::<u64>().ok()? * PARTS + part.parse::<u64>().ok()?);
        }
        let end = |parts: &Parts| {
            parts.get(folder).map_or(0, |(first, bodies)| first + bodies.len() as u64)
        };
        let parts = self.parts.lock().expect("no thread panics");
        let is_early = |parts: &mut Parts| wanted.is_some_and(|wanted| end(parts) <= wanted);
        let held = self.news.wait_timeout_while(parts, PATIENCE, is_early);
        let (parts, _) = held.expect("no thread panics");
        let next = end(&parts);
        if next == 0 {
            return None;
        }
        if name == "ll.m3u8" {
            let (segment, part) = (next / PARTS, next % PARTS);
            return Some(
                format!("#EXTM3U\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"{segment}.{part}.m4s\"\n")
                    .into_bytes(),
            );
        }
        let (first, bodies) = parts.get(folder)?;
        bodies.get(usize::try_from(wanted?.checked_sub(*first)?).ok()?).cloned()
    }
}
