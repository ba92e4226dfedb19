//! A channel's archive on disk: a folder of hours, the newest of them open.
//!
//! An hour is `2026-11-26T07-0.pack`, or while it is written what `archive` makes of that name. The
//! last number tells files of one hour apart, where one of them could not be gone on with. What the
//! objects are, and which hours go, is the caller's business.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::archive::{self, Archive, Label, Recovered};
use super::disk::Disk;
use super::error::DiskError;
use super::open;
use crate::pack::PackError;
use crate::pack::index::PackIndex;
use crate::pack::writer::Object;
use crate::units::{Extent, civil};

/// How the paths of records begin: of what each commit added. A record is the last object of its
/// commit, and a commit without it is none.
pub const RECORD: &str = ".record/";
/// The path of the record of a whole hour, which is the last thing that is added to it.
pub const WHOLE_RECORD: &str = ".record/all";

/// Largest object that is read back, in bytes: the record of an hour of many renditions.
const RECORD_SIZE_MAX: u64 = 256 << 20;

/// An hour of an archive, in the order of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hour {
    /// Hours since 1970.
    pub since_1970: u64,
    /// Tells several files of one hour apart.
    pub part: u32,
}

/// The hours of one channel.
#[derive(Debug)]
pub struct Hours<'d, D: Disk> {
    disk: &'d D,
    folder: PathBuf,
    open: Option<(Hour, Archive<'d, D>)>,
}

/// An hour that was there.
#[derive(Debug)]
pub struct Found {
    /// Which.
    pub hour: Hour,
    /// What is committed in it, if it is open.
    pub open: Option<Vec<Object>>,
    /// Its records, in the order of their commits; of a finished hour the whole one only.
    pub records: Vec<Vec<u8>>,
    /// Size of the payload, in bytes.
    pub size: u64,
}

impl fmt::Display for Hour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil(self.since_1970 / 24);
        let hour = self.since_1970 % 24;
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}-{}", self.part)
    }
}

impl Hour {
    /// From a file's name without its extension; the other way round of `Display`.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        let (date, rest) = name.split_once('T')?;
        let (hour, part) = rest.split_once('-')?;
        let mut date = date.split('-').map(|digits| digits.parse::<u64>().ok());
        let (year, month, day) = (date.next()??, date.next()??, date.next()??);
        let part = part.parse().ok()?;
        let hour: u64 = hour.parse().ok()?;
        if year > 9999 {
            return None;
        }
        // 366 days a year are a little late at most; the date goes back from there.
        let mut days = year.checked_sub(1970)?.checked_mul(366)?.checked_add(31 * month + day)?;
        while civil(days) > (year, month, day) {
            days -= 1;
        }
        let found = Self { since_1970: days * 24 + hour, part };
        (found.to_string() == name).then_some(found)
    }
}

impl<'d, D: Disk> Hours<'d, D> {
    /// In this folder, which is there.
    #[must_use]
    pub fn new(disk: &'d D, folder: PathBuf) -> Self {
        Self { disk, folder, open: None }
    }

    /// The hour that is open.
    #[must_use]
    pub fn open_hour(&self) -> Option<Hour> {
        self.open.as_ref().map(|(hour, _)| *hour)
    }

    /// The path of an hour's finished pack.
    #[must_use]
    pub fn pack(&self, hour: Hour) -> PathBuf {
        self.folder.join(format!("{hour}.pack"))
    }

    /// The path of an hour's payload as long as it is open.
    #[must_use]
    pub fn payload(&self, hour: Hour) -> PathBuf {
        self.pack(hour).with_extension("open")
    }

    /// Everything that there may be of an hour.
    #[must_use]
    pub fn files(&self, hour: Hour) -> Vec<PathBuf> {
        let pack = self.pack(hour);
        vec![self.payload(hour), pack.with_extension("open.journal"), pack]
    }

    /// The hours that are there, the oldest first.
    ///
    /// # Errors
    /// If the folder can't be read.
    pub fn there(&self) -> Result<Vec<Hour>, DiskError> {
        let names = self.disk.names(&self.folder);
        let names = names.map_err(DiskError::of("reading", &self.folder))?;
        let of = |name: &std::ffi::OsString| {
            let name = name.to_str()?;
            let endings = [".pack", ".open", ".open.journal"];
            endings.into_iter().find_map(|ending| Hour::of_name(name.strip_suffix(ending)?))
        };
        let mut hours: Vec<_> = names.iter().filter_map(of).collect();
        hours.sort_unstable();
        hours.dedup();
        Ok(hours)
    }

    /// Reads an hour that is there, and opens it if it is not finished: it is gone on with then.
    /// None if nothing of it was ever committed.
    ///
    /// # Errors
    /// If it is damaged, or the disk refuses.
    pub fn recover(&mut self, hour: Hour) -> Result<Option<Found>, DiskError> {
        // An earlier writer of ours would be in the way.
        self.open = self.open.take().filter(|(open, _)| *open != hour);
        let is_record = |object: &Object| object.path.starts_with(RECORD);
        match archive::recover_commits(self.disk, &self.pack(hour), is_record)? {
            Recovered::Nothing => Ok(None),
            Recovered::Finished => self.read_finished(hour).map(Some),
            Recovered::Open(archive, objects) => {
                let path = self.payload(hour);
                let records = objects
                    .iter()
                    .filter(|object| is_record(object))
                    .map(|object| {
                        let written = object.identity;
                        self.read(&path, written.variant.extent, written.crc)
                    })
                    .collect::<Result<_, _>>()?;
                let size = archive.size();
                self.open = Some((hour, archive));
                Ok(Some(Found { hour, open: Some(objects), records, size }))
            }
        }
    }

    fn read_finished(&self, hour: Hour) -> Result<Found, DiskError> {
        let path = self.pack(hour);
        let (index, size) = index_of(self.disk, &path)?;
        let mut found: Vec<_> = match index.find(WHOLE_RECORD.as_bytes()) {
            Some(whole) => vec![index.entry(whole)],
            None => index.entries().filter(|entry| entry.path.starts_with(RECORD)).collect(),
        };
        // In the order of their commits.
        found.sort_unstable_by_key(|entry| entry.identity.extent.offset);
        let records = found
            .into_iter()
            .map(|entry| self.read(&path, entry.identity.extent, entry.crc))
            .collect::<Result<_, _>>()?;
        Ok(Found { hour, open: None, records, size })
    }

    fn read(&self, path: &Path, extent: Extent, crc: u32) -> Result<Vec<u8>, DiskError> {
        if extent.size > RECORD_SIZE_MAX {
            return Err(DiskError::new("reading", path, "a record in it is too large"));
        }
        let size = usize::try_from(extent.size).expect("it is not larger than that");
        let bytes = self.disk.read(path, extent.offset, size);
        let bytes = bytes.map_err(DiskError::of("reading", path))?;
        if bytes.len() != size || crc32fast::hash(&bytes) != crc {
            return Err(DiskError::new("reading", path, "a record in it is damaged"));
        }
        Ok(bytes)
    }

    /// Begins an hour. The one that was open is not gone on with.
    ///
    /// # Errors
    /// If there is such an hour, or the disk refuses.
    pub fn begin(&mut self, hour: Hour) -> Result<(), DiskError> {
        self.open = None;
        let archive = Archive::create(self.disk, &self.pack(hour))?;
        self.open = Some((hour, archive));
        Ok(())
    }

    /// Appends to the hour that is open.
    ///
    /// # Errors
    /// If none is, or the disk refuses.
    pub fn append(&mut self, label: &Label<'_>, bytes: &[u8]) -> Result<(), DiskError> {
        self.writing()?.append(label, bytes, None)
    }

    /// Makes everything durable that was appended; gives it, and the size of the payload.
    ///
    /// # Errors
    /// If no hour is open, or the disk refuses.
    pub fn commit(&mut self) -> Result<(Vec<Object>, u64), DiskError> {
        let archive = self.writing()?;
        let objects = archive.commit()?;
        Ok((objects, archive.size()))
    }

    fn writing(&mut self) -> Result<&mut Archive<'d, D>, DiskError> {
        let folder = &self.folder;
        let none = || DiskError::new("writing to", folder, "no hour is open");
        self.open.as_mut().map(|(_, archive)| archive).ok_or_else(none)
    }

    /// Makes the open hour a pack; gives which it was.
    ///
    /// # Errors
    /// If the disk refuses. It is not open any more then, and can be recovered.
    pub fn finish(&mut self) -> Result<Option<Hour>, DiskError> {
        let Some((hour, archive)) = self.open.take() else { return Ok(None) };
        archive.finish()?;
        Ok(Some(hour))
    }

    /// The open hour is gone on with no more, for now.
    pub fn leave(&mut self) {
        self.open = None;
    }
}

/// The index of a finished pack, and its size.
fn index_of<D: Disk>(disk: &D, path: &Path) -> Result<(PackIndex, u64), DiskError> {
    let size = disk.size(path).map_err(DiskError::of("reading", path))?;
    let read = |into: &mut [u8], offset, part| {
        let bytes = disk.read(path, offset, into.len())?;
        if bytes.len() != into.len() {
            return Err(PackError::Damaged { part }.into());
        }
        into.copy_from_slice(&bytes);
        Ok(())
    };
    let (index, _) = open::index_of(size, read).map_err(|error| error.of(path))?;
    Ok((index, size))
}

/// Makes a folder, and its name durable, if it is not there.
///
/// # Errors
/// If the disk refuses.
pub fn make_folder(folder: &Path) -> Result<(), DiskError> {
    let is_missing = |above: &&Path| !above.as_os_str().is_empty() && !above.is_dir();
    let mut missing: Vec<&Path> = folder.ancestors().take_while(is_missing).collect();
    while let Some(next) = missing.pop() {
        match std::fs::create_dir(next) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(DiskError::new("making", next, error));
            }
            _ => {}
        }
        let above = super::disk::folder_of(next);
        let synced = std::fs::File::open(above).and_then(|folder| folder.sync_all());
        synced.map_err(DiskError::of("syncing", above))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_has_one_name() {
        for (since_1970, part, name) in [
            (0, 0, "1970-01-01T00-0"),
            (498_787, 12, "2026-11-25T19-12"),
            (24 * 19_782, 0, "2024-02-29T00-0"),
            (24 * 20_818 + 23, 1, "2026-12-31T23-1"),
        ] {
            let hour = Hour { since_1970, part };
            assert_eq!((hour.to_string().as_str(), Hour::of_name(name)), (name, Some(hour)));
        }
        for name in ["", "T", "2026-02-30T00-0", "2026-1-1T00-0", "2026-01-01T24-0", "x-1-1T0-0"] {
            assert_eq!(Hour::of_name(name), None, "{name}");
        }
    }

    #[test]
    fn a_folder_is_made_with_all_above_it_also_where_the_path_is_relative() {
        let scratch = tempfile::tempdir_in(".").unwrap();
        let relative = Path::new(scratch.path().file_name().unwrap()).join("state/archive/news");
        for folder in [relative.clone(), relative, scratch.path().join("other/a")] {
            make_folder(&folder).unwrap();
            assert!(folder.is_dir(), "{}", folder.display());
        }
    }
}
