//! Drives the connections: sends requests, takes responses in, and counts what happened.
//!
//! One turn is one system call: it hands in every operation that was prepared, waits, and brings
//! back completions. A connection's next request is prepared in the turn in which its last
//! response became whole. Small responses come through one standing receive a connection
//! (`Way::Stream`); large ones by a receive of the head, and then receives that throw the body
//! away in the kernel or copy it (`Way::Exact`). Both ways read any response correctly.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use super::random::Random;
use super::response::{Progress, Receiver, Response};
use super::schedule::Schedule;
use super::tally::{Failure, Tally};
use super::urls::UrlSet;
use crate::sys::ring::{Completion, LoadRing, Operation, Shape, Taking, Wait};
use crate::sys::socket;

/// How long a turn waits when nothing is scheduled; also how soon the end of a run is noticed.
const TURN_AT_MOST: Duration = Duration::from_millis(20);

/// Pause before a connection that could not be made is tried again.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// A run whose connections are all down for this long is given up.
const DOWN_AT_MOST: Duration = Duration::from_secs(3);

/// A response that takes longer than this counts as stalled at the end of a run.
const STALLED_AFTER: Duration = Duration::from_secs(5);

/// How responses are received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// One standing receive a connection, into provided buffers: the cheapest for small responses.
    Stream,
    /// The head into a provided buffer, then the body by receives of its remaining length.
    Exact,
}

/// How the generator works; every figure of a report depends on these.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Connections, all kept alive.
    pub connections: u32,
    /// How responses are received.
    pub way: Way,
    /// Bytes of a buffer for heads and small responses.
    pub buffer_size: u32,
    /// Whether large bodies are copied.
    pub taking: Taking,
    /// Largest single receive of a large body, in bytes.
    pub take_size_max: u32,
    /// Requests a second in an open loop; `None` is a closed loop.
    pub rate: Option<f64>,
    /// Completions that a turn of a closed loop waits for …
    pub gather_count: usize,
    /// … for at most this long.
    pub gather_time: Duration,
    /// Chooses the URLs.
    pub seed: u64,
    /// Each URL is asked for once, in the order of the list, and then nothing; else they are drawn.
    /// For an open loop, and URLs of one address.
    pub once: bool,
    /// Congestion control of the client's sockets; `None` leaves the system's.
    pub congestion: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// No socket.
    Down { retry_at: u64 },
    /// Free for a request.
    Idle,
    /// A response is awaited.
    Busy,
    /// Shut down; the standing receive has yet to end.
    Ending,
}

struct Connection {
    stage: Stage,
    group: u32,
    url: u32,
    /// When the request was sent or meant to be, in nanoseconds of the engine's clock.
    since: u64,
    receiver: Receiver,
}

/// The generator.
pub struct Engine<'a> {
    ring: LoadRing,
    urls: &'a UrlSet,
    settings: Settings,
    connections: Vec<Connection>,
    idle: VecDeque<u32>,
    down: Vec<u32>,
    schedule: Option<Schedule>,
    /// Body sizes seen first, a URL each; `u64::MAX` means none yet.
    sizes: Vec<u64>,
    random: Random,
    /// Requests sent so far.
    sent: usize,
    clock: Instant,
    now: u64,
    alive_at: u64,
    tally: Tally,
}

impl<'a> Engine<'a> {
    /// Connects everything; the first request is sent by `run`.
    pub fn connect(urls: &'a UrlSet, settings: Settings) -> io::Result<Self> {
        let count = settings.connections;
        let shape = Shape {
            slot_count: count,
            // In flight at once are at most as many buffers as connections; a shortage only costs
            // a new standing receive. Few buffers stay in the cache.
            buffer_count: count.next_power_of_two().clamp(64, 4096) as u16,
            buffer_size: settings.buffer_size,
            taking: settings.taking,
            take_size_max: settings.take_size_max,
        };
        let ring = LoadRing::new(&shape, urls.shared_bytes())?;
        let groups = urls.groups().len() as u32;
        let connection = |slot| Connection {
            stage: Stage::Down { retry_at: 0 },
            group: slot % groups,
            url: 0,
            since: 0,
            receiver: Receiver::default(),
        };
        let mut engine = Self {
            ring,
            urls,
            connections: (0..count).map(connection).collect(),
            idle: VecDeque::with_capacity(count as usize),
            down: Vec::new(),
            schedule: None,
            sizes: vec![u64::MAX; urls.count()],
            random: Random::new(settings.seed),
            sent: 0,
            clock: Instant::now(),
            now: 0,
            alive_at: 0,
            tally: Tally::new(),
            settings,
        };
        for slot in 0..count {
            engine.open(slot)?;
        }
        Ok(engine)
    }

    /// Runs for `duration` and returns what was counted in it, with the time it really took.
    ///
    /// Exchanges that are under way at the end go on in the next call, so that a warm-up is simply
    /// a call whose result is dropped. An open loop begins anew.
    pub fn run(&mut self, duration: Duration) -> io::Result<(Tally, Duration)> {
        self.schedule = None;
        self.go_on(duration)
    }

    /// The same, but an open loop goes on: what was due before and has not been sent still is.
    pub fn go_on(&mut self, duration: Duration) -> io::Result<(Tally, Duration)> {
        self.tally = Tally::new();
        let start = self.tick();
        let end = start + duration.as_nanos() as u64;
        self.alive_at = start;
        let begin = |rate| Schedule::new(rate, start);
        self.schedule = self.schedule.take().or_else(|| self.settings.rate.map(begin));
        let mut completions = Vec::with_capacity(8192);
        self.start_due()?;
        while self.now < end {
            let wait = self.wait(end);
            self.ring.turn(wait, &mut completions)?;
            self.tick();
            for completion in completions.drain(..) {
                self.handle(completion)?;
            }
            if !self.down.is_empty() {
                self.revive()?;
            }
            self.start_due()?;
        }
        self.count_stalled(duration);
        Ok((self.tally.clone(), Duration::from_nanos(self.now - start)))
    }

    /// Requests of the open loop that were due and found no free connection.
    pub fn overdue(&self) -> u64 {
        self.schedule.as_ref().map_or(0, |schedule| schedule.overdue(self.now))
    }

    fn tick(&mut self) -> u64 {
        self.now = self.clock.elapsed().as_nanos() as u64;
        self.now
    }

    fn wait(&self, end: u64) -> Wait {
        let until_end = Duration::from_nanos(end.saturating_sub(self.now));
        let (want, at_most) = match &self.schedule {
            Some(schedule) if !self.idle.is_empty() && !self.is_spent() => {
                (1, Duration::from_nanos(schedule.next_at().saturating_sub(self.now)))
            }
            Some(_) => (1, TURN_AT_MOST),
            None => (self.settings.gather_count, TURN_AT_MOST),
        };
        Wait { want, gather: self.settings.gather_time, at_most: at_most.min(until_end) }
    }

    /// Whether everything was asked for that is asked for once.
    fn is_spent(&self) -> bool {
        self.settings.once && self.sent == self.urls.count()
    }

    /// Sends what is due: everything a free connection can carry, or what the schedule says.
    fn start_due(&mut self) -> io::Result<()> {
        while let Some(&slot) = self.idle.front() {
            if self.is_spent() {
                return Ok(());
            }
            let since = match &mut self.schedule {
                None => self.now,
                Some(schedule) => match schedule.take(self.now) {
                    Some(intended) => intended,
                    None => return Ok(()),
                },
            };
            self.idle.pop_front();
            self.start(slot, since)?;
        }
        Ok(())
    }

    fn start(&mut self, slot: u32, since: u64) -> io::Result<()> {
        let connection = &mut self.connections[slot as usize];
        let urls = &self.urls.groups()[connection.group as usize].urls;
        let url = match urls.len() {
            1 => urls.start,
            _ if self.settings.once => urls.start + self.sent,
            count => urls.start + self.random.below(count),
        };
        connection.url = url as u32;
        connection.since = since;
        connection.stage = Stage::Busy;
        self.sent += 1;
        self.ring.send(slot, self.urls.request(url))?;
        match self.settings.way {
            Way::Stream => Ok(()),
            Way::Exact => self.ring.head(slot, false),
        }
    }

    fn handle(&mut self, completion: Completion) -> io::Result<()> {
        let Completion { slot, operation, result, .. } = completion;
        match operation {
            // The receive of the same connection ends too, and opens it anew.
            Operation::Send => {
                self.tally.fail(Failure::Send);
                Ok(())
            }
            Operation::Stream | Operation::Head if result > 0 => self.take_bytes(completion),
            Operation::Take if result > 0 => {
                let connection = &mut self.connections[slot as usize];
                let progress = connection.receiver.skip(result as u64);
                self.advance(slot, progress, completion.nonempty)
            }
            Operation::Stream | Operation::Head if -result == libc::ENOBUFS => {
                self.receive_again(slot, operation)
            }
            _ => self.end(slot, result),
        }
    }

    fn take_bytes(&mut self, completion: Completion) -> io::Result<()> {
        let Completion { slot, operation, .. } = completion;
        let buffer = completion.buffer.expect("a receive with bytes names its buffer");
        let bytes = self.ring.bytes(buffer, completion.result as usize);
        let connection = &mut self.connections[slot as usize];
        let outcome = match connection.stage {
            Stage::Busy => connection.receiver.feed(bytes).map_err(Failure::Malformed),
            // Already given up: the rest is drained until the receive ends.
            Stage::Ending | Stage::Down { .. } => Ok(Progress::More),
            Stage::Idle => Err(Failure::Unasked),
        };
        let size = bytes.len();
        self.ring.recycle(buffer);
        let outcome = match outcome {
            Ok(Progress::Whole(_, used)) if used < size => Err(Failure::Unasked),
            other => other,
        };
        if operation == Operation::Stream && !completion.more {
            self.ring.stream(slot)?;
        }
        match outcome {
            Ok(progress) => self.advance(slot, progress, completion.nonempty),
            Err(failure) => self.give_up(slot, failure),
        }
    }

    /// Goes on after some bytes: asks for more of them, or finishes the exchange.
    fn advance(&mut self, slot: u32, progress: Progress, soon: bool) -> io::Result<()> {
        if let Progress::Whole(response, _) = progress {
            return self.finish(slot, response);
        }
        if self.settings.way == Way::Stream {
            return Ok(());
        }
        match self.connections[slot as usize].receiver.skippable() {
            0 => self.ring.head(slot, soon),
            remaining => self.ring.take(slot, remaining, soon),
        }
    }

    fn finish(&mut self, slot: u32, response: Response) -> io::Result<()> {
        self.count(slot, response);
        if response.close {
            self.tally.reconnects += 1;
            return self.close(slot);
        }
        if self.schedule.is_some() {
            self.connections[slot as usize].stage = Stage::Idle;
            self.idle.push_back(slot);
            return Ok(());
        }
        self.start(slot, self.now)
    }

    fn count(&mut self, slot: u32, response: Response) {
        let connection = &self.connections[slot as usize];
        let known = &mut self.sizes[connection.url as usize];
        if !(200..300).contains(&response.status) {
            self.tally.fail(Failure::Status(response.status));
        } else if *known != u64::MAX && *known != response.body_size {
            self.tally.fail(Failure::LengthChanged);
        } else {
            *known = response.body_size;
            self.tally.record(response.body_size, self.now.saturating_sub(connection.since));
        }
        self.alive_at = self.now;
    }

    fn give_up(&mut self, slot: u32, failure: Failure) -> io::Result<()> {
        self.tally.fail(failure);
        self.close(slot)
    }

    /// Ends a connection from this side and opens it anew.
    fn close(&mut self, slot: u32) -> io::Result<()> {
        self.idle.retain(|other| *other != slot);
        match self.settings.way {
            // The standing receive ends first, so that none of its bytes meet the next socket.
            Way::Stream => {
                self.connections[slot as usize].stage = Stage::Ending;
                self.ring.shut_down(slot);
                Ok(())
            }
            Way::Exact => self.open(slot),
        }
    }

    /// The peer has ended the connection, or an operation has failed.
    fn end(&mut self, slot: u32, result: i32) -> io::Result<()> {
        let connection = &mut self.connections[slot as usize];
        let began = !connection.receiver.is_at_start();
        let last = connection.receiver.end();
        match (connection.stage, last) {
            (Stage::Busy, Some(response)) if result == 0 => self.count(slot, response),
            (Stage::Busy, _) if -result == libc::ECONNRESET => self.tally.fail(Failure::Reset),
            (Stage::Busy, _) if began => self.tally.fail(Failure::Short),
            (Stage::Busy, _) => self.tally.fail(Failure::Unanswered),
            // An idle connection may be ended by the server at any time.
            (Stage::Idle, _) => {
                self.idle.retain(|other| *other != slot);
                self.tally.reconnects += 1;
            }
            (Stage::Ending | Stage::Down { .. }, _) => {}
        }
        self.open(slot)
    }

    fn open(&mut self, slot: u32) -> io::Result<()> {
        let connection = &mut self.connections[slot as usize];
        connection.receiver = Receiver::default();
        let address = self.urls.groups()[connection.group as usize].address;
        let congestion = self.settings.congestion.as_deref();
        match socket::connect(address, slot as usize, congestion) {
            Ok(socket) => {
                self.ring.place(slot, Some(socket))?;
                if self.settings.way == Way::Stream {
                    self.ring.stream(slot)?;
                }
                connection.stage = Stage::Idle;
                self.idle.push_back(slot);
            }
            Err(error) if is_hopeless(&error) => return Err(error),
            Err(_) => {
                self.tally.fail(Failure::Connect);
                self.ring.place(slot, None)?;
                let retry_at = self.now + RETRY_AFTER.as_nanos() as u64;
                connection.stage = Stage::Down { retry_at };
                self.down.push(slot);
            }
        }
        Ok(())
    }

    fn revive(&mut self) -> io::Result<()> {
        if self.down.len() == self.connections.len()
            && self.now > self.alive_at + DOWN_AT_MOST.as_nanos() as u64
        {
            let text = "no connection could be made for three seconds";
            return Err(io::Error::new(io::ErrorKind::ConnectionRefused, text));
        }
        let is_due = |slot: &mut u32| match self.connections[*slot as usize].stage {
            Stage::Down { retry_at } => retry_at <= self.now,
            _ => false,
        };
        let due: Vec<u32> = self.down.extract_if(.., is_due).collect();
        due.into_iter().try_for_each(|slot| self.open(slot))
    }

    fn receive_again(&mut self, slot: u32, operation: Operation) -> io::Result<()> {
        match operation {
            Operation::Stream => self.ring.stream(slot),
            _ => self.ring.head(slot, true),
        }
    }

    fn count_stalled(&mut self, duration: Duration) {
        let limit = STALLED_AFTER.min(duration).as_nanos() as u64;
        for connection in &self.connections {
            if connection.stage == Stage::Busy && self.now - connection.since.min(self.now) >= limit
            {
                self.tally.fail(Failure::Stalled);
            }
        }
    }
}

/// Errors that trying again cannot mend: no descriptors, no such option, no permission.
fn is_hopeless(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOENT | libc::EPERM | libc::EACCES)
    )
}
