//! What the shards of a running server do, seen from outside: threads, system calls, metrics.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use super::running::{PATIENCE, Place, Running, get, program, serve};

/// The processors of a `Cpus_allowed_list`: "0-2,5".
fn processors(status: &str) -> Vec<usize> {
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap();
    list.trim()
        .split(',')
        .flat_map(|range| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            first.parse::<usize>().unwrap()..=last.parse().unwrap()
        })
        .collect()
}

/// The threads of a process by name, and where each may run.
fn threads(process: u32) -> BTreeMap<String, Vec<usize>> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    tasks
        .filter_map(|task| {
            let task = task.unwrap().path();
            let name = fs::read_to_string(task.join("comm")).ok()?;
            let status = fs::read_to_string(task.join("status")).ok()?;
            Some((name.trim().to_owned(), processors(&status)))
        })
        .collect()
}

#[test]
fn there_is_a_shard_for_each_inherited_processor_pinned_in_order() {
    let all = processors(&fs::read_to_string("/proc/thread-self/status").unwrap());
    for mask in [all.clone(), vec![*all.last().unwrap()]] {
        let list: Vec<String> = mask.iter().map(ToString::to_string).collect();
        let place = Place::new();
        let mut command = Command::new("taskset");
        command.args(["-c", &list.join(",")]).arg(program().get_program());
        command.args(["serve", "--shards", "0", "--config"]).arg(place.config(""));
        let server = Running::start(&mut command);
        let threads = threads(server.id());
        for (number, processor) in mask.iter().enumerate() {
            assert_eq!(threads.get(&format!("shard-{number}")), Some(&vec![*processor]));
        }
        let shards = threads.keys().filter(|name| name.starts_with("shard-")).count();
        assert_eq!(shards, mask.len(), "{threads:?}");
        server.signal("TERM");
        assert!(server.ended().success());
    }
}

/// A number from the metrics.
fn metric(server: &Running, name: &str) -> u64 {
    let text = server.admin_get("/metrics");
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("{name}: {text}")).parse().unwrap()
}

/// The program under strace, which writes the system calls of `trace` to `log`, and fails some.
fn traced(trace: &str, more: &[&str], log: &Path, config: &Path) -> Command {
    let mut command = Command::new("strace");
    // -D: our child is the program, not strace, so that signals reach it.
    command.args(["-D", "-f", "-qq", "-e", trace]).args(more).arg("-o").arg(log);
    command.arg(program().get_program()).arg("serve").arg("--config").arg(config);
    command
}

#[test]
fn a_small_response_is_one_send_of_the_ring_and_no_call() {
    const REQUESTS: u64 = 200;
    let place = Place::new();
    fs::write(place.path("library/s.m4s"), vec![7; 2_048]).unwrap();
    let log = place.path("calls");
    let trace = "trace=sendfile,sendto,sendmsg,sendmmsg,write,writev,splice";
    let server = Running::start(&mut traced(trace, &[], &log, &place.config("")));
    let shard = fs::read_dir(format!("/proc/{}/task", server.id()))
        .unwrap()
        .map(|task| task.unwrap().path())
        .find(|task| fs::read_to_string(task.join("comm")).is_ok_and(|name| name == "shard-0\n"))
        .unwrap();
    let shard = shard.file_name().unwrap().to_str().unwrap().to_owned();
    let mut client = TcpStream::connect(server.public).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut ask = |name: &str, size: usize| {
        let request = format!("GET /vod/library/{name} HTTP/1.1\r\nHost: tv\r\n\r\n");
        client.write_all(request.as_bytes()).unwrap();
        let mut response = Vec::new();
        while response.len() < size || !response.ends_with(&vec![7; size]) {
            let mut bytes = [0; 65_536];
            let count = client.read(&mut bytes).unwrap();
            assert!(count > 0, "the connection ended");
            response.extend(&bytes[..count]);
        }
    };
    ask("s.m4s", 2_048);
    let before = metric(&server, "shardcast_ring_completions_total");
    for _ in 0..REQUESTS {
        ask("s.m4s", 2_048);
    }
    let after = metric(&server, "shardcast_ring_completions_total");
    // A receive and a send each; the scrapes ring the bell, and a connection is looked after.
    let spent = after - before;
    assert!((2 * REQUESTS..2 * REQUESTS + REQUESTS / 2).contains(&spent), "{spent} completions");
    assert_eq!(metric(&server, "shardcast_body_copied_bytes_total"), (REQUESTS + 1) * 2_048);
    let calls = |log: &str| -> Vec<String> {
        let own = log.lines().filter(|line| line.split(' ').next() == Some(&shard));
        own.filter(|line| line.contains("send") || line.contains("write"))
            .map(str::to_owned)
            .collect()
    };
    assert_eq!(calls(&fs::read_to_string(&log).unwrap()), Vec::<String>::new());
    // That such calls would be seen: a large body takes some.
    ask("a.ts", 4 << 20);
    server.signal("TERM");
    assert!(server.ended().success());
    let seen = calls(&fs::read_to_string(&log).unwrap());
    assert!(seen.iter().any(|line| line.contains("sendfile(")), "{seen:?}");
}

#[test]
fn each_listener_has_a_backend_of_its_own() {
    let place = Place::new();
    let config = place.config("");
    let text = fs::read_to_string(&config).unwrap();
    let listen = "[\"127.0.0.1:0\", { address = \"127.0.0.2:0\", backend = \"send_zc\" }]";
    fs::write(&config, text.replace("[\"127.0.0.1:0\"]", listen)).unwrap();
    let mut command = serve(&config);
    let server = Running::start(&mut command);
    let backends = || {
        ["sendfile", "send_zc"].map(|backend| {
            metric(&server, &format!("shardcast_send_backend{{backend=\"{backend}\"}}"))
        })
    };
    assert_eq!(backends(), [1, 1]);
    // What is served by the one says nothing of the other, which gives up where the kernel copies.
    let [sendfile, zero_copy] = server.publics[..] else { panic!("{:?}", server.publics) };
    for _ in 0..20 {
        assert!(get(sendfile, "/vod/library/a.ts").len() > 4 << 20);
    }
    assert_eq!(backends(), [1, 1]);
    for _ in 0..20 {
        assert!(get(zero_copy, "/vod/library/a.ts").len() > 4 << 20);
    }
    assert_eq!(backends(), [2, 0]);
}

#[test]
fn a_disk_error_in_the_middle_of_a_body_costs_that_file_only() {
    let place = Place::new();
    fs::write(place.path("library/b.ts"), vec![8; 4 << 20]).unwrap();
    // The second sendfile of the shard fails as it does over a bad block.
    let inject = ["-e", "inject=sendfile:error=EIO:when=2"];
    let log = place.path("calls");
    let server = Running::start(&mut traced("trace=sendfile", &inject, &log, &place.config("")));
    let mut client = TcpStream::connect(server.public).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.write_all(b"GET /vod/library/a.ts HTTP/1.1\r\nHost: tv\r\n\r\n").unwrap();
    let mut response = Vec::new();
    let end = client.read_to_end(&mut response).unwrap_err();
    assert_eq!(end.kind(), std::io::ErrorKind::ConnectionReset, "no clean end of half a body");
    assert!(response.starts_with(b"HTTP/1.1 200 ") && response.len() > 1_000, "the middle");
    assert!(response.len() < 4 << 20);
    // The library marks it; until then nothing says so.
    server.says("a.ts");
    assert!(server.public_get("/vod/library/a.ts").starts_with("HTTP/1.1 503 "));
    assert!(server.public_get("/vod/library/b.ts").len() > 4 << 20);
    assert!(server.public_get("/vod/library/a.m3u8").ends_with("#EXTM3U\n"));
    assert!(metric(&server, "shardcast_payload_faults_total") > 0);
}

#[test]
fn a_file_that_is_out_of_memory_is_counted_as_a_cold_read() {
    let place = Place::new();
    // On the disk of the target folder: a scratch folder may be memory.
    let disk = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let library = disk.path().join("library");
    let path = library.join("cold.ts");
    fs::create_dir(&library).unwrap();
    fs::write(library.join("a.m3u8"), "#EXTM3U\n").unwrap();
    fs::write(&path, vec![7; 4 << 20]).unwrap();
    let config = place.config("[limits]\nhuge_pages = \"off\"\nscrub_rate = 0\n");
    let text = fs::read_to_string(&config).unwrap();
    let named = format!("path = \"{}\"", library.display());
    fs::write(&config, text.replace("path = \"library\"", &named)).unwrap();
    let server = Running::start(&mut serve(&config));
    let file = fs::File::open(&path).unwrap();
    file.sync_all().unwrap();
    shardcast::sys::files::advise(&file, 0, 0, libc::POSIX_FADV_DONTNEED);
    assert_eq!(metric(&server, "shardcast_cold_reads_total"), 0);
    assert!(server.public_get("/vod/library/cold.ts").len() > 4 << 20);
    assert!(metric(&server, "shardcast_cold_reads_total") > 0);
}
