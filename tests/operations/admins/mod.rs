//! Administration over the network, as a browser and a program meet it: signing in, staying in,
//! being kept out.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};

use super::running::{PATIENCE, Place, Running, serve};

mod signing_in;
mod kept_out;
mod keys;
mod tls;

/// A password that nobody guesses soon.
const PASSWORD: &str = "correct zebra lamp quilt";

/// An answer of the API.
struct Answer {
    status: u16,
    /// As it came.
    head: String,
    body: Value,
}

impl Answer {
    /// The value of a header line.
    fn line(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(of, _)| of.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The client with the session that this answer began.
    #[track_caller]
    fn session(&self, client: &Client) -> Client {
        assert!(matches!(self.status, 200 | 201), "{}", self.says());
        let cookie = self.line("set-cookie").and_then(|line| line.split(';').next());
        let client = client.with("Cookie", Some(cookie.expect("a cookie")));
        client.with("X-CSRF-Token", self.body["csrf_token"].as_str())
    }

    /// Status and detail, for comparing.
    fn says(&self) -> String {
        format!("{} {}", self.status, self.body["detail"].as_str().unwrap_or_default())
    }
}

/// Somebody at the admin port, from an address of this machine.
struct Client {
    admin: SocketAddr,
    from: Ipv4Addr,
    /// Header lines that each request has.
    lines: Vec<(&'static str, String)>,
}

impl Client {
    fn new(server: &Running) -> Self {
        Self::from(server.admin, 1)
    }

    /// From 127.0.0.`last`.
    fn from(admin: SocketAddr, last: u8) -> Self {
        Self { admin, from: Ipv4Addr::new(127, 0, 0, last), lines: Vec::new() }
    }

    /// The same with another value of a header line; none leaves it out.
    fn with(&self, name: &'static str, value: Option<&str>) -> Self {
        let others = self.lines.iter().filter(|(other, _)| *other != name).cloned();
        let line = value.map(|value| (name, value.to_owned()));
        Self { lines: others.chain(line).collect(), ..*self }
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Answer {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((self.from, 0)).into()).unwrap();
        socket.connect(&self.admin.into()).unwrap();
        let mut stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut request = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !self.lines.iter().any(|(name, _)| *name == "Host") {
            request += &format!("Host: {}\r\n", self.admin);
        }
        for (name, value) in &self.lines {
            request += &format!("{name}: {value}\r\n");
        }
        let body = if body.is_null() { String::new() } else { body.to_string() };
        if !body.is_empty() {
            request += "Content-Type: application/json\r\n";
        }
        write!(stream, "{request}Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let body = serde_json::from_str(body).unwrap_or_default();
        Answer { status, head: head.to_owned(), body }
    }

    fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &Value::Null)
    }

    fn post(&self, path: &str, body: Value) -> Answer {
        self.ask("POST", path, &body)
    }

    /// Tries to sign in.
    fn login(&self, user: &str, password: &str, code: Option<&str>) -> Answer {
        let mut login = json!({ "user": user, "password": password });
        if let Some(code) = code {
            login["code"] = code.into();
        }
        self.post("/api/v1/login", login)
    }

    /// Signs in with a password alone.
    #[track_caller]
    fn signed_in(&self, user: &str) -> Self {
        self.login(user, PASSWORD, None).session(self)
    }
}

/// A server on whose socket Olga, an owner, was made.
fn with_olga(place: &Place) -> (Running, PathBuf) {
    let config = place.config("");
    let server = Running::start(&mut serve(&config));
    add(place, &config, "olga", "owner");
    (server, config)
}

/// Makes an administrator with the usual password.
fn add(place: &Place, config: &Path, id: &str, role: &str) {
    let file = place.path("password");
    std::fs::write(&file, format!("{PASSWORD}\n")).unwrap();
    let file = file.to_str().unwrap();
    let said = super::running::done(
        config,
        &["admin", "add", id, "--role", role, "--password-file", file],
    );
    assert_eq!(said, format!("{id}\n"));
}

/// What the device shows that holds this secret, so many steps from now.
fn code(secret: &str, steps: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let secret = totp_rs::Secret::try_from_base32(secret).unwrap();
    let totp = totp_rs::Builder::new().with_secret(secret).build().unwrap();
    totp.generate(now.checked_add_signed(30 * steps).unwrap()).to_string()
}
