//! Pieces of a transport stream that are made one by one, in any order, and go on from each other:
//! segments in, packets of a size that was known before.
//!
//! A piece begins with the tables, and each of its streams has a multiple of 16 packets, so that
//! counters begin anew with every piece and still go on from the one before (ISO/IEC 13818-1,
//! 2.4.3.3). What is left of the size is filled with null packets. The size is a bound that needs
//! no look at the segments: their bytes, how long they are, and what their headers say.

use super::{Muxer, PACKET_SIZE, SOUNDS_A_PACKET, SYNC, Setup, Source, Stream, Unit};
use crate::live::boxes::chunk::{Fragment, Piece};
use crate::live::boxes::init::Init;
use crate::live::boxes::{BoxError, sizes};

/// Packets after which a counter begins anew.
const COUNTED: usize = 16;

/// Bytes of a packet that carry payload.
const ROOM: u64 = PACKET_SIZE as u64 - 4;

/// Bytes that an access unit takes besides its samples at most: the header of its packet of the
/// elementary stream, the clock, a delimiter.
const UNIT_SIZE: u64 = 19 + 8 + 6;

/// Bytes in front of a sound.
const SOUND_SIZE: u64 = 7;

/// Pictures a second where nobody says how many.
const PICTURES_A_SECOND: f64 = 60.0;

/// Samples of a sound at least, where its coding does not say.
const SOUND_SAMPLES_MIN: u64 = 256;

/// A whole segment of a rendition.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'b> {
    /// Which of the muxer's sources it is of.
    pub source: usize,
    /// What its header says.
    pub init: &'b Init,
    /// Microseconds of Unix time at the media's zero.
    pub zero_micros: i64,
    /// Its bytes.
    pub bytes: &'b [u8],
}

/// Where a piece stands.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// How many pieces come before it.
    pub number: usize,
    /// The source of which all is taken.
    pub lead: usize,
    /// Of others what is decoded from then until then, in microseconds of Unix time.
    pub between: (i64, i64),
    /// Whether its times do not go on from those of the piece before.
    pub is_anew: bool,
}

/// What the size of a piece follows from, of each source: its bytes, and microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Share {
    /// Which source.
    pub source: usize,
    /// Bytes at most.
    pub size: u64,
}

impl Muxer {
    /// Of these renditions, with tables of this version.
    ///
    /// # Errors
    ///
    /// What is wrong with a header.
    pub fn versioned(sources: &[Source<'_>], version: u8) -> Result<Option<Self>, BoxError> {
        Self::of_version(sources, version & 31)
    }

    /// Bytes of a piece that is so long, in microseconds: enough for all that these shares can have
    /// in it, at so many pictures a second, if that is known.
    #[must_use]
    pub fn piece_size(&self, micros: u64, pictures: Option<f64>, shares: &[Share]) -> u64 {
        let mut packets = (self.tables.len() / PACKET_SIZE) as u64;
        let mut shares: Vec<_> = shares.to_vec();
        for stream in &self.streams {
            // Samples of a source are counted with its first stream.
            let share = shares.iter_mut().find(|share| share.source == stream.source);
            let size = share.map_or(0, |share| std::mem::take(&mut share.size));
            let (units, size) = match &stream.setup {
                Setup::Units { sets, length_size, .. } => {
                    let rate = pictures.unwrap_or(PICTURES_A_SECOND) * 1.25;
                    let units = (micros as f64 / 1e6 * rate) as u64 + 2;
                    // Lengths of units may be shorter than what stands in front of them here.
                    let longer = if *length_size == 4 { 0 } else { size / 8 };
                    (units, size + longer + units * (UNIT_SIZE + sets.len() as u64))
                }
                Setup::Aac { .. } | Setup::Whole(_) => {
                    let rate = u128::from(stream.rate.max(8_000));
                    let samples = u128::from(stream.setup.sound_samples());
                    let sounds = u128::from(micros) * rate / 1_000_000 / samples;
                    let sounds = u64::try_from(sounds).unwrap_or(u64::MAX / 1024) + 2;
                    let units = sounds.div_ceil(SOUNDS_A_PACKET as u64);
                    (units, size + sounds * SOUND_SIZE + units * UNIT_SIZE)
                }
            };
            // Each unit ends with a packet that may be nearly empty.
            packets += size.div_ceil(ROOM) + units + COUNTED as u64;
        }
        packets * PACKET_SIZE as u64
    }

    /// The piece of these segments, in so many bytes. What does not fit is left out at its end,
    /// which is told.
    ///
    /// # Errors
    ///
    /// What is wrong with the boxes of a segment.
    pub fn piece(
        &self,
        segments: &[Segment<'_>],
        place: Place,
        size: usize,
    ) -> Result<(Vec<u8>, bool), BoxError> {
        let mut units = self.units(segments, place)?;
        units.sort_by_key(|(_, unit)| unit.decoded);
        let mut is_cut = false;
        loop {
            let mut packets = self.written(&units, place.number);
            if packets.len() <= size || units.is_empty() {
                if place.is_anew {
                    say_anew(&mut packets);
                }
                return Ok((filled(packets, size), is_cut));
            }
            is_cut = true;
            units.truncate(units.len() - units.len().div_ceil(16));
        }
    }

    /// Access units of all streams.
    fn units(
        &self,
        segments: &[Segment<'_>],
        place: Place,
    ) -> Result<Vec<(usize, Unit)>, BoxError> {
        let mut units = Vec::new();
        for (at, stream) in self.streams.iter().enumerate() {
            let mut waits: Option<(Unit, usize)> = None;
            for segment in segments.iter().filter(|segment| segment.source == stream.source) {
                for (moof_at, piece) in samples(segment)? {
                    if piece.track != stream.track || !stream.takes(&piece, segment, place) {
                        continue;
                    }
                    let (unit, count) = match waits.take() {
                        Some((unit, count)) if count < stream.sounds_a_unit() => (unit, count),
                        whole => {
                            units.extend(whole.map(|(unit, _)| (at, unit)));
                            (stream.begun(&piece), 0)
                        }
                    };
                    let mut unit = unit;
                    let before = unit.bytes.len();
                    if stream.add(&piece, segment.bytes, moof_at, &mut unit.bytes) {
                        waits = Some((unit, count + 1));
                    } else {
                        // A broken sample is left out, not those before it.
                        unit.bytes.truncate(before);
                        waits = (count > 0).then_some((unit, count));
                    }
                }
            }
            units.extend(waits.map(|(unit, _)| (at, unit)));
        }
        Ok(units)
    }

    fn written(&self, units: &[(usize, Unit)], number: usize) -> Vec<u8> {
        let mut out = numbered(&self.tables, number);
        let mut streams: Vec<Stream> = self.streams.iter().map(Stream::afresh).collect();
        let mut last: Vec<_> = vec![None; streams.len()];
        for (at, (stream, _)) in units.iter().enumerate() {
            last[*stream] = Some(at);
        }
        for (at, (of, unit)) in units.iter().enumerate() {
            let stream = &mut streams[*of];
            let mut more = 0;
            if last[*of] == Some(at) {
                let needed = stream.packets(unit, stream.payload(unit).len());
                more = (usize::from(stream.counter) + needed).wrapping_neg() % COUNTED;
            }
            stream.write(unit, more, &mut out);
        }
        out
    }
}

impl Stream {
    /// The same before anything was written.
    fn afresh(&self) -> Self {
        Self {
            setup: self.setup.clone(),
            waits: Default::default(),
            last: None,
            counter: 0,
            ..*self
        }
    }

    fn sounds_a_unit(&self) -> usize {
        if self.setup.is_picture() { 1 } else { SOUNDS_A_PACKET }
    }

    fn takes(&self, piece: &Piece, segment: &Segment<'_>, place: Place) -> bool {
        if self.source == place.lead {
            return true;
        }
        let micros = i128::from(piece.decoded) * 1_000_000 / i128::from(self.timescale.max(1));
        let micros = i64::try_from(micros).unwrap_or(i64::MAX);
        let date = micros.saturating_add(segment.zero_micros);
        (place.between.0..place.between.1).contains(&date)
    }

    fn begun(&self, piece: &Piece) -> Unit {
        Unit {
            decoded: self.time(piece.decoded),
            presented: self.time(piece.presented),
            independent: piece.independent || !self.setup.is_picture(),
            bytes: Vec::new(),
        }
    }
}

impl Setup {
    /// How many samples of a sound are coded together, at least.
    fn sound_samples(&self) -> u64 {
        match self {
            Self::Aac { .. } => 1024,
            Self::Whole(0x81) => 1536,
            _ => SOUND_SAMPLES_MIN,
        }
    }
}

/// The samples of all chunks of a segment, each with where its `moof` begins.
fn samples(segment: &Segment<'_>) -> Result<Vec<(usize, Piece)>, BoxError> {
    let (bytes, mut at, mut found) = (segment.bytes, 0, Vec::new());
    while let Some((header, size, kind)) = sizes(&bytes[at..])? {
        let end = usize::try_from(size).ok().and_then(|size| at.checked_add(size));
        let end = end.filter(|end| *end <= bytes.len()).ok_or(BoxError::Size(kind))?;
        if kind == *b"moof" {
            let pieces = Fragment::samples(&bytes[at + header..end], size, segment.init)?;
            found.extend(pieces.into_iter().map(|piece| (at, piece)));
        }
        at = end;
    }
    Ok(found)
}

/// Packets with null packets behind them, so that they have this size. What is too much is cut off.
#[must_use]
pub fn filled(mut packets: Vec<u8>, size: usize) -> Vec<u8> {
    packets.truncate(size / PACKET_SIZE * PACKET_SIZE);
    while packets.len() + PACKET_SIZE <= size {
        packets.extend([SYNC, 0x1f, 0xff, 0x10]);
        packets.resize(packets.len() + PACKET_SIZE - 4, 0xff);
    }
    packets
}

/// The tables as they stand in front of a piece: they are in each of them once.
fn numbered(tables: &[u8], number: usize) -> Vec<u8> {
    let mut tables = tables.to_vec();
    let pid = |packet: &[u8]| u16::from(packet[1] & 0x1f) << 8 | u16::from(packet[2]);
    let pids: Vec<_> = tables.chunks_exact(PACKET_SIZE).map(pid).collect();
    for (at, packet) in tables.chunks_exact_mut(PACKET_SIZE).enumerate() {
        let all = pids.iter().filter(|pid| **pid == pids[at]).count();
        let before = pids[..at].iter().filter(|pid| **pid == pids[at]).count();
        packet[3] = packet[3] & 0xf0 | ((number * all + before) % COUNTED) as u8;
    }
    tables
}

/// Says once for each stream that its times do not go on.
fn say_anew(packets: &mut [u8]) {
    let mut said: Vec<u16> = Vec::new();
    for packet in packets.chunks_exact_mut(PACKET_SIZE) {
        let pid = u16::from(packet[1] & 0x1f) << 8 | u16::from(packet[2]);
        let has_field = packet[3] & 0x20 != 0 && packet[4] > 0;
        if has_field && !said.contains(&pid) {
            packet[5] |= 0x80;
            said.push(pid);
        }
    }
}

#[cfg(test)]
mod tests;
