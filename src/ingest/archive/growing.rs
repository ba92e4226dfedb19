//! Chunks of segments that are not whole yet, where success must mean that media is durable.
//!
//! An hour of an archive has whole segments only, and a request may go on for days: so the chunks
//! of what is under way are put down beside it, each time that segments are made durable, and taken
//! again after a crash as if an encoder sent them. What is lost then is as much as came since.
//!
//! They go into files by turns, `<state>/growing/<channel>/0`, `1`, … A file goes when all segments
//! are durable of which something is in it; nothing is ever written over. Numbers are
//! little-endian, a text is its size in 2 bytes and its UTF-8.
//!
//! | file | |
//! |---|---|
//! | 8 | magic: `SCgrows2` |
//! | … | records, each behind its size (4) and its checksum (8, XXH3) |
//!
//! | record | |
//! |---|---|
//! | text, text | the path of the upload, the rendition |
//! | 8, 4 | the segment's number, which of its chunks this is |
//! | 2, 8 | the source, microseconds of Unix time at which it came |
//! | 1 | what follows: 0 a header, 1 times |
//! | … | header or times, the chunk |
//!
//! | header, of CMAF | |
//! |---|---|
//! | 16, 4 | its tag, its size: 0 if it is in this file already |
//! | … | the header |
//!
//! | times, of a transport stream, in its ticks | |
//! |---|---|
//! | 4, 8, 8 | the leading stream, its decoding time and its duration |
//! | 8, 4, 1 | when it is presented, how many access units, whether decoding can begin with it |

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use crate::config::{CHUNK_SIZE_MAX, GROWING_FILE_SIZE, GROWING_FILES_MAX, HEADER_SIZE_MAX};
use crate::library::DiskError;
use crate::library::disk::Disk;
use crate::library::write::write_whole;
use crate::live::boxes::chunk::Run;
use crate::units::{ETag, KIB};

const MAGIC: &[u8; 8] = b"SCgrows2";

/// What follows in a record.
const HEADER: u8 = 0;
const TIMES: u8 = 1;

/// Size and checksum before a record.
const HEAD_SIZE: usize = 12;

/// Largest such file that is read: it was below its size before the last record.
const READ_SIZE_MAX: usize =
    GROWING_FILE_SIZE + CHUNK_SIZE_MAX + HEADER_SIZE_MAX + 128 * KIB + HEAD_SIZE;

/// A chunk that was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grown {
    /// Where its header was sent to.
    pub path: Arc<str>,
    /// Its rendition.
    pub rendition: Arc<str>,
    /// Its segment.
    pub number: i64,
    /// Which of the segment's chunks it is, counted from 0.
    pub index: u32,
    /// Which source sent it.
    pub source: u16,
    /// When it came, in microseconds of Unix time.
    pub micros: i64,
    /// What it takes to read it again.
    pub key: Key,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// What it takes to read a chunk without what came before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// The header of CMAF, and its tag.
    Header(ETag, Arc<[u8]>),
    /// When it is, of a transport stream. What that is its packets say.
    Times(Run),
}

/// A number of each rendition.
type Numbers = HashMap<Arc<str>, i64>;

/// The files of a channel.
#[derive(Debug)]
pub struct Growing<'d, D: Disk> {
    disk: &'d D,
    folder: PathBuf,
    /// By their numbers: of each rendition the newest segment of which something is in it.
    files: BTreeMap<u64, Numbers>,
    open: Option<Open<D>>,
    next: u64,
    /// Of each rendition, up to where all is durable that can be.
    settled: Numbers,
}

/// The file that is written.
#[derive(Debug)]
struct Open<D: Disk> {
    file: D::File,
    number: u64,
    size: usize,
    headers: HashSet<(Arc<str>, [u8; 16])>,
}

impl<'d, D: Disk> Growing<'d, D> {
    /// With what is there in the folder; gives those chunks that lie above the last number that is
    /// kept of their rendition, in the order in which they came, as far as none is missing.
    ///
    /// # Errors
    /// If the folder can't be read.
    pub fn recovered(
        disk: &'d D,
        folder: PathBuf,
        kept: impl Fn(&str) -> Option<i64>,
    ) -> Result<(Self, Vec<Grown>), DiskError> {
        let names = disk.names(&folder).map_err(DiskError::of("reading", &folder))?;
        let numbers = names.iter().filter_map(|name| name.to_str()?.parse::<u64>().ok());
        let mut files = BTreeMap::new();
        let mut chunks = Vec::new();
        for number in BTreeSet::from_iter(numbers) {
            let path = folder.join(number.to_string());
            let bytes =
                disk.read(&path, 0, READ_SIZE_MAX).map_err(DiskError::of("reading", &path))?;
            let newest: &mut Numbers = files.entry(number).or_default();
            for chunk in records(&bytes) {
                raise(newest, &chunk.rendition, chunk.number);
                chunks.push(chunk);
            }
        }
        let mut next_index = HashMap::new();
        chunks.retain(|chunk| {
            let next = next_index.entry((Arc::clone(&chunk.rendition), chunk.number)).or_insert(0);
            let is_wanted = kept(&chunk.rendition).is_none_or(|kept| chunk.number > kept)
                && chunk.index == *next;
            *next += u32::from(is_wanted);
            is_wanted
        });
        let next = files.last_key_value().map_or(0, |(number, _)| number + 1);
        let settled = HashMap::new();
        let mut growing = Self { disk, folder, files, open: None, next, settled };
        let known: HashSet<_> = growing.files.values().flat_map(HashMap::keys).cloned().collect();
        for rendition in known {
            if let Some(kept) = kept(&rendition) {
                growing.settled.insert(rendition, kept);
            }
        }
        growing.remove_settled();
        Ok((growing, chunks))
    }

    /// Makes these chunks durable, as far as their segments are not settled.
    ///
    /// # Errors
    /// If the disk refuses. Another file is written the next time; of the segments of these chunks
    /// what came before them is what there is.
    pub fn append(&mut self, chunks: &[Grown]) -> Result<(), DiskError> {
        let is_settled = |chunk: &&Grown| {
            self.settled.get(&chunk.rendition).is_some_and(|until| chunk.number <= *until)
        };
        let chunks: Vec<_> = chunks.iter().filter(|chunk| !is_settled(chunk)).collect();
        if chunks.is_empty() {
            return Ok(());
        }
        let result = self.try_append(&chunks);
        if result.is_err() {
            self.open = None;
        }
        result
    }

    fn try_append(&mut self, chunks: &[&Grown]) -> Result<(), DiskError> {
        for chunk in chunks {
            if self.open.as_ref().is_some_and(|open| open.size >= GROWING_FILE_SIZE) {
                self.sync()?;
                self.open = None;
            }
            if self.open.is_none() {
                self.begin()?;
            }
            let open = self.open.as_mut().expect("it was just begun");
            let path = self.folder.join(open.number.to_string());
            let is_new = match &chunk.key {
                Key::Header(tag, _) => open.headers.insert((Arc::clone(&chunk.rendition), tag.0)),
                Key::Times(_) => false,
            };
            let record = record(chunk, is_new);
            let mut head = u32::try_from(record.len()).unwrap_or(u32::MAX).to_le_bytes().to_vec();
            head.extend(xxh3_64(&record).to_le_bytes());
            for bytes in [&head, &record] {
                let written = write_whole(self.disk, &mut open.file, bytes);
                written.map_err(DiskError::of("writing", &path))?;
                open.size += bytes.len();
            }
            let newest = self.files.entry(open.number).or_default();
            raise(newest, &chunk.rendition, chunk.number);
        }
        self.sync()
    }

    fn begin(&mut self) -> Result<(), DiskError> {
        while self.files.len() >= GROWING_FILES_MAX {
            let Some((oldest, _)) = self.files.pop_first() else { break };
            self.remove(oldest);
        }
        let number = self.next;
        let path = self.folder.join(number.to_string());
        // One that can't be begun is not tried again: something of it may be there.
        self.next += 1;
        let mut file = self.disk.create(&path).map_err(DiskError::of("creating", &path))?;
        self.files.insert(number, HashMap::new());
        write_whole(self.disk, &mut file, MAGIC).map_err(DiskError::of("writing", &path))?;
        let synced = self.disk.sync_folder(&self.folder);
        synced.map_err(DiskError::of("syncing", &self.folder))?;
        self.open = Some(Open { file, number, size: MAGIC.len(), headers: HashSet::new() });
        Ok(())
    }

    fn sync(&mut self) -> Result<(), DiskError> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let path = self.folder.join(open.number.to_string());
        self.disk.sync(&mut open.file).map_err(DiskError::of("syncing", &path))
    }

    /// All is done for a rendition's segments up to this number.
    pub fn settle(&mut self, rendition: &Arc<str>, number: i64) {
        raise(&mut self.settled, rendition, number);
    }

    /// Removes files that nothing is needed of.
    pub fn remove_settled(&mut self) {
        let open = self.open.as_ref().map(|open| open.number);
        let settled = &self.settled;
        let is_done = |newest: &Numbers| {
            newest.iter().all(|(of, number)| settled.get(of).is_some_and(|until| until >= number))
        };
        let done = self.files.iter().filter(|(at, newest)| Some(**at) != open && is_done(newest));
        for number in done.map(|(number, _)| *number).collect::<Vec<_>>() {
            self.files.remove(&number);
            self.remove(number);
        }
    }

    /// One that stays is read after the next start, and nothing of it is wanted.
    fn remove(&self, number: u64) {
        let path = self.folder.join(number.to_string());
        if let Err(error) = self.disk.remove(&path) {
            tracing::warn!("removing {}: {error}", path.display());
        }
    }
}

/// A rendition's number is this one, unless it is greater already.
fn raise(numbers: &mut Numbers, rendition: &Arc<str>, number: i64) {
    let known = numbers.entry(Arc::clone(rendition)).or_insert(number);
    *known = number.max(*known);
}

/// Removes all files of a folder that there may be: nothing of them is wanted.
///
/// # Errors
/// If the disk refuses.
pub fn clear<D: Disk>(disk: &D, folder: &Path) -> Result<(), DiskError> {
    let names = match disk.names(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        names => names.map_err(DiskError::of("reading", folder))?,
    };
    for name in names {
        let path = folder.join(name);
        disk.remove(&path).map_err(DiskError::of("removing", &path))?;
    }
    Ok(())
}

fn record(chunk: &Grown, with_header: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(256 + chunk.bytes.len());
    for text in [&chunk.path, &chunk.rendition] {
        out.extend(u16::try_from(text.len()).unwrap_or(u16::MAX).to_le_bytes());
        out.extend_from_slice(text.as_bytes());
    }
    out.extend(chunk.number.to_le_bytes());
    out.extend(chunk.index.to_le_bytes());
    out.extend(chunk.source.to_le_bytes());
    out.extend(chunk.micros.to_le_bytes());
    match &chunk.key {
        Key::Header(tag, header) => {
            let header = if with_header { &header[..] } else { &[] };
            out.push(HEADER);
            out.extend(tag.0);
            out.extend(u32::try_from(header.len()).unwrap_or(u32::MAX).to_le_bytes());
            out.extend_from_slice(header);
        }
        Key::Times(run) => {
            out.push(TIMES);
            out.extend(run.track.to_le_bytes());
            out.extend(run.decode_time.to_le_bytes());
            out.extend(run.duration.to_le_bytes());
            out.extend(run.presentation_time.to_le_bytes());
            out.extend(run.samples.to_le_bytes());
            out.push(u8::from(run.independent));
        }
    }
    out.extend_from_slice(&chunk.bytes);
    out
}

/// The records of a file, up to the first that is not whole.
fn records(bytes: &[u8]) -> Vec<Grown> {
    let mut headers = Headers::new();
    let mut chunks = Vec::new();
    let mut rest = Input(bytes.strip_prefix(MAGIC).unwrap_or_default());
    while let Some(chunk) = rest.record().and_then(|record| Input(record).chunk(&mut headers)) {
        chunks.push(chunk);
    }
    chunks
}

/// Headers of a file, by rendition and tag.
type Headers = HashMap<(Arc<str>, [u8; 16]), Arc<[u8]>>;

/// What is still to be read.
struct Input<'b>(&'b [u8]);

impl<'b> Input<'b> {
    fn bytes(&mut self, size: usize) -> Option<&'b [u8]> {
        let (bytes, rest) = self.0.split_at_checked(size)?;
        self.0 = rest;
        Some(bytes)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.try_into().ok()
    }

    fn size(&mut self) -> Option<usize> {
        usize::try_from(u32::from_le_bytes(self.array()?)).ok()
    }

    fn text(&mut self) -> Option<Arc<str>> {
        let size = u16::from_le_bytes(self.array()?);
        Some(str::from_utf8(self.bytes(size.into())?).ok()?.into())
    }

    fn record(&mut self) -> Option<&'b [u8]> {
        let (size, sum) = (self.size()?, u64::from_le_bytes(self.array()?));
        self.bytes(size).filter(|record| xxh3_64(record) == sum)
    }

    fn chunk(mut self, headers: &mut Headers) -> Option<Grown> {
        let (path, rendition) = (self.text()?, self.text()?);
        let number = i64::from_le_bytes(self.array()?);
        let index = u32::from_le_bytes(self.array()?);
        let source = u16::from_le_bytes(self.array()?);
        let micros = i64::from_le_bytes(self.array()?);
        let key = match self.array()? {
            [HEADER] => self.header(&rendition, headers)?,
            [TIMES] => Key::Times(self.times()?),
            _ => return None,
        };
        let bytes = self.0.to_vec();
        Some(Grown { path, rendition, number, index, source, micros, key, bytes })
    }

    fn header(&mut self, rendition: &Arc<str>, headers: &mut Headers) -> Option<Key> {
        let tag = ETag(self.array()?);
        let size = self.size()?;
        let header = self.bytes(size)?;
        let of = (Arc::clone(rendition), tag.0);
        if !header.is_empty() {
            headers.insert(of.clone(), header.into());
        }
        Some(Key::Header(tag, Arc::clone(headers.get(&of)?)))
    }

    /// Of a chunk that is all that is left.
    fn times(&mut self) -> Option<Run> {
        Some(Run {
            track: u32::from_le_bytes(self.array()?),
            decode_time: u64::from_le_bytes(self.array()?),
            duration: u64::from_le_bytes(self.array()?),
            presentation_time: i64::from_le_bytes(self.array()?),
            samples: u32::from_le_bytes(self.array()?),
            independent: self.array()? == [1],
            size: self.0.len() as u64,
            first_end: 0,
        })
    }
}

#[cfg(test)]
mod tests;
