//! What a library holds, as people see it: its assets, and the files beside and inside them that
//! say something of them. For whoever makes a catalogue of it; nothing is served from here.
//!
//! Looked at once, as the scan does: from the library's open folder, following links only below it.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use super::root::Root;
use super::scan::Scan;
use super::version::Version;
use crate::config::{Access, Library};
use crate::messages::SourceKind;
use crate::sys::files;
use crate::units::Class;

/// Ends of names of films that are one file.
const FILMS: [&str; 7] = ["mp4", "m4v", "mkv", "webm", "mov", "avi", "ts"];

/// What an asset is on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A pack.
    Pack,
    /// A folder of packaged files.
    Folder,
    /// One file.
    File,
}

/// An asset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Title {
    /// Its path below `/vod/`.
    pub asset: String,
    /// What it is.
    pub form: Form,
    /// Where it is, below the library's folder; of a folder the folder.
    pub below: PathBuf,
}

impl Title {
    /// What its name on the disk is without the end that says what it is.
    #[must_use]
    pub fn stem(&self) -> PathBuf {
        match self.form {
            Form::Folder => self.below.clone(),
            Form::Pack | Form::File => self.below.with_extension(""),
        }
    }
}

/// A library that was looked at.
pub struct Walk {
    folder: File,
    files: BTreeMap<PathBuf, Version>,
    /// How many packs and films each folder has.
    counts: HashMap<PathBuf, usize>,
    /// Its assets, in the order of their paths.
    pub titles: Vec<Title>,
    /// Whether all of it could be read: else what is not among its assets may still be there.
    pub is_whole: bool,
}

impl Walk {
    /// Looks at a library.
    ///
    /// # Errors
    ///
    /// Its folder can't be opened.
    pub fn of(library: &Library, access: Access) -> io::Result<Self> {
        let root = Root::new(library, access);
        let folder = File::open(&root.folder)?;
        let scan = Scan::of(&root, &folder, Path::new(""), &mut |_| {});
        let is_whole = scan.unreadable.is_empty() && !scan.cut;
        let files: BTreeMap<_, _> = scan.files.into_iter().collect();
        let titles = titles(&root, &files);
        let mut counts = HashMap::new();
        for title in titles.iter().filter(|title| title.form != Form::Folder) {
            let folder = title.below.parent().unwrap_or(Path::new("")).to_owned();
            *counts.entry(folder).or_default() += 1;
        }
        Ok(Self { folder, files, counts, titles, is_whole })
    }

    /// Whether a folder has one pack or film, so that what lies there is said of it.
    #[must_use]
    pub fn is_alone(&self, folder: &Path) -> bool {
        self.counts.get(folder) == Some(&1)
    }

    /// A word that is another one whenever a file is; none if it is not there.
    #[must_use]
    pub fn mark(&self, below: &Path) -> Option<String> {
        let version = self.files.get(below)?;
        Some(format!("{}-{}-{}", below.display(), version.size, version.modified.0))
    }

    /// The bytes of a file; an error if it has more than these.
    ///
    /// # Errors
    ///
    /// It can't be read, or is larger.
    pub fn read(&self, below: &Path, size_max: usize) -> io::Result<Vec<u8>> {
        let flags = libc::O_RDONLY | libc::O_NONBLOCK;
        let file = File::from(files::open_beneath(self.folder.as_fd(), below, flags)?);
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is no file"));
        }
        let mut bytes = Vec::new();
        file.take(size_max as u64 + 1).read_to_end(&mut bytes)?;
        if bytes.len() > size_max {
            return Err(io::Error::other(format!("it has more than {size_max} bytes")));
        }
        Ok(bytes)
    }
}

fn titles(root: &Root, files: &BTreeMap<PathBuf, Version>) -> Vec<Title> {
    let is_text = |path: &Path| {
        matches!(Class::of(&path.to_string_lossy()), Class::Playlist | Class::Manifest)
    };
    // The topmost folder that holds a playlist is the asset; renditions are below it.
    let mut packaged: Vec<&Path> = Vec::new();
    let mut holders: Vec<&Path> =
        files.keys().filter(|path| is_text(path)).filter_map(|path| path.parent()).collect();
    holders.sort();
    holders.dedup();
    for holder in holders {
        // What lies in a folder follows it in this order.
        if !packaged.last().is_some_and(|above| holder.starts_with(above)) {
            packaged.push(holder);
        }
    }
    let mut titles = Vec::new();
    for folder in &packaged {
        // The library's own folder is an asset only where the server serves it as one.
        if let Some(asset) = root.public_folder(folder).filter(|asset| !asset.is_empty()) {
            titles.push(Title { asset, form: Form::Folder, below: (*folder).to_owned() });
        }
    }
    for path in files.keys() {
        let Some((asset, kind)) = root.public(path) else { continue };
        let before = packaged.partition_point(|folder| *folder <= path.as_path());
        let is_within = packaged[..before].last().is_some_and(|folder| path.starts_with(folder));
        let extension = path.extension().and_then(|extension| extension.to_str());
        let is_film =
            extension.is_some_and(|one| FILMS.iter().any(|film| film.eq_ignore_ascii_case(one)));
        let form = match kind {
            SourceKind::Pack => Form::Pack,
            SourceKind::File if is_film && !is_within => Form::File,
            SourceKind::File => continue,
        };
        titles.push(Title { asset, form, below: path.clone() });
    }
    titles.sort_by(|one, other| one.asset.cmp(&other.asset));
    titles.dedup_by(|one, other| one.asset == other.asset);
    titles
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn packs_packaged_folders_and_films_are_assets() {
        let scratch = tempfile::tempdir().unwrap();
        for file in [
            "a.pack",
            "a.nfo",
            "b/master.m3u8",
            "b/v/index.m3u8",
            "b/v/1.ts",
            "b/poster.jpg",
            "c (1999)/c.MKV",
            "c (1999)/c.nfo",
            "d/manifest.mpd",
            ".hidden/x.mp4",
            "note.txt",
        ] {
            let path = scratch.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        let library = Library { path: scratch.path().to_owned(), access: None };
        let walk = Walk::of(&library, Access::Open).unwrap();
        let titles: Vec<_> =
            walk.titles.iter().map(|title| (title.asset.as_str(), title.form)).collect();
        let expected = [
            ("a", Form::Pack),
            ("b", Form::Folder),
            ("c (1999)/c.MKV", Form::File),
            ("d", Form::Folder),
        ];
        assert_eq!(titles, expected);
        assert_eq!(walk.titles[0].stem(), Path::new("a"));
        assert_eq!(walk.titles[2].stem(), Path::new("c (1999)/c"));
        assert!(walk.is_alone(Path::new("c (1999)")) && !walk.is_alone(Path::new("b")));
        assert_eq!(walk.read(Path::new("a.nfo"), 5).unwrap(), b"a.nfo");
        assert!(walk.read(Path::new("a.nfo"), 4).is_err());
        assert!(walk.read(Path::new("../x"), 4).is_err());
        assert!(walk.mark(Path::new("a.nfo")).is_some() && walk.mark(Path::new("b")).is_none());
    }
}
