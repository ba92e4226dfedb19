//! Writing packs: power cuts at every point, disks that fill up, folders that can't be packed.

use std::cell::Cell;
use std::ffi::OsString;
use std::io;

use super::sim_disk::{Flaw, Random, SimDisk};
use super::*;
use crate::library::disk::{Disk, is_unfinished};
use crate::library::extract::extract;
use crate::library::verify::verify;
use crate::library::{DiskError, open};
use crate::pack::index::PackIndex;

/// A folder of 5 MiB, so that a pack takes several writes.
fn source() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("v0/sub")).unwrap();
    fs::write(folder.path().join("master.m3u8"), b"#EXTM3U\nv0/1.ts\n".repeat(50)).unwrap();
    fs::write(folder.path().join("v0/1.ts"), large(1)).unwrap();
    fs::write(folder.path().join("v0/sub/2.ts"), vec![2; 2_000_001]).unwrap();
    fs::write(folder.path().join("v0/empty.vtt"), b"").unwrap();
    symlink("1.ts", folder.path().join("v0/link.ts")).unwrap();
    folder
}

fn pack_on<D: Disk>(disk: &D, folder: &Path, target: &Path) -> Result<(), DiskError> {
    pack_folder(disk, folder, target, false, &mut |_| {}).map(drop)
}

/// Runs into a power cut after so many operations. Whether the pack is there then, and whole.
fn cut_at(folder: &Path, cut: usize, seed: u64, flaw: Flaw, whole: &[u8]) -> Result<bool, String> {
    let target = Path::new("/simulated/a.pack");
    let disk = SimDisk::new(cut, flaw);
    let done = pack_on(&disk, folder, target).is_ok();
    let after = disk.after_power_cut(&mut Random::new(seed));
    match after.file(target) {
        Some(bytes) if bytes == whole => Ok(true),
        Some(_) => Err(format!("a torn pack after {cut} operations, seed {seed}")),
        None if done => Err(format!("a pack that was promised is gone, {cut}, seed {seed}")),
        None => {
            // The next run is not in the way of what the first one left behind.
            pack_on(&after, folder, target).map_err(|error| error.to_string())?;
            let left = after.names(Path::new("/simulated")).unwrap();
            if left != ["a.pack"] { Err(format!("{left:?} are left")) } else { Ok(false) }
        }
    }
}

/// The number of operations of a run, and the pack that it writes.
fn uncut(folder: &Path) -> (usize, Vec<u8>) {
    let disk = SimDisk::new(usize::MAX, Flaw::None);
    let target = Path::new("/simulated/a.pack");
    pack_on(&disk, folder, target).unwrap();
    let bytes = disk.file(target).unwrap();
    assert!(PackIndex::of_bytes(&bytes).is_ok());
    (disk.operations.get(), bytes)
}

#[test]
fn a_power_cut_leaves_the_whole_pack_or_none() {
    let folder = source();
    let (operations, whole) = uncut(folder.path());
    let (mut absent, mut there) = (0, 0);
    // At every operation, and at 50 random ones.
    let mut random = Random::new(0x51);
    let cuts = (0..=operations).chain((0..50).map(|_| random.below(operations + 1)));
    for (seed, cut) in (1..).zip(cuts) {
        match cut_at(folder.path(), cut, seed, Flaw::None, &whole) {
            Ok(true) => there += 1,
            Ok(false) => absent += 1,
            Err(why) => panic!("{why}"),
        }
    }
    assert!(there > 1 && absent > 10, "both are seen: {there} whole, {absent} absent");
}

#[test]
fn the_simulated_disk_notices_a_missing_sync() {
    let folder = source();
    let (operations, whole) = uncut(folder.path());
    for flaw in [Flaw::Sync, Flaw::SyncFolder] {
        let found = (0..20).any(|seed| {
            let last = operations - 1..=operations;
            last.into_iter().any(|cut| cut_at(folder.path(), cut, seed, flaw, &whole).is_err())
        });
        assert!(found, "{flaw:?} goes unnoticed");
    }
}

#[test]
fn a_pack_whose_sync_failed_is_not_published() {
    let folder = source();
    let target = Path::new("/simulated/a.pack");
    let disk = SimDisk::new(usize::MAX, Flaw::FailSync(1));
    let error = pack_on(&disk, folder.path(), target).unwrap_err();
    assert!(error.what.starts_with("syncing"), "{error}");
    assert_eq!(disk.names(Path::new("/simulated")).unwrap(), Vec::<OsString>::new());
    // The next run writes another file.
    pack_on(&disk, folder.path(), target).unwrap();
    assert!(PackIndex::of_bytes(&disk.file(target).unwrap()).is_ok());
}

/// A disk that fills up after so many bytes: the write that meets the end is short, the next fails.
struct Small {
    room: Cell<usize>,
}

impl Disk for Small {
    type File = File;

    fn create(&self, path: &Path) -> io::Result<File> {
        RealDisk.create(path)
    }

    fn open_append(&self, path: &Path) -> io::Result<(File, u64)> {
        RealDisk.open_append(path)
    }

    fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(self.room.get());
        if count == 0 {
            return Err(io::Error::from_raw_os_error(libc::ENOSPC));
        }
        self.room.set(self.room.get() - count);
        RealDisk.write(file, &bytes[..count])
    }

    fn sync(&self, file: &mut File) -> io::Result<()> {
        RealDisk.sync(file)
    }

    fn publish(&self, from: &Path, to: &Path, replace: bool) -> io::Result<()> {
        RealDisk.publish(from, to, replace)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        RealDisk.sync_folder(folder)
    }

    fn read(&self, path: &Path, offset: u64, size: usize) -> io::Result<Vec<u8>> {
        RealDisk.read(path, offset, size)
    }

    fn size(&self, path: &Path) -> io::Result<u64> {
        RealDisk.size(path)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }

    fn names(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        RealDisk.names(folder)
    }

    fn remove_if_abandoned(&self, path: &Path) -> io::Result<bool> {
        RealDisk.remove_if_abandoned(path)
    }
}

#[test]
fn a_full_disk_is_an_error_and_leaves_nothing() {
    let (folder, out) = (source(), tempfile::tempdir().unwrap());
    for room in [0, 1, 4096, 3 << 20, 8_000_000] {
        let error =
            pack_on(&Small { room: Cell::new(room) }, folder.path(), &out.path().join("a.pack"))
                .unwrap_err()
                .to_string();
        assert!(error.contains("No space left"), "{error}");
        assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0, "room for {room}");
    }
}

#[test]
fn a_pack_comes_out_as_it_went_in() {
    let (folder, out) = (source(), tempfile::tempdir().unwrap());
    let pack = out.path().join("a.pack");
    pack_on(&RealDisk, folder.path(), &pack).unwrap();
    assert_eq!(verify(&pack, &mut |_| {}).unwrap(), (5, Vec::new()));
    let target = out.path().join("files");
    assert_eq!(extract(&pack, &target, &mut |_| {}).unwrap(), 5);
    for file in ["master.m3u8", "v0/1.ts", "v0/sub/2.ts", "v0/empty.vtt", "v0/link.ts"] {
        let (before, after) = (folder.path().join(file), target.join(file));
        assert!(fs::read(&before).unwrap() == fs::read(&after).unwrap(), "{file}");
        let modified = |path: &Path| fs::metadata(path).unwrap().modified().unwrap();
        assert_eq!(modified(&before), modified(&after), "{file}");
    }
    // The same files give the same pack, and neither verb overwrites.
    let again = out.path().join("b.pack");
    pack_on(&RealDisk, folder.path(), &again).unwrap();
    assert!(fs::read(&pack).unwrap() == fs::read(&again).unwrap());
    let error = pack_on(&RealDisk, folder.path(), &pack).unwrap_err();
    assert!(error.why.contains("exists"), "{error}");
    let error = extract(&pack, &target, &mut |_| {}).unwrap_err();
    assert!(error.why.contains("not empty"), "{error}");
}

#[test]
fn damage_is_named() {
    let (folder, out) = (source(), tempfile::tempdir().unwrap());
    let path = out.path().join("a.pack");
    pack_on(&RealDisk, folder.path(), &path).unwrap();
    let good = fs::read(&path).unwrap();
    let index = PackIndex::of_bytes(&good).unwrap();
    let entry = |name: &str| index.entry(index.find(name.as_bytes()).unwrap());
    let at = |offset: u64| usize::try_from(offset).unwrap();
    let check = |offset: usize, expected: &str| {
        let mut bad = good.clone();
        bad[offset] ^= 1;
        let path = out.path().join(format!("{offset}.pack"));
        fs::write(&path, bad).unwrap();
        let (_, damages) = verify(&path, &mut |_| {}).unwrap();
        let said: Vec<_> = damages
            .iter()
            .map(|damage| format!("{}: {}", damage.path.as_deref().unwrap_or("-"), damage.why))
            .collect();
        assert_eq!(said, [expected]);
    };
    let segment = entry("v0/1.ts").identity.extent;
    check(at(segment.offset + segment.size - 1), "v0/1.ts: its bytes are damaged (checksum)");
    let list = entry("master.m3u8");
    let gzip = list.gzip.unwrap().extent.offset;
    check(at(gzip) + 20, "master.m3u8: its gzip variant is damaged (checksum)");
    let end = at(list.identity.extent.offset + list.identity.extent.size);
    check(end, &format!("-: bytes at {end} that belong to nobody are not zero"));
    let damaged = out.path().join(format!("{}.pack", at(segment.offset + segment.size - 1)));
    let error = extract(&damaged, &out.path().join("files"), &mut |_| {}).unwrap_err();
    assert!(error.why.contains("v0/1.ts"), "{error}");
    assert!(!exists(&out.path().join("files")));
    let left = fs::read_dir(out.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(left.filter(|name| is_unfinished(name.as_encoded_bytes())).count(), 0);
}

#[track_caller]
fn check_refused(prepare: impl FnOnce(&Path), expected: &str) {
    let (folder, out) = (source(), tempfile::tempdir().unwrap());
    prepare(folder.path());
    let error = pack_on(&RealDisk, folder.path(), &out.path().join("a.pack")).unwrap_err();
    let shown = error.to_string().replace(&folder.path().display().to_string(), "DIR");
    assert_eq!(shown, expected);
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0);
}

#[test]
fn what_cannot_be_packed_is_named() {
    check_refused(
        |folder| drop(std::process::Command::new("mkfifo").arg(folder.join("v0/f")).status()),
        "packing DIR/v0/f: it is a FIFO (only regular files can be packed; remove it)",
    );
    check_refused(
        |folder| symlink("/etc/passwd", folder.join("p")).unwrap(),
        "following the link DIR/p: it leaves the folder (copy the file in, or remove the link)",
    );
    check_refused(
        |folder| symlink("..", folder.join("v0/up")).unwrap(),
        "packing DIR/v0/up: it is a link to a folder above it (remove the link)",
    );
    check_refused(
        |folder| {
            fs::remove_dir_all(folder.join("v0")).unwrap();
            fs::remove_file(folder.join("master.m3u8")).unwrap();
        },
        "packing DIR: there is no file in it",
    );
}

#[test]
fn a_file_that_changes_while_it_is_packed_is_named() {
    let (folder, out) = (source(), tempfile::tempdir().unwrap());
    let target = out.path().join("a.pack");
    let mut changed = false;
    let error = pack_folder(&RealDisk, folder.path(), &target, false, &mut |progress| {
        if progress.path == "v0/sub/2.ts" && progress.done > 6_300_000 && !changed {
            changed = true;
            fs::write(folder.path().join("v0/sub/2.ts"), b"other").unwrap();
        }
    })
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "packing v0/sub/2.ts: it changed while it was read (pack a folder that nobody writes)"
    );
    assert!(!exists(&target));
}

#[test]
fn leftovers_of_the_dead_are_removed_and_those_of_the_living_stay() {
    let (folder, out) = (source(), tempfile::tempdir().unwrap());
    let dead = out.path().join(".x.pack.1-0.shardcast-part");
    let alive = out.path().join(".y.pack.1-0.shardcast-part");
    let foreign = out.path().join(".z.pack");
    fs::write(&dead, b"x").unwrap();
    fs::write(&foreign, b"z").unwrap();
    let lock = RealDisk.create(&alive).unwrap();
    pack_on(&RealDisk, folder.path(), &out.path().join("a.pack")).unwrap();
    assert!(!exists(&dead) && exists(&alive) && exists(&foreign));
    drop(lock);
    pack_on(&RealDisk, folder.path(), &out.path().join("b.pack")).unwrap();
    assert!(!exists(&alive));
}

#[test]
fn opening_says_which_file_and_why() {
    let out = tempfile::tempdir().unwrap();
    let check = |bytes: &[u8], expected: &str| {
        let path = out.path().join("a.pack");
        fs::write(&path, bytes).unwrap();
        let error = open::open_path(&path).unwrap_err().to_string();
        assert_eq!(error, format!("reading the pack {}: {expected}", path.display()));
    };
    check(b"", "0 bytes are too few for a pack; it was cut short");
    check(&[0; 10_000], "it is not a segment pack");
    let (folder, good) = (source(), out.path().join("good.pack"));
    pack_on(&RealDisk, folder.path(), &good).unwrap();
    let good = fs::read(good).unwrap();
    check(&good[..good.len() - 4096], "it has no trailer: it was cut short, or never finished");
}
