//! `watch`: whether all editions of a channel are right, and stay so.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;

use super::duration::duration;
use super::failure::{Doing, Failure};
use super::stop;
use crate::watch::findings::Findings;
use crate::watch::rounds::{Station, Watch};

/// Watch all editions of a channel, and tell what is wrong with them
///
/// Asks for every playlist and manifest all the time, and for everything that they list. Numbers
/// must never go back, and nothing that was published may change: lengths, dates, URIs, bytes and
/// ETags. Parts must keep their lengths and go when their time has come, make up their segments,
/// and come as hinted; deltas, reports of other renditions and manifests must say the same as the
/// whole playlists. Two servers that were fed alike are asked in turn, and must agree.
///
/// Exit codes: 0 nothing is wrong, 1 something is, 2 wrong usage.
#[derive(Args, Debug)]
pub struct WatchArguments {
    /// The channel, such as http://127.0.0.1:8080/tv/news
    url: String,
    /// The same channel on another server
    #[arg(long, value_name = "URL")]
    also: Option<String>,
    /// How long
    #[arg(long, default_value = "30s", value_parser = duration)]
    duration: Duration,
    /// Servers may be away now and then: that a request fails is counted, and nothing wrong
    #[arg(long)]
    outages: bool,
    /// Write every playlist and manifest into this folder, for other parsers
    #[arg(long, value_name = "DIR")]
    save: Option<PathBuf>,
    /// Draws what is fetched again
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    verb: &'static str,
    renditions: Vec<String>,
    seconds: f64,
    rounds: u64,
    fetched: u64,
    outages: u64,
    #[serde(flatten)]
    findings: Findings,
}

/// Runs the verb.
pub fn run(arguments: &WatchArguments) -> Result<(), Failure> {
    let stop = stop::flag()?;
    if let Some(folder) = &arguments.save {
        fs::create_dir_all(folder).doing("cannot make the folder of --save")?;
    }
    let names = if arguments.also.is_some() { ["first", "second"] } else { ["", ""] };
    let urls = [Some(&arguments.url), arguments.also.as_ref()].into_iter().flatten();
    let stations = urls.zip(names).map(|(url, name)| Station::new(url, name));
    let stations = stations.collect::<Result<_, _>>().map_err(Failure::Usage)?;
    let began = Instant::now();
    let mut watch =
        Watch::start(stations, arguments.save.clone(), arguments.seed).map_err(Failure::Failed)?;
    watch.run(began + arguments.duration, &stop);
    let mut findings = std::mem::take(&mut watch.findings);
    if arguments.outages {
        findings.counts.remove("outage");
        findings.told.retain(|finding| finding.rule != "outage");
    }
    let report = Report {
        verb: "watch",
        renditions: watch.renditions(),
        seconds: began.elapsed().as_secs_f64(),
        rounds: watch.rounds,
        fetched: watch.fetched,
        outages: watch.outages,
        findings,
    };
    print(&report, arguments.json);
    match report.findings.count() {
        0 => Ok(()),
        count => Err(Failure::Failed(format!("{count} things are wrong"))),
    }
}

fn print(report: &Report, json: bool) {
    if json {
        println!("{}", serde_json::to_string_pretty(report).expect("a report is plain data"));
        return;
    }
    println!(
        "watched     {} renditions for {:.0} s: {} rounds, {} answers, {} outages",
        report.renditions.len(),
        report.seconds,
        report.rounds,
        report.fetched,
        report.outages
    );
    for (rule, count) in &report.findings.counts {
        println!("wrong       {count} × {rule}");
        for finding in report.findings.told.iter().filter(|finding| finding.rule == *rule) {
            println!("            {}: {}", finding.place, finding.what);
        }
    }
}
