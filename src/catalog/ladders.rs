//! Which files of folders belong to which rendition, as playlists and manifests there say.

use std::sync::Arc;

use ahash::AHashMap;

use crate::messages::{Beside, SourceId, SourceKind};
use crate::units::{Class, Rung, split_last};

/// What playlists and manifests say, by their folders.
#[derive(Debug, Default)]
pub(super) struct Ladders(AHashMap<Box<str>, Vec<(SourceId, Arc<Beside>)>>);

impl Ladders {
    /// The text at this path says so.
    pub(super) fn add(&mut self, path: &str, source: SourceId, beside: &Arc<Beside>) {
        let said = self.0.entry(folder(path).into()).or_default();
        if said.iter().all(|(known, _)| *known != source) {
            said.push((source, Arc::clone(beside)));
        }
    }

    /// That text is gone.
    pub(super) fn remove(&mut self, path: &str, source: SourceId) {
        let Some(said) = self.0.get_mut(folder(path)) else { return };
        said.retain(|(known, _)| *known != source);
        if said.is_empty() {
            self.0.remove(folder(path));
        }
    }

    /// What the file at a path takes: the least of what is said of it.
    pub(super) fn rung(&self, path: &str) -> Rung {
        if self.0.is_empty() {
            return Rung::default();
        }
        let below = |end: usize| {
            let said = self.0.get(&path[..end])?.iter();
            let rungs = said.map(|(_, beside)| beside.rung(path[end..].trim_start_matches('/')));
            rungs.filter(|rung| *rung != Rung::default()).reduce(Rung::or)
        };
        let folders = memchr::memchr_iter(b'/', path.as_bytes());
        std::iter::once(0).chain(folders).find_map(below).unwrap_or_default()
    }
}

/// Whether a path is one of a playlist or a manifest in a folder, which may say so.
pub(super) fn of_folder(path: &str, kind: SourceKind) -> bool {
    let is_list = matches!(Class::of(path), Class::Playlist | Class::Manifest);
    is_list && kind == SourceKind::File && !path.starts_with('/')
}

fn folder(path: &str) -> &str {
    split_last(path, b'/').0
}
