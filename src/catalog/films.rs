//! Which folders of files are films: those with a playlist or a manifest.

use ahash::AHashMap;

use super::Catalog;
use crate::messages::SourceKind;
use crate::units::Class;

/// Folders with playlists or manifests below `/vod/`, and how many each has.
#[derive(Debug, Default)]
pub(super) struct Films(AHashMap<Box<str>, u32>);

impl Films {
    pub(super) fn add(&mut self, path: &str, kind: SourceKind) {
        if let Some(folder) = folder(path, kind) {
            *self.0.entry(folder.into()).or_default() += 1;
        }
    }

    pub(super) fn remove(&mut self, path: &str, kind: SourceKind) {
        let Some(folder) = folder(path, kind) else { return };
        let Some(count) = self.0.get_mut(folder) else { return };
        *count -= 1;
        if *count == 0 {
            self.0.remove(folder);
        }
    }
}

impl Catalog {
    /// The film to which a file of a folder belongs: the topmost folder above it with a playlist
    /// or a manifest.
    #[must_use]
    pub fn film_of<'p>(&self, path: &'p str) -> Option<&'p str> {
        let mut above = memchr::memchr_iter(b'/', path.as_bytes()).map(|end| &path[..end]);
        above.find(|folder| self.films.0.contains_key(*folder))
    }
}

/// The folder of a playlist or a manifest that is a file below `/vod/`.
fn folder(path: &str, kind: SourceKind) -> Option<&str> {
    let is_text = matches!(Class::of(path), Class::Playlist | Class::Manifest);
    let is_film = kind == SourceKind::File && !path.starts_with('/') && is_text;
    path.rsplit_once('/').map(|(folder, _)| folder).filter(|_| is_film)
}
