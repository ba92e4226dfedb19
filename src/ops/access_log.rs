//! The access log: records of finished requests in, lines out, on a thread of its own.
//!
//! Shards never wait for it: the queue is bounded, and what does not fit is dropped and counted by
//! the shard. A full disk or a reader that went away costs lines, which are counted here, and
//! nothing else. Tokens and passwords never reach a line (`redact`), nor does a byte that could
//! end it (`line`).

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
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
    let (sender, records) = sync_channel(ACCESS_RECORDS_MAX);
    let (end, ended) = sync_channel(1);
    let secrets = redact::Told::default();
    secrets.tell(&config.tokens);
    let handle = Handle {
        reopen: Arc::default(),
        counters: Arc::default(),
        secrets: secrets.clone(),
        ended,
    };
    let mut writer = Writer {
        path: config.access_log_path.clone(),
        sink: open(config.access_log_path.as_deref())?,
        counters: Arc::clone(&handle.counters),
        batch: Vec::with_capacity(BATCH_SIZE),
        lines: 0,
        torn: false,
        failing: false,
    };
    let lines = line::Lines::new(config.access_log, secrets);
    let reopen = Arc::clone(&handle.reopen);
    std::thread::Builder::new().name("access-log".to_owned()).spawn(move || {
        priority::give_way(0);
        writer.run(&records, &lines, &reopen);
        let _ = end.send(());
    })?;
    Ok(Some((sender, handle)))
}

/// The file, or stdout. A pipe that nobody reads must not block, so it is opened non-blocking;
/// regular files don't mind.
fn open(path: Option<&Path>) -> io::Result<Box<dyn Write + Send>> {
    let Some(path) = path else { return Ok(Box::new(io::stdout())) };
    let file = File::options()
        .append(true)
        .create(true)
        .mode(0o640)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)?;
    Ok(Box::new(file))
}

struct Writer {
    path: Option<PathBuf>,
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
    fn run(&mut self, records: &Receiver<AccessRecord>, lines: &line::Lines, reopen: &AtomicBool) {
        loop {
            let record = records.recv_timeout(FLUSH_EVERY);
            if reopen.swap(false, Ordering::AcqRel) {
                self.flush();
                self.reopen();
            }
            match record {
                Ok(record) => {
                    lines.append(&mut self.batch, &record);
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
        match open(self.path.as_deref()) {
            Ok(sink) => {
                self.sink = sink;
                self.torn = false;
                tracing::info!("the access log was opened again");
            }
            Err(error) => tracing::error!(%error, "the access log can't be opened, the old stays"),
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
            tracing::info!("the access log is written again");
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
                        tracing::error!(%error, "the access log can't be written, lines are lost");
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
