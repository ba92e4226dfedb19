//! Headers of one channel that are lent: copies in memory, as long as an hour has them.
//!
//! Players of what is live ask for the same names, also when nothing is written because a disk is
//! full. So the newest headers stay in any case, as many as a channel can have renditions.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::config::{ARCHIVE_HEADERS_SIZE_MAX, RENDITIONS_MAX};
use crate::library::hours::Hour;

/// Which are lent, by their paths.
#[derive(Debug, Default)]
pub(super) struct Headers {
    lent: HashMap<Arc<str>, Header>,
    size: u64,
    uses: u64,
}

#[derive(Debug)]
struct Header {
    /// Those that have it.
    hours: BTreeSet<Hour>,
    size: u64,
    /// When an hour first had it, counted in such moments.
    used: u64,
}

impl Headers {
    /// Whether one is lent.
    pub(super) fn has(&self, path: &str) -> bool {
        self.lent.contains_key(path)
    }

    /// An hour has one; whether it was not lent before.
    pub(super) fn add(&mut self, path: &Arc<str>, hour: Hour, size: u64) -> bool {
        self.uses += 1;
        let new = || Header { hours: BTreeSet::new(), size, used: 0 };
        let is_new = !self.lent.contains_key(path);
        self.size += if is_new { size } else { 0 };
        let header = self.lent.entry(Arc::clone(path)).or_insert_with(new);
        header.hours.insert(hour);
        header.used = self.uses;
        is_new
    }

    /// An hour is gone: which are lent no longer.
    pub(super) fn remove(&mut self, hour: Hour) -> Vec<Arc<str>> {
        let newest = self.newest();
        let mut gone = Vec::new();
        self.lent.retain(|path, header| {
            header.hours.remove(&hour);
            let stays = !header.hours.is_empty() || header.used >= newest;
            if !stays {
                self.size -= header.size;
                gone.push(Arc::clone(path));
            }
            stays
        });
        gone
    }

    /// Those that are too many are lent no longer, the oldest first.
    pub(super) fn bound(&mut self) -> Vec<Arc<str>> {
        let mut gone = Vec::new();
        while self.size > ARCHIVE_HEADERS_SIZE_MAX {
            let oldest = self.lent.iter().min_by_key(|(_, header)| header.used);
            let Some(path) = oldest.map(|(path, _)| Arc::clone(path)) else { break };
            self.size -= self.lent.remove(&path).map_or(0, |header| header.size);
            gone.push(path);
        }
        gone
    }

    /// All of them.
    pub(super) fn into_paths(self) -> impl Iterator<Item = Arc<str>> {
        self.lent.into_keys()
    }

    /// Since when those are used that stay in any case.
    fn newest(&self) -> u64 {
        let mut uses: Vec<_> = self.lent.values().map(|header| header.used).collect();
        uses.sort_unstable();
        uses.iter().rev().nth(RENDITIONS_MAX - 1).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hour(since_1970: u64) -> Hour {
        Hour { since_1970, part: 0 }
    }

    #[test]
    fn a_header_goes_with_the_last_hour_that_has_it_but_for_the_newest() {
        let mut headers = Headers::default();
        let path = |number: usize| Arc::from(format!("/tv/news/v/init-{number}.mp4"));
        let all = RENDITIONS_MAX + 2;
        for number in 0..all {
            assert!(headers.add(&path(number), hour(1), 100));
        }
        // The first is used in the next hour, too.
        assert!(!headers.add(&path(0), hour(2), 100));
        assert_eq!(headers.size, 100 * all as u64);
        let mut gone = headers.remove(hour(1));
        gone.sort();
        assert_eq!(gone, [path(1), path(2)]);
        assert!(headers.has(&path(0)) && headers.has(&path(3)) && !headers.has(&path(1)));
        // What comes later takes their places.
        assert!(headers.add(&path(1), hour(3), 100));
        assert_eq!(headers.remove(hour(2)), [path(3)]);
        assert_eq!(headers.into_paths().count(), RENDITIONS_MAX);
    }

    #[test]
    fn copies_have_a_bound() {
        let mut headers = Headers::default();
        let size = ARCHIVE_HEADERS_SIZE_MAX / 4;
        let path = |number: u64| Arc::from(format!("/tv/news/v/init-{number}.mp4"));
        for number in 0..4 {
            headers.add(&path(number), hour(number), size);
            assert!(headers.bound().is_empty());
        }
        headers.add(&path(0), hour(9), size);
        headers.add(&path(4), hour(9), size);
        assert_eq!(headers.bound(), [path(1)]);
        assert!(headers.has(&path(0)));
    }
}
