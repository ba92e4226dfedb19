//! CMAF for tests: headers that ffmpeg wrote, and chunks of which every byte is known.
//!
//! Samples have 20 ms, and bytes that follow from the chunk's time and its salt.

/// 2026-11-26T00:00:00Z, in seconds.
pub const MIDNIGHT: u64 = 1_795_651_200;

/// Milliseconds of a sample.
const SAMPLE_MS: u64 = 20;

/// What a track carries.
#[derive(Clone, Copy, PartialEq)]
pub enum Media {
    Picture,
    Sound,
    Text,
}

impl Media {
    fn timescale(self) -> u32 {
        match self {
            Self::Picture => 90_000,
            Self::Sound => 48_000,
            Self::Text => 1000,
        }
    }
}

/// A chunk, as an encoder is asked for it.
#[derive(Clone, Copy)]
pub struct Chunk {
    pub media: Media,
    /// Milliseconds behind the media's zero.
    pub start_ms: u64,
    pub millis: u64,
    pub independent: bool,
    /// Chunks of one time and another salt have other bytes.
    pub salt: u8,
    pub sample_size: u32,
}

/// Half a second of pictures. Decoding can begin with each second.
pub fn chunk(start_ms: u64) -> Chunk {
    let independent = start_ms.is_multiple_of(1000);
    Chunk { media: Media::Picture, start_ms, millis: 500, independent, salt: 0, sample_size: 4 }
}

/// The two chunks of a second of pictures.
pub fn halves(second: u64) -> [Vec<u8>; 2] {
    [0, 500].map(|millis| chunk(second * 1000 + millis).bytes())
}

/// A second of pictures, in two chunks.
pub fn segment(second: u64) -> Vec<u8> {
    halves(second).concat()
}

/// A second of something that is no picture.
pub fn second_of(media: Media, second: u64) -> Vec<u8> {
    let of = |start| Chunk { media, independent: true, ..chunk(start) }.bytes();
    [of(second * 1000), of(second * 1000 + 500)].concat()
}

/// The same in other bytes.
pub fn salted_segment(second: u64, salt: u8) -> Vec<u8> {
    let salted = |start| Chunk { salt, ..chunk(start) }.bytes();
    [salted(second * 1000), salted(second * 1000 + 500)].concat()
}

/// A header of one track.
pub fn header(media: Media) -> Vec<u8> {
    let file: &[u8] = match media {
        Media::Picture => include_bytes!("../../fuzz/seeds/boxes/avc.mp4"),
        Media::Sound | Media::Text => include_bytes!("../../fuzz/seeds/boxes/aac.mp4"),
    };
    let mut size = 0;
    for _ in ["ftyp", "moov"] {
        let length = file[size..].first_chunk().expect("a file of boxes");
        size += u32::from_be_bytes(*length) as usize;
    }
    let mut header = file[..size].to_vec();
    let mdhd = header.windows(4).position(|kind| kind == b"mdhd").expect("it has a track");
    // Behind its version and two dates.
    header[mdhd + 16..mdhd + 20].copy_from_slice(&media.timescale().to_be_bytes());
    if media == Media::Text {
        for (kind, other) in [(b"soun", b"text"), (b"mp4a", b"wvtt")] {
            let at = header.windows(4).position(|found| found == kind).expect("it is a sound");
            header[at..at + 4].copy_from_slice(other);
        }
    }
    header
}

/// The header of a picture that is encrypted in this way; Widevine has its licences.
pub fn encrypted_header(scheme: &[u8; 4]) -> Vec<u8> {
    let mut header = header(Media::Picture);
    let at = |header: &[u8], kind: &[u8; 4]| {
        header.windows(4).position(|found| found == kind).expect("it has such a box") - 4
    };
    let grow = |header: &mut [u8], kind: &[u8; 4], by: usize| {
        let at = at(header, kind);
        let size = u32::from_be_bytes(*header[at..].first_chunk().expect("four bytes"));
        let size = size + u32::try_from(by).expect("it is small");
        header[at..at + 4].copy_from_slice(&size.to_be_bytes());
        at + size as usize - by
    };
    let key = b"\0\0\x01\x080123456789abcdef";
    let frma = boxed(b"frma", b"avc1");
    let schm = full(b"schm", 0, &[u32::from_be_bytes(*scheme), 0x1_0000]);
    let schi = boxed(b"schi", &full_bytes(b"tenc", 0, key));
    let sinf = boxed(b"sinf", &[frma, schm, schi].concat());
    let mut end = 0;
    for kind in [b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"avc1"] {
        end = grow(&mut header, kind, sinf.len());
    }
    let entry = at(&header, b"avc1");
    header[entry + 4..entry + 8].copy_from_slice(b"encv");
    header.splice(end..end, sinf);
    let widevine = b"\xed\xef\x8b\xa9\x79\xd6\x4a\xce\xa3\xc8\x27\xdc\xd5\x1d\x21\xed";
    let pssh = full_bytes(b"pssh", 0, &[&widevine[..], &[0, 0, 0, 2], b"wv"].concat());
    grow(&mut header, b"moov", pssh.len());
    header.extend(pssh);
    header
}

impl Chunk {
    /// The chunk, written: `moof` and `mdat`.
    pub fn bytes(&self) -> Vec<u8> {
        let per_ms = u64::from(self.media.timescale() / 1000);
        let ticks = u32::try_from(SAMPLE_MS * per_ms).unwrap();
        let samples = u32::try_from(self.millis / SAMPLE_MS).unwrap();
        let start = self.start_ms * per_ms;
        let first = if self.independent { 0x0200_0000 } else { 0x0101_0000 };
        let (high, low) = ((start >> 32) as u32, start as u32);
        // Default duration, size and flags; offsets count from the `moof`.
        let tfhd = full(b"tfhd", 0x02_0038, &[1, ticks, self.sample_size, 0x0101_0000]);
        let tfdt = full(b"tfdt", 0x0100_0000, &[high, low]);
        let moof = |data_at: u32| {
            let trun = full(b"trun", 0x5, &[samples, data_at, first]);
            let traf = boxed(b"traf", &[&tfhd[..], &tfdt, &trun].concat());
            boxed(b"moof", &[&full(b"mfhd", 0, &[1])[..], &traf].concat())
        };
        let size = moof(0).len();
        let moof = moof(u32::try_from(size + 8).unwrap());
        let data = (0..samples * self.sample_size).map(|at| self.byte(u64::from(at)));
        [moof, boxed(b"mdat", &data.collect::<Vec<_>>())].concat()
    }

    fn byte(&self, at: u64) -> u8 {
        let seed = (self.start_ms << 8 | u64::from(self.salt)).wrapping_add(at << 40);
        (seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8
    }
}

fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let size = u32::try_from(body.len() + 8).unwrap();
    [&size.to_be_bytes()[..], kind, body].concat()
}

/// A box that begins with its version and flags.
fn full(kind: &[u8; 4], version_and_flags: u32, fields: &[u32]) -> Vec<u8> {
    let fields = fields.iter().flat_map(|field| field.to_be_bytes());
    full_bytes(kind, version_and_flags, &fields.collect::<Vec<_>>())
}

/// The same, of any bytes.
pub fn full_bytes(kind: &[u8; 4], version_and_flags: u32, fields: &[u8]) -> Vec<u8> {
    boxed(kind, &[&version_and_flags.to_be_bytes()[..], fields].concat())
}
