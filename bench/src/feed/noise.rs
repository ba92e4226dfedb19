//! Media of any bit rate without an encoder: a header that is good, and samples of noise.
//!
//! Servers read boxes, and never what is in a picture, so noise costs them what pictures cost. No
//! player shows it.

use std::path::PathBuf;

use super::boxes::{append, append_full, put32, put64};
use super::source::{Sample, Source};
use super::track::Track;
use crate::load::random::Random;

/// Milliseconds of a sample: 50 pictures a second.
const SAMPLE_MS: u64 = 20;

/// Ticks a second.
const TIMESCALE: u32 = 90_000;

/// The number of its only track.
const TRACK: u32 = 1;

/// Flags of a picture that needs others, and of one that needs none (ISO/IEC 14496-12, 8.8.3.1).
const DEPENDS: u32 = 0x0101_0000;
const STANDS_ALONE: u32 = 0x0200_0000;

/// What is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Of a segment, in ms; decoding can begin with each.
    pub segment_ms: u64,
    /// Of a chunk, in ms. The last of a segment may be shorter.
    pub chunk_ms: u64,
    /// Of the samples, without the boxes around them.
    pub bits_per_second: u64,
}

/// A segment of noise, which is repeated without end, on the time of the epoch.
///
/// # Errors
///
/// Lengths that samples of 20 ms do not make up.
pub fn track(shape: Shape) -> Result<Track, String> {
    Track::new(source(shape)?, shape.segment_ms * 1_000_000)
}

fn source(shape: Shape) -> Result<Source, String> {
    let Shape { segment_ms, chunk_ms, bits_per_second } = shape;
    let is_whole = |ms: u64| ms > 0 && ms.is_multiple_of(SAMPLE_MS);
    if !is_whole(segment_ms) || !is_whole(chunk_ms) {
        return Err(format!("segments and chunks are made of samples of {SAMPLE_MS} ms"));
    }
    let size = (bits_per_second * SAMPLE_MS / 8 / 1000).max(1) as usize;
    let count = (segment_ms / SAMPLE_MS) as usize;
    let duration = TIMESCALE / 1000 * SAMPLE_MS as u32;
    let sample = |index: usize| Sample {
        data: index * size..(index + 1) * size,
        time: index as u64 * u64::from(duration),
        duration,
        offset: 0,
        flags: if index == 0 { STANDS_ALONE } else { DEPENDS },
    };
    let mut random = Random::new(bits_per_second);
    let media = std::iter::repeat_with(|| random.next().to_le_bytes()).flatten();
    Ok(Source {
        path: PathBuf::from("noise"),
        init: header(),
        track: TRACK,
        timescale: TIMESCALE,
        is_audio: false,
        samples: (0..count).map(sample).collect(),
        chunk_starts: (0..count).step_by((chunk_ms / SAMPLE_MS) as usize).collect(),
        media: media.take(size * count).collect(),
    })
}

/// `ftyp` and `moov` of one track of AVC, Baseline, level 3.0.
fn header() -> Vec<u8> {
    let mut out = Vec::new();
    append(&mut out, b"ftyp", |out| out.extend(b"cmf2\0\0\0\0cmf2iso6"));
    append(&mut out, b"moov", |out| {
        append_full(out, b"mvhd", (0, 0), |out| {
            words(out, &[0, 0, 1000, 0, 0x1_0000, 0x0100_0000, 0, 0]);
            matrix(out);
            words(out, &[0, 0, 0, 0, 0, 0, TRACK + 1]);
        });
        append(out, b"trak", |out| {
            append_full(out, b"tkhd", (0, 7), |out| {
                words(out, &[0, 0, TRACK, 0, 0, 0, 0, 0, 0]);
                matrix(out);
                words(out, &[WIDTH << 16, HEIGHT << 16]);
            });
            append(out, b"mdia", |out| {
                append_full(out, b"mdhd", (0, 0), |out| {
                    // The language is `und`, in three times five bits.
                    words(out, &[0, 0, TIMESCALE, 0, 0x55c4_0000]);
                });
                append_full(out, b"hdlr", (0, 0), |out| {
                    out.extend(b"\0\0\0\0vide\0\0\0\0\0\0\0\0\0\0\0\0\0");
                });
                append(out, b"minf", media_header);
            });
        });
        append(out, b"mvex", |out| {
            append_full(out, b"trex", (0, 0), |out| words(out, &[TRACK, 1, 0, 0, 0]));
        });
    });
    out
}

const WIDTH: u32 = 640;
const HEIGHT: u32 = 360;

fn media_header(out: &mut Vec<u8>) {
    append_full(out, b"vmhd", (0, 1), |out| put64(out, 0));
    append(out, b"dinf", |out| {
        append_full(out, b"dref", (0, 0), |out| {
            put32(out, 1);
            append_full(out, b"url ", (0, 1), |_| {});
        });
    });
    append(out, b"stbl", |out| {
        append_full(out, b"stsd", (0, 0), |out| {
            put32(out, 1);
            append(out, b"avc1", |out| {
                words(out, &[0, 1, 0, 0, 0, 0, WIDTH << 16 | HEIGHT]);
                words(out, &[0x48_0000, 0x48_0000, 0]);
                // One picture a sample, no name, 24 bits deep.
                out.extend([0, 1]);
                out.extend([0; 32]);
                out.extend([0, 24, 0xff, 0xff]);
                append(out, b"avcC", |out| {
                    // A set of sequence parameters and one of picture parameters, as x264 has them.
                    out.extend([1, 66, 0xc0, 30, 0xff, 0xe1, 0, 4, 0x67, 66, 0xc0, 30]);
                    out.extend([1, 0, 2, 0x68, 0xce]);
                });
            });
        });
        for kind in [b"stts", b"stsc", b"stco"] {
            append_full(out, kind, (0, 0), |out| put32(out, 0));
        }
        append_full(out, b"stsz", (0, 0), |out| put64(out, 0));
    });
}

fn words(out: &mut Vec<u8>, words: &[u32]) {
    words.iter().for_each(|word| put32(out, *word));
}

/// Pictures are neither turned nor moved.
fn matrix(out: &mut Vec<u8>) {
    words(out, &[0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000]);
}

#[cfg(test)]
mod tests {
    use super::super::boxes::one;
    use super::*;

    #[test]
    fn noise_has_the_bit_rate_and_the_chunks_that_were_asked_for() {
        let shape = Shape { segment_ms: 2000, chunk_ms: 500, bits_per_second: 1_000_000 };
        let track = track(shape).expect("samples make it up");
        let source = track.source();
        assert_eq!(source.media.len(), 250_000);
        let moov = one(&source.init, b"moov").expect("it is whole").body;
        assert_eq!(one(moov, b"trak").map(|found| found.kind), Ok(*b"trak"));
        let chunks = track.chunks(800_000_000);
        let lengths: Vec<_> =
            chunks.iter().map(|chunk| track.nanoseconds(chunk.duration)).collect();
        assert_eq!(lengths, [500_000_000; 4]);
        assert_eq!(track.nanoseconds(chunks[0].time), 1_600_000_000 * 1_000_000_000);
        let odd = Shape { chunk_ms: 333, ..shape };
        assert!(super::track(odd).is_err());
    }
}
