//! What lies below `/vod/`, and how any object is found that is listed: in the form that is for its
//! viewer.

use super::source::{self, State};
use super::{Catalog, Found, SourceSlot};
use crate::config::Access;
use crate::messages::{Index, OpenFault};
use crate::request::authorise::Grant;
use crate::request::locate::{self, Place};

impl Catalog {
    /// What a viewer finds at this path below `/vod/`: a file of a folder, else an object of a pack
    /// whose path is a prefix; of several such packs the one with the shortest path that has it.
    ///
    /// What this viewer may not have is passed over before anything else is known of it. Where
    /// anything takes a token, a path that leads nowhere is answered in the same way: nobody can
    /// say which library it was meant for.
    #[must_use]
    pub fn vod(&self, path: &str, grant: &Grant) -> Found<'_> {
        if let Some(&slot) = self.files.get(path)
            && self.allows(slot, grant)
        {
            return self.file(slot, path, grant);
        }
        let mut damaged = false;
        for end in memchr::memchr_iter(b'/', path.as_bytes()) {
            let Some(&slot) = self.packs.get(&path[..end]) else { continue };
            if !self.allows(slot, grant) {
                continue;
            }
            match self.object(slot, || self.number(slot, &path[end + 1..]), grant) {
                Found::Absent => {}
                Found::Damaged => damaged = true,
                found => return found,
            }
        }
        if damaged {
            return Found::Damaged;
        }
        match self.coming(path, grant) {
            Found::Absent => self.absent(grant),
            found => found,
        }
    }

    /// A file of a folder, which may belong to a rendition.
    fn file(&self, slot: SourceSlot, path: &str, grant: &Grant) -> Found<'_> {
        // Nobody without a token has a cap.
        if grant.viewer().is_none() {
            return self.object(slot, || Some(0), grant);
        }
        let rung = self.ladders.rung(path);
        match self.object(slot, || Some(0), grant) {
            _ if !grant.is_within(rung) => Found::Beyond,
            Found::Object(object) => Found::Object(locate::Object { rung, ..object }),
            found => found,
        }
    }

    /// What is said of a path that leads nowhere.
    pub(super) fn absent(&self, grant: &Grant) -> Found<'_> {
        if self.token_count > 0 && !grant.allows(Access::Token) {
            return Found::Withheld;
        }
        Found::Absent
    }

    pub(super) fn allows(&self, slot: SourceSlot, grant: &Grant) -> bool {
        grant.allows(self.sources[slot.0 as usize].access)
    }

    /// A growing object, or a path that is expected.
    pub(super) fn coming(&self, path: &str, grant: &Grant) -> Found<'_> {
        if let Some(&slot) = self.growing_paths.get(path) {
            let growing = &self.growing[slot.0 as usize];
            if grant.allows(growing.access) {
                let (media_type, class) = (growing.media_type, growing.class);
                let rung = self.rung_at(path);
                return match grant.is_within(rung) {
                    true => Found::Growing(locate::Growing { slot, media_type, class, rung }),
                    false => Found::Beyond,
                };
            }
        }
        match self.expected.get(path) {
            Some(&place) => Found::Expected(Place::Path(place)),
            None => Found::Absent,
        }
    }

    /// The number of an object in an open pack.
    pub(super) fn number(&self, slot: SourceSlot, path: &str) -> Option<u32> {
        match &self.sources[slot.0 as usize].state {
            State::Open(opened) => match &opened.index {
                Index::Pack(index) => index.find(path.as_bytes()),
                Index::Single(_) => None,
            },
            _ => None,
        }
    }

    /// The object, in the form that is for this viewer.
    pub(super) fn object(
        &self,
        slot: SourceSlot,
        number: impl Fn() -> Option<u32>,
        grant: &Grant,
    ) -> Found<'_> {
        let source = &self.sources[slot.0 as usize];
        match &source.state {
            State::Open(opened) => match number() {
                Some(number) => {
                    let (entry, rung) =
                        source::form(opened, number, grant.terms().bitrate_max_kbps);
                    if !grant.is_within(rung) {
                        return Found::Beyond;
                    }
                    Found::Object(locate::Object {
                        key: locate::ObjectKey { source: slot, entry },
                        source: source.id,
                        entry: source::facts(opened, entry),
                        opened,
                        kind: source.kind,
                        rung,
                    })
                }
                None => Found::Absent,
            },
            State::Closed | State::Opening => Found::Closed(slot),
            State::Failed(OpenFault::Missing) => Found::Absent,
            State::Failed(OpenFault::Damaged | OpenFault::Exhausted) => Found::Damaged,
        }
    }
}
