//! How a stream is coded: its entry in the programme's table and the beginning of an access unit
//! in, out what `CODECS`, `RESOLUTION` and `CHANNELS` say of it, and whether decoding can begin
//! there.

use memchr::memmem;
use mpeg2ts_reader::StreamType;

use crate::live::bits::{Bits, unescaped};
use crate::live::boxes::codec::{Sample, Sound, hevc_codecs};
use crate::live::boxes::init::Media;

/// Bytes of an access unit that are looked at: parameter sets come first, and have below 200.
pub const LOOKED_AT_MAX: usize = 4096;

/// Codings that are known. What is coded in another way is passed on and not told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// H.264.
    Avc,
    /// H.265.
    Hevc,
    /// MPEG-1 and MPEG-2 video.
    MpegVideo,
    /// AAC with ADTS headers.
    Adts,
    /// AAC in LATM.
    Latm,
    /// MPEG audio, layers I to III.
    MpegAudio,
    /// Dolby Digital.
    Ac3,
    /// Dolby Digital Plus.
    Eac3,
}

impl Coding {
    /// By the type of a stream and the tags and bodies of its descriptors.
    #[must_use]
    pub fn of<'d>(
        kind: StreamType,
        mut descriptors: impl Iterator<Item = (u8, &'d [u8])>,
    ) -> Option<Self> {
        Some(match kind {
            StreamType::H264 => Self::Avc,
            StreamType::H265 => Self::Hevc,
            StreamType::ISO_11172_VIDEO | StreamType::H262 => Self::MpegVideo,
            StreamType::ADTS => Self::Adts,
            StreamType::LATM => Self::Latm,
            StreamType::ISO_11172_AUDIO | StreamType::ISO_138183_AUDIO => Self::MpegAudio,
            StreamType::ATSC_DOLBY_DIGITAL_AUDIO => Self::Ac3,
            // ATSC A/53, part 3.
            StreamType(0x87) => Self::Eac3,
            // DVB says it in a descriptor (ETSI EN 300 468, annex D), others register a name.
            StreamType::H222_0_PES_PRIVATE_DATA => {
                descriptors.find_map(|descriptor| match descriptor {
                    (0x6a, _) | (5, b"AC-3") => Some(Self::Ac3),
                    (0x7a, _) | (5, b"EAC3") => Some(Self::Eac3),
                    (5, b"HEVC") => Some(Self::Hevc),
                    _ => None,
                })?
            }
            _ => return None,
        })
    }

    /// What it carries.
    #[must_use]
    pub fn media(self) -> Media {
        match self {
            Self::Avc | Self::Hevc | Self::MpegVideo => Media::Video,
            _ => Media::Audio,
        }
    }

    /// What is said of a sound before any of it was seen.
    #[must_use]
    pub fn unseen(self) -> Sample {
        let codecs = match self {
            Self::Ac3 => "ac-3",
            Self::Eac3 => "ec-3",
            Self::MpegAudio => "mp4a.40.33",
            _ => "mp4a.40.2",
        };
        self.sample(codecs.to_owned())
    }

    fn sample(self, codecs: String) -> Sample {
        let media = self.media();
        Sample { media, codecs, resolution: None, sound: None, encryption: None }
    }

    /// Whether decoding can begin with an access unit that begins so.
    #[must_use]
    pub fn is_independent(self, start: &[u8]) -> bool {
        match self {
            // Parameter sets stand before a picture that needs no other.
            Self::Avc => {
                units(start).any(|unit| matches!(unit.first().map(|b| b & 31), Some(5 | 7)))
            }
            Self::Hevc => units(start)
                .any(|unit| matches!(unit.first().map(|b| b >> 1 & 63), Some(16..=23 | 32 | 33))),
            Self::MpegVideo => units(start).any(|unit| unit.first() == Some(&0xb3)),
            _ => true,
        }
    }

    /// What an access unit says of its stream, of which these are the first bytes; none if it does
    /// not, or not yet.
    #[must_use]
    pub fn seen(self, start: &[u8]) -> Option<Sample> {
        match self {
            Self::Avc => {
                let unit = whole_unit(start, |unit| unit.first().is_some_and(|b| b & 31 == 7))?;
                let [_, profile, constraints, level] = *unit.first_chunk()?;
                let codecs = format!("avc1.{profile:02x}{constraints:02x}{level:02x}");
                let resolution = avc_resolution(&unescaped(&unit[1..]));
                Some(Sample { resolution, ..self.sample(codecs) })
            }
            Self::Hevc => {
                let is_wanted = |unit: &[u8]| unit.first().is_some_and(|b| b >> 1 & 63 == 33);
                let payload = unescaped(whole_unit(start, is_wanted)?.get(2..)?);
                let (codecs, resolution) = hevc(&payload)?;
                Some(Sample { resolution, ..self.sample(codecs) })
            }
            Self::MpegVideo => {
                let unit = units(start).find(|unit| unit.first() == Some(&0xb3))?;
                let mut bits = Bits::new(unit.get(1..)?);
                let resolution = Some((bits.take(12)? as u16, bits.take(12)? as u16));
                // Main profile, which is what there is.
                Some(Sample { resolution, ..self.sample("mp4v.61".to_owned()) })
            }
            Self::Adts => {
                let (codecs, sound) = adts(start)?;
                Some(Sample { sound: Some(sound), ..self.sample(codecs) })
            }
            Self::MpegAudio => {
                let (codecs, sound) = mpeg_audio(start)?;
                Some(Sample { sound: Some(sound), ..self.sample(codecs) })
            }
            Self::Ac3 | Self::Eac3 => Some(Sample { sound: Some(ac3(start)?), ..self.unseen() }),
            Self::Latm => Some(self.unseen()),
        }
    }
}

/// What follows each start code; the last one may be cut short.
fn units(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let starts = memmem::find_iter(bytes, &[0, 0, 1]);
    starts.map(|start| &bytes[start + 3..])
}

/// The first unit of a kind, up to the next start code, or as far as is looked at.
fn whole_unit(bytes: &[u8], is_wanted: impl Fn(&[u8]) -> bool) -> Option<&[u8]> {
    let unit = units(bytes).find(|unit| is_wanted(unit))?;
    match memmem::find(unit, &[0, 0, 1]) {
        Some(end) => Some(&unit[..end]),
        None => (bytes.len() >= LOOKED_AT_MAX).then_some(unit),
    }
}

/// Pixels across and down of a sequence parameter set (ISO/IEC 14496-10, 7.3.2.1.1).
fn avc_resolution(payload: &[u8]) -> Option<(u16, u16)> {
    const WITH_CHROMA: [u32; 13] = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135];
    let mut bits = Bits::new(payload);
    let profile = bits.take(8)?;
    bits.skip(16);
    bits.golomb()?;
    let mut chroma = 1;
    if WITH_CHROMA.contains(&profile) {
        chroma = bits.golomb()?;
        if chroma == 3 {
            bits.skip(1);
        }
        bits.golomb()?;
        bits.golomb()?;
        bits.skip(1);
        if bits.flag()? {
            pass_scaling_lists(&mut bits, if chroma == 3 { 12 } else { 8 })?;
        }
    }
    bits.golomb()?;
    match bits.golomb()? {
        0 => drop(bits.golomb()?),
        1 => {
            bits.skip(1);
            bits.golomb()?;
            bits.golomb()?;
            for _ in 0..bits.golomb()?.min(255) {
                bits.golomb()?;
            }
        }
        _ => {}
    }
    bits.golomb()?;
    bits.skip(1);
    let (across, down) = (bits.golomb()?, bits.golomb()?);
    let fields = 2 - u64::from(bits.flag()?);
    if fields == 2 {
        bits.skip(1);
    }
    bits.skip(1);
    let (unit_across, unit_down) = match chroma {
        1 => (2, 2 * fields),
        2 => (2, fields),
        _ => (1, fields),
    };
    let cut = cropping(&mut bits)?;
    let width = 16 * (u64::from(across) + 1);
    let height = 16 * fields * (u64::from(down) + 1);
    size(width.checked_sub(unit_across * cut.0)?, height.checked_sub(unit_down * cut.1)?)
}

/// What is cut off, in units: across and down.
fn cropping(bits: &mut Bits<'_>) -> Option<(u64, u64)> {
    if !bits.flag()? {
        return Some((0, 0));
    }
    let mut next = || bits.golomb().map(u64::from);
    let (left, right, top, bottom) = (next()?, next()?, next()?, next()?);
    Some((left + right, top + bottom))
}

fn size(width: u64, height: u64) -> Option<(u16, u16)> {
    let side = |pixels| u16::try_from(pixels).ok().filter(|pixels| *pixels > 0);
    Some((side(width)?, side(height)?))
}

fn pass_scaling_lists(bits: &mut Bits<'_>, count: usize) -> Option<()> {
    for at in 0..count {
        if !bits.flag()? {
            continue;
        }
        let mut next = 8;
        for _ in 0..if at < 6 { 16 } else { 64 } {
            next = (next + bits.signed_golomb()?) & 0xff;
            if next == 0 {
                break;
            }
        }
    }
    Some(())
}

/// Codecs and resolution of a sequence parameter set (ISO/IEC 23008-2, 7.3.2.2 and 7.3.3).
fn hevc(payload: &[u8]) -> Option<(String, Option<(u16, u16)>)> {
    let mut bits = Bits::new(payload);
    bits.skip(4);
    let layers = bits.take(3)? as usize;
    bits.skip(1);
    let profile = bits.take(8)? as u8;
    let compatibility = bits.take(32)?;
    let mut constraints = [0; 6];
    for byte in &mut constraints {
        *byte = bits.take(8)? as u8;
    }
    let level = bits.take(8)? as u8;
    let codecs = hevc_codecs("hvc1", profile, compatibility, constraints, level);
    Some((codecs, hevc_resolution(bits, layers)))
}

/// The rest of it, behind the general profile and level.
fn hevc_resolution(mut bits: Bits<'_>, layers: usize) -> Option<(u16, u16)> {
    let mut said = Vec::new();
    for _ in 0..layers {
        said.push((bits.flag()?, bits.flag()?));
    }
    if layers > 0 {
        bits.skip(2 * (8 - layers));
    }
    for (profile, level) in said {
        bits.skip(88 * usize::from(profile) + 8 * usize::from(level));
    }
    bits.golomb()?;
    let chroma = bits.golomb()?;
    if chroma == 3 {
        bits.skip(1);
    }
    let (width, height) = (u64::from(bits.golomb()?), u64::from(bits.golomb()?));
    let cut = cropping(&mut bits)?;
    let (unit_across, unit_down) = match chroma {
        1 => (2, 2),
        2 => (2, 1),
        _ => (1, 1),
    };
    size(width.checked_sub(unit_across * cut.0)?, height.checked_sub(unit_down * cut.1)?)
}

/// Samples a second by their index (ISO/IEC 14496-3, 1.6.3.4).
pub const AAC_RATES: [u32; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8000,
    7350,
];

/// An ADTS header (ISO/IEC 13818-7, 6.2).
fn adts(start: &[u8]) -> Option<(String, Sound)> {
    let header = start.first_chunk::<4>()?;
    if header[0] != 0xff || header[1] & 0xf6 != 0xf0 {
        return None;
    }
    let kind = (header[2] >> 6) + 1;
    let rate = *AAC_RATES.get(usize::from(header[2] >> 2 & 15))?;
    let channels = match header[2] << 2 & 4 | header[3] >> 6 {
        0 => 2,
        7 => 8,
        channels => u16::from(channels),
    };
    Some((format!("mp4a.40.{kind}"), Sound { channels, rate }))
}

/// A header of MPEG audio (ISO/IEC 11172-3, 2.4.1.3).
fn mpeg_audio(start: &[u8]) -> Option<(String, Sound)> {
    let header = start.first_chunk::<4>()?;
    if header[0] != 0xff || header[1] & 0xe0 != 0xe0 {
        return None;
    }
    let kind = match header[1] >> 1 & 3 {
        1 => 34,
        2 => 33,
        3 => 32,
        _ => return None,
    };
    let halved = match header[1] >> 3 & 3 {
        0 => 4,
        2 => 2,
        3 => 1,
        _ => return None,
    };
    let rate = [44_100, 48_000, 32_000].get(usize::from(header[2] >> 2 & 3))? / halved;
    let channels = if header[3] >> 6 == 3 { 1 } else { 2 };
    Some((format!("mp4a.40.{kind}"), Sound { channels, rate }))
}

/// A frame of AC-3 or E-AC-3 (ETSI TS 102 366, 4.4 and E.1.3).
fn ac3(start: &[u8]) -> Option<Sound> {
    const CHANNELS: [u16; 8] = [2, 1, 2, 3, 3, 4, 4, 5];
    let header = start.first_chunk::<8>()?;
    if header[..2] != [0x0b, 0x77] {
        return None;
    }
    let rate = *[48_000, 44_100, 32_000].get(usize::from(header[4] >> 6))?;
    let is_enhanced = header[5] >> 3 > 10;
    let (mode, low) = if is_enhanced {
        (header[4] >> 1 & 7, header[4] & 1)
    } else {
        let mode = header[6] >> 5;
        let mut bits = Bits::new(&header[6..]);
        bits.skip(3);
        bits.skip(if mode & 1 != 0 && mode != 1 { 2 } else { 0 });
        bits.skip(if mode & 4 != 0 { 2 } else { 0 });
        bits.skip(if mode == 2 { 2 } else { 0 });
        (mode, bits.take(1)? as u8)
    };
    Some(Sound { channels: CHANNELS[usize::from(mode)] + u16::from(low), rate })
}
