//! The sessions of one owner: what may begin beside what, and what may not begin again for a while.

use super::super::count;
use super::{Session, Verdict};
use crate::config::{CONTESTED_MS, SESSIONS_COUNTED_MAX, SESSIONS_OF_ONE_MAX};
use crate::units::Ticks;
use crate::viewer::SessionId;
use crate::viewer::leases::Over;
use crate::viewer::rights::Places;

/// What may not begin again at once.
#[derive(Debug)]
pub(super) struct Barred {
    pub(super) session: Session,
    /// Only this content; else nothing of that player in that network.
    pub(super) is_for_content: bool,
    pub(super) over: Over,
    pub(super) until: Ticks,
}

impl Barred {
    pub(super) fn bars(&self, session: &Session) -> bool {
        if self.is_for_content {
            session.is_of(&self.session)
        } else {
            session.is_of_device(&self.session)
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) sessions: Vec<Session>,
    /// Whether one more could begin, when that was looked at last.
    pub(super) is_roomy: bool,
    pub(super) barred: Vec<Barred>,
}

impl Group {
    /// How many places they are at most.
    pub(super) fn count(&self) -> usize {
        self.sessions.len() + self.sessions.iter().filter(|of| of.is_two).count()
    }

    /// Takes in a session, if it may begin; `barred` is the place of what speaks against it.
    pub(super) fn admit(
        &mut self,
        session: Session,
        barred: Option<usize>,
        places: Option<Places>,
        now: Ticks,
    ) -> Admission {
        let count = self.count();
        let Some(places) = places.filter(|places| count >= places.max.get() as usize) else {
            // So many are fewer than there may be.
            if places.is_none() && count >= SESSIONS_OF_ONE_MAX {
                return Admission::Uncounted;
            }
            self.sessions.push(session);
            return Admission::Counted;
        };
        let max = places.max.get() as usize;
        if count >= SESSIONS_COUNTED_MAX.max(max) {
            return Admission::Refused;
        }
        if let Some(barred) = barred {
            // Others that go on have it to themselves; those who have left only seem to.
            let go_on = self.sessions.iter().filter(|of| !of.is_silent(now)).cloned();
            if count::counted(&go_on.collect::<Vec<_>>()).len() >= max {
                self.barred[barred].until = now.plus(CONTESTED_MS);
                return Admission::Refused;
            }
        }
        self.sessions.push(session);
        let is_over = count::counted(&self.sessions).len() > max
            || count::at_most(&self.sessions, now) > max + 1;
        if !is_over || places.ends_oldest {
            return Admission::Counted;
        }
        self.sessions.pop();
        Admission::Refused
    }

    /// Whether one more could begin, whatever the others do.
    pub(super) fn has_room(&self, places: Option<Places>) -> bool {
        match places {
            Some(places) => self.count() < places.max.get() as usize,
            // Nobody looks whether they are two, and there may be many.
            None => self.sessions.len() < SESSIONS_OF_ONE_MAX,
        }
    }

    /// How often shards are to tell of the session at this place, which has begun or goes on; of
    /// all of them, where one more could begin and no longer can, or the other way round.
    pub(super) fn crowd(
        &mut self,
        place: usize,
        places: Option<Places>,
    ) -> Vec<(SessionId, Verdict)> {
        let is_roomy = self.has_room(places);
        let all = 0..self.sessions.len();
        let which = if is_roomy == self.is_roomy { place..(place + 1).min(all.end) } else { all };
        self.is_roomy = is_roomy;
        let verdict = if is_roomy { Verdict::Roomy } else { Verdict::Crowded };
        let mut said = Vec::new();
        for session in self.sessions.get_mut(which).unwrap_or_default() {
            if session.is_roomy != is_roomy {
                session.is_roomy = is_roomy;
                said.extend(session.names.iter().map(|name| (*name, verdict)));
            }
        }
        said
    }

    /// Something may not begin again until then; the oldest of too many may.
    pub(super) fn bar(&mut self, barred: Barred) {
        if self.barred.len() == SESSIONS_COUNTED_MAX {
            let contested = self.barred.iter().position(|barred| barred.over == Over::Limit);
            self.barred.remove(contested.unwrap_or(0));
        }
        self.barred.push(barred);
    }
}

/// What becomes of a session that begins.
pub(super) enum Admission {
    /// It is there.
    Counted,
    /// It may go on, and is not listed: there are too many.
    Uncounted,
    /// It may not.
    Refused,
}
