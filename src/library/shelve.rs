//! Files come and go: when is one whole, which version is it, and what must the shards be told?

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::error::shown;
use super::names::{Name, Shelved, Verdict};
use super::opener::{is_heap_file, is_list};
use super::run::Library;
use super::scan::{self, Kind};
use super::version::Version;
use super::watch::Hint;
use crate::config::LISTED_MAX;
use crate::messages::{Change, SourceId, SourceKind};
use crate::sys::files;

/// How often a file that may not be whole is looked at. It is whole when nobody writes it, or,
/// where we may not ask, when two looks see the same.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A file changed longer ago than this, and seen by a scan, is taken to be whole.
const YOUNG: Duration = Duration::from_secs(2);

/// A file that may not be whole yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Growing {
    /// What it was at the last look.
    version: Version,
    /// When to look again.
    pub due: Instant,
}

impl Library {
    /// Looks at one path of a library: a folder is scanned, a file considered, nothing forgotten.
    pub(super) fn look_below(&mut self, root: usize, below: &Path, hint: Hint) {
        let Some(folder) = self.folders[root].clone() else { return };
        match scan::look(&self.roots[root], &folder, below) {
            Ok((Kind::Folder(_), link)) => {
                self.note_link(link);
                if !self.roots[root].is_one_file() || below.as_os_str().is_empty() {
                    self.scan_below(root, below);
                }
            }
            Ok((Kind::File(version), link)) => {
                self.note_link(link);
                self.consider(root, below, version, hint);
            }
            Ok((Kind::Nothing, link)) => {
                self.note_link(link);
                if below.as_os_str().is_empty() {
                    self.folders[root] = None;
                }
                self.watch.forget(&self.roots[root].folder.join(below));
                self.scan_number += 1;
                self.forget_below(root, below, &[]);
            }
            // What can't be looked at stays as it was known.
            Err(error) => {
                let path = shown(&self.roots[root].folder.join(below));
                tracing::warn!("shardcast: looking at {path}: {error}");
            }
        }
    }

    /// A file is there, in this version.
    pub(super) fn consider(&mut self, root: usize, below: &Path, version: Version, hint: Hint) {
        let Some(name) = self.name(root, below) else { return };
        if let Some(shelved) = self.names.get_mut(&name) {
            shelved.scan = self.scan_number;
            if shelved.version == version {
                self.growing.remove(&name);
                return;
            }
        } else if self.names.count() + self.growing.len() >= LISTED_MAX {
            return self.note_cut();
        }
        let now = Instant::now();
        let grows = Growing { version, due: now + LOOK_EVERY };
        match hint {
            Hint::Growing => {
                self.give_up_unless_copied(&name, version);
                self.growing.insert(name, grows);
            }
            Hint::Complete => self.shelve_if_unwritten(name, version, true),
            Hint::Look if self.growing.contains_key(&name) => {}
            Hint::Look if version.age() < YOUNG => self.shelve_if_unwritten(name, version, false),
            Hint::Look => self.shelve(name, version),
        }
    }

    /// Looks again at files that were not whole.
    pub(super) fn poll_growing(&mut self, now: Instant) {
        let is_due = |(_, growing): &(&Name, &Growing)| growing.due <= now;
        let due: Vec<_> =
            self.growing.iter().filter(is_due).map(|(n, g)| (n.clone(), *g)).collect();
        for (name, before) in due {
            match self.version_of(&name) {
                None => {
                    self.growing.remove(&name);
                    self.unshelve(&name, false);
                }
                Some(version) if version == before.version => {
                    self.shelve_if_unwritten(name, version, true);
                }
                Some(version) => {
                    self.growing.insert(name, Growing { version, due: now + LOOK_EVERY });
                }
            }
        }
    }

    /// Shelves a file unless somebody has it open for writing; `trusted` says what to believe
    /// where we may not ask.
    fn shelve_if_unwritten(&mut self, name: Name, version: Version, trusted: bool) {
        let writer = self.open_file(&name).and_then(files::has_writer);
        if writer == Some(true) || (writer.is_none() && !trusted) {
            self.give_up_unless_copied(&name, version);
            let due = Instant::now() + LOOK_EVERY;
            self.growing.insert(name, Growing { version, due });
        } else {
            self.growing.remove(&name);
            self.shelve(name, version);
        }
    }

    /// Puts a whole file's version in the place of any older one.
    fn shelve(&mut self, name: Name, version: Version) {
        let source = self.next_number();
        let torn = self.is_torn(&name, version);
        let size = usize::try_from(version.size).unwrap_or(usize::MAX);
        let room = self.limits.folder_memory.saturating_sub(self.list_bytes);
        let eager = is_list(&name.public) && self.is_copied(&name, version) && size <= room;
        let (known, scan) = (false, self.scan_number);
        let shelved = Shelved { version, source, ready: !eager, known, scan };
        if let Some(old) = self.names.get(&name).copied() {
            self.supersede(old.source);
        } else {
            self.warn_of_rival(&name);
        }
        self.names.put(name.clone(), shelved);
        self.sources.insert(source, name.clone());
        if torn {
            self.withdraw_torn(&name);
        }
        if eager {
            self.open_unasked(source, size);
        }
        self.tell_of(&name);
    }

    /// Takes away a file that went, or, if `torn`, whose bytes changed under its readers.
    pub(super) fn unshelve(&mut self, name: &Name, torn: bool) {
        let Some(shelved) = self.names.remove(name) else { return };
        if torn {
            self.withdraw_torn(name);
        }
        self.supersede(shelved.source);
        self.tell_of(name);
    }

    /// Takes away everything at and below a path that the current scan has not seen, except below
    /// folders that could not be read.
    pub(super) fn forget_below(&mut self, root: usize, below: &Path, unreadable: &[PathBuf]) {
        let Some(public) = self.roots[root].public_folder(below) else { return };
        let mut names = self.names.at_and_below(narrow(root), &public);
        // A pack's public name lacks its ending, so it is not below the path that went.
        if let Some(name) = self.name(root, below) {
            names.push(name);
        }
        let is_kept = |path: &Path| unreadable.iter().any(|folder| path.starts_with(folder));
        for name in names {
            let seen = self.names.get(&name).is_some_and(|s| s.scan == self.scan_number);
            let path = self.roots[root].below(&name.public, name.kind());
            if !seen && path.starts_with(below) && !is_kept(&path) {
                self.unshelve(&name, false);
            }
        }
    }

    /// Tells the shards what changed about a name, and about names that it hid or hides.
    pub(super) fn tell_of(&mut self, name: &Name) {
        for public in self.names.affected(name) {
            let mut verdict = self.names.tell(&public);
            if let Verdict::Again(name, source) = verdict {
                self.renumber(&name, source);
                verdict = self.names.tell(&public);
            }
            match verdict {
                Verdict::Same => {}
                Verdict::Again(..) => unreachable!("no shard knows its new number"),
                Verdict::Gone => self.list(public, Change::Absent),
                Verdict::Now(name, source) => {
                    let opened = self.lend_to_all(source);
                    let access = self.roots[usize::from(name.root)].access;
                    let kind = name.kind();
                    self.list(public, Change::Present { source, kind, access, opened });
                }
            }
        }
    }

    /// Gives a file that is listed once more a new number: messages about the old one may still be
    /// on their way, from shards and to them, and must not be taken for messages about this.
    fn renumber(&mut self, name: &Name, old: SourceId) {
        let fresh = self.next_number();
        let shelved = self.names.get_mut(name).expect("the caller has found it");
        (shelved.source, shelved.known) = (fresh, false);
        self.sources.insert(fresh, name.clone());
        let counted = self.pass_on(old, fresh);
        self.supersede(old);
        if counted > 0 {
            // It is listed at once: whoever asks for the list waits until it is copied.
            self.open_unasked(fresh, counted);
        }
    }

    fn next_number(&mut self) -> SourceId {
        let source = SourceId(self.next_source);
        self.next_source += 1;
        source
    }

    /// A version that is being overwritten is let go; a copy of it in memory stays good.
    fn give_up_unless_copied(&mut self, name: &Name, version: Version) {
        let copied = self.names.get(name).is_none_or(|shelved| self.is_in_memory(shelved.source));
        if !copied {
            let torn = self.is_torn(name, version);
            self.unshelve(name, torn);
        }
    }

    fn is_torn(&self, name: &Name, newer: Version) -> bool {
        self.names
            .get(name)
            .is_some_and(|old| old.version.is_torn_by(&newer) && self.is_lent_from_disk(old.source))
    }

    pub(super) fn withdraw_torn(&mut self, name: &Name) {
        if self.names.withdraw(&name.public) {
            self.list(Arc::clone(&name.public), Change::Torn);
        }
    }

    fn is_copied(&self, name: &Name, version: Version) -> bool {
        name.kind() == SourceKind::File && is_heap_file(&name.public, version.size)
    }

    /// Warns that two files want one name: the first twenty times, since a copy of a library
    /// would make thousands.
    fn warn_of_rival(&mut self, name: &Name) {
        const WARNINGS_MAX: u32 = 20;
        let Some(rival) = self.names.rival(name) else { return };
        let (kept, hidden) = if rival < name || rival.root < name.root {
            (self.shown(rival), self.shown(name))
        } else {
            (self.shown(name), self.shown(rival))
        };
        let more =
            if self.rivals == WARNINGS_MAX - 1 { "; no more of this kind is said" } else { "" };
        if self.rivals < WARNINGS_MAX {
            tracing::warn!(
                "shardcast: listing {hidden}: {kept} has its name already, and is served (rename \
                 one of them){more}"
            );
        }
        self.rivals = self.rivals.saturating_add(1);
    }

    fn name(&self, root: usize, below: &Path) -> Option<Name> {
        let (public, kind) = self.roots[root].public(below)?;
        Some(Name::new(&public, narrow(root), kind))
    }

    /// Where the file of a name lies below its library's folder.
    pub(super) fn below(&self, name: &Name) -> PathBuf {
        self.roots[usize::from(name.root)].below(&name.public, name.kind())
    }

    fn open_file(&self, name: &Name) -> Option<File> {
        let folder = self.folders[usize::from(name.root)].as_ref()?;
        let flags = libc::O_RDONLY | libc::O_NONBLOCK;
        files::open_beneath(&**folder, &self.below(name), flags).ok().map(File::from)
    }

    fn version_of(&self, name: &Name) -> Option<Version> {
        let root = usize::from(name.root);
        let folder = self.folders[root].as_ref()?;
        match scan::look(&self.roots[root], folder, &self.below(name)) {
            Ok((Kind::File(version), _)) => Some(version),
            _ => None,
        }
    }
}

fn narrow(root: usize) -> u16 {
    u16::try_from(root).expect("the libraries were counted when the library started")
}
