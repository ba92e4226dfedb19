//! A rendition's source: packaged media of one track in, its header and its samples out.
//!
//! Reads fragmented MP4 as ffmpeg and packagers write it: one file with everything, or a folder
//! with an init segment and media segments. The samples' bytes stay where they are in `media`; the
//! boxes around them are read and forgotten, because every chunk gets new ones.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::boxes::{self, Boxed, Fields, boxes};

/// Largest source, in bytes. It is held in memory; a minute of 100 Mbit/s is 750 MB.
const SOURCE_SIZE_MAX: u64 = 1 << 30;

/// The bit of a sample's flags that says: decoding cannot begin here.
const IS_NOT_SYNC: u32 = 0x0001_0000;

/// One sample: a picture, or a frame of audio.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Where its bytes are in `Source::media`.
    pub data: Range<usize>,
    /// When it is decoded, in ticks from the first sample.
    pub time: u64,
    /// In ticks.
    pub duration: u32,
    /// From decoding to presentation, in ticks.
    pub offset: i32,
    /// As in the file.
    pub flags: u32,
}

impl Sample {
    /// Whether decoding can begin here.
    pub fn is_sync(&self) -> bool {
        self.flags & IS_NOT_SYNC == 0
    }
}

/// One track of media.
#[derive(Debug)]
pub struct Source {
    /// Where it came from, for messages.
    pub path: PathBuf,
    /// `ftyp` and `moov`, as they were.
    pub init: Vec<u8>,
    /// The track's id.
    pub track: u32,
    /// Ticks a second.
    pub timescale: u32,
    /// Whether it is heard and not seen.
    pub is_audio: bool,
    /// All samples, in the order in which they are decoded.
    pub samples: Vec<Sample>,
    /// The index of each chunk's first sample.
    pub chunk_starts: Vec<usize>,
    /// The bytes that samples are in.
    pub media: Vec<u8>,
}

/// What samples have that do not say otherwise.
#[derive(Clone, Copy, Debug, Default)]
struct Defaults {
    description: u32,
    duration: u32,
    size: u32,
    flags: u32,
}

impl Source {
    /// Reads a file, or a folder's files. The error names the path.
    pub fn open(path: &Path) -> Result<Self, String> {
        let in_path = |error: String| format!("{}: {error}", path.display());
        let mut media = Vec::new();
        let mut starts = Vec::new();
        for file in files(path).map_err(in_path)? {
            let bytes = fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
            if (media.len() + bytes.len()) as u64 > SOURCE_SIZE_MAX {
                return Err(in_path("more than 1 GiB: take a shorter piece".to_owned()));
            }
            starts.push(media.len());
            media.extend(bytes);
        }
        Self::parse(path, media, &starts).map_err(in_path)
    }

    /// From the bytes of files that lie one after the other and begin at `starts`.
    fn parse(path: &Path, media: Vec<u8>, starts: &[usize]) -> Result<Self, String> {
        let mut init = Vec::new();
        let mut header = None;
        let mut reading = Reading { file_start: 0, media: &media, samples: Vec::new(), time: 0 };
        let mut chunk_starts = Vec::new();
        for found in boxes(&media) {
            let found = found?;
            if starts.contains(&found.start) {
                reading.file_start = found.start;
            }
            match &found.kind {
                b"ftyp" if header.is_none() => init.extend(found.whole),
                b"moov" if header.is_some() => {
                    return Err("a second header: give every rendition its own --source".to_owned());
                }
                b"moov" => {
                    init.extend(found.whole);
                    header = Some(Header::read(found.body)?);
                }
                b"moof" => {
                    let header = header.as_ref().ok_or("media before the header ('moov')")?;
                    chunk_starts.push(reading.samples.len());
                    reading.fragment(&found, header)?;
                }
                _ => {}
            }
        }
        let header = header.ok_or("no header ('moov'): not an MP4 file")?;
        let samples = reading.samples;
        if samples.is_empty() {
            return Err("no fragments ('moof'): write it with ffmpeg's -movflags \
                 +frag_keyframe+empty_moov+default_base_moof"
                .to_owned());
        }
        let Header { track, timescale, is_audio, .. } = header;
        let path = path.to_owned();
        Ok(Self { path, init, track, timescale, is_audio, samples, chunk_starts, media })
    }
}

/// The file itself; or those of a folder, the init segment first and then by number.
fn files(path: &Path) -> Result<Vec<PathBuf>, String> {
    const ENDS: &[&str] = &["mp4", "m4s", "cmfv", "cmfa", "m4v", "m4a", "init"];
    let metadata = fs::metadata(path).map_err(|error| error.to_string())?;
    if !metadata.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(|error| error.to_string())? {
        let file = entry.map_err(|error| error.to_string())?.path();
        let end = file.extension().and_then(|end| end.to_str()).unwrap_or_default();
        if !ENDS.contains(&end) {
            continue;
        }
        let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let is_media = end != "init" && !stem.contains("init");
        let digits = stem.len() - stem.trim_end_matches(|c: char| c.is_ascii_digit()).len();
        let number: u64 = stem[stem.len() - digits..].parse().unwrap_or_default();
        files.push((is_media, number, file));
    }
    files.sort();
    if files.is_empty() {
        return Err(format!("no media in this folder ({})", ENDS.join(", ")));
    }
    Ok(files.into_iter().map(|(_, _, file)| file).collect())
}

/// What the header says of the track.
#[derive(Debug)]
struct Header {
    track: u32,
    timescale: u32,
    is_audio: bool,
    defaults: Defaults,
}

impl Header {
    fn read(moov: &[u8]) -> Result<Self, String> {
        let track = boxes::one(moov, b"trak").map_err(|error| {
            format!("{error}: every rendition is one track (ffmpeg's -map chooses it)")
        })?;
        let mut fields = Fields::new(boxes::one(track.body, b"tkhd")?.body);
        let (version, _) = fields.version_and_flags()?;
        fields.skip(if version == 0 { 8 } else { 16 })?;
        let track_id = fields.u32()?;
        let media = boxes::one(track.body, b"mdia")?.body;
        let mut fields = Fields::new(boxes::one(media, b"mdhd")?.body);
        let (version, _) = fields.version_and_flags()?;
        fields.skip(if version == 0 { 8 } else { 16 })?;
        let timescale = fields.u32()?;
        if timescale == 0 {
            return Err("its time scale is 0".to_owned());
        }
        let mut fields = Fields::new(boxes::one(media, b"hdlr")?.body);
        fields.skip(8)?;
        let is_audio = fields.u32()?.to_be_bytes() == *b"soun";
        let extends = boxes::one(moov, b"mvex").map_err(|_| "not fragmented: no 'mvex' box")?;
        let mut fields = Fields::new(boxes::one(extends.body, b"trex")?.body);
        fields.skip(8)?;
        let defaults = Defaults {
            description: fields.u32()?,
            duration: fields.u32()?,
            size: fields.u32()?,
            flags: fields.u32()?,
        };
        Ok(Self { track: track_id, timescale, is_audio, defaults })
    }
}

/// The samples so far.
struct Reading<'a> {
    /// Where the file begins that is being read: offsets in it count from there.
    file_start: usize,
    media: &'a [u8],
    samples: Vec<Sample>,
    /// When the first sample is decoded, in ticks as in the file.
    time: u64,
}

impl Reading<'_> {
    fn fragment(&mut self, moof: &Boxed<'_>, header: &Header) -> Result<(), String> {
        let traf = boxes::one(moof.body, b"traf")?.body;
        for found in boxes(traf) {
            if matches!(&found?.kind, b"senc" | b"saiz" | b"saio") {
                return Err("it is encrypted, and chunks get new boxes without keys".to_owned());
            }
        }
        let mut fields = Fields::new(boxes::one(traf, b"tfhd")?.body);
        let (_, flags) = fields.version_and_flags()?;
        if fields.u32()? != header.track {
            return Err("a fragment of another track".to_owned());
        }
        let mut base = moof.start;
        if flags & 0x1 != 0 {
            let offset = usize::try_from(fields.u64()?).map_err(|_| "an offset is too large")?;
            base = self.file_start.saturating_add(offset);
        }
        let known = header.defaults;
        let defaults = Defaults {
            description: fields.u32_if(flags, 0x2)?.unwrap_or(known.description),
            duration: fields.u32_if(flags, 0x8)?.unwrap_or(known.duration),
            size: fields.u32_if(flags, 0x10)?.unwrap_or(known.size),
            flags: fields.u32_if(flags, 0x20)?.unwrap_or(known.flags),
        };
        if defaults.description != known.description {
            return Err("its sample description changes".to_owned());
        }
        let mut fields = Fields::new(boxes::one(traf, b"tfdt")?.body);
        let (version, _) = fields.version_and_flags()?;
        let time = if version == 0 { u64::from(fields.u32()?) } else { fields.u64()? };
        self.check_time(time, header.timescale)?;
        let mut at = base;
        for found in boxes(traf) {
            let found = found?;
            if found.kind == *b"trun" {
                at = self.run(found.body, base, at, defaults)?;
            }
        }
        Ok(())
    }

    /// A fragment begins where the one before it ended.
    fn check_time(&mut self, time: u64, timescale: u32) -> Result<(), String> {
        let Some(last) = self.samples.last() else {
            self.time = time;
            return Ok(());
        };
        let expected = self.time + last.time + u64::from(last.duration);
        if time != expected {
            let seconds = |ticks: u64| ticks as f64 / f64::from(timescale);
            let (end, next) = (seconds(expected), seconds(time));
            return Err(format!("media ends at {end:.3} s and goes on at {next:.3} s"));
        }
        Ok(())
    }

    /// Takes the samples of a `trun`; returns where their bytes end.
    fn run(
        &mut self,
        body: &[u8],
        base: usize,
        mut at: usize,
        defaults: Defaults,
    ) -> Result<usize, String> {
        let mut fields = Fields::new(body);
        let (_, flags) = fields.version_and_flags()?;
        let count = fields.u32()?;
        if let Some(offset) = fields.u32_if(flags, 0x1)? {
            let offset = offset.cast_signed() as isize;
            at =
                base.checked_add_signed(offset).ok_or("a run of samples begins before the file")?;
        }
        let first_flags = fields.u32_if(flags, 0x4)?;
        for index in 0..count {
            let duration = fields.u32_if(flags, 0x100)?.unwrap_or(defaults.duration);
            let size = fields.u32_if(flags, 0x200)?.unwrap_or(defaults.size) as usize;
            let own_flags = fields.u32_if(flags, 0x400)?;
            let offset = fields.u32_if(flags, 0x800)?.unwrap_or_default().cast_signed();
            let first_flags = first_flags.filter(|_| index == 0);
            let data = at..at.saturating_add(size);
            if duration == 0 || size == 0 || data.end > self.media.len() {
                return Err("a sample without duration or bytes, or past the end".to_owned());
            }
            at = data.end;
            let time = self.samples.last().map_or(0, |last| last.time + u64::from(last.duration));
            let flags = first_flags.or(own_flags).unwrap_or(defaults.flags);
            self.samples.push(Sample { data, time, duration, offset, flags });
        }
        Ok(at)
    }
}
