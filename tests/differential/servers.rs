//! The servers side by side: nginx from its template, and the server under test; each a child that
//! ends with its value.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const READY: Duration = Duration::from_secs(30);

/// A server that answers under `/vod/` until this value is dropped.
pub struct Server {
    pub address: SocketAddr,
    child: Child,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address that was free a moment ago.
fn free_address() -> SocketAddr {
    let probe = TcpListener::bind("127.0.0.1:0").expect("a free port");
    probe.local_addr().expect("a bound socket has an address")
}

/// Starts nginx over `root`, with its files in `prefix`.
pub fn nginx(prefix: &Path, root: &Path, extra: &str) -> Server {
    std::fs::create_dir_all(prefix).expect("a scratch folder");
    let address = free_address();
    let template = include_str!("nginx.conf.in");
    let config = template
        .replace("@PREFIX@", &prefix.to_string_lossy())
        .replace("@ROOT@", &root.to_string_lossy())
        .replace("@PORT@", &address.port().to_string())
        .replace("@EXTRA@", extra);
    let path = prefix.join("nginx.conf");
    std::fs::write(&path, config).expect("the config");
    let mut command = Command::new("nginx");
    command.arg("-p").arg(prefix).arg("-c").arg(&path);
    started(command, address, |address| TcpStream::connect(address).is_ok())
}

/// Starts the server under test over these libraries.
pub fn shardcast(libraries: &[&Path], state: &Path) -> Server {
    let (address, admin) = (free_address(), free_address());
    let mut command = Command::new(env!("CARGO_BIN_EXE_shardcast"));
    command.arg("serve").args(libraries).arg("--state").arg(state);
    command.args(["--listen", &address.to_string(), "--admin", &admin.to_string()]);
    command.args(["--log-format", "text"]);
    started(command, address, |_| is_ready(admin))
}

/// Whether the admin port answers `/readyz` with 200.
fn is_ready(admin: SocketAddr) -> bool {
    let answer = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(admin)?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    };
    answer().is_ok_and(|text| text.starts_with("HTTP/1.1 200"))
}

fn started(
    mut command: Command,
    address: SocketAddr,
    ready: impl Fn(SocketAddr) -> bool,
) -> Server {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let child = command.spawn().unwrap_or_else(|error| {
        panic!("{command:?} does not start: {error} (scripts/install test installs it)")
    });
    let mut server = Server { address, child };
    let deadline = Instant::now() + READY;
    // A child has no other way to tell us: its port is asked until it answers, or it ends.
    while !ready(address) {
        if let Some(status) = server.child.try_wait().expect("a child can be asked") {
            panic!("{command:?} ended before it answered: {status}");
        }
        assert!(Instant::now() < deadline, "{command:?} did not answer within {READY:?}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
    server
}
