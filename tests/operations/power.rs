//! Power cuts under API writes, on the registry's files.
//!
//! strace writes down what the server writes and syncs. A cut at some moment leaves of each file
//! what was synced before it; of what was written since, each 512-byte sector is there or is not.
//! The names of the files count as durable, since the folder was synced before the server was
//! ready, and a disk that lies about syncs is not simulated.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::asking::{Random, now_us, seed, try_ask};
use super::running::{Place, Running, program, run, serve, until_found};

const SECTOR: usize = 512;

/// A write that was acknowledged.
struct Acknowledged {
    at: u64,
    revision: u64,
    id: String,
    /// What it says; none = it is gone.
    says: Option<String>,
}

/// What happened to a file.
struct Call {
    begun: u64,
    ended: u64,
    file: String,
    what: What,
}

enum What {
    Write { offset: usize, bytes: Vec<u8> },
    Cut { size: usize },
    Sync,
}

/// The server under strace; its files lie in the state folder of this place.
fn traced(place: &Place) -> Running {
    let state = place.path("state");
    std::fs::create_dir(&state).unwrap();
    let mut command = Command::new("strace");
    // The server is our child, and strace its companion; a file a thread.
    command.args(["-D", "-ff", "-ttt", "-T", "-y", "-xx", "-s", "70000"]);
    command.arg("-o").arg(place.path("trace"));
    command.args(["-e", "trace=pwrite64,pwritev,write,writev,ftruncate,fsync,fdatasync,fallocate"]);
    for name in ["registry.db", "registry.db-wal"] {
        command.arg("-P").arg(state.join(name));
    }
    let serve = serve(&place.config(""));
    command.arg(serve.get_program()).args(serve.get_args());
    for (name, value) in serve.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    Running::start(&mut command)
}

/// What was traced, in its order.
fn calls(place: &Place) -> Vec<Call> {
    let files = std::fs::read_dir(place.path("")).unwrap().map(|file| file.unwrap().path());
    let is_trace =
        |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with("trace.");
    let mut calls = Vec::new();
    for path in files.filter(is_trace) {
        let text = until_found(|| {
            let text = std::fs::read_to_string(&path).expect("strace is installed");
            // Its thread has ended, or the file may still grow.
            let last = text.lines().next_back().unwrap_or_default();
            let last = last.get(..100).unwrap_or(last).to_owned();
            let has_ended = text.ends_with(" +++\n");
            has_ended.then_some(text).ok_or_else(|| format!("{}: no end: {last}", path.display()))
        });
        calls.extend(text.lines().filter_map(call));
    }
    calls.sort_by_key(|call| call.begun);
    calls
}

/// `1795791859.009102 fsync(14</state/registry.db>) = 0 <0.000205>`, with bytes as `\x2f`.
fn call(line: &str) -> Option<Call> {
    let (begun, rest) = line.split_once(' ')?;
    let (name, rest) = rest.split_once('(')?;
    let (seconds, micros) = begun.split_once('.')?;
    let begun = seconds.parse::<u64>().ok()? * 1_000_000 + micros.parse::<u64>().ok()?;
    // What the kill has cut off never ended.
    let took = rest.rsplit_once(" <").and_then(|(_, took)| took.strip_suffix('>'));
    let took = took.and_then(|took| took.split_once('.')).map(|(seconds, micros)| {
        seconds.parse::<u64>().unwrap() * 1_000_000 + micros.parse::<u64>().unwrap()
    });
    let ended = took.map_or(u64::MAX, |took| begun + took);
    let path = rest.split_once('<')?.1.split_once('>')?.0;
    let path = String::from_utf8(bytes(path)).unwrap();
    let file = Path::new(&path).file_name()?.to_str()?.to_owned();
    let what = match name {
        "pwrite64" => {
            let (_, rest) = rest.split_once('"')?;
            let (data, rest) = rest.split_once('"')?;
            assert!(!rest.starts_with("..."), "strace left something out");
            let offset = rest.split(", ").nth(2)?.split(')').next()?.parse().unwrap();
            What::Write { offset, bytes: bytes(data) }
        }
        "ftruncate" => {
            What::Cut { size: rest.split(", ").nth(1)?.split(')').next()?.parse().unwrap() }
        }
        "fsync" | "fdatasync" => What::Sync,
        other => panic!("SQLite writes in a way that is not known here: {other}"),
    };
    Some(Call { begun, ended, file, what })
}

fn bytes(escaped: &str) -> Vec<u8> {
    let digits = escaped.split("\\x").skip(1);
    digits.map(|two| u8::from_str_radix(two, 16).expect("strace -xx")).collect()
}

/// What a cut at this moment leaves of a file.
fn left(calls: &[Call], file: &str, moment: u64, random: &mut Random) -> Vec<u8> {
    let of = || calls.iter().filter(|call| call.file == file && call.begun <= moment);
    let is_sync = |call: &&Call| matches!(call.what, What::Sync) && call.ended <= moment;
    let synced = of().filter(is_sync).map(|call| call.begun).max().unwrap_or(0);
    let mut left = Vec::new();
    for call in of() {
        let is_durable = call.ended <= synced;
        let fate = if is_durable { 0 } else { random.below(3) };
        match &call.what {
            What::Write { offset, bytes } => {
                for (index, sector) in bytes.chunks(SECTOR).enumerate() {
                    let is_there = fate == 0 || fate == 1 && random.below(2) == 0;
                    if is_there {
                        let at = offset + index * SECTOR;
                        let end = at + sector.len();
                        left.resize(left.len().max(end), 0);
                        left[at..end].copy_from_slice(sector);
                    }
                }
            }
            What::Cut { size } if fate == 0 => left.resize(*size, 0),
            What::Cut { .. } | What::Sync => {}
        }
    }
    left
}

/// Writes plans, one after the other, and remembers when each was acknowledged.
fn write(state: &Path, count: u64, random: &mut Random) -> Vec<Acknowledged> {
    let mut written: Vec<Acknowledged> = Vec::new();
    let mut there = BTreeMap::<String, String>::new();
    for stamp in 0..count {
        let id = format!("p{}", random.below(12));
        let path = format!("/api/v1/plans/{id}");
        let is_there = there.contains_key(&id);
        let says = (!is_there || random.below(4) > 0).then(|| format!("w{stamp}"));
        let answer = match &says {
            Some(says) => {
                let body = format!(r#"{{"name":"{says}","bitrate_max_kbps":{stamp}}}"#);
                try_ask(state, "PUT", &path, "", &body)
            }
            None => try_ask(state, "DELETE", &path, "", ""),
        };
        let (status, body) = answer.expect("the server answers");
        assert!(matches!(status, 200 | 204), "{status} {body}");
        let at = now_us();
        let before = written.last().map_or(1, |last| last.revision);
        let revision = body["revision"].as_u64().unwrap_or(before + 1);
        match &says {
            Some(says) => drop(there.insert(id.clone(), says.clone())),
            None => drop(there.remove(&id)),
        }
        written.push(Acknowledged { at, revision, id, says });
    }
    written
}

/// What the plans say in a registry, and its revision.
fn plans(state: &Path) -> (BTreeMap<String, String>, u64) {
    let registry = rusqlite::Connection::open(state.join("registry.db")).unwrap();
    let check = "PRAGMA integrity_check";
    let said: String = registry.query_row(check, (), |row| row.get(0)).unwrap();
    assert_eq!(said, "ok");
    let select = "SELECT id, document FROM object WHERE kind = 'plan'";
    let mut select = registry.prepare(select).unwrap();
    let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?));
    let all = select.query_map((), row).unwrap().map(|plan| {
        let (id, document) = plan.unwrap();
        let document: serde_json::Value = serde_json::from_str(&document).unwrap();
        let says = document["name"].as_str().unwrap().to_owned();
        assert_eq!(says, format!("w{}", document["bitrate_max_kbps"]), "{id} is half there");
        (id, says)
    });
    let all = all.collect();
    let select = "SELECT revision FROM registry";
    (all, registry.query_row(select, (), |row| row.get::<_, i64>(0)).unwrap() as u64)
}

/// Looks at what a cut left.
fn check(state: &Path, written: &[Acknowledged], moment: u64) {
    let mut verify = program();
    let said = run(verify.args(["audit", "verify", "--state"]).arg(state));
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    let (plans, revision) = plans(state);
    let acknowledged = written.iter().filter(|write| write.at <= moment).count();
    let least = written[..acknowledged].last().map_or(1, |last| last.revision);
    // One more may have been made that nobody heard of.
    let most = written.get(acknowledged).map_or(least, |next| next.revision);
    assert!((least..=most).contains(&revision), "{least} {revision} {most}");
    let mut expected = BTreeMap::new();
    for write in written.iter().take_while(|write| write.revision <= revision) {
        match &write.says {
            Some(says) => drop(expected.insert(write.id.clone(), says.clone())),
            None => drop(expected.remove(&write.id)),
        }
    }
    assert_eq!(plans, expected, "revision {revision}");
}

#[test]
fn of_what_was_acknowledged_before_a_power_cut_nothing_is_lost_and_nothing_is_half_there() {
    let is_full = std::env::var_os("SHARDCAST_FULL").is_some();
    let seed = seed();
    eprintln!("SEED={seed}");
    let mut random = Random(seed);
    let place = Place::new();
    let server = traced(&place);
    let begun = now_us();
    // So many that the log of SQLite is brought into its file at least once.
    let written = write(&place.path("state"), if is_full { 640 } else { 320 }, &mut random);
    server.signal("KILL");
    server.ended();
    let calls = calls(&place);
    let later = calls.iter().filter(|call| call.begun > begun).collect::<Vec<_>>();
    let into_file =
        later.iter().filter(|call| call.file == "registry.db" && matches!(call.what, What::Sync));
    assert!(into_file.count() > 0, "no checkpoint: more writes are wanted");
    for cut in 0..50 {
        let call = later[random.below(later.len() as u64) as usize];
        let moment = if random.below(2) == 0 { call.begun } else { call.ended };
        let left_over = Place::new();
        let state = left_over.path("state");
        std::fs::create_dir(&state).unwrap();
        for file in ["registry.db", "registry.db-wal"] {
            std::fs::write(state.join(file), left(&calls, file, moment, &mut random)).unwrap();
        }
        std::fs::copy(place.path("state/audit.key"), state.join("audit.key")).unwrap();
        eprintln!("cut {cut} at {moment}");
        check(&state, &written, moment.min(now_us()));
        // And the server goes on with it.
        if is_full || cut < 3 {
            let server = Running::start(&mut serve(&left_over.config("")));
            let body = r#"{"name":"w7","bitrate_max_kbps":7}"#;
            let made = try_ask(&state, "PUT", "/api/v1/plans/last", "", body).unwrap();
            assert_eq!(made.0, 200);
            drop(server);
            let said = run(program().args(["audit", "verify", "--state"]).arg(&state));
            assert_eq!((said.code, said.err.as_str()), (0, ""));
        }
    }
}
