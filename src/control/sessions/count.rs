//! How many places a subscriber watches at: sessions in, those that count out.
//!
//! People zap, go back, and walk from the Wi-Fi to the street, and are at one place all the time.
//! So what one device fetches counts twice only if it goes on with one content for
//! `CONTENTS_OVERLAP_MS` beside another; and what one player fetches in two networks, if it goes on
//! in one for `NETWORKS_OVERLAP_MS` beside the other. Two devices are always two, also where they
//! look alike (`lookalikes`): their session counts twice.

use crate::config::{CONTENTS_OVERLAP_MS, NETWORKS_OVERLAP_MS, SILENCE_MS};
use crate::units::Ticks;

use super::table::{Handset, Session};

/// From when to when something was fetched.
#[derive(Clone, Copy, Debug)]
struct Window {
    from: Ticks,
    to: Ticks,
}

impl Window {
    fn of(session: &Session) -> Self {
        Self { from: session.began, to: session.seen }
    }

    fn with(self, other: Self) -> Self {
        Self { from: self.from.min(other.from), to: self.to.max(other.to) }
    }
}

/// The places of the sessions that count; twice if they are two devices.
#[must_use]
pub fn counted(sessions: &[Session]) -> Vec<usize> {
    let mut counted = Vec::new();
    for handset in handsets(sessions) {
        let networks = networks(sessions, handset);
        let windows: Vec<_> = networks.iter().map(|places| window(sessions, places)).collect();
        for network in together(&windows, NETWORKS_OVERLAP_MS) {
            for place in contents(sessions, &networks[network]) {
                let times = 1 + usize::from(sessions[place].is_two);
                counted.extend(std::iter::repeat_n(place, times));
            }
        }
    }
    counted
}

/// How many there may be: a player that was seen in another network a moment ago may have moved, or
/// may go on there.
#[must_use]
pub fn at_most(sessions: &[Session], now: Ticks) -> usize {
    let mut count = 0;
    for handset in handsets(sessions) {
        let networks = networks(sessions, handset);
        let is_recent = |places: &&Vec<usize>| now.since(window(sessions, places).to) < SILENCE_MS;
        let of = networks.iter().filter(is_recent).map(|places| {
            let contents = contents(sessions, places);
            contents.iter().map(|place| 1 + usize::from(sessions[*place].is_two)).sum::<usize>()
        });
        count += of.sum::<usize>().max(1);
    }
    count
}

fn handsets(sessions: &[Session]) -> Vec<&Handset> {
    let mut all: Vec<&Handset> = Vec::new();
    for session in sessions {
        if !all.contains(&&session.handset) {
            all.push(&session.handset);
        }
    }
    all
}

/// The places of a handset's sessions, a network.
fn networks(sessions: &[Session], handset: &Handset) -> Vec<Vec<usize>> {
    let mut all: Vec<Vec<usize>> = Vec::new();
    for (place, session) in sessions.iter().enumerate() {
        if session.handset != *handset {
            continue;
        }
        let same = all.iter_mut().find(|places| sessions[places[0]].network == session.network);
        match same {
            Some(places) => places.push(place),
            None => all.push(vec![place]),
        }
    }
    all
}

fn window(sessions: &[Session], places: &[usize]) -> Window {
    let windows = places.iter().map(|place| Window::of(&sessions[*place]));
    windows.reduce(Window::with).expect("there is one")
}

/// Those of one device's sessions that count.
fn contents(sessions: &[Session], places: &[usize]) -> Vec<usize> {
    let windows: Vec<_> = places.iter().map(|place| Window::of(&sessions[*place])).collect();
    together(&windows, CONTENTS_OVERLAP_MS).into_iter().map(|at| places[at]).collect()
}

/// The most that went on beside each other, each for so long beside every other; else the newest.
///
/// Two windows overlap by `ms` if they do without their last `ms`: so it is where most of those lie
/// over each other.
fn together(windows: &[Window], ms: u64) -> Vec<usize> {
    let is_long = |window: &Window| window.to.since(window.from) >= ms;
    let long = || windows.iter().enumerate().filter(|(_, window)| is_long(window));
    let mut edges: Vec<(u64, i32)> = Vec::new();
    for (_, window) in long() {
        // What begins where another ends lies over it.
        edges.extend([(2 * window.from.0, 1), (2 * (window.to.0 - ms) + 1, -1)]);
    }
    edges.sort_unstable();
    let (mut depth, mut most, mut at) = (0, 0, 0);
    for (edge, step) in edges {
        depth += step;
        if depth > most {
            (most, at) = (depth, edge / 2);
        }
    }
    let lies_there = |window: &Window| window.from.0 <= at && at <= window.to.0 - ms;
    let mut together: Vec<usize> =
        long().filter(|(_, window)| lies_there(window)).map(|(place, _)| place).collect();
    if together.is_empty() {
        let newest = (0..windows.len()).max_by_key(|at| (windows[*at].to, windows[*at].from));
        together.extend(newest);
    }
    together
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn overlap(one: Window, other: Window, ms: u64) -> bool {
        one.to.min(other.to).since(one.from.max(other.from)) >= ms
    }

    proptest! {
        /// As many as one finds by trying all sets.
        #[test]
        fn no_more_and_no_fewer_went_on_together(
            windows in prop::collection::vec((0_u64..40, 0_u64..40), 1..9),
            ms in 1_u64..12,
        ) {
            let window = |(from, size)| Window { from: Ticks(from), to: Ticks(from + size) };
            let windows: Vec<_> = windows.into_iter().map(window).collect();
            let all = |set: u32| (0..windows.len()).filter(move |at| set & (1 << at) != 0);
            let go_together = |set: &u32| {
                all(*set).all(|one| {
                    all(*set).all(|other| {
                        one == other || overlap(windows[one], windows[other], ms)
                    })
                })
            };
            let most = (1..1_u32 << windows.len()).filter(go_together).map(u32::count_ones).max();
            let found = together(&windows, ms);
            prop_assert_eq!(Some(found.len() as u32), most);
            let set = found.iter().fold(0, |set, at| set | 1 << at);
            prop_assert!(go_together(&set));
        }
    }
}
