//! `demo`: sample content, a server over it, and the URLs to open; with `--check`, a test of all.
//!
//! The content is a film as a plain folder and as a pack, a folder that ffmpeg rewrites every 2 s,
//! a live channel that ffmpeg pushes to, and a page that plays them. Everything stays inside one
//! scratch folder, the server is this very program with the verb `serve`, and whatever was started
//! is stopped again, by its process id.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use clap::Args;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::Failure;

mod content;
mod children;
mod check;

use children::{Children, Wanted};

/// Where players are used to find us, and the admin and ingest ports beside it.
const USUAL_PORTS: [u16; 3] = [8080, 8081, 8082];

/// How often the children are looked at while nothing happens.
const WATCH_EVERY: Duration = Duration::from_millis(500);

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// The only folder that is written to [default: shardcast-demo among the temporary files]
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
    /// Play every media URL with ffprobe, ask every page for a 200, then stop
    #[arg(long)]
    check: bool,
    /// Address for players [default: 127.0.0.1:8080, or a free port if that is taken]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Address of the admin port [default: 127.0.0.1:8081, or a free port if that is taken]
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<SocketAddr>,
    /// Address of the ingest port [default: 127.0.0.1:8082, or a free port if that is taken]
    #[arg(long, value_name = "ADDRESS")]
    ingest: Option<SocketAddr>,
}

/// Runs it.
pub fn run(args: &DemoArgs) -> Result<(), Failure> {
    // Signals first: from here on, whatever was started is stopped on every way out.
    let stop = stop_signals()?;
    let scratch = scratch_folder(args)?;
    content::make(&scratch, &stop)?;
    let site = Site::new(args)?;
    let mut children = Children::new(&scratch);
    children.start_live()?;
    children.start_server(&site)?;
    let mut ready = children.wait_until(&site, &stop, &[Wanted::Ready])?;
    if ready {
        children.start_channel(&site)?;
        ready = children.wait_until(&site, &stop, &[Wanted::Live, Wanted::Channel])?;
    }
    let outcome = match (ready, args.check) {
        (false, _) => Ok(()),
        (true, true) => check::everything(&site, &stop),
        (true, false) => {
            announce(&site);
            watch(&mut children, &stop)
        }
    };
    children.stop();
    outcome
}

/// The addresses of the server.
pub(crate) struct Site {
    /// For players.
    pub listen: SocketAddr,
    /// Health, metrics.
    pub admin: SocketAddr,
    /// For encoders.
    pub ingest: SocketAddr,
}

impl Site {
    fn new(args: &DemoArgs) -> Result<Self, Failure> {
        let address = |given: Option<SocketAddr>, usual| given.map_or_else(|| free(usual), Ok);
        let [listen, admin, ingest] = USUAL_PORTS;
        Ok(Self {
            listen: address(args.listen, listen)?,
            admin: address(args.admin, admin)?,
            ingest: address(args.ingest, ingest)?,
        })
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", reachable(self.listen))
    }
}

/// An address that a client on this machine can use.
fn reachable(listen: SocketAddr) -> SocketAddr {
    if listen.ip().is_unspecified() {
        SocketAddr::from((Ipv4Addr::LOCALHOST, listen.port()))
    } else {
        listen
    }
}

/// The usual port on loopback, or a free one if somebody has it.
fn free(usual: u16) -> Result<SocketAddr, Failure> {
    let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, usual))
        .or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .and_then(|listener| listener.local_addr());
    bound.map_err(|error| Failure::new("find a free port", error))
}

fn scratch_folder(args: &DemoArgs) -> Result<PathBuf, Failure> {
    let temporary = || std::env::temp_dir().join("shardcast-demo");
    let scratch = args.scratch.clone().unwrap_or_else(temporary);
    let made = std::fs::create_dir_all(&scratch).and_then(|()| scratch.canonicalize());
    made.map_err(|error| Failure::new(format!("make the folder {}", scratch.display()), error))
}

/// One message for each SIGINT or SIGTERM.
fn stop_signals() -> Result<Receiver<()>, Failure> {
    let mut signals =
        Signals::new([SIGINT, SIGTERM]).map_err(|error| Failure::new("wait for signals", error))?;
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for _ in signals.forever() {
            // A demo that has ended needs no more signals.
            if sender.send(()).is_err() {
                return;
            }
        }
    });
    Ok(receiver)
}

/// Tells people what to open.
fn announce(site: &Site) {
    let mut text = String::from("\nThe demo runs. Open in a browser:\n\n");
    text += &format!("  {}\n\nor in any player:\n\n", site.url(content::PAGE));
    for (path, what) in content::MEDIA {
        text += &format!("  {}  ({what})\n", site.url(path));
    }
    text += &format!("\nHealth and metrics: http://{}/metrics\n", reachable(site.admin));
    text += "Ctrl-C stops all of it.\n";
    // Nobody may be reading; the demo runs all the same.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Waits for a signal, or for a child that ends before we asked it to.
fn watch(children: &mut Children, stop: &Receiver<()>) -> Result<(), Failure> {
    loop {
        match stop.recv_timeout(WATCH_EVERY) {
            Err(RecvTimeoutError::Timeout) => children.all_run()?,
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
}

/// The part of a path below the scratch folder where the library lies.
fn library(scratch: &Path) -> PathBuf {
    scratch.join("library")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_taken_is_replaced_by_a_free_one() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let usual = taken.local_addr().unwrap().port();
        let found = free(usual).unwrap();
        assert_ne!(found.port(), usual);
        assert!(TcpListener::bind(found).is_ok());
    }

    #[test]
    fn urls_name_an_address_that_a_client_can_use() {
        let address = |text: &str| text.parse().unwrap();
        let site = Site {
            listen: address("0.0.0.0:80"),
            admin: address("[::1]:81"),
            ingest: address("[::1]:82"),
        };
        assert_eq!(site.url("vod/film/master.m3u8"), "http://127.0.0.1:80/vod/film/master.m3u8");
    }
}
