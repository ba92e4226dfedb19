//! The access log: records of finished requests in, lines out, on a thread of its own.
//!
//! Shards never wait for it: the queue is bounded, and what does not fit is dropped and counted by
//! the shard. A full disk or a reader that went away costs lines, which are counted here, and
//! nothing else. Tokens and passwords never reach a line (`redact`), nor does a byte that could
//! end it (`line`).

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use crate::config::foreign::Section;
use crate::config::{ACCESS_RECORDS_MAX, AccessLog, Config};
use crate::messages::AccessRecord;
use crate::sys::priority;

mod line;
mod redact;

pub(super) use line::{escaped, header};
pub(super) use redact::{Redaction, Told};

/// Lines wait at most this long for company.
const FLUSH_EVERY: Duration = Duration::from_millis(200);

/// Bytes of lines written at once.
const BATCH_SIZE: usize = 64 * 1024;

/// What the writer did, for the metrics.
#[derive(Debug, Default)]
pub struct Counters {
    /// Lines written.
    pub written: AtomicU64,
    /// Lines that could not be written.
    pub lost: AtomicU64,
}

/// The writer, seen from outside.
#[derive(Debug)]
pub struct Handle {
    reopen: Arc<AtomicBool>,
    counters: Arc<Counters>,
    secrets: redact::Told,
    ended: Receiver<()>,
}

impl Handle {
    /// Opens the file again before the next line: somebody moved the old one away.
    pub fn reopen(&self) {
        self.reopen.store(true, Ordering::Release);
    }

    /// Keeps what carries tokens of others out of the lines.
    pub fn redact(&self, tokens: &[Section]) {
        self.secrets.tell(tokens);
    }

    /// What the writer did so far.
    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// Waits until everything is written, once all senders are gone; not longer than `patience`.
    pub fn finish(self, patience: Duration) {
        let _ = self.ended.recv_timeout(patience);
    }
}

/// Starts the writer, if the config wants a log.
pub fn start(config: &Config) -> io::Result<Option<(SyncSender<AccessRecord>, Handle)>> {
    if config.access_log == AccessLog::Off {
        return Ok(None);
    }
    let of = Of {
        name: "the access log",
        path: config.access_log_path.clone(),
        standard: || Box::new(io::stdout()),
        secrets: redact::Told::default(),
    };
    of.secrets.tell(&config.tokens);
    let lines = line::Lines::new(config.access_log, of.secrets.clone());
    let append = move |to: &mut Vec<u8>, record: &AccessRecord| lines.append(to, record);
    start_lines(of, ACCESS_RECORDS_MAX, append).map(Some)
}

/// A log of lines.
pub(super) struct Of {
    /// What people call it.
    pub(super) name: &'static str,
    /// Its file.
    pub(super) path: Option<PathBuf>,
    /// Where it goes without one.
    pub(super) standard: fn() -> Box<dyn Write + Send>,
    /// Names of what is secret in addresses, besides our own.
    pub(super) secrets: redact::Told,
}

/// Starts the writer of a log, with so many records that may wait; `append` makes a line of one.
pub(super) fn start_lines<R: Send + 'static>(
    of: Of,
    most: usize,
    append: impl Fn(&mut Vec<u8>, &R) + Send + 'static,
) -> io::Result<(SyncSender<R>, Handle)> {
    let (sender, records) = sync_channel(most);
    let (end, ended) = sync_channel(1);
    let handle = Handle {
        reopen: Arc::default(),
        counters: Arc::default(),
        secrets: of.secrets.clone(),
        ended,
    };
    let mut writer = Writer {
        sink: of.open()?,
        of,
        counters: Arc::clone(&handle.counters),
        batch: Vec::with_capacity(BATCH_SIZE),
        lines: 0,
        torn: false,
        failing: false,
    };
    let reopen = Arc::clone(&handle.reopen);
    std::thread::Builder::new().name("access-log".to_owned()).spawn(move || {
        priority::give_way(0);
        writer.run(&records, &append, &reopen);
        let _ = end.send(());
    })?;
    Ok((sender, handle))
}

impl Of {
    /// The file, or what there is without one. A pipe that nobody reads must not block, so it is
    /// opened non-blocking; regular files don't mind.
    fn open(&self) -> io::Result<Box<dyn Write + Send>> {
        let Some(path) = &self.path else { return Ok((self.standard)()) };
        let file = File::options()
            .append(true)
            .create(true)
            .mode(0o640)
            .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
            .open(path)?;
        Ok(Box::new(file))
    }
}

struct Writer {
    of: Of,
    sink: Box<dyn Write + Send>,
    counters: Arc<Counters>,
    batch: Vec<u8>,
    /// Lines in `batch`.
    lines: u64,
    /// Whether the file ends within a line.
    torn: bool,
    /// Whether the last write failed; said once, not for each line.
    failing: bool,
}

impl Writer {
    fn run<R>(
        &mut self,
        records: &Receiver<R>,
        append: &impl Fn(&mut Vec<u8>, &R),
        reopen: &AtomicBool,
    ) {
        loop {
            let record = records.recv_timeout(FLUSH_EVERY);
            if reopen.swap(false, Ordering::AcqRel) {
                self.flush();
                self.reopen();
            }
            match record {
                Ok(record) => {
                    append(&mut self.batch, &record);
                    self.lines += 1;
                    if self.batch.len() >= BATCH_SIZE {
                        self.flush();
                    }
                }
                Err(RecvTimeoutError::Timeout) => self.flush(),
                Err(RecvTimeoutError::Disconnected) => return self.flush(),
            }
        }
    }

    fn reopen(&mut self) {
        let name = self.of.name;
        match self.of.open() {
            Ok(sink) => {
                self.sink = sink;
                self.torn = false;
                tracing::info!("{name} was opened again");
            }
            Err(error) => tracing::error!(%error, "{name} can't be opened, the old stays"),
        }
    }

    /// Writes the batch, or gives it up: lines that wait for a full disk would fill the memory.
    fn flush(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        if self.torn {
            self.batch.insert(0, b'\n');
        }
        let written = self.write();
        let whole = written == self.batch.len();
        // A full disk takes the first part of a write without a word, and refuses the rest.
        let kept = self.batch[..written].iter().filter(|byte| **byte == b'\n').count() as u64;
        let kept = if self.torn { kept.saturating_sub(1) } else { kept };
        self.counters.written.fetch_add(kept, Ordering::Relaxed);
        self.counters.lost.fetch_add(self.lines.saturating_sub(kept), Ordering::Relaxed);
        if written > 0 {
            self.torn = self.batch[written - 1] != b'\n';
        }
        if self.failing && whole {
            tracing::info!("{} is written again", self.of.name);
        }
        self.failing = !whole;
        self.batch.clear();
        self.lines = 0;
    }

    /// How many bytes of the batch were written.
    fn write(&mut self) -> usize {
        let mut written = 0;
        while written < self.batch.len() {
            match self.sink.write(&self.batch[written..]) {
                Ok(0) => break,
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    if !self.failing {
                        let name = self.of.name;
                        tracing::error!(%error, "{name} can't be written, lines are lost");
                    }
                    break;
                }
            }
        }
        // Only stdout holds anything back.
        let _ = self.sink.flush();
        written
    }
}

#[cfg(test)]
mod tests;
