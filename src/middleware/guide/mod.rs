//! Guides: what is on, on which channel, from whoever says so.
//!
//! Sources (`registry`: guide-sources) are files and addresses of XMLTV. A thread of low priority
//! fetches what is due (`fetch`), unpacks it (`unpack`), reads it as a stream (`xmltv`) and writes
//! it as the source's next edition (`import`, `store`); which of a source's channels is which of
//! ours is found in `matching`. Everything that is asked of the guide goes through a `Reader`.

pub mod matching;
pub mod programme;
pub mod read;
pub mod store;

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::watch;

use matching::Lines;
pub use programme::Programme;
pub use read::{NowNext, Reader};
use store::{Reading, StoreError};

/// The way to the guide, for whoever wants to know what is on.
#[derive(Clone, Debug)]
pub struct Guide {
    state: PathBuf,
    lines: Arc<RwLock<Arc<Lines>>>,
    version: Arc<watch::Sender<u64>>,
}

impl Guide {
    /// The guide in a state folder, of which nothing is known yet.
    #[must_use]
    pub fn new(state: &Path) -> Self {
        let lines = Arc::default();
        Self { state: state.to_owned(), lines, version: Arc::new(watch::channel(0).0) }
    }

    /// A reader, for a thread that may wait for the disk.
    ///
    /// # Errors
    ///
    /// The store can't be opened, or is not there yet.
    pub fn reader(&self) -> Result<Reader, StoreError> {
        Ok(Reader::new(Reading::open(&self.state)?, self.clone()))
    }

    /// Our channels, with what speaks of them.
    #[must_use]
    pub fn lines(&self) -> Arc<Lines> {
        // What is set is whole.
        Arc::clone(&self.lines.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Counts changes of programmes, and of what speaks of which channel.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// From now on these are our channels.
    pub fn publish(&self, lines: Lines) {
        let version = lines.version;
        *self.lines.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(lines);
        self.version.send_replace(version);
    }
}
