//! STAND-IN, to be replaced by the real library: says that it is ready and opens nothing.

use std::io;
use std::sync::mpsc::Receiver;

use crate::config::Config;
use crate::messages::ToLibrary;
use crate::messages::mail::Outbox;

/// The running library.
#[derive(Debug)]
pub struct Handle {}

/// Starts the library.
pub fn start(
    _config: &Config,
    _outboxes: Vec<Outbox>,
    from_shards: Receiver<ToLibrary>,
) -> io::Result<Handle> {
    std::thread::Builder::new()
        .name("library".to_owned())
        .spawn(move || from_shards.into_iter().for_each(drop))?;
    Ok(Handle {})
}

impl Handle {
    /// Whether everything that it found can be asked for.
    #[must_use]
    pub fn ready(&self) -> bool {
        true
    }

    /// What an operator should know.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        Vec::new()
    }
}
