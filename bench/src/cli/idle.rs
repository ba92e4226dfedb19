//! `idle`: what a connection costs that has nothing to say.

use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::duration::duration;
use super::failure::{Doing, Failure};
use super::saturate;
use crate::load::probe;
use crate::load::urls::UrlSet;
use crate::proc::{self, Machine, Memory};
use crate::report;

/// Memory of idle keep-alive connections: open them, do one request on each, wait, and look
///
/// The kernel's share is the difference of what /proc/meminfo and /proc/net/sockstat say for the
/// whole machine. It holds both ends of every connection, ours too, and whatever else the machine
/// did meanwhile: compare it between servers, on a quiet machine.
#[derive(Args, Debug)]
pub struct Idle {
    /// What is asked for once on each connection
    url: String,
    /// Connections
    #[arg(long, default_value_t = 9_000, value_parser = clap::value_parser!(u32).range(1..=i64::from(saturate::CONNECTIONS_MAX)))]
    connections: u32,
    /// Wait before the second look
    #[arg(long, default_value = "15s", value_parser = duration)]
    settle: Duration,
    /// Processes of the server; their descendants are counted too
    #[arg(long, value_name = "PID", num_args = 1.., value_delimiter = ',', required = true)]
    server_pid: Vec<u32>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    verb: &'static str,
    machine: Machine,
    connections: u32,
    /// Connections that the server had ended before the second look; they cost it nothing.
    ended_by_server: u32,
    rss_before_bytes: u64,
    rss_after_bytes: u64,
    user_bytes_per_connection: f64,
    /// Approximate; both ends.
    kernel_bytes_per_connection: f64,
}

/// Runs the verb.
pub fn run(arguments: &Idle) -> Result<(), Failure> {
    let urls = UrlSet::parse([arguments.url.as_str()]).map_err(Failure::Usage)?;
    saturate::prepare(None)?;
    // The first request of all is not part of the difference: it may make the server allocate
    // what it keeps for good.
    probe::fetch(&urls, 0).map_err(Failure::Failed)?;
    let before = memory(&arguments.server_pid)?;
    let mut streams = Vec::with_capacity(arguments.connections as usize);
    for _ in 0..arguments.connections {
        streams.push(probe::open_and_fetch(&urls, 0).map_err(Failure::Failed)?);
    }
    thread::sleep(arguments.settle);
    let after = memory(&arguments.server_pid)?;
    let ended = streams.iter_mut().filter_map(is_ended).count() as u32;
    let open = f64::from(arguments.connections);
    let report = Report {
        verb: "idle",
        machine: proc::machine().doing("cannot read the machine's facts")?,
        connections: arguments.connections,
        ended_by_server: ended,
        rss_before_bytes: before.user,
        rss_after_bytes: after.user,
        user_bytes_per_connection: (after.user as f64 - before.user as f64) / open,
        kernel_bytes_per_connection: (after.kernel as f64 - before.kernel as f64) / open,
    };
    print(&report, arguments.json);
    match ended {
        0 => Ok(()),
        count => Err(Failure::Invalid(format!(
            "the server ended {count} of the connections before the second look"
        ))),
    }
}

fn memory(pids: &[u32]) -> Result<Memory, Failure> {
    proc::memory(pids).doing("cannot read the memory of the server or of the machine")
}

fn is_ended(stream: &mut TcpStream) -> Option<()> {
    let still_open = stream.set_nonblocking(true).is_ok()
        && matches!(stream.read(&mut [0; 1]), Err(error) if error.kind() == ErrorKind::WouldBlock);
    (!still_open).then_some(())
}

fn print(report: &Report, json: bool) {
    if json {
        println!("{}", serde_json::to_string_pretty(report).expect("a report is plain data"));
        return;
    }
    let kib = |bytes: u64| bytes / 1024;
    println!("{}", report::machine_line(&report.machine));
    println!(
        "user        RSS {} KiB at no connections, {} KiB at {}: {:.0} bytes a connection",
        kib(report.rss_before_bytes),
        kib(report.rss_after_bytes),
        report.connections,
        report.user_bytes_per_connection
    );
    println!(
        "kernel      about {:.0} bytes a connection, both ends together",
        report.kernel_bytes_per_connection
    );
    if report.ended_by_server > 0 {
        println!("ended       {} connections, by the server", report.ended_by_server);
    }
}
