//! The way to a back end: questions in, what came of each out, on a thread of its own.
//!
//! HTTP/1.1 on a few connections that are used again, each for a minute at most, so that its name
//! is looked up anew. Redirects are not followed, answers have a limit, and everything has one
//! deadline: the question's. Nothing of a viewer is in the URL.

use std::fmt::Display;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

use super::super::tokens::now;
use super::wire::{self, Answer};
use crate::config::{
    HOOK_ADDRESSES_MAX, HOOK_ANSWER_SIZE_MAX, HOOK_CONNECTION_MS, HOOK_FILE_SIZE_MAX, HOOK_IDLE_MS,
    HOOK_SECRET_SIZE_MIN, HOOK_WAITING_MAX, Hook, HookUrl,
};
use crate::ops::version;

/// Threads that look up names. One that hangs takes its own place only.
const LOOKUPS_MAX: usize = 4;

/// Buffer of a connection: a head of an answer, and most of the body.
const BUFFER_SIZE: usize = 16 * 1024;

/// Longest text of an error that is logged, in characters.
const DETAIL_SIZE_MAX: usize = 200;

/// A back end as the config has it, with its secret and its connections.
pub struct Endpoint {
    /// How it is asked.
    pub settings: Hook,
    url: HookUrl,
    secret: Zeroizing<Vec<u8>>,
    /// Certificates of those who may vouch for it, as they stand in their file.
    vouchers: Vec<u8>,
    tls: Option<Arc<ClientConfig>>,
    /// Questions that may be put at once.
    turns: Semaphore,
    /// Connections that wait to be used again, the last one that was used on top.
    idle: Mutex<Vec<Link>>,
}

impl Endpoint {
    /// The back end of a config; none if there is none.
    ///
    /// # Errors
    ///
    /// The key whose file is wrong, and why.
    pub fn open(settings: &Hook) -> Result<Option<Self>, (&'static str, String)> {
        let Some(url) = settings.url.clone() else { return Ok(None) };
        let secret = settings.secret_file.as_deref().map(secret).transpose();
        let secret = secret.map_err(|why| ("hook.secret_file", why))?.unwrap_or_default();
        let of_ca = |why| ("hook.ca_file", why);
        let file = settings.ca_file.as_deref();
        let vouchers = file.map(read).transpose().map_err(of_ca)?.unwrap_or_default();
        let tls = url.is_tls().then(|| tls(file, &vouchers)).transpose().map_err(of_ca)?;
        Ok(Some(Self {
            settings: settings.clone(),
            url,
            secret,
            vouchers,
            tls: tls.map(Arc::new),
            turns: Semaphore::new(settings.concurrent_max),
            idle: Mutex::default(),
        }))
    }

    /// Whether another one is the same in all that it is asked with.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        (&self.settings, &self.secret, &self.vouchers)
            == (&other.settings, &other.secret, &other.vouchers)
    }

    /// See `wire::device`.
    #[must_use]
    pub fn device(&self, token: u64, agent: &[u8]) -> String {
        wire::device(&self.secret, token, agent)
    }

    /// A connection that was used before, and may be used again.
    fn idle(&self) -> Option<Link> {
        self.links().pop()
    }

    fn keep(&self, mut link: Link) {
        link.used = Instant::now();
        if link.is_good() {
            self.links().push(link);
        }
    }

    fn links(&self) -> std::sync::MutexGuard<'_, Vec<Link>> {
        let mut links = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        links.retain(Link::is_good);
        links
    }
}

/// What is read of a file of the config.
fn read(path: &Path) -> Result<Vec<u8>, String> {
    let wrong = |why: &dyn Display| format!("{}: {why}", path.display());
    let metadata = std::fs::metadata(path).map_err(|error| wrong(&error))?;
    if metadata.len() > HOOK_FILE_SIZE_MAX {
        return Err(wrong(&"is too large for what it is"));
    }
    std::fs::read(path).map_err(|error| wrong(&error))
}

/// A secret; the line's end that editors add is none of it.
fn secret(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let mut bytes = Zeroizing::new(read(path)?);
    while bytes.last().is_some_and(|last| matches!(last, b'\n' | b'\r')) {
        bytes.pop();
    }
    if bytes.len() < HOOK_SECRET_SIZE_MIN {
        let path = path.display();
        return Err(format!("{path}: is shorter than {HOOK_SECRET_SIZE_MIN} bytes"));
    }
    Ok(bytes)
}

/// What a client shows and believes: these vouchers, or whom this machine trusts.
///
/// # Errors
///
/// Nobody may vouch for anybody.
pub fn tls(file: Option<&Path>, vouchers: &[u8]) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = file {
        let wrong = |why: &dyn Display| format!("{}: {why}", path.display());
        for voucher in CertificateDer::pem_slice_iter(vouchers) {
            let voucher = voucher.map_err(|error| wrong(&error))?;
            roots.add(voucher).map_err(|error| wrong(&error))?;
        }
    } else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    if roots.is_empty() {
        let file = file.map_or_else(|| "this machine".to_owned(), |of| of.display().to_string());
        return Err(format!("{file}: has no certificates of anybody who may vouch for a back end"));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// What is asked.
pub struct Question {
    /// Whom.
    pub endpoint: Arc<Endpoint>,
    /// What is said.
    pub body: Bytes,
    /// When the answer must be there.
    pub deadline: Instant,
    /// Where it goes.
    pub answer: oneshot::Sender<Result<Answer, Failure>>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Of which kind.
    pub kind: Kind,
    /// What was seen.
    pub detail: String,
}

/// Kinds of failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Too many others were asked before it.
    NoTurn,
    /// The answer did not come in time.
    TimedOut,
    /// There is no way to it.
    Unreachable,
    /// It says what is no answer.
    Garbage,
}

impl Kind {
    /// As metrics and logs have it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::NoTurn => "no-turn",
            Self::TimedOut => "timed-out",
            Self::Unreachable => "unreachable",
            Self::Garbage => "garbage",
        }
    }
}

impl Failure {
    /// Of this kind.
    pub fn new(kind: Kind, detail: impl Display) -> Self {
        Self { kind, detail: detail.to_string().chars().take(DETAIL_SIZE_MAX).collect() }
    }
}

/// Starts the thread; it runs until the last sender is gone.
///
/// # Errors
///
/// No thread, or no runtime for it, can be made.
pub fn start() -> io::Result<mpsc::Sender<Question>> {
    let (questions, mut received) = mpsc::channel::<Question>(HOOK_WAITING_MAX);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(LOOKUPS_MAX)
        .build()?;
    std::thread::Builder::new().name("hook".to_owned()).spawn(move || {
        runtime.block_on(async {
            while let Some(question) = received.recv().await {
                tokio::spawn(serve(question));
            }
        });
    })?;
    Ok(questions)
}

async fn serve(question: Question) {
    let Question { endpoint, body, deadline, answer } = question;
    let no_turn = || Err(Failure::new(Kind::NoTurn, "others took the time"));
    let outcome = match timeout_at(deadline, endpoint.turns.acquire()).await {
        Ok(Ok(_turn)) => {
            let left = deadline.saturating_duration_since(Instant::now());
            // Who had less than half of it is not to blame.
            let is_fair = 2 * left >= Duration::from_millis(endpoint.settings.deadline_ms);
            match timeout_at(deadline, put(&endpoint, body, deadline)).await {
                Ok(outcome) => outcome,
                Err(_) if is_fair => {
                    Err(Failure::new(Kind::TimedOut, "no answer within hook.deadline"))
                }
                Err(_) => no_turn(),
            }
        }
        _ => no_turn(),
    };
    // Whoever asked may have given up.
    let _ = answer.send(outcome);
}

/// Puts a question, on a connection that is there or on a new one.
async fn put(endpoint: &Endpoint, body: Bytes, deadline: Instant) -> Result<Answer, Failure> {
    let used = endpoint.idle();
    let was_used = used.is_some();
    let mut link = match used {
        Some(link) => link,
        None => connect(endpoint, deadline).await?,
    };
    let mut answered = link.sender.send_request(request(endpoint, body.clone())?).await;
    if was_used && answered.is_err() {
        // It was closed while it waited, as servers do. A back end may see a question twice.
        link = connect(endpoint, deadline).await?;
        answered = link.sender.send_request(request(endpoint, body)?).await;
    }
    let response = answered.map_err(|error| Failure::new(Kind::Unreachable, error))?;
    let garbage = |why: &dyn Display| Failure::new(Kind::Garbage, why);
    if response.status() != StatusCode::OK {
        return Err(garbage(&format_args!("status {}", response.status().as_u16())));
    }
    let body = Limited::new(response.into_body(), HOOK_ANSWER_SIZE_MAX).collect().await;
    let body = body.map_err(|error| garbage(&error))?.to_bytes();
    let answer = wire::answer(&body).ok_or_else(|| garbage(&"a body that is none of ours"))?;
    endpoint.keep(link);
    Ok(answer)
}

fn request(endpoint: &Endpoint, body: Bytes) -> Result<Request<Full<Bytes>>, Failure> {
    let at = now();
    let agent = format!("shardcast/{}", version::VERSION);
    Request::builder()
        .method(Method::POST)
        .uri(endpoint.url.target())
        .header(HOST, endpoint.url.authority())
        .header(USER_AGENT, agent)
        .header(CONTENT_TYPE, "application/json")
        .header(ACCEPT, "application/json")
        .header(wire::TIMESTAMP, at.0)
        .header(wire::SIGNATURE, wire::signature(&endpoint.secret, at, &body))
        .body(Full::new(body))
        .map_err(|error| Failure::new(Kind::Unreachable, error))
}

/// A connection, which ends with this.
struct Link {
    sender: SendRequest<Full<Bytes>>,
    task: JoinHandle<()>,
    since: Instant,
    used: Instant,
}

impl Link {
    /// Whether it may be used again.
    fn is_good(&self) -> bool {
        !self.sender.is_closed()
            && self.since.elapsed() < Duration::from_millis(HOOK_CONNECTION_MS)
            && self.used.elapsed() < Duration::from_millis(HOOK_IDLE_MS)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // Whoever was asked and did not answer is not waited for any longer.
        self.task.abort();
    }
}

async fn connect(endpoint: &Endpoint, deadline: Instant) -> Result<Link, Failure> {
    let failed = |error: &dyn Display| Failure::new(Kind::Unreachable, error);
    let stream = dialled(&endpoint.url, deadline).await.map_err(|error| failed(&error))?;
    match &endpoint.tls {
        None => linked(TokioIo::new(stream)).await,
        Some(config) => {
            let name = ServerName::try_from(endpoint.url.host().to_owned());
            let name = name.map_err(|error| failed(&error))?;
            let connector = TlsConnector::from(Arc::clone(config));
            let stream = connector.connect(name, stream).await;
            linked(TokioIo::new(stream.map_err(|error| failed(&error))?)).await
        }
    }
}

async fn linked<I>(io: I) -> Result<Link, Failure>
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let made = http1::Builder::new().max_buf_size(BUFFER_SIZE).handshake(io).await;
    let (sender, connection) = made.map_err(|error| Failure::new(Kind::Unreachable, error))?;
    let task = tokio::spawn(async move { drop(connection.await) });
    let since = Instant::now();
    Ok(Link { sender, task, since, used: since })
}

/// Connects to the first address that takes it; each has its share of the time that is left.
async fn dialled(url: &HookUrl, deadline: Instant) -> io::Result<TcpStream> {
    let (host, port) = (url.host(), url.port());
    let addresses: Vec<SocketAddr> = match host.parse::<IpAddr>() {
        Ok(address) => vec![SocketAddr::from((address, port))],
        Err(_) => {
            let found = tokio::net::lookup_host((host, port)).await?;
            found.take(HOOK_ADDRESSES_MAX).collect()
        }
    };
    let mut last = io::Error::new(io::ErrorKind::NotFound, "its name has no address");
    for (at, address) in addresses.iter().enumerate() {
        let left = u32::try_from(addresses.len() - at).unwrap_or(1);
        let now = Instant::now();
        let until = now + deadline.saturating_duration_since(now) / left;
        match timeout_at(until, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Ok(Err(error)) => last = error,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(last)
}
