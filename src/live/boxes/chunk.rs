//! What a chunk says: a `moof` and the boxes before it (ISO/IEC 14496-12, 8.8; CMAF, 7.3.2.3).

use super::init::{Defaults, Init, Track};
use super::{BoxError, Child, Fields, Kind, child, children};

/// Samples of one chunk that are counted: ten seconds of 5.1 kHz metadata would not reach it.
const SAMPLES_MAX: u32 = 1 << 16;

/// Runs of one track fragment.
const RUNS_MAX: usize = 1024;

/// Longest event message, in bytes: an SCTE-35 section has at most 4,093.
pub const MESSAGE_SIZE_MAX: usize = 16 * 1024;

/// One fragment of each track that it has: what it takes to place it in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// `mfhd`: counts up, as far as the encoder likes.
    pub sequence: u32,
    /// A run of samples a track; at least one.
    pub runs: Vec<Run>,
}

/// The samples of one track in a fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Of which track.
    pub track: u32,
    /// `tfdt`: decoding time of the first sample, in ticks.
    pub decode_time: u64,
    /// Of all samples, in ticks.
    pub duration: u64,
    /// The earliest moment at which a sample is presented, in ticks (edit list applied).
    pub presentation_time: i64,
    /// Whether decoding can begin with the first sample.
    pub independent: bool,
    /// How many.
    pub samples: u32,
    /// Of all samples, in bytes.
    pub size: u64,
    /// Where the first sample ends, in bytes from the start of the chunk; 0 where it can't be had
    /// alone, as of a transport stream.
    pub first_end: u64,
}

/// A sample of a fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Of which track.
    pub track: u32,
    /// When it is decoded, in ticks.
    pub decoded: i64,
    /// When it is presented, in ticks (edit list applied).
    pub presented: i64,
    /// Whether it needs no other.
    pub independent: bool,
    /// Where its bytes begin, counted from the start of the `moof`.
    pub at: u64,
    /// How many they are.
    pub size: u64,
}

/// When the encoder took a picture (`prft`): for latency, and for the drift of its clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Of which track.
    pub track: u32,
    /// NTP timestamp: seconds since 1900 in the upper 32 bits.
    pub ntp: u64,
    /// The media time of that moment, in ticks.
    pub media_time: u64,
}

/// An event (`emsg`; ISO/IEC 23009-1, 5.10.3.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What kind of message: `urn:scte:scte35:2013:bin` and the like.
    pub scheme: String,
    /// Its kind within the scheme.
    pub value: String,
    /// Ticks a second of its times.
    pub timescale: u32,
    /// When it begins.
    pub at: At,
    /// How long it takes, in ticks; none if nobody knows.
    pub duration: Option<u32>,
    /// The same number is the same event, told again.
    pub id: u32,
    /// What it says.
    pub data: Box<[u8]>,
}

/// When an event begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// At this time of the media, in ticks.
    Time(u64),
    /// So many ticks behind the start of the segment.
    AfterStart(u32),
}

impl Fragment {
    /// Reads the body of a `moof`, whose box has `moof_size` bytes, with its header.
    ///
    /// The second value is where the last sample ends, counted from the start of the `moof`, as the
    /// ends of first samples are: the media data must reach so far.
    ///
    /// # Errors
    ///
    /// What is wrong with it: `Value` for a track that the header does not have.
    pub fn read(moof: &[u8], moof_size: u64, init: &Init) -> Result<(Self, u64), BoxError> {
        Self::read_samples(moof, moof_size, init, &mut |_| {})
    }

    /// The samples of a `moof`, whose box has `moof_size` bytes, in their order.
    ///
    /// # Errors
    ///
    /// As those of `read`.
    pub fn samples(moof: &[u8], moof_size: u64, init: &Init) -> Result<Vec<Piece>, BoxError> {
        let mut pieces = Vec::new();
        Self::read_samples(moof, moof_size, init, &mut |piece| pieces.push(piece))?;
        Ok(pieces)
    }

    /// Reads it, and gives out its samples on the way: most readers need their sum alone, and keep
    /// none of them.
    fn read_samples(
        moof: &[u8],
        moof_size: u64,
        init: &Init,
        each: &mut impl FnMut(Piece),
    ) -> Result<(Self, u64), BoxError> {
        const MOOF: Kind = *b"moof";
        let mut sequence = 0;
        let mut runs: Vec<Run> = Vec::new();
        let mut data_end = moof_size;
        for found in children(MOOF, moof) {
            let Child { kind, body } = found?;
            match &kind {
                b"mfhd" => {
                    let mut fields = Fields::new(b"mfhd", body);
                    fields.version(0)?;
                    sequence = fields.u32()?;
                }
                b"traf" if runs.len() == init.tracks.len() => return Err(BoxError::Count(kind)),
                b"traf" => {
                    let found = track_fragment(body, moof_size, data_end, init, each)?;
                    let Some((run, end)) = found else { continue };
                    if runs.iter().any(|other| other.track == run.track) {
                        return Err(BoxError::Misplaced(kind));
                    }
                    data_end = data_end.max(end);
                    runs.push(run);
                }
                _ => {}
            }
        }
        if runs.is_empty() {
            return Err(BoxError::Missing(*b"traf"));
        }
        Ok((Self { sequence, runs }, data_end))
    }

    /// The run of this track.
    #[must_use]
    pub fn run(&self, track: u32) -> Option<&Run> {
        self.runs.iter().find(|run| run.track == track)
    }
}

/// `tfhd`: which track, and what holds where a run says nothing.
struct Header<'i> {
    track: &'i Track,
    defaults: Defaults,
    is_empty: bool,
}

fn header<'i>(tfhd: &[u8], init: &'i Init) -> Result<Header<'i>, BoxError> {
    let mut fields = Fields::new(b"tfhd", tfhd);
    let (_, flags) = fields.version(0)?;
    let id = fields.u32()?;
    let track = init.track(id).ok_or(BoxError::Value(*b"tfhd"))?;
    if flags & 0x1 != 0 {
        // Offsets counted from the start of a file: a stream has none, and CMAF forbids it.
        return Err(BoxError::Value(*b"tfhd"));
    }
    if flags & 0x2 != 0 {
        fields.u32()?;
    }
    let mut defaults = track.defaults;
    if flags & 0x8 != 0 {
        defaults.duration = fields.u32()?;
    }
    if flags & 0x10 != 0 {
        defaults.size = fields.u32()?;
    }
    if flags & 0x20 != 0 {
        defaults.flags = fields.u32()?;
    }
    Ok(Header { track, defaults, is_empty: flags & 0x1_0000 != 0 })
}

/// One `traf`, and where its samples end; none if it has no samples.
fn track_fragment(
    traf: &[u8],
    moof_size: u64,
    data_at: u64,
    init: &Init,
    each: &mut impl FnMut(Piece),
) -> Result<Option<(Run, u64)>, BoxError> {
    const TRAF: Kind = *b"traf";
    let header = header(child(TRAF, traf, b"tfhd")?, init)?;
    let mut tfdt = Fields::new(b"tfdt", child(TRAF, traf, b"tfdt")?);
    let (version, _) = tfdt.version(1)?;
    let decode_time = tfdt.u32_or_u64(version)?;
    let mut sum = Sum { decode_time, data_at, ..Sum::default() };
    let mut runs = 0;
    for found in children(TRAF, traf) {
        let Child { kind, body } = found?;
        if kind != *b"trun" {
            continue;
        }
        runs += 1;
        if runs > RUNS_MAX || header.is_empty {
            return Err(BoxError::Count(kind));
        }
        sum.add(body, moof_size, &header, each)?;
    }
    let Some(earliest) = sum.earliest else { return Ok(None) };
    let presentation_time = earliest
        .checked_add(header.track.presentation_shift)
        .ok_or(BoxError::Overflow(*b"tfdt"))?;
    let run = Run {
        track: header.track.id,
        decode_time,
        duration: sum.duration,
        presentation_time,
        independent: sum.independent,
        samples: sum.samples,
        size: sum.size,
        first_end: sum.first_end,
    };
    Ok(Some((run, sum.data_end)))
}

/// What the samples of a track fragment add up to.
#[derive(Default)]
struct Sum {
    decode_time: u64,
    duration: u64,
    samples: u32,
    size: u64,
    /// Where the next sample's bytes begin, counted from the start of the `moof`.
    data_at: u64,
    /// Where the bytes end that reach farthest: runs may come in any order.
    data_end: u64,
    earliest: Option<i64>,
    independent: bool,
    /// Where the first sample ends, counted likewise.
    first_end: u64,
}

impl Sum {
    fn add(
        &mut self,
        trun: &[u8],
        moof_size: u64,
        header: &Header<'_>,
        each: &mut impl FnMut(Piece),
    ) -> Result<(), BoxError> {
        let Header { track, defaults, .. } = header;
        const TRUN: Kind = *b"trun";
        let mut fields = Fields::new(&TRUN, trun);
        let (version, flags) = fields.version(1)?;
        let count = fields.u32()?;
        self.samples = self.samples.checked_add(count).ok_or(BoxError::Count(TRUN))?;
        if self.samples > SAMPLES_MAX {
            return Err(BoxError::Count(TRUN));
        }
        if flags & 0x1 != 0 {
            let offset = i64::from(fields.u32()? as i32);
            let offset = u64::try_from(offset).map_err(|_| BoxError::Outside(TRUN))?;
            if offset < moof_size {
                return Err(BoxError::Outside(TRUN));
            }
            self.data_at = offset;
        }
        let first_flags = if flags & 0x4 != 0 { Some(fields.u32()?) } else { None };
        for number in 0..count {
            let duration = if flags & 0x100 != 0 { fields.u32()? } else { defaults.duration };
            let size = if flags & 0x200 != 0 { fields.u32()? } else { defaults.size };
            let own = if flags & 0x400 != 0 { Some(fields.u32()?) } else { None };
            let offset = match (flags & 0x800 != 0, version) {
                (false, _) => 0,
                (true, 0) => i64::from(fields.u32()?),
                (true, _) => i64::from(fields.u32()? as i32),
            };
            let at = self.decode_time.checked_add(self.duration);
            let at = at.and_then(|at| i64::try_from(at).ok()).and_then(|at| at.checked_add(offset));
            let at = at.ok_or(BoxError::Overflow(TRUN))?;
            let first = if number == 0 { first_flags } else { None };
            let independent = is_independent(first.or(own).unwrap_or(defaults.flags));
            if self.earliest.is_none() {
                self.independent = independent;
                self.first_end = self.data_at + u64::from(size);
            }
            each(Piece {
                track: track.id,
                decoded: (at - offset).saturating_add(track.presentation_shift),
                presented: at.saturating_add(track.presentation_shift),
                independent,
                at: self.data_at,
                size: u64::from(size),
            });
            self.earliest = Some(self.earliest.map_or(at, |earliest| earliest.min(at)));
            // 65,536 times 32 bits fit.
            self.duration += u64::from(duration);
            self.size += u64::from(size);
            self.data_at += u64::from(size);
        }
        self.data_end = self.data_end.max(self.data_at);
        Ok(())
    }
}

/// Whether a sample with these flags needs no other (ISO/IEC 14496-12, 8.8.3.1).
fn is_independent(flags: u32) -> bool {
    let depends_on = flags >> 24 & 3;
    let is_non_sync = flags & 0x1_0000 != 0;
    depends_on == 2 || (depends_on == 0 && !is_non_sync)
}

/// What `styp` says of a segment or chunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Brands {
    /// `lmsg`: nothing comes behind it.
    pub last: bool,
    /// `slat`: it fills a gap, and may be replaced.
    pub filler: bool,
    /// `cmfl`: it is a chunk, and not the first of its segment.
    pub chunk: bool,
}

impl Brands {
    /// Reads the body of a `styp`.
    ///
    /// # Errors
    ///
    /// `Short`.
    pub fn read(styp: &[u8]) -> Result<Self, BoxError> {
        let mut fields = Fields::new(b"styp", styp);
        fields.bytes(8)?;
        let compatible = fields.rest().chunks_exact(4);
        if !compatible.remainder().is_empty() {
            return Err(BoxError::Short(*b"styp"));
        }
        let has = |brand: &Kind| styp[..4] == *brand || compatible.clone().any(|one| one == brand);
        Ok(Self { last: has(b"lmsg"), filler: has(b"slat"), chunk: has(b"cmfl") })
    }
}

impl Reference {
    /// Reads the body of a `prft`.
    ///
    /// # Errors
    ///
    /// `Short`, `Version`.
    pub fn read(prft: &[u8]) -> Result<Self, BoxError> {
        let mut fields = Fields::new(b"prft", prft);
        let (version, _) = fields.version(1)?;
        let (track, ntp) = (fields.u32()?, fields.u64()?);
        Ok(Self { track, ntp, media_time: fields.u32_or_u64(version)? })
    }
}

impl Message {
    /// Reads the body of an `emsg`.
    ///
    /// # Errors
    ///
    /// What is wrong with it; `Count` for one that is too long.
    pub fn read(emsg: &[u8]) -> Result<Self, BoxError> {
        const EMSG: Kind = *b"emsg";
        if emsg.len() > MESSAGE_SIZE_MAX {
            return Err(BoxError::Count(EMSG));
        }
        let mut fields = Fields::new(&EMSG, emsg);
        let (version, _) = fields.version(1)?;
        let (scheme, value, timescale, at, duration, id);
        if version == 0 {
            (scheme, value) = (fields.text()?, fields.text()?);
            timescale = fields.u32()?;
            at = At::AfterStart(fields.u32()?);
            (duration, id) = (fields.u32()?, fields.u32()?);
        } else {
            timescale = fields.u32()?;
            at = At::Time(fields.u64()?);
            (duration, id) = (fields.u32()?, fields.u32()?);
            (scheme, value) = (fields.text()?, fields.text()?);
        }
        if timescale == 0 {
            return Err(BoxError::Value(EMSG));
        }
        Ok(Self {
            scheme: scheme.to_owned(),
            value: value.to_owned(),
            timescale,
            at,
            duration: (duration != u32::MAX).then_some(duration),
            id,
            data: fields.rest().into(),
        })
    }
}
