//! A good client whose latency is watched while others do something: an open loop at a fixed rate.
//!
//! It never waits: whoever has the thread calls `turn` often. What a turn comes late by is part of
//! the latency, so it can only be overstated.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::response::{Progress, Receiver};
use super::schedule::Schedule;
use super::tally::{Failure, Tally};
use super::urls::UrlSet;
use crate::sys::socket;

/// Connections. A request that finds none free waits, and its latency counts from before.
const CONNECTIONS: usize = 16;

/// What others do meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nothing much.
    Quiet,
    /// Requests come that will be held.
    Park,
    /// Parked requests are released.
    Release,
    /// Plain requests are answered.
    Plain,
}

/// The client.
pub struct Hot {
    request: Vec<u8>,
    clock: Instant,
    rate: f64,
    clients: Vec<Client>,
    /// While nobody can look after it, it rests.
    active: Option<(Phase, Schedule)>,
    tallies: [Tally; 4],
}

struct Client {
    socket: TcpStream,
    receiver: Receiver,
    /// When its request was meant to be sent, in ns of the clock, and what was going on then.
    asked: Option<(u64, Phase)>,
}

impl Hot {
    /// Will ask for `url` so many times a second; it rests at first.
    pub fn connect(url: &str, rate: f64, congestion: Option<&str>) -> Result<Self, String> {
        let urls = UrlSet::parse([url])?;
        let address = urls.groups()[0].address;
        let mut clients = Vec::new();
        for _ in 0..CONNECTIONS {
            let connected = socket::connect(address, 0, congestion).map(TcpStream::from);
            let socket = connected.map_err(|error| format!("{url}: {error}"))?;
            socket.set_nonblocking(true).map_err(|error| error.to_string())?;
            clients.push(Client { socket, receiver: Receiver::default(), asked: None });
        }
        Ok(Self {
            request: urls.bytes().to_vec(),
            clock: Instant::now(),
            rate,
            clients,
            active: None,
            tallies: std::array::from_fn(|_| Tally::new()),
        })
    }

    /// Its sockets, for a poller.
    pub fn sockets(&self) -> impl Iterator<Item = &TcpStream> {
        self.clients.iter().map(|client| &client.socket)
    }

    /// Something else begins; what is due still belongs to what was before.
    pub fn enter(&mut self, phase: Phase) {
        self.turn();
        let begin = || Schedule::new(self.rate, self.clock.elapsed().as_nanos() as u64);
        let schedule = self.active.take().map_or_else(begin, |(_, schedule)| schedule);
        self.active = Some((phase, schedule));
    }

    /// Nothing more is sent until something begins.
    pub fn rest(&mut self) {
        self.turn();
        self.active = None;
    }

    /// What was counted of requests that were meant to be sent in this phase.
    pub fn tally(&self, phase: Phase) -> &Tally {
        &self.tallies[phase as usize]
    }

    /// How long nothing is to be sent.
    pub fn due_in(&self, now: Instant) -> Duration {
        let now = now.saturating_duration_since(self.clock).as_nanos() as u64;
        let next = self.active.as_ref().map(|(_, schedule)| schedule.next_at());
        next.map_or(Duration::MAX, |next| Duration::from_nanos(next.saturating_sub(now)))
    }

    /// Takes answers, and sends what is due.
    pub fn turn(&mut self) {
        let mut now = self.clock.elapsed().as_nanos() as u64;
        for client in &mut self.clients {
            if let Some((meant, phase)) = client.asked {
                match client.receive() {
                    Ok(None) => continue,
                    Ok(Some(size)) => {
                        now = self.clock.elapsed().as_nanos() as u64;
                        self.tallies[phase as usize].record(size, now - meant);
                    }
                    Err(failure) => self.tallies[phase as usize].fail(failure),
                }
                client.asked = None;
            }
            if let Some((phase, schedule)) = &mut self.active
                && let Some(meant) = schedule.take(now)
            {
                match client.socket.write(&self.request) {
                    Ok(size) if size == self.request.len() => client.asked = Some((meant, *phase)),
                    _ => self.tallies[*phase as usize].fail(Failure::Send),
                }
            }
        }
    }
}

impl Client {
    /// The size of the answer's body, if the answer is whole.
    fn receive(&mut self) -> Result<Option<u64>, Failure> {
        let mut buffer = [0; 16 * 1024];
        loop {
            let size = match self.socket.read(&mut buffer) {
                Ok(0) => return Err(Failure::Unanswered),
                Ok(size) => size,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(None),
                Err(_) => return Err(Failure::Reset),
            };
            match self.receiver.feed(&buffer[..size]).map_err(Failure::Malformed)? {
                Progress::More => {}
                Progress::Whole(response, _) if (200..300).contains(&response.status) => {
                    return Ok(Some(response.body_size));
                }
                Progress::Whole(response, _) => return Err(Failure::Status(response.status)),
            }
        }
    }
}
