//! What a channel is told by the playlists that its encoders push.

use super::{Channel, Request};
use crate::ingest::output::Stamp;
use crate::live::boxes::stream::Chunk;
use crate::live::publisher::timed;
use crate::live::pushed::Pushed;
use crate::live::upload::Kind;

impl Channel {
    /// A source has pushed a playlist or a manifest to this path.
    pub fn take_text(
        &mut self,
        (source, path): (usize, &str),
        kind: Kind,
        text: &[u8],
        stamp: Stamp,
    ) {
        if self.is_closed {
            return;
        }
        self.pushed.resize_with(self.sources.count(), Pushed::default);
        if kind == Kind::Manifest {
            if self.pushed[source].take_manifest(path, text) {
                // As if its headers had come again.
                (0..self.feeds.len()).for_each(|feed| self.may_begin_anew(feed, source, stamp));
            }
            (0..self.renditions.len()).for_each(|at| self.take_language(at));
            return;
        }
        let dated = self.pushed[source].take(path, text);
        dated.into_iter().for_each(|dated| self.zeros.tell(dated));
        (0..self.renditions.len()).for_each(|at| self.take_key(at));
    }

    /// Where FairPlay has the key of a rendition, as the playlist of the first source says that
    /// names it. It mostly comes behind the first segment that it is of.
    pub(super) fn take_key(&mut self, at: usize) {
        let header = &self.feeds[at].path;
        let key = self.pushed.iter().find_map(|pushed| pushed.key(header));
        if let (Some(key), Some(Some(newest))) = (key, self.renditions[at].protections.last_mut())
            && newest.name_fairplay(key)
        {
            self.keeping.protect(at, newest.clone());
        }
    }

    /// A rendition has the language that the manifest of the first source says that says one.
    pub(super) fn take_language(&mut self, at: usize) {
        let header = &self.feeds[at].path;
        let language = self.pushed.iter().find_map(|pushed| pushed.language(header));
        self.renditions[at].told_language = language.map(str::to_owned);
    }

    /// What a source pushes to this path begins with this chunk.
    pub fn begin_object(
        &mut self,
        feed: usize,
        Request { source, .. }: Request,
        path: &str,
        chunk: &Chunk,
        stamp: Stamp,
    ) {
        let header = self.feeds[feed].given[source].header.as_ref();
        let Some(timed) = header.and_then(|header| timed(&header.init, chunk)) else { return };
        self.pushed.resize_with(self.sources.count(), Pushed::default);
        let (dated, is_broken) = self.pushed[source].begin(path, timed.start);
        dated.into_iter().for_each(|dated| self.zeros.tell(dated));
        if is_broken && self.is_taken_from(feed, source) {
            self.publish_all_awaiting(feed, stamp);
            if let Some(rendition) = self.renditions.get_mut(feed) {
                rendition.publisher.begin_stretch();
            }
        }
    }
}
