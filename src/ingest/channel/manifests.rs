//! Manifests, and patches of them: made when somebody asks for one, of what is newest then.
//!
//! The patch of each recent manifest is listed without anything behind it. A shard whose client
//! asks for one says so, and then it is made and listed, until the next manifest is published and
//! it is listed as before. Of the newest manifest there is nothing to tell yet: requests for its
//! patch wait for the next one.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::Channel;
use crate::config::MPD_PATCH_HOLD_MS;
use crate::ingest::output::{Stamp, absent};
use crate::ingest::post::Described;
use crate::live::channel;
use crate::live::playlist::dash::recent::{FOLDER, Known, Recent};
use crate::live::playlist::dash::{self, patch};
use crate::messages::{Listing, Payload, SourceId};
use crate::units::{Class, ETag, Extent, media_type};

/// Manifests of one edition.
#[derive(Debug, Default)]
pub(super) struct Manifests {
    recent: Recent,
    /// The patches of these, the oldest first.
    offered: VecDeque<Offered>,
    /// When somebody asked for what comes after the newest one.
    awaited: Option<Instant>,
}

/// A patch that is listed.
#[derive(Debug)]
struct Offered {
    /// Its name, as seen from the manifests.
    name: String,
    /// By what it is asked for.
    source: SourceId,
    /// It was made, or told to be none: the next manifest makes another one of it.
    is_made: bool,
}

/// Editions, in the order in which a channel has their manifests.
const EDITIONS: [(dash::Edition, &str); 2] =
    [(dash::Edition::Plain, "manifest.mpd"), (dash::Edition::LowLatency, "ll.mpd")];

impl Channel {
    /// Publishes a manifest, if there is anything new in it.
    pub(super) fn write_manifest(&mut self, edition: dash::Edition, stamp: Stamp) {
        let Some(at) = EDITIONS.iter().position(|(known, _)| *known == edition) else { return };
        let Manifests { recent, offered, awaited } = &mut self.manifests[at];
        let of = (edition, &mut *recent);
        let gone =
            channel::publish_manifest(&self.renditions, &self.events, self.window_micros, of);
        let (Some(gone), Some(text)) = (gone, recent.newest()) else { return };
        let folder = format!("/tv/{}", self.id);
        let path = format!("{folder}/{}", EDITIONS[at].1);
        self.batch.push(self.post.choice(&path, text, self.access, stamp));
        for name in gone {
            offered.retain(|one| one.name != name);
            self.batch.push(absent(format!("{folder}/{name}")));
        }
        *awaited = None;
        let name = recent.newest_patch().unwrap_or_default().to_owned();
        offered.push_back(Offered { name, source: SourceId(0), is_made: true });
        for one in offered.iter_mut().filter(|one| one.is_made) {
            let path = format!("{folder}/{}", one.name);
            let (source, listing) = self.post.on_demand(&path, self.access);
            (one.source, one.is_made) = (source, false);
            self.batch.push(listing);
        }
    }

    /// Somebody asks for a patch, if that is one.
    pub(super) fn want_patch(&mut self, source: SourceId, stamp: Stamp) {
        for at in 0..self.manifests.len() {
            let offered = self.manifests[at].offered.iter();
            let Some(place) = offered.clone().position(|one| one.source == source) else {
                continue;
            };
            let Manifests { recent, offered, awaited } = &mut self.manifests[at];
            let text = match recent.patch(&offered[place].name) {
                Known::Patch(text) => text,
                Known::Nothing => patch::NONE.to_owned(),
                Known::Newest => {
                    // Asked for again when the next one is listed.
                    offered[place].is_made = true;
                    awaited.get_or_insert(stamp.instant);
                    return;
                }
            };
            self.list_patch(at, place, &text, stamp);
        }
    }

    /// Who has waited for long enough is told to load the manifest.
    pub fn look_at_patches(&mut self, stamp: Stamp) {
        let hold = Duration::from_millis(MPD_PATCH_HOLD_MS);
        for at in 0..self.manifests.len() {
            let Manifests { offered, awaited, .. } = &mut self.manifests[at];
            let has_waited =
                |since: &mut Instant| stamp.instant.saturating_duration_since(*since) >= hold;
            if awaited.take_if(has_waited).is_some()
                && let Some(newest) = offered.len().checked_sub(1)
            {
                self.list_patch(at, newest, patch::NONE, stamp);
            }
        }
    }

    fn list_patch(&mut self, at: usize, place: usize, text: &str, stamp: Stamp) {
        let one = &mut self.manifests[at].offered[place];
        one.is_made = true;
        let path = format!("/tv/{}/{}", self.id, one.name);
        let listing = self.patch_at(&path, text, stamp);
        self.batch.push(listing);
        self.post.list(&mut self.batch);
    }

    fn patch_at(&self, path: &str, text: &str, stamp: Stamp) -> Listing {
        let bytes = text.as_bytes();
        let extent = Extent { offset: 0, size: bytes.len() as u64 };
        let described = Described {
            placed: (Payload::Heap(bytes.into()), extent),
            etag: ETag::of(bytes),
            media_type: media_type(".mpp"),
            class: Class::Manifest,
            modified: stamp.unix(),
        };
        self.post.object(path, described, self.access)
    }

    /// What those get who ask for a patch that is not listed.
    #[must_use]
    pub fn no_patch(&self, stamp: Stamp) -> Listing {
        self.patch_at(&format!("/tv/{}/{FOLDER}", self.id), patch::NONE, stamp)
    }

    /// Takes back all patches, and the answer to those who ask for others.
    pub(super) fn close_manifests(&mut self) {
        if self.remuxing.is_result() {
            return;
        }
        let folder = format!("/tv/{}", self.id);
        let offered = self.manifests.iter().flat_map(|manifests| &manifests.offered);
        self.batch.extend(offered.map(|one| absent(format!("{folder}/{}", one.name))));
        self.batch.push(absent(format!("{folder}/{FOLDER}")));
    }
}
