//! One load on several servers, as a table: played in rounds, printed for people or as JSON.
//!
//! Shared by `compare` and `runtimes`.

use std::time::Duration;

use serde::Serialize;

use super::failure::{Doing, Failure};
use super::saturate::{self, Tuning};
use crate::load::measure::{self, Figures};
use crate::load::probe::Reception;
use crate::load::urls::UrlSet;
use crate::report::OTHER_SHARE_NOTED;
use crate::rounds::{self, Contest, Ratios, Rules};
use crate::servers::Server;
use crate::stats::{self, Estimate};

/// The load of one table.
#[derive(Clone, Copy, Debug)]
pub struct Course {
    /// How often, and what spoils a round.
    pub rules: Rules,
    /// Load before each measurement that is not counted.
    pub warmup: Duration,
    /// Length of each measurement.
    pub duration: Duration,
    /// Connections, kept alive.
    pub connections: u32,
    /// Requests a second in an open loop; `None` is a closed loop.
    pub rate: Option<f64>,
}

/// A server with what is asked of it.
pub struct Contestant {
    /// The server, running.
    pub server: Server,
    /// What is asked for.
    pub urls: UrlSet,
    /// How its responses are best received.
    pub reception: Reception,
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

/// Plays the rounds; the error is the first failure of any server.
pub fn played(
    contestants: &[Contestant],
    baseline: usize,
    course: &Course,
    tuning: &Tuning,
) -> Result<Table, Failure> {
    let contest = rounds::play(contestants.len(), course.rules, |index| {
        measured(&contestants[index], course, tuning)
    })?;
    Ok(Table {
        connections: course.connections,
        rate: course.rate,
        rounds: course.rules.rounds,
        dropped: contest.dropped,
        generator_limited: contest.generator_limited(),
        servers: (0..contestants.len())
            .map(|index| row(&contest, &contestants[index].server.name, index, baseline))
            .collect(),
    })
}

/// What the tables mean for the exit code.
pub fn verdict<'a>(tables: impl IntoIterator<Item = &'a Table>) -> Result<(), Failure> {
    match tables.into_iter().map(|table| table.generator_limited).sum() {
        0_usize => Ok(()),
        count => {
            Err(Failure::Invalid(format!("the generator was the limit in {count} measurements")))
        }
    }
}

fn measured(contestant: &Contestant, course: &Course, tuning: &Tuning) -> Result<Figures, Failure> {
    let Contestant { server, urls, reception } = contestant;
    let settings = saturate::settings(tuning, *reception, course.connections, course.rate);
    let mut engine = saturate::connect(urls, settings)?;
    let course = measure::Course {
        warmup: course.warmup,
        duration: course.duration,
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
        return Err(Failure::Failed(format!("{name}: not one request was answered")));
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

impl Table {
    /// The rate of the slowest server.
    pub fn slowest(&self) -> f64 {
        self.servers.iter().map(|row| row.requests_per_second).fold(f64::INFINITY, f64::min)
    }

    /// What other programs used in the median measurement, as a share of one CPU.
    fn others(&self) -> Option<f64> {
        let rounds = self.servers.iter().flat_map(|row| &row.rounds);
        let shares: Vec<f64> = rounds.filter_map(|figures| figures.usage.other_cpu_share).collect();
        (!shares.is_empty()).then(|| stats::median(&shares))
    }

    /// For people: one line a server, ratios with their intervals.
    pub fn text(&self) -> String {
        let load = match self.rate {
            Some(rate) => format!("{rate:.0} requests a second"),
            None => "closed loop".to_owned(),
        };
        let mut lines = vec![format!(
            "{} connections, {load}, {} rounds, {} dropped for steal: medians, and medians of paired \
             ratios with 95 % intervals",
            self.connections, self.rounds, self.dropped
        )];
        lines.push(format!(
            "{:<12} {:>10} {:>9} {:>11} {:>9}  {:<22} {:<22} {:<22} {:<22}",
            "server",
            "req/s",
            "srv µs/r",
            "all ms/GiB",
            "p99 µs",
            "rate",
            "server CPU/req",
            "machine CPU/byte",
            "p99"
        ));
        lines.extend(self.servers.iter().map(Row::text));
        if let Some(share) = self.others().filter(|share| *share > OTHER_SHARE_NOTED) {
            let percent = share * 100.0;
            lines.push(format!(
                "other programs used {percent:.0} % of one CPU: not a quiet machine"
            ));
        }
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
        let ratio = |estimate: Option<Estimate>| match estimate {
            Some(estimate) => {
                format!("{:.3} [{:.3} {:.3}]", estimate.median, estimate.low, estimate.high)
            }
            None => "-".to_owned(),
        };
        let cpu = self.server_cpu_us_per_request.map_or("-".to_owned(), |cpu| format!("{cpu:.2}"));
        format!(
            "{:<12} {:>10.0} {:>9} {:>11.1} {:>9.0}  {:<22} {:<22} {:<22} {:<22}",
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
