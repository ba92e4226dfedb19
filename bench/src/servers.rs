//! Starts the servers that are measured, waits until they answer, and ends them.
//!
//! A server is a command with placeholders, a built-in kind (nginx, h2o: from the templates beside
//! this crate), or something that runs already and is only addressed.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::sys::child;
use crate::sys::machine::Affinity;

const NGINX_TEMPLATE: &str = include_str!("../nginx.conf.in");
const H2O_TEMPLATE: &str = include_str!("../h2o.conf.in");

/// shardcast over a folder of packs, with nothing else that could cost time.
const SHARDCAST_COMMAND: &str = "@SHARDCAST@ serve --listen 127.0.0.1:@PORT@ --admin off \
     --state @PREFIX@/state --log-level warn @PACKS@";

/// A server that has not opened its port by then is given up.
const READY_TIMEOUT: Duration = Duration::from_secs(60);

/// A server that has not ended so long after SIGTERM is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// Between two looks at a server that starts or ends.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Which server, and how it comes to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// From the built-in template.
    Nginx,
    /// The same without a cache of open files, which is faster where few files are met again.
    NginxUncached,
    /// From the built-in template.
    H2o,
    /// A shell command with placeholders.
    Command(String),
    /// Runs already.
    Running(String),
}

/// A server under a name of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// As the tables call it.
    pub name: String,
    /// How it comes to run.
    pub kind: Kind,
}

impl Description {
    /// Reads `NAME`, `NAME=COMMAND…` or `NAME=http://host:port`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (name, what) = match text.split_once('=') {
            Some((name, what)) => (name, Some(what.trim())),
            None => (text, None),
        };
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if name.is_empty() || !name.chars().all(is_plain) {
            return Err(format!("'{text}': a server's name is letters, digits, - _ ."));
        }
        let kind = match (name, what) {
            ("nginx", None) => Kind::Nginx,
            ("nginx-uncached", None) => Kind::NginxUncached,
            ("h2o", None) => Kind::H2o,
            ("shardcast", None) => Kind::Command(SHARDCAST_COMMAND.to_owned()),
            (_, Some("nginx")) => Kind::Nginx,
            (_, Some("h2o")) => Kind::H2o,
            (_, Some(url)) if url.starts_with("http://") => {
                Kind::Running(url.trim_end_matches('/').to_owned())
            }
            (_, Some(command)) if !command.is_empty() => Kind::Command(command.to_owned()),
            _ => {
                return Err(format!(
                    "'{text}': write NAME=COMMAND or NAME=http://host:port (nginx, \
                     nginx-uncached, h2o and shardcast need no command)"
                ));
            }
        };
        Ok(Self { name: name.to_owned(), kind })
    }
}

/// What the placeholders of commands and templates stand for.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// `@ROOT@`: the folder with the files.
    pub root: Option<PathBuf>,
    /// `@PACKS@`: the folder with packs of the same files.
    pub packs: Option<PathBuf>,
    /// `@SHARDCAST@`: the shardcast binary.
    pub shardcast: Option<PathBuf>,
    /// Where `@PREFIX@` folders are made, one a server.
    pub scratch: PathBuf,
}

/// A server that answers.
#[derive(Debug)]
pub struct Server {
    /// As the tables call it.
    pub name: String,
    /// `http://host:port`, without a path.
    pub base: String,
    /// When its process was started; unknown for one that ran already.
    pub started: Option<Instant>,
    child: Option<Child>,
}

impl Server {
    /// Starts it on `cpu` (where given) and waits until its port is open.
    pub fn start(
        description: &Description,
        places: &Places,
        cpu: Option<usize>,
    ) -> Result<Self, String> {
        let name = &description.name;
        let command = match &description.kind {
            Kind::Running(base) => {
                return Ok(Self {
                    name: name.clone(),
                    base: base.clone(),
                    started: None,
                    child: None,
                });
            }
            Kind::Nginx | Kind::NginxUncached => {
                "exec nginx -e @PREFIX@/error.log -c @PREFIX@/nginx.conf".to_owned()
            }
            Kind::H2o => "exec h2o -c @PREFIX@/h2o.conf".to_owned(),
            // Through env, so that a command may begin with settings: NAME=value program …
            Kind::Command(text) => format!("exec env {text}"),
        };
        let prefix = fresh_prefix(&places.scratch, name)
            .map_err(|error| format!("{name}: cannot make a scratch folder: {error}"))?;
        let port = free_port().map_err(|error| format!("{name}: no free port: {error}"))?;
        let filled = |text: &str| filled(text, places, &prefix, port);
        let with_name = |why: String| format!("{name}: {why}");
        match description.kind {
            Kind::Nginx => {
                write(&prefix.join("nginx.conf"), &filled(NGINX_TEMPLATE).map_err(with_name)?)?
            }
            Kind::NginxUncached => {
                let cached = |line: &&str| line.trim_start().starts_with("open_file_cache");
                let lines = NGINX_TEMPLATE.lines().filter(|line| !cached(line));
                let template = lines.collect::<Vec<_>>().join("\n");
                write(&prefix.join("nginx.conf"), &filled(&template).map_err(with_name)?)?
            }
            Kind::H2o => {
                write(&prefix.join("h2o.conf"), &filled(H2O_TEMPLATE).map_err(with_name)?)?
            }
            Kind::Command(_) | Kind::Running(_) => {}
        }
        let command = filled(&command).map_err(with_name)?;
        let log = prefix.join("output.log");
        spawn(name, &command, &log, cpu, port)
    }

    /// Starts this program again with other arguments, as a server on `port`.
    pub fn start_self(
        name: &str,
        arguments: &[String],
        scratch: &Path,
        cpu: Option<usize>,
        port: u16,
    ) -> Result<Self, String> {
        let program = std::env::current_exe()
            .map_err(|error| format!("cannot find this program itself: {error}"))?;
        let command = format!("exec {} {}", quoted(&program), arguments.join(" "));
        let prefix = fresh_prefix(scratch, name)
            .map_err(|error| format!("{name}: cannot make a scratch folder: {error}"))?;
        spawn(name, &command, &prefix.join("output.log"), cpu, port)
    }

    /// The process that was started; its descendants belong to it.
    pub fn pids(&self) -> Vec<u32> {
        self.child.iter().map(Child::id).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let Some(child) = &mut self.child else { return };
        // It may have ended by itself; then there is nobody left to ask.
        if !matches!(child.try_wait(), Ok(None)) || child::terminate(child).is_err() {
            return;
        }
        let deadline = Instant::now() + STOP_TIMEOUT;
        while matches!(child.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                // Both fail only if it has just ended after all.
                let _ = child.kill();
                let _ = child.wait();
                return;
            }
            thread::sleep(LOOK_AGAIN);
        }
    }
}

/// A port that nobody listens on. Somebody else could take it before our server does; then the
/// server says so and the run fails.
pub fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn spawn(
    name: &str,
    command: &str,
    log: &Path,
    cpu: Option<usize>,
    port: u16,
) -> Result<Server, String> {
    let output = fs::File::create(log)
        .map_err(|error| format!("{name}: cannot write {}: {error}", log.display()))?;
    let errors = output.try_clone().map_err(|error| format!("{name}: {error}"))?;
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(command).stdin(Stdio::null()).stdout(output).stderr(errors);
    child::die_with_us(&mut shell);
    let started = Instant::now();
    let child = on_cpu(cpu, || shell.spawn())
        .map_err(|error| format!("{name}: cannot start '{command}': {error}"))?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut server = Server {
        name: name.to_owned(),
        base: format!("http://{address}"),
        started: Some(started),
        child: Some(child),
    };
    wait_until_ready(&mut server, address, started)
        .map_err(|why| format!("{name}: {why}: '{command}'; its last words:\n{}", tail(log)))?;
    Ok(server)
}

fn wait_until_ready(
    server: &mut Server,
    address: SocketAddr,
    started: Instant,
) -> Result<(), String> {
    let child = server.child.as_mut().expect("it was just started");
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Err(format!("ended at once ({status})"));
        }
        if TcpStream::connect_timeout(&address, LOOK_AGAIN).is_ok() {
            return Ok(());
        }
        if started.elapsed() > READY_TIMEOUT {
            return Err(format!("did not open port {} in time", address.port()));
        }
        thread::sleep(LOOK_AGAIN);
    }
}

/// Runs `action` with this thread on `cpu`, so that what it starts inherits the affinity.
fn on_cpu<T>(cpu: Option<usize>, action: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let Some(cpu) = cpu else { return action() };
    let before = Affinity::current()?;
    Affinity::one(cpu).apply()?;
    let result = action();
    before.apply()?;
    result
}

fn filled(text: &str, places: &Places, prefix: &Path, port: u16) -> Result<String, String> {
    let mut text = text.replace("@PORT@", &port.to_string()).replace("@WORKERS@", "1");
    let named = [
        ("@PREFIX@", Some(prefix), ""),
        ("@ROOT@", places.root.as_deref(), "--root or --workload"),
        ("@PACKS@", places.packs.as_deref(), "--workload with --shardcast, or --packs"),
        ("@SHARDCAST@", places.shardcast.as_deref(), "--shardcast"),
    ];
    for (placeholder, path, option) in named {
        if !text.contains(placeholder) {
            continue;
        }
        let path = path.ok_or_else(|| format!("{placeholder} is not known: give {option}"))?;
        text = text.replace(placeholder, &path.to_string_lossy());
    }
    Ok(text)
}

fn fresh_prefix(scratch: &Path, name: &str) -> io::Result<PathBuf> {
    let prefix = scratch.join(format!("server-{name}"));
    match fs::remove_dir_all(&prefix) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::create_dir_all(&prefix)?;
    // Workers that have given up root's rights write their temporary files here.
    fs::set_permissions(&prefix, fs::Permissions::from_mode(0o777))?;
    prefix.canonicalize()
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

fn quoted(path: &Path) -> String {
    format!("'{}'", path.to_string_lossy().replace('\'', "'\\''"))
}

/// The end of a log, short enough for an error.
fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(5)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<(&str, Kind), &str>) {
        match (Description::parse(text), expected) {
            (Ok(found), Ok((name, kind))) => {
                assert_eq!(found, Description { name: name.to_owned(), kind });
            }
            (Err(error), Err(part)) => assert!(error.contains(part), "{error}"),
            (found, expected) => panic!("{found:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn a_server_is_a_kind_a_command_or_an_address() {
        check("nginx", Ok(("nginx", Kind::Nginx)));
        check("old=nginx", Ok(("old", Kind::Nginx)));
        check("a=prog -x @PORT@", Ok(("a", Kind::Command("prog -x @PORT@".to_owned()))));
        let running = Kind::Running("http://127.0.0.1:80".to_owned());
        check("b=http://127.0.0.1:80/", Ok(("b", running)));
        check("apache", Err("write NAME=COMMAND"));
        check("a b=c", Err("a server's name"));
        check("a=", Err("write NAME=COMMAND"));
    }

    #[test]
    fn placeholders_are_filled_or_named() {
        let places = Places { root: Some("/r".into()), ..Places::default() };
        let text = filled("@ROOT@ @PREFIX@ @PORT@", &places, Path::new("/p"), 80);
        assert_eq!(text, Ok("/r /p 80".to_owned()));
        let error = filled("@PACKS@", &places, Path::new("/p"), 80).expect_err("unknown");
        assert!(error.contains("--packs"), "{error}");
    }
}
