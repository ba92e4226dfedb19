//! `parked`: many blocked playlist requests that one part releases, against as many plain ones.

use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;

use super::duration::duration;
use super::failure::{Doing, Failure};
use super::saturate;
use super::station::{self, OnAir, Station};
use crate::load::crowd::{Crowd, Round};
use crate::load::fetch::{self, Fetcher};
use crate::load::hot::{Hot, Phase};
use crate::load::tally::Latency;
use crate::proc::{self, Machine, Memory, ThreadTimes, Ticks};
use crate::report;
use crate::rounds::{self, Rules};
use crate::stats::{self, Estimate, RESAMPLES};
use crate::sys::machine::thread_cpu;

/// Goals: the ratio of the two times, the hot client's p99, and bytes of a parked request.
const RATIO_MAX: f64 = 1.5;
const HOT_P99_US_MAX: f64 = 5_000.0;
const PARKED_BYTES_MAX: f64 = 256.0;

/// Time from publishing a part to the last byte of the last blocked request that it releases
///
/// Pushes a channel of noise by itself. In each round all connections ask for the playlist with the
/// part that comes next (_HLS_msn and _HLS_part), the part is pushed, and all answers are waited
/// for; and all connections ask for the same playlist when it is there. The first takes from just
/// before the kernel has the part's last byte, the second from the first request, each to the last
/// byte of the last answer. The order turns round each time; ratios are within a round, with a 95 %
/// bootstrap interval. A hot client asks for --hot at a fixed rate meanwhile, and its latency
/// counts from when each request was meant to be sent.
///
/// Exit codes: 0 done, 1 failed, 2 wrong usage, 3 too many rounds had steal.
#[derive(Args, Debug)]
pub struct Parked {
    #[command(flatten)]
    station: Station,
    /// Connections, each with one request
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=i64::from(saturate::CONNECTIONS_MAX)))]
    connections: u32,
    /// Rounds that must be whole
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rounds: u32,
    /// What the hot client asks for: an object of 2 KiB
    #[arg(long, value_name = "URL")]
    hot: Option<String>,
    /// Requests a second of the hot client
    #[arg(long, value_name = "R", default_value_t = 1_000.0)]
    hot_rate: f64,
    /// Where shardcast tells how many requests are parked, such as http://127.0.0.1:8081
    #[arg(long, value_name = "URL")]
    admin: Option<String>,
    /// Wait between the last question and the part; the server answers none of them by then
    #[arg(long, default_value = "300ms", value_parser = duration)]
    settle: Duration,
    /// Wait before the server's memory is looked at
    #[arg(long, default_value = "3s", value_parser = duration)]
    settle_memory: Duration,
    /// Processes of the server; their descendants are counted too
    #[arg(long, value_name = "PID", num_args = 1.., value_delimiter = ',')]
    server_pid: Vec<u32>,
    /// CPU of this program [default: where it is]
    #[arg(long, value_name = "K")]
    cpu: Option<usize>,
    /// Keep all CPUs from halting, with threads that run only when nobody else wants them
    #[arg(long)]
    awake: bool,
    /// More steal than this drops a round, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 2.0)]
    steal_max: f64,
    /// Congestion control of the connections [default: the machine's]
    #[arg(long, value_name = "NAME")]
    congestion: Option<String>,
    /// Print the report as JSON, with every round
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    verb: &'static str,
    machine: Machine,
    kept_awake: bool,
    connections: u32,
    dropped_rounds: usize,
    body_bytes: u64,
    /// From the part's last byte to the first byte of all answers, and to the last.
    first_ms: Estimate,
    release_ms: Estimate,
    plain_ms: Estimate,
    /// Release to plain.
    ratio: Estimate,
    /// The same, but from the first byte of the first answer for both.
    ratio_from_first_byte: Estimate,
    release_cpu: Shares,
    plain_cpu: Shares,
    hot: Option<HotReport>,
    memory: Option<Parking>,
    goal_met: bool,
    rounds: Vec<Times>,
}

/// One round, in ms.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Times {
    first_ms: f64,
    release_ms: f64,
    plain_first_ms: f64,
    plain_ms: f64,
    body_bytes: u64,
    #[serde(skip)]
    release: Spent,
    #[serde(skip)]
    plain: Spent,
}

/// CPU time of one of the two.
#[derive(Clone, Copy, Debug, Default)]
struct Spent {
    generator: Duration,
    server: Duration,
}

/// Shares of one CPU while answers were awaited.
#[derive(Clone, Copy, Debug, Serialize)]
struct Shares {
    generator: f64,
    server: Option<f64>,
}

#[derive(Serialize)]
struct HotReport {
    quiet: HotFigures,
    park: HotFigures,
    release: HotFigures,
    plain: HotFigures,
}

#[derive(Serialize)]
struct HotFigures {
    requests: u64,
    latency: Latency,
    errors: u64,
}

/// Memory of the server, in bytes.
#[derive(Serialize)]
struct Parking {
    idle: Memory,
    parked: Memory,
    released: Memory,
    /// What parking all requests for the first time has added, a request.
    bytes_per_request: f64,
}

/// What a run works with.
struct Run<'a> {
    arguments: &'a Parked,
    on_air: OnAir,
    crowd: Crowd,
    admin: Option<Fetcher>,
    count: usize,
    /// What comes next.
    next: (u64, u64),
}

/// Runs the verb.
pub fn run(arguments: &Parked) -> Result<(), Failure> {
    if arguments.station.prints_config() {
        return Ok(());
    }
    if !(arguments.hot_rate > 0.0 && arguments.hot_rate <= 100_000.0) {
        return Err(Failure::Usage("--hot-rate is above 0, and at most 100000".to_owned()));
    }
    saturate::prepare(arguments.cpu)?;
    let machine = proc::machine().doing("cannot read the machine's facts")?;
    let mut run = Run::start(arguments)?;
    let memory = match arguments.server_pid.is_empty() {
        true => None,
        false => Some(run.parking()?),
    };
    let awake = saturate::keep_awake(arguments.awake, 0..machine.cpus)?;
    let (rounds, dropped) = run.rounds()?;
    drop(awake);
    let report = report(arguments, machine, rounds, dropped, run.crowd.hot(), memory);
    print(&report, arguments.json);
    Ok(())
}

impl<'a> Run<'a> {
    fn start(arguments: &'a Parked) -> Result<Self, Failure> {
        let on_air = arguments.station.start()?;
        let congestion = arguments.congestion.as_deref();
        let hot = arguments.hot.as_deref();
        let hot = hot.map(|url| Hot::connect(url, arguments.hot_rate, congestion)).transpose();
        let hot = hot.map_err(Failure::Failed)?;
        let count = arguments.connections as usize;
        let crowd = Crowd::connect(on_air.address, count, congestion, hot)
            .doing(&format!("cannot open {count} connections"))?;
        let admin = arguments.admin.as_deref().map(Fetcher::new).transpose();
        let admin = admin.map_err(Failure::Usage)?;
        let mut run = Self { arguments, on_air, crowd, admin, count, next: (0, 0) };
        // Everybody has asked for something once, as players have.
        run.plain()?;
        Ok(run)
    }

    /// Everybody asks for what is there.
    fn plain(&mut self) -> Result<(Instant, Round), Failure> {
        let request = self.on_air.request("ll.m3u8");
        self.all_ask(&request)
    }

    fn all_ask(&mut self, request: &[u8]) -> Result<(Instant, Round), Failure> {
        let asked = self.crowd.all_ask(request, self.count, fetch::PATIENCE);
        let (began, round) = asked.map_err(Failure::Failed)?;
        round.agreed().map_err(Failure::Failed)?;
        self.next = station::hint(self.crowd.first_answer())?.0;
        Ok((began, round))
    }

    /// Everybody asks for what comes next, and nobody is answered. That is never a segment's last
    /// part, so that all are released with the same text.
    fn park(&mut self) -> Result<(), Failure> {
        while self.on_air.pusher.is_last() {
            self.on_air.pusher.push().map_err(Failure::Failed)?;
            self.on_air.pusher.settle().map_err(Failure::Failed)?;
            self.plain()?;
        }
        let request = self.on_air.reload(self.next);
        self.enter(Some(Phase::Park));
        self.crowd.ask(&request, self.count).map_err(Failure::Failed)?;
        let deadline = Instant::now() + fetch::PATIENCE;
        loop {
            let early = self.crowd.rest(self.arguments.settle).doing("waiting failed")?;
            self.enter(None);
            if early.count() > 0 || early.broken.is_some() {
                let text = format!("requests for {:?} were not held: {early:?}", self.next);
                return Err(Failure::Failed(text));
            }
            match self.parked_count()? {
                Some(held) if held < self.count && Instant::now() < deadline => {}
                Some(held) if held < self.count => {
                    let text = format!("the server holds only {held} of {} requests", self.count);
                    return Err(Failure::Failed(text));
                }
                _ => return Ok(()),
            }
        }
    }

    /// What the server says of it.
    fn parked_count(&mut self) -> Result<Option<usize>, Failure> {
        let Some(admin) = &mut self.admin else { return Ok(None) };
        let metrics = admin.get("/metrics", fetch::PATIENCE).map_err(Failure::Failed)?;
        if metrics.status != 200 {
            return Err(Failure::Failed(format!("/metrics: status {}", metrics.status)));
        }
        let metrics = metrics.text();
        let lines = metrics.lines().filter(|line| line.starts_with("shardcast_parked_requests"));
        let values = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok());
        Ok(Some(values.sum()))
    }

    /// Publishes the part that everybody waits for; from when, and what came.
    fn release(&mut self) -> Result<(Instant, Round), Failure> {
        let pushed = self.on_air.pusher.push().map_err(Failure::Failed)?;
        let answers = self.crowd.answers(self.count, pushed + fetch::PATIENCE);
        let round = answers.doing("waiting failed")?;
        round.agreed().map_err(|why| {
            let (came, all) = (round.count(), self.count);
            Failure::Failed(format!("{came} of {all} were released: {why}"))
        })?;
        self.next = station::hint(self.crowd.first_answer())?.0;
        Ok((pushed, round))
    }

    /// What parked requests cost: the server's memory before, with them, and after.
    fn parking(&mut self) -> Result<Parking, Failure> {
        let look = |run: &mut Self| {
            run.crowd.rest(run.arguments.settle_memory).doing("waiting failed")?;
            proc::memory(&run.arguments.server_pid).doing("cannot read the server's memory")
        };
        let idle = look(self)?;
        self.park()?;
        let parked = look(self)?;
        self.release()?;
        let released = look(self)?;
        let added = parked.user as f64 - idle.user as f64;
        let bytes_per_request = added / self.count as f64;
        Ok(Parking { idle, parked, released, bytes_per_request })
    }

    /// The rounds, and how many were dropped.
    fn rounds(&mut self) -> Result<(Vec<Times>, usize), Failure> {
        let Parked { rounds, steal_max, .. } = *self.arguments;
        let rules = Rules { rounds: rounds as usize, steal_percent_max: steal_max };
        rounds::whole(rules, |reversed| {
            let before = ticks()?;
            let times = self.round(reversed)?;
            Ok((times, 100.0 * ticks()?.since(before).steal_share()))
        })
    }

    fn round(&mut self, reversed: bool) -> Result<Times, Failure> {
        let mut times = Times::default();
        if reversed {
            self.time_plain(&mut times)?;
        }
        self.park()?;
        self.time_release(&mut times)?;
        if !reversed {
            self.time_plain(&mut times)?;
        }
        Ok(times)
    }

    fn time_release(&mut self, times: &mut Times) -> Result<(), Failure> {
        let before = self.spent()?;
        self.enter(Some(Phase::Release));
        let (began, round) = self.release()?;
        self.enter(None);
        times.release = self.spent()?.since(&before);
        times.first_ms = milliseconds(began, round.first_byte);
        times.release_ms = milliseconds(began, round.last_byte);
        times.body_bytes = round.agreed().map_err(Failure::Failed)?;
        self.on_air.pusher.settle().map_err(Failure::Failed)
    }

    fn time_plain(&mut self, times: &mut Times) -> Result<(), Failure> {
        self.enter(Some(Phase::Quiet));
        self.crowd.rest(self.arguments.settle).doing("waiting failed")?;
        self.enter(None);
        let before = self.spent()?;
        self.enter(Some(Phase::Plain));
        let (began, round) = self.plain()?;
        self.enter(None);
        times.plain = self.spent()?.since(&before);
        times.plain_first_ms = milliseconds(began, round.first_byte);
        times.plain_ms = milliseconds(began, round.last_byte);
        Ok(())
    }

    /// What the hot client's latency is counted for; without a phase it rests.
    fn enter(&mut self, phase: Option<Phase>) {
        match (self.crowd.hot(), phase) {
            (Some(hot), Some(phase)) => hot.enter(phase),
            (Some(hot), None) => hot.rest(),
            (None, _) => {}
        }
    }

    fn spent(&self) -> Result<Account, Failure> {
        let generator = thread_cpu().doing("cannot read our CPU time")?;
        let server = proc::thread_times(&self.arguments.server_pid);
        Ok(Account { generator, server: server.doing("cannot read the server's CPU time")? })
    }
}

/// CPU times at one moment.
struct Account {
    generator: Duration,
    server: ThreadTimes,
}

impl Account {
    fn since(&self, before: &Self) -> Spent {
        Spent {
            generator: self.generator.saturating_sub(before.generator),
            server: self.server.since(&before.server),
        }
    }
}

fn ticks() -> Result<Ticks, Failure> {
    proc::machine_ticks().doing("cannot read the machine's CPU time")
}

fn milliseconds(from: Instant, to: Option<Instant>) -> f64 {
    to.map_or(f64::NAN, |to| to.saturating_duration_since(from).as_secs_f64() * 1e3)
}

fn report(
    arguments: &Parked,
    machine: Machine,
    rounds: Vec<Times>,
    dropped_rounds: usize,
    hot: Option<&mut Hot>,
    memory: Option<Parking>,
) -> Report {
    let all = |figure: &dyn Fn(&Times) -> f64| rounds.iter().map(figure).collect::<Vec<_>>();
    let estimate = |figure: &dyn Fn(&Times) -> f64| stats::estimate(&all(figure), RESAMPLES, 1);
    let ratio = estimate(&|times| times.release_ms / times.plain_ms);
    let from_first = |times: &Times| {
        (times.release_ms - times.first_ms) / (times.plain_ms - times.plain_first_ms)
    };
    let shares = |spent: &dyn Fn(&Times) -> Spent, took: &dyn Fn(&Times) -> f64| {
        let seconds: f64 = all(took).iter().sum::<f64>() / 1e3;
        let sum = |time: &dyn Fn(Spent) -> Duration| {
            rounds.iter().map(|times| time(spent(times)).as_secs_f64()).sum::<f64>() / seconds
        };
        let has_pid = !arguments.server_pid.is_empty();
        Shares {
            generator: sum(&|spent| spent.generator),
            server: has_pid.then(|| sum(&|spent| spent.server)),
        }
    };
    let hot = hot.map(|hot| {
        let figures = |phase| {
            let tally = hot.tally(phase);
            let errors = tally.errors.values().sum();
            HotFigures { requests: tally.requests, latency: tally.percentiles(), errors }
        };
        HotReport {
            quiet: figures(Phase::Quiet),
            park: figures(Phase::Park),
            release: figures(Phase::Release),
            plain: figures(Phase::Plain),
        }
    });
    let is_hot_good = hot.as_ref().is_none_or(|hot| hot.release.latency.p99_us <= HOT_P99_US_MAX);
    let is_small = memory.as_ref().is_none_or(|all| all.bytes_per_request <= PARKED_BYTES_MAX);
    Report {
        verb: "parked",
        machine,
        kept_awake: arguments.awake,
        connections: arguments.connections,
        dropped_rounds,
        body_bytes: rounds.last().map_or(0, |times| times.body_bytes),
        first_ms: estimate(&|times| times.first_ms),
        release_ms: estimate(&|times| times.release_ms),
        plain_ms: estimate(&|times| times.plain_ms),
        goal_met: ratio.median <= RATIO_MAX && is_hot_good && is_small,
        ratio,
        ratio_from_first_byte: estimate(&from_first),
        release_cpu: shares(&|times| times.release, &|times| times.release_ms),
        plain_cpu: shares(&|times| times.plain, &|times| times.plain_ms),
        hot,
        memory,
        rounds,
    }
}

fn print(report: &Report, json: bool) {
    if json {
        println!("{}", serde_json::to_string_pretty(report).expect("a report is plain data"));
        return;
    }
    let spread = |of: &Estimate| format!("{:.2} [{:.2} {:.2}]", of.median, of.low, of.high);
    println!("{}", report::machine_line(&report.machine));
    println!(
        "released    {} requests with {} bytes each; first byte after {} ms, last after {} ms",
        report.connections,
        report.body_bytes,
        spread(&report.first_ms),
        spread(&report.release_ms)
    );
    println!("plain       as many, asked at once: last byte after {} ms", spread(&report.plain_ms));
    println!(
        "ratio       {}, from the first byte on {}; {} rounds, {} dropped for steal",
        spread(&report.ratio),
        spread(&report.ratio_from_first_byte),
        report.rounds.len(),
        report.dropped_rounds
    );
    for (name, shares) in [("release", report.release_cpu), ("plain", report.plain_cpu)] {
        let server = shares.server.map_or("?".to_owned(), |share| format!("{:.0}", share * 100.0));
        let generator = shares.generator * 100.0;
        println!("CPU         {name}: server {server} %, this program {generator:.0} % of one");
    }
    if let Some(HotReport { quiet, park, release, plain }) = &report.hot {
        let all = [("quiet", quiet), ("park", park), ("release", release), ("plain", plain)];
        for (name, figures) in all {
            let HotFigures { requests, latency, errors } = figures;
            println!(
                "hot client  {name}: p50 {:.0} µs, p99 {:.0}, max {:.0}; {requests} requests, \
                 {errors} errors",
                latency.p50_us, latency.p99_us, latency.max_us
            );
        }
    }
    if let Some(Parking { idle, parked, released, bytes_per_request }) = &report.memory {
        let kib = |memory: &Memory| memory.user / 1024;
        println!(
            "memory      {bytes_per_request:.0} bytes a parked request; RSS {} KiB idle, {} parked, \
             {} released; the kernel's {} KiB more while parked",
            kib(idle),
            kib(parked),
            kib(released),
            (parked.kernel as i64 - idle.kernel as i64) / 1024
        );
    }
    let word = if report.goal_met { "met" } else { "missed" };
    println!(
        "goal        {word}: ratio ≤ {RATIO_MAX}, hot p99 in releases ≤ {HOT_P99_US_MAX} µs, \
         ≤ {PARKED_BYTES_MAX} bytes a parked request (what was not measured counts as met)"
    );
}
