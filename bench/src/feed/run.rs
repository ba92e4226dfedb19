//! All streams on one thread: whoever's chunk is due, or whose socket has news, is driven.
//!
//! A queue of wake-ups, the earliest first, and one poller. One thread is enough for a few thousand
//! streams, because a chunk costs one copy and one write.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::clock::Clock;
use super::compose::Names;
use super::fault::{Chance, Faults};
use super::folder::Folder;
use super::http::{Http, Server};
use super::log::Log;
use super::outlet::Outlet;
use super::plan::Plan;
use super::stream::{Room, Stream};
use super::tally::Tally;
use super::track::Track;
use crate::sys::machine;
use crate::sys::poller::Poller;

/// How often the progress line is written, and at least how often signals are looked for.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// A rendition that every channel has.
pub struct Rendition {
    /// Its name.
    pub name: String,
    /// Its media.
    pub track: Rc<Track>,
}

/// Where media goes.
pub enum Target {
    /// To a server.
    Server(Rc<Server>),
    /// Into a folder.
    Folder(PathBuf),
}

/// What is sent, where to and how.
pub struct Settings {
    /// Where to.
    pub target: Target,
    /// Whether every rendition is one long request.
    pub is_long: bool,
    /// Which one of a channel's encoders this is, if they are told apart.
    pub encoder: Option<String>,
    /// Where to note what was taken.
    pub log: Option<PathBuf>,
    /// Ids of the channels.
    pub channels: Vec<String>,
    /// What each of them has.
    pub renditions: Vec<Rendition>,
    /// Media time at the start, in ns since the epoch.
    pub from: u64,
    /// How many times faster than ours the time of the media runs.
    pub speed: f64,
    /// How much media, in ns; without it there is no end.
    pub duration: Option<u64>,
    /// Whether the bytes are the same as those of another feeder.
    pub is_alike: bool,
    /// Whether channels follow each other within a chunk's duration.
    pub spread: bool,
    /// Faults on command.
    pub chances: Vec<Chance>,
    /// Which segments get them.
    pub seed: u64,
}

/// Sends until the end, or until `stop`.
pub fn run(settings: &Settings, stop: &Arc<AtomicBool>) -> io::Result<Tally> {
    machine::sharpen_timers()?;
    let clock = Clock::start(Instant::now(), settings.from, settings.speed);
    let (poller, is_alike) = (Poller::new()?, settings.is_alike);
    let log = settings.log.as_deref().map(Log::create).transpose()?;
    let mut room = Room { clock, poller, tally: Tally::default(), sent: None, log, is_alike };
    let mut turns = Turns::new(settings);
    let mut progress = Progress::start();
    let mut ready = Vec::new();
    turns.begin(&mut room);
    while !stop.load(Ordering::Relaxed) {
        let now = Instant::now();
        while turns.drive_next_due(&mut room, now) {}
        progress.tell(&mut room, settings.from);
        let Some(timeout) = turns.timeout() else { break };
        ready.extend(room.poller.wait(timeout.min(PROGRESS_EVERY))?);
        for key in ready.drain(..) {
            turns.drive(key as usize, &mut room);
        }
    }
    progress.end(&mut room.tally);
    room.log.map_or(Ok(()), Log::outcome)?;
    Ok(room.tally)
}

fn streams(settings: &Settings) -> Vec<Stream> {
    let mut streams = Vec::new();
    let channel_count = settings.channels.len() as u64;
    for (channel_index, channel) in settings.channels.iter().enumerate() {
        for rendition in &settings.renditions {
            let track = &rendition.track;
            let segment = track.segment();
            let first = settings.from.div_ceil(segment);
            let end = settings.duration.map(|duration| first + duration.div_ceil(segment));
            let key = streams.len();
            let plan = Plan::new(first, end, Faults::new(&settings.chances, settings.seed, key));
            let chunk = track.nanoseconds(track.chunks(first)[0].duration);
            let offset = match settings.spread {
                true => chunk * channel_index as u64 / channel_count,
                false => 0,
            };
            let names = Names { channel: channel.clone(), rendition: rendition.name.clone() };
            let outlet = outlet(settings, &names, track.source().is_audio);
            let track = Rc::clone(track);
            let is_long = settings.is_long;
            streams.push(Stream::new(key as u64, names, track, offset, is_long, plan, outlet));
        }
    }
    streams
}

fn outlet(settings: &Settings, names: &Names, is_audio: bool) -> Outlet {
    let Names { channel, rendition } = names;
    match &settings.target {
        Target::Server(server) => {
            let place = match &settings.encoder {
                Some(encoder) => format!("/{channel}/@{encoder}/{rendition}"),
                None => format!("/{channel}/{rendition}"),
            };
            Outlet::Http(Box::new(Http::new(Rc::clone(server), place, is_audio)))
        }
        Target::Folder(path) => Outlet::Folder(Folder::new(path.join(channel).join(rendition))),
    }
}

/// Streams, and when they want to be driven.
pub struct Turns {
    streams: Vec<Stream>,
    /// How many of them have nothing left to send.
    done: usize,
    /// May hold moments that a stream no longer waits for: it then does nothing. They are gone
    /// after the longest deadline, ten seconds.
    wakes: BinaryHeap<Reverse<(Instant, usize)>>,
}

impl Turns {
    /// Nobody has been driven yet.
    pub fn new(settings: &Settings) -> Self {
        Self { streams: streams(settings), done: 0, wakes: BinaryHeap::new() }
    }

    /// Drives everybody for the first time.
    pub fn begin(&mut self, room: &mut Room) {
        (0..self.streams.len()).for_each(|index| self.drive(index, room));
    }

    /// Drives one whose socket has news; its key is its index.
    pub fn drive(&mut self, index: usize, room: &mut Room) {
        let stream = &mut self.streams[index];
        let (was_done, before) = (stream.is_done(), stream.wake_at(Instant::now()));
        stream.drive(room);
        self.done += usize::from(stream.is_done() && !was_done);
        let wake = stream.wake_at(Instant::now());
        // One that has not changed is in the queue already.
        if let Some(at) = wake.filter(|_| wake != before) {
            self.wakes.push(Reverse((at, index)));
        }
    }

    /// Drives whoever was due first at `now`; false if nobody is left who was. A stream that is
    /// late is due again at once, so a turn that shall end keeps to the moment of its beginning.
    pub fn drive_next_due(&mut self, room: &mut Room, now: Instant) -> bool {
        match self.wakes.peek().copied() {
            Some(Reverse((at, index))) if at <= now => {
                self.wakes.pop();
                self.drive(index, room);
                true
            }
            _ => false,
        }
    }

    /// How long nobody has anything to do; `None` when all are done.
    pub fn timeout(&self) -> Option<Duration> {
        if self.done == self.streams.len() {
            return None;
        }
        let next = self.wakes.peek().map(|Reverse((at, _))| *at);
        Some(next.map_or(PROGRESS_EVERY, |at| at.saturating_duration_since(Instant::now())))
    }
}

/// The progress line on a terminal, and trouble as it comes.
struct Progress {
    is_terminal: bool,
    next: Instant,
}

impl Progress {
    fn start() -> Self {
        Self { is_terminal: io::stderr().is_terminal(), next: Instant::now() + PROGRESS_EVERY }
    }

    fn tell(&mut self, room: &mut Room, from: u64) {
        let now = Instant::now();
        if now < self.next {
            return;
        }
        self.next = now + PROGRESS_EVERY;
        self.notes(&mut room.tally);
        if self.is_terminal {
            let media = (room.clock.media(now) - from) as f64 / 1e9;
            let tally = &room.tally;
            let refused: u64 = tally.refusals.values().sum();
            eprint!(
                "\r{media:.0} s of media: {} segments, {} chunks, {} MiB; {refused} refused, \
                 {} cut off; at most {:.1} ms late\x1b[K",
                tally.segments,
                tally.chunks,
                tally.bytes >> 20,
                tally.cuts,
                tally.worst_lateness_ms
            );
        }
    }

    fn notes(&self, tally: &mut Tally) {
        for note in tally.notes() {
            let clear = if self.is_terminal { "\r\x1b[K" } else { "" };
            eprintln!("{clear}shardcast-bench: {note}");
        }
    }

    fn end(&self, tally: &mut Tally) {
        if self.is_terminal {
            eprint!("\r\x1b[K");
        }
        self.notes(tally);
    }
}
