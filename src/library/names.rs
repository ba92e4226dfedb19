//! Which file has which public name: pure bookkeeping, no disk.
//!
//! Several files may claim one name: of two libraries, or a pack and a folder. The first library
//! wins, and within one library the pack. A pack claims everything below its name, too.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use ahash::AHashMap;

use super::version::Version;
use crate::messages::{SourceId, SourceKind};

/// One file's claim to a name. In order: by name, then by who wins.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Name {
    /// What follows `/vod/`.
    pub public: Arc<str>,
    /// The library's number.
    pub root: u16,
    /// A plain file comes after a pack.
    is_file: bool,
}

impl Name {
    pub(super) fn new(public: &str, root: u16, kind: SourceKind) -> Self {
        Self { public: public.into(), root, is_file: kind == SourceKind::File }
    }

    pub(super) fn kind(&self) -> SourceKind {
        if self.is_file { SourceKind::File } else { SourceKind::Pack }
    }
}

/// A file that may be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shelved {
    pub version: Version,
    pub source: SourceId,
    /// Whether it may be listed; else its bytes are still being copied.
    pub ready: bool,
    /// Whether the shards were told of this number, so that one of them may still know it.
    pub known: bool,
    /// The scan that saw it last.
    pub scan: u32,
}

/// All claims, and what the shards were told.
#[derive(Debug, Default)]
pub(super) struct Names {
    claims: BTreeMap<Name, Shelved>,
    told: AHashMap<Arc<str>, SourceId>,
}

/// What the shards must be told of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing new.
    Same,
    /// Nobody has the name any more.
    Gone,
    /// Another file or version has it now.
    Now(Name, SourceId),
    /// As `Now`, but the shards were told of this number before, and then something else: it must
    /// be given a new one first. Nothing is noted.
    Again(Name, SourceId),
}

impl Names {
    pub(super) fn get(&self, name: &Name) -> Option<&Shelved> {
        self.claims.get(name)
    }

    pub(super) fn get_mut(&mut self, name: &Name) -> Option<&mut Shelved> {
        self.claims.get_mut(name)
    }

    pub(super) fn put(&mut self, name: Name, shelved: Shelved) {
        self.claims.insert(name, shelved);
    }

    pub(super) fn remove(&mut self, name: &Name) -> Option<Shelved> {
        self.claims.remove(name)
    }

    pub(super) fn count(&self) -> usize {
        self.claims.len()
    }

    /// All claims, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Name, &Shelved)> {
        self.claims.iter()
    }

    /// The first pack after a name, or of all.
    pub(super) fn pack_after(&self, name: Option<&Name>) -> Option<(Name, SourceId)> {
        let after = name.map_or(Bound::Unbounded, |name| Bound::Excluded(name.clone()));
        let mut claims = self.claims.range((after, Bound::Unbounded));
        let (name, shelved) = claims.find(|(name, _)| !name.is_file)?;
        Some((name.clone(), shelved.source))
    }

    /// The claims of one library to a name, and to the names below it. The empty name is above all.
    pub(super) fn at_and_below(&self, root: u16, public: &str) -> Vec<Name> {
        let of_root = |(name, _): &(&Name, &Shelved)| name.root == root;
        let copy = |(name, _): (&Name, &Shelved)| name.clone();
        if public.is_empty() {
            return self.claims.iter().filter(of_root).map(copy).collect();
        }
        let here = self.claims_to(public).filter(of_root).map(copy);
        here.chain(self.claims_below(public).filter(of_root).map(copy)).collect()
    }

    /// Another file that claims this name or one above it, and wins.
    pub(super) fn rival(&self, name: &Name) -> Option<&Name> {
        let same = self.claims_to(&name.public).map(|(rival, _)| rival).find(|rival| *rival < name);
        same.or_else(|| self.shadow(name))
    }

    /// Names about which the shards may have to be told something, after a claim came or went.
    pub(super) fn affected(&self, name: &Name) -> Vec<Arc<str>> {
        let mut names = vec![Arc::clone(&name.public)];
        if name.is_file {
            // It may have hidden a pack of a later library above it, or may do so now. Other packs
            // are left out: to find out what hides a pack means to look at everything below it.
            let claims = ancestors(&name.public).flat_map(|above| self.claims_to(above));
            let packs = claims.filter(|(pack, _)| pack.root > name.root);
            names.extend(packs.map(|(pack, _)| Arc::clone(&pack.public)));
        } else {
            names.extend(
                self.claims_below(&name.public).map(|(below, _)| Arc::clone(&below.public)),
            );
        }
        names.dedup();
        names
    }

    /// What the shards must be told of a name; notes that they were.
    pub(super) fn tell(&mut self, public: &Arc<str>) -> Verdict {
        let winner = self.claims_to(public).next().filter(|(name, _)| self.shadow(name).is_none());
        match winner.map(|(name, shelved)| (name.clone(), *shelved)) {
            None if self.told.remove(public).is_some() => Verdict::Gone,
            None => Verdict::Same,
            // What was told before stays true until the new bytes are in memory.
            Some((_, shelved)) if !shelved.ready => Verdict::Same,
            Some((_, shelved)) if self.told.get(public) == Some(&shelved.source) => Verdict::Same,
            Some((name, shelved)) if shelved.known => Verdict::Again(name, shelved.source),
            Some((name, shelved)) => {
                self.told.insert(Arc::clone(public), shelved.source);
                self.claims.get_mut(&name).expect("it was just found").known = true;
                Verdict::Now(name, shelved.source)
            }
        }
    }

    /// What the shards were told that the name stands for.
    pub(super) fn told(&self, public: &str) -> Option<SourceId> {
        self.told.get(public).copied()
    }

    /// Notes that the shards were told that the name is gone; whether they had known it.
    pub(super) fn withdraw(&mut self, public: &str) -> bool {
        self.told.remove(public).is_some()
    }

    /// The claim that hides this one although it is to another name: a pack above it, or, for a
    /// pack, a file of an earlier library below it.
    fn shadow(&self, name: &Name) -> Option<&Name> {
        let above = ancestors(&name.public)
            .flat_map(|above| self.claims_to(above))
            .map(|(pack, _)| pack)
            .find(|pack| !pack.is_file && pack.root <= name.root);
        above.or_else(|| {
            if name.is_file {
                return None;
            }
            let mut below = self.claims_below(&name.public).map(|(file, _)| file);
            below.find(|file| file.root < name.root)
        })
    }

    fn claims_to(&self, public: &str) -> impl Iterator<Item = (&Name, &Shelved)> {
        let first = Name::new(public, 0, SourceKind::Pack);
        let last = Name::new(public, u16::MAX, SourceKind::File);
        self.claims.range(first..=last)
    }

    fn claims_below(&self, public: &str) -> impl Iterator<Item = (&Name, &Shelved)> {
        // '0' is the character after '/'.
        let first = Name::new(&format!("{public}/"), 0, SourceKind::Pack);
        let end = Name::new(&format!("{public}0"), 0, SourceKind::Pack);
        self.claims.range((Bound::Included(first), Bound::Excluded(end)))
    }
}

/// `a/b/c` → `a/b`, `a`.
fn ancestors(public: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(public.rsplit_once('/'), |(above, _)| above.rsplit_once('/'))
        .map(|(above, _)| above)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACK: SourceKind = SourceKind::Pack;
    const FILE: SourceKind = SourceKind::File;

    fn shelved(source: u64) -> Shelved {
        let version = Version { device: 0, inode: 0, size: 0, modified: (0, 0), changed: (0, 0) };
        Shelved { version, source: SourceId(source), ready: true, known: false, scan: 0 }
    }

    /// Claims come in this order; then the winners are these.
    #[track_caller]
    fn check(claims: &[(&str, u16, SourceKind)], winners: &[(&str, u64)]) {
        // In either order of arrival the same files win.
        for reverse in [false, true] {
            let mut names = Names::default();
            let mut shown: BTreeMap<Arc<str>, u64> = BTreeMap::new();
            let mut order: Vec<_> = (0..).zip(claims).collect();
            if reverse {
                order.reverse();
            }
            for (number, (public, root, kind)) in order {
                let name = Name::new(public, *root, *kind);
                names.put(name.clone(), shelved(number));
                for public in names.affected(&name) {
                    match names.tell(&public) {
                        Verdict::Same => {}
                        Verdict::Gone => drop(shown.remove(&public)),
                        Verdict::Now(_, source) => drop(shown.insert(public, source.0)),
                        Verdict::Again(name, _) => panic!("{name:?} was never withdrawn"),
                    }
                }
            }
            let shown: Vec<_> = shown.iter().map(|(name, source)| (&**name, *source)).collect();
            assert_eq!(shown, winners, "reverse: {reverse}");
        }
    }

    #[test]
    fn the_first_library_wins_and_packs_win_over_folders() {
        check(&[("a", 0, PACK), ("a", 1, PACK)], &[("a", 0)]);
        check(&[("a", 0, FILE), ("a", 0, PACK)], &[("a", 1)]);
        check(&[("a", 0, FILE), ("a", 1, PACK)], &[("a", 0)]);
        check(&[("a", 0, PACK), ("a/x.ts", 0, FILE)], &[("a", 0)]);
        check(&[("a", 1, PACK), ("a/x/y.ts", 0, FILE)], &[("a/x/y.ts", 1)]);
        check(&[("a", 0, PACK), ("a/x/y.ts", 1, FILE), ("ab", 1, FILE)], &[("a", 0), ("ab", 2)]);
        check(&[("f/a", 0, PACK), ("f/b", 1, PACK)], &[("f/a", 0), ("f/b", 1)]);
    }

    #[test]
    fn the_next_in_line_follows_when_the_winner_goes() {
        let mut names = Names::default();
        let (first, second) = (Name::new("a", 0, PACK), Name::new("a", 1, PACK));
        names.put(first.clone(), shelved(1));
        names.put(second.clone(), shelved(2));
        let public = Arc::clone(&first.public);
        assert_eq!(names.tell(&public), Verdict::Now(first.clone(), SourceId(1)));
        assert_eq!(names.tell(&public), Verdict::Same);
        assert_eq!(names.rival(&second), Some(&first));
        names.remove(&first);
        assert_eq!(names.tell(&public), Verdict::Now(second.clone(), SourceId(2)));
        names.remove(&second);
        assert_eq!(names.tell(&public), Verdict::Gone);
        assert_eq!(names.tell(&public), Verdict::Same);
    }

    #[test]
    fn what_comes_back_needs_a_new_number() {
        let mut names = Names::default();
        let (first, second) = (Name::new("a", 0, PACK), Name::new("a", 1, PACK));
        let public = Arc::clone(&first.public);
        names.put(second.clone(), shelved(2));
        assert_eq!(names.tell(&public), Verdict::Now(second.clone(), SourceId(2)));
        names.put(first.clone(), shelved(1));
        assert_eq!(names.tell(&public), Verdict::Now(first.clone(), SourceId(1)));
        names.remove(&first);
        for _ in 0..2 {
            assert_eq!(names.tell(&public), Verdict::Again(second.clone(), SourceId(2)));
        }
        names.put(second.clone(), shelved(3));
        assert_eq!(names.tell(&public), Verdict::Now(second.clone(), SourceId(3)));
        assert!(names.withdraw(&public));
        assert_eq!(names.tell(&public), Verdict::Again(second, SourceId(3)));
    }

    #[test]
    fn a_file_makes_nobody_look_at_all_that_lies_beside_it() {
        let mut names = Names::default();
        for root in 0..3 {
            names.put(Name::new("show", root, PACK), shelved(0));
        }
        let affected = |root| {
            let affected = names.affected(&Name::new("show/a.ts", root, FILE));
            affected.iter().map(|name| name.to_string()).collect::<Vec<_>>()
        };
        // What hides the pack of a first library is never below it.
        assert_eq!(affected(2), ["show/a.ts"]);
        assert_eq!(affected(1), ["show/a.ts", "show"]);
    }

    #[test]
    fn a_folder_has_what_is_below_it_and_no_neighbour() {
        let mut names = Names::default();
        for public in ["a", "a/b", "a/b/c", "a-b", "a0"] {
            names.put(Name::new(public, 0, FILE), shelved(0));
        }
        let below: Vec<_> = names.at_and_below(0, "a");
        let below: Vec<_> = below.iter().map(|name| &*name.public).collect();
        assert_eq!(below, ["a", "a/b", "a/b/c"]);
        assert_eq!(names.at_and_below(0, "").len(), 5);
        assert_eq!(names.at_and_below(1, "a").len(), 0);
    }
}
