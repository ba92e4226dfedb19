//! Packs and folders on disk: writing, reading back, opening, watching.
//!
//! The serving side is one thread ([`start`]) that scans and watches the libraries, tells every
//! shard what there is, and has sources opened by a small pool when a shard asks. It never writes,
//! and payloads of packs are read only in spare time (`upkeep`), to verify them and to bring them
//! onto huge pages. The writing side ([`mod@write`], [`archive`]) goes through one seam,
//! [`disk::Disk`], and cannot truncate or overwrite.
//!
//! Whoever may write to a library's folder decides what is served, and nothing more: links are
//! followed only below the folder, only regular files are read, and the work that such a writer can
//! cause is bounded.
//!
//! A *hard link* is a regular file like any other and is served. The kernel knows no first and
//! second name of a file, so one that leads out cannot be told from one that does not; links are
//! how packagers and backups publish without copying; and with `fs.protected_hardlinks`, Debian's
//! default, nobody can link a stranger's file without permission to read and write it. Where that
//! is off, a server that runs as a user of its own still reads only what this user may.

pub mod write;
pub mod disk;
mod folder;
pub mod new_folder;
pub mod extract;
pub mod read;
pub mod verify;
pub mod open;
pub mod archive;
pub mod state;
pub mod hours;
pub mod past;
pub mod lender;
pub mod slates;
pub mod catalogue;
mod error;

mod run;
mod root;
mod scan;
mod watch;
mod names;
mod shelve;
mod lend;
mod opener;
mod upkeep;
mod budget;
mod reload;
mod huge;
mod scrub;
mod version;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use crate::config::{Backend, Config};
use crate::messages::ToLibrary;
use crate::messages::mail::Outbox;
use crate::sys::priority;

pub use error::DiskError;
pub use watch::watcher;

use run::Event;

/// Niceness of all the library's threads: shards come first.
const NICE: i32 = 10;

/// Events that wait for the library's thread. Beyond it news of the disk is dropped and everything
/// is scanned; messages of shards wait.
const EVENTS_MAX: usize = 16 * 1024;

/// The running library. Dropping it ends its threads.
#[derive(Debug)]
pub struct Handle {
    events: SyncSender<Event>,
    ready: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
    lender: lender::Lender,
}

impl Handle {
    /// To whoever lends archives to the shards.
    #[must_use]
    pub fn lender(&self) -> lender::Lender {
        self.lender.clone()
    }

    /// Whether every shard was sent everything that was there at the start.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// Has all libraries scanned again, as lost news of the disk does.
    #[cfg(test)]
    fn rescan(&self) {
        self.events.send(Event::Rescan).expect("the library runs");
    }

    /// Takes the libraries and the limits of a config that was read again, and scans all libraries.
    /// Who may watch a library that stays is not changed; `access` is for those that come.
    pub fn reload(&self, config: &Config) {
        let (libraries, limits) = (config.libraries.clone(), config.limits.clone());
        let reload = reload::Reload { libraries, access: config.access, limits };
        // It fails only when the thread has ended, and then nothing is served any more.
        let _ = self.events.send(Event::Reload(Box::new(reload)));
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let _ = self.events.send(Event::Stop);
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has aborted the process.
            let _ = thread.join();
        }
    }
}

/// Starts scanning, watching and opening. `shards` has one outbox a shard, in their order; `inbox`
/// is where all shards send what they want of the library.
///
/// # Errors
/// If a thread can't be started. A library that is missing is an entry in the log, and is served
/// when it appears.
pub fn start(
    config: &Config,
    shards: Vec<Outbox>,
    inbox: Receiver<ToLibrary>,
) -> io::Result<Handle> {
    start_with(config, shards, inbox, SCRUB_AFTER, watch::Watch::start)
}

/// Checksums are not read while a server starts, when it has better things to do.
const SCRUB_AFTER: Duration = Duration::from_secs(60);

fn start_with(
    config: &Config,
    shards: Vec<Outbox>,
    inbox: Receiver<ToLibrary>,
    scrub_after: Duration,
    watch: impl FnOnce(SyncSender<Event>, Arc<AtomicBool>) -> watch::Watch + Send + 'static,
) -> io::Result<Handle> {
    let (events, queue) = sync_channel(EVENTS_MAX);
    let ready = Arc::new(AtomicBool::new(false));
    let mapped = config.listen.iter().any(|listen| listen.backend == Backend::SendZeroCopy);
    let of_pool = events.clone();
    let pool = opener::Pool::start(mapped, move |outcome| {
        // It fails only when the library's thread has ended: then nobody waits for it.
        let _ = of_pool.send(Event::Opened(outcome));
    })?;
    let upkeep = upkeep::Upkeep::start(&config.limits, scrub_after, &events)?;
    let lender = lender::start(shards.clone())?;
    let (of_shards, of_archives) = (events.clone(), lender.clone());
    thread::Builder::new().name("library-mail".to_owned()).spawn(move || {
        priority::give_way(0);
        run::forward(&inbox, &of_shards, &of_archives);
    })?;
    let (libraries, access, limits) =
        (config.libraries.clone(), config.access, config.limits.clone());
    let (of_watch, is_ready) = (events.clone(), Arc::clone(&ready));
    let (made, is_made) = sync_channel(1);
    let thread = thread::Builder::new().name("library".to_owned()).spawn(move || {
        priority::give_way(NICE);
        let roots = libraries.iter().map(|library| root::Root::new(library, access)).collect();
        let watch = watch(of_watch, Arc::default());
        // It fails only when nobody waits for it.
        let _ = made.send(());
        let parts = run::Parts { roots, limits, shards, pool, watch, upkeep, ready: is_ready };
        run::Library::new(parts).run(queue);
    })?;
    // The watcher has a thread of its own, and what it can't make it does not tell. So nobody makes
    // another one between its trial and it. It fails only when the library's thread has ended.
    let _ = is_made.recv();
    Ok(Handle { events, ready, thread: Some(thread), lender })
}

#[cfg(test)]
pub(crate) mod tests;
