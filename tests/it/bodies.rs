//! Bodies of every size and kind, byte for byte.

use shardcast::config::Backend;

use crate::client::Client;
use crate::content::{self, bytes};
use crate::server::{Server, Setup};

const SIZES: [usize; 9] = [0, 1, 2_048, 4_096, 32_768, 32_769, 262_144, 1_048_577, 4_194_304];

/// A pack `films/a` with an object of each size.
fn films(server: &mut Server) -> Vec<(String, Vec<u8>)> {
    let files: Vec<(String, Vec<u8>)> =
        SIZES.into_iter().map(|size| (format!("v/{size}.m4s"), bytes(size as u64, size))).collect();
    let borrowed: Vec<(&str, Vec<u8>)> =
        files.iter().map(|(path, bytes)| (path.as_str(), bytes.clone())).collect();
    server.add_pack("a", &borrowed);
    files
}

#[test]
fn objects_of_every_size_come_whole_from_every_shard() {
    let mut server = Server::with(Setup { shards: 2, ..Setup::default() });
    let files = films(&mut server);
    for _ in 0..4 {
        let mut client = server.client();
        for (path, bytes) in files.iter().chain(files.iter().rev()) {
            let reply = client.get(&format!("/vod/a/{path}"));
            assert_eq!(reply.status, 200, "{}", reply.head);
            assert!(reply.body == *bytes, "{path} differs");
        }
    }
}

#[test]
fn ranges_conditions_and_heads() {
    let mut server = Server::new();
    let files = films(&mut server);
    let (path, whole) = &files[7];
    let target = format!("/vod/a/{path}");
    let mut client = server.client();
    for (range, first, last) in
        [("0-0", 0, 0), ("100-70000", 100, 70_000), ("1048000-", 1_048_000, 1_048_576)]
    {
        let reply = client.ask("GET", &target, &format!("Range: bytes={range}\r\n"));
        assert_eq!(reply.status, 206);
        assert!(reply.body == whole[first..=last], "{range} differs");
        let size = whole.len();
        assert_eq!(reply.field("content-range"), Some(&*format!("bytes {first}-{last}/{size}")));
    }
    let reply = client.ask("GET", &target, "Range: bytes=5-9,500000-500009\r\n");
    let boundary = reply.field("content-type").unwrap().split_once("boundary=").unwrap().1;
    let mut expected = Vec::new();
    for (start, range) in [("", 5..10), ("\r\n", 500_000..500_010)] {
        expected.extend(
            format!(
                "{start}--{boundary}\r\nContent-Type: video/iso.segment\r\n\
                 Content-Range: bytes {}-{}/{}\r\n\r\n",
                range.start,
                range.end - 1,
                whole.len()
            )
            .into_bytes(),
        );
        expected.extend(&whole[range]);
    }
    expected.extend(format!("\r\n--{boundary}--\r\n").into_bytes());
    assert!(reply.body == expected, "{}", String::from_utf8_lossy(&reply.body));
    let reply = client.ask("HEAD", &target, "");
    assert_eq!(reply.field("content-length"), Some(&*whole.len().to_string()));
    let tag = reply.field("etag").unwrap().to_owned();
    let reply = client.ask("GET", &target, &format!("If-None-Match: {tag}\r\n"));
    assert_eq!((reply.status, reply.body.len()), (304, 0));
    let reply = client.ask("GET", &target, "Range: bytes=9000000-\r\n");
    assert_eq!(reply.status, 416);
    assert_eq!(client.get("/vod/a/nothing.m4s").status, 404);
    assert_eq!(client.get("/healthz").status, 200);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let mut server = Server::new();
    let files = films(&mut server);
    let mut client = server.client();
    let order: Vec<usize> = (0..200).map(|number| number * 7 % 9).collect();
    let mut requests = Vec::new();
    for &file in &order {
        requests
            .extend(format!("GET /vod/a/{} HTTP/1.1\r\nHost: tv\r\n\r\n", files[file].0).bytes());
    }
    let mut writer = client.stream.try_clone().unwrap();
    let writing = std::thread::spawn(move || std::io::Write::write_all(&mut writer, &requests));
    for file in order {
        let reply = client.reply("GET").unwrap();
        assert_eq!(reply.status, 200);
        assert!(reply.body == files[file].1, "{} differs", files[file].0);
    }
    writing.join().unwrap().unwrap();
}

#[test]
fn a_flood_of_pipelined_requests_costs_only_its_sender() {
    let mut server = Server::new();
    films(&mut server);
    let mut flood = server.client();
    flood.stream.set_nonblocking(true).unwrap();
    let requests = b"GET /vod/a/v/2048.m4s HTTP/1.1\r\nHost: tv\r\n\r\n".repeat(10_000);
    // As much as goes, without reading.
    let mut sent = 0;
    while let Ok(count @ 1..) = std::io::Write::write(&mut flood.stream, &requests[sent..]) {
        sent += count;
    }
    let mut client = server.client();
    for _ in 0..100 {
        assert_eq!(client.get("/vod/a/v/2048.m4s").status, 200);
    }
}

#[test]
fn large_bodies_are_not_copied_and_small_ones_once() {
    let mut server = Server::new();
    let files = films(&mut server);
    let mut client = server.client();
    for _ in 0..3 {
        for (path, bytes) in files.iter().filter(|(_, bytes)| bytes.len() > 32_768) {
            assert!(client.get(&format!("/vod/a/{path}")).body == *bytes);
        }
    }
    assert_eq!(server.report().body_copied_bytes, 0);
    for _ in 0..10 {
        client.get("/vod/a/v/2048.m4s");
    }
    server.until("ten small bodies are counted", |report| report.body_copied_bytes == 20_480);
}

#[test]
fn a_file_in_memory_is_replaced_between_responses() {
    let mut server = Server::new();
    let mut client = server.client();
    for version in 0..20_u64 {
        let (source, body) = (server.source(), bytes(version, 100 + 20_000 * version as usize));
        let opened = content::in_memory("live.m3u8", source, &body);
        server.list_file("live/live.m3u8", &opened);
        // The report comes after the listing.
        server.report();
        assert!(client.get("/vod/live/live.m3u8").body == body, "version {version} differs");
    }
    server.until_heard("old versions are let go", |heard| heard.released.len() == 19);
}

#[test]
fn zero_copy_gives_way_where_the_kernel_copies() {
    let mut server = Server::with(Setup { backend: Backend::SendZeroCopy, ..Setup::default() });
    let files = films(&mut server);
    let mut client = server.client();
    assert_eq!(server.report().backends, [("sendfile", 0), ("send_zc", 1)]);
    for _ in 0..20 {
        for (path, bytes) in &files {
            assert!(client.get(&format!("/vod/a/{path}")).body == *bytes, "{path} differs");
        }
    }
    // The loopback device copies. Kernels before 6.2 do not say so, and it stays.
    if says_what_it_copies() {
        assert_eq!(server.report().backends, [("sendfile", 1), ("send_zc", 0)]);
    }
}

/// Whether this kernel's notifications say that it copied.
fn says_what_it_copies() -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(['.', '-']).map(|part| part.parse::<u32>().unwrap_or(0));
    (numbers.next(), numbers.next()) >= (Some(6), Some(2))
}

#[test]
fn every_response_has_its_line_in_the_log() {
    let mut server = Server::new();
    let files = films(&mut server);
    let mut client = server.client();
    for (path, _) in &files {
        client.get(&format!("/vod/a/{path}"));
    }
    client.get("/vod/nowhere.ts");
    for (path, bytes) in &files {
        let record = server.access.recv_timeout(crate::server::PATIENCE).unwrap();
        let expected = format!("GET /vod/a/{path} HTTP/1.1\r\nHost: tv\r\n\r\n");
        assert_eq!(String::from_utf8_lossy(&record.head), expected);
        assert_eq!((record.status, record.body_bytes), (200, bytes.len() as u64));
        assert!(!record.aborted && record.peer.is_some_and(|peer| peer.is_loopback()));
    }
    let record = server.access.recv_timeout(crate::server::PATIENCE).unwrap();
    assert_eq!(record.status, 404);
}

#[test]
fn a_bad_request_gets_one_response_and_the_door() {
    let server = Server::new();
    for (bytes, status) in [
        ("GET / HTTP/1.1\r\n\r\nGET /healthz HTTP/1.1\r\nHost: tv\r\n\r\n", 400),
        ("BREW / HTTP/1.1\r\nHost: tv\r\n\r\n", 405),
        ("GET / HTTP/3.0\r\nHost: tv\r\n\r\n", 505),
        ("GET /vod/a HTTP/1.1\r\nHost: tv\r\nContent-Length: 5\r\n\r\nhello", 413),
    ] {
        let mut client = Client::connect(server.address);
        client.write(bytes.as_bytes());
        let reply = client.reply("GET").unwrap();
        assert_eq!(reply.status, status, "{bytes:?}");
        assert_eq!(client.rest(), Ok(Vec::new()), "a clean end, and nothing before it");
    }
}
