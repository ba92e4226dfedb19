//! `publish`: from the last byte of a chunk that an encoder sends to the first byte that a viewer
//! gets who waits for it.

use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::Args;
use hdrhistogram::Histogram;
use serde::Serialize;

use super::duration::duration;
use super::failure::{Doing, Failure};
use super::{saturate, station, stop};
use crate::feed::clock::Clock;
use crate::feed::http::{Mode, Server};
use crate::feed::noise::{self, Shape};
use crate::feed::run::{self, Rendition, Settings, Turns};
use crate::feed::stream::Room;
use crate::feed::tally::Tally as SentTally;
use crate::load::measure::{self, Usage};
use crate::load::tally::{Latency, Seen};
use crate::load::urls;
use crate::load::viewers::{Awaited, Target, Viewers};
use crate::proc::{self, Machine};
use crate::report;
use crate::sys::poller::Poller;

/// Keys of viewers' sockets begin here; those of streams count from 0.
const VIEWER_KEYS: u64 = 1 << 32;

/// Goals for the p99: of chunks that are spread, and of all in the same instant.
const SPREAD_P99_US_MAX: f64 = 5_000.0;
const ALIGNED_P99_US_MAX: f64 = 50_000.0;

/// Above this share of questions that came too late to be held, viewers were too slow.
const LATE_SHARE_MAX: f64 = 0.01;

/// Latency of publishing: encoders and viewers on one clock
///
/// Sends channels of noise in the pace of the clock, each rendition on a connection of its own, and
/// a viewer a rendition waits for what comes next. The latency of a part is from just before the
/// kernel took its chunk's last byte to the first byte of the viewer's answer. Sender and viewers
/// share one thread, which looks for answers after every chunk that it sends: what it comes late by
/// is part of the latency, and is reported beside it.
///
/// Exit codes: 0 done, 1 failed, 2 wrong usage, 3 this program was too slow.
#[derive(Args, Debug)]
pub struct Publish {
    /// Where channels are watched, such as http://127.0.0.1:8080/tv
    url: String,
    /// Where encoders push, such as http://127.0.0.1:8082/ingest
    #[arg(long, value_name = "URL")]
    ingest: String,
    /// Channels, named PREFIX0, PREFIX1 …
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    channels: u32,
    /// What the names of channels begin with
    #[arg(long, value_name = "PREFIX", default_value = "bench")]
    channel_prefix: String,
    /// Bits a second of each rendition
    #[arg(long, value_name = "BITS", value_delimiter = ',', default_value = "3000000,1500000,500000", value_parser = clap::value_parser!(u64).range(400..=100_000_000))]
    bit_rates: Vec<u64>,
    /// Length of segments
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration)]
    segment: Duration,
    /// Length of parts; each is one chunk
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = duration)]
    part: Duration,
    /// How much of a channel the server lists, in the config that is printed
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    window: Duration,
    /// All channels send at once; otherwise they follow each other evenly within a part's length
    #[arg(long)]
    aligned: bool,
    /// What viewers wait for
    #[arg(long, value_enum, default_value = "playlist")]
    awaited: Awaited,
    /// Sending before viewers come
    #[arg(long, value_name = "TIME", default_value = "8s", value_parser = duration)]
    warmup: Duration,
    /// Length of the measurement
    #[arg(long, default_value = "30s", value_parser = duration)]
    duration: Duration,
    /// Processes of the server; their descendants are counted too
    #[arg(long, value_name = "PID", num_args = 1.., value_delimiter = ',')]
    server_pid: Vec<u32>,
    /// CPU of this program [default: where it is]
    #[arg(long, value_name = "K")]
    cpu: Option<usize>,
    /// Keep all CPUs from halting, with threads that run only when nobody else wants them
    #[arg(long)]
    awake: bool,
    /// Print what shardcast's config must have for this, and end
    #[arg(long)]
    print_config: bool,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    verb: &'static str,
    machine: Machine,
    kept_awake: bool,
    channels: u32,
    bit_rates: Vec<u64>,
    aligned: bool,
    awaited: &'static str,
    seconds: f64,
    parts: u64,
    latency: Latency,
    latency_histogram: Vec<Seen>,
    /// Questions that came when the chunk was on its way already; not in the figures.
    late_questions: u64,
    /// Between two looks for answers, the 99th percentile and the longest, in µs.
    look_p99_us: f64,
    look_max_us: f64,
    #[serde(flatten)]
    usage: Usage,
    /// CPU of the server's threads as a share of one CPU, a channel.
    server_cpu_share_per_channel: Option<f64>,
    goal_met: bool,
    sent: SentTally,
}

/// Runs the verb.
pub fn run(arguments: &Publish) -> Result<(), Failure> {
    let names: Vec<String> = (0..arguments.channels)
        .map(|index| format!("{}{index}", arguments.channel_prefix))
        .collect();
    let Publish { segment, part, window, .. } = *arguments;
    if arguments.print_config {
        let names = names.iter().map(String::as_str);
        print!("{}", station::config(names, segment, part, window));
        return Ok(());
    }
    saturate::prepare(arguments.cpu)?;
    let stop = stop::flag()?;
    let machine = proc::machine().doing("cannot read the machine's facts")?;
    let awake = saturate::keep_awake(arguments.awake, 0..machine.cpus)?;
    let mut run = Run::start(arguments, names)?;
    let (usage, elapsed) = run.measure(&stop)?;
    drop(awake);
    let report = run.report(machine, usage, elapsed);
    print(&report, arguments.json);
    verdict(&report, run.viewers.unknown_parts)
}

/// Senders and viewers.
struct Run<'a> {
    arguments: &'a Publish,
    room: Room,
    turns: Turns,
    viewers: Viewers,
    /// Keys of streams whose sockets have news.
    ready: Vec<usize>,
    /// Keys of viewers that have.
    answered: Vec<usize>,
    looked: Instant,
    /// Between looks, in ns.
    looks: Histogram<u64>,
}

impl<'a> Run<'a> {
    /// Sends for a while, and then viewers come.
    fn start(arguments: &'a Publish, channels: Vec<String>) -> Result<Self, Failure> {
        let settings = settings(arguments, channels)?;
        let clock = Clock::start(Instant::now(), settings.from, 1.0);
        let poller = Poller::new().doing("cannot make an epoll")?;
        let room = Room {
            clock,
            poller,
            tally: SentTally::default(),
            sent: Some(Vec::new()),
            log: None,
            is_alike: false,
        };
        let (authority, path) = urls::split(&arguments.url).map_err(Failure::Usage)?;
        let address = urls::resolve(authority).map_err(Failure::Usage)?;
        let prefix = path.trim_end_matches('/').to_owned();
        let target = Target { address, authority: authority.to_owned(), prefix };
        let looks = Histogram::new_with_bounds(100, 10_000_000_000, 3)
            .expect("the bounds and digits are constants that the histogram allows");
        let mut run = Self {
            arguments,
            room,
            turns: Turns::new(&settings),
            viewers: Viewers::new(target, arguments.awaited, VIEWER_KEYS),
            ready: Vec::new(),
            answered: Vec::new(),
            looked: Instant::now(),
            looks,
        };
        run.turns.begin(&mut run.room);
        run.go_on(Instant::now() + arguments.warmup, &AtomicBool::new(false))?;
        let folders = settings.channels.iter().flat_map(|channel| {
            settings.renditions.iter().map(move |one| format!("{channel}/{}", one.name))
        });
        run.viewers.connect(folders, &run.room.poller).doing("viewers cannot connect")?;
        // Until every viewer waits for something.
        run.go_on(Instant::now() + 2 * arguments.part, &AtomicBool::new(false))?;
        Ok(run)
    }

    /// Counts for as long as was asked for, or until `stop`.
    fn measure(&mut self, stop: &AtomicBool) -> Result<(Usage, Duration), Failure> {
        let arguments = self.arguments;
        let observe = || measure::observe(&arguments.server_pid).doing("cannot read CPU times");
        let before = observe()?;
        let began = Instant::now();
        self.viewers.counts_from = Some(began);
        self.looks.reset();
        self.looked = began;
        self.go_on(began + arguments.duration, stop)?;
        let elapsed = began.elapsed();
        Ok((Usage::between(&before, &observe()?, elapsed), elapsed))
    }

    /// Sends what is due, and takes what comes.
    fn go_on(&mut self, until: Instant, stop: &AtomicBool) -> Result<(), Failure> {
        while !stop.load(Ordering::Relaxed) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            let timeout = self.turns.timeout().unwrap_or(left).min(left);
            self.looked = Instant::now() + timeout;
            self.look(timeout)?;
            // After each that is sent, viewers are looked for: theirs are the moments that count.
            let now = Instant::now();
            while self.turns.drive_next_due(&mut self.room, now) {
                self.look(Duration::ZERO)?;
            }
            while let Some(key) = self.ready.pop() {
                self.turns.drive(key, &mut self.room);
                self.look(Duration::ZERO)?;
            }
        }
        Ok(())
    }

    /// Takes answers; which streams have news is remembered.
    fn look(&mut self, timeout: Duration) -> Result<(), Failure> {
        for sent in self.room.sent.as_mut().into_iter().flat_map(|log| log.drain(..)) {
            self.viewers.note(sent);
        }
        let keys = self.room.poller.wait(timeout).doing("waiting failed")?;
        // Sleeping is no delay, and what comes wakes us.
        self.looks.saturating_record(self.looked.elapsed().as_nanos() as u64);
        for key in keys {
            match key.checked_sub(VIEWER_KEYS) {
                Some(viewer) => self.answered.push(viewer as usize),
                None => self.ready.push(key as usize),
            }
        }
        for viewer in self.answered.drain(..) {
            self.viewers.receive(viewer).doing("a viewer failed")?;
        }
        self.looked = Instant::now();
        Ok(())
    }

    fn report(&self, machine: Machine, usage: Usage, elapsed: Duration) -> Report {
        let latency = self.viewers.tally.percentiles();
        let arguments = self.arguments;
        let p99_us_max = if arguments.aligned { ALIGNED_P99_US_MAX } else { SPREAD_P99_US_MAX };
        let channels = f64::from(arguments.channels);
        Report {
            verb: "publish",
            machine,
            kept_awake: arguments.awake,
            channels: arguments.channels,
            bit_rates: arguments.bit_rates.clone(),
            aligned: arguments.aligned,
            awaited: match arguments.awaited {
                Awaited::Playlist => "playlist",
                Awaited::Part => "part",
            },
            seconds: elapsed.as_secs_f64(),
            parts: self.viewers.tally.requests,
            latency,
            latency_histogram: self.viewers.tally.distribution(),
            late_questions: self.viewers.late_questions,
            look_p99_us: self.looks.value_at_quantile(0.99) as f64 / 1e3,
            look_max_us: self.looks.max() as f64 / 1e3,
            usage,
            server_cpu_share_per_channel: usage.server_cpu_share.map(|share| share / channels),
            goal_met: latency.p99_us <= p99_us_max,
            sent: self.room.tally.clone(),
        }
    }
}

fn settings(arguments: &Publish, channels: Vec<String>) -> Result<Settings, Failure> {
    let milliseconds = |duration: Duration| duration.as_millis() as u64;
    let (segment_ms, chunk_ms) = (milliseconds(arguments.segment), milliseconds(arguments.part));
    let mut renditions = Vec::new();
    for (index, bits_per_second) in arguments.bit_rates.iter().enumerate() {
        let shape = Shape { segment_ms, chunk_ms, bits_per_second: *bits_per_second };
        let track = noise::track(shape).map_err(Failure::Usage)?;
        renditions.push(Rendition { name: format!("r{index}"), track: Rc::new(track) });
    }
    let server = Server::parse(&arguments.ingest, Mode::Segments).map_err(Failure::Usage)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(Settings {
        target: run::Target::Server(Rc::new(server)),
        is_long: false,
        encoder: None,
        log: None,
        channels,
        renditions,
        from: u64::try_from(now.as_nanos()).unwrap_or(0),
        speed: 1.0,
        duration: None,
        is_alike: false,
        spread: !arguments.aligned,
        chances: Vec::new(),
        seed: 1,
    })
}

fn print(report: &Report, json: bool) {
    if json {
        println!("{}", serde_json::to_string_pretty(report).expect("a report is plain data"));
        return;
    }
    let Report { usage, sent, .. } = report;
    println!("{}", report::machine_line(&report.machine));
    println!(
        "published   {} parts of {} channels of {} renditions in {:.1} s, {}",
        report.parts,
        report.channels,
        report.bit_rates.len(),
        report.seconds,
        if report.aligned { "all channels at once" } else { "channels spread evenly" }
    );
    let latency = report::latency_line(&report.latency);
    println!("{latency}, to the first byte of the {}", report.awaited);
    print!("{}", report::histogram_lines(&report.latency_histogram));
    println!(
        "looks       every {:.0} µs at p99, {:.0} at most; {} questions came too late to be held",
        report.look_p99_us, report.look_max_us, report.late_questions
    );
    if let (Some(all), Some(one)) = (usage.server_cpu_share, report.server_cpu_share_per_channel) {
        println!("server CPU  {:.1} % of one CPU, {:.3} % a channel", all * 100.0, one * 100.0);
    }
    println!(
        "generator   {:.0} % of one CPU, at most {:.1} ms late; steal {:.2} %",
        usage.generator_cpu_share * 100.0,
        sent.worst_lateness_ms,
        usage.steal_percent
    );
    println!(
        "sender      {} chunks; {} cut off, {} refused, {} segments given up",
        sent.chunks,
        sent.cuts,
        sent.refusals.values().sum::<u64>(),
        sent.skipped_segments
    );
    let (word, most) = match report.aligned {
        false => ("p99", SPREAD_P99_US_MAX),
        true => ("p99, all at once,", ALIGNED_P99_US_MAX),
    };
    let met = if report.goal_met { "met" } else { "missed" };
    println!("goal        {met}: {word} ≤ {most} µs");
}

fn verdict(report: &Report, unknown_parts: u64) -> Result<(), Failure> {
    if report.parts == 0 && unknown_parts > 0 {
        let text = "the server numbers segments and parts in another way than by media time";
        return Err(Failure::Failed(text.to_owned()));
    }
    if report.parts == 0 {
        return Err(Failure::Failed("no viewer got what it waited for".to_owned()));
    }
    if report.usage.generator_was_busy() {
        return Err(Failure::Invalid("the generator was the limit".to_owned()));
    }
    if report.sent.was_late() {
        return Err(Failure::Invalid("chunks were sent more than their length late".to_owned()));
    }
    let all = report.parts + report.late_questions;
    if report.late_questions as f64 > all as f64 * LATE_SHARE_MAX {
        let late = report.late_questions;
        return Err(Failure::Invalid(format!("{late} of {all} questions came too late")));
    }
    Ok(())
}
