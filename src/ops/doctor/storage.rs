//! Libraries and memory: residency, file systems, huge pages.

use std::path::Path;

use super::{Finding, files, line_of};
use crate::config::{Config, Library};
use crate::sys::probe;

/// Each library, then huge pages.
pub fn findings(config: &Config) -> Vec<Finding> {
    let mut findings: Vec<_> = config.libraries.iter().flat_map(library).collect();
    findings.push(huge_pages());
    findings
}

fn library(library: &Library) -> Vec<Finding> {
    let name = format!("library {}", library.path.display());
    if let Err(error) = std::fs::metadata(&library.path) {
        let finding = Finding::good(&name, error.to_string());
        let costs = "nothing of it is served until it appears";
        return vec![finding.costs(costs, format!("ls -ld {}", library.path.display()))];
    }
    let system = file_system(&library.path);
    vec![Finding::good(&name, format!("on {system}")), residency(&name, library)]
}

/// How the shards will know what is in memory.
fn residency(name: &str, library: &Library) -> Finding {
    let what = format!("{name}: residency");
    let Some(file) = files::sample(&library.path) else {
        return Finding::good(what, "no file to try it on");
    };
    if probe::residency_is_known(&file) {
        return Finding::good(what, "cachestat tells");
    }
    Finding::good(what, "sampled with RWF_NOWAIT, since cachestat is not permitted or not there")
        .costs(
            "a few calls more a chunk",
            format!(
                "let the server's user own the files: chown -R USER {}",
                library.path.display()
            ),
        )
}

/// Kind of the file system that a path lies on: the longest mount point that is a prefix of it.
fn file_system(path: &Path) -> String {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let of_line = |line: &str| -> Option<(usize, String)> {
        let (mount, kind) = line.split_once(" - ")?;
        let point = mount.split(' ').nth(4)?.replace("\\040", " ");
        path.starts_with(&point).then_some(())?;
        Some((point.len(), kind.split(' ').next()?.to_owned()))
    };
    let mounts = mounts.lines().filter_map(of_line);
    mounts.max().map_or_else(|| "an unknown file system".to_owned(), |(_, kind)| kind)
}

/// Whether packs can be brought onto huge pages.
fn huge_pages() -> Finding {
    const AT: &str = "/sys/kernel/mm/transparent_hugepage";
    let chosen = |name: &str| -> Option<String> {
        let line = line_of(format!("{AT}/{name}"))?;
        Some(line.split_once('[')?.1.split_once(']')?.0.to_owned())
    };
    let Some(enabled) = chosen("enabled") else {
        return Finding::good("huge pages", "the kernel has none").costs(
            "sending large bodies takes about 15 % more processor time",
            "use a kernel with CONFIG_TRANSPARENT_HUGEPAGE",
        );
    };
    let shmem = chosen("shmem_enabled").unwrap_or_else(|| "unknown".to_owned());
    let finding =
        Finding::good("huge pages", format!("enabled is {enabled}, shmem_enabled is {shmem}"));
    if enabled == "never" {
        return finding.costs(
            "sending large bodies takes about 15 % more processor time",
            format!("echo madvise > {AT}/enabled"),
        );
    }
    finding
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_system_of_proc_is_proc() {
        assert_eq!(file_system(Path::new("/proc/self")), "proc");
        // In a chroot the root is no mount, and then nobody says what it lies on.
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let is_mounted = mounts.lines().any(|line| line.split(' ').nth(4) == Some("/"));
        let is_known = file_system(Path::new("/")) != "an unknown file system";
        assert_eq!(is_known, is_mounted);
    }
}
