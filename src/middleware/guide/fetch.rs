//! Fetching a guide: from an address to a file, unless it is what we have.
//!
//! Every address that a name has is looked at (`addresses`), and the connection goes to one of
//! those; so does each redirect, of which a few are followed. What comes is written into a file as
//! it comes, up to a limit of bytes, of time, and of silence.

use std::fs::File;
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{
    ACCEPT, CONTENT_LENGTH, ETAG, HOST, HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH,
    LAST_MODIFIED, LOCATION, USER_AGENT,
};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use ipnet::IpNet;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::addresses::may_call;
use super::unpack::Progress;
use crate::config::guide::{
    Address, GUIDE_DOWNLOAD_MS, GUIDE_PATIENCE_MS, GUIDE_REDIRECTS_MAX, GUIDE_WORD_SIZE_MAX,
};

/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 4;

/// Longest head of an answer, and what is read at once.
const BUFFER_SIZE: usize = 64 * 1024;

/// What is fetched.
pub struct Wanted<'w> {
    /// Where it is.
    pub address: &'w Address,
    /// What it was when it was fetched last.
    pub etag: Option<&'w str>,
    /// See `etag`.
    pub modified: Option<&'w str>,
    /// Where it is written to.
    pub to: &'w Path,
    /// Most bytes.
    pub size_max: u64,
    /// Networks inside that may be called.
    pub allowed: &'w [IpNet],
    /// How far it is.
    pub progress: &'w Progress,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// It is what we have.
    Unchanged,
    /// It is in the file.
    New {
        /// What the server calls this version.
        etag: Option<String>,
        /// When it was changed last.
        modified: Option<String>,
    },
}

/// Whom the machine trusts; made when it is needed first.
#[derive(Clone, Default)]
pub struct Trust(Option<Arc<ClientConfig>>);

impl Trust {
    fn config(&mut self) -> Result<Arc<ClientConfig>, String> {
        if let Some(config) = &self.0 {
            return Ok(Arc::clone(config));
        }
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let config = Arc::new(config.with_root_certificates(roots).with_no_client_auth());
        self.0 = Some(Arc::clone(&config));
        Ok(config)
    }
}

/// Fetches it.
///
/// # Errors
///
/// Why not, in a sentence; the file may hold a part of it.
pub async fn fetch(wanted: &Wanted<'_>, trust: &mut Trust) -> Result<Fetched, String> {
    let all = Duration::from_millis(GUIDE_DOWNLOAD_MS);
    let fetched = timeout(all, followed(wanted, trust)).await;
    fetched.unwrap_or_else(|_| Err(format!("it takes longer than {} s", GUIDE_DOWNLOAD_MS / 1000)))
}

async fn followed(wanted: &Wanted<'_>, trust: &mut Trust) -> Result<Fetched, String> {
    let mut address = wanted.address.clone();
    for _ in 0..=GUIDE_REDIRECTS_MAX {
        let response = asked(&address, wanted, trust).await?;
        let status = response.status();
        let said = |name: HeaderName| {
            let value = response.headers().get(name).and_then(|value| value.to_str().ok());
            value.filter(|value| value.len() <= GUIDE_WORD_SIZE_MAX).map(str::to_owned)
        };
        match status {
            StatusCode::OK => {
                let (etag, modified) = (said(ETAG), said(LAST_MODIFIED));
                written(response, wanted).await?;
                return Ok(Fetched::New { etag, modified });
            }
            StatusCode::NOT_MODIFIED if wanted.etag.or(wanted.modified).is_some() => {
                return Ok(Fetched::Unchanged);
            }
            StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT => {
                let to = said(LOCATION).ok_or("it is a redirect that leads nowhere")?;
                address = address.redirected(&to)?;
            }
            status => return Err(format!("it was answered with status {}", status.as_u16())),
        }
    }
    Err(format!("it was redirected more than {GUIDE_REDIRECTS_MAX} times"))
}

async fn asked(
    address: &Address,
    wanted: &Wanted<'_>,
    trust: &mut Trust,
) -> Result<Response<Incoming>, String> {
    let patience = Duration::from_millis(GUIDE_PATIENCE_MS);
    let stream = timeout(patience, connected(address, wanted.allowed)).await;
    let stream = stream.unwrap_or_else(|_| Err("nobody answers there".to_owned()))?;
    let mut request = Request::builder()
        .uri(address.target())
        .header(HOST, address.authority())
        .header(USER_AGENT, concat!("shardcast/", env!("CARGO_PKG_VERSION")))
        .header(ACCEPT, "application/xml, application/gzip, application/x-xz, */*");
    if let Some(etag) = wanted.etag {
        request = request.header(IF_NONE_MATCH, etag);
    }
    if let Some(modified) = wanted.modified {
        request = request.header(IF_MODIFIED_SINCE, modified);
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(|error| error.to_string())?;
    let answer = if address.is_tls() {
        let name = ServerName::try_from(address.host().to_owned());
        let name = name.map_err(|error| error.to_string())?;
        let connector = TlsConnector::from(trust.config()?);
        let secured = timeout(patience, connector.connect(name, stream)).await;
        let stream = secured.map_err(|_| "TLS takes too long")?.map_err(|of| of.to_string())?;
        timeout(patience, sent(TokioIo::new(stream), request)).await
    } else {
        timeout(patience, sent(TokioIo::new(stream), request)).await
    };
    answer.unwrap_or_else(|_| Err("it was not answered in time".to_owned()))
}

async fn sent<I>(io: I, request: Request<Empty<Bytes>>) -> Result<Response<Incoming>, String>
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let made = http1::Builder::new().max_buf_size(BUFFER_SIZE).handshake(io).await;
    let (mut sender, connection) = made.map_err(|error| error.to_string())?;
    // It ends with the response's body, which whoever reads it drops.
    tokio::spawn(async move { drop(connection.await) });
    sender.send_request(request).await.map_err(|error| error.to_string())
}

/// Connects to an address of the name that may be called. If any of them may not, none is: a name
/// that leads inside besides is no guide's.
async fn connected(address: &Address, allowed: &[IpNet]) -> Result<TcpStream, String> {
    let (host, port) = (address.host(), address.port());
    let found: Vec<SocketAddr> = match host.parse::<IpAddr>() {
        Ok(address) => vec![SocketAddr::from((address, port))],
        Err(_) => {
            let found = tokio::net::lookup_host((host, port)).await;
            found.map_err(|error| format!("{host}: {error}"))?.collect()
        }
    };
    if let Some(inside) = found.iter().find(|address| !may_call(address.ip(), allowed)) {
        let inside = inside.ip().to_canonical();
        return Err(format!(
            "{host} is the address {inside}, which is inside and not called (guide.networks allows \
             some)"
        ));
    }
    let mut last = format!("{host} has no address");
    for address in found.into_iter().take(ADDRESSES_MAX) {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = format!("{host}: {error}"),
        }
    }
    Err(last)
}

async fn written(response: Response<Incoming>, wanted: &Wanted<'_>) -> Result<(), String> {
    let too_large = || format!("it has more than {} bytes (guide.download_max)", wanted.size_max);
    let length = response.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let length = length.and_then(|length| length.parse::<u64>().ok());
    if length.is_some_and(|length| length > wanted.size_max) {
        return Err(too_large());
    }
    let Progress { read, size } = wanted.progress;
    size.store(length.unwrap_or_default(), Ordering::Relaxed);
    read.store(0, Ordering::Relaxed);
    let failed = |error: std::io::Error| format!("{}: {error}", wanted.to.display());
    let mut file = File::create(wanted.to).map_err(failed)?;
    let mut body = response.into_body();
    let patience = Duration::from_millis(GUIDE_PATIENCE_MS);
    let mut taken = 0_u64;
    loop {
        let frame = timeout(patience, body.frame()).await;
        let Some(frame) = frame.map_err(|_| "it stopped in the middle")? else { break };
        let frame = frame.map_err(|error| error.to_string())?;
        let Ok(data) = frame.into_data() else { continue };
        taken += data.len() as u64;
        if taken > wanted.size_max {
            return Err(too_large());
        }
        read.store(taken, Ordering::Relaxed);
        file.write_all(&data).map_err(failed)?;
    }
    Ok(())
}
