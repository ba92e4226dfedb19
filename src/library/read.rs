//! One small file of an asset, read whole by whoever makes something of it: a manifest.
//!
//! It is looked for as a viewer would find it: in the first library that has it, in a pack before a
//! folder. Links that lead out of a library are not followed. It blocks, so it is never called on a
//! thread that serves.

use std::cell::OnceCell;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::open::open_path;
use super::root::Root;
use crate::config::{Access, Library};
use crate::messages::SourceKind;

/// Libraries, each as it was found when something was looked for in it first.
#[derive(Debug)]
pub struct Roots<'l>(Vec<(&'l Library, OnceCell<Root>)>);

impl<'l> Roots<'l> {
    /// Of these libraries, none of which is looked at yet.
    #[must_use]
    pub fn new(libraries: &'l [Library]) -> Self {
        Self(libraries.iter().map(|library| (library, OnceCell::new())).collect())
    }

    /// The text at this path below `/vod/`, up to so many bytes.
    ///
    /// # Errors
    ///
    /// `NotFound`, or why it can't be read.
    pub fn text(&self, path: &str, size_max: u64) -> io::Result<String> {
        for (library, root) in &self.0 {
            // That goes through all of its folder, and a mount that hangs is not to be looked at
            // for what a library before it has.
            let root = root.get_or_init(|| Root::new(library, Access::Open));
            match below(root, path, size_max) {
                Err(error) if is_missing(&error) => {}
                outcome => return outcome,
            }
        }
        Err(io::ErrorKind::NotFound.into())
    }
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn below(root: &Root, path: &str, size_max: u64) -> io::Result<String> {
    for (end, _) in path.match_indices('/') {
        let pack = place(root, &path[..end], SourceKind::Pack);
        match pack.and_then(|pack| in_pack(&pack, &path[end + 1..], size_max)) {
            Err(error) if is_missing(&error) => {}
            outcome => return outcome,
        }
    }
    let file = place(root, path, SourceKind::File)?;
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

/// Where something of this name lies, without links, if the library has that for its viewers.
fn place(root: &Root, name: &str, kind: SourceKind) -> io::Result<PathBuf> {
    let below = root.below(name, kind);
    let is_it = root.public(&below).is_some_and(|(public, of)| public == name && of == kind);
    if !is_it {
        return Err(io::ErrorKind::NotFound.into());
    }
    let path = root.folder.join(below).canonicalize()?;
    if path.starts_with(&root.folder) { Ok(path) } else { Err(io::ErrorKind::NotFound.into()) }
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
    use crate::library::disk::RealDisk;
    use crate::library::write::pack_folder;

    fn text(libraries: &[Library], path: &str, size_max: u64) -> io::Result<String> {
        Roots::new(libraries).text(path, size_max)
    }

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
        assert!(text(&asset, "manifest.mpd", 1000).is_err());
    }

    #[test]
    fn packs_are_found_wherever_they_are_and_what_is_hidden_is_not() {
        let place = tempfile::tempdir().unwrap();
        let show = place.path().join("show");
        let pack = |at: &Path, text: &str| {
            let folder = place.path().join("packed");
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("manifest.mpd"), text).unwrap();
            pack_folder(&RealDisk, &folder, at, true, &mut |_| {}).unwrap();
        };
        for folder in [show.join("more"), show.join(".git"), place.path().join("one")] {
            fs::create_dir_all(folder).unwrap();
        }
        pack(&show.join("extra.pack"), "extra");
        pack(&show.join("more/a.pack"), "more");
        pack(&show.join(".hidden.pack"), "hidden");
        pack(&place.path().join("one/film.pack"), "film");
        fs::write(show.join(".git/manifest.mpd"), "git").unwrap();
        fs::write(show.join("manifest.mpd.tmp"), "unfinished").unwrap();
        let library = |path: &Path| Library { path: path.to_owned(), access: None };
        let find = |path: &Path, name: &str| text(&[library(path)], name, 1000).ok();
        assert_eq!(find(&show, "extra/manifest.mpd").as_deref(), Some("extra"));
        assert_eq!(find(&show, "more/a/manifest.mpd").as_deref(), Some("more"));
        for hidden in [".hidden/manifest.mpd", ".git/manifest.mpd", "manifest.mpd.tmp"] {
            assert_eq!(find(&show, hidden), None, "{hidden}");
        }
        // One file of a folder.
        let film = place.path().join("one/film.pack");
        assert_eq!(find(&film, "film/manifest.mpd").as_deref(), Some("film"));
        assert_eq!(find(&film, "extra/manifest.mpd"), None);
        // A library that is itself an asset.
        fs::write(show.join("master.m3u8"), "#EXTM3U").unwrap();
        assert_eq!(find(&show, "show/master.m3u8").as_deref(), Some("#EXTM3U"));
        assert_eq!(find(&show, "show/extra/manifest.mpd").as_deref(), Some("extra"));
        assert_eq!(find(&show, "show/more/a/manifest.mpd").as_deref(), Some("more"));
        for missing in ["extra/manifest.mpd", "show/.git/manifest.mpd", "showmaster.m3u8"] {
            assert_eq!(find(&show, missing), None, "{missing}");
        }
    }
}
