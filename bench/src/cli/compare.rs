//! `compare`: two or more servers under the same load, in interleaved rounds.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::duration::duration;
use super::failure::{Doing, Failure};
use super::saturate::{self, Tuning};
use crate::load::measure::{self, Course, Figures};
use crate::load::probe::{self, Reception};
use crate::load::urls::UrlSet;
use crate::proc::{self, Machine};
use crate::report;
use crate::rounds::{self, Contest, Ratios, Rules};
use crate::servers::{Description, Places, Server};
use crate::sys::namespace;
use crate::workload::{self, Workload};

/// Lists up to this long are requested once from end to end before anything is measured.
const TOUCH_ALL_MAX: usize = 20_000;

/// Compare servers in interleaved rounds whose order turns round each time
///
/// Every server runs all the time, on one CPU; only one gets load at a time. The figures are
/// medians of the rounds' paired ratios with 95 % bootstrap intervals. A round with too much steal
/// is dropped and played again.
///
/// Exit codes: 0 done, 1 failed, 2 wrong usage, 3 invalid (generator the limit, or steal).
#[derive(Args, Debug)]
pub struct Compare {
    /// A server: NAME=COMMAND with @PORT@, @ROOT@, @PACKS@, @PREFIX@, @SHARDCAST@ filled in;
    /// NAME=http://host:port if it runs already; or just nginx, h2o, shardcast
    #[arg(long = "server", value_name = "SERVER", required = true, value_parser = Description::parse)]
    servers: Vec<Description>,
    /// Put in front of every path for this server [default: shardcast=/vod]
    #[arg(long = "prefix", value_name = "NAME=PREFIX", value_parser = assignment)]
    prefixes: Vec<(String, String)>,
    /// A path to ask for, for all servers, or NAME=/path for one
    #[arg(long = "path", value_name = "PATH")]
    paths: Vec<String>,
    /// A file with one path a line, for all servers
    #[arg(long, value_name = "FILE")]
    paths_file: Option<PathBuf>,
    /// Files to make, serve and ask for: one-2k, many-2k, 256k, 1m, 4m, set-2g, set-2g-256k,
    /// set-2g-4m, million, tiny
    #[arg(long, value_parser = workload::named, conflicts_with_all = ["root", "paths", "paths_file"])]
    workload: Option<Workload>,
    /// Where workloads and the servers' own files are made; reused by the next run
    #[arg(long, value_name = "DIR", default_value = "/tmp/shardcast-bench")]
    scratch: PathBuf,
    /// The folder that servers are to serve (@ROOT@), instead of a workload
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// The folder of packs (@PACKS@), instead of a workload's
    #[arg(long, value_name = "DIR")]
    packs: Option<PathBuf>,
    /// The shardcast binary (@SHARDCAST@); with a workload it also makes the packs
    #[arg(long, value_name = "PATH")]
    shardcast: Option<PathBuf>,
    /// Ask for one file of each folder once before measuring; lists up to 20,000 paths are always
    /// asked for from end to end
    #[arg(long)]
    touch_first: bool,
    /// The server whose figures are 1 [default: nginx, else the first]
    #[arg(long, value_name = "NAME")]
    baseline: Option<String>,
    /// Connections; several values make several tables
    #[arg(long, value_delimiter = ',', default_value = "64", value_parser = clap::value_parser!(u32).range(1..=i64::from(saturate::CONNECTIONS_MAX)))]
    connections: Vec<u32>,
    /// Rounds that must be whole
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rounds: u32,
    /// Length of one measurement
    #[arg(long, default_value = "3s", value_parser = duration)]
    duration: Duration,
    /// Load before each measurement that is not counted
    #[arg(long, default_value = "500ms", value_parser = duration)]
    warmup: Duration,
    /// A fixed rate for everybody, in requests a second, instead of a closed loop
    #[arg(long, value_name = "R", conflicts_with = "half_load")]
    rate: Option<f64>,
    /// After the closed loop, the same at half of the slowest server's rate
    #[arg(long)]
    half_load: bool,
    /// CPU of every server that is started
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
    #[command(flatten)]
    tuning: Tuning,
    /// Print the report as JSON, with the figures of every round
    #[arg(long)]
    json: bool,
}

/// A server with what is asked of it.
struct Contestant {
    server: Server,
    urls: UrlSet,
    reception: Reception,
}

#[derive(Serialize)]
struct Report {
    verb: &'static str,
    machine: Machine,
    workload: Option<&'static str>,
    baseline: String,
    bodies: &'static str,
    ready_ms: Vec<(String, Option<f64>)>,
    tables: Vec<Table>,
}

/// One load on everybody.
#[derive(Serialize)]
pub struct Table {
    connections: u32,
    /// Requests a second of the open loop; absent for the closed loop.
    rate: Option<f64>,
    rounds: usize,
    dropped: usize,
    generator_limited: usize,
    servers: Vec<Row>,
}

/// One server in a table.
#[derive(Serialize)]
struct Row {
    name: String,
    requests_per_second: f64,
    server_cpu_us_per_request: Option<f64>,
    machine_cpu_ms_per_gib: f64,
    p99_us: f64,
    /// Against the baseline.
    ratios: Ratios,
    rounds: Vec<Figures>,
}

/// Runs the verb.
pub fn run(arguments: &Compare) -> Result<(), Failure> {
    let baseline = baseline(arguments)?;
    if arguments.netns {
        let congestion = arguments.tuning.congestion.as_deref().unwrap_or("cubic");
        namespace::enter(congestion).doing(
            "cannot make a network namespace (it needs root, and the congestion control loaded)",
        )?;
    }
    fs::create_dir_all(&arguments.scratch).doing("cannot make the scratch folder")?;
    let places = places(arguments)?;
    saturate::prepare(None)?;
    let servers = start(arguments, &places)?;
    let ready_ms = ready(&servers);
    saturate::prepare(Some(arguments.client_cpu))?;
    let contestants = servers
        .into_iter()
        .map(|server| contestant(arguments, server))
        .collect::<Result<Vec<_>, _>>()?;
    let mut tables = Vec::new();
    for &connections in &arguments.connections {
        let table = table(
            arguments,
            &contestants,
            baseline,
            connections,
            arguments.rate,
        )?;
        let slowest = table.servers.iter().map(|row| row.requests_per_second);
        let half = slowest.fold(f64::INFINITY, f64::min) / 2.0;
        tables.push(table);
        if arguments.half_load {
            tables.push(self::table(
                arguments,
                &contestants,
                baseline,
                connections,
                Some(half),
            )?);
        }
    }
    let report = Report {
        verb: "compare",
        machine: proc::machine().doing("cannot read the machine's facts")?,
        workload: arguments.workload.map(|workload| workload.name),
        baseline: contestants[baseline].server.name.clone(),
        bodies: if arguments.tuning.read {
            "read"
        } else {
            "discarded"
        },
        ready_ms,
        tables,
    };
    print(&report, arguments.json);
    verdict(&report)
}

fn baseline(arguments: &Compare) -> Result<usize, Failure> {
    let names: Vec<&str> = arguments
        .servers
        .iter()
        .map(|server| server.name.as_str())
        .collect();
    if names.len() < 2 {
        return Err(Failure::Usage(
            "compare needs at least two --server".to_owned(),
        ));
    }
    if let Some(twice) = names
        .iter()
        .enumerate()
        .find(|(at, name)| names[..*at].contains(name))
    {
        return Err(Failure::Usage(format!(
            "two servers are called {}",
            twice.1
        )));
    }
    match &arguments.baseline {
        Some(name) => names
            .iter()
            .position(|other| other == name)
            .ok_or_else(|| Failure::Usage(format!("--baseline {name}: no such server"))),
        None => Ok(names.iter().position(|name| *name == "nginx").unwrap_or(0)),
    }
}

fn places(arguments: &Compare) -> Result<Places, Failure> {
    let mut places = Places {
        root: arguments.root.clone(),
        packs: arguments.packs.clone(),
        shardcast: arguments.shardcast.clone(),
        scratch: arguments.scratch.clone(),
    };
    if let Some(workload) = arguments.workload {
        let files = workload
            .files(&arguments.scratch)
            .doing("cannot make the workload")?;
        if let Some(shardcast) = &arguments.shardcast {
            let packs = workload
                .packs(&files, shardcast)
                .doing("cannot pack the workload")?;
            workload::read_all(&packs).doing("cannot read the packs")?;
            places.packs = Some(packs);
        }
        workload::read_all(&files).doing("cannot read the workload")?;
        places.root = Some(files);
    }
    for path in [&mut places.root, &mut places.packs, &mut places.shardcast]
        .into_iter()
        .flatten()
    {
        let what = format!("cannot find {}", path.display());
        *path = path.canonicalize().doing(&what)?;
    }
    Ok(places)
}

fn start(arguments: &Compare, places: &Places) -> Result<Vec<Server>, Failure> {
    arguments
        .servers
        .iter()
        .map(|server| Server::start(server, places, Some(arguments.server_cpu)))
        .collect::<Result<_, _>>()
        .map_err(Failure::Failed)
}

fn ready(servers: &[Server]) -> Vec<(String, Option<f64>)> {
    let ready = |server: &Server| server.ready_after.map(|time| time.as_secs_f64() * 1e3);
    servers
        .iter()
        .map(|server| (server.name.clone(), ready(server)))
        .collect()
}

/// Looks at a server and touches what is to be touched.
fn contestant(arguments: &Compare, server: Server) -> Result<Contestant, Failure> {
    let paths = paths(arguments, &server.name)?;
    let urls: Vec<String> = paths
        .iter()
        .map(|path| format!("{}{path}", server.base))
        .collect();
    let urls = UrlSet::parse(urls.iter().map(String::as_str)).map_err(Failure::Usage)?;
    let with_name = |why: String| Failure::Failed(format!("{}: {why}", server.name));
    let reception = probe::reception(&urls, arguments.tuning.seed).map_err(with_name)?;
    if urls.count() <= TOUCH_ALL_MAX {
        probe::touch(&urls, 0..urls.count()).map_err(with_name)?;
    } else if arguments.touch_first {
        probe::touch(&urls, first_of_each_folder(&paths)).map_err(with_name)?;
    }
    Ok(Contestant {
        server,
        urls,
        reception,
    })
}

/// The paths for one server, its prefix in front.
fn paths(arguments: &Compare, name: &str) -> Result<Vec<String>, Failure> {
    let given = arguments
        .prefixes
        .iter()
        .rev()
        .find(|(other, _)| other == name);
    let prefix = match given {
        Some((_, prefix)) => prefix.as_str(),
        None if name == "shardcast" => "/vod",
        None => "",
    };
    let mut paths: Vec<String> = match arguments.workload {
        Some(workload) => workload
            .paths()
            .map(|path| format!("{prefix}{path}"))
            .collect(),
        None => Vec::new(),
    };
    if let Some(file) = &arguments.paths_file {
        let text = fs::read_to_string(file).doing(&format!("cannot read {}", file.display()))?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        paths.extend(lines.map(|line| format!("{prefix}{line}")));
    }
    for path in &arguments.paths {
        match path.split_once('=') {
            _ if path.starts_with('/') => paths.push(format!("{prefix}{path}")),
            Some((other, path)) if other == name => paths.push(path.to_owned()),
            Some(_) => {}
            None => {
                return Err(Failure::Usage(format!(
                    "--path {path}: begin with / or NAME=/"
                )));
            }
        }
    }
    if paths.is_empty() {
        return Err(Failure::Usage(format!(
            "nothing to ask {name} for: give --workload, --path or --paths-file"
        )));
    }
    Ok(paths)
}

/// Indexes of the first path of every folder; the paths of a folder stand together.
fn first_of_each_folder(paths: &[String]) -> impl Iterator<Item = usize> + '_ {
    let folder = |index: usize| Path::new(&paths[index]).parent();
    (0..paths.len()).filter(move |index| *index == 0 || folder(*index) != folder(index - 1))
}

fn table(
    arguments: &Compare,
    contestants: &[Contestant],
    baseline: usize,
    connections: u32,
    rate: Option<f64>,
) -> Result<Table, Failure> {
    let rules = Rules {
        rounds: arguments.rounds as usize,
        steal_percent_max: arguments.steal_max,
    };
    let contest = rounds::play(contestants.len(), rules, |index| {
        measured(arguments, &contestants[index], connections, rate)
    })?;
    Ok(Table {
        connections,
        rate,
        rounds: rules.rounds,
        dropped: contest.dropped,
        generator_limited: contest.generator_limited(),
        servers: (0..contestants.len())
            .map(|index| row(&contest, &contestants[index].server.name, index, baseline))
            .collect(),
    })
}

fn measured(
    arguments: &Compare,
    contestant: &Contestant,
    connections: u32,
    rate: Option<f64>,
) -> Result<Figures, Failure> {
    let Contestant {
        server,
        urls,
        reception,
    } = contestant;
    let settings = saturate::settings(&arguments.tuning, *reception, connections, rate);
    let mut engine = saturate::connect(urls, settings)?;
    let course = Course {
        warmup: arguments.warmup,
        duration: arguments.duration,
        server_pids: server.pids(),
    };
    let name = &server.name;
    let figures =
        measure::measure(&mut engine, &course).doing(&format!("{name}: the run ended early"))?;
    if let Some((kind, count)) = figures.errors.first_key_value() {
        // A server that fails requests is fast for the wrong reason.
        return Err(Failure::Failed(format!("{name}: {count} × {kind}")));
    }
    if figures.requests == 0 {
        return Err(Failure::Failed(format!(
            "{name}: not one request was answered"
        )));
    }
    Ok(figures)
}

fn row(contest: &Contest, name: &str, index: usize, baseline: usize) -> Row {
    let ratios = contest.ratios(index, baseline, 1);
    let cpu = |figures: &Figures| figures.server_cpu_us_per_request.unwrap_or(f64::NAN);
    Row {
        name: name.to_owned(),
        requests_per_second: contest.median(index, |figures| figures.requests_per_second),
        server_cpu_us_per_request: Some(contest.median(index, cpu)).filter(|cpu| !cpu.is_nan()),
        machine_cpu_ms_per_gib: contest.median(index, |figures| figures.machine_cpu_ms_per_gib),
        p99_us: contest.median(index, |figures| figures.latency.p99_us),
        ratios,
        rounds: contest.figures[index].clone(),
    }
}

fn print(report: &Report, json: bool) {
    if json {
        println!(
            "{}",
            serde_json::to_string_pretty(report).expect("a report is plain data")
        );
        return;
    }
    println!("{}", report::machine_line(&report.machine));
    let named = report
        .workload
        .map_or(String::new(), |name| format!("workload {name}, "));
    println!(
        "{named}bodies {}, ratios against {}",
        report.bodies, report.baseline
    );
    for (name, ready) in &report.ready_ms {
        if let Some(ready) = ready {
            println!("{name} was ready after {ready:.0} ms");
        }
    }
    for table in &report.tables {
        println!("\n{}", table.text());
    }
}

impl Table {
    /// For people: one line a server, ratios with their intervals.
    fn text(&self) -> String {
        let load = match self.rate {
            Some(rate) => format!("{rate:.0} requests a second"),
            None => "closed loop".to_owned(),
        };
        let mut lines = vec![format!(
            "{} connections, {load}, {} rounds, {} dropped for steal",
            self.connections, self.rounds, self.dropped
        )];
        lines.push(format!(
            "{:<12} {:>10} {:>9} {:>9} {:>9}  {:<18} {:<18} {:<18} {:<18}",
            "server",
            "req/s",
            "µs/req",
            "ms/GiB",
            "p99 µs",
            "rate",
            "server CPU/req",
            "machine CPU/byte",
            "p99"
        ));
        lines.push(format!(
            "{:<12} {:>10} {:>9} {:>9} {:>9}  (medians of paired ratios, 95 % intervals)",
            "", "", "(server)", "(machine)", ""
        ));
        lines.extend(self.servers.iter().map(Row::text));
        if self.generator_limited > 0 {
            lines.push(format!(
                "the generator was the limit in {} measurements",
                self.generator_limited
            ));
        }
        lines.join("\n")
    }
}

impl Row {
    fn text(&self) -> String {
        let ratio = |estimate: Option<crate::stats::Estimate>| match estimate {
            Some(estimate) => {
                format!(
                    "{:.3} [{:.3} {:.3}]",
                    estimate.median, estimate.low, estimate.high
                )
            }
            None => "-".to_owned(),
        };
        let cpu = self
            .server_cpu_us_per_request
            .map_or("-".to_owned(), |cpu| format!("{cpu:.2}"));
        format!(
            "{:<12} {:>10.0} {:>9} {:>9.1} {:>9.0}  {:<18} {:<18} {:<18} {:<18}",
            self.name,
            self.requests_per_second,
            cpu,
            self.machine_cpu_ms_per_gib,
            self.p99_us,
            ratio(Some(self.ratios.rate)),
            ratio(self.ratios.server_cpu),
            ratio(Some(self.ratios.machine_cpu)),
            ratio(Some(self.ratios.p99)),
        )
        .trim_end()
        .to_owned()
    }
}

fn verdict(report: &Report) -> Result<(), Failure> {
    let limited: usize = report
        .tables
        .iter()
        .map(|table| table.generator_limited)
        .sum();
    match limited {
        0 => Ok(()),
        count => Err(Failure::Invalid(format!(
            "the generator was the limit in {count} measurements"
        ))),
    }
}

fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}
