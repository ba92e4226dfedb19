//! Many connections that ask for the same at once, and a hot client that is watched meanwhile.
//!
//! One thread, one poller. Whoever is asked for how long something took gets the moments of the
//! first and of the last byte. The hot client has connections of its own, is looked after between
//! the others, every few of them, and its latency counts from the moment at which a request was
//! meant to be sent.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::hot::Hot;
use super::response::{Progress, Receiver, Response};
use crate::sys::poller::Poller;
use crate::sys::socket;

/// Members between two looks at the hot client: some 50 µs.
const MEMBERS_A_LOOK: usize = 16;

/// Bytes of a read: playlists are read in one.
const READ_SIZE: usize = 64 * 1024;

/// Longest wait for news when nothing is due.
const WAIT_MAX: Duration = Duration::from_millis(20);

/// A body that is kept is at most this long.
const KEPT_SIZE_MAX: usize = 1 << 20;

/// Connections, all to one address.
pub struct Crowd {
    members: Vec<Member>,
    poller: Poller,
    buffer: Vec<u8>,
    ready: Vec<u64>,
    hot: Option<Hot>,
    /// What the first member has got, head and body.
    first: Vec<u8>,
}

struct Member {
    socket: TcpStream,
    receiver: Receiver,
    is_waiting: bool,
}

/// What came of a question to everybody.
#[derive(Clone, Debug)]
pub struct Round {
    /// The first byte of the first answer.
    pub first_byte: Option<Instant>,
    /// The last byte of the last answer.
    pub last_byte: Option<Instant>,
    /// Whole answers by status and size of their body.
    pub answers: BTreeMap<(u16, u64), usize>,
    /// Connections that broke, with the first reason.
    pub broken: Option<String>,
}

impl Round {
    /// Nothing has come.
    fn new() -> Self {
        Self { first_byte: None, last_byte: None, answers: BTreeMap::new(), broken: None }
    }

    /// How many answers have come.
    pub fn count(&self) -> usize {
        self.answers.values().sum()
    }

    /// Nothing, if everybody got a good answer.
    pub fn whole(&self) -> Result<(), String> {
        let is_good = |(status, _): &(u16, u64)| (200..300).contains(status);
        match &self.broken {
            Some(reason) => Err(reason.clone()),
            None if self.answers.keys().all(is_good) => Ok(()),
            None => Err(format!("(status, size) and count of answers: {:?}", self.answers)),
        }
    }

    /// The size of all bodies, if everybody got a good one of the same size.
    pub fn agreed(&self) -> Result<u64, String> {
        if let Some(reason) = &self.broken {
            return Err(reason.clone());
        }
        match self.answers.keys().collect::<Vec<_>>()[..] {
            [(200..300, size)] => Ok(*size),
            _ => {
                Err(format!("answers were not alike: (status, size) and count {:?}", self.answers))
            }
        }
    }
}

impl Crowd {
    /// Opens the connections; the hot client's, if there is one, are open.
    pub fn connect(
        address: SocketAddr,
        count: usize,
        congestion: Option<&str>,
        mut hot: Option<Hot>,
    ) -> io::Result<Self> {
        let poller = Poller::new()?;
        let mut members = Vec::with_capacity(count);
        for index in 0..count {
            let socket = TcpStream::from(socket::connect(address, index, congestion)?);
            socket.set_nonblocking(true)?;
            poller.add(&socket, index as u64)?;
            members.push(Member { socket, receiver: Receiver::default(), is_waiting: false });
        }
        if let Some(hot) = &mut hot {
            // Which of them has news is looked for when it matters.
            hot.unwatched().try_for_each(|socket| poller.add(socket, u64::MAX))?;
        }
        let (buffer, ready, first) = (vec![0; READ_SIZE], Vec::new(), Vec::new());
        Ok(Self { members, poller, buffer, ready, hot, first })
    }

    /// The hot client.
    pub fn hot(&mut self) -> Option<&mut Hot> {
        self.hot.as_mut()
    }

    /// The first member's last answer, head and body, as far as it is kept.
    pub fn first_answer(&self) -> &[u8] {
        &self.first
    }

    /// Everybody whose index is below `count` asks; gives the moment before the first did.
    pub fn ask(&mut self, request: &[u8], count: usize) -> Result<Instant, String> {
        let began = Instant::now();
        self.first.clear();
        for (index, member) in self.members.iter_mut().take(count).enumerate() {
            let sent = member.socket.write(request);
            // A request is a few hundred bytes, and nothing else is on its way.
            if !matches!(sent, Ok(size) if size == request.len()) {
                return Err(format!("a request could not be sent: {sent:?}"));
            }
            member.is_waiting = true;
            if index % MEMBERS_A_LOOK == 0 {
                look_after(&mut self.hot, &self.poller);
            }
        }
        Ok(began)
    }

    /// Takes answers until `count` of this round have come, or until `deadline`.
    fn gather(&mut self, round: &mut Round, count: usize, deadline: Instant) -> io::Result<()> {
        loop {
            let now = Instant::now();
            if round.count() >= count || round.broken.is_some() || now >= deadline {
                return Ok(());
            }
            let due = self.hot.as_ref().map_or(WAIT_MAX, |hot| hot.due_in(now));
            let timeout = due.min(WAIT_MAX).min(deadline - now);
            self.ready.extend(self.poller.wait(timeout)?);
            look_after(&mut self.hot, &self.poller);
            for at in 0..self.ready.len() {
                if let Ok(index) = usize::try_from(self.ready[at])
                    && index < self.members.len()
                {
                    self.receive(index, round);
                }
                if at % MEMBERS_A_LOOK == MEMBERS_A_LOOK - 1 {
                    look_after(&mut self.hot, &self.poller);
                }
            }
            self.ready.clear();
        }
    }

    /// Waits for the answers of so many who have asked; that some do not come in time breaks the
    /// round.
    pub fn answers(&mut self, count: usize, deadline: Instant) -> io::Result<Round> {
        let mut round = Round::new();
        self.gather(&mut round, count, deadline)?;
        if round.count() < count && round.broken.is_none() {
            let came = round.count();
            round.broken = Some(format!("only {came} of {count} answers came in time"));
        }
        Ok(round)
    }

    /// A round in which everybody asks, and all answers are waited for.
    pub fn all_ask(
        &mut self,
        request: &[u8],
        count: usize,
        patience: Duration,
    ) -> Result<(Instant, Round), String> {
        let began = self.ask(request, count)?;
        let round = self.answers(count, began + patience).map_err(|error| error.to_string())?;
        Ok((began, round))
    }

    /// Takes whatever comes for so long; nothing should.
    pub fn rest(&mut self, duration: Duration) -> io::Result<Round> {
        let mut round = Round::new();
        let count = self.members.len();
        self.gather(&mut round, count, Instant::now() + duration)?;
        Ok(round)
    }

    /// Takes what has come for one of them.
    fn receive(&mut self, index: usize, round: &mut Round) {
        let member = &mut self.members[index];
        loop {
            let size = match member.socket.read(&mut self.buffer) {
                Ok(0) => {
                    round.broken.get_or_insert_with(|| "the server ended connections".to_owned());
                    return;
                }
                Ok(size) => size,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    round.broken.get_or_insert_with(|| error.to_string());
                    return;
                }
            };
            let now = Instant::now();
            if !member.is_waiting {
                round.broken.get_or_insert_with(|| "bytes came that nobody asked for".to_owned());
                return;
            }
            round.first_byte.get_or_insert(now);
            if index == 0 && self.first.len() < KEPT_SIZE_MAX {
                self.first.extend_from_slice(&self.buffer[..size]);
            }
            match member.receiver.feed(&self.buffer[..size]) {
                Ok(Progress::More) => {}
                Ok(Progress::Whole(Response { status, body_size, .. }, _)) => {
                    member.is_waiting = false;
                    round.last_byte = Some(now);
                    *round.answers.entry((status, body_size)).or_default() += 1;
                    // A short read was all there is; the next event tells of more.
                    if size < self.buffer.len() {
                        return;
                    }
                }
                Err(kind) => {
                    round.broken.get_or_insert_with(|| format!("malformed: {kind:?}"));
                    return;
                }
            }
        }
    }
}

fn look_after(hot: &mut Option<Hot>, poller: &Poller) {
    if let Some(hot) = hot {
        hot.turn();
        // One that a poller does not take is looked at all the same, if later.
        let _ = hot.unwatched().try_for_each(|socket| poller.add(socket, u64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    #[test]
    fn an_answer_that_does_not_come_is_missed() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut crowd = Crowd::connect(listener.local_addr().unwrap(), 2, None, None).unwrap();
        let (mut one, two) = (listener.accept().unwrap().0, listener.accept().unwrap().0);
        crowd.ask(b"GET / HTTP/1.1\r\n\r\n", 2).unwrap();
        one.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").unwrap();
        let round = crowd.answers(2, Instant::now() + Duration::from_millis(50)).unwrap();
        assert!(round.agreed().is_err_and(|why| why.ends_with("of 2 answers came in time")));
        drop(two);
    }
}
