//! `shardcast pack` as a process: killed at any moment, and what it says to the kernel.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

fn shardcast() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shardcast"));
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// A folder of 24 MB in 12 files.
fn source() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a scratch folder");
    for number in 0..12u8 {
        let bytes: Vec<u8> = (0..2_000_000u32).map(|at| (at >> 8) as u8 ^ number).collect();
        fs::write(folder.path().join(format!("{number}.ts")), bytes).expect("written");
    }
    fs::write(folder.path().join("a.m3u8"), "#EXTM3U\n0.ts\n".repeat(100)).expect("written");
    folder
}

fn is_good(pack: &Path) -> bool {
    shardcast().args(["pack", "verify"]).arg(pack).status().expect("it runs").success()
}

/// Size of the file that is being written, if there is one.
fn unfinished_size(folder: &Path) -> Option<u64> {
    let mut names = fs::read_dir(folder).expect("listed").flatten();
    let part = names.find(|entry| entry.file_name().to_string_lossy().ends_with("-part"))?;
    part.metadata().ok().map(|metadata| metadata.len())
}

#[test]
fn killed_at_any_moment_it_leaves_no_half_visible_pack() {
    let rounds = if std::env::var_os("SHARDCAST_FULL").is_some() { 100u64 } else { 10 };
    let (source, out) = (source(), tempfile::tempdir().expect("a scratch folder"));
    let target = out.path().join("a.pack");
    let mut seen_unfinished = 0;
    for round in 0..rounds {
        let mut child = shardcast()
            .arg("pack")
            .arg(source.path())
            .arg("-o")
            .arg(&target)
            .spawn()
            .expect("it runs");
        // Moments spread over the whole run: a size of the unfinished file, then the pack itself.
        let moment = round * 26_000_000 / rounds;
        while child.try_wait().expect("it is ours").is_none()
            && unfinished_size(out.path()).unwrap_or(0) <= moment
            && !target.exists()
        {
            std::thread::yield_now();
        }
        child.kill().expect("it is ours");
        child.wait().expect("it is ours");
        seen_unfinished += u32::from(unfinished_size(out.path()).is_some());
        assert!(!target.exists() || is_good(&target), "a torn pack in round {round}");
        let _ = fs::remove_file(&target);
    }
    assert!(seen_unfinished > 0, "no run was killed at work");
    let mut last = shardcast();
    assert!(
        last.arg("pack")
            .arg(source.path())
            .arg("-o")
            .arg(&target)
            .status()
            .expect("runs")
            .success()
    );
    assert!(is_good(&target));
    assert_eq!(unfinished_size(out.path()), None, "what the dead left is removed");
}

#[test]
fn it_never_truncates_overwrites_or_publishes_what_is_not_synced() {
    let (source, out) = (source(), tempfile::tempdir().expect("a scratch folder"));
    let target = out.path().join("a.pack");
    let trace = out.path().join("trace");
    let calls = "openat,open,creat,openat2,truncate,ftruncate,fallocate,pwrite64,pwritev,pwritev2,lseek,\
                 mmap,write,fdatasync,fsync,rename,renameat,renameat2,unlink,unlinkat,link,linkat";
    let traced = Command::new("strace")
        .args(["-f", "-y", "-s", "0", "-e", calls, "-o"])
        .arg(&trace)
        .arg(env!("CARGO_BIN_EXE_shardcast"))
        .arg("pack")
        .arg(source.path())
        .arg("-o")
        .arg(&target)
        .stdout(Stdio::null())
        .status()
        .expect("strace is installed (apt-get install strace)");
    assert!(traced.success());
    let trace = fs::read_to_string(trace).expect("strace wrote it");
    let lines: Vec<&str> = trace.lines().filter(|line| line.contains("a.pack")).collect();
    for line in &lines {
        for never in
            ["O_TRUNC", "truncate(", "pwrite", "fallocate(", "creat(", "PROT_WRITE", "unlink"]
        {
            assert!(!line.contains(never), "{line}");
        }
        assert!(!line.contains("lseek(") || line.contains("SEEK_CUR"), "{line}");
    }
    let place = |what: &str| {
        lines
            .iter()
            .position(|line| line.contains(what))
            .unwrap_or_else(|| panic!("no {what}: {trace}"))
    };
    let created = lines[place("O_CREAT")];
    assert!(created.contains("O_EXCL") && created.contains("O_APPEND"), "{created}");
    let writes = lines.iter().filter(|line| line.contains("write(")).count();
    assert!((12..30).contains(&writes), "writes of 2 MiB: {writes}");
    let last_write = lines.iter().rposition(|line| line.contains("write(")).expect("it writes");
    assert!(last_write < place("fdatasync(") && place("fdatasync(") < place("rename"));
    assert!(lines[place("rename")].contains("RENAME_NOREPLACE"));
    let renamed = trace.find("RENAME_NOREPLACE").expect("seen above");
    assert!(trace[renamed..].contains("fsync("), "the folder is synced last");
}
