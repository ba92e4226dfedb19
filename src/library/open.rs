//! Opening a pack: header, trailer and index are read to the heap and checked, no payload page.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use super::error::DiskError;
use crate::pack::header::{Trailer, check_header};
use crate::pack::index::PackIndex;
use crate::pack::{HEADER_SIZE, PackError, TRAILER_SIZE};

/// A pack that was opened and checked.
#[derive(Debug)]
pub struct OpenPack {
    /// Open for reading.
    pub file: File,
    /// Its size, in bytes.
    pub size: u64,
    /// Where the index begins: the end of the payloads.
    pub payload_end: u64,
    /// Its index.
    pub index: PackIndex,
}

/// Why a file could not be opened as a pack.
#[derive(Debug)]
pub enum OpenError {
    /// The disk, or the lack of something.
    Io(io::Error),
    /// The bytes.
    Pack(PackError),
}

impl OpenError {
    /// With the path of the pack.
    pub(super) fn of(self, path: &Path) -> DiskError {
        match self {
            Self::Io(error) => DiskError::new("reading", path, error),
            Self::Pack(error) => DiskError::pack(path, &error),
        }
    }
}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<PackError> for OpenError {
    fn from(error: PackError) -> Self {
        Self::Pack(error)
    }
}

/// Reads and checks everything of a pack but its payloads.
///
/// # Errors
/// If it can't be read, or is not a good pack.
pub fn open_pack(file: File) -> Result<OpenPack, OpenError> {
    let size = file.metadata()?.len();
    let (index, payload_end) = index_of(size, |into, at, part| read_at(&file, into, at, part))?;
    Ok(OpenPack { file, size, payload_end, index })
}

/// The checked index of a pack of this size, and where its payloads end. `read` fills what it is
/// given with the bytes from an offset on, which are this part of the pack.
pub(super) fn index_of(
    size: u64,
    read: impl Fn(&mut [u8], u64, &'static str) -> Result<(), OpenError>,
) -> Result<(PackIndex, u64), OpenError> {
    if size < (HEADER_SIZE + TRAILER_SIZE) as u64 {
        return Err(PackError::TooShort { size }.into());
    }
    let mut header = Box::new([0; HEADER_SIZE]);
    read(&mut header[..], 0, "header")?;
    let kind = check_header(&header)?;
    let mut trailer = [0; TRAILER_SIZE];
    read(&mut trailer, size - TRAILER_SIZE as u64, "trailer")?;
    let trailer = Trailer::check(&trailer, kind, size)?;
    let mut data = allocate(PackIndex::allocation_size(&trailer))?;
    let index_size = usize::try_from(trailer.index_size).expect("checked against a limit");
    read(&mut data[..index_size], trailer.index_offset, "index")?;
    Ok((PackIndex::verified(&trailer, data)?, trailer.index_offset))
}

/// Opens a file for reading. A FIFO must not block us, so it is opened without waiting, and refused
/// by whoever looks into it.
pub(super) fn open_file(path: &Path) -> io::Result<File> {
    File::options().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)
}

/// Opens a pack by its path.
///
/// # Errors
/// With the path and the reason.
pub fn open_path(path: &Path) -> Result<OpenPack, DiskError> {
    let file = open_file(path).map_err(DiskError::of("opening", path))?;
    let metadata = file.metadata().map_err(DiskError::of("reading", path))?;
    if !metadata.is_file() {
        return Err(DiskError::new("opening", path, "it is not a regular file"));
    }
    open_pack(file).map_err(|error| error.of(path))
}

/// A file that shrinks between two reads ends early: that is the pack's fault, not the disk's.
fn read_at(file: &File, into: &mut [u8], at: u64, part: &'static str) -> Result<(), OpenError> {
    file.read_exact_at(into, at).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => PackError::Damaged { part }.into(),
        _ => OpenError::Io(error),
    })
}

/// Zeroed memory, or ENOMEM as an error: what a large pack needs may not be there.
fn allocate(size: usize) -> io::Result<Box<[u8]>> {
    let mut data = Vec::new();
    data.try_reserve_exact(size).map_err(|_| io::Error::from_raw_os_error(libc::ENOMEM))?;
    data.resize(size, 0);
    Ok(data.into_boxed_slice())
}
