//! What has to be known to write a track's samples into a transport stream: its sample entry in,
//! out what stands before and within each of them.

use super::coding::AAC_RATES;
use crate::live::boxes::codec;
use crate::live::boxes::init::{Init, Track, sample_entry, track_number};
use crate::live::boxes::{BoxError, Child, Fields, Kind, child, children, optional};

/// Parameter sets that are taken of one track.
const SETS_MAX: usize = 64;

/// How the samples of a track are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setup {
    /// Pictures in units.
    Units {
        /// Bytes in front of each unit that say how long it is.
        length_size: usize,
        /// A unit that says that an access unit begins, with its start code.
        delimiter: &'static [u8],
        /// Parameter sets, with their start codes.
        sets: Vec<u8>,
        /// The stream type.
        kind: u8,
    },
    /// Sound that gets a header (ISO/IEC 13818-7, 6.2).
    Aac {
        /// The header, without its length.
        header: [u8; 7],
    },
    /// Sound that is complete in itself, and its stream type.
    Whole(u8),
}

const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// The setups of a header's tracks, which `init` has read: those that a transport stream can carry.
///
/// # Errors
///
/// What is wrong with its boxes.
pub fn setups<'i>(header: &[u8], init: &'i Init) -> Result<Vec<(&'i Track, Setup)>, BoxError> {
    const MOOV: Kind = *b"moov";
    let moov = child(*b"file", header, &MOOV)?;
    let mut found = Vec::new();
    for one in children(MOOV, moov) {
        let Child { kind, body } = one?;
        if kind != *b"trak" {
            continue;
        }
        let Some(track) = init.track(track_number(body)?) else { continue };
        let entry = sample_entry(child(kind, body, b"mdia")?)?;
        found.extend(of_entry(&entry)?.map(|setup| (track, setup)));
    }
    Ok(found)
}

fn of_entry(entry: &Child<'_>) -> Result<Option<Setup>, BoxError> {
    let Child { kind, body } = *entry;
    let boxes = |skipped: usize| body.get(skipped..).ok_or(BoxError::Short(kind));
    Ok(match &kind {
        b"avc1" | b"avc3" => Some(avc(child(kind, boxes(78)?, b"avcC")?)?),
        b"hvc1" | b"hev1" => Some(hevc(child(kind, boxes(78)?, b"hvcC")?)?),
        // Without it there is nothing that a header of its own could be made of.
        b"mp4a" => optional(kind, boxes(28)?, b"esds")?.and_then(aac),
        b"ac-3" => Some(Setup::Whole(0x81)),
        b"ec-3" => Some(Setup::Whole(0x87)),
        // Encrypted, or of no place in a transport stream.
        _ => None,
    })
}

fn take_sets(fields: &mut Fields<'_>, count: usize, sets: &mut Vec<u8>) -> Result<(), BoxError> {
    for _ in 0..count.min(SETS_MAX) {
        let size = fields.u16()?;
        sets.extend(START_CODE);
        sets.extend_from_slice(fields.bytes(usize::from(size))?);
    }
    Ok(())
}

/// ISO/IEC 14496-15, 5.3.3.1.
fn avc(config: &[u8]) -> Result<Setup, BoxError> {
    let mut fields = Fields::new(b"avcC", config);
    fields.bytes(4)?;
    let length_size = usize::from(fields.u8()? & 3) + 1;
    let mut sets = Vec::new();
    let count = usize::from(fields.u8()? & 31);
    take_sets(&mut fields, count, &mut sets)?;
    let count = usize::from(fields.u8()?);
    take_sets(&mut fields, count, &mut sets)?;
    Ok(Setup::Units { length_size, delimiter: &[0, 0, 0, 1, 9, 0xf0], sets, kind: 0x1b })
}

/// ISO/IEC 14496-15, 8.3.3.1.
fn hevc(config: &[u8]) -> Result<Setup, BoxError> {
    let mut fields = Fields::new(b"hvcC", config);
    fields.bytes(21)?;
    let length_size = usize::from(fields.u8()? & 3) + 1;
    let mut sets = Vec::new();
    for _ in 0..fields.u8()? {
        fields.u8()?;
        let count = usize::from(fields.u16()?);
        take_sets(&mut fields, count, &mut sets)?;
    }
    Ok(Setup::Units { length_size, delimiter: &[0, 0, 0, 1, 0x46, 1, 0x50], sets, kind: 0x24 })
}

/// An `esds` whose configuration ADTS can say.
fn aac(esds: &[u8]) -> Option<Setup> {
    let (_, specific) = codec::specific(esds).ok()?;
    let config = specific?.first_chunk::<2>()?;
    let kind = config[0] >> 3;
    let rate = config[0] << 1 & 0x0e | config[1] >> 7;
    let channels = config[1] >> 3 & 15;
    // ADTS knows four kinds, and has no other place for a rate or a layout.
    let (kind, rate) = match kind {
        1..=4 if usize::from(rate) < AAC_RATES.len() => (kind, rate),
        // With spectral band replication: the core is what it says first.
        5 | 29 if usize::from(rate) < AAC_RATES.len() => (2, rate),
        _ => return None,
    };
    if !(1..=7).contains(&channels) {
        return None;
    }
    let third = (kind - 1) << 6 | rate << 2 | channels >> 2;
    Some(Setup::Aac { header: [0xff, 0xf1, third, channels << 6, 0, 0x1f, 0xfc] })
}

impl Setup {
    /// The stream type (ISO/IEC 13818-1, table 2-34).
    #[must_use]
    pub fn kind(&self) -> u8 {
        match self {
            Self::Units { kind, .. } => *kind,
            Self::Aac { .. } => 0x0f,
            Self::Whole(kind) => *kind,
        }
    }

    /// Whether it is a picture's.
    #[must_use]
    pub fn is_picture(&self) -> bool {
        matches!(self, Self::Units { .. })
    }

    /// Adds a sample as it stands in a transport stream; false if it is broken.
    #[must_use]
    pub fn write(&self, sample: &[u8], independent: bool, out: &mut Vec<u8>) -> bool {
        match self {
            Self::Whole(_) => out.extend_from_slice(sample),
            Self::Aac { header } => {
                let Ok(size) = u16::try_from(sample.len() + header.len()) else { return false };
                if size >= 1 << 13 {
                    return false;
                }
                let mut header = *header;
                header[3] |= (size >> 11) as u8;
                header[4] = (size >> 3) as u8;
                header[5] |= (size << 5) as u8;
                out.extend_from_slice(&header);
                out.extend_from_slice(sample);
            }
            Self::Units { length_size, delimiter, sets, .. } => {
                out.extend_from_slice(delimiter);
                if independent {
                    out.extend_from_slice(sets);
                }
                let mut rest = sample;
                while !rest.is_empty() {
                    let Some((length, behind)) = rest.split_at_checked(*length_size) else {
                        return false;
                    };
                    let size = length.iter().fold(0, |size, byte| size << 8 | usize::from(*byte));
                    let Some((unit, behind)) = behind.split_at_checked(size) else { return false };
                    // Its own delimiter would be a second one.
                    if !unit.starts_with(&delimiter[4..5]) && !unit.is_empty() {
                        out.extend_from_slice(&START_CODE);
                        out.extend_from_slice(unit);
                    }
                    rest = behind;
                }
            }
        }
        true
    }
}
