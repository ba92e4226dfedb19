//! Tells the binary which commit it was built from, and gives it the portal's files where
//! `scripts/portal` has made them. Never fails: a source archive has no git, and not every machine
//! that builds has node.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

/// What `scripts/portal` fills. The folder is always there, so that cargo can watch it.
const PORTAL: &str = "portal/dist";

/// The first line that git prints, if there is git and a repository.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let line = text.lines().next()?.trim();
    (output.status.success() && !line.is_empty()).then(|| line.to_owned())
}

/// Media types of the portal's files.
fn media_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("webmanifest") => "application/manifest+json",
        _ => "application/octet-stream",
    }
}

/// The table of the portal's files, which `src/middleware/portal/files.rs` includes: an empty one
/// where there are none.
fn portal_files() {
    println!("cargo:rerun-if-changed={PORTAL}");
    let folder = Path::new(&std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default()).join(PORTAL);
    let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter_map(|name| name.strip_suffix(".gz").map(str::to_owned))
        .collect();
    names.sort_unstable();
    let mut text = String::from("static FILES: &[File] = &[\n");
    for name in names {
        let path = folder.join(format!("{name}.gz"));
        let kind = media_type(&name);
        let _ = writeln!(text, "    ({name:?}, {kind:?}, include_bytes!({path:?})),");
    }
    text.push_str("];\n");
    let out = std::env::var("OUT_DIR").unwrap_or_default();
    if let Err(error) = std::fs::write(Path::new(&out).join("portal_files.rs"), text) {
        println!("cargo:warning=the portal's files can't be listed: {error}");
    }
}

fn main() {
    portal_files();
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
