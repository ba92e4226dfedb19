//! Asking a server by TLS: its certificate is one that this machine's authorities, or those of a
//! file, have signed for the name by which it is asked.

use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::Failure;

/// Where Debian keeps the authorities that it trusts.
pub const USUAL_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// The connection, over which the server has yet to show who it is.
///
/// # Errors
///
/// The file can't be read, or the host has no name that a certificate could be for.
pub fn connected(
    stream: TcpStream,
    host: &str,
    authorities: &Path,
) -> Result<StreamOwned<ClientConnection, TcpStream>, Failure> {
    let what = || format!("read {}", authorities.display());
    let failed = |error: &dyn std::fmt::Display| {
        Failure::new(what(), error).remedy("--ca FILE names the certificate to trust")
    };
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_file_iter(authorities).map_err(|error| failed(&error))? {
        // One of a kind that rustls does not know vouches for nobody.
        let _ = roots.add(root.map_err(|error| failed(&error))?);
    }
    if roots.is_empty() {
        return Err(failed(&"no certificate is in it"));
    }
    let failed = |error: &dyn std::fmt::Display| Failure::new(format!("ask https://{host}"), error);
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(&error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let name = ServerName::try_from(bare.to_owned()).map_err(|error| failed(&error))?;
    let connection =
        ClientConnection::new(Arc::new(config), name).map_err(|error| failed(&error))?;
    Ok(StreamOwned::new(connection, stream))
}
