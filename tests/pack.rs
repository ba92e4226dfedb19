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

/// Runs the program with its calls recorded.
fn traced(trace: &Path, arguments: &[&std::ffi::OsStr]) -> String {
    let calls = "openat,open,creat,openat2,truncate,ftruncate,fallocate,pwrite64,pwritev,pwritev2,lseek,\
                 mmap,write,fdatasync,fsync,syncfs,rename,renameat,renameat2,unlink,unlinkat,link,linkat";
    let status = Command::new("strace")
        .args(["-f", "-y", "-s", "0", "-e", calls, "-o"])
        .arg(trace)
        .arg(env!("CARGO_BIN_EXE_shardcast"))
        .args(arguments)
        .stdout(Stdio::null())
        .status()
        .expect("strace is installed (apt-get install strace)");
    assert!(status.success());
    fs::read_to_string(trace).expect("strace wrote it")
}

/// Calls that would change bytes which somebody may be reading.
fn overwrites(line: &str) -> bool {
    let never = ["O_TRUNC", "truncate(", "pwrite", "fallocate(", "creat(", "PROT_WRITE"];
    never.iter().any(|call| line.contains(call))
        || (line.contains("O_CREAT") && !line.contains("O_EXCL"))
}

#[test]
fn replacing_a_pack_leaves_the_old_bytes_to_their_readers() {
    use std::os::unix::fs::MetadataExt;
    let (source, out) = (source(), tempfile::tempdir().expect("a scratch folder"));
    let target = out.path().join("a.pack");
    let pack = [std::ffi::OsStr::new("pack"), source.path().as_os_str(), "-o".as_ref()];
    let first = [&pack[..], &[target.as_os_str()]].concat();
    assert!(shardcast().args(&first).status().expect("it runs").success());
    let old = fs::File::open(&target).expect("it is there");
    let before = old.metadata().expect("open");
    let trace = traced(&out.path().join("trace"), &[&first[..], &["--replace".as_ref()]].concat());
    let lines: Vec<&str> = trace.lines().filter(|line| line.contains("a.pack")).collect();
    for line in &lines {
        assert!(!overwrites(line), "{line}");
        // The visible file is named by the rename, and by nothing that could write to it.
        let is_hidden = line.contains(".shardcast-part");
        let is_read = line.contains("O_RDONLY") || line.contains("O_PATH");
        assert!(is_hidden || is_read, "{line}");
    }
    let synced = trace.rfind("fdatasync(").expect("it is synced");
    assert!(synced < trace.rfind("rename").expect("it is renamed"));
    let after = old.metadata().expect("open");
    assert_eq!((before.size(), before.mtime_nsec()), (after.size(), after.mtime_nsec()));
    assert_eq!(after.nlink(), 0, "another file has its name");
    assert!(is_good(&target));
}

#[test]
fn extracting_and_packaging_write_beside_and_show_whole_folders() {
    let (source, out) = (source(), tempfile::tempdir().expect("a scratch folder"));
    let (pack, files) = (out.path().join("a.pack"), out.path().join("files"));
    let first = shardcast().arg("pack").arg(source.path()).arg("-o").arg(&pack).status();
    assert!(first.expect("it runs").success());
    let arguments =
        ["pack".as_ref(), "extract".as_ref(), pack.as_os_str(), "-o".as_ref(), files.as_os_str()];
    let trace = traced(&out.path().join("trace"), &arguments);
    for line in trace.lines().filter(|line| line.contains("/.files.") || line.contains("a.pack")) {
        assert!(!overwrites(line), "{line}");
    }
    check_folder(&trace, &files);

    let (clip, ladder) = (out.path().join("clip.mp4"), out.path().join("ladder"));
    let picture = "testsrc2=size=320x180:rate=25:duration=1";
    let ffmpeg = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-f", "lavfi", "-i", picture])
        .args(["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"])
        .arg(&clip)
        .status();
    assert!(ffmpeg.expect("ffmpeg is installed").success());
    let arguments = [
        "package".as_ref(),
        "--preset".as_ref(),
        "ultrafast".as_ref(),
        "-o".as_ref(),
        ladder.as_os_str(),
        clip.as_os_str(),
    ];
    let trace = traced(&out.path().join("trace"), &arguments);
    check_folder(&trace, &ladder);
}

/// Nothing was written under the visible name; all was synced before it got it.
fn check_folder(trace: &str, folder: &Path) {
    let below = format!("{}/", folder.display());
    for line in trace.lines().filter(|line| line.contains(&below)) {
        assert!(line.contains("O_RDONLY") || line.contains("O_PATH"), "{line}");
    }
    let named = format!("\"{}\"", folder.display());
    let is_renamed = |line: &&str| line.contains("rename") && line.contains(&named);
    let renamed: Vec<&str> = trace.lines().filter(is_renamed).collect();
    assert_eq!(renamed.len(), 1, "{trace}");
    let at = trace.find(renamed[0]).expect("just found");
    let synced = trace.rfind("syncfs(").expect("it is synced");
    let written = trace.rfind(" write(").map_or(0, |last| {
        let is_hidden = |line: &&str| line.contains(" write(") && line.contains(".shardcast-part/");
        trace.lines().rfind(is_hidden).and_then(|line| trace.rfind(line)).unwrap_or(last)
    });
    assert!(written < synced && synced < at, "written, synced, renamed");
    assert!(trace[at..].contains("fsync("), "the folder above is synced last");
    assert!(folder.read_dir().expect("it is there").count() > 0);
}

#[test]
fn inodes_that_run_out_are_an_error_that_leaves_nothing() {
    let (source, out) = (source(), tempfile::tempdir().expect("a scratch folder"));
    let pack = out.path().join("a.pack");
    let first = shardcast().arg("pack").arg(source.path()).arg("-o").arg(&pack).status();
    assert!(first.expect("it runs").success());
    // A file system of few inodes that nobody but these commands sees. In a chroot, whose root is
    // no mount, others may see it as long as they run.
    let script = r#"
        mount --make-rprivate / 2>/dev/null
        mkdir "$DIR/small" && mount -t tmpfs -o size=64m,nr_inodes="$INODES" small "$DIR/small"
        "$PROGRAM" "$@" && echo done
        ls -A "$DIR/small"
        umount "$DIR/small"
    "#;
    let run = |inodes: u32, arguments: &[&str]| {
        let output = Command::new("unshare")
            .args(["--mount", "--propagation", "unchanged", "sh", "-c", script, "sh"])
            .args(arguments)
            .env("DIR", out.path())
            .env("INODES", inodes.to_string())
            .env("PROGRAM", env!("CARGO_BIN_EXE_shardcast"))
            .output()
            .expect("unshare is there (util-linux)");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let _ = fs::remove_dir(out.path().join("small"));
        (text(&output.stdout), text(&output.stderr))
    };
    let small = |name: &str| out.path().join("small").join(name).display().to_string();
    let (source, pack) = (source.path().display().to_string(), pack.display().to_string());
    let packing = ["pack", &source, "-o", &small("b.pack")];
    // One inode is the root's own.
    let (said, why) = run(1, &packing);
    assert!(why.contains("No space left") && said.is_empty(), "{said} {why}");
    // Some of the 13 files find an inode.
    let (said, why) = run(6, &["pack", "extract", &pack, "-o", &small("files")]);
    assert!(why.contains("No space left") && said.is_empty(), "{said} {why}");
    let (said, why) = run(2, &packing);
    assert!(said.contains("done") && said.contains("b.pack"), "{said} {why}");
}
