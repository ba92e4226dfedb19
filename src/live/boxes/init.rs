//! What an initialisation segment says (`moov`; ISO/IEC 14496-12, 8; CMAF, 7.3.2.1).

use super::codec::{self, Sample};
use super::{BoxError, Child, Fields, Kind, child, children, optional};

/// Tracks of one header that are taken: ffmpeg's HLS muxer puts a picture and a sound together.
pub const TRACKS_MAX: usize = 16;

/// Entries of an edit list that are looked at; CMAF allows one, and an empty one before it.
const EDITS_MAX: usize = 16;

/// What a track carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Media {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
    /// Subtitles.
    Text,
}

/// A header: its tracks, and how they are protected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Init {
    /// In the order of the header; at least one.
    pub tracks: Vec<Track>,
    /// `pssh` boxes, whole, for the `ContentProtection` of a manifest.
    pub protection: Vec<Box<[u8]>>,
}

/// One track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Track {
    /// Its number, by which chunks name it.
    pub id: u32,
    /// Ticks a second of all its times.
    pub timescale: u32,
    /// ISO 639-2/T; `und` if nothing is said.
    pub language: [u8; 3],
    /// What it carries, and how that is coded.
    pub sample: Sample,
    /// What is added to a composition time to get a presentation time (edit list), in ticks.
    pub presentation_shift: i64,
    /// What holds for samples of which a chunk says nothing.
    pub defaults: Defaults,
}

/// Defaults of a track's samples (`trex`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Defaults {
    /// Ticks.
    pub duration: u32,
    /// Bytes.
    pub size: u32,
    /// As in `trun`.
    pub flags: u32,
}

impl Init {
    /// Reads the body of a `moov`.
    ///
    /// # Errors
    ///
    /// What is wrong with it, or that it is of no use: `Missing` for one without tracks.
    pub fn read(moov: &[u8]) -> Result<Self, BoxError> {
        const MOOV: Kind = *b"moov";
        let mut movie_timescale = 0;
        let (mut tracks, mut defaults) = (Vec::new(), Vec::new());
        let mut protection = Vec::new();
        for found in children(MOOV, moov) {
            let Child { kind, body } = found?;
            match &kind {
                b"mvhd" => movie_timescale = timescale(b"mvhd", body)?,
                b"trak" if tracks.len() == TRACKS_MAX => return Err(BoxError::Count(kind)),
                b"trak" => tracks.extend(track(body, movie_timescale)?),
                b"mvex" => defaults = extends(body)?,
                b"pssh" if protection.len() == TRACKS_MAX => return Err(BoxError::Count(kind)),
                b"pssh" => protection.push(whole(kind, body)),
                _ => {}
            }
        }
        if tracks.is_empty() {
            return Err(BoxError::Missing(*b"trak"));
        }
        for (at, track) in tracks.iter().enumerate() {
            if tracks[..at].iter().any(|other: &Track| other.id == track.id) {
                return Err(BoxError::Value(*b"tkhd"));
            }
        }
        for track in &mut tracks {
            // Without it there are no fragments, and this is no header of a stream.
            let found = defaults.iter().find(|(id, _)| *id == track.id);
            track.defaults = found.ok_or(BoxError::Missing(*b"trex"))?.1;
        }
        Ok(Self { tracks, protection })
    }

    /// The track with this number.
    #[must_use]
    pub fn track(&self, id: u32) -> Option<&Track> {
        self.tracks.iter().find(|track| track.id == id)
    }
}

/// A box with its header, as it stood there.
fn whole(kind: Kind, body: &[u8]) -> Box<[u8]> {
    let size = u32::try_from(body.len() + 8).expect("a header is far below 4 GiB");
    [&size.to_be_bytes()[..], &kind, body].concat().into_boxed_slice()
}

/// `mvhd` or `mdhd`: ticks a second.
fn timescale(kind: &Kind, body: &[u8]) -> Result<u32, BoxError> {
    let mut fields = Fields::new(kind, body);
    let (version, _) = fields.version(1)?;
    fields.bytes(if version == 0 { 8 } else { 16 })?;
    match fields.u32()? {
        0 => Err(BoxError::Value(*kind)),
        timescale => Ok(timescale),
    }
}

/// A track; none if it is of a kind that is not served (hints, metadata, timecode).
fn track(trak: &[u8], movie_timescale: u32) -> Result<Option<Track>, BoxError> {
    const TRAK: Kind = *b"trak";
    let id = track_number(trak)?;
    let mdia = child(TRAK, trak, b"mdia")?;
    let mdhd = child(*b"mdia", mdia, b"mdhd")?;
    let timescale = timescale(b"mdhd", mdhd)?;
    let mut handler = Fields::new(b"hdlr", child(*b"mdia", mdia, b"hdlr")?);
    handler.version(0)?;
    handler.u32()?;
    let media = match &handler.array::<4>()? {
        b"vide" => Media::Video,
        b"soun" => Media::Audio,
        b"text" | b"subt" => Media::Text,
        _ => return Ok(None),
    };
    let sample = codec::sample(media, &sample_entry(mdia)?)?;
    let edits = optional(TRAK, trak, b"edts")?;
    let presentation_shift = match edits {
        Some(edts) => presentation_shift(edts, movie_timescale, timescale)?,
        None => 0,
    };
    let language = language(mdhd)?;
    let defaults = Defaults::default();
    Ok(Some(Track { id, timescale, language, sample, presentation_shift, defaults }))
}

/// `tkhd`: a track's number.
///
/// # Errors
///
/// What is wrong with the `trak`.
pub fn track_number(trak: &[u8]) -> Result<u32, BoxError> {
    let mut header = Fields::new(b"tkhd", child(*b"trak", trak, b"tkhd")?);
    let (version, _) = header.version(1)?;
    header.bytes(if version == 0 { 8 } else { 16 })?;
    match header.u32()? {
        0 => Err(BoxError::Value(*b"tkhd")),
        id => Ok(id),
    }
}

/// `stsd`: how a track's samples are coded.
///
/// # Errors
///
/// What is wrong with the `mdia`.
pub fn sample_entry(mdia: &[u8]) -> Result<Child<'_>, BoxError> {
    let minf = child(*b"mdia", mdia, b"minf")?;
    let stbl = child(*b"minf", minf, b"stbl")?;
    let mut stsd = Fields::new(b"stsd", child(*b"stbl", stbl, b"stsd")?);
    stsd.version(0)?;
    if stsd.u32()? == 0 {
        return Err(BoxError::Missing(*b"stsd"));
    }
    // CMAF allows several entries; which one holds for a sample no playlist can say, so the first.
    children(*b"stsd", stsd.rest()).next().ok_or(BoxError::Missing(*b"stsd"))?
}

/// `mdhd`: three letters of five bits each.
fn language(mdhd: &[u8]) -> Result<[u8; 3], BoxError> {
    let mut fields = Fields::new(b"mdhd", mdhd);
    let (version, _) = fields.version(1)?;
    fields.bytes(if version == 0 { 16 } else { 28 })?;
    let packed = fields.u16()?;
    let letters = [packed >> 10, packed >> 5, packed].map(|bits| 0x60 + (bits & 31) as u8);
    // QuickTime's numbers for languages end up outside of the alphabet.
    Ok(if letters.iter().all(u8::is_ascii_lowercase) { letters } else { *b"und" })
}

/// What the edit list adds to composition times: the delay of empty edits, less where the first
/// real one begins.
fn presentation_shift(edts: &[u8], movie: u32, media: u32) -> Result<i64, BoxError> {
    const ELST: Kind = *b"elst";
    let Some(elst) = optional(*b"edts", edts, &ELST)? else { return Ok(0) };
    let mut fields = Fields::new(&ELST, elst);
    let (version, _) = fields.version(1)?;
    let count = fields.u32()? as usize;
    if count > EDITS_MAX {
        return Err(BoxError::Count(ELST));
    }
    let mut shift: i64 = 0;
    for _ in 0..count {
        let duration = fields.u32_or_u64(version)?;
        let start = match version {
            0 => i64::from(fields.u32()? as i32),
            _ => fields.u64()? as i64,
        };
        fields.u32()?;
        if start >= 0 {
            return shift.checked_sub(start).ok_or(BoxError::Overflow(ELST));
        }
        if movie == 0 {
            return Err(BoxError::Missing(*b"mvhd"));
        }
        let delay = u128::from(duration) * u128::from(media) / u128::from(movie);
        let delay = i64::try_from(delay).map_err(|_| BoxError::Overflow(ELST))?;
        shift = shift.checked_add(delay).ok_or(BoxError::Overflow(ELST))?;
    }
    Ok(shift)
}

/// `mvex`: the defaults of each track.
fn extends(mvex: &[u8]) -> Result<Vec<(u32, Defaults)>, BoxError> {
    let mut found = Vec::new();
    for entry in children(*b"mvex", mvex) {
        let Child { kind, body } = entry?;
        if kind != *b"trex" {
            continue;
        }
        if found.len() == TRACKS_MAX {
            return Err(BoxError::Count(kind));
        }
        let mut fields = Fields::new(b"trex", body);
        fields.version(0)?;
        let id = fields.u32()?;
        fields.u32()?;
        let (duration, size, flags) = (fields.u32()?, fields.u32()?, fields.u32()?);
        found.push((id, Defaults { duration, size, flags }));
    }
    Ok(found)
}
