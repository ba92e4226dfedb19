//! The bytes of chunks: samples of a track in, boxes out.
//!
//! Pure. A segment is `styp`, `emsg` and then chunks of `prft`, `moof` and `mdat`. Every chunk gets
//! a `moof` of its own making, with a `tfdt` of 64 bits, because time since the epoch does not fit
//! 32; other boxes that the source had in its fragments (`sidx`, `sbgp`, `subs`) are not sent on.

use super::boxes::{append, append_full, put32, put64};
use super::track::{Chunk, Hash, Track};

/// What tells receivers that an event is ours.
const SCHEME: &str = "urn:shardcast:feed";

/// Seconds from the epoch of NTP (1900) to that of Unix.
const NTP_EPOCH_SECONDS: u64 = 2_208_988_800;

/// `prft`: the time is the one at which the chunk was written.
const WRITTEN: u32 = 4;

/// Offsets from a `moof` to the first sample: the box and the header of `mdat`.
const MDAT_HEADER_SIZE: usize = 8;

/// Who a segment belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// The channel's id.
    pub channel: String,
    /// The rendition's.
    pub rendition: String,
}

/// Whether the media is as in the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bytes {
    /// It is.
    Own,
    /// One bit of every chunk is not.
    Other,
}

/// One of a segment's chunks, the first with what stands before it; `sent` in µs of Unix time.
pub fn piece(
    track: &Track,
    names: &Names,
    number: u64,
    (position, one): (usize, &Chunk),
    bytes: Bytes,
    sent: u64,
) -> Vec<u8> {
    let mut out = Vec::new();
    if position == 0 {
        segment_head(&mut out, track, names, number, bytes, sent);
    }
    // Ascending over all segments; the field has 32 bits, and wraps as the standard allows.
    let sequence = number * track.chunks_max() + position as u64;
    chunk(&mut out, track, one, sequence as u32, bytes, sent);
    out
}

/// Appends what stands before a segment's first chunk.
fn segment_head(
    out: &mut Vec<u8>,
    track: &Track,
    names: &Names,
    number: u64,
    bytes: Bytes,
    sent: u64,
) {
    append(out, b"styp", |out| out.extend(b"msdh\0\0\0\0msdhcmfs"));
    let chunks = track.chunks(number);
    let hash = match bytes {
        Bytes::Own => track.hash(number),
        Bytes::Other => other_hash(track, &chunks),
    };
    let Names { channel, rendition } = names;
    let text = format!(
        "{{\"channel\":\"{channel}\",\"rendition\":\"{rendition}\",\"number\":{number},\
         \"sent\":{sent},\"hash\":\"{hash:016x}\"}}"
    );
    let duration: u64 = chunks.iter().map(|chunk| chunk.duration).sum();
    append_full(out, b"emsg", (1, 0), |out| {
        put32(out, track.source().timescale);
        put64(out, chunks[0].time);
        put32(out, u32::try_from(duration).unwrap_or(u32::MAX));
        // Numbers since the epoch fit 32 bits for segments of half a second and more.
        put32(out, number as u32);
        out.extend(SCHEME.bytes().chain([0, 0]));
        out.extend(text.bytes());
    });
}

/// Appends a chunk.
fn chunk(out: &mut Vec<u8>, track: &Track, chunk: &Chunk, sequence: u32, bytes: Bytes, sent: u64) {
    let source = track.source();
    append_full(out, b"prft", (1, WRITTEN), |out| {
        put32(out, source.track);
        let fraction = ((sent % 1_000_000) << 32) / 1_000_000;
        put64(out, ((sent / 1_000_000 + NTP_EPOCH_SECONDS) << 32) | fraction);
        put64(out, chunk.time);
    });
    let start = out.len();
    append(out, b"moof", |out| {
        append_full(out, b"mfhd", (0, 0), |out| put32(out, sequence));
        append(out, b"traf", |out| {
            // Offsets count from the moof.
            append_full(out, b"tfhd", (0, 0x02_0000), |out| put32(out, source.track));
            append_full(out, b"tfdt", (1, 0), |out| put64(out, chunk.time));
            run(out, track, chunk);
        });
    });
    // The run is the last box of the moof; its offset stands behind its header and count.
    let offset = (out.len() - start + MDAT_HEADER_SIZE) as u32;
    let count = chunk.samples.len();
    let field = out.len() - count * RUN_SAMPLE_SIZE - 4;
    out[field..field + 4].copy_from_slice(&offset.to_be_bytes());
    append(out, b"mdat", |out| {
        track.samples(chunk).for_each(|sample| out.extend(track.bytes(sample)));
        if bytes == Bytes::Other {
            *out.last_mut().expect("no sample is empty") ^= 1;
        }
    });
}

/// Size of a sample's entry in a `trun` with all four fields.
const RUN_SAMPLE_SIZE: usize = 16;

fn run(out: &mut Vec<u8>, track: &Track, chunk: &Chunk) {
    // Data offset; duration, size, flags and composition offset (signed: version 1) a sample.
    append_full(out, b"trun", (1, 0x0f01), |out| {
        put32(out, chunk.samples.len() as u32);
        put32(out, 0);
        for sample in track.samples(chunk) {
            put32(out, sample.duration);
            put32(out, sample.data.len() as u32);
            put32(out, sample.flags);
            put32(out, sample.offset.cast_unsigned());
        }
    });
}

/// The hash of a segment of which every chunk's last bit is flipped.
fn other_hash(track: &Track, chunks: &[Chunk]) -> u64 {
    let mut hash = Hash::new();
    for chunk in chunks {
        let mut payload = Vec::new();
        track.samples(chunk).for_each(|sample| payload.extend(track.bytes(sample)));
        *payload.last_mut().expect("no sample is empty") ^= 1;
        hash.add(&payload);
    }
    hash.value()
}
