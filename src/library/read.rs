//! One small file of an asset, read whole by whoever makes something of it: a manifest.
//!
//! It is looked for as a viewer would find it: in the first library that has it, in a pack before a
//! folder. Links that lead out of a library are not followed. It blocks, so it is never called on a
//! thread that serves.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::open::open_path;
use crate::config::Library;

/// The text at this path below `/vod/`, up to so many bytes.
///
/// # Errors
///
/// `NotFound`, or why it can't be read.
pub fn text(libraries: &[Library], path: &str, size_max: u64) -> io::Result<String> {
    for library in libraries {
        match in_library(&library.path, path, size_max) {
            Err(error) if is_missing(&error) => {}
            outcome => return outcome,
        }
    }
    Err(io::ErrorKind::NotFound.into())
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn in_library(root: &Path, path: &str, size_max: u64) -> io::Result<String> {
    let root = root.canonicalize()?;
    if root.is_file() {
        let name = root.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let inside = path.strip_prefix(name).and_then(|rest| rest.strip_prefix('/'));
        return in_pack(&root, inside.ok_or(io::ErrorKind::NotFound)?, size_max);
    }
    for (end, _) in path.match_indices('/') {
        let pack = root.join(format!("{}.pack", &path[..end]));
        match within(&root, &pack).and_then(|pack| in_pack(&pack, &path[end + 1..], size_max)) {
            Err(error) if is_missing(&error) => {}
            outcome => return outcome,
        }
    }
    let file = within(&root, &root.join(path));
    let file = file.or_else(|error| {
        // A library that is itself an asset is named after its folder.
        let name = root.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let inside = path.strip_prefix(name).and_then(|rest| rest.strip_prefix('/'));
        within(&root, &root.join(inside.ok_or(error)?))
    })?;
    if !fs::metadata(&file)?.is_file() {
        return Err(io::ErrorKind::NotFound.into());
    }
    let mut text = String::new();
    File::open(&file)?.take(size_max + 1).read_to_string(&mut text)?;
    if text.len() as u64 > size_max {
        return Err(io::Error::other("it is too long"));
    }
    Ok(text)
}

/// The path without links, if it lies below the root.
fn within(root: &Path, path: &Path) -> io::Result<PathBuf> {
    let path = path.canonicalize()?;
    if path.starts_with(root) { Ok(path) } else { Err(io::ErrorKind::NotFound.into()) }
}

fn in_pack(pack: &Path, inside: &str, size_max: u64) -> io::Result<String> {
    if !pack.is_file() {
        return Err(io::ErrorKind::NotFound.into());
    }
    let opened = open_path(pack).map_err(|error| io::Error::other(error.to_string()))?;
    let number = opened.index.find(inside.as_bytes()).ok_or(io::ErrorKind::NotFound)?;
    let extent = opened.index.entry(number).identity.extent;
    if extent.size > size_max {
        return Err(io::Error::other("it is too long"));
    }
    let mut bytes = vec![0; usize::try_from(extent.size).map_err(io::Error::other)?];
    opened.file.read_exact_at(&mut bytes, extent.offset)?;
    String::from_utf8(bytes).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_found_where_a_viewer_finds_it() {
        let place = tempfile::tempdir().unwrap();
        let (one, other) = (place.path().join("one"), place.path().join("other"));
        for folder in [one.join("films/a"), other.join("films/a"), other.join("films/b")] {
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("manifest.mpd"), folder.to_str().unwrap()).unwrap();
        }
        fs::write(place.path().join("secret"), "no").unwrap();
        std::os::unix::fs::symlink("../../secret", one.join("films/link")).unwrap();
        let library = |path: &Path| Library { path: path.to_owned(), access: None };
        let libraries = [library(&place.path().join("gone")), library(&one), library(&other)];
        let read = |path: &str| text(&libraries, path, 1000);
        assert!(read("films/a/manifest.mpd").unwrap().ends_with("one/films/a"));
        assert!(read("films/b/manifest.mpd").unwrap().ends_with("other/films/b"));
        for missing in ["films/c/manifest.mpd", "films/link", "films", "films/a/manifest.mpd/x"] {
            assert_eq!(read(missing).unwrap_err().kind(), io::ErrorKind::NotFound, "{missing}");
        }
        assert!(text(&libraries, "films/a/manifest.mpd", 3).is_err());
        // A library that is itself an asset.
        let asset = [library(&other.join("films/b"))];
        assert!(text(&asset, "b/manifest.mpd", 1000).unwrap().ends_with("films/b"));
    }
}
