//! What a splice says (`splice_info_section`; SCTE 35, 9.6): out or in, which, and for how long.
//!
//! It is passed on whole. What can't be read here is a command like any other.

use super::super::boxes::{BoxError, Fields};

/// Ticks a second of all its times.
const TIMESCALE: u64 = 90_000;

/// Descriptors that are looked at.
const DESCRIPTORS_MAX: usize = 16;

/// Which way a splice goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Out of the programme: something else is put in its place.
    Out,
    /// Back.
    In,
    /// Neither, or nobody knows.
    Command,
}

/// What is read of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Splice {
    /// Which way it goes.
    pub direction: Direction,
    /// Number of its event; 0 if it has none.
    pub event: u32,
    /// How long it takes, if it says so.
    pub duration_micros: Option<u64>,
}

/// Whether messages of this scheme are splices in their binary form.
#[must_use]
pub fn is_scheme(scheme: &str) -> bool {
    matches!(scheme, "urn:scte:scte35:2013:bin" | "urn:scte:scte35:2014:bin")
}

impl Splice {
    const OTHER: Self = Self { direction: Direction::Command, event: 0, duration_micros: None };

    /// Reads a section.
    #[must_use]
    pub fn read(section: &[u8]) -> Self {
        read(section).ok().flatten().unwrap_or(Self::OTHER)
    }
}

fn read(section: &[u8]) -> Result<Option<Splice>, BoxError> {
    let mut fields = Fields::new(b"emsg", section);
    let (table, _length, _version) = (fields.u8()?, fields.u16()?, fields.u8()?);
    let is_encrypted = fields.u8()? & 0x80 != 0;
    // The rest of the adjustment, an index, and tier with the command's length.
    fields.bytes(4 + 1 + 3)?;
    if table != 0xfc || is_encrypted {
        return Ok(None);
    }
    match fields.u8()? {
        0x05 => insert(&mut fields),
        0x06 => {
            splice_time(&mut fields)?;
            descriptors(&mut fields)
        }
        _ => Ok(None),
    }
}

/// `splice_insert`.
fn insert(fields: &mut Fields<'_>) -> Result<Option<Splice>, BoxError> {
    let event = fields.u32()?;
    if fields.u8()? & 0x80 != 0 {
        return Ok(None);
    }
    let flags = fields.u8()?;
    let has = |flag: u8| flags & flag != 0;
    let direction = if has(0x80) { Direction::Out } else { Direction::In };
    let (of_program, is_immediate) = (has(0x40), has(0x10));
    if of_program && !is_immediate {
        splice_time(fields)?;
    }
    if !of_program {
        for _ in 0..fields.u8()? {
            fields.u8()?;
            if !is_immediate {
                splice_time(fields)?;
            }
        }
    }
    let duration_micros = if has(0x20) { Some(micros(fields.array()?, 1)) } else { None };
    Ok(Some(Splice { direction, event, duration_micros }))
}

fn splice_time(fields: &mut Fields<'_>) -> Result<(), BoxError> {
    if fields.u8()? & 0x80 != 0 {
        fields.bytes(4)?;
    }
    Ok(())
}

/// The first `segmentation_descriptor` of a `time_signal`.
fn descriptors(fields: &mut Fields<'_>) -> Result<Option<Splice>, BoxError> {
    let length = fields.u16()?;
    let mut loop_fields = Fields::new(b"emsg", fields.bytes(length.into())?);
    for _ in 0..DESCRIPTORS_MAX {
        if loop_fields.rest().is_empty() {
            break;
        }
        let (tag, length) = (loop_fields.u8()?, loop_fields.u8()?);
        let body = loop_fields.bytes(length.into())?;
        if tag == 0x02 {
            return segmentation(&mut Fields::new(b"emsg", body));
        }
    }
    Ok(None)
}

fn segmentation(fields: &mut Fields<'_>) -> Result<Option<Splice>, BoxError> {
    let (identifier, event) = (fields.u32()?, fields.u32()?);
    let is_cancelled = fields.u8()? & 0x80 != 0;
    if identifier.to_be_bytes() != *b"CUEI" || is_cancelled {
        return Ok(None);
    }
    let flags = fields.u8()?;
    if flags & 0x80 == 0 {
        let components = fields.u8()?;
        fields.bytes(6 * usize::from(components))?;
    }
    let duration_micros = if flags & 0x40 != 0 { Some(micros(fields.array()?, 8)) } else { None };
    let _upid_type = fields.u8()?;
    let upid = fields.u8()?;
    fields.bytes(upid.into())?;
    // Advertisements and placement opportunities of provider and distributor: even is the start.
    let direction = match fields.u8()? {
        0x30 | 0x32 | 0x34 | 0x36 | 0x38 | 0x3a | 0x44 | 0x46 => Direction::Out,
        0x31 | 0x33 | 0x35 | 0x37 | 0x39 | 0x3b | 0x45 | 0x47 => Direction::In,
        _ => Direction::Command,
    };
    Ok(Some(Splice { direction, event, duration_micros }))
}

/// The last 33 or 40 bits of five bytes, in microseconds.
fn micros([first, rest @ ..]: [u8; 5], bits_of_first: u32) -> u64 {
    let first = u64::from(first) & ((1 << bits_of_first) - 1);
    let ticks = first << 32 | u64::from(u32::from_be_bytes(rest));
    ticks * 1_000_000 / TIMESCALE
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes from hexadecimal digits.
    fn bytes(digits: &str) -> Vec<u8> {
        let pairs = digits.as_bytes().chunks(2).map(|pair| str::from_utf8(pair).unwrap());
        pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
    }

    /// SCTE 35, 14.2: a `splice_insert` out of the network, for 60.3 s.
    pub const OUT: &str = "FC302F000000000000FFFFF014054800008F7FEFFE7369C02EFE0052CCF500000000000A0008435545490000013562DBA30A";

    /// SCTE 35, 14.1: a `time_signal` that begins a placement opportunity of 307 s.
    const OPPORTUNITY: &str = "FC3034000000000000FFFFF00506FE72BD0050001E021C435545494800008E7FCF0001A599B00808000000002CA0A18A3402009AC9D17E";

    /// SCTE 35, 14.3: the end of such.
    const END: &str = "FC302F000000000000FFFFF00506FEAEBFFF640019021743554549480000087F9F0808000000002CA56CF5110000951DB0A8";

    #[test]
    fn the_samples_of_the_specification_are_read() {
        let out = Splice::read(&bytes(OUT));
        let (direction, event) = (Direction::Out, 0x4800_008f);
        assert_eq!(out, Splice { direction, event, duration_micros: Some(60_293_566) });
        let begins = Splice::read(&bytes(OPPORTUNITY));
        let event = 0x4800_008e;
        assert_eq!(begins, Splice { direction, event, duration_micros: Some(307_000_000) });
        // The end of a programme is no splice.
        let end = Splice::read(&bytes(END));
        assert_eq!((end.direction, end.event), (Direction::Command, 0x4800_0008));
    }

    #[test]
    fn what_cannot_be_read_is_a_command() {
        let whole = bytes(OUT);
        let needed = 14 + 4 + 1 + 1 + 5 + 5;
        for size in 0..needed {
            assert_eq!(Splice::read(&whole[..size]), Splice::OTHER, "{size}");
        }
        let mut encrypted = whole.clone();
        encrypted[4] |= 0x80;
        assert_eq!(Splice::read(&encrypted), Splice::OTHER);
        let mut cancelled = whole;
        cancelled[18] |= 0x80;
        assert_eq!(Splice::read(&cancelled), Splice::OTHER);
        for tail in 0..=255 {
            let _ = Splice::read(&[&bytes(OPPORTUNITY)[..20], &[tail; 40][..]].concat());
        }
    }
}
