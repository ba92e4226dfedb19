//! A tiny ingest server: takes chunked bodies, keeps all of them, and answers as it is told.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::listen;

/// One request, whole or not.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    /// Without the slash in front.
    pub path: String,
    pub head: String,
    /// The body in the pieces in which it was framed; the last may be cut.
    pub pieces: Vec<Vec<u8>>,
    /// Whether its end came.
    pub whole: bool,
}

impl Request {
    pub fn body(&self) -> Vec<u8> {
        self.pieces.concat()
    }

    /// The number in `channel/rendition/number.m4s`.
    pub fn number(&self) -> Option<u64> {
        self.path.rsplit('/').next()?.strip_suffix(".m4s")?.parse().ok()
    }
}

/// The status for a path, given how many requests came before; 0 closes without an answer.
type Rule = fn(&str, usize) -> u16;

/// A server in this process.
pub struct Ingest {
    pub address: SocketAddr,
    requests: Arc<Mutex<Kept>>,
}

/// Requests in the order in which they began; none as long as one goes on.
type Kept = Vec<Option<Request>>;

/// No request goes on longer when its sender has ended.
const PATIENCE: Duration = Duration::from_secs(30);

impl Ingest {
    /// Starts it; it ends with the test process.
    pub fn start(rule: Rule) -> Self {
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&requests);
        let address = listen::start(move |stream| serve(stream, rule, &kept));
        Self { address, requests }
    }

    /// What has come, in the order in which requests began, when all of them have ended.
    pub fn requests(&self) -> Vec<Request> {
        let began = Instant::now();
        loop {
            let kept = self.requests.lock().expect("no thread panics").clone();
            if let Some(all) = kept.into_iter().collect() {
                return all;
            }
            assert!(began.elapsed() < PATIENCE, "a request does not end");
            thread::park_timeout(Duration::from_millis(1));
        }
    }
}

fn serve(stream: TcpStream, rule: Rule, kept: &Mutex<Kept>) -> io::Result<()> {
    let (mut reader, mut writer) = listen::halves(stream)?;
    while let Some(head) = listen::head(&mut reader)? {
        let mut words = head.split(' ');
        let method = words.next().unwrap_or_default().to_owned();
        let path = words.next().unwrap_or_default().trim_start_matches('/').to_owned();
        let mut request = Request { method, path, head, pieces: Vec::new(), whole: false };
        let before = {
            let mut kept = kept.lock().expect("no thread panics");
            kept.push(None);
            kept.len() - 1
        };
        let outcome = body(&mut reader, &mut request.pieces);
        request.whole = outcome.is_ok();
        let path = request.path.clone();
        kept.lock().expect("no thread panics")[before] = Some(request);
        outcome?;
        let status = rule(&path, before);
        if status == 0 {
            return Ok(());
        }
        write!(writer, "HTTP/1.1 {status} Status\r\nContent-Length: 2\r\n\r\nok")?;
    }
    Ok(())
}

/// Reads a chunked body to its end.
fn body(reader: &mut BufReader<TcpStream>, pieces: &mut Vec<Vec<u8>>) -> io::Result<()> {
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let size = usize::from_str_radix(line.trim_end(), 16).map_err(io::Error::other)?;
        let mut piece = Vec::new();
        reader.take(size as u64).read_to_end(&mut piece)?;
        let is_whole = piece.len() == size;
        if size > 0 {
            pieces.push(piece);
        }
        let mut end = [0; 2];
        reader.read_exact(&mut end)?;
        if !is_whole || end != *b"\r\n" {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if size == 0 {
            return Ok(());
        }
    }
}
