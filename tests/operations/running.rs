//! A server that a test started: its addresses, its log, its end.

use std::fmt::Display;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Nothing that a test waits for takes longer; a failure takes this long.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until it is so.
#[track_caller]
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    until_found(|| is_so().then_some(()).ok_or(what));
}

/// Tries until it comes to something; what it says instead is told if that takes too long.
#[track_caller]
pub fn until_found<T, E: Display>(mut attempt: impl FnMut() -> Result<T, E>) -> T {
    let began = Instant::now();
    loop {
        match attempt() {
            Ok(found) => return found,
            Err(instead) => assert!(began.elapsed() < PATIENCE, "{instead}"),
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// The program under test.
pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shardcast"));
    // Whoever runs the tests may have settings of his own.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SHARDCAST_") && name != "SHARDCAST_RING_FEATURES" {
            command.env_remove(name);
        }
    }
    command.env_remove("NOTIFY_SOCKET").env_remove("LISTEN_FDS").stdin(Stdio::null());
    command
}

/// What a verb said, and its exit code.
pub struct Said {
    pub out: String,
    pub err: String,
    pub code: i32,
}

/// Runs a verb to its end.
pub fn run(command: &mut Command) -> Said {
    let output = command.output().expect("the program is built");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("we print UTF-8");
    Said {
        out: text(output.stdout),
        err: text(output.stderr),
        code: output.status.code().unwrap_or(-1),
    }
}

/// A verb for the server of this config.
pub fn verb(config: &Path, arguments: &[&str]) -> Said {
    run(program().args(arguments).arg("--config").arg(config))
}

/// The same of one that must work; what it says.
#[track_caller]
pub fn done(config: &Path, arguments: &[&str]) -> String {
    let said = verb(config, arguments);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{arguments:?}");
    said.out
}

/// A folder for one test, with a library of one playlist and one segment: `/vod/library/…`.
pub struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a scratch folder");
        let library = dir.path().join("library");
        std::fs::create_dir(&library).unwrap();
        std::fs::write(library.join("a.m3u8"), "#EXTM3U\n").unwrap();
        std::fs::write(library.join("a.ts"), vec![7; 4 << 20]).unwrap();
        Self { dir }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// One request to the socket of the server that runs here; the whole response.
    pub fn socket_get(&self, path: &str) -> String {
        self.socket_ask("GET", path, "")
    }

    /// The same with any method, and a body of JSON.
    pub fn socket_ask(&self, method: &str, path: &str, body: &str) -> String {
        let mut stream = UnixStream::connect(self.path("state/admin.sock")).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let size = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: \
             application/json\r\nContent-Length: {size}\r\n\r\n{body}"
        )
        .unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        response
    }

    /// A config with one shard on free ports, and `more` at its end.
    pub fn config(&self, more: &str) -> PathBuf {
        let path = self.path("shardcast.toml");
        let text = format!(
            "[server]\nlisten = [\"127.0.0.1:0\"]\nadmin = \"127.0.0.1:0\"\nshards = 1\n\
             state = \"state\"\naccess = \"open\"\n[[library]]\npath = \"library\"\n{more}"
        );
        std::fs::write(&path, text).unwrap();
        path
    }
}

/// A running server. Killed when it is dropped.
pub struct Running {
    child: Child,
    log: Receiver<serde_json::Value>,
    pub public: SocketAddr,
    /// Every public address, in the order of the config.
    pub publics: Vec<SocketAddr>,
    pub admin: SocketAddr,
    /// Nowhere, unless the config has a channel.
    pub ingest: SocketAddr,
    /// The link that makes the first administrator, if one was said.
    pub set_up: Option<String>,
}

impl Running {
    /// Starts it and waits until it is ready.
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().expect("the program is built");
        let stderr = BufReader::new(child.stderr.take().expect("piped"));
        let (sender, log) = channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let value = serde_json::from_str(&line)
                    .unwrap_or_else(|_| serde_json::json!({ "message": line }));
                if sender.send(value).is_err() {
                    break;
                }
            }
        });
        let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut running = Self {
            child,
            log,
            public: unknown,
            publics: Vec::new(),
            admin: unknown,
            ingest: unknown,
            set_up: None,
        };
        loop {
            let line = running.next_line();
            let address = |key: &str| line[key].as_str().and_then(|text| text.parse().ok());
            running.publics.extend(address("public"));
            running.public = address("public").unwrap_or(running.public);
            running.admin = address("admin").unwrap_or(running.admin);
            running.ingest = address("ingest").unwrap_or(running.ingest);
            if let Some(link) = line["link"].as_str() {
                running.set_up = Some(link.to_owned());
            }
            if line["message"] == "ready" {
                return running;
            }
        }
    }

    fn next_line(&self) -> serde_json::Value {
        self.log.recv_timeout(PATIENCE).expect("the server says something, or goes on running")
    }

    /// The next log line with this message.
    pub fn says(&self, message: &str) -> serde_json::Value {
        loop {
            let line = self.next_line();
            if line["message"].as_str().is_some_and(|text| text.contains(message)) {
                return line;
            }
        }
    }

    /// Every line from here to its end, which comes by itself.
    pub fn all_it_says(&self) -> Vec<serde_json::Value> {
        std::iter::from_fn(|| self.log.recv_timeout(PATIENCE).ok()).collect()
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal by name: "TERM".
    pub fn signal(&self, name: &str) {
        let mut kill = Command::new("kill");
        kill.arg(format!("-{name}")).arg(self.id().to_string());
        assert!(kill.status().expect("there is kill").success());
    }

    /// Waits for its end.
    pub fn ended(mut self) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("it is our child") {
                return status;
            }
            assert!(began.elapsed() < PATIENCE, "the server does not end");
            // Its log ends with it, so this waits for exactly that, or for more lines.
            let _ = self.log.recv_timeout(Duration::from_millis(100));
        }
    }

    /// One request to the admin port; the whole response.
    pub fn admin_get(&self, path: &str) -> String {
        get(self.admin, path)
    }

    /// One request to the public port; the whole response.
    pub fn public_get(&self, path: &str) -> String {
        get(self.public, path)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `GET`, on a connection of its own.
pub fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("somebody listens");
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: tv\r\nConnection: close\r\n\r\n").unwrap();
    let mut response = Vec::new();
    stream.read_to_end(&mut response).unwrap();
    String::from_utf8_lossy(&response).into_owned()
}

/// `serve` with a config.
pub fn serve(config: &Path) -> Command {
    let mut command = program();
    command.arg("serve").arg("--config").arg(config);
    command
}
