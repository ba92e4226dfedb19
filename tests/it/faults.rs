//! Files that change under a running transfer: each fault costs what it must, and nothing else.

use std::fs::{self, File};
use std::path::PathBuf;

use shardcast::config::Backend;
use shardcast::messages::{Change, Fault, SourceId};

use crate::client::{Client, Cut};
use crate::content::{self, bytes};
use crate::disk::FailingDisk;
use crate::server::{Server, Setup};

/// Too much for the buffers of a loopback connection, which take a few megabytes at most.
const SIZE: usize = 16 << 20;

/// A server with a large file, a client in the middle of it, and another pack.
struct Running {
    server: Server,
    file: PathBuf,
    source: SourceId,
    body: Vec<u8>,
    client: Client,
}

fn running(backend: Backend) -> Running {
    let mut server = Server::with(Setup { backend, ..Setup::default() });
    let file = server.folder.path().join("film.mp4");
    let body = bytes(1, SIZE);
    fs::write(&file, &body).unwrap();
    let source = server.source();
    let opened = content::open_file(&file, source);
    server.list_file("film.mp4", &opened);
    server.add_pack("other", &[("v.m4s", bytes(2, 1_000_000)), ("s.m4s", bytes(3, 2_000))]);
    let mut client = Client::narrow(server.address);
    client.write(b"GET /vod/film.mp4 HTTP/1.1\r\nHost: tv\r\n\r\n");
    let head = client.head().unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(client.take(100_000).unwrap() == body[..100_000]);
    Running { server, file, source, body, client }
}

impl Running {
    /// Whatever became of the one, others are served.
    fn check_others(&mut self) {
        let mut client = self.server.client();
        assert!(client.get("/vod/other/v.m4s").body == bytes(2, 1_000_000));
        assert!(client.get("/vod/other/s.m4s").body == bytes(3, 2_000));
    }

    /// The old bytes come to the end.
    fn check_old_bytes(&mut self) {
        let rest = self.client.take(SIZE - 100_000).unwrap();
        assert!(rest == self.body[100_000..], "other bytes than those of the old file");
    }
}

const BACKENDS: [Backend; 2] = [Backend::Sendfile, Backend::SendZeroCopy];

#[test]
fn a_file_that_is_cut_short_resets_its_transfers() {
    for backend in BACKENDS {
        let mut running = running(backend);
        // In the middle of a page, as anybody cuts.
        let cut = 10 * 1_000_000 + 7;
        File::options().write(true).open(&running.file).unwrap().set_len(cut).unwrap();
        assert_eq!(running.client.rest(), Err(Cut::Reset), "{backend:?}");
        let source = running.source;
        running.server.until_heard("it is faulty", |heard| {
            heard.faults.iter().any(|&(of, fault)| {
                let truncated = fault == Fault::Truncated;
                of == source && (truncated || fault == Fault::Unreadable(libc::EFAULT))
            })
        });
        assert_eq!(running.server.client().get("/vod/film.mp4").status, 503);
        running.check_others();
    }
}

#[test]
fn a_file_that_is_removed_is_sent_to_its_end() {
    for backend in BACKENDS {
        let mut running = running(backend);
        fs::remove_file(&running.file).unwrap();
        running.server.list("film.mp4", Change::Absent);
        running.check_old_bytes();
        assert_eq!(running.client.get("/vod/film.mp4").status, 404);
        let source = running.source;
        running.server.until_heard("it is let go", |heard| heard.released == [source]);
        running.check_others();
    }
}

#[test]
fn a_file_that_is_replaced_is_sent_to_its_end_and_the_new_one_after_it() {
    for backend in BACKENDS {
        let mut running = running(backend);
        let new = bytes(9, SIZE / 2);
        let beside = running.file.with_extension("new");
        fs::write(&beside, &new).unwrap();
        fs::rename(&beside, &running.file).unwrap();
        let source = running.server.source();
        let opened = content::open_file(&running.file, source);
        running.server.list_file("film.mp4", &opened);
        running.check_old_bytes();
        assert!(running.client.get("/vod/film.mp4").body == new);
        let old = running.source;
        running.server.until_heard("the old one is let go", |heard| heard.released == [old]);
    }
}

#[test]
fn a_file_that_is_overwritten_resets_its_transfers() {
    for backend in BACKENDS {
        let mut running = running(backend);
        // Somebody writes into it; the library saw that, and says so.
        fs::write(&running.file, bytes(9, SIZE)).unwrap();
        running.server.list("film.mp4", Change::Torn);
        assert_eq!(running.client.rest(), Err(Cut::Reset), "{backend:?}");
        running.check_others();
    }
}

#[test]
fn a_disk_that_fails_resets_its_transfers() {
    // A descriptor that can't be read stands for a disk that can't.
    let mut server = Server::new();
    let path = server.folder.path().join("broken.ts");
    fs::write(&path, bytes(1, 2_000)).unwrap();
    let source = server.source();
    let opened = content::open_unreadable(&path, source);
    server.list_file("broken.ts", &opened);
    server.add_pack("other", &[("s.m4s", bytes(3, 2_000))]);
    let mut client = server.client();
    client.write(b"GET /vod/broken.ts HTTP/1.1\r\nHost: tv\r\n\r\n");
    assert_eq!(client.end(), Cut::Reset);
    server.until_heard(
        "it is faulty",
        |heard| matches!(heard.faults[..], [(of, Fault::Unreadable(_))] if of == source),
    );
    let mut client = server.client();
    assert_eq!(client.get("/vod/broken.ts").status, 503);
    assert!(client.get("/vod/other/s.m4s").body == bytes(3, 2_000));
    if std::env::var_os("SHARDCAST_FULL").is_some() {
        check_failing_disk();
    }
}

/// The same with a file whose disk fails under a running transfer, which takes FUSE to make.
fn check_failing_disk() {
    let disk = FailingDisk::new(&bytes(1, SIZE));
    let mut server = Server::new();
    let source = server.source();
    let opened = content::open_file(&disk.disk.file, source);
    server.list_file("film.mp4", &opened);
    server.add_pack("other", &[("s.m4s", bytes(3, 2_000))]);
    let mut client = Client::narrow(server.address);
    client.write(b"GET /vod/film.mp4 HTTP/1.1\r\nHost: tv\r\n\r\n");
    client.head().unwrap();
    assert!(client.take(100_000).unwrap() == bytes(1, 100_000));
    disk.fail();
    assert_eq!(client.rest(), Err(Cut::Reset));
    // A read that fails behind its first page is only short, as that of a file that was cut.
    server.until_heard("it is faulty", |heard| {
        let [(of, fault)] = heard.faults[..] else { return false };
        of == source && (fault == Fault::Truncated || fault == Fault::Unreadable(libc::EIO))
    });
    let mut client = server.client();
    assert_eq!(client.get("/vod/film.mp4").status, 503);
    assert!(client.get("/vod/other/s.m4s").body == bytes(3, 2_000));
}
