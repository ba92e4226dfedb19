//! The XML of a file, in whatever it is packed: what that is says the file, not its name.
//!
//! A stream: nothing is unpacked that is not read next. How much comes out has a limit, and so has
//! how much more comes out than went in.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;
use lzma_rust2::XzReader;

use super::zip;
use crate::config::guide::{GUIDE_DICTIONARY_SIZE_MAX, GUIDE_RATIO_FROM, GUIDE_RATIO_MAX};
use crate::units::KIB;

/// How far a file is read, for whoever waits for it.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// Bytes of it that were read,
    pub read: Arc<AtomicU64>,
    /// and how many there are.
    pub size: Arc<AtomicU64>,
}

/// A file whose bytes are counted as they are read.
struct Counted {
    file: File,
    progress: Progress,
}

impl Read for Counted {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let size = self.file.read(to)?;
        self.progress.read.fetch_add(size as u64, Ordering::Relaxed);
        Ok(size)
    }
}

impl Seek for Counted {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

/// What is unpacked, with its limits.
pub struct Unpacked {
    from: Box<dyn Read>,
    progress: Progress,
    size: u64,
    size_max: u64,
}

/// Opens a file.
///
/// # Errors
///
/// It can't be read, or is packed in a way that is not read here.
pub fn opened(path: &Path, size_max: u64, progress: &Progress) -> io::Result<Unpacked> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    progress.size.store(size, Ordering::Relaxed);
    progress.read.store(0, Ordering::Relaxed);
    let mut magic = Vec::new();
    file.by_ref().take(6).read_to_end(&mut magic)?;
    file.rewind()?;
    let file = Counted { file, progress: progress.clone() };
    let from: Box<dyn Read> = match magic.as_slice() {
        [0x1f, 0x8b, ..] => Box::new(MultiGzDecoder::new(buffered(file))),
        [0xfd, b'7', b'z', b'X', b'Z', 0] => {
            let most = GUIDE_DICTIONARY_SIZE_MAX / KIB as u32 + 1024;
            Box::new(XzReader::new_mem_limit(buffered(file), true, most))
        }
        [b'P', b'K', 3 | 5, ..] => Box::new(zip::opened(file)?),
        [b'B', b'Z', b'h', ..] | [0x28, 0xb5, 0x2f, 0xfd, ..] | [b'7', b'z', 0xbc, 0xaf, ..] => {
            let why = "it is packed in a way that is not read (write it as .gz, .xz or .zip)";
            return Err(io::Error::new(io::ErrorKind::Unsupported, why));
        }
        _ => Box::new(buffered(file)),
    };
    Ok(Unpacked { from, progress: progress.clone(), size: 0, size_max })
}

fn buffered(file: Counted) -> BufReader<Counted> {
    BufReader::with_capacity(64 * KIB, file)
}

impl Unpacked {
    /// Bytes that came out so far.
    fn count(&mut self, size: usize) -> io::Result<()> {
        self.size += size as u64;
        let refused = |why: String| Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
        if self.size > self.size_max {
            let most = self.size_max;
            return refused(format!("it is more than {most} bytes of XML (guide.unpacked_max)"));
        }
        let packed = self.progress.read.load(Ordering::Relaxed);
        if self.size > GUIDE_RATIO_FROM && self.size / GUIDE_RATIO_MAX > packed {
            return refused(format!(
                "{packed} bytes became {} when they were unpacked: that is no guide",
                self.size
            ));
        }
        Ok(())
    }
}

impl Read for Unpacked {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let size = self.from.read(to)?;
        self.count(size)?;
        Ok(size)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gz(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::new(6));
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn read(bytes: &[u8], most: u64) -> Result<Vec<u8>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("guide");
        std::fs::write(&path, bytes).unwrap();
        let mut out = Vec::new();
        let unpacked = opened(&path, most, &Progress::default());
        let read = unpacked.and_then(|mut unpacked| unpacked.read_to_end(&mut out));
        read.map(|_| out).map_err(|error| error.to_string())
    }

    /// What a tool of the system makes of these bytes.
    fn by(tool: &str, arguments: &[&str], bytes: &[u8]) -> Vec<u8> {
        let mut child = Command::new(tool)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut input, bytes) = (child.stdin.take().unwrap(), bytes.to_vec());
        let writing = std::thread::spawn(move || input.write_all(&bytes));
        let out = child.wait_with_output().unwrap().stdout;
        writing.join().unwrap().unwrap();
        out
    }

    /// A zip file of one entry.
    fn zip(name: &str, plain: &[u8], is_stored: bool) -> Vec<u8> {
        let mut deflate = flate2::write::DeflateEncoder::new(Vec::new(), Compression::new(6));
        deflate.write_all(plain).unwrap();
        let packed = if is_stored { plain.to_vec() } else { deflate.finish().unwrap() };
        let crc = {
            let mut hasher = crc32fast::Hasher::new();
            hasher.update(plain);
            hasher.finalize()
        };
        let method: u16 = if is_stored { 0 } else { 8 };
        let mut middle = vec![20, 0, 0, 0];
        middle.extend(method.to_le_bytes());
        middle.extend([0; 4]);
        middle.extend(crc.to_le_bytes());
        middle.extend(u32::try_from(packed.len()).unwrap().to_le_bytes());
        middle.extend(u32::try_from(plain.len()).unwrap().to_le_bytes());
        middle.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
        middle.extend([0, 0]);
        let mut file = b"PK\x03\x04".to_vec();
        file.extend(&middle);
        file.extend(name.as_bytes());
        file.extend(&packed);
        let list = u32::try_from(file.len()).unwrap();
        file.extend(b"PK\x01\x02\x14\x00");
        file.extend(&middle);
        file.extend([0; 14]);
        file.extend(name.as_bytes());
        let size = u32::try_from(file.len()).unwrap() - list;
        file.extend(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
        file.extend(size.to_le_bytes());
        file.extend(list.to_le_bytes());
        file.extend([0, 0]);
        file
    }

    #[test]
    fn a_guide_is_read_in_whatever_it_is_packed() {
        let plain = b"<tv>a guide</tv>".repeat(10_000);
        let twice = [plain.as_slice(), &plain].concat();
        for (packed, expected) in [
            (plain.clone(), &plain),
            (gz(&plain), &plain),
            ([gz(&plain), gz(&plain)].concat(), &twice),
            (by("xz", &["-c", "-6"], &plain), &plain),
            (by("xz", &["-c", "-9", "--check=sha256"], &plain), &plain),
            (zip("a/guide.XML", &plain, false), &plain),
            (zip("guide", &plain, true), &plain),
        ] {
            assert!(read(&packed, 1 << 30).unwrap() == *expected, "{:?}", &packed[..6]);
        }
        assert_eq!(read(b"", 10).unwrap(), b"");
    }

    #[test]
    fn what_is_damaged_encrypted_or_of_another_kind_is_refused() {
        let plain = b"<tv>a guide</tv>".repeat(10_000);
        let cut = |bytes: Vec<u8>| bytes[..bytes.len() - 8].to_vec();
        let mut other = zip("guide.xml", &plain, true);
        other[100] ^= 1;
        let mut encrypted = zip("guide.xml", &plain, false);
        let list = encrypted.windows(4).rposition(|four| four == b"PK\x01\x02").unwrap();
        encrypted[list + 8] |= 1;
        for (packed, why) in [
            (cut(gz(&plain)), ""),
            (cut(by("xz", &["-c"], &plain)), ""),
            (zip("guide.xml", &plain, false)[..200].to_vec(), "no list of its entries"),
            (other, "checksum"),
            (encrypted, "encrypted"),
            (b"BZh91AY&SY".to_vec(), "not read"),
            (b"PK\x05\x06".to_vec(), "cut off"),
        ] {
            let refused = read(&packed, 1 << 30).unwrap_err();
            assert!(refused.contains(why), "{refused}");
        }
    }

    #[test]
    fn bombs_are_refused_by_their_ratio_and_by_their_size() {
        let nothing = vec![b' '; 64 << 20];
        assert!(read(&gz(&nothing), 1 << 30).unwrap_err().contains("that is no guide"));
        let xz = by("xz", &["-c", "-1"], &nothing);
        assert!(read(&xz, 1 << 30).unwrap_err().contains("that is no guide"));
        assert!(read(&zip("a.xml", &nothing, false), 1 << 30).unwrap_err().contains("no guide"));
        assert!(read(&nothing, 1000).unwrap_err().contains("more than 1000 bytes of XML"));
        // A dictionary of a gigabyte is not allocated because a file says so.
        let large = by("xz", &["-c", "--lzma2=dict=1GiB"], b"<tv/>");
        assert!(read(&large, 1 << 30).unwrap_err().contains("memory"));
    }
}
