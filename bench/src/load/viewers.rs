//! Viewers who wait for what comes next, one a rendition: from when it was sent to its first byte.
//!
//! Non-blocking, on the poller of whoever sends: the moments of both are of one clock and one
//! thread. A viewer asks for the playlist with the part that its last playlist hinted at, or for
//! that part itself; both are held until the part is there.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use super::response::{Progress, Receiver};
use super::tally::Tally;
use crate::feed::stream::Sent;
use crate::sys::poller::Poller;
use crate::sys::socket;

/// Chunks of a stream that are remembered: viewers ask for the newest.
const SENT_MAX: usize = 32;

/// Longest answer that is kept for its hint.
const KEPT_SIZE_MAX: usize = 1 << 20;

/// What a viewer waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Awaited {
    /// The playlist that lists the part (_HLS_msn and _HLS_part)
    Playlist,
    /// The part that the playlist hinted at
    Part,
}

/// Where viewers go.
pub struct Target {
    /// The server.
    pub address: SocketAddr,
    /// As it is called.
    pub authority: String,
    /// What stands before a channel's id.
    pub prefix: String,
}

/// All viewers.
pub struct Viewers {
    target: Target,
    awaited: Awaited,
    viewers: Vec<Viewer>,
    /// The first one's key.
    key: u64,
    buffer: Vec<u8>,
    /// Latencies, and failures by kind.
    pub tally: Tally,
    /// Questions that came when the chunk was on its way already: they say nothing.
    pub late_questions: u64,
    /// Parts that nobody here has sent: the server numbers them in another way.
    pub unknown_parts: u64,
    /// Only chunks that were sent from then on count.
    pub counts_from: Option<Instant>,
}

struct Viewer {
    /// `channel/rendition`.
    folder: String,
    socket: TcpStream,
    receiver: Receiver,
    answer: Vec<u8>,
    first_byte: Option<Instant>,
    asked_at: Instant,
    /// The name that it asked for last.
    asked: String,
    /// The part whose first byte is waited for, if it is measured.
    awaited: Option<(u64, u64)>,
    sent: VecDeque<Sent>,
}

impl Viewers {
    /// Nobody yet; their keys will begin at `key`.
    pub fn new(target: Target, awaited: Awaited, key: u64) -> Self {
        Self {
            target,
            awaited,
            viewers: Vec::new(),
            key,
            buffer: vec![0; 64 * 1024],
            tally: Tally::new(),
            late_questions: 0,
            unknown_parts: 0,
            counts_from: None,
        }
    }

    /// One comes for each folder, and asks for the playlist of now.
    pub fn connect(
        &mut self,
        folders: impl Iterator<Item = String>,
        poller: &Poller,
    ) -> io::Result<()> {
        for (index, folder) in folders.enumerate() {
            let socket = TcpStream::from(socket::connect(self.target.address, index, None)?);
            socket.set_nonblocking(true)?;
            poller.add(&socket, self.key + index as u64)?;
            self.viewers.push(Viewer {
                folder,
                socket,
                receiver: Receiver::default(),
                answer: Vec::new(),
                first_byte: None,
                asked_at: Instant::now(),
                asked: String::new(),
                awaited: None,
                sent: VecDeque::new(),
            });
            self.ask(index, "ll.m3u8")?;
        }
        Ok(())
    }

    /// A chunk was sent; the key of its stream is the index of its viewer.
    pub fn note(&mut self, sent: Sent) {
        let Some(viewer) = self.viewers.get_mut(sent.key as usize) else { return };
        viewer.sent.push_back(sent);
        if viewer.sent.len() > SENT_MAX {
            viewer.sent.pop_front();
        }
    }

    /// Takes what has come for one of them, and asks for what comes next.
    pub fn receive(&mut self, index: usize) -> io::Result<()> {
        loop {
            let viewer = &mut self.viewers[index];
            let size = match viewer.socket.read(&mut self.buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(size) => size,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            viewer.first_byte.get_or_insert_with(Instant::now);
            if viewer.answer.len() < KEPT_SIZE_MAX {
                viewer.answer.extend_from_slice(&self.buffer[..size]);
            }
            let malformed = |kind| io::Error::other(format!("an answer is malformed: {kind:?}"));
            if let Progress::Whole(response, _) =
                viewer.receiver.feed(&self.buffer[..size]).map_err(malformed)?
            {
                if response.status != 200 {
                    let text =
                        format!("{}/{}: status {}", viewer.folder, viewer.asked, response.status);
                    return Err(io::Error::other(text));
                }
                self.count(index, response.body_size);
                self.go_on(index)?;
            }
        }
    }

    /// Counts an answer, if it was one that is measured.
    fn count(&mut self, index: usize, size: u64) {
        let viewer = &mut self.viewers[index];
        let first_byte = viewer.first_byte.take();
        let (Some((segment, part)), Some(first_byte)) = (viewer.awaited, first_byte) else {
            return;
        };
        let is_it = |sent: &&Sent| sent.segment == segment && sent.chunk == part;
        let Some(sent) = viewer.sent.iter().find(is_it) else {
            self.unknown_parts += 1;
            return;
        };
        if self.counts_from.is_none_or(|from| sent.at < from) {
            return;
        }
        if viewer.asked_at >= sent.at {
            self.late_questions += 1;
            return;
        }
        let latency = first_byte.saturating_duration_since(sent.at);
        self.tally.record(size, latency.as_nanos() as u64);
    }

    /// After an answer: what is asked for next.
    fn go_on(&mut self, index: usize) -> io::Result<()> {
        let viewer = &mut self.viewers[index];
        let answer = std::mem::take(&mut viewer.answer);
        let had = viewer.awaited.take();
        // A part has no hint: the playlist that lists it is there.
        if let (Awaited::Part, Some((segment, part))) = (self.awaited, had) {
            return self.ask(index, &reload(segment, part));
        }
        let ((segment, part), name) = hint(&answer).ok_or_else(|| {
            io::Error::other(format!("{}: no hint in the playlist", viewer.folder))
        })?;
        viewer.awaited = Some((segment, part));
        match self.awaited {
            Awaited::Playlist => self.ask(index, &reload(segment, part)),
            Awaited::Part => self.ask(index, &name),
        }
    }

    fn ask(&mut self, index: usize, name: &str) -> io::Result<()> {
        let Target { authority, prefix, .. } = &self.target;
        let viewer = &mut self.viewers[index];
        let folder = &viewer.folder;
        let request = format!("GET {prefix}/{folder}/{name} HTTP/1.1\r\nHost: {authority}\r\n\r\n");
        viewer.asked = name.to_owned();
        viewer.asked_at = Instant::now();
        // A few hundred bytes, and nothing else is on its way.
        viewer.socket.write_all(request.as_bytes())
    }
}

/// The playlist when it has this part.
pub fn reload(segment: u64, part: u64) -> String {
    format!("ll.m3u8?_HLS_msn={segment}&_HLS_part={part}")
}

/// What comes next, as the hint of a playlist says: segment and part, and the name of its file.
pub fn hint(playlist: &[u8]) -> Option<((u64, u64), String)> {
    let text = String::from_utf8_lossy(playlist);
    text.lines().rev().find_map(|line| {
        let uri = line.strip_prefix("#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"")?.split('"').next()?;
        Some((place(uri)?, uri.to_owned()))
    })
}

/// The segment and part in the name of a part.
pub fn place(uri: &str) -> Option<(u64, u64)> {
    let mut words = uri.rsplit('/').next()?.split('.');
    Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_says_what_comes_next() {
        let playlist = b"#EXTM3U\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"12.3.m4s\"\n";
        assert_eq!(hint(playlist), Some(((12, 3), "12.3.m4s".to_owned())));
        assert_eq!(hint(b"#EXTM3U\n"), None);
    }
}
