//! One library's place on disk, and which public name each of its files has.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::config::{Access, Library};
use crate::messages::SourceKind;
use crate::pack::check_path;
use crate::units::Class;

/// A library as the scan sees it.
#[derive(Debug)]
pub(super) struct Root {
    /// The path that the config gives.
    pub given: PathBuf,
    /// Whether it was taken out of the config; its number stays taken.
    pub gone: bool,
    /// Whether it could not be opened the last time, and the log has said so. It is tried again.
    pub missing: bool,
    /// The folder that is scanned and watched, without links in its path.
    pub folder: PathBuf,
    /// Who may watch.
    pub access: Access,
    /// Only this file of the folder is served (`serve FILE`).
    only: Option<OsString>,
    /// First element of all its public names, if the folder itself is an asset.
    asset: Option<String>,
}

impl Root {
    /// Looks at the library's path once. A path that isn't there yet is taken for a folder.
    pub(super) fn new(library: &Library, access: Access) -> Self {
        let access = library.access.unwrap_or(access);
        let given = library.path.clone();
        let path = fs::canonicalize(&library.path).unwrap_or_else(|_| library.path.clone());
        if path.is_file()
            && let (Some(folder), Some(name)) = (path.parent(), path.file_name())
        {
            let only = Some(name.to_owned());
            let folder = folder.to_owned();
            return Self { given, gone: false, missing: false, folder, access, only, asset: None };
        }
        let asset = holds_playlist(&path)
            .then(|| path.file_name().and_then(|name| name.to_str()).map(str::to_owned))
            .flatten();
        Self { given, gone: false, missing: false, folder: path, access, only: None, asset }
    }

    /// Whether only one file of the folder is served, so that folders in it don't matter.
    pub(super) fn is_one_file(&self) -> bool {
        self.only.is_some()
    }

    /// The public name of a file below the folder, and what it is. None: it is not served, because
    /// it is hidden, or being written (packagers write `x.tmp` and rename it), or its name can't be
    /// a URL's.
    pub(super) fn public(&self, below: &Path) -> Option<(String, SourceKind)> {
        if self.only.as_ref().is_some_and(|only| below.as_os_str() != only.as_os_str()) {
            return None;
        }
        let below = check_path(below.as_os_str().as_encoded_bytes()).ok()?;
        if below.split('/').any(|element| element.starts_with('.')) || below.ends_with(".tmp") {
            return None;
        }
        let (name, kind) = match below.strip_suffix(".pack") {
            Some(name) => (name, SourceKind::Pack),
            None => (below, SourceKind::File),
        };
        Some((self.with_asset(name), kind))
    }

    /// The first part of the public names of everything in a folder below this one.
    pub(super) fn public_folder(&self, below: &Path) -> Option<String> {
        let below = below.to_str()?;
        Some(if below.is_empty() {
            self.asset.clone().unwrap_or_default()
        } else {
            self.with_asset(below)
        })
    }

    /// Where the file of a public name lies, below the folder: the reverse of `public`.
    pub(super) fn below(&self, public: &str, kind: SourceKind) -> PathBuf {
        let asset = self.asset.as_deref().unwrap_or("");
        let below = public.strip_prefix(asset).unwrap_or(public).trim_start_matches('/');
        match kind {
            SourceKind::Pack => PathBuf::from(format!("{below}.pack")),
            SourceKind::File => PathBuf::from(below),
        }
    }

    fn with_asset(&self, name: &str) -> String {
        match &self.asset {
            Some(asset) => format!("{asset}/{name}"),
            None => name.to_owned(),
        }
    }
}

/// Whether a folder holds a playlist or a manifest itself: then it is one asset.
fn holds_playlist(folder: &Path) -> bool {
    let Ok(entries) = fs::read_dir(folder) else { return false };
    entries.flatten().any(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        !name.starts_with('.') && matches!(Class::of(&name), Class::Playlist | Class::Manifest)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(root: &Root, below: &str, expected: Option<(&str, SourceKind)>) {
        let public = root.public(Path::new(below));
        assert_eq!(public.as_ref().map(|(name, kind)| (name.as_str(), *kind)), expected);
        if let Some((name, kind)) = public {
            assert_eq!(root.below(&name, kind), Path::new(below));
        }
    }

    #[test]
    fn names_follow_paths() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("show");
        fs::create_dir(&folder).unwrap();
        let library = |path: &Path| Library { path: path.to_owned(), access: None };

        let shelf = Root::new(&library(&folder), Access::Open);
        check(&shelf, "films/a.pack", Some(("films/a", SourceKind::Pack)));
        check(&shelf, "films/a/b.ts", Some(("films/a/b.ts", SourceKind::File)));
        check(&shelf, "films/.a.pack.1-0.shardcast-part", None);
        check(&shelf, ".git/x.ts", None);
        check(&shelf, ".pack", None);
        check(&shelf, "live/index.m3u8.tmp", None);

        fs::write(folder.join("master.m3u8"), "").unwrap();
        let asset = Root::new(&library(&folder), Access::Open);
        check(&asset, "master.m3u8", Some(("show/master.m3u8", SourceKind::File)));
        check(&asset, "extra.pack", Some(("show/extra", SourceKind::Pack)));

        fs::write(folder.join("film.pack"), "").unwrap();
        let one = Root::new(&library(&folder.join("film.pack")), Access::Open);
        check(&one, "film.pack", Some(("film", SourceKind::Pack)));
        check(&one, "master.m3u8", None);
    }
}
