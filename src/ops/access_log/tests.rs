//! The writer on real files: full disks, readers that go away, files that are moved.

use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::process::Command;

use super::*;
use crate::units::UnixTime;

fn config(path: &Path) -> Config {
    Config {
        access_log: AccessLog::Combined,
        access_log_path: Some(path.to_owned()),
        ..Config::default()
    }
}

fn record(name: &str) -> AccessRecord {
    AccessRecord {
        at: UnixTime(0),
        peer: None,
        head: format!("GET /{name} HTTP/1.1\r\n\r\n").into_bytes().into(),
        status: 200,
        body_bytes: 1,
        nanos: 1,
        aborted: false,
    }
}

const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn every_record_becomes_a_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.log");
    let (sender, handle) = start(&config(&path)).unwrap().unwrap();
    for index in 0..1000 {
        sender.send(record(&index.to_string())).unwrap();
    }
    let counters = handle.counters();
    drop(sender);
    handle.finish(PATIENCE);
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), 1000);
    assert!(text.lines().nth(7).unwrap().contains("\"GET /7 HTTP/1.1\""));
    assert_eq!(counters.written.load(Ordering::Relaxed), 1000);
}

#[test]
fn a_full_disk_costs_lines_and_nothing_else() {
    let (sender, handle) = start(&config(Path::new("/dev/full"))).unwrap().unwrap();
    let counters = handle.counters();
    for _ in 0..10 {
        sender.send(record("x")).unwrap();
    }
    drop(sender);
    handle.finish(PATIENCE);
    assert_eq!(counters.lost.load(Ordering::Relaxed), 10);
    assert_eq!(counters.written.load(Ordering::Relaxed), 0);
}

#[test]
fn a_reader_that_goes_away_costs_lines_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    assert!(std::fs::metadata(&path).unwrap().file_type().is_fifo());
    assert!(start(&config(&path)).is_err(), "a pipe without a reader must not block the start");
    let reader = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(&path).unwrap();
    let (sender, handle) = start(&config(&path)).unwrap().unwrap();
    let counters = handle.counters();
    drop(reader);
    sender.send(record("x")).unwrap();
    drop(sender);
    handle.finish(PATIENCE);
    assert_eq!(counters.lost.load(Ordering::Relaxed), 1);
}

#[test]
fn a_file_that_was_moved_is_opened_again_on_demand() {
    let dir = tempfile::tempdir().unwrap();
    let (path, moved) = (dir.path().join("a"), dir.path().join("b"));
    let (sender, handle) = start(&config(&path)).unwrap().unwrap();
    let counters = handle.counters();
    sender.send(record("old")).unwrap();
    while counters.written.load(Ordering::Relaxed) == 0 {
        std::thread::yield_now();
    }
    std::fs::rename(&path, &moved).unwrap();
    handle.reopen();
    sender.send(record("new")).unwrap();
    drop(sender);
    handle.finish(PATIENCE);
    assert!(std::fs::read_to_string(&moved).unwrap().contains("/old "));
    assert!(std::fs::read_to_string(&path).unwrap().contains("/new "));
}

/// Takes a few bytes, then nothing, then everything.
struct FullFor {
    room: usize,
    refusals: usize,
    taken: Arc<std::sync::Mutex<Vec<u8>>>,
}

impl Write for FullFor {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = if self.room > 0 {
            std::mem::take(&mut self.room).min(bytes.len())
        } else if self.refusals > 0 {
            self.refusals -= 1;
            return Err(io::Error::from_raw_os_error(libc::ENOSPC));
        } else {
            bytes.len()
        };
        self.taken.lock().unwrap().extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_torn_line_is_ended_before_the_next_one() {
    let taken = Arc::default();
    let mut writer = Writer {
        of: Of {
            name: "a log",
            path: None,
            standard: || Box::new(io::stdout()),
            secrets: redact::Told::default(),
        },
        sink: Box::new(FullFor { room: 10, refusals: 1, taken: Arc::clone(&taken) }),
        counters: Arc::default(),
        batch: Vec::new(),
        lines: 0,
        torn: false,
        failing: false,
    };
    for line in ["first line\n", "second\n", "third\n"] {
        writer.batch.extend_from_slice(line.as_bytes());
        writer.lines = 1;
        writer.flush();
    }
    assert_eq!(taken.lock().unwrap().as_slice(), b"first line\nsecond\nthird\n");
    assert_eq!(writer.counters.lost.load(Ordering::Relaxed), 1);
    assert_eq!(writer.counters.written.load(Ordering::Relaxed), 2);
}
