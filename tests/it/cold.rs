//! Files that are really out of memory. They are made so on the disk of the target folder; where
//! there is no disk (the guest with the oldest kernel), `SHARDCAST_TEST_NO_DISK` says so.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use shardcast::config::COLD_CHUNK_SIZE;
use shardcast::messages::{Opened, Payload, Residency, SourceId};
use shardcast::shard::kernel::{Errno, Kernel as _, Look};
use shardcast::sys::features::Features;
use shardcast::sys::ring::Ring;
use shardcast::sys::{calls, files};
use shardcast::units::Extent;
use tempfile::TempDir;

use crate::content::{self, bytes};
use crate::disk::PausingDisk;
use crate::server::{PATIENCE, Server};

const SIZE: usize = 3 << 20;
const WHOLE: Extent = Extent { offset: 0, size: SIZE as u64 };

/// A scratch folder on the disk, if there is one.
fn disk() -> Option<TempDir> {
    if std::env::var_os("SHARDCAST_TEST_NO_DISK").is_some() {
        eprintln!("there is no disk here: nothing can be cold");
        return None;
    }
    Some(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap())
}

/// Writes a file, opens it, and takes it out of memory.
fn cold_file(path: &Path, bytes: &[u8]) -> Arc<Opened> {
    fs::write(path, bytes).unwrap();
    File::open(path).unwrap().sync_all().unwrap();
    let opened = content::open_file(path, SourceId(1));
    make_cold(path, WHOLE);
    opened
}

/// Takes a stretch of a file out of memory. One that stays is of a file system on which nothing
/// can be shown; somebody may hold a page for a moment.
fn make_cold(path: &Path, extent: Extent) {
    let file = File::open(path).unwrap();
    let start = Instant::now();
    loop {
        files::advise(&file, extent.offset, extent.size, libc::POSIX_FADV_DONTNEED);
        let cached = calls::cached_pages(&file, extent);
        if cached == Ok(0) {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "{} cannot be made cold: {cached:?}", path.display());
        std::thread::yield_now();
    }
}

/// To look at a page may have the kernel read it, and a fast disk has it before the look is over.
/// That is nobody's fault: the file is made cold again. A shard believes what it saw for up to a
/// second.
fn at_last(what: &str, mut attempt: impl FnMut() -> bool) {
    const ATTEMPTS: usize = 200;
    for _ in 0..ATTEMPTS {
        if attempt() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("{what}: not in {ATTEMPTS} attempts");
}

#[test]
fn what_is_out_of_memory_is_called_so_both_ways() {
    let Some(disk) = disk() else { return };
    let path = disk.path().join("film.mp4");
    let opened = cold_file(&path, &bytes(1, SIZE));
    let Payload::File(file) = &opened.payload else { unreachable!("a file was opened") };
    assert_eq!(file.residency, Residency::Asked, "the file is ours, so cachestat may be asked");
    // To be asked is enough for the kernel to read ahead, and a fast disk fills a hole before it is
    // come to. Now it reads just what it is asked about.
    files::advise(&file.fd, 0, 0, libc::POSIX_FADV_RANDOM);
    for cachestat in [true, false] {
        let features = Features { cachestat, ..Features::ALL };
        let mut ring = Ring::new(Vec::new(), calls::bell().unwrap(), features).unwrap();
        let shown = |what: &str| format!("cachestat {cachestat}: {what}");
        at_last(&shown("less than a cold file"), || {
            make_cold(&path, WHOLE);
            ring.resident(&opened, WHOLE, Look::Sample) < WHOLE.size
        });
        at_last(&shown("its last byte is not there"), || {
            make_cold(&path, WHOLE);
            ring.read_now(&opened, WHOLE.size - 1, &mut [0]) == Err(Errno::AGAIN)
        });
        fs::read(&path).unwrap();
        assert_eq!(
            ring.resident(&opened, WHOLE, Look::Sample),
            WHOLE.size,
            "cachestat {cachestat}"
        );
        at_last(&shown("with a hole, and the beginning is there"), || {
            fs::read(&path).unwrap();
            make_cold(&path, Extent { offset: 1 << 20, size: 1 << 20 });
            (1..WHOLE.size).contains(&ring.resident(&opened, WHOLE, Look::Sample))
        });
        // A page between those that a sample has.
        let hole = Extent { offset: (1 << 20) + 5 * 4096, size: 4096 };
        at_last(&shown("up to a hole of a page"), || {
            fs::read(&path).unwrap();
            make_cold(&path, hole);
            ring.resident(&opened, WHOLE, Look::Every) == hole.offset
        });
        fs::read(&path).unwrap();
        assert_eq!(ring.resident(&opened, WHOLE, Look::Every), WHOLE.size);
    }
}

#[test]
fn what_a_file_got_after_it_was_opened_is_read_like_the_rest() {
    let Some(disk) = disk() else { return };
    let path = disk.path().join("hour.open");
    let body = bytes(1, SIZE);
    fs::write(&path, &body).unwrap();
    File::open(&path).unwrap().sync_all().unwrap();
    let size = 70_000;
    let object = &body[SIZE - size..];
    let mut server = Server::new();
    server.list_file("1.m4s", &content::open_grown(&path, SourceId(1), size as u64));
    let mut client = server.client();
    at_last("it is read", || {
        make_cold(&path, WHOLE);
        for (range, expected) in [
            ("bytes=0-", object),
            ("bytes=10-19", &object[10..20]),
            ("bytes=-5", &object[size - 5..]),
        ] {
            let head = format!("GET /vod/1.m4s HTTP/1.1\r\nHost: tv\r\nRange: {range}\r\n\r\n");
            client.write(head.as_bytes());
            let reply = client.reply("GET").unwrap();
            assert_eq!(reply.status, 206, "{range}");
            assert!(reply.body == expected, "{range}: other bytes than those of the file");
        }
        server.report().cold_reads > 0
    });
}

#[test]
fn a_file_that_is_out_of_memory_is_read_once_and_served_whole() {
    let Some(disk) = disk() else { return };
    let path = disk.path().join("film.mp4");
    let body = bytes(1, SIZE);
    let mut server = Server::new();
    let opened = cold_file(&path, &body);
    server.list_file("film.mp4", &opened);
    assert_eq!(server.report().cold_reads, 0);
    let mut clients: Vec<_> = (0..20).map(|_| server.client()).collect();
    at_last("it is read", || {
        make_cold(&path, WHOLE);
        for client in &mut clients {
            client.write(b"GET /vod/film.mp4 HTTP/1.1\r\nHost: tv\r\n\r\n");
        }
        for client in &mut clients {
            let reply = client.reply("GET").unwrap();
            assert_eq!(reply.status, 200);
            assert!(reply.body == body, "other bytes than those of the file");
        }
        server.report().cold_reads > 0
    });
    let report = server.report();
    let chunks = SIZE.div_ceil(COLD_CHUNK_SIZE) as u64;
    assert!((1..=chunks).contains(&report.cold_reads), "{} cold reads", report.cold_reads);
    assert_eq!((report.faults, report.body_copied_bytes), (0, 0));
}

#[test]
fn a_small_file_that_is_out_of_memory_is_read_and_served_whole() {
    let Some(disk) = disk() else { return };
    let path = disk.path().join("small.m4s");
    let body = bytes(1, 2_048);
    at_last("it is read", || {
        // What a shard has sent it keeps, so each time it is another one.
        let mut server = Server::new();
        let opened = cold_file(&path, &body);
        server.list_file("small.m4s", &opened);
        let mut client = server.client();
        make_cold(&path, WHOLE);
        for _ in 0..3 {
            assert!(client.get("/vod/small.m4s").body == body);
        }
        let reads = server.report().cold_reads;
        assert!(reads <= 1, "{reads} cold reads");
        reads == 1
    });
}

#[test]
fn a_disk_that_does_not_answer_holds_up_only_who_wants_it() {
    // In the full run: such a disk takes FUSE, nbdkit and nbdfuse to make.
    if std::env::var_os("SHARDCAST_FULL").is_none() {
        return;
    }
    let body = bytes(1, SIZE);
    let mut disk = PausingDisk::new(&body);
    let mut server = Server::new();
    let opened = content::open_file(&disk.disk.file, server.source());
    server.list_file("film.mp4", &opened);
    server.add_pack("other", &[("v.m4s", bytes(2, 1_000_000)), ("s.m4s", bytes(3, 2_000))]);
    let mut other = server.client();
    disk.pause();
    let mut waiting = server.client();
    waiting.write(b"GET /vod/film.mp4 HTTP/1.1\r\nHost: tv\r\n\r\n");
    server.until("its first chunk is asked for", |report| report.cold_reads > 0);
    for _ in 0..100 {
        assert!(other.get("/vod/other/s.m4s").body == bytes(3, 2_000));
        assert!(other.get("/vod/other/v.m4s").body == bytes(2, 1_000_000));
    }
    // No head before the first chunk: a client that has one can no longer be sent elsewhere.
    waiting.stream.set_nonblocking(true).unwrap();
    let came = std::io::Read::read(&mut waiting.stream, &mut [0]);
    assert_eq!(came.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    waiting.stream.set_nonblocking(false).unwrap();
    disk.resume();
    let reply = waiting.reply("GET").unwrap();
    assert_eq!(reply.status, 200);
    assert!(reply.body == body, "other bytes than those of the file");
}
