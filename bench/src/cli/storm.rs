//! `storm`: a good client's latency, alone and among clients that are hard to bear.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::duration::duration;
use super::failure::{Doing, Failure};
use super::saturate::{self, Tuning};
use crate::load::engine::{Engine, Settings};
use crate::load::measure::{self, Course, Figures};
use crate::load::probe;
use crate::load::storm::{self, Strength, Target, Wreckage};
use crate::load::tally::Tally;
use crate::load::urls::UrlSet;
use crate::proc::{self, Machine};
use crate::report;
use crate::sys::machine;

/// What the goal adds to twice the latency alone, in µs.
const GOAL_ADDS_US: f64 = 200.0;

/// A good client's latency, alone and then during a storm of bad ones
///
/// The good client asks for URL at a fixed rate; the storm goes to the storm's URLs. Slow heads
/// send a byte every 5 s and are opened again when the server ends them; slow readers take 1 KiB a
/// second; resets are connections closed with a reset, every other one after a whole request.
#[derive(Args, Debug)]
pub struct Storm {
    /// What the good client asks for
    url: String,
    /// What slow readers, resets and pulls ask for: large bodies [default: URL]
    #[arg(long, value_name = "URL")]
    storm_url: Vec<String>,
    /// A file with one such URL a line; pulls draw from all, the others take the first
    #[arg(long, value_name = "FILE")]
    storm_urls: Option<PathBuf>,
    /// Connections that send a byte of a head every 5 s
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=50_000))]
    slow_heads: u32,
    /// Connections that read 1 KiB a second
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=50_000))]
    slow_readers: u32,
    /// Connections made and reset, a second
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=20_000))]
    resets_per_second: u32,
    /// Connections that pull whole bodies of the storm's URLs without pause
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=1_000))]
    pulls: u32,
    /// Pulls are not to be let in: their URLs have tokens that are nobody's, say
    #[arg(long, requires = "pulls", conflicts_with = "pull_rate")]
    pulls_refused: bool,
    /// Pulls take each of the storm's URLs once, in their order, so many a second together
    #[arg(long, value_name = "R", requires = "pulls", value_parser = pull_rate)]
    pull_rate: Option<f64>,
    /// Requests a second of the good client
    #[arg(long, value_name = "R", default_value_t = 1_000.0)]
    rate: f64,
    /// Connections of the good client
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    connections: u32,
    /// Length of each of the two measurements
    #[arg(long, default_value = "15s", value_parser = duration)]
    duration: Duration,
    /// Storm before its measurement begins (every slow head has sent a byte after 10 s)
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    ramp: Duration,
    /// Wait after the storm before the server's memory is looked at again
    #[arg(long, default_value = "15s", value_parser = duration)]
    settle: Duration,
    /// CPU that good client and storm are pinned to [default: where they are]
    #[arg(long, value_name = "K")]
    cpu: Option<usize>,
    /// Keep all CPUs from halting, with threads that run only when nobody else wants them
    #[arg(long)]
    awake: bool,
    /// Processes of the server; their descendants are counted too
    #[arg(long, value_name = "PID", num_args = 1.., value_delimiter = ',')]
    server_pid: Vec<u32>,
    #[command(flatten)]
    tuning: Tuning,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    verb: &'static str,
    machine: Machine,
    kept_awake: bool,
    strength: Strength,
    pulls: u32,
    pull_rate: Option<f64>,
    /// Pulls that were let in.
    pulled: u64,
    /// Those that were not, and what became of them instead.
    not_pulled: BTreeMap<String, u64>,
    alone: Figures,
    storm: Figures,
    wreckage: Wreckage,
    /// p99 in the storm, divided by the p99 alone.
    p99_ratio: f64,
    /// Whether p99 in the storm is at most twice the p99 alone plus 200 µs.
    goal_met: bool,
    /// Of the server: before, at the end of the storm, and after settling; empty without a pid.
    rss_bytes: Vec<u64>,
}

/// Runs the verb.
pub fn run(arguments: &Storm) -> Result<(), Failure> {
    let urls = UrlSet::parse([arguments.url.as_str()]).map_err(Failure::Usage)?;
    let storm_urls = match (arguments.storm_url.as_slice(), arguments.storm_urls.as_deref()) {
        ([], None) => urls.clone(),
        (listed, file) => UrlSet::from_arguments(listed, file).map_err(Failure::Usage)?,
    };
    if arguments.pull_rate.is_some() && storm_urls.groups().len() > 1 {
        let text = "--pull-rate takes URLs of one address";
        return Err(Failure::Usage(text.to_owned()));
    }
    saturate::prepare(arguments.cpu)?;
    if !arguments.pulls_refused {
        probe::fetch(&storm_urls, 0).map_err(Failure::Failed)?;
    }
    let reception = probe::reception(&urls, arguments.tuning.seed).map_err(Failure::Failed)?;
    let rate = Some(arguments.rate);
    let settings = saturate::settings(&arguments.tuning, reception, arguments.connections, rate);
    let mut engine = saturate::connect(&urls, settings)?;
    let facts = proc::machine().doing("cannot read the machine's facts")?;
    let awake = saturate::keep_awake(arguments.awake, 0..facts.cpus)?;
    let mut rss = vec![rss(&arguments.server_pid)?];
    let alone = measured(&mut engine, arguments, Duration::from_millis(500))?;
    let stop = Arc::new(AtomicBool::new(false));
    let bad = start(arguments, &storm_urls, &stop)?;
    let during = measured(&mut engine, arguments, arguments.ramp)?;
    rss.push(self::rss(&arguments.server_pid)?);
    stop.store(true, Ordering::Relaxed);
    let (wreckage, pulls) = bad.join()?;
    drop(awake);
    if !arguments.server_pid.is_empty() {
        thread::sleep(arguments.settle);
    }
    rss.push(self::rss(&arguments.server_pid)?);
    let goal = alone.latency.p99_us * 2.0 + GOAL_ADDS_US;
    let report = Report {
        verb: "storm",
        machine: facts,
        kept_awake: arguments.awake,
        strength: strength(arguments),
        pulls: arguments.pulls,
        pull_rate: arguments.pull_rate,
        pulled: pulls.requests,
        not_pulled: pulls.errors,
        p99_ratio: during.latency.p99_us / alone.latency.p99_us,
        goal_met: during.latency.p99_us <= goal,
        alone,
        storm: during,
        wreckage,
        rss_bytes: rss.into_iter().flatten().collect(),
    };
    print(&report, arguments.json);
    // Half a second behind is still the same storm; more is another one.
    if report.wreckage.overdue as f64 > report.strength.steps_per_second() / 2.0 {
        let overdue = report.wreckage.overdue;
        return Err(Failure::Invalid(format!("the storm fell {overdue} steps behind")));
    }
    saturate::verdict(&report.storm)
}

fn pull_rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate| (0.1..=1e6).contains(rate));
    rate.ok_or_else(|| "is not between 0.1 and 1,000,000".to_owned())
}

fn strength(arguments: &Storm) -> Strength {
    Strength {
        slow_heads: arguments.slow_heads,
        slow_readers: arguments.slow_readers,
        resets_per_second: arguments.resets_per_second,
    }
}

/// The threads that behave badly.
struct Bad {
    storm: thread::JoinHandle<std::io::Result<Wreckage>>,
    pulls: Option<thread::JoinHandle<std::io::Result<Tally>>>,
}

impl Bad {
    fn join(self) -> Result<(Wreckage, Tally), Failure> {
        let ended = "a storm thread never panics: panics abort the process";
        let pulls = match self.pulls {
            Some(pulls) => pulls.join().expect(ended).doing("the pulling clients failed")?,
            None => Tally::new(),
        };
        let wreckage = self.storm.join().expect(ended).doing("the storm failed")?;
        Ok((wreckage, pulls))
    }
}

fn start(arguments: &Storm, storm_urls: &UrlSet, stop: &Arc<AtomicBool>) -> Result<Bad, Failure> {
    let target =
        Target { address: storm_urls.groups()[0].address, request: storm_urls.bytes().to_vec() };
    let strength = strength(arguments);
    let stop_storm = Arc::clone(stop);
    let storm = thread::spawn(move || storm::run(target, strength, &stop_storm));
    let pulls = if arguments.pulls > 0 { Some(pull(arguments, storm_urls, stop)?) } else { None };
    Ok(Bad { storm, pulls })
}

/// Whole bodies without pause, as fast as the server gives them, or each once at a rate.
fn pull(
    arguments: &Storm,
    urls: &UrlSet,
    stop: &Arc<AtomicBool>,
) -> Result<thread::JoinHandle<std::io::Result<Tally>>, Failure> {
    let reception = match arguments.pulls_refused {
        true => probe::SMALL,
        false => probe::reception(urls, 1).map_err(Failure::Failed)?,
    };
    let rate = arguments.pull_rate;
    let settings = saturate::settings(&arguments.tuning, reception, arguments.pulls, rate);
    let settings = Settings { once: rate.is_some(), ..settings };
    let urls = urls.clone();
    let stop = Arc::clone(stop);
    Ok(thread::spawn(move || {
        machine::yield_to_others()?;
        // The ring belongs to the thread that makes it.
        let mut engine = Engine::connect(&urls, settings)?;
        let mut all = Tally::new();
        while !stop.load(Ordering::Relaxed) {
            all.add(&engine.go_on(Duration::from_millis(100))?.0);
        }
        Ok(all)
    }))
}

fn measured(
    engine: &mut Engine<'_>,
    arguments: &Storm,
    warmup: Duration,
) -> Result<Figures, Failure> {
    let course =
        Course { warmup, duration: arguments.duration, server_pids: arguments.server_pid.clone() };
    measure::measure(engine, &course).doing("the good client failed")
}

fn rss(pids: &[u32]) -> Result<Option<u64>, Failure> {
    if pids.is_empty() {
        return Ok(None);
    }
    proc::resident(pids).map(Some).doing("cannot read the server's memory")
}

fn print(report: &Report, json: bool) {
    if json {
        println!("{}", serde_json::to_string_pretty(report).expect("a report is plain data"));
        return;
    }
    let awake = if report.kept_awake { ", CPUs kept from halting" } else { "" };
    println!("{}{awake}", report::machine_line(&report.machine));
    println!("alone\n{}", report::run_lines(&report.alone));
    println!("in the storm\n{}", report::run_lines(&report.storm));
    println!(
        "p99         {:.2} times its value alone; at most 2 times + 200 µs: {}",
        report.p99_ratio,
        if report.goal_met { "yes" } else { "no" }
    );
    if report.pulls > 0 {
        let others = report.not_pulled.iter().map(|(what, count)| format!("; {what}: {count}"));
        println!("pulls       {} whole bodies{}", report.pulled, others.collect::<String>());
    }
    let wreckage = &report.wreckage;
    println!(
        "storm       {} slow heads opened, {} ended by the server; {} readers opened, {} ended, \
         {} KiB read; {} resets; {} connects failed",
        wreckage.heads_opened,
        wreckage.heads_ended_by_server,
        wreckage.readers_opened,
        wreckage.readers_ended,
        wreckage.bytes_read / 1024,
        wreckage.resets,
        wreckage.connect_failures
    );
    if let [before, during, after] = report.rss_bytes[..] {
        let kib = |bytes: u64| bytes / 1024;
        println!(
            "memory      RSS {} KiB before, {} in the storm, {} after",
            kib(before),
            kib(during),
            kib(after)
        );
    }
}
