//! Renditions of live channels: how far each has come, and what is waited for there.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::Arc;

use ahash::AHashMap;

use super::Effect;
use crate::live::playlist::dash::timed::Timed;
use crate::live::playlist::{DELTA, DELTA_OF_DATES};
use crate::live::reload::Reach;
use crate::messages::Rendition;
use crate::request::locate::Place;
use crate::units::split_last;

/// A rendition's place in the catalog. Used for another one when it is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RenditionSlot(u32);

/// Every rendition that a shard knows.
#[derive(Debug, Default)]
pub(super) struct Renditions {
    /// By folder: `/tv/news/video`.
    folders: AHashMap<Arc<str>, RenditionSlot>,
    table: Vec<State>,
    free: Vec<RenditionSlot>,
}

/// One of them.
#[derive(Debug)]
pub(super) struct State {
    /// What was said of it last.
    pub(super) news: Rendition,
    /// Path of the playlist that says only what is new.
    pub(super) delta: Arc<str>,
    /// And of dates only what is new.
    pub(super) delta_of_dates: Arc<str>,
    /// What requests wait for.
    waited_for: BTreeSet<Reach>,
    /// Whether anything of it was asked for since somebody wanted to know that.
    pub(super) asked_for: Cell<bool>,
}

impl Renditions {
    /// The rendition in whose folder this path lies, and the name there.
    pub(super) fn of<'p>(&self, path: &'p str) -> Option<(RenditionSlot, &State, &'p str)> {
        let (folder, name) = split_last(path, b'/');
        let &slot = self.folders.get(folder)?;
        Some((slot, &self.table[slot.0 as usize], name))
    }

    /// What was said last of one.
    pub(super) fn news(&self, slot: RenditionSlot) -> &Rendition {
        &self.table[slot.0 as usize].news
    }

    /// Whether anything of it was asked for since this was asked last.
    pub(super) fn was_asked_for(&self, folder: &str) -> bool {
        let slot = self.folders.get(folder);
        slot.is_some_and(|slot| self.table[slot.0 as usize].asked_for.take())
    }

    /// It has come further, or is new.
    pub(super) fn update(
        &mut self,
        folder: &Arc<str>,
        news: &Rendition,
        effects: &mut Vec<Effect>,
    ) {
        let Some(&slot) = self.folders.get(folder) else {
            self.add(folder, news);
            return;
        };
        let state = &mut self.table[slot.0 as usize];
        state.news = *news;
        let reach = news.edge.reach();
        while let Some(&first) = state.waited_for.first()
            && first <= reach
        {
            state.waited_for.pop_first();
            effects.push(Effect::Release(Place::Reach(slot, first)));
        }
    }

    fn add(&mut self, folder: &Arc<str>, news: &Rendition) {
        let named = |name| format!("{folder}/{name}").into();
        let (delta, delta_of_dates) = (named(DELTA), named(DELTA_OF_DATES));
        let (waited_for, asked_for) = (BTreeSet::new(), Cell::default());
        let state = State { news: *news, delta, delta_of_dates, waited_for, asked_for };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.table[slot.0 as usize] = state;
                slot
            }
            None => {
                self.table.push(state);
                let index =
                    u32::try_from(self.table.len() - 1).expect("fewer than 2^32 renditions");
                RenditionSlot(index)
            }
        };
        self.folders.insert(Arc::clone(folder), slot);
    }

    /// It is gone: whoever waits there hears so.
    pub(super) fn remove(&mut self, folder: &str, effects: &mut Vec<Effect>) {
        let Some(slot) = self.folders.remove(folder) else { return };
        let waited_for = std::mem::take(&mut self.table[slot.0 as usize].waited_for);
        let released = waited_for.into_iter().map(|reach| Place::Reach(slot, reach));
        effects.extend(released.map(Effect::Release));
        self.free.push(slot);
    }

    /// A request waits until it has come so far; gives how long it may, in milliseconds.
    pub(super) fn wait(&mut self, slot: RenditionSlot, reach: Reach) -> u64 {
        let state = &mut self.table[slot.0 as usize];
        state.waited_for.insert(reach);
        state.news.hold_ms
    }
}

impl State {
    /// Whether a file that is not there will be: it belongs to the segment that grows, or to the
    /// next one, and has not been passed over.
    pub(super) fn comes(&self, reach: Reach) -> bool {
        let edge = self.news.edge;
        let is_near = (edge.segment..=edge.segment.saturating_add(1)).contains(&reach.segment);
        is_near && reach > edge.reach() && reach.parts <= self.news.parts_a_segment
    }

    /// How far it must come for a whole segment to be there that is not, and begins then: the one
    /// that grows, or the next one.
    pub(super) fn comes_at(&self, timed: Timed) -> Option<Reach> {
        let Rendition { edge, times: (begins, ends), .. } = self.news;
        let segment = match edge.is_whole {
            false if timed == begins => edge.segment,
            true if timed == ends => edge.segment.checked_add(1)?,
            _ => return None,
        };
        Some(Reach { segment, parts: Reach::WHOLE })
    }
}
