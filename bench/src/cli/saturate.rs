//! `saturate`: how much can this server do, and what does it cost?

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::duration::duration;
use super::failure::{Doing, Failure};
use crate::awake::Awake;
use crate::load::engine::{Engine, Settings, Way};
use crate::load::measure::{self, Course, Figures};
use crate::load::probe::{self, Reception};
use crate::load::tally::Seen;
use crate::load::urls::UrlSet;
use crate::proc::{self, Machine};
use crate::report;
use crate::sys::machine::{self, Affinity};
use crate::sys::ring::Taking;

/// Most connections of one generator; with several source addresses ports do not run out.
pub const CONNECTIONS_MAX: u32 = 100_000;

/// Load a server from one core, in a closed loop or at a fixed rate.
///
/// Every connection sends its next request when the last response is whole; URLs are drawn
/// uniformly at random. With --rate requests are sent at evenly spaced moments instead, and
/// latency counts from the moment a request was meant to be sent.
///
/// Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the generator was the limit.
#[derive(Args, Debug)]
pub struct Saturate {
    /// URLs of what is to be asked for (http://host:port/path)
    pub urls: Vec<String>,
    /// A file with one URL a line
    #[arg(long = "urls", id = "file", value_name = "FILE")]
    pub urls_file: Option<PathBuf>,
    #[command(flatten)]
    pub load: Load,
    /// Processes of the server; their descendants are counted too
    #[arg(long, value_name = "PID", num_args = 1.., value_delimiter = ',')]
    pub server_pid: Vec<u32>,
    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
}

/// How load is made; shared by the verbs that make it.
#[derive(Args, Clone, Debug)]
pub struct Load {
    /// Connections, kept alive
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=i64::from(CONNECTIONS_MAX)))]
    pub connections: u32,
    #[command(flatten)]
    pub tuning: Tuning,
    /// Length of the run
    #[arg(long, default_value = "5s", value_parser = duration)]
    pub duration: Duration,
    /// Load before the run that is not counted
    #[arg(long, default_value = "1s", value_parser = duration)]
    pub warmup: Duration,
    /// Requests a second, in an open loop; without it the loop is closed
    #[arg(long, value_name = "R")]
    pub rate: Option<f64>,
    /// CPU that the generator is pinned to [default: where it is]
    #[arg(long, value_name = "K")]
    pub cpu: Option<usize>,
}

/// What rarely needs another value.
#[derive(Args, Clone, Debug)]
pub struct Tuning {
    /// Copy large bodies into memory, as a player does
    #[arg(long, conflicts_with = "discard")]
    pub read: bool,
    /// Throw large bodies away in the kernel (the default)
    #[arg(long)]
    pub discard: bool,
    /// Congestion control of the client's sockets, e.g. cubic [default: the system's]
    #[arg(long, value_name = "NAME")]
    pub congestion: Option<String>,
    /// Draws the URLs
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Completions that a turn of the closed loop waits for [default: an eighth of the
    /// connections, at most 32]
    #[arg(long, value_name = "N")]
    pub gather: Option<usize>,
    /// … for at most this long; then one is enough (Linux 6.12; older kernels wait for one)
    #[arg(long, value_name = "TIME", default_value = "50us", value_parser = duration)]
    pub gather_time: Duration,
    /// How responses are received [default: chosen by their size]
    #[arg(long, value_parser = way)]
    pub way: Option<Way>,
    /// Largest single receive of a large body, in KiB
    #[arg(long, value_name = "KIB", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(4..=65_536))]
    pub take: u32,
}

#[derive(Serialize)]
struct Report<'a> {
    verb: &'static str,
    machine: &'a Machine,
    connections: u32,
    rate: Option<f64>,
    way: &'static str,
    bodies: &'static str,
    #[serde(flatten)]
    figures: &'a Figures,
    /// Pairs of a latency in µs and how many requests had it, shortest first.
    latency_histogram: &'a [Seen],
}

/// Runs the verb.
pub fn run(arguments: &Saturate) -> Result<(), Failure> {
    let urls = UrlSet::from_arguments(&arguments.urls, arguments.urls_file.as_deref())
        .map_err(Failure::Usage)?;
    let load = &arguments.load;
    if load.rate.is_some_and(|rate| !(rate > 0.0 && rate.is_finite())) {
        return Err(Failure::Usage("--rate must be above 0".to_owned()));
    }
    prepare(load.cpu)?;
    let reception = probe::reception(&urls, load.tuning.seed).map_err(Failure::Failed)?;
    let settings = settings(&load.tuning, reception, load.connections, load.rate);
    let way = settings.way;
    let mut engine = connect(&urls, settings)?;
    let course = Course {
        warmup: load.warmup,
        duration: load.duration,
        server_pids: arguments.server_pid.clone(),
    };
    let figures = measure::measure(&mut engine, &course).doing("the run ended early")?;
    let machine = proc::machine().doing("cannot read the machine's facts")?;
    if arguments.json {
        let report = Report {
            verb: "saturate",
            machine: &machine,
            connections: load.connections,
            rate: load.rate,
            way: if way == Way::Stream { "stream" } else { "exact" },
            bodies: if load.tuning.read { "read" } else { "discarded" },
            figures: &figures,
            latency_histogram: &figures.histogram,
        };
        let text = serde_json::to_string_pretty(&report).expect("a report is plain data");
        println!("{text}");
    } else {
        println!("{}\n{}", report::machine_line(&machine), report::run_lines(&figures));
        print!("{}", report::histogram_lines(&figures.histogram));
    }
    verdict(&figures)
}

/// Raises the limits, pins the thread, and makes its timers exact.
pub fn prepare(cpu: Option<usize>) -> Result<(), Failure> {
    machine::raise_open_files().doing("cannot raise the limit of open files")?;
    machine::sharpen_timers().doing("cannot set the timer slack")?;
    if let Some(cpu) = cpu {
        Affinity::one(cpu).apply().doing(&format!("cannot pin the generator to CPU {cpu}"))?;
    }
    Ok(())
}

/// Keeps these CPUs from halting, if that is wanted, until the value goes.
pub fn keep_awake(
    is_wanted: bool,
    cpus: impl IntoIterator<Item = usize>,
) -> Result<Option<Awake>, Failure> {
    let awake = is_wanted.then(|| Awake::start(cpus)).transpose();
    awake.doing("cannot keep the CPUs awake")
}

/// Connects, with the remedies of what usually goes wrong.
pub fn connect(urls: &UrlSet, settings: Settings) -> Result<Engine<'_>, Failure> {
    let connections = settings.connections;
    Engine::connect(urls, settings).map_err(|error| {
        let remedy = match error.raw_os_error() {
            Some(libc::EMFILE) => " (raise the hard limit: ulimit -Hn)",
            Some(libc::ENOENT) => {
                " (is the congestion control loaded? see \
                 /proc/sys/net/ipv4/tcp_available_congestion_control)"
            }
            Some(libc::EINVAL | libc::ENOSYS | libc::EPERM) => {
                " (io_uring of Linux 6.1 is needed; see /proc/sys/kernel/io_uring_disabled)"
            }
            _ => "",
        };
        Failure::Failed(format!("cannot open {connections} connections: {error}{remedy}"))
    })
}

/// The generator's settings for this reception.
pub fn settings(
    tuning: &Tuning,
    reception: Reception,
    connections: u32,
    rate: Option<f64>,
) -> Settings {
    let way = tuning.way.unwrap_or(reception.way);
    Settings {
        connections,
        way,
        buffer_size: reception.buffer_size,
        taking: if tuning.read { Taking::Read } else { Taking::Discard },
        take_size_max: tuning.take * 1024,
        rate,
        gather_count: tuning.gather.unwrap_or((connections as usize / 8).clamp(1, 32)),
        gather_time: tuning.gather_time,
        seed: tuning.seed,
        once: false,
        congestion: tuning.congestion.clone(),
    }
}

/// What the figures mean for the exit code.
pub fn verdict(figures: &Figures) -> Result<(), Failure> {
    if figures.requests == 0 {
        return Err(Failure::Failed("not one request succeeded".to_owned()));
    }
    if figures.generator_was_the_limit {
        return Err(Failure::Invalid("the generator was the limit".to_owned()));
    }
    Ok(())
}

fn way(text: &str) -> Result<Way, String> {
    match text {
        "stream" => Ok(Way::Stream),
        "exact" => Ok(Way::Exact),
        _ => Err("write stream or exact".to_owned()),
    }
}
