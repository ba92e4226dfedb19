//! What lies beside a title on the disk, and inside it: its sidecar and its pictures.

use std::path::{Path, PathBuf};

use super::names;
use super::nfo::{self, Sidecar};
use crate::config::NFO_SIZE_MAX;
use crate::library::catalogue::{Form, Title, Walk};

/// A title that was found, and what lies beside it.
pub struct Of<'w> {
    /// Its library.
    pub walk: &'w Walk,
    /// Which it is.
    pub title: &'w Title,
    /// What its name says.
    pub said: names::Said,
    /// What its sidecar says.
    pub sidecar: Sidecar,
    /// What can't be read.
    pub notes: Vec<String>,
}

impl Of<'_> {
    /// Season and episode, if it is an episode.
    #[must_use]
    pub fn place(&self) -> Option<(u16, u16)> {
        match self.sidecar.place {
            (Some(season), Some(episode)) => Some((season, episode)),
            _ => self.said.place,
        }
    }
}

/// A picture in a file.
pub struct Picture<'w> {
    /// Of which detail.
    pub key: &'static str,
    /// What the file is remembered by.
    pub mark: String,
    /// Its library,
    pub walk: &'w Walk,
    /// and where it is there.
    pub path: PathBuf,
}

/// Reads what lies beside a title.
pub fn looked_at<'w>(walk: &'w Walk, title: &'w Title) -> Of<'w> {
    let stem = title.stem();
    let mut of = Of {
        walk,
        title,
        said: names::said(&stem),
        sidecar: Sidecar::default(),
        notes: Vec::new(),
    };
    let found = sidecars(title, &stem).into_iter().find(|path| walk.mark(path).is_some());
    if let Some(path) = found {
        match sidecar(walk, &path) {
            Ok(read) => {
                let left_out = read.left_out.join(", ");
                if !left_out.is_empty() {
                    of.notes.push(format!("{}: left out: {left_out}", path.display()));
                }
                of.sidecar = read;
            }
            Err(why) => of.notes.push(why),
        }
    }
    of
}

/// Where a title's sidecar may be, the most particular first.
fn sidecars(title: &Title, stem: &Path) -> Vec<PathBuf> {
    let beside = |end: &str| PathBuf::from(format!("{}.{end}", stem.display()));
    let inside = match title.form {
        Form::Folder => title.below.clone(),
        // `movie.nfo` is of the one film of its folder.
        Form::Pack | Form::File => title.below.parent().map(Path::to_owned).unwrap_or_default(),
    };
    let mut paths = vec![beside("json"), beside("nfo")];
    if title.form == Form::Folder {
        let name = stem.file_name().unwrap_or_default();
        paths.extend([inside.join("details.json"), inside.join(name).with_extension("nfo")]);
    }
    paths.push(inside.join("movie.nfo"));
    paths
}

/// What a sidecar says.
///
/// # Errors
///
/// It can't be read: which, and why.
pub fn sidecar(walk: &Walk, path: &Path) -> Result<Sidecar, String> {
    let wrong = |why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
    let bytes = walk.read(path, NFO_SIZE_MAX).map_err(|error| wrong(&error))?;
    let is_json = path.extension().is_some_and(|extension| extension == "json");
    let read = if is_json { nfo::json(&bytes) } else { nfo::xml(&bytes) };
    read.map_err(|why| wrong(&why))
}

/// Pictures of a title: by its own name, inside it, or of the folder that is its alone.
pub fn pictures_of<'w>(of: &Of<'w>) -> Vec<Picture<'w>> {
    let Title { form, below, .. } = of.title;
    let stem = of.title.stem();
    if *form == Form::Folder {
        let inside = pictures_in(of.walk, below);
        if !inside.is_empty() {
            return inside;
        }
    }
    let beside = |end: &str| PathBuf::from(format!("{}{end}", stem.display()));
    let own = |ends: [&str; 2]| {
        let with =
            |end: &str| ["jpg", "jpeg", "png", "webp"].map(|one| beside(&format!("{end}.{one}")));
        ends.into_iter().flat_map(with).find(|path| of.walk.mark(path).is_some())
    };
    let mut found: Vec<(&str, PathBuf)> = Vec::new();
    found.extend(own(["-poster", ""]).map(|path| ("poster", path)));
    found.extend(own(["-fanart", "-backdrop"]).map(|path| ("backdrops", path)));
    let folder = below.parent().unwrap_or(Path::new(""));
    if found.is_empty() && *form != Form::Folder && of.walk.is_alone(folder) {
        return pictures_in(of.walk, folder);
    }
    found.into_iter().filter_map(|(key, path)| picture(of.walk, key, &path)).collect()
}

/// Pictures of a folder, as Kodi names them.
pub fn pictures_in<'w>(walk: &'w Walk, folder: &Path) -> Vec<Picture<'w>> {
    let named = |key: &'static str, names: [&str; 3]| {
        let ends = ["jpg", "jpeg", "png", "webp"];
        let paths =
            names.into_iter().flat_map(|name| ends.map(|end| folder.join(format!("{name}.{end}"))));
        let mut paths = paths.filter(|path| walk.mark(path).is_some());
        paths.next().and_then(|path| picture(walk, key, &path))
    };
    let poster = named("poster", ["poster", "folder", "cover"]);
    let backdrop = named("backdrops", ["fanart", "backdrop", "background"]);
    poster.into_iter().chain(backdrop).collect()
}

fn picture<'w>(walk: &'w Walk, key: &'static str, path: &Path) -> Option<Picture<'w>> {
    Some(Picture { key, mark: walk.mark(path)?, walk, path: path.to_owned() })
}
