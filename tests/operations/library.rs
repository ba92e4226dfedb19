//! Libraries as the running server sees them: what its log says, and what it gets over.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::running::{PATIENCE, Place, Running, program, run, serve};

/// A pack of one segment, in the library.
fn pack(place: &Place, name: &str, bytes: &[u8]) {
    let folder = place.path("to-pack");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("seg.ts"), bytes).unwrap();
    let target = place.path(&format!("library/{name}.pack"));
    let said = run(program().args(["pack", "--replace"]).arg(folder).arg("-o").arg(target));
    assert_eq!(said.code, 0, "{}", said.err);
}

/// Asks until a path has this status; gives the response.
fn until(status: u16, mut ask: impl FnMut() -> String) -> String {
    let began = Instant::now();
    loop {
        let response = ask();
        if response.starts_with(&format!("HTTP/1.1 {status} ")) {
            return response;
        }
        assert!(began.elapsed() < PATIENCE, "never {status}: {:.300}", response);
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_damaged_pack_is_named_with_its_reason_at_first_touch() {
    let place = Place::new();
    for (name, cut) in [("bad", 1), ("flipped", 0)] {
        pack(&place, name, b"segment");
        let path = place.path(&format!("library/{name}.pack"));
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.truncate(bytes.len() - cut);
        // In the index, which lies behind the header and one payload page.
        bytes[8200] ^= u8::from(cut == 0);
        std::fs::write(&path, bytes).unwrap();
    }
    let server = Running::start(&mut serve(&place.config("")));
    for (name, why) in [("bad", "it has no trailer"), ("flipped", "its index is damaged")] {
        let response = server.public_get(&format!("/vod/library/{name}/seg.ts"));
        assert!(response.starts_with("HTTP/1.1 503 "), "{response}");
        let line = server.says(&format!("{name}.pack"));
        let message = line["message"].as_str().unwrap();
        let path = place.path(&format!("library/{name}.pack"));
        assert!(message.contains(&path.display().to_string()), "{message}");
        assert!(message.contains(why), "{message}");
        assert_eq!(line["level"], "ERROR");
    }
    assert!(server.public_get("/vod/library/a.ts").starts_with("HTTP/1.1 200 "));
    pack(&place, "bad", b"mended");
    let response = until(200, || server.public_get("/vod/library/bad/seg.ts"));
    assert!(response.ends_with("mended"), "{response}");
}

#[test]
fn of_two_files_of_one_name_both_are_named() {
    let place = Place::new();
    std::fs::create_dir_all(place.path("second/library")).unwrap();
    let server = Running::start(&mut serve(&place.config("[[library]]\npath = \"second\"\n")));
    std::fs::write(place.path("second/library/a.ts"), "another").unwrap();
    let line = server.says("has its name already");
    let message = line["message"].as_str().unwrap();
    for name in ["second/library/a.ts", "library/a.ts"] {
        let path = place.path(name).display().to_string();
        assert!(message.contains(&path), "{path}: {message}");
    }
    assert_eq!(line["level"], "WARN");
    assert!(server.public_get("/vod/library/a.ts").contains("Content-Length: 4194304"));
}

/// One request on a connection that stays; the status line and the rest.
fn ask(stream: &mut TcpStream, path: &str) -> String {
    write!(stream, "HEAD {path} HTTP/1.1\r\nHost: tv\r\n\r\n").unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

#[test]
fn packs_that_find_no_descriptor_are_served_when_there_are_some_again() {
    let place = Place::new();
    pack(&place, "film", b"segment");
    let server = Running::start(&mut serve(&place.config("")));
    let mut stream = TcpStream::connect(server.public).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    assert!(ask(&mut stream, "/vod/library/a.m3u8").starts_with("HTTP/1.1 200 "));
    let allow = |soft: &str| {
        let mut prlimit = Command::new("prlimit");
        prlimit.arg(format!("--pid={}", server.id())).arg(format!("--nofile={soft}:"));
        assert!(prlimit.status().expect("prlimit is there (util-linux)").success());
    };
    allow("4");
    let path = "/vod/library/film/seg.ts";
    let refused = ask(&mut stream, path);
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    let line = server.says("film.pack");
    assert!(line["message"].as_str().unwrap().contains("LimitNOFILE"), "{line}");
    // What is in memory is served meanwhile.
    assert!(ask(&mut stream, "/vod/library/a.m3u8").starts_with("HTTP/1.1 200 "));
    allow("1024");
    until(200, || ask(&mut stream, path));
}

/// `serve` as a user who owns nothing and may ask for no lease.
fn serve_as_nobody(place: &Place) -> Command {
    let shared = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    shared(&place.path(""), 0o755);
    std::fs::create_dir(place.path("state")).unwrap();
    shared(&place.path("state"), 0o777);
    // Where the program lies nobody else may look.
    std::fs::copy(env!("CARGO_BIN_EXE_shardcast"), place.path("program")).unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all"]);
    command.args(["--inh-caps=-all", "--"]).arg(place.path("program"));
    command.arg("serve").arg("--config").arg(place.config(""));
    for (name, _) in program().get_envs() {
        command.env_remove(name);
    }
    command
}

#[test]
fn where_no_lease_may_be_asked_for_a_file_is_whole_when_its_size_is_stable() {
    let place = Place::new();
    let server = Running::start(&mut serve_as_nobody(&place));
    let path = "/vod/library/film.mp4";
    let mut writer = std::fs::File::create(place.path("library/film.mp4")).unwrap();
    let mut size = 0;
    let mut append = |mut rounds: u32| {
        let mut gap = Duration::ZERO;
        while rounds > 0 {
            let began = Instant::now();
            writer.write_all(&[7; 64 << 10]).unwrap();
            size += 64 << 10;
            let response = server.public_get(path);
            gap = gap.max(began.elapsed());
            // Two looks a second apart must see the same: a test that stood still proves nothing.
            let is_absent = response.starts_with("HTTP/1.1 404 ");
            assert!(is_absent || gap > Duration::from_millis(400), "{:.300}", response);
            std::thread::sleep(Duration::from_millis(20));
            rounds -= 1;
        }
        size
    };
    let first = append(100);
    // Its writer has it open still, which we can't know.
    let response = until(200, || server.public_get(path));
    assert!(response.contains(&format!("Content-Length: {first}\r\n")), "{:.300}", response);
    drop(writer);
}
