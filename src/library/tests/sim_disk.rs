//! A disk that loses what was not synced: appended sectors and names, in any order.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use crate::library::disk::Disk;

/// What is written at once: half a sector is never seen.
const SECTOR: usize = 512;

/// Deterministic and good enough (xorshift64*).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap() % end.max(1)
    }
}

#[derive(Clone, Default)]
struct Inode {
    bytes: Vec<u8>,
    /// So many of them are on the disk for certain.
    synced: usize,
    /// But not these, of which the kernel has said once that they could not be written.
    lost: Option<(usize, usize)>,
}

#[derive(Clone)]
enum NameChange {
    Is(PathBuf, usize),
    IsNot(PathBuf),
    Renamed(PathBuf, PathBuf, usize),
}

/// What the disk forgets that it should not: faults that the tests must notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    None,
    /// Syncing a file does nothing.
    Sync,
    /// Syncing a folder does nothing.
    SyncFolder,
    /// The sync of this number fails, and what it was to write is lost; the kernel takes it for
    /// written, so the next sync succeeds.
    FailSync(usize),
}

/// The disk. After `cut` operations every further one fails.
pub(crate) struct SimDisk {
    inodes: RefCell<Vec<Inode>>,
    names: RefCell<BTreeMap<PathBuf, usize>>,
    durable: RefCell<BTreeMap<PathBuf, usize>>,
    pending: RefCell<Vec<NameChange>>,
    pub(crate) operations: Cell<usize>,
    pub(crate) syncs: Cell<usize>,
    /// Bytes that can still be written.
    pub(crate) room: Cell<usize>,
    cut: usize,
    flaw: Flaw,
}

impl SimDisk {
    pub(crate) fn new(cut: usize, flaw: Flaw) -> Self {
        Self {
            inodes: RefCell::default(),
            names: RefCell::default(),
            durable: RefCell::default(),
            pending: RefCell::default(),
            operations: Cell::new(0),
            syncs: Cell::new(0),
            room: Cell::new(usize::MAX),
            cut,
            flaw,
        }
    }

    fn step(&self) -> io::Result<()> {
        self.operations.set(self.operations.get() + 1);
        if self.operations.get() > self.cut {
            return Err(io::Error::other("the power is cut"));
        }
        Ok(())
    }

    /// Cuts the power and starts again: what a path holds then. Of what was not synced, any part
    /// may have reached the disk, in any order.
    pub(crate) fn after_power_cut(&self, random: &mut Random) -> Self {
        let mut inodes = self.inodes.borrow().clone();
        for inode in &mut inodes {
            let mut size = inode.synced;
            let mut at = inode.synced;
            while at < inode.bytes.len() {
                let end = (at / SECTOR + 1) * SECTOR;
                let end = end.min(inode.bytes.len());
                if random.below(2) == 0 {
                    size = end;
                } else {
                    inode.bytes[at..end].fill(0);
                }
                at = end;
            }
            if let Some((start, end)) = inode.lost.take() {
                inode.bytes[start..end].fill(0);
            }
            inode.bytes.truncate(size);
            inode.synced = size;
        }
        let mut names = self.durable.borrow().clone();
        for change in self.pending.borrow().iter() {
            if random.below(2) == 0 {
                apply(&mut names, change);
            }
        }
        let after = Self::new(usize::MAX, Flaw::None);
        *after.inodes.borrow_mut() = inodes;
        *after.durable.borrow_mut() = names.clone();
        *after.names.borrow_mut() = names;
        after
    }

    /// The bytes of a file.
    pub(crate) fn file(&self, path: &Path) -> Option<Vec<u8>> {
        let inode = *self.names.borrow().get(path)?;
        Some(self.inodes.borrow()[inode].bytes.clone())
    }

    fn change(&self, change: NameChange) {
        apply(&mut self.names.borrow_mut(), &change);
        self.pending.borrow_mut().push(change);
    }

    fn inode(&self, path: &Path) -> io::Result<usize> {
        self.names.borrow().get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

fn apply(names: &mut BTreeMap<PathBuf, usize>, change: &NameChange) {
    match change {
        NameChange::Is(path, inode) => drop(names.insert(path.clone(), *inode)),
        NameChange::IsNot(path) => drop(names.remove(path)),
        NameChange::Renamed(from, to, inode) => {
            names.remove(from);
            names.insert(to.clone(), *inode);
        }
    }
}

impl Disk for SimDisk {
    type File = usize;

    fn create(&self, path: &Path) -> io::Result<usize> {
        self.step()?;
        if self.inode(path).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let mut inodes = self.inodes.borrow_mut();
        inodes.push(Inode::default());
        self.change(NameChange::Is(path.to_owned(), inodes.len() - 1));
        Ok(inodes.len() - 1)
    }

    fn open_append(&self, path: &Path) -> io::Result<(usize, u64)> {
        self.step()?;
        let inode = self.inode(path)?;
        Ok((inode, self.inodes.borrow()[inode].bytes.len() as u64))
    }

    fn write(&self, file: &mut usize, bytes: &[u8]) -> io::Result<usize> {
        self.step()?;
        // Every other write is short, as write(2) may be.
        let count = if self.operations.get().is_multiple_of(2) {
            bytes.len().div_ceil(2)
        } else {
            bytes.len()
        };
        let count = count.min(self.room.get());
        if count == 0 && !bytes.is_empty() {
            return Err(io::Error::from_raw_os_error(libc::ENOSPC));
        }
        self.room.set(self.room.get() - count);
        self.inodes.borrow_mut()[*file].bytes.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn sync(&self, file: &mut usize) -> io::Result<()> {
        self.step()?;
        self.syncs.set(self.syncs.get() + 1);
        if self.flaw != Flaw::Sync {
            let inode = &mut self.inodes.borrow_mut()[*file];
            let before = std::mem::replace(&mut inode.synced, inode.bytes.len());
            if self.flaw == Flaw::FailSync(self.syncs.get()) {
                inode.lost = Some((before, inode.synced));
                return Err(io::Error::from_raw_os_error(libc::EIO));
            }
        }
        Ok(())
    }

    fn publish(&self, from: &Path, to: &Path, replace: bool) -> io::Result<()> {
        self.step()?;
        if !replace && self.inode(to).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let inode = self.inode(from)?;
        self.change(NameChange::Renamed(from.to_owned(), to.to_owned(), inode));
        Ok(())
    }

    fn sync_folder(&self, _: &Path) -> io::Result<()> {
        self.step()?;
        if self.flaw != Flaw::SyncFolder {
            self.pending.borrow_mut().clear();
            *self.durable.borrow_mut() = self.names.borrow().clone();
        }
        Ok(())
    }

    fn read(&self, path: &Path, offset: u64, size: usize) -> io::Result<Vec<u8>> {
        self.step()?;
        let inode = self.inode(path)?;
        let bytes = &self.inodes.borrow()[inode].bytes;
        let start = usize::try_from(offset).unwrap().min(bytes.len());
        Ok(bytes[start..].iter().copied().take(size).collect())
    }

    fn size(&self, path: &Path) -> io::Result<u64> {
        self.step()?;
        let inode = self.inode(path)?;
        Ok(self.inodes.borrow()[inode].bytes.len() as u64)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        self.inode(path)?;
        self.change(NameChange::IsNot(path.to_owned()));
        Ok(())
    }

    fn names(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        let names = self.names.borrow();
        let here = names.keys().filter(|path| path.parent() == Some(folder));
        Ok(here.filter_map(|path| path.file_name()).map(OsString::from).collect())
    }

    fn remove_if_abandoned(&self, path: &Path) -> io::Result<bool> {
        self.remove(path).map(|()| true)
    }
}
