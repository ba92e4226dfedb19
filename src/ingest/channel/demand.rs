//! What those want to know of a channel who make it on demand: whether media comes, whether anybody
//! watches, and what viewers can ask for.

use std::time::Instant;

use super::Channel;
use super::remux::{PLAYLIST, STREAM, TEXTS};
use crate::live::playlist::name::{Kind, Name};
use crate::messages::GrowingId;

/// A stream that there is not.
const NO_STREAM: GrowingId = GrowingId(u64::MAX);

/// Paths by which players begin with a channel, whatever comes of it.
#[must_use]
pub fn beginnings(id: &str) -> Vec<String> {
    let names = TEXTS.iter().chain(&[STREAM, PLAYLIST]);
    names.map(|name| format!("/tv/{id}/{name}")).collect()
}

impl Channel {
    /// When a chunk came last.
    #[must_use]
    pub fn last_came(&self) -> Option<Instant> {
        self.came
    }

    /// Asks all shards whether anybody watches any of its renditions. They say so by its folder.
    pub fn ask_for_viewers(&self) {
        let remuxed = self.remuxed_output();
        for output in self.outputs.iter().chain(remuxed) {
            self.post.ask_for_viewers(&output.folder, output.stream().unwrap_or(NO_STREAM));
        }
    }

    /// Paths by which players begin, or go on when they come back: also the playlists of the
    /// renditions that it has had.
    #[must_use]
    pub fn playlists(&self) -> Vec<String> {
        let mut names = beginnings(&self.id);
        for (output, rendition) in self.outputs.iter().zip(&self.renditions) {
            for kind in [Kind::Plain, Kind::LowLatency] {
                // Players that came early ask for the first name, whatever it is now.
                let first = Name { kind, promise: None }.to_string();
                let mut of_kind = vec![first, rendition.playlist(kind)];
                of_kind.dedup();
                names.extend(of_kind.iter().map(|name| format!("{}/{name}", output.folder)));
            }
        }
        names
    }

    /// Whether it has listed such a path itself.
    #[must_use]
    pub fn has_listed(&self, path: &str) -> bool {
        let of_channel = path.strip_prefix("/tv/").and_then(|path| path.split_once('/'));
        let name = of_channel.map_or("", |(_, name)| name);
        if [STREAM, PLAYLIST].contains(&name) {
            return self.is_remux_offered();
        }
        if self.texts().contains(&name) {
            return self.multivariants.iter().any(|text| !text.is_empty());
        }
        self.outputs.iter().any(|output| path.starts_with(&output.folder))
    }
}
