//! A good client whose latency is watched while others do something: an open loop at a fixed rate.
//!
//! It never waits: whoever has the thread calls `turn` often. What a turn comes late by is part of
//! the latency, so it can only be overstated. A connection that failed is counted, and made again
//! when the next request is due: one that is reset does not leave the rest of a run to the others.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
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
    address: SocketAddr,
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
    state: State,
    /// Whether a poller has its socket.
    is_watched: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Connecting,
    Broken,
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
            let (receiver, asked, state) = (Receiver::default(), None, State::Open);
            clients.push(Client { socket, receiver, asked, state, is_watched: false });
        }
        Ok(Self {
            request: urls.bytes().to_vec(),
            address,
            clock: Instant::now(),
            rate,
            clients,
            active: None,
            tallies: std::array::from_fn(|_| Tally::new()),
        })
    }

    /// Its sockets that no poller has yet.
    pub fn unwatched(&mut self) -> impl Iterator<Item = &TcpStream> {
        let new = self.clients.iter_mut().filter(|client| !client.is_watched);
        new.map(|client| {
            client.is_watched = true;
            &client.socket
        })
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
                    Err(failure) => {
                        self.tallies[phase as usize].fail(failure);
                        client.state = State::Broken;
                    }
                }
                client.asked = None;
            }
            let Some((phase, schedule)) = &mut self.active else { continue };
            if schedule.next_at() > now || client.is_connecting(self.address) {
                continue;
            }
            let Some(meant) = schedule.take(now) else { continue };
            match client.socket.write(&self.request) {
                Ok(size) if size == self.request.len() => client.asked = Some((meant, *phase)),
                _ => {
                    self.tallies[*phase as usize].fail(Failure::Send);
                    client.state = State::Broken;
                }
            }
        }
    }
}

impl Client {
    /// Whether it has no connection yet. One that is broken is made again.
    fn is_connecting(&mut self, address: SocketAddr) -> bool {
        match self.state {
            State::Open => return false,
            State::Broken => {
                let Ok(socket) = socket::begin_connect(address, None) else { return false };
                self.socket = TcpStream::from(socket);
                (self.receiver, self.state) = (Receiver::default(), State::Connecting);
                self.is_watched = false;
            }
            State::Connecting => {}
        }
        // One that was refused is as good as open: the next request will find out.
        let is_refused = self.socket.take_error().is_ok_and(|error| error.is_some());
        if is_refused || self.socket.peer_addr().is_ok() {
            self.state = State::Open;
        }
        self.state == State::Connecting
    }

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

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    #[test]
    fn a_connection_that_ends_is_counted_and_made_again() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                std::thread::spawn(move || {
                    let mut stream = stream.expect("a connection");
                    let mut buffer = [0; 1024];
                    // One request is answered, and at the next one that is the end.
                    if stream.read(&mut buffer).is_ok_and(|size| size > 0) {
                        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
                    }
                    let _ = stream.read(&mut buffer);
                });
            }
        });
        let mut hot = Hot::connect(&format!("http://{address}/x"), 10_000.0, None).unwrap();
        assert_eq!(hot.unwatched().count(), CONNECTIONS);
        hot.enter(Phase::Quiet);
        let deadline = Instant::now() + Duration::from_secs(20);
        while hot.tally(Phase::Quiet).requests < 4 * CONNECTIONS as u64 {
            assert!(Instant::now() < deadline, "it does not go on");
            hot.turn();
        }
        assert!(hot.tally(Phase::Quiet).errors.values().sum::<u64>() > 0);
        assert!(hot.unwatched().count() > 0);
    }
}
