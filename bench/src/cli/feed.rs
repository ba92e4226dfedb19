//! `feed`: live media for a server, from files, in the pace of the clock.

use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use serde::Serialize;

use super::duration::duration;
use super::failure::{Doing, Failure};
use super::stop;
use crate::feed::fault::{Chance, chance};
use crate::feed::http::{Mode, Server};
use crate::feed::run::{self, Rendition, Settings, Target};
use crate::feed::source::Source;
use crate::feed::tally::Tally;
use crate::feed::track::Track;
use crate::sys::machine;

/// Most channels.
const CHANNELS_MAX: u32 = 1_000;

/// Most renditions of a channel: a ladder of eight pictures and eight languages.
const RENDITIONS_MAX: usize = 16;

/// Most streams, channels times renditions. They share a thread: a chunk takes it some 20 µs, and
/// with five chunks a second and more streams the later ones would be late.
const STREAMS_MAX: usize = 3_000;

/// Longest id of a channel or rendition, which goes into paths and URLs.
const NAME_SIZE_MAX: usize = 64;

/// Send packaged media as live channels, chunk by chunk, on the time of the epoch
///
/// Every --source is one rendition: fragmented MP4 of one track, a file or a folder with an init
/// segment and media segments. It is repeated without end. Segment k holds what begins in
/// [k·D, (k+1)·D) of Unix time; a chunk is sent when all of it has passed. Objects go to
/// URL/CHANNEL/RENDITION/init.mp4 and NUMBER.m4s (PUT), or with --mode long to stream.mp4 (POST),
/// or into the same folders below --into.
///
/// Every segment begins with an 'emsg' (scheme urn:shardcast:feed): JSON with its channel,
/// rendition and number, when it was sent (µs of Unix time) and the FNV-1a hash of its media.
///
/// Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the feeder was late by more than a chunk in more
/// than 1 % of its sends.
#[derive(Args, Debug)]
pub struct Feed {
    /// Where channels are pushed to, such as http://127.0.0.1:8082/ingest
    #[arg(required_unless_present = "into", conflicts_with = "into")]
    url: Option<String>,
    /// Write into this folder instead; files are renamed into place and never removed
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
    /// Media of one rendition; may be repeated
    #[arg(long, value_name = "FILE_OR_DIR", required = true, num_args = 1..)]
    source: Vec<PathBuf>,
    /// Name renditions after their files instead of r0, r1 …
    #[arg(long)]
    stems: bool,
    /// Length of a segment: a whole number of the source's key frame intervals
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration)]
    segment: Duration,
    /// Channels, named PREFIX0, PREFIX1 …
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=i64::from(CHANNELS_MAX)))]
    channels: u32,
    /// What the names of channels begin with
    #[arg(long, value_name = "PREFIX", default_value = "feed")]
    channel_prefix: String,
    /// Just one channel, of this name
    #[arg(long, value_name = "ID", conflicts_with_all = ["channels", "channel_prefix"])]
    channel: Option<String>,
    /// Push as this one of a channel's encoders: to URL/CHANNEL/@NAME/RENDITION
    #[arg(long, value_name = "NAME", conflicts_with = "into")]
    encoder: Option<String>,
    /// Note every segment that was taken, as soon as the server has said so: a line each,
    /// CHANNEL/RENDITION/NUMBER
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// How a rendition is cut into requests
    #[arg(long, value_enum, default_value = "segments", conflicts_with = "into")]
    mode: Mode,
    /// Channels follow each other evenly within a chunk's duration; otherwise all send at once
    #[arg(long)]
    spread: bool,
    /// Say in chunks when they were due instead of when they were sent, so that other feeders of
    /// the same sources send the same bytes
    #[arg(long)]
    alike: bool,
    /// How many times faster than the clock the media runs
    #[arg(long, value_name = "N", default_value_t = 1.0)]
    speed: f64,
    /// Start with the media of this moment in the past or future [default: now]
    #[arg(long, value_name = "UNIX_SECONDS")]
    from: Option<f64>,
    /// End after so much media, in whole segments; otherwise with SIGINT or SIGTERM
    #[arg(long, value_name = "TIME", value_parser = duration)]
    duration: Option<Duration>,
    /// What goes wrong with a segment, and how probably, as in kill:0.01; may be repeated
    ///
    /// kill: the connection is closed in the middle of a chunk. tear: the segment ends early, as if
    /// that were all. duplicate: it is sent twice. late: it comes after the next one. other: it is
    /// sent twice, with other bytes the second time.
    #[arg(long, value_name = "KIND:P", value_parser = chance)]
    fault: Vec<Chance>,
    /// Seed of the faults
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    verb: &'static str,
    channels: usize,
    renditions: Vec<String>,
    segment_seconds: f64,
    speed: f64,
    /// The number of the first segment.
    first_segment: u64,
    seed: u64,
    #[serde(flatten)]
    tally: Tally,
}

/// Runs the verb.
pub fn run(arguments: &Feed) -> Result<(), Failure> {
    let settings = settings(arguments)?;
    machine::raise_open_files().doing("cannot raise the limit of open files")?;
    let stop = stop::flag()?;
    let tally = run::run(&settings, &stop).doing("the feeder failed")?;
    let segment = arguments.segment.as_nanos() as u64;
    let report = Report {
        verb: "feed",
        channels: settings.channels.len(),
        renditions: settings.renditions.into_iter().map(|rendition| rendition.name).collect(),
        segment_seconds: arguments.segment.as_secs_f64(),
        speed: arguments.speed,
        first_segment: settings.from.div_ceil(segment),
        seed: arguments.seed,
        tally,
    };
    print(&report, arguments.json);
    let tally = &report.tally;
    if tally.segments == 0 && !(tally.refusals.is_empty() && tally.cuts == 0) {
        return Err(Failure::Failed("no segment was taken".to_owned()));
    }
    if tally.was_late() {
        let (late, all) = (tally.late_sends, tally.timed_sends);
        let text = format!("{late} of {all} chunks were sent more than a chunk's duration late");
        return Err(Failure::Invalid(text));
    }
    Ok(())
}

fn settings(arguments: &Feed) -> Result<Settings, Failure> {
    let segment = u64::try_from(arguments.segment.as_nanos()).unwrap_or(u64::MAX);
    if !(1_000_000..=3_600_000_000_000).contains(&segment) {
        return Err(Failure::Usage("--segment is from 1 ms to an hour".to_owned()));
    }
    if !(arguments.speed > 0.0 && arguments.speed <= 10_000.0) {
        return Err(Failure::Usage("--speed is above 0, and at most 10000".to_owned()));
    }
    if arguments.fault.iter().map(|Chance(_, share)| share).sum::<f64>() > 1.0 {
        return Err(Failure::Usage("the chances of all faults are at most 1 together".to_owned()));
    }
    let target = match (&arguments.url, &arguments.into) {
        (_, Some(folder)) => Target::Folder(folder.clone()),
        (Some(url), None) => {
            let server = Server::parse(url, arguments.mode).map_err(Failure::Usage)?;
            Target::Server(Rc::new(server))
        }
        (None, None) => return Err(Failure::Usage("give a URL, or --into DIR".to_owned())),
    };
    arguments.encoder.iter().try_for_each(|name| check_name(name))?;
    let channels = channels(arguments)?;
    let renditions = renditions(arguments, segment)?;
    let count = channels.len() * renditions.len();
    if count > STREAMS_MAX {
        return Err(Failure::Usage(format!("{count} streams: at most {STREAMS_MAX} are sent")));
    }
    Ok(Settings {
        target,
        is_long: arguments.mode == Mode::Long,
        encoder: arguments.encoder.clone(),
        log: arguments.log.clone(),
        channels,
        renditions,
        from: from(arguments)?,
        speed: arguments.speed,
        duration: arguments.duration.map(|duration| duration.as_nanos() as u64),
        is_alike: arguments.alike,
        spread: arguments.spread,
        chances: arguments.fault.clone(),
        seed: arguments.seed,
    })
}

fn channels(arguments: &Feed) -> Result<Vec<String>, Failure> {
    let names: Vec<String> = match &arguments.channel {
        Some(name) => vec![name.clone()],
        None => (0..arguments.channels)
            .map(|index| format!("{}{index}", arguments.channel_prefix))
            .collect(),
    };
    names.iter().try_for_each(|name| check_name(name))?;
    Ok(names)
}

fn renditions(arguments: &Feed, segment: u64) -> Result<Vec<Rendition>, Failure> {
    if arguments.source.len() > RENDITIONS_MAX {
        return Err(Failure::Usage(format!("at most {RENDITIONS_MAX} renditions are sent")));
    }
    let mut renditions: Vec<Rendition> = Vec::new();
    for (index, path) in arguments.source.iter().enumerate() {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let name = if arguments.stems { stem.into_owned() } else { format!("r{index}") };
        check_name(&name)?;
        if renditions.iter().any(|other| other.name == name) {
            return Err(Failure::Usage(format!("two renditions would be called '{name}'")));
        }
        let source = Source::open(path).map_err(Failure::Usage)?;
        let track = Rc::new(Track::new(source, segment).map_err(Failure::Usage)?);
        renditions.push(Rendition { name, track });
    }
    Ok(renditions)
}

/// Names go into paths, URLs and JSON as they are.
fn check_name(name: &str) -> Result<(), Failure> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let is_good = !name.is_empty()
        && name.len() <= NAME_SIZE_MAX
        && !name.starts_with('.')
        && name.bytes().all(is_plain);
    if is_good {
        return Ok(());
    }
    let text = "at most 64 letters, digits, '-', '_' and '.' make a name";
    Err(Failure::Usage(format!("'{name}': {text}")))
}

/// Media time at the start, in ns since the epoch.
fn from(arguments: &Feed) -> Result<u64, Failure> {
    let since = match arguments.from {
        Some(seconds) => Duration::try_from_secs_f64(seconds)
            .map_err(|_| Failure::Usage("--from is no Unix time".to_owned()))?,
        None => SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_err(|_| Failure::Failed("the clock is before 1970".to_owned()))?,
    };
    // An hour of segments past the year 2500 still fits 64 bits.
    u64::try_from(since.as_nanos())
        .ok()
        .filter(|from| *from < 1 << 63)
        .ok_or_else(|| Failure::Usage("--from is too far away".to_owned()))
}

fn print(report: &Report, json: bool) {
    if json {
        println!("{}", serde_json::to_string_pretty(report).expect("a report is plain data"));
        return;
    }
    let tally = &report.tally;
    let streams = report.channels * report.renditions.len();
    println!(
        "sent        {} segments in {} chunks, {:.1} MiB; {streams} streams from segment {}",
        tally.segments,
        tally.chunks,
        tally.bytes as f64 / f64::from(1 << 20),
        report.first_segment
    );
    println!(
        "lateness    {:.1} ms at worst, {} of {} chunks by more than a chunk; the server held \
         chunks back for up to {:.1} ms",
        tally.worst_lateness_ms,
        tally.late_sends,
        tally.timed_sends,
        tally.worst_wait_for_server_ms
    );
    for (status, count) in &tally.refusals {
        println!("refused     {count} × status {status}");
    }
    if tally.cuts + tally.resent_segments + tally.skipped_segments > 0 {
        println!(
            "outages     {} times cut off; {} segments sent again, {} given up",
            tally.cuts, tally.resent_segments, tally.skipped_segments
        );
    }
    let faults: Vec<_> =
        tally.faults.iter().map(|(name, count)| format!("{count} {name}")).collect();
    if !faults.is_empty() {
        println!("faults      {} (seed {})", faults.join(", "), report.seed);
    }
}
