//! What somebody named by its address: an http or https URL in, its bytes out, piece by piece.
//!
//! Whoever may name an address must not make the server call what only the server can reach: its
//! own ports, other machines of its network, a cloud's metadata. So the name is looked up, each of
//! its addresses is looked at (`public`), and it is the address that was looked at that is called;
//! the same again for every redirect. Internal networks may be allowed (`fetch.allow`).
//!
//! Nothing is kept between two calls, no cookie and no login is sent, and everything has a limit:
//! one deadline from the name to the last byte, a size, three redirects. Bodies come as they are:
//! no encoding is asked for, and what is encoded all the same is refused.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HOST, HeaderName,
    IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, LOCATION, USER_AGENT,
};
use hyper::{HeaderMap, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use ipnet::IpNet;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use super::hook::client;
use crate::config::{
    FETCH_ADDRESS_SIZE_MAX, FETCH_ADDRESSES_MAX, FETCH_BUFFER_SIZE, FETCH_REDIRECTS_MAX,
    FETCH_VALIDATOR_SIZE_MAX,
};
use crate::ops::version;

mod public;

pub use public::is_public;

/// What is fetched, and how much of it.
#[derive(Clone, Debug)]
pub struct Wanted<'w> {
    /// Where it is.
    pub address: &'w str,
    /// What it was when it was last fetched from there; it need not come again.
    pub known: Validators,
    /// What kinds are taken, as `Accept` has them.
    pub accept: &'static str,
    /// The longest body, in bytes.
    pub size_max: u64,
    /// From the lookup of the name to the last byte.
    pub patience: Duration,
}

/// What an answer said of its version (RFC 9110, 8.8): asked with, the same is not sent again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validators {
    /// Its entity tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// When it was changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified: Option<String>,
}

/// What came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// It is what it was.
    Unchanged,
    /// All of it went to whoever takes it.
    Whole {
        /// Its media type, as it was said, in small letters and without parameters.
        media_type: String,
        /// To ask with the next time.
        validators: Validators,
    },
}

/// Why it was not fetched.
#[derive(Debug)]
pub enum Failure {
    /// It is no address that can be fetched.
    Address(&'static str),
    /// It is not to be called: an internal address.
    Internal(IpAddr),
    /// There is no way to it.
    Unreachable(String),
    /// It took too long.
    TimedOut,
    /// It answered with this status.
    Status(u16),
    /// It leads on and on.
    Redirects,
    /// It is too large.
    TooLarge,
    /// It is encoded, though nobody asked for that.
    Encoded,
    /// Whoever takes it could not.
    Taken(io::Error),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(why) => f.write_str(why),
            Self::Internal(address) => {
                write!(f, "{address} is an internal address (fetch.allow has those that may be)")
            }
            Self::Unreachable(why) => write!(f, "there is no way to it: {why}"),
            Self::TimedOut => f.write_str("it took too long"),
            Self::Status(status) => write!(f, "it answers {status}"),
            Self::Redirects => write!(f, "it leads on more than {FETCH_REDIRECTS_MAX} times"),
            Self::TooLarge => f.write_str("it is too large"),
            Self::Encoded => f.write_str("it is encoded, which nobody asked for"),
            Self::Taken(error) => write!(f, "it can't be taken: {error}"),
        }
    }
}

/// Takes a body piece by piece.
pub type Take<'t> = &'t mut dyn FnMut(&[u8]) -> io::Result<()>;

/// Fetches something; its body goes to `take`. Internal addresses of these networks are called.
///
/// # Errors
///
/// `Failure`. What was taken until then is not all of it.
pub async fn fetch(
    wanted: &Wanted<'_>,
    allow: &[IpNet],
    take: Take<'_>,
) -> Result<Fetched, Failure> {
    let deadline = Instant::now() + wanted.patience;
    let whole = followed(wanted, allow, deadline, take);
    timeout_at(deadline, whole).await.unwrap_or(Err(Failure::TimedOut))
}

/// The same, for threads that may wait.
///
/// # Errors
///
/// See `fetch`.
pub fn fetch_now(wanted: &Wanted<'_>, allow: &[IpNet], take: Take<'_>) -> Result<Fetched, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(1)
        .build()
        .map_err(|error| Failure::Unreachable(error.to_string()))?;
    let fetched = runtime.block_on(fetch(wanted, allow, take));
    // A lookup that hangs is not waited for.
    runtime.shutdown_background();
    fetched
}

async fn followed(
    wanted: &Wanted<'_>,
    allow: &[IpNet],
    deadline: Instant,
    take: Take<'_>,
) -> Result<Fetched, Failure> {
    let mut place = Place::of(wanted.address)?;
    for _ in 0..=FETCH_REDIRECTS_MAX {
        let (response, _link) = answered(&place, wanted, allow, deadline).await?;
        match response.status() {
            StatusCode::OK => return whole(response, wanted, take).await,
            StatusCode::NOT_MODIFIED if wanted.known != Validators::default() => {
                return Ok(Fetched::Unchanged);
            }
            status if is_redirect(status) => place = place.next(response.headers())?,
            status => return Err(Failure::Status(status.as_u16())),
        }
    }
    Err(Failure::Redirects)
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// The body, to whoever takes it.
async fn whole(
    response: Response<Incoming>,
    wanted: &Wanted<'_>,
    take: Take<'_>,
) -> Result<Fetched, Failure> {
    let headers = response.headers();
    if said(headers, &CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        return Err(Failure::Encoded);
    }
    let media_type = said(headers, &CONTENT_TYPE).unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let kept = |name| {
        let value = said(headers, name).filter(|value| value.len() <= FETCH_VALIDATOR_SIZE_MAX);
        value.map(str::to_owned)
    };
    let validators = Validators { etag: kept(&ETAG), modified: kept(&LAST_MODIFIED) };
    let mut body = response.into_body();
    if body.size_hint().lower() > wanted.size_max {
        return Err(Failure::TooLarge);
    }
    let mut size = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Failure::Unreachable(error.to_string()))?;
        let Some(piece) = frame.data_ref() else { continue };
        size += piece.len() as u64;
        if size > wanted.size_max {
            return Err(Failure::TooLarge);
        }
        take(piece).map_err(Failure::Taken)?;
    }
    Ok(Fetched::Whole { media_type, validators })
}

/// A field of an answer, if it is text.
fn said<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// The head of an answer, and what must live as long as its body is read.
async fn answered(
    place: &Place,
    wanted: &Wanted<'_>,
    allow: &[IpNet],
    deadline: Instant,
) -> Result<(Response<Incoming>, Link), Failure> {
    let unreachable = |error: &dyn fmt::Display| Failure::Unreachable(error.to_string());
    let stream = dialled(place, allow, deadline).await?;
    let (mut sender, link) = if place.is_tls() {
        let name = ServerName::try_from(place.host().to_owned());
        let name = name.map_err(|_| Failure::Address("its name is none"))?;
        let stream = TlsConnector::from(tls()?).connect(name, stream).await;
        linked(TokioIo::new(stream.map_err(|error| unreachable(&error))?)).await
    } else {
        linked(TokioIo::new(stream)).await
    }
    .map_err(|error| unreachable(&error))?;
    let mut request = Request::builder()
        .uri(place.target())
        .header(HOST, place.authority())
        .header(USER_AGENT, format!("shardcast/{}", version::VERSION))
        .header(ACCEPT, wanted.accept)
        .header(ACCEPT_ENCODING, "identity");
    for (name, value) in
        [(IF_NONE_MATCH, &wanted.known.etag), (IF_MODIFIED_SINCE, &wanted.known.modified)]
    {
        if let Some(value) = value {
            request = request.header(name, value);
        }
    }
    let request = request.body(Empty::new()).map_err(|error| unreachable(&error))?;
    let response = sender.send_request(request).await.map_err(|error| unreachable(&error))?;
    Ok((response, link))
}

type Sender = http1::SendRequest<Empty<Bytes>>;

/// A connection, which ends with this.
struct Link(tokio::task::JoinHandle<()>);

impl Drop for Link {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn linked<I>(io: I) -> hyper::Result<(Sender, Link)>
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let made = http1::Builder::new().max_buf_size(FETCH_BUFFER_SIZE).handshake(io).await;
    let (sender, connection) = made?;
    Ok((sender, Link(tokio::spawn(async move { drop(connection.await) }))))
}

/// Whom this machine trusts to name a server; read once.
fn tls() -> Result<Arc<ClientConfig>, Failure> {
    static TLS: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(config) = TLS.get() {
        return Ok(Arc::clone(config));
    }
    let config = client::tls(None, &[]).map_err(Failure::Unreachable)?;
    Ok(Arc::clone(TLS.get_or_init(|| Arc::new(config))))
}

/// Connects to the first address that may be called and takes it; each has its share of the time
/// that is left. What was looked at is what is called: the name is not looked up again.
async fn dialled(place: &Place, allow: &[IpNet], deadline: Instant) -> Result<TcpStream, Failure> {
    let (host, port) = (place.host(), place.port());
    let found: Vec<SocketAddr> = match host.parse::<IpAddr>() {
        Ok(address) => vec![SocketAddr::from((address, port))],
        Err(_) => tokio::net::lookup_host((host, port))
            .await
            .map_err(|error| Failure::Unreachable(error.to_string()))?
            .collect(),
    };
    let may = |address: &&SocketAddr| may_call(address.ip(), allow);
    let addresses: Vec<_> = found.iter().filter(may).take(FETCH_ADDRESSES_MAX).collect();
    let mut last = match found.first() {
        Some(address) if addresses.is_empty() => return Err(Failure::Internal(address.ip())),
        _ => "its name has no address".to_owned(),
    };
    for (at, address) in addresses.iter().enumerate() {
        let left = u32::try_from(addresses.len() - at).unwrap_or(1);
        let now = Instant::now();
        let until = now + deadline.saturating_duration_since(now) / left;
        match timeout_at(until, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error.to_string(),
            Err(_) => last = "it does not answer".to_owned(),
        }
    }
    Err(Failure::Unreachable(last))
}

fn may_call(address: IpAddr, allow: &[IpNet]) -> bool {
    let plain = address.to_canonical();
    is_public(address) || allow.iter().any(|network| network.contains(&plain))
}

/// An address, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place(Uri);

impl Place {
    fn of(address: &str) -> Result<Self, Failure> {
        if address.len() > FETCH_ADDRESS_SIZE_MAX {
            return Err(Failure::Address("its address is too long"));
        }
        let without_fragment = address.split('#').next().unwrap_or_default();
        let uri: Uri = without_fragment.parse().map_err(|_| Failure::Address("it is no URL"))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(Failure::Address("it is not of http or https"));
        }
        let authority = uri.authority().ok_or(Failure::Address("it is no URL"))?;
        if authority.as_str().contains('@') {
            return Err(Failure::Address("it has a login in it, which is not sent"));
        }
        let port = &authority.as_str()[authority.host().len()..];
        let is_port = port.is_empty() || authority.port_u16().is_some_and(|port| port > 0);
        if authority.host().is_empty() || !is_port {
            return Err(Failure::Address("it is no URL that can be called"));
        }
        Ok(Self(uri))
    }

    /// Where this one leads (RFC 3986, 5.2; of relative references those that servers send).
    fn next(&self, headers: &HeaderMap) -> Result<Self, Failure> {
        let to = said(headers, &LOCATION).ok_or(Failure::Address("it leads nowhere"))?;
        let scheme = if self.is_tls() { "https" } else { "http" };
        let origin = || format!("{scheme}://{}", self.authority());
        let path = self.0.path();
        let to = if to.contains("://") {
            to.to_owned()
        } else if let Some(rest) = to.strip_prefix("//") {
            format!("{scheme}://{rest}")
        } else if to.starts_with('/') {
            origin() + to
        } else if to.starts_with('?') {
            origin() + path + to
        } else {
            let folder = path.rfind('/').map_or("/", |at| &path[..=at]);
            origin() + folder + to
        };
        Self::of(&to)
    }

    fn is_tls(&self) -> bool {
        self.0.scheme_str() == Some("https")
    }

    /// Without the brackets of an IPv6 address.
    fn host(&self) -> &str {
        self.0.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']')
    }

    fn port(&self) -> u16 {
        self.0.port_u16().unwrap_or(if self.is_tls() { 443 } else { 80 })
    }

    fn authority(&self) -> &str {
        self.0.authority().map_or("", |authority| authority.as_str())
    }

    fn target(&self) -> &str {
        self.0.path_and_query().map_or("/", |target| target.as_str())
    }
}

#[cfg(test)]
mod tests;
