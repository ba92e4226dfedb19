//! Disks that fail or pause when they are told to: a filter of nbdkit under nbdfuse.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use tempfile::TempDir;

use crate::server::PATIENCE;

/// A file on such a disk.
pub struct Disk {
    folder: TempDir,
    pub file: PathBuf,
    program: Child,
}

impl Disk {
    /// `control` is the filter's argument for the path by which it is told.
    fn new(bytes: &[u8], filter: &str, control: &str, more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (below, mount) = (folder.path().join("below"), folder.path().join("mount"));
        fs::write(&below, bytes).unwrap();
        fs::create_dir(&mount).unwrap();
        let program = Command::new("nbdfuse")
            .arg(&mount)
            .args(["--socket-activation", "nbdkit", "-f"])
            .arg(format!("--filter={filter}"))
            .arg("file")
            .arg(&below)
            .args(more)
            .arg(format!("{control}={}", folder.path().join("control").display()))
            .stderr(Stdio::null())
            .spawn()
            .expect("nbdfuse and nbdkit are installed (Debian: libnbd-bin, nbdkit, fuse3)");
        let file = mount.join("nbd");
        let start = Instant::now();
        while fs::metadata(&file).is_err() {
            assert!(start.elapsed() < PATIENCE, "nbdfuse does not mount");
            std::thread::yield_now();
        }
        Self { folder, file, program }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let mount = self.file.parent().unwrap();
        // Lazily: the server may still have the file open.
        let _ = Command::new("fusermount3").args(["-u", "-z"]).arg(mount).status();
        let _ = self.program.wait();
    }
}

/// A disk on which every read can be made to fail.
pub struct FailingDisk {
    pub disk: Disk,
}

impl FailingDisk {
    pub fn new(bytes: &[u8]) -> Self {
        let more = ["error-pread=EIO", "error-pread-rate=100%"];
        Self { disk: Disk::new(bytes, "error", "error-file", &more) }
    }

    /// From now on no read succeeds.
    pub fn fail(&self) {
        fs::write(self.disk.folder.path().join("control"), "").unwrap();
    }
}

/// A disk that can be made to answer nothing for a while.
pub struct PausingDisk {
    pub disk: Disk,
    control: UnixStream,
}

impl PausingDisk {
    pub fn new(bytes: &[u8]) -> Self {
        let disk = Disk::new(bytes, "pause", "pause-control", &[]);
        let control = UnixStream::connect(disk.folder.path().join("control")).unwrap();
        control.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { disk, control }
    }

    fn tell(&mut self, word: u8, answer: u8) {
        self.control.write_all(&[word]).unwrap();
        let mut byte = [0];
        self.control.read_exact(&mut byte).unwrap();
        assert_eq!(byte, [answer]);
    }

    /// From now on reads wait.
    pub fn pause(&mut self) {
        self.tell(b'p', b'P');
    }

    /// Those that wait go on.
    pub fn resume(&mut self) {
        self.tell(b'r', b'R');
    }
}
