//! `compare`: two or more servers under the same load, in interleaved rounds.

use std::fs;
use std::path::{Path, PathBuf};
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
use crate::servers::{Description, Places, Server};
use crate::sys::namespace;
use crate::workload::{self, Workload};

/// Lists up to this long are requested once from end to end before anything is measured.
const TOUCH_ALL_MAX: usize = 20_000;

/// A server that was started must answer what it will be asked for by then.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

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
    /// NAME=http://host:port if it runs already; or just nginx, nginx-uncached, h2o, shardcast
    #[arg(long = "server", value_name = "SERVER", required = true, value_parser = Description::parse)]
    servers: Vec<Description>,
    /// Put in front of every path for this server [default: shardcast=/vod]
    #[arg(long = "prefix", value_name = "NAME=PREFIX", value_parser = assignment)]
    prefixes: Vec<(String, String)>,
    /// A path to ask for, for all servers, or NAME=/path for one
    #[arg(long = "path", value_name = "PATH")]
    paths: Vec<String>,
    /// A file with one such path a line
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
    /// Make the workload anew and leave it in the page cache as writing left it, instead of reading
    /// it back from the disk first
    #[arg(long, requires = "workload")]
    as_written: bool,
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
    /// Keep both CPUs from halting, with threads that run only when nobody else wants them: less
    /// steal on virtual machines, and the same for every server
    #[arg(long)]
    awake: bool,
    /// More steal than this drops a round, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 1.0)]
    steal_max: f64,
    #[command(flatten)]
    tuning: Tuning,
    /// Print the report as JSON, with the figures of every round
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    verb: &'static str,
    machine: Machine,
    workload: Option<&'static str>,
    baseline: String,
    as_written: bool,
    bodies: &'static str,
    kept_awake: bool,
    ready_ms: Vec<(String, Option<f64>)>,
    tables: Vec<Table>,
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
    saturate::prepare(Some(arguments.client_cpu))?;
    let mut contestants = Vec::new();
    let mut ready_ms = Vec::new();
    for description in &arguments.servers {
        let (contestant, ready) = contestant(arguments, description, &places)?;
        contestants.push(contestant);
        ready_ms.push((description.name.clone(), ready));
    }
    let cpus = [arguments.server_cpu, arguments.client_cpu];
    let awake = saturate::keep_awake(arguments.awake, cpus)?;
    let tables = tables(arguments, &contestants, baseline)?;
    drop(awake);
    let report = Report {
        verb: "compare",
        machine: proc::machine().doing("cannot read the machine's facts")?,
        workload: arguments.workload.map(|workload| workload.name),
        baseline: contestants[baseline].server.name.clone(),
        as_written: arguments.as_written,
        bodies: if arguments.tuning.read { "read" } else { "discarded" },
        kept_awake: arguments.awake,
        ready_ms,
        tables,
    };
    print(&report, arguments.json);
    table::verdict(&report.tables)
}

fn baseline(arguments: &Compare) -> Result<usize, Failure> {
    let names: Vec<&str> = arguments.servers.iter().map(|server| server.name.as_str()).collect();
    if names.len() < 2 {
        return Err(Failure::Usage("compare needs at least two --server".to_owned()));
    }
    if let Some(twice) = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name)) {
        return Err(Failure::Usage(format!("two servers are called {}", twice.1)));
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
        if arguments.as_written {
            workload.unmake(&arguments.scratch).doing("cannot make the workload anew")?;
        }
        let files = workload.files(&arguments.scratch).doing("cannot make the workload")?;
        if let Some(shardcast) = &arguments.shardcast {
            places.packs =
                Some(workload.packs(&files, shardcast).doing("cannot pack the workload")?);
        }
        for folder in places.packs.iter().chain([&files]) {
            if !arguments.as_written {
                workload::forget_all(folder).doing("cannot drop the workload from the cache")?;
            }
            workload::read_all(folder).doing("cannot read the workload")?;
        }
        places.root = Some(files);
    }
    for path in [&mut places.root, &mut places.packs, &mut places.shardcast].into_iter().flatten() {
        let what = format!("cannot find {}", path.display());
        *path = path.canonicalize().doing(&what)?;
    }
    Ok(places)
}

/// Starts a server, waits for its answers, touches what is to be touched; also when it was ready,
/// in milliseconds after its start.
fn contestant(
    arguments: &Compare,
    description: &Description,
    places: &Places,
) -> Result<(Contestant, Option<f64>), Failure> {
    let name = &description.name;
    let paths = paths(arguments, name)?;
    let server =
        Server::start(description, places, Some(arguments.server_cpu)).map_err(Failure::Failed)?;
    let with_name = |why: String| Failure::Failed(format!("{name}: {why}"));
    let full = |path: &String| format!("{}{path}", server.base);
    let (first, last) = (full(&paths[0]), full(&paths[paths.len() - 1]));
    let ends = UrlSet::parse([first.as_str(), last.as_str()]).map_err(Failure::Usage)?;
    let timeout = server.started.map_or(Duration::ZERO, |_| ANSWER_TIMEOUT);
    probe::wait_for_answers(&ends, timeout).map_err(with_name)?;
    let ready = server.started.map(|started| started.elapsed().as_secs_f64() * 1e3);
    let urls: Vec<String> = paths.iter().map(full).collect();
    let urls = UrlSet::parse(urls.iter().map(String::as_str)).map_err(Failure::Usage)?;
    let reception = probe::reception(&urls, arguments.tuning.seed).map_err(with_name)?;
    if urls.count() <= TOUCH_ALL_MAX {
        probe::touch(&urls, 0..urls.count()).map_err(with_name)?;
    } else if arguments.touch_first {
        probe::touch(&urls, first_of_each_folder(&paths)).map_err(with_name)?;
    }
    Ok((Contestant { server, urls, reception }, ready))
}

/// The paths for one server, its prefix in front.
fn paths(arguments: &Compare, name: &str) -> Result<Vec<String>, Failure> {
    let given = arguments.prefixes.iter().rev().find(|(other, _)| other == name);
    let prefix = match given {
        Some((_, prefix)) => prefix.as_str(),
        None if name == "shardcast" => "/vod",
        None => "",
    };
    let mut paths: Vec<String> = match arguments.workload {
        Some(workload) => workload.paths().map(|path| format!("{prefix}{path}")).collect(),
        None => Vec::new(),
    };
    let text = match &arguments.paths_file {
        Some(file) => fs::read_to_string(file).doing(&format!("cannot read {}", file.display()))?,
        None => String::new(),
    };
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    for path in lines.chain(arguments.paths.iter().map(String::as_str)) {
        match path.split_once('=') {
            _ if path.starts_with('/') => paths.push(format!("{prefix}{path}")),
            Some((other, path)) if other == name => paths.push(path.to_owned()),
            Some(_) => {}
            None => {
                return Err(Failure::Usage(format!("path {path}: begin with / or NAME=/")));
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

/// A closed loop for each number of connections, and half of its rate where that was asked for.
fn tables(
    arguments: &Compare,
    contestants: &[Contestant],
    baseline: usize,
) -> Result<Vec<Table>, Failure> {
    let mut tables = Vec::new();
    for &connections in &arguments.connections {
        let mut course = Course {
            rules: Rules {
                rounds: arguments.rounds as usize,
                steal_percent_max: arguments.steal_max,
            },
            warmup: arguments.warmup,
            duration: arguments.duration,
            connections,
            rate: arguments.rate,
        };
        let table = table::played(contestants, baseline, &course, &arguments.tuning)?;
        course.rate = Some(table.slowest() / 2.0);
        tables.push(table);
        if arguments.half_load {
            tables.push(table::played(contestants, baseline, &course, &arguments.tuning)?);
        }
    }
    Ok(tables)
}

fn print(report: &Report, json: bool) {
    if json {
        println!("{}", serde_json::to_string_pretty(report).expect("a report is plain data"));
        return;
    }
    println!("{}", report::machine_line(&report.machine));
    let cached = if report.as_written { "as written" } else { "read back" };
    let named = report.workload.map_or(String::new(), |name| format!("workload {name} {cached}, "));
    let awake = if report.kept_awake { ", CPUs kept from halting" } else { "" };
    println!("{named}bodies {}{awake}, ratios against {}", report.bodies, report.baseline);
    for (name, ready) in &report.ready_ms {
        if let Some(ready) = ready {
            println!("{name} was ready after {ready:.0} ms");
        }
    }
    for table in &report.tables {
        println!("\n{}", table.text());
    }
}

fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}
