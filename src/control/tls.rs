//! TLS of the admin port: a certificate and its key from files, read at the start and on SIGHUP.
//!
//! TLS 1.2 and 1.3 as rustls has them. A file that is wrong when it is read again changes nothing:
//! the old certificate stays. The handshake is each connection's own, and has the time of a head.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::actor::Peer;
use super::connections::Listener;
use crate::config::AdminTls;

/// What the port shows, until it is read again.
#[derive(Debug)]
pub struct Certificate(Mutex<Arc<ServerConfig>>);

impl Certificate {
    /// Reads both files.
    ///
    /// # Errors
    ///
    /// Which file, and what is wrong with it.
    pub fn read(files: &AdminTls) -> Result<Self, String> {
        Ok(Self(Mutex::new(config(files)?)))
    }

    /// Reads them again; connections that come from now on are shown what is there.
    ///
    /// # Errors
    ///
    /// See `read`; the old ones stay.
    pub fn read_again(&self, files: &AdminTls) -> Result<(), String> {
        let new = config(files)?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }

    fn now(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn config(files: &AdminTls) -> Result<Arc<ServerConfig>, String> {
    let wrong = |path: &Path, key: &str, why: &dyn std::fmt::Display| {
        format!("{key} {}: {why}", path.display())
    };
    let cert = |why: &dyn std::fmt::Display| wrong(&files.cert, "cert", why);
    let key = |why: &dyn std::fmt::Display| wrong(&files.key, "key", why);
    let chain = CertificateDer::pem_file_iter(&files.cert).map_err(|error| cert(&error))?;
    let chain = chain.collect::<Result<Vec<_>, _>>().map_err(|error| cert(&error))?;
    if chain.is_empty() {
        return Err(cert(&"no certificate is in it"));
    }
    let secret = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| key(&error))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| key(&error))?
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .map_err(|error| key(&error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// The admin port with TLS.
pub struct TlsListener {
    /// Where it listens.
    pub listener: TcpListener,
    /// What it shows.
    pub certificate: Arc<Certificate>,
}

impl Listener for TlsListener {
    type Accepted = (TcpStream, Arc<ServerConfig>);
    type Stream = TlsStream<TcpStream>;

    async fn next(&self) -> io::Result<(Self::Accepted, Peer)> {
        let (stream, peer) = self.listener.next().await?;
        Ok(((stream, self.certificate.now()), peer))
    }

    async fn opened((stream, config): Self::Accepted) -> io::Result<Self::Stream> {
        TlsAcceptor::from(config).accept(stream).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_certificate_names_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (cert, secret) = (made.cert.pem(), made.signing_key.serialize_pem());
        let foreign = other.signing_key.serialize_pem();
        for (cert, secret, expected) in [
            (Some(&*cert), Some(&*secret), ""),
            (None, Some(&*secret), "cert "),
            (Some(""), Some(&*secret), "no certificate is in it"),
            (Some(&cert[..200]), Some(&*secret), "cert "),
            (Some(&*cert), None, "key "),
            (Some(&*cert), Some(""), "key "),
            (Some(&*cert), Some(&*cert), "key "),
            (Some(&*cert), Some(&*foreign), "key "),
        ] {
            let write = |name: &str, text: Option<&str>| {
                let path = folder.path().join(name);
                let _ = std::fs::remove_file(&path);
                if let Some(text) = text {
                    std::fs::write(&path, text).unwrap();
                }
                path
            };
            let files = AdminTls { cert: write("cert.pem", cert), key: write("key.pem", secret) };
            let why = Certificate::read(&files).map(drop).err().unwrap_or_default();
            assert!(why.contains(expected) && why.is_empty() == expected.is_empty(), "{why}");
            let (named, path) =
                if expected == "key " { ("key ", &files.key) } else { ("cert ", &files.cert) };
            let names = why.starts_with(named) && why.contains(&path.display().to_string());
            assert!(why.is_empty() || names, "{why}");
        }
    }
}
