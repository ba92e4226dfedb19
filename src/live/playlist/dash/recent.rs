//! The manifests that were published last: what a patch can begin with.
//!
//! A manifest names its patch by when it was published and by the hash of what it says. So the name
//! can be had by those alone who have these very bytes, also where several servers publish one
//! channel and each has its own order in which renditions come; and a server that was started anew
//! knows that it does not know it.

use std::collections::VecDeque;

use xxhash_rust::xxh3::xxh3_64;

use super::patch;
use crate::config::{MPD_PATCHES_MAX, MPD_PATCHES_SIZE_MAX};

/// Folder of a channel's patches, as seen from its manifests.
pub const FOLDER: &str = "patch";

/// The folder of a patch, `/tv/{channel}/patch`, if the path is one's. What is listed there is what
/// those get who ask for a patch that is not to be had.
#[must_use]
pub fn folder_of_patch(path: &str) -> Option<&str> {
    let (folder, name) = path.rsplit_once('/')?;
    (name.ends_with(".mpp") && folder.rsplit('/').next() == Some(FOLDER)).then_some(folder)
}

/// Manifests of one edition, the oldest first.
#[derive(Debug, Default)]
pub struct Recent {
    kept: VecDeque<Kept>,
    size: usize,
}

#[derive(Debug)]
struct Kept {
    published_millis: i64,
    /// Of its patch, as seen from it.
    patches: String,
    text: String,
    /// Where in it stands what does not say when it was published.
    body: usize,
}

/// What is known of a manifest by the name of its patch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// This turns it into the newest one.
    Patch(String),
    /// It is the newest one.
    Newest,
    /// Nothing, or nothing that helps.
    Nothing,
}

impl Recent {
    /// When the next manifest is published, in microseconds of Unix time, and the name of its
    /// patch; none if it says what the newest one says. `newest_micros` is where its media ends.
    ///
    /// That is not the time of day, so that two servers say the same. But it goes up with each
    /// manifest, since players go by that.
    #[must_use]
    pub fn next(&self, stem: &str, body: &str, newest_micros: i64) -> Option<(i64, String)> {
        let last = self.kept.back();
        if last.is_some_and(|last| last.text[last.body..] == *body) {
            return None;
        }
        let above = last.map_or(i64::MIN, |last| last.published_millis + 1);
        let millis = newest_micros.div_euclid(1000).max(above);
        let hash = xxh3_64(body.as_bytes());
        Some((millis * 1000, format!("{FOLDER}/{stem}-{millis}-{hash:016x}.mpp")))
    }

    /// A manifest was published, of a head and a body. Gives the names of patches that are not to
    /// be had any more.
    pub fn keep(
        &mut self,
        (micros, patches): (i64, String),
        head: &str,
        body: &str,
    ) -> Vec<String> {
        let text = [head, body].concat();
        self.size += text.len();
        let published_millis = micros.div_euclid(1000);
        self.kept.push_back(Kept { published_millis, patches, text, body: head.len() });
        let mut gone = Vec::new();
        while self.kept.len() > MPD_PATCHES_MAX
            || (self.size > MPD_PATCHES_SIZE_MAX && self.kept.len() > 1)
        {
            let Some(oldest) = self.kept.pop_front() else { break };
            self.size -= oldest.text.len();
            gone.push(oldest.patches);
        }
        gone
    }

    /// The newest manifest.
    #[must_use]
    pub fn newest(&self) -> Option<&str> {
        self.kept.back().map(|last| last.text.as_str())
    }

    /// The name of its patch, as seen from it.
    #[must_use]
    pub fn newest_patch(&self) -> Option<&str> {
        self.kept.back().map(|last| last.patches.as_str())
    }

    /// What turns the manifest with this name of a patch into the newest one.
    #[must_use]
    pub fn patch(&self, patches: &str) -> Known {
        let Some(at) = self.kept.iter().position(|kept| kept.patches == patches) else {
            return Known::Nothing;
        };
        if at + 1 == self.kept.len() {
            return Known::Newest;
        }
        let newest = self.newest().unwrap_or_default();
        let patch = patch::patch(&self.kept[at].text, newest);
        // What is longer than the manifest is of no use.
        patch.filter(|patch| patch.len() < newest.len()).map_or(Known::Nothing, Known::Patch)
    }
}

#[cfg(test)]
mod tests;
