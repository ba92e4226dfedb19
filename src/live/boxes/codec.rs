//! How samples are coded: what `CODECS` says of a sample entry (RFC 6381; ISO/IEC 14496-15, E).

use std::fmt::Write as _;

use super::init::Media;
use super::{BoxError, Child, Fields, Kind, child, optional};
use crate::live::bits::Bits;

/// What a sample entry says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// What is carried.
    pub media: Media,
    /// As in `CODECS` of HLS and `@codecs` of DASH.
    pub codecs: String,
    /// Of video: pixels across and down, as they are coded.
    pub resolution: Option<(u16, u16)>,
    /// Of audio.
    pub sound: Option<Sound>,
    /// How the samples are encrypted, if they are.
    pub encryption: Option<Encryption>,
}

/// What is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sound {
    /// Channels.
    pub channels: u16,
    /// Samples a second.
    pub rate: u32,
}

/// Common encryption (ISO/IEC 23001-7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encryption {
    /// `cenc` or `cbcs`.
    pub scheme: Kind,
    /// `default_KID`.
    pub key: [u8; 16],
}

/// Reads a sample entry.
///
/// # Errors
///
/// What is wrong with it; `Value` for a coding that no playlist could name.
pub fn sample(media: Media, entry: &Child<'_>) -> Result<Sample, BoxError> {
    let mut fields = Fields::new(&entry.kind, entry.body);
    fields.bytes(8)?;
    let mut sample =
        Sample { media, codecs: String::new(), resolution: None, sound: None, encryption: None };
    match media {
        Media::Video => {
            fields.bytes(16)?;
            sample.resolution = Some((fields.u16()?, fields.u16()?));
            fields.bytes(50)?;
        }
        Media::Audio => {
            // Later versions are QuickTime's, and have more fields.
            if fields.u16()? != 0 {
                return Err(BoxError::Version(entry.kind));
            }
            fields.bytes(6)?;
            let channels = fields.u16()?;
            fields.bytes(6)?;
            let rate = fields.u32()? >> 16;
            sample.sound = Some(Sound { channels, rate });
        }
        Media::Text => {}
    }
    let boxes = fields.rest();
    let mut kind = entry.kind;
    if matches!(&kind, b"encv" | b"enca" | b"enct") {
        let sinf = child(kind, boxes, b"sinf")?;
        sample.encryption = Some(encryption(sinf)?);
        kind = Fields::new(b"frma", child(*b"sinf", sinf, b"frma")?).array()?;
    }
    sample.codecs = match &kind {
        b"avc1" | b"avc3" => avc(kind, boxes)?,
        b"hvc1" | b"hev1" => hevc(kind, boxes)?,
        b"av01" => av1(boxes)?,
        b"vp09" => vp9(boxes)?,
        b"mp4a" => {
            let (codecs, channels) = mpeg4_audio(boxes)?;
            if let (Some(sound), Some(channels)) = (&mut sample.sound, channels) {
                sound.channels = channels;
            }
            codecs
        }
        b"Opus" => "opus".to_owned(),
        b"fLaC" => "flac".to_owned(),
        b"ac-3" | b"ec-3" | b"wvtt" => name(kind),
        b"stpp" => "stpp.ttml.im1t".to_owned(),
        _ => return Err(BoxError::Value(entry.kind)),
    };
    Ok(sample)
}

fn name(kind: Kind) -> String {
    kind.iter().map(|&byte| char::from(byte)).collect()
}

fn encryption(sinf: &[u8]) -> Result<Encryption, BoxError> {
    let mut schm = Fields::new(b"schm", child(*b"sinf", sinf, b"schm")?);
    schm.version(0)?;
    let scheme = schm.array()?;
    let schi = child(*b"sinf", sinf, b"schi")?;
    let mut tenc = Fields::new(b"tenc", child(*b"schi", schi, b"tenc")?);
    tenc.version(1)?;
    tenc.bytes(4)?;
    Ok(Encryption { scheme, key: tenc.array()? })
}

/// `avcC`: profile, constraints, level (ISO/IEC 14496-15, 5.3.3.1).
fn avc(kind: Kind, boxes: &[u8]) -> Result<String, BoxError> {
    let mut fields = Fields::new(b"avcC", child(kind, boxes, b"avcC")?);
    let [_, profile, constraints, level] = fields.array()?;
    Ok(format!("{}.{profile:02x}{constraints:02x}{level:02x}", name(kind)))
}

/// `hvcC` (ISO/IEC 14496-15, annex E.3).
fn hevc(kind: Kind, boxes: &[u8]) -> Result<String, BoxError> {
    let mut fields = Fields::new(b"hvcC", child(kind, boxes, b"hvcC")?);
    let [_, first] = fields.array()?;
    let compatibility = fields.u32()?;
    let constraints = fields.array()?;
    let level = fields.u8()?;
    Ok(hevc_codecs(&name(kind), first, compatibility, constraints, level))
}

/// What a profile, tier and level are called, of which `first` is space, tier and profile.
#[must_use]
pub fn hevc_codecs(
    name: &str,
    first: u8,
    compatibility: u32,
    constraints: [u8; 6],
    level: u8,
) -> String {
    let compatibility = compatibility.reverse_bits();
    let space = ["", "A", "B", "C"][usize::from(first >> 6)];
    let tier = if first & 0x20 == 0 { 'L' } else { 'H' };
    let mut codecs = format!("{name}.{space}{}.{compatibility:x}.{tier}{level}", first & 0x1f);
    let used = constraints.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    for byte in &constraints[..used] {
        write!(codecs, ".{byte:x}").expect("a string takes everything");
    }
    codecs
}

/// `av1C` (AV1 in ISOBMFF, 5).
fn av1(boxes: &[u8]) -> Result<String, BoxError> {
    let mut fields = Fields::new(b"av1C", child(*b"av01", boxes, b"av1C")?);
    let [_, first, second] = fields.array()?;
    let tier = if second & 0x80 == 0 { 'M' } else { 'H' };
    let depth = match (second & 0x40 != 0, second & 0x20 != 0) {
        (true, true) => 12,
        (true, false) => 10,
        (false, _) => 8,
    };
    Ok(format!("av01.{}.{:02}{tier}.{depth:02}", first >> 5, first & 0x1f))
}

/// `vpcC` (VP codec in ISOBMFF).
fn vp9(boxes: &[u8]) -> Result<String, BoxError> {
    let mut fields = Fields::new(b"vpcC", child(*b"vp09", boxes, b"vpcC")?);
    fields.version(1)?;
    let [profile, level, depth] = fields.array()?;
    Ok(format!("vp09.{profile:02}.{level:02}.{:02}", depth >> 4))
}

/// `esds` (ISO/IEC 14496-1, 7.2.6): the codec, and how many channels if it says so.
fn mpeg4_audio(boxes: &[u8]) -> Result<(String, Option<u16>), BoxError> {
    const ESDS: Kind = *b"esds";
    // Without it (QuickTime puts it elsewhere) AAC-LC is by far the likeliest.
    let Some(esds) = optional(*b"mp4a", boxes, &ESDS)? else {
        return Ok(("mp4a.40.2".to_owned(), None));
    };
    let (object, specific) = specific(esds)?;
    let Some(specific) = specific else { return Ok((format!("mp4a.{object:02x}"), None)) };
    let mut bits = Bits::new(specific);
    let mut kind = bits.take(5).ok_or(BoxError::Short(ESDS))?;
    if kind == 31 {
        kind = 32 + bits.take(6).ok_or(BoxError::Short(ESDS))?;
    }
    let rate = bits.take(4).ok_or(BoxError::Short(ESDS))?;
    if rate == 15 {
        bits.take(24).ok_or(BoxError::Short(ESDS))?;
    }
    let channels = match bits.take(4).ok_or(BoxError::Short(ESDS))? {
        layout @ 1..=6 => Some(layout as u16),
        7 | 12 | 14 => Some(8),
        11 => Some(7),
        _ => None,
    };
    Ok((format!("mp4a.40.{kind}"), channels))
}

/// The object type of an `esds`, and the configuration of its decoder if that is MPEG-4's.
///
/// # Errors
///
/// What is wrong with it.
pub fn specific(esds: &[u8]) -> Result<(u8, Option<&[u8]>), BoxError> {
    const ESDS: Kind = *b"esds";
    let mut fields = Fields::new(&ESDS, esds);
    fields.version(0)?;
    let mut stream = descriptor(&mut fields, 3)?;
    stream.u16()?;
    let flags = stream.u8()?;
    if flags & 0x80 != 0 {
        stream.u16()?;
    }
    if flags & 0x40 != 0 {
        let size = stream.u8()?;
        stream.bytes(usize::from(size))?;
    }
    if flags & 0x20 != 0 {
        stream.u16()?;
    }
    let mut config = descriptor(&mut stream, 4)?;
    let object = config.u8()?;
    if object != 0x40 {
        return Ok((object, None));
    }
    config.bytes(12)?;
    Ok((object, Some(descriptor(&mut config, 5)?.rest())))
}

/// The body of the descriptor with this tag, which comes next.
fn descriptor<'b>(fields: &mut Fields<'b>, tag: u8) -> Result<Fields<'b>, BoxError> {
    const ESDS: Kind = *b"esds";
    if fields.u8()? != tag {
        return Err(BoxError::Misplaced(ESDS));
    }
    let mut size = 0;
    for _ in 0..4 {
        let byte = fields.u8()?;
        size = size << 7 | usize::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Ok(Fields::new(&ESDS, fields.bytes(size)?));
        }
    }
    Err(BoxError::Size(ESDS))
}
