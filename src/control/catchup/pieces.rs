//! Pieces of transport streams of what is past, made when a shard wants one.
//!
//! A thread of its own reads segments from the archive, makes the piece and tells every shard. What
//! was made is held until others need the room; shards are told then, too.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::now_micros;
use super::write::FromArchive;
use crate::config::{
    COLD_DEADLINE_MS, PAST_PIECES_SIZE_MAX, PAST_STREAMS_MAX, PAST_STREAMS_SIZE_MAX,
};
use crate::library::past::Past;
use crate::live::catchup::reel::coming::{Arrived, Read, Sought};
use crate::live::catchup::reel::{Headers as _, Reel};
use crate::live::record::Kept;
use crate::live::records::Records;
use crate::messages::mail::Outbox;
use crate::messages::{Made, SourceId, Update, WantedPiece};

/// How often a full inbox is tried again.
const FLUSH_EVERY: Duration = Duration::from_millis(5);

/// How often it is looked whether something has come that is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long that is waited for: longer than anybody does who asks for it.
const PATIENCE: Duration = Duration::from_millis(COLD_DEADLINE_MS + 5_000);

/// A stream of a channel.
#[derive(Debug)]
struct Stream {
    channel: String,
    reel: Reel,
}

/// Streams of which pieces can be made.
#[derive(Debug, Default)]
pub struct Streams {
    all: HashMap<SourceId, Arc<Stream>>,
    /// The one that was used the longest time ago stands first.
    order: VecDeque<SourceId>,
    size: usize,
}

/// The streams, between who writes texts and who makes pieces.
pub type Shared = Arc<Mutex<Streams>>;

/// Adds a stream.
pub fn add(streams: &Shared, source: SourceId, channel: &str, reel: Reel) {
    let mut streams = streams.lock().unwrap_or_else(PoisonError::into_inner);
    streams.size += reel.memory_size();
    streams.order.push_back(source);
    streams.all.insert(source, Arc::new(Stream { channel: channel.to_owned(), reel }));
    while streams.all.len() > PAST_STREAMS_MAX || streams.size > PAST_STREAMS_SIZE_MAX {
        let Some(oldest) = streams.order.pop_front() else { return };
        if let Some(gone) = streams.all.remove(&oldest) {
            streams.size -= gone.reel.memory_size();
        }
    }
}

fn used(streams: &Shared, source: SourceId) -> Option<Arc<Stream>> {
    let mut streams = streams.lock().unwrap_or_else(PoisonError::into_inner);
    let found = streams.all.get(&source).cloned()?;
    streams.order.retain(|known| *known != source);
    streams.order.push_back(source);
    Some(found)
}

/// Makes what is wanted.
struct Maker {
    streams: Shared,
    past: Past,
    records: Arc<Records>,
    outboxes: Vec<Outbox>,
    /// What has not come yet, and since when it is waited for.
    coming: Vec<(WantedPiece, Instant)>,
    /// What was made, the oldest first.
    made: VecDeque<(WantedPiece, usize)>,
    size: usize,
}

/// Starts the thread that makes pieces.
///
/// # Errors
///
/// No thread can be made.
pub fn start(
    streams: Shared,
    (past, records): (Past, Arc<Records>),
    outboxes: Vec<Outbox>,
    wanted: Receiver<WantedPiece>,
) -> io::Result<()> {
    let (coming, made) = (Vec::new(), VecDeque::new());
    let mut maker = Maker { streams, past, records, outboxes, coming, made, size: 0 };
    let thread = std::thread::Builder::new().name("past-streams".to_owned());
    thread.spawn(move || maker.make_all(&wanted)).map(drop)
}

impl Maker {
    fn make_all(&mut self, wanted: &Receiver<WantedPiece>) {
        let mut looked = Instant::now();
        loop {
            let is_told = self.outboxes.iter().all(Outbox::is_empty);
            let next = match (is_told, self.coming.is_empty()) {
                (true, true) => wanted.recv().map_err(RecvTimeoutError::from),
                (true, false) => wanted.recv_timeout(LOOK_EVERY),
                (false, _) => wanted.recv_timeout(FLUSH_EVERY),
            };
            match next {
                Ok(wanted) => self.make(wanted, Instant::now()),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if !self.coming.is_empty() && looked.elapsed() >= LOOK_EVERY {
                looked = Instant::now();
                for (wanted, since) in std::mem::take(&mut self.coming) {
                    self.make(wanted, since);
                }
            }
            for outbox in &mut self.outboxes {
                outbox.flush();
            }
        }
    }

    fn make(&mut self, wanted: WantedPiece, since: Instant) {
        let made = match self.made(wanted) {
            Ok(None) if since.elapsed() < PATIENCE => {
                self.coming.push((wanted, since));
                return;
            }
            // Whoever still waits asks again.
            Ok(None) => Made::Gone,
            Ok(Some(bytes)) => {
                self.hold(wanted, bytes.len());
                Made::There(bytes.into())
            }
            Err(why) => {
                let WantedPiece { source, number } = wanted;
                tracing::warn!(?source, number, why, "a piece of what is past can't be made");
                Made::Never
            }
        };
        self.tell(wanted, &made);
    }

    /// The piece; none if it has not come yet.
    fn made(&mut self, wanted: WantedPiece) -> Result<Option<Vec<u8>>, String> {
        let stream = used(&self.streams, wanted.source).ok_or("it is forgotten")?;
        let Stream { channel, reel } = &*stream;
        let made = if reel.is_coming(wanted.number) {
            let arrived = |record: &_| reel.arrived(wanted.number, record, now_micros());
            match self.records.with(channel, arrived).unwrap_or(Arrived::Never) {
                Arrived::NotYet => return Ok(None),
                Arrived::Never => return Err("nothing comes any more".to_owned()),
                Arrived::There { before, segments } => {
                    let read = segments.into_iter().map(|of| self.read_with_header(channel, of));
                    reel.came(wanted.number, before, read.collect::<Result<_, _>>()?)
                }
            }
        } else {
            let mut segments = Vec::new();
            for (track, rendition, kept) in reel.needs(wanted.number) {
                segments.push((track, kept, self.read(channel, rendition, &kept)?));
            }
            reel.made(wanted.number, segments)
        };
        let (bytes, is_cut) = made.map_err(|error| error.to_string())?;
        if is_cut {
            tracing::warn!(channel, number = wanted.number, "a piece of what is past was cut");
        }
        Ok(Some(bytes))
    }

    /// The bytes of a segment.
    fn read(&mut self, channel: &str, rendition: &str, kept: &Kept) -> Result<Vec<u8>, String> {
        if kept.is_gap() {
            return Ok(Vec::new());
        }
        let path = format!("{rendition}/{}.{}", kept.number, kept.container().extension());
        let bytes = self.past.read(channel, &path, seconds(kept));
        bytes.map_err(|error| format!("{channel}/{path}: {error}"))
    }

    fn read_with_header(&mut self, channel: &str, of: Sought) -> Result<Read, String> {
        let bytes = self.read(channel, &of.rendition, &of.kept)?;
        let about = seconds(&of.kept);
        let mut headers = FromArchive { past: &mut self.past, channel, about };
        let header = of.header.as_ref().filter(|_| !of.kept.is_gap());
        let header = header.and_then(|name| headers.header(&of.rendition, name));
        Ok(Read { of, bytes, header })
    }

    /// Makes room for a piece.
    fn hold(&mut self, piece: WantedPiece, size: usize) {
        // One that another shard has wanted in the meantime has other bytes there, of the same.
        if let Some(at) = self.made.iter().position(|(known, _)| *known == piece) {
            self.size -= self.made.remove(at).map_or(0, |(_, size)| size);
        }
        while self.size + size > PAST_PIECES_SIZE_MAX
            && let Some((oldest, its)) = self.made.pop_front()
        {
            self.size -= its;
            self.tell(oldest, &Made::Gone);
        }
        self.size += size;
        self.made.push_back((piece, size));
    }

    fn tell(&mut self, piece: WantedPiece, made: &Made) {
        for outbox in &mut self.outboxes {
            outbox.send(Update::Piece(piece.source, piece.number, made.clone()));
        }
    }
}

/// Seconds since 1970 at which a segment begins.
fn seconds(kept: &Kept) -> u64 {
    u64::try_from(kept.unix_micros().0 / 1_000_000).unwrap_or(0)
}
