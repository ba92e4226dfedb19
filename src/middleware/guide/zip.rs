//! The guide within a zip file: which entry, and its bytes as a stream.
//!
//! Only what guides are packed with is read: one file of XML, stored or deflated. What is
//! encrypted, split, or larger than 4 GiB is refused.

use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

use crc32fast::Hasher;
use flate2::bufread::DeflateDecoder;

/// What the list of entries ends with, and how far from the end that may begin.
const END: u32 = 0x0605_4b50;
const END_SIZE: usize = 22;
const END_WITHIN: u64 = END_SIZE as u64 + 0xffff;
/// An entry of the list, and the same before its bytes.
const ENTRY: u32 = 0x0201_4b50;
const LOCAL: u32 = 0x0403_4b50;

/// Entries that are looked at.
const ENTRIES_MAX: usize = 1000;

fn wrong(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the zip file {why}"))
}

fn short(bytes: &[u8], at: usize) -> io::Result<u16> {
    let bytes = bytes.get(at..at + 2).ok_or_else(|| wrong("is cut off"))?;
    Ok(u16::from_le_bytes([bytes[0], bytes[1]]))
}

fn long(bytes: &[u8], at: usize) -> io::Result<u32> {
    Ok(u32::from(short(bytes, at)?) | u32::from(short(bytes, at + 2)?) << 16)
}

/// An entry of the list.
#[derive(Debug)]
struct Entry {
    name: Vec<u8>,
    flags: u16,
    method: u16,
    crc: u32,
    packed_size: u32,
    offset: u32,
}

/// The bytes of the guide in it.
///
/// # Errors
///
/// It is no zip file, or one that is not read here.
pub fn opened(mut file: impl Read + Seek + 'static) -> io::Result<Box<dyn BufRead>> {
    let entry = chosen(entries(&mut file)?)?;
    if entry.flags & 1 != 0 {
        return Err(wrong("is encrypted"));
    }
    if entry.packed_size == u32::MAX || entry.offset == u32::MAX {
        return Err(wrong("is larger than 4 GiB"));
    }
    file.seek(SeekFrom::Start(entry.offset.into()))?;
    let mut head = [0; 30];
    file.read_exact(&mut head)?;
    if long(&head, 0)? != LOCAL {
        return Err(wrong("lists an entry that is not there"));
    }
    let beside = i64::from(short(&head, 26)?) + i64::from(short(&head, 28)?);
    file.seek(SeekFrom::Current(beside))?;
    let packed = BufReader::with_capacity(64 * 1024, file.take(entry.packed_size.into()));
    let crc = entry.crc;
    match entry.method {
        0 => Ok(Box::new(BufReader::new(Whole { from: packed, hasher: Hasher::new(), crc }))),
        8 => {
            let from = DeflateDecoder::new(packed);
            Ok(Box::new(BufReader::new(Whole { from, hasher: Hasher::new(), crc })))
        }
        _ => Err(wrong("is packed in a way that is not read (write it with deflate)")),
    }
}

fn entries(file: &mut (impl Read + Seek)) -> io::Result<Vec<Entry>> {
    let size = file.seek(SeekFrom::End(0))?;
    let from = size.saturating_sub(END_WITHIN);
    file.seek(SeekFrom::Start(from))?;
    let mut tail = Vec::new();
    file.take(END_WITHIN).read_to_end(&mut tail)?;
    let is_end = |at: &usize| long(&tail, *at).is_ok_and(|word| word == END);
    let last = tail.len().checked_sub(END_SIZE).ok_or_else(|| wrong("is cut off"))?;
    let end = (0..=last).rev().find(is_end).ok_or_else(|| wrong("has no list of its entries"))?;
    let count = usize::from(short(&tail, end + 10)?).min(ENTRIES_MAX);
    file.seek(SeekFrom::Start(long(&tail, end + 16)?.into()))?;
    let mut list = BufReader::new(file);
    let mut entries = Vec::new();
    for _ in 0..count {
        let mut head = [0; 46];
        list.read_exact(&mut head)?;
        if long(&head, 0)? != ENTRY {
            return Err(wrong("has no list of its entries where it says"));
        }
        let mut name = vec![0; usize::from(short(&head, 28)?)];
        list.read_exact(&mut name)?;
        let beside = u64::from(short(&head, 30)?) + u64::from(short(&head, 32)?);
        io::copy(&mut list.by_ref().take(beside), &mut io::sink())?;
        entries.push(Entry {
            name,
            flags: short(&head, 8)?,
            method: short(&head, 10)?,
            crc: long(&head, 16)?,
            packed_size: long(&head, 20)?,
            offset: long(&head, 42)?,
        });
    }
    Ok(entries)
}

/// The first that is called a guide, or else the only one that is a file.
fn chosen(mut entries: Vec<Entry>) -> io::Result<Entry> {
    entries.retain(|entry| !entry.name.ends_with(b"/"));
    let is_guide = |entry: &Entry| {
        let name = entry.name.to_ascii_lowercase();
        name.ends_with(b".xml") || name.ends_with(b".xmltv")
    };
    let at = match entries.iter().position(is_guide) {
        Some(at) => at,
        None if entries.len() == 1 => 0,
        None => return Err(wrong("holds no file that is called .xml")),
    };
    Ok(entries.swap_remove(at))
}

/// Bytes that must be what they were when they were packed.
struct Whole<R> {
    from: R,
    hasher: Hasher,
    crc: u32,
}

impl<R: Read> Read for Whole<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let size = self.from.read(to)?;
        self.hasher.update(&to[..size]);
        if size == 0 && !to.is_empty() && self.hasher.clone().finalize() != self.crc {
            return Err(wrong("is damaged: its checksum is another"));
        }
        Ok(size)
    }
}
