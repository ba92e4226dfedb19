//! Segments of live channels that are in an archive, found by their number.
//!
//! A finished hour is one listing for all of its renditions, however many segments it holds; of the
//! hour that is being written each segment is a listing of its own. Both are found by halving.

use std::collections::BTreeMap;
use std::sync::Arc;

use ahash::AHashMap;

use super::{Catalog, Effect, Found, SourceSlot};
use crate::live::channel::Container;
use crate::messages::{Archived, SourceKind};
use crate::request::authorise::Grant;
use crate::units::split_last;

/// Everything that is listed of archives.
#[derive(Debug, Default)]
pub(super) struct Archives {
    /// By the rendition's folder: `/tv/news/video`.
    folders: AHashMap<Arc<str>, Folder>,
    /// By the path under which it was listed.
    listed: AHashMap<Arc<str>, (Arc<Archived>, SourceSlot)>,
}

/// A rendition's segments, by their first number.
#[derive(Debug, Default)]
struct Folder {
    singles: BTreeMap<i64, SourceSlot>,
    packs: BTreeMap<i64, (i64, SourceSlot)>,
}

impl Folder {
    fn remove(&mut self, first: i64, slot: SourceSlot) {
        if self.singles.get(&first) == Some(&slot) {
            self.singles.remove(&first);
        }
        if self.packs.get(&first).is_some_and(|(_, listed)| *listed == slot) {
            self.packs.remove(&first);
        }
    }
}

impl Catalog {
    /// What a viewer finds in an archive at this path of something live.
    pub(super) fn in_archive(&self, path: &str, grant: &Grant) -> Found<'_> {
        let (folder, name) = split_last(path, b'/');
        let (Some(of), Some((number, container))) =
            (self.archived.folders.get(folder), number(name))
        else {
            return Found::Absent;
        };
        if let Some(&slot) = of.singles.get(&number)
            && self.allows(slot, grant)
        {
            let found = self.object(slot, || Some(0), grant);
            // A number is either of them, and its name says which.
            let ts = Container::Ts;
            return match &found {
                Found::Object(object)
                    if (object.media_type() == ts.media_type()) != (container == ts) =>
                {
                    Found::Absent
                }
                _ => found,
            };
        }
        let pack = of.packs.range(..=number).next_back();
        let Some((_, &(last, slot))) = pack else { return Found::Absent };
        if number > last || !self.allows(slot, grant) {
            return Found::Absent;
        }
        // In the pack of a channel's hour a segment lies below its rendition: `video/1.m4s`.
        let below = path.len() - name.len() - 1 - split_last(folder, b'/').1.len();
        self.object(slot, || self.number(slot, &path[below..]), grant)
    }

    pub(super) fn list_archived(
        &mut self,
        path: &Arc<str>,
        archived: &Arc<Archived>,
        effects: &mut Vec<Effect>,
    ) {
        if let Some((known, _)) = self.archived.listed.get(path)
            && known.source == archived.source
        {
            return;
        }
        self.retire_archived(path, effects);
        let slot = self.add(archived.source, archived.kind, archived.access);
        for numbers in &archived.numbers {
            let folder = self.archived.folders.entry(Arc::clone(&numbers.folder)).or_default();
            match archived.kind {
                SourceKind::File => drop(folder.singles.insert(numbers.first, slot)),
                SourceKind::Pack => drop(folder.packs.insert(numbers.first, (numbers.last, slot))),
            }
        }
        self.archived.listed.insert(Arc::clone(path), (Arc::clone(archived), slot));
        if let Some(opened) = &archived.opened {
            self.open(opened, effects);
        }
    }

    /// Nothing begins any more with what was listed at this path of an archive.
    pub(super) fn retire_archived(&mut self, path: &str, effects: &mut Vec<Effect>) {
        let Some((archived, slot)) = self.archived.listed.remove(path) else { return };
        for numbers in &archived.numbers {
            if let Some(folder) = self.archived.folders.get_mut(&numbers.folder) {
                folder.remove(numbers.first, slot);
                if folder.singles.is_empty() && folder.packs.is_empty() {
                    self.archived.folders.remove(&numbers.folder);
                }
            }
        }
        self.let_go(slot, false, effects);
    }
}

/// The number of a segment of this name, and what it is; each has one name only.
fn number(name: &str) -> Option<(i64, Container)> {
    let (digits, extension) = name.split_once('.')?;
    let mut containers = [Container::Cmaf, Container::Ts].into_iter();
    let container = containers.find(|container| container.extension() == extension)?;
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    let is_short = digits == "0" || !digits.starts_with('0');
    let number = digits.parse().ok().filter(|_| is_plain && is_short);
    number.map(|number| (number, container))
}

#[cfg(test)]
mod tests;
