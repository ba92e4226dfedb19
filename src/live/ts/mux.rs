//! Chunks of boxes in, a transport stream of all of their tracks out: nothing is coded anew.
//!
//! Samples are put in the order of their decoding times, as far as every track has come; one that
//! lags is not waited for beyond a limit. Times are presentation times of the media, in 33 bits, so
//! a reader that knows about when it is finds them again.

pub mod piece;

use std::collections::VecDeque;

use super::setup::{Setup, setups};
use super::tables::Programme;
use super::{PACKET_SIZE, SYNC, TIMESCALE};
use crate::live::boxes::chunk::{Fragment, Piece};
use crate::live::boxes::init::Init;
use crate::live::boxes::{BoxError, sizes};

/// Which packets have the programme's table, and the first stream's.
const TABLE: u16 = 0x1000;
const FIRST: u16 = 0x100;

/// Streams that are put together.
const STREAMS_MAX: usize = 8;

/// How far the clock is before decoding times, in ticks: what a decoder gets in advance.
const AHEAD: i64 = TIMESCALE as i64 / 2;

/// Media of one track that waits for another, in ticks, and bytes of all.
const WAITS_TICKS_MAX: i64 = 3 * TIMESCALE as i64;
const WAITS_SIZE_MAX: usize = 32 << 20;

/// Sounds that are put into one packet of the elementary stream.
const SOUNDS_A_PACKET: usize = 6;

/// A rendition that takes part: its header, as bytes and as what it says.
#[derive(Clone, Copy, Debug)]
pub struct Source<'h> {
    /// What names it in `take`.
    pub id: usize,
    /// The header's bytes.
    pub header: &'h [u8],
    /// What they say.
    pub init: &'h Init,
}

/// Puts tracks together.
#[derive(Debug)]
pub struct Muxer {
    /// Of the programme's table.
    version: u8,
    tables: Vec<u8>,
    streams: Vec<Stream>,
    waits_size: usize,
}

#[derive(Debug)]
struct Stream {
    source: usize,
    track: u32,
    timescale: u32,
    /// Samples a second, of a sound.
    rate: u32,
    setup: Setup,
    pid: u16,
    counter: u8,
    has_clock: bool,
    waits: VecDeque<Unit>,
    /// The last decoding time that came.
    last: Option<i64>,
}

/// An access unit that waits for its turn.
#[derive(Debug)]
struct Unit {
    decoded: i64,
    presented: i64,
    independent: bool,
    bytes: Vec<u8>,
}

impl Muxer {
    /// Of these renditions; none if a transport stream can carry nothing of them. The first picture
    /// is taken and no other one, and all sounds.
    ///
    /// # Errors
    ///
    /// What is wrong with a header.
    pub fn new(sources: &[Source<'_>]) -> Result<Option<Self>, BoxError> {
        Self::of_version(sources, 0)
    }

    /// The same of renditions some of which have other headers: what goes on where this one ends.
    ///
    /// # Errors
    ///
    /// What is wrong with a header.
    pub fn renewed(&self, sources: &[Source<'_>]) -> Result<Option<Self>, BoxError> {
        let renewed = Self::of_version(sources, self.version)?;
        match renewed {
            // Nobody reads a table again that has the version of the last one.
            Some(renewed) if renewed.tables != self.tables => {
                Self::of_version(sources, (self.version + 1) & 31)
            }
            renewed => Ok(renewed),
        }
    }

    fn of_version(sources: &[Source<'_>], version: u8) -> Result<Option<Self>, BoxError> {
        let mut streams: Vec<Stream> = Vec::new();
        let mut listed = Vec::new();
        for source in sources {
            for (of, setup) in setups(source.header, source.init)? {
                let is_second =
                    setup.is_picture() && streams.iter().any(|one| one.setup.is_picture());
                if is_second || of.sample.encryption.is_some() || streams.len() == STREAMS_MAX {
                    continue;
                }
                let pid = FIRST + streams.len() as u16;
                let language = (of.language != *b"und").then_some(of.language);
                listed.push((pid, setup.kind(), language));
                streams.push(Stream {
                    source: source.id,
                    track: of.id,
                    timescale: of.timescale,
                    rate: of.sample.sound.map_or(0, |sound| sound.rate),
                    setup,
                    pid,
                    counter: 0,
                    has_clock: false,
                    waits: VecDeque::new(),
                    last: None,
                });
            }
        }
        let clock = streams.iter().position(|one| one.setup.is_picture()).unwrap_or(0);
        let Some(first) = streams.get_mut(clock) else { return Ok(None) };
        first.has_clock = true;
        let programme = Programme::made((TABLE, version), first.pid, &listed);
        let Some(programme) = programme else { return Ok(None) };
        Ok(Some(Self { version, tables: programme.packets(), streams, waits_size: 0 }))
    }

    /// Whether anything of a rendition is taken.
    #[must_use]
    pub fn has(&self, source: usize) -> bool {
        self.streams.iter().any(|stream| stream.source == source)
    }

    /// Takes a chunk of a rendition, and adds the packets that can be written then.
    ///
    /// # Errors
    ///
    /// What is wrong with its boxes; nothing of it is taken then.
    pub fn take(
        &mut self,
        source: usize,
        init: &Init,
        chunk: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), BoxError> {
        let (moof_at, samples) = samples(chunk, init)?;
        for stream in &mut self.streams {
            if stream.source != source {
                continue;
            }
            let mut of_track = samples.iter().filter(|one| one.track == stream.track).peekable();
            while let Some(first) = of_track.next() {
                let mut bytes = Vec::new();
                let mut is_whole = stream.add(first, chunk, moof_at, &mut bytes);
                for _ in 1..if stream.setup.is_picture() { 1 } else { SOUNDS_A_PACKET } {
                    let Some(next) = of_track.next() else { break };
                    is_whole &= stream.add(next, chunk, moof_at, &mut bytes);
                }
                if !is_whole {
                    continue;
                }
                self.waits_size += bytes.len();
                let (decoded, presented) =
                    (stream.time(first.decoded), stream.time(first.presented));
                stream.last = Some(decoded);
                let independent = first.independent || !stream.setup.is_picture();
                stream.waits.push_back(Unit { decoded, presented, independent, bytes });
            }
        }
        self.write(out, false);
        Ok(())
    }

    /// Nothing more comes: writes what waits.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.write(out, true);
    }

    /// Writes what no track has anything before; all of it, if nothing more comes.
    fn write(&mut self, out: &mut Vec<u8>, is_all: bool) {
        loop {
            let heads = self.streams.iter().enumerate();
            let heads = heads.filter_map(|(at, one)| Some((one.waits.front()?.decoded, at)));
            let Some((decoded, at)) = heads.min() else { return };
            let newest = self.streams.iter().filter_map(|one| one.last).max().unwrap_or(decoded);
            let is_next =
                |one: &Stream| !one.waits.is_empty() || one.last.is_some_and(|at| at >= decoded);
            let waits = !self.streams.iter().all(is_next);
            let can_wait = newest.saturating_sub(decoded) < WAITS_TICKS_MAX
                && self.waits_size < WAITS_SIZE_MAX;
            if waits && can_wait && !is_all {
                return;
            }
            let stream = &mut self.streams[at];
            let Some(unit) = stream.waits.pop_front() else { return };
            self.waits_size -= unit.bytes.len();
            if unit.independent && stream.has_clock {
                out.extend_from_slice(&self.tables);
            }
            stream.write(&unit, 0, out);
        }
    }
}

/// The samples of a chunk, and where its `moof` begins.
fn samples(chunk: &[u8], init: &Init) -> Result<(usize, Vec<Piece>), BoxError> {
    let mut at = 0;
    while let Some((header, size, kind)) = sizes(&chunk[at..])? {
        let end = usize::try_from(size).ok().and_then(|size| at.checked_add(size));
        let end = end.filter(|end| *end <= chunk.len()).ok_or(BoxError::Size(kind))?;
        if kind == *b"moof" {
            let body = &chunk[at + header..end];
            return Ok((at, Fragment::samples(body, size, init)?));
        }
        at = end;
    }
    Err(BoxError::Missing(*b"moof"))
}

impl Stream {
    /// Ticks of a transport stream.
    fn time(&self, ticks: i64) -> i64 {
        let exact = i128::from(ticks) * i128::from(TIMESCALE);
        let exact = exact.div_euclid(i128::from(self.timescale));
        i64::try_from(exact).unwrap_or(0)
    }

    fn add(&self, piece: &Piece, chunk: &[u8], moof_at: usize, bytes: &mut Vec<u8>) -> bool {
        let start = usize::try_from(piece.at).ok().and_then(|at| at.checked_add(moof_at));
        let size = usize::try_from(piece.size).ok();
        let sample = start.zip(size).and_then(|(start, size)| chunk.get(start..)?.get(..size));
        sample.is_some_and(|sample| self.setup.write(sample, piece.independent, bytes))
    }

    /// Writes an access unit as packets (ISO/IEC 13818-1, 2.4.3), so many more of them than it
    /// needs, as far as it has a byte for each.
    fn write(&mut self, unit: &Unit, more: usize, out: &mut Vec<u8>) {
        let payload = self.payload(unit);
        let mut packets = self.packets(unit, payload.len()) + more;
        let mut rest = &payload[..];
        let mut begins = true;
        while !rest.is_empty() {
            let field = self.field(unit, begins);
            let room = PACKET_SIZE - 4 - field.len();
            packets = packets.saturating_sub(1);
            let taken = room.min(rest.len().saturating_sub(packets).max(1));
            let [p0, p1] = self.pid.to_be_bytes();
            let stuffed = room - taken;
            let has_field = !field.is_empty() || stuffed > 0;
            let kind = if has_field { 0x30 } else { 0x10 };
            out.extend([SYNC, u8::from(begins) << 6 | p0, p1, kind | self.counter]);
            put_field(out, field, stuffed);
            let (now, later) = rest.split_at(taken);
            out.extend_from_slice(now);
            self.counter = (self.counter + 1) & 15;
            (rest, begins) = (later, false);
        }
    }

    /// How many packets an access unit needs.
    fn packets(&self, unit: &Unit, size: usize) -> usize {
        let room = PACKET_SIZE - 4;
        1 + size.saturating_sub(room - self.field(unit, true).len()).div_ceil(room)
    }

    /// An access unit with the header of its packet of the elementary stream.
    fn payload(&self, unit: &Unit) -> Vec<u8> {
        let (id, has_both) = match (self.setup.is_picture(), &self.setup) {
            (true, _) => (0xe0, unit.decoded != unit.presented),
            (false, Setup::Whole(_)) => (0xbd, false),
            (false, _) => (0xc0, false),
        };
        let size = 3 + if has_both { 10 } else { 5 } + unit.bytes.len();
        // Pictures may be longer than their header can say: 0 is any length.
        let said = u16::try_from(size).ok().filter(|_| !self.setup.is_picture()).unwrap_or(0);
        let [s0, s1] = said.to_be_bytes();
        let (flags, fields) = if has_both { (0xc0, 10) } else { (0x80, 5) };
        let mut payload = vec![0, 0, 1, id, s0, s1, 0x84, flags, fields];
        put_time(&mut payload, if has_both { 3 } else { 2 }, unit.presented);
        if has_both {
            put_time(&mut payload, 1, unit.decoded);
        }
        payload.extend_from_slice(&unit.bytes);
        payload
    }

    /// What an access unit's first packet says beyond its payload: flags and the clock, with the
    /// length in front.
    fn field(&self, unit: &Unit, begins: bool) -> Vec<u8> {
        if !begins || !(self.has_clock || unit.independent) {
            return Vec::new();
        }
        let random = if unit.independent { 0x40 } else { 0 };
        if !self.has_clock {
            return vec![1, random];
        }
        let clock = (unit.decoded - AHEAD).rem_euclid(1 << 33).unsigned_abs();
        let [.., c0, c1, c2, c3] = (clock >> 1).to_be_bytes();
        vec![7, random | 0x10, c0, c1, c2, c3, ((clock & 1) as u8) << 7 | 0x7e, 0]
    }
}

/// Writes a field, made longer by so many bytes.
fn put_field(out: &mut Vec<u8>, mut field: Vec<u8>, stuffed: usize) {
    match (field.first_mut(), stuffed) {
        (_, 0) => {}
        // One byte that says that there is no more of it.
        (None, 1) => field.push(0),
        (None, more) => {
            field.extend([(more - 1) as u8, 0]);
            field.resize(more, 0xff);
        }
        (Some(length), more) => {
            *length += more as u8;
            field.resize(field.len() + more, 0xff);
        }
    }
    out.extend_from_slice(&field);
}

/// A time of 33 bits behind a mark of four.
fn put_time(out: &mut Vec<u8>, mark: u8, time: i64) {
    let time = time.rem_euclid(1 << 33);
    out.extend([
        mark << 4 | (time >> 29) as u8 & 0x0e | 1,
        (time >> 22) as u8,
        (time >> 14) as u8 | 1,
        (time >> 7) as u8,
        (time << 1) as u8 | 1,
    ]);
}

#[cfg(test)]
mod tests;
