//! Clients that a server must survive: slow heads, slow readers, connections that are reset.
//!
//! One thread of the lowest priority does it all by plain non-blocking calls at evenly spaced
//! moments, so that a good client measured on the same CPU is hardly delayed by the storm's own
//! work. Everything is bounded: so many sockets, so many resets a second.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;
use socket2::Socket;

use super::schedule::Schedule;
use crate::sys::machine;
use crate::sys::socket;

/// Between two bytes of a slow head.
const HEAD_BYTE_EVERY: Duration = Duration::from_secs(5);

/// Between two reads of a slow reader.
const READ_EVERY: Duration = Duration::from_secs(1);

/// Bytes of one such read.
const READ_SIZE: usize = 1024;

/// Receive buffer of a slow reader: small, so that the server's send stops early.
const READER_BUFFER_SIZE: usize = 4096;

/// The storm sleeps this long between two looks at its schedules.
const TICK: Duration = Duration::from_micros(500);

/// How much of each kind.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Strength {
    /// Connections that send a byte of a head every five seconds.
    pub slow_heads: u32,
    /// Connections that read 1 KiB a second.
    pub slow_readers: u32,
    /// Connections made and reset, a second; every other one after a whole request.
    pub resets_per_second: u32,
}

/// What the storm has done.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Wreckage {
    /// Slow heads opened, first time and again.
    pub heads_opened: u64,
    /// Slow heads that the server ended or answered.
    pub heads_ended_by_server: u64,
    /// Slow readers opened, first time and again.
    pub readers_opened: u64,
    /// Slow readers that the server ended, or that came to the end of the body.
    pub readers_ended: u64,
    /// Bytes that they read.
    pub bytes_read: u64,
    /// Connections made and reset.
    pub resets: u64,
    /// Connections that could not be made.
    pub connect_failures: u64,
    /// Steps that were due at the end and not taken: the storm was weaker than it should be.
    pub overdue: u64,
}

/// Where the storm goes.
#[derive(Clone, Debug)]
pub struct Target {
    /// The server.
    pub address: SocketAddr,
    /// A whole request for a large body.
    pub request: Vec<u8>,
}

struct Storm {
    target: Target,
    heads: Vec<Option<Head>>,
    readers: Vec<Option<Reader>>,
    wreckage: Wreckage,
}

struct Head {
    socket: Socket,
    sent: usize,
}

struct Reader {
    socket: Socket,
    asked: bool,
}

/// Storms until `stop` is set.
pub fn run(target: Target, strength: Strength, stop: &AtomicBool) -> io::Result<Wreckage> {
    machine::yield_to_others()?;
    let mut storm = Storm {
        target,
        heads: std::iter::repeat_with(|| None).take(strength.slow_heads as usize).collect(),
        readers: std::iter::repeat_with(|| None).take(strength.slow_readers as usize).collect(),
        wreckage: Wreckage::default(),
    };
    let every = |count: u32, period: Duration| {
        (count > 0).then(|| Schedule::new(f64::from(count) / period.as_secs_f64(), 0))
    };
    let mut heads = every(strength.slow_heads, HEAD_BYTE_EVERY);
    let mut readers = every(strength.slow_readers, READ_EVERY);
    let mut resets = every(strength.resets_per_second, Duration::from_secs(1));
    let clock = Instant::now();
    let mut turn = (0, 0, 0);
    while !stop.load(Ordering::Relaxed) {
        let now = clock.elapsed().as_nanos() as u64;
        while heads.as_mut().is_some_and(|schedule| schedule.take(now).is_some()) {
            storm.push_head(turn.0 % storm.heads.len());
            turn.0 += 1;
        }
        while readers.as_mut().is_some_and(|schedule| schedule.take(now).is_some()) {
            storm.pull_reader(turn.1 % storm.readers.len());
            turn.1 += 1;
        }
        while resets.as_mut().is_some_and(|schedule| schedule.take(now).is_some()) {
            storm.reset(turn.2 % 2 == 1);
            turn.2 += 1;
        }
        // The pace of the storm itself; nothing waits for it.
        thread::sleep(TICK);
    }
    let now = clock.elapsed().as_nanos() as u64;
    let overdue = [heads, readers, resets].into_iter().flatten();
    storm.wreckage.overdue = overdue.map(|schedule| schedule.overdue(now)).sum();
    Ok(storm.wreckage)
}

impl Strength {
    /// Steps a second: bytes of heads, reads, resets.
    pub fn steps_per_second(&self) -> f64 {
        f64::from(self.slow_heads) / HEAD_BYTE_EVERY.as_secs_f64()
            + f64::from(self.slow_readers) / READ_EVERY.as_secs_f64()
            + f64::from(self.resets_per_second)
    }
}

impl Storm {
    /// One more byte of a head that never ends.
    fn push_head(&mut self, index: usize) {
        let Some(head) = &mut self.heads[index] else {
            let socket = self.connect(None);
            self.wreckage.heads_opened += u64::from(socket.is_some());
            self.heads[index] = socket.map(|socket| Head { socket, sent: 0 });
            return;
        };
        // An answer or an end means that the server has had enough.
        let ended = !matches!(head.socket.read(&mut [0; 512]), Err(error) if is_later(&error));
        // The blank line at the end of the request is never reached.
        let text = &self.target.request[..self.target.request.len() - 2];
        let byte = text.get(head.sent).copied().unwrap_or(b'a');
        let sent = !ended && head.socket.write(&[byte]).is_ok();
        head.sent += usize::from(sent);
        if ended {
            self.wreckage.heads_ended_by_server += 1;
            self.heads[index] = None;
            self.push_head(index);
        }
    }

    fn pull_reader(&mut self, index: usize) {
        let Some(reader) = &mut self.readers[index] else {
            let socket = self.connect(Some(READER_BUFFER_SIZE));
            self.wreckage.readers_opened += u64::from(socket.is_some());
            self.readers[index] = socket.map(|socket| Reader { socket, asked: false });
            return;
        };
        if !reader.asked {
            reader.asked = reader.socket.write(&self.target.request).is_ok();
            return;
        }
        match reader.socket.read(&mut [0; READ_SIZE]) {
            Ok(size) if size > 0 => self.wreckage.bytes_read += size as u64,
            Err(error) if is_later(&error) => {}
            _ => {
                self.wreckage.readers_ended += 1;
                self.readers[index] = None;
            }
        }
    }

    fn reset(&mut self, after_request: bool) {
        let Some(mut socket) = self.connect(None) else {
            return;
        };
        if after_request {
            // If it is not connected yet, it is reset without a request, which is as good.
            let _ = socket.write(&self.target.request);
        }
        // Closing with a linger of zero sends a reset instead of the usual end.
        if socket.set_linger(Some(Duration::ZERO)).is_ok() {
            self.wreckage.resets += 1;
        }
    }

    fn connect(&mut self, buffer_size: Option<usize>) -> Option<Socket> {
        let socket = socket::begin_connect(self.target.address, buffer_size);
        self.wreckage.connect_failures += u64::from(socket.is_err());
        socket.ok()
    }
}

fn is_later(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected | ErrorKind::Interrupted)
}
