//! `runtimes`: what the style of a server costs, on this machine and kernel.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::duration::duration;
use super::failure::{Doing, Failure};
use super::saturate::{self, Tuning};
use super::table::{self, Contestant, Course, Table};
use crate::load::probe;
use crate::load::urls::UrlSet;
use crate::proc::{self, Machine};
use crate::report;
use crate::rounds::Rules;
use crate::runtimes::{self, Style};
use crate::servers::{self, Server};
use crate::sys::namespace;

/// Measure the same 2 KiB response from a raw ring, tokio-uring and glommio
///
/// Each style is a process of its own on one CPU; they are measured in interleaved rounds.
#[derive(Args, Debug)]
pub struct Runtimes {
    /// Which styles [default: all]
    #[arg(long = "style", value_enum, value_delimiter = ',')]
    styles: Vec<Style>,
    /// Connections
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    connections: u32,
    /// Rounds that must be whole
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rounds: u32,
    /// Length of one measurement
    #[arg(long, default_value = "2s", value_parser = duration)]
    duration: Duration,
    /// Load before each measurement that is not counted
    #[arg(long, default_value = "300ms", value_parser = duration)]
    warmup: Duration,
    /// CPU of the servers
    #[arg(long, value_name = "K", default_value_t = 0)]
    server_cpu: usize,
    /// CPU of the generator
    #[arg(long, value_name = "K", default_value_t = 1)]
    client_cpu: usize,
    /// In a network namespace of its own, with --congestion (default cubic) on both sides; root
    #[arg(long)]
    netns: bool,
    /// More steal than this drops a round, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 1.0)]
    steal_max: f64,
    /// Where the servers' logs go
    #[arg(long, value_name = "DIR", default_value = "/tmp/shardcast-bench")]
    scratch: PathBuf,
    #[command(flatten)]
    tuning: Tuning,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
    /// Be one of the servers, on this port
    #[arg(long, hide = true, value_name = "PORT", requires = "styles")]
    serve: Option<u16>,
}

#[derive(Serialize)]
struct Report {
    verb: &'static str,
    machine: Machine,
    baseline: String,
    body_bytes: usize,
    table: Table,
}

/// Runs the verb, or one of its servers.
pub fn run(arguments: &Runtimes) -> Result<(), Failure> {
    if let (Some(port), Some(style)) = (arguments.serve, arguments.styles.first()) {
        saturate::prepare(None)?;
        return runtimes::serve(*style, port).doing(&format!("the {} server", style.name()));
    }
    if arguments.netns {
        let congestion = arguments.tuning.congestion.as_deref().unwrap_or("cubic");
        namespace::enter(congestion).doing("cannot make a network namespace")?;
    }
    let all = [Style::Ring, Style::TokioUring, Style::Glommio];
    let styles = if arguments.styles.is_empty() { &all[..] } else { &arguments.styles[..] };
    saturate::prepare(None)?;
    let servers = styles
        .iter()
        .map(|style| start(*style, arguments))
        .collect::<Result<Vec<_>, _>>()
        .map_err(Failure::Failed)?;
    saturate::prepare(Some(arguments.client_cpu))?;
    let contestants = servers
        .into_iter()
        .map(contestant)
        .collect::<Result<Vec<_>, _>>()
        .map_err(Failure::Failed)?;
    let course = Course {
        rules: Rules { rounds: arguments.rounds as usize, steal_percent_max: arguments.steal_max },
        warmup: arguments.warmup,
        duration: arguments.duration,
        connections: arguments.connections,
        rate: None,
    };
    let report = Report {
        verb: "runtimes",
        table: table::played(&contestants, 0, &course, &arguments.tuning)?,
        machine: proc::machine().doing("cannot read the machine's facts")?,
        baseline: styles[0].name().to_owned(),
        body_bytes: runtimes::BODY_SIZE,
    };
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report).expect("a report is plain data"));
    } else {
        println!("{}", report::machine_line(&report.machine));
        println!("2 KiB from each style, ratios against {}\n", report.baseline);
        println!("{}", report.table.text());
    }
    table::verdict([&report.table])
}

fn start(style: Style, arguments: &Runtimes) -> Result<Server, String> {
    let port = servers::free_port().map_err(|error| format!("no free port: {error}"))?;
    let words = ["runtimes", "--style", style.name(), "--serve"].map(str::to_owned);
    let words = [&words[..], &[port.to_string()]].concat();
    let cpu = Some(arguments.server_cpu);
    Server::start_self(style.name(), &words, &arguments.scratch, cpu, port)
}

fn contestant(server: Server) -> Result<Contestant, String> {
    let urls = UrlSet::parse([server.base.as_str()])?;
    let reception = probe::reception(&urls, 1)?;
    Ok(Contestant { server, urls, reception })
}
