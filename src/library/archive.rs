//! An hour of a channel's archive while it is being written: appends, commits, the end.
//!
//! Three files by turns: `NAME.open` is the payload and `NAME.open.journal` says what of it is
//! committed; at the end the payload gets its index and becomes `NAME.pack`. The order of the
//! syncs is all there is to it: payload, then journal, then the object may be served.

use std::io;
use std::path::{Path, PathBuf};

use super::disk::{Disk, folder_of, remove_abandoned, unfinished_name};
use super::error::DiskError;
use super::write::{Sums, write_whole};
use crate::pack::header::{self, Kind, check_header};
use crate::pack::journal::{self, Journal, JournalWriter};
use crate::pack::writer::{Layout, Object, Written};
use crate::pack::{HEADER_SIZE, PackError};
use crate::units::PAGE_SIZE;

/// Largest journal that is read back, in bytes: a million objects.
const JOURNAL_SIZE_MAX: usize = 256 << 20;

/// An open hour.
#[derive(Debug)]
pub struct Archive<'d, D: Disk> {
    disk: &'d D,
    paths: Paths,
    payload: D::File,
    journal: D::File,
    /// Size of the payload file, in bytes.
    size: u64,
    layout: Layout,
    records: JournalWriter,
    /// Objects that are appended and not committed.
    pending: Vec<Object>,
    /// Something failed: of these files nothing more is known, and they are only read.
    failed: bool,
}

/// What an object is, beside its bytes.
#[derive(Clone, Debug)]
pub struct Label<'a> {
    /// Its path inside the pack.
    pub path: &'a str,
    /// Its media type.
    pub media_type: &'a str,
    /// Last modification: seconds since 1970, and nanoseconds.
    pub modified: (u64, u32),
}

/// What was found where an hour should be.
#[derive(Debug)]
pub enum Recovered<'d, D: Disk> {
    /// It is open, with these objects committed.
    Open(Archive<'d, D>, Vec<Object>),
    /// It is a whole pack.
    Finished,
    /// Nothing was ever committed.
    Nothing,
}

#[derive(Debug)]
struct Paths {
    open: PathBuf,
    journal: PathBuf,
    pack: PathBuf,
}

impl Paths {
    /// `pack` is the path of the finished pack, `NAME.pack`.
    fn of(pack: &Path) -> Self {
        let open = pack.with_extension("open");
        Self { journal: pack.with_extension("open.journal"), open, pack: pack.to_owned() }
    }
}

impl<'d, D: Disk> Archive<'d, D> {
    /// Begins an hour that will be the pack `pack`.
    ///
    /// # Errors
    /// If there is such an hour already, or the disk refuses.
    pub fn create(disk: &'d D, pack: &Path) -> Result<Self, DiskError> {
        let paths = Paths::of(pack);
        let payload = create(disk, &paths.open, &header::header(Kind::Archive)[..])?;
        let folder = folder_of(pack);
        let begun = create(disk, &paths.journal, &journal::header()).and_then(|journal| {
            let synced = disk.sync_folder(folder).map_err(DiskError::of("syncing", folder));
            or_remove(disk, &paths.journal, synced).map(|()| journal)
        });
        let journal = or_remove(disk, &paths.open, begun)?;
        Ok(Self {
            disk,
            paths,
            payload,
            journal,
            size: HEADER_SIZE as u64,
            layout: Layout::new(Kind::Archive),
            records: JournalWriter::new(),
            pending: Vec::new(),
            failed: false,
        })
    }

    /// Appends an object, which nobody sees before [`Archive::commit`].
    ///
    /// # Errors
    /// If the disk refuses: then the hour must be closed, and another begun.
    pub fn append(
        &mut self,
        label: &Label<'_>,
        bytes: &[u8],
        gzip: Option<&[u8]>,
    ) -> Result<(), DiskError> {
        self.check_sound()?;
        let identity = self.append_bytes(bytes)?;
        let gzip = gzip.map(|gzip| self.append_bytes(gzip)).transpose()?;
        self.pending.push(Object {
            path: label.path.to_owned(),
            media_type: label.media_type.to_owned(),
            modified: label.modified.0,
            modified_nanos: label.modified.1,
            identity,
            gzip,
        });
        Ok(())
    }

    /// Makes everything appended durable, and gives it back: from now on it may be served.
    ///
    /// # Errors
    /// If the disk refuses: then the hour must be closed, and another begun.
    pub fn commit(&mut self) -> Result<Vec<Object>, DiskError> {
        self.check_sound()?;
        self.attempt(|archive| {
            let paths = &archive.paths;
            let refused = |error| DiskError::pack(&paths.open, &error);
            let records = archive.records.records(&archive.pending).map_err(refused)?;
            archive
                .disk
                .sync(&mut archive.payload)
                .map_err(DiskError::of("syncing", &paths.open))?;
            write_whole(archive.disk, &mut archive.journal, &records)
                .map_err(DiskError::of("writing", &paths.journal))?;
            archive
                .disk
                .sync(&mut archive.journal)
                .map_err(DiskError::of("syncing", &paths.journal))?;
            for object in &archive.pending {
                archive.layout.add(object.clone()).map_err(refused)?;
            }
            Ok(std::mem::take(&mut archive.pending))
        })
    }

    /// Size of the payload so far, in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Commits what is appended, and makes the hour a pack.
    ///
    /// # Errors
    /// If the disk refuses: then it can be recovered, and finished later.
    pub fn finish(mut self) -> Result<(), DiskError> {
        self.commit()?;
        self.layout.advance(self.size);
        let layout = std::mem::replace(&mut self.layout, Layout::new(Kind::Archive));
        let index_offset = layout.next_offset();
        let end = layout.finish().map_err(|error| DiskError::pack(&self.paths.open, &error))?;
        self.pad_to(index_offset)?;
        self.write(&end)?;
        let (disk, paths) = (self.disk, &self.paths);
        disk.sync(&mut self.payload).map_err(DiskError::of("syncing", &paths.open))?;
        disk.publish(&paths.open, &paths.pack, false)
            .map_err(DiskError::of("renaming to", &paths.pack))?;
        let folder = folder_of(&paths.pack);
        disk.sync_folder(folder).map_err(DiskError::of("syncing", folder))?;
        disk.remove(&paths.journal).map_err(DiskError::of("removing", &paths.journal))
    }

    /// Where the next payload will begin.
    fn append_bytes(&mut self, bytes: &[u8]) -> Result<Written, DiskError> {
        let offset = self.size.next_multiple_of(PAGE_SIZE as u64);
        self.pad_to(offset)?;
        let mut sums = Sums::default();
        sums.add(bytes);
        self.write(bytes)?;
        Ok(sums.written(offset))
    }

    fn pad_to(&mut self, offset: u64) -> Result<(), DiskError> {
        let count = usize::try_from(offset - self.size).expect("padding is below a page");
        self.write(&[0; PAGE_SIZE][..count])
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), DiskError> {
        self.attempt(|archive| {
            write_whole(archive.disk, &mut archive.payload, bytes)
                .map_err(DiskError::of("writing", &archive.paths.open))?;
            archive.size += bytes.len() as u64;
            Ok(())
        })
    }

    /// After a failed write or sync nothing is known of what the file holds.
    fn attempt<T>(
        &mut self,
        act: impl FnOnce(&mut Self) -> Result<T, DiskError>,
    ) -> Result<T, DiskError> {
        let result = act(self);
        self.failed |= result.is_err();
        result
    }

    fn check_sound(&self) -> Result<(), DiskError> {
        if self.failed {
            let why = "an earlier write to it failed";
            return Err(DiskError::new("writing", &self.paths.open, why));
        }
        Ok(())
    }
}

/// A new file with these bytes, durable but for its name; or none.
fn create<D: Disk>(disk: &D, path: &Path, bytes: &[u8]) -> Result<D::File, DiskError> {
    let mut file = disk.create(path).map_err(DiskError::of("creating", path))?;
    let written = write_whole(disk, &mut file, bytes)
        .map_err(DiskError::of("writing", path))
        .and_then(|()| disk.sync(&mut file).map_err(DiskError::of("syncing", path)));
    or_remove(disk, path, written).map(|()| file)
}

/// After an error the file goes: whoever found it later would read from memory what may never have
/// reached the disk, and believe it.
fn or_remove<D: Disk, T>(
    disk: &D,
    path: &Path,
    result: Result<T, DiskError>,
) -> Result<T, DiskError> {
    if result.is_err() {
        // The first error is the one to tell.
        let _ = disk.remove(path);
    }
    result
}

/// Opens an hour again, after a crash or a restart. Appending goes on behind whatever is there.
///
/// The journal is written anew: if a sync of it has failed, what is read of it now may be in memory
/// only, and no later sync of the same file would say so. Of the payload the journal names nothing
/// whose sync has failed.
///
/// # Errors
/// If the files contradict each other, or the disk refuses.
pub fn recover<'d, D: Disk>(disk: &'d D, pack: &Path) -> Result<Recovered<'d, D>, DiskError> {
    recover_commits(disk, pack, |_| true)
}

/// The same where each commit ends with an object of which the caller knows that it does. A crash
/// may have left the first objects of a commit in the journal and not the last one: they are
/// forgotten, so that all of a commit is there or nothing.
///
/// # Errors
/// As of [`recover`].
pub fn recover_commits<'d, D: Disk>(
    disk: &'d D,
    pack: &Path,
    ends_commit: impl Fn(&Object) -> bool,
) -> Result<Recovered<'d, D>, DiskError> {
    let paths = Paths::of(pack);
    let header = if_there(disk.read(&paths.open, 0, HEADER_SIZE))
        .map_err(DiskError::of("reading", &paths.open))?;
    let journal = if_there(disk.read(&paths.journal, 0, JOURNAL_SIZE_MAX))
        .map_err(DiskError::of("reading", &paths.journal))?;
    if header.is_none() && is_there(disk, &paths.pack)? {
        if journal.is_some() {
            // The name may be known to memory only, and without the journal it would be all.
            let folder = folder_of(&paths.pack);
            disk.sync_folder(folder).map_err(DiskError::of("syncing", folder))?;
            disk.remove(&paths.journal).map_err(DiskError::of("removing", &paths.journal))?;
        }
        return Ok(Recovered::Finished);
    }
    let begun =
        header.as_deref().is_some_and(|bytes| {
            bytes.try_into().is_ok_and(|page| check_header(page) == Ok(Kind::Archive))
        }) && journal.as_deref().is_some_and(|bytes| journal::read(bytes, u64::MAX).is_ok());
    if !begun {
        return clear(disk, &paths, header.is_some(), journal);
    }
    let (payload, size) =
        disk.open_append(&paths.open).map_err(DiskError::of("opening", &paths.open))?;
    let mut journal = journal::read(&journal.unwrap_or_default(), size)
        .map_err(|error| DiskError::pack(&paths.journal, &error))?;
    let whole = journal.objects.iter().rposition(ends_commit).map_or(0, |last| last + 1);
    journal.objects.truncate(whole);
    let mut layout = Layout::new(Kind::Archive);
    for object in &journal.objects {
        layout.add(object.clone()).map_err(|error| DiskError::pack(&paths.journal, &error))?;
    }
    let (file, records) = rewritten(disk, &paths.journal, &journal)?;
    let archive = Archive {
        disk,
        payload,
        journal: file,
        size,
        layout,
        records,
        pending: Vec::new(),
        failed: false,
        paths,
    };
    Ok(Recovered::Open(archive, journal.objects))
}

/// A journal in a file of its own that says the same, in the place of the old one.
fn rewritten<D: Disk>(
    disk: &D,
    path: &Path,
    journal: &Journal,
) -> Result<(D::File, JournalWriter), DiskError> {
    remove_abandoned(disk, folder_of(path));
    let mut records = JournalWriter::new();
    let mut bytes = journal::header().to_vec();
    let refused = |error| DiskError::pack(path, &error);
    bytes.extend(records.records(&journal.objects).map_err(refused)?);
    Ok((replaced(disk, path, &bytes)?, records))
}

/// A file with these bytes, durable, in the place of what was there.
///
/// # Errors
/// If the disk refuses. What was there stays, unless only its new name is not durable.
pub fn replaced<D: Disk>(disk: &D, path: &Path, bytes: &[u8]) -> Result<D::File, DiskError> {
    let beside = unfinished_name(path, 0);
    let file = create(disk, &beside, bytes)?;
    let published = disk.publish(&beside, path, true).map_err(DiskError::of("renaming to", path));
    or_remove(disk, &beside, published)?;
    let folder = folder_of(path);
    disk.sync_folder(folder).map_err(DiskError::of("syncing", folder))?;
    Ok(file)
}

/// Removes what a crash in `create` has left: without both headers nothing was ever committed.
fn clear<'d, D: Disk>(
    disk: &'d D,
    paths: &Paths,
    payload: bool,
    journal: Option<Vec<u8>>,
) -> Result<Recovered<'d, D>, DiskError> {
    // A journal of another version, or one that is damaged at its head, may well have records.
    if let Some(bytes) = &journal
        && bytes.len() > journal::JOURNAL_HEADER_SIZE
    {
        let error =
            journal::read(bytes, u64::MAX).err().unwrap_or(PackError::Damaged { part: "header" });
        return Err(DiskError::pack(&paths.journal, &error));
    }
    for (path, there) in [(&paths.open, payload), (&paths.journal, journal.is_some())] {
        if there {
            disk.remove(path).map_err(DiskError::of("removing", path))?;
        }
    }
    Ok(Recovered::Nothing)
}

fn is_there<D: Disk>(disk: &D, path: &Path) -> Result<bool, DiskError> {
    let start = if_there(disk.read(path, 0, 1)).map_err(DiskError::of("reading", path))?;
    Ok(start.is_some())
}

fn if_there(result: io::Result<Vec<u8>>) -> io::Result<Option<Vec<u8>>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        result => result.map(Some),
    }
}
