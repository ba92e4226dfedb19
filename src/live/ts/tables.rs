//! The tables of a transport stream: which programme it has, and which packets belong to it.
//!
//! Of several programmes the first one is taken. Its tables are written anew before each picture
//! that needs no other, whether the encoder does so or not: there a player begins.

use mpeg2ts_reader::mpegts_crc::sum32;
use mpeg2ts_reader::packet::Packet;
use mpeg2ts_reader::psi::pat::{PatSection, ProgramDescriptor};
use mpeg2ts_reader::psi::pmt::PmtSection;
use mpeg2ts_reader::psi::{SectionCommonHeader, TableSyntaxHeader};

use super::coding::Coding;
use super::{PACKET_SIZE, SYNC};

/// Longest section of these tables, in bytes (ISO/IEC 13818-1, 2.4.4.3 and 2.4.4.8).
const SECTION_SIZE_MAX: usize = 1024;

/// What stands before and behind the body of a section, in bytes.
const BEFORE_BODY: usize = SectionCommonHeader::SIZE + TableSyntaxHeader::SIZE;
const CHECKSUM: usize = 4;

/// Streams of a programme that are taken.
const STREAMS_MAX: usize = 32;

/// A programme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Programme {
    /// Its number.
    number: u16,
    /// Which packets have its table.
    table: u16,
    /// Which packets have its clock.
    pub clock: u16,
    /// In the order of the table.
    pub streams: Vec<Stream>,
    /// Its table, whole.
    section: Vec<u8>,
}

/// A stream of a programme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Which packets are its.
    pub pid: u16,
    /// How it is coded, if that is known.
    pub coding: Option<Coding>,
    /// ISO 639-2; `und` if nothing is said.
    pub language: [u8; 3],
}

/// Reads tables as they come.
#[derive(Debug, Default)]
pub struct Tables {
    associations: Section,
    map: Section,
    /// Number of the programme, and which packets have its table.
    chosen: Option<(u16, u16)>,
}

impl Tables {
    /// Takes a packet. The first value says whether it was one of a table, the second one what that
    /// table says, whole.
    pub fn take(&mut self, pid: u16, packet: &Packet<'_>) -> (bool, Option<Programme>) {
        let begins = packet.payload_unit_start_indicator();
        let payload = packet.payload().unwrap_or_default();
        if pid == 0 {
            let chosen = &mut self.chosen;
            self.associations.take(payload, begins, |section| {
                *chosen = first_programme(section).or(*chosen);
            });
            return (true, None);
        }
        let Some((number, _)) = self.chosen.filter(|(_, table)| *table == pid) else {
            return (false, None);
        };
        let mut found = None;
        self.map.take(payload, begins, |section| {
            found = Programme::read(number, pid, section).or(found.take());
        });
        (true, found)
    }
}

fn first_programme(section: &[u8]) -> Option<(u16, u16)> {
    let body = body(section, 0)?;
    PatSection::new(body).programs().find_map(|one| match one {
        ProgramDescriptor::Program { program_number, pid } => {
            Some((program_number, u16::from(pid)))
        }
        ProgramDescriptor::Network { .. } => None,
    })
}

/// The body of a section of this table, if its checksum is right and it holds now.
fn body(section: &[u8], table: u8) -> Option<&[u8]> {
    let (header, rest) = section.split_at_checked(SectionCommonHeader::SIZE)?;
    let is_now = rest.get(2)? & 1 == 1;
    if header[0] != table || header[1] & 0x80 == 0 || !is_now || sum32(section) != 0 {
        return None;
    }
    section.get(BEFORE_BODY..section.len().checked_sub(CHECKSUM)?)
}

impl Programme {
    fn read(number: u16, table: u16, section: &[u8]) -> Option<Self> {
        let of = section.get(SectionCommonHeader::SIZE..)?.first_chunk::<2>()?;
        if u16::from_be_bytes(*of) != number {
            return None;
        }
        let map = PmtSection::from_bytes(body(section, 2)?).ok()?;
        let clock = u16::from(map.pcr_pid());
        let streams = map.streams().take(STREAMS_MAX);
        let streams = streams.map(|stream| {
            let descriptors = || {
                let all = stream.descriptors::<Descriptor<'_>>();
                all.filter_map(Result::ok).map(|Descriptor { tag, body }| (tag, body))
            };
            let coding = Coding::of(stream.stream_type(), descriptors());
            let language = descriptors().find_map(|(tag, body)| match tag {
                10 => {
                    body.first_chunk::<3>().filter(|code| code.iter().all(u8::is_ascii_lowercase))
                }
                _ => None,
            });
            let pid = u16::from(stream.elementary_pid());
            Stream { pid, coding, language: language.copied().unwrap_or(*b"und") }
        });
        let streams: Vec<_> = streams.collect();
        let section = section.to_vec();
        Some(Self { number, table, clock, streams, section })
    }

    /// Whether these packets belong to it.
    #[must_use]
    pub fn has(&self, pid: u16) -> bool {
        pid == self.clock || self.streams.iter().any(|stream| stream.pid == pid)
    }

    /// Its tables, as packets that are not numbered yet.
    #[must_use]
    pub fn packets(&self) -> Vec<u8> {
        let [n0, n1] = self.number.to_be_bytes();
        let [p0, p1] = self.table.to_be_bytes();
        // One section, stream 1, version 0, of one programme.
        let head = [0, 0xb0, 13, 0, 1, 0xc1, 0, 0, n0, n1, 0xe0 | p0, p1];
        let mut packets = packed(0, &checked(&head));
        packets.extend(packed(self.table, &self.section));
        packets
    }

    /// A programme that somebody makes: its streams' identifiers, types, languages. Its table has
    /// this version, of 32.
    #[must_use]
    pub fn made(
        (table, version): (u16, u8),
        clock: u16,
        streams: &[(u16, u8, Option<[u8; 3]>)],
    ) -> Option<Self> {
        let number = 1;
        let [c0, c1] = clock.to_be_bytes();
        let version = 0xc1 | (version & 31) << 1;
        let mut section = vec![2, 0, 0, 0, number as u8, version, 0, 0, 0xe0 | c0, c1, 0xf0, 0];
        for (pid, kind, language) in streams {
            let [p0, p1] = pid.to_be_bytes();
            let descriptor = language.map(|[a, b, c]| [10, 4, a, b, c, 0]);
            let size = descriptor.map_or(0, |bytes| bytes.len() as u8);
            section.extend([*kind, 0xe0 | p0, p1, 0xf0, size]);
            section.extend(descriptor.iter().flatten());
        }
        let size = u16::try_from(section.len() + CHECKSUM - SectionCommonHeader::SIZE).ok()?;
        let [s0, s1] = size.to_be_bytes();
        (section[1], section[2]) = (0xb0 | s0, s1);
        Self::read(number, table, &checked(&section))
    }
}

/// A section with its checksum.
fn checked(section: &[u8]) -> Vec<u8> {
    [section, &sum32(section).to_be_bytes()].concat()
}

/// A section as packets.
fn packed(pid: u16, section: &[u8]) -> Vec<u8> {
    let payload = [&[0], section].concat();
    let mut packets = Vec::new();
    for (at, piece) in payload.chunks(PACKET_SIZE - 4).enumerate() {
        let [high, low] = pid.to_be_bytes();
        let begins = if at == 0 { 0x40 } else { 0 };
        packets.extend([SYNC, begins | high, low, 0x10 | (at & 15) as u8]);
        packets.extend(piece);
        packets.resize(packets.len().next_multiple_of(PACKET_SIZE), 0xff);
    }
    packets
}

/// Any descriptor: its tag and its body.
struct Descriptor<'d> {
    tag: u8,
    body: &'d [u8],
}

impl<'d> mpeg2ts_reader::descriptor::Descriptor<'d> for Descriptor<'d> {
    fn from_bytes(bytes: &'d [u8]) -> Result<Self, mpeg2ts_reader::descriptor::DescriptorError> {
        let short =
            mpeg2ts_reader::descriptor::DescriptorError::BufferTooShort { buflen: bytes.len() };
        let ([tag, _], body) = bytes.split_first_chunk().ok_or(short)?;
        Ok(Self { tag: *tag, body })
    }
}

/// Puts the sections of one table together.
#[derive(Debug, Default)]
struct Section {
    bytes: Vec<u8>,
    is_begun: bool,
}

impl Section {
    fn take(&mut self, payload: &[u8], begins: bool, mut whole: impl FnMut(&[u8])) {
        let payload = if begins {
            // How far behind it the next section begins; what stands before ends the last one.
            let Some((&pointer, rest)) = payload.split_first() else { return };
            let (before, rest) = rest.split_at(usize::from(pointer).min(rest.len()));
            self.append(before, &mut whole);
            self.bytes.clear();
            self.is_begun = true;
            rest
        } else {
            payload
        };
        self.append(payload, &mut whole);
    }

    fn append(&mut self, bytes: &[u8], whole: &mut impl FnMut(&[u8])) {
        if !self.is_begun {
            return;
        }
        self.bytes.extend_from_slice(bytes);
        while let Some(&[table, s0, s1]) = self.bytes.first_chunk() {
            let size = 3 + usize::from(u16::from_be_bytes([s0 & 0x0f, s1]));
            if table == 0xff || size > SECTION_SIZE_MAX {
                // Stuffing, or nothing that could be one of these tables.
                self.is_begun = false;
                self.bytes.clear();
                return;
            }
            if self.bytes.len() < size {
                return;
            }
            whole(&self.bytes[..size]);
            self.bytes.drain(..size);
        }
    }
}
