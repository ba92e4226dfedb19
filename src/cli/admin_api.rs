//! Asking a running server: one request to its admin API, by its unix socket or an address.

use std::io::{BufRead as _, BufReader, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::Failure;
use super::admin_tls::{self, USUAL_AUTHORITIES};
use super::sources::SourceArgs;
use super::terminal::printable;
use crate::config::HEAD_SIZE_MAX;

/// How long a server may take to say something.
const PATIENCE: Duration = Duration::from_secs(10);

/// The same of what may take long: a million subscribers are read and written.
const PATIENCE_LONG: Duration = Duration::from_secs(1800);

/// Longest answer that is read, in bytes: 1,000 channels of 64 renditions fit.
const ANSWER_SIZE_MAX: u64 = 64 << 20;

/// Which server is asked.
#[derive(Clone, Debug, Args)]
pub struct ServerArgs {
    /// Admin address of the server, as https://HOST:PORT, with a key of its API in
    /// SHARDCAST_API_KEY; http:// from its own machine [default: admin.sock in its state folder]
    #[arg(long, value_name = "URL", env = "SHARDCAST_SERVER_URL")]
    server: Option<String>,
    /// Certificates of those who may vouch for the server, as PEM [default: Debian's]
    #[arg(long, value_name = "FILE", env = "SHARDCAST_SERVER_CA")]
    ca: Option<PathBuf>,
    /// Config file of the server, which names its state folder
    #[arg(long, value_name = "FILE", env = "SHARDCAST_CONFIG")]
    config: Option<PathBuf>,
}

impl ServerArgs {
    /// What the server answers to a `GET` of this path.
    ///
    /// # Errors
    ///
    /// It can't be asked, or refuses.
    pub fn get(&self, path: &str) -> Result<Value, Failure> {
        self.ask("GET", path, None)
    }

    /// What the server answers to a `POST` of this.
    ///
    /// # Errors
    ///
    /// It can't be asked, or refuses.
    pub fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.ask("POST", path, Some(body))
    }

    /// The same of what may take long.
    ///
    /// # Errors
    ///
    /// It can't be asked, or refuses.
    pub fn post_long(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.ask_within(PATIENCE_LONG, "POST", path, Some(body))
    }

    /// What the server answers to a `POST` of bytes of this media type.
    ///
    /// # Errors
    ///
    /// It can't be asked, or refuses.
    pub fn post_bytes(&self, path: &str, media_type: &str, body: &[u8]) -> Result<Value, Failure> {
        self.ask_with(PATIENCE, ("POST", path), media_type, body)
    }

    /// What the server answers to a `PUT` of this.
    ///
    /// # Errors
    ///
    /// It can't be asked, or refuses.
    pub fn put(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.ask("PUT", path, Some(body))
    }

    /// What the server answers to a `PATCH` of this.
    ///
    /// # Errors
    ///
    /// It can't be asked, or refuses.
    pub fn patch(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.ask("PATCH", path, Some(body))
    }

    /// Removes what is at this path.
    ///
    /// # Errors
    ///
    /// The server can't be asked, or refuses.
    pub fn delete(&self, path: &str) -> Result<(), Failure> {
        self.ask("DELETE", path, None).map(drop)
    }

    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
        self.ask_within(PATIENCE, method, path, body)
    }

    /// Writes what the server answers to a `GET` of this path, as it comes.
    ///
    /// # Errors
    ///
    /// It can't be asked, refuses, or what it says can't be written.
    pub fn stream(&self, path: &str, to: &mut dyn Write) -> Result<(), Failure> {
        let (mut stream, host, what) = self.connected(PATIENCE)?;
        // HTTP/1.0: the body is what comes until the end, and says by itself whether it is whole.
        let line = self.authorization()?;
        let request = format!("GET {path} HTTP/1.0\r\n{line}Host: {host}\r\n\r\n");
        let failed = |error: std::io::Error| Failure::new(&what, error);
        stream.write_all(request.as_bytes()).map_err(failed)?;
        let mut answer = BufReader::new(stream);
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut rest = answer.by_ref().take(HEAD_SIZE_MAX as u64);
            if rest.read_until(b'\n', &mut head).map_err(failed)? == 0 || head.len() > HEAD_SIZE_MAX
            {
                return Err(Failure::new(&what, "this is no answer"));
            }
        }
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut parsed = httparse::Response::new(&mut headers);
        let status = parsed.parse(&head).ok().and(parsed.code);
        if status == Some(200) {
            return std::io::copy(&mut answer, to).map(drop).map_err(failed);
        }
        let mut problem = Vec::new();
        answer.take(ANSWER_SIZE_MAX).read_to_end(&mut problem).map_err(failed)?;
        Err(refused(&what, status.unwrap_or_default(), &problem))
    }

    fn ask_within(
        &self,
        patience: Duration,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let body = body.map(Value::to_string).unwrap_or_default();
        self.ask_with(patience, (method, path), "application/json", body.as_bytes())
    }

    fn ask_with(
        &self,
        patience: Duration,
        (method, path): (&str, &str),
        media_type: &str,
        body: &[u8],
    ) -> Result<Value, Failure> {
        let (stream, host, what) = self.connected(patience)?;
        let mut request = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !body.is_empty() {
            let size = body.len();
            request += &format!("Content-Type: {media_type}\r\nContent-Length: {size}\r\n");
        }
        request += &self.authorization()?;
        request += &format!("Host: {host}\r\n\r\n");
        asked(stream, &[request.as_bytes(), body].concat(), &what)
    }

    /// The header line that shows the key, where a server is asked that wants one.
    fn authorization(&self) -> Result<String, Failure> {
        let key = self.server.as_ref().map(|_| key()).transpose()?.flatten();
        Ok(key.map(|key| format!("Authorization: Bearer {key}\r\n")).unwrap_or_default())
    }

    /// A connection to the server, what its `Host` is, and what is being done, for messages.
    fn connected(&self, patience: Duration) -> Result<(Box<dyn Stream>, String, String), Failure> {
        let Some(url) = &self.server else {
            let socket = self.state()?.join("admin.sock");
            let what = format!("ask {}", socket.display());
            let refused = |error| {
                Failure::new(&what, error)
                    .remedy("is the server running? --server https://HOST:PORT asks another one")
            };
            let stream = UnixStream::connect(&socket).map_err(refused)?;
            let set = stream.set_read_timeout(Some(patience));
            set.map_err(|error| Failure::new(&what, error))?;
            return Ok((Box::new(stream), "localhost".to_owned(), what));
        };
        let what = format!("ask {url}");
        let is_tls = url.starts_with("https://");
        let authority = url.strip_prefix("http://").or(url.strip_prefix("https://")).unwrap_or(url);
        let authority = authority.trim_end_matches('/');
        if authority.is_empty() || authority.contains(|one: char| one == '/' || one.is_control()) {
            return Err(Failure::new(what, "this is not https://HOST:PORT"));
        }
        let failed = |error| Failure::new(&what, error);
        let mut addresses = authority.to_socket_addrs().map_err(failed)?;
        let address = addresses.next().ok_or_else(|| Failure::new(&what, "no such host"))?;
        let key = key()?;
        if key.is_some() && !is_tls && !address.ip().to_canonical().is_loopback() {
            let why = "the key would travel in the clear";
            return Err(Failure::new(what, why).remedy("write https://, or come by ssh -L"));
        }
        let stream = TcpStream::connect_timeout(&address, PATIENCE).map_err(failed)?;
        stream.set_read_timeout(Some(patience)).map_err(failed)?;
        if !is_tls {
            return Ok((Box::new(stream), authority.to_owned(), what));
        }
        let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
        let authorities = self.ca.as_deref().unwrap_or(Path::new(USUAL_AUTHORITIES));
        let stream = admin_tls::connected(stream, host, authorities)?;
        Ok((Box::new(stream), authority.to_owned(), what))
    }

    /// The state folder, for a verb that needs its files.
    ///
    /// # Errors
    ///
    /// The config can't be read, or another machine's server is meant.
    pub fn state_here(&self, verb: &str) -> Result<PathBuf, Failure> {
        if self.server.is_some() {
            let why = "it works with files of the state folder: run it on the server's machine";
            return Err(Failure::new(format!("run {verb} with --server"), why));
        }
        self.state()
    }

    /// Whether a server answers on the socket in this state folder.
    ///
    /// # Errors
    ///
    /// It can't be said.
    pub fn answers(&self, state: &Path) -> Result<bool, Failure> {
        let socket = state.join("admin.sock");
        match UnixStream::connect(&socket) {
            Ok(_) => Ok(true),
            Err(error) => match error.kind() {
                ErrorKind::NotFound | ErrorKind::ConnectionRefused => Ok(false),
                _ => Err(Failure::new(format!("ask {}", socket.display()), error)),
            },
        }
    }

    fn state(&self) -> Result<PathBuf, Failure> {
        let sources = SourceArgs { config: self.config.clone(), ..SourceArgs::default() };
        let draft = sources.sources().read();
        match Failure::of_complaints(&draft.errors) {
            Some(failure) => Err(failure),
            None => Ok(draft.config.state),
        }
    }
}

/// The key of the server's API, if there is one in the environment: other users see arguments.
fn key() -> Result<Option<String>, Failure> {
    let Ok(key) = std::env::var("SHARDCAST_API_KEY") else { return Ok(None) };
    let key = key.trim();
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Failure::new("SHARDCAST_API_KEY", "this is no key of an API"));
    }
    Ok(Some(key.to_owned()))
}

fn asked(mut stream: impl Read + Write, request: &[u8], what: &str) -> Result<Value, Failure> {
    let mut answer = Vec::new();
    stream
        .write_all(request)
        .and_then(|()| stream.take(ANSWER_SIZE_MAX).read_to_end(&mut answer))
        .map_err(|error| Failure::new(what, error))?;
    let (status, body) = read(&answer).ok_or_else(|| Failure::new(what, "this is no answer"))?;
    match (status, serde_json::from_slice::<Value>(body)) {
        (204, _) => Ok(Value::Null),
        (200 | 201, Ok(value)) => Ok(value),
        (200 | 201, Err(error)) => Err(Failure::new(what, error)),
        (status, _) => Err(refused(what, status, body)),
    }
}

/// What a server says that does not do it.
fn refused(what: &str, status: u16, body: &[u8]) -> Failure {
    let problem = serde_json::from_slice::<Value>(body).unwrap_or_default();
    let detail = problem["detail"].as_str().unwrap_or("it says no more");
    Failure::new(what, format_args!("status {status}: {}", printable(detail)))
}

/// A connection of either kind.
trait Stream: Read + Write {}

impl<S: Read + Write> Stream for S {}

/// Status and body of an answer that ended with its connection, and is whole.
fn read(answer: &[u8]) -> Option<(u16, &[u8])> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut head = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(size) = head.parse(answer).ok()? else { return None };
    let body = &answer[size..];
    if head.code == Some(204) {
        return Some((204, &[]));
    }
    let length = head.headers.iter().find(|one| one.name.eq_ignore_ascii_case("content-length"))?;
    let length: usize = str::from_utf8(length.value).ok()?.parse().ok()?;
    Some((head.code?, body.get(..length)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_answer_is_read() {
        let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}".as_slice();
        assert_eq!(read(whole), Some((200, b"{}".as_slice())));
        for size in 0..whole.len() {
            assert_eq!(read(&whole[..size]), None, "{size}");
        }
        assert_eq!(read(b"HTTP/1.1 200 OK\r\n\r\n{}"), None);
        assert_eq!(read(b"HTTP/1.1 204 No Content\r\n\r\n"), Some((204, b"".as_slice())));
        assert_eq!(read(b"220 mail.example.org\r\n"), None);
    }
}
