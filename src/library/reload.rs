//! A config that was read again: libraries come and go, and limits change, while files are served.
//!
//! A library keeps its number for as long as the server runs, because claims to names go by it.
//! One that is added gets the next number, so it comes last where two libraries want one name; at
//! the next start the order of the config holds again. One that was removed leaves its place empty,
//! and gets it back when it is added again.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::root::Root;
use super::run::Library;
use super::upkeep;
use crate::config::{Access, Limits};

/// What the library takes from a config that was read again.
#[derive(Debug)]
pub(super) struct Reload {
    pub libraries: Vec<crate::config::Library>,
    pub access: Access,
    pub limits: Limits,
}

impl Library {
    /// Takes all of it. Running transfers from libraries that were removed are finished.
    pub(super) fn handle_reload(&mut self, new: Reload) {
        let wanted = |root: &Root| new.libraries.iter().any(|library| library.path == root.given);
        for index in 0..self.roots.len() {
            if !self.roots[index].gone && !wanted(&self.roots[index]) {
                self.close_root(index);
            }
        }
        for library in &new.libraries {
            self.open_root(library, new.access);
        }
        self.take_limits(new.limits);
        self.scan_everything();
    }

    fn open_root(&mut self, library: &crate::config::Library, access: Access) {
        let place = self.roots.iter().position(|root| root.given == library.path);
        let root = Root::new(library, access);
        match place {
            Some(index) if self.roots[index].gone => self.roots[index] = root,
            // Who may watch is written into what every shard knows of every name.
            Some(_) => return,
            None if self.roots.len() > usize::from(u16::MAX) => {
                return tracing::error!(
                    "shardcast: opening {}: too many libraries came and went (restart the server)",
                    library.path.display()
                );
            }
            None => {
                self.roots.push(root);
                self.folders.push(None);
            }
        }
        tracing::info!(library = %library.path.display(), "added");
    }

    fn close_root(&mut self, index: usize) {
        let root = &mut self.roots[index];
        root.gone = true;
        tracing::info!(library = %root.given.display(), "removed");
        for folder in self.folders_of(index) {
            self.watch.forget(&folder);
        }
        self.folders[index] = None;
        self.growing.retain(|name, _| usize::from(name.root) != index);
        // Nothing of it is seen by this scan.
        self.scan_number += 1;
        self.forget_below(index, Path::new(""), &[]);
    }

    /// The folders of a library in which something is served, and the library's own.
    fn folders_of(&self, index: usize) -> Vec<PathBuf> {
        let top = &self.roots[index].folder;
        let mut below_top = HashSet::from([PathBuf::new()]);
        for (name, _) in self.names.iter().filter(|(name, _)| usize::from(name.root) == index) {
            for folder in self.below(name).ancestors().skip(1) {
                // Where one is known, those above it are.
                if below_top.contains(folder) {
                    break;
                }
                below_top.insert(folder.to_owned());
            }
        }
        below_top.iter().map(|folder| top.join(folder)).collect()
    }

    fn take_limits(&mut self, limits: Limits) {
        let budget = upkeep::budget(&limits);
        // A budget that was given up, because files get no huge pages here, is tried again only if
        // the config gives another one.
        if budget != upkeep::budget(&self.limits) {
            self.upkeep.set_budget(budget);
            self.choose_packs_to_warm();
        }
        self.upkeep.rate = limits.scrub_rate;
        self.limits = limits;
    }
}
