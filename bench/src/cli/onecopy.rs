//! `onecopy`: the server's memory with one viewer of a channel, and with many.

use std::time::Instant;

use clap::Args;
use serde::Serialize;

use super::failure::{Doing, Failure};
use super::saturate;
use super::station::{self, OnAir, Station};
use crate::load::crowd::Crowd;
use crate::load::fetch;
use crate::proc::{self, Machine};
use crate::report;
use crate::stats::{self, Estimate, RESAMPLES};

/// Everybody who watches fetches one part of so many; the playlist, whenever it changes.
const FETCH_EVERY: u32 = 8;

/// Memory of a server with one viewer of a channel, and with many
///
/// Pushes a channel of noise by itself. All connections are open, and have asked for something, all
/// the time, so what connections cost is in both figures. In turn one viewer and all of them follow
/// the channel: they wait for the playlist with each part, and fetch every eighth part. The figures
/// are means over all parts of a turn, because memory of media comes and goes in large pieces.
#[derive(Args, Debug)]
pub struct Onecopy {
    #[command(flatten)]
    station: Station,
    /// Viewers
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(2..=20_000))]
    viewers: u32,
    /// Parts of a turn
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    parts: u32,
    /// Pairs of turns
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pairs: u32,
    /// Processes of the server; their descendants are counted too
    #[arg(long, value_name = "PID", num_args = 1.., value_delimiter = ',', required_unless_present = "print_config")]
    server_pid: Vec<u32>,
    /// CPU of this program [default: where it is]
    #[arg(long, value_name = "K")]
    cpu: Option<usize>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    verb: &'static str,
    machine: Machine,
    viewers: u32,
    /// Bytes of media that all viewers have fetched.
    fetched_bytes: u64,
    one: Means,
    all: Means,
    /// What one more viewer has added.
    per_viewer: Means,
}

/// Bytes, of the turns' means.
#[derive(Serialize)]
struct Means {
    /// Resident memory of the server.
    user: Estimate,
    /// The whole machine's memory files, where media lies.
    files: Estimate,
    /// The whole machine's kernel, both ends of connections.
    kernel: Estimate,
}

/// Means over a turn, in bytes.
#[derive(Clone, Copy, Default)]
struct Turn {
    user: f64,
    files: f64,
    kernel: f64,
}

struct Run<'a> {
    arguments: &'a Onecopy,
    on_air: OnAir,
    crowd: Crowd,
    fetched: u64,
}

/// Runs the verb.
pub fn run(arguments: &Onecopy) -> Result<(), Failure> {
    if arguments.station.prints_config() {
        return Ok(());
    }
    saturate::prepare(arguments.cpu)?;
    let on_air = arguments.station.start()?;
    let count = arguments.viewers as usize;
    let crowd = Crowd::connect(on_air.address, count, None, None)
        .doing(&format!("cannot open {count} connections"))?;
    let mut run = Run { arguments, on_air, crowd, fetched: 0 };
    let plain = run.on_air.request("ll.m3u8");
    run.all_ask(&plain, count)?;
    // What has left the window stays for a while, so that there is more of it at first.
    run.turn(1)?;
    let (mut ones, mut alls) = (Vec::new(), Vec::new());
    for _ in 0..arguments.pairs {
        ones.push(run.turn(1)?);
        alls.push(run.turn(count)?);
    }
    let machine = proc::machine().doing("cannot read the machine's facts")?;
    let report = report(arguments, machine, &ones, &alls, run.fetched);
    print(&report, arguments.json);
    Ok(())
}

impl Run<'_> {
    fn all_ask(&mut self, request: &[u8], count: usize) -> Result<u64, Failure> {
        let asked = self.crowd.all_ask(request, count, fetch::PATIENCE);
        let (_, round) = asked.map_err(Failure::Failed)?;
        round.agreed().map_err(Failure::Failed)
    }

    /// So many viewers follow the channel for a turn.
    fn turn(&mut self, viewers: usize) -> Result<Turn, Failure> {
        let parts = self.arguments.parts;
        let plain = self.on_air.request("ll.m3u8");
        self.all_ask(&plain, 1)?;
        let mut sum = Turn::default();
        for part in 0..parts {
            let (next, name) = station::hint(self.crowd.first_answer())?;
            let reload = self.on_air.reload(next);
            self.crowd.ask(&reload, viewers).map_err(Failure::Failed)?;
            let is_one_text = !self.on_air.pusher.is_last();
            self.on_air.pusher.push().map_err(Failure::Failed)?;
            let deadline = Instant::now() + fetch::PATIENCE;
            let round = self.crowd.answers(viewers, deadline).doing("waiting failed")?;
            if is_one_text {
                round.agreed().map_err(Failure::Failed)?;
            } else {
                // Answers may be of two texts, and hint at what is there already.
                round.whole().map_err(Failure::Failed)?;
                self.on_air.pusher.settle().map_err(Failure::Failed)?;
                self.all_ask(&plain, 1)?;
            }
            if part % FETCH_EVERY == 0 {
                let media = self.on_air.request(&name);
                self.fetched += self.all_ask(&media, viewers)? * viewers as u64;
                // The next hint stands in a playlist again.
                self.all_ask(&plain, 1)?;
            }
            let memory = proc::memory(&self.arguments.server_pid);
            let memory = memory.doing("cannot read the server's memory")?;
            sum.user += memory.user as f64 / f64::from(parts);
            sum.files += memory.files as f64 / f64::from(parts);
            sum.kernel += memory.kernel as f64 / f64::from(parts);
        }
        Ok(sum)
    }
}

fn report(
    arguments: &Onecopy,
    machine: Machine,
    ones: &[Turn],
    alls: &[Turn],
    fetched_bytes: u64,
) -> Report {
    let more = f64::from(arguments.viewers - 1);
    let added = |(all, one): (&Turn, &Turn)| Turn {
        user: (all.user - one.user) / more,
        files: (all.files - one.files) / more,
        kernel: (all.kernel - one.kernel) / more,
    };
    let per_viewer: Vec<_> = alls.iter().zip(ones).map(added).collect();
    Report {
        verb: "onecopy",
        machine,
        viewers: arguments.viewers,
        fetched_bytes,
        one: means(ones),
        all: means(alls),
        per_viewer: means(&per_viewer),
    }
}

fn means(turns: &[Turn]) -> Means {
    let of = |figure: fn(&Turn) -> f64| {
        let values: Vec<_> = turns.iter().map(figure).collect();
        stats::estimate(&values, RESAMPLES, 1)
    };
    Means {
        user: of(|turn| turn.user),
        files: of(|turn| turn.files),
        kernel: of(|turn| turn.kernel),
    }
}

fn print(report: &Report, json: bool) {
    if json {
        println!("{}", serde_json::to_string_pretty(report).expect("a report is plain data"));
        return;
    }
    let spread = |of: &Estimate, unit: f64| {
        format!("{:.1} [{:.1} {:.1}]", of.median / unit, of.low / unit, of.high / unit)
    };
    let mib = f64::from(1 << 20);
    println!("{}", report::machine_line(&report.machine));
    for (who, means) in [("one viewer", &report.one), ("all viewers", &report.all)] {
        let (user, files) = (spread(&means.user, mib), spread(&means.files, mib));
        println!("{who:<11} RSS of the server {user} MiB, memory files {files} MiB");
    }
    let Means { user, files, kernel } = &report.per_viewer;
    println!(
        "each more   {} bytes of RSS, {} of memory files, {} of the kernel (both ends), beside its \
         connection; {} viewers fetched {} MiB",
        spread(user, 1.0),
        spread(files, 1.0),
        spread(kernel, 1.0),
        report.viewers,
        report.fetched_bytes >> 20
    );
}
