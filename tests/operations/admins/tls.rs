//! The admin port by TLS: the certificate, its renewal, and what is only there where nobody reads
//! along.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::super::running::{Place, Running, done, program, run, serve, until};
use super::{PASSWORD, add};

/// Writes a certificate for `localhost` and its key.
fn renew(place: &Place) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(place.path("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(place.path("key.pem"), made.signing_key.serialize_pem()).unwrap();
}

/// What is answered by TLS to whoever trusts the certificate of this file.
fn exchange(server: &Running, cert: &Path, request: &str) -> std::io::Result<String> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(cert).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = StreamOwned::new(connection, TcpStream::connect(server.admin)?);
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

const ALIVE: &str = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

#[test]
fn the_port_is_encrypted_and_its_certificate_renewed_while_it_runs() {
    let place = Place::new();
    renew(&place);
    let config = place.config("[admin]\ntls = { cert = \"cert.pem\", key = \"key.pem\" }\n");
    let server = Running::start(&mut serve(&config));
    let link = server.set_up.clone().expect("a link");
    assert!(link.starts_with(&format!("https://{}/admin/setup#token=", server.admin)), "{link}");
    let (cert, old) = (place.path("cert.pem"), place.path("old.pem"));
    assert!(exchange(&server, &cert, ALIVE).unwrap().starts_with("HTTP/1.1 200 "));
    // Who speaks without it is not answered.
    let mut plain = TcpStream::connect(server.admin).unwrap();
    plain.write_all(ALIVE.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP/"), "{answer:?}");
    add(&place, &config, "olga", "owner");
    let body = serde_json::json!({ "user": "olga", "password": PASSWORD }).to_string();
    let login = format!(
        "POST /api/v1/login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: \
         application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = exchange(&server, &cert, &login).unwrap();
    let cookie = answer.lines().find(|line| line.starts_with("set-cookie: ")).unwrap();
    assert!(cookie.starts_with("set-cookie: __Host-shardcast="), "{cookie}");
    assert!(cookie.ends_with("; HttpOnly; SameSite=Strict; Path=/; Secure"), "{cookie}");
    // A verb trusts who it is told to trust, and nobody else.
    let key = done(&config, &["admin", "key", "add", "me", "--scope", "read"]);
    let url = format!("https://localhost:{}", server.admin.port());
    let asked = |ca: &Path| {
        let mut verb = program();
        verb.args(["plan", "ls", "--server", &url, "--ca"]).arg(ca);
        run(verb.env("SHARDCAST_API_KEY", key.trim_end()))
    };
    let said = asked(&cert);
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    std::fs::rename(&cert, &old).unwrap();
    renew(&place);
    assert!(asked(&cert).err.contains("invalid peer certificate"), "{}", asked(&cert).err);
    server.signal("HUP");
    until("the new one is shown", || exchange(&server, &cert, ALIVE).is_ok());
    assert!(exchange(&server, &old, ALIVE).is_err());
    // What is wrong is not taken.
    std::fs::write(place.path("key.pem"), "none").unwrap();
    server.signal("HUP");
    server.says("admin.tls is wrong, the old certificate stays");
    assert!(exchange(&server, &cert, ALIVE).unwrap().starts_with("HTTP/1.1 200 "));
}

#[test]
fn a_certificate_that_cannot_be_used_ends_the_start_with_its_place() {
    let place = Place::new();
    let config = place.config("[admin]\ntls = { cert = \"cert.pem\", key = \"key.pem\" }\n");
    let said = run(&mut serve(&config));
    let last = said.err.lines().last().unwrap();
    let line = std::fs::read_to_string(&config).unwrap().lines().count();
    let place_of = format!("shardcast: {}:{line}: admin.tls: cert ", config.display());
    assert!(said.code == 1 && last.starts_with(&place_of), "{last}");
    for (tls, why) in [
        ("\"cert.pem\"", "not a table"),
        ("{ cert = \"cert.pem\" }", "has no key"),
        ("{ cert = \"a\", key = \"b\", ca = \"c\" }", "\"ca\" is not known here"),
        ("{ cert = \"\", key = \"b\" }", "is empty"),
    ] {
        let config = place.config(&format!("[admin]\ntls = {tls}\n"));
        let said = run(program().arg("check-config").arg(&config));
        assert!(said.code == 1 && said.err.contains(why), "{tls}: {}", said.err);
        assert!(said.err.contains(&format!("shardcast.toml:{line}: admin.tls: ")), "{}", said.err);
    }
}
