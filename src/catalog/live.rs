//! What is live: objects that grow, renditions that are waited for, playlists that hold what is
//! asked for.

use std::sync::Arc;

use super::growing::{Growing, Piece};
use super::renditions::State;
use super::{Catalog, Effect, Found, GrowingSlot, RenditionSlot};
use crate::live::catchup::address::channel_folder;
use crate::live::catchup::dialect;
use crate::live::playlist::dash::recent::folder_of_patch;
use crate::live::playlist::dash::timed::{Timed, channel_of_timed};
use crate::live::playlist::name::Name;
use crate::live::reload::{Directives, Reach, Reload, Skip};
use crate::messages::{GrowingId, Growth, SourceKind};
use crate::request::authorise::Grant;
use crate::request::locate::{self, Place};
use crate::units::{Rung, split_last};

impl Catalog {
    /// What a viewer finds at this path, which begins with `/tv/`; of a low-latency playlist, the
    /// one that holds what the directives ask for.
    #[must_use]
    pub fn live(&self, path: &str, directives: &Directives, grant: &Grant) -> Found<'_> {
        if grant.is_capped() && !grant.is_within(self.rung_below(path)) {
            return Found::Beyond;
        }
        let rendition = self.renditions.of(path);
        let found = self.live_within(path, rendition, directives, grant);
        match (found, rendition.filter(|_| grant.viewer().is_some())) {
            (Found::Object(object), Some((_, state, _))) => {
                Found::Object(locate::Object { rung: state.news.rung, ..object })
            }
            (Found::Growing(growing), Some((_, state, _))) => {
                Found::Growing(locate::Growing { rung: state.news.rung, ..growing })
            }
            (found, _) => found,
        }
    }

    fn live_within(
        &self,
        path: &str,
        rendition: Option<(RenditionSlot, &State, &str)>,
        directives: &Directives,
        grant: &Grant,
    ) -> Found<'_> {
        let rendition = rendition.filter(|(_, state, _)| grant.allows(state.news.access));
        if let Some((_, state, _)) = rendition {
            if !grant.is_within(state.news.rung) {
                return Found::Beyond;
            }
            state.asked_for.set(true);
        }
        if let Some(&slot) = self.files.get(path)
            && self.allows(slot, grant)
        {
            let Some((place, state, _)) = rendition else {
                return self.object(slot, || Some(0), grant);
            };
            return not_yet(place, state, directives).unwrap_or_else(|| {
                let named = |name: &str| self.files.get(name);
                let delta = || named(&state.delta);
                let delta = match directives.skip {
                    Skip::No => None,
                    Skip::Segments => delta(),
                    // Where there are no dates, there is nothing more to leave out.
                    Skip::Dates => named(&state.delta_of_dates).or_else(delta),
                };
                self.object(*delta.unwrap_or(&slot), || Some(0), grant)
            });
        }
        if let Some((place, state, name)) = rendition
            && let Some(asked) = Name::of(name)
            && asked.promise != state.news.promise
        {
            // Whoever waits for what comes waits here, since a name leads to another at once.
            let moved = Found::Moved(Name { promise: state.news.promise, ..asked });
            return not_yet(place, state, directives).unwrap_or(moved);
        }
        match self.coming(path, grant) {
            Found::Absent => {}
            found => return found,
        }
        match self.in_archive(path, grant) {
            Found::Absent => {}
            found => return found,
        }
        if let Some((place, state, name)) = rendition
            && let Some(reach) = Reach::of_name(name).filter(|reach| state.comes(*reach))
        {
            return Found::Expected(Place::Reach(place, reach));
        }
        if let Some((place, state, name)) = rendition
            && let Some(reach) = Timed::of_name(name).and_then(|timed| state.comes_at(timed))
        {
            return Found::Expected(Place::Reach(place, reach));
        }
        if let Some(folder) = folder_of_patch(path)
            && let Some(&slot) = self.files.get(folder)
            && self.allows(slot, grant)
        {
            return self.object(slot, || Some(0), grant);
        }
        self.asked(path, grant)
    }

    /// What a path takes that is of nothing live: it, or the folder of a rendition of the past.
    fn rung_below(&self, path: &str) -> Rung {
        let folder = split_last(path, b'/').0;
        match self.rungs.get(path) {
            Some(rung) => *rung,
            // What is live says so itself.
            None if self.renditions.of(path).is_some() => Rung::default(),
            None => self.rung_at(folder),
        }
    }

    /// What control may know of a path that leads nowhere here.
    fn asked(&self, path: &str, grant: &Grant) -> Found<'_> {
        let past = channel_folder(path).or_else(|| channel_of_timed(path));
        let past = past.or_else(|| dialect::channel_folder(path));
        if let Some(folder) = past
            && let Some(&access) = self.channels.get(folder)
            && grant.allows(access)
        {
            return Found::Asked(access);
        }
        let below = path.strip_prefix("/tv/").and_then(|path| path.split_once('/'));
        let channel = below.map(|(id, _)| &path[.."/tv/".len() + id.len()]);
        let asked = channel.and_then(|channel| self.asked.get(channel));
        if let Some(&access) = asked.filter(|access| grant.allows(**access)) {
            return Found::Asked(access);
        }
        self.absent(grant)
    }

    /// What control may know of the past of the channel that this path lies in: its query asks for
    /// that, so nothing live is it.
    #[must_use]
    pub fn past(&self, path: &str, grant: &Grant) -> Found<'_> {
        let below = path.strip_prefix("/tv/").and_then(|path| path.split_once('/'));
        let folder = below.map_or("", |(id, _)| &path[.."/tv/".len() + id.len()]);
        match self.channels.get(folder).filter(|access| grant.allows(**access)) {
            Some(&access) => Found::Asked(access),
            None => self.absent(grant),
        }
    }

    /// How long requests for what lies in this folder may be held, in milliseconds, which is three
    /// target durations; none = it is no rendition's.
    #[must_use]
    pub fn hold_ms(&self, path: &str) -> Option<u64> {
        self.renditions.of(path).map(|(_, state, _)| state.news.hold_ms)
    }

    /// The last whole segment of the rendition in whose folder this path lies.
    #[must_use]
    pub fn last_whole(&self, path: &str) -> Option<u64> {
        let (_, state, _) = self.renditions.of(path)?;
        let edge = state.news.edge;
        u64::try_from(edge.segment - i64::from(!edge.is_whole)).ok()
    }

    /// What a rendition takes.
    #[must_use]
    pub fn rung_of(&self, rendition: RenditionSlot) -> Rung {
        self.renditions.news(rendition).rung
    }

    /// A request waits for a rendition; gives how long it may, in milliseconds.
    pub fn wait(&mut self, rendition: RenditionSlot, reach: Reach) -> u64 {
        self.renditions.wait(rendition, reach)
    }

    /// A growing object grew.
    pub fn grow(&mut self, id: GrowingId, growth: &Growth, effects: &mut Vec<Effect>) {
        if let Growth::Begun { path, media_type, class, access } = growth {
            let growing = Growing::new(id, media_type, *class, *access);
            let slot = match self.growing_free.pop() {
                Some(slot) => {
                    self.growing[slot.0 as usize] = growing;
                    slot
                }
                None => {
                    self.growing.push(growing);
                    let index = self.growing.len() - 1;
                    GrowingSlot(u32::try_from(index).expect("fewer than 2^32 growing objects"))
                }
            };
            if let Some(old) = self.growing_paths.insert(Arc::clone(path), slot) {
                self.growing[old.0 as usize].gone = true;
                self.forget_growing(old);
            }
            self.growing_ids.insert(id, slot);
            // What was to be made on demand is there.
            if self.files.get(path).is_some_and(|slot| self.is_on_demand(*slot)) {
                self.retire(path, SourceKind::File, false, effects);
            }
            if let Some(place) = self.expected.remove(path) {
                effects.push(Effect::Release(Place::Path(place)));
            }
            return;
        }
        let Some(&slot) = self.growing_ids.get(&id) else { return };
        self.growing[slot.0 as usize].apply(growth);
        effects.push(Effect::Grown(slot));
    }

    /// Whether anybody watches this rendition, or the stream without an end that is made of it.
    #[must_use]
    pub fn is_watched(&self, folder: &str, stream: GrowingId) -> bool {
        let was_asked_for = self.renditions.was_asked_for(folder);
        let slot = self.growing_ids.get(&stream);
        was_asked_for || slot.is_some_and(|slot| self.growing[slot.0 as usize].leases > 0)
    }

    /// Keeps a growing object while a response of it is being sent.
    pub fn lease_growing(&mut self, slot: GrowingSlot) {
        self.growing[slot.0 as usize].leases += 1;
    }

    /// Gives that lease back.
    pub fn give_back_growing(&mut self, slot: GrowingSlot) {
        let growing = &mut self.growing[slot.0 as usize];
        assert!(growing.leases > 0, "a lease is given back once");
        growing.leases -= 1;
        self.forget_growing(slot);
    }

    fn forget_growing(&mut self, slot: GrowingSlot) {
        let growing = &mut self.growing[slot.0 as usize];
        if growing.gone && growing.leases == 0 && growing.id.is_some() {
            let id = growing.id.take().expect("just seen");
            growing.release();
            self.growing_ids.remove(&id);
            self.growing_free.push(slot);
        }
    }

    /// With which piece a response of a growing object begins.
    #[must_use]
    pub fn first_piece(&self, slot: GrowingSlot) -> usize {
        self.growing[slot.0 as usize].begin()
    }

    /// With which piece a response goes on that has sent all before this one.
    #[must_use]
    pub fn next_piece(&self, slot: GrowingSlot, piece: usize) -> usize {
        self.growing[slot.0 as usize].go_on(piece)
    }

    /// What a response of a growing object that has sent `piece` pieces can send next.
    #[must_use]
    pub fn piece(&self, slot: GrowingSlot, piece: usize) -> Piece<'_> {
        self.growing[slot.0 as usize].piece(piece)
    }

    /// The growing object's media type, for the head.
    #[must_use]
    pub fn growing_media_type(&self, slot: GrowingSlot) -> &'static str {
        self.growing[slot.0 as usize].media_type
    }

    /// No new response begins with what grows at this path.
    pub(super) fn end_growing(&mut self, path: &str) {
        if let Some(slot) = self.growing_paths.remove(path) {
            self.growing[slot.0 as usize].gone = true;
            self.forget_growing(slot);
        }
    }
}

/// What is found as long as a playlist does not hold what the directives ask for.
fn not_yet(
    place: RenditionSlot,
    State { news, .. }: &State,
    directives: &Directives,
) -> Option<Found<'static>> {
    match news.edge.reload(directives, news.part) {
        Reload::Wait(reach) => Some(Found::Expected(Place::Reach(place, reach))),
        Reload::TooFar => Some(Found::TooFar),
        Reload::Now => None,
    }
}

#[cfg(test)]
mod tests;
