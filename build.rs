//! Tells the binary which commit it was built from. Never fails: a source archive has no git.

use std::process::Command;

/// The first line that git prints, if there is git and a repository.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let line = text.lines().next()?.trim();
    (output.status.success() && !line.is_empty()).then(|| line.to_owned())
}

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // A debug build is not built again for each commit, so it does not claim to know one.
    let release = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let revision = if release {
        if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"])
            && std::path::Path::new(&log).exists()
        {
            println!("cargo:rerun-if-changed={log}");
        }
        git(&["rev-parse", "--short=12", "HEAD"]).unwrap_or_else(|| "unknown".to_owned())
    } else {
        "debug".to_owned()
    };
    println!("cargo:rustc-env=SHARDCAST_REVISION={revision}");
}
