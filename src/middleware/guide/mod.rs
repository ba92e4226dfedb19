//! Guides: what is on, on which channel, from whoever says so.
//!
//! Sources (`registry`: guide-sources) are files and addresses of XMLTV. A thread of low priority
//! fetches what is due (`fetch`), unpacks it (`unpack`), reads it as a stream (`xmltv`) and writes
//! it as the source's next edition (`import`, `store`); which of a source's channels is which of
//! ours is found in `matching`. Everything that is asked of the guide goes through a `Reader`.

mod addresses;
mod fetch;
mod time;
mod piece;
pub mod xmltv;
mod unpack;
mod zip;
pub mod import;
pub mod programme;
pub mod store;
pub mod matching;
pub mod read;
pub mod keeper;
mod desk;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::watch;

use crate::config;
use crate::control;
use crate::control::registry::Registry;
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

/// What the guide needs.
pub struct Parts {
    /// The state folder.
    pub state: PathBuf,
    /// What operators say of it.
    pub registry: Registry,
    /// How guides are taken.
    pub config: config::guide::Guide,
    /// How long the past of the config file's channels can be watched, in seconds.
    pub archives: BTreeMap<String, u64>,
}

/// Starts its threads: one that keeps guides up to date, and one that follows the registry and
/// answers what control is asked. They run until the process ends.
///
/// # Errors
///
/// No thread can be made.
pub fn start(parts: Parts) -> io::Result<(Guide, control::guide::Desk)> {
    let guide = Guide::new(&parts.state);
    let keeper = keeper::start(&parts.state, parts.config, guide.clone())?;
    let (desk, questions) = control::guide::desk();
    desk::start(guide.clone(), keeper, (parts.registry, parts.archives), questions)?;
    Ok((guide, desk))
}
