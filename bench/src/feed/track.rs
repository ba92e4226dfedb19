//! A source on the time of the epoch: for every segment number, its chunks.
//!
//! Pure. Segment k holds what begins in [k·D, (k + 1)·D) of Unix time, whoever asks and whenever,
//! so that two feeders with the same sources send the same media under the same numbers. A source
//! repeats without end. Pictures are cut where the source has key frames. Frames that are all as
//! long and all stand alone (audio) lie on a grid that begins at the epoch: where their length does
//! not divide D (AAC at 48 kHz: 93.75 frames in 2 s), a segment begins with the first whole frame.

use std::ops::Range;

use super::source::{Sample, Source};

const NANOSECONDS: u128 = 1_000_000_000;

/// One chunk of one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Which samples of the source. An index past the last one means the last one.
    pub samples: Range<usize>,
    /// When it is decoded, in ticks since the epoch.
    pub time: u64,
    /// In ticks.
    pub duration: u64,
}

/// A source that repeats without end.
#[derive(Debug)]
pub struct Track {
    source: Source,
    /// Length of a segment, in ns.
    segment: u64,
    cut: Cut,
}

/// How segments are made of samples.
#[derive(Debug)]
enum Cut {
    /// At key frames: segment k is this one, modulo their number.
    Pictures { segments: Vec<Segment>, ticks: u64 },
    /// Anywhere between frames of `duration` ticks.
    Frames { duration: u32, chunk: usize, loop_segments: u64 },
}

/// A segment of the source: which samples each chunk has.
#[derive(Debug)]
struct Segment {
    chunks: Vec<Range<usize>>,
    hash: u64,
}

impl Track {
    /// Cuts a source into segments of `segment` ns. The error says what to do.
    pub fn new(source: Source, segment: u64) -> Result<Self, String> {
        let in_path = |error: String| format!("{}: {error}", source.path.display());
        let cut = match frame_duration(&source.samples) {
            Some(duration) => frames(&source, duration, segment),
            None => pictures(&source, segment),
        };
        let cut = cut.map_err(in_path)?;
        Ok(Self { source, segment, cut })
    }

    /// The media.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Length of a segment, in ns.
    pub fn segment(&self) -> u64 {
        self.segment
    }

    /// The chunks of a segment, in order. Every segment has at least one.
    pub fn chunks(&self, number: u64) -> Vec<Chunk> {
        match &self.cut {
            Cut::Pictures { segments, ticks } => {
                let segment = &segments[(number % segments.len() as u64) as usize];
                let samples = &self.source.samples;
                let start = samples[segment.chunks[0].start].time;
                let chunk = |range: &Range<usize>| {
                    let (first, last) = (&samples[range.start], &samples[range.end - 1]);
                    Chunk {
                        samples: range.clone(),
                        time: number * ticks + (first.time - start),
                        duration: last.time + u64::from(last.duration) - first.time,
                    }
                };
                segment.chunks.iter().map(chunk).collect()
            }
            Cut::Frames { duration, chunk, loop_segments } => {
                let first_of = |number| self.first_frame(number, *duration);
                let (start, end) = (first_of(number), first_of(number + 1));
                let loop_start = first_of(number - number % loop_segments);
                let chunk_at = |first: u64| {
                    let last = (first + *chunk as u64).min(end);
                    let index = |frame: u64| (frame - loop_start) as usize;
                    Chunk {
                        samples: index(first)..index(last),
                        time: first * u64::from(*duration),
                        duration: (last - first) * u64::from(*duration),
                    }
                };
                (start..end).step_by(*chunk).map(chunk_at).collect()
            }
        }
    }

    /// The samples of a chunk.
    pub fn samples(&self, chunk: &Chunk) -> impl Iterator<Item = &Sample> {
        let samples = &self.source.samples;
        // A loop of frames may need one more than there are: the last is heard twice.
        chunk.samples.clone().map(move |index| &samples[index.min(samples.len() - 1)])
    }

    /// The bytes of a sample.
    pub fn bytes(&self, sample: &Sample) -> &[u8] {
        &self.source.media[sample.data.clone()]
    }

    /// The hash of all media bytes of a segment.
    pub fn hash(&self, number: u64) -> u64 {
        match &self.cut {
            Cut::Pictures { segments, .. } => {
                segments[(number % segments.len() as u64) as usize].hash
            }
            Cut::Frames { .. } => {
                let mut hash = Hash::new();
                for chunk in self.chunks(number) {
                    self.samples(&chunk).for_each(|sample| hash.add(self.bytes(sample)));
                }
                hash.value()
            }
        }
    }

    /// Most chunks of a segment, for numbers that ascend from one segment to the next.
    pub fn chunks_max(&self) -> u64 {
        match &self.cut {
            Cut::Pictures { segments, .. } => {
                segments.iter().map(|segment| segment.chunks.len() as u64).max().unwrap_or(1)
            }
            Cut::Frames { duration, chunk, .. } => {
                let ticks = u64::from(*duration) * *chunk as u64;
                self.segment.div_ceil(self.nanoseconds(ticks).max(1)) + 1
            }
        }
    }

    /// Ticks as ns.
    pub fn nanoseconds(&self, ticks: u64) -> u64 {
        (u128::from(ticks) * NANOSECONDS / u128::from(self.source.timescale)) as u64
    }

    /// The first frame that begins in a segment, counted from the epoch.
    fn first_frame(&self, number: u64, duration: u32) -> u64 {
        let start = u128::from(number) * u128::from(self.segment);
        let scaled = start * u128::from(self.source.timescale);
        scaled.div_ceil(NANOSECONDS * u128::from(duration)) as u64
    }
}

/// The length of every sample, if all are as long and stand alone. The last may be cut.
fn frame_duration(samples: &[Sample]) -> Option<u32> {
    let duration = samples[0].duration;
    let whole = &samples[..samples.len() - 1];
    let is_even = whole.iter().all(|sample| sample.duration == duration);
    (is_even && samples.iter().all(Sample::is_sync)).then_some(duration)
}

fn frames(source: &Source, duration: u32, segment: u64) -> Result<Cut, String> {
    let count = source.samples.len() as u128;
    let frame = u128::from(duration) * NANOSECONDS;
    let scaled = u128::from(segment) * u128::from(source.timescale);
    // A frame that is missing in the end is made good by repeating the last.
    let loop_segments = ((count + 1) * frame - 1) / scaled;
    if loop_segments == 0 || scaled < frame {
        return Err(too_short(source, segment));
    }
    let chunk = source.chunk_starts.get(1).map_or(source.samples.len(), |second| *second);
    Ok(Cut::Frames { duration, chunk: chunk.max(1), loop_segments: loop_segments as u64 })
}

fn pictures(source: &Source, segment: u64) -> Result<Cut, String> {
    let scaled = u128::from(segment) * u128::from(source.timescale);
    let last = source.samples.last().expect("a source has samples");
    let end = last.time + u64::from(last.duration);
    if u128::from(end) * NANOSECONDS < scaled {
        return Err(too_short(source, segment));
    }
    let ticks = u64::try_from(scaled / NANOSECONDS).map_err(|_| "segments are too long")?;
    if !scaled.is_multiple_of(NANOSECONDS) || ticks == 0 {
        return Err(no_key_frame(source, segment, 1));
    }
    let count = end / ticks;
    let begins = |number: u64| source.samples.binary_search_by_key(&(number * ticks), |s| s.time);
    let mut starts = Vec::new();
    for number in 0..count {
        let index = begins(number).ok().filter(|index| source.samples[*index].is_sync());
        starts.push(index.ok_or_else(|| no_key_frame(source, segment, number))?);
    }
    let is_whole = count * ticks == end || begins(count).is_ok();
    if !is_whole {
        return Err(no_key_frame(source, segment, count));
    }
    starts.push(begins(count).unwrap_or(source.samples.len()));
    let segments = starts.windows(2).map(|pair| piece(source, pair[0]..pair[1])).collect();
    Ok(Cut::Pictures { segments, ticks })
}

/// A segment with the source's own chunks, cut where it begins and ends.
fn piece(source: &Source, samples: Range<usize>) -> Segment {
    let inner = source.chunk_starts.iter().copied();
    let inner = inner.filter(|start| *start > samples.start && *start < samples.end);
    let mut bounds = vec![samples.start];
    bounds.extend(inner);
    bounds.push(samples.end);
    let mut hash = Hash::new();
    source.samples[samples].iter().for_each(|sample| hash.add(&source.media[sample.data.clone()]));
    let chunks = bounds.windows(2).filter(|pair| pair[0] < pair[1]);
    Segment { chunks: chunks.map(|pair| pair[0]..pair[1]).collect(), hash: hash.value() }
}

fn too_short(source: &Source, segment: u64) -> String {
    let last = source.samples.last().expect("a source has samples");
    let end = (last.time + u64::from(last.duration)) as f64 / f64::from(source.timescale);
    let segment = segment as f64 / 1e9;
    format!("{end} s of media are less than one segment of {segment} s: take a longer piece")
}

fn no_key_frame(source: &Source, segment: u64, number: u64) -> String {
    let seconds = |ticks: u64| ticks as f64 / f64::from(source.timescale);
    let segment = segment as f64 / 1e9;
    let at = segment * number as f64;
    let keys = source.samples.iter().filter(|sample| sample.is_sync());
    let keys: Vec<_> = keys.take(4).map(|key| format!("{} s", seconds(key.time))).collect();
    format!(
        "no key frame at {at} s (the first are at {}): encode with one every {segment} s (ffmpeg's \
         -g and -sc_threshold 0), or choose --segment after them",
        keys.join(", ")
    )
}

/// FNV-1a of 64 bits, over many pieces: anybody can check it with five lines.
#[derive(Clone, Copy, Debug)]
pub struct Hash(u64);

impl Hash {
    /// Of nothing.
    pub fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    /// Takes more bytes.
    pub fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// Of all bytes so far.
    pub fn value(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests;
