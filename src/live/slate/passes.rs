//! The transport stream of a slate: a file of a few seconds in; out the same again and again for a
//! minute, as one stream without a break, and where it is cut into segments.
//!
//! Times and clocks of each pass go on from the one before, and so do the numbers of packets, so a
//! decoder sees no seam: what matters is that pictures and sounds of the file are equally long.
//! Each segment begins with the tables and a picture that needs no other.

use std::fmt;

use crate::config::slates::{
    SLATE_FILE_SIZE_MAX, SLATE_SEGMENT_MS_MAX, SLATE_SEGMENT_MS_MIN, SLATE_SEGMENTS_MAX,
    SLATE_STREAM_MS,
};
use crate::live::boxes::init::{Init, Media};
use crate::live::ts::counters::Counters;
use crate::live::ts::stream::{Event, Known, Reader};
use crate::live::ts::{PACKET_SIZE, SYNC, TIMESCALE};
use crate::units::Extent;

/// Values of times and clocks.
const WRAP: u64 = 1 << 33;

/// Ticks of a millisecond.
const TICKS_A_MS: u64 = TIMESCALE as u64 / 1000;

/// A slate's stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passes {
    /// Whole packets.
    pub bytes: Vec<u8>,
    /// Its segments, which are all of it.
    pub segments: Vec<Extent>,
    /// Where they end, in milliseconds from the beginning.
    pub ends_ms: Vec<u64>,
    /// As in `CODECS`.
    pub codecs: String,
    /// Pixels across and down.
    pub resolution: Option<(u16, u16)>,
}

impl Passes {
    /// Most and average bits a second of segments.
    #[must_use]
    pub fn bandwidth(&self) -> (u64, u64) {
        let begins = [0].into_iter().chain(self.ends_ms.iter().copied());
        let lengths = self.ends_ms.iter().zip(begins).map(|(end, begin)| (end - begin).max(1));
        let rates = self.segments.iter().zip(lengths).map(|(of, ms)| of.size * 8000 / ms);
        let whole = self.ends_ms.last().copied().unwrap_or(1).max(1);
        (rates.max().unwrap_or(0), self.bytes.len() as u64 * 8000 / whole)
    }
}

/// Why a file is no slate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// There is no transport stream in it.
    NoStream,
    /// It has no picture that is known.
    NoPicture,
    /// Time does not go on in it.
    Broken,
    /// There is too much between two pictures that need no other.
    LongSegment,
    /// It is shorter than a segment may be.
    Short,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoStream => "it is no MPEG transport stream",
            Self::NoPicture => "it has no picture, or none of a known coding",
            Self::Broken => "its times do not go on from its beginning to its end",
            Self::LongSegment => "20 s of it have no key frame",
            Self::Short => "it is shorter than a second",
        })
    }
}

/// A stretch between two pictures that need no other: its packets, and ticks.
struct Piece {
    bytes: Vec<u8>,
    ticks: u64,
}

/// Reads a file and repeats it.
///
/// # Errors
///
/// Why it can't be.
pub fn repeated(file: &[u8]) -> Result<Passes, Unfit> {
    let (header, pieces) = pieces(file)?;
    let pieces = merged(pieces)?;
    let ticks: u64 = pieces.iter().map(|piece| piece.ticks).sum();
    if ticks < SLATE_SEGMENT_MS_MIN * TICKS_A_MS {
        return Err(Unfit::Short);
    }
    let size: usize = pieces.iter().map(|piece| piece.bytes.len()).sum();
    let most = (2 * SLATE_FILE_SIZE_MAX) as usize / size.max(1);
    let wanted = (SLATE_STREAM_MS * TICKS_A_MS).div_ceil(ticks) as usize;
    let passes = wanted.min(most).min(SLATE_SEGMENTS_MAX / pieces.len()).max(1);
    let mut made = Passes {
        bytes: Vec::with_capacity(passes * size),
        segments: Vec::new(),
        ends_ms: Vec::new(),
        codecs: codecs(&header),
        resolution: header.tracks.iter().find_map(|track| track.sample.resolution),
    };
    let (mut counters, mut end) = (Counters::default(), 0);
    for pass in 0..passes as u64 {
        for piece in &pieces {
            let start = made.bytes.len();
            made.bytes.extend_from_slice(&piece.bytes);
            let packets = &mut made.bytes[start..];
            packets.chunks_exact_mut(PACKET_SIZE).for_each(|packet| shift(packet, pass * ticks));
            counters.number(packets, false);
            let (offset, size) = (start as u64, piece.bytes.len() as u64);
            made.segments.push(Extent { offset, size });
            end += piece.ticks;
            made.ends_ms.push((end + TICKS_A_MS / 2) / TICKS_A_MS);
        }
    }
    Ok(made)
}

/// What the stream is, and its pieces.
fn pieces(file: &[u8]) -> Result<(Init, Vec<Piece>), Unfit> {
    let mut events = Vec::new();
    let mut reader = Reader::new(Known::default(), u64::MAX);
    reader.take(file, &mut events).map_err(|_| Unfit::NoStream)?;
    reader.end(&mut events);
    let (mut header, mut pieces) = (None, Vec::new());
    for event in events {
        match event {
            Event::Header(init) => header = Some(init),
            Event::Break => return Err(Unfit::Broken),
            Event::Chunk(chunk, bytes) => {
                let ticks = chunk.fragment.runs.first().map_or(0, |run| run.duration);
                pieces.push(Piece { bytes, ticks });
            }
        }
    }
    let is_picture =
        |init: &Init| init.tracks.iter().any(|track| track.sample.media == Media::Video);
    let header: Option<Init> = header.filter(is_picture);
    // Where nothing at all was found it is something else.
    let begins = file.first() == Some(&SYNC) && file.get(PACKET_SIZE) == Some(&SYNC);
    let missing = if begins { Unfit::NoPicture } else { Unfit::NoStream };
    header.map(|header| (header, pieces)).ok_or(missing)
}

/// The same with segments that are not too short, as few as there may be.
fn merged(pieces: Vec<Piece>) -> Result<Vec<Piece>, Unfit> {
    let whole: u64 = pieces.iter().map(|piece| piece.ticks).sum();
    let least = (SLATE_SEGMENT_MS_MIN * TICKS_A_MS).max(whole / SLATE_SEGMENTS_MAX as u64 + 1);
    let mut merged: Vec<Piece> = Vec::new();
    for piece in pieces {
        match merged.last_mut() {
            Some(last) if last.ticks < least || piece.ticks < SLATE_SEGMENT_MS_MIN * TICKS_A_MS => {
                last.bytes.extend(piece.bytes);
                last.ticks += piece.ticks;
            }
            _ => merged.push(piece),
        }
    }
    let is_long = |piece: &Piece| piece.ticks > SLATE_SEGMENT_MS_MAX * TICKS_A_MS;
    match merged.iter().any(is_long) || merged.len() > SLATE_SEGMENTS_MAX {
        true => Err(Unfit::LongSegment),
        false => Ok(merged),
    }
}

fn codecs(header: &Init) -> String {
    let all: Vec<&str> = header.tracks.iter().map(|track| &*track.sample.codecs).collect();
    all.join(",")
}

/// Puts a packet's times and clocks off by so many ticks (ISO/IEC 13818-1, 2.4.3).
fn shift(packet: &mut [u8], ticks: u64) {
    let (begins, field, payload) =
        (packet[1] & 0x40 != 0, packet[3] & 0x20 != 0, packet[3] & 0x10 != 0);
    let mut at = 4;
    if field {
        let size = usize::from(packet[4]);
        let (flags, mut clock) = (packet[5], 6);
        // PCR, then OPCR.
        for flag in [0x10, 0x08] {
            if size > 0 && flags & flag != 0 && clock + 6 <= (5 + size).min(PACKET_SIZE) {
                shift_clock(&mut packet[clock..clock + 6], ticks);
                clock += 6;
            }
        }
        at = 5 + size;
    }
    let Some(unit) = packet.get_mut(at..).filter(|_| begins && payload) else { return };
    // Sections begin with a pointer; no start code has its first bytes.
    let is_unit = unit.len() >= 19 && unit.starts_with(&[0, 0, 1]) && unit[6] & 0xc0 == 0x80;
    if !is_unit {
        return;
    }
    let (flags, size) = (unit[7] >> 6, usize::from(unit[8]));
    if flags & 2 != 0 && size >= 5 {
        shift_time(&mut unit[9..14], ticks);
    }
    if flags == 3 && size >= 10 {
        shift_time(&mut unit[14..19], ticks);
    }
}

/// 33 bits in front of reserved ones and an extension.
fn shift_clock(field: &mut [u8], ticks: u64) {
    let before = field[..5].iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
    let base = (before >> 7).wrapping_add(ticks) % WRAP;
    let after = base << 7 | before & 0x7f;
    field[..5].copy_from_slice(&after.to_be_bytes()[3..]);
}

/// 33 bits in three pieces, with a one behind each.
fn shift_time(field: &mut [u8], ticks: u64) {
    let bytes = [0, 1, 2, 3, 4].map(|at| u64::from(field[at]));
    let before = (bytes[0] >> 1 & 7) << 30
        | bytes[1] << 22
        | (bytes[2] >> 1) << 15
        | bytes[3] << 7
        | bytes[4] >> 1;
    let after = before.wrapping_add(ticks) % WRAP;
    field[0] = field[0] & 0xf1 | (after >> 30 << 1) as u8 & 0x0e;
    field[1] = (after >> 22) as u8;
    field[2] = (after >> 14) as u8 & 0xfe | field[2] & 1;
    field[3] = (after >> 7) as u8;
    field[4] = (after << 1) as u8 & 0xfe | field[4] & 1;
}

#[cfg(test)]
mod tests;
