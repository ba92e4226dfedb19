//! A piece of a record as bytes, for the disk, and back.
//!
//! Numbers are little-endian. A text is its size in 2 bytes and its UTF-8; a list is its length in
//! 4 bytes and its members.
//!
//! | piece | |
//! |---|---|
//! | 8 | magic and version: `SCrecord`, then the version in 2 bytes: 2 |
//! | list | renditions: name, about, lengths, headers, segments |
//!
//! | about | |
//! |---|---|
//! | 1 | 0: pictures, 1: sound, 2: text |
//! | 12 | pictures: across, down (2 each), pictures, in seconds (4 each; 0: not known) |
//! | 2 | sound: channels |
//! | text, text | codings, language (empty: none is said) |
//! | 8, 8 | bits a second: peak, average |
//!
//! Lengths are of a segment and of a part, as ticks (8) and timescale (4) each. Headers are a list
//! of:
//!
//! | header | |
//! |---|---|
//! | 4, text | number, name |
//! | 1 | 1: what follows it is encrypted, and then also: |
//! | 4, 16 | scheme, key |
//! | list | systems of licences: a `pssh` box each, whole, behind its size in 4 bytes |
//!
//! Version 1 has number and name alone of a header. Segments are a list of:
//!
//! | segment | |
//! |---|---|
//! | 8, 8, 4, 8 | number, start, timescale, duration |
//! | 8, 4, 1 | size, header (2³²−1: none, a transport stream), 1: discontinuity |
//! | 8, 8 | origin: microseconds of the zero, of the start |
//!
//! What is read comes from our own disk under a checksum. It is checked all the same, since another
//! version may have written it.

use std::sync::Arc;

use super::{About, Added, Carried, HEADERS_MAX, Header, Kept, Piece};
use crate::live::cut::Lengths;
use crate::live::playlist::multivariant::Bandwidth;
use crate::live::protection::{Protection, System};
use crate::live::time::{Length, Moment};
use crate::live::timeline::Origin;

const MAGIC: &[u8; 8] = b"SCrecord";
const VERSION: u16 = 2;

/// The one that knows nothing of encryption.
const VERSION_1: u16 = 1;

/// Not a piece of a record, or one of another version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

impl Piece {
    /// As bytes.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend(VERSION.to_le_bytes());
        put_count(&mut out, self.renditions.len());
        for one in &self.renditions {
            put_text(&mut out, &one.name);
            put_about(&mut out, &one.about);
            put_length(&mut out, one.lengths.segment);
            put_length(&mut out, one.lengths.part);
            put_count(&mut out, one.headers.len());
            for (number, header) in &one.headers {
                out.extend(number.to_le_bytes());
                put_text(&mut out, &header.name);
                put_protection(&mut out, header.protection.as_deref());
            }
            put_count(&mut out, one.segments.len());
            one.segments.iter().for_each(|kept| put_kept(&mut out, kept));
        }
        out
    }

    /// From bytes.
    ///
    /// # Errors
    ///
    /// `Unreadable`, whatever is wrong with it.
    pub fn read(bytes: &[u8]) -> Result<Self, Unreadable> {
        let mut input = Input { rest: bytes, version: VERSION };
        let begins = input.array::<8>()? == *MAGIC;
        input.version = input.u16()?;
        if !begins || !matches!(input.version, VERSION_1 | VERSION) {
            return Err(Unreadable);
        }
        let renditions = input.list(Input::added)?;
        if input.rest.is_empty() { Ok(Self { renditions }) } else { Err(Unreadable) }
    }
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    out.extend(u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
}

/// Texts are names and codings, far below 64 KiB; what is longer is cut between two characters.
fn put_text(out: &mut Vec<u8>, text: &str) {
    let mut size = text.len().min(usize::from(u16::MAX));
    while !text.is_char_boundary(size) {
        size -= 1;
    }
    out.extend(u16::try_from(size).expect("at most so much").to_le_bytes());
    out.extend_from_slice(&text.as_bytes()[..size]);
}

fn put_protection(out: &mut Vec<u8>, protection: Option<&Protection>) {
    out.push(u8::from(protection.is_some()));
    let Some(Protection { scheme, key, systems }) = protection else { return };
    out.extend_from_slice(scheme);
    out.extend_from_slice(key);
    put_count(out, systems.len());
    for system in systems {
        put_count(out, system.pssh.len());
        out.extend_from_slice(&system.pssh);
    }
}

fn put_about(out: &mut Vec<u8>, about: &About) {
    match about.carries {
        Carried::Video { resolution, frame_rate } => {
            let (pictures, seconds) = frame_rate.unwrap_or((0, 0));
            out.push(0);
            out.extend(resolution.0.to_le_bytes());
            out.extend(resolution.1.to_le_bytes());
            out.extend(pictures.to_le_bytes());
            out.extend(seconds.to_le_bytes());
        }
        Carried::Audio { channels } => {
            out.push(1);
            out.extend(channels.to_le_bytes());
        }
        Carried::Text => out.push(2),
    }
    put_text(out, &about.codecs);
    put_text(out, about.language.as_deref().unwrap_or_default());
    out.extend(about.bandwidth.peak.to_le_bytes());
    out.extend(about.bandwidth.average.to_le_bytes());
}

fn put_length(out: &mut Vec<u8>, length: Length) {
    let (ticks, timescale) = length.ticks();
    out.extend(ticks.to_le_bytes());
    out.extend(timescale.to_le_bytes());
}

fn put_kept(out: &mut Vec<u8>, kept: &Kept) {
    out.extend(kept.number.to_le_bytes());
    out.extend(kept.start.ticks.to_le_bytes());
    out.extend(kept.start.timescale.to_le_bytes());
    out.extend(kept.duration.to_le_bytes());
    out.extend(kept.size.to_le_bytes());
    out.extend(kept.header.to_le_bytes());
    out.push(u8::from(kept.discontinuity));
    out.extend(kept.origin.zero_micros.to_le_bytes());
    out.extend(kept.origin.start_micros.to_le_bytes());
}

/// What is still to be read.
struct Input<'b> {
    rest: &'b [u8],
    version: u16,
}

impl Input<'_> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Unreadable> {
        let (first, rest) = self.rest.split_first_chunk().ok_or(Unreadable)?;
        self.rest = rest;
        Ok(*first)
    }

    fn u32(&mut self) -> Result<u32, Unreadable> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, Unreadable> {
        self.array().map(u64::from_le_bytes)
    }

    fn i64(&mut self) -> Result<i64, Unreadable> {
        self.array().map(i64::from_le_bytes)
    }

    fn u16(&mut self) -> Result<u16, Unreadable> {
        self.array().map(u16::from_le_bytes)
    }

    fn text(&mut self) -> Result<String, Unreadable> {
        let size = usize::from(self.u16()?);
        String::from_utf8(self.bytes(size)?.to_vec()).map_err(|_| Unreadable)
    }

    fn bytes(&mut self, size: usize) -> Result<&[u8], Unreadable> {
        let (bytes, rest) = self.rest.split_at_checked(size).ok_or(Unreadable)?;
        self.rest = rest;
        Ok(bytes)
    }

    /// The length is not believed: memory is taken as members come.
    fn list<T>(
        &mut self,
        member: impl Fn(&mut Self) -> Result<T, Unreadable>,
    ) -> Result<Vec<T>, Unreadable> {
        (0..self.u32()?).map(|_| member(self)).collect()
    }

    fn length(&mut self) -> Result<Length, Unreadable> {
        let (ticks, timescale) = (self.u64()?, self.u32()?);
        Length::new(ticks, timescale).ok_or(Unreadable)
    }

    fn added(&mut self) -> Result<Added, Unreadable> {
        let name = self.text()?;
        let about = self.about()?;
        let lengths = Lengths { segment: self.length()?, part: self.length()? };
        let headers = self.list(|input| {
            let number = input.u32()?;
            if number >= HEADERS_MAX {
                return Err(Unreadable);
            }
            let (name, protection) = (input.text()?, input.protection()?);
            Ok((number, Header { name, protection }))
        })?;
        let segments = self.list(Self::kept)?;
        Ok(Added { name, about, lengths, headers, segments })
    }

    fn protection(&mut self) -> Result<Option<Arc<Protection>>, Unreadable> {
        if self.version == VERSION_1 || self.array::<1>()? == [0] {
            return Ok(None);
        }
        let (scheme, key) = (self.array()?, self.array()?);
        let systems = self.list(|input| {
            let size = usize::try_from(input.u32()?).map_err(|_| Unreadable)?;
            System::read(input.bytes(size)?).ok_or(Unreadable)
        })?;
        Ok(Some(Arc::new(Protection { scheme, key, systems })))
    }

    fn about(&mut self) -> Result<About, Unreadable> {
        let carries = match self.array::<1>()? {
            [0] => {
                let resolution = (self.u16()?, self.u16()?);
                let frame_rate = Some((self.u32()?, self.u32()?));
                let frame_rate = frame_rate.filter(|(_, seconds)| *seconds > 0);
                Carried::Video { resolution, frame_rate }
            }
            [1] => Carried::Audio { channels: self.u16()? },
            [2] => Carried::Text,
            _ => return Err(Unreadable),
        };
        let codecs = self.text()?;
        let language = Some(self.text()?).filter(|language| !language.is_empty());
        let bandwidth = Bandwidth { peak: self.u64()?, average: self.u64()? };
        Ok(About { carries, codecs, language, bandwidth })
    }

    fn kept(&mut self) -> Result<Kept, Unreadable> {
        let (number, ticks, timescale) = (self.i64()?, self.i64()?, self.u32()?);
        if timescale == 0 {
            return Err(Unreadable);
        }
        Ok(Kept {
            number,
            start: Moment { ticks, timescale },
            duration: self.u64()?,
            size: self.u64()?,
            header: self.u32()?,
            discontinuity: self.array::<1>()? != [0],
            origin: Origin { zero_micros: self.i64()?, start_micros: self.i64()? },
        })
    }
}
