//! An open archive hour: power cuts at every point, recovery, and the pack at the end.

use super::sim_disk::{Flaw, Random, SimDisk};
use super::*;
use crate::library::archive::{Archive, Label, Recovered, recover};
use crate::library::disk::Disk;
use crate::library::verify::verify;
use crate::pack::index::PackIndex;
use crate::pack::writer::{Object, Written};

const PACK: &str = "/simulated/news-12.pack";

fn label(path: &str) -> Label<'_> {
    Label { path, media_type: "video/mp4", modified: (1_700_000_000, 5) }
}

/// The bytes of the object of this number.
fn bytes(number: usize) -> Vec<u8> {
    vec![number as u8 + 1; 1000 + 700 * number]
}

/// Appends and commits objects two at a time, as far as the disk goes; gives what was promised.
fn fill<D: Disk>(archive: &mut Archive<'_, D>, numbers: std::ops::Range<usize>) -> Vec<Object> {
    let mut promised = Vec::new();
    for number in numbers {
        let path = format!("{number}.m4s");
        let gzip = (number % 3 == 0).then(|| b"not really gzip".to_vec());
        let appended = archive.append(&label(&path), &bytes(number), gzip.as_deref());
        if appended.is_err() {
            break;
        }
        if number % 2 == 1 {
            match archive.commit() {
                Ok(objects) => promised.extend(objects),
                Err(_) => break,
            }
        }
    }
    promised
}

/// Runs into a power cut; gives what had been promised, and whether the end was.
fn run(disk: &SimDisk) -> (Vec<Object>, bool) {
    let Ok(mut archive) = Archive::create(disk, Path::new(PACK)) else {
        return (Vec::new(), false);
    };
    let promised = fill(&mut archive, 0..8);
    (promised, archive.finish().is_ok())
}

fn is_on_disk(payload: &[u8], written: &Written) -> bool {
    let start = usize::try_from(written.variant.extent.offset).unwrap();
    let size = usize::try_from(written.variant.extent.size).unwrap();
    payload.get(start..start + size).is_some_and(|bytes| crc32fast::hash(bytes) == written.crc)
}

/// What holds after a power cut, and that the hour can be gone on with and finished.
fn check_after(
    disk: &SimDisk,
    promised: &[Object],
    finished: bool,
) -> Result<&'static str, String> {
    let pack = Path::new(PACK);
    let (seen, what) = match recover(disk, pack).map_err(|error| error.to_string())? {
        Recovered::Nothing if promised.is_empty() => {
            Archive::create(disk, pack).map_err(|error| error.to_string())?;
            return Ok("nothing");
        }
        Recovered::Nothing => return Err("everything promised is gone".to_owned()),
        Recovered::Finished => (Vec::new(), "finished"),
        Recovered::Open(_, _) if finished => return Err("it was finished".to_owned()),
        Recovered::Open(mut archive, seen) => {
            let payload = disk.file(&pack.with_extension("open")).unwrap();
            for object in &seen {
                let variants = [Some(object.identity), object.gzip].into_iter().flatten();
                if !variants.into_iter().all(|written| is_on_disk(&payload, &written)) {
                    return Err(format!("{} is served torn", object.path));
                }
            }
            let more = fill(&mut archive, 100..104);
            if more.len() != 4 {
                return Err("it cannot be gone on with".to_owned());
            }
            archive.finish().map_err(|error| error.to_string())?;
            (seen, "open")
        }
    };
    let pack = disk.file(pack).ok_or("there is no pack")?;
    let index = PackIndex::of_bytes(&pack).map_err(|error| error.to_string())?;
    for object in promised.iter().chain(&seen) {
        let number =
            index.find(object.path.as_bytes()).ok_or(format!("{} is gone", object.path))?;
        let entry = index.entry(number);
        let (variant, crc) = (entry.identity, entry.crc);
        if !is_on_disk(&pack, &Written { variant, crc }) || variant != object.identity.variant {
            return Err(format!("{} is torn", object.path));
        }
    }
    Ok(what)
}

#[test]
fn what_is_committed_survives_a_power_cut_at_any_moment() {
    let whole = SimDisk::new(usize::MAX, Flaw::None);
    let (promised, finished) = run(&whole);
    assert!(finished && promised.len() == 8);
    let operations = whole.operations.get();
    let mut seen = std::collections::BTreeMap::new();
    for cut in 0..=operations {
        for seed in 0..12 {
            let disk = SimDisk::new(cut, Flaw::None);
            let (promised, finished) = run(&disk);
            let after = disk.after_power_cut(&mut Random::new(seed * 1000 + cut as u64));
            match check_after(&after, &promised, finished) {
                Ok(what) => *seen.entry(what).or_insert(0) += 1,
                Err(why) => panic!("{why}: cut after {cut} of {operations}, seed {seed}"),
            }
        }
    }
    assert_eq!(seen.into_keys().collect::<Vec<_>>(), ["finished", "nothing", "open"]);
}

#[test]
fn a_forgotten_sync_is_noticed() {
    for flaw in [Flaw::Sync, Flaw::SyncFolder] {
        let found = (0..200u64).any(|seed| {
            let disk = SimDisk::new(40 + usize::try_from(seed).unwrap() % 20, flaw);
            let (promised, finished) = run(&disk);
            let after = disk.after_power_cut(&mut Random::new(seed));
            check_after(&after, &promised, finished).is_err()
        });
        assert!(found, "{flaw:?} goes unnoticed");
    }
}

#[test]
fn after_a_sync_that_failed_an_hour_goes_no_further_and_is_no_pack() {
    let whole = SimDisk::new(usize::MAX, Flaw::None);
    run(&whole);
    let syncs = whole.syncs.get();
    assert!(syncs > 8);
    for number in 1..=syncs {
        let disk = SimDisk::new(usize::MAX, Flaw::FailSync(number));
        let mut promised = Vec::new();
        if let Ok(mut archive) = Archive::create(&disk, Path::new(PACK)) {
            promised = fill(&mut archive, 0..8);
            if promised.len() < 8 {
                // The next sync would succeed, and prove nothing.
                assert!(archive.append(&label("more"), b"more", None).is_err(), "sync {number}");
                assert!(archive.commit().is_err(), "sync {number}");
            }
            assert!(archive.finish().is_err(), "sync {number}");
        }
        assert_eq!(disk.file(Path::new(PACK)), None, "sync {number}: it became a pack");
        for seed in 0..5 {
            let after = disk.after_power_cut(&mut Random::new(seed));
            let is_kept = check_after(&after, &promised, false);
            assert!(is_kept.is_ok(), "sync {number}, seed {seed}: {is_kept:?}");
        }
    }
}

#[test]
fn an_hour_whose_sync_failed_can_be_gone_on_with_after_a_restart() {
    let whole = SimDisk::new(usize::MAX, Flaw::None);
    run(&whole);
    for number in 1..=whole.syncs.get() {
        let disk = SimDisk::new(usize::MAX, Flaw::FailSync(number));
        let (mut promised, _) = run(&disk);
        // The server is started again; the machine is not, so memory still has what the disk lacks.
        match recover(&disk, Path::new(PACK)).unwrap() {
            Recovered::Open(mut archive, seen) => {
                promised = seen;
                let more = fill(&mut archive, 200..204);
                assert_eq!(more.len(), 4, "sync {number}");
                promised.extend(more);
            }
            Recovered::Nothing => assert!(promised.is_empty(), "sync {number}"),
            Recovered::Finished => panic!("sync {number}: it became a pack"),
        }
        for seed in 0..5 {
            let after = disk.after_power_cut(&mut Random::new(seed));
            let is_kept = check_after(&after, &promised, false);
            assert!(is_kept.is_ok(), "sync {number}, seed {seed}: {is_kept:?}");
        }
    }
}

#[test]
fn the_hour_on_a_real_disk_never_truncates_overwrites_or_publishes_what_is_not_synced() {
    let scratch = tempfile::tempdir().unwrap();
    let trace = scratch.path().join("trace");
    let calls = "openat,open,creat,openat2,truncate,ftruncate,fallocate,pwrite64,pwritev,pwritev2,\
                 lseek,mmap,write,fdatasync,fsync,rename,renameat,renameat2,unlink";
    let name = "library::tests::archive::an_hour_on_a_real_disk_becomes_a_pack_that_is_good";
    let traced = std::process::Command::new("strace")
        .args(["-f", "-y", "-s", "0", "-e", calls, "-o"])
        .arg(&trace)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name])
        .stdout(std::process::Stdio::null())
        .status()
        .expect("strace is installed (apt-get install strace)");
    assert!(traced.success());
    let trace = fs::read_to_string(trace).unwrap();
    let lines: Vec<&str> = trace.lines().filter(|line| line.contains("/12.")).collect();
    assert!(lines.iter().filter(|line| line.contains("write(")).count() > 8, "{trace}");
    for line in &lines {
        for never in ["O_TRUNC", "truncate(", "pwrite", "fallocate(", "creat(", "PROT_WRITE"] {
            assert!(!line.contains(never), "{line}");
        }
        let is_written = line.contains("O_WRONLY") || line.contains("O_RDWR");
        assert!(!is_written || line.contains("O_APPEND"), "{line}");
        let is_made = line.contains("O_CREAT");
        assert!(!is_made || line.contains("O_EXCL"), "{line}");
        assert!(!line.contains("unlink") || line.contains(".open.journal"), "{line}");
    }
    let last = |what: &str, of: &str| {
        lines.iter().rposition(|line| line.contains(what) && line.contains(of)).unwrap()
    };
    let renamed = last("rename", "12.pack");
    assert!(last("write(", "12.open>") < last("fdatasync(", "12.open>"), "{trace}");
    assert!(last("fdatasync(", "12.open>") < renamed && renamed < last("unlink", ".journal"));
    assert!(lines[renamed].contains("RENAME_NOREPLACE"));
}

#[test]
fn an_hour_on_a_real_disk_becomes_a_pack_that_is_good() {
    let scratch = tempfile::tempdir().unwrap();
    let pack = scratch.path().join("12.pack");
    let mut archive = Archive::create(&RealDisk, &pack).unwrap();
    fill(&mut archive, 0..4);
    archive.append(&label("lost.m4s"), b"never committed", None).unwrap();
    drop(archive);
    let Recovered::Open(mut archive, seen) = recover(&RealDisk, &pack).unwrap() else {
        panic!("it is open")
    };
    assert_eq!(seen.len(), 4);
    assert!(recover(&RealDisk, &pack).is_err(), "it has one writer");
    fill(&mut archive, 4..6);
    archive.finish().unwrap();
    let (objects, damages) = verify(&pack, &mut |_| {}).unwrap();
    // The bytes that were said to be gzip are not, which `verify` notices; nothing else is wrong.
    assert!(damages.iter().all(|damage| damage.why.to_string().contains("does not unpack")));
    assert_eq!((objects, damages.len()), (6, 2));
    assert!(matches!(recover(&RealDisk, &pack).unwrap(), Recovered::Finished));
    let left: Vec<_> = fs::read_dir(scratch.path()).unwrap().collect();
    assert_eq!(left.len(), 1);
}
