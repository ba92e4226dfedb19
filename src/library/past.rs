//! Reading archives from the side: the bytes of one object of a channel's past.
//!
//! Of a finished hour its pack says where they lie, of an open one its journal. Nothing is written,
//! and what is read is checked against its sum. An hour that is removed meanwhile is not there.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::disk::RealDisk;
use super::hours::{Hour, Hours};
use super::open::open_path;
use crate::config::{PAST_HOURS_OPEN_MAX, PAST_SEGMENT_SIZE_MAX};
use crate::pack::index::PackIndex;
use crate::pack::journal;
use crate::units::Extent;

/// Reads from the archives below a folder.
#[derive(Debug)]
pub struct Past {
    /// A folder a channel.
    folder: PathBuf,
    open: HashMap<(String, Hour), Open>,
    /// The one that was opened first stands first.
    order: VecDeque<(String, Hour)>,
}

/// An hour that is read from.
#[derive(Debug)]
struct Open {
    file: File,
    index: Index,
}

#[derive(Debug)]
enum Index {
    Pack(PackIndex),
    /// As far as it has come when it was read.
    Journal(HashMap<String, (Extent, u32)>),
}

impl Past {
    /// From the archives of a server with this state folder.
    #[must_use]
    pub fn in_state(state: &Path) -> Self {
        let folder = state.join("archive");
        Self { folder, open: HashMap::new(), order: VecDeque::new() }
    }

    /// The bytes of an object of a channel, which lies in an hour about then (seconds since 1970).
    ///
    /// # Errors
    ///
    /// It is not there, or can't be read.
    pub fn read(&mut self, channel: &str, path: &str, about: u64) -> io::Result<Vec<u8>> {
        let folder = self.folder.join(channel);
        let mut hours = Hours::new(&RealDisk, folder.clone()).there().map_err(io::Error::other)?;
        // It is named after when it came, which is about when it was.
        hours.sort_by_key(|hour| hour.since_1970.abs_diff(about / 3600));
        for hour in hours {
            // What an open hour has is known as of when it was looked at, and more may have come.
            for is_anew in [false, true] {
                if is_anew && !self.forget_open(channel, hour) {
                    break;
                }
                match self.in_hour(&folder, channel, hour, path) {
                    Ok(Some(bytes)) => return Ok(bytes),
                    Ok(None) => {}
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Err(io::ErrorKind::NotFound.into())
    }

    /// Forgets an hour that was still open when it was looked at; false if it was not.
    fn forget_open(&mut self, channel: &str, hour: Hour) -> bool {
        let key = (channel.to_owned(), hour);
        let was_open = |open: &Open| matches!(open.index, Index::Journal(_));
        if !self.open.get(&key).is_some_and(was_open) {
            return false;
        }
        self.forget(&key);
        true
    }

    fn forget(&mut self, key: &(String, Hour)) {
        self.open.remove(key);
        self.order.retain(|known| known != key);
    }

    fn in_hour(
        &mut self,
        folder: &Path,
        channel: &str,
        hour: Hour,
        path: &str,
    ) -> io::Result<Option<Vec<u8>>> {
        let key = (channel.to_owned(), hour);
        if !self.open.contains_key(&key) {
            while self.open.len() >= PAST_HOURS_OPEN_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.open.remove(&oldest);
            }
            self.open.insert(key.clone(), open(&Hours::new(&RealDisk, folder.to_owned()), hour)?);
            self.order.push_back(key.clone());
        }
        let Some(Open { file, index }) = self.open.get(&key) else { return Ok(None) };
        let found = match index {
            Index::Journal(objects) => objects.get(path).copied(),
            Index::Pack(index) => index.find(path.as_bytes()).map(|at| {
                let entry = index.entry(at);
                (entry.identity.extent, entry.crc)
            }),
        };
        let Some((extent, crc)) = found else { return Ok(None) };
        if extent.size > PAST_SEGMENT_SIZE_MAX {
            return Err(io::Error::other("it is too large"));
        }
        let mut bytes = vec![0; usize::try_from(extent.size).map_err(io::Error::other)?];
        file.read_exact_at(&mut bytes, extent.offset)?;
        if crc32fast::hash(&bytes) != crc {
            return Err(io::Error::other("it is damaged"));
        }
        Ok(Some(bytes))
    }
}

fn open(hours: &Hours<'_, RealDisk>, hour: Hour) -> io::Result<Open> {
    let pack = hours.pack(hour);
    if pack.is_file() {
        let opened = open_path(&pack).map_err(io::Error::other)?;
        return Ok(Open { file: opened.file, index: Index::Pack(opened.index) });
    }
    let payload = hours.payload(hour);
    let written = std::fs::read(payload.with_extension("open.journal"))?;
    let file = File::open(payload)?;
    let journal = journal::read(&written, file.metadata()?.len()).map_err(io::Error::other)?;
    let objects = journal.objects.into_iter().map(|object| {
        let written = object.identity;
        (object.path, (written.variant.extent, written.crc))
    });
    Ok(Open { file, index: Index::Journal(objects.collect()) })
}
