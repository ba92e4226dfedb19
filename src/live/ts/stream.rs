//! A transport stream as it arrives: bytes in, cut anywhere, headers and chunks out.
//!
//! Times are read from access units (PTS, DTS) and the clock (PCR), and go on where their 33 bits
//! begin anew. A chunk begins with an access unit of the leading stream, the picture if there is
//! one, and ends before the one with which it would be longer than a part, or with which decoding
//! can begin. Its bytes are the encoder's packets, without those of other programmes, and with the
//! tables in front where decoding can begin.

use mpeg2ts_reader::packet::Packet;
use mpeg2ts_reader::pes::{PesContents, PesHeader, PesParsedContents, PtsDts, Timestamp};

use super::coding::{Coding, LOOKED_AT_MAX};
use super::tables::{Programme, Tables};
use super::{PACKET_SIZE, SYNC, TIMESCALE, TsError};
use crate::live::boxes::chunk::{Fragment, Run};
use crate::live::boxes::codec::Sample;
use crate::live::boxes::init::{Defaults, Init, Media, Track};
use crate::live::boxes::stream::Chunk;

/// Bytes without a packet after which this is no transport stream.
const SEARCHED_MAX: usize = 64 * 1024;

/// Bytes of a chunk: as much as is taken of any.
pub const CHUNK_SIZE_MAX: usize = 16 << 20;

/// Media that is held until something of every sound was seen, in ticks: encoders put sounds up to
/// 0.7 s before or behind the picture.
const HELD_TICKS_MAX: u64 = 2 * TIMESCALE as u64;

/// A step of decoding time that is no longer one stream's, in ticks.
const STEP_TICKS_MAX: i64 = 10 * TIMESCALE as i64;

/// How long an access unit is assumed to be before there was a second one, in ticks: 25 a second.
const UNIT_TICKS: u64 = 3600;

/// Values of times and clocks.
const WRAP: i64 = 1 << 33;

/// What has come, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// What the stream is. It holds for all chunks from here on.
    Header(Init),
    /// Time does not go on from what came before.
    Break,
    /// A chunk and its packets.
    Chunk(Chunk, Vec<u8>),
}

/// What one request of an encoder tells the next.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The programme, and what is known of its streams, in the order of their table.
    programme: Option<(Programme, Vec<Option<Sample>>)>,
    /// What was said of them last.
    header: Option<Init>,
    /// The last decoding time, in ticks.
    time: Option<i64>,
    /// How long the last two access units were, in ticks.
    units: [u64; 2],
}

impl Known {
    /// Nothing is known but when it begins, in ticks.
    #[must_use]
    pub fn at(time: i64) -> Self {
        Self { time: Some(time), ..Self::default() }
    }
}

/// Reads one stream.
#[derive(Debug)]
pub struct Reader {
    known: Known,
    tables: Tables,
    /// A packet that is not whole.
    packet: Vec<u8>,
    searched: usize,
    /// The longest chunk that is wanted, in ticks.
    longest: u64,
    /// Beginnings of access units, in the order of the programme's streams.
    starts: Vec<Vec<u8>>,
    /// The last value of the clock.
    clock: Option<i64>,
    /// Whether time begins anew with the next access unit.
    is_broken: bool,
    /// From decoding times to presentation times, in ticks.
    shift: Option<i64>,
    building: Option<Building>,
    held: Vec<(Chunk, Vec<u8>)>,
    held_size: usize,
}

/// A chunk that is not whole.
#[derive(Debug)]
struct Building {
    /// Its first and its last decoding time.
    start: i64,
    last: i64,
    /// The earliest moment at which anything of it is presented.
    presented: i64,
    units: u32,
    independent: bool,
    bytes: Vec<u8>,
}

/// When an access unit is decoded and presented.
#[derive(Clone, Copy, Debug)]
struct Times {
    decoded: i64,
    presented: i64,
}

impl Reader {
    /// Of a request whose encoder has sent others before; chunks are as long as this, in ticks.
    #[must_use]
    pub fn new(known: Known, longest: u64) -> Self {
        let streams = known.programme.as_ref().map_or(0, |(programme, _)| programme.streams.len());
        Self {
            known,
            tables: Tables::default(),
            packet: Vec::with_capacity(PACKET_SIZE),
            searched: 0,
            longest,
            starts: vec![Vec::new(); streams],
            clock: None,
            is_broken: false,
            shift: None,
            building: None,
            held: Vec::new(),
            held_size: 0,
        }
    }

    /// From now on chunks are as long as this, in ticks.
    pub fn set_longest(&mut self, longest: u64) {
        self.longest = longest;
    }

    /// For the encoder's next request.
    #[must_use]
    pub fn into_known(self) -> Known {
        self.known
    }

    /// Bytes that are kept.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.held_size + self.building.as_ref().map_or(0, |building| building.bytes.len())
    }

    /// Whether everything that came is part of a whole packet.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.packet.is_empty()
    }

    /// Takes the next bytes, and adds what has become whole.
    ///
    /// # Errors
    ///
    /// What is wrong. The stream can't be read any further then.
    pub fn take(&mut self, mut bytes: &[u8], events: &mut Vec<Event>) -> Result<(), TsError> {
        while !bytes.is_empty() {
            if self.packet.is_empty() {
                let start = memchr::memchr(SYNC, bytes).unwrap_or(bytes.len());
                self.searched += start;
                if self.searched > SEARCHED_MAX {
                    return Err(TsError::NoPackets);
                }
                bytes = &bytes[start..];
            }
            let missing = PACKET_SIZE - self.packet.len();
            let (taken, rest) = bytes.split_at(missing.min(bytes.len()));
            self.packet.extend_from_slice(taken);
            bytes = rest;
            if self.packet.len() == PACKET_SIZE {
                let packet = std::mem::take(&mut self.packet);
                self.take_packet(&packet, events)?;
                self.packet = packet;
                self.packet.clear();
            }
        }
        Ok(())
    }

    /// Nothing more comes: what there is makes the last chunk.
    pub fn end(&mut self, events: &mut Vec<Event>) {
        self.cut(None, events);
        self.tell(events);
    }

    fn take_packet(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<(), TsError> {
        let Some(packet) = Packet::try_new(bytes) else { return Ok(()) };
        if packet.transport_error_indicator() {
            return Ok(());
        }
        let pid = u16::from(packet.pid());
        let (is_table, programme) = self.tables.take(pid, &packet);
        if let Some(programme) = programme {
            self.searched = 0;
            self.begin_programme(programme, events);
        }
        let Some((programme, _)) = self.known.programme.as_ref().filter(|_| !is_table) else {
            return Ok(());
        };
        if !programme.has(pid) {
            return Ok(());
        }
        if pid == programme.clock {
            self.read_clock(&packet);
        }
        self.take_media(pid, &packet, events);
        match &mut self.building {
            Some(building) if building.bytes.len() + PACKET_SIZE > CHUNK_SIZE_MAX => {
                return Err(TsError::TooLong);
            }
            Some(building) => building.bytes.extend_from_slice(bytes),
            None => {}
        }
        Ok(())
    }

    fn begin_programme(&mut self, programme: Programme, events: &mut Vec<Event>) {
        if self.known.programme.as_ref().is_some_and(|(known, _)| *known == programme) {
            return;
        }
        // What was being put together belongs to the one before.
        self.end(events);
        let count = programme.streams.len();
        self.starts = vec![Vec::new(); count];
        self.known.programme = Some((programme, vec![None; count]));
        self.shift = None;
    }

    /// The clock says when time begins anew: by its flag, or by a step that no encoder makes.
    fn read_clock(&mut self, packet: &Packet<'_>) {
        let Some(field) = packet.adaptation_field() else { return };
        let Ok(clock) = field.pcr() else { return };
        let now = unrolled(clock.base(), self.clock);
        let step = self.clock.map_or(0, |before| now - before);
        self.is_broken |= field.discontinuity_indicator() && self.clock.is_some();
        self.is_broken |= !(0..=STEP_TICKS_MAX).contains(&step);
        self.clock = Some(now);
    }

    fn take_media(&mut self, pid: u16, packet: &Packet<'_>, events: &mut Vec<Event>) {
        let Some((programme, samples)) = &self.known.programme else { return };
        let place = programme.streams.iter().position(|stream| stream.pid == pid);
        let Some(at) = place else { return };
        let Some(coding) = programme.streams[at].coding else { return };
        let is_lead = self.lead() == Some(at);
        let is_sought = samples[at].is_none() || coding.media() == Media::Video;
        let is_hidden = packet.transport_scrambling_control().is_scrambled();
        let Some(payload) = packet.payload().filter(|_| !is_hidden) else { return };
        if !packet.payload_unit_start_indicator() {
            if is_sought && !self.starts[at].is_empty() {
                self.look(at, coding, payload);
            }
            return;
        }
        self.starts[at].clear();
        // A header that does not end within its packet has more fields than anybody sends.
        let Some((times, start)) = access_unit(payload) else { return };
        let field = packet.adaptation_field();
        let is_said = field.is_some_and(|field| field.random_access_indicator());
        let independent = is_said || coding.is_independent(start);
        if is_lead && let Some((decoded, presented)) = times {
            let decoded = unrolled(decoded, self.known.time);
            let presented = unrolled(presented, Some(decoded));
            let is_key = independent && coding.media() == Media::Video;
            self.begin_unit(Times { decoded, presented }, independent, is_key, events);
        }
        if is_sought && independent {
            self.look(at, coding, start);
        }
    }

    /// Looks at bytes of an access unit's beginning.
    fn look(&mut self, at: usize, coding: Coding, bytes: &[u8]) {
        let start = &mut self.starts[at];
        let room = LOOKED_AT_MAX - start.len().min(LOOKED_AT_MAX);
        start.extend_from_slice(&bytes[..bytes.len().min(room)]);
        let Some(sample) = coding.seen(start) else { return };
        start.clear();
        if let Some((_, samples)) = &mut self.known.programme {
            samples[at] = Some(sample);
        }
    }

    /// An access unit of the leading stream begins.
    fn begin_unit(
        &mut self,
        times: Times,
        independent: bool,
        is_key: bool,
        events: &mut Vec<Event>,
    ) {
        let Times { decoded, presented } = times;
        if let Some(building) = &self.building {
            let step = decoded - building.last;
            if self.is_broken || !(0..=STEP_TICKS_MAX).contains(&step) {
                self.cut(None, events);
                self.tell(events);
                self.shift = None;
                events.push(Event::Break);
            } else if step.unsigned_abs() > self.longest.max(self.unit_ticks()) {
                // Something is missing, of which nobody will say how long it would have been.
                self.cut(None, events);
            } else {
                let length = decoded.abs_diff(building.start);
                if step > 0 {
                    self.known.units = [self.known.units[1], step.unsigned_abs()];
                }
                let is_full = length + self.unit_ticks() > self.longest;
                if length > 0 && (is_key || is_full) {
                    self.cut(Some(length), events);
                }
            }
        }
        self.is_broken = false;
        self.known.time = Some(decoded);
        match &mut self.building {
            Some(building) => {
                building.last = decoded;
                building.presented = building.presented.min(presented);
                building.units += 1;
            }
            // What needs others follows them, or else nothing can be done with it.
            None if independent || self.known.header.is_some() || !self.held.is_empty() => {
                self.begin_chunk(times, independent);
            }
            None => {}
        }
    }

    fn begin_chunk(&mut self, times: Times, independent: bool) {
        let tables = self.known.programme.as_ref().filter(|_| independent);
        self.building = Some(Building {
            start: times.decoded,
            last: times.decoded,
            presented: times.presented,
            units: 1,
            independent,
            bytes: tables.map(|(programme, _)| programme.packets()).unwrap_or_default(),
        });
    }

    /// The shorter of the last two: what is too long would lie over what comes next.
    fn unit_ticks(&self) -> u64 {
        match self.known.units {
            [0, 0] => UNIT_TICKS,
            [0, last] => last,
            [before, last] => before.min(last),
        }
    }

    /// The chunk that is being put together is whole, and so long; else its last access unit is
    /// as long as those before.
    fn cut(&mut self, length: Option<u64>, events: &mut Vec<Event>) {
        let Some(building) = self.building.take() else { return };
        let Some(pid) = self.lead_pid() else { return };
        let length = length.unwrap_or_else(|| {
            building.last.abs_diff(building.start).saturating_add(self.unit_ticks())
        });
        if self.shift.is_none() && building.independent {
            self.shift = Some(building.presented - building.start);
        }
        let presented = self.shift.map_or(building.presented, |shift| building.start + shift);
        let run = Run {
            track: u32::from(pid),
            decode_time: building.start.unsigned_abs(),
            duration: length,
            presentation_time: presented,
            independent: building.independent,
            samples: building.units,
            size: building.bytes.len() as u64,
            first_end: 0,
        };
        let fragment = Fragment { sequence: 0, runs: vec![run] };
        let chunk = Chunk { fragment, brands: None, reference: None, messages: Vec::new() };
        self.held_size += building.bytes.len();
        self.held.push((chunk, building.bytes));
        let ticks = |(chunk, _): &(Chunk, Vec<u8>)| chunk.fragment.runs[0].duration;
        let held = self.held.iter().map(ticks).fold(0, u64::saturating_add);
        let is_known = self.known.header.is_some() || self.is_seen();
        if is_known || held >= HELD_TICKS_MAX || self.held_size > CHUNK_SIZE_MAX {
            self.tell(events);
        }
    }

    /// Whether something of every stream was seen.
    fn is_seen(&self) -> bool {
        let Some((programme, samples)) = &self.known.programme else { return false };
        let mut both = programme.streams.iter().zip(samples);
        both.all(|(stream, sample)| stream.coding.is_none() || sample.is_some())
    }

    /// Tells of what is held, and of what it is if that is new.
    fn tell(&mut self, events: &mut Vec<Event>) {
        let held = std::mem::take(&mut self.held);
        self.held_size = 0;
        let Some(header) = self.header().filter(|_| !held.is_empty()) else { return };
        if self.known.header.as_ref() != Some(&header) {
            self.known.header = Some(header.clone());
            events.push(Event::Header(header));
        }
        events.extend(held.into_iter().map(|(chunk, bytes)| Event::Chunk(chunk, bytes)));
    }

    /// What the stream is; none if nothing is known of its picture. Sounds that were not seen when
    /// it was said first are taken to be what they mostly are, and it stays at that.
    fn header(&mut self) -> Option<Init> {
        let (programme, samples) = self.known.programme.as_mut()?;
        let mut tracks = Vec::new();
        for (stream, sample) in programme.streams.iter().zip(samples) {
            let Some(coding) = stream.coding else { continue };
            if sample.is_none() && coding.media() == Media::Audio {
                *sample = Some(coding.unseen());
            }
            let Some(sample) = sample.clone() else { continue };
            tracks.push(Track {
                id: u32::from(stream.pid),
                timescale: TIMESCALE,
                language: stream.language,
                sample,
                presentation_shift: 0,
                defaults: Defaults::default(),
            });
        }
        let lead = u32::from(self.lead_pid()?);
        let has_lead = tracks.iter().any(|track| track.id == lead);
        has_lead.then_some(Init { tracks, protection: Vec::new() })
    }

    /// The first picture, or else the first sound.
    fn lead(&self) -> Option<usize> {
        let (programme, _) = self.known.programme.as_ref()?;
        let first = |media| {
            let is = |coding: Option<Coding>| coding.is_some_and(|coding| coding.media() == media);
            programme.streams.iter().position(|stream| is(stream.coding))
        };
        first(Media::Video).or_else(|| first(Media::Audio))
    }

    fn lead_pid(&self) -> Option<u16> {
        let (programme, _) = self.known.programme.as_ref()?;
        Some(programme.streams[self.lead()?].pid)
    }
}

/// Decoding and presentation time, if an access unit says them, and its first bytes.
type Begun<'p> = (Option<(u64, u64)>, &'p [u8]);

fn access_unit(payload: &[u8]) -> Option<Begun<'_>> {
    let PesContents::Parsed(Some(contents)) = PesHeader::from_bytes(payload)?.contents() else {
        return None;
    };
    Some((times(&contents), contents.payload()))
}

fn times(contents: &PesParsedContents<'_>) -> Option<(u64, u64)> {
    match contents.pts_dts().ok()? {
        PtsDts::PtsOnly(Ok(presented)) => Some((presented.value(), presented.value())),
        PtsDts::Both { pts: Ok(pts), dts: Ok(dts) } => {
            Some((Timestamp::value(dts), Timestamp::value(pts)))
        }
        _ => None,
    }
}

/// A time of 33 bits, where it is nearest to another one.
fn unrolled(value: u64, near: Option<i64>) -> i64 {
    let value = i64::try_from(value).unwrap_or(0) & (WRAP - 1);
    let Some(near) = near else { return value };
    let step = (value - near).rem_euclid(WRAP);
    let time = near + if step >= WRAP / 2 { step - WRAP } else { step };
    // Before the zero there is nothing.
    if time < 0 { value } else { time }
}
